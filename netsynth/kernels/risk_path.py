r"""How many were at risk before each fall of a curve: the most likely path of whole numbers.

A fall from K to S among r patients at risk is :math:`d = r (1 - S / K)` events, and d and r are whole numbers. So
the heights of the steps tell how many have been censored, step by step, where they are known well
enough. The path is found by dynamic programming over the numbers at risk before each fall.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from netsynth._typing import FloatArray, IntArray

_WIDTH: Final = 25  # numbers at risk tried before each fall; finer ones around the best come next
_PASSES: Final = 6  # at most; further ones than the fineness asks for while a level is missed by
_MISFIT: Final = 4.0  # standard deviations
_WORST: Final = 50.0  # what one misread level can cost at most


class RiskPath(NamedTuple):
    """Numbers before each fall, and what comes of them.

    Attributes
    ----------
    n_at_risk, n_events : ndarray of int, shape (q,)
        At risk just before each fall, and events there.
    survival : float
        The level reached.
    """

    n_at_risk: IntArray
    n_events: IntArray
    survival: float


def risk_path(
    level: FloatArray,
    noise: FloatArray,
    censored: FloatArray,
    *,
    n_start: int,
    n_stop: int,
    is_last: bool,
    survival: float,
    trust: float = 1.0,
    n_events: IntArray | None = None,
    marked: IntArray | None = None,
    price: float = 0.0,
) -> RiskPath | None:
    r"""Path of numbers at risk between two known ones, with the levels of survival after each fall.

    Minimises the squared misfit of the levels in units of their noise, plus, times `trust`, for the c patients censored
    between two falls :math:`(c - \mu)^2 / (2 \mu + 1)` with :math:`\mu` those expected, plus `price` for each event.

    Parameters
    ----------
    level, noise : ndarray, shape (q,)
        Where survival falls to, and the standard deviation of that level.
    censored : ndarray, shape (q + 1,)
        Patients expected to be censored before each fall, since the one before it, and after the last.
    n_start, n_stop : int
        At risk at the start and at the end.
    is_last : bool
        Whether any number from `n_stop` on may be left at the end.
    survival : float
        Before the first fall.
    trust : float
        Weight of the censorings expected against the levels.
    n_events : ndarray of int, shape (q,), optional
        At each fall; by default what the heights tell, at least one.
    marked : ndarray of int, shape (q + 1,), optional
        Censorings that were seen before each fall and after the last; fewer cost as much as a misread level.
    price : float
        Added for each event: more than 0 for fewer events, less for more.

    Returns
    -------
    RiskPath or None
        None when no path exists, as when there are more falls than patients.
    """
    if level.size == 0:
        return RiskPath(np.zeros(0, np.int64), np.zeros(0, np.int64), survival)
    before = np.concatenate([[survival], level[:-1]])
    hazard = 1.0 - level / np.maximum(before, 1e-12)
    taken = np.arange(level.size) if n_events is None else np.cumsum(n_events) - n_events
    ceiling = np.maximum(n_start - taken, 1.0)
    # nobody censored before a fall, or nobody after it
    most = np.minimum(n_start * before / survival, ceiling)
    to_come = level.size - np.arange(level.size) if n_events is None else n_events.sum() - taken
    least = np.maximum(n_stop * before / level[-1] if level[-1] > 0.0 else 0.0, n_stop + to_come)
    slack = _MISFIT * (noise + np.concatenate([[0.0], noise[:-1]])) / np.maximum(before, 1e-12)
    low, high = np.floor(least * (1.0 - slack)) - 1.0, np.ceil(most * (1.0 + slack)) + 1.0
    high = np.minimum(high, ceiling)
    low = np.clip(low, np.minimum(n_stop + to_come, high), high)
    gap, last_gap = censored[:-1], None if is_last else float(censored[-1])
    seen = np.zeros(level.size, dtype=np.int64) if marked is None else marked[:-1]
    found, width = None, _WIDTH
    for _ in range(_PASSES):
        spacing = (high - low) / (width - 1)
        whole = [_whole_events(*row, n_events is None) for row in zip(low, high, hazard, slack, strict=True)]
        grid = [_thinned(r, width) for r in whole]
        is_complete = all(r.size <= width for r in whole)
        coarse = (
            np.zeros(level.size) if is_complete else np.maximum(spacing - 1.0, 0.0) * level * hazard / high
        )
        next_one = _best(
            grid,
            level,
            np.hypot(noise, coarse),
            hazard,
            n_events,
            gap,
            last_gap,
            seen,
            n_start,
            n_stop,
            survival,
            trust,
            price,
        )
        if next_one is None and found is None and width < high.max():
            width *= 2  # falls so close that the numbers tried run out before they do
            continue
        if next_one is None:
            break
        same = found is not None and bool((found.n_at_risk == next_one.n_at_risk).all())
        found, width = next_one, _WIDTH
        if is_complete or (spacing <= 1.0).all():
            misfit = survival * np.cumprod(1.0 - found.n_events / found.n_at_risk) - level
            if same or n_events is not None or (np.abs(misfit) <= _MISFIT * noise).all():
                break
        reach = np.maximum(1.5 * spacing, 0.5 * (_WIDTH - 1))
        high = np.minimum(found.n_at_risk + reach, ceiling)
        low = np.clip(found.n_at_risk - reach, np.minimum(n_stop + to_come, high), high)
    return found


def _whole_events(low: float, high: float, hazard: float, slack: float, is_told: bool) -> IntArray:
    """Numbers at risk of which the fall is a whole number of events, as far as its precision tells."""
    r = np.arange(math.floor(low), math.ceil(high) + 1)
    if is_told and hazard < 1.0:
        events = r * hazard
        fits = np.abs(events - np.maximum(np.rint(events), 1.0)) <= np.maximum(slack * r, 1e-9)
        if fits.any():
            return np.asarray(r[fits])
    return r


def _thinned(r: IntArray, width: int) -> IntArray:
    """At most so many of the numbers, falling."""
    if r.size > width:
        r = r[np.unique(np.rint(np.linspace(0, r.size - 1, width)).astype(np.int64))]
    return r[::-1]


def _best(
    grid: list[IntArray],
    level: FloatArray,
    noise: FloatArray,
    hazard: FloatArray,
    n_events: IntArray | None,
    gap: FloatArray,
    last_gap: float | None,
    seen: IntArray,
    n_start: int,
    n_stop: int,
    survival: float,
    trust: float,
    price: float,
) -> RiskPath | None:
    alive, reached, cost = np.array([n_start]), np.array([survival]), np.zeros(1)
    choices: list[IntArray] = []
    events: list[IntArray] = []
    for j, r in enumerate(grid):
        wanted = np.maximum(np.round(r * hazard[j]), 1.0) if n_events is None else n_events[j]
        d = np.minimum(wanted, r).astype(np.int64)
        censored = alive[:, None] - r
        total = cost[:, None] + trust * (censored - gap[j]) ** 2 / (2.0 * gap[j] + 1.0)
        next_level = reached[:, None] * (1.0 - d / r)
        total += np.minimum(0.5 * ((next_level - level[j]) / noise[j]) ** 2, _WORST)
        total += _WORST * (censored < seen[j])
        total[censored < 0] = np.inf
        best = total.argmin(axis=0)
        at = np.arange(r.size)
        alive = r - d
        reached, cost = next_level[best, at], total[best, at] + price * d
        cost = np.where(alive >= n_stop, cost, np.inf)
        choices.append(best)
        events.append(d)
    if last_gap is not None:
        cost = cost + trust * (alive - n_stop - last_gap) ** 2 / (2.0 * last_gap + 1.0)
    k = int(cost.argmin())
    if not np.isfinite(cost[k]):
        return None
    end = float(reached[k])
    n_at_risk, n_events = np.empty(level.size, np.int64), np.empty(level.size, np.int64)
    for j in range(level.size - 1, -1, -1):
        n_at_risk[j], n_events[j] = grid[j][k], events[j][k]
        k = int(choices[j][k])
    return RiskPath(n_at_risk, n_events, end)
