"""The result of pooling several outcomes together: effects, and how they vary and hang together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, chdtri, fdtri

from netsynth import _format, _validate
from netsynth._typing import JSON, BoolArray, FloatArray, IntArray
from netsynth.errors import Caution
from netsynth.kernels import intervals, multivariate
from netsynth.kernels.covariance_structures import STRUCTURES, CovarianceStructure
from netsynth.kernels.intervals import Limits
from netsynth.kernels.multivariate import Effects, Spread
from netsynth.kernels.multivariate_fit import BetweenMethod
from netsynth.kernels.scales import MEASURES, EffectMeasure
from netsynth.results import multivariate_views
from netsynth.results.contrast import Contrast, WaldTest, contrast_of, wald_test
from netsynth.results.within_correlation import CorrelationSensitivity, refit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["MultivariateEffect", "MultivariatePrediction", "RegionKind"]

MultivariatePrediction = Literal["normal", "t_km1", "t_km2"]
RegionKind = Literal["confidence", "prediction"]
#: Studies that the degrees of freedom of a prediction interval leave out; None for normal.
PREDICTION_SPENT: Final[Mapping[str, int | None]] = MappingProxyType({"normal": None, "t_km1": 1, "t_km2": 2})
SPREADS: Final[tuple[Spread, ...]] = ("wald", "t", "HK", "mHK")


@dataclass(frozen=True, slots=True, eq=False)
class MultivariateEffect:
    """Effects of p outcomes pooled together, as made by `netsynth.pool_multivariate`.

    Everything is on the scale of `measure` unless called natural; arrays are read-only. There are q = p (1 + m)
    coefficients: the p outcomes at moderators of zero, then for each of m moderators the slope of each outcome.

    Attributes
    ----------
    measure : str
        The scale.
    outcomes : tuple of str
        Names of the outcomes.
    terms : tuple of str
        Names of the coefficients: the outcomes, and "outcome: moderator".
    structure : str
        Shape of the covariance between studies.
    method : str
        How it was estimated; "CE" is the common-effect model, which has none.
    ci_method, prediction_method : str
        How intervals are found.
    within : str
        What is known of the correlation of estimates within studies: "given", or the assumption made.
    study : tuple of str
        Labels of the studies.
    coefficient : ndarray, shape (q,)
        Coefficients.
    model_covariance : ndarray, shape (q, q)
        Their covariance when that between studies is taken as known; `covariance` has the factor of `ci_method`.
    psi : ndarray, shape (p, p)
        Covariance between studies.
    q, q_residual : float
        Weighted sums of squared residuals: Cochran's Q of the common-effect model, and that of this model.
    q_outcome : ndarray, shape (p,)
        Each outcome's own weighted sum of squared residuals of the common-effect model.
    log_likelihood_ml, log_likelihood_reml : float
        At this model's covariance between studies, with all constants.
    common_covariance : ndarray, shape (q, q)
        Covariance of the coefficients of the common-effect model.
    study_estimate : ndarray, shape (k, p)
        Estimates; nan where a study has none.
    study_covariance : ndarray, shape (k, p, p)
        Their covariance within studies; infinite variance where a study has none.
    design : ndarray, shape (k, p, q)
        Design matrix of each study.
    warnings : tuple of Caution
        What to keep in mind.
    subject : str
        Of what the effects are, for text and figures: the endpoint and the groups that are compared; may be empty.
    """

    measure: EffectMeasure
    outcomes: tuple[str, ...]
    terms: tuple[str, ...]
    structure: CovarianceStructure
    method: BetweenMethod
    ci_method: Spread
    prediction_method: MultivariatePrediction
    within: str
    study: tuple[str, ...]
    coefficient: FloatArray
    model_covariance: FloatArray
    psi: FloatArray
    q: float
    q_residual: float
    q_outcome: FloatArray
    log_likelihood_ml: float
    log_likelihood_reml: float
    common_covariance: FloatArray
    study_estimate: FloatArray
    study_covariance: FloatArray
    design: FloatArray
    warnings: tuple[Caution, ...] = ()
    subject: str = ""

    # --- sizes

    @property
    def k(self) -> int:
        """Number of studies."""
        return len(self.study)

    @property
    def p(self) -> int:
        """Number of outcomes."""
        return len(self.outcomes)

    @property
    def reported(self) -> BoolArray:
        """Which outcomes each study reports, shape (k, p)."""
        return np.isfinite(np.diagonal(self.study_covariance, axis1=1, axis2=2))

    @property
    def n_studies(self) -> IntArray:
        """Number of studies that report each outcome, shape (p,)."""
        return np.asarray(self.reported.sum(0))

    @property
    def n_estimates(self) -> int:
        """Number of estimates of all studies and outcomes."""
        return int(self.reported.sum())

    @property
    def n_parameters(self) -> int:
        """Coefficients and parameters of the covariance between studies together."""
        between = 0 if self.method == "CE" else STRUCTURES[self.structure].n_parameters(self.p)
        return self.coefficient.size + between

    @property
    def df_residual(self) -> int:
        """Estimates less coefficients."""
        return self.n_estimates - self.coefficient.size

    # --- the effects

    @property
    def estimate(self) -> FloatArray:
        """Pooled effect of each outcome, at moderators of zero if there are any, shape (p,)."""
        return self.coefficient[: self.p]

    @property
    def natural(self) -> FloatArray:
        """`estimate` on the printed scale: hazard ratios, probabilities."""
        return MEASURES[self.measure].from_scale(self.estimate)

    def _spread(self, method: Spread | None) -> tuple[float, float]:
        if method is not None:
            _validate.choice(method, "method", SPREADS)
        factor, df = multivariate.spread_of(
            method or self.ci_method, np.asarray(self.q_residual), self.df_residual
        )
        return float(factor), float(df)

    @property
    def df(self) -> float:
        """Degrees of freedom of the intervals of the coefficients, infinite for normal."""
        return self._spread(None)[1]

    @property
    def covariance(self) -> FloatArray:
        """Covariance of the coefficients by `ci_method`, shape (q, q)."""
        return self._spread(None)[0] * self.model_covariance

    @property
    def se(self) -> FloatArray:
        """Standard errors of the coefficients by `ci_method`, shape (q,)."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    @property
    def _from_null(self) -> FloatArray:
        measure = MEASURES[self.measure]
        null = np.zeros(self.coefficient.size)
        null[: self.p] = measure.to_scale(measure.null)
        return self.coefficient - null

    @property
    def statistic(self) -> FloatArray:
        """Distance of each coefficient from no effect in standard errors; nan for probabilities."""
        return self._from_null / self.se

    @property
    def pvalue(self) -> FloatArray:
        """Two-sided p-value of no effect of each coefficient; nan for probabilities, which have none."""
        return intervals.two_sided_pvalue(self.statistic, self.df)

    @property
    def test(self) -> WaldTest:
        """Test of no effect at all, of every coefficient together; nan for probabilities."""
        return wald_test(self._from_null, self.covariance, self.df)

    def confidence_interval(self, level: float = 0.95, *, method: Spread | None = None) -> Limits:
        """Interval of each coefficient, two arrays of shape (q,), by another method than its own if one is named.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction or the method unknown.
        """
        factor, df = self._spread(method)
        se = np.sqrt(factor * np.diag(self.model_covariance))
        return intervals.limits(self.coefficient, se, df, _validate.level(level))

    def prediction_interval(
        self, level: float = 0.95, *, method: MultivariatePrediction | None = None
    ) -> Limits:
        """Where the true effect of a new study may lie, outcome by outcome, two arrays of shape (p,).

        t on the number of studies that report the outcome less 1 or 2, and less its moderators; nan when none is
        left, and for the common-effect model, which knows of no other effect. At moderators of zero.

        Raises
        ------
        InvalidInputError
            If the level is not a fraction or the method unknown.
        """
        level, method = _validate.level(level), method or self.prediction_method
        _validate.choice(method, "method", PREDICTION_SPENT)
        if self.method == "CE":
            return Limits(np.full(self.p, np.nan), np.full(self.p, np.nan))
        df = self._prediction_df(method)
        return intervals.limits(self.estimate, np.sqrt(np.diag(self.prediction_covariance)), df, level)

    def _prediction_df(self, method: MultivariatePrediction) -> FloatArray:
        """Of each outcome: its studies less its coefficients, and one less for its between-study variance."""
        spent = PREDICTION_SPENT[method]
        df = self.df_q_outcome.astype(np.float64)
        return np.full(self.p, np.inf) if spent is None else df - (spent - 1)

    @property
    def prediction_covariance(self) -> FloatArray:
        """Covariance with which the true effects of a new study lie around the estimates, shape (p, p)."""
        return self.psi + self.model_covariance[: self.p, : self.p]

    def region(
        self,
        first: str,
        second: str,
        *,
        kind: RegionKind = "confidence",
        level: float = 0.95,
        n_points: int = 181,
    ) -> FloatArray:
        """Edge of the ellipse in which two outcomes lie together, shape (n_points, 2).

        The pooled effects of both, or the true effects of both in a new study. Normal, or F on 2 and the degrees of
        freedom of the intervals, those of the less reported outcome for a prediction.

        Raises
        ------
        InvalidInputError
            If an outcome or the kind is unknown or the level not a fraction.
        """
        pair = [self._position(first), self._position(second)]
        _validate.choice(kind, "kind", ("confidence", "prediction"))
        level = _validate.level(level)
        if kind == "confidence":
            spread, df = self.covariance, self.df
        else:
            spread = self.prediction_covariance if self.method != "CE" else np.full_like(self.psi, np.nan)
            df = float(self._prediction_df(self.prediction_method)[pair].min())
        if math.isinf(df):
            radius = math.sqrt(chdtri(2, 1.0 - level))
        else:
            radius = math.sqrt(2.0 * fdtri(2.0, df, level)) if df > 0 else math.nan
        part = spread[np.ix_(pair, pair)]
        return multivariate.ellipse(self.estimate[pair], part, radius, n_points)

    def _position(self, outcome: str) -> int:
        _validate.choice(outcome, "outcome", self.outcomes)
        return self.outcomes.index(outcome)

    def contrast(self, weights: npt.ArrayLike, *, label: Iterable[str] | None = None) -> Contrast:
        """Combinations of coefficients with their covariance: differences between outcomes, effects at a moderator.

        Parameters
        ----------
        weights : array_like of float, shape (q,) or (c, q)
            Weights of the coefficients in the order of `terms`; ``[1, -1]`` is the first outcome less the second.
        label : iterable of str, optional
            Name of each combination.

        Returns
        -------
        Contrast

        Raises
        ------
        InvalidInputError
            If there is not one finite weight for each coefficient, or a combination follows from the others.
        """
        terms = (self.terms, self.coefficient, self.covariance)
        return contrast_of(*terms, df=self.df, weights=weights, label=label, warnings=self.warnings)

    # --- between studies

    @property
    def tau2(self) -> FloatArray:
        """Between-study variance of each outcome, shape (p,)."""
        return np.diag(self.psi).copy()

    @property
    def tau(self) -> FloatArray:
        """Standard deviation of the true effects of each outcome between studies, shape (p,)."""
        return np.sqrt(self.tau2)

    @property
    def correlation(self) -> FloatArray:
        """Correlation of the true effects between studies, shape (p, p); nan where an outcome does not vary."""
        tau = np.where(self.tau > 0, self.tau, np.nan)
        whole = np.clip(self.psi / np.multiply.outer(tau, tau), -1.0, 1.0)
        np.fill_diagonal(whole, 1.0)
        return whole

    @property
    def is_singular(self) -> bool:
        """Whether the covariance between studies lies on its boundary: a variance of 0 or a correlation of 1."""
        return self.method != "CE" and multivariate.is_singular(self.psi)

    @property
    def df_q(self) -> int:
        """Degrees of freedom of Q."""
        return self.df_residual

    @property
    def q_pvalue(self) -> float:
        """P-value of Q under no heterogeneity."""
        return float(chdtrc(self.df_q, self.q))

    @property
    def df_q_outcome(self) -> IntArray:
        """Degrees of freedom of each outcome's Q, shape (p,)."""
        return self.n_studies - self.coefficient.size // self.p

    @property
    def q_outcome_pvalue(self) -> FloatArray:
        """P-value of each outcome's Q, taken as chi-squared; nan without degrees of freedom."""
        df = self.df_q_outcome
        return np.where(df > 0, chdtrc(np.maximum(df, 1), self.q_outcome), np.nan)

    @property
    def h2(self) -> float:
        """H2 = Q / df, below 1 when the studies differ by less than chance."""
        return self.q / self.df_q

    @property
    def i2(self) -> float:
        """Share of the variation that is heterogeneity, from Q: max(0, (Q - df) / Q), a fraction."""
        return 1.0 - 1.0 / max(self.h2, 1.0)

    @property
    def i2_r(self) -> float:
        r"""I2 from the volumes of the confidence regions, :math:`1 - (|V_{CE}| / |V|)^{1/q}`, a fraction."""
        ratio = np.linalg.slogdet(self.common_covariance)[1] - np.linalg.slogdet(self.model_covariance)[1]
        return -math.expm1(min(ratio, 0.0) / self.coefficient.size)

    @property
    def i2_r_outcome(self) -> FloatArray:
        """`i2_r` of the coefficients of each outcome alone, shape (p,)."""
        own = np.arange(self.coefficient.size).reshape(-1, self.p).T
        size = own.shape[1]
        common, model = (
            np.linalg.slogdet(v[own[:, :, None], own[:, None, :]])[1]
            for v in (self.common_covariance, self.model_covariance)
        )
        return np.asarray(-np.expm1(np.minimum(common - model, 0.0) / size))

    @property
    def borrowing_of_strength(self) -> FloatArray:
        """Share of the precision of each outcome's effect that comes from the other outcomes, shape (p,).

        One less the ratio of its variance to that from its own estimates alone at the same between-study variance.
        """
        alone = multivariate.gls(
            np.nan_to_num(self.study_estimate),
            multivariate.separate(self.study_covariance),
            self.design,
            multivariate.separate(self.psi),
        )
        share = 1.0 - np.diag(self.model_covariance) / np.diag(alone.covariance)
        return np.asarray(share[: self.p])

    # --- likelihood

    @property
    def log_likelihood(self) -> float:
        """Restricted for "REML"; nan for methods of moments, which maximise none."""
        if self.method in ("MM", "VC"):
            return math.nan
        return self.log_likelihood_reml if self.method == "REML" else self.log_likelihood_ml

    @property
    def _n_likelihood(self) -> int:
        return self.df_residual if self.method == "REML" else self.n_estimates

    @property
    def aic(self) -> float:
        """Akaike's criterion. Restricted likelihoods compare only models with the same coefficients."""
        return 2.0 * (self.n_parameters - self.log_likelihood)

    @property
    def aicc(self) -> float:
        """AIC corrected for few estimates."""
        n = max(self._n_likelihood, self.n_parameters + 2)
        return 2.0 * (self.n_parameters * n / (n - self.n_parameters - 1) - self.log_likelihood)

    @property
    def bic(self) -> float:
        """Schwarz's criterion, counting estimates, less coefficients if restricted."""
        return self.n_parameters * math.log(self._n_likelihood) - 2.0 * self.log_likelihood

    # --- studies

    def study_effects(self) -> Effects:
        """Best predictions of the studies' true effects, (k, p), with error covariance, (k, p, p)."""
        return multivariate.study_effects(
            np.nan_to_num(self.study_estimate), self.study_covariance, self.design, self.psi
        )

    def over_correlation(self, values: Sequence[float] | npt.ArrayLike) -> CorrelationSensitivity:
        """The same model under other correlations within studies; standard errors stay.

        Parameters
        ----------
        values : array_like, shape (r,) or (r, p, p)
            Correlations of all pairs of outcomes, or correlation matrices.

        Returns
        -------
        CorrelationSensitivity

        Raises
        ------
        InvalidInputError
            If there is one outcome only, or no covariance matrix has such correlations.
        ConvergenceError
            If the search for a maximum does not arrive under one of them.
        """
        return refit(self, values)

    # --- frames, figures, text

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a coefficient; what only an outcome has is nan for a slope."""
        import pandas as pd

        return pd.DataFrame(multivariate_views.columns(self, level), index=pd.Index(self.terms, name="term"))

    def between_frame(self) -> pd.DataFrame:
        """Covariance between studies, a row and a column an outcome."""
        import pandas as pd

        return pd.DataFrame(self.psi, index=pd.Index(self.outcomes, name="outcome"), columns=self.outcomes)

    def study_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a study and outcome: its estimate, if it has one, and its predicted true effect."""
        import pandas as pd

        effects = self.study_effects()
        effect_se = np.sqrt(np.diagonal(effects.covariance, axis1=1, axis2=2))
        variance = np.diagonal(self.study_covariance, axis1=1, axis2=2)
        ends = intervals.limits(effects.effect, effect_se, np.inf, _validate.level(level))
        columns = {
            "estimate": self.study_estimate.ravel(),
            "se": np.sqrt(np.where(self.reported, variance, np.nan)).ravel(),
            "effect": effects.effect.ravel(),
            "effect_se": effect_se.ravel(),
            "effect_lower": ends.lower.ravel(),
            "effect_upper": ends.upper.ravel(),
        }
        index = pd.MultiIndex.from_product([self.study, self.outcomes], names=["study", "outcome"])
        return pd.DataFrame(columns, index=index)

    def to_dict(self, level: float = 0.95) -> JSON:
        """Plain dict for JSON: methods, one dict a coefficient, and the matrices; None for nan and infinity."""
        columns = multivariate_views.columns(self, level)
        rows = [
            {"term": term, **{name: _format.plain(float(column[i])) for name, column in columns.items()}}
            for i, term in enumerate(self.terms)
        ]
        names = ("subject", "structure", "method", "ci_method", "prediction_method", "within", "measure")
        numbers = ("k", "df", "q", "df_q", "q_pvalue", "i2", "i2_r", "log_likelihood", "aic", "aicc", "bic")
        return {
            **{name: getattr(self, name) for name in names},
            "level": level,
            **{name: _format.plain(getattr(self, name)) for name in numbers},
            "coefficients": rows,
            "covariance": [[_format.plain(float(value)) for value in row] for row in self.covariance],
            "psi": self.psi.tolist(),
            "warnings": [str(caution) for caution in self.warnings],
        }

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Pooled effect of each outcome with its intervals; needs matplotlib."""
        from netsynth.plots.multivariate import outcomes_plot

        return outcomes_plot(self, ax=ax)

    def plot_pair(self, first: str, second: str, *, ax: Axes | None = None) -> Axes:
        """Two outcomes against each other, with the studies and both regions; needs matplotlib."""
        from netsynth.plots.multivariate import pair_plot

        return pair_plot(self, first, second, ax=ax)

    def __str__(self) -> str:
        return multivariate_views.lines(self)

    def _repr_html_(self) -> str:
        return multivariate_views.html(self)
