"""When the patients of a path left: times within the intervals between which only numbers are known."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from netsynth._typing import FloatArray, IntArray
from netsynth.kernels.fragment_moves import leaving
from netsynth.kernels.fragments import Evidence, FragmentPrior, Paths, cumulative_hazards, increments

_PIECES: Final = 6  # of an interval, in each of which the hazard is constant
_EDGE: Final = 1e-9  # of an interval: nobody leaves at its very ends


class Placed(NamedTuple):
    """Patients of each path in order of time, shape (b, n)."""

    time: FloatArray
    event: IntArray


def place(paths: Paths, evidence: Evidence, prior: FragmentPrior, rng: np.random.Generator) -> Placed:
    r"""Draw the times at which patients left, given their order and the numbers of each interval.

    In an interval with D of r leaving, the share who stay has the beta distribution of the filter, updated by these
    numbers; that is the increment of the cumulative hazard. It is spread over equal pieces of the interval by the
    Dirichlet distribution that gamma increments have given their sum, and the times are independent given it. Who is
    still followed at the last time is censored then.
    """
    b, n = paths.kind.shape
    time = np.full((b, n), float(evidence.time[-1]))
    place_of = np.arange(n)
    before, start = np.full(b, n), 0.0
    for j, stop in enumerate(evidence.time.tolist()):
        after = paths.n_at_risk[:, j]
        edges = np.linspace(start, stop, _PIECES + 1)
        increment = increments(paths.parameter, edges[[0, -1]], evidence, prior)
        event, loss = cumulative_hazards(paths.parameter, edges, evidence)
        shape = np.diff(event + loss, axis=1) * increment.rate[:, None]
        piece = np.maximum(rng.gamma(np.maximum(shape, 1e-12)), 1e-300)
        reached = np.cumsum(piece, axis=1)
        reached /= reached[:, -1:]
        gone = leaving(increment.event + increment.loss, increment.rate)
        left = before - after
        stay = rng.beta(np.maximum(gone.second + after, 1e-9), np.maximum(gone.first + left, 1e-9))
        total = -np.log(np.maximum(stay, 1e-300))
        rows, columns = np.nonzero((place_of >= (n - before)[:, None]) & (place_of < (n - after)[:, None]))
        grown = -np.log1p(-rng.random(rows.size) * (1.0 - stay[rows])) / np.maximum(total[rows], 1e-300)
        at = np.minimum((reached[rows] < grown[:, None]).sum(axis=1), _PIECES - 1)
        base = np.where(at > 0, reached[rows, np.maximum(at - 1, 0)], 0.0)
        share = (at + (grown - base) / (reached[rows, at] - base)) / _PIECES
        time[rows, columns] = start + (stop - start) * np.clip(share, _EDGE, 1.0 - _EDGE)
        before, start = after, stop
    return Placed(np.sort(time, axis=1), (paths.kind == 1).astype(np.int64))
