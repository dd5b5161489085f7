"""Pooling log(-log S) of studies that report different times, by the public verb."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from netsynth.data.survival import ReportedSurvival
from netsynth.datasets import load_nethm
from netsynth.errors import (
    BoundaryWarning,
    ConvergenceError,
    FewStudiesWarning,
    ImputedVarianceWarning,
    InvalidInputError,
)
from netsynth.kernels.effective_numbers import effective_numbers
from netsynth.kernels.loglog_curve import curve_at, fit_loglog_curve
from netsynth.over_time import pool_survival
from netsynth.survival import pool_landmark

SUMMARY = json.loads(
    (Path(__file__).parents[1] / "references" / "summary_curves.json").read_text(encoding="utf-8")
)
any_doubt = pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")

REPORTED = {
    "A": ([36, 60], [0.80, 0.62], [70, 40], 100),
    "B": ([12, 60], [0.95, 0.70], [56, 30], 60),
    "C": ([24], [0.88], [80], 110),
    "D": ([12, 36, 120], [0.90, 0.66, 0.35], [120, 60, 9], 140),
    "E": ([60, 120], [0.50, 0.30], [50, 20], 120),
    "F": ([24, 60], [0.92, 0.75], [30, 18], 40),
}


def columns(names="ABCDEF"):
    rows = [
        (name, *row, REPORTED[name][3]) for name in names for row in zip(*REPORTED[name][:3], strict=True)
    ]
    keys = ("study", "time_months", "survival", "n_at_risk", "n_total")
    return dict(zip(keys, map(list, zip(*rows, strict=True)), strict=True))


def weibull(k=30, n=400, seed=1, slope=1.3, scale=60.0, tau=0.3):
    """Shares alive of patients who are all followed, at three times of five."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(k):
        hazard = math.exp(tau * rng.standard_normal())
        death = scale * (rng.exponential(size=n) / hazard) ** (1 / slope)
        for t in sorted(rng.choice([12, 24, 36, 60, 90], 3, replace=False)):
            alive = int((death > t).sum())
            rows.append((f"S{i}", float(t), alive / n, alive, n))
    keys = ("study", "time_months", "survival", "n_at_risk", "n_total")
    return dict(zip(keys, map(list, zip(*rows, strict=True)), strict=True))


@any_doubt
@pytest.mark.parametrize(
    ("effects", "random"), [("random", "intercept"), ("slope", "slope"), ("common", "none")]
)
def test_it_is_the_kernel(effects, random):
    pooled = pool_survival(columns(), effects=effects)
    shape = 6, 3
    time, survival, effective = (np.full(shape, np.nan) for _ in range(3))
    for i, (t, s, at_risk, n) in enumerate(REPORTED.values()):
        time[i, : len(t)], survival[i, : len(t)] = t, s
        effective[i, : len(t)] = effective_numbers(s, n, at_risk)
    fit = fit_loglog_curve(time, survival, effective, random=random)
    times = [12.0, 36.0, 60.0, 120.0]
    at = curve_at(fit, times)
    assert pooled.survival(times) == pytest.approx(np.exp(-np.exp(at.estimate)), rel=1e-9)
    se = np.sqrt(np.diag(at.covariance))
    lower, _ = pooled.confidence_band(time_months=times)
    z = norm.ppf(0.975) if effects == "common" else student.ppf(0.975, 5)
    expected = np.exp(-np.exp(at.estimate + z * se))
    assert lower == pytest.approx(expected, rel=1e-8)
    lower, _ = pooled.prediction_band(time_months=times)
    if effects == "common":
        assert np.isnan(lower).all()
        assert pooled.why_no_prediction(12) == "the model has no differences between studies"
    else:
        spread = np.sqrt(np.diag(at.covariance + at.between))
        assert lower == pytest.approx(np.exp(-np.exp(at.estimate + student.ppf(0.975, 4) * spread)), rel=1e-7)
    assert (pooled.q, pooled.q_df) == (pytest.approx(fit.q), fit.q_df)


@any_doubt
def test_different_times_are_taken():
    pooled = pool_survival(columns())
    assert pooled.method == "multivariate"
    assert pooled.reported_months.tolist() == [12, 24, 36, 60, 120]
    assert pooled.last_months == 120
    frame = pooled.summary_frame()
    assert frame["k"].tolist() == [6, 6, 5, 5, 2]
    # at 12 months all but nobody: A, C, E and F are still in the interval that began at 0
    assert frame["n_at_start"].tolist()[:2] == [
        100 + 60 + 110 + 140 + 120 + 40,
        100 + 56 + 110 + 120 + 120 + 40,
    ]
    assert pooled.covariance.shape == (pooled.time_months.size,) * 2
    assert "spline" in pooled.model


def test_a_weibull_comes_back_where_no_study_is_read():
    """Median of simulated patients: 60 (ln 2)^(1/1.3) months, on a curve fitted at other times."""
    pooled = pool_survival(weibull(), shape="linear")
    assert pooled.median == pytest.approx(60 * math.log(2) ** (1 / 1.3), rel=0.08)
    lower, upper = pooled.median_confidence_interval()
    assert lower < 60 * math.log(2) ** (1 / 1.3) < upper
    # the mean curve is a straight line of log(-log S) in log time also between the reported times
    times = np.array([12.0, 17.5, 30.0, 77.3])
    y = np.log(-np.log(pooled.survival(times)))
    assert np.polyfit(np.log(times), y, 1)[0] == pytest.approx(np.diff(y) / np.diff(np.log(times)), rel=2e-3)
    tau = math.sqrt(pooled.between[0, 0])
    assert tau == pytest.approx(0.3, abs=0.15)


@any_doubt
def test_one_time_of_all_studies_agrees_with_the_landmark():
    """At 60 months most studies report: the pooled landmark lies within the band, and near the curve."""
    review = load_nethm()
    curve, landmark = pool_survival(review, "OS"), pool_landmark(review, "OS", time_months=60)
    assert curve.survival(60) == pytest.approx(landmark.natural, abs=0.03)
    lower, upper = curve.confidence_band(time_months=[60])
    assert lower[0] < landmark.natural < upper[0]


def test_imputed_numbers_are_said():
    reports = [
        ReportedSurvival.from_percent(
            name, years=[y / 12 for y in t], percent=[100 * s for s in shares], n_total=n
        )
        for name, (t, shares, _, n) in REPORTED.items()
    ]
    with pytest.warns(
        ImputedVarianceWarning, match="6 of 6 studies print neither an interval nor a number at risk"
    ):
        pooled = pool_survival(reports)
    with pytest.warns(ImputedVarianceWarning):
        complete = pool_survival(reports, maturity=1.0, effects="common")
    with pytest.warns(ImputedVarianceWarning):
        half = pool_survival(reports, effects="common")
    at = [60.0]
    assert half.covariance_at(at)[0, 0] > complete.covariance_at(at)[0, 0]
    assert pooled.study_curves[0].source == "imputed"


def test_standard_errors_tell_numbers_too():
    """Binomial standard errors say that everybody was followed, as the numbers at risk of such patients do."""
    data = {name: column for name, column in columns().items() if name != "n_at_risk"}
    s, n = np.array(data["survival"]), np.array(data["n_total"])
    complete = pool_survival({**data, "n_at_risk": n * s})
    told = pool_survival(
        {**{k: v for k, v in data.items() if k != "n_total"}, "se": np.sqrt(s * (1 - s) / n)}
    )
    assert told.warnings == ()
    assert told.survival([12, 36, 60, 120]) == pytest.approx(complete.survival([12, 36, 60, 120]), rel=1e-6)
    assert told.covariance == pytest.approx(complete.covariance, rel=1e-5)


def test_printed_numbers_need_no_warning():
    assert pool_survival(columns()).warnings == ()
    data = columns()
    starts = {"A": [100, 70], "B": [60, 56], "C": [110], "D": [140, 120, 60], "E": [120, 50], "F": [40, 30]}
    del data["n_at_risk"], data["n_total"]
    pooled = pool_survival({**data, "n_at_start": [n for name in REPORTED for n in starts[name]]})
    assert pooled.warnings == ()
    assert pooled.survival(60) == pytest.approx(pool_survival(columns()).survival(60), abs=0.01)


@any_doubt
def test_times_can_be_asked_for_within_the_reported_ones():
    pooled = pool_survival(columns(), times_months=[40.5])
    assert 40.5 in pooled.time_months
    for wrong in ([6.0], [60.0, 121.0]):
        with pytest.raises(InvalidInputError, match="times_months must lie between 12 and 120 months"):
            pool_survival(columns(), times_months=wrong)


def test_one_study_is_handed_back_as_it_is():
    with pytest.warns(FewStudiesWarning, match="one study"):
        pooled = pool_survival(columns("D"))
    assert pooled.survival([12, 36, 120]) == pytest.approx([0.90, 0.66, 0.35])


def test_few_studies_and_the_boundary():
    with pytest.warns(FewStudiesWarning, match="3 studies: how much they differ"):
        pool_survival(columns("ABD"))
    same = {
        "study": ["A", "A", "B", "B", "C", "C", "D", "D", "E", "E"],
        "time_months": [12, 36] * 5,
        "survival": [0.8, 0.5] * 5,
        "n_at_risk": [40, 20] * 5,
        "n_total": [50] * 10,
    }
    with pytest.warns(BoundaryWarning, match="studies do not differ, as far as can be seen"):
        pooled = pool_survival(same, shape="linear")
    assert pooled.survival([12, 36]) == pytest.approx([0.8, 0.5], abs=0.01)


@any_doubt
def test_one_time_is_no_curve():
    data = {"study": ["A", "B"], "time_months": [12, 12], "survival": [0.8, 0.7], "n_total": [40, 50]}
    with pytest.raises(
        InvalidInputError, match=r"takes two studies and two times at least, .* Use pool_landmark"
    ):
        pool_survival(data)


@any_doubt
def test_after_everybody_has_died_there_is_no_curve():
    data = {
        "study": ["A"] * 3 + ["B"] * 3,
        "time_months": [12, 24, 36] * 2,
        "survival": [0.6, 0.0, 0.0, 0.5, 0.2, 0.0],
        "n_total": [40] * 6,
    }
    assert pool_survival(data, shape="linear").last_months == 36
    data["survival"][4] = 0.0
    pooled = pool_survival(data, shape="linear")
    assert pooled.last_months == 24
    assert np.isfinite(pooled.survival_at_times).all()
    data["survival"][0] = data["survival"][3] = 0.0
    with pytest.raises(InvalidInputError, match="before all have died"):
        pool_survival(data)


@any_doubt
def test_both_methods_tell_the_same_where_both_can():
    """Hepatocellular carcinoma to 12 months: each within the other's interval at all times."""
    data = SUMMARY["data"]["hepatology-to12"]
    summary, loglog = pool_survival(data, method="summary"), pool_survival(data)
    times = summary.time_months
    lower, upper = summary.confidence_band()
    assert ((lower < loglog.survival(times)) & (loglog.survival(times) < upper)).all()


# --- where one shape does not do


def reaching_0(**more):
    """Three studies, of which the largest has nobody left at 60 months."""
    survival = {"A": (100, [0.90, 0.70, 0.0]), "B": (60, [0.80, 0.60, 0.40]), "C": (40, [0.95, 0.80, 0.60])}
    rows = [
        (name, t, s, n)
        for name, (n, shares) in survival.items()
        for t, s in zip((12, 36, 60), shares, strict=True)
    ]
    keys = ("study", "time_months", "survival", "n_total")
    return {**dict(zip(keys, map(list, zip(*rows, strict=True)), strict=True)), **more}


@any_doubt
def test_a_curve_outside_all_reports_is_said():
    for shape, time, span in (("spline", 36, "60–80%"), ("linear", 12, "80–95%")):
        pooled = pool_survival(reaching_0(), shape=shape)
        (said,) = [each.message for each in pooled.warnings if "lies outside" in each.message]
        assert f"{100 * pooled.survival(time):.1f}% at {time} months, where their figures span {span}" in said
        assert said.count("months, where") == 1


@any_doubt
def test_a_curve_within_is_not_doubted():
    for data in (columns(), weibull(), reaching_0(survival=[0.9, 0.7, 0.5, 0.8, 0.6, 0.4, 0.95, 0.8, 0.6])):
        for shape in ("spline", "linear"):
            said = pool_survival(data, shape=shape).warnings
            assert not any("lies outside" in each.message for each in said)


@any_doubt
@pytest.mark.parametrize("last", [1.0, 0.99])
def test_survival_of_1_everywhere_is_within(last):
    """No fitted curve is 1: studies without deaths come in with half a patient."""
    data = reaching_0(survival=[1.0, 1.0, last] * 3)
    for shape in ("spline", "linear"):
        said = pool_survival(data, shape=shape).warnings
        assert not any("lies outside" in each.message and "12 months" in each.message for each in said)
        assert last < 1 or not any("lies outside" in each.message for each in said)


@any_doubt
def test_worse_studies_that_end_earlier_are_no_misfit():
    """Weibull curves without any error: the middle one lies below those that go on, as it should."""
    rows = []
    for i, hazard in enumerate((0.5, 0.6, 0.7, 1.6, 2.0)):
        times = (12, 24, 36, 60) if hazard < 1 else (12, 24)
        rows += [(f"S{i}", t, math.exp(-hazard * (t / 24) ** 1.1), 100) for t in times]
    keys = ("study", "time_months", "survival", "n_total")
    data = dict(zip(keys, map(list, zip(*rows, strict=True)), strict=True))
    pooled = pool_survival(data)
    assert pooled.survival(60) < math.exp(-0.7 * 2.5**1.1) - 0.02
    assert not any("lies outside" in each.message for each in pooled.warnings)


@any_doubt
def test_empty_cells_typed_as_0_change_nothing():
    blank = reaching_0(survival=[0.9, 0.7, 0.5, 0.8, 0.6, 0.4, 0.95, 0.85, 0.75])
    typed = pool_survival({**blank, "n_at_risk": [0] * 9})
    times = [12, 36, 60]
    assert typed.survival(times) == pytest.approx(pool_survival(blank).survival(times), rel=1e-12)
    assert sum("this number at risk is not used" in each.message for each in typed.warnings) == 9


@any_doubt
@pytest.mark.parametrize("shape", ["spline", "factor"])
def test_variances_at_the_mean_curve_where_those_of_each_study_do_not_settle(shape):
    pooled = pool_survival(reaching_0(), effects="slope", shape=shape)
    assert any("variances are those at the mean curve" in each.message for each in pooled.warnings)
    time, survival = [12.0, 36.0, 60.0], np.reshape(reaching_0()["survival"], (3, 3))
    effective = effective_numbers(survival, [100, 60, 40])
    fit = fit_loglog_curve(time, survival, effective, curve=shape, random="slope", evaluated_at="mean")
    assert pooled.survival(time) == pytest.approx(np.exp(-np.exp(curve_at(fit, time).estimate)), rel=1e-9)


def test_what_to_do_where_nothing_settles(monkeypatch):
    fit = fit_loglog_curve([12, 36], [[0.8, 0.5]] * 3, [[40.0, 40]] * 3, curve="linear")
    monkeypatch.setattr(
        "netsynth.curve_methods.multivariate.fit_loglog_curve", lambda *_, **__: fit._replace(converged=False)
    )
    with pytest.raises(ConvergenceError, match="Use effects='random', or shape='linear', which have less"):
        pool_survival(reaching_0(), effects="slope")


@any_doubt
def test_one_study_keeps_its_own_times():
    pooled = pool_survival(columns("D"), times_months=[24])
    assert 24 not in pooled.time_months
    assert any("one study keeps its own times" in each.message for each in pooled.warnings)


def test_slope_is_for_this_method_alone():
    with pytest.raises(InvalidInputError, match="effects='slope' is for method='multivariate'"):
        pool_survival(SUMMARY["data"]["hepatology-to12"], method="summary", effects="slope")
