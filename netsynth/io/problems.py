"""Every complaint about a source, collected, so that they come at once."""

from __future__ import annotations

from typing import Final

from netsynth.errors import Problem, ReadError

#: Problems kept; those beyond are counted, so that a file of a million bad rows needs no memory.
STORED: Final = 1000
#: Characters of a cell that a message shows.
SHOWN: Final = 60


class Problems:
    """A growing list of complaints."""

    def __init__(self) -> None:
        self.stored: list[Problem] = []
        self.total = 0

    def add(self, file: str, row: int | None, column: str, found: str, allowed: str) -> None:
        """Keep one complaint, or count it when there are many already."""
        self.total += 1
        if self.total <= STORED:
            self.stored.append(Problem(file, row, column, found, allowed))

    def raise_if_any(self) -> None:
        """Raise one `ReadError` that holds them all.

        Raises
        ------
        ReadError
            If there is a complaint.
        """
        if self.total:
            raise ReadError(self.stored, n_problems=self.total)


def shown(cell: str) -> str:
    """A cell as a message shows it."""
    return repr(cell) if len(cell) <= SHOWN else repr(cell[:SHOWN] + "…")
