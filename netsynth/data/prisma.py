"""The flow of records, reports and studies through a review, with numbers that must add up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from netsynth import _format, _validate
from netsynth.errors import InvalidInputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PrismaFlow"]

#: Boxes of the flow in the words of the diagram.
BOXES: Final[Mapping[str, str]] = {
    "databases": "Records identified from databases",
    "registers": "Records identified from registers",
    "duplicates": "Duplicate records removed",
    "automation": "Records removed by automation",
    "removed_other": "Records removed for other reasons",
    "screened": "Records screened",
    "excluded": "Records excluded",
    "sought": "Reports sought for retrieval",
    "not_retrieved": "Reports not retrieved",
    "assessed": "Reports assessed for eligibility",
    "included_reports": "Reports of included studies",
    "included_studies": "Studies included",
    "other_identified": "Records identified by other methods",
    "other_sought": "Reports sought, other methods",
    "other_not_retrieved": "Reports not retrieved, other methods",
    "other_assessed": "Reports assessed, other methods",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PrismaFlow:
    """Records, reports and studies of a review as PRISMA 2020 draws them [1]_.

    Records are what a search finds, reports are papers, studies are what papers report. Counts that are given must
    add up; those left out (None) are found from the others where they follow.

    Parameters
    ----------
    databases, registers : int
        Records identified.
    duplicates, automation, removed_other : int
        Records removed before screening.
    screened : int or None
        Records screened.
    excluded : int
        Records excluded by title and abstract.
    sought : int or None
        Reports sought.
    not_retrieved : int
        Reports that could not be had.
    assessed : int or None
        Reports assessed.
    reasons : mapping of str to int
        Reports excluded, by reason.
    included_reports : int or None
        Reports of included studies.
    included_studies : int or None
        Studies, no more than reports.
    other_identified : int
        Records from other methods: citations, websites, organisations.
    other_sought : int or None
        Reports sought among them, at most as many.
    other_not_retrieved : int
        Of these not retrieved.
    other_assessed : int or None
        Of these assessed.
    other_reasons : mapping of str to int
        Of these excluded, by reason.

    Raises
    ------
    InvalidInputError
        If a count is no whole number of at least 0, or does not follow from the boxes before it; the message names the
        box, what it has and what it should have.

    References
    ----------
    .. [1] Page MJ, McKenzie JE, Bossuyt PM, et al (2021). The PRISMA 2020 statement: an updated guideline for reporting
       systematic reviews. BMJ 372:n71. https://doi.org/10.1136/bmj.n71

    Examples
    --------
    >>> flow = PrismaFlow(databases=700, duplicates=167, excluded=398, reasons={"no survival": 60, "mixed tumours": 33})
    >>> flow.screened, flow.assessed, flow.included_reports
    (533, 135, 42)
    """

    databases: int
    registers: int = 0
    duplicates: int = 0
    automation: int = 0
    removed_other: int = 0
    screened: int | None = None
    excluded: int = 0
    sought: int | None = None
    not_retrieved: int = 0
    assessed: int | None = None
    reasons: Mapping[str, int] = field(default_factory=dict)
    included_reports: int | None = None
    included_studies: int | None = None
    other_identified: int = 0
    other_sought: int | None = None
    other_not_retrieved: int = 0
    other_assessed: int | None = None
    other_reasons: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, box in BOXES.items():
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _validate.count(value, box))
        for name in ("reasons", "other_reasons"):
            object.__setattr__(self, name, _reasons(getattr(self, name), name))
        removed = self.duplicates + self.automation + self.removed_other
        self._settle("screened", self.identified - removed, "identified less removed before screening")
        self._settle("sought", self.n_screened - self.excluded, "screened less excluded")
        self._settle("assessed", self.n_sought - self.not_retrieved, "sought less not retrieved")
        if self.other_sought is None:
            object.__setattr__(self, "other_sought", self.other_identified)
        elif self.other_sought > self.other_identified:
            raise InvalidInputError(
                f"{BOXES['other_sought']}: {self.other_sought} are more than the {self.other_identified} records "
                "identified."
            )
        other = (self.other_sought or 0) - self.other_not_retrieved
        self._settle("other_assessed", other, "sought less not retrieved, other methods")
        left = self.n_assessed - self.n_excluded_reports + (self.other_assessed or 0) - self.n_other_excluded
        if self.n_excluded_reports > self.n_assessed:
            raise InvalidInputError(
                f"Reports excluded: the reasons add up to {self.n_excluded_reports}, more than the {self.n_assessed} "
                "assessed."
            )
        if self.n_other_excluded > (self.other_assessed or 0):
            raise InvalidInputError(
                f"Reports excluded, other methods: the reasons add up to {self.n_other_excluded}, more than the "
                f"{self.other_assessed} assessed."
            )
        self._settle("included_reports", left, "assessed less excluded, of both streams")
        if self.included_studies is not None and self.included_studies > self.n_included_reports:
            raise InvalidInputError(
                f"{BOXES['included_studies']}: {self.included_studies} are more than the {self.n_included_reports} "
                "reports of them. Records, reports and studies are different units; a study may have several "
                "reports, not the other way round."
            )

    def _settle(self, name: str, expected: int, rule: str) -> None:
        """Take what follows from the boxes before, or hold what is given against it."""
        if expected < 0:
            raise InvalidInputError(f"{BOXES[name]}: {rule} gives {expected}; a count cannot be negative.")
        given = getattr(self, name)
        if given is None:
            object.__setattr__(self, name, expected)
        elif given != expected:
            raise InvalidInputError(
                f"{BOXES[name]}: got {given}, but {rule} gives {expected}. {abs(given - expected)} "
                f"{'too many' if given > expected else 'missing'}; check this box and those before it."
            )

    @property
    def identified(self) -> int:
        """Records from databases and registers."""
        return self.databases + self.registers

    @property
    def n_screened(self) -> int:
        """Records screened."""
        return self.screened or 0

    @property
    def n_sought(self) -> int:
        """Reports sought."""
        return self.sought or 0

    @property
    def n_assessed(self) -> int:
        """Reports assessed."""
        return self.assessed or 0

    @property
    def n_included_reports(self) -> int:
        """Reports of included studies."""
        return self.included_reports or 0

    @property
    def n_excluded_reports(self) -> int:
        """Reports excluded after assessment."""
        return sum(self.reasons.values())

    @property
    def n_other_excluded(self) -> int:
        """Reports from other methods excluded after assessment."""
        return sum(self.other_reasons.values())

    @property
    def has_other_methods(self) -> bool:
        """Whether there is a second stream."""
        return self.other_identified > 0

    def counts(self) -> dict[str, int]:
        """Boxes with their counts, in the order of the flow."""
        found: dict[str, int] = {}
        for name, box in BOXES.items():
            value = getattr(self, name)
            if value is None or (name.startswith("other") and not self.has_other_methods):
                continue
            found[box] = value
        return found

    def __str__(self) -> str:
        removed = self.duplicates + self.automation + self.removed_other
        steps = [
            f"{_format.plural(self.identified, 'record')} identified, {removed} removed",
            f"{self.screened} screened, {self.excluded} excluded",
            f"{_format.plural(self.n_sought, 'report')} sought, {self.not_retrieved} not retrieved",
            f"{self.assessed} assessed, {self.n_excluded_reports} excluded",
        ]
        if self.has_other_methods:
            steps.append(
                f"{self.other_identified} identified by other methods, {self.other_assessed} assessed, "
                f"{self.n_other_excluded} excluded"
            )
        studies = ""
        if self.included_studies is not None:
            studies = f" of {_format.plural(self.included_studies, 'study', 'studies')}"
        return "; ".join([*steps, f"{_format.plural(self.n_included_reports, 'report')}{studies} included"])

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Flow diagram; needs matplotlib."""
        from netsynth.plots.prisma import prisma_plot

        return prisma_plot(self, ax=ax)


def _reasons(given: object, name: str) -> Mapping[str, int]:
    if not isinstance(given, Mapping):
        raise InvalidInputError(f"{name} must map reasons to counts; got {given!r:.60}.")
    return MappingProxyType(
        {_validate.text(reason, name): _validate.count(n, f"{name}, {reason}") for reason, n in given.items()}
    )
