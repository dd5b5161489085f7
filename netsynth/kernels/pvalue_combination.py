r"""Combination of one-sided p-values of independent studies.

Studies are on the last axis; any leading shape holds sets of studies. Every function takes p and besides its
complement :math:`q = 1 - p`, so that a tail far on either side keeps its digits, and hands back the natural logarithm
of the combined p-value, which stays exact where the p-value itself would be zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
from scipy.special import (
    betainc,
    betaincinv,
    betaln,
    gammaincc,
    gammainccinv,
    gammaln,
    hyp2f1,
    log_ndtr,
    logsumexp,
    ndtri,
)

from netsynth._typing import BoolArray, FloatArray

CombinationMethod = Literal[
    "fisher",
    "stouffer",
    "logit",
    "edgington",
    "mean_p",
    "mean_z",
    "tippett",
    "maximum",
    "wilkinson",
    "vote",
    "inverse_chi2",
    "inverse_t",
    "truncated",
    "truncated_soft",
    "rank_truncated",
]


class CombinedTail(NamedTuple):
    """A combination of p-values; arrays of the leading shape.

    `df` are the degrees of freedom of `statistic`, nan where its distribution has none.
    """

    statistic: FloatArray
    df: FloatArray
    log_pvalue: FloatArray


_LOG2: Final = float(np.log(2.0))

# --- tails of distributions, on the log scale --------------------------------------------------------------------


def log_gamma_tail(shape: FloatArray, x: FloatArray) -> FloatArray:
    r"""Logarithm of the regularised upper incomplete gamma function :math:`Q(a, x)`.

    By Legendre's continued fraction where Q would leave the range of numbers.
    """
    a, x = np.broadcast_arrays(np.asarray(shape, dtype=np.float64), np.asarray(x, dtype=np.float64))
    tail = gammaincc(a, x)
    with np.errstate(divide="ignore"):
        found = np.array(np.log(tail))
    far = (tail < 1e-280) & np.isfinite(x)
    if far.any():
        found[far] = _log_far_gamma(a[far], x[far])
    return found


def _log_far_gamma(a: FloatArray, x: FloatArray) -> FloatArray:
    """The continued fraction from its end; so far out that eighty terms are plenty."""
    fraction = x + 161.0 - a
    for n in range(80, 0, -1):
        fraction = x + 2.0 * n - 1.0 - a - n * (n - a) / fraction
    return np.asarray(a * np.log(x) - x - gammaln(a) - np.log(fraction))


def log_student_tail(t: FloatArray, df: FloatArray) -> FloatArray:
    """Logarithm of the probability of more than t under Student's distribution."""
    t, df = np.broadcast_arrays(np.asarray(t, dtype=np.float64), np.asarray(df, dtype=np.float64))
    half = 0.5 * df
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        x = 1.0 / (1.0 + t * t / df)
        near = np.log(0.5 * betainc(half, 0.5, np.maximum(x, 1e-300)))
        size = np.abs(t)
        # log x from t itself, which may be too large to be squared
        log_x = np.where(size > 1e100, np.log(df) - 2.0 * np.log(size), np.log(x))
        series = hyp2f1(half + 0.5, 1.0, half + 1.0, np.minimum(x, 0.5))
        far = np.log(0.5) + half * log_x + 0.5 * np.log1p(-x) - np.log(half) - betaln(half, 0.5)
        upper = np.where(x < 0.5, far + np.log(series), near)
        # of a small t the beta function is nearly one, and its complement has the digits
        middle = np.log1p(-betainc(0.5, half, np.minimum(t * t / df, 1.0) * x)) - _LOG2
        upper = np.where(size < 1.0, middle, upper)
    # a tail of less than one half has no digits to lose here
    return np.asarray(np.where(t >= 0, upper, np.log1p(-np.exp(upper))))


def _z(p: FloatArray, q: FloatArray) -> FloatArray:
    """Normal quantile of 1 - p, from the smaller tail."""
    return np.asarray(np.where(p <= q, -ndtri(np.minimum(p, 0.5)), ndtri(np.minimum(q, 0.5))))


def _normal(z: FloatArray) -> CombinedTail:
    return CombinedTail(z, np.full(np.shape(z), np.nan), np.asarray(log_ndtr(-z)))


def _log(p: FloatArray, q: FloatArray) -> FloatArray:
    """Logarithm of p, from q where p is near one."""
    with np.errstate(divide="ignore"):
        return np.where(p <= q, np.log(p), np.log1p(-np.minimum(q, 0.5)))


# --- methods -----------------------------------------------------------------------------------------------------


def fisher(p: FloatArray, q: FloatArray) -> CombinedTail:
    r"""Fisher: :math:`-2 \sum \log p_i \sim \chi^2_{2k}`."""
    return _chi2(-2.0 * _log(p, q).sum(axis=-1), 2.0 * p.shape[-1])


def _chi2(statistic: FloatArray, df: float) -> CombinedTail:
    log_p = np.where(np.isposinf(statistic), -np.inf, log_gamma_tail(np.asarray(0.5 * df), 0.5 * statistic))
    return CombinedTail(statistic, np.full(np.shape(statistic), df), log_p)


def stouffer(p: FloatArray, q: FloatArray, weights: FloatArray | None = None) -> CombinedTail:
    r"""Stouffer: :math:`\sum w_i z_i / \sqrt{\sum w_i^2}`, :math:`z_i = \Phi^{-1}(1 - p_i)`."""
    w = np.ones(p.shape[-1]) if weights is None else weights
    return _normal((w * _z(p, q)).sum(axis=-1) / np.sqrt((w * w).sum(axis=-1)))


def logit(p: FloatArray, q: FloatArray) -> CombinedTail:
    r"""Logit: :math:`-\sum \log(p_i / q_i) / \sqrt{k \pi^2 (5k + 2) / (3 (5k + 4))}`, t on 5k + 4."""
    k = p.shape[-1]
    scale = np.sqrt(k * np.pi**2 * (5 * k + 2) / (3 * (5 * k + 4)))
    t = (_log(q, p) - _log(p, q)).sum(axis=-1) / scale
    return _student(t, 5.0 * k + 4.0)


def _student(t: FloatArray, df: float) -> CombinedTail:
    finite = np.where(np.isfinite(t), t, 0.0)
    log_p = np.where(
        np.isposinf(t), -np.inf, np.where(np.isneginf(t), 0.0, log_student_tail(finite, np.asarray(df)))
    )
    return CombinedTail(t, np.full(np.shape(t), df), np.where(np.isnan(t), np.nan, log_p))


def edgington(p: FloatArray, q: FloatArray) -> CombinedTail:
    r"""Edgington: the sum S of the p-values, against that of k uniform ones.

    The distribution function is built up from one study to k,
    :math:`F_k(s) = (s F_{k-1}(s) + (k - s) F_{k-1}(s - 1)) / k`. No term of that is negative, unlike those of the
    alternating sum, which loses all its digits from some twenty studies on.
    """
    del q
    total, k = p.sum(axis=-1), p.shape[-1]
    return CombinedTail(total, np.full(total.shape, np.nan), _log_uniform_sum(total, k))


def _log_uniform_sum(total: FloatArray, k: int) -> FloatArray:
    at = total[..., None] - np.arange(k)  # s, s - 1, ...
    with np.errstate(divide="ignore"):
        log_f = np.where(at >= 0, 0.0, -np.inf)
        for n in range(1, k + 1):
            s, rest = at[..., : k - n + 1], n - at[..., : k - n + 1]
            inside = (s > 0) & (rest > 0)
            step = np.logaddexp(
                np.log(np.where(inside, s, 1.0)) + log_f[..., : k - n + 1],
                np.log(np.where(inside, rest, 1.0)) + _shifted(log_f, k - n + 1),
            ) - np.log(n)
            log_f = np.where(inside, np.minimum(step, 0.0), np.where(s <= 0, -np.inf, 0.0))
    return np.asarray(log_f[..., 0])


def _shifted(log_f: FloatArray, count: int) -> FloatArray:
    """The values one step to the left, which is nothing beyond the last."""
    padded = np.concatenate([log_f, np.full((*log_f.shape[:-1], 1), -np.inf)], axis=-1)
    return padded[..., 1 : count + 1]


def mean_p(p: FloatArray, q: FloatArray) -> CombinedTail:
    r"""Mean p: :math:`(1/2 - \bar p) \sqrt{12 k}`, taken as normal, which is good from four studies on."""
    difference = 0.5 * (q - p).mean(axis=-1)
    return _normal(difference * np.sqrt(12.0 * p.shape[-1]))


def mean_z(p: FloatArray, q: FloatArray) -> CombinedTail:
    r"""Mean z: :math:`\sqrt k \, \bar z / s_z`, t on k - 1; nan when all p-values are equal.

    Of independent normal z that is Student's statistic, so its distribution is exact.
    """
    z = _z(p, q)
    k = z.shape[-1]
    if k < 2:
        nothing = np.full(z.shape[:-1], np.nan)
        return CombinedTail(nothing, nothing, nothing)
    with np.errstate(invalid="ignore"):
        spread = z.std(axis=-1, ddof=1)
        alike = ~(spread > 1e-13 * np.abs(z).max(axis=-1))
        t = np.sqrt(k) * z.mean(axis=-1) / np.where(alike, np.nan, spread)
    return _student(t, k - 1.0)


def wilkinson(p: FloatArray, q: FloatArray, rank: int = 1) -> CombinedTail:
    r"""Wilkinson: the r-th smallest p, :math:`\sum_{j \ge r} \binom{k}{j} p_{(r)}^j (1 - p_{(r)})^{k - j}`."""
    order = np.argsort(p, axis=-1, kind="stable")[..., rank - 1 : rank]
    # of p-values that differ by less than p can tell, the complement still knows the order
    smallest, rest = np.take_along_axis(p, order, axis=-1), np.take_along_axis(q, order, axis=-1)
    k = p.shape[-1]
    log_p, log_q = _log(smallest, rest), _log(rest, smallest)
    above = _log_binomial_tail(k, rank, log_p, log_q)
    below = _log_binomial_tail(k, k - rank + 1, log_q, log_p)  # of the other side
    # the smaller tail keeps its digits, whichever it is
    found = np.where(above < below, above, np.log1p(-np.exp(np.minimum(below, -_LOG2))))
    return CombinedTail(smallest[..., 0], np.full(found.shape, np.nan), found)


def _log_binomial_tail(k: int, least: int, log_p: FloatArray, log_q: FloatArray) -> FloatArray:
    """Logarithm of the probability of `least` or more of k; logarithms have a last axis of one."""
    j = np.arange(least, k + 1)
    with np.errstate(invalid="ignore"):
        terms = _log_choose(k, j) + np.where(j > 0, j * log_p, 0.0) + np.where(k > j, (k - j) * log_q, 0.0)
    return np.asarray(logsumexp(terms, axis=-1))


def _log_choose(k: int, j: FloatArray | np.ndarray[tuple[int], np.dtype[np.int64]]) -> FloatArray:
    return np.asarray(gammaln(k + 1.0) - gammaln(j + 1.0) - gammaln(k - j + 1.0))


def tippett(p: FloatArray, q: FloatArray) -> CombinedTail:
    r"""Tippett: the smallest p, :math:`1 - (1 - p_{(1)})^k`."""
    return wilkinson(p, q, 1)


def maximum(p: FloatArray, q: FloatArray) -> CombinedTail:
    r"""The largest p: :math:`p_{(k)}^k`."""
    return wilkinson(p, q, p.shape[-1])


def vote(p: FloatArray, q: FloatArray, threshold: float = 0.5) -> CombinedTail:
    """Votes: studies with p below the threshold against those with 1 - p below it, by the one-sided sign test."""
    for_it = (p < threshold).sum(axis=-1)
    votes = for_it + (q < threshold).sum(axis=-1)
    with np.errstate(divide="ignore"):
        tail = np.where(for_it > 0, betainc(np.maximum(for_it, 1), votes - for_it + 1.0, 0.5), 1.0)
        return CombinedTail(for_it.astype(np.float64), votes.astype(np.float64), np.log(tail))


def inverse_chi2(p: FloatArray, q: FloatArray, df: float = 2.0) -> CombinedTail:
    r"""Inverse chi-square: :math:`\sum F^{-1}_{\chi^2_\nu}(1 - p_i) \sim \chi^2_{k \nu}`; Fisher's at 2."""
    del q
    return _chi2(2.0 * gammainccinv(0.5 * df, p).sum(axis=-1), df * p.shape[-1])


def _student_quantile(tail: FloatArray, df: float) -> FloatArray:
    """The t that is exceeded with a probability of up to one half."""
    with np.errstate(divide="ignore"):
        far = np.sqrt(df * (1.0 / betaincinv(0.5 * df, 0.5, 2.0 * np.minimum(tail, 0.01)) - 1.0))
    share = betaincinv(0.5, 0.5 * df, 1.0 - 2.0 * np.maximum(tail, 0.01))  # of t² in t² + df
    return np.asarray(np.where(tail < 0.01, far, np.sqrt(df * share / (1.0 - share))))


def inverse_t(p: FloatArray, q: FloatArray, df: float = 10.0) -> CombinedTail:
    r"""Inverse t: :math:`\sum F^{-1}_{t_\nu}(1 - p_i) / \sqrt{k \nu / (\nu - 2)}`, taken as normal."""
    t = np.where(
        p <= q, _student_quantile(np.minimum(p, 0.5), df), -_student_quantile(np.minimum(q, 0.5), df)
    )
    return _normal(t.sum(axis=-1) / np.sqrt(p.shape[-1] * df / (df - 2.0)))


def truncated(p: FloatArray, q: FloatArray, threshold: float = 0.05) -> CombinedTail:
    r"""Truncated product: :math:`-2 \sum \log p_i` over :math:`p_i \le \tau` [1]_.

    References
    ----------
    .. [1] Zaykin DV, Zhivotovsky LA, Westfall PH, Weir BS (2002). Truncated product method for combining P-values.
       Genet Epidemiol 22:170-185. https://doi.org/10.1002/gepi.0042
    """
    counted = p <= threshold
    return _truncated(-2.0 * np.where(counted, _log(p, q), 0.0).sum(axis=-1), counted, threshold, soft=False)


def truncated_soft(p: FloatArray, q: FloatArray, threshold: float = 0.05) -> CombinedTail:
    r"""Truncated product with a soft threshold: :math:`-2 \sum \log(p_i / \tau)` over :math:`p_i \le \tau`."""
    counted = p <= threshold
    terms = np.where(counted, _log(p, q) - np.log(threshold), 0.0)
    return _truncated(-2.0 * terms.sum(axis=-1), counted, threshold, soft=True)


def _truncated(statistic: FloatArray, counted: BoolArray, threshold: float, *, soft: bool) -> CombinedTail:
    """Given that j are below the threshold, minus twice the log of their product over it is chi-square on 2j."""
    k = counted.shape[-1]
    j = np.arange(1, k + 1)
    shift = 0.0 if soft else -2.0 * j * np.log(threshold)
    rest = statistic[..., None] - shift
    with np.errstate(divide="ignore"):
        below = np.where(rest > 0, log_gamma_tail(j.astype(np.float64), 0.5 * np.maximum(rest, 0.0)), 0.0)
        log_rest = np.log1p(-threshold) if threshold < 1 else -np.inf
        others = np.where(k > j, (k - j) * log_rest, 0.0) if threshold < 1 else np.where(k > j, -np.inf, 0.0)
    terms = _log_choose(k, j) + j * np.log(threshold) + others + below
    log_p = np.where(counted.any(axis=-1), np.minimum(logsumexp(terms, axis=-1), 0.0), 0.0)
    return CombinedTail(statistic, np.full(statistic.shape, np.nan), log_p)


def rank_truncated(p: FloatArray, q: FloatArray, rank: int = 2) -> CombinedTail:
    r"""Rank-truncated product: minus twice the log of the product of the r smallest.

    Given the next larger p, t, the r smallest are uniform below it, so with :math:`w` their product

    .. math:: P = \int_0^1 f_{(r+1)}(t)\, Q\bigl(r, \max(0, r \log t - \log w)\bigr)\, dt,

    f being the density of the (r + 1)-th smallest of k.
    """
    k = p.shape[-1]
    if rank >= k:
        return fisher(p, q)
    smallest = np.sort(_log(p, q), axis=-1)[..., :rank]
    log_w = smallest.sum(axis=-1)
    return CombinedTail(-2.0 * log_w, np.full(log_w.shape, np.nan), _log_rank_tail(log_w, k, rank))


_PANELS: Final = 12
_NODES: Final = np.polynomial.legendre.leggauss(24)


def _log_rank_tail(log_w: FloatArray, k: int, rank: int) -> FloatArray:
    # t = exp(u): up to u = log(w) / r the product is below w for certain, and the rest is a smooth integral
    start = log_w / rank
    # far below, less than exp(-60) of the rest is left; at a product of one there is no rest
    edge = np.clip(start, -60.0 - np.log(k), -1e-16)[..., None]
    with np.errstate(divide="ignore", over="ignore"):
        certain = np.log(betainc(rank + 1.0, float(k - rank), np.exp(start)))
        # of so small a t the incomplete beta function is its first term
        first = (rank + 1.0) * start - np.log(rank + 1.0) - betaln(rank + 1.0, float(k - rank))
        certain = np.where(start < -200.0, first, certain)
        x, weight = _NODES
        share = (np.arange(_PANELS)[:, None] + 0.5 * (x + 1.0)).ravel() / _PANELS
        u = edge * (1.0 - share)
        log_step = np.log(-edge) + np.log(np.tile(0.5 * weight, _PANELS) / _PANELS)
        density = (
            (rank + 1.0) * u + (k - rank - 1.0) * np.log(-np.expm1(u)) - betaln(rank + 1.0, float(k - rank))
        )
        below = log_gamma_tail(np.asarray(float(rank)), np.maximum(rank * u - log_w[..., None], 0.0))
        smooth = logsumexp(density + below + log_step, axis=-1)
    return np.asarray(np.minimum(np.logaddexp(certain, smooth), 0.0))


Combination: TypeAlias = Callable[..., CombinedTail]


class CombinationRule(NamedTuple):
    """A method by name: what it computes, what it is called, and the one setting it may have.

    `alternative` says what the study must look like for the test to see it, which is what a reader has to know to
    choose. `is_monotone` is False where a smaller p of a study may give a larger combined p.
    """

    combine: Combination
    name: str
    setting: str  # keyword of `combine`: "", "rank", "threshold", "df", "weights"
    alternative: str
    is_monotone: bool = True


_SOME: Final = "an effect in at least one study"
_ALL: Final = "an effect in every study"
_MOST: Final = "an effect shared by the studies"
COMBINATIONS: Final[Mapping[CombinationMethod, CombinationRule]] = MappingProxyType(
    {
        "fisher": CombinationRule(fisher, "Fisher's method", "", _SOME),
        "stouffer": CombinationRule(stouffer, "Stouffer's method", "weights", _MOST),
        "logit": CombinationRule(logit, "the logit method", "", _MOST),
        "edgington": CombinationRule(edgington, "Edgington's sum of p", "", _MOST),
        "mean_p": CombinationRule(mean_p, "the mean p", "", _MOST),
        "mean_z": CombinationRule(mean_z, "the mean z", "", _MOST, is_monotone=False),
        "tippett": CombinationRule(tippett, "Tippett's smallest p", "", _SOME),
        "maximum": CombinationRule(maximum, "the largest p", "", _ALL),
        "wilkinson": CombinationRule(
            wilkinson, "Wilkinson's r-th smallest p", "rank", "an effect in at least r studies"
        ),
        "vote": CombinationRule(vote, "the vote count of p", "threshold", _MOST),
        "inverse_chi2": CombinationRule(inverse_chi2, "the inverse chi-square method", "df", _SOME),
        "inverse_t": CombinationRule(inverse_t, "the inverse t method", "df", _MOST),
        "truncated": CombinationRule(truncated, "the truncated product", "threshold", _SOME),
        "truncated_soft": CombinationRule(
            truncated_soft, "the truncated product with a soft threshold", "threshold", _SOME
        ),
        "rank_truncated": CombinationRule(rank_truncated, "the rank-truncated product", "rank", _SOME),
    }
)
