"""Audit plot: studies with findings by checks, with a sign for each severity, so that no colour is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from netsynth.plots import _style
from netsynth.plots._grid import Steps, mark_grid
from netsynth.plots._key import Sample
from netsynth.plots._style import Look
from netsynth.results.audit import SEVERITIES, Audit, AuditStatus, Severity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["audit_plot"]

STEPS: Final = Steps(0.3, 0.27, 0.42)  # nearer than the least counts touch
SIGNS: Final[Mapping[Severity, tuple[str, str, str]]] = {
    "impossible": ("×", _style.VERMILION, "white"),
    "incoherent": ("≠", _style.ORANGE, _style.INK),
    "suspicious": ("?", _style.SKY, _style.INK),
}
QUIET: Final[Mapping[AuditStatus, Look]] = {
    "passed": {"ls": "", "marker": "o", "ms": 2.6, "color": _style.INK, "mec": "none", "zorder": 3},
    "not checkable": {"ls": "", "marker": "_", "ms": 4.5, "mew": 0.9, "color": _style.GREY, "zorder": 3},
}


def audit_plot(audit: Audit, *, ax: Axes | None = None) -> Axes:
    """Studies with findings by the checks that were made, and how often each was made and could not be.

    Parameters
    ----------
    audit : Audit
        From `netsynth.audit`.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.

    Returns
    -------
    Axes
        Coordinates count checks and studies, from 0.

    Raises
    ------
    InvalidInputError
        If the axes are too small for the text.

    Notes
    -----
    A disc is a finding: × impossible, ≠ incoherent, ? suspicious, the gravest where there are several. A dot is a
    check that found nothing, a dash one that the printed numbers did not allow, and an empty place one for which there
    was nothing to check. Studies without findings are counted in the last rows alone.

    Examples
    --------
    >>> from netsynth.audit import audit
    >>> from netsynth.datasets import load_nethm
    >>> ax = audit_plot(audit(load_nethm()))
    >>> len(ax.get_ylim()), "Not checkable" in [text.get_text() for text in ax.texts]
    (2, True)
    """
    found = [i for i, row in enumerate(audit.status) if set(row) & set(SEVERITIES)]
    labels = [_style.one_line(audit.labels[i]) for i in found]
    checks = [check[:1].upper() + check[1:] for check in audit.checks]
    counts = {
        "Findings": [str(count.n_found) for count in audit.counts],
        "Checks made": [str(count.n_checked) for count in audit.counts],
        "Not checkable": [str(count.n_not_checkable) for count in audit.counts],
    }
    with _style.style():
        ax, size = mark_grid(
            ax, labels=labels, headings=checks, counts=counts, steps=STEPS, key=("Finding", _samples(audit))
        )
        _cells(ax, [audit.status[i] for i in found], size)
    return ax


def _cells(ax: Axes, rows: list[tuple[AuditStatus, ...]], size: float) -> None:
    looks: dict[AuditStatus, tuple[Look, ...]] = {name: (look,) for name, look in QUIET.items()}
    looks.update({severity: _disc(severity, size) for severity in SIGNS})
    for status, drawn in looks.items():
        at = [(x, y) for y, row in enumerate(rows) for x, found in enumerate(row) if found == status]
        for look in drawn if at else ():
            ax.plot(*zip(*at, strict=True), label=status, **look)


def _disc(severity: Severity, size: float) -> tuple[Look, Look]:
    """A disc with its sign."""
    sign, color, ink = SIGNS[severity]
    disc: Look = {"ls": "", "marker": "o", "ms": size, "color": color, "mec": "none", "zorder": 3}
    return disc, {**_style.sign(sign, ink), "zorder": 4}


def _samples(audit: Audit) -> list[Sample]:
    """Severities that were found, and the two quiet marks."""
    found = [severity for severity, n in audit.n_findings.items() if n]
    return [
        *(Sample(severity, _disc(severity, 10.5)) for severity in found),
        *(Sample(status, (look,)) for status, look in QUIET.items()),
    ]
