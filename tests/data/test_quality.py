import pytest
import strategies as records
from hypothesis import given

from netsynth.data.quality import JBI_CASE_SERIES, MINORS, QUIPS, Checklist, QualityAssessment
from netsynth.errors import InvalidInputError

# Ratings and totals as printed in Table 3 of https://pmc.ncbi.nlm.nih.gov/articles/PMC9667948/
MINORS_PRINTED = {
    "Algarni 2021": ([2, 2, 0, 2, 0, 2, 2, 0], 10, 16),
    "Fang 2020": ([2, 2, 0, 2, 0, 1, 2, 0, 2, 2, 2, 2], 17, 24),
    "Steinberg 2019": ([2, 1, 0, 2, 0, 2, 2, 0, 2, 0, 1, 2], 14, 24),
    "Sun 2017": ([2, 2, 2, 2, 0, 2, 2, 0, 2, 2, 2, 2], 20, 24),
}


@pytest.mark.parametrize("study", MINORS_PRINTED)
def test_published_totals(study):
    ratings, total, maximum = MINORS_PRINTED[study]
    assessment = QualityAssessment.of(study, MINORS, ratings)
    assert (assessment.total, assessment.maximum) == (total, maximum)
    assert str(assessment) == f"{study}, MINORS: {total} of {maximum}"


def test_templates_are_whole():
    """MINORS: 12 items, the last 4 for comparative studies; QUIPS: 6 domains; JBI case series: 10 questions."""
    assert [len(c.items) for c in (MINORS, QUIPS, JBI_CASE_SERIES)] == [12, 6, 10]
    assert MINORS.comparative_items == MINORS.items[8:]
    assert QUIPS.comparative_items == JBI_CASE_SERIES.comparative_items == ()
    assert (MINORS.scores, QUIPS.scores, JBI_CASE_SERIES.scores) == ((2, 1, 0), (), ())
    assert str(QUIPS) == "QUIPS (6 items, rated low, moderate, high)"


def test_ratings_by_name():
    named = dict(zip(QUIPS.items, ["low", "high", "low", "low", "moderate", "low"], strict=True))
    assessment = QualityAssessment.of("Chen", QUIPS, named, assessor="A. B.", notes="from the abstract")
    assert assessment.ratings == tuple(named.values())
    assert (assessment.assessor, assessment.notes) == ("A. B.", "from the abstract")
    assert assessment.total is None
    assert assessment.maximum is None
    assert str(assessment) == "Chen, QUIPS: low, high, low, low, moderate, low"


@given(records.assessments())
def test_a_total_lies_within_what_the_checklist_allows(assessment):
    scores = assessment.checklist.scores
    if not scores:
        assert assessment.total is None
    else:
        rated = sum(map(bool, assessment.ratings))
        assert min(scores) * rated <= assessment.total <= assessment.maximum == max(scores) * rated


REFUSED = [
    (lambda: Checklist("", ("a",), ("yes",)), "checklist name must be a non-empty text; got ''."),
    (lambda: Checklist("mine", (), ("yes",)), "mine: items must be given once each; got ()."),
    (lambda: Checklist("mine", ("a", "a"), ("yes",)), "mine: items must be given once each; got ('a', 'a')."),
    (lambda: Checklist("mine", "ab", ("yes",)), "mine: items must be a list or tuple; got 'ab'."),
    (lambda: Checklist("mine", ("a",), ()), "mine: ratings must be given once each; got ()."),
    (
        lambda: Checklist("mine", ("a",), ("yes", "")),
        "mine: ratings must be given once each; got ('yes', '').",
    ),
    (
        lambda: Checklist("mine", ("a",), ("yes", "yes")),
        "mine: ratings must be given once each; got ('yes', 'yes').",
    ),
    (
        lambda: Checklist("mine", ("a",), ("yes", "no"), (1,)),
        "mine: one score a rating; got 1 for 2 ratings.",
    ),
    (
        lambda: Checklist("mine", ("a",), ("yes",), comparative_items=("c", "b")),
        "mine: 'b' is not one of its items.",
    ),
    (
        lambda: QualityAssessment("", QUIPS, ()),
        "study must be a non-empty text; got ''.",
    ),
    (
        lambda: QualityAssessment("Chen", QUIPS, ("low",)),
        "Chen, QUIPS: 6 items need as many ratings; got 1.",
    ),
    (
        lambda: QualityAssessment.of("Chen", QUIPS, ["low"] * 5),
        "Chen, QUIPS: item 'statistical analysis and reporting' applies to every study but has no rating.",
    ),
    (
        lambda: QualityAssessment.of("Chen", QUIPS, ["low"] * 5 + ["green"]),
        "Chen, QUIPS: item 'statistical analysis and reporting' must be one of low, moderate, high; got 'green'.",
    ),
    (
        lambda: QualityAssessment.of("Chen", QUIPS, ["low"] * 7),
        "Chen, QUIPS: more ratings than items; got 7.",
    ),
    (lambda: QualityAssessment.of("Chen", QUIPS, {"attrition": "low"}), "Chen, QUIPS: no item 'attrition'."),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refused(call, message):
    with pytest.raises(InvalidInputError) as error:
        call()
    assert str(error.value) == message
