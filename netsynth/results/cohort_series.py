"""Means of dependent results without each cohort in turn."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import chdtrc

from netsynth import _format, _validate
from netsynth._typing import JSON, BoolArray, FloatArray, IntArray
from netsynth.errors import (
    Caution,
    ConvergenceError,
    FewStudiesWarning,
    InvalidInputError,
    NarrowIntervalWarning,
    caution,
)
from netsynth.kernels import dependent, intervals
from netsynth.kernels.intervals import Limits
from netsynth.kernels.scales import MEASURES, EffectMeasure
from netsynth.results.dependent import DependentEffect

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["CohortSeries", "leave_one_cohort_out"]

#: Tipton (2015): below 4 degrees of freedom the t approximation does not hold.
_LEAST_DF: Final = 4
_USER: Final = (
    5  # frames from `caution` up to the caller of the method: caution, _doubts, the fit, the method
)
_CHUNK: Final = 1 << 22  # numbers in the covariances that are fitted at once
_WIDTH: Final = 108  # columns of text


@dataclass(frozen=True, slots=True, eq=False)
class CohortSeries:
    """Means of dependent results without each cohort in turn, from `DependentEffect.leave_one_cohort_out`.

    Arrays are read-only, shape (m,), one entry a cohort in order of appearance, on the scale of `measure`.

    Attributes
    ----------
    overall : DependentEffect
        All cohorts together.
    cluster : tuple of str
        The cohort that each step leaves out.
    estimate, se, df : ndarray
        Mean, its standard error by ``overall.ci_method`` and the degrees of freedom of its interval.
    between, within : ndarray
        Variances between and within cohorts; `within` is nan where no cohort that is left has two results.
    q, i2 : ndarray
        Cochran's Q, on k - 1 degrees of freedom, and the share of the variation that is heterogeneity of either kind.
    k : ndarray of int
        Number of results that are left.
    warnings : tuple of Caution
        What to keep in mind.
    """

    overall: DependentEffect
    cluster: tuple[str, ...]
    estimate: FloatArray
    se: FloatArray
    df: FloatArray
    between: FloatArray
    within: FloatArray
    q: FloatArray
    i2: FloatArray
    k: IntArray
    warnings: tuple[Caution, ...] = ()

    @property
    def measure(self) -> EffectMeasure:
        """The scale of every number here that is not called natural."""
        return self.overall.measure

    @property
    def natural(self) -> FloatArray:
        """The estimates on the printed scale."""
        return MEASURES[self.measure].from_scale(self.estimate)

    @property
    def shift(self) -> FloatArray:
        """How far each estimate lies from that of all cohorts."""
        return self.estimate - self.overall.estimate

    @property
    def pvalue(self) -> FloatArray:
        """Two-sided p-values of no effect; nan for probabilities, which have no value of no effect."""
        return intervals.two_sided_pvalue((self.estimate - self._null) / self.se, self.df)

    @property
    def q_pvalue(self) -> FloatArray:
        """P-values of Q under no heterogeneity at all."""
        return np.asarray(chdtrc(self.k - 1, self.q))

    @property
    def most(self) -> str:
        """The cohort without which the estimate lies farthest from that of all cohorts."""
        return self.cluster[int(np.abs(self.shift).argmax())]

    @property
    def _null(self) -> float:
        measure = MEASURES[self.measure]
        return float(measure.to_scale(measure.null))

    def confidence_interval(self, level: float = 0.95) -> Limits:
        """Intervals of the means, two arrays of shape (m,)."""
        return intervals.limits(self.estimate, self.se, self.df, _validate.level(level))

    def prediction_interval(self, level: float = 0.95) -> Limits:
        """Where the true effect behind one more result of one more cohort may lie, two arrays of shape (m,)."""
        spread = np.sqrt(self.se**2 + self.between + np.nan_to_num(self.within))
        return intervals.limits(self.estimate, spread, self.df, _validate.level(level))

    def natural_interval(self, level: float = 0.95) -> Limits:
        """`confidence_interval` on the printed scale, the smaller limits first."""
        ends = np.sort(MEASURES[self.measure].from_scale(np.stack(self.confidence_interval(level))), axis=0)
        return Limits(ends[0], ends[1])

    def changes(self, level: float = 0.95) -> tuple[str, ...]:
        """Cohorts without which the conclusion is another.

        The conclusion is whether the interval lies above no effect, below it, or includes it, and on which
        side the estimate lies. Empty for probabilities, which have no value of no effect.
        """
        return self._named(self._turned(level) | self._crossed)

    def _turned(self, level: float) -> BoolArray:
        """Steps whose interval is defined and tells another story than that of all cohorts."""
        low, high = self.confidence_interval(level)
        side = (low > self._null).astype(np.int64) - (high < self._null)
        return np.asarray(~np.isnan(low) & (side != self._overall_side(level)))

    @property
    def _crossed(self) -> BoolArray:
        """Steps whose estimate lies on the other side of no effect than that of all cohorts."""
        return np.asarray((self.estimate - self._null) * (self.overall.estimate - self._null) < 0)

    def _overall_side(self, level: float) -> int:
        low, high = self.overall.confidence_interval(level)
        return int(low > self._null) - int(high < self._null)

    def _named(self, steps: BoolArray) -> tuple[str, ...]:
        return tuple(name for name, taken in zip(self.cluster, steps, strict=True) if taken)

    def conclusion(self, level: float = 0.95) -> str:
        """In words, whether one cohort decides the matter.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction.
        """
        level, show, said = _validate.level(level), self.overall.shown, []
        if not math.isnan(self._null):
            no_effect = f"{MEASURES[self.measure].null:g} (no effect)"
            interval, turned = f"The {100 * level:g}% CI", self._named(self._turned(level))
            holds, instead = (
                ("excludes", "includes") if self._overall_side(level) else ("includes", "excludes")
            )
            if turned:
                said.append(
                    f"{interval} {holds} {no_effect}, but not so without {_any_of(turned)}, where it {instead} it."
                )
            else:
                said.append(f"{interval} {holds} {no_effect} whichever cohort is left out.")
            if self._crossed.any():
                crossing = _any_of(self._named(self._crossed))
                said.append(f"Without {crossing} the estimate lies on the other side of no effect.")
        moved = float(self.natural[int(np.abs(self.shift).argmax())])
        said.append(
            f"The estimates lie between {show(float(self.natural.min()))} and {show(float(self.natural.max()))}; "
            f"leaving out {self.most} moves it most, from {show(self.overall.natural)} to {show(moved)}."
        )
        return " ".join(said)

    # --- frames, figures, text

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a cohort that is left out; the columns called natural are on the printed scale."""
        import pandas as pd

        ci, pi = self.confidence_interval(level), self.prediction_interval(level)
        natural = self.natural_interval(level)
        columns = {
            "estimate": self.estimate,
            "se": self.se,
            "df": self.df,
            "ci_lower": ci.lower,
            "ci_upper": ci.upper,
            "pi_lower": pi.lower,
            "pi_upper": pi.upper,
            "pvalue": self.pvalue,
            "natural": self.natural,
            "natural_lower": natural.lower,
            "natural_upper": natural.upper,
            "between": self.between,
            "within": self.within,
            "i2": self.i2,
            "q": self.q,
            "q_pvalue": self.q_pvalue,
            "k": self.k,
        }
        return pd.DataFrame(columns, index=pd.Index(self.cluster, name="omitted"))

    def to_dict(self, level: float = 0.95) -> JSON:
        """Plain dict for JSON: the methods, and one dict a cohort; None for nan, "inf" for an open end."""
        return {
            "measure": self.measure,
            "model": self.overall.model,
            "method": self.overall.method,
            "ci_method": self.overall.ci_method,
            "level": level,
            "steps": _format.plain_rows(self.summary_frame(level)),
            "warnings": [str(caution) for caution in self.warnings],
        }

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Forest plot of the means without each cohort; needs matplotlib."""
        from netsynth.plots.dependent import cohort_series_plot

        return cohort_series_plot(self, ax=ax)

    def _header(self) -> tuple[str, ...]:
        return ("omitted", "k", "estimate", "95% CI", "df", "p", "between", "within", "I2")

    def _rows(self) -> list[tuple[str, ...]]:
        whole, show, sized = self.overall, self.overall.shown, _format.significant
        values = zip(
            (*self.cluster, "none"),
            (*self.k, whole.k),
            (*self.natural, whole.natural),
            (*zip(*self.natural_interval(), strict=True), whole.natural_interval()),
            (*self.df, whole.df),
            (*self.pvalue, whole.pvalue),
            (*self.between, whole.between),
            (*self.within, whole.within),
            (*self.i2, whole.i2),
            strict=True,
        )
        return [
            (
                name,
                str(k),
                show(mean),
                "" if math.isnan(low) else f"[{show(low)}, {show(high)}]",
                "" if not math.isfinite(df) else _format.number(df, 1),
                "" if math.isnan(p) else _format.pvalue(p, symbol="").strip(" ="),
                sized(between),
                "" if math.isnan(within) else sized(within),
                f"{100 * i2:.0f}%",
            )
            for name, k, mean, (low, high), df, p, between, within, i2 in values
        ]

    def __str__(self) -> str:
        lines = [f"Leave one cohort out: {self.overall.title}"]
        lines += [f"  {line}" for line in _format.text_table(self._header(), self._rows()).splitlines()]
        lines += textwrap.wrap(self.conclusion(), _WIDTH, initial_indent="  ", subsequent_indent="  ")
        return "\n".join([*lines, *(f"  {caution}" for caution in self.warnings)])

    def _repr_html_(self) -> str:
        caption = f"Leave one cohort out: {self.overall.title}"
        return _format.html_table(self._header(), self._rows(), caption=caption)


def leave_one_cohort_out(base: DependentEffect) -> CohortSeries:
    """Fit the model of a result without each cohort; see `DependentEffect.leave_one_cohort_out`."""
    if base.n_clusters < 3:
        raise InvalidInputError(
            f"Leaving a cohort out takes at least three cohorts; got {base.n_clusters}, and no mean rests on one."
        )
    numbers, names, y = base.numbers, tuple(dict.fromkeys(base.cluster)), base.study_estimate
    n_sets = max(1, _CHUNK // base.k**2)
    rows: list[FloatArray] = []
    for start in range(0, len(names), n_sets):
        gone = numbers == np.arange(start, min(start + n_sets, len(names)))[:, None]
        lacking = np.eye(base.k, dtype=np.bool_) & gone[:, :, None]
        covariance = np.where(lacking, np.inf, base.study_covariance)
        fit = dependent.fit_dependent(
            y,
            covariance,
            numbers,
            model=base.model,
            method="ML" if base.method == "ML" else "REML",
            ci_method=base.ci_method,
            correlation=np.nan_to_num(base.correlation),
        )
        for i in np.flatnonzero(~fit.converged):
            raise ConvergenceError(
                f"The three-level model by {base.method} did not converge without {names[start + i]}.",
                last=float(fit.between[i]),
            )
        spread = dependent.homogeneity(y, covariance, numbers)
        found = fit.between + np.nan_to_num(fit.within)
        i2 = found / (found + spread.typical_variance)
        mean = fit.mean
        rows.append(np.stack([mean.mean, mean.se, mean.df, fit.between, fit.within, spread.q, i2]))
    estimate, se, df, between, within, q, i2 = np.concatenate(rows, axis=1)
    k = base.k - np.bincount(numbers)
    for array in (estimate, se, df, between, within, q, i2, k):
        array.setflags(write=False)
    cautions = _doubts(base, names, se, df, within)
    return CohortSeries(base, names, estimate, se, df, between, within, q, i2, k, warnings=cautions)


def _doubts(
    base: DependentEffect, names: tuple[str, ...], se: FloatArray, df: FloatArray, within: FloatArray
) -> tuple[Caution, ...]:
    """Warn of steps with few degrees of freedom, an interval without width, or no cohort with two results."""

    def which(steps: BoolArray) -> str:
        return _any_of(tuple(name for name, taken in zip(names, steps, strict=True) if taken))

    said = []
    if (equal := np.isnan(se)).any():
        message = (
            f"Without {which(equal)} all effects are equal, so the {base.ci_method} interval is undefined."
        )
        said.append(caution(NarrowIntervalWarning, message, stacklevel=_USER))
    if base.ci_method == "CR2" and (few := df < _LEAST_DF).any():
        message = (
            f"Without {which(few)} the CR2 interval has fewer than 4 degrees of freedom. Its level and p-value cannot "
            "be trusted then."
        )
        said.append(caution(FewStudiesWarning, message, stacklevel=_USER))
    single = np.isnan(within) & (not math.isnan(base.within))
    if single.any():
        message = (
            f"Without {which(single)} no cohort has two results, so the variance between cohorts holds that within "
            "cohorts too."
        )
        said.append(caution(FewStudiesWarning, message, stacklevel=_USER))
    return tuple(said)


def _any_of(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
