"""Priors of tau against scipy's distributions, which share no line with them."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from netsynth.kernels.priors import TAU_PRIORS, TauPriorName, from_density, uniform

SCIPY = {"half_normal": stats.halfnorm, "half_cauchy": stats.halfcauchy, "uniform": stats.uniform}


def test_every_name_is_reachable():
    assert set(get_args(TauPriorName)) == set(TAU_PRIORS) == set(SCIPY)


@pytest.mark.parametrize("name", TAU_PRIORS)
@given(scale=st.floats(1e-3, 1e3), ratio=st.floats(0, 8))
def test_density_and_tail_are_scipys(name, scale, ratio):
    prior, twin = TAU_PRIORS[name](scale), SCIPY[name](scale=scale)
    tau = np.array(scale * ratio)
    assert prior.log_density(tau) == pytest.approx(twin.logpdf(tau), rel=1e-12, abs=1e-12)
    assert prior.survival(tau) == pytest.approx(twin.sf(tau), rel=1e-9, abs=1e-15)
    assert (prior.name, prior.is_proper, prior.log_mass) == (name, True, 0.0)


@pytest.mark.parametrize("name", TAU_PRIORS)
def test_densities_integrate_to_one(name):
    prior = TAU_PRIORS[name](0.4)
    end = min(prior.upper, np.inf)
    mass, _ = integrate.quad(lambda tau: np.exp(prior.log_density(np.array(tau))), 0, end, epsabs=1e-12)
    assert mass == pytest.approx(1, abs=1e-9)


def test_tails_keep_their_digits():
    assert TAU_PRIORS["half_normal"](1.0).survival(np.array(12.0)) == pytest.approx(
        stats.halfnorm.sf(12), rel=1e-12
    )
    assert TAU_PRIORS["half_cauchy"](1.0).survival(np.array(1e20)) == pytest.approx(2e-20 / np.pi, rel=1e-12)


def test_uniform_without_an_end_is_improper():
    prior = uniform(np.inf)
    assert not prior.is_proper
    assert prior.log_mass == np.inf
    np.testing.assert_array_equal(prior.log_density(np.array([0.0, 1e9])), [0, 0])


def test_a_density_of_ones_own():
    prior = from_density(lambda tau: np.where(tau < 1, 1.0, 0.0), "step")
    np.testing.assert_array_equal(prior.log_density(np.array([0.5, 2.0])), [0, -np.inf])
    assert prior.name == "step"
    constant = from_density(lambda tau: 2.0, "constant")  # noqa: ARG005 - a number broadcasts
    np.testing.assert_allclose(constant.log_density(np.zeros((2, 3))), np.log(2.0))
