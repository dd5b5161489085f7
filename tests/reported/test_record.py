"""What a reported result refuses to hold."""

import pytest

from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.errors import InvalidInputError
from netsynth.reported import ReportedText

MONTHS = ReportedNumber("21", "month")
PERCENT = ReportedNumber("83", "percent")
RATIO = ReportedNumber("1.85", "ratio")
NOT_REACHED = ReportedNumber("", "month", "not reached")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "A reported result needs at least one number."),
        ({"measure": "RD"}, "measure must be one of , HR, OR, RR; got 'RD'."),
        ({"statistic": "mode"}, "statistic must be one of , median, mean; got 'mode'."),
        ({"measure": "HR", "k": 3}, "A measure, a statistic or a ± needs the estimate that it describes."),
        ({"plus_minus": MONTHS}, "A measure, a statistic or a ± needs the estimate that it describes."),
        (
            {"estimate": MONTHS, "ci": ReportedInterval.of("60", "90", "percent", 0.95)},
            "One result has one unit; got 'month' and 'percent'. Convert one of them.",
        ),
        ({"estimate": PERCENT, "measure": "HR"}, "HR has the unit 'ratio'; got 'percent'."),
        ({"estimate": MONTHS, "sd": NOT_REACHED}, "sd must be a number of at least 0; got not reached."),
        (
            {"estimate": MONTHS, "range": ReportedInterval.of("13", "46", "month", 0.95)},
            "Only a confidence interval has a level; range has 0.95.",
        ),
        ({"pvalue": ReportedNumber("0.05")}, "A p-value is a number in the unit 'pvalue'; got 0.05 in ''."),
        ({"n_events": 3}, "n_events = 3 needs n_total."),
        ({"n_events": 17, "n_total": 12}, "n_events must not exceed n_total; got 17 of 12. Swapped?"),
        ({"n_total": 0}, "n_total must be a whole number of at least 1; got 0."),
        ({"k": 2.5}, "k must be a whole number of at least 1; got 2.5."),
    ],
)
def test_refused(fields, words):
    with pytest.raises(InvalidInputError) as caught:
        ReportedText(**fields)
    assert str(caught.value) == words


def test_a_unit_that_could_not_be_read_back_is_refused():
    with pytest.raises(InvalidInputError, match=r"^'\(cm\)' cannot be a unit"):
        ReportedText(ReportedNumber("3", "(cm)"))


def test_counts_become_whole_numbers_and_the_result_compares_by_value():
    report = ReportedText(RATIO, "HR", n_total=17.0)
    assert (report.n_total, type(report.n_total)) == (17, int)
    assert report == ReportedText.from_json(report.to_json())
    assert report != ReportedText(RATIO, "OR", n_total=17)
    assert report.to_dict() == {
        "estimate": {"text": "1.85", "unit": "ratio"},
        "measure": "HR",
        "n_total": 17,
    }


def test_it_shows_itself():
    report = ReportedText(PERCENT, range=ReportedInterval.of("63", "100", "percent"), k=29)
    assert str(report) == "83% (range, 63–100%; k = 29)"
    assert "<tr><td>range</td><td>63–100%</td></tr>" in report._repr_html_()


def test_contradictions_need_an_estimate():
    assert ReportedText(n_events=12, n_total=17).contradictions == ()
    share = ReportedText(ReportedNumber("0.60", "probability"), n_events=12, n_total=17)
    assert share.contradictions == ("12/17 is 0.7059, but 0.60 is printed",)
    assert ReportedText(NOT_REACHED, ci=ReportedInterval(MONTHS, NOT_REACHED, 0.95)).contradictions == ()
