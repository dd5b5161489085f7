import csv
from pathlib import Path

import pytest
import strategies as records
from hypothesis import given, settings

import netsynth.datasets
from netsynth.data.number import ReportedNumber
from netsynth.data.review import Review
from netsynth.data.study import Study
from netsynth.datasets import load_nethm
from netsynth.tables import characteristics_table

FOLDER = Path(netsynth.datasets.__file__).parent / "nethm"


def cells(table):
    """Rows as dicts."""
    headers = [column.header for column in table.columns]
    return [dict(zip(headers, row, strict=True)) for row in table.rows]


def test_one_row_a_study():
    review = Review(
        [
            Study(
                "chen_1998",
                first_author="Chen",
                year=1998,
                country="USA",
                enrolment_start=1984,
                enrolment_end=1995,
                design="prospective database",
                centres="not stated",
                population="resection_arm",
                n_patients=38,
                n_treated=15,
                followup=ReportedNumber("27.5", "month"),
                followup_statistic="median",
            ),
            Study("nave", design="not stated (table)", followup=ReportedNumber("42", "month", ">")),
        ]
    )
    table = characteristics_table(review)
    assert table.title == "Characteristics of 2 studies"
    assert [(column.header, column.align) for column in table.columns] == [
        ("Study", "left"),
        ("Country", "left"),
        ("Enrolment", "left"),
        ("Design", "left"),
        ("Population", "left"),
        ("Patients", "right"),
        ("Treated", "right"),
        ("Follow-up, months", "decimal"),
    ]
    assert table.rows == (
        (
            "Chen 1998",
            "USA",
            "1984–1995",
            "prospective database",
            "resection arm",
            "38",
            "15",
            "27.5 (median)",
        ),
        ("nave", "", "", "", "", "", "", ">42"),
    )
    assert table.footnotes == ("Empty: not stated in what was read.",)


def test_followup_in_several_units_keeps_them():
    review = Review(
        [
            Study("a", followup=ReportedNumber("42", "month"), followup_statistic="mean"),
            Study("b", followup=ReportedNumber("3.5", "year")),
            Study("c"),
        ]
    )
    assert [row["Follow-up"] for row in cells(characteristics_table(review))] == [
        "42 months (mean)",
        "3.5 years",
        "",
    ]


def test_studies_that_share_patients_have_one_mark():
    review = Review(
        [
            Study("a"),
            Study("b", overlap=["d"]),
            Study("c", overlap=["d"]),
            Study("d"),
            Study("e", overlap=["f"]),
            Study("f"),
        ]
    )
    table = characteristics_table(review)
    assert [row["Study"] for row in cells(table)] == ["a", "bᵃ", "cᵃ", "dᵃ", "eᵇ", "fᵇ"]
    assert table.footnotes[:2] == ("ᵃ May share patients: b, c, d.", "ᵇ May share patients: e, f.")


@pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")
@settings(max_examples=15)
@given(records.reviews())
def test_any_review_has_a_table(review):
    table = characteristics_table(review)
    assert len(table.rows) == len(review.studies)


def test_the_packaged_review():
    with (FOLDER / "studies.csv").open(encoding="utf-8", newline="") as file:
        printed = list(csv.DictReader(file))
    rows = cells(characteristics_table(load_nethm()))
    assert [(row["Patients"], row["Treated"]) for row in rows] == [
        (study["n_patients"], study["n_resected"]) for study in printed
    ]
    # every study that the file says to overlap with another, and those that are named by others, carry a mark
    marked = {
        study["study_id"] for study, row in zip(printed, rows, strict=True) if row["Study"][-1] in "ᵃᵇᶜᵈ"
    }
    assert marked >= {study["study_id"] for study in printed if study["overlap"]}
    assert [row["Follow-up, months"] for row in rows] == [study["followup_months"] for study in printed]
