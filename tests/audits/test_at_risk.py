import pytest

from netsynth.data.number import ReportedNumber
from netsynth.data.proportion import ReportedProportion
from netsynth.data.study import Group

CHECK = "numbers at risk"


def deaths(d, n, outcome="deaths", definition="", group=None):
    return ReportedProportion("A", outcome, d, n, None, group or Group(n_total=n), definition)


def test_a_hundred_patients_that_add_up(find, tally, curve):
    printed = curve([3, 5, 10], [83, 71, 42], 100, n_at_risk=[75, 52, 18])
    assert find(CHECK, printed) == ()
    assert tally(CHECK, printed) == (3, 0, {})


def test_more_at_risk_than_live(find, curve):
    (one,) = find(CHECK, curve([5], [50], 100, n_at_risk=[80]))
    assert one.severity == "incoherent"
    assert one.message == "80 at risk at 5 years of 100 at first, yet survival of 50% leaves fewer"
    # at most 50.5 of a hundred are left, and all 80 were there just before
    assert one.explanation == "at least 30 of the 80 at risk had the event at exactly 5 years"
    assert "at risk at 5 years 50 instead of 80" in one.corrections
    assert "OS at 5 years 80% instead of 50%" in one.corrections


def test_more_at_risk_than_live_of_those_before(find, curve):
    (one,) = find(CHECK, curve([3, 5], [80, 40], 100, n_at_risk=[40, 30]))
    # half of the survivors of 3 years are alive at 5, of 40 at most 20.4
    assert one.message == "30 at risk at 5 years of 40 at 3 years, yet survival of 40% leaves fewer"
    assert one.explanation == "at least 10 of the 30 at risk had the event at exactly 5 years"
    assert "at risk at 5 years 20 instead of 30" in one.corrections


@pytest.mark.parametrize(("at_risk", "severity"), [(51, None), (52, "suspicious"), (53, "incoherent")])
def test_a_few_deaths_at_the_landmark_are_no_contradiction(at_risk, severity, find, curve):
    # 50.5 of 100 are left at most: one may die on the day, two are rare, more are more than a few months bring
    found = find(CHECK, curve([50], [50], 100, n_at_risk=[at_risk]))
    assert [one.severity for one in found] == ([severity] if severity else [])


def test_months_with_many_deaths_explain_more(find, curve):
    # half die within three months, some 17 a month
    (one,) = find(CHECK, curve([0.25], [50], 100, n_at_risk=[75]))
    assert one.severity == "suspicious"


@pytest.mark.parametrize(("at_risk", "severity"), [(57, "suspicious"), (58, "incoherent")])
def test_three_months_of_deaths(at_risk, severity, find, curve):
    """A twelfth of the 50.5% who die in a year are 2.4 a month; 57 - 50.5 and 58 - 50.5 must die on one day."""
    (one,) = find(CHECK, curve([1], [50], 100, n_at_risk=[at_risk]))
    assert one.severity == severity
    assert f"at least {at_risk - 50} of" in one.explanation


def test_small_numbers_are_held_against_the_lattice(find, curve):
    # of eight patients two are gone: both died (75%), or one did before or after the other was lost (86 or 88%)
    for share in (75, 86, 88):
        assert find(CHECK, curve([1], [share], 8, n_at_risk=[6])) == ()
    (one,) = find(CHECK, curve([1], [80], 8, n_at_risk=[6]))
    assert one.severity == "suspicious"
    # with four at risk after it: three were lost and a fifth of the five left died
    assert one.explanation == "at least 2 of the 6 at risk had the event at exactly 1 year"


def test_what_is_not_checkable(tally, curve):
    assert tally(CHECK, curve([1, 2], [90, 80], n_at_risk=[30, 20])) == (0, 0, {"n not printed": 2})
    incidence = curve([1], [30], 50, "recurrence", n_at_risk=[30])
    assert tally(CHECK, incidence) == (0, 0, {"a cumulative incidence": 1})
    assert tally(CHECK, curve([1], [90], 50)) is None


# -- events


def test_events_within_what_is_possible(find, tally, curve):
    """Between 35 and 49 deaths up to ten years; of the 18 at risk then any number may die later.

    Those who die at a landmark are at risk at it, which leaves fewer needed: ceil(75 (1 - .835)) and so on.
    """
    printed = curve([3, 5, 10], [83, 71, 42], 100, n_at_risk=[75, 52, 18])
    for d in (13 + 7 + 8, 40, 17 + 11 + 21 + 18):
        assert find("events", printed, deaths(d, 100)) == ()
    for d in (13 + 7 + 8 - 1, 17 + 11 + 21 + 18 + 1):
        (one,) = find("events", printed, deaths(d, 100))
        assert one.severity == "impossible"
        assert one.message == (
            f"{d} events of 100 patients: survival and numbers at risk up to 10 years allow 28 to 67"
        )
    assert tally("events", printed, deaths(40, 100)) == (1, 0, {})


def test_a_misprinted_number_of_deaths(find, curve):
    printed = curve([3, 5, 10], [83, 71, 42], 100, n_at_risk=[75, 52, 18])
    (one,) = find("events", printed, deaths(74, 100))
    assert "events 64 instead of 74" in one.corrections


@pytest.mark.parametrize(
    "other",
    [
        deaths(1, 100, definition="perioperative"),
        deaths(1, 100, definition="within 30 days"),
        deaths(1, 90),
        deaths(1, 100, "mortality"),
        deaths(1, 100, group=Group("arm", "arm", 100)),
        ReportedProportion("A", "deaths", None, 100, ReportedNumber("1", "percent")),
    ],
)
def test_what_are_not_the_deaths_of_the_curve(other, tally, curve):
    assert tally("events", curve([3], [50], 100, n_at_risk=[40]), other) is None


def test_events_without_numbers_at_risk(tally, curve):
    assert tally("events", curve([3], [50], 100), deaths(5, 100)) == (0, 0, {"no number at risk printed": 1})


def test_events_of_other_endpoints(find, curve):
    printed = curve([3], [20], 100, "PFS", n_at_risk=[19])
    assert find("events", printed, deaths(5, 100)) == ()
    (one,) = find("events", printed, deaths(5, 100, "PFS events"))
    assert one.endpoint == "PFS"


def test_events_printed_beside_the_curve(find, tally, curve):
    """The same limits as of a proportion; a proportion that repeats the number counts once, another one twice."""
    printed = {"years": [3, 5, 10], "percent": [83, 71, 42], "n": 100, "n_at_risk": [75, 52, 18]}
    for d in (28, 67):
        assert find("events", curve(**printed, n_events=d)) == ()
    for d in (27, 68):
        (one,) = find("events", curve(**printed, n_events=d))
        assert one.message == (
            f"{d} events of 100 patients: survival and numbers at risk up to 10 years allow 28 to 67"
        )
    (one,) = find("events", curve(**printed, n_events=74))
    assert "events 64 instead of 74" in one.corrections
    assert tally("events", curve(**printed, n_events=40), deaths(40, 100)) == (1, 0, {})
    assert tally("events", curve(**printed, n_events=40), deaths(27, 100)) == (2, 1, {})
    assert tally("events", curve([3], [50], n_events=40)) == (0, 0, {"n not printed": 1})
    assert tally("events", curve([3], [50], 90, n_events=40)) == (0, 0, {"no number at risk printed": 1})
    assert tally("events", curve([3], [50], 90, "recurrence", n_events=40)) is None
