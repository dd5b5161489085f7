"""The stratified hazard ratio: lifelines with strata, and data sets combined."""

import re

import numpy as np
import pandas as pd
import pytest
from patients import frame, weibull_studies

from netsynth.errors import InvalidInputError, UnusableDataWarning
from netsynth.one_stage import stratified_hazard_ratio
from netsynth.results.ensemble import PseudoData, PseudoEnsemble


def arms(seed=4, k=4, ties=False):
    treated, control = weibull_studies(seed, k=k), weibull_studies(seed + 50, k=k)
    both = [
        {name: (1.3 * t if i == 0 else t, e) for name, (t, e) in each.items()}
        for i, each in enumerate((treated, control))
    ]
    if ties:
        both = [{name: (np.ceil(t), e) for name, (t, e) in each.items()} for each in both]
    return both


@pytest.mark.parametrize("ties", [False, True])
def test_lifelines_with_strata_finds_the_same(ties):
    from lifelines import CoxPHFitter

    treated, control = arms(ties=ties)
    ratio = stratified_hazard_ratio(frame(treated), frame(control))
    both = pd.concat([frame(treated).assign(group=1.0), frame(control).assign(group=0.0)])
    fit = CoxPHFitter().fit(both, "time_months", "event", strata=["study"], fit_options={"precision": 1e-10})
    assert ratio.estimate == pytest.approx(fit.params_["group"], abs=1e-6)
    assert ratio.se == pytest.approx(fit.standard_errors_["group"], rel=1e-5)
    assert ratio.natural == pytest.approx(np.exp(ratio.estimate))
    assert ratio.reporting_loss == 0.0


def test_it_is_not_that_of_all_patients_thrown_together():
    from lifelines import CoxPHFitter

    treated, control = arms()
    both = pd.concat([frame(treated).assign(group=1.0), frame(control).assign(group=0.0)])
    thrown = CoxPHFitter().fit(both[["time_months", "event", "group"]], "time_months", "event")
    ratio = stratified_hazard_ratio(frame(treated), frame(control))
    assert abs(ratio.estimate - thrown.params_["group"]) > 0.01


def test_arms_go_together_by_name_or_else_by_order():
    treated, control = arms()
    ratio = stratified_hazard_ratio(frame(treated), frame(control))
    turned = dict(reversed(control.items()))
    assert stratified_hazard_ratio(frame(treated), frame(turned)).estimate == pytest.approx(ratio.estimate)
    renamed = {f"{name}, control": data for name, data in control.items()}
    assert stratified_hazard_ratio(frame(treated), frame(renamed)).estimate == pytest.approx(ratio.estimate)


def test_data_sets_are_combined():
    rng = np.random.default_rng(1)
    made = [
        [
            PseudoEnsemble(
                name, tuple(PseudoData(t * np.exp(rng.normal(0, 0.2, t.size)), e) for _ in range(3))
            )
            for name, (t, e) in each.items()
        ]
        for each in arms()
    ]
    ratio = stratified_hazard_ratio(*made)
    each = [
        stratified_hazard_ratio(*(frame({one.label: one.draws[i] for one in side}) for side in made))
        for i in range(3)
    ]
    estimate = np.array([one.estimate for one in each])
    assert ratio.estimate == pytest.approx(estimate.mean())
    within = np.mean([one.se**2 for one in each])
    assert ratio.se**2 == pytest.approx(within + (1 + 1 / 3) * estimate.var(ddof=1))


def test_what_cannot_be_told():
    treated, control = arms(k=2)
    with pytest.raises(
        InvalidInputError, match=r"^Each trial has two arms; got 2 treated arms and 1 of control"
    ):
        stratified_hazard_ratio(frame(treated), frame({"S00": control["S00"]}))
    with pytest.raises(InvalidInputError, match=r"^control must be reconstructed studies.*got list"):
        stratified_hazard_ratio(frame(treated), [])
    shifted = dict(zip(("S01", "X"), control.values(), strict=True))
    message = (
        "Some trials have the same name in both arms, and others are there once: 'S00' among the first; 'X' among the "
        "second."
    )
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}"):
        stratified_hazard_ratio(frame(treated), frame(shifted))
    nobody = {name: (t, np.zeros_like(e)) for name, (t, e) in control.items()}
    with pytest.warns(UnusableDataWarning, match="undefined in 2 of 2 data sets"):
        assert np.isnan(stratified_hazard_ratio(frame(treated), frame(nobody)).estimate)


def test_real_patients_are_not_called_data_sets_of_a_report():
    treated, control = arms(k=2)
    ratio = stratified_hazard_ratio(frame(treated), frame(control))
    assert ratio.n_draws == 1
    assert str(ratio).splitlines()[0] == "Hazard ratio from patients known one by one"
    drawn = [
        PseudoEnsemble(name, tuple(PseudoData(t + shift, e) for shift in (0.0, 0.1)))
        for name, (t, e) in control.items()
    ]
    mixed = stratified_hazard_ratio(frame(treated), drawn)
    assert str(mixed).splitlines()[0] == "Hazard ratio from 2 data sets that the report allows"
