import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.kernels.log_hazard_ratio import rounding_variance, se_from_pvalue, se_from_width

REFERENCE = json.loads((Path(__file__).parents[1] / "references" / "log_hazard_ratio.json").read_text())


@pytest.mark.parametrize("case", REFERENCE["from_ci"], ids=lambda c: f"HR {c['hr']}")
def test_reference_se_from_an_interval(case):
    width = math.log(case["upper"]) - math.log(case["lower"])
    assert se_from_width(width, case["level"]) == pytest.approx(case["se"], rel=1e-12)


def test_reference_variance_from_metafor():
    lower, upper, variance = (
        np.array([case[name] for case in REFERENCE["conv_wald"]]) for name in ("lower", "upper", "variance")
    )
    assert se_from_width(np.log(upper) - np.log(lower), 0.95) ** 2 == pytest.approx(variance, rel=1e-12)


def test_reference_se_from_a_pvalue():
    p, log_hr, se = (np.array([case[name] for case in REFERENCE["from_p"]]) for name in ("p", "log_hr", "se"))
    assert se_from_pvalue(log_hr, p) == pytest.approx(se, rel=1e-9)


# Royston P, Parmar MKB (2013), BMC Med Res Methodol 13:152, Table 6, https://doi.org/10.1186/1471-2288-13-152: events,
# logrank p, half the unit of its last digit, and Cox HR of four trials of two arms of one size, where the standard
# error is near 2 / sqrt(events). It lies within what the rounding of p and of the ratio leaves.
@pytest.mark.parametrize(
    ("events", "p", "half", "hr"),
    [(188, 0.3, 0.05, 1.16), (483, 0.07, 0.005, 0.85), (417, 0.04, 0.005, 0.82), (655, 0.03, 0.005, 0.85)],
)
def test_published_trials(events, p, half, hr):
    near, far = sorted(abs(math.log(hr + d)) for d in (-0.005, 0.005))
    assert se_from_pvalue(near, p - half) <= 2 / math.sqrt(events) <= se_from_pvalue(far, p + half)


@given(
    st.floats(-3, 3).filter(lambda x: abs(x) > 1e-3),
    st.floats(0.05, 2),
    st.sampled_from([0.8, 0.9, 0.95, 0.99]),
)
def test_interval_and_pvalue_of_one_wald_test_agree(log_hr, se, level):
    """Both routes give back the standard error that an interval and a p-value were made from."""
    z = math.sqrt(2) * _erfinv(level)
    assert se_from_width(2 * z * se, level) == pytest.approx(se, rel=1e-9)
    p = math.erfc(abs(log_hr) / se / math.sqrt(2))
    if p > 1e-300:
        assert se_from_pvalue(log_hr, p) == pytest.approx(se, rel=1e-6)


def _erfinv(y):
    """Inverse of math.erf by bisection."""
    low, high = 0.0, 6.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if math.erf(middle) < y else (low, middle)
    return low


def test_rounding_variance_is_that_of_a_uniform_error():
    """Second implementation: the variance of ln(HR) over a fine grid of what a printed 2.0 may stand for."""
    grid = np.linspace(1.95, 2.05, 200_001)
    assert rounding_variance(2.0, 0.1) == pytest.approx(np.log(grid).var(), rel=1e-3)


def test_everything_broadcasts():
    assert rounding_variance(np.ones((3, 1)), np.ones(2)).shape == (3, 2)
    assert se_from_width(np.ones((3, 2)), 0.95).shape == (3, 2)
    assert se_from_pvalue(np.ones((3, 1)), np.full(2, 0.05)).shape == (3, 2)
