"""Everything of a review that can be pooled, and why the rest cannot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from netsynth import _format
from netsynth.data.review import Review
from netsynth.data.selection import OverlapRule
from netsynth.data.study import Role
from netsynth.errors import ConvergenceError, InvalidInputError
from netsynth.kernels.survival_variance import MATURITY
from netsynth.median_survival import pool_median_survival
from netsynth.over_time import pool_survival
from netsynth.pooled_bounds import bound_pooled_survival
from netsynth.proportions import pool_outcome
from netsynth.results.median_survival import PooledMedianSurvival
from netsynth.results.outcomes import OutcomeRow, OutcomeSummary
from netsynth.results.pooled import PooledEffect
from netsynth.results.pooled_bounds import PooledBounds
from netsynth.results.pooled_curve import PooledCurve
from netsynth.survival import pool_landmark

__all__ = [
    "LEAST_POOLED",
    "Choice",
    "NotPooled",
    "bounds_of",
    "curve_of",
    "median_of",
    "medians_of",
    "percentage_of",
    "percentages_of",
    "reason_of",
]

#: A pooled figure needs this many studies to stand in the report; fewer are in the table of outcomes anyway.
LEAST_POOLED: Final = 3
#: Shares of the survivors under observation at least, from none known to what is imputed.
LEAST_MATURITY: Final = (0.0, 0.25, 0.5)
CANNOT: Final = (InvalidInputError, ConvergenceError)


class Choice(NamedTuple):
    """How one value a study is chosen, as in `Review.select_survival`."""

    sets: Sequence[str] | None
    roles: Sequence[Role]
    overlap: OverlapRule


class NotPooled(NamedTuple):
    """What was not pooled, and why."""

    what: str
    reason: str

    def __str__(self) -> str:
        return f"{self.what}: {self.reason}"


def percentage_of(
    review: Review, row: OutcomeRow, choice: Choice, *, maturity: float = MATURITY
) -> PooledEffect:
    """The percentage or proportion of a line pooled: log(-log S) of a landmark, else counts by their own likelihood."""
    sets, roles, overlap = choice
    if row.kind == "percentage":
        return pool_landmark(
            review,
            row.outcome,
            time_months=row.time_months,
            sets=sets,
            roles=roles,
            overlap=overlap,
            maturity=maturity,
        )
    return pool_outcome(review, row.outcome, sets=sets, roles=roles, overlap=overlap)


def median_of(review: Review, row: OutcomeRow, choice: Choice) -> PooledMedianSurvival:
    """The median time of a line pooled, open ends as the bounds they are."""
    sets, roles, overlap = choice
    return pool_median_survival(review, row.outcome, sets=sets, roles=roles, overlap=overlap)


def percentages_of(
    review: Review, outcomes: OutcomeSummary, choice: Choice, told: list[NotPooled]
) -> Iterator[tuple[OutcomeRow, PooledEffect]]:
    """Percentages and proportions that enough studies report with their patients."""
    for row in outcomes.rows:
        if row.k < LEAST_POOLED or row.kind == "time":
            continue
        if row.kind == "percentage" and review.endpoint(row.outcome).kind == "incidence":
            continue
        try:
            effect = percentage_of(review, row, choice)
        except CANNOT as error:
            told.append(NotPooled(row.label, reason_of(error, row)))  # the median and range stand without it
            continue
        if effect.k >= LEAST_POOLED:
            yield row, effect
        else:
            told.append(NotPooled(row.label, _too_few(effect.k)))


def medians_of(
    review: Review, outcomes: OutcomeSummary, choice: Choice, told: list[NotPooled]
) -> Iterator[tuple[OutcomeRow, PooledMedianSurvival]]:
    """Median survival times that enough studies report, reached or not."""
    for row in outcomes.rows:
        if row.k < LEAST_POOLED or row.kind != "time" or review.endpoint(row.outcome).kind != "survival":
            continue
        try:
            pooled = median_of(review, row, choice)
        except CANNOT as error:
            told.append(NotPooled(row.label, reason_of(error, row)))
            continue
        if pooled.k >= LEAST_POOLED:
            yield row, pooled
        else:
            told.append(NotPooled(row.label, _too_few(pooled.k)))


def curve_of(review: Review, endpoint: str, choice: Choice, told: list[NotPooled]) -> PooledCurve | None:
    """The headline endpoint over time by random effects on log(-log S), whatever times the studies report."""
    sets, roles, overlap = choice
    what = f"{endpoint} over time"
    try:
        curve = pool_survival(review, endpoint, sets=sets, roles=roles, overlap=overlap)
    except CANNOT as error:
        told.append(NotPooled(what, _reason(error, endpoint)))
        return None
    if curve.k < LEAST_POOLED:
        told.append(NotPooled(what, _too_few(curve.k)))
        return None
    return curve


def bounds_of(review: Review, endpoint: str, choice: Choice) -> tuple[PooledBounds, ...]:
    """Limits of the pooled landmarks by how much is assumed; none where no landmark has two studies."""
    sets, roles, overlap = choice
    try:
        return tuple(
            bound_pooled_survival(
                review, endpoint, least_maturity=least, sets=sets, roles=roles, overlap=overlap
            )
            for least in LEAST_MATURITY
        )
    except InvalidInputError:
        return ()


def reason_of(error: Exception, row: OutcomeRow) -> str:
    """Why the line could not be pooled."""
    return _reason(error, row.selection.question)


def _reason(error: Exception, subject: str) -> str:
    """The first sentence of a message without its subject: the rest says what to call instead, to who writes code."""
    return str(error).removeprefix(f"{subject}: ").split(". ")[0].removesuffix(".")


def _too_few(k: int) -> str:
    return f"{_format.plural(k, 'study', 'studies')} can be weighed; it takes {LEAST_POOLED}"
