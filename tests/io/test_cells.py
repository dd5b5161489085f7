"""Cells: numbers with their digits, whole numbers, typed values, and the guard against formulas."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import any_numbers

from netsynth.data.number import ReportedNumber
from netsynth.errors import InvalidInputError
from netsynth.io import cells

#: Beginnings that the OWASP page on CSV injection names, and their full-width forms.
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@given(any_numbers())
def test_a_number_is_read_as_it_was_written(number):
    assert cells.number(cells.printed(number), number.unit, ".") == number


@pytest.mark.parametrize(
    ("text", "unit", "decimal", "expected"),
    [
        ("83.0", "percent", ".", ReportedNumber("83.0", "percent")),
        ("83,0", "percent", ",", ReportedNumber("83.0", "percent")),
        ("1e-5", "pvalue", ".", ReportedNumber("1e-5", "pvalue")),
        ("≥ 90 %", "percent", ".", ReportedNumber("90", "percent", ">=")),
        ("70·5", "percent", ".", ReportedNumber("70.5", "percent")),
        ("NR", "month", ".", ReportedNumber("", "month", "not reached")),
        ("12 months", "", ".", ReportedNumber("12", "month")),
        ("1.234,5", "", ",", ReportedNumber("1234.5")),
        ("-0.5", "log", ".", ReportedNumber("-0.5", "log")),
    ],
)
def test_what_a_number_may_look_like(text, unit, decimal, expected):
    assert cells.number(text, unit, decimal) == expected


@pytest.mark.parametrize(
    "text", ["=1+1", "=5", "@SUM(A1)", "+cmd", "-1+1", "+1-1", "=HYPERLINK(1)", "＝1", "-x"]
)
def test_a_formula_is_no_number(text):
    with pytest.raises(InvalidInputError) as error:
        cells.number(text, "", ".")
    assert str(error.value) == "a number; formulas are never evaluated"


@pytest.mark.parametrize(
    ("text", "unit", "reason"),
    [
        ("abc", "", "a number"),
        ("NA", "", "a number; 'NA' cannot be read: it is a missing value; leave it out (at position 0)"),
        ("5 years", "month", "the unit here is year, but month was declared; nothing is converted"),
        ("120", "percent", "must lie in [0, 100]"),
        ("1.2.3", "", "a second decimal mark in one number"),
    ],
)
def test_what_is_no_number_says_why(text, unit, reason):
    with pytest.raises(InvalidInputError) as error:
        cells.number(text, unit, ".")
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("74", 74),
        ("74.0", 74),
        ("007", 7),
        ("74.5", None),
        ("-1", None),
        ("9" * 16, None),
        ("٣", None),
        ("", None),
    ],
)
def test_whole_numbers(text, value):
    assert cells.whole(text) == value


@given(
    st.text()
    | st.tuples(st.sampled_from(["", "'", "''"]), st.sampled_from(DANGEROUS), st.text()).map("".join)
)
def test_the_guard_comes_off_and_leaves_nothing_dangerous_in_front(text):
    guarded = cells.guard(text)
    assert cells.unguard(guarded) == text
    assert not guarded.startswith(DANGEROUS)


@pytest.mark.parametrize("text", ["'all patients'", "it's", "plain", ""])
def test_harmless_text_gets_no_guard(text):
    assert cells.guard(text) == text == cells.unguard(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (float("nan"), ""),
        (pd.NA, ""),
        (pd.NaT, ""),
        (np.float32(0.1), "0.1"),
        (np.float64(1e-7), "0.0000001"),
        (37.0, "37"),
        (np.int64(5), "5"),
        (True, "yes"),
        (np.bool_(False), "no"),
        (Decimal("83.0"), "83.0"),
        (Decimal("nan"), ""),
        (datetime.date(2020, 5, 1), "2020-05-01"),
        (float("inf"), "inf"),
        ("83.0", "83.0"),
    ],
)
def test_typed_values(value, text):
    assert cells.typed_text(value) == text
