"""A survival curve through reported percentages, with what the report alone allows around it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias, overload

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import FloatArray, Interval
from netsynth.errors import Caution, ImputedVarianceWarning, InvalidInputError, caution
from netsynth.kernels import bounds as sharp
from netsynth.kernels.curves import Curve, CurveMethod, TailName
from netsynth.kernels.intervals import Limits
from netsynth.kernels.survival_variance import (
    MATURITY,
    SCALES,
    SurvivalScale,
    interval,
    limit_without_events,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["SurvivalCurve"]

Times: TypeAlias = Sequence[float] | FloatArray

_METHODS: Final = MappingProxyType(
    {"pchip": "monotone cubic cumulative hazard", "piecewise_exponential": "piecewise exponential"}
)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SurvivalCurve:
    """Survival of one group, as made by `netsynth.reconstruct_survival`.

    Times are months. The questions `survival`, `hazard`, `cumulative_hazard`, `rmst` and `bounds` take one time
    or an array of times, and answer with a float or an array. What lies after the last figure is nan unless a
    tail was named; `why_nan` says so in words. Arrays are read-only, shape (m,), one entry a landmark.

    Attributes
    ----------
    label : str
        Whose survival.
    method : {"pchip", "piecewise_exponential"}
        How the curve runs between the figures.
    tail : {"exponential"} or None
        How it goes on after the last of them.
    landmark_months, landmark_survival : ndarray
        The figures as printed.
    survival_lower, survival_upper : ndarray
        What their printed digits may stand for.
    n_total : int or None
        Patients.
    n_at_risk : ndarray
        Patients at risk at the landmarks, nan where not printed.
    printed_lower, printed_upper : ndarray
        Confidence limits as printed, nan where they are not; `printed_level` is their level.
    se : ndarray
        Standard errors of survival at the landmarks, as probabilities. Between landmarks a report does not
        tell them. nan where survival is 0 or 1, or nothing is known.
    se_lower, se_upper : ndarray
        What n and the numbers at risk allow them to be.
    se_source : tuple of str
        Where each came from, or where survival is 1 its lower limit: "printed CI (log-log)", "numbers at
        risk", "imputed", or empty.
    median_interval : Interval
        Where the report puts the median itself, with its rounding; 0 to infinity when it prints none that
        could be used.
    curve : Curve
        The curve in the form of the kernels.
    envelope : Envelope
        All that was printed, as limits of survival.
    last_months : float
        Time of the last figure.
    horizon_months : float
        Up to where the curve is known: `last_months`, or infinite with a tail or when survival is 0.
    warnings : tuple of Caution
        What to keep in mind about the curve. That standard errors are imputed does not touch it, so
        `confidence_interval` says so.
    """

    label: str
    method: CurveMethod
    tail: TailName | None
    landmark_months: FloatArray
    landmark_survival: FloatArray
    survival_lower: FloatArray
    survival_upper: FloatArray
    n_total: int | None
    n_at_risk: FloatArray
    printed_lower: FloatArray
    printed_upper: FloatArray
    printed_level: float
    se: FloatArray
    se_lower: FloatArray
    se_upper: FloatArray
    se_source: tuple[str, ...]
    median_interval: Interval
    curve: Curve
    envelope: sharp.Envelope
    last_months: float
    horizon_months: float
    warnings: tuple[Caution, ...] = ()

    @overload
    def survival(self, time_months: float) -> float: ...
    @overload
    def survival(self, time_months: Times) -> FloatArray: ...
    def survival(self, time_months: float | Times) -> float | FloatArray:
        """Survival at these times."""
        return _ask(lambda time: np.exp(-self.curve.cumulative_hazard(time)), time_months)

    @overload
    def cumulative_hazard(self, time_months: float) -> float: ...
    @overload
    def cumulative_hazard(self, time_months: Times) -> FloatArray: ...
    def cumulative_hazard(self, time_months: float | Times) -> float | FloatArray:
        """Minus the logarithm of survival; infinite where survival is 0."""
        return _ask(self.curve.cumulative_hazard, time_months)

    @overload
    def hazard(self, time_months: float) -> float: ...
    @overload
    def hazard(self, time_months: Times) -> FloatArray: ...
    def hazard(self, time_months: float | Times) -> float | FloatArray:
        """Hazard per month, just after a time where it jumps; nan where nobody is alive."""
        return _ask(self.curve.hazard, time_months)

    @overload
    def quantile(self, p: float) -> float: ...
    @overload
    def quantile(self, p: Times) -> FloatArray: ...
    def quantile(self, p: float | Times) -> float | FloatArray:
        """First time, in months, by which a share p has had the event, so that survival is 1 - p or less.

        nan when the curve does not fall so far before `horizon_months`.
        """
        shares = np.asarray(p, dtype=np.float64)
        if not ((shares >= 0) & (shares <= 1)).all():
            raise InvalidInputError(f"p must be a share, from 0 to 1; got {p!r}.")

        def first_time(share: FloatArray) -> FloatArray:
            with np.errstate(divide="ignore"):
                return self.curve.time_at(0.0 - np.log(1.0 - share))

        return _ask(first_time, shares)

    @property
    def median(self) -> float:
        """Median survival in months; nan when it is not reached."""
        return self.quantile(0.5)

    @overload
    def rmst(self, horizon_months: float) -> float: ...
    @overload
    def rmst(self, horizon_months: Times) -> FloatArray: ...
    def rmst(self, horizon_months: float | Times) -> float | FloatArray:
        """Restricted mean survival time: months lived, on average, of those up to the horizon."""
        return _ask(self.curve.area, horizon_months)

    @overload
    def bounds(self, time_months: float) -> Interval: ...
    @overload
    def bounds(self, time_months: Times) -> Limits: ...
    def bounds(self, time_months: float | Times) -> Interval | Limits:
        """Sharp limits of survival: all that the printed digits say, as survival never rises.

        They hold at any time; after the last figure the lower one is 0. They are no confidence limits: sampling
        error is not in them.
        """
        return self._between(sharp.survival_bounds, time_months)

    @overload
    def rmst_bounds(self, horizon_months: float) -> Interval: ...
    @overload
    def rmst_bounds(self, horizon_months: Times) -> Limits: ...
    def rmst_bounds(self, horizon_months: float | Times) -> Interval | Limits:
        """Sharp limits of the restricted mean survival time, in the sense of `bounds`."""
        return self._between(sharp.rmst_bounds, horizon_months)

    @property
    def median_bounds(self) -> Interval:
        """Sharp limits of the median: it is after the lower one, and at the upper one or before."""
        lower, upper = sharp.quantile_bounds(self.envelope, np.array([0.5]))
        return Interval(
            max(float(lower[0]), self.median_interval.lower), min(float(upper[0]), self.median_interval.upper)
        )

    def why_nan(self, time_months: float) -> str:
        """Why the curve is nan at a time, in words; empty where it is not."""
        if time_months <= self.horizon_months:
            return ""
        return (
            f"nothing is reported after {_months(self.last_months)}, where survival is "
            f"{_percent(self.survival(self.last_months))}; name a tail to go on, or use bounds()"
        )

    def confidence_interval(self, level: float = 0.95, *, scale: SurvivalScale = "log-log") -> Limits:
        """Pointwise confidence limits of survival at the landmarks, from `se`, symmetric on the scale.

        Where survival is 1 the lower limit is that of no event among the effective number of patients, with
        all of the error on that side; where it is 0 there is none. A printed interval goes before both.

        Parameters
        ----------
        level : float
            A fraction.
        scale : {"log-log", "log", "logit", "arcsine", "plain"}
            log-log limits stay between 0 and 1.

        Warns
        -----
        ImputedVarianceWarning
            If a standard error is imputed.
        """
        if message := self._imputation():
            caution(ImputedVarianceWarning, message, where=self.label)
        return self._interval(level, scale)

    def _imputation(self) -> str:
        """What was assumed for the standard errors, and how far they may be from that; empty for nothing."""
        imputed = [j for j, source in enumerate(self.se_source) if source == "imputed"]
        if not imputed:
            return ""
        times = _format.listing(_format.shortest(self.landmark_months[j], 1) for j in imputed)
        ranges = _format.listing(
            _format.span(*(_format.number(100 * end[j], 1) for end in (self.se_lower, self.se_upper)))
            for j in imputed
            if math.isfinite(self.se[j])
        )
        return (
            f"no confidence interval and no number at risk at {times} months: the standard error is imputed with "
            f"{100 * MATURITY:g}% of the survivors under observation"
            + (f"; it may be {ranges} percentage points" if ranges else "")
        )

    def _interval(self, level: float, scale: SurvivalScale) -> Limits:
        level = _validate.level(level)
        _validate.choice(scale, "scale", SCALES)
        lower, upper = interval(self.landmark_survival, self.se, level=level, scale=scale)
        no_event = limit_without_events(
            math.nan if self.n_total is None else self.n_total, self.n_at_risk, level=level
        )
        all_alive = self.landmark_survival == 1
        lower = np.where(all_alive, no_event, lower)
        upper = np.where(all_alive & np.isfinite(no_event), 1.0, upper)
        # where survival is 0 or 1 there is no standard error to carry a printed interval to another level
        printed = np.isfinite(self.printed_lower + self.printed_upper)
        as_printed = np.isnan(self.se) & printed & (level == self.printed_level)
        return Limits(
            np.where(as_printed, self.printed_lower, lower), np.where(as_printed, self.printed_upper, upper)
        )

    def summary_frame(self, level: float = 0.95, *, scale: SurvivalScale = "log-log") -> pd.DataFrame:
        """One unrounded row a landmark; `se_source` says which standard errors are imputed."""
        import pandas as pd

        lower, upper = self._interval(level, scale)
        return pd.DataFrame(
            {
                "landmark_months": self.landmark_months,
                "survival": self.landmark_survival,
                "survival_lower": self.survival_lower,
                "survival_upper": self.survival_upper,
                "n_at_risk": self.n_at_risk,
                "se": self.se,
                "se_lower": self.se_lower,
                "se_upper": self.se_upper,
                "se_source": self.se_source,
                "ci_lower": lower,
                "ci_upper": upper,
                "printed_lower": self.printed_lower,
                "printed_upper": self.printed_upper,
            }
        )

    def curve_frame(self, time_months: Times | None = None) -> pd.DataFrame:
        """The curve and its sharp bounds, one row a time; by default 200 steps up to the last figure.

        The landmarks are always among the times chosen by default, so that a plot of the bounds has its corners.
        """
        import pandas as pd

        if time_months is None:
            grid = np.linspace(0.0, self.last_months, 201)
            times = np.union1d(grid, self.landmark_months)
        else:
            times = np.atleast_1d(np.asarray(time_months, dtype=np.float64))
        lower, upper = self.bounds(times)
        return pd.DataFrame(
            {
                "time_months": times,
                "survival": self.survival(times),
                "lower": lower,
                "upper": upper,
                "hazard": self.hazard(times),
                "cumulative_hazard": self.cumulative_hazard(times),
            }
        )

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """The curve, its sharp bounds and the printed figures; needs matplotlib."""
        from netsynth.plots.curve import curve_plot

        return curve_plot(self, ax=ax)

    def _between(
        self, limits: Callable[[sharp.Envelope, FloatArray], Limits], times: float | Times
    ) -> Interval | Limits:
        lower = _ask(lambda time: limits(self.envelope, time).lower, times)
        upper = _ask(lambda time: limits(self.envelope, time).upper, times)
        if isinstance(lower, float) and isinstance(upper, float):
            return Interval(lower, upper)
        return Limits(np.asarray(lower), np.asarray(upper))

    def _title(self) -> str:
        figures = _format.plural(self.landmark_months.size, "landmark")
        if self.median_interval.lower > 0 and self.median_interval.upper < math.inf:
            figures += " and the median"
        n = "" if self.n_total is None else f", n = {self.n_total}"
        return f"{self.label or 'Survival'}: {_METHODS[self.method]} through {figures}{n}"

    def _rows(self) -> list[tuple[str, str, str, str]]:
        limits = zip(*self._interval(0.95, "log-log"), strict=True)
        return [
            (
                _months(time),
                _percent(survival),
                f"[{_percent(lower)}, {_percent(upper)}]" if math.isfinite(lower) else "none",
                source or ("not reported" if 0 < survival < 1 else "undefined"),
            )
            for time, survival, (lower, upper), source in zip(
                self.landmark_months, self.landmark_survival, limits, self.se_source, strict=True
            )
        ]

    def _answers(self) -> list[str]:
        last = _months(self.last_months)
        median, (lower, upper) = self.median, self.median_bounds
        answer = f"median not reached by {last}" if math.isnan(median) else f"median {_months(median)}"
        between = f"after {_format.shortest(lower, 1)}" if lower > 0 else ""
        if math.isfinite(upper):
            between += f"{' and ' if between else ''}by {_format.shortest(upper, 1)}"
        rmst = (self.rmst(self.last_months), *self.rmst_bounds(self.last_months))
        mean, low, high = (_format.number(value, 1) for value in rmst)
        if self.tail is not None:
            after = f"after {last} by an {self.tail} tail"
        elif math.isinf(self.horizon_months):
            after = f"survival is 0 from {last} on"
        else:
            after = f"not known after {last}"
        return [
            answer + (f"   the report alone: {between}" if between else ""),
            f"mean up to {last} (RMST) {mean}   the report alone: {_format.span(low, high)}",
            after,
        ]

    def __str__(self) -> str:
        rows = self._rows()
        wide = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = [
            f"  {time:>{wide[0]}}  {survival:<{wide[1]}}  95% CI {ci:<{wide[2]}}  se: {source}"
            for time, survival, ci, source in rows
        ]
        lines += [f"  {answer}" for answer in self._answers()]
        lines += [f"  {message}" for message in (self._imputation(), *map(str, self.warnings)) if message]
        return "\n".join([self._title(), *lines])

    def _repr_html_(self) -> str:
        header = ("landmark", "survival", "95% CI", "standard error from")
        return _format.html_table(header, self._rows(), caption=self._title())


def _ask(question: Callable[[FloatArray], FloatArray], values: float | Times) -> float | FloatArray:
    """Answer in the shape of the question, a float for one value."""
    array = np.asarray(values, dtype=np.float64)
    if not (np.isfinite(array) & (array >= 0)).all():
        raise InvalidInputError(f"Times must be finite and not negative; got {values!r:.80}.")
    answer = question(array.reshape(-1)).reshape(array.shape)
    return float(answer) if array.ndim == 0 else answer


def _percent(share: float) -> str:
    return f"{_format.shortest(100 * share, 1)}%"


def _months(time: float) -> str:
    text = _format.shortest(time, 1)
    return f"{text}{_format.unit_suffix('month', text)}"
