import json
from pathlib import Path

import numpy as np
import pytest
from scipy import linalg, stats

from netsynth.kernels import multivariate
from netsynth.kernels.multivariate import (
    ellipse,
    gls,
    intercepts,
    is_singular,
    log_likelihood,
    n_observed,
    separate,
    spread_of,
    study_effects,
    within_covariance,
)

REFERENCES = Path(__file__).parents[1] / "references"
MULTIVARIATE = json.loads((REFERENCES / "multivariate.json").read_text(encoding="utf-8"))
#: Fits of which the output has the covariance between studies, so that all else is a closed form of it.
KNOWN = [fit for fit in MULTIVARIATE["fits"] if fit["output"].get("G") or fit["output"].get("Psi")]


def data_of(fit):
    data = MULTIVARIATE["data"][fit["data"]]
    y, s = np.array(data["estimate"], float), np.array(data["covariance"], float)
    s[np.isnan(y)[:, :, None] * np.eye(y.shape[1], dtype=bool)] = np.inf
    x = intercepts(*y.shape)
    if fit["moderated"]:
        x = np.concatenate([x, np.array(data["moderator"])[:, None, None] * np.eye(y.shape[1])], axis=-1)
    return np.nan_to_num(y), s, x


def random_sets(seed, k=6, p=3, *, n=None, slopes=True):
    """Studies that lack some outcomes, with anything where they do."""
    rng = np.random.default_rng(seed)
    lead = () if n is None else (n,)
    a = rng.normal(size=(*lead, k, p, p + 2))
    s = a @ a.swapaxes(-1, -2) / p + 0.1 * np.eye(p)
    y = rng.normal(size=(*lead, k, p))
    x = np.broadcast_to(np.eye(p), (*lead, k, p, p))
    if slopes:
        x = np.concatenate([x, rng.normal(size=(*lead, k, 1, 1)) * np.eye(p)], axis=-1)
    missing = rng.random((*lead, k, p)) < 0.25
    missing[..., :3, :] = False
    s[missing[..., None] * np.eye(p, dtype=bool)] = np.inf
    y[missing] = 1e6
    b = rng.normal(size=(*lead, p, p))
    return y, s, x, b @ b.swapaxes(-1, -2) / p


def stacked(y, s, x, psi):
    """One vector, one covariance and one design of all that was observed."""
    rows = [np.isfinite(np.diag(each)) for each in s]
    vector = np.concatenate([a[r] for a, r in zip(y, rows, strict=True)])
    sigma = linalg.block_diag(*[(a + psi)[np.ix_(r, r)] for a, r in zip(s, rows, strict=True)])
    return vector, sigma, np.concatenate([a[r] for a, r in zip(x, rows, strict=True)])


@pytest.mark.parametrize("fit", KNOWN, ids=[fit["id"] for fit in KNOWN])
def test_reference_at_its_own_covariance(fit):
    y, s, x = data_of(fit)
    out = fit["output"]
    psi = np.array(out.get("G") or out["Psi"])
    found = gls(y, s, x, psi)
    np.testing.assert_allclose(found.coefficient, out.get("beta") or out["coef"], rtol=1e-7)
    np.testing.assert_allclose(found.covariance, out.get("vb") or out["vcov"], rtol=1e-7, atol=1e-12)
    for restricted, name in ((False, "ll_ML"), (True, "ll_REML")):
        if name in out:
            assert log_likelihood(y, s, x, psi, restricted=restricted) == pytest.approx(out[name], rel=1e-7)
    if out.get("logLik"):
        height = log_likelihood(y, s, x, psi, restricted=fit["method"] == "REML")
        assert height == pytest.approx(out["logLik"], rel=1e-10)


@pytest.mark.parametrize("seed", range(8))
def test_coefficients_are_those_of_one_long_regression(seed):
    y, s, x, psi = random_sets(seed)
    vector, sigma, design = stacked(y, s, x, psi)
    inverse = np.linalg.inv(sigma)
    covariance = np.linalg.inv(design.T @ inverse @ design)
    beta = covariance @ design.T @ inverse @ vector
    found = gls(y, s, x, psi)
    np.testing.assert_allclose(found.coefficient, beta, rtol=1e-9)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-9)
    residual = vector - design @ beta
    assert found.q == pytest.approx(residual @ inverse @ residual, rel=1e-9)
    assert found.log_det == pytest.approx(np.linalg.slogdet(sigma)[1], rel=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_likelihoods_are_normal_densities(seed):
    """The restricted one is that of orthonormal contrasts in which no coefficient is left."""
    y, s, x, psi = random_sets(seed)
    vector, sigma, design = stacked(y, s, x, psi)
    mean = design @ gls(y, s, x, psi).coefficient
    expected = stats.multivariate_normal(mean, sigma).logpdf(vector)
    assert log_likelihood(y, s, x, psi, restricted=False) == pytest.approx(expected, rel=1e-9)
    free = linalg.null_space(design.T)
    expected = stats.multivariate_normal(np.zeros(free.shape[1]), free.T @ sigma @ free).logpdf(
        free.T @ vector
    )
    assert log_likelihood(y, s, x, psi, restricted=True) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_derivatives_are_those_of_differences(seed, restricted):
    y, s, x, psi = random_sets(seed)
    data, p = multivariate.observed(y, s, x), psi.shape[0]
    slope, second = multivariate.derivatives(data, multivariate.solve(data, psi), restricted=restricted)
    rng = np.random.default_rng(seed)
    a, b = ((m + m.T) / 2 for m in rng.normal(size=(2, p, p)))

    def height(t, u):
        return log_likelihood(y, s, x, psi + t * a + u * b, restricted=restricted)

    h = 1e-3
    first = (height(h / 10, 0) - height(-h / 10, 0)) / (0.2 * h)
    assert (slope * a).sum() == pytest.approx(first, rel=1e-5, abs=1e-6)
    mixed = (height(h, h) - height(h, -h) - height(-h, h) + height(-h, -h)) / (4 * h * h)
    assert a.ravel() @ second @ b.ravel() == pytest.approx(mixed, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_predictions_are_those_of_the_mixed_model_equations(seed):
    """Henderson's equations for coefficients and deviations at once; their inverse has the errors."""
    y, s, x, psi = random_sets(seed)
    k, p, q = x.shape
    here = np.isfinite(np.diagonal(s, axis1=1, axis2=2))
    vector, sampling, design = stacked(y, s, x, np.zeros((p, p)))
    z = np.zeros((vector.size, k * p))
    z[np.arange(vector.size), np.flatnonzero(here.ravel())] = 1.0
    precision, prior = np.linalg.inv(sampling), np.kron(np.eye(k), np.linalg.inv(psi))
    both = np.hstack([design, z])
    left = both.T @ precision @ both
    left[q:, q:] += prior
    inverse = np.linalg.inv(left)
    solution = inverse @ both.T @ precision @ vector
    take = np.hstack([x.reshape(k * p, q), np.eye(k * p)])
    error = take @ inverse @ take.T
    found = study_effects(y, s, x, psi)
    np.testing.assert_allclose(found.effect.ravel(), take @ solution, rtol=1e-7, atol=1e-9)
    for i in range(k):
        block = slice(i * p, (i + 1) * p)
        np.testing.assert_allclose(found.covariance[i], error[block, block], rtol=1e-7, atol=1e-9)


def test_reference_predictions_of_one_outcome():
    case = MULTIVARIATE["blup"]
    y, v, out = np.array(case["input"]["yi"]), np.array(case["input"]["vi"]), case["output"]
    found = study_effects(y[:, None], v[:, None, None], intercepts(y.size, 1), np.array([[out["tau2"]]]))
    np.testing.assert_allclose(found.effect[:, 0], out["pred"], rtol=1e-8)
    np.testing.assert_allclose(np.sqrt(found.covariance[:, 0, 0]), out["se"], rtol=1e-8)


def test_a_batch_is_a_loop():
    y, s, x, psi = random_sets(5, n=7)
    together = gls(y, s, x, psi)
    for i in range(7):
        alone = gls(y[i], s[i], x[i], psi[i])
        for got, expected in zip(together, alone, strict=True):
            np.testing.assert_allclose(got[i], expected, rtol=1e-9, atol=1e-12)
    for restricted in (False, True):
        heights = log_likelihood(y, s, x, psi, restricted=restricted)
        alone = [log_likelihood(y[i], s[i], x[i], psi[i], restricted=restricted) for i in range(7)]
        np.testing.assert_allclose(heights, alone, rtol=1e-10)
    effects = study_effects(y, s, x, psi)
    np.testing.assert_allclose(effects.effect[3], study_effects(y[3], s[3], x[3], psi[3]).effect, rtol=1e-9)


def test_an_absent_study_is_absent():
    y, s, x, psi = random_sets(2)
    gone = s.copy()
    gone[4] = np.inf
    padded, without = gls(y, gone, x, psi), gls(*(np.delete(a, 4, axis=0) for a in (y, s, x)), psi)
    np.testing.assert_allclose(padded.coefficient, without.coefficient, rtol=1e-10)
    assert padded.q == pytest.approx(without.q)
    assert padded.log_det == pytest.approx(without.log_det)
    assert n_observed(gone).tolist() == np.isfinite(np.diagonal(gone, axis1=1, axis2=2)).sum(0).tolist()


def test_effects_far_from_zero_keep_their_residuals():
    y, s, x, psi = random_sets(3, slopes=False)
    y = np.where(np.isfinite(np.diagonal(s, axis1=1, axis2=2)), y, 0.0)
    assert gls(y + 1e9, s, x, psi).q == pytest.approx(gls(y, s, x, psi).q, rel=1e-5)


def test_covariance_within_from_errors():
    correlation = np.array([[1, 0.5], [0.5, 1]])
    found = within_covariance(np.array([[0.2, 0.3], [0.2, np.inf]]), correlation)
    np.testing.assert_allclose(found[0], [[0.04, 0.03], [0.03, 0.09]])
    np.testing.assert_array_equal(found[1], [[0.2**2, 0.0], [0.0, np.inf]])
    np.testing.assert_array_equal(separate(found)[0], np.diag([0.2**2, 0.3**2]))


def test_spread_by_name():
    q = np.array(6.0)
    assert [float(v) for v in spread_of("wald", q, 4)] == [1.0, np.inf]
    assert [float(v) for v in spread_of("t", q, 4)] == [1.0, 4.0]
    assert [float(v) for v in spread_of("HK", q, 4)] == [1.5, 4.0]
    assert [float(v) for v in spread_of("mHK", np.array(2.0), 4)] == [1.0, 4.0]
    assert np.isnan(spread_of("HK", np.array(0.0), 4)[0])


def test_residuals_that_are_rounding_say_nothing():
    rng = np.random.default_rng(4)
    for _ in range(50):
        a = rng.normal(size=(6, 2, 3))
        s = a @ a.swapaxes(-1, -2) + 0.05 * np.eye(2)
        q = gls(np.tile([0.1, 0.3], (6, 1)), s, intercepts(6, 2), np.zeros((2, 2))).q
        assert np.isnan(spread_of("HK", q, 10)[0])


def test_points_of_an_ellipse_are_all_at_its_radius():
    covariance, centre = np.array([[2.0, 0.7], [0.7, 0.5]]), np.array([1.0, -1.0])
    points = ellipse(centre, covariance, 1.7, 50) - centre
    distance = np.einsum("ia,ab,ib->i", points, np.linalg.inv(covariance), points)
    np.testing.assert_allclose(distance, 1.7**2)
    assert np.isnan(ellipse(centre, np.full((2, 2), np.nan), 1.0, 5)).all()


@pytest.mark.parametrize(
    ("psi", "expected"),
    [
        ([[1, 0.99], [0.99, 1]], False),
        ([[1e-12, 0], [0, 1e6]], False),
        ([[1, 2], [2, 4]], True),
        ([[0, 0], [0, 4]], True),
    ],
)
def test_singular_whatever_the_units(psi, expected):
    assert is_singular(np.array(psi, float)) is expected
