"""Combination of p-values: directions, bounds, what is refused, and what the result says."""

import itertools
import json
import math
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from netsynth.data.endpoint import find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.review import Review
from netsynth.data.study import Group, Study
from netsynth.errors import InvalidInputError
from netsynth.kernels.pvalue_combination import COMBINATIONS
from netsynth.prognostic import summarize_factors
from netsynth.pvalues import combine_pvalues
from netsynth.results.pvalues import shown_pvalue

mpl.use("Agg")

REFERENCE = json.loads(
    (Path(__file__).parent / "references" / "pvalue_combination.json").read_text(encoding="utf-8")
)["one_sided"]
#: Becker BJ (1994), one-sided p-values; see tests/kernels/test_pvalue_combination.py.
BECKER = [0.016, 0.067, 0.250, 0.405, 0.871]
WORSE = ["worse"] * 5


def test_published_becker_one_sided():
    found = combine_pvalues(BECKER, direction=WORSE, two_sided=False)
    assert found.statistic_worse.lower == pytest.approx(18.533, abs=5e-4)
    assert found.worse.lower == found.worse.upper == pytest.approx(0.0466, abs=5e-5)
    assert found.is_exact


def test_reference_two_sided_to_one_sided():
    direction = ["better" if inverted else "worse" for inverted in REFERENCE["invert"]]
    found = combine_pvalues(REFERENCE["p"], direction=direction)
    np.testing.assert_allclose(found.lower, REFERENCE["from_two_sided"], rtol=1e-13)
    np.testing.assert_allclose(found.upper, REFERENCE["from_two_sided"], rtol=1e-13)
    # a one-sided p-value of 1, which metap drops, is refused
    sure = [i for i, p in enumerate(REFERENCE["p"]) if p < 1]
    found = combine_pvalues(
        [REFERENCE["p"][i] for i in sure], direction=[direction[i] for i in sure], two_sided=False
    )
    np.testing.assert_allclose(found.lower, [REFERENCE["from_one_sided"][i] for i in sure], rtol=1e-13)


def test_both_directions_and_the_smaller_doubled():
    p, direction = [0.02, 0.4, 0.1], ["worse", "better", "worse"]
    found = combine_pvalues(p, direction=direction, method="stouffer")
    z = stats.norm.isf(np.array(p) / 2) * [1, -1, 1]
    total = z.sum() / math.sqrt(3)
    assert found.worse.lower == pytest.approx(stats.norm.sf(total), rel=1e-10)
    assert found.better.lower == pytest.approx(stats.norm.cdf(total), rel=1e-10)
    assert found.pvalue.lower == pytest.approx(2 * stats.norm.sf(abs(total)), rel=1e-10)
    assert found.side == "worse"
    turned = combine_pvalues(p, direction=["better", "worse", "better"], method="stouffer")
    assert turned.side == "better"
    assert turned.pvalue == pytest.approx(tuple(found.pvalue), rel=1e-12)


def test_weights_are_square_roots():
    found = combine_pvalues(
        [0.02, 0.4],
        direction=["worse", "better"],
        method="stouffer",
        weights="patients",
        n_patients=[400, 25],
    )
    z = stats.norm.isf([0.01, 0.8])
    assert found.statistic_worse.lower == pytest.approx((20 * z[0] + 5 * z[1]) / math.sqrt(425), rel=1e-10)
    assert "weights by the square root of patients" in str(found)


BOUNDS = [
    ("<0.001", "worse", (0.0, 0.0005)),
    ("<0.001", "better", (0.9995, 1.0)),
    (">0.05", "worse", (0.025, 0.5)),
    ("ns", "worse", (0.025, 0.5)),
    ("not significant", "better", (0.5, 0.975)),
    ("significant", "worse", (0.0, 0.025)),
    ("p = 0.04", "worse", (0.02, 0.02)),
    ("~0.8", "worse", (0.4, 0.4)),
    (ReportedNumber("0.05", "pvalue", "<="), "worse", (0.0, 0.025)),
    (1.0, "better", (0.5, 0.5)),
    ("1", "not stated", (0.5, 0.5)),
    ("0.000", "worse", (0.0, 0.00025)),
    ("0.00", "better", (0.9975, 1.0)),
    ("0.04", "none", (0.02, 0.98)),
    ("ns", "none", (0.025, 0.975)),
]


@pytest.mark.parametrize(("value", "direction", "ends"), BOUNDS)
def test_a_bound_stays_a_bound(value, direction, ends):
    found = combine_pvalues([value], direction=[direction])
    assert (float(found.lower[0]), float(found.upper[0])) == pytest.approx(ends, abs=1e-15)


def test_a_one_sided_p_of_1_is_rounded():
    """Fisher's chi2 of the least that 1.00 may stand for, and nothing infinite to be claimed."""
    found = combine_pvalues(["1.00", "0.40", "0.30"], direction=["worse"] * 3, two_sided=False)
    assert (found.lower[0], found.upper[0], found.basis[0]) == (0.995, 1.0, "printed bound")
    most = stats.chi2.sf(-2 * np.log([0.005, 0.6, 0.7]).sum(), 6)
    assert found.better.upper == pytest.approx(most, rel=1e-10)
    assert found.better.lower == 0.0
    assert found.pvalue.upper == pytest.approx(2 * most, rel=1e-10)
    turned = combine_pvalues(["1.00", "0.40", "0.30"], direction=["better"] * 3, two_sided=False)
    assert turned.worse == pytest.approx(tuple(found.better), rel=1e-10)


def test_a_two_sided_p_of_1_has_no_direction():
    found = combine_pvalues(["1.00", 1, 0.3], direction=["worse"] * 3)
    assert list(found.lower) == list(found.upper) == [0.5, 0.5, 0.15]


def test_three_zeros_are_the_bound_that_they_are_for_a_hazard_ratio():
    zeros, bound = (combine_pvalues([text, "0.3"], direction=["worse"] * 2) for text in ("0.000", "<0.0005"))
    assert zeros.log_worse == bound.log_worse
    assert zeros.log_better == bound.log_better
    assert zeros.basis[0] == "printed bound"


@pytest.mark.parametrize(
    ("p", "why"),
    [
        (["0.02"], "the mean z needs two studies for the spread of z"),
        (["0.02"] * 3, "all p-values are equal, so that z has no spread to compare its mean with"),
    ],
)
def test_why_a_p_value_is_undefined(p, why):
    found = combine_pvalues(p, direction=["worse"] * len(p), method="mean_z")
    assert found.problem == why
    assert f"two-sided p undefined: {why}" in str(found)
    assert not combine_pvalues(p, direction=["worse"] * len(p)).problem


@st.composite
def reports(draw):
    """P-values as studies have them, and as they print them."""
    n = draw(st.integers(1, 4))
    true = draw(st.lists(st.floats(1e-6, 1.0), min_size=n, max_size=n))
    printed: list[object] = []
    for p in true:
        ways = ["number"]
        ways += [f"<{bound}" for bound in (0.001, 0.01, 0.05) if p < bound]
        ways += ["ns"] if p > 0.05 else ["significant"]
        way = draw(st.sampled_from(ways))
        printed.append(p if way == "number" else way)
    return true, printed, draw(st.lists(st.sampled_from(["worse", "better"]), min_size=n, max_size=n))


@pytest.mark.parametrize("method", [name for name, rule in COMBINATIONS.items() if rule.is_monotone])
@given(report=reports())
def test_the_true_combined_p_lies_in_the_interval(method, report):
    true, printed, direction = report
    setting = 1 if COMBINATIONS[method].setting == "rank" else None
    exact = combine_pvalues(true, direction=direction, method=method, setting=setting)
    found = combine_pvalues(printed, direction=direction, method=method, setting=setting)
    for one, other in (
        (exact.log_worse, found.log_worse),
        (exact.log_better, found.log_better),
        (exact.log_pvalue, found.log_pvalue),
    ):
        assert other.lower <= one.lower + 1e-9 * max(1, abs(one.lower))
        assert one.upper <= other.upper + 1e-9 * max(1, abs(one.upper))


@pytest.mark.parametrize("method", ["fisher", "stouffer", "edgington"])
def test_unknown_directions_bound_every_choice(method):
    p = [0.03, 0.2, 0.6]
    found = combine_pvalues(
        p, direction=["worse", "not stated", "none"], method=method, unknown_direction="bounds"
    )
    each = [
        combine_pvalues(p, direction=["worse", *rest], method=method).pvalue.lower
        for rest in itertools.product(["worse", "better"], repeat=2)
    ]
    assert found.pvalue.lower <= min(each) + 1e-12
    assert found.pvalue.upper >= max(each) - 1e-12
    assert "2 without a direction" in str(found)


REFUSED = [
    ({"direction": None}, r"direction is missing: give 'worse' or 'better' for each study\. .*"),
    (
        {"direction": ["worse", "not stated"]},
        r"Oslo: the direction is not stated, without which its p-value cannot be combined with others\. .*",
    ),
    *(
        (
            {"pvalue": [0.2, zero]},
            r"Oslo: a p-value is never 0; give it as it is printed, such as '0\.000' or '<0\.001' \(.*\)\.",
        )
        for zero in (0, 0.0, "0", "<0", "<0.000")
    ),
    *(
        (
            {"pvalue": [0.2, one], "two_sided": False},
            r"Oslo: a one-sided p-value is never 1; give it as it is printed, such as '1\.00' or '>0\.99'\.",
        )
        for one in (1, 1.0, "1", "≥1.00", ">1")
    ),
    ({"pvalue": [0.2, 1.2]}, r"Oslo: a p-value must lie in \(0, 1\]; got 1\.2\."),
    ({"pvalue": [0.2, math.nan]}, r"Oslo: a p-value must lie in \(0, 1\]; got nan\."),
    ({"pvalue": [0.2, None]}, r"Oslo: a p-value must be a number or text; got None\."),
    ({"pvalue": [0.2, "small"]}, r"Cannot read the text .*"),
    ({"direction": ["worse"]}, r"direction must have one word for each of 2 p-values; got 1\."),
    (
        {"direction": ["worse", "up"]},
        r"Oslo: direction must be one of worse, better, none, not stated; got 'up'\.",
    ),
    (
        {"direction": "worse"},
        r"direction must be a list with one word for each of 2 p-values, such as \['worse', \.\.\.\]; got the text "
        r"'worse'\. If all point one way, give \['worse'\] \* 2\.",
    ),
    ({"method": "sum"}, r"method must be one of fisher, .*; got 'sum'\."),
    ({"method": "fisher", "setting": 2}, r"method 'fisher' has no setting; got setting=2\."),
    (
        {"method": "wilkinson", "setting": 3},
        r"method 'wilkinson': rank 3 is above the number of studies, 2\.",
    ),
    ({"method": "vote", "setting": 0.7}, r"method 'vote': the threshold must lie in \(0, 0\.5\]; got 0\.7\."),
    (
        {"method": "inverse_t", "setting": 2},
        r"method 'inverse_t': degrees of freedom must be above 2; got 2\.",
    ),
    ({"weights": "patients"}, r"method 'fisher' has no weights; only 'stouffer' does\."),
    (
        {"method": "stouffer", "weights": "patients", "n_patients": [20, None]},
        r"Oslo: weights by patients need the number of patients, which is not known\. .*",
    ),
    ({"n_patients": [20, -3]}, r"Oslo: n_patients must be positive; got -3\."),
    (
        {"method": "mean_z", "pvalue": [0.2, "<0.01"]},
        r"method 'mean_z' may fall when a p-value rises, so bounds tell nothing of it; .*",
    ),
    ({"alpha": 1.0}, r"alpha must lie between 0 and 1; got 1\.0\."),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=[f"{change}"[:50] for change, _ in REFUSED])
def test_refused(change, message):
    given_ = {"pvalue": [0.2, 0.3], "direction": ["worse", "better"], "study": ["Lund", "Oslo"], **change}
    with pytest.raises(InvalidInputError, match=rf"(?s)^{message}$"):
        combine_pvalues(**given_)


# --- rows of a review ---------------------------------------------------------------------------------


def factor(
    study, direction="not stated", p=None, qualifier="=", hr=None, ci=None, significance="not stated", n=None
):
    return ReportedFactor(
        study,
        "grade",
        find_endpoint("OS"),
        "G3",
        "G1/2",
        "multivariable",
        hazard_ratio=None if hr is None else ReportedNumber(hr, "ratio"),
        ci=None if ci is None else ReportedInterval.of(*ci, "ratio", 0.95),
        pvalue=None if p is None else ReportedNumber(p, "pvalue", qualifier),
        direction=direction,
        significance=significance,
        group=Group(n_total=n),
    )


def row(*results):
    review = Review(tuple(Study(result.study) for result in results), factors=results)
    return summarize_factors(review, infer_direction=False).row("histologic grade", "OS")


def test_a_row_brings_what_it_has():
    found = combine_pvalues(
        row(
            factor("Bern", "worse", "0.03", n=120),
            factor("Lund", hr="0.50", ci=("0.25", "1.00")),
            factor("Oslo", "worse", "0.05", "<"),
            factor("Rome", "worse", significance="no"),
            factor("Wien", "better", significance="yes"),
            factor("York", "worse"),
        )
    )
    assert found.study == ("Bern", "Lund", "Oslo", "Rome", "Wien")
    assert found.basis == (
        "printed",
        "confidence interval",
        "printed bound",
        "not significant, no number",
        "significant, no number",
    )
    assert found.direction == ("worse", "better", "worse", "worse", "better")
    assert found.two_sided_lower[1] == pytest.approx(0.05, abs=0.002)  # the upper limit is no effect
    assert [out.study for out in found.left_out] == ["York"]
    assert found.n_patients[0] == 120
    assert found.label == "histologic grade, OS"
    text = str(found)
    assert "1 p-value printed as a bound and 2 called significant or not, without a number" in text
    assert "1 study left out: York." in text


def test_a_row_prefers_the_interval_to_three_zeros():
    found = combine_pvalues(
        row(factor("Bern", p="0.000", hr="4.00", ci=("2.00", "8.00")), factor("Lund", "worse", "0.000"))
    )
    assert found.basis == ("confidence interval", "printed bound")
    assert found.two_sided_upper[1] == 0.0005


def test_a_row_with_nothing_to_combine():
    with pytest.raises(InvalidInputError, match=r"histologic grade, OS: no study has a p-value .*"):
        combine_pvalues(row(factor("York", "worse")))
    with pytest.raises(
        InvalidInputError, match=r"A row brings directions, labels and patients; leave them out\."
    ):
        combine_pvalues(row(factor("York", "worse", "0.3")), study=["York"])


def test_inferred_directions_are_told():
    result = factor("Bern", p="0.03", significance="yes")
    review = Review((Study("Bern"),), factors=(result,))
    inferred = combine_pvalues(summarize_factors(review).row("histologic grade", "OS"))
    assert inferred.n_inferred == 1
    assert "1 direction inferred from the level that a significant result names as adverse." in str(inferred)
    with pytest.raises(InvalidInputError, match=r"^Bern: the direction is not stated, .*"):
        combine_pvalues(row(result))


# --- the result ---------------------------------------------------------------------------------------


def test_frames_and_html():
    found = combine_pvalues(
        ["0.02", "<0.001", "ns"], direction=["worse", "worse", "better"], n_events=[20, 40, None]
    )
    frame = found.summary_frame()
    assert list(frame.index) == ["worse", "better", "two-sided"]
    assert frame.loc["worse", "pvalue_lower"] == 0.0
    assert frame.loc["two-sided", "pvalue_upper"] == found.pvalue.upper
    studies = found.study_frame()
    assert list(studies["worse_upper"]) == list(found.upper)
    assert math.isnan(studies.loc[2, "n_events"])
    assert "<table>" in found._repr_html_()
    with pytest.raises(ValueError, match="read-only"):
        found.lower[0] = 0.5


def test_tiny_p_values_are_kept_on_the_log_scale():
    found = combine_pvalues([1e-200] * 4, direction=["worse"] * 4)
    assert found.worse.lower == 0.0
    assert found.log_worse.lower == found.log_worse.upper < -1800
    assert "one-sided p < 0.001" in str(found)


def test_a_direction_that_bounds_leave_open():
    found = combine_pvalues(["<0.05", "<0.05"], direction=["worse", "better"])
    assert found.side == "undecided"
    assert found.shown.endswith("; its direction is undecided")


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ((math.nan, math.nan), "p undefined"),
        ((0.02, 0.02), "p = 0.020"),
        ((0.0, 0.0002), "p < 0.001"),
        ((0.0, 0.2), "p ≤ 0.20"),
        ((0.01, 1.0), "p between 0.010 and > 0.99"),
    ],
)
def test_p_values_for_people(ends, text):
    from netsynth._typing import Interval

    assert shown_pvalue(Interval(*ends)) == text
