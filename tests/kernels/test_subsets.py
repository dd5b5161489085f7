import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.kernels.intervals import CI_METHODS
from netsynth.kernels.subsets import (
    all_but_one,
    fit_sets,
    fit_subsets,
    of_members,
    random_subsets,
    subsets_of_codes,
    up_to_each,
)
from netsynth.kernels.tau2 import TAU2_ESTIMATORS

REFERENCES = Path(__file__).parents[1] / "references"
SUBSETS = json.loads((REFERENCES / "influence.json").read_text(encoding="utf-8"))["subsets"]
METAFOR = {"EE": "CE"}

Y = np.array([0.12, 0.55, -0.31, 0.9, 0.4, 1.4])
V = np.array([0.02, 0.05, 0.03, 0.09, 0.04, 0.3])


@pytest.mark.parametrize("case", SUBSETS, ids=lambda case: case["id"])
def test_reference_gosh(case):
    y, v = (np.array(case["input"][name]) for name in ("yi", "vi"))
    method, expected = case["options"]["method"], case["output"]["gosh"]
    method = METAFOR.get(method, method)
    found = fit_subsets(y, v, subsets_of_codes(1, 2**y.size, y.size), TAU2_ESTIMATORS[method])
    assert found.k.tolist() == expected["k"]
    np.testing.assert_allclose(found.estimate, expected["estimate"], rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.q, expected["QE"], rtol=1e-8, atol=1e-12)
    several = found.k > 1  # of one study metafor says 0, we say nothing
    assert np.isnan(found.tau2[~several]).all()
    np.testing.assert_allclose(found.tau2[several], np.array(expected["tau2"])[several], rtol=1e-6, atol=1e-9)
    got, i2 = found.i2_tau2[several], np.array(expected["I2"])[several]
    if method == "CE":  # there metafor has the I2 of Q
        assert not got.any()
        q, df = found.q[several], found.k[several] - 1
        got = np.maximum(0.0, q - df) / np.maximum(q, df)
    np.testing.assert_allclose(100 * got, i2, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("ci_method", ["wald", "t", "HK", "mHK"])
@pytest.mark.parametrize("method", TAU2_ESTIMATORS)
def test_a_set_is_fitted_as_if_alone(method, ci_method):
    estimator, error = TAU2_ESTIMATORS[method], CI_METHODS[ci_method]
    members = subsets_of_codes(1, 2**Y.size, Y.size)
    together = fit_sets(Y, of_members(V, members), estimator, error)
    for i, held in enumerate(members):
        y, v = Y[held], V[held]
        if y.size == 1:
            assert (together.estimate[i], together.se[i], together.df[i]) == pytest.approx(
                (y[0], v[0] ** 0.5, np.inf)
            )
            assert np.isnan(together.tau2[i])
            continue
        tau2 = np.asarray(estimator(y, v).tau2)
        w, alone = 1 / (v + tau2), error(y, v, tau2)
        expected = (float(tau2), (w @ y) / w.sum(), float(alone.se), float(alone.df), y.size)
        got = tuple(getattr(together, name)[i] for name in ("tau2", "estimate", "se", "df", "k"))
        assert got == pytest.approx(expected, rel=1e-8, abs=1e-10)


def test_sets_keep_their_leading_axes():
    y = np.stack([Y, Y + 1.0])
    found = fit_sets(
        y[:, None, :], of_members(np.stack([V, V]), all_but_one(6)), TAU2_ESTIMATORS["DL"], CI_METHODS["HK"]
    )
    assert all(array.shape == (2, 6) for array in found)
    np.testing.assert_allclose(found.estimate[1], found.estimate[0] + 1.0, rtol=1e-12)


def test_codes_name_every_subset_once():
    members = subsets_of_codes(1, 2**5, 5)
    expected = {held for size in range(1, 6) for held in combinations(range(5), size)}
    assert [tuple(np.flatnonzero(row)) for row in members[[0, 1, 2, 30]]] == [
        (0,),
        (1,),
        (0, 1),
        (0, 1, 2, 3, 4),
    ]
    assert {tuple(np.flatnonzero(row).tolist()) for row in members} == expected
    assert len(members) == len(expected)
    np.testing.assert_array_equal(members[9:20], subsets_of_codes(10, 21, 5))


@given(st.permutations(range(6)))
def test_subsets_grow_in_the_order_asked_for(order):
    members = up_to_each(np.array(order))
    for step, row in enumerate(members):
        assert set(np.flatnonzero(row)) == set(order[: step + 1])


def test_random_subsets_are_all_equally_likely_and_never_empty():
    members = random_subsets(np.random.default_rng(1), 70_000, 3)
    codes, counts = np.unique(members @ [1, 2, 4], return_counts=True)
    assert codes.tolist() == [1, 2, 3, 4, 5, 6, 7]
    # a binomial count of 70,000 with probability 1/7 has a standard deviation of 93
    assert np.abs(counts - 10_000).max() < 5 * 93


def test_membership_is_packed_without_loss():
    members = subsets_of_codes(1, 2**9, 9)
    packed = fit_subsets(np.arange(9.0), np.ones(9), members, TAU2_ESTIMATORS["DL"]).packed
    assert packed.shape == (511, 2)
    np.testing.assert_array_equal(np.unpackbits(packed, axis=-1, count=9), members)
