"""Audit plot: studies with findings by checks, with a sign for each severity, so that no colour is needed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from netsynth.plots import _style
from netsynth.plots._key import Key, Sample
from netsynth.plots._style import GAP, LEAST_ROW, ROW, Column, Look
from netsynth.results.audit import SEVERITIES, Audit, AuditStatus, Severity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["audit_plot"]

STEP: Final = 0.3  # inches from one check to the next
LEAST_STEP: Final = 0.27  # below which counts touch
MOST_STEP: Final = 0.42
SLANT: Final = 45  # degrees of the headings
CELL: Final = 0.16  # inches across a finding
TOP: Final = 0.6  # rows above the middle of the first study
HEAD: Final = 0.08  # inches from there to the headings
APART: Final = 0.35  # rows between studies and counts

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
    k, m = len(found), max(len(checks), 1)
    left = Column("Study", (*labels, *counts))
    with _style.style():
        slant = math.radians(SLANT)
        lengths = [_style.text_width([check]) + 0.05 for check in checks] or [0.0]
        head = HEAD + max(lengths) * math.sin(slant) + 0.07
        width_left = left.width + GAP
        reach = [length * math.cos(slant) + 0.07 for length in lengths]
        if ax is None:
            total = width_left + max([m * STEP, *((i + 0.5) * STEP + end for i, end in enumerate(reach))])
        else:
            total = _style.area(ax)[0]
        key = Key((("Finding", tuple(_samples(audit))),), total)
        foot = 0.1 + key.height
        y = [float(i) for i in range(k)] + [k + APART + i for i in range(len(counts))]
        n_rows = y[-1] + 1.0 + TOP
        if ax is None:
            total, step = max(total, key.widest), STEP
            ax = _style.new_axes(total, head + n_rows * ROW + foot)
        else:
            free = total - width_left
            step = min((free - end) / (i + 0.5) for i, end in enumerate(reach))
            step = max(min(step, free / m, MOST_STEP), LEAST_STEP)
        _, height = _style.make_room(
            ax,
            left=width_left,
            right=max(
                total - width_left - m * step,
                *(end - (m - 0.5 - i) * step for i, end in enumerate(reach)),
                0.0,
            ),
            head=head,
            foot=foot,
            least=(LEAST_STEP * m, LEAST_ROW * n_rows),
        )
        ax.set_xlim(-0.5, m - 0.5)
        ax.set_ylim(n_rows - TOP, -TOP)
        ax.set_xticks([])
        ax.set_yticks([])
        _style.frame(ax, x_axis=False)
        for i in range(1, k, 2):
            _style.stripe(ax, width_left, 0.0, i)
        _cells(ax, [audit.status[i] for i in found], 72 * min(CELL, 0.9 * height / n_rows, 0.8 * step))
        _headings(ax, checks)
        heading = -TOP - 0.09 * n_rows / height
        _style.write_columns(ax, [left], -width_left, y, heading, place=_style.beside(ax))
        for row, texts in zip(y[k:], counts.values(), strict=True):
            for i, text in enumerate(texts):
                _style.write(ax, i, row, text, place=ax.transData, align="center")
        for at in (-TOP, k - 0.5 + APART / 2):
            _style.rule(ax, width_left, 0.0, at)
        key.draw(ax, -width_left, -0.1)
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


def _headings(ax: Axes, checks: list[str]) -> None:
    from matplotlib.transforms import blended_transform_factory

    place = blended_transform_factory(ax.transData, _style.inches(ax, (0.0, 1.0)))
    for i, check in enumerate(checks):
        _style.write(ax, i, HEAD, check, place=place, rotation=SLANT, rotation_mode="anchor")


def _samples(audit: Audit) -> list[Sample]:
    """Severities that were found, and the two quiet marks."""
    found = [severity for severity, n in audit.n_findings.items() if n]
    return [
        *(Sample(severity, _disc(severity, 10.5)) for severity in found),
        *(Sample(status, (look,)) for status, look in QUIET.items()),
    ]
