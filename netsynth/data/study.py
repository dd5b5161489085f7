"""A study and the groups of patients within it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from netsynth import _format, _validate
from netsynth.data._record import Record
from netsynth.data.number import ReportedNumber
from netsynth.errors import InvalidInputError
from netsynth.units import MONTHS_PER

__all__ = ["ROLES", "Group", "Role", "Study"]

Role = Literal["overall", "arm", "subgroup", "comparator"]
#: From the whole cohort to the group a review does not ask about.
ROLES: Final[tuple[Role, ...]] = ("overall", "arm", "subgroup", "comparator")

FollowupStatistic = Literal["median", "mean", "not stated"]


@dataclass(frozen=True, slots=True)
class Group(Record):
    """The patients a reported figure speaks of.

    Parameters
    ----------
    label : str
        The group in the paper's words.
    role : {"overall", "arm", "subgroup", "comparator"}
        The whole cohort, the arm under review, a part of either, or patients treated otherwise.
    n_total : int or None
        Patients in the group; None when not printed.
    evidence_set : str
        A label of the extractor's own, such as "core" or "newer", that questions to a review can ask for.
    duplicate : bool
        Whether the figure repeats patients that another study of the review reports.

    Raises
    ------
    InvalidInputError
        If the label is blank, the role unknown, or the number of patients not a positive whole number.
    """

    label: str = "overall"
    role: Role = "overall"
    n_total: int | None = None
    evidence_set: str = ""
    duplicate: bool = False

    def __post_init__(self) -> None:
        _validate.text(self.label, "group label")
        _validate.choice(self.role, "role", ROLES, where=f"group {self.label!r}")
        if self.n_total is not None:
            n_total = _validate.count(self.n_total, "n_total", where=f"group {self.label!r}", minimum=1)
            object.__setattr__(self, "n_total", n_total)

    def __str__(self) -> str:
        return self.label if self.n_total is None else f"{self.label} (n = {self.n_total})"


@dataclass(frozen=True, slots=True)
class Study(Record):
    """One cohort or trial as its reports describe it.

    Parameters
    ----------
    id : str
        Short name that every record of the study uses.
    first_author : str
        Family name; empty when the source did not show it.
    year : int or None
        Year of publication; None when not shown.
    country, design, centres, population : str
        In the paper's words, or empty.
    enrolment_start, enrolment_end : int or None
        Calendar years in which patients were enrolled.
    n_patients : int or None
        The whole cohort.
    n_treated : int or None
        The patients who had the treatment under review; never more than `n_patients`.
    followup : ReportedNumber or None
        Follow-up with its unit of time.
    followup_statistic : {"median", "mean", "not stated"}
        What `followup` is.
    overlap : tuple of str
        Ids of studies that share patients with this one.
    overlap_note : str
        What the source says about the overlap.
    sources : tuple of str
        Ids of the `Source` records.
    notes : str
        Anything else worth keeping.
    extra : tuple of (str, str)
        Further columns as they were given.

    Raises
    ------
    InvalidInputError
        If the id is blank, a number of patients is not a whole number, more patients were treated than
        enrolled, a year is not a year, enrolment ends before it starts, or follow-up has no unit of time.

    Examples
    --------
    >>> print(Study("mayo_2010", first_author="Mayo", year=2010, n_patients=339))
    Mayo 2010 (n = 339)
    """

    id: str
    first_author: str = ""
    year: int | None = None
    country: str = ""
    design: str = ""
    centres: str = ""
    population: str = ""
    enrolment_start: int | None = None
    enrolment_end: int | None = None
    n_patients: int | None = None
    n_treated: int | None = None
    followup: ReportedNumber | None = None
    followup_statistic: FollowupStatistic = "not stated"
    overlap: tuple[str, ...] = ()
    overlap_note: str = ""
    sources: tuple[str, ...] = ()
    notes: str = ""
    extra: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        _validate.text(self.id, "study id")
        self._freeze("overlap", "sources", "extra", where=self.id)
        for name in ("n_patients", "n_treated"):
            if (n := getattr(self, name)) is not None:
                object.__setattr__(self, name, _validate.count(n, name, where=self.id, minimum=1))
        if self.n_patients is not None and self.n_treated is not None and self.n_treated > self.n_patients:
            raise InvalidInputError(
                f"{self.id}: n_treated cannot exceed n_patients; got {self.n_treated} of {self.n_patients}."
            )
        for name in ("year", "enrolment_start", "enrolment_end"):
            if (given := getattr(self, name)) is not None:
                year = _validate.count(given, name, where=self.id)
                if not 1900 <= year <= 2100:
                    raise InvalidInputError(f"{self.id}: {name} must be a calendar year; got {year}.")
                object.__setattr__(self, name, year)
        if self.enrolment_start and self.enrolment_end and self.enrolment_end < self.enrolment_start:
            raise InvalidInputError(
                f"{self.id}: enrolment cannot end ({self.enrolment_end}) "
                f"before it starts ({self.enrolment_start})."
            )
        if self.followup is not None and self.followup.unit not in MONTHS_PER:
            raise InvalidInputError(f"{self.id}: followup needs a unit of time; got {self.followup.unit!r}.")
        _validate.choice(
            self.followup_statistic, "followup_statistic", ("median", "mean", "not stated"), where=self.id
        )

    @property
    def label(self) -> str:
        """Name for tables and figures: author and year, or the id when the author is not known."""
        name = self.first_author or self.id
        return f"{name} {self.year}" if self.year and self.first_author else name

    @property
    def enrolment(self) -> str:
        """The enrolment period as a table shows it."""
        if self.enrolment_start is None and self.enrolment_end is None:
            return ""
        start, end = (
            "?" if year is None else str(year) for year in (self.enrolment_start, self.enrolment_end)
        )
        return start if start == end else _format.span(start, end)

    def __str__(self) -> str:
        return self.label if self.n_patients is None else f"{self.label} (n = {self.n_patients})"
