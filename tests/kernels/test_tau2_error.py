import json
from pathlib import Path

import numpy as np
import pytest

from netsynth.kernels.tau2 import TAU2_ESTIMATORS
from netsynth.kernels.tau2_error import tau2_se

REFERENCES = Path(__file__).parents[1] / "references"
RANDOM_EFFECTS = json.loads((REFERENCES / "random_effects.json").read_text(encoding="utf-8"))
META_REGRESSION = json.loads((REFERENCES / "tau2_meta_regression.json").read_text(encoding="utf-8"))
FITS = [(data, method) for data in RANDOM_EFFECTS for method in data["fits"] if len(data["yi"]) > 1]


@pytest.mark.parametrize(
    ("data", "method"), FITS, ids=[f"{data['dataset']}-{method}" for data, method in FITS]
)
def test_reference(data, method):
    y, v, fit = np.array(data["yi"]), np.array(data["vi"]), data["fits"][method]
    got = tau2_se(method, y, v, np.asarray(fit["tau2"]), weight=1 / v)
    if method == "CE" or (method == "SJ" and np.ptp(y) == 0):
        assert np.isnan(got) or got == 0
    else:
        assert got == pytest.approx(fit["se_tau2"], rel=1e-8)


@pytest.mark.parametrize("case", META_REGRESSION, ids=lambda case: case["dataset"])
def test_reference_with_moderators(case):
    y, v = np.array(case["yi"]), np.array(case["vi"])
    design = np.column_stack([np.ones(y.size), *case["mods"].values()])
    for method, fit in case["fits"].items():
        if method != "CE":
            got = tau2_se(method, y, v, np.asarray(fit["tau2"]), design)
            assert got == pytest.approx(fit["se_tau2"], rel=1e-8)


@pytest.mark.parametrize("method", ["DL", "DL2", "HE", "HS", "HSk", "GENQ", "REML", "PM"])
def test_it_is_the_spread_of_the_estimate_when_studies_are_many(method):
    # SJ is left out: its formula takes the first guess, which varies with the data, as known.
    # 400 studies and tau2 well above 0: the estimator is nearly normal, and its spread can be simulated.
    rng = np.random.default_rng(11)
    v = rng.uniform(0.05, 0.4, 400)
    y = rng.standard_normal((600, 400)) * np.sqrt(v + 0.3)
    estimates = TAU2_ESTIMATORS[method](y, np.broadcast_to(v, y.shape)).tau2
    # the standard error of a standard deviation of 600 values is 2.9%, and PM's formula is for equal sizes
    assert tau2_se(method, y[0], v, np.asarray(0.3)) == pytest.approx(estimates.std(), rel=0.12)


@pytest.mark.parametrize("method", TAU2_ESTIMATORS)
def test_batches_absent_studies_and_one_study(method):
    rng = np.random.default_rng(5)
    y, v = rng.standard_normal((4, 6)), rng.uniform(0.1, 1, (4, 6))
    v[1, 2], y[1, 2] = np.inf, 1e150
    tau2 = np.array([0.1, 0.2, 0.0, 0.5])
    together = tau2_se(method, y, v, tau2)
    there = np.isfinite(v[1])
    alone = tau2_se(method, y[1][there], v[1][there], tau2[1])
    np.testing.assert_allclose(together[1], alone, rtol=1e-10)
    assert np.isnan(tau2_se(method, y[0, :1], v[0, :1], np.asarray(0.0)))


@pytest.mark.parametrize("scale", [1e-120, 1e120])
@pytest.mark.parametrize("method", TAU2_ESTIMATORS)
def test_a_change_of_unit(method, scale):
    y, v, tau2 = np.array([0.1, 0.9, -0.4, 0.3]), np.array([0.04, 0.1, 0.09, 0.3]), np.asarray(0.2)
    with np.errstate(all="raise"):
        got = tau2_se(method, scale * y, scale**2 * v, scale**2 * tau2)
    expected = scale**2 * tau2_se(method, y, v, tau2)
    assert got == pytest.approx(expected, rel=1e-10, nan_ok=True)
