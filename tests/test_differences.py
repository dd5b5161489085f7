import math
import warnings

import numpy as np
import pytest
from scipy.stats import t as student

from netsynth.datasets import load_gliomas
from netsynth.differences import compare_curves, pool_differences
from netsynth.errors import InvalidInputError, OverlapWarning, UnusableDataWarning
from netsynth.multivariate import pool_multivariate
from netsynth.over_time import pool_survival

# five made trials: survivors of n at 12 and 24 months in two arms, all followed
TREATED = [(40, 30, 18), (100, 71, 52), (55, 40, 33), (80, 60, 39), (30, 25, 20)]
CONTROL = [(42, 25, 13), (98, 60, 41), (50, 33, 19), (85, 58, 40), (33, 21, 14)]
NAMES = ["Ames", "Bose", "Cole", "Dean", "Eads"]


def columns(rows, months=(12, 24), names=NAMES):
    """Percentages of counts as a table; the number at the start of each interval is that of those alive."""
    table = {"study": [], "time_months": [], "survival": [], "n_at_start": []}
    for name, (n, *alive) in zip(names, rows, strict=True):
        for time, before, x in zip(months, (n, *alive[:-1]), alive, strict=True):
            for key, value in zip(table, (name, time, x / n, before), strict=True):
                table[key].append(value)
    return table


def multinomial(n, *alive):
    """Survival at the times and its covariance S_l (1 - S_j) / n for j before l."""
    s = np.array(alive) / n
    return s, np.array(
        [[s[max(i, j)] * (1 - s[min(i, j)]) / n for j in range(s.size)] for i in range(s.size)]
    )


@pytest.fixture(autouse=True)
def few_studies():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def by_hand(transform, jacobian, **more):
    """The same pooled from counts: differences of a function of survival with multinomial covariances."""
    y, v = [], []
    for one, other in zip(TREATED, CONTROL, strict=True):
        (s1, c1), (s0, c0) = multinomial(*one), multinomial(*other)
        j1, j0 = jacobian(s1), jacobian(s0)
        y.append(transform(s1) - transform(s0))
        v.append(j1 @ c1 @ j1.T + j0 @ c0 @ j0.T)
    return pool_multivariate(np.array(y), covariance=np.array(v), **more)


# restricted means with straight lines: 12 (1 + S1) / 2, and that plus 12 (S1 + S2) / 2
AREA = np.array([[6.0, 0.0], [12.0, 6.0]])


@pytest.mark.parametrize(
    ("kind", "transform", "jacobian"),
    [
        ("survival difference", lambda s: s, lambda _: np.eye(2)),
        ("cumulative hazard ratio", lambda s: np.log(-np.log(s)), lambda s: np.diag(1 / (s * np.log(s)))),
        ("restricted mean difference", lambda s: AREA @ s + 6, lambda _: AREA),
        (
            "restricted mean ratio",
            lambda s: np.log(AREA @ s + 6),
            lambda s: AREA / (AREA @ s + 6)[:, None],
        ),
    ],
)
@pytest.mark.parametrize(
    "more", [{"method": "CE", "ci_method": "wald"}, {"method": "REML", "ci_method": "t"}]
)
def test_differences_within_trials_are_those_of_the_counts(kind, transform, jacobian, more):
    found = pool_differences(
        columns(TREATED), columns(CONTROL), "OS", kind=kind, times_months=[12, 24], **more
    )
    expected = by_hand(transform, jacobian, **more)
    assert found.coefficient == pytest.approx(expected.coefficient, rel=1e-6, abs=1e-9)
    assert found.model_covariance == pytest.approx(expected.model_covariance, rel=1e-5, abs=1e-12)
    assert found.q == pytest.approx(expected.q, rel=1e-8)


def test_two_curves_on_paper():
    """One curve of two studies against another: their differences, with the sum of their covariances."""
    one = pool_survival(columns(TREATED), "OS", method="summary", times_months=[12, 24])
    other = pool_survival(
        columns(CONTROL, names=[f"other {x}" for x in NAMES]), "OS", method="summary", times_months=[12, 24]
    )
    found = compare_curves(one, other, times_months=[12, 24], horizons_months=[24], names=("new", "old"))
    assert found.kind == (
        "survival difference",
        "survival difference",
        "restricted mean difference",
        "cumulative hazard ratio",
        "cumulative hazard ratio",
        "restricted mean ratio",
    )
    s1, s0 = one.survival([12, 24]), other.survival([12, 24])
    assert found.estimate[:2] == pytest.approx(s1 - s0)
    assert found.natural[3:5] == pytest.approx(np.log(s1) / np.log(s0))
    assert found.estimate[2] == pytest.approx(one.rmst(24) - other.rmst(24))
    assert found.natural[5] == pytest.approx(one.rmst(24) / other.rmst(24))
    covariance = one.covariance_at([12, 24]) + other.covariance_at([12, 24])
    assert found.covariance[:2, :2] == pytest.approx(covariance)
    assert found.covariance[2, 2] == pytest.approx(
        one.rmst_covariance([24])[0, 0] + other.rmst_covariance([24])[0, 0]
    )
    factor = 1.959964 if math.isinf(found.df) else student.ppf(0.975, found.df)
    low, _ = found.confidence_interval()
    assert low == pytest.approx(found.estimate - factor * found.se)
    assert str(found).startswith("OS, new (5 studies) against old (5 studies)")


def test_the_joint_covariance_is_that_of_small_changes():
    """Every comparison as a function of the curves' log survival, its slopes by differences."""
    one = pool_survival(columns(TREATED), "OS", method="summary", times_months=[12, 24])
    other = pool_survival(
        columns(CONTROL, names=[f"other {x}" for x in NAMES]), "OS", method="summary", times_months=[12, 24]
    )
    found = compare_curves(one, other, times_months=[12, 24], horizons_months=[18])
    assert np.linalg.eigvalsh(found.covariance).min() > -1e-12

    def answers(curve, shift):
        s = np.exp(np.log(curve.survival_at_times) + shift)
        if curve.interpolation == "survival":
            area = 12 * (1 + s[0]) / 2 + 6 * (s[0] + 0.5 * (s[0] + s[1])) / 2
        else:
            h = -np.log(s)
            grid = np.linspace(0, 18, 200_001)
            area = np.trapezoid(np.exp(-np.interp(grid, [0, 12, 24], [0, *h])), grid)
        return np.array([*s, area, *np.log(-np.log(s)), np.log(area)])

    total = 0.0
    for curve in (one, other):
        step = 1e-5
        slope = np.stack(
            [(answers(curve, step * e) - answers(curve, -step * e)) / (2 * step) for e in np.eye(2)], axis=1
        )
        total = total + slope @ curve.log_covariance @ slope.T
    assert found.covariance == pytest.approx(total, rel=1e-5, abs=1e-10)


def test_arms_of_the_same_trials_are_told_apart_from_groups_of_studies():
    trials = load_gliomas()
    arms = [
        pool_survival(trials, "OS", sets=[arm], roles=["arm", "comparator"], times_months=[12, 24])
        for arm in ("chemotherapy", "control")
    ]
    with pytest.warns(OverlapWarning, match="trial_08 and 9 more are in both curves"):
        apart = compare_curves(*arms, times_months=[12])
    within = pool_differences(trials, trials, "OS", times_months=[12, 24])
    assert within.study == tuple(f"trial_{i:02d}" for i in range(1, 18))
    assert np.sqrt(within.covariance[0, 0]) < 0.6 * apart.se[0]


def test_ratios_keep_arms_where_all_have_died():
    trials = load_gliomas()
    found = pool_differences(trials, trials, "OS", kind="cumulative hazard ratio", times_months=[12, 24])
    assert np.isfinite(found.study_estimate).all()


def test_a_time_that_one_arm_does_not_report_is_missing_and_not_read_off():
    one = columns(TREATED)
    other = columns([row[:2] for row in CONTROL[:1]], months=(12,), names=NAMES[:1])
    rest = columns(CONTROL[1:], names=NAMES[1:])
    for key in rest:
        other[key] += rest[key]
    found = pool_differences(one, other, "OS", times_months=[12, 24])
    assert np.isnan(found.study_estimate[0]).tolist() == [False, True]


def test_the_joint_test_refuses_times_that_say_the_same():
    one = pool_survival(columns(TREATED), "OS", method="summary", times_months=[12, 24])
    other = pool_survival(
        columns(CONTROL, names=[f"other {x}" for x in NAMES]), "OS", method="summary", times_months=[12, 24]
    )
    found = compare_curves(one, other, times_months=[12, 24])
    test = found.test("survival difference")
    d = found.estimate[:2]
    assert test.statistic * (1 if math.isinf(test.df_residual) else 2) == pytest.approx(
        d @ np.linalg.inv(found.covariance[:2, :2]) @ d
    )
    three = compare_curves(one, other, times_months=[6, 12, 18, 24])
    with pytest.raises(InvalidInputError, match="not independent of each other"):
        three.test("survival difference")
    with pytest.raises(InvalidInputError, match="No comparison is a 'median'; there are survival difference"):
        found.test("median")


def test_frames_and_figures_hold_the_numbers():
    one = pool_survival(columns(TREATED), "OS", method="summary", times_months=[12, 24])
    other = pool_survival(
        columns(CONTROL, names=[f"other {x}" for x in NAMES]), "OS", method="summary", times_months=[12, 24]
    )
    found = compare_curves(one, other)
    frame = found.summary_frame()
    assert frame.estimate.tolist() == found.estimate.tolist()
    assert found.of("cumulative hazard ratio").index.tolist() == [12.0, 24.0]
    ax = found.plot(kind="cumulative hazard ratio")
    assert ax.lines[1].get_ydata().tolist() == pytest.approx(
        found.of("cumulative hazard ratio").natural.tolist()
    )
    assert found.plot().lines[1].get_ydata().tolist() == pytest.approx((100 * found.estimate[:2]).tolist())


def test_studies_with_one_arm_are_named():
    with pytest.warns(UnusableDataWarning, match="one arm only, left out: Eads"):
        found = pool_differences(
            columns(TREATED), columns(CONTROL[:4], names=NAMES[:4]), "OS", times_months=[12, 24]
        )
    assert found.study == tuple(NAMES[:4])


def curves():
    return (
        pool_survival(columns(TREATED), "OS", times_months=[12, 24]),
        pool_survival(columns(CONTROL, names=[f"other {x}" for x in NAMES]), "PFS", times_months=[12, 24]),
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: compare_curves(curves()[0], 3),
            "second must be a PooledCurve, from pool_survival; got int.",
        ),
        (
            lambda: compare_curves(*curves()),
            "The curves are of OS and of PFS. Compare curves of one endpoint.",
        ),
        (
            lambda: compare_curves(curves()[0], curves()[0], times_months=[36]),
            "times_months: 36 months is after the last time of a curve, 24 months, where nothing is known.",
        ),
        (
            lambda: pool_differences(
                columns(TREATED), columns(CONTROL, names=list("vwxyz")), "OS", times_months=[12]
            ),
            "no study has both arms",
        ),
        (
            lambda: pool_differences(columns(TREATED), columns(CONTROL), "OS", times_months=[6]),
            "no study can be compared at 6 months",
        ),
        (
            lambda: pool_differences(
                columns(TREATED), columns(CONTROL), "OS", times_months=[12], kind="odds ratio"
            ),
            "kind",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()
