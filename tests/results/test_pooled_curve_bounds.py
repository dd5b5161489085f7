"""Limits of the average curve: by hand, by another implementation, and for curves that run through the figures."""

import dataclasses
import json
import math
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.datasets import load_gliomas, load_nethm
from netsynth.errors import InvalidInputError
from netsynth.over_time import pool_survival
from netsynth.pooled_bounds import bound_pooled_survival
from netsynth.results.pooled_curve import PooledCurve, StudyCurve

pytestmark = pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")
#: Two studies of 30 and 10 patients.
TWO = (("A", [12.0, 24.0], [0.8, 0.5], 30), ("B", [24.0, 36.0], [0.6, 0.3], 10))


def curve_of(rows, **more):
    """A pooled curve whose studies printed this: name, times, survival, patients."""
    grid = np.unique(np.concatenate([times for _, times, _, _ in rows]))
    m, nan = grid.size, np.full((grid.size, grid.size), math.nan)
    fields = {
        "method": "multivariate",
        "model": "made",
        "endpoint": "OS",
        "label": "overall survival",
        "time_months": grid,
        "scale": "log",
        "estimate": np.log(np.linspace(0.9, 0.4, m)),
        "covariance": 0.01 * np.eye(m),
        "between": nan,
        "interpolation": "hazard",
        "study": tuple(name for name, *_ in rows),
        "study_curves": tuple(
            StudyCurve(name, np.array(t), np.array(s), np.full(len(t), math.nan), float(n))
            for name, t, s, n in rows
        ),
        "k_at": np.full(m, len(rows)),
        "n_at": np.full(m, math.nan),
    }
    return PooledCurve(**{**fields, **more})


def one_by_one(rows, t):
    """Limits at one time, study by study and figure by figure."""
    low = high = 0.0
    total = sum(n for *_, n in rows)
    for _, times, survival, n in rows:
        before = [s for at, s in zip(times, survival, strict=True) if at <= t]
        after = [s for at, s in zip(times, survival, strict=True) if at >= t]
        low += n / total * (1.0 if t == 0 else after[0] if after else 0.0)
        high += n / total * (before[-1] if before else 1.0)
    return low, high


@st.composite
def printed(draw):
    """One to four studies with one to four figures each."""
    rows = []
    for i in range(draw(st.integers(1, 4))):
        m = draw(st.integers(1, 4))
        times = sorted(
            draw(st.sets(st.sampled_from([6.0, 12.0, 18.0, 24.0, 36.0, 60.0]), min_size=m, max_size=m))
        )
        shares = sorted(draw(st.lists(st.integers(0, 100), min_size=m, max_size=m)), reverse=True)
        rows.append((f"S{i}", times, [s / 100 for s in shares], draw(st.integers(5, 200))))
    return rows


# --- the limits


def test_by_hand():
    curve = curve_of(TWO)
    lower, upper = curve.average_bounds([0, 6, 12, 18, 24, 30, 36, 40])
    assert lower == pytest.approx([1, 0.75, 0.75, 0.525, 0.525, 0.075, 0.075, 0], abs=1e-12)
    assert upper == pytest.approx([1, 1, 0.85, 0.85, 0.525, 0.525, 0.45, 0.45], abs=1e-12)
    low, high = curve.average_rmst_bounds(36)
    assert low == pytest.approx(12 * 0.75 + 12 * 0.525 + 12 * 0.075)
    assert high == pytest.approx(12 * 1 + 12 * 0.85 + 12 * 0.525)
    assert curve.average_median_bounds == (24.0, 36.0)
    assert curve.average_bounds().lower == pytest.approx([0.75, 0.525, 0.075])
    assert curve.why_no_average_bounds == ""


@given(printed(), st.lists(st.floats(0, 80), min_size=1, max_size=6))
def test_another_implementation(rows, times):
    curve = curve_of(rows)
    at = [*times, *curve.time_months]
    lower, upper = curve.average_bounds(at)
    expected = np.array([one_by_one(rows, t) for t in at])
    assert lower == pytest.approx(expected[:, 0], abs=1e-12)
    assert upper == pytest.approx(expected[:, 1], abs=1e-12)
    horizon = max(times[0], 1.0)
    edges = sorted({0.0, horizon, *(t for t in curve.time_months if t < horizon)})
    area = np.zeros(2)
    for start, stop in pairwise(edges):
        area += (stop - start) * np.array(one_by_one(rows, 0.5 * (start + stop)))
    assert list(curve.average_rmst_bounds(horizon)) == pytest.approx(list(area), abs=1e-9)


@given(printed(), st.data())
def test_the_average_of_any_curves_through_the_figures_lies_inside(rows, data):
    curve, grid = curve_of(rows), np.arange(0.0, 90.0, 1.5)
    average = np.zeros(grid.size)
    for _, times, survival, n in rows:
        ends = [1.0, *survival, 0.0]
        own = np.empty(grid.size)
        for j, (start, stop) in enumerate(zip([0.0, *times], [*times, math.inf], strict=True)):
            inside = (grid > start) & (grid < stop)
            size = int(inside.sum())
            drawn = data.draw(st.lists(st.floats(0, 1), min_size=size, max_size=size))
            own[inside] = ends[j + 1] + (ends[j] - ends[j + 1]) * np.sort(drawn)[::-1]
            own[grid == start] = ends[j]
        average += n * own
    average /= sum(n for *_, n in rows)
    lower, upper = curve.average_bounds(grid)
    assert (lower <= average + 1e-12).all()
    assert (average <= upper + 1e-12).all()
    # as steps that hold from one time of the grid to the next, its mean and its median
    low, high = curve.average_rmst_bounds(60.0)
    assert low - 1e-9 <= 1.5 * average[(grid > 0) & (grid <= 60)].sum()
    assert 1.5 * average[grid < 60].sum() <= high + 1e-9
    below = grid[average <= 0.5 - 1e-12]
    if below.size:
        assert curve.average_median_bounds.lower <= below[0]
        assert curve.average_median_bounds.upper >= grid[average > 0.5 + 1e-12][-1]


@given(printed(), st.floats(0.1, 80))
def test_curves_reach_the_limits(rows, t):
    """Each study as steps that fall as late, or as early, as its figures allow."""
    late = early = 0.0
    for _, times, survival, n in rows:
        late += n * np.append(1.0, survival)[np.searchsorted(times, t, "right")]
        early += n * np.append(survival, 0.0)[np.searchsorted(times, t, "left")]
    total = sum(n for *_, n in rows)
    lower, upper = curve_of(rows).average_bounds([t])
    assert (lower[0], upper[0]) == pytest.approx((early / total, late / total), abs=1e-12)


def test_studies_count_alike_where_the_size_of_one_is_not_known():
    rows = [TWO[0], (*TWO[1][:3], math.nan)]
    curve = curve_of(rows)
    lower, upper = curve.average_bounds([18.0])
    assert (lower[0], upper[0]) == pytest.approx(((0.5 + 0.6) / 2, (0.8 + 1.0) / 2))
    assert "  all studies: average curve of 2 studies, each of the same weight, nothing assumed" in str(curve)
    assert "all patients" not in str(curve)


def test_times_that_differ_by_rounding_are_one():
    rows = [TWO[0], ("B", [24.0 * (1 + 1e-12), 36.0], [0.6, 0.3], 10)]
    curve = dataclasses.replace(curve_of(rows), **{
        name: getattr(curve_of(TWO), name)
        for name in ("time_months", "estimate", "covariance", "between", "k_at", "n_at")
    })  # fmt: skip
    lower, upper = curve.average_bounds([24.0])
    assert (lower[0], upper[0]) == pytest.approx((0.525, 0.525))


# --- from reports


def test_gliomas_at_printed_times_are_those_alive_of_all():
    review = load_gliomas()
    pooled = pool_survival(review, "OS", sets=["control"], roles=["arm", "comparator"])
    alive, total = 0, 0
    for report in review.survival:
        if report.group.evidence_set == "control":
            (share,) = report.survival[report.landmark_months == 12]
            alive += round(float(share) * report.n_total)
            total += report.n_total
    assert (alive, total) == (370, 944)
    lower, upper = pooled.average_bounds([12.0])
    assert lower == upper == pytest.approx(370 / 944, abs=5e-5)  # percentages are printed with two decimals


def test_rounding_apart_they_are_those_of_the_review():
    """Where the same figures are chosen, the limits without rounding lie within those with it."""
    pooled = pool_survival(load_nethm(), "OS", sets=["core"])
    found = bound_pooled_survival(load_nethm(), "OS", sets=["core"])
    assert set(pooled.study) < set(found.mixture_studies)
    chosen = load_gliomas(), "OS"
    options = {"sets": ["control"], "roles": ["arm", "comparator"]}
    pooled = pool_survival(*chosen, **options)
    found = bound_pooled_survival(*chosen, times_months=[12], **options)
    assert set(pooled.study) == set(found.mixture_studies)
    for t in (3.0, 6.0, 9.0, 12.0, 17.0, 24.0, 30.0):
        (lower,), (upper,) = pooled.average_bounds([t])
        wider = found.average_survival(t)
        assert wider.lower - 1e-12 <= lower <= upper <= wider.upper + 1e-12
        assert lower - wider.lower <= 0.005
        assert wider.upper - upper <= 0.005


def test_of_one_study_they_are_its_own():
    data = {"study": ["A", "A"], "time_months": [12, 36], "survival": [0.9, 0.6], "n_total": [50, 50]}
    for method in ("summary", "multivariate"):
        pooled = pool_survival(data, method=method)
        lower, upper = pooled.average_bounds([6, 12, 24, 36, 48])
        assert lower.tolist() == [0.9, 0.9, 0.6, 0.6, 0.0]
        assert upper.tolist() == [1.0, 0.9, 0.9, 0.6, 0.6]
        assert math.isnan(pooled.survival(48))
        assert pooled.average_median_bounds == (36.0, math.inf)


@pytest.mark.parametrize("method", ["curves", "stratified", "cox", "parametric"])
def test_curves_from_patients_have_none(method):
    rng = np.random.default_rng(1)
    data = {
        "study": ["A"] * 40 + ["B"] * 40,
        "time_months": rng.exponential(20, 80),
        "event": rng.integers(0, 2, 80),
    }
    pooled = pool_survival(data, method=method, times_months=[6, 12])
    assert np.isnan(pooled.average_bounds()).all()
    assert np.isnan(pooled.average_rmst_bounds(12)).all()
    assert np.isnan(pooled.average_median_bounds).all()
    assert pooled.why_no_average_bounds.startswith(f"method {method!r} takes patients or reconstructions")
    assert pooled.summary_frame()["average_lower"].isna().all()
    assert "all patients" not in str(pooled) + pooled._repr_html_()
    assert pooled.to_dict()["average_rmst_bounds"] == [None, None]


def test_questions_that_have_no_answer():
    curve = curve_of(TWO)
    for question in (lambda: curve.average_bounds([-1]), lambda: curve.average_rmst_bounds(math.inf)):
        with pytest.raises(InvalidInputError):
            question()
    none = dataclasses.replace(curve, study_curves=())
    assert np.isnan(none.average_bounds([12.0])).all()
    assert none.why_no_average_bounds == "no figures of the studies are held"


# --- for people


def test_they_stand_beside_the_answer():
    curve = curve_of(TWO)
    text = str(curve).splitlines()
    assert re.search(r"95% PI +all patients +studies$", text[1])
    assert "[75%, 85%]" in text[2]
    assert " 52.5%  " in text[3]  # where both limits are the same
    assert (
        "  all patients: average curve of 40 patients of 2 studies, nothing assumed between and after what is printed"
        in text
    )
    assert "<th>all patients</th>" in curve._repr_html_()
    frame = curve.summary_frame(time_months=[18, 24])
    assert frame["average_lower"].tolist() == pytest.approx([0.525, 0.525])
    assert frame["average_upper"].tolist() == pytest.approx([0.85, 0.525])
    kept = json.loads(json.dumps(curve.to_dict()))
    assert kept["average_median_bounds"] == [24.0, 36.0]
    assert kept["average_rmst_bounds"] == pytest.approx(list(curve.average_rmst_bounds(36)))
    assert kept["times"][0]["average_upper"] == pytest.approx(0.85)
