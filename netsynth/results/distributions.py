"""Posterior distributions that answer for themselves: of an effect, and of tau."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from netsynth import _validate
from netsynth._typing import FloatArray, Interval
from netsynth.errors import InvalidInputError
from netsynth.kernels import mixture, panels
from netsynth.kernels.mixture import Mixture
from netsynth.kernels.panels import PanelDensity

__all__ = ["EffectDistribution", "IntervalKind", "TauDistribution"]

IntervalKind = Literal["equal_tailed", "highest_density"]


@dataclass(frozen=True, slots=True, eq=False)
class EffectDistribution:
    """Posterior of one effect, a mixture of normals; on the scale of the measure.

    Attributes
    ----------
    parts : Mixture
        Weights, means and standard deviations of the normals, arrays of shape (m,). Read-only.
    n_moments : int
        How many moments exist: 2, or fewer where a heavy prior of tau meets few studies.
    """

    parts: Mixture
    n_moments: int = 2

    @property
    def mean(self) -> float:
        """Posterior mean; nan where it does not exist."""
        return float(mixture.mixture_mean(self.parts)) if self.n_moments >= 1 else math.nan

    @property
    def sd(self) -> float:
        """Posterior standard deviation; infinite where it does not exist."""
        return float(mixture.mixture_sd(self.parts)) if self.n_moments >= 2 else math.inf

    @property
    def median(self) -> float:
        """Posterior median."""
        return float(mixture.mixture_quantile(np.asarray(0.5), self.parts))

    @property
    def mode(self) -> float:
        """Where the density is highest."""
        return float(mixture.mixture_mode(self.parts))

    def density(self, x: npt.ArrayLike) -> FloatArray:
        """Density at each x, of the shape of x."""
        return mixture.mixture_density(np.asarray(x, dtype=np.float64), self.parts)

    def cdf(self, x: npt.ArrayLike) -> FloatArray:
        """Probability of a value up to each x, of the shape of x."""
        return mixture.mixture_cdf(np.asarray(x, dtype=np.float64), self.parts)

    def below(self, x: float) -> float:
        """Probability of a value below x; a small one keeps its digits."""
        return float(self.cdf(x))

    def above(self, x: float) -> float:
        """Probability of a value above x; a small one keeps its digits."""
        return float(mixture.mixture_sf(np.asarray(x, dtype=np.float64), self.parts))

    def quantile(self, p: float) -> float:
        """The value below which lies the probability p.

        Raises
        ------
        InvalidInputError
            If p is not strictly between 0 and 1.
        """
        p = _probability(p)
        if p <= 0.5:
            return float(mixture.mixture_quantile(np.asarray(p), self.parts))
        return float(mixture.mixture_upper(np.asarray(1.0 - p), self.parts))

    def interval(self, level: float = 0.95, *, kind: IntervalKind = "equal_tailed") -> Interval:
        """Interval that holds the probability `level`: with equal tails, or the shortest.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction or the kind unknown.
        """
        lower, upper = effect_limits(self.parts, level, kind)
        return Interval(float(lower), float(upper))


@dataclass(frozen=True, slots=True, eq=False)
class TauDistribution:
    """Posterior of tau, the standard deviation of the true effects; on the scale of the measure.

    Attributes
    ----------
    panels : PanelDensity
        The density, as points and their probabilities. Read-only.
    """

    panels: PanelDensity

    @property
    def mean(self) -> float:
        """Posterior mean; infinite where the tail is too heavy for one."""
        return float(panels.panel_mean(self.panels))

    @property
    def sd(self) -> float:
        """Posterior standard deviation; infinite where the tail is too heavy for one."""
        return float(panels.panel_sd(self.panels))

    @property
    def median(self) -> float:
        """Posterior median."""
        return self.quantile(0.5)

    @property
    def mode(self) -> float:
        """Where the density is highest, often 0."""
        return float(panels.panel_mode(self.panels))

    def density(self, tau: npt.ArrayLike) -> FloatArray:
        """Density at each tau, of the shape of tau; 0 below 0."""
        at = np.asarray(tau, dtype=np.float64)
        return np.where(at >= 0, panels.panel_density(np.maximum(at, 0.0), self.panels), 0.0)

    def cdf(self, tau: npt.ArrayLike) -> FloatArray:
        """Probability of a value up to each tau, of the shape of tau."""
        at = np.asarray(tau, dtype=np.float64)
        return np.where(at >= 0, panels.panel_cdf(np.maximum(at, 0.0), self.panels), 0.0)

    def below(self, tau: float) -> float:
        """Probability of a value below tau."""
        return float(self.cdf(tau))

    def quantile(self, p: float) -> float:
        """The value below which lies the probability p.

        Raises
        ------
        InvalidInputError
            If p is not strictly between 0 and 1.
        """
        return float(panels.panel_quantile(np.asarray(_probability(p)), self.panels))

    def interval(self, level: float = 0.95, *, kind: IntervalKind = "equal_tailed") -> Interval:
        """Interval that holds the probability `level`: with equal tails, or the shortest, which may begin at 0.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction or the kind unknown.
        """
        level, tail = _validate.level(level), 0.5 * (1.0 - level)
        _validate.choice(kind, "kind", get_args(IntervalKind))
        if kind == "equal_tailed":
            return Interval(self.quantile(tail), self.quantile(1.0 - tail))
        lower, upper = panels.panel_interval(self.panels, level)
        return Interval(float(lower), float(upper))


def effect_limits(parts: Mixture, level: float, kind: IntervalKind) -> tuple[FloatArray, FloatArray]:
    """Limits of the interval of each of several mixtures.

    Raises
    ------
    InvalidInputError
        If the level is not a fraction or the kind unknown.
    """
    level, shape = _validate.level(level), parts.weight.shape[:-1]
    _validate.choice(kind, "kind", get_args(IntervalKind))
    if kind == "equal_tailed":
        tail = np.full(shape, 0.5 * (1.0 - level))
        return mixture.mixture_quantile(tail, parts), mixture.mixture_upper(tail, parts)
    return mixture.shortest_interval(
        lambda p: mixture.mixture_quantile(p, parts),
        lambda p: mixture.mixture_upper(p, parts),
        lambda x: mixture.mixture_density(x, parts),
        level,
        shape,
    )


def _probability(p: float) -> float:
    if not isinstance(p, int | float) or not 0 < p < 1:
        raise InvalidInputError(f"p must be a probability strictly between 0 and 1; got {p!r}.")
    return float(p)
