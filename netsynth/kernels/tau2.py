r"""Estimators of the variance between studies, for a mean or for a regression.

Each takes effects and variances of shape (..., k) and, optionally, a design of shape (..., k, p), and gives one
tau2 a set, shape (...). Without a design the mean is meant. They go by the names that metafor gives them.

With weights W and P as in `netsynth.kernels.regression`,
:math:`E(y'Py) = \mathrm{tr}(PV) + \tau^2 \mathrm{tr}(P)`. Moment estimators equate the two sides and differ in their
weights; where the weights contain tau2 the equation is solved for it. The likelihoods, which may have several
maxima, are in `netsynth.kernels.likelihood`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, Protocol

import numpy as np
from scipy.special import gammaincinv

from netsynth._typing import BoolArray, FloatArray
from netsynth.kernels.likelihood import ML, REML, highest
from netsynth.kernels.regression import Fit, Standard, standardised

_MAX_ITERATIONS: Final = 200
#: Relative distance at which an iteration has arrived; the step that showed it, which squares the distance, is taken
#: all the same.
_TOLERANCE: Final = 1e-8


class Tau2Estimate(NamedTuple):
    """Between-study variance of each set, shape (...), and whether and how soon the iteration arrived."""

    tau2: FloatArray | float
    converged: BoolArray | bool
    n_iterations: int


class Tau2Estimator(Protocol):
    """What an estimator of the between-study variance looks like; a user may bring one."""

    def __call__(
        self, estimate: FloatArray, variance: FloatArray, design: FloatArray | None = None, /
    ) -> Tau2Estimate:
        """Estimate tau2 of each set."""
        ...


def _closed(tau2: FloatArray) -> Tau2Estimate:
    return Tau2Estimate(tau2, np.ones(tau2.shape, dtype=np.bool_), 0)


def _moment(sets: Standard, fit: Fit, sampling: FloatArray) -> Tau2Estimate:
    """(y'Py - tr PV) / tr P, truncated at zero; 0 where no degree of freedom is left."""
    excess = np.where(sets.df > 0, np.maximum(fit.q() - sampling, 0.0), 0.0)
    return _closed(sets.unit * excess / np.where(excess > 0, fit.trace(), 1.0))


def tau2_ce(estimate: FloatArray, variance: FloatArray, design: FloatArray | None = None, /) -> Tau2Estimate:
    """Common effect: no variance between studies."""
    shape = np.broadcast_shapes(estimate.shape, variance.shape)[:-1]
    if design is not None:
        shape = np.broadcast_shapes(shape, design.shape[:-2])
    return _closed(np.zeros(shape))


def tau2_dl(estimate: FloatArray, variance: FloatArray, design: FloatArray | None = None, /) -> Tau2Estimate:
    r"""DerSimonian-Laird: the moment estimator with weights 1 / v, :math:`(Q - (k - p)) / \mathrm{tr} P` [1]_.

    For a mean :math:`\mathrm{tr} P = \sum w - \sum w^2 / \sum w`.

    References
    ----------
    .. [1] DerSimonian R, Laird N (1986). Meta-analysis in clinical trials. Control Clin Trials
       7:177-188. https://doi.org/10.1016/0197-2456(86)90046-2
    """
    sets = standardised(estimate, variance, design)
    return _moment(sets, sets.at(0.0), sets.df.astype(np.float64))


def tau2_dl2(estimate: FloatArray, variance: FloatArray, design: FloatArray | None = None, /) -> Tau2Estimate:
    r"""Two-step DerSimonian-Laird: the moment estimator with weights :math:`1 / (v + \tau^2_{DL})` [1]_.

    References
    ----------
    .. [1] DerSimonian R, Kacker R (2007). Random-effects model for meta-analysis of clinical trials: an update.
       Contemp Clin Trials 28:105-114. https://doi.org/10.1016/j.cct.2006.04.004
    """
    sets = standardised(estimate, variance, design)
    first = _moment(sets, sets.at(0.0), sets.df.astype(np.float64)).tau2 / sets.unit
    fit = sets.at(first)
    return _moment(sets, fit, fit.trace_with(sets.v))


def tau2_he(estimate: FloatArray, variance: FloatArray, design: FloatArray | None = None, /) -> Tau2Estimate:
    r"""Hedges: the moment estimator with equal weights, for a mean :math:`s_y^2 - \bar v` [1]_.

    References
    ----------
    .. [1] Hedges LV, Olkin I (1985). Statistical methods for meta-analysis. Academic Press, San Diego.
    """
    sets = standardised(estimate, variance, design)
    fit = sets.weighted(np.isfinite(sets.v).astype(np.float64))
    return _moment(sets, fit, fit.trace_with(sets.v))


def _hunter_schmidt(sets: Standard, correct: bool) -> Tau2Estimate:
    fit = sets.at(0.0)
    k = np.isfinite(sets.v).sum(-1)
    factor = k / np.maximum(sets.df, 1) if correct else 1.0
    excess = np.where(sets.df > 0, np.maximum(factor * fit.q() - k, 0.0), 0.0)
    return _closed(sets.unit * excess / fit.w.sum(-1))


def tau2_hs(estimate: FloatArray, variance: FloatArray, design: FloatArray | None = None, /) -> Tau2Estimate:
    r"""Hunter-Schmidt: :math:`(Q - k) / \sum w`, below zero on average when studies are few [1]_.

    References
    ----------
    .. [1] Hunter JE, Schmidt FL (1990). Methods of meta-analysis: correcting error and bias in research findings.
       Sage, Newbury Park.
    """
    return _hunter_schmidt(standardised(estimate, variance, design), correct=False)


def tau2_hsk(estimate: FloatArray, variance: FloatArray, design: FloatArray | None = None, /) -> Tau2Estimate:
    r"""Hunter-Schmidt with its small-sample correction: :math:`(Q k / (k - p) - k) / \sum w`."""
    return _hunter_schmidt(standardised(estimate, variance, design), correct=True)


def tau2_sj(estimate: FloatArray, variance: FloatArray, design: FloatArray | None = None, /) -> Tau2Estimate:
    r"""Sidik-Jonkman: :math:`\tau_0^2\, y'Py / (k - p)` with weights :math:`1 / (v + \tau_0^2)` [1]_.

    :math:`\tau_0^2 = \sum (y_i - \bar y)^2 / k` is what effects without sampling error would have. The estimate is
    above zero whenever effects differ, so it is too high when there is no heterogeneity.

    References
    ----------
    .. [1] Sidik K, Jonkman JN (2005). Simple heterogeneity variance estimation for meta-analysis. J R Stat Soc C
       54:367-384. https://doi.org/10.1111/j.1467-9876.2005.00489.x
    """
    sets = standardised(estimate, variance, design)
    plain = standardised(estimate, variance)  # the first guess knows no moderators
    k = np.isfinite(plain.v).sum(-1)
    crude = plain.weighted(np.isfinite(plain.v).astype(np.float64)).q() / np.maximum(k, 1)
    crude = crude * plain.unit / sets.unit
    q = sets.at(crude).q()
    return _closed(sets.unit * crude * q / np.maximum(sets.df, 1) * (sets.df > 0))


def genq(weight: FloatArray) -> Tau2Estimator:
    r"""Generalised moment estimator with weights of one's own, :math:`(y'Py - \mathrm{tr}(PV)) / \mathrm{tr} P` [1]_.

    Parameters
    ----------
    weight : ndarray, shape (..., k)
        Positive, and fixed beforehand.

    Returns
    -------
    Tau2Estimator

    References
    ----------
    .. [1] Jackson D (2013). Confidence intervals for the between-study variance in random effects meta-analysis
       using generalised Cochran heterogeneity statistics. Res Synth Methods 4:220-229.
    """

    def tau2_genq(
        estimate: FloatArray, variance: FloatArray, design: FloatArray | None = None, /
    ) -> Tau2Estimate:
        shared = np.broadcast_arrays(weight, variance)[0]
        a = np.where(np.isfinite(variance), shared / shared.max(-1, keepdims=True), 0.0)
        if design is None:  # the standard form has its own order of studies
            design = np.ones((*variance.shape[-1:], 1))
        sets = standardised(estimate, variance, design)
        fit = sets.weighted(a)
        return _moment(sets, fit, fit.trace_with(sets.v))

    return tau2_genq


def tau2_genq(
    estimate: FloatArray, variance: FloatArray, design: FloatArray | None = None, /
) -> Tau2Estimate:
    """The generalised moment estimator with weights 1 / se, the compromise that Jackson recommends; see `genq`."""
    return genq(1.0 / np.sqrt(variance))(estimate, variance, design)


def tau2_at_q(
    estimate: FloatArray,
    variance: FloatArray,
    target: FloatArray | float,
    design: FloatArray | None = None,
) -> Tau2Estimate:
    r"""The tau2 at which the generalised Q falls to `target`; 0 where it starts below.

    :math:`1 / Q(\tau^2)` rises and is concave, being a weighted harmonic mean of straight lines, so
    Newton's method on it, begun at 0, climbs to the root and never passes it.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
    target : float or ndarray, broadcast against (...)
        Positive.
    design : ndarray, shape (..., k, p), optional

    Returns
    -------
    Tau2Estimate
        Arrays of the broadcast shape.
    """
    sets = standardised(estimate, variance, design)
    target = np.asarray(target, dtype=np.float64)
    tau2 = np.zeros(np.broadcast_shapes(target.shape, sets.unit.shape))
    for iteration in range(1, _MAX_ITERATIONS + 1):
        fit = sets.at(tau2)
        q = fit.q()
        excess = q / target - 1.0
        step = np.zeros(tau2.shape)
        np.divide(excess * q, fit.squared(), out=step, where=excess > 0)
        tau2 = tau2 + step
        converged = excess <= _TOLERANCE
        if converged.all() or iteration == _MAX_ITERATIONS:
            break
    return Tau2Estimate(sets.unit * tau2, converged, iteration)


def _df(variance: FloatArray, design: FloatArray | None) -> FloatArray:
    spent = 1 if design is None else design.shape[-1]
    return np.asarray(np.isfinite(variance).sum(-1) - spent, dtype=np.float64)


def _at_expected_q(
    estimate: FloatArray,
    variance: FloatArray,
    design: FloatArray | None,
    expected: Callable[[FloatArray], FloatArray],
) -> Tau2Estimate:
    df = _df(variance, design)
    return tau2_at_q(estimate, variance, np.where(df > 0, expected(np.maximum(df, 1.0)), np.inf), design)


def tau2_pm(estimate: FloatArray, variance: FloatArray, design: FloatArray | None = None, /) -> Tau2Estimate:
    """Paule-Mandel: the tau2 at which the generalised Q equals its expectation k - p [1]_, or 0 if Q starts below.

    Three other names stand for the same root, each found by its own iteration in other programs: the empirical
    Bayes estimator (EB), the DerSimonian-Laird (DLIT) and the Sidik-Jonkman estimator (SJIT) with their weights
    renewed until nothing changes.

    References
    ----------
    .. [1] Paule RC, Mandel J (1982). Consensus values and weighting factors. J Res Natl Bur Stand
       87:377-385. https://doi.org/10.6028/jres.087.022
    """
    return _at_expected_q(estimate, variance, design, lambda df: df)


def tau2_pmm(estimate: FloatArray, variance: FloatArray, design: FloatArray | None = None, /) -> Tau2Estimate:
    """Paule-Mandel with the median of chi-squared on k - p degrees of freedom for its mean, so unbiased in the median.

    It exceeds tau2 as often as it falls short of it. Named as in metafor, whose author proposed it.
    """
    return _at_expected_q(estimate, variance, design, lambda df: 2.0 * gammaincinv(0.5 * df, 0.5))


def tau2_ml(estimate: FloatArray, variance: FloatArray, design: FloatArray | None = None, /) -> Tau2Estimate:
    r"""Maximum likelihood: the highest of all maxima of its profile over tau2, the boundary at zero included [1]_.

    The profile is :math:`-\frac12 \sum \ln(v_i + \tau^2) - \frac12 Q(\tau^2)`; see `tau2_reml` for the search. The
    estimate is too low by about a share p / k, because it treats the coefficients as known.

    References
    ----------
    .. [1] Viechtbauer W (2005). Bias and efficiency of meta-analytic variance estimators in the
       random-effects model. J Educ Behav Stat 30:261-293. https://doi.org/10.3102/10769986030003261
    """
    return Tau2Estimate(*highest(estimate, variance, design, ML))


def tau2_reml(
    estimate: FloatArray, variance: FloatArray, design: FloatArray | None = None, /
) -> Tau2Estimate:
    r"""Restricted maximum likelihood: the highest of all maxima, the boundary at zero included [1]_.

    The profile :math:`-\frac12 \sum \ln(v_i + \tau^2) - \frac12 \ln |X'WX| - \frac12 Q(\tau^2)` is
    searched on a grid that holds every maximum, each rise followed by a fall is closed in on by
    bracketed Newton steps, and maxima are compared by height.

    References
    ----------
    .. [1] Viechtbauer W (2005). Bias and efficiency of meta-analytic variance estimators in the
       random-effects model. J Educ Behav Stat 30:261-293. https://doi.org/10.3102/10769986030003261
    """
    return Tau2Estimate(*highest(estimate, variance, design, REML))


Tau2Method = Literal[
    "CE", "DL", "DL2", "DLIT", "EB", "GENQ", "HE", "HS", "HSk", "ML", "PM", "PMM", "REML", "SJ", "SJIT"
]
#: Every estimator by the name metafor gives it.
TAU2_ESTIMATORS: Final[Mapping[Tau2Method, Tau2Estimator]] = MappingProxyType(
    {
        "CE": tau2_ce,
        "DL": tau2_dl,
        "DL2": tau2_dl2,
        "DLIT": tau2_pm,
        "EB": tau2_pm,
        "GENQ": tau2_genq,
        "HE": tau2_he,
        "HS": tau2_hs,
        "HSk": tau2_hsk,
        "ML": tau2_ml,
        "PM": tau2_pm,
        "PMM": tau2_pmm,
        "REML": tau2_reml,
        "SJ": tau2_sj,
        "SJIT": tau2_pm,
    }
)
