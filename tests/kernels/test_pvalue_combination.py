import json
import math
from decimal import Decimal, getcontext
from fractions import Fraction
from itertools import pairwise
from math import comb, factorial
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from netsynth.kernels.pvalue_combination import (
    COMBINATIONS,
    CombinationMethod,
    edgington,
    fisher,
    inverse_chi2,
    inverse_t,
    log_gamma_tail,
    log_student_tail,
    logit,
    maximum,
    mean_p,
    mean_z,
    rank_truncated,
    stouffer,
    tippett,
    truncated,
    truncated_soft,
    vote,
    wilkinson,
)

REFERENCE = json.loads(
    (Path(__file__).parents[1] / "references" / "pvalue_combination.json").read_text(encoding="utf-8")
)

#: Keys of the reference, the call here, and the name of the statistic there.
CALLS = {
    "sumlog_Fisher": (fisher, {}, "chisq"),
    "sumz_Stouffer": (stouffer, {}, "z"),
    "logitp": (logit, {}, "t"),
    "meanp": (mean_p, {}, "z"),
    "minimump": (tippett, {}, "pr"),
    "maximump": (maximum, {}, "pr"),
    **{f"wilkinsonp_r{r}": (wilkinson, {"rank": r}, "pr") for r in (1, 2, 3, 4)},
    "sump_Edgington": (edgington, {}, None),
    **{f"votep_alpha{a}": (vote, {"threshold": a}, "pos") for a in (0.5, 0.4, 0.1, 0.05)},
    "invchisq_k2": (inverse_chi2, {"df": 2.0}, "chisq"),
    "invchisq_k4": (inverse_chi2, {"df": 4.0}, "chisq"),
    "invt_k10": (inverse_t, {"df": 10.0}, "z"),
    "truncated_p0.05": (truncated, {"threshold": 0.05}, "stat"),
    "truncated_p0.2": (truncated, {"threshold": 0.2}, "stat"),
}
#: metap drops a p of 0 or 1, and with them its weights; only sets without are compared.
CASES = [case for case in REFERENCE["cases"] if all(0 < p < 1 for p in case["p"])]

PVALUES = st.floats(1e-12, 1 - 1e-6)
SETS = st.lists(PVALUES, min_size=1, max_size=8)


def both(p):
    p = np.asarray(p, dtype=float)
    return p, 1 - p


def value(found):
    return math.exp(float(found.log_pvalue))


def test_every_name_is_reachable():
    assert set(get_args(CombinationMethod)) == set(COMBINATIONS)


def test_the_reference_was_read():
    assert len(REFERENCE["cases"]) == 11
    assert len(CASES) == 9


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["id"])
@pytest.mark.parametrize("key", CALLS)
def test_reference(case, key):
    combine, options, statistic = CALLS[key]
    found, expected = combine(*both(case["p"]), **options), case["output"][key]
    # truncated p-values of the reference are one less a distribution function, good to 1e-15 and no more
    assert value(found) == pytest.approx(expected["p"], rel=1e-9, abs=5e-15 if "truncated" in key else 0)
    if statistic:
        assert float(found.statistic) == pytest.approx(expected[statistic], rel=1e-11)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["id"])
def test_reference_weights(case):
    found = stouffer(*both(case["p"]), weights=np.array(case["weights"]))
    expected = case["output"]["sumz_weighted"]
    assert (float(found.statistic), value(found)) == pytest.approx((expected["z"], expected["p"]), rel=1e-9)


@pytest.mark.parametrize("case", [c for c in CASES if c["id"] != "made5"], ids=lambda c: c["id"])
def test_mean_z_is_the_statistic_of_the_reference_but_students_distribution(case):
    """metap takes the same statistic as normal; of independent normal z it is Student's, so its p is larger."""
    found, expected = mean_z(*both(case["p"])), case["output"]["meanz"]
    assert float(found.statistic) == pytest.approx(expected["z"], rel=1e-11)
    z = stats.norm.isf(case["p"])
    p = stats.ttest_1samp(z, 0, alternative="greater").pvalue
    assert value(found) == pytest.approx(p, rel=1e-9)


# Becker BJ (1994), as the documentation of metap 1.13 prints it; digits as printed.
BECKER = [0.016, 0.067, 0.250, 0.405, 0.871]
TEACHER = [0.405, 0.208, 0.799, 0.002, 0.243, 0.720, 0.577, 0.926, 0.051, 0.001, 0.040, 0.211, 0.528, 0.216]
TEACHER += [0.871, 0.640, 0.016, 0.227, 0.656]
EDGINGTON = [0.20, 0.35, 0.35, 0.40, 0.40, 0.40, 0.40]


def test_published_becker():
    chi2, z, t = (combine(*both(BECKER)) for combine in (fisher, stouffer, logit))
    assert (float(chi2.statistic), float(chi2.df)) == (pytest.approx(18.533, abs=5e-4), 10)
    assert float(z.statistic) == pytest.approx(1.53, abs=5e-3)
    assert (float(t.statistic), float(t.df)) == (pytest.approx(1.62, abs=5e-3), 29)


def test_published_teacher_expectancy():
    found = fisher(*both(TEACHER))
    assert (float(found.statistic), float(found.df)) == (pytest.approx(69.473, abs=5e-4), 38)
    assert value(found) == pytest.approx(0.0014, abs=5e-5)


def test_published_edgington():
    assert value(edgington(*both(EDGINGTON))) == pytest.approx(0.097, abs=5e-4)


# --- second implementations ---------------------------------------------------------------------------


@given(SETS)
def test_fisher_and_stouffer_are_those_of_scipy(p):
    for combine, name in ((fisher, "fisher"), (stouffer, "stouffer")):
        assert value(combine(*both(p))) == pytest.approx(stats.combine_pvalues(p, name).pvalue, rel=1e-8)


@given(st.lists(st.fractions(0, 1, max_denominator=50), min_size=1, max_size=25))
def test_edgington_is_the_alternating_sum_in_fractions(p):
    total, k = sum(p), len(p)
    exact = sum((-1) ** j * comb(k, j) * (total - j) ** k for j in range(k + 1) if total > j) / Fraction(
        factorial(k)
    )
    found = value(edgington(*both([float(x) for x in p])))
    assert found == pytest.approx(float(exact), rel=1e-9, abs=1e-300)


@given(
    st.lists(st.fractions(Fraction(1, 60), Fraction(59, 60), max_denominator=60), min_size=1, max_size=9),
    st.data(),
)
def test_wilkinson_is_a_binomial_tail_in_fractions(p, data):
    rank, k = data.draw(st.integers(1, len(p))), len(p)
    x = sorted(p)[rank - 1]
    exact = sum(comb(k, j) * x**j * (1 - x) ** (k - j) for j in range(rank, k + 1))
    assert value(wilkinson(*both([float(v) for v in p]), rank=rank)) == pytest.approx(float(exact), rel=1e-10)


@given(SETS, st.sampled_from([0.5, 0.3, 0.05]))
def test_votes_are_counted_in_fractions(p, threshold):
    for_it = sum(x < threshold for x in p)
    n = for_it + sum(1 - x < threshold for x in p)
    exact = sum(Fraction(comb(n, j), 2**n) for j in range(for_it, n + 1)) if n else 1
    assert value(vote(*both(p), threshold=threshold)) == pytest.approx(float(exact), rel=1e-12)


@given(SETS, st.floats(0.01, 0.99))
def test_truncated_products_by_their_formula(p, tau):
    """Zaykin and others (2002), https://doi.org/10.1002/gepi.0042, equation (1), term by term."""
    k, below = len(p), [x for x in p if x <= tau]
    w = math.prod(below)
    total = 0.0
    for j in range(1, k + 1):
        inner = tau**j
        if w <= tau**j:
            inner = w * sum((j * math.log(tau) - math.log(w)) ** s / math.factorial(s) for s in range(j))
        total += comb(k, j) * (1 - tau) ** (k - j) * inner
    expected = total if below else 1.0
    assert value(truncated(*both(p), threshold=tau)) == pytest.approx(expected, rel=1e-8)
    soft = math.prod(x / tau for x in below)
    tail = sum(
        stats.binom.pmf(j, k, tau) * stats.chi2.sf(-2 * math.log(soft), 2 * j) for j in range(1, k + 1)
    )
    expected = tail if below else 1.0
    assert value(truncated_soft(*both(p), threshold=tau)) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(("k", "rank"), [(2, 1), (5, 2), (9, 4), (30, 3), (200, 10)])
@pytest.mark.parametrize("size", [1e-6, 1e-3, 0.2])
def test_rank_truncated_product_by_quadrature(k, rank, size):
    p = size * np.linspace(0.2, 1.0, k)
    log_w = float(np.log(np.sort(p)[:rank]).sum())

    def integrand(t):
        return stats.beta.pdf(t, rank + 1, k - rank) * stats.gamma.sf(
            max(0.0, rank * math.log(t) - log_w), rank
        )

    cut = math.exp(log_w / rank)
    points = sorted({min(cut * factor, 1.0) for factor in (1, 2, 10, 100, 1e4)} | {0.0, rank / k, 1.0})
    exact = sum(quad(integrand, a, b, epsabs=0, epsrel=1e-11, limit=200)[0] for a, b in pairwise(points))
    assert value(rank_truncated(*both(p), rank=rank)) == pytest.approx(exact, rel=1e-8)


def test_the_reference_of_the_rank_truncated_product_is_an_approximation():
    """metap integrates in steps (through mutoss); it is off by up to a part in 200 and never by more."""
    for case in CASES:
        found = value(rank_truncated(*both(case["p"]), rank=2))
        assert found == pytest.approx(case["output"]["truncated_rank2"]["p"], rel=5e-3)


def test_rank_truncated_by_simulation():
    rng = np.random.default_rng(11)
    product = np.sort(rng.random((400_000, 6)), axis=1)[:, :3].prod(axis=1)
    p = np.array([0.02, 0.05, 0.2, 0.4, 0.7, 0.9])
    share = (product <= p[:3].prod()).mean()
    error = 3 * math.sqrt(share * (1 - share) / product.size)
    assert value(rank_truncated(*both(p), rank=3)) == pytest.approx(share, abs=error)


# --- properties ---------------------------------------------------------------------------------------


def options(method, k):
    setting = COMBINATIONS[method].setting
    return {"rank": {"rank": min(2, k)}, "threshold": {"threshold": 0.4}, "df": {"df": 5.0}}.get(setting, {})


@pytest.mark.parametrize("method", COMBINATIONS)
@given(p=st.lists(PVALUES, min_size=2, max_size=8), data=st.data())
def test_the_order_of_studies_does_not_matter(method, p, data):
    combine, keywords = COMBINATIONS[method].combine, options(method, len(p))
    other = data.draw(st.permutations(p))
    one, two = combine(*both(p), **keywords), combine(*both(other), **keywords)
    np.testing.assert_allclose(one.log_pvalue, two.log_pvalue, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("method", [name for name, rule in COMBINATIONS.items() if rule.is_monotone])
@given(p=SETS, data=st.data())
def test_a_smaller_p_never_gives_a_larger_one(method, p, data):
    """On this rest the bounds."""
    combine, keywords = COMBINATIONS[method].combine, options(method, len(p))
    i = data.draw(st.integers(0, len(p) - 1))
    less = list(p)
    less[i] = data.draw(st.floats(1e-13, p[i]))
    before, after = combine(*both(p), **keywords).log_pvalue, combine(*both(less), **keywords).log_pvalue
    assert float(after) <= float(before) + 1e-9 * max(1.0, abs(float(before)))


def test_mean_z_is_not_monotone():
    p = [0.01, 0.01, 0.012]
    assert value(mean_z(*both([1e-8, *p[1:]]))) > value(mean_z(*both(p)))


@pytest.mark.parametrize("method", COMBINATIONS)
def test_sets_at_once(method):
    p = np.random.default_rng(1).uniform(1e-4, 1.0, (3, 4, 5))
    combine, keywords = COMBINATIONS[method].combine, options(method, 5)
    whole = combine(p, 1 - p, **keywords)
    assert whole.statistic.shape == whole.log_pvalue.shape == (3, 4)
    for i in np.ndindex(3, 4):
        assert whole.log_pvalue[i] == pytest.approx(
            float(combine(*both(p[i]), **keywords).log_pvalue), rel=1e-12
        )


@pytest.mark.parametrize(
    "method", [name for name in COMBINATIONS if name not in ("mean_p", "inverse_t", "vote", "logit")]
)
def test_under_no_effect_the_combined_p_is_uniform(method):
    """The exact methods; the four left out are approximate or have steps."""
    p = np.random.default_rng(5).random((20_000, 4))
    combine, keywords = COMBINATIONS[method].combine, options(method, 4)
    found = np.exp(combine(p, 1 - p, **keywords).log_pvalue)
    for level in (0.01, 0.05, 0.25):
        share = (found <= level).mean()
        assert share == pytest.approx(level, abs=3.5 * math.sqrt(level * (1 - level) / 20_000))


@pytest.mark.parametrize("method", [name for name, rule in COMBINATIONS.items() if rule.setting != "rank"])
@given(p=PVALUES)
def test_one_study_stays_what_it_is(method, p):
    if method in ("mean_z", "vote", "truncated", "truncated_soft", "mean_p", "logit", "inverse_t"):
        return  # undefined, in steps, or an approximation that needs several studies
    assert value(COMBINATIONS[method].combine(*both([p]), **options(method, 1))) == pytest.approx(p, rel=1e-8)


def test_equal_p_values_have_no_mean_z():
    assert math.isnan(float(mean_z(*both([0.2, 0.2, 0.2])).log_pvalue))
    assert math.isnan(float(mean_z(*both([0.2])).log_pvalue))


# --- digits in the tails ------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "x"), [(1, 5.0), (3, 800.0), (20, 3000.0), (500, 4e4), (7, 1e6)])
def test_gamma_tail_of_whole_shapes(shape, x):
    """A sum of Poisson probabilities, in 60 digits."""
    getcontext().prec = 60
    x_ = Decimal(x)
    term = total = Decimal(1)
    for j in range(1, shape):
        term *= x_ / j
        total += term
    exact = float(total.ln() - x_)
    assert float(log_gamma_tail(np.array(float(shape)), np.array(x))) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("t", [0.0, 0.3, 2.0, 40.0, 1e6, 1e120, -3.0])
def test_student_tail_of_four_degrees(t):
    """A closed form, in 600 digits."""
    getcontext().prec = 600
    s = Decimal(t) / (1 + Decimal(t) ** 2 / 4).sqrt()
    exact = Decimal("0.5") - Decimal(3) / 8 * s * (1 - s * s / 12)
    found = float(log_student_tail(np.array(t), np.array(4.0)))
    assert found == pytest.approx(float(exact.ln()), rel=1e-11)


@given(st.floats(-30, 30), st.integers(1, 400))
def test_student_tail_is_that_of_scipy(t, df):
    assert float(log_student_tail(np.array(t), np.array(float(df)))) == pytest.approx(
        stats.t.logsf(t, df), rel=1e-8, abs=1e-15
    )


def test_p_values_too_small_for_numbers():
    p = np.full(60, 1e-300)
    found = fisher(p, 1 - p)
    x = -np.log(p).sum()
    sums = np.logaddexp.reduce([j * math.log(x) - math.lgamma(j + 1) for j in range(60)])
    assert float(found.log_pvalue) == pytest.approx(float(sums - x), rel=1e-12)
    assert float(found.log_pvalue) < -4e4
    for combine in (stouffer, logit, edgington, tippett, inverse_t, truncated, rank_truncated):
        assert -np.inf < float(combine(p, 1 - p).log_pvalue) < -600


@pytest.mark.parametrize("method", COMBINATIONS)
def test_the_complement_keeps_its_digits(method):
    """Better and worse exchanged, p-values of 1e-40 are as good as any."""
    if method in ("edgington", "vote", "inverse_chi2", "mean_p"):
        return  # these look at the sum of p, at thresholds, or at p itself, for which one less 1e-40 is one
    p = np.array([1e-40, 1e-30, 1e-35])
    combine, keywords = COMBINATIONS[method].combine, options(method, 3)
    near_one = combine(1 - p, p, **keywords)
    assert float(near_one.log_pvalue) <= 0.0
    if method in ("stouffer", "logit", "inverse_t", "mean_z"):
        small = combine(p, 1 - p, **keywords)
        assert float(near_one.statistic) == pytest.approx(-float(small.statistic), rel=1e-12)


def test_ends_of_the_range():
    nothing, certain = np.array([0.0, 0.3]), np.array([1.0, 0.7])
    assert float(fisher(nothing, certain).log_pvalue) == -np.inf
    assert float(stouffer(nothing, certain).log_pvalue) == -np.inf
    assert float(stouffer(certain, nothing).log_pvalue) == 0.0
    assert float(logit(certain, nothing).log_pvalue) == 0.0
