import math
import warnings
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsynth.data.endpoint import find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.review import Review
from netsynth.data.study import Group, Study
from netsynth.dependent import pool_dependent
from netsynth.diagnose import influence, leave_one_out
from netsynth.errors import HarmonisationWarning, InvalidInputError, NetsynthWarning, UnusableDataWarning
from netsynth.factor_pooling import assess_factor_asymmetry, bound_reporting, pool_factor
from netsynth.pool import pool_effects
from netsynth.prognostic import summarize_factors

OS, RFS, DFS = map(find_endpoint, ("OS", "RFS", "DFS"))
Z95 = NormalDist().inv_cdf(0.975)
GRADE = "histologic grade"


def factor(study, hr=None, ci=None, *, n=None, p=None, endpoint=OS, analysis="multivariable", **more):
    """A result of one study on grade, numbers as printed; p with its sign."""
    levels = more.pop("levels", ("poor", "well"))
    sign = p[0] if p and p[0] in "<>" else "="
    return ReportedFactor(
        study,
        more.pop("name", "grade"),
        endpoint,
        *levels,
        analysis=analysis,
        hazard_ratio=None if hr is None else ReportedNumber(hr, "ratio"),
        ci=None if ci is None else ReportedInterval.of(*ci, "ratio", 0.95),
        pvalue=None if p is None else ReportedNumber(p.lstrip("<>"), "pvalue", sign),
        group=Group(n_total=n),
        **more,
    )


def summarized(*factors, overlap=None, **options):
    names = dict.fromkeys(f.study for f in factors)
    studies = tuple(Study(name, overlap=(overlap or {}).get(name, ())) for name in names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return summarize_factors(Review(studies, factors=factors), **options)


def bounded(*factors, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return bound_reporting(summarized(*factors), GRADE, "OS", **options)


REPORTED = (
    factor("A", "2.00", ("1.20", "3.33"), n=200, significance="yes"),
    factor("B", "1.60", ("1.00", "2.56"), n=240, significance="yes"),
)


# -- one pooled effect ---------------------------------------------------------------------------------------


def test_a_pooled_ratio_goes_through_the_engine():
    pooled = summarized(*REPORTED, factor("C", "1.2", ("0.7", "2.0"))).pooled(GRADE, "OS")
    assert pooled.k == 3
    assert leave_one_out(pooled).summary_frame().shape[0] == 3
    assert len(influence(pooled).summary_frame()) == 3
    assert 0.5 < pooled.probability_above() < 1


def test_what_is_not_pooled_says_why():
    one = summarized(REPORTED[0], factor("B", analysis="not stated"))
    with pytest.raises(
        InvalidInputError, match=r"OS, adjusted: 1 study with a usable ratio; two are needed to pool\."
    ):
        one.pooled(GRADE, "OS")
    loose = summarized(*(replace(f, analysis="not stated") for f in REPORTED))
    with pytest.raises(
        InvalidInputError, match=r"2 studies with a usable ratio; kinds of analysis that are not stated"
    ):
        loose.pooled(GRADE, "OS", "not stated")
    with pytest.raises(KeyError):
        one.pooled(GRADE, "DFS")


# -- small studies -------------------------------------------------------------------------------------------


# Fibrinogen Studies Collaboration as in metamisc: events, HR, limits. Facts only; the ratio is one per unit.
# fmt: off
FIBRINOGEN = [
    "17/2.62/1.39/4.93", "23/2.19/1.36/3.52", "25/1.38/0.78/2.44", "25/1.82/1.03/3.21", "25/1.49/0.88/2.54",
    "29/1.62/0.87/3.00", "31/1.92/1.17/3.16", "38/3.04/1.14/8.10", "61/1.71/1.22/2.40", "100/1.26/0.95/1.67",
    "129/1.96/1.49/2.57", "134/1.65/1.35/2.02", "146/1.52/1.19/1.93", "150/2.01/1.58/2.57", "156/1.19/0.91/1.55",
    "162/1.31/1.05/1.64", "174/1.52/1.20/1.93", "175/1.64/1.34/2.01", "200/1.88/1.54/2.30", "213/1.25/1.04/1.51",
    "223/1.63/1.39/1.90", "246/1.69/1.37/2.10", "274/1.79/1.44/2.23", "284/1.52/1.30/1.79", "285/1.54/1.31/1.80",
    "291/1.63/1.40/1.92", "325/1.30/1.11/1.53", "447/1.36/1.18/1.58", "603/1.97/1.76/2.21", "653/1.47/1.33/1.62",
    "1474/1.24/1.14/1.36",
]
# fmt: on


def fibrinogen_summary(with_events=True):
    rows = [row.split("/") for row in FIBRINOGEN]
    return summarized(
        *(
            factor(
                f"cohort {i}",
                hr,
                (low, high),
                levels=("", ""),
                name="fibrinogen",
                **({"n_events": int(d)} if with_events else {}),
            )
            for i, (d, hr, low, high) in enumerate(rows)
        )
    )


def test_published_fibrinogen_debray():
    """D-FIV 7.15824 (4.24905), t = 1.6847, p = .1028, from the printed ratios by metamisc's algorithm.

    A summary adds the variance of rounding to each ratio, (0.01 / HR)^2 / 12, which is at most 0.4% of a variance here,
    and so moves the slope by less than 0.02.
    """
    test = assess_factor_asymmetry(fibrinogen_summary(), "fibrinogen", "OS")
    assert test.k == 31
    assert (test.slope, test.slope_se) == pytest.approx((7.15824, 4.24905), abs=0.02)
    assert (test.statistic, test.pvalue) == pytest.approx((1.6847, 0.1028), abs=1e-3)
    pooled = test.pooled
    events = np.array([int(row.split("/")[0]) for row in FIBRINOGEN])
    x, w = np.column_stack([np.ones(31), 1 / events]), pooled.study_se**-2.0
    bread = np.linalg.inv(x.T * w @ x)
    slope = (bread @ (x.T * w @ pooled.study_estimate))[1]
    assert test.slope == pytest.approx(slope, rel=1e-9)  # by least squares written out


def test_a_test_without_its_counts_names_the_studies():
    with pytest.raises(
        InvalidInputError, match=r"needs the number of events, which is not stated for cohort 0, cohort 1"
    ):
        assess_factor_asymmetry(fibrinogen_summary(with_events=False), "fibrinogen", "OS")
    summary = summarized(*REPORTED, factor("C", "1.2", ("0.7", "2.0"), n_events=40))
    with pytest.raises(
        InvalidInputError, match=r"needs the number of events of each level, .* for A, B and C"
    ):
        assess_factor_asymmetry(summary, GRADE, "OS", method="debray_fav")


def test_events_of_each_level_are_turned_with_the_levels():
    counts = {"A": (30, 20), "B": (25, 30), "C": (40, 22)}
    made = [
        factor(name, hr, ci, events_by_level=counts[name], n=150)
        for name, hr, ci in (
            ("A", "2.0", ("1.1", "3.6")),
            ("B", "1.5", ("0.9", "2.5")),
            ("C", "1.2", ("0.7", "2.1")),
        )
    ]
    turned = [
        replace(
            r,
            adverse_level=r.reference_level,
            reference_level=r.adverse_level,
            hazard_ratio_for=r.adverse_level,
            events_by_level=r.events_by_level[::-1],
        )
        for r in made
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        one, other = (
            assess_factor_asymmetry(summarized(*rows), GRADE, "OS", method="debray_fav")
            for rows in (made, turned)
        )
    assert one.slope == pytest.approx(other.slope, rel=1e-9)
    (evidence,) = [r for r in summarized(*turned).row(GRADE, "OS").results if r.study == "A"]
    assert evidence.events_by_level == (30, 20)


# -- several results of a study ------------------------------------------------------------------------------


def several():
    return [
        factor("A", "2.00", ("1.20", "3.33")),
        factor("A", "1.80", ("1.10", "2.95"), endpoint=RFS),
        factor("A", "2.40", ("1.50", "3.84"), analysis="univariable"),
        factor("B", "1.60", ("1.00", "2.56")),
        factor("C", "1.50", ("1.00", "2.25"), endpoint=RFS),
        factor("D", "1.10", ("0.60", "2.02"), analysis="matched"),
    ]


def test_all_results_of_a_study_are_one_cohort():
    summary = summarized(*several())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        pooled = pool_factor(summary, GRADE, correlation=0.6)
        row = [
            r
            for code in ("OS", "RFS")
            for s in ("adjusted", "matched", "unadjusted")
            for r in summary.row(GRADE, code).ratios(s).used
        ]
        again = pool_dependent(
            [r.log_hr for r in row],
            se=[r.se for r in row],
            cluster=[r.study for r in row],
            correlation=0.6,
            measure="log_hr",
        )
    assert (pooled.k, sorted(set(pooled.cluster))) == (6, ["A", "B", "C", "D"])
    assert pooled.study[0] == "A, OS, adjusted"
    assert pooled.correlation == 0.6
    assert (pooled.estimate, pooled.se) == pytest.approx((again.estimate, again.se), rel=1e-9)
    over = pooled.over_correlation([0.0, 0.9]).summary_frame()
    assert len(over) == 2


def test_ratios_of_other_scales_are_brought_to_one_or_left_out():
    """Per 10%, per 1%, and a split: logarithm and error per 10% are ten times those per 1%."""
    made = [
        factor("A", "1.05", ("1.02", "1.08"), name="Ki-67", levels=("per 10%", "")),
        factor("A", "1.01", ("1.00", "1.02"), endpoint=RFS, name="Ki-67", levels=("per 1%", "")),
        factor("B", "1.60", ("1.20", "2.13"), name="Ki-67", levels=("per 10%", "")),
        factor("C", "2.50", ("1.50", "4.20"), endpoint=DFS, name="Ki-67", levels=("high", "low")),
    ]
    summary = summarized(*made)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        pooled = pool_factor(summary, "Ki-67 index", correlation=0.5)
    said = [str(w.message) for w in told if w.category is HarmonisationWarning]
    assert any("C (a split, not per 10%)" in text for text in said)
    assert set(said) <= {f"{caution.where}: {caution.message}" for caution in pooled.warnings}
    assert pooled.study == ("A, OS", "B, OS", "A, RFS")
    per_percent = summary.row("Ki-67 index", "RFS").ratios("adjusted").used[0]
    assert per_percent.log_hr == pytest.approx(math.log(1.01))
    assert (pooled.study_estimate[2], pooled.study_se[2]) == pytest.approx(
        (10 * per_percent.log_hr, 10 * per_percent.se)
    )


def test_endpoints_and_kinds_can_be_chosen():
    summary = summarized(*several())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        pooled = pool_factor(summary, GRADE, correlation=0.5, endpoints=["OS", "RFS"], strata=["adjusted"])
    assert pooled.k == 4
    assert pooled.study == ("A, OS", "B, OS", "A, RFS", "C, RFS")


def test_studies_that_share_patients_are_one_cohort():
    made = [
        factor("A", "2.00", ("1.20", "3.33"), n=100),
        factor("E", "1.80", ("1.10", "2.95"), endpoint=RFS, n=90),
        factor("B", "1.60", ("1.00", "2.56"), n=80),
    ]
    summary = summarized(*made, overlap={"E": ("A",)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        pooled = pool_factor(summary, GRADE, correlation=0.5)
    assert dict(zip(pooled.study, pooled.cluster, strict=True)) == {"A, OS": "A", "E, RFS": "A", "B, OS": "B"}


def test_one_cohort_is_refused_and_a_correlation_must_be_named():
    summary = summarized(*several()[:3])
    with pytest.raises(InvalidInputError, match="1 cohort with a usable hazard ratio; two are needed"):
        pool_factor(summary, GRADE, correlation=0.5)
    with pytest.raises(TypeError, match="correlation"):
        pool_factor(summary, GRADE)
    with pytest.raises(KeyError):
        pool_factor(summary, "colour", correlation=0.5)
    single = summarized(REPORTED[0], REPORTED[1])
    with pytest.raises(InvalidInputError, match=r"^correlation must lie above -1 and below 1; got 1\.5\.$"):
        pool_factor(single, GRADE, correlation=1.5)
    with pytest.raises(InvalidInputError, match="strata"):
        pool_factor(summary, GRADE, correlation=0.5, strata=["both"])


# -- studies that are silent ---------------------------------------------------------------------------------


def by_hand(found, theta, s):
    """The pooled log ratio with one more study, at the tau2 that is kept."""
    y = np.append(found.pooled.study_estimate, theta)
    w = 1 / (np.append(found.pooled.study_se, s) ** 2 + found.tau2_lower)
    return w @ y / w.sum()


def test_a_study_that_is_not_significant_is_bounded_by_its_patients():
    found = bounded(*REPORTED, factor("S", n=100, significance="no"))
    (study,) = found.silent
    assert (study.lowest, study.highest) == pytest.approx((-Z95, Z95))
    assert study.se_low == 0.2  # 2 / sqrt(100)
    # every error from 0.2 on, by search
    s = np.exp(np.linspace(math.log(0.2), 5, 20_001))
    low = min(by_hand(found, -Z95 * x, x) for x in s)
    high = max(by_hand(found, Z95 * x, x) for x in s)
    assert found.bounds == pytest.approx((low, high), abs=1e-6)
    assert found.natural_bounds == pytest.approx((math.exp(low), math.exp(high)), abs=1e-6)


def test_events_say_more_than_patients_and_levels_more_than_events():
    by_n = bounded(*REPORTED, factor("S", n=200, significance="no"))
    by_d = bounded(*REPORTED, factor("S", n=200, n_events=50, significance="no"))
    by_level = bounded(*REPORTED, factor("S", n=200, events_by_level=(10, 40), significance="no"))
    assert [x.silent[0].se_low for x in (by_n, by_d, by_level)] == pytest.approx(
        [2 / math.sqrt(200), 2 / math.sqrt(50), math.sqrt(1 / 10 + 1 / 40)]
    )
    assert by_n.bounds.lower < by_d.bounds.lower < by_level.bounds.lower < by_n.pooled.estimate


@settings(max_examples=40, deadline=None)
@given(st.floats(-Z95, Z95), st.floats(0.0, 3.0), st.integers(20, 400))
def test_wherever_the_silent_study_is_the_pooled_ratio_is_within(u, larger, n):
    found = bounded(*REPORTED, factor("S", n=n, significance="no"))
    s = 2 / math.sqrt(n) * math.exp(larger)
    low, high = found.bounds
    pooled = by_hand(found, u * s, s)
    assert low - 1e-9 <= pooled <= high + 1e-9
    w = 1 / (np.append(found.pooled.study_se, s) ** 2 + found.tau2_lower)
    least, most = found.confidence_bounds()
    half = 4.302652729749464 / math.sqrt(w.sum())  # t on 2 degrees of freedom
    assert least <= pooled - half + 1e-6
    assert pooled + half <= most + 1e-6


def test_unknown_size_or_levels_leave_the_error_open_and_that_is_said():
    nothing = bounded(*REPORTED, factor("S", significance="no"))
    assert nothing.k_unknown_size == 1
    assert "neither patients nor events stated" in str(nothing)
    assert nothing.turning_reason == "cannot be told: S cannot be weighed"
    per_unit = bounded(
        *(
            factor(f.study, str(f.hazard_ratio), (str(f.ci.lower), str(f.ci.upper)), levels=("", ""))
            for f in REPORTED
        ),
        factor("S", n=100, significance="no", levels=("", "")),
    )
    assert per_unit.silent[0].se_low == 0
    assert "levels not stated" in per_unit.silent[0].basis
    # a study of any size may be the mean: near 0 at the worst side, and not far above the reported
    assert nothing.bounds.lower < 0 < nothing.pooled.estimate < nothing.bounds.upper


def test_a_p_value_and_a_direction_say_more():
    plain = bounded(*REPORTED, factor("S", n=100, significance="no"))
    with_p = bounded(*REPORTED, factor("S", n=100, p="0.40", significance="no"))
    worse = bounded(*REPORTED, factor("S", n=100, significance="no", direction="worse"))
    bound = bounded(*REPORTED, factor("S", n=100, p=">0.2", significance="no"))
    reach = NormalDist().inv_cdf(1 - 0.395 / 2)  # printed 0.40 may be 0.395
    assert with_p.silent[0].highest == pytest.approx(reach, abs=1e-9)
    assert bound.silent[0].highest == pytest.approx(NormalDist().inv_cdf(0.9), abs=1e-9)
    assert worse.silent[0].lowest == 0
    assert plain.bounds.lower < with_p.bounds.lower
    assert plain.bounds.lower < worse.bounds.lower


def test_a_ratio_without_an_error_is_used_as_it_is():
    found = bounded(*REPORTED, factor("S", "1.10", n=100, significance="no"))
    (study,) = found.silent
    assert study.kind == "ratio without error"
    # not significant: the error is at least log(1.1) / 1.96, and at least 2 / sqrt(100)
    assert study.se_low == pytest.approx(max(0.2, math.log(1.1) / Z95))
    assert found.bounds == pytest.approx(
        (by_hand(found, math.log(1.1), 0.2), found.pooled.estimate), abs=1e-9
    )


def test_significance_says_on_which_side_the_error_of_a_printed_ratio_is():
    edge = math.log(2) / Z95
    no = bounded(*REPORTED, factor("S", "2.0", n=400, significance="no")).silent[0]
    assert (no.se_low, no.se_high) == pytest.approx((edge, math.inf))
    yes = bounded(*REPORTED, factor("S", "2.0", n=400, significance="yes")).silent[0]
    assert (yes.se_low, yes.se_high) == pytest.approx((0.1, edge))


def test_studies_that_say_significant_only_are_named_and_not_bounded():
    summary = summarized(*REPORTED, factor("S", n=100, significance="yes"))
    with pytest.warns(UnusableDataWarning, match="the words of S do not bound a ratio"):
        found = bound_reporting(summary, GRADE, "OS")
    assert (found.k_silent, found.k_unbounded) == (0, 1)
    assert found.bounds == pytest.approx((found.pooled.estimate,) * 2, abs=1e-9)
    assert "S (100 patients): significant, no number" in str(found)


def test_a_study_of_the_same_patients_is_not_silent():
    # neither when it is not counted, nor when it is the one that is counted because it is larger
    for n in (100, 300):
        summary = summarized(*REPORTED, factor("S", n=n, significance="no"), overlap={"S": ("A",)})
        assert [r.study for r in summary.row(GRADE, "OS").counted] == (["A", "B"] if n == 100 else ["B", "S"])
        assert bound_reporting(summary, GRADE, "OS").k_silent == 0


def test_a_study_that_left_the_factor_out_of_its_model_is_silent():
    found = bounded(
        *REPORTED, factor("S", "1.1", ("0.6", "2.0"), n=100, analysis="univariable", significance="no")
    )
    (study,) = found.silent
    assert "of an analysis that is unadjusted" in study.basis
    assert (study.centre, study.highest) == pytest.approx((0.0, Z95))


def four_reported():
    return (*REPORTED, factor("C", "1.90", ("1.30", "2.78")), factor("D", "1.75", ("1.25", "2.45")))


def test_the_turn_of_the_conclusion_by_pooling_again():
    found = bounded(
        *four_reported(), factor("S", n=300, significance="no"), factor("T", n=200, significance="no")
    )
    assert found.pooled.confidence_interval().lower > 0
    turn = found.turning_log_hr
    assert -0.3 < turn < found.pooled.estimate

    def lower(shared):
        """The lower end at the tau2 that is held, t on 5 degrees of freedom, written out."""
        se = np.array([2 / math.sqrt(300), 2 / math.sqrt(200)])
        y = np.append(found.pooled.study_estimate, np.clip(shared, -Z95 * se, Z95 * se))
        w = 1 / (np.append(found.pooled.study_se, se) ** 2 + found.tau2_lower)
        return w @ y / w.sum() - 2.570581835636314 / math.sqrt(w.sum())

    assert abs(lower(turn)) < 1e-3
    assert lower(turn + 0.02) > 0
    assert f"the 95% CI includes 1 if the silent studies found a ratio of {math.exp(turn):.2f}" in str(found)


def test_the_turn_and_the_limits_are_of_one_model():
    """Where the conclusion turns an interval touches 1, so it is within the limits of all intervals."""
    silent = (factor("S", n=300, significance="no"), factor("T", n=200, significance="no"))
    for tau2 in (None, 0.02, (0.0, 0.02)):
        found = bounded(*four_reported(), *silent, tau2=tau2)
        least, most = found.confidence_bounds()
        at = found.interval_with(np.array([found.turning_log_hr] * 2))
        assert at.lower == pytest.approx(0, abs=1e-9)
        assert least - 1e-9 <= at.lower <= at.upper <= most + 1e-9
        assert found.held_interval().lower > 0


def test_a_conclusion_that_nothing_turns():
    strong = [factor(name, "3.00", ("2.40", "3.75"), n=900) for name in "ABCDEFG"]
    found = bounded(*strong, factor("S", n=30, significance="no"))
    assert math.isnan(found.turning_log_hr)
    assert found.keeps_direction
    assert found.turning_reason == "nowhere within what the silent studies may have found"


def test_one_study_and_limits_of_tau2():
    alone = bounded(REPORTED[0], factor("S", n=100, significance="no"))
    assert (alone.k_reported, alone.tau2_lower, alone.tau2_upper) == (1, 0.0, 0.0)
    fixed, wide = (
        bounded(*REPORTED, factor("S", n=100, significance="no"), tau2=t) for t in (0.1, (0.0, 0.1))
    )
    assert wide.bounds.lower <= fixed.bounds.lower
    assert wide.bounds.upper >= fixed.bounds.upper
    for bad in (-1.0, (0.2, 0.1), math.nan, (0.1, math.inf)):
        with pytest.raises(InvalidInputError, match="tau2 must be a variance or its two limits"):
            bounded(*REPORTED, tau2=bad)


def anew(found, theta, s, method):
    """All studies pooled with tau2 estimated anew."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return pool_effects(
            [*found.pooled.study_estimate, theta],
            se=[*found.pooled.study_se, s],
            measure="log_hr",
            tau2_method=method,
        )


def test_limits_are_said_to_be_for_the_tau2_that_is_held_and_those_of_its_limits_hold_for_all_between():
    """By brute force over the place and the error of a silent study, tau2 estimated anew each time."""
    made = (factor("A", "2.0", ("1.2", "3.3"), n=100), factor("B", "1.9", ("1.3", "2.8"), n=100))
    silent = factor("C", n=60, significance="no", analysis="not stated")
    held = bounded(*made, silent)
    assert held.tau2_words == "tau2 held at 0"
    assert "tau2 held at 0\n" in str(held)
    assert "Estimated anew with the silent studies it can be larger and the limits wider" in str(held)
    assert "any 95% CI" not in str(held)
    places = [
        (share * Z95 * s, s) for s in (2 / math.sqrt(60), 0.4, 0.8, 1.0, 1.5) for share in (-1, -0.5, 0, 1)
    ]
    again = [anew(held, theta, s, "REML") for theta, s in places]
    assert min(x.natural for x in again) < 1.15 < held.natural_bounds.lower  # outside of what is held
    most = max(x.tau2 for x in again)
    wide = bounded(*made, silent, tau2=(0.0, most))
    assert wide.tau2_words == f"tau2 from 0 to {most:.3g}"
    assert "Estimated anew" not in str(wide)
    (low, high), (least, top) = wide.bounds, wide.confidence_bounds()
    for (_, s), x in zip(places, again, strict=True):
        assert low - 1e-9 <= x.estimate <= high + 1e-9
        half = 4.302652729749464 / math.sqrt((1 / (np.append(held.pooled.study_se, s) ** 2 + x.tau2)).sum())
        assert least - 1e-6 <= x.estimate - half
        assert x.estimate + half <= top + 1e-6


def test_nothing_would_bound_the_ratio_if_tau2_were_estimated_anew():
    """Two studies have tau2 = (difference^2 - v1 - v2) / 2, which grows with the error of one 1.96 errors away."""
    found = bounded(factor("A", "2.0", ("1.2", "3.3"), n=100), factor("S", n=60, significance="no"))
    v = float(found.pooled.study_se[0]) ** 2
    for s in (3.0, 30.0, 300.0):
        y = math.log(2.0)
        tau2 = ((y + Z95 * s) ** 2 - v - s * s) / 2
        w = np.array([1 / (v + tau2), 1 / (s * s + tau2)])
        mean = (w @ [y, -Z95 * s]) / w.sum()
        assert anew(found, -Z95 * s, s, "REML").estimate == pytest.approx(mean, abs=1e-5 * s)
        assert mean < -0.5 * s
    assert found.bounds.lower > -1.0  # tau2 held at 0


def test_frames_and_text_count_everything():
    made = (*REPORTED, factor("S", n=100, significance="no"), factor("T", significance="yes"))
    found = bounded(*made)
    row = found.summary_frame().iloc[0]
    assert (row.k_reported, row.k_silent, row.k_unbounded) == (2, 1, 1)
    assert row.lower <= row.log_hr <= row.upper
    assert row.any_ci_lower <= row.lower
    assert list(found.study_frame().study) == ["S", "T"]
    assert "<table>" in found._repr_html_()
    with pytest.raises(InvalidInputError, match="no study has a usable matched hazard ratio"):
        bounded(*made, stratum="matched")


# -- cut-points ----------------------------------------------------------------------------------------------


def split(study, at, hr, ci, **more):
    made = factor(study, hr, ci, **more)
    return replace(made, factor="size", adverse_level=f"> {at} cm", reference_level=f"<= {at} cm")


@pytest.mark.parametrize(
    "verb",
    [
        lambda summary: pool_factor(summary, "size", correlation=0.5),
        lambda summary: assess_factor_asymmetry(summary, "size", "OS", method="egger"),
        lambda summary: bound_reporting(summary, "size", "OS"),
    ],
    ids=["pool_factor", "assess_factor_asymmetry", "bound_reporting"],
)
def test_cut_points_are_told_by_every_verb_that_uses_their_ratios(verb):
    made = [
        split("A", 5, "2.0", ("1.2", "3.3")),
        split("B", 3, "1.6", ("1.0", "2.6"), notes="cut-off by Youden index"),
        split("C", 5, "1.4", ("0.9", "2.2")),
    ]
    summary = summarized(*made)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        found = verb(summary)
    told = {said.name: said.message for said in found.warnings}
    assert (
        told["HarmonisationWarning"]
        == "ratios at different cut-points are pooled: 5 cm (A and C) and 3 cm (B)"
    )
    assert told["ChosenCutPointWarning"].startswith(
        "the cut-point was chosen by the outcome in B (3 cm): there the"
    )
    shown = {w.category.__name__: w.filename for w in seen}
    assert (shown["HarmonisationWarning"], shown["ChosenCutPointWarning"]) == (__file__, __file__)
    alike = [replace(made[0], study=study) for study in "AB"] + [replace(made[2])]
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        quiet = verb(summarized(*alike))
    assert not {"HarmonisationWarning", "ChosenCutPointWarning"} & {said.name for said in quiet.warnings}


def test_silent_results_of_another_scale_are_named_and_not_bounded():
    """Two ratios per year; of the silent ones a split is of another kind, and one per 10 years has no least error."""
    made = [
        factor("A", "1.03", ("1.01", "1.05"), name="age", levels=("per year", "")),
        factor("B", "1.05", ("1.01", "1.09"), name="age", levels=("per year", "")),
        factor("C", name="age", levels=("> 65", "<= 65"), n=100, significance="no"),
        factor("D", "1.50", ("1.10", "2.05"), name="age", levels=("> 65", "<= 65"), n=100),
        factor("E", name="age", levels=("per 10 years", ""), n=100, significance="no"),
        factor("G", "1.20", name="age", levels=("per 10 years", ""), n=100, significance="no"),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        found = bound_reporting(summarized(*made), "age", "OS")
    assert {s.label: s.kind for s in found.unbounded} == dict.fromkeys("CD", "a split, not per year")
    silent = {s.label: s for s in found.silent}
    assert set(silent) == set("EG")
    assert silent["E"].se_low == 0
    assert "a ratio per 10 years, so its error may be anything" in silent["E"].basis
    assert silent["G"].centre == pytest.approx(math.log(1.2) / 10)


def test_results_that_fall_out_by_scale_are_named_when_too_few_are_left():
    made = [
        factor("A", "1.03", ("1.01", "1.05"), name="age", levels=("per year", "")),
        factor("C", "1.50", ("1.10", "2.05"), name="age", levels=("> 65", "<= 65"), n=100),
    ]
    summary = summarized(*made)
    with pytest.raises(InvalidInputError, match=r"cannot be pooled with it: A \(per year, not a split\)\."):
        pool_factor(summary, "age", correlation=0.5)


@pytest.mark.parametrize("tau2", ["x", (0.1, 0.2, 0.3), (), (0.2, 0.1), -1.0, math.nan])
def test_a_tau2_that_cannot_be_is_refused(tau2):
    with pytest.raises(InvalidInputError, match="tau2 must be a variance or its two limits"):
        bounded(factor("A", "2.00", ("1.20", "3.33")), tau2=tau2)
