"""Two distributions of counts: the binomial on the logit, the Poisson on the log scale.

Counts, sizes and theta broadcast against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

import numpy as np
from scipy.special import betaln, expit, gammaln, logit

from netsynth._typing import FloatArray

_MOST: Final = 600.0  # a logarithm of a rate that is as good as infinite

CountFamily = Literal["binomial", "poisson"]


class Family(NamedTuple):
    """What the two distributions of counts do differently; `d` is the distance of theta from `centre`."""

    #: theta near the study's own estimate, finite for any count
    centre: Callable[[FloatArray, FloatArray], FloatArray]
    #: mean count at theta, and its derivative
    moments: Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]
    #: log-likelihood at centre + d less that at the centre
    relative: Callable[[FloatArray, FloatArray, FloatArray, FloatArray], FloatArray]
    #: log-likelihood at theta, constants included
    log_mass: Callable[[FloatArray, FloatArray, FloatArray], FloatArray]
    #: theta of all studies together
    common: Callable[[FloatArray, FloatArray], FloatArray]


def _binomial_moments(theta: FloatArray, n: FloatArray) -> tuple[FloatArray, FloatArray]:
    p = expit(theta)
    return n * p, n * p * expit(-theta)


def _binomial_relative(d: FloatArray, x: FloatArray, n: FloatArray, centre: FloatArray) -> FloatArray:
    # x d - n ln(q + p e^d), events and others exchanged where p > q: 1 + p expm1(d) then loses no digits however large
    # n and d, as p is at most a half, and nothing overflows
    turned = centre > 0
    e = np.where(turned, -1.0, 1.0) * d
    finite = np.minimum(e, _MOST)
    logarithm = np.log1p(expit(-np.abs(centre)) * np.expm1(finite)) + (e - finite)
    return np.asarray(np.where(turned, n - x, x) * e - n * logarithm)


def _binomial_log_mass(theta: FloatArray, x: FloatArray, n: FloatArray) -> FloatArray:
    log_choose = -betaln(x + 1.0, n - x + 1.0) - np.log1p(n)
    return np.asarray(log_choose - x * np.logaddexp(0.0, -theta) - (n - x) * np.logaddexp(0.0, theta))


def _poisson_moments(theta: FloatArray, time: FloatArray) -> tuple[FloatArray, FloatArray]:
    mean = time * np.exp(np.minimum(theta, _MOST))
    return mean, mean


def _poisson_relative(d: FloatArray, x: FloatArray, time: FloatArray, centre: FloatArray) -> FloatArray:
    return np.asarray(x * d - time * np.exp(centre) * np.expm1(np.minimum(d, _MOST)))


def _poisson_log_mass(theta: FloatArray, x: FloatArray, time: FloatArray) -> FloatArray:
    log_time = np.log(np.where(time > 0, time, 1.0))
    return np.asarray(x * (theta + log_time) - time * np.exp(theta) - gammaln(x + 1.0))


FAMILIES: Final[Mapping[CountFamily, Family]] = MappingProxyType(
    {
        "binomial": Family(
            lambda x, n: np.asarray(logit((x + 0.5) / (n + 1.0))),
            _binomial_moments,
            _binomial_relative,
            _binomial_log_mass,
            lambda x, n: np.asarray(logit(x.sum(-1) / n.sum(-1))),
        ),
        "poisson": Family(
            lambda x, time: np.log((x + 0.5) / np.where(time > 0, time, 1.0)),
            _poisson_moments,
            _poisson_relative,
            _poisson_log_mass,
            lambda x, time: np.log(x.sum(-1) / time.sum(-1)),
        ),
    }
)
