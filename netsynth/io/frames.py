"""Data frames: any that narwhals knows to raw tables, and the tables of a review as pandas frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netsynth.errors import InvalidInputError
from netsynth.io.cells import typed_text
from netsynth.io.layout import TABLES, find_table
from netsynth.io.problems import Problems
from netsynth.io.rows import RawTable
from netsynth.io.tables import table_rows

if TYPE_CHECKING:
    import pandas as pd

    from netsynth.data.review import Review


def frame_tables(frames: Mapping[str, Any], problems: Problems) -> list[RawTable]:
    """Tables from a mapping of table name to data frame, or to a list of dicts."""
    tables = []
    for name, frame in frames.items():
        table = find_table(str(name))
        if table is None:
            problems.add(str(name), None, "", f"a table {name!r}", f"a table: {', '.join(TABLES)}")
            continue
        if isinstance(frame, Sequence) and all(isinstance(row, Mapping) for row in frame):
            columns, rows = _from_dicts(frame)
        else:
            columns, rows = _from_frame(frame, str(name))
        tables.append(RawTable(table, str(name), columns, _numbered(rows)))
    return tables


def _from_dicts(frame: Sequence[Mapping[Any, Any]]) -> tuple[list[str], Iterable[Sequence[Any]]]:
    columns = list(dict.fromkeys(key for row in frame for key in row))
    return [str(column) for column in columns], ([row.get(column) for column in columns] for row in frame)


def _from_frame(frame: Any, name: str) -> tuple[list[str], Iterable[Sequence[Any]]]:
    import narwhals.stable.v1 as nw
    from narwhals.exceptions import NarwhalsError

    try:
        found = nw.from_native(frame)
        data = found.collect() if isinstance(found, nw.LazyFrame) else found
        return [str(column) for column in data.columns], data.iter_rows()
    except (TypeError, ValueError, NarwhalsError) as error:
        raise InvalidInputError(
            f"{name}: not a data frame that can be read ({str(error).splitlines()[0]}); give one of pandas, polars "
            "or pyarrow, or a list of dicts."
        ) from None


def _numbered(rows: Iterable[Sequence[Any]]) -> Iterator[tuple[int, Sequence[str]]]:
    """Rows as text, numbered as if the frame were a file: the first is row 2."""
    for number, row in enumerate(rows, 2):
        yield number, [typed_text(value) for value in row]


def table_frame(review: Review, table: str) -> pd.DataFrame:
    """One table of a review as a long pandas frame in the layout that `read_review` reads.

    Numbers that a paper prints are text, so that a printed 83.0 stays 83.0; `pandas.to_numeric` makes them
    numbers. Counts of people and calendar years are of type Int64.

    Parameters
    ----------
    review : Review
        What to show.
    table : str
        "studies", "survival", "proportions", "characteristics", "prognostic", "quality", "sources" or
        "review_targets"; also "checklists", "endpoints", "excluded" and "review", which complete a review.

    Returns
    -------
    pandas.DataFrame
        One row a reported figure, every column of the layout, then the further columns as they were given.

    Raises
    ------
    InvalidInputError
        If there is no such table.

    Examples
    --------
    >>> from netsynth.data.review import Review
    >>> from netsynth.data.study import Study
    >>> frame = table_frame(Review((Study("que_1995", year=1995, n_patients=74),)), "studies")
    >>> print(frame[["study_id", "year", "n_patients"]])
       study_id  year  n_patients
    0  que_1995  1995          74
    """
    import pandas as pd

    if table not in TABLES:
        raise InvalidInputError(f"No table {table!r}; the tables are {', '.join(TABLES)}.")
    header, rows = table_rows(review, table)
    frame = pd.DataFrame(rows, columns=header, dtype=object)
    for column in TABLES[table].columns:
        if column.kind == "count":
            counts = [int(text) if text else None for text in frame[column.name]]
            frame[column.name] = pd.array(counts, dtype="Int64")
    return frame
