"""The table of a review's abstract: every outcome by median and range, beside the published review."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

from netsynth import _validate
from netsynth.aggregate import median_range
from netsynth.data.endpoint import Endpoint
from netsynth.data.review import PublishedTarget, Review
from netsynth.data.selection import OverlapRule, Selection, check_roles, check_sets, overlap_clusters
from netsynth.data.study import Role
from netsynth.errors import NetsynthWarning
from netsynth.results.aggregated import MedianRange
from netsynth.results.outcomes import OutcomeKind, OutcomeRow, OutcomeSummary, merged_warnings

__all__ = ["summarize_outcomes"]


def summarize_outcomes(
    review: Review,
    *,
    endpoints: Sequence[str | Endpoint] | None = None,
    landmarks_months: Sequence[float] | None = None,
    proportions: Sequence[str] | None = None,
    sets: Sequence[str] | None = None,
    roles: Sequence[Role] = ("overall", "arm"),
    overlap: OverlapRule = "largest",
    min_studies: int = 1,
) -> OutcomeSummary:
    """Summarise every outcome of a review by the median and range of one value a study.

    Parameters
    ----------
    review : Review
        The studies.
    endpoints : sequence of str or Endpoint, optional
        Endpoints to summarise; by default all that some study reports or the published review summarised.
    landmarks_months : sequence of float, optional
        Landmarks, in months; by default all that some study reports, per endpoint.
    proportions : sequence of str, optional
        Proportions to summarise, such as "symptom_relief"; by default all that some study reports.
    sets, roles, overlap
        How one value a study is chosen, as in `Review.select_survival`.
    min_studies : int
        Lines with fewer studies are left out, but for those the published review has; 0 keeps those without a study.

    Returns
    -------
    OutcomeSummary
        One line an outcome, with the figures taken and left out, and the published figure beside it.

    Raises
    ------
    InvalidInputError
        If an endpoint is not in the vocabulary, a landmark is not a time, no study reports a proportion, no result
        belongs to a set, or one text is given for a list of words.

    Notes
    -----
    A median over studies says what a typical study reports, not what happens to a typical patient: it takes
    no account of the size of a study, and medians at different times may come from different studies, so
    that they need not fall with time. Use `pool_landmark` for a pooled survival with its uncertainty.

    Examples
    --------
    >>> from netsynth.data.study import Study
    >>> from netsynth.data.survival import ReportedSurvival
    >>> reported = {"Chen": 73, "Nave": 47, "Elias": 71}
    >>> review = Review(
    ...     tuple(Study(name) for name in reported),
    ...     survival=tuple(
    ...         ReportedSurvival.from_percent(name, "OS", years=[5], percent=[p]) for name, p in reported.items()
    ...     ),
    ... )
    >>> print(summarize_outcomes(review))
    Review: 3 studies, medians over studies
      5-year OS: 71% (range, 47–73%; k = 3)
    """
    _validate.count(min_studies, "min_studies")
    for name, words in (("endpoints", endpoints), ("proportions", proportions)):
        _validate.word_list(words, name, least=0)
    check_sets(sets, review.evidence_sets)
    check_roles(roles)
    rows: list[OutcomeRow] = []
    chosen = _endpoints(review, endpoints)
    targets = {(t.outcome, None if t.time is None else round(t.time.months, 9)): t for t in review.targets}
    for endpoint in chosen:
        targeted = {time for code, time in targets if code == endpoint.code and time is not None}
        times = landmarks_months or sorted({*review.landmarks(endpoint), *targeted})
        for time in times:
            selection = review.select_survival(endpoint, time, sets=sets, roles=roles, overlap=overlap)
            target = targets.get((endpoint.code, round(time, 9)))
            rows.append(_row("percentage", endpoint.code, endpoint.name, time, selection, target))
    for endpoint in chosen:
        selection = review.select_times(endpoint, sets=sets, roles=roles, overlap=overlap)
        target = targets.get((endpoint.code, None))
        rows.append(_row("time", endpoint.code, endpoint.name, math.nan, selection, target))
    reported = list(dict.fromkeys(record.outcome for record in review.proportions))
    for outcome in reported if proportions is None else proportions:
        selection = review.select_proportions(outcome, sets=sets, roles=roles, overlap=overlap)
        rows.append(
            _row(
                "proportion",
                outcome,
                outcome.replace("_", " "),
                math.nan,
                selection,
                targets.get((outcome, None)),
            )
        )
    kept = tuple(row for row in rows if row.k >= min_studies or row.target is not None)
    used = {study for row in kept for study in row.selection.studies}
    return OutcomeSummary(
        review.title,
        len(review.studies),
        len(used),
        _patients(review, used),
        kept,
        (*review.warnings, *merged_warnings(row.summary for row in kept)),
    )


def _patients(review: Review, used: set[str]) -> int:
    """Patients of the studies; of studies that share patients only the largest counts."""
    clusters = overlap_clusters(review.studies)
    largest: dict[frozenset[str], int] = {}
    for study in review.studies:
        if study.id in used:
            cluster = clusters[study.id]
            largest[cluster] = max(largest.get(cluster, 0), study.n_treated or study.n_patients or 0)
    return sum(largest.values())


def _endpoints(review: Review, wanted: Sequence[str | Endpoint] | None) -> list[Endpoint]:
    if wanted is not None:
        return [review.endpoint(word) for word in wanted]
    used = {record.endpoint for record in review.survival} | {record.endpoint for record in review.times}
    targeted = {target.outcome for target in review.targets}
    return [endpoint for endpoint in review.endpoints if endpoint in used or endpoint.code in targeted]


def _row(
    kind: OutcomeKind,
    outcome: str,
    name: str,
    time: float,
    selection: Selection,
    target: PublishedTarget | None,
) -> OutcomeRow:
    summary: MedianRange | None = None
    if selection.k:
        with warnings.catch_warnings():
            # a table of many lines would repeat itself; the cautions travel with the summary
            warnings.simplefilter("ignore", NetsynthWarning)
            summary = median_range(
                selection.values, study=selection.studies, unit="month" if kind == "time" else "percent"
            )
    return OutcomeRow(kind, outcome, name, time, selection, summary, target)
