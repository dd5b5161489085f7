"""Pool or regress several results of one cohort, or of cohorts that share patients."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._typing import FloatArray
from netsynth.errors import (
    Caution,
    ConvergenceError,
    FewStudiesWarning,
    InvalidInputError,
    NarrowIntervalWarning,
    NetsynthWarning,
    caution,
)
from netsynth.kernels.dependent import (
    DependentCiMethod,
    DependentFit,
    DependentModel,
    fit_dependent,
    fit_dependent_regression,
)
from netsynth.kernels.multilevel import LikelihoodMethod
from netsynth.kernels.scales import EffectMeasure
from netsynth.results.cohorts import check_definite, cohort_numbers, read_results, read_sampling
from netsynth.results.dependent import DependentEffect, OverlapCovariance
from netsynth.results.dependent_regression import DependentRegression
from netsynth.results.designs import check_design, coded_moderators

__all__ = ["overlap_covariance", "pool_dependent", "regress_dependent"]

#: Tipton (2015): below 4 degrees of freedom the t approximation does not hold; few cohorts come close to it.
_LEAST_DF, _FEW_CLUSTERS = 4, 10
_ALL_SINGLE = "No cohort has two results, so the variance between cohorts holds that within cohorts too."
_USER = 4  # frames from `caution` up to the caller of the verb: caution, _doubts, the verb, its caller


def pool_dependent(
    estimate: npt.ArrayLike,
    *,
    cluster: Iterable[str | int],
    se: npt.ArrayLike | None = None,
    covariance: npt.ArrayLike | None = None,
    correlation: float | None = None,
    measure: EffectMeasure = "generic",
    model: DependentModel = "three_level",
    method: LikelihoodMethod = "REML",
    ci_method: DependentCiMethod = "CR2",
    study: Iterable[str] | None = None,
) -> DependentEffect:
    r"""Pool results of which several come from one cohort.

    Parameters
    ----------
    estimate : array_like of float, shape (k,)
        Effects on the scale of `measure`.
    cluster : iterable of str or int, length k
        The cohort of each result. Results of different cohorts are independent; there are at least two cohorts.
    se : array_like of float, shape (k,), optional
        Standard errors on the same scale, all positive. Either these or `covariance` must be given.
    covariance : array_like of float, shape (k, k), optional
        Covariance of the sampling errors where it is known, positive definite, and zero between cohorts.
    correlation : float, optional
        With `se`: the assumed correlation of sampling errors within a cohort; 0 if not given.
    measure : str
        Scale of `estimate`, as in `pool_effects`.
    model : {"three_level", "correlated_effects"}
        Where the weights come from: the three-level model, with a correlation of its sampling errors also called
        correlated and hierarchical effects, or the weights of Hedges, Tipton and Johnson for results that all
        come from the same patients.
    method : {"REML", "ML"}
        Likelihood of the three-level model. Correlated effects have a moment estimator instead.
    ci_method : {"CR2", "CR1", "CR0", "t", "wald"}
        Interval for the mean: cluster-robust with bias-reduced linearization and Satterthwaite degrees of
        freedom (CR2), cluster-robust with the factor m / (m - 1) (CR1) or none (CR0), or trusting the model, with t on
        m - 1 degrees of freedom or normal; m is the number of cohorts.
    study : iterable of str, optional
        Labels of the results, so that complaints and tables name them.

    Returns
    -------
    DependentEffect
        Frozen. Ask it for intervals, tests, frames, a plot, or for `over_correlation`.

    Raises
    ------
    InvalidInputError
        If lengths differ, a value is not finite, a standard error is not positive or beyond comparison with the
        others, the covariance is not symmetric, not positive definite within a cohort or not zero between
        cohorts, a correlation is impossible, there is one cohort only, or a name is unknown.
    ConvergenceError
        If the likelihood is not maximised; the last variance between cohorts is in ``.last``.

    Warns
    -----
    FewStudiesWarning
        There are fewer than 10 cohorts, fewer than 4 Satterthwaite degrees of freedom, or no cohort with two
        results.
    NarrowIntervalWarning
        All effects are equal, so that a cluster-robust interval is undefined.

    Notes
    -----
    The three-level model [1]_ is :math:`y_{ij} = \mu + b_i + c_{ij} + e_{ij}` with variances
    :math:`\sigma_b^2` between and :math:`\sigma_c^2` within cohorts. Its variances and weights rest on the
    assumed sampling covariance; the robust interval holds when that is wrong [2]_ [3]_.

    References
    ----------
    .. [1] Konstantopoulos S (2011). Fixed effects and variance components estimation in three-level
       meta-analysis. Res Synth Methods 2:61-76. https://doi.org/10.1002/jrsm.35
    .. [2] Hedges LV, Tipton E, Johnson MC (2010). Robust variance estimation in meta-regression with
       dependent effect size estimates. Res Synth Methods 1:39-65. https://doi.org/10.1002/jrsm.5
    .. [3] Pustejovsky JE, Tipton E (2022). Meta-analysis with robust variance estimation: expanding the range
       of working models. Prev Sci 23:425-438. https://doi.org/10.1007/s11121-021-01246-3

    Examples
    --------
    An example: log hazard ratios of a marker from ten cohorts, four of which report two endpoints.

    >>> pooled = pool_dependent(
    ...     [0.62, 0.41, 0.10, 0.35, 0.48, -0.22, 0.95, 0.30, 0.55, 0.71, 0.05, 0.33, 0.80, 0.52],
    ...     se=[0.20, 0.18, 0.15, 0.14, 0.22, 0.25, 0.30, 0.12, 0.21, 0.24, 0.19, 0.16, 0.28, 0.23],
    ...     cluster=["A", "A", "B", "B", "C", "D", "E", "F", "F", "G", "H", "I", "J", "J"],
    ...     correlation=0.6, measure="log_hr",
    ... )
    >>> print(pooled)
    Hazard ratio, three-level model by REML, CI by CR2, k = 14 results of 10 cohorts
      estimate  1.45   95% CI [1.22, 1.72] on 7.7 df   95% PI [0.96, 2.19]
      variance between cohorts 0.00743   95% CI [0, 0.176]   I2 15%   LR test p = 0.43
      variance within cohorts 0.0184   95% CI [0, 0.121]   I2 36%   LR test p = 0.080
      I2 51%   Q 25.89 on 13 df, p = 0.018   sampling errors in a cohort assumed correlated 0.6
    >>> round(pooled.natural, 3), pooled.warnings
    (1.451, ())
    """
    y, names, cohorts = read_results(estimate, cluster, study, measure, model, method, ci_method)
    rho, v = read_sampling(y, se, covariance, correlation, model, names, cohorts)

    fit = fit_dependent(
        y,
        v,
        cohort_numbers(cohorts),
        model=model,
        method=method,
        ci_method=ci_method,
        correlation=np.nan_to_num(rho),
    )
    if not fit.converged:
        raise ConvergenceError(
            f"The three-level model by {method} did not converge.", last=float(fit.between)
        )

    for array in (y, v, fit.mean.weight):
        array.setflags(write=False)
    return DependentEffect(
        measure=measure,
        model=model,
        method=method if model == "three_level" else "moments",
        ci_method=ci_method,
        correlation=rho,
        estimate=float(fit.mean.mean),
        se=float(fit.mean.se),
        df=float(fit.mean.df),
        between=float(fit.between),
        within=float(fit.within),
        log_likelihood=float(fit.log_likelihood),
        study=names,
        cluster=cohorts,
        study_estimate=y,
        study_covariance=v,
        weight=fit.mean.weight,
        warnings=_doubts(len(set(cohorts)), fit, ci_method),
    )


def regress_dependent(
    estimate: npt.ArrayLike,
    *,
    cluster: Iterable[str | int],
    moderators: object,
    data: object = None,
    se: npt.ArrayLike | None = None,
    covariance: npt.ArrayLike | None = None,
    correlation: float | None = None,
    measure: EffectMeasure = "generic",
    model: DependentModel = "three_level",
    method: LikelihoodMethod = "REML",
    ci_method: DependentCiMethod = "CR2",
    study: Iterable[str] | None = None,
) -> DependentRegression:
    r"""Regress results on moderators when several of them come from one cohort.

    Parameters
    ----------
    estimate, cluster, se, covariance, correlation, measure, model, method, study
        As in `pool_dependent`.
    moderators : str, array_like, mapping or data frame
        A formula like "~ year + design", or the moderators themselves, as in `regress_effects`. They may differ
        between the results of a cohort.
    data : mapping or data frame, optional
        With a formula: the moderators as columns, a row a result.
    ci_method : {"CR2", "CR1", "CR0", "t", "wald"}
        Errors of the coefficients, as in `pool_dependent`; with "CR1", "CR0" and "t" they have m - p degrees of
        freedom for m cohorts and p coefficients.

    Returns
    -------
    DependentRegression
        Frozen. Ask it for intervals, tests of moderators and frames.

    Raises
    ------
    InvalidInputError
        As `pool_dependent`; or if a moderator is missing, constant, or follows from the others, there are no more
        results than coefficients, or no more cohorts.
    ConvergenceError
        If the likelihood is not maximised; the last variance between cohorts is in ``.last``.

    Warns
    -----
    FewStudiesWarning
        A coefficient has fewer than 4 Satterthwaite degrees of freedom or rests on one cohort, there are fewer than
        10 cohorts, or no cohort has two results.

    Notes
    -----
    The model is that of `pool_dependent` with :math:`x_{ij}'\beta` in place of :math:`\mu`. Moderators that are
    the same for all results of a cohort have about as many degrees of freedom as cohorts, those that vary within
    cohorts may have more or fewer [1]_ [2]_.

    References
    ----------
    .. [1] Tipton E (2015). Small sample adjustments for robust variance estimation with meta-regression.
       Psychol Methods 20:375-393. https://doi.org/10.1037/met0000011
    .. [2] Pustejovsky JE, Tipton E (2018). Small-sample methods for cluster-robust variance estimation and
       hypothesis testing in fixed effects models. J Bus Econ Stat 36:672-683.
       https://doi.org/10.1080/07350015.2016.1247004

    Examples
    --------
    An example: log hazard ratios of a marker from ten cohorts, four of which report two endpoints.

    >>> result = regress_dependent(
    ...     [0.62, 0.41, 0.10, 0.35, 0.48, -0.22, 0.95, 0.30, 0.55, 0.71, 0.05, 0.33, 0.80, 0.52],
    ...     se=[0.20, 0.18, 0.15, 0.14, 0.22, 0.25, 0.30, 0.12, 0.21, 0.24, 0.19, 0.16, 0.28, 0.23],
    ...     cluster=["A", "A", "B", "B", "C", "D", "E", "F", "F", "G", "H", "I", "J", "J"],
    ...     moderators={"endpoint": ["OS", "DFS"] * 2 + ["OS"] * 2 + ["DFS", "OS"] * 2 + ["OS", "DFS"] * 2},
    ...     correlation=0.6, measure="log_hr",
    ... )
    >>> print(result)
    Hazard ratio (log scale), three-level meta-regression by REML, CI by CR2, k = 14 results of 10 cohorts
                      estimate      se  95% CI            df      p
      intercept          0.435  0.0635  [0.269, 0.600]   4.8  0.001
      endpoint[T.OS]    -0.105   0.109  [-0.376, 0.165]  5.6   0.37
      moderators  F 0.94 on 1 and 5.6 df, p = 0.37
      residual    variance between cohorts 0, within cohorts 0.0252   Q 23.56 on 12 df, p = 0.023
    """
    y, names, cohorts = read_results(estimate, cluster, study, measure, model, method, ci_method)
    rho, v = read_sampling(y, se, covariance, correlation, model, names, cohorts)
    read, coding = coded_moderators(moderators, data, names, otherwise="pool_dependent")
    design = coding.matrix(read.columns)
    check_design(design, coding.names, names, rows="results")
    m, p = len(set(cohorts)), design.shape[1]
    if m <= p:
        raise InvalidInputError(
            f"{p} coefficients ({', '.join(coding.names)}) need more than {p} cohorts; got {m}. Use fewer moderators."
        )

    fit = fit_dependent_regression(
        y,
        v,
        cohort_numbers(cohorts),
        design,
        model=model,
        method=method,
        ci_method=ci_method,
        correlation=np.nan_to_num(rho),
    )
    if not fit.converged:
        raise ConvergenceError(
            f"The three-level model by {method} did not converge.", last=float(fit.between)
        )

    for array in (y, v, design, fit.coefficient, fit.covariance, fit.df):
        array.setflags(write=False)
    return DependentRegression(
        measure=measure,
        model=model,
        method=method if model == "three_level" else "moments",
        ci_method=ci_method,
        correlation=rho,
        names=coding.names,
        coefficient=fit.coefficient,
        covariance=fit.covariance,
        df=fit.df,
        between=float(fit.between),
        within=float(fit.within),
        log_likelihood=float(fit.log_likelihood),
        q=float(fit.q),
        study=names,
        cluster=cohorts,
        study_estimate=y,
        study_covariance=v,
        design=design,
        moderators={name: read.columns[name] for name in coding.variables},
        coding=coding,
        warnings=_regression_doubts(m, coding.names, fit.df, float(fit.within), ci_method),
    )


def overlap_covariance(
    se: npt.ArrayLike,
    *,
    n_total: npt.ArrayLike,
    n_shared: Mapping[tuple[str, str], float],
    study: Iterable[str],
    correlation: float = 1.0,
) -> OverlapCovariance:
    r"""Sampling covariance of studies that share patients, and the cohorts they form.

    Two means over :math:`n_i` and :math:`n_j` patients of whom :math:`n_{ij}` are the same have correlation
    :math:`n_{ij} / \sqrt{n_i n_j}` [1]_, and so, nearly, have two estimates of one effect from like
    patients. It is multiplied by `correlation` when the results are not of the same outcome.

    Parameters
    ----------
    se : array_like of float, shape (k,)
        Standard errors on the scale of pooling, all positive.
    n_total : array_like of int, shape (k,)
        Patients of each study; for hazard ratios, events, which are what carries the information.
    n_shared : mapping of (str, str) to int
        How many patients, or events, two studies have in common. Pairs not named share none.
    study : iterable of str
        Labels of the studies, each different.
    correlation : float
        Correlation of two results if all of their patients were the same: 1 for one outcome analysed in one way.

    Returns
    -------
    OverlapCovariance
        The covariance, and for each study the first of those that it is linked to by shared patients: the
        `covariance` and the `cluster` of `pool_dependent`.

    Raises
    ------
    InvalidInputError
        If a label is unknown or given twice, more are shared than a study has, numbers are not counts, or two
        studies are the same patients.

    References
    ----------
    .. [1] Lin DY, Sullivan PF (2009). Meta-analysis of genome-wide association studies with overlapping
       subjects. Am J Hum Genet 85:862-872. https://doi.org/10.1016/j.ajhg.2009.11.001

    Examples
    --------
    >>> overlap = overlap_covariance(
    ...     [0.2, 0.1, 0.3], n_total=[100, 400, 50], n_shared={("Adams", "Brown"): 60},
    ...     study=["Adams", "Brown", "Chen"],
    ... )
    >>> overlap.covariance.round(4).tolist(), overlap.cluster
    ([[0.04, 0.006, 0.0], [0.006, 0.01, 0.0], [0.0, 0.0, 0.09]], ('Adams', 'Adams', 'Chen'))
    """
    s, n = _validate.array_1d(se, "se"), _validate.array_1d(n_total, "n_total")
    _validate.same_length(s, "se", n, "n_total")
    names = _validate.labels(study, s.size)
    s = _validate.positive_1d(s, "se", labels=names)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InvalidInputError(f"study must name each study once; {twice[0]} is there twice.")
    if not isinstance(correlation, int | float) or not 0 < correlation <= 1:
        raise InvalidInputError(f"correlation must lie above 0 and not above 1; got {correlation!r}.")
    for name, total in zip(names, n, strict=True):
        _validate.count(total, "n_total", where=name, minimum=1)
    place = {name: i for i, name in enumerate(names)}
    shares = np.eye(s.size)
    cohort = np.arange(s.size)
    for (first, second), shared in n_shared.items():
        for name in (first, second):
            _validate.choice(name, "n_shared", names)
        pair, (i, j) = f"{first} and {second}", (place[first], place[second])
        if i == j:
            raise InvalidInputError(f"n_shared needs two different studies; got {first} twice.")
        _validate.count(shared, "n_shared", where=pair)
        if shared > min(n[i], n[j]):
            raise InvalidInputError(
                f"{pair}: n_shared cannot exceed either study; got {shared:g} of {n[i]:g} and {n[j]:g}."
            )
        shares[i, j] = shares[j, i] = correlation * shared / math.sqrt(n[i] * n[j])
        if shared:
            cohort[cohort == max(cohort[i], cohort[j])] = min(cohort[i], cohort[j])
    cluster = tuple(names[i] for i in cohort)
    covariance = shares * np.outer(s, s)
    check_definite(covariance, cluster)
    covariance.setflags(write=False)
    return OverlapCovariance(covariance, cluster)


def _doubts(n_clusters: int, fit: DependentFit, ci_method: DependentCiMethod) -> tuple[Caution, ...]:
    """Warn of too few cohorts, of an interval without width, and of variances that cannot be told apart."""
    found: list[tuple[type[NetsynthWarning], str]] = []
    if math.isnan(fit.mean.se):
        message = f"All effects are equal, so the {ci_method} interval is undefined. Use ci_method='t'."
        found.append((NarrowIntervalWarning, message))
    if ci_method == "CR2" and fit.mean.df < _LEAST_DF:
        message = (
            f"The CR2 interval has {fit.mean.df:.1f} degrees of freedom. Below 4 its level and p-value cannot be "
            "trusted: there are too few cohorts, or one outweighs the others."
        )
        found.append((FewStudiesWarning, message))
    elif n_clusters < _FEW_CLUSTERS:
        message = (
            f"{n_clusters} cohorts are few: their variances, and every interval but that of CR2, are rough."
        )
        found.append((FewStudiesWarning, message))
    if math.isnan(fit.within):
        found.append((FewStudiesWarning, _ALL_SINGLE))
    said = []
    for kind, message in found:
        said.append(caution(kind, message, stacklevel=_USER))
    return tuple(said)


def _regression_doubts(
    n_clusters: int, names: tuple[str, ...], df: FloatArray, within: float, ci_method: DependentCiMethod
) -> tuple[Caution, ...]:
    """Warn of coefficients with few degrees of freedom, of few cohorts, and of one result a cohort."""
    found = []
    if none := [name for name, value in zip(names, df, strict=True) if math.isnan(value)]:
        found.append(
            f"One cohort alone determines {_format.listing(none)}, which leaves the {ci_method} interval undefined. "
            "Use fewer moderators, or ci_method='t'."
        )
    if ci_method == "CR2" and (
        few := [name for name, value in zip(names, df, strict=True) if value < _LEAST_DF]
    ):
        found.append(
            f"The CR2 intervals of {_format.listing(few)} have down to {np.nanmin(df):.1f} degrees of freedom. Below "
            "4 their level and p-values cannot be trusted: too few cohorts differ in the moderator, or one outweighs "
            "the others."
        )
    elif n_clusters < _FEW_CLUSTERS:
        found.append(
            f"{n_clusters} cohorts are few: their variances, and every interval but that of CR2, are rough."
        )
    if math.isnan(within):
        found.append(_ALL_SINGLE)
    said = []
    for kind, message in [(FewStudiesWarning, message) for message in found]:
        said.append(caution(kind, message, stacklevel=_USER))
    return tuple(said)
