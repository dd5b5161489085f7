r"""Prior distributions of the between-study standard deviation tau.

A `TauPrior` gives the logarithm of its density at any tau >= 0, elementwise, so any shape goes. Its `scale` is
in the unit of tau: where the density bends, and nan where that is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
from scipy.special import erfc

from netsynth._typing import FloatArray

Elementwise: TypeAlias = Callable[[FloatArray], FloatArray]


class TauPrior(NamedTuple):
    """A prior of tau: its name, its log density, where it bends, and where its support ends.

    `survival` is the prior probability of a larger tau; None where it is not known in closed form.
    `is_proper` tells whether the density integrates to a finite number, and `log_mass` is the logarithm of that
    number: a density need not be normalised.
    """

    name: str
    scale: float
    log_density: Elementwise
    survival: Elementwise | None = None
    upper: float = np.inf
    is_proper: bool = True
    log_mass: float = 0.0


class TauPriorFamily(Protocol):
    """What makes a prior of a scale."""

    def __call__(self, scale: float, /) -> TauPrior:
        """Prior with this scale."""
        ...


def half_normal(scale: float, /) -> TauPrior:
    r"""Half-normal, :math:`\sqrt{2/\pi}\, s^{-1} e^{-\tau^2 / 2 s^2}`; its median is 0.674 s [1]_.

    References
    ----------
    .. [1] Röver C, Bender R, Dias S, et al. (2021). On weakly informative prior distributions for the
       heterogeneity parameter in Bayesian random-effects meta-analysis. Res Synth Methods 12:448-474.
       https://doi.org/10.1002/jrsm.1475
    """
    return TauPrior(
        "half_normal", scale, partial(_half_normal, scale=scale), partial(_half_normal_survival, scale=scale)
    )


def half_cauchy(scale: float, /) -> TauPrior:
    r"""Half-Cauchy, :math:`2 / (\pi s (1 + \tau^2 / s^2))`; its median is s and its tail heavy."""
    return TauPrior(
        "half_cauchy", scale, partial(_half_cauchy, scale=scale), partial(_half_cauchy_survival, scale=scale)
    )


def uniform(upper: float, /) -> TauPrior:
    """Uniform on [0, upper]; with an infinite end it is 1 everywhere and improper."""
    if np.isinf(upper):
        return TauPrior("uniform", np.nan, _flat, is_proper=False, log_mass=np.inf)
    return TauPrior(
        "uniform",
        upper,
        partial(_uniform, upper=upper),
        partial(_uniform_survival, upper=upper),
        upper=upper,
    )


def from_density(density: Elementwise, name: str) -> TauPrior:
    """A density brought by a user; where it bends, and its integral, are not known yet."""
    return TauPrior(name, np.nan, partial(_log_of, density=density), is_proper=False, log_mass=np.nan)


def _half_normal(tau: FloatArray, *, scale: float) -> FloatArray:
    z = tau / scale
    return np.asarray(0.5 * np.log(2.0 / np.pi) - np.log(scale) - 0.5 * z * z)


def _half_normal_survival(tau: FloatArray, *, scale: float) -> FloatArray:
    return np.asarray(erfc(tau / (scale * np.sqrt(2.0))))


def _half_cauchy(tau: FloatArray, *, scale: float) -> FloatArray:
    z = tau / scale
    return np.asarray(np.log(2.0 / np.pi) - np.log(scale) - np.log1p(z * z))


def _half_cauchy_survival(tau: FloatArray, *, scale: float) -> FloatArray:
    return np.asarray(2.0 / np.pi * np.arctan2(scale, tau))


def _uniform(tau: FloatArray, *, upper: float) -> FloatArray:
    # rounding may lead a hair beyond the end, where the density is still meant
    return np.where(tau <= upper * (1.0 + 1e-12), -np.log(upper), -np.inf)


def _uniform_survival(tau: FloatArray, *, upper: float) -> FloatArray:
    return np.maximum(1.0 - tau / upper, 0.0)


def _flat(tau: FloatArray) -> FloatArray:
    return np.zeros(np.shape(tau))


def _log_of(tau: FloatArray, *, density: Elementwise) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.broadcast_to(density(tau), np.shape(tau))))


TauPriorName = Literal["half_normal", "half_cauchy", "uniform"]
#: Every family of priors by name; the argument is the scale, for "uniform" its upper end.
TAU_PRIORS: Final[Mapping[TauPriorName, TauPriorFamily]] = MappingProxyType(
    {"half_normal": half_normal, "half_cauchy": half_cauchy, "uniform": uniform}
)
