"""The result of a meta-regression: how the effect changes with moderators, and what stays unexplained."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc

from netsynth import _format, _validate
from netsynth._compat import INTERCEPT
from netsynth._typing import JSON, FloatArray, IntArray, Interval
from netsynth.errors import Caution, InvalidInputError
from netsynth.kernels import coefficients, heterogeneity, intervals
from netsynth.kernels.coefficients import COEFFICIENT_ERRORS
from netsynth.kernels.intervals import CiMethod, Limits
from netsynth.kernels.likelihood import log_likelihood
from netsynth.kernels.regression import weighted_regression
from netsynth.kernels.scales import EffectMeasure
from netsynth.kernels.tau2 import TAU2_ESTIMATORS, Tau2Method
from netsynth.kernels.tau2_error import tau2_se
from netsynth.kernels.tau2_intervals import TAU2_INTERVALS, Tau2Interval
from netsynth.results import regression_views
from netsynth.results.moderator_tests import (
    FitCriteria,
    ModeratorTest,
    RegressionPrediction,
)
from netsynth.results.moderators import Coding, read_moderators
from netsynth.results.permutation import PermutationTest, permute

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["MetaRegression"]


@dataclass(frozen=True, slots=True, eq=False)
class MetaRegression:
    """A meta-regression on the scale of `measure`, as made by `netsynth.regress_effects`.

    Attributes
    ----------
    measure : str
        The scale of every number here that is not called natural.
    names : tuple of str
        Of the p coefficients, "intercept" first if there is one.
    coefficient : ndarray, shape (p,)
        Change of the effect for one unit of each column of the design. Read-only, as all arrays.
    covariance : ndarray, shape (p, p)
        Of the coefficients, by `ci_method`.
    df : float
        Degrees of freedom of their intervals, k - p, or infinite when these are normal.
    tau2 : float
        Between-study variance that the moderators leave.
    tau2_null : float
        Between-study variance without moderators, by the same estimator; nan if the model has no intercept.
    q, q_null : float
        Weighted sum of squared residuals with tau2 = 0, on k - p degrees of freedom; and Cochran's Q.
    k : int
        Number of studies.
    tau2_method, ci_method : str
        How tau2 and the errors of the coefficients were found.
    study : tuple of str
        Labels of the studies.
    study_estimate, study_se : ndarray, shape (k,)
        Their effects and standard errors.
    design : ndarray, shape (k, p)
        The moderators, coded.
    fitted, leverage, weight : ndarray, shape (k,)
        Fitted effects, the diagonal of the hat matrix, and weights, which add up to 1.
    moderators : mapping of str to ndarray, shape (k,)
        The moderators as they were given.
    coding : Coding
        How the design comes from the moderators.
    warnings : tuple of Caution
        What to keep in mind.
    """

    measure: EffectMeasure
    names: tuple[str, ...]
    coefficient: FloatArray
    covariance: FloatArray
    df: float
    tau2: float
    tau2_null: float
    q: float
    q_null: float
    k: int
    tau2_method: str
    ci_method: CiMethod
    study: tuple[str, ...]
    study_estimate: FloatArray
    study_se: FloatArray
    design: FloatArray
    fitted: FloatArray
    leverage: FloatArray
    weight: FloatArray
    moderators: Mapping[str, npt.NDArray[Any]]
    coding: Coding
    warnings: tuple[Caution, ...] = ()

    @property
    def p(self) -> int:
        """Number of coefficients."""
        return len(self.names)

    @property
    def se(self) -> FloatArray:
        """Standard errors of the coefficients."""
        return np.sqrt(np.diagonal(self.covariance))

    @property
    def statistic(self) -> FloatArray:
        """Coefficients over their standard errors: t on `df` degrees of freedom, normal when that is infinite."""
        return self.coefficient / self.se

    @property
    def pvalue(self) -> FloatArray:
        """Two-sided p-values of coefficients of zero."""
        return intervals.two_sided_pvalue(self.statistic, self.df)

    @property
    def tau(self) -> float:
        """Standard deviation of true effects between studies with the same moderators."""
        return math.sqrt(self.tau2)

    @property
    def tau2_se(self) -> float:
        """Standard error of tau2 for large k; nan for the common-effect model and a callable of one's own."""
        if self.tau2_method not in TAU2_ESTIMATORS:
            return math.nan
        method, tau2 = cast(Tau2Method, self.tau2_method), np.asarray(self.tau2)
        return float(tau2_se(method, self.study_estimate, self._variance, tau2, self.design))

    @property
    def q_pvalue(self) -> float:
        """P-value of no residual heterogeneity."""
        return float(chdtrc(self.k - self.p, self.q))

    @property
    def h2(self) -> float:
        """H2 = Q / (k - p), below 1 when the studies differ by less than chance."""
        return self.q / (self.k - self.p)

    @property
    def h2_tau2(self) -> float:
        """H2 = 1 + tau2 / typical sampling variance."""
        return 1.0 + self.tau2 / self.typical_variance

    @property
    def i2(self) -> float:
        """Share of the unexplained variation that is heterogeneity, from Q, a fraction."""
        return float(heterogeneity.i2_from_h2(np.asarray(self.h2)))

    @property
    def i2_tau2(self) -> float:
        """Share of the unexplained variation that is heterogeneity, from tau2, a fraction."""
        return float(heterogeneity.i2_from_h2(np.asarray(self.h2_tau2)))

    @property
    def typical_variance(self) -> float:
        """Sampling variance of a typical study, (k - p) / tr P."""
        return float(coefficients.typical_residual_variance(self._variance, self.design))

    @property
    def r2(self) -> float:
        """Share of tau2 that the moderators explain, a fraction; nan if the model has no intercept.

        1 - tau2 / tau2_null, and 0 when tau2 did not fall or there was none. With "CE", where both are zero, the
        adjusted R2 of weighted least squares.
        """
        if INTERCEPT not in self.names:
            return math.nan
        if self.tau2_method == "CE":
            q, q_null = np.asarray(self.q), np.asarray(self.q_null)
            df, df_null = np.asarray(self.k - self.p), np.asarray(self.k - 1)
            return float(coefficients.adjusted_r2(q, df, q_null, df_null))
        return float(coefficients.explained_share(np.asarray(self.tau2), np.asarray(self.tau2_null)))

    @property
    def error_scale(self) -> float:
        """What (X'WX)^-1 was multiplied by: 1 for "wald" and "t", else Knapp and Hartung's q."""
        fit = weighted_regression(self.study_estimate, self._variance + self.tau2, self.design)
        return float(self.covariance[0, 0] / fit.covariance[0, 0])

    @property
    def omnibus(self) -> ModeratorTest:
        """Test of all coefficients but the intercept."""
        return self.moderator_test(name for name in self.names if name != INTERCEPT)

    @property
    def vif(self) -> dict[str, float]:
        """Variance inflation factor of each coefficient but the intercept: 1 when moderators are unrelated."""
        places = self._tested()
        if not places.size:
            return {}
        factors = coefficients.variance_inflation(self.covariance[np.ix_(places, places)])
        return {self.names[i]: float(factor) for i, factor in zip(places, factors, strict=True)}

    @property
    def _variance(self) -> FloatArray:
        return self.study_se**2

    def _tested(self) -> IntArray:
        places = [i for i, name in enumerate(self.names) if name != INTERCEPT]
        return np.array(places, dtype=np.int64)

    def confidence_interval(self, level: float = 0.95, *, method: CiMethod | None = None) -> Limits:
        """Limits of the coefficients, two arrays of shape (p,), by another method than its own if one is named.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction or the method unknown.
        """
        level, se, df = _validate.level(level), self.se, self.df
        if method is not None:
            _validate.choice(method, "method", COEFFICIENT_ERRORS)
            fit = weighted_regression(self.study_estimate, self._variance + self.tau2, self.design)
            error = COEFFICIENT_ERRORS[method](fit.q, coefficients.residual_df(self._variance, self.design))
            se, df = np.sqrt(np.diagonal(fit.covariance) * error.scale), float(error.df)
        return intervals.limits(self.coefficient, se, df, level)

    def tau2_interval(self, level: float = 0.95, *, method: Tau2Interval = "QP") -> Interval:
        """Interval for the residual tau2, by default the Q-profile, whichever way tau2 was estimated.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction or the method unknown.
        """
        level = _validate.level(level)
        _validate.choice(method, "method", TAU2_INTERVALS)
        ends = TAU2_INTERVALS[method](self.study_estimate, self._variance, level, self.design)
        return Interval(float(ends.lower), float(ends.upper))

    def moderator_test(self, names: str | Iterable[str]) -> ModeratorTest:
        """Test that some coefficients are all zero.

        Parameters
        ----------
        names : str or iterable of str
            Coefficients, or moderators or terms of the formula, which stand for all their coefficients.

        Returns
        -------
        ModeratorTest
            Chi-squared when `ci_method` is "wald", else F on `df` degrees of freedom. Undefined if no name is given.

        Raises
        ------
        InvalidInputError
            If there is no such coefficient or moderator.
        """
        places: list[int] = []
        for name in [names] if isinstance(names, str) else names:
            if name in self.names:
                places.append(self.names.index(name))
            elif name in self.coding.terms:
                places += self.coding.terms[name]
            else:
                known = dict.fromkeys([*self.names, *self.coding.terms])
                raise InvalidInputError(f"There is no moderator {name!r}; there are {', '.join(known)}.")
        chosen = np.array(sorted(set(places)), dtype=np.int64)
        tested = tuple(self.names[i] for i in chosen)
        if not chosen.size:
            return ModeratorTest((), math.nan, 0.0, self.df, math.nan)
        block = self.covariance[np.ix_(chosen, chosen)]
        test = coefficients.wald_test(self.coefficient[chosen], block, np.asarray(self.df))
        return ModeratorTest(tested, *(float(value) for value in test))

    def likelihood_ratio_test(self) -> ModeratorTest:
        """Likelihood-ratio test of all moderators against the model with the intercept alone.

        Raises
        ------
        InvalidInputError
            If tau2 was not estimated by "ML" (or set to zero by "CE"), or the model has no intercept.
        """
        if self.tau2_method not in ("ML", "CE") or INTERCEPT not in self.names:
            raise InvalidInputError(
                "Models with different moderators compare by their full likelihood: the test needs an intercept and "
                f"tau2_method='ML'; this model has {'one' if INTERCEPT in self.names else 'none'} and "
                f"{self.tau2_method!r}."
            )
        y, ones = self.study_estimate, np.ones((self.k, 1))
        full = log_likelihood(y, self._variance, np.asarray(self.tau2), self.design, restricted=False)
        null = log_likelihood(y, self._variance, np.asarray(self.tau2_null), ones, restricted=False)
        statistic, df = 2.0 * float(full - null), self.p - 1
        names = tuple(name for name in self.names if name != INTERCEPT)
        return ModeratorTest(names, statistic, df, math.inf, float(chdtrc(df, statistic)))

    def criteria(self, *, restricted: bool | None = None) -> FitCriteria:
        """Log-likelihood and information criteria.

        Parameters
        ----------
        restricted : bool, optional
            Of the restricted likelihood, with k - p for the number of observations; by default unless
            `tau2_method` is "ML". To compare models with different moderators, False.
        """
        restricted = self.tau2_method != "ML" if restricted is None else restricted
        y, tau2 = self.study_estimate, np.asarray(self.tau2)
        height = log_likelihood(y, self._variance, tau2, self.design, restricted=restricted)
        m = self.p + (self.tau2_method != "CE")
        found = coefficients.criteria(height, m, self.k - self.p if restricted else self.k)
        return FitCriteria(restricted, float(height), m, *(float(value) for value in found))

    def predict(self, new: object = None, level: float = 0.95) -> RegressionPrediction:
        r"""Mean effect at given values of the moderators, with confidence and prediction limits.

        Both use t on `df` degrees of freedom, normal when that is infinite; the prediction limits are
        :math:`x'\hat\beta \mp t \sqrt{\hat\tau^2 + \mathrm{se}^2}`.

        Parameters
        ----------
        new : mapping, data frame or array_like, optional
            Values of each moderator, coded as the first ones were; single values stand beside columns. By default
            those of the studies.
        level : float
            Level of the intervals.

        Raises
        ------
        InvalidInputError
            If a moderator is missing, has a value of the wrong kind or a level not seen before, or the level of
            the intervals is not a fraction.
        """
        if new is None:
            return self.predict_rows(self.design, self.study, level)
        coding = self.coding
        read = read_moderators(new, names=coding.variables, levels=coding.levels)
        rows = coding.matrix(read.columns)
        for i, j in np.argwhere(~np.isfinite(rows)):
            raise InvalidInputError(
                f"Row {i + 1}: moderator {self.names[j]!r} must be finite; got {rows[i, j]}."
            )
        labels = [
            ", ".join(f"{name} {_value(read.columns[name][i])}" for name in coding.variables)
            for i in range(len(rows))
        ]
        return self.predict_rows(rows, tuple(labels), level)

    def predict_along(
        self, moderator: str, values: npt.ArrayLike, level: float = 0.95
    ) -> RegressionPrediction:
        """Predictions along one numeric moderator, averaged over the studies' values of the others.

        Parameters
        ----------
        moderator : str
            A numeric moderator.
        values : array_like of float, shape (n,)
            Its values.
        level : float
            Level of the intervals.

        Raises
        ------
        InvalidInputError
            If there is no such moderator of numbers, a value is not finite, or the level not a fraction.
        """
        at = _validate.finite_1d(values, "values")
        self.check_numeric(moderator)
        repeated = {name: np.tile(column, at.size) for name, column in self.moderators.items()}
        repeated[moderator] = np.repeat(at, self.k)
        rows = self.coding.matrix(repeated).reshape(at.size, self.k, self.p).mean(axis=1)
        return self.predict_rows(rows, tuple(f"{moderator} {_value(value)}" for value in at), level)

    def predict_rows(
        self, design: npt.ArrayLike, label: Iterable[str], level: float = 0.95
    ) -> RegressionPrediction:
        """Predictions at coded rows of a design, shape (n, p), each with a label."""
        level, rows = _validate.level(level), np.array(design, dtype=np.float64)
        mean, se = rows @ self.coefficient, np.sqrt(((rows @ self.covariance) * rows).sum(-1))
        ci = intervals.limits(mean, se, self.df, level)
        spread = np.full_like(se, np.nan) if self.tau2_method == "CE" else np.sqrt(self.tau2 + se**2)
        pi = intervals.limits(mean, spread, self.df, level)
        for array in (rows, mean, se, *ci, *pi):
            array.setflags(write=False)
        return RegressionPrediction(self.measure, tuple(label), rows, mean, se, self.df, *ci, *pi, level)

    def check_numeric(self, moderator: str) -> None:
        """Refuse what is not a moderator of numbers.

        Raises
        ------
        InvalidInputError
            If there is no such moderator, or it is one of words.
        """
        numeric = [name for name in self.coding.variables if name not in self.coding.levels]
        if moderator not in numeric:
            listed = _format.listing(numeric) or "none"
            raise InvalidInputError(f"There is no moderator {moderator!r} of numbers; there are {listed}.")

    def permutation_test(
        self, *, n_permutations: int = 10_000, rng: np.random.Generator | int | None = None
    ) -> PermutationTest:
        """P-values from dealing out the rows of the design anew among the studies.

        Needed when studies are few, as the other tests then lean on approximations [1]_. All different
        permutations are made if there are at most `n_permutations`; otherwise that many random ones, and the data
        count as one more. Work spreads as `joblib.parallel_config` says.

        Parameters
        ----------
        n_permutations : int
            How many permutations at most.
        rng : numpy.random.Generator or int, optional
            Source or seed of random permutations.

        Raises
        ------
        InvalidInputError
            If the number is not positive and whole, there is no moderator, or tau2 is by an estimator of one's own.
        ConvergenceError
            If the estimator of tau2 does not arrive in a permutation.

        Warns
        -----
        FewStudiesWarning
            Fewer than 20 permutations exist.

        References
        ----------
        .. [1] Higgins JPT, Thompson SG (2004). Controlling the risk of spurious findings from meta-regression.
           Stat Med 23:1663-1682. https://doi.org/10.1002/sim.1752
        """
        return permute(
            self.names,
            self.study_estimate,
            self._variance,
            self.design,
            self._tested(),
            self.tau2_method,
            self.ci_method,
            n_permutations,
            rng,
        )

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a coefficient, on the scale of `measure`."""
        return regression_views.coefficients(self, level)

    def model_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row with what is said of the model as a whole."""
        import pandas as pd

        row = regression_views.model(self, level)
        return pd.DataFrame([row], index=pd.Index([self.measure], name="measure"))

    def study_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a study, with its moderators, its fitted effect and its share in the fit."""
        return regression_views.studies(self, level)

    def to_dict(self, level: float = 0.95) -> JSON:
        """Plain types for JSON: methods, coefficients, the model, its warnings; None for what is undefined."""
        return regression_views.plain_dict(self, level)

    def plot(self, moderator: str | None = None, *, ax: Axes | None = None) -> Axes:
        """Bubble plot against a numeric moderator, by default the first; needs matplotlib."""
        from netsynth.plots.bubble import bubble_plot

        return bubble_plot(self, moderator, ax=ax)

    def __str__(self) -> str:
        return regression_views.text(self)

    def _repr_html_(self) -> str:
        return regression_views.html(self)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else _format.shortest(float(value), 6)
