"""The patients of a pooled curve and lifelines' fits of them: real patients, and data sets one by one."""

import dataclasses
import gzip
import json
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from figures import FILE, pairs
from patients import frame, weibull_studies, without_grid

from netsynth.errors import InvalidInputError
from netsynth.fragments import fit_fragments
from netsynth.ipd import reconstruct_ipd
from netsynth.one_stage import stratified_hazard_ratio
from netsynth.over_time import pool_survival
from netsynth.reconstruct import reconstruct_survival
from netsynth.results.ensemble import PseudoData, PseudoEnsemble

pytestmark = pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")
FAMILIES = ("exponential", "weibull", "loglogistic", "lognormal")
ARMS = {
    "colon": ("colon_death__Lev5FU", "colon_death__Obs"),
    "myeloid": ("myeloid_trt__B", "myeloid_trt__A"),
    "lung": ("lung_sex__female", "lung_sex__male"),
    "retinopathy": ("retinopathy_trt__trt1", "retinopathy_trt__trt0"),
}
AT = [6.0, 12.0, 20.0]


@pytest.fixture(scope="module")
def real():
    """Both arms of four real studies as frames."""
    truth = json.loads(gzip.decompress(FILE.read_bytes()))["patients"]

    def arm(side):
        return pd.concat(
            pd.DataFrame(
                {"study": study, "time_months": truth[ids[side]]["time"], "event": truth[ids[side]]["event"]}
            )
            for study, ids in ARMS.items()
        )

    return arm(0), arm(1)


@pytest.fixture(scope="module")
def rebuilt():
    """Both arms of two real studies read off figures, in three data sets, times in months."""
    found = [
        [
            reconstruct_ipd(*arm.points, label=arm.pair, n_total=arm.n_total, **arm.table).ensemble(3)
            for arm in both
        ]
        for both in pairs()
        if both[0].scenario == "good" and both[0].pair in {"lung_sex", "retinopathy_trt"}
    ]
    assert len(found) == 2
    return tuple(zip(*found, strict=True))


def average_of(patients, at, i=0):
    """lifelines' curves weighted by patients."""
    curves = patients.kaplan_meier(i)
    n = patients.to_frame(i).groupby("study").size()
    return sum(
        n[study] / n.sum() * curve.survival_function_at_times(at).to_numpy()
        for study, curve in curves.items()
    )


# --- lifelines finds the same


def test_the_average_of_real_patients(real):
    pooled = pool_survival(real[0], method="stratified", times_months=AT)
    assert pooled.survival(AT) == pytest.approx(average_of(pooled.patients, AT), rel=1e-10)
    variance = 0.0
    for study, curve in pooled.patients.kaplan_meier().items():
        table = curve.event_table.loc[:12.0]
        greenwood = (table.observed / (table.at_risk * (table.at_risk - table.observed))).sum()
        share = (real[0].study == study).mean()
        variance += (share * curve.predict(12.0)) ** 2 * greenwood
    assert pooled.covariance_at([12.0])[0, 0] == pytest.approx(variance, rel=1e-10)


@pytest.mark.parametrize("family", FAMILIES)
def test_one_curve_of_real_patients(real, family):
    pooled = pool_survival(
        real[0], method="parametric", family=family, effects="common", times_months=[2.0, *AT]
    )
    fit = pooled.patients.parametric(family)
    expected = fit.survival_function_at_times([2.0, *AT]).to_numpy()
    assert pooled.survival([2.0, *AT]) == pytest.approx(expected, abs=1e-5)


def test_the_stratified_ratio_of_real_patients(real):
    ratio = stratified_hazard_ratio(*real)
    one, other = (pool_survival(arm, method="stratified", times_months=AT).patients for arm in real)
    fit = one.cox(other)
    assert list(fit.params_.index) == ["group"]
    assert ratio.estimate == pytest.approx(fit.params_["group"], abs=1e-6)
    assert ratio.se == pytest.approx(fit.standard_errors_["group"], rel=1e-5)
    assert set(fit.baseline_survival_.columns) == set(ARMS)
    assert other.cox(one).params_["group"] == pytest.approx(-ratio.estimate, abs=1e-6)


def test_the_average_of_each_data_set(rebuilt):
    pooled = pool_survival(rebuilt[0], method="stratified", times_months=AT)
    patients = pooled.patients
    assert (patients.n_data_sets, patients.study) == (3, tuple(one.label for one in rebuilt[0]))
    each = [average_of(patients, AT, i) for i in range(3)]
    assert not np.array_equal(each[0], each[1])
    at = pooled.place_of(AT)
    assert pooled.estimate[at] == pytest.approx(np.log(each).mean(axis=0), rel=1e-10)
    for i in range(3):
        alone = pool_survival(patients.to_frame(i), method="stratified", times_months=AT)
        assert alone.survival(AT) == pytest.approx(each[i], rel=1e-10)


@pytest.mark.parametrize("family", FAMILIES)
def test_one_curve_of_each_data_set(rebuilt, family):
    options = {"method": "parametric", "family": family, "effects": "common", "times_months": AT}
    patients = pool_survival(rebuilt[0], **options).patients
    for i in range(3):
        alone = pool_survival(patients.to_frame(i), **options)
        expected = patients.parametric(family, i).survival_function_at_times(AT).to_numpy()
        assert alone.survival(AT) == pytest.approx(expected, abs=1e-5)


def test_weibull_parameters_of_the_data_sets_make_the_pooled_curve(rebuilt):
    options = {"method": "parametric", "effects": "common", "times_months": AT}
    pooled = pool_survival(rebuilt[0], **options)
    fits = [pooled.patients.parametric(data_set=i) for i in range(3)]
    location = np.mean([np.log(fit.lambda_) for fit in fits])
    log_scale = np.mean([-np.log(fit.rho_) for fit in fits])
    y = (np.log(AT) - location) / np.exp(log_scale)
    assert pooled.estimate[pooled.place_of(AT)] == pytest.approx(y, abs=1e-4)


def test_the_stratified_ratio_of_each_data_set(rebuilt):
    ratio = stratified_hazard_ratio(*rebuilt)
    one, other = (pool_survival(arms, method="cox", times_months=AT).patients for arms in rebuilt)
    fits = [one.cox(other, i) for i in range(3)]
    effects = np.array([fit.params_["group"] for fit in fits])
    assert effects.std() > 1e-4
    assert ratio.estimate == pytest.approx(effects.mean(), abs=1e-6)
    within = np.mean([fit.standard_errors_["group"] ** 2 for fit in fits])
    assert ratio.se**2 == pytest.approx(within + (1 + 1 / 3) * effects.var(ddof=1), rel=1e-5)


def test_arms_go_together_by_name_or_else_by_order(real):
    one, other = (pool_survival(arm, method="stratified", times_months=AT).patients for arm in real)
    expected = one.cox(other).params_["group"]
    turned = pool_survival(real[1].iloc[::-1], method="stratified", times_months=AT).patients
    assert turned.study == other.study[::-1]
    assert one.cox(turned).params_["group"] == pytest.approx(expected)
    renamed = real[1].assign(study=real[1]["study"] + ", control")
    control = pool_survival(renamed, method="stratified", times_months=AT).patients
    assert one.cox(control).params_["group"] == pytest.approx(expected)


def test_an_arm_known_one_by_one_goes_with_every_data_set(rebuilt):
    drawn = pool_survival(rebuilt[0], method="cox", times_months=AT).patients
    known = pool_survival(
        frame({one.label: one.draws[0] for one in rebuilt[1]}), method="cox", times_months=AT
    ).patients
    assert known.n_data_sets == 1
    both = [drawn.cox(known, 2), known.cox(drawn, 2)]
    assert both[0].params_["group"] == pytest.approx(-both[1].params_["group"], abs=1e-6)
    with pytest.raises(InvalidInputError, match="there are 3 data sets; got 3"):
        known.cox(drawn, 3)


# --- what is held


@pytest.mark.parametrize("method", ["stratified", "cox", "parametric", "curves"])
def test_a_frame_holds_who_came(method):
    given = frame(weibull_studies(3, k=4)).reset_index(drop=True)
    patients = pool_survival(given, method=method, times_months=[6.0, 12.0]).patients
    pd.testing.assert_frame_equal(patients.to_frame(), given, check_dtype=False)
    assert (patients.n_total, patients.n_data_sets) == (len(given), 1)
    assert str(patients) == f"{len(given)} patients of 4 studies"
    for array in (*patients.time_months, *patients.event):
        assert not array.flags.writeable
    with pytest.raises(dataclasses.FrozenInstanceError):
        patients.study = ()
    again = pickle.loads(pickle.dumps(patients))  # noqa: S301 - our own pickle
    pd.testing.assert_frame_equal(again.to_frame(), patients.to_frame())


def test_reports_bring_no_patients():
    data = {"study": ["A", "A", "B", "B"], "time_months": [6, 12] * 2, "survival": [0.9, 0.8, 0.7, 0.6]}
    for method in ("summary", "multivariate"):
        assert pool_survival({**data, "n_total": [50] * 4}, method=method).patients is None


def test_curves_hold_those_that_came_as_patients():
    percent = ([12, 24], [0.8, 0.6])
    curve = reconstruct_survival(*percent, n_total=90, n_at_risk=[70, 40], label="figures")
    assert pool_survival([curve], method="curves", times_months=[12]).patients is None
    drawn = [
        PseudoEnsemble(name, (PseudoData(*data),) * b)
        for (name, data), b in zip(weibull_studies(5, k=2).items(), (3, 2), strict=True)
    ]
    pooled = pool_survival([curve, *drawn], method="curves", times_months=[12, 20])
    assert pooled.study == ("figures", "S00", "S01")
    assert pooled.patients.study == ("S00", "S01")
    assert pooled.patients.n_data_sets == 2  # that both have
    assert str(pooled.patients).endswith(" of 2 studies, 2 data sets")
    behind = pool_survival([curve], method="cox", times_months=[12], n_draws=4).patients
    assert (behind.study, behind.n_total, behind.n_data_sets) == (("figures",), 90, 4)


def test_studies_that_are_left_out_are_not_held(monkeypatch):
    studies = weibull_studies(5, k=3)
    studies["S01"] = (studies["S01"][0], np.zeros_like(studies["S01"][1]))
    for method in ("parametric", "curves"):
        pooled = pool_survival(frame(studies), method=method, times_months=[6, 12])
        assert pooled.patients.study == pooled.study == ("S00", "S02")
    time, event = studies["S02"]
    studies["S01"] = (0.1 * time, event)  # it has ended before the times asked for
    without_grid(monkeypatch)
    pooled = pool_survival(frame(studies), method="curves", times_months=[10, 12])
    assert pooled.patients.study == pooled.study == ("S00", "S02")


@pytest.fixture(scope="module")
def tails():
    """Two arms of two trials from fragments, with events after the last time that is known."""
    made = []
    for n, percent in ((60, [0.8, 0.6]), (50, [0.7, 0.5]), (40, [0.6, 0.3]), (45, [0.75, 0.4])):
        events = round(n * (1 - percent[1])) + 8
        made.append(fit_fragments([12, 24], percent, n_total=n, n_events=events, draws=100, label=f"T{n}"))
    assert all(each.has_tail for each in made)
    return made[:2], made[2:]


@pytest.mark.parametrize("method", ["stratified", "cox", "parametric", "curves"])
def test_nothing_is_used_after_the_last_time_that_is_known(tails, method):
    pooled = pool_survival(tails[0], method=method, times_months=[6, 12, 20], n_draws=3)
    drawn = [each.ensemble(3) for each in tails[0]]
    for i in range(3):
        found = pooled.patients.to_frame(i)
        time = np.concatenate([each.draws[i].time for each in drawn])
        event = np.concatenate([each.draws[i].event for each in drawn])
        assert (time > 24).any()
        assert found["time_months"].to_numpy() == pytest.approx(np.minimum(time, 24))
        assert found["event"].tolist() == np.where(time > 24, 0, event).tolist()


def test_ratio_and_lifelines_stop_at_the_same_time(tails):
    ratio = stratified_hazard_ratio(*tails, n_draws=3)
    one, other = (pool_survival(arms, method="cox", n_draws=3).patients for arms in tails)
    effects = [one.cox(other, i).params_["group"] for i in range(3)]
    assert ratio.estimate == pytest.approx(np.mean(effects), abs=1e-6)


def test_who_left_at_once():
    time, event = weibull_studies(6, k=1)["S00"]
    left = frame({"A": (np.append(time, 0.0), np.append(event, 0))})
    pooled = pool_survival(left, method="parametric", times_months=[12])
    fit = pooled.patients.parametric()
    assert pooled.survival(12) == pytest.approx(fit.survival_function_at_times([12]).item(), abs=1e-5)
    kept = pool_survival(left, method="cox", times_months=[12]).patients
    assert kept.to_frame()["time_months"].min() == 0.0
    message = "A: 1 patient left at time 0, which no weibull distribution allows."
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}"):
        kept.parametric()


def test_what_is_refused(real):
    one, other = (pool_survival(arm, method="stratified", times_months=AT).patients for arm in real)
    few = pool_survival(real[1].query("study != 'lung'"), method="stratified", times_months=AT).patients
    for question, message in (
        (lambda: one.to_frame(1), "^data_set counts from 0 and there is 1 data set; got 1"),
        (lambda: one.kaplan_meier(-1), "^data_set must be a whole number of at least 0"),
        (lambda: one.parametric("gamma"), "^family must be one of exponential, weibull"),
        (lambda: one.cox(few), "^Each trial has two arms; got 4 arms and 3 others"),
        (lambda: one.cox(other, 5), "^data_set counts from 0"),
        (lambda: one.cox(3), "^other must be PooledPatients, from PooledCurve.patients; got int"),
        (
            lambda: one.cox(dataclasses.replace(other, study=(*one.study[1:], "X"))),
            f"^Some trials have the same name in both arms, and others are there once: '{one.study[0]}' among the first"
            "; 'X' among the second",
        ),
    ):
        with pytest.raises(InvalidInputError, match=message):
            question()
