"""What studies say of prognostic factors: harmonised, one result a study, counted and pooled."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from netsynth import _format, _validate
from netsynth.data.endpoint import Endpoint
from netsynth.data.factor import Analysis, Direction, ReportedFactor
from netsynth.data.harmonise import FACTOR_MAP, FactorMap, HarmonisedResult, spelling, stated
from netsynth.data.review import Review
from netsynth.data.selection import OVERLAP_RULES, Exclusion, OverlapRule, overlap_clusters
from netsynth.data.study import ROLES, Role, Study
from netsynth.errors import (
    Caution,
    HarmonisationWarning,
    ImputedVarianceWarning,
    InconsistentReportWarning,
    InvalidInputError,
    NetsynthWarning,
    OverlapWarning,
    caution,
)
from netsynth.hazard_ratio import hazard_ratio
from netsynth.kernels.intervals import CiMethod
from netsynth.kernels.tau2 import Tau2Estimator, Tau2Method
from netsynth.pool import pool_effects
from netsynth.results.evidence import (
    ANY_ENDPOINT,
    INFERRED,
    STRATA,
    DirectionBasis,
    FactorEvidence,
    FactorRow,
    HazardRatios,
    Stratum,
)
from netsynth.results.hazard_ratio import HazardRatioEstimate
from netsynth.results.pooled import PooledEffect
from netsynth.results.prognostic import FactorSummary, MappedName

__all__ = ["summarize_factors"]

#: Of several results of a study the one that adjusts for most is counted.
_PREFERRED: Final[tuple[Analysis, ...]] = ("multivariable", "matched", "univariable", "not stated")
_OPPOSITE: Final[Mapping[Direction, Direction]] = {"worse": "better", "better": "worse"}
_Harmonised: TypeAlias = tuple[ReportedFactor, HarmonisedResult]


def summarize_factors(
    review: Review,
    *,
    mapping: FactorMap = FACTOR_MAP,
    endpoints: Sequence[str | Endpoint] | None = None,
    sets: Sequence[str] | None = None,
    roles: Sequence[Role] = ("overall", "arm"),
    overlap: OverlapRule = "largest",
    infer_direction: bool = True,
    tau2_method: Tau2Method | Tau2Estimator = "REML",
    ci_method: CiMethod = "mHK",
) -> FactorSummary:
    r"""Put together what the studies of a review say of each prognostic factor.

    Factors and levels are harmonised by `mapping`; for each factor and endpoint one result a study is
    counted by direction and by significance, the directions are tested by the sign test, and hazard ratios
    are pooled; adjusted, matched and unadjusted ones apart.

    Parameters
    ----------
    review : Review
        The studies; `review.factors` holds their results.
    mapping : FactorMap
        What factors and levels are called in papers. Add your own with ``FACTOR_MAP.extended(...)``.
    endpoints : sequence of str or Endpoint, optional
        Endpoints to summarise; by default all. They are kept apart, and each factor has besides a row in
        which a study counts once over all of them.
    sets, roles : sequence of str
        Evidence sets (None uses all) and groups to use, as in `Review.select_survival`.
    overlap : {"largest", "latest", "keep"}
        Which of several studies that share patients is counted.
    infer_direction : bool
        Whether a significant result that names its adverse level, but prints no ratio and no direction,
        counts as worse for that level. If not, its direction is not known.
    tau2_method, ci_method
        As in `pool_effects`.

    Returns
    -------
    FactorSummary
        With the evidence behind every count, the mapping as it was applied, and what was left out and why.

    Raises
    ------
    InvalidInputError
        If the review has no result to summarise, an endpoint is not in its vocabulary, `mapping` is not a
        `FactorMap`, or a word is not one of those above.

    Warns
    -----
    HarmonisationWarning
        Results are counted or pooled together although their levels are worded differently and the mapping
        does not know them, or name different cut-points.
    ImputedVarianceWarning
        A pooled standard error rests on a p-value printed as a bound.
    InconsistentReportWarning
        A confidence interval is not symmetric around its ratio on the log scale.
    OverlapWarning
        With ``overlap="keep"``, when studies that share patients are counted together.

    Notes
    -----
    Of several results of a study, the multivariable one is counted before the matched, the univariable and
    the one not stated, then the one with most patients, then the most adverse level. The sign test [1]_ asks
    whether worse and better are equally likely; it says nothing about the size of an effect, and assumes
    that each study would find either direction with the same probability [2]_. The standard error of a log
    hazard ratio comes from the confidence interval, else from the p-value [3]_; a p-value printed as "< 0.05"
    is taken at 0.05, which makes the standard error too large rather than too small. Rounding of the ratio
    adds its variance.

    References
    ----------
    .. [1] Hilton Boon M, Thomson H (2021). The effect direction plot revisited: Application of the 2019
       Cochrane Handbook guidance on alternative synthesis methods. Res Synth Methods 12:29-33.
       https://doi.org/10.1002/jrsm.1458
    .. [2] Nikolakopoulos S (2020). Misuse of the sign test in narrative synthesis of evidence. Res Synth
       Methods 11:714-719. https://doi.org/10.1002/jrsm.1427
    .. [3] Tierney JF, Stewart LA, Ghersi D, Burdett S, Sydes MR (2007). Practical methods for incorporating
       summary time-to-event data into meta-analysis. Trials 8:16. https://doi.org/10.1186/1745-6215-8-16

    Examples
    --------
    >>> from netsynth.data.endpoint import find_endpoint
    >>> from netsynth.data.number import ReportedNumber
    >>> os = find_endpoint("OS")
    >>> review = Review(
    ...     (Study("Mayo"), Study("Saxena"), Study("Xiang")),
    ...     factors=(
    ...         ReportedFactor("Mayo", "extrahepatic disease", os, "present", "absent", "multivariable",
    ...                        hazard_ratio=ReportedNumber("3.0", "ratio"), significance="yes"),
    ...         ReportedFactor("Saxena", "extrahepatic disease", os, "present", "absent", significance="yes"),
    ...         ReportedFactor("Xiang", "Extrahepatic metastases", os, "yes", "no", significance="yes"),
    ...     ),
    ... )
    >>> print(summarize_factors(review).narrative())
    Extrahepatic disease (present vs absent; OS): 3 studies; worse in 3 of 3 studies with a direction (95% CI
    29–100%; sign test p = 0.25); significant in 3 of 3; no usable hazard ratio.
    """
    if not isinstance(mapping, FactorMap):
        raise InvalidInputError(f"mapping must be a FactorMap; got {mapping!r:.60}.")
    _validate.choice(overlap, "overlap", OVERLAP_RULES)
    for role in roles:
        _validate.choice(role, "roles", ROLES)
    wanted = None if endpoints is None else {review.endpoint(word) for word in endpoints}
    eligible, excluded = _eligible(review, wanted, sets, roles)
    if not eligible:
        raise InvalidInputError(
            "The review has no result of a prognostic factor for this question. Give `factors` to the Review, "
            "or ask for other endpoints, sets or roles."
        )
    harmonised = _aligned([(result, mapping.harmonised(result)) for result in eligible])
    labels = {study.id: study.label for study in review.studies}
    cautions: list[Caution] = []
    clusters = overlap_clusters(review.studies)
    shared = {study: min(cluster) for study, cluster in clusters.items()}
    groups: dict[str, list[FactorEvidence]] = {}
    for pair in harmonised:
        result = replace(_evidence(*pair, labels, infer_direction, cautions), cluster=shared[pair[0].study])
        groups.setdefault(result.factor, []).append(result)

    choice = _Choice(
        {study.id: study for study in review.studies},
        clusters,
        [endpoint.code for endpoint in review.endpoints],
        roles,
        overlap,
    )
    overall = {factor: _row(factor, ANY_ENDPOINT, results, choice, ()) for factor, results in groups.items()}
    rows: list[FactorRow] = []
    for factor in sorted(groups, key=lambda name: (-overall[name].k, spelling(name))):
        rows.append(overall[factor])
        found = sorted({result.endpoint for result in groups[factor]}, key=choice.endpoints.index)
        for code in found:
            results = [result for result in groups[factor] if result.endpoint == code]
            ratios = []
            for stratum in STRATA:
                ratios += _hazard_ratios(stratum, results, choice, tau2_method, ci_method, cautions)
            rows.append(_row(factor, code, results, choice, tuple(ratios)))
    for row in rows:
        _doubt_row(row, choice, cautions)
    pooled = [ratios.pooled for row in rows for ratios in row.hazard_ratios if ratios.pooled is not None]
    cautions += [said for effect in pooled for said in effect.warnings]
    return FactorSummary(
        review.title,
        tuple(rows),
        _mapped(harmonised),
        tuple(excluded),
        choice.rule,
        tuple(dict.fromkeys(cautions)),
    )


def _eligible(
    review: Review, wanted: set[Endpoint] | None, sets: Sequence[str] | None, roles: Sequence[Role]
) -> tuple[list[ReportedFactor], list[Exclusion]]:
    """Results that answer the question, and those left out before any is compared with another."""
    kept, excluded = [], []
    for result in review.factors:
        group, why = result.group, None
        if wanted is not None and result.endpoint not in wanted:
            continue
        if result.analysis == "pooled":
            why = ("pooled result", "the result of another meta-analysis, no study's own")
        elif group.role not in roles:
            why = (group.role, f"{group.role} group; asked for {_format.listing(roles)}")
        elif group.duplicate:
            why = ("duplicate", "marked as a duplicate of figures another study reports")
        elif sets is not None and group.evidence_set not in sets:
            why = ("other evidence set", f"set {group.evidence_set!r}; asked for {_format.listing(sets)}")
        if why is None:
            kept.append(result)
        else:
            excluded.append(
                Exclusion(result.study, *why, result.row_id, f"{result.factor}, {result.endpoint}")
            )
    return kept, excluded


def _aligned(pairs: Sequence[_Harmonised]) -> list[_Harmonised]:
    """One name and one direction of levels also for what the mapping does not know.

    Names that differ in spelling only become one, and the same two levels printed the other way round are
    turned to the more frequent way (the first of the alphabet when both are as frequent).
    """
    names: dict[str, str] = {}
    for _, found in pairs:
        key = spelling(found.factor)
        names[key] = min(names.get(key, found.factor), found.factor)

    def words(found: HarmonisedResult) -> tuple[str, str, str]:
        return spelling(found.factor), spelling(found.adverse), spelling(found.reference)

    loose = Counter(words(found) for _, found in pairs if found.orientation == "not in the mapping")
    aligned = []
    for result, found in pairs:
        found = replace(found, factor=names[spelling(found.factor)])
        factor, adverse, reference = words(found)
        other = (factor, reference, adverse)
        if found.orientation == "not in the mapping" and adverse != reference and other in loose:
            here = loose[words(found)]
            if (loose[other], other < words(found)) > (here, False):
                found = replace(
                    found, adverse=found.reference, reference=found.adverse, orientation="inverted"
                )
        aligned.append((result, found))
    return aligned


def _evidence(
    result: ReportedFactor,
    found: HarmonisedResult,
    labels: Mapping[str, str],
    infer_direction: bool,
    cautions: list[Caution],
) -> FactorEvidence:
    turned = found.orientation == "inverted"
    sign = -1.0 if turned else 1.0
    ends = tuple(sign * end for end in result.log_ci)
    low, high = ends[:: -1 if turned else 1]
    ratio, problem, doubts = _ratio(result)
    for doubt in doubts:
        message = f"{result.factor}, {result.endpoint}: {doubt}"
        cautions.append(caution(InconsistentReportWarning, message, where=labels[result.study], stacklevel=4))
    direction, basis = _direction(result, turned, infer_direction)
    level = (
        ""
        if result.ci is None or result.ci.level in (None, 0.95)
        else f"{100 * (result.ci.level or 0):g}% CI "
    )
    printed = (
        f"{result.hazard_ratio}{f' ({level}{result.ci})' if result.ci else ''}" if result.hazard_ratio else ""
    )
    return FactorEvidence(
        study=result.study,
        label=labels[result.study],
        printed_factor=result.factor,
        printed_adverse=stated(result.adverse_level),
        printed_reference=stated(result.reference_level),
        factor=found.factor,
        adverse_level=found.adverse,
        reference_level=found.reference,
        orientation=found.orientation,
        endpoint=result.endpoint.code,
        analysis=result.analysis,
        adjusted_for=result.adjusted_for,
        group=result.group,
        printed_ratio=printed,
        ratio_inverted=bool(printed) and result.is_inverted != turned,
        log_hr=sign * (result.log_hr if problem else ratio.estimate),
        log_ci_lower=low,
        log_ci_upper=high,
        se=math.nan if problem else ratio.se,
        se_route="" if problem else ratio.route,
        se_problem=problem if result.hazard_ratio is not None or ratio.routes else "",
        pvalue=result.pvalue,
        significance=result.significance,
        direction=direction,
        direction_basis=basis,
        level_rank=found.rank,
        mixed=found.mixed,
        source=result.source,
        row_id=result.row_id,
        n_events=result.n_events,
        events_by_level=_turned(result.events_by_level, turned),
    )


def _turned(pair: tuple[int, int] | None, turned: bool) -> tuple[int, int] | None:
    return None if pair is None else (pair[1], pair[0]) if turned else pair


def _ratio(result: ReportedFactor) -> tuple[HazardRatioEstimate, str, list[str]]:
    """The hazard ratio of a result, why it cannot be pooled, and what is inconsistent."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)  # they travel with the ratio
        ratio = hazard_ratio(result)
    problem = ratio.problem
    if ratio.bound == "ratio":
        problem = "the p-value is a bound, so the ratio is known on one side only"
    inconsistent = InconsistentReportWarning.__name__
    return ratio, problem, [said.message for said in ratio.warnings if said.name == inconsistent]


def _direction(result: ReportedFactor, turned: bool, infer: bool) -> tuple[Direction, DirectionBasis]:
    """How the harmonised adverse level fares, and what says so."""
    shown = result.shown_direction
    basis: DirectionBasis = (
        "" if shown == "not stated" else "stated" if math.isnan(result.log_hr) else "hazard ratio"
    )
    if not basis and infer and result.significance == "yes" and stated(result.adverse_level):
        shown, basis = "worse", INFERRED
    if turned:
        shown = _OPPOSITE.get(shown, shown)
    return shown, basis


@dataclass(frozen=True)
class _Choice:
    """One result a study, and one study of those that share patients."""

    studies: Mapping[str, Study]
    clusters: Mapping[str, frozenset[str]]
    endpoints: Sequence[str]
    roles: Sequence[Role]
    overlap: OverlapRule

    @property
    def rule(self) -> str:
        return (
            f"One result a study: groups in the order {_format.listing(self.roles)}, then "
            f"{_format.listing(_PREFERRED)}, then the most patients, then the most adverse level; for any endpoint "
            f"the first of {', '.join(self.endpoints[:3])}, ...; {OVERLAP_RULES[self.overlap]}."
        )

    def __call__(self, results: Iterable[FactorEvidence]) -> list[FactorEvidence]:
        """The results, those not taken with the reason."""
        found = list(results)
        by_study: dict[str, list[FactorEvidence]] = {}
        for result in found:
            by_study.setdefault(result.study, []).append(result)
        best = {study: min(several, key=self._preference) for study, several in by_study.items()}
        kept = dict.fromkeys(best, "")
        if self.overlap != "keep":
            for cluster in {self.clusters[study] for study in best}:
                members = sorted(cluster & best.keys(), key=lambda study: self._size(best[study]))
                for study in members[:-1]:
                    kept[study] = f"may share patients with {best[members[-1]].label}, which was counted"
        return [
            replace(r, left_out=kept[r.study])
            if r is best[r.study]
            else replace(r, left_out=f"{_shortly(best[r.study])} of the same study was preferred")
            for r in found
        ]

    def _preference(self, result: FactorEvidence) -> tuple[object, ...]:
        return (
            self.endpoints.index(result.endpoint),
            self.roles.index(result.group.role),
            _PREFERRED.index(result.analysis),
            -(result.n_patients or 0),
            result.level_rank,
            # what follows only makes the choice the same in any order of the rows
            result.row_id,
            result.printed_factor,
            result.printed_adverse,
            result.printed_reference,
            str(result.group.to_dict()),
        )

    def _size(self, result: FactorEvidence) -> tuple[object, ...]:
        study = self.studies[result.study]
        size, year = result.n_patients or study.n_patients or 0, study.year or 0
        return (size, year, study.id) if self.overlap == "largest" else (year, size, study.id)


def _shortly(result: FactorEvidence) -> str:
    patients = "" if result.n_patients is None else f", n = {result.n_patients}"
    return f"{result.printed_levels} ({result.endpoint}, {result.analysis}{patients})"


def _row(
    factor: str,
    endpoint: str,
    results: Sequence[FactorEvidence],
    choice: _Choice,
    ratios: tuple[HazardRatios, ...],
) -> FactorRow:
    chosen = choice(results)
    known = {(r.adverse_level, r.reference_level) for r in chosen if r.adverse_level or r.reference_level}
    adverse, reference = known.pop() if len(known) == 1 else ("", "")
    return FactorRow(factor, endpoint, adverse, reference, tuple(chosen), ratios)


def _hazard_ratios(
    stratum: Stratum,
    results: Sequence[FactorEvidence],
    choice: _Choice,
    tau2_method: Tau2Method | Tau2Estimator,
    ci_method: CiMethod,
    cautions: list[Caution],
) -> list[HazardRatios]:
    """Usable ratios of one stratum, one a study, pooled when there are two; none without a printed ratio."""
    printed = [r for r in results if (r.printed_ratio or r.se_route or r.se_problem) and r.stratum == stratum]
    if not printed:
        return []
    chosen = choice(r for r in printed if not r.se_problem)
    used = tuple(r for r in chosen if not r.left_out)
    reasons = [(r, "no standard error", r.se_problem) for r in printed if r.se_problem]
    reasons += [(r, "not independent", r.left_out) for r in chosen if r.left_out]
    left_out = tuple(
        Exclusion(
            r.study, kind, why, r.row_id, f"HR {r.printed_ratio}" if r.printed_ratio else "no ratio printed"
        )
        for r, kind, why in reasons
    )
    pooled: PooledEffect | None = None
    if len(used) > 1 and stratum != "not stated":
        where = f"{used[0].factor}, {used[0].endpoint}, {stratum}"
        cautions += _doubt_pool(used, where)
        with warnings.catch_warnings():
            # a table of many lines would repeat itself; the cautions travel with the pooled effect
            warnings.simplefilter("ignore", NetsynthWarning)
            pooled = pool_effects(
                [r.log_hr for r in used],
                se=[r.se for r in used],
                measure="log_hr",
                tau2_method=tau2_method,
                ci_method=ci_method,
                study=[r.label for r in used],
            )
    return [HazardRatios(stratum, used, left_out, pooled)]


def _doubt_pool(used: Sequence[FactorEvidence], where: str) -> list[Caution]:
    said = []
    bounded = [r.label for r in used if r.se_route == "bound on the p-value"]
    if bounded:
        message = (
            f"the standard error of {_format.listing(bounded)} rests on a p-value printed as a bound, so it is "
            "larger than the true one and the study weighs less than it should"
        )
        said.append(caution(ImputedVarianceWarning, message, where=where, stacklevel=5))
    wordings = {spelling(r.printed_levels): r.printed_levels for r in used}
    if len(wordings) > 1 and any(r.mixed for r in used):
        message = f"ratios of different comparisons are pooled: {'; '.join(wordings[key] for key in sorted(wordings))}"
        said.append(caution(HarmonisationWarning, message, where=where, stacklevel=5))
    return said


def _doubt_row(row: FactorRow, choice: _Choice, cautions: list[Caution]) -> None:
    if row.endpoint != ANY_ENDPOINT:
        return
    if choice.overlap == "keep":
        shared = Counter(choice.clusters[result.study] for result in row.counted)
        twice = [r.label for r in row.counted if shared[choice.clusters[r.study]] > 1]
        if twice:
            message = f"{_format.listing(twice)} may share patients and are all counted"
            cautions.append(caution(OverlapWarning, message, where=row.factor, stacklevel=4))
    directed = [r for r in row.counted if r.direction in ("worse", "better")]
    loose = [r for r in directed if r.orientation in ("not in the mapping", "not stated")]
    if loose and len({(spelling(r.adverse_level), spelling(r.reference_level)) for r in directed}) > 1:
        wordings = sorted({f"{r.printed_levels} ({r.label})" for r in loose}, key=spelling)
        message = (
            f"levels that the mapping does not know are taken to point the same way: {'; '.join(wordings)}"
        )
        cautions.append(caution(HarmonisationWarning, message, where=row.factor, stacklevel=4))


def _mapped(pairs: Sequence[_Harmonised]) -> tuple[MappedName, ...]:
    """Where every printed name and pair of levels went, by harmonised name, each once."""
    counts = Counter(
        (r.factor, stated(r.adverse_level), stated(r.reference_level), found) for r, found in pairs
    )
    names = [MappedName(*name, n) for name, n in counts.items()]
    return tuple(sorted(names, key=lambda name: (spelling(name.harmonised.factor), str(name))))
