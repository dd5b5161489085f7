import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.kernels.scales import (
    MEASURES,
    EffectMeasure,
    ProportionMeasure,
    SurvivalMeasure,
    proportion_effect,
    survival_effect,
)

REFERENCES = Path(__file__).parents[1] / "references"
PROPORTIONS = json.loads((REFERENCES / "proportions.json").read_text(encoding="utf-8"))
PROBABILITY_SCALES = [name for name, measure in MEASURES.items() if measure.kind == "probability"]
Z = 1.959963984540054


def test_every_name_is_reachable_and_belongs_to_one_family():
    assert set(MEASURES) == set(get_args(EffectMeasure))
    families = set(get_args(ProportionMeasure)) | set(get_args(SurvivalMeasure)) | {"generic", "log_hr"}
    assert families == set(MEASURES)


def test_only_differences_and_ratios_have_a_value_of_no_effect():
    null = {name: measure.null for name, measure in MEASURES.items() if not np.isnan(measure.null)}
    assert null == {"generic": 0.0, "log_hr": 1.0}
    assert [name for name, measure in MEASURES.items() if measure.is_ratio] == ["log_hr"]


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
    expected = [False] * len(full_or_none) if case["measure"] == "arcsine_proportion" else full_or_none
    assert effect.corrected.tolist() == expected


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
