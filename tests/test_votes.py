"""Votes of studies counted in three ways, and the spread of their ratios."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from netsynth.data.endpoint import find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedNumber
from netsynth.data.review import Review
from netsynth.data.study import Group, Study
from netsynth.errors import InvalidInputError
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
    spread = describe_ratios(results)
    assert np.exp([spread.lower, spread.median, spread.upper]) == pytest.approx([0.8, 1.5, 3.0])
    assert np.exp([spread.q1, spread.q3]) == pytest.approx([1.2, 2.0])  # of five, the second and the fourth
    assert (spread.k, spread.without) == (5, ("York",))
    assert str(spread) == (
        "histologic grade, OS: median HR 1.50 (IQR, 1.20–2.00; range, 0.80–3.00) in 5 studies; 1 study prints none "
        "(2 adjusted, 3 unadjusted). Not pooled."
    )
    adjusted = describe_ratios(results, stratum="adjusted")
    assert (adjusted.k, adjusted.n_without) == (2, 4)
    assert adjusted.words == "median HR 1.90 (range, 1.20–3.00) in 2 studies"
    assert float(spread.summary_frame().loc[0, "median"]) == spread.median
    assert "<table>" in spread._repr_html_()
    with pytest.raises(
        InvalidInputError, match=r"^histologic grade, OS: no study prints a not stated hazard ratio\.$"
    ):
        describe_ratios(results, stratum="not stated")


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
