import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from summaries import MEDIANS, columns

from netsynth.kernels import orderstats
from netsynth.kernels.laws import GAMMA, law
from netsynth.kernels.median_pooling import (
    density_variance,
    interval_confidence,
    jackknife,
    quantile_limits,
    quartile_variance,
    weighted_sign_limits,
)
from netsynth.kernels.tau2 import tau2_dl

REFERENCES = Path(__file__).parents[1] / "references"
SURVIVAL = json.loads((REFERENCES / "median_survival.json").read_text(encoding="utf-8"))
POOLMED = json.loads((REFERENCES / "poolmed.json").read_text(encoding="utf-8"))
NINE = np.array([5.23, 3.10, 0.50, 0.78, 3.48, 0.59, 2.20, 5.06, 4.00])


def by_enumeration(y, w, level):
    """All ways in which studies may lie below the median, one by one."""
    order = np.argsort(y)
    y, w = y[order], w[order]
    sums = np.array(
        [
            w[list(picked)].sum()
            for m in range(len(w) + 1)
            for picked in itertools.combinations(range(len(w)), m)
        ]
    )

    def kept(weight_below):
        slack = 1e-9 * w.sum()
        tails = (sums <= weight_below + slack).mean(), (sums >= weight_below - slack).mean()
        return min(tails) > (1 - level) / 2 * (1 + 1e-12)

    below = np.concatenate([[0.0], np.cumsum(w)])
    inside = [i for i, weight in enumerate(below) if kept(weight)]
    if not inside or inside[0] == 0 or inside[-1] == len(y):
        return None
    return y[inside[0] - 1], y[inside[-1]], np.mean([kept(total) for total in sums])


def test_nine_values():
    # exact by the binomial law; the approximation as computed in R from quantiles at 1/2 -+ z / (2 sqrt k)
    found = weighted_sign_limits(NINE, np.ones(9), 0.95)
    assert found[:2] == (0.59, 5.06)
    assert found.coverage == pytest.approx(0.9609375, abs=1e-12)
    assert (found.lower_rank, found.upper_rank) == (2, 8)
    assert quantile_limits(NINE, None, 0.95) == pytest.approx((0.6635, 4.6501), abs=5e-5)


@pytest.mark.parametrize(("k", "ranks", "coverage"), [
    (6, (1, 6), 0.96875), (9, (2, 8), 0.96094), (10, (2, 9), 0.97852), (14, (3, 12), 0.98706), (20, (6, 15), 0.95861),
    (29, (9, 21), 0.97588),
])  # fmt: skip
def test_ranks_of_equal_weights(k, ranks, coverage):
    found = weighted_sign_limits(np.arange(1.0, k + 1), np.full(k, 3.0), 0.95)
    assert found[:2] == ranks == found[3:]
    assert found.coverage == pytest.approx(coverage, abs=5e-6)


@pytest.mark.parametrize("case", POOLMED["cases"], ids=lambda case: case["id"])
def test_reference_sign_test(case):
    y, expected = np.array(case["input"]["values"], dtype=float), case.get("interval_95")
    found = weighted_sign_limits(y, np.ones(y.size), 0.95)
    if expected is None:
        assert math.isnan(found.lower)
        assert found.coverage == case["highest_coverage"]
    else:
        assert found[:3] == pytest.approx(
            [expected[key] for key in ("lower", "upper", "coverage")], rel=1e-12
        )


def test_five_studies_have_no_interval():
    found = weighted_sign_limits(np.arange(5.0), np.ones(5), 0.95)
    assert math.isnan(found.lower)
    assert found.coverage == 0.9375
    # with nearly all the weight in one of eight, nothing narrower than the range will do
    heavy = weighted_sign_limits(np.arange(8.0), np.array([1.0] * 7 + [500]), 0.95)
    assert heavy[:3] == (0, 7, 1 - 2 / 2**8)


@given(st.integers(6, 25), st.sampled_from([0.8, 0.95, 0.99]))
def test_equal_weights_are_the_sign_test(k, level):
    y = np.random.default_rng(k).normal(size=k)
    found, exact = weighted_sign_limits(y, np.full(k, 0.37), level), orderstats.median_rank(k, level)
    if not exact.rank:
        assert math.isnan(found.lower)
        return
    assert found.lower_rank == exact.rank
    assert found.coverage == pytest.approx(float(exact.coverage), rel=1e-9)


@settings(max_examples=40)
@given(
    st.lists(st.integers(1, 60), min_size=6, max_size=11),
    st.integers(0, 9999),
    st.sampled_from([0.7, 0.9, 0.95]),
)
def test_weighted_by_enumeration(weights, seed, level):
    y, w = np.random.default_rng(seed).normal(size=len(weights)), np.array(weights, dtype=float)
    found, slow = weighted_sign_limits(y, w, level), by_enumeration(y, w, level)
    if slow is None:
        assert math.isnan(found.lower)
    else:
        assert found[:3] == pytest.approx(slow, rel=1e-9)
        assert found.coverage >= level


def test_weighted_interval_covers():
    """Draws of nine studies of very unequal size from one law with median 0."""
    rng, weights = np.random.default_rng(3), np.array([10.0, 12, 15, 20, 40, 60, 90, 100, 130])
    hits = [
        (lambda f: f.lower <= 0 <= f.upper)(weighted_sign_limits(rng.standard_cauchy(9), weights, 0.9))
        for _ in range(3000)
    ]
    exact = weighted_sign_limits(np.arange(9.0), weights, 0.9).coverage
    assert np.mean(hits) == pytest.approx(exact, abs=4 * (0.1 * 0.9 / 3000) ** 0.5)
    assert exact >= 0.9


@pytest.mark.parametrize(
    "case",
    [c for c in MEDIANS["cases"] if c["method"] in ("mm", "wm") and "_two" not in c["data"]],
    ids=lambda c: c["id"],
)
def test_reference_normal_approximation(case):
    data = MEDIANS["data"][case["data"]]
    values, n = columns(data)
    mean = np.array(data.get("mean.g1", [None] * n.size), dtype=float)
    y = np.where(np.isnan(values[:, 2]), mean, values[:, 2])
    got = quantile_limits(y, n if case["method"] == "wm" else None, 0.95)
    assert got == pytest.approx((case["output"]["ci.lb"], case["output"]["ci.ub"]), rel=1e-12)
    if case["method"] == "mm" and "exact" in case["output"]:
        found = weighted_sign_limits(y, np.ones(y.size), 0.95)
        theirs = case["output"]["exact"]
        # the lower limit and the coverage agree; R's upper limit is one order statistic too low
        assert (found.lower, found.coverage) == pytest.approx(
            (theirs["ci.lb"], theirs["cov.level"]), rel=1e-12
        )
        assert np.sort(y)[found.upper_rank - 2] == theirs["ci.ub"]


@pytest.mark.parametrize(
    "case",
    [c for c in MEDIANS["cases"] if c["method"] == "cd" and "yi" in c["output"]],
    ids=lambda c: c["id"],
)
def test_reference_confidence_distributions(case):
    data = MEDIANS["data"][case["data"]]
    values, n = columns(data)
    mean, sd = (np.array(data.get(f"{name}.g1", [None] * n.size), dtype=float) for name in ("mean", "sd"))
    has = ~np.isnan(values[:, 2])
    y = np.where(has, values[:, 2], mean)
    v = np.where(has, quartile_variance(values[:, 1], values[:, 3], n), sd**2 / n)
    output = case["output"]
    assert v.tolist() == pytest.approx(output["vi"], rel=1e-12)
    tau2 = tau2_dl(y, v).tau2
    found = jackknife(y, v, tau2)
    assert (tau2, found.mean, found.se**2) == pytest.approx(
        (output["tausq.est"], output["pooled.est"], output["pooled.est.var"]), rel=1e-9, abs=1e-9
    )
    half = stats.t.ppf(0.975, y.size - 1) * found.se
    assert (found.mean - half, found.mean + half) == pytest.approx(
        (output["ci.lb"], output["ci.ub"]), rel=1e-9
    )


@pytest.mark.parametrize("arm", ["g1", "g2"])
def test_reference_confidence_distributions_of_intervals(arm):
    data, output = SURVIVAL["data"], SURVIVAL["confidence"][arm]
    lower, upper = (np.array(data[f"med.ci.{end}.{arm}"]) for end in ("lb", "ub"))
    y, v = interval_confidence(lower, upper, *(np.full(lower.size, 0.025) for _ in range(2)))
    assert y.tolist() == pytest.approx(output["yi"], rel=1e-12)
    assert v.tolist() == pytest.approx(output["vi"], rel=1e-12)
    found = jackknife(y, v, tau2_dl(y, v).tau2)
    assert (found.mean, found.se**2) == pytest.approx(
        (output["pooled.est"], output["pooled.est.var"]), rel=1e-9
    )


def test_unequal_error_probabilities():
    """A normal confidence distribution has these limits at these probabilities."""
    known = stats.norm(40, 6)
    lower, upper = known.ppf(0.02), known.ppf(1 - 0.07)
    y, v = interval_confidence(*map(np.array, (lower, upper, 0.02, 0.07)))
    assert (y, v) == pytest.approx((40, 36), rel=1e-12)


def test_jackknife_by_hand():
    y, v = np.array([1.0, 4.0, 2.0, 7.0]), np.array([0.5, 1.0, 2.0, 1.5])
    w = 1 / (v + 0.3)
    without = [np.average(np.delete(y, i), weights=np.delete(w, i)) for i in range(4)]
    found = jackknife(y, v, np.array(0.3))
    assert found.se**2 == pytest.approx(3 / 4 * np.sum((without - np.mean(without)) ** 2), rel=1e-12)
    assert found.df == 3
    assert np.isnan(jackknife(y[:1], v[:1], np.array(0.0)).se)


def test_variance_of_a_median_by_simulation():
    n, known = 401, stats.gamma(2.5, scale=4)
    one = law(GAMMA, np.array(2.5), np.array(4.0))
    drawn = np.median(np.random.default_rng(1).gamma(2.5, 4, (8000, n)), axis=1)
    got = density_variance(one, np.array(float(n)))
    assert got.item() == pytest.approx(1 / (4 * n * known.pdf(known.median()) ** 2), rel=1e-10)
    assert got.item() == pytest.approx(drawn.var(), rel=0.07)
