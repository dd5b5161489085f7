"""Answers of a meta-regression: tests of moderators, information criteria, predictions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from netsynth import _format
from netsynth._typing import JSON, FloatArray
from netsynth.kernels.intervals import Limits
from netsynth.kernels.scales import MEASURES, EffectMeasure

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FitCriteria", "ModeratorTest", "RegressionPrediction"]


@dataclass(frozen=True, slots=True)
class ModeratorTest:
    """Whether some coefficients are all zero, or some subgroups all equal.

    Attributes
    ----------
    names : tuple of str
        The coefficients, or the subgroups.
    statistic : float
        Chi-squared when `df_residual` is infinite, else F.
    df, df_residual : float
        Degrees of freedom.
    pvalue : float
        From the tail.
    """

    names: tuple[str, ...]
    statistic: float
    df: float
    df_residual: float
    pvalue: float

    def __str__(self) -> str:
        if math.isnan(self.statistic):
            return "undefined"
        value = _format.number(self.statistic, 2)
        if math.isinf(self.df_residual):
            return f"chi2 {value} on {self.df:g} df, {_format.pvalue(self.pvalue)}"
        return f"F {value} on {self.df:g} and {self.df_residual:g} df, {_format.pvalue(self.pvalue)}"

    def to_dict(self) -> JSON:
        """Plain types for JSON; the infinite `df_residual` of a chi-squared test is None."""
        return {
            "names": list(self.names),
            "statistic": _format.plain(self.statistic),
            "df": self.df,
            "df_residual": _format.plain(self.df_residual),
            "pvalue": _format.plain(self.pvalue),
        }


@dataclass(frozen=True, slots=True)
class FitCriteria:
    """Log-likelihood of a meta-regression, and criteria by which models of the same studies compare.

    Attributes
    ----------
    restricted : bool
        Whether the likelihood is the restricted one. Models that differ in their moderators compare by the full one.
    log_likelihood : float
        With all its constants.
    n_parameters : int
        Coefficients, and tau2 unless the model is one of common effects.
    aic, aicc, bic : float
        Lower is better.
    """

    restricted: bool
    log_likelihood: float
    n_parameters: int
    aic: float
    aicc: float
    bic: float


@dataclass(frozen=True, slots=True, eq=False)
class RegressionPrediction:
    """What a meta-regression expects at given values of the moderators.

    Attributes
    ----------
    measure : str
        The scale of all numbers that are not called natural.
    label : tuple of str
        Of the rows.
    design : ndarray, shape (n, p)
        The values, coded.
    estimate, se : ndarray, shape (n,)
        Mean effect of studies with these values, and its standard error.
    df : float
        Degrees of freedom of the intervals, infinite for normal.
    ci_lower, ci_upper : ndarray, shape (n,)
        Confidence limits of the mean effect.
    pi_lower, pi_upper : ndarray, shape (n,)
        Limits of the true effect of a new study with these values; nan under the common-effect model.
    level : float
        Level of the intervals.
    """

    measure: EffectMeasure
    label: tuple[str, ...]
    design: FloatArray
    estimate: FloatArray
    se: FloatArray
    df: float
    ci_lower: FloatArray
    ci_upper: FloatArray
    pi_lower: FloatArray
    pi_upper: FloatArray
    level: float

    @property
    def natural(self) -> FloatArray:
        """The means on the printed scale."""
        return MEASURES[self.measure].from_scale(self.estimate)

    @property
    def natural_interval(self) -> Limits:
        """Confidence limits on the printed scale, the smaller ones first."""
        return natural_limits(self.measure, Limits(self.ci_lower, self.ci_upper))

    @property
    def natural_prediction_interval(self) -> Limits:
        """Prediction limits on the printed scale, the smaller ones first."""
        return natural_limits(self.measure, Limits(self.pi_lower, self.pi_upper))

    def summary_frame(self) -> pd.DataFrame:
        """One unrounded row a prediction; the columns called natural are on the printed scale."""
        import pandas as pd

        ci, pi = self.natural_interval, self.natural_prediction_interval
        columns = {
            "estimate": self.estimate,
            "se": self.se,
            "ci_lower": self.ci_lower,
            "ci_upper": self.ci_upper,
            "pi_lower": self.pi_lower,
            "pi_upper": self.pi_upper,
            "natural": self.natural,
            "natural_lower": ci.lower,
            "natural_upper": ci.upper,
            "natural_pi_lower": pi.lower,
            "natural_pi_upper": pi.upper,
        }
        return pd.DataFrame(columns, index=pd.Index(self.label, name="at"))

    def to_dict(self) -> JSON:
        """Plain types for JSON; what is undefined is None."""
        frame = self.summary_frame()
        rows = [
            {"at": label, **{name: _format.plain(value) for name, value in row.items()}}
            for label, row in zip(self.label, frame.to_dict("records"), strict=True)
        ]
        return {
            "measure": self.measure,
            "level": self.level,
            "df": _format.plain(self.df),
            "predictions": rows,
        }

    def _rows(self) -> list[tuple[str, ...]]:
        ci, pi = self.natural_interval, self.natural_prediction_interval
        return [
            (label, shown(self.measure, value), *(span(self.measure, *ends) for ends in (mean, new)))
            for label, value, mean, new in zip(
                self.label, self.natural, zip(*ci, strict=True), zip(*pi, strict=True), strict=True
            )
        ]

    def _header(self) -> tuple[str, ...]:
        percent = f"{100 * self.level:g}%"
        return ("at", MEASURES[self.measure].label, f"{percent} CI", f"{percent} PI")

    def __str__(self) -> str:
        return _format.text_table(self._header(), self._rows())

    def _repr_html_(self) -> str:
        return _format.html_table(self._header(), self._rows())


def natural_limits(measure: EffectMeasure, limits: Limits) -> Limits:
    """Limits on the printed scale, the smaller ones first."""
    ends = MEASURES[measure].from_scale(np.stack(limits))
    return Limits(np.minimum(*ends), np.maximum(*ends))


def shown(measure: EffectMeasure, natural: float) -> str:
    """A value on the printed scale as text shows it: "0.75", "72.4%"."""
    kind = MEASURES[measure].kind
    if kind == "ratio":
        return _format.ratio(natural)
    if kind == "probability":
        return f"{_format.number(100 * natural, 1)}%"
    return _format.significant(natural)


def span(measure: EffectMeasure, lower: float, upper: float) -> str:
    """An interval on the printed scale in brackets, or nothing if it is undefined."""
    return "" if math.isnan(lower) else f"[{shown(measure, lower)}, {shown(measure, upper)}]"
