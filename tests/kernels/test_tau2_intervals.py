import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import brentq

from netsynth.kernels.heterogeneity import q_statistic
from netsynth.kernels.tau2 import TAU2_ESTIMATORS
from netsynth.kernels.tau2_intervals import TAU2_INTERVALS, Tau2Interval, generalised_q, q_profile

REFERENCES = Path(__file__).parents[1] / "references"
RANDOM_EFFECTS = json.loads((REFERENCES / "random_effects.json").read_text(encoding="utf-8"))
META = json.loads((REFERENCES / "random_effects_meta.json").read_text(encoding="utf-8"))

# Pre-eclampsia (Collins 1985) as analysed by Viechtbauer (2007), Stat Med 26:37-52, Table II,
# https://doi.org/10.1002/sim.2514.
COLLINS_Y = np.array([0.0418, -0.9237, -1.1221, -1.4733, -1.3910, -0.2969, -0.2615, 1.0888, 0.1353])
COLLINS_V = np.array([0.1596, 0.1177, 0.1780, 0.2989, 0.1143, 0.0146, 0.1207, 0.6864, 0.0679])
COLLINS = {
    "QP": (0.0723, 2.2027),
    "BT": (0.0481, 2.3551),
    "PL_ML": (0.0266, 1.1308),
    "PL_REML": (0.0427, 1.4747),
}


def test_every_name_is_reachable():
    assert set(get_args(Tau2Interval)) == set(TAU2_INTERVALS)


@pytest.mark.parametrize("method", COLLINS)
def test_published_collins(method):
    """As near as effects and variances of four decimals allow: so near their roundings come to each other."""
    rng = np.random.default_rng(1)
    y = COLLINS_Y + rng.uniform(-5e-5, 5e-5, (300, 9))
    v = COLLINS_V + rng.uniform(-5e-5, 5e-5, (300, 9))
    limits = TAU2_INTERVALS[method](y, v, 0.95)
    for printed, rounded in zip(COLLINS[method], limits, strict=True):
        assert rounded.min() - 5e-5 <= printed <= rounded.max() + 5e-5


@pytest.mark.parametrize("data", RANDOM_EFFECTS, ids=lambda data: data["dataset"])
def test_reference(data):
    y, v = np.array(data["yi"]), np.array(data["vi"])
    for method, fit in data["fits"].items():
        if "confint_PL" in fit:
            name = "PL_ML" if method == "ML" else "PL_REML"
            # metafor's search for a root stops at about 1e-7 of tau2; no smaller differences are asked for
            got = TAU2_INTERVALS[name](y, v, 0.95)
            assert got == pytest.approx(fit["confint_PL"], rel=1e-5, abs=1e-6 * v.min())
        if "confint_QP" in fit:
            assert q_profile(y, v, 0.95) == pytest.approx(fit["confint_QP"], rel=1e-6, abs=1e-9 * v.min())


@pytest.mark.parametrize("data", RANDOM_EFFECTS, ids=lambda data: data["dataset"])
def test_reference_generalised_q(data):
    y, v, fit = np.array(data["yi"]), np.array(data["vi"]), data["fits"].get("GENQ", {})
    if "confint_GENQ" not in fit or data["dataset"] == "edge-tinyvar":
        return  # of edge-tinyvar, with tau2 near 1e-9, metafor finds no root that is not its own tolerance
    got = generalised_q(y, v, 0.95, weight=1 / v)
    # R's uniroot stops at 1.2e-4 by default
    assert got == pytest.approx(fit["confint_GENQ"], abs=1.3e-4)


@pytest.mark.parametrize("data", META, ids=lambda data: data["dataset"])
def test_reference_jackson(data):
    y, v, fit = np.array(data["yi"]), np.array(data["sei"]) ** 2, data["fits"]["DL"]
    assert fit["method_tau_ci"] == "J"
    assert generalised_q(y, v, 0.95) == pytest.approx(fit["tau2_ci"], abs=1.3e-4)


@st.composite
def studies(draw):
    k = draw(st.integers(3, 9))
    v = np.exp(draw(st.lists(st.floats(-4, 1), min_size=k, max_size=k)))
    z = draw(st.lists(st.floats(-4, 4), min_size=k, max_size=k))
    return np.array(z) * np.sqrt(v + draw(st.sampled_from([0.0, 0.2, 5.0]))), v


@given(studies(), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_q_profile_equals_bracketed_root_finding(study, level):
    y, v = study
    chi2 = stats.chi2(y.size - 1)

    def q(tau2):
        w = 1 / (v + tau2)
        return w @ (y - w @ y / w.sum()) ** 2

    def root(target):
        bound = ((y - y.mean()) ** 2).sum() / target + 1.0
        return brentq(lambda tau2: q(tau2) - target, 0, bound, xtol=1e-13) if q(0.0) > target else 0.0

    expected = root(chi2.isf((1 - level) / 2)), root(chi2.ppf((1 - level) / 2))
    assert q_profile(y, v, level) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_q_profile_of_studies_that_agree_too_well_is_the_empty_set_shown_as_zero():
    y, v = np.array([0.30, 0.3001, 0.3002]), np.array([1.0, 2.0, 3.0])
    assert q_statistic(y, v) < stats.chi2(2).ppf(0.025)
    assert q_profile(y, v, 0.95) == (0, 0)


def profile(y, v, tau2, x, restricted):
    """The likelihood by the density of the data, or of as many contrasts of them as there are beyond x."""
    sigma = np.diag(v + tau2)
    if restricted:
        full = np.linalg.qr(np.column_stack([x, np.eye(y.size)]))[0]
        contrasts = full[:, x.shape[1] : y.size].T
        return stats.multivariate_normal(None, contrasts @ sigma @ contrasts.T).logpdf(contrasts @ y)
    beta = np.linalg.solve(x.T @ np.linalg.solve(sigma, x), x.T @ np.linalg.solve(sigma, y))
    return stats.multivariate_normal(x @ beta, sigma).logpdf(y)


@settings(max_examples=30)
@given(studies(), st.booleans(), st.sampled_from([0.9, 0.95]))
def test_profile_limits_lie_where_the_likelihood_has_fallen(study, restricted, level):
    y, v = study
    name = "REML" if restricted else "ML"
    x = np.ones((y.size, 1))
    best = float(TAU2_ESTIMATORS[name](y, v).tau2)
    floor = profile(y, v, best, x, restricted) - stats.chi2(1).ppf(level) / 2
    lower, upper = TAU2_INTERVALS["PL_" + name](y, v, level)
    assert lower <= best * (1 + 1e-9)
    assert best <= upper
    assert profile(y, v, upper, x, restricted) == pytest.approx(floor, abs=1e-6)
    assert profile(y, v, 1.01 * upper + 0.01, x, restricted) < floor
    if lower > 0:
        assert profile(y, v, lower, x, restricted) == pytest.approx(floor, abs=1e-6)
    else:
        assert profile(y, v, 0.0, x, restricted) >= floor - 1e-6


def test_a_profile_with_two_humps_is_spanned():
    y = np.array([0.0, 0.01, -0.01, -1.0, 1.0])
    v = np.array([1e-4, 1e-4, 1e-4, 0.05, 0.05])
    x = np.ones((5, 1))
    level = 0.2  # so low a mark that the profile is above it round each maximum and below between them
    floor = profile(y, v, float(TAU2_ESTIMATORS["REML"](y, v).tau2), x, True) - stats.chi2(1).ppf(level) / 2
    grid = np.geomspace(1e-9, 100, 4000)
    inside = [profile(y, v, tau2, x, True) >= floor for tau2 in grid]
    lower, upper = TAU2_INTERVALS["PL_REML"](y, v, level)
    assert upper == pytest.approx(grid[np.flatnonzero(inside)[-1]], rel=1e-2)
    assert lower == pytest.approx(grid[np.flatnonzero(inside)[0]], rel=1e-2, abs=1e-9)


@settings(max_examples=30)
@given(studies())
def test_biggerstaff_tweedie_by_its_moments(study):
    y, v = study
    w, k = 1 / v, y.size
    q = w @ (y - w @ y / w.sum()) ** 2
    p = np.diag(w) - np.outer(w, w) / w.sum()

    def below(tau2):
        mean = k - 1 + tau2 * np.trace(p)
        variance = 2 * (k - 1) + 4 * tau2 * np.trace(p) + 2 * tau2**2 * np.trace(p @ p)
        return stats.gamma(mean**2 / variance, scale=variance / mean).cdf(q)

    def excess(tau2, target):
        return below(tau2) - target

    for target, got in zip((0.975, 0.025), TAU2_INTERVALS["BT"](y, v, 0.95), strict=True):
        if below(0.0) <= target:
            assert got == 0
        else:
            high = 1.0
            while below(high) > target:
                high *= 2
            assert got == pytest.approx(
                brentq(excess, 0, high, args=(target,), xtol=1e-12), rel=1e-6, abs=1e-9
            )


@settings(max_examples=20)
@given(studies())
def test_generalised_q_of_equal_sampling_variances_is_the_q_profile(study):
    y, _ = study
    v = np.full(y.size, 0.3)
    assert generalised_q(y, v, 0.9) == pytest.approx(q_profile(y, v, 0.9), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("method", ["BT", "GENQ"])
def test_many_sets_at_once_have_the_limits_they_have_alone(method):
    # Searches of different length: a limit that is found must stay while the others are looked for.
    rng = np.random.default_rng(12)
    v = 10 ** rng.uniform(-3, 1, (40, 7))
    y = rng.standard_normal((40, 7)) * np.sqrt(v + rng.choice([0.0, 0.1, 100.0], (40, 1)))
    together = TAU2_INTERVALS[method](y, v, 0.95)
    alone = np.array([TAU2_INTERVALS[method](*pair, 0.95) for pair in zip(y, v, strict=True)])
    np.testing.assert_allclose(np.transpose(together), alone, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("k", [60, 150, 400])
def test_so_it_is_of_hundreds_of_studies(k):
    y, v = np.random.default_rng(k).normal(0, 0.5, k), np.full(k, 0.1)
    assert generalised_q(y, v, 0.95) == pytest.approx(q_profile(y, v, 0.95), rel=1e-8)


@pytest.mark.parametrize("method", TAU2_INTERVALS)
def test_it_covers_as_it_says(method):
    # 400 sets of 12 studies: a coverage of 0.9 has a standard error of 0.015
    rng = np.random.default_rng(4)
    v = rng.uniform(0.05, 0.5, 12)
    y = rng.standard_normal((400, 12)) * np.sqrt(v + 0.3)
    lower, upper = TAU2_INTERVALS[method](y, np.broadcast_to(v, y.shape), 0.9)
    slack = 0.06 if method == "PL_ML" else 0.045  # maximum likelihood is biased downwards
    assert ((lower <= 0.3) & (upper >= 0.3)).mean() == pytest.approx(0.9, abs=slack)


@pytest.mark.parametrize("method", TAU2_INTERVALS)
def test_batches_absent_studies_designs_and_one_study(method):
    interval = TAU2_INTERVALS[method]
    rng = np.random.default_rng(6)
    y, v = rng.standard_normal((5, 8)), rng.uniform(0.1, 1, (5, 8))
    v[2, 3], y[2, 3] = np.inf, 1e150
    x = np.column_stack([np.ones(8), np.arange(8.0)])
    for design in (None, x):
        together = interval(y, v, 0.9, design)
        for i in range(5):
            there = np.isfinite(v[i])
            alone = interval(y[i][there], v[i][there], 0.9, None if design is None else design[there])
            alone = tuple(map(float, alone))
            assert (together.lower[i], together.upper[i]) == pytest.approx(alone, rel=1e-7, abs=1e-9)
    assert np.isnan(interval(y[0, :1], v[0, :1], 0.9)).all()


@pytest.mark.parametrize("method", TAU2_INTERVALS)
@given(studies(), st.floats(-3, 3), st.floats(0.2, 5))
@settings(max_examples=15)
def test_a_shift_does_nothing_and_a_scale_squares(method, study, shift, scale):
    y, v = study
    first = np.array(TAU2_INTERVALS[method](y, v, 0.95))
    moved = np.array(TAU2_INTERVALS[method](shift + scale * y, scale**2 * v, 0.95))
    np.testing.assert_allclose(moved, scale**2 * first, rtol=1e-5, atol=1e-7 * scale**2 * (1 + v.max()))
