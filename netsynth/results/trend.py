"""The slope through several categories of one study, and what it rests on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np
from scipy.special import chdtrc

from netsynth import _format, _validate
from netsynth._typing import FloatArray, Interval
from netsynth.errors import Caution
from netsynth.kernels import intervals
from netsynth.kernels.trend import TrendDesign

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["CategoryTrend", "TrendBounds", "TrendMethod", "TrendSlope"]

TrendMethod = Literal["greenland-longnecker", "hamling", "floated", "independent"]
RATIO_WORDS: Final = {"rate": "hazard ratio", "cumulative": "risk ratio", "case-control": "odds ratio"}
METHOD_WORDS: Final = {
    "greenland-longnecker": "Greenland-Longnecker",
    "hamling": "Hamling",
    "floated": "floated variances",
    "independent": "ignoring the covariance",
}


class TrendSlope(NamedTuple):
    """Log hazard ratio per unit by one method, its standard error, and the chi-square of what the line leaves."""

    method: TrendMethod
    slope: float
    se: float
    q: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CategoryTrend:
    """Log hazard ratio per unit of a factor reported in categories, as made by `netsynth.trend_from_categories`.

    Arrays are read-only; shape (m + 1,) with the reference, in the order given, or (m, m) without it.

    Attributes
    ----------
    study, unit : str
        Which study, and what one unit of dose is.
    dose : ndarray, shape (m + 1,)
        Value that stands for each category.
    log_hr, se : ndarray, shape (m + 1,)
        Logarithms of the ratios against the reference and their standard errors; 0 and nan for the reference.
    reference : int
        Place of the reference.
    design : {"rate", "cumulative", "case-control"}
        Kind of ratio.
    method : str
        How the covariance of the ratios was found.
    slope, slope_se : float
        Log hazard ratio per unit, and its standard error.
    q : float
        Chi-square of what the line leaves, on `q_df` degrees of freedom.
    covariance : ndarray, shape (m, m)
        Of the log ratios, without the reference.
    denominators : str
        What stood in the denominators: "person-time", "patients", or "" for floated variances.
    alternatives : tuple of TrendSlope
        The same by every other method the numbers allow, that ignoring the covariance included.
    warnings : tuple of Caution
        What to keep in mind.
    """

    study: str
    unit: str
    dose: FloatArray
    log_hr: FloatArray
    se: FloatArray
    reference: int
    design: TrendDesign
    method: TrendMethod
    slope: float
    slope_se: float
    q: float
    covariance: FloatArray
    denominators: str
    alternatives: tuple[TrendSlope, ...]
    warnings: tuple[Caution, ...] = ()

    @property
    def q_df(self) -> int:
        """Categories but the reference, less the slope."""
        return int(self.covariance.shape[0]) - 1

    @property
    def misfit_pvalue(self) -> float:
        """P-value of a straight line on the log scale; nan with two categories, through which one always goes."""
        return float(chdtrc(self.q_df, self.q)) if self.q_df else math.nan

    @property
    def pvalue(self) -> float:
        """Two-sided p-value of no trend."""
        return float(intervals.two_sided_pvalue(np.asarray(self.slope / self.slope_se), np.inf))

    @property
    def ratio_words(self) -> str:
        """What the ratios are: hazard, risk or odds ratios."""
        return RATIO_WORDS[self.design]

    @property
    def hazard_ratio(self) -> float:
        """Hazard ratio per unit, or the risk or odds ratio of another design."""
        return math.exp(self.slope)

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """Wald interval of the slope."""
        ends = intervals.limits(
            np.asarray(self.slope), np.asarray(self.slope_se), np.inf, _validate.level(level)
        )
        return Interval(float(ends.lower), float(ends.upper))

    def natural_interval(self, level: float = 0.95) -> Interval:
        """Interval of the hazard ratio per unit."""
        return Interval(*(math.exp(end) for end in self.confidence_interval(level)))

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a method, the chosen one first; slopes are log hazard ratios per unit."""
        import pandas as pd

        z = float(intervals.critical_value(np.inf, _validate.level(level)))
        own = TrendSlope(self.method, self.slope, self.slope_se, self.q)
        rows: list[dict[str, Any]] = [
            {
                "method": line.method,
                "estimate": line.slope,
                "se": line.se,
                "ci_lower": line.slope - z * line.se,
                "ci_upper": line.slope + z * line.se,
                "hazard_ratio": math.exp(line.slope),
                "q": line.q,
                "q_df": self.q_df,
                "chosen": line is own,
            }
            for line in (own, *self.alternatives)
        ]
        return pd.DataFrame(rows)

    def category_frame(self) -> pd.DataFrame:
        """One row a category: dose, reported log ratio and standard error, and what the line gives."""
        import pandas as pd

        fitted = self.slope * (self.dose - self.dose[self.reference])
        return pd.DataFrame({"dose": self.dose, "log_hr": self.log_hr, "se": self.se, "fitted": fitted})

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Reported ratios by dose with the line and its interval; needs matplotlib."""
        from netsynth.plots.trend import trend_plot

        return trend_plot(self, ax=ax)

    def _title(self) -> str:
        where = f"{self.study}: " if self.study else ""
        per = f" per {self.unit}" if self.unit else " per unit"
        return f"{where}{self.ratio_words}{per} from {self.dose.size} categories"

    def _rows(self) -> list[tuple[str, str]]:
        own = TrendSlope(self.method, self.slope, self.slope_se, self.q)
        z = float(intervals.critical_value(np.inf, 0.95))
        rows = []
        for line in (own, *self.alternatives):
            ends = (math.exp(line.slope - z * line.se), math.exp(line.slope + z * line.se))
            shown, low, high = (_format.significant(value, 4) for value in (math.exp(line.slope), *ends))
            rows.append((METHOD_WORDS[line.method], f"{shown}   95% CI [{low}, {high}]"))
        if self.q_df:
            p = _format.pvalue(self.misfit_pvalue)
            rows.append(("straight line", f"Q {self.q:.2f} on {self.q_df} df, {p}"))
        return rows

    def _notes(self) -> list[str]:
        stand = self.denominators == "patients" and self.design == "rate"
        notes = ["Numbers of patients stand for person-time."] if stand else []
        return notes + [str(said) for said in self.warnings]

    def __str__(self) -> str:
        return _format.labelled_lines(self._title(), self._rows(), self._notes())

    def _repr_html_(self) -> str:
        caption = ". ".join([self._title(), *self._notes()])
        return _format.html_table(("", ""), self._rows(), caption=caption)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendBounds:
    """Slopes that any covariance through the reference allows, as made by `netsynth.trend_bounds`.

    Attributes
    ----------
    study, unit : str
        Which study, and what one unit of dose is.
    slope_lower, slope_upper : float
        Smallest and largest log hazard ratio per unit.
    level : float
        Level of the limits.
    ci_lower, ci_upper : float
        The lowest and the highest limit of their intervals.
    se_lower, se_upper : float
        Smallest and largest standard error.
    independent : TrendSlope
        The line of a covariance of zero.
    n_categories : int
        With the reference.
    warnings : tuple of Caution
        What to keep in mind.
    """

    study: str
    unit: str
    slope_lower: float
    slope_upper: float
    level: float
    ci_lower: float
    ci_upper: float
    se_lower: float
    se_upper: float
    independent: TrendSlope
    n_categories: int
    warnings: tuple[Caution, ...] = ()

    @property
    def natural(self) -> Interval:
        """Smallest and largest hazard ratio per unit."""
        return Interval(math.exp(self.slope_lower), math.exp(self.slope_upper))

    @property
    def natural_interval(self) -> Interval:
        """The lowest and the highest limit on the printed scale."""
        return Interval(math.exp(self.ci_lower), math.exp(self.ci_upper))

    def summary_frame(self) -> pd.DataFrame:
        """One unrounded row on the log scale."""
        import pandas as pd

        row = {
            "estimate_lower": self.slope_lower,
            "estimate_upper": self.slope_upper,
            "ci_lower": self.ci_lower,
            "ci_upper": self.ci_upper,
            "se_lower": self.se_lower,
            "se_upper": self.se_upper,
            "level": self.level,
        }
        return pd.DataFrame([row])

    def _rows(self) -> list[tuple[str, str]]:
        def shown(ends: Interval) -> str:
            return f"[{_format.significant(ends.lower, 4)}, {_format.significant(ends.upper, 4)}]"

        return [
            ("estimate", f"in {shown(self.natural)}"),
            (f"{100 * self.level:g}% CI", f"within {shown(self.natural_interval)}"),
            ("covariance zero", _format.significant(math.exp(self.independent.slope), 4)),
        ]

    def _title(self) -> str:
        where = f"{self.study}: " if self.study else ""
        per = f" per {self.unit}" if self.unit else " per unit"
        return f"{where}ratio{per} from {self.n_categories} categories, covariance unknown"

    def __str__(self) -> str:
        return _format.labelled_lines(self._title(), self._rows(), self.warnings)

    def _repr_html_(self) -> str:
        caption = ". ".join([self._title(), *map(str, self.warnings)])
        return _format.html_table(("", ""), self._rows(), caption=caption)
