"""The flow of studies and reported figures as a table."""

from __future__ import annotations

from netsynth import _format
from netsynth.results.review_flow import ReviewFlow
from netsynth.tables.table import Column, Table

__all__ = ["flow_table"]


def flow_table(flow: ReviewFlow) -> Table:
    """Reported figures by outcome: found, left out by reason, taken.

    Parameters
    ----------
    flow : ReviewFlow
        From `netsynth.report.analyse_review`.

    Returns
    -------
    Table
        One row an outcome; the footnotes tell the flow of studies.

    Examples
    --------
    >>> from netsynth.datasets import load_nethm
    >>> from netsynth.outcomes import summarize_outcomes
    >>> review = load_nethm()
    >>> every = summarize_outcomes(review, sets=["core"], min_studies=0)
    >>> table = flow_table(ReviewFlow.of(review, every))
    >>> table.footnotes[0]
    '44 studies in the review: 19 studies with an outcome, 1083 patients, 32 studies with a prognostic factor.'
    """
    reasons = list(dict.fromkeys(reason for line in flow.lines for reason in line.left_out))
    columns = [Column("Outcome"), Column("Figures found", "right")]
    columns += [Column(f"Left out: {reason}", "right") for reason in reasons]
    columns.append(Column("Taken", "right"))
    rows = [
        (
            line.label,
            str(line.found),
            *(str(line.left_out.get(reason, "")) for reason in reasons),
            str(line.taken),
        )
        for line in flow.lines
    ]
    notes = [f"{_format.plural(flow.n_studies, 'study', 'studies')} in the review: {', '.join(flow.after)}."]
    gone = [f"{n} taken out ({reason})" for reason, n in flow.taken_out.items()]
    gone += [f"{n} ({reason})" for reason, n in flow.unused.items()]
    if gone:
        notes.append(f"Without an outcome: {', '.join(gone)}.")
    notes.append(f"Before that: {'; '.join(flow.before)}.")
    notes.append(
        f"{flow.n_found} figures, {flow.n_taken} taken; one whose landmark is not stated stands at each landmark."
    )
    return Table("Flow of reported figures", tuple(columns), tuple(rows), tuple(notes))
