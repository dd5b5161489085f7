import numpy as np
import pytest
from figures import Patients, log_hazard_ratio
from figures import patients as made_up
from hypothesis import assume, given
from hypothesis import strategies as st
from lifelines import CoxPHFitter
from lifelines.statistics import logrank_test, multivariate_logrank_test, proportional_hazard_test
from scipy.optimize import approx_fprime, brentq
from scipy.stats import chi2

from netsynth.kernels.product_limit import Estimates, product_limit, restricted_mean, survival_at
from netsynth.kernels.two_arms import (
    cox,
    difference,
    log_likelihood,
    log_rank,
    log_rank_of_several,
    log_ratio,
    profile_limits,
    risk_sets,
    trend,
    with_variance,
)

#: Freireich EJ et al. (1963): weeks in remission on 6-MP and on placebo.
MP = (
    np.array([6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35], dtype=float),
    np.repeat([1, 0], [9, 12]),
)
PLACEBO = (
    np.array([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], dtype=float),
    np.ones(21, dtype=int),
)


def sets_of(treated, control):
    return risk_sets(*treated, *control)


@st.composite
def groups(draw, most=12):
    """A group with many ties."""
    n = draw(st.integers(1, most))
    time = draw(st.lists(st.integers(1, 6), min_size=n, max_size=n))
    event = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    return np.array(time, dtype=float), np.array(event)


def log_likelihood_by_definition(treated, control, beta, slope=0.0):
    """Efron's log partial likelihood with an effect beta + slope g(t), time by time.

    g is the share of all patients who had the event before t, by Kaplan-Meier.
    """
    time, event = (np.concatenate(pair) for pair in zip(treated, control, strict=True))
    x = np.repeat([1.0, 0.0], [treated[0].size, control[0].size])
    total, survival = 0.0, 1.0
    for t in sorted(set(time[event == 1])):
        weight = np.exp(x * (beta + slope * (1.0 - survival)))
        here = (time == t) & (event == 1)
        at_risk = time >= t
        d = int(here.sum())
        total += np.log(weight[here]).sum()
        for j in range(d):
            total -= np.log(weight[at_risk].sum() - j / d * weight[here].sum())
        survival *= 1.0 - d / at_risk.sum()
    return total


def test_freireich_1963():
    sets = sets_of(MP, PLACEBO)
    test, fit = log_rank(sets), cox(sets)
    # 9 events against 19.25 expected and chi-squared 16.79, as textbooks have them; Cox's with Efron's ties -1.5721
    # (0.4124), as R's survival gives them
    assert float(test.observed) == 9
    assert float(test.expected) == pytest.approx(19.2505, abs=5e-5)
    assert float(test.variance) == pytest.approx(6.256961, abs=5e-7)
    assert float(test.chi2) == pytest.approx(16.7929, abs=5e-5)
    assert float(fit.log_hr) == pytest.approx(-1.572125, abs=5e-7)
    assert float(fit.variance) ** 0.5 == pytest.approx(0.412397, abs=5e-7)


def test_restricted_means_of_freireich_1963():
    # up to 20 weeks 16.116527 (1.251560) and 8.428571 (1.268083)
    means = [restricted_mean(product_limit(*data), np.array([20.0])) for data in (MP, PLACEBO)]
    found, ratio = difference(*means), log_ratio(*means)
    assert found.estimate.item() == pytest.approx(16.116527 - 8.428571, abs=1e-6)
    assert found.variance.item() ** 0.5 == pytest.approx(np.hypot(1.251560, 1.268083), abs=1e-6)
    assert ratio.estimate.item() == pytest.approx(np.log(16.116527 / 8.428571), abs=1e-6)
    assert ratio.variance.item() ** 0.5 == pytest.approx(
        np.hypot(1.251560 / 16.116527, 1.268083 / 8.428571), abs=1e-6
    )


def test_survival_at_ten_weeks_of_freireich_1963():
    # .75294 (.0963) and .38095 (.1060)
    arms = [with_variance(survival_at(product_limit(*data), np.array([10.0]))) for data in (MP, PLACEBO)]
    found = difference(*arms)
    assert found.estimate.item() == pytest.approx(0.75294 - 0.38095, abs=1e-5)
    assert found.variance.item() ** 0.5 == pytest.approx(np.hypot(0.0963, 0.1060), abs=1e-4)
    ratio = log_ratio(*arms)
    assert ratio.variance.item() ** 0.5 == pytest.approx(
        np.hypot(0.0963 / 0.75294, 0.1060 / 0.38095), abs=2e-4
    )


@pytest.mark.parametrize(("life", "seed"), [("exponential", 1), ("tied", 2), ("tied", 3), ("late", 4)])
def test_against_lifelines(life, seed):
    import pandas as pd

    rng = np.random.default_rng(seed)
    treated, control = made_up(rng, 90, life, "visits"), made_up(rng, 60, life, "staggered", scale=13.0)
    sets = sets_of(treated, control)
    theirs = logrank_test(treated.time, control.time, treated.event, control.event)
    assert float(log_rank(sets).chi2) == pytest.approx(theirs.test_statistic, rel=1e-9)
    frame = pd.DataFrame(
        {
            "time": np.concatenate([treated.time, control.time]),
            "event": np.concatenate([treated.event, control.event]),
            "x": np.repeat([1.0, 0.0], [90, 60]),
        }
    )
    model = CoxPHFitter().fit(frame, "time", "event", fit_options={"precision": 1e-12})
    fit = cox(sets)
    # its steps are 0.95 of Newton's, so that it stops with a twentieth of the last one still to go
    assert float(fit.log_hr) == pytest.approx(model.params_["x"], abs=1e-6)
    assert float(fit.variance) ** 0.5 == pytest.approx(model.standard_errors_["x"], rel=1e-6)
    assert float(log_likelihood(sets, fit.log_hr)) == pytest.approx(model.log_likelihood_, rel=1e-9)


@given(groups(), groups())
def test_the_fit_against_a_second_implementation(treated, control):
    sets = sets_of(treated, control)
    fit = cox(sets)
    for beta in (-0.7, 0.0, 1.3):
        expected = log_likelihood_by_definition(treated, control, beta)
        assert float(log_likelihood(sets, np.array(beta))) == pytest.approx(expected, abs=1e-9)
    assume(np.isfinite(fit.log_hr))
    effect, se = log_hazard_ratio(Patients(*treated), Patients(*control))
    assert float(fit.log_hr) == pytest.approx(effect, abs=1e-8)
    assert float(fit.variance) ** 0.5 == pytest.approx(se, rel=1e-6)


@given(groups(), groups())
def test_an_infinite_estimate_is_one_whose_likelihood_rises_for_ever(treated, control):
    found = float(cox(sets_of(treated, control)).log_hr)
    at = np.array([-30.0, -20.0, 0.0, 20.0, 30.0])
    values = [log_likelihood_by_definition(treated, control, beta) for beta in at]
    if np.ptp(values) < 1e-9:
        assert np.isnan(found)
    elif values[-1] >= max(values) - 1e-7:
        assert found == np.inf
    elif values[0] >= max(values) - 1e-7:
        assert found == -np.inf
    else:
        assert np.isfinite(found)


@given(groups(), groups())
def test_swapping_the_groups_turns_the_sign(treated, control):
    there, back = sets_of(treated, control), sets_of(control, treated)
    one, other = cox(there), cox(back)
    np.testing.assert_allclose(one.log_hr, -other.log_hr, atol=1e-9)
    np.testing.assert_allclose(one.variance, other.variance, rtol=1e-7)
    np.testing.assert_allclose(log_rank(there).chi2, log_rank(back).chi2, rtol=1e-9, atol=1e-12)
    slopes = trend(there, one), trend(back, other)
    np.testing.assert_allclose(slopes[0].slope, -slopes[1].slope, rtol=1e-6, atol=1e-6)
    limits = profile_limits(there, one, 0.95)
    np.testing.assert_allclose(limits, [-end for end in profile_limits(back, other, 0.95)][::-1])


@given(groups(), groups(), st.sampled_from([0.1, 7.0, 365.25]))
def test_the_scale_of_time_does_not_matter(treated, control, scale):
    one = sets_of(treated, control)
    other = sets_of((scale * treated[0], treated[1]), (scale * control[0], control[1]))
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first, second)


@given(groups())
def test_identical_groups_do_not_differ(group):
    assume(group[1].any())
    sets = sets_of(group, group)
    assert float(cox(sets).log_hr) == pytest.approx(0.0, abs=1e-12)
    test = log_rank(sets)
    assert float(test.observed - test.expected) == pytest.approx(0.0, abs=1e-12)


@given(groups(), groups())
def test_the_standard_error_is_at_least_two_over_the_root_of_the_events(treated, control):
    fit = cox(sets_of(treated, control))
    assume(np.isfinite(fit.log_hr))
    d = treated[1].sum() + control[1].sum()
    assert float(fit.variance) >= 4.0 / d * (1 - 1e-12)


@given(groups(), groups())
def test_the_trend_is_a_score_test(treated, control):
    """Gradient and information of a likelihood with two parameters, by differences."""
    sets = sets_of(treated, control)
    fit = cox(sets)
    assume(np.isfinite(fit.log_hr))
    at = np.array([float(fit.log_hr), 0.0])

    def gradient(theta):
        return approx_fprime(theta, lambda th: log_likelihood_by_definition(treated, control, *th), 1e-5)

    score = gradient(at)[1]
    step = 1e-3
    information = -np.array(
        [(gradient(at + move) - gradient(at - move)) / (2 * step) for move in step * np.eye(2)]
    )
    spread = information[1, 1] - information[0, 1] * information[1, 0] / information[0, 0]
    found = trend(sets, fit)
    if np.isnan(found.slope):
        assert spread == pytest.approx(0.0, abs=1e-4)
        return
    assert 1.0 / float(found.variance) == pytest.approx(spread, rel=1e-2, abs=1e-4)
    assert float(found.slope / found.variance) == pytest.approx(score, abs=1e-3)


def test_profile_limits_against_a_root_finder():
    sets = sets_of(MP, PLACEBO)
    fit = cox(sets)
    top = log_likelihood_by_definition(MP, PLACEBO, float(fit.log_hr))

    def excess(beta):
        return 2 * (top - log_likelihood_by_definition(MP, PLACEBO, beta)) - chi2.ppf(0.9, 1)

    low, high = profile_limits(sets, fit, 0.9)
    assert float(low) == pytest.approx(brentq(excess, -5, float(fit.log_hr)), abs=1e-9)
    assert float(high) == pytest.approx(brentq(excess, float(fit.log_hr), 3), abs=1e-9)


def test_an_arm_without_events_has_an_infinite_ratio_and_an_open_interval():
    treated = (np.array([5.0, 6, 7, 8]), np.zeros(4, dtype=int))
    control = (np.array([1.0, 2, 3, 9]), np.array([1, 1, 1, 0]))
    sets = sets_of(treated, control)
    fit = cox(sets)
    assert float(fit.log_hr) == -np.inf
    assert np.isnan(fit.variance)
    assert np.isnan(trend(sets, fit).slope)
    low, high = profile_limits(sets, fit, 0.95)
    # the likelihood of three events with 4, 3 and 2 controls beside 4 treated, by hand
    top = -np.log(4 * 3 * 2)

    def excess(beta):
        return 2 * (top + np.log([n + 4 * np.exp(beta) for n in (4, 3, 2)]).sum()) - chi2.ppf(0.95, 1)

    assert float(low) == -np.inf
    assert float(high) == pytest.approx(brentq(excess, -10, 10), abs=1e-9)
    assert float(log_likelihood(sets, fit.log_hr)) == pytest.approx(top, abs=1e-9)


def test_without_any_comparison_there_is_no_ratio():
    late = (np.array([5.0, 6]), np.array([1, 1]))
    early = (np.array([1.0, 2]), np.array([0, 0]))
    sets = sets_of(late, early)
    fit = cox(sets)
    assert np.isnan(fit.log_hr)
    assert np.isnan(log_rank(sets).chi2)
    assert np.isnan(profile_limits(sets, fit, 0.95)).all()


def test_many_data_sets_at_once_are_each_by_itself():
    rng = np.random.default_rng(5)
    treated = [made_up(rng, 30, "tied") for _ in range(4)]
    control = [made_up(rng, 20, "tied") for _ in range(4)]
    control[3] = control[3]._replace(event=np.zeros(20, dtype=int))  # an infinite one among them
    several = sets_of(
        *([np.stack(part) for part in zip(*group, strict=True)] for group in (treated, control))
    )
    fit = cox(several)
    assert np.isinf(fit.log_hr).tolist() == [False, False, False, True]
    for i, pair in enumerate(zip(treated, control, strict=True)):
        one = sets_of(*pair)
        alone = cox(one)
        np.testing.assert_allclose(fit.log_hr[i], alone.log_hr, atol=1e-12)
        np.testing.assert_allclose(fit.variance[i], alone.variance, rtol=1e-9)
        np.testing.assert_allclose(trend(several, fit).slope[i], trend(one, alone).slope, rtol=1e-9)
        np.testing.assert_allclose(log_rank(several).chi2[i], log_rank(one).chi2)
        limits = profile_limits(several, fit, 0.9)
        np.testing.assert_allclose([part[i] for part in limits], profile_limits(one, alone, 0.9), rtol=1e-9)


def test_a_steep_effect_is_found():
    """Hardly any event of the treated comes while others are at risk: a ratio of thousands, but a finite one."""
    treated = (np.r_[np.linspace(1, 2, 400), 50.0], np.ones(401, dtype=int))
    control = (np.r_[1.995, np.linspace(60, 70, 400)], np.ones(401, dtype=int))
    fit = cox(sets_of(treated, control))
    assert np.isfinite(fit.log_hr)

    def slope(beta):
        step = 1e-4
        values = [log_likelihood_by_definition(treated, control, b) for b in (beta - step, beta + step)]
        return values[1] - values[0]

    assert float(fit.log_hr) == pytest.approx(brentq(slope, 0, 20), abs=1e-3)


def test_the_trend_is_near_that_of_lifelines_which_takes_its_information_as_constant():
    import pandas as pd

    rng, n = np.random.default_rng(0), 400
    life = 10 * np.concatenate([rng.weibull(1.0, n), rng.weibull(1.2, n)])
    lost = rng.uniform(0, 30, 2 * n)
    time, event = np.minimum(life, lost), (life <= lost).astype(int)
    frame = pd.DataFrame({"time": time, "event": event, "x": np.repeat([1.0, 0.0], n)})
    model = CoxPHFitter().fit(frame, "time", "event")
    theirs = proportional_hazard_test(model, frame, time_transform="km").test_statistic.iloc[0]
    sets = sets_of((time[:n], event[:n]), (time[n:], event[n:]))
    found = trend(sets, cox(sets))
    assert theirs > 9
    assert float(found.slope**2 / found.variance) == pytest.approx(theirs, rel=0.05)


@pytest.mark.parametrize("seed", [1, 2])
def test_several_groups_against_lifelines(seed):
    rng = np.random.default_rng(seed)
    arms = [made_up(rng, n, life) for n, life in ((40, "tied"), (30, "exponential"), (25, "tied"))]
    time, event = (np.concatenate(part) for part in zip(*arms, strict=True))
    group = np.repeat([0, 1, 2], [40, 30, 25])
    found, df = log_rank_of_several(time, event, group)
    theirs = multivariate_logrank_test(time, group, event)
    assert df == 2
    assert found == pytest.approx(theirs.test_statistic, rel=1e-9)


@given(groups(), groups())
def test_two_of_several_groups_are_two_groups(treated, control):
    assume(treated[1].any() or control[1].any())
    time, event = (np.concatenate(pair) for pair in zip(treated, control, strict=True))
    group = np.repeat([0, 1], [treated[0].size, control[0].size])
    found, df = log_rank_of_several(time, event, group)
    test = log_rank(sets_of(treated, control))
    if test.variance > 1e-9:
        assert df == 1
        assert found == pytest.approx(float(test.chi2), rel=1e-6)
    else:
        assert df == 0
        assert np.isnan(found)


def test_survival_of_zero_has_no_variance_and_no_ratio():
    gone = Estimates(np.array([0.0, 0.5]), np.array([np.inf, 0.02]))
    found = with_variance(gone)
    assert np.isnan(found.variance[0])
    assert found.variance[1] == pytest.approx(0.25 * 0.02)
    ratio = log_ratio(found, found)
    assert np.isnan(ratio.estimate[0])
    assert ratio.estimate[1] == 0
    assert ratio.variance[1] == pytest.approx(2 * 0.02)
