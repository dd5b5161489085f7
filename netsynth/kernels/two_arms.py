r"""Two groups of patients compared: log-rank, Cox's log hazard ratio, and differences of survival and of its mean.

Data sets may have any leading shape: times and events of the treated have shape (..., n1), those of the control
(..., n0), and answers have shape (...). With one covariate of 0 and 1 all that the partial likelihood needs of an
event are the numbers at risk in the two groups. Efron's way with ties takes, for the event that comes after l
others of d at one time, l/d of these d out of them.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from scipy.special import chdtri

from netsynth._typing import BoolArray, FloatArray, IntArray
from netsynth.kernels.intervals import Limits
from netsynth.kernels.product_limit import Estimates

#: Log hazard ratios are looked for within these; beyond them no finite number of patients can tell one from infinity.
_FARTHEST: Final = 40.0
_HALVINGS: Final = 64  # of twice that, down to the last digit
_NOTHING: Final = 1e-9  # a variance of event counts below this is rounding


class RiskSets(NamedTuple):
    """Who was at risk at each event, arrays of shape (..., n1 + n0) with one entry a patient in order of time.

    Attributes
    ----------
    is_event, is_treated : ndarray of bool
        Of the patient.
    treated, control : ndarray
        At risk just before, in either group.
    tied, tied_treated : ndarray
        Events at that time, and those among them of the treated.
    before : ndarray
        Events at that time that come earlier in the order.
    share : ndarray
        Of all patients who had the event earlier, by Kaplan-Meier.
    """

    is_event: BoolArray
    is_treated: BoolArray
    treated: FloatArray
    control: FloatArray
    tied: FloatArray
    tied_treated: FloatArray
    before: FloatArray
    share: FloatArray

    @property
    def efron(self) -> tuple[FloatArray, FloatArray]:
        """Numbers at risk of the treated and of the control, less Efron's share of the events at the same time."""
        share = np.where(self.is_event, self.before / np.maximum(self.tied, 1.0), 0.0)
        treated = self.treated - share * self.tied_treated
        return treated, self.control - share * (self.tied - self.tied_treated)


class LogRank(NamedTuple):
    """Events of the treated, those expected without a difference, and the variance of their difference."""

    observed: FloatArray
    expected: FloatArray
    variance: FloatArray

    @property
    def chi2(self) -> FloatArray:
        """The statistic on one degree of freedom; nan where nothing can be compared."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((self.observed - self.expected) ** 2 / self.variance)


class CoxFit(NamedTuple):
    """Maximum of the partial likelihood.

    Attributes
    ----------
    log_hr : ndarray
        Infinite where the likelihood rises for ever; nan where it is flat.
    variance : ndarray
        Inverse information; nan where the estimate is not finite.
    """

    log_hr: FloatArray
    variance: FloatArray


class Trend(NamedTuple):
    """Change of the log hazard ratio with time: one step from none, and the variance of that."""

    slope: FloatArray
    variance: FloatArray


def risk_sets(
    treated_time: FloatArray, treated_event: IntArray, control_time: FloatArray, control_event: IntArray
) -> RiskSets:
    """Numbers at risk and ties at each event of two groups; those at risk are last seen then or later."""
    n_treated, n_control = treated_time.shape[-1], control_time.shape[-1]
    time = np.concatenate([treated_time, control_time], axis=-1)
    event = np.concatenate([treated_event, control_event], axis=-1)
    order = np.lexsort((-event, time), axis=-1)
    time = np.take_along_axis(time, order, -1)
    died = np.take_along_axis(event, order, -1) > 0
    treated = order < n_treated

    n = time.shape[-1]
    place = np.broadcast_to(np.arange(n), time.shape)
    is_new = np.concatenate([np.ones_like(died[..., :1]), time[..., 1:] != time[..., :-1]], axis=-1)
    first = np.maximum.accumulate(np.where(is_new, place, 0), axis=-1)
    is_end = np.concatenate([is_new[..., 1:], np.ones_like(died[..., :1])], axis=-1)
    last = np.minimum.accumulate(np.where(is_end, place, n - 1)[..., ::-1], axis=-1)[..., ::-1]

    def ahead(member: BoolArray, where: IntArray) -> FloatArray:
        """How many members come before a place in the order."""
        total = np.cumsum(member, axis=-1)
        total = np.concatenate([np.zeros_like(total[..., :1]), total], axis=-1)
        return np.take_along_axis(total, where, -1).astype(np.float64)

    gone = ahead(treated, first)
    factor = np.where(died, np.arange(n - 1.0, -1.0, -1.0) / np.arange(n, 0.0, -1.0), 1.0)
    survival = np.multiply.accumulate(factor, axis=-1)
    earlier = np.take_along_axis(survival, np.maximum(first - 1, 0), -1)
    return RiskSets(
        is_event=died,
        is_treated=treated,
        treated=n_treated - gone,
        control=n_control - (first - gone),
        tied=ahead(died, last + 1) - ahead(died, first),
        tied_treated=ahead(died & treated, last + 1) - ahead(died & treated, first),
        before=(place - first).astype(np.float64),
        share=np.where(first > 0, 1.0 - earlier, 0.0),
    )


def log_rank(sets: RiskSets) -> LogRank:
    r"""The log-rank comparison.

    At a time with d events among :math:`r = r_1 + r_0` at risk, :math:`d r_1 / r` are expected among the treated, with
    the hypergeometric variance :math:`d (r_1 / r) (r_0 / r) (r - d) / (r - 1)`.

    Examples
    --------
    Freireich's trial of 6-MP against placebo in acute leukaemia, weeks in remission:

    >>> mp = np.array([6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35.0])
    >>> relapsed = np.repeat([1, 0], [9, 12])
    >>> placebo = np.array([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23.0])
    >>> found = log_rank(risk_sets(mp, relapsed, placebo, np.ones(21, dtype=int)))
    >>> print(found.observed, found.expected.round(2), found.chi2.round(2))
    9.0 19.25 16.79
    """
    whole = sets.treated + sets.control
    expected = sets.treated / whole
    spread = expected * (sets.control / whole) * (whole - sets.tied) / np.maximum(whole - 1.0, 1.0)
    return LogRank(
        np.asarray((sets.is_event & sets.is_treated).sum(-1), dtype=np.float64),
        np.where(sets.is_event, expected, 0.0).sum(-1),
        np.where(sets.is_event, spread, 0.0).sum(-1),
    )


def log_rank_of_several(time: FloatArray, event: IntArray, group: IntArray) -> tuple[float, int]:
    r"""Log-rank statistic of two groups or more and its degrees of freedom.

    Parameters
    ----------
    time, event : ndarray, shape (n,)
        Of all patients.
    group : ndarray of int, shape (n,)
        Which group, from 0 on.

    Notes
    -----
    :math:`(O - E)^\top V^- (O - E)` with :math:`V = \sum_t d (\mathrm{diag}(q) - q q^\top) (r - d) / (r - 1)`, q the
    shares of the groups among those at risk. A group that can never have an event takes no degree of freedom.
    """
    when = np.unique(time[event > 0])
    member = group == np.arange(group.max() + 1)[:, None]
    at_risk = (member[:, :, None] & (time[:, None] >= when)).sum(1).astype(np.float64)  # (groups, times)
    events = (member[:, :, None] & (event[:, None] > 0) & (time[:, None] == when)).sum(1).astype(np.float64)
    r, d = at_risk.sum(0), events.sum(0)
    share = at_risk / r
    weight = d * (r - d) / np.maximum(r - 1.0, 1.0)
    variance = np.diag((weight * share).sum(1)) - (weight * share) @ share.T
    excess = (events - d * share).sum(1)
    spread, axes = np.linalg.eigh(variance)
    is_free = spread > _NOTHING
    df = int(is_free.sum())
    return (float(((axes.T @ excess)[is_free] ** 2 / spread[is_free]).sum()) if df else math.nan), df


def cox(sets: RiskSets) -> CoxFit:
    r"""Cox's log hazard ratio of the treated against the control, with Efron's way with ties [1]_.

    With :math:`p = r_1 e^\beta / (r_0 + r_1 e^\beta)` at each event, from the numbers of `RiskSets.efron`, the score is
    :math:`D_1 - \sum p` and the information :math:`\sum p (1 - p)`. The score falls in :math:`\beta`, from
    :math:`D_1` less the events at which only the treated are at risk to :math:`D_1` less those at which any of them
    is: if it does not pass 0 on the way, the estimate is infinite.

    References
    ----------
    .. [1] Efron B (1977). The efficiency of Cox's likelihood function for censored data. J Am Stat Assoc 72:557-565.
       https://doi.org/10.1080/01621459.1977.10480613
    """
    treated, control = sets.efron
    at_event = sets.is_event
    d_treated = (at_event & sets.is_treated).sum(-1)
    both = at_event & (treated > 0) & (control > 0)
    least = d_treated - (at_event & (treated > 0)).sum(-1)  # of the score, as the log hazard ratio rises
    most = d_treated - (at_event & (control <= 0)).sum(-1)
    low, high = np.full(d_treated.shape, -_FARTHEST), np.full(d_treated.shape, _FARTHEST)
    beta = np.zeros(d_treated.shape)
    for _ in range(_HALVINGS):
        score, information = _score(treated, control, at_event, d_treated, beta)
        low, high = np.where(score > 0, beta, low), np.where(score < 0, beta, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = beta + score / information
        next_beta = np.where((step > low) & (step < high), step, 0.5 * (low + high))
        next_beta = np.where(score == 0, beta, next_beta)
        moved = np.abs(next_beta - beta) > 1e-13 * (1.0 + np.abs(beta))
        beta = next_beta
        if not moved.any():
            break
    _, information = _score(treated, control, at_event, d_treated, beta)
    beta = np.where(least >= 0, np.inf, np.where(most <= 0, -np.inf, beta))
    beta = np.where(both.any(-1), beta, np.nan)
    return CoxFit(beta, np.where(np.isfinite(beta), 1.0 / np.maximum(information, 1e-300), np.nan))


def _odds(treated: FloatArray, control: FloatArray, beta: FloatArray) -> FloatArray:
    """Chance that an event is one of the treated."""
    weight = treated * np.exp(np.clip(beta, -_FARTHEST, _FARTHEST))[..., None]
    return np.asarray(weight / np.maximum(control + weight, 1e-300))


def _score(
    treated: FloatArray, control: FloatArray, at_event: BoolArray, d_treated: IntArray, beta: FloatArray
) -> tuple[FloatArray, FloatArray]:
    p = np.where(at_event, _odds(treated, control, beta), 0.0)
    return d_treated - p.sum(-1), (p * (1.0 - p)).sum(-1)


def log_likelihood(sets: RiskSets, log_hr: FloatArray) -> FloatArray:
    """Efron's log partial likelihood at a log hazard ratio a data set; infinite ones give the limit."""
    treated, control = sets.efron
    beta = np.clip(log_hr, -_FARTHEST, _FARTHEST)
    total = np.where(sets.is_event, control + treated * np.exp(beta)[..., None], 1.0)
    d_treated = (sets.is_event & sets.is_treated).sum(-1)
    return np.asarray(d_treated * beta - np.log(total).sum(-1))


def profile_limits(sets: RiskSets, fit: CoxFit, level: float) -> Limits:
    """Log hazard ratios of which the likelihood ratio test says no: an end is infinite where the estimate is."""
    lowest = log_likelihood(sets, fit.log_hr) - 0.5 * float(chdtri(1.0, 1.0 - level))
    centre = np.clip(fit.log_hr, -_FARTHEST, _FARTHEST)

    def end(side: float) -> FloatArray:
        inside, outside = centre, np.full(centre.shape, side * _FARTHEST)
        for _ in range(_HALVINGS):
            middle = 0.5 * (inside + outside)
            is_in = log_likelihood(sets, middle) >= lowest
            inside, outside = np.where(is_in, middle, inside), np.where(is_in, outside, middle)
        return np.where(
            fit.log_hr == side * np.inf, side * np.inf, np.where(np.isnan(centre), np.nan, inside)
        )

    return Limits(end(-1.0), end(1.0))


def trend(sets: RiskSets, fit: CoxFit) -> Trend:
    r"""Whether the log hazard ratio changes as events go by: a score test of proportional hazards [1]_.

    Against :math:`\beta + \gamma g(t)` with g the share of all patients who had the event before t, from 0 to 1. With
    p as in `cox` at its estimate and weights :math:`w = p (1 - p)`,

    .. math:: U = \sum g\,(x - p), \qquad
       V = \sum w g^2 - \frac{(\sum w g)^2}{\sum w}, \qquad \hat\gamma = U / V,

    and :math:`U^2 / V` is chi-squared on one degree of freedom. nan where the estimate is not finite.

    References
    ----------
    .. [1] Grambsch PM, Therneau TM (1994). Proportional hazards tests and diagnostics based on weighted residuals.
       Biometrika 81:515-526. https://doi.org/10.1093/biomet/81.3.515
    """
    p = _odds(*sets.efron, np.where(np.isfinite(fit.log_hr), fit.log_hr, 0.0))
    weight = np.where(sets.is_event, p * (1.0 - p), 0.0)
    total = weight.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        away = sets.share - ((weight * sets.share).sum(-1) / total)[..., None]
        score = np.where(sets.is_event, away * (sets.is_treated - p), 0.0).sum(-1)
        information = (weight * away**2).sum(-1)
        known = np.isfinite(fit.log_hr) & (information > 1e-12 * total)
        slope = np.where(known, score / information, np.nan)
        return Trend(slope, np.where(known, 1.0 / information, np.nan))


def difference(treated: Estimates, control: Estimates) -> Estimates:
    """Treated less control, elementwise, and the variance of that."""
    return Estimates(treated.estimate - control.estimate, treated.variance + control.variance)


def log_ratio(treated: Estimates, control: Estimates) -> Estimates:
    """Logarithm of treated over control, elementwise, and its variance; nan where either is 0."""
    parts = []
    for part in (treated, control):
        known = part.estimate > 0
        value = np.where(known, part.estimate, np.nan)
        parts.append(Estimates(np.log(value), part.variance / value**2))
    return difference(*parts)


def with_variance(survival: Estimates) -> Estimates:
    """Survival and its variance from survival and Greenwood's sum; the variance is nan where survival is 0."""
    known = survival.estimate > 0
    sum_of = np.where(known, survival.variance, np.nan)
    return Estimates(survival.estimate, survival.estimate**2 * sum_of)
