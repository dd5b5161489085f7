"""The certainty of the evidence on prognostic factors: risk of bias over domains, and the worksheet of GRADE."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, get_args

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import Interval
from netsynth.data.quality import QUIPS, Checklist
from netsynth.data.review import Review
from netsynth.errors import InvalidInputError, NetsynthWarning
from netsynth.factor_pooling import assess_factor_asymmetry, bound_reporting, single_ratio
from netsynth.results.certainty import DIRECTION, PHASES, CertaintyMove, FactorCertainty, Phase
from netsynth.results.directions import DirectionCount
from netsynth.results.evidence import ANY_ENDPOINT, FactorEvidence, FactorRow, HazardRatios, Stratum
from netsynth.results.factor_cuts import chosen_cut_points
from netsynth.results.pooled import PooledEffect
from netsynth.results.prognostic import FactorSummary
from netsynth.results.reporting_bounds import ReportingBounds
from netsynth.results.risk_of_bias import OverallRule, RiskLevel, RiskOfBias

__all__ = ["GradeRule", "grade_directions", "grade_factor", "overall_risk"]

_Proposal = tuple[int | None, str]


@dataclass(frozen=True, slots=True)
class GradeRule:
    """Where the worksheet proposes a move. GRADE names no such numbers; these are defaults to be changed in the open.

    Parameters
    ----------
    high_risk_share : float
        Share of the weight in studies at high risk of bias, or with a cut-point chosen by the outcome, from which
        limitations are proposed.
    i2 : float
        Share of heterogeneity, a fraction, from which it is one sign of inconsistency.
    minor_share : float
        Share of studies on the minor side of 1 from which it is another. The third is a prediction interval that
        includes 1 although the confidence interval does not; two signs propose a move.
    few_events : int
        Events below which imprecision is proposed.
    events_per_variable : float
        Events for each variable of a model, below which a study counts as overfitted; imprecision is proposed when most
        studies that tell are.
    asymmetry_pvalue : float
        P-value of Debray's test below which publication bias is proposed.
    least_studies : int
        Studies below which that test is not done.
    large_effect : float
        Hazard ratio (or one over it) from which an upgrade is proposed.
    information_size : int
        Events below which imprecision is proposed for a direction, where there is no interval to look at.
    """

    high_risk_share: float = 0.5
    i2: float = 0.5
    minor_share: float = 0.25
    few_events: int = 100
    events_per_variable: float = 10.0
    asymmetry_pvalue: float = 0.1
    least_studies: int = 10
    large_effect: float = 2.0
    information_size: int = 400


_ALPHA: Final = 0.05
_BY_ALL: Final = " by all studies"
_SLACK: Final = 1e-9  # shares are sums of weights
_DEFAULT: Final = GradeRule()
_QUIPS_RULE: Final = OverallRule()


def overall_risk(
    review: Review, *, checklist: str | Checklist = QUIPS, rule: OverallRule = _QUIPS_RULE, assessor: str = ""
) -> RiskOfBias:
    """One risk of bias a study from the ratings of its domains.

    Parameters
    ----------
    review : Review
        `review.assessments` holds the ratings.
    checklist : Checklist or str
        The instrument, rated low, moderate or high.
    rule : OverallRule
        How the ratings of domains become one. QUIPS has no rule of its own; the default is one in use: high with any
        domain at high risk or three at moderate, low with at most one at moderate.
    assessor : str
        Whose ratings, where a study has several; by default all, which must then agree.

    Returns
    -------
    RiskOfBias

    Raises
    ------
    InvalidInputError
        If no study was rated, ratings are other words, or assessors of one study come to different risks.

    References
    ----------
    Hayden JA, van der Windt DA, Cartwright JL, Côté P, Bombardier C (2013). Assessing bias in studies of prognostic
    factors. Ann Intern Med 158:280-286. https://doi.org/10.7326/0003-4819-158-4-201302190-00009

    Examples
    --------
    >>> from netsynth.data.quality import QualityAssessment
    >>> from netsynth.data.study import Study
    >>> rated = [
    ...     QualityAssessment.of("Lund", QUIPS, ["low", "low", "moderate", "low", "low", "low"]),
    ...     QualityAssessment.of("Oslo", QUIPS, ["low", "moderate", "moderate", "low", "high", "low"]),
    ... ]
    >>> print(overall_risk(Review([Study("Lund"), Study("Oslo")], assessments=rated)))
    QUIPS: 1 at low risk, 0 at moderate risk, 1 at high risk (high with 1 or more domains at high risk or 3 or more at
    moderate; low with none at high and at most 1 at moderate; else moderate)
    """
    name = checklist if isinstance(checklist, str) else checklist.name
    found = [a for a in review.assessments if a.checklist.name == name and assessor in ("", a.assessor)]
    if not found:
        by = f" by {assessor}" if assessor else ""
        raise InvalidInputError(f"No study of the review was rated on {name!r}{by}.")
    risks: dict[str, RiskLevel] = {}
    for assessment in found:
        risk = rule.overall([rating for rating in assessment.ratings if rating])
        if risks.setdefault(assessment.study, risk) != risk:
            raise InvalidInputError(
                f"{review.study(assessment.study).label}: assessors come to different risks on {name}. Agree on one, "
                "or name the assessor."
            )
    labels = {study.id: study.label for study in review.studies}
    return RiskOfBias(name, rule, risks, labels, tuple(study for study in labels if study not in risks))


def grade_factor(
    summary: FactorSummary,
    factor: str,
    endpoint: str,
    *,
    phase: Phase,
    stratum: Stratum = "adjusted",
    risk: RiskOfBias | None = None,
    rule: GradeRule = _DEFAULT,
) -> FactorCertainty:
    """Start the worksheet of GRADE for a prognostic factor: every move proposed with its numbers, none decided.

    Parameters
    ----------
    summary : FactorSummary
        From `summarize_factors`.
    factor, endpoint : str
        In harmonised words, and a code.
    phase : {1, 2, 3}
        Phase of investigation of the studies: 1 looks for factors, 2 confirms that one is independent, 3 explains how
        it acts. It sets the start, moderate for 1 and high for 2 and 3 [1]_, and is never guessed.
    stratum : str
        Kind of analysis.
    risk : RiskOfBias, optional
        From `overall_risk`; without it study limitations are left to be judged.
    rule : GradeRule
        Where moves are proposed.

    Returns
    -------
    FactorCertainty
        Frozen. ``judge(domain, text, move=...)`` records a judgement.

    Raises
    ------
    KeyError
        If the summary has no such factor and endpoint.
    InvalidInputError
        If no study has a usable ratio of this kind, several have one of a kind not stated, or a word is unknown.

    Notes
    -----
    Indirectness and the exposure gradient are never proposed: no printed number tells them. What is computed for the
    others is in ``reason``. Each proposal is one step; the author may take two.

    References
    ----------
    .. [1] Huguet A, Hayden JA, Stinson J, McGrath PJ, Chambers CT, Tougas ME, Wozney L (2013). Judging the quality of
       evidence in reviews of prognostic factor research: adapting the GRADE framework. Syst Rev 2:71.
       https://doi.org/10.1186/2046-4053-2-71

    Examples
    --------
    >>> from netsynth.datasets import load_nethm
    >>> from netsynth.prognostic import summarize_factors
    >>> sheet = grade_factor(summarize_factors(load_nethm()), "extrahepatic disease", "OS", phase=1)
    >>> sheet.certainty, sheet.status, sheet.open_domains[:2]
    ('low', 'incomplete', ('study limitations', 'inconsistency'))
    >>> sheet = sheet.judge("indirectness", "Resected patients, as in the question.", move=0)
    >>> print(sheet.move("indirectness"))
    0 (judged): no printed number tells it | Resected patients, as in the question.
    """
    _check_phase(phase)
    _validate.choice(stratum, "stratum", get_args(Stratum))
    ratios = summary.row(factor, endpoint).ratios(stratum)
    if not ratios.used:
        raise InvalidInputError(
            f"{factor}, {endpoint}: no study has a usable {stratum} hazard ratio to grade. grade_directions grades "
            "what studies say without one."
        )
    pooled = ratios.pooled or single_ratio(ratios)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)  # what they say is in the reasons
        silent = bound_reporting(summary, factor, endpoint, stratum=stratum)
        publication = _publication(summary, silent, ratios, pooled, rule)
    proposals: dict[str, _Proposal] = {
        "study limitations": _limitations(ratios.used, pooled.weight.tolist(), "weight", risk, rule),
        "inconsistency": _inconsistency(pooled, rule),
        "indirectness": _INDIRECTNESS,
        "imprecision": _imprecision(ratios, pooled, rule),
        "publication bias": publication,
        "effect size": _size(ratios, pooled, rule),
        "exposure gradient": _GRADIENT,
    }
    return FactorCertainty(
        factor, endpoint, stratum, phase, _moves(proposals), ratios.k, ratios.n_patients, ratios.n_events
    )


def grade_directions(
    summary: FactorSummary,
    factor: str,
    endpoint: str,
    *,
    phase: Phase,
    risk: RiskOfBias | None = None,
    rule: GradeRule = _DEFAULT,
) -> FactorCertainty:
    """Start the worksheet of GRADE for a factor without a pooled ratio: the certainty that one level does worse.

    What is graded is the direction that most studies found, by the advice for evidence without a single estimate [1]_.
    Each move is proposed with its numbers where there are any. What would need the size of an effect is left open and
    says so.

    Parameters
    ----------
    summary : FactorSummary
        From `summarize_factors`.
    factor, endpoint : str
        In harmonised words, and a code. Certainty is of one outcome, so "any" is refused.
    phase : {1, 2, 3}
        As in `grade_factor`.
    risk : RiskOfBias, optional
        From `overall_risk`; without it study limitations are left to be judged.
    rule : GradeRule
        Where moves are proposed.

    Returns
    -------
    FactorCertainty
        Frozen, its `stratum` "direction". ``judge(domain, text, move=...)`` records a judgement.

    Raises
    ------
    KeyError
        If the summary has no such factor and endpoint.
    InvalidInputError
        If no direction is stated or inferred, the endpoint is "any", or the phase is none.

    Notes
    -----
    Every counted study weighs the same, as in the count. Studies that state no direction could have found either, and
    one inferred from a significant result is had for such results only. Where they could change what is proposed,
    inconsistency is left open; where they could take the sign test from below 0.05 to above it, or no other tells a
    direction, publication bias is proposed. Without an interval precision is judged by the information there is:
    there are no more events than patients, so fewer patients than `GradeRule.information_size` are too few events for
    certain, while many patients say nothing of events.

    References
    ----------
    .. [1] Murad MH, Mustafa RA, Schünemann HJ, Sultan S, Santesso N (2017). Rating the certainty in evidence in the
       absence of a single estimate of effect. Evid Based Med 22:85-87. https://doi.org/10.1136/ebmed-2017-110668

    Examples
    --------
    >>> from netsynth.datasets import load_nethm
    >>> from netsynth.prognostic import summarize_factors
    >>> sheet = grade_directions(summarize_factors(load_nethm()), "extrahepatic disease", "OS", phase=1)
    >>> sheet.certainty, sheet.status
    ('low', 'incomplete')
    >>> print(sheet.move("inconsistency"))
    ? (to be judged): 1 of 1 stated direction worse; 2 inferred from a significant result, which may be on the other
    side
    """
    _check_phase(phase)
    row = summary.row(factor, endpoint)
    if row.endpoint == ANY_ENDPOINT:
        raise InvalidInputError(
            f"{factor}: certainty is of one outcome; name one of {_format.listing(row.endpoints)}."
        )
    count = row.directions
    if not count.n_directed:
        raise InvalidInputError(f"{factor}, {endpoint}: no study tells a direction to grade.")
    proposals: dict[str, _Proposal] = {
        "study limitations": _limitations(row.counted, [1.0 / row.k] * row.k, "studies", risk, rule),
        "inconsistency": _inconsistent_directions(count, rule),
        "indirectness": _INDIRECTNESS,
        "imprecision": _information(row, rule),
        "publication bias": _unreported(summary, row, count),
        "effect size": (None, "not assessable: a direction tells no size"),
        "exposure gradient": _GRADIENT,
    }
    events = [result.n_events for result in row.counted]
    total = None if None in events else sum(n or 0 for n in events)
    return FactorCertainty(
        factor, endpoint, DIRECTION, phase, _moves(proposals), row.k, row.n_patients, total
    )


_INDIRECTNESS: Final[_Proposal] = (None, "no printed number tells it")
_GRADIENT: Final[_Proposal] = (None, "no printed number of two levels tells it")


def _check_phase(phase: object) -> None:
    if phase not in PHASES or isinstance(phase, bool):
        raise InvalidInputError(
            f"phase must be 1, 2 or 3, the phase of investigation of the studies; got {phase!r}."
        )


def _moves(proposals: dict[str, _Proposal]) -> tuple[CertaintyMove, ...]:
    return tuple(CertaintyMove(domain, *proposal) for domain, proposal in proposals.items())  # type: ignore[arg-type]


def _limitations(
    results: Sequence[FactorEvidence],
    weights: Sequence[float],
    weighed: str,
    risk: RiskOfBias | None,
    rule: GradeRule,
) -> _Proposal:
    """Share of the evidence at high risk of bias, by ratings and by cut-points that were chosen by the outcome."""
    share = dict.fromkeys(("low", "moderate", "high", ""), 0.0)
    chosen = doubtful = unknown = 0.0
    for result, weight in zip(results, weights, strict=True):
        level = "" if risk is None else risk.risks.get(result.study, "")
        share[level] += weight
        chosen += weight * result.is_cut_point_chosen
        doubtful += weight * (level == "high" or result.is_cut_point_chosen)
        unknown += weight * (level == "" and not result.is_cut_point_chosen)
    if risk is None:
        said = "no ratings of risk of bias were given"
    else:
        said = f"{100 * share['high']:.0f}% of the {weighed} at high risk of bias by {risk.checklist}"
        said += f", {100 * share['']:.0f}% not rated" if share[""] > 0 else ""
    if chosen:
        where = chosen_cut_points(results)
        said += f"; cut-point chosen by the outcome in {where}, {100 * chosen:.0f}% of the {weighed}"
    least = rule.high_risk_share - _SLACK
    return (-1 if doubtful >= least else None if risk is None or doubtful + unknown >= least else 0), said


def _inconsistency(pooled: PooledEffect, rule: GradeRule) -> _Proposal:
    if not pooled.pooled:
        return None, "one study"
    ci, ahead = pooled.confidence_interval(), pooled.prediction_interval()
    above = int((pooled.study_estimate > 0).sum())
    minor = min(above, int((pooled.study_estimate < 0).sum()))
    crosses = ahead.lower <= 0 <= ahead.upper and not ci.lower <= 0 <= ci.upper
    signs = [pooled.i2 >= rule.i2, minor >= rule.minor_share * pooled.k, crosses]
    said = [f"I\u00b2 {100 * pooled.i2:.0f}%", f"{above} of {pooled.k} ratios above 1"]
    if not math.isnan(ahead.lower):
        low, high = map(_format.ratio, pooled.natural_prediction_interval())
        said.append(
            f"95% PI {_format.span(low, high)}{', which includes 1 though the CI does not' if crosses else ''}"
        )
    return (-1 if sum(signs) > 1 else 0), "; ".join(said)


def _interval(ratios: HazardRatios, pooled: PooledEffect) -> Interval:
    """Limits of the log ratio that are shown; those of one study as it prints them."""
    return pooled.confidence_interval() if pooled.pooled else ratios.used[0].limits()


def _span(ratios: HazardRatios, pooled: PooledEffect) -> str:
    """The 95% interval as it stands everywhere: of one study as printed, or computed and saying from what."""
    if not pooled.pooled:
        only = ratios.used[0]
        origin = only.computed_from()
        return f"{only.shown_limits()}{f' from {origin}' if origin else ''}"
    return _format.span(*map(_format.ratio, pooled.natural_interval()))


def _imprecision(ratios: HazardRatios, pooled: PooledEffect, rule: GradeRule) -> _Proposal:
    low, high = _interval(ratios, pooled)
    signs = []
    said = [f"95% CI {_span(ratios, pooled)}"]
    if low <= 0 <= high:
        signs.append(True)
        said[0] += " includes 1"
    if ratios.k == 1:
        signs.append(True)
        said.append("one study")
    if ratios.n_events is None:
        said.append(f"events not stated{_BY_ALL if ratios.k > 1 else ''}")
    else:
        signs.append(ratios.n_events < rule.few_events)
        said.append(_format.plural(ratios.n_events, "event"))
    told = [
        r
        for r in ratios.used
        if r.n_events is not None and (r.adjusted_for or ratios.stratum == "unadjusted")
    ]
    if told:
        few = sum(
            r.n_events < rule.events_per_variable * (len(r.adjusted_for) + 1)
            for r in told
            if r.n_events is not None
        )
        signs.append(few > 0.5 * len(told))
        said.append(f"fewer than {rule.events_per_variable:g} events a variable in {few} of {len(told)}")
    return (-1 if any(signs) else 0), "; ".join(said)


def _publication(
    summary: FactorSummary,
    silent: ReportingBounds,
    ratios: HazardRatios,
    pooled: PooledEffect,
    rule: GradeRule,
) -> _Proposal:
    said, moves = [], []
    if pooled.k < rule.least_studies:
        said.append(f"no test of asymmetry with fewer than {rule.least_studies} ratios")
    else:
        try:
            test = assess_factor_asymmetry(summary, silent.factor, silent.endpoint, stratum=silent.stratum)
        except InvalidInputError:
            said.append("Debray's test needs the events of all studies")
        else:
            moves.append(test.pvalue < rule.asymmetry_pvalue)
            said.append(f"Debray's test (FIV) {_format.pvalue(test.pvalue)}")
    if silent.k_silent:
        low, high = map(_format.ratio, silent.natural_bounds)
        number = _format.plural(silent.k_silent, "study", "studies")
        least, most = _interval(ratios, pooled)
        turns = not least <= 0 <= most and not math.isnan(silent.turning_log_hr)
        moves.append(turns)
        said.append(
            f"{number} without a number bounded, {silent.tau2_words}: HR {_format.span(low, high)}"
            f"{', and they could turn the conclusion' if turns else ''}"
        )
    if silent.k_unbounded:
        said.append(f"{_format.plural(silent.k_unbounded, 'study', 'studies')} without a number not bounded")
    return (-1 if any(moves) else 0 if moves else None), "; ".join(said)


def _size(ratios: HazardRatios, pooled: PooledEffect, rule: GradeRule) -> _Proposal:
    if not pooled.pooled:
        only = ratios.used[0]
        return 0, f"HR {only.shown_ratio} (95% CI {_span(ratios, pooled)}) of one study"
    low, high = _interval(ratios, pooled)
    large = abs(pooled.estimate) >= np.log(rule.large_effect) and not low <= 0 <= high
    said = f"HR {_format.ratio(pooled.natural)} (95% CI {_span(ratios, pooled)})"
    if large and (chosen := chosen_cut_points(ratios.used)):
        return 0, f"{said}, which owes something to the cut-point chosen by the outcome in {chosen}"
    return int(large), said


def _inconsistent_directions(count: DirectionCount, rule: GradeRule) -> _Proposal:
    worse, q, unknown = count.n_stated_worse, count.n_stated, count.n_open
    minor = min(worse, q - worse)
    said = f"{worse} of {_format.plural(q, 'stated direction')} worse" if q else "no direction is stated"
    said += f", no difference in {count.n_none}" if count.n_none else ""
    if count.k == 1:
        return None, "one study"
    if q > 1 and minor >= rule.minor_share * q:
        return -1, said
    silent = [f"{count.n_not_stated} not stated"] if count.n_not_stated else []
    silent += [f"{count.n_inferred} inferred from a significant result"] if count.n_inferred else []
    said = "; ".join([said, *([_format.listing(silent)] if silent else [])])
    if minor + unknown >= rule.minor_share * (q + unknown) and unknown:
        return None, f"{said}, which may be on the other side"
    return (None if q < 2 else 0), said


def _information(row: FactorRow, rule: GradeRule) -> _Proposal:
    """Too little for certain, or open: without an interval nothing shows that there is enough."""
    sizes = [result.n_patients for result in row.counted]
    events = [result.n_events for result in row.counted]
    silent = sum(result.is_not_significant for result in row.counted)
    n_stated = row.directions.n_stated
    alone = n_stated < 2
    said: list[str] = []
    signs = [alone, silent == row.k]
    if alone:
        number = "one study states" if n_stated else "no study states"
        said.append(f"{number} a direction" if row.k > 1 else "one study")
    patients, by_all = _format.plural(row.n_patients, "patient"), _BY_ALL if row.k > 1 else ""
    if None not in events:
        known = sum(n or 0 for n in events)
        signs.append(known < rule.information_size)
        below = f", fewer than {rule.information_size}" if known < rule.information_size else ""
        said.append(f"{_format.plural(known, 'event')}{below}")
    elif None not in sizes and row.n_patients < rule.information_size:
        signs.append(True)
        said.append(f"{patients}, so fewer than {rule.information_size} events")
    elif None not in sizes:
        said.append(f"{patients}, events not stated{by_all}")
    else:
        said.append(f"{patients} and events not stated{by_all}" if row.n_patients else "patients not stated")
    said += row.significance_words[:1]
    return (
        (-1, "; ".join(said))
        if any(signs)
        else (None, "; ".join(["not assessable without an interval", *said]))
    )


def _unreported(summary: FactorSummary, row: FactorRow, count: DirectionCount) -> _Proposal:
    """What directions that are not stated could change, and how many studies do not name the factor."""
    move: int | None = None
    said: list[str] = []
    if count.n_open and count.pvalue < _ALPHA:
        turns = count.pvalue_bounds.upper >= _ALPHA
        move = -1 if turns else 0
        could = "could lift" if turns else "could not lift"
        said.append(
            f"{count.test_words}, which {count.n_open} without a stated direction {could} above {_ALPHA:g}"
        )
    if not count.n_stated:
        move = -1
        said.append(f"every direction ({count.n_inferred}) is told by a significant result only")
    everybody = {result.study for each in summary.rows for result in each.results}
    naming = {result.study for each in summary.rows if each.factor == row.factor for result in each.results}
    if everybody - naming:
        said.append(f"not named by {len(everybody - naming)} of {len(everybody)} studies of factors")
    return move, "; ".join(said) or "not assessable: no ratios to test for asymmetry"
