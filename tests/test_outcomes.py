"""The table of the abstract: medians and ranges of every outcome, beside the published review."""

import math

import pytest

from netsynth.data.endpoint import find_endpoint
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.proportion import ReportedProportion
from netsynth.data.review import PublishedTarget, Review
from netsynth.data.study import Group, Study
from netsynth.data.survival import ReportedSurvival, ReportedTime
from netsynth.datasets import load_nethm
from netsynth.errors import InvalidInputError
from netsynth.outcomes import summarize_outcomes
from netsynth.over_time import pool_survival
from netsynth.prognostic import summarize_factors
from netsynth.tables.outcomes import outcomes_table


@pytest.fixture(scope="module")
def nethm():
    return load_nethm()


def small_review(**more):
    """Three studies, of which b and c share patients; figures made up."""
    studies = (
        Study("a", n_patients=40),
        Study("b", n_patients=90, n_treated=60, overlap=("c",)),
        Study("c", n_patients=30),
    )
    survival = (
        ReportedSurvival.from_percent("a", "OS", years=[3, 5], percent=["80", "60"], n_total=40),
        ReportedSurvival.from_percent("b", "OS", years=[5], percent=["70.5"], n_total=60),
        ReportedSurvival.from_percent("c", "OS", years=[5], percent=["50"], n_total=30),
    )
    return Review(studies, survival=survival, **more)


# the facts below stand in the README of the data set, which was compiled apart from this code


def test_published_facts_of_the_core_set(nethm):
    row = summarize_outcomes(nethm, sets=["core"]).row("OS", 60)
    assert str(row) == "5-year OS: 73.5% (range, 41–94%; k = 12)"
    relief = summarize_outcomes(nethm, sets=["core"], overlap="keep").row("symptom_relief")
    assert str(relief) == "symptom relief: 92% (range, 70.6–100%; k = 9)"


def test_published_figures_stand_beside_ours(nethm):
    summary = summarize_outcomes(nethm, sets=["core"])
    row = summary.row("OS", 60)
    assert (row.published, tuple(row.published_range)) == (70.5, (31, 100))  # the abstract of the review
    assert row.difference == 3.0
    pfs = summary.row("PFS")
    assert (pfs.k, pfs.published, tuple(pfs.published_range)) == (0, 21, (13, 46))
    assert math.isnan(pfs.difference)
    text = summary.comparison().splitlines()
    assert len(text) == 1 + 9  # a heading and the nine published figures
    assert text[2].split()[-1] == "+3.0"


def test_every_published_figure_has_a_line_even_without_a_study(nethm):
    summary = summarize_outcomes(nethm, sets=["core"])
    assert sum(row.target is not None for row in summary.rows) == len(nethm.targets) == 9


def test_one_line_an_endpoint_and_landmark():
    summary = summarize_outcomes(small_review())
    assert [row.label for row in summary.rows] == ["3-year OS", "5-year OS"]
    assert summary.row("OS", 60).summary.k == 2  # b and c share patients
    assert summary.row("OS", 60).summary.median == 65.25


def test_patients_of_overlapping_studies_count_once():
    # a has 40 patients; of b (60 treated) and c (30) only the larger counts, as only one of them is used
    summary = summarize_outcomes(small_review())
    assert (summary.n_studies, summary.n_reporting, summary.n_patients) == (3, 2, 100)
    kept = summarize_outcomes(small_review(), overlap="keep")
    assert (kept.n_reporting, kept.n_patients) == (3, 100)


def test_narrative_joins_landmarks_of_an_endpoint():
    text = summarize_outcomes(small_review()).narrative()
    assert text == (
        "Of 3 studies, 2 with 100 patients (overlapping cohorts counted once) reported these outcomes. "
        "Median 3- and 5-year overall survival was 80% (k = 1) and 65.25% (range, 60–70.5%; k = 2)."
    )


def test_times_in_years_and_months_meet_in_months():
    times = (
        ReportedTime.of("a", "PFS", "2", "year"),
        ReportedTime.of("b", "PFS", "21", "month"),
    )
    target = PublishedTarget("PFS", ReportedNumber("1.5", "year"), ReportedInterval.of("1", "3", "year"))
    row = summarize_outcomes(small_review(times=times, targets=(target,))).row("PFS")
    assert (row.summary.median, row.summary.unit) == (22.5, "month")
    assert (row.published, tuple(row.published_range), row.difference) == (18, (12, 36), 4.5)


def test_proportions_take_the_widest_definition():
    proportions = (
        ReportedProportion.of("a", "relief", percent="69", group=Group("treated", "arm")),
        ReportedProportion(
            "a",
            "relief",
            share=ReportedNumber("92", "percent"),
            definition="any",
            group=Group("treated", "arm"),
        ),
        ReportedProportion.of("b", "relief", n_events=12, n_total=17),
    )
    row = summarize_outcomes(small_review(proportions=proportions)).row("relief")
    assert str(row) == "relief: 81.3% (range, 70.6–92%; k = 2)"


def test_min_studies_keeps_lines_the_published_review_has():
    target = PublishedTarget("OS", ReportedNumber("83", "percent"), time=ReportedNumber("3", "year"))
    summary = summarize_outcomes(small_review(targets=(target,)), min_studies=2)
    assert [(row.label, row.k) for row in summary.rows] == [("3-year OS", 1), ("5-year OS", 2)]
    assert [row.label for row in summarize_outcomes(small_review(), min_studies=2).rows] == ["5-year OS"]


def test_frame_has_every_line_unrounded():
    frame = summarize_outcomes(small_review()).summary_frame()
    assert list(frame["median"]) == [80, 65.25]
    assert list(frame["k"]) == [1, 2]
    assert list(frame["n_patients"]) == [40, 100]
    assert frame.loc[1, "time_months"] == 60


def test_exclusions_say_what_was_left_out():
    (exclusion,) = summarize_outcomes(small_review()).exclusions
    assert str(exclusion) == "c, 50%, overall (n = 30): may share patients with b, which was kept"


def test_warnings_of_lines_reach_the_summary():
    names = {caution.name for caution in summarize_outcomes(small_review()).warnings}
    assert names == {"FewStudiesWarning"}


def test_unknown_names_are_refused():
    with pytest.raises(InvalidInputError, match=r"Unknown endpoint 'XYZ'; known are OS, DSS"):
        summarize_outcomes(small_review(), endpoints=["XYZ"])
    for name, word in (
        ("endpoints", "OS"),
        ("proportions", "symptom_relief"),
        ("sets", "core"),
        ("roles", "arm"),
    ):
        with pytest.raises(InvalidInputError, match=f"^{name} must be a list of .*words; got '{word}'"):
            summarize_outcomes(load_nethm(), **{name: word})
    with pytest.raises(InvalidInputError, match=r"No study reports 'relief'; reported are none\."):
        summarize_outcomes(small_review(), proportions=["relief"])
    with pytest.raises(InvalidInputError, match="min_studies must be a whole number of at least 0; got -1"):
        summarize_outcomes(small_review(), min_studies=-1)
    with pytest.raises(KeyError, match="no line for OS at 12 months"):
        summarize_outcomes(small_review()).row("OS", 12)


def test_landmarks_and_endpoints_can_be_chosen():
    summary = summarize_outcomes(small_review(), endpoints=[find_endpoint("OS")], landmarks_months=[60, 120])
    assert [(row.label, row.k) for row in summary.rows] == [("5-year OS", 2)]


def test_a_set_that_no_result_belongs_to_is_refused(nethm):
    """The words of the review's tables, read from its files by hand."""
    message = (
        "No result belongs to evidence set cor; the review has (none), comparator, core, duplicate, mixed, "
        "mixed_newer, mixed_subgroup, newer and subgroup."
    )
    asked = (
        lambda sets: summarize_outcomes(nethm, sets=sets),
        lambda sets: nethm.select_survival("OS", 60, sets=sets),
        lambda sets: nethm.select_times("PFS", sets=sets),
        lambda sets: nethm.select_proportions("symptom_relief", sets=sets),
        lambda sets: summarize_factors(nethm, sets=sets),
        lambda sets: pool_survival(nethm, "OS", sets=sets),
        lambda sets: outcomes_table(nethm, sets=sets),
    )
    for ask in asked:
        with pytest.raises(InvalidInputError) as error:
            ask(["core", "cor"])
        assert str(error.value) == message
        with pytest.raises(
            InvalidInputError, match="sets must be a list of one or more words; got 'mixed_newer'"
        ):
            ask("mixed_newer")
