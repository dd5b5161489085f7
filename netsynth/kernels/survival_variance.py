r"""Variance of a reported survival percentage: from its interval, from numbers at risk, or from n alone.

Everything is elementwise unless it says otherwise. What was not reported is nan. A survival of 0 or 1 has no
variance that the formulas could give: the answer is nan.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from netsynth._typing import BoolArray, FloatArray, IntArray
from netsynth.kernels.intervals import Limits, critical_value
from netsynth.kernels.scales import MEASURES, Measure

SurvivalScale = Literal["plain", "log", "log-log", "logit", "arcsine"]
#: Scales on which programs compute intervals for survival.
SCALES: Final[Mapping[SurvivalScale, Measure]] = MappingProxyType(
    {
        "plain": MEASURES["generic"],
        "log": MEASURES["log_survival"],
        "log-log": MEASURES["cloglog_survival"],
        "logit": MEASURES["logit_survival"],
        "arcsine": MEASURES["arcsine_survival"],
    }
)
#: Share of the survivors who are taken to be still under observation where no number at risk is known.
MATURITY: Final = 0.5
_SLACK = 1e-12  # so that limits which are symmetric to the last digit count as symmetric


class ScaleDetection(NamedTuple):
    """On which of `SCALES` an interval may have been computed; the last axis has one entry a scale.

    `asymmetry` is the distance of the estimate from the middle of the interval, times 2, over its width;
    `best` is the position of the admissible scale with the least, of any scale when none is admissible, and -1
    where there is no interval.
    """

    admissible: BoolArray
    asymmetry: FloatArray
    best: IntArray


class DetectedError(NamedTuple):
    """Standard error by the scale at `position` of `SCALES`, and whether that scale is admissible."""

    se: FloatArray
    position: IntArray
    admissible: BoolArray


class ReportedVariance(NamedTuple):
    """Variance at each landmark and the sharp interval that holds it; `imputed` marks what is assumed."""

    variance: FloatArray
    lower: FloatArray
    upper: FloatArray
    imputed: BoolArray


def _inside(survival: npt.ArrayLike) -> FloatArray:
    s = np.asarray(survival, dtype=np.float64)
    return np.where((s > 0) & (s < 1), s, np.nan)


def detect_scale(
    survival: npt.ArrayLike, lower: npt.ArrayLike, upper: npt.ArrayLike, half_width: npt.ArrayLike = 0.0
) -> ScaleDetection:
    r"""Scales on which a printed interval is symmetric about its estimate, within rounding.

    With g the scale, :math:`A_g = g(U) + g(L) - 2 g(S)` is monotone in L, S and U, so over all they may have
    been before rounding it runs between its values at two corners. The scale is admissible when these do not
    have the same sign. A limit printed as exactly 0 or 1 may have been cut off there, so on its side
    :math:`A_g` has no end.

    Parameters
    ----------
    survival, lower, upper : array_like of float, shape (...)
        Probabilities; nan where none is printed.
    half_width : array_like of float, shape (...)
        Half a unit of the last printed digit, as a probability.

    Examples
    --------
    >>> found = detect_scale([0.692, 0.494], [0.641, 0.421], [0.738, 0.562], 0.0005)
    >>> [[name for name, ok in zip(SCALES, row) if ok] for row in found.admissible]
    [['log-log', 'logit'], ['log-log']]
    """
    s, low, high, h = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (_inside(survival), lower, upper, half_width))
    )
    cut = (low <= 0) | (high >= 1)
    admissible, asymmetry = [], []
    for scale in SCALES.values():
        with np.errstate(divide="ignore", invalid="ignore"):  # a limit at 0 or 1
            g = scale.to_scale
            sign = np.sign(g(np.full(s.shape, 0.75)) - g(np.full(s.shape, 0.25)))
            corners = [
                g(np.clip(high + d, 0, 1)) + g(np.clip(low + d, 0, 1)) - 2.0 * g(np.clip(s - d, 0, 1))
                for d in (-h, h)
            ]
            a = np.abs(g(high) + g(low) - 2.0 * g(s)) / np.abs(g(high) - g(low))
        least = np.where(low <= 0, -np.inf, sign * corners[0])
        most = np.where(high >= 1, np.inf, sign * corners[1])
        fits = (least <= _SLACK) & (most >= -_SLACK) & np.isfinite(s)
        admissible.append(fits)
        asymmetry.append(np.where(cut, np.where(fits, 0.0, np.inf), a))
    fits, a = np.stack(admissible, axis=-1), np.stack(asymmetry, axis=-1)
    ranked = np.where(fits.any(axis=-1, keepdims=True) & ~fits, np.inf, a)
    unknown = np.isnan(s + low + high)
    ranked = np.where(np.isnan(ranked), np.inf, ranked)
    return ScaleDetection(fits, a, np.where(unknown, -1, np.argmin(ranked, axis=-1)))


def se_from_ci(
    survival: npt.ArrayLike,
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
    *,
    level: float = 0.95,
    scale: SurvivalScale = "log-log",
) -> FloatArray:
    r"""Standard error of survival, as a probability, from an interval computed on a scale.

    :math:`|g(U) - g(L)| / (2 z |g'(S)|)`. Where one limit is exactly 0 or 1, and so perhaps cut off, twice the
    distance of the other from the estimate takes the place of the width.

    Parameters
    ----------
    survival, lower, upper : array_like of float, shape (...)
        Probabilities; nan where none is printed.
    level : float
        Of the interval.
    scale : {"plain", "log", "log-log", "logit", "arcsine"}
        See `detect_scale`.

    Returns
    -------
    ndarray, shape (...)
        nan where survival is 0 or 1, or both limits are cut off.

    Examples
    --------
    >>> se_from_ci(0.494, 0.421, 0.562, scale="log-log").round(4).item()
    0.0361
    """
    s, low, high = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (_inside(survival), lower, upper))
    )
    g = SCALES[scale]
    low, high = np.where(low <= 0, np.nan, low), np.where(high >= 1, np.nan, high)
    middle = g.to_scale(s)
    down, up = np.abs(middle - g.to_scale(low)), np.abs(g.to_scale(high) - middle)
    half = np.where(np.isnan(low), up, np.where(np.isnan(high), down, 0.5 * (down + up)))
    return np.asarray(half / (critical_value(np.inf, level) * np.abs(g.derivative(s))))


def detected_se(
    survival: npt.ArrayLike,
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
    half_width: npt.ArrayLike = 0.0,
    *,
    level: float = 0.95,
) -> DetectedError:
    """Standard error by `se_from_ci` on the scale that `detect_scale` finds best; nan where there is none.

    Examples
    --------
    >>> found = detected_se([0.699, 0.372], [0.628, 0.254], [0.779, 0.545], 0.0005)
    >>> found.se.round(4).tolist(), [list(SCALES)[i] for i in found.position]
    ([0.0384, 0.0725], ['log', 'log'])
    """
    found = detect_scale(survival, lower, upper, half_width)
    position = found.best[..., None]
    each = np.stack([se_from_ci(survival, lower, upper, level=level, scale=name) for name in SCALES], axis=-1)
    se = np.take_along_axis(each, np.maximum(position, 0), axis=-1)[..., 0]
    fits = np.take_along_axis(found.admissible, np.maximum(position, 0), axis=-1)[..., 0]
    return DetectedError(np.where(found.best >= 0, se, np.nan), found.best, fits)


def interval(
    survival: npt.ArrayLike, se: npt.ArrayLike, *, level: float = 0.95, scale: SurvivalScale = "log-log"
) -> Limits:
    """Limits of survival, symmetric on the scale, from its standard error as a probability.

    Examples
    --------
    >>> lower, upper = interval(0.88, 0.065, scale="log-log")
    >>> lower.round(4).item(), upper.round(4).item()
    (0.6725, 0.9596)
    """
    s, g = _inside(survival), SCALES[scale]
    half = critical_value(np.inf, level) * np.asarray(se) * np.abs(g.derivative(s))
    ends = np.clip(
        np.stack([g.from_scale(g.to_scale(s) - half), g.from_scale(g.to_scale(s) + half)]), 0.0, 1.0
    )
    return Limits(ends.min(axis=0), ends.max(axis=0))


class _Relative(NamedTuple):
    """Sharp limits of the Greenwood sum, the variance of log survival, and a point between them."""

    lower: FloatArray
    upper: FloatArray
    point: FloatArray


def _relative(survival: FloatArray, n: FloatArray, m: FloatArray) -> _Relative:
    """Greenwood sum over a stretch that n enter and m leave under observation, with this survival over it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        m = np.clip(m, 1.0, np.maximum(n * survival, 1.0))  # a rounded survival may leave room for too many
        lower, upper = (1.0 - survival) / (survival * n), (1.0 - survival) / m
        even = -np.log(survival) * (1.0 / m - 1.0 / n) / np.log(n / m)
    nobody_left_or_died = (survival >= 1) | (m >= n)
    return _Relative(lower, np.maximum(lower, upper), np.where(nobody_left_or_died, lower, even))


def _counts(*counts: npt.ArrayLike) -> tuple[FloatArray, ...]:
    return tuple(np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in counts)))


def variance_bounds(
    survival: npt.ArrayLike, n_total: npt.ArrayLike, n_at_risk: npt.ArrayLike = np.nan
) -> Limits:
    r"""Sharp interval of Greenwood's variance of a Kaplan-Meier estimate.

    :math:`S (1 - S) / n \le \mathrm{Var}(\hat S) \le S^2 (1 - S) / m`, where m of n patients are still at
    risk: the left end when all who are lost are lost after the last event, the right end, which is Peto's
    formula [1]_, when all are lost before the first.

    Parameters
    ----------
    survival : array_like of float, shape (...)
        Probabilities.
    n_total, n_at_risk : array_like of float, shape (...)
        Patients, and those at risk just after the landmark; nan where not reported. An unknown `n_at_risk` is
        at least 1, an unknown `n_total` leaves 0 as the lower end.

    Returns
    -------
    Limits
        Of the variance; nan where survival is 0 or 1.

    References
    ----------
    .. [1] Dorey FJ, Korn EL (1987). Effective sample sizes for confidence intervals for survival
       probabilities. Stat Med 6:679-687. https://doi.org/10.1002/sim.4780060605

    Examples
    --------
    >>> lower, upper = variance_bounds(0.699, 158, 82)
    >>> (lower**0.5).round(5).item(), (upper**0.5).round(5).item()
    (0.03649, 0.04235)
    """
    s, n, m = _counts(_inside(survival), n_total, n_at_risk)
    bounds = _relative(s, np.where(np.isnan(n), np.inf, n), np.where(np.isnan(m), 1.0, m))
    return Limits(s**2 * bounds.lower, s**2 * bounds.upper)


def variance_at_risk(survival: npt.ArrayLike, n_total: npt.ArrayLike, n_at_risk: npt.ArrayLike) -> FloatArray:
    r"""Variance of a Kaplan-Meier estimate when hazards of death and of loss are constant up to the landmark.

    The patients at risk then fall from n to m at a constant rate, and Greenwood's sum becomes

    .. math:: G = -\ln S \; \frac{1/m - 1/n}{\ln(n / m)}, \qquad \mathrm{Var}(\hat S) = S^2 G,

    which lies within `variance_bounds`, and is :math:`S (1 - S) / n` when nobody is lost.

    Parameters
    ----------
    survival, n_total, n_at_risk : array_like of float, shape (...)

    Examples
    --------
    >>> (variance_at_risk(0.699, 158, 82) ** 0.5).round(4).item()
    0.0396
    """
    s, n, m = _counts(_inside(survival), n_total, n_at_risk)
    return s**2 * _relative(s, n, m).point


def imputed_variance(
    survival: npt.ArrayLike, n_total: npt.ArrayLike, maturity: npt.ArrayLike = MATURITY
) -> FloatArray:
    r"""Variance when only the number of patients is known, :math:`S (1 - S) / (n \sqrt p)`.

    The geometric mean of the ends of `variance_bounds` with :math:`m = n S p` at risk, where the maturity p is
    the share of the survivors who are still under observation. That share is an assumption.

    Parameters
    ----------
    survival, n_total : array_like of float, shape (...)
    maturity : array_like of float, shape (...)
        In (0, 1].

    Examples
    --------
    >>> (imputed_variance(0.7, 100) ** 0.5).round(4).item()
    0.0545
    """
    s, n, p = _counts(_inside(survival), n_total, maturity)
    return np.asarray(s * (1.0 - s) / (n * np.sqrt(p)))


def reported_variance(
    survival: npt.ArrayLike,
    n_total: npt.ArrayLike,
    n_at_risk: npt.ArrayLike,
    *,
    maturity: float = MATURITY,
) -> ReportedVariance:
    r"""Variances at the landmarks of a curve, from n and whichever numbers at risk are reported.

    Numbers at risk cut the curve into stretches. Conditional survivals over them are independent, so the
    Greenwood sums of the stretches add up, and so do their sharp limits, which is narrower than the limits of
    the curve as a whole. On a stretch with both counts known the point is that of `variance_at_risk`. Where the
    count at the end is not reported it is at least the next one that is, or 1; the point is then the geometric
    mean of the limits with the share `maturity` of the survivors at risk, which is an assumption. Where n is not
    reported the first stretch takes its upper limit.

    Parameters
    ----------
    survival, n_at_risk : array_like of float, shape (..., m)
        In order of time; nan for a number at risk that is not reported.
    n_total : array_like of float, shape (...)
        nan where not reported.
    maturity : float
        In (0, 1].

    Returns
    -------
    ReportedVariance
        Each of shape (..., m); the variance is nan where survival is 0 or 1, or neither n nor a number at risk
        is known.

    Examples
    --------
    >>> found = reported_variance([0.699, 0.372], 158, [82, 8])
    >>> (found.variance**0.5).round(3).tolist(), (found.lower**0.5).round(3).tolist()
    ([0.04, 0.068], [0.036, 0.043])
    """
    s, at_risk = _counts(survival, n_at_risk)
    later = np.where(np.isnan(at_risk), 1.0, at_risk)
    least = np.maximum.accumulate(later[..., ::-1], axis=-1)[..., ::-1]

    n = np.broadcast_to(np.asarray(n_total, dtype=np.float64), s.shape[:-1])
    before, sums = np.ones(s.shape[:-1]), np.zeros((3, *s.shape[:-1]))
    variances = np.empty((3, *s.shape))
    for j in range(s.shape[-1]):
        known = ~np.isnan(at_risk[..., j])
        entered = np.where(np.isnan(n), np.inf, n)
        with np.errstate(divide="ignore", invalid="ignore"):  # survival 0 before: nan, as it should be
            p = np.where(before > 0, s[..., j] / before, np.nan)
            stretch = _relative(p, entered, least[..., j])
            assumed = _relative(p, entered, np.maximum(least[..., j], maturity * entered * p))
        guess = np.where(np.isnan(n), np.nan, np.sqrt(assumed.lower * assumed.upper))
        counted = np.where(np.isnan(n), stretch.upper, stretch.point)
        total = sums + np.stack([np.where(known, counted, guess), stretch.lower, stretch.upper])
        variances[..., j] = total * _inside(s[..., j]) ** 2
        sums = np.where(known, total, sums)
        before = np.where(known, s[..., j], before)
        n = np.where(known, np.maximum(at_risk[..., j], 1.0), n)  # survival above 0 left one for a while
    point, lower, upper = variances
    return ReportedVariance(point, lower, upper, np.isnan(at_risk) & np.isfinite(point))


def limit_without_events(
    n_total: npt.ArrayLike, n_at_risk: npt.ArrayLike, *, level: float = 0.95, maturity: float = MATURITY
) -> FloatArray:
    r"""Lower limit of survival when it is 1, :math:`\alpha^{1 / n'}` with all of :math:`\alpha` on one side.

    The effective number is :math:`n' = n m \ln(n / m) / (n - m)`, the limit of :math:`S (1 - S)` over
    `variance_at_risk` as S approaches 1; without a number at risk it is :math:`n \sqrt p`, as in
    `imputed_variance`.

    Examples
    --------
    >>> limit_without_events(30, 30).round(3).item()
    0.905
    """
    n, m = _counts(n_total, n_at_risk)
    n = np.where(np.isnan(n), m, n)
    m = np.minimum(m, n)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = n * m * np.log(n / m) / (n - m)
    effective = np.where(np.isnan(m), n * np.sqrt(maturity), np.where(m == n, n, between))
    return np.asarray((1.0 - level) ** (1.0 / effective))
