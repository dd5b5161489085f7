import json
import statistics
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.aggregate import median_range
from netsynth.data.number import ReportedNumber
from netsynth.errors import Caution, FewStudiesWarning, InvalidInputError, OverlapWarning

REFERENCE = json.loads((Path(__file__).parent / "references" / "poolmed.json").read_text(encoding="utf-8"))

# Five-year overall survival, in percent, of the twelve whole resected cohorts in the neuroendocrine-liver data.
OS5 = {
    "chen_1998": 73,
    "nave_2001": 47,
    "elias_2003": 71,
    "norton_2003": 82,
    "sarmiento_2003": 61,
    "hcm_wustl_2004": 85,
    "touzios_2005": 72,
    "gomez_2007": 86,
    "hibi_2007": 41,
    "kianmanesh_2008": 94,
    "glazer_2010": 77.4,
    "mayo_2010": 74,
}

two_studies_allowed = pytest.mark.filterwarnings("ignore::netsynth.errors.FewStudiesWarning")


def months(text):
    """A printed number of months: "21", ">96", "<=5", "~30" or "NR"."""
    if text == "NR":
        return ReportedNumber("", "month", "not reached")
    digits = text.lstrip("<>=~")
    return ReportedNumber(digits, "month", text.removesuffix(digits) or "=")


def reported(texts, **options):
    return median_range([months(text) for text in texts.split()], **options)


def holds(sign, bound, truth):
    """Whether a printed figure with its sign is true."""
    return {
        "": truth == bound,
        "<": truth < bound,
        "≤": truth <= bound,
        ">": truth > bound,
        "≥": truth >= bound,
        "?": True,
    }[sign]


# --- published -------------------------------------------------------------------------------------------


def test_published_interval_of_the_neuroendocrine_core_set():
    # The data's own notes state k = 12, median 73.5% and range 41-94%; Nair (1940) gives rank 3, 96.1%, for k = 12.
    result = median_range(OS5.values(), study=tuple(OS5), unit="percent")
    assert str(result) == "73.5% (range, 41–94%; k = 12)"
    assert (result.lowest, result.highest) == (("hibi_2007",), ("kianmanesh_2008",))
    interval = result.confidence_interval()
    assert (interval.lower, interval.upper, interval.ranks) == (sorted(OS5.values())[2], 85, (3, 10))
    assert interval.coverage == result.coverage() == pytest.approx(0.961, abs=5e-4)


def test_published_form_of_the_founding_review():
    # Saxena et al. (2012), https://doi.org/10.1016/j.suronc.2012.05.001: how its abstract prints two outcomes
    survival = [31, 52, 57, 60, 63, 70, 71, 74, 76, 80, 90, 100]
    assert str(median_range(survival, unit="percent")) == "70.5% (range, 31–100%; k = 12)"
    progression = [13, 15, 18, 20, 21, 24, 30, 39, 46]
    assert str(median_range(progression, unit="months")) == "21 months (range, 13–46 months; k = 9)"


def test_upper_limit_is_the_mirror_of_the_lower():
    # the nine values on which an interval one order statistic too short has been printed by other software
    interval = median_range([5.23, 3.10, 0.50, 0.78, 3.48, 0.59, 2.20, 5.06, 4.00]).confidence_interval()
    assert (interval.lower, interval.upper) == (0.59, 5.06)
    assert interval.coverage == 1 - 2 * (1 + 9) / 2**9


# --- reference -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=lambda case: case["id"])
def test_reference_of_r(case):
    given_values, weights = case["input"]["values"], case["input"]["weights"]
    result = median_range(given_values)
    expected = case["summary"]
    assert (result.lower, result.upper) == (expected["min"], expected["max"])
    assert (result.q1, result.median, result.q3) == (expected["q1"], expected["median"], expected["q3"])
    assert median_range(given_values, weights=weights).median == case["weighted_median"]
    interval = result.confidence_interval()
    if expected := case.get("interval_95"):
        assert (interval.lower, interval.upper) == (expected["lower"], expected["upper"])
        assert interval.ranks == (expected["r"] + 1, result.k - expected["r"])
        assert interval.coverage == pytest.approx(expected["coverage"], rel=1e-12)
    else:
        assert interval.coverage == case["highest_coverage"]
        assert np.isnan(interval.lower)
        assert np.isnan(interval.upper)


# --- the interval ----------------------------------------------------------------------------------------


def test_no_interval_says_so_with_the_coverage_of_the_range():
    result = median_range([10, 20, 30, 40, 50])
    interval = result.confidence_interval()
    assert np.isnan([interval.lower, interval.upper]).all()
    assert interval.ranks is None
    assert interval.coverage == result.coverage() == 0.9375
    assert interval.reason == (
        "no 95% interval exists for the median of 5 studies, it takes 6; the coverage of the range is 93.75%"
    )
    assert result.confidence_interval(0.9).ranks == (1, 5)
    assert result.coverage(0.5) == 0.625
    with pytest.raises(InvalidInputError, match="level must be a fraction between 0 and 1"):
        result.confidence_interval(95)


def test_level_of_the_call_is_the_default_of_the_result():
    result = median_range(range(20), level=0.5)
    assert result.confidence_interval() == result.confidence_interval(0.5)
    assert result.confidence_interval() != result.confidence_interval(0.95)
    with pytest.raises(InvalidInputError, match="level must be a fraction between 0 and 1"):
        median_range([1, 2, 3], level=95)


def test_interval_with_open_ends_is_the_outermost():
    interval = reported("10 20 30 40 50 60 70 80 >35").confidence_interval()
    # ordered with the open value at its lowest and at its highest; ranks 2 and 8 of 9
    assert (interval.lower, interval.upper, interval.ranks) == (20, 80, (2, 8))
    assert reported("10 20 30 40 50 >60").confidence_interval().upper == np.inf


def test_weighted_interval_is_not_defined_and_says_so():
    result = median_range(range(20), weights=range(1, 21))
    interval = result.confidence_interval()
    assert np.isnan([interval.lower, interval.upper, interval.coverage, result.coverage()]).all()
    assert interval.reason == (
        "an order-statistic interval is not defined for a weighted median; leave the weights out"
    )


# --- open ends -------------------------------------------------------------------------------------------


@two_studies_allowed
@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ("10 20 30 >35 >50", "30 months (range, 10–>50 months; k = 5, 2 open-ended)"),
        ("10 20 30 >35 >35", "30 months (range, 10–>35 months; k = 5, 2 open-ended)"),
        ("10 20 60 >35 >50", "between 35 and 60 months (range, 10–≥60 months; k = 5, 2 open-ended)"),
        ("10 >20 >30", ">20 months (range, 10–>30 months; k = 3, 2 open-ended)"),
        ("10 >=20 >=30", "≥20 months (range, 10–≥30 months; k = 3, 2 open-ended)"),
        ("20 >=20 >20", "≥20 months (range, 20–>20 months; k = 3, 2 open-ended)"),
        ("<5 <7 20", "<7 months (range, <5–20 months; k = 3, 2 open-ended)"),
        ("<=5 <=7 20", "≤7 months (range, ≤5–20 months; k = 3, 2 open-ended)"),
        (">50 >=50 80", ">50 months (range, ≥50–≥80 months; k = 3, 2 open-ended)"),
        ("<50 <=50 20", "<50 months (range, ≤20–≤50 months; k = 3, 2 open-ended)"),
        ("<5 20 30", "20 months (range, <5–30 months; k = 3, 1 open-ended)"),
        ("80 >50 >60", ">60 months (range, >50–≥80 months; k = 3, 2 open-ended)"),
        ("20 <30 <40", "<30 months (range, ≤20–<40 months; k = 3, 2 open-ended)"),
        ("10 20 30 NR NR", "between 10 and 30 months (range, ≤10–≥30 months; k = 5, 2 open-ended)"),
        ("50 >70", ">60 months (range, 50–>70 months; k = 2, 1 open-ended)"),
        ("NR >96", ">48 months (range, ?–>96 months; k = 2, 2 open-ended)"),
        ("NR NR NR", "not determined (range, not determined; k = 3, 3 open-ended)"),
        (">96", ">96 months (k = 1, 1 open-ended)"),
        ("~30 40 50", "40 months (range, 30–50 months; k = 3)"),
        ("1 1 1", "1 month (range, 1–1 months; k = 3)"),
        ("20 21", "20.5 months (range, 20–21 months; k = 2)"),
    ],
)
def test_printed_form(texts, expected):
    assert str(reported(texts)) == expected


def test_an_open_end_on_the_far_side_of_the_median_leaves_it_known():
    assert reported("81 91 125 78 >96").median == 91
    assert reported("81 91 125 78 >91").median == 91
    undetermined = reported("81 91 125 78 >90")
    assert np.isnan(undetermined.median)
    assert (undetermined.median_lower, undetermined.median_upper) == (90, 91)
    assert str(undetermined).startswith("between 90 and 91 months")


@st.composite
def open_studies(draw):
    """Values of which some are printed as open ends, with one way in which all may have come out."""
    printed, truth = [], []
    for _ in range(draw(st.integers(1, 9))):
        value = draw(st.integers(0, 12))
        kind = draw(st.sampled_from(["=", "=", "=", ">", ">=", "<", "<=", "not reached"]))
        step = draw(st.sampled_from([0.25, 1.0, 7.0]))
        if kind == "not reached":
            printed.append(months("NR"))
            truth.append(value)
            continue
        if kind == "<" and value == 0:
            kind = "<="
        printed.append(ReportedNumber(str(value), "month", kind))
        moved = {"=": 0.0, ">": step, ">=": step - 0.25, "<": -step, "<=": 0.25 - step}[kind]
        truth.append(max(value + moved, 0.0))
    return printed, truth


@two_studies_allowed
@given(open_studies(), st.booleans())
def test_whatever_the_open_ends_are_the_report_stays_true(studies, weighted):
    printed, truth = studies
    weights = np.arange(1, len(truth) + 1) % 3 + 1 if weighted else None
    result = median_range(printed, weights=weights)
    complete = median_range(truth, weights=weights)
    assert result.median_lower <= complete.median <= result.median_upper
    assert holds(result.lower_sign, result.lower, min(truth))
    assert holds(result.upper_sign, result.upper, max(truth))
    if result.median_sign in ("<", "≤"):
        assert holds(result.median_sign, result.median_upper, complete.median)
    elif result.median_sign in (">", "≥"):
        assert holds(result.median_sign, result.median_lower, complete.median)
    elif result.median_sign == "":
        assert result.median == complete.median
    for known, quartile in ((result.q1, complete.q1), (result.q3, complete.q3)):
        assert np.isnan(known) or known == quartile
    without, left = result.study_frame(), complete.study_frame()["without_lower"]
    if len(truth) > 1:
        assert (without["without_lower"] <= left).all()
        assert (left <= without["without_upper"]).all()


@two_studies_allowed
@given(open_studies())
def test_bounds_of_the_median_are_sharp(studies):
    printed, _ = studies
    result = median_range(printed)
    lowest = [number.value if number.is_exact else number.interval.lower for number in printed]
    highest = [number.value if number.is_exact else number.interval.upper for number in printed]
    assert result.median_lower == statistics.median(lowest)
    assert result.median_upper == statistics.median(highest)
    # the sign is strict only if the bound cannot be reached: values printed as ">" moved by less than any gap
    nudged = [
        low + (1e-6 if number.qualifier == ">" else 0) for low, number in zip(lowest, printed, strict=True)
    ]
    if result.median_sign in (">", "≥"):
        assert (result.median_sign == ">") == (statistics.median(nudged) > result.median_lower)


def test_percentages_end_at_their_natural_limits():
    result = median_range([ReportedNumber("90", "percent", ">"), ReportedNumber("80", "percent"), 85])
    assert (result.median, result.median_upper, result.upper, result.upper_sign) == (85, 85, 90, ">")
    assert result.value_upper.tolist() == [100, 80, 85]
    only = median_range([ReportedNumber("", "percent", "not reached")])
    assert (only.median_lower, only.median_upper, only.median_sign) == (0, 100, "?")
    assert np.isnan([only.median, only.lower, only.upper, only.q1]).all()
    assert only.confidence_interval().coverage == 0


# --- rounding and pivotal studies --------------------------------------------------------------------------


def test_rounding_of_printed_numbers_only():
    printed = [ReportedNumber(text, "percent") for text in ("70", "71.0", "85")]
    assert median_range(printed).rounding_interval == (70.95, 71.05)
    assert median_range([70, 71.0, 85], unit="percent").rounding_interval == (71, 71)
    assert median_range([printed[0], printed[1], 85]).rounding_interval == (70.95, 71.05)


@two_studies_allowed
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=9),
    st.lists(st.floats(-0.5, 0.5), min_size=9, max_size=9),
)
def test_unrounded_values_have_their_median_within_the_rounding_bounds(rounded, errors):
    result = median_range([ReportedNumber(str(value), "ratio") for value in rounded])
    unrounded = [max(value + error, 0.0) for value, error in zip(rounded, errors, strict=False)]
    low, high = result.rounding_interval
    assert low <= statistics.median(unrounded) <= high
    assert low <= result.median <= high


@two_studies_allowed
@given(
    values=st.lists(st.integers(0, 30), min_size=2, max_size=9),
    weights=st.none() | st.lists(st.integers(1, 5), min_size=9, max_size=9),
)
def test_pivotal_studies_by_doing_it(values, weights):
    printed = [ReportedNumber(str(value), "month") for value in values]
    used = None if weights is None else weights[: len(values)]
    result = median_range(printed, weights=used)
    pivotal = {entry.study: entry for entry in result.pivotal}
    for i, label in enumerate(result.study):
        others = None if used is None else used[:i] + used[i + 1 :]
        left = median_range(values[:i] + values[i + 1 :], weights=others).median
        ends = [
            median_range([*values[:i], end, *values[i + 1 :]], weights=used).median
            for end in printed[i].interval
        ]
        moves = left != result.median or ends != [result.median, result.median]
        assert moves == (label in pivotal)
        if moves:
            assert pivotal[label].without == (left, left)
            assert pivotal[label].change == left - result.median
            assert list(pivotal[label].by_rounding) == ends


def test_pivotal_with_open_ends_compares_the_bounds():
    result = reported("10 30 20 >35 >50", study=tuple("abcde"))
    pivotal = {entry.study: entry for entry in result.pivotal}
    assert set(pivotal) == set("abcde")
    assert pivotal["a"].without == (32.5, np.inf)  # 20, 30, >35, >50
    assert np.isnan(pivotal["a"].change)
    assert pivotal["d"].without == (25, 25)
    assert pivotal["d"].change == -5
    assert pivotal["b"].by_rounding == (29.5, 30.5)
    assert pivotal["e"].by_rounding == (30, 30)
    (alone,) = reported("20").pivotal
    assert np.isnan([*alone.without, alone.change]).all()
    assert median_range([5, 5, 5, 5]).pivotal == ()


@two_studies_allowed
@pytest.mark.parametrize(("text", "ends"), [("100", (99.75, 100)), ("0", (0, 0.25)), ("50", (49.75, 50.25))])
def test_rounding_alone_can_make_a_study_pivotal(text, ends):
    pivotal = median_range([ReportedNumber(text, "percent")] * 2).pivotal
    assert [(entry.change, entry.by_rounding) for entry in pivotal] == [(0, ends)] * 2


def test_a_study_of_no_weight_is_listed_and_has_no_influence():
    with_zero = median_range([10, 20, 40, 90, 95], weights=[3, 1, 2, 0, 1], study=tuple("abcde"))
    without = median_range([10, 20, 40, 95], weights=[3, 1, 2, 1], study=tuple("abce"))
    for name in ("median", "lower", "upper", "q1", "q3", "k", "lowest", "highest", "pivotal", "n_open"):
        assert getattr(with_zero, name) == getattr(without, name)
    assert with_zero.study == tuple("abcde")
    assert str(with_zero) == "20 (weighted median; range, 10–95; k = 4)"
    beyond = [10, 20, 40, months(">90"), months("<5"), 10, 40]
    extreme = median_range(beyond, weights=[1, 1, 1, 0, 0, 0, 0], study=tuple("abcdefg"))
    assert (extreme.lowest, extreme.highest, extreme.n_open) == (("a",), ("c",), 0)
    assert str(extreme) == "20 months (weighted median; range, 10–40 months; k = 3)"


def test_weighted_quartiles_repeat_each_value_by_its_weight():
    values, weights = [10, 20, 40, 95], [3, 1, 2, 2]
    result = median_range(values, weights=weights)
    expected = np.quantile(np.repeat(values, weights), [0.25, 0.5, 0.75], method="averaged_inverted_cdf")
    assert [result.q1, result.median, result.q3] == expected.tolist()
    assert result.quantile_type == "type 2, weighted"


# --- properties --------------------------------------------------------------------------------------------

FIGURES = ("median", "lower", "upper", "q1", "q3")
whole = st.lists(st.integers(-40, 40), min_size=1, max_size=12)


@two_studies_allowed
@given(whole, st.integers(-20, 20), st.sampled_from([0.25, 2.0, 8.0]))
def test_a_shift_and_a_scale_carry_over(values, shift, scale):
    before = median_range(values)
    after = median_range([scale * value + shift for value in values])
    for name in FIGURES:  # whole numbers and powers of two, so exact
        assert getattr(after, name) == scale * getattr(before, name) + shift
    assert (after.lowest, after.highest) == (before.lowest, before.highest)


@two_studies_allowed
@given(whole.flatmap(lambda values: st.tuples(st.just(values), st.permutations(values))))
def test_order_does_not_matter(pair):
    one, other = (median_range(values) for values in pair)
    assert str(one) == str(other)
    assert [getattr(one, name) for name in FIGURES] == [getattr(other, name) for name in FIGURES]
    assert sorted(one.lowest) == sorted(other.lowest) or len(one.lowest) == len(other.lowest)


@two_studies_allowed
@given(whole)
def test_figures_are_in_order_and_agree_with_other_libraries(values):
    result = median_range(values)
    assert result.lower <= result.q1 <= result.median <= result.q3 <= result.upper
    assert (result.median, result.lower, result.upper) == (
        statistics.median(values),
        min(values),
        max(values),
    )
    assert [result.q1, result.q3] == pytest.approx(pd.Series(values).quantile([0.25, 0.75]).tolist())
    assert [values[i] for i, s in enumerate(result.study) if s in result.highest] == (
        [max(values)] * values.count(max(values))
    )


def test_ties_at_an_end_name_every_study():
    result = median_range([50, 90, 50, 90, 70], study=tuple("abcde"))
    assert (result.lowest, result.highest) == (("a", "c"), ("b", "d"))
    both = median_range([100, 100, 100], unit="percent")
    assert (both.lowest, both.highest) == (both.study, both.study)
    assert str(both) == "100% (range, 100–100%; k = 3)"


def test_one_study_is_itself():
    result = median_range([83], unit="percent", study=["Smith 2011"])
    assert str(result) == "83% (k = 1)"
    assert not result.pooled
    assert result.lowest == result.highest == ("Smith 2011",)
    assert (result.median, result.lower, result.upper, result.q1, result.q3) == (83,) * 5
    assert result.warnings == ()


# --- printing and frames -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "unit", "expected"),
    [
        ([70.6, 70.7, 80, 90], "%", "75.35% (range, 70.6–90%; k = 4)"),
        ([100 * 12 / 17, 200 / 3, 50], "percent", "66.7% (range, 50–70.6%; k = 3)"),
        ([100 * 12 / 17, 200 / 3, 50, 90], "percent", "68.6% (range, 50–90%; k = 4)"),
        ([100 * 0.57, 60, 70], "percent", "60% (range, 57–70%; k = 3)"),
        ([1.85, 1.9, 3.2, 1.1], "ratio", "1.875 (range, 1.1–3.2; k = 4)"),
        ([-1.5, -2, 3.5], "", "-1.5 (range, -2 to 3.5; k = 3)"),
        ([5, 6, 7], "yr", "6 years (range, 5–7 years; k = 3)"),
        ([5, 6, 7], "points", "6 points (range, 5–7 points; k = 3)"),
        ([0.1234567, 0.2, 0.3], "probability", "0.2 (range, 0.123–0.3; k = 3)"),
        ([1e6, 2e6, 3e6], "count", "2000000 (range, 1000000–3000000; k = 3)"),
    ],
)
def test_decimals_follow_the_values(values, unit, expected):
    assert str(median_range(values, unit=unit)) == expected


def test_frames_hold_everything_unrounded():
    result = reported("10 20.5 30 40 50 >60 70", study=tuple("abcdefg"))
    (row,) = result.summary_frame().to_dict("records")
    assert row == {
        "median": 40,
        "median_lower": 40,
        "median_upper": 40,
        "rounding_lower": 39.5,
        "rounding_upper": 40.5,
        "lower": 10,
        "lower_sign": "",
        "upper": 70,
        "upper_sign": "≥",
        "q1": 25.25,
        "q3": pytest.approx(np.nan, nan_ok=True),
        "ci_lower": 10,
        "ci_upper": np.inf,
        "coverage": 1 - 2 / 2**7,
        "k": 7,
        "n_open": 1,
        "weighted": False,
        "unit": "month",
    }
    assert result.summary_frame(level=0.8).loc[0, "ci_lower"] == 20.5
    frame = result.study_frame().set_index("study")
    assert frame["value"].tolist() == [10, 20.5, 30, 40, 50, 60, 70]
    assert frame.loc["f", ["qualifier", "value_lower", "value_upper"]].tolist() == [">", 60, np.inf]
    assert frame.index[frame["lowest"]].tolist() == ["a"]
    assert frame.index[frame["highest"]].tolist() == ["g"]
    assert frame.loc["a", ["without_lower", "without_upper", "change"]].tolist() == [45, 45, 5]
    assert frame.loc["d", ["by_rounding_lower", "by_rounding_upper"]].tolist() == [39.5, 40.5]
    assert np.isnan(reported("NR 10 20").study_frame().loc[0, "value"])
    assert reported("<5 10 20").study_frame().loc[0, "value"] == 5


def test_notebook_table():
    html = median_range(OS5.values(), study=tuple(OS5), unit="percent")._repr_html_()
    assert "<caption>73.5% (range, 41–94%; k = 12)</caption>" in html
    assert "<td>IQR (type 7)</td><td>68.5–82.75%</td>" in html
    assert "<td>95% CI</td><td>61–85% (coverage 96.1%)</td>" in html
    assert "<td>lowest</td><td>hibi_2007</td>" in html
    undetermined = reported("NR NR NR")._repr_html_()
    assert "<td>range</td><td>not determined</td>" in undetermined
    assert "<td>IQR (type 7)</td><td>not determined</td>" in undetermined
    assert "no 95% interval exists" in undetermined
    weighted = median_range([1, 2, 3], weights=[1, 2, 3])._repr_html_()
    assert "IQR (type 2, weighted)" in weighted


def test_arrays_of_a_result_are_read_only():
    result = median_range([1, 2, 3], weights=np.array([1.0, 1.0, 2.0]))
    for name in ("value_lower", "value_upper", "rounding_lower", "rounding_upper", "weights"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(result, name)[0] = 9


# --- what goes in ------------------------------------------------------------------------------------------


def test_any_iterable_of_numbers_will_do():
    expected = [10.0, 20.0, 40.0]
    for values in (np.array([10, 20, 40]), pd.Series([10, 20, 40]), (v for v in (10, 20.0, np.float32(40)))):
        assert median_range(values).value_lower.tolist() == expected


def test_numbers_without_a_unit_take_that_of_the_call():
    values = [ReportedNumber("96", "", ">"), ReportedNumber("20", "months"), 30]
    result = median_range(values, unit="mo")
    assert (result.unit, result.value_lower.tolist()) == ("month", [96, 20, 30])
    assert median_range([ReportedNumber("50", "%"), 60, 70]).unit == "percent"
    assert median_range([ReportedNumber("50"), 60, 70]).unit == ""


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([], {}, "values is empty; give at least one value."),
        (5, {}, "values must be a list of numbers; got 5."),
        (
            [1, float("nan")],
            {"study": ["Smith 2011", "Jones 2012"]},
            "Jones 2012: A reported number must be finite; got nan. Leave a missing one out.",
        ),
        (
            [float("inf"), 1],
            {},
            "study 1: A reported number must be finite; got inf. Leave a missing one out.",
        ),
        (
            [1, None],
            {},
            "study 2: a value must be a number or a ReportedNumber; got None. "
            "Leave out a study without a value, and read text with ReportedNumber.",
        ),
        (
            ["83%"],
            {},
            "study 1: a value must be a number or a ReportedNumber; got '83%'. "
            "Leave out a study without a value, and read text with ReportedNumber.",
        ),
        ([True, 2], {}, "study 1: A number must be given as text or number; got True."),
        ([10**400], {}, "study 1: int too large to convert to float"),
        (
            [50, 120],
            {"unit": "percent"},
            "study 2: 120 is no percent: it must lie in [0, 100]. Check the number and its unit.",
        ),
        (
            [ReportedNumber("0.83", "probability"), ReportedNumber("83", "percent")],
            {},
            "study 2: the value is in percent, where probability is expected. Values must share one unit; "
            "unit= converts times to one unit and shares to one.",
        ),
        (
            [ReportedNumber("2", "year"), 24],
            {"unit": "percent"},
            "study 1: the value is in year, where percent is expected. Values must share one unit; "
            "unit= converts times to one unit and shares to one.",
        ),
        (
            [ReportedNumber("83", "percent"), ReportedNumber("83")],
            {},
            "study 2: the value is in no stated unit, where percent is expected. Values must share one unit; "
            "unit= converts times to one unit and shares to one.",
        ),
        (
            [1, 2, 3],
            {"weights": [1, -1, 2], "study": ["a", "b", "c"]},
            "b: weight must be finite and not negative; got -1. Give 0 to a study that should not count.",
        ),
        (
            [1, 2, 3],
            {"weights": [1, 1, float("nan")]},
            "study 3: weight must be finite and not negative; got nan. Give 0 to a study that should not count.",
        ),
        (
            [1, 2],
            {"weights": [0, 0]},
            "weights are all zero, so no study counts; give one a positive weight.",
        ),
        ([1, 2, 3], {"weights": [1, 1]}, "weights must give one weight per value, 3; got 2."),
        ([1, 2], {"study": ["a"]}, "study must give one label per value, 2 in all; got ['a']."),
        ([1, 2], {"study": "ab"}, "study must give one label per value, 2 in all; got 'ab'."),
        ([1, 2], {"study": ["a", ""]}, "study[1] must be a non-empty text; got ''."),
    ],
)
def test_bad_input_is_refused_by_name(values, options, message):
    with pytest.raises(InvalidInputError) as error:
        median_range(values, **options)
    assert str(error.value) == message


def test_doubtful_input_warns_at_the_caller_and_travels_with_the_result():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = median_range([1, 2], study=["Smith 2011", "Smith 2011"])
    assert [warning.category for warning in caught] == [OverlapWarning, FewStudiesWarning]
    assert all(warning.filename == __file__ for warning in caught)
    assert result.warnings == (
        Caution(
            "OverlapWarning",
            "median_range",
            "Smith 2011 given more than once; the same patients may be counted twice.",
        ),
        Caution(
            "FewStudiesWarning", "median_range", "the median of 2 studies says no more than their two values."
        ),
    )


def test_two_studies_that_count_warn():
    with pytest.warns(FewStudiesWarning, match="the median of 2 studies"):
        median_range([1, 2, 3], weights=[1, 0, 2])


def test_units_of_one_kind_are_converted_to_the_declared_unit():
    # 9.6 years is 115.2 months; its rounding, 9.55 to 9.65 years, is 114.6 to 115.8 months
    values = [ReportedNumber("9.6", "year"), ReportedNumber("81", "month"), ReportedNumber("11", "year", ">")]
    result = median_range(values, unit="month", study=["a", "b", "c"])
    assert str(result) == "115.2 months (range, 81–>132 months; k = 3, 1 open-ended)"
    assert result.rounding_interval == pytest.approx((114.6, 115.8))
    shares = median_range(
        [ReportedNumber("0.83", "probability"), ReportedNumber("70", "percent"), 60], unit="percent"
    )
    assert (shares.median, shares.upper) == pytest.approx((70, 83))
