"""Tables of clicked points as text: separator, decimal mark, header and layout are found out, numbers come back."""

from __future__ import annotations

import contextlib
import csv
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import islice, zip_longest
from typing import Final, NamedTuple, TypeVar

import numpy as np

from netsynth._typing import FloatArray
from netsynth.io.layout import fold
from netsynth.io.problems import Problems, shown
from netsynth.reported.grammar import DecimalMark

T = TypeVar("T")

#: In this order when several fit a file equally well; None stands for spaces.
_SEPARATORS: Final = ("\t", ";", "|", ",", None)
#: Lines that are looked at to find the separator, and the header of a block.
_SAMPLE: Final = 1000
_HEAD: Final = 10
_DIGITS: Final = frozenset("0123456789+-−")
#: What Excel wants above a table that is not separated by commas.
_HINT: Final = re.compile(r"sep=.\s*", re.IGNORECASE)
_QUOTED: Final = re.compile(r'"([^"]*)"|([^\s"]+)')
_MISSING: Final = frozenset({"", "nan", "na", "n/a", "null", "none", "-", "—"})
_MINUS: Final = str.maketrans("−–", "--")
#: A number with any decimal mark, and with one of the two while the other groups thousands.
_NUMBER: Final = re.compile(r"[-+−–]?(?:\d[\d.,]*|[.,]\d+)(?:[eE][-+−–]?\d+)?", re.ASCII)
_GRAMMAR: Final[dict[DecimalMark, re.Pattern[str]]] = {
    ".": re.compile(r"[-+]?(?:(?:[1-9]\d{0,2}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII),
    ",": re.compile(r"[-+]?(?:(?:[1-9]\d{0,2}(?:\.\d{3})+|\d+)(?:,\d*)?|,\d+)(?:[eE][-+]?\d+)?", re.ASCII),
}
#: "1,234": one and a bit, or more than a thousand.
_GROUPED: Final = re.compile(r"[-+]?[1-9]\d{0,2}(?:[.,]\d{3})+", re.ASCII)
_SPACE: Final = re.compile(r"[^\S\n]+")
_MARGIN: Final = re.compile(r"^ | $", re.MULTILINE)
#: A header of these words only, one of the first line among them, is one of times: "x", "Time (months)".
_TIME: Final = re.compile(r"x\d*|t|times?|followup|months?|mos?|years?|yrs?|weeks?|wks?|days?")
_OF_TIME: Final = re.compile(
    rf"{_TIME.pattern}|follow|up|survival|in|of|from|since|after|to|event|entry|start|diagnosis|surgery|"
    r"resection|treatment|randomi[sz]ation"
)
_COUNTER: Final = frozenset({"", "k", "i", "n", "no", "nr", "id", "index", "point", "row"})
_NAMES: Final = frozenset(
    {"series", "curve", "arm", "group", "name", "dataset", "data_set", "line", "label"}
    | {"treatment", "stratum"}
)
#: Headers of these words only say what is drawn, and not which curve it is.
_DRAWN: Final = frozenset(
    {"y", "s", "t", "surv", "survival", "overall", "percent", "pct", "probability", "proportion", "fraction"}
    | {"cumulative", "incidence", "value", "rate", "of", "in"}
)


class Trace(NamedTuple):
    """The numbers of one series, before anything is concluded from them; `rows` are their rows in the file."""

    time: FloatArray
    value: FloatArray
    rows: Sequence[int] | None
    time_header: str = ""
    value_header: str = ""


class Series(NamedTuple):
    """One series of a file: its name, empty when it has none, where it stands, and how to get its numbers."""

    name: str
    where: str
    read: Callable[[Problems], Trace]


class _Layout(NamedTuple):
    """What the columns hold: pairs of times and values with the names of the curves, or a column of names."""

    pairs: list[tuple[int, int]]
    header: list[str]
    names: dict[int, str]
    name_column: int | None = None

    @property
    def width(self) -> int:
        return 1 + max(self.name_column or 0, *(j for pair in self.pairs for j in pair))

    def title(self, column: int) -> str:
        """The column as a complaint calls it."""
        name = self.header[column] if column < len(self.header) else ""
        return f"{column + 1} ({name})" if name else str(column + 1)


class _LayoutError(Exception):
    """Columns whose meaning cannot be told: what was found, and what is allowed."""


@dataclass(slots=True)
class _Block:
    """Lines that belong together, with their numbers, and the comment above them."""

    comment: str
    lines: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)


class _Columns(NamedTuple):
    """The cells of one series: times and values, and the numbers of their rows."""

    name: str
    pair: tuple[int, int]
    layout: _Layout
    cells: list[Sequence[str]]
    rows: Sequence[int]


def text_series(text: str, file: str, decimal: DecimalMark | None, problems: Problems) -> list[Series]:
    """The series that a text holds; what cannot be told is complained of."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if _HINT.fullmatch(lines[0]):
        lines[0] = ""
    sample = (line for line in lines if line.strip() and not line.lstrip().startswith("#"))
    separator = _separator(list(islice(sample, _SAMPLE)))
    if separator == "":
        problems.add(file, None, "", "no row with two numbers", "points, one a row: a time and a survival")
        return []
    table = _Table(file, separator, problems)
    columns = table.series(table.blocks(lines))
    mark = decimal or table.decimal_mark(columns)
    found = []
    for one in columns:
        where = f"columns {one.pair[0] + 1} and {one.pair[1] + 1}" + (
            f" from row {one.rows[0]}" if one.rows else ""
        )
        found.append(Series(one.name, where, partial(_trace, one, mark, file)))
    return found


# -- cells and headers -----------------------------------------------------------------------------------


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None


def _is_missing(cell: str) -> bool:
    return cell.casefold() in _MISSING


def _is_name(cell: str) -> bool:
    return any(map(str.isalpha, cell)) and not _is_number(cell) and not _is_missing(cell)


@lru_cache(maxsize=1024)
def _is_time(header: str) -> bool:
    words = fold(header).split("_") if header[:1].isalpha() else [""]
    return all(map(_OF_TIME.fullmatch, words)) and any(map(_TIME.fullmatch, words))


def _is_header(row: Sequence[str]) -> bool:
    return any(map(_is_name, row)) and (fold(row[0]) == "x" or not any(map(_is_number, row)))


def _is_xy(row: Sequence[str]) -> bool:
    return bool(row) and [cell.casefold() for cell in row] == ["x", "y"] * (len(row) // 2)


def _cells(line: str, separator: str | None) -> list[str] | None:
    """Cells of a line without the empty ones at its end; None when a quote is not closed."""
    if separator is None:
        cells = line.split() if '"' not in line else [a or b for a, b in _QUOTED.findall(line)]
    elif '"' not in line:
        cells = [cell.strip() for cell in line.split(separator)]
    else:
        try:
            (cells,) = csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True)
        except csv.Error:
            return None
        cells = [cell.strip() for cell in cells]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _separator(lines: Sequence[str]) -> str | None:
    """The separator that makes points of most lines; empty when none makes any."""
    best = 0
    chosen: str | None = ""
    for separator in _SEPARATORS:
        score = 0
        for line in lines:
            cells = _cells(line, separator) or []
            numbers = sum(map(_is_number, cells))
            score += numbers > 1 and all(_is_number(c) or _is_missing(c) or _is_name(c) for c in cells)
        if score > best:
            best, chosen = score, separator
    return chosen


def _chunks(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Runs of lines that begin with a digit, which are points and need no look, and the other lines singly."""
    done = 0
    for k in (k for k, line in enumerate(lines) if line.lstrip('"')[:1] not in _DIGITS):
        if done < k:
            yield done, lines[done:k]
        yield k, [lines[k]]
        done = k + 1
    if done < len(lines):
        yield done, lines[done:]


def _picked(items: Sequence[T], kept: Sequence[int]) -> Sequence[T]:
    return items[: len(kept)] if isinstance(kept, range) else [items[k] for k in kept]


# -- layouts ---------------------------------------------------------------------------------------------


def _with_xy(names: Sequence[str], xy: list[str], separator: str | None) -> _Layout:
    """Names over pairs of columns "X, Y"; a name that holds the separator is put together again."""
    if len(names) > len(xy) or any(names[1::2]):
        joined = (separator or " ").join(names)
        names = [part for name in joined.split(2 * (separator or " ")) for part in (name, "")]
        if len(names) != len(xy) or not any(map(_is_name, names)):
            raise _LayoutError(
                f"{shown(joined)} above {len(xy) // 2} pairs of columns", "a name above each X"
            )
    pairs = [(j, j + 1) for j in range(0, len(xy), 2)]
    return _Layout(pairs, xy, {j: name for (_, j), name in zip(pairs, names[::2], strict=False)})


def _with_header(head: Sequence[list[str]], first: Sequence[str]) -> _Layout:
    """A header with names in its last row, over a first row of points."""
    header = head[-1]
    width = max(len(header), len(first))
    named = {j for j, cell in enumerate(header) if fold(cell) in _NAMES and width > 2}
    named |= {j for j, cell in enumerate(first) if _is_name(cell) and width > 2}
    columns = [j for j in range(len(header)) if j not in named]
    times = [j for j in columns if _is_time(header[j])]
    if not times and len(first) > 2 and not any(header[1::2]):  # a name over each pair of columns
        pairs = [(j, j + 1) for j in range(0, len(header), 2)]
        return _Layout(pairs, header, {j: header[i] for i, j in pairs})
    times = times or [j for j in columns if header[j] == header[columns[0]]]
    before = [j for j in columns if j < min(times)]  # a number of the point, if the rows have one
    if before and (len(first) < min(times) + 2 or any(fold(header[j]) not in _COUNTER for j in before)):
        raise _LayoutError(
            f"the column {shown(header[columns[0]])} before that of times", "times, then survival"
        )
    pairs = [(max(i for i in times if i < j), j) for j in columns if j > min(times) and j not in times]
    if not pairs or {i for i, _ in pairs} != set(times):
        raise _LayoutError("a column of times without one of survival to its right", "times, then survival")
    if len(named) > 1 or (named and len(pairs) > 1):
        raise _LayoutError(
            "a column of names beside several curves", "one column of times and one of survival"
        )
    names, above, filled = {}, (head[-2] if len(head) > 1 else []), ""
    for j, cell in enumerate(header):
        filled = (above[j] if j < len(above) else "") or filled
        name = filled or cell
        if not _DRAWN.issuperset(fold(name).split("_")) or (len(pairs) > 1 and header.count(name) == 1):
            names[j] = name
    return _Layout(pairs, header, names, min(named, default=None))


def _without_header(columns: Sequence[Sequence[str]]) -> _Layout:
    """Two columns of numbers, and perhaps one of names."""
    first = next(row for row in zip(*columns, strict=True) if row[-1])
    named = [j for j, cell in enumerate(first) if _is_name(cell)]
    numbers = [j for j in range(len(columns)) if j not in named]
    if len(numbers) != 2 or len(named) > 1:
        noun = "column" if len(columns) == 1 else "columns"
        raise _LayoutError(
            f"{len(columns)} {noun} without a header, as in {shown(' '.join(first))}",
            "a time and a survival; a header row must name more columns, and numbers with decimal commas need "
            "another separator than a comma",
        )
    return _Layout([(numbers[0], numbers[1])], [], {}, min(named, default=None))


class _Table:
    """One file while it is read."""

    def __init__(self, file: str, separator: str | None, problems: Problems) -> None:
        self.file = file
        self.separator = separator
        self.problems = problems

    def blocks(self, lines: list[str]) -> list[_Block]:
        """The lines between blank ones or headers; comments are taken out, the last one above a block is kept."""
        blocks: list[_Block] = []
        comment, ended = "", True
        for k, chunk in _chunks(lines):
            row = _cells(chunk[0], self.separator)
            if row and row[0].startswith("#"):
                comment = chunk[0].strip().lstrip("#").strip()
                row, chunk = _cells(comment, self.separator), [comment]
                if not row or len(row) < 2 or not _is_time(row[0]) or _is_time(row[1]):
                    continue  # else the header is a comment, as gnuplot wants it
            if row == []:
                ended = True
                continue
            is_header = not ended and row and _is_time(row[0]) and not any(map(_is_number, row))
            if is_header and (above := blocks[-1].lines)[-1][:1] in _DIGITS:  # a header among points
                ended = len(above) > 1 or not _is_xy(row or [])
            if ended:
                blocks.append(_Block(comment))
                comment, ended = "", False
            blocks[-1].lines += chunk
            blocks[-1].numbers += range(k + 1, k + 1 + len(chunk))
        return blocks

    def cells(self, lines: list[str], numbers: Sequence[int]) -> list[Sequence[str]]:
        """Lines as columns, without empty ones at the right."""
        text = "\n".join(lines)
        if self.separator is None:
            text = _SPACE.sub(" ", text)
        sign = self.separator or " "
        counts = {line.count(sign) for line in text.split("\n")}
        columns: list[Sequence[str]]
        if len(counts) == 1 and '"' not in text and (self.separator or not _MARGIN.search(text)):
            cells = text.replace("\n", sign).split(sign)
            if self.separator and (" " in text or "\t" in text or not text.isascii()):
                cells = list(map(str.strip, cells))
            n = counts.pop() + 1
            columns = [cells[j::n] for j in range(n)]
        else:
            rows = [_cells(line, self.separator) for line in lines]
            for line, number in (
                pair for pair, row in zip(zip(lines, numbers, strict=True), rows, strict=True) if row is None
            ):
                found = f"a quote that is not closed: {shown(line)}"
                self.problems.add(self.file, number, "", found, "quotes in pairs")
            columns = list(zip_longest(*(row or [] for row in rows), fillvalue=""))
        while columns and not any(columns[-1]):
            columns.pop()
        return columns

    def series(self, blocks: Sequence[_Block]) -> list[_Columns]:
        """The cells of every series, in the order of the file."""
        found: list[_Columns] = []
        layout, title, is_open = None, "", False
        for block in blocks:
            rows = [_cells(line, self.separator) or [] for line in block.lines[:_HEAD]]
            has_xy = len(rows) > 1 and _is_xy(rows[1])
            n = 2 if has_xy else next((i for i, row in enumerate(rows) if not _is_header(row)), len(rows))
            head, first = rows[:n], rows[n] if n < len(rows) else []
            wide = [row for row in head if len(row) > 1 and (self.separator or len(row) == len(first))]
            if self.separator is None and wide and not any(map(_is_time, wide[-1])):
                wide = []  # words of a title
            title = next((" ".join(row) for row in head if row not in wide), title)
            columns = self.cells(block.lines[n:], block.numbers[n:])
            try:
                if has_xy:
                    layout = _with_xy(head[0], head[1], self.separator)
                elif wide:
                    layout = _with_header(wide, first)
                elif columns and not (layout and layout.header and (is_open or len(layout.pairs) == 1)):
                    layout = _without_header(columns)  # else further rows under the header of the file
            except _LayoutError as error:
                self.problems.add(self.file, block.numbers[max(n - 1, 0)], "", *error.args)
                continue
            is_open = not columns  # a header may stand above a blank line
            if layout and columns:
                name = title or (block.comment if len(blocks) > 1 else "")
                found += self.split(name, layout, columns, block.numbers[n:])
                title = ""
        return found

    def split(
        self, title: str, layout: _Layout, columns: list[Sequence[str]], rows: Sequence[int]
    ) -> list[_Columns]:
        """The cells of a block, one series after the other."""
        for j, column in enumerate(columns[layout.width :], layout.width):
            for k in (k for k, cell in enumerate(column) if cell):
                allowed = f"{layout.width} columns, as the rows above have"
                self.problems.add(self.file, rows[k], str(j + 1), shown(column[k]), allowed)
        columns += [[""] * len(rows)] * (layout.width - len(columns))
        if self.separator is None and layout.width > 2:  # which cell is absent between spaces cannot be told
            for k in (k for k, cell in enumerate(columns[layout.width - 1]) if not cell):
                self.problems.add(self.file, rows[k], "", "a row that is too short", f"{layout.width} cells")
        parts: list[tuple[str, tuple[int, int], Sequence[int]]] = []
        shared = Counter(i for i, _ in layout.pairs)
        for i, j in layout.pairs:
            name = layout.names.get(j) or (title if len(layout.pairs) == 1 else "")
            if layout.name_column is not None:
                groups: dict[str, list[int]] = {}
                for k, name in enumerate(columns[layout.name_column]):
                    groups.setdefault(name, []).append(k)
                parts += [(name, (i, j), kept) for name, kept in groups.items()]
            elif shared[i] > 1:  # a row is a point of the curves that have a value in it
                parts.append((name, (i, j), [k for k, value in enumerate(columns[j]) if value]))
            else:  # a column may be shorter than its neighbours
                end = len(rows)
                while end and not columns[i][end - 1] and not columns[j][end - 1]:
                    end -= 1
                parts.append((name, (i, j), range(end)))
        return [
            _Columns(name, pair, layout, [_picked(columns[j], kept) for j in pair], _picked(rows, kept))
            for name, pair, kept in parts
        ]

    def decimal_mark(self, columns: Sequence[_Columns]) -> DecimalMark:
        """The decimal mark. A survival is below a thousand, so that a mark in it does not group digits."""
        values = "\n".join("\n".join(one.cells[1]) for one in columns)
        points, commas = values.count("."), values.count(",")
        if points or commas:
            return "." if points >= commas else ","
        marked = [
            (cell.translate(_MINUS), row, one)
            for one in columns
            for cell, row in zip(one.cells[0], one.rows, strict=True)
            if "." in cell or "," in cell
        ]
        if marked and self.separator != "," and all(_GROUPED.fullmatch(cell) for cell, _, _ in marked):
            cell, row, one = marked[0]
            found = f"{shown(cell)}, which may be a number or a thousand times as much"
            allowed = "a known mark; say decimal='.' or decimal=','"
            self.problems.add(self.file, row, one.layout.title(one.pair[0]), found, allowed)
        fitting = [sum(map(bool, (_GRAMMAR[m].fullmatch(cell) for cell, _, _ in marked))) for m in (".", ",")]
        return "." if fitting[0] >= fitting[1] else ","


# -- numbers ---------------------------------------------------------------------------------------------


def _trace(one: _Columns, mark: DecimalMark, file: str, problems: Problems) -> Trace:
    """The numbers of a series, after a complaint about each cell that is none."""
    arrays, headers = [], []
    for cells, column in zip(one.cells, one.pair, strict=True):
        numbers, bad = _numbers(cells, mark)
        for k in bad:
            allowed = f"a number with the decimal mark {mark!r}, or an empty cell"
            problems.add(file, one.rows[k], one.layout.title(column), shown(cells[k]), allowed)
        arrays.append(numbers)
        headers.append(one.layout.header[column] if column < len(one.layout.header) else "")
    return Trace(arrays[0], arrays[1], one.rows, headers[0], headers[1])


def _numbers(cells: Sequence[str], mark: DecimalMark) -> tuple[FloatArray, list[int]]:
    """Numbers, nan where a cell is empty, and the positions of cells that are none."""
    text = "\n".join(cells).translate(_MINUS)
    other = "." if mark == "," else ","
    if text.isascii() and not any(
        sign in text for sign in (other, "_", "n", "N")
    ):  # float takes these for more
        with contextlib.suppress(ValueError):
            plain = text.replace(",", ".").split("\n")
            numbers = np.array([float(cell) if cell else math.nan for cell in plain][: len(cells)])
            return numbers, np.flatnonzero(np.isinf(numbers)).tolist()
    numbers, bad = np.full(len(cells), math.nan), []
    for k, cell in enumerate(text.split("\n")[: len(cells)]):
        if _GRAMMAR[mark].fullmatch(cell):
            numbers[k] = float(cell.replace(other, "").replace(",", "."))
        if np.isinf(numbers[k]) or (np.isnan(numbers[k]) and not _is_missing(cell)):
            bad.append(k)
    return numbers, bad
