"""The summary curve against published numbers, RISCA and metaSurvival, and a second implementation in loops."""

import json
from math import asin, cos, log, pi, sin, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import block_diag

from netsynth.kernels.summary_curve import (
    between_studies,
    conditional_arcsine,
    log_survival,
    summary_curve,
)

REFERENCES = Path(__file__).parents[1] / "references"
SUMMARY = json.loads((REFERENCES / "summary_curves.json").read_text(encoding="utf-8"))
DATA = SUMMARY["data"]
MODELS = {"fixed": False, "random": True}

# Fine HA et al. (1993): gliomas, chemotherapy, 16 trials with all times: patients, alive at 6, 12, 18, 24 months
GLIOMAS = (
    (19, 34, 72, 22, 70, 183, 26, 61, 36, 45, 246, 386, 59, 45, 14, 26),
    (16, 22, 44, 19, 62, 130, 24, 51, 30, 43, 169, 279, 56, 42, 14, 21),
    (11, 18, 21, 14, 42, 80, 13, 37, 23, 19, 106, 170, 34, 18, 13, 12),
    (4, 15, 10, 5, 26, 47, 5, 19, 13, 8, 67, 97, 21, 9, 12, 6),
    (4, 15, 3, 2, 15, 30, 3, 11, 10, 6, 51, 73, 20, 9, 9, 5),
)


def dense(data):
    """Survival and numbers at the start, a row a study and a column a time."""
    studies, times = list(dict.fromkeys(data["study"])), sorted(set(data["time_months"]))
    survival = np.full((len(studies), len(times)), np.nan)
    n_at_start = survival.copy()
    for study, time, n, s in zip(
        *(data[k] for k in ("study", "time_months", "n_at_start", "survival")), strict=True
    ):
        survival[studies.index(study), times.index(time)] = s
        n_at_start[studies.index(study), times.index(time)] = n
    return survival, n_at_start


def gliomas():
    alive = np.array(GLIOMAS, dtype=float).T
    return alive[:, 1:] / alive[:, :1], alive[:, :-1]


def by_loops(survival, n_at_start, *, random=True):
    """The same method, one study and one pair of times after the other."""
    k, m = survival.shape
    y, v = [{} for _ in range(k)], [{} for _ in range(k)]
    for i in range(k):
        before = 1.0
        for j in range(m):
            if survival[i, j] != survival[i, j] or before == 0:
                break
            n, p = n_at_start[i, j], min(survival[i, j] / before, 1.0)
            y[i][j], v[i][j] = asin(sqrt((n * p + 1 / 4) / (n + 1 / 2))), 1 / (4 * (n + 1 / 2))
            before = survival[i, j]
    psi = np.zeros((m, m))
    for a in range(m) if random else ():
        for b in range(m):
            both = [i for i in range(k) if a in y[i] and b in y[i]]
            if len(both) < 2:
                continue
            w = {i: 1 / sqrt(v[i][a] * v[i][b]) for i in both}
            total = sum(w.values())
            mean_a = sum(w[i] * y[i][a] for i in both) / total
            mean_b = sum(w[i] * y[i][b] for i in both) / total
            top = sum(w[i] * (y[i][a] - mean_a) * (y[i][b] - mean_b) for i in both)
            if a == b:
                top -= len(both) - 1
            psi[a, b] = top / (total - sum(each**2 for each in w.values()) / total)
    value, vector = np.linalg.eigh(psi)
    psi = vector @ np.diag([max(each, 0.0) for each in value]) @ vector.T
    blocks, rows, stacked = [], [], []
    for i in range(k):
        own = sorted(y[i])
        blocks.append(psi[np.ix_(own, own)] + np.diag([v[i][j] for j in own]))
        rows += [np.eye(m)[j] for j in own]
        stacked += [y[i][j] for j in own]
    inverse, x = np.linalg.inv(block_diag(*blocks)), np.array(rows)
    error = np.linalg.inv(x.T @ inverse @ x)
    beta = error @ x.T @ inverse @ np.array(stacked)
    curve, covariance, between = [], np.zeros((m, m)), np.zeros((m, m))
    for j in range(m):
        curve.append(sum(log(sin(beta[e]) ** 2) for e in range(j + 1)))
        for g in range(m):
            for e in range(j + 1):
                for h in range(g + 1):
                    slope = 4 * cos(beta[e]) / sin(beta[e]) * cos(beta[h]) / sin(beta[h])
                    covariance[j, g] += slope * error[e, h]
                    between[j, g] += slope * psi[e, h]
    q = 0.0
    for j in range(m):
        own = [i for i in range(k) if j in y[i]]
        mean = sum(y[i][j] / v[i][j] for i in own) / sum(1 / v[i][j] for i in own)
        q += sum((y[i][j] - mean) ** 2 / v[i][j] for i in own)
    return curve, covariance, between, q


# --- published


def test_hepatocellular_carcinoma_random_effects():
    found = summary_curve(*dense(DATA["hepatology-all"]))
    survival = np.exp(found.log_survival)
    published = [0.93524921, 0.82628083, 0.70123428, 0.61766270, 0.53060766, 0.44916320]
    assert survival[:6] == pytest.approx(published, abs=1e-7)
    times = sorted(set(DATA["hepatology-all"]["time_months"]))
    at = dict(zip(times, survival, strict=True))
    assert [at[12], at[24], at[48]] == pytest.approx([0.24431166, 0.09822802, 0.03516081], abs=1e-7)
    half = 1.96 * sqrt(found.covariance[0, 0])
    ends = survival[0] * np.exp([-half, half])
    assert ends == pytest.approx([0.90754, 0.96381], abs=5e-6)


def test_hepatocellular_carcinoma_common_effect_and_heterogeneity():
    found = summary_curve(*dense(DATA["hepatology-all"]), random=False)
    survival = np.exp(found.log_survival)
    assert survival[:3] == pytest.approx([0.94497450, 0.84347436, 0.73872717], abs=5e-9)
    assert survival[-1] == pytest.approx(0.06295069, abs=5e-9)
    assert found.q == pytest.approx(731.217, abs=5e-4)
    assert (found.df, found.df_studies) == (297, 290)
    assert found.q / found.df_studies == pytest.approx(2.521, abs=5e-4)
    assert 1 - found.df_studies / found.q == pytest.approx(0.6034, abs=5e-5)
    assert found.q / found.df == pytest.approx(2.462, abs=5e-4)
    assert 1 - found.df / found.q == pytest.approx(0.594, abs=5e-4)


def test_without_correction_the_variance_is_a_quarter_over_n():
    """metaSurvival takes 1/n, so that its Q is a quarter of what it should be: 219.6 and I2 0 for 878.4 and 67%."""
    found = summary_curve(*dense(DATA["hepatology-all"]), corrected=False)
    assert found.q == pytest.approx(878.4, abs=0.05)
    assert 1 - found.df_studies / found.q == pytest.approx(0.670, abs=5e-4)
    assert np.exp(found.log_survival[5]) == pytest.approx(0.4946, abs=5e-5)


def test_gliomas():
    common, random = (summary_curve(*gliomas(), random=flag) for flag in (False, True))
    assert np.exp(common.log_survival) == pytest.approx([0.76908, 0.47595, 0.27523, 0.20384], abs=5e-6)
    assert np.exp(random.log_survival) == pytest.approx([0.82613, 0.51722, 0.29491, 0.21916], abs=5e-6)
    assert random.q == pytest.approx(198.458, abs=5e-4)
    assert random.q / random.df == pytest.approx(3.3076, abs=5e-5)
    assert random.q / random.df_studies == pytest.approx(4.1345, abs=5e-5)


# --- other software


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("case", SUMMARY["summary"], ids=lambda c: f"{c['data']}, {c['confidence']}")
def test_risca(case, model):
    found = summary_curve(*dense(DATA[case["data"]]), random=MODELS[model])
    theirs = case["output"][model]
    survival = np.exp(found.log_survival)
    # the common effect agrees to the last digit; random effects carry an error near 1e-8, which our loops do not have
    tolerance = 1e-12 if model == "fixed" else 1e-7
    assert survival == pytest.approx(theirs["surv"], abs=tolerance)
    if case["confidence"] == "Greenwood":
        half = case["z"] * np.sqrt(np.diag(found.covariance))
        assert survival * np.exp(-half) == pytest.approx(theirs["ci_lb"], abs=tolerance)
        assert survival * np.exp(half) == pytest.approx(theirs["ci_ub"], abs=tolerance)
    heterogeneity = case["output"]["heterogeneity"]
    assert found.q == pytest.approx(heterogeneity["Q"], rel=1e-12)
    assert found.q / found.df_studies == pytest.approx(heterogeneity["H2"], rel=1e-12)


@pytest.mark.parametrize("case", SUMMARY["without_correction"], ids=lambda c: c["data"])
def test_metasurvival_without_correction_is_ours_with_a_quarter_of_the_patients(case):
    """Its variance of 1/n is 1/(4n) of n/4 patients; without correction conditional survivals hold no n."""
    survival, n_at_start = dense(DATA[case["data"]])
    for model, random in MODELS.items():
        found = summary_curve(survival, n_at_start / 4, random=random, corrected=False)
        assert np.exp(found.log_survival) == pytest.approx(case["output"][model]["surv"], abs=2e-7)
        assert found.q == pytest.approx(case["output"]["heterogeneity"]["Q"], rel=1e-10)
    ours = summary_curve(survival, n_at_start, corrected=False)
    assert ours.q == pytest.approx(4 * case["output"]["heterogeneity"]["Q"], rel=1e-10)


def test_risca_by_location():
    case = SUMMARY["strata"]
    data = DATA[case["data"]]
    for location, q in zip(case["output"]["heterogeneity"]["Strata"][:2], ("131.82", "407.4"), strict=True):
        rows = [i for i, at in enumerate(case["location"]) if at == location and data["time_months"][i] <= 24]
        found = summary_curve(
            *dense({name: [column[i] for i in rows] for name, column in data.items()}), random=False
        )
        for j, (_, survival, lower, upper) in enumerate(case["output"]["summary_fixed"][location]):
            half = 1.96 * sqrt(found.covariance[j, j])
            mine = np.exp(found.log_survival[j] + np.array([0.0, -half, half]))
            assert mine == pytest.approx([survival, lower, upper], abs=5.001e-4)
        if location == "NortAmericaEurope":
            assert found.q == pytest.approx(float(q), abs=0.05)


# --- second implementation


def some_studies(seed, k=7, m=5):
    """Studies that end at different times, one with nobody left, one with an interval without deaths."""
    rng = np.random.default_rng(seed)
    survival = np.cumprod(rng.uniform(0.5, 1.0, (k, m)), axis=1)
    n_at_start = np.round(
        rng.uniform(10, 200, (k, 1)) * np.concatenate([np.ones((k, 1)), survival[:, :-1]], axis=1), 1
    )
    survival[1, 2] = survival[1, 1]
    survival[2, 3:] = 0.0
    for i in range(3, k):
        end = rng.integers(1, m + 1)
        survival[i, end:] = np.nan
    return survival, n_at_start


@pytest.mark.parametrize("random", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_loops_agree(seed, random):
    data = some_studies(seed)
    curve, covariance, between, q = by_loops(*data, random=random)
    found = summary_curve(*data, random=random)
    assert found.log_survival == pytest.approx(np.array(curve), rel=1e-10)
    assert found.covariance == pytest.approx(covariance, rel=1e-9, abs=1e-13)
    told = found.k > 1
    assert found.between[np.ix_(told, told)] == pytest.approx(
        between[np.ix_(told, told)], rel=1e-9, abs=1e-12
    )
    assert found.q == pytest.approx(q, rel=1e-10)


def test_sets_are_handled_at_once():
    sets = [some_studies(seed) for seed in range(5)]
    together = summary_curve(*(np.stack(part) for part in zip(*sets, strict=True)))
    for i, one in enumerate(sets):
        alone = summary_curve(*one)
        for name in alone._fields:
            np.testing.assert_allclose(
                getattr(together, name)[i], getattr(alone, name), rtol=1e-9, atol=1e-13
            )


# --- properties


@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_the_order_of_studies_does_not_matter(seed, random):
    survival, n_at_start = some_studies(seed)
    order = list(range(len(survival)))
    random.shuffle(order)
    one, other = summary_curve(survival, n_at_start), summary_curve(survival[order], n_at_start[order])
    assert other.log_survival == pytest.approx(one.log_survival, rel=1e-8)
    assert other.covariance == pytest.approx(one.covariance, rel=1e-6, abs=1e-12)


@given(st.integers(0, 10_000))
def test_every_study_twice_leaves_the_common_curve_and_halves_its_variance(seed):
    data = some_studies(seed)
    one = summary_curve(*data, random=False)
    two = summary_curve(*(np.concatenate([part, part]) for part in data), random=False)
    assert two.log_survival == pytest.approx(one.log_survival, rel=1e-10)
    assert two.covariance == pytest.approx(0.5 * one.covariance, rel=1e-9, abs=1e-14)
    assert two.q == pytest.approx(2 * one.q, rel=1e-9)


@given(st.integers(0, 10_000), st.booleans())
def test_a_curve_falls_from_one_and_its_covariances_are_covariances(seed, random):
    found = summary_curve(*some_studies(seed), random=random)
    assert (np.diff(found.log_survival, prepend=0.0) <= 0).all()
    assert np.linalg.eigvalsh(found.covariance).min() > -1e-12
    told = found.k > 1
    assert np.linalg.eigvalsh(found.between[np.ix_(told, told)]).min() > -1e-10


def test_identical_studies_do_not_differ():
    survival, n_at_start = (np.repeat(part[:1], 4, axis=0) for part in some_studies(3))
    random, common = (summary_curve(survival, n_at_start, random=flag) for flag in (True, False))
    assert random.psi == pytest.approx(0.0)
    assert random.log_survival == pytest.approx(common.log_survival, rel=1e-12)
    assert common.q == pytest.approx(0.0, abs=1e-12)


def test_a_time_that_nobody_reaches_is_nan_and_leaves_the_others_alone():
    survival, n_at_start = some_studies(5)
    more = [
        np.concatenate([part, np.full((len(part), 1), np.nan)], axis=1) for part in (survival, n_at_start)
    ]
    one, other = summary_curve(survival, n_at_start), summary_curve(*more)
    assert np.isnan(other.log_survival[-1])
    assert other.log_survival[:-1] == pytest.approx(one.log_survival, rel=1e-12)
    assert other.df == one.df


def test_between_studies_is_unknown_from_the_first_time_with_one_study():
    survival, n_at_start = (part[:3].copy() for part in some_studies(4))
    survival[0, 3:], survival[1, 3:] = np.nan, np.nan
    survival[2] = np.sort(survival[0, 0] * np.array([0.9, 0.7, 0.5, 0.4, 0.3]))[::-1]
    found = summary_curve(survival, n_at_start)
    assert found.k.tolist() == [3, 3, 3, 1, 1]
    assert np.isfinite(found.between[:3, :3]).all()
    assert np.isnan(found.between[3:]).all()
    assert found.psi[3:] == pytest.approx(0.0)
    assert np.isfinite(found.covariance).all()


def test_a_common_time_weighs_by_patients():
    """One time, one effect: the mean arcsine weighted by n + 1/2, by hand."""
    found = summary_curve(np.array([[0.5], [0.8]]), np.array([[10.0], [40.0]]), random=False)
    angles = asin(sqrt(5.25 / 10.5)), asin(sqrt(32.25 / 40.5))
    mean = (10.5 * angles[0] + 40.5 * angles[1]) / 51
    assert found.arcsine == pytest.approx([mean])
    assert found.arcsine_covariance == pytest.approx(np.array([[1 / (4 * 51)]]))
    assert found.covariance[0, 0] == pytest.approx(4 * (cos(mean) / sin(mean)) ** 2 / (4 * 51))


def test_conditional_survivals_end_with_a_study():
    survival = np.array([[0.5, 0.0, 0.0], [0.9, np.nan, 0.5]])
    found = conditional_arcsine(survival, np.full((2, 3), 20.0))
    assert found.present.tolist() == [[True, True, False], [True, False, False]]
    assert found.arcsine[0, 1] == pytest.approx(asin(sqrt(0.25 / 20.5)))
    assert np.isinf(found.variance[0, 2])


def test_a_rise_within_rounding_is_no_rise():
    found = conditional_arcsine(np.array([[0.700, 0.7000001]]), np.full((1, 2), 5000.0))
    assert found.arcsine[0, 1] == pytest.approx(asin(sqrt(5000.25 / 5000.5)))


def test_what_least_squares_put_outside_is_held_at_the_end():
    log, slope = log_survival(np.array([1.0, 0.5 * pi + 0.1]))
    assert log[1] == pytest.approx(log[0])
    assert slope[1, 1] == pytest.approx(0.0, abs=1e-12)


def test_psi_can_be_given():
    data = some_studies(2)
    psi = between_studies(conditional_arcsine(*data))
    given_psi, own = summary_curve(*data, psi=psi), summary_curve(*data)
    assert given_psi.log_survival == pytest.approx(own.log_survival, rel=1e-12)
