r"""Whole numbers of patients behind a few printed percentages: who is at risk at each, and how many events lie between.

Of n at risk at survival K, with d events and c censorings before the next landmark, survival becomes at most
:math:`K (n - d) / n`, with all censoring at the end, and at least :math:`K m / (m + d)`, all at the start, with
:math:`m = n - c - d`. Every value between that the lattice has can be reached by moving censorings. So each choice of
m and d leaves an interval of survival, and a choice is possible when the interval meets the digits printed. Of the
possible ones that nearest to what is expected is taken, by a beam search over the landmarks.
"""

from __future__ import annotations

from itertools import product
from typing import Final, NamedTuple

import numpy as np

from netsynth._typing import BoolArray, FloatArray, IntArray

#: Powers of (complete follow-up / expected) by which numbers at risk are moved, the smallest first.
_SHIFTS: Final = (0.0, 0.5, -0.5, 1.0, -1.0, -3.0)
#: Censoring within intervals: from all at the start, with the fewest events, to all at the end, with the most.
_LEANS: Final = (0.0, -0.5, 0.5, -1.0, 1.0)
_BEAM: Final = 24  # choices carried on from landmark to landmark
_NEAR: Final = 12  # numbers at risk tried around the expected one
_EVENTS: Final = 3  # events tried on either side of those expected
_EPS: Final = 1e-12  # survival may lie at the very end of what was rounded


class LandmarkLedger(NamedTuple):
    """Numbers at each landmark.

    Attributes
    ----------
    n_at_risk : ndarray of int, shape (m,)
        At the landmarks.
    n_events : ndarray of int, shape (m,)
        In the interval before each.
    """

    n_at_risk: IntArray
    n_events: IntArray


class _Choice(NamedTuple):
    cost: float
    n: int
    low: float
    high: float
    path: tuple[tuple[int, int], ...]


def landmark_ledger(
    n_total: int,
    lower: FloatArray,
    upper: FloatArray,
    n_at_risk: FloatArray,
    is_printed: BoolArray,
    n_events: int | None = None,
) -> LandmarkLedger | None:
    """Numbers at risk and of events that can give the printed survival; None when no numbers can.

    When the events do not fit a known total, which may include some after the last landmark, numbers at risk that are
    only expected are moved towards those of complete follow-up or away from them, and censorings early or late.

    Parameters
    ----------
    n_total : int
        Patients.
    lower, upper : ndarray, shape (m,)
        What the printed survival may stand for, never rising.
    n_at_risk : ndarray, shape (m,)
        As printed, or as expected.
    is_printed : ndarray of bool, shape (m,)
        Which of them are printed and must be met.
    n_events : int, optional
        Events in all, some of which may come after the last landmark.

    Examples
    --------
    A hundred patients, 83%, 70.5% and 42%, with 75, 52 and 18 at risk:

    >>> lower, upper = np.array([0.825, 0.7045, 0.415]), np.array([0.835, 0.7055, 0.425])
    >>> landmark_ledger(100, lower, upper, np.array([75.0, 52, 18]), np.ones(3, dtype=bool)).n_events.tolist()
    [16, 10, 18]
    """
    complete = np.maximum(0.5 * (lower + upper) * n_total, 1e-9)
    first = None
    for lean, shift in product(_LEANS, _SHIFTS) if n_events is not None else ((0.0, 0.0),):
        moved = n_at_risk * (complete / np.maximum(n_at_risk, 1e-9)) ** shift
        found = _search(n_total, lower, upper, np.where(is_printed, n_at_risk, moved), is_printed, lean)
        if found is not None and n_events is not None:
            by_last = int(found.n_events.sum())
            if by_last <= n_events <= by_last + found.n_at_risk[-1]:
                return found
        first = found if first is None else first
    return first


def _search(
    n_total: int,
    lower: FloatArray,
    upper: FloatArray,
    n_at_risk: FloatArray,
    is_printed: BoolArray,
    lean: float,
) -> LandmarkLedger | None:
    middle = 0.5 * (lower + upper)
    shares = middle / np.maximum(np.concatenate([[1.0], middle[:-1]]), 1e-12)
    beam = [_Choice(0.0, n_total, 1.0, 1.0, ())]
    for j, share in enumerate(shares.tolist()):
        wanted = float(n_at_risk[j])
        found = [
            _Choice(
                old.cost + cost + abs(0.5 * (low + high) - middle[j]) / max(upper[j] - lower[j], 1e-3),
                left,
                low,
                high,
                (*old.path, (left, d)),
            )
            for old in beam
            for left in _candidates(old.n, wanted, bool(is_printed[j]), middle[j] > 0.0)
            for d, cost in _events(old.n, left, share, wanted, lean)
            for low, high in [_levels(old, left, d, float(lower[j]), float(upper[j]))]
            if low <= high + _EPS
        ]
        if not found:
            return None
        beam = sorted(found)[:_BEAM]
    best = np.array(beam[0].path, dtype=np.int64).reshape(-1, 2)
    return LandmarkLedger(best[:, 0], best[:, 1])


def _candidates(n: int, wanted: float, is_printed: bool, alive: bool) -> list[int]:
    if is_printed:
        return [int(wanted)] if wanted <= n else []
    if not alive:
        return [0]
    nearest = min(max(round(wanted), 1), n)
    step = max(1, round(0.02 * nearest))
    return sorted({min(max(nearest + i * step, 1), n) for i in range(-_NEAR // 2, _NEAR // 2 + 1)})


def _events(n: int, left: int, share: float, wanted: float, lean: float) -> list[tuple[int, float]]:
    """Events tried, and the cost of each: how far they and the number left are from those expected."""
    drop = n - left
    expected = drop - min(max((n * share - left) / (0.5 * (1.0 + share)), 0.0), drop)
    if lean < 0.0 < share:
        expected -= lean * (min(left * (1.0 / share - 1.0), drop) - expected)
    elif lean > 0.0:
        expected += lean * (min(n * (1.0 - share), drop) - expected)
    expected = max(expected, 0.0)
    away = (left - wanted) ** 2 / (wanted + 1.0)
    tried = {min(max(round(expected) + i, 0), drop) for i in range(-_EVENTS, _EVENTS + 1)}
    return [(d, away + (d - expected) ** 2 / (expected + 1.0)) for d in sorted(tried)]


def _levels(old: _Choice, left: int, d: int, lower: float, upper: float) -> tuple[float, float]:
    """Survival that can be reached and agrees with what is printed; empty when the first is above the second."""
    least = old.low * left / (left + d) if left + d else 0.0
    most = old.high * (old.n - d) / old.n if old.n else 0.0
    return max(lower, least), min(upper, most)
