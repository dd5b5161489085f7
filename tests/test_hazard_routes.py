"""What the verb refuses, doubts, quotes and says of the figures it starts from."""

import math
import warnings
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsynth.data.endpoint import find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.survival import ReportedSurvival
from netsynth.errors import (
    ImpossibleReportError,
    InconsistentReportWarning,
    InvalidInputError,
    ReportedTextError,
    UnusableDataWarning,
)
from netsynth.hazard_ratio import hazard_ratio
from netsynth.ipd import reconstruct_ipd
from netsynth.reported import parse_reported

OS = find_endpoint("OS")
Z = NormalDist().inv_cdf


def quietly(**given):
    """The result where no warning is due: warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return hazard_ratio(**given)


def reasons(found):
    return {each.name: each.reason for each in found.missed}


# --- sides


def test_a_ratio_of_one_with_its_interval_needs_no_direction():
    found = quietly(hazard_ratio="1.00 (0.80-1.25)", pvalue="0.99", n_events=300)
    assert (found.route, found.estimate) == ("confidence interval", 0.0)
    # log(1.25 / 0.80) / (2 * 1.959964)
    assert math.sqrt(found.chosen.variance) == pytest.approx(math.log(1.25 / 0.80) / (2 * Z(0.975)))
    assert reasons(found)["p-value and events"] == "a hazard ratio of 1.00 has no side"


def test_a_side_that_is_given_is_used_with_a_ratio_of_one():
    found = quietly(hazard_ratio="1.00 (0.80-1.25)", pvalue="0.97", n_events=300, direction="better")
    way = next(route for route in found.routes if route.name == "p-value and events")
    assert way.log_hr == pytest.approx(-Z(0.515) / math.sqrt(75))


def test_a_test_without_a_side_is_left_out_where_there_is_another_way():
    with pytest.warns(UnusableDataWarning, match="the p-value was left out: nothing says which group does"):
        found = hazard_ratio(medians=("20", "10"), n_events=(30, 40), pvalue="0.01")
    assert found.route == "medians"
    assert reasons(found)["p-value and events"] == "nothing says which group does worse"
    assert found.warnings[0].name == "UnusableDataWarning"
    with pytest.raises(InvalidInputError, match="a chi-squared does not say which group does worse"):
        hazard_ratio(chi2="5.1", n_events=(30, 40))


@pytest.mark.parametrize(
    ("ratio", "exposed", "sign"),
    [("0.00 (0.00-0.50)", "", -1), ("0.00 (0.00-0.50)", "reference", 1), ("<0.5", "", -1), (">1", "", 1)],
)
def test_a_ratio_without_a_logarithm_may_have_a_side(ratio, exposed, sign):
    found = quietly(hazard_ratio=ratio, pvalue="0.02", n_events=30, hazard_ratio_for=exposed)
    assert found.route == "p-value and events"
    assert found.estimate == pytest.approx(sign * Z(0.99) / math.sqrt(7.5))
    assert "by the ratio" in found.chosen.printed


def test_a_ratio_printed_as_zero_tells_the_side_of_a_record():
    record = ReportedFactor(
        "Lund", "grade", OS, "G3", "G1", "univariable", hazard_ratio=ReportedNumber("0.00", "ratio"),
        ci=ReportedInterval.of("0.00", "0.50", "ratio", 0.95), pvalue=ReportedNumber("0.02", "pvalue"), n_events=30,
    )  # fmt: skip
    found = hazard_ratio(record)
    assert found.estimate == pytest.approx(-Z(0.99) / math.sqrt(7.5))
    assert found.chosen.printed == "p = 0.02, 30 events, doing better by the ratio"


def test_a_direction_against_a_bound_on_the_ratio():
    with pytest.warns(
        InconsistentReportWarning, match="said to do worse, yet the printed ratio <0.5 says the opposite"
    ):
        hazard_ratio(hazard_ratio="<0.5", pvalue="0.02", n_events=30, direction="worse")


def test_a_bound_at_p_of_one_keeps_its_side():
    with pytest.warns(match="known to be at least 1.00"):
        found = hazard_ratio(pvalue="<1", n_events=30, direction="worse")
    assert found.confidence_interval()[1] == math.inf


# --- figures that cannot be

TRIAL = {"observed": (9, 21), "expected": ("19.25", "10.75")}


@pytest.mark.parametrize(
    ("given", "conflict", "message"),
    [
        (
            {**TRIAL, "chi2": "16.79", "direction": "worse"},
            ("direction", "observed", "expected"),
            "Lund: drug is said to do worse, yet by O 9 and 21 with E 19.25 and 10.75 it has fewer events than "
            "expected, within rounding. Check direction, observed and expected.",
        ),
        (
            {"o_minus_e": "0.4", "log_rank_variance": "6.2", "direction": "better"},
            ("direction", "o_minus_e"),
            "Lund: drug is said to do better, yet by O - E 0.4 it has more events than expected, within rounding. "
            "Check direction and o_minus_e.",
        ),
        (
            {**TRIAL, "chi2": "5"},
            ("observed", "expected", "chi2"),
            # (10.245)^2 / 5.5 = 19.08; 19.255 * 10.755 / 30.01 = 6.901
            "Lund: chi-squared 5 for O 9 and 21 with E 19.25 and 10.75 means a log-rank variance of at least 19.08, "
            "and E 19.25 and 10.75 allow 6.901 at most, within rounding. Check observed, expected and chi2.",
        ),
        (
            {"o_minus_e": "-16", "chi2": "16.79", "n_events": 30},
            ("o_minus_e", "chi2", "n_events"),
            # (15.5)^2 / 16.795 = 14.3 against 30 / 4
            "Lund: chi-squared 16.79 for O - E -16 means a log-rank variance of at least 14.3, and 30 events allow 7.5 "
            "at most, within rounding. Check o_minus_e, chi2 and n_events.",
        ),
        (
            {"o_minus_e": "-4", "log_rank_variance": "30", "n_events": 100},
            ("log_rank_variance", "n_events"),
            "Lund: a log-rank variance of 30, and 100 events allow 25 at most, within rounding. Check "
            "log_rank_variance and n_events.",
        ),
        (
            {"log_rank_variance": "30", "n_events": (50, 50)},
            ("log_rank_variance", "n_events"),
            "Lund: a log-rank variance of 30, and 100 events allow 25 at most, within rounding. Check "
            "log_rank_variance and n_events.",
        ),
        (
            {"o_minus_e": "-100", "log_rank_variance": "20", "n_events": 90},
            ("o_minus_e", "n_events"),
            "Lund: O - E -100 with 90 events: drug cannot have more than 90 above what is expected, nor more than 90 "
            "below, within rounding. Check o_minus_e and n_events.",
        ),
        (
            {"o_minus_e": "-10", "log_rank_variance": "8", "n_events": (30, 8)},
            ("o_minus_e", "n_events"),
            "Lund: O - E -10 with 30 and 8 events: drug cannot have more than 30 above what is expected, nor more than "
            "8 below, within rounding. Check o_minus_e and n_events.",
        ),
        (
            {**TRIAL, "o_minus_e": "-3", "log_rank_variance": "6.2"},
            ("o_minus_e", "observed", "expected"),
            "Lund: O - E -3, and O 9 and 21 with E 19.25 and 10.75 give -10.25 for the exposed, within rounding. Check "
            "o_minus_e, observed and expected.",
        ),
        (
            {"chi2": "45", "n_events": 1, "n_total": (21, 21), "direction": "worse"},
            ("chi2", "n_events", "n_total"),
            "Lund: chi-squared 45 with 1 event among 21 and 21 patients, which allow 41 at most, within rounding. "
            "Check chi2, n_events and n_total.",
        ),
    ],
)  # fmt: skip
def test_figures_of_the_log_rank_test_that_no_patients_give(given, conflict, message):
    with pytest.raises(ImpossibleReportError) as told:
        hazard_ratio(**given, label="Lund", groups=("drug", "placebo"))
    assert str(told.value) == message
    assert told.value.conflict == conflict


def test_rounding_is_allowed_for():
    """True sums of 30, with expected numbers that round to 29 or 31; V at the edge of a quarter of the events."""
    for expected in (("19", "10"), ("20", "11"), (19.25, 10.75)):
        assert quietly(observed=(9, 21), expected=expected).route == "observed over expected"
    assert quietly(o_minus_e="-4", log_rank_variance="25.3", n_events=101).route == "observed minus expected"
    assert quietly(o_minus_e="-90", log_rank_variance="22", n_events=90).natural > 0


def naive_log_rank(time, event, exposed):
    """Second implementation: O, E of both groups and V, time by time as in a textbook."""
    o, e, v = [0, 0], [0.0, 0.0], 0.0
    for t in sorted({x for x, had in zip(time, event, strict=True) if had}):
        r = [sum(1 for x, g in zip(time, exposed, strict=True) if x >= t and g == k) for k in (1, 0)]
        d = [
            sum(1 for x, had, g in zip(time, event, exposed, strict=True) if x == t and had and g == k)
            for k in (1, 0)
        ]
        whole, died = sum(r), sum(d)
        for k in (0, 1):
            o[k] += d[k]
            e[k] += died * r[k] / whole
        if whole > 1:
            v += died * r[0] * r[1] / whole**2 * (whole - died) / (whole - 1)
    return o, e, v


patients = st.lists(st.tuples(st.integers(1, 9), st.booleans(), st.integers(0, 1)), min_size=4, max_size=40)


@settings(max_examples=300)
@given(patients, st.integers(0, 3))
def test_what_patients_give_is_never_refused(rows, decimals):
    """Ties, censoring and groups of any size, printed with any number of decimals."""
    time, event, exposed = zip(*rows, strict=True)
    (o1, o0), (e1, e0), v = naive_log_rank(time, event, exposed)
    sizes = (sum(exposed), len(rows) - sum(exposed))
    if not v or not all(sizes):  # no test
        return
    chi2 = (o1 - e1) ** 2 / v

    def text(x):
        return f"{x:.{decimals}f}"

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        common = {"n_total": sizes, "direction": "worse" if o1 > e1 else "better"}
        both = {"observed": (o1, o0), "expected": (text(e1), text(e0)), "o_minus_e": text(o1 - e1)}
        hazard_ratio(**both, log_rank_variance=text(v), chi2=text(chi2), **common)
        found = hazard_ratio(**both, chi2=text(chi2), **common)
        assert not any("sums differ" in said.message for said in found.warnings)
        for events in ((o1, o0), o1 + o0):
            hazard_ratio(o_minus_e=text(o1 - e1), log_rank_variance=text(v), n_events=events, **common)
            hazard_ratio(o_minus_e=text(o1 - e1), chi2=text(chi2), n_events=events, **common)


# --- figures that are doubtful


UNEVEN = "it rests on uneven censoring or many ties, or a number is misprinted"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"chi2": "400", "n_events": 100},
            "chi-squared 400 with 100 events: 100 is the most, even with all events in one group, while the groups at "
            f"risk stay of one size; {UNEVEN}",
        ),
        (
            # z of p = 0.025 is 2.241, its square 5.02
            {"pvalue": "0.02", "n_events": 1},
            "p = 0.02 with 1 event means a chi-squared of at least 5.02: 1 is the most, even with all events in one "
            f"group, while the groups at risk stay of one size; {UNEVEN}",
        ),
        (
            # 20 of 60 at risk, then 19 of 59: (40/60 + 40/59)^2 / (20 * 40 / 60^2 + 19 * 40 / 59^2)
            {"chi2": "15", "n_events": 2, "n_total": (20, 40)},
            "chi-squared 15 with 2 events: 4.1 is the most, even with all events in one group, of 20 and 40 patients "
            f"while nobody is censored; {UNEVEN}",
        ),
    ],
)
def test_a_test_too_strong_for_so_few_events(given, message):
    with pytest.warns(InconsistentReportWarning, match="is the most"):
        found = hazard_ratio(**given, direction="worse")
    assert [said.message for said in found.warnings] == [message]


def test_what_so_few_events_allow():
    """One event among 1 exposed and 20 others: (O - E)^2 / V = (20/21)^2 / (20/21^2) = 20."""
    quietly(chi2="20", n_events=1, n_total=(1, 20), direction="worse")
    quietly(chi2="100", n_events=100, direction="better")  # all in one group: (100 / 2)^2 / (100 / 4)
    with pytest.warns(InconsistentReportWarning, match="0.05 is the most"):
        hazard_ratio(chi2="4", n_events=1, n_total=(1, 20), direction="better")


def test_a_test_of_a_record_too_strong_for_its_events():
    record = ReportedFactor(
        "Lund", "grade", OS, "G3", "G1", "univariable", pvalue=ReportedNumber("0.02", "pvalue"), direction="worse",
        n_events=1,
    )  # fmt: skip
    with pytest.warns(
        InconsistentReportWarning, match="p = 0.02 with 1 event means a chi-squared of at least"
    ):
        hazard_ratio(record)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"o_minus_e": "-10", "log_rank_variance": "20", "chi2": "9", "n_events": 90},
            # 9.5^2 / 20.5 to 10.5^2 / 19.5
            "chi-squared 9, yet O - E with V 20 gives 4.40–5.65",
        ),
        (
            {**TRIAL, "log_rank_variance": "6.26", "n_events": 40},
            "O 9 and 21 are 30 in all, yet 40 events are given",
        ),
        (
            {"hazard_ratio": "0.5 (0.1-2.5)", "n_events": (0, 8)},
            "HR 0.5, yet there was no event in exposed: a fit gives 0 or infinity, unless it is penalised",
        ),
    ],
)
def test_figures_that_do_not_agree(given, message):
    with pytest.warns(InconsistentReportWarning):
        found = hazard_ratio(**given)
    assert message in [said.message for said in found.warnings]


def test_no_event_in_a_group_is_not_hidden_by_all_events():
    found = quietly(
        n_events=(0, 5), n_total=(20, 20), pvalue="0.04", direction="better", groups=("drug", "none")
    )
    assert math.isnan(found.estimate)
    assert found.problem == "there was no event in drug, so the variance from events is undefined"
    assert set(reasons(found).values()) >= {found.problem}
    means = quietly(rmst_difference="2", rmst_se="1", n_events=(0, 5))
    assert means.problem == (
        "there was no event in exposed, so the variance from events is undefined: it tells the direction and a p-value "
        "only"
    )
    assert quietly(medians=("20", "10"), n_events=(0, 4)).problem == (
        "the median of exposed has no interval, and no event beside it"
    )


# --- reasons


def arm(name, months, percent, **more):
    return ReportedSurvival.from_percent(name, months=months, percent=percent, **{"n_total": 50, **more})


@pytest.mark.parametrize(
    ("curves", "problem"),
    [
        (
            (arm("A", [12, 24], ["100", "100"]), arm("B", [12, 24], ["80", "70"])),
            "survival of drug is 100% at all 2 common times, so that the ratio is undefined",
        ),
        (
            (arm("A", [12], ["80"]), arm("B", [12, 24], ["0", "0"])),
            "survival of placebo is 0% at the only common time, so that the ratio is undefined",
        ),
        (
            (arm("A", [12, 24], ["100", "80"]), arm("B", [12, 24], ["80", "0"])),
            "at no time is survival of both groups between 0% and 100%",
        ),
        (
            (arm("A", [12, 24], ["90", "80"]), arm("B", [18], ["70"])),
            "survival is given of drug at 12 and 24 months and of placebo at 18 months, which have no time in common",
        ),
        (
            (arm("A", [12], ["90"]), arm("B", [12], ["70"], n_total=None)),
            "survival of placebo has neither an interval nor a number of patients beside it",
        ),
    ],
)
def test_curves_that_give_no_ratio_say_why(curves, problem):
    found = quietly(curves=curves, groups=("drug", "placebo"))
    assert math.isnan(found.estimate)
    assert found.problem == problem
    assert reasons(found)["landmarks"] == problem


def test_digitised_curves_that_give_no_ratio_say_why():
    flat = reconstruct_ipd(
        [0, 8, 12], [1.0, 1.0, 0.99], at_risk_time=[0, 6], n_at_risk=[30, 20], label="drug", n_events=0
    )
    falls = reconstruct_ipd(
        [0, 3, 6, 12], [1.0, 0.8, 0.6, 0.4], at_risk_time=[0, 6], n_at_risk=[30, 18], label="none"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = hazard_ratio(curves=(flat, falls))
    assert found.problem.startswith("one group has all the events")


def test_every_kind_of_figure_that_fails_has_its_reason():
    found = quietly(curves=(arm("A", [12], ["90"]), arm("B", [18], ["70"])), rmst_difference="2")
    assert found.problem == (
        "the difference of restricted means has no standard error; survival is given of exposed at 12 months and of "
        "reference at 18 months, which have no time in common"
    )


# --- errors say whose number of which argument


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pvalue": "1.2"}, "Lund 2015: pvalue: Cannot read the text at position 0: 1.2 is no pvalue"),
        ({"pvalue": 1.2}, "Lund 2015: pvalue: 1.2 is no pvalue"),
        ({"pvalue": "p 0.03 x"}, "Lund 2015: pvalue: Cannot read the text"),
        ({"pvalue": ReportedNumber("3", "month")}, "Lund 2015: pvalue: it must be a number in 'pvalue'; got 3 months"),
        ({"pvalue": "NR"}, "Lund 2015: pvalue: it must be a p-value; got 'NR'"),
        ({"pvalue": 0}, "Lund 2015: pvalue: a p-value is never 0"),
        ({"hazard_ratio": "0.5 (0.8-0.3)"}, "Lund 2015: hazard_ratio: Cannot read the text at position 5: The lower"),
        ({"hazard_ratio": "0.5", "ci": ("0.8", "0.3")}, "Lund 2015: ci: The lower limit 0.8 exceeds"),
        ({"hazard_ratio": "0"}, "Lund 2015: hazard_ratio: a hazard ratio is never 0"),
        ({"hazard_ratio": -1.0}, "Lund 2015: hazard_ratio: -1 is no ratio"),
        ({"hazard_ratio": "OR 0.5"}, "Lund 2015: hazard_ratio: it must be a hazard ratio, such as"),
        ({"hazard_ratio": (0.5, 0.3)}, "Lund 2015: hazard_ratio: it must be a ratio, or a ratio and its two limits"),
        ({"hazard_ratio": "0.5 (0.7-0.8)"}, "Lund 2015: the confidence interval 0.7–0.8 does not contain"),
        ({"hazard_ratio": "0.5", "level": 95}, "Lund 2015: level: level must be a fraction"),
        ({"chi2": "many"}, "Lund 2015: chi2: Cannot read the text"),
        ({"chi2": ">4"}, "Lund 2015: chi2 must be a number of at least 0, no open end; got >4."),
        (
            {"log_rank_variance": 0},
            "Lund 2015: log_rank_variance must be a number above 0, or text such as '0' for what is rounded, no open "
            "end; got 0.",
        ),
        ({"log_rank_variance": "-1"}, "Lund 2015: log_rank_variance must be a number above 0, no open end; got -1."),
        ({"observed": (9, "x"), "expected": (1, 2)}, "Lund 2015: observed: Cannot read the text"),
        ({"n_events": -1}, "Lund 2015: n_events must be a whole number of at least 0; got -1"),
        ({"n_events": (1, 2.5)}, "Lund 2015: n_events must be a whole number"),
        ({"n_total": (0, 2)}, "Lund 2015: n_total must be a whole number of at least 1"),
        ({"medians": ("x", "10")}, "Lund 2015: medians: Cannot read the text"),
        ({"medians": ("20", "10"), "median_cis": ("30-15", None)}, "Lund 2015: median_cis: Cannot read the text"),
        ({"medians": ("20 months", "1 year")}, "Lund 2015: both medians must be in one unit"),
        ({"rmst_se": "0", "rmst_difference": "1"}, "Lund 2015: rmst_se must be a number above 0"),
        ({"follow_up_months": ("x", 2)}, "Lund 2015: follow_up_months: Cannot read the text"),
        ({"follow_up_months": (-1, 2)}, "Lund 2015: follow_up_months must be a number of at least 0"),
        ({"curves": (1, 2)}, "Lund 2015: curves must be two results of"),
        ({"pvalue": "0.03", "direction": "up"}, "Lund 2015: direction must be one of worse, better"),
        ({"pvalue": "0.03", "groups": ("a", " A")}, "Lund 2015: both groups are 'a', which compares nothing."),
        ({"pvalue": "0.03", "groups": ("a", "a"), "hazard_ratio_for": "a"}, "Lund 2015: both groups are 'a'"),
        ({"pvalue": "0.03", "groups": ("a", "b", "c")}, "Lund 2015: groups must be a pair, the exposed group first"),
        ({"n_events": 3, "n_total": (1, 1)}, "Lund 2015: 3 events among 2 patients."),
        ({"n_events": (2, 0), "n_total": (1, 1)}, "Lund 2015: 2 events among 1 patient of exposed."),
    ],
)  # fmt: skip
def test_errors_say_where(given, message):
    with pytest.raises(InvalidInputError) as told:
        hazard_ratio(**given, label="Lund 2015")
    assert str(told.value).startswith(message)


def digitised(label, unit="week"):
    return reconstruct_ipd(
        [0, 3, 6, 12], [1.0, 0.8, 0.6, 0.4], at_risk_time=[0, 6], n_at_risk=[30, 18], label=label, unit=unit
    )


def test_errors_of_digitised_curves_say_where():
    with pytest.raises(InvalidInputError, match=r"^Lund 2015: curves: "):
        hazard_ratio(curves=(digitised("A"), digitised("B", "month")), label="Lund 2015")


def test_the_place_in_a_text_is_kept():
    with pytest.raises(InvalidInputError) as told:
        hazard_ratio(hazard_ratio="1.85", ci="range 1.20-2.85")
    assert isinstance(told.value.__cause__, ReportedTextError)
    assert str(told.value) == f"hazard_ratio: ci: {told.value.__cause__}"
    with pytest.raises(InvalidInputError, match=r"^hazard_ratio: a hazard ratio is never 0"):
        hazard_ratio(hazard_ratio="0")  # not named twice


# --- decimal commas in a p-value


@pytest.mark.parametrize(
    ("text", "printed"),
    [("0,03", "p = 0.03"), ("p = 0,003", "p = 0.003"), ("1,000", "p = 1.000"), ("0·03", "p = 0.03")],
)
def test_a_decimal_comma_of_a_pvalue(text, printed):
    found = quietly(pvalue=text, n_events=100, direction="worse")
    assert found.chosen.printed.startswith(f"{printed}, ")


def test_a_decimal_comma_of_a_bound():
    with pytest.warns(match="is a bound"):
        found = hazard_ratio(pvalue="<0,001", n_events=100, direction="worse")
    assert found.estimate == pytest.approx(Z(0.9995) / 5)
    for text in ("1,5", "0,0,3", "0,03.1"):
        with pytest.raises(InvalidInputError, match="pvalue: "):
            hazard_ratio(pvalue=text, n_events=100, direction="worse")


# --- what was given, word for word


def test_the_text_is_kept_as_it_was_given():
    found = quietly(
        hazard_ratio="0.50 (0.31-0.81)",
        pvalue="P=.004",
        n_events=(30, 41),
        test="log-rank",
        source="p. 14, Table 2",
    )
    quoted = {route.name: route.verbatim for route in found.routes}
    assert quoted["confidence interval"] == 'hazard_ratio "0.50 (0.31-0.81)"'
    assert quoted["p-value"] == 'hazard_ratio "0.50 (0.31-0.81)", pvalue "P=.004"'
    assert quoted["p-value and events by arm"] == (
        'pvalue "P=.004", n_events (30, 41), hazard_ratio "0.50 (0.31-0.81)"'  # the ratio tells the side
    )
    assert str(found).splitlines()[1:4] == [
        "  from HR 0.50 (95% CI 0.31–0.81), by confidence interval",
        '    as given: hazard_ratio "0.50 (0.31-0.81)"',
        "    source: p. 14, Table 2",
    ]
    assert list(found.routes_frame()["verbatim"][:2]) == [quoted[route.name] for route in found.routes[:2]]
    assert found.summary_frame()["source"].item() == "p. 14, Table 2"


def test_every_way_quotes_what_it_starts_from():
    found = hazard_ratio(
        hazard_ratio="0.21",
        ci=("0.09", "0.47"),
        **TRIAL,
        chi2=16.79,
        pvalue="P=.00004",
        n_total=(21, 21),
        medians=("23", "8"),
        rmst_difference=ReportedNumber("7.7"),
        rmst_se="1.8",
    )
    quoted = {route.name: route.verbatim for route in found.routes}
    side = 'hazard_ratio "0.21"'
    assert quoted == {
        "confidence interval": 'hazard_ratio "0.21", ci ("0.09", "0.47")',
        "p-value": 'hazard_ratio "0.21", pvalue "P=.00004"',
        "observed minus expected": 'observed (9, 21), expected ("19.25", "10.75"), chi2 16.79',
        "ratio and events by arm": 'hazard_ratio "0.21", observed (9, 21)',
        "ratio, events and patients": 'hazard_ratio "0.21", observed (9, 21), n_total (21, 21)',
        "ratio and events": 'hazard_ratio "0.21", observed (9, 21)',
        "chi-squared and events by arm": f"chi2 16.79, observed (9, 21), {side}",
        "chi-squared, events and patients": f"chi2 16.79, observed (9, 21), n_total (21, 21), {side}",
        "chi-squared and events": f"chi2 16.79, observed (9, 21), {side}",
        "p-value and events by arm": f'pvalue "P=.00004", observed (9, 21), {side}',
        "p-value, events and patients": f'pvalue "P=.00004", observed (9, 21), n_total (21, 21), {side}',
        "p-value and events": f'pvalue "P=.00004", observed (9, 21), {side}',
        "observed over expected": 'observed (9, 21), expected ("19.25", "10.75")',
        "restricted means": 'rmst_difference 7.7, rmst_se "1.8", observed (9, 21), n_total (21, 21)',
        "medians": 'medians ("23", "8"), observed (9, 21)',
    }


def test_a_pvalue_within_the_text_of_a_ratio_is_quoted_with_it():
    text = "HR=0·49 [95% CI: 0·38 to 0·64], P<.001"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = hazard_ratio(hazard_ratio=text, n_events=233)
        read = hazard_ratio(hazard_ratio=parse_reported(text), n_events=233)
    assert {route.verbatim for route in found.routes} == {
        f'hazard_ratio "{text}"',
        f'hazard_ratio "{text}", n_events 233',
    }
    assert read.chosen.verbatim == f"hazard_ratio {parse_reported(text)}"


def test_a_record_brings_its_source():
    record = ReportedFactor(
        "Lund", "grade", OS, "G3", "G1", hazard_ratio=ReportedNumber("2.0", "ratio"),
        ci=ReportedInterval.of("1.0", "4.0", "ratio", 0.95), source="Table 3", row_id="14",
    )  # fmt: skip
    found = hazard_ratio(record)
    assert (found.source, found.row_id, found.place) == ("Table 3", "14", "Table 3, row 14")
    assert str(found).splitlines()[1:3] == [
        "  from HR 2.0 (95% CI 1.0–4.0), by confidence interval",
        "    source: Table 3, row 14",
    ]
    assert found.chosen.verbatim == ""


# --- words


def test_curves_are_called_by_their_groups():
    pair = (arm("A", [12, 24], ["90", "80"]), arm("A", [12, 24], ["70", "50"]))
    found = quietly(curves=pair, groups=("drug", "placebo"))
    assert found.chosen.printed == "survival of drug and survival of placebo at 2 times"


def test_one_event_is_no_events():
    with pytest.warns(InconsistentReportWarning):
        found = hazard_ratio(pvalue="0.02", n_events=1, n_total=(3, 4), direction="worse")
    printed = {route.name: route.printed for route in found.routes}
    assert printed["p-value and events"] == "p = 0.02, 1 event, said to do worse"
    assert (
        printed["p-value, events and patients"]
        == "p = 0.02, 1 event among 3 and 4 patients, said to do worse"
    )


def test_a_warning_points_at_the_line_that_asked():
    with pytest.warns(InconsistentReportWarning) as told:
        hazard_ratio(pvalue="0.02", n_events=1, direction="worse")
    assert told[0].filename == __file__
    assert np.isfinite(told[0].lineno)


# --- tests of more groups, and zeros of rounding

SUMS = "the sums differ: a test of more groups, or a misprint"


@pytest.mark.parametrize(
    ("observed", "expected", "sums", "ratio"),
    [
        # survdiff(Surv(time, status) ~ rx, colon, etype 2); Cox's fit of the three gives 0.6896
        (
            (123, 168),
            ("157.5", "148.4"),
            "291 in all, and E 157.5 and 148.4 are 305.9",
            123 / 157.5 / (168 / 148.4),
        ),
        # survdiff(Surv(time, status) ~ celltype, veteran)
        ((26, 45), ("15.7", "30.1"), "71 in all, and E 15.7 and 30.1 are 45.8", 26 / 15.7 / (45 / 30.1)),
    ],
)
def test_two_of_more_groups_leave_observed_over_expected(observed, expected, sums, ratio):
    with pytest.warns(InconsistentReportWarning) as told:
        found = hazard_ratio(
            observed=observed, expected=expected, log_rank_variance="30", chi2="11.7", pvalue="0.003"
        )
    assert [SUMS in str(each.message) and sums in str(each.message) for each in told] == [True]
    assert [route.name for route in found.routes] == ["observed over expected"]
    assert found.natural == pytest.approx(ratio)
    why = reasons(found)
    for name in ("observed minus expected", "chi-squared and events by arm", "p-value and events"):
        assert why[name] == "the sums of O and E differ, as in a test of more groups"


def test_the_side_among_more_groups_is_that_of_the_ratio():
    """Both have more events than expected, and the exposed of the two the fewer for it."""
    with pytest.warns(InconsistentReportWarning, match=SUMS):
        found = hazard_ratio(observed=(30, 60), expected=("25", "30"), pvalue="0.03", test="Wald")
    way = next(route for route in found.routes if route.name == "p-value and events by arm")
    assert way.log_hr == pytest.approx(-Z(0.985) / math.sqrt(30 * 60 / 90))
    assert way.printed.endswith("doing better by O / E")


def test_a_chi_squared_that_rounds_to_zero_agrees_with_what_it_allows():
    """Below 0.5, which is a log ratio of up to sqrt(0.5 / (65 * 60 / 125)) = 0.127; p = 0.558 is 0.105."""
    found = quietly(chi2="0", pvalue="0.558", direction="worse", n_events=(65, 60))
    assert found.disagreement == 0.0
    with pytest.warns(InconsistentReportWarning, match="or the test or fit was stratified or adjusted"):
        hazard_ratio(chi2="0.00", pvalue="0.01", direction="worse", n_events=(65, 60))


def test_a_chi_squared_of_zero_needs_no_side():
    found = quietly(o_minus_e="0.0", chi2="0.0", n_events=19, n_total=(20, 20))
    assert found.estimate == 0.0
    end = math.sqrt(0.05 / (19 / 4))
    assert found.chosen.log_hr_interval == pytest.approx((-end, end))
    assert found.chosen.printed == "chi-squared 0.0, 19 events among 20 and 20 patients"


def test_figures_that_round_to_zero_leave_a_way_undefined():
    found = quietly(observed=(164, 1), expected=("164", "0"), log_rank_variance="0", groups=("a", "b"))
    assert (found.route, found.problem) == (
        "",
        "the variance of O - E is rounded to 0, so the ratio is undefined; the expected events of b are rounded to 0, "
        "so the ratio is undefined",
    )
    with_v = quietly(observed=(164, 1), expected=("164", "0"), log_rank_variance="0.2")
    assert [route.name for route in with_v.routes] == ["observed minus expected"]
    for zero in (0, 0.0):
        with pytest.raises(InvalidInputError, match="expected must be a number above 0, or text such as '0'"):
            hazard_ratio(observed=(164, 1), expected=(164, zero))


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"hazard_ratio": "0.5 (0.5-0.5)"}, "its interval 0.5–0.5 tells no standard error"),
        (
            {"hazard_ratio": "0.5 (0.5-0.5)", "pvalue": ">0.05"},
            "its interval 0.5–0.5 tells no standard error; a p-value of >0.05 sets no upper bound to its standard "
            "error",
        ),
    ],
)
def test_an_interval_without_a_width_is_the_reason(given, problem):
    assert quietly(**given).problem == problem


def test_two_tests_were_left_out():
    with pytest.warns(UnusableDataWarning, match="the chi-squared and p-value were left out: .* to use them"):
        hazard_ratio(chi2="5", pvalue="0.03", n_events=(50, 50), medians=("20", "10"))
