import pytest
import strategies as records
from hypothesis import given

from netsynth.data.characteristic import ReportedCharacteristic
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.study import Group
from netsynth.errors import InvalidInputError


def number(text, unit="year"):
    return ReportedNumber(text, unit)


def age(**given):
    return ReportedCharacteristic("Hibi", "age", **given)


SPREAD = ReportedInterval.of(31, 79, "year")


def test_shown():
    found = age(
        median=number("55"),
        mean=number("56.2"),
        sd=number("11"),
        range=SPREAD,
        iqr=ReportedInterval.of(48, 61, "year"),
    )
    assert str(found) == (
        "Hibi, age, overall: median 55 years; mean 56.2 years; SD 11 years; range, 31–79 years; IQR, 48–61 years"
    )
    assert str(age(range=SPREAD, group=Group("resected", n_total=19))) == (
        "Hibi, age, resected (n = 19): range, 31–79 years"
    )


@pytest.mark.parametrize(
    "given",
    [
        {"median": number("55", "cm")},
        {"sd": number("5", "cm")},
        {"range": ReportedInterval.of(None, 5, "cm")},
        {"iqr": ReportedInterval.of(4, None, "cm")},
    ],
)
def test_unit(given):
    assert age(**given).unit == "cm"


@given(records.characteristics())
def test_all_numbers_have_the_unit(record):
    ends = [end for pair in (record.range, record.iqr) if pair for end in (pair.lower, pair.upper)]
    numbers = [n for n in (record.median, record.mean, record.sd, *ends) if n is not None]
    assert {n.unit for n in numbers} == {record.unit}


REFUSED = [
    (lambda: ReportedCharacteristic("", "age", number("5")), "study must be a non-empty text; got ''."),
    (
        lambda: ReportedCharacteristic("Hibi", "", number("5")),
        "characteristic must be a non-empty text; got ''.",
    ),
    (lambda: age(), "Hibi, age: give at least one number."),
    (
        lambda: age(median=number("55"), range=ReportedInterval.of(300, 900, "month")),
        "Hibi, age: numbers need one unit; got month, year.",
    ),
    (
        lambda: age(mean=number("5", "kg"), sd=number("-1", "kg")),
        "Hibi, age: a standard deviation cannot be negative; got -1 kg.",
    ),
    (
        lambda: age(median=number("80"), range=SPREAD),
        "Hibi, age: the median 80 years lies outside the range 31–79 years.",
    ),
    (
        lambda: age(mean=number("30"), range=SPREAD),
        "Hibi, age: the mean 30 years lies outside the range 31–79 years.",
    ),
    (
        lambda: age(median=number("55"), iqr=ReportedInterval.of(57, 60, "year")),
        "Hibi, age: the median 55 years lies outside the IQR 57–60 years.",
    ),
    (
        lambda: age(range=SPREAD, iqr=ReportedInterval.of(20, 60, "year")),
        "Hibi, age: the quartile 20 years lies outside the range 31–79 years.",
    ),
    (
        lambda: age(range=SPREAD, iqr=ReportedInterval.of(None, 82, "year")),
        "Hibi, age: the quartile 82 years lies outside the range 31–79 years.",
    ),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refused(call, message):
    with pytest.raises(InvalidInputError) as error:
        call()
    assert str(error.value) == message
