import re
import time as clock
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, optimize

from netsynth.kernels import multivariate
from netsynth.kernels.covariance_structures import STRUCTURES
from netsynth.kernels.effective_numbers import effective_numbers
from netsynth.kernels.loglog_curve import curve_at, fit_loglog_curve
from netsynth.kernels.multivariate_fit import psi_likelihood
from netsynth.kernels.tau2 import tau2_reml

# Survivors at 6, 12, 18 and 24 months of the chemotherapy arms of 16 trials in malignant glioma, all followed to the
# end, as Musekiwa et al. (2016) print them, https://doi.org/10.1371/journal.pone.0164898
TIMES = np.array([6.0, 12.0, 18.0, 24.0])
PATIENTS = np.array([19, 34, 72, 22, 70, 183, 26, 61, 36, 45, 246, 386, 59, 45, 14, 26])
ALIVE = np.array(
    [
        [16, 22, 44, 19, 62, 130, 24, 51, 30, 43, 169, 279, 56, 42, 14, 21],
        [11, 18, 21, 14, 42, 80, 13, 37, 23, 19, 106, 170, 34, 18, 13, 12],
        [4, 15, 10, 5, 26, 47, 5, 19, 13, 8, 67, 97, 21, 9, 12, 6],
        [4, 15, 3, 2, 15, 30, 3, 11, 10, 6, 51, 73, 20, 9, 9, 5],
    ]
).T
GLIOMAS = ALIVE / PATIENTS[:, None]
EVERYONE = effective_numbers(GLIOMAS, PATIENTS, ALIVE)


def natural(estimate):
    return np.exp(-np.exp(estimate))


# --- gliomas: figures computed in R 4.2 and again with NumPy when the data were written down


def test_gliomas_common_effect_with_covariance_at_the_estimates():
    fit = fit_loglog_curve(TIMES, GLIOMAS, EVERYONE, curve="factor", random="none", evaluated_at="observed")
    np.testing.assert_allclose(natural(fit.coefficient), [0.71834, 0.43947, 0.24553, 0.20632], atol=5e-6)


def test_gliomas_common_effect_with_covariance_at_the_fit():
    fit = fit_loglog_curve(TIMES, GLIOMAS, EVERYONE, curve="factor", random="none")
    np.testing.assert_allclose(natural(fit.coefficient), [0.78584, 0.47248, 0.26879, 0.18997], atol=5e-6)
    np.testing.assert_allclose(fit.coefficient, [-1.42296, -0.28801, 0.27296, 0.50735], atol=5e-6)
    np.testing.assert_allclose(
        np.sqrt(np.diag(fit.covariance)), [0.05909, 0.03844, 0.03424, 0.03391], atol=5e-6
    )
    assert np.isnan(curve_at(fit, TIMES).between).all()


def test_gliomas_compound_symmetry():
    fit = fit_loglog_curve(
        TIMES, GLIOMAS, EVERYONE, curve="factor", random="compound_symmetry", evaluated_at="observed"
    )
    np.testing.assert_allclose(fit.coefficient, [-1.2068, -0.2863, 0.2751, 0.4409], atol=5e-5)
    assert fit.tau2 == pytest.approx(0.0404, abs=5e-5)
    assert fit.sigma[0, 1] / fit.sigma[0, 0] == pytest.approx(0.8804, abs=5e-5)
    assert fit.log_likelihood_reml == pytest.approx(-17.7019, abs=5e-5)
    assert fit.aic == pytest.approx(2 * 17.7019 + 2 * 6, abs=1e-4)


def test_gliomas_unstructured():
    fit = fit_loglog_curve(
        TIMES, GLIOMAS, EVERYONE, curve="factor", random="unstructured", evaluated_at="observed"
    )
    assert fit.log_likelihood_reml == pytest.approx(-6.9553, abs=5e-5)
    assert fit.is_singular


# --- a second implementation: every matrix written out, a search without derivatives, plain turns


def covariance_of(survival, number):
    """Sampling covariance of log(-log) survival of one study, entry by entry."""
    sums, total, before = [], 0.0, 1.0
    for s, n in zip(survival, number, strict=True):
        total += (1 / s - 1 / before) / n
        sums.append(total)
        before = s
    m = len(sums)
    return np.array(
        [[sums[min(i, j)] / (np.log(survival[i]) * np.log(survival[j])) for j in range(m)] for i in range(m)]
    )


def by_reml(y, x, z, sampling, r, starts):
    """Coefficients, their covariance, effects of the studies, Sigma and height: a search without derivatives."""
    free, k = linalg.null_space(x.T), len(sampling)

    def sigma_of(theta):
        root = np.zeros((r, r))
        root[np.tril_indices(r)] = theta
        return root @ root.T

    def whole(theta):
        return linalg.block_diag(*sampling) + z @ np.kron(np.eye(k), sigma_of(theta)) @ z.T

    left = free.T @ y

    def depth(theta):
        spread = free.T @ whole(theta) @ free
        q, log_det = left @ np.linalg.solve(spread, left), np.linalg.slogdet(spread)[1]
        return 0.5 * (q + log_det + left.size * np.log(2 * np.pi))

    options = {"xatol": 1e-9, "fatol": 1e-12}
    tops = [optimize.minimize(depth, start, method="Nelder-Mead", options=options) for start in starts]
    theta = min(tops, key=lambda top: top.fun).x
    inverse = np.linalg.inv(whole(theta))
    covariance = np.linalg.inv(x.T @ inverse @ x)
    beta = covariance @ x.T @ inverse @ y
    effect = np.kron(np.eye(k), sigma_of(theta)) @ z.T @ inverse @ (y - x @ beta)
    return beta, covariance, effect.reshape(-1, r), sigma_of(theta), -depth(theta), theta


def written_out(time, survival, number, design, loading, way):
    """Coefficients, their covariance, Sigma and the height, in plain turns that go half the way."""
    studies = []
    for t, s, n in zip(time, survival, number, strict=True):
        rows = np.isfinite(s)
        before, corrected = np.append(1.0, s[rows][:-1]), []
        for p, m in zip(s[rows] / before, n[rows] * before, strict=True):
            corrected.append((m * p + 0.25) / (m + 0.5))
        y = np.log(-np.log(np.cumprod(corrected)))
        studies.append((y, n[rows], design(t[rows]), loading(t[rows])))
    y, _, x, _ = (np.concatenate([study[i] for study in studies]) for i in range(4))
    z, r = linalg.block_diag(*[study[3] for study in studies]), studies[0][3].shape[1]
    at = [study[0] for study in studies]
    guesses = [np.array(start)[: r * (r + 1) // 2] for start in ([0.4, 0.1, 0.1], [0.5, -0.3, 0.1])]
    last = []
    for _ in range(60):
        sampling = [covariance_of(natural(a), study[1]) for a, study in zip(at, studies, strict=True)]
        beta, covariance, effect, sigma, height, theta = by_reml(y, x, z, sampling, r, [*last, *guesses])
        last, guesses = [theta], []
        fresh = [
            study[2] @ beta + (study[3] @ b if way == "study" else 0.0)
            for study, b in zip(studies, effect, strict=True)
        ]
        if max(np.abs(f - a).max() for f, a in zip(fresh, at, strict=True)) < 1e-7:
            break
        at = [0.5 * (f + a) for f, a in zip(fresh, at, strict=True)]
    return beta, covariance, sigma, height


def reviews(seed, k=8, tau=0.4, tilt=0.0, n=(60, 300)):
    """Studies of a Weibull curve, each with one to four times of its own, all patients followed to the end."""
    rng = np.random.default_rng(seed)
    time, survival = np.full((2, k, 4), np.nan)
    patients = rng.integers(*n, k)
    for i in range(k):
        m = 1 + i % 4
        t = np.sort(rng.choice(np.arange(6.0, 121.0, 6.0), m, replace=False))
        x = np.log(t / 36.0)
        true = natural(np.log(0.6) + tau * rng.normal() + (0.9 + tilt * rng.normal()) * x)
        left, before = patients[i], 1.0
        for j in range(m):
            left = rng.binomial(left, true[j] / before)
            before = true[j]
            time[i, j], survival[i, j] = t[j], left / patients[i]
    return time, survival, np.where(np.isnan(survival), np.nan, patients[:, None].astype(float))


@pytest.mark.parametrize("way", ["study", "mean"])
@pytest.mark.parametrize("random", ["intercept", "slope"])
def test_it_is_the_model_written_out(random, way):
    time, survival, number = reviews(0, tilt=0.3)
    fit = fit_loglog_curve(time, survival, number, curve="linear", random=random, evaluated_at=way)
    assert fit.converged

    def line(t):
        return np.stack([np.ones(t.size), np.log(t) - fit.effect.centre], axis=-1)

    def loading(t):
        return line(t)[:, : 1 if random == "intercept" else 2]

    beta, covariance, sigma, height = written_out(time, survival, number, line, loading, way)
    assert fit.log_likelihood_reml == pytest.approx(height, abs=1e-5)
    np.testing.assert_allclose(fit.coefficient, beta, atol=1e-5)
    np.testing.assert_allclose(fit.sigma, sigma, atol=2e-5)
    np.testing.assert_allclose(fit.covariance, covariance, rtol=2e-3, atol=1e-6)
    at = curve_at(fit, [24.0, 60.0])
    np.testing.assert_allclose(at.estimate, line(np.array([24.0, 60.0])) @ beta, atol=1e-5)
    z = loading(np.array([24.0, 60.0]))
    np.testing.assert_allclose(at.between, z @ sigma @ z.T, atol=3e-5)


@pytest.mark.parametrize("random", list(STRUCTURES))
@pytest.mark.parametrize("method", ["REML", "ML"])
def test_effects_by_time_are_the_multivariate_model(random, method):
    """At the sampling covariances that it ended with; some studies lack some times."""
    survival = np.where(np.random.default_rng(4).random(GLIOMAS.shape) < 0.2, np.nan, GLIOMAS)
    fit = fit_loglog_curve(TIMES, survival, EVERYONE, curve="factor", random=random, method=method)
    assert fit.converged
    missing = np.isnan(survival)
    within = np.where(missing[:, :, None] | missing[:, None, :], 0.0, fit.within)
    diagonal = np.einsum("kaa->ka", within)
    diagonal[missing] = np.inf
    design = multivariate.intercepts(16, 4)
    y = np.nan_to_num(fit.y)
    found = psi_likelihood(y, within, design, STRUCTURES[random], restricted=method == "REML")
    height = multivariate.log_likelihood(y, within, design, found.psi, restricted=method == "REML")
    reached = fit.log_likelihood_reml if method == "REML" else fit.log_likelihood
    assert reached == pytest.approx(float(height), abs=1e-6)
    expected = multivariate.gls(y, within, design, fit.sigma)
    np.testing.assert_allclose(fit.coefficient, expected.coefficient, rtol=1e-8)
    np.testing.assert_allclose(fit.covariance, expected.covariance, rtol=1e-8)
    # and it was evaluated at what that model predicts for each study
    own = multivariate.study_effects(y, within, design, fit.sigma).effect
    np.testing.assert_allclose(fit.fitted[~missing], own[~missing], atol=0.2)


def test_one_time_is_the_random_effects_model_of_one_outcome():
    survival, number = GLIOMAS[:, [1]], PATIENTS[:, None].astype(float)
    for random in ("intercept", "slope", "unstructured"):
        fit = fit_loglog_curve([12.0], survival, number, random=random, evaluated_at="observed")
        tau2 = tau2_reml(fit.y[:, 0], fit.within[:, 0, 0]).tau2
        assert fit.tau2 == pytest.approx(float(tau2), rel=1e-8)
        weight = 1 / (fit.within[:, 0, 0] + tau2)
        assert fit.coefficient[0] == pytest.approx(weight @ fit.y[:, 0] / weight.sum(), rel=1e-9)
        assert fit.covariance[0, 0] == pytest.approx(1 / weight.sum(), rel=1e-8)
        assert curve_at(fit, [12.0]).between[0, 0] == pytest.approx(float(tau2), rel=1e-8)


# --- what must be so whatever the data


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.floats(0.0, 0.8))
def test_with_everyone_followed_the_common_effect_is_the_mean_over_patients(seed, tau):
    rng = np.random.default_rng(seed)
    n = rng.integers(20, 400, 6)
    conditional = rng.uniform(0.6, 0.95, 3) ** np.exp(tau * rng.normal(size=(6, 1)))
    alive = n.copy()
    shares = []
    for j in range(3):
        alive = rng.binomial(alive, conditional[:, j])
        shares.append(alive / n)
    survival = np.maximum(np.array(shares).T, 1 / n[:, None])
    number = np.broadcast_to(n[:, None].astype(float), survival.shape)
    fit = fit_loglog_curve([12.0, 24.0, 36.0], survival, number, curve="factor", random="none")
    if not len(fit.rising) and np.diff(np.exp(fit.coefficient)).min() > 0.05:
        np.testing.assert_allclose(fit.coefficient, n @ fit.y / n.sum(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("random", ["none", "intercept", "slope", "heterogeneous_cs"])
def test_order_of_studies_places_of_columns_and_unit_of_time_do_not_matter(random):
    survival = np.where(np.random.default_rng(4).random(GLIOMAS.shape) < 0.2, np.nan, GLIOMAS)
    fit = fit_loglog_curve(TIMES, survival, EVERYONE, random=random)
    at = curve_at(fit, [8.0, 15.0, 24.0])
    order = np.random.default_rng(1).permutation(16)
    # each study in a row of its own times, with room between them
    time, wide, number = (np.full((16, 9), np.nan) for _ in range(3))
    places = np.array([0, 3, 4, 8])
    time[:, places], wide[:, places], number[:, places] = 12 * TIMES, survival[order], EVERYONE[order]
    moved = fit_loglog_curve(time, wide, number, random=random)
    at_moved = curve_at(moved, 12 * np.array([8.0, 15.0, 24.0]))
    for part, other in zip(at, at_moved, strict=True):
        np.testing.assert_allclose(other, part, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(moved.y[:, places], fit.y[order], rtol=1e-12)
    np.testing.assert_allclose(moved.grid, 12 * fit.grid, rtol=1e-9)
    np.testing.assert_array_equal(moved.n_studies, np.isfinite(survival).sum(0))
    assert moved.q == pytest.approx(fit.q, rel=1e-5)


def test_a_spline_with_a_knot_at_every_time_is_the_factor():
    for random in ("intercept", "slope"):
        spline = fit_loglog_curve(TIMES, GLIOMAS, EVERYONE, curve="spline", df=4, random=random)
        factor = fit_loglog_curve(TIMES, GLIOMAS, EVERYONE, curve="factor", random=random)
        for part, other in zip(curve_at(spline, TIMES), curve_at(factor, TIMES), strict=True):
            np.testing.assert_allclose(other, part, rtol=1e-5, atol=1e-7)
        assert spline.log_likelihood == pytest.approx(factor.log_likelihood, abs=1e-5)


def test_more_patients_leave_the_differences_between_studies():
    few = fit_loglog_curve(TIMES, GLIOMAS, EVERYONE, random="intercept")
    many = fit_loglog_curve(TIMES, GLIOMAS, 1e3 * EVERYONE, random="intercept")
    assert np.einsum("kaa->k", many.within).max() < 0.02 * np.einsum("kaa->k", few.within).max()
    with_none = np.log(-np.log(np.delete(GLIOMAS, 14, axis=0)))  # the study of whom all survive at first
    rest = fit_loglog_curve(
        TIMES,
        np.delete(GLIOMAS, 14, axis=0),
        1e5 * np.delete(EVERYONE, 14, axis=0),
        curve="factor",
        random="none",
    )
    np.testing.assert_allclose(rest.y, with_none, atol=1e-5)


def test_what_cannot_be_used_changes_nothing():
    fit = fit_loglog_curve(TIMES, GLIOMAS, EVERYONE)
    nothing = np.full((2, 4), np.nan)
    more = np.vstack([GLIOMAS, nothing])
    again = fit_loglog_curve(TIMES, more, np.vstack([EVERYONE, nothing]))
    np.testing.assert_allclose(again.coefficient, fit.coefficient, rtol=1e-12)
    assert (again.k, again.df, again.q_df) == (16, 15.0, 60)
    assert np.isnan(again.y[16:]).all()
    # and after the last death
    dead = GLIOMAS.copy()
    dead[0, 2:] = 0.0
    first = fit_loglog_curve(TIMES, dead, EVERYONE)
    assert np.isfinite(first.y[0, 2])
    assert np.isnan(first.y[0, 3])


def test_survival_of_one_and_equal_neighbours_have_a_place():
    survival = np.array([[1.0, 1.0, 0.9], [0.8, 0.8, 0.6], [0.9, 0.5, 0.5]])
    fit = fit_loglog_curve([6.0, 12.0, 24.0], survival, np.full((3, 3), 20.0), curve="linear")
    first = (20 + 0.25) / (20 + 0.5)
    np.testing.assert_allclose(natural(fit.y[0, :2]), [first, first**2])
    np.testing.assert_allclose(natural(fit.y[1, :2]), [16.25 / 20.5, 16.25 / 20.5 * 16.25 / 16.5])
    assert np.isfinite(fit.covariance).all()
    assert (np.linalg.eigvalsh(fit.within) > 0).all()


def test_one_study_has_no_variance_between_studies():
    fit = fit_loglog_curve(TIMES, GLIOMAS[:1], EVERYONE[:1], curve="linear")
    assert fit.k == 1
    assert np.isnan(fit.tau2)
    assert np.isnan(curve_at(fit, TIMES).between).all()
    assert np.isfinite(curve_at(fit, TIMES).covariance).all()


def test_a_curve_that_rises_says_where():
    survival = np.array(
        [[0.5, np.nan, np.nan], [0.55, np.nan, np.nan], [np.nan, 0.8, 0.6], [np.nan, 0.78, 0.5]]
    )
    number = np.where(np.isnan(survival), np.nan, 200.0)
    fit = fit_loglog_curve([12.0, 24.0, 36.0], survival, number, curve="factor", random="none")
    np.testing.assert_allclose(fit.rising, [[12.0, 24.0]])
    assert not len(fit_loglog_curve(TIMES, GLIOMAS, EVERYONE).rising)


def test_homogeneous_studies_have_no_variance_between_them():
    survival = np.tile([0.8, 0.6, 0.4], (6, 1))
    fit = fit_loglog_curve([12.0, 24.0, 48.0], survival, np.full((6, 3), 100.0), random="slope")
    assert fit.tau2 == pytest.approx(0.0, abs=1e-10)
    assert fit.is_singular
    assert fit.q == pytest.approx(0.0, abs=1e-10)
    assert (curve_at(fit, [12.0, 30.0, 48.0]).between >= -1e-12).all()


def test_five_hundred_studies_of_ten_times_take_less_than_two_seconds():
    rng = np.random.default_rng(2)
    time = np.sort(rng.permuted(np.tile(np.arange(3.0, 121.0, 3.0), (500, 1)), axis=1)[:, :10], axis=1)
    effect = 0.4 * rng.normal(size=(500, 1))
    true = natural(np.log(0.7) + effect + 0.9 * np.log(time / 48))
    n = rng.integers(20, 500, 500)
    alive = np.sort(rng.binomial(n[:, None], true), axis=1)[:, ::-1] / n[:, None]
    number = effective_numbers(alive, n, n[:, None] * alive)
    start = clock.process_time()
    fit = fit_loglog_curve(time, alive, number)
    assert clock.process_time() - start < 2.0
    assert fit.converged


def test_the_page_quotes_the_fits_of_the_gliomas():
    text = (Path(__file__).parents[2] / "docs" / "methods" / "loglog-curve.md").read_text(encoding="utf-8")
    models = {
        "common effect, covariance at the estimates": {"random": "none", "evaluated_at": "observed"},
        "common effect, at the fit": {"random": "none"},
        "random shift, `factor`": {"random": "intercept"},
        "random shift and tilt, `factor`": {"random": "slope"},
        "unstructured, `factor`": {"random": "unstructured"},
    }
    for name, options in models.items():
        cells = re.search(rf"(?m)^\| {re.escape(name)} \| (.*) \|$", text)[1].split(" | ")
        fit = fit_loglog_curve(TIMES, GLIOMAS, EVERYONE, curve="factor", **options)
        found = 100 * natural(curve_at(fit, TIMES).estimate)
        np.testing.assert_allclose(np.array(cells, float), found, atol=0.051)
    cells = re.search(r"(?m)^\| patients of all arms together \| (.*) \|$", text)[1].split(" | ")
    np.testing.assert_allclose(np.array(cells, float), 100 * ALIVE.sum(0) / PATIENTS.sum(), atol=0.051)
    heights = [
        fit_loglog_curve(
            TIMES, GLIOMAS, EVERYONE, curve="factor", random=random, evaluated_at="observed"
        ).log_likelihood_reml
        for random in ("intercept", "slope")
    ]
    quoted = re.search(r"restricted log-likelihood from −([\d.]+) to −([\d.]+\d)", text).groups()
    np.testing.assert_allclose(np.array(quoted, float), np.negative(heights), atol=0.051)


def test_no_variance_is_claimed_where_coefficients_take_up_all_there_is():
    survival = np.array([[0.8, np.nan, 0.5], [np.nan, 0.7, np.nan]])
    number = np.where(np.isnan(survival), np.nan, 100.0)
    fit = fit_loglog_curve([6.0, 12.0, 24.0], survival, number, curve="factor")
    assert (fit.q_df, fit.sigma.shape) == (0, (1, 1))
    assert np.isnan(fit.tau2)
    assert not fit.is_singular
    fit = fit_loglog_curve([6.0, 12.0, 24.0], survival, number, curve="factor", random="unstructured")
    assert np.isnan(fit.sigma).all()
    assert np.isnan(curve_at(fit, [6.0, 24.0]).between).all()


@pytest.mark.parametrize("seed", range(12))
def test_turns_end_whatever_studies_report(seed):
    """Small studies, survival of 0 and 1, rounding, and differences of any size."""
    rng = np.random.default_rng(seed)
    time, survival, number = reviews(seed, k=3 + seed % 6, tau=(0.0, 0.3, 1.0)[seed % 3], tilt=0.4, n=(4, 60))
    survival = np.round(survival, 2)
    at_risk = np.where(rng.random(survival.shape) < 0.5, np.floor(number * survival), np.nan)
    effective = effective_numbers(survival, number[:, 0], at_risk)
    for random in ("intercept", "slope"):
        fit = fit_loglog_curve(time, survival, effective, random=random)
        assert fit.converged
        assert np.isfinite(fit.coefficient).all()
        assert (np.diag(fit.covariance) > 0).all()
