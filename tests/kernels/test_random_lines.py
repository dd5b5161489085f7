import numpy as np
import pytest
from scipy import linalg, optimize, stats

from netsynth.kernels.multilevel import fit_three_level, nest
from netsynth.kernels.multivariate import derivatives_of
from netsynth.kernels.random_lines import (
    fit_lines,
    line_log_likelihood,
    psi_of_lines,
    reduced,
)


def random_studies(seed, k=8, m=4, q=3, r=2, between=1.0):
    """Studies with one to m results, correlated sampling errors, and a random line behind them."""
    rng = np.random.default_rng(seed)
    here = np.arange(m) < rng.integers(1, m + 1, k)[:, None]
    time = rng.normal(size=(k, m))
    z = np.stack([np.ones((k, m)), time], axis=-1)[..., :r]
    x = np.stack([np.ones((k, m)), time, time**2, rng.normal(size=(k, m))], axis=-1)[..., :q]
    a = rng.normal(size=(k, m, m + 1))
    v = 0.3 * a @ a.swapaxes(-1, -2) / m + 0.05 * np.eye(m)
    deviation = between * rng.normal(size=(k, r)) @ np.array([[0.7, 0.2], [0.0, 0.5]])[:r, :r]
    y = x.sum(-1) + (z @ deviation[..., None])[..., 0]
    y += np.einsum("kab,kb->ka", np.linalg.cholesky(v), rng.normal(size=(k, m)))
    return y, v, x, z, here


def turned(y, v, x, z, here):
    """Such studies reduced, by the root of each study's covariance."""
    white = [np.zeros_like(x), np.zeros_like(z), np.zeros((*y.shape, 1))]
    log_det = 0.0
    for i, row in enumerate(here):
        root = np.linalg.cholesky(v[i][np.ix_(row, row)])
        log_det += 2 * np.log(np.diag(root)).sum()
        for out, part in zip(white, (x, z, y[..., None]), strict=True):
            out[i, row] = linalg.solve_triangular(root, part[i, row], lower=True)
    return reduced(white[0], white[1], white[2][..., 0], log_det, x * here[..., None])


def dense(y, v, x, z, here, psi):
    """One vector, one covariance and one design."""
    sigma = linalg.block_diag(*[(v[i] + z[i] @ psi @ z[i].T)[np.ix_(row, row)] for i, row in enumerate(here)])
    return y[here], sigma, x[here]


def dense_height(studies, psi, restricted):
    vector, sigma, design = dense(*studies, psi)
    if restricted:
        free = linalg.null_space(design.T)
        centre, spread = np.zeros(free.shape[1]), free.T @ sigma @ free
        return stats.multivariate_normal(centre, spread).logpdf(free.T @ vector)
    inverse = np.linalg.inv(sigma)
    beta = np.linalg.solve(design.T @ inverse @ design, design.T @ inverse @ vector)
    return stats.multivariate_normal(design @ beta, sigma).logpdf(vector)


PSI = [np.array([[0.5, 0.1], [0.1, 0.3]]), np.array([[1.0, 2.0], [2.0, 4.0]]), np.zeros((2, 2))]


@pytest.mark.parametrize("psi", PSI, ids=["regular", "singular", "zero"])
@pytest.mark.parametrize("r", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_a_fit_is_that_of_one_long_regression(seed, r, psi):
    studies = random_studies(seed, r=r)
    psi = psi[:r, :r]
    vector, sigma, design = dense(*studies, psi)
    inverse = np.linalg.inv(sigma)
    covariance = np.linalg.inv(design.T @ inverse @ design)
    beta = covariance @ design.T @ inverse @ vector
    data = turned(*studies)
    found = fit_lines(data, psi)
    np.testing.assert_allclose(found.coefficient, beta, rtol=1e-9)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-9)
    residual = vector - design @ beta
    assert found.q == pytest.approx(residual @ inverse @ residual, rel=1e-9)
    assert found.log_det == pytest.approx(np.linalg.slogdet(sigma)[1], rel=1e-9)
    for restricted in (False, True):
        height = line_log_likelihood(data, found, restricted=restricted)
        assert height == pytest.approx(dense_height(studies, psi, restricted), rel=1e-9)
    every_z = linalg.block_diag(*[studies[3][i][row] for i, row in enumerate(studies[4])])
    effect = np.kron(np.eye(8), psi) @ every_z.T @ inverse @ residual
    np.testing.assert_allclose(found.effect.ravel(), effect, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_derivatives_are_those_of_differences(seed, restricted):
    studies = random_studies(seed)
    data, psi = turned(*studies), PSI[0]
    fit = fit_lines(data, psi)
    slope, second = derivatives_of(fit.w, fit.u, fit.c, restricted=restricted)
    rng = np.random.default_rng(seed)
    a, b = ((m + m.T) / 2 for m in rng.normal(size=(2, 2, 2)))

    def height(t, u):
        return dense_height(studies, psi + t * a + u * b, restricted)

    h = 1e-3
    first = (height(h / 10, 0) - height(-h / 10, 0)) / (0.2 * h)
    assert (slope * a).sum() == pytest.approx(first, rel=1e-5, abs=1e-6)
    mixed = (height(h, h) - height(h, -h) - height(-h, h) + height(-h, -h)) / (4 * h * h)
    assert a.ravel() @ second @ b.ravel() == pytest.approx(mixed, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize("r", [1, 2])
@pytest.mark.parametrize("seed", range(6))
def test_no_search_without_derivatives_gets_higher(seed, r, restricted):
    studies = random_studies(seed, r=r, between=(0.0, 0.3, 1.0)[seed % 3])
    data = turned(*studies)
    psi, arrived = psi_of_lines(data, restricted=restricted)
    assert arrived
    reached = dense_height(studies, psi, restricted)

    def depth(theta):
        root = np.zeros((r, r))
        root[np.tril_indices(r)] = theta
        return -dense_height(studies, root @ root.T, restricted)

    rng = np.random.default_rng(seed)
    best = -min(
        optimize.minimize(depth, rng.normal(size=r * (r + 1) // 2), method="Nelder-Mead").fun
        for _ in range(6)
    )
    assert reached >= best - 1e-9
    assert reached == pytest.approx(best, abs=1e-4)
    again, arrived = psi_of_lines(data, restricted=restricted, start=1.3 * psi)
    assert arrived
    assert dense_height(studies, again, restricted) == pytest.approx(reached, abs=1e-7)


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("seed", range(4))
def test_one_random_effect_is_the_three_level_model_without_its_inner_level(seed, method):
    y, v, x, _, here = studies = random_studies(seed, r=1)
    data = turned(*studies)
    psi, _ = psi_of_lines(data, restricted=method == "REML")
    rows, cohort = here.ravel(), np.repeat(np.arange(len(y)), y.shape[1])
    whole = linalg.block_diag(*v)[np.ix_(rows, rows)]
    nested = nest(y[here], whole, cohort[rows], x[here])
    expected = fit_three_level(nested, method, within=0.0)
    assert psi[0, 0] == pytest.approx(float(expected.between), rel=1e-6, abs=1e-8)
    fit = fit_lines(data, psi)
    np.testing.assert_allclose(fit.coefficient, expected.coefficient, rtol=1e-6)
    height = line_log_likelihood(data, fit, restricted=method == "REML")
    assert height == pytest.approx(float(expected.log_likelihood), rel=1e-9)


def test_the_unit_of_time_does_not_matter():
    y, v, x, z, here = random_studies(3)
    psi, _ = psi_of_lines(turned(y, v, x, z, here), restricted=True)
    unit = np.array([1.0, 50.0])
    again, _ = psi_of_lines(turned(y, v, x, z * unit, here), restricted=True)
    np.testing.assert_allclose(again * np.outer(unit, unit), psi, rtol=1e-6)
