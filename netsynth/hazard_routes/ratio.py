"""Ways that start from a printed ratio: its interval, its p-value, or events for its variance."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from netsynth._typing import FloatArray
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.hazard_routes.figures import TwoGroups
from netsynth.hazard_routes.route import (
    FROM_RATIO,
    Found,
    as_printed,
    informations,
    limit,
    made,
    no_log_rank,
    of_events,
    pvalue_input,
    said,
    two_sided,
)
from netsynth.kernels.hazard_ratio_routes import LogRatio
from netsynth.kernels.log_hazard_ratio import se_from_pvalue, se_from_width
from netsynth.kernels.pvalues import z_from_pvalue
from netsynth.results.hazard_ratio import MissedRoute, RouteName, Step

#: Above this a printed p-value leaves z so uncertain that a standard error from it means nothing.
LARGEST_PVALUE: Final = 0.9
_SAME: Final = "the p-value is of the test that goes with the ratio"
_BY_P: Final[tuple[RouteName, RouteName]] = ("p-value", "bound on the p-value")


def from_ratio(given: TwoGroups) -> Found:
    """Its interval, its p-value, events."""
    ratio = given.ratio
    if ratio is None or not math.isfinite(given.log_ratio):
        why = (
            "no hazard ratio is printed"
            if ratio is None
            else f"the ratio {ratio} is no exact positive number"
        )
        yield from (MissedRoute(name, why) for name in FROM_RATIO)
        return
    sign = -1.0 if given.is_inverted else 1.0
    turned = [Step("the printed ratio is for the other group; its logarithm there", -given.log_ratio)]
    steps = turned if given.is_inverted else []
    yield from _from_interval(given, ratio, sign, steps)
    yield from _from_ratio_and_p(given, ratio, sign, steps)
    for name, v, words in informations(given, FROM_RATIO[5:]):
        if isinstance(v, str):
            yield MissedRoute(name, v)
            continue
        refused = no_log_rank(given, "the variance from events is that of a ratio without adjustment")
        if refused:
            yield MissedRoute(name, refused)
            continue
        yield made(
            name,
            given,
            lambda hr, v=v: LogRatio(sign * np.log(hr), np.full(np.shape(hr), 1.0 / v)),
            [as_printed(ratio)],
            printed=f"HR {ratio}, {words}",
            steps=[*steps, Step(f"V of the log-rank test from {words}", v)],
            assumptions=of_events(name),
        )


def _from_interval(given: TwoGroups, ratio: ReportedNumber, sign: float, steps: Sequence[Step]) -> Found:
    ci, names = given.ci, FROM_RATIO[:3]
    low, high = (None, None) if ci is None else (limit(ci.lower), limit(ci.upper))
    level = 0.95 if ci is None else ci.level or 0.95
    theta = math.log(ratio.value)
    choices: tuple[tuple[bool, Callable[..., FloatArray], list[ReportedNumber | None]], ...] = (
        (_both(low, high), lambda _, a, b: np.log(b) - np.log(a), [low, high]),
        (
            high is not None and math.log(high.value) > theta,
            lambda hr, b: 2 * (np.log(b) - np.log(hr)),
            [high],
        ),
        (low is not None and math.log(low.value) < theta, lambda hr, a: 2 * (np.log(hr) - np.log(a)), [low]),
    )
    used = next((name for name, choice in zip(names, choices, strict=True) if choice[0]), None)
    for name, (_, width, ends) in zip(names, choices, strict=True):
        if name != used:
            yield MissedRoute(name, _no_limit(ci, used))
            continue
        numbers = [each for each in ends if each is not None]
        at = width(ratio.value, *(each.value for each in numbers))
        half = "width" if len(numbers) == 2 else "twice the half width"
        yield made(
            name,
            given,
            lambda hr, *ends, width=width: LogRatio(
                sign * np.log(hr), se_from_width(width(hr, *ends), level) ** 2
            ),
            [as_printed(ratio), *map(as_printed, numbers)],
            printed=f"HR {ratio} ({100 * level:g}% CI {ci})",
            steps=[*steps, Step(f"{half} of the interval of the logarithm", float(at))],
            assumptions=("the interval is Wald's, symmetric for the logarithm",),
        )


def _both(low: ReportedNumber | None, high: ReportedNumber | None) -> bool:
    return low is not None and high is not None and low.value < high.value


def _no_limit(ci: ReportedInterval | None, used: RouteName | None) -> str:
    if ci is None:
        return "no confidence interval is printed"
    return f"the interval {ci} has none that could be used" if used is None else f"the {used} is used"


def _from_ratio_and_p(given: TwoGroups, ratio: ReportedNumber, sign: float, steps: Sequence[Step]) -> Found:
    p = given.pvalue
    why = _no_se(given, p)
    if p is None or why:
        yield from (MissedRoute(name, why) for name in _BY_P)
        return
    at, is_bound = pvalue_input(p)
    z = float(z_from_pvalue(two_sided(at.value, given.one_sided)))
    yield MissedRoute(_BY_P[not is_bound], f"the p-value is {'a bound' if is_bound else 'no bound'}")
    yield made(
        _BY_P[is_bound],
        given,
        lambda hr, q: LogRatio(
            sign * np.log(hr), se_from_pvalue(np.log(hr), two_sided(q, given.one_sided)) ** 2
        ),
        [as_printed(ratio), at],
        printed=f"HR {ratio}, {said(p)}",
        steps=[*steps, Step(f"size of z at {said(p)}", z)],
        assumptions=(_SAME,),
        bound="standard error" if is_bound else "",
    )


def _no_se(given: TwoGroups, p: ReportedNumber | None) -> str:
    """Why a ratio and this p-value do not give a standard error."""
    if p is None:
        return "no p-value is printed"
    if given.test == "log-rank" and given.adjusted in ("minimal", "full"):
        return "the p-value is of the log-rank test, and the ratio is adjusted"
    at, is_bound = pvalue_input(p)
    if not is_bound and not p.is_exact:
        return f"a p-value of {p} sets no upper bound to its standard error"
    if float(two_sided(at.value, given.one_sided)) > LARGEST_PVALUE:
        return f"a p-value of {p} is too near 1 to tell its standard error"
    return "a ratio of 1 with a p-value does not tell its standard error" if given.log_ratio == 0 else ""
