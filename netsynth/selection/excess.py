"""Fail-safe numbers, and the test of excess significance."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np

from netsynth import _validate
from netsynth.errors import InvalidInputError
from netsynth.kernels import excess, failsafe
from netsynth.kernels.excess import ExcessTest
from netsynth.kernels.heterogeneity import weighted_mean
from netsynth.kernels.selection import Alternative
from netsynth.results.excess import ExcessSignificance, FailSafeMethod, FailSafeN, PowerModel
from netsynth.results.pooled import PooledEffect
from netsynth.selection import _checks

__all__ = ["assess_excess_significance", "failsafe_n"]


def failsafe_n(
    pooled: PooledEffect,
    *,
    method: FailSafeMethod = "general",
    alpha: float = 0.05,
    target: float | None = None,
) -> FailSafeN:
    """How many studies averaging no effect would have to be added to undo a finding.

    It is not an estimate of how many are missing, nor a test of whether any is.

    Parameters
    ----------
    pooled : PooledEffect
        Two studies or more, of a measure that has a value of no effect.
    method : {"general", "rosenthal", "orwin", "rosenberg"}
        "general": the p-value of the pooled effect, under its own model, is to rise to `alpha`, or the effect to fall
        to `target`. "rosenberg" [1]_: the p-value of the common effect. "rosenthal" [2]_: Stouffer's one-sided
        p-value. "orwin" [3]_: the common effect is to fall to `target`.
    alpha : float
        Level to which the p-value is to rise.
    target : float, optional
        Effect on the scale of ``pooled.measure``; its sign is that of the effect. By default half the common effect
        for "orwin", which gives as many as there are, and none for "general".

    Returns
    -------
    FailSafeN
        Frozen. 0 where nothing is to be undone.

    Raises
    ------
    InvalidInputError
        If the measure is a probability, there are fewer than two studies, a name is unknown, alpha is not a
        fraction, or the target is 0, not finite, or given to a method without one.

    References
    ----------
    .. [1] Rosenberg MS (2005). The file-drawer problem revisited: a general weighted method for calculating
       fail-safe numbers in meta-analysis. Evolution 59:464-468.
       https://doi.org/10.1111/j.0014-3820.2005.tb01004.x
    .. [2] Rosenthal R (1979). The file drawer problem and tolerance for null results. Psychol Bull 86:638-641.
       https://doi.org/10.1037/0033-2909.86.3.638
    .. [3] Orwin RG (1983). A fail-safe N for effect size in meta-analysis. J Educ Stat 8:157-159.
       https://doi.org/10.3102/10769986008002157

    Examples
    --------
    >>> from netsynth.pool import pool_effects
    >>> log_hr = [-0.92, -1.05, -0.24, -0.71, -0.51, 0.12, -0.55, -0.18, -0.32, -0.05, -0.16]
    >>> se = [0.41, 0.38, 0.33, 0.30, 0.26, 0.22, 0.19, 0.16, 0.12, 0.10, 0.09]
    >>> print(failsafe_n(pool_effects(log_hr, se=se, measure="log_hr")))
    Fail-safe N (General): Hazard ratio, k = 11
      null results needed   17
      to raise              p < 0.001 to 0.05
    """
    _validate.choice(method, "method", get_args(FailSafeMethod))
    _checks.fraction(alpha, "alpha")
    _checks.check(pooled, "A fail-safe N", least=2)
    if target is not None:
        if method not in ("orwin", "general"):
            raise InvalidInputError(
                f"method {method!r} has no target; use 'orwin' or 'general', or leave it out."
            )
        if (
            isinstance(target, bool)
            or not isinstance(target, int | float)
            or not math.isfinite(target)
            or target == 0
        ):
            raise InvalidInputError(f"target must be an effect other than 0; got {target!r}.")

    y, v, k = pooled.study_estimate, pooled.study_se**2, pooled.k
    common = weighted_mean(y, v)
    estimate, variance, tau2 = float(common.mean), float(common.variance), 0.0
    after = failsafe.Diluted(math.nan, math.nan, math.nan)
    if method == "rosenthal":
        n = float(failsafe.rosenthal(y, v, alpha))
        pvalue = float(failsafe.stouffer_pvalue(y, v))
        estimate = tau2 = math.nan
    elif method == "rosenberg":
        n = float(failsafe.rosenberg(y, v, alpha))
        pvalue = failsafe.normal_pvalue(estimate, variance)
    elif method == "orwin":
        target = math.copysign(0.5 * estimate if target is None else target, estimate)
        n = float(failsafe.orwin(common.mean, np.asarray(target), k)) if target else 0.0
        pvalue = math.nan
    else:
        is_common, tau2 = pooled.tau2_method == "CE", pooled.tau2
        mean = weighted_mean(y, v + tau2)
        estimate, pvalue = float(mean.mean), failsafe.normal_pvalue(float(mean.mean), float(mean.variance))
        target = None if target is None else math.copysign(target, estimate)
        n = failsafe.general(y, v, estimate, tau2, common=is_common, alpha=alpha, target=target)
        if math.isfinite(n):
            after = failsafe.diluted(y, v, estimate, tau2, int(n), common=is_common)
    return FailSafeN(
        pooled=pooled,
        method=method,
        n=failsafe.rounded_up(n),
        alpha=float(alpha) if target is None else math.nan,
        target=math.nan if target is None else float(target),
        estimate=estimate,
        tau2=tau2,
        pvalue=pvalue,
        diluted_estimate=after.mean,
        diluted_tau2=after.tau2,
        diluted_pvalue=after.pvalue,
    )


def assess_excess_significance(
    pooled: PooledEffect,
    *,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
    test: ExcessTest = "exact",
    model: PowerModel = "CE",
    limit_alpha: float = 0.1,
) -> ExcessSignificance:
    """Test whether more studies are significant than their power lets expect.

    Parameters
    ----------
    pooled : PooledEffect
        Two studies or more, of a measure that has a value of no effect.
    alternative : {"two-sided", "greater", "less"}
        Side of the tests of the studies, which are Wald tests of no effect.
    alpha : float
        Their level.
    test : {"exact", "binomial", "chi2"}
        Whether the number of significant studies is held against the sum of trials with chances of their own [1]_,
        against trials of one chance, or compared by chi-squared [2]_.
    model : {"CE", "RE"}
        Power if the common effect is true of every study; or if true effects vary about the pooled effect with its
        tau2, which leaves less to be called an excess.
    limit_alpha : float
        P-value of the excess that marks the limit: the mean effect nearest to none that would bring it there.

    Returns
    -------
    ExcessSignificance
        Frozen. It is no test of publication bias alone: heterogeneity, fraud and chance make excesses too.

    Raises
    ------
    InvalidInputError
        If the measure is a probability, there are fewer than two studies, a name is unknown, or a level is not a
        fraction.

    Warns
    -----
    FewStudiesWarning
        Fewer than ten studies.

    References
    ----------
    .. [1] Francis G (2013). Replication, statistical consistency, and publication bias. J Math Psychol
       57:153-169. https://doi.org/10.1016/j.jmp.2013.02.003
    .. [2] Ioannidis JPA, Trikalinos TA (2007). An exploratory test for an excess of significant findings.
       Clin Trials 4:245-253. https://doi.org/10.1177/1740774507079441

    Examples
    --------
    >>> from netsynth.pool import pool_effects
    >>> log_hr = [-0.92, -1.05, -0.24, -0.71, -0.51, 0.12, -0.55, -0.18, -0.32, -0.05, -0.16]
    >>> se = [0.41, 0.38, 0.33, 0.30, 0.26, 0.22, 0.19, 0.16, 0.12, 0.10, 0.09]
    >>> print(assess_excess_significance(pool_effects(log_hr, se=se, measure="log_hr")))
    Excess significance: Hazard ratio, two-sided tests at 0.05, k = 11
      significant   6 of 11
      expected      3.0 if the effect is 0.80, no heterogeneity
      excess        exact test, one-sided p = 0.033
      limit         with an effect nearer to none than 0.76 the excess has p below 0.1
    """
    _validate.choice(alternative, "alternative", get_args(Alternative))
    _validate.choice(test, "test", get_args(ExcessTest))
    _validate.choice(model, "model", get_args(PowerModel))
    _checks.fraction(alpha, "alpha")
    _checks.fraction(limit_alpha, "limit_alpha")
    _checks.check(pooled, "A test of excess significance", least=2)

    y, v, k = pooled.study_estimate, pooled.study_se**2, pooled.k
    effect, tau2 = (float(weighted_mean(y, v).mean), 0.0) if model == "CE" else (pooled.estimate, pooled.tau2)
    seen = excess.significant(y, v, alternative, alpha)
    power = excess.power(effect, tau2, v, alternative, alpha)
    pvalue = excess.excess_pvalue(seen.sum(), power, k, test)
    side = {"greater": 1.0, "less": -1.0, "two-sided": math.copysign(1.0, effect)}[alternative]
    limit = excess.limit_estimate(
        int(seen.sum()), v, alternative, alpha, test, tau2=tau2, direction=side, level=limit_alpha
    )

    for array in (seen, power):
        array.setflags(write=False)
    return ExcessSignificance(
        pooled=pooled,
        alternative=alternative,
        alpha=float(alpha),
        test=test,
        effect=effect,
        tau2=tau2,
        power=power,
        significant=seen,
        chi2=float(excess.chi2_statistic(seen.sum(), power, k)) if test == "chi2" else math.nan,
        pvalue=float(pvalue),
        limit=limit,
        limit_alpha=float(limit_alpha),
        warnings=_checks.few(pooled, "an excess from chance"),
    )
