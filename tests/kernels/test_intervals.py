import json
import math
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from netsynth.kernels.heterogeneity import q_statistic, weighted_mean
from netsynth.kernels.intervals import (
    CI_METHODS,
    EXCEEDANCES,
    PREDICTION_METHODS,
    CiMethod,
    PredictionMethod,
    bootstrap_prediction,
    combine,
    confident_tau2,
    critical_value,
    limits,
    two_sided_pvalue,
)
from netsynth.kernels.tau2 import TAU2_ESTIMATORS

REFERENCES = Path(__file__).parents[1] / "references"
RANDOM_EFFECTS = json.loads((REFERENCES / "random_effects.json").read_text(encoding="utf-8"))
META = json.loads((REFERENCES / "random_effects_meta.json").read_text(encoding="utf-8"))
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
    "mHK_km1": "adhoc",
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


def mean_interval(method, y, v, tau2, level=0.95, weight=None):
    error = CI_METHODS[method](y, v, np.asarray(tau2), weight)
    return limits(combine(y, v, np.asarray(tau2), weight).mean, error.se, error.df, level)


def weights_of(method, v):
    """What metafor weights the mean with: those that are best, or those that GENQ was given."""
    return 1 / v if method == "GENQ" else None


def test_every_name_is_reachable():
    assert set(get_args(CiMethod)) == set(CI_METHODS)
    assert set(get_args(PredictionMethod)) == set(PREDICTION_METHODS) == set(EXCEEDANCES)


@pytest.mark.parametrize("method", EXCEEDANCES)
@pytest.mark.parametrize("level", [0.5, 0.95])
def test_beyond_a_prediction_limit_lies_half_of_the_rest(method, level):
    tau2 = TAU2_ESTIMATORS["REML"](SBP_Y, SBP_V).tau2
    ends = PREDICTION_METHODS[method](SBP_Y, SBP_V, tau2, level)
    beyond = [float(EXCEEDANCES[method](SBP_Y, SBP_V, tau2, float(end))) for end in ends]
    assert beyond == pytest.approx(
        [0.5 * (1 + level), 0.5 * (1 - level)], abs=1e-4 if method == "bootstrap" else 1e-9
    )


@pytest.mark.parametrize("value", [-0.5, 0.0, 0.3])
def test_the_probability_above_by_integration(value):
    tau2 = float(TAU2_ESTIMATORS["DL"](SBP_Y, SBP_V).tau2)
    w = 1 / (SBP_V + tau2)
    mean, scale = w @ SBP_Y / w.sum(), math.sqrt(tau2 + 1 / w.sum())
    area, _ = integrate.quad(
        lambda x: stats.t.pdf((x - mean) / scale, 8) / scale, value, np.inf, epsabs=1e-12
    )
    assert EXCEEDANCES["t_km2"](SBP_Y, SBP_V, np.asarray(tau2), value) == pytest.approx(area, abs=1e-9)


def test_probabilities_of_several_sets_at_once():
    y, v = np.stack([SBP_Y, -SBP_Y]), np.stack([SBP_V, SBP_V])
    tau2 = TAU2_ESTIMATORS["DL"](y, v).tau2
    found = EXCEEDANCES["HK_km2"](y, v, tau2, 0.0)
    assert found.shape == (2,)
    assert found.sum() == pytest.approx(1.0)
    assert np.isnan(EXCEEDANCES["t_km2"](SBP_Y[:2], SBP_V[:2], np.asarray(0.1), 0.0))


def test_published_sbp_with_dl():
    tau2 = TAU2_ESTIMATORS["DL"](SBP_Y, SBP_V).tau2
    assert tau2 == pytest.approx(0.02825, abs=5.1e-6)
    assert CI_METHODS["HK"](SBP_Y, SBP_V, tau2).se == pytest.approx(0.10005, abs=5.1e-6)
    assert mean_interval("HK", SBP_Y, SBP_V, tau2) == pytest.approx((-0.56038, -0.10774), abs=5.1e-6)
    assert mean_interval("t", SBP_Y, SBP_V, tau2) == pytest.approx((-0.5068, -0.1613), abs=5.1e-5)
    # the paper prints -0.76 to 0.09
    pi = PREDICTION_METHODS["t_km2"](SBP_Y, SBP_V, tau2, 0.95)
    assert pi == pytest.approx((-0.7598, 0.0917), abs=5.1e-5)
    # the probability below 0 as pimeta prints it, .9460; by Nagashima's bootstrap .9116, here of 20,000 draws
    assert 1 - EXCEEDANCES["t_km2"](SBP_Y, SBP_V, tau2, 0.0) == pytest.approx(0.9460, abs=5.1e-5)
    assert 1 - EXCEEDANCES["bootstrap"](SBP_Y, SBP_V, tau2, 0.0) == pytest.approx(0.9116, abs=3 * 0.0029)


def test_published_sbp_with_reml():
    # Printed in the manual of the R package pimeta 1.0.1 for the method of Partlett and Riley (2017).
    tau2 = TAU2_ESTIMATORS["REML"](SBP_Y, SBP_V).tau2
    assert tau2 == pytest.approx(0.06995102, rel=2e-4)  # its iteration stops short of the maximum
    pi = PREDICTION_METHODS["HK_km2"](SBP_Y, SBP_V, tau2, 0.95)
    assert pi == pytest.approx((-0.9886995, 0.3312188), abs=5e-5)


@pytest.mark.parametrize("method", METAFOR_TEST)
@pytest.mark.parametrize(("data", "tau2_method"), FITS, ids=FIT_IDS)
def test_reference_mean(data, tau2_method, method):
    y, v, fit = np.array(data["yi"]), np.array(data["vi"]), data["fits"][tau2_method]
    expected = fit["tests"].get(METAFOR_TEST[method])
    if expected is None:
        return  # the two cases on which metafor fails carry the z test alone
    weight = weights_of(tau2_method, v)
    error = CI_METHODS[method](y, v, np.asarray(fit["tau2"]), weight)
    if expected["se"] == 0:  # metafor gives identical effects an interval without width; we refuse
        assert np.isnan(error.se)
        return
    assert error.se == pytest.approx(expected["se"], rel=1e-8)
    width = expected["ci"][1] - expected["ci"][0]
    close(mean_interval(method, y, v, fit["tau2"], weight=weight), expected["ci"], width)
    mean = combine(y, v, np.asarray(fit["tau2"]), weight).mean
    p = two_sided_pvalue(mean / error.se, error.df)
    assert p == pytest.approx(expected["pval"], rel=1e-8, abs=1e-300)


@pytest.mark.parametrize("method", METAFOR_PREDICT)
@pytest.mark.parametrize(("data", "tau2_method"), FITS, ids=FIT_IDS)
def test_reference_prediction(data, tau2_method, method):
    y, v, fit = np.array(data["yi"]), np.array(data["vi"]), data["fits"][tau2_method]
    weight = weights_of(tau2_method, v)
    got = PREDICTION_METHODS[method](y, v, np.asarray(fit["tau2"]), 0.95, weight)
    if method.endswith("km2") and y.size < 3:
        assert np.isnan(got).all()
    expected = fit.get("predict", {}).get(METAFOR_PREDICT[method])
    if expected is None:
        return  # metafor predicts nothing under the common-effect model or for t on 0 df
    width = expected[1] - expected[0]
    if method.startswith("HK") and fit["QE"] == 0:
        assert np.isnan(got).all()
    else:
        close(got, expected, width)


@pytest.mark.parametrize("data", META, ids=lambda data: data["dataset"])
def test_reference_kenward_roger(data):
    # The package meta fits REML once more at R's default tolerance for this, which moves tau2 by some 1e-4 of itself.
    y, v, fit = np.array(data["yi"]), np.array(data["sei"]) ** 2, data["fits"]["REML"]
    error = CI_METHODS["KR"](y, v, np.asarray(fit["tau2"]))
    assert error.se == pytest.approx(fit["KR"]["se"], rel=1e-4)
    assert error.df == pytest.approx(fit["KR"]["df"], rel=1e-3)
    if error.df > 1:  # below, a quantile of t changes by its own size
        width = fit["KR"]["ci"][1] - fit["KR"]["ci"][0]
        close(mean_interval("KR", y, v, fit["tau2"]), fit["KR"]["ci"], width, rel=1e-4)
        close(PREDICTION_METHODS["KR"](y, v, np.asarray(fit["tau2"]), 0.95), fit["KR"]["pi"], width, rel=1e-3)


@pytest.mark.parametrize("data", META, ids=lambda data: data["dataset"])
def test_reference_intervals_of_meta(data):
    y, v = np.array(data["yi"]), np.array(data["sei"]) ** 2
    for method, fit in data["fits"].items():
        tau2 = np.asarray(fit["tau2"])
        # the intervals of iterative estimators come of a second fit at R's default tolerance
        rel = 1e-8 if method in ("DL", "HE", "HS", "SJ") else 2e-3
        width = np.diff(fit["HK"]["ci"])[0]
        close(mean_interval("HK", y, v, tau2), fit["HK"]["ci"], width, rel)
        close(mean_interval("wald", y, v, tau2), fit["classic"]["ci"], width, rel)
        assert fit["predict"]["methods"] == ["HTS", "HK", "V"]
        for i, name in enumerate(("t_km2", "HK_km1", "t_km1")):
            expected = fit["predict"]["lower"][i], fit["predict"]["upper"][i]
            close(PREDICTION_METHODS[name](y, v, tau2, 0.95), expected, expected[1] - expected[0], rel)


@st.composite
def studies(draw):
    k = draw(st.integers(2, 10))
    v = np.exp(draw(st.lists(st.floats(-5, 1), min_size=k, max_size=k)))
    z = draw(st.lists(st.floats(-4, 4), min_size=k, max_size=k))
    return np.array(z) * np.sqrt(v + draw(st.sampled_from([0.0, 0.2, 5.0]))), v


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
    for method in ("t", "HK", "mHK", "KR"):
        assert np.isnan(mean_interval(method, y, v, 0.0)).all()
    for method in PREDICTION_METHODS.keys() - {"normal"}:
        assert np.isnan(PREDICTION_METHODS[method](y, v, tau2, 0.95)).all()


def kenward_roger_by_matrices(y, v, tau2):
    """The general formulas of Kenward and Roger (1997) for one coefficient and one variance, by matrices.

    The degrees of freedom are those of Partlett and Riley: with the adjusted variance, not the plain one.
    """
    x, sigma = np.ones((y.size, 1)), np.diag(v + tau2)
    inverse = np.linalg.inv(sigma)
    plain = np.linalg.inv(x.T @ inverse @ x)
    p = inverse - inverse @ x @ plain @ x.T @ inverse
    information = 0.5 * np.trace(p @ p)
    first = -x.T @ inverse @ inverse @ x
    second = x.T @ inverse @ inverse @ inverse @ x
    adjusted = plain + 2 * plain @ ((second - first @ plain @ first) / information) @ plain
    variance = adjusted.item()
    return variance**0.5, 2 * variance**2 / ((variance**2 * first.item()) ** 2 / information)


@given(studies(), st.floats(0, 2))
def test_kenward_roger_equals_its_matrices(study, tau2):
    y, v = study
    error = CI_METHODS["KR"](y, v, np.asarray(tau2))
    assert (error.se, error.df) == pytest.approx(kenward_roger_by_matrices(y, v, tau2), rel=1e-6)


@given(studies(), st.floats(0, 2), st.integers(0, 2**32 - 1))
def test_weights_of_ones_own(study, tau2, seed):
    y, v = study
    a = np.random.default_rng(seed).uniform(0.1, 5, y.size)
    mean = combine(y, v, np.asarray(tau2), a)
    share = a / a.sum()
    assert mean.mean == pytest.approx(share @ y, rel=1e-9, abs=1e-12)
    assert mean.variance == pytest.approx(share @ np.diag(v + tau2) @ share, rel=1e-9)
    best = combine(y, v, np.asarray(tau2))
    assert mean.variance >= best.variance * (1 - 1e-12)  # Gauss and Markov
    same = combine(y, v, np.asarray(tau2), 1 / (v + tau2))
    assert (same.mean, same.variance) == pytest.approx((best.mean, best.variance), rel=1e-9, abs=1e-12)


def test_published_sbp_by_bootstrap():
    # The manual of the R package pimeta 1.0.1 prints -0.8807 to 0.2240 from 25,000 draws with a seed of its own. Two
    # limits from 25,000 and 20,000 draws differ by a standard error of about 0.004.
    got = PREDICTION_METHODS["bootstrap"](SBP_Y, SBP_V, np.asarray(0.0), 0.95)
    assert got == pytest.approx((-0.8807, 0.2240), abs=0.016)
    wide = bootstrap_prediction(
        SBP_Y, SBP_V, np.asarray(0.0), 0.95, rng=np.random.default_rng(1), n_draws=400_000
    )
    assert wide == pytest.approx((-0.8807, 0.2240), abs=0.012)


def test_a_bootstrap_repeats_itself_and_follows_its_generator():
    once, again = (PREDICTION_METHODS["bootstrap"](SBP_Y, SBP_V, np.asarray(0.0), 0.9) for _ in range(2))
    assert once == again
    one, two = (
        bootstrap_prediction(SBP_Y, SBP_V, np.asarray(0.0), 0.9, rng=np.random.default_rng(seed))
        for seed in (1, 2)
    )
    assert one != two
    scaled = PREDICTION_METHODS["bootstrap"](5 + 10 * SBP_Y, 100 * SBP_V, np.asarray(0.0), 0.9)
    assert scaled == pytest.approx((5 + 10 * once.lower, 5 + 10 * once.upper), rel=1e-9)
    assert np.isnan(PREDICTION_METHODS["bootstrap"](np.full(4, 0.3), SBP_V[:4], np.asarray(0.0), 0.9)).all()


def test_tau2_is_drawn_from_the_law_of_q():
    """Nagashima's confidence distribution by simulating Q itself at the median that the interval implies."""
    y, v = SBP_Y, SBP_V
    w = 1 / v
    q = w @ (y - w @ y / w.sum()) ** 2
    rng = np.random.default_rng(3)
    for probability in (0.2, 0.5, 0.8):
        tau2 = confident_tau2(y, v, np.array([probability]))[0]
        noise = rng.standard_normal((100_000, y.size)) * np.sqrt(v + tau2)
        simulated = (w * (noise - (noise @ w / w.sum())[:, None]) ** 2).sum(-1)
        assert (simulated <= q).mean() == pytest.approx(probability, abs=0.006)
    assert confident_tau2(y, v, np.array([1.0])) == 0  # no tau2 makes so large a Q certain


def test_confident_tau2_of_hundreds_of_equal_studies_is_a_chi_squared_quantile():
    y, v, p = np.random.default_rng(3).normal(0, 0.5, 200), np.full(200, 0.1), np.array([0.025, 0.5, 0.975])
    q = ((y - y.mean()) ** 2 / v).sum()
    expected = 0.1 * (q / stats.chi2(199).ppf(p) - 1)
    np.testing.assert_allclose(confident_tau2(y, v, p), expected, rtol=2e-3)


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
