"""`write_review`: a review to a folder of CSV files, a workbook or JSON, such that reading gives it back."""

from __future__ import annotations

import csv
import io
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final

from netsynth.data.endpoint import ENDPOINTS
from netsynth.data.review import Review
from netsynth.errors import InvalidInputError, NetsynthWarning
from netsynth.io import excel
from netsynth.io.cells import guard
from netsynth.io.csvfile import csv_table
from netsynth.io.layout import TABLES, find_table
from netsynth.io.problems import Problems
from netsynth.io.read import read_tables, sheet_tables
from netsynth.io.rows import RawTable, Settings
from netsynth.io.tables import table_rows

_SAFE_KINDS: Final = ("number", "count", "word")


def write_review(review: Review, target: str | os.PathLike[str]) -> Path:
    """Write a review so that `read_review` gives back an equal one.

    Digits, trailing zeros, row ids, notes and further columns are kept. Before anything is written the result
    is read back in memory and compared. In CSV files a text that a spreadsheet might take for a formula gets
    an apostrophe in front, which reading takes off.

    Parameters
    ----------
    review : Review
        What to write.
    target : path
        A folder, made if it does not exist, for one CSV file a table; a name ending in ``.xlsx`` (needs
        ``netsynth[excel]``) or in ``.json``. Files of the same names are replaced.

    Returns
    -------
    pathlib.Path
        The target.

    Raises
    ------
    InvalidInputError
        If the folder holds tables that this review does not have, the target has another ending, or a record
        cannot be told in tables without loss (a name with outer spaces, say): the message shows it.

    Examples
    --------
    >>> import tempfile
    >>> from netsynth.data.study import Study
    >>> from netsynth.io.read import read_review
    >>> review = Review((Study("que_1995", year=1995, n_patients=74),))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     read_review(write_review(review, folder)) == review
    True
    """
    path = Path(target)
    suffix = path.suffix.lower()
    if suffix == ".json" and not path.is_dir():
        path.write_bytes(_encoded(review.to_json(indent=2) + "\n", path.name))
    elif suffix == ".xlsx" and not path.is_dir():
        data = excel.workbook_bytes(_tables(review))
        problems = Problems()
        with excel.workbook(io.BytesIO(data), path.name, problems) as sheets:
            tables, _ = sheet_tables(sheets, path.name, problems)
            _check(review, tables, problems)
        path.write_bytes(data)
    elif suffix and not path.is_dir():
        raise InvalidInputError(
            f"{path} ends neither in .xlsx nor in .json; for CSV files name a folder that exists or has no ending."
        )
    else:
        _write_folder(review, path)
    return path


def _write_folder(review: Review, path: Path) -> None:
    files = {table: _csv_bytes(table, *content) for table, content in _tables(review).items()}
    if path.is_dir():
        stale = [
            file.name
            for file in sorted(path.iterdir())
            if file.suffix.lower() in (".csv", ".tsv")
            and find_table(file.stem)
            and file.name not in {f"{table}.csv" for table in files}
        ]
        if stale:
            raise InvalidInputError(
                f"{path} holds {', '.join(stale)}, which this review would not replace and reading would add to "
                "it. Remove the file or choose another folder."
            )
    problems = Problems()
    tables = [
        csv_table(
            lambda data=data: io.BytesIO(data),  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            table,
            f"{table}.csv",
            encoding="utf-8-sig",
            separator=",",
            synonyms={},
            problems=problems,
        )
        for table, data in files.items()
    ]
    _check(review, [table for table in tables if table], problems)
    path.mkdir(parents=True, exist_ok=True)
    for table, data in files.items():
        (path / f"{table}.csv").write_bytes(data)


def _tables(review: Review) -> dict[str, tuple[list[str], list[list[str]]]]:
    """Header and rows of every table that has something to say."""
    tables = {name: table_rows(review, name) for name in TABLES}
    if review.endpoints == ENDPOINTS:
        del tables["endpoints"]
    if not review.title and not review.notes:
        del tables["review"]
    return {name: (header, rows) for name, (header, rows) in tables.items() if rows}


def _csv_bytes(table: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """One CSV file (RFC 4180, UTF-8), guarded against spreadsheets that take text for a formula."""
    safe = {column.name for column in TABLES[table].columns if column.kind in _SAFE_KINDS}
    guarded = [name not in safe for name in header]
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow([guard(name) for name in header])
    writer.writerows(
        [guard(cell) if text else cell for cell, text in zip(row, guarded, strict=True)] for row in rows
    )
    return _encoded(stream.getvalue(), f"{table}.csv")


def _encoded(text: str, file: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"{file}: {text[error.start]!r} after {text[max(0, error.start - 20) : error.start]!r} is no character "
            "that can be written."
        ) from None


def _check(review: Review, tables: Iterable[RawTable], problems: Problems) -> None:
    """Refuse to write what would not come back."""
    parts, _, _ = read_tables(tables, Settings(None, {}, ".", "", ""), problems)
    if problems.total:
        raise InvalidInputError(
            f"This review cannot be written as tables without loss; write JSON instead. Reading it back found: "
            f"{problems.stored[0]}."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)  # the review has given them when it was made
        again = Review(**parts)
    if again == review:
        return
    for name in (field.name for field in fields(Review) if field.compare):
        before, after = getattr(review, name), getattr(again, name)
        if before != after:
            lost = next((old for old in before if old not in after), before)
            raise InvalidInputError(
                f"This review cannot be written as tables without loss; write JSON instead. What would change in "
                f"{name}: {lost!r:.300}."
            )
