"""Footnote marks, handed out as a builder meets what needs a note."""

from __future__ import annotations

from typing import Final

from netsynth.tables.render import SUPERSCRIPTS

_NO_MARKS: Final = str.maketrans("", "", SUPERSCRIPTS)


def unmarked(text: str) -> str:
    """The text without marks."""
    return text.translate(_NO_MARKS)


class Marks:
    """Superscript letters in the order in which their notes are first asked for."""

    def __init__(self) -> None:
        self._marks: dict[str, str] = {}

    def __call__(self, note: str) -> str:
        """The mark of a note, the same one each time."""
        if note not in self._marks:
            number, letters = len(self._marks), len(SUPERSCRIPTS)
            self._marks[note] = SUPERSCRIPTS[number % letters] * (number // letters + 1)
        return self._marks[note]

    @property
    def footnotes(self) -> list[str]:
        """Each note with its mark, in order."""
        return [f"{mark} {note}" for note, mark in self._marks.items()]
