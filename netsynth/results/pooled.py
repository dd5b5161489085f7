"""The result of pooling: an effect, how uncertain it is, and how much the studies differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from scipy.special import chdtrc

from netsynth import _format, _validate
from netsynth._typing import JSON, FloatArray, Interval
from netsynth.errors import Caution, InvalidInputError
from netsynth.kernels import heterogeneity, intervals
from netsynth.kernels.intervals import (
    CI_METHODS,
    EXCEEDANCES,
    PREDICTION_METHODS,
    CiMethod,
    Limits,
    PredictionMethod,
    bootstrap_exceed,
    bootstrap_prediction,
)
from netsynth.kernels.likelihood import log_likelihood
from netsynth.kernels.scales import MEASURES, EffectMeasure
from netsynth.kernels.tau2 import TAU2_ESTIMATORS, Tau2Method
from netsynth.kernels.tau2_error import tau2_se
from netsynth.kernels.tau2_intervals import TAU2_INTERVALS, Tau2Interval, generalised_q

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["PooledEffect", "require_pooled"]

_UNDEFINED = Interval(math.nan, math.nan)


@dataclass(frozen=True, slots=True, eq=False)
class PooledEffect:
    """A pooled effect on the scale of `measure`, as made by `netsynth.pool_effects`.

    Attributes
    ----------
    measure : str
        The scale of every number here that is not called natural.
    estimate, se, df : float
        Pooled effect, its standard error by `ci_method`, and the degrees of freedom of its interval,
        infinite when that is normal.
    tau2 : float
        Between-study variance; nan when k = 1.
    q : float
        Cochran's Q, on k - 1 degrees of freedom.
    k : int
        Number of studies.
    tau2_method, ci_method, prediction_method : str
        How tau2, the interval of the estimate and the prediction interval were found.
    study : tuple of str
        Labels of the studies.
    study_estimate, study_se, weight : ndarray, shape (k,)
        Their effects, standard errors and weights, which add up to 1. Read-only.
    own_weight : bool
        Whether the weights were given, and not 1 / (v + tau2).
    unit : str
        What is printed after the name of the measure: "per 1000".
    warnings : tuple of Caution
        What to keep in mind.
    """

    measure: EffectMeasure
    estimate: float
    se: float
    df: float
    tau2: float
    q: float
    k: int
    tau2_method: str
    ci_method: CiMethod
    prediction_method: PredictionMethod
    study: tuple[str, ...]
    study_estimate: FloatArray
    study_se: FloatArray
    weight: FloatArray
    own_weight: bool = False
    unit: str = ""
    warnings: tuple[Caution, ...] = ()

    @property
    def pooled(self) -> bool:
        """Whether there was anything to pool: False for one study, whose result is handed back as it is."""
        return self.k > 1

    @property
    def label(self) -> str:
        """The name of what was pooled, with its unit: "Hazard ratio", "Rate per 1000"."""
        return f"{MEASURES[self.measure].label} {self.unit}".rstrip()

    @property
    def study_natural(self) -> FloatArray:
        """The estimates of the studies on the printed scale, shape (k,)."""
        return MEASURES[self.measure].from_scale(self.study_estimate)

    @property
    def natural(self) -> float:
        """The estimate on the printed scale: a hazard ratio, a probability."""
        return float(MEASURES[self.measure].from_scale(self.estimate))

    @property
    def tau(self) -> float:
        """Standard deviation of the true effects between studies."""
        return math.sqrt(self.tau2)

    @property
    def tau2_se(self) -> float:
        """Standard error of tau2 for large k; nan for one study, the common-effect model, a callable of one's own."""
        if not self.pooled or self.tau2_method not in TAU2_ESTIMATORS:
            return math.nan
        method = cast("Tau2Method", self.tau2_method)
        return float(tau2_se(method, *self._sets(), weight=self._given()))

    @property
    def pvalue(self) -> float:
        """Two-sided p-value of no effect; nan for probabilities, which have no value of no effect."""
        measure = MEASURES[self.measure]
        statistic = (self.estimate - measure.to_scale(measure.null)) / self.se
        return float(intervals.two_sided_pvalue(statistic, self.df))

    @property
    def q_pvalue(self) -> float:
        """P-value of Q under no heterogeneity; nan when k = 1."""
        return float(chdtrc(self.k - 1, self.q)) if self.pooled else math.nan

    @property
    def h2(self) -> float:
        """H2 = Q / (k - 1), below 1 when the studies differ by less than chance; nan when k = 1."""
        return float(heterogeneity.h2_from_q(np.asarray(self.q), self.k - 1))

    @property
    def h2_tau2(self) -> float:
        """H2 = 1 + tau2 / typical sampling variance; nan when k = 1."""
        return float(heterogeneity.h2_from_tau2(np.asarray(self.tau2), self.study_se**2))

    @property
    def i2(self) -> float:
        """Share of the variation that is heterogeneity, from Q: max(0, (Q - (k - 1)) / Q), a fraction."""
        return float(heterogeneity.i2_from_h2(np.asarray(self.h2)))

    @property
    def i2_tau2(self) -> float:
        """Share of the variation that is heterogeneity, from tau2: tau2 / (tau2 + typical sampling variance)."""
        return float(heterogeneity.i2_from_h2(np.asarray(self.h2_tau2)))

    def confidence_interval(self, level: float = 0.95, *, method: CiMethod | None = None) -> Interval:
        """Interval for the mean effect, by another method than the result's own if one is named.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction, the method unknown, or Kenward-Roger (KR) asked of another tau2 than that
            of REML.
        """
        level, se, df = _validate.level(level), self.se, self.df
        if method is not None:
            _validate.choice(method, "method", CI_METHODS)
            self._check_kenward_roger(method)
            if self.pooled:
                error = CI_METHODS[method](*self._sets(), self._given())
                se, df = float(error.se), float(error.df)
        return _interval(intervals.limits(np.asarray(self.estimate), np.asarray(se), df, level))

    def prediction_interval(
        self,
        level: float = 0.95,
        *,
        method: PredictionMethod | None = None,
        rng: np.random.Generator | int | None = None,
    ) -> Interval:
        """Where the true effect of a new study may lie, by another convention if one is named.

        nan for one study, for the common-effect model, which knows of no other effect, and for fewer
        studies than the convention needs. `rng`, a generator or a seed, is for "bootstrap" alone, which has a
        fixed seed otherwise.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction, the method unknown, or Kenward-Roger (KR) asked of another tau2 than that
            of REML.
        """
        level, method = _validate.level(level), method or self.prediction_method
        _validate.choice(method, "method", PREDICTION_METHODS)
        if not self.pooled or self.tau2_method == "CE":
            return _UNDEFINED
        self._check_kenward_roger(method)
        if method == "bootstrap" and rng is not None:
            generator = np.random.default_rng(rng)
            return _interval(bootstrap_prediction(*self._sets(), level, rng=generator))
        return _interval(PREDICTION_METHODS[method](*self._sets(), level, self._given()))

    def probability_above(
        self,
        value: float | None = None,
        *,
        method: PredictionMethod | None = None,
        rng: np.random.Generator | int | None = None,
    ) -> float:
        """Probability that the true effect of a new study is above a value on the printed scale, by default no effect.

        Of a pooled hazard ratio it is, without a value, the probability that a new study shows harm. The law of the new
        effect is that of `prediction_interval`, whose limits at 95% have 2.5% beyond each of them; nan where they are.

        Raises
        ------
        InvalidInputError
            If the value is not on the scale, or missing for a measure that has no value of no effect; or as
            `prediction_interval`.

        Examples
        --------
        >>> from netsynth import pool_effects
        >>> pooled = pool_effects([0.51, 0.12, 0.33, 0.40], se=[0.18, 0.10, 0.15, 0.20], measure="log_hr")
        >>> round(pooled.probability_above(), 3), round(pooled.probability_above(1.25), 3)
        (0.904, 0.662)
        """
        measure, method = MEASURES[self.measure], method or self.prediction_method
        _validate.choice(method, "method", PREDICTION_METHODS)
        value = measure.null if value is None else value
        with np.errstate(invalid="ignore", divide="ignore"):
            at = float(measure.to_scale(value))
        if math.isnan(at):
            raise InvalidInputError(
                f"{self.label}: give a value on its scale to compare with; got {value!r}."
            )
        if not self.pooled or self.tau2_method == "CE":
            return math.nan
        self._check_kenward_roger(method)
        if method == "bootstrap" and rng is not None:
            above = float(bootstrap_exceed(*self._sets(), at, rng=np.random.default_rng(rng)))
        else:
            above = float(EXCEEDANCES[method](*self._sets(), at, self._given()))
        ends = measure.from_scale(np.array([-1.0, 1.0]))
        return above if ends[0] < ends[1] else 1.0 - above  # log(-log S) falls as S rises

    def tau2_interval(self, level: float = 0.95, *, method: Tau2Interval = "QP") -> Interval:
        """Interval for tau2, whichever way tau2 was estimated; nan for one study.

        "QP" is the Q-profile, "PL_REML" and "PL_ML" are profile likelihoods, "BT" is Biggerstaff and Tweedie's,
        "GENQ" Jackson's, with the weights of the result if they were given and else 1 / se. [0, 0] when the studies
        differ so little that no tau2 agrees with them.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction or the method unknown.
        """
        y, v, level = self.study_estimate, self.study_se**2, _validate.level(level)
        _validate.choice(method, "method", TAU2_INTERVALS)
        if method == "GENQ":
            return _interval(generalised_q(y, v, level, weight=self._given()))
        return _interval(TAU2_INTERVALS[method](y, v, level))

    def h2_interval(self, level: float = 0.95) -> Interval:
        """Test-based interval of `h2`, from Q alone and not below 1; nan for one study."""
        ends = heterogeneity.h2_interval(np.asarray(self.q), self.k - 1, _validate.level(level))
        return Interval(float(ends.lower), float(ends.upper))

    def i2_interval(self, level: float = 0.95) -> Interval:
        """Test-based interval of `i2`, from Q alone; nan for one study."""
        return Interval(*heterogeneity.i2_from_h2(np.asarray(self.h2_interval(level))).tolist())

    def h2_tau2_interval(self, level: float = 0.95, *, method: Tau2Interval = "QP") -> Interval:
        """Interval of `h2_tau2`, from the interval of tau2."""
        ends = np.asarray(self.tau2_interval(level, method=method))
        return Interval(*heterogeneity.h2_from_tau2(ends, self.study_se**2).tolist())

    def i2_tau2_interval(self, level: float = 0.95, *, method: Tau2Interval = "QP") -> Interval:
        """Interval of `i2_tau2`, from the interval of tau2."""
        ends = self.h2_tau2_interval(level, method=method)
        return Interval(*heterogeneity.i2_from_h2(np.asarray(ends)).tolist())

    def _sets(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        return self.study_estimate, self.study_se**2, np.asarray(self.tau2)

    def _given(self) -> FloatArray | None:
        return self.weight if self.own_weight else None

    def _check_kenward_roger(self, method: str) -> None:
        if method == "KR" and self.pooled and (self.tau2_method != "REML" or self.own_weight):
            found = "weights of your own" if self.own_weight else f"tau2 by {self.tau2_method}"
            raise InvalidInputError(
                f"method='KR' is defined for tau2 by REML with weights 1 / (v + tau2); got {found}. "
                "Use 'mHK', or pool with tau2_method='REML'."
            )

    def study_interval(self, level: float = 0.95) -> Limits:
        """Wald interval of each study, two arrays of shape (k,)."""
        return intervals.limits(self.study_estimate, self.study_se, math.inf, _validate.level(level))

    def natural_interval(self, level: float = 0.95) -> Interval:
        """`confidence_interval` on the printed scale, the smaller limit first."""
        return self._natural(self.confidence_interval(level))

    def natural_prediction_interval(self, level: float = 0.95) -> Interval:
        """`prediction_interval` on the printed scale, the smaller limit first."""
        return self._natural(self.prediction_interval(level))

    def natural_study_interval(self, level: float = 0.95) -> Limits:
        """`study_interval` on the printed scale, the smaller limits first."""
        ends = MEASURES[self.measure].from_scale(np.stack(self.study_interval(level)))
        return Limits(ends.min(axis=0), ends.max(axis=0))

    def _natural(self, interval: Interval) -> Interval:
        return Interval(*np.sort(MEASURES[self.measure].from_scale(np.asarray(interval))).tolist())

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row on the scale of `measure`; the columns called natural are on the printed one."""
        import pandas as pd

        ci, pi, tau2 = (
            self.confidence_interval(level),
            self.prediction_interval(level),
            self.tau2_interval(level),
        )
        natural = self.natural_interval(level)
        row = {
            "estimate": self.estimate,
            "se": self.se,
            "ci_lower": ci.lower,
            "ci_upper": ci.upper,
            "pi_lower": pi.lower,
            "pi_upper": pi.upper,
            "pvalue": self.pvalue,
            "natural": self.natural,
            "natural_lower": natural.lower,
            "natural_upper": natural.upper,
            "tau2": self.tau2,
            "tau2_lower": tau2.lower,
            "tau2_upper": tau2.upper,
            "i2": self.i2,
            "q": self.q,
            "q_pvalue": self.q_pvalue,
            "k": self.k,
            "tau2_method": self.tau2_method,
            "ci_method": self.ci_method,
            "prediction_method": self.prediction_method,
        }
        return pd.DataFrame([row], index=pd.Index([self.measure], name="measure"))

    def study_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a study, in the order given, with its weight as a fraction."""
        import pandas as pd

        ci, natural = self.study_interval(level), self.natural_study_interval(level)
        columns = {
            "estimate": self.study_estimate,
            "se": self.study_se,
            "ci_lower": ci.lower,
            "ci_upper": ci.upper,
            "natural": self.study_natural,
            "natural_lower": natural.lower,
            "natural_upper": natural.upper,
            "weight": self.weight,
        }
        return pd.DataFrame(columns, index=pd.Index(self.study, name="study"))

    def fit_statistics(self) -> pd.DataFrame:
        """Log-likelihood, deviance, AIC, BIC and AICc at the estimate, by ML and by REML, as metafor counts them."""
        import pandas as pd

        n_parameters = 1 if self.tau2_method == "CE" else 2
        columns = {}
        for name, restricted, n in (("ML", False, self.k), ("REML", True, self.k - 1)):
            tau2 = np.asarray(self.tau2 if self.pooled else 0.0)
            y, v = self.study_estimate, self.study_se**2
            height = float(log_likelihood(y, v, tau2, restricted=restricted))
            if self.own_weight:  # its mean is not the one that is best for tau2
                best = heterogeneity.weighted_mean(y, v + tau2)
                height -= 0.5 * float((self.estimate - best.mean) ** 2 / best.variance)
            size = max(n, n_parameters + 2)
            columns[name] = {
                "log_likelihood": height,
                "deviance": -2.0 * height,
                "aic": -2.0 * height + 2 * n_parameters,
                "bic": -2.0 * height + n_parameters * math.log(n) if n else math.nan,
                "aicc": -2.0 * height + 2 * n_parameters * size / (size - n_parameters - 1),
            }
        return pd.DataFrame(columns)

    def to_dict(self, level: float = 0.95) -> JSON:
        """Everything as plain Python, for JSON: the columns of the summary, the studies, and the warnings.

        What is undefined is None, and an open end is "inf" or "-inf", for JSON knows neither.
        """
        frame = self.summary_frame(level)
        studies = self.study_frame(level).reset_index()
        return {
            "measure": self.measure,
            "level": level,
            **dict(zip(frame.columns, map(_format.plain, frame.iloc[0]), strict=True)),
            "studies": [
                dict(zip(studies.columns, map(_format.plain, row), strict=True))
                for row in studies.itertuples(index=False)
            ],
            "warnings": [str(warning) for warning in self.warnings],
        }

    def sentence(self, level: float = 0.95) -> str:
        """The result as the text of a paper gives it.

        Examples
        --------
        >>> from netsynth import pool_effects
        >>> pool_effects(
        ...     [-0.51, -0.12, -0.33], se=[0.18, 0.10, 0.15], measure="log_hr", ci_method="wald"
        ... ).sentence()
        'pooled HR 0.75, 95% CI 0.60–0.94; I² = 51%; 95% PI 0.074–7.70 (3 studies)'
        """
        noun = {"Hazard ratio": "HR"}.get(self.label, self.label.lower())
        percent = f"{100 * level:g}%"
        said = f"{noun} {self.shown(self.natural)}, {percent} CI {self._span(self.natural_interval(level))}"
        if not self.pooled:
            return f"{said} (one study, {self.study[0]})"
        said = f"pooled {said}; I² = {100 * self.i2:.0f}%"
        prediction = self.natural_prediction_interval(level)
        if not math.isnan(prediction.lower):
            said += f"; {percent} PI {self._span(prediction)}"
        return f"{said} ({self.k} studies)"

    def _span(self, interval: Interval) -> str:
        if math.isnan(interval.lower):
            return "undefined"
        low, high = (self.shown(end) for end in interval)
        return _format.span(low.removesuffix("%"), high) if low.endswith("%") else _format.span(low, high)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Forest plot; needs matplotlib."""
        from netsynth.plots.forest import forest_plot

        return forest_plot(self, ax=ax)

    def _title(self) -> str:
        measure = MEASURES[self.measure]
        label = (
            f"{self.label} ({measure.scale} scale)" if measure.kind in ("probability", "rate") else self.label
        )
        if not self.pooled:
            return f"{label}, one study ({self.study[0]}), not pooled, k = 1"
        model = "common effect" if self.tau2_method == "CE" else f"random effects, tau2 by {self.tau2_method}"
        return f"{label}, {model}, CI by {self.ci_method}, k = {self.k}"

    def shown(self, natural: float) -> str:
        """A value on the printed scale as text shows it: "0.75", "72.4%"."""
        kind = MEASURES[self.measure].kind
        if kind == "ratio":
            return _format.ratio(natural)
        if kind == "probability":
            return f"{_format.number(100 * natural, 1)}%"
        return _format.months(natural) if self.unit == "in months" else _format.significant(natural)

    def _bracket(self, interval: Interval) -> str:
        if math.isnan(interval.lower):
            return "undefined"
        return f"[{self.shown(interval.lower)}, {self.shown(interval.upper)}]"

    def __str__(self) -> str:
        lines = [f"  estimate  {self.shown(self.natural)}   95% CI {self._bracket(self.natural_interval())}"]
        if self.pooled:
            q_test = f"Q {_format.number(self.q, 2)} on {self.k - 1} df, {_format.pvalue(self.q_pvalue)}"
            spread = f"I2 {100 * self.i2:.0f}%   {q_test}"
            if self.tau2_method != "CE":
                lines[0] += f"   95% PI {self._bracket(self.natural_prediction_interval())}"
                low, high = map(_format.significant, self.tau2_interval())
                spread = f"tau2 {_format.significant(self.tau2)}   95% CI [{low}, {high}]   {spread}"
            if self.k == 2:  # the methods differ so much that one alone would mislead
                names = [name for name in CI_METHODS if name != "KR"]
                each = ((name, self.confidence_interval(method=name)) for name in names)
                shown = ", ".join(f"{name} {self._bracket(self._natural(ends))}" for name, ends in each)
                lines.append(f"  95% CI by method: {shown}")
            lines.append(f"  {spread}")
            if self.tau2_method != "CE":
                lines.append(f"  {self._heterogeneity_in_words()}")
        return "\n".join([self._title(), *lines, *(f"  {caution}" for caution in self.warnings)])

    def _heterogeneity_in_words(self) -> str:
        if self.tau2 > 0:
            ends = np.array([self.estimate - self.tau, self.estimate + self.tau])
            middle = self._span(self._natural(Interval(*ends.tolist())))
            said = f"in words: two thirds of the true effects are estimated to lie in {middle}"
            return f"{said}; tau2 may be 0" if self.tau2_interval().lower == 0 else said
        upper = self.tau2_interval().upper
        if upper == 0:
            return "in words: the studies differ less than chance alone lets expect"
        return "in words: no difference between true effects is seen, and none is ruled out up to the upper limit"

    def _repr_html_(self) -> str:
        names = (*self.study, "Pooled") if self.pooled else self.study
        limits = [*zip(*self.natural_study_interval(), strict=True), self.natural_interval()]
        values = [*self.study_natural, self.natural]
        weights = [*(f"{100 * weight:.1f}%" for weight in self.weight), ""]
        rows = [
            (name, self.shown(value), self._bracket(Interval(*ends)), weight)
            for name, value, ends, weight in zip(names, values, limits, weights, strict=False)
        ]
        return _format.html_table(("study", "estimate", "95% CI", "weight"), rows, caption=self._title())


def require_pooled(value: object, verb: str) -> None:
    """Refuse what is not a pooled effect.

    Raises
    ------
    InvalidInputError
        If it is not; the message names the verb.
    """
    if not isinstance(value, PooledEffect):
        raise InvalidInputError(
            f"{verb} takes a pooled effect, from pool_effects or one of its siblings; got {type(value).__name__}. "
            "Pool first."
        )


def _interval(ends: Limits) -> Interval:
    return Interval(float(ends.lower), float(ends.upper))
