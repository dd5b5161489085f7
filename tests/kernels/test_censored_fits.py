"""Families fitted to censored times: lifelines, closed forms, and a likelihood written out."""

import numpy as np
import pytest
from scipy import stats

from netsynth.kernels.censored_fits import SHAPES, fit_location, log_cumulative_hazard


def patients(seed=0, n=150):
    rng = np.random.default_rng(seed)
    t, c = 30 * rng.weibull(1.3, n), rng.uniform(1, 60, n)
    return np.minimum(t, c), (t <= c).astype(int)


def lifelines_of(family, time, event):
    """Parameters as ours from a fit of lifelines, and its log-likelihood."""
    import lifelines

    names = {
        "exponential": "ExponentialFitter",
        "weibull": "WeibullFitter",
        "loglogistic": "LogLogisticFitter",
        "lognormal": "LogNormalFitter",
    }
    fit = getattr(lifelines, names[family])().fit(time, event)
    first, *second = fit.params_.to_numpy()
    location = first if family == "lognormal" else np.log(first)
    scale = [np.log(v) if family == "lognormal" else -np.log(v) for v in second]
    return np.array([location, *scale]), fit.log_likelihood_


@pytest.mark.parametrize("family", SHAPES)
def test_lifelines_finds_the_same(family):
    time, event = patients()
    fit = fit_location(family, time, event)
    theta, height = lifelines_of(family, time, event)
    assert fit.converged.all()
    # lifelines stops a little early: its maximum is no higher, and within what it calls arrived
    ours = float(fit.log_likelihood) - np.log(time[event > 0]).sum()
    assert ours >= height - 1e-9
    assert ours == pytest.approx(height, abs=1e-5)
    assert fit.theta == pytest.approx(theta, abs=1e-3)


SCIPY = {
    "exponential": lambda theta: stats.expon(scale=np.exp(theta[0])),
    "weibull": lambda theta: stats.weibull_min(np.exp(-theta[1]), scale=np.exp(theta[0])),
    "loglogistic": lambda theta: stats.fisk(np.exp(-theta[1]), scale=np.exp(theta[0])),
    "lognormal": lambda theta: stats.lognorm(np.exp(theta[1]), scale=np.exp(theta[0])),
}


@pytest.mark.parametrize("family", SHAPES)
def test_the_likelihood_written_out_is_flat_there_and_bends_as_told(family):
    time, event = patients(4, 60)

    def height(theta):
        law = SCIPY[family](theta)
        return np.where(event > 0, law.logpdf(time), law.logsf(time)).sum()

    fit = fit_location(family, time, event)
    assert height(fit.theta) == pytest.approx(float(fit.log_likelihood) - np.log(time[event > 0]).sum())
    h = 1e-4
    axes = h * np.eye(fit.theta.size)
    assert [height(fit.theta + a) - height(fit.theta - a) for a in axes] == pytest.approx(
        np.zeros(fit.theta.size), abs=1e-6
    )
    second = [
        [
            height(fit.theta + a + b)
            - height(fit.theta + a - b)
            - height(fit.theta - a + b)
            + height(fit.theta - a - b)
            for b in axes
        ]
        for a in axes
    ]
    assert fit.covariance == pytest.approx(np.linalg.inv(-np.array(second) / (4 * h * h)), rel=1e-4)


@pytest.mark.parametrize("family", SHAPES)
def test_the_curve(family):
    theta = np.array([3.0, -0.2])[: 1 if family == "exponential" else 2]
    time = np.array([2.0, 20.0, 70.0])
    found = np.exp(-np.exp(log_cumulative_hazard(family, theta, time)))
    assert found == pytest.approx(SCIPY[family](theta).sf(time))


def test_many_data_sets_at_once():
    sets = [patients(seed, 40) for seed in range(5)]
    whole = fit_location("weibull", np.stack([t for t, _ in sets]), np.stack([e for _, e in sets]))
    for i, (time, event) in enumerate(sets):
        alone = fit_location("weibull", time, event)
        assert whole.theta[i] == pytest.approx(alone.theta, abs=1e-9)
        assert whole.covariance[i] == pytest.approx(alone.covariance, rel=1e-7)
