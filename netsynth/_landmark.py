"""Survival of one study at one landmark with its variance, by the first route that the report allows."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from netsynth.data.review import Review
from netsynth.data.selection import Candidate
from netsynth.kernels.survival_variance import (
    detected_se,
    imputed_variance,
    reported_variance,
    variance_bounds,
)

Route: TypeAlias = Literal["confidence interval", "number at risk", "imputed", "no number of patients"]


class Landmark(NamedTuple):
    """Survival as a probability, its variance, and the sharp limits of that from what is printed alone.

    A survival of 0 or 1 is moved inwards by half a patient. Without a number of patients the variance is nan and lies
    anywhere.
    """

    survival: float
    variance: float
    variance_lower: float
    variance_upper: float
    route: Route


def read_landmark(review: Review, candidate: Candidate, time_months: float, maturity: float) -> Landmark:
    """Read the figure that a selection chose; `maturity` is for a study without follow-up."""
    i, j = candidate.record
    reported = review.survival[i]
    share = reported.points[j].share.probability
    lower, upper, n_at_risk = reported.ci_lower[j], reported.ci_upper[j], reported.n_at_risk[j]
    if 0 < share < 1 and np.isfinite(lower) and np.isfinite(upper):
        half = 0.5 * (reported.survival_upper[j] - reported.survival_lower[j])
        se = float(detected_se(share, lower, upper, half, level=reported.ci_level).se)
        if np.isfinite(se):
            return Landmark(share, se**2, se**2, se**2, "confidence interval")
    n_total = math.nan if reported.n_total is None else float(reported.n_total)
    if math.isnan(n_total) and math.isnan(n_at_risk):
        return Landmark(share, math.nan, 0.0, math.inf, "no number of patients")
    followup = review.study(candidate.study).followup
    p = maturity if followup is None else 0.5 ** (time_months / followup.months)
    if 0 < share < 1:
        found = reported_variance(reported.survival, n_total, reported.n_at_risk, maturity=p)
        point, low, high = (float(x[j]) for x in (found.variance, found.lower, found.upper))
        return Landmark(share, point, low, high, "imputed" if found.imputed[j] else "number at risk")
    # half a patient is moved so that a share of 0 or 1 has a place on the scale
    n = n_total if math.isnan(n_at_risk) else n_at_risk
    moved = (share * n + 0.5) / (n + 1)
    limits = variance_bounds(moved, n)
    return Landmark(
        moved, float(imputed_variance(moved, n, p)), float(limits.lower), float(limits.upper), "imputed"
    )
