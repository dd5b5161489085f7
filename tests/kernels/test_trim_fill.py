"""Trim-and-fill against metafor, and against the algorithm written out for one set of studies."""

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netsynth.kernels.tau2 import TAU2_ESTIMATORS, Tau2Estimate, tau2_ce, tau2_dl
from netsynth.kernels.trim_fill import MISSING_ESTIMATORS, MissingMethod, trim_and_fill

REFERENCES = Path(__file__).parents[1] / "references"
TRIM_FILL = json.loads((REFERENCES / "trim_fill.json").read_text(encoding="utf-8"))["trimfill"]
FITS = [(case, name) for case in TRIM_FILL for name in case["fits"]]


def name_of(value):
    return value["dataset"] if isinstance(value, dict) else value


def by_hand(y, v, method):
    """Missing studies on the left under the common effect: number, its error, effects, variances; or None.

    Of fractions, so that effects are equally far from the mean, or on it, when they are.
    """
    pairs = sorted(zip(y, v, strict=True), key=lambda pair: pair[0])
    n, missing, seen = len(pairs), 0, set()
    while True:
        kept = pairs[: n - missing]
        mean = sum(a / b for a, b in kept) / sum(1 / b for _, b in kept)
        distances = sorted(range(n), key=lambda i: abs(pairs[i][0] - mean))
        ranks = {i: place + 1 for place, i in enumerate(distances)}
        above = sum(ranks[i] for i in range(n) if pairs[i][0] > mean)
        if method == "R0":
            number = n - max((ranks[i] for i in range(n) if pairs[i][0] < mean), default=0) - 1
            error = math.sqrt(2 * max(0, number) + 2)
        else:
            if method == "L0":
                number = (4 * above - n * (n + 1)) / (2 * n - 1)
            elif 2 * n**2 - 4 * above + 0.25 < 0:
                return None
            else:
                number = n - 0.5 - math.sqrt(2 * n**2 - 4 * above + 0.25)
            m = number
            variance = n * (n + 1) * (2 * n + 1) + 10 * m**3 + 27 * m**2 + 17 * m
            variance += -18 * n * m**2 - 18 * n * m + 6 * n**2 * m
            error = math.sqrt(variance / 24) if variance >= 0 else math.nan
            error *= 4 / (2 * n - 1) if method == "L0" else 2 / (n - 0.5 - number)
        following = round(max(0.0, number))
        if following >= n:
            return None
        if following == missing:
            filled = [float(2 * mean - pair[0]) for pair in pairs[n - missing :]]
            return missing, error, filled, [float(pair[1]) for pair in pairs[n - missing :]]
        assert following not in seen
        seen.add(following)
        missing = following


@st.composite
def some_studies(draw):
    """Effects and variances as fractions; variances are often equal, and two effects then equally far from a mean."""
    k = draw(st.integers(3, 12))
    thousandths = st.sampled_from([200, 1000, 3000]) | st.integers(7, 7400)
    v = draw(st.lists(thousandths, min_size=k, max_size=k))
    y = draw(st.lists(st.integers(-3000, 3000), min_size=k, max_size=k, unique=True))
    return [Fraction(100 * a + i, 100_000) for i, a in enumerate(y)], [Fraction(a, 1000) for a in v]


#: Two of equal variance are left, equally far from their mean: whether they are must not hang on rounding.
EQUALLY_FAR = (
    [Fraction(575, 1000), Fraction(-255799, 100_000), Fraction(-167498, 100_000)],
    [Fraction(1), Fraction(1, 5), Fraction(1, 5)],
)
#: One is left, on its own mean.
ALONE = (
    [Fraction(0), Fraction(101, 100_000), Fraction(-198, 100_000)],
    [Fraction(1), Fraction(1), Fraction(20961139, 10**8)],
)


def test_every_name_is_reachable():
    assert set(get_args(MissingMethod)) == set(MISSING_ESTIMATORS)


@pytest.mark.parametrize(("case", "name"), FITS, ids=name_of)
def test_reference_trimfill(case, name):
    tau2_method, method, side = name.split()
    y, v, fit = np.array(case["yi"]), np.array(case["vi"]), case["fits"][name]
    towards = side if fit is None else fit["side"]
    if towards == "auto":
        return  # metafor stops with an error, so that nothing is said of the side
    sign = -1 if towards == "right" else 1
    found = trim_and_fill(sign * y, v, TAU2_ESTIMATORS[tau2_method], MISSING_ESTIMATORS[method])
    if fit is None:  # the root of Q0
        assert method == "Q0"
        assert not found.defined
        assert not found.converged
        return
    assert found.converged
    assert found.n_missing == fit["k0"]
    # metafor gives no error, by way of nan, where the variance of the rank sum is negative
    expected = math.nan if fit["se_k0"] is None else fit["se_k0"]
    assert found.se == pytest.approx(expected, rel=1e-8, nan_ok=True)
    assert found.pvalue == pytest.approx(math.nan if fit["p_k0"] is None else fit["p_k0"], nan_ok=True)
    filled = np.isfinite(found.variance)
    assert filled.sum() == fit["k0"]
    if "filled_yi" in fit:
        # the mean of the model comes with metafor's own tolerance
        np.testing.assert_allclose(sign * found.estimate[filled], fit["filled_yi"], rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(found.variance[filled], fit["filled_vi"], rtol=1e-12)


@settings(max_examples=300)
@example(study=EQUALLY_FAR, method="L0")
@example(study=EQUALLY_FAR, method="Q0")
@example(study=ALONE, method="L0")
@given(study=some_studies(), method=st.sampled_from(list(MISSING_ESTIMATORS)))
def test_the_iteration_is_the_one_written_out(study, method):
    y, v = (np.array(values, dtype=np.float64) for values in study)
    found, expected = trim_and_fill(y, v, tau2_ce, MISSING_ESTIMATORS[method]), by_hand(*study, method)
    if expected is None:
        assert not found.defined
        return
    n_missing, error, estimate, variance = expected
    assert found.defined
    assert found.converged
    assert found.n_missing == n_missing
    assert found.se == pytest.approx(error, rel=1e-9, nan_ok=True)
    filled = np.isfinite(found.variance)
    np.testing.assert_allclose(found.estimate[filled], estimate, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.variance[filled], variance)
    np.testing.assert_array_equal(v[found.source[filled]], variance)


def batch(n=40, k=10, seed=5):
    rng = np.random.default_rng(seed)
    v = np.exp(rng.uniform(-4, 1, (n, k)))
    y = rng.standard_normal((n, k)) * np.sqrt(v) + rng.exponential(1.0, (n, k)) * rng.integers(0, 2, (n, 1))
    v[rng.random((n, k)) < 0.2] = np.inf
    v[:, :3] = np.where(np.isinf(v[:, :3]), 0.5, v[:, :3])
    y[np.isinf(v)] = -1e200
    return y, v


@pytest.mark.parametrize("method", MISSING_ESTIMATORS)
@pytest.mark.parametrize("estimator", [tau2_ce, tau2_dl])
def test_a_batch_is_a_loop_and_absent_studies_are_absent(method, estimator):
    y, v = batch()
    together = trim_and_fill(y, v, estimator, MISSING_ESTIMATORS[method])
    for i in range(len(y)):
        kept = np.isfinite(v[i])
        alone = trim_and_fill(y[i, kept], v[i, kept], estimator, MISSING_ESTIMATORS[method])
        assert (together.defined[i], together.converged[i]) == (alone.defined, alone.converged)
        if alone.converged:
            assert together.n_missing[i] == alone.n_missing
            assert together.se[i] == pytest.approx(float(alone.se), rel=1e-9, nan_ok=True)
            here, there = np.isfinite(together.variance[i]), np.isfinite(alone.variance)
            np.testing.assert_allclose(together.estimate[i, here], alone.estimate[there], rtol=1e-9)
            np.testing.assert_array_equal(v[i, together.source[i, here]], v[i, kept][alone.source[there]])


@pytest.mark.parametrize("method", ["L0", "R0", "Q0"])
def test_a_symmetric_funnel_misses_nothing_and_its_mirror_image_neither(method):
    y, v = np.array([-0.6, -0.2, 0.0, 0.2, 0.61]), np.array([0.3, 0.1, 0.02, 0.1, 0.3])
    for sign in (-1, 1):
        found = trim_and_fill(sign * y, v, tau2_ce, MISSING_ESTIMATORS[method])
        assert found.n_missing == 0
        assert np.isinf(found.variance).all()


@pytest.mark.parametrize("method", ["L0", "R0", "Q0"])
def test_identical_effects_miss_nothing(method):
    found = trim_and_fill(np.full(5, 0.1), np.arange(1.0, 6.0), tau2_ce, MISSING_ESTIMATORS[method])
    assert (found.n_missing, found.converged) == (0, True)


def contrary(estimate, variance, design=None, /):
    """Equal weights while all studies are there, the given ones as soon as one is trimmed: goes round."""
    del estimate, design
    everyone = np.isfinite(variance).all(-1)
    return Tau2Estimate(np.where(everyone, 1e6, 0.0), np.ones(everyone.shape, dtype=bool), 0)


def test_an_iteration_that_goes_round_is_seen():
    # by the plain mean one study is missing; by the weighted one, which is that of the fourth study, none is
    y, v = np.array([0.0, 0.1, 0.2, 3.2, 6.0, 6.5]), np.array([1.0, 1, 1, 1e-4, 1, 1])
    found = trim_and_fill(y, v, contrary, MISSING_ESTIMATORS["R0"])
    assert found.defined
    assert not found.converged
    assert (found.fewest, found.most) == (0, 1)
    assert np.isinf(found.variance).all()
