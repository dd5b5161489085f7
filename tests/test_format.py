import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth import _format

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("value", "decimals", "shown"),
    [
        (70.46, 1, "70.5"), (83, 1, "83.0"), (-0.04, 1, "0.0"), (-0.06, 1, "-0.1"), (0, 0, "0"),
        (NAN, 2, "NA"), (INF, 2, "∞"), (-INF, 2, "-∞"), (1e6, 0, "1000000"),
    ],
)  # fmt: skip
def test_number(value, decimals, shown):
    assert _format.number(value, decimals) == shown


@pytest.mark.parametrize(
    ("value", "decimals", "shown"),
    [(70.5, 2, "70.5"), (83.0, 2, "83"), (100, 0, "100"), (-0.001, 2, "0"), (NAN, 1, "NA"), (INF, 1, "∞")],
)
def test_shortest(value, decimals, shown):
    assert _format.shortest(value, decimals) == shown


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (0.02015, 3, "0.0202"), (12.3456, 3, "12.3"), (123456, 3, "123456"), (9.999, 3, "10.0"), (99.96, 3, "100"),
        (0.09999, 3, "0.100"), (-0.5, 2, "-0.50"), (0, 3, "0"), (1.5e-9, 2, "1.5e-09"),
        (999999999, 3, "1.00e+09"), (123456789, 3, "123456789"), (-1.8e55, 3, "-1.80e+55"),
        (NAN, 3, "NA"), (INF, 3, "∞"),
    ],
)  # fmt: skip
def test_significant(value, digits, shown):
    assert _format.significant(value, digits) == shown


@given(st.floats(1e-6, 1e6), st.integers(1, 5))
def test_significant_digits_are_as_many_as_asked_for(value, digits):
    shown = _format.significant(value, digits)
    assert float(shown) == pytest.approx(value, rel=0.5001 * 10.0 ** (1 - digits))
    mantissa = shown.split("e")[0]
    if "." in mantissa:
        assert len(mantissa.replace(".", "").lstrip("0")) == digits


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1.849, "1.85"), (0.0456, "0.046"), (0.09951, "0.10"), (0.0994, "0.099"), (15.6, "15.60"), (120, "120.0"),
        (1, "1.00"), (1000, "1000.0"), (1000.1, ">1000"), (4.85e41, ">1000"), (0.0051, "0.005"), (0.00051, "0.001"),
        (0.0005, "0.001"), (0.00049, "<0.001"), (1e-300, "<0.001"), (0, "0.000"), (NAN, "NA"), (INF, "∞"),
    ],
)  # fmt: skip
def test_ratio(value, shown):
    assert _format.ratio(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (31.12, "31.1"), (9.999, "10.0"), (125.4, "125"), (0.5, "0.500"), (0.1, "0.100"), (0.0996, "0.0996"),
        (0.0994, "0.10"), (0.0828, "0.08"), (0.0051, "0.01"), (0.0049, "<0.01"), (0.0000544, "<0.01"), (999.6, "1000"),
        (1000, "1000"), (1000.4, ">1000"), (17772693, ">1000"), (0, "0"), (-3.2, "-3.20"), (NAN, "NA"), (INF, "∞"),
    ],
)  # fmt: skip
def test_months(value, shown):
    assert _format.months(value) == shown


@given(st.floats(0, 1e300), st.integers(0, 5))
def test_what_is_past_sight_is_a_bound_that_holds(value, decimals):
    shown = _format.past(value, decimals)
    rounded = float(_format.number(value, decimals))
    assert bool(shown) == (rounded == 0 or value > 1000)
    if shown:
        assert value < float(shown[1:]) if shown[0] == "<" else value > float(shown[1:])


@given(st.floats(0.0996, 1000))
def test_ordinary_numbers_of_months_have_three_digits(value):
    assert _format.months(value) == _format.significant(value)


def test_bounds_are_aligned_like_numbers():
    lines = _format.text_table(
        ("upper", "x"), [("<0.01", "a"), ("942.1", "b"), (">1000", "c"), ("3.19", "d")]
    )
    assert lines.splitlines()[1:] == ["<0.01  a", "942.1  b", ">1000  c", " 3.19  d"]


@pytest.mark.parametrize(
    ("lower", "upper", "unit", "shown"),
    [
        ("31", "100", "%", "31–100%"), ("-0.2", "1.1", "", "-0.2 to 1.1"), ("-5", "-2", "%", "-5 to -2%"),
        (">-1", "4", "", ">-1 to 4"), ("<0.01", ">1000", "", "<0.01–>1000"),
        ("13", "46", " months", "13–46 months"),
    ],
)  # fmt: skip
def test_span(lower, upper, unit, shown):
    assert _format.span(lower, upper, unit) == shown


@pytest.mark.parametrize(
    ("p", "shown"),
    [
        (0.0416, "p = 0.042"), (0.0042, "p = 0.004"), (0.001, "p = 0.001"), (0.00099, "p < 0.001"), (0, "p < 0.001"),
        (1e-300, "p < 0.001"), (0.0994, "p = 0.099"), (0.0996, "p = 0.10"), (0.132, "p = 0.13"), (0.99, "p = 0.99"),
        (0.9951, "p > 0.99"), (1, "p > 0.99"), (NAN, "p = NA"),
    ],
)  # fmt: skip
def test_pvalue(p, shown):
    assert _format.pvalue(p) == shown
    assert _format.pvalue(p, symbol="P") == shown.replace("p", "P")


@given(st.floats(0, 1))
def test_a_pvalue_is_never_printed_as_zero_or_one(p):
    sign, digits = _format.pvalue(p).split()[1:]
    assert 0 < float(digits) < 1
    assert {"<": p < float(digits), ">": p > float(digits), "=": abs(p - float(digits)) <= 0.00501}[sign]


def test_words():
    assert _format.plural(1, "study", "studies") == "1 study"
    assert _format.plural(0, "study", "studies") == "0 studies"
    assert _format.plural(2, "patient") == "2 patients"
    assert _format.listing([]) == ""
    assert _format.listing(["a"]) == "a"
    assert _format.listing(iter(["a", "b", "c"])) == "a, b and c"


@pytest.mark.parametrize(
    ("unit", "amount", "suffix"),
    [
        ("percent", "1", "%"), ("month", "21", " months"), ("month", "1", " month"), ("year", "", " years"),
        ("ratio", "2", ""), ("count", "2", ""), ("pvalue", "0.1", ""), ("probability", "0.1", ""), ("", "3", ""),
        ("cm", "3", " cm"),
    ],
)  # fmt: skip
def test_unit_suffix(unit, amount, suffix):
    assert _format.unit_suffix(unit, amount) == suffix


def test_html_table_is_escaped():
    shown = _format.html_table(("a<b", "c"), [("<script>", "1 & 2")], caption="<i>")
    assert shown == (
        "<table><caption>&lt;i&gt;</caption><thead><tr><th>a&lt;b</th><th>c</th></tr></thead>"
        "<tbody><tr><td>&lt;script&gt;</td><td>1 &amp; 2</td></tr></tbody></table>"
    )
    assert (
        _format.html_table(("a",), []) == "<table><thead><tr><th>a</th></tr></thead><tbody></tbody></table>"
    )


def test_text_table():
    shown = _format.text_table(
        ("factor", "k", "note", "p"), [("grade", "12", "", ""), ("age", "3", "", "0.5")]
    )
    assert shown == "factor   k    p\ngrade   12\nage      3  0.5"
    assert _format.text_table(("factor", "k"), []) == "factor  k"
