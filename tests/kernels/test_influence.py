import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import chi2

from netsynth.kernels.influence import influence, shrunken, thresholds
from netsynth.kernels.intervals import CI_METHODS, limits
from netsynth.kernels.tau2 import TAU2_ESTIMATORS

REFERENCES = Path(__file__).parents[1] / "references"
REFERENCE = json.loads((REFERENCES / "influence.json").read_text(encoding="utf-8"))
METAFOR = {"EE": "CE", "z": "wald", "t": "t", "knha": "HK", "adhoc": "mHK"}


def fitted(y, v, method, ci_method):
    estimator = TAU2_ESTIMATORS[method]
    return influence(y, v, np.asarray(estimator(y, v).tau2), estimator, CI_METHODS[ci_method])


@st.composite
def studies(draw):
    k = draw(st.integers(3, 9))
    v = np.exp(np.array(draw(st.lists(st.floats(-5, 1), min_size=k, max_size=k))))
    z = np.array(draw(st.lists(st.floats(-4, 4), min_size=k, max_size=k)))
    return z * np.sqrt(v + draw(st.sampled_from([0.0, 0.3, 5.0]))) + 0.1 * np.arange(k), v


# --- reference ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", REFERENCE["influence"], ids=lambda case: case["id"])
def test_reference_influence(case):
    y, v = (np.array(case["input"][name]) for name in ("yi", "vi"))
    method = METAFOR.get(case["options"]["method"], case["options"]["method"])
    found, output = fitted(y, v, method, METAFOR[case["options"]["test"]]), case["output"]
    # differences of two means carry the rounding of both, about 1e-15 of the effects
    rel, abs_ = (1e-6, 1e-9) if method == "REML" else (1e-8, 1e-12)
    expected = output["influence"]
    pairs = {
        "rstudent": found.deleted_residual / found.deleted_residual_se,
        "dffits": found.dffits,
        "cook.d": found.cook_distance,
        "cov.r": found.cov_ratio,
        "tau2.del": found.tau2_deleted,
        "QE.del": found.q_deleted,
        "hat": found.hat,
        "weight": 100 * found.hat,
    }
    assert set(pairs) == set(expected)
    for name, got in pairs.items():
        np.testing.assert_allclose(got, expected[name], rtol=rel, atol=abs_, err_msg=name)
    np.testing.assert_allclose(found.dfbetas, output["dfbs"], rtol=rel, atol=abs_)
    for name, residual, se in (
        ("rstandard", found.residual, found.residual_se),
        ("rstudent", found.deleted_residual, found.deleted_residual_se),
    ):
        np.testing.assert_allclose(residual, output[name]["resid"], rtol=rel, atol=abs_)
        np.testing.assert_allclose(se, output[name]["se"], rtol=rel)
        np.testing.assert_allclose(residual / se, output[name]["z"], rtol=rel, atol=1e-9)
    if "baujat" in output:
        np.testing.assert_allclose(found.baujat_q, output["baujat"]["x_QE_contribution"], rtol=rel, atol=abs_)
        np.testing.assert_allclose(
            found.baujat_influence, output["baujat"]["y_influence"], rtol=rel, atol=abs_
        )


@pytest.mark.parametrize("test", ["z", "t", "knha", "adhoc"])
@pytest.mark.parametrize("case", REFERENCE["subsets"], ids=lambda case: case["id"])
def test_reference_blup(case, test):
    y, v = (np.array(case["input"][name]) for name in ("yi", "vi"))
    method = METAFOR.get(case["options"]["method"], case["options"]["method"])
    tau2, error = np.asarray(TAU2_ESTIMATORS[method](y, v).tau2), CI_METHODS[METAFOR[test]]
    found, expected = shrunken(y, v, tau2, error), case["output"]["blup"][test]
    np.testing.assert_allclose(found.estimate, expected["pred"], rtol=1e-8)
    np.testing.assert_allclose(found.se, expected["se"], rtol=1e-8)
    within = limits(found.estimate, found.se, error(y, v, tau2).df, 0.95)
    np.testing.assert_allclose(within.lower, expected["pi.lb"], rtol=1e-8)
    np.testing.assert_allclose(within.upper, expected["pi.ub"], rtol=1e-8)


@pytest.mark.parametrize("case", REFERENCE["subsets"], ids=lambda case: case["id"])
def test_reference_baujat_under_knapp_hartung(case):
    y, v = (np.array(case["input"][name]) for name in ("yi", "vi"))
    found = fitted(y, v, METAFOR.get(case["options"]["method"], case["options"]["method"]), "HK")
    expected = case["output"]["baujat"]["knha"]
    np.testing.assert_allclose(found.baujat_q, expected["x"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.baujat_influence, expected["y"], rtol=1e-6, atol=1e-9)


# --- second implementation ---------------------------------------------------------------------------------


def pm(y, v):
    def excess(tau2):
        w = 1 / (v + tau2)
        return sum(w * (y - sum(w * y) / sum(w)) ** 2) - (len(y) - 1)

    return 0.0 if excess(0.0) <= 0 else brentq(excess, 0.0, 1e4, xtol=1e-15, rtol=1e-14)


def by_matrices(y, v):
    """Diagnostics of the Knapp-Hartung model with Paule-Mandel, one study and one matrix at a time."""

    def fit(keep):
        one, yk, vk = np.ones((len(keep), 1)), y[keep], v[keep]
        tau2 = pm(yk, vk)
        W = np.diag(1 / (vk + tau2))
        bread = np.linalg.inv(one.T @ W @ one)
        b = (bread @ one.T @ W @ yk).item()
        s2 = ((yk - b) @ W @ (yk - b)) / (len(keep) - 1)
        return b, bread.item(), s2, tau2

    everyone = list(range(len(y)))
    b, bread, s2, tau2 = fit(everyone)
    rows = []
    for i in everyone:
        b_i, bread_i, s2_i, tau2_i = fit([j for j in everyone if j != i])
        hat = bread / (v[i] + tau2)
        all_at_tau2_i = np.linalg.inv(
            np.ones((1, len(y))) @ np.diag(1 / (v + tau2_i)) @ np.ones((len(y), 1))
        ).item()
        rows.append(
            (
                (y[i] - b_i) / np.sqrt(s2_i * (v[i] + tau2_i + bread_i)),
                (b - b_i) / np.sqrt(s2_i * hat * (v[i] + tau2_i)),
                (b - b_i) / np.sqrt(s2_i * all_at_tau2_i),
                (b - b_i) ** 2 / (s2 * bread),
                s2_i * bread_i / (s2 * bread),
            )
        )
    return np.array(rows).T


@given(studies())
def test_diagnostics_equal_those_by_matrices(study):
    y, v = study
    found = fitted(y, v, "PM", "HK")
    got = (
        found.deleted_residual / found.deleted_residual_se,
        found.dffits,
        found.dfbetas,
        found.cook_distance,
        found.cov_ratio,
    )
    for a, b in zip(got, by_matrices(y, v), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-8)


# --- properties --------------------------------------------------------------------------------------------


@given(studies())
def test_under_the_common_effect_deletion_has_a_closed_form(study):
    y, v = study
    found, w = fitted(y, v, "CE", "wald"), 1 / v
    h, residual = w / w.sum(), y - (w @ y) / w.sum()
    shift = h / (1 - h) * residual
    scale = np.abs(y).max() + 1.0
    np.testing.assert_allclose(y - found.deleted_residual - found.estimate_deleted, 0.0, atol=1e-12 * scale)
    np.testing.assert_allclose(
        (w @ y) / w.sum() - found.estimate_deleted, shift, rtol=1e-8, atol=1e-12 * scale
    )
    np.testing.assert_allclose(found.cov_ratio, 1 / (1 - h), rtol=1e-9)
    np.testing.assert_allclose(found.baujat_q.sum(), (w * residual**2).sum(), rtol=1e-9, atol=1e-12)
    # the two residuals standardise to the same number when nothing but the mean is refitted
    np.testing.assert_allclose(
        found.residual / found.residual_se,
        found.deleted_residual / found.deleted_residual_se,
        rtol=1e-6,
        atol=1e-8 * scale / np.sqrt(v.min()),
    )


def test_a_study_that_rules_keeps_its_digits():
    y, v = np.array([0.1, 0.5, -0.3, 0.2]), np.array([1e-18, 1.0, 1.0, 1.0])
    found = fitted(y, v, "CE", "wald")
    # the first study alone decides the mean, and the mean of the others is 0.4 / 3
    assert (found.residual / found.residual_se)[0] == pytest.approx(
        (0.1 - 0.4 / 3) / (1 / 3) ** 0.5, rel=1e-9
    )
    assert found.residual[0] == pytest.approx((0.1 - 0.4 / 3) * 3e-18, rel=1e-9)


@given(studies(), st.floats(-5, 5), st.floats(0.1, 10))
def test_diagnostics_have_no_unit(study, shift, scale):
    y, v = study
    before, after = fitted(y, v, "DL", "HK"), fitted(shift + scale * y, scale**2 * v, "DL", "HK")
    for name in ("hat", "dffits", "dfbetas", "cook_distance", "cov_ratio", "q_deleted", "baujat_q"):
        np.testing.assert_allclose(
            getattr(after, name), getattr(before, name), rtol=1e-5, atol=1e-6, err_msg=name
        )
    np.testing.assert_allclose(after.tau2_deleted, scale**2 * before.tau2_deleted, rtol=1e-6, atol=1e-8)


def test_sets_are_handled_together():
    rng = np.random.default_rng(3)
    y, v = rng.normal(size=(4, 6)), np.exp(rng.normal(size=(4, 6)))
    together = fitted(y, v, "DL", "mHK")
    for i in range(4):
        for a, b in zip(together, fitted(y[i], v[i], "DL", "mHK"), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-12)


def test_with_two_studies_what_needs_tau2_of_one_is_nan():
    found = fitted(np.array([0.1, 0.9]), np.array([0.04, 0.09]), "DL", "wald")
    for name in ("tau2_deleted", "dffits", "dfbetas", "deleted_residual_se"):
        assert np.isnan(getattr(found, name)).all()
    for name in ("hat", "cook_distance", "cov_ratio", "baujat_q", "baujat_influence", "q_deleted"):
        assert np.isfinite(getattr(found, name)).all()
    np.testing.assert_allclose(found.estimate_deleted, [0.9, 0.1])


@given(studies())
def test_shrunken_effects_lie_between_the_study_and_the_mean(study):
    y, v = study
    tau2 = np.asarray(TAU2_ESTIMATORS["DL"](y, v).tau2)
    w = 1 / (v + tau2)
    mean, found = (w @ y) / w.sum(), shrunken(y, v, tau2, CI_METHODS["wald"])
    slack = 1e-12 * (1 + np.abs(y).max())
    assert np.all(found.estimate >= np.minimum(y, mean) - slack)
    assert np.all(found.estimate <= np.maximum(y, mean) + slack)
    np.testing.assert_allclose(found.estimate - mean, tau2 / (v + tau2) * (y - mean), rtol=1e-9, atol=slack)
    if tau2 == 0:
        np.testing.assert_allclose(found.se, w.sum() ** -0.5)


def test_thresholds():
    limit = thresholds(13)
    assert limit.dffits == pytest.approx(3 / 12**0.5)
    assert chi2.cdf(limit.cook_distance, 1) == pytest.approx(0.5)
    assert (limit.hat, limit.dfbetas) == (3 / 13, 1.0)
