"""Combinations of the coefficients of one model, such as differences between outcomes, and tests of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, fdtrc

from netsynth import _format, _validate
from netsynth._typing import JSON, FloatArray
from netsynth.errors import Caution, InvalidInputError
from netsynth.kernels import intervals
from netsynth.kernels.intervals import Limits

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Contrast", "WaldTest", "contrast_of", "wald_test"]


class WaldTest(NamedTuple):
    """Test that several quantities are all zero: chi-squared on `df`, or F on `df` and a finite `df_residual`."""

    statistic: float
    df: int
    df_residual: float
    pvalue: float


def wald_test(estimate: FloatArray, covariance: FloatArray, df_residual: float) -> WaldTest:
    """Test that all of `estimate` are zero; with finite `df_residual` the statistic is divided by its df."""
    size = estimate.size
    chi2 = float(estimate @ np.linalg.solve(covariance, estimate))
    if math.isinf(df_residual):
        return WaldTest(chi2, size, math.inf, float(chdtrc(size, chi2)))
    return WaldTest(chi2 / size, size, df_residual, float(fdtrc(size, df_residual, chi2 / size)))


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """Combinations of coefficients, from `MultivariateEffect.contrast`, on the scale of pooling.

    Attributes
    ----------
    label : tuple of str
        Name of each combination.
    weights : ndarray, shape (c, q)
        Weights of the coefficients in each. Read-only, as are all arrays.
    estimate : ndarray, shape (c,)
        The combinations.
    covariance : ndarray, shape (c, c)
        Their covariance.
    df : float
        Degrees of freedom of their intervals, infinite for normal.
    warnings : tuple of Caution
        What to keep in mind, from the model.
    """

    label: tuple[str, ...]
    weights: FloatArray
    estimate: FloatArray
    covariance: FloatArray
    df: float
    warnings: tuple[Caution, ...] = ()

    @property
    def se(self) -> FloatArray:
        """Standard errors."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    @property
    def pvalue(self) -> FloatArray:
        """Two-sided p-value of each combination being zero."""
        return intervals.two_sided_pvalue(self.estimate / self.se, self.df)

    @property
    def test(self) -> WaldTest:
        """Test that all combinations are zero."""
        return wald_test(self.estimate, self.covariance, self.df)

    def confidence_interval(self, level: float = 0.95) -> Limits:
        """Interval of each combination, two arrays of shape (c,)."""
        return intervals.limits(self.estimate, self.se, self.df, _validate.level(level))

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a combination."""
        import pandas as pd

        ci = self.confidence_interval(level)
        columns = {
            "estimate": self.estimate,
            "se": self.se,
            "ci_lower": ci.lower,
            "ci_upper": ci.upper,
            "pvalue": self.pvalue,
        }
        return pd.DataFrame(columns, index=pd.Index(self.label, name="contrast"))

    def to_dict(self, level: float = 0.95) -> JSON:
        """Plain dict for JSON: one dict a combination, and the joint test; "inf" for infinite df."""
        ci, test = self.confidence_interval(level), self.test
        numbers = zip(self.estimate, self.se, ci.lower, ci.upper, self.pvalue, strict=True)
        names = ("estimate", "se", "ci_lower", "ci_upper", "pvalue")
        return {
            "level": level,
            "df": _format.plain(self.df),
            "contrasts": [
                {"label": label, **{name: float(value) for name, value in zip(names, row, strict=True)}}
                for label, row in zip(self.label, numbers, strict=True)
            ],
            "test": {"statistic": test.statistic, "df": test.df, "pvalue": test.pvalue},
            "warnings": [str(caution) for caution in self.warnings],
        }

    def _rows(self) -> list[tuple[str, str, str, str]]:
        low, high = self.confidence_interval()
        return [
            (label, _format.significant(value), f"[{_format.significant(a)}, {_format.significant(b)}]", p)
            for label, value, a, b, p in zip(
                self.label, self.estimate, low, high, map(_format.pvalue, self.pvalue), strict=True
            )
        ]

    def __str__(self) -> str:
        law = "normal" if math.isinf(self.df) else f"t on {self.df:g} df"
        lines = [f"Contrasts on the scale of pooling, {law}"]
        table = _format.text_table(("contrast", "estimate", "95% CI", "p"), self._rows())
        lines += [f"  {line}" for line in table.splitlines()]
        if len(self.label) > 1:
            test = self.test
            kind = "chi2" if math.isinf(test.df_residual) else "F"
            over = f"{test.df}" if kind == "chi2" else f"{test.df} and {test.df_residual:g}"
            shown = _format.number(test.statistic, 2)
            lines.append(f"  all zero: {kind} {shown} on {over} df, {_format.pvalue(test.pvalue)}")
        return "\n".join([*lines, *(f"  {caution}" for caution in self.warnings)])

    def _repr_html_(self) -> str:
        return _format.html_table(("contrast", "estimate", "95% CI", "p"), self._rows(), caption="Contrasts")


def contrast_of(
    terms: Sequence[str],
    coefficient: FloatArray,
    covariance: FloatArray,
    *,
    df: float,
    weights: npt.ArrayLike,
    label: Iterable[str] | None,
    warnings: tuple[Caution, ...],
) -> Contrast:
    """Combinations of the coefficients of a model.

    Raises
    ------
    InvalidInputError
        If there is not one finite weight for each coefficient, or a combination follows from the others.
    """
    rows = np.atleast_2d(np.array(weights, dtype=np.float64))
    if rows.ndim != 2 or rows.shape[1] != len(terms) or not np.isfinite(rows).all():
        raise InvalidInputError(
            f"weights must be finite, one for each of {_format.listing(terms)}; got shape {rows.shape}."
        )
    if np.linalg.matrix_rank(rows) < len(rows):
        raise InvalidInputError(
            "weights must be independent: one combination is zero or follows from the others."
        )
    names = tuple(label) if label is not None else tuple(_combination(row, terms) for row in rows)
    if len(names) != len(rows):
        combinations = _format.plural(len(rows), "combination")
        raise InvalidInputError(f"label must have one name for each of {combinations}; got {len(names)}.")
    estimate, spread = rows @ coefficient, rows @ covariance @ rows.T
    for array in (rows, estimate, spread):
        array.setflags(write=False)
    return Contrast(names, rows, estimate, spread, df, warnings)


def _combination(weights: FloatArray, terms: Sequence[str]) -> str:
    """A combination as one writes it: "PD - AL"."""
    parts: list[str] = []
    for weight, term in zip(weights, terms, strict=True):
        if weight:
            sign = "- " if weight < 0 else "+ " if parts else ""
            size = "" if abs(weight) == 1 else f"{abs(weight):g} x "
            parts.append(f"{sign}{size}{term}")
    return " ".join(parts)
