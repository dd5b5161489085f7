from typing import get_args

import numpy as np
import pytest

from netsynth.kernels.families import FamilyName
from netsynth.kernels.grouped import Fragments
from netsynth.kernels.model_average import (
    akaike_weights,
    candidates,
    criteria,
    family,
    fit_all,
    n_parameters,
)

TIME = np.array([3.0, 5.0, 10.0])
SURVIVAL = np.array([0.83, 0.705, 0.42])
REPORT = Fragments(TIME, SURVIVAL, SURVIVAL, SURVIVAL, 100 * np.array([1, 0.83, 0.705]))


def test_weights_of_the_well_known_example():
    """Deviances 2.8504, .0352, .7126, .4078, .0901, .0372 of families with one and with two parameters."""
    names = ("exponential", "weibull", "lognormal", "loglogistic", "gamma", "gompertz")
    found = criteria(fit_all(names, REPORT), REPORT)
    deviance = np.array([2.8504, 0.0352, 0.7126, 0.4078, 0.0901, 0.0372])
    p = np.array([1, 2, 2, 2, 2, 2])
    assert found.deviance == pytest.approx(deviance, abs=5.1e-5)
    assert found.aic == pytest.approx(deviance + 2 * p, abs=5.1e-5)
    assert found.aicc == pytest.approx(deviance + 2 * p + 2 * p * (p + 1) / (100 - p - 1), abs=5.1e-5)
    assert found.bic == pytest.approx(deviance + p * np.log(100), abs=5.1e-5)
    relative = np.exp(-(deviance + 2 * p) / 2)
    assert akaike_weights(found.aic) == pytest.approx(relative / relative.sum(), abs=2e-5)


def test_weights_do_not_overflow():
    assert akaike_weights(np.array([0.0, 5000.0])).tolist() == [1.0, 0.0]
    assert akaike_weights(np.full((2, 4), -3e5)).tolist() == [[0.25] * 4] * 2


def test_a_correction_needs_patients():
    few = REPORT._replace(number=REPORT.number / 40)
    found = criteria(fit_all(("exponential", "weibull"), few), few)
    assert np.isfinite(found.aicc[0])
    assert np.isnan(found.aicc[1])


def test_families_that_figures_can_determine():
    names = {*get_args(FamilyName), "royston_parmar"}
    assert set(candidates(9)) == names
    assert candidates(0) == ()
    for count in (1, 2, 3):
        assert set(candidates(count)) == {name for name in names if n_parameters(name) <= count}
        assert all(len(family(name, TIME).parameters) == n_parameters(name) for name in names)
