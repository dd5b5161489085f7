"""Studies pooled curve by curve: dense matrices, the multivariate model, Rubin's rules, and what is undefined."""

import warnings

import numpy as np
import pandas as pd
import pytest
from patients import frame, kaplan_meier, weibull_studies, without_grid

from netsynth.data.survival import ReportedSurvival
from netsynth.errors import (
    FewStudiesWarning,
    ImputedVarianceWarning,
    InvalidInputError,
    UnusableDataWarning,
)
from netsynth.fragments import fit_fragments
from netsynth.ipd import reconstruct_ipd
from netsynth.multivariate import pool_multivariate
from netsynth.one_stage import stratified_hazard_ratio
from netsynth.over_time import pool_survival
from netsynth.reconstruct import reconstruct_survival
from netsynth.results.ensemble import PseudoData, PseudoEnsemble

few = pytest.mark.filterwarnings("ignore::netsynth.errors.FewStudiesWarning")
boundary = pytest.mark.filterwarnings("ignore::netsynth.errors.BoundaryWarning")
any_doubt = pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")


def numbers(studies, times):
    """log(-log S) and, of each interval, how many followed patients its Greenwood increment is worth."""
    y, many = np.empty((len(studies), len(times))), np.empty((len(studies), len(times)))
    for i, (time, event) in enumerate(studies.values()):
        before, sum_before = 1.0, 0.0
        for j, at in enumerate(times):
            survival, greenwood = kaplan_meier(time, event, at)
            y[i, j] = np.log(-np.log(survival))
            p = survival / before
            many[i, j] = (1 - p) / (p * (greenwood - sum_before)) / before
            before, sum_before = survival, greenwood
    return y, many


def covariances(theta, many):
    """Greenwood's sums with those numbers at a curve, on its log(-log) scale."""
    s = np.exp(-np.exp(theta))
    found = []
    for row in many:
        steps = [(1 / s[j] - (1 / s[j - 1] if j else 1.0)) / row[j] for j in range(len(s))]
        g = np.cumsum(steps)
        first = np.array([[g[min(a, b)] for b in range(len(s))] for a in range(len(s))])
        found.append(first / np.multiply.outer(np.log(s), np.log(s)))
    return np.stack(found)


def test_two_studies_with_common_effects_as_one_dense_system(monkeypatch):
    without_grid(monkeypatch)
    studies = weibull_studies(4, k=2)
    times = [6.0, 12.0, 24.0]
    pooled = pool_survival(frame(studies), method="curves", times_months=times, effects="common")
    y, many = numbers(studies, times)
    theta = y.mean(axis=0)
    for _ in range(50):
        whole = np.zeros((6, 6))
        for i, part in enumerate(covariances(theta, many)):
            whole[3 * i : 3 * i + 3, 3 * i : 3 * i + 3] = part
        x = np.vstack([np.eye(3), np.eye(3)])
        covariance = np.linalg.inv(x.T @ np.linalg.solve(whole, x))
        theta = covariance @ x.T @ np.linalg.solve(whole, y.ravel())
    assert pooled.estimate == pytest.approx(theta, abs=1e-8)
    assert pooled.covariance == pytest.approx(covariance, rel=1e-6)
    away = y.ravel() - x @ theta
    assert pooled.q == pytest.approx(away @ np.linalg.solve(whole, away), rel=1e-6)
    assert pooled.q_df == 3
    assert np.isnan(pooled.between).all()


@pytest.mark.parametrize("seed", [1, 2])
@any_doubt
def test_exact_patients_give_the_multivariate_model_of_the_same_numbers(seed, monkeypatch):
    without_grid(monkeypatch)
    studies = weibull_studies(seed)
    times = [6.0, 12.0, 18.0, 30.0]
    pooled = pool_survival(frame(studies), method="curves", times_months=times)
    y, many = numbers(studies, times)
    other = pool_multivariate(y, covariance=covariances(pooled.estimate, many), method="MM", ci_method="wald")
    assert pooled.estimate == pytest.approx(other.coefficient, abs=1e-7)
    assert pooled.covariance == pytest.approx(other.model_covariance, rel=1e-5)
    assert pooled.between == pytest.approx(other.psi, abs=1e-7)
    assert pooled.df == 11
    assert pooled.prediction_df == 10


def ensembles(seed=3, b=6, k=5):
    """Data sets that differ by where patients of one study are put, as a reading does."""
    rng = np.random.default_rng(seed)
    found = []
    for name, (time, event) in weibull_studies(seed, k=k).items():
        draws = [PseudoData(np.abs(time + rng.normal(0, 1.5, time.size)), event) for _ in range(b)]
        found.append(PseudoEnsemble(name, tuple(draws)))
    return found


@any_doubt
def test_reconstruction_is_in_the_covariance_by_rubins_rules(monkeypatch):
    without_grid(monkeypatch)
    times = [6.0, 12.0, 24.0]
    made = ensembles()
    pooled = pool_survival(made, method="curves", times_months=times)
    y, many, within = [], [], []
    for ensemble in made:
        each = [numbers({"": draw}, times) for draw in ensemble.draws]
        estimates = np.concatenate([part[0] for part in each])
        y.append(estimates.mean(axis=0))
        many.append(1 / np.mean([1 / part[1][0] for part in each], axis=0))
        within.append((1 + 1 / 6) * np.cov(estimates.T))
    covariance = covariances(pooled.estimate, np.stack(many)) + np.stack(within)
    other = pool_multivariate(np.stack(y), covariance=covariance, method="MM", ci_method="wald")
    assert pooled.estimate == pytest.approx(other.coefficient, abs=1e-7)
    assert pooled.covariance == pytest.approx(other.model_covariance, rel=1e-5)
    for curve, ensemble in zip(pooled.study_curves, made, strict=True):
        assert curve.reporting_loss == pytest.approx(ensemble.survival(times).reporting_loss)
        assert curve.source == "6 data sets"
    losses = pooled.study_frame()["reporting_loss"]
    assert losses.mean() > 0


@any_doubt
def test_patients_known_one_by_one_lose_nothing_to_reporting():
    pooled = pool_survival(frame(weibull_studies(1, k=3)), method="curves")
    assert (pooled.study_frame()["reporting_loss"] == 0).all()


@any_doubt
def test_clicks_make_standard_errors_grow_and_more_noise_more_so(monkeypatch):
    without_grid(monkeypatch)
    studies = weibull_studies(11, k=4, least=60, most=90)
    times = [6.0, 12.0, 24.0]
    losses = []
    for noise in (0.0, 0.02):
        rng = np.random.default_rng(8)
        read = []
        for name, (time, event) in studies.items():
            at = np.linspace(0.5, time.max(), 60)
            level = [kaplan_meier(time, event, t)[0] for t in at]
            clicks = np.clip(level + rng.normal(0, noise, at.size), 0, 1)
            table = np.arange(0, time.max(), 12.0)
            read.append(
                reconstruct_ipd(
                    at,
                    clicks,
                    at_risk_time=table,
                    n_at_risk=[(time >= t).sum() for t in table],
                    steps=False,
                    unit="month",
                    label=name,
                )
            )
        pooled = pool_survival(read, method="curves", times_months=times, effects="common", n_draws=20)
        losses.append(pooled.study_frame()["reporting_loss"].mean())
    exact = pool_survival(frame(studies), method="curves", times_months=times, effects="common")
    assert 0 < losses[0] < losses[1]
    assert (np.diag(pooled.covariance) > np.diag(exact.covariance)).all()
    assert pooled.survival(times) == pytest.approx(exact.survival(times), abs=0.03)


def test_time_of_an_ipd_is_turned_into_months():
    at = np.linspace(0.1, 4.0, 30)
    level = np.exp(-0.4 * at)
    read = [
        reconstruct_ipd(t, level, n_total=80, steps=False, unit=unit, axis_end=t[-1], label="A")
        for t, unit in ((at, "year"), (12 * at, "month"))
    ]
    with pytest.warns(FewStudiesWarning, match="one study, handed back as it is"):
        years, months = (pool_survival(one, method="curves", times_months=[12, 30]) for one in read)
    assert years.survival([12, 30]) == pytest.approx(months.survival([12, 30]), abs=0.01)


SMALL = {
    "early": (np.array([1.0, 2, 4, 7, 9, 12, 15, 20]), np.array([1, 1, 0, 1, 1, 0, 1, 0])),
    "late": (np.array([6.0, 8, 9, 11, 14, 18, 22, 25]), np.array([1, 1, 0, 1, 1, 0, 1, 0])),
    "gone": (np.array([2.0, 3, 5, 6, 9, 10, 11, 12]), np.array([1, 1, 1, 0, 1, 1, 1, 1])),
    "more": (np.array([1.5, 2.5, 4, 8, 9, 12.5, 16, 21]), np.array([1, 1, 0, 1, 1, 0, 1, 0])),
    "short": (np.array([1.0, 3, 4, 5, 6, 6, 7, 7]), np.array([1, 0, 1, 1, 0, 0, 0, 0])),
}


@boundary
def test_what_is_undefined_is_named_and_left_out(monkeypatch):
    without_grid(monkeypatch)
    with pytest.warns(UnusableDataWarning) as told:
        pooled = pool_survival(frame(SMALL), method="curves", times_months=[5, 9.5, 14.5, 24.5])
    words = [str(each.message) for each in told if each.category is UnusableDataWarning]
    assert words == [
        "OS over time: left out where nobody has had the event yet, so that log(-log S) is undefined and what is "
        "pooled of the others too low: late at 5 months.",
        "OS over time: left out where nobody is left alive, so that log(-log S) is undefined and what is pooled of "
        "the others too high: gone at 14.5 months and gone at 24.5 months.",
        "OS over time: left out, since fewer than two studies tell survival there: 24.5 months.",
    ]
    assert pooled.time_months.tolist() == [5, 9.5, 14.5]
    assert pooled.k_at.tolist() == [4, 4, 3]
    assert pooled.study_curves[4].time_months.tolist() == [5]  # "short", which only ends
    # at risk at the times, of the studies that tell them
    assert pooled.n_at.tolist() == [5 + 6 + 5 + 5, 3 + 5 + 3 + 3, 2 + 3 + 2]
    # and at the start of their intervals
    starts = {each.name: each.n_at_start.tolist() for each in pooled.study_curves}
    assert starts["early"] == [8, 5, 3]


@few
@boundary
def test_data_sets_that_end_at_different_times(monkeypatch):
    without_grid(monkeypatch)
    time, event = SMALL["early"]
    longer = PseudoEnsemble(
        "varies", (PseudoData(time, event), PseudoData(np.minimum(time, 10.0), np.where(time > 10, 0, event)))
    )
    whole = PseudoEnsemble("whole", (PseudoData(*SMALL["late"]),) * 2)
    other = PseudoEnsemble("other", (PseudoData(*SMALL["early"]),) * 2)
    with pytest.warns(
        UnusableDataWarning, match=r"follow-up has ended in 1 of 2 data sets: varies at 14 months"
    ):
        pooled = pool_survival([longer, whole, other], method="curves", times_months=[8, 14])
    assert pooled.k_at.tolist() == [3, 2]


@any_doubt
def test_the_grid_begins_when_all_have_had_an_event_and_ends_when_half_have_ended():
    pooled = pool_survival(frame(SMALL), method="curves")
    assert pooled.time_months[0] == 6.0
    # studies last tell at 20, 25, 11 (before the last of "gone" dies at 12), 21 and 7 months
    assert pooled.time_months[-1] == 11.0


@few
def test_one_study_is_handed_back():
    time, event = weibull_studies(6, k=1)["S00"]
    pooled = pool_survival(frame({"A": (time, event)}), method="curves", times_months=[6, 12, 24])
    for t in (6, 12, 24):
        survival, greenwood = kaplan_meier(time, event, t)
        assert pooled.survival(t) == pytest.approx(survival)
        assert pooled.covariance_at([t])[0, 0] == pytest.approx(survival**2 * greenwood)
    assert np.isnan(pooled.prediction_band()).all()


@few
def test_a_curve_brings_its_own_standard_errors(monkeypatch):
    without_grid(monkeypatch)
    curve = reconstruct_survival(
        [12, 24, 48], [0.86, 0.7, 0.48], n_total=120, n_at_risk=[96, 70, 31], label="Adams"
    )
    pooled = pool_survival(curve, method="curves", times_months=[12, 24, 48])
    assert pooled.survival([12, 24, 48]) == pytest.approx([0.86, 0.7, 0.48])
    assert np.sqrt(np.diag(pooled.covariance_at([12, 24, 48]))) == pytest.approx(curve.se, rel=1e-6)
    between = pool_survival(curve, method="curves", times_months=[12, 18, 24, 36, 48])
    loss = between.study_curves[0].reporting_loss
    assert loss[[0, 2, 4]] == pytest.approx(0, abs=1e-9)
    assert (loss[[1, 3]] > 0).all()  # other families run elsewhere there
    se = np.sqrt(np.diag(between.covariance_at([12, 24, 48])))
    assert se == pytest.approx(curve.se, rel=1e-6)


@few
def test_all_patients_of_a_curve_are_at_risk_at_the_start():
    made = [
        reconstruct_survival([12, 24], [0.8, 0.5], n_total=100, n_at_risk=[70, 30], label="Adams"),
        reconstruct_survival(
            [12, 24], [0.8, 0.5], n_total=100, ci_lower=[0.68, 0.36], ci_upper=[0.9, 0.65], label="Brown"
        ),
    ]
    pooled = pool_survival(made, method="curves", times_months=[6, 12, 24], effects="common")
    adams, brown = pooled.study_curves
    assert adams.n_at_start[[0, 2]] == pytest.approx([100, 70])
    assert 70 < adams.n_at_start[1] < 100
    assert brown.n_at_start[0] == 100
    assert 30 < brown.n_at_start[2] < 80  # what its limits are worth, of 80 alive
    table = pooled.summary_frame(time_months=[0, 12])
    assert table["n_at_risk"][0] == 200
    assert table["n_at_risk"][1] == pytest.approx(70 + brown.n_at_start[2])


ENDPOINTS = {
    "fragments": lambda report: fit_fragments(report, draws=100),
    "ensemble": lambda report: fit_fragments(report, draws=100).ensemble(10),
    "curve": reconstruct_survival,
    "patients of a curve": lambda report: reconstruct_survival(report).pseudo_ipd(),
    "ensemble of a curve": lambda report: reconstruct_survival(report).pseudo_ipd().ensemble(10),
}


@pytest.mark.parametrize("kind", ENDPOINTS)
@any_doubt
def test_endpoints_of_reconstructions_are_not_mixed(kind):
    made = [
        ENDPOINTS[kind](
            ReportedSurvival.from_percent(
                name, endpoint, years=[1, 3], percent=["83", "60"], n_total=60, n_at_risk=[45, 20]
            )
        )
        for name, endpoint in (("A", "OS"), ("B", "PFS"))
    ]
    assert [each.endpoint for each in made] == ["OS", "PFS"]
    for wanted, wrong in (("OS", "B, PFS: is of PFS, and OS"), ("PFS", "A, OS: is of OS, and PFS")):
        with pytest.raises(InvalidInputError, match=f"^{wrong} is asked for. Endpoints are not mixed"):
            pool_survival(made, wanted, method="curves", n_draws=10)
    with pytest.raises(InvalidInputError, match="is of PFS, and OS is asked for"):
        stratified_hazard_ratio(made[:1], made[1:], n_draws=10)
    ratio = stratified_hazard_ratio(made[1], made[1], n_draws=10)  # PFS throughout
    assert ratio.estimate == pytest.approx(0, abs=1e-9)


@few
def test_a_reconstruction_without_an_endpoint_may_be_of_any():
    curve = reconstruct_survival([12, 24], [0.8, 0.55], n_total=60, n_at_risk=[40, 20], label="Adams")
    assert curve.endpoint == ""
    assert pool_survival(curve, "PFS", method="curves").endpoint == "PFS"


@any_doubt
def test_times_nobody_asked_for_give_way():
    """Two studies tell 3 months and four others 20: no two tell both, so of the grid only what goes with 3 is kept."""
    early = {name: (np.array([1.0, 2, 4, 5, 6, 8]), np.array([1, 1, 1, 0, 0, 0])) for name in "AB"}
    late = {name: (np.array([7.0, 9, 12, 15, 22, 24]), np.array([1, 1, 1, 1, 0, 0])) for name in "CDEF"}
    both = frame({**early, **late})
    assert pool_survival(both, method="curves").last_months == 24
    pooled = pool_survival(both, method="curves", times_months=[3])
    assert pooled.asked_months.tolist() == [3]
    assert pooled.last_months <= 8
    data = frame(weibull_studies(1, k=4))
    free = pool_survival(data, method="curves").time_months
    asked = free[4] + 0.2 * (free[5] - free[4])
    near = pool_survival(data, method="curves", times_months=[asked])
    assert near.time_months.tolist() == [*free[:4], asked, *free[5:]]
    assert near.time_months[[0, -1]].tolist() == free[[0, -1]].tolist()


@few
def test_curves_and_patients_go_together():
    curve = reconstruct_survival([12, 24, 48], [0.8, 0.55, 0.3], n_total=60, label="Adams")
    ipd = reconstruct_survival(
        [12, 30], [0.75, 0.5], n_total=90, n_at_risk=[60, 30], label="Brown"
    ).pseudo_ipd()
    with pytest.warns(ImputedVarianceWarning, match="assumed share still under observation: Adams"):
        pooled = pool_survival([curve, ipd], method="curves", n_draws=5)
    assert pooled.study == ("Adams", "Brown")
    assert [each.source for each in pooled.study_curves] == ["curve", "5 data sets"]


@few
@pytest.mark.filterwarnings("ignore:.*and are left out. Adams:netsynth.errors.UnusableDataWarning")
def test_a_curve_without_a_number_of_patients_is_left_out():
    curve = reconstruct_survival([12, 24], [0.8, 0.55], label="Adams")
    with pytest.warns(UnusableDataWarning, match="no number of patients is known: Adams at 6 months"):
        pooled = pool_survival([curve, *ensembles(k=2)], method="curves", times_months=[6, 12])
    assert pooled.k == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"effects": "slope"},
            "effects='slope' is for method='multivariate'; method='curves' lets studies differ at every ",
        ),
        (
            {"times_months": np.arange(1, 40)},
            "times_months may have 30 times at most with method='curves'; got 39.",
        ),
        (
            {"times_months": [200]},
            "OS: no two studies have a time at which survival is known and neither 0 nor 1.",
        ),
        (
            {"method": "summary"},
            "method='summary' takes what reports print; got patients or reconstructed studies.",
        ),
        ({"n_draws": 1}, "n_draws must be"),
        ({"family": "gamma"}, "family must be"),
    ],
)
def test_what_cannot_be_asked(change, message):
    with pytest.raises(InvalidInputError, match="^" + message.replace("(", r"\(").replace(")", r"\)")):
        pool_survival(frame(weibull_studies(1, k=3)), **{"method": "curves", **change})


@pytest.mark.parametrize("method", ["curves", "stratified", "cox", "parametric"])
def test_reports_are_refused_with_the_methods_that_take_them(method):
    reports = {"study": ["A"], "time_months": [12], "survival": [0.9], "n_total": [50]}
    with pytest.raises(
        InvalidInputError, match="Reconstruct each study first, or use method='multivariate' or 'summary'"
    ):
        pool_survival(reports, method=method)


BAD = {
    "two of one name": (lambda e: [e[0], e[0]], "S00: two studies of this name. Keep one, or give each"),
    "something else": (
        lambda e: [e[0], 5],
        "data must hold reconstructed studies alone .* got int among them",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_data_that_cannot_be_right(case):
    make, message = BAD[case]
    with pytest.raises(InvalidInputError, match=message):
        pool_survival(make(ensembles(k=2)), method="curves")


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("event", [1, 2], "A, row 2: event must be 1 for an event or 0 for a censoring; got 2."),
        ("time_months", [1.0, -2.0], "A, row 2: time_months must be not negative; got -2."),
        ("study", ["A", None], "Row 2: study is missing."),
        ("endpoint", ["PFS", "PFS"], "A, row 1: reports PFS, and OS is asked for."),
        ("endpoint", ["OS", None], "A, row 2: endpoint must be a text such as 'OS'; got None."),
        ("endpoint", ["OS"], "endpoint must have one value for each of 2 rows; got 1."),
    ],
)
def test_rows_that_cannot_be_right(column, values, message):
    columns = {"study": ["A", "A"], "time_months": [1.0, 2.0], "event": [1, 0], column: values}
    with pytest.raises(InvalidInputError, match=f"^{message}"):
        pool_survival(columns, method="cox")


def test_a_missing_column_is_named():
    with pytest.raises(InvalidInputError, match="time_months is missing from study and event"):
        pool_survival(pd.DataFrame({"study": ["A"], "event": [1]}), method="cox")


def test_two_studies_that_are_the_same_do_not_make_a_curve_that_rises():
    """Between deaths the curve is flat, and rounding is no rise."""
    columns = {"study": list("AAABBB"), "time_months": [1, 2, 3] * 2, "event": [1] * 6}
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        pooled = pool_survival(columns, method="curves")
    assert not [str(each.message) for each in found if "rises" in str(each.message)]
    assert pooled.survival(1) == pytest.approx(2 / 3)
