"""Keys of figures: samples of what is drawn, laid out in as many lines as they need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from netsynth.plots import _style
from netsynth.plots._style import Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class Sample:
    """An entry of a key: what is drawn, as properties of lines one above the other, and what it means.

    Properties with a marker alone are drawn as one mark, others along a short line.
    """

    text: str
    looks: tuple[Look, ...]

    WIDE: Final = 0.22  # inches a sample takes

    @property
    def width(self) -> float:
        """Inches with its text."""
        return self.WIDE + 0.05 + _style.text_width([self.text], size=_style.SMALL)


@dataclass(frozen=True, slots=True)
class Key:
    """Samples laid out in lines of at most `width` inches, under bold headings if these are given."""

    groups: tuple[tuple[str, tuple[Sample, ...]], ...]
    width: float

    @property
    def _indent(self) -> float:
        widest = _style.text_width([heading for heading, _ in self.groups], weight="bold", size=_style.SMALL)
        return widest + 0.1 if widest else 0.0

    @property
    def lines(self) -> list[tuple[str, list[tuple[float, Sample]]]]:
        """For each line its heading and its samples with their place."""
        laid: list[tuple[str, list[tuple[float, Sample]]]] = []
        for heading, samples in self.groups:
            x, line = self._indent, list[tuple[float, Sample]]()
            laid.append((heading, line))
            for sample in samples:
                if line and x + sample.width > self.width:
                    x, line = self._indent, []
                    laid.append(("", line))
                line.append((x, sample))
                x += sample.width + _style.GAP
        return laid

    @property
    def height(self) -> float:
        """Inches it needs."""
        return len(self.lines) * _style.LINE

    @property
    def widest(self) -> float:
        """Inches of its widest line: more than `width` if a single sample is wider."""
        return max(
            (self._indent if not line else line[-1][0] + line[-1][1].width for _, line in self.lines),
            default=0.0,
        )

    def draw(self, ax: Axes, x: float, y: float, corner: tuple[float, float] = (0.0, 0.0)) -> None:
        """Draw with the upper left corner at inches from a corner of the axes."""
        place = _style.inches(ax, corner)
        for i, (heading, line) in enumerate(self.lines):
            middle = y - (i + 0.5) * _style.LINE
            if heading:
                _style.write(ax, x, middle, heading, place=place, weight="bold", size=_style.SMALL)
            for start, sample in line:
                left, right = x + start, x + start + sample.WIDE
                for look in sample.looks:
                    only_mark = look.get("ls") == ""
                    ends = [0.5 * (left + right)] if only_mark else [left, right]
                    ax.plot(ends, [middle] * len(ends), transform=place, clip_on=False, **look)
                _style.write(ax, right + 0.05, middle, sample.text, place=place, size=_style.SMALL)
