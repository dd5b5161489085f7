r"""Standard error of a log hazard ratio from what is printed beside it.

Everything is elementwise and broadcasts, so any leading shape goes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from netsynth._typing import FloatArray
from netsynth.kernels.pvalues import z_from_pvalue


def se_from_width(width: npt.ArrayLike, level: float) -> FloatArray:
    r"""Standard error from the width of a Wald interval on the log scale.

    :math:`(\ln U - \ln L) / (2 z_{1 - \alpha/2})` [1]_.

    Parameters
    ----------
    width : array_like of float
        :math:`\ln U - \ln L`; twice the half that is printed when one limit is.
    level : float
        Confidence level of the interval.

    References
    ----------
    .. [1] Tierney JF, Stewart LA, Ghersi D, Burdett S, Sydes MR (2007). Practical methods for incorporating
       summary time-to-event data into meta-analysis. Trials 8:16. https://doi.org/10.1186/1745-6215-8-16
    """
    return np.asarray(np.asarray(width, dtype=np.float64) / (-2.0 * ndtri(0.5 * (1.0 - level))))


def se_from_pvalue(log_hr: npt.ArrayLike, pvalue: npt.ArrayLike) -> FloatArray:
    r"""Standard error from a log hazard ratio and its two-sided Wald p-value, :math:`|\ln HR| / z_{1 - p/2}`.

    It explodes as p nears 1, where the printed digits say next to nothing of z; callers refuse such p.
    """
    return np.asarray(np.abs(log_hr) / z_from_pvalue(pvalue))


def rounding_variance(hazard_ratio: npt.ArrayLike, unit: npt.ArrayLike) -> FloatArray:
    r"""Variance that rounding adds to a log hazard ratio: :math:`(\delta / HR)^2 / 12`.

    A ratio printed to the unit :math:`\delta` (0.1 for one decimal) lies anywhere within
    :math:`\pm \delta / 2`; a uniform error of that width has variance :math:`\delta^2 / 12`, and the
    logarithm divides it by the square of the ratio.
    """
    return (np.asarray(unit, dtype=np.float64) / np.asarray(hazard_ratio, dtype=np.float64)) ** 2 / 12.0
