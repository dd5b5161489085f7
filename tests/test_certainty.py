import itertools
import math
import warnings
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.certainty import GradeRule, grade_factor, overall_risk
from netsynth.data.endpoint import find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.quality import QUIPS, QualityAssessment
from netsynth.data.review import Review
from netsynth.data.study import Group, Study
from netsynth.errors import InvalidInputError, NetsynthWarning
from netsynth.prognostic import summarize_factors
from netsynth.results.certainty import CERTAINTIES, DOMAINS, CertaintyMove, FactorCertainty
from netsynth.results.risk_of_bias import OverallRule

OS = find_endpoint("OS")
GRADE = "histologic grade"


def factor(study, hr=None, ci=None, *, n=None, analysis="multivariable", **more):
    return ReportedFactor(
        study,
        "grade",
        OS,
        "poor",
        "well",
        analysis=analysis,
        hazard_ratio=None if hr is None else ReportedNumber(hr, "ratio"),
        ci=None if ci is None else ReportedInterval.of(*ci, "ratio", 0.95),
        group=Group(n_total=n),
        **more,
    )


def graded(*factors, phase=2, **options):
    names = dict.fromkeys(f.study for f in factors)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        summary = summarize_factors(Review(tuple(map(Study, names)), factors=factors))
        return grade_factor(summary, GRADE, "OS", phase=phase, **options)


def alike(k=5, hr="2.00", ci=("1.50", "2.67"), **more):
    return [factor(name, hr, ci, **more) for name in "ABCDEFGHIJKLMNOP"[:k]]


# -- risk of bias over domains -------------------------------------------------------------------------------


# Grooten et al. (2019): low if all are low or at most one moderate; high if one is high or three moderate.
@pytest.mark.parametrize(
    ("ratings", "risk"),
    [
        ("llllll", "low"),
        ("lllmll", "low"),
        ("lmlmll", "moderate"),
        ("mlmlml", "high"),
        ("lllllh", "high"),
        ("mmmmmm", "high"),
    ],
)
def test_the_default_rule(ratings, risk):
    words = {"l": "low", "m": "moderate", "h": "high"}
    assert OverallRule().overall([words[letter] for letter in ratings]) == risk


def test_every_set_of_ratings_has_one_risk_and_a_worse_rating_never_a_better_one():
    order = ("low", "moderate", "high")
    for rule in (OverallRule(), OverallRule(2, 5, 0), OverallRule(1, 6, 3)):
        for ratings in itertools.product(order, repeat=4):
            risk = order.index(rule.overall(ratings))
            for i, rating in enumerate(ratings):
                if rating != "high":
                    worse = list(ratings)
                    worse[i] = order[order.index(rating) + 1]
                    assert order.index(rule.overall(worse)) >= risk


def rated(study, letters, assessor=""):
    words = {"l": "low", "m": "moderate", "h": "high"}
    return QualityAssessment.of(study, QUIPS, [words[letter] for letter in letters], assessor=assessor)


def test_risks_of_a_review():
    review = Review(tuple(map(Study, "ABC")), assessments=(rated("A", "llllll"), rated("B", "lhllll")))
    found = overall_risk(review)
    assert (dict(found.risks), found.unrated) == ({"A": "low", "B": "high"}, ("C",))
    assert found.counts == {"low": 1, "moderate": 0, "high": 1}
    assert "1 study not rated" in str(found)
    assert list(found.summary_frame().risk) == ["low", "high", ""]
    assert overall_risk(review, rule=OverallRule(least_high=2)).risks["B"] == "moderate"
    assert "<table>" in found._repr_html_()


def test_assessors_must_agree_or_be_named():
    review = Review((Study("A"),), assessments=(rated("A", "llllll", "X"), rated("A", "lhllll", "Y")))
    with pytest.raises(InvalidInputError, match="A: assessors come to different risks on QUIPS"):
        overall_risk(review)
    assert overall_risk(review, assessor="Y").risks == {"A": "high"}
    with pytest.raises(InvalidInputError, match="No study of the review was rated on 'MINORS'"):
        overall_risk(review, checklist="MINORS")


@pytest.mark.parametrize("counts", [(0, 3, 1), (1, 0, 0), (1, 3, 3), (1, 3, -1), (1.0, 3, 1), (True, 3, 1)])
def test_rules_that_cannot_be(counts):
    with pytest.raises(InvalidInputError, match="An overall rule needs counts"):
        OverallRule(*counts)


def test_other_words_are_refused():
    for ratings in ([], ["low", "yes"]):
        with pytest.raises(InvalidInputError, match="needs ratings low, moderate or high"):
            OverallRule().overall(ratings)


# -- the worksheet -------------------------------------------------------------------------------------------


def test_the_start_is_by_phase_and_must_be_given():
    # Huguet et al. (2013): moderate for phase 1, high for phases 2 and 3
    assert [graded(*alike(), phase=phase).start for phase in (1, 2, 3)] == ["moderate", "high", "high"]
    for phase in (0, 4, "2", True):
        with pytest.raises(InvalidInputError, match="phase must be 1, 2 or 3"):
            graded(*alike(), phase=phase)
    with pytest.raises(TypeError, match="phase"):
        grade_factor(summarize_factors(Review((Study("A"),), factors=alike(1))), GRADE, "OS")


def test_agreeing_studies_lose_nothing_and_what_no_number_tells_stays_open():
    sheet = graded(*alike())
    moves = {move.domain: move.proposed for move in sheet.moves}
    assert moves == {
        "study limitations": None,
        "inconsistency": 0,
        "indirectness": None,
        "imprecision": 0,
        "publication bias": None,
        "effect size": 1,
        "exposure gradient": None,
    }
    assert list(moves) == list(DOMAINS)
    assert sheet.status == "incomplete"
    assert sheet.certainty == "high"  # not above it
    assert "Not judged yet, and counted as 0: study limitations, indirectness" in str(sheet)


def test_disagreeing_studies_lose_one_for_two_signs():
    apart = [
        factor("A", "3.00", ("2.00", "4.50")),
        factor("B", "0.70", ("0.50", "0.98")),
        factor("C", "1.60", ("1.1", "2.4")),
    ]
    move = graded(*apart).move("inconsistency")
    assert move.proposed == -1
    assert "2 of 3 ratios above 1" in move.reason
    # by other thresholds only one sign is left
    assert graded(*apart, rule=GradeRule(i2=0.999, minor_share=0.3)).move("inconsistency").proposed == 0
    assert graded(factor("A", "2.0", ("1.2", "3.3"))).move("inconsistency").proposed is None


def test_imprecision_by_interval_number_and_events():
    assert graded(factor("A", "2.00", ("1.20", "3.33"))).move("imprecision").proposed == -1  # one study
    wide = graded(factor("A", "1.5", ("0.8", "2.8")), factor("B", "1.4", ("0.7", "2.8"))).move("imprecision")
    assert (wide.proposed, "includes 1" in wide.reason) == (-1, True)
    assert graded(*alike(n_events=10)).move("imprecision").proposed == -1  # 50 events
    assert graded(*alike(n_events=40)).move("imprecision").proposed == 0  # 200
    covariates = ("age", "sex", "size", "site")
    few = graded(*alike(n_events=40, adjusted_for=covariates)).move("imprecision")  # 8 events a variable
    assert (few.proposed, "fewer than 10 events a variable in 5 of 5" in few.reason) == (-1, True)
    assert graded(*alike(n_events=50, adjusted_for=covariates)).move("imprecision").proposed == 0


def test_publication_bias_by_debray_from_ten_studies_on():
    events = [20, 25, 30, 40, 60, 90, 120, 200, 300, 500]
    steep = [
        factor(
            name,
            f"{math.exp(0.2 + 20 / d + wobble):.2f}",
            (
                f"{math.exp(0.2 + 20 / d + wobble - 4 / d**0.5):.4f}",
                f"{math.exp(0.2 + 20 / d + wobble + 4 / d**0.5):.4f}",
            ),
            n_events=d,
        )
        for name, d, wobble in zip("ABCDEFGHIJ", events, [0.05, -0.05] * 5, strict=True)
    ]
    found = graded(*steep).move("publication bias")
    assert found.proposed == -1
    assert "Debray's test (FIV) p" in found.reason
    assert graded(*steep[:9]).move("publication bias").proposed is None
    without = graded(*(replace(f, n_events=None) for f in steep)).move("publication bias")
    assert (without.proposed, without.reason) == (None, "Debray's test needs the events of all studies")


def test_publication_bias_by_silent_studies():
    silent = [factor(name, n=300, significance="no") for name in "XYZ"]
    found = graded(*alike(3, "1.50", ("1.15", "1.96")), *silent).move("publication bias")
    assert found.proposed == -1
    assert "3 studies without a number bounded: HR" in found.reason
    assert "they could turn the conclusion" in found.reason
    small = graded(*alike(8, "3.00", ("2.40", "3.75")), factor("X", n=30, significance="no")).move(
        "publication bias"
    )
    assert small.proposed == 0


def test_study_limitations_by_weight_at_high_risk():
    made = alike(4)
    review = Review(
        tuple(map(Study, "ABCD")), factors=made, assessments=(rated("A", "llllll"), rated("B", "lhllll"))
    )
    half = graded(*made, risk=overall_risk(review)).move("study limitations")
    assert half.proposed is None  # a quarter at high risk, half not rated
    assert half.reason == "25% of the weight at high risk of bias by QUIPS, 50% not rated"
    all_rated = replace(review, assessments=(*review.assessments, rated("C", "llllll"), rated("D", "mmmlll")))
    move = graded(*made, risk=overall_risk(all_rated)).move("study limitations")
    assert (move.proposed, move.reason) == (-1, "50% of the weight at high risk of bias by QUIPS")
    lenient = overall_risk(all_rated, rule=OverallRule(2, 6, 1))
    assert graded(*made, risk=lenient).move("study limitations").proposed == 0


def test_a_large_effect():
    assert graded(*alike(hr="1.90", ci=("1.43", "2.53"))).move("effect size").proposed == 0
    assert graded(*alike(hr="0.45", ci=("0.34", "0.60"))).move("effect size").proposed == 1
    assert graded(factor("A", "4.00", ("2.00", "8.00"))).move("effect size").proposed == 0  # one study


def test_judging_records_and_never_changes_the_sheet():
    sheet = graded(*alike(hr="1.50", ci=("1.20", "1.88")))
    judged = sheet.judge("imprecision", "Narrow enough.")
    assert sheet.move("imprecision").status == "proposed"
    assert judged.move("imprecision").status == "accepted"
    over = judged.judge("inconsistency", "Different cut-points.", move=-1).judge(
        "indirectness", "Other stage.", move=-2
    )
    assert over.move("inconsistency").status == "overridden"
    assert over.certainty == "very low"
    full = over
    for domain in DOMAINS:
        if full.move(domain).judged is None:
            full = full.judge(domain, "As it is.", move=0)
    assert (full.status, full.open_domains) == ("judged", ())
    assert full.clause == "certainty for OS, adjusted: very low"
    assert sheet.clause == "certainty for OS, adjusted: high (incomplete)"


def test_judgements_that_cannot_be():
    sheet = graded(*alike())
    with pytest.raises(InvalidInputError, match="nothing was proposed"):
        sheet.judge("indirectness", "Fine.")
    for domain, move in (
        ("indirectness", 1),
        ("effect size", -1),
        ("indirectness", -3),
        ("imprecision", False),
    ):
        with pytest.raises(InvalidInputError, match="the move must be one of"):
            sheet.judge(domain, "Fine.", move=move)
    with pytest.raises(InvalidInputError, match="text"):
        sheet.judge("imprecision", " ")
    with pytest.raises(InvalidInputError, match="domain"):
        sheet.judge("colour", "Fine.")


moves_of = st.tuples(*(st.sampled_from(allowed) for allowed in DOMAINS.values()))


@given(moves_of, st.sampled_from([1, 2, 3]))
def test_the_certainty_is_the_start_with_the_moves_and_never_beyond_an_end(moves, phase):
    rows = tuple(CertaintyMove(domain, move, "") for domain, move in zip(DOMAINS, moves, strict=True))
    sheet = FactorCertainty(GRADE, "OS", "adjusted", phase, rows, 3, 0, None)
    place = {1: 2, 2: 3, 3: 3}[phase] + sum(moves)
    assert sheet.certainty == ["very low", "low", "moderate", "high"][max(0, min(3, place))]
    assert sheet.certainty in CERTAINTIES
    assert sheet.status == "proposed"


def test_the_narrative_tells_the_certainty_with_its_factor():
    made = (*alike(), replace(alike(1)[0], factor="age", adverse_level="older", reference_level="younger"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        summary = summarize_factors(Review(tuple(map(Study, "ABCDE")), factors=made))
    sheet = grade_factor(summary, GRADE, "OS", phase=1)
    line, other = summary.narrative([sheet]).splitlines()
    assert line.endswith(f"; certainty for OS, adjusted: {sheet.certainty} (incomplete).")
    assert "certainty" not in other
    assert "certainty" not in summary.narrative()


def test_frames_text_and_notebook():
    sheet = graded(*alike(n=100, n_events=40)).judge("indirectness", "As in the question.", move=0)
    frame = sheet.frame()
    assert list(frame.domain) == list(DOMAINS)
    assert frame.set_index("domain").loc["indirectness", "judged"] == 0
    row = sheet.summary_frame().iloc[0]
    assert (row.k, row.n_patients, row.n_events, row.start) == (5, 500, 200, "high")
    text = str(sheet)
    assert text.splitlines()[0] == (
        "Certainty of the evidence: histologic grade, OS, adjusted (k = 5, 500 patients, 200 events): high, incomplete"
    )
    assert "0 (judged): no printed number tells it | As in the question." in text
    assert "\u22121" in str(graded(factor("A", "2.00", ("1.20", "3.33"))))
    assert "<table>" in sheet._repr_html_()


def test_nothing_to_grade():
    with pytest.raises(InvalidInputError, match="no study has a usable matched hazard ratio to grade"):
        graded(*alike(), stratum="matched")
