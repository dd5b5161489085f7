"""One CSV file to a raw table: encoding, separator, quotes and rows, streamed."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Final

from netsynth.errors import InvalidInputError
from netsynth.io.cells import unguard
from netsynth.io.layout import TABLES, Synonyms, match_columns, missing_columns
from netsynth.io.problems import Problems
from netsynth.io.rows import RawTable

#: Tried in this order when the caller declares none; the header must then have the columns of the table.
SEPARATORS: Final = (",", ";", "\t")
_CHUNK: Final = 1 << 16

Opener = Callable[[], BinaryIO]


def csv_table(
    opener: Opener,
    table: str,
    file: str,
    *,
    encoding: str,
    separator: str | None,
    synonyms: Synonyms,
    problems: Problems,
) -> RawTable | None:
    """The table that a CSV file holds, or None after a complaint; rows are read when they are asked for."""
    try:
        with _lines(opener, encoding) as lines:
            first = next(lines, "")
    except UnicodeError:
        _complain_of_encoding(opener, encoding, file, problems)
        return None
    if "\0" in first:
        problems.add(file, 1, "", "a NUL byte", "text; is it a CSV file, or does it need encoding='utf-16'?")
        return None
    if not first.strip():
        problems.add(file, None, "", "an empty file" if not first else "an empty first row", "a header row")
        return None
    found, header = _header(first, table, separator, synonyms)

    def rows() -> Iterator[tuple[int, Sequence[str]]]:
        number = 1
        try:
            with _lines(opener, encoding) as lines:
                checked = _Checked(lines)
                for number, cells in enumerate(csv.reader(checked, delimiter=found, strict=True), 1):
                    if number > 1:
                        yield number, [unguard(cell) for cell in cells] if checked.apostrophe else cells
                    checked.apostrophe = False
        except UnicodeError:
            _complain_of_encoding(opener, encoding, file, problems)
        except _NulError:
            problems.add(file, number + 1, "", "a NUL byte", "text; the file is damaged or no CSV")
        except csv.Error as error:
            problems.add(
                file, number + 1, "", f"cells that cannot be told apart ({error})", "quotes in pairs"
            )

    return RawTable(table, file, header, rows())


class _NulError(Exception):
    """A NUL byte in the text."""


class _Checked:
    """Lines without NUL bytes; `apostrophe` tells whether one was seen, since few rows need a look at each cell."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.lines = lines
        self.apostrophe = False

    def __iter__(self) -> Iterator[str]:
        for line in self.lines:
            if "\0" in line:
                raise _NulError
            if "'" in line:
                self.apostrophe = True
            yield line


def _lines(opener: Opener, encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(opener(), encoding=encoding, newline="")


def _header(line: str, table: str, separator: str | None, synonyms: Synonyms) -> tuple[str, list[str]]:
    """The separator, declared or the first with which the header has all it needs, and the names."""
    tried = []
    for sign in (separator,) if separator else SEPARATORS:
        try:
            names = [unguard(cell) for cell in next(csv.reader([line], delimiter=sign, strict=True))]
        except csv.Error:  # a name that is not closed on its line
            names = [line.strip()]
        header = match_columns(TABLES[table], names, synonyms)
        if not missing_columns(TABLES[table], header):
            return sign, names
        tried.append((len(header.positions), sign, names))
    _, sign, names = max(tried, key=lambda one: one[0])
    return sign, names


def _complain_of_encoding(opener: Opener, encoding: str, file: str, problems: Problems) -> None:
    """Say which byte cannot be read; the text layer knows only its place in the last chunk."""
    plain = "utf-8" if encoding == "utf-8-sig" else encoding
    decoder = codecs.getincrementaldecoder(plain)()
    with opener() as stream:
        start = stream.read(2)
        stream.seek(0)
        position = 0
        while True:
            chunk = stream.read(_CHUNK)
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                position += len(chunk) - len(error.object) + error.start
                found = f"byte 0x{error.object[error.start]:02x} at position {position}"
                break
            position += len(chunk)
    other = "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "cp1252"
    name = plain.upper() if plain == "utf-8" else plain
    problems.add(
        file,
        None,
        "",
        f"{found}, which is no {name}",
        f"{name} text, or another encoding such as encoding={other!r}",
    )


def encoding_of(name: str) -> str:
    """The encoding to use; that of UTF-8 takes a byte order mark off.

    Raises
    ------
    InvalidInputError
        If there is no such encoding.
    """
    try:
        return "utf-8-sig" if codecs.lookup(name).name == "utf-8" else name
    except LookupError:
        raise InvalidInputError(f"encoding: {name!r:.60} is not known; such are utf-8 and cp1252.") from None
