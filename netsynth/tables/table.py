"""A table as it is shown: strings in rows, with alignment and footnotes, and a renderer for each format."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self, get_args

from netsynth import _validate
from netsynth.errors import InvalidInputError
from netsynth.tables import render

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Align", "Column", "Table"]

#: "decimal" puts the decimal points of numbers under each other; cells that are no number go to the left.
Align = Literal["left", "right", "decimal"]
ALIGNMENTS: Final[tuple[Align, ...]] = get_args(Align)


@dataclass(frozen=True, slots=True)
class Column:
    """The header of a column and where its cells stand: to the "left", the "right", or by their "decimal" point."""

    header: str
    align: Align = "left"

    def __post_init__(self) -> None:
        object.__setattr__(self, "header", _clean(self.header, "header"))
        _validate.choice(self.align, "align", ALIGNMENTS, where=f"column {self.header!r}")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text, ready to be shown.

    Cells are taken as they are, apart from line breaks and characters that cannot be printed, which become
    spaces. A superscript letter (ᵃ) after a cell points to the footnote that begins with it.

    Parameters
    ----------
    title : str
        The caption.
    columns : tuple of Column
        At least one. A text is taken for the header of a column aligned to the left.
    rows : tuple of tuple of str
        As many cells a row as there are columns.
    footnotes : tuple of str
        Lines below the table.

    Raises
    ------
    InvalidInputError
        If there is no column, a row has too few or too many cells, or a cell is no text.

    Examples
    --------
    >>> table = Table(
    ...     "5-year survival",
    ...     (Column("Study"), Column("n", "right"), Column("Survival", "decimal")),
    ...     [("Hibi 2007", "21", "41%"), ("Glazer 2010", "172", "77.4%ᵃ")],
    ...     ("ᵃ From a review.",),
    ... )
    >>> print(table)
    5-year survival
    <BLANKLINE>
    Study          n  Survival
    -----------  ---  --------
    Hibi 2007     21   41%
    Glazer 2010  172   77.4%ᵃ
    <BLANKLINE>
    ᵃ From a review.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    footnotes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        title = _clean(self.title, "title")
        columns = tuple(Column(c) if isinstance(c, str) else c for c in self.columns)
        headers = [column.header for column in columns]
        if not columns:
            raise InvalidInputError(f"{title}: a table needs at least one column.")
        rows = []
        for i, row in enumerate(self.rows):
            if len(row) != len(columns):
                raise InvalidInputError(
                    f"{title}, row {i}: {len(columns)} columns need as many cells; got {len(row)}."
                )
            cells = zip(headers, row, strict=True)
            rows.append(tuple(_clean(cell, f"row {i}, {header}") for header, cell in cells))
        object.__setattr__(self, "title", title)
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "rows", tuple(rows))
        object.__setattr__(self, "footnotes", tuple(_clean(note, "footnote") for note in self.footnotes))

    @classmethod
    def filled(
        cls,
        title: str,
        columns: Sequence[Column],
        rows: Iterable[Sequence[str]],
        footnotes: Sequence[str] = (),
    ) -> Self:
        """Table of those columns that some row fills; the first one stays in any case."""
        given = [tuple(row) for row in rows]
        kept = [i for i in range(len(columns)) if i == 0 or any(row[i] for row in given)]
        return cls(
            title,
            tuple(columns[i] for i in kept),
            tuple(tuple(row[i] for i in kept) for row in given),
            tuple(footnotes),
        )

    def to_frame(self) -> pd.DataFrame:
        """Data frame of the texts as shown; results have `summary_frame` for numbers."""
        import pandas as pd

        return pd.DataFrame(self.rows, columns=[column.header for column in self.columns], dtype=str)

    def to_markdown(self) -> str:
        """Pipe table, as GitHub and most others read it."""
        return render.markdown(self)

    def to_html(self) -> str:
        """HTML in a ``div`` of class ``netsynth-table``; needs no style sheet."""
        return render.html_text(self)

    def to_latex(self) -> str:
        """LaTeX that needs the packages booktabs and, for more than 40 rows, longtable."""
        return render.latex(self)

    def to_csv(self, path: str | os.PathLike[str] | None = None) -> str:
        """CSV as shown, footnotes below an empty line; with a path it is written there, too.

        What a spreadsheet might take for a formula gets an apostrophe, numbers excepted. The file is UTF-8
        with a byte order mark, without which spreadsheets misread it.
        """
        text = render.csv_text(self)
        if path is not None:
            Path(path).write_bytes(text.encode("utf-8-sig"))
        return text

    def __str__(self) -> str:
        return render.plain(self)

    def _repr_html_(self) -> str:
        return self.to_html()


def _clean(text: object, where: str) -> str:
    """One line of printable characters."""
    if not isinstance(text, str):
        raise InvalidInputError(f"{where}: a table holds text; got {text!r:.80}.")
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
