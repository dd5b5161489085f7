"""What an analysis of several outcomes becomes under other correlations of the estimates within studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._typing import JSON, FloatArray
from netsynth.errors import Caution, ConvergenceError, InvalidInputError
from netsynth.kernels import intervals, multivariate
from netsynth.kernels.covariance_structures import CovarianceStructure
from netsynth.kernels.intervals import Limits
from netsynth.kernels.multivariate import Spread
from netsynth.kernels.multivariate_fit import BetweenMethod, psi_between
from netsynth.kernels.scales import MEASURES, EffectMeasure
from netsynth.results.multivariate_views import SHAPES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from netsynth.results.multivariate import MultivariateEffect

__all__ = ["CorrelationSensitivity", "correlation_matrix", "refit"]

#: Least eigenvalue of a correlation matrix: below it outcomes are one in different words.
_LEAST = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class CorrelationSensitivity:
    """One model under r correlations within studies, from `MultivariateEffect.over_correlation`.

    Everything is on the scale of `measure`; arrays are read-only.

    Attributes
    ----------
    measure : str
        The scale.
    outcomes, terms : tuple of str
        Names of the outcomes and of the coefficients.
    structure, method, ci_method : str
        As in the model.
    label : tuple of str
        What was assumed each time: the correlation, or "matrix 1" and so on.
    within : ndarray, shape (r, p, p)
        The correlation matrices.
    coefficient, se : ndarray, shape (r, q)
        Coefficients and their standard errors by `ci_method`.
    df : float
        Degrees of freedom of the intervals, infinite for normal.
    psi : ndarray, shape (r, p, p)
        Covariance between studies.
    log_likelihood : ndarray, shape (r,)
        Restricted for "REML"; the higher, the better the data agree with what was assumed.
    warnings : tuple of Caution
        What to keep in mind, from the model.
    """

    measure: EffectMeasure
    outcomes: tuple[str, ...]
    terms: tuple[str, ...]
    structure: CovarianceStructure
    method: BetweenMethod
    ci_method: Spread
    label: tuple[str, ...]
    within: FloatArray
    coefficient: FloatArray
    se: FloatArray
    df: float
    psi: FloatArray
    log_likelihood: FloatArray
    warnings: tuple[Caution, ...] = ()

    def confidence_interval(self, level: float = 0.95) -> Limits:
        """Interval of each coefficient under each assumption, two arrays of shape (r, q)."""
        return intervals.limits(self.coefficient, self.se, self.df, _validate.level(level))

    @property
    def natural(self) -> FloatArray:
        """Pooled effects of the outcomes on the printed scale, shape (r, p)."""
        return MEASURES[self.measure].from_scale(self.coefficient[:, : len(self.outcomes)])

    def natural_interval(self, level: float = 0.95) -> Limits:
        """Intervals of the outcomes on the printed scale, the smaller limits first, two arrays of shape (r, p)."""
        ci = np.stack([end[:, : len(self.outcomes)] for end in self.confidence_interval(level)])
        lower, upper = np.sort(MEASURES[self.measure].from_scale(ci), axis=0)
        return Limits(lower, upper)

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row an assumption and coefficient."""
        import pandas as pd

        ci = self.confidence_interval(level)
        blank = np.full(len(self.terms) - len(self.outcomes), np.nan)
        tau2 = [np.append(np.diag(psi), blank) for psi in self.psi]
        columns = {
            "estimate": self.coefficient.ravel(),
            "se": self.se.ravel(),
            "ci_lower": ci.lower.ravel(),
            "ci_upper": ci.upper.ravel(),
            "tau2": np.concatenate(tau2),
            "log_likelihood": np.repeat(self.log_likelihood, len(self.terms)),
        }
        index = pd.MultiIndex.from_product([self.label, self.terms], names=["within", "term"])
        return pd.DataFrame(columns, index=index)

    def to_dict(self, level: float = 0.95) -> JSON:
        """Plain dict for JSON: methods, and one dict an assumption; None for a likelihood that is not one."""
        ci = self.confidence_interval(level)
        rows = [
            {
                "within": label,
                "correlation": self.within[i].tolist(),
                "coefficient": self.coefficient[i].tolist(),
                "se": self.se[i].tolist(),
                "ci_lower": ci.lower[i].tolist(),
                "ci_upper": ci.upper[i].tolist(),
                "psi": self.psi[i].tolist(),
                "log_likelihood": _format.plain(float(self.log_likelihood[i])),
            }
            for i, label in enumerate(self.label)
        ]
        names = ("measure", "structure", "method", "ci_method")
        said = [str(caution) for caution in self.warnings]
        methods = {name: getattr(self, name) for name in names}
        return {**methods, "terms": list(self.terms), "level": level, "assumptions": rows, "warnings": said}

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Pooled effect of each outcome against the correlation; needs matplotlib."""
        from netsynth.plots.multivariate import correlation_plot

        return correlation_plot(self, ax=ax)

    def _rows(self) -> list[tuple[str, ...]]:
        ci = self.confidence_interval()
        rows = []
        for i, label in enumerate(self.label):
            cells = [
                f"{_format.significant(value)} [{_format.significant(low)}, {_format.significant(high)}]"
                for value, low, high in zip(self.coefficient[i], ci.lower[i], ci.upper[i], strict=True)
            ]
            rows.append((label, *cells, _format.number(float(self.log_likelihood[i]), 2)))
        return rows

    def __str__(self) -> str:
        model = "common effect" if self.method == "CE" else f"{SHAPES[self.structure]} by {self.method}"
        title = f"Sensitivity to the correlation within studies, {model}, 95% CI by {self.ci_method}"
        table = _format.text_table(("within", *self.terms, "log-likelihood"), self._rows())
        lines = [title, *(f"  {line}" for line in table.splitlines())]
        return "\n".join([*lines, *(f"  {caution}" for caution in self.warnings)])

    def _repr_html_(self) -> str:
        header = ("within", *self.terms, "log-likelihood")
        return _format.html_table(
            header, self._rows(), caption="Sensitivity to the correlation within studies"
        )


def correlation_matrix(value: npt.ArrayLike, p: int, name: str) -> FloatArray:
    """A correlation of all pairs, or a matrix of them, as a matrix.

    Raises
    ------
    InvalidInputError
        If it is neither, or no p outcomes can be so correlated.
    """
    given = np.array(value, dtype=np.float64)
    if given.ndim == 0:
        lowest = -1.0 / (p - 1) if p > 1 else -1.0
        if not lowest < float(given) < 1.0:
            end = _format.number(lowest, 2)
            raise InvalidInputError(
                f"{name} of {p} outcomes must lie above {end} and below 1; got {float(given):g}."
            )
        return np.where(np.eye(p) > 0, 1.0, given)
    if given.shape != (p, p):
        raise InvalidInputError(f"{name} must be a number or a {p} by {p} matrix; got shape {given.shape}.")
    if not np.isfinite(given).all() or (np.diag(given) != 1).any() or (given != given.T).any():
        raise InvalidInputError(f"{name} must be symmetric with ones on the diagonal, and finite.")
    if np.linalg.eigvalsh(given)[0] < _LEAST:
        raise InvalidInputError(f"{name} must be positive definite: no outcomes can be so correlated.")
    return given


def refit(effect: MultivariateEffect, values: Sequence[float] | npt.ArrayLike) -> CorrelationSensitivity:
    """The model of a result under other correlations within studies, all at once.

    Raises
    ------
    InvalidInputError
        If there is one outcome only, or no covariance matrix has such correlations.
    ConvergenceError
        If the search for a maximum does not arrive under one of them.
    """
    if effect.p == 1:
        raise InvalidInputError("One outcome has no correlation within studies.")
    given = np.array(values, dtype=np.float64)
    if given.ndim not in (1, 3) or len(given) == 0:
        raise InvalidInputError(
            f"values must be a list of correlations or of correlation matrices; got shape {given.shape}."
        )
    within = np.stack([correlation_matrix(value, effect.p, "correlation") for value in given])
    label = tuple(f"{v:g}" if given.ndim == 1 else f"matrix {i}" for i, v in enumerate(given.tolist(), 1))
    se = np.sqrt(np.diagonal(effect.study_covariance, axis1=1, axis2=2))
    covariance = multivariate.within_covariance(se, within)
    y = np.nan_to_num(effect.study_estimate)
    between = psi_between(y, covariance, effect.design, method=effect.method, structure=effect.structure)
    if not between.converged.all():
        i = int(np.flatnonzero(~between.converged)[0])
        raise ConvergenceError(
            f"The covariance between studies by {effect.method} did not converge at {label[i]}.",
            last=float(np.trace(between.psi[i])),
        )
    fit = multivariate.gls(y, covariance, effect.design, between.psi)
    factor, df = multivariate.spread_of(effect.ci_method, fit.q, effect.df_residual)
    variance = factor[:, None] * np.diagonal(fit.covariance, axis1=1, axis2=2)
    if effect.method in ("MM", "VC"):
        height = np.full(len(within), np.nan)
    else:
        restricted = effect.method == "REML"
        height = multivariate.log_likelihood(y, covariance, effect.design, between.psi, restricted=restricted)
    found = (within, fit.coefficient, np.sqrt(variance), between.psi, height)
    for array in found:
        array.setflags(write=False)
    return CorrelationSensitivity(
        measure=effect.measure,
        outcomes=effect.outcomes,
        terms=effect.terms,
        structure=effect.structure,
        method=effect.method,
        ci_method=effect.ci_method,
        label=label,
        within=found[0],
        coefficient=found[1],
        se=found[2],
        df=float(df[0]),
        psi=found[3],
        log_likelihood=found[4],
        warnings=effect.warnings,
    )
