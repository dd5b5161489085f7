import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from netsynth import pool_effects
from netsynth.kernels.censored_effects import (
    at_tau,
    fit,
    pieces,
    profile_limits,
    restricted_height,
    tau_limits,
)

DATA = json.loads(
    (Path(__file__).parents[1] / "references" / "median_survival.json").read_text(encoding="utf-8")
)["data"]
HALF_CHI = 0.5 * 3.841458820694124
INF = math.inf


def lung():
    """Comparator medians of thirty trials of lung cancer, on the logarithm."""
    y, low, high = (np.log(DATA[f"med{part}.g2"]) for part in ("", ".ci.lb", ".ci.ub"))
    return y, ((high - low) / (2 * 1.959963984540054)) ** 2


def opened():
    """Nine studies, two of them open above, one below, one between two values."""
    low = np.array([2.5, 2.9, 3.4, 2.2, 3.0, 3.6, 3.2, -INF, 2.4])
    high = np.array([2.5, 2.9, 3.4, 2.2, 3.0, INF, INF, 2.6, 2.9])
    return low, high, np.array([0.02, 0.05, 0.03, 0.08, 0.04, 0.03, 0.06, 0.05, 0.04])


def naive(low, high, v, mean, tau):
    """The log-likelihood at an array of means, study by study."""
    total = np.zeros_like(mean)
    for a, b, one in zip(low, high, v, strict=True):
        scale = math.sqrt(one + tau * tau)
        if a == b:
            total += norm.logpdf(a, mean, scale)
        elif b == INF:
            total += norm.logsf(a, mean, scale)
        elif a == -INF:
            total += norm.logcdf(b, mean, scale)
        else:
            with np.errstate(divide="ignore"):
                total += np.log(norm.cdf(b, mean, scale) - norm.cdf(a, mean, scale))
    return total


#: Means on which the naive integral is a plain sum.
MEANS = np.linspace(1, 5, 2001)


def naive_restricted(low, high, v, tau):
    heights = naive(low, high, v, MEANS, tau)
    return heights.max() + math.log(np.exp(heights - heights.max()).sum() * (MEANS[1] - MEANS[0]))


def numbers(result, *names):
    return [float(getattr(result, name)) for name in names]


def test_without_bounds_it_is_reml():
    y, v = lung()
    found, pooled = fit(y, y, v), pool_effects(y, se=np.sqrt(v))
    assert (found.mean, found.tau2) == pytest.approx((pooled.estimate, pooled.tau2), rel=1e-6)
    assert found.se * np.sqrt(np.maximum(found.scale, 1)) == pytest.approx(pooled.se, rel=1e-6)
    assert found.n_effective == 30
    ends = np.square(tau_limits(y, y, v, float(np.sqrt(found.tau2)), HALF_CHI))
    assert ends == pytest.approx(pooled.tau2_interval(method="PL_REML"), rel=1e-6)


def test_example_of_thirty_trials():
    # computed in R by REML on the logarithm: 12.3486 months, tau2 0.110062
    y, v = lung()
    found = fit(y, y, v)
    assert math.exp(found.mean) == pytest.approx(12.3486, abs=5e-5)
    assert found.tau2 == pytest.approx(0.110062, abs=5e-7)


@pytest.mark.parametrize("tau", [0.05, 0.3, 0.8])
def test_integral_by_a_plain_sum(tau):
    low, high, v = opened()
    assert restricted_height(low, high, v, np.array([tau]))[0] == pytest.approx(
        naive_restricted(low, high, v, tau), rel=1e-9
    )


def test_second_implementation_on_a_grid():
    """Brute force: tau on a grid of grids, the integral by a plain sum, then the mean on a grid."""
    low, high, v = opened()
    found = fit(low, high, v)
    taus = np.linspace(0, 1.5, 76)
    best = taus[int(np.argmax([naive_restricted(low, high, v, tau) for tau in taus]))]
    fine = best + np.linspace(-0.03, 0.03, 121)
    tau = math.sqrt(found.tau2)
    assert tau == pytest.approx(
        fine[int(np.argmax([naive_restricted(low, high, v, one) for one in fine]))], abs=6e-4
    )
    means = np.linspace(2.5, 3.5, 100_001)
    assert found.mean == pytest.approx(means[int(np.argmax(naive(low, high, v, means, tau)))], abs=2e-5)
    # the standard error from the curvature by differences
    step = 1e-3
    around = naive(low, high, v, found.mean + np.array([-step, 0, step]), tau)
    assert found.se == pytest.approx((-(around[0] - 2 * around[1] + around[2]) / step**2) ** -0.5, rel=1e-4)


def test_profile_on_a_grid():
    low, high, v = opened()
    taus = np.linspace(0.01, 1.5, 300)

    def best(means):
        return np.max([naive(low, high, v, means, tau) for tau in taus], axis=0)

    top = best(np.linspace(2.8, 3.1, 151)).max()
    ends = np.array(profile_limits(low, high, v, HALF_CHI))
    assert top - best(ends) == pytest.approx(HALF_CHI, abs=5e-4)
    assert ends[0] < 2.8
    assert ends[1] > 3.1


def test_profile_without_bounds_by_the_normal_equations():
    """The profile of a known-value likelihood, with tau on a fine grid."""
    y, v = lung()
    taus = np.linspace(0.2, 0.5, 1201)

    def best(mean):
        total = v + taus[:, None] ** 2
        return (-0.5 * (y - mean) ** 2 / total - 0.5 * np.log(total)).sum(1).max()

    summit = max(best(mean) for mean in np.linspace(2.45, 2.57, 241))
    for end in profile_limits(y, y, v, HALF_CHI):
        assert summit - best(end) == pytest.approx(HALF_CHI, abs=1e-4)


def test_slopes_by_differences():
    low, high, v = opened()
    mean, tau, step = 2.8, np.array(0.4), 1e-5
    below, here, above = (pieces(low, high, v, np.array(mean + d), tau) for d in (-step, 0.0, step))
    assert here.slope == pytest.approx((above.height - below.height) / (2 * step), rel=1e-6, abs=1e-8)
    assert here.information == pytest.approx(-(above.slope - below.slope) / (2 * step), rel=1e-6, abs=1e-8)


def test_bounds_that_say_nothing_change_nothing():
    y, v = lung()
    alone = fit(y, y, v)
    low, high = (np.append(y, end) for end in ([-INF, -9.0], [9.0, INF]))
    more = fit(low, high, np.append(v, [0.05, 0.05]))
    assert numbers(more, "mean", "se", "tau2") == pytest.approx(
        numbers(alone, "mean", "se", "tau2"), rel=1e-6
    )
    assert more.n_effective == pytest.approx(30, abs=1e-8)


def test_a_narrow_interval_is_a_known_value():
    low, high, v = opened()
    low, high = low.copy(), high.copy()
    low[8], high[8] = 2.7 - 1e-5, 2.7 + 1e-5
    narrow = fit(low, high, v)
    low[8] = high[8] = 2.7
    known = fit(low, high, v)
    assert numbers(narrow, "mean", "tau2") == pytest.approx(numbers(known, "mean", "tau2"), rel=1e-6)
    assert narrow.share[8] == pytest.approx(1, rel=1e-4)


def test_a_bound_pulls_less_the_weaker_it_is():
    y, v = np.array([2.5, 2.9, 3.1, 2.8, 3.0]), np.full(5, 0.04)
    means = [fit(np.append(y, c), np.append(y, INF), np.append(v, 0.04)).mean for c in (1.5, 2.5, 3.0, 3.5)]
    assert np.all(np.diff(means) > 0)
    assert means[0] == pytest.approx(fit(y, y, v).mean, abs=1e-4)


def test_a_mirror_image_is_a_mirror_image():
    low, high, v = opened()
    one, other = fit(low, high, v), fit(-high, -low, v)
    assert (other.mean, other.se, other.tau2) == pytest.approx((-one.mean, one.se, one.tau2), rel=1e-8)
    shifted = fit(3 * low + 2, 3 * high + 2, 9 * v)
    assert (shifted.mean, shifted.tau2) == pytest.approx((3 * one.mean + 2, 9 * one.tau2), rel=1e-6)


def test_two_known_values_are_enough():
    found = fit(np.array([2.5, 3.0, 2.9]), np.array([2.5, 3.0, INF]), np.full(3, 0.04))
    assert np.isfinite([found.mean, found.se, found.tau2, found.scale]).all()
    assert 2 < found.n_effective < 3


def test_a_batch_is_a_loop():
    low, high, v = opened()
    rng = np.random.default_rng(1)
    shift = rng.normal(0, 0.2, (4, 9))
    together = fit(low + shift, high + shift, np.broadcast_to(v, (4, 9)))
    for i in range(4):
        alone = fit(low + shift[i], high + shift[i], v)
        assert [together.mean[i], together.tau2[i]] == pytest.approx(
            numbers(alone, "mean", "tau2"), rel=1e-6, abs=1e-9
        )


def test_equal_studies_have_no_spread():
    y = np.full(4, 2.7)
    found = fit(np.append(y, 2.0), np.append(y, INF), np.full(5, 0.04))
    assert found.tau2 == 0
    assert tau_limits(np.append(y, 2.0), np.append(y, INF), np.full(5, 0.04), 0.0, HALF_CHI)[0] == 0
    fixed = at_tau(y, y, np.full(4, 0.04), np.array(0.0))
    assert (fixed.mean, fixed.se) == pytest.approx((2.7, 0.1))
