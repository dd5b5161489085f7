"""Small-study effects from pooled effects: the numbers of the papers, what is refused, and what is said."""

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import netsynth
from netsynth.errors import (
    AsymmetryWarning,
    ConvergenceError,
    FewStudiesWarning,
    InvalidInputError,
    NetsynthWarning,
)
from netsynth.kernels.asymmetry import ASYMMETRY_METHODS
from netsynth.kernels.tau2 import Tau2Estimate, tau2_dl
from netsynth.pool import pool_effects
from netsynth.small_studies import assess_asymmetry, limit_effect, trim_and_fill

REFERENCES = Path(__file__).parent / "references"
ASYMMETRY = json.loads((REFERENCES / "asymmetry.json").read_text(encoding="utf-8"))
TRIM_FILL = json.loads((REFERENCES / "trim_fill.json").read_text(encoding="utf-8"))["trimfill"]
LIMITS = json.loads((REFERENCES / "limit_effect.json").read_text(encoding="utf-8"))["limitmeta"]
FITS = [(case, name) for case in TRIM_FILL for name, fit in case["fits"].items() if fit is not None]

LOG_HR = [-0.92, -1.05, -0.24, -0.71, -0.51, 0.12, -0.55, -0.18, -0.32, -0.05, -0.16]
SE = [0.41, 0.38, 0.33, 0.30, 0.26, 0.22, 0.19, 0.16, 0.12, 0.10, 0.09]
STUDY = [f"Study {letter}" for letter in "ABCDEFGHIJK"]
N_EVENTS = np.array(
    [
        [9, 15],
        [10, 17],
        [16, 21],
        [21, 25],
        [27, 32],
        [45, 40],
        [49, 61],
        [75, 82],
        [130, 149],
        [198, 203],
        [240, 255],
    ]
)
N_TOTAL = np.array(
    [
        [40, 41],
        [45, 44],
        [60, 58],
        [70, 71],
        [85, 88],
        [120, 121],
        [150, 149],
        [200, 207],
        [350, 349],
        [500, 510],
        [640, 633],
    ]
)


def quiet(function, *args, **kwargs):
    """A verb without its warnings, for tests of numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return function(*args, **kwargs)


def pool(case, **options):
    return quiet(pool_effects, case["yi"], se=np.sqrt(case["vi"]), **options)


def name_of(value):
    return value["dataset"] if isinstance(value, dict) else value


@pytest.fixture
def pooled():
    return pool_effects(LOG_HR, se=SE, measure="log_hr", study=STUDY)


@pytest.fixture
def hackshaw():
    # 37 studies of passive smoking and lung cancer (Hackshaw, Law & Wald 1997), log odds ratios
    return pool(
        next(case for case in ASYMMETRY["regtest"] if case["dataset"] == "dat.hackshaw1998"), ci_method="wald"
    )


def raises(message, function, *args, **kwargs):
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        function(*args, **kwargs)


# --- published ---------------------------------------------------------------------------------------------


def test_published_hackshaw_trim_and_fill(hackshaw):
    assert hackshaw.estimate == pytest.approx(0.2189, abs=5.1e-5)
    assert hackshaw.confidence_interval() == pytest.approx((0.1221, 0.3157), abs=5.1e-5)
    filled = trim_and_fill(hackshaw)
    assert (filled.n_missing, filled.side) == (7, "left")
    assert filled.adjusted.estimate == pytest.approx(0.1745, abs=5.1e-5)
    assert filled.adjusted.confidence_interval() == pytest.approx((0.0795, 0.2694), abs=5.1e-5)


def test_published_hackshaw_tests(hackshaw):
    egger, mixed, begg = (assess_asymmetry(hackshaw, method=name) for name in ("egger", "mixed", "begg"))
    assert (egger.statistic, egger.pvalue) == pytest.approx((2.3824, 0.0228), abs=5.1e-5)
    assert egger.limit == pytest.approx(0.00504, abs=5.1e-6)
    assert (mixed.statistic, mixed.pvalue, mixed.limit) == pytest.approx((2.1055, 0.0352, 0.0216), abs=5.1e-5)
    assert (begg.rank_correlation, begg.pvalue) == pytest.approx((0.1441, 0.2157), abs=5.1e-5)
    # precision-effect test and its sibling on the variance are the same lines
    pet, peese = assess_asymmetry(hackshaw), assess_asymmetry(hackshaw, predictor="variance")
    assert (pet.slope, pet.slope_se) == pytest.approx((0.90193, 0.37858), abs=5.1e-6)
    assert (peese.intercept, peese.intercept_se) == pytest.approx((0.12008, 0.05190), abs=5.1e-6)


# --- reference ---------------------------------------------------------------------------------------------


def reml_log_likelihood(effect, tau2):
    """Restricted log-likelihood of a tau2, without its constants, for the studies of a pooled effect."""
    y, w = effect.study_estimate, 1 / (effect.study_se**2 + tau2)
    residual = y - w @ y / w.sum()
    return 0.5 * (np.log(w).sum() - np.log(w.sum()) - w @ residual**2)


@pytest.mark.parametrize(("case", "name"), FITS, ids=name_of)
def test_reference_trimfill(case, name):
    tau2_method, method, side = name.split()
    fit = case["fits"][name]
    found = quiet(
        trim_and_fill, pool(case, tau2_method=tau2_method, ci_method="wald"), estimator=method, side=side
    )
    adjusted, scale = found.adjusted, max(fit["se"], abs(fit["beta"]))
    rel = 1e-8
    if tau2_method == "REML":  # metafor at its default tolerance: judge by the height
        ours, theirs = (reml_log_likelihood(adjusted, tau2) for tau2 in (adjusted.tau2, fit["tau2"]))
        assert ours >= theirs - 1e-12 * (1 + abs(theirs))
        rel = 1e-4
    assert (found.side, found.n_missing, adjusted.k) == (fit["side"], fit["k0"], len(case["yi"]) + fit["k0"])
    assert adjusted.estimate == pytest.approx(fit["beta"], abs=10 * rel * scale)
    assert adjusted.se == pytest.approx(fit["se"], rel=10 * rel)
    assert adjusted.confidence_interval() == pytest.approx((fit["ci_lb"], fit["ci_ub"]), abs=10 * rel * scale)
    assert adjusted.tau2 == pytest.approx(fit["tau2"], rel=10 * rel, abs=1e-8 * min(case["vi"]))
    assert adjusted.q == pytest.approx(fit["QE"], rel=10 * rel)
    z2 = (fit["beta"] / fit["se"]) ** 2
    assert adjusted.pvalue == pytest.approx(fit["pval"], rel=10 * rel * (1 + z2), abs=1e-300)


@pytest.mark.parametrize("case", LIMITS, ids=name_of)
def test_reference_limit(case):
    found, expected = quiet(limit_effect, pool(case)), case["output"]
    # meta estimates tau with metafor's default tolerance
    assert found.estimate == pytest.approx(expected["TE_adjust"], abs=1e-4 * expected["seTE_adjust"])
    assert found.se == pytest.approx(expected["seTE_adjust"], rel=1e-4)
    assert found.confidence_interval() == pytest.approx(
        (expected["lower"], expected["upper"]), abs=1e-4 * expected["seTE_adjust"]
    )
    assert found.q_residual == pytest.approx(expected["Q_resid"], rel=1e-8)
    assert found.q_small_study == pytest.approx(expected["Q_small"], abs=1e-8 * expected["Q"])
    assert found.g2 == pytest.approx(expected["G2"], abs=1e-4)
    assert found.pvalue == pytest.approx(expected["pval"], rel=5e-3)


@pytest.mark.parametrize("case", ASYMMETRY["metabias"], ids=name_of)
def test_reference_continuity_corrected_begg(case):
    if "Begg_correct" not in case["tests"]:
        return
    found, expected = quiet(assess_asymmetry, pool(case["input"]), method="begg"), case["tests"]
    assert found.normal_pvalue() == pytest.approx(expected["Begg"]["pval"], rel=1e-8)
    assert found.normal_pvalue(continuity=True) == pytest.approx(expected["Begg_correct"]["pval"], rel=1e-8)


def test_reference_tables():
    # meta leaves out studies without events before it pools and tests
    for case in ASYMMETRY["metabias"]:
        if "ai" not in case["input"]:
            continue
        a, n1, c, n2 = (np.array(case["input"][key], dtype=float) for key in ("ai", "n1i", "ci", "n2i"))
        kept = a + c > 0
        cells = np.array([a, n1 - a, c, n2 - c])[:, kept]
        cells = cells + 0.5 * (cells == 0).any(axis=0)
        y = np.log(cells[0] * cells[3] / (cells[1] * cells[2]))
        pooled = quiet(pool_effects, y, se=np.sqrt((1 / cells).sum(axis=0)))
        counts = {"n_events": np.column_stack([a, c])[kept], "n_total": np.column_stack([n1, n2])[kept]}
        for name in ("Schwarzer", "Harbord", "Peters", "Macaskill", "Deeks"):
            found = assess_asymmetry(pooled, method=name.lower(), **counts)
            assert found.statistic == pytest.approx(case["tests"][name]["statistic"], rel=1e-8)
            assert found.pvalue == pytest.approx(case["tests"][name]["pval"], rel=1e-8)


def test_reference_fat_takes_counts_by_study():
    case = ASYMMETRY["fat"][0]
    counts = case["input"]
    pooled = pool_effects(counts["b"], se=counts["se"], measure="log_hr")
    given = {"n_events": counts["d_total"], "n_total": counts["n_total"]}
    for name, method in (("M-FIV", "macaskill"), ("D-FIV", "debray_fiv"), ("E-UW", "egger_unweighted")):
        found, expected = assess_asymmetry(pooled, method=method, **given), case["tests"][name]
        assert (found.statistic, found.pvalue) == pytest.approx(
            (expected["tval"], expected["pval"]), rel=1e-8
        )
        assert found.intercept == pytest.approx(expected["coef"][0], rel=1e-8)


# --- what the results answer --------------------------------------------------------------------------------


def test_the_test_of_a_line_in_words(pooled):
    found = assess_asymmetry(pooled)
    y, se = np.array(LOG_HR), np.array(SE)
    (b, a), covariance = np.polyfit(se, y, 1, w=1 / se, cov=True)
    half = 2.2621571628540993 * np.sqrt(np.diag(covariance))  # t on 9 df
    t = b / np.sqrt(covariance[0, 0])
    low, high = np.exp([a - half[1], a + half[1]])
    assert str(found) == (
        "Egger's test: Hazard ratio against standard error, k = 11\n"
        f"  slope              {b:.2f}   95% CI [{b - half[0]:.2f}, {b + half[0]:.2f}]   t {t:.2f} on 9 df, p = 0.026\n"
        f"  at infinite size   {np.exp(a):.2f}   95% CI [{low:.2f}, {high:.2f}]\n"
        "  dispersion         1.31"
    )
    assert found.natural_limit == pytest.approx(np.exp(a))
    assert found.natural_limit_interval() == pytest.approx((low, high))
    assert found.limit_interval(0.8) == pytest.approx(
        (
            a - 1.3830287383966925 * np.sqrt(covariance[1, 1]),
            a + 1.3830287383966925 * np.sqrt(covariance[1, 1]),
        )
    )
    assert "<caption>Egger&#x27;s test: Hazard ratio" in found._repr_html_()


def test_the_other_tests_in_words(pooled):
    assert str(assess_asymmetry(pooled, method="mixed")).splitlines()[0] == (
        "Thompson and Sharp's test: Hazard ratio against standard error, k = 11"
    )
    assert re.search(
        r"\n  left between studies   tau2 0\S* \(REML\)$", str(assess_asymmetry(pooled, method="mixed"))
    )
    assert " z -" in str(assess_asymmetry(pooled, method="mixed"))
    assert " on 9 df" in str(assess_asymmetry(pooled, method="mixed_t"))
    begg = assess_asymmetry(pooled, method="begg")
    assert re.fullmatch(
        r"Begg and Mazumdar's rank test: Hazard ratio against variance, k = 11\n"
        r"  rank correlation   tau -0\.\d\d   exact p = 0\.\d+",
        str(begg),
    )
    schwarzer = assess_asymmetry(pooled, method="schwarzer", n_events=N_EVENTS, n_total=N_TOTAL)
    assert re.fullmatch(
        r"Schwarzer's rank test: Hazard ratio, k = 11\n  rank correlation   tau -?0\.\d\d   z -?\d\.\d\d, p .*",
        str(schwarzer),
    )
    macaskill = assess_asymmetry(pooled, method="macaskill", n_total=N_TOTAL)
    assert "at infinite size" not in str(macaskill)
    assert np.isnan([macaskill.limit, macaskill.natural_limit, *macaskill.limit_interval()]).all()
    assert np.isnan(begg.slope_interval()).all()
    assert np.isnan(macaskill.normal_pvalue())


@pytest.mark.parametrize("method", ASYMMETRY_METHODS)
def test_frames_and_dicts_hold_every_number(pooled, method):
    found = assess_asymmetry(pooled, method=method, n_events=N_EVENTS, n_total=N_TOTAL)
    frame, plain = found.summary_frame(0.9), found.to_dict(0.9)
    assert frame.index.tolist() == [method]
    assert frame["pvalue"].item() == found.pvalue == plain["pvalue"]
    low, high = found.slope_interval(0.9)
    assert frame[["slope_lower", "slope_upper"]].to_numpy().ravel() == pytest.approx([low, high], nan_ok=True)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert set(plain) == {"method", "level", "warnings", *frame.columns}
    assert 0 < found.pvalue <= 1
    assert found.is_rank_test == (method in ("begg", "schwarzer"))
    assert found.k == 11


def test_a_masked_count_is_missing(pooled):
    masked = np.ma.array(N_TOTAL, mask=np.arange(N_TOTAL.size).reshape(N_TOTAL.shape) == 0)
    with pytest.raises(InvalidInputError, match="n_total must be a whole number of at least 1; got nan"):
        assess_asymmetry(pooled, method="macaskill", n_total=masked)


def test_counts_of_arms_are_added_up_where_studies_are_enough(pooled):
    by_arm = assess_asymmetry(pooled, method="peters", n_events=N_EVENTS, n_total=N_TOTAL)
    by_study = assess_asymmetry(
        pooled, method="peters", n_events=N_EVENTS.sum(axis=1), n_total=N_TOTAL.sum(axis=1)
    )
    assert by_arm.to_dict() == by_study.to_dict()


def test_the_estimator_of_tau2_is_that_of_the_pooled_effect_unless_another_is_named():
    other = pool_effects(LOG_HR, se=SE, tau2_method="DL")
    assert assess_asymmetry(other, method="mixed").tau2_method == "DL"
    named = assess_asymmetry(other, method="mixed", tau2_method="PM")
    assert named.tau2_method == "PM"
    assert assess_asymmetry(other, method="mixed", tau2_method=tau2_dl).tau2_method == "tau2_dl"
    assert assess_asymmetry(other, method="egger").tau2_method == ""


def test_trim_and_fill_in_words_frames_and_dict(pooled):
    found = trim_and_fill(pooled, estimator="R0")
    lines = str(found).splitlines()
    assert lines[0] == "Trim-and-fill (R0): Hazard ratio, missing studies on the right, k = 11"
    assert re.fullmatch(r"  missing            \d \(se \d\.\d+\)   p = 0\.\d+", lines[1])
    assert lines[2].startswith("  pooled             0.74   95% CI [0.60, 0.91]   k = 11")
    assert lines[3].endswith(f"k = {11 + found.n_missing}")
    frame = found.summary_frame()
    assert frame.index.tolist() == ["original", "adjusted"]
    assert frame["k"].tolist() == [11, 11 + found.n_missing]
    filled = found.filled_frame()
    assert isinstance(filled, pd.DataFrame)
    assert filled.index.tolist() == list(found.filled_study)
    np.testing.assert_allclose(filled["natural"], np.exp(found.filled_estimate))
    plain = found.to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert [row["mirror_of"] for row in plain["filled"]] == list(found.filled_study)
    assert plain["adjusted"]["estimate"] == found.adjusted.estimate
    assert (found.measure, found.k) == ("log_hr", 11)
    assert "missing studies on the right" in found._repr_html_()


def test_missing_studies_are_mirror_images(pooled):
    found = trim_and_fill(pooled)
    assert found.n_missing > 0
    sources = [STUDY.index(study) for study in found.filled_study]
    np.testing.assert_allclose(found.filled_se, np.array(SE)[sources])
    centre = 0.5 * (found.filled_estimate + np.array(LOG_HR)[sources])
    np.testing.assert_allclose(centre, centre[0])  # the mean about which all are mirrored
    assert found.adjusted.study[11:] == tuple(f"Mirror image of {study}" for study in found.filled_study)
    with pytest.raises(ValueError, match="read-only"):
        found.filled_estimate[0] = 0.0


def test_the_mirror_image_of_a_pooled_effect_misses_studies_on_the_other_side(pooled):
    turned = trim_and_fill(pool_effects(-np.array(LOG_HR), se=SE, measure="log_hr"))
    found = trim_and_fill(pooled)
    assert (found.side, turned.side) == ("right", "left")
    assert turned.n_missing == found.n_missing
    assert turned.adjusted.estimate == pytest.approx(-found.adjusted.estimate)


def test_where_nothing_is_missing_nothing_changes(pooled):
    found = trim_and_fill(pooled, side="left")
    assert found.n_missing == 0
    assert found.adjusted.estimate == pooled.estimate
    assert found.filled_frame().empty


def test_the_limit_in_words_and_frames(pooled):
    found = limit_effect(pooled)
    assert re.fullmatch(
        r"Limit meta-analysis: Hazard ratio, tau2 by REML, k = 11\n"
        r"  pooled             0\.74   95% CI \[0\.60, 0\.91\]\n"
        r"  at infinite size   0\.94   95% CI \[0\.73, 1\.20\]\n"
        r"  G2                 \d+%   Q of small-study effects \d\.\d\d on 1 df, left \d+\.\d\d on 9 df",
        str(found),
    )
    plain = found.to_dict(0.9)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["studies"]["Study A"] == found.study_estimate[0]
    assert found.summary_frame(0.9)["ci_lower"].item() == found.confidence_interval(0.9).lower
    assert found.natural_interval() == pytest.approx(np.exp(found.confidence_interval()))
    assert (found.k, found.measure) == (11, "log_hr")
    assert "Limit meta-analysis" in found._repr_html_()


# --- doubts ------------------------------------------------------------------------------------------------


def test_a_limit_of_effects_that_are_all_none_has_no_g2():
    found = quiet(limit_effect, quiet(pool_effects, [0.0] * 4, se=[0.1, 0.2, 0.3, 0.4]))
    assert "G2                 undefined   Q of small-study effects 0.00 on 1 df" in str(found)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["g2"] is None


@pytest.mark.parametrize("verb", [assess_asymmetry, trim_and_fill, limit_effect])
def test_few_studies_are_warned_of(verb):
    pooled = pool_effects(LOG_HR[:9], se=SE[:9])
    message = "9 studies are too few to tell small-study effects from chance; ten are the usual minimum."
    with pytest.warns(FewStudiesWarning, match=f"^{re.escape(message)}$") as said:
        found = verb(pooled)
    assert said[0].filename == __file__
    assert [str(caution) for caution in found.warnings] == [f"FewStudiesWarning: {message}"]
    assert message in str(found)


PROBABILITY = (
    "A probability of one arm is neither significant nor not, so no study is missing for its result."
)


def test_asymmetry_is_expected_of_probabilities():
    pooled = pool_effects(LOG_HR, se=SE, measure="logit_survival")
    longer = (
        f"{PROBABILITY} Its standard error depends on the probability, so that a funnel is asymmetric of itself. Test "
        "against the number of patients, and look for results that were selected by time point."
    )
    for verb in (assess_asymmetry, trim_and_fill, limit_effect):
        with pytest.warns(AsymmetryWarning, match=f"^{re.escape(longer)}$"):
            verb(pooled)
    with pytest.warns(AsymmetryWarning, match=f"^{re.escape(PROBABILITY)}$"):
        found = assess_asymmetry(pooled, predictor="inverse_sqrt_n", n_total=N_TOTAL)
    assert found.natural_limit == pytest.approx(1 / (1 + np.exp(-found.limit)))


def test_studies_of_one_size_cannot_be_judged():
    pooled = pool_effects(LOG_HR, se=[0.2] * 11)
    message = "All studies have the same standard error, so that small-study effects cannot be seen."
    for verb in (assess_asymmetry, limit_effect):
        with pytest.warns(AsymmetryWarning, match=f"^{re.escape(message)}$"):
            found = verb(pooled)
        assert np.isnan(found.pvalue)
        assert "undefined" in str(found)
    with pytest.warns(AsymmetryWarning, match="All studies have the same 1 / events"):
        assess_asymmetry(pooled, method="debray_fiv", n_events=[10] * 11)
    raises(
        "All studies have the same standard error, so that none is small and side='auto' cannot tell the side. "
        "Give 'left' or 'right'.",
        trim_and_fill,
        pooled,
    )
    assert trim_and_fill(pooled, side="left").side == "left"


def test_effects_on_a_line_are_not_tested():
    pooled = pool_effects(0.2 + np.array(SE), se=SE, ci_method="mHK")
    message = "The effects lie on a line, or do not differ, so that the test is undefined."
    with pytest.warns(AsymmetryWarning, match=f"^{re.escape(message)}$"):
        found = assess_asymmetry(pooled)
    assert np.isnan([found.pvalue, found.slope_se]).all()
    assert found.slope == pytest.approx(1)


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "what"),
    [
        (assess_asymmetry, "A test of asymmetry"),
        (trim_and_fill, "Trim-and-fill"),
        (limit_effect, "A limit meta-analysis"),
    ],
)
def test_three_studies_are_the_least(verb, what):
    two = quiet(pool_effects, LOG_HR[:2], se=SE[:2])
    one = quiet(pool_effects, LOG_HR[:1], se=SE[:1])
    raises(f"{what} needs at least three studies; got 2 studies.", verb, two)
    raises(f"{what} needs at least three studies; got 1 study.", verb, one)
    quiet(verb, quiet(pool_effects, LOG_HR[:3], se=SE[:3]))


def test_names_must_be_known(pooled):
    raises(
        f"method must be one of {', '.join(ASYMMETRY_METHODS)}; got 'lfk'.",
        assess_asymmetry,
        pooled,
        method="lfk",
    )
    raises(
        "predictor must be one of se, variance, n, inverse_n, sqrt_n, inverse_sqrt_n, inverse_events, "
        "inverse_sqrt_effective_n, score_se; got 'size'.",
        assess_asymmetry,
        pooled,
        predictor="size",
    )
    raises(
        "method 'begg' has a predictor of its own; got predictor='n'. Those that take one are egger, "
        "egger_unweighted, mixed and mixed_t.",
        assess_asymmetry,
        pooled,
        method="begg",
        predictor="n",
    )
    raises("estimator must be one of L0, R0, Q0; got 'S0'.", trim_and_fill, pooled, estimator="S0")
    raises("side must be one of auto, left, right; got 'top'.", trim_and_fill, pooled, side="top")
    with pytest.raises(InvalidInputError, match=r"^tau2_method must be one of .*; got 'XX'\.$"):
        assess_asymmetry(pooled, method="mixed", tau2_method="XX")


def test_an_estimator_of_ones_own_must_be_given_again():
    def own(estimate, variance, design=None, /):
        return tau2_dl(estimate, variance, design)

    pooled = pool_effects(LOG_HR, se=SE, tau2_method=own)
    message = (
        "The effects were pooled with an estimator of one's own, own; give it, or the name of another, as "
        "tau2_method."
    )
    raises(message, assess_asymmetry, pooled, method="mixed")
    raises(message, trim_and_fill, pooled)
    found, expected = trim_and_fill(pooled, tau2_method=own), trim_and_fill(pooled, tau2_method="DL")
    assert found.adjusted.estimate == expected.adjusted.estimate
    assert found.adjusted.tau2_method == "own"


def test_counts_must_be_given_and_fit(pooled):
    one = "(11,), one count a study, or (11, 2), one row a study with a count for each arm"
    two = "(11, 2), one row a study with a count for each arm"
    raises(
        f"method 'peters' with its predictor needs n_total, of shape {one}.",
        assess_asymmetry,
        pooled,
        method="peters",
    )
    raises(
        f"method 'harbord' with its predictor needs n_total, of shape {two}.",
        assess_asymmetry,
        pooled,
        method="harbord",
    )
    raises(
        f"method 'debray_fiv' with its predictor needs n_events, of shape {one}.",
        assess_asymmetry,
        pooled,
        method="debray_fiv",
        n_total=N_TOTAL,
    )
    raises(
        f"n_events must have shape {two}; got shape (11,).",
        assess_asymmetry,
        pooled,
        method="debray_fav",
        n_events=N_EVENTS[:, 0],
    )
    raises(
        f"n_total must have shape {one}; got shape (10, 2).",
        assess_asymmetry,
        pooled,
        predictor="n",
        n_total=N_TOTAL[:10],
    )
    raises(
        "n_total must be whole numbers; got ['many', 'few'].",
        assess_asymmetry,
        pooled,
        predictor="n",
        n_total=["many", "few"],
    )
    raises(
        "Study B: n_total must be a whole number of at least 1; got 0.",
        assess_asymmetry,
        pooled,
        predictor="n",
        n_total=[10, 0, *[20] * 9],
    )
    raises(
        "Study A: n_events must be a whole number of at least 0; got 2.5.",
        assess_asymmetry,
        pooled,
        method="debray_fiv",
        n_events=[2.5, *[20] * 10],
    )


def test_events_must_leave_something_to_weigh_by(pooled):
    def counts(first):
        return {"n_events": np.vstack([first, N_EVENTS[1:]]), "n_total": N_TOTAL}

    def tail(who, method):
        return (
            f"Study A: {who} had the event, which leaves method {method!r} nothing to weigh the study by. Pool "
            "without it, or use another method."
        )

    raises(
        "Study A: n_events cannot exceed n_total; got 50 of 41. Swapped?",
        assess_asymmetry,
        pooled,
        method="peters",
        **counts([3, 50]),
    )
    raises(tail("nobody", "peters"), assess_asymmetry, pooled, method="peters", **counts([0, 0]))
    raises(tail("every patient", "harbord"), assess_asymmetry, pooled, method="harbord", **counts([40, 41]))
    raises(
        tail("in one arm nobody", "debray_fav"),
        assess_asymmetry,
        pooled,
        method="debray_fav",
        **counts([0, 9]),
    )
    assert assess_asymmetry(pooled, method="peters", **counts([0, 9])).k == 11


def test_an_estimator_that_does_not_arrive_stops_the_test(pooled):
    def never(estimate, variance, design=None, /):
        del estimate, design
        return Tau2Estimate(np.full(variance.shape[:-1], 0.25), np.zeros(variance.shape[:-1], dtype=bool), 7)

    with pytest.raises(ConvergenceError, match=r"^tau2 by never did not converge\.$") as said:
        assess_asymmetry(pooled, method="mixed", tau2_method=never)
    assert said.value.last == 0.25


def test_q0_may_be_undefined():
    case = next(case for case in TRIM_FILL if case["dataset"] == "metamisc-Fibrinogen")
    raises(
        "Q0 is undefined for these studies: too many lie on one side of the mean. Use estimator='L0'.",
        trim_and_fill,
        pool(case),
        estimator="Q0",
    )


def test_an_iteration_that_goes_round_is_no_answer():
    def contrary(estimate, variance, design=None, /):
        del estimate, design
        everyone = np.isfinite(variance).all(-1)
        return Tau2Estimate(np.where(everyone, 1e6, 0.0), np.ones(everyone.shape, dtype=bool), 0)

    pooled = pool_effects([0.0, 0.1, 0.2, 3.2, 6.0, 6.5], se=[1, 1, 1, 0.01, 1, 1])
    message = "Trim-and-fill by R0 does not settle: the number of missing studies goes round between 0 and 1."
    with pytest.raises(ConvergenceError, match=f"^{re.escape(message)}$"):
        trim_and_fill(pooled, estimator="R0", side="left", tau2_method=contrary)


PUT_TO = {
    "A test of asymmetry": assess_asymmetry,
    "Trim-and-fill": trim_and_fill,
    "A limit meta-analysis": limit_effect,
    "leave_one_out": netsynth.leave_one_out,
    "accumulate": netsynth.accumulate,
    "influence": netsynth.influence,
    "gosh": netsynth.gosh,
    "A selection model": netsynth.fit_selection_model,
    "PET-PEESE": netsynth.pet_peese,
    "A fail-safe N": netsynth.failsafe_n,
    "A test of excess significance": netsynth.assess_excess_significance,
}


@pytest.mark.parametrize("what", PUT_TO)
def test_what_is_not_a_pooled_effect_is_refused(what):
    message = f"{what} takes a pooled effect, from pool_effects or one of its siblings; got list. Pool first."
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        PUT_TO[what]([0.1, 0.2])
