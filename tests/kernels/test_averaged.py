"""Averages over normal effects, against adaptive quadrature and numerical slopes."""

import numpy as np
import pytest
from scipy import integrate, stats

from netsynth.kernels.averaged import average, moved, nodes


@pytest.mark.parametrize("tau", [0.0, 0.3, 1.0])
def test_one_effect_by_quadrature(tau):
    hazard = np.array([0.1, 0.7, 2.5])
    effect, weight = nodes(np.array([[tau**2]]))
    found = average(np.log(hazard) + effect, weight)
    for h, estimate in zip(hazard, found.estimate, strict=True):
        expected = np.exp(-h)
        if tau:
            expected = integrate.quad(
                lambda u, h=h: np.exp(-h * np.exp(u)) * stats.norm.pdf(u, scale=tau), -12 * tau, 12 * tau
            )[0]
        assert np.exp(-np.exp(estimate)) == pytest.approx(expected, rel=1e-6)


def test_spread_is_around_the_average_curve():
    effect, weight = nodes(np.array([[0.25]]))
    found = average(np.log([0.5, 1.5]) + effect, weight)
    off = np.log([0.5, 1.5]) - found.estimate
    assert found.between == pytest.approx(0.25 + np.multiply.outer(off, off))


def line(theta):
    return theta[..., :1] + np.exp(theta[..., 1:]) * np.array([-1.0, 0.5, 1.0])


def test_slopes_are_those_of_the_average():
    theta, psi = np.array([-0.4, 0.1]), np.array([[0.2, 0.05], [0.05, 0.1]])
    _, slope = moved(line, theta, psi)
    for j, axis in enumerate(np.eye(2)):
        up, down = (moved(line, theta + side * 1e-4 * axis, psi)[0].estimate for side in (1, -1))
        assert slope[:, j] == pytest.approx((up - down) / 2e-4, rel=1e-6)


def test_two_effects_by_quadrature():
    theta, psi = np.array([-0.4, 0.1]), np.array([[0.2, 0.05], [0.05, 0.1]])
    found, _ = moved(line, theta, psi)
    density = stats.multivariate_normal([0.0, 0.0], psi)

    def inside(b, a):
        return np.exp(-np.exp(line(theta + np.array([a, b]))[2])) * density.pdf([a, b])

    expected, _ = integrate.dblquad(inside, -3.5, 3.5, -2.5, 2.5, epsabs=1e-8)
    assert np.exp(-np.exp(found.estimate[2])) == pytest.approx(expected, rel=1e-6)
