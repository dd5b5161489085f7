"""The findings of an audit, and what could not be audited."""

from __future__ import annotations

from netsynth import _format
from netsynth.results.audit import SEVERITIES, Audit
from netsynth.tables.table import Column, Table

__all__ = ["audit_table"]


def audit_table(audit: Audit) -> Table:
    """Findings of an audit, one a row, with the least that would explain and the smallest change that would repair it.

    Parameters
    ----------
    audit : Audit
        From `netsynth.audit`.

    Returns
    -------
    Table
        The gravest first. The footnotes say what the severities mean, how often each check was made, and how often
        and why it could not be.

    Examples
    --------
    >>> from netsynth.audit import audit
    >>> from netsynth.data.survival import ReportedTime
    >>> times = [ReportedTime.of("Example", "PFS", 31), ReportedTime.of("Example", "OS", 24)]
    >>> table = audit_table(audit(times))
    >>> table.rows[0][:3], table.rows[0][-1]
    (('Example, PFS', 'incoherent', 'order of endpoints'), 'median OS 34 months instead of 24 months; ...')
    """
    label = dict(zip(audit.studies, audit.labels, strict=True))
    rows = [
        (
            _label_of(label[one.study], one.endpoint, one.group),
            one.severity,
            one.check,
            one.message,
            one.explanation,
            _repairs(one.corrections, one.n_corrections),
        )
        for one in audit.findings
    ]
    columns = [
        Column(header)
        for header in ("Study", "Severity", "Check", "What does not fit", "Unless", "Would fit with")
    ]
    meanings = "; ".join(f"{severity}: {meaning}" for severity, meaning in SEVERITIES.items())
    made = [
        f"{count.check} {count.n_checked}"
        + (f" (not checkable: {count.reasons})" if count.not_checkable else "")
        for count in audit.counts
    ]
    notes = [f"{meanings[:1].upper()}{meanings[1:]}."]
    notes += [f"Checks made: {'; '.join(made)}."] if made else []
    return Table(audit.headline, tuple(columns), tuple(rows), tuple(notes))


def _label_of(label: str, endpoint: str, group: str) -> str:
    return ", ".join(filter(None, (label, endpoint, "" if group == "overall" else group)))


def _repairs(corrections: tuple[str, ...], n: int) -> str:
    more = n - len(corrections)
    return "; ".join(corrections) + (f"; or {_format.plural(more, 'other change')}" if more else "")
