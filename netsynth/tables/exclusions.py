"""The table of what was left out."""

from __future__ import annotations

from collections.abc import Iterable

from netsynth import _format
from netsynth.data.selection import Exclusion
from netsynth.tables.table import Column, Table

__all__ = ["exclusions_table"]


def exclusions_table(exclusions: Iterable[Exclusion]) -> Table:
    """Figures or studies that were left out, each with its reason; what is left out twice alike is shown once.

    Parameters
    ----------
    exclusions : iterable of Exclusion
        Such as `Selection.excluded`, `Review.excluded` or `OutcomeSummary.exclusions`.

    Returns
    -------
    Table
        One row an exclusion, in the order given.

    Examples
    --------
    >>> print(exclusions_table([Exclusion("a", "comparator", "not asked for", "SV005", "60%, inoperable")]))
    1 exclusion
    <BLANKLINE>
    Study  Row    Figure           Reason
    -----  -----  ---------------  -------------
    a      SV005  60%, inoperable  not asked for
    """
    given = list(dict.fromkeys(exclusions))
    columns = (Column("Study"), Column("Row"), Column("Figure"), Column("Reason"))
    rows = [(one.study, one.row_id, one.shown, one.reason) for one in given]
    return Table.filled(_format.plural(len(rows), "exclusion"), columns, rows)
