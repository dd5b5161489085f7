import json
from fractions import Fraction
from math import comb, erfc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.kernels.pvalues import (
    clopper_pearson,
    events_of_pvalue,
    sign_test,
    sign_test_bounds,
    z_from_pvalue,
)

REFERENCE = json.loads((Path(__file__).parents[1] / "references" / "directions.json").read_text())

#: How many studies found worse, of how many with a direction.
VOTES = st.integers(0, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def binomial_tail(least, n, share=Fraction(1, 2)):
    """P(X >= least) for X ~ Bin(n, share), as a fraction of whole numbers."""
    return sum(comb(n, i) * share**i * (1 - share) ** (n - i) for i in range(least, n + 1))


def exact_sign_test(u, n):
    """Probability of every count at least as far from n / 2, added up in fractions."""
    return sum(Fraction(comb(n, i), 2**n) for i in range(n + 1) if abs(2 * i - n) >= abs(2 * u - n))


# Hilton Boon M, Thomson H (2021), https://doi.org/10.1002/jrsm.1458: the abstract prints P = 0.0039 for housing
# condition and P = 0.2188 for general and for respiratory health. The counts are those that give these P.
@pytest.mark.parametrize(("n_worse", "n_directed", "printed"), [(9, 9, 0.0039), (5, 6, 0.2188)])
def test_published_sign_tests(n_worse, n_directed, printed):
    assert sign_test(n_worse, n_directed) == pytest.approx(printed, abs=5e-5)


@pytest.mark.parametrize("case", REFERENCE["votes"], ids=lambda c: f"{c['n_worse']} of {c['n_directed']}")
def test_reference_counts(case):
    pair = case["n_worse"], case["n_directed"]
    assert sign_test(*pair) == pytest.approx(case["pvalue"], rel=1e-12)
    assert tuple(clopper_pearson(*pair, 0.95)) == pytest.approx(tuple(case["interval_95"]), rel=1e-12)


@pytest.mark.parametrize("case", REFERENCE["signed_z"], ids=lambda c: f"p = {c['p']}")
def test_reference_z(case):
    assert z_from_pvalue(case["p"]) == pytest.approx(case["z"], rel=1e-12, abs=1e-15)


@given(VOTES)
def test_sign_test_is_a_sum_of_fractions(votes):
    u, n = votes
    if n:
        assert sign_test(u, n) == pytest.approx(float(exact_sign_test(u, n)), rel=1e-12)
    else:
        assert np.isnan(sign_test(u, n))


@given(VOTES, st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99]))
def test_a_limit_is_where_its_tail_is_half_the_rest(votes, level):
    """At the lower limit u or more, and at the upper u or fewer, have probability (1 - level) / 2."""
    u, n = votes
    lower, upper = (float(limit) for limit in clopper_pearson(u, n, level))
    half = (1 - level) / 2
    at_least = float(binomial_tail(u, n, Fraction(lower)))
    at_most = float(1 - binomial_tail(u + 1, n, Fraction(upper)))
    assert lower == 0 if u == 0 else at_least == pytest.approx(half, rel=1e-9)
    assert upper == 1 if u == n else at_most == pytest.approx(half, rel=1e-9)


@given(VOTES)
def test_worse_and_better_are_alike(votes):
    u, n = votes
    assert sign_test(u, n) == pytest.approx(float(sign_test(n - u, n)), nan_ok=True)
    lower, upper = clopper_pearson(u, n, 0.95)
    assert clopper_pearson(n - u, n, 0.95).lower == pytest.approx(1 - float(upper), abs=1e-14)
    assert lower <= (u / n if n else 0.5) <= upper


@given(VOTES, st.integers(0, 12))
def test_bounds_hold_over_every_direction_the_unknown_may_have(votes, unknown):
    u, n = votes
    found = sign_test_bounds(u, n, unknown)
    if n + unknown == 0:
        assert np.isnan(found.lower)
        assert np.isnan(found.upper)
        return
    all_of_them = [float(exact_sign_test(u + j, n + unknown)) for j in range(unknown + 1)]
    assert found.lower == pytest.approx(min(all_of_them), rel=1e-12)
    assert found.upper == pytest.approx(max(all_of_them), rel=1e-12)


@given(VOTES, st.integers(0, 12))
def test_one_more_unknown_direction_widens_the_bounds(votes, unknown):
    before, after = (sign_test_bounds(*votes, m) for m in (unknown, unknown + 1))
    if sum(votes) or unknown:
        assert after.lower <= before.lower + 1e-15
        assert after.upper >= before.upper - 1e-15


def test_everything_broadcasts():
    u, n = np.arange(4)[:, None], np.arange(4, 7)
    assert sign_test(u, n).shape == clopper_pearson(u, n, 0.95).lower.shape == (4, 3)
    bounds = sign_test_bounds(u, n, np.zeros((2, 1, 1)))
    assert bounds.upper.shape == (2, 4, 3)
    assert bounds.lower[0] == pytest.approx(sign_test(u, n), rel=1e-15)


def test_small_tails_keep_their_digits():
    assert sign_test(0, 1000) == pytest.approx(2.0**-999, rel=1e-12)
    small, none = z_from_pvalue([1e-300, 0.0])
    assert erfc(small / 2**0.5) == pytest.approx(1e-300, rel=1e-9)
    assert none == np.inf
    lower, upper = clopper_pearson(0, 10**9, 0.95)
    assert lower == 0
    assert upper == pytest.approx(-np.log(0.025) / 1e9, rel=1e-6)


@given(st.floats(1e-12, 0.999), st.floats(0.05, 3), st.floats(0.1, 0.9))
def test_events_of_a_p_value_give_it_back(p, log_hr, share):
    """With these events a ratio has its variance 1 / (D pi (1 - pi)), and so this p-value."""
    events = float(events_of_pvalue(p, log_hr, share))
    z = abs(log_hr) * (events * share * (1 - share)) ** 0.5
    assert erfc(z / 2**0.5) == pytest.approx(p, rel=1e-8)
    assert float(events_of_pvalue(p, -log_hr, share)) == events


def test_events_of_equal_groups():
    """Four z squared over the squared log ratio; of p = 0.05 and a ratio of 2 that is 32 events."""
    assert float(events_of_pvalue(0.05, np.log(2))) == pytest.approx(4 * 1.959964**2 / 0.693147**2, rel=1e-6)
