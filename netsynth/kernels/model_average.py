r"""Several families fitted to one report, and how much each is worth.

Akaike weights are :math:`w_k \propto e^{-\Delta_k / 2}`, with :math:`\Delta_k` the distance of
:math:`\mathrm{AIC}_k = D_k + 2 p_k` from the least of them and D the deviance from the saturated model [1]_.

References
----------
.. [1] Burnham KP, Anderson DR (2002). Model selection and multimodel inference, 2nd edition. Springer.
   https://doi.org/10.1007/b97636
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from netsynth._typing import FloatArray
from netsynth.kernels.families import FAMILIES, Family, FamilyName
from netsynth.kernels.grouped import Fragments, GroupedFit, fit, saturated
from netsynth.kernels.splines import royston_parmar

ModelName: TypeAlias = FamilyName | Literal["royston_parmar"]
#: Parameters of the spline: two outer knots and one between them.
_SPLINE_PARAMETERS = 3


class Criteria(NamedTuple):
    """Deviance from the saturated model and information criteria, shape (k,); `aicc` is nan with too few patients."""

    deviance: FloatArray
    aic: FloatArray
    aicc: FloatArray
    bic: FloatArray


def n_parameters(name: ModelName) -> int:
    """How many parameters a family has, and so how many printed figures it needs."""
    return _SPLINE_PARAMETERS if name == "royston_parmar" else len(FAMILIES[name].parameters)


def family(name: ModelName, time: FloatArray) -> Family:
    """A family by name; the knots of the spline are the logarithms of the first, the middle, and the last time."""
    if name == "royston_parmar":
        return royston_parmar(np.quantile(np.log(time), np.linspace(0.0, 1.0, _SPLINE_PARAMETERS)))
    return FAMILIES[name]


def candidates(n_figures: int) -> tuple[ModelName, ...]:
    """Families with no more parameters than there are printed figures.

    Examples
    --------
    >>> candidates(1)
    ('exponential',)
    >>> len(candidates(2)), len(candidates(3))
    (6, 8)
    """
    names: tuple[ModelName, ...] = (*FAMILIES, "royston_parmar")
    return tuple(name for name in names if n_parameters(name) <= n_figures)


def fit_all(names: Sequence[ModelName], fragments: Fragments) -> Mapping[ModelName, GroupedFit]:
    """Each family fitted to the same reports."""
    return {name: fit(family(name, fragments.time), fragments) for name in names}


def fit_near(fits: Mapping[ModelName, GroupedFit], fragments: Fragments) -> Mapping[ModelName, GroupedFit]:
    """Each family fitted to reports that hardly differ from the one of `fits`."""
    return {
        name: fit(family(name, fragments.time), fragments, near=found.theta) for name, found in fits.items()
    }


def criteria(fits: Mapping[ModelName, GroupedFit], fragments: Fragments) -> Criteria:
    """Criteria of fits to one report, in their order.

    The sample of the corrected criterion and of the Bayesian one is the effective number of patients at the start.
    """
    p = np.array([n_parameters(name) for name in fits], dtype=np.float64)
    log_likelihood = np.array([float(found.log_likelihood) for found in fits.values()])
    deviance = np.maximum(2.0 * (float(saturated(fragments)) - log_likelihood), 0.0)
    n = float(fragments.number[0])
    left = n - p - 1.0
    with np.errstate(divide="ignore"):
        correction = np.where(left > 0, 2.0 * p * (p + 1.0) / left, np.nan)
    aic = deviance + 2.0 * p
    return Criteria(deviance, aic, aic + correction, deviance + p * np.log(n))


def weights(fits: Mapping[ModelName, GroupedFit]) -> FloatArray:
    """Akaike weights of fits to one report, in their order; the deviance of the saturated model drops out."""
    each = [2.0 * n_parameters(name) - 2.0 * float(found.log_likelihood) for name, found in fits.items()]
    return akaike_weights(np.array(each))


def akaike_weights(aic: FloatArray) -> FloatArray:
    """Weights over the last axis, which sum to 1.

    Examples
    --------
    >>> akaike_weights(np.array([10.0, 12.0, 20.0])).round(3).tolist()
    [0.727, 0.268, 0.005]
    """
    relative = np.exp(-0.5 * (aic - aic.min(axis=-1, keepdims=True)))
    return np.asarray(relative / relative.sum(axis=-1, keepdims=True))
