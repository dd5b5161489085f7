"""Tests of asymmetry against metafor, meta, metamisc and metasens, and against plain algebra."""

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from netsynth.kernels.asymmetry import (
    ASYMMETRY_METHODS,
    PREDICTORS,
    AsymmetryMethod,
    Predictor,
    Studies,
    limit_meta_analysis,
)
from netsynth.kernels.intervals import limits
from netsynth.kernels.tau2 import TAU2_ESTIMATORS

REFERENCES = Path(__file__).parents[1] / "references"
ASYMMETRY = json.loads((REFERENCES / "asymmetry.json").read_text(encoding="utf-8"))
LIMITS = json.loads((REFERENCES / "limit_effect.json").read_text(encoding="utf-8"))["limitmeta"]
REGTEST = [(case, name) for case in ASYMMETRY["regtest"] for name in case["fits"]]
LINES = [(case, name) for case in ASYMMETRY["regtest"] for name in case["lines"]]
METABIAS = [
    (case, name) for case in ASYMMETRY["metabias"] for name in case["tests"] if name != "Begg_correct"
]
META_NAMES = {"Thompson": "mixed_t"}
METAMISC_NAMES = {
    "E-UW": "egger_unweighted",
    "E-FIV": "egger",
    "M-FIV": "macaskill",
    "D-FIV": "debray_fiv",
}


def name_of(value):
    return value["dataset"] if isinstance(value, dict) else value


def run(method, studies, *, predictor=None, tau2_method="REML"):
    """The test on its own predictor, or on another."""
    chosen = ASYMMETRY_METHODS[method]
    predictor = predictor or chosen.predictor
    x = studies.variance if predictor is None else PREDICTORS[predictor].of(studies)
    return chosen.test(studies, x, TAU2_ESTIMATORS[tau2_method])


def studies_of(case):
    y, v = np.array(case["yi"]), np.array(case["vi"])
    n = () if case.get("ni") is None else (np.array(case["ni"], dtype=float),)
    return Studies(y, v, (), n)


def studies_of_tables(counts):
    """Log odds ratios, with 1/2 added to tables with an empty cell; tables without events are left out, as in meta."""
    a, n1, c, n2 = (np.array(counts[key], dtype=float) for key in ("ai", "n1i", "ci", "n2i"))
    kept = a + c > 0
    a, n1, c, n2 = a[kept], n1[kept], c[kept], n2[kept]
    cells = np.array([a, n1 - a, c, n2 - c])
    cells = cells + 0.5 * (cells == 0).any(axis=0)
    y = np.log(cells[0] * cells[3] / (cells[1] * cells[2]))
    return Studies(y, (1 / cells).sum(axis=0), (a, c), (n1, n2))


def least_squares(y, x, weight, scale=None):
    """Coefficients, covariance and dispersion from the normal equations."""
    design = np.column_stack([np.ones_like(x), x])
    information = design.T @ np.diag(weight) @ design
    beta = np.linalg.solve(information, design.T @ (weight * y))
    residual = y - design @ beta
    dispersion = (weight @ residual**2) / (y.size - 2)
    return beta, np.linalg.inv(information) * (dispersion if scale is None else scale), dispersion


def reml_log_likelihood(y, v, x, tau2):
    """As metafor counts it: Harville's, with the determinant of X'X."""
    design = np.column_stack([np.ones_like(x), x])
    w = 1 / (v + tau2)
    information = design.T @ (w[:, None] * design)
    residual = y - design @ np.linalg.solve(information, design.T @ (w * y))
    constant = np.linalg.slogdet(design.T @ design)[1] - (y.size - 2) * np.log(2 * np.pi)
    return 0.5 * (constant + np.log(w).sum() - np.linalg.slogdet(information)[1] - (w * residual**2).sum())


@st.composite
def some_studies(draw):
    k = draw(st.integers(4, 12))
    log_v = draw(st.lists(st.floats(-5, 1), min_size=k, max_size=k, unique_by=lambda value: round(value, 2)))
    y = draw(st.lists(st.floats(-3, 3), min_size=k, max_size=k, unique_by=lambda value: round(value, 2)))
    return np.array(y), np.exp(np.array(log_v))


def test_every_name_is_reachable():
    assert set(get_args(AsymmetryMethod)) == set(ASYMMETRY_METHODS)
    assert set(get_args(Predictor)) == set(PREDICTORS)


# --- published ---------------------------------------------------------------------------------------------


def hackshaw():
    # Hackshaw, Law & Wald (1997): passive smoking and lung cancer, log odds ratios, from the R package metadat
    case = next(case for case in ASYMMETRY["regtest"] if case["dataset"] == "dat.hackshaw1998")
    return Studies(np.array(case["yi"]), np.array(case["vi"]))


def test_published_hackshaw():
    egger, mixed, begg = (run(method, hackshaw()) for method in ("egger", "mixed", "begg"))
    assert (egger.statistic, egger.pvalue, egger.intercept) == pytest.approx(
        (2.3824, 0.0228, 0.00504), abs=5.1e-5
    )
    assert (mixed.statistic, mixed.pvalue, mixed.intercept) == pytest.approx(
        (2.1055, 0.0352, 0.0216), abs=5.1e-5
    )
    assert (begg.rank_correlation, begg.pvalue) == pytest.approx((0.1441, 0.2157), abs=5.1e-5)


def fibrinogen():
    counts = ASYMMETRY["fat"][0]["input"]
    events, total = np.array(counts["d_total"], dtype=float), np.array(counts["n_total"], dtype=float)
    return Studies(np.array(counts["b"]), np.array(counts["se"]) ** 2, (events,), (total,))


def test_published_fibrinogen():
    # the data and the tests of Debray, Moons & Riley (2018), https://doi.org/10.1002/jrsm.1266, in R by hand
    d_fiv = run("debray_fiv", fibrinogen())
    assert (d_fiv.slope, d_fiv.slope_se) == pytest.approx((7.15824, 4.24905), abs=5.1e-6)
    assert (d_fiv.statistic, d_fiv.pvalue) == pytest.approx((1.6847, 0.1028), abs=5.1e-5)
    by_n = run("egger", fibrinogen(), predictor="inverse_n")
    assert (by_n.slope, by_n.slope_se, by_n.pvalue) == pytest.approx((46.938, 91.815, 0.613), abs=5.1e-4)
    # two arms with half the events each weigh as the events themselves do: weights D / 4
    halves = fibrinogen()._replace(n_events=(fibrinogen().n_events[0] / 2,) * 2)
    d_fav = run("debray_fav", halves)
    assert (d_fav.slope, d_fav.slope_se) == pytest.approx((9.00939, 4.65204), abs=5.1e-6)
    assert d_fav.pvalue == pytest.approx(0.0626, abs=5.1e-5)


# --- reference ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("case", "name"), REGTEST, ids=name_of)
def test_reference_regtest(case, name):
    method, predictor, *tau2_method = name.split()
    found = run(method, studies_of(case), predictor=predictor, tau2_method=(*tau2_method, "CE")[0])
    fit = case["fits"][name]
    assert found.statistic == pytest.approx(fit["stat"], rel=1e-8)
    assert found.pvalue == pytest.approx(fit["pval"], rel=1e-8 * (1 + fit["stat"] ** 2))
    assert found.df == (np.inf if fit["dfs"] is None else fit["dfs"])
    if fit["limit_est"] is None:
        assert not PREDICTORS[predictor].vanishes
        return
    low, high = limits(found.intercept, found.intercept_se, found.df, 0.95)
    half = (fit["limit_ci_ub"] - fit["limit_ci_lb"]) / 2
    assert PREDICTORS[predictor].vanishes
    assert (found.intercept, low, high) == pytest.approx(
        (fit["limit_est"], fit["limit_ci_lb"], fit["limit_ci_ub"]), abs=1e-8 * half
    )


@pytest.mark.parametrize(("case", "name"), LINES, ids=name_of)
def test_reference_mixed_line(case, name):
    predictor, tau2_method = name.split()
    studies, fit = studies_of(case), case["lines"][name]
    found = run("mixed", studies, predictor=predictor, tau2_method=tau2_method)
    assert found.converged
    if tau2_method == "REML":  # metafor stops at a distance of its own: judge by the height
        x = PREDICTORS[predictor].of(studies)
        ours = reml_log_likelihood(studies.estimate, studies.variance, x, found.tau2)
        assert ours >= fit["ll"] - 1e-9 * (1 + abs(fit["ll"]))
    rel = 1e-8 if tau2_method == "DL" else 2e-6
    scale = 1 + fit["stat"] ** 2
    assert found.tau2 == pytest.approx(fit["tau2"], rel=rel, abs=1e-9 * studies.variance.min())
    assert found.statistic == pytest.approx(fit["stat"], rel=rel, abs=rel)
    assert found.pvalue == pytest.approx(fit["pval"], rel=rel * scale)
    assert (found.intercept, found.slope) == pytest.approx(tuple(fit["b"]), abs=rel * max(fit["se"]))
    assert (found.intercept_se, found.slope_se) == pytest.approx(tuple(fit["se"]), rel=rel)


@pytest.mark.parametrize("case", ASYMMETRY["ranktest"], ids=name_of)
def test_reference_ranktest(case):
    found = run("begg", studies_of(case))
    assert found.rank_correlation == pytest.approx(case["tau"], rel=1e-8)
    assert found.pvalue == pytest.approx(case["pval"], rel=1e-8)
    assert 2 * stats.norm.sf(abs(found.statistic)) == pytest.approx(case["pval_normal"], rel=1e-8)
    assert found.exact == (len(set(case["vi"])) == len(case["vi"]))


@pytest.mark.parametrize(("case", "name"), METABIAS, ids=name_of)
def test_reference_metabias(case, name):
    counts, expected = case["input"], case["tests"][name]
    studies = studies_of_tables(counts) if "ai" in counts else studies_of(counts)
    found = run(META_NAMES.get(name, name.lower()), studies)
    estimate = expected["estimate"]
    # meta takes tau2 from metafor at its default tolerance
    rel = 5e-4 if name == "Thompson" else 1e-8
    assert found.statistic == pytest.approx(expected["statistic"], rel=rel, abs=rel)
    if "ks" in estimate:
        assert found.score == pytest.approx(estimate["ks"], rel=1e-8)
        assert found.score_se == pytest.approx(estimate["se.ks"], rel=1e-8)
        assert 2 * stats.norm.sf(abs(found.statistic)) == pytest.approx(expected["pval"], rel=1e-8)
        return
    assert found.df == expected["df"]
    assert found.pvalue == pytest.approx(expected["pval"], rel=10 * rel)
    assert (found.slope, found.slope_se) == pytest.approx((estimate["bias"], estimate["se.bias"]), rel=rel)
    if "tau2" in expected:  # meta calls the dispersion of Egger's test so, too
        tau2 = found.tau2 if name == "Thompson" else found.dispersion
        assert tau2 == pytest.approx(expected["tau2"], rel=rel, abs=1e-9)


@pytest.mark.parametrize("name", METAMISC_NAMES)
def test_reference_fat(name):
    found, expected = run(METAMISC_NAMES[name], fibrinogen()), ASYMMETRY["fat"][0]["tests"][name]
    assert found.df == expected["df"]
    assert (found.statistic, found.pvalue) == pytest.approx((expected["tval"], expected["pval"]), rel=1e-8)
    assert (found.intercept, found.slope) == pytest.approx(tuple(expected["coef"]), rel=1e-8)
    assert (found.intercept_se, found.slope_se) == pytest.approx(tuple(expected["se"]), rel=1e-8)


@pytest.mark.parametrize("case", LIMITS, ids=name_of)
def test_reference_limit(case):
    y, v, expected = np.array(case["yi"]), np.array(case["vi"]), case["output"]
    found = limit_meta_analysis(y, v, np.array(expected["tau"] ** 2))  # given tau2 all is in closed form
    assert found.estimate == pytest.approx(expected["TE_adjust"], rel=1e-8)
    assert found.se == pytest.approx(expected["seTE_adjust"], rel=1e-8)
    assert found.slope == pytest.approx(expected["alpha_r"], rel=1e-8)
    assert found.intercept == pytest.approx(expected["beta_r"], rel=1e-8)
    assert found.q == pytest.approx(expected["Q"], rel=1e-8)
    assert found.q_residual == pytest.approx(expected["Q_resid"], rel=1e-8)
    assert found.q - found.q_residual == pytest.approx(expected["Q_small"], abs=1e-8 * expected["Q"])
    assert found.g2 == pytest.approx(expected["G2"], rel=1e-8, abs=1e-12)
    low, high = limits(found.estimate, found.se, np.inf, 0.95)
    assert (low, high) == pytest.approx((expected["lower"], expected["upper"]), rel=1e-8)
    assert 2 * stats.norm.sf(abs(found.estimate / found.se)) == pytest.approx(expected["pval"], rel=1e-8)


# --- a second implementation --------------------------------------------------------------------------------


@given(some_studies())
def test_egger_equals_the_regression_of_the_radial_plot(study):
    """Egger's own form: y / se on 1 / se, without weights; his intercept is our slope."""
    y, v = study
    x = 1 / np.sqrt(v)
    radial = stats.linregress(x, y * x)
    found = run("egger", Studies(y, v))
    assert found.slope == pytest.approx(radial.intercept, rel=1e-6, abs=1e-8)
    assert found.intercept == pytest.approx(radial.slope, rel=1e-6, abs=1e-8)
    assert found.slope_se == pytest.approx(radial.intercept_stderr, rel=1e-6)
    assert found.intercept_se == pytest.approx(radial.stderr, rel=1e-6)


@given(some_studies())
def test_mixed_equals_the_normal_equations(study):
    y, v = study
    found = run("mixed_t", Studies(y, v))
    beta, covariance, _ = least_squares(y, np.sqrt(v), 1 / (v + found.tau2), scale=1.0)
    assert (found.intercept, found.slope) == pytest.approx(tuple(beta), rel=1e-6, abs=1e-8)
    assert found.slope_se == pytest.approx(np.sqrt(covariance[1, 1]), rel=1e-7)
    assert found.pvalue == pytest.approx(2 * stats.t.sf(abs(found.statistic), y.size - 2))
    assert run("mixed", Studies(y, v)).statistic == found.statistic


TABLES = Studies(
    np.array([-0.31, 0.22, -0.85, 0.05, -0.4]),
    np.array([0.11, 0.34, 0.27, 0.05, 0.61]),
    (np.array([15.0, 6, 4, 60, 2]), np.array([20.0, 5, 9, 58, 3])),
    (np.array([60.0, 25, 31, 210, 12]), np.array([61.0, 27, 28, 205, 14])),
)


def papers():
    """Predictor and weights of each test for the tables above, written out."""
    (d1, d2), (n1, n2) = TABLES.n_events, TABLES.n_total
    d, n = d1 + d2, n1 + n2
    effective = 4 * n1 * n2 / n
    return {
        "peters": (1 / n, d * (1 - d / n)),
        "macaskill_pooled": (n, d * (1 - d / n)),
        "debray_fav": (1 / d, d1 * d2 / d),
        "deeks": (1 / np.sqrt(effective), effective),
        "egger_unweighted": (np.sqrt(TABLES.variance), np.ones(5)),
    }


@pytest.mark.parametrize("method", papers())
def test_weights_are_those_of_the_papers(method):
    x, weight = papers()[method]
    beta, covariance, dispersion = least_squares(TABLES.estimate, x, weight)
    found = run(method, TABLES)
    assert (found.intercept, found.slope) == pytest.approx(tuple(beta), rel=1e-9)
    assert (found.intercept_se, found.slope_se) == pytest.approx(
        tuple(np.sqrt(np.diag(covariance))), rel=1e-9
    )
    assert found.dispersion == pytest.approx(dispersion, rel=1e-9)


def test_schwarzer_equals_the_distribution_of_fisher():
    (a, c), (n1, n2) = TABLES.n_events, TABLES.n_total
    n = n1 + n2
    odds_ratio = (a * (n2 - c) / n).sum() / (c * (n1 - a) / n).sum()
    margins = zip(n, n1, a + c, strict=True)
    laws = [stats.nchypergeom_fisher(*map(int, margin), odds_ratio) for margin in margins]
    variance = np.array([law.var() for law in laws])
    deviate = (a - np.array([law.mean() for law in laws])) / np.sqrt(variance)
    expected = stats.kendalltau(deviate, 1 / variance, method="asymptotic")
    found = run("schwarzer", TABLES)
    assert (found.rank_correlation, found.pvalue) == pytest.approx((expected.statistic, expected.pvalue))
    assert not found.exact


@pytest.mark.parametrize("seed", range(12))
def test_begg_standardises_by_what_the_mean_leaves(seed):
    rng = np.random.default_rng(seed)
    y, v = rng.standard_normal(8), rng.choice([0.05, 0.2, 0.5], 8)  # equal variances, but no equal studies
    w = 1 / v
    deviate = (y - w @ y / w.sum()) / np.sqrt(v - 1 / w.sum())
    expected = stats.kendalltau(deviate, v, method="asymptotic")
    found = run("begg", Studies(y, v))
    assert (found.rank_correlation, found.pvalue) == pytest.approx((expected.statistic, expected.pvalue))


def test_begg_without_ties_is_exact():
    y, v = TABLES.estimate, TABLES.variance
    w = 1 / v
    deviate = (y - w @ y / w.sum()) / np.sqrt(v - 1 / w.sum())
    expected = stats.kendalltau(deviate, v, method="exact")
    found = run("begg", TABLES)
    assert (found.rank_correlation, found.pvalue) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.exact


# --- properties --------------------------------------------------------------------------------------------


def batch(n=25, k=9, seed=11):
    """Tables, some absent, with whatever they hold there."""
    rng = np.random.default_rng(seed)
    total = tuple(rng.integers(20, 400, (n, k)).astype(float) for _ in range(2))
    events = tuple(np.clip(rng.binomial(arm.astype(int), 0.3), 1, arm - 1).astype(float) for arm in total)
    cells = [events[0], total[0] - events[0], events[1], total[1] - events[1]]
    y, v = np.log(cells[0] * cells[3] / (cells[1] * cells[2])), sum(1 / cell for cell in cells)
    v[rng.random((n, k)) < 0.25] = np.inf
    v[:, :4] = np.where(np.isinf(v[:, :4]), 0.1, v[:, :4]) * np.arange(1, 5)
    y[np.isinf(v)] = 1e200
    return Studies(y, v, events, total)


def subset(studies, i, kept):
    arms = (tuple(arm[i, kept] for arm in arms) for arms in (studies.n_events, studies.n_total))
    return Studies(studies.estimate[i, kept], studies.variance[i, kept], *arms)


@pytest.mark.parametrize("method", ASYMMETRY_METHODS)
def test_a_batch_is_a_loop_and_absent_studies_are_absent(method):
    studies = batch()
    together = run(method, studies)
    for i in range(len(studies.estimate)):
        alone = run(method, subset(studies, i, np.isfinite(studies.variance[i])))
        for field in (
            "statistic",
            "df",
            "pvalue",
            "slope",
            "intercept",
            "tau2",
            "score",
            "exact",
            "converged",
        ):
            value = np.broadcast_to(getattr(together, field), (25,))[i]
            np.testing.assert_allclose(value, getattr(alone, field), rtol=1e-7, atol=1e-12, err_msg=field)


def test_limits_of_a_batch_are_those_of_a_loop():
    studies = batch()
    y, v = studies.estimate, studies.variance
    tau2 = np.linspace(0.0, 0.4, len(y))
    together = limit_meta_analysis(y, v, tau2)
    for i in range(len(y)):
        kept = np.isfinite(v[i])
        alone = limit_meta_analysis(y[i, kept], v[i, kept], tau2[i])
        for field in ("estimate", "se", "slope", "intercept", "q", "q_residual", "g2"):
            assert getattr(together, field)[i] == pytest.approx(float(getattr(alone, field)), rel=1e-9)
        np.testing.assert_allclose(together.study[i, kept], alone.study, rtol=1e-9)
        assert np.isnan(together.study[i, ~kept]).all()


@pytest.mark.parametrize("method", ["egger", "mixed", "begg"])
@given(study=some_studies(), shift=st.floats(-5, 5), scale=st.floats(0.1, 10))
def test_a_shift_and_a_change_of_unit_leave_the_statistic(method, study, shift, scale):
    y, v = study
    before, after = run(method, Studies(y, v)), run(method, Studies(shift + scale * y, scale**2 * v))
    if np.abs(before.slope_se if method != "begg" else 1.0) > 1e-8:
        assert after.statistic == pytest.approx(float(before.statistic), rel=1e-4, abs=1e-4)
        if method != "begg":
            assert after.slope == pytest.approx(float(before.slope), rel=1e-4, abs=1e-6)


def test_a_tiny_pvalue_is_a_number():
    v = np.linspace(0.01, 1, 40)
    y = 8 * np.sqrt(v) + 0.01 * np.sin(np.arange(40))
    assert 0 < run("egger", Studies(y, v)).pvalue < 1e-80
    assert 0 < run("mixed", Studies(y, v)).pvalue < 1e-80


def test_studies_of_one_size_have_no_slope():
    found = run("egger", Studies(np.array([0.1, 0.4, 0.2]), np.full(3, 0.04)))
    assert np.isnan([found.statistic, found.pvalue, found.slope]).all()
    assert np.isnan(limit_meta_analysis(np.array([0.1, 0.4, 0.2]), np.full(3, 0.04), np.array(0.01)).estimate)


def test_effects_on_a_line_have_no_error():
    se = np.array([0.1, 0.2, 0.4, 0.5])
    found = run("egger", Studies(0.3 + 2 * se, se**2))
    assert found.slope == pytest.approx(2)
    assert np.isnan([found.slope_se, found.statistic, found.pvalue, found.dispersion]).all()


def test_begg_keeps_ties_and_one_ruling_study():
    """Equal studies must stay equal; the deviate of a study that makes the mean must not be rounding."""
    y, v = np.array([0.3, 0.1, 0.3, 0.7, -0.2]), np.array([0.2, 1e-30, 0.2, 0.5, 0.3])
    found = run("begg", Studies(y, v))
    # the mean is that of the second study, whose own deviate is sum w (y2 - y) / sqrt(sum w) over the others
    w = 1 / v[[0, 2, 3, 4]]
    own = (w @ (y[1] - y[[0, 2, 3, 4]])) / np.sqrt(w.sum())
    deviate = (y - y[1]) / np.sqrt(v)
    deviate[1] = own
    expected = stats.kendalltau(deviate, v, method="asymptotic")
    assert (found.rank_correlation, found.pvalue) == pytest.approx((expected.statistic, expected.pvalue))
    assert not found.exact


@pytest.mark.parametrize("k", [5, 6, 7])
def test_identical_effects_are_not_tested(k):
    studies = Studies(np.full(k, 0.1), np.arange(1.0, k + 1) / 100)
    for method in ("begg", "egger", "egger_unweighted"):
        found = run(method, studies)
        assert np.isnan([found.statistic, found.pvalue]).all()
    assert np.isnan(run("begg", studies).rank_correlation)


@given(some_studies())
def test_without_heterogeneity_the_limit_is_the_intercept_of_egger(study):
    y, v = study
    found, egger = limit_meta_analysis(y, v, np.zeros(())), run("egger", Studies(y, v))
    assert found.estimate == pytest.approx(float(egger.intercept), rel=1e-9, abs=1e-12)
    assert found.q_residual == pytest.approx(float(egger.dispersion) * (y.size - 2), rel=1e-9)
    assert found.g2 == pytest.approx(0, abs=1e-12)


def test_the_mixed_line_of_the_common_effect_is_egger_without_dispersion():
    y, v = TABLES.estimate, TABLES.variance
    mixed, egger = run("mixed", Studies(y, v), tau2_method="CE"), run("egger", Studies(y, v))
    assert mixed.slope == egger.slope
    assert egger.slope_se == pytest.approx(mixed.slope_se * np.sqrt(egger.dispersion))
    assert mixed.tau2 == 0
