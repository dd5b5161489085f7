"""Everything that the verbs say of one review, in one object."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from netsynth.audit import audit
from netsynth.data.prisma import PrismaFlow
from netsynth.data.review import Review
from netsynth.data.selection import OverlapRule
from netsynth.data.study import Role
from netsynth.errors import Caution, NetsynthWarning
from netsynth.outcomes import summarize_outcomes
from netsynth.prognostic import summarize_factors
from netsynth.quality import score_reporting
from netsynth.reconstruct import reconstruct_survival
from netsynth.report.certainty import certainty_of
from netsynth.report.pooling import Choice, NotPooled, bounds_of, curve_of, medians_of, percentages_of
from netsynth.report.sensitivity import SensitivityRow, omit_each, vary
from netsynth.report.words import paragraph
from netsynth.results.audit import Audit
from netsynth.results.certainty import FactorCertainty, Phase
from netsynth.results.curve import SurvivalCurve
from netsynth.results.median_survival import PooledMedianSurvival
from netsynth.results.outcomes import OutcomeRow, OutcomeSummary
from netsynth.results.pooled import PooledEffect
from netsynth.results.pooled_bounds import PooledBounds
from netsynth.results.pooled_curve import PooledCurve
from netsynth.results.prognostic import FactorSummary
from netsynth.results.quality import ReportingCompleteness
from netsynth.results.review_flow import ReviewFlow
from netsynth.results.series import PooledSeries
from netsynth.results.swim import SwimReport
from netsynth.swim import swim_report

__all__ = ["ReviewAnalysis", "analyse_review"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ReviewAnalysis:
    """What the verbs say of one review, as made by `analyse_review`.

    Headline figures are those of the evidence sets asked for. What too few studies report is not pooled.

    Attributes
    ----------
    review : Review
        The studies.
    sets : tuple of str or None
        Evidence sets of the headline figures; None for all.
    endpoint : str
        The headline endpoint.
    flow : ReviewFlow
        What became of studies and figures.
    outcomes : OutcomeSummary
        Medians and ranges.
    all_outcomes : OutcomeSummary
        The same over all evidence sets.
    pooled : tuple of (OutcomeRow, PooledEffect)
        Pooled percentages and proportions.
    landmarks : mapping of float to PooledEffect
        The headline endpoint pooled at its landmarks, in months, over all evidence sets.
    curves : tuple of SurvivalCurve
        Of every group asked for, of any evidence set, that reports the headline endpoint at two or more landmarks.
    pooled_curve : PooledCurve or None
        The headline endpoint over time; None where it cannot be pooled, and `not_pooled` says why.
    bounds : tuple of PooledBounds
        What pooled landmarks can be, by how much is assumed; empty where no landmark has two studies.
    medians, all_medians : tuple of (OutcomeRow, PooledMedianSurvival)
        Pooled median survival times; the second over all evidence sets.
    factors : FactorSummary or None
        Prognostic factors over all evidence sets; None when the review holds no result of one.
    certainty : tuple of FactorCertainty
        Worksheets of pooled ratios, and of directions that several studies tell; empty where no phase was given.
    sensitivity : tuple of SensitivityRow
        The pooled figures under other choices.
    leave_one_out : PooledSeries or None
        The landmark of the headline endpoint that most studies report, without each of them.
    audit : Audit
        Numbers that cannot be, or do not fit together.
    swim : SwimReport or None
        The synthesis of factors by the nine items; None without factors.
    reporting : ReportingCompleteness
        What the studies report.
    not_pooled : tuple of NotPooled
        What could not be pooled although enough studies report it, or is the headline, and why.
    warnings : tuple of Caution
        All that was said on the way, each once.
    """

    review: Review
    sets: tuple[str, ...] | None
    endpoint: str
    flow: ReviewFlow
    outcomes: OutcomeSummary
    all_outcomes: OutcomeSummary
    pooled: tuple[tuple[OutcomeRow, PooledEffect], ...]
    landmarks: Mapping[float, PooledEffect]
    curves: tuple[SurvivalCurve, ...]
    pooled_curve: PooledCurve | None
    bounds: tuple[PooledBounds, ...]
    medians: tuple[tuple[OutcomeRow, PooledMedianSurvival], ...]
    all_medians: tuple[tuple[OutcomeRow, PooledMedianSurvival], ...]
    factors: FactorSummary | None
    certainty: tuple[FactorCertainty, ...]
    sensitivity: tuple[SensitivityRow, ...]
    leave_one_out: PooledSeries | None
    audit: Audit
    swim: SwimReport | None
    reporting: ReportingCompleteness
    not_pooled: tuple[NotPooled, ...]
    warnings: tuple[Caution, ...]

    def paragraph(self) -> str:
        """The results as the abstract of a paper tells them; every clause has its number in a table."""
        return paragraph(
            self.outcomes, self.pooled, self.pooled_curve, self.medians, self.bounds, self.factors
        )


def analyse_review(
    review: Review,
    *,
    endpoint: str = "OS",
    sets: Sequence[str] | None = None,
    roles: Sequence[Role] = ("overall", "arm"),
    overlap: OverlapRule = "largest",
    search: PrismaFlow | None = None,
    phase: Phase | None = None,
    swim: Mapping[str, str] | None = None,
) -> ReviewAnalysis:
    """Run every verb on a review.

    Parameters
    ----------
    review : Review
        The studies.
    endpoint : str
        The headline endpoint, whose curves are reconstructed and pooled.
    sets, roles, overlap
        How one value a study is chosen for the headline figures, as in `Review.select_survival`.
    search : PrismaFlow, optional
        Records and reports before the review. Without it they are said to be not recorded.
    phase : {1, 2, 3}, optional
        Phase of investigation of the studies of factors, from which the certainty of their findings starts, as in
        `grade_factor`. It is never guessed: without it no certainty is proposed.
    swim : mapping of str to str, optional
        What only the author can say of the synthesis of factors, by the names that `netsynth.swim_report` has for
        it: "grouping", "changes", "no_pooling", "priority", "heterogeneity", "certainty", "presentation",
        "limitations", "title".

    Returns
    -------
    ReviewAnalysis
        Warnings are not shown as they arise but kept in it, each once.

    Raises
    ------
    InvalidInputError
        If the endpoint or a choice is not known to the review, the search ends with another number of studies
        than the review holds, the phase is none, or assessors disagree on a study and its certainty is asked for.
    """
    headline = review.endpoint(endpoint)
    code, choice = headline.code, Choice(None if sets is None else tuple(sets), tuple(roles), overlap)
    everything = choice._replace(sets=None)
    said: list[NotPooled] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)  # they are kept in the results
        outcomes = summarize_outcomes(review, sets=sets, roles=roles, overlap=overlap)
        every = outcomes if sets is None else summarize_outcomes(review, roles=roles, overlap=overlap)
        lines = summarize_outcomes(review, sets=sets, roles=roles, overlap=overlap, min_studies=0)
        pooled = tuple(percentages_of(review, outcomes, choice, said))
        medians = tuple(medians_of(review, outcomes, choice, said))
        curve = curve_of(review, code, choice, said)
        all_medians = medians if sets is None else tuple(medians_of(review, every, everything, []))
        pooled_all = pooled if sets is None else tuple(percentages_of(review, every, everything, []))
        omitted = omit_each(pooled, code)
        curves = tuple(
            reconstruct_survival(reported)
            for reported in review.survival
            if reported.endpoint == headline and reported.group.role in roles and len(reported.timed) > 1
        )
        studied = any(result.analysis != "pooled" for result in review.factors)
        factors = summarize_factors(review, overlap=overlap) if studied else None
        analysis = ReviewAnalysis(
            review=review,
            sets=None if sets is None else tuple(sets),
            endpoint=code,
            flow=ReviewFlow.of(review, lines, search=search),
            outcomes=outcomes,
            all_outcomes=every,
            pooled=pooled,
            landmarks={row.time_months: effect for row, effect in pooled_all if row.outcome == code},
            curves=curves,
            pooled_curve=curve,
            bounds=bounds_of(review, code, choice),
            medians=medians,
            all_medians=all_medians,
            factors=factors,
            certainty=() if factors is None or phase is None else tuple(certainty_of(review, factors, phase)),
            sensitivity=tuple(
                vary(review, outcomes, pooled, medians, choice, endpoint=code, curve=curve, omitted=omitted)
            ),
            leave_one_out=omitted,
            audit=audit(review),
            swim=None if factors is None else swim_report(factors, **(swim or {})),
            reporting=score_reporting(review),
            not_pooled=tuple(said),
            warnings=(),
        )
    return replace(analysis, warnings=_cautions(analysis))


def _cautions(analysis: ReviewAnalysis) -> tuple[Caution, ...]:
    """Every warning of the results, each once; those of sensitivity analyses repeat them."""
    told = [analysis.review.warnings, analysis.outcomes.warnings, analysis.all_outcomes.warnings]
    told += [effect.warnings for _, effect in analysis.pooled]
    told += [result.warnings for _, result in (*analysis.medians, *analysis.all_medians)]
    told += [curve.warnings for curve in analysis.curves]
    told += [bounds.warnings for bounds in analysis.bounds]
    told += [analysis.factors.warnings] if analysis.factors is not None else []
    told += [analysis.pooled_curve.warnings] if analysis.pooled_curve is not None else []
    return tuple(dict.fromkeys(caution for cautions in told for caution in cautions))
