r"""Data sets that a figure could have come from: the ledger drawn again with all that the figure leaves open.

Each draw (i) reads the points anew: each as far from the line as points are, and at least by 0.3% of the axis in time,
after moving all of them together, as clicks on the ends of both axes would that are off by a click divided by the root
of 2; and lets the curve fall early or late between two of them, (ii) bends the censorings of each interval early or
late, with a tilt from :math:`N(0, 1.5^2)`: at one standard deviation they are 4.5 times as dense at one end as at the
other, (iii) after the last number at risk lets censoring go on with a hazard from the Gamma law that the censorings
before it leave for it, lets follow-up end evenly on top of that over a uniform share of the time left, or has nobody
censored before the end, one as often as the other, (iv) without a table, but with a total, takes censoring for late or
for constant, (v) without both takes the share of survivors who are still followed at the end of the curve from the
uniform law on 0 to 1, and (vi) puts the censorings between two falls at random there, which the curve does not show.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from netsynth._typing import FloatArray
from netsynth.kernels.cell import Cell, Censoring, Table
from netsynth.kernels.ledger import Expected, Rows, expected_events, rows
from netsynth.kernels.trace import Trace, bent_to_table, line, steps, with_falls_at_whole_units

_TILT: Final = 1.5
_READING: Final = 0.003  # of the axis: what a click is off in time at least, as a rule
_AXES: Final = 0.5**0.5  # of the error of a click: that of a click on an end of an axis
_FEWEST: Final = 0.02  # of the survivors that are still followed at the end, at least


def draw_rows(
    trace: Trace, point_time: FloatArray, table: Table, rng: np.random.Generator, *, smooth: bool = False
) -> Rows:
    """One data set: rows of patients that keep the table and its total.

    Parameters
    ----------
    trace : Trace
        The line through the points.
    point_time : ndarray, shape (m,)
        When the points are; the line is read there.
    table : Table
        What is known beside it.
    rng : Generator
        Random numbers.
    smooth : bool
        Whether the line is exact, so that it is not read anew.
    """
    again = trace if smooth else _read_again(trace, point_time, table.end, rng)
    if not (smooth or trace.is_steps):
        again = bent_to_table(again, table.time, table.n_at_risk)
    tilt = rng.normal(0.0, _TILT, table.time.size)
    expected = expected_events(again, table, tilt=tilt, law=Censoring())
    law = _law(again, table, expected, rng)
    if table.n_at_risk[-1] > 0:
        expected = expected_events(again, table, tilt=tilt, law=law)
    found = rows(again, table, expected._replace(law=law), tilt=tilt)
    if table.censor_time is not None or trace.in_whole_units:
        return found
    return _moved(found, table, rng)


def _law(trace: Trace, table: Table, expected: Expected, rng: np.random.Generator) -> Censoring:
    """Of censoring after the last number at risk."""
    if table.time.size > 1:
        stays = 0.5 * (table.n_at_risk[:-1] + table.n_at_risk[1:]) * np.diff(table.time)
        lost = float((table.leaving[:-1] - expected.n_events[:-1])[-2:].sum())
        hazard = float(rng.gamma(lost + 0.5)) / max(float(stays[-2:].sum()), 1e-300)
        share = float(rng.uniform())
        return (Censoring(hazard), Censoring(hazard, share), Censoring())[int(rng.integers(3))]
    if table.n_events is not None:
        return _law_for_total(
            Cell.of(trace, table, 0, 1.0), float(table.n_events), late=bool(rng.random() < 0.5)
        )
    if table.end <= 0.0:
        return Censoring()
    return Censoring(-float(np.log(rng.uniform(_FEWEST, 1.0))) / table.end)


def _law_for_total(cell: Cell, n_events: float, *, late: bool) -> Censoring:
    """Censoring with which the line stands for so many events: as late as can be, or constant.

    Where follow-up that ends evenly from the start on is still too late, a constant hazard goes with it.
    """
    from scipy.optimize import brentq

    law = cell.law_for(n_events, late=late)
    if not late or law.hazard <= 0.0:
        return law

    def surplus(hazard: float) -> float:
        return cell.open_events(Censoring(hazard, 1.0))[0] - n_events

    if surplus(0.0) <= 0.0 or surplus(law.hazard) >= 0.0:
        return law
    return Censoring(float(brentq(surplus, 0.0, law.hazard, rtol=1e-6)), 1.0)


def _moved(found: Rows, table: Table, rng: np.random.Generator) -> Rows:
    """Censorings at random between their neighbours, which moves neither the curve nor a number at risk.

    Those of one gap between falls and numbers at risk are as many uniform times, along the density they had.
    """
    place = np.flatnonzero((found.event == 0) & (found.time < table.end))
    if place.size == 0:
        return found
    old = found.time[place]
    walls = np.unique(np.concatenate([found.time[found.event == 1], table.time, [table.end]]))
    gap = np.searchsorted(walls, old, "right") - 1
    first = np.searchsorted(gap, gap, "left")
    count = np.searchsorted(gap, gap, "right") - first
    low, high = walls[gap], walls[gap + 1]
    left = np.append(-1, gap[:-1]) == gap
    right = np.append(gap[1:], -1) == gap
    lower = np.where(left, 0.5 * (old + np.append(0.0, old[:-1])), low)
    upper = np.where(right, 0.5 * (old + np.append(old[1:], 0.0)), high)
    at = first + rng.uniform(size=place.size) * count
    into = at.astype(np.int64)
    new = lower[into] + (at - into) * (upper[into] - lower[into])
    # inside the gap, and after the events at its start
    new = np.minimum(np.maximum(new, low), np.nextafter(high, low))
    time = found.time.copy()
    time[place] = new
    order = np.lexsort((-found.event, time))
    return Rows(time[order], found.event[order], found.n_events)


def _read_again(trace: Trace, point_time: FloatArray, end: float, rng: np.random.Generator) -> Trace:
    if trace.is_steps:
        at, level = trace.time[1:-1:2], trace.survival[2::2]
        half = np.sqrt(3.0) * trace.noise
        moved = np.clip(level + rng.uniform(-half, half, level.size), 0.0, 1.0)
        kept = np.minimum.accumulate(np.where(level == 0.0, 0.0, moved))
        return steps(np.append(0.0, at), np.append(1.0, kept), end)._replace(noise=trace.noise)
    time = np.clip(point_time, 0.0, end)
    level = 0.5 * (trace.before(time) + trace.after(time))
    off = max(trace.time_noise, _READING * end)
    # both ends of both axes were clicked as well, and what these clicks were off all points share
    early, late = rng.normal(0.0, _AXES * off, 2)
    low, high = rng.normal(0.0, _AXES * trace.noise, 2)
    time = time + early + (late - early) * time / max(end, 1e-300)
    level = level + low + (high - low) * level
    again = line(
        np.maximum(time + rng.normal(0.0, off, time.size), 0.0),
        np.clip(level + rng.normal(0.0, trace.noise, time.size), 0.0, 1.0),
        end,
    )
    if trace.in_whole_units:
        return with_falls_at_whole_units(again)._replace(noise=trace.noise)
    # where between two clicks the curve falls is not known
    middle = again.time[:-1] + rng.uniform(size=again.time.size - 1) * np.diff(again.time)
    half = 0.5 * (again.survival[:-1] + again.survival[1:])
    order = np.argsort(np.concatenate([again.time, middle]), kind="stable")
    return again._replace(
        time=np.concatenate([again.time, middle])[order],
        survival=np.minimum.accumulate(np.concatenate([again.survival, half])[order]),
        noise=trace.noise,
    )
