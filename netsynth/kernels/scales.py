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
from scipy.special import expit, logit

from netsynth._typing import BoolArray, FloatArray

ProportionMeasure = Literal["logit_proportion", "log_proportion", "arcsine_proportion"]
SurvivalMeasure = Literal["logit_survival", "log_survival", "cloglog_survival", "arcsine_survival"]
EffectMeasure = Literal[
    "generic",
    "log_hr",
    "logit_proportion",
    "log_proportion",
    "arcsine_proportion",
    "logit_survival",
    "log_survival",
    "cloglog_survival",
    "arcsine_survival",
]
Kind = Literal["difference", "ratio", "probability"]
Transform: TypeAlias = Callable[[npt.ArrayLike], FloatArray]


class Measure(NamedTuple):
    """One natural quantity and the scale on which it is pooled.

    `to_scale` takes the natural value to the scale, `from_scale` brings it back, and `derivative` is the
    slope of `to_scale` at a natural value. A value of the scale that no natural value has (a log proportion
    above 0, say, which is where a wide interval may end) comes back as the nearest natural value.
    `label` is what is printed, `scale` the name of the transformation, and `null` the natural value of no
    effect, nan where there is none.
    """

    label: str
    scale: str
    kind: Kind
    null: float
    to_scale: Transform
    from_scale: Transform
    derivative: Transform

    @property
    def is_ratio(self) -> bool:
        """Whether the natural value is a ratio, so that axes are logarithmic and no effect is 1."""
        return self.kind == "ratio"


class ProportionEffect(NamedTuple):
    """Effects of counts on a scale; `corrected` marks where 1/2 was added to both cells."""

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


def _probability(label: str, scale: str, *transforms: Transform) -> Measure:
    return Measure(label, scale, "probability", np.nan, *transforms)


_LOGIT: Final = ("logit", _logit, _expit, _logit_slope)
_LOG: Final = ("log", _log, _exp_to_one, _reciprocal)
_ARCSINE: Final = ("arcsine", _arcsine, _sine_squared, _arcsine_slope)

#: Every measure by name. The log(-log) scale turns survival round: a higher value is a lower survival.
MEASURES: Final[Mapping[EffectMeasure, Measure]] = MappingProxyType(
    {
        "generic": Measure("Effect", "identity", "difference", 0.0, _same, _same, _one),
        "log_hr": Measure("Hazard ratio", "log", "ratio", 1.0, _log, _exp, _reciprocal),
        "logit_proportion": _probability("Proportion", *_LOGIT),
        "log_proportion": _probability("Proportion", *_LOG),
        "arcsine_proportion": _probability("Proportion", *_ARCSINE),
        "logit_survival": _probability("Survival", *_LOGIT),
        "log_survival": _probability("Survival", *_LOG),
        "cloglog_survival": _probability("Survival", "log(-log)", _cloglog, _cloglog_back, _cloglog_slope),
        "arcsine_survival": _probability("Survival", *_ARCSINE),
    }
)


def proportion_effect(
    n_events: npt.ArrayLike, n_total: npt.ArrayLike, measure: ProportionMeasure
) -> ProportionEffect:
    r"""Proportions of counts on a scale, with their variances.

    With x events of n and p = x / n: logit, :math:`\ln(x / (n - x))` with variance
    :math:`1/x + 1/(n - x)`; log, :math:`\ln p` with :math:`1/x - 1/n`; arcsine,
    :math:`\arcsin\sqrt p` with :math:`1 / (4 n)`. Where the logit or the log has no variance, at x = 0 and
    x = n, 1/2 is added to the events and to the others of that study alone.

    Parameters
    ----------
    n_events, n_total : array_like of float, shape (...)
        Counts, ``0 <= n_events <= n_total`` and ``n_total > 0``.
    measure : {"logit_proportion", "log_proportion", "arcsine_proportion"}
        The scale.

    Returns
    -------
    ProportionEffect
        Arrays of the shape of the counts.

    Examples
    --------
    >>> effect = proportion_effect([4, 0], [10, 15], "logit_proportion")
    >>> effect.estimate.round(4).tolist(), effect.variance.round(4).tolist(), effect.corrected.tolist()
    ([-0.4055, -3.434], [0.4167, 2.0645], [False, True])
    """
    x, n = _same(n_events), _same(n_total)
    if measure == "arcsine_proportion":
        return ProportionEffect(_arcsine(x / n), 0.25 / n, np.zeros(x.shape, dtype=np.bool_))
    corrected = (x == 0) | (x == n)
    x, n = np.where(corrected, x + 0.5, x), np.where(corrected, n + 1.0, n)
    if measure == "logit_proportion":
        return ProportionEffect(np.log(x / (n - x)), 1.0 / x + 1.0 / (n - x), corrected)
    return ProportionEffect(np.log(x / n), 1.0 / x - 1.0 / n, corrected)


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
