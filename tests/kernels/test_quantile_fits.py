import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import minimize
from summaries import FIVE, MEDIANS, NAN, columns, summaries

from netsynth.kernels.five_numbers import scenario
from netsynth.kernels.laws import LAW_FAMILIES, law_moments, law_quantile
from netsynth.kernels.quantile_fits import (
    COARSE,
    DEFAULT_FAMILIES,
    FINE,
    QUANTILE_FITTERS,
    QuantileFamily,
    fit_quantiles,
    lowest,
    probabilities,
)

FROZEN = {
    "normal": lambda a, b: stats.norm(a, math.exp(b)),
    "log-normal": lambda a, b: stats.lognorm(math.exp(b), scale=math.exp(a)),
    "gamma": lambda a, b: stats.gamma(math.exp(a), scale=math.exp(b)),
    "Weibull": lambda a, b: stats.weibull_min(math.exp(a), scale=math.exp(b)),
    "beta": lambda a, b: stats.beta(math.exp(a), math.exp(b)),
}


def naive(name, values, p):
    """Nelder-Mead from many starts on two parameters, by the quantiles of scipy."""
    known = ~np.isnan(values)
    x, at = values[known], p[known]

    def loss(parameters):
        with np.errstate(all="ignore"):
            missed = FROZEN[name](*parameters).ppf(at) - x
        total = float(missed @ missed)
        return total if math.isfinite(total) else 1e12

    middle, spread = math.log(np.median(x)), math.log(np.ptp(x))
    starts = {
        "normal": [(np.median(x), spread - 1)],
        "log-normal": [(middle, s) for s in (-2, -0.5)],
        "gamma": [(s, middle - s) for s in (-0.5, 0.5, 1.5, 3.5)],
        "Weibull": [(s, middle) for s in (-0.3, 0.5, 1.8)],
        "beta": [(0.0, 0.0), (1.0, 1.0), (0.5, 1.5), (2.0, 2.0)],
    }[name]
    options = {"xatol": 1e-10, "fatol": 1e-14, "maxiter": 800, "maxfev": 800}
    return min(minimize(loss, start, method="Nelder-Mead", options=options).fun for start in starts)


def test_every_name_is_reachable():
    assert set(get_args(QuantileFamily)) == set(QUANTILE_FITTERS) == set(FROZEN) == set(LAW_FAMILIES[:5])
    assert set(DEFAULT_FAMILIES) < set(QUANTILE_FITTERS)


@pytest.mark.parametrize(("values", "n", "output"), summaries())
def test_reference_losses(values, n, output):
    """Never above R's sum of squares; where R's search ended at a wall or found no start, below it."""
    p = probabilities(np.array(n))
    for name in DEFAULT_FAMILIES:
        theirs = output["qe"]["values"][name.lower()]
        ours = QUANTILE_FITTERS[name](values, p, FINE).loss.item()
        if theirs is not None:
            assert ours <= theirs * (1 + 1e-9) + 1e-12
    fit = fit_quantiles(values, np.array(n))
    chosen = LAW_FAMILIES[int(fit.law.family)]
    theirs = output["qe"]["values"][output["qe"]["dist"]]
    assert fit.loss.item() <= theirs * (1 + 1e-9) + 1e-12
    if chosen.lower() == output["qe"]["dist"]:
        mean, sd = law_moments(fit.law)
        # R's optimiser stops when the sum of squares no longer changes in its eighth digit
        assert (mean.item(), sd.item()) == pytest.approx((output["qe"]["mean"], output["qe"]["sd"]), rel=6e-4)
    else:
        assert chosen == "Weibull"
        assert output["qe"]["values"]["weibull"] is None


@pytest.mark.parametrize(
    "case", [case for case in FIVE["converted"] if case["method"] == "qe"], ids=lambda c: c["id"]
)
def test_reference_studies(case):
    values, n = columns(MEDIANS["data"][case["data"]])
    mean, _ = law_moments(fit_quantiles(values, n).law)
    has = ~np.isnan(values[:, 2])
    ratio = mean[has] / np.array(case["yi"], dtype=float)[has]
    assert np.median(np.abs(ratio - 1)) < 1e-4
    assert (np.abs(ratio - 1) < 1e-3).mean() > 0.6
    assert np.abs(ratio - 1).max() < 0.15
    # the others: R searches in boxes and drops a family that does not start; ours is the best of its family
    fit = fit_quantiles(values, n)
    for i in np.flatnonzero(has)[np.abs(ratio - 1) > 1e-3][:2]:
        name = LAW_FAMILIES[int(fit.law.family[i])]
        assert fit.loss[i] == pytest.approx(
            naive(name, np.maximum(values[i], 1e-9), probabilities(n[i])), rel=1e-4
        )


@pytest.mark.parametrize("name", FROZEN)
@pytest.mark.parametrize(("values", "n"), [
    ([NAN, 0.18, 0.36, 0.6, NAN], 210), ([0.01, NAN, 0.2, NAN, 0.9], 45), ([0.05, 0.2, 0.25, 0.4, 0.7], 25),
    ([NAN, 0.5, 0.55, 0.9, NAN], 16), ([0.2, 0.4, 0.5, 0.6, 0.8], 100),
])  # fmt: skip
def test_second_implementation(name, values, n):
    x = np.array(values)
    p = probabilities(np.array(float(n)))
    ours = QUANTILE_FITTERS[name](x, p, FINE)
    assert ours.loss.item() == pytest.approx(naive(name, x, p), rel=1e-6, abs=1e-10)
    missed = law_quantile(ours.law, p) - x
    assert np.nansum(missed**2) == pytest.approx(ours.loss.item(), rel=1e-6, abs=1e-10)


@pytest.mark.parametrize("name", FROZEN)
def test_quantiles_of_a_family_give_it_back(name):
    known = {
        "normal": stats.norm(5, 2), "log-normal": stats.lognorm(0.8, scale=12), "gamma": stats.gamma(0.6, scale=30),
        "Weibull": stats.weibull_min(1.7, scale=40), "beta": stats.beta(1.5, 4),
    }[name]  # fmt: skip
    p = probabilities(np.array(60.0))
    fit = QUANTILE_FITTERS[name](known.ppf(p), p, FINE)
    mean, sd = law_moments(fit.law)
    assert (mean.item(), sd.item()) == pytest.approx((known.mean(), known.std()), rel=1e-5)
    best = fit_quantiles(known.ppf(p), np.array(60.0), families=tuple(FROZEN))
    assert LAW_FAMILIES[int(best.law.family)] == name


@settings(max_examples=25)
@given(st.lists(st.floats(0.5, 90), min_size=5, max_size=5, unique=True).map(sorted), st.floats(0.01, 50))
def test_a_change_of_unit_changes_the_unit(values, factor):
    x, n = np.array(values), np.array(50.0)
    plain, scaled = (fit_quantiles(v, n) for v in (x, factor * x))
    assert scaled.loss == pytest.approx(factor**2 * plain.loss, rel=1e-5, abs=1e-10 * factor**2)


def test_a_zero_is_taken_as_it_is():
    fit = fit_quantiles(np.array([0.0, NAN, 9.0, NAN, 26.0]), np.array(211.0))
    assert np.isfinite(fit.loss)
    below = fit_quantiles(np.array([-1.0, NAN, 9.0, NAN, 26.0]), np.array(211.0))
    assert LAW_FAMILIES[int(below.law.family)] == "normal"


def test_what_cannot_be_fitted_is_nan():
    rows = np.array([[NAN, NAN, 4, NAN, NAN], [NAN, 1, 2, 4, NAN], [NAN, 1, 2, 4, NAN]])
    fit = fit_quantiles(rows, np.array([30.0, 30.0, 2.0]))
    assert np.isnan(fit.law.first).tolist() == [True, False, True]
    outside = QUANTILE_FITTERS["beta"](rows[1], probabilities(np.array(30.0)), FINE)
    assert outside.loss == np.inf


def test_a_batch_is_a_loop():
    rng = np.random.default_rng(2)
    rows = np.sort(rng.gamma(2, 10, (7, 5)), axis=1)
    rows[2, [0, 4]], rows[4, [1, 3]] = NAN, NAN
    n = np.array([20.0, 30, 40, 50, 60, 70, 80])
    together = fit_quantiles(rows, n)
    one_by_one = [fit_quantiles(row, size) for row, size in zip(rows, n, strict=True)]
    assert together.loss.tolist() == pytest.approx([fit.loss.item() for fit in one_by_one], rel=1e-9)
    quick = law_moments(fit_quantiles(rows, n, n_steps=COARSE).law)[0]
    assert quick == pytest.approx(law_moments(together.law)[0], rel=1e-3)


def test_search_finds_the_deeper_of_two_valleys():
    def height(x):
        return np.minimum((x - 1.03) ** 2, (x - 7.01) ** 2 - 0.5)

    assert lowest(height, np.linspace(0, 10, 21), ()).item() == pytest.approx(7.01, abs=1e-6)
    assert lowest(lambda x: -x, np.linspace(0, 10, 21), ()).item() == pytest.approx(10)


def test_where_a_reference_mean_differs_the_reference_has_another_law():
    """Ten of 61 studies by more than 1%: nine are R's gamma laws where Weibull is nearer, one met the end of a box."""
    laws, gammas, theirs = [], [], []
    for case in (c for c in FIVE["converted"] if c["method"] == "qe"):
        values, n = columns(MEDIANS["data"][case["data"]])
        has = scenario(values) > 0
        fit = fit_quantiles(values[has], n[has])
        gammas += law_moments(fit_quantiles(values[has], n[has], ("gamma",)).law)[0].tolist()
        laws += zip(
            [LAW_FAMILIES[i] for i in fit.law.family], law_moments(fit.law)[0], fit.law.second, strict=True
        )
        theirs += np.array(case["yi"], dtype=float)[has].tolist()
    apart = [i for i, (_, mean, _) in enumerate(laws) if abs(mean / theirs[i] - 1) > 0.01]
    assert (len(laws), len(apart)) == (61, 10)
    weibull = [i for i in apart if laws[i][0] == "Weibull"]
    assert [gammas[i] for i in weibull] == pytest.approx([theirs[i] for i in weibull], rel=3e-4)
    ((family, _, sd),) = (laws[i] for i in apart if i not in weibull)
    assert (family, sd > 50) == ("normal", True)
