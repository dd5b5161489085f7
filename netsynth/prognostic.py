"""What studies say of prognostic factors: harmonised, one result a study, counted and pooled."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from netsynth import _format, _validate
from netsynth._factor_choice import FactorChoice, directed
from netsynth.data.endpoint import Endpoint
from netsynth.data.factor import Direction, ReportedFactor
from netsynth.data.harmonise import FACTOR_MAP, FactorMap, HarmonisedResult, spelling, stated
from netsynth.data.marker import cut_points, is_cut_point_chosen, marker_scale
from netsynth.data.review import Review
from netsynth.data.selection import (
    OVERLAP_RULES,
    Exclusion,
    OverlapRule,
    check_roles,
    check_sets,
    overlap_clusters,
)
from netsynth.data.study import Role
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
from netsynth.markers import of_one_kind, on_one_step
from netsynth.pool import pool_effects
from netsynth.results.evidence import (
    ANY_ENDPOINT,
    INFERRED,
    OTHER_SCALE,
    STRATA,
    DirectionBasis,
    FactorEvidence,
    FactorRow,
    HazardRatios,
    Stratum,
)
from netsynth.results.factor_cuts import cut_point_cautions, different_cut_points, is_split_alike
from netsynth.results.hazard_ratio import HazardRatioEstimate
from netsynth.results.pooled import PooledEffect
from netsynth.results.prognostic import FactorSummary, MappedName

__all__ = ["summarize_factors"]

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
        counts as worse for that level; it is named as inferred and enters no test. If not, its direction is not
        known.
    tau2_method, ci_method
        As in `pool_effects`.

    Returns
    -------
    FactorSummary
        With the evidence behind every count, the mapping as it was applied, and what was left out and why.

    Raises
    ------
    InvalidInputError
        If the review has no result to summarise, an endpoint is not in its vocabulary, no result belongs to a set,
        `mapping` is not a `FactorMap`, a word is not one of those above, or one text is given for a list of words.

    Warns
    -----
    ChosenCutPointWarning
        A source says that its cut-point was the best of many for the outcome; see `cut_points`.
    HarmonisationWarning
        Results are counted or pooled together although their levels are worded differently and the mapping
        does not know them, or name different cut-points; a level of some is not stated; or ratios per step of a
        marker are brought to another step.
    ImputedVarianceWarning
        A pooled standard error rests on a p-value printed as a bound.
    InconsistentReportWarning
        A confidence interval is not symmetric around its ratio on the log scale, or a direction or a significance in
        words contradicts the numbers.
    OverlapWarning
        With ``overlap="keep"``, when studies that share patients are counted together.

    Notes
    -----
    Of several results of a study, the multivariable one is counted before the matched, the univariable and
    the one not stated, then the one with most patients, then the most adverse level. If it shows no direction, that of
    the next result with the same levels is counted, a stated one first. The sign test [1]_ asks
    whether worse and better are equally likely; it says nothing about the size of an effect, and assumes
    that each study would find either direction with the same probability [2]_. The standard error of a log
    hazard ratio comes from the confidence interval, else from the p-value [3]_; a p-value printed as "< 0.05"
    is taken at 0.05, which makes the standard error too large rather than too small. Rounding of the ratio
    adds its variance.

    A ratio per unit of a marker, one per doubling and one of two groups are never pooled with each other: the kind of
    most studies is kept, and of as many studies the one with more patients, then groups. Steps of one scale are
    brought to the most common, by multiplying logarithm and error, and a step down is turned into one up. What is
    continuous without a step that is stated is pooled with the same words only, and where nothing else is.

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
    >>> from netsynth.data.study import Study
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
    Extrahepatic disease (present vs absent; OS): 3 studies; worse in 1 of 1 study with a stated direction; direction
    inferred from a significant result in 2 (worse in 2), so p is anything from 0.25 to 1; significant in 3 of 3; no
    usable hazard ratio.
    """
    if not isinstance(mapping, FactorMap):
        raise InvalidInputError(f"mapping must be a FactorMap; got {mapping!r:.60}.")
    _validate.choice(overlap, "overlap", OVERLAP_RULES)
    check_roles(roles)
    check_sets(sets, review.evidence_sets)
    _validate.word_list(endpoints, "endpoints", least=0)
    wanted = None if endpoints is None else {review.endpoint(word) for word in endpoints}
    eligible, excluded = _eligible(review, wanted, sets, roles)
    if not eligible:
        raise InvalidInputError(
            "The review has no result of a prognostic factor for this question. Give `factors` to the Review, "
            "or ask for other endpoints, sets or roles."
        )
    harmonised = _aligned([(result, _upward(result, mapping.harmonised(result))) for result in eligible])
    labels = {study.id: study.label for study in review.studies}
    cautions: list[Caution] = []
    clusters = overlap_clusters(review.studies)
    shared = {study: min(cluster) for study, cluster in clusters.items()}
    groups: dict[str, list[FactorEvidence]] = {}
    for pair in harmonised:
        result = replace(_evidence(*pair, labels, infer_direction, cautions), cluster=shared[pair[0].study])
        groups.setdefault(result.factor, []).append(result)

    choice = FactorChoice(
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
    for factor in groups:
        told = [r for row in rows if row.factor == factor for r in row.informative]
        cautions += cut_point_cautions(told, factor, pooled=False)
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


def _upward(result: ReportedFactor, found: HarmonisedResult) -> HarmonisedResult:
    """A step down that the mapping does not know becomes a step up, which is exact."""
    scale = marker_scale(result)
    if scale is None or not scale.is_down or found.orientation != "not in the mapping":
        return found
    return replace(found, adverse=str(scale.up), orientation="inverted")


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
    turned, scale = found.orientation == "inverted", marker_scale(result)
    sign = -1.0 if turned else 1.0
    ends = tuple(sign * end for end in result.log_ci)
    low, high = ends[:: -1 if turned else 1]
    ratio, problem, doubts = _ratio(result)
    for doubt in dict.fromkeys((*result.contradictions, *doubts)):
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
        cut_points=cut_points(result),
        is_cut_point_chosen=is_cut_point_chosen(result),
        scale=scale.up if turned and scale is not None else scale,
        ci_level=math.nan if result.ci is None else result.ci.level or 0.95,
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
    by_ratio = result.ratio_direction != "not stated"
    basis: DirectionBasis = "" if shown == "not stated" else "hazard ratio" if by_ratio else "stated"
    if not basis and infer and result.significance == "yes" and stated(result.adverse_level):
        shown, basis = "worse", INFERRED
    if turned:
        shown = _OPPOSITE.get(shown, shown)
    return shown, basis


def _row(
    factor: str,
    endpoint: str,
    results: Sequence[FactorEvidence],
    choice: FactorChoice,
    ratios: tuple[HazardRatios, ...],
) -> FactorRow:
    chosen = [directed(result, results, choice) for result in choice(results)]
    known = {(r.adverse_level, r.reference_level) for r in chosen if r.adverse_level or r.reference_level}
    adverse, reference = known.pop() if len(known) == 1 else ("", "")
    return FactorRow(factor, endpoint, adverse, reference, tuple(chosen), ratios)


def _hazard_ratios(
    stratum: Stratum,
    results: Sequence[FactorEvidence],
    choice: FactorChoice,
    tau2_method: Tau2Method | Tau2Estimator,
    ci_method: CiMethod,
    cautions: list[Caution],
) -> list[HazardRatios]:
    """Usable ratios of one stratum, one a study, pooled when there are two; none without a printed ratio."""
    printed = [r for r in results if (r.printed_ratio or r.se_route or r.se_problem) and r.stratum == stratum]
    if not printed:
        return []
    usable = [r for r in printed if not r.se_problem]
    apart: list[tuple[FactorEvidence, str]] = []
    if stratum != "not stated":
        usable, apart = of_one_kind(usable)
    chosen = choice(usable)
    used = tuple(r for r in chosen if not r.left_out)
    reasons = [(r, "no standard error", r.se_problem) for r in printed if r.se_problem]
    reasons += [(r, OTHER_SCALE, why) for r, why in apart]
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
        stepped, told = on_one_step(used, where, stacklevel=5)
        used = tuple(stepped)
        cautions += [*told, *_doubt_pool(used, where)]
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
    silent = [r.label for r in used if r.scale is None and _lacks_reference(r)]
    if silent and len(silent) < len(used):
        message = (
            f"a level is not stated in {_format.listing(silent)}, whose ratio may be of another comparison than those "
            "it is pooled with"
        )
        said.append(caution(HarmonisationWarning, message, where=where, stacklevel=5))
    wordings = {spelling(w): w for w in (str(r.scale) if r.scale else r.printed_levels for r in used)}
    if different := different_cut_points(used):
        message = f"ratios at different cut-points are pooled: {different}"
        said.append(caution(HarmonisationWarning, message, where=where, stacklevel=5))
    elif len(wordings) > 1 and any(r.mixed for r in used) and not is_split_alike(used):
        message = f"ratios of different comparisons are pooled: {'; '.join(wordings[key] for key in sorted(wordings))}"
        said.append(caution(HarmonisationWarning, message, where=where, stacklevel=5))
    return said


def _lacks_reference(result: FactorEvidence) -> bool:
    return not (result.printed_adverse and result.printed_reference)


def _doubt_row(row: FactorRow, choice: FactorChoice, cautions: list[Caution]) -> None:
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
    stepped = all(r.scale is not None and r.scale.kind != "unclear" for r in directed)
    if (
        loose
        and not stepped
        and len({(spelling(r.adverse_level), spelling(r.reference_level)) for r in directed}) > 1
    ):
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
