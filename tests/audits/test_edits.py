import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.audits.edits import MOST_KEPT, Printed, count, edits, smallest_corrections
from netsynth.data.number import ReportedNumber
from netsynth.errors import InvalidInputError


def percent(text):
    return ReportedNumber(text, "percent")


def test_every_slip_of_a_number():
    digits = {"02", "12", "22", "32", "42", "52", "62", "72", "82", "92"} - {"02", "12"}
    assert set(edits("12")) == digits | {f"1{d}" for d in "013456789"} | {"21", "1.2"}
    assert {"65", "5.6", "6.0", "0.5"} <= set(edits("6.5"))
    assert "3" not in set(edits("13"))  # a digit lost is no such slip
    assert set(edits("7")) == set("012345689")


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,3})?", fullmatch=True))
def test_slips_are_numbers_and_go_both_ways(text):
    made = list(edits(text))
    assert text not in made
    assert len(set(made)) == len(made)
    for new in made:
        ReportedNumber(new)
        assert text in set(edits(new)) or len(new) != len(text)  # a mark lost may leave a leading zero behind


def test_the_closest_change_comes_first():
    found = smallest_corrections([Printed("n", percent("38"))], lambda numbers: numbers[0].value > 80)
    assert found.shown == ("n 83% instead of 38%", "n 88% instead of 38%", "n 98% instead of 38%")
    assert found.n == 3


def test_one_change_goes_before_two():
    pair = [Printed("a", percent("11")), Printed("b", percent("22"))]
    one = smallest_corrections(pair, lambda numbers: numbers[0].value > 90)
    assert one.shown == ("a 91% instead of 11%",)
    two = smallest_corrections(pair, lambda numbers: numbers[0].value == 91 and numbers[1].value == 28)
    assert two.shown == ("a 91% instead of 11% and b 28% instead of 22%",)
    assert smallest_corrections(pair, lambda _: False) == ((), 0)


def test_only_a_few_are_kept_and_all_are_counted():
    found = smallest_corrections([Printed("a", percent("50"))], lambda _: True)
    assert len(found.shown) == MOST_KEPT
    assert found.n == len([text for text in edits("50") if float(text) <= 100])


def test_counts_stay_whole_and_units_have_limits():
    seen = []
    smallest_corrections(
        [count("n", 10), Printed("share", percent("99"))], lambda numbers: seen.append(numbers)
    )
    assert all(numbers[0].decimals == 0 for numbers in seen)
    assert all(0 <= numbers[1].value <= 100 for numbers in seen)


def test_what_a_record_refuses_does_not_hold():
    def holds(numbers):
        if numbers[0].value > 20:
            raise InvalidInputError("no")
        return True

    assert smallest_corrections([count("n", 31)], holds).shown == ("n 13 instead of 31", "n 11 instead of 31")


def test_many_pairs_are_not_tried():
    tried = []
    numbers = [Printed(str(i), percent("11.11")) for i in range(4)]
    smallest_corrections(numbers, lambda changed: tried.append(changed))
    singles = sum(len(list(edits("11.11"))) for _ in numbers)
    assert len(tried) <= singles


def test_what_is_printed():
    assert str(Printed("OS at 5 years", percent("83"))) == "OS at 5 years 83%"
    assert count("n", 13).number == ReportedNumber("13", "count")


@pytest.mark.parametrize("text", ["0", "10", "0.5", "100"])
def test_leading_zeros_are_not_written(text):
    assert not any(len(new) > 1 and new[0] == "0" and new[1] != "." for new in edits(text))
