"""One survival curve from many studies, with what is known of it and of the curve of a new study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, overload

import numpy as np
from scipy.special import chdtrc

from netsynth import _validate
from netsynth._typing import JSON, FloatArray, IntArray, Interval
from netsynth.errors import Caution, InvalidInputError
from netsynth.kernels import curve_band
from netsynth.kernels.curve_band import Between
from netsynth.kernels.intervals import Limits
from netsynth.kernels.survival_variance import SCALES, SurvivalScale
from netsynth.results import pooled_curve_bounds as sharp
from netsynth.results import pooled_curve_frames as frames
from netsynth.results import pooled_curve_intervals as answers
from netsynth.results import pooled_curve_text as words
from netsynth.results.pooled_patients import PooledPatients

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from netsynth.results.curve_bootstrap import CurveBootstrap

__all__ = ["CurveMethod", "CurveScale", "PooledCurve", "StudyCurve"]

Times: TypeAlias = Sequence[float] | FloatArray
CurveMethod = Literal["summary", "multivariate", "curves", "stratified", "cox", "parametric"]
#: log S or log(-log S).
CurveScale = Literal["log", "cloglog"]


@dataclass(frozen=True, slots=True, eq=False)
class StudyCurve:
    """What one study tells of survival, as a pooled curve took it.

    Attributes
    ----------
    name : str
        The study.
    time_months, survival : ndarray, shape (m,)
        Read-only, in order of time.
    n_at_start : ndarray, shape (m,)
        Patients at risk at the start of the interval that ends at each time, nan where not known.
    n_total : float
        Patients, nan where not known.
    source : str
        Where these numbers come from: "numbers at risk", "confidence intervals", "imputed", or empty.
    reporting_loss : ndarray, shape (m,), or None
        Share of the variance of log(-log S) that is there only because the study was not reported whole, for a
        reconstructed study of method "curves".
    """

    name: str
    time_months: FloatArray
    survival: FloatArray
    n_at_start: FloatArray
    n_total: float
    source: str = ""
    reporting_loss: FloatArray | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PooledCurve:
    """A survival curve pooled over studies, as made by `netsynth.pool_survival`.

    Times are months. Questions about a time or a horizon take one number or an array of them, and answer with a
    float or an array; intervals of a mean or a quantile, and reasons, take one. The curve starts at 1, from where it
    goes to its first time as between any two; what lies after the last time is nan, and `why_nan` says so in words.
    Arrays are read-only, with one entry a time of `time_months`, shape (m,), unless they say otherwise.

    Attributes
    ----------
    method : {"summary", "multivariate", "curves", "stratified", "cox", "parametric"}
        How studies were pooled.
    model : str
        The same in words.
    endpoint, label : str
        Code and name of what is counted.
    time_months : ndarray
        Times at which the curve was estimated.
    scale : {"log", "cloglog"}
        Scale of `estimate`, `covariance` and `between`: log S or log(-log S).
    estimate : ndarray
        The curve on that scale.
    covariance : ndarray, shape (m, m)
        Of the estimates.
    between : ndarray, shape (m, m)
        Covariance of the studies' own true curves around the mean one; nan where it cannot be estimated.
    interpolation : {"survival", "hazard"}
        What is linear between the times: survival, or the cumulative hazard.
    df, prediction_df : float
        Degrees of freedom of confidence and of prediction intervals, infinite for normal ones.
    q, q_df : float
        Cochran's Q over all times and studies, and its degrees of freedom; nan for methods that have none.
    study : tuple of str
        The studies.
    study_curves : tuple of StudyCurve
        What each told.
    k_at : ndarray of int
        Studies that inform each time.
    n_at : ndarray
        Patients of these, nan where not known: for methods that take reports those at the start of the interval that
        ends there, for methods that take patients those at risk at the time.
    patients : PooledPatients or None
        The patients of the studies, for methods that take them: frames of them, and lifelines' own fits.
    asked_months : ndarray, shape (q,), or None
        Those of `time_months` that were asked for and that text and frames show; None if none were.
    warnings : tuple of Caution
        What to keep in mind.
    """

    method: CurveMethod
    model: str
    endpoint: str
    label: str
    time_months: FloatArray
    scale: CurveScale
    estimate: FloatArray
    covariance: FloatArray
    between: FloatArray
    interpolation: Between
    study: tuple[str, ...]
    study_curves: tuple[StudyCurve, ...]
    k_at: IntArray
    n_at: FloatArray
    df: float = math.inf
    prediction_df: float = math.inf
    q: float = math.nan
    q_df: float = math.nan
    patients: PooledPatients | None = None
    asked_months: FloatArray | None = None
    warnings: tuple[Caution, ...] = ()

    # --- the curve

    @property
    def k(self) -> int:
        """Number of studies."""
        return len(self.study)

    @property
    def n_total(self) -> float:
        """Patients in all; nan if a study does not say."""
        return float(sum(curve.n_total for curve in self.study_curves))

    @property
    def last_months(self) -> float:
        """The last time, after which the curve is nan."""
        return float(self.time_months[-1])

    @property
    def reported_months(self) -> FloatArray:
        """Those of `time_months` that some study reports; all if no study curve is held."""
        if not self.study_curves:
            return self.time_months
        told = np.concatenate([curve.time_months for curve in self.study_curves])
        near = np.abs(self.time_months[:, None] - told) <= 1e-9 * self.time_months[:, None]
        return np.asarray(self.time_months[near.any(axis=1)])

    @property
    def shown_months(self) -> FloatArray:
        """Times that frames show by default: those asked for, else `reported_months`."""
        return self.reported_months if self.asked_months is None else self.asked_months

    def place_of(self, time_months: Times) -> IntArray:
        """For each time the place in `time_months` of the interval that ends there or holds it."""
        times = np.asarray(time_months, dtype=np.float64)
        return np.asarray(np.searchsorted(self.time_months, times * (1.0 - 1e-9), side="left"))

    @property
    def survival_at_times(self) -> FloatArray:
        """Survival at `time_months`."""
        return np.asarray(np.exp(self.estimate if self.scale == "log" else -np.exp(self.estimate)))

    @property
    def log_covariance(self) -> FloatArray:
        """Covariance of log survival at `time_months`, whatever the scale, shape (m, m)."""
        return self._on_log(self.covariance)

    @property
    def log_between(self) -> FloatArray:
        """Covariance of the studies' own log survival around the curve at `time_months`, shape (m, m)."""
        return self._on_log(self.between)

    def _on_log(self, matrix: FloatArray) -> FloatArray:
        if self.scale == "log":
            return matrix
        hazard = np.exp(self.estimate)
        return np.asarray(matrix * hazard[:, None] * hazard)

    @overload
    def survival(self, time_months: float) -> float: ...
    @overload
    def survival(self, time_months: Times) -> FloatArray: ...
    def survival(self, time_months: float | Times) -> float | FloatArray:
        """Survival at these times."""
        return answers.ask(lambda time: self._survival(time), time_months, "time_months")

    def _survival(self, time: FloatArray) -> FloatArray:
        return curve_band.survival_at(self.time_months, self.survival_at_times, time, self.interpolation)

    @overload
    def cumulative_hazard(self, time_months: float) -> float: ...
    @overload
    def cumulative_hazard(self, time_months: Times) -> FloatArray: ...
    def cumulative_hazard(self, time_months: float | Times) -> float | FloatArray:
        """Minus the logarithm of survival."""
        return answers.ask(lambda time: 0.0 - np.log(self._survival(time)), time_months, "time_months")

    def covariance_at(self, time_months: Times) -> FloatArray:
        """Covariance of survival, as a probability, at times of shape (q,): shape (q, q), by the delta method."""
        slope = answers.slopes(self, answers.times_of(time_months, "time_months"))
        return np.asarray(slope @ self.log_covariance @ slope.T)

    def confidence_band(
        self,
        level: float = 0.95,
        time_months: Times | None = None,
        *,
        scale: SurvivalScale = "log-log",
        simultaneous: bool = False,
    ) -> Limits:
        """Confidence limits of survival at these times, by default those of the estimates.

        Parameters
        ----------
        level : float
            A fraction.
        time_months : array_like of float, shape (q,), optional
            nan after the last time.
        scale : {"log-log", "log", "logit", "arcsine", "plain"}
            On which the limits are symmetric. Those of log-log and logit lie between 0 and 1 by themselves; what passes
            0 or 1 on another ends there.
        simultaneous : bool
            Whether the band is to hold the whole curve with this probability, and not each time for itself.

        Returns
        -------
        Limits
            Two arrays of shape (q,).

        Raises
        ------
        InvalidInputError
            If the level is not a fraction, a time is negative, or the scale unknown.
        """
        level = _validate.level(level)
        _validate.choice(scale, "scale", SCALES)
        factor = answers.confidence_factor(self, level, simultaneous=simultaneous)
        return answers.band(self, self._times(time_months), self.log_covariance, factor, SCALES[scale])

    def prediction_band(self, level: float = 0.95, time_months: Times | None = None) -> Limits:
        """Where the true survival of a new study may lie at these times, each for itself, symmetric on log(-log).

        nan where the studies are too few to tell how much they differ; `why_no_prediction` says so in words.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction, or a time is negative.
        """
        factor = answers.prediction_factor(self, _validate.level(level))
        spread = self.log_covariance + self.log_between
        return answers.band(self, self._times(time_months), spread, factor, SCALES["log-log"])

    def _times(self, time_months: Times | None) -> FloatArray:
        return self.time_months if time_months is None else answers.times_of(time_months, "time_months")

    def why_nan(self, time_months: float) -> str:
        """Why the curve is nan at one time, in words; empty where it is not."""
        if answers.one_of(time_months, "time_months") <= self.last_months:
            return ""
        return words.no_more(self)

    def why_no_prediction(self, time_months: float) -> str:
        """Why there is no prediction at a time, in words; empty where there is one."""
        return self.why_nan(time_months) or words.no_prediction(self, time_months)

    # --- quantiles

    @overload
    def quantile(self, p: float) -> float: ...
    @overload
    def quantile(self, p: Times) -> FloatArray: ...
    def quantile(self, p: float | Times) -> float | FloatArray:
        """Time in months by which a share p has had the event; nan when the curve does not fall so far."""
        shares = answers.numbers(p, "p")
        if not ((shares >= 0) & (shares <= 1)).all():
            raise InvalidInputError(f"p must be a share, from 0 to 1; got {p!r}.")
        curve = self.time_months, self.survival_at_times
        return answers.ask(lambda share: curve_band.time_at(*curve, 1.0 - share, self.interpolation), p, "p")

    @property
    def median(self) -> float:
        """Median survival in months; nan when it is not reached."""
        return self.quantile(0.5)

    def quantile_confidence_interval(
        self, p: float, level: float = 0.95, *, scale: SurvivalScale = "log-log"
    ) -> Interval:
        """Times at which the confidence limits of survival, each time for itself, cross 1 - p.

        The upper one is infinite when they do not; the lower one is then no later than the last time.
        """
        level = _validate.level(level)
        _validate.choice(scale, "scale", SCALES)
        factor = answers.confidence_factor(self, level)
        return answers.crossing(self, answers.share_of(p), self.log_covariance, factor, SCALES[scale])

    def quantile_prediction_interval(self, p: float, level: float = 0.95) -> Interval:
        """Where that quantile of a new study may lie: times at which the prediction limits cross 1 - p.

        The upper one is infinite when they do not while there are any; nan when there are none at all.
        """
        factor = answers.prediction_factor(self, _validate.level(level))
        spread = self.log_covariance + self.log_between
        return answers.crossing(self, answers.share_of(p), spread, factor, SCALES["log-log"])

    def median_confidence_interval(
        self, level: float = 0.95, *, scale: SurvivalScale = "log-log"
    ) -> Interval:
        """`quantile_confidence_interval` of the median."""
        return self.quantile_confidence_interval(0.5, level, scale=scale)

    def median_prediction_interval(self, level: float = 0.95) -> Interval:
        """`quantile_prediction_interval` of the median."""
        return self.quantile_prediction_interval(0.5, level)

    # --- restricted means

    @overload
    def rmst(self, horizon_months: float) -> float: ...
    @overload
    def rmst(self, horizon_months: Times) -> FloatArray: ...
    def rmst(self, horizon_months: float | Times) -> float | FloatArray:
        """Restricted mean survival time: months lived, on average, of those up to the horizon."""
        curve = self.time_months, self.survival_at_times

        def areas(horizons: FloatArray) -> FloatArray:
            found = [curve_band.area(*curve, float(h), self.interpolation) for h in horizons]
            return np.array(found, dtype=np.float64)

        return answers.ask(areas, horizon_months, "horizon_months")

    def rmst_covariance(self, horizon_months: Times) -> FloatArray:
        """Covariance of restricted means at horizons of shape (q,): shape (q, q), by the delta method."""
        slope = answers.area_slopes(self, answers.times_of(horizon_months, "horizon_months"))
        return np.asarray(slope @ self.log_covariance @ slope.T)

    def rmst_confidence_interval(self, horizon_months: float, level: float = 0.95) -> Interval:
        """Confidence limits of the restricted mean, symmetric on the logit of its share of the horizon."""
        factor = answers.confidence_factor(self, _validate.level(level))
        return answers.rmst_limits(self, horizon_months, self.log_covariance, factor)

    def rmst_prediction_interval(self, horizon_months: float, level: float = 0.95) -> Interval:
        """Where the restricted mean of a new study may lie; nan where there is no prediction at the horizon."""
        factor = answers.prediction_factor(self, _validate.level(level))
        return answers.rmst_limits(self, horizon_months, self.log_covariance + self.log_between, factor)

    # --- what the printed figures alone leave possible

    def average_bounds(self, time_months: Times | None = None) -> Limits:
        r"""Sharp limits of the average curve when nothing is assumed between and after the figures of the studies.

        The average is :math:`\sum n_i S_i(t) / \sum n_i`, over all patients of `study_curves`, or over studies alike
        where the size of one is not known. It never rises, and that is all that is used: each study is at most what it
        was at its last figure before, and at least what it is at the next one, 0 after the last. So the limits hold at
        any time, also after `last_months`.

        Parameters
        ----------
        time_months : array_like of float, shape (q,), optional
            By default those of the estimates.

        Returns
        -------
        Limits
            Two arrays of shape (q,); nan for curves from patients, and `why_no_average_bounds` says why. Figures count
            as exact. Sampling error is not in the limits, and they are not of the study in the middle, which the pooled
            curve shows: limits of that, whatever the variances are, come from `netsynth.bound_pooled_survival`.

        Raises
        ------
        InvalidInputError
            If a time is negative.
        """
        return sharp.survival_limits(self, self._times(time_months))

    def average_rmst_bounds(self, horizon_months: float) -> Interval:
        """Limits of the mean survival of all patients within a horizon, in months, in the sense of `average_bounds`."""
        return sharp.rmst_limits(self, horizon_months)

    @property
    def average_median_bounds(self) -> Interval:
        """Limits of the median of all patients, in months, in the sense of `average_bounds`; infinite where open."""
        return sharp.median_limits(self)

    @property
    def why_no_average_bounds(self) -> str:
        """Why there are no `average_bounds`, in words; empty where there are."""
        return sharp.why_none(self)

    # --- heterogeneity

    @property
    def q_pvalue(self) -> float:
        """P-value of Q under no heterogeneity; nan without degrees of freedom."""
        return float(chdtrc(self.q_df, self.q)) if self.q_df > 0 else math.nan

    @property
    def h2(self) -> float:
        """H2 = Q / df, below 1 when the studies differ by less than chance; nan without degrees of freedom."""
        return self.q / self.q_df if self.q_df > 0 else math.nan

    @property
    def i2(self) -> float:
        """Share of the variation that is heterogeneity, from Q: max(0, (Q - df) / Q), a fraction."""
        return 1.0 - 1.0 / max(self.h2, 1.0) if self.q_df > 0 else math.nan

    @property
    def q_df_studies(self) -> float:
        """What metaSurvival and RISCA give as `q_df`: points less studies, not less times; for method "summary"."""
        return float(self.k_at.sum() - self.k) if self.method == "summary" else math.nan

    # --- more data sets

    def bootstrap(
        self, n_replicates: int = 2000, *, rng: np.random.Generator | int | None = 0
    ) -> CurveBootstrap:
        """The same curve from studies drawn anew, as many with replacement; for method "summary".

        It carries the uncertainty of the covariance between studies, which the intervals of the curve do not.

        Parameters
        ----------
        n_replicates : int
            At least 100.
        rng : Generator, int or None
            Source or seed of the draws; None for another one each time.

        Returns
        -------
        CurveBootstrap
            Its bands are percentiles.

        Raises
        ------
        InvalidInputError
            If the method is another, there is one study only, or there are too few replicates.

        Notes
        -----
        Replicates are fitted in chunks, one after another, or on many cores under ``joblib.parallel_config``, which
        does not change the answer.
        """
        from netsynth.results.curve_bootstrap import bootstrap_curve

        return bootstrap_curve(self, n_replicates, rng)

    # --- frames, figure, text

    def summary_frame(self, level: float = 0.95, time_months: Times | None = None) -> pd.DataFrame:
        """One unrounded row a time, by default of `shown_months`: both intervals, studies and patients.

        `average_lower` and `average_upper` are `average_bounds`. `n_at_start` counts patients at the start of the
        interval that ends at the time or holds it, for methods that take reports; `n_at_risk` those at risk at the
        time, for methods that take patients. The other one is nan.
        """
        times = self.shown_months if time_months is None else answers.times_of(time_months, "time_months")
        return frames.summary_frame(self, level, times)

    def curve_frame(self, time_months: Times | None = None, *, level: float = 0.95) -> pd.DataFrame:
        """The curve with both bands, one row a time; by default 200 steps and the times of the estimates."""
        times = None if time_months is None else answers.times_of(time_months, "time_months")
        return frames.curve_frame(self, level, times)

    def study_frame(self) -> pd.DataFrame:
        """One row a study and time: what each study told."""
        return frames.study_frame(self)

    def to_dict(self, level: float = 0.95) -> JSON:
        """Everything but the patients as plain Python, for JSON; None for what is undefined."""
        return frames.to_dict(self, level)

    def plot(self, *, ax: Axes | None = None, level: float = 0.95) -> Axes:
        """Study curves, the pooled curve with both bands, studies and patients underneath; needs matplotlib."""
        from netsynth.plots.pooled_curve import pooled_curve_plot

        return pooled_curve_plot(self, ax=ax, level=level)

    def __str__(self) -> str:
        return words.text(self)

    def _repr_html_(self) -> str:
        return words.html(self)
