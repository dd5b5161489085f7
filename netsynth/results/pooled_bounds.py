"""What pooled survival can be without any assumption about the variances that were not printed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import FloatArray, IntArray, Interval
from netsynth.errors import Caution
from netsynth.kernels import pooled_bounds as kernel
from netsynth.kernels.intervals import Limits, critical_value
from netsynth.kernels.pooled_bounds import Box, Mixture
from netsynth.kernels.scales import MEASURES, SurvivalMeasure
from netsynth.results.pooled import PooledEffect

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["PooledBounds"]

_NOBODY: Final = Interval(math.nan, math.nan)


@dataclass(frozen=True, slots=True, eq=False)
class PooledBounds:
    """Limits of pooled survival from what is printed alone, as made by `netsynth.bound_pooled_survival`.

    Arrays are read-only, shape (m,), one entry a landmark.

    Attributes
    ----------
    endpoint : str
        Code of the endpoint.
    measure : str
        Scale of pooling.
    time_months : ndarray
        The landmarks.
    least_maturity : float
        Share of the survivors who were taken to be under observation at least; 0 assumes nothing.
    box : Box
        Limits of effects and variances on the scale of `measure`, arrays of shape (m, q), and of tau2 by Paule-Mandel.
    k : ndarray of int
        Studies that come in at each landmark.
    k_silent : ndarray of int
        Those of them that print no percentage for the landmark but for others.
    k_unknown : ndarray of int
        Those of them whose variance is not settled by what is printed, to a hundredth.
    imputed : tuple of (PooledEffect or None)
        What the assumption about the missing variances gives; None where no study can be weighed, or silent ones
        were brought in.
    mixture : Mixture
        Limits of the average curve of all patients, over the studies of `mixture_studies`, in months.
    mixture_studies : tuple of str
        Studies whose number of patients is known.
    mixture_n : int
        Their patients.
    warnings : tuple of Caution
        What to keep in mind.
    """

    endpoint: str
    measure: SurvivalMeasure
    time_months: FloatArray
    least_maturity: float
    box: Box
    k: IntArray
    k_silent: IntArray
    k_unknown: IntArray
    imputed: tuple[PooledEffect | None, ...]
    mixture: Mixture
    mixture_studies: tuple[str, ...]
    mixture_n: int
    warnings: tuple[Caution, ...] = ()

    @property
    def survival(self) -> Limits:
        """Limits of the pooled survival at each landmark, as probabilities."""
        return self._natural(kernel.mean_limits(self.box))

    def confidence_interval(self, level: float = 0.95) -> Limits:
        """Limits at each landmark of every interval that some admissible variances give.

        Each is that of the modified Knapp-Hartung method, t on k - 1 degrees of freedom; nan for one study, whose
        interval says nothing of other studies.
        """
        df = np.where(self.k > 1, self.k - 1.0, np.nan)
        return self._natural(kernel.mean_limits(self.box, critical_value(df, _validate.level(level))))

    def assumed_share(self, level: float = 0.95) -> FloatArray:
        """Width of `survival` over that of `confidence_interval`: the doubt that only better reports could settle."""
        low, high = self.confidence_interval(level)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((self.survival.upper - self.survival.lower) / (high - low))

    def average_survival(self, time_months: float) -> Interval:
        """Limits of the share of all patients of `mixture_studies` alive at a time; nan if there are none."""
        time = _validate.finite_1d([time_months], "time_months")
        if not self.mixture_studies:
            return _NOBODY
        lower, upper = kernel.mixture_survival(self.mixture, time)
        return Interval(float(lower[0]), float(upper[0]))

    def average_rmst(self, horizon_months: float) -> Interval:
        """Limits of the mean survival of all patients within a horizon, in months; nan if there are none."""
        horizon = _validate.finite_1d([horizon_months], "horizon_months")
        if not self.mixture_studies:
            return _NOBODY
        lower, upper = kernel.mixture_rmst(self.mixture, horizon)
        return Interval(float(lower[0]), float(upper[0]))

    @property
    def average_median(self) -> Interval:
        """Limits of the median survival of all patients, in months; infinite where open, nan if there are none."""
        if not self.mixture_studies:
            return _NOBODY
        lower, upper = kernel.mixture_quantile(self.mixture, 0.5)
        return Interval(float(lower), float(upper))

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a landmark, survival as probabilities."""
        import pandas as pd

        ci, survival = self.confidence_interval(level), self.survival
        intervals = [None if p is None else p.natural_interval(level) for p in self.imputed]
        nan = float("nan")
        return pd.DataFrame(
            {
                "lower": survival.lower,
                "upper": survival.upper,
                "ci_lower": ci.lower,
                "ci_upper": ci.upper,
                "assumed_share": self.assumed_share(level),
                "imputed": [nan if p is None else p.natural for p in self.imputed],
                "imputed_ci_lower": [nan if x is None else x.lower for x in intervals],
                "imputed_ci_upper": [nan if x is None else x.upper for x in intervals],
                "tau2_lower": self.box.tau2_low,
                "tau2_upper": self.box.tau2_high,
                "k": self.k,
                "k_silent": self.k_silent,
                "k_unknown": self.k_unknown,
            },
            index=pd.Index(self.time_months, name="time_months"),
        )

    def plot(self, *, ax: Axes | None = None, level: float = 0.95) -> Axes:
        """Limits, interval and imputed answer side by side at each landmark."""
        from netsynth.plots.pooled_bounds import pooled_bounds_plot

        return pooled_bounds_plot(self, ax=ax, level=level)

    def __str__(self) -> str:
        ci, survival = self.confidence_interval(), self.survival
        rows = []
        for i, months in enumerate(self.time_months):
            imputed = self.imputed[i]
            rows.append(
                (
                    f"{months:g} months",
                    str(self.k[i]),
                    str(self.k_unknown[i]),
                    _percents(survival.lower[i], survival.upper[i]),
                    _percents(ci.lower[i], ci.upper[i]),
                    _format.EN_DASH
                    if imputed is None
                    else f"{100 * imputed.natural:.1f}% ({_percents(*imputed.natural_interval())})",
                )
            )
        title = f"Pooled {self.endpoint} from what is printed alone, random effects, tau2 by PM"
        if self.least_maturity:
            title += f", at least {100 * self.least_maturity:g}% of survivors under observation"
        header = ("", "k", "variance unknown", "between", "any 95% CI", "if imputed (95% CI)")
        lines = [title, _format.text_table(header, rows), self._average()]
        return "\n".join([*lines, *(str(caution) for caution in self.warnings)])

    def _repr_html_(self) -> str:
        return self.summary_frame().to_html()

    def _average(self) -> str:
        if not self.mixture_studies:
            return "no average curve of all patients: no study that can be used in it gives their number"
        n = _format.plural(len(self.mixture_studies), "study", "studies")
        median = self.average_median
        upper = "open" if np.isinf(median.upper) else f"at the latest {median.upper:g}"
        return f"median of all {self.mixture_n} patients of {n}: after {median.lower:g} months, {upper}"

    def _natural(self, limits: Limits) -> Limits:
        ends = np.stack([MEASURES[self.measure].from_scale(end) for end in limits])
        return Limits(ends.min(axis=0), ends.max(axis=0))


def _percents(low: float, high: float) -> str:
    if np.isnan(low):
        return _format.EN_DASH
    return _format.span(_format.number(100 * low, 1), _format.number(100 * high, 1), "%")
