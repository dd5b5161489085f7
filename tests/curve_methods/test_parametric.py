"""Parametric curves: lifelines, the bivariate model by other functions, tails that are named."""

import numpy as np
import pytest
from patients import frame, weibull_studies, without_grid
from scipy.integrate import quad
from scipy.optimize import brentq

from netsynth.errors import FewStudiesWarning, InvalidInputError
from netsynth.kernels.averaged import moved
from netsynth.kernels.censored_fits import fit_location, log_cumulative_hazard
from netsynth.multivariate import pool_multivariate
from netsynth.over_time import pool_survival
from netsynth.results.ensemble import PseudoData, PseudoEnsemble

any_doubt = pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("weibull", "WeibullFitter"),
        ("exponential", "ExponentialFitter"),
        ("loglogistic", "LogLogisticFitter"),
        ("lognormal", "LogNormalFitter"),
    ],
)
def test_one_curve_of_all_patients_is_that_of_lifelines(family, name, monkeypatch):
    without_grid(monkeypatch)
    import lifelines

    studies = weibull_studies(3, k=3)
    pooled = pool_survival(
        frame(studies), method="parametric", family=family, effects="common", times_months=[6, 24, 40]
    )
    time, event = (np.concatenate(part) for part in zip(*studies.values(), strict=True))
    fit = getattr(lifelines, name)().fit(time, event, timeline=[6, 24, 40], ci_labels=["lower", "upper"])
    expected = fit.survival_function_at_times([6, 24, 40]).to_numpy()
    assert pooled.survival([6, 24, 40]) == pytest.approx(expected, abs=2e-5)
    assert np.isnan(pooled.between).all()
    # lifelines has limits of log H symmetric by the delta method, as ours are
    band = fit.confidence_interval_cumulative_hazard_.to_numpy()
    half = 1.959963984540054 * np.sqrt(pooled.log_covariance.diagonal())
    assert (band[:, 1] - band[:, 0]) / 2 == pytest.approx(half, rel=2e-3)


@any_doubt
def test_parameters_are_pooled_as_two_outcomes(monkeypatch):
    without_grid(monkeypatch)
    studies = weibull_studies(6, k=10, tau=0.5)
    pooled = pool_survival(frame(studies), method="parametric", times_months=[6, 24])
    fits = [fit_location("weibull", time, event) for time, event in studies.values()]
    other = pool_multivariate(
        [fit.theta for fit in fits],
        covariance=[fit.covariance for fit in fits],
        method="REML",
        ci_method="wald",
    )

    def curve(theta):
        return log_cumulative_hazard("weibull", theta, np.array([6.0, 24.0]))

    found, slope = moved(curve, other.coefficient, other.psi)
    assert pooled.estimate == pytest.approx(found.estimate, abs=1e-6)
    assert pooled.covariance == pytest.approx(slope @ other.model_covariance @ slope.T, rel=1e-4)
    assert pooled.between == pytest.approx(found.between, rel=1e-4)


@any_doubt
def test_a_tail_is_named():
    studies = weibull_studies(6, k=5)
    end = max(time.max() for time, _ in studies.values())
    inside = pool_survival(frame(studies), method="parametric", times_months=[12, 60])
    assert "tail" not in inside.model
    beyond = pool_survival(frame(studies), method="parametric", times_months=[12, 120])
    assert beyond.model.endswith(f", Weibull tail after {end:.1f} months")
    assert beyond.k_at[beyond.place_of([12, 120])].tolist() == [5, 0]
    assert beyond.n_at[-1] == 0
    assert beyond.warnings[-1].message == (
        f"after {end:.4g} months no study has a patient at risk: the curve there is the Weibull tail, assumed."
    )


@any_doubt
def test_data_sets_are_combined_study_by_study(monkeypatch):
    without_grid(monkeypatch)
    rng = np.random.default_rng(5)
    made = [
        PseudoEnsemble(name, tuple(PseudoData(time * np.exp(rng.normal(0, 0.1)), event) for _ in range(4)))
        for name, (time, event) in weibull_studies(5, k=6).items()
    ]
    pooled = pool_survival(made, method="parametric", times_months=[12])
    theta, within = [], []
    for ensemble in made:
        each = [fit_location("weibull", *draw) for draw in ensemble.draws]
        estimates = np.stack([one.theta for one in each])
        theta.append(estimates.mean(axis=0))
        within.append(np.mean([one.covariance for one in each], axis=0) + 1.25 * np.cov(estimates.T))
    other = pool_multivariate(theta, covariance=within, method="REML", ci_method="wald")
    found, _ = moved(
        lambda parameters: log_cumulative_hazard("weibull", parameters, np.array([12.0])),
        other.coefficient,
        other.psi,
    )
    assert pooled.estimate == pytest.approx(found.estimate, abs=1e-6)


@pytest.mark.parametrize("family", ["weibull", "exponential", "loglogistic", "lognormal"])
@pytest.mark.parametrize("times", [[6], [6, 500]])
@any_doubt
def test_the_median_is_that_of_the_formula(family, times):
    studies = weibull_studies(3, k=3)
    pooled = pool_survival(
        frame(studies), method="parametric", family=family, effects="common", times_months=times
    )
    fit = fit_location(family, *(np.concatenate(part) for part in zip(*studies.values(), strict=True)))

    def survival(t):
        return np.exp(-np.exp(log_cumulative_hazard(family, fit.theta, np.atleast_1d(t))))

    median = brentq(lambda t: float(survival(t)[0]) - 0.5, 0.1, 200)
    assert pooled.median == pytest.approx(median, rel=1e-4)
    assert pooled.rmst(36) == pytest.approx(quad(lambda t: float(survival(t)[0]), 1e-9, 36)[0], rel=1e-4)
    late = [300.0] if times[-1] == 500 else [30.3]
    assert pooled.survival(late) == pytest.approx(survival(late), rel=2e-3)
    steps = np.diff(pooled.time_months) / pooled.time_months[1:]
    assert steps[pooled.time_months[:-1] > 30].max() < 0.05


def test_one_study_is_one_curve():
    with pytest.warns(FewStudiesWarning, match="one study, handed back as it is"):
        pooled = pool_survival(frame(weibull_studies(6, k=1)), method="parametric", family="lognormal")
    assert pooled.model == "one log-normal curve"
    assert pooled.df == np.inf


@any_doubt
def test_time_zero():
    time, event = weibull_studies(6, k=1)["S00"]
    alone = pool_survival(frame({"A": (time, event)}), method="parametric", times_months=[12])
    left = frame({"A": (np.append(time, 0.0), np.append(event, 0))})
    assert pool_survival(left, method="parametric", times_months=[12]).estimate == pytest.approx(
        alone.estimate
    )
    died = frame({"A": (np.append(time, 0.0), np.append(event, 1))})
    with pytest.raises(
        InvalidInputError, match=r"^A: a patient has the event at time 0, which no parametric curve allows"
    ):
        pool_survival(died, method="parametric")


@pytest.mark.filterwarnings("ignore::netsynth.errors.BoundaryWarning")
def test_few_studies_are_said():
    with pytest.warns(FewStudiesWarning, match="3 studies: how much they differ is hardly known"):
        pool_survival(frame(weibull_studies(6, k=3)), method="parametric")
