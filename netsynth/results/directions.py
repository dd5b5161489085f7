"""Studies counted by the direction of what they found, and the sign test on the count."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from netsynth import _format, _validate
from netsynth._typing import Interval
from netsynth.data.factor import Direction
from netsynth.kernels import pvalues
from netsynth.kernels.count_intervals import wilson

__all__ = ["DirectionCount"]


@dataclass(frozen=True, slots=True)
class DirectionCount:
    """How many studies found the adverse level to do worse, and how many better.

    The sign test and its interval use the studies whose direction is stated: by a hazard ratio or in words. A
    direction inferred from which level a significant result names as adverse is had for significant results only, so
    it is counted and named, and enters no test. What it and the directions that are not known could change is told by
    the bounds, which run over every direction they may have.

    Attributes
    ----------
    n_worse, n_better, n_none : int
        Studies in which the adverse level did worse, better, or neither; inferred ones among them.
    n_not_stated : int
        Studies whose direction is not known.
    n_inferred : int
        Of `n_worse` and `n_better` those that are inferred.
    n_inferred_better : int
        Of `n_inferred` those that are better.

    Examples
    --------
    >>> count = DirectionCount(n_worse=5, n_better=1)
    >>> print(count)
    worse in 5 of 6 studies with a direction (83%, 95% CI 36–100%; sign test p = 0.22)
    >>> print(DirectionCount(n_worse=10, n_better=0, n_not_stated=1, n_inferred=10))
    no direction stated in 11 studies; inferred from a significant result in 10 (worse in 10), which tests nothing
    """

    n_worse: int
    n_better: int
    n_none: int = 0
    n_not_stated: int = 0
    n_inferred: int = 0
    n_inferred_better: int = 0

    @classmethod
    def of(cls, directions: Iterable[tuple[Direction, bool]]) -> Self:
        """Count directions, each with whether it is inferred.

        Examples
        --------
        >>> DirectionCount.of([("worse", False), ("better", True), ("not stated", False)])
        DirectionCount(n_worse=1, n_better=1, n_none=0, n_not_stated=1, n_inferred=1, n_inferred_better=1)
        """
        found = list(directions)
        inferred = [direction for direction, is_inferred in found if is_inferred]
        words = [direction for direction, _ in found]
        return cls(
            words.count("worse"),
            words.count("better"),
            words.count("none"),
            words.count("not stated"),
            len(inferred),
            inferred.count("better"),
        )

    @property
    def k(self) -> int:
        """Number of studies."""
        return self.n_directed + self.n_none + self.n_not_stated

    @property
    def n_directed(self) -> int:
        """Studies with a direction, worse or better, stated or inferred."""
        return self.n_worse + self.n_better

    @property
    def n_inferred_worse(self) -> int:
        """Of the inferred directions those that are worse."""
        return self.n_inferred - self.n_inferred_better

    @property
    def n_stated(self) -> int:
        """Studies that state a direction, worse or better."""
        return self.n_directed - self.n_inferred

    @property
    def n_stated_worse(self) -> int:
        """Studies that state worse."""
        return self.n_worse - self.n_inferred_worse

    @property
    def n_open(self) -> int:
        """Studies whose direction may be either: not known, or inferred."""
        return self.n_not_stated + self.n_inferred

    @property
    def proportion(self) -> float:
        """Share of worse among the stated directions; nan without one."""
        return self.n_stated_worse / self.n_stated if self.n_stated else math.nan

    @property
    def pvalue(self) -> float:
        """Exact two-sided sign test that worse and better are equally likely; nan without a stated direction."""
        return float(pvalues.sign_test(self.n_stated_worse, self.n_stated))

    @property
    def problem(self) -> str:
        """Why there is no sign test; empty when there is one."""
        if self.n_stated:
            return ""
        if self.n_inferred:
            return "no direction is stated, and one inferred from a significant result tests nothing"
        return "no direction is stated"

    @property
    def proportion_bounds(self) -> Interval:
        """`proportion` if all open directions were better, and if all were worse; nan without a study."""
        total = self.n_stated + self.n_open
        if not total:
            return Interval(math.nan, math.nan)
        return Interval(self.n_stated_worse / total, (self.n_stated_worse + self.n_open) / total)

    @property
    def pvalue_bounds(self) -> Interval:
        """Smallest and largest `pvalue` over all that open directions may be; nan without a study."""
        ends = pvalues.sign_test_bounds(self.n_stated_worse, self.n_stated, self.n_open)
        return Interval(float(ends.lower), float(ends.upper))

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """Clopper-Pearson interval of `proportion`; [0, 1] without a stated direction."""
        ends = pvalues.clopper_pearson(self.n_stated_worse, self.n_stated, _validate.level(level))
        return Interval(float(ends.lower), float(ends.upper))

    def wilson_interval(self, level: float = 0.95) -> Interval:
        """Wilson's interval of `proportion`, shorter than the exact one; [0, 1] without a stated direction."""
        level = _validate.level(level)
        if not self.n_stated:
            return Interval(0.0, 1.0)
        ends = wilson(self.n_stated_worse, self.n_stated, level)
        return Interval(float(ends.lower), float(ends.upper))

    def interval_bounds(self, level: float = 0.95) -> Interval:
        """Lowest and highest limit of `confidence_interval` over all that open directions may be."""
        level, worse, total = _validate.level(level), self.n_stated_worse, self.n_stated + self.n_open
        lower = pvalues.clopper_pearson(worse, total, level).lower
        upper = pvalues.clopper_pearson(worse + self.n_open, total, level).upper
        return Interval(float(lower), float(upper))

    @property
    def shown_pvalue(self) -> str:
        """`pvalue` for people; empty below two stated directions, where the test can only say 1."""
        return _shown(self.pvalue) if self.n_stated > 1 else ""

    @property
    def shown_bounds(self) -> str:
        """`pvalue_bounds` for people; empty when no direction is open or there is one study."""
        if not self.n_open or self.n_stated + self.n_open < 2:
            return ""
        low, high = map(_shown, self.pvalue_bounds)
        return low if low == high else f"{low} to {high}"

    def __str__(self) -> str:
        if not self.n_stated:
            return "; ".join([self.words, *self.doubts])
        share = 1.0 - self.proportion if self._is_better else self.proportion
        inside = "; ".join(
            text for text in (f"{100 * share:.0f}%, {self.interval_words}", self.test_words) if text
        )
        return "; ".join([f"{self.words} ({inside})", *self.doubts])

    @property
    def test_words(self) -> str:
        """The sign test as a sentence tells it; empty below two stated directions."""
        shown = self.shown_pvalue
        return f"sign test p {'' if shown[0] in '<>' else '= '}{shown}" if shown else ""

    @property
    def _is_better(self) -> bool:
        """Whether all stated directions are better, so that these are what a sentence counts."""
        return self.n_stated > 0 and self.n_stated_worse == 0

    @property
    def interval_words(self) -> str:
        """The exact interval of the share that `words` counts."""
        low, high = self.confidence_interval()
        ends = (1.0 - high, 1.0 - low) if self._is_better else (low, high)
        lower, upper = (f"{100 * end:.0f}" for end in ends)
        return f"95% CI {_format.span(lower, upper, '%')}"

    @property
    def words(self) -> str:
        """The count of stated directions as a sentence begins: of worse, or of better if all are."""
        kind = "stated " if self.n_inferred else ""
        studies = _format.plural(self.k, "study", "studies")
        if self.n_stated:
            known = _format.plural(self.n_stated, "study", "studies")
            side, n = ("better", self.n_stated) if self._is_better else ("worse", self.n_stated_worse)
            return f"{side} in {n} of {known} with a {kind}direction"
        if self.n_none:
            return f"no difference in {studies if self.n_none == self.k else f'{self.n_none} of {studies}'}"
        return f"no direction {kind or 'known '}in {studies}"

    @property
    def inferred_words(self) -> str:
        """The inferred directions as a sentence tells them; empty without one."""
        sides = (("worse", self.n_inferred_worse), ("better", self.n_inferred_better))
        which = ", ".join(f"{side} in {n}" for side, n in sides if n)
        return f"inferred from a significant result in {self.n_inferred} ({which})" if which else ""

    @property
    def doubts(self) -> list[str]:
        """Studies that show or state no direction, in words."""
        said = [f"no difference in {self.n_none}"] if self.n_none and self.n_stated else []
        silent = [f"not stated in {self.n_not_stated}"] if self.n_not_stated else []
        silent += [self.inferred_words] if self.n_inferred else []
        if self.n_stated and silent:
            said.append(f"direction {_format.listing(silent)}, so p is anything from {self.shown_bounds}")
            return said
        if self.n_none and self.n_not_stated:
            said.append(f"direction not stated in {self.n_not_stated}")
        if self.n_inferred:
            said.append(f"{self.inferred_words}, which tests nothing")
        return said


def _shown(p: float) -> str:
    return "1" if p == 1 else _format.pvalue(p).removeprefix("p ").removeprefix("= ")
