import pytest

from netsynth.data.number import ReportedNumber
from netsynth.data.proportion import ReportedProportion
from netsynth.data.study import Group, Study

CHECK = "share of n"


def made(share, n=None, x=None, qualifier="=", unit="percent"):
    return ReportedProportion("A", "relief", x, n, ReportedNumber(share, unit, qualifier))


@pytest.mark.parametrize(
    ("share", "n", "severity"),
    [
        ("70.6", 17, None),  # 12/17
        ("71", 17, None),
        ("92", 13, None),
        ("95", 13, "impossible"),
        ("30", 13, "suspicious"),  # 4/13 is 30.8%
        ("31", 13, None),
        ("12", 8, None),  # 1/8 rounded to even
        ("13", 8, None),
        ("0", 8, None),
        ("100", 8, None),
        ("0.95", 13, "impossible"),
    ],
)
def test_shares_of_whole_numbers(share, n, severity, find):
    unit = "probability" if share == "0.95" else "percent"
    found = find(CHECK, made(share, n, unit=unit))
    assert [one.severity for one in found] == ([severity] if severity else [])


def test_what_is_said(find):
    (one,) = find(CHECK, made("95", 13))
    assert one.message == "relief: 95% of 13 patients, yet 12/13 = 92.3% and 13/13 = 100.0%"
    assert one.corrections[0] == "relief 92% instead of 95%"
    (one,) = find(CHECK, made("30", 13))
    assert one.explanation == "digits were cut off rather than rounded"
    (one,) = find(CHECK, made("83", 31, 26))
    assert one.severity == "suspicious"
    assert one.message == "relief: 83% of 26 of 31, yet 26/31 = 83.9%"
    assert one.corrections[0] == "relief 84% instead of 83%"
    (one,) = find(CHECK, made("84", 125, 104))  # 83.2%
    assert one.severity == "impossible"
    assert one.corrections[:2] == ("n 124 instead of 125", "events 105 instead of 104")


def test_what_is_not_checkable(tally):
    assert tally(CHECK, made("70")) == (0, 0, {"n not printed": 1})
    assert tally(CHECK, made("30", 13, qualifier="~")) == (0, 0, {"printed as about": 1})
    assert tally(CHECK, ReportedProportion("A", "relief", 4, 13)) is None


# -- groups


def test_groups_larger_than_their_study(find, tally, curve):
    big = curve([5], [50], 45)
    (one,) = find("size of group", Study("A", n_patients=42), big)
    assert one.severity == "incoherent"
    assert one.message == "45 patients in a study of 42"
    assert set(one.corrections[:2]) == {
        "n of the study 45 instead of 42",
        "n of the group 42 instead of 45",
    }
    assert find("size of group", Study("A", n_patients=45), big) == ()
    assert tally("size of group", big) == (0, 0, {"n of the study not printed": 1})


def test_a_group_counts_once(tally, curve):
    group = Group(n_total=40)
    records = [curve([5], [50], group=group), curve([5], [30], group=group, endpoint="PFS")]
    assert tally("size of group", Study("A", n_patients=42), *records) == (1, 0, {})
