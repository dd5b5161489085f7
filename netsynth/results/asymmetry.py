"""Small-study effects: a test of the asymmetry of a funnel, and the effect at infinite precision."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import JSON, FloatArray, Interval
from netsynth.errors import Caution
from netsynth.kernels import intervals
from netsynth.kernels.asymmetry import ASYMMETRY_METHODS, PREDICTORS, AsymmetryMethod, Predictor
from netsynth.kernels.scales import MEASURES, EffectMeasure
from netsynth.results.pooled import PooledEffect

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["AsymmetryTest", "LimitEffect"]


@dataclass(frozen=True, slots=True, eq=False)
class AsymmetryTest:
    """A test of whether effects depend on the size of their studies, as made by `netsynth.assess_asymmetry`.

    Numbers are on the scale of ``pooled.measure``; nan where a test does not have them.

    Attributes
    ----------
    method : str
        The test.
    predictor : str or None
        What the effects are regressed on, or ranked against; None where the test makes its own.
    pooled : PooledEffect
        The studies that were tested.
    statistic, df, pvalue : float
        Slope over its standard error, or score over its own; its degrees of freedom, infinite where it is
        normal; and the two-sided p-value, for Begg and Mazumdar's test the exact one where `exact`.
    slope, slope_se : float
        Change of the effect with one unit of the predictor.
    intercept, intercept_se : float
        Effect where the predictor is 0.
    dispersion : float
        How many times as much the effects scatter about the line, in variance, as their weights say.
    tau2, tau2_method : float, str
        Variance that the line leaves between studies and how it was found; nan and "" where the scatter is taken
        for a dispersion.
    rank_correlation, score, score_se : float
        Kendall's tau-b, concordant less discordant pairs, and the standard error of their difference.
    exact : bool
        Whether the p-value counts orders instead of taking the score for normal.
    warnings : tuple of Caution
        What to keep in mind.
    """

    method: AsymmetryMethod
    predictor: Predictor | None
    pooled: PooledEffect
    statistic: float
    df: float
    pvalue: float
    slope: float
    slope_se: float
    intercept: float
    intercept_se: float
    dispersion: float
    tau2: float
    tau2_method: str
    rank_correlation: float
    score: float
    score_se: float
    exact: bool
    warnings: tuple[Caution, ...] = ()

    @property
    def k(self) -> int:
        """Number of studies."""
        return self.pooled.k

    @property
    def is_rank_test(self) -> bool:
        """Whether ranks are correlated; otherwise a line is fitted."""
        return ASYMMETRY_METHODS[self.method].is_rank

    @property
    def limit(self) -> float:
        """Effect of a study of infinite size: the intercept, where the predictor vanishes with size, else nan."""
        return self.intercept if self._has_limit else math.nan

    @property
    def natural_limit(self) -> float:
        """`limit` on the printed scale."""
        return float(MEASURES[self.pooled.measure].from_scale(self.limit))

    @property
    def _has_limit(self) -> bool:
        return not self.is_rank_test and self.predictor is not None and PREDICTORS[self.predictor].vanishes

    def slope_interval(self, level: float = 0.95) -> Interval:
        """Interval for the slope; nan for tests of ranks."""
        return self._interval(self.slope, self.slope_se, level)

    def limit_interval(self, level: float = 0.95) -> Interval:
        """Interval for the effect of a study of infinite size; nan where there is none."""
        return self._interval(self.limit, self.intercept_se, level)

    def natural_limit_interval(self, level: float = 0.95) -> Interval:
        """`limit_interval` on the printed scale, the smaller limit first."""
        ends = MEASURES[self.pooled.measure].from_scale(np.asarray(self.limit_interval(level)))
        return Interval(*np.sort(ends).tolist())

    def normal_pvalue(self, *, continuity: bool = False) -> float:
        """P-value of a test of ranks from the normal distribution, whether an exact one is known or not.

        With `continuity` the score is taken one nearer to zero, half the distance between its values. nan for the
        other tests.
        """
        score = max(abs(self.score) - 1.0, 0.0) if continuity else abs(self.score)
        return float(intervals.two_sided_pvalue(np.asarray(score / self.score_se), np.inf))

    def _interval(self, centre: float, se: float, level: float) -> Interval:
        ends = intervals.limits(np.asarray(centre), np.asarray(se), self.df, _validate.level(level))
        return Interval(float(ends.lower), float(ends.upper))

    def _row(self, level: float) -> dict[str, Any]:
        slope, limit = self.slope_interval(level), self.limit_interval(level)
        natural = self.natural_limit_interval(level)
        return {
            "predictor": self.predictor,
            "statistic": self.statistic,
            "df": self.df,
            "pvalue": self.pvalue,
            "slope": self.slope,
            "slope_se": self.slope_se,
            "slope_lower": slope.lower,
            "slope_upper": slope.upper,
            "intercept": self.intercept,
            "intercept_se": self.intercept_se,
            "limit": self.limit,
            "limit_lower": limit.lower,
            "limit_upper": limit.upper,
            "natural_limit": self.natural_limit,
            "natural_limit_lower": natural.lower,
            "natural_limit_upper": natural.upper,
            "dispersion": self.dispersion,
            "tau2": self.tau2,
            "tau2_method": self.tau2_method,
            "rank_correlation": self.rank_correlation,
            "score": self.score,
            "score_se": self.score_se,
            "exact": self.exact,
            "k": self.k,
            "measure": self.pooled.measure,
        }

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row on the scale of the measure; the columns called natural are on the printed one."""
        import pandas as pd

        return pd.DataFrame([self._row(level)], index=pd.Index([self.method], name="method"))

    def to_dict(self, level: float = 0.95) -> JSON:
        """Plain dict for JSON: the columns of `summary_frame`; None for nan, "inf" for infinite df."""
        plain = {name: _format.plain(value) for name, value in self._row(level).items()}
        said = [str(caution) for caution in self.warnings]
        return {"method": self.method, "level": level, **plain, "warnings": said}

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Funnel plot of the studies, with the line of a test on the standard error or variance."""
        from netsynth.plots.funnel import funnel_plot

        on_funnel = self.predictor in ("se", "variance") and math.isfinite(self.slope)
        return funnel_plot(self.pooled, ax=ax, test=self if on_funnel else None)

    def _title(self) -> str:
        measure = MEASURES[self.pooled.measure]
        against = "" if self.predictor is None else f" against {PREDICTORS[self.predictor].label}"
        return f"{ASYMMETRY_METHODS[self.method].label}: {measure.label}{against}, k = {self.k}"

    def _rows(self) -> list[tuple[str, str]]:
        p = _format.pvalue(self.pvalue)
        if self.is_rank_test:
            z = f"z {_format.number(self.statistic, 2)}"
            found = f"tau {_format.number(self.rank_correlation, 2)}"
            return [("rank correlation", f"{found}   {f'exact {p}' if self.exact else f'{z}, {p}'}")]
        letter, df = ("z", "") if math.isinf(self.df) else ("t", f" on {self.df:g} df")
        slope, low, high = _alike(self.slope_se, self.slope, *self.slope_interval())
        ends = "undefined" if math.isnan(self.slope_se) else f"[{low}, {high}]"
        slope = f"{slope}   95% CI {ends}"
        rows = [("slope", f"{slope}   {letter} {_format.number(self.statistic, 2)}{df}, {p}")]
        if self._has_limit:
            rows.append(
                ("at infinite size", _estimate(self.pooled, self.limit, self.natural_limit_interval()))
            )
        if self.tau2_method:
            rows.append(
                ("left between studies", f"tau2 {_format.significant(self.tau2)} ({self.tau2_method})")
            )
        else:
            rows.append(("dispersion", _format.significant(self.dispersion)))
        return rows

    def __str__(self) -> str:
        return _format.labelled_lines(self._title(), self._rows(), self.warnings)

    def _repr_html_(self) -> str:
        return _format.html_table(("", ""), self._rows(), caption=self._title())


@dataclass(frozen=True, slots=True, eq=False)
class LimitEffect:
    r"""The effect of a study of infinite size, as made by `netsynth.limit_effect`.

    Attributes
    ----------
    pooled : PooledEffect
        The studies it was found from, and what they say without it.
    estimate, se : float
        The effect, :math:`\beta + \tau\alpha`, and its standard error, on the scale of ``pooled.measure``.
    slope, intercept : float
        :math:`\alpha` and :math:`\beta` of :math:`y_i = \beta + \sqrt{v_i + \tau^2}\,(\alpha + \epsilon_i)`.
    q_residual : float
        What of ``pooled.q`` is left when effects may depend on precision, on k - 2 degrees of freedom.
    g2 : float
        Share of the variation between the studies' own limits that does not depend on precision, a fraction.
    study_estimate : ndarray, shape (k,)
        The limit of each study, drawn to the line. Read-only.
    warnings : tuple of Caution
        What to keep in mind.
    """

    pooled: PooledEffect
    estimate: float
    se: float
    slope: float
    intercept: float
    q_residual: float
    g2: float
    study_estimate: FloatArray
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
        return float(MEASURES[self.measure].from_scale(self.estimate))

    @property
    def q_small_study(self) -> float:
        """What of Q the dependence on precision explains, on one degree of freedom."""
        return self.pooled.q - self.q_residual

    @property
    def pvalue(self) -> float:
        """Two-sided p-value of no effect; nan for probabilities, which have no value of no effect."""
        measure = MEASURES[self.measure]
        statistic = (self.estimate - measure.to_scale(measure.null)) / self.se
        return float(intervals.two_sided_pvalue(statistic, np.inf))

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """Normal interval for the effect."""
        ends = intervals.limits(
            np.asarray(self.estimate), np.asarray(self.se), np.inf, _validate.level(level)
        )
        return Interval(float(ends.lower), float(ends.upper))

    def natural_interval(self, level: float = 0.95) -> Interval:
        """`confidence_interval` on the printed scale, the smaller limit first."""
        ends = MEASURES[self.measure].from_scale(np.asarray(self.confidence_interval(level)))
        return Interval(*np.sort(ends).tolist())

    def _row(self, level: float) -> dict[str, Any]:
        ci, natural = self.confidence_interval(level), self.natural_interval(level)
        return {
            "estimate": self.estimate,
            "se": self.se,
            "ci_lower": ci.lower,
            "ci_upper": ci.upper,
            "pvalue": self.pvalue,
            "natural": self.natural,
            "natural_lower": natural.lower,
            "natural_upper": natural.upper,
            "slope": self.slope,
            "intercept": self.intercept,
            "tau2": self.pooled.tau2,
            "q": self.pooled.q,
            "q_small_study": self.q_small_study,
            "q_residual": self.q_residual,
            "g2": self.g2,
            "k": self.k,
            "tau2_method": self.pooled.tau2_method,
        }

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row on the scale of `measure`; the columns called natural are on the printed one."""
        import pandas as pd

        return pd.DataFrame([self._row(level)], index=pd.Index([self.measure], name="measure"))

    def to_dict(self, level: float = 0.95) -> JSON:
        """Plain dict for JSON: the columns of `summary_frame` and the limits of the studies; None for nan."""
        plain = {name: _format.plain(value) for name, value in self._row(level).items()}
        studies = dict(zip(self.pooled.study, map(_format.plain, self.study_estimate.tolist()), strict=True))
        said = [str(caution) for caution in self.warnings]
        return {"measure": self.measure, "level": level, **plain, "studies": studies, "warnings": said}

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Funnel plot of the studies with the curve that ends in the limit; needs matplotlib."""
        from netsynth.plots.funnel import funnel_plot

        return funnel_plot(self.pooled, ax=ax, test=self)

    def _title(self) -> str:
        label, how = MEASURES[self.measure].label, self.pooled.tau2_method
        return f"Limit meta-analysis: {label}, tau2 by {how}, k = {self.k}"

    def _rows(self) -> list[tuple[str, str]]:
        pooled, q = self.pooled, _format.number(self.q_small_study, 2)
        rest = _format.number(self.q_residual, 2)
        share = "undefined" if math.isnan(self.g2) else f"{100 * self.g2:.0f}%"
        return [
            ("pooled", _estimate(pooled, pooled.estimate, pooled.natural_interval())),
            ("at infinite size", _estimate(pooled, self.estimate, self.natural_interval())),
            (
                "G2",
                f"{share}   Q of small-study effects {q} on 1 df, left {rest} on {self.k - 2} df",
            ),
        ]

    def __str__(self) -> str:
        return _format.labelled_lines(self._title(), self._rows(), self.warnings)

    def _repr_html_(self) -> str:
        return _format.html_table(("", ""), self._rows(), caption=self._title())


def _estimate(pooled: PooledEffect, estimate: float, ends: Interval) -> str:
    if math.isnan(estimate):
        return "undefined"
    shown = pooled.shown(float(MEASURES[pooled.measure].from_scale(estimate)))
    if math.isnan(ends.lower):
        return f"{shown}   95% CI undefined"
    return f"{shown}   95% CI [{pooled.shown(ends.lower)}, {pooled.shown(ends.upper)}]"


def _alike(error: float, *values: float) -> list[str]:
    """Values with as many decimals as give their error two digits, if that is not too many."""
    decimals = 1 - math.floor(math.log10(error)) if error > 0 else math.inf
    if decimals > 8:
        return [_format.significant(value) for value in values]
    return [_format.number(value, max(int(decimals), 0)) for value in values]
