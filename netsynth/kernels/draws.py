r"""Data sets that a figure could have come from: the ledger drawn again with all that the figure leaves open.

Each draw (i) reads the points anew, as far from the line as points are and at least by 0.3% of the axis in time, and
lets the curve fall early or late between two of them, (ii) bends the censorings of each interval early or late, with a
tilt from :math:`N(0, 1.5^2)`: at one standard deviation they are 4.5 times as dense at one end as at the other,
(iii) takes the hazard of censoring after the last number at risk from the Gamma law that the censorings before it leave
for it, (iv) without a table, but with a total, takes censoring for late or for constant, one as often as the other, and
(v) without both takes the share of survivors who are still followed at the end of the curve from the uniform law on 0
to 1.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from netsynth._typing import FloatArray
from netsynth.kernels.cell import Censoring, Table
from netsynth.kernels.ledger import Rows, expected_events, rows
from netsynth.kernels.trace import Trace, bent_to_table, line, steps, with_falls_at_whole_units

_TILT: Final = 1.5
_READING: Final = 0.003  # of the axis: what a click is off in time at least, as a rule
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
    expected = expected_events(again, table, tilt=tilt, late=bool(rng.random() < 0.5))
    law = None
    if table.time.size > 1:
        lost = float((table.leaving[:-1] - expected.n_events[:-1])[-2:].sum())
        law = Censoring(expected.law.hazard * float(rng.gamma(lost + 0.5)) / max(lost, 0.5))
    elif table.n_events is None and table.end > 0.0:
        law = Censoring(-float(np.log(rng.uniform(_FEWEST, 1.0))) / table.end)
    if law is not None:
        expected = expected_events(again, table, tilt=tilt, law=law)
    return rows(again, table, expected, tilt=tilt)


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
