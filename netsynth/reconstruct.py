"""Survival curves from what papers print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._typing import FloatArray, Interval
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.survival import ReportedSurvival, SurvivalPoint
from netsynth.errors import (
    Caution,
    InconsistentReportWarning,
    InvalidInputError,
    caution,
)
from netsynth.kernels.bounds import Envelope, envelope, is_possible, survival_bounds
from netsynth.kernels.curves import CURVES, TAILS, Continued, Curve, CurveMethod, TailName
from netsynth.kernels.survival_variance import SCALES, detected_se, reported_variance
from netsynth.results.curve import SurvivalCurve

__all__ = ["reconstruct_survival"]

_SCALE_NAMES: Final = tuple(SCALES)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Figures:
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


class _Median(NamedTuple):
    """A median that agrees with the percentages: where it lies, the point it adds, nan for none, and all limits."""

    interval: Interval
    point: float
    limits: Envelope


class _Errors(NamedTuple):
    se: FloatArray
    lower: FloatArray
    upper: FloatArray
    source: tuple[str, ...]
    warnings: tuple[Caution, ...]


def reconstruct_survival(
    landmark_months: npt.ArrayLike | ReportedSurvival,
    survival: npt.ArrayLike | None = None,
    *,
    n_total: int | None = None,
    n_at_risk: npt.ArrayLike | None = None,
    median_months: float | ReportedNumber | None = None,
    ci_lower: npt.ArrayLike | None = None,
    ci_upper: npt.ArrayLike | None = None,
    ci_level: float = 0.95,
    decimals: int | Sequence[int] | None = None,
    method: CurveMethod = "pchip",
    tail: TailName | None = None,
    label: str = "",
) -> SurvivalCurve:
    r"""Reconstruct a survival curve from reported percentages.

    Parameters
    ----------
    landmark_months : array_like of float, shape (m,), or ReportedSurvival
        Times of the percentages, positive and increasing. A `ReportedSurvival` brings everything but the
        median, with the rounding of each printed number.
    survival : array_like of float, shape (m,)
        Survival there, as probabilities, never rising.
    n_total : int, optional
        Patients.
    n_at_risk : array_like of float, shape (m,), optional
        Patients at risk at the landmarks; nan where not printed.
    median_months : float or ReportedNumber, optional
        Median survival, which serves as another point. A plain number is in months, with the digits it shows. A
        `ReportedNumber` may be in another unit, and may be open (">96 months", "not reached"): then it only
        bounds the curve.
    ci_lower, ci_upper : array_like of float, shape (m,), optional
        Printed confidence limits as probabilities; nan where not printed. Both or none at a landmark.
    ci_level : float
        Their level.
    decimals : int or sequence of int, optional
        Decimals with which the percentages are printed, for the rounding: a printed 83% has 0 and stands for
        82.5 to 83.5. By default the numbers are taken as exact.
    method : {"pchip", "piecewise_exponential"}
        Monotone cubic interpolation of the cumulative hazard, or a constant hazard between points.
    tail : {"exponential"}, optional
        How to go on after the last point; by default not at all. "exponential" keeps the mean hazard of the
        last interval.
    label : str
        Whose survival: for messages and printing.

    Returns
    -------
    SurvivalCurve
        Frozen. Ask it for survival, hazard, quantiles and restricted means at any time, for the sharp bounds of
        each, for confidence limits at the landmarks, frames, and a plot.

    Raises
    ------
    InvalidInputError
        If there are no landmarks, they do not increase, survival lies outside [0, 1] or rises by more than
        rounding allows, lengths differ, a confidence interval does not contain its estimate, a number at risk
        rises or exceeds `n_total`, a number is given twice, a name is unknown, or an exponential tail would
        have no hazard.

    Warns
    -----
    InconsistentReportWarning
        If the median contradicts the percentages; it is then not used. If more patients are said to be at risk
        than can be; they are then counted as the most that can be. If a confidence interval is symmetric on no
        known scale; the nearest is then used.

    Notes
    -----
    With H the cumulative hazard, the default interpolates :math:`H = -\ln S` through the points and the origin
    by a monotone cubic [1]_. Values that rise within their rounding are moved, by no more than it, until
    they do not. The bounds use nothing but the printed digits and that survival never rises. Standard errors
    come from a printed confidence interval, else from numbers at risk, else they are imputed from n (see the
    method page on the variance of a percentage), and always stand beside the sharp interval for them [2]_.

    References
    ----------
    .. [1] Fritsch FN, Carlson RE (1980). Monotone piecewise cubic interpolation. SIAM J Numer Anal
       17:238-246.
    .. [2] Dorey FJ, Korn EL (1987). Effective sample sizes for confidence intervals for survival
       probabilities. Stat Med 6:679-687. https://doi.org/10.1002/sim.4780060605

    Examples
    --------
    >>> curve = reconstruct_survival(
    ...     [36, 60, 120], [0.83, 0.705, 0.42], n_total=100, n_at_risk=[75, 52, 18], decimals=[0, 1, 0]
    ... )
    >>> print(curve)
    Survival: monotone cubic cumulative hazard through 3 landmarks, n = 100
       36 months  83%    95% CI [73.8%, 89.2%]  se: numbers at risk
       60 months  70.5%  95% CI [59.7%, 78.9%]  se: numbers at risk
      120 months  42%    95% CI [29.6%, 53.9%]  se: numbers at risk
      median 101.7 months   the report alone: after 60 and by 120
      mean up to 120 months (RMST) 84.9   the report alone: 71.5–98.4
      not known after 120 months
    """
    _validate.choice(method, "method", CURVES)
    if tail is not None:
        _validate.choice(tail, "tail", TAILS)
    if isinstance(landmark_months, ReportedSurvival):
        given = (survival, n_total, n_at_risk, ci_lower, ci_upper, decimals)
        figures = _from_report(landmark_months, label, given)
    else:
        figures = _from_arrays(
            landmark_months, survival, n_total, n_at_risk, ci_lower, ci_upper, ci_level, decimals, label
        )
    landmarks = envelope(figures.time, figures.lower, figures.upper)
    _check_falling(figures, landmarks)

    median, cautions = _median(figures, landmarks, median_months)
    time, points = _points(figures, median)
    curve: Curve = CURVES[method](time, points)
    found, (start, stop) = float(curve.time_at(np.log([2.0]))[0]), median.interval
    if found < start or found > stop:  # an open median that the curve must be made to keep to
        time, points = _points(figures, median._replace(point=start if found < start else stop))
        curve = CURVES[method](time, points)
    ends = bool(points[-1] == 0)
    if tail is not None and not ends:
        if points[-1] == (points[-2] if points.size > 1 else 1.0):
            raise InvalidInputError(
                f"{_where(figures)}: an exponential tail needs a fall of survival in the last interval; it stays "
                f"at {_percent(points[-1])} up to {time[-1]:g} months, and a hazard of 0 would go on for ever. "
                "Leave the tail out."
            )
        curve = Continued(curve, TAILS[tail](time, points), float(time[-1]))
        found = float(curve.time_at(np.log([2.0]))[0])
        if found < start or found > stop:
            message = (
                f"the {tail} tail puts the median at {found:.1f} months, the report {_apart(start, stop)}"
            )
            cautions.append(caution(InconsistentReportWarning, message, where=_where(figures)))
    errors = _errors(figures, points[np.isin(time, figures.time)])

    for array in (*errors[:3], *median.limits):
        array.setflags(write=False)
    return SurvivalCurve(
        label=figures.label,
        method=method,
        tail=tail,
        landmark_months=figures.time,
        landmark_survival=figures.survival,
        survival_lower=figures.lower,
        survival_upper=figures.upper,
        n_total=figures.n_total,
        n_at_risk=figures.n_at_risk,
        printed_lower=figures.ci_lower,
        printed_upper=figures.ci_upper,
        printed_level=figures.ci_level,
        se=errors.se,
        se_lower=errors.lower,
        se_upper=errors.upper,
        se_source=errors.source,
        median_interval=median.interval,
        curve=curve,
        envelope=median.limits,
        last_months=float(time[-1]),
        horizon_months=math.inf if ends or tail is not None else float(time[-1]),
        warnings=(*cautions, *errors.warnings),
    )


def _where(figures: _Figures) -> str:
    return figures.label or "reconstruct_survival"


def _apart(start: float, stop: float) -> str:
    return f"after {start:g}" if stop == math.inf else f"before {stop:g}"


def _percent(share: float) -> str:
    return f"{_format.shortest(100 * share, 2)}%"


def _from_report(report: ReportedSurvival, label: str, given: tuple[object, ...]) -> _Figures:
    where = label or report.label
    if any(value is not None for value in given):
        raise InvalidInputError(
            f"{where}: a ReportedSurvival brings its own percentages, counts and limits; give only the median, "
            "the method, the tail and the label beside it."
        )
    if not report.timed:
        raise InvalidInputError(f"{where}: no percentage has a stated time, so there is no curve.")
    return _Figures(
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
    )


def _half_width(point: SurvivalPoint) -> float:
    """Half a unit of the last digit of the most coarsely printed of a percentage and its limits."""
    pair = point.ci or ReportedInterval(point.share, None)
    numbers = (number for number in (point.share, pair.lower, pair.upper) if number is not None)
    return max(
        0.5 * 10.0**-number.decimals / (100.0 if number.unit == "percent" else 1.0) for number in numbers
    )


def _from_arrays(
    landmark_months: npt.ArrayLike,
    survival: npt.ArrayLike | None,
    n_total: int | None,
    n_at_risk: npt.ArrayLike | None,
    ci_lower: npt.ArrayLike | None,
    ci_upper: npt.ArrayLike | None,
    ci_level: float,
    decimals: int | Sequence[int] | None,
    label: str,
) -> _Figures:
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
    figures = _Figures(
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
            f"{where}: the confidence interval {_percent(low[j])} to {_percent(high[j])} at {time[j]:g} months "
            f"does not contain {_percent(s[j])}, or leaves 0 to 100%. Check the transcription."
        )


def _check_at_risk(figures: _Figures) -> None:
    where, known = _where(figures), np.flatnonzero(~np.isnan(figures.n_at_risk))
    most = math.inf if figures.n_total is None else figures.n_total
    for j in known.tolist():
        at, n = (
            f"at {figures.time[j]:g} months",
            _validate.count(figures.n_at_risk[j], "n_at_risk", where=where),
        )
        if n > most:
            raise InvalidInputError(f"{where}: {n} at risk {at}, but {most:g} before. Check both numbers.")
        most = n


def _check_falling(figures: _Figures, landmarks: Envelope) -> None:
    if not is_possible(landmarks):
        earlier = np.minimum.accumulate(figures.upper)
        j = int(np.flatnonzero(figures.lower > earlier)[0])
        i = int(np.argmin(figures.upper[:j]))
        raise InvalidInputError(
            f"{_where(figures)}: survival cannot rise; got {_percent(figures.survival[j])} at "
            f"{figures.time[j]:g} months after {_percent(figures.survival[i])} at {figures.time[i]:g} months. "
            "Check the transcription."
        )


def _median(
    figures: _Figures, landmarks: Envelope, median_months: float | ReportedNumber | None
) -> tuple[_Median, list[Caution]]:
    """Median as evidence: survival is at least 1/2 before it, and at most 1/2 from it on."""
    none = _Median(Interval(0.0, math.inf), math.nan, landmarks)
    if median_months is None:
        return none, []
    median = ReportedNumber.of(median_months, "month")
    if median.qualifier == "not reached":
        start, stop = float(figures.time[-1]), math.inf
    else:
        start, stop = median.months_interval
        if not median.months > 0:
            raise InvalidInputError(f"{_where(figures)}: a median must be positive; got {median}.")
    limits = _with_median(figures, start, stop)
    if not is_possible(limits):
        too_low = (figures.time <= start) & (figures.upper < 0.5)
        too_high = (figures.time >= stop) & (figures.lower > 0.5)
        j = int(np.flatnonzero(too_low | too_high)[0])
        message = (
            f"the median ({median}) contradicts {_percent(figures.survival[j])} at {figures.time[j]:g} months; "
            "it is not used"
        )
        return none, [caution(InconsistentReportWarning, message, where=_where(figures), stacklevel=4)]
    # some programs print the middle of a stretch on which survival is exactly 1/2
    flat = figures.time[figures.upper == 0.5]
    interval = Interval(min(start, flat.min(initial=math.inf)), stop)
    if not median.is_exact:
        return _Median(interval, math.nan, limits), []
    point = median.months
    above, below = figures.time[landmarks.lower > 0.5], figures.time[landmarks.upper < 0.5]
    start, stop = max(start, above.max(initial=0.0)), min(stop, below.min(initial=math.inf))
    if not start < point < stop:
        point = 0.5 * (start + stop)  # it agrees within its rounding only: the middle of what is left of that
    return _Median(interval, point, limits), []


def _with_median(figures: _Figures, start: float, stop: float) -> Envelope:
    """Envelope of the landmarks and of a median that lies between start and stop."""
    return envelope(
        np.concatenate([figures.time, [start, stop]]),
        np.concatenate([figures.lower, [0.5, 0.0]]),
        np.concatenate([figures.upper, [1.0, 0.5]]),
    )


def _points(figures: _Figures, median: _Median) -> tuple[FloatArray, FloatArray]:
    """Points for the curve: never rising, each within its rounding, the median among them."""
    time, s, point = figures.time, figures.survival, median.point
    if math.isnan(point):
        return time, np.minimum.accumulate(np.clip(s, *survival_bounds(median.limits, time)))
    s = np.clip(s, *survival_bounds(_with_median(figures, point, point), time))
    # what rounds to one half before the median is above it
    room = 0.5 * (0.5 + np.maximum(figures.upper, 0.5))
    s = np.minimum.accumulate(np.where((time < point) & (s <= 0.5), room, s))
    if point in time:
        return time, s
    j = int(np.searchsorted(time, point))
    return np.insert(time, j, point), np.insert(s, j, 0.5)


def _errors(figures: _Figures, s: FloatArray) -> _Errors:
    """Standard errors: from the printed interval, else from n and the numbers at risk."""
    n = math.nan if figures.n_total is None else float(figures.n_total)
    counted = reported_variance(s, n, figures.n_at_risk)
    estimate, low, high, half = figures.survival, figures.ci_lower, figures.ci_upper, figures.ci_half_width
    read = detected_se(estimate, low, high, half, level=figures.ci_level)
    certain = (estimate == 1) & ~(math.isnan(n) & np.isnan(figures.n_at_risk))  # of use without a variance
    printed = np.isfinite(read.se) | ((estimate <= 0) | (estimate >= 1)) & np.isfinite(low + high)
    imputed = (counted.imputed | certain & np.isnan(figures.n_at_risk)) & ~printed
    se = np.where(printed, read.se, np.sqrt(counted.variance))
    lower, upper = np.sqrt(counted.lower), np.sqrt(counted.upper)

    cautions = _too_many_at_risk(figures)
    for j in np.flatnonzero(np.isfinite(read.se) & ~read.admissible & (half > 0)).tolist():
        message = (
            f"the confidence interval {_percent(low[j])} to {_percent(high[j])} of {_percent(estimate[j])} at "
            f"{figures.time[j]:g} months is symmetric on no usual scale; its standard error is read on the "
            f"nearest, {_SCALE_NAMES[read.position[j]]}"
        )
        cautions.append(caution(InconsistentReportWarning, message, where=_where(figures), stacklevel=4))
    source = np.where(np.isfinite(se) | certain, "numbers at risk", "").astype(object)
    source[imputed] = "imputed"
    source[printed] = "printed CI"
    for j in np.flatnonzero(np.isfinite(read.se)).tolist():
        source[j] += f" ({_SCALE_NAMES[read.position[j]]})"
    return _Errors(se, lower, upper, tuple(source.tolist()), tuple(cautions))


def _too_many_at_risk(figures: _Figures) -> list[Caution]:
    """Numbers at risk above the survivors among those at risk before, as far as rounding goes."""
    cautions = []
    before, n, least = "", math.inf if figures.n_total is None else figures.n_total, 1.0
    for j in np.flatnonzero(~np.isnan(figures.n_at_risk)).tolist():
        at_risk, share = figures.n_at_risk[j], min(1.0, figures.upper[j] / least) if least > 0 else 1.0
        if math.isfinite(n) and at_risk > math.ceil(n * share):
            message = (
                f"{at_risk:g} patients at risk at {figures.time[j]:g} months with a survival of "
                f"{_percent(figures.survival[j])}: of {n:g}{before} at most {math.ceil(n * share)} can be"
            )
            cautions.append(caution(InconsistentReportWarning, message, where=_where(figures), stacklevel=5))
        before, n, least = f" at risk at {figures.time[j]:g} months", at_risk, figures.lower[j]
    return cautions
