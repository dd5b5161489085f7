import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.data.number import ReportedNumber
from netsynth.data.survival import ReportedSurvival
from netsynth.errors import ImputedVarianceWarning, InconsistentReportWarning, InvalidInputError
from netsynth.kernels.curves import CURVES
from netsynth.kernels.intervals import Limits
from netsynth.kernels.survival_variance import SCALES
from netsynth.reconstruct import reconstruct_survival

LANDMARKS, SURVIVAL = [36, 60, 120], [0.83, 0.705, 0.42]
REFERENCE = json.loads((Path(__file__).parent / "references" / "curves" / "landmarks.json").read_text())
CASES = REFERENCE["cases"]


@pytest.fixture
def curve():
    return reconstruct_survival(LANDMARKS, SURVIVAL, n_total=100, n_at_risk=[75, 52, 18], decimals=[0, 1, 0])


def kaplan_meier(case):
    """Times of deaths, and survival before the first and after each, by the product limit."""
    survival = np.cumprod(1 - np.array(case["deaths"]) / np.array(case["at_risk"]))
    return np.array(case["event_time"]), np.concatenate([[1.0], survival])


def reconstruct_case(case, *, median=True, **options):
    share = np.array(case["landmark_percent"]) / 100
    return reconstruct_survival(
        case["landmark_times"],
        share,
        decimals=0,
        n_total=case["n_total"],
        median_months=case["median"] if median else None,
        label=case["id"],
        **options,
    )


# --- real patients --------------------------------------------------------------------------------------


@pytest.mark.parametrize("median", [False, True])
@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_the_truth_lies_inside_the_sharp_bounds(case, median):
    curve, (times, survival) = reconstruct_case(case, median=median), kaplan_meier(case)
    tau = case["tau"]
    at = np.unique(np.concatenate([times, times - 1e-9, np.linspace(0, tau, 300)]))
    truth = survival[np.searchsorted(times, at, "right")]
    lower, upper = curve.bounds(at)
    assert (lower <= truth + 1e-12).all()
    assert (truth <= upper + 1e-12).all()
    edges = np.concatenate([[0.0], times[times < tau], [tau]])
    area = np.diff(edges) @ survival[: edges.size - 1]
    assert curve.rmst_bounds(tau).lower <= area <= curve.rmst_bounds(tau).upper
    if survival.min() <= 0.5:
        first = times[np.argmax(survival[1:] <= 0.5)]
        assert curve.median_bounds.lower <= first <= curve.median_bounds.upper


@pytest.mark.parametrize("method", CURVES)
@pytest.mark.parametrize("median", [False, True])
def test_curves_are_as_close_to_the_truth_as_was_measured_elsewhere(method, median):
    distance, error = [], []
    for case in CASES:
        curve, (times, survival) = reconstruct_case(case, median=median, method=method), kaplan_meier(case)
        tau = case["tau"]
        at = (np.arange(4000) + 0.5) * tau / 4000
        truth = survival[np.searchsorted(times, at, "right")]
        distance.append(np.abs(curve.survival(at) - truth).mean())
        error.append(abs(curve.rmst(tau) / tau - truth.mean()) / truth.mean())
    measured = REFERENCE["measured"][method]
    # over a few data sets more than are kept here, hence the quarter
    for name, values in (("iae", distance), ("rmst", error)):
        found = np.quantile(values, [0.5, 0.9])
        assert (found <= 1.25 * np.array(measured[name])).all(), (name, found, measured[name])


# --- the curve ------------------------------------------------------------------------------------------


def test_months_scale_the_well_known_example():
    # the same percentages at 3, 5 and 10 years, by quadrature and root finding on scipy's interpolant
    curve = reconstruct_survival(LANDMARKS, SURVIVAL)
    assert curve.median == pytest.approx(12 * 8.471758304172415, rel=1e-12)
    assert curve.rmst(120) == pytest.approx(12 * 7.072816937877908, rel=1e-12)
    assert curve.quantile([0.17, 0.5]) == pytest.approx([36, curve.median], rel=1e-12)
    steps = reconstruct_survival(LANDMARKS, SURVIVAL, method="piecewise_exponential")
    assert (round(steps.median / 12, 4), round(steps.rmst(120) / 12, 5)) == (8.3169, 7.01995)


def test_one_time_gives_a_float_and_many_an_array(curve):
    for ask in (curve.survival, curve.hazard, curve.cumulative_hazard, curve.rmst):
        assert type(ask(24)) is float
        assert ask([24.0, 48.0]).shape == (2,)
        assert ask(np.array([[24.0], [48.0]]))[0, 0] == pytest.approx(ask(24), rel=1e-14)
    assert type(curve.quantile(0.25)) is float
    assert curve.bounds(24).lower == curve.bounds([12.0, 24.0]).lower[1]
    assert isinstance(curve.rmst_bounds([12.0]), Limits)
    assert curve.survival(24) == pytest.approx(np.exp(-curve.cumulative_hazard(24)), rel=1e-15)


def test_after_the_last_landmark_it_is_nan_and_says_why(curve):
    assert curve.horizon_months == curve.last_months == 120
    assert np.isnan([curve.survival(120.1), curve.hazard(121), curve.rmst(121), curve.quantile(0.6)]).all()
    assert curve.why_nan(120) == ""
    assert curve.why_nan(121) == (
        "nothing is reported after 120 months, where survival is 42%; name a tail to go on, or use bounds()"
    )
    assert curve.bounds(150) == (0.0, 0.425)
    assert curve.rmst_bounds(150).lower == curve.rmst_bounds(120).lower


@pytest.mark.parametrize("method", CURVES)
def test_the_exponential_tail(method):
    curve = reconstruct_survival(LANDMARKS, SURVIVAL, method=method, tail="exponential")
    rate = np.log(0.705 / 0.42) / 60
    assert curve.horizon_months == np.inf
    assert curve.why_nan(500) == ""
    assert curve.survival(180) == pytest.approx(0.42 * np.exp(-60 * rate), rel=1e-12)
    assert curve.quantile(0.79) == pytest.approx(120 + np.log(2) / rate, rel=1e-12)
    assert "after 120 months by an exponential tail" in str(curve)


@pytest.mark.parametrize("tail", [None, "exponential"])
def test_survival_of_zero_needs_no_tail(tail):
    curve = reconstruct_survival([12, 24], [0.5, 0.0], tail=tail)
    assert curve.survival([18.0, 24.0, 99.0]) == pytest.approx([0.25, 0.0, 0.0], abs=1e-15)
    assert curve.cumulative_hazard(24) == np.inf
    assert np.isnan(curve.hazard(24))
    assert curve.rmst(99) == pytest.approx(curve.rmst(24), rel=1e-14)
    assert (curve.horizon_months, curve.why_nan(99)) == (np.inf, "")


@st.composite
def reports(draw):
    """Percentages with decimals at whole months, never rising, and perhaps a median that agrees with them."""
    size = draw(st.integers(1, 5))
    months = np.cumsum(draw(st.lists(st.integers(1, 40), min_size=size, max_size=size))).astype(float)
    decimals = draw(st.integers(0, 1))
    steps = draw(st.lists(st.integers(0, 100 * 10**decimals), min_size=size, max_size=size))
    survival = np.sort(steps)[::-1] / (100 * 10**decimals)
    half = 0.005 / 10**decimals
    early = months[survival - half > 0.5].max(initial=0.0)
    late = months[survival + half < 0.5].min(initial=200.0)
    median = None
    if draw(st.booleans()) and late - early > 2:
        median = ReportedNumber(str(draw(st.integers(int(early) + 1, int(late) - 1))), "month")
        median = draw(st.sampled_from([median, ReportedNumber(median.text, "month", ">")]))
    return months, survival, decimals, median


@pytest.mark.parametrize("method", CURVES)
@given(reports())
def test_the_curve_lies_inside_its_bounds(method, report):
    months, survival, decimals, median = report
    curve = reconstruct_survival(months, survival, decimals=decimals, median_months=median, method=method)
    assert curve.warnings == ()
    at = np.linspace(0, curve.last_months, 101)
    lower, upper = curve.bounds(at)
    s = curve.survival(at)
    assert (np.diff(s) <= 1e-12).all()
    assert (lower <= s + 1e-9).all()
    assert (s <= upper + 1e-9).all()
    area, area_bounds = curve.rmst(curve.last_months), curve.rmst_bounds(curve.last_months)
    assert area_bounds.lower - 1e-9 <= area <= area_bounds.upper + 1e-9
    if not np.isnan(curve.median):
        assert curve.median_bounds.lower - 1e-9 <= curve.median <= curve.median_bounds.upper + 1e-9
    if median is not None and median.qualifier == "=":
        assert abs(curve.median - median.months) <= 0.5 + 1e-9
    assert (np.abs(curve.survival(months) - survival) <= 0.005 + 1e-9).all()


# --- the median -----------------------------------------------------------------------------------------


def test_the_median_is_another_point():
    curve = reconstruct_survival([12, 36], [0.8, 0.3], median_months=30, decimals=0)
    assert curve.median == pytest.approx(30, rel=1e-12)
    assert curve.median_bounds == curve.median_interval == (29.5, 30.5)
    assert curve.bounds([29.4, 30.0, 30.6]).lower.tolist() == [0.5, 0.295, 0.295]
    assert curve.bounds([29.4, 30.0, 30.6]).upper.tolist() == [0.805, 0.805, 0.5]
    assert str(curve).startswith(
        "Survival: monotone cubic cumulative hazard through 2 landmarks and the median"
    )
    assert curve.landmark_months.tolist() == [12, 36]


def test_the_median_may_come_after_the_last_landmark():
    curve = reconstruct_survival([12, 24], [0.8, 0.6], median_months=ReportedNumber("3.5", "year"))
    assert curve.horizon_months == 42
    assert curve.median == pytest.approx(42, rel=1e-12)
    assert curve.median_interval == pytest.approx((12 * 3.45, 12 * 3.55), rel=1e-12)


@pytest.mark.parametrize(
    ("median", "message"),
    [
        (40, "the median (40 months) contradicts 30% at 36 months; it is not used"),
        (10, "the median (10 months) contradicts 80% at 12 months; it is not used"),
        (
            ReportedNumber("3.2", "year"),
            "the median (3.2 years) contradicts 30% at 36 months; it is not used",
        ),
        (ReportedNumber("36", "month", ">"), "the median (>36 months) contradicts 30% at 36 months"),
        (ReportedNumber("12", "month", "<"), "the median (<12 months) contradicts 80% at 12 months"),
        (
            ReportedNumber("", "month", "not reached"),
            "the median (not reached) contradicts 30% at 36 months",
        ),
    ],
)
def test_a_median_that_contradicts_is_not_used(median, message):
    plain = reconstruct_survival([12, 36], [0.8, 0.3], decimals=0)
    with pytest.warns(InconsistentReportWarning) as told:
        curve = reconstruct_survival(
            [12, 36], [0.8, 0.3], median_months=median, decimals=0, label="Smith 2011"
        )
    assert str(told[0].message).startswith(f"Smith 2011: {message}")
    assert told[0].filename == __file__
    assert [caution.message for caution in curve.warnings] == [
        str(told[0].message).removeprefix("Smith 2011: ")
    ]
    assert curve.median == plain.median
    assert curve.median_bounds == (12, 36)
    assert str(curve).endswith(str(curve.warnings[0]))


@pytest.mark.parametrize(
    ("survival", "median", "expected"),
    [
        ([0.8, 0.51], 24, (24, 24.5)),  # 50.5% or more at 24 months: the median was rounded down
        ([0.8, 0.49], 24, (23.5, 24)),  # 49.5% or less: it was rounded up
        ([0.8, 0.50], 24, (24, 24)),
        ([0.8, 0.50], 30, (30, 30)),  # 50% stands for up to 50.5%
        ([0.8, 0.50], 20, (20, 20)),
    ],
)
def test_rounding_of_the_median_and_the_percentages_agree(survival, median, expected):
    curve = reconstruct_survival([12, 24], survival, decimals=0, median_months=median)
    assert curve.warnings == ()
    assert expected[0] - 1e-12 <= curve.median <= expected[1] + 1e-12
    assert (curve.survival([12.0, 24.0]) == pytest.approx(survival, abs=0.005)) is True


def test_the_middle_of_a_flat_stretch_at_one_half_is_no_contradiction():
    curve = reconstruct_survival([12, 24, 36], [0.8, 0.5, 0.4], median_months=27)
    assert curve.warnings == ()
    assert curve.survival([24.0, 25.5, 27.0]).tolist() == [0.5, 0.5, 0.5]
    assert curve.median == 24
    assert curve.median_bounds.lower <= 24 <= curve.median_bounds.upper


def test_an_open_median_only_bounds():
    plain = reconstruct_survival([12, 60], [0.8, 0.4])
    same = reconstruct_survival([12, 60], [0.8, 0.4], median_months=ReportedNumber("40", "month", ">"))
    assert same.survival(50) == plain.survival(50)
    assert same.median_bounds == (40, 60)
    assert same.bounds(30) == (0.5, 0.8)
    assert "through 2 landmarks," not in str(same)
    assert "and the median" not in str(same)
    later = reconstruct_survival([12, 60], [0.8, 0.6], median_months=ReportedNumber("96", "month", ">"))
    assert later.horizon_months == 60
    assert later.bounds([80.0, 97.0]).lower.tolist() == [0.5, 0.0]
    reached = reconstruct_survival(
        [12, 60], [0.8, 0.6], median_months=ReportedNumber("", "month", "not reached")
    )
    assert reached.median_bounds == (60, np.inf)


def test_an_open_median_holds_the_curve_where_it_would_cross():
    for qualifier, month in ((">", 55), ("<", 20)):
        curve = reconstruct_survival(
            [12, 60], [0.8, 0.4], median_months=ReportedNumber(str(month), "month", qualifier)
        )
        assert curve.survival(month) == pytest.approx(0.5, rel=1e-12)
        assert curve.median == pytest.approx(month, rel=1e-9)


def test_a_tail_against_an_open_median():
    with pytest.warns(InconsistentReportWarning) as told:
        curve = reconstruct_survival(
            [12, 60], [0.8, 0.6], tail="exponential", median_months=ReportedNumber("196", "month", ">")
        )
    assert str(told[0].message) == (
        "reconstruct_survival: the exponential tail puts the median at 90.4 months, the report after 196"
    )
    assert told[0].filename == __file__
    assert [caution.message for caution in curve.warnings] == [
        "the exponential tail puts the median at 90.4 months, the report after 196"
    ]


# --- what a report object brings ------------------------------------------------------------------------


def test_a_report_brings_its_figures_and_their_rounding():
    report = ReportedSurvival.from_percent(
        "Saxena 2012",
        "OS",
        years=[3, 5, 10],
        percent=["83", "49.4", "42"],
        ci_lower=["76", "42.1", None],
        ci_upper=["89", "56.2", None],
        n_at_risk=[100, None, 20],
        n_total=140,
    )
    curve = reconstruct_survival(report)
    assert curve.label == "Saxena 2012, OS"
    assert reconstruct_survival(report, label="other").label == "other"
    assert curve.survival_lower.tolist() == [0.825, 0.4935, 0.415]
    assert (curve.n_total, curve.printed_level) == (140, 0.95)
    assert curve.se_source[1:] == ("printed CI (log-log)", "numbers at risk")
    by_hand = reconstruct_survival(
        LANDMARKS,
        [0.83, 0.494, 0.42],
        n_total=140,
        n_at_risk=[100, np.nan, 20],
        ci_lower=[0.76, 0.421, np.nan],
        ci_upper=[0.89, 0.562, np.nan],
        decimals=[0, 1, 0],
        label="Saxena 2012, OS",
    )
    for name in (
        "landmark_survival",
        "survival_lower",
        "survival_upper",
        "se",
        "printed_lower",
        "printed_upper",
    ):
        np.testing.assert_allclose(getattr(curve, name), getattr(by_hand, name), rtol=1e-12)
    assert str(curve) == str(by_hand)


def test_percentages_that_rise_within_their_rounding():
    report = ReportedSurvival.from_percent("a", months=[12, 24, 36], percent=["83", "83.4", "80"])
    curve = reconstruct_survival(report)
    assert curve.landmark_survival == pytest.approx([0.83, 0.834, 0.8], rel=1e-12)
    assert curve.survival([12.0, 24.0]) == pytest.approx([0.8335, 0.8335], rel=1e-12)
    assert curve.bounds(12) == pytest.approx((0.8335, 0.835), rel=1e-12)


# --- errors of the percentages --------------------------------------------------------------------------


def test_standard_errors_come_from_the_best_source_there_is():
    curve = reconstruct_survival(
        LANDMARKS,
        SURVIVAL,
        n_total=100,
        n_at_risk=[75, np.nan, np.nan],
        ci_lower=[np.nan, 0.598, np.nan],
        ci_upper=[np.nan, 0.789, np.nan],
        decimals=1,
    )
    assert curve.se_source == ("numbers at risk", "printed CI (log-log)", "imputed")
    lower, upper = curve.summary_frame()[["ci_lower", "ci_upper"]].to_numpy()[1]
    assert (round(lower, 3), round(upper, 3)) == (0.598, 0.789)
    assert (curve.se_lower <= curve.se).all()
    assert (curve.se <= curve.se_upper).all()


def test_an_imputed_error_is_told_when_it_is_used():
    curve = reconstruct_survival(LANDMARKS, SURVIVAL, n_total=100, label="Smith 2011")
    message = (
        "no confidence interval and no number at risk at 36, 60 and 120 months: the standard error is imputed with "
        "50% of the survivors under observation; it may be 3.8–34.2, 4.6–38.3 and 4.9–32.0 percentage points"
    )
    assert curve.warnings == ()
    assert str(curve).endswith(f"\n  {message}")
    with pytest.warns(ImputedVarianceWarning) as told:
        curve.confidence_interval()
    assert str(told[0].message) == f"Smith 2011: {message}"
    assert told[0].filename == __file__
    # sqrt(2) times the binomial variance
    assert curve.se == pytest.approx([(2**0.5 * s * (1 - s) / 100) ** 0.5 for s in SURVIVAL], rel=1e-12)


def test_without_n_and_intervals_nothing_is_known():
    curve = reconstruct_survival(LANDMARKS, SURVIVAL)
    assert curve.se_source == ("", "", "")
    assert curve.warnings == ()
    assert np.isnan(curve.confidence_interval().lower).all()
    assert (
        str(curve).count("95% CI none   se: not reported") + str(curve).count("95% CI none  se: not reported")
        == 3
    )


def test_limits_at_zero_and_one():
    curve = reconstruct_survival([12, 24, 36], [1.0, 0.5, 0.0], n_total=30, n_at_risk=[30, 15, 0])
    lower, upper = curve.confidence_interval()
    assert (lower[0], upper[0]) == (pytest.approx(0.05 ** (1 / 30), rel=1e-12), 1.0)
    assert np.isnan([lower[2], upper[2], curve.se[0], curve.se[2]]).all()
    assert curve.se_source == ("numbers at risk", "numbers at risk", "")
    assert [line.split()[-1] for line in str(curve).splitlines()[1:4]] == ["risk", "risk", "undefined"]


def test_a_printed_interval_of_a_survival_of_one_is_kept():
    curve = reconstruct_survival([12], [1.0], ci_lower=[0.89], ci_upper=[1.0], n_total=30, decimals=0)
    assert curve.se_source == ("printed CI",)
    assert curve.confidence_interval() == ([0.89], [1.0])
    assert curve.confidence_interval(0.9).lower[0] > 0.89
    assert curve.warnings == ()


def test_a_survival_of_one_with_n_alone_is_imputed():
    curve = reconstruct_survival([12], [1.0], n_total=30)
    assert curve.se_source == ("imputed",)
    with pytest.warns(ImputedVarianceWarning, match=r"50% of the survivors under observation$"):
        lower, upper = curve.confidence_interval()
    assert (lower[0], upper[0]) == (pytest.approx(0.05 ** (2**0.5 / 30), rel=1e-12), 1.0)


@pytest.mark.parametrize("scale", SCALES)
def test_limits_on_every_scale(curve, scale):
    lower, upper = curve.confidence_interval(0.9, scale=scale)
    wide = curve.confidence_interval(0.99, scale=scale)
    assert (wide.lower < lower).all()
    assert (lower < curve.landmark_survival).all()
    assert (curve.landmark_survival < upper).all()
    assert (upper < wide.upper).all()
    if scale == "plain":
        assert (upper - lower) / 2 / curve.se == pytest.approx([1.6448536269514722] * 3, rel=1e-12)


def test_more_at_risk_than_survivors_is_told():
    with pytest.warns(InconsistentReportWarning) as told:
        curve = reconstruct_survival([12, 24], [0.8, 0.6], n_at_risk=[90, 70], n_total=100, decimals=0)
    assert [str(warning.message) for warning in told] == [
        "reconstruct_survival: 90 patients at risk at 12 months with a survival of 80%: of 100 at most 81 can be",
        "reconstruct_survival: 70 patients at risk at 24 months with a survival of 60%: of 90 at risk at 12 months "
        "at most 69 can be",
    ]
    assert [warning.filename for warning in told] == [__file__] * 2
    assert np.isfinite(curve.se).all()
    assert len(curve.warnings) == 2


def test_numbers_at_risk_that_rounding_allows_are_not_told():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reconstruct_survival([12, 24], [0.73, 0.73], n_at_risk=[11, 11], n_total=15)


def test_an_interval_on_no_scale_is_told():
    with pytest.warns(InconsistentReportWarning) as told:
        curve = reconstruct_survival([12], [0.8], ci_lower=[0.2], ci_upper=[0.9], decimals=0)
    assert str(told[0].message) == (
        "reconstruct_survival: the confidence interval 20% to 90% of 80% at 12 months is symmetric on no usual "
        "scale; its standard error is read on the nearest, log-log"
    )
    assert curve.se_source == ("printed CI (log-log)",)


# --- the result -----------------------------------------------------------------------------------------


def test_the_result_is_frozen_and_its_arrays_are_read_only(curve):
    with pytest.raises(AttributeError):
        curve.label = "x"
    arrays = [
        getattr(curve, name) for name in curve.__slots__ if isinstance(getattr(curve, name), np.ndarray)
    ]
    assert len(arrays) == 11
    assert not any(array.flags.writeable for array in (*arrays, *curve.envelope))


def test_frames(curve):
    frame = curve.summary_frame()
    assert frame["survival"].tolist() == SURVIVAL
    assert frame["survival_upper"].tolist() == [0.835, 0.7055, 0.425]
    assert frame["se_source"].tolist() == ["numbers at risk"] * 3
    assert list(frame) == [
        "landmark_months",
        "survival",
        "survival_lower",
        "survival_upper",
        "n_at_risk",
        "se",
        "se_lower",
        "se_upper",
        "se_source",
        "ci_lower",
        "ci_upper",
        "printed_lower",
        "printed_upper",
    ]
    drawn = curve.curve_frame()
    assert set(LANDMARKS) <= set(drawn["time_months"])
    assert (drawn["time_months"].iloc[0], drawn["time_months"].iloc[-1]) == (0, 120)
    assert drawn["survival"].is_monotonic_decreasing
    assert curve.curve_frame([24.0])["survival"].item() == curve.survival(24)


def test_frames_of_an_imputed_error_are_quiet():
    curve = reconstruct_survival(LANDMARKS, SURVIVAL, n_total=100)
    assert curve.summary_frame()["se_source"].tolist() == ["imputed"] * 3
    assert "imputed" in str(curve)
    assert "imputed" in curve._repr_html_()


def test_text_of_a_curve_that_keeps_its_secrets():
    curve = reconstruct_survival([60], [0.7], label="Smith 2011")
    assert str(curve).splitlines() == [
        "Smith 2011: monotone cubic cumulative hazard through 1 landmark",
        "  60 months  70%  95% CI none  se: not reported",
        "  median not reached by 60 months   the report alone: after 60",
        "  mean up to 60 months (RMST) 50.5   the report alone: 42.0–60.0",
        "  not known after 60 months",
    ]


def test_html_is_a_table(curve):
    assert "<td>[59.7%, 78.9%]</td>" in curve._repr_html_()


# --- bad input ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"survival": [0.8, 0.9, 0.4]},
            "x: survival cannot rise; got 90% at 60 months after 80% at 36 months. Check the transcription.",
        ),
        (
            {"survival": [83, 70.5, 42]},
            "x: survival must lie in [0, 1]; got 83 at position 0. Divide percentages by 100 or use a from_percent "
            "constructor.",
        ),
        ({"survival": [0.8, -0.1, 0.4]}, "x: survival must lie in [0, 1]; got -0.1 at position 1."),
        ({"survival": [0.8, np.nan, 0.4]}, "x: survival must be finite; got nan at position 1."),
        ({"survival": [0.8, 0.7]}, "x: landmark_months and survival must have the same length; got 3 and 2."),
        ({"survival": None}, "x: give the survival at the landmarks."),
        (
            {"landmark_months": [36, 36, 60]},
            "x: landmark_months must increase; got 36 at position 1 after 36.",
        ),
        ({"landmark_months": [0, 36, 60]}, "x: landmark_months must be positive; got 0 at position 0."),
        ({"landmark_months": []}, "x: landmark_months is empty; give at least one value."),
        ({"n_total": 0}, "x: n_total must be a whole number of at least 1; got 0."),
        ({"n_total": 10.5}, "x: n_total must be a whole number of at least 1; got 10.5."),
        (
            {"n_total": 50, "n_at_risk": [60, 20, 10]},
            "x: 60 at risk at 36 months, but 50 before. Check both numbers.",
        ),
        ({"n_at_risk": [20, np.nan, 30]}, "x: 30 at risk at 120 months, but 20 before. Check both numbers."),
        ({"n_at_risk": [20.5, 3, 1]}, "x: n_at_risk must be a whole number of at least 0; got 20.5."),
        (
            {"ci_lower": [0.85, 0.6, 0.3], "ci_upper": [0.9, 0.8, 0.5]},
            "x: the confidence interval 85% to 90% at 36 months does not contain 83%, or leaves 0 to 100%. Check the "
            "transcription.",
        ),
        (
            {"ci_lower": [0.8, 0.6, 0.3], "ci_upper": [0.9, np.nan, 0.5]},
            "x: one confidence limit without the other at 60 months. Give both or none.",
        ),
        ({"ci_level": 95}, "level must be a fraction between 0 and 1, such as 0.95; got 95."),
        ({"decimals": [0, 1]}, "x: landmark_months and decimals must have the same length; got 3 and 2."),
        ({"decimals": -1}, "x: decimals must be a whole number of at least 0; got -1."),
        ({"median_months": 0}, "x: a median must be positive; got 0 months."),
        (
            {"median_months": ReportedNumber("21")},
            "21 has no unit in the paper, so it cannot be converted.",
        ),
        (
            {"method": "spline"},
            "method must be one of pchip, piecewise_exponential, exponential, weibull, lognormal, loglogistic, gamma, "
            "generalized_gamma, gompertz, royston_parmar, average, blend; got 'spline'.",
        ),
        (
            {"tail": "pchip"},
            "tail must be one of exponential, weibull, lognormal, loglogistic, gamma, generalized_gamma, "
            "gompertz, royston_parmar, average; got 'pchip'.",
        ),
        (
            {"survival": [0.8, 0.7, 0.7], "tail": "exponential"},
            "x: an exponential tail needs a fall of survival in the last interval; it stays at 70% up to 120 months, "
            "and a hazard of 0 would go on for ever. Leave the tail out.",
        ),
        (
            {"landmark_months": [12], "survival": [1.0], "tail": "exponential"},
            "x: an exponential tail needs a fall of survival in the last interval; it stays at 100% up to 12 months, "
            "and a hazard of 0 would go on for ever. Leave the tail out.",
        ),
    ],
)
def test_bad_input(arguments, message):
    given_by_hand = {"landmark_months": LANDMARKS, "survival": SURVIVAL, "label": "x", **arguments}
    with pytest.raises(InvalidInputError) as caught:
        reconstruct_survival(given_by_hand.pop("landmark_months"), **given_by_hand)
    assert str(caught.value) == message


def test_a_report_and_figures_beside_it():
    report = ReportedSurvival.from_percent("a", years=[5], percent=[70])
    with pytest.raises(InvalidInputError, match=r"^a, OS: a ReportedSurvival brings its own percentages"):
        reconstruct_survival(report, n_total=40)


def test_a_report_without_times():
    timed = ReportedSurvival.from_percent("a", years=[5], percent=[70]).points[0]
    report = ReportedSurvival("a", _endpoint(), (type(timed)(None, timed.share),))
    with pytest.raises(
        InvalidInputError, match=r"^a, OS: no percentage has a stated time, so there is no curve.$"
    ):
        reconstruct_survival(report)


def _endpoint():
    return ReportedSurvival.from_percent("a", years=[5], percent=[70]).endpoint


@pytest.mark.parametrize("times", [-1, np.nan, np.inf, [1.0, -1.0]])
def test_impossible_times(curve, times):
    with pytest.raises(InvalidInputError, match=r"^Times must be finite and not negative; got "):
        curve.survival(times)


def test_impossible_shares_and_names(curve):
    with pytest.raises(InvalidInputError, match=r"^p must be a share, from 0 to 1; got 50.$"):
        curve.quantile(50)
    with pytest.raises(
        InvalidInputError, match=r"^scale must be one of plain, log, log-log, logit, arcsine; got"
    ):
        curve.confidence_interval(scale="identity")
