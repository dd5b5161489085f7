r"""Posterior of the random-effects model by integration over tau: no sampler, no random numbers.

The model is :math:`y_i \sim N(\mu, v_i + \tau^2)`, with a flat or a normal prior of :math:`\mu` and any prior of
:math:`\tau` [1]_. Given tau all is normal, so the posterior of the mean, of a new study and of each study is a
mixture of normals over the points of tau that `netsynth.kernels.panels` finds.

`estimate` and `variance` have shape (..., k), as in `netsynth.kernels.heterogeneity`; a study that a ragged set
lacks has infinite variance.

References
----------
.. [1] Röver C (2020). Bayesian random-effects meta-analysis using the bayesmeta R package. J Stat Softw 93(6).
   https://doi.org/10.18637/jss.v093.i06
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from netsynth._typing import FloatArray, IntArray
from netsynth.kernels.mixture import Mixture
from netsynth.kernels.panels import PanelDensity, integrate, rescaled
from netsynth.kernels.priors import TauPrior

#: Numbers in one temporary array: it bounds memory and keeps the arrays in cache.
_CHUNK: Final = 1 << 18
#: Where nothing is known of a prior, the panels begin so far below the smallest standard error.
_BELOW: Final = 1e-6


class Posterior(NamedTuple):
    """The joint posterior of tau and the mean: the points of tau, and the normal of the mean given each.

    `mean` and `sd` have shape (..., m), as the points and weights of `tau`; what follows them has shape (...).
    """

    tau: PanelDensity
    mean: FloatArray
    sd: FloatArray
    log_evidence: FloatArray  #: logarithm of the integral of prior times likelihood
    log_homogeneous: FloatArray  #: the same for tau = 0, without the prior of tau


class _Sets(NamedTuple):
    """Sets of studies relative to their most precise study, in units of its standard error."""

    y: FloatArray  # (n, k)
    v: FloatArray
    prior_y: FloatArray  # (n,): the prior of the mean as one more study, without tau
    prior_w: FloatArray  # (n,): 0 if flat
    origin: FloatArray  # (n,): effect and standard error of the most precise study
    root: FloatArray


class _Given(NamedTuple):
    """What is known given tau: log likelihood with the mean integrated out, and the normal of the mean."""

    log_likelihood: FloatArray
    mean: FloatArray
    precision: FloatArray


def _standardised(
    estimate: FloatArray, variance: FloatArray, mean_prior: tuple[float, float] | None
) -> _Sets:
    estimate, variance = np.broadcast_arrays(estimate, variance)
    y, v = estimate.reshape(-1, variance.shape[-1]), variance.reshape(-1, variance.shape[-1])
    first = v.argmin(-1)[:, None]
    origin, v_least = np.take_along_axis(y, first, -1)[:, 0], np.take_along_axis(v, first, -1)[:, 0]
    root = np.sqrt(v_least)
    prior_y, prior_w = np.zeros_like(root), np.zeros_like(root)
    if mean_prior is not None:
        prior_y, prior_w = (mean_prior[0] - origin) / root, v_least / mean_prior[1] ** 2
    apart = np.where(np.isfinite(v), y - origin[:, None], 0.0) / root[:, None]
    return _Sets(apart, v / v_least[:, None], prior_y, prior_w, origin, root)


def _given(sets: _Sets, row: IntArray, tau: FloatArray) -> _Given:
    parts = []
    n_rows = max(1, _CHUNK // (tau.shape[1] * sets.y.shape[1]))
    for start in range(0, max(len(row), 1), n_rows):
        part = row[start : start + n_rows]
        t2 = tau[start : start + n_rows, :, None] ** 2
        prior_y, prior_w = sets.prior_y[part, None], sets.prior_w[part, None]
        y = sets.y[part, None]
        w = 1.0 / (sets.v[part, None] + t2)
        precision = w.sum(-1) + prior_w
        mean = ((w * y).sum(-1) + prior_w * prior_y) / precision
        residual = y - mean[..., None]
        q = (w * residual * residual).sum(-1) + prior_w * (prior_y - mean) ** 2
        log_w = np.log(np.where(w > 0, w, 1.0)).sum(-1) + np.log(np.where(prior_w > 0, prior_w, 1.0))
        parts.append((0.5 * (log_w - q - np.log(precision)), mean, precision))
    return _Given(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def tau_posterior(
    estimate: FloatArray,
    variance: FloatArray,
    prior: TauPrior,
    mean_prior: tuple[float, float] | None = None,
) -> Posterior:
    r"""Posterior of tau and the mean of each set of studies.

    With :math:`w_i = 1 / (v_i + \tau^2)` and :math:`W = \sum w_i`, the mean given tau is normal about
    :math:`\hat\mu = \sum w_i y_i / W` with variance :math:`1 / W`, and

    .. math:: p(\tau \mid y) \propto \pi(\tau)\, W^{-1/2} \prod w_i^{1/2}
        e^{-\frac12 \sum w_i (y_i - \hat\mu)^2}.

    A normal prior of the mean counts as one more study, whose variance tau does not add to.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
    prior : TauPrior
        Prior of tau.
    mean_prior : (float, float), optional
        Mean and standard deviation of the prior of mu; flat by default.

    Returns
    -------
    Posterior
        Where `tau.is_proper` or `tau.converged` is false its numbers mean nothing.
    """
    sets = _standardised(estimate, variance, mean_prior)
    root, rows = sets.root, np.arange(len(sets.root))

    def height(row: IntArray, tau: FloatArray) -> FloatArray:
        size = root[row, None]
        return _given(sets, row, tau).log_likelihood + prior.log_density(size * tau) + np.log(size)

    bend = prior.scale / root if np.isfinite(prior.scale) else np.full(root.shape, _BELOW)
    present = np.isfinite(sets.v)
    v_most = np.where(present, sets.v, 0.0).max(-1)
    widest = np.maximum(np.maximum(np.sqrt(v_most), np.abs(sets.y).max(-1)), np.maximum(bend, 1.0))
    tau = integrate(height, np.minimum(1.0, bend), widest, prior.upper / root)
    given = _given(sets, rows, tau.point)

    # what standardising took from the likelihood, and its constants
    n = present.sum(-1) - (mean_prior is None)
    constant = -0.5 * n * np.log(2.0 * np.pi * root**2)
    homogeneous = _given(sets, rows, np.zeros((len(rows), 1))).log_likelihood[:, 0]

    shape = np.broadcast_shapes(estimate.shape, variance.shape)[:-1]
    return Posterior(
        tau=rescaled(tau, root, shape),
        mean=(sets.origin[:, None] + root[:, None] * given.mean).reshape((*shape, -1)),
        sd=(root[:, None] / np.sqrt(given.precision)).reshape((*shape, -1)),
        log_evidence=(constant + tau.log_integral - prior.log_mass).reshape(shape),
        log_homogeneous=(constant + homogeneous).reshape(shape),
    )


def prior_log_mass(prior: TauPrior, size: float) -> float:
    """Logarithm of the integral of a prior of tau; infinite if it has none, nan if it is not found.

    `size` is a value of tau about which the prior is expected to say something.
    """

    def height(row: IntArray, tau: FloatArray) -> FloatArray:  # noqa: ARG001 - there is one
        return np.asarray(prior.log_density(size * tau) + np.log(size))

    if rises_too_steeply(prior, size):
        return np.inf
    one = np.ones(1)
    density = integrate(height, _BELOW * one, one, np.inf * one)
    if not density.is_proper[0]:
        return np.inf
    return float(density.log_integral[0]) if density.converged[0] else np.nan


def rises_too_steeply(prior: TauPrior, size: float) -> bool:
    """Whether the density of a prior rises towards 0 as 1 / tau or faster, so that no data make it proper."""
    tau = size * np.array([1e-12, 1e-11])
    low, high = prior.log_density(tau)
    return bool(low - high >= 0.999 * np.log(10.0))


# --- what it says of the mean, of a new study and of each study


def mean_mixture(posterior: Posterior) -> Mixture:
    """Posterior of the mean of each set."""
    return Mixture(posterior.tau.weight, posterior.mean, posterior.sd)


def prediction_mixture(posterior: Posterior) -> Mixture:
    """Posterior of the true effect of a new study of each set."""
    return Mixture(posterior.tau.weight, posterior.mean, np.hypot(posterior.sd, posterior.tau.point))


def study_mixture(posterior: Posterior, estimate: FloatArray, variance: FloatArray) -> Mixture:
    r"""Posterior of the true effect of each study, drawn from its own estimate towards the mean.

    With :math:`b = v_i / (v_i + \tau^2)` it is, given tau, normal about :math:`(1 - b) y_i + b \hat\mu` with
    variance :math:`b \tau^2 + b^2 / W`.

    Parameters
    ----------
    posterior : Posterior
    estimate, variance : ndarray, shape (..., k)

    Returns
    -------
    Mixture
        Arrays of shape (..., k, m). Of an absent study it is that of a new one.
    """
    tau = posterior.tau.point[..., None, :]
    drawn = 1.0 / (1.0 + tau**2 / variance[..., None])
    own = np.where(np.isfinite(variance), estimate, 0.0)[..., None]
    mean = (1.0 - drawn) * own + drawn * posterior.mean[..., None, :]
    sd = np.sqrt(drawn * tau**2 + (drawn * posterior.sd[..., None, :]) ** 2)
    return Mixture(np.broadcast_to(posterior.tau.weight[..., None, :], mean.shape), mean, sd)


def study_weight(posterior: Posterior, variance: FloatArray) -> FloatArray:
    r"""Posterior mean of each study's weight in the mean, :math:`w_i / W`, shape (..., k).

    They add up to 1 less the weight of the prior of the mean, and the estimates so weighted to the posterior
    mean.
    """
    w = 1.0 / (variance[..., None] + posterior.tau.point[..., None, :] ** 2)
    return np.asarray((posterior.tau.weight[..., None, :] * w * posterior.sd[..., None, :] ** 2).sum(-1))


def joint_mode(
    posterior: Posterior,
    estimate: FloatArray,
    variance: FloatArray,
    prior: TauPrior,
    mean_prior: tuple[float, float] | None = None,
) -> tuple[FloatArray, FloatArray]:
    """The tau and the mean at which their joint density is highest, shape (...).

    Given tau the mean is at its conditional one, where the density is that of tau times a power of the
    conditional variance. Its highest point on the grid of the posterior, 0 included, is closed in on by golden
    sections.

    Parameters
    ----------
    posterior : Posterior
        Of these sets.
    estimate, variance : ndarray, shape (..., k)
    prior, mean_prior
        As in `tau_posterior`.

    Returns
    -------
    (ndarray, ndarray)
        tau and mean.
    """
    sets = _standardised(estimate, variance, mean_prior)
    root, rows = sets.root[:, None], np.arange(len(sets.root))

    def height(tau: FloatArray) -> FloatArray:
        given = _given(sets, rows, tau / root)
        return given.log_likelihood + 0.5 * np.log(given.precision) + prior.log_density(tau)

    density, shape = posterior.tau, posterior.tau.unit.shape
    points = np.where(density.weight > 0, density.point, 0.0).reshape(len(root), -1)
    end = (density.unit * np.sinh(density.upper.max(-1))).reshape(-1, 1)
    tau = np.concatenate([np.zeros_like(end), np.sort(points, -1), end], -1)
    best = height(tau).argmax(-1)[:, None]
    lower = np.take_along_axis(tau, np.maximum(best - 1, 0), -1)
    upper = np.take_along_axis(tau, np.minimum(best + 1, tau.shape[1] - 1), -1)
    golden = 0.5 * (np.sqrt(5.0) - 1.0)
    for _ in range(80):
        low, high = upper - golden * (upper - lower), lower + golden * (upper - lower)
        is_lower = height(low) >= height(high)
        lower, upper = np.where(is_lower, lower, low), np.where(is_lower, high, upper)
    found = 0.5 * (lower + upper)
    for edge in (np.zeros_like(end), end):  # golden sections come close to an edge but never reach it
        highest = height(found)
        slack = 1e-14 * (1.0 + np.abs(np.where(np.isfinite(highest), highest, 0.0)))
        found = np.where(height(edge) >= highest - slack, edge, found)
    mean = sets.origin[:, None] + root * _given(sets, rows, found / root).mean
    return found.reshape(shape), mean.reshape(shape)
