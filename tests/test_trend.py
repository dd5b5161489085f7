"""The verbs that turn several categories into one slope: reading, refusing, and saying what was done."""

import html
import math

import matplotlib as mpl
import numpy as np
import pytest

from netsynth.errors import InconsistentReportWarning, InvalidInputError
from netsynth.trend import trend_bounds, trend_from_categories

mpl.use("Agg")

#: Rohan and McMichael's alcohol and breast cancer; see tests/kernels/test_trend.py.
ALCOHOL = {
    "dose": [0, 2, 6, 11],
    "hazard_ratio": [1, 0.80, 1.16, 1.57],
    "ci_lower": [None, 0.51, 0.73, 0.99],
    "ci_upper": [None, 1.27, 1.85, 2.51],
}
COUNTS = {"n_events": [165, 74, 90, 122], "n_total": [337, 167, 186, 212], "design": "case-control"}


def test_published_slopes():
    trend = trend_from_categories(**ALCOHOL, **COUNTS)
    assert (trend.slope, trend.slope_se) == pytest.approx((0.0454289, 0.0206635), abs=1e-6)
    others = {line.method: (line.slope, line.se) for line in trend.alternatives}
    assert others["hamling"] == pytest.approx((0.0458825, 0.0205174), abs=1e-6)
    assert others["independent"] == pytest.approx((0.0334329, 0.0186930), abs=1e-6)
    assert trend.method == "greenland-longnecker"


@pytest.mark.parametrize("method", ["hamling", "independent"])
def test_another_method_is_chosen(method):
    trend = trend_from_categories(**ALCOHOL, **COUNTS, method=method)
    usual = trend_from_categories(**ALCOHOL, **COUNTS)
    line = next(line for line in usual.alternatives if line.method == method)
    assert (trend.slope, trend.slope_se, trend.q) == (line.slope, line.se, line.q)
    assert {line.method for line in trend.alternatives} == {
        "greenland-longnecker",
        "hamling",
        "independent",
    } - {method}


def test_the_reference_may_stand_anywhere():
    """The order of the categories changes nothing, nor does a reference printed as 1 (1-1)."""
    order = [2, 0, 3, 1]
    moved = {name: [values[i] for i in order] for name, values in ALCOHOL.items()}
    counts = {name: [COUNTS[name][i] for i in order] for name in ("n_events", "n_total")}
    usual = trend_from_categories(**ALCOHOL, **COUNTS)
    trend = trend_from_categories(**moved, **counts, design="case-control")
    assert (trend.reference, trend.slope) == (1, pytest.approx(usual.slope, rel=1e-10))
    printed = {**ALCOHOL, "ci_lower": [1, 0.51, 0.73, 0.99], "ci_upper": [1, 1.27, 1.85, 2.51]}
    assert trend_from_categories(**printed, **COUNTS).slope == usual.slope


def test_the_unit_of_dose_scales_the_slope():
    usual = trend_from_categories(**ALCOHOL, **COUNTS)
    tens = trend_from_categories(**{**ALCOHOL, "dose": [5.0, 5.2, 5.6, 6.1]}, **COUNTS)
    assert tens.slope == pytest.approx(10 * usual.slope, rel=1e-9)
    assert tens.misfit_pvalue == pytest.approx(usual.misfit_pvalue, rel=1e-9)


def test_a_reference_in_the_middle_gives_the_slope_of_crude_counts():
    """Ratios against another category of the same table: the line is the same, whatever the reference."""
    cases, years, dose = np.array([30.0, 45, 60, 40]), np.array([900.0, 1000, 1000, 500]), [1, 3, 4, 8]
    slopes = []
    for reference in range(4):
        rest = np.arange(4) != reference
        ratio = cases / years * years[reference] / cases[reference]
        se = np.where(rest, np.sqrt(1 / cases + 1 / cases[reference]), np.nan)
        trend = trend_from_categories(
            dose, ratio, se=se, n_events=cases, person_time=years, reference=reference
        )
        slopes.append((trend.slope, trend.slope_se, trend.q))
    for slope in slopes[1:]:
        assert slope == pytest.approx(slopes[0], rel=1e-8)


def test_floated_variances_need_no_counts():
    floated = [0.1, 0.2, 0.15, 0.2]
    trend = trend_from_categories([0, 1, 2, 3], [1, 1.2, 1.6, 1.7], floated_se=floated)
    x, y, w = np.arange(4.0), np.log([1, 1.2, 1.6, 1.7]), 1 / np.array(floated) ** 2
    slope = np.polyfit(x, y, 1, w=np.sqrt(w))[0]
    assert trend.method == "floated"
    assert trend.slope == pytest.approx(slope, rel=1e-10)
    assert trend.denominators == ""
    np.testing.assert_allclose(trend.se[1:], np.hypot(0.1, floated[1:]))


def test_bounds_hold_every_covariance():
    """Slopes by the regression with an intercept, for many covariances, one by one."""
    y, x = np.log([1, 0.80, 1.16, 1.57]), np.array([0.0, 2, 6, 11])
    v = np.array([0.054, 0.056, 0.0561])
    bounds = trend_bounds(x, np.exp(y), se=[None, *np.sqrt(v)])
    slopes, errors = [], []
    for c in np.linspace(1e-9, 1 - 1e-7, 4001) * v.min():
        w = 1 / np.array([c, *(v - c)])
        centre = (w * x).sum() / w.sum()
        spread = (w * (x - centre) ** 2).sum()
        slopes.append((w * (x - centre) * y).sum() / spread)
        errors.append(spread**-0.5)
    slopes, errors = np.array(slopes), np.array(errors)
    assert bounds.slope_lower == pytest.approx(slopes.min(), rel=1e-4)
    assert bounds.slope_upper == pytest.approx(slopes.max(), rel=1e-4)
    assert bounds.ci_lower == pytest.approx((slopes - 1.959964 * errors).min(), rel=1e-4)
    assert bounds.ci_upper == pytest.approx((slopes + 1.959964 * errors).max(), rel=1e-4)
    assert bounds.slope_lower <= bounds.independent.slope <= bounds.slope_upper
    for method in ("greenland-longnecker", "hamling"):
        trend = trend_from_categories(**ALCOHOL, **COUNTS, method=method)
        assert trend_bounds(**ALCOHOL).slope_lower < trend.slope < trend_bounds(**ALCOHOL).slope_upper


def test_text_and_frames():
    trend = trend_from_categories(
        [0, 1, 2],
        [1, 1.5, 2.1],
        se=[None, 0.2, 0.25],
        n_events=[40, 50, 60],
        n_total=[200, 180, 150],
        unit="cm",
        study="Lund",
    )
    assert str(trend).splitlines()[0] == "Lund: hazard ratio per cm from 3 categories"
    assert "Numbers of patients stand for person-time." in str(trend)
    assert "<table>" in trend._repr_html_()
    frame = trend.summary_frame(0.9)
    assert list(frame["method"]) == ["greenland-longnecker", "hamling", "independent"]
    assert list(frame["chosen"]) == [True, False, False]
    assert tuple(frame.loc[0, ["ci_lower", "ci_upper"]]) == pytest.approx(
        tuple(trend.confidence_interval(0.9))
    )
    assert list(trend.category_frame()["fitted"]) == pytest.approx([0, trend.slope, 2 * trend.slope])
    assert trend.natural_interval() == pytest.approx([math.exp(end) for end in trend.confidence_interval()])
    assert trend.hazard_ratio == math.exp(trend.slope)
    assert 0 < trend.pvalue < 0.01
    with pytest.raises(ValueError, match="read-only"):
        trend.dose[0] = 3
    bounds = trend_bounds([0, 1, 2], [1, 1.5, 2.1], se=[None, 0.2, 0.25], study="Lund")
    assert str(bounds).startswith("Lund: ratio per unit from 3 categories, covariance unknown")
    assert "<table>" in bounds._repr_html_()
    assert float(bounds.summary_frame().loc[0, "ci_upper"]) == bounds.ci_upper


REFUSED = [
    (
        {"n_events": None},
        r"Lund: method 'greenland-longnecker' needs n_events and person_time or n_total of every category\. Without "
        r"them the covariance of the ratios is not known; trend_bounds gives the slopes that any covariance allows\.",
    ),
    ({"method": "floated"}, r"Lund: method 'floated' needs floated_se\. Without .*"),
    (
        {"hazard_ratio": [1, 1.0, 1.2], "se": [None, None, 0.2]},
        r"Lund: the reference is .* found 2\. Give .*",
    ),
    ({"hazard_ratio": [0.9, 1.2, 1.4]}, r"Lund: the reference is the one category .* found 0\. .*"),
    ({"reference": 1}, r"Lund: the ratio of the reference must be 1; got 1\.5 at position 1\."),
    ({"reference": 7}, r"Lund: reference must be a position below 3; got 7\."),
    ({"se": [None, 0.2, None]}, r"Lund: the category at position 2 \(dose 2\) has no standard error .*"),
    ({"se": [None, -0.2, 0.2]}, r"Lund: se must be positive; got -0\.2 at position 1\."),
    ({"se": None}, r"Lund: give both confidence limits, or standard errors of the log ratios\."),
    ({"ci_lower": [None, 1, 1]}, r"Lund: give standard errors or confidence limits, not both\."),
    (
        {"se": None, "ci_lower": [None, 1.6, 1.2], "ci_upper": [None, 2, 3]},
        r"Lund: the limits 1\.6 and 2 at position 1 do not hold the ratio 1\.5\. Check the transcription\.",
    ),
    ({"dose": [1, 1, 1]}, r"Lund: all doses are 1, so there is no trend\."),
    ({"dose": [0, 1]}, r"Lund: dose and hazard_ratio must have the same length; got 2 and 3\."),
    ({"n_events": [40, 500, 60]}, r"Lund: 500 events of 180 patients at position 1 cannot be used; .*"),
    ({"design": "cohort"}, r"Lund: design must be one of rate, cumulative, case-control; got 'cohort'\."),
    (
        {"design": "cumulative", "person_time": [9, 9, 9]},
        r"Lund: person_time is for hazard and rate ratios; .*",
    ),
    (
        {"design": "cumulative", "hazard_ratio": [1, 1.5, 9.9], "n_events": [40, 50, 140]},
        r"Lund: the reported risk ratios would need more cases than persons .*",
    ),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=[message[:60] for _, message in REFUSED])
def test_refused(change, message):
    given = {
        "dose": [0, 1, 2],
        "hazard_ratio": [1, 1.5, 2.1],
        "se": [None, 0.2, 0.25],
        "n_events": [40, 50, 60],
        "n_total": [200, 180, 150],
        "study": "Lund",
    }
    with pytest.raises(InvalidInputError, match=rf"^{message}$"):
        trend_from_categories(**{**given, **change})


DOUBTED = [
    # an interval whose middle is 0.5, whatever was rounded
    (
        {
            "hazard_ratio": [1, 1.2, 2.1],
            "se": None,
            "ci_lower": [None, 0.2, 1.3],
            "ci_upper": [None, 1.3, 3.4],
        },
        [
            "the confidence interval at position 1 (dose 1) is not symmetric around its ratio 1.2 on the log scale, "
        ],
    ),
    # two events a category: 1/2 + 1/2 = 1
    (
        {"n_events": [2, 2, 2], "se": [None, 0.02, 1.1]},
        [
            "the category at position 1 (dose 1) has a standard error of at most 0.025, and its 2 events with 2 of the "
            "reference give at least 1, "
        ],
    ),
    ({"dose": [0, 1, 1]}, ["dose 1 stands for the categories at positions 1 and 2"]),
    ({"dose": [0, 1, 0]}, ["dose 0 stands for the categories at positions 0 and 2"]),
]
PRINTED = {
    "dose": [0, 1, 2],
    "hazard_ratio": [1, 1.5, 2.1],
    "se": [None, 0.22, 0.25],
    "n_events": [40, 50, 60],
    "n_total": [200, 180, 150],
    "study": "Lund",
}


@pytest.mark.parametrize(("change", "messages"), DOUBTED, ids=[m[0][:40] for _, m in DOUBTED])
def test_what_cannot_be_right_is_told_and_kept(change, messages):
    with pytest.warns(InconsistentReportWarning) as told:
        trend = trend_from_categories(**{**PRINTED, **change})
    assert len(told) == len(trend.warnings) == len(messages)
    for warning, said, message in zip(told, trend.warnings, messages, strict=True):
        assert str(warning.message).startswith(f"Lund: {message}")
        assert warning.filename == __file__
        assert said.where == "Lund"
        assert said.message.startswith(message)
        assert str(said) in str(trend)
        assert said.message in html.unescape(trend._repr_html_())
    assert math.isfinite(trend.slope)


@pytest.mark.parametrize("at", [0, 2, 3])
def test_bounds_tell_it_too(at):
    change, messages = DOUBTED[at]
    given = {name: value for name, value in {**PRINTED, **change}.items() if not name.startswith("n_")}
    with pytest.warns(InconsistentReportWarning) as told:
        bounds = trend_bounds(**given)
    assert [str(warning.message) for warning in told] == [f"Lund: {bounds.warnings[0].message}"]
    assert bounds.warnings[0].message.startswith(messages[0])
    assert str(bounds.warnings[0]) in str(bounds)
    assert warnings_of(bounds) == [bounds.warnings[0].message]


def warnings_of(bounds):
    return [said.message for said in bounds.warnings if said.message in html.unescape(bounds._repr_html_())]


def test_rounding_is_no_contradiction():
    """Ratios, limits and standard errors of one table of rates, printed with any number of decimals."""
    cases, years = np.array([30.0, 45, 60, 8]), np.array([900.0, 1000, 1000, 60])
    ratio = cases / years * years[0] / cases[0]
    se = np.sqrt(1 / cases + 1 / cases[0])
    counts = {"n_events": cases, "person_time": years}
    for decimals in (1, 2, 3, 12):
        low, high = (np.round(ratio * np.exp(sign * 1.959964 * se), decimals) for sign in (-1, 1))
        printed = np.round(ratio, decimals)
        low[0] = high[0] = math.nan
        assert not trend_from_categories(
            [0, 1, 2, 3], printed, ci_lower=low, ci_upper=high, **counts
        ).warnings
        errors = np.round(se, decimals)
        errors[0] = math.nan
        assert not trend_from_categories([0, 1, 2, 3], printed, se=errors, **counts).warnings


def test_no_fit_knows_more_than_a_table_of_its_events():
    """Cox's information of random risk sets with three categories, at shares that add up to the events."""
    rng = np.random.default_rng(3)
    for _ in range(50):
        shares = rng.dirichlet([1.0, 1.0, 1.0], size=rng.integers(20, 60))
        events = shares.sum(axis=0)  # the score is zero
        information = sum(np.diag(p) - np.outer(p, p) for p in shares)[1:, 1:]
        variance = np.diag(np.linalg.inv(information))
        assert (variance >= 1 / events[1:] + 1 / events[0] - 1e-9).all()


def test_two_categories_are_no_trend():
    with pytest.raises(InvalidInputError, match=r"a trend needs three categories or more, .* got 2\."):
        trend_bounds([0, 1], [1, 2], se=[None, 0.2])
