import math
from decimal import Decimal

import numpy as np
import pytest
import strategies as records
from hypothesis import given
from hypothesis import strategies as st

from netsynth._typing import Interval
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.errors import InvalidInputError

# (text, unit, qualifier) -> what the print may stand for; worked out by hand from the digits
INTERVALS = [
    ("83", "percent", "=", (82.5, 83.5)),
    ("83.0", "percent", "=", (82.95, 83.05)),
    ("70.5", "percent", "=", (70.45, 70.55)),
    ("70.50", "percent", "=", (70.495, 70.505)),
    ("83", "percent", "~", (82.5, 83.5)),
    ("100", "percent", "=", (99.5, 100)),
    ("0", "percent", "=", (0, 0.5)),
    ("0.705", "probability", "=", (0.7045, 0.7055)),
    ("1", "probability", "=", (0.5, 1)),
    ("0.05", "pvalue", "=", (0.045, 0.055)),
    ("0.05", "pvalue", "<", (0, 0.05)),
    ("0.05", "pvalue", ">", (0.05, 1)),
    ("0.000", "pvalue", "=", (0, 0.0005)),
    ("9.6", "year", "=", (9.55, 9.65)),
    ("96", "month", ">", (96, math.inf)),
    ("96", "month", ">=", (96, math.inf)),
    ("96", "month", "<=", (0, 96)),
    ("", "month", "not reached", (0, math.inf)),
    ("1.85", "ratio", "=", (1.845, 1.855)),
    ("0.0", "ratio", "=", (0, 0.05)),
    ("170", "count", "=", (170, 170)),
    ("-1.5", "kg", "=", (-1.55, -1.45)),
    ("-1.5", "kg", "<", (-math.inf, -1.5)),
    ("", "", "not reached", (-math.inf, math.inf)),
    ("1e3", "", "=", (500, 1500)),
    ("1.5e-3", "pvalue", "=", (0.00145, 0.00155)),
]


@pytest.mark.parametrize(("text", "unit", "qualifier", "interval"), INTERVALS)
def test_what_a_print_may_stand_for(text, unit, qualifier, interval):
    assert ReportedNumber(text, unit, qualifier).interval == interval


@given(records.any_numbers())
def test_a_value_lies_within_its_own_interval(number):
    low, high = number.interval
    assert low <= high
    assert not number.text or low <= number.value <= high


@given(st.decimals(0, 100, places=3), st.integers(0, 3))
def test_the_interval_holds_what_rounds_to_the_print(true, places):
    printed = ReportedNumber(
        str(round(true, places)), "percent"
    )  # half to even, as decimal arithmetic has it
    low, high = printed.interval
    assert low <= float(true) <= high


@given(records.numbers("percent", decimals=2))
def test_ends_are_the_decimal_numbers(number):
    half = Decimal(1).scaleb(-number.decimals) / 2
    ends = (max(Decimal(number.text) - half, Decimal(0)), min(Decimal(number.text) + half, Decimal(100)))
    assert number.interval == tuple(map(float, ends))


@pytest.mark.parametrize(
    ("text", "value", "decimals"),
    [
        ("83", 83, 0),
        ("83.0", 83, 1),
        ("-0.50", -0.5, 2),
        ("1e3", 1000, -3),
        ("2.5e-3", 0.0025, 4),
        ("", math.nan, 0),
    ],
)
def test_value_and_decimals(text, value, decimals):
    number = ReportedNumber(text, "", "=" if text else "not reached")
    assert number.value == pytest.approx(value, nan_ok=True)
    assert number.decimals == decimals


def test_trailing_zeros_make_another_number():
    assert ReportedNumber("83", "percent") != ReportedNumber("83.0", "percent")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (70.5, "70.5"),
        (83, "83"),
        (83.0, "83"),
        (0.1 + 0.2, "0.30000000000000004"),
        (np.float64(70.5), "70.5"),
        (np.float32(0.1), "0.1"),
        (np.int64(83), "83"),
        (1e-7, "0.0000001"),
        (1e22, "1" + 22 * "0"),
        ("70.50", "70.50"),
        (" 83 ", "83"),
        (ReportedNumber("5.0", "kg"), "5.0"),
    ],
)
def test_numbers_of_plain_values(given, text):
    assert ReportedNumber.of(given, "kg").text == text


@pytest.mark.parametrize(
    ("written", "unit"), [("%", "percent"), ("months", "month"), ("Yrs", "year"), ("fraction", "probability")]
)
def test_spellings_of_a_unit_become_one(written, unit):
    assert ReportedNumber("1", written) == ReportedNumber("1", unit)


def test_conversion():
    assert ReportedNumber("9.6", "year").months == pytest.approx(115.2)
    assert ReportedNumber("9.6", "year").months_interval == pytest.approx((114.6, 115.8))
    assert ReportedNumber("96", "month", ">").months_interval == Interval(96, math.inf)
    assert math.isnan(ReportedNumber("", "year", "not reached").months)
    assert ReportedNumber("70.5", "percent").probability == 0.705
    assert ReportedNumber("83", "percent").probability_interval == (0.825, 0.835)
    assert ReportedNumber("0.83", "probability").probability_interval == (0.825, 0.835)


@pytest.mark.parametrize("qualifier", ["=", "<", "<=", ">", ">=", "~"])
def test_exact_is_a_value_and_not_an_end(qualifier):
    assert ReportedNumber("5", "year", qualifier).is_exact == (qualifier in "=~")


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (ReportedNumber("83.0", "percent"), "83.0%"),
        (ReportedNumber("0.83", "probability"), "0.83"),
        (ReportedNumber("1", "year"), "1 year"),
        (ReportedNumber("5", "year"), "5 years"),
        (ReportedNumber("96", "month", ">"), ">96 months"),
        (ReportedNumber("96", "month", ">="), "≥96 months"),
        (ReportedNumber("96", "month", "<="), "≤96 months"),
        (ReportedNumber("10", "week", "~"), "~10 weeks"),
        (ReportedNumber("", "month", "not reached"), "not reached"),
        (ReportedNumber("1.85", "ratio"), "1.85"),
        (ReportedNumber("12", "count"), "12"),
        (ReportedNumber("3", "cm"), "3 cm"),
        (ReportedNumber("3"), "3"),
    ],
)
def test_shown(number, shown):
    assert str(number) == shown


REFUSED = [
    (
        lambda: ReportedNumber("83", "percent", "≈"),
        "number '83': qualifier must be one of =, <, <=, >, >=, ~, not reached; got '≈'.",
    ),
    (lambda: ReportedNumber("83", 5), "number '83': unit must be a text; got 5."),
    (
        lambda: ReportedNumber("5", "month", "not reached"),
        "A value that was not reached has no digits; got '5'.",
    ),
    (lambda: ReportedNumber("", "month"), "A number is written as digits such as '70.5'; got ''."),
    (lambda: ReportedNumber("70,5"), "A number is written as digits such as '70.5'; got '70,5'."),
    (lambda: ReportedNumber("83%"), "A number is written as digits such as '70.5'; got '83%'."),
    (lambda: ReportedNumber("٨٣"), "A number is written as digits such as '70.5'; got '٨٣'."),
    (lambda: ReportedNumber(83), "A number is written as digits such as '70.5'; got 83."),
    (
        lambda: ReportedNumber("9" * 400),
        f"A number is written as digits such as '70.5'; got '{'9' * 59}.",
    ),
    (
        lambda: ReportedNumber("101", "percent"),
        "101 is no percent: it must lie in [0, 100]. Check the number and its unit.",
    ),
    (
        lambda: ReportedNumber("-1", "percent"),
        "-1 is no percent: it must lie in [0, 100]. Check the number and its unit.",
    ),
    (
        lambda: ReportedNumber("83", "probability"),
        "83 is no probability: it must lie in [0, 1]. Check the number and its unit.",
    ),
    (
        lambda: ReportedNumber("-0.5", "ratio"),
        "-0.5 is no ratio: it must lie in [0, inf]. Check the number and its unit.",
    ),
    (
        lambda: ReportedNumber("-3", "months"),
        "-3 is no month: it must lie in [0, inf]. Check the number and its unit.",
    ),
    (lambda: ReportedNumber.of(True), "A number must be given as text or number; got True."),
    (lambda: ReportedNumber.of([1]), "A number must be given as text or number; got [1]."),
    (
        lambda: ReportedNumber.of(math.nan),
        "A reported number must be finite; got nan. Leave a missing one out.",
    ),
    (lambda: ReportedNumber("5").months, "5 has no unit in the paper, so it cannot be converted."),
    (
        lambda: ReportedNumber("5").probability,
        "5 has no unit in the paper, so it cannot be converted.",
    ),
    (
        lambda: ReportedNumber("5", "percent").months,
        "unit: 'percent' is not a unit of time; say month, year, week or day.",
    ),
    (
        lambda: ReportedNumber("5", "year").probability,
        "unit: 'year' is not a unit of a share; say percent or probability.",
    ),
    (lambda: ReportedInterval(None, None), "An interval needs at least one printed limit."),
    (
        lambda: ReportedInterval(ReportedNumber("1", "month"), ReportedNumber("2", "year")),
        "Both limits of an interval need one unit; got 'month', 'year'.",
    ),
    (
        lambda: ReportedInterval.of(46, 13, "month"),
        "The lower limit 46 months exceeds the upper limit 13 months. Swapped?",
    ),
    (
        lambda: ReportedInterval.of(1, 2, level=95),
        "level must be a fraction between 0 and 1, such as 0.95; got 95.",
    ),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refused(call, message):
    with pytest.raises(InvalidInputError) as error:
        call()
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("interval", "shown"),
    [
        (ReportedInterval.of("13", "46", "month"), "13–46 months"),
        (ReportedInterval.of("24.9", "59.0", "percent", 0.95), "24.9–59.0%"),
        (ReportedInterval.of("-0.2", "1.1"), "-0.2 to 1.1"),
        (ReportedInterval.of(None, 22, "year"), "?–22 years"),
        (ReportedInterval.of(13, None, "month"), "13–? months"),
        (
            ReportedInterval(ReportedNumber("8.9", "month"), ReportedNumber("", "month", "not reached")),
            "8.9–NR months",
        ),
        (ReportedInterval(ReportedNumber("0", "year", ">"), ReportedNumber("1", "year", "<")), ">0–<1 year"),
        (ReportedInterval(*2 * [ReportedNumber("", "month", "not reached")]), "NR–NR"),
    ],
)
def test_interval_shown(interval, shown):
    assert str(interval) == shown


def test_no_limit_is_no_interval():
    assert ReportedInterval.maybe(None, None, "month") is None
    assert ReportedInterval.maybe(1, None, "month") == ReportedInterval.of(1, None, "month")


LIMITS = ReportedInterval.of("24.9", "59.0", "percent")


@pytest.mark.parametrize(
    ("text", "inside"),
    [("42.5", True), ("25", True), ("59.1", False), ("59", True), ("24", False), ("60", False)],
)
def test_limits_contain_within_rounding(text, inside):
    """A printed 25 may be 24.95 and so lie in 24.9 to 59.0; 24 is below 24.5, and 59.1 at least 59.05."""
    assert LIMITS.may_contain(ReportedNumber(text, "percent")) is inside


def test_an_open_end_excludes_nothing():
    at_least = ReportedInterval(ReportedNumber("5", "month", "<"), ReportedNumber("9", "month", ">"))
    assert at_least.may_contain(ReportedNumber("1", "month"))
    assert at_least.may_contain(ReportedNumber("99", "month"))
    assert ReportedInterval.of(5, None, "month").may_contain(ReportedNumber("99", "month"))
    assert not ReportedInterval.of(5, None, "month").may_contain(ReportedNumber("4", "month"))
    assert not ReportedInterval.of(None, 5, "month").may_contain(ReportedNumber("96", "month", ">"))


@given(records.numbers("percent"), records.numbers("percent"), records.numbers("percent"))
def test_containing_agrees_with_the_plain_order(one, two, three):
    low, middle, high = sorted((one, two, three), key=lambda number: number.value)
    assert ReportedInterval(low, high).may_contain(middle)
    if middle.value > low.value + 1 and high.value > middle.value + 1:  # further than rounding reaches
        assert not ReportedInterval(middle, high).may_contain(low)
        assert not ReportedInterval(low, middle).may_contain(high)
