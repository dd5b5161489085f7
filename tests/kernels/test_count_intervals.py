"""Intervals of one proportion or rate."""

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logit
from scipy.stats import norm, poisson

from netsynth.kernels.count_intervals import PROPORTION_INTERVALS, ProportionInterval, garwood, wilson

CASES = json.loads(
    (Path(__file__).parents[1] / "references" / "count_intervals.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["method"])
def test_reference_meta(case):
    limits = PROPORTION_INTERVALS[case["method"]](case["xi"], case["ni"], 0.95)
    with np.errstate(divide="ignore"):
        lower, upper = logit(limits.lower), logit(limits.upper)
    np.testing.assert_allclose(lower, np.array(case["lower"], dtype=float), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(upper, np.array(case["upper"], dtype=float), rtol=1e-9, atol=1e-12)


def test_every_name_is_reachable_and_checked():
    assert (
        set(get_args(ProportionInterval)) == set(PROPORTION_INTERVALS) == {case["method"] for case in CASES}
    )


@given(n=st.integers(1, 400), share=st.floats(0, 1), level=st.floats(0.5, 0.999))
def test_wilson_ends_are_as_far_as_its_quantile(n, share, level):
    x = round(share * n)
    limits = wilson(x, n, level)
    for end in limits:
        if 0 < end < 1:
            distance = (x / n - end) / (end * (1 - end) / n) ** 0.5
            assert abs(distance) == pytest.approx(norm.isf((1 - level) / 2), rel=1e-6)


@pytest.mark.parametrize("method", PROPORTION_INTERVALS)
@given(n=st.integers(1, 300), share=st.floats(0, 1))
def test_counting_the_others_turns_the_interval_round(method, n, share):
    x = round(share * n)
    one, other = (PROPORTION_INTERVALS[method](count, n, 0.95) for count in (x, n - x))
    assert one.lower == pytest.approx(1 - other.upper, abs=1e-12)
    assert 0 <= one.lower <= one.upper <= 1


@given(x=st.integers(0, 300), time=st.floats(0.1, 1e4))
def test_garwood_inverts_the_poisson_tails(x, time):
    lower, upper = garwood(x, time, 0.9)
    assert poisson.cdf(x, upper * time) == pytest.approx(0.05, rel=1e-8)
    if x:
        assert poisson.sf(x - 1, lower * time) == pytest.approx(0.05, rel=1e-8)
    else:
        assert lower == 0
