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
)
from netsynth.hazard_routes.choice import difference
from netsynth.hazard_routes.figures import TwoGroups
from netsynth.kernels.information import least_se, least_se_of_arms, wald_range
from netsynth.results.hazard_ratio import HazardRatioEstimate, HazardRatioRoute

#: Ways disagree when chance gives so large a distance this seldom, and one is off by this share of a standard error.
SELDOM: Final = 0.01
MATTERS: Final = 0.25


def doubts_of(given: TwoGroups) -> list[str]:
    """What is wrong with a printed interval or variance for the events there are."""
    found = []
    total = given.n_events
    if given.information is not None and total and given.information.interval.lower > total / 4:
        found.append(
            f"a log-rank variance of {given.information.bare} with {total} events, which allow {total / 4:g} at most"
        )
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
            f"HR {given.ratio} ({given.ci}) means a standard error of at most {se.upper:.3f}, and {total} events give "
            f"at least {least:.3f}, unless the fit was weighted, its errors robust, or the groups are no groups"
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
    log_ratio = given.log_ratio
    if not given.is_record and given.direction and log_ratio * given.direction < 0:
        said.append(
            (
                InconsistentReportWarning,
                f"{given.exposed} is {given.side}, yet the printed ratio {given.ratio} says the opposite; the ratio is "
                "of the other group, or one of them is misprinted",
            )
        )
    if chosen is None:
        return said
    if chosen.bound == "ratio":
        end = "at least" if chosen.log_hr > 0 else "at most"
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
                f"({_format.pvalue(result.disagreement_pvalue)})",
            )
        )
    return said
