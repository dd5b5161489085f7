r"""Ways from what a paper prints of two groups to a log hazard ratio and its variance, one function a way.

Group 1 is the one that the ratio speaks of, group 0 the reference; a log hazard ratio above 0 means that group 1 does
worse. Everything is elementwise unless it says otherwise. What is undefined is nan.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from netsynth._typing import BoolArray, FloatArray

__all__ = [
    "METHOD_ERROR",
    "UNKNOWN_ALLOCATION",
    "LogRatio",
    "MethodError",
    "RouteFamily",
    "at_risk_by_follow_up",
    "from_expected",
    "from_intervals",
    "from_landmarks",
    "from_log_rank",
    "from_medians",
    "from_statistic",
    "information_from_chi2",
    "information_of_arms",
    "information_of_patients",
    "information_of_total",
    "median_variance",
    "method_variance",
    "strongest_log_rank",
]

RouteFamily = Literal[
    "direct",
    "observed minus expected",
    "events by arm",
    "events and patients",
    "events",
    "numbers at risk",
    "follow-up",
    "restricted means",
    "observed over expected",
    "landmarks",
    "medians",
]


class LogRatio(NamedTuple):
    """A log hazard ratio and its sampling variance, arrays of one shape."""

    log_hr: FloatArray
    variance: FloatArray


class MethodError(NamedTuple):
    r"""Mean square of the difference between a way and Cox's fit of the same patients.

    :math:`\varepsilon^2 = b \theta^2 + c \theta^4 + d v + e \theta^4 L^2` with the log hazard ratio :math:`\theta`, its
    sampling variance v, and L the logarithm of the ratio of the group sizes.
    """

    b: float
    c: float
    d: float
    e: float


#: Fitted to simulated trials by ``validation/hazard_ratio_routes.py``. "direct" are Cox's fit itself and what is
#: printed.
METHOD_ERROR: Final[Mapping[RouteFamily, MethodError]] = MappingProxyType(
    {
        "direct": MethodError(0.0, 0.0, 0.0, 0.0),
        "observed minus expected": MethodError(0.0, 0.0016, 0.0, 0.0654),
        "observed over expected": MethodError(0.0, 0.004, 0.0, 0.0),
        "events by arm": MethodError(0.0, 0.0011, 0.0, 0.0),
        "events and patients": MethodError(0.0, 0.0018, 0.0, 0.0283),
        "events": MethodError(0.0, 0.0018, 0.0, 0.2025),
        "numbers at risk": MethodError(0.0178, 0.0, 0.2606, 0.0114),
        "follow-up": MethodError(0.0175, 0.0, 0.2609, 0.011),
        "landmarks": MethodError(0.0, 0.0008, 0.2835, 0.0001),
        "medians": MethodError(0.1253, 0.0, 0.2715, 0.0004),
        "restricted means": MethodError(0.0, 0.0052, 0.2438, 0.0089),
    }
)
#: Ratio of the group sizes where they are not known.
UNKNOWN_ALLOCATION: Final = 2.0


def method_variance(
    family: RouteFamily,
    log_hr: npt.ArrayLike,
    variance: npt.ArrayLike,
    allocation: npt.ArrayLike = UNKNOWN_ALLOCATION,
) -> FloatArray:
    """Mean square of the difference from Cox's fit of the same patients, by `METHOD_ERROR`.

    Parameters
    ----------
    family : str
        A name of `METHOD_ERROR`.
    log_hr, variance : array_like of float
        As the way gives them.
    allocation : array_like of float
        Ratio of the group sizes, either way round.
    """
    b, c, d, e = METHOD_ERROR[family]
    theta, v, ratio = _arrays(log_hr, variance, allocation)
    return np.asarray(b * theta**2 + theta**4 * (c + e * np.log(ratio) ** 2) + d * v)


def _arrays(*values: npt.ArrayLike) -> tuple[FloatArray, ...]:
    return tuple(np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in values)))


# --- the log-rank test and the events


def from_expected(
    observed: npt.ArrayLike,
    other_observed: npt.ArrayLike,
    expected: npt.ArrayLike,
    other_expected: npt.ArrayLike,
) -> LogRatio:
    r"""Ratio of observed over expected events, :math:`\ln[(O_1/E_1)/(O_0/E_0)]`, variance :math:`1/E_1 + 1/E_0` [1]_.

    Undefined where a group has no event. It is nearer to 0 than Cox's estimate when the groups differ much, since the
    expected events are those without a difference.

    References
    ----------
    .. [1] Tierney JF, Stewart LA, Ghersi D, Burdett S, Sydes MR (2007). Practical methods for incorporating
       summary time-to-event data into meta-analysis. Trials 8:16. https://doi.org/10.1186/1745-6215-8-16

    Examples
    --------
    Freireich's trial of 6-MP: 9 relapses with 19.25 expected, against 21 with 10.75 expected:

    >>> found = from_expected(9, 21, 19.2505, 10.7495)
    >>> np.exp(found.log_hr).round(4).item(), found.variance.round(4).item()
    (0.2393, 0.145)
    """
    o1, o0, e1, e0 = _arrays(observed, other_observed, expected, other_expected)
    known = (o1 > 0) & (o0 > 0) & (e1 > 0) & (e0 > 0)
    o1, o0, e1, e0 = (np.where(known, x, np.nan) for x in (o1, o0, e1, e0))
    return LogRatio(np.log(o1 / e1) - np.log(o0 / e0), 1.0 / e1 + 1.0 / e0)


def from_log_rank(excess: npt.ArrayLike, information: npt.ArrayLike) -> LogRatio:
    r"""Peto's estimate :math:`(O - E) / V` with variance :math:`1/V`, one step from no difference.

    Parameters
    ----------
    excess : array_like of float
        Observed less expected events of group 1.
    information : array_like of float
        The log-rank variance V of that difference, positive.

    Examples
    --------
    >>> found = from_log_rank(9 - 19.2505, 6.256961)
    >>> np.exp(found.log_hr).round(4).item(), found.variance.round(4).item()
    (0.1943, 0.1598)
    """
    difference, v = _arrays(excess, information)
    v = np.where(v > 0, v, np.nan)
    return LogRatio(difference / v, 1.0 / v)


def from_statistic(z: npt.ArrayLike, information: npt.ArrayLike) -> LogRatio:
    r""":math:`z / \sqrt V` with variance :math:`1/V` from the signed statistic of the log-rank test.

    Examples
    --------
    A log-rank p of 0.07 in favour of group 1, with 483 events:

    >>> found = from_statistic(-1.8119, information_of_total(483))
    >>> np.exp(found.log_hr).round(3).item()
    0.848
    """
    statistic, v = _arrays(z, information)
    v = np.where(v > 0, v, np.nan)
    return LogRatio(statistic / np.sqrt(v), 1.0 / v)


def information_of_arms(n_events: npt.ArrayLike, other_n_events: npt.ArrayLike) -> FloatArray:
    r"""Log-rank variance from the events of each group, :math:`O_1 O_0 / (O_1 + O_0)`; nan where a group has none."""
    o1, o0 = _arrays(n_events, other_n_events)
    known = (o1 > 0) & (o0 > 0)
    return np.where(known, o1 * o0 / np.where(known, o1 + o0, 1.0), np.nan)


def information_of_patients(
    n_events: npt.ArrayLike, n_total: npt.ArrayLike, other_n_total: npt.ArrayLike
) -> FloatArray:
    r"""Log-rank variance from all events and the size of the groups, :math:`D n_1 n_0 / (n_1 + n_0)^2`."""
    d, n1, n0 = _arrays(n_events, n_total, other_n_total)
    return np.asarray(d * n1 * n0 / (n1 + n0) ** 2)


def information_of_total(n_events: npt.ArrayLike) -> FloatArray:
    """Log-rank variance from all events, D / 4: as much as there can be, with groups of one size."""
    return np.asarray(0.25 * np.asarray(n_events, dtype=np.float64))


def information_from_chi2(excess: npt.ArrayLike, chi2: npt.ArrayLike) -> FloatArray:
    r"""Log-rank variance from O - E and the statistic of the test, :math:`(O - E)^2 / \chi^2`."""
    difference, statistic = _arrays(excess, chi2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(statistic > 0, difference**2 / statistic, np.nan)


def strongest_log_rank(n_events: int, n_worse: int, n_other: int) -> float:
    r"""Largest log-rank statistic of so many events, one at a time, when nobody is censored before the last of them.

    All of them are then in the group that does worse: with its share :math:`p_i` of those at risk,
    :math:`\{\sum (1 - p_i)\}^2 / \sum p_i (1 - p_i)`. Once it has died out nothing more is added.

    Parameters
    ----------
    n_events : int
        Events of both groups, at least one.
    n_worse, n_other : int
        Patients of the group that does worse, and of the other.

    Examples
    --------
    One event in a group of one against twenty others; all of ten die, none of ten others:

    >>> round(strongest_log_rank(1, 1, 20), 6), round(strongest_log_rank(10, 10, 10), 2)
    (20.0, 21.84)
    """
    left = n_worse - np.arange(min(n_events, n_worse), dtype=np.float64)
    share = left / (left + n_other)
    return float((1.0 - share).sum() ** 2 / (share * (1.0 - share)).sum())


# --- curves without their patients


def at_risk_by_follow_up(
    time: npt.ArrayLike,
    survival: npt.ArrayLike,
    n_total: npt.ArrayLike,
    shortest: npt.ArrayLike,
    longest: npt.ArrayLike,
) -> FloatArray:
    r"""Numbers at risk when nobody was followed for less than the shortest or more than the longest time.

    Censoring is taken to be even between the two. Of those at risk at the start a of an interval the share
    :math:`\varphi = (b - \max(a, F_{\min}))_+ / (F_{\max} - \max(a, F_{\min}))` is censored by its end b, half of them
    before its events: :math:`d = (R_a - \varphi R_a / 2)(S_a - S_b) / S_a` and
    :math:`R_b = R_a - \varphi R_a - d`. All of them leave, not half.

    Parameters
    ----------
    time : array_like, shape (m,)
        Increasing from 0.
    survival : array_like, shape (..., m)
        1 at time 0.
    n_total, shortest, longest : array_like, shape (...)

    Returns
    -------
    ndarray, shape (..., m)

    Examples
    --------
    A thousand patients with a hazard of 0.1, followed for 2 to 10 years; the numbers at risk are in truth 648, 503, 379
    and 274 at 3 to 6 years:

    >>> t = np.arange(7.0)
    >>> at_risk_by_follow_up(t, np.exp(-0.1 * t), 1000, 2, 10)[3:].round().tolist()
    [643.0, 495.0, 369.0, 264.0]
    """
    t, s = np.asarray(time, dtype=np.float64), np.asarray(survival, dtype=np.float64)
    n, low, high = _arrays(n_total, shortest, longest)
    at_risk = [np.broadcast_to(n, np.broadcast_shapes(n.shape, s.shape[:-1])).astype(np.float64)]
    for j in range(1, t.size):
        start = np.maximum(t[j - 1], low)
        room = high - start
        share = np.where(room > 0, np.clip((t[j] - start) / np.where(room > 0, room, 1.0), 0.0, 1.0), 1.0)
        before, after = s[..., j - 1], s[..., j]
        risk = np.where(before > 0, (before - after) / np.where(before > 0, before, 1.0), 0.0)
        now = at_risk[-1]
        at_risk.append(np.maximum(now * (1.0 - share - (1.0 - 0.5 * share) * risk), 0.0))
    return np.stack(at_risk, axis=-1)


class _Interval(NamedTuple):
    """Events and effective numbers at risk of both groups over intervals."""

    events: FloatArray
    at_risk: FloatArray

    @property
    def is_complete(self) -> BoolArray:
        """Whether both groups have events."""
        return np.asarray((self.events > 0).all(axis=0))


def _between(start: FloatArray, end: FloatArray) -> _Interval:
    """From survival and numbers at risk at two times; arrays of shape (group, quantity, ...)."""
    before, n_before, after, n_after = start[:, 0], start[:, 1], end[:, 0], end[:, 1]
    alive = (before > 0) & (n_before > 0)
    left = np.where(alive, after / np.where(alive, before, 1.0), 1.0)
    at_risk = np.where(alive, (n_before + n_after) / (1.0 + left), 0.0)
    return _Interval(at_risk * (1.0 - left), at_risk)


def from_intervals(
    survival: npt.ArrayLike,
    n_at_risk: npt.ArrayLike,
    other_survival: npt.ArrayLike,
    other_n_at_risk: npt.ArrayLike,
) -> LogRatio:
    r"""Log hazard ratios of the intervals between times, pooled by inverse variance [1]_, [2]_.

    With half of the censorings of an interval before its events, :math:`\bar R = (R_a + R_b) / (1 + S_b / S_a)` are at
    risk and :math:`d = \bar R (1 - S_b / S_a)` have the event. An interval gives
    :math:`\ln[(d_1 / \bar R_1) / (d_0 / \bar R_0)]` with the variance
    :math:`1/d_1 - 1/\bar R_1 + 1/d_0 - 1/\bar R_0`. One without an event in a group is merged with what follows, at the
    end with what went before.

    Parameters
    ----------
    survival, n_at_risk, other_survival, other_n_at_risk : array_like, shape (..., m)
        At the ends of the intervals, from time 0 on, of group 1 and of group 0.

    Returns
    -------
    LogRatio
        Arrays of shape (...); nan where no interval has events in both groups.

    References
    ----------
    .. [1] Parmar MKB, Torri V, Stewart L (1998). Extracting summary statistics to perform meta-analyses of the
       published literature for survival endpoints. Stat Med 17:2815-2834.
       https://doi.org/10.1002/(SICI)1097-0258(19981230)17:24<2815::AID-SIM110>3.0.CO;2-8
    .. [2] Tierney JF, Stewart LA, Ghersi D, Burdett S, Sydes MR (2007). Practical methods for incorporating
       summary time-to-event data into meta-analysis. Trials 8:16. https://doi.org/10.1186/1745-6215-8-16

    Examples
    --------
    >>> found = from_intervals([1, 0.9, 0.8], [100, 85, 70], [1, 0.8, 0.6], [100, 75, 50])
    >>> np.exp(found.log_hr).round(3).item()
    0.472
    """
    s1, n1, s0, n0 = _arrays(survival, n_at_risk, other_survival, other_n_at_risk)
    at = np.stack([np.stack([s1, n1]), np.stack([s0, n0])])  # group, quantity, ..., time
    weight = np.zeros(s1.shape[:-1])
    total = np.zeros(s1.shape[:-1])
    held_start, held, start = at[..., 0], at[..., 0], at[..., 0]

    def add(interval: _Interval, where: BoolArray | np.bool_) -> None:
        nonlocal weight, total
        where = where & interval.is_complete  # which the first one held, from time 0 to time 0, is not
        d, r = (np.where(where, x, 1.0) for x in interval)
        spread = (1.0 / d - 1.0 / r).sum(axis=0)
        usable = where & (spread > 0)
        w = np.where(usable, 1.0 / np.where(usable, spread, 1.0), 0.0)
        log_ratio = np.log(d[0] / r[0]) - np.log(d[1] / r[1])
        weight, total = weight + w, total + w * log_ratio

    for j in range(1, at.shape[-1]):
        end = at[..., j]
        done = _between(start, end).is_complete
        add(_between(held_start, held), done)
        held_start, held = np.where(done, start, held_start), np.where(done, end, held)
        start = np.where(done, end, start)
    last = at[..., -1]
    has_rest = (_between(start, last).events > 0).any(axis=0)
    add(_between(held_start, np.where(has_rest, last, held)), np.True_)
    known = weight > 0
    weight = np.where(known, weight, np.nan)
    return LogRatio(total / weight, 1.0 / weight)


def from_landmarks(
    survival: npt.ArrayLike,
    variance: npt.ArrayLike,
    other_survival: npt.ArrayLike,
    other_variance: npt.ArrayLike,
) -> LogRatio:
    r"""Log hazard ratio from survival of both groups at landmarks, if hazards are proportional.

    Each landmark gives :math:`\theta_j = \ln[\ln S_1(t_j) / \ln S_0(t_j)]`. They share events: with :math:`G_j` the
    variance of :math:`\ln S(t_j)`, the covariance at :math:`j \le l` is the sum over groups of
    :math:`G_j / (\ln S_j \ln S_l)`, and the :math:`\theta_j` are combined by generalised least squares. A landmark
    without survival between 0 and 1 in both groups, or without an event since the one before, is left out.

    Parameters
    ----------
    survival, variance, other_survival, other_variance : array_like, shape (..., m)
        Of group 1 and of group 0 in order of time; variances on the scale of probabilities.

    Returns
    -------
    LogRatio
        Arrays of shape (...).

    Examples
    --------
    In remission at 10 weeks in Freireich's trial: 0.753 (standard error 0.0963) and 0.381 (0.1060):

    >>> found = from_landmarks([0.75294], [0.0963**2], [0.38095], [0.1060**2])
    >>> np.exp(found.log_hr).round(4).item(), (found.variance**0.5).round(3).item()
    (0.294, 0.535)
    """
    s1, v1, s0, v0 = _arrays(survival, variance, other_survival, other_variance)
    s, v = np.stack([s1, s0]), np.stack([v1, v0])
    inside: BoolArray = np.asarray(((s > 0) & (s < 1) & (v > 0)).all(axis=0))
    s = np.where(inside, s, 0.5)
    g = np.where(inside, v, 0.0) / s**2
    used, before = [], np.zeros(g.shape[:-1])
    for j in range(g.shape[-1]):  # knowledge of ln S only grows; a landmark that says no more is left out
        more = (
            inside[..., j] & (g[..., j] >= before).all(axis=0) & (g[..., j] > before * (1 + 1e-9)).any(axis=0)
        )
        before = np.where(more, g[..., j], before)
        used.append(more)
    mask = np.stack(used, axis=-1)
    log_s = np.log(s)
    first = np.minimum(g[..., :, None], g[..., None, :])
    both = mask[..., :, None] & mask[..., None, :]
    covariance = np.where(both, (first / (log_s[..., :, None] * log_s[..., None, :])).sum(axis=0), 0.0)
    covariance = covariance + np.where(mask, 0.0, 1.0)[..., None] * np.eye(s.shape[-1])
    theta = np.where(mask, np.log(log_s[0] / log_s[1]), 0.0)
    weights = np.linalg.solve(covariance, np.where(mask, 1.0, 0.0)[..., None])[..., 0]
    information = np.where(mask, weights, 0.0).sum(axis=-1)
    information = np.where(information > 0, information, np.nan)
    return LogRatio((weights * theta).sum(axis=-1) / information, 1.0 / information)


def from_medians(
    median: npt.ArrayLike,
    other_median: npt.ArrayLike,
    log_variance: npt.ArrayLike,
    other_log_variance: npt.ArrayLike,
) -> LogRatio:
    r"""Log hazard ratio :math:`\ln(M_0 / M_1)` if hazards are constant, from medians and the variances of their logs.

    Examples
    --------
    >>> found = from_medians(23, 8, median_variance(9), median_variance(21))
    >>> np.exp(found.log_hr).round(3).item()
    0.348
    """
    m1, m0, v1, v0 = _arrays(median, other_median, log_variance, other_log_variance)
    return LogRatio(np.log(m0 / m1), v1 + v0)


def median_variance(n_events: npt.ArrayLike) -> FloatArray:
    r"""Variance of the logarithm of a Kaplan-Meier median with constant hazard, :math:`1 / (d \ln^2 2)`.

    That is 2.08 / d: twice what a median fitted by an exponential distribution would have, 1 / d.
    """
    return np.asarray(1.0 / (np.asarray(n_events, dtype=np.float64) * np.log(2.0) ** 2))
