"""What one step of a continuous marker is, and the cut-points at which papers split one."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final, Literal, Self, get_args

from netsynth import _format, _validate
from netsynth.data._record import Record
from netsynth.data.factor import ReportedFactor
from netsynth.errors import InvalidInputError

__all__ = ["CutPoint", "MarkerScale", "cut_point", "cut_points"]

MarkerKind = Literal["units", "sd", "fold", "log sd", "groups", "cut"]


@dataclass(frozen=True, slots=True)
class MarkerScale(Record):
    """The step of a marker that a hazard ratio speaks of.

    Make one by `per_units`, `per_sd`, `per_fold`, `per_log_sd`, `extreme_groups` or `split`.

    Parameters
    ----------
    kind : {"units", "sd", "fold", "log sd", "groups", "cut"}
        Linear in the marker ("units", "sd"), linear in its logarithm ("fold", "log sd"), the highest against the lowest
        of some equal groups, or two groups split at a cut-point.
    size : float
        Units, standard deviations, fold, number of groups, or the cut-point.
    sd : float or None
        Standard deviation of the marker, for "log sd" of its natural logarithm; None where not known.
    unit : str
        Of the marker.

    Raises
    ------
    InvalidInputError
        If the size or the standard deviation cannot be.

    Examples
    --------
    >>> print(MarkerScale.per_units(10, unit="ng/mL"), MarkerScale.per_fold(2), MarkerScale.extreme_groups(3), sep="; ")
    per 10 ng/mL; per doubling; highest against lowest of 3 equal groups
    """

    kind: MarkerKind
    size: float
    sd: float | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        _validate.choice(self.kind, "kind", get_args(MarkerKind))
        where = f"marker scale {self.kind!r}"
        if not isinstance(self.size, int | float) or not math.isfinite(self.size):
            raise InvalidInputError(f"{where}: size must be a finite number; got {self.size!r}.")
        least = {"fold": 1.0, "groups": 1.0, "cut": -math.inf}.get(self.kind, 0.0)
        if not self.size > least:
            raise InvalidInputError(f"{where}: size must be above {least:g}; got {self.size:g}.")
        if self.kind == "groups" and self.size != int(self.size):
            raise InvalidInputError(f"{where}: the number of groups must be whole; got {self.size:g}.")
        if self.sd is not None and not (math.isfinite(self.sd) and self.sd > 0):
            raise InvalidInputError(f"{where}: a standard deviation must be positive; got {self.sd!r}.")
        object.__setattr__(self, "size", float(self.size))
        object.__setattr__(self, "sd", None if self.sd is None else float(self.sd))

    @classmethod
    def per_units(cls, size: float = 1.0, *, unit: str = "", sd: float | None = None) -> Self:
        """Per so many units of the marker."""
        return cls("units", size, sd, unit)

    @classmethod
    def per_sd(cls, sd: float | None = None, *, size: float = 1.0, unit: str = "") -> Self:
        """Per standard deviation of the marker."""
        return cls("sd", size, sd, unit)

    @classmethod
    def per_fold(cls, fold: float = 2.0, *, sd: float | None = None) -> Self:
        """Per doubling, or another multiple, of the marker; ``per_fold(math.e)`` is per unit of its logarithm."""
        return cls("fold", fold, sd)

    @classmethod
    def per_log_sd(cls, sd: float | None = None) -> Self:
        """Per standard deviation of the natural logarithm of the marker."""
        return cls("log sd", 1.0, sd)

    @classmethod
    def extreme_groups(cls, n_groups: int, *, sd: float | None = None, unit: str = "") -> Self:
        """Highest against lowest of so many groups of equal size: 3 for thirds, 2 for a split at the median."""
        return cls("groups", n_groups, sd, unit)

    @classmethod
    def split(cls, at: float, *, unit: str = "") -> Self:
        """Above against below a cut-point."""
        return cls("cut", at, None, unit)

    def __str__(self) -> str:
        size, unit = f"{self.size:g}", f" {self.unit}" if self.unit else ""
        if self.kind == "units":
            counted = unit.strip() or ("unit" if self.size == 1 else "units")
            return f"per {counted}" if self.size == 1 else f"per {size} {counted}"
        if self.kind == "sd":
            return "per SD" if self.size == 1 else f"per {size} SD"
        if self.kind == "fold":
            return "per doubling" if self.size == 2 else f"per {size}-fold"
        if self.kind == "log sd":
            return "per SD of the logarithm"
        if self.kind == "groups":
            return f"highest against lowest of {size} equal groups"
        return f"above against below {size}{unit}"


_COMPARED: Final[tuple[tuple[str, str], ...]] = (
    (r"<=|≤|=<|up to|at most|or less|or fewer|or younger|or below", "<="),
    (r">=|≥|=>|at least|or more|or older|or above|or larger", ">="),
    (r"<|under|below|less than|fewer than|younger than|smaller than", "<"),
    (r">|over|above|more than|older than|larger than|greater than|exceeding", ">"),
)
_NUMBER: Final = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)?")
_CHOSEN: Final = re.compile(
    r"\b(?:optimal|optimi[sz]ed|best cut|roc|youden|maximally selected|maxstat|x-?tile|minimum p|lowest p|"
    r"cutoff finder)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class CutPoint(Record):
    """A cut-point that the words of a level name.

    Attributes
    ----------
    study, factor, level : str
        Where it stands, in the paper's words.
    sign : {"<", "<=", ">", ">="}
        On which side of it the level lies.
    value : float
    unit : str
        What follows the number.
    is_chosen_by_outcome : bool
        Whether the source says that the cut-point was the best of many for the same outcome. Its hazard ratio is then
        too large and its p-value too small.
    """

    study: str
    factor: str
    level: str
    sign: str
    value: float
    unit: str = ""
    is_chosen_by_outcome: bool = False

    def __str__(self) -> str:
        chosen = " (chosen by the outcome)" if self.is_chosen_by_outcome else ""
        unit = "%" if self.unit == "%" else f" {self.unit}" if self.unit else ""
        return f"{self.study}, {self.factor}: {self.sign} {_format.shortest(self.value, 6)}{unit}{chosen}"


def cut_point(level: str) -> tuple[str, float, str] | None:
    """Sign, value and unit of the cut-point that a level names; None if it names none, or more than one.

    Examples
    --------
    >>> cut_point("> 5 cm"), cut_point("70 or older"), cut_point("under 70% cytoreduction"), cut_point("G3")
    (('>', 5.0, 'cm'), ('>=', 70.0, ''), ('<', 70.0, '%'), None)
    """
    words = level.casefold()
    found = _NUMBER.findall(words)
    if len(found) != 1:
        return None
    sign = next((sign for pattern, sign in _COMPARED if re.search(pattern, words)), None)
    if sign is None:
        return None
    after = words[words.index(found[0]) + len(found[0]) :].strip()
    unit = "%" if after.startswith("%") else (re.match(r"[a-zµ/²³\d]*", after) or [""])[0]
    return sign, float(found[0].replace(",", ".")), "" if unit in ("or", "and") else unit


def cut_points(result: ReportedFactor) -> tuple[CutPoint, ...]:
    """Cut-points that the levels of a result name, the adverse level first.

    `is_chosen_by_outcome` is read from levels, notes, source and further columns: it is set by words such as "optimal",
    "ROC", "Youden" or "X-tile". That they are missing does not show that a cut-point was fixed beforehand.

    Examples
    --------
    >>> from netsynth.data.endpoint import find_endpoint
    >>> size = ReportedFactor("Lund", "size", find_endpoint("OS"), "> 5 cm", "<= 5 cm", notes="cut-off by ROC")
    >>> print(*cut_points(size), sep="; ")
    Lund, size: > 5 cm (chosen by the outcome); Lund, size: <= 5 cm (chosen by the outcome)
    """
    said = " ".join([result.adverse_level, result.reference_level, result.notes, result.source])
    said += " ".join(value for _, value in result.extra)
    chosen = bool(_CHOSEN.search(said))
    return tuple(
        CutPoint(result.study, result.factor, level, *found, chosen)
        for level in (result.adverse_level, result.reference_level)
        if (found := cut_point(level)) is not None
    )
