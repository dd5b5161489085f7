"""The flow of a review refuses numbers that do not add up."""

from dataclasses import replace

import pytest

from netsynth.data.endpoint import find_endpoint
from netsynth.data.number import ReportedNumber
from netsynth.data.prisma import PrismaFlow
from netsynth.data.review import Review
from netsynth.data.selection import Exclusion
from netsynth.data.study import Group, Study
from netsynth.data.survival import ReportedSurvival, ReportedTime, SurvivalPoint
from netsynth.errors import InvalidInputError
from netsynth.outcomes import summarize_outcomes
from netsynth.results.review_flow import FlowLine, ReviewFlow

SOUND = ReviewFlow(
    None,
    0,
    5,
    {"mixed": 1},
    {"subgroup": 2},
    2,
    80,
    0,
    (Exclusion("a", "subgroup", "not asked for"),) * 3,
    2,
    (FlowLine("OS", 5, {"subgroup": 3}, 2),),
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_studies": 6}, "6 studies, but the parts add up to 5"),
        ({"unused": {"subgroup": 1}}, "5 studies, but the parts add up to 4"),
        ({"lines": (FlowLine("OS", 6, {"subgroup": 3}, 2),)}, "OS: 6 found do not add up"),
        ({"n_taken": 3}, "3 taken are not those of the outcomes together"),
        ({"search": PrismaFlow(databases=9, included_studies=4)}, "ends with 4, but the review holds 5"),
    ],
)
def test_numbers_that_do_not_add_up(change, message):
    with pytest.raises(InvalidInputError, match=message):
        replace(SOUND, **change)


def series(study, percents, role="overall", evidence_set=""):
    group = Group(role, role, n_total=20, evidence_set=evidence_set)
    return ReportedSurvival.from_percent(
        study, "OS", years=list(range(1, len(percents) + 1)), percent=percents, group=group
    )


def test_a_study_counts_where_its_figure_that_came_closest_does():
    review = Review(
        tuple(Study(name, n_patients=20) for name in "abcde"),
        survival=(
            series("a", ["90", "80"], evidence_set="core"),
            series("b", ["70"], "subgroup"),
            series("c", ["60"], "subgroup"),
            series("c", ["61"], evidence_set="newer"),
            series("d", ["50"], "comparator"),
        ),
    )
    flow = ReviewFlow.of(review, summarize_outcomes(review, sets=["core"], min_studies=0))
    assert dict(flow.unused) == {
        "subgroup": 1,
        "other evidence set": 1,
        "comparator": 1,
        "nothing of these outcomes": 1,
    }
    assert dict(flow.left_out) == {"subgroup": 2, "other evidence set": 1, "comparator": 1}
    assert (flow.n_found, flow.n_taken, flow.n_used, flow.n_patients) == (6, 2, 1, 20)
    assert flow.summary_frame().loc["1-year OS"].tolist() == [5, 2, 1, 1, 1]


def test_a_mean_is_counted_and_no_outcome_takes_it():
    means = [ReportedTime.of(study, "OS", 30, statistic="mean") for study in "ab"]
    review = Review(
        (Study("a"), Study("b", n_patients=20)),
        survival=(series("b", ["90"]),),
        times=(*means, ReportedTime.of("b", "OS", 41)),
    )
    flow = ReviewFlow.of(review, summarize_outcomes(review, min_studies=0))
    assert (flow.n_found, flow.n_taken, dict(flow.left_out)) == (4, 2, {"mean, not median": 2})
    assert [(one.study, one.shown) for one in flow.exclusions] == [
        (study, "mean OS: 30 months, overall") for study in "ab"
    ]
    assert flow.lines[-1] == FlowLine("mean OS", 2, {"mean, not median": 2}, 0)
    assert dict(flow.unused) == {"mean, not median": 1}


def test_figures_without_a_landmark_count_once_each():
    none = [
        ReportedSurvival(study, find_endpoint("OS"), (SurvivalPoint(None, ReportedNumber("60", "percent")),))
        for study in "ab"
    ]
    review = Review(
        (Study("a"), Study("b"), Study("c", n_patients=20)), survival=(*none, series("c", ["90", "80"]))
    )
    flow = ReviewFlow.of(review, summarize_outcomes(review, min_studies=0))
    assert (flow.n_found, flow.n_taken) == (4, 2)
    assert [(line.label, line.found) for line in flow.lines] == [("1-year OS", 3), ("2-year OS", 3)]
    assert [(one.study, one.shown) for one in flow.exclusions] == [
        ("a", "OS: 60%, overall"),
        ("b", "OS: 60%, overall"),
    ]
