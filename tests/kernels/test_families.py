from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from netsynth.kernels.families import (
    FAMILIES,
    FamilyName,
    Gamma,
    GeneralizedGamma,
    Gompertz,
    LogNormal,
    Weibull,
    area_under,
)

TIME = np.array([0.05, 0.7, 2.0, 5.0, 11.0, 30.0])


def generalized_gamma(theta):
    """scipy's generalised gamma, whose power takes the sign of Q."""
    mu, sigma, q = theta[0], np.exp(theta[1]), theta[2]
    if q == 0:
        return stats.lognorm(sigma, scale=np.exp(mu))
    return stats.gengamma(q**-2, q / sigma, scale=np.exp(mu) * (q**2) ** (sigma / q))


#: The same distributions in scipy, which writes each of them its own way.
SCIPY = {
    "exponential": lambda theta: stats.expon(scale=np.exp(-theta[0])),
    "weibull": lambda theta: stats.weibull_min(np.exp(theta[1]), scale=np.exp(theta[0])),
    "lognormal": lambda theta: stats.lognorm(np.exp(theta[1]), scale=np.exp(theta[0])),
    "loglogistic": lambda theta: stats.fisk(np.exp(theta[1]), scale=np.exp(theta[0])),
    "gamma": lambda theta: stats.gamma(np.exp(theta[0]), scale=np.exp(theta[1])),
    "generalized_gamma": generalized_gamma,
    "gompertz": lambda theta: stats.gompertz(np.exp(theta[0]) / theta[1], scale=1 / theta[1]),
}
THETA = {
    "exponential": [[-2.3], [0.4]],
    "weibull": [[2.4, 0.25], [1.0, -0.9], [2.0, 1.4]],
    "lognormal": [[2.1, 0.03], [0.5, 0.8], [3.0, -1.0]],
    "loglogistic": [[2.1, 0.48], [1.0, -0.7], [2.5, 1.5]],
    "gamma": [[0.37, 2.0], [-1.0, 2.0], [2.5, 0.1]],
    "generalized_gamma": [
        [2.2, 0.1, 0.4],
        [2.2, 0.1, -0.7],
        [2.2, -0.4, 1.3],
        [2.2, 0.1, 0.0],
        [2.2, -0.2, -1.6],
    ],
    "gompertz": [[-2.9, 0.08], [-4.0, 0.4]],
}
CURVES = [(name, np.array(theta)) for name, thetas in THETA.items() for theta in thetas]
LEVELLING = ("gompertz", np.array([-2.9, -0.1]))  # scipy has none of these
IDS = [f"{name} {theta}" for name, theta in CURVES]


def thetas(name):
    size = len(FAMILIES[name].parameters)
    return st.lists(st.floats(-1.2, 1.2), min_size=size, max_size=size).map(np.array)


def test_every_name_is_reachable_and_held_against_scipy():
    assert set(get_args(FamilyName)) == set(FAMILIES) == set(SCIPY) == set(THETA)


@pytest.mark.parametrize(("name", "theta"), CURVES, ids=IDS)
def test_survival_hazard_and_quantiles_are_those_of_scipy(name, theta):
    curve, other = FAMILIES[name].curve(theta), SCIPY[name](theta)
    seen = other.sf(TIME) > 1e-12
    time = TIME[seen]
    assert np.exp(-curve.cumulative_hazard(time)) == pytest.approx(other.sf(time), rel=1e-9)
    assert curve.hazard(time) == pytest.approx(other.pdf(time) / other.sf(time), rel=1e-8)
    levels = np.array([0.9, 0.5, 0.1, 0.001])
    assert curve.time_at(-np.log(levels)) == pytest.approx(other.isf(levels), rel=1e-8)


@pytest.mark.parametrize(("name", "theta"), [*CURVES, LEVELLING], ids=[*IDS, "levelling"])
def test_area_is_the_integral_of_survival(name, theta):
    curve = FAMILIES[name].curve(theta)
    for stop in (0.3, 4.0, 25.0):
        expected, _ = quad(
            lambda u: float(np.exp(-curve.cumulative_hazard(np.array([u])))[0]),
            0,
            stop,
            epsabs=1e-11,
            limit=200,
        )
        assert curve.area(np.array([stop])).item() == pytest.approx(expected, rel=2e-8)
        assert area_under(curve.cumulative_hazard, np.array([stop])).item() == pytest.approx(
            expected, rel=2e-8
        )


@pytest.mark.parametrize("name", FAMILIES)
@given(data=st.data(), scale=st.floats(0.01, 5))
def test_the_four_answers_agree_with_each_other(name, data, scale):
    theta = data.draw(thetas(name))
    curve = FAMILIES[name].curve(theta)
    time = scale * np.array([0.2, 1.0, 3.0])
    h = curve.cumulative_hazard(time)
    assert (np.diff(h) >= 0).all()
    seen = (h > 1e-6) & (h < 200)
    step = 1e-5 * time
    slope = (curve.cumulative_hazard(time + step) - curve.cumulative_hazard(time - step)) / (2 * step)
    assert curve.hazard(time)[seen] == pytest.approx(slope[seen], rel=1e-4)
    grows = seen & (curve.hazard(time) * time > 1e-6)  # else many times share an H
    assert curve.time_at(h)[grows] == pytest.approx(time[grows], rel=1e-6)
    assert curve.cumulative_hazard(np.zeros(1)).item() == 0


@pytest.mark.parametrize("name", FAMILIES)
def test_many_curves_are_answered_like_one(name):
    theta = np.array(THETA[name])
    batch = FAMILIES[name].curve(theta[:, None, :])
    for ask in ("cumulative_hazard", "hazard", "area", "time_at"):
        found = getattr(batch, ask)(TIME)
        assert found.shape == (len(theta), 1, TIME.size)
        for row, one in zip(found[:, 0], theta, strict=True):
            assert row == pytest.approx(getattr(FAMILIES[name].curve(one), ask)(TIME), rel=1e-12)


@pytest.mark.parametrize("name", FAMILIES)
def test_time_zero_and_infinity(name):
    """Nothing has happened at time 0, and no warning is given at the ends of the numbers."""
    for theta in THETA[name]:
        curve = FAMILIES[name].curve(np.array(theta))
        assert curve.cumulative_hazard(np.zeros(1)).item() == 0
        assert curve.time_at(np.zeros(1)).item() == 0
        assert curve.area(np.zeros(1)).item() == 0
        assert curve.area(np.array([1e-9])).item() == pytest.approx(1e-9, rel=0.01)
        far = curve.cumulative_hazard(np.array([1e3, 1e6]))
        assert (np.diff(far) >= 0).all()
        assert not np.isnan(far).any()


def test_limits_between_families():
    mu, log_sd = 2.2, -0.3
    prentice = GeneralizedGamma(
        np.array([[mu, log_sd, 1.0], [mu, log_sd, 1e-5], [mu, log_sd, np.exp(log_sd)]])
    )
    h = prentice.cumulative_hazard(TIME)
    assert h[0] == pytest.approx(Weibull(np.array([mu, -log_sd])).cumulative_hazard(TIME), rel=1e-12)
    assert h[1] == pytest.approx(LogNormal(np.array([mu, log_sd])).cumulative_hazard(TIME), rel=1e-4)
    shape = np.exp(-2 * log_sd)
    gamma = Gamma(np.array([np.log(shape), mu - np.log(shape)]))
    assert h[2] == pytest.approx(gamma.cumulative_hazard(TIME), rel=1e-10)


def test_a_generalised_gamma_passes_smoothly_through_the_log_normal():
    q = np.array([-1e-3, -1e-5, -2e-6, -1e-7, 0.0, 1e-7, 2e-6, 1e-5, 1e-3])
    theta = np.stack([np.full(9, 2.2), np.full(9, 0.1), q], axis=-1)
    s = np.exp(-GeneralizedGamma(theta).cumulative_hazard(TIME))
    # the first term of Edgeworth's series: the third cumulant of log time is proportional to Q
    assert np.abs(s - s[4]).max() < 2e-4
    assert (np.abs(s - s[4]) <= 0.2 * np.abs(q)[:, None] + 1e-9).all()


def test_a_falling_gompertz_hazard_levels_off():
    b, eta = 0.055, -0.1
    curve = Gompertz(np.array([np.log(b), eta]))
    assert np.exp(-curve.cumulative_hazard(np.array([1e4]))).item() == pytest.approx(
        np.exp(b / eta), rel=1e-12
    )
    assert curve.time_at(np.array([0.5, 0.56])).tolist() == [
        pytest.approx(np.log1p(-0.1 * 0.5 / b) / eta),
        np.inf,
    ]


def test_hazards_at_time_zero():
    zero = np.zeros(1)
    weibull = Weibull(np.array([[1.0, -0.5], [1.0, 0.0], [1.0, 0.5]])).hazard(zero)[:, 0]
    assert weibull.tolist() == [np.inf, pytest.approx(np.exp(-1)), 0.0]
    assert Gamma(np.array([[-0.5, 1.0], [0.0, 1.0], [0.5, 1.0]])).hazard(zero)[:, 0].tolist() == [
        np.inf,
        pytest.approx(np.exp(-1)),
        0.0,
    ]
    assert LogNormal(np.array([1.0, 0.0])).hazard(zero).tolist() == [0.0]


def test_survival_smaller_than_any_float_still_has_a_logarithm():
    """Weibull and gamma at times so late that survival underflows: H goes on rising at the right rate."""
    late = np.array([2000.0, 4000.0])
    gamma = Gamma(np.array([np.log(2.5), 0.0])).cumulative_hazard(late)
    # from Q(a, x) ~ x^(a-1) e^-x / Gamma(a)
    assert np.diff(gamma).item() == pytest.approx(2000 - 1.5 * np.log(2), rel=1e-6)
    below = GeneralizedGamma(np.array([0.0, -3.0, -1.0])).cumulative_hazard(np.array([1e10, 1e11]))
    assert np.diff(below).item() == pytest.approx(np.log(10) / np.exp(-3.0), rel=1e-6)  # a power law


#: H of the generalised gamma with mu = 0 and sigma = 1 at w = -3, -0.5, 2 and 5, by quadrature of its density with 40
#: digits (mpmath 1.4.1); so near Q = 0 incomplete gamma functions are not used.
NEAR_NORMAL = {
    0.0199: [0.001520589540665, 0.37276249508433, 3.8307454593852, 15.540383338059],
    -0.0199: [0.0011964363120306, 0.36516315072001, 3.7362872667887, 14.611069942649],
    0.005: [0.0013919790645567, 0.36990212789423, 3.7950714047425, 15.182375059303],
    -0.0001: [0.0013499965553887, 0.3689273221867, 3.7829470205124, 15.062664738],
}


@pytest.mark.parametrize("q", NEAR_NORMAL)
def test_near_the_log_normal_no_digits_are_lost(q):
    curve = GeneralizedGamma(np.array([0.0, 0.0, q]))
    time = np.exp([-3.0, -0.5, 2.0, 5.0])
    assert curve.cumulative_hazard(time) == pytest.approx(NEAR_NORMAL[q], rel=1e-10)
    step = 1e-5 * time
    slope = (curve.cumulative_hazard(time + step) - curve.cumulative_hazard(time - step)) / (2 * step)
    assert curve.hazard(time) == pytest.approx(slope, rel=1e-7)
