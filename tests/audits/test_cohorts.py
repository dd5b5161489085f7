import math

import pytest

from netsynth.audit import audit
from netsynth.data.endpoint import find_endpoint
from netsynth.data.number import ReportedNumber
from netsynth.data.proportion import ReportedProportion
from netsynth.data.study import Group, Study
from netsynth.data.survival import ReportedTime

CHECK = "one cohort twice"
LINKED = (Study("A", year=2010, overlap=("B",)), Study("B", year=2011))


def median(study, value, n=None, group=None, unit="month"):
    number = ReportedNumber(str(value), unit)
    return ReportedTime(study, find_endpoint("OS"), "median", number, group or Group(n_total=n))


# -- studies known to share patients


def test_the_same_patients_with_another_median(find):
    (one,) = find(CHECK, *LINKED, median("A", 125, 339), median("B", 123, 339))
    assert (one.severity, one.study, one.other_study) == ("incoherent", "B", "A")
    assert one.message == "median OS of 123 months, and 125 months in A, with 339 patients in both"
    assert one.corrections == (
        "median OS 125 months instead of 123 months",
        "median OS in A 123 months instead of 125 months",
    )


def test_the_same_patients_with_the_same_figures(find, tally, curve):
    assert find(CHECK, *LINKED, median("A", 125, 339), median("B", 125, 339)) == ()
    assert find(CHECK, *LINKED, median("A", "10.4", 339, unit="year"), median("B", 125, 339)) == ()
    same = [curve([5], [74], 339), curve([5], ["74.2"], 339, study="B")]
    assert tally(CHECK, *LINKED, *same) == (1, 0, {})


def test_other_patients_may_differ(tally, find, curve):
    # imputed standard errors of 6.0% and 4.2%; half of the variance of the larger one is shared: 4.2% apart in all
    few, many = curve([5], [60], 94), curve([5], [70], 188, study="B")
    assert tally(CHECK, *LINKED, few, many) == (1, 0, {})
    (one,) = find(CHECK, *LINKED, curve([5], [50], 94), curve([5], [70], 188, study="B"))
    assert one.severity == "suspicious"
    variances = [s * (1 - s) / (n * math.sqrt(0.5)) for s, n in ((0.5, 94), (0.7, 188))]
    se = math.sqrt(sum(variances) - 2 * 0.5 * min(variances))
    assert f"{(0.695 - 0.505) / se:.1f} standard errors apart" in one.message
    assert one.message.startswith("OS at 60 months of 70%, and 50% in A")
    assert "patients, some of whom are the same: 188 and 94" in one.message


def test_a_printed_interval_gives_the_error(find, curve):
    imputed = curve([5], ["60.0"], 100), curve([5], ["64.0"], 110, study="B")
    assert find(CHECK, *LINKED, *imputed) == ()
    printed = (
        curve([5], ["60.0"], 100, ci_lower=["59.0"], ci_upper=["61.0"]),
        curve([5], ["64.0"], 110, study="B", ci_lower=["63.0"], ci_upper=["65.0"]),
    )
    (one,) = find(CHECK, *LINKED, *printed)
    se = 0.01 / 1.959964 * math.sqrt(2 - 2 * 100 / 110)
    assert f"{0.039 / se:.1f} standard errors apart" in one.message


def test_unknown_sizes_are_taken_as_few(find):
    low = Group("R2", "subgroup")
    assert find(CHECK, *LINKED, median("A", 15, group=low), median("B", 37, group=low)) == ()
    (one,) = find(CHECK, *LINKED, median("A", 6.5, group=low), median("B", 37.6, group=low))
    # the standard error of a log median of ten patients is 1 / (ln 2 sqrt(10)), of the difference sqrt(2) times that
    expected = math.log(37.55 / 6.55) / (math.sqrt(2 / 10) / math.log(2))
    assert f"{expected:.1f} standard errors apart" in one.message
    assert "unknown (taken as 10) and unknown (taken as 10)" in one.message
    assert "median OS in A 65 months instead of 6.5 months" in one.corrections


def test_other_groups_and_studies_are_not_compared(tally):
    low, high = Group("R2", "subgroup"), Group("R0", "subgroup")
    assert tally(CHECK, *LINKED, median("A", 6, group=low), median("B", 60, group=high)) is None
    assert tally(CHECK, Study("A"), Study("B"), median("A", 6, 50), median("B", 60, 50)) is None


def test_shares_without_an_error_are_not_checkable(tally, curve):
    assert tally(CHECK, *LINKED, curve([5], [100], 10), curve([5], [50], 20, study="B")) == (
        0,
        0,
        {"no standard error": 1},
    )


def test_counts_of_the_same_patients(find):
    first, second = (ReportedProportion(s, "mortality", x, 120) for s, x in (("A", 4), ("B", 7)))
    (one,) = find(CHECK, *LINKED, first, second)
    assert one.message == "number with mortality of 7, and 4 in A, with 120 patients in both"
    assert find(CHECK, *LINKED, first, ReportedProportion("B", "mortality", 4, 120)) == ()
    assert find(CHECK, *LINKED, first, ReportedProportion("B", "mortality", 7, 130)) == ()


def test_chains_of_overlap_are_followed(find):
    chain = (Study("A", overlap=("B",)), Study("B", overlap=("C",)), Study("C"))
    (one,) = find(CHECK, *chain, median("A", 125, 339), median("C", 99, 339))
    assert {one.study, one.other_study} == {"A", "C"}


# -- cohorts that shrink


def cohort(study_id, start, end, n, overlap=(), centres="Mayo"):
    return Study(
        study_id, centres=centres, enrolment_start=start, enrolment_end=end, n_patients=n, overlap=overlap
    )


def test_a_longer_report_marks_both_studies():
    found = audit([cohort("A", 1985, 2005, 120), cohort("B", 1980, 2010, 100, ("A",))])
    place = found.checks.index(CHECK)
    assert [row[place] for row in found.status] == ["suspicious", "suspicious"]


def test_a_longer_report_with_fewer_patients(find):
    first = cohort("A", 1985, 2005, 120)
    (one,) = find(CHECK, first, cohort("B", 1980, 2010, 100, ("A",)))
    assert (one.severity, one.study, one.other_study) == ("suspicious", "B", "A")
    assert one.message == (
        "100 patients of 1980–2010, fewer than the 120 of 1985–2005 in A from the same centre"
    )
    assert find(CHECK, first, cohort("B", 1980, 2010, 130, ("A",))) == ()
    assert find(CHECK, first, cohort("B", 1990, 2010, 100, ("A",))) == ()
    assert find(CHECK, first, cohort("B", 1980, 2010, 100)) == ()
    assert find(CHECK, first, cohort("B", 1980, 2010, 100, ("A",), "other")) == ()


# -- copies


def test_unrelated_studies_with_the_same_figures(find, curve):
    first = curve([1, 3, 5], ["91.7", "68.2", "41.3"], 63)
    second = curve([1, 3, 5], ["91.7", "68.2", "41.3"], 63, study="B")
    (one,) = find(CHECK, first, second)
    assert (one.severity, one.study, one.other_study) == ("suspicious", "B", "A")
    assert one.message == (
        "OS at 12 months of 91.7%, OS at 36 months of 68.2% and OS at 60 months of 41.3% among 63 patients, exactly as "
        "in A"
    )
    assert find(CHECK, *LINKED, first, second) == ()


def test_one_figure_or_another_number_of_patients_is_no_sign(find, curve):
    first = curve([1, 3, 5], ["91.7", "68.2", "41.3"], 63)
    assert find(CHECK, first, curve([1, 3, 5], ["91.7", "68.2", "41.3"], 64, study="B")) == ()
    assert find(CHECK, first, curve([3], ["68.2"], 63, study="B")) == ()
    whole = curve([1, 3, 5], [92, 68, 41], 63)
    # of two studies 68% and 41% are enough; of two hundred they are not
    assert len(find(CHECK, whole, curve([3, 5], [68, 41], 63, study="B"))) == 1
    others = [Study(str(i)) for i in range(200)]
    assert find(CHECK, whole, curve([3, 5], [68, 41], 63, study="B"), *others) == ()


@pytest.mark.parametrize("shares", [[100, 100, 0], [0, 0, 0]])
def test_all_and_none_say_little(shares, find, curve):
    assert find(CHECK, curve([1, 3, 5], shares, 63), curve([1, 3, 5], shares, 63, study="B")) == ()


def test_marked_duplicates_are_known(find, curve):
    group = Group("surgery", "arm", 63, duplicate=True)
    first = curve([1, 3, 5], ["91.7", "68.2", "41.3"], 63)
    second = curve([1, 3, 5], ["91.7", "68.2", "41.3"], group=group, study="B")
    assert find(CHECK, first, second) == ()


def test_counts_are_figures_too(find, curve):
    counts = [ReportedProportion(s, "mortality", 4, 63) for s in "AB"]
    curves = [curve([5], ["41.3"], 63, study=s) for s in "AB"]
    (one,) = find(CHECK, *counts, *curves)
    assert "OS at 60 months of 41.3% and number with mortality of 4 among 63 patients" in one.message
