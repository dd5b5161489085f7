r"""Intervals for the variance between studies.

Shapes as in `netsynth.kernels.tau2`. Limits that no data could give, below zero, are zero; an interval is
[0, 0] when the studies differ so little that no tau2 agrees with them, and nan where no degree of freedom is
left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, Protocol

import numpy as np
from scipy.special import gammainc, gammainccinv, gammaincinv, ndtri

from netsynth._typing import FloatArray
from netsynth.kernels.intervals import Limits
from netsynth.kernels.likelihood import ML, REML, Likelihood, highest
from netsynth.kernels.quadratic_form import quadratic_form_cdf
from netsynth.kernels.regression import Standard, design_fit, standardised
from netsynth.kernels.tau2 import tau2_at_q

#: Doublings of the upper end of a bracket, and halvings of the bracket on the scale of ln(1 + tau2).
_DOUBLINGS: Final = 200
_HALVINGS: Final = 60
#: By how much a probability may miss its target, and the ends of a bracket be apart, when a limit is found.
_MISSED: Final = 1e-12
_APART: Final = 1e-14
#: Points of the grid on which a profile is looked at for the outermost crossings.
_PROFILE_POINTS: Final = 160


class Tau2IntervalMethod(Protocol):
    """What an interval for tau2 looks like."""

    def __call__(
        self, estimate: FloatArray, variance: FloatArray, level: float, design: FloatArray | None = None, /
    ) -> Limits:
        """Limits of each set."""
        ...


def q_profile(
    estimate: FloatArray, variance: FloatArray, level: float, design: FloatArray | None = None, /
) -> Limits:
    r"""Q-profile interval for tau2: the values at which the generalised Q is not improbable.

    The limits solve :math:`Q(\tau^2) = \chi^2_{k-p, 1 - \alpha/2}` and
    :math:`Q(\tau^2) = \chi^2_{k-p, \alpha/2}` [1]_. The interval is exact under the model.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
    level : float
    design : ndarray, shape (..., k, p), optional

    Returns
    -------
    Limits
        Arrays of shape (...).

    References
    ----------
    .. [1] Viechtbauer W (2007). Confidence intervals for the amount of heterogeneity in meta-analysis.
       Stat Med 26:37-52. https://doi.org/10.1002/sim.2514
    """
    df = _df(variance, design)
    half, tail = np.where(df > 0, 0.5 * df, np.nan), 0.5 * (1.0 - level)
    targets = 2.0 * np.stack([gammainccinv(half, tail), gammaincinv(half, tail)])
    tau2 = tau2_at_q(estimate, variance, np.where(df > 0, targets, np.inf), design).tau2
    lower, upper = np.where(df > 0, tau2, np.nan)
    return Limits(lower, upper)


def biggerstaff_tweedie(
    estimate: FloatArray, variance: FloatArray, level: float, design: FloatArray | None = None, /
) -> Limits:
    r"""Interval from the law of Q, taken to be a gamma law with the right mean and variance [1]_.

    :math:`E(Q) = k - p + \tau^2 \mathrm{tr} P` and
    :math:`\mathrm{var}(Q) = 2 (k - p) + 4 \tau^2 \mathrm{tr} P + 2 \tau^4 \mathrm{tr}(PP)`. The limits are the tau2 at
    which the observed Q is the upper or the lower quantile.

    Parameters
    ----------
    estimate, variance, level, design
        As in `q_profile`.

    Returns
    -------
    Limits
        Arrays of shape (...).

    References
    ----------
    .. [1] Biggerstaff BJ, Tweedie RL (1997). Incorporating variability in estimates of heterogeneity in the random
       effects model in meta-analysis. Stat Med 16:753-768.
    """
    sets = standardised(estimate, variance, design)
    fit, df = sets.at(0.0), sets.df
    q, first, second = fit.q(), fit.trace(), fit.trace_squared()

    def below(tau2: FloatArray) -> FloatArray:
        mean = np.where(df > 0, df + tau2 * first, 1.0)
        spread = np.where(df > 0, 2.0 * df + 4.0 * tau2 * first + 2.0 * tau2 * tau2 * second, 1.0)
        return np.asarray(gammainc(mean * mean / spread, q * mean / spread))

    return _at_tails(below, sets, level)


def generalised_q(
    estimate: FloatArray,
    variance: FloatArray,
    level: float,
    design: FloatArray | None = None,
    /,
    *,
    weight: FloatArray | None = None,
) -> Limits:
    r"""Interval from the exact law of a generalised Q with fixed weights, by default 1 / se [1]_.

    :math:`Q_a = y'P_a y` is a sum of chi-squared variables weighted with the eigenvalues of
    :math:`\Sigma^{1/2} P_a \Sigma^{1/2}`. The limits are the tau2 at which the observed one is the upper or the lower
    quantile of that law.

    Parameters
    ----------
    estimate, variance, level, design
        As in `q_profile`.
    weight : ndarray, shape (..., k), optional
        Positive.

    Returns
    -------
    Limits
        Arrays of shape (...).

    References
    ----------
    .. [1] Jackson D (2013). Confidence intervals for the between-study variance in random effects meta-analysis
       using generalised Cochran heterogeneity statistics. Res Synth Methods 4:220-229.
    """
    if design is None:
        design = np.ones((variance.shape[-1], 1))
    sets = standardised(estimate, variance, design)
    a = 1.0 / np.sqrt(sets.v) if weight is None else weight / weight.max(-1, keepdims=True)
    a = np.where(np.isfinite(sets.v), a, 0.0)
    fit = design_fit(sets.y, a, design)
    maker = np.sqrt(a)[..., None] * (np.eye(a.shape[-1]) - fit.basis @ np.swapaxes(fit.basis, -1, -2))
    turned = np.swapaxes(maker, -1, -2)
    sampling = turned @ (np.where(np.isfinite(sets.v), sets.v, 0.0)[..., None] * maker)
    between, q = turned @ maker, fit.q()

    def below(tau2: FloatArray) -> FloatArray:
        eigenvalue = np.linalg.eigvalsh(sampling + tau2[..., None, None] * between)
        return quadratic_form_cdf(q, np.maximum(eigenvalue, 0.0))

    return _at_tails(below, sets, level)


def _at_tails(below: Callable[[FloatArray], FloatArray], sets: Standard, level: float) -> Limits:
    """The tau2 at which a probability that falls with tau2 is that of the upper and of the lower tail."""
    tail = 0.5 * (1.0 - level)
    lower, upper = (_crossing(below, target, sets.unit.shape) for target in (1.0 - tail, tail))
    some = sets.df > 0
    return Limits(np.where(some, sets.unit * lower, np.nan), np.where(some, sets.unit * upper, np.nan))


def _crossing(
    falling: Callable[[FloatArray], FloatArray], target: FloatArray | float, shape: tuple[int, ...]
) -> FloatArray:
    """Where a falling function of tau2 reaches a target, 0 where it starts below; false position in ln(1 + tau2)."""
    at_zero = falling(np.zeros(shape)) - target
    low, high, over = np.zeros(shape), np.ones(shape), at_zero
    for _ in range(_DOUBLINGS):
        under = falling(np.expm1(high)) - target
        if not (under > 0).any():
            break
        low, over = np.where(under > 0, high, low), np.where(under > 0, under, over)
        high = np.where(under > 0, high + 1.0, high)
    side, done, root = np.zeros(shape), at_zero <= 0, np.zeros(shape)
    for iteration in range(1, _HALVINGS + 1):
        # an end that stays where it is counts half the next time; each third step halves what is left for certain
        middle = 0.5 * (low + high)
        if iteration % 3:
            with np.errstate(divide="ignore", invalid="ignore"):
                point = low + over / (over - under) * (high - low)
            middle = np.where((point > low) & (point < high), point, middle)
        now = falling(np.expm1(middle)) - target
        above = now > 0
        under = np.where(above & (side > 0), 0.5 * under, under)
        over = np.where(~above & (side < 0), 0.5 * over, over)
        low, over = np.where(above, middle, low), np.where(above, now, over)
        high, under = np.where(above, high, middle), np.where(above, under, now)
        side = np.where(above, 1.0, -1.0)
        arrived = ~done & ((np.abs(now) <= _MISSED) | (high - low <= _APART * high))
        root, done = np.where(arrived, middle, root), done | arrived
        if done.all():
            break
    return np.expm1(np.where(done, root, 0.5 * (low + high)))


def _profile(
    estimate: FloatArray,
    variance: FloatArray,
    level: float,
    design: FloatArray | None,
    likelihood: Likelihood,
) -> Limits:
    best = highest(estimate, variance, design, likelihood).tau2
    sets = standardised(estimate, variance, design)
    drop = 0.5 * ndtri(0.5 * (1.0 - level)) ** 2
    best = best / sets.unit
    floor = likelihood.height(sets.at(best)) - drop

    def above(tau2: FloatArray) -> FloatArray:
        return np.asarray(likelihood.height(sets.at(tau2)) - floor)

    # far out the likelihood falls as a power of tau2: climb until it is below, then look at the whole profile,
    # which may cross more than once, and close in on the outermost crossings
    top = np.log1p(best) + 1.0
    some = sets.df > 0  # without a degree of freedom it does not fall
    for _ in range(_DOUBLINGS):
        inside = some & (above(np.expm1(top)) > 0)
        if not inside.any():
            break
        top = np.where(inside, 1.5 * top + 1.0, top)
    share = np.linspace(0.0, 1.0, _PROFILE_POINTS)
    grid = np.concatenate([np.multiply.outer(share, top), np.log1p(best)[None]])
    grid.sort(axis=0)
    inside = np.stack([above(np.expm1(point)) >= 0 for point in grid])
    first = np.argmax(inside, axis=0)[None]
    last = len(grid) - 1 - np.argmax(inside[::-1], axis=0)[None]
    ends = []
    for low, high, rising in (
        (np.maximum(first - 1, 0), first, True),
        (last, np.minimum(last + 1, len(grid) - 1), False),
    ):
        a, b = (np.take_along_axis(grid, place, 0)[0] for place in (low, high))
        for _ in range(_HALVINGS):
            middle = 0.5 * (a + b)
            to_upper = (above(np.expm1(middle)) < 0) == rising
            a, b = np.where(to_upper, middle, a), np.where(to_upper, b, middle)
        ends.append(np.where(low == high, 0.0, np.expm1(0.5 * (a + b)))[0])
    return Limits(*(np.where(some, sets.unit * end, np.nan) for end in ends))


def profile_reml(
    estimate: FloatArray, variance: FloatArray, level: float, design: FloatArray | None = None, /
) -> Limits:
    r"""Profile interval by the restricted likelihood: tau2 less than :math:`\chi^2_1 / 2` below the maximum [1]_.

    Where the likelihood has two maxima and falls below that mark between them, the interval goes from the outermost
    crossing to the outermost.

    Parameters
    ----------
    estimate, variance, level, design
        As in `q_profile`.

    Returns
    -------
    Limits
        Arrays of shape (...).

    References
    ----------
    .. [1] Hardy RJ, Thompson SG (1996). A likelihood approach to meta-analysis with random effects. Stat Med
       15:619-629.
    """
    return _profile(estimate, variance, level, design, REML)


def profile_ml(
    estimate: FloatArray, variance: FloatArray, level: float, design: FloatArray | None = None, /
) -> Limits:
    """As `profile_reml`, by the likelihood itself."""
    return _profile(estimate, variance, level, design, ML)


def _df(variance: FloatArray, design: FloatArray | None) -> FloatArray:
    spent = 1 if design is None else design.shape[-1]
    return np.asarray(np.isfinite(variance).sum(-1) - spent, dtype=np.float64)


Tau2Interval = Literal["QP", "PL_REML", "PL_ML", "BT", "GENQ"]
#: Every interval for tau2 by name.
TAU2_INTERVALS: Final[Mapping[Tau2Interval, Tau2IntervalMethod]] = MappingProxyType(
    {
        "QP": q_profile,
        "PL_REML": profile_reml,
        "PL_ML": profile_ml,
        "BT": biggerstaff_tweedie,
        "GENQ": generalised_q,
    }
)
