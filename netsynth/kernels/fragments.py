r"""The likelihood of the fragments that a report prints, over all patients that could be behind them.

The state just after a time is the number at risk, the logarithm of the Kaplan-Meier estimate and Greenwood's sum. Up to
the next time some patients leave, each by an event or by a loss, in some order; the state is a function of the kinds of
leaving in order. What is printed is a limit of the state: survival within its rounding, a number at risk, the number of
events in all. So the probability of a report is the probability that the patients meet every limit, and a
particle filter estimates it without bias, while its particles are sets of patients that meet them all.

The cumulative hazard of events has the mean :math:`\eta (t / T)^k`, that of losses
:math:`\omega \{(t - t_0)_+ / (T - t_0)\}^{k'}`, with T the last time and losses from :math:`t_0` on (:math:`T - t_0`
counts as T / 4 at least). Between two times both grow by gamma variables of the same rate with these means, whose
shapes a and b add up to the concentration, so that the hazard of an interval may be off the smooth curve by as much in
a short interval as in a long one. Then the number of those who leave is beta-binomial
(`netsynth.kernels.fragment_moves.leaving`), and of these the number of events is beta-binomial with a and b, in
exchangeable order. The four parameters have log-normal priors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from scipy.special import gammainc, logsumexp

from netsynth._typing import BoolArray, FloatArray, IntArray
from netsynth.kernels.fragment_moves import LOG_ZERO, BetaShape, Sizes, Window, leaving

_PILOT: Final = (
    0.3  # as many particles, relative to the last run, in those that find where the parameters lie
)
_WIDER: Final = 1.3  # standard deviations of proposed parameters, relative to those found
_NARROWEST: Final = 0.1  # standard deviation that is added to those found, relative to the prior
_FROM_PRIOR: Final = 0.2  # share of particles whose parameters come from the prior all the same
_LEAST: Final = (
    0.01  # chance of reaching a later limit that is left to every state, so that no weight is far from 1
)
_SHORTEST: Final = 0.25  # of T, for the time in which losses take place
_FREE: Final = 0.25  # limits of survival that differ by less are a printed percentage, not what it implies
_LOSSES_WIDER: Final = 0.7  # precision of the proposed share of losses, relative to its prior
_AT_RISK: Final = (
    9  # numbers at risk that are gone through, of those that are possible where one is roughly known
)


class FragmentPrior(NamedTuple):
    r"""Log-normal priors: medians, and standard deviations of logarithms.

    Attributes
    ----------
    event_hazard, event_hazard_sd : float
        Cumulative hazard of events at the last time, :math:`\eta`.
    event_power, event_power_sd : float
        Power of time in it, k: 1 for a constant hazard.
    loss_hazard, loss_hazard_sd, loss_power, loss_power_sd : float
        The same of losses, :math:`\omega` and :math:`k'`.
    concentration : float
        Shape of the gamma increments of an interval: its hazard is off the smooth curve by a factor with the
        coefficient of variation 1 / sqrt(concentration).
    """

    event_hazard: float = 0.7
    event_hazard_sd: float = 1.2
    event_power: float = 1.0
    event_power_sd: float = 0.4
    loss_hazard: float = 0.6
    loss_hazard_sd: float = 1.0
    loss_power: float = 1.3
    loss_power_sd: float = 0.4
    concentration: float = 10.0

    @property
    def center(self) -> FloatArray:
        """Logarithms of the medians."""
        return np.log([self.event_hazard, self.event_power, self.loss_hazard, self.loss_power])

    @property
    def sd(self) -> FloatArray:
        """Standard deviations of the logarithms."""
        spread = (self.event_hazard_sd, self.event_power_sd, self.loss_hazard_sd, self.loss_power_sd)
        return np.array(spread)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Evidence:
    """What is known at J times in ascending order; arrays of shape (J,).

    Attributes
    ----------
    n_total : int
        Patients.
    time : ndarray
        Positive.
    lower, upper : ndarray
        Limits of the Kaplan-Meier estimate at (and after any events at) the time; 0 and 1 where nothing is known.
    is_estimate : ndarray of bool
        Whether survival is printed there, so that somebody was still followed, or nobody alive.
    n_at_risk : ndarray of int
        At risk just after the time; -1 where not known.
    at_risk_within : int or ndarray of int
        By how many that may be off, as a number read off a graph is.
    se, se_sd : ndarray
        A printed standard error of survival and how far another method may be from Greenwood's; nan for none.
    followed, followed_sd : ndarray
        Share of patients who would be followed until then if nobody had an event, m / (n S), and how exactly that is
        known; nan for none.
    n_events : int
        Events up to the last time; -1 where not known.
    first_loss : float
        Nobody is lost before.
    scale : float
        The time T of the priors, the last one that is reported.
    """

    n_total: int
    time: FloatArray
    lower: FloatArray
    upper: FloatArray
    is_estimate: BoolArray
    n_at_risk: IntArray
    se: FloatArray
    se_sd: FloatArray
    followed: FloatArray
    followed_sd: FloatArray
    at_risk_within: int | IntArray = 0
    n_events: int = -1
    first_loss: float = 0.0
    scale: float

    def sharpened(self) -> Evidence:
        """The same with limits of survival passed on, since survival never rises."""
        lower = np.maximum.accumulate(self.lower[::-1])[::-1]
        upper = np.minimum.accumulate(self.upper)
        return replace(self, lower=lower, upper=upper)

    def at_risk_limits(self) -> tuple[IntArray, IntArray]:
        """Smallest and largest number at risk after each time, passed on between those known; else 0 and n."""
        known = self.n_at_risk >= 0
        least = np.where(known, np.maximum(self.n_at_risk - self.at_risk_within, 0), 0)
        most = np.where(known, np.minimum(self.n_at_risk + self.at_risk_within, self.n_total), self.n_total)
        least, most = np.maximum.accumulate(least[::-1])[::-1], np.minimum.accumulate(most)
        return np.where(known, least, 0), np.where(known, most, self.n_total)


class Paths(NamedTuple):
    """Sets of patients that meet the evidence, equally probable, shape (b, ...).

    Attributes
    ----------
    kind : ndarray of int8, shape (b, n)
        Kind of leaving of each patient in order: 1 for an event, 0 for a loss, -1 for those still followed at the last
        time.
    n_at_risk : ndarray of int, shape (b, J)
        After each time.
    n_events : ndarray of int, shape (b, J)
        Up to each time.
    survival : ndarray, shape (b, J)
        The estimate.
    parameter : ndarray, shape (b, 4)
        Logarithms of eta, k, omega and k'.
    log_evidence : float
        Logarithm of the probability of the report.
    log_evidence_se : float
        How far it may be off through the finite number of particles, roughly.
    n_effective : float
        Number of independent draws that the particles are worth.
    n_distinct : int
        Particles at the first time from which the draws descend.
    met : ndarray, shape (J,)
        Share of particles that met the limits at each time when they were led to them.
    """

    kind: np.ndarray[tuple[int, ...], np.dtype[np.int8]]
    n_at_risk: IntArray
    n_events: IntArray
    survival: FloatArray
    parameter: FloatArray
    log_evidence: float
    log_evidence_se: float
    n_effective: float
    n_distinct: int
    met: FloatArray


def sample_paths(
    evidence: Evidence, prior: FragmentPrior, n_draws: int, rng: np.random.Generator
) -> Paths | None:
    """Draw sets of patients from their distribution given the evidence; None when no particle met it.

    Runs with fewer particles find where the parameters lie, at first from the prior; each following run proposes them
    there, and a share from the prior, and weighs them accordingly.
    """
    evidence = evidence.sharpened()
    sizes = Sizes(evidence.n_total)
    varies = prior.sd > 0
    pilot = max(200, int(_PILOT * n_draws))
    mean: FloatArray = np.zeros(int(varies.sum()))
    root: FloatArray = np.eye(mean.size)
    share, paths = 1.0, None
    for size in (pilot, pilot, n_draws):
        z = rng.standard_normal((size, mean.size))
        moved = rng.random(size) >= share
        z[moved] = mean + z[moved] @ root.T
        parameter = np.tile(prior.center, (size, 1))
        parameter[:, varies] += prior.sd[varies] * z
        at_prior = -0.5 * (z**2).sum(axis=1)
        from_found = np.linalg.solve(root, (z - mean).T)
        at_found = -0.5 * (from_found**2).sum(axis=0) - np.log(np.diag(root)).sum()
        with np.errstate(divide="ignore"):
            proposed = np.logaddexp(np.log(share) + at_prior, np.log1p(-share) + at_found)
        paths = _Filter(evidence, prior, sizes, parameter, at_prior - proposed, rng).run()
        if paths is None:
            return None
        found = (paths.parameter[:, varies] - prior.center[varies]) / prior.sd[varies]
        mean = np.asarray(found.mean(axis=0), dtype=np.float64)
        spread = np.atleast_2d(np.cov(found.T, bias=True)) if mean.size else np.zeros((0, 0))
        root = np.asarray(
            np.linalg.cholesky(_WIDER**2 * (spread + _NARROWEST**2 * np.eye(mean.size))), np.float64
        )
        share = _FROM_PRIOR
    return paths


class _Filter:
    """Particles moved from time to time; arrays of shape (b,) unless said otherwise."""

    def __init__(
        self,
        evidence: Evidence,
        prior: FragmentPrior,
        sizes: Sizes,
        parameter: FloatArray,
        log_weight: FloatArray,
        rng: np.random.Generator,
    ) -> None:
        b, n, n_times = parameter.shape[0], evidence.n_total, evidence.time.size
        self.evidence, self.prior, self.sizes, self.rng = evidence, prior, sizes, rng
        self.parameter, self.log_weight = parameter, log_weight.copy()
        self.r = np.full(b, n)
        self.x, self.greenwood, self.ahead = np.zeros(b), np.zeros(b), np.zeros(b)
        self.events = np.zeros(b, np.int64)
        self.kind = np.full((b, n), -1, np.int8)
        self.n_at_risk, self.n_events = np.zeros((b, n_times), np.int64), np.zeros((b, n_times), np.int64)
        self.survival = np.zeros((b, n_times))
        self.first = np.arange(b)  # the ancestor at the first time
        self.log_evidence, self.variance = 0.0, 0.0
        self.met = np.ones(n_times)
        self.least, self.most = evidence.at_risk_limits()
        with np.errstate(divide="ignore"):
            self.low = np.log(evidence.lower)
        self.high = np.maximum(np.log(np.maximum(evidence.upper, 1e-300)), 0.5 * LOG_ZERO)

    def run(self) -> Paths | None:
        """Through all times; None when no particle is left."""
        for j in range(self.evidence.time.size):
            self._move(j)
            if not np.isfinite(self.log_weight).any():
                return None
            is_last = j == self.evidence.time.size - 1
            if is_last or self._effective() < 0.5 * self.r.size:
                self._resample()
        return Paths(
            self.kind,
            self.n_at_risk,
            self.n_events,
            self.survival,
            self.parameter,
            self.log_evidence,
            float(np.sqrt(self.variance)),
            1.0 / (self.variance + 1.0 / self.r.size),
            int(np.unique(self.first).size),
            self.met,
        )

    def _effective(self) -> float:
        weight = np.exp(self.log_weight - self.log_weight.max())
        return float(weight.sum() ** 2 / (weight**2).sum())

    def _resample(self) -> None:
        """Systematic: each particle as often as its weight says, but for a fraction."""
        b = self.r.size
        total = float(logsumexp(self.log_weight))
        self.log_evidence += total - float(np.log(b))
        self.variance += max(1.0 / self._effective() - 1.0 / b, 0.0)
        share = np.cumsum(np.exp(self.log_weight - total))
        chosen = np.searchsorted(share / share[-1], (np.arange(b) + self.rng.random()) / b)
        for name in ("parameter", "r", "x", "greenwood", "ahead", "events", "kind", "first"):
            setattr(self, name, getattr(self, name)[chosen])
        for name in ("n_at_risk", "n_events", "survival"):
            setattr(self, name, getattr(self, name)[chosen])
        self.log_weight = np.zeros(b)

    def _shapes(self, start: float, stop: float) -> Increments:
        """Increments of both cumulative hazards between two times."""
        return increments(self.parameter, np.array([start, stop]), self.evidence, self.prior)

    def _ahead(self, j: int, x: FloatArray, m: IntArray) -> FloatArray:
        """Logarithm of the chance, roughly, of meeting the next printed limit, from log survival x and m at risk.

        It only leads: what is multiplied in here is divided out at the next time.
        """
        evidence = self.evidence
        narrow = np.flatnonzero(evidence.upper - evidence.lower < _FREE)
        later = narrow[narrow > j]
        crossing = np.flatnonzero(evidence.upper < evidence.upper[j] - 1e-12)
        target = later[0] if later.size else (crossing[0] if crossing.size else -1)
        if target < 0 or j in narrow:
            return np.zeros(x.shape)
        start, stop = float(evidence.time[j]), float(evidence.time[target])
        grown = self._shapes(start, stop)
        mean, spread = grown.event / grown.rate, grown.event / grown.rate**2
        if x.ndim > mean.ndim:
            mean, spread = mean[:, None], spread[:, None]
        variance = 2.0 * (spread + mean / np.maximum(m, 1))
        least, most = np.maximum(x - self.high[target], 0.0), np.maximum(x - self.low[target], 0.0)
        shape, rate = mean**2 / variance, mean / variance
        chance = gammainc(shape, rate * most) - np.where(least > 0, gammainc(shape, rate * least), 0.0)
        return np.asarray(np.log(_LEAST + chance))

    def _move(self, j: int) -> None:
        evidence, sizes, rng = self.evidence, self.sizes, self.rng
        start = float(evidence.time[j - 1]) if j else 0.0
        grown = self._shapes(start, float(evidence.time[j]))
        gone, why = leaving(grown.event + grown.loss, grown.rate), BetaShape(grown.event, grown.loss)
        window = Window(self.low[j] - self.x, self.high[j] - self.x)
        fixed = evidence.n_events - self.events if self._counts(j) else None
        is_known = bool(evidence.n_at_risk[j] >= 0)
        is_wide = evidence.lower[j] <= 0 and evidence.upper[j] >= (evidence.upper[j - 1] if j else 1.0)
        leads = bool(np.any(self._ahead(j, self.x, self.r)))
        if not is_known and is_wide and not leads and fixed is None:
            total = gone.draw(self.r, rng)
            d = why.draw(total, rng)
            c = total - d
            log_weight, hope = np.zeros(self.r.size), np.zeros(self.r.size)
        else:
            d, c, log_weight, hope = self._counted(j, is_known, gone, why, grown.rate, window, fixed)
        alive = np.isfinite(log_weight)
        d, c = np.where(alive, d, 0), np.where(alive, c, 0)
        order = sizes.order(self.r, d, c, window, rng, is_free=is_wide)
        self.kind = np.where(order.kind >= 0, order.kind, self.kind)
        self.x = np.maximum(self.x + order.log_survival, LOG_ZERO)
        self.greenwood = self.greenwood + order.greenwood
        self.r = self.r - d - c
        self.events = self.events + d
        ahead = self._ahead(j, self.x, self.r)
        with np.errstate(invalid="ignore"):
            log_weight = log_weight + order.log_weight - hope
        log_weight = np.where(np.isnan(log_weight), -np.inf, log_weight)
        self.met[j] = np.isfinite(log_weight).mean()
        survival = np.where(self.x <= 0.5 * LOG_ZERO, 0.0, np.exp(self.x))
        if evidence.is_estimate[j]:
            log_weight[(self.r == 0) & (survival > 0)] = -np.inf
        if np.isfinite(evidence.se[j]):
            with np.errstate(invalid="ignore"):
                se = np.where(survival > 0, survival * np.sqrt(self.greenwood), 0.0)
            log_weight -= 0.5 * ((se - evidence.se[j]) / evidence.se_sd[j]) ** 2
        if np.isfinite(evidence.followed[j]):
            share = np.where(survival > 0, self.r / (evidence.n_total * np.maximum(survival, 1e-300)), 0.0)
            log_weight -= 0.5 * ((share - evidence.followed[j]) / evidence.followed_sd[j]) ** 2
        self.log_weight = self.log_weight + log_weight + ahead - self.ahead
        self.ahead = ahead
        self.n_at_risk[:, j], self.n_events[:, j], self.survival[:, j] = self.r, self.events, survival

    def _counts(self, j: int) -> bool:
        """Whether the number of events is known at this time."""
        return j == self.evidence.time.size - 1 and self.evidence.n_events >= 0

    def _counted(
        self,
        j: int,
        is_known: bool,
        gone: BetaShape,
        why: BetaShape,
        rate: FloatArray,
        window: Window,
        fixed: IntArray | None,
    ) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
        """Numbers of events and losses that lead into the window, their weight, and the chance they gave themselves."""
        r, sizes = self.r, self.sizes
        least_left = 1 if self.evidence.is_estimate[j] and self.evidence.lower[j] > 0 else 0
        k_low, k_high = np.exp(window.lower), np.exp(np.minimum(window.upper, 0.0))
        if is_known:
            left, log_skipped = self._left(j)
            total = r[:, None] - left
            impossible = (total < 0) | (left < least_left) | (left > self.most[j])
            total = np.maximum(total, 0)
            with np.errstate(divide="ignore"):
                first = np.ceil(left * (1.0 / np.maximum(k_high, 1e-300) - 1.0)[:, None] - 1e-6)
            low = np.minimum(first, total + 1.0).astype(np.int64)
            high = np.minimum(np.floor(r * (1.0 - k_low) + 1e-6).astype(np.int64)[:, None], total)
            log_total = gone.log_pmf(sizes, np.broadcast_to(r[:, None], total.shape), total) + log_skipped
            log_total = np.where(impossible, -np.inf, log_total)
            losses = log_losses = None
        else:
            losses, log_losses = self._losses(why, rate, k_low, k_high)
            left = r - losses
            low = np.maximum(np.ceil(left * (1.0 - k_high) - 1e-6), 0.0).astype(np.int64)
            high = np.floor(r * (1.0 - k_low) + 1e-6).astype(np.int64)
            high = np.minimum(high, left - least_left)
            low, high = low[:, None], high[:, None]
        if fixed is not None:
            low, high = np.maximum(low, fixed[:, None]), np.minimum(high, fixed[:, None])
        width = max(int((high - low).max(initial=0)) + 1, 1)
        d = low[:, :, None] + np.arange(width)
        inside = (d <= high[:, :, None]).reshape(r.size, -1)
        d = np.where(inside, d.reshape(r.size, -1), 0)
        if losses is None or log_losses is None:
            total, log_total = np.repeat(total, width, axis=1), np.repeat(log_total, width, axis=1)
            c = np.maximum(total - d, 0)
            log_p = why.log_pmf(sizes, total, d) + log_total
        else:
            c = np.broadcast_to(losses[:, None], d.shape)
            leave = np.minimum(d + c, r[:, None])
            log_p = gone.log_pmf(sizes, np.broadcast_to(r[:, None], d.shape), leave)
            log_p = log_p + why.log_pmf(sizes, leave, d) - log_losses[:, None]
            c = leave - d
        at = np.broadcast_to(r[:, None], d.shape)
        each = Window(window.lower[:, None], window.upper[:, None])
        with np.errstate(divide="ignore"):
            hope = np.log(sizes.hit(at, d, c, each))
        left_log = sizes.log_size[np.maximum(at - d - c, 1)] - sizes.log_size[at]
        expected = self.x[:, None] + left_log * d / np.maximum(d + c, 1)
        hope = hope + self._ahead(j, expected, at - d - c)
        value = np.where(inside, log_p + hope, -np.inf)
        top = value.max(axis=1)
        alive = np.isfinite(top)
        weight = np.exp(value - np.where(alive, top, 0.0)[:, None])
        share = np.cumsum(weight, axis=1)
        chosen = (share < self.rng.random(r.size)[:, None] * share[:, -1:]).sum(axis=1)
        pick = np.minimum(chosen, d.shape[1] - 1)[:, None]
        log_weight = np.where(alive, top + np.log(np.maximum(share[:, -1], 1e-300)), -np.inf)
        found = (np.take_along_axis(array, pick, 1)[:, 0] for array in (d, c, hope))
        d_one, c_one, hope_one = found
        return d_one, c_one, log_weight, hope_one

    def _left(self, j: int) -> tuple[IntArray, float]:
        """Numbers at risk to go through where one is known, shape (1 or b, k), and ln of how many each stands for.

        That is 1 unless there are many: then only every second, third, ... is gone through. Which is drawn, so that
        sums over them are right on average.
        """
        least, most = int(self.least[j]), max(int(self.least[j]), int(self.most[j]))
        step = -(-(most - least + 1) // _AT_RISK)
        first = self.rng.integers(step, size=self.r.size) if step > 1 else np.zeros(1, np.int64)
        return least + first[:, None] + np.arange(0, most - least + 1, step), float(np.log(step))

    def _losses(
        self, why: BetaShape, rate: FloatArray, k_low: FloatArray, k_high: FloatArray
    ) -> tuple[IntArray, FloatArray]:
        """Propose numbers of losses when the number at risk is not known, with their probabilities."""
        middle = 0.5 * (k_low + k_high)
        alone = leaving(why.second, rate)
        precision = alone.first + alone.second
        share = alone.first / precision * 0.5 * (1.0 + middle)
        proposal = BetaShape(share * precision * _LOSSES_WIDER, (1.0 - share) * precision * _LOSSES_WIDER)
        c = proposal.draw(self.r, self.rng)
        return c, proposal.log_pmf(self.sizes, self.r, c)


class Increments(NamedTuple):
    """Gamma increments of the cumulative hazards of events and losses: their shapes, shape (b,), and their rate."""

    event: FloatArray
    loss: FloatArray
    rate: FloatArray


def increments(
    parameter: FloatArray, span: FloatArray, evidence: Evidence, prior: FragmentPrior
) -> Increments:
    """Increments between the two times of `span`, whose shapes add up to the concentration."""
    event, loss = (np.diff(part, axis=1)[:, 0] for part in cumulative_hazards(parameter, span, evidence))
    rate = prior.concentration / np.maximum(event + loss, 1e-300)
    return Increments(event * rate, loss * rate, rate)


def cumulative_hazards(
    parameter: FloatArray, time: FloatArray, evidence: Evidence
) -> tuple[FloatArray, FloatArray]:
    """Mean cumulative hazards of events and of losses, shape (b, q), at times of shape (q,)."""
    eta, power, omega, loss_power = np.exp(parameter).T[:, :, None]
    scale, first = evidence.scale, evidence.first_loss
    follow = np.maximum(time - first, 0.0) / max(scale - first, _SHORTEST * scale)
    return eta * (time / scale) ** power, omega * follow**loss_power
