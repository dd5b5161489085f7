import numpy as np
import pytest

from netsynth.data.number import ReportedNumber
from netsynth.data.study import Group, Study
from netsynth.errors import InvalidInputError


@pytest.mark.parametrize(
    ("study", "label", "shown"),
    [
        (
            Study("mayo_2010", first_author="Mayo", year=2010, n_patients=339),
            "Mayo 2010",
            "Mayo 2010 (n = 339)",
        ),
        (Study("spolverato_nd", first_author="Spolverato"), "Spolverato", "Spolverato"),
        (Study("debulk_ncdb_2023", year=2023), "debulk_ncdb_2023", "debulk_ncdb_2023"),
    ],
)
def test_names(study, label, shown):
    assert study.label == label
    assert str(study) == shown


@pytest.mark.parametrize(
    ("start", "end", "shown"),
    [
        (1984, 1992, "1984–1992"),
        (1984, 1984, "1984"),
        (None, 1992, "?–1992"),
        (1984, None, "1984–?"),
        (None, None, ""),
    ],
)
def test_enrolment(start, end, shown):
    assert Study("a", enrolment_start=start, enrolment_end=end).enrolment == shown


def test_groups_are_shown_with_their_size():
    assert str(Group()) == "overall"
    assert str(Group("resected", n_total=17)) == "resected (n = 17)"


def test_whole_numbers_of_any_type_become_plain():
    study = Study("a", year=np.int64(2010), n_patients=37.0, n_treated=np.float64(37))
    assert study == Study("a", year=2010, n_patients=37, n_treated=37)
    assert {type(n) for n in (study.year, study.n_patients, study.n_treated)} == {int}
    assert type(Group(n_total=np.int32(5)).n_total) is int
    assert study.to_json() == '{"id": "a", "year": 2010, "n_patients": 37, "n_treated": 37}'


REFUSED = [
    (lambda: Study(""), "study id must be a non-empty text; got ''."),
    (lambda: Study(None), "study id must be a non-empty text; got None."),
    (lambda: Study("a", n_patients=0), "a: n_patients must be a whole number of at least 1; got 0."),
    (lambda: Study("a", n_treated=12.5), "a: n_treated must be a whole number of at least 1; got 12.5."),
    (lambda: Study("a", n_patients="37"), "a: n_patients must be a whole number; got '37'."),
    (
        lambda: Study("a", n_patients=37, n_treated=38),
        "a: n_treated cannot exceed n_patients; got 38 of 37.",
    ),
    (lambda: Study("a", year=1899), "a: year must be a calendar year; got 1899."),
    (lambda: Study("a", enrolment_start=84), "a: enrolment_start must be a calendar year; got 84."),
    (lambda: Study("a", enrolment_end=2101), "a: enrolment_end must be a calendar year; got 2101."),
    (lambda: Study("a", year="2010"), "a: year must be a whole number; got '2010'."),
    (
        lambda: Study("a", enrolment_start=1992, enrolment_end=1984),
        "a: enrolment cannot end (1984) before it starts (1992).",
    ),
    (lambda: Study("a", followup=ReportedNumber("5")), "a: followup needs a unit of time; got ''."),
    (
        lambda: Study("a", followup_statistic="range"),
        "a: followup_statistic must be one of median, mean, not stated; got 'range'.",
    ),
    (lambda: Group(" "), "group label must be a non-empty text; got ' '."),
    (
        lambda: Group("all", "whole"),
        "group 'all': role must be one of overall, arm, subgroup, comparator; got 'whole'.",
    ),
    (lambda: Group(n_total=0), "group 'overall': n_total must be a whole number of at least 1; got 0."),
    (lambda: Group(n_total=True), "group 'overall': n_total must be a whole number; got True."),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refused(call, message):
    with pytest.raises(InvalidInputError) as error:
        call()
    assert str(error.value) == message
