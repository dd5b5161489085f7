"""Studies by items: reporting completeness, and the ratings of a checklist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from netsynth.results.quality import RatingTable, ReportingCompleteness
from netsynth.tables.table import Column, Table

__all__ = ["ratings_table", "reporting_table"]

_NO_JUDGEMENT: Final = (
    "What is not among the extracted rows counts as not reported. "
    "This is no judgement of how well a study was done."
)


def reporting_table(completeness: ReportingCompleteness) -> Table:
    """Which characteristics each study reports: a tick for each, the totals, and the studies behind each item.

    Parameters
    ----------
    completeness : ReportingCompleteness
        From `score_reporting`.

    Returns
    -------
    Table
        One row a study and a last row with the number of studies; the footnotes say what counts as reported.

    Examples
    --------
    >>> from netsynth.data.review import Review
    >>> from netsynth.data.study import Study
    >>> from netsynth.quality import score_reporting
    >>> table = reporting_table(score_reporting(Review([Study("Chen", n_patients=38), Study("Lv")])))
    >>> table.to_frame().iloc[:, [0, 1, -1]].values.tolist()
    [['Chen', '✓', '1/9'], ['Lv', '–', '0/9'], ['Reported by', '1 of 2', '']]
    """
    items = completeness.items
    rows = [
        (label, *("✓" if cell == "yes" else "–" for cell in cells), total)
        for label, cells, total in zip(
            completeness.labels, completeness.cells, completeness.totals, strict=True
        )
    ]
    k = len(completeness.studies)
    rows.append(("Reported by", *(f"{n} of {k}" for n in completeness.item_counts.values()), ""))
    meanings = [
        f"{_sentence_case(item)}: {meaning}"
        for item, meaning in zip(items, completeness.meanings, strict=True)
    ]
    notes = [f"{'; '.join(meanings)}.", _NO_JUDGEMENT]
    return Table(completeness.title, _columns(items), tuple(rows), tuple(notes))


def ratings_table(ratings: RatingTable) -> Table:
    """Ratings of each study on one checklist, one row a study, and how often each rating was given.

    Parameters
    ----------
    ratings : RatingTable
        From `tabulate_assessments`.

    Returns
    -------
    Table
        One row a study and assessor, a total where the checklist has a sum, and last the counts for each item.

    Examples
    --------
    >>> from netsynth.data.quality import MINORS, QualityAssessment
    >>> from netsynth.data.review import Review
    >>> from netsynth.data.study import Study
    >>> from netsynth.quality import tabulate_assessments
    >>> rated = QualityAssessment.of("Algarni", MINORS, [2, 2, 0, 2, 0, 2, 2, 0])
    >>> table = ratings_table(tabulate_assessments(Review([Study("Algarni")], assessments=[rated]), MINORS))
    >>> table.rows[0][:4], table.rows[0][-1]
    (('Algarni', '2', '2', '0'), '10/16')
    """
    rows = [
        (label, *cells, total)
        for label, cells, total in zip(ratings.labels, ratings.cells, ratings.totals, strict=True)
    ]
    rows.append(("All", *(_given(counts) for counts in ratings.item_counts.values()), ""))
    return Table.filled(ratings.title, _columns(ratings.items), rows, ["Empty: does not apply."])


def _given(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{rating}: {n}" for rating, n in counts.items() if n)


def _columns(items: Sequence[str]) -> tuple[Column, ...]:
    return (Column("Study"), *(Column(_sentence_case(item)) for item in items), Column("Total", "right"))


def _sentence_case(item: str) -> str:
    return item[:1].upper() + item[1:]
