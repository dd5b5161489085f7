import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsynth.kernels.silent_results import Silent, held_interval, silent_limits

Z = 1.959963984540054


def silent(*rows):
    """Rows of (centre, lowest, highest, se_low, se_high)."""
    return Silent(*np.array(rows, dtype=float).reshape(-1, 5).T)


def test_one_study_and_one_of_unknown_size_on_paper():
    # 25 (0.5 - m) + z^2 / (4 m) = 0 above, 25 (0.5 + m) = z^2 / (4 m) at -m below
    root = math.sqrt(0.25 + Z**2 / 25)
    found = silent_limits(np.array([0.5]), np.array([0.04]), silent((0, -Z, Z, 0, np.inf)), 0.0)
    assert found == pytest.approx((0.25 - root / 2, 0.25 + root / 2), abs=1e-12)


def test_a_known_error_is_the_mean_with_the_end_of_its_reach():
    y, v = np.array([0.5, 0.2]), np.array([0.04, 0.09])
    found = silent_limits(y, v, silent((0, -Z, Z, 0.3, 0.3)), 0.01)
    w = 1 / (np.append(v, 0.09) + 0.01)
    expected = [w @ np.append(y, end) / w.sum() for end in (-Z * 0.3, Z * 0.3)]
    assert found == pytest.approx(expected, abs=1e-12)
    ends = silent_limits(y, v, silent((0, -Z, Z, 0.3, 0.3)), 0.01, Z)
    half = Z / math.sqrt(w.sum())
    assert ends == pytest.approx((expected[0] - half, expected[1] + half), abs=1e-6)


def test_no_silent_study_is_the_mean_itself():
    y, v = np.array([0.5, 0.2]), np.array([0.04, 0.09])
    w = 1 / (v + 0.02)
    assert silent_limits(y, v, silent(), 0.02) == pytest.approx([w @ y / w.sum()] * 2, abs=1e-12)
    low, high = silent_limits(y, v, silent(), 0.02, Z)
    assert (low, high) == pytest.approx(
        (w @ y / w.sum() - Z / math.sqrt(w.sum()), w @ y / w.sum() + Z / math.sqrt(w.sum())), abs=1e-6
    )


se_limits = st.tuples(st.floats(0.05, 1.0), st.floats(0.0, 2.0)).map(lambda x: (x[0], x[0] + x[1]))
kinds = st.one_of(
    se_limits.map(lambda s: (0.0, -Z, Z, *s)),
    se_limits.map(lambda s: (0.0, 0.0, Z, *s)),
    se_limits.map(lambda s: (0.0, 0.6, 0.9, *s)),
    st.tuples(st.floats(-1, 1), se_limits).map(lambda x: (x[0], 0.0, 0.0, *x[1])),
)


@settings(deadline=None)
@given(
    y=st.lists(st.floats(-1, 1), min_size=1, max_size=3),
    rows=st.lists(kinds, min_size=1, max_size=3),
    tau2=st.sampled_from([0.0, 0.02, 0.5]),
    critical=st.sampled_from([0.0, Z, 4.3]),
    seed=st.integers(0, 2**31),
)
def test_no_choice_leads_outside_and_the_best_of_many_comes_near(y, rows, tau2, critical, seed):
    rng = np.random.default_rng(seed)
    y, missing = np.array(y), silent(*rows)
    v = rng.uniform(0.01, 0.3, y.size)
    low, high = silent_limits(y, v, missing, tau2, critical)
    n, q = 20_000, len(rows)
    # errors anywhere in their limits or at an end; distances at the ends, where extremes must lie, or inside
    share = rng.choice([0.0, 1.0, 0.5], (n, q)) * 1.0
    inside = rng.random((n, q))
    share = np.where(share == 0.5, inside, share)
    s = missing.se_low + share * (missing.se_high - missing.se_low)
    u = np.where(rng.random((n, q)) < 0.5, missing.lowest, missing.highest)
    w, known = 1 / (s**2 + tau2), 1 / (v + tau2)
    total = w.sum(1) + known.sum()
    mean = ((w * (missing.centre + u * s)).sum(1) + known @ y) / total
    ends = mean - critical / np.sqrt(total), mean + critical / np.sqrt(total)
    assert low <= ends[0].min() + 1e-6
    assert high >= ends[1].max() - 1e-6
    if not critical:  # the limits of the mean are reached
        assert ends[0].min() == pytest.approx(low, abs=0.03)
        assert ends[1].max() == pytest.approx(high, abs=0.03)


def test_a_mirror_image_has_mirrored_limits():
    y, v = np.array([0.5, -0.1]), np.array([0.04, 0.09])
    one = silent_limits(y, v, silent((0, 0, Z, 0.1, np.inf), (0.2, 0, 0, 0.2, 0.4)), 0.03, Z)
    other = silent_limits(-y, v, silent((0, -Z, 0, 0.1, np.inf), (-0.2, 0, 0, 0.2, 0.4)), 0.03, Z)
    assert (one.lower, one.upper) == pytest.approx((-other.upper, -other.lower), abs=1e-9)


def test_more_is_known_when_the_study_is_known_to_be_larger_or_the_direction_is_told():
    y, v = np.array([0.5, 0.3]), np.array([0.04, 0.09])
    wide = silent_limits(y, v, silent((0, -Z, Z, 0.1, np.inf)), 0.02)
    small = silent_limits(y, v, silent((0, -Z, Z, 0.4, np.inf)), 0.02)
    worse = silent_limits(y, v, silent((0, 0, Z, 0.1, np.inf)), 0.02)
    assert wide.lower < small.lower < small.upper <= wide.upper
    assert wide.lower < worse.lower
    assert worse.upper == pytest.approx(wide.upper, abs=1e-12)


def test_an_interval_with_tau2_held_is_the_weighted_mean_and_the_root_of_the_weights():
    # weights 1 / (0.04 + 0.06) = 10 and 1 / (0.19 + 0.06) = 4: mean 4.2 / 14, error 1 / sqrt(14)
    low, high = held_interval(np.array([0.5, -0.2]), np.array([0.04, 0.19]), np.array([0.06]), 2.0)
    assert (low, high) == pytest.approx((0.3 - 2 / math.sqrt(14), 0.3 + 2 / math.sqrt(14)), abs=1e-12)
    one = [
        held_interval(np.array([0.5, -0.2]), np.array([0.04, 0.19]), np.array([t]), 2.0) for t in (0.0, 0.3)
    ]
    both = held_interval(np.array([0.5, -0.2]), np.array([0.04, 0.19]), np.array([0.0, 0.3]), 2.0)
    assert both == (min(x.lower for x in one), max(x.upper for x in one))
