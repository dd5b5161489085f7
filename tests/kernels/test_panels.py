"""Densities on panels against distributions whose integrals are known in closed form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from netsynth.kernels.panels import (
    integrate,
    panel_cdf,
    panel_density,
    panel_interval,
    panel_mean,
    panel_mode,
    panel_quantile,
    panel_sd,
    rescaled,
)

KNOWN = {
    "half-normal": stats.halfnorm(scale=0.5),
    "half-Cauchy": stats.halfcauchy(scale=2.0),
    "exponential": stats.expon(scale=3.0),
    "gamma": stats.gamma(4.0, scale=0.7),
    "narrow": stats.norm(5.0, 1e-4),
    "infinite at 0": stats.gamma(0.5, scale=1.0),
    "t on 4 df": stats.t(4),
}
FOLDED = {"t on 4 df"}  # of which only the half above 0 is there


def panels(twin, unit=1e-3, end=np.inf, height=0.0):
    def log_density(_, tau):
        with np.errstate(divide="ignore"):
            return twin.logpdf(tau) + height

    density = integrate(log_density, np.array([unit]), np.array([1.0]), np.array([end]))
    return rescaled(density, np.ones(1), ())


@pytest.mark.parametrize("name", KNOWN)
def test_probabilities_and_densities(name):
    twin, density = KNOWN[name], panels(KNOWN[name])
    half = 0.5 if name in FOLDED else 1.0
    assert density.converged
    assert density.log_integral == pytest.approx(np.log(half), abs=1e-11)
    p = np.array([0.001, 0.025, 0.3, 0.5, 0.9, 0.975, 0.999])
    tau = twin.ppf(1 - half + half * p)
    np.testing.assert_allclose(panel_cdf(tau, density), p, atol=1e-11)
    np.testing.assert_allclose(panel_quantile(p, density), tau, rtol=1e-8)
    np.testing.assert_allclose(panel_density(tau, density), twin.pdf(tau) / half, rtol=1e-8)


@pytest.mark.parametrize(("name", "mean", "sd"), [
    ("half-normal", None, None), ("half-Cauchy", np.inf, np.inf), ("exponential", None, None), ("gamma", None, None),
    ("narrow", None, None),
])  # fmt: skip
def test_moments_exist_or_not(name, mean, sd):
    twin, density = KNOWN[name], panels(KNOWN[name])
    assert panel_mean(density) == pytest.approx(twin.mean() if mean is None else mean, rel=1e-10)
    assert panel_sd(density) == pytest.approx(twin.std() if sd is None else sd, rel=1e-8)


def test_a_tail_tells_which_moments_exist():
    density = panels(KNOWN["t on 4 df"])
    assert density.tail == pytest.approx(-5, abs=1e-6)
    assert [bool(density.has_moment(q)) for q in (1, 2, 3, 4)] == [True, True, True, False]
    assert density.is_proper
    flat = integrate(lambda _, tau: np.zeros_like(tau), np.ones(1), np.ones(1), np.full(1, np.inf))
    assert not flat.is_proper[0]


@pytest.mark.parametrize(
    ("name", "mode"), [("half-normal", 0), ("gamma", 2.1), ("narrow", 5), ("infinite at 0", 0)]
)
def test_modes(name, mode):
    assert panel_mode(panels(KNOWN[name])) == pytest.approx(mode, rel=1e-8)


def test_a_density_may_end():
    density = panels(stats.expon(scale=3.0), end=2.0)
    part = stats.expon(scale=3.0).cdf(2.0)
    assert density.log_integral == pytest.approx(np.log(part), abs=1e-12)
    assert panel_cdf(np.array(1.0), density) == pytest.approx(
        stats.expon(scale=3.0).cdf(1.0) / part, rel=1e-11
    )
    np.testing.assert_array_equal(panel_density(np.array([2.001, 50.0]), density), [0, 0])
    assert panel_cdf(np.array(3.0), density) == pytest.approx(1, abs=1e-14)
    rising = integrate(lambda _, tau: 3.0 * tau, np.ones(1), np.ones(1), np.full(1, 2.0))
    assert panel_mode(rising)[0] == pytest.approx(2.0, rel=1e-12)


def test_shortest_intervals():
    low, high = panel_interval(panels(KNOWN["half-normal"]), 0.95)  # falling: it begins at 0
    assert (low, high) == pytest.approx((0, 0.5 * stats.norm.isf(0.025)), rel=1e-8)
    twin, density = KNOWN["gamma"], panels(KNOWN["gamma"])
    low, high = panel_interval(density, 0.9)
    assert twin.cdf(high) - twin.cdf(low) == pytest.approx(0.9, abs=1e-10)
    assert twin.pdf(low) == pytest.approx(twin.pdf(high), rel=1e-8)


@settings(max_examples=30)
@given(st.floats(-4, 4), st.floats(0.02, 3), st.floats(-1e3, 1e3))
def test_place_width_and_height_do_not_matter(centre, width, height):
    twin = stats.lognorm(width, scale=np.exp(centre))
    density = panels(twin, height=height)
    assert density.converged
    assert density.log_integral == pytest.approx(height, abs=1e-9)
    p = np.array([0.025, 0.5, 0.975])
    np.testing.assert_allclose(panel_quantile(p, density), twin.ppf(p), rtol=1e-8)


def test_many_densities_at_once_are_each_by_itself():
    twins = [KNOWN["gamma"], KNOWN["narrow"], KNOWN["half-Cauchy"]]

    def height(row, tau):
        return np.stack([twins[i].logpdf(t) for i, t in zip(row, tau, strict=True)])

    together = integrate(height, np.full(3, 1e-3), np.ones(3), np.full(3, np.inf))
    p = np.full(3, 0.2)
    np.testing.assert_allclose(panel_quantile(p, together), [twin.ppf(0.2) for twin in twins], rtol=1e-9)
    np.testing.assert_allclose(panel_mode(together), [2.1, 5, 0], rtol=1e-8)
    low, high = panel_interval(together, 0.9)
    for i, twin in enumerate(twins):
        assert twin.cdf(high[i]) - twin.cdf(low[i]) == pytest.approx(0.9, abs=1e-9)
        alone = panels(twin)
        assert (low[i], high[i]) == pytest.approx(
            tuple(map(float, panel_interval(alone, 0.9))), rel=1e-8, abs=1e-9
        )


def test_what_does_not_fit_is_not_called_found():
    steep = integrate(lambda _, tau: -np.log(np.maximum(tau, 1e-300)), np.ones(1), np.ones(1), np.ones(1))
    assert not steep.converged[0]
    slow = integrate(lambda _, tau: -1.1 * np.log1p(tau), np.ones(1), np.ones(1), np.full(1, np.inf))
    assert not slow.converged[0]  # too much lies beyond all numbers that are looked at
    too_high = integrate(lambda _, tau: 1e12 - tau, np.ones(1), np.ones(1), np.full(1, np.inf))
    assert not too_high.converged[0]


def test_a_step_is_found():
    def step(_, tau):
        return np.where(tau < 0.3, 0.0, -np.inf)

    density = integrate(step, np.full(1, 1e-3), np.ones(1), np.full(1, np.inf))
    assert density.converged[0]
    assert density.log_integral[0] == pytest.approx(np.log(0.3), abs=1e-11)


@pytest.mark.parametrize("side", [-1, 1])
def test_a_narrow_peak_between_two_panels_is_found(side):
    """Between the end of a panel and its nearest point, where only the end shows that there is something."""
    edge = 1e-3 * np.sinh(8.0)
    twin = stats.norm(edge * (1 + side * 6e-4), edge * 2e-5)
    density = panels(twin)
    assert density.converged
    assert density.log_integral == pytest.approx(0, abs=1e-9)
    assert panel_quantile(np.array(0.9), density) == pytest.approx(twin.ppf(0.9), rel=1e-12)
