"""Two arms of figures of known patients compared, held against what is printed, and refused when they cannot be."""

import json
import math
import re
import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from figures import Patients, at_risk, kaplan_meier, log_hazard_ratio, lower_corners, pairs, patients, table
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines.statistics import logrank_test

from netsynth.arms import compare_arms
from netsynth.errors import (
    BoundaryWarning,
    InconsistentReportWarning,
    InvalidInputError,
    NarrowIntervalWarning,
    NetsynthWarning,
    ReportedTextError,
    UnusableDataWarning,
)
from netsynth.ipd import reconstruct_ipd
from netsynth.reported import parse_reported

#: Freireich EJ et al. (1963): weeks in remission on 6-MP and on placebo.
MP = Patients(
    np.array([6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35.0]),
    np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]),
)
PLACEBO = Patients(
    np.array([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23.0]),
    np.ones(21, dtype=int),
)


def figure_of(data, label, *, every=5.0, unit="week", **more):
    """An arm from the exact corners of its curve and numbers at risk."""
    at = np.arange(0.0, data.time.max(), every)
    return reconstruct_ipd(
        *lower_corners(data),
        at_risk_time=at,
        n_at_risk=at_risk(data.time, at),
        steps=True,
        unit=unit,
        label=label,
        **more,
    )


@cache
def freireich():
    return figure_of(MP, "6-MP"), figure_of(PLACEBO, "placebo")


@cache
def clicked(pair, scenario):
    """Both arms of a public data set as they are read from a picture, and the patients themselves."""
    ((first, second),) = [both for both in pairs() if both[0].pair == pair and both[0].scenario == scenario]
    arms = [
        reconstruct_ipd(*case.points, **case.table, axis_end=case.axis_end, unit=case.unit, label=case.id)
        for case in (first, second)
    ]
    return *arms, first.truth, second.truth


@cache
def compared(**options):
    return compare_arms(*freireich(), n_draws=10, **options)


def test_freireich_1963():
    # 9 of 21 and 21 of 21 relapsed; log-rank 16.79; Cox with Efron's ties -1.5721 (0.4124); means up to 20 weeks
    # 16.116527 (1.251560) and 8.428571 (1.268083); what reconstruction may add to the log ratio is 0.06
    found = compared(horizon=20.0, landmarks=(10.0,))
    assert (found.treated.n_events, found.control.n_events) == (9, 21)
    assert found.log_hr.reconstructed == pytest.approx(-1.5721, abs=0.06)
    assert found.log_hr.reconstructed_se == pytest.approx(0.4124, abs=0.01)
    assert found.log_rank.observed == 9
    assert found.log_rank.chi2 == pytest.approx(16.79, abs=1.0)
    assert found.log_rank.pvalue == pytest.approx(4.169e-5, rel=0.6)
    assert found.rmst_difference.reconstructed == pytest.approx(16.116527 - 8.428571, abs=0.05)
    assert found.rmst_difference.reconstructed_se == pytest.approx(np.hypot(1.25156, 1.268083), abs=0.05)
    assert found.rmst_ratio.natural == pytest.approx(16.116527 / 8.428571, abs=0.02)
    (difference,), (ratio,) = found.survival_difference, found.survival_ratio
    assert difference.reconstructed == pytest.approx(0.75294 - 0.38095, abs=0.005)
    assert difference.reconstructed_se == pytest.approx(np.hypot(0.0963, 0.1060), abs=0.002)
    assert ratio.natural == pytest.approx(0.75294 / 0.38095, abs=0.02)
    assert found.medians == (23.0, 8.0)
    assert found.median_ratio == 23 / 8
    low, high = found.sampling_interval()
    assert (low, high) == pytest.approx((0.0925, 0.4659), abs=0.02)


@pytest.mark.parametrize("pair", ["colon_death", "lung_sex", "retinopathy_trt", "rossi_fin"])
@pytest.mark.parametrize("scenario", ["good", "corners"])
def test_public_data_are_told_apart_as_the_patients_tell(pair, scenario):
    treated, control, *truth = clicked(pair, scenario)
    effect, se = log_hazard_ratio(*truth)
    with warnings.catch_warnings():
        warnings.simplefilter("error", InconsistentReportWarning)
        warnings.simplefilter("ignore", UnusableDataWarning)
        found = compare_arms(treated, control, n_draws=10, printed_hr=f"{math.exp(effect):.2f}")
    assert abs(found.log_hr.reconstructed - effect) < 0.25 * se
    assert abs(found.log_hr.estimate - effect) < 0.25 * se
    assert found.log_hr.se == pytest.approx(se, rel=0.1)
    theirs = logrank_test(truth[0].time, truth[1].time, truth[0].event, truth[1].event)
    assert math.sqrt(found.log_rank.chi2) == pytest.approx(math.sqrt(theirs.test_statistic), abs=0.3)
    horizon = found.horizon
    means = [kaplan_meier(*data).mean(horizon) for data in truth]
    assert found.rmst_difference.estimate == pytest.approx(
        means[0] - means[1], abs=0.25 * found.rmst_difference.se
    )
    assert found.is_consistent


def test_rubins_rules_over_pairs_of_data_sets():
    treated, control, *_ = clicked("lung_sex", "poor")
    found = compare_arms(treated, control, n_draws=6, horizon=12.0)

    def analysis(one, other):
        effect, se = log_hazard_ratio(one, other)
        return effect, se**2

    combined = found.treated_draws.combine(analysis, found.control_draws, measure="log_hr")
    assert found.log_hr.estimate == pytest.approx(combined.estimate, abs=1e-8)
    assert found.log_hr.se == pytest.approx(combined.se, rel=1e-6)
    assert found.log_hr.df == pytest.approx(combined.df, rel=1e-4)
    assert found.log_hr.reporting_loss == pytest.approx(combined.reporting_loss, rel=1e-4)
    assert found.hazard_ratio_interval(0.9) == pytest.approx(combined.natural_interval(0.9), rel=1e-6)
    means = [each.rmst(12.0) for each in (found.treated_draws, found.control_draws)]
    assert found.rmst_difference.estimate == pytest.approx(means[0].estimate - means[1].estimate)
    # the arms are independent, so that their variances add up but for the chance covariance of a few draws
    within = sum(each.within.item() for each in means)
    assert found.rmst_difference.se**2 == pytest.approx(within, rel=0.1)
    assert found.rmst_difference.se**2 > within


def test_swapped_arms_turn_the_sign():
    there = compared(horizon=20.0, landmarks=(10.0,))
    back = compare_arms(*freireich()[::-1], n_draws=10, horizon=20.0, landmarks=[10])
    for one, other in zip(there.effects, back.effects, strict=True):
        assert one.reconstructed == pytest.approx(-other.reconstructed, abs=1e-9)
        assert one.reconstructed_se == pytest.approx(other.reconstructed_se)
    assert there.log_rank.chi2 == pytest.approx(back.log_rank.chi2)


def test_an_arm_against_itself_does_not_differ():
    arm, _ = freireich()
    found = compare_arms(arm, replace(arm, label="again"), n_draws=5, landmarks=[10])
    for effect in found.effects[:-1]:
        assert effect.reconstructed == pytest.approx(0, abs=1e-12)
        low, high = effect.confidence_interval()
        assert low < 0 < high
    assert found.log_rank.pvalue == pytest.approx(1.0)


def test_the_unit_of_time_leaves_the_ratio():
    weeks = compared(horizon=20.0, landmarks=(10.0,))
    scaled = [Patients(7 * data.time, data.event) for data in (MP, PLACEBO)]
    arms = [figure_of(data, "", every=35.0, unit="day") for data in scaled]
    days = compare_arms(*arms, n_draws=10, horizon=140, landmarks=[70])
    assert days.log_hr.reconstructed == pytest.approx(weeks.log_hr.reconstructed, abs=1e-9)
    assert days.rmst_difference.reconstructed == pytest.approx(7 * weeks.rmst_difference.reconstructed)
    assert days.trend.reconstructed == pytest.approx(weeks.trend.reconstructed)
    assert (days.treated.label, days.control.label) == ("treated", "control")


def test_the_same_seed_gives_the_same_numbers():
    treated, control, *_ = clicked("lung_sex", "poor")
    one, two, other = (compare_arms(treated, control, n_draws=3, rng=seed) for seed in (1, 1, 2))
    assert one.log_hr == two.log_hr
    assert one.log_hr.estimate != other.log_hr.estimate
    assert one.log_hr.reconstructed == other.log_hr.reconstructed


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["exponential", "early", "tied"]))
def test_what_always_holds(seed, life):
    rng = np.random.default_rng(seed)
    one, other = (patients(rng, n, life) for n in (40, 60))
    arms = [
        reconstruct_ipd(*lower_corners(data), **table(data, 4), steps=True, label=label)
        for data, label in ((one, "a"), (other, "b"))
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        found = compare_arms(*arms, n_draws=3)
    low, high = found.hazard_ratio_interval()
    assert low <= found.hazard_ratio <= high
    wide = found.hazard_ratio_interval(0.99)
    assert wide.lower <= low
    assert high <= wide.upper
    assert 0 <= found.log_rank.least_pvalue <= found.log_rank.most_pvalue <= 1
    assert found.log_hr.se >= 2 / math.sqrt(found.treated.n_total + found.control.n_total)
    assert str(found)


# --- infinite ratios


def late_relapse():
    """Nobody relapses before the last of the placebo arm has."""
    data = Patients(np.array([30.0, 31, 32, 33, 34, 35, 36, 37, 38, 40]), np.array([1, 1, *8 * [0]]))
    return figure_of(data, "late", every=10.0)


def test_an_infinite_ratio_is_said_and_bounded():
    with pytest.warns(BoundaryWarning, match="the likelihood of the hazard ratio has no maximum") as caught:
        found = compare_arms(late_relapse(), freireich()[1], n_draws=4, horizon=20)
    assert [each.category for each in caught] == [BoundaryWarning]
    assert found.hazard_ratio == 0.0
    assert found.log_hr.estimate == -math.inf
    assert math.isnan(found.log_hr.se)
    low, high = found.hazard_ratio_interval()
    assert low == 0.0
    assert 0 < high < 0.5
    assert found.hazard_ratio_interval(0.99).upper > high
    assert found.sampling_interval() == pytest.approx((low, high), rel=0.05)
    assert found.log_rank.pvalue < 0.001
    assert math.isnan(found.trend.pvalue)
    assert "cannot be tested" in str(found)
    frame = found.summary_frame()
    assert frame.loc["hazard ratio", "ci_upper"] == pytest.approx(math.log(high))
    assert not re.search(r"e\+?\d", str(found))
    with pytest.warns(BoundaryWarning):
        back = compare_arms(freireich()[1], late_relapse(), n_draws=4, horizon=20)
    assert back.hazard_ratio == math.inf
    assert back.hazard_ratio_interval().upper == math.inf
    assert back.hazard_ratio_interval().lower == pytest.approx(1 / high, rel=0.05)


# --- printed numbers


def test_printed_numbers_that_agree():
    treated, control, *truth = clicked("colon_death", "good")
    effect, se = log_hazard_ratio(*truth)
    low, high = (math.exp(effect + side * 1.96 * se) for side in (-1, 1))
    printed = f"HR {math.exp(effect):.2f} (95% CI {low:.2f}-{high:.2f}; p = 0.002)"
    found = compare_arms(treated, control, n_draws=8, printed_hr=printed)
    labels = [check.label for check in found.checks]
    assert labels == ["hazard ratio", "lower limit", "upper limit", "log-rank p"]
    assert found.is_consistent
    assert not found.warnings
    for check in found.checks:
        assert check.least <= check.most
        assert check.agreement in ("as printed", "within what the figures leave open", "near")
    same = [
        compare_arms(treated, control, n_draws=8, printed_hr=form, printed_pvalue="p = 0.002").checks
        for form in (
            parse_reported(printed),
            (f"{math.exp(effect):.2f}", f"{low:.2f}", f"{high:.2f}"),
        )
    ]
    assert same == [found.checks, found.checks]


def test_a_bound_on_the_pvalue_is_a_bound():
    (check,) = compared(printed_pvalue="<0.001").checks
    assert check.agreement == "as printed"
    with pytest.warns(InconsistentReportWarning, match=r"log-rank p >0\.05, but the figures give < 0\.001"):
        (check,) = compare_arms(*freireich(), n_draws=3, printed_pvalue="> 0.05").checks
    assert check.agreement == "DISAGREES"
    # z is about 4.1, and 1.96 at 0.05
    assert check.distance == pytest.approx(-(math.sqrt(16.79) - 1.96), abs=0.15)


def test_a_ratio_of_other_patients_disagrees():
    with pytest.warns(InconsistentReportWarning) as caught:
        found = compare_arms(*freireich(), n_draws=3, printed_hr="0.60")
    (check,) = found.checks
    assert not found.is_consistent
    assert check.distance == pytest.approx((-1.5721 - math.log(0.595)) / 0.4124, abs=0.2)
    (warning,) = caught
    assert str(warning.message).startswith(
        "6-MP against placebo: the paper prints hazard ratio 0.60, but the figures give 0.2"
    )
    assert str(warning.message).endswith("is it adjusted or stratified, or of other patients?")
    assert warning.filename == __file__
    assert found.warnings[0].message in str(warning.message)


def test_a_ratio_the_other_way_round_is_recognised():
    with pytest.warns(
        InconsistentReportWarning, match=r"its inverse, 0\.20, would be nearer: is it that of placebo"
    ):
        compare_arms(*freireich(), n_draws=3, printed_hr="4.9")


def test_without_numbers_at_risk_these_are_blamed():
    bare = [
        reconstruct_ipd(*lower_corners(data), n_total=21, steps=False, unit="week", label=label)
        for data, label in ((MP, "6-MP"), (PLACEBO, "placebo"))
    ]
    with pytest.warns(
        InconsistentReportWarning,
        match="without numbers at risk of 6-MP and placebo the censorings are guessed",
    ):
        compare_arms(*bare, n_draws=3, printed_hr="0.70")


@pytest.mark.parametrize("scenario", ["poor", "corners"])
def test_constrained_data_sets_reproduce_what_is_printed(scenario):
    treated, control, *_ = clicked("lung_sex", scenario)
    free = compare_arms(treated, control, n_draws=15)
    ratio = free.hazard_ratio
    found = compare_arms(treated, control, n_draws=15, printed_hr=f"{ratio:.2f}", constrain=True)
    assert found.constraint.was_used
    assert found.constraint.n_agreeing <= found.constraint.n_tried <= 15 * 15
    assert f"hazard ratio {ratio:.2f}: {found.constraint.n_agreeing} of" in str(found)
    drawn = list(zip(found.treated_draws.draws, found.control_draws.draws, strict=True))
    assert 10 <= len(drawn) <= 15
    assert len({(id(a.time), id(b.time)) for a, b in drawn}) == len(drawn)
    for pair in drawn:
        assert abs(math.exp(log_hazard_ratio(*pair)[0]) - round(ratio, 2)) <= 0.005 + 1e-9
    effects = [log_hazard_ratio(*pair)[0] for pair in drawn]
    assert found.log_hr.estimate == pytest.approx(np.mean(effects), abs=1e-8)
    assert found.log_hr.reporting_loss <= free.log_hr.reporting_loss + 1e-9
    assert found.log_hr.reconstructed == free.log_hr.reconstructed


def test_a_pvalue_constrains_too():
    treated, control, *_ = clicked("rossi_fin", "poor")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        free = compare_arms(treated, control, n_draws=15)
        middle = math.sqrt(free.log_rank.least_pvalue * free.log_rank.most_pvalue)
        printed = f"{middle:.2f}"
        found = compare_arms(treated, control, n_draws=15, printed_pvalue=printed, constrain=True)
    assert found.constraint.label == f"log-rank p {printed}"
    assert found.constraint.was_used
    for one, other in zip(found.treated_draws.draws, found.control_draws.draws, strict=True):
        p = logrank_test(one.time, other.time, one.event, other.event).p_value
        assert abs(p - float(printed)) <= 0.005 + 1e-9


def test_a_constraint_that_nothing_meets_is_not_used():
    treated, control, *_ = clicked("lung_sex", "good")
    free = compare_arms(treated, control, n_draws=5)
    with pytest.warns(InconsistentReportWarning) as caught:
        found = compare_arms(treated, control, n_draws=5, printed_hr="0.91", constrain=True)
    assert not found.constraint.was_used
    assert found.constraint.n_agreeing == 0
    assert found.constraint.n_tried == 25
    assert found.log_hr == free.log_hr
    assert [str(each.message).partition(": ")[2] for each in caught][1] == str(found.constraint)
    assert "NOT USED, 0 of 25 data sets reproduce it" in str(found)


# --- what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"horizon": 36},
            "6-MP: the horizon 36 lies beyond the follow-up, which ends at 35 weeks. Choose one up to then.",
        ),
        ({"landmarks": [10, 40]}, "6-MP: the landmark 40 lies beyond the follow-up, which ends at 35 weeks."),
        ({"landmarks": [10, 5]}, "landmarks must increase; got 5 at position 1 after 10."),
        ({"landmarks": [0]}, "landmarks must be positive; got 0 at position 0."),
        ({"horizon": -3}, "horizon must be positive; got -3 at position 0."),
        ({"n_draws": 1}, "n_draws must be a whole number of at least 2; got 1."),
        ({"constrain": True}, "There is nothing to constrain by: give printed_hr or printed_pvalue."),
        (
            {"printed_hr": (0.5, 0.4)},
            "printed_hr must be a ratio or a ratio and its two limits; got 2 numbers.",
        ),
        (
            {"printed_hr": "OR 0.5"},
            "printed_hr must be a hazard ratio above 0, such as '0.49 (0.38-0.64)'; got OR 0.5.",
        ),
        ({"printed_hr": 0}, "printed_hr must be a hazard ratio above 0"),
        ({"printed_hr": -0.5}, "-0.5 is no ratio"),
        (
            {"printed_hr": (0.5, 0.6, 0.9)},
            "0.5 lies outside the confidence interval 0.6–0.9. Check the transcription",
        ),
        ({"printed_pvalue": 1.5}, "1.5 is no pvalue: it must lie in [0, 1]."),
        ({"printed_pvalue": "50%"}, "percent"),
    ],
)
def test_impossible_input_is_refused(options, message):
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        compare_arms(*freireich(), **{"n_draws": 2, **options})


@pytest.mark.parametrize("options", [{"printed_hr": "about half"}, {"printed_pvalue": "significant"}])
def test_text_that_cannot_be_read_is_refused(options):
    with pytest.raises(ReportedTextError):
        compare_arms(*freireich(), n_draws=2, **options)


def test_arms_in_different_units_are_refused():
    mp, placebo = freireich()
    message = (
        "All arms must count time in one unit; 6-MP does in months, placebo in weeks. Reconstruct both from times in "
        "one unit."
    )
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        compare_arms(replace(mp, unit="month"), placebo)


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        (
            lambda a, _b: (a, None),
            "compare_arms takes two arms from reconstruct_ipd, or a mapping of names to arms",
        ),
        (lambda a, b: ([a, b], "x"), "got list and str."),
        (lambda a, _b: ({"x": a}, "x"), "A comparison needs at least two arms; got only x."),
        (lambda a, b: ({"x": a, "y": b}, "z"), "control must be one of x, y; got 'z'."),
        (lambda a, _b: ({"x": a, "y": 3}, "x"), "y: an arm comes from reconstruct_ipd; got int."),
    ],
)
def test_what_is_no_pair_of_arms_is_refused(arms, message):
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        compare_arms(*arms(*freireich()))


def test_an_arm_whose_survival_is_known_to_the_end_sets_no_limit():
    found = compared()
    assert found.horizon == 30.0  # 6-MP has numbers at risk every 5 weeks before 35; placebo ends at 23


def test_without_numbers_at_risk_the_mean_is_taken_as_far_as_every_data_set_goes():
    bare = [
        reconstruct_ipd([0, 4, 9, 20], [1, 0.9, level, 0.5], n_total=40, label=label)
        for level, label in ((0.7, "a"), (0.6, "b"))
    ]
    found = compare_arms(*bare, n_draws=8)
    ends = [data.time.max() for each in (found.treated_draws, found.control_draws) for data in each.draws]
    assert found.horizon == pytest.approx(min(20.0, *ends))
    assert math.isfinite(found.rmst_difference.se)


def test_a_landmark_without_events_or_patients_is_said():
    with pytest.warns(NetsynthWarning) as caught:
        found = compare_arms(*freireich(), n_draws=3, landmarks=[3, 24])
    by_kind = {each.category: str(each.message) for each in caught}
    assert by_kind.keys() == {NarrowIntervalWarning, UnusableDataWarning}
    assert "nobody in 6-MP has had an event at 3" in by_kind[NarrowIntervalWarning]
    assert "nobody in placebo is left at 24" in by_kind[UnusableDataWarning]
    early, late = found.survival_difference
    assert early.se > 0
    assert late.natural == pytest.approx(0.4482, abs=0.01)
    assert math.isnan(late.se)
    assert math.isnan(found.survival_ratio[1].estimate)
    assert all(each.filename == __file__ for each in caught)


# --- several arms


def test_several_arms_against_one():
    mp, placebo = freireich()
    found = compare_arms(
        {"placebo": placebo, "6-MP": mp, "double": mp},
        "placebo",
        n_draws=4,
        horizon=20,
        printed_hr={"6-MP": "0.21"},
        printed_pvalue={"double": "<0.001"},
    )
    assert list(found.comparisons) == ["6-MP", "double"]
    assert len(found) == 2
    assert found["6-MP"].log_hr.reconstructed == pytest.approx(compared(horizon=20.0).log_hr.reconstructed)
    assert found["double"].treated.label == "double"
    assert [check.label for check in found["6-MP"].checks] == ["hazard ratio"]
    assert [check.label for check in found["double"].checks] == ["log-rank p"]
    assert found.df == 2
    assert found.pvalue < 1e-4
    first, second = (each.control_draws for each in found.comparisons.values())
    assert first is second
    frame = found.summary_frame()
    assert frame.index.names == ["arm", "effect"]
    assert len(frame) == 8
    text = str(found)
    assert text.startswith("2 arms against placebo; log-rank chi2")
    assert text.count("hazard ratio") == 2
    assert "<table>" in found._repr_html_()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"printed_hr": 0.5}, "With several arms printed_hr must be a mapping from their names; got 0.5."),
        ({"printed_pvalue": {"placebo": 0.5}}, "printed_pvalue, an arm must be one of 6-MP; got 'placebo'."),
    ],
)
def test_printed_numbers_of_several_arms_are_by_name(options, message):
    mp, placebo = freireich()
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        compare_arms({"6-MP": mp, "placebo": placebo}, "placebo", n_draws=2, **options)


def test_an_arm_may_be_called_control():
    mp, placebo = freireich()
    found = compare_arms({"control": placebo, "treated": mp}, "control", n_draws=2, horizon=20)
    assert found["treated"].log_hr.reconstructed == pytest.approx(compared(horizon=20.0).log_hr.reconstructed)


# --- the result


def test_a_result_tells_everything():
    found = compared(horizon=20.0, landmarks=(10.0,), printed_hr="0.21 (0.09-0.47)")
    text = str(found)
    for words in (
        "6-MP (9 events in 21) against placebo (21 events in 21)",
        "from 10 data sets that the figures allow",
        "mean up to 20 weeks, difference",
        "survival at 10 weeks, difference in points",
        "9 events among the treated",
        "23.0 and 8.00 weeks, ratio 2.88",
        "printed upper limit 0.47",
    ):
        assert words in text
    assert found._repr_html_().count("<table>") == 2
    frame = found.summary_frame(0.9)
    assert frame.index.tolist() == [effect.label for effect in found.effects]
    assert frame.loc["hazard ratio", "ci_lower"] == pytest.approx(found.log_hr.confidence_interval(0.9).lower)
    assert frame.loc["mean up to 20 weeks, difference", "pvalue"] == found.rmst_difference.pvalue
    assert found.checks_frame().loc["lower limit", "printed"] == "0.09"
    known = json.loads(json.dumps(found.to_dict()))
    assert known["effects"][0]["estimate"] == found.log_hr.estimate
    assert known["checks"][0]["agreement"] == found.checks[0].agreement
    assert known["constraint"] is None


def test_a_pvalue_is_that_of_its_interval():
    effect = compared(horizon=20.0, landmarks=(10.0,)).survival_difference[0]
    assert effect.confidence_interval(1 - effect.pvalue).lower == pytest.approx(0, abs=1e-9)


def test_lifelines_agrees():
    found = compared(horizon=20.0, landmarks=(10.0,))
    model = found.cox()
    assert model.params_["group"] == pytest.approx(found.log_hr.reconstructed, abs=1e-5)
    assert model.standard_errors_["group"] == pytest.approx(found.log_hr.reconstructed_se, rel=1e-4)


def test_differences_at_other_times_are_those_of_the_effects():
    found = compared(horizon=20.0, landmarks=(10.0,))
    survival = found.difference_frame([5.0, 10.0])
    (effect,) = found.survival_difference
    row = survival.loc[10.0]
    assert (row.estimate, row.se, row.df) == pytest.approx((effect.estimate, effect.se, effect.df))
    assert (row.ci_lower, row.ci_upper) == pytest.approx(effect.confidence_interval())
    mean = found.difference_frame([20.0], "rmst", level=0.9)
    assert (mean.ci_lower.item(), mean.ci_upper.item()) == pytest.approx(
        found.rmst_difference.confidence_interval(0.9)
    )
    assert np.isnan(found.difference_frame([50.0]).estimate.item())
    with pytest.raises(
        InvalidInputError, match="6-MP against placebo: quantity must be one of survival, rmst"
    ):
        found.difference_frame([5.0], "hazard")
