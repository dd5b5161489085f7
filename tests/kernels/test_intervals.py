import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import brentq

from netsynth.kernels.heterogeneity import TAU2_ESTIMATORS, q_statistic, weighted_mean
from netsynth.kernels.intervals import (
    CI_METHODS,
    PREDICTION_METHODS,
    CiMethod,
    PredictionMethod,
    critical_value,
    limits,
    q_profile,
    two_sided_pvalue,
)

REFERENCES = Path(__file__).parents[1] / "references"
RANDOM_EFFECTS = json.loads((REFERENCES / "random_effects.json").read_text(encoding="utf-8"))
#: Sets of two studies and more, each with each estimator.
FITS = [(data, method) for data in RANDOM_EFFECTS for method in data["fits"] if len(data["yi"]) > 1]
FIT_IDS = [f"{data['dataset']}-{method}" for data, method in FITS]
METAFOR_TEST = {"wald": "z", "t": "t", "HK": "knha", "mHK": "adhoc"}
METAFOR_PREDICT = {
    "normal": "z",
    "t_km1": "t",
    "HK_km1": "knha",
    "t_km2": "z_Riley_t_km2",
    "HK_km2": "knha_Riley_t_km2",
}

# Systolic blood pressure: Riley, Higgins & Deeks (2011), BMJ 342:d549, https://doi.org/10.1136/bmj.d549.
# fmt: off
SBP_Y = np.array([0.0, 0.10, -0.40, -0.80, -0.63, 0.22, -0.34, -0.51, 0.03, -0.81])
SBP_V = np.array([
    0.42347717, 0.21939179, 0.02551067, 0.19898325, 0.30102594, 0.30102594, 0.07142988, 0.10204269, 0.12245123,
    0.30102594]) ** 2
# fmt: on


def close(got, expected, width, rel=1e-8):
    """Limits agree to a part of the width of their interval, whatever they happen to lie near."""
    np.testing.assert_allclose([float(end) for end in got], expected, rtol=0, atol=rel * width)


def mean_interval(method, y, v, tau2, level=0.95):
    error = CI_METHODS[method](y, v, np.asarray(tau2))
    return limits(weighted_mean(y, v + tau2).mean, error.se, error.df, level)


def test_every_name_is_reachable():
    assert set(get_args(CiMethod)) == set(CI_METHODS)
    assert set(get_args(PredictionMethod)) == set(PREDICTION_METHODS)


def test_published_sbp_with_dl():
    tau2 = TAU2_ESTIMATORS["DL"](SBP_Y, SBP_V).tau2
    assert tau2 == pytest.approx(0.02825, abs=5.1e-6)
    assert CI_METHODS["HK"](SBP_Y, SBP_V, tau2).se == pytest.approx(0.10005, abs=5.1e-6)
    assert mean_interval("HK", SBP_Y, SBP_V, tau2) == pytest.approx((-0.56038, -0.10774), abs=5.1e-6)
    assert mean_interval("t", SBP_Y, SBP_V, tau2) == pytest.approx((-0.5068, -0.1613), abs=5.1e-5)
    # the paper prints -0.76 to 0.09
    pi = PREDICTION_METHODS["t_km2"](SBP_Y, SBP_V, tau2, 0.95)
    assert pi == pytest.approx((-0.7598, 0.0917), abs=5.1e-5)


def test_published_sbp_with_reml():
    # Printed in the manual of the R package pimeta 1.0.1 for the method of Partlett and Riley (2017).
    tau2 = TAU2_ESTIMATORS["REML"](SBP_Y, SBP_V).tau2
    assert tau2 == pytest.approx(0.06995102, rel=2e-4)  # its iteration stops short of the maximum
    pi = PREDICTION_METHODS["HK_km2"](SBP_Y, SBP_V, tau2, 0.95)
    assert pi == pytest.approx((-0.9886995, 0.3312188), abs=5e-5)


def test_published_collins_q_profile():
    # Viechtbauer (2007), Stat Med 26:37-52, Table II; the effects are known to four decimals only.
    y = np.array([0.0418, -0.9237, -1.1221, -1.4733, -1.3910, -0.2969, -0.2615, 1.0888, 0.1353])
    v = np.array([0.1596, 0.1177, 0.1780, 0.2989, 0.1143, 0.0146, 0.1207, 0.6864, 0.0679])
    assert q_profile(y, v, 0.95) == pytest.approx((0.0723, 2.2027), rel=1e-3)


@pytest.mark.parametrize("method", CI_METHODS)
@pytest.mark.parametrize(("data", "tau2_method"), FITS, ids=FIT_IDS)
def test_reference_mean(data, tau2_method, method):
    y, v, fit = np.array(data["yi"]), np.array(data["vi"]), data["fits"][tau2_method]
    expected = fit["tests"].get(METAFOR_TEST[method])
    if expected is None:
        return  # the two cases on which metafor fails carry the z test alone
    error = CI_METHODS[method](y, v, np.asarray(fit["tau2"]))
    if expected["se"] == 0:  # metafor gives identical effects an interval without width; we refuse
        assert np.isnan(error.se)
        return
    assert error.se == pytest.approx(expected["se"], rel=1e-8)
    width = expected["ci"][1] - expected["ci"][0]
    close(mean_interval(method, y, v, fit["tau2"]), expected["ci"], width)
    p = two_sided_pvalue(weighted_mean(y, v + fit["tau2"]).mean / error.se, error.df)
    assert p == pytest.approx(expected["pval"], rel=1e-8, abs=1e-300)


@pytest.mark.parametrize("method", PREDICTION_METHODS)
@pytest.mark.parametrize(("data", "tau2_method"), FITS, ids=FIT_IDS)
def test_reference_prediction(data, tau2_method, method):
    y, v, fit = np.array(data["yi"]), np.array(data["vi"]), data["fits"][tau2_method]
    got = PREDICTION_METHODS[method](y, v, np.asarray(fit["tau2"]), 0.95)
    if method.endswith("km2") and y.size < 3:
        assert np.isnan(got).all()
    expected = fit.get("predict", {}).get(METAFOR_PREDICT[method])
    if expected is None:
        return  # metafor predicts nothing under the common-effect model or for t on 0 df
    width = expected[1] - expected[0]
    if "HK" in method and fit["QE"] == 0:
        assert np.isnan(got).all()
    else:
        close(got, expected, width)


@pytest.mark.parametrize("data", RANDOM_EFFECTS, ids=lambda data: data["dataset"])
def test_reference_q_profile(data):
    y, v, fit = np.array(data["yi"]), np.array(data["vi"]), data["fits"].get("PM", {})
    if "confint_QP" in fit:
        assert q_profile(y, v, 0.95) == pytest.approx(fit["confint_QP"], rel=1e-6, abs=1e-12)
    elif y.size == 1:
        assert np.isnan(q_profile(y, v, 0.95)).all()


@st.composite
def studies(draw):
    k = draw(st.integers(2, 10))
    v = np.exp(draw(st.lists(st.floats(-5, 1), min_size=k, max_size=k)))
    z = draw(st.lists(st.floats(-4, 4), min_size=k, max_size=k))
    return np.array(z) * np.sqrt(v + draw(st.sampled_from([0.0, 0.2, 5.0]))), v


@given(studies(), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_q_profile_equals_bracketed_root_finding(study, level):
    y, v = study
    chi2 = stats.chi2(y.size - 1)

    def q(tau2):
        w = 1 / (v + tau2)
        return w @ (y - w @ y / w.sum()) ** 2

    def root(target):
        bound = ((y - y.mean()) ** 2).sum() / target + 1.0
        return brentq(lambda tau2: q(tau2) - target, 0, bound, xtol=1e-13) if q(0.0) > target else 0.0

    expected = root(chi2.isf((1 - level) / 2)), root(chi2.ppf((1 - level) / 2))
    assert q_profile(y, v, level) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_q_profile_of_studies_that_agree_too_well_is_the_empty_set_shown_as_zero():
    y, v = np.array([0.30, 0.3001, 0.3002]), np.array([1.0, 2.0, 3.0])
    assert q_statistic(y, v) < stats.chi2(2).ppf(0.025)
    assert q_profile(y, v, 0.95) == (0, 0)


@given(studies(), st.floats(0.01, 2))
def test_the_modified_interval_is_never_narrower(study, tau2):
    y, v = study
    se = {name: CI_METHODS[name](y, v, np.asarray(tau2)).se for name in CI_METHODS}
    assert se["mHK"] >= se["wald"] == se["t"]
    assert not se["mHK"] < se["HK"]
    assert se["HK"] ** 2 == pytest.approx(
        se["wald"] ** 2 * q_statistic(y, v + tau2) / (y.size - 1)
    ) or np.isnan(se["HK"])


@pytest.mark.parametrize("method", CI_METHODS)
@given(study=studies(), level=st.floats(0.5, 0.999))
def test_p_is_below_alpha_where_the_interval_leaves_out_zero(method, study, level):
    y, v = study
    error = CI_METHODS[method](y, v, np.asarray(0.1))
    mean = weighted_mean(y, v + 0.1).mean
    low, high = limits(mean, error.se, error.df, level)
    p = two_sided_pvalue(mean / error.se, error.df)
    if abs(p - (1 - level)) > 1e-9:
        assert (p < 1 - level) == (low > 0 or high < 0)


@pytest.mark.parametrize(("df", "exact"), [(np.inf, stats.norm), (12, stats.t(12)), (1, stats.t(1))])
def test_tails_are_not_lost(df, exact):
    for statistic in (0.0, 1.5, -11.4, 37.0):
        assert two_sided_pvalue(np.asarray(statistic), df) == pytest.approx(
            2 * exact.sf(abs(statistic)), rel=1e-9
        )
    assert 0 < two_sided_pvalue(np.asarray(11.5), np.inf) < 1e-29
    for level in (0.1, 0.95, 1 - 1e-9):
        assert critical_value(df, level) == pytest.approx(exact.isf((1 - level) / 2), rel=1e-7)


def test_no_degrees_of_freedom_no_interval():
    assert np.isnan(critical_value(0, 0.95))
    assert np.isnan(critical_value(-1, 0.95))
    y, v, tau2 = np.array([0.4]), np.array([0.1]), np.zeros(())
    for method in ("t", "HK", "mHK"):
        assert np.isnan(mean_interval(method, y, v, 0.0)).all()
    for method in ("t_km1", "t_km2", "HK_km1", "HK_km2"):
        assert np.isnan(PREDICTION_METHODS[method](y, v, tau2, 0.95)).all()


def test_a_batch_is_a_loop():
    rng = np.random.default_rng(7)
    v = rng.uniform(0.01, 1, (30, 8))
    y = rng.standard_normal((30, 8)) * np.sqrt(v + 0.3)
    v[rng.random((30, 8)) < 0.3] = np.inf
    v[:, 1:4] = 0.2
    y[np.isinf(v)] = 1e200  # whatever stands there must not matter
    tau2 = TAU2_ESTIMATORS["DL"](y, v).tau2
    rows = [(a[np.isfinite(b)], b[np.isfinite(b)], t) for a, b, t in zip(y, v, tau2, strict=True)]
    for method in CI_METHODS.values():
        np.testing.assert_allclose(
            np.transpose(method(y, v, tau2)), [method(*row) for row in rows], rtol=1e-9
        )
    for predict in PREDICTION_METHODS.values():
        got = np.transpose(predict(y, v, tau2, 0.9))
        np.testing.assert_allclose(got, [predict(*row, 0.9) for row in rows], rtol=1e-9)
    got = np.transpose(q_profile(y, v, 0.9))
    np.testing.assert_allclose(got, [q_profile(a, b, 0.9) for a, b, _ in rows], rtol=1e-9, atol=1e-12)
