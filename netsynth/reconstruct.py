"""Survival curves from what papers print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._evidence import Quantiles, Time, fragments_of, n_figures, points_of, read_quantiles
from netsynth._printed import Printed, check_falling, events_of, from_arrays, from_report, percent, where_of
from netsynth._typing import FloatArray
from netsynth.data.number import ReportedNumber
from netsynth.data.survival import ReportedSurvival
from netsynth.errors import Caution, InconsistentReportWarning, InvalidInputError, caution
from netsynth.kernels.bounds import envelope
from netsynth.kernels.curves import CURVES, Continued, Curve, exponential_tail, pchip
from netsynth.kernels.follow_up import at_risk as expected_at_risk
from netsynth.kernels.follow_up import longest_follow_up
from netsynth.kernels.grouped import effective_numbers
from netsynth.kernels.model_average import n_parameters
from netsynth.kernels.reconstruction import (
    METHODS,
    TAIL_NAMES,
    Built,
    Figures,
    Method,
    Tail,
    build,
    families_needed,
)
from netsynth.kernels.survival_variance import MATURITY, SCALES, detected_se, reported_variance
from netsynth.results.curve import SurvivalCurve

__all__ = ["reconstruct_survival"]

_SCALE_NAMES: Final = tuple(SCALES)


class _FollowUp(NamedTuple):
    """Longest follow-up, and where it is known from; the source is empty when it is not."""

    longest: float
    source: str


class _Errors(NamedTuple):
    se: FloatArray
    lower: FloatArray
    upper: FloatArray
    source: tuple[str, ...]
    effective: FloatArray
    warnings: tuple[Caution, ...]


def reconstruct_survival(
    landmark_months: npt.ArrayLike | ReportedSurvival,
    survival: npt.ArrayLike | None = None,
    *,
    n_total: int | None = None,
    n_at_risk: npt.ArrayLike | None = None,
    median_months: float | ReportedNumber | None = None,
    quartiles_months: tuple[Time, Time] | None = None,
    n_events: int | None = None,
    median_follow_up_months: float | ReportedNumber | None = None,
    ci_lower: npt.ArrayLike | None = None,
    ci_upper: npt.ArrayLike | None = None,
    ci_level: float = 0.95,
    decimals: int | Sequence[int] | None = None,
    method: Method = "pchip",
    tail: Tail | None = None,
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
    quartiles_months : tuple of two, optional
        Times by which a quarter and three quarters have had the event, each like the median; None for one that is
        not printed.
    n_events : int, optional
        All events that were seen, with `n_total`; a `ReportedSurvival` may bring them. It tells how many are lost to
        follow-up, and so the standard errors of percentages without a number at risk, if patients enter at a steady
        rate. `SurvivalCurve.pseudo_ipd` meets it.
    median_follow_up_months : float or ReportedNumber, optional
        Median follow-up of those without the event, which tells the same, and is used where `n_events` is not given.
    ci_lower, ci_upper : array_like of float, shape (m,), optional
        Printed confidence limits as probabilities; nan where not printed. Both or none at a landmark.
    ci_level : float
        Their level.
    decimals : int or sequence of int, optional
        Decimals with which the percentages are printed, for the rounding: a printed 83% has 0 and stands for
        82.5 to 83.5. By default the numbers are taken as exact.
    method : str
        "pchip", the default, is a monotone cubic cumulative hazard through all figures, and "piecewise_exponential" a
        constant hazard between them. "exponential", "weibull", "lognormal", "loglogistic", "gamma",
        "generalized_gamma", "gompertz" and "royston_parmar" are families fitted by maximum likelihood, which need
        not pass through the figures. "average" is the average of all families that the figures can determine, by
        Akaike weights, and "blend" the same average bent so that it passes through the figures.
    tail : str, optional
        How to go on after the last point; by default not at all. "exponential" keeps the mean hazard of the
        last interval. The name of another family, or "average", goes on with its hazard from there.
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
        rises or exceeds `n_total`, a number is given twice, a name is unknown, an exponential tail would
        have no hazard, a family has more parameters than there are figures to determine them by, families
        are to be averaged without any number of patients, or `n_events` is given without `n_total` or exceeds it.

    Warns
    -----
    InconsistentReportWarning
        If the median, a quartile or the number of events contradicts the rest; it is then not used. If a tail puts
        the median where the report does not. If more patients are said to be at risk
        than can be; they are then counted as the most that can be. If a confidence interval is symmetric on no
        known scale; the nearest is then used.

    Notes
    -----
    With H the cumulative hazard, the default interpolates :math:`H = -\ln S` through the points and the origin
    by a monotone cubic [1]_. A median that agrees is a point, and so are quartiles. Families are fitted by the
    likelihood of the percentages, integrated over their rounding, and averaged by Akaike weights [3]_. Values
    that rise within their rounding are moved, by no more than it, until they do not. The bounds use nothing but
    the printed digits and that survival never rises. Standard errors come from a printed confidence interval, else
    from numbers at risk, else from the total number of events or the median follow-up, else they are imputed from n
    (see the method page on the variance of a percentage), and always stand beside the sharp interval for
    them [2]_.

    References
    ----------
    .. [1] Fritsch FN, Carlson RE (1980). Monotone piecewise cubic interpolation. SIAM J Numer Anal
       17:238-246.
    .. [2] Dorey FJ, Korn EL (1987). Effective sample sizes for confidence intervals for survival
       probabilities. Stat Med 6:679-687. https://doi.org/10.1002/sim.4780060605
    .. [3] Burnham KP, Anderson DR (2002). Model selection and multimodel inference, 2nd edition. Springer.
       https://doi.org/10.1007/b97636

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
    _validate.choice(method, "method", METHODS)
    if tail is not None:
        _validate.choice(tail, "tail", TAIL_NAMES)
    if isinstance(landmark_months, ReportedSurvival):
        given = (survival, n_total, n_at_risk, ci_lower, ci_upper, decimals)
        printed = from_report(landmark_months, label, given)
        n_events = events_of(landmark_months, n_events, label)
    else:
        printed = from_arrays(
            landmark_months, survival, n_total, n_at_risk, ci_lower, ci_upper, ci_level, decimals, label
        )
    landmarks = envelope(printed.time, printed.lower, printed.upper)
    check_falling(printed, landmarks)

    first, third = quartiles_months or (None, None)
    asked = (("median", 0.5, median_months), ("first quartile", 0.75, first), ("third quartile", 0.25, third))
    quantiles = read_quantiles(printed, landmarks, asked)
    time, points = points_of(printed, quantiles)
    at_landmarks = points[np.isin(time, printed.time)]
    n_events, doubts = _events(printed, n_events)
    follow_up = _follow_up(printed, time, points, n_events, median_follow_up_months)
    errors = _errors(printed, at_landmarks, follow_up)
    fragments = fragments_of(printed, quantiles, time, points, errors.effective)
    figures = Figures(time, points, fragments, n_figures(points), _known_until(time, quantiles))
    _check_method(printed, method, tail, figures, errors)
    figures, built = _kept(printed, method, tail, figures, quantiles)
    last = float(figures.time[-1])
    cautions = [*quantiles.cautions, *doubts, *_tail_doubts(printed, tail, built, last, quantiles)]
    is_through_points = method in (*CURVES, "blend")
    horizon = last if is_through_points or figures.stop is None else figures.stop
    if tail is not None or (points[-1] == 0 and is_through_points):
        horizon = math.inf

    for array in (*errors[:3], errors.effective, *quantiles.limits):
        array.setflags(write=False)
    return SurvivalCurve(
        label=printed.label,
        method=method,
        tail=tail,
        landmark_months=printed.time,
        landmark_survival=printed.survival,
        survival_lower=printed.lower,
        survival_upper=printed.upper,
        n_total=printed.n_total,
        n_at_risk=printed.n_at_risk,
        n_events=n_events,
        printed_lower=printed.ci_lower,
        printed_upper=printed.ci_upper,
        printed_level=printed.ci_level,
        se=errors.se,
        se_lower=errors.lower,
        se_upper=errors.upper,
        se_source=errors.source,
        effective_n=errors.effective,
        median_interval=quantiles.median_interval,
        curve=built.curve,
        envelope=quantiles.limits,
        figures=figures,
        fits=built.fits,
        last_months=last,
        horizon_months=horizon,
        endpoint=printed.endpoint,
        warnings=(*cautions, *errors.warnings),
    )


def _check_method(
    printed: Printed, method: Method, tail: Tail | None, figures: Figures, errors: _Errors
) -> None:
    """Whether the figures can determine what the method and the tail have to fit."""
    where, count = where_of(printed), figures.n_figures
    averages = {"average", "blend"} & {method, tail}
    needed = families_needed(method, tail, count)
    if averages and not needed:
        raise InvalidInputError(
            f"{where}: survival never falls to a value above 0, so no family can be fitted. Use method='pchip'."
        )
    for name in () if averages else needed:
        if n_parameters(name) > count:
            raise InvalidInputError(
                f"{where}: {name} has {_format.plural(n_parameters(name), 'parameter')}, and the report "
                f"{_format.plural(count, 'figure')} to determine them by; percentages of 100 or 0, and those that "
                "repeat the one before, do not count. Give more figures, or a method with fewer parameters."
            )
    if averages and np.isnan(errors.effective).any():
        raise InvalidInputError(
            f"{where}: how much each family is worth depends on the number of patients. Give n_total, or a "
            "confidence interval, or name one family."
        )


def _kept(
    printed: Printed, method: Method, tail: Tail | None, figures: Figures, quantiles: Quantiles
) -> tuple[Figures, Built]:
    """The curve, held where it would cross an open quantile that the report puts elsewhere."""
    if method not in (*CURVES, "blend"):
        _check_tail(printed, tail, np.array([1.0, 0.5]), figures)
        return figures, build(method, tail, figures)
    body = build(method, None, figures)
    for quantile in quantiles.used:
        found = float(body.curve.time_at(-np.log([quantile.level]))[0])
        start, stop = quantile.interval
        if found < start or found > stop:
            held = quantile._replace(point=start if found < start else stop)
            used = tuple(held if other.name == quantile.name else other for other in quantiles.used)
            quantiles = quantiles._replace(used=used)
            time, points = points_of(printed, quantiles)
            figures = figures._replace(time=time, survival=points)
            body = build(method, None, figures, body.fits)
    if tail is None:
        return figures, body
    _check_tail(printed, tail, figures.survival, figures)
    return figures, build(method, tail, figures)


def _known_until(time: FloatArray, quantiles: Quantiles) -> float:
    """Last time of the report, with its rounding where it is that of a quantile."""
    ends = [q.interval.upper for q in quantiles.used if q.point == time[-1] and q.interval.upper < math.inf]
    return max([float(time[-1]), *ends])


def _check_tail(printed: Printed, tail: Tail | None, points: FloatArray, figures: Figures) -> None:
    if tail == "exponential" and points[-1] > 0 and points[-1] == (points[-2] if points.size > 1 else 1.0):
        raise InvalidInputError(
            f"{where_of(printed)}: an exponential tail needs a fall of survival in the last interval; it stays "
            f"at {percent(points[-1])} up to {figures.time[-1]:g} months, and a hazard of 0 would go on for ever. "
            "Leave the tail out."
        )


def _tail_doubts(
    printed: Printed, tail: Tail | None, built: Built, last: float, quantiles: Quantiles
) -> list[Caution]:
    """Whether a tail puts the median where the report does not."""
    start, stop = quantiles.median_interval
    if tail is None or (start == 0 and stop == math.inf):
        return []
    found = float(built.curve.time_at(np.log([2.0]))[0])
    if not found > last or start <= found <= stop:
        return []
    place = f"at {found:.1f} months" if found < math.inf else "nowhere"
    message = f"the {tail} tail puts the median {place}, the report {_apart(start, stop)}"
    return [caution(InconsistentReportWarning, message, where=where_of(printed), stacklevel=4)]


def _apart(start: float, stop: float) -> str:
    return f"after {start:g}" if stop == math.inf else f"before {stop:g}"


def _events(printed: Printed, n_events: int | None) -> tuple[int | None, list[Caution]]:
    """All events, None when they are not known or fewer than the percentages need."""
    if n_events is None:
        return None, []
    where = where_of(printed)
    events = _validate.count(n_events, "n_events", where=where)
    if printed.n_total is None:
        raise InvalidInputError(f"{where}: the number of events says nothing without n_total; give both.")
    if events > printed.n_total:
        raise InvalidInputError(
            f"{where}: {events} events among {printed.n_total} patients. Check both numbers."
        )
    least = _least_events(printed)
    if events >= least:
        return events, []
    message = f"{events} events in all, but the percentages need {least} or more; the number is not used"
    return None, [caution(InconsistentReportWarning, message, where=where, stacklevel=4)]


def _follow_up(
    printed: Printed,
    time: FloatArray,
    points: FloatArray,
    n_events: int | None,
    median_follow_up: float | ReportedNumber | None,
) -> _FollowUp:
    """Longest follow-up under steady entry, from the events, else from the median follow-up."""
    where = where_of(printed)
    found = _FollowUp(math.nan, "")
    if median_follow_up is not None:
        number = ReportedNumber.of(median_follow_up, "month")
        if not number.is_exact or not number.months > 0:
            raise InvalidInputError(f"{where}: a median follow-up must be a positive number; got {number}.")
        if printed.n_total is not None:
            found = _FollowUp(2.0 * number.months, "median follow-up")
    if n_events is not None and printed.n_total is not None and points[-1] < 1:
        last, n = float(time[-1]), float(printed.n_total)
        longest = longest_follow_up(_for_ever(time, points), last, n, float(n_events))
        found = _FollowUp(longest, "total events")
    return found


def _least_events(printed: Printed) -> int:
    """Events that there must have been: m (1 - S) / S where m are still at risk, and one where survival falls."""
    with np.errstate(divide="ignore", invalid="ignore"):
        least = printed.n_at_risk * (1.0 - printed.upper) / printed.upper
    return max(math.ceil(float(np.nanmax(np.append(least, 0.0))) - 1e-9), int(printed.upper[-1] < 1))


def _for_ever(time: FloatArray, points: FloatArray) -> Curve:
    """The curve through the points, continued with the hazard of the last interval, or of all if that one is flat."""
    curve, last = pchip(time, points), float(time[-1])
    if points[-1] == 0:
        return curve
    tail = exponential_tail(time, points)
    if not tail.rate > 0:
        tail = exponential_tail(time[-1:], points[-1:])
    return Continued(curve, tail, last)


def _errors(figures: Printed, s: FloatArray, follow_up: _FollowUp) -> _Errors:
    """Standard errors: from the printed interval, else from n and the numbers at risk, else from the follow-up."""
    n = math.nan if figures.n_total is None else float(figures.n_total)
    counted = reported_variance(s, n, figures.n_at_risk)
    at_risk, followed = figures.n_at_risk, np.zeros(s.size, dtype=np.bool_)
    if follow_up.source:
        at_risk = expected_at_risk(figures.time, s, figures.n_at_risk, n, follow_up.longest)
        expected = np.clip(reported_variance(s, n, at_risk).variance, counted.lower, counted.upper)
        followed = counted.imputed
        counted = counted._replace(
            variance=np.where(followed, expected, counted.variance), imputed=np.zeros_like(followed)
        )
    estimate, low, high, half = figures.survival, figures.ci_lower, figures.ci_upper, figures.ci_half_width
    read = detected_se(estimate, low, high, half, level=figures.ci_level)
    certain = (estimate == 1) & ~(math.isnan(n) & np.isnan(figures.n_at_risk))  # of use without a variance
    printed = np.isfinite(read.se) | ((estimate <= 0) | (estimate >= 1)) & np.isfinite(low + high)
    imputed = (counted.imputed | certain & np.isnan(figures.n_at_risk)) & ~printed & ~followed
    se = np.where(printed, read.se, np.sqrt(counted.variance))
    lower, upper = np.sqrt(counted.lower), np.sqrt(counted.upper)

    cautions = _too_many_at_risk(figures)
    for j in np.flatnonzero(np.isfinite(read.se) & ~read.admissible & (half > 0)).tolist():
        message = (
            f"the confidence interval {percent(low[j])} to {percent(high[j])} of {percent(estimate[j])} at "
            f"{figures.time[j]:g} months is symmetric on no usual scale; its standard error is read on the "
            f"nearest, {_SCALE_NAMES[read.position[j]]}"
        )
        cautions.append(caution(InconsistentReportWarning, message, where=where_of(figures), stacklevel=4))
    source = np.where(np.isfinite(se) | certain, "numbers at risk", "").astype(object)
    source[followed & ~printed] = follow_up.source
    source[imputed] = "imputed"
    source[printed] = "printed CI"
    for j in np.flatnonzero(np.isfinite(read.se)).tolist():
        source[j] += f" ({_SCALE_NAMES[read.position[j]]})"
    effective = effective_numbers(s, se, n, at_risk, maturity=MATURITY)
    return _Errors(se, lower, upper, tuple(source.tolist()), effective, tuple(cautions))


def _too_many_at_risk(figures: Printed) -> list[Caution]:
    """Numbers at risk above the survivors among those at risk before, as far as rounding goes."""
    cautions = []
    before, n, least = "", math.inf if figures.n_total is None else figures.n_total, 1.0
    for j in np.flatnonzero(~np.isnan(figures.n_at_risk)).tolist():
        at_risk, share = figures.n_at_risk[j], min(1.0, figures.upper[j] / least) if least > 0 else 1.0
        if math.isfinite(n) and at_risk > math.ceil(n * share):
            message = (
                f"{at_risk:g} patients at risk at {figures.time[j]:g} months with a survival of "
                f"{percent(figures.survival[j])}: of {n:g}{before} at most {math.ceil(n * share)} can be"
            )
            cautions.append(
                caution(InconsistentReportWarning, message, where=where_of(figures), stacklevel=5)
            )
        before, n, least = f" at risk at {figures.time[j]:g} months", at_risk, figures.lower[j]
    return cautions
