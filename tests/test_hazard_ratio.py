import json
import math
from pathlib import Path
from statistics import NormalDist

import pytest

from netsynth.data.endpoint import find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.hazard_ratio import log_hazard_ratio

REFERENCE = json.loads((Path(__file__).parent / "references" / "log_hazard_ratio.json").read_text())
OS = find_endpoint("OS")


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
    found = log_hazard_ratio(reported)
    printed = reported.hazard_ratio.value
    assert found.estimate == pytest.approx(math.log(printed), rel=1e-12)
    assert found.se == pytest.approx(with_rounding(se, printed, 0.1), rel=1e-9)
    assert (found.route, found.problem, found.is_lopsided) == (route, "", False)


def test_a_ratio_of_the_better_level_is_turned_round():
    """xiang_2020: 0.3 for major resection, p = 0.001; the adverse level is parenchymal-sparing."""
    found = log_hazard_ratio(result("0.3", p="0.001", hazard_ratio_for="well"))
    assert found.estimate == pytest.approx(-math.log(0.3))
    assert found.se == pytest.approx(with_rounding(-math.log(0.3) / Z(0.9995), 0.3, 0.1), rel=1e-9)


@pytest.mark.parametrize("case", REFERENCE["from_ci"], ids=lambda c: f"HR {c['hr']}")
def test_reference_intervals(case):
    texts = [str(case[name]) for name in ("hr", "lower", "upper")]
    reported = result(*texts, level=case["level"])
    found = log_hazard_ratio(reported)
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
    found = log_hazard_ratio(reported)
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
    found = log_hazard_ratio(reported)
    assert math.isnan(found.se)
    assert (found.route, found.problem) == ("", problem)
    assert problem in str(found)


def test_a_bound_never_makes_a_result_more_precise():
    """Whatever p < 0.05 was, its own standard error would have been smaller."""
    bound = log_hazard_ratio(result(p="0.05", sign="<")).se
    assert all(log_hazard_ratio(result(p=p)).se < bound for p in ("0.049", "0.01", "0.0001"))


def test_no_ratio_at_all():
    found = log_hazard_ratio(ReportedFactor("Mayo", "grade", OS, "poor", "well"))
    assert math.isnan(found.estimate)
    assert math.isnan(found.se)
    assert str(found) == "no log hazard ratio: none is printed"


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
    assert log_hazard_ratio(result(*numbers)).is_lopsided is lopsided


def test_it_prints_in_words():
    assert str(log_hazard_ratio(result("3.9", "1.4", "10.5"))) == (
        "log hazard ratio 1.361, standard error 0.514 from the confidence interval"
    )
