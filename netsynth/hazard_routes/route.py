"""One way made from its formula: at the printed numbers, and over all that rounding leaves open."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from netsynth import _format
from netsynth._typing import FloatArray, Interval
from netsynth.data.number import ReportedNumber
from netsynth.hazard_routes.figures import Counts, TwoGroups
from netsynth.hazard_routes.quotes import verbatim
from netsynth.kernels import hazard_ratio_routes as routes
from netsynth.kernels.hazard_ratio_routes import LogRatio
from netsynth.kernels.log_hazard_ratio import rounding_variance
from netsynth.results.hazard_ratio import ROUTES, Bound, HazardRatioRoute, MissedRoute, RouteName, Step

FROM_RATIO: Final[tuple[RouteName, ...]] = (
    "confidence interval",
    "upper limit",
    "lower limit",
    "p-value",
    "bound on the p-value",
    "ratio and events by arm",
    "ratio, events and patients",
    "ratio and events",
)
PROPORTIONAL: Final = "hazards are proportional"
LOG_RANK: Final = "the test is the log-rank test, without adjustment and strata"
Function: TypeAlias = Callable[..., LogRatio]
Found: TypeAlias = Iterator[HazardRatioRoute | MissedRoute]


class Input(NamedTuple):
    """A number and what it may stand for."""

    value: float
    low: float
    high: float


def as_printed(number: ReportedNumber) -> Input:
    """A printed number with its rounding."""
    return Input(number.value, *number.interval)


def sharp(value: float) -> Input:
    """A number that was not rounded."""
    return Input(value, value, value)


def made(
    name: RouteName,
    given: TwoGroups,
    function: Function,
    inputs: Sequence[Input],
    *,
    printed: str,
    steps: Sequence[Step],
    assumptions: Sequence[str],
    bound: Bound = "",
) -> HazardRatioRoute:
    """The way at the printed numbers, at all corners of their rounding, and with each rounded alone."""

    def at(*values: float | FloatArray) -> tuple[FloatArray, FloatArray]:
        with np.errstate(divide="ignore", invalid="ignore"):
            result = function(*(np.asarray(value, dtype=np.float64) for value in values))
        return np.broadcast_arrays(result.log_hr, result.variance)  # type: ignore[return-value]

    value = [each.value for each in inputs]
    theta, variance = (float(x) for x in at(*value))
    wide = [i for i, each in enumerate(inputs) if each.low < each.high]
    corners = np.tile(np.asarray(value), (2 ** len(wide), 1))
    for row, ends in zip(corners, itertools.product((0, 1), repeat=len(wide)), strict=True):
        row[wide] = [inputs[i][1 + end] for i, end in zip(wide, ends, strict=True)]
    thetas, variances = at(*corners.T)
    rounding = 0.0
    for i in wide:
        low, high = (at(*value[:i], end, *value[i + 1 :])[0] for end in inputs[i][1:])
        # infinite for a bound, which is no rounded number
        rounding += float(np.nan_to_num((high - low) ** 2 / 12.0, posinf=0.0))
    if name in FROM_RATIO and given.ratio is not None:
        rounding = float(rounding_variance(given.ratio.value, 10.0**-given.ratio.decimals))
    allocation = routes.UNKNOWN_ALLOCATION if math.isnan(given.allocation) else given.allocation
    return HazardRatioRoute(
        name=name,
        printed=printed,
        verbatim=verbatim(name, given.quotes),
        log_hr=theta,
        variance=variance,
        rounding_variance=rounding,
        method_variance=float(routes.method_variance(ROUTES[name], theta, variance, allocation)),
        log_hr_interval=_span(thetas),
        variance_interval=_span(variances),
        is_adjusted=name in FROM_RATIO and given.adjusted in ("minimal", "full"),
        bound=bound,
        steps=(*steps, Step("log hazard ratio", theta), Step("its variance of sampling", variance)),
        assumptions=tuple(assumptions),
    )


def _span(values: FloatArray) -> Interval:
    known = values[~np.isnan(values)]
    return Interval(float(known.min()), float(known.max())) if known.size else Interval(math.nan, math.nan)


# --- p-values and limits


def pvalue_input(p: ReportedNumber) -> tuple[Input, bool]:
    """A p-value, at its bound if it is one; "0.000" is one too."""
    low, high = max(p.interval.lower, 0.0), min(p.interval.upper, 1.0)
    is_bound = p.qualifier in ("<", "<=") or (p.is_exact and p.value == 0)
    return (Input(high, 0.0, high), True) if is_bound else (Input(p.value, low, high), False)


def two_sided(p: float | FloatArray, one_sided: bool) -> FloatArray:
    """The two-sided p-value of the same statistic."""
    at = np.asarray(p, dtype=np.float64)
    return 2.0 * np.minimum(at, 1.0 - at) if one_sided else at


def said(p: ReportedNumber) -> str:
    """A p-value with its sign."""
    return f"p {p.bare.removesuffix(p.text) or '='} {p.text}"


def limit(end: ReportedNumber | None) -> ReportedNumber | None:
    """A limit that has a logarithm."""
    return end if end is not None and end.is_exact and end.value > 0 else None


# --- events


def informations(
    given: TwoGroups, names: Sequence[RouteName]
) -> Iterator[tuple[RouteName, float | str, str]]:
    """V of the log-rank test from events by arm, events and patients, all events; or why not, and words for it.

    Where a group is known to have had no event its ratio is 0 or infinite, which all events together would only hide.
    """
    events, patients, total = given.events, given.patients, given.n_events
    no_events = given.no_events or ("" if events is None else _empty(given, events))
    v: float | str = "the events of each group are not printed"
    if events is not None:
        v = float(routes.information_of_arms(*events))
    yield names[0], no_events or v, f"{events} events"
    v = "all events and the patients of each group are not both printed"
    if total is not None and patients is not None:
        v = float(routes.information_of_patients(total, *patients)) if total else "there was no event"
    yield names[1], no_events or v, f"{_plural(total)} among {patients} patients"
    v = "the number of events is not printed"
    if total is not None:
        v = float(routes.information_of_total(total)) if total else "there was no event"
    yield names[2], no_events or v, _plural(total)


def _plural(total: int | None) -> str:
    return "" if total is None else _format.plural(total, "event")


def _empty(given: TwoGroups, events: Counts) -> str:
    if not events.total:
        return "there was no event"
    for name, n in zip((given.exposed, given.reference), events, strict=True):
        if n == 0:
            return f"there was no event in {name}, so the variance from events is undefined"
    return ""


def of_events(name: RouteName) -> tuple[str, ...]:
    """What a variance from events takes for granted."""
    last = {
        "arm": "the effect is moderate and censoring alike",
        "patients": "patients at risk stay in the proportion of the groups",
        "events": "the groups are of one size and stay so",
    }
    return (LOG_RANK, last[name.split()[-1]])


def no_log_rank(given: TwoGroups, why: str) -> str:
    """Why a formula of the log-rank test does not apply; empty when it does."""
    if given.adjusted in ("minimal", "full"):
        return f"adjusted for covariates: {why}"
    if given.adjusted == "not stated":
        return "the source does not say whether the analysis is adjusted"
    return ""
