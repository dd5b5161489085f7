"""Data frames of every kind in, one kind out."""

import datetime
import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from netsynth.data.endpoint import ENDPOINTS
from netsynth.data.number import ReportedNumber
from netsynth.data.review import Review
from netsynth.data.study import Study
from netsynth.errors import InvalidInputError, ReadError
from netsynth.io import read_review, table_frame
from netsynth.io.layout import TABLES

ROWS = {
    "study": ["a", "a", "b"],
    "endpoint": ["OS"] * 3,
    "statistic": ["percent", "percent", "median"],
    "time": [3, 5, None],
    "value": [83.5, 70.0, 21.0],
    "value_unit": ["%", "%", "month"],
    "n": [40, 40, None],
    "time_unit": ["year", "year", None],
}
RECORDS = [dict(zip(ROWS, row, strict=True)) for row in zip(*ROWS.values(), strict=True)]
FRAMES = {
    "pandas": lambda: pd.DataFrame(ROWS),
    "pandas, nullable": lambda: pd.DataFrame(ROWS).convert_dtypes(),
    "pandas, categories": lambda: (
        pd.DataFrame(ROWS).astype({"study": "category"}).set_index(np.arange(3) + 7)
    ),
    "polars": lambda: pl.DataFrame(ROWS),
    "polars, lazy": lambda: pl.LazyFrame(ROWS),
    "pyarrow": lambda: pa.table(ROWS),
    "dicts": lambda: RECORDS,
    "dicts with gaps": lambda: [{k: v for k, v in row.items() if v is not None} for row in RECORDS],
}


@pytest.mark.parametrize("make", FRAMES.values(), ids=list(FRAMES))
def test_any_data_frame_is_read(make):
    review = read_review({"studies": [{"id": "a", "n": 40}, {"id": "b"}], "survival": make()})
    assert [str(record) for record in (*review.survival, *review.times)] == [
        "a, OS, overall (n = 40): 83.5% at 3 years, 70% at 5 years",
        "b, OS, overall: median 21 months",
    ]


def test_text_in_a_frame_keeps_its_zeros():
    rows = [{"study": "a", "endpoint": "OS", "statistic": "median", "value": "83.0", "value_unit": "month"}]
    review = read_review({"studies": pl.DataFrame({"id": ["a"]}), "survival": rows})
    assert review.times[0].value == ReportedNumber("83.0", "month")


def test_rows_of_a_frame_are_numbered_as_in_a_file():
    with pytest.raises(ReadError) as error:
        read_review({"Studies": pd.DataFrame({"id": ["a", "b"], "year": [1990, 95]})})
    (problem,) = error.value.problems
    assert (problem.file, problem.row, problem.column) == ("Studies", 3, "")


@pytest.mark.parametrize(
    ("tables", "found"),
    [
        ({"study data": []}, [("study data", "a table 'study data'"), ("studies", "no study")]),
        ({"studies": []}, [("studies", "the columns "), ("studies", "no study")]),
    ],
)
def test_wrong_mappings(tables, found):
    with pytest.raises(ReadError) as error:
        read_review(tables)
    assert [(p.file, p.found) for p in error.value.problems][: len(found)] == found[
        : len(error.value.problems)
    ]


@pytest.mark.parametrize("frame", [5, "studies.csv", [1, 2], np.zeros((2, 2)), None])
def test_what_is_no_frame_is_refused(frame):
    with pytest.raises(
        InvalidInputError, match=r"^studies: not a data frame that can be read \(.*\); give one of pandas"
    ):
        read_review({"studies": frame})


def test_a_single_frame_is_refused():
    with pytest.raises(InvalidInputError) as error:
        read_review(pd.DataFrame({"id": ["a"]}))
    assert str(error.value) == (
        "source must be a path or a mapping of table name to data frame, such as {'studies': frame}; got DataFrame."
    )


def test_dates_and_flags_become_text():
    rows = [{"id": "a", "seen": datetime.date(2024, 1, 2), "checked": True}]
    (study,) = read_review({"studies": rows}).studies
    assert study.extra == (("seen", "2024-01-02"), ("checked", "yes"))


def test_a_frame_has_the_columns_of_the_layout_and_whole_numbers_as_such():
    frame = Review((Study("a", year=1995, extra=(("Ki-67", "3%"),)), Study("b", n_patients=5))).to_frame()
    written = [c.name for c in TABLES["studies"].columns if c.name != "followup_months"]
    assert list(frame) == [*written, "Ki-67"]
    assert frame["year"].to_list() == [1995, pd.NA]
    assert frame["n_patients"].sum() == 5
    assert frame["Ki-67"].to_list() == ["3%", ""]
    empty = Review((Study("a"),)).to_frame("survival")
    assert (len(empty), empty["n_group"].dtype) == (0, "Int64")


def test_an_unknown_table_is_refused():
    with pytest.raises(InvalidInputError, match=r"^No table 'factors'; the tables are studies, survival, "):
        table_frame(Review((Study("a"),)), "factors")


def test_json_that_is_no_review_is_refused(tmp_path):
    path = tmp_path / "review.json"
    for content, found in [
        (b"{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (b"[]", "Review must be a mapping of fields; got []"),
        (b'{"studies": [{"id": 5}]}', "Study.id must be str; got 5"),
        (b"\xff", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (
            b"[" * 100_000,
            "maximum recursion depth exceeded while decoding a JSON array from a unicode string",
        ),
    ]:
        path.write_bytes(content)
        with pytest.raises(ReadError) as error:
            read_review(path)
        assert [(p.file, p.found) for p in error.value.problems] == [("review.json", found)]


def test_json_takes_no_vocabulary(tmp_path):
    (tmp_path / "review.json").write_text(json.dumps({"studies": [{"id": "a"}]}))
    with pytest.raises(InvalidInputError) as error:
        read_review(tmp_path / "review.json", endpoints=ENDPOINTS)
    assert str(error.value) == "A JSON file holds a whole review: endpoints= and columns= do not apply."
