"""The review as a whole: what it refuses, what it doubts, and the questions it answers."""

import json
import warnings

import pytest
import strategies as records
from hypothesis import given, settings
from hypothesis import strategies as st

from netsynth.data.characteristic import ReportedCharacteristic
from netsynth.data.endpoint import ENDPOINTS, Endpoint, find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.proportion import ReportedProportion
from netsynth.data.quality import QUIPS, QualityAssessment
from netsynth.data.review import PublishedTarget, Review, median_contradictions
from netsynth.data.source import Source
from netsynth.data.study import Group, Study
from netsynth.data.survival import ReportedSurvival, ReportedTime, SurvivalPoint
from netsynth.errors import Caution, InconsistentReportWarning, InvalidInputError, OverlapWarning

OS, PFS = find_endpoint("OS"), find_endpoint("PFS")
ARM, SUBGROUP = Group("resected", "arm", 40), Group("curative", "subgroup", 10)
doubtful = pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")
lean = settings(max_examples=10)


def survival(study, percent, years=(5,), group=None, endpoint="OS"):
    return ReportedSurvival.from_percent(
        study, endpoint, years=list(years), percent=list(percent), group=group
    )


def number(text, unit="percent", qualifier="="):
    return ReportedNumber(text, unit, qualifier)


@pytest.fixture
def review():
    """Five studies: b and c share patients; d prints its figure for a landmark it does not state."""
    return Review(
        studies=[
            Study("a", first_author="Chen", year=1998, n_patients=38, population="arm"),
            Study("b", n_patients=74, year=1995),
            Study("c", n_patients=170, year=2003, overlap=["b"]),
            Study("d", n_patients=421),
            Study("e"),
        ],
        survival=[
            survival("a", ["73"], group=Group("resected", "arm", 15)),
            survival("a", ["29"], group=Group("unresectable", "comparator", 23)),
            survival("b", ["80", "61"], (3, 5), Group(n_total=74)),
            survival("c", ["60"], group=Group(n_total=170)),
            ReportedSurvival(
                "d", OS, (SurvivalPoint(None, number("69.5")),), Group("pancreatic", "subgroup", 197)
            ),
            survival("d", ["40"], endpoint="DFS"),
        ],
        times=[
            ReportedTime.of("a", "OS", 96, group=Group("resected", "arm", 15)),
            ReportedTime.of("c", "OS", ReportedNumber("", "month", "not reached")),
            ReportedTime.of("b", "OS", 81, statistic="mean"),
            ReportedTime("d", OS, "median", ReportedNumber("31.3")),
        ],
        proportions=[
            ReportedProportion("a", "symptom_relief", share=number("69"), definition="complete"),
            ReportedProportion("a", "symptom_relief", share=number("92"), definition="complete or partial"),
            ReportedProportion("b", "symptom_relief", 12, 17),
            ReportedProportion("c", "mortality", 0, 170),
        ],
        characteristics=[ReportedCharacteristic("a", "age", number("55", "year"))],
        factors=[
            ReportedFactor("b", "grade", OS, pvalue=number("0.01", "pvalue")),
            ReportedFactor("META_x", "treatment", OS, analysis="pooled"),
        ],
        assessments=[QualityAssessment.of("a", QUIPS, ["low"] * 6)],
        sources=[Source("S1", "A paper")],
        targets=[
            PublishedTarget(
                "OS", number("70.5"), ReportedInterval.of(31, 100, "percent"), number("5", "year")
            )
        ],
        title="Liver",
    )


# -- questions -------------------------------------------------------------------------------------------


def test_who_reports_what(review):
    def ids(*question):
        return [study.id for study in review.studies_reporting(*question)]

    assert ids("OS") == ["a", "b", "c", "d"]
    assert ids("OS", 60) == ["a", "b", "c"]
    assert ids("overall survival", 36) == ["b"]
    assert ids("PFS") == []
    assert review.landmarks("OS") == (36, 60)
    assert review.landmarks("PFS") == ()
    assert review.study("a").label == "Chen 1998"
    assert review.overlap_cluster("b") == {"b", "c"}
    assert review.overlap_cluster("a") == {"a"}


def test_one_percentage_a_study(review):
    found = review.select_survival("OS", 60)
    assert found.question == "OS at 60 months"
    assert [(c.study, c.value.text, c.n_total) for c in found.chosen] == [("a", "73", 15), ("c", "60", 170)]
    assert [(e.study, e.kind) for e in found.excluded] == [
        ("a", "comparator"),
        ("d", "not usable"),
        ("b", "overlapping cohort"),
    ]
    assert review.select_survival("OS", 60.0, overlap="keep").studies == ("a", "b", "c")
    assert review.select_survival("OS", 60, roles=["comparator"]).values == (number("29"),)
    assert review.select_survival("OS", 36).studies == ("b",)
    for candidate in found.chosen:  # the place in the review that it came from
        record, point = candidate.record
        assert review.survival[record].points[point].share == candidate.value


def test_one_time_a_study(review):
    found = review.select_times("OS")
    assert found.question == "median OS"
    assert [(c.study, str(c.value)) for c in found.chosen] == [("a", "96 months"), ("c", "not reached")]
    assert [(e.study, e.reason) for e in found.excluded] == [("d", "its unit is not stated")]
    assert review.select_times("OS", statistic="mean").studies == ("b",)
    assert review.select_times("PFS").k == 0


def test_one_proportion_a_study_the_widest_definition(review):
    found = review.select_proportions("symptom_relief")
    assert [(c.study, str(c.value)) for c in found.chosen] == [("a", "92%"), ("b", "70.6%")]
    assert [(e.study, e.kind) for e in found.excluded] == [("a", "second value of a study")]
    assert "the largest share (the widest definition)" in found.rule
    assert found.chosen[1].n_total == 17
    assert str(review.select_proportions("mortality").chosen[0].value) == "0%"


@doubtful
@lean
@given(records.reviews(), st.sampled_from(["OS", "PFS", "LOS"]), st.sampled_from([12, 60, 120]))
def test_every_figure_of_the_question_is_accounted_for(review, endpoint, months):
    found = review.select_survival(endpoint, months)
    asked = [
        point
        for record in review.survival
        if record.endpoint.code == endpoint
        for point in record.points
        if point.time is None or point.time.months == months
    ]
    assert found.flow["found"] == len(asked)
    times = review.select_times(endpoint)
    assert times.flow["found"] == sum(
        t.endpoint.code == endpoint and t.statistic == "median" for t in review.times
    )
    for selection in (found, times):
        assert all(c.group.role in ("overall", "arm") and not c.group.duplicate for c in selection.chosen)


@doubtful
@lean
@given(records.reviews(), st.randoms(use_true_random=False))
def test_the_order_of_records_does_not_change_who_answers(review, random):
    def shuffled(items):
        items = list(items)
        random.shuffle(items)
        return tuple(items)

    other = Review(review.studies, shuffled(review.survival), shuffled(review.times), endpoints=review.endpoints,
                   sources=review.sources)  # fmt: skip
    for months in (12, 60):
        one, two = (r.select_survival("OS", months, overlap="keep") for r in (review, other))
        assert one.studies == two.studies
        assert one.flow == two.flow


@doubtful
@lean
@given(records.reviews())
def test_landmarks_are_those_at_which_some_study_reports(review):
    for endpoint in review.endpoints:
        for months in review.landmarks(endpoint):
            assert review.studies_reporting(endpoint, months)
            assert review.select_survival(endpoint, months).flow["found"] > 0


def test_filter_keeps_what_belongs_to_no_study(review):
    kept = review.filter(lambda study: (study.n_patients or 0) >= 74, reason="fewer than 74 patients")
    assert [study.id for study in kept.studies] == ["b", "c", "d"]
    assert {record.study for record in (*kept.survival, *kept.times, *kept.proportions)} == {"b", "c", "d"}
    assert kept.characteristics == kept.assessments == ()
    assert [factor.study for factor in kept.factors] == ["b", "META_x"]
    assert kept.sources == review.sources
    assert [(e.study, e.kind, e.reason) for e in kept.excluded] == [
        ("a", "fewer than 74 patients", "fewer than 74 patients"),
        ("e", "fewer than 74 patients", "fewer than 74 patients"),
    ]
    twice = kept.filter(lambda study: study.id != "b", reason="old")
    assert [(e.study, e.reason) for e in twice.excluded] == [
        ("a", "fewer than 74 patients"),
        ("e", "fewer than 74 patients"),
        ("b", "old"),
    ]
    assert len(review.studies) == 5


def test_shown(review):
    assert str(review) == (
        "Liver: 5 studies (6 survival, 4 times, 4 proportions, 1 characteristics, 2 factors, 1 assessments, "
        "1 sources, 1 targets)"
    )
    assert str(Review((Study("a"),))) == "1 study"
    page = review._repr_html_()
    assert "<caption>Liver: 5 studies" in page
    assert "<td>Chen 1998</td><td>38</td>" in page


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (
            PublishedTarget(
                "OS", number("70.5"), ReportedInterval.of(31, 100, "percent"), number("5", "year")
            ),
            "OS at 5 years: 70.5% (range, 31–100%)",
        ),
        (PublishedTarget("PFS", number("21", "month")), "PFS: 21 months"),
    ],
)
def test_target_shown(target, shown):
    assert str(target) == shown


# -- refusals --------------------------------------------------------------------------------------------

A = (Study("a", n_patients=40),)
GRADE = ReportedFactor("a", "grade", OS, "poor", "well", "univariable")
AGE = ReportedCharacteristic("a", "age", number("55", "year"))
RELIEF = ReportedProportion("a", "relief", 1, 2, definition="complete")
RATED = QualityAssessment.of("a", QUIPS, ["low"] * 6, assessor="AB")
LPFS = Endpoint("LPFS")
REFUSED = [
    (lambda: Review(()), "A review needs at least one study."),
    (lambda: Review("a"), "review: studies must be a list or tuple; got 'a'."),
    (lambda: Review(["a"]), "review: studies holds Study records; got 'a'."),
    (lambda: Review(A, A), "review: survival holds ReportedSurvival records; got " + f"{A[0]!r:.80}."),
    (lambda: Review(A * 2), "The study id 'a' is given twice."),
    (lambda: Review(A, sources=[Source("S"), Source("S")]), "The source id 'S' is given twice."),
    (lambda: Review(A, endpoints=(*ENDPOINTS, Endpoint("OS"))), "The endpoint code 'OS' is given twice."),
    (
        lambda: Review(A, [survival("b", [5])]),
        "ReportedSurvival: unknown study 'b'; the review knows a.",
    ),
    (
        lambda: Review([Study(f"s{i}") for i in range(1, 10)], times=[ReportedTime.of("b", "OS", 5)]),
        "ReportedTime: unknown study 'b'; the review knows s1, s2, s3, s4, s5, s6, s7 and s8, ....",
    ),
    (
        lambda: Review(A, factors=[ReportedFactor("META_x", "grade", OS)]),
        "ReportedFactor: unknown study 'META_x'; the review knows a.",
    ),
    (
        lambda: Review(A, [survival("a", [5], endpoint=LPFS)]),
        "a: endpoint 'LPFS' is not in the vocabulary of the review; pass it with endpoints=.",
    ),
    (
        lambda: Review([Study("a", sources=["S2"])], sources=[Source("S1")]),
        "a: unknown source 'S2'.",
    ),
    (
        lambda: Review(A, [survival("a", [5]), survival("a", [6], years=[3])]),
        "Given twice: a, OS, overall. Merge the records or give them different groups.",
    ),
    (
        lambda: Review(
            A, times=[ReportedTime.of("a", "OS", 5, group=ARM), ReportedTime.of("a", "OS", 6, group=ARM)]
        ),
        "Given twice: a, OS, median, resected (n = 40). Merge the records or give them different groups.",
    ),
    (
        lambda: Review(A, proportions=[RELIEF, RELIEF]),
        "Given twice: a, relief, complete, overall. Merge the records or give them different groups.",
    ),
    (
        lambda: Review(A, characteristics=[AGE, AGE]),
        "Given twice: a, age, overall. Merge the records or give them different groups.",
    ),
    (
        lambda: Review(A, factors=[GRADE, GRADE]),
        "Given twice: a, grade, OS, poor, well, univariable, overall. "
        "Merge the records or give them different groups.",
    ),
    (
        lambda: Review(A, assessments=[RATED, RATED]),
        "Given twice: a, QUIPS, AB. Merge the records or give them different groups.",
    ),
    (lambda: Review(A).study("b"), "The review has no study 'b'."),
    (lambda: Review(A).overlap_cluster("b"), "The review has no study 'b'."),
    (
        lambda: Review(A).select_survival("OS", 0),
        "time_months must be a positive number of months; got 0.",
    ),
    (
        lambda: Review(A).studies_reporting("OS", "60"),
        "time_months must be a positive number of months; got '60'.",
    ),
    (
        lambda: Review(A, proportions=[RELIEF]).select_proportions("morbidity"),
        "No study reports 'morbidity'; reported are relief.",
    ),
    (lambda: Review(A).select_proportions("relief"), "No study reports 'relief'; reported are none."),
    (lambda: Review(A).filter(lambda _: True, reason=" "), "reason must be a non-empty text; got ' '."),
    (
        lambda: Review(A).filter(lambda _: False, reason="too small"),
        "No study is left after filtering for: too small.",
    ),
    (
        lambda: Review(A, endpoints=(OS,)).endpoint("PFS"),
        "Unknown endpoint 'PFS'; known are OS. Extend the vocabulary with Endpoint('PFS', 'its name').",
    ),
    (lambda: PublishedTarget("", number("5")), "outcome must be a non-empty text; got ''."),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refused(call, message):
    with pytest.raises(InvalidInputError) as error:
        call()
    assert str(error.value) == message


def test_figures_of_different_groups_are_not_given_twice():
    held = Review(
        A,
        [survival("a", [5]), survival("a", [6], group=SUBGROUP), survival("a", [7], endpoint="DFS")],
        [ReportedTime.of("a", "OS", 5), ReportedTime.of("a", "OS", 6, statistic="mean")],
        [RELIEF, ReportedProportion("a", "relief", 2, 2, definition="partial")],
        factors=[GRADE, ReportedFactor("a", "grade", OS, "poor", "well", "multivariable")],
        assessments=[RATED, QualityAssessment.of("a", QUIPS, ["high"] * 6, assessor="C. D.")],
    )
    assert len(held.survival) == 3


# -- doubts ----------------------------------------------------------------------------------------------


def test_a_doubt_is_warned_of_and_kept():
    with pytest.warns(InconsistentReportWarning) as told:
        held = Review(A, [survival("a", ["51"], group=Group(n_total=41))])
    message = "group overall (n = 41) is larger than the study's 40 patients"
    assert [str(w.message) for w in told] == [f"a: {message}"]
    assert told[0].filename == __file__
    assert held.warnings == (Caution("InconsistentReportWarning", "a", message),)
    assert "warnings" not in held.to_dict()
    with pytest.warns(InconsistentReportWarning):
        again = Review.from_json(held.to_json())
    assert again == held
    assert again.warnings == held.warnings


def test_overlap_with_a_study_that_is_not_held_is_doubted():
    with pytest.warns(OverlapWarning) as told:
        Review([Study("a", overlap=["que_1995"])])
    assert str(told[0].message) == "a: overlaps with 'que_1995', which the review does not hold"


def test_overlap_with_a_study_that_was_filtered_out_is_not():
    held = Review([Study("a", overlap=["b"]), Study("b")])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert held.filter(lambda study: study.id == "a", reason="b is old").warnings == ()


def test_medians_are_held_against_the_percentages_of_their_own_group_only():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        held = Review(
            [Study("a")],
            [survival("a", ["90"], (10,)), survival("a", ["20"], (1,), endpoint="recurrence")],
            [
                ReportedTime.of("a", "OS", 5, group=SUBGROUP),
                ReportedTime.of("a", "OS", 5, statistic="mean"),
                ReportedTime("a", PFS, "median", ReportedNumber("5")),
                ReportedTime.of("a", "recurrence", 60),
            ],
        )
    assert held.warnings == ()


def test_a_median_that_contradicts_percentages_is_doubted():
    glazer = ([Study("glazer_2010")], [survival("glazer_2010", ["77.4", "50.4"], (5, 10))])
    with pytest.warns(InconsistentReportWarning) as told:
        held = Review(*glazer, [ReportedTime.of("glazer_2010", "OS", "9.6", "year")])
    message = "median OS of 9.6 years, yet it was still 50.4% at 10 years"
    assert [str(w.message) for w in told] == [f"glazer_2010: {message}"]
    assert held.warnings == (Caution("InconsistentReportWarning", "glazer_2010", message),)


def contradictions(percent, years, median, unit="month", qualifier="="):
    return median_contradictions(survival("x", [percent], (years,)), ReportedNumber(median, unit, qualifier))


# Facts: glazer_2010 prints a median of 9.6 years and 50.4% alive at 10 years, which cannot both be;
# mayo_2010 prints 125 months and 51% at 10 years, which can.
@pytest.mark.parametrize(
    ("percent", "years", "median", "unit", "qualifier", "possible"),
    [
        ("50.4", 10, "9.6", "year", "=", False),
        ("51", 10, "125", "month", "=", True),
        ("50", 10, "9.6", "year", "=", True),  # 50% may be 49.6%
        ("51", 10, "120", "month", "=", True),  # 120 may be 120.4
        ("51", 10, "119", "month", "=", False),
        ("49", 10, "120", "month", "=", True),  # 120 may be 119.5
        ("49", 10, "121", "month", "=", False),
        ("49.9", 10, "20", "year", "=", False),
        ("49.9", 10, "9", "year", "=", True),
        ("40", 8, "96", "month", ">", False),  # beyond 96 months is beyond 8 years
        ("40", 8, "96", "month", ">=", True),
        ("40", 9, "96", "month", ">", True),
        ("60", 10, "96", "month", ">", True),
        ("60", 8, "96", "month", "<=", False),
        ("60", 8, "97", "month", "<", True),
        ("49", 5, "", "month", "not reached", False),
        ("50", 5, "", "month", "not reached", True),
        ("90", 5, "", "month", "not reached", True),
    ],
)
def test_median_against_percentage(percent, years, median, unit, qualifier, possible):
    assert (contradictions(percent, years, median, unit, qualifier) == []) is possible


def test_what_a_contradiction_says():
    assert contradictions("50.4", 10, "9.6", "year") == [
        "median OS of 9.6 years, yet it was still 50.4% at 10 years"
    ]
    assert contradictions("40", 5, "96", "month", ">") == [
        "median OS of >96 months, yet it was already 40% at 5 years"
    ]
    assert contradictions("40", 5, "", "month", "not reached") == [
        "the median OS was not reached, yet it was 40% at 5 years"
    ]


@given(
    st.lists(st.floats(0.5, 200), min_size=1, max_size=30),
    st.lists(st.sampled_from([6, 12, 24, 36, 60, 96, 120]), min_size=1, max_size=4, unique=True),
    st.integers(0, 1),
)
def test_a_true_report_never_contradicts_itself(deaths, months, decimals):
    """Survival without censoring and its Kaplan-Meier median, printed with rounding."""
    deaths = sorted(deaths)
    median = next(t for i, t in enumerate(deaths, 1) if 2 * i >= len(deaths))
    shares = [100 * sum(t > landmark for t in deaths) / len(deaths) for landmark in sorted(months)]
    reported = ReportedSurvival.from_percent(
        "x", "OS", months=sorted(months), percent=[f"{share:.{decimals}f}" for share in shares]
    )
    printed = ReportedNumber(f"{median:.{decimals}f}", "month")
    assert median_contradictions(reported, printed) == []


@doubtful
@lean
@given(records.reviews())
def test_json_is_plain(review):
    assert json.loads(review.to_json()) == json.loads(json.dumps(review.to_dict()))
