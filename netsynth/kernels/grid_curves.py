r"""Curves of studies on a common grid of times, pooled on log(-log S) with one effect a time.

The model is :math:`y_i \sim N(\beta, V_i + E_i + \Psi)` with :math:`y_{ij} = \ln(-\ln S_i(t_j))`. Increments of log
survival are independent within a study, so that

.. math:: V_{i,jl} = \frac{G_{i,\min(j, l)}}{H_j H_l}, \qquad
   G_{ij} = \sum_{a \le j} \frac{1}{m_{ia}} \left(\frac{1}{S_a} - \frac{1}{S_{a-1}}\right),

where :math:`m_{ia}` is the number of patients who, all followed, would leave as many at the start of interval a as
there were. S and H are those of the pooled curve: variances that rest on the estimates themselves go with them, and the
finer the grid, the more their mean is biased [1]_. :math:`E_i` is what the reconstruction of a study adds, as it is.

Arrays have shape (k, m), studies by times; `present` marks what a study tells, and the rest is 0.

References
----------
.. [1] Arends LR, Hunink MGM, Stijnen T (2008). Meta-analysis of summary survival curve data. Stat Med 27:4381-4396.
   https://doi.org/10.1002/sim.3311
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from netsynth._typing import BoolArray, FloatArray
from netsynth.kernels import multivariate
from netsynth.kernels.multivariate_fit import BetweenMethod, psi_between

_MAX_ITERATIONS: Final = 200
#: Largest change of the pooled log(-log S) at which the iteration has arrived.
_TOLERANCE: Final = 1e-9


class GridFit(NamedTuple):
    """A pooled curve: estimates (m,), their covariance and that between studies (m, m), and what they rest on.

    `within` (k, m, m) are the covariances of the studies' estimates that were used, variances infinite where a study
    tells nothing. `q` is Cochran's statistic with the covariances of the common-effect curve, on `q_df`.
    """

    estimate: FloatArray
    covariance: FloatArray
    psi: FloatArray
    within: FloatArray
    q: float
    q_df: int
    converged: bool
    n_iterations: int


def followed(survival: FloatArray, greenwood: FloatArray, n_at_start: FloatArray) -> FloatArray:
    """Patients who, all followed, would leave as many at each start as there were, the :math:`m` of the module.

    Parameters
    ----------
    survival, greenwood : ndarray, shape (..., m)
        Estimates at the times, and Greenwood's sums.
    n_at_start : ndarray, shape (..., m)
        Patients at risk at the start of each interval: what is taken where no event tells a number.

    Examples
    --------
    Of 10 patients 2 die, 4 leave, and 1 of the other 4 dies:

    >>> followed(np.array([0.8, 0.6]), np.cumsum([0.2 / (0.8 * 10), 0.25 / (0.75 * 4)]), np.array([10.0, 4.0])).round(3)
    array([10.,  5.])
    """
    one = np.ones((*survival.shape[:-1], 1))
    before = np.concatenate([one, survival[..., :-1]], axis=-1)
    step = np.diff(greenwood, axis=-1, prepend=0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = survival / before
        n = np.where(step > 0, (1.0 - p) / (p * step), n_at_start)
        return np.asarray(n / before)


def within_covariance(theta: FloatArray, followed: FloatArray, present: BoolArray) -> FloatArray:
    """The :math:`V_i` of the module at a curve of log(-log S), shape (m,): shape (k, m, m), 0 where nothing is told."""
    m = np.where(present, followed, 1.0)
    hazard = np.exp(theta)
    # an interval in which the curve does not fall counts as a quarter of an event among all patients
    steps = np.maximum(np.diff(hazard, prepend=0.0), 0.25 / np.where(present, followed, 0.0).sum(axis=0))
    hazard = np.cumsum(steps)
    order = np.arange(theta.size)
    told = np.maximum.accumulate(np.where(present, order + 1, 0), axis=-1)
    since = np.concatenate(
        [np.zeros((len(told), 1), dtype=np.int64), told[:, :-1]], axis=-1
    )  # the time told before
    grown = np.exp(hazard) - np.exp(np.append(0.0, hazard))[since]
    greenwood = np.cumsum(np.where(present, grown / m, 0.0), axis=-1)
    both = present[:, :, None] & present[:, None, :]
    first = greenwood[:, np.minimum.outer(order, order)]
    return np.where(both, first / np.multiply.outer(hazard, hazard), 0.0)


def fit_grid(
    y: FloatArray,
    followed: FloatArray,
    extra: FloatArray,
    present: BoolArray,
    *,
    method: BetweenMethod = "MM",
) -> GridFit:
    """Pool the curves, with sampling covariances evaluated at the pooled curve, in turns until both agree.

    Parameters
    ----------
    y, followed : ndarray, shape (k, m)
        Estimates, and the numbers of `followed`, an interval beginning at the time that is present before.
    extra : ndarray, shape (k, m, m)
        Covariance that each study has besides, 0 for none.
    present : ndarray of bool, shape (k, m)
        Each time at least twice, each pair of times too; once is enough for "CE".
    method : {"MM", "REML", "ML", "VC", "CE"}
        Estimator of the covariance between studies, which is unstructured; "CE" is the common effect.
    """
    k, m = y.shape
    design = multivariate.intercepts(k, m)
    absent = np.eye(m) * ~present[:, None, :] > 0
    size = np.where(present, followed, 0.0)
    start = np.maximum.accumulate((size * y).sum(axis=0) / size.sum(axis=0))

    def turns(method: BetweenMethod) -> tuple[multivariate.Gls, FloatArray, FloatArray, bool, int]:
        theta = start
        for iteration in range(1, _MAX_ITERATIONS + 1):
            within = within_covariance(theta, followed, present) + np.where(present[:, :, None], extra, 0.0)
            within = np.where(absent, np.inf, within)
            psi = psi_between(y, within, design, method=method, structure="unstructured").psi
            fit = multivariate.gls(y, within, design, psi)
            move = float(np.abs(fit.coefficient - theta).max())
            theta = fit.coefficient
            if move <= _TOLERANCE:
                return fit, psi, within, True, iteration
        return fit, psi, within, False, iteration

    fit, psi, within, converged, n_iterations = turns(method)
    common = fit if method == "CE" else turns("CE")[0]
    return GridFit(
        fit.coefficient,
        fit.covariance,
        psi,
        within,
        float(common.q),
        int(present.sum()) - m,
        converged,
        n_iterations,
    )
