import math
from dataclasses import replace

import pytest
import strategies as records
from hypothesis import given

from netsynth.data.endpoint import find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.study import Group
from netsynth.errors import InvalidInputError

OS = find_endpoint("OS")


def ratio(text):
    return ReportedNumber(text, "ratio")


def limits(low, high):
    return ReportedInterval.of(low, high, "ratio", 0.95)


def grade(**given):
    return ReportedFactor("Xiang", "grade", OS, "poor", "well", **given)


def test_a_ratio_for_the_adverse_level_is_taken_as_printed():
    found = grade(hazard_ratio=ratio("1.85"), ci=limits("1.20", "2.85"))
    assert not found.is_inverted
    assert found.log_hr == math.log(1.85)
    assert found.log_ci == (math.log(1.20), math.log(2.85))
    assert found == grade(hazard_ratio=ratio("1.85"), ci=limits("1.20", "2.85"), hazard_ratio_for="")


def test_a_ratio_for_the_reference_level_is_turned_round():
    found = grade(hazard_ratio=ratio("0.4"), ci=limits("0.2", "0.8"), hazard_ratio_for="well")
    assert found.is_inverted
    assert math.exp(found.log_hr) == pytest.approx(1 / 0.4)
    assert tuple(map(math.exp, found.log_ci)) == pytest.approx((1 / 0.8, 1 / 0.2))


@given(records.factors())
def test_turning_the_levels_round_turns_the_ratio_round(record):
    if not record.adverse_level or record.hazard_ratio is None:
        assert math.isnan(record.log_hr) or not record.adverse_level
        return
    forth, back = (
        ReportedFactor(
            record.study,
            record.factor,
            record.endpoint,
            record.adverse_level,
            record.reference_level,
            hazard_ratio=record.hazard_ratio,
            ci=record.ci,
            hazard_ratio_for=level,
        )
        for level in (record.adverse_level, record.reference_level)
    )
    assert forth.log_hr == pytest.approx(-back.log_hr, nan_ok=True)
    assert forth.log_ci == pytest.approx(tuple(-x for x in reversed(back.log_ci)), nan_ok=True)


def test_what_has_no_logarithm_is_nan():
    assert math.isnan(grade().log_hr)
    assert math.isnan(grade(hazard_ratio=ratio("0.0")).log_hr)
    low, high = grade(hazard_ratio=ratio("1.1"), ci=limits("0.0", None)).log_ci
    assert math.isnan(low)
    assert math.isnan(high)


@pytest.mark.parametrize(
    ("printed", "level", "told", "shown"),
    [
        ("1.6", "", "better", "worse"),
        ("0.6", "", "worse", "better"),
        ("0.6", "well", "not stated", "worse"),
        ("1", "", "worse", "worse"),
        ("1", "", "none", "none"),
        ("1", "", "not stated", "none"),
        (None, "", "worse", "worse"),
        (None, "", "not stated", "not stated"),
    ],
)
def test_the_direction_follows_the_ratio_and_else_the_words(printed, level, told, shown):
    given = None if printed is None else ratio(printed)
    assert grade(hazard_ratio=given, hazard_ratio_for=level, direction=told).shown_direction == shown


@pytest.mark.parametrize(
    ("ci", "level", "told", "by_ratio", "shown"),
    [
        (("1.001", "1.003"), "", "worse", "worse", "worse"),
        (("1.001", "1.003"), "", "not stated", "worse", "worse"),
        (("1.001", "1.003"), "well", "not stated", "better", "better"),
        (("0.997", "0.999"), "", "not stated", "better", "better"),
        (("0.997", "0.999"), "", "worse", "better", "better"),
        ((None, "0.999"), "", "not stated", "better", "better"),
        (("0.99", "1.01"), "", "worse", "not stated", "worse"),
        (("1.00", "1.01"), "", "better", "not stated", "better"),
        (("0.99", "1.01"), "", "not stated", "none", "none"),
        (("0.99", "1.01"), "", "none", "none", "none"),
    ],
)
def test_a_ratio_that_rounds_to_1_has_the_side_of_its_limits_and_else_of_the_words(
    ci, level, told, by_ratio, shown
):
    record = grade(hazard_ratio=ratio("1.00"), ci=limits(*ci), hazard_ratio_for=level, direction=told)
    assert (record.ratio_direction, record.shown_direction) == (by_ratio, shown)
    problem = "poor is said to do worse, yet the ratio for poor is 1.00 (0.997–0.999)"
    assert record.direction_problem == (problem if (told, shown) == ("worse", "better") else "")


@pytest.mark.parametrize(
    ("record", "shown"),
    [
        (
            grade(
                hazard_ratio=ratio("1.85"),
                ci=limits("1.20", "2.85"),
                pvalue=ReportedNumber("0.005", "pvalue"),
                significance="yes",
                analysis="multivariable",
            ),
            "Xiang, grade (poor vs well), OS, multivariable: HR 1.85 (95% CI 1.20–2.85); p = 0.005; significant: yes",
        ),
        (
            grade(
                hazard_ratio=ratio("0.4"),
                hazard_ratio_for="well",
                pvalue=ReportedNumber("0.05", "pvalue", "<"),
            ),
            "Xiang, grade (poor vs well), OS, not stated: HR 0.4 for well; p < 0.05",
        ),
        (
            ReportedFactor("Xiang", "age", OS, pvalue=ReportedNumber("0.8", "pvalue", "~")),
            "Xiang, age, OS, not stated: p ~ 0.8",
        ),
        (
            ReportedFactor("Xiang", "age", OS, pvalue=ReportedNumber("0.001", "pvalue", "<=")),
            "Xiang, age, OS, not stated: p ≤ 0.001",
        ),
        (ReportedFactor("Xiang", "age", OS), "Xiang, age, OS, not stated: –"),
    ],
)
def test_shown(record, shown):
    assert str(record) == shown


@pytest.mark.parametrize(
    ("digits", "qualifier", "level", "told", "shown"),
    [
        ("0.00", "=", "", "not stated", "better"),
        ("0.00", "=", "well", "better", "worse"),
        ("0.0", "~", "", "not stated", "better"),
        ("0.5", "<", "", "not stated", "better"),
        ("1", "<", "", "not stated", "better"),
        ("1", ">", "well", "not stated", "better"),
        ("1", ">=", "", "not stated", "not stated"),
        ("2.0", "<", "", "not stated", "not stated"),
        ("2.0", "<", "", "better", "better"),
        ("0.5", ">", "", "worse", "worse"),
    ],
)
def test_a_ratio_that_is_rounded_to_0_or_a_bound_tells_the_direction_where_it_must(
    digits, qualifier, level, told, shown
):
    found = grade(
        hazard_ratio=ReportedNumber(digits, "ratio", qualifier), hazard_ratio_for=level, direction=told
    )
    assert found.shown_direction == shown


def test_a_p_value_of_three_zeros_is_a_bound():
    assert grade(pvalue=ReportedNumber("0.000", "pvalue")).pvalue.interval == (0.0, 0.0005)


def p_value(text, qualifier="="):
    return ReportedNumber(text, "pvalue", qualifier)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"hazard_ratio": ratio("2.0"), "ci": limits("1.2", "3.3"), "direction": "better"},
            ("poor is said to do better, yet the ratio for poor is 2.0",),
        ),
        (
            {"hazard_ratio": ratio("2.0"), "hazard_ratio_for": "well", "direction": "worse"},
            ("poor is said to do worse, yet the ratio for well is 2.0",),
        ),
        (
            {"hazard_ratio": ratio("0.00"), "direction": "worse"},
            ("poor is said to do worse, yet the ratio for poor is 0.00",),
        ),
        ({"hazard_ratio": ratio("1.0"), "direction": "worse"}, ()),
        ({"hazard_ratio": ratio("2.0"), "direction": "worse"}, ()),
        ({"direction": "worse", "significance": "yes"}, ()),
        ({"pvalue": p_value("0.4"), "significance": "yes"}, ("said to be significant, with p = 0.4",)),
        ({"pvalue": p_value("0.05", ">"), "significance": "yes"}, ("said to be significant, with p > 0.05",)),
        ({"pvalue": p_value("0.05"), "significance": "yes"}, ()),
        ({"pvalue": p_value("0.4", "~"), "significance": "yes"}, ()),
        (
            {"pvalue": p_value("0.001", "<"), "significance": "no"},
            ("said to be not significant, with p < 0.001",),
        ),
        (
            {"hazard_ratio": ratio("2.0"), "ci": limits("0.5", "8.0"), "significance": "yes"},
            ("said to be significant, with HR 2.0 (95% CI 0.5–8.0)",),
        ),
        (
            {"hazard_ratio": ratio("2.0"), "ci": limits("1.2", "3.3"), "significance": "no"},
            ("said to be not significant, with HR 2.0 (95% CI 1.2–3.3)",),
        ),
        ({"hazard_ratio": ratio("2.0"), "ci": limits("1.0", "4.0"), "significance": "no"}, ()),
        ({"hazard_ratio": ratio("2.0"), "ci": limits("1.2", None), "significance": "no"}, ()),
        (
            {
                "hazard_ratio": ratio("2.0"),
                "ci": ReportedInterval.of("1.2", "3.3", "ratio", 0.9),
                "significance": "no",
            },
            (),
        ),
        (
            {
                "hazard_ratio": ratio("2.0"),
                "direction": "better",
                "pvalue": p_value("0.4"),
                "significance": "yes",
            },
            (
                "poor is said to do better, yet the ratio for poor is 2.0",
                "said to be significant, with p = 0.4",
            ),
        ),
    ],
)
def test_what_cannot_all_be_right_is_named(given, words):
    assert grade(**given).contradictions == words


@given(records.factors())
def test_a_record_that_follows_its_ratio_contradicts_nothing(record):
    """Worse above 1 and better below: whatever the digits stand for may be so."""
    if record.ratio_direction == "not stated":
        return
    assert not replace(record, direction=record.ratio_direction).direction_problem


REFUSED = [
    (lambda: ReportedFactor("", "age", OS), "study must be a non-empty text; got ''."),
    (lambda: ReportedFactor("Xiang", " ", OS), "factor must be a non-empty text; got ' '."),
    (
        lambda: grade(analysis="crude"),
        "Xiang, grade: analysis must be one of univariable, multivariable, matched, pooled, not stated; got 'crude'.",
    ),
    (
        lambda: grade(direction="up"),
        "Xiang, grade: direction must be one of worse, better, none, not stated; got 'up'.",
    ),
    (
        lambda: grade(significance="maybe"),
        "Xiang, grade: significance must be one of yes, no, not tested, not stated; got 'maybe'.",
    ),
    (
        lambda: grade(hazard_ratio_for="moderate"),
        "Xiang, grade: the hazard ratio is for 'moderate', which is neither the adverse level 'poor' nor the "
        "reference level 'well'.",
    ),
    (lambda: grade(ci=limits(1, 2)), "Xiang, grade: a confidence interval without its hazard ratio."),
    (
        lambda: grade(hazard_ratio=ReportedNumber("2", "percent")),
        "Xiang, grade: a hazard ratio is a number with the unit 'ratio'; got 2%.",
    ),
    (
        lambda: grade(hazard_ratio=ReportedNumber("", "ratio", "not reached")),
        "Xiang, grade: a hazard ratio is a number with the unit 'ratio'; got not reached.",
    ),
    (
        lambda: grade(hazard_ratio=ratio("2"), ci=ReportedInterval.of(None, 3, "percent")),
        "Xiang, grade: the limits of a hazard ratio are ratios; got 3%.",
    ),
    (
        lambda: grade(hazard_ratio=ratio("3.0"), ci=limits("1.2", "2.9")),
        "Xiang, grade: the confidence interval 1.2–2.9 does not contain the hazard ratio 3.0. "
        "Check the transcription.",
    ),
    (
        lambda: grade(pvalue=ReportedNumber("5", "percent")),
        "Xiang, grade: a p-value is a number with the unit 'pvalue'; got 5% 'percent'.",
    ),
    (
        lambda: grade(pvalue=ReportedNumber("", "pvalue", "not reached")),
        "Xiang, grade: a p-value is a number with the unit 'pvalue'; got not reached 'pvalue'.",
    ),
    *(
        (
            lambda number=number: grade(pvalue=number),
            "Xiang, grade: a p-value is never 0; give it as it is printed, such as '0.000' or '<0.001' (a spreadsheet "
            "turns 0.000 into 0).",
        )
        for number in (ReportedNumber("0", "pvalue"), ReportedNumber("0.00", "pvalue", "<"))
    ),
    (
        lambda: grade(hazard_ratio=ratio("0"), ci=limits("0", "0.5")),
        "Xiang, grade: a hazard ratio is never 0; give it as it is printed, such as '0.00' or '<0.01' (a spreadsheet "
        "turns 0.00 into 0).",
    ),
    (
        lambda: ReportedFactor("Xiang", "grade", OS, "G3", " g3 "),
        "Xiang, grade: both levels are 'G3', which compares nothing. Give two levels, and leave empty what is not "
        "stated.",
    ),
    (
        lambda: grade(adjusted_for="age"),
        "Xiang, grade: adjusted_for must be a list or tuple; got 'age'.",
    ),
    (
        lambda: grade(events_by_level=4),
        "Xiang, grade: events_by_level must be two whole numbers, of the adverse and of the reference level; got 4.",
    ),
    (
        lambda: grade(n_by_level=(4, 5, 6)),
        "Xiang, grade: n_by_level must be two whole numbers, of the adverse and of the reference level; got (4, 5, 6).",
    ),
    (
        lambda: grade(n_events=2.5),
        "Xiang, grade: n_events must be a whole number of at least 0; got 2.5.",
    ),
    (
        lambda: grade(events_by_level=(4, -1)),
        "Xiang, grade: events_by_level must be a whole number of at least 0; got -1.",
    ),
    (
        lambda: grade(events_by_level=(4, 9), n_events=12),
        "Xiang, grade: 4 and 9 events are not 12 in all. Check the three numbers.",
    ),
    (
        lambda: grade(events_by_level=(4, 9), n_by_level=(20, 8)),
        "Xiang, grade: 4 and 9 events among 20 and 8 patients. Check the numbers of each level.",
    ),
    (
        lambda: grade(n_events=30, n_by_level=(20, 8)),
        "Xiang, grade: 30 events among 28 patients. Check both numbers.",
    ),
    (
        lambda: grade(n_events=30, group=Group(n_total=25)),
        "Xiang, grade: 30 events among 25 patients. Check both numbers.",
    ),
]


def test_events_of_the_levels_add_up():
    record = grade(events_by_level=[4, 9], n_by_level=(20, 30))
    assert (record.n_events, record.events_by_level) == (13, (4, 9))
    assert ReportedFactor.from_json(record.to_json()) == record
    assert str(record).endswith("4 and 9 events")
    assert str(grade(n_events=1)).endswith("1 event")


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refused(call, message):
    with pytest.raises(InvalidInputError) as error:
        call()
    assert str(error.value) == message
