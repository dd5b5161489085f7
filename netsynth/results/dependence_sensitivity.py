"""A mean of dependent results under one assumed correlation after another."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import JSON, FloatArray
from netsynth.errors import Caution, ConvergenceError, InvalidInputError
from netsynth.kernels import dependent, intervals
from netsynth.kernels.intervals import Limits
from netsynth.kernels.scales import MEASURES, EffectMeasure
from netsynth.results.dependent import DependentEffect, check_correlation

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["DependenceSensitivity", "refit"]


@dataclass(frozen=True, slots=True, eq=False)
class DependenceSensitivity:
    """A mean of dependent results under one assumed correlation after another.

    Attributes
    ----------
    base : DependentEffect
        The result whose correlation is varied.
    correlation : ndarray, shape (r,)
        Assumed correlations of sampling errors within a cohort.
    estimate, se, df, between, within : ndarray, shape (r,)
        As in `DependentEffect`, under each of them. Read-only.
    """

    base: DependentEffect
    correlation: FloatArray
    estimate: FloatArray
    se: FloatArray
    df: FloatArray
    between: FloatArray
    within: FloatArray

    @property
    def measure(self) -> EffectMeasure:
        """The scale of the estimates."""
        return self.base.measure

    @property
    def warnings(self) -> tuple[Caution, ...]:
        """Those of the result whose correlation is varied."""
        return self.base.warnings

    @property
    def natural(self) -> FloatArray:
        """Estimates on the printed scale."""
        return MEASURES[self.measure].from_scale(self.estimate)

    def confidence_interval(self, level: float = 0.95) -> Limits:
        """Interval of the mean under each correlation, two arrays of shape (r,)."""
        return intervals.limits(self.estimate, self.se, self.df, _validate.level(level))

    def natural_interval(self, level: float = 0.95) -> Limits:
        """`confidence_interval` on the printed scale, the smaller limits first."""
        ends = MEASURES[self.measure].from_scale(np.stack(self.confidence_interval(level)))
        return Limits(ends.min(axis=0), ends.max(axis=0))

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a correlation."""
        import pandas as pd

        ci, natural = self.confidence_interval(level), self.natural_interval(level)
        columns = {
            "estimate": self.estimate,
            "se": self.se,
            "df": self.df,
            "ci_lower": ci.lower,
            "ci_upper": ci.upper,
            "natural": self.natural,
            "natural_lower": natural.lower,
            "natural_upper": natural.upper,
            "between": self.between,
            "within": self.within,
        }
        return pd.DataFrame(columns, index=pd.Index(self.correlation, name="correlation"))

    def to_dict(self, level: float = 0.95) -> JSON:
        """Plain dict for JSON: the methods, and one dict a correlation; None for nan, "inf" for an open end."""
        return {
            "measure": self.measure,
            "model": self.base.model,
            "method": self.base.method,
            "ci_method": self.base.ci_method,
            "level": level,
            "correlations": _format.plain_rows(self.summary_frame(level)),
            "warnings": [str(caution) for caution in self.warnings],
        }

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """The mean with its interval against the correlation; needs matplotlib."""
        from netsynth.plots.dependent import dependence_plot

        return dependence_plot(self, ax=ax)

    def __str__(self) -> str:
        interval, show = self.natural_interval(), self.base.shown
        model, _, rest = self.base.title.partition(", k = ")
        low, high = float(self.correlation.min()), float(self.correlation.max())
        lines = [
            f"{model}, correlation {low:g} to {high:g}, k = {rest}",
            f"  estimate  {_range(self.natural, show)}   95% CI, lower limit {_range(interval.lower, show)}, "
            f"upper limit {_range(interval.upper, show)}",
            f"  variance between cohorts {_range(self.between, _format.significant)}",
        ]
        if self.base.model == "three_level" and not np.isnan(self.within).any():
            lines[-1] += f", within cohorts {_range(self.within, _format.significant)}"
        return "\n".join([*lines, *(f"  {caution}" for caution in self.warnings)])

    def _repr_html_(self) -> str:
        rows = [
            (
                f"{correlation:g}",
                self.base.shown(value),
                f"[{self.base.shown(low)}, {self.base.shown(high)}]",
                _format.significant(between),
                _format.significant(within),
            )
            for correlation, value, low, high, between, within in zip(
                self.correlation,
                self.natural,
                *self.natural_interval(),
                self.between,
                self.within,
                strict=True,
            )
        ]
        header = ("correlation", "estimate", "95% CI", "variance between", "variance within")
        return _format.html_table(header, rows, caption=self.base.title)


def refit(base: DependentEffect, correlations: FloatArray) -> DependenceSensitivity:
    """Fit the model of a result under other correlations; see `DependentEffect.over_correlation`."""
    if math.isnan(base.correlation):
        raise InvalidInputError(
            "The covariance was given, so no correlation was assumed. Pool with se to vary it."
        )
    for value in correlations:
        check_correlation(float(value), base.cluster)
    numbers = base.numbers
    fit = dependent.fit_dependent(
        base.study_estimate,
        dependent.compound_symmetric(np.diag(base.study_covariance), numbers, correlations),
        numbers,
        model=base.model,
        method="ML" if base.method == "ML" else "REML",
        ci_method=base.ci_method,
        correlation=correlations,
    )
    for i in np.flatnonzero(~fit.converged):
        raise ConvergenceError(
            f"The three-level model by {base.method} did not converge at correlation {correlations[i]:g}.",
            last=float(fit.between[i]),
        )
    columns = [
        np.array(column) for column in (fit.mean.mean, fit.mean.se, fit.mean.df, fit.between, fit.within)
    ]
    for array in columns:
        array.setflags(write=False)
    return DependenceSensitivity(base, correlations, *columns)


def _range(values: FloatArray, show: Callable[[float], str]) -> str:
    low, high = show(float(values.min())), show(float(values.max()))
    return low if low == high else f"{low} to {high}"
