r"""Random effects when some studies print no estimate but a bound: it lies above or below, or between two values.

Study i has :math:`y_i \sim N(\mu, v_i + \tau^2)`, of which either the value is known or only that
:math:`a_i < y_i < b_i`. With :math:`s_i^2 = v_i + \tau^2` the likelihood is

.. math:: \prod_{\text{known}} \frac{1}{s_i} \varphi\left(\frac{y_i - \mu}{s_i}\right)
   \prod_{\text{bounded}} \left[\Phi\left(\frac{b_i - \mu}{s_i}\right) - \Phi\left(\frac{a_i - \mu}{s_i}\right)\right] .

It is log-concave in :math:`\mu`. :math:`\tau` maximises its integral over :math:`\mu`, which is the restricted
likelihood when all values are known, and :math:`\mu` maximises it at that :math:`\tau`. So without bounded studies
everything here is REML with its intervals.

Studies are on the last axis of `lower`, `upper` (equal where the value is known) and `variance`; leading axes hold
sets. At least two values of each set must be known, or the integral has no maximum.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from netsynth._typing import BoolArray, FloatArray, IntArray
from netsynth.kernels.ascent import first_crossing
from netsynth.kernels.laws import log_mass
from netsynth.kernels.quantile_fits import FINE, lowest

_LOG_ROOT_TWO_PI: Final = 0.5 * float(np.log(2.0 * np.pi))
#: Places of tau that are looked at first, in units of the spread of all ends.
_TAU: Final = np.concatenate([[0.0], np.geomspace(1e-3, 30.0, 40)])
#: Nodes of the integral over the mean: the trapezoidal rule on a bell, out to where nothing is left.
_REACH: Final = 9.0
_NODES: Final = np.linspace(-_REACH, _REACH, 73)
_NEWTON: Final = 60
_ARRIVED: Final = 1e-12


class Pieces(NamedTuple):
    """Log-likelihood of each study, its slope in the mean, and minus its curvature; shape (..., k)."""

    height: FloatArray
    slope: FloatArray
    information: FloatArray


class CensoredFit(NamedTuple):
    """Mean, its standard error at the estimated tau2, tau2, and what each study tells of the mean.

    `share`, shape (..., k), is the information of a study about the mean beside that of a known value with the same
    variance: 1 where the value is known, 0 where a bound says nothing. `scale` is the generalised Knapp-Hartung
    factor, squared slopes over informations over the sum of the shares less one; nan where that is not positive.
    """

    mean: FloatArray
    se: FloatArray
    tau2: FloatArray
    share: FloatArray
    scale: FloatArray

    @property
    def n_effective(self) -> FloatArray:
        """Number of known values that would tell as much: the sum of the shares."""
        return np.asarray(self.share.sum(-1))


def pieces(
    lower: FloatArray, upper: FloatArray, variance: FloatArray, mean: FloatArray, tau: FloatArray
) -> Pieces:
    """The likelihood of each study; `mean` and `tau` broadcast against the studies' shape (..., k)."""
    scale = np.sqrt(variance + tau * tau)
    low, high = (lower - mean) / scale, (upper - mean) / scale
    known = lower == upper
    a, b = np.where(known, -1.0, low), np.where(known, 1.0, high)  # what a known value would give is not used
    mass = log_mass(a, b)
    with np.errstate(over="ignore"):
        at_a, at_b = (
            np.where(np.isfinite(end), np.exp(-0.5 * end * end - _LOG_ROOT_TWO_PI - mass), 0.0)
            for end in (a, b)
        )
    a, b = (np.where(np.isfinite(end), end, 0.0) for end in (a, b))
    slope = np.where(known, low, at_a - at_b)
    bent = np.maximum(slope * slope - (a * at_a - b * at_b), 0.0)
    height = np.where(known, -0.5 * low * low - np.log(scale) - _LOG_ROOT_TWO_PI, mass)
    return Pieces(height, slope / scale, np.where(known, 1.0, bent) / (scale * scale))


def best_mean(lower: FloatArray, upper: FloatArray, variance: FloatArray, tau: FloatArray) -> FloatArray:
    """Mean of highest likelihood at each tau, by Newton's method, which a log-concave likelihood forgives much.

    Parameters
    ----------
    lower, upper, variance : ndarray, shape (..., k)
    tau : ndarray, shape (..., g)

    Returns
    -------
    ndarray, shape (..., g)
    """
    a, b, v = (part[..., None, :] for part in (lower, upper, variance))
    known = a == b
    weight = np.where(known, 1.0 / (v + tau[..., None] ** 2), 0.0)
    mean = (weight * np.where(known, a, 0.0)).sum(-1) / weight.sum(-1)
    for _ in range(_NEWTON):
        at = pieces(a, b, v, mean[..., None], tau[..., None])
        slope, information = at.slope.sum(-1), at.information.sum(-1)
        # no step beyond the known values' own standard error, within which the curvature hardly changes
        step = np.clip(slope / information, -(weight.sum(-1) ** -0.5), weight.sum(-1) ** -0.5)
        mean = mean + step
        if np.all(np.abs(slope) <= _ARRIVED * np.sqrt(information)):
            break
    return np.asarray(mean)


def restricted_height(
    lower: FloatArray, upper: FloatArray, variance: FloatArray, tau: FloatArray
) -> FloatArray:
    """Logarithm of the likelihood integrated over the mean, at each tau; shapes as in `best_mean`."""
    tau = np.broadcast_to(tau, (*lower.shape[:-1], tau.shape[-1]))
    a, b, v = (part[..., None, :] for part in (lower, upper, variance))
    mean = best_mean(lower, upper, variance, tau)
    top = pieces(a, b, v, mean[..., None], tau[..., None]).height.sum(-1)
    # known values alone make the likelihood fall at least as fast as this bell
    width = np.where(a == b, 1.0 / (v + tau[..., None] ** 2), 0.0).sum(-1) ** -0.5
    at = mean[..., None] + width[..., None] * _NODES
    height = pieces(
        a[..., None, :], b[..., None, :], v[..., None, :], at[..., None], tau[..., None, None]
    ).height.sum(-1)
    area = np.exp(height - top[..., None]).sum(-1) * width * (_NODES[1] - _NODES[0])
    return np.asarray(top + np.log(area))


def _spread(lower: FloatArray, upper: FloatArray, variance: FloatArray) -> FloatArray:
    """A length on which tau may be looked for: the range of all finite ends, or the largest standard error."""
    ends = np.stack([lower, upper])
    finite = np.isfinite(ends)
    high, low = np.where(finite, ends, -np.inf).max((0, -1)), np.where(finite, ends, np.inf).min((0, -1))
    return np.asarray(np.maximum(high - low, np.sqrt(variance).max(-1)))


def fit(lower: FloatArray, upper: FloatArray, variance: FloatArray, n_steps: int = FINE) -> CensoredFit:
    """The fit of each set of studies.

    Parameters
    ----------
    lower, upper : ndarray, shape (..., k)
        Ends of what each estimate may be, equal where it is known, infinite where it is open.
    variance : ndarray, shape (..., k)
        Sampling variances, of a bounded study that which its estimate would have.
    n_steps : int
        Of the search for tau.

    Examples
    --------
    >>> low = np.log([18.0, 24.0, 30.0, 48.0])
    >>> high = np.array([*low[:3], np.inf])
    >>> found = fit(low, high, np.full(4, 0.03))
    >>> np.exp(found.mean).round(1).item(), np.exp(low[:3].mean()).round(1).item()
    (30.6, 23.5)
    """
    unit = _spread(lower, upper, variance)
    shape = lower.shape[:-1]

    def height(place: FloatArray) -> FloatArray:
        return -restricted_height(lower, upper, variance, unit[..., None] * place)

    tau = unit * lowest(height, _TAU, shape, n_steps)
    return at_tau(lower, upper, variance, tau)


def at_tau(lower: FloatArray, upper: FloatArray, variance: FloatArray, tau: FloatArray) -> CensoredFit:
    """The fit at a given tau, shape (...)."""
    mean = best_mean(lower, upper, variance, tau[..., None])[..., 0]
    at = pieces(lower, upper, variance, mean[..., None], tau[..., None])
    known: BoolArray = lower == upper
    share = np.where(known, 1.0, at.information * (variance + tau[..., None] ** 2))
    df = share.sum(-1) - 1.0
    informs = at.information > 0
    squares = np.where(informs, at.slope**2 / np.where(informs, at.information, 1.0), 0.0).sum(-1)
    scale = np.where(df > 0, squares / np.where(df > 0, df, 1.0), np.nan)
    return CensoredFit(mean, at.information.sum(-1) ** -0.5, tau * tau, share, scale)


def _profile_height(
    lower: FloatArray, upper: FloatArray, variance: FloatArray, mean: FloatArray
) -> FloatArray:
    """Log-likelihood at each mean, shape (m,), with the best tau for it."""
    unit = _spread(lower, upper, variance) + np.abs(
        mean - np.where(lower == upper, lower, mean[:, None]).mean(-1)
    )

    def height(place: FloatArray) -> FloatArray:
        at = pieces(lower, upper, variance, mean[:, None, None], (unit[:, None] * place)[..., None])
        return np.asarray(-at.height.sum(-1))

    best = lowest(height, _TAU, mean.shape)
    return np.asarray(-height(best[:, None])[:, 0])


def profile_limits(
    lower: FloatArray, upper: FloatArray, variance: FloatArray, target: float
) -> tuple[float, float]:
    """Means at which the likelihood, at the best tau for each, has fallen by `target` from its top; one set, (k,)."""
    start = fit(lower, upper, variance)
    reach = 4.0 * float(start.se) + float(np.sqrt(start.tau2))
    grid = float(start.mean) + reach * np.linspace(-1.0, 1.0, 41)
    top = lowest(
        lambda place: -_profile_height(lower, upper, variance, np.ravel(place)).reshape(place.shape), grid, ()
    )
    summit = float(_profile_height(lower, upper, variance, np.atleast_1d(top))[0])
    ends = first_crossing(
        lambda mean, _: summit - _profile_height(lower, upper, variance, mean),
        np.full(2, float(top)),
        np.array([-2.0, 2.0]) * float(start.se),
        target,
    )
    return float(ends[0]), float(ends[1])


def tau_limits(
    lower: FloatArray, upper: FloatArray, variance: FloatArray, tau: float, target: float
) -> tuple[float, float]:
    """Values of tau at which the integrated likelihood has fallen by `target` from its top at `tau`; one set, (k,)."""

    def drop(place: FloatArray, _: IntArray) -> FloatArray:
        heights = restricted_height(lower, upper, variance, np.append(place, tau))
        return np.asarray(heights[-1] - heights[:-1])

    unit = float(_spread(lower, upper, variance))
    ends = first_crossing(
        drop,
        np.full(2, tau),
        np.array([-0.5, 0.5]) * max(tau, 0.1 * unit),
        target,
        floor=np.array([0.0, tau]),
        ceiling=np.array([np.inf, 1e4 * unit]),
    )
    return float(ends[0]), float(ends[1])
