"""The result of pooling counts by their own likelihood: a proportion or a rate, and how much the studies differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from scipy.special import betaincinv, chdtrc, polygamma, psi

from netsynth import _format, _validate
from netsynth._typing import FloatArray, Interval
from netsynth.errors import InvalidInputError
from netsynth.kernels import beta_binomial, glmm, heterogeneity, intervals
from netsynth.kernels.count_families import CountFamily
from netsynth.kernels.count_intervals import PROPORTION_INTERVALS, ProportionInterval, garwood
from netsynth.kernels.intervals import CiMethod, Limits, PredictionMethod
from netsynth.kernels.scales import MEASURES
from netsynth.kernels.tau2_intervals import Tau2Interval
from netsynth.results.pooled import PooledEffect

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CountCiMethod", "CountModel", "CountPredictionMethod", "PooledCounts", "StudyEffects"]

CountModel = Literal["binomial_normal", "poisson_normal", "beta_binomial"]
CountCiMethod = Literal["wald", "t", "profile", "exact"]
CountPredictionMethod = Literal["normal", "t_km1", "t_km2", "beta"]

_WORDS = {
    "binomial_normal": "binomial-normal model",
    "poisson_normal": "Poisson-normal model",
    "beta_binomial": "beta-binomial model",
}
_SPENT = {"normal": None, "t_km1": 1, "t_km2": 2}


class StudyEffects(NamedTuple):
    """Mean and standard deviation of each study's own effect on the scale, given its counts and the fitted model."""

    mean: FloatArray
    sd: FloatArray


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PooledCounts(PooledEffect):
    """A proportion or rate pooled by the likelihood of the counts, as made by `netsynth.pool_proportions`.

    It answers all that `PooledEffect` answers, with these differences. There are no weights, for such a model has none:
    they are nan. `q` is the likelihood-ratio statistic of heterogeneity. `se` comes from the observed information. In
    `study_estimate` and `study_se`, which other methods may want, 1/2 was added to counts of none or all; the model
    adds nothing, and `study_natural` and the intervals of the studies are those of the counts as they are.

    Attributes
    ----------
    model : {"binomial_normal", "poisson_normal", "beta_binomial"}
        The distribution of counts within studies and of effects between them.
    n_events, size : ndarray, shape (k,)
        Events, and the patients they are of, or the time they are from divided by `per`. Read-only.
    per : float
        Amount of time of which rates are given; 1 for proportions.
    rho : float
        Correlation of two patients of one study in the beta-binomial model; nan in the others. Its `tau2` is nan.
    rho_se : float
        Standard error of logit rho; nan where rho is 0.
    log_likelihood, common_log_likelihood : float
        At the estimate, and for one proportion or rate common to all studies; all constants included.
    q_wald : float
        Cochran's Q from the studies that have a finite estimate. `q` is the better test with few events.
    tau_se : float
        Standard error of tau, from the observed information; nan where tau is 0.
    """

    model: CountModel
    ci_method: CountCiMethod  # type: ignore[assignment]  # other methods than those of `PooledEffect`
    prediction_method: CountPredictionMethod  # type: ignore[assignment]
    n_events: FloatArray
    size: FloatArray
    rho: float
    rho_se: float
    log_likelihood: float
    common_log_likelihood: float
    q_wald: float
    tau_se: float
    per: float = 1.0

    @property
    def is_rate(self) -> bool:
        """Whether events were counted in time and not among patients."""
        return self.model == "poisson_normal"

    @property
    def study_natural(self) -> FloatArray:
        """The proportion or rate of each study as counted, shape (k,)."""
        return self.n_events / self.size

    @property
    def tau2_se(self) -> float:
        """Standard error of tau2 for large k; nan where tau2 is 0."""
        return 2.0 * self.tau * self.tau_se

    @property
    def n_parameters(self) -> int:
        """Parameters of the model: the mean, and unless it is common to all studies the spread."""
        return 1 if self.tau2_method == "CE" or not self.pooled else 2

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return -2.0 * self.log_likelihood + 2 * self.n_parameters

    @property
    def bic(self) -> float:
        """Schwarz's criterion, with the number of studies for the number of observations."""
        return -2.0 * self.log_likelihood + self.n_parameters * math.log(self.k)

    @property
    def aicc(self) -> float:
        """Akaike's criterion corrected for few studies."""
        p, n = self.n_parameters, max(self.k, self.n_parameters + 2)
        return -2.0 * self.log_likelihood + 2 * p * n / (n - p - 1)

    @property
    def q_wald_pvalue(self) -> float:
        """P-value of `q_wald` under no heterogeneity; nan when k = 1."""
        return float(chdtrc(self.k - 1, self.q_wald)) if self.pooled else math.nan

    def confidence_interval(
        self, level: float = 0.95, *, method: CiMethod | CountCiMethod | None = None
    ) -> Interval:
        """Interval for the mean, by another method than the result's own if one is named.

        "wald" and "t" are symmetrical on the scale, the latter with t on k - 1 degrees of freedom; "profile" is that of
        the likelihood, with tau2 or rho at their best for each mean. Where there is one proportion or rate, that of the
        only study or of the common-effect model, "exact" inverts the two one-sided tests of the events of all.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction or the model has no such method.
        """
        level, chosen = _validate.level(level), method or self.ci_method
        _validate.choice(chosen, "method", self._ci_methods)
        if chosen == "exact":
            ends = self._exact(self.n_events.sum(), self.size.sum(), level)
            return Interval(*MEASURES[self.measure].to_scale(np.asarray(ends)).tolist())
        if chosen == "profile":
            return _interval(self._profile(level, mean=True))
        df = self.k - 1 if chosen == "t" else math.inf
        return _interval(intervals.limits(np.asarray(self.estimate), np.asarray(self.se), df, level))

    @property
    def _ci_methods(self) -> tuple[str, ...]:
        if not self.pooled:
            return ("exact", "wald")
        return ("wald", "t", "exact") if self.tau2_method == "CE" else ("wald", "t", "profile")

    def prediction_interval(
        self,
        level: float = 0.95,
        *,
        method: PredictionMethod | CountPredictionMethod | None = None,
        rng: np.random.Generator | int | None = None,  # noqa: ARG002  # of `PooledEffect`, for its bootstrap
    ) -> Interval:
        """Where the true effect of a new study may lie; nan for one study and for the common-effect model.

        With normal effects, the mean -+ quantile x sqrt(tau2 + se^2), the quantile normal or of t on k - 1 or k - 2
        degrees of freedom. With "beta", quantiles of the fitted beta distribution, which leave the uncertainty of its
        parameters out. Neither needs `rng`.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction or the model has no such method.
        """
        level, chosen = _validate.level(level), method or self.prediction_method
        _validate.choice(chosen, "method", ("beta",) if self.model == "beta_binomial" else tuple(_SPENT))
        if self.n_parameters == 1:
            return Interval(math.nan, math.nan)
        if self.model == "beta_binomial":
            if self.rho == 0:
                return Interval(self.estimate, self.estimate)
            a, b = self._shape
            ends = betaincinv(a, b, 0.5 * (1.0 - level)), 1.0 - betaincinv(b, a, 0.5 * (1.0 - level))
            return Interval(*MEASURES[self.measure].to_scale(np.array(ends)).tolist())
        spent = _SPENT[chosen]
        df = math.inf if spent is None else self.k - spent
        se = np.asarray(math.hypot(self.se, self.tau))
        return _interval(intervals.limits(np.asarray(self.estimate), se, df, level))

    def tau2_interval(self, level: float = 0.95, *, method: Tau2Interval | Literal["PL"] = "PL") -> Interval:
        """Profile-likelihood interval for tau2; nan where there is no tau2.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction or the method is not "PL".
        """
        _validate.choice(method, "method", ("PL",))
        level = _validate.level(level)
        if self.n_parameters == 1 or self.model == "beta_binomial":
            return Interval(math.nan, math.nan)
        return _interval(self._profile(level, mean=False))

    def rho_interval(self, level: float = 0.95) -> Interval:
        """Profile-likelihood interval for rho; nan but for the beta-binomial model.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction.
        """
        level = _validate.level(level)
        if self.n_parameters == 1 or self.model != "beta_binomial":
            return Interval(math.nan, math.nan)
        return _interval(self._profile(level, mean=False))

    def h2_tau2_interval(
        self, level: float = 0.95, *, method: Tau2Interval | Literal["PL"] = "PL"
    ) -> Interval:
        """Interval of `h2_tau2`, from the interval of tau2."""
        ends = np.asarray(self.tau2_interval(level, method=method))
        return Interval(*heterogeneity.h2_from_tau2(ends, self.study_se**2).tolist())

    def i2_tau2_interval(
        self, level: float = 0.95, *, method: Tau2Interval | Literal["PL"] = "PL"
    ) -> Interval:
        """Interval of `i2_tau2`, from the interval of tau2."""
        ends = self.h2_tau2_interval(level, method=method)
        return Interval(*heterogeneity.i2_from_h2(np.asarray(ends)).tolist())

    def study_interval(self, level: float = 0.95, *, method: ProportionInterval | None = None) -> Limits:
        """Interval of each study from its counts on the scale, two arrays of shape (k,).

        Exact by default: Clopper-Pearson for proportions and Garwood for rates. Proportions have others by name:
        "wilson", "wilson_corrected", "agresti_coull", "simple", "simple_corrected".

        Raises
        ------
        InvalidInputError
            If the level is not a fraction, the method unknown, or one is named for rates.
        """
        level = _validate.level(level)
        if method is not None and self.is_rate:
            raise InvalidInputError(f"Rates have one interval, the exact one; got method={method!r}.")
        if method is not None:
            _validate.choice(method, "method", PROPORTION_INTERVALS)
            natural = PROPORTION_INTERVALS[method](self.n_events, self.size, level)
        else:
            natural = self._exact(self.n_events, self.size, level)
        with np.errstate(divide="ignore"):  # 0 and 1 are infinite on the logit scale
            return Limits(*(MEASURES[self.measure].to_scale(end) for end in natural))

    def study_effects(self) -> StudyEffects:
        """Empirical Bayes: what each study's own effect is, drawn towards the mean the more the fewer its patients.

        The fitted mean and spread are taken as known. Undefined, nan, where there is no spread to fit.
        """
        if self.n_parameters == 1:
            return StudyEffects(np.full(self.k, np.nan), np.full(self.k, np.nan))
        if self.model != "beta_binomial":
            fitted = np.asarray(self.estimate), np.asarray(self.tau2)
            return StudyEffects(*glmm.study_effects(self.n_events, self.size, self._family, *fitted))
        if self.rho == 0:
            return StudyEffects(np.full(self.k, self.estimate), np.zeros(self.k))
        a, b = self._shape
        a_study, b_study = a + self.n_events, b + self.size - self.n_events
        sd = np.sqrt(polygamma(1, a_study) + polygamma(1, b_study))
        return StudyEffects(psi(a_study) - psi(b_study), sd)

    def fit_statistics(self) -> pd.DataFrame:
        """Log-likelihood, deviance, AIC, BIC and AICc at the estimate, all constants included."""
        import pandas as pd

        column = {
            "log_likelihood": self.log_likelihood,
            "deviance": -2.0 * self.log_likelihood,
            "aic": self.aic,
            "bic": self.bic,
            "aicc": self.aicc,
        }
        return pd.DataFrame({"ML": column})

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """The row of `PooledEffect.summary_frame`, with q from the likelihood ratio, and what this model adds."""
        frame, rho = PooledEffect.summary_frame(self, level), self.rho_interval(level)
        more = {
            "rho": self.rho,
            "rho_lower": rho.lower,
            "rho_upper": rho.upper,
            "q_wald": self.q_wald,
            "q_wald_pvalue": self.q_wald_pvalue,
            "log_likelihood": self.log_likelihood,
            "aic": self.aic,
            "bic": self.bic,
            "model": self.model,
        }
        return frame.assign(**more)

    def study_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a study: counts, estimate with exact interval, and what the model makes of it."""
        frame, effects = PooledEffect.study_frame(self, level), self.study_effects()
        frame = frame.drop(columns="weight").assign(model_estimate=effects.mean, model_sd=effects.sd)
        frame.insert(0, "n_events", self.n_events.astype(np.int64))
        if self.is_rate:
            frame.insert(1, "person_time", self.size * self.per)
        else:
            frame.insert(1, "n_total", self.size.astype(np.int64))
        return frame

    def counts(self) -> tuple[str, ...]:
        """Events and patients, or time, of each study as text shows them: "11/19"."""
        sizes = self.size * self.per
        return tuple(f"{x:.0f}/{_format.shortest(n, 1)}" for x, n in zip(self.n_events, sizes, strict=True))

    @property
    def _family(self) -> CountFamily:
        return "poisson" if self.is_rate else "binomial"

    @property
    def _shape(self) -> tuple[float, float]:
        """The two parameters of the fitted beta distribution."""
        mu, size = self.natural, (1.0 - self.rho) / self.rho
        return mu * size, (1.0 - mu) * size

    def _exact(self, n_events: FloatArray, size: FloatArray, level: float) -> Limits:
        return (garwood if self.is_rate else PROPORTION_INTERVALS["clopper_pearson"])(n_events, size, level)

    def _profile(self, level: float, *, mean: bool) -> Limits:
        x, n, yes = self.n_events, self.size, np.asarray(True)
        estimate, se, height, common = (
            np.asarray(value)
            for value in (self.estimate, self.se, self.log_likelihood, self.common_log_likelihood)
        )
        if self.model == "beta_binomial":
            rho, rho_se = np.asarray(self.rho), np.asarray(self.rho_se)
            beta = beta_binomial.BetaBinomialFit(estimate, se, rho, rho_se, height, common, yes, 0)
            return (beta_binomial.profile_mean if mean else beta_binomial.profile_rho)(x, n, beta, level)
        tau2, tau_se = np.asarray(self.tau2), np.asarray(self.tau_se)
        normal = glmm.GlmmFit(estimate, se, tau2, height, common, tau_se, yes, 0)
        return (glmm.profile_mean if mean else glmm.profile_tau2)(x, n, self._family, normal, level)

    @property
    def model_in_words(self) -> str:
        """The model as text names it: "binomial-normal model"."""
        if self.tau2_method == "CE":
            return f"one {'rate' if self.is_rate else 'proportion'} for all studies"
        return _WORDS[self.model]

    def _title(self) -> str:
        label = f"{self.label} ({MEASURES[self.measure].scale} scale)"
        if not self.pooled:
            return f"{label}, one study ({self.study[0]}), not pooled, k = 1"
        return f"{label}, {self.model_in_words}, ML, CI by {self.ci_method}, k = {self.k}"

    def __str__(self) -> str:
        lines = [f"  estimate  {self.shown(self.natural)}   95% CI {self._bracket(self.natural_interval())}"]
        if self.pooled:
            spread = f"I2 {100 * self.i2:.0f}%   LR {_format.number(self.q, 2)} on {self.k - 1} df"
            spread += f", {_format.pvalue(self.q_pvalue)}"
            if self.n_parameters == 2:
                lines[0] += f"   95% PI {self._bracket(self.natural_prediction_interval())}"
                name, value, ends = (
                    ("rho", self.rho, self.rho_interval())
                    if self.model == "beta_binomial"
                    else ("tau2", self.tau2, self.tau2_interval())
                )
                low, high = map(_format.significant, ends)
                spread = f"{name} {_format.significant(value)}   95% CI [{low}, {high}]   {spread}"
            if self.k == 2:  # the methods differ so much that one alone would mislead
                each = ((name, self.confidence_interval(method=name)) for name in self._ci_methods)  # type: ignore[arg-type]
                shown = ", ".join(f"{name} {self._bracket(self._natural(ends))}" for name, ends in each)
                lines.append(f"  95% CI by method: {shown}")
            lines.append(f"  {spread}")
            if self.n_parameters == 2 and self.model != "beta_binomial":
                lines.append(f"  {self._heterogeneity_in_words()}")
        return "\n".join([self._title(), *lines, *(f"  {caution}" for caution in self.warnings)])

    def _repr_html_(self) -> str:
        names = (*self.study, "Pooled") if self.pooled else self.study
        limits = [*zip(*self.natural_study_interval(), strict=True), self.natural_interval()]
        values, counts = [*self.study_natural, self.natural], (*self.counts(), "")
        rows = [
            (name, count, self.shown(value), self._bracket(Interval(*ends)))
            for name, count, value, ends in zip(names, counts, values, limits, strict=False)
        ]
        return _format.html_table(("study", "events", "estimate", "95% CI"), rows, caption=self._title())


def _interval(ends: Limits) -> Interval:
    return Interval(float(ends.lower), float(ends.upper))
