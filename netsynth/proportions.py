"""Pooling proportions that studies of a review report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netsynth import _format
from netsynth.counts import ProportionModel, pool_proportions
from netsynth.data.proportion import ReportedProportion
from netsynth.data.review import Review
from netsynth.data.selection import OverlapRule
from netsynth.data.study import Role
from netsynth.errors import Caution, InvalidInputError, UnusableDataWarning, caution
from netsynth.kernels.intervals import CiMethod
from netsynth.kernels.scales import ProportionMeasure
from netsynth.kernels.tau2 import Tau2Estimator, Tau2Method
from netsynth.results.counts import CountCiMethod
from netsynth.results.pooled import PooledEffect

__all__ = ["pool_outcome"]


def pool_outcome(
    review: Review,
    outcome: str,
    *,
    model: ProportionModel = "binomial_normal",
    measure: ProportionMeasure = "logit_proportion",
    sets: Sequence[str] | None = None,
    roles: Sequence[Role] = ("overall", "arm"),
    overlap: OverlapRule = "largest",
    tau2_method: Tau2Method | Tau2Estimator | None = None,
    ci_method: CiMethod | CountCiMethod | None = None,
) -> PooledEffect:
    """Pool a proportion that studies of a review report, such as relief of symptoms.

    Parameters
    ----------
    review : Review
        The studies.
    outcome : str
        Name of the proportion, such as "symptom_relief".
    model, measure
        The distribution of the counts, and the scale of "normal_normal", as in `pool_proportions`.
    sets, roles, overlap
        How one value a study is chosen, as in `Review.select_proportions`.
    tau2_method, ci_method
        As in `pool_proportions`.

    Returns
    -------
    PooledEffect
        Its `warnings` name the studies that print a percentage without patients, and so carry no weight.

    Raises
    ------
    InvalidInputError
        If no study prints the outcome with its number of patients, or in every study none or all of the patients
        had it and the model has no place for that; and as `pool_proportions`.
    ConvergenceError
        As `pool_proportions`.

    Warns
    -----
    UnusableDataWarning
        If a study prints no number of patients.
    FewStudiesWarning, ContinuityCorrectionWarning, BackTransformationWarning, NarrowIntervalWarning
        As `pool_proportions`.

    Notes
    -----
    A printed percentage of n patients stands for the number of events that prints as it; where several do, for
    the nearest to it.

    Examples
    --------
    >>> from netsynth.data.study import Study
    >>> counts = {"Eriksson 2008": (12, 17), "Chambers 2008": (42, 56), "Du 2015": (20, 23)}
    >>> review = Review(
    ...     tuple(Study(name) for name in counts),
    ...     proportions=tuple(
    ...         ReportedProportion.of(name, "symptom_relief", n_events=x, n_total=n) for name, (x, n) in counts.items()
    ...     ),
    ... )
    >>> pooled = pool_outcome(review, "symptom_relief")
    >>> pooled.k, round(pooled.natural, 2)
    (3, 0.77)
    """
    selection = review.select_proportions(outcome, sets=sets, roles=roles, overlap=overlap)
    names: list[str] = []
    events: list[int] = []
    totals: list[int] = []
    unsized: list[str] = []
    for candidate in selection.chosen:
        record = review.proportions[candidate.record[0]]
        n_events, n_total = _counts(record)
        if n_events is None or n_total is None:
            unsized.append(candidate.study)
        else:
            names.append(review.study(candidate.study).label)
            events.append(n_events)
            totals.append(n_total)
    cautions: list[Caution] = []
    if unsized:
        message = f"not pooled, for want of a number of patients: {_format.listing(unsized)}"
        cautions.append(caution(UnusableDataWarning, message, where=outcome))
    if not names:
        raise InvalidInputError(
            f"{outcome}: no study prints a proportion with its number of patients. "
            "Use summarize_outcomes for a median over studies."
        )
    has_place = model == "normal_normal" and measure in ("arcsine_proportion", "double_arcsine_proportion")
    if not has_place and all(x in (0, n) for x, n in zip(events, totals, strict=True)):
        raise InvalidInputError(
            f"{outcome}: in every study none or all of the patients had it, so there is nothing to estimate on the "
            f"{measure.split('_')[0]} scale. Use summarize_outcomes, or model='normal_normal' with "
            "measure='arcsine_proportion'."
        )
    pooled = pool_proportions(
        events,
        n_total=totals,
        model=model,
        measure=measure,
        tau2_method=tau2_method,
        ci_method=ci_method,
        study=names,
    )
    return replace(pooled, warnings=(*cautions, *pooled.warnings))


def _counts(record: ReportedProportion) -> tuple[int | None, int | None]:
    if record.n_events is not None or record.n_total is None:
        return record.n_events, record.n_total
    nearest = round(record.probability * record.n_total)
    possible = record.possible_events
    return min(possible, key=lambda x: abs(x - nearest)) if possible else nearest, record.n_total
