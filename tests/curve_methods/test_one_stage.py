"""The weighted average curve by hand, Cox's model through its kernel, and data sets combined."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from patients import SCALE, SHAPE, frame, kaplan_meier, weibull_studies

from netsynth.errors import InvalidInputError, NarrowIntervalWarning, UnusableDataWarning
from netsynth.kernels.frailty import baseline_at, fit_frailty
from netsynth.over_time import pool_survival
from netsynth.results.ensemble import PseudoData, PseudoEnsemble

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
    with pytest.warns(UnusableDataWarning, match=f"when nobody of {first} is followed any more"):
        pooled = pool_survival(frame(studies), method="stratified", times_months=[12, 200])
    assert pooled.time_months == pytest.approx([12, ends[first]])
    assert (pool_survival(frame(studies), method="stratified").k_at == 3).all()
    with pytest.raises(InvalidInputError, match=r"^times_months must begin by"):
        pool_survival(frame(studies), method="stratified", times_months=[200])


# --- Cox's model


def test_of_one_study_it_is_the_breslow_curve():
    studies = weibull_studies(3, k=1)
    time, event = studies["S00"]
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
    for j, t in enumerate((6.0, 24.0)):
        expected = np.exp(-hazard.cumulative_hazard[j] * np.exp(u)).mean()
        assert pooled.survival(t) == pytest.approx(expected, rel=1e-5)
        y = np.log(hazard.cumulative_hazard[j]) + u
        assert pooled.between[j, j] == pytest.approx(((y - pooled.estimate[j]) ** 2).mean(), rel=1e-4)
        step = 1e-4  # the slope of the average in the log hazard, numerically
        up, down = (
            np.log(-np.log(np.exp(-hazard.cumulative_hazard[j] * np.exp(u + side * step)).mean()))
            for side in (1, -1)
        )
        se = (up - down) / (2 * step) * np.sqrt(hazard.covariance[j, j]) / hazard.cumulative_hazard[j]
        assert np.sqrt(pooled.covariance[j, j]) == pytest.approx(se, rel=1e-4)
    assert f"tau2 {fit.tau2:.3g}" in pooled.model


@pytest.mark.parametrize("t", [[0.0001, 24.0], [24.0, 500.0]])
def test_times_outside_are_refused(t):
    with pytest.raises(InvalidInputError, match=r"^times_months must lie between"):
        pool_survival(frame(weibull_studies(1)), method="cox", times_months=t)


# --- all of them


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
def test_data_sets_are_fitted_one_by_one_and_combined(method):
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
def test_data_sets_that_are_all_the_same_change_nothing(method):
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
