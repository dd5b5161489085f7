"""What a report prints of one survival curve, checked: the figures that a reconstruction starts from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._typing import FloatArray
from netsynth.data.number import ReportedInterval
from netsynth.data.survival import ReportedSurvival, SurvivalPoint
from netsynth.errors import InvalidInputError
from netsynth.kernels.bounds import Envelope, is_possible


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Printed:
    """What was printed, checked: arrays of shape (m,), nan where a figure was not printed."""

    label: str
    time: FloatArray
    survival: FloatArray
    lower: FloatArray
    upper: FloatArray
    n_total: int | None
    n_at_risk: FloatArray
    ci_lower: FloatArray
    ci_upper: FloatArray
    ci_level: float
    ci_half_width: FloatArray
    endpoint: str = ""


def where_of(figures: Printed) -> str:
    return figures.label or "reconstruct_survival"


def percent(share: float) -> str:
    return f"{_format.shortest(100 * share, 2)}%"


def from_report(report: ReportedSurvival, label: str, given: tuple[object, ...]) -> Printed:
    where = label or report.label
    if any(value is not None for value in given):
        raise InvalidInputError(
            f"{where}: a ReportedSurvival brings its own percentages, counts and limits; give only the median, "
            "the method, the tail and the label beside it."
        )
    if not report.timed:
        raise InvalidInputError(f"{where}: no percentage has a stated time, so there is no curve.")
    return Printed(
        label=where,
        time=report.landmark_months,
        survival=report.survival,
        lower=report.survival_lower,
        upper=report.survival_upper,
        n_total=report.n_total,
        n_at_risk=report.n_at_risk,
        ci_lower=report.ci_lower,
        ci_upper=report.ci_upper,
        ci_level=report.ci_level,
        ci_half_width=np.array([_half_width(point) for point in report.timed]),
        endpoint=report.endpoint.code,
    )


def events_of(report: ReportedSurvival, n_events: int | None, label: str) -> int | None:
    """All events, which the report brings or the caller adds; they say nothing without a number of patients."""
    if report.n_events is None:
        return n_events
    if n_events is not None:
        raise InvalidInputError(
            f"{label or report.label}: the ReportedSurvival brings its own number of events, {report.n_events}; "
            "leave n_events out."
        )
    return None if report.n_total is None else report.n_events


def _half_width(point: SurvivalPoint) -> float:
    """Half a unit of the last digit of the most coarsely printed of a percentage and its limits."""
    pair = point.ci or ReportedInterval(point.share, None)
    numbers = (number for number in (point.share, pair.lower, pair.upper) if number is not None)
    return max(
        0.5 * 10.0**-number.decimals / (100.0 if number.unit == "percent" else 1.0) for number in numbers
    )


def from_arrays(
    landmark_months: npt.ArrayLike,
    survival: npt.ArrayLike | None,
    n_total: int | None,
    n_at_risk: npt.ArrayLike | None,
    ci_lower: npt.ArrayLike | None,
    ci_upper: npt.ArrayLike | None,
    ci_level: float,
    decimals: int | Sequence[int] | None,
    label: str,
) -> Printed:
    where = label or "reconstruct_survival"
    if survival is None:
        raise InvalidInputError(f"{where}: give the survival at the landmarks.")
    time = _validate.increasing_1d(landmark_months, "landmark_months", where=where)
    s = _validate.probability_1d(survival, "survival", where=where)
    _validate.same_length(time, "landmark_months", s, "survival", where=where)

    def optional(values: npt.ArrayLike | None, name: str) -> FloatArray:
        array = _validate.array_1d(
            np.full(time.size, np.nan) if values is None else values, name, where=where
        )
        _validate.same_length(time, "landmark_months", array, name, where=where)
        return array

    low, high = optional(ci_lower, "ci_lower"), optional(ci_upper, "ci_upper")
    half = np.zeros(time.size)
    if decimals is not None:
        each = [decimals] * time.size if isinstance(decimals, int) else decimals
        places = [_validate.count(number, "decimals", where=where) for number in each]
        half = 0.5 * 10.0 ** (-_validate.array_1d(places, "decimals", where=where) - 2.0)
        _validate.same_length(time, "landmark_months", half, "decimals", where=where)
    ends = np.round(np.stack([s - half, s + half]), 15)  # so that 0.83 - 0.005 is 0.825
    _check_interval(time, s, low, high, half, where)
    figures = Printed(
        label=label,
        time=time,
        survival=s,
        lower=np.maximum(ends[0], 0.0),
        upper=np.minimum(ends[1], 1.0),
        n_total=None if n_total is None else _validate.count(n_total, "n_total", where=where, minimum=1),
        n_at_risk=optional(n_at_risk, "n_at_risk"),
        ci_lower=low,
        ci_upper=high,
        ci_level=_validate.level(ci_level),
        ci_half_width=half,
    )
    _check_at_risk(figures)
    for array in (figures.lower, figures.upper):
        array.setflags(write=False)
    return figures


def _check_interval(
    time: FloatArray, s: FloatArray, low: FloatArray, high: FloatArray, half: FloatArray, where: str
) -> None:
    alone = np.isnan(low) != np.isnan(high)
    if alone.any():
        raise InvalidInputError(
            f"{where}: one confidence limit without the other at {time[alone][0]:g} months. Give both or none."
        )
    outside = (low < 0) | (high > 1) | (low > s + 2 * half) | (high < s - 2 * half)
    if outside.any():
        j = int(np.flatnonzero(outside)[0])
        raise InvalidInputError(
            f"{where}: the confidence interval {percent(low[j])} to {percent(high[j])} at {time[j]:g} months "
            f"does not contain {percent(s[j])}, or leaves 0 to 100%. Check the transcription."
        )


def _check_at_risk(figures: Printed) -> None:
    where, known = where_of(figures), np.flatnonzero(~np.isnan(figures.n_at_risk))
    most = math.inf if figures.n_total is None else figures.n_total
    for j in known.tolist():
        at, n = (
            f"at {figures.time[j]:g} months",
            _validate.count(figures.n_at_risk[j], "n_at_risk", where=where),
        )
        if n > most:
            raise InvalidInputError(f"{where}: {n} at risk {at}, but {most:g} before. Check both numbers.")
        most = n


def check_falling(figures: Printed, landmarks: Envelope) -> None:
    if not is_possible(landmarks):
        earlier = np.minimum.accumulate(figures.upper)
        j = int(np.flatnonzero(figures.lower > earlier)[0])
        i = int(np.argmin(figures.upper[:j]))
        raise InvalidInputError(
            f"{where_of(figures)}: survival cannot rise; got {percent(figures.survival[j])} at "
            f"{figures.time[j]:g} months after {percent(figures.survival[i])} at {figures.time[i]:g} months. "
            "Check the transcription."
        )
