"""Everything that the verbs say of one review, in one object."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netsynth import _format
from netsynth.data.review import Review
from netsynth.data.selection import OverlapRule
from netsynth.data.study import Role
from netsynth.errors import Caution, InvalidInputError, NetsynthWarning
from netsynth.outcomes import summarize_outcomes
from netsynth.prognostic import summarize_factors
from netsynth.proportions import pool_outcome
from netsynth.quality import score_reporting
from netsynth.reconstruct import reconstruct_survival
from netsynth.results.curve import SurvivalCurve
from netsynth.results.evidence import ANY_ENDPOINT, FactorRow
from netsynth.results.outcomes import OutcomeRow, OutcomeSummary
from netsynth.results.pooled import PooledEffect
from netsynth.results.prognostic import FactorSummary
from netsynth.results.quality import ReportingCompleteness
from netsynth.survival import pool_landmark

__all__ = ["ReviewAnalysis", "analyse_review"]

#: A pooled figure needs this many studies to stand in the report; fewer are in the table of outcomes anyway.
LEAST_POOLED = 3
#: A factor needs this many studies to be named in the paragraph.
LEAST_NAMED = 3


@dataclass(frozen=True, slots=True, eq=False)
class ReviewAnalysis:
    """What the verbs say of one review, as made by `analyse_review`.

    Attributes
    ----------
    review : Review
        The studies.
    sets : tuple of str or None
        Evidence sets of the headline figures; None for all.
    outcomes : OutcomeSummary
        Medians and ranges of the evidence sets asked for.
    all_outcomes : OutcomeSummary
        The same over all evidence sets.
    pooled : tuple of (OutcomeRow, PooledEffect)
        Pooled percentages and proportions of the evidence sets asked for.
    curves : tuple of SurvivalCurve
        Of every group asked for, of any evidence set, that reports the headline endpoint at two or more landmarks.
    landmarks : mapping of float to PooledEffect
        The headline endpoint pooled at its landmarks, in months, over all evidence sets.
    endpoint : str
        The headline endpoint.
    factors : FactorSummary or None
        Prognostic factors; None when the review holds no result of one.
    reporting : ReportingCompleteness
        What the studies report.
    warnings : tuple of Caution
        All that was said on the way, each once.
    """

    review: Review
    sets: tuple[str, ...] | None
    outcomes: OutcomeSummary
    all_outcomes: OutcomeSummary
    pooled: tuple[tuple[OutcomeRow, PooledEffect], ...]
    curves: tuple[SurvivalCurve, ...]
    landmarks: Mapping[float, PooledEffect]
    endpoint: str
    factors: FactorSummary | None
    reporting: ReportingCompleteness
    warnings: tuple[Caution, ...]

    def paragraph(self) -> str:
        """The results as the abstract of a paper tells them; every clause has its number in a table."""
        several = self.outcomes.only(2)
        parts = [several.narrative()]
        pooled = [_pooled_clause(row, effect) for row, effect in self.pooled]
        if pooled:
            parts.append(f"Pooled with random effects, {_format.listing(pooled)}.")
        rows = [row for row in self.factors.rows if row.endpoint == ANY_ENDPOINT] if self.factors else []
        named = [clause for row in rows if (clause := _factor_clause(row))]
        if named:
            parts.append(
                f"Over all studies whose direction is known, the outcome was worse in {_format.listing(named)}."
            )
        return " ".join(parts)


def analyse_review(
    review: Review,
    *,
    endpoint: str = "OS",
    sets: Sequence[str] | None = None,
    roles: Sequence[Role] = ("overall", "arm"),
    overlap: OverlapRule = "largest",
) -> ReviewAnalysis:
    """Run every verb on a review.

    Parameters
    ----------
    review : Review
        The studies.
    endpoint : str
        The headline endpoint, whose curves are reconstructed.
    sets, roles, overlap
        How one value a study is chosen for the headline figures, as in `Review.select_survival`.

    Returns
    -------
    ReviewAnalysis
        Warnings are not shown as they arise but kept in it, each once.

    Raises
    ------
    InvalidInputError
        If the endpoint or a choice is not known to the review.
    """
    headline = review.endpoint(endpoint)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)  # they are kept in the results
        outcomes = summarize_outcomes(review, sets=sets, roles=roles, overlap=overlap)
        every = outcomes if sets is None else summarize_outcomes(review, roles=roles, overlap=overlap)
        pooled = tuple(_pool(review, outcomes, sets, roles, overlap))
        pooled_all = pooled if sets is None else _pool(review, every, None, roles, overlap)
        curves = tuple(
            reconstruct_survival(reported)
            for reported in review.survival
            if reported.endpoint == headline and reported.group.role in roles and len(reported.timed) > 1
        )
        studied = any(result.analysis != "pooled" for result in review.factors)
        factors = summarize_factors(review, overlap=overlap) if studied else None
        reporting = score_reporting(review)
    told = [review.warnings, outcomes.warnings, every.warnings, factors.warnings if factors else ()]
    told += [effect.warnings for _, effect in pooled] + [curve.warnings for curve in curves]
    return ReviewAnalysis(
        review,
        None if sets is None else tuple(sets),
        outcomes,
        every,
        pooled,
        curves,
        {row.time_months: effect for row, effect in pooled_all if row.outcome == headline.code},
        headline.code,
        factors,
        reporting,
        tuple(dict.fromkeys(caution for cautions in told for caution in cautions)),
    )


def _pool(
    review: Review,
    outcomes: OutcomeSummary,
    sets: Sequence[str] | None,
    roles: Sequence[Role],
    overlap: OverlapRule,
) -> list[tuple[OutcomeRow, PooledEffect]]:
    found: list[tuple[OutcomeRow, PooledEffect]] = []
    for row in outcomes.rows:
        if row.k < LEAST_POOLED or row.kind == "time":
            continue
        try:
            if row.kind == "percentage":
                if review.endpoint(row.outcome).kind == "incidence":
                    continue
                effect = pool_landmark(
                    review, row.outcome, time_months=row.time_months, sets=sets, roles=roles, overlap=overlap
                )
            else:
                effect = pool_outcome(review, row.outcome, sets=sets, roles=roles, overlap=overlap)
        except InvalidInputError:
            continue  # no study prints its number of patients; the median and range stand without it
        if effect.k >= LEAST_POOLED:
            found.append((row, effect))
    return found


def _pooled_clause(row: OutcomeRow, effect: PooledEffect) -> str:
    low, high = effect.natural_interval()
    limits = _format.span(_format.number(100 * low, 0), _format.number(100 * high, 0), "%")
    return f"{row.label} was {100 * effect.natural:.0f}% (95% CI, {limits}; k = {effect.k})"


def _factor_clause(row: FactorRow) -> str:
    count = row.directions
    if count.n_directed < LEAST_NAMED or not row.levels or count.n_worse <= count.n_better:
        return ""
    return f"{count.n_worse} of {count.n_directed} for {row.factor} ({row.levels})"
