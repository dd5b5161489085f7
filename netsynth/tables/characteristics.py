"""The table of studies."""

from __future__ import annotations

import re
from typing import Final

from netsynth import _format
from netsynth.data.review import Review
from netsynth.data.study import Study
from netsynth.tables._marks import Marks
from netsynth.tables.table import Column, Table

__all__ = ["characteristics_table"]

#: How extractors write that a source is silent, possibly with where they looked: "not stated (table)".
_UNSTATED: Final = re.compile(r"not (?:stated|reported|given|shown)\b", re.IGNORECASE)
EMPTY_NOTE: Final = "Empty: not stated in what was read."


def characteristics_table(review: Review) -> Table:
    """Characteristics of the studies, one row a study in the order of the review.

    Parameters
    ----------
    review : Review
        The studies.

    Returns
    -------
    Table
        Country, enrolment, design, centres, population, patients, patients treated, follow-up; columns that no
        study fills are left out. Studies that may share patients carry one mark.

    Examples
    --------
    >>> from netsynth.data.study import Study
    >>> review = Review(
    ...     [
    ...         Study("a", first_author="Chen", year=1998, country="USA", n_patients=38, n_treated=15),
    ...         Study("b", first_author="Que", year=1995, n_patients=74, overlap=["c"]),
    ...         Study("c", first_author="Sarmiento", year=2003, n_patients=170),
    ...     ]
    ... )
    >>> print(characteristics_table(review))
    Characteristics of 3 studies
    <BLANKLINE>
    Study            Country  Patients  Treated
    ---------------  -------  --------  -------
    Chen 1998        USA            38       15
    Que 1995ᵃ                       74
    Sarmiento 2003ᵃ                170
    <BLANKLINE>
    ᵃ May share patients: Que 1995, Sarmiento 2003.
    Empty: not stated in what was read.
    """
    marks = Marks()
    units = {study.followup.unit for study in review.studies if study.followup is not None}
    shared_unit = units.pop() if len(units) == 1 else ""
    columns = (
        Column("Study"),
        Column("Country"),
        Column("Enrolment"),
        Column("Design"),
        Column("Centres"),
        Column("Population"),
        Column("Patients", "right"),
        Column("Treated", "right"),
        Column(f"Follow-up,{_format.unit_suffix(shared_unit)}" if shared_unit else "Follow-up", "decimal"),
    )
    rows = [
        (
            _marked_label(review, study, marks),
            _said(study.country),
            study.enrolment,
            _said(study.design),
            _said(study.centres),
            _said(study.population),
            count(study.n_patients),
            count(study.n_treated),
            _followup(study, bare=bool(shared_unit)),
        )
        for study in review.studies
    ]
    title = f"Characteristics of {_format.plural(len(rows), 'study', 'studies')}"
    return Table.filled(title, columns, rows, [*marks.footnotes, EMPTY_NOTE])


def count(n: int | None) -> str:
    """A number of people as a cell."""
    return "" if n is None else str(n)


def _said(text: str) -> str:
    return "" if _UNSTATED.match(text) else text.replace("_", " ")


def _marked_label(review: Review, study: Study, marks: Marks) -> str:
    cluster = review.overlap_cluster(study.id)
    if len(cluster) == 1:
        return study.label
    members = [other.label for other in review.studies if other.id in cluster]
    return study.label + marks(f"May share patients: {', '.join(members)}.")


def _followup(study: Study, *, bare: bool) -> str:
    if study.followup is None:
        return ""
    shown = study.followup.bare if bare else str(study.followup)
    return shown if study.followup_statistic == "not stated" else f"{shown} ({study.followup_statistic})"
