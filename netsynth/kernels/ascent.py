"""Climbing a log-likelihood of two parameters by Newton's method, for many data sets at once, and its profile.

The first parameter is the mean, the second the spread between studies. A surface is asked for rows of parameters and,
by number, the data set of each, so that a data set that has arrived costs nothing more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from netsynth._typing import BoolArray, FloatArray, IntArray

_MAX_ITERATIONS: Final = 200
#: Twice the log-likelihood that a full step may still gain when the search ends: a step of a hundred-thousandth
#: of a standard error. That step is taken too, and Newton's method squares what is left.
_ARRIVED: Final = 1e-10
_ROOT_TOLERANCE: Final = 1e-10


class Surface(NamedTuple):
    """A log-likelihood, shape (m,), with its gradient (m, 2) and Hessian (m, 2, 2)."""

    height: FloatArray
    gradient: FloatArray
    hessian: FloatArray


class Top(NamedTuple):
    """Where the climb of each row ended: parameters (m, 2), height and Hessian there, and whether it arrived."""

    parameters: FloatArray
    height: FloatArray
    hessian: FloatArray
    converged: BoolArray
    n_iterations: int


#: From parameters (m, 2) and the number of the data set of each row (m,) to the surface.
SurfaceOf: TypeAlias = Callable[[FloatArray, IntArray], Surface]


def climb(
    surface: SurfaceOf,
    start: FloatArray,
    which: IntArray,
    *,
    fixed: int | None = None,
    done: BoolArray | None = None,
    longest: FloatArray | float = 1.0,
) -> Top:
    """Newton's method with the signs of the curvatures put right and steps shortened until they climb.

    Parameters
    ----------
    surface : callable
        The log-likelihood.
    start : ndarray, shape (m, 2)
        Where to begin.
    which : ndarray of int, shape (m,)
        The data set of each row.
    fixed : int, optional
        The parameter that stays where it is, for a profile.
    done : ndarray of bool, shape (m,), optional
        Rows that stay where they are.
    longest : float or ndarray, shape (m,)
        No step is longer: far from the top the quadratic hill says little.

    Returns
    -------
    Top
        Of the same m rows.
    """
    here, at = start.copy(), surface(start, which)
    height, hessian = at.height.copy(), at.hessian.copy()
    limit = np.broadcast_to(np.asarray(longest, dtype=np.float64), which.shape)
    step, gain = _newton(at, fixed, limit)
    if done is not None:
        step[done], gain[done] = 0.0, 0.0
    converged, rows, shrink = np.zeros(which.size, dtype=np.bool_), np.arange(which.size), np.ones(which.size)
    iteration = 0
    while rows.size and iteration < _MAX_ITERATIONS:
        iteration += 1
        arrived = gain[rows] <= _ARRIVED
        last = rows[arrived]
        here[last] += step[last]
        converged[last] = True
        rows = rows[~arrived]
        if rows.size == 0:
            break
        trial = here[rows] + shrink[rows, None] * step[rows]
        at = surface(trial, which[rows])
        better = at.height > height[rows]
        up, down = rows[better], rows[~better]
        here[up], height[up], hessian[up], shrink[up] = (
            trial[better],
            at.height[better],
            at.hessian[better],
            1.0,
        )
        step[up], gain[up] = _newton(Surface(*(part[better] for part in at)), fixed, limit[up])
        if down.size == 0:
            continue
        # so near the top that rounding hides the climb: nothing more is to be had
        stuck = shrink[down] < 1e-4
        converged[down[stuck]] = gain[down[stuck]] < 1e-6
        shrink[down] *= 0.25
        if stuck.any():
            rows = np.setdiff1d(rows, down[stuck], assume_unique=True)
    return Top(here, height, hessian, converged, iteration)


def _newton(at: Surface, fixed: int | None, limit: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The step that climbs as if the surface were a quadratic hill, and twice what it then gains."""
    gradient, hill = at.gradient, -at.hessian
    if fixed is not None:
        gradient = gradient.copy()
        gradient[:, fixed] = 0.0
        hill[:, fixed, :], hill[:, :, fixed], hill[:, fixed, fixed] = 0.0, 0.0, 1.0
    curvature, axes = np.linalg.eigh(hill)
    curvature = np.maximum(np.abs(curvature), 1e-8)
    slope = (axes * gradient[:, :, None]).sum(1)
    step = (axes * (slope / curvature)[:, None, :]).sum(2)
    gain = (slope * slope / curvature).sum(1)
    longest = np.abs(step).max(1)
    return step * (limit / np.maximum(longest, limit))[:, None], gain


def first_crossing(
    drop: Callable[[FloatArray, IntArray], FloatArray],
    centre: FloatArray,
    width: FloatArray,
    target: float,
    *,
    floor: FloatArray | float = -np.inf,
    ceiling: FloatArray | float = np.inf,
) -> FloatArray:
    r"""Where the square root of a drop from a maximum first reaches that of `target`.

    :math:`r(t) = \sqrt{drop}` is nearly straight for a likelihood, so false position on it is quick; the ends of the
    bracket keep it safe.

    Parameters
    ----------
    drop : callable
        From positions and the rows they belong to, the fall of the log-likelihood from its maximum.
    centre, width : ndarray, shape (m,)
        The maximum, and a first guess of the distance, negative to look below.
    target : float
        The fall looked for.
    floor, ceiling : float or ndarray, shape (m,)
        No position is beyond them. Where the fall at the floor is less than `target` the floor is the answer; where it
        is so at the ceiling, infinity.

    Returns
    -------
    ndarray, shape (m,)
        nan where nothing was reached.
    """
    goal = np.sqrt(target)
    floor, ceiling = np.broadcast_to(floor, centre.shape), np.broadcast_to(ceiling, centre.shape)
    near, far = centre.copy(), np.clip(centre + width, floor, ceiling)
    rows = np.arange(centre.size)
    low = np.full(centre.size, -goal)  # r - goal at the near end
    high = np.sqrt(np.maximum(drop(far, rows), 0.0)) - goal
    answer = np.full(centre.size, np.nan)
    for _ in range(60):  # widen, doubling
        floored = (high < 0) & (far <= floor)
        answer[floored] = floor[floored]
        answer[(high < 0) & (far >= ceiling)] = np.inf
        short = np.flatnonzero((high < 0) & (far > floor) & (far < ceiling))
        if short.size == 0:
            break
        near[short], low[short] = far[short], high[short]
        further = centre[short] + 2.0 * (far[short] - centre[short])
        far[short] = np.clip(further, floor[short], ceiling[short])
        high[short] = np.sqrt(np.maximum(drop(far[short], short), 0.0)) - goal
    rows = np.flatnonzero(high >= 0)
    moved_near = np.full(centre.size, -1)
    for _ in range(_MAX_ITERATIONS):
        if rows.size == 0:
            break
        share = -low[rows] / (high[rows] - low[rows])
        t = near[rows] + share * (far[rows] - near[rows])
        r = np.sqrt(np.maximum(drop(t, rows), 0.0)) - goal
        done = (np.abs(r) <= _ROOT_TOLERANCE * goal) | (np.abs(far[rows] - near[rows]) <= 1e-13 * np.abs(t))
        answer[rows[done]] = t[done]
        # Illinois: an end that stays where it is twice running counts half the next time
        inside = r < 0
        for to_near, end, value, other in ((True, near, low, high), (False, far, high, low)):
            moved = ~done & (inside == to_near)
            here = rows[moved]
            end[here], value[here] = t[moved], r[moved]
            again = here[moved_near[here] == to_near]
            other[again] *= 0.5
            moved_near[here] = to_near
        rows = rows[~done]
    return answer
