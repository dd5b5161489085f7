"""Pool several outcomes of the same studies, or one outcome at several times, together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._typing import FloatArray
from netsynth.errors import (
    BoundaryWarning,
    Caution,
    ConvergenceError,
    FewStudiesWarning,
    InvalidInputError,
    NarrowIntervalWarning,
    caution,
)
from netsynth.kernels import multivariate
from netsynth.kernels.covariance_structures import STRUCTURES, CovarianceStructure
from netsynth.kernels.intervals import critical_value
from netsynth.kernels.multivariate import Gls, Spread
from netsynth.kernels.multivariate_fit import MOMENTS, BetweenMethod, psi_between
from netsynth.kernels.scales import MEASURES, EffectMeasure
from netsynth.results.multivariate import (
    PREDICTION_SPENT,
    SPREADS,
    MultivariateEffect,
    MultivariatePrediction,
)
from netsynth.results.within_correlation import correlation_matrix

__all__ = ["pool_multivariate"]

_METHODS = ("REML", "ML", *MOMENTS, "CE")
#: Structures in which every outcome has a variance of its own.
_OWN_VARIANCE = ("unstructured", "diagonal", "heterogeneous_cs", "heterogeneous_ar1")
#: Least eigenvalue of the correlation of estimates within a study: below it two outcomes are one.
_LEAST = 1e-8
#: Relative difference by which the halves of a covariance may differ, being printed and read.
_ASYMMETRY = 1e-8
#: Ratio of the range of effects, or the largest standard error, to the smallest, beyond which digits run out.
_WIDEST_RATIO = 1e5
#: Studies for each parameter between studies, below which these are hardly known.
_STUDIES_PER_PARAMETER = 5
_USER = 4  # frames from `caution` up to the caller of the verb: caution, _doubts, the verb, its caller


def pool_multivariate(
    estimate: npt.ArrayLike,
    *,
    covariance: npt.ArrayLike | None = None,
    se: npt.ArrayLike | None = None,
    correlation: npt.ArrayLike | None = None,
    outcomes: Iterable[str] | None = None,
    moderators: Mapping[str, npt.ArrayLike] | None = None,
    structure: CovarianceStructure = "unstructured",
    method: BetweenMethod = "REML",
    ci_method: Spread = "mHK",
    prediction_method: MultivariatePrediction = "t_km2",
    measure: EffectMeasure = "generic",
    study: Iterable[str] | None = None,
) -> MultivariateEffect:
    r"""Pool several outcomes of the same studies under the multivariate random-effects model.

    Parameters
    ----------
    estimate : array_like of float, shape (k, p)
        One effect per study and outcome on the scale of `measure`; nan where a study does not report it.
    covariance : array_like of float, shape (k, p, p), optional
        Covariance of the estimates of each study. What belongs to an outcome not reported is not looked at.
    se : array_like of float, shape (k, p), optional
        Standard errors, instead of `covariance`; with `correlation`.
    correlation : float or array_like of float, shape (p, p), optional
        Assumed correlation of the estimates within every study. The result names it, and its
        `over_correlation` shows what hangs on it.
    outcomes : iterable of str, optional
        Names of the outcomes.
    moderators : mapping of str to array_like of float, shape (k,), optional
        Characteristics of the studies by name. Each outcome has its own slope on each; the pooled effects are those
        at zero, so measure a moderator from a value of interest.
    structure : str
        Shape of the covariance between studies: "unstructured", "diagonal", "identity", "compound_symmetry",
        "heterogeneous_cs", "ar1" or "heterogeneous_ar1". The last two are for outcomes in order, such as times at equal
        distances.
    method : {"REML", "ML", "MM", "VC", "CE"}
        Estimator of it: likelihood, restricted or not; the method of moments for matrices; variance components. "CE" is
        the common-effect model.
    ci_method : {"wald", "t", "HK", "mHK"}
        Interval of the coefficients: normal; t on estimates less coefficients; the same with the residual variation
        as a factor, which with one outcome is Knapp and Hartung's; with a factor of 1 at least.
    prediction_method : {"normal", "t_km1", "t_km2"}
        Prediction interval: normal, or t on the number of studies that report the outcome less 1 or 2, and less
        the number of moderators.
    measure : str
        Scale of `estimate`, as in `pool_effects`.
    study : iterable of str, optional
        Labels, so that complaints and tables name the study.

    Returns
    -------
    MultivariateEffect
        Frozen. Ask it for intervals, contrasts, predictions, frames, plots, or other correlations within studies.

    Raises
    ------
    InvalidInputError
        If shapes differ, an effect is infinite, a study reports nothing, standard errors and covariance are both
        given or both missing, a covariance is not one, too few studies report an outcome or a pair of outcomes for
        the structure, effects or standard errors are beyond comparison with each other, moderators are not finite
        or say the same, or a name is unknown.
    ConvergenceError
        If the search for a maximum does not arrive; ``.last`` is the last sum of the between-study variances.

    Warns
    -----
    BoundaryWarning
        The covariance between studies is singular: an outcome does not vary, or outcomes are wholly correlated.
    FewStudiesWarning
        Fewer than five studies for each parameter of the covariance between studies.
    NarrowIntervalWarning
        "HK" intervals are narrower than those of the common-effect model, or undefined.

    Notes
    -----
    The model is :math:`y_i \sim N(X_i \beta, S_i + \Psi)` [1]_, with the known :math:`S_i` within and :math:`\Psi`
    between studies. The moments are those of [2]_.

    References
    ----------
    .. [1] van Houwelingen HC, Arends LR, Stijnen T (2002). Advanced methods in meta-analysis: multivariate approach and
       meta-regression. Stat Med 21:589-624.
    .. [2] Jackson D, White IR, Riley RD (2013). A matrix-based method of moments for fitting the multivariate random
       effects model for meta-analysis and meta-regression. Biom J 55:231-245.
       https://doi.org/10.1002/bimj.201200152

    Examples
    --------
    Five trials of surgery for periodontal disease: improvement of probing depth and of attachment, in mm.

    >>> import warnings
    >>> warnings.simplefilter("ignore")  # of five studies being few
    >>> pooled = pool_multivariate(
    ...     [[0.47, -0.32], [0.20, -0.60], [0.40, -0.12], [0.26, -0.31], [0.56, -0.39]],
    ...     covariance=[
    ...         [[0.0075, 0.0030], [0.0030, 0.0077]],
    ...         [[0.0057, 0.0009], [0.0009, 0.0008]],
    ...         [[0.0021, 0.0007], [0.0007, 0.0014]],
    ...         [[0.0029, 0.0009], [0.0009, 0.0015]],
    ...         [[0.0148, 0.0072], [0.0072, 0.0304]],
    ...     ],
    ...     outcomes=["depth", "attachment"],
    ...     ci_method="wald",
    ... )
    >>> print(pooled)
    Effect, 2 outcomes, random effects, unstructured by REML, CI by wald, k = 5
                  estimate  95% CI            95% PI              tau  studies
      depth       0.353     [0.238, 0.469]    [-0.0389, 0.746]  0.108        5
      attachment  -0.339    [-0.512, -0.167]  [-0.979, 0.300]   0.181        5
      correlation between studies: depth and attachment 0.61
      I2 94%   Q 128.23 on 8 df, p < 0.001
      correlation within studies: given
      FewStudiesWarning: 5 studies for 3 parameters of the covariance between studies: it is hardly known, and ...
    >>> print(pooled.contrast([1, -1]).summary_frame().round(3).to_string())
                        estimate     se  ci_lower  ci_upper  pvalue
    contrast
    depth - attachment     0.693  0.074     0.547     0.838     0.0
    """
    y, names, labels = _estimates(estimate, outcomes, study)
    k, p = y.shape
    within, assumed = _within(y, covariance, se, correlation, names, labels)
    terms, design = _design(moderators, names, k)
    _validate.choice(structure, "structure", STRUCTURES)
    _validate.choice(method, "method", _METHODS)
    _validate.choice(ci_method, "ci_method", SPREADS)
    _validate.choice(prediction_method, "prediction_method", PREDICTION_SPENT)
    _validate.choice(measure, "measure", MEASURES)
    if method in MOMENTS and structure != "unstructured":
        raise InvalidInputError(
            f"method {method!r} knows no structure; use 'REML' or 'ML' for {structure!r}."
        )
    _check_span(y, within, names, labels)
    _check_reports(np.isfinite(y), design, names, method, structure)
    shape: CovarianceStructure = structure if p > 1 else "diagonal"

    values = np.nan_to_num(y)
    between = psi_between(values, within, design, method=method, structure=shape)
    if not between.converged:
        raise ConvergenceError(
            f"The covariance between studies by {method} did not converge.", last=float(np.trace(between.psi))
        )
    fit = multivariate.gls(values, within, design, between.psi)
    common = multivariate.gls(values, within, design, np.zeros((p, p)))
    variance = np.diagonal(within, axis1=1, axis2=2)
    heights = [
        float(multivariate.log_likelihood(values, within, design, between.psi, restricted=restricted))
        for restricted in (False, True)
    ]
    cautions = _doubts(
        fit, common, between.psi, names, method, shape, ci_method, k, int(np.isfinite(y).sum())
    )

    q_outcome = (common.residual**2 / variance).sum(0)
    kept = (fit.coefficient, fit.covariance, between.psi, q_outcome, common.covariance, y, within)
    for array in kept:
        array.setflags(write=False)
    return MultivariateEffect(
        measure=measure,
        outcomes=names,
        terms=terms,
        structure=shape,
        method=method,
        ci_method=ci_method,
        prediction_method=prediction_method,
        within=assumed,
        study=labels,
        coefficient=fit.coefficient,
        model_covariance=fit.covariance,
        psi=between.psi,
        q=float(common.q),
        q_residual=float(fit.q),
        q_outcome=q_outcome,
        log_likelihood_ml=heights[0],
        log_likelihood_reml=heights[1],
        common_covariance=common.covariance,
        study_estimate=y,
        study_covariance=within,
        design=design,
        warnings=cautions,
    )


def _numbers(values: npt.ArrayLike, name: str, shape: tuple[int | None, ...], meaning: str) -> FloatArray:
    """An array of a shape whose None may be any length, or an error that says what the axes mean."""
    try:
        array = np.array(_validate.unmasked(values), dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidInputError(f"{name} must be numbers, {meaning}; got {values!r:.80}.") from None
    fits = array.ndim == len(shape) and all(
        want in (None, got) for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits or array.size == 0:
        raise InvalidInputError(f"{name} must have shape {meaning}; got {array.shape}.")
    return array


def _estimates(
    estimate: npt.ArrayLike, outcomes: Iterable[str] | None, study: Iterable[str] | None
) -> tuple[FloatArray, tuple[str, ...], tuple[str, ...]]:
    y = _numbers(estimate, "estimate", (None, None), "(studies, outcomes)")
    k, p = y.shape
    labels = _validate.labels(study, k)
    if outcomes is None:
        names = tuple(f"outcome {i}" for i in range(1, p + 1))
    else:
        given = [outcomes] if isinstance(outcomes, str) else outcomes
        names = tuple(_validate.text(name, "outcomes") for name in given)
    if len(names) != p:
        raise InvalidInputError(
            f"outcomes must have one name for each of {_format.plural(p, 'outcome')}; got {len(names)}."
        )
    if len(set(names)) < p:
        raise InvalidInputError(f"outcomes must have different names; got {_format.listing(names)}.")
    infinite = np.argwhere(np.isinf(y))
    if infinite.size:
        i, j = infinite[0]
        raise InvalidInputError(
            f"{labels[i]}: estimate of {names[j]} must be finite, or nan if not reported; got {y[i, j]:g}."
        )
    silent = np.flatnonzero(np.isnan(y).all(1))
    if silent.size:
        raise InvalidInputError(f"{labels[silent[0]]}: no outcome is reported. Leave the study out.")
    return y, names, labels


def _within(
    y: FloatArray,
    covariance: npt.ArrayLike | None,
    se: npt.ArrayLike | None,
    correlation: npt.ArrayLike | None,
    names: tuple[str, ...],
    labels: tuple[str, ...],
) -> tuple[FloatArray, str]:
    """Covariance within studies, infinite variance where nothing is reported, and what is known of it."""
    k, p = y.shape
    reported = np.isfinite(y)
    if (covariance is None) == (se is None):
        both = "both" if se is not None else "neither"
        raise InvalidInputError(f"Give either covariance or se with correlation; got {both}.")
    if covariance is not None:
        if correlation is not None:
            raise InvalidInputError("correlation goes with se: the covariance already says it.")
        given = _numbers(covariance, "covariance", (k, p, p), f"({k}, {p}, {p})")
        return _checked(given, reported, names, labels), "given"
    errors = _numbers([] if se is None else se, "se", (k, p), f"({k}, {p})")
    bad = np.argwhere(reported & ~(np.isfinite(errors) & (errors > 0)))
    if bad.size:
        i, j = bad[0]
        raise InvalidInputError(f"{labels[i]}: se of {names[j]} must be positive; got {errors[i, j]:g}.")
    if correlation is None and p > 1:
        raise InvalidInputError(
            "se needs a correlation of the outcomes within studies; 0 if they come from different patients."
        )
    matrix = correlation_matrix(0.0 if correlation is None else correlation, p, "correlation")
    number = np.ndim(0.0 if correlation is None else correlation) == 0
    said = f"{matrix[0, -1]:g} assumed" if number and p > 1 else "matrix assumed" if p > 1 else "none"
    return multivariate.within_covariance(np.where(reported, errors, np.inf), matrix), said


def _checked(
    given: FloatArray, reported: npt.NDArray[np.bool_], names: tuple[str, ...], labels: tuple[str, ...]
) -> FloatArray:
    """Covariance matrices, each of the outcomes that its study reports."""
    whole = np.zeros_like(given)
    for i, (matrix, here) in enumerate(zip(given, reported, strict=True)):
        part = matrix[np.ix_(here, here)]
        where = f"{labels[i]}: covariance"
        if not np.isfinite(part).all():
            raise InvalidInputError(f"{where} of the reported outcomes must be finite.")
        variance = np.diag(part)
        if (variance <= 0).any():
            j = int(np.flatnonzero(variance <= 0)[0])
            name = names[int(np.flatnonzero(here)[j])]
            raise InvalidInputError(f"{where} must have positive variances; got {variance[j]:g} of {name}.")
        root = np.sqrt(variance)
        scaled = part / np.multiply.outer(root, root)
        if np.abs(scaled - scaled.T).max() > _ASYMMETRY:
            a, b = np.unravel_index(np.abs(scaled - scaled.T).argmax(), scaled.shape)
            raise InvalidInputError(f"{where} must be symmetric; got {part[a, b]:g} and {part[b, a]:g}.")
        if np.linalg.eigvalsh(0.5 * (scaled + scaled.T))[0] < _LEAST:
            raise InvalidInputError(
                f"{where} must be positive definite: no estimates can be so correlated, or one follows from the "
                "others and should be left out."
            )
        whole[i][np.ix_(here, here)] = 0.5 * (part + part.T)
        whole[i][~here, ~here] = np.inf
    return whole


def _design(
    moderators: Mapping[str, npt.ArrayLike] | None, names: tuple[str, ...], k: int
) -> tuple[tuple[str, ...], FloatArray]:
    """Names of the coefficients and the design of each study, shape (k, p, q)."""
    p, given = len(names), moderators or {}
    columns = [np.ones(k)]
    terms = list(names)
    for name, values in given.items():
        column = _validate.finite_1d(values, f"moderator {name}")
        if column.size != k:
            studies = _format.plural(k, "study", "studies")
            raise InvalidInputError(
                f"moderator {name} must have one value for each of {studies}; got {column.size}."
            )
        columns.append(column)
        terms += [f"{outcome}: {name}" for outcome in names]
    design = np.concatenate([column[:, None, None] * np.eye(p) for column in columns], axis=-1)
    design.setflags(write=False)
    return tuple(terms), design


def _check_span(y: FloatArray, within: FloatArray, names: tuple[str, ...], labels: tuple[str, ...]) -> None:
    """Refuse effects so far apart for their errors that a unit must be wrong."""
    for j, name in enumerate(names):
        here = np.flatnonzero(np.isfinite(y[:, j]))
        if here.size:
            effect, se = y[here, j], np.sqrt(within[here, j, j])
            if max(float(np.ptp(effect)), float(se.max())) > _WIDEST_RATIO * float(se.min()):
                raise InvalidInputError(
                    f"{name}: effects and standard errors span too many orders of magnitude to be pooled: effects "
                    f"from {effect.min():g} to {effect.max():g}, se from {se.min():g} ({labels[here[se.argmin()]]}) to "
                    f"{se.max():g}. Check the units."
                )


def _check_reports(
    reported: npt.NDArray[np.bool_], design: FloatArray, names: tuple[str, ...], method: str, structure: str
) -> None:
    """Refuse outcomes, and pairs of outcomes, of which the studies say too little for the model."""
    p = len(names)
    n_columns = design.shape[-1] // p
    for j, name in enumerate(names):
        here = reported[:, j]
        column = design[here, j, j::p]
        scale = np.abs(column).max(0, initial=0.0)
        if not here.any() or np.linalg.matrix_rank(column / np.where(scale > 0, scale, 1.0)) < n_columns:
            if n_columns == 1:
                raise InvalidInputError(f"{name}: no study reports it.")
            raise InvalidInputError(
                f"{name}: the moderators of the {_format.plural(int(here.sum()), 'study', 'studies')} that report it "
                "do not differ enough to tell their slopes apart. Use fewer."
            )
        if method != "CE" and structure in _OWN_VARIANCE and here.sum() <= n_columns:
            raise InvalidInputError(
                f"{name}: {_format.plural(int(here.sum()), 'study reports', 'studies report')} it, too few for a "
                f"between-study variance of its own; it takes {n_columns + 1}. Use structure='compound_symmetry', "
                "or method='CE'."
            )
    if int(reported.sum()) <= design.shape[-1]:
        raise InvalidInputError(
            f"{_format.plural(int(reported.sum()), 'estimate')} cannot say how much studies differ beside "
            f"{_format.plural(design.shape[-1], 'coefficient')}; it takes more studies."
        )
    if method != "CE" and structure == "unstructured":
        together = reported.T.astype(np.int64) @ reported
        for i, j in np.argwhere(np.triu(together < 2, 1)):
            raise InvalidInputError(
                f"{names[i]} and {names[j]}: {_format.plural(int(together[i, j]), 'study reports', 'studies report')} "
                "both, too few for a correlation of their own; it takes 2. Use another structure, such as "
                "'compound_symmetry'."
            )


def _doubts(
    fit: Gls,
    common: Gls,
    psi: FloatArray,
    names: tuple[str, ...],
    method: str,
    structure: CovarianceStructure,
    ci_method: Spread,
    k: int,
    n_estimates: int,
) -> tuple[Caution, ...]:
    """Warn of a covariance at its boundary, of few studies, and of intervals that claim too much."""
    said: list[Caution] = []
    parameters = STRUCTURES[structure].n_parameters(len(names))
    if method != "CE" and multivariate.is_singular(psi):
        still = [name for name, variance in zip(names, np.diag(psi), strict=True) if variance == 0]
        what = (
            f"{_format.listing(still)} {'does' if len(still) == 1 else 'do'} not vary"
            if still
            else "true effects are wholly correlated"
        )
        message = (
            f"The covariance between studies lies on its boundary: {what}. That is the best fit, not knowledge; "
            "a simpler structure may serve better."
        )
        said.append(caution(BoundaryWarning, message, stacklevel=_USER))
    if method != "CE" and k < _STUDIES_PER_PARAMETER * parameters:
        message = (
            f"{_format.plural(k, 'study', 'studies')} for {_format.plural(parameters, 'parameter')} of the "
            "covariance between studies: it is hardly known, and intervals do not show that."
        )
        said.append(caution(FewStudiesWarning, message, stacklevel=_USER))
    if ci_method == "HK":
        df = n_estimates - fit.coefficient.size
        factor, df_found = multivariate.spread_of("HK", fit.q, df)
        half = critical_value(df_found, 0.95) * np.sqrt(factor * np.diag(fit.covariance))
        share = float((half / (critical_value(np.inf, 0.95) * np.sqrt(np.diag(common.covariance)))).min())
        if np.isnan(share):
            message = "Studies agree wholly, so the HK intervals are undefined. Use ci_method='mHK'."
            said.append(caution(NarrowIntervalWarning, message, stacklevel=_USER))
        elif share < 1:
            message = (
                f"A 95% HK interval is {share:.2f} times as wide as the common-effect one, because the effects agree "
                "better than chance lets expect. Use ci_method='mHK'."
            )
            said.append(caution(NarrowIntervalWarning, message, stacklevel=_USER))
    return tuple(said)
