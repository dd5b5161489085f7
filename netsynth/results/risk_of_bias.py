"""The risk of bias of each study over the domains of an instrument, by a rule that is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from netsynth import _format
from netsynth.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["OverallRule", "RiskLevel", "RiskOfBias"]

RiskLevel = Literal["low", "moderate", "high"]


@dataclass(frozen=True, slots=True)
class OverallRule:
    """How ratings low, moderate and high of several domains become one. QUIPS itself has no such rule.

    Parameters
    ----------
    least_high : int
        With so many domains at high risk or more, the study is at high risk.
    least_moderate : int
        So it is with so many at moderate risk or more.
    most_moderate : int
        With no more than so many at moderate risk, and none at high risk, it is at low risk; else at moderate risk.

    Raises
    ------
    InvalidInputError
        If a number is no count, or `most_moderate` is not below `least_moderate`.

    Examples
    --------
    >>> OverallRule().overall(["low", "low", "moderate", "low", "moderate", "low"])
    'moderate'
    """

    least_high: int = 1
    least_moderate: int = 3
    most_moderate: int = 1

    def __post_init__(self) -> None:
        counts = (self.least_high, self.least_moderate, self.most_moderate)
        whole = all(isinstance(n, int) and not isinstance(n, bool) for n in counts)
        if not whole or min(counts[:2]) < 1 or not 0 <= self.most_moderate < self.least_moderate:
            raise InvalidInputError(
                "An overall rule needs counts with least_high and least_moderate at least 1 and 0 <= most_moderate < "
                f"least_moderate; got {self}."
            )

    def overall(self, ratings: tuple[str, ...] | list[str]) -> RiskLevel:
        """The risk of a study from the ratings of its domains.

        Raises
        ------
        InvalidInputError
            If there is none, or one is not low, moderate or high.
        """
        found = Counter(ratings)
        unknown = set(found) - {"low", "moderate", "high"}
        if unknown or not found:
            got = repr(sorted(unknown)[0]) if unknown else "none"
            raise InvalidInputError(f"An overall rule needs ratings low, moderate or high; got {got}.")
        if found["high"] >= self.least_high or found["moderate"] >= self.least_moderate:
            return "high"
        return "low" if found["moderate"] <= self.most_moderate and not found["high"] else "moderate"

    def __str__(self) -> str:
        return (
            f"high with {self.least_high} or more domains at high risk or {self.least_moderate} or more at moderate; "
            f"low with none at high and at most {self.most_moderate} at moderate; else moderate"
        )


@dataclass(frozen=True, slots=True)
class RiskOfBias:
    """The risk of bias of each rated study, as made by `netsynth.overall_risk`.

    Attributes
    ----------
    checklist : str
        The instrument.
    rule : OverallRule
        How it was put together.
    risks : mapping of str to str
        By the id of the study: "low", "moderate" or "high".
    labels : mapping of str to str
        Names of the studies.
    unrated : tuple of str
        Ids of studies without ratings.
    """

    checklist: str
    rule: OverallRule
    risks: Mapping[str, RiskLevel]
    labels: Mapping[str, str]
    unrated: tuple[str, ...]

    @property
    def counts(self) -> dict[RiskLevel, int]:
        """Studies at each risk."""
        found = Counter(self.risks.values())
        return {"low": found["low"], "moderate": found["moderate"], "high": found["high"]}

    def summary_frame(self) -> pd.DataFrame:
        """One row a study; the risk is empty where it was not rated."""
        import pandas as pd

        rows = [
            {"study": study, "label": self.labels[study], "risk": risk} for study, risk in self.risks.items()
        ]
        rows += [{"study": study, "label": self.labels[study], "risk": ""} for study in self.unrated]
        return pd.DataFrame(rows)

    def __str__(self) -> str:
        found = ", ".join(f"{n} at {risk} risk" for risk, n in self.counts.items())
        missing = (
            f"; {_format.plural(len(self.unrated), 'study', 'studies')} not rated" if self.unrated else ""
        )
        return f"{self.checklist}: {found}{missing} ({self.rule})"

    def _repr_html_(self) -> str:
        rows: list[tuple[str, str]] = [(self.labels[study], risk) for study, risk in self.risks.items()]
        rows += [(self.labels[study], "not rated") for study in self.unrated]
        return _format.html_table(("study", "risk of bias"), rows, caption=f"{self.checklist}: {self.rule}")
