import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from netsynth.kernels.covariance_structures import STRUCTURES
from netsynth.kernels.multivariate import gls, intercepts, log_likelihood, separate
from netsynth.kernels.multivariate_fit import (
    MOMENTS,
    BetweenMethod,
    nearest_covariance,
    psi_between,
    psi_components,
    psi_likelihood,
    psi_moments,
)
from netsynth.kernels.tau2 import TAU2_ESTIMATORS

REFERENCES = Path(__file__).parents[1] / "references"
MULTIVARIATE = json.loads((REFERENCES / "multivariate.json").read_text(encoding="utf-8"))
#: metafor lets the correlation of compound symmetry fall to -1, which four outcomes cannot all have with each other.
NO_COVARIANCE = "fine1993_CS_REML"
LIKELIHOOD = [
    fit for fit in MULTIVARIATE["fits"] if fit["method"] in ("ML", "REML") and fit["id"] != NO_COVARIANCE
]
BY_MOMENTS = [fit for fit in MULTIVARIATE["fits"] if fit["method"] in MOMENTS]


def data_of(fit):
    data = MULTIVARIATE["data"][fit["data"]]
    y, s = np.array(data["estimate"], float), np.array(data["covariance"], float)
    s[np.isnan(y)[:, :, None] * np.eye(y.shape[1], dtype=bool)] = np.inf
    x = intercepts(*y.shape)
    if fit["moderated"]:
        x = np.concatenate([x, np.array(data["moderator"])[:, None, None] * np.eye(y.shape[1])], axis=-1)
    return np.nan_to_num(y), s, x


def psi_of(fit):
    """The covariance between studies that the other package found."""
    out = fit["output"]
    if "G" in out or "Psi" in out:
        return np.array(out.get("G") or out["Psi"])
    tau = np.sqrt(np.broadcast_to(out["tau2"], 2))
    rho = out["rho"][0]
    return np.multiply.outer(tau, tau) * np.array([[1, rho], [rho, 1]])


@st.composite
def problems(draw, max_k=9, p=None):
    """Studies of several outcomes that agree or not, some unreported, and a structure."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    p = draw(st.integers(2, 4)) if p is None else p
    k = draw(st.integers(p + 3, max_k + p))
    between = draw(st.sampled_from([0.0, 0.2, 2.0])) * (np.eye(p) + draw(st.sampled_from([0.0, 1.0, 5.0])))
    sd = np.exp(rng.uniform(-2, 1, (k, p)))
    within = draw(st.sampled_from([0.0, 0.5, 0.95])) ** np.abs(np.subtract.outer(np.arange(p), np.arange(p)))
    s = within * sd[:, :, None] * sd[:, None, :]
    y = np.array([np.linalg.cholesky(a + between + 1e-12 * np.eye(p)) @ rng.normal(size=p) for a in s])
    missing = rng.random((k, p)) < draw(st.sampled_from([0.0, 0.3]))
    missing[:3] = False
    s[missing[:, :, None] * np.eye(p, dtype=bool)] = np.inf
    return y, s, intercepts(k, p), rng


def test_every_method_is_reachable():
    assert set(get_args(BetweenMethod)) == {"REML", "ML", "CE", *MOMENTS}
    y, s, x = data_of(MULTIVARIATE["fits"][0])
    for method in get_args(BetweenMethod):
        fit = psi_between(y, s, x, method=method, structure="unstructured")
        assert fit.psi.shape == (2, 2)
        assert fit.converged
    assert (psi_between(y, s, x, method="CE", structure="ar1").psi == 0).all()


@pytest.mark.parametrize("fit", LIKELIHOOD, ids=[fit["id"] for fit in LIKELIHOOD])
def test_reference_likelihood(fit):
    y, s, x = data_of(fit)
    restricted, out = fit["method"] == "REML", fit["output"]
    found = psi_likelihood(y, s, x, STRUCTURES[fit["structure"]], restricted=restricted)
    assert found.converged
    height = log_likelihood(y, s, x, found.psi, restricted=restricted)
    theirs = out["logLik"] if "logLik" in out else out[f"ll_{fit['method']}"]
    assert height >= theirs - 1e-10 * (1 + abs(theirs))
    # R's optimisers stop at 1e-8 to 1e-12 of the objective, so at about the root of that in the parameters
    assert height == pytest.approx(theirs, abs=1e-8)
    np.testing.assert_allclose(found.psi, psi_of(fit), rtol=5e-5, atol=5e-5 * found.psi.max())


def test_reference_compound_symmetry_stays_a_covariance():
    (fit,) = (fit for fit in MULTIVARIATE["fits"] if fit["id"] == NO_COVARIANCE)
    y, s, x = data_of(fit)
    assert np.linalg.eigvalsh(psi_of(fit))[0] < -0.01  # theirs is none
    found = psi_likelihood(y, s, x, STRUCTURES["compound_symmetry"], restricted=True)
    assert np.linalg.eigvalsh(found.psi)[0] >= -1e-12
    best = max(
        float(log_likelihood(y, s, x, a * np.eye(4) / 4 + b * (np.eye(4) - 0.25), restricted=True))
        for a in (0.0, 0.01, 0.1)
        for b in np.linspace(0, 0.2, 41)
    )
    height = float(log_likelihood(y, s, x, found.psi, restricted=True))
    assert best - 1e-12 <= height < best + 1e-3


@pytest.mark.parametrize("fit", BY_MOMENTS, ids=[fit["id"] for fit in BY_MOMENTS])
def test_reference_moments(fit):
    found = MOMENTS[fit["method"]](*data_of(fit))
    assert found.converged
    # mixmeta sets a negative eigenvalue to 1.5e-8, we set it to 0
    np.testing.assert_allclose(found.psi, fit["output"]["Psi"], rtol=1e-8, atol=1.6e-8)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("restricted", [False, True])
@given(problem=problems())
@settings(max_examples=12, derandomize=True)  # some data have a summit more than any number of starts finds
def test_nothing_tried_is_higher(name, restricted, problem):
    y, s, x, rng = problem
    structure, p = STRUCTURES[name], y.shape[1]
    found = psi_likelihood(y, s, x, structure, restricted=restricted)
    assert found.converged
    height = float(log_likelihood(y, s, x, found.psi, restricted=restricted))
    lower, upper = structure.bounds(p)
    scale = np.exp(rng.uniform(-4, 2, (300, 1)))
    theta = np.clip(scale * rng.normal(size=(300, lower.size)), lower, upper)
    if np.linalg.eigvalsh(found.psi)[0] > 1e-10:  # and close by, from which a step may lead up
        near = structure.nearest(found.psi)
        theta[:150] = np.clip(near * (1 + 0.02 * rng.normal(size=(150, near.size))), lower, upper)
    heights = log_likelihood(y, s, x, structure.matrix(theta, p), restricted=restricted)
    assert height >= heights.max() - 1e-9 * (1 + abs(height))


@given(problem=problems())
@settings(max_examples=40, derandomize=True)
def test_the_wider_structure_is_at_least_as_high(problem):
    y, s, x, _ = problem
    height = {}
    for name, structure in STRUCTURES.items():
        psi = psi_likelihood(y, s, x, structure, restricted=True).psi
        height[name] = float(log_likelihood(y, s, x, psi, restricted=True))
    nested = [
        ("identity", "diagonal"),
        ("identity", "compound_symmetry"),
        ("compound_symmetry", "heterogeneous_cs"),
        ("diagonal", "heterogeneous_cs"),
        ("heterogeneous_cs", "unstructured"),
        ("identity", "ar1"),
        ("ar1", "heterogeneous_ar1"),
        ("diagonal", "heterogeneous_ar1"),
        ("heterogeneous_ar1", "unstructured"),
    ]
    for narrow, wide in nested:
        # with next to no variance the likelihood is flat in the correlation, and the search may end at none
        assert height[wide] >= height[narrow] - 1e-4, (narrow, wide)


@pytest.mark.parametrize("restricted", [False, True])
@given(problem=problems())
@settings(max_examples=25)
def test_outcomes_without_ties_are_pooled_one_by_one(restricted, problem):
    y, s, x, _ = problem
    s = separate(s)
    psi = psi_likelihood(y, s, x, STRUCTURES["diagonal"], restricted=restricted).psi
    alone = TAU2_ESTIMATORS["REML" if restricted else "ML"](y.T, np.diagonal(s, axis1=1, axis2=2).T)
    np.testing.assert_allclose(np.diag(psi), alone.tau2, rtol=1e-6, atol=1e-9)


@given(problem=problems(p=1))
@settings(max_examples=60)
def test_one_outcome_is_the_univariate_estimator(problem):
    y, s, x, _ = problem
    v = s[:, 0, 0]
    for method, name in (("REML", "REML"), ("ML", "ML"), ("MM", "DL")):
        found = psi_between(y, s, x, method=method, structure="diagonal").psi[0, 0]
        assert found == pytest.approx(float(TAU2_ESTIMATORS[name](y[:, 0], v).tau2), rel=1e-6, abs=1e-9)


def moments_by_loops(y, s, x):
    """The same equations with the hat matrix of all studies and one entry of Psi at a time."""
    k, p = y.shape
    rows = [np.isfinite(np.diag(each)) for each in s]
    place = np.concatenate([i * p + np.flatnonzero(r) for i, r in enumerate(rows)])
    w, v = np.zeros((k * p, k * p)), np.zeros((k * p, k * p))
    for i, r in enumerate(rows):
        block = np.ix_(i * p + np.flatnonzero(r), i * p + np.flatnonzero(r))
        v[block] = s[i][np.ix_(r, r)]
        w[block] = np.linalg.inv(s[i][np.ix_(r, r)])
    here = np.zeros(k * p)
    here[place] = 1.0
    flat = x.reshape(k * p, -1) * here[:, None]
    hat = flat @ np.linalg.inv(flat.T @ w @ flat) @ flat.T @ w
    rest = np.diag(here) - hat
    residual = rest @ (y.ravel() * here)

    def blocks(matrix):
        return sum(matrix[i * p : (i + 1) * p, i * p : (i + 1) * p] for i in range(k))

    def expected(psi):
        return blocks(w @ rest @ (v + np.kron(np.eye(k), psi)) @ rest.T @ np.diag(here))

    base = expected(np.zeros((p, p)))
    columns = [(expected(e) - base).ravel() for e in np.eye(p * p).reshape(-1, p, p)]
    found = blocks(w @ np.outer(residual, residual) @ np.diag(here))
    psi = np.linalg.solve(np.array(columns).T, (found - base).ravel()).reshape(p, p)
    values, axes = np.linalg.eigh((psi + psi.T) / 2)
    return axes @ np.diag(np.maximum(values, 0)) @ axes.T


@given(problem=problems())
@settings(max_examples=25)
def test_moments_equal_those_by_loops(problem):
    y, s, x, _ = problem
    expected = moments_by_loops(y, s, x)
    np.testing.assert_allclose(
        psi_moments(y, s, x).psi, expected, rtol=1e-6, atol=1e-7 * (1 + expected.max())
    )


@given(problem=problems())
@settings(max_examples=10)
def test_components_are_a_fixed_point(problem):
    """One more turn, study by study, with a matrix power where the kernel has eigenvalues."""
    y, s, x, _ = problem
    fit = psi_components(y, s, x)
    if not fit.converged:
        return
    k, p = y.shape
    model = gls(y, s, x, fit.psi)
    total, sampling, count = (np.zeros((p, p)) for _ in range(3))
    for i in range(k):
        r = np.isfinite(np.diag(s[i]))
        if not r.any():
            continue
        grid = np.ix_(r, r)
        weight = np.linalg.inv((s[i] + fit.psi)[grid])
        left = np.eye(r.sum()) - x[i][r] @ model.covariance @ x[i][r].T @ weight
        freed = np.real(linalg.fractional_matrix_power(left, -0.5)) @ (y[i][r] - x[i][r] @ model.coefficient)
        total[grid] += np.outer(freed, freed)
        sampling[grid] += s[i][grid]
        count[grid] += 1
    again = nearest_covariance((total - sampling) / count)
    np.testing.assert_allclose(again, fit.psi, rtol=1e-5, atol=1e-6 * (1 + fit.psi.max()))


@pytest.mark.parametrize("name", ["unstructured", "heterogeneous_ar1", "compound_symmetry"])
def test_many_sets_at_once_are_one_by_one(name):
    """Under one design, with covariances of their own: also what a sensitivity to correlation asks for."""
    rng = np.random.default_rng(7)
    k, p, n = 8, 3, 40
    y = rng.normal(size=(n, k, p))
    sd = np.exp(rng.uniform(-1, 1, (k, p)))
    rho = rng.uniform(0, 0.9, n)[:, None, None, None]
    s = sd[:, :, None] * sd[:, None, :] * (rho + (1 - rho) * np.eye(p))
    s[:, 5, 2, 2] = np.inf
    together = psi_likelihood(y, s, intercepts(k, p), STRUCTURES[name], restricted=True)
    assert together.converged.all()
    for i in range(0, n, 8):
        alone = psi_likelihood(y[i], s[i], intercepts(k, p), STRUCTURES[name], restricted=True)
        np.testing.assert_allclose(together.psi[i], alone.psi, rtol=1e-6, atol=1e-8)
    one = psi_likelihood(y[0], s, intercepts(k, p), STRUCTURES[name], restricted=True)
    np.testing.assert_allclose(one.psi[0], together.psi[0], rtol=1e-6, atol=1e-8)
    for moments in MOMENTS.values():
        several = moments(y, s, intercepts(k, p))
        np.testing.assert_allclose(
            several.psi[9], moments(y[9], s[9], intercepts(k, p)).psi, rtol=1e-6, atol=1e-8
        )


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_unit_does_nothing(name):
    y, s, x = data_of(LIKELIHOOD[0])
    psi = psi_likelihood(y, s, x, STRUCTURES[name], restricted=True).psi
    unit = np.full(2, 1e5) if STRUCTURES[name].one_scale else np.array([1e-6, 1e5])
    scale = np.multiply.outer(unit, unit)
    moved = psi_likelihood(y * unit + 3 * unit, s * scale, x, STRUCTURES[name], restricted=True).psi
    np.testing.assert_allclose(moved, psi * scale, rtol=1e-6)


def setting_out_from(name, theta):
    """A structure of which every search sets out from one place."""

    def nearest(matrix):
        return np.broadcast_to(np.array(theta), (*matrix.shape[:-2], len(theta))).copy()

    return STRUCTURES[name]._replace(nearest=nearest)


@pytest.mark.parametrize("restricted", [False, True])
def test_a_place_without_slope_is_not_a_summit(restricted):
    """No variance at all has no slope in the entries of a Cholesky factor, however much the studies differ."""
    y, s, x = data_of(LIKELIHOOD[0])
    stuck = setting_out_from("unstructured", [0.0, 0.0, 0.0])
    found = psi_likelihood(y, s, x, stuck, restricted=restricted)
    expected = psi_likelihood(y, s, x, STRUCTURES["unstructured"], restricted=restricted)
    assert found.converged
    np.testing.assert_allclose(found.psi, expected.psi, rtol=1e-6)


def test_a_parameter_next_to_its_end_has_reached_it():
    """From some places a variance comes so close to zero that, were it still free, steps would be cut to nothing."""
    # fmt: off
    y = np.array([
        [0.0, -1.3, 2.6], [0.5, 0.6, -0.2], [0.1, 0.3, 0.2], [-0.6, 0.6, 0.5], [-0.1, -0.7, -0.9], [-1.0, 0.3, -0.4]])
    v = np.array([
        [0.2 + 0.1, 0.4, 1.1], [1.0, 0.4, 1.3], [0.2, 1.8 + 0.1, 0.9], [0.2, 1.1, 0.5], [0.9, 0.7, 0.4],
        [0.5, 0.7 + 0.1, 0.2 + 0.1]])
    # fmt: on
    s = np.sqrt(v[:, :, None] * v[:, None, :]) * (0.5 + 0.5 * np.eye(3))
    rng = np.random.default_rng(5)
    for _ in range(200):
        place = [*np.exp(rng.uniform(-3, 1.5, 3)), rng.uniform(-0.9, 0.9)]
        start = setting_out_from("heterogeneous_ar1", place)
        found = psi_likelihood(y, s, intercepts(6, 3), start, restricted=True)
        assert found.converged


def test_ten_times_with_late_ones_missing():
    """As many outcomes as survival over time has: every structure arrives, and the truth is not likelier."""
    rng = np.random.default_rng(11)
    k, p = 20, 10
    lag = np.abs(np.subtract.outer(np.arange(p), np.arange(p)))
    sd = rng.uniform(0.1, 0.5, (k, p))
    s = 0.9**lag * sd[:, :, None] * sd[:, None, :]
    y = np.array([np.linalg.cholesky(a + 0.09 * 0.8**lag) @ rng.normal(size=p) for a in s])
    for i in range(8):
        late = np.arange(p) > i
        s[i, late, late] = np.inf
    for name, structure in STRUCTURES.items():
        found = psi_likelihood(y, s, intercepts(k, p), structure, restricted=True)
        assert found.converged, name
        height = log_likelihood(y, s, intercepts(k, p), found.psi, restricted=True)
        if name in ("ar1", "heterogeneous_ar1", "unstructured"):
            assert height > log_likelihood(y, s, intercepts(k, p), 0.09 * 0.8**lag, restricted=True)


def test_nearest_covariance_leaves_one_alone():
    psi = np.array([[2.0, 0.5], [0.5, 1.0]])
    np.testing.assert_allclose(nearest_covariance(psi), psi)
    np.testing.assert_allclose(nearest_covariance(np.array([[1.0, 2.0], [2.0, 1.0]])), np.full((2, 2), 1.5))


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("restricted", [False, True])
def test_a_variance_of_rounding_alone_is_none(structure, restricted):
    """Three studies that agree far better than chance: the likelihood is highest without variance between them."""
    y = np.array([[0.1, 0.2], [0.1, 0.1], [0.05, 0.1]])
    s = np.array([0.01 * np.array([[1, 0.6], [0.6, 2]])] * 3)
    for unit in (1.0, 1e-4, 1e4):
        psi = psi_likelihood(
            unit * y, unit**2 * s, intercepts(3, 2), STRUCTURES[structure], restricted=restricted
        ).psi
        assert psi.tolist() == [[0, 0], [0, 0]]
