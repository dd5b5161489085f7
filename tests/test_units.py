import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth import units
from netsynth.errors import InvalidInputError


@pytest.mark.parametrize(
    ("word", "unit"),
    [
        ("months", "month"),
        ("mo", "month"),
        (" Years ", "year"),
        ("yr", "year"),
        ("WEEK", "week"),
        ("d", "day"),
    ],
)
def test_time_unit(word, unit):
    assert units.time_unit(word) == unit
    assert units.canonical(word) == unit


@pytest.mark.parametrize(
    ("word", "unit"),
    [("%", "percent"), ("per cent", "percent"), ("Fraction", "probability"), ("pct", "percent")],
)
def test_share_unit(word, unit):
    assert units.share_unit(word) == unit
    assert units.canonical(word) == unit


@pytest.mark.parametrize("unit", ["kg/m2", "", "ratio", "Gy"])
def test_other_units_stay_as_they_are(unit):
    assert units.canonical(unit) == unit


def test_a_year_is_12_months_and_a_month_a_twelfth_of_365_25_days():
    assert units.months(5, "years") == 60
    assert units.months(1461, "days") == pytest.approx(48)
    assert units.months(52.17857142857143, "weeks") == pytest.approx(12)


@given(st.floats(0, 1e4), st.sampled_from(sorted(units.MONTHS_PER)))
def test_months_are_proportional_to_the_value(value, unit):
    assert units.months(value, unit) == pytest.approx(value * units.months(1, unit))


def test_probability_is_not_clipped():
    assert units.probability(70.5, "%") == 0.705
    assert units.probability(0.705, "probability") == 0.705
    assert units.probability(120, "percent") == 1.2


REFUSED = [
    (lambda: units.time_unit("%"), "unit: '%' is not a unit of time; say month, year, week or day."),
    (
        lambda: units.time_unit("m", where="row 5"),
        "row 5: 'm' is not a unit of time; say month, year, week or day.",
    ),
    (lambda: units.share_unit("year"), "unit: 'year' is not a unit of a share; say percent or probability."),
    (
        lambda: units.share_unit("", where="row 5"),
        "row 5: '' is not a unit of a share; say percent or probability.",
    ),
    (lambda: units.months(1, ""), "unit: '' is not a unit of time; say month, year, week or day."),
    (lambda: units.probability(1, ""), "unit: '' is not a unit of a share; say percent or probability."),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refused(call, message):
    with pytest.raises(InvalidInputError) as error:
        call()
    assert str(error.value) == message
