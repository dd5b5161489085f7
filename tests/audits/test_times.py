import pytest

from netsynth.data.characteristic import ReportedCharacteristic
from netsynth.data.endpoint import find_endpoint
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.study import Group
from netsynth.data.survival import ReportedTime

MEDIANS, ORDER = "median and percentages", "order of endpoints"


def median(value, unit="year", endpoint="OS", qualifier="=", group=None, n=None, **more):
    number = ReportedNumber("" if qualifier == "not reached" else str(value), unit, qualifier)
    return ReportedTime("A", find_endpoint(endpoint), "median", number, group or Group(n_total=n), **more)


# -- medians and percentages


@pytest.mark.parametrize(
    ("value", "qualifier", "share", "severity"),
    [
        (9.6, "=", "50.4", "impossible"),  # more than half at 10 years, and a median before
        (9.6, "=", "50.0", None),  # 49.95 to 50.05
        (9.6, "=", "50", None),
        (10.2, "=", "50.4", None),
        ("10.0", "=", "50.4", None),  # 9.95 to 10.05
        ("10", "=", "50.4", None),
        (12, "=", "49", "impossible"),  # already below, and a median later
        (12, "=", "49.6", "impossible"),
        (12, "=", "50", None),
        (10.1, "=", "49", "impossible"),
        (10, ">", "49", "impossible"),
        (10, ">", "50", None),
        (10, ">=", "49", None),
        (9, ">", "49", None),
        (None, "not reached", "49", "impossible"),
        (None, "not reached", "50", None),
        (None, "not reached", "80", None),
        (10, "<", "51", "impossible"),
        (10, "<", "49", None),
    ],
)
def test_median_against_ten_years(value, qualifier, share, severity, find, curve):
    found = find(MEDIANS, median(value, qualifier=qualifier), curve([10], [share]))
    assert [one.severity for one in found] == ([severity] if severity else [])


def test_what_is_said_of_a_median(find, curve):
    time = median(9.6, row_id="SV1")
    (one,) = find(MEDIANS, time, curve([5, 10], ["77.4", "50.4"]))
    assert one.message == "a median of 9.6 years, yet OS was 50.4% at 10 years"
    assert one.explanation == ""
    assert one.rows == ("SV1",)
    assert one.corrections[0] == "OS at 10 years 50.0% instead of 50.4%"
    (one,) = find(MEDIANS, median("", qualifier="not reached"), curve([10], [40]))
    assert one.message == "the median was not reached, yet OS was 40% at 10 years"


def test_a_correction_of_a_median_must_suit_all_percentages(find, curve):
    """From 5 to 9 years a single digit suits both percentages, and two of them are lowered by one."""
    (one,) = find(MEDIANS, median("1"), curve([5, 10], [60, 40]))
    assert one.corrections == (
        "OS at 5 years 50% instead of 60%",
        "OS at 5 years 40% instead of 60%",
        "median OS 5 years instead of 1 year",
    )
    assert one.n_corrections == 2 + 5


def test_a_contradiction_that_one_slip_does_not_explain(find, curve):
    """A median of 1 year with 61% at 11: another digit of 61 would do, but not when 60% live a year later."""
    (one,) = find(MEDIANS, median("1"), curve([11], [61]))
    assert one.corrections[0] == "OS at 11 years 41% instead of 61%"
    (one, _) = find(MEDIANS, median("1"), curve([11, 12], [61, 60]))
    assert one.n_corrections == 0
    assert one.correction == "none that changes one or two digits"


def test_months_and_years_may_be_counted_otherwise(find, curve):
    # 60 months of 30 days are 59.1 months: within 1.5% only the calendar is at fault
    (one,) = find(MEDIANS, median("59.5", "month"), curve([5], ["50.4"]))
    assert one.severity == "incoherent"
    assert one.explanation == "months and years are of 30 or 365 days"
    (one,) = find(MEDIANS, median("60.5", "month"), curve([5], [49]))
    assert one.severity == "incoherent"
    (one,) = find(MEDIANS, median("61.5", "month"), curve([5], [49]))
    assert one.severity == "impossible"
    (one,) = find(MEDIANS, median("58.5", "month"), curve([5], ["50.4"]))
    assert one.severity == "impossible"
    (one,) = find(MEDIANS, median("4.95", "year"), curve([5], ["50.4"]))
    assert one.severity == "impossible"


def test_medians_of_other_groups_and_endpoints_do_not_count(tally, curve):
    arm = Group("arm", "arm", 20)
    other = curve([10], [80], 40)
    assert tally(MEDIANS, median(1, group=arm), other) is None
    assert tally(MEDIANS, median(1, endpoint="PFS"), other) is None
    assert tally(MEDIANS, median(1, n=39), other) is None
    assert tally(MEDIANS, median(1, n=40), other) == (1, 1, {})
    assert tally(MEDIANS, median(1), other) == (1, 1, {})
    mean = ReportedTime("A", find_endpoint("OS"), "mean", ReportedNumber("1", "year"), Group(n_total=40))
    assert tally(MEDIANS, mean, other) is None


def test_medians_that_are_not_checkable(tally, curve):
    other = curve([10], [80])
    assert tally(MEDIANS, median(31.3, ""), other) == (0, 0, {"unit not stated": 1})
    assert tally(MEDIANS, median(1, qualifier="~"), other) == (0, 0, {"printed as about": 1})


# -- endpoints in order


@pytest.mark.parametrize(
    ("lower", "upper", "severity"),
    [
        ("PFS", "OS", "incoherent"),
        ("DFS", "OS", "incoherent"),
        ("RFS", "OS", "incoherent"),
        ("EFS", "OS", "incoherent"),
        ("OS", "DSS", "impossible"),
        ("PFS", "TTP", "incoherent"),
        ("RFS", "TTR", "incoherent"),
        ("DSS", "OS", None),
        ("OS", "PFS", None),
        ("MFS", "OS", None),
    ],
)
def test_order_of_endpoints(lower, upper, severity, find, curve):
    found = find(ORDER, curve([5], [70], endpoint=lower), curve([5], [60], endpoint=upper))
    assert [one.severity for one in found] == ([severity] if severity else [])
    assert find(ORDER, curve([5], [60], endpoint=lower), curve([5], [60], endpoint=upper)) == ()
    found = find(ORDER, median(7, endpoint=lower), median(5, endpoint=upper))
    assert [one.severity for one in found] == ([severity] if severity else [])
    assert find(ORDER, median(5, endpoint=lower), median(5.4, endpoint=upper)) == ()


def test_rounding_is_allowed_for(find, curve):
    assert find(ORDER, curve([5], ["60.4"], endpoint="PFS"), curve([5], [60])) == ()
    assert find(ORDER, curve([5], [61], endpoint="PFS"), curve([5], [60])) == ()  # both may be 60.5
    assert len(find(ORDER, curve([5], ["60.6"], endpoint="PFS"), curve([5], [60]))) == 1


def test_losses_may_miss_an_order_that_is_not_sure_by_two_patients(find, curve):
    """Of 50 patients, 4 percent points, beside the rounding of both; what is sure cannot be missed."""
    os = curve([5], ["60.0"], n=50)
    assert find(ORDER, curve([5], ["64.0"], endpoint="PFS", n=50), os) == ()
    assert len(find(ORDER, curve([5], ["64.2"], endpoint="PFS", n=50), os)) == 1
    dss = curve([5], ["60.0"], endpoint="DSS", n=50)
    assert len(find(ORDER, curve([5], ["60.2"], n=50), dss)) == 1


def test_an_earlier_percentage_binds_a_later_one(find, curve):
    (one,) = find(ORDER, curve([5], [70], endpoint="PFS"), curve([3, 10], [60, 20]))
    assert one.message == "PFS of 70% at 5 years is above OS of 60% at 3 years"
    assert one.explanation == (
        "patients were lost after PFS ended and before OS did, or deaths are not counted in PFS"
    )
    assert find(ORDER, curve([3], [70], endpoint="PFS"), curve([5], [60])) == ()


def test_the_order_of_kaplan_meier_estimates_is_not_sure():
    """Three patients: one progresses at 1 and dies at 3, one is lost at 2, one is seen to live. At 3 the estimate is
    2/3 without progression and 1/2 alive, so this is incoherent and not impossible."""
    from fractions import Fraction

    free = Fraction(2, 3)  # one of three at 1; the loss at 2 changes nothing
    alive = Fraction(1, 2)  # one of two at 3
    assert free > alive


def test_repairs_of_an_order_keep_the_curves(find, curve):
    (one,) = find(ORDER, curve([1, 5], [90, 70], endpoint="PFS"), curve([1, 5], [92, 60]))
    # 69 and 70 may both be 69.5; nothing above 92% a year later
    assert one.corrections[:2] == ("OS at 5 years 69% instead of 60%", "PFS at 5 years 60% instead of 70%")
    os, pfs = ("69", "70", "80", "90"), ("60", "50", "40", "30", "20", "10", "7.0")
    assert one.n_corrections == len(os) + len(pfs)


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        (median(7, "", "PFS"), median(5), "unit not stated"),
        (median(7, qualifier="~", endpoint="PFS"), median(5), "printed as about"),
    ],
)
def test_medians_that_cannot_be_ordered(first, second, reason, tally):
    assert tally(ORDER, first, second) == (0, 0, {reason: 1})


def test_a_median_that_was_not_reached_is_in_no_order(find):
    assert find(ORDER, median("", endpoint="PFS", qualifier="not reached"), median(5)) == ()
    assert len(find(ORDER, median(7, endpoint="PFS", qualifier=">"), median(5))) == 1
    assert find(ORDER, median(7, endpoint="PFS"), median(5, qualifier=">")) == ()


def test_medians_in_units_of_their_own(find):
    assert find(ORDER, median("60.5", "month", "DSS"), median("61", "month")) == ()
    (one,) = find(ORDER, median("61.2", "month"), median("5.00", "year", "DSS"))
    assert one.severity == "impossible"
    (one,) = find(ORDER, median("60.5", "month"), median("5.00", "year", "DSS"))
    assert one.severity == "incoherent"


def test_survival_and_incidence_of_its_event(find, curve):
    (one,) = find(ORDER, curve([5], [30], endpoint="DFS"), curve([3], [80], endpoint="recurrence"))
    assert one.severity == "incoherent"
    assert one.message == "DFS of 30% at 5 years and recurrence of 80% at 3 years are more than all patients"
    assert one.corrections[:2] == (
        "recurrence at 3 years 70% instead of 80%",
        "recurrence at 3 years 60% instead of 80%",
    )
    assert find(ORDER, curve([5], [30], endpoint="DFS"), curve([3], [70], endpoint="recurrence")) == ()
    assert find(ORDER, curve([3], [30], endpoint="DFS"), curve([5], [80], endpoint="recurrence")) == ()
    assert find(ORDER, curve([5], [30], endpoint="DFS"), curve([5], [71], endpoint="recurrence")) == ()


# -- limits, follow-up, half units


def months(low, high):
    return ReportedInterval.of(low, high, "month")


def test_quartiles_beyond_the_range(find, tally):
    good = median(21, "month", range=months(13, 46), iqr=months(15, 30))
    assert tally("order of limits", good) == (1, 0, {})
    (one,) = find("order of limits", median(21, "month", range=months(13, 46), iqr=months(12, 30)))
    assert one.severity == "impossible"
    assert one.corrections[0] == "first quartile 13 months instead of 12 months"
    assert find("order of limits", median(21, "month", range=months("12.6", 46), iqr=months(13, 30))) == ()
    assert find("order of limits", median(21, "month", range=months(None, 46), iqr=months(12, None))) == ()
    assert tally("order of limits", median(21, "month")) is None


def follow(low, high, n=None, name="follow-up", median_months=None, unit="month"):
    number = None if median_months is None else ReportedNumber(str(median_months), unit)
    pair = ReportedInterval.of(low, high, unit)
    return ReportedCharacteristic("A", name, number, range=pair, group=Group(n_total=n))


def test_a_landmark_after_the_longest_follow_up(find, tally, curve):
    (one,) = find("follow-up", follow(1, 90), curve([5, 10], [70, 50]))
    assert one.severity == "incoherent"
    assert (
        one.message == "50% at 10 years, yet follow-up end at 90 months"
        or "yet follow-up ends" in one.message
    )
    assert one.corrections == ()
    assert find("follow-up", follow(1, 130), curve([5, 10], [70, 50])) == ()
    assert find("follow-up", follow(1, 90), curve([5, 10], [70, 0])) == ()
    assert tally("follow-up", follow(1, 90, name="age"), curve([5], [70])) == (
        0,
        0,
        {"range of follow-up not printed": 1},
    )
    (one,) = find("follow-up", follow(1, 12), curve([10], [50]))
    assert one.n_corrections == 0


def test_survival_times_end_before_a_landmark(find, curve):
    (one,) = find("follow-up", median(30, "month", range=months(2, 100)), curve([10], [40]))
    assert one.message == "40% at 10 years, yet OS times end at 100 months"


def test_a_shortest_follow_up_after_the_landmark(find, curve):
    # everybody was followed for two years, so 30% of 13 would have to be a share of 13
    (one,) = find("follow-up", follow(24, 90, 13), curve([1], [30], 13))
    assert one.severity == "incoherent"
    assert one.message == (
        "the shortest follow-up is 24 months, so none of the 13 patients was lost before 1 year, "
        "yet 30% needs at least 2"
    )
    assert one.corrections[0] == "OS at 1 year 31% instead of 30%"
    assert find("follow-up", follow(24, 90, 13), curve([1], [31], 13)) == ()
    assert find("follow-up", follow(6, 90, 13), curve([1], [30], 13)) == ()
    assert find("follow-up", follow(24, 90, 13), curve([1], [30])) == ()


def test_open_ends_of_follow_up(tally, curve):
    pair = ReportedInterval(None, ReportedNumber("90", "month", ">"))
    open_end = ReportedCharacteristic("A", "follow-up", range=pair)
    assert tally("follow-up", open_end, curve([10], [50])) == (0, 0, {"open range": 1})


@pytest.mark.parametrize(
    ("value", "n", "pair", "severity"),
    [
        ("20.5", 21, (13, 46), "suspicious"),
        ("20.5", 20, (13, 46), None),
        ("20.5", 21, ("13.2", "46.0"), None),
        ("20.4", 21, (13, 46), None),
        ("20.50", 21, (13, 46), None),
        ("20.5", 21, (None, 46), None),
    ],
)
def test_half_units(value, n, pair, severity, find):
    found = find("half units", median(value, "month", n=n, range=months(*pair)))
    assert [one.severity for one in found] == ([severity] if severity else [])
    age = ReportedCharacteristic(
        "A",
        "age",
        ReportedNumber(value, "year"),
        range=ReportedInterval.of(*pair, "year"),
        group=Group(n_total=n),
    )
    assert [one.severity for one in find("half units", age)] == ([severity] if severity else [])


def test_half_units_without_n(tally):
    assert tally("half units", median("20.5", "month", range=months(13, 46))) == (0, 0, {"n not printed": 1})
