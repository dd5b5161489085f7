"""Ways that start from survival: curves with numbers at risk, landmarks, restricted means, medians."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from netsynth import _format
from netsynth._typing import FloatArray, IntArray, Interval
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.hazard_routes.figures import CurvePoints, TwoGroups
from netsynth.hazard_routes.route import (
    PROPORTIONAL,
    Found,
    Function,
    as_printed,
    informations,
    limit,
    made,
    sharp,
)
from netsynth.kernels import hazard_ratio_routes as routes
from netsynth.kernels.hazard_ratio_routes import LogRatio
from netsynth.kernels.log_hazard_ratio import se_from_width
from netsynth.results.hazard_ratio import HazardRatioRoute, MissedRoute, RouteName, Step

#: An interval in which more have the event says little of proportions of hazards.
MOST_EVENTS: Final = 0.2
_FROM_CURVES: Final[tuple[RouteName, ...]] = ("numbers at risk", "follow-up", "landmarks")


def from_curves(given: TwoGroups) -> Found:
    """Numbers at risk, follow-up and landmarks."""
    points = given.curves
    if points is None:
        for name in _FROM_CURVES:
            yield MissedRoute(name, given.apart or "no survival of both groups is given")
        return
    yield _by_intervals(given, points)
    yield _by_follow_up(given, points)
    if given.arms is not None:
        yield MissedRoute("landmarks", "the whole curves are used")
        return
    at = 1 + np.flatnonzero(np.isfinite(points.variance[:, 1:]).all(axis=0))

    def function(*s: FloatArray) -> LogRatio:
        variance = points.variance[:, at]
        return routes.from_landmarks(_columns(s[: at.size]), variance[0], _columns(s[at.size :]), variance[1])

    if not at.size or not np.isfinite(function(*points.survival[:, at].ravel()).log_hr):
        yield MissedRoute("landmarks", _no_landmark(given, points))
        return
    steps = [
        Step(f"log hazard ratio at {_format.shortest(t, 2)}", math.log(math.log(a) / math.log(b)))
        for t, (a, b) in zip(points.time[at].tolist(), points.survival[:, at].T.tolist(), strict=True)
        if 0 < a < 1 and 0 < b < 1
    ]
    imputed = ("half of the survivors are still under observation",) if points.is_imputed else ()
    yield _curved("landmarks", given, points, function, at, steps, (PROPORTIONAL, *imputed))


def _no_landmark(given: TwoGroups, points: CurvePoints) -> str:
    """What is wrong with the landmarks when none can be used."""
    survival = points.survival[:, 1:]
    inside = (survival > 0) & (survival < 1)
    names = (given.exposed, given.reference)
    for name, s, is_inside in zip(names, survival, inside, strict=True):
        if not is_inside.any():
            found = _format.listing(f"{100 * x:g}%" for x in np.unique(s[np.isfinite(s)]))
            when = "the only common time" if s.size == 1 else f"all {s.size} common times"
            return f"survival of {name} is {found} at {when}, so that the ratio is undefined"
    both = inside.all(axis=0)
    if not both.any():
        return "at no time is survival of both groups between 0% and 100%"
    for name, variance in zip(names, points.variance[:, 1:], strict=True):
        if not np.isfinite(variance[both]).any():
            return f"survival of {name} has neither an interval nor a number of patients beside it"
    return "at no time has survival of both groups an interval or a number of patients beside it"


def _columns(values: Sequence[FloatArray]) -> FloatArray:
    return np.stack(np.broadcast_arrays(*values), axis=-1)


def _curved(
    name: RouteName,
    given: TwoGroups,
    points: CurvePoints,
    function: Function,
    at: IntArray,
    steps: Sequence[Step],
    assumptions: Sequence[str],
) -> HazardRatioRoute:
    """A way through survival at several times; rounding of each taken alone, since corners would be too many."""
    s, half = points.survival[:, at].ravel(), points.half_width[:, at].ravel()
    found = made(
        name,
        given,
        function,
        [sharp(x) for x in s.tolist()],
        printed=f"{points.words} at {_format.plural(int((points.time[at] > 0).sum()), 'time')}",
        steps=steps,
        assumptions=assumptions,
    )
    moves = []
    for i in np.flatnonzero(half > 0):
        ends = [np.clip(s + d * np.eye(s.size)[i] * half[i], 0.0, 1.0) for d in (-1.0, 1.0)]
        with np.errstate(divide="ignore", invalid="ignore"):
            low, high = (float(function(*end).log_hr) for end in ends)
        moves.append(abs(high - low) if math.isfinite(low + high) else 0.0)
    reach = 0.5 * sum(moves)
    return replace(
        found,
        rounding_variance=sum(move**2 for move in moves) / 12.0,
        log_hr_interval=Interval(found.log_hr - reach, found.log_hr + reach),
    )


def _by_intervals(given: TwoGroups, points: CurvePoints) -> HazardRatioRoute | MissedRoute:
    at = np.flatnonzero(np.isfinite(points.n_at_risk).all(axis=0) & np.isfinite(points.survival).all(axis=0))
    if at.size < 2 or at[0] != 0:
        return MissedRoute(
            "numbers at risk", "numbers at risk and of all patients are not printed for both groups"
        )
    n = points.n_at_risk[:, at]
    return _pooled_intervals(
        "numbers at risk",
        given,
        points,
        at,
        lambda *s: routes.from_intervals(_columns(s[: at.size]), n[0], _columns(s[at.size :]), n[1]),
        "half of those censored in an interval are so before its events",
    )


def _by_follow_up(given: TwoGroups, points: CurvePoints) -> HazardRatioRoute | MissedRoute:
    n = points.n_at_risk[:, 0]
    if given.follow_up is None or not np.isfinite(n).all():
        lack = (
            "the shortest and longest follow-up" if given.follow_up is None else "the patients of each group"
        )
        return MissedRoute("follow-up", f"{lack} are not given")
    at = np.flatnonzero(np.isfinite(points.survival).all(axis=0) & (points.time < given.follow_up[1]))
    if at.size < 2:
        return MissedRoute("follow-up", "no survival of both groups is printed within follow-up")
    low, high = given.follow_up

    def function(*s: FloatArray) -> LogRatio:
        pair = (_columns(s[: at.size]), _columns(s[at.size :]))
        left = [
            routes.at_risk_by_follow_up(points.time[at], x, m, low, high)
            for x, m in zip(pair, n, strict=True)
        ]
        return routes.from_intervals(pair[0], left[0], pair[1], left[1])

    even = "censoring is even from the shortest follow-up to the longest"
    return _pooled_intervals("follow-up", given, points, at, function, even)


def _pooled_intervals(
    name: RouteName, given: TwoGroups, points: CurvePoints, at: IntArray, function: Function, assumption: str
) -> HazardRatioRoute | MissedRoute:
    s = points.survival[:, at]
    if not np.isfinite(function(*s.ravel()).log_hr):
        return MissedRoute(name, "no interval has events in both groups")
    with np.errstate(divide="ignore", invalid="ignore"):
        most = float(np.nanmax(1.0 - s[:, 1:] / s[:, :-1]))
    steps = [Step("largest share with the event within an interval", most)]
    wide = (
        (f"intervals in which {100 * most:.0f}% have the event are short enough",)
        if most > MOST_EVENTS
        else ()
    )
    return _curved(name, given, points, function, at, steps, (PROPORTIONAL, assumption, *wide))


# --- means and medians


def from_means(given: TwoGroups) -> Found:
    """A difference of restricted means with events."""
    difference, se = given.mean_difference, given.mean_se
    if difference is None or se is None:
        why = (
            "no difference of restricted means is printed"
            if difference is None
            else "the difference of restricted means has no standard error"
        )
        yield MissedRoute("restricted means", why)
        return
    names: tuple[RouteName, ...] = ("restricted means",) * 3
    ways = [(v, words) for _, v, words in informations(given, names)]
    found = [(v, words) for v, words in ways if not isinstance(v, str)]
    if not found:
        why = "without the number of events" if given.n_events is None else f"{ways[-1][0]}:"
        yield MissedRoute("restricted means", f"{why} it tells the direction and a p-value only")
        return
    v, words = found[0]
    yield made(
        "restricted means",
        given,
        lambda x, e: routes.from_statistic(-x / e, v),
        [as_printed(difference), as_printed(se)],
        printed=f"difference of restricted means {difference.bare} (SE {se.bare}), {words}",
        steps=[Step("z, above 0 when the exposed live shorter", -difference.value / se.value),
               Step(f"V of the log-rank test from {words}", v)],
        assumptions=(PROPORTIONAL, "its z is that of the log-rank test"),
    )  # fmt: skip


def from_medians(given: TwoGroups) -> Found:
    """Medians with their intervals, or with events."""
    if given.medians is None:
        yield MissedRoute("medians", "the medians of both groups are not printed")
        return
    (exposed, reference), cis = given.medians
    for name, value in zip((given.exposed, given.reference), (exposed, reference), strict=True):
        if not value.is_exact:
            yield MissedRoute(
                "medians", f"the median of {name} is {value.bare}: it bounds the ratio on one side only"
            )
            return
    spreads = [_log_median_variance(value, ci) for value, ci in zip((exposed, reference), cis, strict=True)]
    words, assumptions = [f"medians {exposed.bare} and {reference.bare}"], ["hazards are constant"]
    for i, name in enumerate((given.exposed, given.reference)):
        if math.isnan(spreads[i]):
            if given.events is None or given.events[i] == 0:
                lack = (
                    "neither an interval nor events" if given.events is None else "no interval, and no event"
                )
                yield MissedRoute("medians", f"the median of {name} has {lack} beside it")
                return
            spreads[i] = float(routes.median_variance(given.events[i]))
            words.append(f"{given.events[i]} events in {name}")
            assumptions.append(f"the variance of the median of {name} is that with a constant hazard")
        elif ci := cis[i]:
            words.append(f"{100 * (ci.level or 0.95):g}% CI {ci}")
    yield made(
        "medians",
        given,
        lambda m1, m0: routes.from_medians(m1, m0, *spreads),
        [as_printed(exposed), as_printed(reference)],
        printed=", ".join(words),
        steps=[
            Step(f"variance of the logarithm of the median of {given.exposed}", spreads[0]),
            Step(f"and of {given.reference}", spreads[1]),
        ],
        assumptions=assumptions,
    )


def _log_median_variance(value: ReportedNumber, ci: ReportedInterval | None) -> float:
    """From the interval of a median on the log scale; nan without one."""
    low, high = (None, None) if ci is None else (limit(ci.lower), limit(ci.upper))
    level = 0.95 if ci is None else ci.level or 0.95
    if low is not None and high is not None:
        width = math.log(high.value / low.value)
    elif high is not None:
        width = 2 * math.log(high.value / value.value)
    elif low is not None:
        width = 2 * math.log(value.value / low.value)
    else:
        return math.nan
    return float(se_from_width(width, level) ** 2) if width > 0 else math.nan
