import csv
from pathlib import Path

import pytest
import strategies as records
from hypothesis import given, settings
from hypothesis import strategies as st

import netsynth.datasets
from netsynth.data.endpoint import ENDPOINTS, Endpoint, find_endpoint
from netsynth.data.number import ReportedNumber
from netsynth.data.proportion import ReportedProportion
from netsynth.data.review import Review
from netsynth.data.study import Group, Study
from netsynth.data.survival import ReportedSurvival, ReportedTime, SurvivalPoint
from netsynth.datasets import load_nethm
from netsynth.errors import InvalidInputError
from netsynth.tables import outcomes_table

FOLDER = Path(netsynth.datasets.__file__).parent / "nethm"
ARM = Group("resected", "arm", 15, "core")
OTHERS = Group("unresectable", "comparator", 23, "comparator")
CURATIVE = Group("curative", "subgroup", 10)
PALLIATIVE = Group("palliative", "subgroup")
SYMPTOM_FREE = Endpoint("symptom_free_survival", "symptom-free survival")


def survival(study, *pairs, endpoint="OS", group=None):
    years, percent = zip(*pairs, strict=True)
    return ReportedSurvival.from_percent(
        study, endpoint, years=years, percent=percent, group=group or Group()
    )


def percent(text):
    return ReportedNumber(text, "percent")


@pytest.fixture
def review():
    return Review(
        studies=[
            Study("Chen", n_patients=38),
            Study("Nave", n_patients=31),
            Study("Mayo"),
            Study("Lv", n_patients=9),
        ],
        survival=[
            survival("Chen", (5, 73), (2, 80), group=ARM),
            survival("Chen", (5, 29), group=OTHERS),
            survival("Nave", (5, 86), group=CURATIVE),
            survival("Nave", (5, 26), group=PALLIATIVE),
            survival("Nave", (3, 50), endpoint="DFS", group=Group(n_total=31, evidence_set="newer")),
            survival("Nave", (3, 60), endpoint="DFS", group=CURATIVE),
            survival("Mayo", (5, 74), group=Group("surgery", "arm", 339, "newer", duplicate=True)),
            ReportedSurvival("Mayo", find_endpoint("PFS"), (SurvivalPoint(None, percent("36.2")),)),
            ReportedSurvival.from_percent(
                "Mayo", SYMPTOM_FREE, months=[20], percent=["34"], ci_lower=[30], ci_upper=[40]
            ),
        ],
        times=[
            ReportedTime.of("Chen", "OS", ReportedNumber("", "month", "not reached"), group=ARM),
            ReportedTime.of("Nave", "OS", "9.6", "year", range=(None, 22), group=CURATIVE),
            ReportedTime.of(
                "Mayo",
                "OS",
                ReportedNumber("96", "month", ">"),
                group=Group("surgery", "arm", 339, "newer", True),
            ),
            ReportedTime.of("Mayo", "OS", 43, statistic="mean"),
            ReportedTime("Mayo", find_endpoint("RFS"), "median", ReportedNumber("31.3")),
        ],
        proportions=[
            ReportedProportion("Chen", "symptom_relief", 12, 17, percent("70.6"), Group(n_total=38)),
            ReportedProportion("Chen", "mortality", 0, 15),
            ReportedProportion("Nave", "symptom_relief", share=percent("69"), definition="complete"),
            ReportedProportion(
                "Nave", "symptom_relief", share=percent("92"), definition="any", basis="computed"
            ),
            ReportedProportion("Mayo", "R1", n_total=126, share=percent("25.7"), group=CURATIVE),
        ],
        endpoints=(*ENDPOINTS, SYMPTOM_FREE),
    )


def column(table, header):
    i = [c.header for c in table.columns].index(header)
    return [row[i] for row in table.rows]


def test_every_figure_in_the_column_of_its_endpoint(review):
    table = outcomes_table(review)
    assert table.title == "Reported outcomes of 4 studies"
    assert [c.header for c in table.columns] == [
        "Study", "Evidence set", "Patients", "OS", "PFS", "DFS", "RFS", "Symptom-free survival", "Symptom relief",
        "Mortality", "R1",
    ]  # fmt: skip
    assert column(table, "OS") == [
        "2 y 80%ᵃ, 5 y 73%ᵃ, median NRᵃ",
        "curative (n = 10): 5 y 86%, median 9.6 years (range, ?–22 years); palliative: 5 y 26%",
        "surgery (n = 339): 5 y 74%ᶜ, median >96 monthsᶜ; overall: mean 43 months",
        "",
    ]
    assert column(table, "DFS") == ["", "3 y 50%", "", ""]
    assert column(table, "PFS") == ["", "", "36.2%ᵈ", ""]
    assert column(table, "RFS") == ["", "", "median 31.3ᵉ", ""]
    assert column(table, "Symptom-free survival") == ["", "", "20 mo 34% (95% CI, 30–40%)", ""]
    assert column(table, "Symptom relief") == ["12/17 (70.6%)", "complete 69%, any 92%ᵇ", "", ""]
    assert column(table, "Mortality") == ["0/15", "", "", ""]
    assert column(table, "R1") == ["", "", "curative (n = 10): 25.7% (n = 126)", ""]


def test_who_the_figures_speak_of(review):
    table = outcomes_table(review)
    assert column(table, "Study") == ["Chen", "Nave", "Mayo", "Lv"]
    assert column(table, "Evidence set") == ["core", "newer", "newer", ""]
    assert column(table, "Patients") == ["15", "31", "339", "9"]


def test_footnotes(review):
    assert outcomes_table(review).footnotes == (
        "ᵃ In a part of the study's patients, the arm under review.",
        "ᵇ Computed from other figures that the source prints.",
        "ᶜ Same patients as in another study.",
        "ᵈ Landmark not stated.",
        "ᵉ Unit of time not stated.",
        "OS, overall survival; PFS, progression-free survival; DFS, disease-free survival; RFS, recurrence-free "
        "survival; NR, not reached; y, years; mo, months.",
        "Subgroups are shown only where a study reports the outcome for nobody else; comparators are not shown.",
    )


def test_a_column_for_each_landmark(review):
    table = outcomes_table(review, landmarks_years=[3, 5])
    assert [c.header for c in table.columns][3:] == [
        "OS, 5 y", "OS, median", "OS, mean", "DFS, 3 y", "RFS, median", "Symptom relief", "Mortality", "R1",
    ]  # fmt: skip
    assert column(table, "OS, 5 y") == ["73%ᵃ", "curative (n = 10): 86%; palliative: 26%", "74%ᵃᶜ", ""]
    assert column(table, "OS, median") == [
        "NRᵃ",
        "curative (n = 10): 9.6 years (range, ?–22 years)",
        ">96 monthsᵃᶜ",
        "",
    ]
    assert column(table, "OS, mean") == ["", "", "43 months", ""]
    assert {c.align for c in table.columns if c.header.startswith("OS")} == {"decimal"}
    assert (
        table.footnotes[-1]
        == "Not shown: 3 percentages at other landmarks: 20 mo (1), 2 y (1) and not stated (1)."
    )


def test_landmarks_in_other_units_are_the_same(review):
    assert column(outcomes_table(review, landmarks_years=[20 / 12]), "Symptom-free survival, 20 mo")[2] == (
        "34% (95% CI, 30–40%)"
    )


def test_evidence_sets(review):
    table = outcomes_table(review, sets=["newer"])
    assert column(table, "Study") == ["Nave", "Mayo"]
    assert [c.header for c in table.columns] == ["Study", "Evidence set", "Patients", "OS", "DFS"]
    assert table.footnotes[-1] == "No figure in these evidence sets: Chen and Lv."


def test_a_proportion_called_like_an_endpoint_is_told_apart():
    recurrence = ReportedProportion("a", "OS", 1, 2)
    table = outcomes_table(Review([Study("a")], [survival("a", (5, 70))], proportions=[recurrence]))
    assert [c.header for c in table.columns] == ["Study", "OS", "OS (proportion)"]


@pytest.mark.parametrize("years", [0, -1, float("nan"), "5", True])
def test_landmarks_are_refused(review, years):
    with pytest.raises(InvalidInputError) as error:
        outcomes_table(review, landmarks_years=[years])
    assert str(error.value) == f"landmarks_years must be positive numbers of years; got {years!r}."


def test_a_lone_set_is_refused(review):
    with pytest.raises(InvalidInputError) as error:
        outcomes_table(review, sets="core")
    assert str(error.value) == "sets must be a list of one or more words; got 'core'."


@pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")
@settings(max_examples=20)
@given(records.reviews(), st.none() | st.just([1, 5]))
def test_no_shown_figure_is_lost_and_no_comparator_shown(review, landmarks):
    table = outcomes_table(review, landmarks_years=landmarks)
    assert len(table.rows) == len(review.studies)
    for row, study in zip(table.rows, review.studies, strict=True):
        shown = " ".join(row)
        for record in review.survival:
            if record.study == study.id and record.group.role in ("overall", "arm"):
                points = [p for p in record.timed if landmarks is None or p.time.months in (12, 60)]
                assert all(str(point.share) in shown for point in points)
        own = [r for r in (*review.survival, *review.times, *review.proportions) if r.study == study.id]
        if all(record.group.role == "comparator" for record in own):
            figures = [c for c, cell in zip(table.columns, row, strict=True) if cell]
            assert {column.header for column in figures} <= {"Study", "Patients"}


def test_the_packaged_review_shows_every_percentage_of_whole_cohorts_and_arms():
    """Against the file itself, where the evidence set says which groups are whole."""
    whole = {"core", "mixed", "newer", "mixed_newer", "duplicate"}
    review = load_nethm()
    table = outcomes_table(review)
    shown = {study.id: " ".join(row) for study, row in zip(review.studies, table.rows, strict=True)}
    with (FOLDER / "survival.csv").open(encoding="utf-8", newline="") as file:
        printed = [row for row in csv.DictReader(file) if row["set"] in whole]
    assert len(printed) > 70
    for row in printed:
        value = f"{row['qualifier'].strip('=')}{row['value']}"
        if row["statistic"] == "percent":
            unit = {"year": "y", "month": "mo"}[row["time_unit"]]
            assert f"{row['time_value']} {unit} {value}%" in shown[row["study_id"]], row["row_id"]
        else:
            assert f"{row['statistic']} {value} {row['value_unit']}s" in shown[row["study_id"]], row["row_id"]
    assert "comparator" not in " ".join(shown.values()).replace("comparators", "")
