"""Vote counting by direction, from one result a study, from all of them, and weighted; and how ratios are spread."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import numpy as np

from netsynth import _validate
from netsynth.data.harmonise import spelling
from netsynth.errors import Caution, HarmonisationWarning, InvalidInputError, caution
from netsynth.kernels.orderstats import quantile
from netsynth.kernels.votes import weighted_share, weighted_sign_test, within_study
from netsynth.results.directions import DirectionCount
from netsynth.results.evidence import INFERRED, STRATA, FactorEvidence, FactorRow, Stratum
from netsynth.results.factor_cuts import is_split_alike
from netsynth.results.ratios import RatioSpread
from netsynth.results.votes import StudyDirection, StudyVotes, VoteCount

__all__ = ["count_votes", "describe_ratios"]

VoteWeights: TypeAlias = Literal["patients", "events"]
_DIRECTIONS: Final[Mapping[float, StudyDirection]] = {1.0: "worse", -1.0: "better", 0.0: "none"}


def count_votes(
    row: FactorRow,
    *,
    share: float = 0.7,
    weights: VoteWeights = "patients",
    n_events: Mapping[str, int] | None = None,
) -> VoteCount:
    r"""Count the studies of a factor by direction, in three ways that should agree.

    One result a study, as in the factor table; one direction a study from all its results, if at least `share` of
    them agree; and one result a study weighted by the square root of its size, as a precision would be. Tests and
    intervals use directions that are stated; those inferred from significant results are counted beside them.

    Parameters
    ----------
    row : FactorRow
        From `summarize_factors`. Studies not counted because they may share patients are left out here too.
    share : float
        Share of the results of a study, of those that state a direction, that must point one way; above one half.
        Studies below it conflict, and count for neither side. Inferred directions speak where nothing is stated.
    weights : {"patients", "events"}
        Size whose square root is the weight of a study. Studies of unknown size are left out of the weighted count.
    n_events : mapping of str to int, optional
        Events of each study, by its id or label, for ``weights="events"``; by default those that are printed.

    Returns
    -------
    VoteCount
        Frozen, with exact and Wilson intervals, sign tests, and the counts of significant results beside them.

    Raises
    ------
    InvalidInputError
        If the share or a number of events cannot be, or events are asked for and none is known.

    Notes
    -----
    The weighted sign test asks how often random signs put as much weight on one side, over all :math:`2^k` of them.
    That one direction needs seven results of ten is a convention of effect-direction plots [1]_. A direction inferred
    from which level a significant result names as adverse is had only where a result is significant, so a test of
    such directions would count significance, on which votes must not rest [2]_.

    References
    ----------
    .. [1] Hilton Boon M, Thomson H (2021). The effect direction plot revisited: Application of the 2019 Cochrane
       Handbook guidance on alternative synthesis methods. Res Synth Methods 12:29-33.
       https://doi.org/10.1002/jrsm.1458
    .. [2] McKenzie JE, Brennan SE. Synthesizing and presenting findings using other methods. In: Cochrane
       Handbook for Systematic Reviews of Interventions, chapter 12. https://training.cochrane.org/handbook

    Examples
    --------
    Ten of eleven studies only say which level their significant result speaks against, so nothing is tested:

    >>> from netsynth.datasets import load_nethm
    >>> from netsynth.prognostic import summarize_factors
    >>> votes = count_votes(summarize_factors(load_nethm()).row("completeness of resection"))
    >>> votes.chosen.n_worse, votes.chosen.n_inferred, votes.chosen.pvalue
    (10, 10, nan)
    >>> votes.chosen.problem
    'no direction is stated, and one inferred from a significant result tests nothing'
    """
    if not 0.5 < share <= 1.0:
        raise InvalidInputError(f"share must lie above 0.5 and not above 1; got {share!r}.")
    _validate.choice(weights, "weights", ("patients", "events"))
    sizes = _sizes(row, weights, n_events)
    studies = []
    for result in row.counted:
        own = [other for other in row.results if other.study == result.study]
        stated = Counter(other.direction for other in own if other.direction_basis != INFERRED)
        inferred = Counter(other.direction for other in own if other.direction_basis == INFERRED)
        told = stated["worse"] + stated["better"] + stated["none"]
        said = stated if told else inferred
        found = float(within_study(said["worse"], said["better"], said["none"], share))
        studies.append(
            StudyVotes(
                study=result.label,
                n_worse=stated["worse"] + inferred["worse"],
                n_better=stated["better"] + inferred["better"],
                n_none=stated["none"],
                n_not_stated=stated["not stated"],
                n_inferred=inferred.total(),
                direction=_DIRECTIONS.get(found, "conflicting" if said.total() else "not stated"),
                is_inferred=not told and inferred.total() > 0,
                chosen=result.voted_direction,
                is_chosen_inferred=result.voted_basis == INFERRED,
                weight=math.sqrt(sizes[result.study]),
            )
        )
    within = DirectionCount.of(
        ("none" if votes.direction == "conflicting" else votes.direction, votes.is_inferred)
        for votes in studies
    )
    voting = [
        votes
        for votes in studies
        if votes.chosen in ("worse", "better") and not votes.is_chosen_inferred and votes.weight > 0
    ]
    is_worse = [votes.chosen == "worse" for votes in voting]
    weighed = [votes.weight for votes in voting]
    return VoteCount(
        factor=row.factor,
        endpoint=row.endpoint,
        chosen=DirectionCount.of((votes.chosen, votes.is_chosen_inferred) for votes in studies),
        within=within,
        share=share,
        studies=tuple(studies),
        weight_name=f"weighted by the square root of {weights}",
        weighted_share=float(weighted_share(is_worse, weighed)),
        weighted_pvalue=weighted_sign_test(is_worse, weighed),
        n_weighted=len(voting),
        significance=MappingProxyType(row.significance),
    )


def _sizes(row: FactorRow, weights: VoteWeights, n_events: Mapping[str, int] | None) -> dict[str, float]:
    if weights == "patients":
        return {
            result.study: math.nan if result.n_patients is None else float(result.n_patients)
            for result in row.counted
        }
    given = n_events or {}
    if not given and not any(result.n_events for result in row.counted):
        raise InvalidInputError(
            "weights by events need n_events, the events of each study by its id or label; no study prints them."
        )
    known = {name for result in row.counted for name in (result.study, result.label)}
    for name, number in given.items():
        if name not in known:
            raise InvalidInputError(
                f"n_events: no study {name!r} is counted for {row.factor}, {row.endpoint}."
            )
        _validate.count(number, "n_events", where=name, minimum=1)
    return {
        result.study: float(given.get(result.study, given.get(result.label, result.n_events or math.nan)))
        for result in row.counted
    }


def describe_ratios(row: FactorRow, *, stratum: Stratum | None = None) -> RatioSpread:
    """Median, quartiles and range of the hazard ratios that studies print, with those that print none beside them.

    Parameters
    ----------
    row : FactorRow
        From `summarize_factors`, of one endpoint.
    stratum : {"adjusted", "matched", "unadjusted", "not stated"}, optional
        Only ratios of this kind of analysis; by default all, which is said.

    Returns
    -------
    RatioSpread
        Frozen; `mixed` names what is unlike among the ratios.

    Raises
    ------
    InvalidInputError
        If no study prints a ratio of this kind.

    Warns
    -----
    HarmonisationWarning
        The ratios are of several endpoints, of several kinds of analysis, or compare different levels.

    Notes
    -----
    One ratio a study: that of the result which is counted, else of another result of the study, else of a study that
    may share its patients. Neither size nor precision of the studies enters, and no pooled effect is claimed;
    quartiles are of type 7 on the log scale.

    Examples
    --------
    >>> from netsynth.datasets import load_nethm
    >>> from netsynth.prognostic import summarize_factors
    >>> spread = describe_ratios(summarize_factors(load_nethm()).row("extrahepatic disease", "OS"))
    >>> spread.k, spread.n_without
    (1, 2)
    """
    # a ratio that was worked out from a p-value is no ratio that a study prints
    printed = [
        result
        for result in row.results
        if stratum in (None, result.stratum) and result.printed_ratio and not math.isnan(result.log_hr)
    ]
    studies = {counted.study for counted in row.counted}
    taken: list[FactorEvidence] = []
    without: list[str] = []
    for counted in row.counted:
        own = [result for result in printed if result.study == counted.study]
        own = own or [r for r in printed if r.cluster == counted.cluster and r.study not in studies]
        if own:
            taken.append(_nearest(own, counted))
        else:
            without.append(counted.label)
    if not taken:
        kind = f" (kind of analysis: {stratum})" if stratum else ""
        raise InvalidInputError(f"{row.factor}, {row.endpoint}: no study prints a hazard ratio{kind}.")
    log_hr = np.array([result.log_hr for result in taken])
    log_hr.setflags(write=False)
    quartiles = [float(quantile(log_hr, np.ones(log_hr.size), p)) for p in (0.25, 0.5, 0.75)]
    spread = RatioSpread(
        factor=row.factor,
        endpoint=row.endpoint,
        study=tuple(result.label for result in taken),
        stratum=tuple(result.stratum for result in taken),
        study_endpoint=tuple(result.endpoint for result in taken),
        comparison=_comparisons(taken),
        log_hr=log_hr,
        q1=quartiles[0],
        median=quartiles[1],
        q3=quartiles[2],
        without=tuple(without),
    )
    where = f"{row.factor}, {row.endpoint}"
    said: list[Caution] = []
    for what in spread.mixed:
        message = f"unlike ratios are described together: {what}"
        said.append(caution(HarmonisationWarning, message, where=where))
    return replace(spread, warnings=tuple(said))


def _nearest(results: Sequence[FactorEvidence], counted: FactorEvidence) -> FactorEvidence:
    """The counted result if it is there, then what is most like it, then what adjusts for most."""
    return min(
        results,
        key=lambda result: (
            result is not counted,
            result.endpoint != counted.endpoint,
            result.stratum != counted.stratum,
            list(STRATA).index(result.stratum),
            -(result.n_patients or 0),
            result.level_rank,
            result.row_id,
        ),
    )


def _comparisons(taken: Sequence[FactorEvidence]) -> tuple[str, ...]:
    """The levels that each ratio compares, in harmonised words where these are sure, alike where the cut-point is."""
    if is_split_alike(taken):
        return (taken[0].printed_levels,) * len(taken)
    words = []
    for result in taken:
        is_sure = not result.mixed and result.orientation not in ("not in the mapping", "not stated")
        harmonised = f"{result.adverse_level} vs {result.reference_level}"
        words.append(harmonised if is_sure else result.printed_levels)
    first = {spelling(word): word for word in reversed(words)}
    return tuple(first[spelling(word)] for word in words)
