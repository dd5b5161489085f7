"""Continuous characteristics of patients: age, tumour size, follow-up."""

from __future__ import annotations

from dataclasses import dataclass

from netsynth import _validate
from netsynth.data._record import Record
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.study import Group
from netsynth.errors import InvalidInputError

__all__ = ["ReportedCharacteristic"]


@dataclass(frozen=True, slots=True)
class ReportedCharacteristic(Record):
    """A continuous characteristic of a group, summarised as the paper does.

    Parameters
    ----------
    study : str
        Id of the study.
    name : str
        The characteristic, such as "age".
    median, mean, sd : ReportedNumber or None
        In one unit, which all the numbers share.
    range, iqr : ReportedInterval or None
        Smallest and largest value; first and third quartile.
    group : Group
        The patients.
    source, row_id, notes : str
        Where the figures stand.
    extra : tuple of (str, str)
        Further columns as they were given.

    Raises
    ------
    InvalidInputError
        If nothing is given, units differ, the standard deviation is negative, the median or mean lies
        outside the range, or the interquartile range outside the range.

    Examples
    --------
    >>> from netsynth.data.number import ReportedInterval, ReportedNumber
    >>> age = ReportedCharacteristic(
    ...     "Hibi 2007", "age", median=ReportedNumber("55", "year"), range=ReportedInterval.of(31, 79, "year")
    ... )
    >>> print(age)
    Hibi 2007, age, overall: median 55 years; range, 31–79 years
    """

    study: str
    name: str
    median: ReportedNumber | None = None
    mean: ReportedNumber | None = None
    sd: ReportedNumber | None = None
    range: ReportedInterval | None = None
    iqr: ReportedInterval | None = None
    group: Group = Group()  # noqa: RUF009  # frozen, so one default may serve all
    source: str = ""
    row_id: str = ""
    notes: str = ""
    extra: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        where = f"{_validate.text(self.study, 'study')}, {_validate.text(self.name, 'characteristic')}"
        self._freeze("extra", where=where)
        numbers = [number for number in (self.median, self.mean, self.sd) if number is not None]
        limits = [
            end
            for pair in (self.range, self.iqr)
            if pair
            for end in (pair.lower, pair.upper)
            if end is not None
        ]
        if not numbers and not limits:
            raise InvalidInputError(f"{where}: give at least one number.")
        found = {number.unit for number in (*numbers, *limits)}
        if len(found) > 1:
            raise InvalidInputError(f"{where}: numbers need one unit; got {', '.join(sorted(found))}.")
        if self.sd is not None and self.sd.value < 0:
            raise InvalidInputError(f"{where}: a standard deviation cannot be negative; got {self.sd}.")
        for inside, number in (("median", self.median), ("mean", self.mean)):
            if number is not None and self.range is not None and not self.range.may_contain(number):
                raise InvalidInputError(
                    f"{where}: the {inside} {number} lies outside the range {self.range}."
                )
        if self.median is not None and self.iqr is not None and not self.iqr.may_contain(self.median):
            raise InvalidInputError(f"{where}: the median {self.median} lies outside the IQR {self.iqr}.")
        if self.range is not None and self.iqr is not None:
            for quartile in (self.iqr.lower, self.iqr.upper):
                if quartile is not None and not self.range.may_contain(quartile):
                    raise InvalidInputError(
                        f"{where}: the quartile {quartile} lies outside the range {self.range}."
                    )

    @property
    def unit(self) -> str:
        """The unit all the numbers share."""
        for number in (self.median, self.mean, self.sd):
            if number is not None:
                return number.unit
        pair = self.range or self.iqr
        end = (pair.lower or pair.upper) if pair else None
        return end.unit if end else ""

    def __str__(self) -> str:
        shown = {"median": self.median, "mean": self.mean, "SD": self.sd}
        parts = [f"{name} {number}" for name, number in shown.items() if number is not None]
        parts += [f"{name}, {pair}" for name, pair in (("range", self.range), ("IQR", self.iqr)) if pair]
        return f"{self.study}, {self.name}, {self.group}: {'; '.join(parts)}"
