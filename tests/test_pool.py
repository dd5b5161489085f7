import dataclasses
import json
import math
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.errors import (
    ConvergenceError,
    FewStudiesWarning,
    InvalidInputError,
    NarrowIntervalWarning,
    NetsynthWarning,
)
from netsynth.kernels.scales import MEASURES, survival_effect
from netsynth.kernels.tau2 import TAU2_ESTIMATORS, Tau2Estimate
from netsynth.kernels.tau2_intervals import TAU2_INTERVALS
from netsynth.pool import pool_effects

REFERENCES = Path(__file__).parent / "references"
RANDOM_EFFECTS = json.loads((REFERENCES / "random_effects.json").read_text(encoding="utf-8"))
LANDMARKS = json.loads((REFERENCES / "landmark_survival.json").read_text(encoding="utf-8"))
FITS = [(data, method) for data in RANDOM_EFFECTS for method in data["fits"]]
FIT_IDS = [f"{data['dataset']}-{method}" for data, method in FITS]
ITERATIVE = ("DLIT", "EB", "ML", "PM", "PMM", "REML")
METAFOR_TEST = {"wald": "z", "t": "t", "HK": "knha", "mHK": "adhoc"}

LOG_HR, SE = [-0.51, -0.12, -0.33], [0.18, 0.10, 0.15]
# fmt: off
#: Cisapride (Hartung & Knapp 2001), https://doi.org/10.1002/sim.1009: improved, of how many, in both arms.
CISAPRIDE = np.array([
    [15, 12, 29, 42, 14, 44, 14, 29, 10, 17, 38, 19, 21], [16, 16, 34, 56, 22, 54, 17, 58, 14, 26, 44, 29, 38],
    [9, 1, 18, 31, 6, 17, 7, 23, 3, 6, 12, 22, 19], [16, 16, 34, 56, 22, 55, 15, 58, 15, 27, 45, 30, 38]])
# fmt: on


def quiet(function, *args, **kwargs):
    """The verb without its warnings, for tests of numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return function(*args, **kwargs)


# --- published ---------------------------------------------------------------------------------------------


def test_published_cisapride():
    # The manual of the R package pimeta prints OR 4.141, tau2 0.718, I2 69.9% with 1/2 added to every cell.
    m1, n1, m2, n2 = CISAPRIDE
    cells = np.array([m1, n1 - m1, m2, n2 - m2]) + 0.5
    y, se = np.log(cells[0] * cells[3] / (cells[1] * cells[2])), np.sqrt((1 / cells).sum(axis=0))
    pooled = pool_effects(y, se=se, tau2_method="DL")
    assert np.exp(pooled.estimate) == pytest.approx(4.141, abs=5.1e-4)
    assert pooled.tau2 == pytest.approx(0.718, abs=5.1e-4)
    assert pooled.i2 == pytest.approx(0.699, abs=5.1e-4)


def test_published_normand_intervals():
    # Normand (1999), Stat Med 18:321-359, Table IX.
    y = [-20, -2, -55, -71, -4, 1, 11, -10, 7]
    v = np.array([40.5863, 2.0468, 15.2809, 150.2222, 20.1923, 1.2235, 95.3756, 8.0321, 20.6936])
    printed = {"CE": (-5.0265, -1.9613), "DL": (-24.4454, -3.7490), "REML": (-32.6716, 2.4282)}
    for method, expected in printed.items():
        pooled = pool_effects(y, se=np.sqrt(v), tau2_method=method, ci_method="wald")
        assert pooled.confidence_interval() == pytest.approx(expected, abs=2e-4)  # v has four decimals


#: BCG trials (Colditz 1994): tuberculosis and none, vaccinated and not.
# fmt: off
BCG = np.array([
    [4, 6, 3, 62, 33, 180, 8, 505, 29, 17, 186, 5, 27],
    [119, 300, 228, 13536, 5036, 1361, 2537, 87886, 7470, 1699, 50448, 2493, 16886],
    [11, 29, 11, 248, 47, 372, 10, 499, 45, 65, 141, 3, 29],
    [128, 274, 209, 12619, 5761, 1079, 619, 87892, 7232, 1600, 27197, 2338, 17825]])
# fmt: on


def test_reference_bcg_conventions():
    # metafor 5.1: escalc(measure="RR"), rma() with a tight tolerance, predict(pi.type=...); I2 as metafor prints
    # it from tau2 and as meta 8.3 prints it from Q.
    a, b, c, d = BCG
    y, v = np.log(a / (a + b) / (c / (c + d))), 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)
    pooled = pool_effects(y, se=np.sqrt(v))
    assert pooled.tau2 == pytest.approx(0.313243258, abs=5.1e-10)
    assert (100 * pooled.i2_tau2, 100 * pooled.i2) == pytest.approx((92.22, 92.12), abs=5.1e-3)
    printed = {
        "normal": (-1.867, 0.438),
        "t_km1": (-1.995, 0.566),
        "t_km2": (-2.008, 0.579),
        "HK_km1": (-1.996, 0.567),
    }
    for method, expected in printed.items():
        assert pooled.prediction_interval(method=method) == pytest.approx(expected, abs=5.1e-4)


# --- reference ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ci_method", METAFOR_TEST)
@pytest.mark.parametrize(("data", "method"), FITS, ids=FIT_IDS)
def test_reference_fit(data, method, ci_method):
    y, v, fit = np.array(data["yi"]), np.array(data["vi"]), data["fits"][method]
    expected = fit["tests"].get(METAFOR_TEST[ci_method])
    if expected is None:
        return  # the cases on which metafor fails carry the z test alone
    # in metafor GENQ's weights are given, and are those of the mean too
    weight = 1 / v if method == "GENQ" else None
    pooled = quiet(pool_effects, y, se=np.sqrt(v), tau2_method=method, ci_method=ci_method, weight=weight)
    rel = {"SJIT": 1e-5}.get(method, 1e-6 if method in ITERATIVE else 1e-8)
    assert pooled.estimate == pytest.approx(fit["beta"], rel=rel)
    assert pooled.q == pytest.approx(fit["QE"], rel=1e-8, abs=1e-12)
    if y.size == 1:  # metafor agrees on the Wald interval; for the others it has none
        assert pooled.confidence_interval() == pytest.approx(data["fits"]["CE"]["tests"]["z"]["ci"], rel=1e-8)
        return
    assert pooled.q_pvalue == pytest.approx(fit["QEp"], rel=1e-8, abs=1e-300)
    if "weights_pct" in fit:
        np.testing.assert_allclose(100 * pooled.weight, fit["weights_pct"], rtol=10 * rel)
    if expected["se"] == 0:
        assert np.isnan(pooled.se)
        return
    half = (expected["ci"][1] - expected["ci"][0]) / 2
    assert pooled.confidence_interval() == pytest.approx(expected["ci"], abs=10 * rel * half)
    # the tail magnifies: a relative change of the statistic t moves p by its square
    t = abs(fit["beta"] / expected["se"])
    assert pooled.pvalue == pytest.approx(expected["pval"], rel=10 * rel * (1 + t * t), abs=1e-300)


@pytest.mark.parametrize("case", LANDMARKS, ids=lambda case: case["id"])
@pytest.mark.parametrize("name", LANDMARKS[0]["fits"])
def test_reference_landmark_survival(case, name):
    measure, method = name.split()
    survival, n = np.array(case["survival"]), np.array(case["n_total"])
    kept = (survival > 0) & (survival < 1)
    survival, n = survival[kept], n[kept]
    effect = survival_effect(survival, np.sqrt(survival * (1 - survival) / n), measure)
    pooled = pool_effects(
        effect.estimate, se=np.sqrt(effect.variance), measure=measure, tau2_method=method, ci_method="wald"
    )
    fit = case["fits"][name]
    assert pooled.estimate == pytest.approx(fit["beta"], rel=1e-6)
    assert pooled.natural == pytest.approx(fit["back"]["pred"], rel=1e-6)
    assert pooled.natural_interval() == pytest.approx(fit["back"]["ci"], rel=1e-6)
    assert pooled.q == pytest.approx(fit["QE"], rel=1e-8)


# --- what the result answers -------------------------------------------------------------------------------


def test_a_ratio_is_printed_as_such():
    pooled = pool_effects(LOG_HR, se=SE, measure="log_hr", tau2_method="DL", ci_method="wald")
    y, w = np.array(LOG_HR), 1 / np.array(SE) ** 2
    q = w @ (y - w @ y / w.sum()) ** 2
    tau2 = (q - 2) / (w.sum() - w @ w / w.sum())
    w = 1 / (1 / w + tau2)
    mean, se, p = w @ y / w.sum(), w.sum() ** -0.5, np.exp(-q / 2)  # chi-squared on 2 df is exponential
    ci = np.exp(mean + np.array([-1, 1]) * 1.959963984540054 * se)
    pi = np.exp(mean + np.array([-1, 1]) * 12.706204736174694 * (tau2 + se**2) ** 0.5)  # t on 1 df
    assert str(pooled).splitlines()[1] == (
        f"  estimate  {np.exp(mean):.2f}   95% CI [{ci[0]:.2f}, {ci[1]:.2f}]   95% PI [{pi[0]:.3f}, {pi[1]:.2f}]"
    )
    low, high = pooled.tau2_interval()
    assert str(pooled).splitlines()[2] == (
        f"  tau2 {tau2:.4f}   95% CI [{low:.0f}, {high:.2f}]   I2 {100 * (q - 2) / q:.0f}%   "
        f"Q {q:.2f} on 2 df, p = {p:.2f}"
    )
    assert str(pooled) == (
        "Hazard ratio, random effects, tau2 by DL, CI by wald, k = 3\n"
        "  estimate  0.75   95% CI [0.60, 0.94]   95% PI [0.074, 7.68]\n"
        "  tau2 0.0202   95% CI [0, 1.48]   I2 51%   Q 4.05 on 2 df, p = 0.13\n"
        "  in words: two thirds of the true effects are estimated to lie in 0.65–0.87; tau2 may be 0"
    )


def test_the_common_effect_model_names_itself_and_predicts_nothing():
    pooled = pool_effects(LOG_HR, se=SE, tau2_method="CE", ci_method="mHK", measure="logit_survival")
    assert str(pooled).startswith("Survival (logit scale), common effect, CI by mHK, k = 3\n")
    assert str(pooled).splitlines()[2] == "  I2 51%   Q 4.05 on 2 df, p = 0.13"
    assert "PI" not in str(pooled)
    assert np.isnan(pooled.prediction_interval()).all()
    assert pooled.tau2 == 0
    assert pooled.i2_tau2 == 0
    assert pooled.i2 > 0


def test_intervals_at_another_level_are_nested():
    pooled = pool_effects(LOG_HR, se=SE)
    for ask in (pooled.confidence_interval, pooled.prediction_interval, pooled.tau2_interval):
        (a, b), (c, d) = ask(0.8), ask(0.99)
        assert c <= a <= b <= d
        assert (c, d) != (a, b)
    narrow, wide = pooled.study_interval(0.8), pooled.study_interval(0.99)
    assert np.all((wide.lower < narrow.lower) & (narrow.upper < wide.upper))


def test_another_method_can_be_asked_of_the_same_result():
    pooled = pool_effects(LOG_HR, se=SE)
    for method in METAFOR_TEST:
        other = quiet(pool_effects, LOG_HR, se=SE, ci_method=method)
        assert pooled.confidence_interval(0.9, method=method) == other.confidence_interval(0.9)
    other = pool_effects(LOG_HR, se=SE, prediction_method="HK_km1")
    assert pooled.prediction_interval(method="HK_km1") == other.prediction_interval()
    assert pooled.prediction_interval(method="HK_km1") != pooled.prediction_interval()
    message = "method must be one of wald, t, HK, mHK, KR; got 'z'."
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        pooled.confidence_interval(method="z")
    by_dl = pool_effects(LOG_HR, se=SE, tau2_method="DL")
    message = (
        "method='KR' is defined for tau2 by REML with weights 1 / (v + tau2); got tau2 by DL. "
        "Use 'mHK', or pool with tau2_method='REML'."
    )
    for ask in (by_dl.confidence_interval, by_dl.prediction_interval):
        with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
            ask(method="KR")
    kenward_roger = pool_effects(LOG_HR, se=SE, ci_method="KR", prediction_method="KR")
    assert pooled.confidence_interval(method="KR") == kenward_roger.confidence_interval()
    assert pooled.prediction_interval(method="KR") == kenward_roger.prediction_interval()


def test_a_bootstrap_has_a_seed_or_a_generator():
    pooled = pool_effects(LOG_HR, se=SE, prediction_method="bootstrap")
    assert pooled.prediction_interval() == pooled.prediction_interval()
    assert pooled.prediction_interval(rng=1) == pooled.prediction_interval(rng=np.random.default_rng(1))
    assert pooled.prediction_interval(rng=1) != pooled.prediction_interval(rng=2)


def test_the_probability_that_a_new_study_shows_harm():
    pooled = pool_effects(LOG_HR, se=SE, measure="log_hr")
    assert pooled.probability_above() == pooled.probability_above(1.0)
    ahead = pooled.natural_prediction_interval(0.8)
    assert pooled.probability_above(ahead.upper) == pytest.approx(0.1)
    assert pooled.probability_above(ahead.lower) == pytest.approx(0.9)
    assert pooled.probability_above(0.0) == 1.0
    assert pooled.probability_above(method="normal") != pooled.probability_above()
    assert pooled.probability_above(method="bootstrap", rng=1) == pooled.probability_above(
        method="bootstrap", rng=np.random.default_rng(1)
    )
    common = pool_effects(LOG_HR, se=SE, measure="log_hr", tau2_method="CE")
    assert math.isnan(common.probability_above())
    with pytest.raises(InvalidInputError, match="give a value on its scale to compare with"):
        pooled.probability_above(-1.0)
    with pytest.raises(InvalidInputError, match="method"):
        pooled.probability_above(method="t")


def test_the_probability_above_a_survival_is_of_survival_though_its_scale_falls():
    pooled = pool_effects([0.4, 0.9, 0.6], se=[0.1, 0.2, 0.15], measure="cloglog_survival")
    low, high = pooled.natural_prediction_interval()
    assert pooled.probability_above(high) == pytest.approx(0.025)
    assert pooled.probability_above(low) == pytest.approx(0.975)
    with pytest.raises(InvalidInputError, match="give a value"):
        pooled.probability_above()


def test_intervals_of_tau2_i2_and_h2_by_name():
    pooled = pool_effects(LOG_HR, se=SE)
    y, v = np.array(LOG_HR), np.array(SE) ** 2
    for method, interval in TAU2_INTERVALS.items():
        low, high = pooled.tau2_interval(0.9, method=method)
        assert (low, high) == pytest.approx(tuple(map(float, interval(y, v, 0.9))))
        h2 = pooled.h2_tau2_interval(0.9, method=method)
        assert h2 == pytest.approx((1 + low * (pooled.h2_tau2 - 1) / pooled.tau2,
                                    1 + high * (pooled.h2_tau2 - 1) / pooled.tau2))  # fmt: skip
        assert pooled.i2_tau2_interval(0.9, method=method) == pytest.approx(
            (1 - 1 / h2.lower, 1 - 1 / h2.upper)
        )
    assert pooled.i2_interval().lower <= pooled.i2 <= pooled.i2_interval().upper
    h2 = pooled.h2_interval()
    assert pooled.i2_interval() == pytest.approx((1 - 1 / h2.lower, 1 - 1 / h2.upper))
    message = "method must be one of QP, PL_REML, PL_ML, BT, GENQ; got 'SJ'."
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        pooled.tau2_interval(method="SJ")


def test_weights_of_ones_own_are_used_and_kept():
    pooled = pool_effects(LOG_HR, se=SE, weight=[1, 1, 1], ci_method="wald")
    assert pooled.estimate == pytest.approx(np.mean(LOG_HR))
    assert pooled.se == pytest.approx((np.sum(np.array(SE) ** 2 + pooled.tau2)) ** 0.5 / 3)
    assert pooled.weight == pytest.approx([1 / 3] * 3)
    assert pooled.own_weight
    half = pooled.confidence_interval(0.9, method="t")
    assert half.upper - half.lower == pytest.approx(2 * 2.919985580353725 * pooled.se)  # t on 2 df
    best = pool_effects(LOG_HR, se=SE, weight=1 / (np.array(SE) ** 2 + pooled.tau2), ci_method="wald")
    plain = pool_effects(LOG_HR, se=SE, ci_method="wald")
    assert (best.estimate, best.se) == pytest.approx((plain.estimate, plain.se))
    assert best.prediction_interval() == pytest.approx(plain.prediction_interval())


def test_reference_unweighted():
    # metafor 5.1: rma(yi, vi, weighted = FALSE) of Pignon's trials, kept with the other references of that package.
    data = json.loads((REFERENCES / "unweighted.json").read_text(encoding="utf-8"))
    y, v = np.array(data["yi"]), np.array(data["vi"])
    pooled = pool_effects(y, se=np.sqrt(v), weight=np.ones(y.size), ci_method="wald")
    got = (pooled.estimate, pooled.se, pooled.tau2)
    assert got == pytest.approx((data["beta"], data["se"], data["tau2"]), rel=1e-6)


@pytest.mark.parametrize(("data", "method"), FITS, ids=FIT_IDS)
def test_reference_fit_statistics(data, method):
    y, v, fit = np.array(data["yi"]), np.array(data["vi"]), data["fits"][method]
    if y.size == 1:
        return
    weight = 1 / v if method == "GENQ" else None
    pooled = quiet(pool_effects, y, se=np.sqrt(v), tau2_method=method, weight=weight)
    # metafor stops where tau2 has all but arrived; near its maximum the likelihood does not see it
    table = pooled.fit_statistics()
    loose = 1e-5 if method == "SJIT" else 1e-7
    for name in ("ML", "REML"):
        assert table.loc["log_likelihood", name] == pytest.approx(fit[f"ll_{name}"], rel=loose, abs=loose)
        for row, key in (("aic", "AIC"), ("bic", "BIC"), ("aicc", "AICc")):
            expected = fit[f"{key}_{name}"]
            if isinstance(expected, float) and np.isfinite(expected):
                assert table.loc[row, name] == pytest.approx(expected, rel=loose, abs=2 * loose)


def test_reference_intervals_of_i2_and_h2_from_tau2():
    for data in RANDOM_EFFECTS:
        fit = data["fits"].get("REML", {})
        if "confint_QP" in fit:
            pooled = quiet(pool_effects, data["yi"], se=np.sqrt(data["vi"]))
            i2 = 100 * np.array(pooled.i2_tau2_interval())
            assert i2.tolist() == pytest.approx(fit["confint_QP_I2"], rel=1e-6, abs=1e-6)
            assert pooled.h2_tau2_interval() == pytest.approx(fit["confint_QP_H2"], rel=1e-6)


def test_a_standard_error_of_tau2():
    # metafor prints it; here for the BCG trials, "tau^2 ... 0.3132 (SE = 0.1664)".
    a, b, c, d = BCG
    y, v = np.log(a / (a + b) / (c / (c + d))), 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)
    assert pool_effects(y, se=np.sqrt(v)).tau2_se == pytest.approx(0.1664, abs=5.1e-5)
    assert np.isnan(quiet(pool_effects, [0.1], se=[0.2]).tau2_se)
    assert np.isnan(pool_effects(LOG_HR, se=SE, tau2_method=gives(0.25, True, 0)).tau2_se)


def test_a_result_as_json_and_as_a_sentence():
    pooled = pool_effects(LOG_HR, se=SE, measure="log_hr", study=["Adams 2001", "Brown 2005", "Chen 2010"])
    again = json.loads(json.dumps(pooled.to_dict(0.9), allow_nan=False))
    assert again["estimate"] == pooled.estimate
    assert [row["study"] for row in again["studies"]] == ["Adams 2001", "Brown 2005", "Chen 2010"]
    assert [again["ci_lower"], again["ci_upper"]] == list(pooled.confidence_interval(0.9))
    assert again["level"] == 0.9
    assert again["warnings"] == []
    low, high = pooled.natural_interval(0.9)
    p_low, p_high = pooled.natural_prediction_interval(0.9)
    assert pooled.sentence(0.9) == (
        f"pooled HR {pooled.natural:.2f}, 90% CI {low:.2f}–{high:.2f}; I² = 51%; "
        f"90% PI {p_low:.2f}–{p_high:.2f} (3 studies)"
    )
    one = quiet(pool_effects, [-0.51], se=[0.18], measure="log_hr", study=["Adams 2001"])
    assert one.sentence() == "HR 0.60, 95% CI 0.42–0.85 (one study, Adams 2001)"
    assert json.loads(json.dumps(one.to_dict(), allow_nan=False))["tau2"] is None
    equal = quiet(pool_effects, [0.5] * 6, se=[0.1, 0.2, 0.3, 0.2, 0.1, 0.2], ci_method="HK")
    assert (
        equal.sentence()
        == "pooled effect 0.500, 95% CI undefined; I² = 0%; 95% PI 0.355 to 0.645 (6 studies)".replace(
            "0.355 to 0.645", equal._span(equal.natural_prediction_interval())
        )
    )
    survival = pool_effects([0.4, 0.9, 0.6], se=[0.1, 0.2, 0.15], measure="cloglog_survival")
    low, high = survival.natural_interval()
    assert f"pooled survival {100 * survival.natural:.1f}%, 95% CI {100 * low:.1f}–{100 * high:.1f}%" in (
        survival.sentence()
    )


def test_heterogeneity_in_words():
    spread = pool_effects([-0.9, 0.1, 0.8, -0.3], se=[0.1, 0.1, 0.1, 0.1], measure="log_hr")
    low, high = np.exp([spread.estimate - spread.tau, spread.estimate + spread.tau])
    said = f"  in words: two thirds of the true effects are estimated to lie in {low:.2f}–{high:.2f}"
    assert str(spread).splitlines()[3] == said
    maybe = pool_effects(LOG_HR, se=SE, measure="log_hr")
    assert str(maybe).splitlines()[3].endswith("; tau2 may be 0")
    none = pool_effects([0.1, 0.2, 0.15], se=[0.1, 0.2, 0.15], ci_method="mHK")
    assert str(none).splitlines()[3] == (
        "  in words: no difference between true effects is seen, and none is ruled out up to the upper limit"
    )
    alike = pool_effects([0.30, 0.3001, 0.3002], se=[1.0, 1.4, 1.7], ci_method="mHK")
    assert str(alike).splitlines()[3] == "  in words: the studies differ less than chance alone lets expect"


@pytest.mark.parametrize("measure", MEASURES)
def test_natural_limits_are_sorted_and_back_transformed(measure):
    on_scale, back = MEASURES[measure].to_scale([0.5, 0.62, 0.55]), MEASURES[measure].from_scale
    pooled = pool_effects(on_scale, se=[0.1, 0.05, 0.07], measure=measure, ci_method="mHK")
    for natural, scale in (
        (pooled.natural_interval(), pooled.confidence_interval()),
        (pooled.natural_prediction_interval(), pooled.prediction_interval()),
    ):
        assert natural.lower < natural.upper
        assert natural == tuple(sorted(back(np.array(scale)).tolist()))
    assert pooled.natural_interval().lower < pooled.natural < pooled.natural_interval().upper
    each = pooled.natural_study_interval()
    assert np.all(each.lower < each.upper)


def test_a_higher_log_log_is_a_lower_survival():
    pooled = pool_effects([0.4, 0.9, 0.6], se=[0.1, 0.2, 0.15], measure="cloglog_survival")
    assert pooled.natural_interval().lower == pytest.approx(
        np.exp(-np.exp(pooled.confidence_interval().upper))
    )


def test_probabilities_have_no_p_value_and_differences_have():
    assert np.isnan(pool_effects(LOG_HR, se=SE, measure="logit_survival").pvalue)
    pooled = pool_effects(LOG_HR, se=SE, ci_method="wald")
    assert pooled.pvalue == pool_effects(LOG_HR, se=SE, ci_method="wald", measure="log_hr").pvalue < 0.05


def test_a_tiny_p_is_a_number():
    pooled = pool_effects([-4.0, -4.2, -3.9], se=[0.5, 0.5, 0.5], tau2_method="CE", ci_method="wald")
    assert 1e-45 < pooled.pvalue < 1e-40


def test_frames():
    pooled = pool_effects(LOG_HR, se=SE, measure="log_hr", study=["Adams 2001", "Brown 2005", "Chen 2010"])
    summary, studies = pooled.summary_frame(0.9), pooled.study_frame(0.9)
    assert summary.index.tolist() == ["log_hr"]
    row = summary.loc["log_hr"]
    assert (row["ci_lower"], row["ci_upper"]) == pooled.confidence_interval(0.9)
    assert (row["pi_lower"], row["pi_upper"]) == pooled.prediction_interval(0.9)
    assert (row["tau2_lower"], row["tau2_upper"]) == pooled.tau2_interval(0.9)
    assert (row["natural_lower"], row["natural_upper"]) == pooled.natural_interval(0.9)
    for name in ("estimate", "se", "tau2", "q", "q_pvalue", "pvalue", "i2", "k", "tau2_method", "ci_method"):
        assert row[name] == getattr(pooled, name)
    assert studies.index.tolist() == ["Adams 2001", "Brown 2005", "Chen 2010"]
    assert studies.index.name == "study"
    assert studies["weight"].sum() == pytest.approx(1.0)
    assert studies["estimate"].tolist() == LOG_HR
    assert studies["natural"].tolist() == pytest.approx(np.exp(LOG_HR))
    z90 = 1.6448536269514722
    assert studies["ci_lower"].tolist() == pytest.approx(np.array(LOG_HR) - z90 * np.array(SE))
    assert studies["natural_upper"].tolist() == pytest.approx(np.exp(np.array(LOG_HR) + z90 * np.array(SE)))


def test_a_notebook_shows_every_study_and_escapes_its_name():
    pooled = pool_effects(LOG_HR, se=SE, measure="log_hr", study=["A", "B", "C & D"])
    html = pooled._repr_html_()
    assert html.count("<tr>") == 5
    assert "C &amp; D" in html
    assert "Pooled" in html


def test_the_result_is_frozen_and_its_arrays_cannot_be_written():
    se = np.array(SE)
    pooled = pool_effects(LOG_HR, se=se)
    se[0] = 99.0
    assert pooled.study_se[0] == 0.18
    with pytest.raises(dataclasses.FrozenInstanceError):
        pooled.estimate = 0.0
    for array in (
        pooled.study_estimate,
        pooled.study_se,
        pooled.weight,
    ):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


# --- few studies, agreement, extremes ----------------------------------------------------------------------


def test_one_study_is_handed_back():
    message = "Smith 2011 is the only study, so nothing is pooled and its Wald interval stands."
    with pytest.warns(FewStudiesWarning, match=f"^{re.escape(message)}$"):
        pooled = pool_effects([-0.51], se=[0.18], measure="log_hr", study=["Smith 2011"])
    assert not pooled.pooled
    assert (pooled.estimate, pooled.se, pooled.k, pooled.q) == (-0.51, 0.18, 1, 0.0)
    assert pooled.weight.tolist() == [1.0]
    assert pooled.confidence_interval() == pytest.approx(
        (-0.51 - 1.959963984540054 * 0.18, -0.51 + 0.352793517217)
    )
    assert pooled.confidence_interval(method="HK") == pooled.confidence_interval()
    for undefined in (pooled.tau2, pooled.i2, pooled.i2_tau2, pooled.h2, pooled.h2_tau2, pooled.q_pvalue):
        assert np.isnan(undefined)
    assert np.isnan([*pooled.prediction_interval(method="normal"), *pooled.tau2_interval()]).all()
    assert [caution.name for caution in pooled.warnings] == ["FewStudiesWarning"]
    assert str(pooled) == (
        "Hazard ratio, one study (Smith 2011), not pooled, k = 1\n"
        "  estimate  0.60   95% CI [0.42, 0.85]\n"
        f"  FewStudiesWarning: {message}"
    )
    assert pooled.summary_frame().shape[0] == pooled.study_frame().shape[0] == 1
    assert pooled._repr_html_().count("<tr>") == 2


def test_two_studies_are_pooled_with_a_warning_and_all_intervals_shown():
    with pytest.warns(FewStudiesWarning, match="^Two studies say next to nothing about tau2"):
        pooled = pool_effects([0.1, 0.9], se=[0.2, 0.25])
    assert pooled.pooled
    assert pooled.df == 1
    assert np.isnan(pooled.prediction_interval()).all()
    assert np.isfinite(pooled.prediction_interval(method="t_km1")).all()
    text = str(pooled)
    assert "95% PI undefined" in text
    assert (
        "95% CI by method: wald [-0.298, 1.27], t [-4.59, 5.57], HK [-4.59, 5.57], mHK [-4.59, 5.57]" in text
    )


def test_equal_effects_leave_knapp_hartung_undefined():
    message = "All effects are equal, so the HK interval is undefined. Use ci_method='mHK'."
    with pytest.warns(NarrowIntervalWarning, match=f"^{re.escape(message)}$"):
        pooled = pool_effects([0.5] * 6, se=np.sqrt([0.01, 0.02, 0.03, 0.04, 0.05, 0.06]), ci_method="HK")
    assert (pooled.estimate, pooled.tau2, pooled.q, pooled.i2) == (0.5, 0.0, 0.0, 0.0)
    assert np.isnan([pooled.se, *pooled.confidence_interval(), pooled.pvalue]).all()
    assert "95% CI undefined" in str(pooled)
    assert np.isfinite(pooled.confidence_interval(method="mHK")).all()


def test_knapp_hartung_narrower_than_common_effect_is_said_and_kept():
    # Knapp-Hartung se 0.0124 against 0.0625 for the common effect; t on 6 df against normal.
    y, v = [0.21, 0.25, 0.18, 0.3, 0.22, 0.26, 0.19], [0.02, 0.05, 0.03, 0.09, 0.04, 0.06, 0.01]
    message = (
        "The 95% HK interval is 0.25 times as wide as the common-effect one, because the effects agree better "
        "than chance lets expect. Use ci_method='mHK'."
    )
    with pytest.warns(NarrowIntervalWarning, match=f"^{re.escape(message)}$") as said:
        pooled = pool_effects(y, se=np.sqrt(v), ci_method="HK")
    assert said[0].filename == __file__
    assert [str(caution) for caution in pooled.warnings] == [f"NarrowIntervalWarning: {message}"]
    assert str(pooled).endswith(f"  NarrowIntervalWarning: {message}")
    assert pool_effects(y, se=np.sqrt(v)).warnings == ()


@given(st.floats(1e-45, 1e-4))
def test_one_study_with_nearly_no_variance_is_nearly_right_about_itself_only(tiny):
    pooled = pool_effects([0.0, 1.0, -1.0, 2.5], se=[tiny, 0.5, 0.6, 0.7], ci_method="mHK")
    limit = pool_effects([0.0, 1.0, -1.0, 2.5], se=[1e-6, 0.5, 0.6, 0.7], ci_method="mHK")
    assert pooled.tau2 == pytest.approx(limit.tau2, rel=1e-4)
    assert pooled.estimate == pytest.approx(limit.estimate, rel=1e-4)


@given(
    st.lists(st.floats(-3, 3), min_size=3, max_size=8),
    st.sampled_from(sorted(TAU2_ESTIMATORS)),
    st.floats(0.1, 10),
)
def test_another_unit_scales_everything(y, method, unit):
    y, se = np.array(y), np.linspace(0.1, 0.9, len(y))
    first = quiet(pool_effects, y, se=se, tau2_method=method, ci_method="mHK")
    second = quiet(pool_effects, 2.0 + unit * y, se=unit * se, tau2_method=method, ci_method="mHK")
    assert second.estimate == pytest.approx(2.0 + unit * first.estimate, rel=1e-6, abs=1e-7)
    assert second.se == pytest.approx(unit * first.se, rel=1e-6)
    assert second.i2 == pytest.approx(first.i2, abs=1e-7)
    assert second.weight == pytest.approx(first.weight, rel=1e-5)


def test_one_study_split_in_two_halves_is_the_same_common_effect():
    whole = pool_effects([0.3, -0.2, 0.5], se=[0.1, 0.2, 0.3], tau2_method="CE", ci_method="wald")
    halves = pool_effects(
        [0.3, 0.3, -0.2, 0.5], se=[0.1 * 2**0.5, 0.1 * 2**0.5, 0.2, 0.3], tau2_method="CE", ci_method="wald"
    )
    assert (halves.estimate, halves.se, halves.q) == pytest.approx((whole.estimate, whole.se, whole.q))


# --- a method of one's own ---------------------------------------------------------------------------------


def gives(*result):
    def quarter(_estimate, _variance, /):
        return Tau2Estimate(*result) if len(result) == 3 else result[0]

    return quarter


def test_a_callable_is_used_as_it_is_and_named():
    pooled = pool_effects(LOG_HR, se=SE, tau2_method=gives(0.25, True, 0), ci_method="wald")
    assert pooled.tau2 == 0.25
    assert pooled.tau2_method == "quarter"
    w = 1 / (np.array(SE) ** 2 + 0.25)
    assert pooled.estimate == pytest.approx(w @ LOG_HR / w.sum())
    assert pooled.se == pytest.approx(w.sum() ** -0.5)


def test_a_callable_that_does_not_arrive():
    with pytest.raises(ConvergenceError, match=r"^tau2 by quarter did not converge\.$") as caught:
        pool_effects(LOG_HR, se=SE, tau2_method=gives(0.5, False, 99))
    assert caught.value.last == 0.5


@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf, np.array([0.1, 0.2])])
def test_a_callable_that_gives_nonsense(value):
    with pytest.raises(
        InvalidInputError, match=r"^tau2_method must give a Tau2Estimate with one finite tau2 >= 0; "
    ):
        pool_effects(LOG_HR, se=SE, tau2_method=gives(value, True, 0))


def test_a_callable_that_gives_a_bare_number():
    with pytest.raises(InvalidInputError, match=r"quarter gave 0\.1\.$"):
        pool_effects(LOG_HR, se=SE, tau2_method=gives(0.1))


# --- bad input ---------------------------------------------------------------------------------------------

NAMES = ["Adams 2001", "Brown 2005", "Chen 2010"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"se": [0.1, 0.0, 0.2]}, "Brown 2005: se must be positive; got 0 at position 1."),
        ({"se": [0.1, 0.2, -0.2]}, "Chen 2010: se must be positive; got -0.2 at position 2."),
        ({"se": [0.1, np.inf, 0.2]}, "Brown 2005: se must be finite; got inf at position 1."),
        ({"se": [np.nan, 0.1, 0.2]}, "Adams 2001: se must be finite; got nan at position 0."),
        ({"estimate": [0.1, 0.2, np.nan]}, "Chen 2010: estimate must be finite; got nan at position 2."),
        ({"study": None, "se": [0.1, 0.0, 0.2]}, "Study 2: se must be positive; got 0 at position 1."),
        ({"se": [0.1, 0.2]}, "estimate and se must have the same length; got 3 and 2."),
        ({"study": NAMES[:2]}, "study must have one label for each of 3 studies; got 2."),
        ({"study": "Adams 2001"}, "study must have one label for each of 3 studies; got 1."),
        ({"study": ["A", " ", "C"]}, "study must be a non-empty text; got ' '."),
        ({"estimate": []}, "estimate is empty; give at least one value."),
        ({"estimate": 0.3}, "estimate must have one dimension; got shape ()."),
        ({"estimate": ["a", "b", "c"]}, "estimate must be numbers; got ['a', 'b', 'c']."),
        (
            {"measure": "hr"},
            f"measure must be one of {', '.join(MEASURES)}; got 'hr'.",
        ),
        (
            {"tau2_method": "MP"},
            "tau2_method must be one of CE, DL, DL2, DLIT, EB, GENQ, HE, HS, HSk, ML, PM, PMM, REML, SJ, SJIT; "
            "got 'MP'.",
        ),
        ({"weight": [1, 2]}, "estimate and weight must have the same length; got 3 and 2."),
        ({"weight": [1, 0, 2]}, "Brown 2005: weight must be positive; got 0 at position 1."),
        (
            {"ci_method": "KR", "tau2_method": "DL"},
            "Kenward-Roger (KR) is defined for tau2 by REML with weights 1 / (v + tau2); got tau2_method='DL'. "
            "Use 'mHK'.",
        ),
        (
            {"prediction_method": "KR", "weight": [1, 1, 1]},
            "Kenward-Roger (KR) is defined for tau2 by REML with weights 1 / (v + tau2); got weights of your own. "
            "Use 'mHK'.",
        ),
        ({"tau2_method": 3}, "tau2_method must be a name or a callable; got 3."),
        ({"ci_method": "z"}, "ci_method must be one of wald, t, HK, mHK, KR; got 'z'."),
        (
            {"prediction_method": "t"},
            "prediction_method must be one of normal, t_km1, t_km2, HK_km1, HK_km2, mHK_km1, mHK_km2, KR, bootstrap; "
            "got 't'.",
        ),
        (
            {"se": [0.1, 1e-200, 0.2]},
            "Effects and standard errors span too many orders of magnitude to be pooled: effects from -0.51 to "
            "-0.12, se from 1e-200 (Brown 2005) to 0.2. Check the units.",
        ),
        (
            {"estimate": [0.1, 1e300, -1e300]},
            "Effects and standard errors span too many orders of magnitude to be pooled: effects from -1e+300 to "
            "1e+300, se from 0.1 (Brown 2005) to 0.18. Check the units.",
        ),
    ],
)
def test_bad_input(change, message):
    call = {"estimate": LOG_HR, "se": [0.18, 0.10, 0.15], "study": NAMES} | change
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        pool_effects(call.pop("estimate"), **call)


def test_kenward_roger_without_a_degree_of_freedom_is_said():
    # four studies of very unequal size
    said_so = r"^Kenward-Roger leaves \S+ degrees of freedom, less than one, so its interval says nothing\. "
    with pytest.warns(FewStudiesWarning, match=said_so) as said:
        pooled = pool_effects([0.0, 0.1, -0.1, 0.12], se=[0.05, 0.5, 0.6, 0.7], ci_method="KR")
    assert pooled.df < 1
    assert len(said) == 1
