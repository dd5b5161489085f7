r"""What can happen between two times to patients at risk: how many leave, why, and in which order.

When c of r patients at risk are lost and d have the event, the order of the two kinds of leaving is exchangeable, and
the estimate is multiplied by :math:`K = \prod (s - 1) / s` over the sizes s of the risk set at the events. With
:math:`D = d + c` and :math:`m = r - D`, a random order gives

.. math:: E \ln K = \frac{d}{D} \ln \frac{m}{r}, \qquad
   \mathrm{Var} \ln K = \frac{d c}{D - 1} \left\{ \frac{1}{D} \sum_{s=m+1}^{r} \ln^2 \frac{s - 1}{s}
   - \Bigl(\frac{1}{D} \ln \frac{m}{r}\Bigr)^2 \right\},

and :math:`K` lies between :math:`m / (m + d)` and :math:`(r - d) / r`. The normal distribution with these moments
serves to propose, never to judge: what it proposes is weighted by what is true. The last few who leave are ordered by
going through all their orders.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from scipy.special import gammaln, ndtr

from netsynth._typing import BoolArray, FloatArray, IntArray

#: Logarithm of survival after the last patient died.
LOG_ZERO: Final = -800.0
_SLACK: Final = 1e-9  # of a logarithm, for the rounding of sums
_DOUBTFUL: Final = 0.05  # chances below it are held against the bounds of K
_LEAST: Final = 1e-6  # chance that is left to whatever the bounds do not exclude


_SHARPEST: Final = 1e5  # sum of the shapes of a beta distribution
_FEW: Final = 10  # who leave: all their orders, 1024 at most, are gone through
_APART: Final = 4000.0  # between the logarithms for different numbers of events in one table


class Window(NamedTuple):
    """Limits of a logarithm of survival, shape (k,); without limits -inf and a positive number."""

    lower: FloatArray
    upper: FloatArray

    def holds(self, value: FloatArray) -> BoolArray:
        """Whether values lie within, limits included."""
        return (value >= self.lower - _SLACK) & (value <= self.upper + _SLACK)


class Order(NamedTuple):
    """Kinds of leaving in order.

    Attributes
    ----------
    kind : ndarray of int8, shape (k, n)
        By the size s of the risk set, at place n - s: 1 for an event, 0 for a loss, -1 for none in this interval.
    log_survival, greenwood : ndarray, shape (k,)
        What the events add to the logarithm of survival and to Greenwood's sum.
    log_weight : ndarray, shape (k,)
        Logarithm of the probability of the order over that with which it was proposed; -inf outside the window.
    """

    kind: np.ndarray[tuple[int, ...], np.dtype[np.int8]]
    log_survival: FloatArray
    greenwood: FloatArray
    log_weight: FloatArray


class _Drop(NamedTuple):
    """Mean and variance of the fall of ln K at an event, the variance over one less than the number who leave."""

    mean: FloatArray
    spread: FloatArray


class _Table(NamedTuple):
    """Orders of a few: ln K, by number of events and ascending, and the kinds of leaving from the first on."""

    value: FloatArray
    kind: np.ndarray[tuple[int, ...], np.dtype[np.int8]]


class _Found(NamedTuple):
    """Orders that end in a window: their table, the first of them, how many, and the share of all orders."""

    mark: IntArray
    first: IntArray
    size: IntArray
    chance: FloatArray


class Sizes:
    """Sums over the sizes 1..n of a risk set, made once for all that is asked about them."""

    def __init__(self, n: int) -> None:
        s = np.arange(1, n + 1, dtype=np.float64)
        with np.errstate(divide="ignore"):
            drop = np.log((s - 1.0) / s)
            grown = 1.0 / (s * (s - 1.0))
        self.n = n
        self.log_drop = np.concatenate([[0.0, LOG_ZERO], drop[1:]])
        self.grown = np.concatenate([[0.0], grown])
        self.log_size = np.concatenate([[0.0], np.log(s)])
        self.squares = np.concatenate([[0.0, 0.0], np.cumsum(drop[1:] ** 2)])
        self.log_factorial = np.concatenate([[0.0], np.cumsum(np.log(s))])
        self._tables: dict[int, _Table] = {}

    def hit(self, r: IntArray, d: IntArray, c: IntArray, window: Window) -> FloatArray:
        """Chance, nearly, that a random order of d events and c losses among r brings ln K into the window.

        It is 0 only where no order does, by the bounds of K, or where the order does not matter.
        """
        m = r - d - c
        few = np.nonzero(d + c <= _FEW)
        if few[0].size == d.size:
            chance = np.empty(d.shape)
        else:
            chance = self._hit(self._drop(r, np.maximum(m, 1)), r, m, d, c, window)
        if few[0].size:
            low, high = (np.broadcast_to(limit, d.shape)[few] for limit in window)
            chance[few] = self._among_all(r[few], d[few], c[few], Window(low, high)).chance
        return chance

    def _among_all(self, r: IntArray, d: IntArray, c: IntArray, window: Window) -> _Found:
        """The orders of a few that end in the window, shape (k,)."""
        first, count = np.zeros(r.size, np.int64), np.zeros(r.size, np.int64)
        mark = r * (_FEW + 1) + d + c
        low = np.maximum(window.lower - _SLACK, -0.4 * _APART) + _APART * d
        high = np.clip(window.upper + _SLACK, -0.4 * _APART, 1.0) + _APART * d
        by_mark = np.argsort(mark, kind="stable")
        marks, starts = np.unique(mark[by_mark], return_index=True)
        for each, rows in zip(marks.tolist(), np.split(by_mark, starts[1:]), strict=True):
            values = self._table(each).value
            first[rows] = np.searchsorted(values, low[rows], "left")
            count[rows] = np.searchsorted(values, high[rows], "right") - first[rows]
        chance = np.asarray(count * np.exp(-self.log_choose(d + c, d)), dtype=np.float64)
        return _Found(mark, first, count, chance)

    def _table(self, mark: int) -> _Table:
        """All orders of `mark` % 11 who leave a risk set of `mark` // 11."""
        if mark not in self._tables:
            r, total = divmod(mark, _FEW + 1)
            event = (np.arange(2**total)[:, None] >> np.arange(total)) & 1
            value = event @ self.log_drop[r - np.arange(total)] + _APART * event.sum(axis=1)
            order = np.argsort(value, kind="stable")
            self._tables[mark] = _Table(value[order], event[order].astype(np.int8))
        return self._tables[mark]

    def _drop(self, r: IntArray, m: IntArray) -> _Drop:
        total = np.maximum(r - m, 1).astype(np.float64)
        mean = (self.log_size[m] - self.log_size[r]) / total
        spread = np.maximum((self.squares[r] - self.squares[m]) / total - mean**2, 0.0)
        return _Drop(mean, spread / np.maximum(total - 1.0, 1.0))

    def _hit(
        self, drop: _Drop, r: IntArray, m: IntArray, d: IntArray, c: IntArray, window: Window
    ) -> FloatArray:
        if not (m == 0).any():
            return self._chance(drop, r, m, d, c, window)
        # of the last patient it is decided whether he has the event, which makes survival 0, or is lost
        is_last = m == 0
        share = np.where(is_last, d / np.maximum(d + c, 1), 0.0)
        lost = self._chance(drop, r, np.maximum(m, 1), d, np.maximum(c - is_last, 0), window)
        return share * np.isneginf(window.lower) + (1.0 - share) * lost

    def _chance(
        self, drop: _Drop, r: IntArray, m: IntArray, d: IntArray, c: IntArray, window: Window
    ) -> FloatArray:
        some = d * c
        mean = d * drop.mean
        # without a choice of order the deviation is next to none, and the chance 0 or 1
        sd = np.sqrt(some * drop.spread + 1e-24)
        chance = ndtr((window.upper + _SLACK - mean) / sd) - ndtr((window.lower - _SLACK - mean) / sd)
        rare = np.nonzero((chance < _DOUBTFUL) & (some > 0))
        if rare[0].size:
            r, m, d = r[rare], m[rare], d[rare]
            least = self.log_size[m] - self.log_size[np.minimum(m + d, self.n)]
            most = self.log_size[np.maximum(r - d, 1)] - self.log_size[r]
            low, high = window.lower, window.upper
            if low.shape != chance.shape:
                low, high = np.broadcast_to(low, chance.shape), np.broadcast_to(high, chance.shape)
            possible = (high[rare] >= least - _SLACK) & (low[rare] <= most + _SLACK)
            chance[rare] = np.where(possible, np.maximum(chance[rare], _LEAST), 0.0)
        return np.asarray(chance)

    def log_choose(self, n: IntArray, k: IntArray) -> FloatArray:
        """Logarithm of the number of subsets; n and k are whole numbers with 0 <= k <= n."""
        table = self.log_factorial
        return np.asarray(table[n] - table[k] - table[n - k])

    def order(
        self,
        r: IntArray,
        d: IntArray,
        c: IntArray,
        window: Window,
        rng: np.random.Generator,
        *,
        is_free: bool,
    ) -> Order:
        """Draw orders of d events and c losses, shape (k,), led into the window unless that is free."""
        k = r.size
        kind = np.full((k, self.n), -1, np.int8)
        x, greenwood, log_weight = np.zeros(k), np.zeros(k), np.zeros(k)
        s, d, c = r.copy(), d.copy(), c.copy()
        m = r - d - c
        few = 0 if is_free else _FEW
        rows = np.flatnonzero(d + c > few)
        while rows.size:
            size, events, losses = s[rows], d[rows], c[rows]
            share = events / (events + losses)
            fall = self.log_drop[size]
            if is_free:
                event = rng.random(rows.size) < share
            else:
                low, high = window.lower[rows] - x[rows], window.upper[rows] - x[rows]
                left, after = m[rows], size - 1
                drop = self._drop(after, np.maximum(left, 1))
                fewer = np.maximum(events - 1, 0), np.maximum(losses - 1, 0)
                if_event = self._hit(drop, after, left, fewer[0], losses, Window(low - fall, high - fall))
                if_loss = self._hit(drop, after, left, events, fewer[1], Window(low, high))
                hope = share * if_event + (1.0 - share) * if_loss
                chosen = np.where(hope > 0, share * if_event / np.where(hope > 0, hope, 1.0), share)
                event = rng.random(rows.size) < chosen
                log_weight[rows] += np.log(
                    np.where(event, share, 1.0 - share) / np.where(event, chosen, 1.0 - chosen)
                )
            kind[rows, self.n - size] = event
            x[rows] += np.where(event, fall, 0.0)
            greenwood[rows] += np.where(event, self.grown[size], 0.0)
            d[rows] -= event
            c[rows] -= ~event
            s[rows] -= 1
            rows = rows[events + losses > few + 1]
        if not is_free:
            found = self._among_all(s, d, c, Window(window.lower - x, window.upper - x))
            with np.errstate(divide="ignore"):
                log_weight += np.log(found.chance)
            chosen = found.first + (rng.random(k) * found.size).astype(np.int64)
            for each in np.unique(found.mark).tolist():
                rows = np.flatnonzero((found.mark == each) & (found.size > 0))
                size, total = divmod(each, _FEW + 1)
                kinds = self._table(each).kind[chosen[rows]]
                if total and rows.size:
                    places = slice(self.n - size, self.n - size + total)
                    kind[rows, places] = kinds
                    x[rows] += kinds @ self.log_drop[size - np.arange(total)]
                    grown = np.where(kinds > 0, self.grown[size - np.arange(total)], 0.0)
                    greenwood[rows] += grown.sum(axis=1)
        log_weight[~window.holds(x)] = -np.inf
        return Order(kind, x, greenwood, log_weight)


class BetaShape(NamedTuple):
    """A beta distribution of a share, arrays of one shape; `first` goes with what is counted."""

    first: FloatArray
    second: FloatArray

    def log_pmf(self, sizes: Sizes, n: IntArray, k: IntArray) -> FloatArray:
        """Logarithm of the beta-binomial probability of k of n; -inf for k outside 0..n.

        The shapes have one axis less than n and k, or as many.
        """
        first, second = (np.maximum(part, 1e-300) for part in self)
        constant = gammaln(first + second) - gammaln(first) - gammaln(second)
        if n.ndim > first.ndim:
            first, second, constant = first[:, None], second[:, None], constant[:, None]
        inside = (k >= 0) & (k <= n)
        k = np.where(inside, k, 0)
        n = np.maximum(n, 0)
        value = (
            sizes.log_choose(n, k)
            + gammaln(k + first)
            + gammaln(n - k + second)
            - gammaln(n + first + second)
            + constant
        )
        return np.where(inside, value, -np.inf)

    def draw(self, n: IntArray, rng: np.random.Generator) -> IntArray:
        """Beta-binomial numbers."""
        first, second = (np.maximum(part, 1e-300) for part in self)
        share = np.where(self.first <= 0, 0.0, np.where(self.second <= 0, 1.0, rng.beta(first, second)))
        return rng.binomial(n, share)


def leaving(shape: FloatArray, rate: FloatArray) -> BetaShape:
    r"""Share of patients who leave while the cumulative hazard grows by a gamma increment, as a beta distribution.

    The distribution of :math:`1 - e^{-\Theta}` with a gamma variable :math:`\Theta` is replaced by the beta
    distribution with the same mean and variance, so that numbers of patients have probabilities in closed form.
    """
    one, two = np.log1p(1.0 / rate), np.log1p(2.0 / rate)
    stay = np.exp(-shape * one)
    # stay^2 (e^{shape (2 one - two)} - 1), which keeps its digits for small shapes
    with np.errstate(over="ignore", invalid="ignore"):  # where nobody stays
        variance = stay**2 * np.expm1(shape * (2.0 * one - two))
    total = np.where(variance > 0, -np.expm1(-shape * (two - one)) * stay / np.maximum(variance, 1e-300), 1.0)
    total = np.minimum(total, _SHARPEST)  # where nearly all leave, beyond which logarithms lose their digits
    return BetaShape(-np.expm1(-shape * one) * total, stay * total)
