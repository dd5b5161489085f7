"""Survival of one study at one landmark with its variance, by the first route that the report allows."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from netsynth._typing import FloatArray
from netsynth.curve_methods.at_risk import impossible
from netsynth.data.review import Review
from netsynth.data.selection import Candidate
from netsynth.data.survival import ReportedSurvival
from netsynth.kernels.survival_variance import (
    detected_se,
    imputed_variance,
    reported_variance,
    variance_at_risk,
    variance_bounds,
)

Route: TypeAlias = Literal["confidence interval", "number at risk", "imputed", "no number of patients"]


class Landmark(NamedTuple):
    """Survival as a probability, its variance, and the sharp limits of that from what is printed alone.

    A survival of 0 or 1 is moved inwards by half a patient of all, or of those at risk where only these are known.
    Without a number of patients the variance is nan and lies anywhere. `not_used` says which numbers at risk cannot be.
    """

    survival: float
    variance: float
    variance_lower: float
    variance_upper: float
    route: Route
    not_used: tuple[str, ...] = ()


def read_landmark(review: Review, candidate: Candidate, time_months: float, maturity: float) -> Landmark:
    """Read the figure that a selection chose; `maturity` is for a study without follow-up."""
    i, j = candidate.record
    reported = review.survival[i]
    share = reported.points[j].share.probability
    lower, upper = reported.ci_lower[j], reported.ci_upper[j]
    if 0 < share < 1 and np.isfinite(lower) and np.isfinite(upper):
        half = 0.5 * (reported.survival_upper[j] - reported.survival_lower[j])
        se = float(detected_se(share, lower, upper, half, level=reported.ci_level).se)
        if np.isfinite(se):
            return Landmark(share, se**2, se**2, se**2, "confidence interval")
    n_total = math.nan if reported.n_total is None else float(reported.n_total)
    numbers, not_used = _possible(reported, n_total)
    n_at_risk = numbers[j]
    # of a survival of 0 everybody tells, and nobody is left to be at risk
    n = n_at_risk if share > 0 and math.isnan(n_total) else n_total
    if not n > 0:
        return Landmark(share, math.nan, 0.0, math.inf, "no number of patients", not_used)
    followup = review.study(candidate.study).followup
    p = maturity if followup is None else 0.5 ** (time_months / followup.months)
    route: Route
    if 0 < share < 1:
        found = reported_variance(reported.survival, n_total, numbers, maturity=p)
        point, low, high = (float(x[j]) for x in (found.variance, found.lower, found.upper))
        route = "imputed" if found.imputed[j] else "number at risk"
        return Landmark(share, point, low, high, route, not_used)
    # half a patient is moved so that a share of 0 or 1 has a place on the scale
    moved = (share * n + 0.5) / (n + 1)
    counted = share == 1 and not math.isnan(n_at_risk)
    low, high = (float(x) for x in variance_bounds(moved, n, n_at_risk if counted else math.nan))
    point = float(variance_at_risk(moved, n, n_at_risk) if counted else imputed_variance(moved, n, p))
    if share == 0:  # the limits count one patient at least, and have no room where half a one lives
        high = max(high, point)
    route = "number at risk" if counted else "imputed"
    return Landmark(moved, min(max(point, low), high), low, high, route, not_used)


def _possible(reported: ReportedSurvival, n_total: float) -> tuple[FloatArray, tuple[str, ...]]:
    """Numbers at risk, nan where survival does not leave as many or falls after a 0, and words for those."""
    numbers = reported.n_at_risk
    if not np.isfinite(numbers).any():
        return numbers, ()
    time, survival = reported.landmark_months, reported.survival
    wrong = impossible(time, reported.survival_lower, reported.survival_upper, n_total, numbers)
    if not wrong:
        return numbers, ()
    kept = np.array(numbers)
    kept[[each.place for each in wrong]] = math.nan
    return kept, tuple(each.in_words(float(time[each.place]), float(survival[each.place])) for each in wrong)
