"""Comparisons of two arms in many data sets at once, and what they say together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import chdtrc

from netsynth import _format, _validate
from netsynth._typing import FloatArray, Interval
from netsynth.kernels import intervals, rubin, two_arms
from netsynth.kernels.product_limit import Estimates, product_limit, restricted_mean, survival_at
from netsynth.kernels.two_arms import CoxFit, LogRank, RiskSets
from netsynth.results.ensemble import PseudoData

__all__ = [
    "ArmAnalyses",
    "ArmEffect",
    "ArmLogRank",
    "EffectKind",
    "analyse_arms",
    "arm_difference",
    "arm_effect",
    "arm_log_rank",
    "column",
    "range_of",
    "sets_of",
    "stacked",
]

EffectKind = Literal["ratio", "time", "probability", "trend"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmEffect:
    """One comparison of two arms, treated against control.

    Ratios are on the log scale, but for what is called natural.

    Attributes
    ----------
    label : str
        What is compared.
    kind : {"ratio", "time", "probability", "trend"}
        A ratio, or a difference of times, of probabilities, or of log hazard ratios.
    estimate, se, df : float
        Over the data sets that the figures allow, by Rubin's rules: sampling and reporting are both in the standard
        error. nan when it does not exist in some of them.
    reporting_loss : float
        Share of the variance that is there only because the data were not reported whole.
    reconstructed, reconstructed_se : float
        From the reconstructed patients alone, as though they were the data.
    """

    label: str
    kind: EffectKind
    estimate: float
    se: float
    df: float
    reporting_loss: float
    reconstructed: float
    reconstructed_se: float

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """Interval by t with `df` degrees of freedom."""
        return _interval(self.estimate, self.se, self.df, level)

    def sampling_interval(self, level: float = 0.95) -> Interval:
        """Wald interval from the reconstructed patients alone, which is too narrow."""
        return _interval(self.reconstructed, self.reconstructed_se, math.inf, level)

    @property
    def pvalue(self) -> float:
        """Two-sided p-value of no difference."""
        if not self.se > 0:
            return math.nan
        return float(intervals.two_sided_pvalue(np.asarray(self.estimate / self.se), self.df))

    @property
    def natural(self) -> float:
        """The estimate, of a ratio the ratio itself."""
        return self.to_natural(self.estimate)

    def natural_interval(self, level: float = 0.95) -> Interval:
        """`confidence_interval` on the scale of `natural`."""
        low, high = self.confidence_interval(level)
        return Interval(self.to_natural(low), self.to_natural(high))

    def to_natural(self, value: float) -> float:
        """A value of the scale as it is printed."""
        with np.errstate(over="ignore"):
            return float(np.exp(value)) if self.kind == "ratio" else value

    def shown(self, value: float) -> str:
        """A value of the scale in digits: a ratio, a time, or points of a percentage."""
        natural = self.to_natural(value)
        if self.kind == "ratio":
            return _format.ratio(natural)
        if self.kind == "probability":
            return _format.number(100 * natural, 1)
        return _format.number(natural, 2)


class ArmLogRank(NamedTuple):
    """The log-rank test of the reconstructed patients, and over the data sets that the figures allow.

    Attributes
    ----------
    observed, expected : float
        Events of the treated, and those expected without a difference.
    variance : float
        Of their difference.
    chi2, pvalue : float
        On one degree of freedom; nan when nothing can be compared.
    least_pvalue, most_pvalue : float
        Between which p lies in 95% of the data sets.
    """

    observed: float
    expected: float
    variance: float
    chi2: float
    pvalue: float
    least_pvalue: float
    most_pvalue: float


class ArmAnalyses(NamedTuple):
    """Every comparison of b data sets; arrays of shape (b,), at landmarks (b, q)."""

    log_rank: LogRank
    cox: CoxFit
    trend: Estimates
    rmst_difference: Estimates
    rmst_ratio: Estimates
    survival_difference: Estimates
    survival_ratio: Estimates


def sets_of(treated: PseudoData, control: PseudoData) -> RiskSets:
    """Risk sets of two groups; both may hold many data sets, arrays of shape (b, n)."""
    return two_arms.risk_sets(treated.time, treated.event, control.time, control.event)


def stacked(data: Sequence[PseudoData]) -> PseudoData:
    """Data sets of one size as arrays of shape (b, n)."""
    return PseudoData(*(np.stack(arrays) for arrays in zip(*data, strict=True)))


def column(found: Estimates, i: int) -> Estimates:
    """Those of the i-th time, shape (b,)."""
    return Estimates(found.estimate[:, i], found.variance[:, i])


def analyse_arms(
    treated: PseudoData, control: PseudoData, horizon: float, landmarks: FloatArray
) -> ArmAnalyses:
    """Every comparison of b data sets of two arms."""
    sets = sets_of(treated, control)
    fit = two_arms.cox(sets)
    curves = [product_limit(*data) for data in (treated, control)]
    means = [column(restricted_mean(curve, np.array([horizon])), 0) for curve in curves]
    survival = [two_arms.with_variance(survival_at(curve, landmarks)) for curve in curves]
    return ArmAnalyses(
        two_arms.log_rank(sets),
        fit,
        Estimates(*two_arms.trend(sets, fit)),
        two_arms.difference(*means),
        two_arms.log_ratio(*means),
        two_arms.difference(*survival),
        two_arms.log_ratio(*survival),
    )


def arm_difference(
    treated: PseudoData, control: PseudoData, time: FloatArray, quantity: Literal["survival", "rmst"]
) -> Estimates:
    """Difference of survival at times, or of the restricted means up to them, shape (q,), in one data set."""
    parts = []
    for data in (treated, control):
        curve = product_limit(*data)
        if quantity == "rmst":
            parts.append(restricted_mean(curve, time))
        else:
            parts.append(two_arms.with_variance(survival_at(curve, time)))
    return two_arms.difference(*parts)


def arm_effect(label: str, kind: EffectKind, several: Estimates, one: Estimates) -> ArmEffect:
    """Answers of several data sets, shape (b,), combined by Rubin's rules, beside that of the reconstruction."""
    values = several.estimate
    if np.isfinite(values).all():
        found = rubin.combine(values[:, None], several.variance[:, None, None])
        parts = (found.estimate[0], np.sqrt(found.total[0, 0]), found.df[0], found.loss[0])
    else:
        parts = (values[0] if (values == values[0]).all() else math.nan, *3 * (math.nan,))
    estimate, se, df, loss = (float(part) for part in parts)
    return ArmEffect(
        label=label,
        kind=kind,
        estimate=estimate,
        se=se,
        df=df,
        reporting_loss=loss,
        reconstructed=float(one.estimate[0]),
        reconstructed_se=float(np.sqrt(one.variance[0])),
    )


def range_of(values: FloatArray) -> tuple[float, float]:
    """Between which 95% of the values lie; the nearest of them, so that infinite ones do no harm."""
    known = values[~np.isnan(values)]
    if not known.size:
        return math.nan, math.nan
    low, high = np.quantile(known, [0.025, 0.975], method="nearest")
    return float(low), float(high)


def arm_log_rank(one: LogRank, several: LogRank) -> ArmLogRank:
    """The test of one data set, and how its p-value varies over several."""
    least, most = range_of(chdtrc(1, several.chi2))
    chi2 = float(one.chi2[0])
    return ArmLogRank(
        observed=float(one.observed[0]),
        expected=float(one.expected[0]),
        variance=float(one.variance[0]),
        chi2=chi2,
        pvalue=float(chdtrc(1, chi2)),
        least_pvalue=least,
        most_pvalue=most,
    )


def _interval(centre: float, se: float, df: float, level: float) -> Interval:
    ends = intervals.limits(np.asarray(centre), np.asarray(se), df, _validate.level(level))
    return Interval(float(ends.lower), float(ends.upper))
