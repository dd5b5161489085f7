"""Ways that start from the log-rank test: observed and expected events, or its statistic with the events."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from netsynth._typing import FloatArray
from netsynth.data.number import ReportedNumber
from netsynth.hazard_routes.figures import TwoGroups
from netsynth.hazard_routes.route import (
    LOG_RANK,
    Found,
    Function,
    Input,
    as_printed,
    informations,
    made,
    no_log_rank,
    of_events,
    pvalue_input,
    said,
    sharp,
    two_sided,
)
from netsynth.kernels import hazard_ratio_routes as routes
from netsynth.kernels.hazard_ratio_routes import LogRatio
from netsynth.kernels.pvalues import z_from_pvalue
from netsynth.results.hazard_ratio import HazardRatioRoute, MissedRoute, RouteName, Step

_MORE_GROUPS: Final = "the sums of O and E differ, as in a test of more groups"
_FROM_TESTS: Final[Mapping[str, tuple[RouteName, ...]]] = MappingProxyType(
    {
        "chi-squared": (
            "chi-squared and events by arm",
            "chi-squared, events and patients",
            "chi-squared and events",
        ),
        "p-value": ("p-value and events by arm", "p-value, events and patients", "p-value and events"),
    }
)


def from_log_rank(given: TwoGroups) -> Found:
    """Observed over expected, and observed less expected with its variance."""
    observed, expected, excess = given.observed, given.expected, given.excess
    expected_words = f"O {observed} with E {expected}"
    if observed is None or expected is None:
        yield MissedRoute("observed over expected", "observed and expected events are not printed")
    elif min(observed.exposed.value, observed.reference.value) == 0:
        groups = zip((given.exposed, given.reference), observed, strict=True)
        empty = next(name for name, o in groups if o.value == 0)
        yield MissedRoute(
            "observed over expected", f"there was no event in {empty}, so its logarithm is undefined"
        )
    elif min(expected.exposed.value, expected.reference.value) == 0:
        groups = zip((given.exposed, given.reference), expected, strict=True)
        empty = next(name for name, e in groups if e.value == 0)
        yield MissedRoute(
            "observed over expected",
            f"the expected events of {empty} are rounded to 0, so the ratio is undefined",
        )
    else:
        over = [o.value / e.value for o, e in zip(observed, expected, strict=True)]
        yield made(
            "observed over expected",
            given,
            routes.from_expected,
            [*(sharp(o.value) for o in observed), *map(as_printed, expected)],
            printed=expected_words,
            steps=[Step(f"O / E of {given.exposed}", over[0]), Step(f"O / E of {given.reference}", over[1])],
            assumptions=(LOG_RANK, "the effect is small: expected events are those without one"),
        )
    name: RouteName = "observed minus expected"
    if given.has_more_groups:
        yield MissedRoute(name, _MORE_GROUPS)
        return
    if excess is not None:
        start, shown, inputs = f"O - E {excess.bare}", excess.value, [as_printed(excess)]
    elif observed is not None and expected is not None:
        o, e = observed.exposed, expected.exposed
        start, shown = expected_words, o.value - e.value
        inputs = [Input(shown, o.value - e.interval.upper, o.value - max(e.interval.lower, 0.0))]
    else:
        yield MissedRoute(name, "O - E is not printed")
        return
    if given.information is not None and given.information.value > 0:
        scale, words, steps = given.information, f"V {given.information.bare}", []
        function: Function = routes.from_log_rank
    elif given.chi2 is not None and given.chi2.value > 0 and shown != 0:
        scale, words = given.chi2, f"chi-squared {given.chi2.bare}"
        steps = [Step("V from it", float(routes.information_from_chi2(shown, given.chi2.value)))]

        def function(x: FloatArray, chi2: FloatArray) -> LogRatio:
            return routes.from_log_rank(x, routes.information_from_chi2(x, chi2))

    elif given.information is not None:
        yield MissedRoute(name, "the variance of O - E is rounded to 0, so the ratio is undefined")
        return
    else:
        yield MissedRoute(name, "neither the variance of O - E nor a chi-squared above 0 is printed")
        return
    yield made(
        name,
        given,
        function,
        [*inputs, as_printed(scale)],
        printed=f"{start}, {words}",
        steps=[Step(f"O - E of {given.exposed}", shown), *steps],
        assumptions=("the effect is moderate: one step from none",),
    )


def from_statistics(given: TwoGroups) -> Found:
    """Chi-squared or p-value with events."""
    for kind, number in (("chi-squared", given.chi2), ("p-value", given.pvalue)):
        why = _no_statistic(given, kind, number)
        for name, v, words in informations(given, _FROM_TESTS[kind]):
            if why or isinstance(v, str) or number is None:
                yield MissedRoute(name, why or str(v))
            elif not given.direction and not (kind == "chi-squared" and number.value == 0):
                yield MissedRoute(name, given.no_side)
            else:
                yield _signed(name, given, number, v, words)


def _no_statistic(given: TwoGroups, kind: str, number: ReportedNumber | None) -> str:
    if number is None:
        return f"no {kind}{' of the log-rank test' if kind == 'chi-squared' else ''} is printed"
    if given.has_more_groups and (kind == "chi-squared" or given.test in ("log-rank", "not stated")):
        return _MORE_GROUPS
    if kind == "chi-squared":
        return ""  # which is the log-rank test's by what the argument is called
    if given.test != "log-rank":
        why = no_log_rank(
            given, "its p-value in a formula of the log-rank test would understate the variance"
        )
        if why:
            return why
    if number.qualifier in (">", ">="):
        return f"a p-value of {number} bounds the ratio on neither side"
    return ""


def _signed(
    name: RouteName, given: TwoGroups, number: ReportedNumber, v: float, words: str
) -> HazardRatioRoute:
    sign, is_chi2 = float(given.direction), number is given.chi2
    at, is_bound = (as_printed(number), False) if is_chi2 else pvalue_input(number)
    if given.direction:
        at = at._replace(low=max(at.low, 0.0))
    else:  # a chi-squared of 0, which is the same ratio on either side
        sign, at = 1.0, at._replace(low=-at.high)

    def z_of(x: FloatArray) -> FloatArray:
        if is_chi2:
            return np.asarray(sign * np.copysign(np.sqrt(np.abs(x)), x))
        return np.asarray(sign * z_from_pvalue(two_sided(x, given.one_sided)))

    shown = f"chi-squared {number.bare}" if is_chi2 else said(number)
    whose = f", {given.exposed} {given.side}" if given.direction else ""
    side = f"{'one' if given.one_sided else 'two'}-sided" if not is_chi2 else "on 1 df"
    return made(
        name,
        given,
        lambda x: routes.from_statistic(z_of(x), v),
        [at],
        printed=", ".join(filter(None, (shown, words, given.side))),
        steps=[
            Step(f"z of {shown}, {side}{whose}", float(z_of(np.asarray(at.value)))),
            Step(f"V of the log-rank test from {words}", v),
        ],
        assumptions=of_events(name),
        bound="ratio" if is_bound else "",
    )
