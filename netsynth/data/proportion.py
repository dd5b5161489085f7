"""Proportions of patients: events of n, percent of n, or percent alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Self

from netsynth import _validate
from netsynth._typing import Interval
from netsynth.data._record import Record
from netsynth.data.number import NumberLike, ReportedNumber
from netsynth.data.study import Group
from netsynth.errors import InvalidInputError

__all__ = ["ReportedProportion"]


@dataclass(frozen=True, slots=True)
class ReportedProportion(Record):
    """How many patients had an outcome that is not a matter of time, such as relief of symptoms.

    Parameters
    ----------
    study : str
        Id of the study.
    outcome : str
        Short name of the outcome, such as "symptom_relief".
    n_events, n_total : int or None
        Patients with the outcome and patients assessed; None when not printed.
    share : ReportedNumber or None
        Percent or probability as printed; None when only counts are.
    group : Group
        The patients.
    definition : str
        The outcome in the paper's words.
    basis : {"reported", "computed"}
        Whether the source prints the percentage or the extractor computed it from printed counts.
    source, row_id, notes : str
        Where the figure stands.
    extra : tuple of (str, str)
        Further columns as they were given.

    Raises
    ------
    InvalidInputError
        If neither counts nor a share are given, there are more events than patients, or the share
        contradicts the counts by more than rounding.

    Examples
    --------
    >>> print(ReportedProportion.of("Eriksson 2008", "symptom_relief", n_events=12, n_total=17, percent="70.6"))
    Eriksson 2008, symptom_relief, overall: 12/17 (70.6%)
    """

    study: str
    outcome: str
    n_events: int | None = None
    n_total: int | None = None
    share: ReportedNumber | None = None
    group: Group = Group()  # noqa: RUF009  # frozen, so one default may serve all
    definition: str = ""
    basis: Literal["reported", "computed"] = "reported"
    source: str = ""
    row_id: str = ""
    notes: str = ""
    extra: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        where = f"{_validate.text(self.study, 'study')}, {_validate.text(self.outcome, 'outcome')}"
        _validate.choice(self.basis, "basis", ("reported", "computed"), where=where)
        self._freeze("extra", where=where)
        for name, least in (("n_events", 0), ("n_total", 1)):
            if (n := getattr(self, name)) is not None:
                object.__setattr__(self, name, _validate.count(n, name, where=where, minimum=least))
        if self.share is None and not self.has_counts:
            raise InvalidInputError(f"{where}: give a percentage, or events and patients.")
        if self.share is not None and self.share.unit not in ("percent", "probability"):
            raise InvalidInputError(f"{where}: a share is a percent or probability; got {self.share.unit!r}.")
        if self.share is not None and not self.share.text:
            raise InvalidInputError(f"{where}: a proportion cannot be 'not reached'. Leave the record out.")
        if self.n_events is not None and self.n_total is not None:
            if self.n_events > self.n_total:
                raise InvalidInputError(
                    f"{where}: {self.n_events} events in {self.n_total} patients. Events cannot exceed patients."
                )
            # one unit of the last digit: papers truncate as often as they round (26/31 printed as 84 or 83)
            if self.share is not None and self.share.is_exact:
                low, high = self.share.probability_interval
                slack = (high - low) / 2
                if not low - slack <= self.n_events / self.n_total <= high + slack:
                    raise InvalidInputError(
                        f"{where}: {self.n_events}/{self.n_total} is {self.n_events / self.n_total:.1%}, not "
                        f"{self.share}. Check the counts and the percentage."
                    )

    @classmethod
    def of(
        cls,
        study: str,
        outcome: str,
        *,
        n_events: int | None = None,
        n_total: int | None = None,
        percent: NumberLike | None = None,
        group: Group | None = None,
    ) -> Self:
        """Proportion from plain numbers."""
        share = None if percent is None else ReportedNumber.of(percent, "percent")
        return cls(study, outcome, n_events, n_total, share, group or Group())

    @property
    def has_counts(self) -> bool:
        """Whether both events and patients are printed."""
        return self.n_events is not None and self.n_total is not None

    @property
    def probability(self) -> float:
        """The proportion: events over patients where both are printed, else the printed share."""
        if self.n_events is not None and self.n_total is not None:
            return self.n_events / self.n_total
        return math.nan if self.share is None else self.share.probability

    @property
    def interval(self) -> Interval:
        """Proportions the print may stand for: a point when counts are printed, else the rounding interval."""
        if self.has_counts or self.share is None:
            return Interval(self.probability, self.probability)
        return self.share.probability_interval

    @property
    def possible_events(self) -> tuple[int, ...]:
        """Numbers of events that would print as this; empty when the number of patients is not known.

        Examples
        --------
        >>> ReportedProportion.of("Que 1995", "mortality", n_total=74, percent="2.7").possible_events
        (2,)
        """
        if self.n_events is not None:
            return (self.n_events,)
        if self.n_total is None:
            return ()
        low, high = self.interval
        return tuple(x for x in range(self.n_total + 1) if low <= x / self.n_total <= high)

    def __str__(self) -> str:
        share = "" if self.share is None else str(self.share)
        if self.n_events is not None and self.n_total is not None:
            counts = f"{self.n_events}/{self.n_total}"
            share = f"{counts} ({share})" if share else counts
        return f"{self.study}, {self.outcome}, {self.group}: {share}"
