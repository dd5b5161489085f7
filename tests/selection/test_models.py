import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest

from netsynth.errors import (
    BoundaryWarning,
    ConvergenceError,
    FewStudiesWarning,
    InvalidInputError,
    NetsynthWarning,
)
from netsynth.kernels.selection import SEVERITIES, smooth_likelihood
from netsynth.pool import pool_effects
from netsynth.selection import fit_selection_model

CASES = json.loads((Path(__file__).parents[1] / "references" / "selection.json").read_text(encoding="utf-8"))
DATA = {case["dataset"]: case for case in CASES}
FITS = [(case["dataset"], name) for case in CASES for name in case["fits"]]
SMOOTH = {"beta": "beta", "halfnorm": "half_normal", "negexp": "negative_exponential"}

# fmt: off
LOG_HR = [-0.92, -1.05, -0.24, -0.71, -0.51, 0.12, -0.55, -0.18, -0.32, -0.05, -0.16]
SE = [0.41, 0.38, 0.33, 0.30, 0.26, 0.22, 0.19, 0.16, 0.12, 0.10, 0.09]
#: Validity of student ratings (Cohen 1981): correlations, numbers of sections; Vevea and Woods (2005).
COHEN = ([0.68, 0.56, 0.23, 0.64, 0.49, -0.04, 0.49, 0.33, 0.58, 0.18, -0.11, 0.27, 0.26, 0.40, 0.49, 0.51, 0.40, 0.34,
          0.42, 0.16], [10, 20, 13, 22, 28, 12, 12, 36, 19, 12, 36, 75, 33, 121, 37, 14, 40, 16, 14, 20])
#: Practice facilitation (Baskerville 2012): standardised mean differences; Citkowicz and Vevea (2017).
BASKERVILLE = (
    [1.01, 0.82, 0.59, 0.44, 0.84, 0.73, 1.12, 0.04, 0.24, 0.32, 1.04, 1.31, 0.59, 0.66, 0.62, 0.47, 1.08, 0.98, 0.26,
     0.39, 0.60, 0.94, 0.11],
    [0.52, 0.46, 0.23, 0.18, 0.29, 0.29, 0.36, 0.37, 0.15, 0.40, 0.32, 0.57, 0.29, 0.19, 0.31, 0.27, 0.32, 0.32, 0.18,
     0.18, 0.31, 0.53, 0.27])
#: Twelve trials (Hahn 2001): events and patients in both arms; Preston, Ashby and Smyth (2004).
PRESTON = np.array([[4, 0, 34, 7, 6, 1, 0, 11, 2, 0, 0, 33], [19, 18, 341, 71, 45, 94, 22, 88, 82, 33, 15, 221],
                    [5, 0, 50, 16, 5, 8, 0, 12, 7, 0, 1, 43], [19, 18, 334, 69, 44, 96, 22, 82, 84, 30, 20, 218]])
# fmt: on


def quiet(function, *args, **kwargs):
    """The verb without its warnings, for tests of numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return function(*args, **kwargs)


def pooled_from(dataset):
    case = DATA[dataset]
    return quiet(pool_effects, case["yi"], se=np.sqrt(case["vi"]))


def fitted(dataset, name):
    """The model that metafor fitted under this name."""
    common = name.startswith("EE_")
    form, *steps, side = name.removeprefix("EE_").split("_")
    options = {"alternative": side.replace("two.sided", "two-sided"), "tau2": "CE" if common else "ML"}
    if form == "stepfun":
        options["steps"] = [float(step) for step in steps]
    elif form == "moderate":
        options["weights"] = "moderate_two_tailed"
    else:
        options["form"] = SMOOTH[form]
    return quiet(fit_selection_model, pooled_from(dataset), **options)


@pytest.fixture(scope="module")
def pooled():
    return pool_effects(LOG_HR, se=SE, measure="log_hr")


@pytest.fixture(scope="module")
def model(pooled):
    return fit_selection_model(pooled, alternative="less")


# --- published ---------------------------------------------------------------------------------------------


def test_published_hackshaw_three_parameters():
    # dat.hackshaw1998, log odds ratios of lung cancer and passive smoking; metafor 3.8
    found = fitted("dat.hackshaw1998", "stepfun_0.025_greater")
    assert found.weight[1] == pytest.approx(0.7644, abs=5e-5)
    assert found.weight_se[1] == pytest.approx(0.5989, abs=5e-5)
    assert found.estimate == pytest.approx(0.1944, abs=5e-5)
    assert found.confidence_interval() == pytest.approx((0.0380, 0.3508), abs=5e-5)
    assert found.selection_test.statistic == pytest.approx(0.1171, abs=5e-5)
    assert found.selection_test.pvalue == pytest.approx(0.732, abs=5e-4)


def test_published_hackshaw_four_steps():
    # the example of a step function that metafor's own tests hold
    found = fit_selection_model(pooled_from("dat.hackshaw1998"), steps=(0.05, 0.1, 0.5))
    assert found.weight == pytest.approx([1, 2.422079, 0.977543, 0.396713], abs=2e-5)
    assert found.weight_se[1:] == pytest.approx([1.66085, 0.820387, 0.469235], abs=2e-4)
    assert found.selection_test[:2] == pytest.approx((7.066137, 3), abs=1e-6)
    assert found.tau2 == pytest.approx(0.03071325, abs=5e-7)
    assert found.n_studies.tolist() == [7, 8, 16, 6]
    assert found.warnings == ()


def test_published_vevea_woods():
    r, n = map(np.array, COHEN)
    pooled = quiet(pool_effects, np.arctanh(r), se=1 / np.sqrt(n - 3))
    found = [quiet(fit_selection_model, pooled, weights=name) for name in SEVERITIES]
    # the paper's example with the digits that the tests of metafor hold
    assert [m.estimate for m in found] == pytest.approx([0.351894, 0.321518, 0.362019, 0.33218], abs=1e-6)
    assert [m.tau2 for m in found] == pytest.approx([0.0045, 0.009544, 0.002774, 0.005652], abs=1e-6)


def test_published_citkowicz_vevea():
    pooled = quiet(pool_effects, BASKERVILLE[0], se=BASKERVILLE[1])
    found = quiet(fit_selection_model, pooled, form="beta")
    assert found.weight == pytest.approx([0.4731131, 4.4613162], rel=1e-3)  # metafor stops at tau2 = 2e-6
    assert found.weight_se == pytest.approx([0.2352481, 2.1841983], rel=5e-3)
    assert found.selection_test[:2] == pytest.approx((7.846907, 2), abs=1e-3)
    assert found.tau2 == pytest.approx(0.0, abs=1e-5)


def test_published_preston():
    events, n, events_control, n_control = PRESTON
    both = (events > 0) | (events_control > 0)
    cells = np.array([events, n - events, events_control, n_control - events_control], dtype=float)[:, both]
    cells += 0.5 * (cells == 0).any(axis=0)
    y, v = np.log(cells[0] * cells[3] / (cells[1] * cells[2])), (1 / cells).sum(axis=0)
    pooled = quiet(pool_effects, y, se=np.sqrt(v))
    for form, rate, se in (("half_normal", 3.162948, 2.988922), ("negative_exponential", 2.656714, 2.347468)):
        found = quiet(fit_selection_model, pooled, form=form, alternative="less", tau2="CE")
        assert found.weight[0] == pytest.approx(rate, rel=1e-4)
        assert found.weight_se[0] == pytest.approx(se, rel=1e-3)


# --- reference ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dataset", "name"), FITS, ids=[f"{d}-{n}" for d, n in FITS])
def test_reference(dataset, name):
    expected, found = DATA[dataset]["fits"][name], fitted(dataset, name)
    gain = found.log_likelihood - expected["ll"]
    if (
        "beta" in name
    ):  # metafor's integrals are good to about 1e-4: hold ours at its maximum against ours at ours
        y, v = np.array(DATA[dataset]["yi"]), np.array(DATA[dataset]["vi"])
        at = np.array([expected["beta"], expected["tau2"], *expected["delta"]])
        assert found.log_likelihood >= float(smooth_likelihood(y, v, "beta", "greater", at).value) - 1e-9
        assert gain > -1e-4
    else:
        assert gain > -1e-8
    # metafor holds weights in [0, 100] and tau2 off 0, and may stop at a lower maximum; elsewhere it is loose
    if expected.get("warnings") or abs(gain) > 1e-7:
        return
    error = expected.get("se", math.nan)
    assert found.estimate == pytest.approx(expected["beta"], abs=1e-4 * error)
    assert found.tau2 == pytest.approx(expected["tau2"], rel=2e-4, abs=1e-8)
    assert found.se == pytest.approx(error, rel=5e-4)
    ends = (expected["ci_lb"], expected["ci_ub"])
    assert found.confidence_interval() == pytest.approx(ends, abs=5e-4 * error)
    # the p-value falls with the square of the statistic
    z = abs(found.estimate / found.se)
    assert found.pvalue == pytest.approx(expected["pval"], rel=5e-4 * (1 + z * z))
    if "se_tau2" in expected:
        assert found.tau2_se == pytest.approx(expected["se_tau2"], rel=1e-3)
    if "delta" in expected:
        deltas = zip(found.weight, found.weight_se, expected["delta"], expected["se_delta"], strict=True)
        for weight, weight_se, delta, delta_se in deltas:
            assert weight == pytest.approx(delta, rel=1e-3)
            if delta_se is not None:
                assert weight_se == pytest.approx(delta_se, rel=2e-3)
    test = found.selection_test
    assert test.statistic == pytest.approx(expected["LRT"], rel=1e-5, abs=1e-6)
    assert test.df == expected["LRTdf"]
    if "LRTp" in expected:
        assert test.pvalue == pytest.approx(expected["LRTp"], rel=1e-5)
    else:
        assert math.isnan(test.pvalue)
    if "LRT_tau2" in expected and expected["LRTp_tau2"] < 1:
        # the common-effect fit behind it may be one that metafor stopped short of
        ours, theirs = found.heterogeneity_test, expected["LRT_tau2"]
        assert ours.statistic <= theirs + 1e-5 * (1 + theirs)
        if ours.statistic == pytest.approx(theirs, rel=1e-6):
            assert ours.pvalue == pytest.approx(expected["LRTp_tau2"], rel=1e-4)


def test_reference_most_fits_are_compared_in_full():
    exact = 0
    for dataset, name in FITS:
        expected = DATA[dataset]["fits"][name]
        exact += not expected.get("warnings")
    assert exact > 80


#: metafor 3.8.1, selmodel(rma(method="ML"), type="stepfun", steps=, delta=) on dat.hackshaw1998:
#: estimate, se, tau2, se of tau2, log-likelihood.
HACKSHAW = {
    "moderate_one_tailed": (0.156338678, 0.047917082, 0.017044373, 0.014144465, -9.799886303),
    "severe_one_tailed": (0.083820867, 0.057479034, 0.020858642, 0.017981321, -9.369152627),
    "moderate_two_tailed": (0.187291454, 0.046354637, 0.015347707, 0.012611552, -10.136002363),
    "severe_two_tailed": (0.151029707, 0.040885305, 0.009207478, 0.009633892, -11.603732558),
}


@pytest.mark.parametrize("name", SEVERITIES)
def test_reference_severities(name):
    found = quiet(fit_selection_model, pooled_from("dat.hackshaw1998"), weights=name)
    got = (found.estimate, found.se, found.tau2, found.tau2_se, found.log_likelihood)
    assert got == pytest.approx(HACKSHAW[name], rel=2e-6)


def test_where_metafor_stops_at_a_lower_maximum():
    # on the magnesium trials its maximum at tau2 = 0.055 lies 0.55 below one at tau2 = 0
    found = fitted("dat.li2007", "stepfun_0.025_less")
    assert found.tau2 == 0
    assert found.log_likelihood == pytest.approx(-23.753 + 0.55, abs=5e-3)


# --- what the result answers -------------------------------------------------------------------------------


def test_text(model):
    assert str(model).splitlines()[:3] == [
        "Selection model: Hazard ratio, step function for low effects, random effects, tau2 by ML, k = 11",
        "  estimate               0.92   95% CI [0.81, 1.05]   tau2 0",
        "  without selection      0.75   tau2 0.0222",
    ]
    assert model._repr_html_().startswith("<table><caption>Selection model: Hazard ratio")


def test_frames_and_dict(model):
    row = model.summary_frame().loc["log_hr"]
    assert row["estimate"] == model.estimate
    assert row["natural"] == pytest.approx(math.exp(model.estimate))
    assert (row["ci_lower"], row["ci_upper"]) == model.confidence_interval()
    weights = model.weight_frame()
    assert list(weights.index) == ["p up to 0.025", "p above 0.025"]
    assert weights["n_studies"].tolist() == [6, 5]
    plain = json.loads(json.dumps(model.to_dict()))
    assert plain["tau2_se"] is None
    assert plain["weight"] == model.weight.tolist()
    assert plain["lrt_df"] == 1


def test_arrays_are_read_only(model):
    for array in (model.weight, model.weight_se, model.given, model.n_studies, model.covariance):
        assert not array.flags.writeable


def test_profile_interval_is_where_the_likelihood_has_fallen(model):
    low, high = model.profile_interval()
    assert low < model.estimate < high
    wide = model.profile_interval(0.99)
    assert wide.lower < low < high < wide.upper


def test_profile_interval_of_a_smooth_weight(pooled):
    found = fit_selection_model(pooled, form="negative_exponential", alternative="less", tau2="CE")
    low, high = found.profile_interval()
    assert low < found.estimate < high


def test_weights_along_p(model):
    curve = model.weight_at([0.001, 0.9])
    assert curve.weight == pytest.approx([1.0, model.weight[1]])
    low, high = model.weight_interval()
    assert (curve.lower[1], curve.upper[1]) == (low[1], high[1])
    assert low[1] * high[1] == pytest.approx(model.weight[1] ** 2)


def test_smooth_weights_along_p(pooled):
    found = fit_selection_model(pooled, form="beta", alternative="less")
    a, b = found.weight
    p = np.array([0.025, 0.4])
    expected = (p / 0.025) ** (a - 1) * ((1 - p) / 0.975) ** (b - 1)
    curve = found.weight_at(p)
    np.testing.assert_allclose(curve.weight, expected, rtol=1e-10)
    assert curve.lower[0] == curve.upper[0] == pytest.approx(1.0)
    assert curve.lower[1] < curve.weight[1] < curve.upper[1]
    assert found.weight_names == ("power of p", "power of 1 - p")
    assert list(found.weight_frame().columns) == ["weight", "se", "ci_lower", "ci_upper", "given"]


def test_given_weights_have_no_test(pooled):
    found = fit_selection_model(pooled, weights=(1.0, 0.5), alternative="less")
    assert found.selection_test.df == 0
    assert math.isnan(found.selection_test.pvalue)
    assert found.given.all()
    assert found.warnings == ()


def test_a_common_effect_has_no_test_of_heterogeneity(pooled):
    found = fit_selection_model(pooled, alternative="less", tau2="CE")
    assert found.tau2 == 0
    assert math.isnan(found.heterogeneity_test.statistic)


# --- warnings and refusals ---------------------------------------------------------------------------------


def test_an_empty_interval_is_said():
    pooled = pooled_from("dat.hackshaw1998")
    with pytest.warns(BoundaryWarning) as said:
        found = fit_selection_model(pooled, alternative="less")
    assert str(said[0].message) == (
        "No study has a p up to 0.025: the weight there is estimated as 0, as if such a result could not be seen. "
        "Choose other steps."
    )
    assert said[0].filename == __file__
    assert found.weight.tolist() == [0.0, 1.0]
    assert found.warnings[0].name == "BoundaryWarning"


def test_thin_intervals_and_few_studies_are_said():
    y, se = [0.5, 0.3, 0.1, 0.4, 0.2], [0.2, 0.2, 0.2, 0.15, 0.3]
    pooled = pool_effects(y, se=se, ci_method="wald")
    with pytest.warns(FewStudiesWarning) as said:
        fit_selection_model(pooled)
    assert [str(w.message) for w in said] == [
        "5 studies are too few to tell selection from chance; ten are the usual minimum.",
        "Fewer than 4 studies have a p up to 0.025 (2) and p above 0.025 (3): they say little about a weight.",
    ]
    assert {w.filename for w in said} == {__file__}


def test_a_weight_that_runs_to_zero_is_said():
    pooled = pooled_from("dat.feng2019-PLO")
    with pytest.warns(NetsynthWarning) as said:
        found = fit_selection_model(pooled, tau2="CE")
    assert [w.category for w in said] == [FewStudiesWarning, BoundaryWarning]
    assert str(said[1].message) == (
        "The weight of p above 0.025 runs to an end of its range: the studies do not say how strong selection is. "
        "See profile_interval()."
    )
    assert np.isnan(found.weight_se[1])


def test_a_rate_of_zero_is_said():
    pooled = pooled_from("mixmeta-p53-OS")
    with pytest.warns(NetsynthWarning) as said:
        fit_selection_model(pooled, form="half_normal")
    assert (
        str(said[-1].message)
        == "The rate is 0, an end of its range: no selection of this form and side is seen."
    )


def test_a_likelihood_without_maximum_is_refused():
    pooled = pool_effects([0.205, 0.21, 0.22, 0.2, 0.23, 0.25, 0.9, 2.5], se=[0.1] * 8)
    with pytest.raises(ConvergenceError) as refused:
        quiet(fit_selection_model, pooled)
    assert str(refused.value).startswith("The likelihood still rises at a mean of -")
    assert str(refused.value).endswith("so that it has no maximum there. Use fewer steps, or give weights.")
    assert refused.value.last < -10


def test_probabilities_are_refused():
    pooled = pool_effects([0.4, 0.7, 0.1], se=[0.2, 0.3, 0.2], measure="logit_survival")
    with pytest.raises(InvalidInputError) as refused:
        fit_selection_model(pooled)
    assert str(refused.value) == (
        "A selection model asks what is significant against no effect, of which a survival has no value. Nothing of a "
        "single arm is missing for want of significance; look for results selected by time point."
    )


def test_rates_are_refused():
    with pytest.raises(InvalidInputError, match="of which a rate has no value"):
        fit_selection_model(pool_effects([0.4, 0.7, 0.1], se=[0.2, 0.3, 0.2], measure="log_rate"))


REFUSED = [
    ({"form": "probit"}, "form must be one of step, beta, half_normal, negative_exponential; got 'probit'."),
    ({"alternative": "both"}, "alternative must be one of greater, less, two-sided; got 'both'."),
    ({"tau2": "REML"}, "tau2 must be one of ML, CE; got 'REML'."),
    ({"form": "beta", "steps": [0.05]}, "form 'beta' has no steps; leave them out, or use form='step'."),
    ({"form": "beta", "weights": [1, 1]}, "form 'beta' has no weights; leave them out, or use form='step'."),
    (
        {"form": "beta", "alternative": "two-sided"},
        "form 'beta' is a function of one-sided p-values; got alternative='two-sided'. Give 'greater' or 'less'.",
    ),
    ({"steps": [0.5, 0.05]}, "steps must increase; got 0.05 at position 1 after 0.5."),
    ({"steps": [0.5, 1.0]}, "steps must lie below 1, where the last interval ends; got 1."),
    (
        {"weights": "harsh"},
        "weights must be one of moderate_one_tailed, severe_one_tailed, moderate_two_tailed, severe_two_tailed; got "
        "'harsh'.",
    ),
    (
        {"weights": "severe_one_tailed", "steps": [0.05]},
        "weights 'severe_one_tailed' has steps of its own, of one-sided p-values; leave steps out and give "
        "alternative='greater' or 'less'.",
    ),
    ({"weights": [1, 0.5, 0.2]}, "weights must be one for each interval, 2 for 1 step; got 3."),
    ({"weights": [1, -0.5]}, "weights cannot be negative; got -0.5."),
    (
        {"weights": [1, 0]},
        "Study 1: the study was seen but lies where the weight is 0 (p above 0.025). Give that interval a weight.",
    ),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=[str(options) for options, _ in REFUSED])
def test_what_is_refused(pooled, options, message):
    with pytest.raises(InvalidInputError) as refused:
        fit_selection_model(pooled, **options)
    assert str(refused.value) == message


def test_two_studies_are_refused():
    with pytest.raises(InvalidInputError) as refused:
        fit_selection_model(quiet(pool_effects, [0.1, 0.3], se=[0.1, 0.1]))
    assert str(refused.value) == "A selection model needs at least 3 studies; got 2."
