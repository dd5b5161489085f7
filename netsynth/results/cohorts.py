"""Results of cohorts as they are given: effects, cohorts, the covariance of sampling errors, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, get_args

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._typing import FloatArray, IntArray
from netsynth.errors import InvalidInputError
from netsynth.kernels.dependent import DependentCiMethod, DependentModel, compound_symmetric
from netsynth.kernels.multilevel import LikelihoodMethod
from netsynth.kernels.scales import MEASURES, EffectMeasure
from netsynth.results.dependent import check_ci_method, check_correlation

__all__ = ["check_definite", "cohort_numbers", "read_results", "read_sampling"]

#: Below this share of the variances a covariance matrix counts as singular.
_SINGULAR: Final = 1e-10
#: Standard errors further apart than this are not of one unit, and cost the precision of the sandwich.
_WIDEST_RATIO: Final = 1e5


def read_results(
    estimate: npt.ArrayLike,
    cluster: Iterable[str | int],
    study: Iterable[str] | None,
    measure: EffectMeasure,
    model: DependentModel,
    method: LikelihoodMethod,
    ci_method: DependentCiMethod,
) -> tuple[FloatArray, tuple[str, ...], tuple[str, ...]]:
    """Checked effects, the labels of the results and their cohorts; the names of the methods are checked too.

    Raises
    ------
    InvalidInputError
        If a value is not finite, lengths differ, there is one cohort only, or a name is unknown.
    """
    y = _validate.array_1d(estimate, "estimate")
    names = _validate.labels(study, y.size)
    y = _validate.finite_1d(y, "estimate", labels=names)
    cohorts = _cohorts(cluster, y.size)
    _validate.choice(measure, "measure", MEASURES)
    _validate.choice(model, "model", get_args(DependentModel))
    _validate.choice(method, "method", get_args(LikelihoodMethod))
    check_ci_method(ci_method, model, "ci_method")
    if len(set(cohorts)) < 2:
        raise InvalidInputError(
            f"Pooling needs at least two cohorts; all of the {_format.plural(y.size, 'result')} are of {cohorts[0]}."
        )
    return y, names, cohorts


def read_sampling(
    estimate: FloatArray,
    se: npt.ArrayLike | None,
    covariance: npt.ArrayLike | None,
    correlation: float | None,
    model: DependentModel,
    names: tuple[str, ...],
    cohorts: tuple[str, ...],
) -> tuple[float, FloatArray]:
    """The assumed correlation of sampling errors, nan if the covariance was given, and their covariance.

    Raises
    ------
    InvalidInputError
        If not one of se and covariance was given, or it is not what it must be; or if standard errors lie too
        far apart.
    """
    if (se is None) == (covariance is None):
        raise InvalidInputError(
            f"Give either se or covariance; got {'both' if se is not None else 'neither'}."
        )
    if se is not None:
        s = _validate.array_1d(se, "se")
        _validate.same_length(estimate, "estimate", s, "se")
        s = _validate.positive_1d(s, "se", labels=names)
        rho = 0.0 if correlation is None else float(correlation)
        check_correlation(rho, cohorts)
        v = compound_symmetric(s**2, cohort_numbers(cohorts), rho)
    else:
        if correlation is not None:
            raise InvalidInputError("correlation goes with se; a covariance holds its own. Give one of them.")
        if model == "correlated_effects":
            raise InvalidInputError(
                "Correlated effects take se and an assumed correlation, not a covariance."
            )
        rho, v = math.nan, _checked(covariance, names, cohorts)
    _check_span(np.sqrt(np.diag(v)), names)
    return rho, v


def cohort_numbers(cohorts: tuple[str, ...]) -> IntArray:
    """Number of each result's cohort, in order of appearance."""
    order = {name: i for i, name in enumerate(dict.fromkeys(cohorts))}
    return np.array([order[name] for name in cohorts])


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


def _checked(covariance: object, names: tuple[str, ...], cohorts: tuple[str, ...]) -> FloatArray:
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
    check_definite(v, cohorts)
    return v


def check_definite(covariance: FloatArray, cohorts: tuple[str, ...]) -> None:
    """Refuse a covariance that is singular within a cohort."""
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
