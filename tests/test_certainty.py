import itertools
import math
import warnings
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.certainty import GradeRule, grade_directions, grade_factor, overall_risk
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


def test_one_study_has_the_interval_it_prints_and_says_where_another_is_from():
    """Wald from the rounded limits would be 1.42 to 10.7."""
    (asked,) = [graded(factor("A", "3.9", ("1.4", "10.5"), n=90))]
    assert asked.move("imprecision").reason == "95% CI 1.4–10.5; one study; events not stated"
    assert asked.move("effect size").reason == "HR 3.9 (95% CI 1.4–10.5) of one study"
    # Wald from these would be 1.01 to 3.6; what is printed decides
    edge = graded(factor("A", "1.9", ("1.0", "3.5"))).move("imprecision").reason
    assert edge == "95% CI 1.0–3.5 includes 1; one study; events not stated"
    ninety = replace(factor("A", "2.0"), ci=ReportedInterval.of("1.2", "3.3", "ratio", 0.90))
    assert graded(ninety).move("effect size").reason == "HR 2.0 (95% CI 1.1–3.7 from its 90% CI) of one study"
    derived = factor(
        "A",
        n=100,
        n_events=50,
        analysis="univariable",
        direction="worse",
        pvalue=ReportedNumber("0.01", "pvalue"),
    )
    # z / sqrt(D / 4) = 2.5758 / 3.5355 = 0.7286, error 0.2828: 2.07, 1.19 to 3.61 before the rounding of p
    found = graded(derived, stratum="unadjusted").move("effect size").reason
    assert found.startswith("HR 2.1 (95% CI 1.")
    assert found.endswith(" from p and events) of one study")
    assert "trend_of_categories" not in "".join(move.reason for move in asked.moves)


def test_ratios_of_a_kind_that_is_not_stated_are_not_pooled_to_be_graded():
    made = [factor(name, "2.0", ("1.2", "3.3"), analysis="not stated") for name in "AB"]
    message = r"^2 studies with a usable ratio; kinds of analysis that are not stated are not pooled\."
    with pytest.raises(InvalidInputError, match=message):
        graded(*made, stratum="not stated")
    assert graded(made[0], stratum="not stated").k == 1


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
    assert "3 studies without a number bounded, tau2 held at 0: HR" in found.reason
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


# -- directions without a pooled ratio -----------------------------------------------------------------------


def told(study, direction="worse", *, n=300, significance="yes", **more):
    return factor(study, n=n, direction=direction, significance=significance, **more)


def directed(*factors, phase=2, **options):
    names = dict.fromkeys(f.study for f in factors)
    summary = summarize_factors(Review(tuple(map(Study, names)), factors=factors))
    return grade_directions(summary, GRADE, "OS", phase=phase, **options)


def test_a_direction_is_graded_by_what_there_is():
    sheet = directed(*(told(name) for name in "ABC"))
    assert {move.domain: move.proposed for move in sheet.moves} == {
        "study limitations": None,
        "inconsistency": 0,
        "indirectness": None,
        "imprecision": None,  # 900 patients tell nothing of events
        "publication bias": None,
        "effect size": None,
        "exposure gradient": None,
    }
    assert (sheet.stratum, sheet.k, sheet.n_patients, sheet.n_events) == ("direction", 3, 900, None)
    assert (sheet.start, sheet.certainty, sheet.status) == ("high", "high", "incomplete")
    assert sheet.move("imprecision").reason == (
        "not assessable without an interval; 900 patients, events not stated by all studies; significant in 3 of 3"
    )
    assert sheet.move("effect size").reason == "not assessable: a direction tells no size"
    assert sheet.clause == "certainty for OS, direction: high (incomplete)"
    assert [directed(told("A"), phase=phase).start for phase in (1, 2, 3)] == ["moderate", "high", "high"]


@pytest.mark.parametrize(
    ("worse", "better", "silent", "move"),
    [
        (3, 1, 0, -1),  # a quarter on the other side
        (4, 1, 0, 0),
        (1, 1, 0, -1),
        (0, 5, 0, 0),  # all agree that it is better
        (7, 0, 2, 0),  # two of nine could be on the other side: below a quarter
        (6, 0, 2, None),  # two of eight could
        (7, 1, 2, None),  # one of eight is, three of ten could be
        (1, 0, 0, None),
        (1, 0, 1, None),
    ],
)
def test_inconsistency_of_directions(worse, better, silent, move):
    kinds = ["worse"] * worse + ["better"] * better + ["not stated"] * silent
    made = [
        told(name, kind, significance="no" if kind == "not stated" else "yes")
        for name, kind in zip("ABCDEFGHIJ", kinds, strict=False)
    ]
    assert directed(*made).move("inconsistency").proposed == move


def test_imprecision_of_a_direction_is_proposed_only_where_it_is_certain():
    few = directed(told("A", n=150), told("B", n=249)).move("imprecision")
    assert (few.proposed, few.reason) == (
        -1,
        "399 patients, so fewer than 400 events; significant in 2 of 2",
    )
    assert directed(told("A", n=150), told("B", n=250)).move("imprecision").proposed is None
    assert directed(told("A", n=150), told("B", n=None)).move("imprecision").proposed is None
    events = directed(told("A", n_events=200), told("B", n_events=199)).move("imprecision")
    assert (events.proposed, events.reason.split(";")[0]) == (-1, "399 events, fewer than 400")
    assert directed(told("A", n_events=200), told("B", n_events=200)).move("imprecision").proposed is None
    alone = directed(told("A", n=900)).move("imprecision")
    assert (alone.proposed, alone.reason) == (
        -1,
        "one study; 900 patients, events not stated; significant in 1 of 1",
    )
    # what only a significant result tells is no stated direction
    inferred = directed(told("A", n=900), *(told(x, "not stated", n=900) for x in "BC")).move("imprecision")
    assert (inferred.proposed, inferred.reason.split(";")[0]) == (-1, "one study states a direction")
    none = directed(*(told(x, "not stated", n=900) for x in "BC")).move("imprecision")
    assert (none.proposed, none.reason.split(";")[0]) == (-1, "no study states a direction")
    assert (
        directed(told("A", n=900), told("B", "not stated", significance="no")).move("imprecision").proposed
        == -1
    )
    no = directed(*(told(name, significance="no") for name in "AB")).move("imprecision")
    assert (no.proposed, no.reason) == (
        -1,
        "600 patients, events not stated by all studies; significant in 0 of 2",
    )
    assert (
        directed(told("A", n=60), told("B", n=60), rule=GradeRule(information_size=100))
        .move("imprecision")
        .proposed
        is None
    )


def test_publication_bias_by_directions_that_are_not_told():
    # 7 of 7: p = 2 / 2**7 = 0.016; with one more better, 7 of 8: p = 2 * 9 / 2**8 = 0.070
    known = [told(name) for name in "ABCDEFG"]
    turned = directed(*known, told("H", "not stated", significance="no")).move("publication bias")
    assert (turned.proposed, turned.reason) == (
        -1,
        "sign test p = 0.016, which 1 without a stated direction could lift above 0.05",
    )
    # 9 of 10: p = 2 * 11 / 2**10 = 0.021
    stays = directed(*known, told("I"), told("J"), told("H", "not stated", significance="no"))
    assert stays.move("publication bias").proposed == 0
    assert directed(*known).move("publication bias").proposed is None
    assert (
        directed(*known[:3], told("H", "not stated", significance="no")).move("publication bias").proposed
        is None
    )


def test_a_direction_that_only_a_significant_result_tells_is_no_agreement():
    inferred = directed(*(told(name, "not stated") for name in "AB"))
    bias, agreement = inferred.move("publication bias"), inferred.move("inconsistency")
    assert (bias.proposed, bias.reason) == (-1, "every direction (2) is told by a significant result only")
    assert (agreement.proposed, agreement.reason) == (
        None,
        "no direction is stated; 2 inferred from a significant result, which may be on the other side",
    )
    mixed = directed(told("A"), told("B"), *(told(name, "not stated") for name in "CD"))
    assert mixed.move("inconsistency").proposed is None
    assert mixed.move("publication bias").proposed is None
    # nine of nine: p = 0.004; two more on the other side, 9 of 11: p = 2 * 67 / 2**11 = 0.065
    nine = [told(name) for name in "ABCDEFGHI"]
    turned = directed(*nine, *(told(name, "not stated") for name in "JK")).move("publication bias")
    assert (turned.proposed, turned.reason) == (
        -1,
        "sign test p = 0.004, which 2 without a stated direction could lift above 0.05",
    )


def test_studies_that_do_not_name_the_factor_are_counted():
    other = replace(told("Z"), factor="age", adverse_level="older", reference_level="younger")
    assert directed(told("A"), told("B"), other).move("publication bias").reason == (
        "not named by 1 of 3 studies of factors"
    )


def test_limitations_of_directions_count_each_study_once():
    made = [told("A", n=10), told("B", n=1000)]
    review = Review(
        tuple(map(Study, "AB")), factors=made, assessments=(rated("A", "lhllll"), rated("B", "llllll"))
    )
    move = directed(*made, risk=overall_risk(review)).move("study limitations")
    assert (move.proposed, move.reason) == (-1, "50% of the studies at high risk of bias by QUIPS")


def test_directions_that_cannot_be_graded():
    with pytest.raises(InvalidInputError, match="histologic grade, OS: no study tells a direction to grade"):
        directed(told("A", "not stated", significance="no"))
    summary = summarize_factors(Review((Study("A"),), factors=(told("A"),)))
    with pytest.raises(InvalidInputError, match="certainty is of one outcome; name one of OS"):
        grade_directions(summary, GRADE, "any", phase=1)
    with pytest.raises(InvalidInputError, match="phase must be 1, 2 or 3"):
        grade_directions(summary, GRADE, "OS", phase=0)
    with pytest.raises(KeyError):
        grade_directions(summary, "age", "OS", phase=1)


# -- cut-points that were chosen by the outcome --------------------------------------------------------------


def test_a_chosen_cut_point_is_a_limitation_and_takes_back_a_large_effect():
    made = alike(4, hr="3.00", ci=("2.25", "4.00"))
    assert graded(*made).move("effect size").proposed == 1
    assert graded(*made).move("study limitations").proposed is None
    two = [replace(result, notes="optimal cut-off by X-tile") for result in made[:2]]
    sheet = graded(*two, *made[2:])
    assert (sheet.move("effect size").proposed, sheet.move("study limitations").proposed) == (0, -1)
    assert sheet.move("effect size").reason.endswith(
        "which owes something to the cut-point chosen by the outcome in A (not named) and B (not named)"
    )
    assert sheet.move("study limitations").reason == (
        "no ratings of risk of bias were given; cut-point chosen by the outcome in A (not named) and B (not named), "
        "50% of the weight"
    )
    assert graded(*two[:1], *made[1:]).move("study limitations").proposed is None  # a quarter, and no ratings
