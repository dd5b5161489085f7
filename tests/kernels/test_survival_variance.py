import json
from itertools import permutations
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.kernels.survival_variance import (
    SCALES,
    SurvivalScale,
    detect_scale,
    detected_se,
    imputed_variance,
    interval,
    limit_without_events,
    reported_variance,
    se_from_ci,
    variance_at_risk,
    variance_bounds,
)


def kaplan_meier(order, n):
    """Survival, Greenwood's variance and the number at risk after each of the first to leave, one at a time.

    `order` has True for a death and False for a loss.
    """
    survival, greenwood, found = 1.0, 0.0, []
    for i, dies in enumerate(order):
        at_risk = n - i
        if dies:
            survival *= (at_risk - 1) / at_risk
            greenwood += 1 / (at_risk * (at_risk - 1)) if at_risk > 1 else np.inf
        found.append((survival, survival**2 * greenwood if survival else np.nan, at_risk - 1))
    return np.array(found).T


# Freireich's 6-MP arm (1963), in order of time, losses after deaths at the same time: weeks 6 6 6 6+ 7 9+ 10 10+
# 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+
SIX_MP = [fate == "d" for fate in "dddldldllddllldd"]  # died or lost, as far as week 23


def six_mp(week):
    """Survival and Greenwood's standard error at week 10 (after 7 left) or 23 (after 16)."""
    survival, variance, _ = kaplan_meier(SIX_MP, 21)
    last = {10: 6, 23: 15}[week]
    return survival[last], variance[last] ** 0.5


# R 4.2, survfit(Surv(t, d) ~ 1, conf.type = ...) at weeks 10 and 23
SIX_MP_LIMITS = {
    "plain": ((0.5641, 0.9418), (0.1844, 0.7120)),
    "log": ((0.5859, 0.9676), (0.2488, 0.8074)),
    "log-log": ((0.5032, 0.8894), (0.1881, 0.6801)),
    "logit": ((0.5248, 0.8937), (0.2185, 0.7024)),
    "arcsine": ((0.5462, 0.9119), (0.2037, 0.7069)),
}


def test_published_greenwood_of_two_steps():
    # 1 of 29 and 2 of 27 die, one is lost between: S = 0.894, standard deviation 0.0579 (a course of biostatistics).
    # Deaths that come first in their stretch make the lower end of the interval exact.
    s = [28 / 29, 28 / 29 * 25 / 27]
    found = reported_variance(s, 29, [27, 25])
    assert s[1] == pytest.approx(0.8940, abs=5e-5)
    assert found.lower[1] ** 0.5 == pytest.approx(0.0579, abs=5e-5)


def test_published_without_losses_the_interval_is_a_point():
    # control arm of the 6-MP trial, 8 of 21 in remission at week 10: 0.381, standard error 0.106
    lower, upper = variance_bounds(8 / 21, 21, 8)
    assert lower.item() ** 0.5 == pytest.approx(0.106, abs=5e-4)
    assert upper.item() == pytest.approx(lower.item(), rel=1e-12)
    assert variance_at_risk(8 / 21, 21, 8).item() == pytest.approx(lower.item(), rel=1e-12)


def test_published_curve_of_the_second_implementation():
    # Bewick, Cheek, Ball (2004), Crit Care 8:389-394, https://doi.org/10.1186/cc2955: 1 1 4 5 6+ 9 9+ 22
    survival = kaplan_meier([True, True, True, True, False, True, False, True], 8)[0]
    assert survival[[1, 2, 3, 5, 7]] == pytest.approx([0.75, 0.625, 0.5, 0.333, 0], abs=5e-4)


@pytest.mark.parametrize(
    ("survival", "n", "m", "printed_se", "lower", "upper"),
    [
        # primary biliary cirrhosis trial at 5 and 10 years: D-penicillamine, placebo
        (0.699, 158, 82, 0.03845, 0.03649, 0.04235),
        (0.372, 158, 8, 0.07247, 0.03845, 0.10423),
        (0.705, 154, 76, 0.03829, 0.03675, 0.04392),
        (0.427, 154, 15, 0.06427, 0.03986, 0.08346),
        # KEYNOTE-189 at 12 months, standard errors implied by the printed 69.2 (64.1-73.8), 49.4 (42.1-56.2)
        (0.692, 410, 163, 0.0248, 0.02280, 0.03008),
        (0.494, 206, 59, 0.0361, 0.03483, 0.04575),
    ],
)
def test_published_standard_errors_lie_in_the_sharp_interval(survival, n, m, printed_se, lower, upper):
    low, high = variance_bounds(survival, n, m)
    assert (low.item() ** 0.5, high.item() ** 0.5) == pytest.approx((lower, upper), abs=5.1e-6)
    assert lower < printed_se < upper


def test_published_second_landmark_after_numbers_at_risk():
    # the same trial: numbers at risk at 5 years narrow the interval at 10, which still holds what was printed
    for n, s, at_risk, printed in (
        (158, [0.699, 0.372], [82, 8], 0.07247),
        (154, [0.705, 0.427], [76, 15], 0.06427),
    ):
        found = reported_variance(s, n, at_risk)
        whole = variance_bounds(s[1], n, at_risk[1])
        assert whole.lower < found.lower[1] < printed**2 < found.upper[1] < whole.upper
        assert found.variance[1] ** 0.5 == pytest.approx(printed, rel=0.10)


@pytest.mark.parametrize(
    ("printed", "half_width", "admissible"),
    [
        ((0.692, 0.641, 0.738), 0.0005, {"log-log", "logit"}),
        ((0.494, 0.421, 0.562), 0.0005, {"log-log"}),
        ((0.699, 0.628, 0.779), 0.0005, {"log"}),
        ((0.372, 0.254, 0.545), 0.0005, {"log"}),
        ((0.705, 0.634, 0.784), 0.0005, {"log"}),
    ],
)
def test_published_intervals_show_their_scale(printed, half_width, admissible):
    # KEYNOTE-189 (computed on the log-log scale), primary biliary cirrhosis (on the log scale, by R)
    found = detect_scale(*printed, half_width)
    assert {name for name, fits in zip(SCALES, found.admissible, strict=True) if fits} == admissible
    assert tuple(SCALES)[found.best] in admissible


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("week", [10, 23])
def test_published_six_mp_on_every_scale(scale, week):
    survival, se = six_mp(week)
    printed = SIX_MP_LIMITS[scale][week == 23]
    limits = interval(survival, se, scale=scale)
    assert (limits.lower.item(), limits.upper.item()) == pytest.approx(printed, abs=5.1e-5)
    assert se_from_ci(survival, *printed, scale=scale).item() == pytest.approx(se, abs=5e-5)
    found = detect_scale(survival, *printed, 5e-5)
    assert found.admissible[tuple(SCALES).index(scale)]
    assert tuple(SCALES)[found.best] == scale
    again = detected_se(survival, *printed, 5e-5)
    assert (again.se.item(), again.admissible.item()) == (pytest.approx(se, abs=5e-5), True)


def test_six_mp_survival_is_the_well_known_one():
    assert six_mp(10) == pytest.approx((0.7529, 0.0963), abs=5e-5)
    assert six_mp(23) == pytest.approx((0.4482, 0.1346), abs=5e-5)


def test_second_implementation_lifelines():
    from lifelines import KaplanMeierFitter
    from lifelines.datasets import load_larynx

    data = load_larynx()
    fit = KaplanMeierFitter().fit(data["time"], data["death"])
    curve, table, ci = fit.survival_function_, fit.event_table, fit.confidence_interval_
    rows = (table["observed"] > 0).to_numpy()
    s = curve["KM_estimate"].to_numpy()[rows]
    died, at_risk = (table[name].to_numpy()[rows] for name in ("observed", "at_risk"))
    greenwood = s * np.sqrt(np.cumsum(died / (at_risk * (at_risk - died))))
    limits = interval(s, greenwood)
    assert limits.lower == pytest.approx(ci.iloc[:, 0].to_numpy()[rows], abs=1e-12)
    assert limits.upper == pytest.approx(ci.iloc[:, 1].to_numpy()[rows], abs=1e-12)
    printed = np.round([s, limits.lower, limits.upper], 3)
    found = detected_se(*printed, 0.0005)
    assert detect_scale(*printed, 0.0005).admissible[:, tuple(SCALES).index("log-log")].all()
    assert found.se == pytest.approx(greenwood, rel=0.08)  # three digits let a neighbouring scale win near 1
    bounds = variance_bounds(s, len(data), at_risk - died)
    assert (bounds.lower <= greenwood**2 * (1 + 1e-9)).all()
    assert (greenwood**2 <= bounds.upper * (1 + 1e-9)).all()


@st.composite
def followed(draw):
    n = draw(st.integers(2, 30))
    order = draw(st.lists(st.booleans(), min_size=1, max_size=n - 1))
    return n, order


@given(followed())
def test_greenwood_lies_in_the_sharp_interval(study):
    n, order = study
    survival, variance, at_risk = kaplan_meier(order, n)
    bounds = variance_bounds(survival, n, at_risk)
    inside = (survival > 0) & (survival < 1)
    assert (bounds.lower[inside] <= variance[inside] * (1 + 1e-9)).all()
    assert (variance[inside] <= bounds.upper[inside] * (1 + 1e-9)).all()
    point = variance_at_risk(survival, n, at_risk)[inside]
    assert (bounds.lower[inside] <= point * (1 + 1e-9)).all()
    assert (point <= bounds.upper[inside] * (1 + 1e-9)).all()
    assert np.isnan(bounds.lower[~inside]).all()


def test_both_ends_are_reached():
    for n, deaths, losses in ((10, 4, 3), (25, 1, 20), (7, 3, 2)):
        early = kaplan_meier([False] * losses + [True] * deaths, n)[:, -1]
        late = kaplan_meier([True] * deaths + [False] * losses, n)[:, -1]
        assert variance_bounds(early[0], n, early[2]).upper == pytest.approx(early[1], rel=1e-9)
        assert variance_bounds(late[0], n, late[2]).lower == pytest.approx(late[1], rel=1e-9)


def test_every_order_of_few_deaths_and_losses():
    for order in set(permutations([True] * 3 + [False] * 4)):
        survival, variance, at_risk = kaplan_meier(order, 9)[:, -1]
        lower, upper = variance_bounds(survival, 9, at_risk)
        assert lower * (1 - 1e-9) <= variance <= upper * (1 + 1e-9)


@given(followed(), st.data())
def test_greenwood_lies_in_the_narrower_interval_of_several_counts(study, data):
    n, order = study
    cuts = data.draw(
        st.lists(st.integers(0, len(order) - 1), min_size=1, max_size=4, unique=True).map(sorted)
    )
    hidden = np.array(data.draw(st.lists(st.booleans(), min_size=len(cuts), max_size=len(cuts))))
    survival, variance, at_risk = kaplan_meier(order, n)[:, cuts]
    found = reported_variance(survival, n, np.where(hidden, np.nan, at_risk))
    inside = (survival > 0) & (survival < 1)
    for low, high in (
        (found.lower, variance),
        (variance, found.upper),
        (found.lower, found.variance),
        (found.variance, found.upper),
        (variance_bounds(survival, n).lower, found.lower),
        (found.upper, variance_bounds(survival, n).upper),
    ):
        assert (low[inside] <= high[inside] * (1 + 1e-9)).all()
    assert (found.imputed == (hidden & inside)).all()
    without_n = reported_variance(survival, np.nan, np.where(hidden, np.nan, at_risk))
    assert (without_n.lower[inside] <= variance[inside] * (1 + 1e-9)).all()
    assert (variance[inside] <= without_n.upper[inside] * (1 + 1e-9)).all()


def test_constant_hazards_make_the_point_exact():
    # n so large that a sum over patients is an integral: deaths at rate 0.3, losses at rate 0.7
    n, steps = 10**7, 20000
    middles = (np.arange(steps) + 0.5) / steps
    greenwood = (0.3 / (n * np.exp(-middles))).sum() / steps
    s = np.exp(-0.3)
    assert variance_at_risk(s, n, n * np.exp(-1)).item() == pytest.approx(s**2 * greenwood, rel=1e-7)


def test_only_n_takes_the_geometric_mean_with_half_the_survivors():
    found = reported_variance([0.7], 100, [np.nan])
    low, high = variance_bounds(0.7, 100, 35)
    assert found.variance.item() == pytest.approx((low * high) ** 0.5, rel=1e-12)
    assert imputed_variance(0.7, 100).item() == pytest.approx((low * high) ** 0.5, rel=1e-12)
    assert imputed_variance(0.7, 100, 1.0).item() == pytest.approx(0.7 * 0.3 / 100, rel=1e-12)
    assert found.imputed.tolist() == [True]
    assert found.upper.item() == pytest.approx(0.7**2 * 0.3, rel=1e-12)  # one patient at risk at least


def test_a_later_number_at_risk_bounds_an_earlier_one():
    found = reported_variance([0.8, 0.6], 100, [np.nan, 40])
    assert found.upper[0] == pytest.approx(0.8**2 * 0.2 / 40, rel=1e-12)
    assert found.imputed.tolist() == [True, False]
    assert found.variance[1] == pytest.approx(variance_at_risk(0.6, 100, 40).item(), rel=1e-12)


def test_without_n_the_first_stretch_takes_petos_formula():
    found = reported_variance([0.8, 0.6], np.nan, [50, 20])
    assert found.variance[0] == pytest.approx(0.8**2 * 0.2 / 50, rel=1e-12)
    rest = variance_at_risk(0.75, 50, 20).item() / 0.75**2
    assert found.variance[1] == pytest.approx(0.6**2 * (0.2 / 50 + rest), rel=1e-12)
    assert found.lower[0] == 0
    assert np.isnan(reported_variance([0.8], np.nan, [np.nan]).variance).all()


def test_survival_of_zero_and_one_has_no_variance():
    found = reported_variance([1.0, 0.5, 0.0, 0.0], 20, [18, 9, 0, 0])
    assert np.isnan(found.variance).tolist() == [True, False, True, True]
    assert found.variance[1] == pytest.approx(variance_at_risk(0.5, 18, 9).item(), rel=1e-12)
    assert found.imputed.tolist() == [False] * 4
    for answer in (imputed_variance([0, 1], 9), *variance_bounds([0, 1], 9, 3), se_from_ci([0, 1], 0.1, 0.9)):
        assert np.isnan(answer).all()


def test_nobody_left_at_risk_counts_as_one():
    found = reported_variance([0.5, 0.5, 0.25], 10, [1, 0, 0])
    assert np.isfinite(found.upper).all()
    assert found.upper[1] == found.upper[0] == pytest.approx(0.5**2 * 0.5, rel=1e-12)


def test_too_many_at_risk_for_a_rounded_survival():
    # 11 of 15 are alive: printed as 73%, at which only 10.95 could be
    lower, upper = variance_bounds(0.73, 15, 11)
    assert lower <= upper == pytest.approx(0.73 * 0.27 / 15, rel=1e-12)
    assert variance_at_risk(0.73, 15, 11).item() == pytest.approx(0.73 * 0.27 / 15, rel=1e-12)


def test_a_batch_is_its_curves_one_by_one():
    s = np.array([[0.9, 0.7, 0.4], [1.0, 0.8, 0.0], [0.6, 0.6, 0.6]])
    n, m = np.array([100, np.nan, 50]), np.array([[80, 50, 9], [30, np.nan, 1], [np.nan, 20, np.nan]])
    together = reported_variance(s, n, m)
    for i in range(3):
        for batch, alone in zip(together, reported_variance(s[i], n[i], m[i]), strict=True):
            np.testing.assert_array_equal(batch[i], alone)


def test_published_interval_without_events():
    # n = 30 without an event: lower limit 0.05^(1/30) = 0.905
    assert limit_without_events(30, 30).item() == pytest.approx(0.905, abs=5e-4)
    assert limit_without_events(30, 30, level=0.9).item() == pytest.approx(0.1 ** (1 / 30), rel=1e-12)


@given(st.integers(2, 500), st.data())
def test_the_effective_number_without_events_is_the_limit_of_the_variance(n, data):
    m = data.draw(st.integers(1, n))
    p = 1 - 1e-7
    effective = np.log(0.05) / np.log(limit_without_events(n, m).item())
    assert m * (1 - 1e-9) <= effective <= n * (1 + 1e-9)
    if m < n * p:
        assert effective == pytest.approx(p * (1 - p) / variance_at_risk(p, n, m).item(), rel=1e-5)


def test_without_events_and_without_counts():
    assert limit_without_events(30, np.nan).item() == pytest.approx(0.05 ** (1 / (30 * 0.5**0.5)), rel=1e-12)
    assert limit_without_events(np.nan, 10).item() == pytest.approx(0.05 ** (1 / 10), rel=1e-12)
    assert np.isnan(limit_without_events(np.nan, np.nan))


def test_a_limit_that_was_cut_off_leaves_the_other_one():
    # plain, 0.95 and se 0.04: 0.8716 to 1.0284, printed as 0.872 to 1
    found = detect_scale(0.95, 0.872, 1.0, 0.0005)
    assert (tuple(SCALES)[found.best], found.admissible[0]) == ("plain", True)
    assert se_from_ci(0.95, 0.872, 1.0, scale="plain").item() == pytest.approx(0.04, abs=3e-4)
    assert se_from_ci(0.05, 0.0, 0.128, scale="plain").item() == pytest.approx(0.04, abs=3e-4)
    found = detect_scale(0.05, 0.0, 0.128, 0.0005)
    assert (tuple(SCALES)[found.best], found.admissible[0]) == ("plain", True)
    assert np.isnan(se_from_ci(0.5, 0.0, 1.0, scale="plain"))
    # nothing but the scales that stay inside 0 and 1 by themselves explains so short an upper side
    narrow = detect_scale(0.95, 0.93, 1.0, 0.0005)
    assert not narrow.admissible.any()


def test_an_interval_on_no_scale():
    found = detected_se([0.8, 0.8], [0.2, np.nan], [0.9, 0.9], 0.005)
    assert found.admissible.tolist() == [False, False]
    assert found.position.tolist() == [list(SCALES).index("log-log"), -1]
    assert np.isnan(found.se).tolist() == [False, True]


@pytest.mark.parametrize("scale", SCALES)
@given(
    survival=st.floats(0.02, 0.98),
    relative=st.floats(0.01, 0.4),
    decimals=st.integers(2, 5),
    level=st.sampled_from([0.9, 0.95, 0.99]),
)
def test_the_scale_an_interval_was_computed_on_is_admissible(scale, survival, relative, decimals, level):
    se = relative * survival * (1 - survival)
    limits = interval(survival, se, level=level, scale=scale)
    assert se_from_ci(survival, *limits, level=level, scale=scale).item() == pytest.approx(se, rel=1e-6)
    printed = np.round([survival, limits.lower.item(), limits.upper.item()], decimals)
    if 0 < printed[0] < 1:
        found = detect_scale(*printed, 0.5 * 10.0**-decimals * (1 + 1e-9))
        assert found.admissible[list(SCALES).index(scale)]


def test_the_point_covers_the_truth_as_often_as_it_says():
    # 4000 trials of 80 patients, deaths at rate 0.1, losses at rate 0.08, read at times 4 and 8
    rng = np.random.default_rng(20240117)
    death, loss = rng.exponential(10, (4000, 80)), rng.exponential(12.5, (4000, 80))
    time, dies = np.minimum(death, loss), death <= loss
    order = np.argsort(time, axis=1)
    time, dies = np.take_along_axis(time, order, 1), np.take_along_axis(dies, order, 1)
    at_risk = np.arange(80, 0, -1)
    factors = np.where(dies, 1 - 1 / at_risk, 1.0)
    s = np.stack([np.where(time <= t, factors, 1).prod(axis=1) for t in (4, 8)], axis=1)
    m = np.stack([(time > t).sum(axis=1) for t in (4, 8)], axis=1)
    lower, upper = interval(s, np.sqrt(reported_variance(s, np.full(4000, 80), m).variance))
    truth = np.exp(-0.1 * np.array([4, 8]))
    coverage = ((lower <= truth) & (truth <= upper)).mean(axis=0)
    assert coverage == pytest.approx([0.95, 0.95], abs=3 * (0.05 * 0.95 / 4000) ** 0.5)


def test_standard_errors_of_real_patients():
    path = Path(__file__).parents[1] / "references" / "curves" / "landmarks.json"
    error, cautious = [], []
    for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
        died, at_risk = np.array(case["deaths"]), np.array(case["at_risk"])
        last = np.searchsorted(case["event_time"], case["landmark_times"], "right") - 1
        s = np.cumprod(1 - died / at_risk)[last]
        greenwood = s**2 * np.cumsum(died / (at_risk * (at_risk - died)))[last]
        found = reported_variance(s, case["n_total"], case["n_at_risk"])
        assert (found.lower <= greenwood * (1 + 1e-9)).all(), case["id"]
        assert (greenwood <= found.upper * (1 + 1e-9)).all(), case["id"]
        error += [0.5 * np.log(found.variance / greenwood)]
        cautious += [imputed_variance(s, case["n_total"]) >= greenwood]
    # 26 data sets, 85 landmarks: from numbers at risk nearly exact, from n alone seldom too small
    assert (np.quantile(np.abs(np.concatenate(error)), [0.5, 0.95]) < [0.01, 0.04]).all()
    assert np.concatenate(cautious).mean() > 0.9


def test_every_scale_is_reachable():
    assert set(get_args(SurvivalScale)) == set(SCALES)
