"""What one step of a continuous marker is, and the cut-points at which papers split one."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Final, Literal, Self, get_args

from netsynth import _format, _validate
from netsynth.data._record import Record
from netsynth.data.factor import ReportedFactor
from netsynth.data.harmonise import stated
from netsynth.errors import InvalidInputError

__all__ = [
    "CutPoint",
    "MarkerScale",
    "cut_point",
    "cut_points",
    "is_cut_point_chosen",
    "marker_scale",
    "marker_step",
]

#: Units that are words, so that there may be several.
_COUNTED: Final = ("year", "month", "week", "day", "grade", "quartile", "point")
MarkerKind = Literal["units", "sd", "fold", "log sd", "groups", "cut", "unclear"]


@dataclass(frozen=True, slots=True)
class MarkerScale(Record):
    """The step of a marker that a hazard ratio speaks of.

    Make one by `per_units`, `per_sd`, `per_fold`, `per_log_sd`, `extreme_groups` or `split`.

    Parameters
    ----------
    kind : {"units", "sd", "fold", "log sd", "groups", "cut", "unclear"}
        Linear in the marker ("units", "sd"), linear in its logarithm ("fold", "log sd"), the highest against the lowest
        of some equal groups, two groups split at a cut-point, or continuous with a step that is not stated.
    size : float
        Units, standard deviations, fold, number of groups, or the cut-point.
    sd : float or None
        Standard deviation of the marker, for "log sd" of its natural logarithm; None where not known.
    unit : str
        Of the marker; for "unclear" what the paper says.

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

    @property
    def is_down(self) -> bool:
        """Whether the step is one down, such as "per 1 g/dL decrease"."""
        return self.kind != "unclear" and self.unit.split(" ")[-1] == "lower"

    @property
    def up(self) -> Self:
        """The same step up."""
        return replace(self, unit=self.unit.removesuffix("lower").strip()) if self.is_down else self

    def __str__(self) -> str:
        if self.kind == "unclear":
            return self.unit or "continuous"
        size, unit = f"{self.size:g}", f" {self.unit}" if self.unit else ""
        if self.kind == "units":
            if self.unit.startswith("%"):
                return f"per {size}{self.unit}"
            several = "s" if self.size != 1 and self.unit in _COUNTED else ""
            counted = f"{unit.strip()}{several}" or ("unit" if self.size == 1 else "units")
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


_RISE: Final = r"increas\w*|increments?|rise|higher|older|larger|longer|greater|more|continuous"
_FALL: Final = r"decreas\w*|decrements?|reduction|drop|fall|lower|younger|smaller|shorter|less|fewer"
#: "per 10 years", "increase per 1%", "each doubling"; "> 2 per 10 fields" is a cut-point, and so is what precedes.
_PER: Final = re.compile(
    rf"^(?:an?\s+)?(?:(?:{_RISE}|{_FALL})\b[\s,:;(]*)*(?:for\s+)?(?:per|each|every)\b\s*(?P<step>.+?)\)?$"
)
#: "10-year increase" and "unit increase" without "per".
_BY: Final = re.compile(
    r"^(?:an?\s+)?(?P<step>(?:(?:\d+(?:\.\d+)?|one)[\s-]*(?:%|[a-zµ])[\w\s%/.-]*?|(?:unit|year|sd|cm|mm)[\s-]*)"
    r"\b(?:increase|increment|decrease|decrement))$"
)
#: "increase of 1 cm".
_OF: Final = re.compile(
    r"^(?:an?\s+)?(?:increase|increment|rise|decrease|decrement|reduction|drop|fall)\s+(?:of|by)\s+"
    r"(?P<step>(?:an?|one|\d[\d.,]*)[\s-]*(?:%|[a-zµ]).*)$"
)
#: "continuous infusion" is a group, and so is "high" of a logarithm.
_CONTINUOUS: Final = re.compile(
    r"\b(?<!non-)(?<!non )(?:continuous|quantitative)(?:ly)?"
    r"(?:\s+(?:variable|scale|covariate|data|values?))?(?!\s*[\w-])|"
    r"^(?:in|de)creasing\b(?!.*\b(?:versus|vs)\b)"
)
_LOGGED: Final = re.compile(
    r"^(?:natural )?(?:log(?:\(?(?:2|10|e)\)?)?(?![\w-])|log-?(?:2|10|e)\b|log-?transformed\b|"
    r"logarithm\w*|ln\((?=[a-z])|ln-transformed\b)"
    r"|\blog(?:2|10|e)?[\s-]?transformed\b|[(,]\s*log(?:2|10)?\)?$"
)
_GROUPED: Final = re.compile(
    r"\b(?:high|higher|low|lower|elevated|raised|positiv\w*|negativ\w*|abnormal|normal|present|absent|yes|no|involve\w*|"
    r"metasta\w*|group|categor\w*|dichotom\w*|quartile|tertile|median|cut\w*)\b"
)
_SIZE: Final = re.compile(
    r"^(?P<size>\d{1,3}(?:,\d{3})+|\d+(?:[.,]\d+)?|one\b|two\b|five\b|ten\b)?[\s-]*(?P<unit>.*)$"
)
_WORDS: Final = {"one": 1.0, "two": 2.0, "five": 5.0, "ten": 10.0}
_CHANGE: Final = re.compile(rf"\b(?:{_RISE}|{_FALL}|change)\b.*$|\b(?:of|in)\b.*$")
_LOGS: Final = (
    (r"\blog-?2|\blog\(2\)", 2.0),
    (r"\blog-?10|\blog\(10\)|\blg\b", 10.0),
    (r"\bln\b|natural log\w*", math.e),
)
#: Units of steps by how they are printed; what is not here is kept as printed.
_UNITS: Final = {
    "%": (1.0, "%"),
    "percent": (1.0, "%"),
    "per cent": (1.0, "%"),
    "percentage point": (1.0, "%"),
    "percent point": (1.0, "%"),
    "y": (1.0, "year"),
    "yr": (1.0, "year"),
    "decade": (10.0, "year"),
    "mm": (0.1, "cm"),
    "millimetre": (0.1, "cm"),
    "millimeter": (0.1, "cm"),
    "centimetre": (1.0, "cm"),
    "centimeter": (1.0, "cm"),
    "unit": (1.0, ""),
    "point": (1.0, ""),
}


def marker_step(level: str) -> MarkerScale | None:
    """The step that a ratio per unit of a continuous marker speaks of; None for a level that is a group.

    A unit that is not stated stays empty. A step down has "lower" in its unit, so that it is never taken for one up.
    What is continuous without a step keeps the words of the paper.

    Examples
    --------
    >>> print(*map(marker_step, ("per 1%", "per 10-year increase", "each doubling", "per SD", "continuous")), sep="; ")
    per 1%; per 10 years; per doubling; per SD; continuous
    >>> print(*map(marker_step, ("high", "> 65", "more than 2 per 10 fields")))
    None None None
    """
    words = re.sub(r"\b(?:additional|extra)\s+", "", " ".join(level.casefold().split()))
    words = re.sub(r"^/\s*", "per ", words)
    if words == "doubling":
        return MarkerScale.per_fold()
    compared = any(re.search(pattern, words) for pattern, _ in _COMPARED)
    found = _PER.match(words) or (None if compared else _BY.match(words) or _OF.match(words))
    if found is None:
        return None if compared or _GROUPED.search(words) else _without_step(words)
    step = re.sub(r"^an?\s+", "", found["step"])
    parts = _SIZE.match(step)
    digits, rest = ("", step) if parts is None else (parts["size"] or "1", parts["unit"])
    size = _WORDS.get(digits) or float(
        digits.replace(",", "" if re.fullmatch(r"\d{1,3}(?:,\d{3})+", digits) else ".")
    )
    if size == 0.0:
        return None
    lower = " lower" if re.search(rf"\b(?:{_FALL})\b", words) else ""
    is_log = re.search(r"\blog|\bln\b|\blg\b|logarithm", rest) is not None
    if re.match(r"(?:sds?|s\.d\.|standard deviations?)(?:\W|$)|log\w*[\s-]+sd\b", rest):
        return MarkerScale("log sd" if is_log else "sd", size, None, lower.strip())
    if rest.startswith("doubling"):
        return MarkerScale("fold", 2.0**size, None, lower.strip())
    if re.match(r"fold\b", rest) and size > 1:
        return MarkerScale("fold", size, None, lower.strip())
    base = next((base for pattern, base in _LOGS if re.search(pattern, rest)), None)
    if base is not None:
        return MarkerScale("fold", base**size, None, lower.strip())
    unit = _CHANGE.sub("", rest).strip(" -,:;()")
    scale, known = _UNITS.get(unit) or _UNITS.get(unit.removesuffix("s")) or (1.0, _singular(unit))
    return MarkerScale.per_units(round(size * scale, 12), unit=f"{known}{lower}".strip())


def _without_step(words: str) -> MarkerScale | None:
    """The scale of words that name no step: one unit of a logarithm if its base is stated, else not clear."""
    if _LOGGED.search(words):
        logs = (*_LOGS[:2], (r"\bln\b|natural log\w*|\bloge\b", math.e))
        base = next((base for pattern, base in logs if re.search(pattern, words)), None)
        return MarkerScale("unclear", 1.0, None, words) if base is None else MarkerScale.per_fold(base)
    if _CONTINUOUS.search(words) is None:
        return None
    plain = re.sub(r"\b(?:as\s+)?(?:an?\s+)?(continuous|quantitative)(?:ly)?(?:\s+variable)?", r"\1", words)
    return MarkerScale("unclear", 1.0, None, plain.strip())


def marker_scale(result: ReportedFactor) -> MarkerScale | None:
    """The step that the ratio of a result speaks of; None for groups.

    Words such as "continuous" or "decrease of 50%" beside another level that is stated name a group.

    Examples
    --------
    >>> from netsynth.data.endpoint import find_endpoint
    >>> os = find_endpoint("OS")
    >>> print(marker_scale(ReportedFactor("Lund", "age", os, "/year", "")))
    per year
    >>> print(marker_scale(ReportedFactor("Lund", "dosing", os, "continuous", "intermittent")))
    None
    """
    levels = [level for level in (result.adverse_level, result.reference_level) if stated(level)]
    steps = [marker_step(level) for level in levels]
    found = next((step for step in steps if step is not None), None)
    if (
        found is not None
        and None in steps
        and (found.kind == "unclear" or any(map(_OF.match, map(str.casefold, levels))))
    ):
        return None
    return found


def _singular(unit: str) -> str:
    return unit.removesuffix("s") if unit.removesuffix("s") in _COUNTED else unit


_COMPARED: Final[tuple[tuple[str, str], ...]] = (
    (r"<=|≤|=<|up to|at most|or less|or fewer|or younger|or below", "<="),
    (r">=|≥|=>|at least|or more|or older|or above|or larger", ">="),
    (r"<|under|below|less than|fewer than|younger than|smaller than", "<"),
    (r">|over|above|more than|older than|larger than|greater than|exceeding", ">"),
)
_NUMBER: Final = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)?")
_CUT: Final = r"(?:cut(?:-?\s?(?:off|point)|ting)?s?|threshold|dichotom\w+)\b"
#: Ways of choosing that have no other use; "ROC" alone may be said of a score.
_METHOD: Final = (
    r"(?:maximally selected|maxstat|x-?tile|surv_cutpoint|cutoff finder|contal (?:and|&) o['’]?quigley)\b"
)
_BEST: Final = r"(?:optimal(?:ly)?|optimum|optimi[sz]ed|best(?:-separating)?)\b"
#: "Optimal" alone may be said of an operation; it has to stand beside the cut-point.
_CHOSEN: Final = re.compile(
    rf"(?<!\bno )(?<!\bnot )(?<!\bnot by )(?<!\bwithout )\b(?:{_BEST}\s+(?:[\w-]+\s+){{0,2}}{_CUT}|"
    rf"{_CUT}[^.,;()]{{0,15}}\b{_BEST}|(?:roc|youden)\b|{_METHOD}|"
    r"(?:minimum|minimal|smallest|lowest) p\b)",
    re.IGNORECASE,
)
_SPLIT: Final = re.compile(rf"\b{_CUT}", re.IGNORECASE)
#: Lengths are printed in both.
_CENTIMETRES: Final = {"mm": 0.1, "millimetres": 0.1, "centimetres": 1.0}


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

    @property
    def place(self) -> tuple[float, str]:
        """Value and unit by which two cut-points are compared: millimetres count as centimetres."""
        scale = _CENTIMETRES.get(self.unit)
        return (self.value, self.unit) if scale is None else (round(self.value * scale, 9), "cm")

    @property
    def shown(self) -> str:
        """The value with its unit, such as "5 cm"."""
        unit = "%" if self.unit == "%" else f" {self.unit}" if self.unit else ""
        return f"{_format.shortest(self.value, 6)}{unit}"

    def __str__(self) -> str:
        chosen = " (chosen by the outcome)" if self.is_chosen_by_outcome else ""
        return f"{self.study}, {self.factor}: {self.sign} {self.shown}{chosen}"


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

    `is_chosen_by_outcome` is read from levels, notes, source and further columns: it is set by words such as "optimal
    cut-off", "ROC", "Youden", "X-tile" or "minimum p-value". That they are missing does not show that a cut-point was
    fixed beforehand.

    Examples
    --------
    >>> from netsynth.data.endpoint import find_endpoint
    >>> size = ReportedFactor("Lund", "size", find_endpoint("OS"), "> 5 cm", "<= 5 cm", notes="cut-off by ROC")
    >>> print(*cut_points(size), sep="; ")
    Lund, size: > 5 cm (chosen by the outcome); Lund, size: <= 5 cm (chosen by the outcome)
    """
    chosen = bool(_CHOSEN.search(_said(result)))
    return tuple(
        CutPoint(result.study, result.factor, level, *found, chosen)
        for level in (result.adverse_level, result.reference_level)
        if (found := cut_point(level)) is not None
    )


def is_cut_point_chosen(result: ReportedFactor) -> bool:
    """Whether the source says that the cut-point of a result was chosen by the outcome, even if no level names it.

    Examples
    --------
    >>> from netsynth.data.endpoint import find_endpoint
    >>> high = ReportedFactor("Lund", "Ki-67", find_endpoint("OS"), "high", "low", notes="optimal cut-off by X-tile")
    >>> cut_points(high), is_cut_point_chosen(high)
    ((), True)
    """
    said = _said(result)
    found = list(_CHOSEN.finditer(said))
    if any(re.fullmatch(_METHOD, each[0], re.IGNORECASE) for each in found):
        return True
    return bool(found) and (bool(cut_points(result)) or _SPLIT.search(said) is not None)


def _said(result: ReportedFactor) -> str:
    """All words of a result that may tell how its cut-point was found, those of different fields kept apart."""
    columns = [f"{name}: {value}" for name, value in result.extra]
    return "; ".join([result.adverse_level, result.reference_level, result.notes, result.source, *columns])
