"""Which way is taken, and how far the others are from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from netsynth._typing import Interval
from netsynth.hazard_routes.curves import from_curves, from_means, from_medians
from netsynth.hazard_routes.figures import TwoGroups
from netsynth.hazard_routes.log_rank import from_log_rank, from_statistics
from netsynth.hazard_routes.ratio import from_ratio
from netsynth.hazard_routes.route import FROM_RATIO
from netsynth.results.hazard_ratio import ROUTES, Bound, HazardRatioRoute, MissedRoute, RouteName

#: Sums of variances within this factor are ties: method errors are not known better from one trial to the next.
TIE: Final = 1.5
_BOUNDS: Final[tuple[Bound, ...]] = ("", "standard error", "ratio")
#: What the ways start from; of one source the best way counts in the disagreement.
_SOURCES: Final[tuple[tuple[RouteName, ...], ...]] = (
    FROM_RATIO,
    (
        "observed minus expected",
        "chi-squared and events by arm",
        "chi-squared, events and patients",
        "chi-squared and events",
    ),
    ("p-value and events by arm", "p-value, events and patients", "p-value and events"),
    ("reconstructed patients",),
    ("numbers at risk", "follow-up"),
    ("observed over expected",),
    ("restricted means",),
    ("landmarks",),
    ("medians",),
)


def every_route(given: TwoGroups) -> tuple[list[HazardRatioRoute], list[MissedRoute]]:
    """The ways that what was given leaves, and those that it does not, each in the order of `ROUTES`."""
    found = [
        *from_ratio(given),
        *from_log_rank(given),
        *from_statistics(given),
        *from_curves(given),
        *from_means(given),
        *from_medians(given),
    ]
    order = list(ROUTES)
    found.sort(key=lambda each: order.index(each.name))
    made = [each for each in found if isinstance(each, HazardRatioRoute)]
    return made, [each for each in found if isinstance(each, MissedRoute)]


def ranked(routes: Sequence[HazardRatioRoute]) -> list[HazardRatioRoute]:
    """The best first; ways that give another ratio than the printed one last."""
    if not routes:
        return []
    order = list(ROUTES)
    printed = [route for route in routes if route.name in FROM_RATIO]
    is_adjusted = bool(printed) and printed[0].is_adjusted

    def place(route: HazardRatioRoute) -> tuple[bool, int, int]:
        return route.is_adjusted != is_adjusted, _BOUNDS.index(route.bound), order.index(route.name)

    direct = min(routes, key=place)
    floor = 0.0 if direct.bound else direct.variance
    judged = [replace(route, criterion=_criterion(route, floor)) for route in routes]
    least = min(route.criterion for route in judged if place(route)[:2] == place(direct)[:2])

    def rank(route: HazardRatioRoute) -> tuple[bool, int, int, int]:
        asked, bound, directness = place(route)
        steps = math.floor(math.log(max(route.criterion / least, 1.0)) / math.log(TIE) + 1e-9)
        return asked, bound, steps, directness

    return sorted(judged, key=rank)


def _criterion(route: HazardRatioRoute, floor: float) -> float:
    worst = route.variance_interval.upper
    variance = worst if math.isfinite(worst) else route.variance
    return max(variance, floor) + route.rounding_variance + route.method_variance


def distance(route: HazardRatioRoute, chosen: HazardRatioRoute) -> float:
    """In standard deviations of what is not shared; nan for ways that cannot be held together."""
    if route is chosen or route.is_adjusted != chosen.is_adjusted:
        return math.nan
    if route.name in FROM_RATIO and chosen.name in FROM_RATIO:
        return math.nan
    apart = difference(route, chosen)
    parts = (route.method_variance, route.rounding_variance, chosen.method_variance, chosen.rounding_variance)
    spread = math.sqrt(sum(parts))
    return apart / spread if spread > 0 else math.copysign(math.inf, apart) if apart else 0.0


def difference(route: HazardRatioRoute, chosen: HazardRatioRoute) -> float:
    """Difference of the estimates; 0 where rounding, or a bound, allows both to be the same."""
    one, other = _allowed(route), _allowed(chosen)
    if max(one.lower, other.lower) <= min(one.upper, other.upper):
        return 0.0
    return route.log_hr - chosen.log_hr


def _allowed(route: HazardRatioRoute) -> Interval:
    """What rounding or a bound leaves open; the interval of reconstructed patients is neither."""
    if route.bound == "ratio" or route.rounding_variance > 0:
        return route.log_hr_interval
    return Interval(route.log_hr, route.log_hr)


def with_distances(routes: Sequence[HazardRatioRoute]) -> list[HazardRatioRoute]:
    """The same, each with its distance from the first."""
    return [replace(route, distance=distance(route, routes[0])) for route in routes]


def disagreement(routes: Sequence[HazardRatioRoute]) -> tuple[float, int, list[HazardRatioRoute]]:
    """Sum over the best way of each other source, how many, and those ways."""
    if not routes:
        return math.nan, 0, []
    chosen = routes[0]
    others = []
    for source in _SOURCES:
        if chosen.name not in source:
            ways = [r for r in routes if r.name in source and not math.isnan(distance(r, chosen))]
            others += ways[:1]
    total = sum(distance(route, chosen) ** 2 for route in others)
    return (total if others else math.nan), len(others), others
