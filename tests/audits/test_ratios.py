import pytest

from netsynth.audit import audit
from netsynth.data.endpoint import find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.proportion import ReportedProportion
from netsynth.data.study import Group
from netsynth.data.survival import ReportedSurvival

MIDDLE, PVALUE = "hazard ratio and interval", "hazard ratio and p-value"
EVENTS, SAID = "hazard ratio and events", "direction and significance"


def ratio(
    hr,
    low=None,
    high=None,
    p=None,
    sign="=",
    n=None,
    levels=("treated", "control"),
    analysis="multivariable",
    **more,
):
    ci = None if low is None else ReportedInterval.of(low, high, "ratio", more.pop("level", 0.95))
    number = None if hr is None else ReportedNumber(hr, "ratio")
    pvalue = None if p is None else ReportedNumber(p, "pvalue", sign)
    return ReportedFactor(
        "A",
        "treatment",
        find_endpoint("OS"),
        *levels,
        analysis,
        number,
        ci,
        pvalue=pvalue,
        group=Group(n_total=n),
        **more,
    )


def deaths(d, n, outcome="deaths"):
    return ReportedProportion("A", outcome, d, n)


# -- the ratio in its interval


@pytest.mark.parametrize(
    "printed",
    # KEYNOTE-189, and prognostic factors of the packaged review
    [
        ("0.49", "0.38", "0.64"),
        ("15.6", "4.3", "56.8"),
        ("4.4", "1.2", "16.7"),
        ("3.6", "1.1", "11.1"),
        ("3.0", "1.2", "7.8"),
        ("3.9", "1.4", "10.5"),
        ("0.34", "0.21", "0.55"),
        ("1", "0.5", "2"),
    ],
)
def test_ratios_in_the_middle(printed, find):
    assert find(MIDDLE, ratio(*printed)) == ()


def test_a_ratio_out_of_the_middle(find):
    (one,) = find(MIDDLE, ratio("0.49", "0.38", "0.84"))
    assert one.severity == "incoherent"
    # sqrt(.375 * .835) and sqrt(.385 * .845)
    assert one.message == (
        "treatment (treated vs control): HR 0.49 (95% CI 0.38–0.84), yet the middle of the interval is 0.56–0.57"
    )
    assert one.explanation == "the interval is of profile likelihood, exact or by bootstrap"
    assert "upper limit 0.64 instead of 0.84" in one.corrections
    (one,) = find(MIDDLE, ratio("0.94", "0.38", "0.98", level=0.9))
    assert "90% CI" in one.message


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (ratio("2.0"), "no interval printed"),
        (ratio("2.0", None, None, "0.04"), "no interval printed"),
        (ratio("2.0", "1.0", None), "one limit printed"),
        (ratio("0.00", "0.00", "2.0"), "a ratio or limit of 0"),
    ],
)
def test_ratios_that_are_not_checkable(made, reason, tally):
    assert tally(MIDDLE, made) == (0, 0, {reason: 1})
    assert tally(PVALUE, made) == (0, 0, {reason: 1})
    assert tally(EVENTS, made) == (0, 0, {reason: 1})


def test_a_result_without_a_ratio_is_nothing_to_check(tally):
    assert tally(MIDDLE, ratio(None, p="0.04")) is None


# -- p-values


@pytest.mark.parametrize(
    ("hr", "low", "high", "p", "sign", "severity"),
    [
        ("4.4", "1.2", "16.7", "0.029", "=", None),
        ("3.9", "1.4", "10.5", "0.008", "=", None),
        ("0.49", "0.38", "0.64", "0.001", "<", None),  # z = 5.4
        ("0.49", "0.38", "0.64", "0.000", "=", None),
        ("15.6", "4.3", "56.8", "0.002", "=", "suspicious"),  # z = 4.2 by the interval and 3.1 by p
        ("0.49", "0.38", "0.64", "0.02", "=", "incoherent"),  # 5.4 and 2.3
        ("0.80", "0.60", "1.07", "0.001", "<", "incoherent"),  # 1.5 and more than 3.3
        ("0.80", "0.60", "1.07", "0.05", "<", None),  # 1.6 at most, and more than 1.96: another test
        ("0.85", "0.65", "1.11", "0.05", "<", "incoherent"),  # 1.3 at most
        ("0.80", "0.60", "1.07", "0.13", "=", None),
        ("0.80", "0.60", "1.07", "0.05", ">", None),
        ("0.49", "0.38", "0.64", "0.05", ">", "incoherent"),
        ("1.00", "0.60", "1.67", "0.99", "=", None),
    ],
)
def test_pvalues(hr, low, high, p, sign, severity, find):
    found = find(PVALUE, ratio(hr, low, high, p, sign))
    assert [one.severity for one in found] == ([severity] if severity else [])


def test_what_is_said_of_a_pvalue(find):
    (one,) = find(PVALUE, ratio("0.80", "0.60", "1.07", "0.001"))
    # z between |ln .805| / .1515 and |ln .795| / .1439
    assert one.message == (
        "treatment (treated vs control): HR 0.80 (95% CI 0.60–1.07), p = 0.001: the interval means p = 0.11 to p = 0.15"
    )
    assert one.explanation == "the p-value is of another test than the interval"
    assert one.n_corrections == 0
    (one,) = find(PVALUE, ratio("0.80", "0.60", "1.07", "0.01"))
    assert one.corrections == ("p 0.11 instead of 0.01",)


def test_pvalues_that_are_not_checkable(tally):
    assert tally(PVALUE, ratio("0.49", "0.38", "0.64")) == (0, 0, {"no p-value printed": 1})
    assert tally(PVALUE, ratio("0.49", "0.38", "0.64", "0.8", "~")) == (0, 0, {"no p-value printed": 1})


# -- events and patients


def test_fewer_patients_than_an_interval_needs(find):
    # a standard error of .133 needs 226 events, after rounding 209 at least
    assert find(EVENTS, ratio("0.49", "0.38", "0.64", n=233)) == ()
    assert find(EVENTS, ratio("0.49", "0.38", "0.64", n=209)) == ()
    (one,) = find(EVENTS, ratio("0.49", "0.38", "0.64", n=208))
    assert one.severity == "incoherent"
    assert one.message == (
        "treatment (treated vs control): HR 0.49 (95% CI 0.38–0.64) means a standard error of at most 0.138, and "
        "208 patients give at least 0.139 (209 events would be needed)"
    )
    assert "patients 209 instead of 208" in one.corrections


def test_events_bound_more_than_patients(find, tally):
    made = ratio("0.49", "0.38", "0.64", n=410)
    assert find(EVENTS, made, deaths(233, 410)) == ()
    (one,) = find(EVENTS, made, deaths(133, 410))
    assert "133 events give at least 0.173" in one.message
    assert "events 233 instead of 133" in one.corrections
    assert tally(EVENTS, made, deaths(133, 400)) == (1, 0, {})  # of other patients
    assert len(find(EVENTS, made, deaths(133, 410, "OS events"))) == 1
    for d, n_found in ((233, 0), (133, 1)):  # printed beside the curve of the same patients
        survival = ReportedSurvival.from_percent("A", "OS", years=[1], percent=[69], n_total=410, n_events=d)
        assert len(find(EVENTS, made, survival)) == n_found


def test_a_refuted_tutorial(find):
    """142 events cannot give 0.68 (0.51 to 0.91); they can give 0.6455 (0.4646 to 0.8970)."""
    assert len(find(EVENTS, ratio("0.68", "0.51", "0.91", n=300), deaths(142, 300))) == 1
    assert find(EVENTS, ratio("0.6455", "0.4646", "0.8970", n=300), deaths(142, 300)) == ()


def test_unequal_groups_know_less(find, curve):
    """Ten against 200 with 150 deaths: 2 over the root is .163, and .22 when ten at most are at risk."""
    groups = [curve([5], [30], 10, group="treated"), curve([5], [30], 200, group="control")]
    made = {"n": 210, "analysis": "univariable"}
    # a standard error of .19
    interval = ("1.00", "0.69", "1.45")
    (one,) = find(EVENTS, ratio(*interval, **made), deaths(150, 210), *groups)
    assert "150 events in groups of 10 and 200 give at least 0.219" in one.message
    assert find(EVENTS, ratio(*interval, **made), deaths(150, 210)) == ()
    adjusted = ratio(*interval, n=210)  # weights of covariates may make up for numbers
    assert find(EVENTS, adjusted, deaths(150, 210), *groups) == ()


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"analysis": "matched"}, "a matched analysis"),
        ({"levels": ("", "")}, "levels not stated"),
        ({"levels": ("higher", "lower")}, "perhaps continuous"),
        ({"levels": ("per 10 years", "x")}, "perhaps continuous"),
        ({"n": None}, "neither n nor events printed"),
    ],
)
def test_where_the_bound_does_not_hold(more, reason, tally):
    made = ratio("0.49", "0.38", "0.64", **{"n": 20, **more})
    assert tally(EVENTS, made) == (0, 0, {reason: 1})


def test_ratios_of_a_continuous_marker_break_the_bound():
    """Fibrinogen, cohorts with many events: no group could be told from others so surely. So the bound is not used."""
    for d, low, high in ((603, "1.76", "2.21"), (1474, "1.14", "1.36")):
        grouped = ratio("1.97" if d == 603 else "1.24", low, high, n=d)
        per_unit = ratio("1.97" if d == 603 else "1.24", low, high, n=d, levels=("per g/l", "lower"))
        assert audit(per_unit).select(check=EVENTS) == ()
        assert len(audit(grouped).select(check=EVENTS)) == 1


def test_results_of_another_meta_analysis_have_no_patients(tally):
    pooled = ratio("0.34", "0.21", "0.55", n=20, analysis="pooled")
    assert tally(EVENTS, pooled) is None
    assert tally(MIDDLE, pooled) == (1, 0, {})


# -- what is said


@pytest.mark.parametrize(
    ("direction", "hr", "about", "wrong"),
    [
        ("worse", "0.50", "", True),
        ("worse", "2.00", "", False),
        ("better", "2.00", "", True),
        ("worse", "2.00", "control", True),
        ("worse", "0.50", "control", False),
        ("worse", "1.00", "", False),
        ("worse", "0.996", "", True),
        ("none", "2.00", "", False),
        ("not stated", "2.00", "", False),
    ],
)
def test_directions(direction, hr, about, wrong, find):
    found = find(SAID, ratio(hr, direction=direction, hazard_ratio_for=about))
    assert [one.severity for one in found] == ["incoherent"] * wrong
    if wrong:
        assert (
            f"treated is said to do {direction}, yet the ratio for {about or 'treated'} is {hr}"
            in found[0].message
        )


@pytest.mark.parametrize(
    ("said", "printed", "wrong"),
    [
        ("yes", {"p": "0.04"}, False),
        ("yes", {"p": "0.05"}, False),
        ("yes", {"p": "0.06"}, True),
        ("yes", {"p": "0.05", "sign": ">"}, True),
        ("yes", {"p": "0.2", "sign": "<"}, False),
        ("no", {"p": "0.04"}, True),
        ("no", {"p": "0.05", "sign": "<"}, True),
        ("no", {"p": "0.06"}, False),
        ("no", {"p": "0.8", "sign": "~"}, False),
        ("yes", {"low": "0.6", "high": "1.4"}, True),
        ("yes", {"low": "0.4", "high": "0.9"}, False),
        ("no", {"low": "0.4", "high": "0.9"}, True),
        ("no", {"low": "0.6", "high": "1.0"}, False),
        ("not tested", {"p": "0.0001"}, False),
    ],
)
def test_significance(said, printed, wrong, find):
    found = find(SAID, ratio("0.8", significance=said, **printed))
    assert [one.severity for one in found] == ["suspicious"] * wrong


def test_curves_against_the_ratio(find, curve):
    worse = [curve([5], [30], 50, group="treated"), curve([5], [60], 50, group="control")]
    better = ratio("0.49", "0.38", "0.64", analysis="univariable")
    (one,) = find(SAID, better, *worse)
    assert one.severity == "incoherent"
    assert "yet OS at 5 years was 30% with treated and 60% with control" in one.message
    assert one.explanation == "the curves cross, or the ratio is adjusted"
    other = ratio("2.0", "1.5", "2.7", analysis="univariable", hazard_ratio_for="control")
    assert len(find(SAID, other, *worse)) == 1
    assert find(SAID, ratio("0.49", "0.38", "0.64"), *worse) == ()  # adjusted
    assert find(SAID, ratio("0.80", "0.60", "1.07", analysis="univariable"), *worse) == ()  # not clear
    assert find(SAID, ratio("2.0", "1.5", "2.7", analysis="univariable"), *worse) == ()


def test_nothing_said_is_nothing_to_check(tally):
    assert tally(SAID, ratio("2.0")) is None
    assert tally(SAID, ratio("2.0", p="0.04", significance="yes")) == (1, 0, {})
    assert tally(SAID, ratio(None, significance="yes")) is None


# -- ratio, test and events


def by_test(hr, p, n_events, **more):
    return ratio(hr, p=p, analysis="univariable", n_events=n_events, **more)


def test_a_ratio_that_test_and_events_do_not_give():
    # a public tutorial: chi-squared 6.8, p = 0.009, with 142 events is no ratio of 0.45 but of 0.65
    (found,) = audit(by_test("0.45", "0.009", 142, low="0.30", high="0.68", n_by_level=(100, 100))).select(
        check=EVENTS
    )
    assert found.severity == "suspicious"
    assert found.message == (
        "treatment (treated vs control): HR 0.45 (95% CI 0.30–0.68) is a ratio of 0.45, yet p = 0.009, "
        "142 events among 100 and 100 patients, doing better by the ratio mean 0.65"
    )


@pytest.mark.parametrize(
    "record",
    [
        by_test("0.65", "0.009", 142, low="0.46", high="0.90"),
        by_test("0.65", "0.009", None, low="0.46", high="0.90"),
        ratio("0.45", "0.30", "0.68", p="0.009", n_events=142),  # an adjusted p-value is of another test
    ],
)
def test_a_ratio_that_they_give(record):
    assert [f for f in audit(record).findings if "yet p =" in f.message] == []


def test_events_beside_the_ratio_bound_its_error():
    (found,) = audit(ratio("0.70", "0.60", "0.82", n_events=100)).select(check=EVENTS)
    assert "100 events give at least 0.200" in found.message
