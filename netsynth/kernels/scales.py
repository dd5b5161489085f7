"""Scales on which effects are pooled: to the scale, back from it, and its derivative.

A `Measure` joins a natural quantity (a hazard ratio, a probability) to the scale on which its estimate is
nearly normal. Everything is elementwise, so any shape goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit, ndtr, ndtri

from netsynth._typing import BoolArray, FloatArray

ProportionMeasure = Literal[
    "logit_proportion",
    "log_proportion",
    "arcsine_proportion",
    "double_arcsine_proportion",
    "probit_proportion",
    "raw_proportion",
]
RateMeasure = Literal["log_rate", "sqrt_rate", "double_sqrt_rate", "raw_rate"]
SurvivalMeasure = Literal["logit_survival", "log_survival", "cloglog_survival", "arcsine_survival"]
MedianMeasure = Literal[
    "median", "mean", "median_difference", "mean_difference", "log_median_ratio", "log_median_time"
]
CurveMeasure = Literal[
    "survival_difference", "rmst_difference", "log_cumulative_hazard_ratio", "log_rmst_ratio"
]
EffectMeasure = Literal[
    "generic",
    "log_hr",
    "median",
    "mean",
    "median_difference",
    "mean_difference",
    "log_median_ratio",
    "log_median_time",
    "survival_difference",
    "rmst_difference",
    "log_cumulative_hazard_ratio",
    "log_rmst_ratio",
    "logit_proportion",
    "log_proportion",
    "arcsine_proportion",
    "double_arcsine_proportion",
    "probit_proportion",
    "raw_proportion",
    "log_rate",
    "sqrt_rate",
    "double_sqrt_rate",
    "raw_rate",
    "logit_survival",
    "log_survival",
    "cloglog_survival",
    "arcsine_survival",
]
Kind = Literal["difference", "ratio", "probability", "rate"]
Transform: TypeAlias = Callable[[npt.ArrayLike], FloatArray]


class Measure(NamedTuple):
    """One natural quantity and the scale on which it is pooled.

    `to_scale` takes the natural value to the scale, `from_scale` brings it back, and `derivative` is the
    slope of `to_scale` at a natural value. A value of the scale that no natural value has (a log proportion
    above 0, say, which is where a wide interval may end) comes back as the nearest natural value.
    `label` is what is printed, `scale` the name of the transformation, and `null` the natural value of no
    effect, nan where there is none. `unit` is what values over time are printed in, if they have a unit.
    """

    label: str
    scale: str
    kind: Kind
    null: float
    to_scale: Transform
    from_scale: Transform
    derivative: Transform
    unit: str = ""

    @property
    def is_ratio(self) -> bool:
        """Whether the natural value is a ratio, so that axes are logarithmic and no effect is 1."""
        return self.kind == "ratio"

    @property
    def factor(self) -> float:
        """What a natural value is multiplied by to be in its unit: 100 for percent."""
        return 100.0 if self.unit.startswith("%") else 1.0


class CountEffect(NamedTuple):
    """Effects of counts on a scale; `corrected` marks where 1/2 was added to the events, and to the others if any."""

    estimate: FloatArray
    variance: FloatArray
    corrected: BoolArray


class SurvivalEffect(NamedTuple):
    """Effects of survival probabilities on a scale."""

    estimate: FloatArray
    variance: FloatArray


def _same(value: npt.ArrayLike) -> FloatArray:
    return np.asarray(value, dtype=np.float64)


def _one(value: npt.ArrayLike) -> FloatArray:
    return np.ones_like(value, dtype=np.float64)


def _log(value: npt.ArrayLike) -> FloatArray:
    return np.asarray(np.log(value))


def _exp(value: npt.ArrayLike) -> FloatArray:
    with np.errstate(over="ignore"):  # the end of an interval that has no end is infinite
        return np.asarray(np.exp(value))


def _exp_to_one(value: npt.ArrayLike) -> FloatArray:
    return np.asarray(np.exp(np.minimum(value, 0.0)))


def _reciprocal(value: npt.ArrayLike) -> FloatArray:
    return 1.0 / _same(value)


def _logit(value: npt.ArrayLike) -> FloatArray:
    return np.asarray(logit(value))


def _expit(value: npt.ArrayLike) -> FloatArray:
    return np.asarray(expit(value))


def _logit_slope(value: npt.ArrayLike) -> FloatArray:
    p = _same(value)
    return 1.0 / (p * (1.0 - p))


def _arcsine(value: npt.ArrayLike) -> FloatArray:
    return np.asarray(np.arcsin(np.sqrt(value)))


def _sine_squared(value: npt.ArrayLike) -> FloatArray:
    return np.asarray(np.sin(np.clip(value, 0.0, 0.5 * np.pi)) ** 2)


def _arcsine_slope(value: npt.ArrayLike) -> FloatArray:
    p = _same(value)
    return 0.5 / np.sqrt(p * (1.0 - p))


def _cloglog(value: npt.ArrayLike) -> FloatArray:
    return np.asarray(np.log(-np.log(value)))


def _cloglog_back(value: npt.ArrayLike) -> FloatArray:
    return np.asarray(np.exp(-_exp(value)))


def _cloglog_slope(value: npt.ArrayLike) -> FloatArray:
    s = _same(value)
    return 1.0 / (s * np.log(s))


def _probit(value: npt.ArrayLike) -> FloatArray:
    return np.asarray(ndtri(value))


def _normal_distribution(value: npt.ArrayLike) -> FloatArray:
    return np.asarray(ndtr(value))


def _probit_slope(value: npt.ArrayLike) -> FloatArray:
    return np.asarray(np.sqrt(2.0 * np.pi) * np.exp(0.5 * ndtri(value) ** 2))


def _within_one(value: npt.ArrayLike) -> FloatArray:
    return np.clip(_same(value), 0.0, 1.0)


def _root(value: npt.ArrayLike) -> FloatArray:
    return np.asarray(np.sqrt(value))


def _square(value: npt.ArrayLike) -> FloatArray:
    return np.asarray(np.maximum(value, 0.0) ** 2)


def _root_slope(value: npt.ArrayLike) -> FloatArray:
    return 0.5 / np.sqrt(_same(value))


def _not_negative(value: npt.ArrayLike) -> FloatArray:
    return np.asarray(np.maximum(value, 0.0))


def _probability(label: str, scale: str, to: Transform, back: Transform, slope: Transform) -> Measure:
    return Measure(label, scale, "probability", np.nan, to, back, slope, "%")


def _rate(scale: str, to: Transform, back: Transform, slope: Transform) -> Measure:
    return Measure("Rate", scale, "rate", np.nan, to, back, slope)


_LOGIT: Final = ("logit", _logit, _expit, _logit_slope)
_LOG: Final = ("log", _log, _exp_to_one, _reciprocal)
_ARCSINE: Final = ("arcsine", _arcsine, _sine_squared, _arcsine_slope)
_ROOT: Final = (_root, _square, _root_slope)

#: Every measure by name. The log(-log) scale turns survival round: a higher value is a lower survival. The double
#: arcsine and the double square root depend on the size of the study, which a pooled value does not have: what is
#: here is their limit for large studies, whose inverse is safe.
MEASURES: Final[Mapping[EffectMeasure, Measure]] = MappingProxyType(
    {
        "generic": Measure("Effect", "identity", "difference", 0.0, _same, _same, _one),
        "log_hr": Measure("Hazard ratio", "log", "ratio", 1.0, _log, _exp, _reciprocal),
        "median": Measure("Median", "identity", "difference", np.nan, _same, _same, _one),
        "mean": Measure("Mean", "identity", "difference", np.nan, _same, _same, _one),
        "median_difference": Measure(
            "Difference of medians", "identity", "difference", 0.0, _same, _same, _one
        ),
        "mean_difference": Measure("Mean difference", "identity", "difference", 0.0, _same, _same, _one),
        "log_median_ratio": Measure("Ratio of medians", "log", "ratio", 1.0, _log, _exp, _reciprocal),
        "log_median_time": Measure("Median", "log", "rate", np.nan, _log, _exp, _reciprocal),
        "survival_difference": Measure(
            "Difference of survival", "identity", "difference", 0.0, _same, _same, _one, "% points"
        ),
        "rmst_difference": Measure(
            "Difference of restricted means", "identity", "difference", 0.0, _same, _same, _one, "months"
        ),
        "log_cumulative_hazard_ratio": Measure(
            "Ratio of cumulative hazards", "log", "ratio", 1.0, _log, _exp, _reciprocal
        ),
        "log_rmst_ratio": Measure("Ratio of restricted means", "log", "ratio", 1.0, _log, _exp, _reciprocal),
        "logit_proportion": _probability("Proportion", *_LOGIT),
        "log_proportion": _probability("Proportion", *_LOG),
        "arcsine_proportion": _probability("Proportion", *_ARCSINE),
        "double_arcsine_proportion": _probability("Proportion", "double arcsine", *_ARCSINE[1:]),
        "probit_proportion": _probability(
            "Proportion", "probit", _probit, _normal_distribution, _probit_slope
        ),
        "raw_proportion": _probability("Proportion", "identity", _same, _within_one, _one),
        "log_rate": _rate("log", _log, _exp, _reciprocal),
        "sqrt_rate": _rate("square root", *_ROOT),
        "double_sqrt_rate": _rate("double square root", *_ROOT),
        "raw_rate": _rate("identity", _same, _not_negative, _one),
        "logit_survival": _probability("Survival", *_LOGIT),
        "log_survival": _probability("Survival", *_LOG),
        "cloglog_survival": _probability("Survival", "log(-log)", _cloglog, _cloglog_back, _cloglog_slope),
        "arcsine_survival": _probability("Survival", *_ARCSINE),
    }
)


def proportion_effect(
    n_events: npt.ArrayLike, n_total: npt.ArrayLike, measure: ProportionMeasure
) -> CountEffect:
    r"""Proportions of counts on a scale, with their variances.

    With x events of n and p = x / n:

    ======= ================================================================== ===================================
    scale   effect                                                             variance
    ======= ================================================================== ===================================
    logit   :math:`\ln(x / (n - x))`                                           :math:`1/x + 1/(n - x)`
    log     :math:`\ln p`                                                      :math:`1/x - 1/n`
    probit  :math:`\Phi^{-1}(p)`                                               :math:`p(1 - p) / (n \varphi(y)^2)`
    raw     :math:`p`                                                          :math:`p(1 - p) / n`
    arcsine :math:`\arcsin\sqrt p`                                             :math:`1 / (4 n)`
    double  :math:`\frac12(\arcsin\sqrt{x/(n+1)} + \arcsin\sqrt{(x+1)/(n+1)})` :math:`1 / (4 n + 2)`
    ======= ================================================================== ===================================

    Where a variance would not exist or be 0, at x = 0 and x = n on the first four, 1/2 is added to the events and to
    the others of that study alone. The double arcsine is Freeman and Tukey's [1]_.

    Parameters
    ----------
    n_events, n_total : array_like of float, shape (...)
        Counts, ``0 <= n_events <= n_total`` and ``n_total > 0``.
    measure : str
        The scale.

    Returns
    -------
    CountEffect
        Arrays of the shape of the counts.

    References
    ----------
    .. [1] Freeman MF, Tukey JW (1950). Transformations related to the angular and the square root. Ann Math Stat
       21:607-611.

    Examples
    --------
    >>> effect = proportion_effect([4, 0], [10, 15], "logit_proportion")
    >>> effect.estimate.round(4).tolist(), effect.variance.round(4).tolist(), effect.corrected.tolist()
    ([-0.4055, -3.434], [0.4167, 2.0645], [False, True])
    """
    x, n = _same(n_events), _same(n_total)
    uncorrected = np.zeros(x.shape, dtype=np.bool_)
    if measure == "arcsine_proportion":
        return CountEffect(_arcsine(x / n), 0.25 / n, uncorrected)
    if measure == "double_arcsine_proportion":
        y = 0.5 * (_arcsine(x / (n + 1.0)) + _arcsine((x + 1.0) / (n + 1.0)))
        return CountEffect(y, 1.0 / (4.0 * n + 2.0), uncorrected)
    corrected = (x == 0) | (x == n)
    x, n = np.where(corrected, x + 0.5, x), np.where(corrected, n + 1.0, n)
    if measure == "log_proportion":
        return CountEffect(np.log(x / n), 1.0 / x - 1.0 / n, corrected)
    p, scale = x / n, MEASURES[measure]
    return CountEffect(scale.to_scale(p), p * (1.0 - p) / n * scale.derivative(p) ** 2, corrected)


def rate_effect(n_events: npt.ArrayLike, person_time: npt.ArrayLike, measure: RateMeasure) -> CountEffect:
    r"""Rates of events on a scale, with their variances.

    With x events in time T: log, :math:`\ln(x / T)` with variance :math:`1 / x`; square root, :math:`\sqrt{x / T}` with
    :math:`1 / (4 T)`; double square root, :math:`\frac12[\sqrt{x / T} + \sqrt{(x + 1) / T}]` with the same; raw,
    :math:`x / T` with :math:`x / T^2`. On the log and the raw scale a study without an event gets 1/2 event.

    Parameters
    ----------
    n_events, person_time : array_like of float, shape (...)
        Events, and the positive time in which they were counted.
    measure : {"log_rate", "sqrt_rate", "double_sqrt_rate", "raw_rate"}
        The scale.

    Returns
    -------
    CountEffect
        Arrays of the shape of the counts.

    Examples
    --------
    >>> effect = rate_effect([11, 0], [1988, 1461], "log_rate")
    >>> effect.estimate.round(4).tolist(), effect.variance.round(4).tolist(), effect.corrected.tolist()
    ([-5.197, -7.98], [0.0909, 2.0], [False, True])
    """
    x, time = _same(n_events), _same(person_time)
    uncorrected = np.zeros(x.shape, dtype=np.bool_)
    if measure == "sqrt_rate":
        return CountEffect(np.sqrt(x / time), 0.25 / time, uncorrected)
    if measure == "double_sqrt_rate":
        return CountEffect(0.5 * (np.sqrt(x / time) + np.sqrt((x + 1.0) / time)), 0.25 / time, uncorrected)
    corrected = x == 0
    x = np.where(corrected, 0.5, x)
    if measure == "raw_rate":
        return CountEffect(x / time, x / time**2, corrected)
    return CountEffect(np.log(x / time), 1.0 / x, corrected)


def double_arcsine_inverse(value: npt.ArrayLike, n_total: npt.ArrayLike) -> FloatArray:
    r"""Miller's inverse of the double arcsine for a study of n patients [1]_.

    With :math:`t` twice the value, :math:`p = \frac12\{1 - \mathrm{sgn}(\cos t)
    \sqrt{1 - [\sin t + (\sin t - 1 / \sin t) / n]^2}\}`; 0 or 1 beyond the value of no or all events. It brings the
    proportion of one study back exactly. A pooled value belongs to no n; with a mean n in its place the result can be
    absurd [2]_, so netsynth pools nothing by it. It is here to reproduce results that were so obtained.

    Parameters
    ----------
    value : array_like of float, shape (...)
        On the double arcsine scale of `proportion_effect`.
    n_total : array_like of float, broadcast against (...)
        Patients.

    Returns
    -------
    ndarray
        Proportions.

    References
    ----------
    .. [1] Miller JJ (1978). The inverse of the Freeman-Tukey double arcsine transformation. Am Stat 32:138.
    .. [2] Schwarzer G, Chemaitelly H, Abu-Raddad LJ, Rücker G (2019). Seriously misleading results using inverse of
       Freeman-Tukey double arcsine transformation in meta-analysis of single proportions. Res Synth Methods
       10:476-483. https://doi.org/10.1002/jrsm.1348

    Examples
    --------
    >>> effect = proportion_effect([4], [10], "double_arcsine_proportion")
    >>> double_arcsine_inverse(effect.estimate, 10).round(12).tolist()
    [0.4]
    """
    value, n = np.broadcast_arrays(_same(value), _same(n_total))
    lowest = 0.5 * _arcsine(1.0 / (n + 1.0))
    t = 2.0 * np.clip(value, lowest, 0.5 * np.pi - lowest)
    sine = np.sin(t)
    inner = sine + (sine - 1.0 / sine) / n
    return np.asarray(0.5 * (1.0 - np.sign(np.cos(t)) * np.sqrt(np.maximum(1.0 - inner**2, 0.0))))


def survival_effect(survival: npt.ArrayLike, se: npt.ArrayLike, measure: SurvivalMeasure) -> SurvivalEffect:
    """Survival probabilities on a scale, with variances by the delta method.

    Parameters
    ----------
    survival : array_like of float, shape (...)
        Probabilities.
    se : array_like of float, shape (...)
        Their standard errors as probabilities.
    measure : {"logit_survival", "log_survival", "cloglog_survival", "arcsine_survival"}
        The scale.

    Returns
    -------
    SurvivalEffect
        nan where survival is 0 or 1: there the delta method has no variance and the caller decides.

    Examples
    --------
    >>> effect = survival_effect([0.75294, 1.0], [0.0963, 0.0], "cloglog_survival")
    >>> effect.estimate.round(4).tolist(), (effect.variance**0.5).round(4).tolist()
    ([-1.2596, nan], [0.4507, nan])
    """
    s = _same(survival)
    inside = np.where((s > 0) & (s < 1), s, np.nan)
    scale = MEASURES[measure]
    return SurvivalEffect(scale.to_scale(inside), (_same(se) * scale.derivative(inside)) ** 2)
