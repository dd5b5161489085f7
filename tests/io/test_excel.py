"""Workbooks: what cells show is what is read, formulas are never reckoned, and numbers are written as numbers."""

import sys

import openpyxl
import pytest

from netsynth.data.number import ReportedNumber
from netsynth.data.review import Review
from netsynth.data.source import Source
from netsynth.data.study import Study
from netsynth.data.survival import ReportedSurvival
from netsynth.errors import InvalidInputError, ReadError, UnusableDataWarning
from netsynth.io import read_review, write_review

HEADER = ["study_id", "endpoint", "statistic", "time_value", "time_unit", "value", "value_unit", "notes"]


def workbook(path, rows, formats=None, **sheets):
    """A workbook with a study "a", survival rows, and number formats of cells, {"F2": "0.0"}."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, content in {"Studies": [["study_id"], ["a"]], "survival": [HEADER, *rows], **sheets}.items():
        sheet = book.create_sheet(name)
        for row in content:
            sheet.append(row)
    for place, number_format in (formats or {}).items():
        book["survival"][place].number_format = number_format
    book.save(path / "review.xlsx")
    return path / "review.xlsx"


def problems(path):
    with pytest.raises(ReadError) as error:
        read_review(path)
    return [(p.file, p.row, p.column, p.found) for p in error.value.problems]


@pytest.mark.parametrize(
    ("value", "number_format", "unit", "expected"),
    [
        (83, "General", "%", ReportedNumber("83", "percent")),
        (83, "0.0", "%", ReportedNumber("83.0", "percent")),
        (70.53, "0.0", "%", ReportedNumber("70.53", "percent")),  # a format hides no digits
        (0.83, "0%", "%", ReportedNumber("83", "percent")),
        (0.835, "0%", None, ReportedNumber("83.5", "percent")),
        (0.83, "0.00%", "%", ReportedNumber("83.00", "percent")),
        (0.83, "0.00", "probability", ReportedNumber("0.83", "probability")),
        ("83.0", "@", "%", ReportedNumber("83.0", "percent")),
        ("~83", "General", "%", ReportedNumber("83", "percent", "~")),
    ],
)
def test_a_number_is_read_as_it_is_shown(tmp_path, value, number_format, unit, expected):
    path = workbook(tmp_path, [["a", "OS", "percent", 5, "year", value, unit, None]], {"F2": number_format})
    (record,) = read_review(path).survival
    assert record.points[0].share == expected


def test_a_percent_format_is_no_fraction(tmp_path):
    path = workbook(tmp_path, [["a", "OS", "percent", 5, "year", 0.83, "probability", None]], {"F2": "0%"})
    assert problems(path) == [("review.xlsx, sheet survival", 2, "value", "'83%'")]


def test_typed_numbers_are_not_subject_to_the_decimal_mark_of_text(tmp_path):
    rows = [
        ["a", "OS", "percent", 2.5, "year", 70.5, "%", None],
        ["a", "OS", "percent", "5,5", "year", "60,5", "%", ""],
    ]
    (record,) = read_review(workbook(tmp_path, rows), decimal=",").survival
    assert [(point.months, point.share.text) for point in record.points] == [(30, "70.5"), (66, "60.5")]


def test_a_formula_without_a_stored_value_is_refused(tmp_path):
    path = workbook(tmp_path, [["a", "OS", "percent", 5, "year", "=35*2", "%", "=A1"]])
    found = problems(path)
    assert [row[:3] for row in found if row[3] == "a formula without a stored value"] == [
        ("review.xlsx, sheet survival", 2, "F"),
        ("review.xlsx, sheet survival", 2, "H"),
    ]


def test_text_that_looks_like_a_formula_is_text(tmp_path):
    review = Review((Study("a", notes="=1+1", country="'=x"),), sources=(Source("S", citation="@x"),))
    path = write_review(review, tmp_path / "review.xlsx")
    cells = [cell for row in openpyxl.load_workbook(path)["studies"].iter_rows() for cell in row]
    assert {cell.value for cell in cells if cell.data_type == "s"} >= {"=1+1", "'=x"}
    assert [cell.value for cell in cells if cell.data_type == "f"] == []
    assert read_review(path) == review


def test_numbers_are_written_as_numbers_that_show_their_digits(tmp_path):
    survival = ReportedSurvival.from_percent("a", percent=["83.0", "70"], years=[3, 5])
    path = write_review(Review((Study("a", year=1995),), survival=(survival,)), tmp_path / "review.xlsx")
    book = openpyxl.load_workbook(path)
    named = {cell.value: i for i, cell in enumerate(book["survival"][1])}
    (first, second) = (
        [row[named[name]] for name in ("value", "time_value")] for row in list(book["survival"])[1:]
    )
    assert [(cell.value, cell.number_format) for cell in (*first, *second)] == [
        (83, "0.0"), (3, "0"), (70, "0"), (5, "0"),
    ]  # fmt: skip
    assert 1995 in [cell.value for cell in book["studies"][2]]


def test_sheets_that_are_no_table_are_told(tmp_path):
    with pytest.warns(UnusableDataWarning, match="not read, since the name is no table: 'Sheet1'"):
        read_review(workbook(tmp_path, [], Sheet1=[["scribble"]]))


def test_an_empty_sheet_is_refused(tmp_path):
    assert problems(workbook(tmp_path, [], proportions=[])) == [
        ("review.xlsx, sheet proportions", None, "", "an empty sheet")
    ]


def test_cells_beyond_the_header_are_refused(tmp_path):
    rows = [["a", "OS", "percent", 5, "year", 70, "%", "", "stray"]]
    assert problems(workbook(tmp_path, rows)) == [("review.xlsx, sheet survival", 2, "", "9 cells")]


def test_a_date_is_no_number(tmp_path):
    import datetime

    path = workbook(tmp_path, [["a", "OS", "percent", datetime.datetime(2024, 5, 10), "year", 70, "%", None]])
    assert problems(path) == [("review.xlsx, sheet survival", 2, "time_value", "'2024-05-10T00:00:00'")]


def test_a_file_that_is_no_workbook_is_refused(tmp_path):
    (tmp_path / "review.xlsx").write_bytes(b"study_id\na\n")
    ((file, _, _, found),) = problems(tmp_path / "review.xlsx")
    assert (file, found) == ("review.xlsx", "no workbook that can be read (File is not a zip file)")


def test_without_openpyxl_the_extra_is_named(tmp_path, monkeypatch):
    path = workbook(tmp_path, [])
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    for call in (
        lambda: read_review(path),
        lambda: write_review(Review((Study("a"),)), tmp_path / "new.xlsx"),
    ):
        with pytest.raises(InvalidInputError) as error:
            call()
        assert str(error.value) == (
            "Excel workbooks need openpyxl: pip install 'netsynth[excel]'. A folder of CSV files needs nothing."
        )
