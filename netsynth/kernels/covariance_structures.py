r"""Shapes a covariance matrix between studies may take: its parameters, the matrix, and its derivatives.

With p outcomes a `Structure` maps parameters of shape (..., t) to a positive semi-definite matrix of shape
(..., p, p). Parameters may reach the ends of their range, where the matrix is singular: a variance of zero and a
correlation of one are values like others, and a maximum may lie there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np

from netsynth._typing import FloatArray

CovarianceStructure = Literal[
    "unstructured",
    "diagonal",
    "identity",
    "compound_symmetry",
    "heterogeneous_cs",
    "ar1",
    "heterogeneous_ar1",
]
Correlation: TypeAlias = Callable[[FloatArray, int], tuple[FloatArray, FloatArray, FloatArray]]


class Structure(NamedTuple):
    """One shape of a covariance matrix of p outcomes.

    `bounds(p)` gives the lower and upper ends of the t parameters; `matrix(theta, p)` the matrix;
    `jacobian(theta, p)` its slopes, shape (..., t, p, p); `curvature(theta, slope)` the sum of its second
    derivatives weighted by a symmetric matrix, shape (..., t, t); `nearest(matrix)` the parameters of a matrix
    like a given positive definite one. With `one_scale` all outcomes have one variance, so that they must be
    measured in one unit.
    """

    bounds: Callable[[int], tuple[FloatArray, FloatArray]]
    matrix: Callable[[FloatArray, int], FloatArray]
    jacobian: Callable[[FloatArray, int], FloatArray]
    curvature: Callable[[FloatArray, FloatArray], FloatArray]
    nearest: Callable[[FloatArray], FloatArray]
    one_scale: bool

    def n_parameters(self, p: int) -> int:
        """Number of parameters for p outcomes."""
        return self.bounds(p)[0].size


def _linear(basis: Callable[[int], FloatArray], *, one_scale: bool) -> Structure:
    """Non-negative multiples of matrices that are orthogonal to each other: every multiple is an eigenvalue."""

    def bounds(p: int) -> tuple[FloatArray, FloatArray]:
        t = len(basis(p))
        return np.zeros(t), np.full(t, np.inf)

    def matrix(theta: FloatArray, p: int) -> FloatArray:
        return np.asarray(np.einsum("...t,tab->...ab", theta, basis(p)))

    def jacobian(theta: FloatArray, p: int) -> FloatArray:
        shapes = basis(p)
        return np.broadcast_to(shapes, (*theta.shape[:-1], *shapes.shape))

    def curvature(theta: FloatArray, _slope: FloatArray) -> FloatArray:
        return np.zeros((*theta.shape, theta.shape[-1]))

    def nearest(matrix: FloatArray) -> FloatArray:
        shapes = basis(matrix.shape[-1])
        share = np.einsum("...ab,tab->...t", matrix, shapes) / np.einsum("tab,tab->t", shapes, shapes)
        return np.asarray(np.maximum(share, 0.0))

    return Structure(bounds, matrix, jacobian, curvature, nearest, one_scale)


def _identity_basis(p: int) -> FloatArray:
    return np.eye(p)[None]


def _diagonal_basis(p: int) -> FloatArray:
    return np.asarray(np.einsum("ta,tb->tab", np.eye(p), np.eye(p)))


def _symmetry_basis(p: int) -> FloatArray:
    """The mean of the outcomes, and their differences from it."""
    mean = np.full((p, p), 1.0 / p)
    return np.stack([mean, np.eye(p) - mean])


def _scaled(correlation: Correlation, lowest: Callable[[int], float], *, one_scale: bool) -> Structure:
    """Standard deviations, one or p of them, and last the one parameter of a correlation matrix."""

    def bounds(p: int) -> tuple[FloatArray, FloatArray]:
        n = 1 if one_scale else p
        return np.append(np.zeros(n), lowest(p)), np.append(np.full(n, np.inf), 1.0)

    def parts(theta: FloatArray, p: int) -> tuple[FloatArray, tuple[FloatArray, FloatArray, FloatArray]]:
        tau = np.broadcast_to(theta[..., :-1], (*theta.shape[:-1], p))
        return tau, correlation(theta[..., -1], p)

    def outer(tau: FloatArray) -> FloatArray:
        return np.asarray(tau[..., :, None] * tau[..., None, :])

    def matrix(theta: FloatArray, p: int) -> FloatArray:
        tau, (r, _, _) = parts(theta, p)
        return np.asarray(outer(tau) * r)

    def jacobian(theta: FloatArray, p: int) -> FloatArray:
        tau, (r, r1, _) = parts(theta, p)
        rows = np.eye(p)[:, :, None] * (tau[..., None, :] * r)[..., :, None, :]
        by_tau = rows + rows.swapaxes(-1, -2)
        if one_scale:
            by_tau = by_tau.sum(-3, keepdims=True)
        return np.concatenate([by_tau, (outer(tau) * r1)[..., None, :, :]], axis=-3)

    def curvature(theta: FloatArray, slope: FloatArray) -> FloatArray:
        p = slope.shape[-1]
        tau, (r, r1, r2) = parts(theta, p)
        by_tau = 2.0 * slope * r
        mixed = 2.0 * np.einsum("...ab,...b->...a", slope * r1, tau)
        if one_scale:
            by_tau, mixed = by_tau.sum((-1, -2))[..., None, None], mixed.sum(-1, keepdims=True)
        last = (slope * outer(tau) * r2).sum((-1, -2))
        n = by_tau.shape[-1]
        whole = np.empty((*theta.shape, n + 1))
        whole[..., :n, :n], whole[..., :n, n], whole[..., n, :n] = by_tau, mixed, mixed
        whole[..., n, n] = last
        return whole

    def nearest(matrix: FloatArray) -> FloatArray:
        p = matrix.shape[-1]
        variance = np.diagonal(matrix, axis1=-2, axis2=-1)
        tau = np.sqrt(variance.mean(-1, keepdims=True) if one_scale else variance)
        scale = np.sqrt(outer(variance))
        beside = np.diagonal(matrix / scale, offset=1, axis1=-2, axis2=-1)
        rho = np.clip(beside.mean(-1, keepdims=True), 0.9 * lowest(p), 0.95)
        return np.concatenate([tau, rho], axis=-1)

    return Structure(bounds, matrix, jacobian, curvature, nearest, one_scale)


def _equal_correlation(rho: FloatArray, p: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    off = 1.0 - np.eye(p)
    r1 = np.broadcast_to(off, (*rho.shape, p, p))
    return np.eye(p) + rho[..., None, None] * off, r1, np.zeros_like(r1)


def _serial_correlation(rho: FloatArray, p: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    lag = np.abs(np.subtract.outer(np.arange(p), np.arange(p))).astype(np.float64)
    base = rho[..., None, None]
    first = lag * base ** np.maximum(lag - 1.0, 0.0)
    second = lag * (lag - 1.0) * base ** np.maximum(lag - 2.0, 0.0)
    return base**lag, first, second


def _least_equal(p: int) -> float:
    """The lowest correlation that p outcomes can all have with each other."""
    return -1.0 / (p - 1)


def _least_serial(_p: int) -> float:
    return -1.0


def _lower(theta: FloatArray, p: int) -> FloatArray:
    factor = np.zeros((*theta.shape[:-1], p, p))
    factor[(..., *np.tril_indices(p))] = theta
    return factor


def _free_bounds(p: int) -> tuple[FloatArray, FloatArray]:
    t = p * (p + 1) // 2
    return np.full(t, -np.inf), np.full(t, np.inf)


def _free_matrix(theta: FloatArray, p: int) -> FloatArray:
    factor = _lower(theta, p)
    return factor @ factor.swapaxes(-1, -2)


def _free_jacobian(theta: FloatArray, p: int) -> FloatArray:
    factor, (row, column) = _lower(theta, p), np.tril_indices(p)
    rows = np.zeros((*theta.shape, p, p))
    rows[..., np.arange(row.size), row, :] = factor.swapaxes(-1, -2)[..., column, :]
    return rows + rows.swapaxes(-1, -2)


def _free_curvature(_theta: FloatArray, slope: FloatArray) -> FloatArray:
    row, column = np.tril_indices(slope.shape[-1])
    same_column = column[:, None] == column
    return np.asarray(2.0 * slope[..., row[:, None], row] * same_column)


def _free_nearest(matrix: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.cholesky(matrix)[(..., *np.tril_indices(matrix.shape[-1]))])


#: Every structure by name. metafor calls them UN, DIAG, ID, CS, HCS, AR and HAR. An unstructured matrix has the
#: entries of its Cholesky factor as parameters; those of compound symmetry are the two eigenvalues.
STRUCTURES: Final[Mapping[CovarianceStructure, Structure]] = MappingProxyType(
    {
        "unstructured": Structure(
            _free_bounds, _free_matrix, _free_jacobian, _free_curvature, _free_nearest, one_scale=False
        ),
        "diagonal": _linear(_diagonal_basis, one_scale=False),
        "identity": _linear(_identity_basis, one_scale=True),
        "compound_symmetry": _linear(_symmetry_basis, one_scale=True),
        "heterogeneous_cs": _scaled(_equal_correlation, _least_equal, one_scale=False),
        "ar1": _scaled(_serial_correlation, _least_serial, one_scale=True),
        "heterogeneous_ar1": _scaled(_serial_correlation, _least_serial, one_scale=False),
    }
)
