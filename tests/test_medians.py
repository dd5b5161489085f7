import json
import math
import re
import warnings
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from summaries import FIVE, MEDIANS, NAN

from netsynth.errors import (
    FewStudiesWarning,
    InvalidInputError,
    OverlapWarning,
    SkewedDataWarning,
    UnusableDataWarning,
)
from netsynth.kernels.five_number_methods import MEAN_METHODS
from netsynth.medians import aggregate_medians, convert_five_numbers
from netsynth.results.medians import METHOD_WORDS, MedianMethod

DELAY = {
    "study": ["A", "B", "C", "D", "E", "F", "G"],
    "n": [40, 60, 90, 75, 50, 120, 64],
    "min": [None] * 4 + [1, 2, 1],
    "q1": [6, 8, 7, 5, 6, 9, None],
    "median": [10, 13, 11, 8, 10, 14, 12],
    "q3": [18, 20, 17, 14, 16, 22, None],
    "max": [None] * 4 + [50, 70, 44],
}


def table(data, arm="g1"):
    """A data set of R as columns that the verbs read."""
    names = {
        "min": "min",
        "q1": "q1",
        "median": "med",
        "q3": "q3",
        "max": "max",
        "n": "n",
        "mean": "mean",
        "sd": "sd",
    }
    k = len(data[f"n.{arm}"])
    return {ours: data.get(f"{theirs}.{arm}", [None] * k) for ours, theirs in names.items()}


def quietly(verb, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return verb(*args, **options)


def test_every_method_is_named():
    assert set(get_args(MedianMethod)) == set(METHOD_WORDS)
    assert set(METHOD_WORDS) == {"MM", "WM", "CD", *MEAN_METHODS}


@pytest.mark.parametrize(
    "case", [c for c in MEDIANS["cases"] if c["method"] != "qe"], ids=lambda case: case["id"]
)
def test_reference_aggregation(case):
    data, output = MEDIANS["data"][case["data"]], case["output"]
    groups = [table(data), table(data, "g2")] if "two" in case["data"] else [table(data)]
    method = case["method"].upper()
    if "error" in output:  # R refuses the data set as a whole; we use the studies that print quartiles
        result = quietly(aggregate_medians, *groups, method=method)
        assert 0 < result.k < len(result.study)
        return
    result = quietly(aggregate_medians, *groups, method=method, means_as_medians=True)
    assert result.estimate == pytest.approx(output["pooled.est"], rel=1e-12)
    if method == "CD":
        assert result.effect.tau2 == pytest.approx(output["tausq.est"], rel=1e-12)
        assert result.confidence_interval() == pytest.approx((output["ci.lb"], output["ci.ub"]), rel=1e-10)
    else:
        assert result.approximate_interval() == pytest.approx((output["ci.lb"], output["ci.ub"]), rel=1e-12)


@pytest.mark.parametrize(
    "case", [c for c in MEDIANS["cases"] if c["method"] == "qe"], ids=lambda case: case["id"]
)
def test_reference_quantile_estimation(case):
    """R fits within boxes about the parameters; where those bind, a study has another variance."""
    data, output = MEDIANS["data"][case["data"]], case["output"]
    groups = [table(data), table(data, "g2")] if "two" in case["data"] else [table(data)]
    result = quietly(aggregate_medians, *groups, means_as_medians=True, ci_method="wald")
    assert result.method == "QE"
    assert result.study_estimate.tolist() == pytest.approx(output["yi"], rel=1e-12)
    ratio = result.study_se**2 / np.array(output["vi"])
    assert np.median(np.abs(ratio - 1)) < 2e-3
    assert np.abs(ratio - 1).max() < 0.45
    assert (np.abs(ratio - 1) < 2e-3).mean() >= 0.5
    # and what comes of it in the end
    assert result.estimate == pytest.approx(output["beta"], rel=0.015)
    assert result.effect.se == pytest.approx(output["se"], rel=0.03)
    assert result.confidence_interval() == pytest.approx((output["ci_lb"], output["ci_ub"]), rel=0.02)


@pytest.mark.parametrize(
    "case",
    [c for c in FIVE["converted"] if c["method"] in ("luo", "hozo/wan/bland") and c["arm"] == "g1"],
    ids=lambda c: c["id"],
)
def test_reference_means(case):
    method = {"luo": "Luo", "hozo/wan/bland": "Wan"}[case["method"]]
    data = table(MEDIANS["data"][case["data"]])
    result = quietly(
        aggregate_medians, data, method=method, quantity="mean", se_method="naive", ci_method="wald"
    )
    assert result.study_estimate.tolist() == pytest.approx(case["yi"], rel=1e-12)
    assert result.study_se.tolist() == pytest.approx([float(se) for se in case["sei"]], rel=1e-12)
    expected = case["pooled"]
    assert result.estimate == pytest.approx(expected["beta"], rel=1e-6)
    assert result.effect.se == pytest.approx(expected["se"], rel=1e-5)
    assert result.effect.tau2 == pytest.approx(expected["tau2"], rel=1e-4, abs=1e-6)
    assert result.effect.q == pytest.approx(expected["QE"], rel=1e-6)


def test_two_groups_by_hand():
    other = DELAY | {"median": [8, 9, 10, 6, 7, 10, 9], "max": [None] * 4 + [30, 44, 30]}
    other |= {"q1": [5, 6, 7, 4, 4, 7, None], "q3": [12, 14, 15, 9, 11, 15, None]}
    one, two = aggregate_medians(DELAY), aggregate_medians(other)
    difference = aggregate_medians(DELAY, other)
    assert difference.quantity == "difference of medians"
    assert difference.study_estimate.tolist() == [2, 4, 1, 2, 3, 4, 3]
    assert (difference.study_se**2).tolist() == pytest.approx((one.study_se**2 + two.study_se**2).tolist())
    ratio = aggregate_medians(DELAY, other, quantity="ratio of medians")
    m1, m2 = (np.array(d["median"], dtype=float) for d in (DELAY, other))
    assert ratio.study_estimate == pytest.approx(np.log(m1 / m2))
    assert ratio.study_se**2 == pytest.approx((one.study_se / m1) ** 2 + (two.study_se / m2) ** 2)
    assert ratio.estimate == pytest.approx(math.exp(ratio.effect.estimate))
    assert ratio.confidence_interval() == ratio.effect.natural_interval()
    middle = aggregate_medians(DELAY, other, method="MM", quantity="ratio of medians")
    assert middle.estimate == pytest.approx(np.median(m1 / m2))
    low, high = np.sort(m1 / m2)[[0, 6]]
    assert middle.confidence_interval() == pytest.approx((low, high))


def test_a_ratio_of_medians_past_what_can_be_observed_is_printed_as_a_bound():
    first = {"n": [40, 60, 90], "q1": [5, 8, 30], "median": [10, 13, 40], "q3": [18, 20, 55]}
    other = {"n": [40, 60, 90], "q1": [30, 8, 2], "median": [40, 13, 4], "q3": [55, 20, 7]}
    ratio = quietly(aggregate_medians, first, other, quantity="ratio of medians")
    assert ratio.prediction_interval().lower < 0.005
    assert ratio.prediction_interval().upper > 1000
    assert "95% PI [<0.01, >1000]" in str(ratio)
    difference = quietly(aggregate_medians, first, other)
    assert "<" not in str(difference)


def test_a_study_of_no_use_is_named():
    data = {**DELAY, "q1": [None, *DELAY["q1"][1:]], "n": [40, None, *DELAY["n"][2:]]}
    with pytest.warns(UnusableDataWarning) as seen:
        result = aggregate_medians(data)
    assert result.used.tolist() == [False, False, True, True, True, True, True]
    assert result.reason[:2] == (
        "prints neither the quartiles nor the extremes beside its median",
        "prints no number of patients",
    )
    assert str(seen[0].message) == (
        "2 studies are not used by QE: A (prints neither the quartiles nor the extremes beside its median); "
        "B (prints no number of patients)"
    )
    assert Path(seen[0].filename).name == "test_medians.py"
    assert result.warnings[0].name == "UnusableDataWarning"
    assert np.isnan(result.study_frame().loc["A", "estimate"])
    assert "k = 5 of 7" in str(result)


@pytest.mark.parametrize(("method", "row", "reason"), [
    ("BC", {"min": 0, "median": 4, "max": 9, "n": 30}, "has a value of 0, and a power needs positive ones"),
    ("MLN", {"q1": -1, "median": 4, "q3": 9, "n": 30}, "has a value of -1, and a power needs positive ones"),
    ("QE", {"q1": 4, "median": 4, "q3": 4, "n": 30}, "prints equal values, which have no spread"),
    ("QE", {"median": None, "n": 30}, "prints no median, nor a mean with its SD"),
    ("QE", {"q1": 2, "median": 4, "q3": 9, "n": 2}, "has too few patients"),
    ("BC", {"q1": 4, "median": 4, "q3": 9, "n": 30}, "has equal values where the method needs different ones"),
    ("Hozo", {"q1": 2, "median": 4, "q3": 9, "n": 30}, "prints quartiles, and Hozo's method takes the extremes alone"),
    ("Bland", {"q1": 2, "median": 4, "q3": 9, "n": 30}, "does not print all five values, which Bland's method takes"),
])  # fmt: skip
def test_reasons(method, row, reason):
    data = {name: [row.get(name)] for name in ("n", "min", "q1", "median", "q3", "max")}
    with pytest.warns(UnusableDataWarning, match=re.escape(reason)):
        found = convert_five_numbers(data, method=method)
    assert found.reason == (reason,)
    assert np.isnan(found.mean).all()


@pytest.mark.parametrize(("method", "row", "reason"), [
    ("MM", {"mean": 5, "sd": 2, "n": 30}, "prints a mean and no median; means_as_medians=True takes it for one"),
    ("MM", {"n": 30}, "prints no median"),
    ("WM", {"median": 5}, "prints no number of patients"),
    ("CD", {"median": 5, "n": 30}, "prints neither different quartiles nor a confidence interval of its median"),
])  # fmt: skip
def test_reasons_of_medians(method, row, reason):
    other = {"median": 7, "q1": 4, "q3": 11, "n": 50}
    data = {name: [row.get(name), other.get(name)] for name in ("n", "q1", "median", "q3", "mean", "sd")}
    with pytest.warns(UnusableDataWarning, match=re.escape(reason)):
        found = quietly_one_study(data, method)
    assert found.reason == (reason, "")


def quietly_one_study(data, method):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewStudiesWarning)
        return aggregate_medians(data, method=method)


def test_a_mean_may_stand_for_a_median():
    data = {**DELAY, "mean": [None] * 6 + [15.0], "sd": [None] * 6 + [9.0]}
    data["median"] = [*DELAY["median"][:6], None]
    data["min"], data["max"] = [None] * 7, [None] * 7
    result = aggregate_medians(data, means_as_medians=True)
    assert result.study_estimate[6] == 15
    assert result.study_se[6] == pytest.approx(9 / 8)
    assert result.groups[0].scenario[6] == "mean and SD"
    data["sd"] = [None] * 7
    with pytest.warns(UnusableDataWarning, match="G \\(prints a mean without its SD\\)"):
        aggregate_medians(data, means_as_medians=True)


def test_intervals_of_medians_come_from_confidence_intervals_first():
    data = {"n": [40, 60, 50], "median": [10, 13, 12], "ci_lower": [8, 11, None], "ci_upper": [13, 16, None],
            "q1": [6, 8, 7], "q3": [15, 20, 18]}  # fmt: skip
    result = aggregate_medians(data, method="CD")
    assert result.study_estimate.tolist() == [10.5, 13.5, 12]
    assert result.study_se[:2] == pytest.approx(np.array([5, 5]) / (2 * 1.959963984540054))
    assert result.effect.tau2_method == "DL"


def test_skewed_data_and_normal_methods():
    data = {"study": ["A", "B"], "n": [200, 300], "q1": [5, 5], "median": [6, 9], "q3": [15, 13]}
    with pytest.warns(SkewedDataWarning) as seen:
        found = convert_five_numbers(data, method="Luo", n_draws=50)
    assert found.skewed == ("A",)
    assert str(seen[0].message) == (
        "the summaries of 1 study are skewed (5% test), and Luo takes them for normal: A. Use method='QE'."
    )
    quiet = convert_five_numbers(data, method="QE", n_draws=50)
    assert quiet.warnings == ()
    assert quiet.group.skewness.skewed.tolist() == [True, False]


def test_printed_means_are_handed_on():
    data = {
        "n": [50, 40],
        "median": [10, 12],
        "q1": [6, 8],
        "q3": [16, 17],
        "mean": [11.2, None],
        "sd": [7.0, None],
    }
    found = convert_five_numbers(data, n_draws=200)
    assert found.printed.tolist() == [True, False]
    assert (found.mean[0], found.sd[0]) == (11.2, 7.0)
    assert found.mean_se[0] == pytest.approx(7 / 50**0.5) == found.naive_se[0]
    assert found.sd_se[0] == pytest.approx(7 / 98**0.5)
    assert found.mean_se[1] > found.naive_se[1]
    frame = found.summary_frame()
    assert frame["scenario"].tolist() == ["S2", "S2"]
    assert frame["family"].tolist()[1] in ("log-normal", "gamma", "Weibull", "normal")
    assert "<table>" in found._repr_html_()


def test_errors_by_the_bootstrap_are_wider_and_repeatable():
    first, again = (quietly(aggregate_medians, DELAY, method="Luo", n_draws=200) for _ in range(2))
    naive = quietly(aggregate_medians, DELAY, method="Luo", se_method="naive")
    other = quietly(aggregate_medians, DELAY, method="Luo", n_draws=200, rng=5)
    assert first.study_se.tolist() == again.study_se.tolist() != other.study_se.tolist()
    assert (first.study_se / naive.study_se).mean() > 1.03
    assert first.quantity == "mean"


def test_weighted_and_unweighted():
    middle, weighted = (aggregate_medians(DELAY, method=method) for method in ("MM", "WM"))
    assert middle.estimate == 11
    assert weighted.estimate == np.median(np.repeat(DELAY["median"], DELAY["n"]))
    assert middle.effect is None
    assert middle.confidence_interval() == (8, 14)
    assert middle.order_interval().coverage == pytest.approx(1 - 2 / 2**7)
    assert weighted.study_weight.tolist() == DELAY["n"]
    few = aggregate_medians({name: column[:3] for name, column in DELAY.items()}, method="MM")
    assert math.isnan(few.confidence_interval().lower)
    assert few.order_interval().reason == (
        "no 95% interval exists for the median of 3 studies, it takes at least 6; the coverage of the range is 75%"
    )
    assert "no 95% interval exists" in str(few)
    assert middle.plot().get_xlabel() == "Median"


def test_frames_and_text():
    result = aggregate_medians(DELAY)
    row = result.summary_frame().iloc[0]
    assert row["estimate"] == result.estimate == result.effect.estimate
    assert (row["ci_lower"], row["ci_upper"]) == tuple(result.confidence_interval())
    frame = result.study_frame()
    assert frame["scenario"].tolist() == ["S2"] * 4 + ["S3", "S3", "S1"]
    assert frame["weight"].sum() == pytest.approx(1)
    assert str(result).startswith("Median, quantile estimation (QE), k = 7\n  estimate  ")
    assert "A" in result._repr_html_()
    assert result.plot().get_xlabel() == "Median"
    with pytest.raises(InvalidInputError, match="QE has a model"):
        result.order_interval()
    assert math.isnan(aggregate_medians(DELAY, method="MM").prediction_interval().lower)
    assert result.prediction_interval() == result.effect.natural_prediction_interval()


def test_any_data_frame():
    expected = aggregate_medians(DELAY)
    frame = pd.DataFrame(DELAY)
    assert aggregate_medians(frame).study_estimate.tolist() == expected.study_estimate.tolist()
    for library in ("polars", "pyarrow"):
        module = pytest.importorskip(library)
        frame = module.DataFrame(DELAY) if library == "polars" else module.table(DELAY)
        found = aggregate_medians(frame)
        assert found.study == expected.study
        assert found.estimate == expected.estimate


def test_one_study():
    with pytest.warns(FewStudiesWarning):
        result = aggregate_medians({"n": [40], "q1": [6], "median": [10], "q3": [18]})
    assert (result.k, result.estimate, result.pooled) == (1, 10, False)
    with pytest.warns(FewStudiesWarning, match="Study 1 is the only study, so its own value stands."):
        aggregate_medians({"n": [40], "median": [10]}, method="MM")


@pytest.mark.parametrize(("change", "options", "message"), [
    ({"n": None}, {},
     "data needs the column 'n'; known columns are study, min, q1, median, q3, max, n, mean, sd, "
     "ci_lower, ci_upper; got study, min, q1, median, q3, max."),
    ({"q1": [11, *DELAY["q1"][1:]]}, {}, "A: q1 11 exceeds median 10. Check the columns and the transcription."),
    ({"n": [0, *DELAY["n"][1:]]}, {}, "A: n must be a whole number of at least 1; got 0."),
    ({"n": [40.5, *DELAY["n"][1:]]}, {}, "A: n must be a whole number of at least 1; got 40.5."),
    ({"q3": DELAY["q3"][:3]}, {}, "data: n and q3 must have the same length; got 7 and 3."),
    ({"q3": ["x"] * 7}, {}, "data: q3 must be numbers; got ['x', 'x', 'x', 'x', 'x', 'x', 'x']."),
    ({"sd": [-1.0] * 7, "mean": [3.0] * 7}, {}, "A: sd must be positive; got -1."),
    ({"ci_lower": [11] * 7, "ci_upper": [20] * 7}, {},
     "A: the confidence interval 11 to 20 does not hold the median 10."),
    ({"max": [math.inf] * 7}, {}, "A: values must be finite; leave an open one out."),
    ({}, {"method": "mm"}, "method must be one of MM, WM, QE, CD, BC, MLN, Hozo, Bland, Wan, Luo; got 'mm'."),
    ({}, {"quantity": "mean", "method": "MM"},
     "MM with one group gives the median; got 'mean'. Choose another method, or give or leave out "
     "the comparator."),
    ({}, {"quantity": "ratio of medians"},
     "QE with one group gives the median and mean; got 'ratio of medians'. Choose another method, or "
     "give or leave out the comparator."),
    ({"n_total": DELAY["n"]}, {}, "data has both n and n_total, the number of patients. Leave one out."),
    ({}, {"ci_level": 95}, "level must be a fraction between 0 and 1, such as 0.95; got 95."),
    ({}, {"se_method": "exact"}, "se_method must be one of bootstrap, naive; got 'exact'."),
    ({}, {"families": "gamma"}, "families must be a list of one or more names; got 'gamma'."),
    ({}, {"families": ["student"]}, "families must be one of normal, log-normal, gamma, Weibull, beta; got 'student'."),
    ({}, {"rng": "x", "method": "Luo"},
     "rng must be a seed, a numpy Generator that can spawn others, or None; got 'x'."),
])  # fmt: skip
def test_refusals(change, options, message):
    data = {name: column for name, column in {**DELAY, **change}.items() if column is not None}
    with pytest.raises(InvalidInputError) as error:
        quietly(aggregate_medians, data, **options)
    assert str(error.value) == message


def test_refusals_of_two_groups():
    other = {**DELAY, "study": ["B", "A", *DELAY["study"][2:]]}
    with pytest.raises(
        InvalidInputError,
        match=r"comparator must have the same studies in the same order; got B for A in row 1\.",
    ):
        aggregate_medians(DELAY, other)
    last = {**DELAY, "study": [*DELAY["study"][:-1], "Z"]}
    with pytest.raises(InvalidInputError, match=r"same order; got Z for [A-Z] in row \d+\."):
        aggregate_medians(DELAY, last)
    short = {name: column[:-1] for name, column in DELAY.items()}
    k = len(DELAY["study"])
    with pytest.raises(InvalidInputError, match=rf"same order; got {k - 1} for {k} studies\."):
        aggregate_medians(DELAY, short)
    with pytest.raises(InvalidInputError, match=r"CD is a method for one group; got two. Use 'QE'."):
        aggregate_medians(DELAY, DELAY, method="CD")
    with pytest.raises(
        InvalidInputError, match=r"data must be a mapping of columns or a data frame; got list."
    ):
        aggregate_medians([1, 2])
    with pytest.raises(InvalidInputError, match="No study can be used for the median by QE"):
        quietly(aggregate_medians, {"n": [10], "median": [4]})


def test_beta_for_shares():
    shares = {"n": [50], "q1": [0.6], "median": [0.8], "q3": [0.93]}
    found = convert_five_numbers(shares, families=["beta"], n_draws=20)
    assert found.group.family == ("beta",)
    assert 0.6 < found.mean[0] < 0.8


def test_references_are_whole():
    assert len(FIVE["summaries"]) == 8
    assert len(json.dumps(MEDIANS["cases"])) > 5000
    assert math.isnan(NAN)


@pytest.mark.parametrize(("row", "message"), [
    ({"min": 20, "max": 40, "mean": 3, "sd": 4, "n": 30}, "a mean of 3 cannot be beside the extremes 20 and 40"),
    # of 101 values at most 50 are at the minimum, 50 at the median and one at the maximum
    ({"min": 0, "median": 10, "max": 20, "mean": 4, "sd": 6, "n": 101},
     "a mean of 4 cannot be beside the extremes 0 and 20 and the median 10, which allow 5.149 to 14.85"),
    ({"min": 20, "max": 40, "mean": 30, "sd": 100, "n": 30},
     "an SD of 100 is more than values between 20 and 40 can have"),
    ({"min": 20, "max": 40, "mean": 30, "sd": 100},
     "an SD of 100 is more than values between 20 and 40 can have"),
    ({"min": 20, "max": 40, "mean": 30, "sd": 0.5, "n": 30},
     "an SD of 0.5 is less than 30 values that reach from 20 to 40 have"),
    ({"median": 50, "mean": 30, "sd": 12, "n": 30},
     "a mean and a median differ by one SD at most; got mean 30, median 50 and SD 12"),
    ({"min": 3, "median": 4, "max": 60, "n": 2},
     "the median of two patients is the mean of both; got 4 with the extremes 3 and 60"),
    ({"min": 3, "median": 4, "max": 60, "n": 1}, "one patient cannot have the extremes 3 and 60"),
])  # fmt: skip
@pytest.mark.parametrize("verb", [convert_five_numbers, aggregate_medians])
def test_contradictions_are_refused(verb, row, message):
    names = ("n", "min", "median", "max", "mean", "sd")
    data = {name: [row.get(name), good] for name, good in zip(names, (40, 10, 20, 35, 21, 5), strict=True)}
    with pytest.raises(InvalidInputError) as error:
        quietly(verb, data)
    assert str(error.value) == f"Study 1: {message}. Check the columns and the transcription."


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.floats(-50, 50) | st.sampled_from([0.0, 40.0]), min_size=2, max_size=12),
    st.integers(0, 2),
    st.lists(st.booleans(), min_size=6, max_size=6),
    st.integers(0, 1),
)
def test_what_a_sample_prints_is_no_contradiction(sample, decimals, shown, ddof):
    """Rounded extremes, median, mean and SD of any sample, whichever of them are printed, by either denominator."""
    x = np.array(sample)
    printed = {
        "n": x.size, "min": x.min(), "median": np.median(x), "max": x.max(), "mean": x.mean(), "sd": x.std(ddof=ddof),
    }  # fmt: skip
    rounded = {name: round(float(value), decimals) for name, value in printed.items()}
    if rounded["sd"] <= 0:
        return
    row = {
        name: [value if keep else None] for keep, (name, value) in zip(shown, rounded.items(), strict=True)
    }
    quietly_if_usable({"q1": [None], **row})


def quietly_if_usable(data):
    """A summary may be of no use, but it is refused for nothing else."""
    try:
        quietly(aggregate_medians, data, method="Luo", se_method="naive", quantity="mean")
    except InvalidInputError as error:
        assert "No study can be used" in str(error)  # noqa: PT017  # any other refusal is the failure


@pytest.mark.parametrize("n", [3, 4, 5, 8])
def test_limits_of_a_mean_are_reached(n):
    """The samples that have the least and the most mean of all with their extremes and median are accepted."""
    half = (n - 1) // 2
    least = [0.0] * half + [10.0] * (n // 2) + [40.0]
    most = [0.0] + [10.0] * (n // 2) + [40.0] * half
    for sample in (least, most):
        x = np.array(sample)
        row = {"n": n, "min": 0, "median": np.median(x), "max": 40, "mean": x.mean(), "sd": x.std(ddof=1)}
        found = quietly(convert_five_numbers, {name: [value] for name, value in row.items()})
        assert found.printed.all()
    away = {**row, "mean": x.mean() + 1.5}
    with pytest.raises(InvalidInputError, match="which allow"):
        convert_five_numbers({name: [value] for name, value in away.items()})


def test_a_study_given_twice():
    data = DELAY | {"study": ["A", "B", "A", "D", "E", "F", "G"]}
    for method in ("MM", "QE"):
        with pytest.warns(OverlapWarning) as seen:
            result = aggregate_medians(data, method=method)
        assert str(seen[0].message) == "A given more than once; the same patients may be counted twice."
        assert Path(seen[0].filename).name == "test_medians.py"
        assert result.warnings[0].name == "OverlapWarning"
        assert result.k == 7


def test_patients_are_optional_where_nothing_rests_on_them():
    without = {name: column for name, column in DELAY.items() if name != "n"}
    expected = aggregate_medians(DELAY, method="MM")
    found = aggregate_medians(without, method="MM")
    assert (found.estimate, found.confidence_interval()) == (
        expected.estimate,
        expected.confidence_interval(),
    )
    assert np.isnan(found.study_frame()["n"]).all()
    for method in ("WM", "QE", "CD"):
        with pytest.raises(InvalidInputError, match="data needs the column 'n'"):
            aggregate_medians(without, method=method)
    renamed = without | {"n_total": DELAY["n"]}
    assert aggregate_medians(renamed).estimate == aggregate_medians(DELAY).estimate
    assert (
        convert_five_numbers(renamed, n_draws=20).mean.tolist()
        == convert_five_numbers(DELAY, n_draws=20).mean.tolist()
    )


def test_few_studies_of_a_median():
    two = {name: column[:2] for name, column in DELAY.items()}
    for method in ("MM", "WM"):
        with pytest.warns(
            FewStudiesWarning, match="the median of 2 studies says no more than their two values."
        ):
            result = aggregate_medians(two, method=method)
        assert [said.name for said in result.warnings] == ["FewStudiesWarning"]


def test_level_of_confidence_intervals():
    data = {"n": [40, 60, 50], "median": [10, 13, 12], "ci_lower": [8, 11, 9], "ci_upper": [13, 16, 14]}
    ninety = aggregate_medians(data, method="CD", ci_level=0.9)
    # the interval is 2 z standard errors wide; z of 90% is 1.6449
    assert ninety.study_se == pytest.approx(np.array([5, 5, 5]) / (2 * 1.6448536269514722))
    assert ninety.study_estimate.tolist() == [10.5, 13.5, 11.5]


def test_seeds_are_as_in_other_verbs():
    first, seeded, fresh, other = (
        convert_five_numbers(DELAY, n_draws=30, **options).mean_se.tolist()
        for options in ({}, {"rng": 0}, {"rng": None}, {"rng": None})
    )
    assert first == seeded
    assert fresh != other


def test_json():
    result = quietly(aggregate_medians, DELAY | {"median": [*DELAY["median"][:6], None]})
    told = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert (told["quantity"], told["method"], told["k"], told["k_given"]) == ("median", "QE", 6, 7)
    assert told["estimate"] == result.estimate
    assert (told["ci_lower"], told["ci_upper"]) == tuple(result.confidence_interval())
    assert told["studies"][6]["study"] == "G"
    assert told["studies"][6]["estimate"] is None
    assert told["studies"][6]["reason"] == result.reason[6]
    assert told["warnings"] == [str(said) for said in result.warnings]
    assert len(told["warnings"]) == 1
    narrow = result.to_dict(0.5)
    assert told["ci_lower"] < narrow["ci_lower"] < narrow["ci_upper"] < told["ci_upper"]
    middle = json.loads(json.dumps(aggregate_medians(DELAY, method="MM").to_dict(), allow_nan=False))
    assert middle["tau2"] is None
    assert middle["studies"][0]["q1"] == 6
    means = quietly(convert_five_numbers, DELAY | {"q1": [None] * 7}, n_draws=20)
    told = json.loads(json.dumps(means.to_dict(), allow_nan=False))
    assert told["method"] == "QE"
    assert told["studies"][0]["mean"] is None
    assert told["studies"][6]["mean"] == means.mean[6]
    assert told["warnings"] == [str(said) for said in means.warnings]
