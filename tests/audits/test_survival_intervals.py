import math
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from netsynth.audit import audit
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.study import Group
from netsynth.data.survival import ReportedSurvival, SurvivalPoint
from netsynth.kernels.survival_variance import SCALES, interval

CHECK = "interval of survival"


def point(share, low, high, year=1, at_risk=None, level=0.95):
    def number(text):
        return None if text is None else ReportedNumber(text, "percent")

    ci = ReportedInterval(number(low), number(high), level)
    return SurvivalPoint(ReportedNumber(str(year), "year"), ReportedNumber(share, "percent"), ci, at_risk)


def printed(*points, n=None):
    return replace(
        ReportedSurvival.from_percent("A", "OS", years=[1], percent=[50]),
        points=points,
        group=Group(n_total=n),
    )


@pytest.mark.parametrize(
    ("share", "low", "high", "scales"),
    # KEYNOTE-189 at 12 months, and the primary biliary cirrhosis trial at 5 and 10 years
    [
        ("69.2", "64.1", "73.8", ("log-log", "logit")),
        ("49.4", "42.1", "56.2", ("log-log",)),
        ("69.9", "62.8", "77.9", ("log",)),
        ("37.2", "25.4", "54.5", ("log",)),
        ("70.5", "63.4", "78.4", ("log",)),
        # 6-MP at week 23, R on five scales
        ("44.8", "18.4", "71.2", ("plain",)),
        ("44.8", "24.9", "80.7", ("log",)),
        ("44.8", "18.8", "68.0", ("log-log",)),
        ("44.8", "21.9", "70.2", ("logit",)),
        ("44.8", "20.4", "70.7", ("arcsine",)),
    ],
)
def test_scales(share, low, high, scales):
    found = audit(printed(point(share, low, high)))
    assert found.percentages[0].scales == scales
    assert found.select(check=CHECK) == ()


def test_errors_of_keynote(find):
    curve = printed(point("69.2", "64.1", "73.8", at_risk=163), n=410)
    (one,) = audit(curve).percentages
    # implied .0248, between .0228 and .0301 by n and numbers at risk
    assert one.se_lower < 0.0248 < one.se_upper
    assert (one.bound_lower, one.bound_upper) == pytest.approx((0.0228, 0.0301), abs=1e-4)
    assert find(CHECK, curve) == ()


def test_no_scale_is_symmetric(find):
    (one,) = find(CHECK, printed(point("49.4", "45.1", "56.2")))
    assert one.severity == "incoherent"
    assert one.message.startswith(
        "49.4% (95% CI, 45.1–56.2%) at 1 year: the interval is symmetric on none of the scales"
    )
    assert one.explanation == "it is exact, by bootstrap or by another method"
    assert any("lower limit" in text for text in one.corrections)
    assert "lower limit 42.1% instead of 45.1%" in one.corrections


def test_too_narrow_for_n(find):
    # plain: half of 10 over 1.96; fifty patients give at least the root of .25/50 = 7.1%
    (one,) = find(CHECK, printed(point("50", "45", "55"), n=50))
    assert one.severity == "incoherent"
    assert "and 50 patients give at least 7.1%" in one.message
    assert one.explanation == "its level is not 95%, or its variance not Greenwood's"
    assert find(CHECK, printed(point("50", "45", "55"), n=500)) == ()
    assert "n 450 instead of 50" not in one.corrections
    assert find(CHECK, printed(point("50", "36", "64"), n=50)) == ()


def test_too_wide_for_the_number_at_risk(find):
    # S (1 - S)^.5 / m^.5: at most .5 (.5/40)^.5 = 5.6% with 40 at risk; 8% with all deaths at that moment
    (one,) = find(CHECK, printed(point("50", "37", "63", at_risk=40), n=100))
    assert one.severity == "suspicious"
    assert "and 100 patients with 40 at risk give at most 5.7%" in one.message
    assert one.explanation.startswith("several had the event at exactly 1 year, or its level")
    (one,) = find(CHECK, printed(point("50", "30", "70", at_risk=40), n=100))
    assert one.severity == "incoherent"
    assert find(CHECK, printed(point("50", "39", "61", at_risk=40), n=100)) == ()


def test_a_limit_of_zero_may_be_cut_off(find):
    """The upper limit alone tells the error, 15% on the plain scale; one of ten at risk gives at most 9.5%."""
    (one,) = find(CHECK, printed(point("10", "0", "40", at_risk=1), n=10))
    assert "10 patients with 1 at risk give at most 10%" in one.message
    assert find(CHECK, printed(point("10", "0", "29", at_risk=1), n=10)) == ()


def test_two_scales_in_one_curve(find):
    (one,) = find(CHECK, printed(point("69.9", "62.8", "77.9"), point("49.4", "42.1", "56.2", 2)))
    assert one.severity == "suspicious"
    assert (
        "69.9% (95% CI, 62.8–77.9%) at 1 year on log, 49.4% (95% CI, 42.1–56.2%) at 2 years on log-log"
        in one.message
    )


def test_levels(find):
    # half the width of a 50% interval is 0.674 standard errors
    fifty = point("50", "45", "55", level=0.5)
    assert find(CHECK, printed(fifty, n=50)) == ()
    (one,) = find(CHECK, printed(point("50", "45", "55", level=0.9), n=50))
    assert one.explanation.startswith("its level is not 90%")


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (point("50", None, "60"), "one limit printed"),
        (point("100", "90", "100"), "survival of 0 or 100%"),
        (replace(point("50", "40", "60"), share=ReportedNumber("50", "percent", "~")), "printed as about"),
    ],
)
def test_what_is_not_checkable(made, reason, tally):
    assert tally(CHECK, printed(made)) == (0, 0, {reason: 1})


def test_incidence_is_not_checkable(tally, curve):
    made = curve([1], [30], 50, "recurrence", ci_lower=[20], ci_upper=[41])
    assert tally(CHECK, made) == (0, 0, {"a cumulative incidence": 1})


@given(
    st.sampled_from(list(SCALES)),
    st.floats(0.05, 0.95),
    st.integers(10, 400),
    st.floats(0, 1),
    st.integers(0, 1),
)
def test_intervals_that_programs_print_pass(scale, survival, n, where, decimals):
    """Greenwood's error anywhere between its ends with m at risk, on any scale, cut off at 0 and 100, rounded."""
    assume(n * survival >= 1)
    m = max(1, math.floor(n * survival * where))
    low, high = survival * (1 - survival) / n, survival**2 * (1 - survival) / m
    se = math.sqrt(low + where * (high - low))
    limits = [float(end) for end in interval(survival, se, scale=scale)]
    texts = [f"{100 * x:.{decimals}f}" for x in (survival, *limits)]
    found = audit(printed(point(*texts, at_risk=m), n=n))
    assert found.select(check=CHECK) == ()
    assert scale in found.percentages[0].scales
