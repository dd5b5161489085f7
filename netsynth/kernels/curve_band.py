r"""What a curve known at a few times says at any time, of its area and of its quantiles, with the error of each.

`knots` (m,) are the times, ascending and above 0; `survival` (..., m) is survival there, so that many curves are
handled at once. At 0 all are alive. Between the knots either survival or the cumulative hazard :math:`H = -\ln S`
is linear, survival always where it falls to 0; after the last one the curve is nan. Slopes are those in H at the
knots, so a covariance of log survival goes with them.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

from netsynth._typing import BoolArray, FloatArray

#: What is linear between the knots.
Between = Literal["survival", "hazard"]

#: Nodes of Gauss and Legendre on [0, 1], which integrate exp(-linear) to the last digit over a thousandfold fall.
_NODES, _WEIGHTS = (array / 2 for array in np.polynomial.legendre.leggauss(16))
_NODES = _NODES + 0.5
#: Steps between two knots at which a simultaneous band is held to its level, and draws of the normal distribution.
_STEPS: Final = 4
_DRAWS: Final = 1 << 16
_CHUNK: Final = 1 << 12
_SEED: Final = 20140610


def _places(knots: FloatArray, time: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weights of the knots at the times, shape (q, m), nan after the last, and the weight of time 0, shape (q,)."""
    edges = np.concatenate([[0.0], knots])
    end = np.clip(np.searchsorted(edges, time, side="left"), 1, knots.size)
    share = (time - edges[end - 1]) / (edges[end] - edges[end - 1])
    weight = np.zeros((time.size, edges.size))
    row = np.arange(time.size)
    weight[row, end - 1] = 1.0 - share
    weight[row, end] = share
    weight[time > knots[-1]] = np.nan
    return weight[:, 1:], weight[:, 0]


def survival_at(
    knots: FloatArray, survival: FloatArray, time: FloatArray, between: Between = "hazard"
) -> FloatArray:
    """Survival at times of shape (q,), for each curve: shape (..., q).

    Examples
    --------
    >>> survival_at(np.array([12.0, 24.0]), np.array([0.8, 0.4]), np.array([6.0, 18.0, 30.0]), "survival").round(3)
    array([0.9, 0.6, nan])
    """
    weight, origin = _places(knots, time)
    linear = np.asarray(survival @ weight.T + origin)
    if between == "survival":
        return linear
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard = -np.log(survival)
        part = np.where(weight == 0.0, 0.0, hazard[..., None, :] * weight)  # not 0 times infinity
    return np.where(_to_zero(knots, survival, time), linear, np.exp(-part.sum(axis=-1)))


def _to_zero(knots: FloatArray, survival: FloatArray, time: FloatArray) -> BoolArray:
    """Whether survival falls to 0 in the interval of each time, which no finite hazard does, shape (..., q)."""
    end = np.clip(np.searchsorted(knots, time, side="left"), 0, knots.size - 1)
    return np.asarray(survival[..., end] == 0)


def survival_slope(
    knots: FloatArray, survival: FloatArray, time: FloatArray, between: Between = "hazard"
) -> FloatArray:
    """Slopes of survival at the times in the cumulative hazards at the knots, shape (q, m); of one curve."""
    weight, _ = _places(knots, time)
    linear = -weight * survival
    if between == "survival":
        return linear
    steady = -weight * survival_at(knots, survival, time, between)[:, None]
    return np.where(_to_zero(knots, survival, time)[:, None], linear, steady)


def _nodes(knots: FloatArray, horizon: float) -> tuple[FloatArray, FloatArray]:
    """Times and weights with which survival is integrated up to the horizon, shape (p,)."""
    inner = knots[knots < horizon]
    edges = np.concatenate([[0.0], inner, [horizon]])
    width = np.diff(edges)
    return (
        (edges[:-1, None] + width[:, None] * _NODES).ravel(),
        (width[:, None] * _WEIGHTS).ravel(),
    )


def area(knots: FloatArray, survival: FloatArray, horizon: float, between: Between = "hazard") -> FloatArray:
    """Area under each curve from 0 to the horizon, shape (...); nan if that is after the last knot.

    Examples
    --------
    >>> area(np.array([12.0, 24.0]), np.array([0.8, 0.4]), 24.0, "survival").round(3).item()
    18.0
    """
    if horizon > knots[-1]:
        return np.full(survival.shape[:-1], np.nan)
    time, weight = _nodes(knots, horizon)
    return np.asarray(survival_at(knots, survival, time, between) @ weight)


def area_slope(
    knots: FloatArray, survival: FloatArray, horizon: float, between: Between = "hazard"
) -> FloatArray:
    """Slopes of the area in the cumulative hazards at the knots, shape (m,); of one curve."""
    if horizon > knots[-1]:
        return np.full(survival.shape, np.nan)
    time, weight = _nodes(knots, horizon)
    return np.asarray(weight @ survival_slope(knots, survival, time, between))


def time_at(
    knots: FloatArray, survival: FloatArray, level: FloatArray, between: Between = "hazard"
) -> FloatArray:
    """First time at which each curve is at these values, shape (..., q); nan where it ends above.

    Where a curve is nan from some knot on it ends before.

    Examples
    --------
    >>> time_at(np.array([5.0, 6.0]), np.array([0.53060766, 0.44916320]), np.array([0.5]), "survival").round(4).item()
    5.3758
    """
    one = np.ones((*survival.shape[:-1], 1))
    edges = np.concatenate([[0.0], knots])
    heights = np.concatenate([one, survival], axis=-1)
    above = (heights[..., None, :] > level[:, None]).cumprod(axis=-1).sum(axis=-1)  # nan is not above
    end = np.clip(above, 1, knots.size)
    high = np.take_along_axis(heights, end - 1, axis=-1)
    low = np.take_along_axis(heights, end, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (high - level) / (high - low)
        if between == "hazard":
            share = np.where(low > 0, np.log(high / level) / np.log(high / low), share)
    found = edges[end - 1] + share * (edges[end] - edges[end - 1])
    return np.where(above == 0, 0.0, np.where((above > knots.size) | np.isnan(low), np.nan, found))


def simultaneous_factor(
    knots: FloatArray,
    survival: FloatArray,
    covariance: FloatArray,
    *,
    df: float,
    level: float,
    between: Between = "hazard",
) -> float:
    r"""Critical value with which a band around one curve covers it at all times at once with this probability.

    The `level` quantile of :math:`\max_t |Z(t)|`, where Z is the normal, or with finite `df` the t, process of the
    curve divided by its standard error, at the knots and at three times between any two of them. It is found in
    65,536 draws with a fixed seed, so the answer is always the same; its error is below 0.01 at a level of 0.95.

    Parameters
    ----------
    covariance : ndarray, shape (m, m)
        Of log survival at the knots.

    Returns
    -------
    float
        nan if the covariance is.
    """
    if not np.isfinite(covariance).all():
        return float("nan")
    edges = np.concatenate([[0.0], knots])
    steps = np.arange(1, _STEPS + 1) / _STEPS
    time = (edges[:-1, None] + np.diff(edges)[:, None] * steps).ravel()
    slope = survival_slope(knots, survival, time, between)
    value, vector = np.linalg.eigh(covariance)
    root = slope @ (vector * np.sqrt(np.maximum(value, 0.0)))
    size = np.sqrt((root**2).sum(axis=-1))
    root = root[size > 0] / size[size > 0, None]
    rng = np.random.default_rng(_SEED)
    largest = np.empty(_DRAWS)
    for start in range(0, _DRAWS, _CHUNK):
        normal = rng.standard_normal((_CHUNK, knots.size))
        spread = 1.0 if np.isinf(df) else np.sqrt(rng.chisquare(df, _CHUNK) / df)
        largest[start : start + _CHUNK] = np.abs(normal @ root.T).max(axis=-1) / spread
    return float(np.quantile(largest, level))
