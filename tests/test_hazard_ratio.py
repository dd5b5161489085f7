"""The ways of the verb. Those of a record come first: they are what `summarize_factors` pools."""

import json
import math
import warnings
from pathlib import Path
from statistics import NormalDist
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsynth.data.endpoint import find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.survival import ReportedSurvival, ReportedTime
from netsynth.errors import (
    BoundaryWarning,
    ImputedVarianceWarning,
    InconsistentReportWarning,
    InvalidInputError,
)
from netsynth.hazard_ratio import hazard_ratio
from netsynth.ipd import reconstruct_ipd
from netsynth.pool import pool_effects
from netsynth.reconstruct import reconstruct_survival
from netsynth.results.hazard_ratio import ROUTES, RouteName

REFERENCE = json.loads((Path(__file__).parent / "references" / "log_hazard_ratio.json").read_text())
OS = find_endpoint("OS")


pytestmark = pytest.mark.filterwarnings(
    "ignore::netsynth.errors.NetsynthWarning"
)  # looked at where they matter


def result(hr="2.0", low=None, high=None, p=None, *, sign="=", level=0.95, **more):
    """A result for the adverse level; numbers as printed."""
    ci = low if isinstance(low, ReportedInterval) else ReportedInterval.maybe(low, high, "ratio", level)
    ratio = hr if isinstance(hr, ReportedNumber) else ReportedNumber(hr, "ratio")
    pvalue = None if p is None else ReportedNumber(p, "pvalue", sign)
    return ReportedFactor(
        "Mayo", "grade", OS, "poor", "well", hazard_ratio=ratio, ci=ci, pvalue=pvalue, **more
    )


def with_rounding(se, hr, unit):
    """Second implementation: add the variance of an error that is uniform on half a unit either side."""
    return math.sqrt(se**2 + unit**2 / 12 / hr**2)


Z = NormalDist().inv_cdf

# Results that papers of the packaged review print, with the standard error worked out here from the print.
PRINTED = {
    "mayo_2010, extrahepatic disease": (
        result("3.0", p="0.05", sign="<"),
        math.log(3.0) / Z(0.975),
        "bound on the p-value",
    ),
    "mayo_2011, symptoms": (result("2.6", p="0.001"), math.log(2.6) / Z(0.9995), "p-value"),
    "glazer_2010, lung or thymus": (
        result("15.6", "4.3", "56.8", "0.002"),
        math.log(56.8 / 4.3) / 2 / Z(0.975),
        "confidence interval",
    ),
    "xiang_2020, poor grade": (result("1.6", p="0.238"), math.log(1.6) / Z(0.881), "p-value"),
    "xiang_2020, lymph nodes": (result("2.6", p="0.002"), math.log(2.6) / Z(0.999), "p-value"),
    "g1early, nonfunctional": (
        result("4.4", "1.2", "16.7", "0.029"),
        math.log(16.7 / 1.2) / 2 / Z(0.975),
        "confidence interval",
    ),
    "g1early, R1": (
        result("3.9", "1.4", "10.5", "0.008"),
        math.log(10.5 / 1.4) / 2 / Z(0.975),
        "confidence interval",
    ),
}


@pytest.mark.parametrize("name", PRINTED)
def test_printed_results(name):
    reported, se, route = PRINTED[name]
    found = hazard_ratio(reported)
    printed = reported.hazard_ratio.value
    assert found.estimate == pytest.approx(math.log(printed), rel=1e-12)
    assert found.se == pytest.approx(with_rounding(se, printed, 0.1), rel=1e-9)
    assert (found.route, found.problem, found.is_lopsided) == (route, "", False)


def test_a_ratio_of_the_better_level_is_turned_round():
    """xiang_2020: 0.3 for major resection, p = 0.001; the adverse level is parenchymal-sparing."""
    found = hazard_ratio(result("0.3", p="0.001", hazard_ratio_for="well"))
    assert found.estimate == pytest.approx(-math.log(0.3))
    assert found.se == pytest.approx(with_rounding(-math.log(0.3) / Z(0.9995), 0.3, 0.1), rel=1e-9)


@pytest.mark.parametrize("case", REFERENCE["from_ci"], ids=lambda c: f"HR {c['hr']}")
def test_reference_intervals(case):
    texts = [str(case[name]) for name in ("hr", "lower", "upper")]
    reported = result(*texts, level=case["level"])
    found = hazard_ratio(reported)
    unit = 10.0**-reported.hazard_ratio.decimals
    assert found.estimate == pytest.approx(case["log_hr"], rel=1e-12, abs=1e-15)
    assert found.se == pytest.approx(with_rounding(case["se"], case["hr"], unit), rel=1e-12)


Z95 = Z(0.975)


@pytest.mark.parametrize(
    ("reported", "se", "route"),
    [
        (result("2.00", None, "4.0"), math.log(2) / Z95, "upper limit"),
        (result("2.00", "0.5", None), math.log(4) / Z95, "lower limit"),
        (result("2.00", "0.00", "4.0"), math.log(2) / Z95, "upper limit"),
        (
            result(
                "2.00",
                ReportedInterval(ReportedNumber("0.5", "ratio"), ReportedNumber("9", "ratio", ">"), 0.95),
            ),
            math.log(4) / Z95,
            "lower limit",
        ),
        (result("2.00", "2.00", "2.00", "0.04"), math.log(2) / Z(0.98), "p-value"),
        (result("2.00", "1.0", "4.0", level=0.9), math.log(4) / 2 / Z(0.95), "confidence interval"),
        (result("2.00", "1.0", "4.0", level=None), math.log(4) / 2 / Z95, "confidence interval"),
        (result("2.00", p="0.04", sign="~"), math.log(2) / Z(0.98), "p-value"),
        (result("2.00", p="0.04", sign="<="), math.log(2) / Z(0.98), "bound on the p-value"),
        (result("2.00", p="0.000"), math.log(2) / Z(1 - 0.0005 / 2), "bound on the p-value"),
        (result("2.00", p="0.9"), math.log(2) / Z(0.55), "p-value"),
    ],
)
def test_what_is_not_printed_is_done_without(reported, se, route):
    found = hazard_ratio(reported)
    assert found.route == route
    assert found.se == pytest.approx(with_rounding(se, 2.0, 0.01), rel=1e-9)


@pytest.mark.parametrize(
    ("reported", "problem"),
    [
        (result(), "it has neither a confidence interval nor a p-value"),
        (result(p="0.91"), "a p-value of 0.91 is too near 1 to tell its standard error"),
        (result(p="0.95", sign="<"), "a p-value of <0.95 is too near 1 to tell its standard error"),
        (result(p="0.05", sign=">"), "a p-value of >0.05 sets no upper bound to its standard error"),
        (result("1.0", p="0.04"), "a ratio of 1 with a p-value does not tell its standard error"),
        (result(ReportedNumber("0.5", "ratio", "<"), p="0.04"), "the ratio <0.5 is no exact positive number"),
        (result("0.0", "0.0", "0.4"), "the ratio 0.0 is no exact positive number"),
    ],
)
def test_a_standard_error_that_cannot_be_had_says_why(reported, problem):
    found = hazard_ratio(reported)
    assert math.isnan(found.se)
    assert (found.route, found.problem) == ("", problem)
    assert problem in str(found)


def test_a_bound_never_makes_a_result_more_precise():
    """Whatever p < 0.05 was, its own standard error would have been smaller."""
    bound = hazard_ratio(result(p="0.05", sign="<")).se
    assert all(hazard_ratio(result(p=p)).se < bound for p in ("0.049", "0.01", "0.0001"))


def test_no_ratio_at_all():
    found = hazard_ratio(ReportedFactor("Mayo", "grade", OS, "poor", "well"))
    assert math.isnan(found.estimate)
    assert math.isnan(found.se)
    assert str(found) == (
        "Mayo, grade, OS: no hazard ratio of poor against well: no ratio is printed, nor figures that tell one"
    )


@pytest.mark.parametrize(
    ("numbers", "lopsided"),
    [
        (("3.6", "1.1", "11.1"), False),  # the geometric mean is 3.49, and with rounding from 3.41 to 3.58
        (("3.6", "1.10", "11.10"), True),
        (("3.4", "1.1", "11.1"), False),
        (("2.0", "0.5", "4.0"), True),
        (
            ("0.4", "0.0", "4.0"),
            False,
        ),  # a limit printed as 0.0 is below 0.05: the geometric mean is below 0.45
        (("2.0", None, "4.0"), False),
    ],
)
def test_a_ratio_that_is_not_the_geometric_mean_of_its_limits(numbers, lopsided):
    assert hazard_ratio(result(*numbers)).is_lopsided is lopsided


# --- records with more than a ratio


def with_events(p="0.03", *, analysis="univariable", direction="worse", levels=("poor", "well"), **more):
    pvalue = None if p is None else ReportedNumber(p, "pvalue", more.pop("sign", "="))
    return ReportedFactor(
        "Mayo",
        "grade",
        OS,
        *levels,
        analysis,
        pvalue=pvalue,
        direction=direction,
        **{"n_events": 100, **more},
    )


def test_a_record_without_a_ratio_has_one_from_its_pvalue_and_events():
    found = hazard_ratio(with_events("0.03", events_by_level=(40, 60), n_by_level=(80, 120)))
    assert found.route == "p-value and events by arm"
    assert found.estimate == pytest.approx(Z(0.985) / math.sqrt(40 * 60 / 100))
    assert (found.exposed, found.reference, found.adjusted) == ("poor", "well", "none")
    assert hazard_ratio(with_events("0.03", direction="better")).estimate < 0


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (with_events(direction="not stated"), "nothing says which group does worse"),
        (with_events(direction="none"), "nothing says which group does worse"),
        (
            with_events(analysis="multivariable"),
            "adjusted for covariates: its p-value in a formula of the log-rank test would understate the variance",
        ),
        (with_events(analysis="not stated"), "the source does not say whether the analysis is adjusted"),
        (with_events(levels=("", "")), "the two levels are not stated"),
        (
            with_events(levels=("higher", "per year")),
            "the factor may be continuous, so that events do not tell the information",
        ),
        (with_events("0.2", sign=">"), "a p-value of >0.2 bounds the ratio on neither side"),
        (with_events(n_events=None), "the number of events is not printed"),
        (with_events(n_events=0), "there was no event"),
    ],
)
def test_what_a_record_lacks_is_said_and_no_error(record, reason):
    found = hazard_ratio(record)
    assert math.isnan(found.estimate)
    assert math.isnan(found.se)
    assert found.problem == reason
    assert {each.name: each.reason for each in found.missed}["p-value and events"] == reason


def test_a_ratio_says_the_direction_of_a_record_before_its_words():
    found = hazard_ratio(
        ReportedFactor(
            "Mayo", "grade", OS, "poor", "well", "univariable",
            hazard_ratio=ReportedNumber("0.5", "ratio"), pvalue=ReportedNumber("0.01", "pvalue"),
            direction="worse", n_events=60,
        )
    )  # fmt: skip
    assert all(route.log_hr < 0 for route in found.routes)


# --- the oracle of one trial: Freireich EJ et al. (1963), 6-MP against placebo; numbers of R's survival package

TRIAL = {
    "observed": (9, 21),
    "expected": ("19.2505", "10.7495"),
    "log_rank_variance": "6.256961",
    "chi2": "16.7929",
    "pvalue": "0.00004169",
    "test": "log-rank",
    "n_total": (21, 21),
    "medians": ("23", "8"),
    "groups": ("6-MP", "placebo"),
}
COX = "0.2076 (0.0925-0.4659)"  # Efron's way with ties, standard error 0.412397
PUBLISHED = {
    "observed minus expected": -1.63826,
    "observed over expected": math.log(0.239315),
    "p-value and events by arm": math.log(0.195411),
    "chi-squared and events by arm": math.log(0.195411),
    "p-value and events": math.log(0.223946),
    "p-value, events and patients": math.log(0.223946),
    "chi-squared and events": math.log(0.223946),
    "medians": math.log(8 / 23),
    "confidence interval": -1.572,
}


def landmark_arms():
    """Survival at 10 weeks, as months so that it fits a record; the intervals of R on its log scale."""
    arms = (("6-MP", "75.29", "58.59", "96.76"), ("placebo", "38.10", "22.07", "65.75"))
    return tuple(
        ReportedSurvival.from_percent(label, months=[10], percent=[s], ci_lower=[low], ci_upper=[high])
        for label, s, low, high in arms
    )


@pytest.fixture(scope="module")
def trial():
    return hazard_ratio(hazard_ratio=COX, curves=landmark_arms(), **TRIAL)


def test_oracle_every_way(trial):
    found = {route.name: route for route in trial.routes}
    for name, log_hr in PUBLISHED.items():
        assert found[name].log_hr == pytest.approx(log_hr, abs=2e-4), name
    assert found["landmarks"].log_hr == pytest.approx(-1.2241, abs=5e-4)
    assert found["landmarks"].variance == pytest.approx(0.5350**2, rel=0.01)  # intervals of two digits
    assert found["observed minus expected"].variance == pytest.approx(1 / 6.256961)
    assert found["confidence interval"].variance == pytest.approx(0.412397**2, rel=2e-3)
    low, high = (math.exp(end) for end in found["observed minus expected"].sampling_interval())
    assert (low, high) == pytest.approx((0.08876, 0.42541), abs=5e-6)


def test_oracle_the_chooser(trial):
    """Direct and log-rank ways above O/E, that above landmark and medians: how far they are from Cox's fit."""
    assert trial.route == "confidence interval"
    order = [route.name for route in trial.routes]
    ranked = [
        "confidence interval",
        "observed minus expected",
        "p-value and events by arm",
        "p-value and events",
        "observed over expected",
        "landmarks",
        "medians",
    ]
    assert sorted(ranked, key=order.index) == ranked
    errors = [abs(next(r for r in trial.routes if r.name == name).log_hr + 1.572125) for name in ranked]
    assert errors == pytest.approx([0.0, 0.066, 0.061, 0.076, 0.142, 0.348, 0.516], abs=6e-4)


def test_without_the_ratio_the_most_direct_of_what_is_left_is_chosen():
    left, order = dict(TRIAL), []
    for gone in (("log_rank_variance",), ("chi2",), ("pvalue",), ("observed", "expected"), ()):
        found = hazard_ratio(
            **left, curves=landmark_arms(), **({} if "observed" in left else {"n_events": (9, 21)})
        )
        order.append(found.route)
        for name in gone:
            del left[name]
    assert order == [
        "observed minus expected",
        "observed minus expected",  # whose variance is then that of chi-squared
        "p-value and events by arm",
        "observed over expected",
        "landmarks",
    ]


def test_the_ways_of_one_trial_do_not_disagree(trial):
    assert trial.warnings == ()
    assert trial.disagreement_pvalue > 0.2
    assert trial.disagreement_df == 5


def test_patients_from_curves():
    """Exact steps of both arms with numbers at risk every 10 weeks: within 0.06 of Cox's fit."""
    arms = [
        reconstruct_ipd(
            time, survival, at_risk_time=at, n_at_risk=n, steps=True, unit="week", label=label, n_events=d
        )
        for time, survival, at, n, label, d in (
            (
                [0, 6, 7, 10, 13, 16, 22, 23, 35],
                [1, 0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448, 0.448],
                [0, 10, 20, 30], [21, 15, 8, 4], "6-MP", 9,
            ),
            (
                [0, 1, 2, 3, 4, 5, 8, 11, 12, 15, 17, 22, 23],
                [1, 0.905, 0.810, 0.762, 0.667, 0.571, 0.381, 0.286, 0.190, 0.143, 0.095, 0.048, 0],
                [0, 10, 20], [21, 8, 2], "placebo", 21,
            ),
        )
    ]  # fmt: skip
    found = hazard_ratio(curves=arms, pvalue="0.00004", direction="better")
    route = {each.name: each for each in found.routes}
    assert found.route == "reconstructed patients"
    assert found.estimate == pytest.approx(-1.5721, abs=0.06)
    assert route["reconstructed patients"].printed == "curve of 6-MP and curve of placebo, 21 and 21 patients"
    assert route["p-value and events by arm"].log_hr == pytest.approx(math.log(0.195411), abs=0.005)
    assert "numbers at risk" in route
    assert found.warnings == ()


# --- published trials

# Royston P, Parmar MKB (2013), BMC Med Res Methodol 13:152, Table 6, https://doi.org/10.1186/1471-2288-13-152
ROYSTON = [
    (188, "0.3", "worse", 1.16), (483, "0.07", "better", 0.85),
    (417, "0.04", "better", 0.82), (655, "0.03", "better", 0.85),
]  # fmt: skip


@pytest.mark.parametrize(("n_events", "p", "direction", "hr"), ROYSTON)
def test_published_pvalues_and_events(n_events, p, direction, hr):
    found = hazard_ratio(pvalue=p, test="log-rank", n_events=n_events, direction=direction)
    low, high = (math.exp(end) for end in found.chosen.log_hr_interval)
    assert low - 0.005 <= hr <= high + 0.005
    assert abs(found.natural - hr) < 0.0065
    assert found.confidence_interval()[0] < math.log(hr) < found.confidence_interval()[1]


# The same table: difference of restricted means, its standard error, and the p-value printed for it.
@pytest.mark.parametrize(
    ("difference", "se", "p"),
    [("0.33", "0.18", 0.07), ("0.33", "0.17", 0.05), ("0.46", "0.26", 0.08), ("-0.11", "0.10", 0.3)],
)
def test_published_restricted_means(difference, se, p):
    found = hazard_ratio(rmst_difference=difference, rmst_se=se, n_events=100)
    z = found.chosen.steps[0].value
    assert math.erfc(abs(z) / math.sqrt(2)) == pytest.approx(p, abs=0.031)
    assert found.estimate == pytest.approx(-float(difference) / float(se) / 5)
    nothing = hazard_ratio(rmst_difference=difference, rmst_se=se)
    assert math.isnan(nothing.estimate)
    assert nothing.problem == "without the number of events it tells the direction and a p-value only"


def test_published_bladder_cancer():
    """Tierney (2007): V = 128.81, ratio 0.88 with an interval from 0.74 to 1.05."""
    found = hazard_ratio(o_minus_e=f"{128.81 * math.log(0.88):.2f}", log_rank_variance="128.81")
    assert found.natural == pytest.approx(0.88, abs=0.005)
    assert [math.exp(end) for end in found.sampling_interval()] == pytest.approx([0.74, 1.05], abs=0.005)


def test_published_keynote_189():
    """Overall survival: 0.49 (0.38-0.64), 233 deaths; 69.2% and 49.4% alive at 12 months."""
    arms = [
        ReportedSurvival.from_percent(
            name, months=[12], percent=[s], ci_lower=[low], ci_upper=[high], n_at_risk=[m], n_total=n
        )
        for name, s, low, high, m, n in (
            ("pembrolizumab", "69.2", "64.1", "73.8", 163, 410),
            ("placebo", "49.4", "42.1", "56.2", 59, 206),
        )
    ]
    found = hazard_ratio(hazard_ratio="0.49 (0.38-0.64)", curves=arms, n_events=233)
    route = {each.name: each for each in found.routes}
    assert found.warnings == ()  # a standard error of 0.133 is above 2 / sqrt(233) = 0.131
    assert math.sqrt(route["confidence interval"].variance) == pytest.approx(0.13299, abs=5e-6)
    assert 2 / math.sqrt(233) == pytest.approx(0.13102, abs=5e-6)
    assert math.exp(route["landmarks"].log_hr) == pytest.approx(0.522, abs=5e-4)


def test_refuted_tutorial():
    """A public tutorial gives 0.68 (0.51-0.91) for chi-squared 6.8 with 142 events; its own formula does not."""
    found = hazard_ratio(chi2="6.8", n_events=142, direction="better")
    low, high = (math.exp(end) for end in found.sampling_interval())
    assert (found.natural, low, high) == pytest.approx((0.6455, 0.4646, 0.8970), abs=5e-5)
    with pytest.warns(InconsistentReportWarning, match="what is printed disagrees: 0.68 from HR 0.68"):
        both = hazard_ratio(hazard_ratio="0.68 (0.51-0.91)", chi2="6.8", n_events=142, n_total=(100, 100))
    assert both.estimate == pytest.approx(math.log(0.68))


PIGNON = json.loads((Path(__file__).parent / "references" / "hazard_ratio_routes.json").read_text())[
    "pignon2000"
]


def test_reference_pool_of_trials_with_o_minus_e():
    """65 trials of dat.pignon2000 (metadat) with O - E and V, pooled by meta."""
    estimates, errors = [], []
    for log_hr, se in zip(PIGNON["log_hr"], PIGNON["se"], strict=True):
        v = 1 / se**2
        found = hazard_ratio(o_minus_e=f"{log_hr * v:.6f}", log_rank_variance=f"{v:.6f}")
        assert found.route == "observed minus expected"
        estimates.append(found.estimate)
        errors.append(math.sqrt(found.chosen.variance))
    pooled = pool_effects(estimates, se=errors, measure="log_hr", tau2_method="DL")
    assert pooled.tau2 == pytest.approx(PIGNON["tau2"][0], rel=1e-4)
    assert pooled.estimate == pytest.approx(PIGNON["random"][0], rel=1e-4)


# --- rules


def test_a_direction_is_asked_for_and_never_assumed():
    with pytest.raises(InvalidInputError) as told:
        hazard_ratio(pvalue="0.03", n_events=100, groups=("drug", "placebo"), label="Trial A")
    assert str(told.value) == (
        "Trial A: a p-value does not say which group does worse. Give direction='worse' if drug did worse than "
        "placebo, or direction='better'; nothing is assumed."
    )


@pytest.mark.parametrize(
    "tells",
    [
        {"hazard_ratio": "0.7"},
        {"o_minus_e": "-4.1"},
        {"observed": (40, 60), "expected": ("50.1", "49.9")},
        {"rmst_difference": "2.1", "rmst_se": "0.9"},
    ],
)
def test_what_has_a_side_tells_the_direction(tells):
    found = hazard_ratio(pvalue="0.03", n_events=(40, 60), **tells)
    way = next(route for route in found.routes if route.name == "p-value and events by arm")
    assert way.log_hr == pytest.approx(-Z(0.985) / math.sqrt(24))


def test_a_bound_on_p_leaves_a_half_line():
    with pytest.warns(BoundaryWarning, match="known to be at most 0.52 only; that end, the nearest to 1"):
        found = hazard_ratio(pvalue="<0.001", n_events=100, direction="better", n_total=(100, 100))
    edge = -Z(0.9995) / 5
    assert found.bound == "ratio"
    assert found.estimate == pytest.approx(edge)
    assert found.chosen.log_hr_interval == (-math.inf, pytest.approx(edge))
    low, high = found.confidence_interval()
    assert (low, high) == (-math.inf, pytest.approx(edge + Z(0.975) * found.se))
    assert str(found).startswith("hazard ratio of exposed against reference at most 0.52 (95% CI 0.000")


def test_zero_with_decimals_is_a_bound_and_without_an_error():
    with pytest.warns(BoundaryWarning):
        found = hazard_ratio(pvalue="0.000", n_events=100, direction="worse")
    assert found.estimate == pytest.approx(Z(1 - 0.00025) / 5)
    for zero in (0, 0.0, "0"):
        with pytest.raises(InvalidInputError, match="a p-value is never 0"):
            hazard_ratio(pvalue=zero, n_events=100, direction="worse")


def test_a_pvalue_of_one():
    found = hazard_ratio(pvalue="1.0", n_events=100, direction="worse")
    assert found.estimate == 0
    with_ratio = hazard_ratio(hazard_ratio="1.05", pvalue="0.95")
    assert with_ratio.problem == "a p-value of 0.95 is too near 1 to tell its standard error"


def test_a_bound_on_p_beside_a_ratio_bounds_the_standard_error():
    with pytest.warns(ImputedVarianceWarning, match="larger than the true one"):
        found = hazard_ratio(hazard_ratio="2.00", pvalue="<0.05")
    assert found.bound == "standard error"
    assert found.chosen.variance_interval == (0.0, pytest.approx((math.log(2.005) / Z(0.975)) ** 2))
    better = hazard_ratio(hazard_ratio="2.00", pvalue="<0.05", n_events=(40, 60))
    assert better.route == "ratio and events by arm"  # a variance is better than a bound on one
    assert better.chosen.variance == pytest.approx(1 / 24)


def test_adjusted_pvalues_never_meet_the_log_rank_formulas():
    found = hazard_ratio(pvalue="0.01", n_events=100, adjusted="full", direction="worse")
    assert found.routes == ()
    assert found.problem.startswith("adjusted for covariates: its p-value in a formula of the log-rank test")
    log_rank = hazard_ratio(pvalue="0.01", n_events=100, adjusted="full", direction="worse", test="log-rank")
    assert (log_rank.route, log_rank.adjusted) == ("p-value and events", "none")


def test_another_ratio_is_kept_but_neither_chosen_nor_compared():
    found = hazard_ratio(
        hazard_ratio="1.9 (1.2-3.0)",
        adjusted="full",
        covariates=["age", "stage"],
        pvalue="0.20",
        test="log-rank",
        n_events=(50, 50),
    )
    assert (found.route, found.adjusted, found.covariates) == (
        "confidence interval",
        "full",
        ("age", "stage"),
    )
    way = found.alternatives[0]
    assert (way.name, way.is_adjusted, math.isnan(way.distance)) == ("p-value and events by arm", False, True)
    assert (found.disagreement_df, math.isnan(found.disagreement_pvalue)) == (0, True)
    assert {each.name: each.reason for each in found.missed}["p-value"] == (
        "the p-value is of the log-rank test, and the ratio is adjusted"
    )


def test_an_adjusted_ratio_is_chosen_even_when_it_is_known_less_well():
    with pytest.warns(ImputedVarianceWarning):
        found = hazard_ratio(
            hazard_ratio="1.9", adjusted="full", pvalue="<0.05", test="Wald", chi2="9.1", n_events=(50, 50)
        )
    assert (found.route, found.adjusted) == ("bound on the p-value", "full")
    assert {route.name for route in found.alternatives} == {
        "chi-squared and events by arm",
        "chi-squared and events",
    }


def test_a_printed_interval_is_taken_at_its_word():
    """Events would allow a narrower one, but no other way knows more of the same patients than the fit itself."""
    found = hazard_ratio(hazard_ratio="0.50 (0.20-1.25)", n_events=(50, 50), pvalue="0.14")
    assert found.route == "confidence interval"
    assert found.chosen.variance > 2 * found.alternatives[-1].variance


def test_ways_from_one_ratio_are_not_held_against_each_other(trial):
    same = {"p-value", "ratio and events by arm", "ratio, events and patients", "ratio and events"}
    assert {route.name for route in trial.alternatives if math.isnan(route.distance)} == same


def test_one_sided_pvalues():
    two, one = (
        hazard_ratio(pvalue=p, n_events=100, direction="better", one_sided=side)
        for p, side in (("0.040", False), ("0.020", True))
    )
    assert one.estimate == pytest.approx(two.estimate)


def test_tierney_note_on_two_sided():
    """Comment on Tierney (2007), Trials 14:391: a two-sided p of 0.075 is z = 1.78, not 0.89 and not 1.44."""
    found = hazard_ratio(pvalue="0.075", n_events=100, direction="worse")
    assert found.chosen.steps[0].value == pytest.approx(1.78, abs=0.005)


def test_no_event_in_a_group():
    found = hazard_ratio(
        observed=(0, 10), expected=("4.1", "5.9"), pvalue="0.01", n_total=(30, 30), groups=("drug", "placebo")
    )
    missed = {each.name: each.reason for each in found.missed}
    assert missed["observed over expected"] == "there was no event in drug, so its logarithm is undefined"
    assert missed["p-value and events by arm"] == (
        "there was no event in drug, so the variance from events is undefined"
    )
    for name in (
        "p-value, events and patients",
        "p-value and events",
    ):  # all events would hide that one group has none
        assert missed[name] == missed["p-value and events by arm"]
    assert (
        found.problem
        == missed["p-value and events"]
        + "; neither the variance of O - E nor a chi-squared above 0 "
        "is printed"
    )
    with_v = hazard_ratio(observed=(0, 10), expected=("4.1", "5.9"), log_rank_variance="2.3")
    assert with_v.estimate == pytest.approx(-4.1 / 2.3)  # Peto's estimate is defined


def test_a_lower_limit_of_zero_leaves_half_the_width():
    found = hazard_ratio(hazard_ratio="0.05", ci=("0.00", "0.40"))
    assert found.route == "upper limit"
    assert math.sqrt(found.chosen.variance) == pytest.approx(math.log(8) / Z(0.975))
    assert hazard_ratio(hazard_ratio="2.0", ci=("0.9", "NR")).route == "lower limit"


def test_a_ratio_with_one_decimal_has_the_variance_of_its_rounding():
    found = hazard_ratio(hazard_ratio="0.3 (0.1-0.9)")
    assert found.chosen.rounding_variance == pytest.approx((0.1 / 0.3) ** 2 / 12)


def test_exact_figures_win_over_a_ratio_to_one_decimal():
    found = hazard_ratio(
        hazard_ratio="0.2 (0.1-0.5)",
        o_minus_e="-10.25",
        log_rank_variance="6.26",
        n_events=30,
        n_total=(21, 21),
    )
    assert found.route == "observed minus expected"


def test_rounding_of_the_ratio_counts_in_the_choice():
    given = {"o_minus_e": "-208", "log_rank_variance": "129.2", "n_events": 520, "n_total": (600, 600)}
    assert hazard_ratio(hazard_ratio="0.2", ci=("0.17", "0.24"), **given).route == "observed minus expected"
    assert hazard_ratio(hazard_ratio="0.20", ci=("0.17", "0.24"), **given).route == "confidence interval"


def test_too_narrow_for_its_events():
    with pytest.warns(
        InconsistentReportWarning, match="100 events give at least 0.200, unless the fit was weighted"
    ):
        found = hazard_ratio(hazard_ratio="0.70 (0.60-0.82)", n_events=100)
    assert found.warnings[0].name == "InconsistentReportWarning"


def test_too_narrow_for_so_few_exposed():
    """Ten exposed among 210 patients of whom 150 die: an error of 0.22 at least, though 2 / sqrt(150) is 0.163."""
    with pytest.warns(InconsistentReportWarning, match=r"150 events give at least 0\.2[12]\d"):
        hazard_ratio(hazard_ratio="1.00 (0.69-1.45)", n_events=150, n_total=(10, 200))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hazard_ratio(hazard_ratio="1.00 (0.69-1.45)", n_events=150)


def test_an_interval_that_is_not_symmetric():
    with pytest.warns(
        InconsistentReportWarning, match="not symmetric around the hazard ratio 2.0 on the log scale"
    ):
        assert hazard_ratio(hazard_ratio="2.0 (0.5-4.0)").is_lopsided


def test_a_direction_against_the_ratio():
    with pytest.warns(
        InconsistentReportWarning, match="said to do worse, yet the printed ratio 0.5 says the opposite"
    ):
        hazard_ratio(hazard_ratio="0.5 (0.4-0.62)", direction="worse")


def test_a_large_disagreement_is_said():
    with pytest.warns(
        InconsistentReportWarning, match=r"0.70 from HR 0.70 .* yet 0.93 from p = 0.5, 300 events"
    ):
        found = hazard_ratio(hazard_ratio="0.70 (0.55-0.89)", pvalue="0.5", n_events=300, test="log-rank")
    assert found.disagreement_pvalue < 0.001
    assert any("disagrees" in said.message for said in found.warnings)


def test_a_ratio_for_the_other_group_is_turned():
    forward = hazard_ratio(hazard_ratio="0.50 (0.31-0.81)")
    turned = hazard_ratio(hazard_ratio="0.50 (0.31-0.81)", hazard_ratio_for="reference")
    assert turned.estimate == -forward.estimate
    assert turned.se == forward.se
    low, high = turned.natural_interval()
    other = forward.natural_interval()
    assert (low, high) == pytest.approx((1 / other.upper, 1 / other.lower))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "hazard_ratio needs something that a study prints: a ratio, a test, events, curves, medians or means."),
        ({"hazard_ratio": "0.5 (0.4-0.6)", "hazard_ratio_for": "men"},
         "hazard_ratio: the hazard ratio is for 'men', which is neither 'exposed' nor 'reference'. "
         "Name one of groups."),
        ({"ci": (0.4, 0.6)}, "hazard_ratio: a confidence interval without its hazard ratio."),
        ({"hazard_ratio": "0.5 (0.4-0.6)", "ci": (0.4, 0.6)},
         "hazard_ratio: give the interval once, in hazard_ratio or as ci; got both."),
        ({"hazard_ratio": "0.7", "ci": ("0.4", "0.6")},
         "hazard_ratio: the confidence interval 0.4–0.6 does not contain the hazard ratio 0.7. "
         "Check the transcription."),
        ({"hazard_ratio": "0.5 (95% CI 0.4-0.6)", "level": 0.9},
         "hazard_ratio: the interval is printed with level 0.95; got 0.9."),
        ({"hazard_ratio": "0.7", "direction": "up"}, "hazard_ratio: direction must be one of worse, better; got 'up'."),
        ({"hazard_ratio": "0.7", "adjusted": "yes"},
         "hazard_ratio: adjusted must be one of none, minimal, full, not stated; got 'yes'."),
        ({"observed": (9,), "expected": (1, 2)},
         "hazard_ratio: observed must be a pair, the exposed group first; got (9,)."),
        ({"observed": (9, 21), "expected": (0, 30)},
         "hazard_ratio: expected must be a number above 0, or text such as '0' for what is rounded, no open end; got "
         "0."),
        ({"n_events": (30, 5), "n_total": (20, 20)},
         "hazard_ratio: 30 events among 20 patients of exposed. Check both numbers."),
        ({"n_events": 50, "n_total": (20, 20)}, "hazard_ratio: 50 events among 40 patients. Check both numbers."),
        ({"chi2": "-2"}, "hazard_ratio: chi2 must be a number of at least 0, no open end; got -2."),
        ({"medians": ("12", "0")}, "hazard_ratio: medians: a median is a positive time; got 0."),
        ({"follow_up_months": (60, 12)},
         "hazard_ratio: follow_up_months must be the shortest and the longest follow-up, 0 or more; got (60, 12)."),
    ],
)  # fmt: skip
def test_errors(given, message):
    with pytest.raises(InvalidInputError) as told:
        hazard_ratio(**given)
    assert str(told.value) == message


# --- curves, medians


def arms(**options):
    one = {"percent": ["83", "70", "42"], "n_at_risk": [80, 60, 20]}
    other = {"percent": ["73", "50", "22"], "n_at_risk": [70, 40, 10]}
    return tuple(
        ReportedSurvival.from_percent(name, years=[1, 2, 3], n_total=100, **{**numbers, **options})
        for name, numbers in (("drug", one), ("placebo", other))
    )


def test_curves_of_two_endpoints():
    other = ReportedSurvival.from_percent("placebo", "PFS", years=[1, 2, 3], percent=["73", "50", "22"])
    with pytest.raises(
        InvalidInputError, match="hazard_ratio: both curves must be of one endpoint; got OS and PFS"
    ):
        hazard_ratio(curves=(arms()[0], other))


def test_a_record_goes_in_alone():
    with pytest.raises(InvalidInputError, match="got ReportedFactor beside keyword arguments"):
        hazard_ratio(result(), pvalue="0.03")
    with pytest.raises(InvalidInputError, match="or keyword arguments; got str"):
        hazard_ratio("0.49 (0.38-0.64)")


def test_numbers_at_risk_and_follow_up():
    found = hazard_ratio(curves=arms(), follow_up_months=(12, 60))
    route = {each.name: each for each in found.routes}
    assert set(route) == {"numbers at risk", "follow-up", "landmarks"}
    alone = hazard_ratio(curves=arms(n_at_risk=[None] * 3), follow_up_months=(12, 60))
    assert {each.name for each in alone.routes} == {"follow-up", "landmarks"}
    assert any("still under observation" in text for text in route["landmarks"].assumptions) is False
    imputed = next(each for each in alone.routes if each.name == "landmarks")
    assert any("still under observation" in text for text in imputed.assumptions)


def test_rounding_of_landmarks():
    """Half a point either side of 70% and 50%, each by itself."""
    pair = tuple(
        ReportedSurvival.from_percent(name, years=[2], percent=[s], n_total=100)
        for name, s in (("a", "70"), ("b", "50"))
    )
    route = next(each for each in hazard_ratio(curves=pair).routes if each.name == "landmarks")

    def log_hazard(s):
        return math.log(-math.log(s))

    moves = [log_hazard(s - 0.005) - log_hazard(s + 0.005) for s in (0.7, 0.5)]
    assert route.rounding_variance == pytest.approx(sum(move**2 for move in moves) / 12)
    low, high = route.log_hr_interval
    assert (high - low, 0.5 * (low + high)) == pytest.approx((sum(moves), route.log_hr))


def test_reconstructed_curves_are_taken_too():
    pair = tuple(reconstruct_survival(arm) for arm in arms())
    found, same = hazard_ratio(curves=pair), hazard_ratio(curves=arms())
    assert found.estimate == pytest.approx(same.estimate)
    with pytest.raises(InvalidInputError, match="curves must be two results of reconstruct_ipd"):
        hazard_ratio(curves=(pair[0], arms()[1]))


def test_events_and_patients_come_with_the_curves():
    pair = tuple(
        ReportedSurvival.from_percent(name, years=[2], percent=[s], n_total=100, n_events=d)
        for name, s, d in (("drug", "70", 40), ("placebo", "50", 60))
    )
    found = hazard_ratio(curves=pair, pvalue="0.01", direction="better")
    assert found.route == "p-value and events by arm"
    assert found.chosen.printed == "p = 0.01, 40 and 60 events, said to do better"


def test_medians():
    by_interval = hazard_ratio(medians=("20", "10"), median_cis=(("15", "30"), ("8", None)))
    v = (math.log(2) / 2 / Z(0.975)) ** 2 + (math.log(10 / 8) / Z(0.975)) ** 2
    assert by_interval.estimate == pytest.approx(-math.log(2))
    assert by_interval.chosen.variance == pytest.approx(v)
    by_events = hazard_ratio(medians=("20", "10"), n_events=(30, 40))
    assert by_events.chosen.variance == pytest.approx((1 / 30 + 1 / 40) / math.log(2) ** 2)
    records = tuple(
        ReportedTime.of("A", "OS", value, ci=ci) for value, ci in (("20", ("15", "30")), ("10", ("8", None)))
    )
    assert hazard_ratio(medians=records).chosen.variance == pytest.approx(v)


def test_a_median_not_reached_has_its_reason():
    found = hazard_ratio(medians=("NR", "10"), n_events=(3, 40), groups=("drug", "placebo"))
    assert {each.name: each.reason for each in found.missed}["medians"] == (
        "the median of drug is not reached: it bounds the ratio on one side only"
    )


# --- what holds whatever is printed


@settings(max_examples=60)
@given(
    st.integers(10, 200),
    st.integers(10, 200),
    st.floats(0.0005, 0.5).map(lambda p: f"{p:.4f}"),
    st.sampled_from(["worse", "better"]),
)
def test_groups_the_other_way_round_change_the_sign(one, other, p, direction):
    swapped = {"worse": "better", "better": "worse"}[direction]
    there = hazard_ratio(pvalue=p, n_events=(one, other), direction=direction, medians=("7", "9"))
    back = hazard_ratio(pvalue=p, n_events=(other, one), direction=swapped, medians=("9", "7"))
    for a, b in zip(there.routes, back.routes, strict=True):
        assert a.name == b.name
        assert a.log_hr == pytest.approx(-b.log_hr)
        assert a.se == pytest.approx(b.se)
        assert a.log_hr_interval == pytest.approx([-end for end in b.log_hr_interval[::-1]])


@settings(max_examples=60)
@given(st.floats(-1.5, 1.5), st.floats(0.08, 0.5), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_a_printed_interval_gives_back_the_error_it_was_made_from(log_hr, se, level):
    """And the truth lies in what rounding of the print allows."""
    half = Z(0.5 + level / 2) * se
    text = [f"{math.exp(log_hr + side * half):.3f}" for side in (0, -1, 1)]
    found = hazard_ratio(hazard_ratio=text[0], ci=text[1:], level=level).chosen
    assert found.name == "confidence interval"
    assert found.log_hr_interval.lower - 1e-9 <= log_hr <= found.log_hr_interval.upper + 1e-9
    assert found.variance_interval.lower - 1e-9 <= se**2 <= found.variance_interval.upper + 1e-9


@settings(max_examples=40)
@given(st.integers(20, 400), st.sampled_from(["0.3", "0.07", "0.04", "0.003"]), st.floats(-0.5, 0.5))
def test_a_pvalue_before_rounding_lies_in_the_interval_after(n_events, p, share):
    exact = float(p) + share * 10.0 ** -(len(p) - 2)
    found = hazard_ratio(pvalue=p, n_events=n_events, direction="worse").chosen
    low, high = found.log_hr_interval
    assert low - 1e-9 <= Z(1 - exact / 2) / math.sqrt(n_events / 4) <= high + 1e-9


# --- what the result shows


def test_every_way_has_a_family_and_is_found_or_missed(trial):
    assert set(ROUTES) == set(get_args(RouteName))
    assert [*ROUTES] == sorted(
        [*(r.name for r in trial.routes), *(m.name for m in trial.missed)], key=list(ROUTES).index
    )
    assert all(each.reason for each in trial.missed)


def test_frames(trial):
    summary = trial.summary_frame()
    assert summary.loc["", "route"] == "confidence interval"
    parts = summary[["variance", "rounding_variance", "method_variance"]].to_numpy().sum()
    assert summary.loc["", "se"] == pytest.approx(math.sqrt(parts))
    ways = trial.routes_frame()
    assert len(ways) == len(ROUTES)
    assert ways.index[0] == "confidence interval"
    assert list(ways.index[ways.chosen]) == ["confidence interval"]
    assert (ways.loc[~ways.feasible, "reason"] != "").all()
    steps = trial.steps_frame()
    assert steps.loc[("observed minus expected", 1), "value"] == pytest.approx(9 - 19.2505)
    assert steps.loc[("observed minus expected", 1), "words"] == "O - E of 6-MP"
    assert "<table>" in trial._repr_html_()


def test_nothing_has_frames_too():
    found = hazard_ratio(ReportedFactor("Mayo", "grade", OS, "poor", "well"))
    assert math.isnan(found.summary_frame().loc["Mayo, grade, OS", "estimate"])
    assert len(found.routes_frame()) == len(ROUTES)
    assert found.steps_frame().empty
    assert np.isnan(found.natural_interval()).all()


def test_it_says_where_a_number_came_from():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = hazard_ratio(hazard_ratio="3.9 (1.4-10.5)", label="Mayo", groups=("poor", "well"))
    assert str(found) == (
        "Mayo: hazard ratio of poor against well 3.90 (95% CI 1.42–10.68), adjusted: none\n"
        "  from HR 3.9 (95% CI 1.4–10.5), by confidence interval\n"
        '    as given: hazard_ratio "3.9 (1.4-10.5)"\n'
        "    width of the interval of the logarithm: 2.015\n"
        "    log hazard ratio: 1.361\n"
        "    its variance of sampling: 0.2642\n"
        "  standard error 0.514: sampling 0.514, rounding 0.007, method 0.000"
    )


# --- intervals as authors print them


@pytest.mark.parametrize(
    "text",
    [
        "1.20-2.85",
        "1.20 to 2.85",
        "(1.20, 2.85)",
        "95% CI 1.20-2.85",
        "1,20-2,85",
        "(1,20; 2,85)",
        "[1·20–2·85]",
    ],
)
def test_the_text_of_an_interval_is_the_interval(text):
    found, pair = (
        hazard_ratio(hazard_ratio="1.85", ci=text),
        hazard_ratio(hazard_ratio="1.85", ci=("1.20", "2.85")),
    )
    # log(2.85 / 1.20) / (2 * 1.959964) = 0.865 / 3.919928
    assert found.chosen.variance**0.5 == pytest.approx(math.log(2.85 / 1.20) / (2 * Z(0.975)))
    assert found.chosen.name == "confidence interval"
    assert found.chosen.printed == "HR 1.85 (95% CI 1.20–2.85)"
    # what rounding leaves open: limits to two decimals, and not the two numbers as they stand
    assert found.chosen.variance_interval == pair.chosen.variance_interval
    low, high = (math.log(top / bottom) / (2 * Z(0.975)) for top, bottom in ((2.845, 1.205), (2.855, 1.195)))
    assert found.chosen.variance_interval == pytest.approx((low**2, high**2))


def test_the_printed_digits_of_an_interval_count():
    coarse = hazard_ratio(hazard_ratio="1.85", ci="1.2-2.9").chosen.variance_interval
    fine = hazard_ratio(hazard_ratio="1.85", ci="1.20-2.90").chosen.variance_interval
    assert coarse.lower < fine.lower < fine.upper < coarse.upper


def test_the_level_in_the_text():
    found = hazard_ratio(hazard_ratio="1.85", ci="90% CI 1.20-2.85")
    assert found.chosen.variance**0.5 == pytest.approx(math.log(2.85 / 1.20) / (2 * Z(0.95)))
    assert found.chosen.printed == "HR 1.85 (90% CI 1.20–2.85)"
    assert hazard_ratio(hazard_ratio="1.85", ci="90% CI 1.20-2.85", level=0.9).estimate == found.estimate
    assert hazard_ratio(hazard_ratio="1.85", ci="1.20-2.85", level=0.9).se == found.se


def test_an_open_end_in_the_text():
    found = hazard_ratio(hazard_ratio="1.85", ci="1.20-NR").chosen
    assert (found.name, found.printed) == ("lower limit", "HR 1.85 (95% CI 1.20–NR)")
    assert found.variance**0.5 == pytest.approx(math.log(1.85 / 1.20) / Z(0.975))


def test_decimal_commas_are_read_where_nothing_else_fits():
    found = hazard_ratio(hazard_ratio="1,85 (95% CI 1,20-2,85)")
    assert found.chosen.printed == "HR 1.85 (95% CI 1.20–2.85)"
    assert hazard_ratio(hazard_ratio="1,85", ci=("1,20", "2,85")).se == found.se
    assert hazard_ratio(medians=("20,5", "10"), n_events=(30, 40)).estimate == pytest.approx(-math.log(2.05))


@pytest.mark.parametrize("text", ["1,200-2,850", "(1,200; 2,850)"])
def test_a_comma_that_may_be_either_is_refused(text):
    with pytest.raises(InvalidInputError, match="may have decimal commas or commas that group thousands"):
        hazard_ratio(hazard_ratio="1.85", ci=text)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ci": "95% CI 1.20-2.85", "level": 0.9}, "the interval is printed with level 0.95; got 0.9"),
        ({"ci": "1.20-1.50"}, "the confidence interval 1.20–1.50 does not contain the hazard ratio 1.85"),
        ({"ci": "1.20"}, "expected the upper limit"),
        ({"ci": "1,20-2.85"}, "groups no thousands here"),
        ({"ci": "range 1.20-2.85"}, "expected the lower limit; found 'range'"),
        ({"ci": "1.20-2.85 months"}, "the unit here is month, but ratio was declared"),
        ({"ci": "-0.2-2.85"}, "-0.2 is no ratio"),
        (
            {"ci": 1.2},
            r"^hazard_ratio: ci: it must be an interval as printed, such as '1.20-2.85', or its two limits; got 1.2",
        ),
        ({"ci": (1.2,)}, r"or its two limits; got \(1.2,\)"),
    ],
)
def test_intervals_that_cannot_be(given, message):
    with pytest.raises(InvalidInputError, match=message):
        hazard_ratio(hazard_ratio="1.85", **given)


def test_texts_of_the_intervals_of_medians():
    found = hazard_ratio(medians=("20", "10"), median_cis=("15-30", "95% CI 8 to NR"))
    pairs = hazard_ratio(medians=("20", "10"), median_cis=(("15", "30"), ("8", None)))
    assert found.chosen.variance == pairs.chosen.variance
    assert found.chosen.printed == "medians 20 and 10, 95% CI 15–30, 95% CI 8–NR"
    narrow = hazard_ratio(medians=("20", "10"), median_cis=("90% CI 15-30", "90% CI 8-12.5"))
    v = (math.log(2) / 2 / Z(0.95)) ** 2 + (math.log(12.5 / 8) / 2 / Z(0.95)) ** 2
    assert narrow.chosen.variance == pytest.approx(v)
    months = hazard_ratio(medians=("20 months", "10 months"), median_cis=("15-30", "(8, 12.5) months"))
    assert months.chosen.printed == "medians 20 and 10, 95% CI 15–30 months, 95% CI 8–12.5 months"


@pytest.mark.parametrize(
    ("cis", "message"),
    [
        (("15-30 months", None), "is in 'month' and its median 20 in 'no unit'; give both in one"),
        (("21-30", None), "the interval 21–30 does not contain the median 20"),
        (("30-15", None), "The lower limit 30 exceeds the upper limit 15"),
        ((15, None), "^hazard_ratio: median_cis: it must be an interval as printed"),
        ("15-30", "median_cis must be a pair"),
    ],
)
def test_intervals_of_medians_that_cannot_be(cis, message):
    with pytest.raises(InvalidInputError, match=message):
        hazard_ratio(medians=("20", "10"), median_cis=cis)
