import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from netsynth.kernels.laws import (
    BETA,
    BOX_COX,
    GAMMA,
    LAW_FAMILIES,
    LOG_NORMAL,
    NORMAL,
    WEIBULL,
    Law,
    box_cox,
    inverse_box_cox,
    law,
    law_density,
    law_moments,
    law_quantile,
    log_mass,
)

#: Number of the family, its parameters, and the same law in scipy.
KNOWN = [
    (NORMAL, 3.0, 2.0, stats.norm(3, 2)),
    (LOG_NORMAL, 2.0, 0.7, stats.lognorm(0.7, scale=math.exp(2))),
    (GAMMA, 2.5, 4.0, stats.gamma(2.5, scale=4)),
    (WEIBULL, 1.3, 30.0, stats.weibull_min(1.3, scale=30)),
    (BETA, 2.0, 5.0, stats.beta(2, 5)),
]
POWERED = [
    (3.0, 1.0, 0.25),
    (6.2, 2.8, 0.385),
    (2.2, 0.8, 0.0),
    (1.5, 0.2, 0.01),
    (8.0, 1.0, 1.0),
    (4.0, 3.0, 0.9),
]
P = np.array([0.001, 0.1, 0.5, 0.8, 0.999])


@pytest.mark.parametrize(("family", "first", "second", "known"), KNOWN)
def test_laws_are_those_of_scipy(family, first, second, known):
    one = law(family, np.array(first), np.array(second))
    x = known.ppf(P)
    assert law_quantile(one, P).tolist() == pytest.approx(x.tolist(), rel=1e-10)
    assert [law_density(one, at).item() for at in x] == pytest.approx(known.pdf(x).tolist(), rel=1e-10)
    mean, sd = law_moments(one)
    assert (mean.item(), sd.item()) == pytest.approx((known.mean(), known.std()), rel=1e-10)


def by_quadrature(mu, sigma, power):
    """Density, mass below a value and moments of the cut law by integrals over x itself."""

    def transform(x):
        return math.log(x) if power == 0 else (x**power - 1) / power

    high = 2 * mu + 1 / power if power else math.inf
    top = (power * high + 1) ** (1 / power) if power else math.exp(mu + 12 * sigma)

    def bell(x):
        z = (transform(x) - mu) / sigma
        return math.exp(-z * z / 2) * x ** (power - 1)

    places = [
        (power * y + 1) ** (1 / power) if power else math.exp(y)
        for y in (mu + np.arange(-8, 9) * sigma)
        if power * y > -1
    ]
    edges = [0.0, *[p for p in places if 0 < p < top], top]

    def integral(f, upper=top):
        ends = [e for e in edges if e < upper] + [upper]
        return sum(quad(f, a, b, limit=200, epsabs=0, epsrel=1e-11)[0] for a, b in pairwise(ends))

    whole = integral(bell)
    mean = integral(lambda x: x * bell(x)) / whole
    square = integral(lambda x: x * x * bell(x)) / whole
    return lambda x: bell(x) / whole, lambda x: integral(bell, x) / whole, mean, math.sqrt(square - mean**2)


@pytest.mark.parametrize("parameters", POWERED, ids=str)
def test_the_cut_law_by_quadrature(parameters):
    density, below, mean, sd = by_quadrature(*parameters)
    one = law(BOX_COX, *map(np.array, parameters))
    found = law_moments(one)
    assert (found[0].item(), found[1].item()) == pytest.approx((mean, sd), rel=1e-7)
    for p in (0.05, 0.5, 0.9):
        x = law_quantile(one, np.array([p])).item()
        assert below(x) == pytest.approx(p, rel=1e-7)
        assert law_density(one, np.array(x)).item() == pytest.approx(density(x), rel=1e-7)


def test_a_small_power_is_nearly_the_logarithm():
    near = law(BOX_COX, np.array(2.0), np.array(0.5), np.array(1e-9))
    limit = law(LOG_NORMAL, np.array(2.0), np.array(0.5))
    for small, zero in zip(law_moments(near), law_moments(limit), strict=True):
        assert small.item() == pytest.approx(zero.item(), rel=1e-7)


def test_beyond_its_edges_the_cut_law_is_nothing():
    one = law(BOX_COX, np.array(3.0), np.array(1.0), np.array(0.5))
    # y runs from -2 to 8, and x to (0.5 * 8 + 1)^2 = 25
    assert law_quantile(one, np.array([0.0, 1.0])).tolist() == pytest.approx([0.0, 25.0], abs=1e-6)
    assert law_density(one, np.array(25.1)).item() == 0
    empty = law(BOX_COX, np.array(-3.0), np.array(1.0), np.array(0.5))
    assert np.isnan(law_density(empty, np.array(1.0)))
    assert np.isnan(law_moments(empty)[0])


def test_families_may_be_mixed():
    mixed = Law(
        np.array([GAMMA, NORMAL, GAMMA, WEIBULL]),
        np.array([2.5, 3.0, 1.0, 1.3]),
        np.array([4.0, 2.0, 5.0, 30.0]),
        np.full(4, math.nan),
    )
    x = law_quantile(mixed, np.array([0.3]))[:, 0]
    known = [KNOWN[2][3], KNOWN[0][3], stats.gamma(1, scale=5), KNOWN[3][3]]
    assert x.tolist() == pytest.approx([one.ppf(0.3) for one in known], rel=1e-10)
    assert law_moments(mixed)[0].tolist() == pytest.approx([one.mean() for one in known], rel=1e-10)
    assert len(LAW_FAMILIES) == 6


def test_a_law_that_is_nan_says_nan():
    nothing = law(GAMMA, np.array(math.nan), np.array(1.0))
    assert np.isnan(law_moments(nothing)[0])
    assert np.isnan(law_quantile(nothing, P)).all()


def test_transform_and_inverse():
    x, power = np.array([0.01, 1.0, 7.0, 400.0]), np.array([0.0, 1e-12, 0.3, 2.0])
    y = box_cox(x[:, None], power)
    assert inverse_box_cox(y, power) == pytest.approx(np.broadcast_to(x[:, None], (4, 4)), rel=1e-9)
    assert box_cox(np.array(7.0), np.array(1e-12)).item() == pytest.approx(math.log(7), rel=1e-10)
    assert inverse_box_cox(np.array(-9.0), np.array(0.5)).item() == 0


def test_mass_between_two_ends():
    ends = [
        (-1.0, 2.0),
        (-math.inf, -8.0),
        (9.0, math.inf),
        (30.0, 31.0),
        (-31.0, -30.0),
        (-math.inf, math.inf),
    ]
    for low, high in ends:
        # scipy's own logarithms of the two tails, the nearer one first
        near, far = sorted((abs(low), abs(high)))
        if low * high < 0:
            expected = math.log(stats.norm.cdf(high) - stats.norm.cdf(low))
        else:
            tail, less = stats.norm.logsf(near), stats.norm.logsf(far)
            expected = tail + math.log1p(-math.exp(less - tail))
        assert log_mass(np.array(low), np.array(high)).item() == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert log_mass(np.array(1.0), np.array(1.0)).item() == -math.inf
