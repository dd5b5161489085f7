r"""One interval between two numbers at risk: where its events and its censorings lie.

With r at risk and d events in an interval with survival from S to S',

.. math:: r S' / S - r' = \sum_{\text{censored at } u} S' / S(u),

which is exact for any censoring times, since those censored at a time share what survival is left from there on. So
the places of censorings and the number of events tell each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from netsynth._typing import FloatArray, IntArray
from netsynth.kernels.risk_path import RiskPath, risk_path
from netsynth.kernels.trace import Trace

#: Places at which a mean over an interval is taken.
_QUANTILES: Final[FloatArray] = np.array([(i + 0.5) / 64.0 for i in range(64)])
#: Early or late censoring: density exp(tilt x) on an interval.
_TILTS: Final[FloatArray] = np.array([0.25 * i for i in range(-16, 17)])
#: Share of patients who are followed up to the end when follow-up ends evenly before it.
_FOLLOWED: Final = 0.1
_SHORTEST: Final = 1e-6  # share of an interval over which follow-up ends, at least
_OPEN_TRUST: Final = 0.2  # after the last number at risk the censorings follow no known law
_RESOLVED: Final = 2.0  # steps higher than so many standard deviations of a point tell the number at risk
_TUNED: Final = 20_000  # events times censorings up to which single censorings are moved to meet a level
_NEAR: Final = 0.3  # of a step: a corner so near a level is on it
_INSIDE: Final = 1e-6  # of an interval: an event is at least so far before its end
_ROUNDS: Final = 4  # of placing events where the line crosses the middle of their step


class Censoring(NamedTuple):
    """How censoring goes on after the last number at risk.

    Attributes
    ----------
    hazard : float
        Constant, per unit of time.
    share : float
        Last share of the interval over which follow-up ends evenly, as when patients entered evenly; 0 for none.
    """

    hazard: float = 0.0
    share: float = 0.0

    def followed(self, elapsed: FloatArray, length: float) -> FloatArray:
        """Share not yet censored."""
        kept = np.exp(-self.hazard * elapsed)
        if self.share <= 0.0 or length <= 0.0:
            return kept
        left = np.clip((length - elapsed) / (self.share * length), 0.0, 1.0)
        return np.asarray(kept * (_FOLLOWED + (1.0 - _FOLLOWED) * left))


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """What is known beside the curve.

    Attributes
    ----------
    time : ndarray, shape (k,)
        Of the numbers at risk, ascending from 0.
    n_at_risk : ndarray of int, shape (k,)
        Never rising; the first is the number of patients.
    end : float
        Where the curve ends; the last patients are censored there.
    n_events : int or None
        Events in all.
    censor_time : ndarray or None
        Ascending times of censoring marks, at each of which one patient or more is censored; None when they
        are not shown.
    """

    time: FloatArray
    n_at_risk: IntArray
    end: float
    n_events: int | None = None
    censor_time: FloatArray | None = None

    @property
    def stops(self) -> FloatArray:
        """Of the intervals, shape (k,)."""
        return np.append(self.time[1:], self.end)

    @property
    def leaving(self) -> IntArray:
        """Patients who leave in each interval, all who are left in the last."""
        return -np.diff(np.append(self.n_at_risk, 0))

    @property
    def room(self) -> IntArray:
        """Most events of each interval: each mark holds one patient who is censored, unless so many do not leave."""
        if self.censor_time is None:
            return self.leaving
        marked = np.bincount(
            np.searchsorted(self.time, self.censor_time, "right") - 1, minlength=self.time.size
        )
        return np.where(marked <= self.leaving, self.leaving - marked, self.leaving)

    def marks(self, i: int) -> FloatArray | None:
        """Censoring marks within interval i."""
        if self.censor_time is None:
            return None
        last = i == self.time.size - 1
        inside = (self.censor_time >= self.time[i]) & (last | (self.censor_time < self.stops[i]))
        return np.asarray(self.censor_time[inside])


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One interval of the ledger, entered with a level of survival that the patients so far have reached."""

    trace: Trace
    start: float
    stop: float
    n: int
    left: int
    is_last: bool
    survival: float
    at_end: float
    marks: FloatArray | None

    @classmethod
    def of(cls, trace: Trace, table: Table, i: int, survival: float) -> Cell:
        """Interval i of a table, entered with this level."""
        k = table.time.size
        last = i == k - 1
        stop = table.end if last else float(table.time[i + 1])
        edge = np.array([stop])
        return cls(
            trace,
            float(table.time[i]),
            stop,
            int(table.n_at_risk[i]),
            0 if last else int(table.n_at_risk[i + 1]),
            last,
            survival,
            float((trace.after(edge) if last else trace.before(edge))[0]),
            table.marks(i),
        )

    def open_events(self, law: Censoring) -> tuple[float, FloatArray, FloatArray]:
        """Events with such censoring; the corners of the line, and events up to each.

        They lead from the level reached to that of the line at the end; what the level is off at the start counts as a
        fall there.
        """
        edge = np.array([self.start, self.stop])
        inside = (self.trace.time >= self.start) & (self.trace.time < self.stop)
        time = np.concatenate([edge[:1], edge[:1], self.trace.time[inside], edge[1:], edge[1:]])
        ends = self.trace.before(edge)
        level = np.concatenate(
            [[self.survival], ends[:1], self.trace.survival[inside], ends[1:], [self.at_end]]
        )
        if self.survival <= 0.0:
            return 0.0, time, np.zeros(time.size)
        middle = 0.5 * (time[1:] + time[:-1]) - self.start
        steps = self.n * law.followed(middle, self.stop - self.start) * -np.diff(level) / self.survival
        events = np.concatenate([[0.0], np.cumsum(steps)])
        return max(float(events[-1]), 0.0), time, events

    def events_with_early_censoring(self) -> tuple[float, float]:
        """Fewest events that lead to the line's level, with all censoring at the start; and the level then reached."""
        drop, level = float(self.n - self.left), self.survival
        if self.at_end <= 0.0 or self.left == 0:
            return (min(drop, 1.0) if self.at_end < level else 0.0), self.at_end
        d = min(max(self.left * (level / self.at_end - 1.0), 0.0), drop)
        return d, level * self.left / (self.left + d)

    def events_with_late_censoring(self) -> tuple[float, float]:
        """Most events that lead to the line's level, with all censoring at the end; and the level then reached."""
        drop, level = float(self.n - self.left), self.survival
        if self.n == 0 or level <= 0.0:
            return 0.0, level
        d = min(max(self.n * (1.0 - self.at_end / level), 0.0), drop)
        return d, level * (1.0 - d / self.n)

    def level_after(self, n_events: float, tilt: float) -> float:
        """Level that so many events lead to, with the censorings as the tilt says."""
        if self.n == 0 or self.survival <= 0.0 or self.at_end <= 0.0:
            return self.at_end
        c = self.n - self.left - n_events
        return self.survival * (self.left + c * float(self._ratio(_QUANTILES, tilt))) / self.n

    def fewest_events(self) -> float:
        """Events of the last interval when all who are censored are so at its start, but for one who is followed.

        Of one patient at risk at a level S' after S there were at least S / S' - 1 events, and one more brings it to 0.
        """
        if self.survival <= 0.0:
            return 0.0
        told = max(3.0 * self.trace.noise, 0.5 / self.n)  # a lower level may be none
        levels = self.trace.survival[(self.trace.time >= self.start) & (self.trace.survival > told)]
        low = min(float(levels[-1]) + told, self.survival) if levels.size else self.survival
        return max(self.survival / low - 1.0, 0.0) + (self.at_end <= 0.0)

    def marked_events(self) -> float:
        """Events after the last number at risk with one patient censored at each mark before the end."""
        if self.survival <= 0.0:
            return 0.0
        marks = np.zeros(0) if self.marks is None else self.marks[self.marks < self.stop]
        weight = self.at_end / np.maximum(self.trace.after(marks), max(self.at_end, 1e-12))
        left = max(self.n * self.at_end / self.survival - float(weight.sum()), 0.0)
        return min(max(self.n - left - marks.size, 0.0), float(self.n))

    def law_for(self, n_events: float, *, late: bool) -> Censoring:
        """Censoring with which the line stands for so many events; none when it stands for fewer at most.

        Follow-up that ends evenly over the last share of the interval when `late` and when that is enough, else a
        constant hazard.
        """
        from scipy.optimize import brentq

        length = self.stop - self.start

        def surplus(law: Censoring) -> float:
            return self.open_events(law)[0] - n_events

        if length <= 0.0 or surplus(Censoring()) <= 0.0:
            return Censoring()
        if late and surplus(Censoring(share=_SHORTEST)) <= 0.0:
            return Censoring(share=_SHORTEST)  # the line falls at its end
        if late and surplus(Censoring(share=1.0)) < 0.0:
            return Censoring(
                share=float(brentq(lambda u: surplus(Censoring(share=u)), _SHORTEST, 1.0, rtol=1e-6))
            )
        high = 1.0 / length
        while surplus(Censoring(high)) > 0.0 and high < 1e6 / length:
            high *= 4.0
        if surplus(Censoring(high)) > 0.0:
            return Censoring(high)
        return Censoring(float(brentq(lambda hazard: surplus(Censoring(hazard)), 0.0, high, rtol=1e-6)))

    def _places(self, share: FloatArray, tilt: FloatArray | float) -> FloatArray:
        """Quantiles of the places of censorings: over the interval, or over the marks on it."""
        x = share * np.ones_like(tilt)
        bent = tilt != 0.0
        slope = np.where(bent, tilt, 1.0)
        x = np.where(bent, np.log1p(x * np.expm1(slope)) / slope, x)
        if self.marks is not None and self.marks.size:
            return np.asarray(
                self.marks[np.minimum((x * self.marks.size).astype(np.int64), self.marks.size - 1)]
            )
        return self._whole(self.start + (self.stop - self.start) * x)

    def spread(self, c: int, tilt: float = 0.0) -> FloatArray:
        """Times of c censorings: one at each mark first, the others as the tilt says."""
        first = np.zeros(0)
        if self.marks is not None and 0 < self.marks.size <= c:
            first, c = self.marks, c - self.marks.size
        share = (np.arange(c) + 0.5) / max(c, 1)
        return np.sort(np.concatenate([first, self._places(share, tilt)]))

    def _whole(self, time: FloatArray) -> FloatArray:
        """Times moved to the nearest whole unit of the interval when the line falls at whole units."""
        first, last = np.ceil(self.start), np.ceil(self.stop) - 1.0
        if not self.trace.in_whole_units or last < first:
            return time
        return np.asarray(np.clip(np.round(time), first, last))

    def _ratio(self, share: FloatArray, tilt: FloatArray | float) -> FloatArray:
        """Mean of S(end) / S(u) over the places u of censorings, on the last axis."""
        level = self.trace.after(self._places(share, tilt))
        return np.asarray(np.mean(self.at_end / np.maximum(level, self.at_end), axis=-1))

    def events(self, expected: float, tilt: float) -> float:
        """Events that lead from the level reached to that of the curve at the end; to 0 those expected."""
        if self.at_end <= 0.0 or self.survival <= 0.0:
            return expected
        surplus = self.n * self.at_end / self.survival - self.left
        return self.n - self.left - surplus / float(self._ratio(_QUANTILES, tilt))

    def whole_events(self, expected: float, law: Censoring, tilt: float | None) -> int:
        """Whole events to put here when no total is known."""
        marked = 0 if self.marks is None else self.marks.size
        room = self.n - self.left
        room -= marked if marked <= room else 0
        if self.is_last:
            wanted = expected if self.marks is not None else self.open_events(law)[0]
            return min(max(round(wanted), 1 if self.at_end <= 0.0 < self.survival else 0), room)
        return min(max(round(self.events(expected, tilt or 0.0)), 0), room)

    def fill(
        self, d: int, law: Censoring, tilt: float | None, *, is_told: bool
    ) -> tuple[FloatArray, FloatArray, float]:
        """Times of d events and of the censorings, and the level reached.

        In the last interval d is only a guess when no total `is_told`: heights far above the noise then correct it.
        """
        c = self.n - self.left - d
        if self.is_last:
            censored = self._late(d, c, law)
        else:
            censored = self.spread(c, self._fitting_tilt(c) if tilt is None else tilt)
        at, level = self._place(d, censored)
        height = self.survival / max(self.trace.noise * self.n, 1e-300)
        if d and self.marks is None and height > _RESOLVED:
            free = self.is_last and not is_told and height > 2.0 * _RESOLVED
            refined = self._by_heights(at, censored, law, free=free) if c or free else None
            if refined is not None:
                censored = refined
                at, level = self._place(self.n - self.left - censored.size, censored)
        return at, censored, level

    def _fitting_tilt(self, c: int) -> float:
        """Tilt with which the level at the end is that of the line, as nearly as can be."""
        if c == 0 or self.at_end <= 0.0 or self.survival <= 0.0:
            return 0.0
        few = min(c, _QUANTILES.size)
        ratios = self._ratio((np.arange(few) + 0.5) / few, _TILTS[:, None])
        wanted = (self.n * self.at_end / self.survival - self.left) / c
        return float(np.interp(wanted, np.maximum.accumulate(ratios), _TILTS))

    def met(self, at: FloatArray, censored: FloatArray, level: float) -> tuple[FloatArray, float]:
        """Censorings moved past single events, one by one, while that brings the level nearer to the line's."""
        before = np.searchsorted(censored, at, "left")
        after = self.n - np.arange(at.size)  # less those censored before: at risk
        if at.size * censored.size > _TUNED or self.at_end <= 0.0:
            return censored, level
        while True:
            r = after - before
            logs = np.log(self.at_end / level)
            # one censoring less before an event puts one more at risk there, and one more puts one less
            gain = np.log1p(1.0 / (r - 1.0 + (r == 1))) - np.log1p(1.0 / r)
            loss = np.log1p(-1.0 / np.maximum(r, 2)) - np.log1p(-1.0 / np.maximum(r - 1, 1.5))
            up = (before > np.append(0, before[:-1])) & (r > 1)
            down = (before < np.append(before[1:], censored.size)) & (r > 2)
            step = np.concatenate([np.where(up, gain, np.inf), np.where(down, -loss, np.inf)])
            left = np.abs(logs - step)
            i = int(np.argmin(left))
            if not left[i] < abs(logs) - 1e-12:
                break
            before = before.copy()
            before[i % at.size] += -1 if i < at.size else 1
            level = float(self.survival * np.prod(1.0 - 1.0 / (after - before)))
        edges = np.concatenate([[self.start], at, [self.stop]])
        counts = np.diff(before, prepend=0, append=censored.size)
        if (np.searchsorted(censored, at, "left") == before).all():
            return censored, level
        times = [
            self._between(a, b).spread(int(k))
            for a, b, k in zip(edges[:-1], edges[1:], counts, strict=True)
            if k
        ]
        return np.concatenate(times), level

    def _by_heights(
        self, at: FloatArray, censored: FloatArray, law: Censoring, *, free: bool
    ) -> FloatArray | None:
        """Censorings where the heights of the steps between these events say that they are.

        As many as there were, or as the heights say when they are `free`.
        """
        fall, count = np.unique(at, return_counts=True)
        level, seen = self._treads(fall, count, censored)
        known = np.flatnonzero(seen)
        if known.size == 0:
            return None
        group = np.searchsorted(known, np.arange(fall.size), "left")  # falls between two known levels are one
        use = group < known.size
        events = np.bincount(group[use], count[use], minlength=known.size).astype(np.int64)
        first = fall[np.searchsorted(group, np.arange(known.size), "left")]
        edges = np.concatenate([[self.start], first, [self.stop]])
        so_far = np.diff(np.searchsorted(censored, first, "left"), prepend=0, append=censored.size)
        evenly = censored.size * np.diff(edges) / (self.stop - self.start)
        found = risk_path(
            level[known],
            self.trace.noise / np.sqrt(seen[known]),
            0.5 * (so_far + evenly),
            n_start=self.n,
            n_stop=self.left + int(count[~use].sum()),
            is_last=self.is_last,
            survival=self.survival,
            trust=_OPEN_TRUST if free else 1.0,
            n_events=None if free else events,
        )
        if found is None:
            return None
        c = self.n - self.left - int(found.n_events.sum()) - int(count[~use].sum()) if free else censored.size
        return self._along(edges, found, c, law)

    def _treads(self, fall: FloatArray, count: IntArray, censored: FloatArray) -> tuple[FloatArray, IntArray]:
        """Level of the line after each fall, and how many of its corners tell it.

        A corner tells it when it is clear of the falls beside it in time, or near the level that the ledger has now.
        """
        trace, n_before = self.trace, self.n - np.cumsum(count) + count
        n_at_risk = np.maximum(n_before - np.searchsorted(censored, fall, "left"), 1)
        step = count / n_at_risk
        now = self.survival * np.cumprod(1.0 - step)
        height = now * step / (1.0 - np.minimum(step, 0.5))
        inside = (trace.time > self.start) & (trace.time < self.stop)
        time, corner = trace.time[inside], trace.survival[inside]
        by_time = np.searchsorted(fall, time, "right") - 1
        edge = np.append(fall, self.stop)
        own = np.maximum(by_time, 0)
        clear = (
            (time > fall[own] + trace.time_noise)
            & (time < edge[by_time + 1] - trace.time_noise)
            & (by_time >= 0)
        )
        by_level = np.clip(np.searchsorted(-now, -corner, "left"), 1, now.size) - 1
        by_level += (by_level + 1 < now.size) & (
            np.abs(corner - now[np.minimum(by_level + 1, now.size - 1)]) < np.abs(corner - now[by_level])
        )
        near = (np.abs(corner - now[by_level]) < _NEAR * height[by_level]) & (np.abs(by_level - by_time) <= 1)
        tread = np.where(clear, by_time, by_level)[clear | near]
        seen = np.bincount(tread, minlength=fall.size)
        total = np.bincount(tread, corner[clear | near], minlength=fall.size)
        return total / np.maximum(seen, 1), seen

    def _along(self, edges: FloatArray, found: RiskPath, c: int, law: Censoring) -> FloatArray:
        """Times of c censorings, so many between the falls as the path says; the others after the last."""
        after = np.concatenate([[self.n], found.n_at_risk - found.n_events])
        lost = after[:-1] - found.n_at_risk
        times = [
            self._between(a, b).spread(k)
            for a, b, k in zip(edges[:-2].tolist(), edges[1:-1].tolist(), lost.tolist(), strict=True)
            if k
        ]
        start, remain = float(edges[-2]), c - int(lost.sum())
        if self.is_last:
            times.append(self._after_last_fall(start, remain, law))
        else:
            times.append(self._between(start, self.stop).spread(remain))
        return np.concatenate(times)

    def _late(self, d: int, c: int, law: Censoring) -> FloatArray:
        """Censorings after the last number at risk: as the law says, and all others at the end."""
        if self.marks is not None:
            early = self.marks[self.marks < self.stop][:c]
            return np.concatenate([early, np.full(c - early.size, self.stop)])
        # the fraction of an event that rounding took is no sign of censoring
        if abs(d - self.open_events(law)[0]) > 0.5 and d < self.open_events(Censoring())[0]:
            law = self.law_for(max(d, 0.5), late=law.share > 0.0)
        grid = np.linspace(self.start, self.stop, 129)
        level = self.trace.before(grid) / max(float(self.trace.before(grid[:1])[0]), 1e-300)
        kept = law.followed(grid - self.start, self.stop - self.start)
        steps = self.n * 0.5 * (level[1:] + level[:-1]) * -np.diff(kept)
        return self._by_law(c, grid, np.concatenate([[0.0], np.cumsum(steps)]))

    def _after_last_fall(self, start: float, c: int, law: Censoring) -> FloatArray:
        """Censorings from a time on after which nothing falls."""
        if self.marks is not None:
            early = self.marks[(self.marks >= start) & (self.marks < self.stop)][:c]
            return np.concatenate([early, np.full(c - early.size, self.stop)])
        grid = np.linspace(start, self.stop, 65)
        kept = law.followed(grid - self.start, self.stop - self.start)
        return self._by_law(c, grid, c * (1.0 - kept / max(float(kept[0]), 1e-300)))

    def _by_law(self, c: int, grid: FloatArray, lost: FloatArray) -> FloatArray:
        """Times of c censorings, `lost` of which have come by the times of a grid, those left over at the end.

        Whoever was drawn to the end was followed to it.
        """
        k = c if self.at_end <= 0.0 else min(max(c - 1, 0), round(float(lost[-1])))
        if lost[-1] > 0.0:
            early = self._whole(np.interp((np.arange(k) + 0.5) * lost[-1] / max(k, 1), lost, grid))
        else:
            early = replace(self, start=float(grid[0])).spread(k)
        return np.concatenate([early, np.full(c - early.size, self.stop)])

    def _place(self, d: int, censored: FloatArray) -> tuple[FloatArray, float]:
        """Times at which the line crosses the middles of d steps, and the level after them."""
        if d == 0:
            return np.zeros(0), self.survival
        latest = self.stop if self.is_last else self.stop - _INSIDE * (self.stop - self.start)
        top = float(self.trace.before(np.array([self.start]))[0])
        fall = top - self.at_end
        number = np.arange(d)
        middle, at = top - fall * (number + 0.5) / d, np.zeros(d)
        for _ in range(_ROUNDS):
            before = at
            found = np.minimum(np.maximum(self.trace.time_at(middle), self.start), latest)
            at = np.maximum.accumulate(found)
            if np.array_equal(at, before):
                break
            n_at_risk = np.maximum(self.n - number - np.searchsorted(censored, at, "left"), 1)
            level = self.survival * np.cumprod(1.0 - 1.0 / n_at_risk)
            middle = 0.5 * (np.concatenate([[self.survival], level[:-1]]) + level)
            if middle[-1] < self.at_end:  # more events than the line falls for: its fall is stretched
                middle = top - fall * (self.survival - middle) / max(self.survival - float(level[-1]), 1e-300)
        n_at_risk = np.maximum(self.n - number - np.searchsorted(censored, at, "left"), 1)
        return at, float(self.survival * np.prod(1.0 - 1.0 / n_at_risk))

    def path(self, law: Censoring, price: float) -> tuple[FloatArray, FloatArray, float] | None:
        """Exact steps: events at their falls, as many as the heights tell; None when that cannot be."""
        falls, levels = self.trace.time[1:-1:2], self.trace.survival[2::2]
        inside = (falls >= self.start) & (falls <= self.stop if self.is_last else falls < self.stop)
        falls, levels = falls[inside], levels[inside]
        share = levels[-1] / self.survival if falls.size else 1.0
        edges = np.concatenate([[self.start], falls, [self.stop]])
        length = max(self.stop - self.start, 1e-300)
        if self.is_last:
            kept = law.followed(edges - self.start, length)
            gap = self.n * np.concatenate([[1.0], levels / self.survival]) * -np.diff(kept)
        elif self.at_end > 0.0:
            lost = max((self.n * share - self.left) / float(self._ratio(_QUANTILES, 0.0)), 0.0)
            gap = lost * np.diff(edges) / length
        else:
            gap = np.zeros(edges.size - 1)
        marked = np.zeros(falls.size + 1, dtype=np.int64)
        if self.marks is not None:
            marked = np.diff(
                np.searchsorted(self.marks, edges[1:-1], "left"), prepend=0, append=self.marks.size
            )
            gap = marked.astype(np.float64) * max(float(gap.sum()) / max(self.marks.size, 1), 1.0)
        noise = np.full(falls.size, self.trace.noise)
        found = risk_path(
            levels,
            noise,
            gap,
            n_start=self.n,
            n_stop=self.left,
            is_last=self.is_last,
            survival=self.survival,
            trust=_OPEN_TRUST if self.is_last and self.marks is None else 1.0,
            marked=marked,
            price=price,
        )
        if found is None:
            return None
        c = self.n - self.left - int(found.n_events.sum())
        censored = self._along(edges, found, c, law)
        return np.repeat(falls, found.n_events), censored, found.survival

    def _between(self, start: float, stop: float) -> Cell:
        marks = self.marks
        if marks is not None:
            last = self.is_last and stop == self.stop
            marks = marks[(marks >= start) & ((marks < stop) | last)]
        return replace(self, start=start, stop=stop, marks=marks)
