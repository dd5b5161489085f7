r"""Counts with a normal effect of the study: binomial on the logit, Poisson on the log scale.

The model is :math:`x_i \sim \mathrm{Bin}(n_i, \mathrm{expit}(\theta_i))` or
:math:`x_i \sim \mathrm{Poisson}(T_i e^{\theta_i})` with :math:`\theta_i \sim N(\mu, \tau^2)`, fitted by maximum
likelihood [1]_. `n_events` and `size`, the patients or the time at risk, have shape (..., k): studies on the last axis,
data sets on the others. A set that lacks a study gives it size 0 and no event.

With :math:`\theta = \mu + \tau z` the likelihood of a study is :math:`\int f(x | \mu + \tau z) \varphi(z) dz`. The
integrand is log-concave, and analytic within a strip about the real line, so the trapezoidal rule converges
exponentially [2]_: the nodes are evenly spaced over all that matters of each integrand. Gauss-Hermite nodes expect a
bell. The integrand of a study with no event is a bell cut off on one side, and a few such nodes misjudge it.

References
----------
.. [1] Stijnen T, Hamza TH, Özdemir P (2010). Random effects meta-analysis of event outcome in the framework of the
   generalized linear mixed model with applications in sparse data. Stat Med 29:3046-3067.
   https://doi.org/10.1002/sim.4040
.. [2] Trefethen LN, Weideman JAC (2014). The exponentially convergent trapezoidal rule. SIAM Rev 56:385-458.
   https://doi.org/10.1137/130932132
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from scipy.special import chdtri, expit, kl_div

from netsynth._typing import BoolArray, FloatArray, IntArray
from netsynth.kernels.ascent import Surface, climb, first_crossing
from netsynth.kernels.count_families import FAMILIES, CountFamily, Family
from netsynth.kernels.intervals import Limits, critical_value

#: Fall of the logarithm of an integrand beyond which it is left out: e^-40 is below rounding.
_FALL: Final = 40.0
_REACH: Final = float(np.sqrt(2.0 * _FALL))  # standard deviations in which a bell falls so far
_LOG_ROOT_2PI: Final = 0.5 * float(np.log(2.0 * np.pi))
_NEAR: Final = 0.5  # standard deviations from its mode where an integrand is as good as at it
#: Spacing of the nodes, in theta and in standard deviations of the integrand at its mode. The integrands are analytic
#: and tame for |Im theta| < pi / 2, so the error is about exp(-pi^2 / 0.35), 1e-12; for a bell exp(-2 pi^2 / 0.5^2).
_SPACING: Final = 0.35
_SPACING_SD: Final = 0.5
_COARSE: Final = 4.0  # times that spacing where a start is looked for
#: Where a start is looked for.
_TAU_GRID: Final = np.geomspace(0.03125, 8.0, 11)
_MIDDLE_AND_SIDES: Final = np.array([0.0, -1.0, 1.0])[:, None, None]
#: A standard deviation of log odds that is as good as infinite: the limit of tau is called so beyond it.
_MOST_TAU: Final = 50.0
_CHUNK: Final = 1 << 19  # numbers in one temporary array
#: A log-likelihood that no more than this exceeds that of tau2 = 0 is rounding.
_NO_GAIN: Final = 1e-9
#: Times the least variance of a study: a tau2 that raises no log-likelihood by as much as its rounding, which for
#: counts in the millions exceeds the former.
_NO_TAU2: Final = 1e-6


class GlmmFit(NamedTuple):
    """Maximum-likelihood estimates, arrays of shape (...).

    `se` and `tau_se` are those of the mean and of tau, from the observed information about both together; the latter is
    nan where tau is 0. `log_likelihood` contains all constants, `common_log_likelihood` is that at tau2 = 0, under its
    own mean.
    """

    mean: FloatArray
    se: FloatArray
    tau2: FloatArray
    log_likelihood: FloatArray
    common_log_likelihood: FloatArray
    tau_se: FloatArray
    converged: BoolArray
    n_iterations: int


class CommonFit(NamedTuple):
    """One parameter for all studies, arrays of shape (...): estimate, standard error, and tests that one is enough.

    `lr` is twice the log-likelihood that a parameter for each study gains. `wald` is Cochran's Q of the studies' own
    estimates; a study without a finite one takes no part in it. Both are referred to chi-squared on k - 1 degrees
    of freedom.
    """

    mean: FloatArray
    se: FloatArray
    log_likelihood: FloatArray
    lr: FloatArray
    wald: FloatArray


class StudyEffects(NamedTuple):
    """Mean and standard deviation of each study's theta given its data and the fitted mean and tau2, shape (..., k)."""

    mean: FloatArray
    sd: FloatArray


class _Integral(NamedTuple):
    """Of each study: logarithm of the integral, and the first four moments of z over the integrand."""

    log: FloatArray
    z1: FloatArray
    z2: FloatArray
    z3: FloatArray
    z4: FloatArray


class _Counts(NamedTuple):
    """Data sets as rows (m, k), with what does not change while parameters are looked for."""

    x: FloatArray
    n: FloatArray
    centre: FloatArray
    information: FloatArray  # about theta, at the centre
    log_mass: FloatArray  # at the centre

    def rows(self, which: IntArray | slice) -> _Counts:
        return _Counts(*(part[which] for part in self))


def _counts(family: Family, x: FloatArray, n: FloatArray) -> _Counts:
    centre = family.centre(x, n)
    return _Counts(x, n, centre, family.moments(centre, n)[1], family.log_mass(centre, x, n))


def _mode(family: Family, of: _Counts, mu: FloatArray, tau: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mode of each integrand in z and its standard deviation there, nearly: they only say where to put the nodes."""
    variance = tau * tau

    def newton(z: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, bool]:
        mean, slope = family.moments(mu + tau * z, of.n)
        sd = 1.0 / np.sqrt(1.0 + variance * slope)
        score = tau * (of.x - mean) - z
        step = score * sd
        return score, sd, step * sd, float(np.abs(step).max()) < _NEAR

    z = tau * (of.centre - mu) / (variance + 1.0 / np.maximum(of.information, 1e-300))
    for _ in range(3):
        _, sd, step, near = newton(z)
        if near:
            return z, sd
        z = z + step
    # where that does not do: between 0 and the first step from it, which enclose the mode, halving what does so
    # where Newton's step leads out of it or is no shorter than half the step before
    first = tau * (of.x - family.moments(mu, of.n)[0])
    low, high = np.minimum(first, 0.0), np.maximum(first, 0.0)
    z, moved = np.minimum(np.maximum(z, low), high), high - low
    for _ in range(200):
        score, sd, step, near = newton(z)
        if near:
            break
        low, high = np.where(score > 0, z, low), np.where(score > 0, high, z)
        new = z + step
        good = (new >= low) & (new <= high) & (np.abs(step) <= 0.5 * moved)
        new = np.where(good, new, 0.5 * (low + high))
        z, moved = new, np.abs(new - z)
    return z, sd


def _integrate(
    family: Family, of: _Counts, mu: FloatArray, tau: FloatArray, coarse: float = 1.0
) -> _Integral:
    """The integral of each study of data sets (m, k); `mu` and `tau` have shape (m,)."""
    mu, tau = mu[:, None], tau[:, None]
    mode, sd = _mode(family, of, mu, tau)
    off = mu - of.centre

    def log_integrand(z: FloatArray) -> FloatArray:
        """At z of shape (..., m, k)."""
        return family.relative(off + tau * z, of.x, of.n, of.centre) - 0.5 * z * z

    # The logarithm of the integrand is concave, so that it lies below its tangents: where one is negligible, wherever
    # it touches, all beyond is so. Near the end of a bell that is the end itself. And it bends down at least as fast as
    # that of a normal density.
    touch = mode + _MIDDLE_AND_SIDES * (_REACH * sd)
    height = log_integrand(touch)
    top, end = height[0], touch[1:]
    slope = tau * (of.x - family.moments(mu + tau * end, of.n)[0]) - end
    end = end - (height[1:] - top + _FALL) / slope
    reach = np.minimum(np.abs(end - mode), _REACH)
    spacing = coarse * np.minimum(_SPACING_SD * sd, _SPACING / tau)
    width = reach[0] + reach[1]
    n_nodes = int(np.ceil((width / spacing).max())) + 1
    if len(mode) > 1 and mode.size * n_nodes > 8 * _CHUNK:
        # a few sets need many nodes: not all at once, and not for all
        half = len(mode) // 2
        parts = (
            _integrate(family, of.rows(part), mu[part, 0], tau[part, 0], coarse)
            for part in (slice(half), slice(half, None))
        )
        return _Integral(*map(np.concatenate, zip(*parts, strict=True)))
    step = width / (n_nodes - 1)
    z = (mode - reach[0]) + step * np.arange(n_nodes)[:, None, None]
    w = np.exp(log_integrand(z) - top)
    total = w.sum(0)
    w /= total
    moments = []
    for _ in range(4):
        w *= z
        moments.append(w.sum(0))
    log = np.log(step * total) + (top - _LOG_ROOT_2PI) + of.log_mass
    return _Integral(log, *moments)


def _surface(family: Family, of: _Counts, at: FloatArray, coarse: float = 1.0) -> Surface:
    r"""Log-likelihood at rows of (mu, tau), tau of either sign, with derivatives.

    The derivative of the logarithm of an integral is the mean, over the integrand, of the derivative of its logarithm.
    Only the density of :math:`N(\mu, \tau^2)` contains the parameters, so moments of z are all that is needed.
    """
    rows = max(1, _CHUNK // (of.x.shape[1] * 64))
    if len(at) <= rows:
        return _part(family, of, at, coarse)
    parts = [
        _part(family, of.rows(slice(i, i + rows)), at[i : i + rows], coarse) for i in range(0, len(at), rows)
    ]
    return Surface(*map(np.concatenate, zip(*parts, strict=True)))


def _part(family: Family, of: _Counts, at: FloatArray, coarse: float) -> Surface:
    mu, tau = at[:, 0], np.maximum(np.abs(at[:, 1]), 1e-10)
    z = _integrate(family, of, mu, tau, coarse)
    sign = np.where(at[:, 1] < 0, -1.0, 1.0)
    terms = np.array(
        [
            z.log,
            z.z1,
            z.z2 - 1.0,
            z.z2 - z.z1 * z.z1 - 1.0,
            z.z3 - z.z1 * (z.z2 + 2.0),
            z.z4 - z.z2 * (z.z2 + 3.0) + 1.0,
        ]
    )
    height, slope, slope_tau, second, cross, spread = terms.sum(-1)
    gradient, hessian = np.empty((len(at), 2)), np.empty((len(at), 2, 2))
    gradient[:, 0], gradient[:, 1] = slope / tau, sign * slope_tau / tau
    variance = tau * tau
    hessian[:, 0, 0], hessian[:, 1, 1] = second / variance, spread / variance
    hessian[:, 0, 1] = hessian[:, 1, 0] = sign * cross / variance
    return Surface(height, gradient, hessian)


def _flat(n_events: FloatArray, size: FloatArray) -> tuple[FloatArray, FloatArray, tuple[int, ...]]:
    x, n = np.broadcast_arrays(np.asarray(n_events, dtype=np.float64), np.asarray(size, dtype=np.float64))
    return x.reshape(-1, x.shape[-1]), n.reshape(-1, x.shape[-1]), x.shape[:-1]


def has_maximum(n_events: FloatArray, size: FloatArray, family: CountFamily) -> BoolArray:
    """Whether the likelihood has a finite maximum, shape (...).

    It has none without an event, and for proportions none when in every study none or all of the patients had it: then
    it rises without end as the mean, or tau2, grows beyond all bounds.
    """
    x, n = np.asarray(n_events), np.asarray(size)
    present = n > 0
    if family == "poisson":
        return np.asarray((x > 0).any(-1))
    return np.asarray((present & (x > 0) & (x < n)).any(-1))


def common_fit(n_events: FloatArray, size: FloatArray, family: CountFamily) -> CommonFit:
    """One proportion or rate for all studies, and whether that is enough.

    Parameters
    ----------
    n_events, size : ndarray, shape (..., k)
        Events, and patients or time at risk.
    family : {"binomial", "poisson"}

    Returns
    -------
    CommonFit
        Arrays of shape (...), on the logit or log scale.
    """
    x, n, shape = _flat(n_events, size)
    chosen = FAMILIES[family]
    mean, se, height = _common(chosen, x, n)
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = (x > 0) & (x < n) if family == "binomial" else x > 0
        y = np.where(inside, chosen.common(x[..., None], n[..., None]), 0.0)
        w = np.where(inside, chosen.moments(y, n)[1], 0.0)
        lr = 2.0 * _relative_to_own(x, n, mean[:, None], family).sum(-1)
        centre = (w * y).sum(-1) / w.sum(-1)
        wald = (w * (y - centre[:, None]) ** 2).sum(-1)
    fits = (mean, se, height, lr, np.where(inside.any(-1), wald, np.nan))
    return CommonFit(*(part.reshape(shape) for part in fits))


def _common(family: Family, x: FloatArray, n: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The estimate, standard error and log-likelihood of `common_fit`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = family.common(x, n)
        se = 1.0 / np.sqrt(family.moments(mean[:, None], n)[1].sum(-1))
        return mean, se, family.log_mass(mean[:, None], x, n).sum(-1)


def _relative_to_own(x: FloatArray, n: FloatArray, theta: FloatArray, family: CountFamily) -> FloatArray:
    """What the log-likelihood of each study loses at theta, compared with its own estimate."""
    if family == "poisson":
        return np.asarray(kl_div(x, n * np.exp(theta)))
    return np.asarray(kl_div(x, n * expit(theta)) + kl_div(n - x, n * expit(-theta)))


def fit(n_events: FloatArray, size: FloatArray, family: CountFamily) -> GlmmFit:
    """Mean and tau2 by maximum likelihood, the boundary tau2 = 0 included.

    The search starts from the best of a grid of tau and is compared with tau2 = 0, so that a second maximum does not
    pass for the first.

    Parameters
    ----------
    n_events, size : ndarray, shape (..., k)
        Events, and patients or time at risk.
    family : {"binomial", "poisson"}

    Returns
    -------
    GlmmFit
        Arrays of shape (...), on the logit or log scale; nan, and not converged, where `has_maximum` is false.
    """
    x, n, shape = _flat(n_events, size)
    chosen = FAMILIES[family]
    common_mean, common_se, common_height = _common(chosen, x, n)
    rows = np.flatnonzero(has_maximum(x, n, family))
    found = {name: np.full(len(x), np.nan) for name in ("mean", "se", "tau2", "height", "tau_se")}
    converged, n_iterations = np.zeros(len(x), dtype=np.bool_), 0
    if rows.size:
        of = _counts(chosen, x[rows], n[rows])
        top = climb(
            lambda at, which: _surface(chosen, of.rows(which), at),
            _start(chosen, of),
            np.arange(rows.size),
        )
        inside = (top.height > common_height[rows] + _NO_GAIN) & (
            top.parameters[:, 1] ** 2 * of.information.max(-1) > _NO_TAU2
        )
        information = -top.hessian
        determinant = information[:, 0, 0] * information[:, 1, 1] - information[:, 0, 1] ** 2
        with np.errstate(invalid="ignore"):
            se = np.sqrt(information[:, 1, 1] / determinant)
            tau_se = np.sqrt(information[:, 0, 0] / determinant)
        found["mean"][rows] = np.where(inside, top.parameters[:, 0], common_mean[rows])
        found["se"][rows] = np.where(inside, se, common_se[rows])
        found["tau2"][rows] = np.where(inside, top.parameters[:, 1] ** 2, 0.0)
        found["height"][rows] = np.where(inside, top.height, common_height[rows])
        found["tau_se"][rows] = np.where(inside, tau_se, np.nan)
        converged[rows] = top.converged | ~inside
        n_iterations = top.n_iterations
    mean, se, tau2, height, tau_se = (part.reshape(shape) for part in found.values())
    arrived = converged.reshape(shape)
    return GlmmFit(mean, se, tau2, height, common_height.reshape(shape), tau_se, arrived, n_iterations)


def _start(family: Family, of: _Counts) -> FloatArray:
    """Near the best (mu, tau) of a grid of tau, mu by one Newton step from a weighted mean, shape (m, 2)."""
    m, g = len(of.x), _TAU_GRID.size
    tau, of = np.tile(_TAU_GRID, m), of.rows(np.repeat(np.arange(m), g))
    w = of.information / (1.0 + tau[:, None] ** 2 * of.information)
    mu = (w * of.centre).sum(-1) / w.sum(-1)
    at = _surface(family, of, np.stack([mu, tau], axis=-1), _COARSE)
    slope, bend = at.gradient[:, 0], np.maximum(-at.hessian[:, 0, 0], 1e-300)
    step = np.clip(slope / bend, -2.0, 2.0)
    mu = mu + step
    # what the step gains, as far as the hill is quadratic; then the top of the parabola through the best of the grid
    # and its neighbours, by which the climb has half as far to go
    height = (at.height + step * (slope - 0.5 * bend * step)).reshape(m, g)
    sets, best = np.arange(m), height.argmax(-1)
    best = np.clip(best, 1, g - 2)
    low, top, high = (height[sets, best + side] for side in (-1, 0, 1))
    shift = 0.5 * (low - high) / np.minimum(low - 2.0 * top + high, -1e-12)
    shift = np.minimum(np.maximum(shift, -1.0), 1.0)
    beside, mean = best + np.sign(shift).astype(np.int64), mu.reshape(m, g)
    mean_there = mean[sets, best] + np.abs(shift) * (mean[sets, beside] - mean[sets, best])
    return np.stack([mean_there, _TAU_GRID[best] * (_TAU_GRID[1] / _TAU_GRID[0]) ** shift], axis=-1)


def log_likelihood(
    n_events: FloatArray, size: FloatArray, family: CountFamily, mean: FloatArray, tau2: FloatArray
) -> FloatArray:
    """Log-likelihood with all constants at a given mean and tau2, shape (...).

    Parameters
    ----------
    n_events, size : ndarray, shape (..., k)
    family : {"binomial", "poisson"}
    mean, tau2 : ndarray, shape (...)
    """
    x, n, shape = _flat(n_events, size)
    at = np.stack(
        [np.broadcast_to(mean, shape).ravel(), np.sqrt(np.broadcast_to(tau2, shape)).ravel()], axis=-1
    )
    chosen = FAMILIES[family]
    common = chosen.log_mass(at[:, :1], x, n).sum(-1)
    return np.where(at[:, 1] > 0, _surface(chosen, _counts(chosen, x, n), at).height, common).reshape(shape)


def study_effects(
    n_events: FloatArray, size: FloatArray, family: CountFamily, mean: FloatArray, tau2: FloatArray
) -> StudyEffects:
    """Empirical Bayes: what each study's own logit or log rate is, given its data and the fitted distribution.

    Parameters
    ----------
    n_events, size : ndarray, shape (..., k)
    family : {"binomial", "poisson"}
    mean, tau2 : ndarray, shape (...)

    Returns
    -------
    StudyEffects
        Arrays of shape (..., k).
    """
    x, n, shape = _flat(n_events, size)
    mu = np.broadcast_to(mean, shape).reshape(-1)
    tau = np.sqrt(np.broadcast_to(tau2, shape)).reshape(-1)
    chosen = FAMILIES[family]
    z = _integrate(chosen, _counts(chosen, x, n), mu, np.maximum(tau, 1e-10))
    full = np.broadcast_shapes(np.shape(n_events), np.shape(size))
    centre = mu[:, None] + tau[:, None] * z.z1
    return StudyEffects(centre.reshape(full), (tau[:, None] * np.sqrt(z.z2 - z.z1**2)).reshape(full))


def profile_mean(
    n_events: FloatArray, size: FloatArray, family: CountFamily, fitted: GlmmFit, level: float
) -> Limits:
    """Interval of the mean: where the log-likelihood, at the best tau2 for each mean, has not fallen too far.

    Parameters
    ----------
    n_events, size : ndarray, shape (..., k)
    family : {"binomial", "poisson"}
    fitted : GlmmFit
        From `fit`, of the same counts.
    level : float

    Returns
    -------
    Limits
        Arrays of shape (...), nan where the fit is.
    """
    return _profile(n_events, size, family, fitted, level, fixed=0)


def profile_tau2(
    n_events: FloatArray, size: FloatArray, family: CountFamily, fitted: GlmmFit, level: float
) -> Limits:
    """Interval of tau2: where the log-likelihood, at the best mean for each tau2, has not fallen too far.

    The lower limit is 0 where tau2 = 0 has not fallen that far. The upper is infinite where even a tau of 50 has not.

    Parameters
    ----------
    n_events, size : ndarray, shape (..., k)
    family : {"binomial", "poisson"}
    fitted : GlmmFit
        From `fit`, of the same counts.
    level : float

    Returns
    -------
    Limits
        Arrays of shape (...), nan where the fit is.
    """
    lower, upper = _profile(n_events, size, family, fitted, level, fixed=1)
    return Limits(lower**2, upper**2)


def _profile(
    n_events: FloatArray, size: FloatArray, family: CountFamily, fitted: GlmmFit, level: float, *, fixed: int
) -> Limits:
    """Limits of the mean (0) or of tau (1), both ends and all data sets at once."""
    x, n, shape = _flat(n_events, size)
    ends = np.full((2, len(x)), np.nan)
    rows = np.flatnonzero(np.isfinite(fitted.log_likelihood.reshape(-1)))
    if rows.size:
        x, n, chosen = x[rows], n[rows], FAMILIES[family]
        of = _counts(chosen, x, n)
        mean, se, tau2, height, common = (part.reshape(-1)[rows] for part in fitted[:5])
        tau = np.sqrt(tau2)

        found_at = np.tile(np.stack([mean, tau], axis=-1), (2, 1))

        def drop(position: FloatArray, sides: IntArray) -> FloatArray:
            which = sides % rows.size
            start = found_at[sides]  # near where the last position was best
            start[:, fixed] = np.maximum(position, (-np.inf, 1e-8)[fixed])
            if fixed == 0:  # a further mean needs a larger tau; and Newton's method does not leave 0
                start[:, 1] = np.maximum(np.abs(start[:, 1]), 0.1 + 0.3 * np.abs(position - mean[which]))
            top = climb(
                lambda at, w: _surface(chosen, of.rows(w), at),
                start,
                which,
                fixed=fixed,
                done=np.asarray(position <= 0) if fixed == 1 else None,
                longest=1.0 + start[:, 1],
            )
            found_at[sides] = top.parameters
            if fixed == 1:
                return np.asarray(height[which] - np.where(position > 0, top.height, common[which]))
            at_zero = chosen.log_mass(position[:, None], x[which], n[which]).sum(-1)
            return np.asarray(height[which] - np.maximum(top.height, at_zero))

        sides = np.repeat([-1.0, 1.0], rows.size)
        centre, width = (mean, critical_value(np.inf, level) * se) if fixed == 0 else (tau, 0.5 * tau + se)
        centre, width = np.tile(centre, 2), sides * np.tile(width, 2)
        fall = 0.5 * float(chdtri(1, 1.0 - level))
        if fixed == 0:
            found = first_crossing(drop, centre, width, fall)
        else:
            ceiling = np.maximum(_MOST_TAU, 4.0 * centre)
            found = first_crossing(drop, centre, width, fall, floor=0.0, ceiling=ceiling)
        ends[:, rows] = found.reshape(2, -1)
    return Limits(ends[0].reshape(shape), ends[1].reshape(shape))
