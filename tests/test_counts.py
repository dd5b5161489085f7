"""Pooled proportions and rates: published tables, other packages, and what the result answers."""

import json
import math
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta as beta_distribution
from scipy.stats import chi2, norm, poisson

from netsynth import counts
from netsynth.counts import pool_proportions, pool_rates
from netsynth.errors import (
    BackTransformationWarning,
    ContinuityCorrectionWarning,
    ConvergenceError,
    FewStudiesWarning,
    InvalidInputError,
    NarrowIntervalWarning,
    NetsynthWarning,
)
from netsynth.kernels.scales import MEASURES
from netsynth.results.counts import PooledCounts

REFERENCES = Path(__file__).parent / "references"
PROPORTIONS, META, RATES, GLMM, BETA = (
    json.loads((REFERENCES / f"{name}.json").read_text(encoding="utf-8"))
    for name in ("proportions", "proportions_meta", "rates", "glmm", "beta_binomial")
)
NAMES = ["Adams 2001", "Brown 2005", "Chen 2010"]
# fmt: off
#: Chemotherapy arms of the glioma trials (Fine 1993): alive at 12 months, of how many.
GLIOMA = ([11, 18, 21, 14, 42, 80, 13, 37, 23, 19, 106, 170, 34, 18, 13, 12, 42],
          [19, 34, 72, 22, 70, 183, 26, 61, 36, 45, 246, 386, 59, 45, 14, 26, 74])
#: Catheter infections (Niel-Weise 2007, 2008): Stijnen, Hamza & Özdemir (2010), Stat Med 29:3046-3067, Tables II, VII.
CONTROLS = ([3, 3, 9, 7, 6, 4, 3, 2, 19, 2, 7, 1, 5, 11, 0, 1, 3, 1],
            [117, 35, 195, 136, 157, 139, 177, 39, 103, 122, 64, 58, 175, 180, 105, 262, 362, 69])
TREATED = ([0, 1, 2, 0, 5, 1, 1, 1, 1, 1, 0, 0, 3, 6, 0, 0, 1, 4],
           [116, 44, 208, 130, 151, 98, 174, 74, 97, 113, 66, 70, 188, 187, 118, 252, 345, 64])
BLOODSTREAM = ([11, 8, 14, 10, 1, 8, 15, 7, 3], [1988, 1461, 10962, 1503, 483, 913, 6840, 1015, 440])
# fmt: on


def quiet(function, *args, **kwargs):
    """The verb without its warnings, for tests of numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return function(*args, **kwargs)


def on_scale(function, *args, **kwargs):
    return quiet(function, *args, model="normal_normal", **kwargs)


# --- published ---------------------------------------------------------------------------------------------


def test_published_glioma_survivors():
    pooled = on_scale(
        pool_proportions, GLIOMA[0], n_total=GLIOMA[1], ci_method="wald", prediction_method="normal"
    )
    assert pooled.natural == pytest.approx(0.5020, abs=5.1e-5)
    assert pooled.natural_interval() == pytest.approx((0.4503, 0.5536), abs=5.1e-5)
    assert pooled.natural_prediction_interval() == pytest.approx((0.3418, 0.6617), abs=5.1e-5)
    assert pooled.tau2 == pytest.approx(0.1032, abs=5.1e-5)
    # the same by metafor's rma.glmm, whose optimiser stops within a unit of these digits
    pooled = pool_proportions(*GLIOMA[:1], n_total=GLIOMA[1], ci_method="wald", prediction_method="normal")
    assert pooled.natural == pytest.approx(0.5108, abs=1e-4)
    assert pooled.natural_interval() == pytest.approx((0.4540, 0.5673), abs=1e-4)
    assert pooled.natural_prediction_interval() == pytest.approx((0.3314, 0.6875), abs=1e-4)
    assert pooled.tau2 == pytest.approx(0.1311, abs=1e-4)


@pytest.mark.parametrize(
    ("arm", "estimate", "tau2", "natural", "n_corrected"),
    [(CONTROLS, -3.3018, 0.6629, 0.0355, 1), (TREATED, -4.2604, 0.3928, 0.0139, 6)],
)
def test_published_stijnen_normal_normal(arm, estimate, tau2, natural, n_corrected):
    with pytest.warns(ContinuityCorrectionWarning) as said:
        pooled = pool_proportions(arm[0], n_total=arm[1], model="normal_normal", ci_method="wald")
    assert pooled.estimate == pytest.approx(estimate, abs=5.1e-5)
    assert pooled.tau2 == pytest.approx(tau2, abs=5.1e-5)
    assert pooled.natural == pytest.approx(natural, abs=5.1e-5)
    assert len(re.findall(r"Study \d+", str(said[0].message))) == n_corrected


def test_published_stijnen_binomial_normal():
    pooled = pool_proportions(CONTROLS[0], n_total=CONTROLS[1], ci_method="wald")
    assert pooled.natural == pytest.approx(0.0294, abs=5.1e-5)
    assert pooled.natural_interval() == pytest.approx((0.0180, 0.0478), abs=5.1e-5)
    assert pool_proportions(TREATED[0], n_total=TREATED[1]).natural == pytest.approx(0.0081, abs=5.1e-5)


def test_published_stijnen_rates():
    pooled = on_scale(pool_rates, BLOODSTREAM[0], person_time=BLOODSTREAM[1], per=1000, ci_method="wald")
    assert (pooled.estimate, pooled.se) == pytest.approx((1.4676, 0.2425), abs=5.1e-5)
    assert (pooled.tau2, pooled.natural) == pytest.approx((0.3699, 4.3389), abs=5.1e-5)
    pooled = pool_rates(BLOODSTREAM[0], person_time=BLOODSTREAM[1], per=1000, ci_method="wald")
    assert (pooled.estimate, pooled.se) == pytest.approx((1.4007, 0.2310), abs=6e-5)
    assert (pooled.tau2, pooled.natural) == pytest.approx((0.3165, 4.0580), abs=6e-4)
    assert pooled.natural_interval() == pytest.approx((2.5803, 6.3819), abs=6e-4)


# --- reference ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", PROPORTIONS, ids=lambda case: case["id"])
@pytest.mark.parametrize("method", ["EE", "DL", "REML"])
def test_reference_proportions(case, method):
    fit, tau2_method = case["fits"][method], method.replace("EE", "CE")
    pooled = on_scale(
        pool_proportions,
        case["xi"],
        n_total=case["ni"],
        measure=case["measure"],
        tau2_method=tau2_method,
        ci_method="wald",
        prediction_method="normal",
    )
    assert (pooled.estimate, pooled.se) == pytest.approx((fit["beta"], fit["se"]), rel=1e-6)
    assert pooled.tau2 == pytest.approx(fit["tau2"], rel=1e-5, abs=1e-12)
    assert pooled.confidence_interval() == pytest.approx(fit["ci"], rel=1e-6)
    assert pooled.q == pytest.approx(fit["q"], rel=1e-8)
    # metafor takes I2 from tau2, and from Q where tau2 is 0 by assumption
    i2 = pooled.i2 if method == "EE" else pooled.i2_tau2
    assert 100 * i2 == pytest.approx(fit["i2"], rel=1e-5, abs=1e-6)
    if method != "EE":
        assert pooled.prediction_interval() == pytest.approx(fit["pi"], rel=1e-6)
    if "back" in fit and case["measure"] != "raw_proportion":  # metafor lets a raw limit leave [0, 1]
        back = fit["back"]
        assert pooled.natural == pytest.approx(back["pred"], rel=1e-6)
        cut = min(1.0, back["ci_ub"])  # and one on the log scale pass 1
        assert pooled.natural_interval() == pytest.approx((back["ci_lb"], cut), rel=1e-6, abs=1e-12)
    if "back_sin2" in fit:
        assert [pooled.natural, *pooled.natural_interval()] == pytest.approx(fit["back_sin2"], rel=1e-6)
    if "knha" in fit and method == "REML":
        assert pooled.confidence_interval(method="HK") == pytest.approx(
            (fit["knha"]["ci_lb"], fit["knha"]["ci_ub"]), rel=1e-5
        )


@pytest.mark.parametrize("case", META, ids=lambda case: case["id"])
def test_reference_metaprop(case):
    # meta gives I2 and H from Q. On the log and the raw scale it corrects studies of none or all in another way, so
    # that data with such studies are not among these.
    fit = case["output"]
    pooled = on_scale(
        pool_proportions, case["xi"], n_total=case["ni"], measure=case["measure"], ci_method="HK"
    )
    assert (pooled.estimate, pooled.se) == pytest.approx((fit["TE_random"], fit["seTE_random"]), rel=1e-5)
    assert pooled.confidence_interval() == pytest.approx((fit["lower_random"], fit["upper_random"]), rel=1e-5)
    assert (pooled.q, pooled.q_pvalue) == pytest.approx((fit["Q"], fit["pval_Q"]), rel=1e-7)
    assert pooled.tau2 == pytest.approx(fit["tau2"], rel=1e-5)
    assert pooled.i2 == pytest.approx(fit["I2"], rel=1e-8)
    assert pooled.h2**0.5 == pytest.approx(fit["H"], rel=1e-8)
    assert pooled.i2_interval() == pytest.approx((fit["lower_I2"], fit["upper_I2"]), rel=1e-6, abs=1e-9)
    common = on_scale(
        pool_proportions,
        case["xi"],
        n_total=case["ni"],
        measure=case["measure"],
        tau2_method="CE",
        ci_method="wald",
    )
    assert (common.estimate, common.se) == pytest.approx((fit["TE_common"], fit["seTE_common"]), rel=1e-8)


@pytest.mark.parametrize("case", [case for case in RATES if case["fits"]], ids=lambda case: case["id"])
@pytest.mark.parametrize("method", ["EE", "DL", "REML"])
def test_reference_rates(case, method):
    fit = case["fits"][method]
    pooled = on_scale(
        pool_rates,
        case["xi"],
        person_time=case["ti"],
        measure=case["measure"],
        tau2_method=method.replace("EE", "CE"),
        ci_method="wald",
        prediction_method="normal",
    )
    assert (pooled.estimate, pooled.se) == pytest.approx((fit["beta"], fit["se"]), rel=1e-6)
    assert pooled.tau2 == pytest.approx(fit["tau2"], rel=2e-5, abs=1e-15)
    assert pooled.confidence_interval() == pytest.approx(fit["ci"], rel=1e-6)
    assert pooled.q == pytest.approx(fit["q"], rel=1e-8)
    if method != "EE":
        assert pooled.prediction_interval() == pytest.approx(fit["pi"], rel=1e-6)
    if "back" in fit and case["measure"] != "raw_rate":
        assert pooled.natural == pytest.approx(fit["back"]["pred"], rel=1e-6)
        assert pooled.natural_interval() == pytest.approx(
            (fit["back"]["ci_lb"], fit["back"]["ci_ub"]), rel=1e-6
        )


@pytest.mark.parametrize(
    "case", [case for case in GLMM if "t" in case.get("nodes_7", {})], ids=lambda case: case["id"]
)
def test_reference_glmm_intervals(case):
    # What follows from mean, se and tau2 is compared with metafor's as closely as its seven nodes allow.
    pooled = pool_proportions(case["xi"], n_total=case["ni"])
    assert isinstance(pooled, PooledCounts)
    z, t = case["nodes_7"]["z"], case["nodes_7"]["t"]
    if case["id"] == "glmm_edge-zero-one-cells":  # tau2 38.2 there, 47.3 by grid and by 100 nodes
        assert pooled.tau2 == pytest.approx(case["grid"]["tau2"], rel=1e-6)
        return
    rel = 2e-2 if "axfors" in case["id"] else 1e-3
    for method, fit, prediction in (("wald", z, "normal"), ("t", t, "t_km1")):
        interval = pooled.confidence_interval(method=method)
        assert interval == pytest.approx((fit["ci_lb"], fit["ci_ub"]), rel=rel, abs=rel)
        limits = MEASURES[pooled.measure].from_scale(np.array(pooled.prediction_interval(method=prediction)))
        assert limits == pytest.approx((fit["back"]["pi_lb"], fit["back"]["pi_ub"]), rel=2 * rel, abs=2e-7)
    assert 100 * pooled.i2_tau2 == pytest.approx(z["I2"], rel=rel)
    assert pooled.h2_tau2 == pytest.approx(z["H2"], rel=4 * rel)
    assert pooled.q_pvalue == pytest.approx(z["QEp_LRT"], rel=1e-6, abs=1e-320)
    assert pooled.q_wald_pvalue == pytest.approx(z["QEp_Wld"], rel=1e-3, abs=1e-320)
    common = pool_proportions(case["xi"], n_total=case["ni"], tau2_method="CE")
    assert (common.estimate, common.se) == pytest.approx(
        (case["common"]["beta"], case["common"]["se"]), rel=1e-4
    )
    assert common.confidence_interval() == pytest.approx(
        (case["common"]["ci_lb"], case["common"]["ci_ub"]), rel=1e-4, abs=1e-5
    )


@pytest.mark.parametrize("case", BETA, ids=lambda case: case["id"])
def test_reference_beta_binomial(case):
    expected = case["output"]
    pooled = pool_proportions(case["xi"], n_total=case["ni"], model="beta_binomial", ci_method="wald")
    assert (pooled.natural, pooled.rho) == pytest.approx((expected["mu"], expected["rho"]), rel=1e-6)
    assert pooled.natural_interval() == pytest.approx(expected["ci_mu"], rel=1e-6)
    assert pooled.log_likelihood == pytest.approx(expected["ll"], abs=2e-9)
    lower, upper = pooled.natural_prediction_interval(0.8)
    law = beta_distribution(expected["alpha"], expected["beta"])
    assert (law.cdf(lower), law.sf(upper)) == pytest.approx((0.1, 0.1), rel=1e-4)


# --- what the result answers -------------------------------------------------------------------------------


def relief(**options):
    return pool_proportions([11, 18, 21, 14], n_total=[19, 34, 72, 22], **options)


def test_the_text_says_what_was_pooled_and_how():
    pooled = relief()
    low, high = pooled.natural_interval()
    first, last = pooled.natural_prediction_interval()
    tau2 = pooled.tau2_interval()
    p = np.array([11, 18, 21, 14]) / [19, 34, 72, 22]
    n = np.array([19, 34, 72, 22])
    whole = 64 / 147
    lr = 2 * (n * (p * np.log(p / whole) + (1 - p) * np.log((1 - p) / (1 - whole)))).sum()
    assert str(pooled).splitlines()[:3] == [
        "Proportion (logit scale), binomial-normal model, ML, CI by t, k = 4",
        f"  estimate  {100 * pooled.natural:.1f}%   95% CI [{100 * low:.1f}%, {100 * high:.1f}%]   "
        f"95% PI [{100 * first:.1f}%, {100 * last:.1f}%]",
        f"  tau2 {pooled.tau2:.3f}   95% CI [{tau2.lower:.4f}, {tau2.upper:.2f}]   I2 {100 * (lr - 3) / lr:.0f}%   "
        f"LR {lr:.2f} on 3 df, p = {chi2.sf(lr, 3):.3f}",
    ]
    assert str(relief(model="beta_binomial")).splitlines()[0] == (
        "Proportion (logit scale), beta-binomial model, ML, CI by t, k = 4"
    )
    assert str(relief(model="beta_binomial")).splitlines()[2].startswith("  rho 0.0536   95% CI [0.00")
    common = str(relief(tau2_method="CE", ci_method="exact")).splitlines()
    assert common[0] == "Proportion (logit scale), one proportion for all studies, ML, CI by exact, k = 4"
    assert common[1] == "  estimate  43.5%   95% CI [35.4%, 52.0%]"  # 64 of 147, R's binom.test
    assert len(common) == 3


def test_rates_are_given_per_amount_of_time():
    one, thousand = (pool_rates(BLOODSTREAM[0], person_time=BLOODSTREAM[1], per=per) for per in (1, 1000))
    assert one.natural * 1000 == pytest.approx(thousand.natural)
    assert one.unit == ""
    assert str(one).startswith("Rate (log scale), Poisson-normal model, ML, CI by t, k = 9\n")
    assert str(thousand).startswith("Rate per 1000 (log scale), Poisson-normal model, ML, CI by t, k = 9\n")
    assert thousand.sentence().startswith("pooled rate per 1000 4.06, 95% CI ")
    assert thousand.study_frame()["person_time"].tolist() == pytest.approx(BLOODSTREAM[1])
    assert thousand.study_frame()["natural"].iloc[0] == pytest.approx(11 / 1.988)
    on = on_scale(pool_rates, BLOODSTREAM[0], person_time=BLOODSTREAM[1], per=1000, ci_method="HK")
    assert str(on).startswith("Rate per 1000 (log scale), random effects, tau2 by REML, CI by HK, k = 9\n")


def test_intervals_by_every_method():
    pooled = relief()
    wald, t = (pooled.confidence_interval(0.9, method=name) for name in ("wald", "t"))
    assert wald.upper - pooled.estimate == pytest.approx(norm.isf(0.05) * pooled.se)
    assert t.upper - pooled.estimate == pytest.approx(2.353363434801823 * pooled.se)  # t on 3 df
    assert pooled.confidence_interval(0.9) == t
    profile = pooled.confidence_interval(0.9, method="profile")
    assert relief(ci_method="profile").confidence_interval(0.9) == profile
    assert wald.lower != profile.lower
    half = math.hypot(pooled.se, pooled.tau)
    normal = pooled.prediction_interval(method="normal")
    assert normal.upper - pooled.estimate == pytest.approx(1.959963984540054 * half)
    assert pooled.prediction_interval(method="t_km2") == pooled.prediction_interval()
    assert pooled.prediction_interval().upper - pooled.estimate == pytest.approx(4.302652729696142 * half)
    assert pooled.tau2_se == pytest.approx(2 * pooled.tau * pooled.tau_se)
    assert pooled.h2_tau2_interval().lower > 1
    assert pooled.i2_tau2_interval() == pytest.approx(1 - 1 / np.array(pooled.h2_tau2_interval()))
    assert np.isnan(pooled.rho_interval()).all()


def test_the_beta_binomial_model_has_no_tau2():
    pooled = relief(model="beta_binomial")
    assert np.isnan([pooled.tau2, pooled.tau, pooled.i2_tau2, *pooled.tau2_interval()]).all()
    lower, upper = pooled.rho_interval()
    assert 0 < lower < pooled.rho < upper < 1
    assert pooled.confidence_interval(method="profile").lower < pooled.estimate
    agreed = pool_proportions([3, 4, 6, 3], n_total=[30, 31, 40, 33], model="beta_binomial")
    assert agreed.rho == 0
    assert agreed.prediction_interval() == (agreed.estimate, agreed.estimate)
    assert agreed.study_effects().mean.tolist() == [agreed.estimate] * 4


def test_the_criteria_of_fit():
    pooled, k = relief(), 4
    assert pooled.aic == pytest.approx(4 - 2 * pooled.log_likelihood)
    assert pooled.bic == pytest.approx(2 * math.log(k) - 2 * pooled.log_likelihood)
    assert pooled.aicc == pytest.approx(2 * 2 * 4 / (4 - 2 - 1) - 2 * pooled.log_likelihood)
    assert pooled.fit_statistics()["ML"].to_dict() == pytest.approx(
        {
            "log_likelihood": pooled.log_likelihood,
            "deviance": -2 * pooled.log_likelihood,
            "aic": pooled.aic,
            "bic": pooled.bic,
            "aicc": pooled.aicc,
        }
    )
    common = relief(tau2_method="CE")
    assert common.n_parameters == 1
    assert common.log_likelihood == common.common_log_likelihood == pooled.common_log_likelihood
    assert common.log_likelihood < pooled.log_likelihood


def test_studies_are_shown_as_counted():
    pooled = pool_proportions([0, 5, 9], n_total=[10, 12, 9], study=NAMES)
    assert pooled.warnings == ()
    assert pooled.study_natural.tolist() == [0.0, 5 / 12, 1.0]
    assert np.isnan(pooled.weight).all()
    assert pooled.study_estimate[0] == pytest.approx(math.log(0.5 / 10.5))
    limits = pooled.natural_study_interval()
    assert (limits.lower[0], limits.upper[2]) == (0.0, 1.0)
    assert limits.upper[0] == pytest.approx(1 - 0.025**0.1)  # all ten without: (1 - p)^10 = 0.025
    assert limits.lower[2] == pytest.approx(0.025 ** (1 / 9))
    wilson = MEASURES[pooled.measure].from_scale(pooled.study_interval(method="wilson").upper)
    assert wilson[0] == pytest.approx(1.959963984540054**2 / (10 + 1.959963984540054**2))
    frame = pooled.study_frame()
    assert frame["n_events"].tolist() == [0, 5, 9]
    assert frame["n_total"].tolist() == [10, 12, 9]
    assert "weight" not in frame
    assert pooled.counts() == ("0/10", "5/12", "9/9")
    html = pooled._repr_html_()
    assert "<td>0/10</td><td>0.0%</td>" in html
    assert "nan" not in html


def test_study_effects_are_drawn_towards_the_mean():
    for model in ("binomial_normal", "beta_binomial"):
        pooled = relief(model=model)
        effects = pooled.study_effects()
        own = MEASURES["logit_proportion"].to_scale(pooled.study_natural)
        assert np.all((effects.mean - own) * (effects.mean - pooled.estimate) < 0)
        assert np.all(effects.sd < pooled.study_se)
        assert pooled.study_frame()["model_estimate"].tolist() == effects.mean.tolist()
    assert np.isnan(relief(tau2_method="CE").study_effects().mean).all()


def test_beta_study_effects_by_simulation():
    pooled = relief(model="beta_binomial")
    size = (1 - pooled.rho) / pooled.rho
    a, b = pooled.natural * size + 11, (1 - pooled.natural) * size + 8
    draws = np.random.default_rng(3).beta(a, b, 400_000)
    logits = np.log(draws / (1 - draws))
    effects = pooled.study_effects()
    assert effects.mean[0] == pytest.approx(logits.mean(), abs=4 * logits.std() / 632)
    assert effects.sd[0] == pytest.approx(logits.std(), rel=1e-2)


def test_frame_and_json():
    pooled = relief()
    row = pooled.summary_frame(0.9).iloc[0]
    assert (row["ci_lower"], row["ci_upper"]) == pooled.confidence_interval(0.9)
    assert (row["q"], row["q_wald"]) == (pooled.q, pooled.q_wald)
    assert row["model"] == "binomial_normal"
    said = json.loads(json.dumps(pooled.to_dict()))
    assert said["estimate"] == pooled.estimate
    assert said["studies"][0]["n_events"] == 11
    assert said["rho"] is None
    assert said["studies"][0]["model_sd"] == pytest.approx(pooled.study_effects().sd[0])


def test_q_of_rates_is_the_likelihood_ratio():
    x, time = (np.array(part, dtype=float) for part in BLOODSTREAM)
    pooled = pool_rates(x, person_time=time)
    own = poisson.logpmf(x, x).sum()
    common = poisson.logpmf(x, x.sum() / time.sum() * time).sum()
    assert pooled.q == pytest.approx(2 * (own - common))
    assert pooled.common_log_likelihood == pytest.approx(common)


# --- few studies, and none with an answer ----------------------------------------------------------------------


def test_one_study_is_handed_back_with_its_exact_interval():
    message = "Adams 2001 is the only study, so nothing is pooled and its exact interval stands."
    with pytest.warns(FewStudiesWarning, match=f"^{re.escape(message)}$") as said:
        pooled = pool_proportions([3], n_total=[9], study=["Adams 2001"])
    assert said[0].filename == __file__
    assert not pooled.pooled
    assert pooled.natural == pytest.approx(1 / 3)
    assert np.isnan(
        [pooled.tau2, *pooled.prediction_interval(), *pooled.tau2_interval(), pooled.q_pvalue]
    ).all()
    law = beta_distribution(3, 7), beta_distribution(4, 6)
    assert pooled.natural_interval() == pytest.approx((law[0].ppf(0.025), law[1].ppf(0.975)))
    assert str(pooled) == (
        "Proportion (logit scale), one study (Adams 2001), not pooled, k = 1\n"
        "  estimate  33.3%   95% CI [7.5%, 70.1%]\n"  # R's binom.test(3, 9)
        f"  FewStudiesWarning: {message}"
    )


def test_two_studies_show_every_interval():
    message = "Two studies say next to nothing about tau2, so compare the intervals by all methods."
    with pytest.warns(FewStudiesWarning, match=f"^{re.escape(message)}$") as said:
        pooled = pool_rates([4, 15], person_time=[100, 120])
    assert said[0].filename == __file__
    line = str(pooled).splitlines()[2]
    assert re.fullmatch(r"  95% CI by method: wald \[.*\], t \[.*\], profile \[.*\]", line)
    assert np.isnan(pooled.prediction_interval()).all()


def refused(message, function, *args, **kwargs):
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        function(*args, **kwargs)


def test_without_an_event_the_bound_is_what_there_is_to_report():
    # 1 - 0.05^(1/19) = 14.6%, and -ln(0.05) / 0.19 = 15.8 per 100
    refused(
        "None of the patients of all studies had the event, so its proportion has no estimate on the logit scale and "
        "tau2 none at all. If the studies shared one proportion, 0 of 19 would put it below 14.6%, the exact one-sided "
        "95% limit: report that.",
        pool_proportions,
        [0, 0],
        n_total=[10, 9],
    )
    refused(
        "All of the patients of all studies had the event, so its proportion has no estimate on the logit scale and "
        "tau2 none at all. If the studies shared one proportion, 19 of 19 would put it above 85.4%, the exact "
        "one-sided 95% limit: report that.",
        pool_proportions,
        [10, 9],
        n_total=[10, 9],
        model="beta_binomial",
    )
    refused(
        "No study has an event, so the rate has no estimate and tau2 none either. If all studies shared one rate, none "
        "in 19 would put it below 15.8 per 100, the exact one-sided 95% limit: report that.",
        pool_rates,
        [0, 0],
        person_time=[10, 9],
        per=100,
    )
    refused(
        "In every study none or all of the patients had the event, so the likelihood rises without end as the studies "
        "are taken to differ more. Describe the studies, or use model='normal_normal' with "
        "measure='arcsine_proportion'.",
        pool_proportions,
        [0, 9],
        n_total=[10, 9],
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_events": [1, 7, 3]}, "Brown 2005: n_events cannot exceed n_total; got 7 of 6. Swapped?"),
        ({"n_events": [1, -2, 3]}, "Brown 2005: n_events must be a whole number of at least 0; got -2."),
        ({"n_events": [1, 2.5, 3]}, "Brown 2005: n_events must be a whole number of at least 0; got 2.5."),
        ({"n_events": [1, np.nan, 3]}, "Brown 2005: n_events must be a whole number of at least 0; got nan."),
        ({"n_total": [5, 6, 0]}, "Chen 2010: n_total must be a whole number of at least 1; got 0."),
        ({"n_total": [5, 6]}, "n_events and n_total must have the same length; got 3 and 2."),
        ({"study": ["a"]}, "study must have one label for each of 3 studies; got 1."),
        (
            {"model": "glmm"},
            "model must be one of binomial_normal, beta_binomial, normal_normal; got 'glmm'.",
        ),
        (
            {"measure": "logit_survival"},
            "measure must be one of logit_proportion, log_proportion, arcsine_proportion, double_arcsine_proportion, "
            "probit_proportion, raw_proportion; got 'logit_survival'.",
        ),
        (
            {"measure": "arcsine_proportion"},
            "model='binomial_normal' is on the logit scale; got measure='arcsine_proportion'. Leave measure out, or "
            "use model='normal_normal'.",
        ),
        (
            {"tau2_method": "DL"},
            "model='binomial_normal' is fitted by maximum likelihood: tau2_method is ML or CE; got 'DL'. Leave it out, "
            "or use model='normal_normal'.",
        ),
        (
            {"ci_method": "HK"},
            "model='binomial_normal': ci_method must be one of wald, t, profile; got 'HK'.",
        ),
        (
            {"ci_method": "profile", "tau2_method": "CE"},
            "model='binomial_normal': ci_method must be one of wald, t, exact; got 'profile'.",
        ),
        (
            {"prediction_method": "HK_km2"},
            "model='binomial_normal': prediction_method must be one of t_km2, t_km1, normal; got 'HK_km2'.",
        ),
        (
            {"prediction_method": "normal", "model": "beta_binomial"},
            "model='beta_binomial': prediction_method must be one of beta; got 'normal'.",
        ),
        (
            {"ci_method": "profile", "model": "normal_normal"},
            "ci_method must be one of wald, t, HK, mHK, KR; got 'profile'.",
        ),
    ],
)
def test_bad_proportions(change, message):
    call = {"n_events": [1, 2, 3], "n_total": [5, 6, 7], "study": NAMES} | change
    refused(message, pool_proportions, call.pop("n_events"), **call)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_events": [1, 2.5, 3]}, "Brown 2005: n_events must be a whole number of at least 0; got 2.5."),
        ({"person_time": [5, 0, 7]}, "Brown 2005: person_time must be positive; got 0 at position 1."),
        ({"person_time": [5, 6]}, "n_events and person_time must have the same length; got 3 and 2."),
        ({"per": 0}, "per must be a positive amount of time, such as 1000; got 0."),
        ({"per": "year"}, "per must be a positive amount of time, such as 1000; got 'year'."),
        (
            {"model": "binomial_normal"},
            "model must be one of poisson_normal, normal_normal; got 'binomial_normal'.",
        ),
        (
            {"measure": "log_hr"},
            "measure must be one of log_rate, sqrt_rate, double_sqrt_rate, raw_rate; got 'log_hr'.",
        ),
        (
            {"measure": "sqrt_rate"},
            "model='poisson_normal' is on the log scale; got measure='sqrt_rate'. Leave measure out, or use "
            "model='normal_normal'.",
        ),
    ],
)
def test_bad_rates(change, message):
    call = {"n_events": [1, 2, 3], "person_time": [5.5, 6, 7], "study": NAMES} | change
    refused(message, pool_rates, call.pop("n_events"), **call)


def test_bad_questions():
    pooled = relief()
    refused("method must be one of wald, t, profile; got 'HK'.", pooled.confidence_interval, method="HK")
    refused("method must be one of normal, t_km1, t_km2; got 'KR'.", pooled.prediction_interval, method="KR")
    refused("method must be one of PL; got 'QP'.", pooled.tau2_interval, method="QP")
    refused(
        "method must be one of clopper_pearson, wilson, wilson_corrected, agresti_coull, simple, simple_corrected; got "
        "'exact'.",
        pooled.study_interval,
        method="exact",
    )
    refused(
        "Rates have one interval, the exact one; got method='wilson'.",
        pool_rates([4, 15, 2], person_time=[100, 120, 90]).study_interval,
        method="wilson",
    )
    level = "level must be a fraction between 0 and 1, such as 0.95; got 95."
    for ask in (
        pooled.confidence_interval,
        pooled.prediction_interval,
        pooled.tau2_interval,
        pooled.rho_interval,
    ):
        refused(level, ask, 95)


def test_a_climb_that_does_not_arrive_is_an_error(monkeypatch):
    fit = counts.glmm.fit
    monkeypatch.setattr(counts.glmm, "fit", lambda *args: fit(*args)._replace(converged=np.asarray(False)))
    with pytest.raises(
        ConvergenceError, match=r"^The likelihood of model='binomial_normal' was not climbed to its top\.$"
    ) as caught:
        relief()
    assert caught.value.last == pytest.approx(-0.054, abs=1e-3)


# --- warnings ----------------------------------------------------------------------------------------------------


def test_none_and_all_are_corrected_in_those_studies_alone():
    message = (
        "Adams 2001 and Chen 2010: none or all of the patients had the event, so 1/2 was added to events and "
        "non-events. model='binomial_normal' needs no such addition."
    )
    with pytest.warns(ContinuityCorrectionWarning, match=f"^{re.escape(message)}$") as said:
        pooled = pool_proportions(
            [0, 2, 7], n_total=[5, 6, 7], study=NAMES, ci_method="wald", model="normal_normal"
        )
    assert said[0].filename == __file__
    expected = [np.log(0.5 / 5.5), np.log(2 / 4), np.log(7.5 / 0.5)]
    assert pooled.study_estimate.tolist() == pytest.approx(expected)
    assert pooled.study_se[0] ** 2 == pytest.approx(1 / 0.5 + 1 / 5.5)
    assert [caution.name for caution in pooled.warnings] == ["ContinuityCorrectionWarning"]
    plain = pool_proportions(
        [0, 2, 7], n_total=[5, 6, 7], measure="arcsine_proportion", ci_method="wald", model="normal_normal"
    )
    assert plain.warnings == ()
    message = "Adams 2001: no event, so 1/2 was added. model='poisson_normal' needs no such addition."
    with pytest.warns(ContinuityCorrectionWarning, match=f"^{re.escape(message)}$") as said:
        pool_rates([0, 2, 7], person_time=[5, 6, 7], study=NAMES, ci_method="wald", model="normal_normal")
    assert said[0].filename == __file__


@pytest.mark.parametrize(
    ("pool", "size", "measure", "way"),
    [
        (
            pool_proportions,
            "n_total",
            "double_arcsine_proportion",
            "sin^2 and not by Miller's inverse, which needs a number of patients",
        ),
        (
            pool_rates,
            "person_time",
            "double_sqrt_rate",
            "squaring and not by the inverse, which needs a time at risk",
        ),
    ],
)
def test_scales_without_a_way_back_say_so(pool, size, measure, way):
    message = (
        f"Values pooled with measure='{measure}' are taken back by {way} that a pooled value does not have. Compare "
        "with the default model."
    )
    with pytest.warns(BackTransformationWarning, match=f"^{re.escape(message)}$") as said:
        pooled = pool(
            [1, 12, 7], **{size: [15, 36, 17]}, model="normal_normal", measure=measure, ci_method="mHK"
        )
    assert said[0].filename == __file__
    assert str(pooled).endswith(f"  BackTransformationWarning: {message}")


def test_warnings_of_pooling_on_a_scale_point_at_the_caller():
    with pytest.warns(NarrowIntervalWarning) as said:
        pooled = pool_proportions([10, 20, 30], n_total=[20, 40, 61], model="normal_normal", ci_method="HK")
    assert [warning.filename for warning in said] == [__file__]
    assert [caution.name for caution in pooled.warnings] == ["NarrowIntervalWarning"]


# --- the picture and the tables ----------------------------------------------------------------------------------


def test_the_forest_plot_shows_counts_where_there_are_no_weights():
    pytest.importorskip("matplotlib").use("Agg")
    import matplotlib.pyplot as plt

    ax = pool_proportions([0, 5, 9], n_total=[10, 12, 9], study=NAMES).plot()
    said = [text.get_text() for text in ax.figure.findobj(lambda part: hasattr(part, "get_text"))]
    assert {"Events/total", "0/10", "5/12", "9/9"} <= set(said)
    assert not any("nan" in text for text in said)
    ax = pool_rates([4, 15, 2], person_time=[100, 120, 90.5], per=100).plot()
    said = [text.get_text() for text in ax.figure.findobj(lambda part: hasattr(part, "get_text"))]
    assert {"Events/time", "4/100", "2/90.5", "Rate per 100"} <= set(said)
    assert ax.get_xlim()[0] == 0
    plt.close("all")


def test_the_tables_show_counts_where_there_are_no_weights():
    from netsynth.tables.pooled import pooled_table, weights_table

    table = str(weights_table(pool_proportions([0, 5, 9], n_total=[10, 12, 9], study=NAMES)))
    assert table.startswith("Proportion, binomial-normal model, ML, CI by t, 3 studies\n")
    assert re.search(r"Adams 2001 +0\.0% +0\.0–30\.8% +0/10\n", table)
    table = str(pooled_table({"relief": relief(model="beta_binomial")}))
    assert "nan" not in table
    assert "NA" not in table
