r"""Tests of whether small studies find other effects than large ones, and the effect at infinite size.

Arrays have shape (..., k) with studies on the last axis; a study that a set lacks has infinite variance.
Every test but the two of ranks fits a straight line :math:`y_i = a + b x_i` with weights; b is tested, and where
x vanishes for a study of infinite size, a is the effect of such a study.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
from scipy.special import gammaln

from netsynth._typing import BoolArray, FloatArray
from netsynth.kernels.heterogeneity import n_studies, q_statistic
from netsynth.kernels.intervals import two_sided_pvalue
from netsynth.kernels.rank import exact_pvalue, kendall
from netsynth.kernels.regression import Regression, weighted_regression
from netsynth.kernels.tau2 import Tau2Estimator

#: Below these shares of their spread about the mean and about zero, what a line leaves of the effects is rounding
#: and no measure of error.
_EXACT: Final = (1e-24, 1e-28)


class Studies(NamedTuple):
    """What is known of the studies: effects, variances, and where needed counts, one array an arm.

    `n_events` and `n_total` hold one array of all patients, or two, the first of the treated.
    """

    estimate: FloatArray
    variance: FloatArray
    n_events: tuple[FloatArray, ...] = ()
    n_total: tuple[FloatArray, ...] = ()


class Asymmetry(NamedTuple):
    """A test of each set, arrays of shape (...); nan for what the test does not know.

    `df` is infinite where the statistic is normal. `dispersion` is the factor by which the effects scatter
    about the line more than their variances say; `score` and `score_se` belong to Kendall's `tau`.
    """

    statistic: FloatArray
    df: FloatArray
    pvalue: FloatArray
    slope: FloatArray | float = math.nan
    slope_se: FloatArray | float = math.nan
    intercept: FloatArray | float = math.nan
    intercept_se: FloatArray | float = math.nan
    dispersion: FloatArray | float = math.nan
    tau2: FloatArray | float = math.nan
    rank_correlation: FloatArray | float = math.nan
    score: FloatArray | float = math.nan
    score_se: FloatArray | float = math.nan
    exact: BoolArray | bool = False
    converged: BoolArray | bool = True


AsymmetryTest: TypeAlias = Callable[[Studies, FloatArray, Tau2Estimator], Asymmetry]


def _line(y: FloatArray, x: FloatArray, variance: FloatArray) -> Regression:
    """A straight line with weights 1 / variance, nan where all x are the same."""
    present = np.isfinite(variance)
    return weighted_regression(np.where(present, y, 0.0), variance, _design(x, present))


def _design(x: FloatArray, present: BoolArray) -> FloatArray:
    x = np.where(present, x, 0.0)
    return np.stack([np.ones_like(x), x], axis=-1)


def _tested(line: Regression, scale: FloatArray | float, df: FloatArray) -> Asymmetry:
    intercept, slope = np.moveaxis(line.coefficient, -1, 0)
    intercept_se, slope_se = (np.sqrt(scale * line.covariance[..., i, i]) for i in (0, 1))
    statistic = slope / slope_se
    return Asymmetry(
        statistic=statistic,
        df=df,
        pvalue=two_sided_pvalue(statistic, df),
        slope=slope,
        slope_se=slope_se,
        intercept=intercept,
        intercept_se=intercept_se,
    )


def _df(variance: FloatArray) -> FloatArray:
    return np.asarray(n_studies(variance) - 2, dtype=np.float64)


def _scattered(y: FloatArray, x: FloatArray, variance: FloatArray) -> Asymmetry:
    """A line whose errors are its scatter: variances known up to a factor, t on k - 2 degrees of freedom."""
    line, df = _line(y, x, variance), _df(variance)
    y = np.where(np.isfinite(variance), y, 0.0)
    is_exact = line.q <= _EXACT[0] * q_statistic(y, variance) + _EXACT[1] * (y * y / variance).sum(-1)
    dispersion = np.where((df > 0) & ~is_exact, line.q / np.maximum(df, 1.0), np.nan)
    return _tested(line, dispersion, df)._replace(dispersion=dispersion)


def weighted(studies: Studies, x: FloatArray, estimator: Tau2Estimator, /) -> Asymmetry:
    """Weights 1 / variance and a factor for the scatter: Egger's test when x is the standard error [1]_.

    References
    ----------
    .. [1] Egger M, Davey Smith G, Schneider M, Minder C (1997). Bias in meta-analysis detected by a simple,
       graphical test. BMJ 315:629-634. https://doi.org/10.1136/bmj.315.7109.629
    """
    del estimator  # has no part in it, as in the others that do not say mixed
    return _scattered(studies.estimate, x, studies.variance)


def unweighted(studies: Studies, x: FloatArray, estimator: Tau2Estimator, /) -> Asymmetry:
    """All studies alike, whatever their variance."""
    del estimator
    return _scattered(studies.estimate, x, np.where(np.isfinite(studies.variance), 1.0, np.inf))


def mixed(studies: Studies, x: FloatArray, estimator: Tau2Estimator, /, *, is_normal: bool) -> Asymmetry:
    """Weights 1 / (variance + tau2), with tau2 what the line leaves between studies [1]_.

    The statistic is normal, or t on k - 2 degrees of freedom.

    References
    ----------
    .. [1] Thompson SG, Sharp SJ (1999). Explaining heterogeneity in meta-analysis: a comparison of methods.
       Stat Med 18:2693-2708.
    """
    y, v = studies.estimate, studies.variance
    between = estimator(y, v, _design(x, np.isfinite(v)))
    tau2 = np.asarray(between.tau2, dtype=np.float64)
    line = _line(y, x, v + tau2[..., None])
    df = np.full(tau2.shape, np.inf) if is_normal else _df(v)
    return _tested(line, 1.0, df)._replace(tau2=tau2, converged=np.asarray(between.converged))


def by_binomial_variance(studies: Studies, x: FloatArray, estimator: Tau2Estimator, /) -> Asymmetry:
    """Weights 1 / (1 / events + 1 / non-events): the variance of the effect, had both arms one risk [1]_.

    References
    ----------
    .. [1] Peters JL, Sutton AJ, Jones DR, Abrams KR, Rushton L (2006). Comparison of two methods to detect
       publication bias in meta-analysis. JAMA 295:676-680. https://doi.org/10.1001/jama.295.6.676
    """
    del estimator
    events, total = _all(studies.n_events), _all(studies.n_total)
    return _scattered(studies.estimate, x, _absent_stay(studies, 1.0 / events + 1.0 / (total - events)))


def by_events_of_arms(studies: Studies, x: FloatArray, estimator: Tau2Estimator, /) -> Asymmetry:
    """Weights 1 / (1 / events of one arm + 1 / events of the other) [1]_.

    References
    ----------
    .. [1] Debray TPA, Moons KGM, Riley RD (2018). Detecting small-study effects and funnel plot asymmetry in
       meta-analysis of survival data: a comparison of new and existing tests. Res Synth Methods 9:41-50.
       https://doi.org/10.1002/jrsm.1266
    """
    del estimator
    first, second = studies.n_events
    return _scattered(studies.estimate, x, _absent_stay(studies, 1.0 / first + 1.0 / second))


def by_effective_size(studies: Studies, x: FloatArray, estimator: Tau2Estimator, /) -> Asymmetry:
    """Weights the effective sample size, 4 / (1 / n of one arm + 1 / n of the other) [1]_.

    References
    ----------
    .. [1] Deeks JJ, Macaskill P, Irwig L (2005). The performance of tests of publication bias and other sample
       size effects in systematic reviews of diagnostic test accuracy was assessed. J Clin Epidemiol
       58:882-893. https://doi.org/10.1016/j.jclinepi.2005.01.016
    """
    del estimator
    return _scattered(studies.estimate, x, _absent_stay(studies, 1.0 / _effective_size(studies)))


def score(studies: Studies, x: FloatArray, estimator: Tau2Estimator, /) -> Asymmetry:
    r"""Harbord's test: Z / V on :math:`1 / \sqrt V` with weights V, Z and V the score of the log odds ratio [1]_.

    :math:`Z = e_1 - n_1 e / n` and :math:`V = n_1 n_2 e (n - e) / \{n^2 (n - 1)\}`, at an odds ratio of 1.

    References
    ----------
    .. [1] Harbord RM, Egger M, Sterne JAC (2006). A modified test for small-study effects in meta-analyses of
       controlled trials with binary endpoints. Stat Med 25:3443-3457. https://doi.org/10.1002/sim.2380
    """
    del estimator
    events, total = _all(studies.n_events), _all(studies.n_total)
    z = studies.n_events[0] - studies.n_total[0] * events / total
    return _scattered(z / _information(studies), x, _absent_stay(studies, 1.0 / _information(studies)))


def _all(arms: tuple[FloatArray, ...]) -> FloatArray:
    return arms[0] + arms[1] if len(arms) == 2 else arms[0]


def _absent_stay(studies: Studies, variance: FloatArray) -> FloatArray:
    return np.where(np.isfinite(studies.variance), variance, np.inf)


def _effective_size(studies: Studies) -> FloatArray:
    """Size of a study with two arms alike that is as precise."""
    first, second = studies.n_total
    return np.asarray(4.0 / (1.0 / first + 1.0 / second))


def _information(studies: Studies) -> FloatArray:
    events, total = _all(studies.n_events), _all(studies.n_total)
    first, second = studies.n_total
    return np.asarray(first * second * events * (total - events) / (total * total * (total - 1.0)))


def begg_mazumdar(studies: Studies, x: FloatArray, estimator: Tau2Estimator, /) -> Asymmetry:
    r"""Kendall's correlation of the standardised effects with x, their variance [1]_.

    :math:`(y_i - \hat\mu) / \sqrt{v_i - 1 / \sum w}` with the common-effect mean. The p-value is exact
    where there are no ties and not too many studies, else normal.

    References
    ----------
    .. [1] Begg CB, Mazumdar M (1994). Operating characteristics of a rank correlation test for publication
       bias. Biometrics 50:1088-1101. https://doi.org/10.2307/2533446
    """
    del estimator
    y, v = studies.estimate, studies.variance
    present = np.isfinite(v)
    w = 1.0 / v
    # From differences between studies, without the mean: then neither a study that rules the mean costs
    # digits, nor does rounding part equal effects of equal variance.
    difference = (w[..., None, :] * (y[..., :, None] - y[..., None, :])).sum(-1)
    same = v[..., :, None] == v[..., None, :]
    others = (w[..., None, :] * ~same).sum(-1) + w * (same.sum(-1) - 1)
    spread = np.where(present, v, 1.0) * w.sum(-1)[..., None] * np.where(others > 0, others, np.nan)
    return _ranked(difference / np.sqrt(spread), x, present, is_exact=True)


def schwarzer(studies: Studies, x: FloatArray, estimator: Tau2Estimator, /) -> Asymmetry:
    r"""Kendall's correlation of standardised counts with the inverse of their variance [1]_.

    Given its margins, the number of events of the treated is hypergeometric with the odds ratio of Mantel and
    Haenszel. Tables with an empty cell have 1/2 added to all four for that odds ratio.

    References
    ----------
    .. [1] Schwarzer G, Antes G, Schumacher M (2007). A test for publication bias in meta-analysis with sparse
       binary data. Stat Med 26:721-733.
    """
    del x, estimator
    present = np.isfinite(studies.variance)
    events, total = (
        tuple(np.where(present, arm, least) for arm in arms)
        for arms, least in ((studies.n_events, 0.0), (studies.n_total, 1.0))
    )
    odds_ratio = _mantel_haenszel(events, total, present)
    mean, variance = _hypergeometric(total[0], total[1], events[0] + events[1], odds_ratio[..., None])
    varies = present & (variance > 0)
    deviate = (events[0] - mean) / np.sqrt(np.where(varies, variance, 1.0))
    return _ranked(deviate, 1.0 / np.where(varies, variance, 1.0), varies, is_exact=False)


def _ranked(deviate: FloatArray, x: FloatArray, present: BoolArray, *, is_exact: bool) -> Asymmetry:
    found = kendall(deviate, x, present)
    defined = np.isfinite(found.tau)
    score_se = np.sqrt(np.where(defined, found.variance, np.nan))
    statistic, infinite = found.score / score_se, np.full(found.score.shape, np.inf)
    pvalue = two_sided_pvalue(statistic, infinite)
    exact = exact_pvalue(found.score, found.n)
    can_be_exact = is_exact & ~found.tied & np.isfinite(exact) & defined
    return Asymmetry(
        statistic=statistic,
        df=infinite,
        pvalue=np.where(can_be_exact, exact, pvalue),
        rank_correlation=found.tau,
        score=found.score,
        score_se=score_se,
        exact=can_be_exact,
    )


def _mantel_haenszel(
    events: tuple[FloatArray, ...], total: tuple[FloatArray, ...], present: BoolArray
) -> FloatArray:
    a, c = events
    b, d = total[0] - a, total[1] - c
    added = np.where((a == 0) | (b == 0) | (c == 0) | (d == 0), 0.5, 0.0)
    n = total[0] + total[1] + 4.0 * added
    agree, differ = (a + added) * (d + added) / n, (b + added) * (c + added) / n
    return np.asarray(np.where(present, agree, 0.0).sum(-1) / np.where(present, differ, 0.0).sum(-1))


def _hypergeometric(
    first: FloatArray, second: FloatArray, events: FloatArray, odds_ratio: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of the events of the first group, given its size, the other's, and all events."""
    lowest = np.maximum(0.0, events - second)
    width = np.minimum(first, events) - lowest
    x = lowest[..., None] + np.arange(int(width.max(initial=0.0)) + 1)
    possible = x <= (lowest + width)[..., None]
    x = np.where(possible, x, lowest[..., None])
    cells = (x, first[..., None] - x, events[..., None] - x, second[..., None] - events[..., None] + x)
    log_weight = x * np.log(odds_ratio)[..., None] - sum(gammaln(cell + 1.0) for cell in cells)
    weight = np.where(possible, np.exp(log_weight - log_weight.max(-1, keepdims=True)), 0.0)
    weight = weight / weight.sum(-1, keepdims=True)
    mean = (weight * x).sum(-1)
    return mean, (weight * (x - mean[..., None]) ** 2).sum(-1)


Count = Literal["n_events", "n_total"]


class PredictorOf(NamedTuple):
    """What effects may depend on: its words in print, how it is made, and of which counts.

    `vanishes` says that it goes to 0 as a study grows, so that the intercept is the effect of a study of
    infinite size; `n_arms` is 2 where the counts of each arm are needed.
    """

    label: str
    of: Callable[[Studies], FloatArray]
    needs: tuple[Count, ...] = ()
    n_arms: int = 1
    vanishes: bool = True


Predictor = Literal[
    "se",
    "variance",
    "n",
    "inverse_n",
    "sqrt_n",
    "inverse_sqrt_n",
    "inverse_events",
    "inverse_sqrt_effective_n",
    "score_se",
]
#: Every predictor by name.
PREDICTORS: Final[Mapping[Predictor, PredictorOf]] = MappingProxyType(
    {
        "se": PredictorOf("standard error", lambda s: np.sqrt(s.variance)),
        "variance": PredictorOf("variance", lambda s: s.variance),
        "n": PredictorOf("n", lambda s: _all(s.n_total), ("n_total",), vanishes=False),
        "inverse_n": PredictorOf("1 / n", lambda s: 1.0 / _all(s.n_total), ("n_total",)),
        "sqrt_n": PredictorOf("root of n", lambda s: np.sqrt(_all(s.n_total)), ("n_total",), vanishes=False),
        "inverse_sqrt_n": PredictorOf("1 / root of n", lambda s: _all(s.n_total) ** -0.5, ("n_total",)),
        "inverse_events": PredictorOf("1 / events", lambda s: 1.0 / _all(s.n_events), ("n_events",)),
        "inverse_sqrt_effective_n": PredictorOf(
            "1 / root of the effective n", lambda s: _effective_size(s) ** -0.5, ("n_total",), 2
        ),
        "score_se": PredictorOf(
            "standard error of the score", lambda s: _information(s) ** -0.5, ("n_events", "n_total"), 2
        ),
    }
)

AsymmetryMethod = Literal[
    "egger",
    "egger_unweighted",
    "mixed",
    "mixed_t",
    "begg",
    "macaskill",
    "macaskill_pooled",
    "peters",
    "debray_fiv",
    "debray_fav",
    "harbord",
    "schwarzer",
    "deeks",
]


class Method(NamedTuple):
    """A test of asymmetry: its words in print, how it is done, on which predictor, and what else it needs.

    Another predictor may be given where `is_free`; the test without one makes its own. `is_mixed` says that
    there is a tau2 to estimate, `is_rank` that there is no line.
    """

    label: str
    test: AsymmetryTest
    predictor: Predictor | None = None
    needs: tuple[Count, ...] = ()
    n_arms: int = 1
    is_free: bool = False
    is_mixed: bool = False
    is_rank: bool = False


#: Every test by name. FIV, FAV and FPV are names that Debray, Moons and Riley (2018) give to weights:
#: inverse variance, events of both arms, pooled variance.
ASYMMETRY_METHODS: Final[Mapping[AsymmetryMethod, Method]] = MappingProxyType(
    {
        "egger": Method("Egger's test", weighted, "se", is_free=True),
        "egger_unweighted": Method("Egger's test without weights", unweighted, "se", is_free=True),
        "mixed": Method(
            "Thompson and Sharp's test", partial(mixed, is_normal=True), "se", is_free=True, is_mixed=True
        ),
        "mixed_t": Method(
            "Thompson and Sharp's t test", partial(mixed, is_normal=False), "se", is_free=True, is_mixed=True
        ),
        "begg": Method("Begg and Mazumdar's rank test", begg_mazumdar, "variance", is_rank=True),
        "macaskill": Method("Macaskill's test (FIV)", weighted, "n"),
        "macaskill_pooled": Method(
            "Macaskill's test (FPV)", by_binomial_variance, "n", ("n_events", "n_total")
        ),
        "peters": Method("Peters' test", by_binomial_variance, "inverse_n", ("n_events", "n_total")),
        "debray_fiv": Method("Debray's test (FIV)", weighted, "inverse_events"),
        "debray_fav": Method("Debray's test (FAV)", by_events_of_arms, "inverse_events", ("n_events",), 2),
        "harbord": Method("Harbord's test", score, "score_se"),
        "schwarzer": Method(
            "Schwarzer's rank test", schwarzer, None, ("n_events", "n_total"), 2, is_rank=True
        ),
        "deeks": Method("Deeks' test", by_effective_size, "inverse_sqrt_effective_n"),
    }
)


class Limit(NamedTuple):
    """A limit meta-analysis of each set, arrays of shape (...), and the studies' own limits (..., k)."""

    estimate: FloatArray
    se: FloatArray
    slope: FloatArray
    intercept: FloatArray
    q: FloatArray
    q_residual: FloatArray
    g2: FloatArray
    study: FloatArray


def limit_meta_analysis(estimate: FloatArray, variance: FloatArray, tau2: FloatArray) -> Limit:
    r"""Effect of a study of infinite size, when effects depend on precision [1]_.

    The model is :math:`y_i = \beta + \sqrt{v_i + \tau^2}\,(\alpha + \epsilon_i)` with standard normal errors. A
    study of infinite size has :math:`\beta + \tau\alpha`. `q_residual` is what the line leaves of Q when
    :math:`\tau^2 = 0`, and G2 the share of what varies between the studies' own limits,
    :math:`\beta + \tau (y_i - \beta) / \sqrt{v_i + \tau^2}`, that does not depend on precision.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
    tau2 : ndarray, shape (...)

    Returns
    -------
    Limit
        nan where all studies are equally precise.

    References
    ----------
    .. [1] Rücker G, Schwarzer G, Carpenter JR, Binder H, Schumacher M (2011). Treatment-effect estimates adjusted
       for small-study effects via a limit meta-analysis. Biostatistics 12:122-142.
       https://doi.org/10.1093/biostatistics/kxq046
    """
    present, tau = np.isfinite(variance), np.sqrt(tau2)
    y = np.where(present, estimate, 0.0)
    total = variance + np.asarray(tau2)[..., None]
    line = _line(y, np.sqrt(total), total)
    beta, alpha = np.moveaxis(line.coefficient, -1, 0)
    covariance = line.covariance
    variance_at_tau = (
        covariance[..., 0, 0] + 2.0 * tau * covariance[..., 0, 1] + tau * tau * covariance[..., 1, 1]
    )
    shrunk = tau[..., None] / np.sqrt(np.where(present, total, 1.0)) * (y - beta[..., None])
    study = beta[..., None] + shrunk
    se = np.sqrt(np.where(present, variance, 1.0))
    radial = np.where(present, study / se, 0.0)
    spread = q_statistic(radial, np.where(present, 1.0, np.inf))
    left = _line(study, se, variance).q
    return Limit(
        estimate=beta + tau * alpha,
        se=np.sqrt(variance_at_tau),
        slope=alpha,
        intercept=beta,
        q=q_statistic(y, variance),
        q_residual=_line(y, se, variance).q,
        g2=np.where(spread > 0, left / np.where(spread > 0, spread, 1.0), np.nan),
        study=np.where(present, study, np.nan),
    )
