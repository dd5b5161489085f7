"""PET-PEESE: the effect of a study without error, from lines on the standard error and on the variance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from scipy.special import stdtr

from netsynth import _format, _validate
from netsynth._typing import JSON, Interval
from netsynth.errors import Caution
from netsynth.kernels import intervals
from netsynth.kernels.scales import MEASURES, EffectMeasure
from netsynth.results.pooled import PooledEffect
from netsynth.results.regression import MetaRegression

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["PetPeese", "PrecisionLine"]

PrecisionModel = Literal["WLS", "CE", "REML"]
Side = Literal["greater", "less"]

_MODELS: Final = {
    "WLS": "weighted least squares",
    "CE": "common effect",
    "REML": "random effects, tau2 by REML",
}


@dataclass(frozen=True, slots=True)
class PrecisionLine:
    """A line of the effects on the standard error (PET) or the variance (PEESE) of their studies.

    Attributes
    ----------
    intercept, intercept_se : float
        Effect of a study without error, and its standard error.
    slope, slope_se : float
        Change of the effect with one unit of the predictor.
    df : float
        Degrees of freedom of both, infinite where normal.
    dispersion : float
        Variance of the effects about the line in multiples of their own; 1 where that is the model.
    tau2 : float
        Variance between studies that the line leaves; 0 unless the model has it.
    """

    intercept: float
    intercept_se: float
    slope: float
    slope_se: float
    df: float
    dispersion: float
    tau2: float

    @property
    def pvalue(self) -> float:
        """Two-sided p-value of an intercept of 0."""
        return self._pvalue(self.intercept / self.intercept_se)

    @property
    def slope_pvalue(self) -> float:
        """Two-sided p-value of a slope of 0."""
        return self._pvalue(self.slope / self.slope_se)

    def one_sided_pvalue(self, side: Side) -> float:
        """P-value of an intercept of 0 against a higher ("greater") or a lower one."""
        statistic = self.intercept / self.intercept_se
        return float(stdtr(self.df, -statistic if side == "greater" else statistic))

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """Interval for the intercept."""
        return self._interval(self.intercept, self.intercept_se, level)

    def slope_interval(self, level: float = 0.95) -> Interval:
        """Interval for the slope."""
        return self._interval(self.slope, self.slope_se, level)

    def _pvalue(self, statistic: float) -> float:
        return float(intervals.two_sided_pvalue(np.asarray(statistic), self.df))

    def _interval(self, centre: float, se: float, level: float) -> Interval:
        ends = intervals.limits(np.asarray(centre), np.asarray(se), self.df, _validate.level(level))
        return Interval(float(ends.lower), float(ends.upper))


@dataclass(frozen=True, slots=True, eq=False)
class PetPeese:
    """The effect of a study without error on the scale of `measure`, as made by `netsynth.pet_peese`.

    Attributes
    ----------
    pooled : PooledEffect
        The studies, and what they say without a line.
    model : {"WLS", "CE", "REML"}
        How the lines were fitted.
    alpha : float
        One-sided level at which PET must find an effect for PEESE to estimate it.
    side : {"greater", "less"}
        On which side of 0 it is looked for: that of the pooled effect.
    pet, peese : PrecisionLine
        The lines on the standard error and on the variance.
    pet_regression, peese_regression : MetaRegression or None
        The lines as meta-regressions, for all else that can be asked of them; None for "WLS".
    warnings : tuple of Caution
        What to keep in mind.
    """

    pooled: PooledEffect
    model: PrecisionModel
    alpha: float
    side: Side
    pet: PrecisionLine
    peese: PrecisionLine
    pet_regression: MetaRegression | None
    peese_regression: MetaRegression | None
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
    def pet_pvalue(self) -> float:
        """One-sided p-value of PET, on which the choice rests."""
        return self.pet.one_sided_pvalue(self.side)

    @property
    def chosen(self) -> Literal["PET", "PEESE"]:
        """The line that estimates: PEESE if PET finds an effect at `alpha`, else PET."""
        return "PEESE" if self.pet_pvalue < self.alpha else "PET"

    @property
    def line(self) -> PrecisionLine:
        """The chosen line."""
        return self.peese if self.chosen == "PEESE" else self.pet

    @property
    def estimate(self) -> float:
        """Intercept of the chosen line."""
        return self.line.intercept

    @property
    def se(self) -> float:
        """Its standard error, which knows nothing of the choice."""
        return self.line.intercept_se

    @property
    def natural(self) -> float:
        """The estimate on the printed scale."""
        return float(MEASURES[self.measure].from_scale(self.estimate))

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """Interval for the estimate, as if the line had been chosen beforehand."""
        return self.line.confidence_interval(level)

    def natural_interval(self, level: float = 0.95) -> Interval:
        """`confidence_interval` on the printed scale, the smaller limit first."""
        return self._natural(self.confidence_interval(level))

    def _natural(self, ends: Interval) -> Interval:
        return Interval(*np.sort(MEASURES[self.measure].from_scale(np.asarray(ends))).tolist())

    def _row(self, line: PrecisionLine, level: float) -> dict[str, Any]:
        ci, slope = line.confidence_interval(level), line.slope_interval(level)
        natural = self._natural(ci)
        return {
            "estimate": line.intercept,
            "se": line.intercept_se,
            "ci_lower": ci.lower,
            "ci_upper": ci.upper,
            "pvalue": line.pvalue,
            "natural": float(MEASURES[self.measure].from_scale(line.intercept)),
            "natural_lower": natural.lower,
            "natural_upper": natural.upper,
            "slope": line.slope,
            "slope_se": line.slope_se,
            "slope_lower": slope.lower,
            "slope_upper": slope.upper,
            "slope_pvalue": line.slope_pvalue,
            "df": line.df,
            "dispersion": line.dispersion,
            "tau2": line.tau2,
            "chosen": line is self.line,
            "k": self.k,
            "model": self.model,
        }

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a line on the scale of `measure`; the columns called natural are on the printed one."""
        import pandas as pd

        rows = [self._row(line, level) for line in (self.pet, self.peese)]
        return pd.DataFrame(rows, index=pd.Index(["PET", "PEESE"], name="line"))

    def to_dict(self, level: float = 0.95) -> JSON:
        """Plain dict for JSON: the columns of `summary_frame` for each line; None for nan and infinite df."""
        lines = {
            name: {key: _format.plain(value) for key, value in self._row(line, level).items()}
            for name, line in (("PET", self.pet), ("PEESE", self.peese))
        }
        return {
            "measure": self.measure,
            "level": level,
            "alpha": self.alpha,
            "side": self.side,
            "pet_pvalue": _format.plain(self.pet_pvalue),
            "chosen": self.chosen,
            **lines,
            "warnings": [str(caution) for caution in self.warnings],
        }

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Effects by standard error with both lines, drawn to a study without error; needs matplotlib."""
        from netsynth.plots.selection import pet_peese_plot

        return pet_peese_plot(self, ax=ax)

    def _title(self) -> str:
        return f"PET-PEESE: {MEASURES[self.measure].label}, {_MODELS[self.model]}, k = {self.k}"

    def _rows(self) -> list[tuple[str, str]]:
        shown = self.pooled.shown
        rows = [("pooled", self._shown(self.pooled.natural, self.pooled.natural_interval()))]
        for name, line in (("PET", self.pet), ("PEESE", self.peese)):
            value = float(MEASURES[self.measure].from_scale(line.intercept))
            text = self._shown(value, self._natural(line.confidence_interval()))
            rows.append((name, text + ("   chosen" if line is self.line else "")))
        sign = "<" if self.chosen == "PEESE" else ">="
        null = shown(MEASURES[self.measure].null)
        where = "above" if self.side == "greater" else "below"
        p = f"one-sided {_format.pvalue(self.pet_pvalue)} {sign} {self.alpha:g}"
        if math.isnan(self.pet_pvalue):
            p = "undefined"
        rows.append(("choice", f"PET against an effect {where} {null}: {p}"))
        return rows

    def _shown(self, value: float, ends: Interval) -> str:
        shown = self.pooled.shown
        if math.isnan(ends.lower):
            return f"{shown(value)}   95% CI undefined"
        return f"{shown(value)}   95% CI [{shown(ends.lower)}, {shown(ends.upper)}]"

    def __str__(self) -> str:
        rows = self._rows()
        width = max(len(name) for name, _ in rows)
        lines = [f"  {name:<{width}}   {value}" for name, value in rows]
        return "\n".join([self._title(), *lines, *(f"  {caution}" for caution in self.warnings)])

    def _repr_html_(self) -> str:
        return _format.html_table(("", ""), self._rows(), caption=self._title())
