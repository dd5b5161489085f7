r"""Intervals under random effects: for the mean and for the effect of a new study.

`estimate` and `variance` have shape (..., k) and `tau2` shape (...), as in `netsynth.kernels.heterogeneity`;
results have shape (...). A study that a ragged set lacks has infinite variance. What is not defined for so
few studies is nan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, Protocol

import numpy as np
from scipy.special import stdtr, stdtrit

from netsynth._typing import FloatArray
from netsynth.kernels.heterogeneity import Mean, n_studies, q_statistic, weighted_mean
from netsynth.kernels.quadratic_form import quadratic_form_cdf
from netsynth.kernels.regression import mean_fit, standardised

#: Seed of the bootstrap when the caller brings no generator.
_SEED: Final = 20190528
#: Points at which the law of Q is tabulated against ln(1 + tau2), and the probability at which the table ends.
_QUANTILES: Final = 400
_NEVER: Final = 1e-6
_FARTHEST: Final = 300.0


class Limits(NamedTuple):
    """Lower and upper limits, arrays of one shape."""

    lower: FloatArray
    upper: FloatArray


class MeanError(NamedTuple):
    """The mean, its standard error, and the degrees of freedom of its t distribution, infinite for normal."""

    mean: FloatArray
    se: FloatArray
    df: FloatArray


class MeanErrorMethod(Protocol):
    """What the standard error of the mean looks like."""

    def __call__(
        self,
        estimate: FloatArray,
        variance: FloatArray,
        tau2: FloatArray,
        weight: FloatArray | None = None,
        /,
    ) -> MeanError:
        """Error of the mean of each set."""
        ...


class PredictionLimits(Protocol):
    """What a prediction interval looks like."""

    def __call__(
        self,
        estimate: FloatArray,
        variance: FloatArray,
        tau2: FloatArray,
        level: float,
        weight: FloatArray | None = None,
        /,
    ) -> Limits:
        """Limits for the effect of a new study, for each set."""
        ...


class Exceedance(Protocol):
    """What the probability of an effect above a value looks like."""

    def __call__(
        self,
        estimate: FloatArray,
        variance: FloatArray,
        tau2: FloatArray,
        value: float,
        weight: FloatArray | None = None,
        /,
    ) -> FloatArray:
        """Probability for each set."""
        ...


def critical_value(df: FloatArray | float, level: float) -> FloatArray:
    """Two-sided critical value of t on `df` degrees of freedom, normal at infinity; nan where df <= 0."""
    return np.asarray(-stdtrit(df, 0.5 * (1.0 - level)))


def limits(centre: FloatArray, se: FloatArray, df: FloatArray | float, level: float) -> Limits:
    """Symmetric limits, centre -+ critical value x se."""
    half = critical_value(df, level) * se
    return Limits(centre - half, centre + half)


def two_sided_pvalue(statistic: FloatArray, df: FloatArray | float) -> FloatArray:
    """P-value of a t statistic, normal at infinite df; from the tail, so never rounded to zero early."""
    return np.asarray(2.0 * stdtr(df, -np.abs(statistic)))


def combine(
    estimate: FloatArray, variance: FloatArray, tau2: FloatArray, weight: FloatArray | None = None
) -> Mean:
    r"""Mean of each set and its variance under random effects.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
    tau2 : ndarray, shape (...)
    weight : ndarray, shape (..., k), optional
        Weights of one's own, zero for an absent study; by default :math:`1 / (v_i + \tau^2)`, which are best. With
        weights a the variance is :math:`\sum a_i^2 (v_i + \tau^2) / (\sum a_i)^2`.

    Returns
    -------
    Mean
        Arrays of shape (...).
    """
    total = variance + np.asarray(tau2)[..., None]
    if weight is None:
        return weighted_mean(estimate, total)
    share = weight / weight.sum(-1, keepdims=True)
    spread = np.where(share > 0, share * share * np.where(share > 0, total, 0.0), 0.0).sum(-1)
    return Mean((share * estimate).sum(-1), spread)


def _df(variance: FloatArray, spent: int) -> FloatArray:
    return np.asarray(n_studies(variance) - spent, dtype=np.float64)


def wald(
    estimate: FloatArray, variance: FloatArray, tau2: FloatArray, weight: FloatArray | None = None, /
) -> MeanError:
    r"""Normal with :math:`\mathrm{se} = (\sum w_i)^{-1/2}`, :math:`w_i = 1 / (v_i + \tau^2)`; see `combine`."""
    mean, spread = combine(estimate, variance, tau2, weight)
    return MeanError(mean, np.sqrt(spread), np.full(mean.shape, np.inf))


def student(
    estimate: FloatArray, variance: FloatArray, tau2: FloatArray, weight: FloatArray | None = None, /
) -> MeanError:
    """The standard error of `wald` with t on k - 1 degrees of freedom."""
    mean, spread = combine(estimate, variance, tau2, weight)
    return MeanError(mean, np.sqrt(spread), _df(variance, 1))


def _scale(estimate: FloatArray, variance: FloatArray, tau2: FloatArray) -> FloatArray:
    """Knapp and Hartung's q: the generalised Q over its k - 1 degrees of freedom; nan when k = 1."""
    df = _df(variance, 1)
    q = q_statistic(estimate, variance + np.asarray(tau2)[..., None])
    return np.where(df > 0, q / np.maximum(df, 1.0), np.nan)


def knapp_hartung(
    estimate: FloatArray, variance: FloatArray, tau2: FloatArray, weight: FloatArray | None = None, /
) -> MeanError:
    r"""Knapp-Hartung: :math:`\mathrm{se}^2 = q / \sum w_i`, :math:`q = \sum w_i (y_i - \hat\mu)^2 / (k - 1)`.

    t on k - 1 degrees of freedom [1]_. Identical effects give q = 0, from which nothing can be said
    about the error of their mean: the standard error is then nan. With weights of one's own q, which estimates
    1, multiplies their variance in the same way.

    References
    ----------
    .. [1] Knapp G, Hartung J (2003). Improved tests for a random effects meta-regression with a single
       covariate. Stat Med 22:2693-2710. https://doi.org/10.1002/sim.1482
    """
    mean, spread = combine(estimate, variance, tau2, weight)
    scale = _scale(estimate, variance, tau2)
    return MeanError(mean, np.sqrt(spread * np.where(scale > 0, scale, np.nan)), _df(variance, 1))


def modified_knapp_hartung(
    estimate: FloatArray, variance: FloatArray, tau2: FloatArray, weight: FloatArray | None = None, /
) -> MeanError:
    """Knapp-Hartung with max(1, q) for q, so never below the standard error of `wald` [1]_.

    References
    ----------
    .. [1] Röver C, Knapp G, Friede T (2015). Hartung-Knapp-Sidik-Jonkman approach and its modification
       for random-effects meta-analysis with few studies. BMC Med Res Methodol 15:99.
       https://doi.org/10.1186/s12874-015-0091-1
    """
    mean, spread = combine(estimate, variance, tau2, weight)
    scale = np.maximum(_scale(estimate, variance, tau2), 1.0)
    return MeanError(mean, np.sqrt(spread * scale), _df(variance, 1))


def kenward_roger(
    estimate: FloatArray, variance: FloatArray, tau2: FloatArray, _weight: FloatArray | None = None, /
) -> MeanError:
    r"""Kenward-Roger: the variance made larger for the error of tau2, and degrees of freedom to match [1]_.

    With :math:`S_r = \sum w_i^r` and the expected information of tau2 under REML,
    :math:`I = S_2 / 2 - S_3 / S_1 + (S_2 / S_1)^2 / 2`,

    .. math::
       \mathrm{se}^2 = \frac{1}{S_1} \left(1 + \frac{2}{I}
       \left(\frac{S_3}{S_1} - \frac{S_2^2}{S_1^2}\right)\right), \qquad \nu = \frac{2 I}{(\mathrm{se}^2 S_2)^2}

    Meant for the tau2 of REML and the weights :math:`1 / (v_i + \tau^2)`; weights of one's own are not looked at. The
    degrees of freedom are those that Partlett and Riley [2]_ give; they have the larger variance in their
    denominator, where the general formula has :math:`1 / S_1`, and so are fewer.

    References
    ----------
    .. [1] Kenward MG, Roger JH (1997). Small sample inference for fixed effects from restricted maximum
       likelihood. Biometrics 53:983-997.
    .. [2] Partlett C, Riley RD (2017). Random effects meta-analysis: coverage performance of 95% confidence
       and prediction intervals following REML estimation. Stat Med 36:301-317. https://doi.org/10.1002/sim.7140
    """
    sets = standardised(estimate, variance)
    fit = sets.at(tau2 / sets.unit)
    w, some = fit.w, sets.df > 0
    first, square = w.sum(-1), (w * w).sum(-1)
    information = np.where(some, 0.5 * fit.trace_squared(), np.nan)
    # S3 / S1 - (S2 / S1)^2 is the variance of w under the weights w / S1, which loses no digits
    centre = square / first
    scatter = (w * (w - centre[..., None]) ** 2).sum(-1) / first
    larger = (1.0 + 2.0 * scatter / information) / first
    mean = combine(estimate, variance, tau2).mean
    return MeanError(mean, np.sqrt(sets.unit * larger), 2.0 * information / (larger * square) ** 2)


CiMethod = Literal["wald", "t", "HK", "mHK", "KR"]
#: Every interval for the mean by name.
CI_METHODS: Final[Mapping[CiMethod, MeanErrorMethod]] = MappingProxyType(
    {
        "wald": wald,
        "t": student,
        "HK": knapp_hartung,
        "mHK": modified_knapp_hartung,
        "KR": kenward_roger,
    }
)


def predict(
    estimate: FloatArray,
    variance: FloatArray,
    tau2: FloatArray,
    level: float,
    weight: FloatArray | None = None,
    /,
    *,
    error: MeanErrorMethod,
    spent: int | None,
) -> Limits:
    r"""Limits for the effect of a new study, :math:`\hat\mu \mp t \sqrt{\tau^2 + \mathrm{se}^2}`.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
    tau2 : ndarray, shape (...)
    level : float
    weight : ndarray, shape (..., k), optional
        As in `combine`.
    error : MeanErrorMethod
        Which standard error of the mean.
    spent : int or None
        t has k - spent degrees of freedom and the limits are nan when none are left; None for those of `error`.

    Returns
    -------
    Limits
        Arrays of shape (...).
    """
    return limits(*_predictive(estimate, variance, tau2, weight, error, spent), level)


def exceed(
    estimate: FloatArray,
    variance: FloatArray,
    tau2: FloatArray,
    value: float,
    weight: FloatArray | None = None,
    /,
    *,
    error: MeanErrorMethod,
    spent: int | None,
) -> FloatArray:
    r"""Probability that the effect of a new study is above a value x, shape (...).

    :math:`P(T > (x - \hat\mu) / \sqrt{\tau^2 + \mathrm{se}^2})` with the law whose quantiles are the limits of
    `predict`; nan where these are.
    """
    mean, scale, df = _predictive(estimate, variance, tau2, weight, error, spent)
    return np.asarray(stdtr(df, (mean - value) / scale))


def _predictive(
    estimate: FloatArray,
    variance: FloatArray,
    tau2: FloatArray,
    weight: FloatArray | None,
    error: MeanErrorMethod,
    spent: int | None,
) -> MeanError:
    """Centre, scale and degrees of freedom of the law of a new effect."""
    mean, se, df = error(estimate, variance, tau2, weight)
    return MeanError(mean, np.sqrt(tau2 + se**2), df if spent is None else _df(variance, spent))


def bootstrap_prediction(
    estimate: FloatArray,
    variance: FloatArray,
    _tau2: FloatArray,
    level: float,
    _weight: FloatArray | None = None,
    /,
    *,
    rng: np.random.Generator | None = None,
    n_draws: int = 20_000,
) -> Limits:
    r"""Prediction limits after Nagashima, Noma and Furukawa, in which tau2 is not taken as known [1]_.

    tau2 is drawn from its confidence distribution, under which the observed Q is as likely to be exceeded as a
    uniform number says; the law of Q is exact. With it come a mean :math:`\hat\mu_b`, a Knapp-Hartung standard
    error :math:`s_b`, a normal :math:`z_b` and a t variable on k - 1 degrees of freedom :math:`t_b`; the limits are
    quantiles of :math:`\hat\mu_b + z_b \tau_b - t_b s_b`.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
    _tau2, level, _weight
        As in `predict`; tau2 and weights are not looked at.
    rng : numpy.random.Generator, optional
        By default one with a fixed seed, so that the same data have the same interval.
    n_draws : int
        At 20,000 a limit varies by about 1 in 70 of the standard deviation of what is predicted.

    Returns
    -------
    Limits
        Arrays of shape (...); nan when k = 1 or all effects are equal.

    References
    ----------
    .. [1] Nagashima K, Noma H, Furukawa TA (2019). Prediction intervals for random-effects meta-analysis: a
       confidence distribution approach. Stat Methods Med Res 28:1689-1702.
       https://doi.org/10.1177/0962280218773520
    """
    tails = [0.5 * (1.0 - level), 0.5 * (1.0 + level)]

    def ends(drawn: FloatArray) -> FloatArray:
        return np.asarray(np.quantile(drawn, tails))

    lower, upper = np.moveaxis(_of_draws(estimate, variance, ends, 2, rng, n_draws), -1, 0)
    return Limits(lower, upper)


def bootstrap_exceed(
    estimate: FloatArray,
    variance: FloatArray,
    _tau2: FloatArray,
    value: float,
    _weight: FloatArray | None = None,
    /,
    *,
    rng: np.random.Generator | None = None,
    n_draws: int = 20_000,
) -> FloatArray:
    """Share of the draws of `bootstrap_prediction` above a value, shape (...); right to about 0.004 at most."""

    def share(drawn: FloatArray) -> FloatArray:
        return np.asarray([np.mean(drawn > value)])

    return _of_draws(estimate, variance, share, 1, rng, n_draws)[..., 0]


def _of_draws(
    estimate: FloatArray,
    variance: FloatArray,
    summary: Callable[[FloatArray], FloatArray],
    n_values: int,
    rng: np.random.Generator | None,
    n_draws: int,
) -> FloatArray:
    """What `summary` says of the predictive draws of each set, shape (..., n_values); nan where there are none."""
    sets = standardised(estimate, variance)
    shape, k = sets.unit.shape, sets.y.shape[-1]
    out = np.full((int(np.prod(shape)), n_values), np.nan)
    flat = zip(sets.y.reshape(-1, k), sets.v.reshape(-1, k), sets.unit.reshape(-1), strict=True)
    origin = np.take_along_axis(estimate, np.argmin(variance, -1)[..., None], -1)[..., 0].reshape(-1)
    for i, (y, v, unit) in enumerate(flat):
        present = np.isfinite(v)
        if present.sum() > 1 and np.ptp(y[present]) > 0:
            own = np.random.default_rng(_SEED) if rng is None else rng
            drawn = _predictive_draws(y[present], v[present], own, n_draws)
            out[i] = summary(origin[i] + np.sqrt(unit) * drawn)
    return out.reshape(*shape, n_values)


def _predictive_draws(y: FloatArray, v: FloatArray, rng: np.random.Generator, n_draws: int) -> FloatArray:
    tau2 = confident_tau2(y, v, rng.random(n_draws))
    k, y, v = y.size, np.broadcast_to(y, (n_draws, y.size)), np.broadcast_to(v, (n_draws, v.size))
    mean, se, _ = knapp_hartung(y, v, tau2)
    z, t = rng.standard_normal(n_draws), rng.standard_t(k - 1, n_draws)
    return np.asarray(mean + z * np.sqrt(tau2) - t * se)


def confident_tau2(y: FloatArray, v: FloatArray, probability: FloatArray) -> FloatArray:
    """The tau2 under which Q stays below the observed one with a given probability, 0 where none does.

    Parameters
    ----------
    y, v : ndarray, shape (k,)
        Effects and variances of one set.
    probability : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (n,)
        Interpolated between 400 points, which is right to about 1e-3 of tau2.
    """
    fit = mean_fit(y, 1.0 / v)
    half, q = np.sqrt(fit.w), fit.q()
    centred = np.eye(y.size) - np.multiply.outer(half, half) / fit.total
    # Q is a sum of chi-squared variables with weights 1 + tau2 g, g the eigenvalues of W with the mean taken out
    g = np.maximum(np.linalg.eigvalsh(centred * fit.w @ centred)[1:], 0.0)
    top = 1.0
    while top < _FARTHEST and quadratic_form_cdf(q, 1.0 + np.expm1(top) * g) > _NEVER:
        top += 1.0
    grid = np.linspace(0.0, top, _QUANTILES)
    falling = quadratic_form_cdf(q, 1.0 + np.expm1(grid)[:, None] * g)
    return np.expm1(np.interp(-probability, -falling, grid))


PredictionMethod = Literal[
    "normal", "t_km1", "t_km2", "HK_km1", "HK_km2", "mHK_km1", "mHK_km2", "KR", "bootstrap"
]
#: The standard error of the mean and the degrees of freedom spent, or those of the error, of each law of a new effect.
_LAWS: Final[Mapping[PredictionMethod, tuple[MeanErrorMethod, int | None]]] = MappingProxyType(
    {
        "normal": (wald, None),
        "t_km1": (wald, 1),
        "t_km2": (wald, 2),
        "HK_km1": (knapp_hartung, 1),
        "HK_km2": (knapp_hartung, 2),
        "mHK_km1": (modified_knapp_hartung, 1),
        "mHK_km2": (modified_knapp_hartung, 2),
        "KR": (kenward_roger, None),
    }
)
#: Every prediction interval by name. t_km2 is Higgins, Thompson and Spiegelhalter's (2009),
#: https://doi.org/10.1111/j.1467-985X.2008.00552.x; HK_km2 and KR are Partlett and Riley's (2017),
#: https://doi.org/10.1002/sim.7140.
PREDICTION_METHODS: Final[Mapping[PredictionMethod, PredictionLimits]] = MappingProxyType(
    {name: partial(predict, error=error, spent=spent) for name, (error, spent) in _LAWS.items()}
    | {"bootstrap": bootstrap_prediction}
)
#: The probability that a new effect is above a value, by the law that each prediction interval has.
EXCEEDANCES: Final[Mapping[PredictionMethod, Exceedance]] = MappingProxyType(
    {name: partial(exceed, error=error, spent=spent) for name, (error, spent) in _LAWS.items()}
    | {"bootstrap": bootstrap_exceed}
)
