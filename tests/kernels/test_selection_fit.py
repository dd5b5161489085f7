import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from netsynth.kernels.selection import intervals_of, segments, study_pvalues
from netsynth.kernels.selection_fit import fit_smooth, fit_steps, profile_limits
from netsynth.kernels.tau2 import tau2_ml


def fit(y, v, *, alternative="greater", steps=(0.025,), weight=(1.0, math.nan), common=False, mean=None):
    interval = intervals_of(study_pvalues(y, v, alternative), steps)
    cuts = segments(steps, alternative)
    return fit_steps(y, v, interval, cuts, np.array(weight), common=common, mean=mean)


def naive_3psm(y, v, mean, tau, delta):
    """Log-likelihood of the model with one step at 0.025, straight from its definition."""
    sd = np.sqrt(v + tau**2)
    cut = 1.959963984540054 * np.sqrt(v)
    seen = stats.norm.sf(cut, mean, sd)
    w = np.where(y >= cut, 1.0, delta)
    return float(np.sum(np.log(w) + stats.norm.logpdf(y, mean, sd) - np.log(seen + delta * (1 - seen))))


def draw(seed, k=25):
    """Studies of which those not significant are seen with a chance of 0.3."""
    rng = np.random.default_rng(seed)
    se = rng.uniform(0.1, 0.5, 400)
    y = rng.normal(0.15, np.hypot(0.15, se))
    kept = (y > 1.96 * se) | (rng.uniform(size=400) < 0.3)
    return y[kept][:k], se[kept][:k] ** 2


@pytest.mark.parametrize("seed", range(6))
def test_against_a_simplex_from_many_starts(seed):
    y, v = draw(seed)
    found = fit(y, v)

    def target(x):
        return -naive_3psm(y, v, x[0], x[1], math.exp(min(x[2], 500.0)))

    best = min(
        (
            optimize.minimize(target, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
            for start in itertools.product((-0.3, 0.1, 0.4), (0.05, 0.3), (-2.0, 0.0))
        ),
        key=lambda result: result.fun,
    )
    assert found.converged
    assert found.log_likelihood == pytest.approx(
        naive_3psm(y, v, found.mean, found.tau2**0.5, found.weight[1]), rel=1e-10
    )
    assert found.log_likelihood >= -best.fun - 1e-9
    if found.log_likelihood <= -best.fun + 1e-7:  # the simplex got there: then to the same place
        assert found.mean == pytest.approx(best.x[0], abs=1e-4)
        assert found.tau2 == pytest.approx(best.x[1] ** 2, abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_covariance_is_the_inverse_of_second_differences(seed):
    y, v = draw(seed, k=40)
    found = fit(y, v)
    if found.tau2 == 0:
        pytest.skip("on the bound there is none")
    x = np.array([found.mean, found.tau2, found.weight[1]])
    h = 1e-4 * np.sqrt(np.diagonal(found.covariance))[[0, 1, 3]] * 10

    def height(at):
        return naive_3psm(y, v, at[0], math.sqrt(at[1]), at[2])

    second = np.empty((3, 3))
    for i, j in itertools.product(range(3), range(3)):
        e, f = np.eye(3)[i] * h[i], np.eye(3)[j] * h[j]
        second[i, j] = (height(x + e + f) - height(x + e - f) - height(x - e + f) + height(x - e - f)) / (
            4 * h[i] * h[j]
        )
    expected = np.linalg.inv(-second)
    np.testing.assert_allclose(found.covariance[np.ix_([0, 1, 3], [0, 1, 3])], expected, rtol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_given_equal_weights_give_maximum_likelihood(seed):
    y, v = draw(seed)
    found = fit(y, v, weight=(1.0, 1.0))
    assert found.tau2 == pytest.approx(float(tau2_ml(y, v).tau2), rel=1e-6, abs=1e-9)
    w = 1 / (v + found.tau2)
    assert found.mean == pytest.approx(w @ y / w.sum(), rel=1e-8)


def test_a_smooth_weight_at_its_bound_gives_maximum_likelihood():
    y = np.array([-0.58, -0.18, 0.02, 0.15, 0.79, 0.21])
    v = np.array([0.0784, 0.0625, 0.0576, 0.1089, 0.2025, 0.09])
    found = fit_smooth(y, v, "half_normal", "less", common=False)
    assert found.weight.tolist() == [0.0]
    assert found.tau2 == pytest.approx(float(tau2_ml(y, v).tau2), rel=1e-6, abs=1e-9)
    w = 1 / (v + found.tau2)
    assert found.mean == pytest.approx(w @ y / w.sum(), rel=1e-6)
    assert np.isnan(found.covariance[2, 2])


def test_a_common_effect_has_no_spread_at_all():
    y, v = draw(2)
    found = fit(y, v, common=True)
    assert found.tau2 == 0.0
    assert np.isnan(found.covariance[1, 1])
    assert found.covariance[0, 0] > 0


def test_a_held_mean_is_where_it_was_held():
    y, v = draw(0)
    free = fit(y, v)
    held = fit(y, v, mean=free.mean + 0.05)
    assert held.mean == pytest.approx(free.mean + 0.05, rel=1e-12)
    assert held.log_likelihood < free.log_likelihood
    assert fit(y, v, mean=free.mean).log_likelihood == pytest.approx(free.log_likelihood, abs=1e-8)


def test_a_likelihood_without_a_maximum_does_not_converge():
    # barely significant results and two large ones: a tail that becomes exponential as the mean falls for ever
    y = np.array([0.205, 0.21, 0.22, 0.2, 0.23, 0.25, 0.9, 2.5])
    found = fit(y, np.full(8, 0.01), weight=(1.0, 0.0))
    assert not found.converged
    assert found.mean < -10


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), unit=st.floats(1e-3, 1e3))
def test_a_change_of_unit(seed, unit):
    y, v = draw(seed)
    here, there = fit(y, v), fit(unit * y, unit**2 * v)
    assert there.mean == pytest.approx(unit * here.mean, rel=1e-5, abs=1e-6 * unit)
    assert there.tau2 == pytest.approx(unit**2 * here.tau2, rel=1e-5, abs=1e-7 * unit**2)
    assert there.log_likelihood == pytest.approx(here.log_likelihood - y.size * math.log(unit), abs=1e-7)


@settings(max_examples=6)
@given(seed=st.integers(0, 10_000))
@pytest.mark.parametrize("form", ["half_normal", "negative_exponential"])
def test_the_mirror_image_has_the_mirror_image_of_the_mean(form, seed):
    y, v = draw(seed, k=15)
    one = fit_smooth(y, v, form, "greater", common=False)
    other = fit_smooth(-y, v, form, "less", common=False)
    assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-8)
    assert one.mean == pytest.approx(-other.mean, rel=1e-5, abs=1e-6)


def test_profile_limits_of_a_parabola_and_of_a_slope():
    def at(x):
        return np.asarray(x)

    found = profile_limits(lambda x, _: -2.0 * (x - 1.0) ** 2, at(1.0), at(0.0), 2.0, at(0.3))
    assert (float(found.lower), float(found.upper)) == pytest.approx((0.0, 2.0), abs=1e-7)
    open_end = profile_limits(lambda x, _: -np.maximum(x, 0.0), at(0.0), at(0.0), 1.0, at(0.1))
    assert float(open_end.lower) == -math.inf
    assert float(open_end.upper) == pytest.approx(1.0, abs=1e-7)


# --- many sets at once -------------------------------------------------------------------------------------


def compare(found, i, alone, *, inner=slice(None)):
    assert found.converged[i] == alone.converged
    assert found.log_likelihood[i] == pytest.approx(float(alone.log_likelihood), rel=1e-10, abs=1e-10)
    assert found.mean[i] == pytest.approx(float(alone.mean), rel=1e-6, abs=1e-7)
    assert found.tau2[i] == pytest.approx(float(alone.tau2), rel=1e-6, abs=1e-8)
    assert found.weight[i] == pytest.approx(alone.weight, rel=1e-5)
    np.testing.assert_allclose(found.covariance[i][inner], alone.covariance[inner], rtol=1e-4)


@pytest.mark.parametrize("common", [False, True])
def test_leaving_out_each_study_is_one_call(common):
    y, v = draw(1)
    k, cuts = y.size, segments((0.025,), "greater")
    interval = intervals_of(study_pvalues(y, v, "greater"), (0.025,))
    without = np.where(np.eye(k, dtype=bool), np.inf, v)
    found = fit_steps(y, without, interval, cuts, np.array([1.0, np.nan]), common=common)
    assert found.mean.shape == found.converged.shape == (k,)
    assert found.weight.shape == (k, 2)
    assert found.covariance.shape == (k, 4, 4)
    for i in (0, 7, k - 1):
        compare(found, i, fit(np.delete(y, i), np.delete(v, i), common=common))


def test_a_bootstrap_of_the_test_of_no_selection_is_two_calls():
    rng = np.random.default_rng(5)
    v = rng.uniform(0.1, 0.5, 20) ** 2
    y = rng.normal(0.3, np.sqrt(v + 0.02), (2, 15, 20))
    steps, cuts = (0.025, 0.5), segments((0.025, 0.5), "greater")
    interval = intervals_of(study_pvalues(y, v, "greater"), steps)
    n_in = (interval[..., None] == np.arange(3)).sum(-2)
    # an interval without a study has weight 0, and the first that has one is the reference
    weight = np.where(n_in > 0, np.nan, 0.0)
    np.put_along_axis(weight, (n_in > 0).argmax(-1)[..., None], 1.0, axis=-1)
    found = fit_steps(y, v, interval, cuts, weight, common=False)
    null = fit_steps(y, v, interval, cuts, np.ones(3), common=False)
    assert found.mean.shape == null.mean.shape == (2, 15)
    statistic = 2.0 * (found.log_likelihood - null.log_likelihood)
    assert (statistic[found.converged] > -1e-9).all()
    for i, j in ((0, 0), (0, 7), (1, 14)):
        alone = fit(y[i, j], v, steps=steps, weight=weight[i, j])
        compare(found, (i, j), alone)
        compare(null, (i, j), fit(y[i, j], v, steps=steps, weight=(1.0, 1.0, 1.0)))


def test_each_set_may_have_a_mean_of_its_own():
    y, v = draw(0)
    means = np.array([-0.2, 0.0, 0.3])
    cuts, interval = segments((0.025,), "greater"), intervals_of(study_pvalues(y, v, "greater"), (0.025,))
    found = fit_steps(y, v, interval, cuts, np.array([1.0, np.nan]), common=False, mean=means)
    assert found.mean == pytest.approx(means, rel=1e-12)
    for i, mean in enumerate(means):
        compare(found, i, fit(y, v, mean=mean))


@pytest.mark.parametrize("form", ["beta", "half_normal", "negative_exponential"])
def test_a_smooth_weight_of_many_sets(form):
    y, v = draw(3, k=14)
    without = np.where(np.eye(14, dtype=bool)[:4], np.inf, v)
    found = fit_smooth(y, without, form, "greater", common=False)
    for i in (0, 3):
        alone = fit_smooth(np.delete(y, i), np.delete(v, i), form, "greater", common=False)
        assert found.converged[i] == alone.converged
        assert found.log_likelihood[i] == pytest.approx(float(alone.log_likelihood), rel=1e-9)
        if alone.converged:
            assert found.mean[i] == pytest.approx(float(alone.mean), rel=1e-5, abs=1e-6)
