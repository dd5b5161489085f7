import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsynth.data.number import ReportedNumber
from netsynth.data.review import Review
from netsynth.data.study import Study
from netsynth.data.survival import ReportedSurvival
from netsynth.datasets import load_gliomas, load_nethm
from netsynth.errors import InvalidInputError, UnusableDataWarning
from netsynth.kernels.survival_variance import variance_bounds
from netsynth.pool import pool_effects
from netsynth.pooled_bounds import bound_pooled_survival
from netsynth.survival import pool_landmark


def review(rows, **more):
    """Rows of (study, years, percent, patients)."""
    return Review(
        tuple(Study(name) for name, *_ in rows),
        survival=tuple(
            ReportedSurvival.from_percent(name, "OS", years=years, percent=percent, n_total=n, **more)
            for name, years, percent, n in rows
        ),
    )


THREE = [("a", [5], [73], 60), ("b", [5], [47], 40), ("c", [5], [71], 80)]


def test_the_imputed_answer_lies_within_for_every_maturity():
    found = bound_pooled_survival(review(THREE), "OS", times_months=[60])
    low, high = (float(end[0]) for end in found.survival)
    for maturity in (0.05, 0.25, 0.5, 1.0):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pooled = pool_landmark(
                review(THREE), "OS", time_months=60, maturity=maturity, tau2_method="PM"
            ).natural
        assert low <= pooled <= high


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=3, max_size=3), st.sampled_from([0.8, 0.95]))
def test_no_variances_that_the_reports_allow_lead_outside(share, level):
    found = bound_pooled_survival(review(THREE), "OS", times_months=[60])
    s, n = np.array([0.73, 0.47, 0.71]), np.array([60, 40, 80])
    limits = variance_bounds(s, n)
    v = limits.lower + np.array(share) * (limits.upper - limits.lower)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pooled = pool_effects(
            np.log(-np.log(s)),
            se=np.sqrt(v) / (s * -np.log(s)),
            measure="cloglog_survival",
            tau2_method="PM",
        )
    assert found.survival.lower[0] - 1e-5 <= pooled.natural <= found.survival.upper[0] + 1e-5
    ends, own = found.confidence_interval(level), pooled.natural_interval(level)
    assert ends.lower[0] - 1e-5 <= own.lower
    assert own.upper <= ends.upper[0] + 1e-5


def test_with_all_survivors_under_observation_nothing_is_left_open():
    rows = review(THREE)
    found = bound_pooled_survival(rows, "OS", times_months=[60], least_maturity=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pooled = pool_landmark(rows, "OS", time_months=60, maturity=1.0, tau2_method="PM")
    # m = nS makes both ends S(1 - S)/n
    assert found.survival.lower[0] == pytest.approx(found.survival.upper[0], abs=1e-6)
    assert found.survival.lower[0] == pytest.approx(pooled.natural, abs=1e-6)
    own = pooled.natural_interval()
    ends = found.confidence_interval()
    assert (ends.lower[0], ends.upper[0]) == pytest.approx((own.lower, own.upper), abs=1e-4)
    assert found.k_unknown.tolist() == [0]


def test_what_is_assumed_narrows_the_limits():
    widths = []
    for least in (0.0, 0.1, 0.25, 0.5, 0.9):
        low, high = bound_pooled_survival(review(THREE), "OS", least_maturity=least).survival
        widths.append(float(high[0] - low[0]))
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 2 * widths[3] > 0


def test_printed_intervals_leave_nothing_open():
    found = bound_pooled_survival(
        Review(
            tuple(Study(name) for name in "abc"),
            survival=tuple(
                ReportedSurvival.from_percent(
                    name, "OS", years=[5], percent=[p], ci_lower=[lo], ci_upper=[hi], n_total=60
                )
                for name, p, lo, hi in (("a", 73, 61, 82), ("b", 47, 30, 62), ("c", 71, 57, 81))
            ),
        )
    )
    assert found.k_unknown.tolist() == [0]
    assert found.survival.lower[0] == pytest.approx(found.survival.upper[0], abs=1e-9)
    assert found.assumed_share() == pytest.approx([0.0], abs=1e-6)


def test_a_percentage_without_patients_may_have_any_weight():
    rows = [*THREE, ("d", [5], [95], None)]
    with pytest.warns(
        UnusableDataWarning, match="not in the average curve, for want of a number of patients: d"
    ):
        found = bound_pooled_survival(review(rows), "OS", times_months=[60])
    without = bound_pooled_survival(review(THREE), "OS", times_months=[60])
    assert found.k.tolist() == [4]
    assert found.survival.upper[0] > without.survival.upper[0]
    assert found.imputed[0].k == 3


def test_silent_studies_come_in_with_what_their_other_times_allow():
    rows = [*THREE, ("d", [3, 8], [90, 60], 100)]
    plain = bound_pooled_survival(review(rows), "OS", times_months=[60], least_maturity=0.5)
    found = bound_pooled_survival(review(rows), "OS", times_months=[60], least_maturity=0.5, silent=True)
    assert (plain.k[0], found.k[0], found.k_silent[0]) == (3, 4, 1)
    assert found.imputed == (None,)
    assert math.isclose(math.exp(-math.exp(found.box.upper[0, 3])), 0.595, abs_tol=1e-9)  # 60% from 59.5 on
    assert math.isclose(math.exp(-math.exp(found.box.lower[0, 3])), 0.905, abs_tol=1e-9)
    # whatever the silent study has between these
    for percent in (60, 75, 90):
        told = [*THREE, ("d", [5], [percent], 100)]
        inner = bound_pooled_survival(review(told), "OS", times_months=[60], least_maturity=0.5)
        assert found.box.tau2_low[0] <= inner.box.tau2_low[0] + 1e-9
        assert inner.box.tau2_high[0] <= found.box.tau2_high[0] + 1e-9
        assert found.survival.lower[0] <= inner.survival.lower[0] + 1e-9
        assert inner.survival.upper[0] <= found.survival.upper[0] + 1e-9


def test_the_average_curve_on_paper():
    """60 and 40 patients; 80% and 50% at five years: 68% then, at least that before, at most that after."""
    found = bound_pooled_survival(
        review([("a", [5], ["80.0"], 60), ("b", [5], ["50.0"], 40)]), "OS", times_months=[60]
    )
    low, high = found.average_survival(60)
    assert (low, high) == pytest.approx((0.68 - 0.0005, 0.68 + 0.0005))
    assert tuple(found.average_survival(120)) == pytest.approx((0.0, 0.6805))
    assert tuple(found.average_rmst(60)) == pytest.approx((60 * 0.6795, 60.0))
    assert tuple(found.average_median) == (60.0, math.inf)
    assert found.mixture_n == 100


def test_the_average_curve_holds_the_counts_of_the_gliomas():
    found = bound_pooled_survival(load_gliomas(), "OS", sets=["chemotherapy"])
    # all 17 trials at 12 months: 673 of 1418 patients alive
    low, high = found.average_survival(12)
    assert low <= 673 / 1418 <= high
    assert high - low < 0.001
    assert tuple(found.average_median) == (6.0, 12.0)


def test_one_study_has_no_interval_for_others():
    found = bound_pooled_survival(review(THREE[:1]), "OS", times_months=[60])
    assert found.survival.lower == pytest.approx([0.73])
    assert np.isnan(found.confidence_interval().lower).all()


def test_shares_of_0_and_1_are_moved_by_half_a_patient():
    found = bound_pooled_survival(
        review([("a", [5], [100], 19), ("b", [5], [0], 9)]), "OS", times_months=[60]
    )
    assert np.exp(-np.exp(found.box.lower[0])).tolist() == pytest.approx([19.5 / 20, 0.5 / 10])


def test_shares_of_0_and_1_without_patients_have_no_place_on_the_scale():
    rows = [*THREE, ("d", [5], [100], None), ("e", [5], [0], None)]
    with pytest.warns(UnusableDataWarning) as said:
        found = bound_pooled_survival(review(rows), "OS", times_months=[60])
    assert any("cannot be pooled: d and e" in str(one.message) for one in said)
    without = bound_pooled_survival(review(THREE), "OS", times_months=[60])
    assert found.k.tolist() == [3]
    assert np.array(found.survival) == pytest.approx(np.array(without.survival))
    with pytest.raises(
        InvalidInputError, match="every study prints 0 or 100% without its number of patients"
    ):
        bound_pooled_survival(review(rows[3:]), "OS", times_months=[60])


def test_frame_text_and_figure_agree():
    found = bound_pooled_survival(load_nethm(), "OS", sets=["core"], least_maturity=0.25)
    frame = found.summary_frame()
    assert frame.loc[60.0, "k"] == 12
    row = next(line for line in str(found).splitlines() if line.startswith(" 60 months"))
    assert f"{100 * frame.loc[60.0, 'lower']:.1f}–{100 * frame.loc[60.0, 'upper']:.1f}%" in row
    assert "at least 25% of survivors under observation" in str(found)
    ax = found.plot()
    assert ax.get_xlim() == (0.0, 100.0)


def test_contradictory_figures_leave_the_average_curve():
    study = Study("a"), Study("b")
    first = ReportedSurvival.from_percent("a", "OS", years=[3], percent=[50], n_total=30)
    later = ReportedSurvival.from_percent("a", "OS", years=[5], percent=[70], n_total=30)
    other = ReportedSurvival.from_percent("b", "OS", years=[5], percent=[60], n_total=30)
    group = replace(later.group, label="another cohort")
    both = Review(study, survival=(first, replace(later, group=group), other))
    with pytest.warns(UnusableDataWarning, match="a: survival rises between the figures chosen"):
        found = bound_pooled_survival(both, "OS", times_months=[60])
    assert found.mixture_studies == ("b",)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"maturity": 0.0}, r"maturity must be a share in \(0, 1\]; got 0.0."),
        ({"least_maturity": 1.5}, r"least_maturity must be a share in \[0, 1\]; got 1.5."),
        ({"times_months": [60, 61]}, "OS: no study reports it at 61 months; reported are 60."),
        ({"measure": "log_hr"}, "measure"),
    ],
)
def test_bad_input(more, message):
    with pytest.raises(InvalidInputError, match=message):
        bound_pooled_survival(review(THREE), "OS", **more)


def test_no_landmark_of_two_studies():
    with pytest.raises(
        InvalidInputError, match="OS: no study reports it at any landmark; reported are 36 and 60"
    ):
        bound_pooled_survival(review([("a", [5], [73], 60), ("b", [3], [47], 40)]), "OS")


def test_rounded_figures_are_their_interval():
    assert ReportedNumber("50.0", "percent").text == "50.0"
    coarse = bound_pooled_survival(review([("a", [5], ["80"], 60), ("b", [5], ["50"], 40)]), "OS")
    low, high = coarse.average_survival(60)
    assert (low, high) == pytest.approx((0.675, 0.685))
