import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.errors import FewStudiesWarning, InvalidInputError, NetsynthWarning, UnusableDataWarning
from netsynth.pool import pool_effects
from netsynth.selection import pet_peese

CASES = json.loads((Path(__file__).parents[1] / "references" / "pet_peese.json").read_text(encoding="utf-8"))
DATA = {case["dataset"]: case for case in CASES}
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
def result():
    return pet_peese(pool_effects(LOG_HR, se=SE, measure="log_hr"))


# --- published ---------------------------------------------------------------------------------------------


def test_published_hackshaw():
    # dat.hackshaw1998 by R's lm, 4.2
    found = pet_peese(pooled_from("dat.hackshaw1998"))
    assert (found.pet.slope, found.pet.slope_se) == pytest.approx((0.90193, 0.37858), abs=5e-6)
    assert found.pet.intercept == pytest.approx(0.00504, abs=5e-6)
    assert (found.peese.intercept, found.peese.intercept_se) == pytest.approx((0.12008, 0.05190), abs=5e-6)
    assert found.chosen == "PET"


# --- reference ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["PET", "PEESE"])
@pytest.mark.parametrize("dataset", DATA)
def test_reference_least_squares(dataset, line):
    expected = DATA[dataset]["fits"][f"{line}_lm_wls"]
    result = quiet(pet_peese, pooled_from(dataset))
    found = result.pet if line == "PET" else result.peese
    assert (found.intercept, found.slope) == pytest.approx(expected["coef"], rel=1e-8)
    assert (found.intercept_se, found.slope_se) == pytest.approx(expected["se"], rel=1e-8)
    assert (found.pvalue, found.slope_pvalue) == pytest.approx(expected["pval"], rel=1e-8)
    assert found.df == expected["df"]
    assert found.dispersion**0.5 == pytest.approx(expected["sigma"], rel=1e-8)
    ends = zip(expected["ci_lb"], expected["ci_ub"], strict=True)
    for got, interval in zip((found.confidence_interval(), found.slope_interval()), ends, strict=True):
        assert got == pytest.approx(interval, rel=1e-8)


@pytest.mark.parametrize("model", ["CE", "REML"])
@pytest.mark.parametrize("line", ["PET", "PEESE"])
@pytest.mark.parametrize("dataset", DATA)
def test_reference_meta_regression(dataset, line, model):
    expected = DATA[dataset]["fits"][f"{line}_rma_{'EE' if model == 'CE' else model}"]
    result = quiet(pet_peese, pooled_from(dataset), model=model)
    found = result.pet if line == "PET" else result.peese
    regression = result.pet_regression if line == "PET" else result.peese_regression
    rel = 1e-8 if model == "CE" else 1e-6
    assert found.tau2 == pytest.approx(expected["tau2"], rel=1e-6, abs=1e-9)
    # intercepts near 0 are differences: to within a millionth of their errors
    assert (found.intercept, found.slope) == pytest.approx(
        expected["beta"], rel=rel, abs=rel * max(expected["se"])
    )
    assert (found.intercept_se, found.slope_se) == pytest.approx(expected["se"], rel=rel)
    z = np.abs(np.array(expected["stat"]))
    for got, p, size in zip((found.pvalue, found.slope_pvalue), expected["pval"], z, strict=True):
        assert got == pytest.approx(p, rel=10 * rel * (1 + size**2))
    assert found.slope_interval() == pytest.approx(
        (expected["ci_lb"][1], expected["ci_ub"][1]), rel=100 * rel
    )
    assert math.isinf(found.df)
    assert regression.q == pytest.approx(expected["QE"], rel=1e-8)
    assert regression.q_pvalue == pytest.approx(expected["QEp"], rel=1e-7)
    assert regression.omnibus.statistic == pytest.approx(expected["QM"], rel=10 * rel)
    assert regression.omnibus.pvalue == pytest.approx(expected["QMp"], rel=10 * rel * (1 + expected["QM"]))
    assert regression.typical_variance == pytest.approx(expected["vt"], rel=1e-8)
    if model == "CE":
        assert 100 * regression.i2 == pytest.approx(expected["I2"], rel=1e-8, abs=1e-9)
        assert regression.h2 == pytest.approx(expected["H2"], rel=1e-8)
        assert 100 * regression.r2 == pytest.approx(expected["R2"], rel=1e-7, abs=1e-9)
    else:
        assert 100 * regression.i2_tau2 == pytest.approx(expected["I2"], rel=1e-6, abs=1e-6)
        assert regression.h2_tau2 == pytest.approx(expected["H2"], rel=1e-6)
        assert 100 * regression.r2 == pytest.approx(expected["R2"], rel=1e-5, abs=1e-4)
        assert regression.tau2_se == pytest.approx(expected["se_tau2"], rel=1e-6)
    for restricted in (False, True):
        end = "REML" if restricted else "ML"
        criteria = regression.criteria(restricted=restricted)
        got = (criteria.log_likelihood, criteria.aic, criteria.bic, criteria.aicc)
        names = ("ll", "AIC", "BIC", "AICc")
        assert got == pytest.approx([expected[f"{name}_{end}"] for name in names], rel=1e-6)


# --- the choice --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", DATA)
def test_the_choice_rests_on_a_one_sided_test(dataset):
    result = quiet(pet_peese, pooled_from(dataset))
    expected = DATA[dataset]["fits"]["PET_lm_wls"]
    same_side = (expected["coef"][0] > 0) == (result.side == "greater")
    one_sided = expected["pval"][0] / 2 if same_side else 1 - expected["pval"][0] / 2
    assert result.pet_pvalue == pytest.approx(one_sided, rel=1e-8)
    assert result.chosen == ("PEESE" if one_sided < 0.1 else "PET")
    assert result.estimate == (result.peese if one_sided < 0.1 else result.pet).intercept


@given(shift=st.floats(0.5, 3), scale=st.floats(0.01, 100))
def test_a_change_of_unit_and_side(shift, scale):
    y = np.array(LOG_HR) + shift
    one = pet_peese(pool_effects(y, se=SE))
    other = pet_peese(pool_effects(-scale * y, se=scale * np.array(SE)))
    assert other.estimate == pytest.approx(-scale * one.estimate, rel=1e-8)
    assert other.pet_pvalue == pytest.approx(one.pet_pvalue, rel=1e-6)
    assert other.chosen == one.chosen


def test_a_line_through_all_effects_is_found():
    se = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    result = quiet(pet_peese, quiet(pool_effects, 0.3 + 0.5 * se, se=se))
    assert (result.pet.intercept, result.pet.slope) == pytest.approx((0.3, 0.5), rel=1e-12)
    assert math.isnan(result.pet.intercept_se)
    assert result.peese.intercept_se > 0


# --- what the result answers -------------------------------------------------------------------------------


def test_text(result):
    assert str(result) == (
        "PET-PEESE: Hazard ratio, weighted least squares, k = 11\n"
        "  pooled   0.74   95% CI [0.60, 0.91]\n"
        "  PET      1.06   95% CI [0.81, 1.38]   chosen\n"
        "  PEESE    0.90   95% CI [0.77, 1.05]\n"
        "  choice   PET against an effect below 1.00: one-sided p = 0.67 >= 0.1"
    )
    assert "<caption>PET-PEESE" in result._repr_html_()


def test_frame_and_dict(result):
    frame = result.summary_frame()
    assert frame.loc["PET", "estimate"] == result.estimate
    assert frame["chosen"].tolist() == [True, False]
    assert result.natural == pytest.approx(math.exp(result.estimate))
    assert result.natural_interval() == pytest.approx(tuple(np.exp(result.confidence_interval())))
    plain = json.loads(json.dumps(result.to_dict()))
    assert plain["PET"]["slope"] == result.pet.slope
    assert plain["chosen"] == "PET"
    mixed = pet_peese(result.pooled, model="REML")
    assert mixed.to_dict()["PEESE"]["df"] == "inf"
    assert mixed.pet_regression.names == ("intercept", "se")


# --- warnings and refusals ---------------------------------------------------------------------------------


def test_few_and_mixed_studies_are_said():
    pooled = pool_effects([0.1, 2.0, -1.0, 3.0], se=[0.1, 0.12, 0.15, 0.2])
    with pytest.warns(NetsynthWarning) as said:
        found = pet_peese(pooled)
    assert [(w.category, str(w.message)) for w in said] == [
        (
            FewStudiesWarning,
            "4 studies are too few to tell small-study effects from chance; ten are the usual minimum.",
        ),
        (
            UnusableDataWarning,
            f"Studies differ too much for PET-PEESE (I2 {100 * pooled.i2:.0f}%): its estimate may be far off and its "
            "interval too narrow.",
        ),
    ]
    assert {w.filename for w in said} == {__file__}
    assert [caution.name for caution in found.warnings] == ["FewStudiesWarning", "UnusableDataWarning"]


@pytest.mark.parametrize("effect", [0.0, 0.3])
def test_equal_effects_leave_the_error_of_a_line_undefined(effect):
    found = quiet(pet_peese, quiet(pool_effects, [effect] * 4, se=[0.1, 0.2, 0.3, 0.4]))
    assert [caution.name for caution in found.warnings] == ["FewStudiesWarning", "AsymmetryWarning"]
    assert found.warnings[1].message == (
        "The effects lie on a line, or do not differ, so that the error of that line is undefined."
    )
    assert found.chosen == "PET"
    assert math.isnan(found.pet_pvalue)
    assert found.confidence_interval() == pytest.approx((math.nan, math.nan), nan_ok=True)
    assert "choice   PET against an effect" in str(found)
    assert str(found).splitlines()[4].endswith(": undefined")
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["pet_pvalue"] is None


def test_studies_of_one_size_are_refused():
    with pytest.raises(InvalidInputError) as refused:
        pet_peese(pool_effects([0.1, 0.5, 0.2], se=[0.2, 0.2, 0.2]))
    assert (
        str(refused.value) == "PET-PEESE needs studies of different size; all 3 have a standard error of 0.2."
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "OLS"}, "model must be one of WLS, CE, REML; got 'OLS'."),
        ({"alpha": 10}, "alpha must be a fraction between 0 and 1, such as 0.05; got 10."),
    ],
)
def test_what_is_refused(result, options, message):
    with pytest.raises(InvalidInputError) as refused:
        pet_peese(result.pooled, **options)
    assert str(refused.value) == message


def test_two_studies_and_probabilities_are_refused():
    with pytest.raises(InvalidInputError) as refused:
        pet_peese(quiet(pool_effects, [0.1, 0.3], se=[0.1, 0.2]))
    assert str(refused.value) == "PET-PEESE needs at least 3 studies; got 2."
    with pytest.raises(
        InvalidInputError, match=r"^PET-PEESE asks what is significant against no effect, of which a"
    ):
        pet_peese(pool_effects([0.4, 0.7, 0.1], se=[0.2, 0.3, 0.2], measure="logit_proportion"))
