import math
import re
import warnings
from fractions import Fraction
from itertools import combinations, pairwise

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.linalg import block_diag
from scipy.stats import t as student

from netsynth.datasets import load_gliomas
from netsynth.differences import compare_curves, pool_differences
from netsynth.errors import BoundaryWarning, InvalidInputError, OverlapWarning, UnusableDataWarning
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
            area = trapezoid(np.exp(-np.interp(grid, [0, 12, 24], [0, *h])), grid)
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
    with pytest.warns(UnusableDataWarning, match="one arm only, the first, left out: Eads"):
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
                NEW, {key: OLD[key] for key in ("study", "time_months", "survival")}, "OS", times_months=[12]
            ),
            "^second: OS: no study prints a percentage with its number of patients",
        ),
        (
            lambda: pool_differences({**NEW, "n_total": [50] * 5}, OLD, "OS", times_months=[12]),
            "^first: n_total must have one value for each of 6 rows; got 5",
        ),
        (
            lambda: pool_differences(
                columns(TREATED), columns(CONTROL), "OS", times_months=[12], kind="odds ratio"
            ),
            "kind",
        ),
        (
            lambda: pool_differences(columns(TREATED), columns(CONTROL), times_months=[12], names=("a",)),
            "^names must be a pair, of the first arm and of the second; got \\('a',\\)",
        ),
        (
            lambda: pool_differences(columns(TREATED), columns(CONTROL), times_months=[12], names="ab"),
            "^names must be a pair, of the first arm and of the second; got 'ab'",
        ),
        (
            lambda: pool_differences(
                columns(TREATED), columns(CONTROL), times_months=[12], names=("a", " a")
            ),
            "^names must be different for the two arms; got 'a' twice",
        ),
        (
            lambda: pool_differences(columns(TREATED), columns(CONTROL), times_months=[12], sets=(None,)),
            "^sets must be a pair",
        ),
        (
            lambda: pool_differences(columns(TREATED), columns(CONTROL), times_months=[12], roles=3),
            "^roles must be a pair, of the first arm and of the second; got 3",
        ),
        (
            lambda: compare_curves(curves()[0], curves()[0], names=("a", "a")),
            "^names must be different",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()


# --- horizons that follow from each other ---------------------------------------------------------------------

MEANS = ("restricted mean difference", "restricted mean ratio")
KINDS = (
    "survival difference",
    "restricted mean difference",
    "cumulative hazard ratio",
    "restricted mean ratio",
)
#: as printed, with the number of patients alone
NEW = {
    "study": list("AABBCC"),
    "time_months": [12, 24] * 3,
    "n_total": [50] * 6,
    "survival": [0.9, 0.7, 0.8, 0.6, 0.85, 0.65],
}
OLD = {**NEW, "survival": [0.8, 0.5, 0.7, 0.5, 0.8, 0.55]}
# five made trials of which two print percentages at 6 months too, and one also at 18; two arms each
TRIALS = {
    "Ames": ((12, 24), (40, 30, 18), (42, 25, 13)),
    "Bose": ((6, 12, 24), (100, 88, 71, 52), (98, 80, 60, 41)),
    "Cole": ((6, 12, 18, 24), (55, 50, 40, 37, 33), (50, 41, 33, 24, 19)),
    "Dean": ((12, 24), (80, 60, 39), (85, 58, 40)),
    "Eads": ((24,), (30, 20), (33, 14)),
}


def table(arm, trials=TRIALS):
    """Percentages of one arm of trials that print different times."""
    parts = [columns([rows[arm]], months, [name]) for name, (months, *rows) in trials.items()]
    return {key: [value for part in parts for value in part[key]] for key in parts[0]}


def weights(months, horizon):
    """Area under straight lines from (0, 1) through percentages: weight of each, as fractions, and the constant."""
    found, constant = [Fraction(0)] * len(months), Fraction(0)
    edges = [0, *months]
    for j, (start, stop) in enumerate(pairwise(edges)):
        u, w = Fraction(min(max(horizon - start, 0), stop - start)), Fraction(stop - start)
        to_stop = u * u / (2 * w)
        found[j] += to_stop
        if j:
            found[j - 1] += u - to_stop
        else:
            constant += u - to_stop
    return found, constant


def rank(rows):
    """By elimination of fractions, so exact."""
    rows, found = [list(row) for row in rows], 0
    for column in range(len(rows[0]) if rows else 0):
        pivot = next((i for i in range(found, len(rows)) if rows[i][column] != 0), None)
        if pivot is None:
            continue
        rows[found], rows[pivot] = rows[pivot], rows[found]
        for i in range(found + 1, len(rows)):
            share = rows[i][column] / rows[found][column]
            rows[i] = [a - share * b for a, b in zip(rows[i], rows[found], strict=True)]
        found += 1
    return found


def best_subset(months, horizons):
    """Of all largest subsets of independent horizons the one with most printed times, then with the latest."""
    reach = [h for h in horizons if h <= months[-1]]
    for size in range(len(reach), 0, -1):
        fit = [
            subset
            for subset in combinations(reach, size)
            if rank([weights(months, h)[0] for h in subset]) == size
        ]
        if fit:
            return max(fit, key=lambda subset: (sum(h in months for h in subset), sorted(subset)[::-1]))
    return ()


def stacked(kind, horizons):
    """Generalised least squares under common effects, every number of every study in one long vector."""
    y, blocks, x = [], [], []
    for months, *rows in TRIALS.values():
        subset = best_subset(months, horizons)
        sides = []
        for row in rows:
            s, c = multinomial(*row)
            w = np.array([[float(a) for a in weights(months, h)[0]] for h in subset])
            area = w @ s + [float(weights(months, h)[1]) for h in subset]
            sides.append((np.log(area), w / area[:, None], c) if "ratio" in kind else (area, w, c))
        y += list(sides[0][0] - sides[1][0])
        blocks.append(sum(j @ c @ j.T for _, j, c in sides))
        x += [[float(h == other) for other in horizons] for h in subset]
    inverse = np.linalg.inv(block_diag(*blocks))
    y, x = np.array(y), np.array(x)
    covariance = np.linalg.inv(x.T @ inverse @ x)
    return covariance @ x.T @ inverse @ y, covariance


@pytest.mark.parametrize("kind", MEANS)
@pytest.mark.parametrize("horizons", [(12,), (24,), (6, 12, 24), (6, 12, 18, 24), (9, 15, 24)])
def test_horizons_of_trials_with_different_times_against_one_long_vector(kind, horizons):
    found = pool_differences(
        table(0), table(1), "OS", kind=kind, times_months=horizons, method="CE", ci_method="wald"
    )
    coefficient, covariance = stacked(kind, horizons)
    assert found.coefficient == pytest.approx(coefficient, rel=1e-9)
    assert found.covariance == pytest.approx(covariance, rel=1e-8, abs=1e-14)
    for i, (months, *_) in enumerate(TRIALS.values()):
        reported = [h for h, here in zip(horizons, found.reported[i], strict=True) if here]
        assert tuple(reported) == best_subset(months, horizons)


def test_what_is_not_counted_twice_is_said():
    with pytest.warns(UnusableDataWarning) as caught:
        pool_differences(table(0), table(1), "OS", kind=MEANS[1], times_months=[6, 12, 18, 24], method="CE")
    assert [str(each.message) for each in caught] == [
        "OS, restricted mean ratio over time: what follows from other times of a study is not counted twice: 6 and 18 "
        "months in Ames and Dean; 18 months in Bose; 6, 12 and 18 months in Eads"
    ]


@pytest.mark.parametrize("kind", MEANS)
@pytest.mark.parametrize("more", [{"method": "CE"}, {"structure": "diagonal"}, {}])
def test_a_horizon_that_follows_from_the_others_everywhere_changes_nothing(kind, more):
    few = pool_differences(NEW, OLD, "OS", kind=kind, times_months=[12, 24], **more)
    with pytest.warns(UnusableDataWarning) as caught:
        many = pool_differences(NEW, OLD, "OS", kind=kind, times_months=[3, 6, 12, 18, 21, 24], **more)
    assert many.outcomes == few.outcomes == ("12 months", "24 months")
    assert many.coefficient == pytest.approx(few.coefficient, rel=1e-12)
    assert many.covariance == pytest.approx(few.covariance, rel=1e-12)
    assert many.psi == pytest.approx(few.psi, rel=1e-9)
    (message,) = (str(each.message) for each in caught if each.category is UnusableDataWarning)
    assert message == (
        f"OS, {kind} over time: left out, as in every study it follows from the other times: 3, 6, 18 and 21 months. "
        "Ask for each alone."
    )


@pytest.mark.parametrize("kind", MEANS)
def test_one_study_says_the_same_of_a_horizon_whatever_else_is_asked(kind):
    few = pool_differences(table(0), table(1), "OS", kind=kind, times_months=[12, 24], method="CE")
    many = pool_differences(table(0), table(1), "OS", kind=kind, times_months=[6, 12, 18, 24], method="CE")
    np.testing.assert_allclose(many.study_estimate[:, [1, 3]], few.study_estimate, rtol=1e-12)
    np.testing.assert_allclose(
        many.study_covariance[:, [1, 3]][:, :, [1, 3]], few.study_covariance, rtol=1e-12
    )


@pytest.mark.parametrize(
    ("horizon", "study"),
    [
        (6, lambda s, t: np.log((4.5 + 1.5 * s) / (4.5 + 1.5 * t))),
        (12, lambda s, t: np.log((1 + s) / (1 + t))),
    ],
)
def test_one_horizon_may_lie_between_printed_times(horizon, study):
    found = pool_differences(NEW, OLD, "OS", kind=MEANS[1], times_months=[horizon], method="CE")
    pairs = zip(NEW["survival"][::2], OLD["survival"][::2], strict=True)
    assert found.study_estimate[:, 0] == pytest.approx([study(s, t) for s, t in pairs])


@pytest.mark.parametrize("kind", MEANS)
def test_four_horizons_of_the_gliomas(kind):
    trials = load_gliomas()
    found = pool_differences(trials, trials, "OS", kind=kind, times_months=[6, 12, 18, 24], method="CE")
    assert found.n_studies.tolist() == [16, 17, 16, 17]  # one trial prints 12 and 24 months alone


# --- arms in which all have died ------------------------------------------------------------------------------

DIED = {
    "Ames": ((12, 24, 36), (40, 30, 18, 9), (42, 21, 0, 0)),
    "Bose": ((12, 24, 36), (50, 40, 30, 25), (50, 35, 25, 20)),
    "Cole": ((12, 24, 36), (60, 50, 40, 30), (50, 40, 27, 25)),
}


def dying(kind, times, trials=DIED):
    return pool_differences(
        table(0, trials), table(1, trials), "OS", kind=kind, times_months=times, method="CE", ci_method="wald"
    )


def test_a_study_is_not_lost_to_deaths_after_the_time_asked():
    survival = [0.9, 0.8, 0.7, 0.8, 0.6, 0.5, 0.85, 0.65, 0.55]
    new = {
        "study": list("AAABBBCCC"),
        "time_months": [12, 24, 36] * 3,
        "survival": survival,
        "n_total": [50] * 9,
    }
    old = {**new, "survival": [0.5, 0, 0, 0.7, 0.5, 0.4, 0.8, 0.55, 0.5]}
    found = pool_differences(new, old, "OS", times_months=[12], structure="diagonal")
    assert found.study == ("A", "B", "C")
    alive = {**old, "survival": [0.5, 0.02, 0.02, 0.7, 0.5, 0.4, 0.8, 0.55, 0.5]}
    near = pool_differences(new, alive, "OS", times_months=[12], structure="diagonal")
    assert found.coefficient == pytest.approx(near.coefficient, rel=1e-12)
    assert found.covariance == pytest.approx(near.covariance, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_where_all_have_died_there_is_an_error_with_half_a_patient_moved(kind):
    """Ames on paper: 42, then 21, of whom all die by 24 months; half a patient of 22 survives the second year."""
    found = dying(kind, [12, 24])
    (s1, c1), p = multinomial(40, 30, 18), 0.5 / 22
    s0 = np.array([0.5, 0.0])
    near = np.array([0.5, 0.5 * p])
    g = np.cumsum([0.5 / (0.5 * 42), (1 - p) / (p * 21)])
    c0 = np.outer(near, near) * g[[[0, 0], [0, 1]]]
    value, slope = {
        "survival difference": (lambda s: s, lambda _: np.eye(2)),
        "restricted mean difference": (lambda s: AREA @ s + 6, lambda _: AREA),
        "cumulative hazard ratio": (lambda s: np.log(-np.log(s)), lambda s: np.diag(1 / (s * np.log(s)))),
        "restricted mean ratio": (lambda s: np.log(AREA @ s + 6), lambda s: AREA / (AREA @ s + 6)[:, None]),
    }[kind]
    printed = near if kind == "cumulative hazard ratio" else s0
    assert found.study_estimate[0] == pytest.approx(value(s1) - value(printed))
    expected = slope(s1) @ c1 @ slope(s1).T + slope(near) @ c0 @ slope(near).T
    assert found.study_covariance[0] == pytest.approx(expected)


def test_survival_stays_0_with_the_same_error():
    found = dying("survival difference", [24, 36])
    (_, c1) = multinomial(40, 30, 18, 9)
    of_old = found.study_covariance[0] - c1[1:, 1:]
    assert of_old == pytest.approx(np.full((2, 2), of_old[0, 0]))
    assert of_old[0, 0] > 0
    assert found.study_estimate[0] == pytest.approx([18 / 40, 9 / 40])
    area = dying("restricted mean difference", [36]).study_estimate[0, 0]
    assert area == pytest.approx(12 * (0.5 + 0.75 + 0.45 + 0.225 / 2) - 12 * (0.5 + 0.5))


def test_the_hazard_is_unknown_after_the_last_death():
    found = dying("cumulative hazard ratio", [12, 24, 36])
    assert found.reported.tolist() == [[True, True, False], [True] * 3, [True] * 3]


def test_when_all_of_both_arms_have_died_later_times_say_nothing_more():
    both = {**DIED, "Ames": ((12, 24, 36), (40, 30, 0, 0), (42, 21, 0, 0))}
    with pytest.warns(UnusableDataWarning, match="is not counted twice: 36 months in Ames"):
        found = dying("survival difference", [12, 24, 36], both)
    assert found.reported[0].tolist() == [True, True, False]
    with pytest.warns(UnusableDataWarning, match="is not counted twice: 36 months in Ames"):
        dying("restricted mean difference", [12, 24, 36], both)


# --- what is printed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "label", "null"),
    [
        ("survival difference", "Difference of survival, % points", 0),
        ("restricted mean difference", "Difference of restricted means, months", 0),
        ("cumulative hazard ratio", "Ratio of cumulative hazards", 1),
        ("restricted mean ratio", "Ratio of restricted means", 1),
    ],
)
def test_text_and_figure_name_what_is_compared_in_its_unit(kind, label, null):
    found = pool_differences(NEW, OLD, "OS", kind=kind, times_months=[12, 24], names=("new", "old"))
    head, _, line, *_ = str(found).splitlines()
    assert head.startswith(f"{label}, OS, new against old, 2 outcomes, random effects")
    factor = 100 if kind == "survival difference" else 1
    low, high = (end[0] for end in found.confidence_interval())
    shown = [found.coefficient[0], low, high]
    shown = np.exp(shown) if "ratio" in kind else factor * np.array(shown)
    numbers = [float(each) for each in re.findall(r"-?\d+\.\d+", line)[:3]]
    assert numbers == pytest.approx(shown, rel=6e-3 if "ratio" not in kind else 0, abs=5.1e-3)
    assert found.natural == pytest.approx(np.exp(found.coefficient) if "ratio" in kind else found.coefficient)
    ax = found.plot()
    assert ax.get_xlabel() == label
    assert ax.get_xscale() == ("log" if "ratio" in kind else "linear")
    assert any(list(line.get_xdata()) == [null, null] for line in ax.lines)
    text = " ".join(each.get_text() for each in ax.texts)
    assert "OS, new against old" in text
    assert f"{label} [95% CI]" in text
    pair = found.plot_pair("12 months", "24 months")
    assert [" ".join(each.split()) for each in (pair.get_xlabel(), pair.get_ylabel())] == [
        f"{label}, 12 months",
        f"{label}, 24 months",
    ]


def test_a_ratio_is_printed_as_one_and_is_that_of_two_curves():
    found = pool_differences(NEW, OLD, "OS", kind="restricted mean ratio", times_months=[24], method="CE")
    low, high = np.exp([end[0] for end in found.confidence_interval()])
    assert f"{found.natural[0]:.2f}  [{low:.2f}, {high:.2f}]" in str(found)
    alone = [pool_survival(each, "OS", method="summary") for each in (NEW, OLD)]
    ratio = alone[0].rmst(24) / alone[1].rmst(24)
    assert found.natural[0] == pytest.approx(ratio, rel=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_of_a_variance_that_is_none_are_not_printed(kind):
    with pytest.warns(BoundaryWarning) as caught:
        found = pool_differences(NEW, OLD, "OS", kind=kind, times_months=[12, 24])
    assert found.tau2.tolist() == [0, 0]
    assert "e-" not in str(found)
    assert "correlation between studies" not in str(found)
    (message,) = (str(each.message) for each in caught if each.category is BoundaryWarning)
    assert "lies on its boundary: 12 months and 24 months do not vary." in message


@pytest.mark.parametrize("more", [{}, {"structure": "compound_symmetry"}, {"method": "CE"}])
def test_one_study_is_not_pooled_and_what_is_advised_works(more):
    new, old = ({key: values[:2] for key, values in each.items()} for each in (NEW, OLD))
    with pytest.raises(
        InvalidInputError, match=r"only one study tells each time in both arms \(A\), and pooling takes two"
    ):
        pool_differences(new, old, times_months=[12, 24], **more)
    arms = [pool_survival(each, times_months=[12, 24]) for each in (new, old)]
    with pytest.warns(OverlapWarning, match="A is in both curves"):
        found = compare_curves(*arms)
    assert found.of("survival difference").estimate.tolist() == pytest.approx([0.1, 0.2])
