"""Curves by families, their averages, tails and intervals, and the further figures that count as evidence."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from netsynth.data.number import ReportedNumber
from netsynth.data.survival import ReportedSurvival
from netsynth.errors import ImputedVarianceWarning, InconsistentReportWarning, InvalidInputError
from netsynth.kernels.reconstruction import FAMILY_NAMES, METHODS, TAIL_NAMES
from netsynth.kernels.survival_variance import interval, variance_at_risk
from netsynth.reconstruct import reconstruct_survival
from netsynth.results.curve_models import NAMES

LANDMARKS, SURVIVAL = [36, 60, 120], [0.83, 0.705, 0.42]
AT_RISK = [75, 52, 18]
#: Median and mean up to 10 years of families fitted to the three percentages of a hundred patients, in years.
COMPUTED = {
    "exponential": (8.401, 6.8091),
    "weibull": (8.412, 7.0732),
    "lognormal": (8.229, 7.0543),
    "loglogistic": (8.276, 7.0574),
    "gamma": (8.378, 7.0674),
    "gompertz": (8.544, 7.0832),
}


def curve_by(method, **more):
    given = {"n_total": 100, "n_at_risk": AT_RISK, "decimals": [0, 1, 0], **more}
    return reconstruct_survival(LANDMARKS, SURVIVAL, method=method, **given)


# --- families -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", COMPUTED)
def test_the_well_known_example(method):
    """All followed to the end, so that the effective numbers are those of the patients."""
    n = 2_000_000
    at_risk = [round(n * s) for s in SURVIVAL]
    curve = reconstruct_survival(LANDMARKS, SURVIVAL, n_total=n, n_at_risk=at_risk, method=method)
    median, mean = COMPUTED[method]
    assert curve.median == pytest.approx(12 * median, abs=12 * 5.1e-4)
    assert curve.rmst(120) == pytest.approx(12 * mean, abs=12 * 5.1e-5)
    # parameters do not depend on how many they are, as long as all are weighted alike
    few = reconstruct_survival(LANDMARKS, SURVIVAL, method=method)
    assert few.survival([12.0, 80.0]) == pytest.approx(curve.survival([12.0, 80.0]), abs=1e-5)


def test_every_method_and_tail_has_a_name():
    assert set(NAMES) == set(METHODS) == set(TAIL_NAMES) | {"pchip", "piecewise_exponential", "blend"}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_says_what_it_did(method):
    text = str(curve_by(method))
    assert text.startswith(f"Survival: {NAMES[method]} ")
    assert ("fitted to" in text) is (method in FAMILY_NAMES or method == "average")
    assert ("misses the figures" in text or "agrees with the printed digits" in text) is (
        method in FAMILY_NAMES or method == "average"
    )
    assert ("weights: " in text) is (method in ("average", "blend"))
    assert "not known after 120 months" in text
    assert "<table" in curve_by(method)._repr_html_()


def test_the_text_of_a_family():
    curve = curve_by("weibull")
    lines = str(curve).splitlines()
    assert lines[0] == "Survival: Weibull fitted to 3 landmarks, n = 100"
    row = curve.models_frame().loc["weibull"]
    scale, shape = row["parameters"]["scale"], row["parameters"]["shape"]
    assert lines[6] == f"  scale {scale:.0f}, shape {shape:.2f}; deviance {row['deviance']:.2f} on 1 df"
    assert curve.survival(60) == pytest.approx(np.exp(-((60 / scale) ** shape)), rel=1e-12)
    miss = max(curve.misfit_frame()["misfit"], key=abs)
    assert lines[7] == f"  misses the figures by up to {100 * abs(miss):.1f} percentage points, at 60 months"


@pytest.mark.parametrize("method", METHODS)
def test_without_a_tail_nothing_is_known_afterwards(method):
    curve = curve_by(method)
    assert curve.horizon_months == curve.last_months == 120
    assert np.isnan([curve.survival(121), curve.rmst(121), curve.hazard(121), curve.quantile(0.95)]).all()
    assert np.isnan(curve.confidence_interval(time_months=[121.0]).upper).all()


@pytest.mark.parametrize("method", ["pchip", "weibull", "average", "blend"])
@pytest.mark.parametrize("tail", TAIL_NAMES)
def test_a_named_tail_goes_on(method, tail):
    curve = curve_by(method, tail=tail)
    assert curve.horizon_months == np.inf
    before, after = curve.survival([120.0, 121.0])
    assert 0.98 * before < after < before
    lower, upper = curve.confidence_interval(time_months=[120.0, 150.0, 240.0])
    assert (lower < curve.survival([120.0, 150.0, 240.0])).all()
    assert (upper > curve.survival([120.0, 150.0, 240.0])).all()
    # the further out, the less is known, in hazards
    widths = np.log(np.log(lower) / np.log(upper))
    assert widths[2] > widths[1] > 0.99 * widths[0]
    name = (
        "an averaged"
        if tail == "average"
        else ("an exponential" if tail == "exponential" else f"a {NAMES[tail]}")
    )
    assert f"after 120 months by {name} tail" in str(curve)


def test_a_levelling_tail_is_no_cure():
    curve = reconstruct_survival(
        [12, 36, 60], [0.6, 0.42, 0.40], n_total=200, n_at_risk=[110, 70, 40], method="pchip", tail="gompertz"
    )
    b, eta = curve.fits["gompertz"].theta
    level = 0.40 * np.exp(np.exp(b + 60 * eta) / eta)
    assert curve.survival(1e6) == pytest.approx(level, rel=1e-9)
    assert f"levels off at {100 * level:.1f}%: extrapolated, and no evidence of cure" in str(curve)
    assert "levels off" not in str(curve_by("pchip", tail="gompertz"))


REFERENCE = json.loads((Path(__file__).parent / "references" / "curves" / "landmarks.json").read_text())


def test_on_real_patients_the_blend_is_nearest():
    """Mean distance from the Kaplan-Meier curve, and relative error of the restricted mean, over real data sets."""
    distance, error = {}, {}
    for case in REFERENCE["cases"]:
        steps = np.concatenate([[1.0], np.cumprod(1 - np.array(case["deaths"]) / np.array(case["at_risk"]))])
        at = (np.arange(1000) + 0.5) * case["tau"] / 1000
        truth = steps[np.searchsorted(case["event_time"], at, "right")]
        for method in ("pchip", "blend"):
            curve = reconstruct_survival(
                case["landmark_times"],
                np.array(case["landmark_percent"]) / 100,
                decimals=0,
                n_total=case["n_total"],
                method=method,
            )
            s = curve.survival(at)
            distance.setdefault(method, []).append(np.abs(s - truth).mean())
            error.setdefault(method, []).append(abs(s.mean() - truth.mean()) / truth.mean())
    # what was asked of curves from percentages before there was a blend: median and 90th percentile
    for measure, most in ((distance, (0.012, 0.0325)), (error, (0.008, 0.040))):
        for method in ("pchip", "blend"):
            assert (np.quantile(measure[method], [0.5, 0.9], method="higher") <= most).all()
        assert np.median(measure["blend"]) < np.median(measure["pchip"])


# --- what a method needs --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", FAMILY_NAMES)
def test_one_percentage_is_enough_for_the_exponential_alone(method):
    if method == "exponential":
        curve = reconstruct_survival([24], [0.7], method=method)
        assert curve.survival(12) == pytest.approx(0.7**0.5, rel=1e-6)
        return
    with pytest.raises(InvalidInputError) as caught:
        reconstruct_survival([24], [0.7], method=method, label="Smith 2011")
    assert str(caught.value) == (
        f"Smith 2011: {method} has {2 + (method in ('generalized_gamma', 'royston_parmar'))} parameters, and the "
        "report 1 figure to determine them by; percentages of 100 or 0, and those that repeat the one before, do not "
        "count. Give more figures, or a method with fewer parameters."
    )


@pytest.mark.parametrize("survival", [[1.0, 0.8], [0.8, 0.8], [0.8, 0.0]])
def test_what_does_not_fall_determines_nothing(survival):
    with pytest.raises(InvalidInputError, match="weibull has 2 parameters, and the report 1 figure"):
        reconstruct_survival([12, 24], survival, method="weibull")
    curve = reconstruct_survival([12, 24], survival, n_total=50, method="average")
    assert set(curve.fits) == {"exponential"}


def test_a_median_is_a_figure_too():
    curve = reconstruct_survival([24], [0.7], median_months=60, method="weibull")
    assert curve.median == pytest.approx(60, rel=1e-3)
    assert curve.survival(24) == pytest.approx(0.7, rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"method": "average"},
            "x: how much each family is worth depends on the number of patients. Give n_total, or a confidence "
            "interval, or name one family.",
        ),
        (
            {"survival": [1.0, 1.0, 1.0], "n_total": 20, "method": "blend"},
            "x: survival never falls to a value above 0, so no family can be fitted. Use method='pchip'.",
        ),
        ({"n_events": 20}, "x: the number of events says nothing without n_total; give both."),
        ({"n_events": 20, "n_total": 10}, "x: 20 events among 10 patients. Check both numbers."),
        ({"n_events": 2.5, "n_total": 10}, "x: n_events must be a whole number of at least 0; got 2.5."),
        (
            {"median_follow_up_months": 0},
            "x: a median follow-up must be a positive number; got 0 months.",
        ),
        (
            {"median_follow_up_months": ReportedNumber("60", "month", ">")},
            "x: a median follow-up must be a positive number; got >60 months.",
        ),
        ({"quartiles_months": (0, None)}, "x: a first quartile must be positive; got 0 months."),
    ],
)
def test_bad_input(arguments, message):
    given = {"landmark_months": LANDMARKS, "survival": SURVIVAL, "label": "x", **arguments}
    with pytest.raises(InvalidInputError) as caught:
        reconstruct_survival(**given)
    assert str(caught.value) == message


# --- frames ---------------------------------------------------------------------------------------------


def test_the_frame_of_models():
    frame = curve_by("pchip").models_frame()
    assert set(frame.index) == set(FAMILY_NAMES)
    assert frame["weight"].sum() == pytest.approx(1)
    assert (np.diff(frame["aic"]) >= 0).all()
    assert frame["aic"].to_numpy() == pytest.approx(frame["deviance"] + 2 * frame["n_parameters"])
    assert frame["df"].to_numpy() == pytest.approx(3 - frame["n_parameters"])
    assert frame.loc["generalized_gamma", "deviance"] == pytest.approx(0, abs=1e-6)
    assert frame["converged"].all()
    unknown = reconstruct_survival(LANDMARKS, SURVIVAL).models_frame()
    assert np.isnan(unknown[["log_likelihood", "deviance", "aic", "weight"]].to_numpy(dtype=float)).all()
    assert unknown.loc["exponential", "parameters"]["rate"] == pytest.approx(0.0825 / 12, rel=1e-3)
    assert reconstruct_survival([12], [1.0], n_total=10).models_frame().empty


def test_misfit_counts_from_the_rounding():
    frame = curve_by("exponential").misfit_frame()
    rate = curve_by("exponential").models_frame().loc["exponential", "parameters"]["rate"]
    fitted = np.exp(-rate * np.array(LANDMARKS))
    assert frame["fitted"].to_numpy() == pytest.approx(fitted, rel=1e-12)
    assert frame["misfit"].to_numpy() == pytest.approx(
        [fitted[0] - 0.825, fitted[1] - 0.7045, fitted[2] - 0.425]
    )
    assert frame["misfit_se"].to_numpy() == pytest.approx(frame["misfit"] / frame["se"])
    assert (curve_by("blend").misfit_frame()["misfit"] == 0).all()


def test_a_plateau_is_carried_by_patients():
    def flat(n_at_risk, survival=(0.6, 0.42, 0.42)):
        return reconstruct_survival([12, 36, 60], survival, n_total=100, n_at_risk=n_at_risk, decimals=0)

    curve = flat([50, 30, 12])
    assert curve.plateau == (0.42, 36.0, 60.0, 12)
    assert "level at 42% from 36 to 60 months, with 12 at risk at the end" in str(curve)
    assert "cure" not in str(curve)
    assert flat([50, 30, 9]).plateau is None
    assert flat([50, 30, np.nan]).plateau is None
    assert flat([50, 30, 12], (0.6, 0.44, 0.42)).plateau is None
    assert flat([90, 80, 60], (1.0, 1.0, 1.0)).plateau is None
    assert flat([40, 30, 12], (0.42, 0.42, 0.42)).plateau == (0.42, 12.0, 60.0, 12)


# --- intervals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["pchip", "piecewise_exponential", "blend"])
@pytest.mark.parametrize("scale", ["log-log", "plain", "logit"])
def test_at_the_landmarks_the_interval_of_the_curve_is_that_of_the_percentages(method, scale):
    curve = curve_by(method)
    mine, printed = (
        curve.confidence_interval(time_months=LANDMARKS, scale=scale),
        curve.confidence_interval(scale=scale),
    )
    assert mine.lower == pytest.approx(printed.lower, abs=3e-4)
    assert mine.upper == pytest.approx(printed.upper, abs=3e-4)


def test_an_exponential_has_the_interval_of_its_rate():
    """One percentage of n followed patients: H = -ln S has the standard error sqrt((1 - S) / (n S))."""
    curve = reconstruct_survival(
        [24], [0.7], n_total=80, n_at_risk=[56], method="exponential", tail="exponential"
    )
    h, se = -np.log(0.7), np.sqrt(0.3 / (80 * 0.7))
    factor = np.exp(stats.norm.ppf(0.975) * se / h)
    for month in (12.0, 48.0):
        lower, upper = curve.confidence_interval(time_months=[month])
        expected = np.exp(-h * month / 24 * np.array([factor, 1 / factor]))
        assert [lower[0], upper[0]] == pytest.approx(expected, rel=1e-4)
    median = 24 * np.log(2) / h
    assert curve.median_confidence_interval() == pytest.approx((median / factor, median * factor), rel=2e-3)
    rmst, eps = curve.rmst_confidence_interval(24.0), 1e-6
    area = lambda rate: (1 - np.exp(-24 * rate)) / rate  # noqa: E731
    slope = (area((h + eps) / 24) - area((h - eps) / 24)) / (2 * eps)
    mean = curve.rmst(24)
    on_logit = slope * se / (mean * (1 - mean / 24))
    z = stats.norm.ppf(0.975)
    expected = [24 / (1 + np.exp(-(np.log(mean / (24 - mean)) + sign * z * on_logit))) for sign in (1, -1)]
    assert rmst == pytest.approx(expected, rel=1e-3)


def test_intervals_grow_with_the_level_and_shrink_with_the_patients():
    at = [6.0, 36.0, 90.0]
    for method in ("pchip", "average"):
        narrow, wide = (curve_by(method).confidence_interval(level, time_months=at) for level in (0.8, 0.99))
        assert (wide.lower < narrow.lower).all()
        assert (wide.upper > narrow.upper).all()
        many = curve_by(method, n_total=1000, n_at_risk=[750, 520, 180]).confidence_interval(
            0.8, time_months=at
        )
        assert (many.upper - many.lower < narrow.upper - narrow.lower).all()


def test_between_landmarks_the_method_itself_is_in_doubt():
    """With a million patients nothing is left but what families make of the same figures."""
    n = 1_000_000
    curve = curve_by("pchip", n_total=n, n_at_risk=[750_000, 520_000, 180_000], decimals=None)
    lower, upper = curve.confidence_interval(time_months=[6.0, 36.0, 90.0])
    assert upper[0] - lower[0] > 0.01
    assert upper[1] - lower[1] < 0.003


def test_no_patients_no_interval():
    curve = reconstruct_survival(LANDMARKS, SURVIVAL, method="weibull")
    assert np.isnan(curve.confidence_interval(time_months=[12.0])).all()
    assert np.isnan(curve.median_confidence_interval()).all()
    assert np.isnan(curve.rmst_confidence_interval(60.0)).all()


def test_ends_of_the_interval_of_a_curve():
    curve = curve_by("blend")
    lower, upper = curve.confidence_interval(time_months=[0.0, 12.0])
    assert (lower[0], upper[0]) == (1.0, 1.0)
    with pytest.raises(InvalidInputError, match="Times must be finite"):
        curve.confidence_interval(time_months=[-1.0])
    assert (
        curve.median_confidence_interval().upper == np.inf
    )  # the upper limit is above one half at 120 months
    assert 60 < curve.median_confidence_interval().lower < curve.median
    early = reconstruct_survival([12, 24], [0.95, 0.9], n_total=50, n_at_risk=[40, 30])
    assert early.median_confidence_interval() == (24.0, np.inf)


def test_imputed_errors_are_said_aloud():
    curve = reconstruct_survival(LANDMARKS, SURVIVAL, n_total=100)
    for ask in (
        lambda: curve.confidence_interval(time_months=[12.0]),
        curve.median_confidence_interval,
        lambda: curve.rmst_confidence_interval(60.0),
    ):
        with pytest.warns(ImputedVarianceWarning):
            ask()


# --- further evidence -----------------------------------------------------------------------------------


def test_quartiles_are_points():
    curve = reconstruct_survival(
        [24, 60], [0.8, 0.4], quartiles_months=(30, 90), median_months=48, decimals=0
    )
    assert curve.survival([30.0, 48.0, 90.0]) == pytest.approx([0.75, 0.5, 0.25], rel=1e-12)
    assert curve.last_months == 90
    assert curve.bounds(40).lower == 0.5
    assert curve.bounds(40).upper == 0.75
    assert curve.median_bounds == (47.5, 48.5)
    open_one = ReportedNumber("", "month", "not reached")
    held = reconstruct_survival([24, 60], [0.8, 0.4], quartiles_months=(None, open_one))
    assert held.bounds(60).lower == 0.4
    late = reconstruct_survival(
        [24, 60], [0.8, 0.4], quartiles_months=(ReportedNumber("40", "month", ">"), None)
    )
    assert late.survival(40) == pytest.approx(0.75, rel=1e-9)
    assert late.bounds(39).lower == 0.75


@pytest.mark.parametrize(
    ("quartiles", "message"),
    [
        ((10, None), "the first quartile (10 months) contradicts 80% at 24 months; it is not used"),
        ((None, 50), "the third quartile (50 months) contradicts 40% at 60 months; it is not used"),
        (
            (50, None),
            "the first quartile (50 months) contradicts the median or the other quartile; it is not used",
        ),
    ],
)
def test_a_quartile_that_contradicts_is_not_used(quartiles, message):
    with pytest.warns(InconsistentReportWarning) as told:
        curve = reconstruct_survival(
            [24, 60], [0.8, 0.4], quartiles_months=quartiles, median_months=40, decimals=0
        )
    assert told[0].filename == __file__
    assert [caution.message for caution in curve.warnings] == [message]
    assert curve.median == pytest.approx(40, rel=1e-12)


def test_events_tell_the_follow_up():
    """Patients simulated under steady entry: the standard errors come out as with numbers at risk."""
    rng, n = np.random.default_rng(11), 4000
    death, end = 70 * rng.weibull(1.3, n), rng.uniform(0, 150, n)
    time, event = np.minimum(death, end), death <= end
    order = np.argsort(time)
    s = np.cumprod(1 - event[order] / np.arange(n, 0, -1))
    at = np.searchsorted(time[order], [24, 60, 100], "right")
    by_count = reconstruct_survival([24, 60, 100], s[at - 1], n_total=n, n_at_risk=n - at)
    by_events = reconstruct_survival([24, 60, 100], s[at - 1], n_total=n, n_events=int(event.sum()))
    by_median = reconstruct_survival([24, 60, 100], s[at - 1], n_total=n, median_follow_up_months=75)
    assert by_events.se_source == ("total events",) * 3
    assert by_median.se_source == ("median follow-up",) * 3
    assert by_events.se == pytest.approx(by_count.se, rel=0.05)
    assert by_median.se == pytest.approx(by_count.se, rel=0.05)
    assert by_events.se_upper == pytest.approx(
        reconstruct_survival([24, 60, 100], s[at - 1], n_total=n).se_upper
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        by_events.confidence_interval()
    both = reconstruct_survival(
        [24, 60, 100], s[at - 1], n_total=n, n_events=int(event.sum()), median_follow_up_months=20
    )
    assert both.se_source == ("total events",) * 3


def test_a_follow_up_of_all_is_a_binomial_variance():
    curve = reconstruct_survival([12, 24], [0.7, 0.5], n_total=40, n_events=40)
    assert curve.se == pytest.approx(np.sqrt([0.7 * 0.3 / 40, 0.25 / 40]), rel=1e-6)
    known = reconstruct_survival([12, 24], [0.7, 0.5], n_total=40, n_events=22, n_at_risk=[25, np.nan])
    assert known.se_source == ("numbers at risk", "total events")
    assert known.se[0] == pytest.approx(np.sqrt(variance_at_risk(0.7, 40, 25)))


def test_too_few_events_are_not_used():
    with pytest.warns(InconsistentReportWarning) as told:
        curve = reconstruct_survival([12, 24], [0.7, 0.5], n_total=40, n_at_risk=[np.nan, 15], n_events=12)
    # 15 at risk of whom as many again have died, with all losses before the first death
    assert str(told[0].message).endswith(
        "12 events in all, but the percentages need 15 or more; the number is not used"
    )
    assert told[0].filename == __file__
    assert curve.se_source == ("imputed", "numbers at risk")


def test_a_report_takes_further_evidence():
    report = ReportedSurvival.from_percent(
        "Hibi 2007", "OS", years=[1, 3, 5], percent=["95", "68", "41"], n_total=60
    )
    curve = reconstruct_survival(
        report, n_events=30, quartiles_months=(29, None), median_follow_up_months=ReportedNumber("4", "year")
    )
    assert curve.label == "Hibi 2007, OS"
    assert curve.se_source[0] == "total events"
    assert curve.survival(29) == pytest.approx(0.75, rel=1e-9)


def test_events_of_the_report_are_used_as_if_they_were_given():
    printed = {"years": [1, 3, 5], "percent": ["95", "68", "41"]}
    without = ReportedSurvival.from_percent("Hibi 2007", "OS", **printed, n_total=60)
    report = ReportedSurvival.from_percent("Hibi 2007", "OS", **printed, n_total=60, n_events=30)
    for method in ("pchip", "weibull"):
        found, given_ = (
            reconstruct_survival(report, method=method),
            reconstruct_survival(without, n_events=30, method=method),
        )
        assert found.n_events == given_.n_events == 30
        assert found.se_source == given_.se_source == ("total events",) * 3
        np.testing.assert_array_equal(found.se, given_.se)
        np.testing.assert_array_equal(found.survival([10, 50]), given_.survival([10, 50]))
    # 30 of 60 have the event, fewer than the percentages at full follow-up mean: some were lost
    assert (found.se > reconstruct_survival(without, n_events=40).se).any()
    with pytest.raises(
        InvalidInputError, match=r"^Hibi 2007, OS: the ReportedSurvival brings its own number of eve"
    ):
        reconstruct_survival(report, n_events=30)
    unknown = reconstruct_survival(ReportedSurvival.from_percent("Hibi 2007", "OS", **printed, n_events=30))
    assert unknown.n_events is None  # nothing can be made of it without n


def test_events_that_cannot_be_are_not_kept():
    report = ReportedSurvival.from_percent(
        "A", "OS", months=[24], percent=[50], n_at_risk=[15], n_total=40, n_events=12
    )
    with pytest.warns(InconsistentReportWarning, match="12 events in all, but the percentages need"):
        curve = reconstruct_survival(report)
    assert curve.n_events is None


def test_a_printed_interval_sets_the_effective_number():
    lower, upper = interval(0.7, 0.05, scale="log-log")
    curve = reconstruct_survival([24], [0.7], ci_lower=[lower], ci_upper=[upper], method="exponential")
    assert curve.effective_n == pytest.approx([0.7 * 0.3 / 0.05**2], rel=1e-3)
    assert curve.confidence_interval(time_months=[24.0]).lower[0] == pytest.approx(lower, abs=1e-4)


@st.composite
def reports(draw):
    size = draw(st.integers(1, 4))
    months = np.cumsum(draw(st.lists(st.integers(3, 40), min_size=size, max_size=size))).astype(float)
    steps = draw(st.lists(st.integers(0, 100), min_size=size, max_size=size))
    n = draw(st.integers(10, 2000))
    return months, np.sort(steps)[::-1] / 100, n


@pytest.mark.parametrize(
    "method", [method for method in METHODS if method not in ("pchip", "piecewise_exponential")]
)
@settings(max_examples=10)
@given(reports())
def test_any_report_gives_a_curve_or_an_explanation(method, report):
    months, survival, n = report
    try:
        curve = reconstruct_survival(
            months, survival, decimals=0, n_total=n, n_events=n // 2 + 1, method=method
        )
    except InvalidInputError as error:
        assert "figure" in str(error) or "never falls" in str(error)  # noqa: PT017
        return
    at = np.linspace(0, curve.last_months, 60)
    s = curve.survival(at)
    assert (np.diff(s) <= 1e-12).all()
    assert s[0] == 1
    assert 0 <= curve.rmst(curve.last_months) <= curve.last_months
    if method == "blend":
        lower, upper = curve.bounds(at)
        assert (lower <= s + 1e-6).all()
        assert (s <= upper + 1e-6).all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImputedVarianceWarning)
        lower, upper = curve.confidence_interval(time_months=at[1:])
    known = np.isfinite(lower)
    assert (lower[known] <= s[1:][known] + 1e-9).all()
    assert (s[1:][known] <= upper[known] + 1e-9).all()
