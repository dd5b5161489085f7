"""The result of pooling median survival times of which some were not reached."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np
from scipy.special import chdtri

from netsynth import _format, _validate
from netsynth._typing import JSON, FloatArray, Interval
from netsynth.errors import Caution
from netsynth.kernels import censored_effects, intervals
from netsynth.results.pooled import PooledEffect

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["LeftOut", "MedianCiMethod", "MedianScale", "PooledMedianSurvival"]

MedianScale = Literal["log", "natural"]
MedianCiMethod = Literal["wald", "t", "mHK", "profile"]
MEDIAN_CI_METHODS: Final[tuple[MedianCiMethod, ...]] = ("wald", "t", "mHK", "profile")


class LeftOut(NamedTuple):
    """A study that could not be used, and why."""

    study: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PooledMedianSurvival:
    r"""Pooled median survival, as made by `netsynth.pool_median_survival`.

    Arrays are read-only, shape (k,), on `scale`: logarithms of months, or months. Times called natural are in months.

    Attributes
    ----------
    endpoint : str
        What the medians are of.
    scale : {"log", "natural"}
        Scale of pooling.
    estimate, se : float
        Mean of the study medians on the scale, and its standard error at the estimated tau2, without the factor of
        Knapp and Hartung.
    tau2 : float
        Between-study variance; nan for one study.
    df : float
        Degrees of freedom of t intervals, `n_effective` - 1.
    knapp_hartung : float
        Generalised factor of Knapp and Hartung by which "mHK" widens the squared error where it is above 1.
    ci_method : str
        How `confidence_interval` answers unless told otherwise.
    study : tuple of str
        Studies that enter, open-ended ones among them.
    lower, upper : ndarray
        Ends of what each study's median may be: equal where it is printed, infinite where it is open.
    study_se : ndarray
        Standard errors of the medians, for an open end that which its median would have.
    share : ndarray
        What each study tells of the mean beside a printed median with the same error: 1 where it is printed.
    route : tuple of str
        Where each standard error comes from.
    printed : tuple of str
        What each study prints.
    ci_lower, ci_upper, ci_level : ndarray
        Printed limits in months and their level: nan for what is not printed, infinite for an upper limit "NR".
    left_out : tuple of LeftOut
        Studies that could not be used.
    dropped, imputed : PooledEffect
        For comparison, the ordinary model without the open-ended studies, and with them as if their bounds were
        medians. Both are biased, towards shorter survival.
    warnings : tuple of Caution
    """

    endpoint: str
    scale: MedianScale
    estimate: float
    se: float
    tau2: float
    df: float
    knapp_hartung: float
    ci_method: MedianCiMethod
    study: tuple[str, ...]
    lower: FloatArray
    upper: FloatArray
    study_se: FloatArray
    share: FloatArray
    route: tuple[str, ...]
    printed: tuple[str, ...]
    ci_lower: FloatArray
    ci_upper: FloatArray
    ci_level: FloatArray
    left_out: tuple[LeftOut, ...]
    dropped: PooledEffect
    imputed: PooledEffect
    warnings: tuple[Caution, ...] = ()

    @property
    def k(self) -> int:
        """Number of studies that enter."""
        return len(self.study)

    @property
    def k_open(self) -> int:
        """How many of them are open-ended."""
        return int((self.lower < self.upper).sum())

    @property
    def pooled(self) -> bool:
        """Whether there was anything to pool."""
        return self.k > 1

    @property
    def n_effective(self) -> float:
        """Number of printed medians that would tell as much: the sum of the shares."""
        return float(self.share.sum())

    @property
    def natural(self) -> float:
        """The pooled median in months; on the log scale it is that of a typical study, the median over studies."""
        return self._natural(self.estimate)

    @property
    def tau(self) -> float:
        """Standard deviation of the true values between studies, on the scale."""
        return math.sqrt(self.tau2)

    def confidence_interval(self, level: float = 0.95, *, method: MedianCiMethod | None = None) -> Interval:
        """Interval of the mean on the scale, by another method than the result's own if one is named.

        "wald" is normal, "t" has `df` degrees of freedom, "mHK" is "t" widened by Knapp and Hartung's factor where that
        is above 1, "profile" is by the likelihood with the best tau2 for each mean. For one study all are "wald". nan
        where the studies together tell less than two medians would.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction or the method unknown.
        """
        level, method = _validate.level(level), method or self.ci_method
        _validate.choice(method, "method", MEDIAN_CI_METHODS)
        if not self.pooled:
            return self._symmetric(self.se, math.inf, level)
        if method == "profile":
            target = 0.5 * float(chdtri(1, 1.0 - level))
            return Interval(
                *censored_effects.profile_limits(self.lower, self.upper, self.study_se**2, target)
            )
        if method == "wald":
            return self._symmetric(self.se, math.inf, level)
        factor = math.sqrt(max(1.0, self.knapp_hartung)) if method == "mHK" else 1.0
        return self._symmetric(self.se * factor, self.df, level)

    def prediction_interval(self, level: float = 0.95) -> Interval:
        """Where the true value of a new study may lie, on the scale: t on `df` - 1 degrees of freedom.

        nan for one study, and where the studies together tell no more than two medians would.
        """
        level = _validate.level(level)
        if not self.pooled:
            return Interval(math.nan, math.nan)
        return self._symmetric(math.hypot(self.tau, self.se), self.df - 1.0, level)

    def tau2_interval(self, level: float = 0.95) -> Interval:
        """Profile interval of tau2 from the likelihood integrated over the mean; nan for one study."""
        level = _validate.level(level)
        if not self.pooled:
            return Interval(math.nan, math.nan)
        target = 0.5 * float(chdtri(1, 1.0 - level))
        low, high = censored_effects.tau_limits(self.lower, self.upper, self.study_se**2, self.tau, target)
        return Interval(low * low, high * high)

    def natural_interval(self, level: float = 0.95, *, method: MedianCiMethod | None = None) -> Interval:
        """`confidence_interval` in months."""
        return Interval(*map(self._natural, self.confidence_interval(level, method=method)))

    def natural_prediction_interval(self, level: float = 0.95) -> Interval:
        """`prediction_interval` in months."""
        return Interval(*map(self._natural, self.prediction_interval(level)))

    def natural_study_interval(self, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
        """Interval of each printed median in months; of an open end what the median may be.

        Limits that a study prints at this level are as printed, infinite for an upper limit "NR"; others are Wald's.
        """
        level = _validate.level(level)
        half = float(intervals.critical_value(math.inf, level)) * self.study_se
        known = self.lower == self.upper
        ends = np.where(known, self.lower - half, self.lower), np.where(known, self.upper + half, self.upper)
        low, high = (np.exp(end) if self.scale == "log" else end for end in ends)
        as_printed = known & np.isclose(self.ci_level, level, rtol=0.0, atol=1e-9)
        low, high = (
            np.where(as_printed & ~np.isnan(own), own, end)
            for own, end in ((self.ci_lower, low), (self.ci_upper, high))
        )
        return np.maximum(low, 0.0), high

    @property
    def study_months(self) -> FloatArray:
        """Printed medians in months, nan where the end is open."""
        known = self.lower == self.upper
        at = np.where(known, self.lower, np.nan)
        return np.exp(at) if self.scale == "log" else at

    @property
    def weight(self) -> FloatArray:
        """Share of each study in what is known about the mean; they add up to 1."""
        information = self.share / (self.study_se**2 + (self.tau2 if self.pooled else 0.0))
        return np.asarray(information / information.sum())

    def sensitivity_frame(self, level: float = 0.95) -> pd.DataFrame:
        """The pooled median in months with open ends as evidence, without them, and with bounds taken for medians."""
        import pandas as pd

        level = _validate.level(level)
        rows = {}
        own = self.natural_interval(level), self.natural_prediction_interval(level)
        rows["open ends as bounds"] = (self.natural, *own[0], *own[1], self.tau2, self.k)
        for name, effect in (("open ends dropped", self.dropped), ("bounds taken for medians", self.imputed)):
            ends = effect.natural_interval(level), effect.natural_prediction_interval(level)
            rows[name] = (effect.natural, *ends[0], *ends[1], effect.tau2, effect.k)
        columns = ["median_months", "ci_lower", "ci_upper", "pi_lower", "pi_upper", "tau2", "k"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("analysis")

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row: the pooled median in months, and the model on its scale."""
        import pandas as pd

        ci, pi = self.natural_interval(level), self.natural_prediction_interval(level)
        row = {
            "median_months": self.natural,
            "ci_lower": ci.lower,
            "ci_upper": ci.upper,
            "pi_lower": pi.lower,
            "pi_upper": pi.upper,
            "estimate": self.estimate,
            "se": self.se,
            "tau2": self.tau2,
            "k": self.k,
            "k_open": self.k_open,
            "n_effective": self.n_effective,
            "scale": self.scale,
            "ci_method": self.ci_method,
        }
        return pd.DataFrame([row], index=pd.Index([self.endpoint], name="endpoint"))

    def study_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a study that enters, in months."""
        import pandas as pd

        low, high = self.natural_study_interval(level)
        columns = {
            "printed": self.printed,
            "median_months": self.study_months,
            "lower_months": low,
            "upper_months": high,
            "open": self.lower < self.upper,
            "se": self.study_se,
            "route": self.route,
            "share": self.share,
            "weight": self.weight,
        }
        return pd.DataFrame(columns, index=pd.Index(self.study, name="study"))

    def to_dict(self, level: float = 0.95) -> JSON:
        """Everything as plain Python, for JSON: the summary, the comparisons, the studies, and the warnings.

        What is undefined is None, and an open end is "inf" or "-inf", for JSON knows neither.
        """
        frame = self.summary_frame(level)
        return {
            "endpoint": self.endpoint,
            "level": level,
            **dict(zip(frame.columns, map(_format.plain, frame.iloc[0]), strict=True)),
            "sensitivity": _format.plain_rows(self.sensitivity_frame(level)),
            "studies": _format.plain_rows(self.study_frame(level)),
            "left_out": [entry._asdict() for entry in self.left_out],
            "warnings": [str(warning) for warning in self.warnings],
        }

    def plot(self, *, ax: Axes | None = None, level: float = 0.95) -> Axes:
        """Forest plot in which a median that was not reached is an arrow from its bound; needs matplotlib."""
        from netsynth.plots.median_survival import median_survival_plot

        return median_survival_plot(self, ax=ax, level=level)

    def _natural(self, value: float) -> float:
        if self.scale != "log":
            return value
        with np.errstate(over="ignore"):  # an end beyond all numbers is infinite
            return float(np.exp(value))

    def _symmetric(self, se: float, df: float, level: float) -> Interval:
        if not df > 0:
            return Interval(math.nan, math.nan)
        ends = intervals.limits(np.asarray(self.estimate), np.asarray(se), df, level)
        return Interval(float(ends.lower), float(ends.upper))

    def _bracket(self, interval: Interval) -> str:
        if math.isnan(interval.lower):
            return "undefined"
        return f"[{self.shown(interval.lower)}, {self.shown(interval.upper)}]"

    def shown(self, months: float) -> str:
        """A pooled value or an end of its interval as text shows it, one that left the numbers as a bound."""
        beyond = _format.past(months, 2) if self.scale == "log" else ""
        return beyond or _format.months(months)

    def shown_limits(self, low: float, high: float) -> tuple[str, str]:
        """Ends of what a study says, an upper limit that was not reached as "NR"."""
        return _format.months(low), "NR" if math.isinf(high) else _format.months(high)

    def _title(self) -> str:
        label = f"Median {self.endpoint} in months ({self.scale} scale)"
        if not self.pooled:
            return f"{label}, one study ({self.study[0]}), not pooled, k = 1"
        number = f"k = {self.k}" + (f", {self.k_open} open-ended" if self.k_open else "")
        return f"{label}, random effects, tau2 by REML, CI by {self.ci_method}, {number}"

    def __str__(self) -> str:
        line = f"  estimate  {self.shown(self.natural)}   95% CI {self._bracket(self.natural_interval())}"
        lines = [self._title(), line]
        if self.pooled:
            lines[1] += f"   95% PI {self._bracket(self.natural_prediction_interval())}"
            low, high = map(_format.significant, self.tau2_interval())
            lines.append(f"  tau2 {_format.significant(self.tau2)}   95% CI [{low}, {high}]")
        if self.k_open:
            lines.append(
                f"  the studies tell as much as {_format.number(self.n_effective, 1)} printed medians"
            )
            for name, effect in (
                ("open ends dropped", self.dropped),
                ("bounds taken for medians", self.imputed),
            ):
                ends = self._bracket(effect.natural_interval())
                lines.append(f"  for comparison, {name}: {_format.months(effect.natural)} {ends}")
        lines += [f"  left out: {study} ({reason})" for study, reason in self.left_out]
        return "\n".join([*lines, *(f"  {each}" for each in self.warnings)])

    def _repr_html_(self) -> str:
        low, high = self.natural_study_interval()
        rows = [
            (name, text, "[{}, {}]".format(*self.shown_limits(a, b)), route, f"{100 * weight:.1f}%")
            for name, text, a, b, route, weight in zip(
                self.study,
                self.printed,
                low.tolist(),
                high.tolist(),
                self.route,
                self.weight.tolist(),
                strict=True,
            )
        ]
        ends = self._bracket(self.natural_interval())
        rows.append(("Pooled", self.shown(self.natural), ends, "", ""))
        return _format.html_table(
            ("study", "printed", "95% CI", "error from", "weight"), rows, caption=self._title()
        )
