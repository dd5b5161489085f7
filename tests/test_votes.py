"""Votes of studies counted in three ways, and the spread of their ratios."""

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from netsynth.data.endpoint import find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedNumber
from netsynth.data.review import Review
from netsynth.data.study import Group, Study
from netsynth.datasets import load_nethm
from netsynth.errors import HarmonisationWarning, InvalidInputError
from netsynth.prognostic import summarize_factors
from netsynth.results.directions import DirectionCount
from netsynth.votes import count_votes, describe_ratios

REFERENCE = json.loads(
    (Path(__file__).parent / "references" / "pvalue_combination.json").read_text(encoding="utf-8")
)["wilson"]


@pytest.mark.parametrize("case", REFERENCE, ids=lambda c: f"{c['n_worse']} of {c['n_directed']}")
def test_reference_intervals(case):
    count = DirectionCount(case["n_worse"], case["n_directed"] - case["n_worse"])
    assert tuple(count.wilson_interval()) == pytest.approx(case["wilson"], rel=1e-10, abs=1e-15)
    assert tuple(count.confidence_interval()) == pytest.approx(case["clopper_pearson"], rel=1e-10)
    assert count.pvalue == pytest.approx(case["p_two_sided"], rel=1e-12)


# Sign tests of Hilton Boon M, Thomson H (2021), https://doi.org/10.1002/jrsm.1458 (P in its abstract), with
# intervals to four digits from R; the counts are those that give these P.
@pytest.mark.parametrize(
    ("worse", "n", "p", "exact", "wilson"),
    [(9, 9, 0.0039, (0.6637, 1.0), None), (5, 6, 0.2188, (0.3588, 0.9958), (0.4365, 0.9699))],
)
def test_published_counts(worse, n, p, exact, wilson):
    count = DirectionCount(worse, n - worse)
    assert count.pvalue == pytest.approx(p, abs=5e-5)
    assert tuple(count.confidence_interval()) == pytest.approx(exact, abs=5e-5)
    if wilson:
        assert tuple(count.wilson_interval()) == pytest.approx(wilson, abs=5e-5)


def test_nothing_is_known_without_a_direction():
    assert tuple(DirectionCount(0, 0, 2, 1).wilson_interval(0.9)) == (0.0, 1.0)


def test_inferred_directions_are_in_no_test_and_open_in_the_bounds():
    """Of 3 stated worse and 1 better, 4 inferred and 1 not known: the bounds run over all that 5 may be."""
    count = DirectionCount(n_worse=6, n_better=2, n_none=1, n_not_stated=1, n_inferred=4, n_inferred_better=1)
    assert (count.n_stated, count.n_stated_worse, count.n_inferred_worse, count.n_open) == (4, 3, 3, 5)
    assert (count.n_directed, count.k) == (8, 10)
    assert count.pvalue == pytest.approx(stats.binomtest(3, 4).pvalue)
    exact = stats.binomtest(3, 4).proportion_ci(0.9, method="exact")
    assert tuple(count.confidence_interval(0.9)) == pytest.approx(tuple(exact))
    assert tuple(count.wilson_interval()) == pytest.approx(
        tuple(stats.binomtest(3, 4).proportion_ci(method="wilson"))
    )
    every = [stats.binomtest(3 + more, 9) for more in range(6)]
    assert tuple(count.pvalue_bounds) == pytest.approx(
        (min(test.pvalue for test in every), max(test.pvalue for test in every))
    )
    assert tuple(count.proportion_bounds) == pytest.approx((3 / 9, 8 / 9))
    ends = [test.proportion_ci(method="exact") for test in every]
    assert tuple(count.interval_bounds()) == pytest.approx(
        (min(end.low for end in ends), max(end.high for end in ends))
    )
    assert str(count) == (
        "worse in 3 of 4 studies with a stated direction (75%, 95% CI 19–99%; sign test p = 0.62); no difference in 1; "
        "direction not stated in 1 and inferred from a significant result in 4 (worse in 3, better in 1), so p is "
        "anything from 0.039 to 1"
    )


def test_nothing_is_tested_where_all_directions_are_inferred():
    count = DirectionCount(n_worse=10, n_better=0, n_not_stated=1, n_inferred=10)
    assert math.isnan(count.pvalue)
    assert math.isnan(count.proportion)
    assert tuple(count.confidence_interval()) == (0.0, 1.0)
    assert tuple(count.pvalue_bounds) == pytest.approx((2 * 0.5**11, 1.0))
    assert (count.shown_pvalue, count.test_words) == ("", "")
    assert count.problem == "no direction is stated, and one inferred from a significant result tests nothing"
    assert DirectionCount(0, 0, 1, 1).problem == "no direction is stated"
    assert not DirectionCount(1, 0, n_not_stated=3).problem


def test_the_packaged_review_states_no_direction_of_resection():
    """Ten of eleven directions are those of significant results, all worse by construction."""
    resection = summarize_factors(load_nethm()).row("completeness of resection")
    assert {result.direction_basis for result in resection.counted} == {"named adverse level", ""}
    votes = count_votes(resection)
    for count in (resection.directions, votes.chosen, votes.within):
        assert (count.n_worse, count.n_inferred, count.n_stated) == (10, 10, 0)
        assert math.isnan(count.pvalue)
    assert (votes.n_weighted, math.isnan(votes.weighted_pvalue), math.isnan(votes.weighted_share)) == (
        0,
        True,
        True,
    )
    text = str(votes)
    assert "no study with a stated direction has a known size" in text
    assert f"undefined: {votes.chosen.problem}" in text
    assert "sign test p" not in text


def test_inferred_results_speak_where_a_study_states_nothing():
    """Bern states one direction and infers two, Lund infers two, Oslo infers for the better level."""
    given = [
        ("Bern", "G3", "G1/2", "better", "not stated", 100),
        ("Bern", "G3", "G1/2", "not stated", "yes", 90),
        ("Bern", "G3", "G1/2", "not stated", "yes", 80),
        ("Lund", "G3", "G1/2", "not stated", "yes", 400),
        ("Lund", "G3", "G1/2", "not stated", "yes", 300),
        ("Oslo", "G1/2", "G3", "not stated", "yes", 25),
    ]
    factors = [
        ReportedFactor(
            study,
            "grade",
            find_endpoint("OS"),
            adverse,
            reference,
            direction=direction,
            significance=significance,
            group=Group(n_total=n),
        )
        for study, adverse, reference, direction, significance, n in given
    ]
    review = Review((Study("Bern"), Study("Lund"), Study("Oslo")), factors=tuple(factors))
    votes = count_votes(summarize_factors(review).row("histologic grade", "OS"))
    bern, lund, oslo = votes.studies
    assert (bern.direction, bern.is_inferred, bern.chosen, bern.is_chosen_inferred) == (
        "better",
        False,
        "better",
        False,
    )
    assert (bern.n_worse, bern.n_better, bern.n_inferred) == (2, 1, 2)
    assert (lund.direction, lund.is_inferred, lund.n_inferred) == ("worse", True, 2)
    assert (oslo.direction, oslo.is_inferred, oslo.n_better) == ("better", True, 1)
    for count in (votes.chosen, votes.within):
        assert (count.n_worse, count.n_better, count.n_inferred, count.n_inferred_better) == (1, 2, 2, 1)
        assert (count.n_stated, count.n_stated_worse, count.pvalue) == (1, 0, 1.0)
    assert (votes.n_weighted, votes.weighted_share) == (1, 0.0)
    frame = votes.summary_frame()
    assert list(frame["n_inferred"]) == [2, 2, 2]
    assert list(frame["n_stated"]) == [1, 1, 1]
    assert list(votes.study_frame()["is_inferred"]) == [False, True, True]


def row(*results, endpoint="OS"):
    """A row of results: study, direction, ratio, analysis, patients, significance."""
    factors = tuple(
        ReportedFactor(
            study,
            "grade",
            find_endpoint(end),
            "G3",
            "G1/2",
            analysis,
            hazard_ratio=None if hr is None else ReportedNumber(hr, "ratio"),
            direction=direction if hr is None else "not stated",
            significance=significance,
            group=Group(n_total=n),
        )
        for study, end, direction, hr, analysis, n, significance in results
    )
    studies = tuple(Study(name) for name in dict.fromkeys(result[0] for result in results))
    summary = summarize_factors(Review(studies, factors=factors), infer_direction=False)
    return summary.row("histologic grade", endpoint)


def vote(
    study, direction="worse", *, end="OS", hr=None, analysis="univariable", n=100, significance="not stated"
):
    return study, end, direction, hr, analysis, n, significance


def test_three_ways_of_counting():
    votes = count_votes(
        row(
            *[vote("Bern", end=end) for end in ("OS", "DFS", "RFS")],
            vote("Lund", "worse", n=400, significance="yes"),
            vote("Lund", "better", end="DFS", n=400),
            vote("Oslo", "better", n=25, significance="no"),
            vote("Rome", "not stated"),
            vote("Wien", "none"),
            vote("York", n=None),
            endpoint="any",
        )
    )
    found = {each.study: each for each in votes.studies}
    assert {name: each.direction for name, each in found.items()} == {
        "Bern": "worse",
        "Lund": "conflicting",
        "Oslo": "better",
        "Rome": "not stated",
        "Wien": "none",
        "York": "worse",
    }
    assert (found["Bern"].n_worse, found["Lund"].n_worse, found["Lund"].n_better) == (3, 1, 1)
    assert (votes.chosen.n_worse, votes.chosen.n_better) == (3, 1)
    assert (votes.within.n_worse, votes.within.n_better, votes.within.n_none, votes.n_conflicting) == (
        2,
        1,
        2,
        1,
    )
    # Bern 10, Lund 20 and Oslo 5 by size; York has none
    assert votes.n_weighted == 3
    assert votes.weighted_share == pytest.approx(30 / 35)
    assert votes.weighted_pvalue == pytest.approx(
        0.5
    )  # of eight choices of signs, four reach 25 on either side
    text = str(votes)
    assert "statistically significant results (not a synthesis)   1 of 2" in text
    assert "1 conflicting" in text
    assert "86% of the weight for worse (3 studies; sign test p = 0.50)" in text


def test_weights_by_events():
    results = row(vote("Bern"), vote("Lund", "better"))
    votes = count_votes(results, weights="events", n_events={"Bern": 64, "Lund": 4})
    assert votes.weighted_share == pytest.approx(8 / 10)
    assert votes.weight_name == "weighted by the square root of events"
    with pytest.raises(
        InvalidInputError, match=r"^weights by events need n_events, .* no study prints them\.$"
    ):
        count_votes(results, weights="events")
    with pytest.raises(
        InvalidInputError, match=r"^n_events: no study 'Rome' is counted for histologic grade, OS\.$"
    ):
        count_votes(results, weights="events", n_events={"Rome": 3})
    with pytest.raises(
        InvalidInputError, match=r"^Bern: n_events must be a whole number of at least 1; got 0\.$"
    ):
        count_votes(results, weights="events", n_events={"Bern": 0})


@pytest.mark.parametrize("share", [0.5, 1.01, math.nan])
def test_a_share_that_cannot_be(share):
    with pytest.raises(InvalidInputError, match=r"^share must lie above 0\.5 and not above 1; got .*"):
        count_votes(row(vote("Bern")), share=share)


def test_frames_of_votes():
    votes = count_votes(row(vote("Bern"), vote("Lund"), vote("Oslo", "better", n=None)))
    frame = votes.summary_frame()
    assert list(frame["n_worse"]) == [2, 2, 2]
    assert list(frame["n_better"]) == [1, 1, 0]
    assert frame["proportion_worse"].iloc[2] == 1.0
    assert np.isnan(frame["exact_lower"].iloc[2])
    assert list(votes.study_frame()["study"]) == ["Bern", "Lund", "Oslo"]
    assert "<table>" in votes._repr_html_()


def test_no_study_of_known_size():
    votes = count_votes(row(vote("Bern", n=None)))
    assert math.isnan(votes.weighted_share)
    assert "no study with a direction has a known size" in str(votes)


def test_spread_of_ratios():
    results = row(
        vote("Bern", hr="1.2", analysis="multivariable"),
        vote("Lund", hr="2.0"),
        vote("Oslo", hr="0.8"),
        vote("Rome", hr="3.0", analysis="multivariable"),
        vote("Wien", hr="1.5"),
        vote("York"),
    )
    with pytest.warns(HarmonisationWarning, match="unlike ratios are described together") as told:
        spread = describe_ratios(results)
    assert len(told) == len(spread.warnings) == 1
    assert np.exp([spread.lower, spread.median, spread.upper]) == pytest.approx([0.8, 1.5, 3.0])
    assert np.exp([spread.q1, spread.q3]) == pytest.approx([1.2, 2.0])  # of five, the second and the fourth
    assert (spread.k, spread.without) == (5, ("York",))
    assert str(spread) == (
        "histologic grade, OS: median HR 1.50 (IQR, 1.20–2.00; range, 0.80–3.00) in 5 studies; 1 study prints none "
        "(2 adjusted, 3 unadjusted). Not pooled. Unlike: kinds of analysis adjusted (2) and unadjusted (3)."
    )
    adjusted = describe_ratios(results, stratum="adjusted")
    assert (adjusted.k, adjusted.n_without) == (2, 4)
    assert adjusted.words == "median HR 1.90 (range, 1.20–3.00) in 2 studies"
    assert float(spread.summary_frame().loc[0, "median"]) == spread.median
    assert "<table>" in spread._repr_html_()
    with pytest.raises(
        InvalidInputError,
        match=r"^histologic grade, OS: no study prints a hazard ratio \(kind of analysis: not stated\)\.$",
    ):
        describe_ratios(results, stratum="not stated")


def test_what_is_unlike_among_ratios_is_named():
    results = row(
        vote("Bern", hr="1.5"),
        vote("Lund", hr="2.0", end="RFS"),
        vote("Oslo", hr="3.0", end="recurrence", analysis="multivariable"),
        endpoint="any",
    )
    with pytest.warns(HarmonisationWarning) as told:
        spread = describe_ratios(results)
    assert [str(warning.message) for warning in told] == [
        "histologic grade, any: unlike ratios are described together: endpoints OS (1), RFS (1) and recurrence (1)",
        "histologic grade, any: unlike ratios are described together: kinds of analysis unadjusted (2) and "
        "adjusted (1)",
    ]
    assert [said.name for said in spread.warnings] == ["HarmonisationWarning"] * 2
    for text in (str(spread), spread._repr_html_()):
        assert "endpoints OS (1), RFS (1) and recurrence (1); kinds of analysis unadjusted (2)" in text


def marker(study, hr, adverse, reference, n=100):
    return ReportedFactor(
        study,
        "Ki-67",
        find_endpoint("OS"),
        adverse,
        reference,
        "univariable",
        hazard_ratio=ReportedNumber(hr, "ratio"),
        group=Group(n_total=n),
    )


def markers(*results):
    review = Review(tuple(Study(result.study) for result in results), factors=results)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of the summary are not asked for
        summary = summarize_factors(review)
    return next(row for row in summary.rows if row.endpoint == "OS")


def test_a_ratio_per_unit_is_unlike_one_of_groups():
    with pytest.warns(HarmonisationWarning, match=r"comparisons per 1% \(1\) and high vs low \(2\)"):
        spread = describe_ratios(
            markers(
                marker("Bern", "1.05", "per 1%", ""),
                marker("Lund", "2.5", "high", "low"),
                marker("Oslo", "2.1", "High", "low"),
            )
        )
    assert spread.comparison == ("per 1%", "high vs low", "high vs low")
    alike = describe_ratios(
        markers(marker("Bern", "1.8", ">20%", "<=20%"), marker("Lund", "2.5", "> 20%", "≤ 20%"))
    )
    assert not alike.mixed
    assert not alike.warnings


def test_the_ratio_of_another_result_of_the_study_is_printed_too():
    """The multivariable result counts and prints no ratio; the univariable one of the same study does."""
    results = row(
        vote("Bern", "worse", analysis="multivariable"),
        vote("Bern", hr="2.5"),
        vote("Lund", hr="1.5"),
        vote("Oslo"),
    )
    for stratum in (None, "unadjusted"):
        spread = describe_ratios(results, stratum=stratum)
        assert (spread.study, spread.without) == (("Bern", "Lund"), ("Oslo",))
    with pytest.raises(
        InvalidInputError, match=r"no study prints a hazard ratio \(kind of analysis: adjusted\)"
    ):
        describe_ratios(results, stratum="adjusted")


def test_the_ratio_of_a_study_that_shares_patients_is_printed_too():
    """Lund is counted, because it is larger, and prints no ratio; Bern does, of patients that it may share."""
    factors = tuple(
        ReportedFactor(
            study,
            "grade",
            find_endpoint("OS"),
            "G3",
            "G1/2",
            "univariable",
            hazard_ratio=None if hr is None else ReportedNumber(hr, "ratio"),
            direction="worse" if hr is None else "not stated",
            group=Group(n_total=n),
        )
        for study, hr, n in (("Bern", "2.5", 50), ("Lund", None, 200))
    )
    review = Review((Study("Bern", overlap=("Lund",)), Study("Lund")), factors=factors)
    results = summarize_factors(review).row("histologic grade", "OS")
    assert [result.label for result in results.counted] == ["Lund"]
    spread = describe_ratios(results)
    assert (spread.study, spread.without) == (("Bern",), ())
    assert math.exp(spread.median) == pytest.approx(2.5)


def test_a_ratio_worked_out_from_a_p_value_is_none_that_is_printed():
    derived = ReportedFactor(
        "Bern",
        "grade",
        find_endpoint("OS"),
        "G3",
        "G1/2",
        "univariable",
        pvalue=ReportedNumber("0.03", "pvalue"),
        direction="worse",
        events_by_level=(30, 25),
        n_by_level=(50, 60),
        group=Group(n_total=110),
    )
    printed = ReportedFactor(
        "Lund", "grade", find_endpoint("OS"), "G3", "G1/2", hazard_ratio=ReportedNumber("1.5", "ratio")
    )
    summary = summarize_factors(Review((Study("Bern"), Study("Lund")), factors=(derived, printed)))
    results = summary.row("histologic grade", "OS")
    assert not any(math.isnan(result.log_hr) for result in results.counted)
    spread = describe_ratios(results)
    assert (spread.study, spread.without) == (("Lund",), ("Bern",))
