"""Several p-values combined, in both directions, with bounds kept as bounds."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from netsynth import _format
from netsynth._typing import FloatArray, Interval
from netsynth.data.factor import Direction
from netsynth.data.selection import Exclusion
from netsynth.kernels.pvalue_combination import COMBINATIONS, CombinationMethod

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["CombinedPValue", "PValueBasis", "PValueSide"]

#: What the p-value of a study rests on.
PValueBasis = Literal[
    "printed",
    "printed bound",
    "confidence interval",
    "significant, no number",
    "not significant, no number",
]
PValueSide = Literal["worse", "better", "undecided"]
_LOG2: Final = math.log(2.0)
_STATISTIC: Final[dict[CombinationMethod, str]] = {
    "fisher": "chi2",
    "stouffer": "z",
    "logit": "t",
    "edgington": "sum of p",
    "mean_p": "z",
    "mean_z": "t",
    "tippett": "smallest p",
    "maximum": "largest p",
    "wilkinson": "p of that rank",
    "vote": "votes",
    "inverse_chi2": "chi2",
    "inverse_t": "z",
    "truncated": "W",
    "truncated_soft": "W",
    "rank_truncated": "W",
}
_CAVEAT: Final = "A combined p-value says whether there is an effect, nothing of its size."


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CombinedPValue:
    """P-values of independent studies combined, as made by `netsynth.combine_pvalues`.

    A p-value printed as a bound, or not at all, is an interval, and so is what is combined from it: the true
    combined p-value lies in it whatever the p-values are. Where every p-value is a number both ends are equal.
    Arrays are read-only, shape (k,).

    Attributes
    ----------
    label : str
        Factor and endpoint, where known.
    method : str
        Name of the method.
    setting : tuple of (str, float) or None
        Rank, threshold or degrees of freedom of a method that has one.
    study : tuple of str
        Labels of the studies.
    direction : tuple of str
        How the adverse level fared in each.
    printed : tuple of str
        P-values as printed.
    basis : tuple of str
        What each rests on.
    two_sided_lower, two_sided_upper : ndarray
        Ends of the two-sided p-values.
    lower, upper : ndarray
        Ends of the p-values against "worse": p / 2 if the study found worse, 1 - p / 2 if it found better.
    n_patients, n_events : ndarray
        Of the studies; nan where not known.
    weights : ndarray or None
        Weights of Stouffer's method, None if equal.
    weight_name : str
        What the weights are.
    log_worse, log_better : Interval
        Natural logarithm of the combined one-sided p-values.
    statistic_worse, statistic_better : Interval
        The statistic at both ends.
    df : float
        Its degrees of freedom, nan if it has none.
    left_out : tuple of Exclusion
        Studies of which nothing is known that could be combined.
    n_inferred : int
        Studies whose direction rests on which level a significant result names as adverse.
    """

    label: str
    method: CombinationMethod
    setting: tuple[str, float] | None
    study: tuple[str, ...]
    direction: tuple[Direction, ...]
    printed: tuple[str, ...]
    basis: tuple[PValueBasis, ...]
    two_sided_lower: FloatArray
    two_sided_upper: FloatArray
    lower: FloatArray
    upper: FloatArray
    n_patients: FloatArray
    n_events: FloatArray
    weights: FloatArray | None
    weight_name: str
    log_worse: Interval
    log_better: Interval
    statistic_worse: Interval
    statistic_better: Interval
    df: float
    left_out: tuple[Exclusion, ...]
    n_inferred: int = 0

    @property
    def k(self) -> int:
        """Studies combined."""
        return len(self.study)

    @property
    def is_exact(self) -> bool:
        """Whether every p-value is a number, so that the combined one is."""
        return bool((self.lower == self.upper).all())

    @property
    def worse(self) -> Interval:
        """One-sided combined p-value against no effect, for worse with the adverse level."""
        return Interval(math.exp(self.log_worse.lower), math.exp(self.log_worse.upper))

    @property
    def better(self) -> Interval:
        """One-sided combined p-value for better."""
        return Interval(math.exp(self.log_better.lower), math.exp(self.log_better.upper))

    @property
    def log_pvalue(self) -> Interval:
        """Natural logarithm of `pvalue`."""
        ends = (
            min(0.0, _LOG2 + min(one, other)) if not math.isnan(one + other) else math.nan
            for one, other in zip(self.log_worse, self.log_better, strict=True)
        )
        return Interval(*ends)

    @property
    def pvalue(self) -> Interval:
        """Two-sided combined p-value: twice the smaller of the one-sided ones."""
        return Interval(*(math.exp(end) for end in self.log_pvalue))

    @property
    def side(self) -> PValueSide:
        """The direction that the smaller one-sided p-value speaks for; undecided if bounds leave it open."""
        worse, better = self.log_worse, self.log_better
        if worse.upper < better.lower:
            return "worse"
        return "better" if better.upper < worse.lower else "undecided"

    def summary_frame(self) -> pd.DataFrame:
        """One unrounded row a direction and one for both, with natural logarithms of the p-values."""
        import pandas as pd

        nothing = Interval(math.nan, math.nan)
        rows: list[dict[str, Any]] = []
        for name, log_p, statistic in (
            ("worse", self.log_worse, self.statistic_worse),
            ("better", self.log_better, self.statistic_better),
            ("two-sided", self.log_pvalue, nothing),
        ):
            rows.append(
                {
                    "direction": name,
                    "pvalue_lower": math.exp(log_p.lower),
                    "pvalue_upper": math.exp(log_p.upper),
                    "log_pvalue_lower": log_p.lower,
                    "log_pvalue_upper": log_p.upper,
                    "statistic_lower": statistic.lower,
                    "statistic_upper": statistic.upper,
                    "df": self.df,
                    "k": self.k,
                    "method": self.method,
                }
            )
        return pd.DataFrame(rows).set_index("direction")

    def study_frame(self) -> pd.DataFrame:
        """One row a study: what was printed, and the ends of its two-sided and one-sided p-values."""
        import pandas as pd

        return pd.DataFrame(
            {
                "study": self.study,
                "printed": self.printed,
                "direction": self.direction,
                "basis": self.basis,
                "two_sided_lower": self.two_sided_lower,
                "two_sided_upper": self.two_sided_upper,
                "worse_lower": self.lower,
                "worse_upper": self.upper,
                "n_patients": self.n_patients,
                "n_events": self.n_events,
                "weight": np.nan if self.weights is None else self.weights,
            }
        )

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """P-values of the studies by direction, and the combined one; needs matplotlib."""
        from netsynth.plots.pvalues import pvalue_plot

        return pvalue_plot(self, ax=ax)

    @property
    def method_words(self) -> str:
        """The method with its setting, as a sentence names it."""
        name = COMBINATIONS[self.method].name
        if self.method == "stouffer":
            return f"{name}, {self.weight_name}"
        return f"{name}, {self.setting[0]} {self.setting[1]:g}" if self.setting else name

    @property
    def problem(self) -> str:
        """Why the combined p-value is undefined; empty when it is not."""
        if not math.isnan(self.log_pvalue.lower):
            return ""
        if self.k < 2:
            return "the mean z needs two studies for the spread of z"
        return "all p-values are equal, so that z has no spread to compare its mean with"

    @property
    def shown(self) -> str:
        """`pvalue` for people, with the direction it speaks for, or why it is undefined."""
        if self.problem:
            return f"p undefined: {self.problem}"
        towards = {"undecided": "; its direction is undecided"}.get(self.side, f", towards {self.side}")
        return f"{shown_pvalue(self.pvalue)}{towards}"

    @property
    def doubts(self) -> list[str]:
        """What makes the p-value an interval, and what is not in it."""
        said = []
        count = Counter(self.basis)
        bounds = count["printed bound"]
        silent = count["not significant, no number"] + count["significant, no number"]
        unknown = sum(direction in ("none", "not stated") for direction in self.direction)
        parts = [f"{_format.plural(bounds, 'p-value')} printed as a bound"] if bounds else []
        parts += [f"{silent} called significant or not, without a number"] if silent else []
        parts += [f"{unknown} without a direction"] if unknown else []
        if parts and not self.is_exact:
            said.append(f"An interval, because of {_format.listing(parts)}.")
        if self.n_inferred:
            said.append(
                f"{_format.plural(self.n_inferred, 'direction')} inferred from the level that a significant result "
                "names as adverse."
            )
        if self.left_out:
            studies = _format.plural(len(self.left_out), "study", "studies")
            said.append(f"{studies} left out: {_format.listing(out.study for out in self.left_out)}.")
        return said

    def _title(self) -> str:
        where = f"{self.label}: " if self.label else ""
        return f"{where}{_format.plural(self.k, 'p-value')} combined by {self.method_words}"

    def _rows(self) -> list[tuple[str, str]]:
        rows = []
        for name, p, statistic in (
            ("worse", self.worse, self.statistic_worse),
            ("better", self.better, self.statistic_better),
        ):
            rows.append((name, f"one-sided {shown_pvalue(p)}{self._statistic(statistic)}"))
        rows.append(("both", f"two-sided {self.shown}"))
        rows.append(("looks for", COMBINATIONS[self.method].alternative))
        return rows

    def _statistic(self, ends: Interval) -> str:
        if math.isnan(ends.lower) or ends.lower != ends.upper:
            return ""
        df = (
            ""
            if math.isnan(self.df)
            else f" of {self.df:g}"
            if self.method == "vote"
            else f" on {self.df:g} df"
        )
        return f"   {_STATISTIC[self.method]} {_format.significant(ends.lower, 4)}{df}"

    def __str__(self) -> str:
        return _format.labelled_lines(self._title(), self._rows(), [*self.doubts, _CAVEAT])

    def _repr_html_(self) -> str:
        caption = " ".join([f"{self._title()}.", *self.doubts, _CAVEAT])
        return _format.html_table(("", ""), self._rows(), caption=caption)


def shown_pvalue(ends: Interval) -> str:
    """A p-value, or an interval of it, for people.

    Examples
    --------
    >>> shown_pvalue(Interval(0.02, 0.02)), shown_pvalue(Interval(0.0, 0.02)), shown_pvalue(Interval(0.01, 0.4))
    ('p = 0.020', 'p ≤ 0.020', 'p between 0.010 and 0.40')
    """
    if math.isnan(ends.lower):
        return "p undefined"
    low, high = (_format.pvalue(end).removeprefix("p ").removeprefix("= ") for end in ends)
    if ends.lower == ends.upper or low == high:
        return _format.pvalue(ends.upper)
    if ends.lower < 1e-6:
        return _format.pvalue(ends.upper) if high.startswith("<") else f"p ≤ {high.removeprefix('> ')}"
    return f"p between {low} and {high}"
