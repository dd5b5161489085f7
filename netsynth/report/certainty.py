"""Which factors of a review get a worksheet of GRADE, and which kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from netsynth.certainty import grade_directions, grade_factor, overall_risk
from netsynth.data.quality import QUIPS
from netsynth.data.review import Review
from netsynth.results.certainty import FactorCertainty, Phase
from netsynth.results.evidence import ANY_ENDPOINT
from netsynth.results.prognostic import FactorSummary

__all__ = ["LEAST_GRADED", "certainty_of"]

#: A finding of one study is told with its study; a body of evidence begins with two.
LEAST_GRADED: Final = 2


def certainty_of(review: Review, factors: FactorSummary, phase: Phase) -> Iterator[FactorCertainty]:
    """A worksheet for each pooled ratio, and for the direction of factors of several studies without one.

    A direction may be inferred from significant results alone: the worksheet says so, and is the lower for it.
    """
    rated = any(assessment.checklist.name == QUIPS.name for assessment in review.assessments)
    risk = overall_risk(review) if rated else None
    for row in factors.rows:
        if row.endpoint == ANY_ENDPOINT:
            continue
        strata = [ratios.stratum for ratios in row.hazard_ratios if ratios.pooled is not None]
        for stratum in strata:
            yield grade_factor(factors, row.factor, row.endpoint, phase=phase, stratum=stratum, risk=risk)
        if not strata and row.k >= LEAST_GRADED and (row.directions.n_stated or row.directions.n_inferred):
            yield grade_directions(factors, row.factor, row.endpoint, phase=phase, risk=risk)
