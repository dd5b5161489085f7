import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest

from netsynth.errors import FewStudiesWarning, InvalidInputError, NetsynthWarning
from netsynth.pool import pool_effects
from netsynth.selection import assess_excess_significance, failsafe_n

CASES = json.loads((Path(__file__).parents[1] / "references" / "excess.json").read_text(encoding="utf-8"))
DATA = {case["dataset"]: case for case in CASES}
TESTS = [(case["dataset"], name) for case in CASES for name in case["fits"] if name.startswith("tes")]
METHODS = ("Rosenthal", "Orwin", "Rosenberg", "General")
LOG_HR = [-0.92, -1.05, -0.24, -0.71, -0.51, 0.12, -0.55, -0.18, -0.32, -0.05, -0.16]
SE = [0.41, 0.38, 0.33, 0.30, 0.26, 0.22, 0.19, 0.16, 0.12, 0.10, 0.09]


def quiet(function, *args, **kwargs):
    """The verb without its warnings, for tests of numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return function(*args, **kwargs)


def pooled_from(dataset):
    case = DATA[dataset]
    return quiet(pool_effects, case["yi"], se=np.sqrt(case["vi"]))


@pytest.fixture(scope="module")
def pooled():
    return pool_effects(LOG_HR, se=SE, measure="log_hr")


# --- reference ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dataset", "name"), TESTS, ids=[f"{d}-{n}" for d, n in TESTS])
def test_reference_excess(dataset, name):
    expected = DATA[dataset]["fits"][name]
    _, side, *test = name.split("_")
    test = {"binom": "binomial"}.get(*2 * ((test or [expected["test"]])[0],))
    found = quiet(
        assess_excess_significance,
        pooled_from(dataset),
        alternative=side.replace("two.sided", "two-sided"),
        test=test,
    )
    assert found.n_significant == expected["O"]
    assert found.n_expected == pytest.approx(expected["E"], rel=1e-8)
    assert found.pvalue == pytest.approx(expected["pval"], rel=1e-8)
    assert found.chi2 == pytest.approx(expected.get("X2", math.nan), rel=1e-8, nan_ok=True)
    if "power" in expected:
        np.testing.assert_allclose(found.power, expected["power"], rtol=1e-8)
        assert found.ratio == pytest.approx(expected["OE"], rel=1e-8)
        assert found.effect == pytest.approx(expected["theta"], rel=1e-8)
        (limit,) = expected["theta_lim"]
        if limit is None:
            assert math.isnan(found.limit)
        else:  # metafor's root finder stops within 0.0001 of it
            assert found.limit == pytest.approx(limit, abs=2e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dataset", DATA)
def test_reference_failsafe(dataset, method):
    expected = DATA[dataset]["fits"][f"fsn_{method}"]
    found = quiet(failsafe_n, pooled_from(dataset), method=method.lower())
    if method == "General":  # metafor rounds up a root that its finder may put just beyond the number
        assert found.n in (expected["fsnum"], expected["fsnum"] - 1)
        assert found.n == 0 or found.diluted_pvalue >= 0.05
    else:
        assert found.n == expected["fsnum"]
    # the REML behind metafor's general method stops early, with tau2 good to four or five digits
    rel = 1e-4 if method == "General" else 1e-8
    if "pval" in expected:
        # a relative change of the statistic z moves p by its square, which is about -2 ln p
        square = -2 * math.log(max(expected["pval"], 1e-300))
        assert found.pvalue == pytest.approx(expected["pval"], rel=rel * (1 + square), abs=1e-300)
    assert found.estimate == pytest.approx(expected.get("est", math.nan), rel=rel, nan_ok=True)
    if "tau2" in expected:
        assert found.tau2 == pytest.approx(expected["tau2"], rel=5e-4, abs=1e-9)
    assert found.target == pytest.approx(expected.get("target", math.nan), rel=1e-8, nan_ok=True)
    if method != "Orwin":
        assert found.alpha == expected["alpha"]


def test_reference_heterogeneous_power():
    # metafor 3.8.1: tes(rma(yi, vi, data = dat.hackshaw1998), alternative =, test = "chi2")
    pooled = pooled_from("dat.hackshaw1998")
    for side, n, expected, p, limit in (
        ("greater", 7, 9.227543341597805, 0.80133581902486661, 0.065995715),
        ("less", 1, 0.67546751328850385, 0.34512120466637741, math.nan),
        ("two-sided", 7, 7.0243740922447406, 0.50407609104118412, 0.102836631),
    ):
        found = assess_excess_significance(pooled, alternative=side, test="chi2", model="RE")
        assert found.n_significant == n
        assert found.n_expected == pytest.approx(expected, rel=1e-4)  # REML there is good to five digits
        assert found.pvalue == pytest.approx(p, rel=1e-4)
        assert found.limit == pytest.approx(limit, abs=2e-4, nan_ok=True)


def test_reference_other_levels():
    # metafor 3.8.1 on dat.hackshaw1998: tes(test = "binom", alpha = .10), fsn(alpha = .01), fsn(target = .05)
    pooled = pooled_from("dat.hackshaw1998")
    found = assess_excess_significance(pooled, alpha=0.1, test="binomial", model="RE")
    assert found.n_significant == 8
    assert found.pvalue == pytest.approx(0.8122656782542117, rel=1e-4)
    assert failsafe_n(pooled, method="rosenthal", alpha=0.01).n == 178
    assert failsafe_n(pooled, method="rosenberg", alpha=0.01).n == 102
    assert failsafe_n(pooled, method="orwin", target=0.05).n == 101
    assert failsafe_n(pooled, method="orwin", target=-0.05).n == 101


# --- what the results answer -------------------------------------------------------------------------------


def test_text_of_excess(pooled):
    found = assess_excess_significance(pooled, alternative="less")
    assert str(found) == (
        "Excess significance: Hazard ratio, lower-sided tests at 0.05, k = 11\n"
        "  significant   7 of 11\n"
        "  expected      4.0 if the effect is 0.80, no heterogeneity\n"
        "  excess        exact test, one-sided p = 0.039\n"
        "  limit         with an effect nearer to none than 0.77 the excess has p below 0.1"
    )
    none = assess_excess_significance(pooled, alternative="greater")
    assert str(none).endswith("  limit         none: no excess even without an effect")
    assert "<caption>Excess significance" in found._repr_html_()


def test_frames_and_dict_of_excess(pooled):
    found = assess_excess_significance(pooled, test="chi2")
    row = found.summary_frame().loc["chi2"]
    assert row["n_expected"] == found.power.sum()
    assert found.study_frame()["significant"].sum() == found.n_significant
    assert not found.power.flags.writeable
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["power"]["Study 1"] == found.power[0]
    assert plain["chi2"] == found.chi2
    assert assess_excess_significance(pooled).to_dict()["chi2"] is None


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"method": "rosenthal"},
            "Fail-safe N (Rosenthal): Hazard ratio, k = 11\n"
            "  null results needed   116\n"
            "  to raise              one-sided p < 0.001 to 0.05",
        ),
        (
            {"target": -0.05},
            "Fail-safe N (General): Hazard ratio, k = 11\n"
            "  null results needed   47\n"
            "  to move               the effect from 0.74 to 0.95",
        ),
    ],
)
def test_text_of_failsafe(pooled, options, text):
    found = failsafe_n(pooled, **options)
    assert str(found) == text
    assert "<caption>Fail-safe N" in found._repr_html_()


def test_frame_and_dict_of_failsafe(pooled):
    found = failsafe_n(pooled)
    assert found.summary_frame().loc["general", "n"] == found.n
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["target"] is None
    assert plain["diluted_pvalue"] >= 0.05 > found.pvalue


def test_general_under_the_common_effect_is_rosenberg(pooled):
    common = pool_effects(LOG_HR, se=SE, tau2_method="CE", ci_method="wald")
    assert failsafe_n(common).n == failsafe_n(pooled, method="rosenberg").n


def test_a_number_beyond_ten_million_is_infinite():
    found = failsafe_n(quiet(pool_effects, [90.0, 90.1], se=[1e-3, 1e-3], tau2_method="CE"))
    assert found.n == math.inf
    assert found.to_dict()["n"] == "inf"
    assert "more than ten million" in str(found)


def test_nothing_to_undo():
    found = failsafe_n(pool_effects([0.1, -0.1, 0.05], se=[0.2, 0.3, 0.2], ci_method="wald"))
    assert found.n == 0
    assert found.diluted_pvalue == pytest.approx(found.pvalue, rel=1e-12)


# --- warnings and refusals ---------------------------------------------------------------------------------


def test_few_studies_are_said():
    with pytest.warns(FewStudiesWarning) as said:
        assess_excess_significance(pool_effects([0.1, 0.5, 0.2], se=[0.2, 0.3, 0.2], ci_method="wald"))
    assert (
        str(said[0].message)
        == "3 studies are too few to tell an excess from chance; ten are the usual minimum."
    )
    assert said[0].filename == __file__


REFUSED = [
    (
        failsafe_n,
        {"method": "fisher"},
        "method must be one of rosenthal, orwin, rosenberg, general; got 'fisher'.",
    ),
    (failsafe_n, {"alpha": 5}, "alpha must be a fraction between 0 and 1, such as 0.05; got 5."),
    (
        failsafe_n,
        {"method": "rosenberg", "target": 0.1},
        "method 'rosenberg' has no target; use 'orwin' or 'general', or leave it out.",
    ),
    (failsafe_n, {"target": 0}, "target must be an effect other than 0; got 0."),
    (failsafe_n, {"target": math.inf}, "target must be an effect other than 0; got inf."),
    (
        assess_excess_significance,
        {"alternative": "up"},
        "alternative must be one of greater, less, two-sided; got 'up'.",
    ),
    (assess_excess_significance, {"test": "z"}, "test must be one of exact, binomial, chi2; got 'z'."),
    (assess_excess_significance, {"model": "FE"}, "model must be one of CE, RE; got 'FE'."),
    (
        assess_excess_significance,
        {"alpha": 1},
        "alpha must be a fraction between 0 and 1, such as 0.05; got 1.",
    ),
    (
        assess_excess_significance,
        {"limit_alpha": 0},
        "limit_alpha must be a fraction between 0 and 1, such as 0.05; got 0.",
    ),
]


@pytest.mark.parametrize(("verb", "options", "message"), REFUSED, ids=[message for *_, message in REFUSED])
def test_what_is_refused(pooled, verb, options, message):
    with pytest.raises(InvalidInputError) as refused:
        verb(pooled, **options)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("verb", "what"),
    [(failsafe_n, "A fail-safe N"), (assess_excess_significance, "A test of excess significance")],
)
def test_one_study_and_probabilities_are_refused(verb, what):
    with pytest.raises(InvalidInputError) as refused:
        verb(quiet(pool_effects, [0.1], se=[0.1]))
    assert str(refused.value) == f"{what} needs at least 2 studies; got 1."
    with pytest.raises(InvalidInputError) as refused:
        verb(pool_effects([0.4, 0.7, 0.1], se=[0.2, 0.3, 0.2], measure="logit_proportion"))
    assert str(refused.value) == (
        f"{what} asks what is significant against no effect, of which a proportion has no value. Nothing of a single "
        "arm is missing for want of significance; look for results selected by time point."
    )
