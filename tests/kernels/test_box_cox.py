import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, differential_evolution, minimize, minimize_scalar
from scipy.stats import chi2, norm
from summaries import FIVE, MEDIANS, NAN, columns, summaries

from netsynth.kernels.box_cox import _gaps, bc_law, mln_law, order_fit, order_log_likelihood
from netsynth.kernels.five_numbers import luo_mean, scenario, wan_sd
from netsynth.kernels.laws import law_moments


def transform(x, power):
    return np.log(x) if power == 0 else (x**power - 1) / power


def ranks_of(values, n):
    ranks = np.array([1, n // 4 + 1, n // 2 + 1, 3 * n // 4 + 1, n])
    return values[~np.isnan(values)], ranks[~np.isnan(values)]


def naive_log_likelihood(y, ranks, n, mu, sigma):
    """Order statistics of a normal sample, gap by gap, by scipy."""
    total = norm.logpdf(y, mu, sigma).sum()
    cdf = [0.0, *norm.cdf(y, mu, sigma), 1.0]
    places = [0, *ranks, n + 1]
    for i in range(len(places) - 1):
        inside = places[i + 1] - places[i] - 1
        if inside > 0:
            total += inside * math.log(cdf[i + 1] - cdf[i])
    return total


@pytest.mark.parametrize(("values", "n", "output"), summaries())
def test_reference_bc(values, n, output):
    found = bc_law(values, np.array(n))
    theirs = output["bc"]
    mean, sd = law_moments(found)
    # R's optimise stops within 1e-4 of the power
    assert found.third.item() == pytest.approx(theirs["shape"], abs=2e-5)
    assert (mean.item(), sd.item()) == pytest.approx((theirs["mean"], theirs["sd"]), rel=1e-5)


@pytest.mark.parametrize(("values", "n", "output"), summaries())
def test_reference_mln(values, n, output):
    found = mln_law(values, np.array(n))
    theirs = output["mln"]
    mean, sd = law_moments(found)
    # R's optimise stops within 1e-3 of the power, and at that distance from the end of its range where we give 0
    assert found.third.item() == pytest.approx(theirs["shape"], abs=1e-3)
    assert (mean.item(), sd.item()) == pytest.approx((theirs["mean"], theirs["sd"]), rel=4e-3)
    # at R's own power its Nelder-Mead ends where Newton's method does, to its four digits
    y, ranks = ranks_of(values, int(n))
    y = transform(y, theirs["shape"])
    pushed, gaps = _gaps(transform(values, theirs["shape"]), np.array(n))
    start = (
        luo_mean(transform(values, theirs["shape"]), np.array(n)),
        wan_sd(transform(values, theirs["shape"]), np.array(n)),
    )
    mu, sigma = order_fit(pushed, gaps, *start)
    assert (mu.item(), sigma.item()) == pytest.approx((theirs["location"], theirs["scale"]), rel=4e-4)
    ours, r_top = (
        naive_log_likelihood(y, ranks, int(n), *pair)
        for pair in ((mu, sigma), (theirs["location"], theirs["scale"]))
    )
    assert ours >= r_top


@pytest.mark.parametrize(
    "case", [c for c in FIVE["converted"] if c["method"] in ("bc", "mln")], ids=lambda c: c["id"]
)
def test_reference_studies(case):
    values, n = columns(MEDIANS["data"][case["data"]])
    has = scenario(values) > 0
    method = {"bc": bc_law, "mln": mln_law}[case["method"]]
    mean, sd = law_moments(method(values[has], n[has]))
    theirs, se = (np.array(case[key], dtype=float)[has] for key in ("yi", "sei"))
    assert sd / np.sqrt(n[has]) == pytest.approx(se, rel=0.6)
    assert np.median(sd / np.sqrt(n[has]) / se) == pytest.approx(1, abs=0.06)
    # theirs are means of random draws of the cut law, 10,000 for MLN and 1,000 for BC, and scatter as such means do
    z = (theirs - mean) / (sd / np.sqrt({"bc": 1000, "mln": 10_000}[case["method"]]))
    low, high = chi2.ppf([0.001, 0.999], z.size)
    assert low < (z**2).sum() < high
    assert abs(z.mean()) < 3.3 / np.sqrt(z.size)
    assert np.abs(z).max() < 3.3


@pytest.mark.parametrize("study", [5, 8, 13])
def test_mln_is_the_highest_likelihood(study):
    """Studies whose mean differs from R's by 1 to 7%: a search over everything, and the moments over x."""
    values, n = columns(MEDIANS["data"]["dat.ck"])
    values, size = values[study], int(n[study])
    x, ranks = ranks_of(values, size)

    def height(power):
        whole = transform(values, power)
        at = luo_mean(whole, n[study]).item(), wan_sd(whole, n[study]).item()
        return -naive_log_likelihood(transform(x, power), ranks, size, *at)

    found = mln_law(values, n[study])
    assert height(found.third.item()) <= min(map(height, np.arange(0, 3, 0.02))) + 1e-9
    assert found.third.item() == 0  # so that what was read is a log-normal law
    y = np.log(x)
    best = differential_evolution(
        lambda p: -naive_log_likelihood(y, ranks, size, p[0], math.exp(p[1])),
        [(y.min(), y.max()), (-2, 2)],
        seed=1,
        tol=1e-12,
    ).x
    mu, sigma = best[0], math.exp(best[1])
    mean, sd = law_moments(found)
    expected = math.exp(mu + sigma**2 / 2)
    assert (mean.item(), sd.item()) == pytest.approx(
        (expected, expected * math.sqrt(math.expm1(sigma**2))), rel=1e-5
    )


@pytest.mark.parametrize(("values", "n", "output"), summaries())
def test_mln_by_a_second_implementation(values, n, output):  # noqa: ARG001  # the same summaries
    size = int(n)
    x, ranks = ranks_of(values, size)

    def height(power):
        y = transform(x, power)
        whole = transform(values, power)
        return -naive_log_likelihood(y, ranks, size, luo_mean(whole, n).item(), wan_sd(whole, n).item())

    coarse = min(np.arange(0, 3, 0.02), key=height)
    power = minimize_scalar(
        height, bounds=(max(coarse - 0.03, 0), coarse + 0.03), method="bounded", options={"xatol": 1e-9}
    ).x
    power = 0.0 if coarse == 0 else power
    found = mln_law(values, np.array(n))
    assert found.third.item() == pytest.approx(power, abs=1e-5)
    y = transform(x, found.third.item())
    options = {"xatol": 1e-10, "fatol": 1e-12, "maxiter": 4000}
    best = minimize(
        lambda p: -naive_log_likelihood(y, ranks, size, p[0], math.exp(p[1])),
        [np.median(y), math.log(np.std(y))],
        method="Nelder-Mead",
        options=options,
    ).x
    assert (found.first.item(), found.second.item()) == pytest.approx((best[0], math.exp(best[1])), rel=1e-6)


@pytest.mark.parametrize(
    ("x", "rest"), [((1.0, 24.0, 96.0), "S1"), ((3.0, 11.0, 30.0), "S1"), ((18.0, 36.0, 60.0), "S2")]
)
def test_bc_makes_three_values_symmetric(x, rest):
    def skew(power):
        a, m, b = transform(np.array(x), power)
        return a + b - 2 * m

    values = np.full(5, NAN)
    values[[0, 2, 4] if rest == "S1" else [1, 2, 3]] = x
    assert bc_law(values, np.array(45.0)).third.item() == pytest.approx(brentq(skew, 1e-9, 5), abs=1e-6)


@settings(max_examples=25)
@given(st.lists(st.floats(0.5, 90), min_size=5, max_size=5, unique=True).map(sorted), st.floats(0.05, 20))
def test_bc_does_not_depend_on_the_unit(values, factor):
    x, n = np.array(values), np.array(50.0)
    one, other = bc_law(x, n), bc_law(factor * x, n)
    assert other.third == pytest.approx(one.third, abs=1e-4)


def test_mln_depends_on_the_unit_as_published():
    months = np.array([1, NAN, 24, NAN, 96])
    powers = [mln_law(factor * months, np.array(45.0)).third.item() for factor in (1, 1 / 12)]
    means = [
        law_moments(mln_law(factor * months, np.array(45.0)))[0].item() / factor for factor in (1, 1 / 12)
    ]
    assert powers[1] - powers[0] > 0.05
    assert abs(means[1] / means[0] - 1) > 0.01


@pytest.mark.parametrize("method", [bc_law, mln_law])
def test_what_has_no_answer_is_nan(method):
    rows = np.array([[0, NAN, 4, NAN, 9], [NAN, NAN, 4, NAN, NAN], [NAN, 2, 4, 9, NAN]])
    found = method(rows, np.full(3, 30.0))
    assert np.isnan(found.first).tolist() == [True, True, False]


def test_bc_needs_room_below_the_median():
    assert np.isnan(bc_law(np.array([NAN, 4.0, 4, 9, NAN]), np.array(30.0)).first)


@pytest.mark.parametrize("method", [bc_law, mln_law])
def test_a_batch_is_a_loop(method):
    rng = np.random.default_rng(2)
    rows = np.sort(rng.gamma(2, 10, (7, 5)), axis=1)
    rows[2, [0, 4]], rows[4, [1, 3]], rows[5, 0] = NAN, NAN, -1
    n = np.array([20.0, 30, 40, 50, 60, 70, 80])
    together = method(rows, n)
    for i, (row, size) in enumerate(zip(rows, n, strict=True)):
        alone = method(row, size)
        for name in ("first", "second", "third"):
            assert getattr(together, name)[i] == pytest.approx(
                getattr(alone, name).item(), rel=1e-7, abs=1e-7, nan_ok=True
            )


def test_likelihood_of_order_statistics():
    rng = np.random.default_rng(5)
    for kept in ([0, 2, 4], [1, 2, 3], [0, 1, 2, 3, 4]):
        values = np.full(5, NAN)
        values[kept] = np.sort(rng.normal(5, 2, len(kept)))
        y, ranks = ranks_of(values, 37)
        pushed, gaps = _gaps(values, np.array(37.0))
        got = order_log_likelihood(pushed, gaps, np.array(4.6), np.array(1.7))
        assert got.item() == pytest.approx(naive_log_likelihood(y, ranks, 37, 4.6, 1.7), rel=1e-12)
        assert gaps.sum() == 37 - len(kept)
