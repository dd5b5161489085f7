"""One renderer a format; every table goes through these."""

from __future__ import annotations

import csv
import html
import io
import itertools
import re
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from netsynth.io.cells import guard

if TYPE_CHECKING:
    from netsynth.tables.table import Column, Table

#: Letters that mark footnotes, and what they are when a format has superscripts of its own.
SUPERSCRIPTS: Final = "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ"
_LETTERS: Final = str.maketrans(SUPERSCRIPTS, "abcdefghijklmnoprstuvwxyz")
_MARK: Final = re.compile(f"[{SUPERSCRIPTS}]+")

#: A number with what may follow it: a sign and whole digits, then decimals, unit, mark or a short remark.
_NUMBER: Final = re.compile(r"([<>≤≥~+-]?\d+)((?:\.\d+)?(?:[^\d.].{0,11})?)")
_PLAIN_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?%?", re.ASCII)
_MARKDOWN: Final = re.compile(r"([\\`*_\[\]<|$~&])")
#: Characters after which a cell, or a footnote, goes on in the next line of a terminal.
_CELL_WIDTH: Final = 44
_NOTE_WIDTH: Final = 110
#: More rows than a page holds.
_LONG: Final = 40
#: Columns with a cell longer than this wrap, in LaTeX and HTML, but are not made narrower than 12em.
_WRAPPED: Final = 30
#: Cells shorter than this never wrap in HTML.
_SHORT: Final = 20
_TIGHT: Final = ' style="white-space: nowrap"'
_RIGHT: Final = ' style="text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums"'
_LATEX: Final = {
    "\\": r"\textbackslash{}",
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "·": r"\textperiodcentered{}",
    '"': "''",
    "\0": "{}",  # put between two hyphens, which would be set as a dash
    **{
        char: f"${command}$"
        for char, command in {
            "<": "<",
            ">": ">",
            "|": "|",
            "≤": r"\leq",
            "≥": r"\geq",
            "±": r"\pm",
            "×": r"\times",
            "−": "-",
            "∞": r"\infty",
            "²": "^2",
            "τ": r"\tau",
            "µ": r"\mu",
            "→": r"\rightarrow",
            "✓": r"\surd",
        }.items()
    },
}
_LATEX_CHARS: Final = str.maketrans(_LATEX)


def split_number(cell: str) -> tuple[str, str] | None:
    """What stands before and after the place of the decimal point; None for a cell that is no number."""
    found = _NUMBER.fullmatch(cell)
    return (found[1], found[2]) if found else None


def plain(table: Table) -> str:
    """Aligned text for a terminal; long cells go on in the next line."""
    columns = [_padded(column, [row[i] for row in table.rows]) for i, column in enumerate(table.columns)]
    lines = []
    for row in zip(*columns, strict=True):
        blanks = [" " * len(cell[0]) for cell in row]
        for parts in itertools.zip_longest(*row):
            filled = (part or blank for part, blank in zip(parts, blanks, strict=True))
            lines.append("  ".join(filled).rstrip())
    lines.insert(1, "  ".join("-" * len(column[0][0]) for column in columns))
    body = "\n".join(lines)
    notes = "\n".join(line for note in table.footnotes for line in textwrap.wrap(note, _NOTE_WIDTH))
    return "\n\n".join(filter(None, (table.title, body, notes)))


def _padded(column: Column, cells: Sequence[str]) -> list[list[str]]:
    """The lines of the header and of each cell, all of one width."""
    whole, rest = _widths(cells) if column.align == "decimal" else (0, 0)
    shown: list[list[str]] = []
    for cell in cells:
        parts = split_number(cell) if column.align == "decimal" else None
        if parts:
            shown.append([parts[0] + parts[1].ljust(rest)])
        elif column.align == "right":
            shown.append([cell])
        else:
            lines = textwrap.wrap(cell, _CELL_WIDTH) or [""]
            # what is no number begins where the numbers do
            shown.append([line.ljust(max(whole + rest, *map(len, lines))) for line in lines])
    width = max(len(line) for lines in (*shown, [column.header]) for line in lines)
    return [
        [line.ljust(width) if column.align == "left" else line.rjust(width) for line in lines]
        for lines in ([column.header], *shown)
    ]


def _widths(cells: Sequence[str]) -> tuple[int, int]:
    """Longest part before, and from, the decimal point of the numbers in a column."""
    pairs = [pair for pair in map(split_number, cells) if pair is not None]
    return max((len(whole) for whole, _ in pairs), default=0), max(
        (len(rest) for _, rest in pairs), default=0
    )


def markdown(table: Table) -> str:
    """Pipe table with its title above and its footnotes below."""

    def escaped(text: str) -> str:
        return _MARKDOWN.sub(r"\\\1", text)

    columns = []
    for i, column in enumerate(table.columns):
        cells = [escaped(column.header), *(escaped(row[i]) for row in table.rows)]
        width = max(3, *map(len, cells))
        right = column.align != "left"
        rule = "-" * (width - 1) + ":" if right else "-" * width
        shown = [cell.rjust(width) if right else cell.ljust(width) for cell in cells]
        columns.append([shown[0], rule, *shown[1:]])
    body = "\n".join(f"| {' | '.join(cells)} |" for cells in zip(*columns, strict=True))
    title = f"**{escaped(table.title)}**" if table.title else ""
    return "\n\n".join(filter(None, (title, body, *map(escaped, table.footnotes))))


def html_text(table: Table) -> str:
    """HTML; decimal points are aligned by giving the parts before and after them a width in digits."""

    def escaped(text: str) -> str:
        # without a line height of its own a superscript pushes its line apart
        raised = r'<sup style="line-height: 0">\g<0></sup>'
        return _MARK.sub(lambda mark: mark.expand(raised).translate(_LETTERS), html.escape(text))

    head = []
    for i, column in enumerate(table.columns):
        longest = max((len(row[i]) for row in table.rows), default=0)
        style = ' style="text-align: right"'
        if column.align == "left":
            style = ' style="min-width: 12em"' if longest > _WRAPPED else ""
        head.append(f'<th scope="col" class="{column.align}"{style}>{escaped(column.header)}</th>')
    widths = [_widths([row[i] for row in table.rows]) for i in range(len(table.columns))]
    rows = []
    for row in table.rows:
        cells = []
        for column, cell, (whole, rest) in zip(table.columns, row, widths, strict=True):
            pair = split_number(cell) if column.align == "decimal" else None
            long = column.align == "decimal" and pair is None and len(cell) > whole + rest
            shown = escaped(cell)
            if pair is not None:
                shown = _html_part(escaped(pair[0]), whole, "right") + _html_part(
                    escaped(pair[1]), rest, "left"
                )
            elif column.align == "decimal" and cell and not long:
                shown = _html_part(shown, whole + rest, "left")
            style = _RIGHT if column.align != "left" and not long else _TIGHT if len(cell) < _SHORT else ""
            cells.append(f'<td class="{column.align}"{style}>{shown}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    notes = "<br>\n".join(map(escaped, table.footnotes))
    lines = [
        '<div class="netsynth-table">',
        "<table>",
        *([f"<caption>{escaped(table.title)}</caption>"] if table.title else []),
        f"<thead>\n<tr>{''.join(head)}</tr>\n</thead>",
        "<tbody>",
        *rows,
        "</tbody>",
        "</table>",
        *([f'<p class="notes">{notes}</p>'] if notes else []),
        "</div>",
    ]
    return "\n".join(lines)


def _html_part(text: str, width: int, align: str) -> str:
    # the unit ch is the width of a digit; some signs are wider, so a part may grow rather than overlap
    style = f"display: inline-block; min-width: {width}ch; text-align: {align}; white-space: pre"
    return f'<span style="{style}">{text}</span>'


def latex(table: Table) -> str:
    """LaTeX with booktabs; a decimal column is two columns that meet at the point."""
    spec, head = [], []
    for i, column in enumerate(table.columns):
        cells = [row[i] for row in table.rows]
        if column.align == "decimal":
            spec.append("r@{}l")
            head.append(f"\\multicolumn{{2}}{{r}}{{{latex_escaped(column.header)}}}")
        else:
            wide = max(map(len, ["", *cells])) > _WRAPPED
            spec.append("r" if column.align == "right" else "p{12em}" if wide else "l")
            head.append(latex_escaped(column.header))
    header = f"{' & '.join(head)} \\\\"
    rows = [
        " & ".join(_latex_cell(column, cell) for column, cell in zip(table.columns, row, strict=True))
        + " \\\\"
        for row in table.rows
    ]
    columns = "".join(spec)
    caption = f"\\caption{{{latex_escaped(table.title)}}}"
    notes = [f"{latex_escaped(note)}\\par" for note in table.footnotes]
    if len(table.rows) > _LONG:
        lines = [
            f"\\begin{{longtable}}{{{columns}}}",
            f"{caption} \\\\",
            "\\toprule",
            header,
            "\\midrule",
            "\\endfirsthead",
            "\\toprule",
            header,
            "\\midrule",
            "\\endhead",
            "\\bottomrule",
            "\\endfoot",
            *rows,
            "\\end{longtable}",
            *(["{\\footnotesize", *notes, "}"] if notes else []),
        ]
    else:
        lines = [
            "\\begin{table}",
            "\\centering",
            caption,
            f"\\begin{{tabular}}{{{columns}}}",
            "\\toprule",
            header,
            "\\midrule",
            *rows,
            "\\bottomrule",
            "\\end{tabular}",
            *(["\\par\\smallskip\\footnotesize", *notes] if notes else []),
            "\\end{table}",
        ]
    return "\n".join(lines)


def _latex_cell(column: Column, cell: str) -> str:
    if column.align != "decimal":
        return latex_escaped(cell)
    pair = split_number(cell)
    if pair is None:
        return f"\\multicolumn{{2}}{{l}}{{{latex_escaped(cell)}}}" if cell else " & "
    whole, rest = map(latex_escaped, pair)
    # a hyphen would stand for the minus, and a space that begins a cell would be lost
    whole = whole.replace("-", "$-$")
    return f"{whole} & ~{rest[1:]}" if rest.startswith(" ") else f"{whole} & {rest}"


def latex_escaped(text: str) -> str:
    """Text that LaTeX sets as it stands; letters it knows, accented ones among them, are left alone."""
    escaped = re.sub("-(?=-)", "-\0", text).translate(_LATEX_CHARS)
    return _MARK.sub(lambda mark: f"\\textsuperscript{{{mark[0].translate(_LETTERS)}}}", escaped)


def csv_text(table: Table) -> str:
    """CSV with guarded cells."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow([guard(column.header) for column in table.columns])
    writer.writerows(
        [cell if _PLAIN_NUMBER.fullmatch(cell) else guard(cell) for cell in row] for row in table.rows
    )
    if table.footnotes:
        writer.writerow([])
        writer.writerows([guard(note)] for note in table.footnotes)
    return stream.getvalue()
