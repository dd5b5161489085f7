"""The nine items of a synthesis without meta-analysis, as a table."""

from __future__ import annotations

from netsynth.results.swim import SwimReport
from netsynth.tables.table import Column, Table

__all__ = ["swim_table"]


def swim_table(report: SwimReport) -> Table:
    """The nine items, one row each; what is still to be written says so.

    Parameters
    ----------
    report : SwimReport
        From `swim_report`.

    Returns
    -------
    Table
        Number, name, text, and who wrote it.

    Examples
    --------
    >>> from netsynth.datasets import load_nethm
    >>> from netsynth.prognostic import summarize_factors
    >>> from netsynth.swim import swim_report
    >>> table = swim_table(swim_report(summarize_factors(load_nethm())))
    >>> table.rows[4][:2], table.rows[4][3]
    (('4', 'priority'), 'to be written')
    """
    columns = (Column("Item"), Column("Name"), Column("Text"), Column("Written by"))
    rows = [(item.number, item.name, item.shown.replace("\n", " "), item.source) for item in report.items]
    return Table(f"{report.title}: synthesis without meta-analysis", columns, tuple(rows), (report.verdict,))
