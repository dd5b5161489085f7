"""What a Kaplan-Meier picture shows, checked at the door: points, numbers at risk, totals and marks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._typing import FloatArray, IntArray
from netsynth.errors import (
    Caution,
    InconsistentReportWarning,
    InvalidInputError,
    UnusableDataWarning,
    caution,
)
from netsynth.kernels.cell import Table
from netsynth.kernels.ledger import Expected
from netsynth.kernels.trace import Trace, clicked_brackets, misfit, table_brackets

#: How far clicks may lie outside 0 to 1 by the thickness of a line; beyond it they are in another unit.
OUTSIDE: Final = 0.02
#: Share of the axis by which a time may lie outside it.
BEYOND: Final = 0.02
#: Share of a number at risk by which it may exceed what the curve allows before one of them must be wrong.
GROSS: Final = 0.03
#: Share of the patients by which a total may exceed what the curve allows, as levels and times of clicks are off.
TOTAL: Final = 0.02
#: A jump back in time by this share of the axis is no tremor: such points may not have been clicked along the curve.
BACK: Final = 0.05
#: Share of the axis by which a click may be off in time.
READING: Final = 0.01
#: A curve that starts below this has lost its beginning, or many patients at once.
START: Final = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Points along a curve, finite, within the axis, survival in [0, 1]."""

    time: FloatArray
    survival: FloatArray
    warnings: tuple[Caution, ...]


def check_points(time: npt.ArrayLike, survival: npt.ArrayLike, where: str) -> Points:
    """The usable points in their order; what is left out or moved is said."""
    t = _validate.array_1d(time, "time", where=where)
    s = _validate.array_1d(survival, "survival", where=where)
    _validate.same_length(t, "time", s, "survival", where=where)
    cautions = []
    for values, name in ((t, "time"), (s, "survival")):
        if np.isinf(values).any():
            i = int(np.flatnonzero(np.isinf(values))[0])
            raise InvalidInputError(f"{where}: {name} must be finite; got {values[i]:g} at position {i}.")
    missing = np.isnan(t) | np.isnan(s)
    if missing.any():
        text = f"{_format.plural(int(missing.sum()), 'point')} of {t.size} without a number left out"
        cautions.append(caution(UnusableDataWarning, text, where=where, stacklevel=4))
        t, s = t[~missing], s[~missing]
    if t.size < 2:
        raise InvalidInputError(
            f"{where}: a curve needs at least two points; got {t.size}. For a few percentages there is "
            "reconstruct_survival."
        )
    _check_unit(s, where)
    longest = float(t.max())
    if t.min() < -BEYOND * max(longest, 0.0) or longest <= 0.0:
        i = int(np.argmin(t))
        raise InvalidInputError(
            f"{where}: times must not be negative and must pass 0; got {t[i]:g} at position {i}. Set the origin of the "
            "axis where the curve starts."
        )
    t, s = np.maximum(t, 0.0), np.clip(s, 0.0, 1.0)
    if np.ptp(s) == 0.0:
        raise InvalidInputError(
            f"{where}: survival is {s[0]:g} at every point, which tells no event. Check that the points "
            "follow the curve."
        )
    order = _order(t, s)
    if order is not None:
        t, s = t[order], s[order]
        text = "the points do not follow the curve, so they were put in order of time"
        cautions.append(caution(UnusableDataWarning, text, where=where, stacklevel=4))
    _check_direction(t, s, where)
    if s[0] < START and t[0] <= READING * longest:
        text = f"the curve starts at {100 * s[0]:.0f}%: all who are missing to 100% are taken to have the event at once"
        cautions.append(caution(InconsistentReportWarning, text, where=where, stacklevel=4))
    return Points(t, s, tuple(cautions))


def _order(t: FloatArray, s: FloatArray) -> IntArray | None:
    """Order of time when the given one jumps back and fits a falling line worse; else None."""
    back = np.maximum(-np.diff(t), 0.0) / t.max()
    if back.size == 0 or (back.max() <= BACK and back.sum() <= 0.5):
        return None
    order = np.lexsort((-s, t))
    given = misfit(t / t.max()) + misfit(-s)
    return order if misfit(-s[order]) < given else None


def check_corners(points: Points, where: str) -> None:
    """Refuse stated corners of steps that go back or rise."""
    for values, name, verb in ((points.time, "time", "go back"), (-points.survival, "survival", "rise")):
        wrong = np.flatnonzero(np.diff(values) < 0)
        if wrong.size:
            i = int(wrong[0]) + 1
            raise InvalidInputError(
                f"{where}: exact corners of steps never {verb}; got {name} {abs(values[i]):g} at position {i} after "
                f"{abs(values[i - 1]):g}. For clicks near the line leave steps out."
            )


def _check_unit(s: FloatArray, where: str) -> None:
    if s.max() > 1.0 + OUTSIDE:
        i = int(np.argmax(s))
        raise InvalidInputError(
            f"{where}: survival must be a probability between 0 and 1; got {s[i]:g} at position {i}. "
            + (
                "These look like percentages: divide them by 100."
                if s.max() <= 100 * (1 + OUTSIDE)
                else "Check the calibration of the axis."
            )
        )
    if s.min() < -OUTSIDE:
        i = int(np.argmin(s))
        raise InvalidInputError(
            f"{where}: survival must be a probability between 0 and 1; got {s[i]:g} at position {i}. Check the "
            "calibration of the axis."
        )
    if s.max() <= 0.01 * (1 + OUTSIDE):
        raise InvalidInputError(
            f"{where}: survival is never above {s.max():g}. These look like probabilities divided by 100: a curve "
            "starts at 1."
        )


def _check_direction(t: FloatArray, s: FloatArray, where: str) -> None:
    """Refuse a curve that rises: a cumulative incidence."""
    order = np.argsort(t, kind="stable")
    few = max(1, t.size // 10)
    first, last = float(np.median(s[order[:few]])), float(np.median(s[order[-few:]]))
    if last > first + (0.05 if first >= 0.05 else 0.0):
        raise InvalidInputError(
            f"{where}: survival rises from {first:.3g} to {last:.3g}. If the picture shows a cumulative incidence, "
            "give 1 - incidence."
        )


def check_table(
    n_total: int | None,
    at_risk_time: npt.ArrayLike | None,
    n_at_risk: npt.ArrayLike | None,
    where: str,
) -> tuple[FloatArray, IntArray, tuple[Caution, ...]]:
    """Times and numbers at risk from 0 on, the first the number of patients."""
    if (at_risk_time is None) != (n_at_risk is None):
        raise InvalidInputError(f"{where}: give at_risk_time and n_at_risk together.")
    n = None if n_total is None else _validate.count(n_total, "n_total", where=where, minimum=1)
    if at_risk_time is None or n_at_risk is None:
        if n is None:
            raise InvalidInputError(f"{where}: give n_total, or numbers at risk from time 0 on.")
        return np.zeros(1), np.array([n], dtype=np.int64), ()
    time = _validate.finite_1d(at_risk_time, "at_risk_time", where=where)
    number = _validate.array_1d(n_at_risk, "n_at_risk", where=where)
    _validate.same_length(time, "at_risk_time", number, "n_at_risk", where=where)
    if (time < 0).any() or (np.diff(time) <= 0).any():
        raise InvalidInputError(
            f"{where}: at_risk_time must start at 0 or later and increase; got "
            f"{_format.listing(f'{t:g}' for t in time)}."
        )
    cautions = []
    unread = np.isnan(number)
    if unread.any():
        text = (
            f"no number at risk at {_format.listing(f'{t:g}' for t in time[unread])}: left out of the table"
        )
        cautions.append(caution(UnusableDataWarning, text, where=where, stacklevel=4))
        time, number = time[~unread], number[~unread]
    counts = [
        _validate.count(value, "n_at_risk", where=f"{where}, at {t:g}")
        for t, value in zip(time, number, strict=True)
    ]
    if not counts:
        start, everyone, _ = check_table(n_total, None, None, where)
        return start, everyone, tuple(cautions)
    if time[0] > 0.0:
        if n is None:
            raise InvalidInputError(
                f"{where}: the table starts at {time[0]:g}, so n_total must say how many there were at 0."
            )
        if counts[0] > n:
            raise InvalidInputError(
                f"{where}: {counts[0]} at risk at {time[0]:g}, but only {n} patients. Check both numbers."
            )
        time, counts = np.append(0.0, time), [n, *counts]
    elif n is not None and counts[0] != n:
        raise InvalidInputError(
            f"{where}: n_total is {n}, but {counts[0]} are at risk at 0. Check both numbers; leave n_total out to "
            "start from the table."
        )
    for i in range(1, len(counts)):
        if counts[i] > counts[i - 1]:
            raise InvalidInputError(
                f"{where}: the number at risk rises from {counts[i - 1]} at {time[i - 1]:g} to {counts[i]} at "
                f"{time[i]:g}, which is impossible. One of them is mistyped, or belongs to another arm."
            )
    if counts[0] < 1:
        raise InvalidInputError(f"{where}: nobody is at risk at 0. Give the number of patients.")
    return np.asarray(time, dtype=np.float64), np.array(counts, dtype=np.int64), tuple(cautions)


def check_marks(censor_time: npt.ArrayLike | None, n: int, end: float, where: str) -> FloatArray | None:
    """Times of censoring marks, ascending; one at the end may be beyond it by a tremor."""
    if censor_time is None:
        return None
    if np.size(np.asarray(censor_time)) == 0:
        return np.zeros(0)
    marks = np.sort(_validate.finite_1d(censor_time, "censor_time", where=where))
    if marks[0] < 0.0 or marks[-1] > end * (1.0 + BEYOND):
        wrong = marks[0] if marks[0] < 0.0 else marks[-1]
        raise InvalidInputError(
            f"{where}: a censoring mark at {wrong:g} lies outside the curve, 0 to {end:g}."
        )
    if marks.size > n:
        raise InvalidInputError(f"{where}: {marks.size} censoring marks, but only {n} patients.")
    return np.minimum(marks, end)


def curve_end(points: Points, table_time: FloatArray, axis_end: float | None, where: str) -> float:
    """Where the last patients leave: at the end of the axis if the curve runs up to it, else where the curve ends."""
    last = float(points.time.max())
    if axis_end is None:
        return max(last, float(table_time[-1]))
    (end,) = _validate.positive_1d([axis_end], "axis_end", where=where).tolist()
    beyond = points.time > end * (1.0 + BEYOND)
    if beyond.any():
        raise InvalidInputError(
            f"{where}: {_format.plural(int(beyond.sum()), 'point')} beyond the end of the axis at {end:g}; the last is "
            f"at {last:g}. Check axis_end and the unit of time."
        )
    reach = max(BEYOND * end, 1.5 * float(np.median(np.abs(np.diff(points.time)))))
    stop = end if last >= end - reach else last
    return max(stop, float(table_time[-1]))


def check_against_curve(trace: Trace, table: Table, last_point: float, where: str) -> tuple[Caution, ...]:
    """Hold numbers at risk against the curve: of n before, at most n S'/S are left."""
    cautions = []
    lowest, highest = clicked_brackets(trace, table.time)
    end = float(trace.after(np.array([table.end]))[0])
    for i in range(1, table.time.size):
        n, left = int(table.n_at_risk[i - 1]), int(table.n_at_risk[i])
        text = ""
        if left == 0 < n and lowest[i] - end > max(3.0 * trace.noise, 1e-9):
            text = f"0 at risk at {table.time[i]:g} is impossible: the curve goes on to fall"
        elif left > 0 and highest[i] <= 0.0:
            text = f"{left} at risk at {table.time[i]:g} is impossible: survival is 0 before"
        elif lowest[i - 1] > 0.0:
            share = min(float(highest[i] / lowest[i - 1]), 1.0)
            tremor = 1.0 + n * (3.0 * trace.noise / lowest[i - 1])
            if left > n * share + tremor:
                text = (
                    f"{left} at risk at {table.time[i]:g} is impossible: of {n} at {table.time[i - 1]:g} at most "
                    f"{math.floor(n * share + 1e-9)} can be left, as the curve falls to {100 * share:.1f}% of that"
                )
                if left > n * share + tremor + max(5.0, GROSS * n):
                    raise InvalidInputError(
                        f"{where}: {text}. Check both numbers, and that they belong to this curve."
                    )
        if text:
            cautions.append(caution(InconsistentReportWarning, text, where=where, stacklevel=4))
        marks = table.marks(i - 1)
        if marks is not None and marks.size > n - left:
            text = (
                f"{marks.size} censoring marks between {table.time[i - 1]:g} and {table.time[i]:g}, but only "
                f"{n - left} patients leave there"
            )
            cautions.append(caution(InconsistentReportWarning, text, where=where, stacklevel=4))
    if table.n_at_risk[-1] > 0 and table.time[-1] > last_point * (1.0 + BEYOND):
        text = (
            f"{int(table.n_at_risk[-1])} at risk at {table.time[-1]:g}, after the curve ends at {last_point:g}; it "
            "goes on without a fall"
        )
        cautions.append(caution(InconsistentReportWarning, text, where=where, stacklevel=4))
    return tuple(cautions)


def check_total(
    n_events: int | None, expected: Expected, table: Table, trace: Trace, where: str
) -> tuple[int | None, tuple[Caution, ...]]:
    """The total of events if curve and table allow it, else None and a warning that says what they allow."""
    if n_events is None:
        return None, ()
    total, n = _validate.count(n_events, "n_events", where=where), int(table.n_at_risk[0])
    if total > n:
        raise InvalidInputError(
            f"{where}: {total} events among {n} patients are impossible. Check both numbers."
        )
    limits = table_brackets(trace, table.time, table.n_at_risk)
    guess = float(np.maximum(limits.upper - limits.lower, 0.0).max())
    tremor = 0.0 if trace.is_steps else max(3.0 * trace.noise, TOTAL, guess) * n
    low, high = float(expected.least.sum()) - 1.0 - tremor, float(expected.most.sum()) + 1.0 + tremor
    if low <= total <= high:
        return total, ()
    source = "the curve allows" if table.time.size == 1 else "the curve and the numbers at risk allow"
    text = (
        f"{total} events are impossible: {source} {max(math.ceil(low), 0)} to {min(math.floor(high), n)}. The "
        "total was not used"
    )
    return None, (caution(InconsistentReportWarning, text, where=where, stacklevel=4),)
