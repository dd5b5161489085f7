import math

import pytest

from netsynth.data.endpoint import find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.marker import (
    CutPoint,
    MarkerScale,
    cut_point,
    cut_points,
    is_cut_point_chosen,
    marker_scale,
    marker_step,
)
from netsynth.errors import InvalidInputError


@pytest.mark.parametrize(
    ("scale", "text"),
    [
        (MarkerScale.per_units(), "per unit"),
        (MarkerScale.per_units(unit="cm"), "per cm"),
        (MarkerScale.per_units(10, unit="ng/mL"), "per 10 ng/mL"),
        (MarkerScale.per_units(10), "per 10 units"),
        (MarkerScale.per_units(10, unit="year"), "per 10 years"),
        (MarkerScale.per_units(unit="%"), "per 1%"),
        (MarkerScale.per_units(10, unit="%"), "per 10%"),
        (MarkerScale.per_sd(), "per SD"),
        (MarkerScale.per_sd(size=2), "per 2 SD"),
        (MarkerScale.per_fold(), "per doubling"),
        (MarkerScale.per_fold(10), "per 10-fold"),
        (MarkerScale.per_log_sd(), "per SD of the logarithm"),
        (MarkerScale.extreme_groups(3), "highest against lowest of 3 equal groups"),
        (MarkerScale.split(5, unit="cm"), "above against below 5 cm"),
    ],
)
def test_words(scale, text):
    assert str(scale) == text
    assert MarkerScale.from_json(scale.to_json()) == scale


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: MarkerScale("per mm", 1),
            r"kind must be one of units, sd, fold, log sd, groups, cut, unclear; got 'per mm'\.",
        ),
        (lambda: MarkerScale.per_units(0), r"marker scale 'units': size must be above 0; got 0\."),
        (lambda: MarkerScale.per_fold(1), r"marker scale 'fold': size must be above 1; got 1\."),
        (
            lambda: MarkerScale.per_units(math.nan),
            r"marker scale 'units': size must be a finite number; got nan\.",
        ),
        (
            lambda: MarkerScale.extreme_groups(2.5),
            r"marker scale 'groups': the number of groups must be whole; got 2\.5\.",
        ),
        (
            lambda: MarkerScale.per_sd(-1),
            r"marker scale 'sd': a standard deviation must be positive; got -1\.",
        ),
    ],
)
def test_refused(make, message):
    with pytest.raises(InvalidInputError, match=f"^{message}$"):
        make()


@pytest.mark.parametrize(
    ("level", "found"),
    [
        ("> 5 cm", (">", 5.0, "cm")),
        ("≥ 20%", (">=", 20.0, "%")),
        ("<= 2,5 ng/mL", ("<=", 2.5, "ng/ml")),
        ("70 or older", (">=", 70.0, "")),
        ("over 65", (">", 65.0, "")),
        ("under 90% of tumour volume", ("<", 90.0, "%")),
        ("50% or less", ("<=", 50.0, "%")),
        ("3 or more", (">=", 3.0, "")),
        ("G3", None),
        ("grade 3", None),
        ("5 to 10 cm", None),
        ("larger", None),
        ("", None),
    ],
)
def test_levels_that_name_a_cut_point(level, found):
    assert cut_point(level) == found


def result(notes="", adverse="> 5 cm", **more):
    return ReportedFactor("Lund", "size", find_endpoint("OS"), adverse, "<= 5 cm", notes=notes, **more)


@pytest.mark.parametrize(
    "notes",
    [
        "optimal cut-off",
        "ROC analysis",
        "by the Youden index",
        "X-tile",
        "maximally selected rank statistics",
        "the optimal Ki-67 cut-off",
        "cut-point optimised for OS",
        "optimum threshold",
        "best cut-off",
        "minimum p-value approach",
    ],
)
def test_a_cut_point_chosen_by_the_outcome_is_flagged(notes):
    assert all(point.is_chosen_by_outcome for point in cut_points(result(notes)))
    assert "(chosen by the outcome)" in str(cut_points(result(notes))[0])


@pytest.mark.parametrize(
    "notes",
    [
        "",
        "in the process of care",
        "median",
        "protocol",
        "proctology",
        "optimal cytoreduction",
        "after optimal medical therapy",
        "no optimal cut-off was looked for",
        "not by ROC",
    ],
)
def test_other_words_flag_nothing(notes):
    assert not any(point.is_chosen_by_outcome for point in cut_points(result(notes)))


def test_levels_without_a_number_have_no_cut_point():
    assert [point.level for point in cut_points(result(adverse="large"))] == ["<= 5 cm"]
    assert str(cut_points(result())[0]) == "Lund, size: > 5 cm"
    assert cut_points(result(extra=(("cut-off", "optimal"),)))[0].is_chosen_by_outcome


def test_a_cut_point_that_no_level_names_can_have_been_chosen():
    assert is_cut_point_chosen(result("optimal cut-off", "high"))
    no_split = ReportedFactor(
        "Lund", "margin", find_endpoint("OS"), "R1", "R0", notes="nomogram with ROC analysis"
    )
    assert not is_cut_point_chosen(no_split)
    assert not is_cut_point_chosen(result("median"))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ((5.0, "cm"), (50.0, "mm"), True),
        ((0.3, "cm"), (3.0, "mm"), True),
        ((5.0, "cm"), (5.0, "mm"), False),
        ((5.0, "%"), (5.0, "%"), True),
    ],
)
def test_lengths_are_compared_in_one_unit(one, other, same):
    places = [CutPoint("Lund", "size", "", ">", *each).place for each in (one, other)]
    assert (places[0] == places[1]) == same


@pytest.mark.parametrize(
    ("level", "kind", "size", "unit"),
    [
        ("per 1%", "units", 1, "%"),
        ("Per 10 % increase", "units", 10, "%"),
        ("10% increase", "units", 10, "%"),
        ("per percentage point", "units", 1, "%"),
        ("per year", "units", 1, "year"),
        ("per 1-year increase", "units", 1, "year"),
        ("older, per year", "units", 1, "year"),
        ("each 10 years of age", "units", 10, "year"),
        ("per decade", "units", 10, "year"),
        ("per 5 mm", "units", 0.5, "cm"),
        ("per 1,000 ng/mL", "units", 1000, "ng/ml"),
        ("per 0.5 cm", "units", 0.5, "cm"),
        ("increase (per 2 cm)", "units", 2, "cm"),
        ("per unit", "units", 1, ""),
        ("continuous", "unclear", 1, "continuous"),
        ("as a continuous variable", "unclear", 1, "continuous"),
        ("as continuous variable", "unclear", 1, "continuous"),
        ("age (continuous)", "unclear", 1, "age (continuous)"),
        ("years (continuous)", "unclear", 1, "years (continuous)"),
        ("quantitative", "unclear", 1, "quantitative"),
        ("increasing age", "unclear", 1, "increasing age"),
        ("log-transformed", "unclear", 1, "log-transformed"),
        ("log2", "fold", 2, ""),
        ("log10(CEA)", "fold", 10, ""),
        ("ln(CA19-9)", "fold", math.e, ""),
        ("/year", "units", 1, "year"),
        ("/cm", "units", 1, "cm"),
        ("/10 years", "units", 10, "year"),
        ("increase of 1 cm", "units", 1, "cm"),
        ("a decrease of 2 g/dL", "units", 2, "g/dl lower"),
        ("unit increase", "units", 1, ""),
        ("each additional year", "units", 1, "year"),
        ("per 5 extra years", "units", 5, "year"),
        ("per log unit", "units", 1, "log unit"),
        ("per 1 g/dL decrease", "units", 1, "g/dl lower"),
        ("per year younger", "units", 1, "year lower"),
        ("per SD", "sd", 1, ""),
        ("per 1-SD increase", "sd", 1, ""),
        ("per two standard deviations", "sd", 2, ""),
        ("per doubling", "fold", 2, ""),
        ("doubling", "fold", 2, ""),
        ("per 10-fold increase", "fold", 10, ""),
        ("per log2 unit", "fold", 2, ""),
        ("per log10 unit", "fold", 10, ""),
        ("per ln unit", "fold", math.e, ""),
        ("per log SD", "log sd", 1, ""),
    ],
)
def test_what_a_ratio_per_step_is_of(level, kind, size, unit):
    step = marker_step(level)
    assert (step.kind, step.size, step.unit) == (kind, pytest.approx(size), unit)


@pytest.mark.parametrize(
    "level",
    [
        "",
        "high",
        "older",
        "> 65",
        "65 or older",
        "> 2 per 10 fields",
        "2 or more per 10 HPF",
        "more than 20 mitoses per 10 HPF",
        "grade per WHO",
        "10% or more decrease",
        "per 0 units",
        "permanent",
        "continuous infusion",
        "non-continuous",
        "discontinuous",
        "increased",
        "LN",
        "LN (+)",
        "LN(+)",
        "ln(positive)",
        "log-rank",
        "high (log2)",
        "log2 > 3",
    ],
)
def test_a_group_is_no_step(level):
    assert marker_step(level) is None


@pytest.mark.parametrize(
    ("adverse", "reference", "text"),
    [
        ("continuous", "", "continuous"),
        ("", "/year", "per year"),
        ("continuous", "intermittent", "None"),
        ("decrease of 50%", "stable", "None"),
        ("per 10% increase", "none", "per 10%"),
        ("high", "low", "None"),
    ],
)
def test_words_of_a_continuous_marker_beside_another_level_are_a_group(adverse, reference, text):
    assert str(marker_scale(ReportedFactor("Lund", "size", find_endpoint("OS"), adverse, reference))) == text


def test_a_step_down_has_a_step_up():
    down = marker_step("per 2 g/dL decrease")
    assert (down.is_down, str(down.up), down.up.is_down) == (True, "per 2 g/dl", False)
    assert marker_step("per SD decrease").up == MarkerScale.per_sd()
    up = marker_step("per year")
    assert up.up is up


@pytest.mark.parametrize("words", ["X-tile", "maxstat", "surv_cutpoint", "Contal and O'Quigley"])
def test_ways_of_choosing_that_have_no_other_use_suffice(words):
    assert is_cut_point_chosen(ReportedFactor("Lund", "CRP", find_endpoint("OS"), f"high ({words})", "low"))
    assert not is_cut_point_chosen(
        ReportedFactor("Lund", "CRP", find_endpoint("OS"), "high", "low", notes=f"not by {words}")
    )
