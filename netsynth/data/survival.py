"""Time-to-event outcomes as one report prints them: percentages at landmarks, medians and means."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Self, TypeAlias

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import FloatArray, Interval
from netsynth.data._record import Record
from netsynth.data.endpoint import ENDPOINTS, Endpoint, find_endpoint
from netsynth.data.number import NumberLike, ReportedInterval, ReportedNumber
from netsynth.data.study import Group
from netsynth.errors import InvalidInputError
from netsynth.units import MONTHS_PER

__all__ = ["ReportedSurvival", "ReportedTime", "SurvivalPoint"]

_SHARES = ("percent", "probability")
Limits: TypeAlias = tuple[NumberLike | None, NumberLike | None]


@dataclass(frozen=True, slots=True)
class SurvivalPoint(Record):
    """One reported percentage.

    Parameters
    ----------
    time : ReportedNumber or None
        The landmark with its unit; None when the source does not state it.
    share : ReportedNumber
        Percent or probability.
    ci : ReportedInterval or None
        Confidence interval in the unit of `share`.
    n_at_risk : int or None
        Patients at risk at the landmark.
    source, row_id, notes : str
        Where the figure stands.
    extra : tuple of (str, str)
        Further columns as they were given.

    Raises
    ------
    InvalidInputError
        If a unit is missing or wrong, the time is not positive, the number at risk is not a whole number,
        or the confidence interval cannot contain the share.
    """

    time: ReportedNumber | None
    share: ReportedNumber
    ci: ReportedInterval | None = None
    n_at_risk: int | None = None
    source: str = ""
    row_id: str = ""
    notes: str = ""
    extra: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.time is not None and (self.time.unit not in MONTHS_PER or not self.time.value > 0):
            raise InvalidInputError(
                f"A landmark must be a positive time with a unit; got {self.time.text} {self.time.unit!r}."
            )
        if self.share.unit not in _SHARES or not self.share.is_exact:
            raise InvalidInputError(f"A survival figure must be a percent or probability; got {self.share}.")
        if self.n_at_risk is not None:
            n_at_risk = _validate.count(self.n_at_risk, "n_at_risk", where=f"at {self.time}")
            object.__setattr__(self, "n_at_risk", n_at_risk)
        if self.extra or type(self.extra) is not tuple:
            self._freeze("extra", where=f"{self.share} at {self.time}")
        if self.ci is not None:
            _check_inside(self.share, self.ci, "confidence interval", lambda: f"{self.share} at {self.time}")

    @property
    def months(self) -> float:
        """The landmark in months; infinite when the source does not state it, so that it sorts last."""
        return math.inf if self.time is None else self.time.months

    def __str__(self) -> str:
        ci = f" ({self.ci.level or 0.95:.0%} CI, {self.ci})" if self.ci is not None else ""
        time = "a time not stated" if self.time is None else str(self.time)
        return f"{self.share}{ci} at {time}"


@dataclass(frozen=True, slots=True)
class ReportedSurvival(Record):
    """Survival percentages of one endpoint in one group, as one study reports them.

    Points are kept in order of time; points whose time the source does not state come last and have no
    place in the arrays. Arrays are read-only, shape (m,), with nan where a figure is not printed.

    Parameters
    ----------
    study : str
        Id of the study.
    endpoint : Endpoint
        What is counted; its `kind` says whether the percentages fall or rise.
    points : tuple of SurvivalPoint
        At least one.
    group : Group
        The patients.
    n_events : int or None
        All their events up to the end of follow-up, those after the last landmark included; None when not printed.

    Raises
    ------
    InvalidInputError
        If there is no point, two points share a time, a survival percentage rises (or a cumulative
        incidence falls) by more than rounding allows, more are at risk than the group has or than were at
        risk before, or the events are no whole number or more than the patients.

    Examples
    --------
    >>> os = ReportedSurvival.from_percent(
    ...     "Example", "OS", years=[3, 5, 10], percent=["83", "70.5", "42"], n_total=140
    ... )
    >>> os.landmark_months, os.survival
    (array([ 36.,  60., 120.]), array([0.83 , 0.705, 0.42 ]))
    >>> print(os)
    Example, OS, overall (n = 140): 83% at 3 years, 70.5% at 5 years, 42% at 10 years
    """

    study: str
    endpoint: Endpoint
    points: tuple[SurvivalPoint, ...]
    group: Group = Group()  # noqa: RUF009  # frozen, so one default may serve all
    n_events: int | None = None

    def __post_init__(self) -> None:
        _validate.text(self.study, "study")
        self._freeze("points", where=self._where)
        if not self.points:
            raise InvalidInputError(f"{self._where}: give at least one reported percentage.")
        ordered = tuple(sorted(self.points, key=lambda point: point.months))
        object.__setattr__(self, "points", ordered)
        self._check_times()
        self._check_shares()
        self._check_at_risk()
        self._check_events()

    def _check_times(self) -> None:
        months = [point.months for point in self.timed]
        for (before, earlier), (after, later) in pairwise(zip(self.timed, months, strict=True)):
            if later <= earlier:
                raise InvalidInputError(
                    f"{self._where}: two values at {after.time} ({before.share} and {after.share}). "
                    "Keep one, or give the second its own group."
                )

    def _check_shares(self) -> None:
        falls = self.endpoint.kind == "survival"
        # the point that binds most: 50.0% binds what follows a later 50%, which may be up to 50.5%
        tightest: SurvivalPoint | None = None
        bound, binding = Interval(0.0, 1.0), math.nan
        for point in self.timed:
            span, share = point.share.probability_interval, point.share.probability
            if tightest is not None:
                crossed = span.lower >= bound.upper if falls else span.upper <= bound.lower
                if crossed and share != binding:
                    wrong = "survival cannot rise" if falls else "a cumulative incidence cannot fall"
                    raise InvalidInputError(
                        f"{self._where}: {wrong}; got {point.share} at {point.time} after {tightest.share} at "
                        f"{tightest.time}. Check the transcription."
                    )
                if span.upper > bound.upper if falls else span.lower < bound.lower:
                    continue
            tightest, bound, binding = point, span, share

    def _check_at_risk(self) -> None:
        n_total = self.group.n_total
        before: SurvivalPoint | None = None
        for point in self.timed:
            if point.n_at_risk is None:
                continue
            if n_total is not None and point.n_at_risk > n_total:
                raise InvalidInputError(
                    f"{self._where}: {point.n_at_risk} at risk at {point.time} of {n_total} patients. "
                    "Check both numbers."
                )
            if before is not None and before.n_at_risk is not None and point.n_at_risk > before.n_at_risk:
                raise InvalidInputError(
                    f"{self._where}: the number at risk cannot rise; got {point.n_at_risk} at {point.time} after "
                    f"{before.n_at_risk} at {before.time}. Check the transcription."
                )
            before = point

    def _check_events(self) -> None:
        if self.n_events is None:
            return
        n_events, n_total = _validate.count(self.n_events, "n_events", where=self._where), self.group.n_total
        if n_total is not None and n_events > n_total:
            raise InvalidInputError(
                f"{self._where}: {n_events} events among {n_total} patients. Check both numbers."
            )
        object.__setattr__(self, "n_events", n_events)

    @classmethod
    def from_percent(
        cls,
        study: str,
        endpoint: str | Endpoint = "OS",
        *,
        percent: Sequence[NumberLike],
        years: Sequence[NumberLike] | None = None,
        months: Sequence[NumberLike] | None = None,
        ci_lower: Sequence[NumberLike | None] | None = None,
        ci_upper: Sequence[NumberLike | None] | None = None,
        n_at_risk: Sequence[int | None] | None = None,
        n_total: int | None = None,
        n_events: int | None = None,
        level: float = 0.95,
        group: Group | None = None,
        source: str = "",
    ) -> Self:
        """Take the sentence as the paper wrote it: percentages, and times in years or in months.

        Give percentages as text to keep trailing zeros (``"83.0"``). `n_events` are all events of the patients, up to
        the end of follow-up.

        Raises
        ------
        InvalidInputError
            If not exactly one of `years` and `months` is given, lengths differ, `n_total` is given beside a
            `group`, or as the constructor.
        """
        if (years is None) == (months is None):
            raise InvalidInputError(f"{study}: give the landmarks once, as years= or as months=.")
        if group is not None and n_total is not None:
            raise InvalidInputError(
                f"{study}: give the number of patients once, as n_total= or in the group."
            )
        unit, times = ("year", years) if years is not None else ("month", months)
        lists = {"landmarks": times, "ci_lower": ci_lower, "ci_upper": ci_upper, "n_at_risk": n_at_risk}
        nothing = [None] * len(percent)
        for name, values in lists.items():
            if values is not None and len(values) != len(percent):
                raise InvalidInputError(
                    f"{study}: percent has {len(percent)} values but {name} has {len(values)}."
                )
        columns = (nothing if values is None else values for values in lists.values())
        points = tuple(
            SurvivalPoint(
                ReportedNumber.of(time, unit),
                ReportedNumber.of(share, "percent"),
                ReportedInterval.maybe(low, high, "percent", level),
                at_risk,
                source=source,
            )
            for share, time, low, high, at_risk in zip(percent, *columns, strict=True)
        )
        patients = group or Group(n_total=n_total)
        return cls(study, find_endpoint(endpoint, ENDPOINTS), points, patients, n_events)

    @property
    def _where(self) -> str:
        return f"{self.study}, {self.endpoint}, {self.group.label}"

    @property
    def label(self) -> str:
        """Study, endpoint and group in one line."""
        return self._where if self.group.label != "overall" else f"{self.study}, {self.endpoint}"

    @property
    def timed(self) -> tuple[SurvivalPoint, ...]:
        """Points whose landmark is stated, in order of time."""
        return tuple(point for point in self.points if point.time is not None)

    @property
    def untimed(self) -> tuple[SurvivalPoint, ...]:
        """Points whose landmark the source does not state."""
        return tuple(point for point in self.points if point.time is None)

    @property
    def n_total(self) -> int | None:
        """Patients in the group; None when not printed."""
        return self.group.n_total

    @property
    def landmark_months(self) -> FloatArray:
        """Landmarks in months."""
        return _column([point.months for point in self.timed])

    @property
    def survival(self) -> FloatArray:
        """Survival at the landmarks, as probabilities.

        Raises
        ------
        InvalidInputError
            If the endpoint is a cumulative incidence: its complement is survival only when nothing competes.
        """
        self._refuse_incidence()
        return _column([point.share.probability for point in self.timed])

    @property
    def survival_lower(self) -> FloatArray:
        """Lower ends of what the printed digits may stand for."""
        self._refuse_incidence()
        return _column([point.share.probability_interval.lower for point in self.timed])

    @property
    def survival_upper(self) -> FloatArray:
        """Upper ends of what the printed digits may stand for."""
        self._refuse_incidence()
        return _column([point.share.probability_interval.upper for point in self.timed])

    @property
    def n_at_risk(self) -> FloatArray:
        """Numbers at risk at the landmarks."""
        return _column([math.nan if p.n_at_risk is None else float(p.n_at_risk) for p in self.timed])

    @property
    def ci_lower(self) -> FloatArray:
        """Lower confidence limits, as probabilities."""
        return _column([_limit(p.ci.lower if p.ci else None) for p in self.timed])

    @property
    def ci_upper(self) -> FloatArray:
        """Upper confidence limits, as probabilities."""
        return _column([_limit(p.ci.upper if p.ci else None) for p in self.timed])

    @property
    def ci_level(self) -> float:
        """Level of the printed intervals; 0.95 when none is printed."""
        levels = {p.ci.level for p in self.timed if p.ci is not None and p.ci.level is not None}
        if len(levels) > 1:
            raise InvalidInputError(f"{self._where}: the confidence intervals have different levels.")
        return levels.pop() if levels else 0.95

    def _refuse_incidence(self) -> None:
        if self.endpoint.kind == "incidence":
            raise InvalidInputError(
                f"{self._where}: {self.endpoint.name or self.endpoint.code} is a cumulative incidence, not a "
                "survival. Read `points` instead."
            )

    def __str__(self) -> str:
        events = "" if self.n_events is None else f"; {_format.plural(self.n_events, 'event')} in all"
        return f"{self.study}, {self.endpoint}, {self.group}: {', '.join(map(str, self.points))}{events}"


@dataclass(frozen=True, slots=True)
class ReportedTime(Record):
    """A median or mean of a time-to-event outcome in one group.

    Parameters
    ----------
    study : str
        Id of the study.
    endpoint : Endpoint
        What is counted.
    statistic : {"median", "mean"}
        Which of the two the paper prints.
    value : ReportedNumber
        The time; its qualifier may leave it open (``>96 months``, "not reached"), its unit may be empty
        when the paper states none.
    group : Group
        The patients.
    ci, range, iqr : ReportedInterval or None
        What is printed beside the value, in the unit of the value.
    sd : ReportedNumber or None
        Standard deviation in the unit of the value.
    source, row_id, notes : str
        Where the figure stands.
    extra : tuple of (str, str)
        Further columns as they were given.

    Raises
    ------
    InvalidInputError
        If a unit is not one of time or not that of the value, or the value lies outside its own interval by
        more than rounding.

    Examples
    --------
    >>> pfs = ReportedTime.of("Example", "PFS", 21, "month", range=(13, 46))
    >>> print(pfs)
    Example, PFS, overall: median 21 months (range, 13–46 months)
    """

    study: str
    endpoint: Endpoint
    statistic: Literal["median", "mean"]
    value: ReportedNumber
    group: Group = Group()  # noqa: RUF009  # frozen, so one default may serve all
    ci: ReportedInterval | None = None
    range: ReportedInterval | None = None
    iqr: ReportedInterval | None = None
    sd: ReportedNumber | None = None
    source: str = ""
    row_id: str = ""
    notes: str = ""
    extra: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        where = f"{_validate.text(self.study, 'study')}, {self.statistic} {self.endpoint}"
        _validate.choice(self.statistic, "statistic", ("median", "mean"), where=where)
        if self.value.unit and self.value.unit not in MONTHS_PER:
            raise InvalidInputError(f"{where}: a time needs a unit of time; got {self.value.unit!r}.")
        self._freeze("extra", where=where)
        if self.sd is not None and (self.sd.unit != self.value.unit or self.sd.value < 0):
            raise InvalidInputError(
                f"{where}: a standard deviation is a length of time in the unit of the value; got {self.sd}."
            )
        for name in ("ci", "range", "iqr"):
            _check_inside(self.value, getattr(self, name), _NAMES[name], lambda: f"{where} of {self.value}")

    @classmethod
    def of(
        cls,
        study: str,
        endpoint: str | Endpoint,
        value: NumberLike,
        unit: str = "month",
        *,
        statistic: Literal["median", "mean"] = "median",
        ci: Limits = (None, None),
        range: Limits = (None, None),  # noqa: A002  # the field's term
        iqr: Limits = (None, None),
        level: float = 0.95,
        group: Group | None = None,
    ) -> Self:
        """Time from plain numbers in one unit."""
        return cls(
            study,
            find_endpoint(endpoint),
            statistic,
            ReportedNumber.of(value, unit),
            group or Group(),
            ReportedInterval.maybe(*ci, unit, level),
            ReportedInterval.maybe(*range, unit),
            ReportedInterval.maybe(*iqr, unit),
        )

    def __str__(self) -> str:
        shown = [(f"{self.ci.level or 0.95:.0%} CI", self.ci)] if self.ci else []
        shown += [(_NAMES[name], getattr(self, name)) for name in ("range", "iqr") if getattr(self, name)]
        brackets = f" ({'; '.join(f'{name}, {pair}' for name, pair in shown)})" if shown else ""
        return f"{self.study}, {self.endpoint}, {self.group}: {self.statistic} {self.value}{brackets}"


_NAMES = {"ci": "confidence interval", "range": "range", "iqr": "IQR"}


def _check_inside(
    value: ReportedNumber, pair: ReportedInterval | None, name: str, where: Callable[[], str]
) -> None:
    if pair is None:
        return
    for limit in (pair.lower, pair.upper):
        if limit is not None and limit.unit != value.unit:
            raise InvalidInputError(
                f"{where()}: the {name} is in {limit.unit!r} and the value in {value.unit!r}; use one unit."
            )
    if value.is_exact and not pair.may_contain(value):
        raise InvalidInputError(f"{where()}: the {name} {pair} does not contain it. Check the transcription.")


def _limit(number: ReportedNumber | None) -> float:
    return math.nan if number is None else number.probability


def _column(values: list[float]) -> FloatArray:
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array
