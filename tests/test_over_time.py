"""Pooling survival over time, from a review or from columns."""

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsynth.data.number import ReportedNumber
from netsynth.data.review import Review
from netsynth.data.study import Study
from netsynth.data.survival import ReportedSurvival
from netsynth.datasets import load_nethm
from netsynth.errors import (
    FewStudiesWarning,
    ImputedVarianceWarning,
    InvalidInputError,
    NetsynthWarning,
    UnusableDataWarning,
)
from netsynth.kernels.summary_curve import summary_curve
from netsynth.over_time import pool_survival

SUMMARY = json.loads(
    (Path(__file__).parent / "references" / "summary_curves.json").read_text(encoding="utf-8")
)
few = pytest.mark.filterwarnings("ignore::netsynth.errors.FewStudiesWarning")
any_doubt = pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")

THREE = {
    "study": ["A", "A", "B", "B", "C"],
    "time_months": [12, 36, 12, 36, 12],
    "survival": [0.90, 0.72, 0.85, 0.60, 0.94],
    "n_at_start": [80, 70, 120, 95, 45],
}


def series(study, percent, years=(1, 3, 5), endpoint="OS", **more):
    return ReportedSurvival.from_percent(
        study, endpoint, years=years[: len(percent)], percent=percent, **more
    )


@few
def test_it_is_the_kernel():
    pooled = pool_survival(THREE, method="summary")
    survival = np.array([[0.90, 0.72], [0.85, 0.60], [0.94, np.nan]])
    fit = summary_curve(survival, np.array([[80.0, 70], [120, 95], [45, np.nan]]))
    assert pooled.estimate == pytest.approx(fit.log_survival)
    assert pooled.covariance == pytest.approx(fit.covariance)
    assert pooled.between == pytest.approx(fit.between)
    assert (pooled.q, pooled.q_df) == (pytest.approx(fit.q), 3.0)
    assert pooled.k_at.tolist() == [3, 2]
    assert pooled.n_at.tolist() == [245.0, 165.0]
    assert pooled.study == ("A", "B", "C")
    assert (pooled.k, pooled.n_total) == (3, 245.0)
    assert pooled.study_curves[2].time_months.tolist() == [12.0]


@few
def test_a_review_and_its_columns_give_the_same():
    numbers = {"A": (100, [80, 40]), "B": (60, [45, 30]), "C": (90, [60, 33])}
    percent = {"A": [90, 60], "B": [85, 70], "C": [80, 50]}
    reports = [
        series(name, percent[name], n_total=n, n_at_risk=at_risk) for name, (n, at_risk) in numbers.items()
    ]
    review = Review(tuple(Study(name) for name in numbers), survival=tuple(reports))
    columns = pd.DataFrame(
        [
            {"study": name, "time_months": 12.0 * year, "survival": s / 100, "n_at_risk": r, "n_total": n}
            for name, (n, at_risk) in numbers.items()
            for year, s, r in zip((1, 3), percent[name], at_risk, strict=True)
        ]
    )
    one = pool_survival(review, "OS", method="summary")
    for data in (reports, tuple(reports), columns):
        other = pool_survival(data, "OS", method="summary")
        assert other.estimate == pytest.approx(one.estimate)
        assert other.covariance == pytest.approx(one.covariance)
    assert one.study_curves[0].source == "numbers at risk"


def test_imputed_numbers_are_said_and_can_be_changed():
    reports = [series(name, [90, 60], n_total=50) for name in "ABCDEFGHIJ"]
    with pytest.warns(ImputedVarianceWarning, match="10 of 10 studies print no number at risk"):
        pooled = pool_survival(reports, method="summary")
    assert pooled.study_curves[0].n_at_start == pytest.approx([50, 22.5])
    assert [caution.name for caution in pooled.warnings] == ["ImputedVarianceWarning"]
    assert "and 2 more" in str(pooled)
    with pytest.warns(ImputedVarianceWarning):
        complete = pool_survival(reports, method="summary", maturity=1.0)
    assert complete.study_curves[0].n_at_start == pytest.approx([50, 45])
    assert complete.covariance[1, 1] < pooled.covariance[1, 1]


@any_doubt
def test_follow_up_of_a_study_counts_as_in_pool_landmark():
    review = Review(
        (Study("A", followup=ReportedNumber.of(12, "month")), Study("B")),
        survival=(series("A", [90, 60], n_total=50), series("B", [80, 60], n_total=50)),
    )
    a, b = pool_survival(review, "OS", method="summary").study_curves
    assert a.n_at_start[1] == pytest.approx(50 * 0.9 / 2)
    assert b.n_at_start[1] == pytest.approx(50 * 0.8 / 2)
    assert a.source == "imputed"


def test_the_warning_points_at_the_caller():
    with pytest.warns(FewStudiesWarning) as caught:
        pool_survival(THREE, method="summary")
    assert caught[0].filename == __file__


# --- times


@few
def test_a_gap_is_an_error_that_says_who_when_and_what_can_be_done():
    reports = [
        series("A", [90, 60, 40], n_total=50, n_at_risk=[40, 20, 5]),
        series("B", [60, 30], (3, 5), n_total=70),
    ]
    message = "OS, B: no survival at 12 months, .* it reports 36 and 60 months.* method='multivariate'"
    with pytest.raises(InvalidInputError, match=message):
        pool_survival(reports, method="summary")


@any_doubt
def test_times_can_be_named():
    reports = [
        series("A", [90, 60, 40], n_total=50, n_at_risk=[40, 20, 5]),
        series("B", [60, 30], (3, 5), n_total=70, n_at_risk=[30, 10]),
        series("C", [95], (1,), n_total=30),
    ]
    with pytest.warns(UnusableDataWarning, match="report none of these times and are left out: C"):
        pooled = pool_survival(reports, method="summary", times_months=[36, 60])
    assert pooled.time_months.tolist() == [36, 60]
    assert pooled.study == ("A", "B")
    assert pooled.study_curves[0].n_at_start.tolist() == [50, 20]  # the first interval starts with all
    with pytest.raises(InvalidInputError, match="no study reports any of the times"):
        pool_survival(reports[2:], method="summary", times_months=[36, 60])
    with pytest.raises(InvalidInputError, match="times_months must increase"):
        pool_survival(reports, method="summary", times_months=[60, 36])


@few
def test_numbers_at_the_start_of_a_longer_interval_are_those_of_its_first():
    data = {name: values * 1 for name, values in THREE.items()}
    pooled = pool_survival({k: v[:4] for k, v in data.items()}, method="summary", times_months=[36])
    assert [study.n_at_start.tolist() for study in pooled.study_curves] == [[80], [120]]
    assert [study.survival.tolist() for study in pooled.study_curves] == [[0.72], [0.60]]


@few
def test_times_in_years_and_in_months_are_the_same_times():
    a = ReportedSurvival.from_percent("A", years=["1"], percent=[90], n_total=40)
    b = ReportedSurvival.from_percent("B", months=["12"], percent=[80], n_total=40)
    assert pool_survival([a, b], method="summary").time_months.tolist() == [12.0]


@few
def test_what_nobody_is_at_risk_for_is_left_out():
    reports = [
        series("A", [90, 60, 60], n_total=50, n_at_risk=[40, 0, 0]),
        series("B", [80, 50, 30], n_total=50, n_at_risk=[30, 20, 0]),
    ]
    with pytest.warns(UnusableDataWarning, match="A: nobody is known to be at risk .* for 60 months"):
        pooled = pool_survival(reports, method="summary")
    assert pooled.k_at.tolist() == [2, 2, 1]


@few
def test_after_everybody_has_died_a_study_is_over():
    data = {
        "study": ["A"] * 3 + ["B"] * 3,
        "time_months": [12, 24, 36] * 2,
        "survival": [0.5, 0.0, 0.0, 0.6, 0.4, 0.2],
        "n_at_start": [20, 10, np.nan, 30, 18, 12],
    }
    pooled = pool_survival(data, method="summary")
    assert pooled.k_at.tolist() == [2, 2, 1]
    assert np.isfinite(pooled.estimate).all()


# --- few studies


def test_one_study_is_handed_back_as_it_is():
    one = {name: values[:2] for name, values in THREE.items()}
    with pytest.warns(FewStudiesWarning, match="one study, handed back as it is"):
        pooled = pool_survival(one, method="summary")
    assert pooled.survival([12, 36]) == pytest.approx([0.90, 0.72])
    assert pooled.model == "one study"
    # Greenwood's sum with half a patient more, whose arcsine is pulled to one half by a quarter
    greenwood = 0.1 / (0.9 * 80) + (1 - 0.8) / (0.8 * 70)
    assert pooled.covariance[1, 1] == pytest.approx(greenwood, rel=0.02)
    assert np.isnan(pooled.prediction_band().lower).all()
    assert pooled.why_no_prediction(12) == "one study cannot tell how much studies differ"
    assert math.isnan(pooled.i2)
    assert np.isfinite(pooled.median_confidence_interval().lower)
    with pytest.raises(InvalidInputError, match="at least two; got 1"):
        pooled.bootstrap()


@any_doubt
def test_one_study_whose_survival_stays_1_or_reaches_0():
    data = {
        "study": ["A"] * 3,
        "time_months": [1, 2, 3],
        "survival": [1.0, 0.5, 0.0],
        "n_at_start": [10, 10, 5],
    }
    pooled = pool_survival(data, method="summary")
    assert pooled.survival([1, 2, 3]).tolist() == pytest.approx([1.0, 0.5, 0.0])
    lower, _ = pooled.confidence_band()
    assert np.isfinite(lower).tolist() == [False, True, False]
    assert pooled.rmst(3) == pytest.approx(1 + 0.75 + 0.25)
    assert isinstance(str(pooled), str)


def test_two_studies_have_no_prediction():
    with pytest.warns(FewStudiesWarning, match="2 studies: how much they differ is hardly known"):
        pooled = pool_survival({name: values[:4] for name, values in THREE.items()}, method="summary")
    assert np.isnan(pooled.prediction_band().lower).all()
    assert "it takes 3" in pooled.why_no_prediction(12)


@few
def test_intervals_by_t_and_normal():
    t, wald = pool_survival(THREE, method="summary"), pool_survival(THREE, method="summary", ci_method="wald")
    assert (t.df, wald.df) == (2.0, math.inf)
    widths = [np.diff(np.log(-np.log(np.stack(each.confidence_band()))), axis=0)[0] for each in (t, wald)]
    assert widths[0] / widths[1] == pytest.approx([4.302653 / 1.959964] * 2, rel=1e-6)


def test_common_effects():
    pooled = pool_survival(THREE, method="summary", effects="common")
    assert pooled.warnings == ()
    assert pooled.df == math.inf
    assert np.isnan(pooled.between).all()
    assert "common effects" in pooled.model
    assert pooled.why_no_prediction(12) == "the model has no differences between studies"


# --- what is said of the reports


def rows_of(columns, **percent):
    """Columns from survivals a study, as shares, with n_total in the place of the first number."""
    data = {name: [] for name in ("study", "time_months", "survival", "n_total")}
    for study, (n, *shares) in percent.items():
        for months, share in zip(columns, shares, strict=False):
            for name, value in zip(data, (study, months, share, n), strict=True):
                data[name].append(value)
    return data


@pytest.mark.parametrize("method", ["summary", "multivariate"])
def test_standard_errors_alone_are_no_number_of_patients(method):
    data = rows_of((12, 36), A=(80, 0.9, 0.7), B=(60, 0.85, 0.6), C=(90, 0.8, 0.55), D=(70, 0.9, 0.6))
    s = np.array(data["survival"])
    se = {"se": np.sqrt(s * (1 - s) / np.array(data.pop("n_total")))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pooled = pool_survival({**data, **se}, method=method)
    assert math.isnan(pooled.n_total)
    assert "patients" not in str(pooled).splitlines()[0]
    assert pooled.n_at[0] == pytest.approx(300)  # effective numbers at the start


@any_doubt
def test_columns_of_limits_are_pooled_as_records_are():
    limits = {
        "A": (["90", "70"], ["80", "58"], ["95", "79"]),
        "B": (["85", "60"], ["72", "45"], ["92", "72"]),
        "C": (["80", "55"], ["69", "43"], ["87", "66"]),
    }
    records = [
        series(name, percent, (1, 3), ci_lower=low, ci_upper=high)
        for name, (percent, low, high) in limits.items()
    ]
    columns = {
        "study": [name for name in limits for _ in range(2)],
        "time_months": [12, 36] * 3,
        **{
            name: [float(x) / 100 for row in limits.values() for x in row[i]]
            for i, name in enumerate(("survival", "ci_lower", "ci_upper"))
        },
    }
    one, other = pool_survival(columns), pool_survival(records)
    assert one.estimate == pytest.approx(other.estimate, rel=1e-6)
    assert one.covariance == pytest.approx(other.covariance, rel=1e-6)


def test_a_column_under_another_name_is_asked_about():
    data = {**THREE, "n": [100] * 5}
    with pytest.warns(NetsynthWarning) as caught:
        pooled = pool_survival(data, method="summary")
    assert "the column 'n' is not read: did you mean 'n_total'?" in str(pooled)
    assert any("did you mean 'n_total'" in str(each.message) for each in caught)


@any_doubt
@pytest.mark.parametrize("method", ["summary", "multivariate"])
def test_impossible_numbers_at_risk_are_named_and_not_used(method):
    others = [
        series("B", [85, 60, 40], n_total=60),
        series("C", [80, 66, 45], n_total=90),
        series("D", [90, 75, 60], n_total=70),
    ]
    x = {"percent": [90, 70, 50], "n_total": 100}
    pooled = pool_survival([series("X", **x, n_at_risk=[99, 98, 97]), *others], method=method)
    without = pool_survival([series("X", **x), *others], method=method)
    said = [each.message for each in pooled.warnings if each.name == "UnusableDataWarning"]
    assert [message.partition(",")[0] for message in said] == [
        f"X: {m} at risk at {t} months" for m, t in ((99, 12), (98, 36), (97, 60))
    ]
    assert pooled.estimate.tolist() == without.estimate.tolist()
    assert pooled.covariance.tolist() == without.covariance.tolist()


@any_doubt
@pytest.mark.parametrize("method", ["summary", "multivariate"])
def test_zeros_after_everybody_has_died_are_named(method):
    data = rows_of(
        (6, 12, 36, 60), A=(40, 0.5, 0, 0, 0), B=(30, 0.6, 0, 0, 0), C=(50, 0.4, 0, 0, 0), D=(20, 0.3, 0)
    )
    pooled = pool_survival(data, method=method)
    assert pooled.last_months == 12
    (said,) = [each.message for each in pooled.warnings if each.name == "UnusableDataWarning"]
    assert said == (
        "nobody is left at 36 and 60 months in A, B and C, the only studies that report them; these zeros are left "
        "out. Every study has reached 0 by 12 months: survival is 0 from there on"
    )
    data["survival"][-1] = 0.1  # one patient in ten of D lives on
    said = [each.message for each in pool_survival(data, method=method).warnings]
    assert any("these zeros are left out" in each for each in said)
    assert not any("survival is 0 from there on" in each for each in said)


def test_one_study_is_one():
    reports = [
        series("A", [90, 60], n_total=50),
        *(series(name, [85, 55], n_total=60, n_at_risk=[40, 20]) for name in "BCDE"),
    ]
    with pytest.warns(NetsynthWarning):
        said = str(pool_survival(reports))
    assert "1 of 5 studies prints neither an interval nor a number at risk" in said


# --- properties


@any_doubt
@settings(max_examples=25)
@given(st.integers(0, 1000), st.sampled_from([1.0, 12.0, 365.25 / 12]))
def test_order_and_unit_of_time_do_not_matter(seed, unit):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(SUMMARY["data"]["hepatology-Asia"])
    other = frame.sample(frac=1.0, random_state=seed)
    other["time_months"] = other["time_months"] * unit
    one, two = pool_survival(frame, method="summary"), pool_survival(other, method="summary")
    assert two.estimate == pytest.approx(one.estimate, rel=1e-8)
    assert two.median == pytest.approx(unit * one.median, rel=1e-8)
    horizon = float(rng.uniform(1, 36))
    assert two.rmst(unit * horizon) == pytest.approx(unit * one.rmst(horizon), rel=1e-8)
    assert two.rmst_confidence_interval(unit * horizon).upper == pytest.approx(
        unit * one.rmst_confidence_interval(horizon).upper, rel=1e-6
    )


# --- bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "median"}, "method must be one of"),
        ({"effects": "fixed"}, "effects must be one of random, slope, common"),
        ({"ci_method": "HK"}, "ci_method must be one of t, wald"),
        ({"shape": "cubic"}, "shape must be one of factor, linear, spline"),
        ({"maturity": 0.0}, "maturity must be a share"),
        ({"maturity": "x"}, r"maturity must be a share in \(0, 1\]; got 'x'"),
        ({"maturity": None}, r"maturity must be a share in \(0, 1\]; got None"),
        ({"times_months": [0, 12]}, "times_months must be positive"),
        ({"endpoint": "XYZ"}, "Unknown endpoint 'XYZ'"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(InvalidInputError, match=message):
        pool_survival(THREE, **{"method": "summary", **options})


def test_contradictory_percentages_are_caught_by_the_records():
    with pytest.raises(InvalidInputError, match="survival cannot rise"):
        series("A", [60, 70], n_total=50)


# --- the packaged review


@any_doubt
def test_the_packaged_review_at_two_landmarks():
    review = load_nethm()
    with pytest.raises(InvalidInputError, match="method='multivariate'"):
        pool_survival(review, "OS", method="summary")
    percent = review.select_survival("OS", 60)
    pooled = pool_survival(review, "OS", method="summary", times_months=[60])
    assert pooled.k <= percent.k
    assert 0.6 < pooled.survival(60) < 0.8  # its authors' median of the studies is 70.5%
    assert np.isfinite(pooled.confidence_band().lower).all()


def test_every_warning_stays_with_the_result():
    reports = [series("A", [90, 60], n_total=50), series("B", [80, 50], n_total=50), series("C", [70])]
    with pytest.warns(NetsynthWarning) as caught:
        pooled = pool_survival(reports, method="summary")
    assert [each.name for each in pooled.warnings] == [type(each.message).__name__ for each in caught]
    assert {each.name for each in pooled.warnings} == {
        "UnusableDataWarning",
        "ImputedVarianceWarning",
        "FewStudiesWarning",
    }
