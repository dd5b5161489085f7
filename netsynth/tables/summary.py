"""The table of an abstract: median and range of every outcome, beside the published ones."""

from __future__ import annotations

import math

from netsynth import _format
from netsynth.results.aggregated import MedianRange
from netsynth.results.outcomes import OutcomeRow, OutcomeSummary
from netsynth.tables._marks import Marks
from netsynth.tables.table import Column, Table

__all__ = ["summary_table"]


def summary_table(summary: OutcomeSummary, *, level: float = 0.95) -> Table:
    """Medians and ranges over studies, one row an outcome, with what a published review printed.

    Parameters
    ----------
    summary : OutcomeSummary
        From `summarize_outcomes`.
    level : float
        Level of the order-statistic interval of the median; where too few studies allow none, the cell is empty.

    Returns
    -------
    Table
        Studies, patients (where groups print their size), median, range, interquartile range, confidence
        interval; the published median and range and the difference where there are any.

    Raises
    ------
    InvalidInputError
        If the level is not a fraction.

    Examples
    --------
    >>> from netsynth.data.review import Review
    >>> from netsynth.data.study import Study
    >>> from netsynth.data.survival import ReportedSurvival
    >>> from netsynth.outcomes import summarize_outcomes
    >>> printed = {"Chen": 73, "Nave": 47, "Elias": 71}
    >>> review = Review(
    ...     [Study(name) for name in printed],
    ...     [ReportedSurvival.from_percent(s, "OS", years=[5], percent=[p], n_total=9) for s, p in printed.items()],
    ... )
    >>> print(summary_table(summarize_outcomes(review)))
    Medians and ranges over studies
    <BLANKLINE>
    Outcome    Studies  Patients  Median  Range   IQR
    ---------  -------  --------  ------  ------  ------
    5-year OS        3        27     71%  47–73%  59–72%
    """
    marks = Marks()
    columns = (
        Column("Outcome"),
        Column("Studies", "right"),
        Column("Patients", "right"),
        Column("Median", "decimal"),
        Column("Range"),
        Column("IQR"),
        Column(f"{100 * level:g}% CI of the median"),
        Column("Published median", "decimal"),
        Column("Published range"),
        Column("Difference", "decimal"),
    )
    rows = [
        (
            _sentence_case(row.label),
            str(row.k),
            _patients(row, marks),
            *_own(row.summary, level, marks),
            *_published(row),
        )
        for row in summary.rows
    ]
    notes = marks.footnotes
    if any(row.target is not None for row in summary.rows):
        notes.append("Difference: this median minus the published one, in percentage points or months.")
    return Table.filled("Medians and ranges over studies", columns, rows, notes)


def _patients(row: OutcomeRow, marks: Marks) -> str:
    total = row.selection.n_total
    if not total:
        return ""
    some = any(candidate.n_total is None for candidate in row.selection.chosen)
    return f"{total}{marks('Some studies do not print their number of patients.') if some else ''}"


def _own(summary: MedianRange | None, level: float, marks: Marks) -> tuple[str, str, str, str]:
    if summary is None:
        return ("", "", "", "")
    mark = ""
    if summary.n_open:
        mark = marks("Some studies print an open end, such as >96 months; bounds allow for all it may be.")
    if not summary.pooled:
        return (summary.shown_median + mark, "", "", "")
    interval = summary.confidence_interval(level)
    limits = "" if math.isnan(interval.coverage) or interval.reason else summary.shown_span(*interval[:2])
    return (
        summary.shown_median + mark,
        summary.shown_range,
        summary.shown_span(summary.q1, summary.q3),
        limits,
    )


def _published(row: OutcomeRow) -> tuple[str, str, str]:
    if row.target is None:
        return ("", "", "")
    gap = row.difference
    printed_range = "" if row.target.range is None else str(row.target.range)
    return (str(row.target.median), printed_range, "" if math.isnan(gap) else _signed(gap))


def _signed(value: float) -> str:
    text = _format.number(value, 1)
    return f"+{text}" if float(text) > 0 else text


def _sentence_case(label: str) -> str:
    return label[:1].upper() + label[1:]
