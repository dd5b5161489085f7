from typing import get_args

import numpy as np
import pytest

from netsynth.kernels.curves import CURVES, TAILS
from netsynth.kernels.families import FAMILIES
from netsynth.kernels.grouped import Fragments, fit
from netsynth.kernels.model_average import akaike_weights, candidates, criteria, family, fit_all
from netsynth.kernels.reconstruction import (
    FAMILY_NAMES,
    METHODS,
    TAIL_NAMES,
    AverageName,
    Figures,
    build,
    families_needed,
    members,
    model_variance,
    moved,
    sampling_variance,
)

TIME = np.array([3.0, 5.0, 10.0])
SURVIVAL = np.array([0.83, 0.705, 0.42])
NUMBER = np.array([100.0, 70.0, 45.0])
REPORT = Figures(TIME, SURVIVAL, Fragments(TIME, SURVIVAL, SURVIVAL, SURVIVAL, NUMBER), 3)
TWO = Figures(TIME[:2], SURVIVAL[:2], Fragments(*(part[:2] for part in REPORT.fragments)), 2)


def survival(curve, time):
    return np.exp(-curve.cumulative_hazard(np.atleast_1d(np.asarray(time, dtype=float))))


def log_survival_at(time):
    return lambda curve: -curve.cumulative_hazard(np.atleast_1d(np.asarray(time, dtype=float)))


def test_names_are_those_of_curves_families_and_averages():
    assert set(METHODS) == {*CURVES, *FAMILY_NAMES, *get_args(AverageName)}
    assert set(TAIL_NAMES) == {*TAILS, *FAMILY_NAMES, "average"}
    assert set(FAMILIES) | {"royston_parmar"} == set(FAMILY_NAMES)


def test_only_the_families_that_are_needed_are_fitted():
    assert families_needed("pchip", None, 3) == families_needed("pchip", "exponential", 3) == ()
    assert families_needed("gamma", "weibull", 3) == ("weibull", "gamma")
    assert families_needed("exponential", "exponential", 3) == ("exponential",)
    assert families_needed("pchip", "average", 1) == candidates(1)
    assert families_needed("blend", None, 3) == candidates(3)


@pytest.mark.parametrize("method", METHODS)
def test_without_a_tail_nothing_is_known_after_the_last_figure(method):
    curve = build(method, None, REPORT).curve
    assert np.isnan(survival(curve, 10.001)).all()
    assert np.isnan(curve.area(np.array([11.0]))).all()
    assert np.isnan(curve.time_at(np.array([3.0]))).all()
    assert abs(survival(curve, 10.0).item() - 0.42) < 0.06


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tail", TAIL_NAMES)
def test_a_tail_begins_where_the_body_ends(method, tail):
    body, curve = build(method, None, REPORT).curve, build(method, tail, REPORT).curve
    at = np.array([1.0, 4.0, 10.0])
    assert survival(curve, at) == pytest.approx(survival(body, at), rel=1e-9)
    assert survival(curve, 10 + 1e-9) == pytest.approx(survival(body, 10.0), rel=1e-6)
    late = survival(curve, [12.0, 30.0])
    assert 0 < late[1] < late[0] < survival(body, 10.0)
    if tail in FAMILIES and tail != "exponential":
        own = FAMILIES[tail].curve(fit(FAMILIES[tail], REPORT.fragments).theta)
        assert late[1] / late[0] == pytest.approx((survival(own, 30) / survival(own, 12)).item(), rel=1e-9)


def test_an_average_is_weighted_by_akaike():
    fits = fit_all(candidates(3), REPORT.fragments)
    weights = akaike_weights(criteria(fits, REPORT.fragments).aic)
    each = [survival(family(name, TIME).curve(found.theta), 7.0) for name, found in fits.items()]
    expected = sum(w * s for w, s in zip(weights, each, strict=True))
    assert survival(build("average", None, REPORT).curve, 7.0) == pytest.approx(expected, rel=1e-12)


def test_a_blend_passes_through_the_figures():
    assert survival(build("blend", None, REPORT).curve, TIME) == pytest.approx(SURVIVAL, rel=1e-9)


@pytest.mark.parametrize("method", ["pchip", "piecewise_exponential", "blend"])
def test_sampling_error_at_the_figures_is_greenwoods(method):
    built = build(method, None, REPORT)
    p = SURVIVAL / np.array([1.0, 0.83, 0.705])
    greenwood = np.cumsum((1 - p) / (p * NUMBER))
    found = sampling_variance(moved(built, method, None, REPORT), log_survival_at(TIME))
    assert found == pytest.approx(greenwood, rel=1e-6)
    # independent increments: the variance of a ratio is the difference of the variances
    ratio = sampling_variance(
        moved(built, method, None, REPORT), lambda curve: np.diff(curve.cumulative_hazard(TIME[1:]))
    )
    assert ratio.item() == pytest.approx(greenwood[2] - greenwood[1], rel=1e-6)
    between = model_variance(
        members(built, method, None, REPORT), log_survival_at(TIME)(built.curve), log_survival_at(TIME)
    )
    assert between == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", ["weibull", "lognormal", "loglogistic", "gamma", "gompertz"])
def test_sampling_error_of_a_family_is_that_of_its_covariance(name):
    """With as many figures as parameters there is but one delta method."""
    found = fit(FAMILIES[name], TWO.fragments)
    at, step = np.array([1.0, 4.0, 5.0]), 1e-5
    unit = FAMILIES[name].unit(5.0)
    gradient = np.stack(
        [
            (
                FAMILIES[name].curve(found.theta + move).cumulative_hazard(at)
                - FAMILIES[name].curve(found.theta - move).cumulative_hazard(at)
            )
            / (2 * step * unit[i])
            for i, move in enumerate(np.diag(step * unit))
        ]
    )
    expected = np.einsum("iq,ij,jq->q", gradient, found.covariance, gradient)
    built = build(name, None, TWO)
    assert sampling_variance(moved(built, name, None, TWO), log_survival_at(at)) == pytest.approx(
        expected, rel=2e-3
    )
    assert members(built, name, None, TWO) == []


def test_sampling_error_by_bootstrap():
    """Figures drawn anew from binomial distributions, the curve made of each: the same spread, about."""
    rng = np.random.default_rng(3)
    p = SURVIVAL / np.array([1.0, 0.83, 0.705])
    number = 10 * NUMBER
    report = Figures(TIME, SURVIVAL, REPORT.fragments._replace(number=number), 3)
    draws = np.cumprod(rng.binomial(number.astype(int), p, (1500, 3)) / number, axis=1)
    at = np.array([4.0, 8.0, 13.0])
    for method, tail in (("pchip", "weibull"), ("weibull", "weibull")):
        fits = fit(
            FAMILIES["weibull"], Fragments(TIME, draws, draws, draws, np.broadcast_to(number, draws.shape))
        )
        answers = []
        for row, drawn in enumerate(draws):
            one = Figures(TIME, drawn, Fragments(TIME, drawn, drawn, drawn, number), 3)
            curve = build(method, tail, one, {"weibull": type(fits)(*(part[row] for part in fits))}).curve
            answers.append(log_survival_at(at)(curve))
        expected = np.var(answers, axis=0)
        built = build(method, tail, report)
        found = sampling_variance(moved(built, method, tail, report), log_survival_at(at))
        assert found == pytest.approx(expected, rel=0.12)  # a variance from 1500 draws is known to 4%


def test_models_disagree_between_figures_and_beyond_and_not_at_them():
    at = np.array([1.0, 3.0, 7.0, 10.0, 20.0])
    built = build("pchip", "average", REPORT)
    found = members(built, "pchip", "average", REPORT)
    assert sum(weight for weight, _ in found) == pytest.approx(1, abs=1e-4)
    spread = model_variance(found, log_survival_at(at)(built.curve), log_survival_at(at))
    assert spread[[1, 3]] == pytest.approx(0, abs=1e-12)
    assert (spread[[0, 2, 4]] > 0).all()
    assert spread[4] > spread[2]


def test_a_flat_stretch_and_a_survival_of_zero_have_no_error_of_their_own():
    s = np.array([0.7, 0.7, 0.0])
    report = Figures(TIME, s, Fragments(TIME, s, s, s, NUMBER), 1)
    built = build("pchip", None, report)
    found = sampling_variance(moved(built, "pchip", None, report), log_survival_at(TIME[:2]))
    assert found == pytest.approx([0.3 / (0.7 * 100)] * 2, rel=1e-6)
