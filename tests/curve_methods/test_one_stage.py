"""The weighted average curve by hand, Cox's model through its kernel, and data sets combined."""

import importlib.util
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from patients import SCALE, SHAPE, frame, kaplan_meier, weibull_studies, without_grid

from netsynth.errors import (
    FewStudiesWarning,
    InvalidInputError,
    NarrowIntervalWarning,
    UnusableDataWarning,
)
from netsynth.kernels.frailty import baseline_at, fit_frailty
from netsynth.over_time import pool_survival
from netsynth.results.ensemble import PseudoData, PseudoEnsemble
from netsynth.results.pooled_curve_text import shown_times

average = pytest.mark.filterwarnings("ignore:.*a weighted average:netsynth.errors.NarrowIntervalWarning")
any_doubt = pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")
METHODS = ["curves", "stratified", "cox", "parametric"]


# --- the weighted average


def test_the_average_by_hand():
    studies = weibull_studies(9, k=3)
    with pytest.warns(
        NarrowIntervalWarning, match="no pooled curve: its limits are of these studies as they are"
    ):
        pooled = pool_survival(frame(studies), method="stratified", times_months=[6, 12, 24])
    total = sum(time.size for time, _ in studies.values())
    for t in (6, 12, 24):
        mean, variance = 0.0, 0.0
        for time, event in studies.values():
            survival, greenwood = kaplan_meier(time, event, t)
            mean += time.size / total * survival
            variance += (time.size / total) ** 2 * survival**2 * greenwood
        assert pooled.survival(t) == pytest.approx(mean)
        assert pooled.covariance_at([t])[0, 0] == pytest.approx(variance)
    assert pooled.model == "weighted average curve, each study as its patients"
    assert np.isnan(pooled.between).all()
    assert pooled.df == np.inf


@average
def test_the_covariance_over_time_of_the_average_by_simulation_free_formula():
    """Of complete data survival at two times is multinomial: Cov = S(t)(1 - S(s)) / n for s < t, study by study."""
    studies = {name: (t, np.ones(t.size, dtype=int)) for name, (t, _) in weibull_studies(2, k=2).items()}
    pooled = pool_survival(frame(studies), method="stratified", times_months=[5, 20])
    total = sum(time.size for time, _ in studies.values())
    expected = sum(
        (time.size / total) ** 2 * (time > 20).mean() * (time <= 5).mean() / time.size
        for time, _ in studies.values()
    )
    assert pooled.covariance_at([5, 20])[0, 1] == pytest.approx(expected)


@average
def test_the_average_ends_with_the_first_study():
    studies = weibull_studies(9, k=3)
    ends = {name: time.max() for name, (time, _) in studies.items()}
    first = min(ends, key=ends.get)
    with pytest.warns(
        UnusableDataWarning, match=rf"nobody of {first} is followed after .* the others\): 200 months"
    ):
        pooled = pool_survival(frame(studies), method="stratified", times_months=[12, 200])
    assert pooled.last_months == pytest.approx(ends[first])
    assert pooled.asked_months.tolist() == [12]
    assert (pool_survival(frame(studies), method="stratified").k_at == 3).all()
    assert "an average of all studies ends at" in pooled.why_nan(200)


@average
def test_a_study_whose_last_patient_dies_leaves_the_variance_of_half_a_patient():
    data = {
        "study": ["A"] * 4 + ["B"] * 4,
        "time_months": [2, 4, 6, 6, 3, 5, 7, 9],
        "event": [1, 1, 1, 1, 1, 0, 1, 0],
    }
    pooled = pool_survival(data, method="stratified", times_months=[4, 6])
    assert pooled.survival(6) == pytest.approx(0.5 * 0.75)
    # B has 3/4 of 4 patients; of A two of four are left before 6 months, of whom half a one in three counts as alive
    b = 0.75**2 * (1 / 4 - 0 + 1 / 12 - 1 / 4 + 1 / 4 - 1 / 4)  # Greenwood: 1 / (4 * 3)
    left, sum_left, share = 0.5, 1 / 12 + 1 / 6, 0.5 / 3
    a = (left * share) ** 2 * (sum_left + (1 - share) / (share * 3))
    assert pooled.covariance_at([6])[0, 0] == pytest.approx(0.25 * (a + b))
    alone = pool_survival(
        {"study": ["A", "B"], "time_months": [2, 9], "event": [1, 0]}, method="stratified", times_months=[2]
    )
    assert alone.covariance_at([2])[0, 0] == pytest.approx(0.25 * 0.25**2 * 0.75 / (0.25 * 2))
    lower, upper = alone.confidence_band(time_months=[2])
    assert lower[0] < 0.5 < upper[0]


# --- Cox's model


def test_of_one_study_it_is_the_breslow_curve():
    studies = weibull_studies(3, k=1)
    time, event = studies["S00"]
    with pytest.warns(FewStudiesWarning, match="one study, handed back as it is"):
        pooled = pool_survival(frame(studies), method="cox", times_months=[6, 12, 24])
    for t in (6, 12, 24):
        steps = [1 / (time >= s).sum() for s in time[(event > 0) & (time <= t)]]
        assert pooled.cumulative_hazard(t) == pytest.approx(sum(steps))
        j = pooled.place_of([t])[0]
        assert pooled.log_covariance[j, j] == pytest.approx(sum(step**2 for step in steps))


def test_common_effects_are_one_baseline():
    studies = weibull_studies(3, k=4)
    pooled = pool_survival(frame(studies), method="cox", effects="common", times_months=[6, 24])
    time, event = (np.concatenate(part) for part in zip(*studies.values(), strict=True))
    for t in (6, 24):
        steps = [1 / (time >= s).sum() for s in time[(event > 0) & (time <= t)]]
        assert pooled.cumulative_hazard(t) == pytest.approx(sum(steps))
    assert pooled.df == np.inf
    assert np.isnan(pooled.between).all()


def test_the_curve_is_the_average_over_studies():
    studies = weibull_studies(3, k=8, tau=0.8)
    pooled = pool_survival(frame(studies), method="cox", times_months=[6, 24])
    fit = fit_frailty(*(list(part) for part in zip(*studies.values(), strict=True)))
    hazard = baseline_at(fit, np.array([6.0, 24.0]))
    # the average over a normal effect, by the midpoints of a million equal slices
    from scipy.special import ndtri

    u = np.sqrt(fit.tau2) * ndtri((np.arange(1_000_000) + 0.5) / 1_000_000)
    for j, (t, at) in enumerate(zip((6.0, 24.0), pooled.place_of([6, 24]), strict=True)):
        expected = np.exp(-hazard.cumulative_hazard[j] * np.exp(u)).mean()
        assert pooled.survival(t) == pytest.approx(expected, rel=1e-5)
        y = np.log(hazard.cumulative_hazard[j]) + u
        assert pooled.between[at, at] == pytest.approx(((y - pooled.estimate[at]) ** 2).mean(), rel=1e-4)
        step = 1e-4  # the slope of the average in the log hazard, numerically
        up, down = (
            np.log(-np.log(np.exp(-hazard.cumulative_hazard[j] * np.exp(u + side * step)).mean()))
            for side in (1, -1)
        )
        se = (up - down) / (2 * step) * np.sqrt(hazard.covariance[j, j]) / hazard.cumulative_hazard[j]
        assert np.sqrt(pooled.covariance[at, at]) == pytest.approx(se, rel=1e-4)
    assert f"tau2 {fit.tau2:.3g}" in pooled.model


# --- all of them


REACH = ["curves", "stratified", "cox"]


@pytest.mark.parametrize("method", REACH)
@pytest.mark.parametrize("out", [0.0001, 500.0])
def test_times_that_a_curve_does_not_reach_are_named_and_left_out(method, out):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pooled = pool_survival(frame(weibull_studies(1)), method=method, times_months=sorted([out, 24.0]))
    named = [str(each) for each in pooled.warnings if f"{out:g} months." in str(each)]
    assert any("UnusableDataWarning" in each and "left out, since" in each for each in named)
    assert pooled.asked_months.tolist() == [24.0]
    assert pooled.summary_frame()["time_months"].tolist() == [24.0]


@pytest.mark.parametrize("method", REACH)
@pytest.mark.filterwarnings("ignore::netsynth.errors.UnusableDataWarning")
def test_an_error_if_none_of_the_times_is_reached(method):
    with pytest.raises(InvalidInputError, match=r"times_months"):
        pool_survival(frame(weibull_studies(1)), method=method, times_months=[0.0001, 500.0])


@pytest.mark.parametrize("method", METHODS)
@any_doubt
def test_what_is_asked_for_does_not_change_the_answers(method):
    """Median, mean and the end of the curve are of the patients, whatever the times that a table is to show."""
    data = frame(weibull_studies(41, k=8))
    free = pool_survival(data, method=method)
    off = (
        2e-3 if method == "curves" else 1e-4
    )  # of ten times of the curve those near to one asked for give way
    for times in ([12], [6, 24], [6, 30], [6, 12, 18, 24]):
        pooled = pool_survival(data, method=method, times_months=times)
        assert pooled.median == pytest.approx(free.median, rel=10 * off)
        assert pooled.rmst(24) == pytest.approx(free.rmst(24), rel=off)
        lower, upper = free.median_confidence_interval()
        assert list(pooled.median_confidence_interval()) == pytest.approx([lower, upper], rel=0.02)
        assert abs(pooled.median - free.median) < 0.1 * (upper - lower)
        assert pooled.last_months == free.last_months
        assert pooled.why_nan(36) == ""
        assert pooled.summary_frame()["time_months"].tolist() == times
        assert shown_times(pooled).tolist() == times


@average
def test_the_average_has_the_median_and_the_mean_of_the_patients():
    studies = weibull_studies(41, k=8)
    pooled = pool_survival(frame(studies), method="stratified", times_months=[6, 30])
    total = sum(time.size for time, _ in studies.values())
    steps = np.unique(np.concatenate([time[event > 0] for time, event in studies.values()]))

    def mean(t):
        return sum(time.size / total * kaplan_meier(time, event, t)[0] for time, event in studies.values())

    level = np.array([mean(t) for t in steps])
    assert pooled.median == pytest.approx(steps[level <= 0.5][0], rel=0.01)
    before = steps[steps < 24]
    area = (np.diff(np.concatenate([[0], before, [24]])) * np.append(1.0, level[: before.size])).sum()
    assert pooled.rmst(24) == pytest.approx(area, rel=1e-3)


@pytest.mark.parametrize("method", ["stratified", "cox", "parametric"])
@any_doubt
def test_studies_and_patients_at_a_time_are_those_at_risk_then(method):
    studies = weibull_studies(41, k=4)
    pooled = pool_survival(frame(studies), method=method, times_months=[12])
    at = [0.0, 7.3, 12.0, 35.0]
    table = pooled.summary_frame(time_months=at)
    assert table["n_at_risk"].tolist() == [sum((time >= t).sum() for time, _ in studies.values()) for t in at]
    assert table["k"].tolist() == [sum(time.max() >= t for time, _ in studies.values()) for t in at]
    assert table["n_at_start"].isna().all()
    left = [sum((time >= t - 1e-9).sum() for time, _ in studies.values()) for t in pooled.time_months]
    assert pooled.n_at.tolist() == left
    assert "at risk" in str(pooled)


@average
def test_one_study_is_said_to_be_one():
    with pytest.warns(FewStudiesWarning, match="one study, handed back as it is"):
        pool_survival(frame(weibull_studies(3, k=1)), method="stratified")


def ensembles(b=4, k=5):
    rng = np.random.default_rng(5)
    return [
        PseudoEnsemble(
            name,
            tuple(PseudoData(time * np.exp(rng.normal(0, 0.1)), event) for _ in range(b)),
        )
        for name, (time, event) in weibull_studies(5, k=k).items()
    ]


@pytest.mark.parametrize("method", ["stratified", "cox"])
@any_doubt
def test_data_sets_are_fitted_one_by_one_and_combined(method, monkeypatch):
    without_grid(monkeypatch)
    made, times = ensembles(), [6.0, 12.0]
    pooled = pool_survival(made, method=method, times_months=times)
    each = [
        pool_survival(frame({one.label: one.draws[i] for one in made}), method=method, times_months=times)
        for i in range(4)
    ]
    estimate = np.stack([one.estimate for one in each])
    within = np.mean([one.covariance for one in each], axis=0)
    assert pooled.estimate == pytest.approx(estimate.mean(axis=0))
    assert pooled.covariance == pytest.approx(within + (1 + 1 / 4) * np.cov(estimate.T))
    share = 1.25 * np.diag(np.cov(estimate.T)) / np.diag(pooled.covariance)
    assert pooled.model.endswith(
        f", 4 data sets, up to {100 * share.max():.0f}% of the variance from reporting"
    )


@pytest.mark.parametrize("method", METHODS)
@any_doubt
def test_data_sets_that_are_all_the_same_change_nothing(method, monkeypatch):
    without_grid(monkeypatch)
    studies = weibull_studies(8, k=5)
    same = [PseudoEnsemble(name, (PseudoData(*data),) * 3) for name, data in studies.items()]
    one = pool_survival(frame(studies), method=method, times_months=[6, 12, 24])
    many = pool_survival(same, method=method, times_months=[6, 12, 24])
    assert many.estimate == pytest.approx(one.estimate, abs=1e-9)
    assert many.covariance == pytest.approx(one.covariance, rel=1e-6)
    assert many.between == pytest.approx(one.between, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("method", ["stratified", "cox", "parametric"])
def test_ensembles_of_different_sizes_cannot_go_together(method):
    with pytest.raises(InvalidInputError, match=r"same number of data sets.*got \[3, 4\]"):
        pool_survival([ensembles(3)[0], ensembles(4)[1]], method=method)


@pytest.mark.parametrize("method", METHODS)
def test_nobody_has_the_event(method):
    with pytest.raises(InvalidInputError, match="so there is no curve to pool"):
        pool_survival({"study": ["A", "A"], "time_months": [3, 4], "event": [0, 0]}, method=method)


@pytest.mark.parametrize("method", METHODS)
@any_doubt
def test_two_fitters_at_once_give_the_same(method):
    import joblib

    made = ensembles(k=3)
    alone = pool_survival(made, method=method, times_months=[6, 12])
    with joblib.parallel_config(backend="threading", n_jobs=2):
        spread = pool_survival(made, method=method, times_months=[6, 12])
    assert spread.estimate == pytest.approx(alone.estimate)


AT = np.array([6.0, 12.0, 24.0, 36.0])
TRUTH = np.exp(-((AT / SCALE) ** SHAPE))


def averaged_truth(tau):
    """Survival averaged over normal effects, by equal slices."""
    from scipy.special import ndtri

    u = tau * ndtri((np.arange(20_000) + 0.5) / 20_000)
    return np.exp(-((AT[:, None] / SCALE) ** SHAPE) * np.exp(u)).mean(axis=1)


@pytest.mark.parametrize("seed", [101, 102, 103])
@pytest.mark.parametrize("method", METHODS)
@any_doubt
def test_a_known_truth_is_found(method, seed):
    """Twelve Weibull studies that differ by normal effects: the estimand is the middle study, or the average one."""
    pooled = pool_survival(frame(weibull_studies(seed, tau=0.3)), method=method)
    truth = TRUTH if method == "curves" else averaged_truth(0.3)
    se = np.sqrt(np.diag(pooled.covariance_at(AT)))
    if method == "stratified":  # whose error leaves out how much studies differ, 0.3 of the log hazard each
        weight = np.array([curve.n_total for curve in pooled.study_curves]) / pooled.n_total
        hazard = (AT / SCALE) ** SHAPE
        se = np.sqrt(se**2 + (weight @ weight) * (0.3 * truth * hazard) ** 2)
    known = pooled.last_months >= AT
    assert known[:3].all()
    assert (np.abs(pooled.survival(AT) - truth) < 3 * se)[known].all()


@pytest.mark.parametrize("method", ["curves", "cox", "parametric"])
@any_doubt
def test_bands_cover(method):
    """At 24 months over 12 seeds: 95% bands miss more than 3 times with a probability of 0.002."""
    missed, new = 0, 0
    truth = {"curves": TRUTH[2]}.get(method, averaged_truth(0.3)[2])
    for seed in range(200, 212):
        pooled = pool_survival(frame(weibull_studies(seed, tau=0.3)), method=method, times_months=[6, 12, 24])
        lower, upper = pooled.confidence_band(time_months=[24])
        missed += not lower[0] < truth < upper[0]
        rng = np.random.default_rng(seed + 1000)
        own = np.exp(-((24 / SCALE) ** SHAPE) * np.exp(0.3 * rng.standard_normal()))
        lower, upper = pooled.prediction_band(time_months=[24])
        new += not lower[0] < own < upper[0]
    assert missed <= 3
    assert new <= 3


ROOT = Path(__file__).parents[2]


def test_the_page_quotes_the_simulation():
    text = (ROOT / "docs" / "methods" / "curves-and-one-stage.md").read_text(encoding="utf-8")
    table = pd.read_csv(ROOT / "validation" / "results" / "patient_curves_coverage.csv")
    rows = re.findall(r"(?m)^\| (0\.\d) \| `(\w+)` \| (.*) \| (.*) \| (.*) \|$", text)
    assert len(rows) == 9
    for tau, method, *quoted in rows:
        part = table[(table.tau == float(tau)) & (table.method == method)]
        for column, cell, scale, within in zip(
            ("bias", "confidence", "prediction"), quoted, (1, 100, 100), (0.00051, 0.51, 0.51), strict=True
        ):
            assert [float(each) for each in cell.split(", ")] == pytest.approx(
                scale * part[column], abs=within
            )


def test_the_simulation_runs_from_its_own_numbers():
    path = ROOT / "validation" / "patient_curves_coverage.py"
    specification = importlib.util.spec_from_file_location("patient_curves_coverage", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    setting = module.Setting(0.3, 2, np.random.SeedSequence(1))
    first, again = pd.DataFrame(module.simulate(setting)), pd.DataFrame(module.simulate(setting))
    pd.testing.assert_frame_equal(first, again)
    assert first.groupby("method").size().to_dict() == {"cox": 4, "curves": 4, "parametric": 4}
