"""A fitted selection model: the effect before selection, and how likely results were to be seen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc

from netsynth import _format, _validate
from netsynth._typing import JSON, BoolArray, FloatArray, IntArray, Interval
from netsynth.errors import Caution
from netsynth.kernels import intervals, selection, selection_fit
from netsynth.kernels.scales import MEASURES, EffectMeasure
from netsynth.kernels.selection import Alternative, SmoothWeight
from netsynth.results.pooled import PooledEffect

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["LikelihoodRatio", "SelectionModel", "WeightCurve"]

WeightForm = Literal["step"] | SmoothWeight
SelectionTau2 = Literal["ML", "CE"]

_FORMS = {
    "step": "step function",
    "beta": "beta weight",
    "half_normal": "half-normal weight",
    "negative_exponential": "negative exponential weight",
}
#: Names of the parameters of the smooth weights.
_PARAMETERS = {
    "beta": ("power of p", "power of 1 - p"),
    "half_normal": ("rate",),
    "negative_exponential": ("rate",),
}


class LikelihoodRatio(NamedTuple):
    """Twice the difference of two log-likelihoods, its degrees of freedom, and the chi-squared p-value."""

    statistic: float
    df: int
    pvalue: float


class WeightCurve(NamedTuple):
    """Weights at some p-values relative to that of the reference, and limits; three arrays of one shape."""

    weight: FloatArray
    lower: FloatArray
    upper: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class SelectionModel:
    """A selection model on the scale of `measure`, as made by `netsynth.fit_selection_model`.

    Attributes
    ----------
    pooled : PooledEffect
        The studies, and what they say without selection.
    form : {"step", "beta", "half_normal", "negative_exponential"}
        How the chance to be seen hangs on the p-value.
    alternative : {"greater", "less", "two-sided"}
        Side of the p-value: "greater" where high effects are the welcome ones.
    steps : tuple of float
        Upper ends of the intervals of p-values, without the last, which is 1; empty for smooth weights.
    estimate, se : float
        Mean effect of all studies, seen or not, and its standard error.
    tau2, tau2_se : float
        Between-study variance and its standard error, nan where it is 0.
    tau2_method : {"ML", "CE"}
        Estimated by maximum likelihood, or held at 0.
    weight, weight_se : ndarray, shape (J,)
        Weight of each interval relative to the first that holds a study, or the parameters of a smooth weight;
        and their standard errors, nan for what is given or lies at an end of its range. Read-only, as all arrays.
    given : ndarray of bool, shape (J,)
        Which weights were not estimated.
    n_studies : ndarray of int, shape (J,)
        Studies in each interval; empty for smooth weights.
    covariance : ndarray, shape (2 + J, 2 + J)
        Of the estimate, tau2 and the weights.
    log_likelihood, log_likelihood_null, log_likelihood_common : float
        Of this model, of the same without selection, and of the same with tau2 = 0, nan where that is this model.
    null_estimate, null_tau2 : float
        Mean effect and tau2 without selection, by the same method.
    warnings : tuple of Caution
        What to keep in mind.
    """

    pooled: PooledEffect
    form: WeightForm
    alternative: Alternative
    steps: tuple[float, ...]
    estimate: float
    se: float
    tau2: float
    tau2_se: float
    tau2_method: SelectionTau2
    weight: FloatArray
    weight_se: FloatArray
    given: BoolArray
    n_studies: IntArray
    covariance: FloatArray
    log_likelihood: float
    log_likelihood_null: float
    log_likelihood_common: float
    null_estimate: float
    null_tau2: float
    warnings: tuple[Caution, ...] = ()

    @property
    def measure(self) -> EffectMeasure:
        """The scale of every number here that is not called natural."""
        return self.pooled.measure

    @property
    def k(self) -> int:
        """Number of studies."""
        return self.pooled.k

    @property
    def natural(self) -> float:
        """The estimate on the printed scale."""
        return self._natural(self.estimate)

    @property
    def tau(self) -> float:
        """Standard deviation of the true effects between studies."""
        return math.sqrt(self.tau2)

    @property
    def pvalue(self) -> float:
        """Two-sided p-value of no effect."""
        return float(intervals.two_sided_pvalue(np.asarray(self.estimate / self.se), np.inf))

    @property
    def study_pvalue(self) -> FloatArray:
        """P-value of each study on the side of `alternative`, shape (k,)."""
        return selection.study_pvalues(self.pooled.study_estimate, self.pooled.study_se**2, self.alternative)

    @property
    def weight_names(self) -> tuple[str, ...]:
        """The intervals of p-values in words, or the names of the parameters of a smooth weight."""
        if self.form != "step":
            return _PARAMETERS[self.form]
        return interval_labels(self.steps)

    @property
    def selection_test(self) -> LikelihoodRatio:
        """Likelihood ratio test of no selection; df 0 and p-value nan where all weights were given.

        Two models with given weights are not nested: a statistic above 0 then says only that these fit better.
        """
        df = int((~self.given).sum())
        return _ratio(self.log_likelihood, self.log_likelihood_null, df)

    @property
    def heterogeneity_test(self) -> LikelihoodRatio:
        """Likelihood ratio test of tau2 = 0, on one degree of freedom; nan for the common-effect model."""
        if (
            self.tau2_method == "ML" and self.tau2 == 0
        ):  # what is left between two climbs to one maximum is rounding
            return LikelihoodRatio(0.0, 1, 1.0)
        return _ratio(self.log_likelihood, self.log_likelihood_common, 1)

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """Wald interval for the mean effect; nan where it has no standard error."""
        ends = intervals.limits(
            np.asarray(self.estimate), np.asarray(self.se), np.inf, _validate.level(level)
        )
        return Interval(float(ends.lower), float(ends.upper))

    def natural_interval(self, level: float = 0.95) -> Interval:
        """`confidence_interval` on the printed scale, the smaller limit first."""
        return Interval(*sorted(map(self._natural, self.confidence_interval(level))))

    def profile_interval(self, level: float = 0.95) -> Interval:
        """Interval of the mean effects whose likelihood, all else fitted, is not too low; open ends are infinite.

        It is to be trusted more than the Wald interval where weights are near 0 or tau2 is.
        """
        y, v, common = self.pooled.study_estimate, self.pooled.study_se**2, self.tau2_method == "CE"
        if self.form == "step":
            cuts = selection.segments(self.steps, self.alternative)
            interval = selection.intervals_of(self.study_pvalue, self.steps)
            weight = np.where(self._held, self.weight, np.nan)

            def height(mean: FloatArray, _: IntArray) -> FloatArray:
                fit = selection_fit.fit_steps(y, v, interval, cuts, weight, common=common, mean=mean)
                return fit.log_likelihood
        else:
            form, side = self.form, self.alternative

            def height(mean: FloatArray, _: IntArray) -> FloatArray:
                return selection_fit.fit_smooth(y, v, form, side, common=common, mean=mean).log_likelihood

        step = self.se if math.isfinite(self.se) else float(np.median(self.pooled.study_se))
        drop = 0.5 * float(intervals.critical_value(np.inf, _validate.level(level))) ** 2
        at = np.asarray(self.estimate), np.asarray(self.log_likelihood)
        ends = selection_fit.profile_limits(height, *at, drop, np.asarray(step))
        return Interval(float(ends.lower), float(ends.upper))

    @property
    def _held(self) -> BoolArray:
        """Weights that the fit does not move: given ones, the reference among them, and those of empty intervals."""
        return np.asarray(self.given | (self.n_studies == 0))

    def weight_interval(self, level: float = 0.95) -> intervals.Limits:
        """Wald intervals of the weights, of their logarithms for a step function; arrays of shape (J,)."""
        level = _validate.level(level)
        if self.form != "step":
            return intervals.limits(self.weight, self.weight_se, np.inf, level)
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = intervals.limits(np.log(self.weight), self.weight_se / self.weight, np.inf, level)
        return intervals.Limits(np.exp(ends.lower), np.exp(ends.upper))

    def weight_at(self, pvalue: npt.ArrayLike, level: float = 0.95) -> WeightCurve:
        """Weight of p-values relative to the reference.

        The reference is the first interval of a step function that holds a study, p = 0 of the half-normal and
        negative exponential weights, and p = 0.025 of the beta weight.
        """
        p = np.asarray(pvalue, dtype=np.float64)
        if self.form == "step":
            of = selection.intervals_of(p, self.steps)
            low, high = self.weight_interval(level)
            return WeightCurve(self.weight[of], low[of], high[of])
        statistic = selection.weight_statistics(self.form, p)
        if self.form == "beta":
            statistic = statistic - selection.weight_statistics(self.form, np.asarray(0.025))
        log_weight = statistic @ (self.weight - selection.NO_SELECTION[self.form])
        error = np.sqrt(np.einsum("...i,ij,...j->...", statistic, self.covariance[2:, 2:], statistic))
        ends = intervals.limits(log_weight, error, np.inf, _validate.level(level))
        return WeightCurve(np.exp(log_weight), np.exp(ends.lower), np.exp(ends.upper))

    def _natural(self, value: float) -> float:
        return float(MEASURES[self.measure].from_scale(value))

    def _row(self, level: float) -> dict[str, Any]:
        ci, natural = self.confidence_interval(level), self.natural_interval(level)
        chosen, spread = self.selection_test, self.heterogeneity_test
        return {
            "estimate": self.estimate,
            "se": self.se,
            "ci_lower": ci.lower,
            "ci_upper": ci.upper,
            "pvalue": self.pvalue,
            "natural": self.natural,
            "natural_lower": natural.lower,
            "natural_upper": natural.upper,
            "tau2": self.tau2,
            "tau2_se": self.tau2_se,
            "lrt": chosen.statistic,
            "lrt_df": chosen.df,
            "lrt_pvalue": chosen.pvalue,
            "lrt_tau2": spread.statistic,
            "lrt_tau2_pvalue": spread.pvalue,
            "log_likelihood": self.log_likelihood,
            "null_estimate": self.null_estimate,
            "null_tau2": self.null_tau2,
            "k": self.k,
            "form": self.form,
            "alternative": self.alternative,
            "tau2_method": self.tau2_method,
        }

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row on the scale of `measure`; the columns called natural are on the printed one."""
        import pandas as pd

        return pd.DataFrame([self._row(level)], index=pd.Index([self.measure], name="measure"))

    def weight_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row an interval of p-values, or a parameter of a smooth weight."""
        import pandas as pd

        low, high = self.weight_interval(level)
        columns = {
            "weight": self.weight,
            "se": self.weight_se,
            "ci_lower": low,
            "ci_upper": high,
            "given": self.given,
        }
        if self.form == "step":
            columns["n_studies"] = self.n_studies
        return pd.DataFrame(
            columns, index=pd.Index(self.weight_names, name="interval" if self.steps else "parameter")
        )

    def to_dict(self, level: float = 0.95) -> JSON:
        """Plain dict for JSON: the columns of `summary_frame` and the weights; None for nan."""
        plain = {name: _format.plain(value) for name, value in self._row(level).items()}
        return {
            "measure": self.measure,
            "level": level,
            **plain,
            "steps": list(self.steps),
            "weight": list(map(_format.plain, self.weight.tolist())),
            "weight_se": list(map(_format.plain, self.weight_se.tolist())),
            "n_studies": self.n_studies.tolist(),
            "warnings": [str(caution) for caution in self.warnings],
        }

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """The weights by p-value with their intervals, and the studies; needs matplotlib."""
        from netsynth.plots.selection import weight_plot

        return weight_plot(self, ax=ax)

    def _title(self) -> str:
        side = {"greater": "for high effects", "less": "for low effects", "two-sided": "for either side"}
        model = "common effect" if self.tau2_method == "CE" else "random effects, tau2 by ML"
        label, form = MEASURES[self.measure].label, _FORMS[self.form]
        return f"Selection model: {label}, {form} {side[self.alternative]}, {model}, k = {self.k}"

    def _rows(self) -> list[tuple[str, str]]:
        shown, ci = self.pooled.shown, self.natural_interval()
        ends = "undefined" if math.isnan(ci.lower) else f"[{shown(ci.lower)}, {shown(ci.upper)}]"
        tau2, null = _format.significant(self.tau2), _format.significant(self.null_tau2)
        rows = [
            ("estimate", f"{shown(self.natural)}   95% CI {ends}   tau2 {tau2}"),
            ("without selection", f"{shown(self._natural(self.null_estimate))}   tau2 {null}"),
        ]
        for i, name in enumerate(self.weight_names):
            value = _format.significant(float(self.weight[i]), 2)
            if self.form == "step":
                studies = _format.plural(int(self.n_studies[i]), "study", "studies")
                rows.append((name, f"weight {value}{self._doubt(i)}   {studies}"))
            else:
                rows.append((name, f"{value}{self._doubt(i)}"))
        test = self.selection_test
        if test.df:
            p = _format.pvalue(test.pvalue)
            rows.append(
                ("test of no selection", f"chi2 {_format.number(test.statistic, 2)} on {test.df} df, {p}")
            )
        return rows

    def _doubt(self, i: int) -> str:
        if math.isnan(self.weight_se[i]):
            return ""
        low, high = (_format.significant(float(end[i]), 2) for end in self.weight_interval())
        return f"   95% CI [{low}, {high}]"

    def __str__(self) -> str:
        rows = self._rows()
        width = max(len(name) for name, _ in rows)
        lines = [f"  {name:<{width}}   {value}" for name, value in rows]
        return "\n".join([self._title(), *lines, *(f"  {caution}" for caution in self.warnings)])

    def _repr_html_(self) -> str:
        return _format.html_table(("", ""), self._rows(), caption=self._title())


def interval_labels(steps: tuple[float, ...]) -> tuple[str, ...]:
    """Intervals of p-values in words.

    Examples
    --------
    >>> interval_labels((0.025, 0.5))
    ('p up to 0.025', 'p 0.025 to 0.5', 'p above 0.5')
    """
    shown = [f"{step:g}" for step in steps]
    inner = (f"p {low} to {high}" for low, high in pairwise(shown))
    return (f"p up to {shown[0]}", *inner, f"p above {shown[-1]}")


def _ratio(full: float, null: float, df: int) -> LikelihoodRatio:
    if math.isnan(null):
        return LikelihoodRatio(math.nan, df, math.nan)
    statistic = max(0.0, 2.0 * (full - null))
    return LikelihoodRatio(statistic, df, float(chdtrc(df, statistic)) if df else math.nan)
