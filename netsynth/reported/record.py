"""One result as a paper prints it: an estimate with everything that stands beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from netsynth import _validate
from netsynth.data._record import Record
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.errors import InvalidInputError
from netsynth.reported.formatter import format_reported
from netsynth.reported.grammar import unit_name

__all__ = ["RatioMeasure", "ReportedText", "Statistic"]

RatioMeasure = Literal["", "HR", "OR", "RR"]
Statistic = Literal["", "median", "mean"]

_NUMBERS: Final = ("estimate", "plus_minus", "sd", "se")
_INTERVALS: Final = ("ci", "range", "iqr", "limits")
_COUNTS: Final = ("n_events", "n_total", "k")
#: Printed digits are exact decimals; this only absorbs the binary rounding of 100 * events / total.
_SLACK: Final = 1e-9


@dataclass(frozen=True, slots=True)
class ReportedText(Record):
    """One result as printed, such as "HR 1.85 (95% CI, 1.20–2.85; p = 0.005)".

    All numbers except the p-value and the counts share one unit.

    Parameters
    ----------
    estimate : ReportedNumber or None
        The value itself.
    measure : {"", "HR", "OR", "RR"}
        The ratio that the estimate is; its unit is then "ratio".
    statistic : {"", "median", "mean"}
        What the text calls the estimate.
    plus_minus : ReportedNumber or None
        The number after "±" when the text does not say whether it is a standard deviation or an error.
    sd, se : ReportedNumber or None
        Standard deviation, standard error.
    ci : ReportedInterval or None
        Confidence interval; its `level` is None when the text prints none.
    range, iqr : ReportedInterval or None
        Range, interquartile range.
    limits : ReportedInterval or None
        Two limits in brackets of which the text does not say what they are.
    pvalue : ReportedNumber or None
        In unit "pvalue".
    n_events, n_total : int or None
        "12/17"; `n_total` alone for "n = 17".
    k : int or None
        Number of studies.

    Raises
    ------
    InvalidInputError
        If nothing is given, units differ, a count is impossible, or a field stands without what it describes.

    Examples
    --------
    >>> hr = ReportedText(ReportedNumber("1.85", "ratio"), "HR", pvalue=ReportedNumber("0.005", "pvalue"))
    >>> print(hr)
    HR 1.85 (p = 0.005)
    >>> hr.to_dict()["pvalue"]
    {'text': '0.005', 'unit': 'pvalue'}
    """

    estimate: ReportedNumber | None = None
    measure: RatioMeasure = ""
    statistic: Statistic = ""
    plus_minus: ReportedNumber | None = None
    sd: ReportedNumber | None = None
    se: ReportedNumber | None = None
    ci: ReportedInterval | None = None
    range: ReportedInterval | None = None
    iqr: ReportedInterval | None = None
    limits: ReportedInterval | None = None
    pvalue: ReportedNumber | None = None
    n_events: int | None = None
    n_total: int | None = None
    k: int | None = None

    def __post_init__(self) -> None:
        _validate.choice(self.measure, "measure", ("", "HR", "OR", "RR"))
        _validate.choice(self.statistic, "statistic", ("", "median", "mean"))
        if all(getattr(self, name) is None for name in (*_NUMBERS, *_INTERVALS, *_COUNTS, "pvalue")):
            raise InvalidInputError("A reported result needs at least one number.")
        if self.estimate is None and (self.measure or self.statistic or self.plus_minus is not None):
            raise InvalidInputError("A measure, a statistic or a ± needs the estimate that it describes.")
        self._check_units()
        self._check_spread()
        self._check_counts()
        if self.pvalue is not None and (self.pvalue.unit != "pvalue" or not self.pvalue.text):
            raise InvalidInputError(
                f"A p-value is a number in the unit 'pvalue'; got {self.pvalue} in {self.pvalue.unit!r}."
            )

    @property
    def unit(self) -> str:
        """The one unit of the estimate and everything that describes it; empty when there is none."""
        return next((number.unit for number in self._numbers()), "")

    @property
    def contradictions(self) -> tuple[str, ...]:
        """What cannot be right together, within rounding: percent against counts, estimate against limits."""
        found = []
        if self.estimate is None:
            return ()
        if self.n_events is not None and self.n_total and self.unit in ("percent", "probability"):
            share = self.n_events / self.n_total * (100 if self.unit == "percent" else 1)
            lower, upper = self.estimate.interval
            if self.estimate.qualifier != "~" and not lower - _SLACK <= share <= upper + _SLACK:
                sign = "%" if self.unit == "percent" else ""
                found.append(
                    f"{self.n_events}/{self.n_total} is {share:.4g}{sign}, but {self.estimate} is printed"
                )
        for name in _INTERVALS:
            pair: ReportedInterval | None = getattr(self, name)
            free = name == "iqr" and self.statistic == "mean"  # a mean may lie outside the middle half
            if pair is not None and not free and not pair.may_contain(self.estimate):
                found.append(f"{self.estimate} lies outside the {_NAMES[name]} {pair}")
        return tuple(found)

    def _numbers(self) -> list[ReportedNumber]:
        pairs = [getattr(self, name) for name in _INTERVALS]
        ends = [end for pair in pairs if pair is not None for end in (pair.lower, pair.upper)]
        return [n for n in (*(getattr(self, name) for name in _NUMBERS), *ends) if n is not None]

    def _check_units(self) -> None:
        found = list(dict.fromkeys(number.unit for number in self._numbers()))
        if len(found) > 1:
            raise InvalidInputError(
                f"One result has one unit; got {found[0]!r} and {found[1]!r}. Convert one of them."
            )
        if self.measure and self.unit != "ratio":
            raise InvalidInputError(f"{self.measure} has the unit 'ratio'; got {self.unit!r}.")
        unit_name(self.unit)  # refuses a unit that could not be read back

    def _check_spread(self) -> None:
        for name in ("plus_minus", "sd", "se"):
            number: ReportedNumber | None = getattr(self, name)
            if number is not None and not number.value >= 0:
                raise InvalidInputError(f"{name} must be a number of at least 0; got {number}.")
        for name in ("range", "iqr", "limits"):
            pair: ReportedInterval | None = getattr(self, name)
            if pair is not None and pair.level is not None:
                raise InvalidInputError(f"Only a confidence interval has a level; {name} has {pair.level:g}.")

    def _check_counts(self) -> None:
        for name, minimum in (("n_events", 0), ("n_total", 1), ("k", 1)):
            if getattr(self, name) is not None:
                count = _validate.count(getattr(self, name), name, minimum=minimum)
                object.__setattr__(self, name, count)
        if self.n_events is not None:
            if self.n_total is None:
                raise InvalidInputError(f"n_events = {self.n_events} needs n_total.")
            if self.n_events > self.n_total:
                raise InvalidInputError(
                    f"n_events must not exceed n_total; got {self.n_events} of {self.n_total}. Swapped?"
                )

    def __str__(self) -> str:
        return format_reported(self)


_NAMES: Final = {
    "ci": "confidence interval",
    "range": "range",
    "iqr": "interquartile range",
    "limits": "limits",
}
