r"""Trim-and-fill: how many studies are missing on one side of the funnel, and what they would have found.

Arrays have shape (..., k) with studies on the last axis; a study that a set lacks has infinite variance. The
missing studies are looked for on the left, among low effects: change the sign of all effects for the right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np

from netsynth._typing import BoolArray, FloatArray, IntArray
from netsynth.kernels.heterogeneity import n_studies, weighted_mean
from netsynth.kernels.tau2 import Tau2Estimator


class Missing(NamedTuple):
    """An estimated number of missing studies, not rounded, and its standard error; nan where undefined."""

    number: FloatArray
    se: FloatArray


class Filled(NamedTuple):
    """The missing studies of each set.

    All but the last three have shape (...). `defined` is false where the estimator came to no number of
    studies that the set could miss; `fewest` and `most` are the numbers between which an iteration that has
    not converged goes round. `estimate` and `variance`, (..., k), are those of the missing studies, with
    infinite variance elsewhere, and `source` says of which study of the set each is the mirror image.
    """

    n_missing: IntArray
    se: FloatArray
    pvalue: FloatArray
    converged: BoolArray
    defined: BoolArray
    fewest: IntArray
    most: IntArray
    estimate: FloatArray
    variance: FloatArray
    source: IntArray


MissingEstimator: TypeAlias = Callable[[FloatArray, IntArray], Missing]


def run(signed_rank: FloatArray, n: IntArray, /) -> Missing:
    r"""R0: :math:`\gamma - 1`, :math:`\gamma` the effects beyond the most extreme on the other side [1]_.

    Its standard error is :math:`\sqrt{2 \max(0, R_0) + 2}`.

    References
    ----------
    .. [1] Duval S, Tweedie R (2000). A nonparametric "trim and fill" method of accounting for publication bias in
       meta-analysis. J Am Stat Assoc 95:89-98. https://doi.org/10.1080/01621459.2000.10473905
    """
    lowest = np.where(signed_rank < 0, -signed_rank, 0.0).max(-1)
    none = (signed_rank == 0).all(-1)  # all effects are equal, and nothing lies on either side
    number = np.where(none, -1.0, n - lowest - 1.0)
    return Missing(number, np.sqrt(2.0 * np.maximum(number, 0.0) + 2.0))


def linear(signed_rank: FloatArray, n: IntArray, /) -> Missing:
    r"""L0: :math:`(4 T - n (n + 1)) / (2n - 1)`, T the sum of the ranks of the effects above the mean [1]_.

    Its standard error is :math:`4 \sqrt{\mathrm{Var}\,T} / (2n - 1)`.

    References
    ----------
    .. [1] Duval S, Tweedie R (2000). Trim and fill: a simple funnel-plot-based method of testing and adjusting for
       publication bias in meta-analysis. Biometrics 56:455-463.
       https://doi.org/10.1111/j.0006-341X.2000.00455.x
    """
    number = np.asarray((4.0 * _rank_sum(signed_rank) - n * (n + 1.0)) / (2.0 * n - 1.0))
    return Missing(number, 4.0 * np.sqrt(_rank_sum_variance(number, n)) / (2.0 * n - 1.0))


def quadratic(signed_rank: FloatArray, n: IntArray, /) -> Missing:
    r"""Q0: :math:`n - \frac12 - \sqrt{2n^2 - 4T + \frac14}`, undefined where the root is [1]_.

    Its standard error is :math:`2 \sqrt{\mathrm{Var}\,T}` over the same root.

    References
    ----------
    .. [1] Duval S, Tweedie R (2000). Trim and fill: a simple funnel-plot-based method of testing and adjusting for
       publication bias in meta-analysis. Biometrics 56:455-463.
       https://doi.org/10.1111/j.0006-341X.2000.00455.x
    """
    square = 2.0 * n * n - 4.0 * _rank_sum(signed_rank) + 0.25
    root = np.sqrt(np.where(square > 0, square, np.nan))
    number = np.asarray(n - 0.5 - root)
    return Missing(number, 2.0 * np.sqrt(_rank_sum_variance(number, n)) / root)


def _rank_sum(signed_rank: FloatArray) -> FloatArray:
    return np.asarray(np.maximum(signed_rank, 0.0).sum(-1))


def _rank_sum_variance(number: FloatArray, n: IntArray) -> FloatArray:
    """Variance of the rank sum when so many studies are missing; nan where a number far below zero has none."""
    m, n = number, n.astype(np.float64)
    terms = n * (n + 1.0) * (2.0 * n + 1.0) + 10.0 * m**3 + 27.0 * m**2 + 17.0 * m
    terms = terms - 18.0 * n * m**2 - 18.0 * n * m + 6.0 * n**2 * m
    return np.where(terms >= 0, terms / 24.0, np.nan)


#: Error of a distance from the mean, relative to the largest effect, that is left to rounding.
_ROUNDING: Final = 16.0 * np.finfo(np.float64).eps

MissingMethod = Literal["L0", "R0", "Q0"]
#: Every estimator of the number of missing studies, by the name Duval and Tweedie give it.
MISSING_ESTIMATORS: Final[Mapping[MissingMethod, MissingEstimator]] = MappingProxyType(
    {"L0": linear, "R0": run, "Q0": quadratic}
)


def trim_and_fill(
    estimate: FloatArray, variance: FloatArray, tau2_estimator: Tau2Estimator, missing: MissingEstimator
) -> Filled:
    """Missing studies on the left: trim the highest effects, find the mean anew, until their number stands.

    Effects are ranked by their distance from the mean of those that are left, so that a number makes the
    next. Where the same numbers come round again, the iteration has not converged and will not.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
    tau2_estimator : Tau2Estimator
        Of the model under which means are taken.
    missing : MissingEstimator
        One of `MISSING_ESTIMATORS`.

    Returns
    -------
    Filled
        `pvalue` is that of no missing study, :math:`2^{-(R_0 + 1)}` for R0 and nan for the others.
    """
    present = np.isfinite(variance)
    source = np.argsort(np.where(present, estimate, np.inf), axis=-1, kind="stable")
    y, v = (np.take_along_axis(values, source, -1) for values in (estimate, variance))
    n, place = n_studies(v), np.arange(v.shape[-1])
    y = np.where(place < n[..., None], y, 0.0)
    rounding = _ROUNDING * np.abs(y).max(-1)
    number = np.zeros(n.shape, dtype=np.int64)
    history = []
    for _ in range(2 * v.shape[-1] + 2):  # twice as many as there are numbers: by then they have come round
        mean = _trimmed_mean(y, v, tau2_estimator, place < (n - number)[..., None])
        found = missing(_signed_ranks(y - mean[..., None], place < n[..., None], rounding), n)
        rounded = np.rint(np.maximum(found.number, 0.0))
        defined = rounded < n  # false for nan
        following = np.where(defined, rounded, number).astype(np.int64)
        arrived = defined & (following == number)
        history.append(following)
        if (following == number).all():
            break
        number = following
    late = np.stack(history[-v.shape[-1] - 1 :])
    filled = (place >= (n - number)[..., None]) & (place < n[..., None]) & arrived[..., None]
    return Filled(
        n_missing=number,
        se=found.se,
        pvalue=np.where(missing is run, 0.5 ** (number + 1.0), np.nan),
        converged=arrived,
        defined=defined,
        fewest=late.min(0),
        most=late.max(0),
        estimate=2.0 * mean[..., None] - y,
        variance=np.where(filled, v, np.inf),
        source=source,
    )


def _trimmed_mean(y: FloatArray, v: FloatArray, estimator: Tau2Estimator, kept: BoolArray) -> FloatArray:
    trimmed = np.where(kept, v, np.inf)
    tau2 = np.asarray(estimator(y, trimmed).tau2)
    return weighted_mean(y, trimmed + tau2[..., None]).mean


def _signed_ranks(deviation: FloatArray, present: BoolArray, rounding: FloatArray) -> FloatArray:
    """Ranks of the distances, with the sign of the deviation; of equal ones the lower effect comes first.

    Distances are equal that differ by no more than `rounding`, (...), and so small a deviation is none: two
    effects of one variance are equally far from their mean, whatever its last digit.
    """
    rounding = rounding[..., None]
    distance = np.where(present, np.abs(deviation), np.inf)
    order = np.argsort(distance, axis=-1, kind="stable")
    ascending = np.take_along_axis(distance, order, -1)
    apart = np.zeros(distance.shape, dtype=np.int64)
    apart[..., 1:] = ascending[..., 1:] > ascending[..., :-1] + rounding
    level = np.empty_like(apart)
    np.put_along_axis(level, order, apart.cumsum(-1), -1)
    rank = np.argsort(np.argsort(level, axis=-1, kind="stable"), axis=-1) + 1.0
    return np.where(present & (distance > rounding), np.sign(deviation) * rank, 0.0)
