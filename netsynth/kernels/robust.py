r"""Cluster-robust variance of weighted least squares, and the weights of correlated effects.

Results of one cohort may depend on each other in unknown ways; cohorts are independent. The coefficients are
those of least squares weighted by the inverse of a working covariance :math:`\Phi`, which may be wrong: the
variance comes from the residuals of whole cohorts.

`estimate` has shape (..., k), with any number of sets of results on the leading axes. A result that a set
lacks has infinite working variance, so weight zero, and any estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np

from netsynth._typing import BoolArray, FloatArray, IntArray

#: Share of a direction's variance that is left in the residuals, below which it counts as none.
_NO_RESIDUAL: Final = 1e-10


class Robust(NamedTuple):
    """Coefficients (..., p), their robust covariance (..., p, p), and degrees of freedom of each (..., p)."""

    coefficient: FloatArray
    covariance: FloatArray
    df: FloatArray


class RobustTest(NamedTuple):
    """F of the test that some contrasts are zero, and its degrees of freedom, (...)."""

    statistic: FloatArray
    df: FloatArray
    df_residual: FloatArray


class CorrelatedEffects(NamedTuple):
    """Variance between cohorts (...), and working variances (..., k) whose inverse are the weights."""

    tau2: FloatArray
    variance: FloatArray


class _Blocks(NamedTuple):
    """Cohorts side by side, (..., m, n), the short ones filled up with results of variance 1 and no design."""

    y: FloatArray
    x: FloatArray
    phi: FloatArray
    n_clusters: IntArray


class _Pieces(NamedTuple):
    """Coefficients and their robust covariance; (X'WX)^-1; and column by column the g of each, (..., m, n, p)."""

    blocks: _Blocks
    bread: FloatArray
    pull: FloatArray
    coefficient: FloatArray
    covariance: FloatArray


_Adjusted: TypeAlias = Callable[[_Blocks, FloatArray], FloatArray]


def _slots(cluster: IntArray) -> tuple[IntArray, BoolArray]:
    """Place in the data of each result of each cohort, (m, n), and whether there is one."""
    order = np.argsort(cluster, kind="stable")
    _, first, size = np.unique(cluster[order], return_index=True, return_counts=True)
    within = np.arange(size.max())
    filled = within < size[:, None]
    return order[np.where(filled, first[:, None] + within, 0)], filled


def _blocks(estimate: FloatArray, working: FloatArray, cluster: IntArray, design: FloatArray) -> _Blocks:
    """Blocks in units of the mean working variance, which cancels from what follows."""
    slots, filled = _slots(cluster)
    lead = np.broadcast_shapes(estimate.shape[:-1], working.shape[:-2], design.shape[:-2])
    diagonal = np.diagonal(working, axis1=-2, axis2=-1)
    present = np.isfinite(diagonal)
    unit = np.where(present, diagonal, 0.0).sum(-1) / present.sum(-1)
    there = np.broadcast_to(filled & present[..., slots], (*lead, *slots.shape))
    phi = working[..., slots[:, :, None], slots[:, None, :]] / unit[..., None, None, None]
    phi = np.where(there[..., :, None] & there[..., None, :], phi, np.eye(slots.shape[1]))
    y = np.where(there, estimate[..., slots], 0.0)
    x = np.where(there[..., None], design[..., slots, :], 0.0)
    return _Blocks(y, x, phi, there.any(-1).sum(-1))


def _turn(matrix: FloatArray) -> FloatArray:
    return np.swapaxes(matrix, -1, -2)


def _identity(blocks: _Blocks) -> FloatArray:
    return np.broadcast_to(np.eye(blocks.phi.shape[-1]), blocks.phi.shape)


def _unadjusted(blocks: _Blocks, bread: FloatArray) -> FloatArray:  # noqa: ARG001  the signature of its siblings
    return _identity(blocks)


def _scaled(blocks: _Blocks, spent: int) -> FloatArray:
    m = blocks.n_clusters
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(m > spent, np.sqrt(m / (m - spent)), np.nan)
    return factor[..., None, None, None] * _identity(blocks)


def _over_m_less_1(blocks: _Blocks, bread: FloatArray) -> FloatArray:  # noqa: ARG001
    return _scaled(blocks, 1)


def _over_m_less_p(blocks: _Blocks, bread: FloatArray) -> FloatArray:
    return _scaled(blocks, bread.shape[-1])


def _unbiased(blocks: _Blocks, bread: FloatArray) -> FloatArray:
    """The symmetric A with A (Phi - X C X') A = Phi, which makes the variance right if Phi is."""
    root = np.asarray(np.linalg.cholesky(blocks.phi))
    turned = np.asarray(np.linalg.solve(root, blocks.x))
    kept, axes = map(
        np.asarray, np.linalg.eigh(_identity(blocks) - turned @ bread[..., None, :, :] @ _turn(turned))
    )
    has_residual = kept > _NO_RESIDUAL
    half = (
        (axes * np.sqrt(np.where(has_residual, kept, 0.0))[..., None, :]) @ _turn(axes) @ _turn(root) @ root
    )
    # A = L (T'T)^(-1/2) L' with T = K^(1/2) L'L, Phi = L L', Phi - X C X' = L K L'; by the singular values of T,
    # since T'T would square the spread of the variances
    _, sizes, right = map(np.asarray, np.linalg.svd(half))
    there = np.arange(sizes.shape[-1]) < has_residual.sum(-1)[..., None]
    inverse = np.where(there, 1.0 / np.where(there, sizes, 1.0), 0.0)
    outer = root @ _turn(right)
    return np.asarray((outer * inverse[..., None, :]) @ _turn(outer))


RobustMethod = Literal["CR0", "CR1", "CR1p", "CR2"]
#: Every adjustment of the residuals by name: none, :math:`\\sqrt{m / (m - 1)}`, :math:`\\sqrt{m / (m - p)}`, and
#: bias-reduced linearization.
ROBUST_METHODS: Final[Mapping[RobustMethod, _Adjusted]] = MappingProxyType(
    {"CR0": _unadjusted, "CR1": _over_m_less_1, "CR1p": _over_m_less_p, "CR2": _unbiased}
)


def cluster_robust(
    estimate: FloatArray,
    working: FloatArray,
    cluster: IntArray,
    design: FloatArray,
    method: RobustMethod = "CR2",
) -> Robust:
    r"""Weighted least squares with a variance that is robust to dependence within cohorts [1]_.

    With :math:`W = \Phi^{-1}`, :math:`C = (X'WX)^{-1}` and residuals :math:`e_i` of cohort i the covariance is
    :math:`C \left(\sum_i X_i'W_iA_i e_i e_i'A_i'W_iX_i\right) C`. For CR2 :math:`A_i` is the symmetric solution
    of :math:`A_i (\Phi_i - X_iCX_i') A_i = \Phi_i`, so the covariance is unbiased if :math:`\Phi` is right up to
    a factor, and the degrees of freedom of each coefficient are Satterthwaite's,
    :math:`(\mathrm{tr}\,P)^2 / \mathrm{tr}\,P^2` with :math:`P_{ij} = g_i'(\delta_{ij}\Phi_i - X_iCX_j')g_j` and
    :math:`g_i` the column of :math:`A_iW_iX_iC` [2]_ [3]_. For the others they are m - p, with m cohorts.

    Parameters
    ----------
    estimate : ndarray, shape (..., k)
    working : ndarray, shape (..., k, k)
        Working covariance, heterogeneity included; what it holds between cohorts is not read.
    cluster : ndarray of int, shape (k,)
        Cohort of each result.
    design : ndarray, shape (..., k, p)
    method : {"CR0", "CR1", "CR1p", "CR2"}

    Returns
    -------
    Robust
        nan where no degrees of freedom are left.

    References
    ----------
    .. [1] Hedges LV, Tipton E, Johnson MC (2010). Robust variance estimation in meta-regression with
       dependent effect size estimates. Res Synth Methods 1:39-65. https://doi.org/10.1002/jrsm.5
    .. [2] Tipton E (2015). Small sample adjustments for robust variance estimation with meta-regression.
       Psychol Methods 20:375-393. https://doi.org/10.1037/met0000011
    .. [3] Pustejovsky JE, Tipton E (2018). Small-sample methods for cluster-robust variance estimation and
       hypothesis testing in fixed effects models. J Bus Econ Stat 36:672-683.
       https://doi.org/10.1080/07350015.2016.1247004
    """
    blocks, bread, pull, coefficient, covariance = _pieces(estimate, working, cluster, design, method)
    p = bread.shape[-1]
    if method == "CR2":
        df = _satterthwaite(blocks, bread, pull)
    else:
        df = np.broadcast_to(blocks.n_clusters - float(p), covariance.shape[:-2])[..., None] * np.ones(p)
    defined = (df > 0) & (blocks.n_clusters[..., None] > p)
    covariance = np.where(defined[..., :, None] & defined[..., None, :], covariance, np.nan)
    return Robust(coefficient, covariance, np.where(defined, df, np.nan))


def _pieces(
    estimate: FloatArray, working: FloatArray, cluster: IntArray, design: FloatArray, method: RobustMethod
) -> _Pieces:
    blocks = _blocks(estimate, working, cluster, design)
    weighted = np.linalg.solve(blocks.phi, np.concatenate([blocks.x, blocks.y[..., None]], axis=-1))
    w_x, w_y = weighted[..., :-1], weighted[..., -1:]
    bread = np.linalg.inv((_turn(blocks.x) @ w_x).sum(-3))
    coefficient = (bread @ (_turn(blocks.x) @ w_y).sum(-3))[..., 0]
    # once more on what is left, so that effects far from zero cost no digits
    left = blocks.y - (blocks.x @ coefficient[..., None, :, None])[..., 0]
    rest = (bread @ (_turn(w_x) @ left[..., None]).sum(-3))[..., 0]
    coefficient = coefficient + rest
    left = left - (blocks.x @ rest[..., None, :, None])[..., 0]

    adjust = ROBUST_METHODS[method](blocks, bread)
    pull = adjust @ w_x @ bread[..., None, :, :]
    scores = (_turn(pull) @ left[..., None])[..., 0]
    return _Pieces(blocks, bread, pull, coefficient, _turn(scores) @ scores)


def _satterthwaite(blocks: _Blocks, bread: FloatArray, pull: FloatArray) -> FloatArray:
    """Degrees of freedom of each coefficient, (..., p), without forming the m by m matrix P."""
    own = (pull * (blocks.phi @ pull)).sum(-2)  # (..., m, p): g'Phi g
    seen = _turn(pull) @ blocks.x  # (..., m, p, p): row c is g'X for coefficient c
    through = seen @ bread[..., None, :, :]
    shared = (through * seen).sum(-1)  # (..., m, p): g'X C X'g
    outer = np.einsum("...mca,...mcb->...cab", through, seen)
    trace = (own - shared).sum(-2)
    square = (own**2 - 2.0 * own * shared).sum(-2) + np.einsum("...cab,...cba->...c", outer, outer)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(square > 0, trace**2 / square, np.nan))


def hotelling_test(
    estimate: FloatArray, working: FloatArray, cluster: IntArray, design: FloatArray, contrast: FloatArray
) -> RobustTest:
    r"""Test that contrasts :math:`C\beta` are zero, with CR2 and few cohorts [1]_ [2]_.

    With :math:`Q = (C\hat\beta)'(CVC')^{-1}C\hat\beta` and q contrasts, Q is taken to be Hotelling's with
    :math:`\eta` degrees of freedom, so that :math:`F = (\eta - q + 1) Q / (\eta q)` has q and :math:`\eta - q + 1`.
    :math:`\eta = q(q + 1) / \sum_{st} \mathrm{var}(D_{st})`, the one of a Wishart matrix whose entries vary as much in
    all as those of :math:`D = \Omega^{-1/2}CVC'\Omega^{-1/2}` do if :math:`\Phi` is right, :math:`\Omega` being the
    expectation of :math:`CVC'`. With one contrast they are Satterthwaite's.

    Parameters
    ----------
    estimate, working, cluster, design : ndarray
        As in `cluster_robust`.
    contrast : ndarray, shape (q, p)
        Of full rank.

    Returns
    -------
    RobustTest
        nan where no degrees of freedom are left.

    References
    ----------
    .. [1] Tipton E, Pustejovsky JE (2015). Small-sample adjustments for tests of moderators and model fit using
       robust variance estimation in meta-regression. J Educ Behav Stat 40:604-634.
    .. [2] Pustejovsky JE, Tipton E (2018). Small-sample methods for cluster-robust variance estimation and
       hypothesis testing in fixed effects models. J Bus Econ Stat 36:672-683.
       https://doi.org/10.1080/07350015.2016.1247004
    """
    blocks, bread, pull, coefficient, covariance = _pieces(estimate, working, cluster, design, "CR2")
    q = contrast.shape[0]
    g = pull @ contrast.T  # (..., m, n, q)
    own, seen = _turn(g) @ blocks.phi @ g, _turn(g) @ blocks.x
    root = np.linalg.cholesky(bread)[..., None, :, :]
    omega = (own - seen @ bread[..., None, :, :] @ _turn(seen)).sum(-3)
    sizes, axes = map(np.asarray, np.linalg.eigh(omega))
    whole = np.trace(contrast @ bread @ contrast.T, axis1=-2, axis2=-1)
    known = (sizes[..., 0] > _NO_RESIDUAL * whole / q) & (blocks.n_clusters > bread.shape[-1])
    half = axes / np.sqrt(np.where(known[..., None], sizes, 1.0))[..., None, :]
    half = (half @ _turn(axes))[..., None, :, :]
    own, through = (
        half @ own @ half,
        half @ seen @ root,
    )  # D_i, and K_i with cov(z_i, z_j) = d_ij D_i - K_i K_j'
    shared = through @ _turn(through)

    def trace(matrix: FloatArray) -> FloatArray:
        return np.asarray(np.trace(matrix, axis1=-2, axis2=-1))

    crossed = np.einsum("...msa,...mtb->...satb", through, through)
    spread = (trace(own) ** 2 - 2.0 * trace(own) * trace(shared)).sum(-1)
    spread = spread + trace(own @ own - 2.0 * own @ shared).sum(-1)
    spread = spread + np.einsum("...satb,...satb->...", crossed, crossed)
    spread = spread + np.einsum("...satb,...tasb->...", crossed, crossed)
    with np.errstate(divide="ignore", invalid="ignore"):
        eta = q * (q + 1.0) / spread
        df = eta - q + 1.0
        value = (coefficient @ contrast.T)[..., None]
        middle = contrast @ covariance @ contrast.T
        sound = known & (df > 0) & (np.linalg.matrix_rank(middle, hermitian=True) == q)
        middle = np.where(sound[..., None, None], middle, np.eye(q))
        statistic = df / (eta * q) * (_turn(value) @ np.linalg.solve(middle, value))[..., 0, 0]
    return RobustTest(
        np.where(sound, statistic, np.nan), np.full(np.shape(df), float(q)), np.where(sound, df, np.nan)
    )


def correlated_effects(
    estimate: FloatArray,
    variance: FloatArray,
    cluster: IntArray,
    design: FloatArray,
    correlation: FloatArray | float,
) -> CorrelatedEffects:
    r"""Weights for results that all come from the patients of their cohort, and the tau2 in them.

    Each of the :math:`n_i` results of a cohort has weight :math:`1 / (n_i (\bar v_i + \tau^2))` with
    :math:`\bar v_i` the mean of their variances, and :math:`\tau^2` is the moment estimator from the weighted
    sum of squares at :math:`\tau^2 = 0`, truncated at zero, under the assumed correlation [1]_.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
    cluster : ndarray of int, shape (k,)
    design : ndarray, shape (k, p)
    correlation : float or ndarray, shape (...)
        Of the sampling errors within a cohort.

    Returns
    -------
    CorrelatedEffects

    References
    ----------
    .. [1] Hedges LV, Tipton E, Johnson MC (2010). Robust variance estimation in meta-regression with
       dependent effect size estimates. Res Synth Methods 1:39-65. https://doi.org/10.1002/jrsm.5
    """
    _, position = np.unique(cluster, return_inverse=True)
    member = (position == np.arange(position.max() + 1)[:, None]).astype(np.float64)  # (m, k)
    present = np.isfinite(variance)
    n = present @ member.T  # (..., m)
    here = np.maximum(n, 1.0)
    mean = (np.where(present, variance, 0.0) @ member.T) / here
    n_results, spread = here @ member, mean @ member
    w = np.where(present, 1.0 / (n_results * np.where(spread > 0, spread, 1.0)), 0.0)  # (..., k)

    x_w = w[..., None] * design
    bread = np.linalg.inv(_turn(x_w) @ design)
    y = np.where(present, estimate, 0.0)
    residual = y - (bread @ (_turn(x_w) @ y[..., None]))[..., 0] @ design.T
    residual = residual - (bread @ (_turn(x_w) @ residual[..., None]))[..., 0] @ design.T
    q = (w * residual**2).sum(-1)
    # E(q) is linear in tau2 and in the correlation: traces of X'WSWX C with S = I or 11' in each cohort
    apart = _turn(x_w / n_results[..., None]) @ design
    sums = member @ x_w  # (..., m, p)
    together = _turn(sums * mean[..., None]) @ sums
    trace_apart = np.trace(bread @ apart, axis1=-2, axis2=-1)
    trace_together = np.trace(bread @ together, axis1=-2, axis2=-1)
    trace_tau2 = np.trace(bread @ (_turn(sums) @ sums), axis1=-2, axis2=-1)
    expected = (n > 0).sum(-1) - trace_apart - correlation * (trace_together - trace_apart)
    slope = w.sum(-1) - trace_tau2
    excess = q - expected
    tau2 = np.where((excess > 0) & (slope > 0), excess / np.where(slope > 0, slope, 1.0), 0.0)
    working = np.where(present, n_results * (spread + tau2[..., None]), np.inf)
    return CorrelatedEffects(np.asarray(tau2), working)
