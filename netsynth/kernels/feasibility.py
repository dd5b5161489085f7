r"""Whether any patients at all could be behind a report.

Patients leave one by one. At each size of the risk set the possible Kaplan-Meier estimates are kept as narrow
intervals: an event multiplies both ends by :math:`(s - 1) / s`, a loss leaves them. Estimates less than a cell apart
are joined, so that what is kept can be more than is possible, never less. If nothing is left then no data set can
produce the report.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from netsynth._typing import FloatArray
from netsynth.kernels.fragments import Evidence

_CELLS: Final = 4096  # of [0, 1], for up to 244 patients
_MOST: Final = 1_000_000  # cells times patients, for the memory they take
_SLACK: Final = 1e-11  # of an estimate, for the rounding of products


class _Reach(NamedTuple):
    """Limits of the estimate and of the number of events, at each size of the risk set, by cell, (n + 1, cells)."""

    low: FloatArray
    high: FloatArray
    fewest: FloatArray
    most: FloatArray

    @classmethod
    def none(cls, n: int) -> _Reach:
        shape = (n + 1, min(_CELLS, max(_MOST // n, 1)))
        return cls(*(np.full(shape, end) for end in (np.inf, -np.inf, np.inf, -np.inf)))

    def join(
        self, size: int, cells: np.ndarray[tuple[int, ...], np.dtype[np.int64]], found: FloatArray
    ) -> None:
        """Add limits, shape (4, k), at these cells of a size."""
        np.minimum.at(self.low[size], cells, found[0])
        np.maximum.at(self.high[size], cells, found[1])
        np.minimum.at(self.fewest[size], cells, found[2])
        np.maximum.at(self.most[size], cells, found[3])


def may_exist(evidence: Evidence) -> bool:
    """False if no data set can produce the report, whatever was lost when; True if none of this excludes it.

    Uses limits of survival, numbers at risk, the number of events and the time before which nobody is lost. What is
    known with an error, such as standard errors, excludes nothing.

    Examples
    --------
    Of 13 patients 95% cannot be alive, and 31% can:

    >>> def at_five_years(low, high, nan=np.array([np.nan])):
    ...     return Evidence(
    ...         n_total=13,
    ...         time=np.array([60.0]),
    ...         lower=np.array([low]),
    ...         upper=np.array([high]),
    ...         is_estimate=np.array([True]),
    ...         n_at_risk=np.array([-1]),
    ...         se=nan,
    ...         se_sd=nan,
    ...         followed=nan,
    ...         followed_sd=nan,
    ...         scale=60.0,
    ...     )
    >>> may_exist(at_five_years(0.945, 0.955)), may_exist(at_five_years(0.305, 0.315))
    (False, True)
    """
    evidence = evidence.sharpened()
    n = evidence.n_total
    state = _Reach.none(n)
    least, most = evidence.at_risk_limits()
    state.join(n, np.array([state.low.shape[1] - 1]), np.array([[1.0], [1.0], [0.0], [0.0]]))
    for j in range(evidence.time.size):
        low, high = float(evidence.lower[j]) - _SLACK, float(evidence.upper[j]) + _SLACK
        may_lose = bool(evidence.time[j] > evidence.first_loss)
        for size in range(n, int(least[j]), -1):
            _leave(state, size, low, may_lose)
        ended = _Reach.none(n)
        for size in range(int(least[j]), int(most[j]) + 1):
            found = np.stack([part[size] for part in state])
            found[0], found[1] = np.maximum(found[0], low), np.minimum(found[1], high)
            if size == 0 and evidence.is_estimate[j]:
                found[1] = np.where(found[0] <= _SLACK, np.minimum(found[1], _SLACK), -np.inf)
            kept = np.flatnonzero(found[0] <= found[1])
            ended.join(size, kept, found[:, kept])
        state = ended
    possible = state.low <= state.high
    if evidence.n_events >= 0:
        possible &= (state.fewest <= evidence.n_events) & (state.most >= evidence.n_events)
    return bool(possible.any())


def _leave(state: _Reach, size: int, low: float, may_lose: bool) -> None:
    """Let one of `size` leave, by either way; estimates below `low` are of no use."""
    cells = np.flatnonzero((state.low[size] <= state.high[size]) & (state.high[size] >= low))
    if not cells.size:
        return
    found = np.stack([part[size][cells] for part in state])
    if may_lose:
        state.join(size - 1, cells, found)
    found[:2] *= (size - 1) / size
    found[2:] += 1.0
    n_cells = state.low.shape[1]
    first = np.minimum((found[0] * n_cells).astype(np.int64), n_cells - 1)
    last = np.minimum((found[1] * n_cells).astype(np.int64), n_cells - 1)
    both = last > first
    edge = last / n_cells
    state.join(size - 1, first, np.stack([found[0], np.where(both, edge, found[1]), found[2], found[3]]))
    split = found[:, both]
    split[0] = edge[both]
    state.join(size - 1, last[both], split)
