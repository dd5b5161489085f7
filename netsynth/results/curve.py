"""A survival curve through reported percentages, with what the report alone allows around it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, overload

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import FloatArray, Interval
from netsynth.errors import Caution, ImputedVarianceWarning, InvalidInputError, caution
from netsynth.kernels import bounds as sharp
from netsynth.kernels.curves import Curve
from netsynth.kernels.grouped import GroupedFit
from netsynth.kernels.intervals import Limits
from netsynth.kernels.model_average import ModelName
from netsynth.kernels.reconstruction import Figures, Method, Tail
from netsynth.kernels.survival_variance import (
    MATURITY,
    SCALES,
    SurvivalScale,
    interval,
    limit_without_events,
)
from netsynth.results import curve_intervals, curve_models, curve_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from netsynth.results.ipd import PseudoIPD

__all__ = ["SurvivalCurve"]

Times: TypeAlias = Sequence[float] | FloatArray


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SurvivalCurve:
    """Survival of one group, as made by `netsynth.reconstruct_survival`.

    Times are months. The questions `survival`, `hazard`, `cumulative_hazard`, `rmst` and `bounds` take one time
    or an array of times, and answer with a float or an array. What lies after the last figure is nan unless a
    tail was named; `why_nan` says so in words. Arrays are read-only, shape (m,), one entry a landmark.

    Standard errors are those of the printed percentages. The curve has intervals of its own, at any time, and so
    have its median and its restricted mean: they know the sampling error of the figures, and the spread of
    what other families make of the same figures.

    Attributes
    ----------
    label : str
        Whose survival.
    method : str
        How the curve runs between the figures, as in `netsynth.reconstruct_survival`.
    tail : str or None
        How it goes on after the last of them.
    landmark_months, landmark_survival : ndarray
        The figures as printed.
    survival_lower, survival_upper : ndarray
        What their printed digits may stand for.
    n_total : int or None
        Patients.
    n_at_risk : ndarray
        Patients at risk at the landmarks, nan where not printed.
    n_events : int or None
        All their events, those after the last landmark included; None when not known, or not used since there are
        fewer than the percentages need.
    printed_lower, printed_upper : ndarray
        Confidence limits as printed, nan where they are not; `printed_level` is their level.
    se : ndarray
        Standard errors of survival at the landmarks, as probabilities. Between landmarks a report does not
        tell them. nan where survival is 0 or 1, or nothing is known.
    se_lower, se_upper : ndarray
        What n and the numbers at risk allow them to be.
    se_source : tuple of str
        Where each came from, or where survival is 1 its lower limit: "printed CI (log-log)", "numbers at
        risk", "total events", "median follow-up", "imputed", or empty.
    effective_n : ndarray
        Patients at the start of the interval that ends at the landmark who, all followed through it, would
        give its survival the standard error it has; nan where no size is known.
    median_interval : Interval
        Where the report puts the median itself, with its rounding; 0 to infinity when it prints none that
        could be used.
    curve : Curve
        The curve in the form of the kernels.
    envelope : Envelope
        All that was printed, as limits of survival.
    figures : Figures
        Points and printed figures in the form of the kernels.
    fits : mapping of str to GroupedFit
        Families that were fitted for the curve, none for one that runs through points.
    last_months : float
        Time of the last figure.
    horizon_months : float
        Up to where the curve is known: `last_months`, with its rounding where that is a median and the curve
        fitted; infinite with a tail or when survival is 0.
    endpoint : str
        Code of what is counted, empty where it is not known.
    warnings : tuple of Caution
        What to keep in mind about the curve. That standard errors are imputed does not touch it, so
        `confidence_interval` says so.
    """

    label: str
    method: Method
    tail: Tail | None
    landmark_months: FloatArray
    landmark_survival: FloatArray
    survival_lower: FloatArray
    survival_upper: FloatArray
    n_total: int | None
    n_at_risk: FloatArray
    n_events: int | None
    printed_lower: FloatArray
    printed_upper: FloatArray
    printed_level: float
    se: FloatArray
    se_lower: FloatArray
    se_upper: FloatArray
    se_source: tuple[str, ...]
    effective_n: FloatArray
    median_interval: Interval
    curve: Curve
    envelope: sharp.Envelope
    figures: Figures
    fits: Mapping[ModelName, GroupedFit]
    last_months: float
    horizon_months: float
    endpoint: str = ""
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
            f"nothing is reported after {curve_text.months(self.last_months)}, where survival is "
            f"{curve_text.percent(self.survival(self.last_months))}; name a tail to go on, or use bounds()"
        )

    def confidence_interval(
        self, level: float = 0.95, *, time_months: Times | None = None, scale: SurvivalScale = "log-log"
    ) -> Limits:
        """Pointwise confidence limits, symmetric on the scale: of the printed percentages, or of the curve.

        Without times they are those of the percentages, from `se`. Where survival is 1 the lower limit is
        then that of no event among the effective number of patients, with all of the error on that side; where
        it is 0 there is none. A printed interval goes before both.

        With times they are those of the curve there. Besides the sampling error of the figures they hold what
        the method does not know: how far the curves of other families lie from this one between the figures,
        and after them as far as the tail is an average. A single family, or a single tail, is taken at its
        word. nan where survival is 0 or 1, or no number of patients is known.

        Parameters
        ----------
        level : float
            A fraction.
        time_months : array_like of float, shape (q,), optional
            By default the landmarks, for the percentages as printed.
        scale : {"log-log", "log", "logit", "arcsine", "plain"}
            log-log limits stay between 0 and 1.

        Warns
        -----
        ImputedVarianceWarning
            If a standard error is imputed.
        """
        if message := self.imputation():
            caution(ImputedVarianceWarning, message, where=self.label)
        if time_months is None:
            return self._interval(level, scale)
        level = _validate.level(level)
        _validate.choice(scale, "scale", SCALES)
        times = np.atleast_1d(np.asarray(time_months, dtype=np.float64))
        return self._asked(
            lambda time: curve_intervals.survival_limits(self, time, level, SCALES[scale]), times
        )

    def rmst_confidence_interval(self, horizon_months: float, level: float = 0.95) -> Interval:
        """Confidence limits of the restricted mean, with the same errors in them as in those of the curve.

        Warns
        -----
        ImputedVarianceWarning
            If a standard error is imputed.
        """
        if message := self.imputation():
            caution(ImputedVarianceWarning, message, where=self.label)
        level = _validate.level(level)
        lower, upper = self._asked(
            lambda time: curve_intervals.rmst_limits(self, time, level), np.array([horizon_months])
        )
        return Interval(float(lower[0]), float(upper[0]))

    def median_confidence_interval(
        self, level: float = 0.95, *, scale: SurvivalScale = "log-log"
    ) -> Interval:
        """Confidence limits of the median: where those of the curve cross one half.

        The upper one is infinite when they do not, which is so when the report ends before; the lower one is
        then no later than the last figure.

        Warns
        -----
        ImputedVarianceWarning
            If a standard error is imputed.
        """
        if message := self.imputation():
            caution(ImputedVarianceWarning, message, where=self.label)
        level = _validate.level(level)
        _validate.choice(scale, "scale", SCALES)
        if not self.has_size:
            return Interval(math.nan, math.nan)
        return curve_intervals.median_limits(self, level, SCALES[scale])

    @property
    def has_size(self) -> bool:
        """Whether a number of patients is known, or standard errors that tell an effective one."""
        return bool(np.isfinite(self.effective_n[0]))

    def _asked(self, limits: Callable[[FloatArray], Limits], times: FloatArray) -> Limits:
        """Limits at times, nan where the curve is not known or has no size."""
        if not (np.isfinite(times) & (times >= 0)).all():
            raise InvalidInputError(f"Times must be finite and not negative; got {times!r:.80}.")
        known = (times <= self.horizon_months) & self.has_size
        lower, upper = np.full(times.shape, math.nan), np.full(times.shape, math.nan)
        if known.any():
            lower[known], upper[known] = limits(times[known])
        return Limits(lower, upper)

    def models_frame(self) -> pd.DataFrame:
        """One row a family that the figures can determine, best first, whatever the method of the curve.

        Parameters are those that people use, in a mapping; the log-likelihood is that of the printed
        percentages. `deviance` is twice its distance from the saturated model, on `df` degrees of freedom. AICc
        and BIC count the effective number of patients at the start; weights are Akaike's. All that depends on
        the number of patients is nan where none is known.
        """
        return curve_models.models_frame(self.figures, self.fits, has_size=self.has_size)

    def misfit_frame(self) -> pd.DataFrame:
        """How far the curve misses each printed percentage.

        `misfit` is the distance of the curve from what the printed digits may stand for, 0 within; `misfit_se` the
        same in standard errors.
        """
        return curve_models.misfit_frame(self)

    @property
    def plateau(self) -> curve_models.Plateau | None:
        """The stretch before the last landmark on which survival does not fall, if enough are at risk at its end.

        None when fewer than 10 patients are still at risk there, or the report does not say. A plateau is what the
        report shows; that patients are cured would need to be known from elsewhere.
        """
        return curve_models.plateau(
            self.landmark_months,
            self.survival_lower,
            self.survival_upper,
            self.landmark_survival,
            self.n_at_risk,
        )

    def imputation(self) -> str:
        """What was assumed for standard errors that are imputed, and how far they may be from that; empty for none."""
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

    def pseudo_ipd(self, *, n_events: int | None = None, follow_up_months: float | None = None) -> PseudoIPD:
        """Patients that give every percentage as printed, times in months.

        Parameters
        ----------
        n_events : int, optional
            Events in all, met exactly; by default `n_events` of the curve. Those that cannot have come by the last
            percentage come after it, by the tail or at a constant hazard, and the result says so.
        follow_up_months : float, optional
            When the last patients are censored; by default at the last percentage, or as much later as events after it
            need at the hazard of the last interval.

        Returns
        -------
        PseudoIPD
            One row a patient, as `reconstruct_ipd` gives them. Numbers at risk are met where they are printed; where
            they are not they are as the standard errors suggest.

        Raises
        ------
        InvalidInputError
            If there is no `n_total`, follow-up ends before the last percentage, or no patients can give the
            percentages.

        Warns
        -----
        InconsistentReportWarning
            If so many events are impossible; the total is then not used.

        Examples
        --------
        >>> from netsynth import reconstruct_survival
        >>> curve = reconstruct_survival(
        ...     [36, 60, 120], [0.83, 0.705, 0.42], n_total=100, n_at_risk=[75, 52, 18], decimals=[0, 1, 0]
        ... )
        >>> patients = curve.pseudo_ipd()
        >>> patients.n_total, patients.n_at_risk([36, 60, 120]).tolist(), patients.survival([36, 60, 120]).round(3)
        (100, [75, 52, 18], array([0.83 , 0.705, 0.42 ]))
        """
        from netsynth.results.curve_ipd import curve_ipd

        return curve_ipd(self, self.n_events if n_events is None else n_events, follow_up_months)

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

    def __str__(self) -> str:
        return curve_text.text(self)

    def _repr_html_(self) -> str:
        return curve_text.html(self)


def _ask(question: Callable[[FloatArray], FloatArray], values: float | Times) -> float | FloatArray:
    """Answer in the shape of the question, a float for one value."""
    array = np.asarray(values, dtype=np.float64)
    if not (np.isfinite(array) & (array >= 0)).all():
        raise InvalidInputError(f"Times must be finite and not negative; got {values!r:.80}.")
    answer = question(array.reshape(-1)).reshape(array.shape)
    return float(answer) if array.ndim == 0 else answer
