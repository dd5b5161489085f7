import math

import pytest
import strategies as records
from hypothesis import given
from hypothesis import strategies as st

from netsynth.data.number import ReportedNumber
from netsynth.data.proportion import ReportedProportion
from netsynth.data.study import Group
from netsynth.errors import InvalidInputError


def proportion(**given):
    return ReportedProportion.of("Eriksson", "symptom_relief", **given)


def test_counts_are_more_exact_than_the_print():
    both = proportion(n_events=12, n_total=17, percent="70.6")
    assert both.probability == 12 / 17
    assert both.interval == (12 / 17, 12 / 17)
    share = proportion(percent="70.6", n_total=17)
    assert share.probability == pytest.approx(0.706)
    assert share.interval == (0.7055, 0.7065)
    assert (both.has_counts, share.has_counts) == (True, False)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.integers(0, 2))
def test_printed_counts_are_found_among_the_possible(counts, decimals):
    n_events, n_total = counts
    printed = proportion(percent=f"{100 * n_events / n_total:.{decimals}f}", n_total=n_total)
    assert n_events in printed.possible_events
    assert all(
        proportion(percent=printed.share, n_events=x, n_total=n_total) for x in printed.possible_events
    )


def test_possible_events_without_the_means_to_know():
    assert proportion(percent="92").possible_events == ()
    assert proportion(percent="92", n_events=5).possible_events == (5,)
    assert proportion(n_events=3, n_total=8).possible_events == (3,)


@pytest.mark.parametrize("percent", ["84", "83", "83.9", "83.8", "83.87"])  # 26/31 is 83.871%
def test_rounded_and_truncated_prints_agree_with_the_counts(percent):
    assert proportion(n_events=26, n_total=31, percent=percent).share.text == percent


@given(records.proportions())
def test_a_proportion_is_a_probability(record):
    low, high = record.interval
    assert 0 <= low <= record.probability <= high <= 1


def test_open_ended_share():
    found = ReportedProportion(
        "x", "relief", share=ReportedNumber("90", "percent", ">"), n_events=1, n_total=10
    )
    assert found.probability == 0.1  # what is said of an open end is not checked against counts
    assert ReportedProportion("x", "relief", share=ReportedNumber("90", "percent", ">")).interval == (0.9, 1)


def test_shown():
    assert str(proportion(n_events=12, n_total=17, percent="70.6")) == (
        "Eriksson, symptom_relief, overall: 12/17 (70.6%)"
    )
    assert str(proportion(n_events=0, n_total=16, group=Group("resected"))) == (
        "Eriksson, symptom_relief, resected: 0/16"
    )
    assert str(proportion(percent=92)) == "Eriksson, symptom_relief, overall: 92%"


REFUSED = [
    (lambda: ReportedProportion.of("", "relief", percent=5), "study must be a non-empty text; got ''."),
    (lambda: ReportedProportion.of("x", "", percent=5), "outcome must be a non-empty text; got ''."),
    (
        lambda: ReportedProportion("x", "relief", 1, 2, basis="guessed"),
        "x, relief: basis must be one of reported, computed; got 'guessed'.",
    ),
    (
        lambda: proportion(n_events=-1, n_total=5),
        "Eriksson, symptom_relief: n_events must be a whole number of at least 0; got -1.",
    ),
    (
        lambda: proportion(n_events=0, n_total=0),
        "Eriksson, symptom_relief: n_total must be a whole number of at least 1; got 0.",
    ),
    (lambda: proportion(), "Eriksson, symptom_relief: give a percentage, or events and patients."),
    (
        lambda: proportion(n_events=5),
        "Eriksson, symptom_relief: give a percentage, or events and patients.",
    ),
    (
        lambda: proportion(percent=ReportedNumber("5", "year")),
        "Eriksson, symptom_relief: a share is a percent or probability; got 'year'.",
    ),
    (
        lambda: proportion(percent=ReportedNumber("", "percent", "not reached")),
        "Eriksson, symptom_relief: a proportion cannot be 'not reached'. Leave the record out.",
    ),
    (
        lambda: proportion(n_events=18, n_total=17),
        "Eriksson, symptom_relief: 18 events in 17 patients. Events cannot exceed patients.",
    ),
    (
        lambda: proportion(n_events=12, n_total=17, percent="70.8"),
        "Eriksson, symptom_relief: 12/17 is 70.6%, not 70.8%. Check the counts and the percentage.",
    ),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refused(call, message):
    with pytest.raises(InvalidInputError) as error:
        call()
    assert str(error.value) == message


def test_whole_numbers_become_plain():
    found = proportion(n_events=12.0, n_total=17.0)
    assert {type(found.n_events), type(found.n_total)} == {int}
    assert not math.isnan(found.probability)
