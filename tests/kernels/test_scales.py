import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.kernels.scales import (
    MEASURES,
    CurveMeasure,
    EffectMeasure,
    MedianMeasure,
    ProportionMeasure,
    RateMeasure,
    SurvivalMeasure,
    double_arcsine_inverse,
    proportion_effect,
    rate_effect,
    survival_effect,
)

REFERENCES = Path(__file__).parents[1] / "references"
PROPORTIONS = json.loads((REFERENCES / "proportions.json").read_text(encoding="utf-8"))
RATES = json.loads((REFERENCES / "rates.json").read_text(encoding="utf-8"))
PROBABILITY_SCALES = [name for name, measure in MEASURES.items() if measure.kind == "probability"]
Z = 1.959963984540054


def test_every_name_is_reachable_and_belongs_to_one_family():
    assert set(MEASURES) == set(get_args(EffectMeasure))
    kinds = (ProportionMeasure, RateMeasure, SurvivalMeasure, MedianMeasure, CurveMeasure)
    families = [set(get_args(family)) for family in kinds]
    assert set.union(*families, {"generic", "log_hr"}) == set(MEASURES)


def test_only_differences_and_ratios_have_a_value_of_no_effect():
    null = {name: measure.null for name, measure in MEASURES.items() if not np.isnan(measure.null)}
    differences = (
        "generic",
        "median_difference",
        "mean_difference",
        "survival_difference",
        "rmst_difference",
    )
    ratios = ("log_hr", "log_median_ratio", "log_cumulative_hazard_ratio", "log_rmst_ratio")
    assert null == {**dict.fromkeys(differences, 0.0), **dict.fromkeys(ratios, 1.0)}
    assert {name for name, measure in MEASURES.items() if measure.is_ratio} == set(ratios)


def test_percent_and_percent_points_are_hundredths():
    factor = {name: measure.factor for name, measure in MEASURES.items() if measure.factor != 1}
    assert factor == dict.fromkeys((*PROBABILITY_SCALES, "survival_difference"), 100)


@pytest.mark.parametrize("name", MEASURES)
@given(value=st.floats(0.001, 0.999))
def test_there_and_back_again(name, value):
    measure = MEASURES[name]
    assert float(measure.from_scale(measure.to_scale(value))) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("name", MEASURES)
@given(value=st.floats(0.01, 0.99))
def test_the_derivative_is_the_slope(name, value):
    measure, step = MEASURES[name], 1e-6
    slope = (measure.to_scale(value + step) - measure.to_scale(value - step)) / (2 * step)
    assert float(measure.derivative(value)) == pytest.approx(float(slope), rel=1e-5)


@pytest.mark.parametrize("name", PROBABILITY_SCALES)
def test_a_probability_stays_one_however_far_the_limit(name):
    back = MEASURES[name].from_scale(np.array([-1e4, -3.0, 0.5, 3.0, 1e4]))
    assert np.all((back >= 0) & (back <= 1))
    falls = name == "cloglog_survival"
    assert np.all(np.diff(back) <= 0 if falls else np.diff(back) >= 0)


def test_a_ratio_without_end_is_infinite_and_not_an_overflow():
    assert float(MEASURES["log_hr"].from_scale(1e4)) == np.inf


@pytest.mark.parametrize("case", PROPORTIONS, ids=lambda case: case["id"])
def test_reference_escalc(case):
    effect = proportion_effect(case["xi"], case["ni"], case["measure"])
    np.testing.assert_allclose(effect.estimate, case["yi"], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(effect.variance, case["vi"], rtol=1e-12)
    full_or_none = [x in (0, n) for x, n in zip(case["xi"], case["ni"], strict=True)]
    expected = [False] * len(full_or_none) if "arcsine" in case["measure"] else full_or_none
    assert effect.corrected.tolist() == expected


@pytest.mark.parametrize("case", RATES, ids=lambda case: case["id"])
def test_reference_escalc_rates(case):
    effect = rate_effect(case["xi"], case["ti"], case["measure"])
    np.testing.assert_allclose(effect.estimate, case["yi"], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(effect.variance, case["vi"], rtol=1e-12)
    expected = [x == 0 and case["measure"] in ("log_rate", "raw_rate") for x in case["xi"]]
    assert effect.corrected.tolist() == expected


def test_published_double_arcsine():
    # 4 of 10, r-sig-meta-analysis, July 2017: .6936, variance .0238; back .4000 by Miller, .4087 by the squared sine
    effect = proportion_effect([4], [10], "double_arcsine_proportion")
    assert effect.estimate[0] == pytest.approx(0.6936, abs=5.1e-5)
    assert effect.variance[0] == pytest.approx(0.0238, abs=5.1e-5)
    assert double_arcsine_inverse(effect.estimate, 10)[0] == pytest.approx(0.4, abs=1e-12)
    back = MEASURES["double_arcsine_proportion"].from_scale(effect.estimate)
    assert back[0] == pytest.approx(0.4087, abs=5.1e-5)


def test_published_miller():
    # Miller (1978), Am Stat 32:138: 3/11, 6/17, 10/21, 1/6; he prints twice the value, and the inverse of means with
    # the harmonic mean of n.
    n = np.array([11, 17, 21, 6])
    effect = proportion_effect([3, 6, 10, 1], n, "double_arcsine_proportion")
    assert 2 * effect.estimate == pytest.approx([1.1391, 1.2888, 1.5253, 0.9515], abs=5.1e-5)
    harmonic = 4 / (1 / n).sum()
    weight = 1 / effect.variance
    for mean, printed, back in (
        (effect.estimate.mean(), 1.2262, 0.3164),
        (weight @ effect.estimate / weight.sum(), 1.3093, 0.3595),
    ):
        assert 2 * mean == pytest.approx(printed, abs=5.1e-5)
        assert double_arcsine_inverse(mean, harmonic) == pytest.approx(back, abs=6e-5)


@pytest.mark.parametrize(
    "case", [case for case in PROPORTIONS if "double" in case["measure"]], ids=lambda case: case["id"]
)
def test_reference_miller_inverse_with_the_harmonic_mean(case):
    for fit in case["fits"].values():
        back = fit["back_hm"]
        got = double_arcsine_inverse([fit["beta"], *fit["ci"]], back["harmonic_mean_n"])
        np.testing.assert_allclose(got, [back["pred"], back["ci_lb"], back["ci_ub"]], rtol=1e-9, atol=1e-14)


def test_millers_inverse_of_a_pooled_value_can_be_absurd():
    # Five studies with at least 2.0% in the largest: Miller's inverse with the harmonic mean of n says 0.06%, that of
    # the scale here 2.0%. After Schwarzer et al. (2019), https://doi.org/10.1002/jrsm.1348.
    x, n = np.array([0, 0, 1, 2000, 3]), np.array([9, 12, 15, 100_000, 11])
    effect = proportion_effect(x, n, "double_arcsine_proportion")
    mean = (effect.estimate / effect.variance).sum() / (1 / effect.variance).sum()
    assert mean == pytest.approx(0.141991, abs=5.1e-7)
    assert double_arcsine_inverse(mean, 5 / (1 / n).sum()) == pytest.approx(0.0006, abs=5.1e-5)
    assert MEASURES["double_arcsine_proportion"].from_scale(mean) == pytest.approx(0.02, abs=5.1e-4)


@given(n=st.integers(1, 500), share=st.floats(0, 1))
def test_millers_inverse_brings_a_study_back(n, share):
    x = round(share * n)
    effect = proportion_effect([x], [n], "double_arcsine_proportion")
    assert double_arcsine_inverse(effect.estimate, n)[0] == pytest.approx(x / n, abs=1e-7)
    assert double_arcsine_inverse([-1.0, 3.0], n).tolist() == pytest.approx([0.0, 1.0], abs=1e-7)


def test_a_rate_is_never_negative():
    for name in get_args(RateMeasure):
        assert float(MEASURES[name].from_scale(-0.3)) >= 0


# Kaplan-Meier of 6-MP (Freireich 1963; the data are printed in every textbook): events and numbers at risk
# up to 10 and 23 months. The limits are those of R 4.2 survival, survfit(conf.type = ...).
STEPS = {10: [(3, 21), (1, 17), (1, 15)], 23: [(3, 21), (1, 17), (1, 15), (1, 12), (1, 11), (1, 7), (1, 6)]}
SURVFIT = {
    ("log_survival", 10): (0.5859, 0.9676),
    ("cloglog_survival", 10): (0.5032, 0.8894),
    ("logit_survival", 10): (0.5248, 0.8937),
    ("arcsine_survival", 10): (0.5462, 0.9119),
    ("log_survival", 23): (0.2488, 0.8074),
    ("cloglog_survival", 23): (0.1881, 0.6801),
    ("logit_survival", 23): (0.2185, 0.7024),
    ("arcsine_survival", 23): (0.2037, 0.7069),
}


@pytest.mark.parametrize(("measure", "month"), SURVFIT)
def test_reference_survfit_limits(measure, month):
    deaths, at_risk = np.array(STEPS[month], dtype=float).T
    survival = np.prod(1 - deaths / at_risk)
    se = survival * np.sqrt(np.sum(deaths / (at_risk * (at_risk - deaths))))
    effect = survival_effect(survival, se, measure)
    half = Z * np.sqrt(effect.variance)
    limits = MEASURES[measure].from_scale(np.array([effect.estimate - half, effect.estimate + half]))
    assert sorted(limits) == pytest.approx(SURVFIT[measure, month], abs=6e-5)  # the last printed digit


@pytest.mark.parametrize("measure", get_args(SurvivalMeasure))
def test_certain_survival_has_no_effect_for_the_delta_method(measure):
    effect = survival_effect([0.0, 0.5, 1.0], [0.1, 0.1, 0.0], measure)
    assert np.isnan(effect.estimate).tolist() == [True, False, True]
    assert np.isnan(effect.variance).tolist() == [True, False, True]


@given(n=st.integers(1, 500), share=st.floats(0, 1))
def test_counting_the_others_turns_the_logit_round(n, share):
    x = round(share * n)
    one, other = (proportion_effect([count], [n], "logit_proportion") for count in (x, n - x))
    assert one.estimate == pytest.approx(-other.estimate)
    assert one.variance == pytest.approx(other.variance)
