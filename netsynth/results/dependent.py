"""The result of pooling several results a cohort: the mean, and how much cohorts and their results differ."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc

from netsynth import _format, _validate
from netsynth._typing import JSON, FloatArray, IntArray, Interval
from netsynth.errors import Caution, InvalidInputError
from netsynth.kernels import dependent, intervals, multilevel
from netsynth.kernels.dependent import DependentCiMethod, DependentModel
from netsynth.kernels.intervals import Limits
from netsynth.kernels.multilevel import Component, LikelihoodMethod
from netsynth.kernels.scales import MEASURES, EffectMeasure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from netsynth.results.cohort_series import CohortSeries
    from netsynth.results.dependence_sensitivity import DependenceSensitivity

__all__ = ["DependentEffect", "OverlapCovariance", "VarianceTest"]

_UNDEFINED = Interval(math.nan, math.nan)
_MODELS: Final = {"three_level": "three-level model", "correlated_effects": "correlated effects"}


class VarianceTest(NamedTuple):
    """Likelihood-ratio test that a variance is zero: twice the fall of the log-likelihood, and the p-value."""

    statistic: float
    pvalue: float


class OverlapCovariance(NamedTuple):
    """Sampling covariance of studies that share patients, (k, k), and the cohort of each, named after its first."""

    covariance: FloatArray
    cluster: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class DependentEffect:
    """A mean of dependent results on the scale of `measure`, as made by `netsynth.pool_dependent`.

    Attributes
    ----------
    measure : str
        The scale of every number here that is not called natural.
    model : {"three_level", "correlated_effects"}
        Where the weights come from.
    method : str
        How the variances were found: "REML", "ML", or "moments" under correlated effects.
    ci_method : {"CR2", "CR1", "CR0", "t", "wald"}
        How the standard error was found.
    correlation : float
        Assumed correlation of sampling errors within a cohort; nan when the covariance was given.
    estimate, se, df : float
        Mean effect, its standard error by `ci_method`, and the degrees of freedom of its interval, infinite
        when that is normal.
    between, within : float
        Variance of true effects between cohorts, and between the results of one cohort. `within` is nan when
        no cohort has two results, and 0 under correlated effects.
    log_likelihood : float
        Of `method`, with all constants; nan under correlated effects.
    study, cluster : tuple of str
        Label and cohort of each result.
    study_estimate, weight : ndarray, shape (k,)
        Effects and weights, which add up to 1. Read-only.
    study_covariance : ndarray, shape (k, k)
        Covariance of the sampling errors. Read-only.
    warnings : tuple of Caution
        What to keep in mind.
    """

    measure: EffectMeasure
    model: DependentModel
    method: str
    ci_method: DependentCiMethod
    correlation: float
    estimate: float
    se: float
    df: float
    between: float
    within: float
    log_likelihood: float
    study: tuple[str, ...]
    cluster: tuple[str, ...]
    study_estimate: FloatArray
    study_covariance: FloatArray
    weight: FloatArray
    warnings: tuple[Caution, ...] = ()

    # --- what was pooled

    @property
    def k(self) -> int:
        """Number of results."""
        return self.study_estimate.size

    @property
    def n_clusters(self) -> int:
        """Number of cohorts."""
        return len(set(self.cluster))

    @property
    def study_se(self) -> FloatArray:
        """Standard errors of the results, shape (k,)."""
        return np.sqrt(np.diag(self.study_covariance))

    @property
    def numbers(self) -> IntArray:
        """Number of each result's cohort, in order of appearance."""
        order = {name: i for i, name in enumerate(dict.fromkeys(self.cluster))}
        return np.array([order[name] for name in self.cluster])

    # --- the mean

    @property
    def natural(self) -> float:
        """The estimate on the printed scale: a hazard ratio, a probability."""
        return float(MEASURES[self.measure].from_scale(self.estimate))

    @property
    def pvalue(self) -> float:
        """Two-sided p-value of no effect; nan for probabilities, which have no value of no effect."""
        measure = MEASURES[self.measure]
        statistic = (self.estimate - measure.to_scale(measure.null)) / self.se
        return float(intervals.two_sided_pvalue(statistic, self.df))

    def confidence_interval(
        self, level: float = 0.95, *, method: DependentCiMethod | None = None
    ) -> Interval:
        """Interval for the mean effect, by another method than the result's own if one is named.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction, or the method unknown or without meaning for the model.
        """
        level, se, df = _validate.level(level), self.se, self.df
        if method is not None:
            check_ci_method(method, self.model, "method")
            working = dependent.working_covariance(
                self.study_covariance, self.numbers, self.model, self.between, self.within
            )
            other = dependent.clustered_mean(self.study_estimate, working, self.numbers, method)
            se, df = float(other.se), float(other.df)
        return _interval(intervals.limits(np.asarray(self.estimate), np.asarray(se), df, level))

    def prediction_interval(self, level: float = 0.95) -> Interval:
        """Where the true effect behind one more result, of one more cohort, may lie.

        With the variance of the mean by `ci_method`, both variances, and the degrees of freedom of the interval.
        """
        spread = math.sqrt(self.se**2 + self._heterogeneity)
        ends = intervals.limits(
            np.asarray(self.estimate), np.asarray(spread), self.df, _validate.level(level)
        )
        return _interval(ends)

    def natural_interval(self, level: float = 0.95) -> Interval:
        """`confidence_interval` on the printed scale, the smaller limit first."""
        return self._natural(self.confidence_interval(level))

    def natural_prediction_interval(self, level: float = 0.95) -> Interval:
        """`prediction_interval` on the printed scale, the smaller limit first."""
        return self._natural(self.prediction_interval(level))

    def _natural(self, interval: Interval) -> Interval:
        return Interval(*np.sort(MEASURES[self.measure].from_scale(np.asarray(interval))).tolist())

    # --- heterogeneity

    @property
    def _heterogeneity(self) -> float:
        return self.between + (0.0 if math.isnan(self.within) else self.within)

    @property
    def q(self) -> float:
        """Cochran's Q with the covariance of the sampling errors, on k - 1 degrees of freedom."""
        return float(dependent.homogeneity(self.study_estimate, self.study_covariance, self.numbers).q)

    @property
    def q_pvalue(self) -> float:
        """P-value of Q under no heterogeneity at all."""
        return float(chdtrc(self.k - 1, self.q))

    def _share(self, variance: float) -> float:
        typical = dependent.homogeneity(
            self.study_estimate, self.study_covariance, self.numbers
        ).typical_variance
        return variance / (self._heterogeneity + float(typical))

    @property
    def i2(self) -> float:
        """Share of the variation that is heterogeneity of either kind, a fraction."""
        return self._share(self._heterogeneity)

    @property
    def i2_between(self) -> float:
        """Share of the variation that is heterogeneity between cohorts, a fraction."""
        return self._share(self.between)

    @property
    def i2_within(self) -> float:
        """Share of the variation that is heterogeneity within cohorts, a fraction; nan as `within` is."""
        return self._share(self.within)

    def between_interval(self, level: float = 0.95) -> Interval:
        """Profile-likelihood interval of `between`; nan under correlated effects."""
        return self._profile("between", level)

    def within_interval(self, level: float = 0.95) -> Interval:
        """Profile-likelihood interval of `within`; nan as that is, and under correlated effects."""
        return self._profile("within", level)

    def between_test(self) -> VarianceTest:
        r"""Likelihood-ratio test of no variance between cohorts.

        Under that the statistic is 0 half of the time, so the p-value is half of the tail of chi-squared on
        1 degree of freedom, and 1 at 0. nan under correlated effects.
        """
        return self._test("between")

    def within_test(self) -> VarianceTest:
        """Likelihood-ratio test of no variance within cohorts, as `between_test`."""
        return self._test("within")

    def _nested(self) -> multilevel.Nested:
        one = np.ones((self.k, 1))
        return multilevel.nest(self.study_estimate, self.study_covariance, self.numbers, one)

    def _likelihood(self, component: Component) -> LikelihoodMethod | None:
        if self.model != "three_level" or (component == "within" and math.isnan(self.within)):
            return None
        return "REML" if self.method == "REML" else "ML"

    def _profile(self, component: Component, level: float) -> Interval:
        level, method = _validate.level(level), self._likelihood(component)
        if method is None:
            return _UNDEFINED
        data = self._nested()
        return _interval(
            multilevel.profile_limits(
                data, multilevel.fit_three_level(data, method), method, component, level
            )
        )

    def _test(self, component: Component) -> VarianceTest:
        method = self._likelihood(component)
        if method is None:
            return VarianceTest(math.nan, math.nan)
        held = {"between": 0.0} if component == "between" else {"within": 0.0}
        if math.isnan(self.within):
            held["within"] = 0.0
        without = float(multilevel.fit_three_level(self._nested(), method, **held).log_likelihood)
        statistic = max(2.0 * (self.log_likelihood - without), 0.0)
        return VarianceTest(statistic, 0.5 * float(chdtrc(1, statistic)) if statistic > 0 else 1.0)

    def over_correlation(self, values: npt.ArrayLike | None = None) -> DependenceSensitivity:
        """The same model and method under other assumed correlations within cohorts.

        Parameters
        ----------
        values : array_like of float, shape (r,), optional
            Correlations above -1 and below 1; by default 0 to 0.95 in steps of 0.05.

        Returns
        -------
        DependenceSensitivity

        Raises
        ------
        InvalidInputError
            If the covariance was given and none was assumed, or a correlation is out of range or impossible in
            a cohort.
        ConvergenceError
            If a fit does not arrive.
        """
        from netsynth.results.dependence_sensitivity import refit

        chosen = np.linspace(0.0, 0.95, 20) if values is None else values
        return refit(self, _validate.finite_1d(chosen, "values"))

    def leave_one_cohort_out(self) -> CohortSeries:
        """The same model and method without each cohort in turn, with all of its results.

        Returns
        -------
        CohortSeries

        Raises
        ------
        InvalidInputError
            If there are fewer than three cohorts.
        ConvergenceError
            If a fit does not arrive.

        Warns
        -----
        FewStudiesWarning
            Without some cohort there are fewer than 4 Satterthwaite degrees of freedom, or no cohort has two results.
        NarrowIntervalWarning
            Without some cohort all effects are equal.
        """
        from netsynth.results.cohort_series import leave_one_cohort_out

        return leave_one_cohort_out(self)

    # --- results

    def study_interval(self, level: float = 0.95) -> Limits:
        """Wald interval of each result, two arrays of shape (k,)."""
        return intervals.limits(self.study_estimate, self.study_se, math.inf, _validate.level(level))

    def natural_study_interval(self, level: float = 0.95) -> Limits:
        """`study_interval` on the printed scale, the smaller limits first."""
        ends = MEASURES[self.measure].from_scale(np.stack(self.study_interval(level)))
        return Limits(ends.min(axis=0), ends.max(axis=0))

    # --- frames, figures, text

    def _row(self, level: float) -> dict[str, Any]:
        ci, pi = self.confidence_interval(level), self.prediction_interval(level)
        natural = self.natural_interval(level)
        between, within = self.between_interval(level), self.within_interval(level)
        return {
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
            "between_lower": between.lower,
            "between_upper": between.upper,
            "within": self.within,
            "within_lower": within.lower,
            "within_upper": within.upper,
            "i2": self.i2,
            "i2_between": self.i2_between,
            "i2_within": self.i2_within,
            "q": self.q,
            "q_pvalue": self.q_pvalue,
            "log_likelihood": self.log_likelihood,
            "k": self.k,
            "n_clusters": self.n_clusters,
            "correlation": self.correlation,
            "model": self.model,
            "method": self.method,
            "ci_method": self.ci_method,
        }

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row on the scale of `measure`; the columns called natural are on the printed one."""
        import pandas as pd

        return pd.DataFrame([self._row(level)], index=pd.Index([self.measure], name="measure"))

    def study_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a result, in the order given, with its cohort and its weight as a fraction."""
        import pandas as pd

        ci, natural = self.study_interval(level), self.natural_study_interval(level)
        columns = {
            "cluster": self.cluster,
            "estimate": self.study_estimate,
            "se": self.study_se,
            "ci_lower": ci.lower,
            "ci_upper": ci.upper,
            "natural": MEASURES[self.measure].from_scale(self.study_estimate),
            "natural_lower": natural.lower,
            "natural_upper": natural.upper,
            "weight": self.weight,
        }
        return pd.DataFrame(columns, index=pd.Index(self.study, name="study"))

    def to_dict(self, level: float = 0.95) -> JSON:
        """Plain dict for JSON: columns of `summary_frame`, results, warnings; None for nan, "inf" for an open end."""
        results = [
            {
                "study": study,
                "cluster": cluster,
                "estimate": float(y),
                "se": float(se),
                "weight": float(weight),
            }
            for study, cluster, y, se, weight in zip(
                self.study, self.cluster, self.study_estimate, self.study_se, self.weight, strict=True
            )
        ]
        return {
            "measure": self.measure,
            "level": level,
            **{name: _format.plain(value) for name, value in self._row(level).items()},
            "results": results,
            "warnings": [str(caution) for caution in self.warnings],
        }

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Forest plot grouped by cohort; needs matplotlib."""
        from netsynth.plots.dependent import cohort_forest_plot

        return cohort_forest_plot(self, ax=ax)

    def shown(self, natural: float) -> str:
        """A value on the printed scale as text shows it: "0.75", "72.4%"."""
        return _shown(self.measure, natural)

    @property
    def title(self) -> str:
        """What was pooled, by which model and methods, and how many results of how many cohorts."""
        results, cohorts = _format.plural(self.k, "result"), _format.plural(self.n_clusters, "cohort")
        by = "moments" if self.method == "moments" else self.method
        title = f"{_label(self.measure)}, {_MODELS[self.model]} by {by}, CI by {self.ci_method}"
        return f"{title}, k = {results} of {cohorts}"

    def __str__(self) -> str:
        ci, pi = (
            _bracket(self.measure, ends)
            for ends in (self.natural_interval(), self.natural_prediction_interval())
        )
        on = "" if math.isinf(self.df) else f" on {_format.number(self.df, 1)} df"
        lines = [self.title, f"  estimate  {self.shown(self.natural)}   95% CI {ci}{on}   95% PI {pi}"]
        lines += self._components()
        q = f"Q {_format.number(self.q, 2)} on {self.k - 1} df, {_format.pvalue(self.q_pvalue)}"
        lines.append(f"  I2 {100 * self.i2:.0f}%   {q}   {self._assumed()}")
        return "\n".join([*lines, *(f"  {caution}" for caution in self.warnings)])

    def _assumed(self) -> str:
        if math.isnan(self.correlation):
            return "sampling covariance given"
        return f"sampling errors in a cohort assumed correlated {self.correlation:g}"

    def _components(self) -> list[str]:
        if self.model == "correlated_effects":
            return [f"  variance between cohorts {_format.significant(self.between)}"]
        rows = []
        for name, value, interval, share, test in (
            ("between", self.between, self.between_interval(), self.i2_between, self.between_test()),
            ("within", self.within, self.within_interval(), self.i2_within, self.within_test()),
        ):
            if not math.isnan(value):
                low, high = map(_format.significant, interval)
                rows.append(
                    f"  variance {name} cohorts {_format.significant(value)}   95% CI [{low}, {high}]   "
                    f"I2 {100 * share:.0f}%   LR test {_format.pvalue(test.pvalue)}"
                )
        return rows

    def _repr_html_(self) -> str:
        values = [*MEASURES[self.measure].from_scale(self.study_estimate), self.natural]
        ends = [*zip(*self.natural_study_interval(), strict=True), self.natural_interval()]
        rows = [
            (cluster, study, self.shown(value), _bracket(self.measure, Interval(*pair)), weight)
            for cluster, study, value, pair, weight in zip(
                (*self.cluster, "Pooled"),
                (*self.study, ""),
                values,
                ends,
                [*(f"{100 * weight:.1f}%" for weight in self.weight), ""],
                strict=True,
            )
        ]
        header = ("cohort", "result", "estimate", "95% CI", "weight")
        return _format.html_table(header, rows, caption=self.title)


def check_ci_method(ci_method: DependentCiMethod, model: DependentModel, name: str) -> None:
    """Refuse an unknown method, or one that trusts a covariance which the model does not have."""
    _validate.choice(ci_method, name, get_args(DependentCiMethod))
    if model == "correlated_effects" and ci_method in ("t", "wald"):
        raise InvalidInputError(
            f"{name} {ci_method!r} trusts the covariance of a model, which correlated effects do without. Use CR2, "
            "CR1 or CR0."
        )


def check_correlation(correlation: float, cluster: Iterable[str]) -> None:
    """Refuse a correlation that the results of some cohort cannot all have with each other."""
    largest, n = Counter(cluster).most_common(1)[0]
    least = -1.0 / (n - 1) if n > 1 else -1.0
    if not least < correlation < 1.0:
        whose = f"{largest}: its {n} results can be correlated" if n > 1 else "correlation must lie"
        raise InvalidInputError(f"{whose} above {least:.3g} and below 1; got {correlation:g}.")


def _label(name: EffectMeasure) -> str:
    measure = MEASURES[name]
    is_scaled = measure.kind in ("probability", "rate")
    return f"{measure.label} ({measure.scale} scale)" if is_scaled else measure.label


def _shown(name: EffectMeasure, natural: float) -> str:
    kind = MEASURES[name].kind
    if kind == "ratio":
        return _format.ratio(natural)
    if kind == "probability":
        return f"{_format.number(100 * natural, 1)}%"
    return _format.significant(natural)


def _bracket(name: EffectMeasure, interval: Interval) -> str:
    if math.isnan(interval.lower):
        return "undefined"
    return f"[{_shown(name, interval.lower)}, {_shown(name, interval.upper)}]"


def _interval(ends: Limits) -> Interval:
    return Interval(float(ends.lower), float(ends.upper))
