from dataclasses import replace

import pytest

from netsynth.audit import audit
from netsynth.data.number import ReportedNumber
from netsynth.data.study import Study
from netsynth.data.survival import SurvivalPoint

CHECK = "percentage of n"


@pytest.mark.parametrize(
    ("percent", "n", "near"),
    # the first death of n leaves (n - 1)/n; nothing lies between that and all
    [
        (95, 13, "92% and 100%"),
        (99, 20, "95% and 100%"),
        ("96.8", 31, "96.7% and 96.9%"),
        (98, 40, None),
        (97, 32, None),
    ],
)
def test_the_first_death_leaves_a_gap(percent, n, near, find, curve):
    found = find(CHECK, curve([1], [percent], n))
    if near is None or percent == "96.8":  # 30/31 is 96.77%
        assert found == ()
        return
    (one,) = found
    assert (one.severity, one.study, one.endpoint, one.group) == ("impossible", "A", "OS", "overall")
    assert one.message == (
        f"{percent}% at 1 year of {n} patients: no order of events and losses gives it, the nearest possible are {near}"
    )
    assert one.explanation == ""


def test_gaps_of_three_patients(find, curve):
    # of three patients 2/3, 1/2, 1/3 or none live
    for share in (67, 66.7, 50, 33, 0, 100):
        assert find(CHECK, curve([1], [share], 3)) == ()
    for share, near in ((40, "33% and 50%"), (60, "50% and 67%"), (10, "0% and 33%")):
        (one,) = find(CHECK, curve([1], [share], 3))
        assert near in one.message


def test_corrections_are_small_and_keep_the_curve(find, curve):
    (one,) = find(CHECK, curve([1, 3], [95, 31], 13))
    assert one.corrections[0] == "OS at 1 year 92% instead of 95%"
    assert not any("n 1" in text for text in one.corrections)
    # a percentage below that at 3 years would rise again
    assert one.n_corrections < audit(curve([1], [95], 13)).findings[0].n_corrections


def test_a_misprinted_number_of_patients(find, curve):
    # 96% at one year and 92% at two, of 53 patients and not of 13
    first, second = find(CHECK, curve([1, 2], ["96.2", "94.3"], 13))
    assert "n 53 instead of 13" in first.corrections
    assert "n 53 instead of 13" in second.corrections


def test_incidence_of_one_event(find, curve, tally):
    recurrence = curve([1], [2], 13, "recurrence")
    (one,) = find(CHECK, recurrence)
    assert "the nearest possible are 0% and 8%" in one.message
    assert find(CHECK, curve([1], [8], 13, "recurrence")) == ()
    assert tally(CHECK, curve([1], [50], 13, "recurrence")) == (1, 0, {})


def test_what_is_not_checkable(tally, curve, percent):
    assert tally(CHECK, curve([1, 2], [99, 30])) == (0, 0, {"n not printed": 2})
    about = replace(
        curve([1], [95], 13), points=(SurvivalPoint(ReportedNumber("1", "year"), percent("95", "~")),)
    )
    assert tally(CHECK, about) == (0, 0, {"printed as about": 1})
    many = curve([1], ["50.001"], 2999)
    assert tally(CHECK, many)[2] == {"more than 2000 patients, or too long a search": 1}


def test_a_time_that_is_not_stated_is_no_obstacle(find, curve, percent):
    made = curve([1], [92], 13)
    untimed = replace(made, points=(*made.points, SurvivalPoint(None, percent("97"), row_id="SV9")))
    (one,) = find(CHECK, untimed)
    assert "97% at a time not stated" in one.message
    assert one.rows == ("SV9",)


# -- crude shares


def study(months, **more):
    return Study("A", followup=ReportedNumber(str(months), "month"), followup_statistic="median", **more)


def test_shares_of_n_although_patients_were_lost(find, curve):
    # 8/12, 5/12 and 3/12 to a tenth; half of the patients were followed for less than a year, yet 67% lived then
    printed = curve([1, 2, 3], ["66.7", "41.7", "25.0"], 12)
    (one,) = find("crude percentages", study(11), printed)
    assert one.severity == "suspicious"
    assert one.message == (
        "41.7% = 5/12 and 25.0% = 3/12 although the median follow-up was 11 months: crude shares, not Kaplan-Meier "
        "estimates?"
    )
    # 13 of 1001 numbers with one decimal are shares of 12, twice
    assert one.explanation == "it is a coincidence, with probability 0.0002"


@pytest.mark.parametrize(
    ("months", "shares"),
    [(13, ["66.7", "41.7", "25.0"]), (11, ["66.7", "41.7", "25.1"]), (11, ["66.7", "58.3"])],
)
def test_no_sign_of_crude_shares(months, shares, find, curve):
    """Follow-up that reaches the landmark, one percentage that is no share, or too few deaths."""
    assert find("crude percentages", study(months), curve(range(1, len(shares) + 1), shares, 12)) == ()


def test_numbers_at_risk_show_losses(find, tally, curve):
    printed = curve([1, 2], ["41.7", "25.0"], 12, n_at_risk=[4, 1])
    (one,) = find("crude percentages", printed)
    assert "although only 4 were at risk at 1 year" in one.message
    full = curve([1, 2], ["41.7", "25.0"], 12, n_at_risk=[5, 3])
    assert tally("crude percentages", full) == (0, 0, {"nothing shows that patients were lost": 1})
    assert tally("crude percentages", curve([1], [50]))[2] == {"n not printed": 1}


def test_a_mean_follow_up_shows_nothing(tally, curve):
    mean = Study("A", followup=ReportedNumber("11", "month"), followup_statistic="mean")
    printed = curve([1, 2, 3], ["66.7", "41.7", "25.0"], 12)
    assert tally("crude percentages", mean, printed)[2] == {"nothing shows that patients were lost": 1}


def test_whole_percentages_of_a_hundred_show_nothing(find, curve):
    assert find("crude percentages", study(11), curve([1, 2, 3], [70, 50, 30], 100)) == ()


def test_fewest_losses_of_each_percentage(curve):
    found = audit(curve([1, 2], [50, 30], 13)).percentages
    assert [one.least_censored for one in found] == [1, 2]
    assert [one.share for one in found] == ["50%", "30%"]
    assert audit(curve([1], [50])).percentages[0].least_censored is None
    assert audit(curve([1], [95], 13)).percentages[0].least_censored is None
    assert audit(curve([1], [50], 13, "recurrence")).percentages[0].least_censored is None
