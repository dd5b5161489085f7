"""Votes of studies by direction: one result a study, all results of a study, and weighted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from netsynth import _format
from netsynth._typing import Interval
from netsynth.data.factor import Direction, Significance
from netsynth.results.directions import DirectionCount

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["StudyVotes", "VoteCount"]

StudyDirection = Literal["worse", "better", "none", "conflicting", "not stated"]
_CAVEAT = "Counting directions says nothing about the size of an effect."


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyVotes:
    """All results of one study on one factor.

    Attributes
    ----------
    study : str
        Its label.
    n_worse, n_better, n_none, n_not_stated : int
        Its results by direction; inferred ones among them.
    n_inferred : int
        Of these the ones inferred from which level a significant result names as adverse.
    direction : {"worse", "better", "none", "conflicting", "not stated"}
        Of the study, by the share of its results that agree: of those that state a direction, else of the inferred.
    is_inferred : bool
        Whether no result of the study states a direction, so that `direction` is inferred.
    chosen : str
        Direction of the one result that is counted.
    is_chosen_inferred : bool
        Whether that is inferred.
    weight : float
        Weight in the weighted count; nan where its size is not known.
    """

    study: str
    n_worse: int
    n_better: int
    n_none: int
    n_not_stated: int
    n_inferred: int
    direction: StudyDirection
    is_inferred: bool
    chosen: Direction
    is_chosen_inferred: bool
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteCount:
    """Vote counting by direction, as made by `netsynth.count_votes`.

    Attributes
    ----------
    factor, endpoint : str
        What is counted.
    chosen : DirectionCount
        One result a study, as `FactorRow.directions`. Like `within`, it tests the directions that are stated.
    within : DirectionCount
        One direction a study from all its results; conflicting studies are among those of no direction.
    share : float
        Share of its results that must agree for a study to have a direction.
    studies : tuple of StudyVotes
        Each study.
    weight_name : str
        What the weights are.
    weighted_share : float
        Share of the weight on the side of worse, of the studies that state a direction and have a known size; nan
        without one.
    weighted_pvalue : float
        Sign test with these weights.
    n_weighted : int
        Studies in it.
    significance : mapping of str to int
        Counted results by what the source calls significant, which is no synthesis.
    """

    factor: str
    endpoint: str
    chosen: DirectionCount
    within: DirectionCount
    share: float
    studies: tuple[StudyVotes, ...]
    weight_name: str
    weighted_share: float
    weighted_pvalue: float
    n_weighted: int
    significance: Mapping[Significance, int]

    @property
    def n_conflicting(self) -> int:
        """Studies whose results conflict."""
        return sum(votes.direction == "conflicting" for votes in self.studies)

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a way of counting, with both intervals of the share."""
        import pandas as pd

        rows = []
        for name, count in (("one result a study", self.chosen), ("all results of a study", self.within)):
            exact, wilson = count.confidence_interval(level), count.wilson_interval(level)
            rows.append(
                {
                    "counted": name,
                    "n_worse": count.n_worse,
                    "n_better": count.n_better,
                    "n_none": count.n_none,
                    "n_not_stated": count.n_not_stated,
                    "n_inferred": count.n_inferred,
                    "n_stated": count.n_stated,
                    "n_stated_worse": count.n_stated_worse,
                    "proportion_worse": count.proportion,
                    "exact_lower": exact.lower,
                    "exact_upper": exact.upper,
                    "wilson_lower": wilson.lower,
                    "wilson_upper": wilson.upper,
                    "sign_pvalue": count.pvalue,
                }
            )
        nothing = dict.fromkeys(("exact_lower", "exact_upper", "wilson_lower", "wilson_upper"), np.nan)
        sized = [votes for votes in self.studies if votes.weight > 0]
        found = Counter(votes.chosen for votes in sized)
        stated = Counter(votes.chosen for votes in sized if not votes.is_chosen_inferred)
        rows.append(
            {
                "counted": self.weight_name,
                "n_worse": found["worse"],
                "n_better": found["better"],
                "n_none": found["none"],
                "n_not_stated": found["not stated"],
                "n_inferred": sum(votes.is_chosen_inferred for votes in sized),
                "n_stated": self.n_weighted,
                "n_stated_worse": stated["worse"],
                "proportion_worse": self.weighted_share,
                **nothing,
                "sign_pvalue": self.weighted_pvalue,
            }
        )
        return pd.DataFrame(rows).set_index("counted")

    def study_frame(self) -> pd.DataFrame:
        """One row a study: its results by direction, what they make together, and its weight."""
        import pandas as pd

        return pd.DataFrame([asdict(votes) for votes in self.studies])

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Share of worse by each way of counting with its intervals; needs matplotlib."""
        from netsynth.plots.votes import vote_plot

        return vote_plot(self, ax=ax)

    def _title(self) -> str:
        return f"{self.factor}, {self.endpoint}: directions of {_format.plural(len(self.studies), 'study', 'studies')}"

    def _rows(self) -> list[tuple[str, str]]:
        rows = [("one result a study", str(self.chosen))]
        conflicting = f"; {self.n_conflicting} conflicting" if self.n_conflicting else ""
        rows.append((f"{100 * self.share:g}% of all results", f"{self.within}{conflicting}"))
        if math.isnan(self.weighted_share):
            kind = "stated " if self.chosen.n_inferred else ""
            weighted = f"no study with a {kind}direction has a known size"
        else:
            # two studies or fewer cannot reach any p-value below one half
            p = f"; sign test {_format.pvalue(self.weighted_pvalue)}" if self.n_weighted > 1 else ""
            studies = _format.plural(self.n_weighted, "study", "studies")
            weighted = f"{100 * self.weighted_share:.0f}% of the weight for worse ({studies}{p})"
        rows.append((self.weight_name, weighted))
        low, high = self.wilson
        span = _format.span(f"{100 * low:.0f}", f"{100 * high:.0f}", "%")
        problem = self.chosen.problem
        if problem:
            rows.append(("sign test", f"undefined: {problem}"))
        else:
            rows.append(("Wilson interval", f"95% CI {span}"))
        said = self.significance
        tested = said["yes"] + said["no"]
        rows.append(("statistically significant results (not a synthesis)", f"{said['yes']} of {tested}"))
        return rows

    @property
    def wilson(self) -> Interval:
        """95% Wilson interval of one result a study, beside the exact one."""
        return self.chosen.wilson_interval()

    def __str__(self) -> str:
        return _format.labelled_lines(self._title(), self._rows(), [_CAVEAT])

    def _repr_html_(self) -> str:
        return _format.html_table(("", ""), self._rows(), caption=f"{self._title()}. {_CAVEAT}")
