"""Pool several results of one cohort, or of cohorts that share patients."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import get_args

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
    caution,
)
from netsynth.kernels.dependent import (
    DependentCiMethod,
    DependentFit,
    DependentModel,
    compound_symmetric,
    fit_dependent,
)
from netsynth.kernels.multilevel import LikelihoodMethod
from netsynth.kernels.scales import MEASURES, EffectMeasure
from netsynth.results.dependent import (
    DependentEffect,
    OverlapCovariance,
    check_ci_method,
    check_correlation,
)

__all__ = ["overlap_covariance", "pool_dependent"]

#: Below this share of the variances a covariance matrix counts as singular.
_SINGULAR = 1e-10
#: Standard errors further apart than this are not of one unit, and cost the precision of the sandwich.
_WIDEST_RATIO = 1e5
#: Tipton (2015): below 4 degrees of freedom the t approximation does not hold; few cohorts come close to it.
_LEAST_DF, _FEW_CLUSTERS = 4, 10
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
    y = _validate.array_1d(estimate, "estimate")
    names = _validate.labels(study, y.size)
    y = _validate.finite_1d(y, "estimate", labels=names)
    cohorts = _cohorts(cluster, y.size)
    _validate.choice(measure, "measure", MEASURES)
    _validate.choice(model, "model", get_args(DependentModel))
    _validate.choice(method, "method", get_args(LikelihoodMethod))
    check_ci_method(ci_method, model, "ci_method")
    order = {name: i for i, name in enumerate(dict.fromkeys(cohorts))}
    numbers = np.array([order[name] for name in cohorts])
    if len(order) < 2:
        raise InvalidInputError(
            f"Pooling needs at least two cohorts; all of the {_format.plural(y.size, 'result')} are of {cohorts[0]}."
        )
    if se is not None and covariance is None:
        s = _validate.array_1d(se, "se")
        _validate.same_length(y, "estimate", s, "se")
        s = _validate.positive_1d(s, "se", labels=names)
        rho = 0.0 if correlation is None else float(correlation)
        check_correlation(rho, cohorts)
        v = compound_symmetric(s**2, numbers, rho)
    elif covariance is not None and se is None:
        if correlation is not None:
            raise InvalidInputError("correlation goes with se; a covariance holds its own. Give one of them.")
        if model == "correlated_effects":
            raise InvalidInputError(
                "Correlated effects take se and an assumed correlation, not a covariance."
            )
        rho, v = math.nan, _checked(covariance, names, cohorts)
    else:
        raise InvalidInputError(
            f"Give either se or covariance; got {'both' if se is not None else 'neither'}."
        )
    _check_span(np.sqrt(np.diag(v)), names)

    fit = fit_dependent(
        y, v, numbers, model=model, method=method, ci_method=ci_method, correlation=np.nan_to_num(rho)
    )
    if not fit.converged:
        raise ConvergenceError(f"The three-level model by {method} did not converge.", last=fit.between)

    for array in (y, v, fit.mean.weight):
        array.setflags(write=False)
    return DependentEffect(
        measure=measure,
        model=model,
        method=method if model == "three_level" else "moments",
        ci_method=ci_method,
        correlation=rho,
        estimate=fit.mean.mean,
        se=fit.mean.se,
        df=fit.mean.df,
        between=fit.between,
        within=fit.within,
        log_likelihood=fit.log_likelihood,
        study=names,
        cluster=cohorts,
        study_estimate=y,
        study_covariance=v,
        weight=fit.mean.weight,
        warnings=_doubts(len(order), fit, ci_method),
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
    _check_definite(covariance, cluster)
    covariance.setflags(write=False)
    return OverlapCovariance(covariance, cluster)


def _cohorts(cluster: Iterable[str | int], k: int) -> tuple[str, ...]:
    found = [cluster] if isinstance(cluster, str) else list(cluster)
    if len(found) != k:
        raise InvalidInputError(
            f"cluster must have one cohort for each of {_format.plural(k, 'result')}; got {len(found)}."
        )
    numbers = (int, np.integer)
    return tuple(
        str(cohort) if isinstance(cohort, numbers) else _validate.text(cohort, "cluster") for cohort in found
    )


def _checked(covariance: npt.ArrayLike, names: tuple[str, ...], cohorts: tuple[str, ...]) -> FloatArray:
    k = len(names)
    try:
        v = np.array(covariance, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidInputError(f"covariance must be numbers; got {covariance!r:.80}.") from None
    if v.shape != (k, k):
        raise InvalidInputError(
            f"covariance must have a row and a column for each of {_format.plural(k, 'result')}; got shape {v.shape}."
        )
    for i, j in zip(*np.nonzero(~np.isfinite(v)), strict=True):
        raise InvalidInputError(f"covariance must be finite; got {v[i, j]:g} for {names[i]} and {names[j]}.")
    for i in np.flatnonzero(np.diag(v) <= 0):
        raise InvalidInputError(f"{names[i]}: variance must be positive; got {v[i, i]:g} at position {i}.")
    scale = np.sqrt(np.outer(np.diag(v), np.diag(v)))
    for i, j in zip(*np.nonzero(np.abs(v - v.T) > _SINGULAR * scale), strict=True):
        raise InvalidInputError(
            f"covariance must be symmetric; got {v[i, j]:g} for {names[i]} with {names[j]} and {v[j, i]:g} the "
            "other way round."
        )
    apart = np.array([[a != b for b in cohorts] for a in cohorts])
    for i, j in zip(*np.nonzero(apart & (v != 0)), strict=True):
        raise InvalidInputError(
            f"Results of different cohorts are independent; got covariance {v[i, j]:g} for {names[i]} of {cohorts[i]} "
            f"and {names[j]} of {cohorts[j]}. Give cohorts that share patients one name."
        )
    v = 0.5 * (v + v.T)
    _check_definite(v, cohorts)
    return v


def _check_definite(covariance: FloatArray, cohorts: tuple[str, ...]) -> None:
    se = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(se, se)
    for cohort in dict.fromkeys(cohorts):
        members = np.flatnonzero([name == cohort for name in cohorts])
        least = float(np.linalg.eigvalsh(correlation[np.ix_(members, members)])[0])
        if least < _SINGULAR:
            raise InvalidInputError(
                f"{cohort}: the covariance of its {_format.plural(members.size, 'result')} is not positive definite; "
                f"the smallest eigenvalue of the correlations is {least:.2g}. Check it, and give results that are the "
                "same only once."
            )


def _check_span(se: FloatArray, names: tuple[str, ...]) -> None:
    low, high = int(se.argmin()), int(se.argmax())
    if se[high] > _WIDEST_RATIO * se[low]:
        raise InvalidInputError(
            f"Standard errors span too many orders of magnitude to be pooled: {se[low]:g} ({names[low]}) to "
            f"{se[high]:g} ({names[high]}). Check the units."
        )


def _doubts(n_clusters: int, fit: DependentFit, ci_method: DependentCiMethod) -> tuple[Caution, ...]:
    """Warn of too few cohorts, of an interval without width, and of variances that cannot be told apart."""
    said = []
    if math.isnan(fit.mean.se):
        message = f"All effects are equal, so the {ci_method} interval is undefined. Use ci_method='t'."
        said.append(caution(NarrowIntervalWarning, message, stacklevel=_USER))
    if ci_method == "CR2" and fit.mean.df < _LEAST_DF:
        message = (
            f"The CR2 interval has {fit.mean.df:.1f} degrees of freedom. Below 4 its level and p-value cannot be "
            "trusted: there are too few cohorts, or one outweighs the others."
        )
        said.append(caution(FewStudiesWarning, message, stacklevel=_USER))
    elif n_clusters < _FEW_CLUSTERS:
        message = (
            f"{n_clusters} cohorts are few: their variances, and every interval but that of CR2, are rough."
        )
        said.append(caution(FewStudiesWarning, message, stacklevel=_USER))
    if math.isnan(fit.within):
        message = "No cohort has two results, so the variance between cohorts holds that within cohorts too."
        said.append(caution(FewStudiesWarning, message, stacklevel=_USER))
    return tuple(said)
