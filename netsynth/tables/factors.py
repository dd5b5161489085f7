"""Tables of prognostic factors: the counts, the evidence behind them, and where each printed name went."""

from __future__ import annotations

from collections import Counter

from netsynth import _format
from netsynth.results.evidence import ANY_ENDPOINT, FactorEvidence, FactorRow
from netsynth.results.factor_cuts import chosen_cut_points
from netsynth.results.prognostic import FactorSummary
from netsynth.tables._marks import Marks
from netsynth.tables.characteristics import count
from netsynth.tables.table import Column, Table

__all__ = ["evidence_table", "factor_table", "mapping_table"]


def factor_table(summary: FactorSummary) -> Table:
    """Prognostic factors, one row a factor and endpoint, with a row for any endpoint where there are several.

    Parameters
    ----------
    summary : FactorSummary
        From `summarize_factors`.

    Returns
    -------
    Table
        Studies and patients, directions with the exact sign test, results called significant, hazard ratios.
        The last footnotes say what counting cannot show.

    Examples
    --------
    >>> from netsynth.datasets import load_nethm
    >>> from netsynth.prognostic import summarize_factors
    >>> table = factor_table(summarize_factors(load_nethm()))
    >>> table.columns[0].header, table.rows[0][0]
    ('Factor', 'completeness of resection')
    """
    marks = Marks()
    several = Counter(row.factor for row in summary.rows)
    shown = [row for row in summary.rows if row.endpoint != ANY_ENDPOINT or several[row.factor] > 2]
    columns = (
        Column("Factor"),
        Column("Levels"),
        Column("Endpoint"),
        Column("Studies", "right"),
        Column("Patients", "right"),
        Column("Worse", "right"),
        Column("Better", "right"),
        Column("No difference", "right"),
        Column("Not stated", "right"),
        Column("Sign test p", "decimal"),
        Column("Bounds of p"),
        Column("Significant"),
        Column("Hazard ratio"),
    )
    rows, before = [], ""
    for row in shown:
        # the name of a factor stands once, on its first row
        first, before = row.factor != before, row.factor
        rows.append((row.factor if first else "", row.levels if first else "", *_cells(row, marks)))
    notes = [
        *marks.footnotes,
        "Worse and better: studies in which the first level fared so. Bounds: over all that unknown and inferred "
        "directions may be.",
        "Counting directions says nothing about the size of an effect; counts of significant results depend on the "
        "size of the studies.",
        summary.rule,
    ]
    return Table.filled("Prognostic factors", columns, rows, [note for note in notes if note])


def _cells(row: FactorRow, marks: Marks) -> tuple[str, ...]:
    directions, said = row.directions, row.significance
    tested = said["yes"] + said["no"]
    mark = ""
    if directions.n_inferred:
        mark = marks(
            "Some directions are inferred from the level that a significant result names as adverse; no test uses them."
        )
    return (
        _plain(row.endpoint),
        str(row.k),
        count(row.n_patients or None),
        f"{directions.n_worse}{mark}",
        str(directions.n_better),
        str(directions.n_none),
        str(directions.n_not_stated),
        directions.shown_pvalue,
        directions.shown_bounds,
        f"{said['yes']} of {tested}" if tested else "",
        "; ".join(ratios.words() for ratios in row.hazard_ratios if ratios.k) + _cut_marks(row, marks),
    )


def _cut_marks(row: FactorRow, marks: Marks) -> str:
    where = dict.fromkeys(ratios.cut_points for ratios in row.hazard_ratios if ratios.cut_points)
    found = [marks(f"{row.factor}: pooled over different cut-points, {each}.") for each in where]
    if chosen := chosen_cut_points(row.informative):
        found.append(
            marks(
                f"{row.factor}: cut-point chosen by the outcome in {chosen}; HR too far from 1, p too small."
            )
        )
    return "".join(found)


def evidence_table(summary: FactorSummary, *, factor: str = "") -> Table:
    """Every result behind the counts, one row each, by factor and endpoint.

    Parameters
    ----------
    summary : FactorSummary
        From `summarize_factors`.
    factor : str
        Only this factor, in harmonised words; by default all.

    Returns
    -------
    Table
        Study, patients, levels and hazard ratio as printed but turned to the adverse level, p-value, analysis,
        what the source calls significant, direction, and why a result is not counted.

    Raises
    ------
    KeyError
        If the summary has no such factor; the message lists what it has.

    Examples
    --------
    >>> from netsynth.datasets import load_nethm
    >>> from netsynth.prognostic import summarize_factors
    >>> print(evidence_table(summarize_factors(load_nethm()), factor="age").title)
    Evidence on age
    """
    if factor:
        summary.row(factor)  # raises when it is unknown
    columns = (
        Column("Factor"),
        Column("Endpoint"),
        Column("Study"),
        Column("Patients", "right"),
        Column("Levels"),
        Column("Analysis"),
        Column("HR (95% CI)", "decimal"),
        Column("p", "decimal"),
        Column("Significant"),
        Column("Direction"),
        Column("Not counted because"),
    )
    rows = [
        ("" if factor else result.factor, *_evidence_cells(result))
        for row in summary.rows
        if row.endpoint != ANY_ENDPOINT and factor in ("", row.factor)
        for result in row.results
    ]
    notes = (
        "Levels and ratios speak of the adverse level against the other; ratios printed for the other are inverted.",
    )
    shown = columns[1:] if factor else columns
    cells = [row[1:] for row in rows] if factor else rows
    return Table.filled(f"Evidence on {factor or 'prognostic factors'}", shown, cells, notes)


def _evidence_cells(result: FactorEvidence) -> tuple[str, ...]:
    sign = "" if result.pvalue is None or result.pvalue.qualifier == "=" else result.pvalue.qualifier
    return (
        _plain(result.endpoint),
        result.label,
        count(result.n_patients),
        result.printed_levels,
        result.analysis,
        result.ratio,
        "" if result.pvalue is None else f"{sign}{result.pvalue.text}",
        result.significance,
        f"{result.voted_direction}, by its {result.direction_from}"
        if result.direction_from
        else result.direction,
        result.left_out,
    )


def mapping_table(summary: FactorSummary) -> Table:
    """Where every printed factor and pair of levels went, one row each.

    Parameters
    ----------
    summary : FactorSummary
        From `summarize_factors`.

    Returns
    -------
    Table
        The printed words, the harmonised ones, and whether the levels were inverted.

    Examples
    --------
    >>> from netsynth.datasets import load_nethm
    >>> from netsynth.prognostic import summarize_factors
    >>> [column.header for column in mapping_table(summarize_factors(load_nethm())).columns]
    ['Printed factor', 'Printed levels', 'Results', 'Factor', 'Levels', 'Levels are']
    """
    columns = (
        Column("Printed factor"),
        Column("Printed levels"),
        Column("Results", "right"),
        Column("Factor"),
        Column("Levels"),
        Column("Levels are"),
    )
    rows = [
        (
            name.printed_factor,
            _pair(name.printed_adverse, name.printed_reference),
            str(name.n_results),
            name.harmonised.factor if name.harmonised.mapped else f"{name.harmonised.factor} (kept)",
            _pair(name.harmonised.adverse, name.harmonised.reference),
            name.harmonised.orientation,
        )
        for name in summary.mapping
    ]
    total = _format.plural(len(rows), "printed name and pair of levels", "printed names and pairs of levels")
    return Table.filled(f"Harmonisation of prognostic factors: {total}", columns, rows)


def _pair(adverse: str, reference: str) -> str:
    return " vs ".join(level for level in (adverse, reference) if level)


def _plain(code: str) -> str:
    return code.replace("_", " ")
