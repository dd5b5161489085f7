import json
from pathlib import Path

import numpy as np
import pytest

from netsynth.kernels.heterogeneity import h2_interval, i2_from_h2, q_statistic, typical_variance

REFERENCES = Path(__file__).parents[1] / "references"
META = json.loads((REFERENCES / "random_effects_meta.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("data", META, ids=lambda data: data["dataset"])
def test_reference_intervals_of_h_and_i2(data):
    y, v = np.array(data["yi"]), np.array(data["sei"]) ** 2
    h2 = h2_interval(q_statistic(y, v), y.size - 1, 0.95)
    for fit in data["fits"].values():
        assert tuple(map(float, np.sqrt(h2))) == pytest.approx(tuple(fit["H_ci"]), rel=1e-8)
        assert tuple(i2_from_h2(np.asarray(h2))) == pytest.approx(tuple(fit["I2_ci"]), rel=1e-8, abs=1e-12)


def test_published_sbp_interval_of_i2():
    # Riley, Higgins & Deeks (2011), BMJ 342:d549: Q = 30.48438 on 9 df, I2 70.5%; by the formula 43.5 to 84.6%.
    limits = 100 * i2_from_h2(np.asarray(h2_interval(np.asarray(30.48438), 9, 0.95)))
    assert tuple(limits) == pytest.approx((43.5, 84.6), abs=0.051)


def test_few_studies_and_no_excess():
    lower, upper = h2_interval(np.array([0.5, 9.0, 0.0, 3.0]), np.array([1, 1, 0, 5]), 0.95)
    assert np.isnan(lower[[0, 2]]).all()  # two studies that agree, and a single one
    assert np.isfinite(lower[1])
    assert lower[3] == 1 < upper[3]


def test_typical_variance_is_that_of_the_formula_of_higgins_and_thompson():
    v = np.array([0.1, 0.3, 0.2, 1.5])
    w = 1 / v
    assert typical_variance(v) == pytest.approx(3 * w.sum() / (w.sum() ** 2 - (w**2).sum()), rel=1e-12)
    x = np.column_stack([np.ones(4), [0.0, 1.0, 2.0, 4.0]])
    p = np.diag(w) - np.diag(w) @ x @ np.linalg.inv(x.T @ np.diag(w) @ x) @ x.T @ np.diag(w)
    assert typical_variance(v, x) == pytest.approx(2 / np.trace(p), rel=1e-10)
    assert np.isnan(typical_variance(v[:1]))
