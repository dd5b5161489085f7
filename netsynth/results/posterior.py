"""The result of Bayesian pooling: what the data and the priors together say of the effects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import JSON, FloatArray, Interval
from netsynth.errors import Caution, InvalidInputError
from netsynth.kernels import heterogeneity, intervals, mixture, posterior
from netsynth.kernels.intervals import Limits
from netsynth.kernels.mixture import Mixture
from netsynth.kernels.posterior import Posterior
from netsynth.kernels.priors import TauPrior
from netsynth.kernels.scales import MEASURES, EffectMeasure
from netsynth.results.distributions import EffectDistribution, IntervalKind, TauDistribution, effect_limits

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["JointMode", "PosteriorEffect"]

_WORDS: Final = {"half_normal": "half-normal", "half_cauchy": "half-Cauchy"}


class JointMode(NamedTuple):
    """Where the joint density of tau and the mean effect is highest."""

    tau: float
    mean: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PosteriorEffect:
    """Posterior of a random-effects model on the scale of `measure`, as made by `netsynth.pool_bayes`.

    It holds the whole posterior, so that everything is there at any level without another analysis.

    Attributes
    ----------
    measure : str
        The scale of every number here that is not called natural.
    k : int
        Number of studies.
    tau_prior : TauPrior
        Prior of tau: its name, scale and density.
    mean_prior : (float, float) or None
        Mean and standard deviation of the normal prior of the mean effect; None if it is flat.
    study : tuple of str
        Labels of the studies.
    study_estimate, study_se : ndarray, shape (k,)
        Their effects and standard errors. Read-only.
    weight : ndarray, shape (k,)
        Posterior mean of each study's weight in the mean effect. They add up to 1, less what a prior of the
        mean effect weighs. Read-only.
    posterior : Posterior
        Points of tau with their probabilities, and the normal of the mean effect given each. Read-only.
    warnings : tuple of Caution
        What to keep in mind.
    """

    measure: EffectMeasure
    k: int
    tau_prior: TauPrior
    mean_prior: tuple[float, float] | None
    study: tuple[str, ...]
    study_estimate: FloatArray
    study_se: FloatArray
    weight: FloatArray
    posterior: Posterior
    warnings: tuple[Caution, ...] = ()

    # --- distributions

    @property
    def effect(self) -> EffectDistribution:
        """Posterior of the mean of the true effects."""
        n_moments = 2 if self.mean_prior is not None else self._tau_moments
        return EffectDistribution(posterior.mean_mixture(self.posterior), n_moments)

    @property
    def prediction(self) -> EffectDistribution:
        """Posterior of the true effect of a new study of the kind."""
        return EffectDistribution(posterior.prediction_mixture(self.posterior), self._tau_moments)

    @property
    def tau(self) -> TauDistribution:
        """Posterior of the standard deviation of the true effects between studies."""
        return TauDistribution(self.posterior.tau)

    def study_effect(self, study: str) -> EffectDistribution:
        """Posterior of the true effect of one study, drawn from its estimate towards the mean.

        Raises
        ------
        InvalidInputError
            If there is no such study.
        """
        if study not in self.study:
            raise InvalidInputError(f"study must be one of {', '.join(self.study)}; got {study!r}.")
        parts, i = self._shrunken, self.study.index(study)
        return EffectDistribution(Mixture(*(array[i] for array in parts)))

    @property
    def _tau_moments(self) -> int:
        density = self.posterior.tau
        return int(density.has_moment(1)) + int(density.has_moment(2))

    @property
    def _shrunken(self) -> Mixture:
        return posterior.study_mixture(self.posterior, self.study_estimate, self.study_se**2)

    # --- numbers

    @property
    def estimate(self) -> float:
        """Posterior median of the mean effect."""
        return self.effect.median

    @property
    def natural(self) -> float:
        """The estimate on the printed scale: a hazard ratio, a probability."""
        return float(MEASURES[self.measure].from_scale(self.estimate))

    @property
    def joint_mode(self) -> JointMode:
        """Where the joint density of tau and the mean effect is highest (maximum a posteriori)."""
        tau, mean = posterior.joint_mode(
            self.posterior, self.study_estimate, self.study_se**2, self.tau_prior, self.mean_prior
        )
        return JointMode(float(tau), float(mean))

    @property
    def log_marginal_likelihood(self) -> float:
        """Logarithm of the probability density of the data; nan unless both priors are proper.

        A flat prior has no height, so with it the data have no probability density.
        """
        is_defined = self.mean_prior is not None and self.tau_prior.is_proper
        return float(self.posterior.log_evidence) if is_defined else math.nan

    @property
    def bayes_factor_homogeneity(self) -> float:
        """How much more probable the data are if tau = 0 than under the prior of tau; nan if that is improper.

        Above 1 the data speak for tau = 0. The prior of the mean effect, flat or not, is the same on both sides.
        """
        ratio = self.posterior.log_homogeneous - self.posterior.log_evidence
        return float(np.exp(ratio)) if self.tau_prior.is_proper else math.nan

    @property
    def bayes_factor_no_effect(self) -> float:
        """How much more probable the data are without a mean effect than under its prior; nan if that is flat.

        Above 1 the data speak for no effect, which is a ratio of 1 or a difference of 0. Probabilities and rates
        have no such value. It is the ratio of the posterior to the prior density there (Savage and Dickey).
        """
        if self.mean_prior is None:
            return math.nan
        mean, sd = self.mean_prior
        log_prior = -0.5 * ((self._null - mean) / sd) ** 2 - math.log(sd * math.sqrt(2.0 * math.pi))
        log_posterior = mixture.mixture_log_density(np.asarray(self._null), self.effect.parts)
        return float(np.exp(log_posterior - log_prior))

    @property
    def i2(self) -> float:
        """Share of the variation that is heterogeneity at the median of tau, a fraction; nan when k = 1."""
        return self._i2(self.tau.median)

    def i2_interval(self, level: float = 0.95) -> Interval:
        """Interval of I2 with equal tails, from that of tau; nan when k = 1.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction.
        """
        return Interval(*map(self._i2, self.tau.interval(level)))

    def _i2(self, tau: float) -> float:
        h2 = heterogeneity.h2_from_tau2(np.asarray(tau**2), self.study_se**2)
        return float(heterogeneity.i2_from_h2(h2))

    @property
    def _null(self) -> float:
        measure = MEASURES[self.measure]
        return float(measure.to_scale(measure.null))

    # --- intervals

    def credible_interval(self, level: float = 0.95, *, kind: IntervalKind = "equal_tailed") -> Interval:
        """Interval that holds the mean effect with probability `level`.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction or the kind unknown.
        """
        return self.effect.interval(level, kind=kind)

    def prediction_interval(self, level: float = 0.95, *, kind: IntervalKind = "equal_tailed") -> Interval:
        """Interval that holds the true effect of a new study with probability `level`.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction or the kind unknown.
        """
        return self.prediction.interval(level, kind=kind)

    def tau_interval(self, level: float = 0.95, *, kind: IntervalKind = "equal_tailed") -> Interval:
        """Interval that holds tau with probability `level`.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction or the kind unknown.
        """
        return self.tau.interval(level, kind=kind)

    def shrunken_interval(self, level: float = 0.95, *, kind: IntervalKind = "equal_tailed") -> Limits:
        """Intervals that hold the true effect of each study with probability `level`, two arrays of shape (k,).

        Raises
        ------
        InvalidInputError
            If the level is not a fraction or the kind unknown.
        """
        return Limits(*effect_limits(self._shrunken, level, kind))

    def study_interval(self, level: float = 0.95) -> Limits:
        """Wald interval of each study from its own data alone, two arrays of shape (k,)."""
        return intervals.limits(self.study_estimate, self.study_se, math.inf, _validate.level(level))

    def natural_interval(self, level: float = 0.95) -> Interval:
        """`credible_interval` on the printed scale, the smaller limit first."""
        return self._natural(self.credible_interval(level))

    def natural_prediction_interval(self, level: float = 0.95) -> Interval:
        """`prediction_interval` on the printed scale, the smaller limit first."""
        return self._natural(self.prediction_interval(level))

    def natural_study_interval(self, level: float = 0.95) -> Limits:
        """`study_interval` on the printed scale, the smaller limits first."""
        return self._natural_limits(self.study_interval(level))

    def natural_shrunken_interval(self, level: float = 0.95) -> Limits:
        """`shrunken_interval` on the printed scale, the smaller limits first."""
        return self._natural_limits(self.shrunken_interval(level))

    @property
    def shrunken(self) -> FloatArray:
        """Posterior median of the true effect of each study, shape (k,)."""
        return mixture.mixture_quantile(np.full(self.k, 0.5), self._shrunken)

    def _natural(self, interval: Interval) -> Interval:
        return Interval(*np.sort(MEASURES[self.measure].from_scale(np.asarray(interval))).tolist())

    def _natural_limits(self, limits: Limits) -> Limits:
        ends = MEASURES[self.measure].from_scale(np.stack(limits))
        return Limits(ends.min(axis=0), ends.max(axis=0))

    # --- tables, figure, text

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row on the scale of `measure`; the columns called natural are on the printed one."""
        import pandas as pd

        return pd.DataFrame([self._row(level)], index=pd.Index([self.measure], name="measure"))

    def _row(self, level: float) -> JSON:
        effect, prediction, tau, natural = (
            self.effect,
            self.prediction,
            self.tau,
            self.natural_interval(level),
        )
        ci, pi, tau_ci = effect.interval(level), prediction.interval(level), tau.interval(level)
        return {
            "estimate": effect.median,
            "mean": effect.mean,
            "mode": effect.mode,
            "sd": effect.sd,
            "ci_lower": ci.lower,
            "ci_upper": ci.upper,
            "pi_lower": pi.lower,
            "pi_upper": pi.upper,
            "natural": float(MEASURES[self.measure].from_scale(effect.median)),
            "natural_lower": natural.lower,
            "natural_upper": natural.upper,
            "tau": tau.median,
            "tau_mean": tau.mean,
            "tau_mode": tau.mode,
            "tau_sd": tau.sd,
            "tau_lower": tau_ci.lower,
            "tau_upper": tau_ci.upper,
            "i2": self._i2(tau.median),
            "log_marginal_likelihood": self.log_marginal_likelihood,
            "bayes_factor_homogeneity": self.bayes_factor_homogeneity,
            "bayes_factor_no_effect": self.bayes_factor_no_effect,
            "k": self.k,
            "tau_prior": self.tau_prior.name,
            "tau_scale": self.tau_prior.scale,
            "mean_prior_mean": self.mean_prior[0] if self.mean_prior else math.nan,
            "mean_prior_sd": self.mean_prior[1] if self.mean_prior else math.inf,
        }

    def study_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a study: what it found, its weight in the mean, and its true effect given all."""
        import pandas as pd

        return pd.DataFrame(self._columns(level), index=pd.Index(self.study, name="study"))

    def _columns(self, level: float) -> dict[str, FloatArray]:
        own, shrunken, parts = self.study_interval(level), self.shrunken_interval(level), self._shrunken
        return {
            "estimate": self.study_estimate,
            "se": self.study_se,
            "ci_lower": own.lower,
            "ci_upper": own.upper,
            "weight": self.weight,
            "shrunken": self.shrunken,
            "shrunken_mean": mixture.mixture_mean(parts),
            "shrunken_sd": mixture.mixture_sd(parts),
            "shrunken_lower": shrunken.lower,
            "shrunken_upper": shrunken.upper,
        }

    def to_dict(self, level: float = 0.95) -> JSON:
        """Plain Python values: the summary, the studies and the warnings. What is nan or infinite is None."""
        columns = self._columns(level)
        return {
            "measure": self.measure,
            "level": _validate.level(level),
            **{name: _format.plain(value) for name, value in self._row(level).items()},
            "studies": [
                {
                    "study": study,
                    **{name: _format.plain(float(column[i])) for name, column in columns.items()},
                }
                for i, study in enumerate(self.study)
            ],
            "warnings": [
                {"name": item.name, "where": item.where, "message": item.message} for item in self.warnings
            ],
        }

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Forest plot with the studies drawn towards the mean, and the posterior; needs matplotlib."""
        from netsynth.plots.posterior import posterior_plot

        return posterior_plot(self, ax=ax)

    def describe_tau_prior(self) -> str:
        """The prior of tau in words: "half-normal(0.5)"."""
        name, scale = self.tau_prior.name, self.tau_prior.scale
        if name == "uniform":
            return f"uniform(0, {_trimmed(_format.significant(self.tau_prior.upper))})"
        if math.isnan(scale):
            return name
        return f"{_WORDS[name]}({_trimmed(_format.significant(scale))})"

    def describe_mean_prior(self) -> str:
        """The prior of the mean effect in words: "flat" or "normal(0, 2)"."""
        if self.mean_prior is None:
            return "flat"
        mean, sd = (_trimmed(_format.significant(number)) for number in self.mean_prior)
        return f"normal({mean}, {sd})"

    def _title(self) -> str:
        measure = MEASURES[self.measure]
        scaled = measure.kind in ("probability", "rate")
        label = f"{measure.label} ({measure.scale} scale)" if scaled else measure.label
        priors = f"tau {self.describe_tau_prior()}, mean {self.describe_mean_prior()}"
        return f"{label}, Bayesian random effects, {priors}, k = {self.k}"

    def shown(self, natural: float) -> str:
        """A value on the printed scale as text shows it: "0.75", "72.4%"."""
        kind = MEASURES[self.measure].kind
        if kind == "ratio":
            return _format.ratio(natural)
        if kind == "probability":
            return f"{_format.number(100 * natural, 1)}%"
        return _format.significant(natural)

    def _bracket(self, interval: Interval) -> str:
        return f"[{self.shown(interval.lower)}, {self.shown(interval.upper)}]"

    def __str__(self) -> str:
        tau = self.tau
        low, high = map(_format.significant, tau.interval())
        spread = f"tau {_format.significant(tau.median)}   95% CrI [{low}, {high}]"
        if self.k > 1:
            spread += f"   I2 {100 * self._i2(tau.median):.0f}%"
        if self.tau_prior.is_proper:
            spread += f"   Bayes factor for tau = 0 {_format.significant(self.bayes_factor_homogeneity)}"
        lines = [
            f"  median  {self.shown(self.natural)}   95% CrI {self._bracket(self.natural_interval())}"
            f"   95% PrI {self._bracket(self.natural_prediction_interval())}",
            f"  {spread}",
        ]
        if not math.isnan(self._null):
            measure = MEASURES[self.measure]
            null, chance = _format.shortest(measure.null, 1), _share(self.effect.below(self._null))
            line = f"  P({measure.label.lower()} < {null}) {chance}"
            if self.mean_prior is not None:
                factor = _format.significant(self.bayes_factor_no_effect)
                line += f"   Bayes factor for no effect {factor}"
            lines.append(line)
        return "\n".join([self._title(), *lines, *(f"  {caution}" for caution in self.warnings)])

    def _repr_html_(self) -> str:
        from_scale = MEASURES[self.measure].from_scale
        own = zip(from_scale(self.study_estimate), *self.natural_study_interval(), strict=True)
        drawn = zip(from_scale(self.shrunken), *self.natural_shrunken_interval(), strict=True)
        rows = [
            (study, self._cell(*before), f"{100 * weight:.1f}%", self._cell(*after))
            for study, before, weight, after in zip(self.study, own, self.weight, drawn, strict=True)
        ]
        rows.append(("Mean effect", "", "", self._cell(self.natural, *self.natural_interval())))
        rows.append(("New study", "", "", self._bracket(self.natural_prediction_interval())))
        header = ("study", "estimate [95% CI]", "weight", "posterior [95% CrI]")
        return _format.html_table(header, rows, caption=self._title())

    def _cell(self, value: float, lower: float, upper: float) -> str:
        return f"{self.shown(value)} {self._bracket(Interval(lower, upper))}"


def _trimmed(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number and "e" not in number else number


def _share(p: float) -> str:
    """A probability as text shows it: two digits, and never 0 or 1."""
    if p < 0.001:
        return "< 0.001"
    return "> 0.999" if p > 0.999 else _format.number(p, 3 if p < 0.0995 or p > 0.9905 else 2)
