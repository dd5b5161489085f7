"""Survival percentages against n alone: which are possible, and which look like shares of n."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import numpy as np

from netsynth import _format
from netsynth.audits.case import ABOUT, NO_SIZE, Case, Outcome, edited_curve, finding, is_sharp, when
from netsynth.audits.edits import Numbers, Printed, count
from netsynth.data.number import ReportedNumber
from netsynth.data.survival import ReportedSurvival, SurvivalPoint
from netsynth.kernels import lattice

__all__ = ["can_be", "crude", "shares_of_n"]

UNDECIDED: Final = f"more than {lattice.MOST_PATIENTS} patients, or too long a search"
#: A chance below this that percentages with losses look like shares of n is suspicious.
RARE: Final = 0.01
FEW_DEATHS: Final = 5


def shares_of_n(case: Case) -> Iterator[Outcome]:
    """Whether n patients can give each percentage."""
    for reported in case.survival:
        for i, point in enumerate(reported.points):
            yield _share_of_n(reported, i, point)


def _share_of_n(reported: ReportedSurvival, i: int, point: SurvivalPoint) -> Outcome:
    n = reported.n_total
    if n is None:
        return Outcome("percentage of n", NO_SIZE)
    if not is_sharp(point.share):
        return Outcome("percentage of n", ABOUT)
    possible = can_be(point.share, n, incidence=reported.endpoint.kind == "incidence")
    if possible is None:
        return Outcome("percentage of n", UNDECIDED)
    if possible:
        return Outcome("percentage of n")

    def holds(numbers: Numbers) -> bool:
        curve = edited_curve(reported, share={i: numbers[0]}, n_total=numbers[1])
        size = int(numbers[1].value)
        incidence = curve.endpoint.kind == "incidence"
        return all(can_be(p.share, size, incidence=incidence) is not False for p in curve.points)

    below, above = (_nearest(point.share, n, step, reported) for step in (-1, 1))
    near = _format.listing([str(number) for number in (below, above) if number is not None])
    return finding(
        reported,
        "percentage of n",
        "impossible",
        f"{point.share} at {when(point)} of {_format.plural(n, 'patient')}: no order of events and losses gives it, "
        f"the nearest possible are {near}",
        printed=[Printed(f"{reported.endpoint} at {when(point)}", point.share), count("n", n)],
        holds=holds,
        rows=[point.row_id],
    )


@lru_cache(maxsize=8192)
def can_be(share: ReportedNumber, n: int, *, incidence: bool = False) -> bool | None:
    """Whether n patients can give a percentage; None when that is not decided."""
    low, high = share.probability_interval
    if incidence:  # one event weighs 1/n or, after losses, more
        return low <= 0 or high >= 1 / n - 1e-12
    found = lattice.least_censored(low, high, n)
    return found.n_censored >= 0 if found.is_decided else None


def _nearest(share: ReportedNumber, n: int, step: int, reported: ReportedSurvival) -> ReportedNumber | None:
    """The nearest number printed alike that n patients can give."""
    unit, decimals = 10.0**-share.decimals, max(share.decimals, 0)
    most = 1.0 if share.unit == "probability" else 100.0
    value = share.value
    while 0 <= (value := value + step * unit) <= most + unit / 2:
        candidate = ReportedNumber(f"{value:.{decimals}f}", share.unit)
        if can_be(candidate, n, incidence=reported.endpoint.kind == "incidence") is not False:
            return candidate
    return None


# --- percentages that are no Kaplan-Meier estimates


def crude(case: Case) -> Iterator[Outcome]:
    """Whether percentages are shares of n at times before which patients were lost."""
    for reported in case.survival:
        points = [point for point in reported.timed if is_sharp(point.share) and point.share.value > 0]
        n = reported.n_total
        if reported.endpoint.kind == "incidence" or not points:
            continue
        if n is None:
            yield Outcome("crude percentages", NO_SIZE)
            continue
        evidence = _first_loss(case, points, n)
        if evidence is None:
            yield Outcome("crude percentages", "nothing shows that patients were lost")
            continue
        start, why = evidence
        later = [point for point in points if point.months >= start.months]
        counts = [int(lattice.whole_count(*point.share.probability_interval, n)) for point in later]
        # a curve on which nobody dies between two landmarks says the same thing twice, and one of few deaths may have
        # them all before the first loss
        told = {x: point.share for x, point in zip(counts, later, strict=True) if n - x >= FEW_DEATHS}
        chance = math.prod(_share_of_prints(share, n) for share in told.values())
        if min(counts) < 0 or chance >= RARE:
            yield Outcome("crude percentages")
            continue
        shown = [f"{share} = {x}/{n}" for x, share in told.items()]
        yield finding(
            reported,
            "crude percentages",
            "suspicious",
            f"{_format.listing(shown)} although {why}: crude shares, not Kaplan-Meier estimates?",
            unless=f"it is a coincidence, with probability {_format.significant(chance, 1)}",
            rows=[point.row_id for point in later],
        )


def _first_loss(case: Case, points: list[SurvivalPoint], n: int) -> tuple[SurvivalPoint, str] | None:
    """The first landmark before which somebody was certainly lost, and what shows it."""
    followup = case.study.followup if case.study.followup_statistic != "mean" else None
    for point in points:
        low = point.share.probability_interval.lower
        if point.n_at_risk is not None and math.ceil(n * low - point.n_at_risk - 1e-9) >= 1:
            return point, f"only {point.n_at_risk} were at risk at {when(point)}"
        # with nobody lost more than half would have been followed to the landmark
        if followup is not None and low > 0.5 and followup.months_interval.upper < point.months:
            return point, f"the median follow-up was {followup}"
    return None


@lru_cache(maxsize=1024)
def _share_of_prints(share: ReportedNumber, n: int) -> float:
    """Share of all numbers printed alike that are shares of n."""
    unit = 10.0 ** -max(share.decimals, 0) / (1.0 if share.unit == "probability" else 100.0)
    values = np.arange(0.0, 1.0 + unit / 2, unit)
    return float((lattice.whole_count(values - unit / 2, values + unit / 2, n) >= 0).mean())
