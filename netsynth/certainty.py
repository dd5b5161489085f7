"""The certainty of the evidence on prognostic factors: risk of bias over domains, and the worksheet of GRADE."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Final, get_args

import numpy as np

from netsynth import _format, _validate
from netsynth.data.quality import QUIPS, Checklist
from netsynth.data.review import Review
from netsynth.errors import InvalidInputError, NetsynthWarning
from netsynth.factor_pooling import assess_factor_asymmetry, bound_reporting, single_ratio
from netsynth.results.certainty import PHASES, CertaintyMove, FactorCertainty, Phase
from netsynth.results.evidence import HazardRatios, Stratum
from netsynth.results.pooled import PooledEffect
from netsynth.results.prognostic import FactorSummary
from netsynth.results.reporting_bounds import ReportingBounds
from netsynth.results.risk_of_bias import OverallRule, RiskLevel, RiskOfBias

__all__ = ["GradeRule", "grade_factor", "overall_risk"]

_Proposal = tuple[int | None, str]


@dataclass(frozen=True, slots=True)
class GradeRule:
    """Where the worksheet proposes a move. GRADE names no such numbers; these are defaults to be changed in the open.

    Parameters
    ----------
    high_risk_share : float
        Share of the weight in studies at high risk of bias from which limitations are proposed.
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
    """

    high_risk_share: float = 0.5
    i2: float = 0.5
    minor_share: float = 0.25
    few_events: int = 100
    events_per_variable: float = 10.0
    asymmetry_pvalue: float = 0.1
    least_studies: int = 10
    large_effect: float = 2.0


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
        If no study has a usable ratio of this kind, or a word is unknown.

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
    if phase not in PHASES or isinstance(phase, bool):
        raise InvalidInputError(
            f"phase must be 1, 2 or 3, the phase of investigation of the studies; got {phase!r}."
        )
    _validate.choice(stratum, "stratum", get_args(Stratum))
    ratios = summary.row(factor, endpoint).ratios(stratum)
    if not ratios.used:
        raise InvalidInputError(
            f"{factor}, {endpoint}: no study has a usable {stratum} hazard ratio to grade."
        )
    pooled = ratios.pooled or single_ratio(ratios)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)  # what they say is in the reasons
        silent = bound_reporting(summary, factor, endpoint, stratum=stratum)
        publication = _publication(summary, silent, pooled, rule)
    proposals: dict[str, _Proposal] = {
        "study limitations": _limitations(ratios, pooled, risk, rule),
        "inconsistency": _inconsistency(pooled, rule),
        "indirectness": (None, "no printed number tells it"),
        "imprecision": _imprecision(ratios, pooled, rule),
        "publication bias": publication,
        "effect size": _size(pooled, rule),
        "exposure gradient": (None, "no printed number of two levels tells it; see trend_of_categories"),
    }
    moves = tuple(CertaintyMove(domain, *proposal) for domain, proposal in proposals.items())  # type: ignore[arg-type]
    return FactorCertainty(
        factor, endpoint, stratum, phase, moves, ratios.k, ratios.n_patients, ratios.n_events
    )


def _limitations(
    ratios: HazardRatios, pooled: PooledEffect, risk: RiskOfBias | None, rule: GradeRule
) -> _Proposal:
    if risk is None:
        return None, "no ratings of risk of bias were given"
    share = dict.fromkeys(("low", "moderate", "high", ""), 0.0)
    for result, weight in zip(ratios.used, pooled.weight, strict=True):
        share[risk.risks.get(result.study, "")] += float(weight)
    said = f"{100 * share['high']:.0f}% of the weight at high risk of bias by {risk.checklist}"
    if share[""] > 0:
        said += f", {100 * share['']:.0f}% not rated"
    if share["high"] >= rule.high_risk_share:
        return -1, said
    if share["high"] + share[""] >= rule.high_risk_share:
        return None, said
    return 0, said


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


def _imprecision(ratios: HazardRatios, pooled: PooledEffect, rule: GradeRule) -> _Proposal:
    low, high = pooled.natural_interval()
    signs = []
    said = [f"95% CI {_format.span(_format.ratio(low), _format.ratio(high))}"]
    if low <= 1 <= high:
        signs.append(True)
        said[0] += " includes 1"
    if ratios.k == 1:
        signs.append(True)
        said.append("one study")
    if ratios.n_events is None:
        said.append("events not stated by all studies")
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
    summary: FactorSummary, silent: ReportingBounds, pooled: PooledEffect, rule: GradeRule
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
        least, most = pooled.confidence_interval()
        turns = not least <= 0 <= most and not math.isnan(silent.turning_log_hr)
        moves.append(turns)
        said.append(
            f"{number} without a number bounded: HR {_format.span(low, high)}"
            f"{', and they could turn the conclusion' if turns else ''}"
        )
    if silent.k_unbounded:
        said.append(f"{_format.plural(silent.k_unbounded, 'study', 'studies')} without a number not bounded")
    return (-1 if any(moves) else 0 if moves else None), "; ".join(said)


def _size(pooled: PooledEffect, rule: GradeRule) -> _Proposal:
    low, high = pooled.natural_interval()
    large = abs(pooled.estimate) >= np.log(rule.large_effect) and not low <= 1 <= high
    span = _format.span(_format.ratio(low), _format.ratio(high))
    said = f"HR {_format.ratio(pooled.natural)} (95% CI {span})"
    return (int(large), said) if pooled.pooled else (0, f"{said} of one study")
