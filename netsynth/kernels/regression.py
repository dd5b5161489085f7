r"""Weighted least squares: what is left of the effects when a mean, or a regression on a design, is taken out.

With weights :math:`W = \mathrm{diag}(w_i)` and a design X of shape (k, p) the residuals are those of
:math:`P y`, :math:`P = W - W X (X'WX)^{-1} X'W`. Every estimator of the between-study variance is a
function of y'Py, y'PPy and the traces of P, PP and PV. For a mean alone, X a column of ones, they have
short forms, which `MeanFit` holds; `DesignFit` has the same methods for any design.

Shapes: estimates and weights (..., k), a design (..., k, p), results (...). An absent study has weight zero.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

import numpy as np

from netsynth._typing import FloatArray, IntArray

#: A column whose length falls to this share when the columns before it are taken out lies in their span.
_COLLINEAR: Final = 1e-9
#: Numbers in an array from which on its memory costs more than the calls that work on it.
_BULK: Final = 1 << 12


def _sum(values: FloatArray) -> FloatArray:
    """Sum over studies; the method of the array would add a call that costs a single set as much as the sum."""
    return np.asarray(np.add.reduce(values, -1))


def _dot(left: FloatArray, right: FloatArray) -> FloatArray:
    """Sum over studies of the products. In bulk an array of them costs most, else the call of einsum does."""
    if left.size < _BULK:
        return _sum(left * right)
    return np.asarray(np.einsum("...k,...k->...", left, right))


class Fit(Protocol):
    """What is needed of a fit, whatever its design."""

    @property
    def w(self) -> FloatArray:
        """Weights, shape (..., k)."""
        ...

    @property
    def residual(self) -> FloatArray:
        """Effects less the fitted ones, shape (..., k)."""
        ...

    def q(self) -> FloatArray:
        """y'Py, the weighted sum of squared residuals."""
        ...

    def squared(self) -> FloatArray:
        """The form y'PPy."""
        ...

    def cubed(self) -> FloatArray:
        """The form y'PPPy."""
        ...

    def trace(self) -> FloatArray:
        """Trace of P."""
        ...

    def trace_squared(self) -> FloatArray:
        """Trace of PP."""
        ...

    def trace_with(self, variance: FloatArray) -> FloatArray:
        """Trace of P diag(variance)."""
        ...

    def log_determinant(self) -> FloatArray:
        """Logarithm of the determinant of X'WX."""
        ...


class MeanFit(NamedTuple):
    """Weights, their sum, and the effects less their weighted mean."""

    w: FloatArray
    total: FloatArray
    residual: FloatArray

    def q(self) -> FloatArray:
        """The form y'Py."""
        return _dot(self.w * self.residual, self.residual)

    def squared(self) -> FloatArray:
        """y'PPy; Py is the weighted residual."""
        py = self.w * self.residual
        return _dot(py, py)

    def cubed(self) -> FloatArray:
        """The form y'PPPy."""
        py = self.w * self.residual
        return np.asarray(_dot(self.w * py, py) - _dot(self.w, py) ** 2 / self.total)

    def trace(self) -> FloatArray:
        r"""Trace of P, :math:`\sum w - \sum w^2 / \sum w`."""
        return self._trace(self.w)

    def trace_squared(self) -> FloatArray:
        """Trace of PP: its diagonal squared, and twice what stands beside it."""
        first, rest = self.w[..., 0], self.w[..., 1:]
        square = rest * (
            rest / self.total[..., None]
        )  # the fourth power of a weight may be too small for a number
        others = _sum(square)
        # the diagonal of the others is rest - square; their squares twice on the diagonal of `beside` are taken out
        diagonal = (first * (_sum(rest) / self.total)) ** 2 + _dot(rest, rest - 2.0 * square)
        beside = (2.0 * first * (first / self.total) + others) * others
        return np.asarray(diagonal + beside)

    def trace_with(self, variance: FloatArray) -> FloatArray:
        """Trace of P diag(variance)."""
        return self._trace(self.w * np.where(self.w > 0, variance, 0.0))

    def _trace(self, product: FloatArray) -> FloatArray:
        # sum of product * (1 - w / total), without the cancellation of the first term when its weight rules
        rest = self.w[..., 1:]
        others = _dot(product[..., 1:], self.total[..., None] - rest)
        return np.asarray((product[..., 0] * _sum(rest) + others) / self.total)

    def log_determinant(self) -> FloatArray:
        """Logarithm of the sum of the weights."""
        return np.asarray(np.log(self.total))


class DesignFit(NamedTuple):
    """Weights, an orthonormal basis of the weighted design, the residuals, and the triangle of the design.

    The weighted design :math:`W^{1/2} X` is basis times triangle; `basis` has shape (..., k, p), `triangle`
    (..., p, p), `coefficient` (..., p).
    """

    w: FloatArray
    basis: FloatArray
    residual: FloatArray
    triangle: FloatArray
    coefficient: FloatArray

    def q(self) -> FloatArray:
        """The form y'Py."""
        return _dot(self.w * self.residual, self.residual)

    def squared(self) -> FloatArray:
        """The form y'PPy."""
        py = self.w * self.residual
        return _dot(py, py)

    def cubed(self) -> FloatArray:
        """y'PPPy: the length of what the basis leaves of the weighted residuals, weighted again."""
        half = np.sqrt(self.w) * self.w * self.residual
        shares = (self.basis * half[..., None]).sum(-2)
        return np.asarray((half * half).sum(-1) - (shares * shares).sum(-1))

    def leverage(self) -> FloatArray:
        """Diagonal of the hat matrix, shape (..., k)."""
        return np.asarray((self.basis * self.basis).sum(-1))

    def trace(self) -> FloatArray:
        """Trace of P."""
        return np.asarray((self.w * self._slack()).sum(-1))

    def trace_squared(self) -> FloatArray:
        """Trace of PP."""
        square = self.w * self.w
        inner = np.einsum("...kp,...k,...kq->...pq", self.basis, self.w, self.basis)
        crossed = (square * self.leverage()).sum(-1)
        return np.asarray(square.sum(-1) - 2.0 * crossed + (inner * inner).sum((-2, -1)))

    def trace_with(self, variance: FloatArray) -> FloatArray:
        """Trace of P diag(variance)."""
        return np.asarray((self.w * np.where(self.w > 0, variance, 0.0) * self._slack()).sum(-1))

    def log_determinant(self) -> FloatArray:
        """Logarithm of the determinant of X'WX."""
        diagonal = np.diagonal(self.triangle, axis1=-2, axis2=-1)
        return np.asarray(2.0 * np.log(np.abs(diagonal)).sum(-1))

    def _slack(self) -> FloatArray:
        """One less the leverage, from the other studies' shares so that it keeps its digits near zero."""
        leverage = self.leverage()
        ruled = leverage > 0.5
        if not ruled.any():
            return np.asarray(1.0 - leverage)
        cross = self.basis @ np.swapaxes(self.basis, -1, -2)
        cross = np.where(np.eye(cross.shape[-1], dtype=np.bool_), 0.0, cross)
        others = (cross * cross).sum(-1)
        return np.where(ruled, others / np.where(ruled, leverage, 1.0), 1.0 - leverage)


class Regression(NamedTuple):
    """A weighted regression of each set of studies."""

    coefficient: FloatArray
    covariance: FloatArray
    fitted: FloatArray
    leverage: FloatArray
    q: FloatArray


def mean_fit(estimate: FloatArray, weight: FloatArray) -> MeanFit:
    """Take the weighted mean out of effects, both of shape (..., k)."""
    total = _sum(weight)
    mean = _dot(weight, estimate) / total
    return MeanFit(weight, total, estimate - mean[..., None])


def design_fit(estimate: FloatArray, weight: FloatArray, design: FloatArray) -> DesignFit:
    """Take a weighted regression on `design` out of effects, by Gram-Schmidt done twice.

    A column in the span of those before it gives nan, so that no number comes of a design that has no answer.
    """
    half = np.sqrt(weight)
    scaled = half[..., None] * design
    p = design.shape[-1]
    shape = np.broadcast_shapes(weight.shape, estimate.shape, design.shape[:-1])
    basis = np.empty((*shape, p))
    triangle = np.zeros((*shape[:-1], p, p))
    for j in range(p):
        column = np.broadcast_to(scaled[..., j], shape)
        length = np.sqrt((column * column).sum(-1))
        for _ in range(2):  # the second pass takes out what rounding left by the first
            for i in range(j):
                share = (basis[..., i] * column).sum(-1)
                triangle[..., i, j] += share
                column = column - share[..., None] * basis[..., i]
        rest = np.sqrt((column * column).sum(-1))
        rest = np.where(rest > _COLLINEAR * length, rest, np.nan)
        triangle[..., j, j] = rest
        basis[..., j] = column / rest[..., None]
    remainder = half * estimate
    share = np.zeros((*shape[:-1], p))
    for _ in range(2):
        for j in range(p):
            part = (basis[..., j] * remainder).sum(-1)
            share[..., j] += part
            remainder = remainder - part[..., None] * basis[..., j]
    coefficient = _solve_upper(triangle, share)
    fitted = np.einsum("...kp,...p->...k", design, coefficient)
    return DesignFit(weight, basis, estimate - fitted, triangle, coefficient)


def _solve_upper(triangle: FloatArray, right: FloatArray) -> FloatArray:
    """Back substitution, right-hand sides of shape (..., p)."""
    p = right.shape[-1]
    solution = np.empty(right.shape)
    for j in range(p - 1, -1, -1):
        known = (triangle[..., j, j + 1 :] * solution[..., j + 1 :]).sum(-1)
        solution[..., j] = (right[..., j] - known) / triangle[..., j, j]
    return solution


class Standard(NamedTuple):
    """Sets of studies in standard form: effects, variances from 1 up, the unit of variance, the design if any."""

    y: FloatArray
    v: FloatArray
    unit: FloatArray
    design: FloatArray | None

    @property
    def df(self) -> FloatArray:
        """Degrees of freedom left, studies less coefficients, shape (...)."""
        return np.asarray(n_studies(self.v) - (1 if self.design is None else self.design.shape[-1]))

    def at(self, tau2: FloatArray | float) -> Fit:
        """The fit with weights 1 / (v + tau2)."""
        total = self.v + np.asarray(tau2)[..., None]
        return self.weighted(np.reciprocal(total, out=total))

    def weighted(self, weight: FloatArray) -> Fit:
        """The fit with weights of one's own."""
        return mean_fit(self.y, weight) if self.design is None else design_fit(self.y, weight, self.design)


def along_sets(array: FloatArray) -> FloatArray:
    """The same array with sets, not studies, side by side in memory, where sums over few studies are fast."""
    if array.size == array.shape[-1] or array.strides[-1] >= max(array.strides):
        return array
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, -1, 0)), 0, -1)


def n_studies(variance: FloatArray) -> IntArray:
    """Studies present in each set: those whose variance is finite.

    Parameters
    ----------
    variance : ndarray, shape (..., k)

    Returns
    -------
    ndarray of int, shape (...)
    """
    return np.asarray(np.isfinite(variance).sum(-1))


def standardised(estimate: FloatArray, variance: FloatArray, design: FloatArray | None = None) -> Standard:
    """Variances in units of the smallest, effects in units of its root and near zero.

    So weights lie in [0, 1], and neither the size of the effects nor one study that is a million times
    as precise as the others costs digits. Without a design the study of least variance comes first and effects
    are relative to its, so that identical effects have a Q of exactly zero; with one, what a weighted
    regression explains is taken out beforehand.
    """
    if estimate.shape != variance.shape:
        estimate, variance = np.broadcast_arrays(estimate, variance)
    if design is not None:
        unit = variance.min(-1)
        residual = design_fit(estimate, unit[..., None] / variance, design).residual
        present = np.isfinite(variance)
        y = np.where(present, residual, 0.0) / np.sqrt(unit)[..., None]
        return Standard(y, variance / unit[..., None], unit, design)
    first = variance.argmin(-1)
    if variance.ndim == 1:  # the general way below costs a single set as much as its arithmetic
        order = np.arange(variance.size)
        order[0], order[first] = first, 0
        y, v = estimate[order], variance[order]
    else:
        y, v = (np.moveaxis(np.array(np.moveaxis(a, -1, 0), order="C"), 0, -1) for a in (estimate, variance))
        for array in (y, v):  # sets, not studies, are side by side in memory: see `along_sets`
            least = np.take_along_axis(array, first[..., None], -1)
            np.put_along_axis(array, first[..., None], array[..., :1].copy(), -1)
            array[..., :1] = least
    unit = v[..., :1]
    return Standard((y - y[..., :1]) / np.sqrt(unit), v / unit, unit[..., 0], None)


def weighted_regression(estimate: FloatArray, variance: FloatArray, design: FloatArray) -> Regression:
    r"""Regression with weights :math:`w_i = 1 / v_i`: :math:`\hat\beta = (X'WX)^{-1} X'W y`.

    Parameters
    ----------
    estimate, variance : ndarray, shape (..., k)
        Under random effects `variance` includes tau2. An absent study has infinite variance.
    design : ndarray, shape (..., k, p)
        One column a coefficient, a column of ones for the intercept among them if there is one. nan comes
        back where its columns are collinear.

    Returns
    -------
    Regression
        `coefficient` (..., p); `covariance` (..., p, p), :math:`(X'WX)^{-1}`; `fitted` and `leverage`, the
        diagonal of the hat matrix, (..., k); and `q` (...), the weighted sum of squared residuals.

    Examples
    --------
    >>> y, v = np.array([1.0, 2.0, 4.0]), np.array([1.0, 1.0, 1.0])
    >>> fit = weighted_regression(y, v, np.column_stack([np.ones(3), [0.0, 1.0, 2.0]]))
    >>> fit.coefficient.round(3).tolist(), fit.leverage.round(3).tolist()
    ([0.833, 1.5], [0.833, 0.333, 0.833])
    """
    fit = design_fit(estimate, 1.0 / variance, design)
    p = design.shape[-1]
    inverse = np.empty(fit.triangle.shape)
    for j in range(p):
        unit = np.zeros(fit.coefficient.shape)
        unit[..., j] = 1.0
        inverse[..., :, j] = _solve_upper(fit.triangle, unit)
    covariance = inverse @ np.swapaxes(inverse, -1, -2)
    fitted = estimate - fit.residual
    return Regression(fit.coefficient, covariance, fitted, fit.leverage(), fit.q())
