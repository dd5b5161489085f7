r"""Cox's model without covariates and with a normal effect of the study on the log hazard.

Patients of study i have the hazard :math:`e^{u_i} \lambda_0(t)` with :math:`u_i \sim N(0, \tau^2)`. With :math:`D_i`
events, :math:`d_j` of them all at time j, and :math:`r_{ij}` patients at risk then, the partial likelihood (Breslow's
for ties) is

.. math:: \ell(u) = \sum_i D_i u_i - \sum_j d_j \ln S_j, \qquad S_j = \sum_i r_{ij} e^{u_i},

which does not see a shift of all effects: what it says of :math:`\tau^2` is free of the level of the baseline, as it is
in REML. It is integrated over the effects by Laplace's method [1]_, and maximised over :math:`\tau`:

.. math:: \ell(\hat u) - \frac{\hat u'\hat u}{2 \tau^2} - \frac12 \ln |I + \tau^2 H|, \qquad
   H = \sum_j d_j \{\mathrm{diag}(p_j) - p_j p_j'\}, \qquad p_{ij} = r_{ij} e^{\hat u_i} / S_j .

The baseline is Breslow's at the predicted effects. With :math:`\Lambda(t) = \sum d_j / S_j` and its slopes
:math:`-g(t) = -\sum d_j p_j / S_j` in the effects,

.. math:: \mathrm{Cov}(\hat\Lambda(t), \hat\Lambda(s)) = \sum_{t_j \le \min(t, s)} d_j / S_j^2
   + g(t)' (H + I / \tau^2)^{-1} g(s),

the corner of the inverse of the penalised information about baseline and effects together.

References
----------
.. [1] Ripatti S, Palmgren J (2000). Estimation of multivariate frailty models using penalized partial likelihood.
   Biometrics 56:1016-1022. https://doi.org/10.1111/j.0006-341X.2000.01016.x
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from netsynth._typing import FloatArray, IntArray

#: Standard deviations looked at before the best is refined; a study effect beyond 5 is no effect of a study.
_TAU: Final = np.concatenate([[0.0], np.geomspace(0.04, 5.0, 8)])
_MAX_STEPS: Final = 100
_MAX_HALVINGS: Final = 30
_ARRIVED: Final = 1e-12
#: What a maximum above tau = 0 must add to the log-likelihood: less is rounding.
_NO_GAIN: Final = 1e-9


class RiskSets(NamedTuple):
    """Times of events in order (m,), events at each (m,) and of each study (k,), patients at risk then (m, k)."""

    time: FloatArray
    events: FloatArray
    events_of: FloatArray
    at_risk: FloatArray


class FrailtyFit(NamedTuple):
    """A fitted model: variance of the effects, the effects (k,), the log-likelihood, whether it is a maximum inside.

    `tau2` is 0, and the effects too, where the studies do not differ more than chance has it.
    """

    tau2: float
    effect: FloatArray
    log_likelihood: float
    risk: RiskSets


class Baseline(NamedTuple):
    """Cumulative hazard of a study without effect at some times (q,), and its covariance (q, q)."""

    cumulative_hazard: FloatArray
    covariance: FloatArray


class _Mode(NamedTuple):
    z: FloatArray
    height: float


def risk_sets(time: list[FloatArray], event: list[IntArray]) -> RiskSets:
    """From times and events of the patients of each study, arrays of any lengths."""
    every = np.concatenate([t[e > 0] for t, e in zip(time, event, strict=True)])
    at, events = np.unique(every, return_counts=True)
    at_risk = np.stack([t.size - np.searchsorted(np.sort(t), at, "left") for t in time], axis=-1)
    return RiskSets(
        at,
        events.astype(np.float64),
        np.array([float((e > 0).sum()) for e in event]),
        at_risk.astype(np.float64),
    )


def _shares(risk: RiskSets, effect: FloatArray) -> tuple[FloatArray, FloatArray]:
    weighted = risk.at_risk * np.exp(effect)
    total = weighted.sum(axis=-1)
    return weighted / total[:, None], total


def partial_likelihood(risk: RiskSets, effect: FloatArray) -> float:
    """Log partial likelihood of study effects (k,)."""
    total = risk.at_risk @ np.exp(effect)
    return float(risk.events_of @ effect - risk.events @ np.log(total))


def _information(risk: RiskSets, share: FloatArray) -> FloatArray:
    weighted = risk.events[:, None] * share
    return np.asarray(np.diag(weighted.sum(axis=0)) - share.T @ weighted)


def _mode(risk: RiskSets, tau: float, start: FloatArray) -> _Mode:
    """Effects in units of tau at which partial likelihood and normal density together are highest, by Newton."""
    eye = np.eye(start.size)

    def height(z: FloatArray) -> float:
        return partial_likelihood(risk, tau * z) - 0.5 * float(z @ z)

    z, now = start, height(start)
    for _ in range(_MAX_STEPS):
        share, _total = _shares(risk, tau * z)
        slope = tau * (risk.events_of - risk.events @ share) - z
        step = np.linalg.solve(tau * tau * _information(risk, share) + eye, slope)
        promise = float(slope @ step)
        if promise <= _ARRIVED:
            break
        for _ in range(_MAX_HALVINGS):
            there = height(z + step)
            if there >= now:
                break
            step = 0.5 * step
        z, now = z + step, height(z + step)
    return _Mode(z, now)


def laplace_likelihood(risk: RiskSets, tau: float) -> float:
    """Logarithm of the partial likelihood, integrated over normal effects by Laplace's method."""
    return _laplace(risk, tau, np.zeros(risk.events_of.size))[0]


def _laplace(risk: RiskSets, tau: float, start: FloatArray) -> tuple[float, FloatArray]:
    mode = _mode(risk, tau, start)
    share, _ = _shares(risk, tau * mode.z)
    spread = np.linalg.slogdet(np.eye(start.size) + tau * tau * _information(risk, share))[1]
    return mode.height - 0.5 * float(spread), mode.z


def fit_frailty(time: list[FloatArray], event: list[IntArray], *, random: bool = True) -> FrailtyFit:
    """Fit the model to the patients of each study.

    Parameters
    ----------
    time, event : list of ndarray
        One array a study, of any length; events are 1. Some patient must have had one.
    random : bool
        Else tau is 0: one baseline for all patients.

    Examples
    --------
    Two studies of three patients. They differ less than chance has it.

    >>> time = [np.array([1.0, 3.0, 5.0]), np.array([2.0, 4.0, 6.0])]
    >>> fit = fit_frailty(time, [np.array([1, 1, 1])] * 2)
    >>> fit.tau2, baseline_at(fit, np.array([2.0])).cumulative_hazard.round(3)
    (0.0, array([0.367]))
    """
    from scipy.optimize import minimize_scalar

    risk = risk_sets(time, event)
    z = np.zeros(risk.events_of.size)
    least = partial_likelihood(risk, z)
    if not random:
        return FrailtyFit(0.0, z, least, risk)
    heights, modes = [], []
    for tau in _TAU:
        found, z = _laplace(risk, float(tau), z)
        heights.append(found)
        modes.append(z)
    best = int(np.argmax(heights))
    start = modes[best]
    low, high = float(_TAU[max(best - 1, 0)]), float(_TAU[min(best + 1, _TAU.size - 1)])
    found = minimize_scalar(
        lambda tau: -_laplace(risk, float(tau), start)[0],
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-9},
    )
    if -float(found.fun) <= least + _NO_GAIN:
        return FrailtyFit(0.0, np.zeros_like(z), least, risk)
    tau = float(found.x)
    height, z = _laplace(risk, tau, start)
    return FrailtyFit(tau * tau, tau * z, height, risk)


def baseline_at(fit: FrailtyFit, time: FloatArray) -> Baseline:
    """Breslow's cumulative hazard of a study without effect at times of shape (q,), with the variance tau2 as known."""
    risk = fit.risk
    share, total = _shares(risk, fit.effect)
    before = np.searchsorted(risk.time, time, "right")

    def reached(values: FloatArray) -> FloatArray:
        sums = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
        return np.asarray(sums[before])

    hazard = reached(risk.events / total)
    own = reached(risk.events / total**2)
    slope = reached((risk.events / total)[:, None] * share)
    inner = np.eye(fit.effect.size) + fit.tau2 * _information(risk, share)
    effects = fit.tau2 * np.linalg.inv(inner)
    return Baseline(hazard, np.minimum.outer(own, own) + slope @ effects @ slope.T)
