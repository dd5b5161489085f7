r"""One answer from the answers of many completed data sets: Rubin's rules.

An analysis of completed data set b gives an estimate :math:`\hat\theta_b` and its covariance :math:`W_b`. What the
report left open moves the estimates about, and that is added to what sampling does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from netsynth._typing import FloatArray


class Combination(NamedTuple):
    """Answers of b completed data sets as one.

    Attributes
    ----------
    estimate : ndarray, shape (p,)
        Mean of the estimates.
    within, between, total : ndarray, shape (p, p)
        Mean covariance; covariance of the estimates; and what both make together.
    df : ndarray, shape (p,)
        Degrees of freedom of t intervals, infinite where all estimates are the same.
    loss : ndarray, shape (p,)
        Share of the total variance that is there because the data were not reported whole; nan where there is no
        variance at all.
    """

    estimate: FloatArray
    within: FloatArray
    between: FloatArray
    total: FloatArray
    df: FloatArray
    loss: FloatArray


def combine(estimate: FloatArray, covariance: FloatArray) -> Combination:
    r"""Estimate, covariance and degrees of freedom by Rubin's rules [1]_.

    With the mean covariance :math:`\bar W` and the covariance :math:`B` of b estimates,

    .. math:: T = \bar W + (1 + 1/b) B, \qquad \gamma = (1 + 1/b) B / T, \qquad \nu = (b - 1) / \gamma^2,

    the last two for each coordinate by its variance.

    Parameters
    ----------
    estimate : ndarray, shape (b, p)
        At least two.
    covariance : ndarray, shape (b, p, p)
        Their covariances.

    References
    ----------
    .. [1] Rubin DB (1987). Multiple Imputation for Nonresponse in Surveys. Wiley.
       https://doi.org/10.1002/9780470316696

    Examples
    --------
    Three data sets say 1, 2 and 3, each with variance 1:

    >>> found = combine(np.array([[1.0], [2.0], [3.0]]), np.ones((3, 1, 1)))
    >>> [part.item() for part in (found.estimate, found.total.round(3), found.loss.round(3), found.df.round(3))]
    [2.0, 2.333, 0.571, 6.125]
    """
    b = estimate.shape[0]
    mean = estimate.mean(axis=0)
    away = estimate - mean
    within, between = covariance.mean(axis=0), away.T @ away / (b - 1)
    # estimates that agree to the last digits that a sum keeps are the same
    same = np.ptp(estimate, axis=0) <= 1e-12 * np.abs(mean)
    between[same, :] = between[:, same] = 0.0
    total = within + (1.0 + 1.0 / b) * between
    with np.errstate(divide="ignore", invalid="ignore"):
        loss = (1.0 + 1.0 / b) * np.diag(between) / np.diag(total)
        df = np.where(same, np.inf, (b - 1) / loss**2)
    return Combination(mean, within, between, total, df, loss)
