import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from netsynth.kernels.intervals import limits, two_sided_pvalue
from netsynth.kernels.robust import (
    ROBUST_METHODS,
    RobustMethod,
    cluster_robust,
    correlated_effects,
    hotelling_test,
)
from netsynth.kernels.tau2 import TAU2_ESTIMATORS

REFERENCES = Path(__file__).parents[1] / "references"
DATA = json.loads((REFERENCES / "robust.json").read_text(encoding="utf-8"))
FITS = [(data, name) for data in DATA for name in data["fits"]]
FIT_IDS = [f"{data['dataset']}-{data.get('rho', 'V')}-{name}" for data, name in FITS]
EFFECTS = [(data, fit) for data in DATA for fit in data.get("correlated_effects", [])]
EFFECT_IDS = [
    f"{d['dataset']}-{f['rho']}-{'small' if f['small'] else 'large'}-{f['mods']}" for d, f in EFFECTS
]


def together(cluster):
    return cluster[:, None] == cluster


def inputs(data, *, with_x):
    y, one = np.array(data["yi"]), np.ones(len(data["yi"]))
    cluster = np.unique(data["cluster"], return_inverse=True)[1]
    return y, cluster, np.column_stack([one, data["x"]]) if with_x else one[:, None]


def sampling_covariance(data, cluster):
    if "V" in data:
        return np.array(data["V"])
    s = np.sqrt(data["vi"])
    covariance = data["rho"] * np.outer(s, s) * together(cluster)
    covariance[np.diag_indices(s.size)] = data["vi"]
    return covariance


def by_dense_matrices(y, phi, cluster, x, method):
    """From the definitions, with k by k matrices, one cohort after the other."""
    phi = phi * together(cluster)
    k, p = x.shape
    w = np.linalg.inv(phi)
    c = np.linalg.inv(x.T @ w @ x)
    hat = x @ c @ x.T @ w
    e = y - hat @ y
    groups = [np.flatnonzero(cluster == i) for i in np.unique(cluster)]
    m = len(groups)
    meat, pulls = np.zeros((p, p)), []
    residual_covariance = (np.eye(k) - hat) @ phi @ (np.eye(k) - hat).T
    for group in groups:
        if method == "CR2":
            d = np.linalg.cholesky(phi[np.ix_(group, group)]).T
            b = d @ residual_covariance[np.ix_(group, group)] @ d.T
            a = d.T @ linalg.pinvh(linalg.sqrtm(b).real, rtol=1e-6) @ d
        else:
            factor = {"CR0": 1.0, "CR1": m / (m - 1), "CR1p": m / (m - p)}[method]
            a = factor**0.5 * np.eye(group.size)
        score = x[group].T @ w[np.ix_(group, group)] @ a
        meat += score @ np.outer(e[group], e[group]) @ score.T
        pull = np.zeros((k, p))
        pull[group] = (c @ score).T
        pulls.append((np.eye(k) - hat).T @ pull)
    df = np.empty(p)
    for j in range(p):
        vectors = np.column_stack([pull[:, j] for pull in pulls])
        spread = vectors.T @ phi @ vectors
        df[j] = np.trace(spread) ** 2 / (spread**2).sum()
    return c @ x.T @ w @ y, c @ meat @ c, df if method == "CR2" else np.full(p, m - p)


@st.composite
def clustered(draw):
    """Results of 4 to 7 cohorts, a working covariance for them, and a design with a covariate or not."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=4, max_size=7))
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    scale = np.exp(rng.uniform(-1.5, 1.5, cluster.size))
    root = rng.normal(size=(cluster.size, cluster.size + 3)) * scale[:, None]
    x = np.ones((cluster.size, 1))
    if draw(st.booleans()):
        x = np.column_stack([x, rng.normal(size=cluster.size)])
    return rng.normal(size=cluster.size) * scale, root @ root.T / 3 * together(cluster), cluster, x


def test_every_name_is_reachable():
    assert set(get_args(RobustMethod)) == set(ROBUST_METHODS)


# --- reference ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ROBUST_METHODS)
@pytest.mark.parametrize(("data", "name"), FITS, ids=FIT_IDS)
def test_reference_sandwich(data, name, method):
    fit = data["fits"][name]
    expected = fit[method]
    y, cluster, x = inputs(data, with_x=name.endswith("_x"))
    between, within = fit["sigma2"]  # the point where metafor stopped, so that closed forms are compared
    working = sampling_covariance(data, cluster) + between * together(cluster) + within * np.eye(y.size)
    robust = cluster_robust(y, working, cluster, x, method)
    np.testing.assert_allclose(robust.coefficient, np.atleast_1d(fit["beta"]), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(robust.covariance, np.atleast_2d(expected["vcov"]), rtol=1e-8)
    se = np.sqrt(np.diag(robust.covariance))
    np.testing.assert_allclose(se, np.atleast_1d(expected["se"]), rtol=1e-8)
    if method == "CR2":
        np.testing.assert_allclose(robust.df, np.atleast_1d(expected["df"]), rtol=1e-8)
    pvalue = two_sided_pvalue(robust.coefficient / se, robust.df)
    np.testing.assert_allclose(pvalue, np.atleast_1d(expected["p"]), rtol=1e-7)
    if method == "CR2" and "metafor" in fit:
        again = fit["metafor"]
        assert (se[0], robust.df[0], pvalue[0]) == pytest.approx(
            (again["se"], again["df"], again["pval"]), rel=1e-7
        )
        ends = np.ravel(limits(robust.coefficient, se, robust.df, 0.95))
        assert ends == pytest.approx(again["ci"], rel=1e-7)


@pytest.mark.parametrize(("data", "fit"), EFFECTS, ids=EFFECT_IDS)
def test_reference_correlated_effects(data, fit):
    y, cluster, x = inputs(data, with_x=fit["mods"])
    effects = correlated_effects(y, np.array(data["vi"]), cluster, x, fit["rho"])
    assert effects.tau2 == pytest.approx(fit["tau2"], rel=1e-8, abs=1e-14)
    robust = cluster_robust(y, np.diag(effects.variance), cluster, x, "CR2" if fit["small"] else "CR1p")
    se = np.sqrt(np.diag(robust.covariance))
    np.testing.assert_allclose(robust.coefficient, np.atleast_1d(fit["beta"]), rtol=1e-8)
    np.testing.assert_allclose(se, np.atleast_1d(fit["se"]), rtol=1e-8)
    np.testing.assert_allclose(robust.df, np.atleast_1d(fit["df"]), rtol=1e-8)
    np.testing.assert_allclose(
        two_sided_pvalue(robust.coefficient / se, robust.df), np.atleast_1d(fit["p"]), rtol=1e-6
    )
    ends = np.array(limits(robust.coefficient, se, robust.df, 0.95)).T
    np.testing.assert_allclose(ends, np.atleast_2d(fit["ci"]), rtol=1e-7)


# --- second implementation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ROBUST_METHODS)
@settings(deadline=None, max_examples=30)
@given(data=clustered())
def test_the_sandwich_by_dense_matrices(method, data):
    robust = cluster_robust(*data, method)
    coefficient, covariance, df = by_dense_matrices(*data, method)
    np.testing.assert_allclose(robust.coefficient, coefficient, rtol=1e-8, atol=1e-10)
    scale = np.abs(covariance).max()
    np.testing.assert_allclose(robust.covariance, covariance, rtol=1e-6, atol=1e-7 * scale)
    np.testing.assert_allclose(robust.df, df, rtol=1e-6)


@settings(deadline=None, max_examples=40)
@given(data=clustered(), rho=st.floats(0, 0.9))
def test_tau2_of_correlated_effects_solves_the_moment_equation(data, rho):
    y, phi, cluster, x = data
    v = np.diag(phi)
    size = together(cluster).sum(1)
    mean = np.array([v[cluster == i].mean() for i in cluster])
    w = np.diag(1 / (size * mean))
    p = w - w @ x @ np.linalg.inv(x.T @ w @ x) @ x.T @ w
    sampling = mean[:, None] * together(cluster) * (rho + (1 - rho) * np.eye(y.size))
    # E(y'Py) = tr(P Omega), linear in tau2
    expected = (y @ p @ y - np.trace(p @ sampling)) / np.trace(p @ together(cluster))
    effects = correlated_effects(y, v, cluster, x, rho)
    assert effects.tau2 == pytest.approx(max(expected, 0.0), rel=1e-7, abs=1e-10)
    assert effects.variance == pytest.approx(size * (mean + effects.tau2), rel=1e-12)


# --- properties --------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(data=clustered())
def test_cr2_is_unbiased_if_the_working_covariance_is_right(data):
    # E(e e') = Phi - X C X' makes the estimate linear in it: fed with its square roots it must add up to C
    _, phi, cluster, x = data
    c = np.linalg.inv(x.T @ np.linalg.inv(phi) @ x)
    root = np.linalg.cholesky(phi)  # columns z with sum z z' = Phi, each a set of results
    robust = cluster_robust(root.T, phi, cluster, x, "CR2")
    np.testing.assert_allclose(robust.covariance.sum(0), c, rtol=1e-7, atol=1e-9 * np.abs(c).max())


def test_variances_that_differ_a_billionfold_within_a_cohort_cost_few_digits():
    se = np.array([1e-4, 3.0, 0.2, 1e-3, 0.5, 2.0, 0.01, 0.7])
    cluster, x = np.array([0, 0, 0, 1, 1, 1, 2, 3]), np.ones((8, 1))
    phi = np.outer(se, se) * (0.3 * together(cluster) + 0.7 * np.eye(8))
    c = np.linalg.inv(x.T @ np.linalg.inv(phi) @ x)
    robust = cluster_robust(np.linalg.cholesky(phi).T, phi, cluster, x, "CR2")
    assert robust.covariance.sum(0)[0, 0] == pytest.approx(c[0, 0], rel=1e-6)


@pytest.mark.parametrize("method", ROBUST_METHODS)
def test_sets_are_handled_as_one_by_one(method):
    rng = np.random.default_rng(1)
    cluster = np.array([0, 0, 1, 2, 2, 2, 3, 4])
    y, x = rng.normal(size=(3, 2, 8)), np.column_stack([np.ones(8), np.arange(8.0)])
    phi = (np.eye(8) + 0.3) * rng.uniform(0.5, 2, size=(2, 1, 1))
    many = cluster_robust(y, phi, cluster, x, method)
    for i in range(3):
        for j in range(2):
            one = cluster_robust(y[i, j], phi[j], cluster, x, method)
            for got, expected in zip(many, one, strict=True):
                np.testing.assert_allclose(got[i, j], expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("method", ROBUST_METHODS)
def test_an_absent_result_is_one_that_is_not_there(method):
    rng = np.random.default_rng(2)
    cluster = np.array([0, 0, 1, 2, 2, 2, 3, 4])
    y, x = rng.normal(size=8), np.ones((8, 1))
    phi = np.diag(rng.uniform(0.5, 2, 8)) + 0.3 * together(cluster)
    for gone in ([1], [2], [3, 4, 5]):  # one of a cohort, a cohort of one, a whole cohort
        left = np.delete(np.arange(8), gone)
        absent = phi.copy()
        absent[gone, gone] = np.inf
        padded = cluster_robust(y, absent, cluster, x, method)
        dropped = cluster_robust(y[left], phi[np.ix_(left, left)], cluster[left], x[left], method)
        for got, expected in zip(padded, dropped, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-10)
    v = np.diag(phi).copy()
    v[3] = np.inf
    left = np.delete(np.arange(8), 3)
    some = correlated_effects(y, v, cluster, x, 0.5)
    fewer = correlated_effects(y[left], v[left], cluster[left], x[left], 0.5)
    assert some.tau2 == pytest.approx(fewer.tau2, rel=1e-12)
    np.testing.assert_allclose(some.variance[left], fewer.variance, rtol=1e-12)
    assert np.isinf(some.variance[3])


@given(data=clustered(), factor=st.floats(1e-6, 1e6), shift=st.floats(-1e3, 1e3))
@settings(deadline=None, max_examples=40)
def test_a_factor_scales_a_shift_moves_and_order_does_not_matter(data, factor, shift):
    y, phi, cluster, x = data
    order = np.argsort(-cluster, kind="stable")
    first = cluster_robust(y, phi, cluster, x)
    moved = cluster_robust(shift + factor * y[order], 7 * phi[np.ix_(order, order)], cluster[order], x[order])
    room = 1e-9 * (abs(shift) + factor)
    expected = factor * first.coefficient + np.array([shift, 0.0])[: x.shape[1]]
    np.testing.assert_allclose(moved.coefficient, expected, rtol=1e-8, atol=room)
    np.testing.assert_allclose(moved.df, first.df, rtol=1e-7)
    scale = factor**2 * np.abs(first.covariance).max()
    np.testing.assert_allclose(
        moved.covariance, factor**2 * first.covariance, rtol=1e-6, atol=1e-8 * scale + room**2
    )


def test_one_result_a_cohort_of_equal_weight_is_the_t_test():
    y = np.array([0.3, -0.1, 0.7, 0.2, 0.45])
    robust = cluster_robust(y, 0.2 * np.eye(5), np.arange(5), np.ones((5, 1)))
    assert robust.coefficient[0] == pytest.approx(y.mean())
    assert robust.covariance[0, 0] == pytest.approx(y.var(ddof=1) / 5)
    assert robust.df[0] == pytest.approx(4)


def test_one_result_a_cohort_has_the_tau2_of_dersimonian_and_laird():
    y, v = np.array([0.3, -0.1, 0.9, 0.2, -0.45]), np.array([0.02, 0.05, 0.01, 0.08, 0.03])
    effects = correlated_effects(y, v, np.arange(5), np.ones((5, 1)), 0.8)
    assert effects.tau2 == pytest.approx(float(TAU2_ESTIMATORS["DL"](y, v).tau2), rel=1e-12)


@pytest.mark.parametrize("method", ROBUST_METHODS)
def test_one_cohort_says_nothing_of_the_error(method):
    robust = cluster_robust(np.array([0.1, 0.4]), np.eye(2), np.zeros(2, dtype=int), np.ones((2, 1)), method)
    assert robust.coefficient[0] == pytest.approx(0.25)
    assert np.isnan(robust.covariance).all()
    assert np.isnan(robust.df).all()


def test_a_direction_without_residual_is_left_out():
    # the second column is one cohort's own level, so its mean has no residual: the pseudo-inverse
    cluster = np.array([0, 0, 1, 1, 2, 3, 4])
    x = np.column_stack([np.ones(7), cluster == 0])
    y = np.array([0.1, 0.5, 0.3, -0.2, 0.9, 0.4, -0.1])
    robust = cluster_robust(y, np.eye(7) + 0.2 * together(cluster), cluster, x)
    _, covariance, df = by_dense_matrices(y, np.eye(7) + 0.2 * together(cluster), cluster, x, "CR2")
    np.testing.assert_allclose(robust.covariance, covariance, rtol=1e-6)
    np.testing.assert_allclose(robust.df, df, rtol=1e-6)


# --- tests of several coefficients -------------------------------------------------------------------------


def regression(seed=2, m=9):
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(m), rng.integers(1, 5, m))
    k = cluster.size
    x = np.column_stack([np.ones(k), rng.normal(size=k), rng.normal(size=m)[cluster]])
    phi = np.diag(rng.uniform(0.2, 2.0, k)) + 0.3 * together(cluster)
    return rng.normal(size=k), phi, cluster, x


def eta_by_isserlis(phi, cluster, x, contrast):
    """Degrees of freedom from the variance of every entry of the normalised matrix, one cohort pair at a time."""
    phi = phi * together(cluster)
    k, q = cluster.size, len(contrast)
    w = np.linalg.inv(phi)
    c = np.linalg.inv(x.T @ w @ x)
    left = np.eye(k) - x @ c @ x.T @ w
    maps = []  # of the effects to the contribution of each cohort
    for i in np.unique(cluster):
        group = np.flatnonzero(cluster == i)
        block = np.ix_(group, group)
        d = np.linalg.cholesky(phi[block]).T
        b = d @ (left @ phi @ left.T)[block] @ d.T
        a = d.T @ linalg.pinvh(linalg.sqrtm(b).real, rtol=1e-6) @ d
        maps.append(contrast @ c @ x[group].T @ w[block] @ a @ left[group])
    omega = sum(z @ phi @ z.T for z in maps)
    half = np.linalg.inv(linalg.sqrtm(omega).real)
    maps = [half @ z for z in maps]
    total = 0.0
    for s in range(q):
        for t in range(q):
            for a in maps:
                for b in maps:
                    cov = a @ phi @ b.T
                    total += cov[s, s] * cov[t, t] + cov[s, t] * cov[t, s]
    return q * (q + 1) / total


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "contrast", [np.eye(3)[1:], np.eye(3), np.array([[0.0, 1.0, -1.0], [1.0, 2.0, 0.0]])]
)
def test_hotelling_by_the_variance_of_each_entry(seed, contrast):
    data = regression(seed)
    _, phi, cluster, x = data
    q = len(contrast)
    found = hotelling_test(*data, contrast)
    eta = eta_by_isserlis(phi, cluster, x, contrast)
    assert float(found.df_residual) == pytest.approx(eta - q + 1, rel=1e-8)
    assert float(found.df) == q
    beta, v, _ = by_dense_matrices(*data, "CR2")
    value = contrast @ beta
    wald = value @ np.linalg.inv(contrast @ v @ contrast.T) @ value
    assert float(found.statistic) == pytest.approx((eta - q + 1) / (eta * q) * wald, rel=1e-8)


@settings(deadline=None, max_examples=30)
@given(data=clustered())
def test_one_contrast_has_satterthwaites_degrees_of_freedom(data):
    fit = cluster_robust(*data, "CR2")
    for j in range(data[3].shape[1]):
        found = hotelling_test(*data, np.eye(data[3].shape[1])[[j]])
        if np.isfinite(fit.df[j]) and fit.covariance[j, j] > 0:
            assert float(found.df_residual) == pytest.approx(fit.df[j], rel=1e-6)
            t = fit.coefficient[j] ** 2 / fit.covariance[j, j]
            assert float(found.statistic) == pytest.approx(t, rel=1e-6)


def test_it_does_not_matter_in_which_words_the_same_is_asked():
    data, contrast = regression(), np.eye(3)[1:]
    first = hotelling_test(*data, contrast)
    second = hotelling_test(*data, np.array([[2.0, 1.0], [-1.0, 300.0]]) @ contrast)
    assert float(second.statistic) == pytest.approx(float(first.statistic), rel=1e-9)
    assert float(second.df_residual) == pytest.approx(float(first.df_residual), rel=1e-9)


def test_hotelling_of_many_sets_that_lack_results():
    y, phi, cluster, x = regression()
    absent = np.stack([np.zeros(y.size, dtype=bool), cluster == 3, np.arange(y.size) % 5 == 0])
    working = np.where(np.eye(y.size, dtype=bool) & absent[:, :, None], np.inf, phi)
    found = hotelling_test(np.where(absent, np.nan, y), working, cluster, x, np.eye(3)[1:])
    for i in range(3):
        here = ~absent[i]
        alone = hotelling_test(y[here], phi[np.ix_(here, here)], cluster[here], x[here], np.eye(3)[1:])
        assert found.statistic[i] == pytest.approx(float(alone.statistic), rel=1e-9)
        assert found.df_residual[i] == pytest.approx(float(alone.df_residual), rel=1e-9)


def test_without_degrees_of_freedom_hotellings_test_is_undefined():
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(3), 2)
    x = np.column_stack([np.ones(6), cluster == 1, cluster == 2])
    found = hotelling_test(rng.normal(size=6), np.eye(6), cluster, x, np.eye(3)[1:])
    assert np.isnan([float(found.statistic), float(found.df_residual)]).all()
    # no more cohorts than coefficients, though residuals are left in each
    data = (
        rng.normal(size=8),
        np.eye(8),
        np.repeat([0, 1], 4),
        np.column_stack([np.ones(8), rng.normal(size=8)]),
    )
    assert np.isnan(cluster_robust(*data, "CR2").df).all()
    assert np.isnan(float(hotelling_test(*data, np.eye(2)[1:]).df_residual))
