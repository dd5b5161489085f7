import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from netsynth.kernels.heterogeneity import q_statistic, weighted_mean
from netsynth.kernels.multilevel import fit_three_level, nest, profile_limits
from netsynth.kernels.tau2 import TAU2_ESTIMATORS

REFERENCES = Path(__file__).parents[1] / "references"
DATA = json.loads((REFERENCES / "multilevel.json").read_text(encoding="utf-8"))
FITS = [(data, name) for data in DATA for name in data["fits"]]
FIT_IDS = [f"{data['dataset']}-{data.get('rho', 'V')}-{name}" for data, name in FITS]
PROFILES = [(data, name) for data, name in FITS if "profile" in data["fits"][name]]
PROFILE_IDS = [f"{data['dataset']}-{data.get('rho', 'V')}-{name}" for data, name in PROFILES]


def blocks(variance, cluster, rho):
    """Compound-symmetric covariance within cohorts, entry by entry."""
    v = np.asarray(variance)
    covariance = np.diag(v.astype(float))
    for i in range(v.size):
        for j in range(v.size):
            if i != j and cluster[i] == cluster[j]:
                covariance[i, j] = rho * (v[i] * v[j]) ** 0.5
    return covariance


def inputs(data, name):
    y = np.array(data["yi"])
    cluster = np.unique(data["cluster"], return_inverse=True)[1]
    v = np.array(data["V"]) if "V" in data else blocks(data["vi"], cluster, data["rho"])
    one = np.ones(y.size)
    design = np.column_stack([one, data["x"]]) if name.endswith("_x") else one[:, None]
    return y, v, cluster, design


def log_likelihood(y, v, cluster, design, between, within, method):
    """By dense matrices, with all constants."""
    k, p = design.shape
    m = v * (cluster[:, None] == cluster) + between * (cluster[:, None] == cluster) + within * np.eye(k)
    w = np.linalg.inv(m)
    beta = np.linalg.solve(design.T @ w @ design, design.T @ w @ y)
    r = y - design @ beta
    value = -0.5 * (np.linalg.slogdet(m)[1] + r @ w @ r)
    if method == "ML":
        return value - 0.5 * k * np.log(2 * np.pi)
    value -= 0.5 * np.linalg.slogdet(design.T @ w @ design)[1]
    return value + 0.5 * np.linalg.slogdet(design.T @ design)[1] - 0.5 * (k - p) * np.log(2 * np.pi)


@st.composite
def nested(draw, max_clusters=6, max_size=4, spread=4.0):
    """Results within cohorts, with correlated sampling errors, agreeing or not."""
    m = draw(st.integers(2, max_clusters))
    sizes = draw(st.lists(st.integers(1, max_size), min_size=m, max_size=m))
    cluster = np.repeat(np.arange(m), sizes)
    k = cluster.size
    log_v = draw(st.lists(st.floats(-spread, 1), min_size=k, max_size=k))
    rho = draw(st.sampled_from([0.0, 0.3, 0.8]))
    between, within = draw(st.tuples(*[st.sampled_from([0.0, 0.1, 1.0, 20.0])] * 2))
    z = np.array(draw(st.lists(st.floats(-3, 3), min_size=k, max_size=k)))
    b = np.array(draw(st.lists(st.floats(-3, 3), min_size=m, max_size=m)))
    v = blocks(np.exp(log_v), cluster, rho)
    y = between**0.5 * b[cluster] + np.sqrt(np.diag(v) + within) * z
    return y, v, cluster, np.ones((k, 1))


# --- published ---------------------------------------------------------------------------------------------


def dataset(name, rho=0):
    return next(data for data in DATA if data["dataset"] == name and data.get("rho") == rho)


def test_published_school_calendars():
    # Konstantopoulos (2011), https://doi.org/10.1002/jrsm.35, schools in districts, as the documentation of
    # metafor prints it: estimate 0.1847, variances 0.0651 and 0.0327.
    fit = fit_three_level(nest(*inputs(dataset("konstantopoulos2011"), "REML")), "REML")
    assert (fit.coefficient[0], fit.between, fit.within) == pytest.approx(
        (0.1847, 0.0651, 0.0327), abs=5.1e-5
    )


def test_published_grant_reviews():
    # Bornmann, Mutz & Daniel (2007), the example of Cheung (2014), https://doi.org/10.1037/a0032968. By structural
    # equations metaSEM prints -0.1007784 and 0.0037965 within, from log odds ratios rounded on the way.
    fit = fit_three_level(nest(*inputs(dataset("bornmann2007"), "ML")), "ML")
    assert (fit.coefficient[0], fit.within) == pytest.approx((-0.1007784, 0.0037965), abs=2e-6)


# --- reference ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("data", "name"), FITS, ids=FIT_IDS)
def test_reference_fit(data, name):
    expected, method = data["fits"][name], name.removesuffix("_x")
    turned = nest(*inputs(data, name))
    fit = fit_three_level(turned, method)
    assert fit.converged
    # metafor stops at a distance of its own: judge by the height
    assert fit.log_likelihood == pytest.approx(expected["ll"], rel=1e-9, abs=1e-9)
    assert fit.log_likelihood >= expected["ll"] - 1e-11 * (1 + abs(expected["ll"]))
    unit = max(expected["sigma2"])
    assert [fit.between, fit.within] == pytest.approx(expected["sigma2"], rel=1e-5, abs=1e-5 * unit)
    assert fit.coefficient == pytest.approx(np.atleast_1d(expected["beta"]), rel=1e-5, abs=1e-7)
    assert fit.covariance == pytest.approx(np.atleast_2d(expected["vb"]), rel=1e-5, abs=1e-8)
    for held, key in (("between", "ll_no_between"), ("within", "ll_no_within")):
        restricted = fit_three_level(turned, method, **{held: 0.0})
        assert getattr(restricted, held) == 0.0
        assert restricted.log_likelihood == pytest.approx(expected[key], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("data", "name"), PROFILES, ids=PROFILE_IDS)
def test_reference_profile_limits(data, name):
    turned = nest(*inputs(data, name))
    fit = fit_three_level(turned, name)
    for component, expected in data["fits"][name]["profile"].items():
        limits = profile_limits(turned, fit, name, component, 0.95)
        assert (limits.lower, limits.upper) == pytest.approx(expected, rel=1e-6, abs=1e-9)


# --- second implementation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["REML", "ML"])
@settings(deadline=None, max_examples=60)
@given(data=nested())
def test_the_maximum_is_one_by_dense_matrices(method, data):
    fit = fit_three_level(nest(*data), method)
    at = log_likelihood(*data, fit.between, fit.within, method)
    assert fit.log_likelihood == pytest.approx(at, rel=1e-9, abs=1e-9)
    assert fit.converged
    unit = np.diag(data[1]).min()
    places = unit * np.concatenate([[0.0], np.geomspace(0.01, 1e6, 25)])
    heights = [log_likelihood(*data, b, w, method) for b in places for w in places]
    assert at >= max(heights) - 1e-8 * (1 + abs(at))


@settings(deadline=None, max_examples=25)
@given(data=nested(), method=st.sampled_from(["REML", "ML"]))
def test_no_other_optimiser_finds_a_higher_place(data, method):
    def depth(logs):
        return -log_likelihood(*data, *np.exp(logs), method)

    scale = np.log(np.diag(data[1]).mean())
    starts = [(scale + a, scale + b) for a in (-3.0, 2.0) for b in (-3.0, 2.0)]
    others = [-optimize.minimize(depth, start, method="Nelder-Mead").fun for start in starts]
    fit = fit_three_level(nest(*data), method)
    assert fit.log_likelihood >= max(others) - 1e-9 * (1 + abs(max(others)))


@settings(deadline=None, max_examples=15)
@given(data=nested(max_clusters=5, max_size=3, spread=2.0), method=st.sampled_from(["REML", "ML"]))
def test_profile_limits_are_where_the_deviance_is_the_quantile(data, method):
    turned = nest(*data)
    fit = fit_three_level(turned, method)
    for component, other in (("between", "within"), ("within", "between")):
        limits = profile_limits(turned, fit, method, component, 0.9)
        for end in (float(limits.lower), float(limits.upper)):

            def depth(log_other, end=end, component=component, other=other):
                return -log_likelihood(
                    *data, **{component: end, other: float(np.exp(log_other))}, method=method
                )

            grid = np.concatenate([[-700.0], np.linspace(-15, 12, 150)])
            best = min(depth(x) for x in grid)
            start = grid[np.argmin([depth(x) for x in grid])]
            best = min(best, optimize.minimize_scalar(depth, (start - 0.2, start + 0.2)).fun)
            deviance = 2 * (fit.log_likelihood + best)
            if end == 0:
                assert deviance <= stats.chi2.isf(0.1, 1) + 1e-6
            else:
                assert deviance == pytest.approx(stats.chi2.isf(0.1, 1), abs=1e-4)


# --- properties --------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(data=nested(max_size=1))
def test_one_result_a_cohort_is_the_random_effects_model(data):
    y, v, _, _ = data
    fit = fit_three_level(nest(*data), "REML")
    assert fit.within == 0.0  # the sum alone is known, and it is given as the variance between
    tau2 = TAU2_ESTIMATORS["REML"](y, np.diag(v)).tau2
    mean = weighted_mean(y, np.diag(v) + tau2)
    assert fit.between == pytest.approx(float(tau2), rel=1e-6, abs=1e-9 * np.diag(v).min())
    assert fit.coefficient[0] == pytest.approx(float(mean.mean), rel=1e-6, abs=1e-9)
    assert fit.covariance[0, 0] == pytest.approx(float(mean.variance), rel=1e-6)


@settings(deadline=None, max_examples=40)
@given(data=nested(), shift=st.floats(-100, 100), factor=st.floats(0.01, 100), seed=st.integers(0, 9))
def test_a_shift_does_nothing_a_factor_scales_and_order_does_not_matter(data, shift, factor, seed):
    y, v, cluster, design = data
    order = np.random.default_rng(seed).permutation(y.size)
    moved = shift + factor * y[order], factor**2 * v[np.ix_(order, order)], -cluster[order], design
    first, second = (fit_three_level(nest(*each), "REML") for each in (data, moved))
    # a flat top is found where rounding says: judge by the height
    constant = (y.size - 1) * np.log(factor)
    assert second.log_likelihood + constant == pytest.approx(first.log_likelihood, rel=1e-7, abs=1e-7)
    height = log_likelihood(*data, second.between / factor**2, second.within / factor**2, "REML")
    assert height == pytest.approx(first.log_likelihood, rel=1e-7, abs=1e-7)


def test_held_variances_give_generalised_least_squares():
    y, v, cluster, design = inputs(dataset("assink2016", 0.6), "REML_x")
    fit = fit_three_level(nest(y, v, cluster, design), "REML", between=0.3, within=0.2)
    w = np.linalg.inv(v + 0.3 * (cluster[:, None] == cluster) + 0.2 * np.eye(y.size))
    cov = np.linalg.inv(design.T @ w @ design)
    assert (fit.between, fit.within) == pytest.approx((0.3, 0.2), rel=1e-14)
    assert fit.coefficient == pytest.approx(cov @ design.T @ w @ y, rel=1e-11)
    assert fit.covariance == pytest.approx(cov, rel=1e-11)


def test_without_heterogeneity_the_quadratic_form_is_cochrans_q():
    y, v, cluster, design = inputs(dataset("konstantopoulos2011"), "ML")
    fit = fit_three_level(nest(y, v, cluster, design), "ML", between=0.0, within=0.0)
    q = q_statistic(y, np.diag(v))
    constant = -0.5 * (y.size * np.log(2 * np.pi) + np.log(np.diag(v)).sum())
    assert fit.log_likelihood == pytest.approx(float(constant - 0.5 * q), rel=1e-12)


def test_two_maxima_are_told_apart_by_height():
    # two precise cohorts far apart and many imprecise ones that agree: a ridge at the boundary, and one inside
    y = np.array([0.0, 0.1, 6.0, 6.1, 3.0, 3.05, 2.95, 3.0, 3.1, 2.9])
    v = np.diag([0.04, 0.04, 0.04, 0.04, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0])
    cluster = np.repeat(np.arange(5), 2)
    data = y, v, cluster, np.ones((10, 1))
    fit = fit_three_level(nest(*data), "ML")
    places = np.concatenate([[0.0], np.geomspace(1e-4, 1e4, 120)])
    heights = [log_likelihood(*data, b, w, "ML") for b in places for w in places]
    assert fit.log_likelihood >= max(heights)


def test_a_cohort_a_million_times_as_precise_costs_no_digits():
    y = np.array([0.5, 0.5004, 0.1, 0.9, 0.3, 0.8])
    v = np.diag([1e-8, 1e-8, 0.04, 0.02, 0.05, 0.03])
    data = y, v, np.array([0, 0, 1, 1, 2, 2]), np.ones((6, 1))
    fit = fit_three_level(nest(*data), "REML")
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(
        log_likelihood(*data, fit.between, fit.within, "REML"), rel=1e-9
    )
    scan = np.concatenate([[0.0], np.geomspace(1e-9, 10, 100)])
    assert fit.log_likelihood >= max(log_likelihood(*data, b, w, "REML") for b in scan for w in scan)


# --- many sets at once -------------------------------------------------------------------------------------


def lacking(v, absent):
    """Covariances of sets that lack the results marked, one row of marks a set."""
    return np.where(np.eye(v.shape[-1], dtype=bool) & absent[:, :, None], np.inf, v)


@settings(deadline=None, max_examples=30)
@given(data=nested(), seed=st.integers(0, 10**6), method=st.sampled_from(["REML", "ML"]))
def test_a_set_that_lacks_results_is_a_smaller_set(data, seed, method):
    y, v, cluster, design = data
    rng = np.random.default_rng(seed)
    absent = rng.uniform(size=(5, y.size)) < 0.3
    absent[0] = False
    absent[1] = cluster == cluster[-1]
    several = [np.unique(cluster[~gone]).size > 1 for gone in absent]
    estimates = np.where(absent, np.nan, y + rng.normal(size=absent.shape))
    fits = fit_three_level(nest(estimates, lacking(v, absent), cluster, design), method)
    for i in np.flatnonzero(several):
        here = ~absent[i]
        part = estimates[i][here], v[np.ix_(here, here)], cluster[here], design[here]
        alone = fit_three_level(nest(*part), method)
        assert fits.converged[i]
        assert fits.log_likelihood[i] == pytest.approx(float(alone.log_likelihood), rel=1e-9, abs=1e-9)
        at = log_likelihood(*part, fits.between[i], fits.within[i], method)
        assert fits.log_likelihood[i] == pytest.approx(at, rel=1e-9, abs=1e-9)
        sure = fits.between[i] == pytest.approx(float(alone.between), rel=1e-5, abs=1e-9)
        if sure:  # of two equal heights either may be found
            assert fits.coefficient[i] == pytest.approx(alone.coefficient, rel=1e-5, abs=1e-8)
            assert fits.covariance[i] == pytest.approx(alone.covariance, rel=1e-5)


def test_sets_may_have_any_leading_axes_and_share_what_they_like():
    y, v, cluster, design = inputs(dataset("assink2016", 0.6), "REML_x")
    shift = np.array([[[0.0], [0.1], [1.0]], [[0.2], [0.3], [0.5]]])
    x = np.stack([design, design * [1.0, 2.0]])[:, None]
    fits = fit_three_level(nest(y + shift * np.sin(np.arange(y.size)), v, cluster, x), "ML")
    assert fits.between.shape == fits.log_likelihood.shape == fits.converged.shape == (2, 3)
    assert fits.coefficient.shape == (2, 3, 2)
    assert fits.covariance.shape == (2, 3, 2, 2)
    for i in range(2):
        for j in range(3):
            moved = y + shift[i, j] * np.sin(np.arange(y.size))
            alone = fit_three_level(nest(moved, v, cluster, x[i, 0]), "ML")
            for name in ("between", "within", "coefficient", "covariance", "log_likelihood"):
                assert getattr(fits, name)[i, j] == pytest.approx(getattr(alone, name), rel=1e-7, abs=1e-12)


def test_each_set_may_have_its_own_covariance_and_given_variance():
    y, v, cluster, design = inputs(dataset("konstantopoulos2011"), "REML")
    held = np.array([0.0, 0.01, 0.2])
    turned = nest(y, v, cluster, design)
    fits = fit_three_level(turned, "REML", within=held)
    assert fits.within.tolist() == pytest.approx(held.tolist(), rel=1e-14)
    for i, value in enumerate(held):
        alone = fit_three_level(turned, "REML", within=value)
        assert fits.between[i] == pytest.approx(float(alone.between), rel=1e-8)
    fits = fit_three_level(nest(y, np.stack([v, blocks(np.diag(v), cluster, 0.5)]), cluster, design), "REML")
    for i, rho in enumerate((0, 0.5)):
        expected = dataset("konstantopoulos2011", rho)["fits"]["REML"]
        assert fits.log_likelihood[i] == pytest.approx(expected["ll"], rel=1e-9)


def test_profile_limits_of_many_sets():
    y, v, cluster, design = inputs(dataset("konstantopoulos2011"), "REML")
    absent = cluster == np.arange(11)[:, None]
    turned = nest(y, lacking(v, absent), cluster, design)
    fits = fit_three_level(turned, "REML")
    for component in ("between", "within"):
        limits = profile_limits(turned, fits, "REML", component, 0.95)
        for i in (0, 3, 8):
            here = ~absent[i]
            alone = nest(y[here], v[np.ix_(here, here)], cluster[here], design[here])
            single = profile_limits(alone, fit_three_level(alone, "REML"), "REML", component, 0.95)
            assert (limits.lower[i], limits.upper[i]) == pytest.approx(
                (float(single.lower), float(single.upper)), rel=1e-8
            )


def test_a_set_that_does_not_determine_the_coefficients_is_undefined():
    y, v, cluster, _ = inputs(dataset("konstantopoulos2011"), "REML")
    design = np.column_stack([np.ones(y.size), cluster == 2])
    absent = cluster == np.array([[2], [3]])
    turned = nest(y, lacking(v, absent), cluster, design)
    fits = fit_three_level(turned, "REML")
    assert fits.converged.tolist() == [False, True]
    assert np.isnan([fits.between[0], fits.within[0], fits.log_likelihood[0], *fits.coefficient[0]]).all()
    assert np.isfinite([fits.between[1], fits.log_likelihood[1], *fits.coefficient[1]]).all()
    limits = profile_limits(turned, fits, "REML", "within", 0.95)
    assert np.isnan(limits.upper).tolist() == [True, False]
    none = fit_three_level(nest(y, lacking(v, np.ones((1, y.size), dtype=bool)), cluster, design), "ML")
    assert np.isnan(none.between).all()
    assert not none.converged.any()


def test_what_a_set_cannot_tell_apart_is_given_by_convention():
    y, v, cluster, design = inputs(dataset("konstantopoulos2011"), "REML")
    first = np.unique(cluster, return_index=True)[1]
    alone, singles = cluster != 0, ~np.isin(np.arange(y.size), first)
    fits = fit_three_level(nest(y, lacking(v, np.stack([alone, singles])), cluster, design), "REML")
    assert fits.between[0] == 0.0
    assert fits.within[1] == 0.0
    assert fits.within[0] == pytest.approx(
        float(TAU2_ESTIMATORS["REML"](y[~alone], np.diag(v)[~alone]).tau2), rel=1e-6, abs=1e-9
    )
    assert fits.between[1] == pytest.approx(
        float(TAU2_ESTIMATORS["REML"](y[first], np.diag(v)[first]).tau2), rel=1e-6
    )


def test_small_variances_lose_nothing_beside_what_is_not_there():
    # the place of a missing result must not dwarf variances of 1e-10
    y, v, cluster, design = inputs(dataset("assink2016", 0.6), "REML")
    absent = np.arange(y.size)[None] % 7 == 0
    fits = fit_three_level(nest(1e-5 * y, lacking(1e-10 * v, absent), cluster, design), "REML")
    here = ~absent[0]
    alone = fit_three_level(nest(y[here], v[np.ix_(here, here)], cluster[here], design[here]), "REML")
    assert fits.between[0] == pytest.approx(1e-10 * float(alone.between), rel=1e-8)
    assert fits.within[0] == pytest.approx(1e-10 * float(alone.within), rel=1e-8)
