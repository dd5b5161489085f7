"""Hazard ratios against their intervals, p-values, patients and events, and what is said of them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from netsynth import _format
from netsynth._typing import Interval
from netsynth.audits.case import ABOUT, Case, Outcome, Reported, finding, is_sharp, same_patients
from netsynth.audits.edits import Numbers, Printed, count
from netsynth.data.factor import ReportedFactor
from netsynth.data.harmonise import is_graded
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.survival import SurvivalPoint
from netsynth.errors import NetsynthWarning
from netsynth.hazard_ratio import hazard_ratio
from netsynth.kernels.information import WaldRange, least_events, least_se, least_se_of_arms, wald_range
from netsynth.kernels.pvalues import z_from_pvalue
from netsynth.results.audit import Severity

__all__ = ["directions", "events", "intervals", "pvalues", "ways"]

#: By how much the statistic of another test, such as the log-rank test, seldom and hardly ever differs from that of the
#: interval: by a quarter in 3 to 4% and by a half in 1% of random parts of real trials.
SELDOM, HARDLY_EVER = 0.25, 0.5


class _Wald(NamedTuple):
    """The numbers of a ratio with both limits, and what they allow."""

    ratio: ReportedNumber
    lower: ReportedNumber
    upper: ReportedNumber
    level: float
    range: WaldRange


def _wald(result: ReportedFactor) -> _Wald | str:
    """Ratio and interval as numbers, or why not."""
    ratio, ci = result.hazard_ratio, result.ci
    if ratio is None or ci is None:
        return "no interval printed"
    if ci.lower is None or ci.upper is None or not (is_sharp(ci.lower) and is_sharp(ci.upper)):
        return "one limit printed"
    if not is_sharp(ratio):
        return ABOUT
    return _from_numbers(ratio, ci.lower, ci.upper, ci.level or 0.95)


def _from_numbers(
    ratio: ReportedNumber, lower: ReportedNumber, upper: ReportedNumber, level: float
) -> _Wald | str:
    if min(ratio.value, lower.value) <= 0:
        return "a ratio or limit of 0"
    found = wald_range(ratio.interval, lower.interval, upper.interval, level)
    return _Wald(ratio, lower, upper, level, found)


def _named(wald: _Wald) -> list[Printed]:
    return [
        Printed("HR", wald.ratio),
        Printed("lower limit", wald.lower),
        Printed("upper limit", wald.upper),
    ]


def _again(numbers: Numbers, level: float) -> _Wald | None:
    """The same with other numbers; None where limits are out of order."""
    ratio, lower, upper = numbers[:3]
    if not ReportedInterval(lower, upper, level).may_contain(ratio):
        return None
    found = _from_numbers(ratio, lower, upper, level)
    return None if isinstance(found, str) else found


def _what(result: ReportedFactor) -> str:
    levels = " vs ".join(level for level in (result.adverse_level, result.reference_level) if level)
    return f"{result.factor}{f' ({levels})' if levels else ''}"


def _shown(wald: _Wald) -> str:
    return f"HR {wald.ratio} ({wald.level:.0%} CI {ReportedInterval(wald.lower, wald.upper)})"


# --- the ratio in its interval


def intervals(case: Case) -> Iterator[Outcome]:
    """Whether each ratio is the geometric mean of its limits."""
    for result in case.factors:
        if result.hazard_ratio is None:
            continue
        wald = _wald(result)
        if isinstance(wald, str):
            yield Outcome("hazard ratio and interval", wald)
        elif _is_middle(wald):
            yield Outcome("hazard ratio and interval")
        else:
            low, high = (_format.ratio(end) for end in wald.range.middle)
            level = wald.level
            yield finding(
                result,
                "hazard ratio and interval",
                "incoherent",
                f"{_what(result)}: {_shown(wald)}, yet the middle of the interval is "
                f"{low if low == high else _format.span(low, high)}",
                unless="the interval is of profile likelihood, exact or by bootstrap",
                printed=_named(wald),
                holds=lambda numbers, level=level: (
                    (again := _again(numbers, level)) is not None and _is_middle(again)
                ),  # type: ignore[misc]
            )


def _is_middle(wald: _Wald) -> bool:
    return _overlap(wald.range.middle, wald.ratio.interval)


def _overlap(first: Interval, second: Interval) -> bool:
    """Whether two intervals meet, but for the last digits of floats."""
    return first.lower <= second.upper * (1 + 1e-9) and second.lower <= first.upper * (1 + 1e-9)


# --- ratio, interval and p-value


def pvalues(case: Case) -> Iterator[Outcome]:
    """Whether the p-value is that of the Wald statistic of the interval."""
    for result in case.factors:
        if result.hazard_ratio is None:
            continue
        wald = _wald(result)
        if isinstance(wald, str) or result.pvalue is None or result.pvalue.qualifier == "~":
            reason = wald if isinstance(wald, str) else "no p-value printed"
            yield Outcome("hazard ratio and p-value", reason)
            continue
        severity = _disagreement(wald, result.pvalue)
        if severity is None:
            yield Outcome("hazard ratio and p-value")
            continue
        level = wald.level

        def holds(numbers: Numbers, level: float = level) -> bool:
            again = _again(numbers, level)
            return again is not None and _is_middle(again) and _overlap(again.range.z, _size(numbers[3]))

        z = wald.range.z
        implied = [_format.pvalue(2 * _upper_tail(end)) for end in (z.upper, z.lower)]
        sign = result.pvalue.bare.removesuffix(result.pvalue.text) or "="
        yield finding(
            result,
            "hazard ratio and p-value",
            severity,
            f"{_what(result)}: {_shown(wald)}, p {sign} {result.pvalue.text}: the interval means "
            f"{_format.listing(dict.fromkeys(implied))}".replace(" and p", " to p"),
            unless="the p-value is of another test than the interval",
            printed=[*_named(wald), Printed("p", result.pvalue)],
            holds=holds,
        )


def _upper_tail(z: float) -> float:
    return 0.5 * math.erfc(z / math.sqrt(2.0))


def _size(pvalue: ReportedNumber) -> Interval:
    """Limits of the statistic behind a two-sided p-value."""
    largest, smallest = (float(z_from_pvalue(end)) for end in pvalue.interval)
    return Interval(smallest, largest)


def _disagreement(wald: _Wald, pvalue: ReportedNumber) -> Severity | None:
    """How far p and interval are apart; None when another test may have made the difference."""
    found, (smallest, largest) = wald.range.z, _size(pvalue)
    if _overlap(found, Interval(smallest, largest)):
        return None
    low, high = (found.upper, smallest) if smallest > found.upper else (largest, found.lower)
    if high <= low * (1.0 + SELDOM):
        return None
    return "suspicious" if high <= low * (1.0 + HARDLY_EVER) else "incoherent"


# --- ratio, events and patients


def events(case: Case) -> Iterator[Outcome]:
    """Whether there are enough events, or patients, for so narrow an interval."""
    for result in case.factors:
        if result.hazard_ratio is None or result.analysis == "pooled":
            continue
        wald, reason = _wald(result), _no_bound(result)
        if isinstance(wald, str) or reason:
            yield Outcome("hazard ratio and events", wald if isinstance(wald, str) else reason)
            continue
        n, made = result.group.n_total, _events_of(case, result)
        if n is None and made is None:
            yield Outcome("hazard ratio and events", "neither n nor events printed")
            continue
        most = n if made is None else made
        arms = _arms(case, result) if result.analysis == "univariable" else None
        least = _least(wald, most or 0, arms)
        if wald.range.se.upper >= least * (1 - 1e-9):
            yield Outcome("hazard ratio and events")
            continue
        level = wald.level

        def holds(numbers: Numbers, level: float = level, arms: tuple[int, int] | None = arms) -> bool:
            again = _again(numbers, level)
            if again is None or not _is_middle(again):
                return False
            return again.range.se.upper >= _least(again, int(numbers[3].value), arms) * (1 - 1e-9)

        needed = float(least_events(wald.lower.interval.lower, wald.upper.interval.upper, level))
        what = "events" if made is not None else "patients"
        sizes = "" if arms is None else f" in groups of {arms[0]} and {arms[1]}"
        yield finding(
            result,
            "hazard ratio and events",
            "incoherent",
            f"{_what(result)}: {_shown(wald)} means a standard error of at most {wald.range.se.upper:.3f}, and "
            f"{most} {what}{sizes} give at least {least:.3f} ({math.ceil(needed - 1e-9)} events would be needed)",
            unless="the fit was weighted, its errors robust, or the factor continuous",
            printed=[*_named(wald), count(what, most or 0)],
            holds=holds,
        )


def _no_bound(result: ReportedFactor) -> str:
    """Why the bound on the standard error does not apply."""
    if result.analysis == "matched":
        return "a matched analysis"
    levels = (result.adverse_level, result.reference_level)
    if not all(levels):
        return "levels not stated"
    return "perhaps continuous" if any(is_graded(level) for level in levels) else ""


def _least(wald: _Wald, n_events: int, arms: tuple[int, int] | None) -> float:
    if n_events < 1:
        return math.inf
    bound = float(least_se(n_events))
    if arms is None:
        return bound
    low, high = wald.ratio.interval
    ratios = np.geomspace(max(low, 1e-6), high, 5).tolist()
    return max(bound, min(least_se_of_arms(n_events, *arms, ratio) for ratio in ratios))


def _arms(case: Case, result: ReportedFactor) -> tuple[int, int] | None:
    """Patients with the level the ratio speaks of, and with the other, where the study prints both."""
    sizes = _sizes(case)
    first, second = result.adverse_level, result.reference_level
    if result.is_inverted:
        first, second = second, first
    exposed, others = (sizes.get(level.casefold()) for level in (first, second))
    return None if exposed is None or others is None else (exposed, others)


def _sizes(case: Case) -> dict[str, int]:
    """Patients by label of the group."""
    records: tuple[Reported, ...] = (*case.survival, *case.times, *case.proportions, *case.characteristics)
    return {record.group.label.casefold(): n for record in records if (n := record.group.n_total) is not None}


def _events_of(case: Case, result: ReportedFactor) -> int | None:
    """Events of the endpoint among the patients analysed: beside the ratio or their survival, or as a proportion."""
    if result.n_events is not None:
        return result.n_events
    for reported in case.survival:
        alike = reported.endpoint == result.endpoint and same_patients(reported.group, result.group)
        if alike and reported.n_total == result.group.n_total and reported.n_events is not None:
            return reported.n_events
    code = result.endpoint.code.lower()
    wanted = {f"{code} events", f"{code}_events", *(("deaths",) if code == "os" else ())}
    for made in case.proportions:
        if made.outcome.lower() in wanted and made.has_counts and made.n_total == result.group.n_total:
            return made.n_events
    return None


def ways(case: Case) -> Iterator[Outcome]:
    """Whether the ratio is what the log-rank test and the events give, where one of a kind is printed."""
    for result in case.factors:
        if None in (result.hazard_ratio, result.pvalue, result.n_events):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NetsynthWarning)  # they are findings here
            found = hazard_ratio(result)
        if found.chosen is None or not found.disagrees:
            continue
        other = max(found.alternatives, key=lambda route: abs(np.nan_to_num(route.distance)))
        yield finding(
            result,
            "hazard ratio and events",
            "suspicious",
            f"{_what(result)}: {found.chosen.printed} is a ratio of {_format.ratio(found.natural)}, yet "
            f"{other.printed} mean {_format.ratio(other.natural)}",
            unless="the test was stratified, or ratio and events are of other patients",
        )


# --- what is said


def directions(case: Case) -> Iterator[Outcome]:
    """Whether ratio, curves, direction and significance agree."""
    for result in case.factors:
        compared = [
            pair for pair in (_word(result), _significance(result), _curves(case, result)) if pair is not None
        ]
        problems = [problem for problem in compared if problem.message]
        for problem in problems:
            message = f"{_what(result)}: {problem.message}"
            yield finding(
                result, "direction and significance", problem.severity, message, unless=problem.unless
            )
        if compared and not problems:
            yield Outcome("direction and significance")


class _Problem(NamedTuple):
    """What does not agree; an empty message when all that was compared does."""

    severity: Severity = "suspicious"
    message: str = ""
    unless: str = ""


_AGREES: Final = _Problem()


def _word(result: ReportedFactor) -> _Problem | None:
    """The direction in words against the ratio."""
    ratio = result.hazard_ratio
    if ratio is None or not is_sharp(ratio) or result.direction not in ("worse", "better"):
        return None
    return _Problem("incoherent", result.direction_problem, "the ratio speaks of the other level")


def _significance(result: ReportedFactor) -> _Problem | None:
    """What is called significant or not against p-value and interval."""
    if result.significance not in ("yes", "no") or (isinstance(_wald(result), str) and result.pvalue is None):
        return None
    return _Problem("suspicious", result.significance_problem, "significance was not judged at 0.05")


def _curves(case: Case, result: ReportedFactor) -> _Problem | None:
    """A ratio that is clearly on one side against percentages of the two groups that are on the other."""
    wald = _wald(result)
    if isinstance(wald, str) or result.analysis not in ("univariable", "not stated"):
        return None
    sign = (wald.lower.interval.lower > 1) - (wald.upper.interval.upper < 1)
    sign = -sign if result.is_inverted else sign
    adverse, reference = (
        _points(case, result, level) for level in (result.adverse_level, result.reference_level)
    )
    pairs = [(adverse[months], reference[months]) for months in adverse if months in reference]
    if not sign or not pairs:
        return None
    for first, second in pairs:
        one, other = first.share.probability_interval, second.share.probability_interval
        if (one.lower > other.upper) if sign > 0 else (one.upper < other.lower):
            return _Problem(
                "incoherent",
                f"{_shown(wald)} for {result.hazard_ratio_for or result.adverse_level}, yet {result.endpoint} at "
                f"{first.time} was {first.share} with {result.adverse_level} and {second.share} with "
                f"{result.reference_level}",
                "the curves cross, or the ratio is adjusted",
            )
    return _AGREES


def _points(case: Case, result: ReportedFactor, level: str) -> dict[float, SurvivalPoint]:
    """Percentages of the endpoint in the group of that name, by months."""
    return {
        round(point.months, 6): point
        for reported in case.survival
        if level
        and reported.endpoint == result.endpoint
        and reported.group.label.casefold() == level.casefold()
        for point in reported.timed
    }
