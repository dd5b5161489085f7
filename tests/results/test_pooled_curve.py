"""What a pooled curve answers: intervals by hand, by simulation, and as published."""

import dataclasses
import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import trapezoid

from netsynth.errors import InvalidInputError
from netsynth.kernels.summary_curve import log_survival, summary_curve
from netsynth.over_time import pool_survival
from netsynth.results.pooled_curve import PooledCurve

SUMMARY = json.loads(
    (Path(__file__).parents[1] / "references" / "summary_curves.json").read_text(encoding="utf-8")
)
few = pytest.mark.filterwarnings("ignore::netsynth.errors.FewStudiesWarning")


def hepatology(name="hepatology-all", **more):
    return pool_survival(SUMMARY["data"][name], method="summary", **more)


def made(**more):
    """A curve with round numbers."""
    fields = {
        "method": "multivariate",
        "model": "made",
        "endpoint": "OS",
        "label": "overall survival",
        "time_months": np.array([12.0, 24.0, 60.0]),
        "scale": "log",
        "estimate": np.log([0.8, 0.6, 0.3]),
        "covariance": np.array([[0.001, 0.001, 0.001], [0.001, 0.004, 0.003], [0.001, 0.003, 0.02]]),
        "between": np.array([[0.01, 0.01, 0.01], [0.01, 0.03, 0.02], [0.01, 0.02, 0.09]]),
        "interpolation": "hazard",
        "study": ("A", "B", "C", "D"),
        "study_curves": (),
        "k_at": np.array([4, 4, 3]),
        "n_at": np.array([400.0, 300.0, 100.0]),
        "prediction_df": 2.0,
    }
    return PooledCurve(**{**fields, **more})


# --- published: hepatocellular carcinoma, 27 studies


def test_published_median_and_mean():
    pooled = hepatology()
    assert pooled.median == pytest.approx(5.3758, abs=5e-5)
    assert pooled.rmst(48) == pytest.approx(9.5548, abs=5e-5)
    common = hepatology(effects="common")
    theirs = next(c for c in SUMMARY["summary"] if c["data"] == "hepatology-all")["output"]
    assert common.median == pytest.approx(theirs["median_fixed"], rel=1e-10)
    assert common.rmst(48) == pytest.approx(theirs["mean_fixed"], rel=1e-10)


def test_published_heterogeneity():
    pooled = hepatology()
    assert pooled.q == pytest.approx(731.217, abs=5e-4)
    assert (pooled.q_df, pooled.q_df_studies) == (297, 290)
    assert pooled.q / pooled.q_df_studies == pytest.approx(2.521, abs=5e-4)
    assert pooled.h2 == pytest.approx(2.462, abs=5e-4)
    assert pooled.i2 == pytest.approx(0.594, abs=5e-4)
    assert math.isnan(made(q=5.0, q_df=3.0).q_df_studies)
    assert pooled.q_pvalue == pytest.approx(stats.chi2.sf(pooled.q, 297), rel=1e-9)


def test_published_interval_at_the_first_time():
    lower, upper = hepatology(ci_method="wald").confidence_band(time_months=[1], scale="log")
    assert [lower[0], upper[0]] == pytest.approx([0.90754, 0.96381], abs=7e-6)  # theirs is with 1.96


def test_published_interval_of_the_median_by_simulation_and_by_inversion():
    """4.47 to 6.68: medians of curves drawn from the distribution of the arcsines, as the paper does."""
    pooled = hepatology(ci_method="wald")
    survival, n = np.full((27, 20), np.nan), np.full((27, 20), np.nan)
    for i, study in enumerate(pooled.study_curves):
        survival[i, : study.survival.size], n[i, : study.survival.size] = study.survival, study.n_at_start
    fit = summary_curve(survival, n)
    drawn = np.random.default_rng(1).multivariate_normal(fit.arcsine, fit.arcsine_covariance, 40_000)
    curves = np.exp(log_survival(drawn)[0])
    medians = [np.interp(-0.5, -curve, pooled.time_months) for curve in curves]
    ends = np.quantile(medians, [0.025, 0.975])
    # 1,000 draws, as the package takes by default, leave a standard error of about 0.06
    assert ends == pytest.approx([4.47, 6.68], abs=0.15)
    # slopes and a scale in place of the distribution: a tenth of a month apart at most
    assert list(pooled.median_confidence_interval()) == pytest.approx(list(ends), abs=0.1)
    means = [trapezoid(np.append(1.0, curve), np.append(0.0, pooled.time_months)) for curve in curves]
    assert list(pooled.rmst_confidence_interval(48)) == pytest.approx(
        list(np.quantile(means, [0.025, 0.975])), abs=0.1
    )


@few
@pytest.mark.parametrize("case", SUMMARY["summary"], ids=lambda c: f"{c['data']}, {c['confidence']}")
def test_risca_medians_and_means(case):
    for model, effects in (("fixed", "common"), ("random", "random")):
        pooled = hepatology(case["data"], effects=effects)
        theirs = case["output"][f"median_{model}"]
        assert pooled.median == pytest.approx(math.nan if theirs is None else theirs, rel=1e-6, nan_ok=True)
        assert pooled.rmst(pooled.last_months) == pytest.approx(case["output"][f"mean_{model}"], rel=1e-6)


def test_times_asked_for_are_those_shown():
    columns = {
        "study": ["A", "A", "B", "B", "C", "C", "D", "D", "E", "E"],
        "time_months": [12, 36] * 5,
        "survival": [0.9, 0.7, 0.85, 0.6, 0.8, 0.55, 0.88, 0.66, 0.86, 0.63],
        "n_total": [90] * 10,
        "n_at_risk": [80, 60, 75, 50, 70, 45, 78, 55, 76, 52],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pooled = pool_survival(columns, shape="linear", times_months=[24])
    assert pooled.summary_frame()["time_months"].tolist() == [24]
    assert "  24 months" in str(pooled)
    assert "  12 months" not in str(pooled)
    assert [row["time_months"] for row in pooled.to_dict()["times"]] == [24]
    assert pooled.reported_months.tolist() == [12, 36]
    assert pooled.summary_frame()["n_at_risk"].isna().all()


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda c: c.survival("x"), "time_months must be a number or an array of numbers; got 'x'"),
        (lambda c: c.cumulative_hazard([1, "x"]), "time_months must be a number or an array of numbers"),
        (lambda c: c.rmst(None), "horizon_months must be finite and not negative; got"),
        (lambda c: c.quantile("x"), "p must be a number or an array of numbers; got 'x'"),
        (lambda c: c.why_nan([600]), r"time_months must be one time; got \[600\]"),
        (lambda c: c.why_nan("x"), "time_months must be a number"),
        (lambda c: c.why_no_prediction([12, 24]), "time_months must be one time"),
        (lambda c: c.rmst_confidence_interval([12, 24]), "horizon_months must be one positive time"),
        (lambda c: c.confidence_band(time_months=["x"]), "time_months must be a number or an array"),
    ],
)
def test_what_is_no_number_is_said(ask, message):
    with pytest.raises(InvalidInputError, match=f"^{message}"):
        ask(made())


# --- by hand


def test_band_by_hand():
    pooled, z = made(), stats.norm.ppf(0.975)
    lower, upper = pooled.confidence_band()
    for j, (s, variance) in enumerate(zip([0.8, 0.6, 0.3], [0.001, 0.004, 0.02], strict=True)):
        half = z * math.sqrt(variance) / abs(math.log(s))  # of log(-log S)
        ends = [math.exp(-math.exp(math.log(-math.log(s)) + sign * half)) for sign in (1, -1)]
        assert [lower[j], upper[j]] == pytest.approx(ends, rel=1e-12)
    lower, upper = pooled.prediction_band(0.9)
    half = stats.t.ppf(0.95, 2) * math.sqrt(0.034) / abs(math.log(0.6))
    ends = [0.6 ** math.exp(sign * half) for sign in (1, -1)]
    assert [lower[1], upper[1]] == pytest.approx(ends, rel=1e-12)


def test_both_scales_tell_the_same():
    log = made()
    hazard = -log.estimate
    change = np.diag(1 / hazard)
    cloglog = made(
        scale="cloglog",
        estimate=np.log(hazard),
        covariance=change @ log.covariance @ change,
        between=change @ log.between @ change,
    )
    times = [6.0, 12.0, 40.0, 60.0]
    assert cloglog.survival(times) == pytest.approx(log.survival(times), rel=1e-12)
    for name in ("confidence_band", "prediction_band"):
        ours, theirs = getattr(cloglog, name)(0.95, times), getattr(log, name)(0.95, times)
        np.testing.assert_allclose(np.stack(ours), np.stack(theirs), rtol=1e-10)
    assert list(cloglog.rmst_confidence_interval(50)) == pytest.approx(list(log.rmst_confidence_interval(50)))


def test_limits_of_every_scale_stay_within_0_and_1():
    wide = made(covariance=4.0 * made().between)
    for scale in ("log-log", "log", "logit", "arcsine", "plain"):
        lower, upper = wide.confidence_band(0.999, np.linspace(0, 60, 61), scale=scale)
        assert (lower >= 0).all()
        assert (upper <= 1).all()
        assert (lower <= wide.survival(np.linspace(0, 60, 61)) + 1e-12).all()


@few
def test_limits_that_pass_one_upstream_do_not_here():
    """RISCA and metaSurvival multiply survival by exp(z se); where few die at first that passes 1."""
    data = {
        "study": ["A", "A", "B", "B", "C", "C"],
        "time_months": [6, 12] * 3,
        "survival": [1.0, 0.9, 0.95, 0.7, 1.0, 0.8],
        "n_at_start": [12, 12, 20, 19, 9, 9],
    }
    pooled = pool_survival(data, method="summary")
    theirs = np.exp(pooled.estimate + 1.96 * np.sqrt(np.diag(pooled.covariance)))
    assert theirs[0] > 1
    assert pooled.confidence_band().upper[0] < 1
    assert pooled.confidence_band(scale="log").upper[0] == 1


def test_the_curve_between_and_after():
    pooled = made()
    assert pooled.survival(0) == 1
    assert pooled.survival(18) == pytest.approx(math.sqrt(0.48))  # constant hazard
    assert pooled.cumulative_hazard(12) == pytest.approx(-math.log(0.8))
    assert math.isnan(pooled.survival(61))
    assert pooled.why_nan(60) == ""
    assert pooled.why_nan(61) == "no study tells anything after 60 months"
    assert pooled.survival([[12.0, 24.0], [60.0, 0.0]]) == pytest.approx(np.array([[0.8, 0.6], [0.3, 1.0]]))
    assert pooled.quantile([0.2, 0.4]) == pytest.approx([12.0, 24.0])
    lower, upper = pooled.confidence_band(time_months=[0.0, 70.0])
    assert (lower[0], upper[0]) == (1.0, 1.0)
    assert np.isnan([lower[1], upper[1]]).all()


def test_covariances_by_simulation():
    pooled = made()
    rng = np.random.default_rng(3)
    drawn = rng.multivariate_normal(
        pooled.estimate, pooled.covariance / 100, 200_000
    )  # small, so that slopes suffice
    times, horizons = [6.0, 24.0, 40.0], [24.0, 60.0]
    hazard = -drawn

    def at(t):
        edges = np.array([0.0, 12.0, 24.0, 60.0])
        knots = np.concatenate([np.zeros((len(hazard), 1)), hazard], axis=1)
        j = int(np.searchsorted(edges, t))
        share = (t - edges[j - 1]) / (edges[j] - edges[j - 1])
        return np.exp(-(knots[:, j - 1] * (1 - share) + knots[:, j] * share))

    assert pooled.covariance_at(times) / 100 == pytest.approx(np.cov([at(t) for t in times]), rel=0.03)
    grid = np.linspace(0.01, 60, 1201)
    values = np.stack([at(t) for t in grid])
    means = [trapezoid(values[grid <= h], grid[grid <= h], axis=0) for h in horizons]
    assert pooled.rmst_covariance(horizons) / 100 == pytest.approx(np.cov(means), rel=0.03)


def test_restricted_means_by_hand():
    pooled = made()
    rate = -math.log(0.8) / 12
    assert pooled.rmst(12) == pytest.approx((1 - 0.8) / rate)
    se = math.sqrt(pooled.rmst_covariance([12])[0, 0])
    share = pooled.rmst(12) / 12
    half = 1.959964 * se / 12 / (share * (1 - share))
    ends = [12 / (1 + math.exp(-(math.log(share / (1 - share)) + sign * half))) for sign in (-1, 1)]
    assert list(pooled.rmst_confidence_interval(12)) == pytest.approx(ends, rel=1e-6)
    assert math.isnan(pooled.rmst(61))
    assert np.isnan(pooled.rmst_confidence_interval(61)).all()
    wider = pooled.rmst_prediction_interval(12)
    assert wider.lower < ends[0] < ends[1] < wider.upper < 12


def test_a_median_lies_where_the_limits_are_one_half():
    pooled = made()
    lower, upper = pooled.median_confidence_interval()
    band = pooled.confidence_band(time_months=[lower, upper])
    assert [band.lower[0], band.upper[1]] == pytest.approx([0.5, 0.5])
    assert lower < pooled.median < upper


def test_a_median_that_is_not_reached_has_an_open_end():
    high = made(estimate=np.log([0.9, 0.8, 0.55]))
    assert math.isnan(high.median)
    lower, upper = high.median_confidence_interval()
    assert 24 < lower < 60
    assert upper == math.inf
    certain = made(estimate=np.log([0.95, 0.94, 0.93]), covariance=1e-8 * np.eye(3))
    assert certain.median_confidence_interval() == (60.0, math.inf)
    assert "median not reached by 60 months" in str(certain)


def test_no_prediction_where_nothing_tells_how_much_studies_differ():
    between = made().between.copy()
    between[2], between[:, 2] = math.nan, math.nan
    pooled = made(between=between)
    lower, upper = pooled.prediction_band(time_months=[12, 24, 30, 60])
    assert np.isfinite([lower[:2], upper[:2]]).all()
    assert np.isnan([lower[2:], upper[2:]]).all()
    assert pooled.why_no_prediction(24) == ""
    assert pooled.why_no_prediction(30) == "fewer than two studies inform the curve after 24 months"
    assert np.isnan(pooled.rmst_prediction_interval(60)).all()
    assert np.isfinite(pooled.rmst_prediction_interval(24)).all()
    assert pooled.median_prediction_interval().upper == math.inf
    none = made(between=np.full((3, 3), math.nan))
    assert np.isnan(none.median_prediction_interval()).all()
    assert none.why_no_prediction(12) == "the model has no differences between studies"
    two = made(study=("A", "B"), prediction_df=0.0)
    assert np.isnan(two.prediction_band().lower).all()
    assert "it takes 3" in two.why_no_prediction(12)


def test_a_simultaneous_band_is_wider_and_holds_the_whole_curve():
    pooled = made()
    alone, together = pooled.confidence_band(), pooled.confidence_band(simultaneous=True)
    assert (together.lower < alone.lower).all()
    assert (together.upper > alone.upper).all()
    rng = np.random.default_rng(4)
    hazard = -rng.multivariate_normal(pooled.estimate, pooled.covariance, 20_000)
    centre, size = -pooled.estimate, np.sqrt(np.diag(pooled.covariance))
    factor = (np.log(-np.log(together.lower)) - np.log(centre)) * centre / size
    covered = (np.abs(hazard - centre) / size <= factor).all(axis=1).mean()
    assert covered == pytest.approx(0.95, abs=0.012)  # at the knots alone a little more often than everywhere


def test_questions_that_have_no_answer():
    pooled = made()
    for question in (
        lambda: pooled.survival(-1),
        lambda: pooled.survival([1, math.inf]),
        lambda: pooled.rmst(-1),
        lambda: pooled.rmst_confidence_interval(0),
        lambda: pooled.quantile(1.2),
        lambda: pooled.quantile_confidence_interval(0),
        lambda: pooled.confidence_band(95),
        lambda: pooled.confidence_band(scale="cube"),
        lambda: pooled.bootstrap(),
    ):
        with pytest.raises(InvalidInputError):
            question()


# --- bootstrap


@few
def test_bootstrap_draws_studies():
    pooled = hepatology("hepatology-to12")
    found = pooled.bootstrap(400, rng=7)
    again = pooled.bootstrap(400, rng=7)
    np.testing.assert_array_equal(found.survival, again.survival)
    assert found.share_known.tolist() == [1.0] * pooled.time_months.size
    # the same draws, refitted one by one
    survival, n = (np.full((pooled.k, pooled.time_months.size), np.nan) for _ in range(2))
    for i, study in enumerate(pooled.study_curves):
        survival[i, : study.survival.size], n[i, : study.survival.size] = study.survival, study.n_at_start
    rows = min(400, (1 << 20) // (pooled.k * pooled.time_months.size**2))
    source = np.random.default_rng(7).spawn(-(-400 // rows))[0]
    drawn = source.integers(0, pooled.k, (rows, pooled.k))
    for b in (0, 5, rows - 1):
        one = np.exp(summary_curve(survival[drawn[b]], n[drawn[b]]).log_survival)
        assert found.survival[b] == pytest.approx(one, rel=1e-9)
    lower, upper = found.confidence_band()
    ours = pooled.confidence_band()
    assert lower == pytest.approx(ours.lower, abs=0.06)
    assert upper == pytest.approx(ours.upper, abs=0.06)
    assert list(found.median_interval()) == pytest.approx(list(pooled.median_confidence_interval()), abs=0.5)
    assert list(found.rmst_interval(12)) == pytest.approx(list(pooled.rmst_confidence_interval(12)), abs=0.3)
    assert found.confidence_band(time_months=[1.0]).lower == pytest.approx(lower[:1])
    assert "400 replicates" in str(found)
    assert found.summary_frame()["share_known"].tolist() == [1.0] * pooled.time_months.size


@few
def test_bootstrap_of_common_effects_fits_common_effects():
    pooled = hepatology("hepatology-to12", effects="common")
    found = pooled.bootstrap(100, rng=3)
    survival, n = (np.full((pooled.k, pooled.time_months.size), np.nan) for _ in range(2))
    for i, study in enumerate(pooled.study_curves):
        survival[i, : study.survival.size], n[i, : study.survival.size] = study.survival, study.n_at_start
    rows = min(100, (1 << 20) // (pooled.k * pooled.time_months.size**2))
    drawn = np.random.default_rng(3).spawn(-(-100 // rows))[0].integers(0, pooled.k, (rows, pooled.k))
    fit = summary_curve(survival[drawn[0]], n[drawn[0]], random=False)
    assert found.survival[0] == pytest.approx(np.exp(fit.log_survival), rel=1e-9)


@few
def test_bootstrap_counts_replicates_that_reach_a_time():
    found = hepatology("hepatology-Asia").bootstrap(200)
    assert found.share_known[0] == 1
    assert found.share_known[-1] == pytest.approx(1 - (1 - 1 / 8) ** 8, abs=0.12)  # one of eight studies
    assert np.isfinite(found.confidence_band().lower).all()
    assert found.quantile_interval(0.999).upper == math.inf
    with pytest.raises(InvalidInputError, match="rng must be a seed"):
        hepatology("hepatology-Asia").bootstrap(200, rng="seed")
    with pytest.raises(InvalidInputError, match="at least 100"):
        hepatology("hepatology-Asia").bootstrap(10)


# --- for people


def test_frames_hold_the_answers():
    pooled = hepatology()
    frame = pooled.summary_frame()
    assert frame["survival"].to_numpy() == pytest.approx(np.exp(pooled.estimate))
    assert frame["se"].to_numpy() == pytest.approx(
        np.exp(pooled.estimate) * np.sqrt(np.diag(pooled.covariance)), rel=1e-9
    )
    assert frame["k"].tolist() == pooled.k_at.tolist()
    curve = pooled.curve_frame([0, 6, 60])
    assert curve["survival"].isna().tolist() == [False, False, True]
    studies = pooled.study_frame()
    assert len(studies) == 317
    assert studies["study"].nunique() == 27
    told = pooled.to_dict()
    assert told["median"] == pytest.approx(5.3758, abs=5e-5)
    assert json.loads(json.dumps(told))["times"][0]["time_months"] == 1


def test_text():
    text = str(hepatology())
    assert (
        text.splitlines()[0] == "Overall survival: summary curve, random effects, 27 studies, 1806 patients"
    )
    assert "I2 59%   H2 2.46   Q 731.22 on 297 df, p < 0.001" in text
    assert "median 5.4 months   95% CI 4." in text
    assert "not known after 48 months" in text
    assert len(text.splitlines()) < 22
    html = hepatology()._repr_html_()
    assert "<table>" in html
    assert "27 studies" in html


def test_the_result_is_read_only():
    pooled = hepatology()
    for array in (
        pooled.time_months,
        pooled.estimate,
        pooled.covariance,
        pooled.between,
        pooled.k_at,
        pooled.n_at,
    ):
        assert not array.flags.writeable
    with pytest.raises(dataclasses.FrozenInstanceError):
        pooled.q = 1.0
