"""Excel workbooks: sheets to raw tables and back. Formulas are never reckoned; their stored values are read."""

from __future__ import annotations

import contextlib
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from xml.etree.ElementTree import ParseError

from netsynth.errors import InvalidInputError
from netsynth.io.cells import Digits, typed_text
from netsynth.io.layout import TABLES
from netsynth.io.problems import Problems
from netsynth.io.rows import RawTable

if TYPE_CHECKING:
    import types

    from openpyxl.workbook.workbook import Workbook

Rows: TypeAlias = Iterator[tuple[int, list[str]]]
#: The longest text that a cell of a workbook holds; openpyxl would cut a longer one.
LONGEST: Final = 32767
_FIXED: Final = re.compile(r"0(?:\.(0+))?(%?)")
_DIGITS: Final = re.compile(r"-?\d+(?:\.(\d+))?", re.ASCII)


def _openpyxl() -> types.ModuleType:
    try:
        import openpyxl
    except ImportError:
        raise InvalidInputError(
            "Excel workbooks need openpyxl: pip install 'netsynth[excel]'. A folder of CSV files needs nothing."
        ) from None
    return openpyxl


@contextlib.contextmanager
def workbook(source: Path | io.BytesIO, file: str, problems: Problems) -> Iterator[dict[str, Rows]]:
    """Rows of every sheet by its name, to be read while the workbook is open.

    Raises
    ------
    ReadError
        If the file is no workbook.
    """
    _openpyxl()
    try:
        values, formulas = _load(source, data_only=True), _load(source, data_only=False)
    except (zipfile.BadZipFile, KeyError, ParseError, OSError, ValueError) as error:
        problems.add(file, None, "", f"no workbook that can be read ({error})", "an Excel workbook (.xlsx)")
        problems.raise_if_any()
    try:
        yield {
            sheet.title: _rows(sheet, formulas[sheet.title], f"{file}, sheet {sheet.title}", problems)
            for sheet in values.worksheets
        }
    finally:
        values.close()
        formulas.close()


def _load(source: Path | io.BytesIO, *, data_only: bool) -> Workbook:
    if isinstance(source, io.BytesIO):
        source = io.BytesIO(source.getvalue())  # two books read it side by side
    book: Workbook = _openpyxl().load_workbook(source, read_only=True, data_only=data_only, keep_links=False)
    return book


def _rows(values: Any, formulas: Any, file: str, problems: Problems) -> Rows:
    from openpyxl.utils import get_column_letter

    values.reset_dimensions()  # what other programs write there is not always true
    formulas.reset_dimensions()
    pairs = zip(values.iter_rows(), formulas.iter_rows(), strict=True)
    for number, (cells, written) in enumerate(pairs, 1):
        row = []
        for i, (cell, source) in enumerate(zip(cells, written, strict=True), 1):
            if source.data_type == "f" and cell.value is None:
                allowed = "a value; formulas are never evaluated: save the workbook in a spreadsheet, or paste values"
                problems.add(file, number, get_column_letter(i), "a formula without a stored value", allowed)
            row.append(cell_text(cell.value, cell.number_format))
        while row and not row[-1].strip():
            row.pop()
        yield number, row


def cell_text(value: Any, number_format: str) -> str:
    """What a cell of a workbook shows: a format such as 0.00 keeps its zeros, 0% its percent sign.

    Examples
    --------
    >>> cell_text(83, "0.0"), cell_text(0.835, "0%"), cell_text(83, "General")
    ('83.0', '83.5%', '83')
    """
    text = typed_text(value)
    shown = _FIXED.fullmatch(number_format or "")
    if not isinstance(text, Digits) or not shown:
        return text
    number = Decimal(text)
    if shown[2]:
        number = (100 * number).normalize()
    decimals = max(len(shown[1] or ""), -int(number.as_tuple().exponent))
    digits = f"{number:.{decimals}f}"
    return f"{digits}%" if shown[2] else Digits(digits)


def raw_table(table: str, file: str, rows: Rows, problems: Problems) -> RawTable | None:
    """The table of a sheet, or None after a complaint; short rows are filled up."""
    _, header = next(rows, (1, []))
    if not header:
        problems.add(file, None, "", "an empty sheet", "a header row")
        return None
    width = len(header)
    filled: Iterable[tuple[int, Sequence[str]]] = ((n, row + [""] * (width - len(row))) for n, row in rows)
    return RawTable(table, file, header, iter(filled))


def workbook_bytes(tables: Mapping[str, tuple[list[str], Sequence[Sequence[str]]]]) -> bytes:
    """A workbook of tables; numbers are written as numbers that show their printed digits.

    Raises
    ------
    InvalidInputError
        If a text is too long for a cell or holds a character that no workbook can.
    """
    book = _openpyxl().Workbook(write_only=True)
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, WriteOnlyCell

    for name, (header, rows) in tables.items():  # before a sheet is begun, which cannot be left half written
        for text in chain(header, *rows):
            if len(text) > LONGEST:
                raise InvalidInputError(
                    f"{name}: a text of {len(text)} characters does not fit a workbook; write CSV."
                )
            if ILLEGAL_CHARACTERS_RE.search(text):
                raise InvalidInputError(
                    f"{name}: {text!r:.60} holds a character that no workbook can; write CSV or JSON."
                )
    for name, (header, rows) in tables.items():
        sheet = book.create_sheet(name)
        kinds = {column.name: column.kind for column in TABLES[name].columns}
        numeric = [kinds.get(column) in ("number", "count") for column in header]
        for row in [header, *rows]:
            cells = []
            for text, as_number in zip(row, numeric, strict=True):
                cell = WriteOnlyCell(sheet)
                digits = _DIGITS.fullmatch(text)
                if as_number and digits and _is_exact(text):
                    cell.value = float(text) if "." in text else int(text)
                    cell.number_format = f"0.{'0' * len(digits[1])}" if digits[1] else "0"
                elif text:
                    cell.value = text
                    cell.data_type = "s"  # a text that begins with "=" is text
                cells.append(cell)
            sheet.append(cells)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _is_exact(text: str) -> bool:
    """Whether the number, shown with as many decimals as the text, is the text again."""
    decimals = len(text.partition(".")[2])
    return len(text) <= 15 and f"{float(text):.{decimals}f}" == text
