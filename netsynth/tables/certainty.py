"""The worksheets of GRADE as a table of findings: what was found, how sure it is, and why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from netsynth import _format
from netsynth.results.certainty import (
    DIRECTION,
    DOMAINS,
    PHASES,
    CertaintyDomain,
    CertaintyMove,
    FactorCertainty,
)
from netsynth.results.evidence import FactorRow, Stratum
from netsynth.results.prognostic import FactorSummary
from netsynth.tables.table import Column, Table

__all__ = ["certainty_table"]


def certainty_table(summary: FactorSummary, certainty: Iterable[FactorCertainty]) -> Table:
    """Findings with their certainty and the computed reason of each move, ready to paste.

    Parameters
    ----------
    summary : FactorSummary
        From `summarize_factors`, which was graded.
    certainty : iterable of FactorCertainty
        Worksheets of `grade_factor` and `grade_directions`.

    Returns
    -------
    Table
        Factor, outcome, studies with patients and events, finding, certainty, and each domain with its move and reason.
        What is the same in all rows stands once, in a footnote.

    Raises
    ------
    KeyError
        If the summary has no such factor and endpoint.

    Examples
    --------
    >>> from netsynth.certainty import grade_directions
    >>> from netsynth.datasets import load_nethm
    >>> from netsynth.prognostic import summarize_factors
    >>> summary = summarize_factors(load_nethm())
    >>> table = certainty_table(summary, [grade_directions(summary, "extrahepatic disease", "OS", phase=1)])
    >>> dict(zip([column.header for column in table.columns], table.rows[0]))["Finding"]
    'worse in 1 of 1 study with a stated direction; inferred from a significant result in 2 (worse in 2); adjusted HR
    3.0 from one study'
    """
    sheets = list(certainty)
    common = _common(sheets)
    rows, before = [], ""
    for sheet in sheets:
        row = summary.row(sheet.factor, sheet.endpoint)
        name = f"{row.factor} ({row.levels})" if row.levels else row.factor
        own = [_move(move) for move in sheet.moves if move.domain not in common]
        note = "" if sheet.status == "judged" else f" ({sheet.status})"
        rows.append(
            (
                "" if name == before else name,
                row.endpoint.replace("_", " "),
                _studies(sheet),
                _finding(row, sheet),
                f"{sheet.certainty}{note}",
                "; ".join(own),
            )
        )
        before = name
    columns = [Column(header) for header in ("Factor", "Outcome", "Studies", "Finding", "Certainty", "Why")]
    return Table.filled(
        "Certainty of the evidence on prognostic factors", columns, rows, _notes(sheets, common)
    )


def _common(sheets: list[FactorCertainty]) -> dict[CertaintyDomain, str]:
    """Domains of which all worksheets say the same, if there are several."""
    if len(sheets) < 2:
        return {}
    found: dict[CertaintyDomain, str] = {}
    for domain in DOMAINS:
        told = {_move(sheet.move(domain)) for sheet in sheets}
        if len(told) == 1:
            found[domain] = told.pop()
    return found


def _move(move: CertaintyMove) -> str:
    why = f"{move.reason} | {move.judgement}" if move.judgement else move.reason
    return f"{move.shown} {move.domain} ({why})"


def _studies(sheet: FactorCertainty) -> str:
    sizes = [_format.plural(sheet.n_patients, "patient")] if sheet.n_patients else []
    sizes += [_format.plural(sheet.n_events, "event")] if sheet.n_events is not None else []
    return f"{sheet.k} ({', '.join(sizes)})" if sizes else str(sheet.k)


def _finding(row: FactorRow, sheet: FactorCertainty) -> str:
    if sheet.stratum != DIRECTION:
        return row.ratios(sheet.stratum).words()
    count = row.directions
    low, high = (f"{100 * end:.0f}" for end in count.confidence_interval())
    limits = f" (95% CI {_format.span(low, high, '%')})" if count.n_stated > 1 else ""
    said = [f"{count.words}{limits}", *([count.inferred_words] if count.n_inferred else [])]
    ratios = (row.ratios(stratum) for stratum in get_args(Stratum))
    return "; ".join([*said, *(found.words() for found in ratios if found.k)])


def _notes(sheets: list[FactorCertainty], common: dict[CertaintyDomain, str]) -> list[str]:
    notes = [f"In all rows: {'; '.join(common.values())}."] if common else []
    starts = dict.fromkeys(f"{sheet.start} for {PHASES[sheet.phase]}" for sheet in sheets)
    if starts:
        notes.append(
            f"GRADE for prognostic factors, started at {_format.listing(starts)}. Proposed or incomplete until an "
            "author has judged every domain; ? is open and counts 0."
        )
    if any(sheet.stratum == DIRECTION for sheet in sheets):
        notes.append(
            "Without a pooled ratio the certainty is that of the direction that most studies found, not of its size."
        )
    return notes
