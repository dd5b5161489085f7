r"""Several categories of one factor against a common reference: their covariance, and the slope through them.

Categories without the reference are on the last axis, m of them; any leading shape holds studies. Ratios of one study
share the patients of the reference, so their logarithms are correlated. The three designs differ in what stands in the
denominator of a category, and in one sign :math:`\sigma` of the formulas:

- "case-control": non-cases, odds ratios, :math:`\sigma = 1`;
- "rate": person-time, rate and hazard ratios, :math:`\sigma = 0`;
- "cumulative": persons, risk ratios, :math:`\sigma = -1`.

With A cases and the denominator D of a category, the variance that it adds to a log ratio is
:math:`1 / A + \sigma / D`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

import numpy as np
from scipy.special import ndtri

from netsynth._typing import FloatArray

TrendDesign = Literal["rate", "cumulative", "case-control"]
SIGNS: Final[Mapping[TrendDesign, int]] = MappingProxyType({"rate": 0, "cumulative": -1, "case-control": 1})
_STEPS: Final = 200  # of bisection on a log scale, which ends when nothing changes any more


class PseudoCounts(NamedTuple):
    """Cases and denominators of the reference, shape (...,), and of the categories, shape (..., m)."""

    cases_reference: FloatArray
    base_reference: FloatArray
    cases: FloatArray
    base: FloatArray


class TrendLine(NamedTuple):
    """Slope per unit of dose, its standard error, and the chi-square of what a line leaves, on m - 1."""

    slope: FloatArray
    se: FloatArray
    q: FloatArray


def greenland_longnecker(
    log_ratio: FloatArray,
    cases_reference: FloatArray,
    cases: FloatArray,
    base_reference: FloatArray,
    base: FloatArray,
    design: TrendDesign,
) -> PseudoCounts:
    r"""Cases that would give the reported, adjusted, ratios without adjustment [1]_.

    The denominators of the categories and the sum of the cases stay as they are. For case-control data the
    denominators given are all persons of a category, :math:`N = A + B`, and those returned are the
    non-cases B.

    Parameters
    ----------
    log_ratio : ndarray, shape (..., m)
        Logarithms of the ratios.
    cases_reference, base_reference : ndarray, shape (...,)
        Of the reference.
    cases, base : ndarray, shape (..., m)
        Of the categories: all positive.
    design : {"rate", "cumulative", "case-control"}
        Kind of ratio.

    Returns
    -------
    PseudoCounts

    References
    ----------
    .. [1] Greenland S, Longnecker MP (1992). Methods for trend estimation from summarized dose-response data, with
       applications to meta-analysis. Am J Epidemiol 135:1301-1309.
       https://doi.org/10.1093/oxfordjournals.aje.a116237
    """
    ratio = np.exp(log_ratio)
    total = cases_reference + cases.sum(axis=-1)
    if design != "case-control":
        # A_x = A_0 R_x N_x / N_0, so that the total gives A_0
        relative = ratio * base / base_reference[..., None]
        first = total / (1.0 + relative.sum(axis=-1))
        return PseudoCounts(first, base_reference, first[..., None] * relative, base)
    ratios = np.concatenate([np.ones((*ratio.shape[:-1], 1)), ratio], axis=-1)
    persons = np.concatenate([base_reference[..., None], base], axis=-1)
    odds = total / (persons.sum(axis=-1) - total)

    def excess(log_odds: FloatArray) -> FloatArray:
        at = np.exp(log_odds)[..., None] * ratios
        return np.asarray((persons * at / (1.0 + at)).sum(axis=-1) - total)

    # odds of the reference: with the smallest ratio at the overall odds there are too many cases, and conversely
    low = np.log(odds) - np.log(ratios.max(axis=-1))
    high = np.log(odds) - np.log(ratios.min(axis=-1))
    at = np.exp(_root(excess, low, high))[..., None] * ratios
    fitted, rest = persons * at / (1.0 + at), persons / (1.0 + at)
    return PseudoCounts(fitted[..., 0], rest[..., 0], fitted[..., 1:], rest[..., 1:])


def _root(rising: Callable[[FloatArray], FloatArray], low: FloatArray, high: FloatArray) -> FloatArray:
    """Where a rising function passes zero, by bisection, elementwise."""
    low, high = np.array(low, dtype=np.float64), np.array(high, dtype=np.float64)
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        if np.all((middle <= low) | (middle >= high)):
            break
        above = rising(middle) > 0
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return 0.5 * (low + high)


def hamling(
    log_ratio: FloatArray,
    se: FloatArray,
    share_reference: FloatArray,
    base_per_case: FloatArray,
    design: TrendDesign,
) -> PseudoCounts:
    r"""Counts that give each reported ratio and each reported standard error exactly [1]_.

    Of all such counts, those with the reported share of the reference among the denominators,
    :math:`D_0 / \sum D`, and the reported ratio of denominators to cases, :math:`\sum D / \sum A`. With c
    the variance that the reference adds and o its cases over its denominator,

    .. math:: A_x = \frac{1 + \sigma o R_x}{v_x - c}, \qquad D_x = \frac{1 / (o R_x) + \sigma}{v_x - c},

    the reference being the same with :math:`R = 1` and c below the fraction. Two nested searches find c and o.

    Parameters
    ----------
    log_ratio, se : ndarray, shape (..., m)
        Logarithms of the ratios and their standard errors.
    share_reference, base_per_case : ndarray, shape (...,)
        The two reported shares.
    design : {"rate", "cumulative", "case-control"}
        Kind of ratio.

    Returns
    -------
    PseudoCounts

    References
    ----------
    .. [1] Hamling J, Lee P, Weitkunat R, Ambühl M (2008). Facilitating meta-analyses by deriving relative effect and
       precision estimates for alternative comparisons from a set of estimates presented by exposure level or
       disease category. Stat Med 27:954-970. https://doi.org/10.1002/sim.3013
    """
    sign, ratio, variance = SIGNS[design], np.exp(log_ratio), se * se
    least = variance.min(axis=-1)

    def common(log_o: FloatArray) -> FloatArray:
        """The variance c with which the reference has its share of the denominators."""
        o = np.exp(log_o)
        relative = (1.0 / (o[..., None] * ratio) + sign) / (1.0 / o + sign)[..., None]

        def excess(logit: FloatArray) -> FloatArray:
            c = least / (1.0 + np.exp(-logit))
            with np.errstate(divide="ignore"):
                rest = relative * c[..., None] / (variance - c[..., None])
            return np.asarray(1.0 + rest.sum(axis=-1) - 1.0 / share_reference)

        edge = np.full(least.shape, 34.0)  # of a logit, at which c equals 0 or `least` to all digits
        return np.asarray(least / (1.0 + np.exp(-_root(excess, -20.0 * edge, edge))))

    def counts(log_o: FloatArray) -> PseudoCounts:
        o, c = np.exp(log_o), common(log_o)
        own = variance - c[..., None]
        return PseudoCounts(
            (1.0 + sign * o) / c,
            (1.0 / o + sign) / c,
            (1.0 + sign * o[..., None] * ratio) / own,
            (1.0 / (o[..., None] * ratio) + sign) / own,
        )

    def too_many_cases(log_o: FloatArray) -> FloatArray:
        found = counts(log_o)
        cases = found.cases_reference + found.cases.sum(axis=-1)
        base = found.base_reference + found.base.sum(axis=-1)
        return np.asarray(base_per_case * cases - base)

    wide = 40.0 + np.abs(log_ratio).max(axis=-1)
    middle = -np.log(base_per_case)
    # a risk stays below one in every category
    high = np.minimum(middle + wide, -np.maximum(log_ratio.max(axis=-1), 0.0)) if sign < 0 else middle + wide
    return counts(_root(too_many_cases, middle - wide, high))


def covariance_by_correlation(counts: PseudoCounts, se: FloatArray, design: TrendDesign) -> FloatArray:
    r"""Reported variances, and the correlation that counts have: :math:`r_{xz} = s_0 / \sqrt{s_x s_z}`.

    :math:`s_0 = 1 / A_0 + \sigma / D_0` and :math:`s_x = s_0 + 1 / A_x + \sigma / D_x`.

    Returns
    -------
    ndarray, shape (..., m, m)
    """
    sign = SIGNS[design]
    shared = 1.0 / counts.cases_reference + sign / counts.base_reference
    crude = np.sqrt(shared[..., None] + 1.0 / counts.cases + sign / counts.base)
    scaled = se / crude
    covariance = shared[..., None, None] * scaled[..., :, None] * scaled[..., None, :]
    return _with_diagonal(covariance, se * se)


def covariance_by_reference(shared: FloatArray, variance: FloatArray) -> FloatArray:
    """Variances, and one covariance for all pairs: the variance that the reference adds, shape (...,)."""
    m = variance.shape[-1]
    return _with_diagonal(np.broadcast_to(shared[..., None, None], (*shared.shape, m, m)), variance)


def _with_diagonal(covariance: FloatArray, diagonal: FloatArray) -> FloatArray:
    full, i = np.array(covariance), np.arange(diagonal.shape[-1])
    full[..., i, i] = diagonal
    return full


def trend_line(log_ratio: FloatArray, dose: FloatArray, covariance: FloatArray) -> TrendLine:
    r"""Line through the reference by generalised least squares.

    :math:`b = (x' C^{-1} x)^{-1} x' C^{-1} y` with doses x counted from that of the reference, variance
    :math:`(x' C^{-1} x)^{-1}`, and :math:`Q = (y - b x)' C^{-1} (y - b x)`.

    Parameters
    ----------
    log_ratio, dose : ndarray, shape (..., m)
        y and x.
    covariance : ndarray, shape (..., m, m)
        C.

    Returns
    -------
    TrendLine
        Arrays of the leading shape.
    """
    both = np.stack(np.broadcast_arrays(dose, log_ratio), axis=-1)
    solved = np.linalg.solve(covariance, both)
    x_x, x_y = ((dose[..., None] * solved).sum(axis=-2)[..., i] for i in (0, 1))
    slope = x_y / x_x
    left = log_ratio - slope[..., None] * dose
    weighted = solved[..., 1] - slope[..., None] * solved[..., 0]
    return TrendLine(slope, 1.0 / np.sqrt(x_x), np.maximum((left * weighted).sum(axis=-1), 0.0))


def trend_over_reference(
    log_ratio: FloatArray, dose: FloatArray, variance: FloatArray, share: FloatArray
) -> TrendLine:
    """Lines when nothing is known of the covariance but that it is one number for all pairs.

    Parameters
    ----------
    log_ratio, dose, variance : ndarray, shape (m,)
        Of one study.
    share : ndarray, shape (n,)
        The covariance as shares of the smallest variance, in [0, 1).

    Returns
    -------
    TrendLine
        Arrays of shape (n,).
    """
    covariance = covariance_by_reference(
        share * variance.min(), np.broadcast_to(variance, (share.size, variance.size))
    )
    y, x = (np.broadcast_to(each, (share.size, each.size)) for each in (log_ratio, dose))
    return trend_line(y, x, covariance)


def mean_of_tail(share: float) -> float:
    r"""Mean of a standard normal variable in its highest share q: :math:`\varphi(\Phi^{-1}(q)) / q`."""
    z = float(ndtri(share))
    return float(np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi) / share)
