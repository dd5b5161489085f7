"""A number as a paper prints it: its digits, unit and qualifier, and so the interval it may stand for."""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass
from typing import Final, Literal, Self, TypeAlias

import numpy as np

from netsynth import _format, _validate, units
from netsynth._typing import Interval
from netsynth.data._record import Record
from netsynth.errors import InvalidInputError

__all__ = ["NumberLike", "Qualifier", "ReportedInterval", "ReportedNumber"]

Qualifier = Literal["=", "<", "<=", ">", ">=", "~", "not reached"]
QUALIFIERS: Final[tuple[Qualifier, ...]] = ("=", "<", "<=", ">", ">=", "~", "not reached")

_DIGITS: Final = re.compile(r"-?\d+(?:\.(\d+))?(?:[eE](-?\d{1,2}))?", re.ASCII)
#: Natural limits of a unit, in that unit; a unit that is not named here has none.
_LIMITS: Final = {
    "percent": Interval(0.0, 100.0),
    "probability": Interval(0.0, 1.0),
    "pvalue": Interval(0.0, 1.0),
    "ratio": Interval(0.0, math.inf),
    "count": Interval(0.0, math.inf),
    **dict.fromkeys(units.MONTHS_PER, Interval(0.0, math.inf)),
}


@dataclass(frozen=True, slots=True)
class ReportedNumber(Record):
    """One number as printed.

    The digits are kept as text because trailing zeros carry information: a printed 83 stands for
    [82.5, 83.5), a printed 83.0 for [82.95, 83.05).

    Parameters
    ----------
    text : str
        The digits with a point as decimal mark; empty when `qualifier` is "not reached".
    unit : str
        "percent", "probability", "month", "year", "week", "day", "ratio", "count", "pvalue", another
        unit in words, or empty when the paper states none. Other spellings ("%", "yrs") become these.
    qualifier : {"=", "<", "<=", ">", ">=", "~", "not reached"}
        ``>96 months`` and ``p < 0.05`` are open ends; "~" is about; "not reached" has no value.

    Raises
    ------
    InvalidInputError
        If the digits are not a number, lie outside what the unit allows, or the qualifier is unknown.

    Examples
    --------
    >>> ReportedNumber("83", "percent").interval
    Interval(lower=82.5, upper=83.5)
    >>> print(ReportedNumber("96", "month", ">"), ReportedNumber("", "month", "not reached"), sep="; ")
    >96 months; not reached
    """

    text: str
    unit: str = ""
    qualifier: Qualifier = "="

    def __post_init__(self) -> None:
        _validate.choice(self.qualifier, "qualifier", QUALIFIERS, where=f"number {self.text!r}")
        if not isinstance(self.unit, str):
            raise InvalidInputError(f"number {self.text!r}: unit must be a text; got {self.unit!r}.")
        if self.unit not in _LIMITS:
            object.__setattr__(self, "unit", units.canonical(self.unit))
        if self.qualifier == "not reached":
            if self.text:
                raise InvalidInputError(f"A value that was not reached has no digits; got {self.text!r}.")
            return
        written = isinstance(self.text, str) and _DIGITS.fullmatch(self.text)
        if not written or not math.isfinite(self.value):
            raise InvalidInputError(f"A number is written as digits such as '70.5'; got {self.text!r:.60}.")
        limits = _LIMITS.get(self.unit)
        if limits is not None and not limits.lower <= self.value <= limits.upper:
            raise InvalidInputError(
                f"{self.text} is no {self.unit}: it must lie in "
                f"[{limits.lower:g}, {limits.upper:g}]. Check the number and its unit."
            )

    @classmethod
    def of(cls, value: NumberLike, unit: str = "", qualifier: Qualifier = "=") -> Self:
        """Number from what a caller has at hand; give text to keep trailing zeros.

        Examples
        --------
        >>> ReportedNumber.of(70.5, "percent"), ReportedNumber.of("70.50", "percent").decimals
        (ReportedNumber(text='70.5', unit='percent', qualifier='='), 2)
        """
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            return cls(value.strip(), unit, qualifier)
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            raise InvalidInputError(f"A number must be given as text or number; got {value!r}.")
        if not math.isfinite(value):
            raise InvalidInputError(
                f"A reported number must be finite; got {value}. Leave a missing one out."
            )
        return cls(np.format_float_positional(value, trim="-"), unit, qualifier)

    @property
    def value(self) -> float:
        """The printed value in its printed unit; nan when not reached."""
        return float(self.text) if self.text else math.nan

    @property
    def decimals(self) -> int:
        """Digits after the decimal point; negative for a number printed with an exponent above."""
        found = _DIGITS.fullmatch(self.text)
        if found is None:
            return 0
        return len(found[1] or "") - int(found[2] or 0)

    @property
    def is_exact(self) -> bool:
        """Whether the number is a value (printed with "=" or "~"), not an open end."""
        return self.qualifier in ("=", "~")

    @property
    def interval(self) -> Interval:
        """Values the print may stand for, in its unit: half open for rounding, infinite for an open end."""
        return _interval(self)

    @property
    def months(self) -> float:
        """The value in months; nan when not reached."""
        return self._converted(self.value, units.months)

    @property
    def months_interval(self) -> Interval:
        """`interval` in months."""
        low, high = self.interval
        return Interval(self._converted(low, units.months), self._converted(high, units.months))

    @property
    def probability(self) -> float:
        """The value as a probability."""
        return self._converted(self.value, units.probability)

    @property
    def probability_interval(self) -> Interval:
        """`interval` as probabilities."""
        low, high = self.interval
        return Interval(self._converted(low, units.probability), self._converted(high, units.probability))

    def _converted(self, value: float, convert: units.Conversion) -> float:
        if not self.unit:
            raise InvalidInputError(f"{self.text} has no unit in the paper, so it cannot be converted.")
        return convert(value, self.unit)

    @property
    def bare(self) -> str:
        """The number as printed, without its unit: "83", ">96", "not reached"."""
        if self.qualifier == "not reached":
            return self.qualifier
        sign = "" if self.qualifier == "=" else {"<=": "≤", ">=": "≥"}.get(self.qualifier, self.qualifier)
        return f"{sign}{self.text}"

    def __str__(self) -> str:
        return f"{self.bare}{_format.unit_suffix(self.unit, self.text)}" if self.text else self.bare


@functools.lru_cache(maxsize=65536)  # a large file holds few different numbers, each asked often
def _interval(number: ReportedNumber) -> Interval:
    limits = _LIMITS.get(number.unit, Interval(-math.inf, math.inf))
    if number.qualifier == "not reached":
        return limits
    if number.qualifier in ("<", "<="):
        return Interval(limits.lower, number.value)
    if number.qualifier in (">", ">="):
        return Interval(number.value, limits.upper)
    if number.unit == "count":
        return Interval(number.value, number.value)
    decimals = number.decimals
    half = 0.5 * 10.0**-decimals
    # decimal digits are rounded to the nearest float, so that 70.5 - 0.05 is 70.45 and not 70.4500...1
    ends = (round(number.value - half, decimals + 2), round(number.value + half, decimals + 2))
    return Interval(max(ends[0], limits.lower), min(ends[1], limits.upper))


@dataclass(frozen=True, slots=True)
class ReportedInterval(Record):
    """Two printed limits: a confidence interval, a range, or an interquartile range.

    Either end may be missing (None) when the paper prints only the other, or "not reached".

    Parameters
    ----------
    lower, upper : ReportedNumber or None
        The limits, in one unit.
    level : float or None
        Confidence level as a fraction; None for a range or interquartile range.

    Raises
    ------
    InvalidInputError
        If both ends are missing, the units differ, or the lower limit exceeds the upper.
    """

    lower: ReportedNumber | None
    upper: ReportedNumber | None
    level: float | None = None

    def __post_init__(self) -> None:
        if self.level is not None:
            _validate.level(self.level)
        if self.lower is None and self.upper is None:
            raise InvalidInputError("An interval needs at least one printed limit.")
        if self.lower is not None and self.upper is not None:
            if self.lower.unit != self.upper.unit:
                raise InvalidInputError(
                    f"Both limits of an interval need one unit; got {self.lower.unit!r}, {self.upper.unit!r}."
                )
            if self.lower.value > self.upper.value:
                raise InvalidInputError(
                    f"The lower limit {self.lower} exceeds the upper limit {self.upper}. Swapped?"
                )

    @classmethod
    def of(
        cls, lower: NumberLike | None, upper: NumberLike | None, unit: str = "", level: float | None = None
    ) -> Self:
        """Interval from two numbers or texts in one unit; None for an end that is not printed."""
        return cls(
            None if lower is None else ReportedNumber.of(lower, unit),
            None if upper is None else ReportedNumber.of(upper, unit),
            level,
        )

    @classmethod
    def maybe(
        cls, lower: NumberLike | None, upper: NumberLike | None, unit: str = "", level: float | None = None
    ) -> Self | None:
        """As `of`, but None when neither limit is printed."""
        return None if lower is None and upper is None else cls.of(lower, upper, unit, level)

    def may_contain(self, number: ReportedNumber) -> bool:
        """Whether, within rounding, `number` can lie between the limits."""
        lower, upper = self.lower, self.upper
        if lower is not None and lower.is_exact and _certainly_below(number, lower):
            return False
        return not (upper is not None and upper.is_exact and _certainly_below(upper, number))

    def __str__(self) -> str:
        low, high = ("?" if x is None else x.bare if x.text else "NR" for x in (self.lower, self.upper))
        last = next((x for x in (self.upper, self.lower) if x is not None and x.text), None)
        return _format.span(low, high, _format.unit_suffix(last.unit, last.text) if last else "")


def _certainly_below(one: ReportedNumber, other: ReportedNumber) -> bool:
    """Whether no rounding can make `one` reach `other`; the upper end of an interval is not part of it."""
    return one.value < other.value and one.interval.upper <= other.interval.lower


NumberLike: TypeAlias = str | int | float | ReportedNumber
