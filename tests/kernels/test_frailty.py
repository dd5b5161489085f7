"""Cox's model with normal study effects: integrals done numerically, a baseline by hand, another package's baseline."""

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from netsynth.kernels.frailty import (
    baseline_at,
    fit_frailty,
    laplace_likelihood,
    partial_likelihood,
    risk_sets,
)


def studies(seed=1, sizes=(60, 45, 80), effects=(0.5, -0.6, 0.1), end=40.0):
    rng = np.random.default_rng(seed)
    time, event = [], []
    for n, u in zip(sizes, effects, strict=True):
        t = rng.exponential(20.0 * np.exp(-u), n)
        c = rng.uniform(5.0, end, n)
        time.append(np.minimum(t, c))
        event.append((t <= c).astype(int))
    return time, event


def partial_by_loops(time, event, effect):
    """Sum over events of the log share of the study among those at risk."""
    total = 0.0
    for i, (t, e) in enumerate(zip(time, event, strict=True)):
        for when in t[e > 0]:
            at_risk = sum((other >= when).sum() * np.exp(u) for other, u in zip(time, effect, strict=True))
            total += effect[i] - np.log(at_risk)
    return total


def test_the_partial_likelihood():
    time, event = studies()
    time[0] = np.ceil(time[0])  # ties
    u = np.array([0.3, -0.2, 0.4])
    risk = risk_sets(time, event)
    assert partial_likelihood(risk, u) == pytest.approx(partial_by_loops(time, event, u))
    assert partial_likelihood(risk, u + 5.0) == pytest.approx(partial_likelihood(risk, u))


def integrated(risk, tau):
    """The likelihood of two studies by quadrature over the difference of their effects, of variance 2 tau2."""
    at = partial_likelihood(risk, np.zeros(2))

    def height(difference):
        shifted = partial_likelihood(risk, np.array([difference, 0.0])) - at
        return np.exp(shifted) * stats.norm.pdf(difference, scale=np.sqrt(2.0) * tau)

    reach = 12.0 * np.sqrt(2.0) * tau
    found, _ = integrate.quad(
        height, -reach, reach, limit=400, points=[0.0, 0.5, 1.0], epsabs=0.0, epsrel=1e-10
    )
    return at + np.log(found)


def test_tau2_and_likelihood_of_two_studies_by_quadrature():
    """Laplace's method errs by terms of one over the number of events, here 200 a study at least."""
    time, event = studies(5, sizes=(400, 400), effects=(0.6, -0.3))
    risk = risk_sets(time, event)
    assert risk.events_of.min() > 200
    for tau in (0.1, 0.4, 1.0):
        assert laplace_likelihood(risk, tau) == pytest.approx(integrated(risk, tau), abs=2e-3)
    best = optimize.minimize_scalar(
        lambda tau: -integrated(risk, tau), bounds=(0.05, 3.0), method="bounded", options={"xatol": 1e-7}
    )
    fit = fit_frailty(time, event)
    assert np.sqrt(fit.tau2) == pytest.approx(best.x, rel=1e-3)
    assert fit.log_likelihood == pytest.approx(-best.fun, abs=2e-3)


def test_laplace_of_few_events_is_that_of_a_second_implementation():
    """The same approximation with numerical derivatives and a general optimiser."""
    time, event = studies(2, sizes=(9, 7, 8), effects=(0.8, -0.8, 0.0))
    risk = risk_sets(time, event)
    tau = 0.7

    def minus(u):
        return -partial_by_loops(time, event, u) + u @ u / (2 * tau**2)

    mode = optimize.minimize(minus, np.zeros(3), method="BFGS", options={"gtol": 1e-8}).x
    eye, h = np.eye(3), 1e-3
    second = np.array(
        [
            [
                (
                    minus(mode + h * a + h * b)
                    - minus(mode + h * a - h * b)
                    - minus(mode - h * a + h * b)
                    + minus(mode - h * a - h * b)
                )
                / (4 * h * h)
                for b in eye
            ]
            for a in eye
        ]
    )
    expected = -minus(mode) - 0.5 * np.linalg.slogdet(second)[1] - 3 * np.log(tau)
    assert laplace_likelihood(risk, tau) == pytest.approx(expected, abs=1e-5)


def test_it_is_the_highest():
    time, event = studies(3, sizes=(40,) * 6, effects=(0.5, -0.5, 0.3, -0.2, 0.9, -0.8))
    fit = fit_frailty(time, event)
    risk = risk_sets(time, event)
    tau = np.sqrt(fit.tau2)
    assert fit.log_likelihood == pytest.approx(laplace_likelihood(risk, tau))
    for other in (0.0, 0.1, 0.99 * tau, 1.01 * tau, 2.0, 4.0):
        assert laplace_likelihood(risk, other) <= fit.log_likelihood + 1e-9


def test_without_effects_it_is_the_baseline_of_lifelines():
    from lifelines import NelsonAalenFitter

    time, event = studies()
    fit = fit_frailty(time, event, random=False)
    at = np.array([3.0, 9.0, 21.0])
    found = baseline_at(fit, at)
    other = NelsonAalenFitter(nelson_aalen_smoothing=False).fit(np.concatenate(time), np.concatenate(event))
    assert found.cumulative_hazard == pytest.approx(other.predict(at).to_numpy())
    every = np.concatenate(time)
    died = every[np.concatenate(event) > 0]
    for j, t in enumerate(at):
        variance = sum(1.0 / (every >= s).sum() ** 2 for s in died if s <= t)
        assert found.covariance[j, j] == pytest.approx(variance)


def test_covariance_of_the_baseline_is_the_corner_of_the_inverse_information():
    """Of jumps and effects together, as a dense matrix of second derivatives of the penalised Poisson likelihood."""
    time, event = studies(7, sizes=(12, 10, 14), effects=(0.9, -0.9, 0.0))
    fit = fit_frailty(time, event)
    assert fit.tau2 > 0
    risk, u = fit.risk, fit.effect
    m, k = risk.at_risk.shape
    jump = risk.events / (risk.at_risk @ np.exp(u))
    info = np.zeros((m + k, m + k))
    info[:m, :m] = np.diag(risk.events / jump**2)
    info[:m, m:] = risk.at_risk * np.exp(u)
    info[m:, :m] = info[:m, m:].T
    info[m:, m:] = np.diag(jump @ (risk.at_risk * np.exp(u))) + np.eye(k) / fit.tau2
    corner = np.linalg.inv(info)[:m, :m]
    at = np.array([4.0, 12.0])
    before = (risk.time[None, :] <= at[:, None]).astype(float)
    found = baseline_at(fit, at)
    assert found.cumulative_hazard == pytest.approx(before @ jump)
    assert found.covariance == pytest.approx(before @ corner @ before.T)


def test_studies_that_are_alike_have_no_variance():
    time, event = studies(1, sizes=(30, 30), effects=(0.0, 0.0))
    fit = fit_frailty([time[0], time[0]], [event[0], event[0]])
    assert fit.tau2 == 0.0
    assert fit.effect.tolist() == [0.0, 0.0]


def test_a_study_without_events_takes_part():
    time, event = studies()
    fit = fit_frailty([*time, np.array([5.0, 30.0, 35.0])], [*event, np.array([0, 0, 0])])
    assert np.isfinite(fit.effect).all()
    assert fit.effect[3] == fit.effect.min()
