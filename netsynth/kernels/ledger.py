r"""From a survival curve and numbers at risk to patients: a ledger that balances.

Between two numbers at risk, the patients who left are events and censorings; nothing else can happen to
them. So the ledger of an interval is one whole number, its events, and the places of both. Numbers at risk
are kept exactly, because the censorings are what is left of the fall. The number at risk counts those with
a time at or after it. `netsynth.kernels.cell` has the arithmetic of one interval.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from netsynth._typing import FloatArray, IntArray
from netsynth.kernels.cell import Cell, Censoring, Table
from netsynth.kernels.trace import Trace

_OFFERS: Final = 8  # of prices for an event


class Expected(NamedTuple):
    """Events in each interval, shape (k,), before they are whole numbers.

    Attributes
    ----------
    n_events : ndarray
        With censoring spread evenly, or over the marks.
    least, most : ndarray
        With all censoring at the start of each interval, and at its end.
    law : Censoring
        Of censoring after the last number at risk.
    """

    n_events: FloatArray
    least: FloatArray
    most: FloatArray
    law: Censoring


class Rows(NamedTuple):
    """One row a patient, in order of time, events before censorings at the same time.

    Attributes
    ----------
    time : ndarray, shape (n,)
        When the patient left.
    event : ndarray of int, shape (n,)
        1 for an event, 0 for a censoring.
    n_events : ndarray of int, shape (k,)
        Events of each interval.
    """

    time: FloatArray
    event: IntArray
    n_events: IntArray


def expected_events(
    trace: Trace,
    table: Table,
    *,
    tilt: FloatArray | None = None,
    law: Censoring | None = None,
    late: bool = True,
) -> Expected:
    """Events in each interval that the curve and the numbers at risk stand for.

    `tilt`, shape (k,), says where the censorings lie within each interval: below 0 early, above 0 late. `law` is
    that of the last one; by default censoring goes on as in the two before. Without any before, it is such that the
    total of events is met: late when it can be so and `late` says so, else constant.
    """
    k = table.time.size
    tilt = np.zeros(k) if tilt is None else tilt
    stays = 0.5 * (table.n_at_risk[:-1] + table.n_at_risk[1:]) * np.diff(table.time)
    least, most, events, lost = np.zeros(k), np.zeros(k), np.zeros(k), np.zeros(k)
    hazard, level, low, high = 0.0, 1.0, 1.0, 1.0  # what an interval cannot hold is left to the next
    for i in range(k - 1):
        cell = Cell.of(trace, table, i, level)
        drop = float(cell.n - cell.left)
        least[i], low = replace(cell, survival=low).events_with_early_censoring()
        most[i], high = replace(cell, survival=high).events_with_late_censoring()
        least[i] = min(least[i], most[i])
        if cell.at_end > 0.0 and level > 0.0:
            events[i] = min(max(cell.events(0.0, float(tilt[i])), 0.0), drop)
        else:  # the last patient has the event, whoever was censored before
            events[i] = min(cell.open_events(Censoring(hazard))[0], drop)
        if 0.0 < events[i] < drop and cell.at_end > 0.0:
            level = cell.at_end
        else:  # the interval cannot hold what the line wants
            level = cell.level_after(float(events[i]), float(tilt[i]))
        lost[i] = drop - events[i]
        recent = slice(max(0, i - 1), i + 1)
        hazard = float(lost[recent].sum() / max(stays[recent].sum(), 1e-300))
    cell = Cell.of(trace, table, k - 1, level)
    law = Censoring(hazard) if law is None else law
    if cell.n > 0:
        most[-1] = replace(cell, survival=high).open_events(Censoring())[0]
        least[-1] = min(most[-1], replace(cell, survival=low).fewest_events())
        if k == 1 and table.n_events is not None:
            law = cell.law_for(float(table.n_events), late=late)
            events[-1] = min(float(table.n_events), most[-1])
        elif cell.marks is None:
            events[-1] = cell.open_events(law)[0]
        else:  # each mark stands for one patient; those left over are censored at the end
            events[-1] = cell.marked_events()
    return Expected(events, least, most, law)


def apportion(expected: Expected, table: Table, n_events: int, noise: float) -> IntArray:
    """Whole events for each interval that add up to the total, as near the expected as can be.

    Where censorings may lie says how far the events of an interval can move without touching the curve;
    the noise of the curve adds to that. Intervals give way in proportion to their variance. Where rounding
    leaves a choice, the largest remainders are rounded up.
    """
    room = (table.room if n_events <= table.room.sum() else table.leaving).astype(np.float64)
    slack = (expected.most - expected.least) ** 2 / 12.0 + 0.5 * (noise * table.n_at_risk) ** 2 + 1e-6
    total = float(min(n_events, int(room.sum())))
    ends = np.sort(np.concatenate([-expected.n_events / slack, (room - expected.n_events) / slack]))
    sums = np.clip(expected.n_events + ends[:, None] * slack, 0.0, room).sum(axis=-1)
    shift = float(
        np.interp(total, sums, ends)
    )  # the sum is linear between the shifts at which an interval is full
    wanted = np.clip(expected.n_events + shift * slack, 0.0, room)
    whole = np.floor(wanted + 1e-9)
    short = int(total - whole.sum())
    order = np.argsort(-(wanted - whole) + (whole >= room) * 2.0, kind="stable")
    whole[order[:short]] += 1.0
    return whole.astype(np.int64)


def rows(
    trace: Trace,
    table: Table,
    expected: Expected,
    *,
    tilt: FloatArray | None = None,
    n_events: IntArray | None = None,
) -> Rows:
    """The patients: event times where the line crosses the middle of their step, censorings between them.

    With `tilt` the censorings lie as it says; without, where they must so that the curve is met at the end
    of each interval. `n_events`, shape (k,), are those of each interval when they are known; the curve is then met at
    its end as nearly as the lattice of whole numbers allows. Exact steps tell
    their events by their heights; when these do not add up to a known total, each event is given a price until
    they do, and if none does a few heights give way.
    """
    if n_events is not None:
        return _rows(trace, table, expected, tilt, n_events, None, meet=True)
    if not trace.is_steps:
        whole = None if table.n_events is None else apportion(expected, table, table.n_events, trace.noise)
        return _rows(trace, table, expected, tilt, whole, None)
    found = _rows(trace, table, expected, tilt, None, 0.0)
    if table.n_events is None or found.n_events.sum() == table.n_events:
        return found
    nearest, inner, outer, price = found, 0.0, np.inf, 1.0
    sign = 1.0 if found.n_events.sum() > table.n_events else -1.0
    for _ in range(_OFFERS):
        found = _rows(trace, table, expected, tilt, None, sign * price)
        surplus = int(found.n_events.sum()) - table.n_events
        if surplus == 0:
            return found
        if abs(surplus) < abs(int(nearest.n_events.sum()) - table.n_events):
            nearest = found
        if surplus * sign > 0:
            inner = price
        else:
            outer = price
        price = 4.0 * price if outer == np.inf else 0.5 * (inner + outer)
    return _with_total(nearest, table, table.n_events)


def _with_total(found: Rows, table: Table, n_events: int) -> Rows:
    """The few events too many made censorings, the few too few made of censorings, where they weigh least.

    That is where most are at risk: first of the events that share their time, and of censorings in an interval
    that has events before them, whose time they then take.
    """
    time, event = found.time.copy(), found.event.copy()
    surplus = int(event.sum()) - n_events
    if surplus > 0:
        is_event = np.flatnonzero(event)
        shared = np.isin(is_event, is_event[1:][time[is_event[1:]] == time[is_event[:-1]]])
        event[is_event[np.argsort(~shared, kind="stable")][:surplus]] = 0
    elif surplus < 0:
        censored = np.flatnonzero(event == 0)
        events = time[event == 1]
        place = np.searchsorted(events, time[censored], "right") - 1
        start = table.time[np.searchsorted(table.time, time[censored], "right") - 1]
        before = np.where(place >= 0, events[np.maximum(place, 0)] if events.size else -np.inf, -np.inf)
        can = before >= start
        chosen = censored[np.argsort(~can, kind="stable")][:-surplus]
        time[chosen] = np.where(can, before, time[censored])[np.searchsorted(censored, chosen)]
        event[chosen] = 1
    order = np.lexsort((-event, time))
    time, event = time[order], event[order]
    interval = np.searchsorted(table.time, time[event == 1], "right") - 1
    return Rows(time, event, np.bincount(interval, minlength=table.time.size))


def _rows(
    trace: Trace,
    table: Table,
    expected: Expected,
    tilt: FloatArray | None,
    whole: IntArray | None,
    price: float | None,
    *,
    meet: bool = False,
) -> Rows:
    survival = 1.0
    times: list[FloatArray] = []
    events: list[FloatArray] = []
    counts = np.zeros(table.time.size, np.int64)
    for i in range(table.time.size):
        cell = Cell.of(trace, table, i, survival)
        if cell.n == 0:
            continue
        bent = None if tilt is None else float(tilt[i])
        found = None if price is None else cell.path(expected.law, price)
        if found is None:
            guess = float(expected.n_events[i])
            d = cell.whole_events(guess, expected.law, bent) if whole is None else int(whole[i])
            found = cell.fill(d, expected.law, bent, is_told=whole is not None)
        at, censored, survival = found
        if meet and not cell.is_last and at.size:
            censored, survival = cell.met(at, censored, survival)
        counts[i] = at.size
        times += [at, censored]
        events += [np.ones(at.size), np.zeros(censored.size)]
    time, event = np.concatenate(times), np.concatenate(events)
    order = np.lexsort((-event, time))
    return Rows(time[order], event[order].astype(np.int64), counts)
