import itertools
import json
import math
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.kernels import hazard_ratio_routes as routes
from netsynth.kernels.product_limit import product_limit, survival_at
from netsynth.kernels.two_arms import with_variance

REFERENCE = json.loads((Path(__file__).parents[1] / "references" / "hazard_ratio_routes.json").read_text())

# Freireich EJ et al. (1963): weeks in remission on 6-MP and on placebo. With these data R's survival package gives 9
# and 21 events, 19.2505 and 10.7495 expected, a log-rank variance of 6.256961, chi-squared 16.7929.
MP = np.array([6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35.0])
MP_EVENT = np.repeat([1, 0], [9, 12])
PLACEBO = np.array([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23.0])
PLACEBO_EVENT = np.ones(21, dtype=int)


def ratio(found):
    return math.exp(float(found.log_hr))


# --- the oracle of one trial


def test_oracle_log_rank():
    found = routes.from_log_rank(9 - 19.2505, 6.256961)
    assert float(found.log_hr) == pytest.approx(-1.63826, abs=5e-6)
    half = 1.959964 * math.sqrt(float(found.variance))
    ends = [math.exp(float(found.log_hr) + side * half) for side in (-1, 1)]
    assert (ratio(found), *ends) == pytest.approx((0.19432, 0.08876, 0.42541), abs=5e-6)


def test_oracle_observed_over_expected():
    found = routes.from_expected(9, 21, 19.2505, 10.7495)
    assert ratio(found) == pytest.approx(0.239315, abs=1e-6)
    assert float(found.variance) == pytest.approx(0.144974, abs=1e-6)


@pytest.mark.parametrize(
    ("information", "v", "hr"),
    [
        (routes.information_of_arms(9, 21), 6.3, 0.195411),
        (routes.information_of_patients(30, 21, 21), 7.5, 0.223946),
        (routes.information_of_total(30), 7.5, 0.223946),
    ],
)
def test_oracle_statistic_and_events(information, v, hr):
    assert float(information) == pytest.approx(v)
    assert ratio(routes.from_statistic(-math.sqrt(16.7929), information)) == pytest.approx(hr, abs=2e-6)


def test_oracle_landmark_and_medians():
    found = routes.from_landmarks([0.75294], [0.0963**2], [0.38095], [0.1060**2])
    assert float(found.log_hr) == pytest.approx(-1.2241, abs=5e-5)
    assert ratio(found) == pytest.approx(0.2940, abs=5e-5)
    assert math.sqrt(float(found.variance)) == pytest.approx(
        0.5350, abs=3e-4
    )  # from standard errors of 3 digits
    assert ratio(routes.from_medians(23, 8, 0.1, 0.1)) == pytest.approx(8 / 23)


def test_the_variance_from_o_minus_e_and_its_statistic():
    """Both print the same test: 10.2505 squared over 16.7929."""
    assert float(routes.information_from_chi2(9 - 19.2505, 16.7929)) == pytest.approx(6.256961, rel=1e-5)


# Tierney JF et al. (2007), Trials 8:16: the curves of the bladder cancer trial give a ratio of 0.88 with V = 128.81,
# and an interval from 0.74 to 1.05.
def test_published_bladder_cancer():
    found = routes.from_log_rank(math.log(0.88) * 128.81, 128.81)
    half = 1.959964 * math.sqrt(float(found.variance))
    ends = [math.exp(float(found.log_hr) + side * half) for side in (-1, 1)]
    assert ends == pytest.approx([0.74, 1.05], abs=0.005)


# Royston P, Parmar MKB (2013), BMC Med Res Methodol 13:152, Table 6: events, log-rank p, the ratio of Cox's model,
# side.
@pytest.mark.parametrize(
    ("events", "p", "half", "hr"),
    [(188, 0.3, 0.05, 1.16), (483, 0.07, 0.005, 0.85), (417, 0.04, 0.005, 0.82), (655, 0.03, 0.005, 0.85)],
)
def test_published_pvalues_and_events(events, p, half, hr):
    """Within what rounding of p and of the ratio leaves."""
    side = 1 if hr > 1 else -1
    z = [side * math.sqrt(2) * _erfcinv(q) for q in (p + half, p - half)]
    ends = sorted(ratio(routes.from_statistic(each, routes.information_of_total(events))) for each in z)
    assert ends[0] <= hr + 0.005
    assert ends[1] >= hr - 0.005


def _erfcinv(y):
    low, high = 0.0, 6.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if math.erfc(middle) > y else (low, middle)
    return low


# --- formulas in R


def test_reference_events():
    r = {name: np.array(values) for name, values in REFERENCE["pvalue_and_events"].items()}
    one, other = r["events_research"], r["events_control"]
    ways = {
        "4": (routes.information_of_total(one + other), "V_O_over_4"),
        "r": (
            routes.information_of_patients(one + other, r["n_research"], r["n_control"]),
            "V_randomisation_ratio",
        ),
        "e": (routes.information_of_arms(one, other), "V_events_product"),
    }
    for name, (v, reference) in ways.items():
        assert v == pytest.approx(r[reference], rel=1e-12)
        found = routes.from_statistic(r["direction"] * r["z"], v)
        assert found.log_hr == pytest.approx(r[f"lnHR_V{name}"], rel=1e-10)
        assert found.variance == pytest.approx(r[f"se_lnHR_V{name}"] ** 2, rel=1e-10)
        again = routes.from_log_rank(r[f"OmE_V{name}"], v)
        assert again.log_hr == pytest.approx(r[f"lnHR_V{name}"], rel=1e-10)


def test_reference_medians():
    """The reference takes 1/d for the variance of the logarithm of a median; ours is 1 / ln(2)^2 of that."""
    r = {name: np.array(values) for name, values in REFERENCE["medians_exponential"].items()}
    found = routes.from_medians(
        r["m1"], r["m2"], routes.median_variance(r["d1"]), routes.median_variance(r["d2"])
    )
    assert found.log_hr == pytest.approx(r["lnHR"], rel=1e-12)
    assert found.variance == pytest.approx(r["var"] / math.log(2) ** 2, rel=1e-12)


def test_reference_survival():
    r = {name: np.array(values) for name, values in REFERENCE["survival_probs"].items()}
    s1, s0 = r["S1"], r["S2"]
    found = routes.from_landmarks(
        s1[:, None], (s1 * (1 - s1) / r["n1"])[:, None], s0[:, None], (s0 * (1 - s0) / r["n2"])[:, None]
    )
    assert found.log_hr == pytest.approx(r["lnHR"], rel=1e-12)
    assert found.variance == pytest.approx(r["var"], rel=1e-12)


def test_reference_individual_patients_of_a_meta_analysis():
    """65 trials with O - E and V: weighted by V they give the pooled ratio of meta."""
    r = REFERENCE["pignon2000"]
    v = 1 / np.array(r["se"]) ** 2
    found = routes.from_log_rank(np.array(r["log_hr"]) * v, v)
    assert (found.log_hr / found.variance).sum() / (1 / found.variance).sum() == pytest.approx(
        r["common"], rel=1e-9
    )


# --- curves


def test_oracle_follow_up_carries_all_the_censored():
    """A thousand patients, hazard 0.1, followed for 2 to 10: the full recursion, and the truth it is near to."""
    t = np.arange(7.0)
    found = routes.at_risk_by_follow_up(t, np.exp(-0.1 * t), 1000, 2, 10)[3:]
    assert found.round().tolist() == [643, 495, 369, 264]
    truth = [1000 * math.exp(-0.1 * x) * (10 - x) / 8 for x in (3, 4, 5, 6)]
    assert np.round(truth).tolist() == [648, 503, 379, 274]
    assert np.abs(found / truth - 1).max() < 0.04


def by_hand(s1, n1, s0, n0):
    """Second implementation: intervals as lists, merged before anything is computed."""

    def ended(a, b, s, n):
        if s[a] <= 0 or n[a] <= 0:
            return 0.0, 0.0
        q = 1 - s[b] / s[a]
        r = (n[a] + n[b]) / (2 - q)
        return r * q, r

    cuts, start = [], 0
    for j in range(1, len(s1)):
        if ended(start, j, s1, n1)[0] > 0 and ended(start, j, s0, n0)[0] > 0:
            cuts.append((start, j))
            start = j
    if not cuts:
        return math.nan, math.nan
    m = len(s1) - 1
    if ended(start, m, s1, n1)[0] > 0 or ended(start, m, s0, n0)[0] > 0:
        cuts[-1] = (cuts[-1][0], m)
    top = bottom = 0.0
    for a, b in cuts:
        (d1, r1), (d0, r0) = ended(a, b, s1, n1), ended(a, b, s0, n0)
        v = 1 / d1 - 1 / r1 + 1 / d0 - 1 / r0
        if v > 0:
            top += math.log(d1 * r0 / r1 / d0) / v
            bottom += 1 / v
    return (top / bottom, 1 / bottom) if bottom else (math.nan, math.nan)


@st.composite
def curves(draw, m=5):
    """Survival that falls or stays, and numbers at risk that allow it."""
    falls = draw(st.lists(st.sampled_from([1.0, 0.95, 0.8, 0.6]), min_size=m, max_size=m))
    lost = draw(st.lists(st.sampled_from([1.0, 0.95, 0.7]), min_size=m, max_size=m))
    s = np.concatenate([[1.0], np.cumprod(falls)])
    return s, 80 * s * np.concatenate([[1.0], np.cumprod(lost)])


@given(curves(), curves())
def test_intervals_equal_those_by_hand(one, other):
    found = routes.from_intervals(*one, *other)
    expected = by_hand(*one, *other)
    assert (float(found.log_hr), float(found.variance)) == pytest.approx(expected, rel=1e-9, nan_ok=True)


def test_intervals_come_in_batches():
    sets = [
        ([1, 0.9, 0.9, 0.5], [50, 40, 30, 10], [1, 0.8, 0.6, 0.3], [50, 35, 20, 8]),
        ([1, 1, 0.9, 0.9], [50, 48, 30, 10], [1, 0.8, 0.8, 0.0], [50, 35, 20, 0]),
        ([1, 1, 1, 1], [50, 48, 30, 10], [1, 0.8, 0.8, 0.7], [50, 35, 20, 5]),
    ]
    found = routes.from_intervals(*(np.array(column, dtype=float) for column in zip(*sets, strict=True)))
    for i, each in enumerate(sets):
        assert (found.log_hr[i], found.variance[i]) == pytest.approx(by_hand(*each), rel=1e-12, nan_ok=True)
    assert math.isnan(found.log_hr[2])


def test_intervals_of_the_trial_are_near_coxs_fit():
    """Cox's fit (Efron) is -1.572; the shorter the intervals, the nearer."""

    def off(weeks):
        times = np.arange(0.0, 24.0, weeks)
        parts = []
        for time, event in ((MP, MP_EVENT), (PLACEBO, PLACEBO_EVENT)):
            survival = survival_at(product_limit(time, event), times).estimate
            parts += [np.nan_to_num(survival), (time[:, None] > times).sum(0).astype(float)]
        return abs(float(routes.from_intervals(*parts).log_hr) - -1.572)

    assert off(1.0) < off(3.0) < off(5.0)
    assert off(1.0) < 0.412 / 2  # half a standard error


def naive_gls(s1, v1, s0, v0):
    """Second implementation: the covariance element by element, the weights by its inverse."""
    m = len(s1)
    y = [math.log(math.log(a) / math.log(b)) for a, b in zip(s1, s0, strict=True)]
    c = np.zeros((m, m))
    for j in range(m):
        for k in range(m):
            first = min(j, k)
            for s, v in ((s1, v1), (s0, v0)):
                c[j, k] += v[first] / s[first] ** 2 / (math.log(s[j]) * math.log(s[k]))
    w = np.linalg.inv(c).sum(axis=0)
    return float(w @ y / w.sum()), float(1 / w.sum())


@given(
    st.lists(st.floats(0.5, 0.95), min_size=3, max_size=3),
    st.lists(st.floats(0.5, 0.95), min_size=3, max_size=3),
)
def test_landmarks_equal_naive_least_squares(first, second):
    s1, s0 = np.cumprod(first), np.cumprod(second)
    v1, v0 = (s * (1 - s) / 60 for s in (s1, s0))
    found = routes.from_landmarks(s1, v1, s0, v0)
    assert (float(found.log_hr), float(found.variance)) == pytest.approx(naive_gls(s1, v1, s0, v0), rel=1e-6)


def test_landmarks_that_say_nothing_are_left_out():
    """Survival of 1, and a landmark without an event since the one before."""
    s1, s0 = np.array([1.0, 0.8, 0.8, 0.5]), np.array([0.95, 0.7, 0.7, 0.4])
    v1, v0 = (np.array([s[0] * 0, *(s[1:] * (1 - s[1:]) / 60)]) for s in (s1, s0))
    expected = naive_gls(s1[[1, 3]], v1[[1, 3]], s0[[1, 3]], v0[[1, 3]])
    found = routes.from_landmarks(s1, v1, s0, v0)
    assert (float(found.log_hr), float(found.variance)) == pytest.approx(expected)
    assert math.isnan(float(routes.from_landmarks([1.0], [0.0], [0.5], [0.01]).log_hr))


def test_landmarks_of_the_trial():
    """At 10 weeks the numbers of the oracle come from the patients."""
    parts = []
    for time, event in ((MP, MP_EVENT), (PLACEBO, PLACEBO_EVENT)):
        parts += list(with_variance(survival_at(product_limit(time, event), np.array([10.0]))))
    found = routes.from_landmarks(*parts)
    assert float(found.log_hr) == pytest.approx(-1.2241, abs=5e-5)
    assert math.sqrt(float(found.variance)) == pytest.approx(0.5350, abs=3e-4)  # which is from rounded errors


# --- what is undefined, and symmetry


def test_no_event_in_a_group_is_undefined():
    assert math.isnan(float(routes.from_expected(0, 10, 4, 6).log_hr))
    assert math.isnan(float(routes.information_of_arms(0, 10)))
    assert math.isnan(float(routes.from_log_rank(1.0, 0.0).log_hr))
    assert math.isnan(float(routes.information_from_chi2(0.0, 0.0)))


@given(curves(), curves(), st.floats(1, 50), st.floats(1, 50))
def test_groups_the_other_way_round_change_the_sign(one, other, a, b):
    forward = [
        routes.from_intervals(*one, *other),
        routes.from_expected(a, b, b, a),
        routes.from_log_rank(a - b, a),
        routes.from_medians(a, b, 0.1, 0.2),
        routes.from_landmarks(one[0][1:], one[0][1:] / 60, other[0][1:], other[0][1:] / 60),
    ]
    backward = [
        routes.from_intervals(*other, *one),
        routes.from_expected(b, a, a, b),
        routes.from_log_rank(b - a, a),
        routes.from_medians(b, a, 0.2, 0.1),
        routes.from_landmarks(other[0][1:], other[0][1:] / 60, one[0][1:], one[0][1:] / 60),
    ]
    for there, back in zip(forward, backward, strict=True):
        assert float(there.log_hr) == pytest.approx(-float(back.log_hr), rel=1e-9, abs=1e-12, nan_ok=True)
        assert float(there.variance) == pytest.approx(float(back.variance), rel=1e-9, nan_ok=True)


@given(st.floats(2, 20))
def test_more_patients_of_the_same_kind_change_the_variance_alone(times):
    few = routes.from_intervals([1, 0.9, 0.7], [40, 30, 20], [1, 0.7, 0.5], [40, 25, 12])
    many = routes.from_intervals(
        [1, 0.9, 0.7], times * np.array([40, 30, 20]), [1, 0.7, 0.5], times * np.array([40, 25, 12])
    )
    assert float(many.log_hr) == pytest.approx(float(few.log_hr), rel=1e-9)
    assert float(many.variance) == pytest.approx(float(few.variance) / times, rel=1e-9)


# --- method errors


def test_every_family_has_a_method_error():
    assert set(routes.METHOD_ERROR) == set(get_args(routes.RouteFamily))


def test_the_method_error_is_the_sum_of_its_terms():
    b, c, d, e = routes.METHOD_ERROR["numbers at risk"]
    theta, v, allocation = -0.8, 0.05, 3.0
    expected = b * theta**2 + c * theta**4 + d * v + e * theta**4 * math.log(allocation) ** 2
    assert float(routes.method_variance("numbers at risk", theta, v, allocation)) == pytest.approx(expected)
    mirrored = float(routes.method_variance("events", -theta, v, 1 / 3))
    assert float(routes.method_variance("events", theta, v, 3.0)) == pytest.approx(mirrored, rel=1e-14)
    assert float(routes.method_variance("direct", theta, v)) == 0.0


def test_everything_broadcasts():
    assert routes.from_log_rank(np.ones((3, 1)), np.ones(2)).log_hr.shape == (3, 2)
    assert routes.from_expected(np.ones((3, 1)), 2, 3, np.ones(2)).variance.shape == (3, 2)
    assert routes.method_variance("events", np.ones((3, 1)), np.ones(2)).shape == (3, 2)
    assert routes.at_risk_by_follow_up(np.arange(4.0), np.ones((5, 4)), 10, 1, 5).shape == (5, 4)


def statistic_of_order(order, n_worse, n_other):
    """Log-rank statistic of events one by one, 1 in the group that does worse; 0 when it does not, or cannot."""
    excess = variance = 0.0
    for worse in order:
        if (n_worse if worse else n_other) == 0:
            return 0.0
        share = n_worse / (n_worse + n_other)
        excess, variance = excess + worse - share, variance + share * (1 - share)
        n_worse, n_other = n_worse - worse, n_other - (1 - worse)
    return excess**2 / variance if excess > 0 and variance > 0 else 0.0


@pytest.mark.parametrize(("n_worse", "n_other"), [(1, 1), (1, 6), (6, 1), (3, 5), (5, 3), (5, 5)])
def test_no_order_of_events_is_stronger(n_worse, n_other):
    """Every order in which events can fall on two small groups without censoring."""
    for n_events in range(1, n_worse + n_other):
        orders = itertools.product((0, 1), repeat=n_events)
        best = max(statistic_of_order(order, n_worse, n_other) for order in orders)
        assert routes.strongest_log_rank(n_events, n_worse, n_other) == pytest.approx(best)
