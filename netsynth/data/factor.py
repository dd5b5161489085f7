"""Results of prognostic factors as papers print them: often a p-value, sometimes a hazard ratio."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from netsynth import _format, _validate
from netsynth.data._record import Record
from netsynth.data.endpoint import Endpoint
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.study import Group
from netsynth.errors import InvalidInputError

__all__ = [
    "ANALYSES",
    "DIRECTIONS",
    "SIGNIFICANCES",
    "Analysis",
    "Direction",
    "ReportedFactor",
    "Significance",
    "zero_problem",
]

Analysis = Literal["univariable", "multivariable", "matched", "pooled", "not stated"]
Direction = Literal["worse", "better", "none", "not stated"]
Significance = Literal["yes", "no", "not tested", "not stated"]
ANALYSES: Final[tuple[Analysis, ...]] = ("univariable", "multivariable", "matched", "pooled", "not stated")
DIRECTIONS: Final[tuple[Direction, ...]] = ("worse", "better", "none", "not stated")
SIGNIFICANCES: Final[tuple[Significance, ...]] = ("yes", "no", "not tested", "not stated")
#: Level at which a result that is called significant, or not, is taken to be judged.
ALPHA: Final = 0.05


def zero_problem(number: ReportedNumber) -> str:
    """What is wrong with a p-value or a hazard ratio of 0, which no study has; empty when it is none.

    Examples
    --------
    >>> zero_problem(ReportedNumber("0", "pvalue"))
    "a p-value is never 0; give it as it is printed, such as '0.000' or '<0.001' (a spreadsheet turns 0.000 into 0)"
    >>> zero_problem(ReportedNumber("0.000", "pvalue"))
    ''
    """
    is_below = number.qualifier in ("<", "<=")
    if number.value != 0.0 or not (is_below or (number.is_exact and number.decimals < 1)):
        return ""
    name, digits, bound = (
        ("p-value", "0.000", "<0.001") if number.unit == "pvalue" else ("hazard ratio", "0.00", "<0.01")
    )
    return (
        f"a {name} is never 0; give it as it is printed, such as '{digits}' or '{bound}' (a spreadsheet turns {digits} "
        "into 0)"
    )


@dataclass(frozen=True, slots=True)
class ReportedFactor(Record):
    """What one study says of one prognostic factor and one endpoint.

    Parameters
    ----------
    study : str
        Id of the study.
    factor : str
        The factor in the paper's words.
    endpoint : Endpoint
        The outcome.
    adverse_level, reference_level : str
        The level said or thought to do worse, and what it is compared with; empty when not stated. A factor per unit,
        such as "per 1 year", has no reference level. Whether an empty one of a factor of groups means the rest of the
        patients or some of them nobody can tell.
    analysis : {"univariable", "multivariable", "matched", "pooled", "not stated"}
        "pooled" marks the result of another meta-analysis, which is no study's own.
    hazard_ratio : ReportedNumber or None
        As printed, for `hazard_ratio_for` against the other level; "0.00" is a ratio below 0.005.
    ci : ReportedInterval or None
        Confidence interval of `hazard_ratio`.
    hazard_ratio_for : str
        The level the printed ratio speaks of; empty means the adverse level.
    pvalue : ReportedNumber or None
        Unit "pvalue"; a bound keeps its qualifier, and "0.000" is one, below 0.0005.
    direction : {"worse", "better", "none", "not stated"}
        How the adverse level fares, as the source puts it; see `shown_direction`.
    significance : {"yes", "no", "not tested", "not stated"}
        As the source puts it.
    adjusted_for : tuple of str
        Covariates of a multivariable model.
    group : Group
        The patients analysed.
    source, row_id, notes : str
        Where the result stands.
    extra : tuple of (str, str)
        Further columns as they were given.
    n_events : int or None
        Events among the patients analysed, of all levels; the sum of `events_by_level` where these are given.
    events_by_level, n_by_level : tuple of (int, int) or None
        Events and patients of the adverse and of the reference level.

    Raises
    ------
    InvalidInputError
        If a hazard ratio or a p-value has another unit or is 0 without decimals, its interval does not contain it, it
        speaks of a level that is neither the adverse nor the reference level, both levels are the same, a word is
        outside its vocabulary, or events and patients are no whole numbers or contradict each other.

    Examples
    --------
    A ratio printed for the better level is turned round when it is used:

    >>> from netsynth.data.endpoint import find_endpoint
    >>> extent = ReportedFactor(
    ...     "Xiang 2020", "extent of resection", find_endpoint("RFS"), "parenchymal-sparing", "major",
    ...     "multivariable", hazard_ratio=ReportedNumber("0.3", "ratio"), hazard_ratio_for="major",
    ... )
    >>> round(math.exp(extent.log_hr), 2)
    3.33
    """

    study: str
    factor: str
    endpoint: Endpoint
    adverse_level: str = ""
    reference_level: str = ""
    analysis: Analysis = "not stated"
    hazard_ratio: ReportedNumber | None = None
    ci: ReportedInterval | None = None
    hazard_ratio_for: str = ""
    pvalue: ReportedNumber | None = None
    direction: Direction = "not stated"
    significance: Significance = "not stated"
    adjusted_for: tuple[str, ...] = ()
    group: Group = Group()  # noqa: RUF009  # frozen, so one default may serve all
    source: str = ""
    row_id: str = ""
    notes: str = ""
    extra: tuple[tuple[str, str], ...] = ()
    n_events: int | None = None
    events_by_level: tuple[int, int] | None = None
    n_by_level: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        where = f"{_validate.text(self.study, 'study')}, {_validate.text(self.factor, 'factor')}"
        self._check_counts(where)
        self._freeze("adjusted_for", "extra", where=where)
        _validate.choice(self.analysis, "analysis", ANALYSES, where=where)
        _validate.choice(self.direction, "direction", DIRECTIONS, where=where)
        _validate.choice(self.significance, "significance", SIGNIFICANCES, where=where)
        levels = (self.adverse_level, self.reference_level)
        adverse, reference = (" ".join(level.split()).casefold() for level in levels)
        if adverse and adverse == reference:
            raise InvalidInputError(
                f"{where}: both levels are {levels[0]!r}, which compares nothing. Give two levels, and leave empty "
                "what is not stated."
            )
        if self.hazard_ratio_for and self.hazard_ratio_for not in levels:
            raise InvalidInputError(
                f"{where}: the hazard ratio is for {self.hazard_ratio_for!r}, which is neither the adverse level "
                f"{levels[0]!r} nor the reference level {levels[1]!r}."
            )
        if self.hazard_ratio is None:
            if self.ci is not None:
                raise InvalidInputError(f"{where}: a confidence interval without its hazard ratio.")
        else:
            if self.hazard_ratio.unit != "ratio" or not self.hazard_ratio.text:
                raise InvalidInputError(
                    f"{where}: a hazard ratio is a number with the unit 'ratio'; got {self.hazard_ratio}."
                )
            if problem := zero_problem(self.hazard_ratio):
                raise InvalidInputError(f"{where}: {problem}.")
            for end in () if self.ci is None else (self.ci.lower, self.ci.upper):
                if end is not None and end.unit != "ratio":
                    raise InvalidInputError(f"{where}: the limits of a hazard ratio are ratios; got {end}.")
            if self.ci is not None and not self.ci.may_contain(self.hazard_ratio):
                raise InvalidInputError(
                    f"{where}: the confidence interval {self.ci} does not contain the hazard ratio "
                    f"{self.hazard_ratio}. Check the transcription."
                )
        if self.pvalue is not None and (self.pvalue.unit != "pvalue" or not self.pvalue.text):
            raise InvalidInputError(
                f"{where}: a p-value is a number with the unit 'pvalue'; got {self.pvalue} {self.pvalue.unit!r}."
            )
        if self.pvalue is not None and (problem := zero_problem(self.pvalue)):
            raise InvalidInputError(f"{where}: {problem}.")

    def _check_counts(self, where: str) -> None:
        """Whole numbers that can stand together."""
        for name in ("events_by_level", "n_by_level"):
            pair = getattr(self, name)
            if pair is None:
                continue
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise InvalidInputError(
                    f"{where}: {name} must be two whole numbers, of the adverse and of the reference level; got "
                    f"{pair!r}."
                )
            object.__setattr__(self, name, tuple(_validate.count(n, name, where=where) for n in pair))
        if self.n_events is not None:
            object.__setattr__(self, "n_events", _validate.count(self.n_events, "n_events", where=where))
        events, patients, total = self.events_by_level, self.n_by_level, self.n_events
        if events is not None:
            if total is None:
                object.__setattr__(self, "n_events", sum(events))
            elif total != sum(events):
                raise InvalidInputError(
                    f"{where}: {events[0]} and {events[1]} events are not {total} in all. Check the three numbers."
                )
            if patients is not None and (events[0] > patients[0] or events[1] > patients[1]):
                raise InvalidInputError(
                    f"{where}: {events[0]} and {events[1]} events among {patients[0]} and {patients[1]} patients. "
                    "Check the numbers of each level."
                )
        most = [n for n in (self.group.n_total, None if patients is None else sum(patients)) if n is not None]
        if most and self.n_events is not None and self.n_events > min(most):
            raise InvalidInputError(
                f"{where}: {self.n_events} events among {min(most)} patients. Check both numbers."
            )

    @property
    def is_inverted(self) -> bool:
        """Whether the printed ratio speaks of the reference level."""
        return bool(self.hazard_ratio_for) and self.hazard_ratio_for != self.adverse_level

    @property
    def log_hr(self) -> float:
        """Logarithm of the hazard ratio of the adverse against the reference level; nan without a ratio."""
        if self.hazard_ratio is None or self.hazard_ratio.value <= 0:
            return math.nan
        return math.log(self.hazard_ratio.value) * (-1 if self.is_inverted else 1)

    @property
    def log_ci(self) -> tuple[float, float]:
        """Confidence limits on the scale of `log_hr`, sorted; nan where a limit is missing or zero."""
        ends = (None, None) if self.ci is None else (self.ci.lower, self.ci.upper)
        low, high = (math.log(x.value) if x is not None and x.value > 0 else math.nan for x in ends)
        return (-high, -low) if self.is_inverted else (low, high)

    @property
    def ratio_side(self) -> int:
        """1 if the ratio is above 1 for the adverse level whatever was rounded, -1 if below, 0 if it may be either.

        A ratio that rounds to 1 is on the side of printed limits that exclude 1.
        """
        ratio = self.hazard_ratio
        if ratio is None:
            return 0
        low, high = ratio.interval
        above = low > 1 or (ratio.qualifier == ">" and low == 1)
        below = high < 1 or (ratio.qualifier == "<" and high == 1)
        if ratio.is_exact and low < 1 < high and self.ci is not None:
            above = self.ci.lower is not None and self.ci.lower.interval.lower > 1
            below = self.ci.upper is not None and self.ci.upper.interval.upper < 1
        return (above - below) * (-1 if self.is_inverted else 1)

    @property
    def ratio_direction(self) -> Direction:
        """How the adverse level fares by the hazard ratio; "not stated" without one, or if it leaves that open.

        A bound may leave it open. So does a ratio that rounds to 1, with limits that do not exclude 1, where the source
        states a side; where it states none, such a ratio tells of no difference.

        Examples
        --------
        >>> from netsynth.data.endpoint import find_endpoint
        >>> os = find_endpoint("OS")
        >>> [
        ...     ReportedFactor("Xiang", "grade", os, hazard_ratio=ReportedNumber(*printed)).ratio_direction
        ...     for printed in (("1.85", "ratio"), ("0.00", "ratio"), ("2.0", "ratio", "<"))
        ... ]
        ['worse', 'better', 'not stated']
        """
        ratio = self.hazard_ratio
        if ratio is None:
            return "not stated"
        if ratio.is_exact and ratio.value > 0:
            side = (self.log_hr > 0) - (self.log_hr < 0) or self.ratio_side
            if side == 0 and self.direction not in ("worse", "better"):
                return "none"
        else:
            side = self.ratio_side
        return "worse" if side > 0 else "better" if side < 0 else "not stated"

    @property
    def shown_direction(self) -> Direction:
        """How the adverse level fares: by the hazard ratio where it tells, else as the source puts it."""
        by_ratio = self.ratio_direction
        return self.direction if by_ratio == "not stated" else by_ratio

    @property
    def direction_problem(self) -> str:
        """How the direction in words contradicts the hazard ratio; empty when it does not."""
        said = {"worse": 1, "better": -1}.get(self.direction, 0)
        if self.hazard_ratio is None or self.hazard_ratio.qualifier == "~" or said * self.ratio_side >= 0:
            return ""
        adverse = self.adverse_level or "the adverse level"
        by_limits = f" ({self.ci})" if self.log_hr == 0 else ""
        return (
            f"{adverse} is said to do {self.direction}, yet the ratio for {self.hazard_ratio_for or adverse} is "
            f"{self.hazard_ratio}{by_limits}"
        )

    @property
    def significance_problem(self) -> str:
        """How what is called significant or not contradicts p-value or interval, at 0.05; empty when it does not."""
        ratio, ci, p = self.hazard_ratio, self.ci, self.pvalue
        includes = excludes = False
        shown = []
        low, high = (None, None) if ci is None else (ci.lower, ci.upper)
        if low is not None and high is not None and low.qualifier == high.qualifier == "=":
            level = (ci.level if ci is not None else None) or 0.95
            shown.append(f"HR {ratio} ({level:.0%} CI {ci})")
            if abs(level - (1.0 - ALPHA)) < 1e-9:
                includes = low.interval.upper < 1 < high.interval.lower
                excludes = low.interval.lower > 1 or high.interval.upper < 1
        if p is not None:
            shown.append(f"p {p.bare.removesuffix(p.text) or '='} {p.text}")
            if p.qualifier != "~":
                least, most = p.interval
                includes = includes or least > ALPHA or (p.qualifier == ">" and least >= ALPHA)
                excludes = excludes or most < ALPHA or (p.qualifier == "<" and most <= ALPHA)
        wrong = {"yes": includes, "no": excludes}.get(self.significance, False)
        word = "significant" if self.significance == "yes" else "not significant"
        return f"said to be {word}, with {_format.listing(shown)}" if wrong else ""

    @property
    def contradictions(self) -> tuple[str, ...]:
        """What the record says that cannot all be right, in words: direction and significance against the numbers.

        Examples
        --------
        >>> from netsynth.data.endpoint import find_endpoint
        >>> found = ReportedFactor(
        ...     "Xiang", "grade", find_endpoint("OS"), "G3", "G1/2", direction="better", significance="yes",
        ...     hazard_ratio=ReportedNumber("2.0", "ratio"), pvalue=ReportedNumber("0.4", "pvalue"),
        ... )
        >>> found.contradictions
        ('G3 is said to do better, yet the ratio for G3 is 2.0', 'said to be significant, with p = 0.4')
        """
        return tuple(text for text in (self.direction_problem, self.significance_problem) if text)

    def __str__(self) -> str:
        levels = " vs ".join(level for level in (self.adverse_level, self.reference_level) if level)
        parts = [
            f"{self.study}, {self.factor}{f' ({levels})' if levels else ''}, {self.endpoint}, {self.analysis}"
        ]
        if self.hazard_ratio is not None:
            ci = f" ({self.ci.level or 0.95:.0%} CI {self.ci})" if self.ci is not None else ""
            level = f" for {self.hazard_ratio_for}" if self.hazard_ratio_for else ""
            parts.append(f"HR {self.hazard_ratio}{ci}{level}")
        if self.pvalue is not None:
            sign = self.pvalue.bare.removesuffix(self.pvalue.text) or "="
            parts.append(f"p {sign} {self.pvalue.text}")
        if self.significance != "not stated":
            parts.append(f"significant: {self.significance}")
        if self.events_by_level is not None:
            parts.append("{} and {} events".format(*self.events_by_level))
        elif self.n_events is not None:
            parts.append(_format.plural(self.n_events, "event"))
        return ": ".join((parts[0], _format.EN_DASH if len(parts) == 1 else "; ".join(parts[1:])))
