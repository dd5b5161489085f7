from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.kernels.pvalues import sign_test
from netsynth.kernels.votes import MOST_EXACT, weighted_share, weighted_sign_test, within_study

VOTES = st.lists(st.tuples(st.booleans(), st.floats(0.1, 30)), min_size=1, max_size=10)


@given(VOTES)
def test_every_choice_of_signs_one_by_one(votes):
    is_worse, weights = map(np.array, zip(*votes, strict=True))
    least = abs(np.where(is_worse, weights, -weights).sum())
    sums = [abs(np.dot(signs, weights)) for signs in product((-1, 1), repeat=len(votes))]
    exact = np.mean(np.array(sums) >= least - 1e-9 * weights.sum())
    assert weighted_sign_test(is_worse, weights) == pytest.approx(min(1.0, exact), rel=1e-12)


@given(
    st.integers(1, MOST_EXACT // 2).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.floats(0.01, 1e4),
)
def test_equal_weights_are_the_sign_test(votes, weight):
    worse, n = votes
    is_worse = np.arange(n) < worse
    assert weighted_sign_test(is_worse, np.full(n, weight)) == pytest.approx(
        float(sign_test(worse, n)), rel=1e-12
    )


def test_forty_votes_are_exact_and_more_are_close():
    """Whole weights have a distribution that can be built up vote by vote."""
    rng = np.random.default_rng(2)
    for k in (MOST_EXACT, MOST_EXACT + 1, 80):
        weights = rng.integers(1, 9, k)
        is_worse = rng.random(k) < 0.65
        total = weights.sum()
        chance = np.zeros(2 * total + 1)
        chance[total] = 1.0
        for weight in weights:
            chance = 0.5 * (np.roll(chance, weight) + np.roll(chance, -weight))
        least = abs(np.where(is_worse, weights, -weights).sum())
        exact = chance[np.abs(np.arange(-total, total + 1)) >= least].sum()
        tolerance = {"rel": 1e-9} if k == MOST_EXACT else {"abs": 0.01}
        assert weighted_sign_test(is_worse, weights.astype(float)) == pytest.approx(exact, **tolerance)


@given(VOTES, st.floats(0.001, 1000))
def test_worse_and_better_are_alike_and_the_unit_of_weight_is_free(votes, unit):
    is_worse, weights = map(np.array, zip(*votes, strict=True))
    found = weighted_sign_test(is_worse, weights)
    assert weighted_sign_test(~is_worse, weights) == pytest.approx(found, rel=1e-12)
    assert weighted_sign_test(is_worse, unit * weights) == pytest.approx(found, rel=1e-9)
    share = float(weighted_share(is_worse, weights))
    assert float(weighted_share(~is_worse, weights)) == pytest.approx(1 - share, abs=1e-12)
    assert 0 <= share <= 1


def test_nothing_to_count():
    assert np.isnan(weighted_sign_test([], []))
    assert np.isnan(weighted_share([], []))


@pytest.mark.parametrize(
    ("worse", "better", "none", "expected"),
    [
        (7, 3, 0, 1),
        (3, 7, 0, -1),
        (6, 4, 0, np.nan),
        (7, 0, 3, 1),
        (1, 1, 8, 0),
        (1, 0, 0, 1),
        (0, 0, 0, np.nan),
        (69, 31, 0, np.nan),
    ],
)
def test_seven_of_ten_make_a_direction(worse, better, none, expected):
    np.testing.assert_equal(float(within_study(worse, better, none, 0.7)), expected)


def test_studies_at_once():
    np.testing.assert_array_equal(within_study([7, 3], [3, 7], [0, 0], 0.7), [1, -1])
    share = weighted_share([[True, False], [True, True]], [1.0, 3.0])
    np.testing.assert_allclose(share, [0.25, 1.0])
