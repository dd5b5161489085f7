"""Greenland and Longnecker's and Hamling's counts, and the line through a reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import root

from netsynth.kernels.trend import (
    covariance_by_correlation,
    covariance_by_reference,
    greenland_longnecker,
    hamling,
    mean_of_tail,
    trend_line,
    trend_over_reference,
)

# Rohan and McMichael's alcohol and breast cancer, the example of Greenland and Longnecker (1992); the numbers below
# were computed with the code of R's dosresmeta from the same data. Standard errors from limits at +-1.96.
CASES = np.array([165.0, 74, 90, 122])
TOTAL = np.array([337.0, 167, 186, 212])
DOSE = np.array([2.0, 6, 11])
Y = np.log([0.80, 1.16, 1.57])
SE = np.log(np.array([1.27, 1.85, 2.51]) / [0.51, 0.73, 0.99]) / (2 * 1.96)
#: What 1 / (denominator of a category) does to the variance of its log ratio: nothing for person-time, less for
#: persons, more for non-cases.
SIGNS = {"rate": 0, "cumulative": -1, "case-control": 1}
DESIGNS = list(SIGNS)


def alcohol():
    return greenland_longnecker(
        Y, np.asarray(CASES[0]), CASES[1:], np.asarray(TOTAL[0]), TOTAL[1:], "case-control"
    )


def test_published_greenland_longnecker():
    covariance = covariance_by_correlation(alcohol(), SE, "case-control")
    printed = [[0.054170, 0.018817, 0.019431], [0.018817, 0.056273, 0.020686], [0.019431, 0.020686, 0.056325]]
    np.testing.assert_allclose(covariance, printed, atol=5e-7)
    line = trend_line(Y, DOSE, covariance)
    assert (float(line.slope), float(line.se)) == pytest.approx((0.0454289, 0.0206635), abs=5e-7)


def test_published_slope_ignoring_the_covariance():
    line = trend_line(Y, DOSE, np.diag(SE**2))
    assert (float(line.slope), float(line.se)) == pytest.approx((0.0334329, 0.0186930), abs=5e-7)


def test_published_hamling():
    """The program that gave these searches for the counts by least squares, so its sixth digit is not sure."""
    rest, se = TOTAL - CASES, SE * 1.96 / 1.959964
    found = hamling(
        Y, se, np.asarray(rest[0] / rest.sum()), np.asarray(rest.sum() / CASES.sum()), "case-control"
    )
    assert (float(found.cases_reference), float(found.base_reference)) == pytest.approx(
        (96.298, 103.812), abs=2e-3
    )
    shared = 1 / found.cases_reference + 1 / found.base_reference
    assert float(shared) == pytest.approx(0.0200172, abs=5e-7)
    line = trend_line(Y, DOSE, covariance_by_reference(shared, se**2))
    assert (float(line.slope), float(line.se)) == pytest.approx((0.0458825, 0.0205174), abs=1e-6)


@st.composite
def studies(draw, design=None):
    """Counts of a study with m categories, and ratios that need not be theirs."""
    m = draw(st.integers(2, 5))
    design = design or draw(st.sampled_from(DESIGNS))
    counts = st.lists(st.integers(5, 200), min_size=m + 1, max_size=m + 1)
    cases, others = (np.array(draw(counts), dtype=float) for _ in range(2))
    total = cases + others
    if design == "rate":
        total = 7.5 * total  # person-years
    if design == "cumulative":
        total = total + 4 * cases  # so that no fitted risk comes near one
    shift = np.array(draw(st.lists(st.floats(-0.2, 0.2), min_size=m, max_size=m)))
    stretch = draw(st.floats(1.0, 1.5))
    return design, cases, total, shift, stretch


def crude(design, cases, total):
    """Ratios against the first category, their variances and covariance, from a table."""
    sign = SIGNS[design]
    base = total - cases if design == "case-control" else total
    ratio = np.log(cases[1:] * base[0] / base[1:] / cases[0])
    own = 1 / cases + sign / base
    return ratio, own[0] + own[1:], own[0]


@settings(max_examples=40)
@given(studies())
def test_counts_that_need_no_adjustment_are_found_again(study):
    """Of crude ratios the fitted cases are the cases, and the covariance is the crude one."""
    design, cases, total, _, _ = study
    ratio, variance, shared = crude(design, cases, total)
    found = greenland_longnecker(
        ratio, np.asarray(cases[0]), cases[1:], np.asarray(total[0]), total[1:], design
    )
    np.testing.assert_allclose([found.cases_reference, *found.cases], cases, rtol=1e-9)
    covariance = covariance_by_correlation(found, np.sqrt(variance), design)
    np.testing.assert_allclose(covariance, covariance_by_reference(np.asarray(shared), variance), rtol=1e-9)
    base = total - cases if design == "case-control" else total
    pseudo = hamling(
        ratio,
        np.sqrt(variance),
        np.asarray(base[0] / base.sum()),
        np.asarray(base.sum() / cases.sum()),
        design,
    )
    np.testing.assert_allclose([pseudo.cases_reference, *pseudo.cases], cases, rtol=1e-6)
    np.testing.assert_allclose([pseudo.base_reference, *pseudo.base], base, rtol=1e-6)


@given(studies())
def test_fitted_cases_meet_their_conditions(study):
    design, cases, total, shift, _ = study
    ratio = crude(design, cases, total)[0] + shift
    found = greenland_longnecker(
        ratio, np.asarray(cases[0]), cases[1:], np.asarray(total[0]), total[1:], design
    )
    fitted = np.array([found.cases_reference, *found.cases])
    base = np.array([found.base_reference, *found.base])
    assert fitted.sum() == pytest.approx(cases.sum(), rel=1e-10)
    np.testing.assert_allclose(np.log(fitted[1:] * base[0] / base[1:] / fitted[0]), ratio, atol=1e-9)
    np.testing.assert_allclose(base + (fitted if design == "case-control" else 0), total, rtol=1e-12)


@settings(max_examples=40)
@given(studies())
def test_pseudo_counts_meet_their_conditions(study):
    design, cases, total, shift, stretch = study
    ratio, variance, _ = crude(design, cases, total)
    ratio, variance = ratio + shift, stretch * variance
    base = total - cases if design == "case-control" else total
    share, per_case = base[0] / base.sum(), base.sum() / cases.sum()
    found = hamling(ratio, np.sqrt(variance), np.asarray(share), np.asarray(per_case), design)
    a, d = (
        np.array([one, *rest])
        for one, rest in ((found.cases_reference, found.cases), (found.base_reference, found.base))
    )
    own = 1 / a + SIGNS[design] / d
    np.testing.assert_allclose(own[0] + own[1:], variance, rtol=1e-8)
    np.testing.assert_allclose(np.log(a[1:] * d[0] / d[1:] / a[0]), ratio, atol=1e-8)
    assert d[0] / d.sum() == pytest.approx(share, rel=1e-7)
    assert d.sum() / a.sum() == pytest.approx(per_case, rel=1e-7)
    assert (a > 0).all()
    assert (d > 0).all()


def test_pseudo_counts_by_a_solver():
    """The two conditions in the two unknown counts of the reference, as Hamling and others write them."""
    rest = TOTAL - CASES
    p, z, v, ratio = rest[0] / rest.sum(), rest.sum() / CASES.sum(), SE**2, np.exp(Y)

    def conditions(logs):
        a0, b0 = np.exp(logs)
        own = v - 1 / a0 - 1 / b0
        a, b = (1 + a0 * ratio / b0) / own, (1 + b0 / (a0 * ratio)) / own
        return [b0 / (b0 + b.sum()) / p - 1, (b0 + b.sum()) / (a0 + a.sum()) / z - 1]

    solved = np.exp(root(conditions, np.log([90.0, 90.0]), tol=1e-13).x)
    found = hamling(Y, SE, np.asarray(p), np.asarray(z), "case-control")
    np.testing.assert_allclose([found.cases_reference, found.base_reference], solved, rtol=1e-8)


@given(studies(), st.data())
def test_a_shared_variance_is_a_regression_with_an_intercept(study, data):
    """Easton's floating variances: the reference becomes a point like the others, and the line has an intercept."""
    design, cases, total, shift, _ = study
    ratio, variance, shared = crude(design, cases, total)
    ratio = ratio + shift
    dose = np.arange(1.0, ratio.size + 1) * data.draw(st.floats(0.5, 20))
    line = trend_line(ratio, dose, covariance_by_reference(np.asarray(shared), variance))
    x, y = np.array([0.0, *dose]), np.array([0.0, *ratio])
    w = 1 / np.array([shared, *(variance - shared)])
    centre = (w * x).sum() / w.sum()
    slope = (w * (x - centre) * y).sum() / (w * (x - centre) ** 2).sum()
    intercept = (w * y).sum() / w.sum() - slope * centre
    assert float(line.slope) == pytest.approx(slope, rel=1e-8, abs=1e-12)
    assert float(line.se) == pytest.approx((w * (x - centre) ** 2).sum() ** -0.5, rel=1e-8)
    assert float(line.q) == pytest.approx((w * (y - intercept - slope * x) ** 2).sum(), rel=1e-6, abs=1e-9)


def test_studies_at_once():
    rng = np.random.default_rng(3)
    ratio = rng.normal(0, 0.4, (4, 3))
    se = rng.uniform(0.25, 0.5, (4, 3))
    first, base_first = rng.uniform(50, 90, (2, 4))
    cases, base = rng.uniform(20, 90, (4, 3)), rng.uniform(200, 400, (4, 3))
    for design in DESIGNS:
        counts = greenland_longnecker(ratio, first, cases, 3 * base_first, base, design)
        pseudo = hamling(ratio, se, np.full(4, 0.3), np.full(4, 3.0), design)
        lines = trend_line(ratio, np.array([1.0, 2, 4]), covariance_by_correlation(counts, se, design))
        for i in range(4):
            one = greenland_longnecker(ratio[i], first[i], cases[i], 3 * base_first[i], base[i], design)
            np.testing.assert_allclose(counts.cases[i], one.cases, rtol=1e-12)
            other = hamling(ratio[i], se[i], np.asarray(0.3), np.asarray(3.0), design)
            np.testing.assert_allclose(pseudo.base[i], other.base, rtol=1e-9)
            line = trend_line(ratio[i], np.array([1.0, 2, 4]), covariance_by_correlation(one, se[i], design))
            np.testing.assert_allclose(lines.slope[i], line.slope, rtol=1e-10)


def test_lines_over_the_covariance_start_where_it_is_nothing():
    lines = trend_over_reference(Y, DOSE, SE**2, np.array([0.0, 0.4]))
    alone = trend_line(Y, DOSE, np.diag(SE**2))
    shared = trend_line(Y, DOSE, covariance_by_reference(np.asarray(0.4 * (SE**2).min()), SE**2))
    np.testing.assert_allclose(lines.slope, [alone.slope, shared.slope], rtol=1e-12)
    np.testing.assert_allclose(lines.se, [alone.se, shared.se], rtol=1e-12)


@pytest.mark.parametrize("share", [0.5, 1 / 3, 0.25, 0.05])
def test_mean_of_a_tail_by_integration(share):
    z = np.linspace(0, 12, 4_000_001)
    density = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    tail = 0.5 - np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(z))])
    start = np.interp(-share, -tail, z)
    assert mean_of_tail(share) == pytest.approx(
        np.exp(-0.5 * start**2) / np.sqrt(2 * np.pi) / share, rel=1e-6
    )
    above = z >= start
    moment = z[above] * density[above]
    mean = float((0.5 * (moment[1:] + moment[:-1]) * np.diff(z[above])).sum())
    assert mean_of_tail(share) == pytest.approx(mean / share, rel=1e-4)
