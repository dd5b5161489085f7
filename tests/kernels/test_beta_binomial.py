"""The beta-binomial model: against R's optimum, scipy's mass function, and at the edges."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import betabinom, binom

from netsynth.kernels import beta_binomial, glmm

CASES = json.loads(
    (Path(__file__).parents[1] / "references" / "beta_binomial.json").read_text(encoding="utf-8")
)


def rho_of(logit):
    return 1 / (1 + np.exp(-max(logit, -12.0)))  # scipy's mass function loses its digits below


def naive_height(x, n, mean, rho):
    mu = 1 / (1 + np.exp(-mean))
    size = (1 - rho) / rho
    return betabinom.logpmf(x, n, mu * size, (1 - mu) * size).sum()


# --- reference ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_reference_optimum(case):
    # R's optim on the same likelihood, to about 1e-7 in the parameters, with a numerical Hessian.
    x, n = np.array(case["xi"], dtype=float), np.array(case["ni"], dtype=float)
    found, expected = beta_binomial.fit(x, n), case["output"]
    assert found.converged
    assert found.mean == pytest.approx(expected["logit_mu"], abs=2e-7)
    assert found.se == pytest.approx(expected["se_logit_mu"], rel=1e-6)
    assert found.rho == pytest.approx(expected["rho"], rel=1e-6)
    assert found.se_logit_rho == pytest.approx(expected["se_logit_rho"], rel=2e-6)
    assert found.log_likelihood == pytest.approx(expected["ll"], abs=2e-9)
    ends = 1 / (1 + np.exp(-(found.mean + np.array([-1, 1]) * 1.959963984540054 * found.se)))
    assert ends == pytest.approx(expected["ci_mu"], rel=1e-6)


# --- second implementation -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rho", [1e-7, 1e-5, 1e-3, 0.02, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("mean", [-6.0, -0.4, 3.0])
def test_the_likelihood_is_that_of_the_product(rho, mean):
    x, n = np.array([3.0, 0, 20, 7]), np.array([10.0, 5, 20, 900])
    mu, theta = 1 / (1 + np.exp(-mean)), rho / (1 - rho)
    expected = 0.0
    for events, total in zip(x.astype(int), n.astype(int), strict=True):
        up, down, all_ = np.arange(events), np.arange(total - events), np.arange(total)
        expected += (
            np.log(mu + up * theta).sum() + np.log(1 - mu + down * theta).sum() - np.log1p(all_ * theta).sum()
        )
        expected += binom.logpmf(events, total, 0.5) + total * np.log(2)
    got = beta_binomial.log_likelihood(x, n, np.array(mean), np.array(rho))
    assert got == pytest.approx(expected, abs=1e-9)


def test_no_correlation_is_the_binomial():
    x, n = np.array([3.0, 0, 20, 7]), np.array([10.0, 5, 20, 900])
    got = beta_binomial.log_likelihood(x, n, np.array(-1.0), np.array(0.0))
    assert got == pytest.approx(binom.logpmf(x, n, 1 / (1 + np.e)).sum(), abs=1e-9)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 40)), min_size=2, max_size=6))
def test_the_top_is_not_below_that_of_nelder_mead(counts):
    x = np.array([c[0] for c in counts], dtype=float)
    n = x + np.array([c[1] for c in counts]) + 1.0
    found = beta_binomial.fit(x, n)
    if not glmm.has_maximum(x, n, "binomial"):
        assert np.isnan(found.mean)
        assert not found.converged
        return
    assert found.converged
    start = [np.log(x.sum() / (n - x).sum()), -2.0]
    top = minimize(lambda at: -naive_height(x, n, at[0], rho_of(at[1])), start, method="Nelder-Mead")
    assert found.log_likelihood >= -top.fun - 1e-7
    assert found.log_likelihood >= found.common_log_likelihood


# --- profiles and edges ----------------------------------------------------------------------------------------


def test_profile_limits_have_fallen_by_half_a_quantile():
    case = next(case for case in CASES if "nielweise" in case["id"])
    x, n = np.array(case["xi"], dtype=float), np.array(case["ni"], dtype=float)
    found, fall = beta_binomial.fit(x, n), 1.920729410347062  # half the 0.95 quantile of chi-squared on 1 df
    rhos, means = np.geomspace(1e-4, 0.9, 3000), np.linspace(-6, 0, 3000)
    for end in beta_binomial.profile_mean(x, n, found, 0.95):
        heights = [naive_height(x, n, end, rho) for rho in rhos]
        assert found.log_likelihood - max(heights) == pytest.approx(fall, abs=1e-4)
    for end in beta_binomial.profile_rho(x, n, found, 0.95):
        heights = [naive_height(x, n, mean, end) for mean in means]
        assert found.log_likelihood - max(heights) == pytest.approx(fall, abs=1e-4)


def test_studies_that_agree_have_no_correlation():
    x, n = np.array([3.0, 4, 6, 3]), np.array([30.0, 31, 40, 33])
    found = beta_binomial.fit(x, n)
    assert (float(found.rho), float(found.mean)) == pytest.approx((0.0, np.log(16 / 118)))
    assert found.se == pytest.approx((1 / 16 + 1 / 118) ** 0.5)
    assert np.isnan(found.se_logit_rho)
    limits = beta_binomial.profile_rho(x, n, found, 0.95)
    assert limits.lower == 0
    assert 0 < limits.upper < 0.1


def test_counting_the_others_turns_the_mean_round():
    x, n = np.array([3.0, 0, 20, 7]), np.array([10.0, 15, 22, 90])
    one, other = beta_binomial.fit(x, n), beta_binomial.fit(n - x, n)
    assert one.mean == pytest.approx(-other.mean)
    assert one.rho == pytest.approx(other.rho)


def test_many_sets_at_once_give_what_they_give_one_by_one():
    rng = np.random.default_rng(5)
    n = rng.integers(5, 80, (3, 2, 6)).astype(float)
    x = rng.binomial(n.astype(int), rng.beta(2, 5, n.shape)).astype(float)
    n[0, 0, 4:] = x[0, 0, 4:] = 0.0  # a ragged set
    x[1, 1, :] = 0.0  # one without a maximum
    together = beta_binomial.fit(x, n)
    means = beta_binomial.profile_mean(x, n, together, 0.9)
    rhos = beta_binomial.profile_rho(x, n, together, 0.9)
    for i in np.ndindex(3, 2):
        present = n[i] > 0
        alone = beta_binomial.fit(x[i][present], n[i][present])
        for name in ("mean", "se", "rho", "log_likelihood"):
            expected = float(getattr(alone, name))
            assert getattr(together, name)[i] == pytest.approx(expected, rel=1e-7, abs=1e-9, nan_ok=True)
        limits = beta_binomial.profile_mean(x[i][present], n[i][present], alone, 0.9)
        assert means.lower[i] == pytest.approx(float(limits.lower), rel=1e-6, nan_ok=True)
        limits = beta_binomial.profile_rho(x[i][present], n[i][present], alone, 0.9)
        assert rhos.upper[i] == pytest.approx(float(limits.upper), rel=1e-6, nan_ok=True)
