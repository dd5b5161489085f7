"""Studies counted by the direction of what they found, and the sign test on the count."""

from __future__ import annotations

import math
from dataclasses import dataclass

from netsynth import _format, _validate
from netsynth._typing import Interval
from netsynth.kernels import pvalues
from netsynth.kernels.count_intervals import wilson

__all__ = ["DirectionCount"]


@dataclass(frozen=True, slots=True)
class DirectionCount:
    """How many studies found the adverse level to do worse, and how many better.

    The sign test and its interval use the studies with a known direction. What those without one could
    change is told by the bounds, which run over every direction they may have.

    Attributes
    ----------
    n_worse, n_better, n_none : int
        Studies in which the adverse level did worse, better, or neither.
    n_not_stated : int
        Studies whose direction is not known.
    n_inferred : int
        Of the known directions those that rest on which level a significant result names as adverse.

    Examples
    --------
    >>> count = DirectionCount(n_worse=5, n_better=1)
    >>> print(count)
    worse in 5 of 6 studies with a direction (83%, 95% CI 36–100%; sign test p = 0.22)
    """

    n_worse: int
    n_better: int
    n_none: int = 0
    n_not_stated: int = 0
    n_inferred: int = 0

    @property
    def k(self) -> int:
        """Number of studies."""
        return self.n_directed + self.n_none + self.n_not_stated

    @property
    def n_directed(self) -> int:
        """Studies with a known direction, worse or better."""
        return self.n_worse + self.n_better

    @property
    def proportion(self) -> float:
        """Share of worse among the known directions; nan without one."""
        return self.n_worse / self.n_directed if self.n_directed else math.nan

    @property
    def pvalue(self) -> float:
        """Exact two-sided sign test that worse and better are equally likely; nan without a direction."""
        return float(pvalues.sign_test(self.n_worse, self.n_directed))

    @property
    def proportion_bounds(self) -> Interval:
        """`proportion` if all unknown directions were better, and if all were worse; nan without a study."""
        total = self.n_directed + self.n_not_stated
        if not total:
            return Interval(math.nan, math.nan)
        return Interval(self.n_worse / total, (self.n_worse + self.n_not_stated) / total)

    @property
    def pvalue_bounds(self) -> Interval:
        """Smallest and largest `pvalue` over all that unknown directions may be; nan without a study."""
        ends = pvalues.sign_test_bounds(self.n_worse, self.n_directed, self.n_not_stated)
        return Interval(float(ends.lower), float(ends.upper))

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """Clopper-Pearson interval of `proportion`; [0, 1] without a direction."""
        ends = pvalues.clopper_pearson(self.n_worse, self.n_directed, _validate.level(level))
        return Interval(float(ends.lower), float(ends.upper))

    def wilson_interval(self, level: float = 0.95) -> Interval:
        """Wilson's score interval of `proportion`, shorter than the exact one; [0, 1] without a direction."""
        level = _validate.level(level)
        if not self.n_directed:
            return Interval(0.0, 1.0)
        ends = wilson(self.n_worse, self.n_directed, level)
        return Interval(float(ends.lower), float(ends.upper))

    def interval_bounds(self, level: float = 0.95) -> Interval:
        """Lowest and highest limit of `confidence_interval` over all that unknown directions may be."""
        level, total = _validate.level(level), self.n_directed + self.n_not_stated
        lower = pvalues.clopper_pearson(self.n_worse, total, level).lower
        upper = pvalues.clopper_pearson(self.n_worse + self.n_not_stated, total, level).upper
        return Interval(float(lower), float(upper))

    @property
    def shown_pvalue(self) -> str:
        """`pvalue` for people; empty below two directions, where the test can only say 1."""
        return _shown(self.pvalue) if self.n_directed > 1 else ""

    @property
    def shown_bounds(self) -> str:
        """`pvalue_bounds` for people; empty when no direction is unknown or there is one study."""
        if not self.n_not_stated or self.n_directed + self.n_not_stated < 2:
            return ""
        low, high = map(_shown, self.pvalue_bounds)
        return low if low == high else f"{low} to {high}"

    def __str__(self) -> str:
        if not self.n_directed:
            return "; ".join([self.words, *self.doubts])
        low, high = (f"{100 * end:.0f}" for end in self.confidence_interval())
        share = f"{100 * self.proportion:.0f}%, 95% CI {_format.span(low, high, '%')}"
        inside = "; ".join(text for text in (share, self.test_words) if text)
        return "; ".join([f"{self.words} ({inside})", *self.doubts])

    @property
    def test_words(self) -> str:
        """The sign test as a sentence tells it; empty below two directions."""
        shown = self.shown_pvalue
        return f"sign test p {'' if shown[0] in '<>' else '= '}{shown}" if shown else ""

    @property
    def words(self) -> str:
        """The count of known directions as a sentence begins."""
        if self.n_directed:
            known = _format.plural(self.n_directed, "study", "studies")
            return f"worse in {self.n_worse} of {known} with a direction"
        return f"no direction known in {_format.plural(self.k, 'study', 'studies')}"

    @property
    def doubts(self) -> list[str]:
        """Studies that show no direction, in words."""
        said = [f"no difference in {self.n_none}"] if self.n_none else []
        if self.n_not_stated and self.n_directed:
            said.append(
                f"direction not stated in {self.n_not_stated}, so p is anything from {self.shown_bounds}"
            )
        return said


def _shown(p: float) -> str:
    return "1" if p == 1 else _format.pvalue(p).removeprefix("p ").removeprefix("= ")
