import csv
from collections import Counter
from importlib.resources import files

import pytest

from netsynth.data.endpoint import find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedNumber
from netsynth.data.proportion import ReportedProportion
from netsynth.data.quality import MINORS, QUIPS, Checklist, QualityAssessment
from netsynth.data.review import Review
from netsynth.data.study import Group, Study
from netsynth.data.survival import ReportedSurvival, ReportedTime, SurvivalPoint
from netsynth.datasets import load_nethm
from netsynth.errors import InvalidInputError
from netsynth.quality import score_reporting, tabulate_assessments

OS = find_endpoint("OS")
ITEMS = (
    "sample size",
    "enrolment period",
    "design",
    "follow-up",
    "treated group",
    "survival at two times",
    "uncertainty or at risk",
    "prognostic analysis",
    "adjusted analysis",
)


def evidence(study=None, **records):
    """What one study reports, by item; items without evidence are left out."""
    reporting = score_reporting(Review((study or Study("A"),), **records))
    (row,) = reporting.studies
    assert reporting.items == ITEMS
    assert row.total == sum(row.reported)
    return {item: text for item, text in zip(ITEMS, row.evidence, strict=True) if text}


def survival(points, role="overall", n=None, **more):
    years = [year for year, _ in points]
    return ReportedSurvival.from_percent(
        "A", years=years, percent=[p for _, p in points], group=Group("some", role, n), **more
    )


def result(**given):
    return ReportedFactor("A", "grade", OS, "poor", "well", **given)


def test_a_study_that_reports_nothing():
    assert evidence() == {}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"n_patients": 339}, {"sample size": "339 patients"}),
        ({"n_patients": 1}, {"sample size": "1 patient"}),
        ({"n_treated": 19}, {"treated group": "19 treated"}),
        ({"enrolment_start": 1985}, {}),
        ({"enrolment_end": 2009}, {}),
        ({"enrolment_start": 1985, "enrolment_end": 2009}, {"enrolment period": "1985–2009"}),
        ({"design": "retrospective"}, {"design": "retrospective"}),
        ({"design": "not stated"}, {}),
        ({"design": "Not stated (table)"}, {}),
        ({"design": "(unclear)"}, {}),
        ({"design": "NR"}, {}),
        ({"design": "national registry"}, {"design": "national registry"}),
        ({"followup": ReportedNumber("26", "month")}, {"follow-up": "26 months"}),
        (
            {"followup": ReportedNumber("4.5", "year"), "followup_statistic": "median"},
            {"follow-up": "median 4.5 years"},
        ),
    ],
)
def test_what_the_study_itself_states(given, expected):
    assert evidence(Study("A", **given)) == expected


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        (Group(n_total=40), {"sample size": "40 patients"}),
        (Group("resected", "arm", 19), {"treated group": "arm resected (n = 19)"}),
        (Group("resected", "arm"), {}),
        (Group("R0", "subgroup", 10), {}),
        (Group("embolised", "comparator", 40), {}),
    ],
)
def test_group_sizes_count_where_the_study_gives_none(group, expected):
    made = ReportedProportion("A", "mortality", share=ReportedNumber("3", "percent"), group=group)
    assert evidence(proportions=(made,)) == expected


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (survival([(5, 61)]), None),
        (survival([(3, 83), (5, 61)]), "OS at 3 years and 5 years"),
        (survival([(3, 83), (5, 61)], "comparator"), None),
        (survival([(3, 83), (5, 61)], "subgroup"), "OS at 3 years and 5 years"),
    ],
)
def test_survival_at_two_times(record, expected):
    assert evidence(survival=(record,)).get("survival at two times") == expected


def test_a_landmark_that_is_not_stated_is_no_second_time():
    points = (
        SurvivalPoint(ReportedNumber("5", "year"), ReportedNumber("61", "percent"), row_id="SV1"),
        SurvivalPoint(None, ReportedNumber("40", "percent"), row_id="SV2"),
    )
    assert evidence(survival=(ReportedSurvival("A", OS, points),)) == {}
    more = SurvivalPoint(ReportedNumber("3", "year"), ReportedNumber("83", "percent"), row_id="SV0")
    found = evidence(survival=(ReportedSurvival("A", OS, (*points, more)),))
    assert found == {"survival at two times": "OS at 3 years and 5 years [SV0, SV1]"}


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (
            {"survival": (survival([(5, 61)], ci_lower=[45], ci_upper=[77]),)},
            "confidence interval of OS at 5 years",
        ),
        ({"survival": (survival([(5, 61)], n_at_risk=[12]),)}, "number at risk of OS at 5 years"),
        ({"survival": (survival([(5, 61)], "comparator", n_at_risk=[12]),)}, None),
        ({"times": (ReportedTime.of("A", "OS", 21, ci=(13, 46)),)}, "confidence interval of median OS"),
        ({"times": (ReportedTime.of("A", "OS", 21, range=(13, 46)),)}, None),
        ({"times": (ReportedTime.of("A", "OS", 21, iqr=(13, 46)),)}, None),
    ],
)
def test_uncertainty_is_of_the_estimate_and_not_between_patients(records, expected):
    assert evidence(**records).get("uncertainty or at risk") == expected


@pytest.mark.parametrize(
    ("given", "prognostic", "adjusted"),
    [
        ({"significance": "yes"}, "grade, OS, not stated", None),
        ({"significance": "no"}, "grade, OS, not stated", None),
        ({"pvalue": ReportedNumber("0.04", "pvalue")}, "grade, OS, not stated", None),
        (
            {"hazard_ratio": ReportedNumber("1.9", "ratio"), "row_id": "PG1"},
            "grade, OS, not stated [PG1]",
            None,
        ),
        ({"significance": "not tested"}, None, None),
        ({}, None, None),
        ({"significance": "yes", "analysis": "pooled"}, None, None),
        ({"significance": "yes", "analysis": "univariable"}, "grade, OS, univariable", None),
        ({"significance": "yes", "analysis": "matched"}, "grade, OS, matched", "grade, OS, matched"),
        (
            {"significance": "yes", "analysis": "multivariable"},
            "grade, OS, multivariable",
            "grade, OS, multivariable",
        ),
        ({"analysis": "multivariable"}, None, None),
    ],
)
def test_prognostic_and_adjusted_analysis(given, prognostic, adjusted):
    found = evidence(factors=(result(**given),))
    assert (found.get("prognostic analysis"), found.get("adjusted analysis")) == (prognostic, adjusted)


def test_several_results_are_counted():
    made = tuple(result(analysis=kind, significance="no") for kind in ("univariable", "multivariable"))
    assert evidence(factors=made) == {
        "prognostic analysis": "grade, OS, univariable and 1 more",
        "adjusted analysis": "grade, OS, multivariable",
    }


def test_records_of_other_studies_do_not_count():
    made = Review(
        (Study("A"), Study("B")),
        survival=(survival([(3, 83), (5, 61)], n=20),),
        factors=(result(significance="yes", analysis="matched"),),
    )
    assert score_reporting(made).totals == ("4/9", "0/9")


# -- the packaged review ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nethm():
    return score_reporting(load_nethm())


def test_items_of_the_packaged_review(nethm):
    """Second implementation: counted in the raw files, without any record or rule of ours."""

    def rows(name):
        text = files("netsynth.datasets").joinpath("nethm", f"{name}.csv").read_text(encoding="utf-8")
        return list(csv.DictReader(text.splitlines()))

    def having(column):
        return {row["study_id"] for row in rows("studies") if row[column]}

    survival_rows = [row for row in rows("survival") if row["set"] != "comparator"]
    series = {
        (r["study_id"], r["endpoint"], r["group"], r["time_value"]) for r in survival_rows if r["time_value"]
    }
    often = Counter(key[:3] for key in series)
    factors = [row for row in rows("prognostic") if not row["study_id"].startswith("META_")]
    expected = [
        having("n_patients"),
        having("enrol_start") & having("enrol_end"),
        {row["study_id"] for row in rows("studies") if not row["design"].startswith("not stated")},
        having("followup_months"),
        having("n_resected"),
        {study for (study, _, _), n in often.items() if n > 1},
        {row["study_id"] for row in survival_rows if row["ci_low"] or row["ci_high"] or row["n_at_risk"]},
        {row["study_id"] for row in factors if row["significant"] in ("yes", "no")},
        {row["study_id"] for row in factors if row["analysis"] in ("multivariate", "matched")},
    ]
    for i, (item, studies) in enumerate(zip(nethm.items, expected, strict=True)):
        found = {study.study for study in nethm.studies if study.reported[i]}
        # an arm with its size in another table defines the treated group as well
        assert found >= studies if item == "treated group" else found == studies, item


# Mayo 2010: 339 patients, 1985 to 2009, retrospective database, follow-up 26 months, OS at 5 and 10 years, hazard
# ratios of a multivariable model; no number of resected patients, no interval, no numbers at risk.
def test_one_study_of_the_packaged_review(nethm):
    row = next(study for study in nethm.studies if study.study == "mayo_2010")
    missing = [item for item, said in zip(nethm.items, row.reported, strict=True) if not said]
    assert set(missing) <= {"treated group", "uncertainty or at risk"}
    assert row.evidence[0] == "339 patients"
    assert row.evidence[7] == "timing of metastasis, OS, multivariable [PG001] and 2 more"


def test_frames_and_text_agree(nethm):
    summary, items, cells = nethm.summary_frame(), nethm.item_frame(), nethm.evidence_frame()
    assert summary.shape == (44, 12)
    assert summary["total"].tolist() == [study.total for study in nethm.studies]
    assert (
        summary[list(ITEMS)].sum().tolist()
        == items["n_reported"].tolist()
        == list(nethm.item_counts.values())
    )
    assert (cells["evidence"] != "").sum() == cells["reported"].sum() == summary["total"].sum()
    assert nethm.cells[0] == tuple("yes" if said else "no" for said in nethm.studies[0].reported)
    text = str(nethm).splitlines()
    assert text[0].startswith("Reporting completeness: 9 items, 44 studies; reported a study: median ")
    assert text[2].split() == ["sample", "size", "43", "of", "44", "98%"]
    assert text[-2:] == [
        "  What is not among the extracted rows counts as not reported.",
        "  This is no judgement of how well a study was done.",
    ]
    assert "quality" not in str(nethm).lower()
    assert "<th>sample size</th>" in nethm._repr_html_()


# -- assessments -----------------------------------------------------------------------------------------

# Ratings and totals as printed in Table 3 of https://pmc.ncbi.nlm.nih.gov/articles/PMC9667948/
MINORS_PRINTED = {
    "Algarni 2021": ([2, 2, 0, 2, 0, 2, 2, 0], "10/16"),
    "Fang 2020": ([2, 2, 0, 2, 0, 1, 2, 0, 2, 2, 2, 2], "17/24"),
    "Steinberg 2019": ([2, 1, 0, 2, 0, 2, 2, 0, 2, 0, 1, 2], "14/24"),
    "Sun 2017": ([2, 2, 2, 2, 0, 2, 2, 0, 2, 2, 2, 2], "20/24"),
}


def rated(*assessments):
    studies = tuple(Study(name) for name in dict.fromkeys(a.study for a in assessments))
    return Review(studies, assessments=assessments)


def test_published_minors_table():
    made = rated(
        *(QualityAssessment.of(study, MINORS, given) for study, (given, _) in MINORS_PRINTED.items())
    )
    table = tabulate_assessments(made, MINORS)
    assert table.totals == tuple(total for _, total in MINORS_PRINTED.values())
    assert table.labels == table.studies == tuple(MINORS_PRINTED)
    assert table.cells[0] == tuple("22020220") + ("",) * 4
    # down the columns of the printed table
    assert table.item_counts["stated aim"] == {"2": 4, "1": 0, "0": 0}
    assert table.item_counts["prospective data"] == {"2": 1, "1": 0, "0": 3}
    assert table.item_counts["adequate control group"] == {"2": 3, "1": 0, "0": 0}
    frame = table.summary_frame()
    assert frame["total"].tolist() == [10, 17, 14, 20]
    assert frame["maximum"].tolist() == [16, 24, 24, 24]
    assert table.item_frame().set_index("item").loc["contemporary groups"].tolist() == [2, 0, 1]
    assert str(table).splitlines()[2].split() == ["Algarni", "2021", *"22020220", "10/16"]
    assert "<td>17/24</td>" in table._repr_html_()


def test_a_checklist_without_sum_has_no_total():
    made = rated(QualityAssessment.of("A", QUIPS, ["low", "high", "low", "low", "moderate", "low"]))
    table = tabulate_assessments(made, "QUIPS")
    assert (table.totals, table.scores) == (("",), (None,))
    assert table.ratings == ("low", "moderate", "high")
    assert list(table.summary_frame().columns) == ["study", "label", *QUIPS.items]


def test_two_assessors_of_a_study_have_a_row_each():
    ratings = ["low"] * 6
    made = rated(*(QualityAssessment.of("A", QUIPS, ratings, assessor=name) for name in ("X", "Y")))
    assert tabulate_assessments(made, "QUIPS").labels == ("A (X)", "A (Y)")


def test_questions_without_answer_are_refused():
    made = rated(QualityAssessment.of("A", QUIPS, ["low"] * 6))
    with pytest.raises(InvalidInputError) as error:
        tabulate_assessments(made, MINORS)
    assert str(error.value) == "No study of the review was rated on 'MINORS'; rated on are QUIPS."
    other = Checklist("QUIPS", ("one",), ("low", "high"))
    with pytest.raises(InvalidInputError) as error:
        tabulate_assessments(made, other)
    assert str(error.value) == "Different checklists are called 'QUIPS'; give each its own name."
