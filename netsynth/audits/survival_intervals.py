"""Confidence intervals of survival: the scale they were computed on, and whether they are as wide as n allows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product
from typing import Literal, NamedTuple

import numpy as np

from netsynth import _format
from netsynth._typing import Interval
from netsynth.audits.case import ABOUT, INCIDENCE, Case, Outcome, edited_curve, finding, is_sharp, when
from netsynth.audits.edits import Numbers, Printed, count
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.survival import ReportedSurvival, SurvivalPoint
from netsynth.kernels import lattice
from netsynth.kernels.intervals import Limits
from netsynth.kernels.survival_variance import SCALES, SurvivalScale, detect_scale, se_from_ci
from netsynth.results.audit import AuditedPercentage, Severity

__all__ = ["audited_percentages", "intervals"]

Ties = Literal["none", "one", "any"]


def audited_percentages(case: Case) -> Iterator[AuditedPercentage]:
    """What each percentage says of the patients behind it."""
    for reported in case.survival:
        bounds = _bounds(reported)
        for i, point in enumerate(reported.points):
            scales, se = _scales(reported)[i], Interval(math.nan, math.nan)
            if scales and point.ci is not None:
                spans = [_se_range(point.share, point.ci, scale) for scale in scales]
                se = Interval(min(span.lower for span in spans), max(span.upper for span in spans))
            yield AuditedPercentage(
                reported.study,
                str(reported.endpoint),
                reported.group.label,
                when(point),
                str(point.share),
                reported.n_total,
                point.n_at_risk,
                _least_censored(reported, point),
                scales or (),
                *se,
                *bounds[i],
                point.row_id,
            )


def _least_censored(reported: ReportedSurvival, point: SurvivalPoint) -> int | None:
    if reported.n_total is None or reported.endpoint.kind == "incidence" or not is_sharp(point.share):
        return None
    found = lattice.least_censored(*point.share.probability_interval, reported.n_total)
    return found.n_censored if found.is_decided and found.n_censored >= 0 else None


@lru_cache(maxsize=1024)
def _bounds(reported: ReportedSurvival, ties: Ties = "none") -> tuple[Interval, ...]:
    """Limits of Greenwood's standard error at each point; nan where n is not printed or no curve is possible.

    Those who die at exactly a landmark are counted as at risk there: none, one, or any number.
    """
    nothing = (Interval(math.nan, math.nan),) * len(reported.points)
    if reported.n_total is None or reported.endpoint.kind == "incidence" or not reported.timed:
        return nothing
    given = (reported.survival_lower, reported.survival_upper, reported.n_total)
    variance = lattice.variance_range(*given, reported.n_at_risk, before=ties == "any")
    if ties == "one":
        fewer = lattice.variance_range(*given, np.maximum(reported.n_at_risk - 1.0, 1.0))
        variance = Limits(variance.lower, fewer.upper)
    inside = (reported.survival > 0) & (reported.survival < 1) & (variance.lower <= variance.upper)
    ends = [np.where(inside, np.sqrt(end), np.nan).tolist() for end in variance]
    return (*(Interval(low, high) for low, high in zip(*ends, strict=True)), *nothing[len(reported.timed) :])


@lru_cache(maxsize=1024)
def _scales(reported: ReportedSurvival) -> tuple[tuple[SurvivalScale, ...] | None, ...]:
    """For each point the scales on which its interval is symmetric; None where there is nothing to tell them from."""
    read = [
        (i, (point.share, point.ci.lower, point.ci.upper))
        for i, point in enumerate(reported.points)
        if point.ci is not None and not _not_readable(reported, point, point.ci)
    ]
    scales: list[tuple[SurvivalScale, ...] | None] = [None] * len(reported.points)
    if read:
        triples = [[number for number in numbers if number is not None] for _, numbers in read]
        unit = [1.0 if numbers[0].unit == "probability" else 100.0 for numbers in triples]
        decimals = [min(number.decimals for number in numbers) for numbers in triples]
        half = 0.5 * 10.0 ** -np.array(decimals, dtype=np.float64) / unit
        share, lower, upper = np.array([[n.probability for n in numbers] for numbers in triples]).T
        found = detect_scale(share, lower, upper, half)
        for (i, _), row in zip(read, found.admissible, strict=True):
            scales[i] = tuple(name for name, fits in zip(SCALES, row, strict=True) if fits)
    return tuple(scales)


def _not_readable(reported: ReportedSurvival, point: SurvivalPoint, ci: ReportedInterval) -> str:
    if ci.lower is None or ci.upper is None or not (is_sharp(ci.lower) and is_sharp(ci.upper)):
        return "one limit printed"
    if not is_sharp(point.share):
        return ABOUT
    if reported.endpoint.kind == "incidence":
        return INCIDENCE
    return "" if 0 < point.share.probability < 1 else "survival of 0 or 100%"


@lru_cache(maxsize=8192)
def _se_range(share: ReportedNumber, ci: ReportedInterval, scale: SurvivalScale) -> Interval:
    """Limits of the standard error over all that the three numbers may have been before rounding."""
    spans = [
        # a limit of exactly 0 or 100% may be cut off and is then not used
        (number.probability,) if number.probability in (0.0, 1.0) else tuple(number.probability_interval)
        for number in (ci.lower, ci.upper)
        if number is not None
    ]
    corners = list(product((*share.probability_interval, share.probability), *spans))
    se = se_from_ci(*np.array(corners).T, level=ci.level or 0.95, scale=scale)
    if not np.isfinite(se).any():
        return Interval(math.nan, math.nan)
    return Interval(float(np.nanmin(se)), float(np.nanmax(se)))


def intervals(case: Case) -> Iterator[Outcome]:
    """Scale and width of every confidence interval of a percentage."""
    for reported in case.survival:
        first: tuple[SurvivalPoint, Sequence[str]] | None = None
        for i, point in enumerate(reported.points):
            if point.ci is None:
                continue
            if reason := _not_readable(reported, point, point.ci):
                yield Outcome("interval of survival", reason)
                continue
            scales = _scales(reported)[i] or ()
            problem = _interval_problem(reported, i)
            if problem:
                yield _interval_finding(reported, i, problem)
            elif first is not None and not set(scales) & set(first[1]):
                yield _two_scales(reported, first, (point, scales))
            else:
                first = first or (point, scales)
                yield Outcome("interval of survival")


class _Problem(NamedTuple):
    severity: Severity
    message: str
    unless: str


def _interval_problem(reported: ReportedSurvival, i: int) -> _Problem | None:
    """Why the interval at a point cannot be."""
    point = reported.points[i]
    ci, scales = point.ci, _scales(reported)[i]
    if ci is None or scales is None:
        return None
    if not scales:
        return _Problem(
            "incoherent",
            f"is symmetric on none of the scales {_format.listing(SCALES)}",
            "it is exact, by bootstrap or by another method",
        )
    spans = [_se_range(point.share, ci, scale) for scale in scales]
    if _within(spans, _bounds(reported, "one")[i]):
        return None
    bound = _bounds(reported)[i]
    low, high = min(span.lower for span in spans), max(span.upper for span in spans)
    word, limit = ("least", bound.lower) if high < bound.lower else ("most", bound.upper)
    people = _format.plural(reported.n_total or 0, "patient")
    some = "" if point.n_at_risk is None else f" with {point.n_at_risk} at risk"
    by_ties = _within(spans, _bounds(reported, "any")[i])
    unless = f"its level is not {ci.level or 0.95:.0%}, or its variance not Greenwood's"
    return _Problem(
        "suspicious" if by_ties else "incoherent",
        f"means a standard error of {_percents(low, high)} ({' or '.join(scales)} scale), "
        f"and {people}{some} give at {word} {_percents(limit)}",
        f"several had the event at exactly {when(point)}, or {unless}" if by_ties else unless,
    )


def _within(spans: Sequence[Interval], bound: Interval) -> bool:
    """Whether some interval meets the bounds, or there are none."""
    return any(not (span.upper < bound.lower or span.lower > bound.upper) for span in spans)


def _percents(*shares: float) -> str:
    texts = list(dict.fromkeys(_format.significant(100 * share, 2) for share in shares))
    return f"{_format.span(*texts)}%" if len(texts) == 2 else f"{texts[0]}%"


def _interval_finding(reported: ReportedSurvival, i: int, problem: _Problem) -> Outcome:
    point = reported.points[i]
    limits = () if point.ci is None else (point.ci.lower, point.ci.upper)
    names = (f"{reported.endpoint} at {when(point)}", "lower limit", "upper limit")
    printed = [
        Printed(name, number)
        for name, number in zip(names, (point.share, *limits), strict=True)
        if number is not None
    ]
    if reported.n_total is not None:
        printed.append(count("n", reported.n_total))

    def holds(numbers: Numbers) -> bool:
        share, lower, upper, *size = numbers
        curve = edited_curve(
            reported, share={i: share}, ci={i: (lower, upper)}, n_total=size[0] if size else None
        )
        return _scales(curve)[i] is not None and _interval_problem(curve, i) is None

    return finding(
        reported,
        "interval of survival",
        problem.severity,
        f"{point}: the interval {problem.message}",
        unless=problem.unless,
        printed=printed,
        holds=holds,
        rows=[point.row_id],
    )


def _two_scales(
    reported: ReportedSurvival,
    first: tuple[SurvivalPoint, Sequence[str]],
    second: tuple[SurvivalPoint, Sequence[str]],
) -> Outcome:
    told = [f"{point} on {' or '.join(scales)}" for point, scales in (first, second)]
    return finding(
        reported,
        "interval of survival",
        "suspicious",
        f"intervals of one curve on two scales: {told[0]}, {told[1]}",
        unless="they come from two programs",
        rows=[first[0].row_id, second[0].row_id],
    )
