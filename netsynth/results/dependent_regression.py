"""The result of a regression of dependent results: coefficients, and what the moderators leave unexplained."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, fdtrc

from netsynth import _format, _validate
from netsynth._compat import INTERCEPT
from netsynth._typing import JSON, FloatArray, IntArray
from netsynth.errors import Caution, InvalidInputError
from netsynth.kernels import coefficients, dependent, intervals, robust
from netsynth.kernels.dependent import DependentCiMethod, DependentModel
from netsynth.kernels.intervals import Limits
from netsynth.kernels.scales import MEASURES, EffectMeasure
from netsynth.results.moderator_tests import ModeratorTest
from netsynth.results.moderators import Coding

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DependentRegression"]

_HEADER = ("estimate", "se", "95% CI", "df", "p")


@dataclass(frozen=True, slots=True, eq=False)
class DependentRegression:
    """A regression of dependent results on moderators, as made by `netsynth.regress_dependent`.

    Attributes
    ----------
    measure : str
        The scale of the coefficients.
    model : {"three_level", "correlated_effects"}
        Where the weights come from.
    method : str
        How the variances were found: "REML", "ML", or "moments" under correlated effects.
    ci_method : {"CR2", "CR1", "CR0", "t", "wald"}
        How the errors of the coefficients were found.
    correlation : float
        Assumed correlation of sampling errors within a cohort; nan when the covariance was given.
    names : tuple of str
        Of the p coefficients: "intercept", "year", "design[T.cohort]".
    coefficient, df : ndarray, shape (p,)
        Coefficients, and degrees of freedom of each, infinite when its interval is normal. Read-only.
    covariance : ndarray, shape (p, p)
        Of the coefficients, by `ci_method`. Read-only.
    between, within : float
        Variances of true effects between and within cohorts that the moderators leave. `within` is nan when no
        cohort has two results, and 0 under correlated effects.
    log_likelihood : float
        Of `method`, with all constants; nan under correlated effects.
    q : float
        Weighted sum of squared residuals without heterogeneity, on k - p degrees of freedom.
    study, cluster : tuple of str
        Label and cohort of each result.
    study_estimate : ndarray, shape (k,)
        Effects. Read-only.
    study_covariance : ndarray, shape (k, k)
        Covariance of the sampling errors. Read-only.
    design : ndarray, shape (k, p)
        The moderators, coded. Read-only.
    moderators : mapping of str to ndarray, shape (k,)
        The moderators as they were given.
    coding : Coding
        How the design comes from the moderators.
    warnings : tuple of Caution
        What to keep in mind.
    """

    measure: EffectMeasure
    model: DependentModel
    method: str
    ci_method: DependentCiMethod
    correlation: float
    names: tuple[str, ...]
    coefficient: FloatArray
    covariance: FloatArray
    df: FloatArray
    between: float
    within: float
    log_likelihood: float
    q: float
    study: tuple[str, ...]
    cluster: tuple[str, ...]
    study_estimate: FloatArray
    study_covariance: FloatArray
    design: FloatArray
    moderators: Mapping[str, npt.NDArray[Any]]
    coding: Coding
    warnings: tuple[Caution, ...] = ()

    @property
    def k(self) -> int:
        """Number of results."""
        return self.study_estimate.size

    @property
    def p(self) -> int:
        """Number of coefficients."""
        return len(self.names)

    @property
    def n_clusters(self) -> int:
        """Number of cohorts."""
        return len(set(self.cluster))

    @property
    def numbers(self) -> IntArray:
        """Number of each result's cohort, in order of appearance."""
        order = {name: i for i, name in enumerate(dict.fromkeys(self.cluster))}
        return np.array([order[name] for name in self.cluster])

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
    def q_pvalue(self) -> float:
        """P-value of no residual heterogeneity of either kind."""
        return float(chdtrc(self.k - self.p, self.q))

    @property
    def omnibus(self) -> ModeratorTest:
        """Test of all coefficients but the intercept."""
        return self.moderator_test(name for name in self.names if name != INTERCEPT)

    def confidence_interval(self, level: float = 0.95) -> Limits:
        """Limits of the coefficients, two arrays of shape (p,)."""
        return intervals.limits(self.coefficient, self.se, self.df, _validate.level(level))

    def moderator_test(self, names: str | Iterable[str]) -> ModeratorTest:
        """Test that some coefficients are all zero.

        With CR2 Hotelling's test with the degrees of freedom of Tipton and Pustejovsky; with CR1, CR0 and t an F
        test on m - p degrees of freedom for m cohorts, which is too liberal when they are few; with wald
        chi-squared.

        Parameters
        ----------
        names : str or iterable of str
            Coefficients, or moderators or terms of the formula, which stand for all their coefficients.

        Returns
        -------
        ModeratorTest
            Undefined if no name is given, or no degrees of freedom are left.

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
        tested, n = tuple(self.names[i] for i in chosen), float(chosen.size)
        block = self.covariance[np.ix_(chosen, chosen)]
        if not chosen.size or np.isnan(block).any():
            return ModeratorTest(tested, math.nan, n, math.nan, math.nan)
        if self.ci_method != "CR2":
            df = math.inf if self.ci_method == "wald" else float(self.n_clusters - self.p)
            test = coefficients.wald_test(self.coefficient[chosen], block, np.asarray(df))
            return ModeratorTest(tested, *(float(value) for value in test))
        working = dependent.working_covariance(
            self.study_covariance, self.numbers, self.model, self.between, self.within
        )
        contrast = np.eye(self.p)[chosen]
        found = robust.hotelling_test(self.study_estimate, working, self.numbers, self.design, contrast)
        statistic, df = float(found.statistic), float(found.df_residual)
        return ModeratorTest(tested, statistic, n, df, float(fdtrc(n, df, statistic)))

    def _row(self) -> dict[str, Any]:
        test = self.omnibus
        return {
            "between": self.between,
            "within": self.within,
            "q": self.q,
            "q_pvalue": self.q_pvalue,
            "moderators_statistic": test.statistic,
            "moderators_df": test.df,
            "moderators_df_residual": test.df_residual,
            "moderators_pvalue": test.pvalue,
            "log_likelihood": self.log_likelihood,
            "k": self.k,
            "p": self.p,
            "n_clusters": self.n_clusters,
            "correlation": self.correlation,
            "model": self.model,
            "method": self.method,
            "ci_method": self.ci_method,
        }

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a coefficient."""
        import pandas as pd

        ci = self.confidence_interval(level)
        columns = {
            "estimate": self.coefficient,
            "se": self.se,
            "statistic": self.statistic,
            "df": self.df,
            "pvalue": self.pvalue,
            "ci_lower": ci.lower,
            "ci_upper": ci.upper,
        }
        return pd.DataFrame(columns, index=pd.Index(self.names, name="coefficient"))

    def model_frame(self) -> pd.DataFrame:
        """One unrounded row of what is said of the model as a whole."""
        import pandas as pd

        return pd.DataFrame([self._row()], index=pd.Index([self.measure], name="measure"))

    def to_dict(self, level: float = 0.95) -> JSON:
        """Plain dict for JSON: coefficients, their covariance, and the model; None for nan, "inf" when open."""
        return {
            "measure": self.measure,
            "level": level,
            "coefficients": _format.plain_rows(self.summary_frame(level)),
            "covariance": [[_format.plain(value) for value in row] for row in self.covariance.tolist()],
            **{name: _format.plain(value) for name, value in self._row().items()},
            "study": list(self.study),
            "cluster": list(self.cluster),
            "warnings": [str(caution) for caution in self.warnings],
        }

    @property
    def title(self) -> str:
        """What was regressed, by which model and methods, and how many results of how many cohorts."""
        measure = MEASURES[self.measure]
        label = measure.label if measure.kind == "difference" else f"{measure.label} ({measure.scale} scale)"
        model = "three-level" if self.model == "three_level" else "correlated effects"
        results, cohorts = _format.plural(self.k, "result"), _format.plural(self.n_clusters, "cohort")
        how = f"{model} meta-regression by {self.method}, CI by {self.ci_method}"
        return f"{label}, {how}, k = {results} of {cohorts}"

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                name,
                _format.significant(value),
                "" if math.isnan(se) else _format.significant(se),
                "undefined"
                if math.isnan(low)
                else f"[{_format.significant(low)}, {_format.significant(high)}]",
                "" if not math.isfinite(df) else _format.number(df, 1),
                "" if math.isnan(p) else _format.pvalue(p, symbol="").strip(" ="),
            )
            for name, value, se, low, high, df, p in zip(
                self.names,
                self.coefficient,
                self.se,
                *self.confidence_interval(),
                self.df,
                self.pvalue,
                strict=True,
            )
        ]

    def __str__(self) -> str:
        table = _format.text_table(("", *_HEADER), self._rows())
        lines = [self.title, *(f"  {line}" for line in table.splitlines())]
        if set(self.names) - {INTERCEPT}:
            lines.append(f"  moderators  {_shown(self.omnibus)}")
        spread = f"variance between cohorts {_format.significant(self.between)}"
        if self.model == "three_level" and not math.isnan(self.within):
            spread += f", within cohorts {_format.significant(self.within)}"
        df = self.k - self.p
        q_test = f"Q {_format.number(self.q, 2)} on {df} df, {_format.pvalue(self.q_pvalue)}"
        lines.append(f"  residual    {spread}   {q_test}")
        return "\n".join([*lines, *(f"  {caution}" for caution in self.warnings)])

    def _repr_html_(self) -> str:
        return _format.html_table(("coefficient", *_HEADER), self._rows(), caption=self.title)


def _shown(test: ModeratorTest) -> str:
    """The test with degrees of freedom that need not be whole numbers."""
    if not math.isfinite(test.df_residual):
        return str(test)
    f, df = _format.number(test.statistic, 2), _format.number(test.df_residual, 1)
    return f"F {f} on {test.df:g} and {df} df, {_format.pvalue(test.pvalue)}"
