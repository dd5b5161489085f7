from typing import get_args

import numpy as np
import pytest
from summaries import NAN

from netsynth.kernels.five_number_methods import (
    ASSUME_NORMAL,
    MEAN_METHODS,
    MeanMethod,
    bootstrap_error,
    convert,
    draw_summaries,
)
from netsynth.kernels.laws import BOX_COX, GAMMA, NORMAL, law, law_moments

ALL_FIVE = np.array([3.0, 8, 11, 15, 30])


def test_every_name_is_reachable():
    assert set(get_args(MeanMethod)) == set(MEAN_METHODS)
    assert set(MEAN_METHODS) > ASSUME_NORMAL


@pytest.mark.parametrize("method", MEAN_METHODS)
def test_scenarios_of_each_method(method):
    rows = np.array([[3, NAN, 11, NAN, 30], [NAN, 8, 11, 15, NAN], ALL_FIVE, [3, NAN, 11, 15, 30]])
    mean, sd = law_moments(convert(method, rows, np.full(4, 25.0)))
    known = {"Hozo": [True, False, False], "Bland": [False, False, True]}.get(method, [True] * 3)
    assert np.isfinite(mean).tolist() == np.isfinite(sd).tolist() == [*known, False]
    assert ((mean[:3][known] > 10) & (mean[:3][known] < 16)).all()


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 7, 20, 133])
def test_drawn_summaries_are_those_of_samples(n):
    """Means and variances of drawn summaries against summaries of whole samples, by numpy's own quantiles."""
    one, rng, count = law(GAMMA, np.array(2.0), np.array(5.0)), np.random.default_rng(n), 20_000
    fast = draw_summaries(one, n, rng, count)
    slow = np.quantile(rng.gamma(2, 5, (count, n)), [0, 0.25, 0.5, 0.75, 1], axis=1).T
    error = np.sqrt((fast.var(0) + slow.var(0)) / count)
    assert np.abs((fast.mean(0) - slow.mean(0)) / error).max() < 4.5
    assert fast.std(0) == pytest.approx(slow.std(0), rel=0.06)
    # neighbours move together as they do in samples
    assert np.corrcoef(fast.T) == pytest.approx(np.corrcoef(slow.T), abs=0.04)
    assert (np.diff(fast, axis=1) >= 0).all()


@pytest.mark.parametrize("method", ["Luo", "QE", "MLN", "BC"])
def test_bootstrap_against_whole_samples(method):
    """The slow way: draw patients, summarise, convert, scatter."""
    values, n = np.array([NAN, 8, 11, 15, NAN]), 40
    found = convert(method, values, np.array(float(n)))
    rng, count = np.random.default_rng(4), 1500
    kind, mu, sigma, power = int(found.family), found.first.item(), found.second.item(), found.third.item()
    z = rng.standard_normal((count, n))
    if kind == NORMAL:
        x = mu + sigma * z
    elif kind == BOX_COX:
        x = np.exp(mu + sigma * z) if power == 0 else (power * (mu + sigma * z) + 1) ** (1 / power)
    else:
        assert method == "QE"
        x = np.exp(mu + sigma * z)
    drawn = np.full((count, 5), NAN)
    drawn[:, 1:4] = np.quantile(x, [0.25, 0.5, 0.75], axis=1).T
    slow = law_moments(convert(method, drawn, np.array(float(n))))
    fast = bootstrap_error(method, values, n, np.random.default_rng(9), 1500)
    for se, estimates in zip(fast[:2], slow, strict=True):
        assert se.item() == pytest.approx(
            np.ptp(np.nanquantile(estimates, [0.025, 0.975])) / 3.919928, rel=0.12
        )
    assert fast.share == 1


def test_the_error_of_a_normal_mean():
    """Of Luo's mean from all five of normal values: above sigma / sqrt(n) and not by much, and it falls with n."""
    values = np.array([-2.5, -0.67, 0.0, 0.67, 2.5])
    se = [bootstrap_error("Luo", values, n, np.random.default_rng(1), 4000).mean_se.item() for n in (50, 200)]
    naive = [convert("Luo", values, np.array(float(n))).second.item() / n**0.5 for n in (50, 200)]
    assert all(1.0 < s / m < 1.2 for s, m in zip(se, naive, strict=True))
    assert se[0] / se[1] == pytest.approx(naive[0] / naive[1], rel=0.08)


def test_no_answer_no_error():
    found = bootstrap_error("Hozo", np.array([NAN, 8, 11, 15, NAN]), 40, np.random.default_rng(1), 50)
    assert all(np.isnan(part) for part in found)


def test_the_same_seed_the_same_error():
    first, again = (bootstrap_error("QE", ALL_FIVE, 25, np.random.default_rng(3), 100) for _ in range(2))
    assert first == again
