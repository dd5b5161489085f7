"""The result of pooling: an effect, how uncertain it is, and how much the studies differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc

from netsynth import _format, _validate
from netsynth._typing import FloatArray, Interval
from netsynth.errors import Caution
from netsynth.kernels import heterogeneity, intervals
from netsynth.kernels.intervals import CI_METHODS, PREDICTION_METHODS, CiMethod, Limits, PredictionMethod
from netsynth.kernels.scales import MEASURES, EffectMeasure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["PooledEffect"]

_UNDEFINED = Interval(math.nan, math.nan)


@dataclass(frozen=True, slots=True, eq=False)
class PooledEffect:
    """A pooled effect on the scale of `measure`, as made by `netsynth.pool_effects`.

    Attributes
    ----------
    measure : str
        The scale of every number here that is not called natural.
    estimate, se, df : float
        Pooled effect, its standard error by `ci_method`, and the degrees of freedom of its interval,
        infinite when that is normal.
    tau2 : float
        Between-study variance; nan when k = 1.
    q : float
        Cochran's Q, on k - 1 degrees of freedom.
    k : int
        Number of studies.
    tau2_method, ci_method, prediction_method : str
        How tau2, the interval of the estimate and the prediction interval were found.
    study : tuple of str
        Labels of the studies.
    study_estimate, study_se, weight : ndarray, shape (k,)
        Their effects, standard errors and weights, which add up to 1. Read-only.
    warnings : tuple of Caution
        What to keep in mind.
    """

    measure: EffectMeasure
    estimate: float
    se: float
    df: float
    tau2: float
    q: float
    k: int
    tau2_method: str
    ci_method: CiMethod
    prediction_method: PredictionMethod
    study: tuple[str, ...]
    study_estimate: FloatArray
    study_se: FloatArray
    weight: FloatArray
    warnings: tuple[Caution, ...] = ()

    @property
    def pooled(self) -> bool:
        """Whether there was anything to pool: False for one study, whose result is handed back as it is."""
        return self.k > 1

    @property
    def natural(self) -> float:
        """The estimate on the printed scale: a hazard ratio, a probability."""
        return float(MEASURES[self.measure].from_scale(self.estimate))

    @property
    def tau(self) -> float:
        """Standard deviation of the true effects between studies."""
        return math.sqrt(self.tau2)

    @property
    def pvalue(self) -> float:
        """Two-sided p-value of no effect; nan for probabilities, which have no value of no effect."""
        measure = MEASURES[self.measure]
        statistic = (self.estimate - measure.to_scale(measure.null)) / self.se
        return float(intervals.two_sided_pvalue(statistic, self.df))

    @property
    def q_pvalue(self) -> float:
        """P-value of Q under no heterogeneity; nan when k = 1."""
        return float(chdtrc(self.k - 1, self.q)) if self.pooled else math.nan

    @property
    def h2(self) -> float:
        """H2 = Q / (k - 1), below 1 when the studies differ by less than chance; nan when k = 1."""
        return float(heterogeneity.h2_from_q(np.asarray(self.q), self.k - 1))

    @property
    def h2_tau2(self) -> float:
        """H2 = 1 + tau2 / typical sampling variance; nan when k = 1."""
        return float(heterogeneity.h2_from_tau2(np.asarray(self.tau2), self.study_se**2))

    @property
    def i2(self) -> float:
        """Share of the variation that is heterogeneity, from Q: max(0, (Q - (k - 1)) / Q), a fraction."""
        return float(heterogeneity.i2_from_h2(np.asarray(self.h2)))

    @property
    def i2_tau2(self) -> float:
        """Share of the variation that is heterogeneity, from tau2: tau2 / (tau2 + typical sampling variance)."""
        return float(heterogeneity.i2_from_h2(np.asarray(self.h2_tau2)))

    def confidence_interval(self, level: float = 0.95, *, method: CiMethod | None = None) -> Interval:
        """Interval for the mean effect, by another method than the result's own if one is named.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction or the method unknown.
        """
        level, se, df = _validate.level(level), self.se, self.df
        if method is not None:
            _validate.choice(method, "method", CI_METHODS)
            if self.pooled:
                error = CI_METHODS[method](self.study_estimate, self.study_se**2, np.asarray(self.tau2))
                se, df = float(error.se), float(error.df)
        return _interval(intervals.limits(np.asarray(self.estimate), np.asarray(se), df, level))

    def prediction_interval(self, level: float = 0.95, *, method: PredictionMethod | None = None) -> Interval:
        """Where the true effect of a new study may lie, by another convention if one is named.

        nan for one study, for the common-effect model, which knows of no other effect, and for fewer
        studies than the convention needs.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction or the method unknown.
        """
        level, method = _validate.level(level), method or self.prediction_method
        _validate.choice(method, "method", PREDICTION_METHODS)
        if not self.pooled or self.tau2_method == "CE":
            return _UNDEFINED
        predict = PREDICTION_METHODS[method]
        return _interval(predict(self.study_estimate, self.study_se**2, np.asarray(self.tau2), level))

    def tau2_interval(self, level: float = 0.95) -> Interval:
        """Q-profile interval for tau2, whichever way tau2 was estimated; nan for one study.

        [0, 0] when the studies differ so little that no tau2 agrees with them.
        """
        return _interval(intervals.q_profile(self.study_estimate, self.study_se**2, _validate.level(level)))

    def study_interval(self, level: float = 0.95) -> Limits:
        """Wald interval of each study, two arrays of shape (k,)."""
        return intervals.limits(self.study_estimate, self.study_se, math.inf, _validate.level(level))

    def natural_interval(self, level: float = 0.95) -> Interval:
        """`confidence_interval` on the printed scale, the smaller limit first."""
        return self._natural(self.confidence_interval(level))

    def natural_prediction_interval(self, level: float = 0.95) -> Interval:
        """`prediction_interval` on the printed scale, the smaller limit first."""
        return self._natural(self.prediction_interval(level))

    def natural_study_interval(self, level: float = 0.95) -> Limits:
        """`study_interval` on the printed scale, the smaller limits first."""
        ends = MEASURES[self.measure].from_scale(np.stack(self.study_interval(level)))
        return Limits(ends.min(axis=0), ends.max(axis=0))

    def _natural(self, interval: Interval) -> Interval:
        return Interval(*np.sort(MEASURES[self.measure].from_scale(np.asarray(interval))).tolist())

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row on the scale of `measure`; the columns called natural are on the printed one."""
        import pandas as pd

        ci, pi, tau2 = (
            self.confidence_interval(level),
            self.prediction_interval(level),
            self.tau2_interval(level),
        )
        natural = self.natural_interval(level)
        row = {
            "estimate": self.estimate,
            "se": self.se,
            "ci_lower": ci.lower,
            "ci_upper": ci.upper,
            "pi_lower": pi.lower,
            "pi_upper": pi.upper,
            "pvalue": self.pvalue,
            "natural": self.natural,
            "natural_lower": natural.lower,
            "natural_upper": natural.upper,
            "tau2": self.tau2,
            "tau2_lower": tau2.lower,
            "tau2_upper": tau2.upper,
            "i2": self.i2,
            "q": self.q,
            "q_pvalue": self.q_pvalue,
            "k": self.k,
            "tau2_method": self.tau2_method,
            "ci_method": self.ci_method,
            "prediction_method": self.prediction_method,
        }
        return pd.DataFrame([row], index=pd.Index([self.measure], name="measure"))

    def study_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a study, in the order given, with its weight as a fraction."""
        import pandas as pd

        ci, natural = self.study_interval(level), self.natural_study_interval(level)
        columns = {
            "estimate": self.study_estimate,
            "se": self.study_se,
            "ci_lower": ci.lower,
            "ci_upper": ci.upper,
            "natural": MEASURES[self.measure].from_scale(self.study_estimate),
            "natural_lower": natural.lower,
            "natural_upper": natural.upper,
            "weight": self.weight,
        }
        return pd.DataFrame(columns, index=pd.Index(self.study, name="study"))

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Forest plot; needs matplotlib."""
        from netsynth.plots.forest import forest_plot

        return forest_plot(self, ax=ax)

    def _title(self) -> str:
        measure = MEASURES[self.measure]
        label = f"{measure.label} ({measure.scale} scale)" if measure.kind == "probability" else measure.label
        if not self.pooled:
            return f"{label}, one study ({self.study[0]}), not pooled, k = 1"
        model = "common effect" if self.tau2_method == "CE" else f"random effects, tau2 by {self.tau2_method}"
        return f"{label}, {model}, CI by {self.ci_method}, k = {self.k}"

    def shown(self, natural: float) -> str:
        """A value on the printed scale as text shows it: "0.75", "72.4%"."""
        kind = MEASURES[self.measure].kind
        if kind == "ratio":
            return _format.ratio(natural)
        if kind == "probability":
            return f"{_format.number(100 * natural, 1)}%"
        return _format.significant(natural)

    def _bracket(self, interval: Interval) -> str:
        if math.isnan(interval.lower):
            return "undefined"
        return f"[{self.shown(interval.lower)}, {self.shown(interval.upper)}]"

    def __str__(self) -> str:
        lines = [f"  estimate  {self.shown(self.natural)}   95% CI {self._bracket(self.natural_interval())}"]
        if self.pooled:
            q_test = f"Q {_format.number(self.q, 2)} on {self.k - 1} df, {_format.pvalue(self.q_pvalue)}"
            spread = f"I2 {100 * self.i2:.0f}%   {q_test}"
            if self.tau2_method != "CE":
                lines[0] += f"   95% PI {self._bracket(self.natural_prediction_interval())}"
                low, high = map(_format.significant, self.tau2_interval())
                spread = f"tau2 {_format.significant(self.tau2)}   95% CI [{low}, {high}]   {spread}"
            if self.k == 2:  # the methods differ so much that one alone would mislead
                each = ((name, self.confidence_interval(method=name)) for name in CI_METHODS)
                shown = ", ".join(f"{name} {self._bracket(self._natural(ends))}" for name, ends in each)
                lines.append(f"  95% CI by method: {shown}")
            lines.append(f"  {spread}")
        return "\n".join([self._title(), *lines, *(f"  {caution}" for caution in self.warnings)])

    def _repr_html_(self) -> str:
        names = (*self.study, "Pooled") if self.pooled else self.study
        limits = [*zip(*self.natural_study_interval(), strict=True), self.natural_interval()]
        values = [*MEASURES[self.measure].from_scale(self.study_estimate), self.natural]
        weights = [*(f"{100 * weight:.1f}%" for weight in self.weight), ""]
        rows = [
            (name, self.shown(value), self._bracket(Interval(*ends)), weight)
            for name, value, ends, weight in zip(names, values, limits, weights, strict=False)
        ]
        return _format.html_table(("study", "estimate", "95% CI", "weight"), rows, caption=self._title())


def _interval(ends: Limits) -> Interval:
    return Interval(float(ends.lower), float(ends.upper))
