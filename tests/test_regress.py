import dataclasses
import json
import re
import warnings
from itertools import permutations
from math import inf, nan
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from netsynth.errors import (
    ConvergenceError,
    FewStudiesWarning,
    InvalidInputError,
    NarrowIntervalWarning,
    NetsynthWarning,
)
from netsynth.kernels.tau2 import TAU2_ESTIMATORS, Tau2Estimate
from netsynth.pool import pool_effects
from netsynth.regress import regress_effects

REFERENCES = Path(__file__).parent / "references"
REFERENCE = json.loads((REFERENCES / "meta_regression.json").read_text(encoding="utf-8"))
FITS = [
    (data, method, test)
    for data in REFERENCE["fits"]
    for method in data["fits"]
    for test in ("z", "t", "knha", "adhoc")
]
FIT_IDS = [f"{data['dataset']}-{method}-{test}" for data, method, test in FITS]
CI_METHOD = {"z": "wald", "t": "t", "knha": "HK", "adhoc": "mHK"}
#: metafor's iterations stop at some distance; all else is closed.
ITERATIVE = {"REML", "ML", "PM", "EB"}

# fmt: off
#: BCG trials (Colditz 1994): tuberculosis and none, vaccinated and not; degrees from the equator; how assigned.
BCG = np.array([
    [4, 6, 3, 62, 33, 180, 8, 505, 29, 17, 186, 5, 27],
    [119, 300, 228, 13536, 5036, 1361, 2537, 87886, 7470, 1699, 50448, 2493, 16886],
    [11, 29, 11, 248, 47, 372, 10, 499, 45, 65, 141, 3, 29],
    [128, 274, 209, 12619, 5761, 1079, 619, 87892, 7232, 1600, 27197, 2338, 17825]])
LATITUDE = [44, 55, 42, 52, 13, 44, 19, 13, 27, 42, 18, 33, 33]
ALLOCATION = ["random"] * 3 + ["random", "alternate", "alternate", "random", "random", "random", "systematic",
                               "systematic", "systematic", "systematic"]
#: Raudenbush (1985), teacher expectancy: effects, variances, weeks of contact before the test, at most 3.
RAUDENBUSH_Y = [0.03, 0.12, -0.14, 1.18, 0.26, -0.06, -0.02, -0.32, 0.27, 0.80, 0.54, 0.18, -0.02, 0.23, -0.18, -0.06,
                0.30, 0.07, -0.07]
RAUDENBUSH_V = [0.0156, 0.0216, 0.0279, 0.1391, 0.1362, 0.0106, 0.0106, 0.0484, 0.0269, 0.0630, 0.0912, 0.0497, 0.0835,
                0.0841, 0.0253, 0.0279, 0.0193, 0.0088, 0.0303]
RAUDENBUSH_WEEKS = [2, 3, 3, 0, 0, 3, 3, 3, 0, 1, 0, 0, 1, 2, 3, 3, 1, 2, 3]
#: St John's wort (Linde 2005): responders, of how many, in both arms; grams a week; weeks; Hamilton score before.
LINDE = np.array([
    [20, 14, 4, 20, 28, 34, 35, 24, 45, 67, 34, 46, 55, 23, 26, 46, 98],
    [25, 20, 25, 32, 50, 48, 53, 49, 80, 106, 60, 70, 123, 37, 98, 113, 186],
    [11, 9, 2, 6, 13, 25, 12, 16, 12, 22, 17, 34, 57, 15, 19, 56, 80],
    [25, 20, 25, 33, 55, 49, 54, 49, 79, 47, 59, 70, 124, 35, 102, 116, 189]])
LINDE_DOSE = [2.66, 6.3, 6.3, 6.3, 6.3, 1.68, 6.3, 6.3, 3.5, 7.35, 6.3, 3.5, 6.3, 6.3, 7.35, 8.4, 6.3]
LINDE_WEEKS = [8, 4, 4, 6, 4, 6, 4, 6, 6, 6, 6, 6, 6, 6, 8, 8, 6]
LINDE_BASELINE = [19.5, 12.5, 22.7, 16.5, 15.8, 23.6, 20.7, 21.1, 19.4, 22.7, 16.7, 20.9, 21.5, 19.9, 22.5, 22.9, 21.9]
# fmt: on
BCG_Y = np.log(BCG[0] / (BCG[0] + BCG[1]) / (BCG[2] / (BCG[2] + BCG[3])))
BCG_SE = np.sqrt(1 / BCG[0] - 1 / (BCG[0] + BCG[1]) + 1 / BCG[2] - 1 / (BCG[2] + BCG[3]))


def quiet(*args, **kwargs):
    """The verb without its warnings, for tests of numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return regress_effects(*args, **kwargs)


@st.composite
def regressions(draw):
    """Effects, variances and two moderators that are not collinear."""
    k = draw(st.integers(6, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    v = np.exp(rng.uniform(-4, 1, k))
    design = np.column_stack([np.ones(k), rng.standard_normal(k), rng.uniform(1990, 2020, k)])
    between = draw(st.sampled_from([0.0, 0.1, 3.0]))
    y = design[:, 1] * draw(st.sampled_from([0.0, 1.0])) + rng.standard_normal(k) * np.sqrt(v + between)
    return y, v, design


# --- published ---------------------------------------------------------------------------------------------


def test_published_raudenbush():
    result = quiet(
        RAUDENBUSH_Y, se=np.sqrt(RAUDENBUSH_V), moderators={"weeks": RAUDENBUSH_WEEKS}, ci_method="wald"
    )
    assert result.tau2 == pytest.approx(0.0, abs=5.1e-5)
    assert result.coefficient == pytest.approx([0.4072, -0.1572], abs=5.1e-5)
    # printed where an iteration stopped at tau2 = 6e-7; the maximum is at 0
    assert result.statistic == pytest.approx([4.6782, -4.3884], abs=1e-4)
    assert result.q == pytest.approx(16.5708, abs=5.1e-5)


# Viechtbauer W (2007). Accounting for heterogeneity via random-effects models and moderator analyses in
# meta-analysis. Z Psychol 215:104-121: residual tau2 of the model with dose, baseline and their product.
@pytest.mark.parametrize(
    ("method", "tau2"),
    [
        ("HS", 0.0253),
        ("HE", 0.0388),
        ("DL", 0.0475),
        ("SJ", 0.0912),
        ("PM", 0.0633),
        ("ML", 0.0240),
        ("REML", 0.0558),
    ],
)
def test_published_st_johns_wort(method, tau2):
    a, n1, c, n2 = LINDE
    y, se = np.log(a / n1 / (c / n2)), np.sqrt(1 / a - 1 / n1 + 1 / c - 1 / n2)
    data = {"dose": np.array(LINDE_DOSE) * LINDE_WEEKS, "baseline": LINDE_BASELINE}
    result = quiet(y, se=se, moderators="~ I(dose - 34) * I(baseline - 20)", data=data, tau2_method=method)
    assert result.tau2 == pytest.approx(tau2, abs=5.1e-5)
    if method == "DL":
        assert 100 * result.r2 == pytest.approx(47.38, abs=5.1e-3)


# --- reference ---------------------------------------------------------------------------------------------


def close(got, expected, rel, floor=1e-12):
    np.testing.assert_allclose(got, np.asarray(expected, dtype=float), rtol=rel, atol=floor)


@pytest.mark.parametrize(("data", "method", "test"), FITS, ids=FIT_IDS)
def test_reference_fit(data, method, test):
    fit, expected = data["fits"][method], data["fits"][method]["tests"][test]
    name = "CE" if method == "EE" else method
    result = quiet(
        data["yi"],
        se=np.sqrt(data["vi"]),
        moderators=data["mods"],
        tau2_method=name,
        ci_method=CI_METHOD[test],
    )
    rel = 1e-6 if method in ITERATIVE else 1e-8
    assert result.names == ("intercept", *data["mods"])
    close(result.tau2, fit["tau2"], rel, 1e-9)
    close(result.tau2_null, fit["tau2_null"], rel, 1e-9)
    if method != "EE":
        close(result.tau2_se, fit["se_tau2"], rel)
    close(result.coefficient, fit["beta"], rel)
    close(result.se, expected["se"], rel)
    close(result.statistic, expected["stat"], rel)
    # the tail magnifies: a relative change of the statistic moves p by its square
    close(result.pvalue, expected["pval"], rel * (1 + np.max(result.statistic**2)), 1e-300)
    half = (np.array(expected["ci_ub"]) - expected["ci_lb"]) / 2
    close(
        np.array(result.confidence_interval()) / half,
        np.array([expected["ci_lb"], expected["ci_ub"]]) / half,
        10 * rel,
        rel,
    )
    close(result.omnibus.statistic, expected["QM"], 2 * rel)
    close(result.omnibus.pvalue, expected["QMp"], 10 * rel * (1 + expected["QM"]), 1e-300)
    df, df_residual = expected["QMdf"]
    assert (result.omnibus.df, result.omnibus.df_residual) == (
        df,
        inf if df_residual is None else df_residual,
    )
    assert result.df == (inf if df_residual is None else expected["ddf"][0])
    close(result.error_scale, expected["s2w"], rel)
    close(result.q, fit["QE"], 1e-8)
    close(result.q_pvalue, fit["QEp"], 1e-8)
    close(result.typical_variance, fit["vt"], 1e-8)
    close(100 * result.r2, fit["R2"], rel, 100 * rel)
    # metafor takes I2 and H2 from tau2, but for the common effect, where it has none, from Q
    i2, h2 = (result.i2, result.h2) if method == "EE" else (result.i2_tau2, result.h2_tau2)
    close(100 * i2, fit["I2"], rel, 1e-7)
    close(h2, fit["H2"], rel)


@pytest.mark.parametrize(("data", "method"), [f[:2] for f in FITS if f[2] == "z"], ids=FIT_IDS[::4])
def test_reference_what_a_fit_answers(data, method):
    fit, name = data["fits"][method], "CE" if method == "EE" else method
    result = quiet(
        data["yi"], se=np.sqrt(data["vi"]), moderators=data["mods"], tau2_method=name, ci_method="wald"
    )
    rel = 1e-6 if method in ITERATIVE else 1e-8
    for kind, restricted in (("ML", False), ("REML", True)):
        criteria = result.criteria(restricted=restricted)
        got = [criteria.log_likelihood, criteria.aic, criteria.bic, criteria.aicc]
        close(got, [fit[f"{key}_{kind}"] for key in ("ll", "AIC", "BIC", "AICc")], 1e-7)
    close(result.covariance, fit["vcov"], rel)
    fitted = result.predict()
    close(fitted.estimate, fit["fitted"]["pred"], rel, 1e-8)
    close(result.fitted, fit["fitted"]["pred"], rel, 1e-8)
    for key, got in (
        ("se", fitted.se),
        ("ci_lb", fitted.ci_lower),
        ("ci_ub", fitted.ci_upper),
        ("pi_lb", fitted.pi_lower),
        ("pi_ub", fitted.pi_upper),
    ):
        if key in fit["fitted"]:
            close(got, fit["fitted"][key], rel, 1e-7)  # nan is None: no prediction from the common effect
    if "hat" in fit:
        close(result.leverage, fit["hat"], rel)
        close(100 * result.weight, fit["weights_pct"], rel)
    if "vif" in fit:
        close(list(result.vif.values()), fit["vif"], rel)
    if "tau2_QP" in fit:
        close(result.tau2_interval(), fit["tau2_QP"][1:], 1e-6)
    if "LRT" in fit:
        test = result.likelihood_ratio_test()
        close(
            [test.statistic, test.pvalue, test.df], [fit["LRT"][key] for key in ("LRT", "pval", "dfs")], 1e-6
        )


FORMULA = REFERENCE["formula"]


@pytest.mark.parametrize("fit", FORMULA["fits"], ids=lambda fit: fit["id"])
def test_reference_formula_predictions_and_test_of_some(fit):
    data = FORMULA["data"]
    result = quiet(
        data["yi"],
        se=np.sqrt(data["vi"]),
        moderators="~ ablat + C(alloc)",
        data=pd.DataFrame({"ablat": data["ablat"], "alloc": data["alloc"]}),
        tau2_method=fit["method"],
        ci_method=CI_METHOD[fit["test"]],
    )
    close(result.tau2, fit["tau2"], 1e-6)
    close(result.coefficient, fit["beta"], 1e-6)
    close(result.se, fit["se"], 1e-6)
    new = {"ablat": [20, 44, 13], "alloc": ["alternate", "random", "systematic"]}
    predicted = result.predict(new, level=0.9)
    for key, got in (
        ("pred", predicted.estimate),
        ("pred_se", predicted.se),
        ("ci_lb", predicted.ci_lower),
        ("ci_ub", predicted.ci_upper),
        ("pi_lb", predicted.pi_lower),
        ("pi_ub", predicted.pi_upper),
    ):
        close(got, fit[key], 1e-6, 1e-7)
    test = result.moderator_test("C(alloc)")
    assert test.names == ("C(alloc)[T.random]", "C(alloc)[T.systematic]")
    assert test == result.moderator_test(test.names)
    close([test.statistic, test.pvalue], [fit["btt_QM"], fit["btt_QMp"]], 1e-6)


PERMUTATION = REFERENCE["permutation"]["cases"]


@pytest.mark.parametrize("case", PERMUTATION, ids=lambda case: case["id"])
def test_reference_permutation(case):
    result = quiet(
        case["yi"],
        se=np.sqrt(case["vi"]),
        moderators=case["mods"],
        tau2_method="CE" if case["method"] == "EE" else case["method"],
        ci_method=CI_METHOD[case["test"]],
    )
    test = result.permutation_test()
    assert (test.exact, test.n_permutations) == (True, case["n"])
    # a whole number of permutations: the nearest other share is 1 / n away
    assert test.pvalue == pytest.approx(case["pval"], abs=1e-6)
    assert test.moderators_pvalue == pytest.approx(case["QMp"], abs=1e-6)
    assert test.pvalue_error.tolist() == [0.0] * len(case["pval"])
    assert test.moderators_pvalue_error == 0.0


# --- second implementation and properties ------------------------------------------------------------------


@given(regressions(), st.sampled_from(["wald", "t", "HK", "mHK"]))
def test_everything_equals_plain_matrix_algebra(data, ci_method):
    y, v, design = data
    result = quiet(y, se=np.sqrt(v), moderators=design[:, 1:], ci_method=ci_method)
    k, p = design.shape
    w = np.diag(1 / (v + result.tau2))
    inverse = np.linalg.inv(design.T @ w @ design)
    beta = inverse @ design.T @ w @ y
    spread = (y - design @ beta) @ w @ (y - design @ beta) / (k - p)
    covariance = inverse * {"wald": 1, "t": 1, "HK": spread, "mHK": max(1, spread)}[ci_method]
    assert result.coefficient == pytest.approx(beta, rel=1e-5, abs=1e-5)
    assert result.se == pytest.approx(np.sqrt(np.diag(covariance)), rel=1e-5)
    block = result.covariance[1:, 1:]
    q = result.coefficient[1:] @ np.linalg.inv(block) @ result.coefficient[1:]
    expected = stats.chi2.sf(q, 2) if ci_method == "wald" else stats.f.sf(q / 2, 2, k - p)
    assert result.omnibus.pvalue == pytest.approx(expected, rel=1e-6)
    row = np.array([1.0, 0.3, 2001.0])
    predicted = result.predict([[0.3, 2001.0]])
    assert predicted.estimate == pytest.approx([row @ beta], rel=1e-4, abs=1e-6)
    assert predicted.se == pytest.approx([np.sqrt(row @ covariance @ row)], rel=1e-4)


@given(regressions(), st.floats(-3000, 3000), st.floats(0.01, 100))
def test_another_origin_and_unit_of_a_moderator_change_its_coefficient_alone(data, origin, unit):
    y, v, design = data
    first = quiet(y, se=np.sqrt(v), moderators=design[:, 1:])
    moved = quiet(y, se=np.sqrt(v), moderators=np.column_stack([design[:, 1], origin + unit * design[:, 2]]))
    assert moved.tau2 == pytest.approx(first.tau2, rel=1e-6, abs=1e-8)
    assert moved.fitted == pytest.approx(first.fitted, rel=1e-6, abs=1e-6)
    assert unit * moved.coefficient[2] == pytest.approx(first.coefficient[2], rel=1e-5, abs=1e-8)
    assert moved.statistic[1:] == pytest.approx(first.statistic[1:], rel=1e-5, abs=1e-6)
    assert moved.criteria(restricted=False).aic == pytest.approx(
        first.criteria(restricted=False).aic, rel=1e-6, abs=1e-6
    )


@given(regressions(), st.sampled_from(sorted(TAU2_ESTIMATORS)), st.sampled_from(["wald", "t", "HK", "mHK"]))
def test_ones_alone_are_pooling(data, method, ci_method):
    y, v, _ = data
    regression = quiet(
        y,
        se=np.sqrt(v),
        moderators="~ 0 + one",
        data={"one": np.ones(y.size)},
        tau2_method=method,
        ci_method=ci_method,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        pooled = pool_effects(y, se=np.sqrt(v), tau2_method=method, ci_method=ci_method)
    assert regression.tau2 == pytest.approx(pooled.tau2, rel=1e-7, abs=1e-9)
    assert regression.coefficient == pytest.approx([pooled.estimate], rel=1e-6, abs=1e-8)
    assert regression.se == pytest.approx([pooled.se], rel=1e-6)
    assert regression.df == pooled.df
    assert regression.q == pytest.approx(pooled.q)
    assert regression.tau2_interval() == pytest.approx(pooled.tau2_interval(), rel=1e-6, abs=1e-9)
    assert (regression.i2, regression.i2_tau2) == pytest.approx((pooled.i2, pooled.i2_tau2), abs=1e-7)
    assert np.isnan(regression.r2)
    assert np.isnan(regression.tau2_null)
    assert regression.vif == {"one": pytest.approx(1.0)}


@given(regressions())
def test_the_null_model_is_pooling(data):
    y, v, design = data
    result = quiet(y, se=np.sqrt(v), moderators=design[:, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        pooled = pool_effects(y, se=np.sqrt(v))
    assert result.tau2_null == pytest.approx(pooled.tau2, rel=1e-6, abs=1e-9)
    assert result.q_null == pytest.approx(pooled.q)
    assume(pooled.tau2 > 0)
    assert result.r2 == pytest.approx(max(0.0, 1 - result.tau2 / pooled.tau2), abs=1e-5)


@settings(max_examples=5)
@given(st.integers(0, 2**32 - 1))
def test_random_permutations_agree_with_all_of_them(seed):
    rng = np.random.default_rng(seed)
    y, x = rng.standard_normal(7), np.arange(7.0)
    result = quiet(y, se=np.full(7, 0.5), moderators=x, tau2_method="DL", ci_method="wald")
    every, some = result.permutation_test(), result.permutation_test(n_permutations=2000, rng=rng)
    assert (every.exact, every.n_permutations, some.exact, some.n_permutations) == (True, 5040, False, 2000)
    assert abs(some.pvalue[1] - every.pvalue[1]) < 6 * np.sqrt(0.25 / 2000)
    p = some.pvalue[1]
    assert some.pvalue_error[1] == pytest.approx(np.sqrt(p * (1 - p) / 2000))


def test_equal_variances_make_the_permutation_test_that_of_a_correlation():
    rng = np.random.default_rng(1)
    y, x = rng.standard_normal(7), rng.standard_normal(7)
    result = quiet(y, se=np.full(7, 0.3), moderators=x, tau2_method="CE", ci_method="HK")
    r = [abs(np.corrcoef(y, x[list(order)])[0, 1]) for order in permutations(range(7))]
    expected = np.mean(np.array(r) >= r[0] - 1e-12)
    assert result.permutation_test().pvalue[1] == pytest.approx(expected)


def test_a_seed_gives_the_same_permutations_and_p_is_never_zero():
    x = np.arange(30.0)
    result = quiet(10 * x, se=np.ones(30), moderators=x, tau2_method="CE", ci_method="wald")
    first, second = (result.permutation_test(n_permutations=1500, rng=7) for _ in range(2))
    assert first.pvalue.tolist() == second.pvalue.tolist()
    assert first.pvalue[1] == first.moderators_pvalue == 1 / 1501


# --- what goes in ------------------------------------------------------------------------------------------

FRAME = pd.DataFrame({"latitude": LATITUDE, "allocation": ALLOCATION})


def same(first, second):
    assert second.coefficient.tolist() == first.coefficient.tolist()
    assert second.names == first.names


def test_every_way_to_give_moderators_is_the_same():
    plain = quiet(BCG_Y, se=BCG_SE, moderators=FRAME)
    assert plain.names == ("intercept", "latitude", "allocation[T.random]", "allocation[T.systematic]")
    columns = {"latitude": LATITUDE, "allocation": ALLOCATION}
    for given_ in (
        columns,
        pl.DataFrame(columns),
        pa.table(columns),
        FRAME.astype({"allocation": "category"}),
    ):
        same(plain, quiet(BCG_Y, se=BCG_SE, moderators=given_))
    for data in (FRAME, columns, pl.DataFrame(columns), pa.table(columns)):
        by_formula = quiet(BCG_Y, se=BCG_SE, moderators="~ latitude + allocation", data=data)
        assert by_formula.coefficient == pytest.approx(plain.coefficient, rel=1e-9)
        assert set(by_formula.names) == set(plain.names)
    alone = quiet(BCG_Y, se=BCG_SE, moderators=LATITUDE)
    assert alone.names == ("intercept", "x")
    assert quiet(BCG_Y, se=BCG_SE, moderators=FRAME["latitude"]).names == ("intercept", "latitude")
    assert quiet(BCG_Y, se=BCG_SE, moderators=np.array([LATITUDE, BCG_SE]).T).names == (
        "intercept",
        "x1",
        "x2",
    )


def test_a_categorical_orders_its_levels():
    order = pd.Categorical(ALLOCATION, categories=["systematic", "unused", "random", "alternate"])
    result = quiet(BCG_Y, se=BCG_SE, moderators={"how": order})
    assert result.names == ("intercept", "how[T.random]", "how[T.alternate]")
    formula = quiet(BCG_Y, se=BCG_SE, moderators="~ how", data={"how": order})
    assert formula.coefficient == pytest.approx(result.coefficient)
    assert formula.names == result.names


def test_true_and_false_are_numbers():
    late = [value > 40 for value in LATITUDE]
    assert quiet(BCG_Y, se=BCG_SE, moderators={"far": late}).names == ("intercept", "far")


def test_a_formula_may_do_without_an_intercept():
    result = quiet(BCG_Y, se=BCG_SE, moderators="~ 0 + allocation", data=FRAME, ci_method="wald")
    assert len(result.names) == 3
    assert np.isnan([result.r2, result.tau2_null]).all()
    assert result.omnibus.df == 3
    with_intercept = quiet(BCG_Y, se=BCG_SE, moderators="~ allocation", data=FRAME, ci_method="wald")
    assert result.fitted == pytest.approx(with_intercept.fitted)


def test_new_values_are_coded_as_the_old_ones():
    formula = "~ center(latitude) * allocation"
    result = quiet(BCG_Y, se=BCG_SE, moderators=formula, data=FRAME)
    again = result.predict(FRAME.iloc[[4, 9]])
    assert again.estimate == pytest.approx(result.fitted[[4, 9]])
    plain = quiet(BCG_Y, se=BCG_SE, moderators=FRAME)
    predicted = plain.predict({"latitude": [13, 42], "allocation": "random"})
    assert predicted.label == ("latitude 13, allocation random", "latitude 42, allocation random")
    b = plain.coefficient
    assert predicted.estimate == pytest.approx([b[0] + 13 * b[1] + b[2], b[0] + 42 * b[1] + b[2]])


def test_along_one_moderator_the_others_are_averaged():
    plain = quiet(BCG_Y, se=BCG_SE, moderators=FRAME)
    shares = plain.design[:, 2:].mean(axis=0)
    along = plain.predict_along("latitude", [20.0, 40.0])
    expected = plain.predict_rows([[1, 20, *shares], [1, 40, *shares]], ["a", "b"])
    assert along.estimate == pytest.approx(expected.estimate)
    assert along.se == pytest.approx(expected.se)
    assert along.label == ("latitude 20", "latitude 40")
    bent = quiet(BCG_Y, se=BCG_SE, moderators="~ latitude + I(latitude**2)", data=FRAME)
    assert bent.predict_along("latitude", [20]).design.tolist() == [[1.0, 20.0, 400.0]]


# --- what comes out ----------------------------------------------------------------------------------------


def test_text():
    result = regress_effects(
        BCG_Y, se=BCG_SE, moderators={"latitude": LATITUDE}, measure="log_hr", ci_method="wald"
    )
    b, se, p = result.coefficient, result.se, result.pvalue
    lines = str(result).splitlines()
    assert lines[0] == "Hazard ratio (log scale), meta-regression, tau2 by REML, CI by wald, k = 13"
    z = 1.959963984540054
    assert lines[3].split() == [
        "latitude",
        f"{b[1]:.4f}",
        f"{se[1]:.5f}",
        f"[{b[1] - z * se[1]:.4f},",
        f"{b[1] + z * se[1]:.4f}]",
        "<",
        "0.001",
    ]
    assert p[1] < 0.001
    q = (b[1] / se[1]) ** 2
    assert lines[4] == f"  moderators  chi2 {q:.2f} on 1 df, p < 0.001   R2 {100 * result.r2:.0f}%"
    assert lines[5].startswith(f"  residual    tau2 {result.tau2:.4f}   95% CI [")
    assert lines[5].endswith(f"I2 {100 * result.i2:.0f}%   Q {result.q:.2f} on 11 df, p = 0.001")
    common = quiet(BCG_Y, se=BCG_SE, moderators=LATITUDE, tau2_method="CE")
    assert str(common).startswith("Effect, meta-regression, common effect, CI by mHK, k = 13\n")
    assert "tau2" not in str(common)
    assert str(result.omnibus) == f"chi2 {q:.2f} on 1 df, p < 0.001"
    assert result._repr_html_().count("<tr>") == 3


def test_frames_and_json():
    result = quiet(BCG_Y, se=BCG_SE, moderators=FRAME, study=[f"Trial {i}" for i in range(13)])
    frame = result.summary_frame(0.9)
    assert frame.index.tolist() == list(result.names)
    assert frame["estimate"].tolist() == result.coefficient.tolist()
    assert frame["ci_upper"].tolist() == result.confidence_interval(0.9).upper.tolist()
    model = result.model_frame().iloc[0]
    assert (model["tau2"], model["r2"], model["k"], model["p"]) == (result.tau2, result.r2, 13, 4)
    assert model["moderators_pvalue"] == result.omnibus.pvalue
    assert (model["tau2_lower"], model["tau2_upper"]) == result.tau2_interval()
    studies = result.study_frame()
    assert studies.index.tolist()[:2] == ["Trial 0", "Trial 1"]
    assert studies["allocation"].tolist() == ALLOCATION
    assert (studies["fitted"] + studies["residual"]).tolist() == pytest.approx(BCG_Y.tolist())
    assert studies["weight"].sum() == pytest.approx(1.0)
    assert studies["leverage"].sum() == pytest.approx(4.0)
    kept = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert [row["coefficient"] for row in kept["coefficients"]] == list(result.names)
    assert kept["tau2"] == result.tau2
    wald = quiet(BCG_Y, se=BCG_SE, moderators=FRAME, ci_method="wald").to_dict()
    assert wald["coefficients"][0]["df"] == "inf"
    for answer in (
        result.predict({"latitude": 10, "allocation": "random"}),
        result.permutation_test(n_permutations=50, rng=1),
    ):
        json.dumps(answer.to_dict(), allow_nan=False)
    json.dumps(result.omnibus.to_dict(), allow_nan=False)


def test_predictions_on_the_printed_scale():
    result = quiet(BCG_Y, se=BCG_SE, moderators={"latitude": LATITUDE}, measure="log_hr")
    predicted = result.predict({"latitude": [0, 45]})
    assert predicted.natural.tolist() == pytest.approx(np.exp(predicted.estimate).tolist())
    assert predicted.natural_interval.lower.tolist() == pytest.approx(np.exp(predicted.ci_lower).tolist())
    assert predicted.natural_prediction_interval.upper.tolist() == pytest.approx(
        np.exp(predicted.pi_upper).tolist()
    )
    text = str(predicted).splitlines()
    assert text[0].split() == ["at", "Hazard", "ratio", "95%", "CI", "95%", "PI"]
    assert text[2].split()[:3] == ["latitude", "45", f"{predicted.natural[1]:.2f}"]
    assert predicted.summary_frame().index.tolist() == ["latitude 0", "latitude 45"]
    assert predicted._repr_html_().count("<tr>") == 3
    turned = quiet(BCG_Y, se=BCG_SE, moderators=LATITUDE, measure="cloglog_survival").predict([10.0])
    assert turned.natural_interval.lower < turned.natural < turned.natural_interval.upper


def test_the_permutation_test_says_what_it_did():
    result = quiet(BCG_Y, se=BCG_SE, moderators={"latitude": LATITUDE}, tau2_method="DL")
    test = result.permutation_test(n_permutations=200, rng=1)
    lines = str(test).splitlines()
    assert lines[0] == "Permutation test, tau2 by DL, statistics by mHK, k = 13, 200 permutations (random)"
    assert lines[3].split()[0] == "latitude"
    assert lines[4].split()[:2] == ["all", "moderators"]
    frame = test.summary_frame()
    assert frame.index.tolist() == ["intercept", "latitude", "all moderators"]
    assert frame["statistic"].tolist() == [*result.statistic, result.omnibus.statistic]
    assert test._repr_html_().count("<tr>") == 4


def test_few_permutations_are_said():
    result = quiet([0.1, 0.5, 0.3, 0.9], se=[0.2] * 4, moderators=[0, 0, 0, 1])
    message = "Only 4 permutations exist, so no p-value can be below 0.25."
    with pytest.warns(FewStudiesWarning, match=f"^{re.escape(message)}$") as said:
        test = result.permutation_test()
    assert said[0].filename == __file__
    assert str(test).endswith(f"  FewStudiesWarning: {message}")
    assert test.pvalue.min() >= 0.25


def test_intervals_by_another_method():
    result = quiet(BCG_Y, se=BCG_SE, moderators=FRAME)
    for method in CI_METHOD.values():
        other = quiet(BCG_Y, se=BCG_SE, moderators=FRAME, ci_method=method)
        close(result.confidence_interval(0.8, method=method), other.confidence_interval(0.8), 1e-12)
    message = "method must be one of wald, t, HK, mHK; got 'KR'."
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        result.confidence_interval(method="KR")
    assert result.tau2_interval(method="PL_REML") != result.tau2_interval()
    with pytest.raises(InvalidInputError, match=r"^method must be one of QP, "):
        result.tau2_interval(method="XX")


def test_the_result_is_frozen_and_its_arrays_cannot_be_written():
    latitude = np.array(LATITUDE, dtype=float)
    result = quiet(BCG_Y, se=BCG_SE, moderators={"latitude": latitude})
    latitude[0] = 99.0
    assert result.moderators["latitude"][0] == 44.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.tau2 = 0.0
    for array in (
        result.coefficient,
        result.covariance,
        result.design,
        result.fitted,
        result.leverage,
        result.weight,
        result.study_estimate,
        result.study_se,
        result.moderators["latitude"],
        result.predict().estimate,
    ):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1.0


def test_a_tiny_p_is_a_number():
    x = np.arange(40.0)
    result = quiet(5 * x, se=np.ones(40), moderators=x, tau2_method="CE", ci_method="wald")
    z = 5 * np.sqrt(((x - x.mean()) ** 2).sum())
    assert result.omnibus.statistic == pytest.approx(z**2)
    assert result.pvalue[1] == 0.0  # below the smallest number there is
    smaller = quiet(0.2 * x, se=np.ones(40), moderators=x, tau2_method="CE", ci_method="wald")
    assert 0 < smaller.omnibus.pvalue < 1e-30


# --- doubts ------------------------------------------------------------------------------------------------


def test_few_studies_are_said():
    message = (
        "13 studies are few for 3 coefficients, where ten each are the least. Take the result as a hypothesis, "
        "and see permutation_test."
    )
    with pytest.warns(FewStudiesWarning, match=f"^{re.escape(message)}$") as said:
        result = regress_effects(BCG_Y, se=BCG_SE, moderators=FRAME)
    assert said[0].filename == __file__
    assert [caution.message for caution in result.warnings] == [message]
    assert str(result).endswith(f"  FewStudiesWarning: {message}")
    with pytest.warns(
        FewStudiesWarning, match="^4 studies are few for 1 coefficient, where ten are the least"
    ):
        regress_effects([0.1, 0.5, 0.3, 0.9], se=[0.2] * 4, moderators=[1, 5, 3, 2], ci_method="mHK")


def test_a_fit_too_good_is_said():
    x = np.arange(12.0)
    y = 0.1 * x + 0.01 * np.cos(7 * x)
    with pytest.warns(NarrowIntervalWarning) as said:
        result = regress_effects(y, se=np.full(12, 0.2), moderators={"year": x}, ci_method="HK")
    share = result.confidence_interval().upper - result.coefficient
    common = quiet(y, se=np.full(12, 0.2), moderators=x, tau2_method="CE", ci_method="wald")
    ratio = (share / (common.confidence_interval().upper - common.coefficient)).min()
    assert str(said[0].message) == (
        f"The 95% HK intervals of intercept and year are down to {ratio:.2f} times as wide as the common-effect ones, "
        "because the effects agree with the regression better than chance lets expect. Use ci_method='mHK'."
    )
    message = "The regression fits all effects exactly, so HK intervals are undefined. Use ci_method='mHK'."
    with pytest.warns(NarrowIntervalWarning, match=f"^{re.escape(message)}$"):
        exact = regress_effects(np.zeros(12), se=np.full(12, 0.2), moderators=x, ci_method="HK")
    assert np.isnan(exact.se).all()
    assert "undefined" in str(exact)


# --- a method of one's own ---------------------------------------------------------------------------------


def quarter(_estimate, _variance, _design, /):
    return Tau2Estimate(0.25, True, 0)


def test_a_callable_is_used_as_it_is_and_named():
    result = quiet(BCG_Y, se=BCG_SE, moderators=LATITUDE, tau2_method=quarter)
    assert (result.tau2, result.tau2_null, result.tau2_method) == (0.25, 0.25, "quarter")
    assert np.isnan(result.tau2_se)
    message = (
        f"A permutation test estimates tau2 anew each time, by one of {', '.join(TAU2_ESTIMATORS)}; "
        "this regression used 'quarter'."
    )
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        result.permutation_test()


@pytest.mark.parametrize("value", [-0.1, nan, inf, np.array([0.1, 0.2])])
def test_a_callable_that_gives_nonsense(value):
    def nonsense(_estimate, _variance, _design, /):
        return Tau2Estimate(value, True, 0)

    with pytest.raises(
        InvalidInputError, match=r"^tau2_method must give a Tau2Estimate with one finite tau2 >= 0; "
    ):
        quiet(BCG_Y, se=BCG_SE, moderators=LATITUDE, tau2_method=nonsense)


def test_a_callable_that_does_not_arrive():
    def lost(_estimate, _variance, _design, /):
        return Tau2Estimate(0.5, False, 99)

    with pytest.raises(ConvergenceError, match=r"^tau2 by lost did not converge\.$") as caught:
        quiet(BCG_Y, se=BCG_SE, moderators=LATITUDE, tau2_method=lost)
    assert caught.value.last == 0.5


# --- bad input ---------------------------------------------------------------------------------------------

NAMES = [f"Trial {i}" for i in range(1, 14)]
HOLE = [*LATITUDE[:3], None, *LATITUDE[4:]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"se": [*BCG_SE[:12], 0.0]}, "Trial 13: se must be positive; got 0 at position 12."),
        ({"estimate": [nan, *BCG_Y[1:]]}, "Trial 1: estimate must be finite; got nan at position 0."),
        ({"se": BCG_SE[:5]}, "estimate and se must have the same length; got 13 and 5."),
        ({"study": NAMES[:2]}, "study must have one label for each of 13 studies; got 2."),
        (
            {"moderators": {"year": HOLE}},
            "Trial 4: moderator 'year' is missing. Give a value or leave the study out.",
        ),
        (
            {"moderators": {"year": [*LATITUDE[:3], nan, *LATITUDE[4:]]}},
            "Trial 4: moderator 'year' is missing. Give a value or leave the study out.",
        ),
        (
            {"moderators": {"year": [*LATITUDE[:3], pd.NA, *LATITUDE[4:]]}},
            "Trial 4: moderator 'year' is missing. Give a value or leave the study out.",
        ),
        (
            {"moderators": {"year": np.ma.array(LATITUDE, mask=np.arange(13) == 3)}},
            "Trial 4: moderator 'year' is missing. Give a value or leave the study out.",
        ),
        (
            {"moderators": np.ma.array(np.column_stack([LATITUDE, BCG_Y]), mask=np.eye(13, 2, k=-3))},
            "Trial 4: moderator 'x1' is missing. Give a value or leave the study out.",
        ),
        (
            {"moderators": {"year": [*LATITUDE[:3], inf, *LATITUDE[4:]]}},
            "Trial 4: moderator 'year' must be finite; got inf.",
        ),
        (
            {"moderators": {"year": [*LATITUDE[:3], "1990", *LATITUDE[4:]]}},
            "Trial 4: moderator 'year' must be a number; got '1990'.",
        ),
        (
            {"moderators": {"how": ["a", *LATITUDE[1:]]}},
            "Trial 2: moderator 'how' must be words as its other values are; got 55.",
        ),
        (
            {"moderators": {"year": LATITUDE[:4]}},
            "estimate and moderator 'year' must have the same length; got 13 and 4.",
        ),
        (
            {"moderators": {"a": LATITUDE, "b": LATITUDE[:4]}},
            "Moderators must have the same number of values; got a 13 and b 4.",
        ),
        ({"moderators": {"a": [LATITUDE]}}, "Moderator 'a' must have one dimension; got shape (1, 13)."),
        ({"moderators": np.zeros((13, 2, 2))}, "Moderators must have one or two dimensions; got "),
        ({"moderators": 3.0}, "Moderators must have one or two dimensions; got shape ()."),
        ({"moderators": {}}, "There are no moderators; without any, use pool_effects."),
        (
            {"moderators": "~ 1", "data": FRAME},
            "There are no moderators among latitude and allocation; without any, use pool_effects.",
        ),
        ({"moderators": "~ year"}, "The formula '~ year' needs data, with the moderators as columns."),
        (
            {"moderators": LATITUDE, "data": FRAME},
            "data goes with a formula; give the moderators or a formula, not both.",
        ),
        (
            {"moderators": "y ~ latitude", "data": FRAME},
            "A formula names moderators after a tilde, such as '~ year + C(design)'; got 'y ~ latitude'.",
        ),
        (
            {"moderators": "latitude", "data": FRAME},
            "A formula names moderators after a tilde, such as '~ year + C(design)'; got 'latitude'.",
        ),
        (
            {"moderators": "~ latitude + longitude", "data": FRAME},
            "The formula '~ latitude + longitude' cannot be evaluated: Unable to evaluate factor `longitude`.",
        ),
        ({"moderators": "~ latitude +", "data": FRAME}, "The formula '~ latitude +' cannot be evaluated: "),
        (
            {"moderators": "~ np.log(latitude - 13)", "data": FRAME},
            "Trial 5: moderator 'np.log(latitude - 13)' must be finite; got -inf.",
        ),
        (
            {"moderators": {"site": [3] * 13}},
            "Moderator 'site' is 3 in every study and explains nothing. Leave it out.",
        ),
        (
            {"moderators": {"a": LATITUDE, "b": 2 * np.array(LATITUDE) + 3}},
            "Moderator 'b' follows from intercept and a. Leave one of them out.",
        ),
        (
            {"moderators": {"a": LATITUDE, "b": BCG_SE, "c": 1e6 * (np.array(LATITUDE) - BCG_SE)}},
            "Moderator 'c' follows from a and b. Leave one of them out.",
        ),
        (
            {"moderators": "~ 0 + a + b", "data": {"a": LATITUDE, "b": 3 * np.array(LATITUDE)}},
            "Moderator 'b' follows from a. Leave one of them out.",
        ),
        (
            {
                "estimate": [1.0, 2.0, 3.0],
                "se": [1.0] * 3,
                "study": None,
                "moderators": np.array([[1, 2, 4], [2, 1, 7.0]]).T,
            },
            "3 coefficients (intercept, x1, x2) need more than 3 studies; got 3. Use fewer moderators.",
        ),
        (
            {"se": [*BCG_SE[:12], 1e-30]},
            "Effects and standard errors span too many orders of magnitude for a regression: effects from "
            f"{min(BCG_Y):g} to {max(BCG_Y):g}, se from 1e-30 (Trial 13) to {max(BCG_SE):g}. Check the units.",
        ),
        (
            {"estimate": [1e300, *BCG_Y[1:]]},
            "Effects and standard errors span too many orders of magnitude for a regression: effects from "
            f"{min(BCG_Y):g} to 1e+300, se from {min(BCG_SE):g} (Trial 8) to {max(BCG_SE):g}. Check the units.",
        ),
        (
            {"moderators": {"dose": np.array(LATITUDE) * 1e200}},
            "Moderator 'dose' is 5.5e+201 at most. Give it in another unit.",
        ),
        (
            {"moderators": {"dose": np.array(LATITUDE) * 1e-200}},
            "Moderator 'dose' is 5.5e-199 at most. Give it in another unit.",
        ),
        ({"ci_method": "KR"}, "ci_method must be one of wald, t, HK, mHK; got 'KR'."),
        ({"tau2_method": "XX"}, f"tau2_method must be one of {', '.join(TAU2_ESTIMATORS)}; got 'XX'."),
        ({"tau2_method": 3}, "tau2_method must be a name or a callable; got 3."),
        ({"measure": "hr"}, "measure must be one of generic, "),
    ],
)
def test_bad_input(change, message):
    call = {"estimate": BCG_Y, "se": BCG_SE, "study": NAMES, "moderators": LATITUDE} | change
    end = "$" if message.endswith(".") and "Unable" not in message else ""
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}{end}"):
        quiet(call.pop("estimate"), **call)


def test_bad_questions():
    result = quiet(BCG_Y, se=BCG_SE, moderators=FRAME)
    by_formula = quiet(
        BCG_Y,
        se=BCG_SE,
        moderators="~ np.log(latitude) + C(zone)",
        data={"latitude": LATITUDE, "zone": [1, 2, 3] * 4 + [1]},
    )
    for ask, message in (
        (lambda: result.predict({"latitude": 3}), "Moderator 'allocation' is missing; got latitude."),
        (
            lambda: result.predict({"latitude": 3, "allocation": "drawn"}),
            "Row 1: moderator 'allocation' must be one of alternate, random, systematic; got 'drawn'.",
        ),
        (
            lambda: result.predict({"latitude": [3, None], "allocation": "random"}),
            "Row 2: moderator 'latitude' is missing. Give a value or leave the study out.",
        ),
        (
            lambda: result.predict([[1.0, 2.0, 3.0]]),
            "Moderators must have the columns latitude and allocation; got 3 columns.",
        ),
        (lambda: result.predict(level=95), "level must be a fraction between 0 and 1, such as 0.95; got 95."),
        (
            lambda: by_formula.predict({"latitude": 0, "zone": 1}),
            "Row 1: moderator 'np.log(latitude)' must be finite; got -inf.",
        ),
        (
            lambda: result.moderator_test("year"),
            "There is no moderator 'year'; there are intercept, latitude, allocation[T.random], "
            "allocation[T.systematic], allocation.",
        ),
        (
            lambda: result.predict_along("allocation", [1]),
            "There is no moderator 'allocation' of numbers; there are latitude.",
        ),
        (
            lambda: result.permutation_test(n_permutations=0),
            "n_permutations must be a whole number of at least 1; got 0.",
        ),
        (
            lambda: result.likelihood_ratio_test(),
            "Models with different moderators compare by their full likelihood: the test needs an intercept and "
            "tau2_method='ML'; this model has one and 'REML'.",
        ),
    ):
        with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
            ask()
    with pytest.raises(InvalidInputError, match="cannot be evaluated: Data has categories outside"):
        by_formula.predict({"latitude": 3, "zone": 9})
    assert np.isnan(result.moderator_test([]).statistic)
    assert str(result.moderator_test([])) == "undefined"
