"""What is inconsistent in what was printed, and what a reader must know of the way that was chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from scipy.special import chdtrc

from netsynth import _format
from netsynth._typing import Interval
from netsynth.errors import (
    BoundaryWarning,
    ImputedVarianceWarning,
    InconsistentReportWarning,
    NetsynthWarning,
    UnusableDataWarning,
)
from netsynth.hazard_routes.choice import difference
from netsynth.hazard_routes.figures import NO_SIDE, TwoGroups
from netsynth.kernels.hazard_ratio_routes import strongest_log_rank
from netsynth.kernels.information import least_se, least_se_of_arms, wald_range
from netsynth.results.hazard_ratio import HazardRatioEstimate, HazardRatioRoute

#: Ways disagree when chance gives so large a distance this seldom, and one is off by this share of a standard error.
SELDOM: Final = 0.01
MATTERS: Final = 0.25


def doubts_of(given: TwoGroups) -> list[str]:
    """What is dubious in a printed interval for the events there are, and in figures of the test beside each other."""
    found = _test_doubts(given)
    total = given.n_events
    ends = _both_limits(given)
    if ends is None or not total or given.ratio is None or given.ci is None:
        return found
    least = float(least_se(total))
    if given.patients is not None and given.adjusted == "none":
        hr = given.ratio.value ** (-1 if given.is_inverted else 1)
        least = max(least, least_se_of_arms(total, *given.patients, hr))
    se = wald_range(given.ratio.interval, *ends, given.ci.level or 0.95).se
    if se.upper < least * (1 - 1e-9):
        found.append(
            f"HR {given.ratio} ({given.ci}) means a standard error of at most {se.upper:.3f}, and "
            f"{_format.plural(total, 'event')} give at least {least:.3f}, unless the fit was weighted, its errors "
            "robust, or the groups are no groups"
        )
    return found


def _test_doubts(given: TwoGroups) -> list[str]:
    found = []
    ends, information, chi2, observed = given.excess_range, given.information, given.chi2, given.observed
    if observed is not None and given.expected is not None and given.has_more_groups:
        sums = [sum(each.value for each in pair) for pair in (observed, given.expected)]
        found.append(
            f"O {observed} are {sums[0]:g} in all, and E {given.expected} are {sums[1]:g}: the sums differ: a test of "
            "more groups, or a misprint"
        )
    if observed is not None and given.n_events is not None:
        total = sum(each.value for each in observed)
        if total != given.n_events:
            found.append(
                f"O {observed} are {total:g} in all, yet {_format.plural(given.n_events, 'event')} are given"
            )
    if given.events is not None and math.isfinite(given.log_ratio):
        found += [
            f"HR {given.ratio}, yet there was no event in {name}: a fit gives 0 or infinity, unless it is penalised"
            for name, n in zip((given.exposed, given.reference), given.events, strict=True)
            if n == 0
        ]
    if information is not None and chi2 is not None and ends is not None and not given.has_more_groups:
        sizes = sorted(abs(end) for end in ends)
        least = 0.0 if ends[0] <= 0 <= ends[1] else sizes[0] ** 2 / information.interval.upper
        below = information.interval.lower
        most = sizes[1] ** 2 / below if below > 0 else math.inf
        if chi2.interval.lower > most * (1 + 1e-9) or chi2.interval.upper < least * (1 - 1e-9):
            span = _format.span(_format.significant(least), _format.significant(most))
            found.append(f"chi-squared {chi2.bare}, yet O - E with V {information.bare} gives {span}")
    return found


def _strong(given: TwoGroups, result: HazardRatioEstimate) -> list[str]:
    """A statistic that takes more events than there are.

    With groups at risk of one size chi-squared is at most D; without censoring it has a limit by the patients.
    """
    found = []
    for route in result.routes:
        kind = route.name.removesuffix(" and events")
        if kind not in ("chi-squared", "p-value") or route.name == kind or given.n_events is None:
            continue
        low, high = route.log_hr_interval
        least = max(low, -high, 0.0) ** 2 / route.variance
        most, words = float(given.n_events), "while the groups at risk stay of one size"
        if given.patients is not None:
            most = strongest_log_rank(given.n_events, *given.patients[:: given.direction or 1])
            words = f"of {given.patients} patients while nobody is censored"
        if least > most * (1 + 1e-9):
            shown = route.printed.split(",")[0]
            means = "" if kind == "chi-squared" else f" means a chi-squared of at least {least:.3g}"
            events = _format.plural(given.n_events, "event")
            found.append(
                f"{shown} with {events}{means}: {most:.3g} is the most, even with all events in one group, {words}; it "
                "rests on uneven censoring or many ties, or a number is misprinted"
            )
    return found


def _both_limits(given: TwoGroups) -> tuple[Interval, Interval] | None:
    ci = given.ci
    if ci is None or ci.lower is None or ci.upper is None or not (ci.lower.is_exact and ci.upper.is_exact):
        return None
    return ci.lower.interval, ci.upper.interval


def far_ways(
    best_first: Sequence[HazardRatioRoute], total: float, df: int, apart: Sequence[HazardRatioRoute]
) -> list[HazardRatioRoute]:
    """Ways that are off by enough to matter, where chance seldom gives so much in all."""
    if not df or chdtrc(df, total) >= SELDOM:
        return []
    least = MATTERS * math.sqrt(best_first[0].variance)
    return [each for each in apart if abs(difference(each, best_first[0])) > least]


def is_lopsided(given: TwoGroups) -> bool:
    """Whether no rounding makes the ratio the geometric mean of its limits."""
    ends = _both_limits(given)
    if ends is None or given.ratio is None or not given.ratio.is_exact:
        return False
    low, high = (0.5 * (_log(a) + _log(b)) for a, b in zip(*ends, strict=True))
    return low > _log(given.ratio.interval.upper) or high < _log(given.ratio.interval.lower)


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def said_of(
    given: TwoGroups, result: HazardRatioEstimate, far: Sequence[HazardRatioRoute]
) -> list[tuple[type[NetsynthWarning], str]]:
    """What the reader must know of the choice."""
    said: list[tuple[type[NetsynthWarning], str]] = []
    chosen = result.chosen
    if result.is_lopsided:
        said.append(
            (
                InconsistentReportWarning,
                f"the confidence interval {given.ci} is not symmetric around the hazard ratio {given.ratio} on the log "
                "scale, so one of them is misprinted or the interval is no Wald interval",
            )
        )
    if not given.is_record and given.ratio_side * given.direction < 0:
        said.append(
            (
                InconsistentReportWarning,
                f"{given.exposed} is {given.side}, yet the printed ratio {given.ratio} says the opposite; the ratio is "
                "of the other group, or one of them is misprinted",
            )
        )
    if chosen is None:
        return said
    said += [(InconsistentReportWarning, words) for words in _strong(given, result)]
    if not given.is_record:
        said += _unused(result)
    if chosen.bound == "ratio":
        end = "at least" if chosen.side > 0 else "at most"
        said.append(
            (
                BoundaryWarning,
                f"the p-value is a bound, so the ratio is known to be {end} {_format.ratio(chosen.natural)} "
                "only; that end, the nearest to 1, is given as the estimate",
            )
        )
    if chosen.bound == "standard error":
        words = "the standard error rests on a p-value printed as a bound, so it is larger than the true one"
        said.append((ImputedVarianceWarning, words))
    if far:
        farthest = max(far, key=lambda each: abs(difference(each, chosen)))
        said.append(
            (
                InconsistentReportWarning,
                f"what is printed disagrees: {_format.ratio(chosen.natural)} from {chosen.printed}, yet "
                f"{_format.ratio(farthest.natural)} from {farthest.printed} "
                f"({_format.pvalue(result.disagreement_pvalue)}); a number is misprinted or of other patients, or the "
                "test or fit was stratified or adjusted",
            )
        )
    return said


def _unused(result: HazardRatioEstimate) -> list[tuple[type[NetsynthWarning], str]]:
    """A test that was left out since nobody gave it a side."""
    lacking = [each.name.split()[0].removesuffix(",") for each in result.missed if each.reason == NO_SIDE]
    if not lacking:
        return []
    names = list(dict.fromkeys(lacking))
    were, them = ("was", "it") if len(names) == 1 else ("were", "them")
    words = f"the {_format.listing(names)} {were} left out: {NO_SIDE}; give direction to use {them}"
    return [(UnusableDataWarning, words)]
