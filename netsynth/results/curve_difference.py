"""Two survival curves against each other at several times at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import FloatArray, IntArray
from netsynth.errors import Caution, InvalidInputError
from netsynth.kernels import intervals
from netsynth.kernels.intervals import Limits
from netsynth.results.contrast import WaldTest, wald_test

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["CurveDifference", "DifferenceKind"]

DifferenceKind = Literal[
    "survival difference", "restricted mean difference", "cumulative hazard ratio", "restricted mean ratio"
]
#: Those that are pooled, and stored, as logarithms.
RATIOS: Final = ("cumulative hazard ratio", "restricted mean ratio")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CurveDifference:
    """The first of two pooled curves against the second, as made by `netsynth.compare_curves`.

    Arrays are read-only, one entry a comparison; ratios are on the log scale, but for what is called natural.

    Attributes
    ----------
    endpoint : str
        Code of the endpoint.
    first, second : str
        What is compared.
    kind : tuple of str
        Of each comparison: "survival difference", "restricted mean difference", "cumulative hazard ratio" or
        "restricted mean ratio".
    time_months : ndarray, shape (q,)
        Its time, or horizon.
    estimate : ndarray, shape (q,)
        First minus second; probabilities, months, or log ratios.
    covariance : ndarray, shape (q, q)
        Joint covariance of all.
    df : float
        Degrees of freedom of the intervals, infinite for normal.
    warnings : tuple of Caution
        What to keep in mind.
    """

    endpoint: str
    first: str
    second: str
    kind: tuple[DifferenceKind, ...]
    time_months: FloatArray
    estimate: FloatArray
    covariance: FloatArray
    df: float
    warnings: tuple[Caution, ...] = ()

    @property
    def se(self) -> FloatArray:
        """Standard errors."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def natural(self) -> FloatArray:
        """Estimates with ratios as ratios."""
        return self._natural(self.estimate)

    @property
    def pvalue(self) -> FloatArray:
        """Two-sided p-value of no difference, each comparison for itself."""
        return intervals.two_sided_pvalue(self.estimate / self.se, self.df)

    def confidence_interval(self, level: float = 0.95) -> Limits:
        """Intervals, each comparison for itself, ratios on the log scale."""
        return intervals.limits(self.estimate, self.se, self.df, _validate.level(level))

    def natural_interval(self, level: float = 0.95) -> Limits:
        """The same with ratios as ratios."""
        return Limits(*(self._natural(end) for end in self.confidence_interval(level)))

    def test(self, kind: DifferenceKind) -> WaldTest:
        """Whether the curves differ at any of the times of a kind, from the joint covariance.

        Raises
        ------
        InvalidInputError
            If there is no such comparison, or two of them say the same, so that their covariance is singular.
        """
        rows = self.rows_of(kind)
        covariance = self.covariance[np.ix_(rows, rows)]
        if np.linalg.matrix_rank(covariance, hermitian=True) < rows.size:
            raise InvalidInputError(
                f"{kind}: the comparisons at {_format.listing(f'{t:g}' for t in self.time_months[rows])} months are "
                "not independent of each other, as between two times of the curves. Ask for fewer times."
            )
        return wald_test(self.estimate[rows], covariance, self.df)

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a comparison; ratios on the log scale, with their natural values beside."""
        import pandas as pd

        ci, natural = self.confidence_interval(level), self.natural_interval(level)
        return pd.DataFrame(
            {
                "kind": self.kind,
                "time_months": self.time_months,
                "estimate": self.estimate,
                "se": self.se,
                "ci_lower": ci.lower,
                "ci_upper": ci.upper,
                "pvalue": self.pvalue,
                "natural": self.natural,
                "natural_lower": natural.lower,
                "natural_upper": natural.upper,
            }
        )

    def plot(
        self, *, ax: Axes | None = None, level: float = 0.95, kind: DifferenceKind | None = None
    ) -> Axes:
        """One kind of comparison over time, by default the first."""
        from netsynth.plots.curve_difference import curve_difference_plot

        return curve_difference_plot(self, ax=ax, level=level, kind=kind)

    def of(self, kind: DifferenceKind) -> pd.DataFrame:
        """The rows of one kind, by time."""
        frame = self.summary_frame()
        return frame[frame.kind == kind].drop(columns="kind").set_index("time_months")

    def rows_of(self, kind: DifferenceKind) -> IntArray:
        """Places of the comparisons of a kind.

        Raises
        ------
        InvalidInputError
            If there is none.
        """
        rows = np.flatnonzero(np.array(self.kind) == kind)
        if not rows.size:
            raise InvalidInputError(
                f"No comparison is a {kind!r}; there are {_format.listing(dict.fromkeys(self.kind))}."
            )
        return rows

    def _natural(self, values: FloatArray) -> FloatArray:
        is_ratio = np.isin(np.array(self.kind), RATIOS)
        return np.where(is_ratio, np.exp(np.where(is_ratio, values, 0.0)), values)

    def _shown(self, kind: str, value: float) -> str:
        if math.isnan(value):
            return _format.EN_DASH
        if kind == "survival difference":
            return _format.number(100 * value, 1)
        return _format.ratio(value) if kind in RATIOS else _format.number(value, 1)

    def __str__(self) -> str:
        low, high = self.natural_interval()
        rows = [
            (
                f"{kind}{_UNITS[kind]}",
                f"{time:g}",
                self._shown(kind, value),
                f"[{self._shown(kind, a)}, {self._shown(kind, b)}]",
                _format.pvalue(p) if math.isfinite(p) else _format.EN_DASH,
            )
            for kind, time, value, a, b, p in zip(
                self.kind, self.time_months, self.natural, low, high, self.pvalue, strict=True
            )
        ]
        law = "normal" if math.isinf(self.df) else f"t on {self.df:g} df"
        lines = [f"{self.endpoint}, {self.first} against {self.second}, {law}"]
        table = _format.text_table(("", "months", "estimate", "95% CI", "p"), rows)
        lines += [f"  {line}" for line in table.splitlines()]
        return "\n".join([*lines, *(f"  {caution}" for caution in self.warnings)])

    def _repr_html_(self) -> str:
        return self.summary_frame().to_html()


_UNITS: Final = {
    "survival difference": ", % points",
    "restricted mean difference": ", months",
    "cumulative hazard ratio": "",
    "restricted mean ratio": "",
}
