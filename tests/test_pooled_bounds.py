import math
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
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
        ({"maturity": None}, r"maturity must be a share in \(0, 1\]; got None."),
        ({"least_maturity": "x"}, r"least_maturity must be a share in \[0, 1\]; got 'x'."),
        ({"least_maturity": 1.5}, r"least_maturity must be a share in \[0, 1\]; got 1.5."),
        ({"times_months": [60, 61]}, "OS: no study reports it at 61 months; reported are 60 months."),
        ({"measure": "log_hr"}, "measure"),
    ],
)
def test_bad_input(more, message):
    with pytest.raises(InvalidInputError, match=message):
        bound_pooled_survival(review(THREE), "OS", **more)


def test_no_landmark_of_two_studies():
    with pytest.raises(
        InvalidInputError,
        match=r"OS: no two studies report the same landmark; reported are 36 and 60 months\. Name the ones you",
    ):
        bound_pooled_survival(review([("a", [5], [73], 60), ("b", [3], [47], 40)]), "OS")


def test_rounded_figures_are_their_interval():
    assert ReportedNumber("50.0", "percent").text == "50.0"
    coarse = bound_pooled_survival(review([("a", [5], ["80"], 60), ("b", [5], ["50"], 40)]), "OS")
    low, high = coarse.average_survival(60)
    assert (low, high) == pytest.approx((0.675, 0.685))


# --- other data than a review

SHARES = {
    "study": ["a", "b", "c"],
    "time_months": [60] * 3,
    "survival": [0.73, 0.47, 0.71],
    "n_total": [60, 40, 80],
}


def same(one, other):
    assert np.array(one.survival) == pytest.approx(np.array(other.survival), abs=1e-12)
    assert np.array(one.confidence_interval()) == pytest.approx(
        np.array(other.confidence_interval()), abs=1e-9, nan_ok=True
    )
    assert tuple(one.average_survival(60)) == pytest.approx(tuple(other.average_survival(60)), abs=1e-12)
    assert one.k_unknown.tolist() == other.k_unknown.tolist()
    assert one.mixture_n == other.mixture_n


def test_records_and_columns_are_as_their_review():
    expected = bound_pooled_survival(review(THREE))
    same(bound_pooled_survival(review(THREE).survival), expected)
    same(bound_pooled_survival(list(review(THREE).survival), "OS"), expected)
    for make in (dict, pd.DataFrame):
        same(bound_pooled_survival(make(SHARES)), expected)


def test_numbers_at_risk_and_limits_of_columns_are_those_of_records():
    percent, at_risk, n = ["80.5", "60.0"], [50, 20], 80
    years = {"years": [3, 5], "percent": percent, "n_total": n}
    records = [
        ReportedSurvival.from_percent("a", "OS", **years, n_at_risk=at_risk),
        ReportedSurvival.from_percent(
            "b", "OS", **years, ci_lower=["70.2", "47.1"], ci_upper=["87.6", "70.9"]
        ),
    ]
    nan = math.nan
    columns = {
        "study": ["a", "a", "b", "b"],
        "time_months": [36, 60] * 2,
        "survival": [0.805, 0.6] * 2,
        "n_total": [n] * 4,
        "n_at_risk": [50, 20, nan, nan],
        "ci_lower": [nan, nan, 0.702, 0.471],
        "ci_upper": [nan, nan, 0.876, 0.709],
    }
    expected = bound_pooled_survival(records, least_maturity=0.5)
    same(bound_pooled_survival(columns, least_maturity=0.5), expected)
    begun = {**columns, "n_at_start": [n, 50, nan, nan]}
    del begun["n_at_risk"]
    found = bound_pooled_survival(begun, times_months=[36])
    assert np.array(found.survival) == pytest.approx(np.array(expected.survival)[:, :1], abs=1e-9)


def test_percentages_alone_need_no_number():
    columns = {name: column for name, column in SHARES.items() if name != "n_total"}
    with pytest.warns(UnusableDataWarning, match="for want of a number of patients: a, b and c"):
        found = bound_pooled_survival(columns)
    # any weights: between the least and the largest
    assert np.array(found.survival)[:, 0] == pytest.approx([0.47, 0.73])
    assert "no average curve of all patients: no study that can be used in it gives their number" in str(
        found
    )
    assert math.isnan(found.average_median.lower)
    assert math.isnan(found.average_survival(60).upper)
    assert math.isnan(found.average_rmst(60).lower)


def test_other_data_that_cannot_be_right():
    for data, more, message in (
        (5, {}, "data must be a Review, a sequence of ReportedSurvival, or a data frame"),
        (SHARES, {"sets": ["core"]}, "sets are chosen from a Review"),
        ({**SHARES, "n_at_risk": [20.5, 9, 9]}, {}, "a, 60 months: got 20.5 patients. .* whole numbers"),
        (review([("a", [3, 5], [80, 60], 40)]), {}, "no two studies .*; reported are 36 and 60 months. Name"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            bound_pooled_survival(data, **more)


def test_one_study_can_be_asked_for_by_its_times():
    found = bound_pooled_survival(review([("a", [3, 5], [80, 60], 40)]), times_months=[36, 60])
    assert found.survival.lower == pytest.approx([0.8, 0.6])


# --- numbers at risk that cannot be


def with_x(**more):
    x = ReportedSurvival.from_percent("x", "OS", years=[1, 3, 5], percent=[90, 70, 50], n_total=100, **more)
    return Review((*(Study(name) for name in "abc"), Study("x")), survival=(*review(THREE).survival, x))


def test_impossible_numbers_at_risk_do_not_narrow_the_limits():
    with pytest.warns(UnusableDataWarning) as caught:
        found = bound_pooled_survival(with_x(n_at_risk=[99, 98, 97]), times_months=[12, 60])
    same(found, bound_pooled_survival(with_x(), times_months=[12, 60]))
    assert [each.where for each in found.warnings] == [
        "x"
    ] * 3  # once each, though two landmarks are asked for
    assert str(caught[0].message) == (
        "x: 99 at risk at 12 months, but survival of 90% leaves 90 at most of 100 patients, unless 9 or "
        "more died at exactly 12 months: this number at risk is not used"
    )
    # the variance of one half from 100 patients, of whom one or more are at risk
    place = int(np.abs(found.box.lower[1] - math.log(math.log(2))).argmin())
    ends = [float(each[1, place]) * (0.5 * math.log(2)) ** 2 for each in found.box[2:4]]
    assert ends == pytest.approx([0.25 / 100, 0.125 / 1])


def test_the_landmark_says_so_too():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pooled = pool_landmark(with_x(n_at_risk=[99, 98, 97]), "OS", time_months=60)
        without = pool_landmark(with_x(), "OS", time_months=60)
    assert any("x: 97 at risk at 60 months" in each.message for each in pooled.warnings)
    assert pooled.estimate == without.estimate


def test_standard_errors_of_columns_settle_the_variance():
    s, se = np.array(SHARES["survival"]), np.array([0.05, 0.06, 0.07])
    columns = {name: column for name, column in SHARES.items() if name != "n_total"}
    with pytest.warns(UnusableDataWarning, match="not in the average curve"):
        found = bound_pooled_survival({**columns, "se": se})
    expected = (se / (s * np.log(s))) ** 2  # on the scale of log(-log S)
    assert found.box[2][0] == pytest.approx(expected, rel=1e-9)
    assert found.box[3][0] == pytest.approx(expected, rel=1e-9)
