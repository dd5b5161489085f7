r"""The curve averaged over studies whose curves differ by normal effects.

A study has :math:`y(t; u) = \ln(-\ln S)` with effects :math:`u \sim N(0, \Psi)`. The survival of patients of a study
drawn at random is :math:`\bar S(t) = \mathrm{E}\, \exp(-e^{y(t; u)})`, integrated by Gauss and Hermite.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from netsynth._typing import FloatArray

_NODES: Final = 24


class Averaged(NamedTuple):
    r"""Average over studies, on the scale of log(-log S).

    `estimate` (m,) is :math:`\ln(-\ln \bar S)`; `slope` (m, n) holds the weights with which it follows a change of y at
    each of n nodes of the effects; `between` (m, m) is the mean product of the deviations of the studies' own y from
    the estimate.
    """

    estimate: FloatArray
    slope: FloatArray
    between: FloatArray


def nodes(psi: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Effects (n, p) and weights (n,) that stand for a normal distribution with this covariance (p, p)."""
    value, axes = np.linalg.eigh(psi)
    line, weight = np.polynomial.hermite_e.hermegauss(_NODES)
    weight = weight / weight.sum()
    p = psi.shape[0]
    z = np.stack(np.meshgrid(*[line] * p, indexing="ij"), axis=-1).reshape(-1, p)
    w = np.prod(np.stack(np.meshgrid(*[weight] * p, indexing="ij"), axis=-1).reshape(-1, p), axis=-1)
    return z @ (axes * np.sqrt(np.maximum(value, 0.0))).T, np.asarray(w)


def average(y: FloatArray, weight: FloatArray) -> Averaged:
    """Average curves y (n, m) on the log(-log) scale with weights (n,) that add up to 1.

    Examples
    --------
    Survival of 80% and of 60%, in equal parts:

    >>> found = average(np.log(-np.log([[0.8], [0.6]])), np.array([0.5, 0.5]))
    >>> np.exp(-np.exp(found.estimate)).round(3)
    array([0.7])
    """
    survival = np.exp(-np.exp(y))
    mean = weight @ survival
    estimate = np.log(-np.log(mean))
    fall = survival * np.exp(y) * weight[:, None]  # of the mean, as y at a node grows
    slope = fall / (mean * -np.log(mean))
    away = y - estimate
    return Averaged(estimate, slope.T, (weight[:, None] * away).T @ away)


def moved(
    curve: Callable[[FloatArray], FloatArray], theta: FloatArray, psi: FloatArray
) -> tuple[Averaged, FloatArray]:
    """Average over theta + u of `curve`, from parameters (n, p) to y (n, m), and its slopes in theta (m, p)."""
    effect, weight = nodes(psi)
    found = average(curve(theta + effect), weight)
    step = 1e-5
    slopes = []
    for axis in np.eye(theta.size):
        change = (curve(theta + effect + step * axis) - curve(theta + effect - step * axis)) / (2.0 * step)
        slopes.append((found.slope * change.T).sum(axis=-1))
    return found, np.stack(slopes, axis=-1)
