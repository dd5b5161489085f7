"""Quality assessments: any named checklist, its items and the ratings a reviewer gave.

Item texts are short descriptions of our own; judge by the full wording in the cited publication.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from netsynth import _validate
from netsynth.data._record import Record
from netsynth.errors import InvalidInputError

__all__ = ["JBI_CASE_SERIES", "MINORS", "QUIPS", "Checklist", "QualityAssessment"]


@dataclass(frozen=True, slots=True)
class Checklist(Record):
    """A checklist: items, the ratings an item may get, and what a rating scores.

    Parameters
    ----------
    name : str
        Name of the checklist.
    items : tuple of str
        Short names of the items, in order, without repeats.
    ratings : tuple of str
        Allowed ratings, from best to worst.
    scores : tuple of int
        Points for each rating, in the order of `ratings`; empty when the checklist has no sum.
    comparative_items : tuple of str
        Items that apply to comparative studies only.
    reference : str
        Publication of the checklist.

    Raises
    ------
    InvalidInputError
        If items or ratings are missing or repeat, `scores` does not match `ratings`, or a comparative item is
        not an item.
    """

    name: str
    items: tuple[str, ...]
    ratings: tuple[str, ...]
    scores: tuple[int, ...] = ()
    comparative_items: tuple[str, ...] = ()
    reference: str = ""

    def __post_init__(self) -> None:
        _validate.text(self.name, "checklist name")
        self._freeze("items", "ratings", "scores", "comparative_items", where=self.name)
        if not self.items or len(set(self.items)) < len(self.items):
            raise InvalidInputError(f"{self.name}: items must be given once each; got {self.items}.")
        if not all(self.ratings) or len(set(self.ratings)) < max(len(self.ratings), 1):
            raise InvalidInputError(f"{self.name}: ratings must be given once each; got {self.ratings}.")
        if self.scores and len(self.scores) != len(self.ratings):
            raise InvalidInputError(
                f"{self.name}: one score a rating; got {len(self.scores)} for {len(self.ratings)} ratings."
            )
        unknown = set(self.comparative_items) - set(self.items)
        if unknown:
            raise InvalidInputError(f"{self.name}: {sorted(unknown)[0]!r} is not one of its items.")

    def __str__(self) -> str:
        return f"{self.name} ({len(self.items)} items, rated {', '.join(self.ratings)})"


@dataclass(frozen=True, slots=True)
class QualityAssessment(Record):
    """Ratings of one study on one checklist.

    Parameters
    ----------
    study : str
        Id of the study.
    checklist : Checklist
        The instrument.
    ratings : tuple of str
        One rating an item, in the order of the checklist; empty for an item that does not apply.
    assessor, notes : str
        Who rated, and why.

    Raises
    ------
    InvalidInputError
        If the number of ratings is wrong, a rating is not allowed, or an item that always applies is blank.

    Examples
    --------
    >>> print(QualityAssessment.of("Algarni 2021", MINORS, [2, 2, 0, 2, 0, 2, 2, 0]))
    Algarni 2021, MINORS: 10 of 16
    """

    study: str
    checklist: Checklist
    ratings: tuple[str, ...]
    assessor: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        items = self.checklist.items
        where = f"{_validate.text(self.study, 'study')}, {self.checklist.name}"
        self._freeze("ratings", where=where)
        if len(self.ratings) != len(items):
            raise InvalidInputError(
                f"{where}: {len(items)} items need as many ratings; got {len(self.ratings)}."
            )
        for item, rating in zip(items, self.ratings, strict=True):
            if not rating and item not in self.checklist.comparative_items:
                raise InvalidInputError(f"{where}: item {item!r} applies to every study but has no rating.")
            if rating:
                _validate.choice(rating, f"item {item!r}", self.checklist.ratings, where=where)

    @classmethod
    def of(
        cls, study: str, checklist: Checklist, ratings: Mapping[str, object] | list[object], **about: str
    ) -> Self:
        """Assessment from a mapping of item to rating, or a list; comparative items may be left out."""
        given = (
            dict(ratings)
            if isinstance(ratings, Mapping)
            else dict(zip(checklist.items, ratings, strict=False))
        )
        if len(given) != len(ratings):
            raise InvalidInputError(
                f"{study}, {checklist.name}: more ratings than items; got {len(ratings)}."
            )
        unknown = set(given) - set(checklist.items)
        if unknown:
            raise InvalidInputError(f"{study}, {checklist.name}: no item {sorted(unknown)[0]!r}.")
        return cls(study, checklist, tuple(str(given.get(item, "")) for item in checklist.items), **about)

    @property
    def total(self) -> int | None:
        """Sum of the scores; None for a checklist that has no sum."""
        points = dict(zip(self.checklist.ratings, self.checklist.scores, strict=False))
        return sum(points[rating] for rating in self.ratings if rating) if points else None

    @property
    def maximum(self) -> int | None:
        """The highest total the rated items allow; None for a checklist that has no sum."""
        scores = self.checklist.scores
        return max(scores) * sum(bool(rating) for rating in self.ratings) if scores else None

    def __str__(self) -> str:
        shown = f"{self.total} of {self.maximum}" if self.total is not None else ", ".join(self.ratings)
        return f"{self.study}, {self.checklist.name}: {shown}"


_MINORS_COMPARATIVE: Final = (
    "adequate control group",
    "contemporary groups",
    "baseline equivalence",
    "adequate statistical analysis",
)
MINORS: Final = Checklist(
    "MINORS",
    (
        "stated aim",
        "consecutive patients",
        "prospective data",
        "appropriate endpoints",
        "unbiased assessment",
        "appropriate follow-up",
        "loss to follow-up below 5%",
        "prospective sample size",
        *_MINORS_COMPARATIVE,
    ),
    ratings=("2", "1", "0"),
    scores=(2, 1, 0),
    comparative_items=_MINORS_COMPARATIVE,
    reference="Slim K et al. (2003). Methodological index for non-randomized studies. ANZ J Surg 73:712-716.",
)
QUIPS: Final = Checklist(
    "QUIPS",
    (
        "study participation",
        "study attrition",
        "prognostic factor measurement",
        "outcome measurement",
        "study confounding",
        "statistical analysis and reporting",
    ),
    ratings=("low", "moderate", "high"),
    reference="Hayden JA et al. (2013). Assessing bias in studies of prognostic factors. Ann Intern Med 158:280-286.",
)
JBI_CASE_SERIES: Final = Checklist(
    "JBI case series",
    (
        "clear inclusion criteria",
        "condition measured reliably",
        "condition identified validly",
        "consecutive inclusion",
        "complete inclusion",
        "demographics reported",
        "clinical information reported",
        "outcomes or follow-up reported",
        "site demographics reported",
        "appropriate statistical analysis",
    ),
    ratings=("yes", "unclear", "no", "not applicable"),
    reference="Munn Z et al. (2020). Methodological quality of case series studies. JBI Evid Synth 18:2127-2133.",
)
