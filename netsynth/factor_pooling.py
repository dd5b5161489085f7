"""Hazard ratios of one factor: several results a study, small studies, and studies that are silent."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, get_args

import numpy as np
from scipy.special import ndtri

from netsynth import _format, _validate
from netsynth._typing import Interval
from netsynth.data.harmonise import stated
from netsynth.dependent import pool_dependent
from netsynth.errors import (
    Caution,
    HarmonisationWarning,
    InvalidInputError,
    NetsynthWarning,
    UnusableDataWarning,
    caution,
)
from netsynth.kernels.asymmetry import ASYMMETRY_METHODS, PREDICTORS, AsymmetryMethod, Count
from netsynth.kernels.dependent import DependentModel
from netsynth.markers import is_of_kind, of_one_kind, on_one_step, other_kind, rescale_log_hr
from netsynth.pool import pool_effects
from netsynth.results.asymmetry import AsymmetryTest
from netsynth.results.dependent import DependentEffect
from netsynth.results.evidence import ANY_ENDPOINT, FactorEvidence, HazardRatios, Stratum
from netsynth.results.factor_cuts import cut_point_cautions
from netsynth.results.pooled import PooledEffect
from netsynth.results.prognostic import FactorSummary
from netsynth.results.reporting_bounds import ReportingBounds, SilentStudy
from netsynth.small_studies import assess_asymmetry

__all__ = ["assess_factor_asymmetry", "bound_reporting", "pool_factor"]

_ALPHA: Final = 0.05  # what "not significant" means where no level is named
_STEPS: Final = 60  # to either side, at which a turn of the conclusion is looked for
_HALVINGS: Final = 40
_USER: Final = 3  # frames from `caution` up to the caller of the verb


def pool_factor(
    summary: FactorSummary,
    factor: str,
    *,
    correlation: float,
    endpoints: Sequence[str] | None = None,
    strata: Sequence[Stratum] = ("adjusted", "matched", "unadjusted"),
    model: DependentModel = "three_level",
) -> DependentEffect:
    r"""Pool all hazard ratios of a factor, of which a study may have several: of endpoints, or adjusted and not.

    Parameters
    ----------
    summary : FactorSummary
        From `summarize_factors`.
    factor : str
        In harmonised words.
    correlation : float
        The assumed correlation of the sampling errors within a cohort. There is no default: nothing that is printed
        tells it, so name it and look at ``result.over_correlation()``.
    endpoints : sequence of str, optional
        Codes of the endpoints; by default all. Pool those that answer one question, such as DFS and RFS.
    strata : sequence of str
        Kinds of analysis.
    model : {"three_level", "correlated_effects"}
        As in `pool_dependent`.

    Returns
    -------
    DependentEffect
        One result a study, endpoint and kind of analysis; studies that may share patients are one cohort.

    Raises
    ------
    KeyError
        If the summary has no such factor or endpoint.
    InvalidInputError
        If there are fewer than two cohorts with a usable ratio, or a word is unknown.

    Warns
    -----
    ChosenCutPointWarning
        A cut-point was chosen by the outcome.
    FewStudiesWarning
        As `pool_dependent`.
    HarmonisationWarning
        Studies split the factor at different cut-points, a ratio per unit was brought to another step, or ratios on
        another scale than most are left out.

    Notes
    -----
    The mean is over endpoints and kinds of analysis. Where these differ in what they estimate it is a mean of different
    things, and only the variance within cohorts tells; adjusted and unadjusted ratios are best pooled apart.

    Examples
    --------
    >>> from netsynth.data.endpoint import find_endpoint
    >>> from netsynth.data.factor import ReportedFactor
    >>> from netsynth.data.number import ReportedInterval, ReportedNumber
    >>> from netsynth.data.review import Review
    >>> from netsynth.data.study import Study
    >>> from netsynth.prognostic import summarize_factors
    >>> printed = [("Lund", "OS", "2.4", "1.3", "4.4"), ("Lund", "RFS", "2.0", "1.2", "3.3"),
    ...            ("Oslo", "OS", "1.7", "1.1", "2.6"), ("Bern", "RFS", "1.5", "1.0", "2.3")]
    >>> results = [ReportedFactor(study, "grade", find_endpoint(endpoint), "G3", "G1/2", "multivariable",
    ...                           hazard_ratio=ReportedNumber(hr, "ratio"),
    ...                           ci=ReportedInterval.of(low, high, "ratio", 0.95))
    ...            for study, endpoint, hr, low, high in printed]
    >>> review = Review([Study(name) for name in ("Lund", "Oslo", "Bern")], factors=results)
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     pooled = pool_factor(summarize_factors(review), "histologic grade", correlation=0.7)
    >>> pooled.k, len(set(pooled.cluster)), round(pooled.natural, 2)
    (4, 3, 1.71)
    """
    for name in strata:
        _validate.choice(name, "strata", get_args(Stratum))
    rows = [row for row in summary.rows if row.factor == factor and row.endpoint != ANY_ENDPOINT]
    chosen = [summary.row(factor, code) for code in endpoints] if endpoints is not None else rows
    summary.row(factor)  # raises when it is unknown
    found = [(row.endpoint, name, r) for row in chosen for name in strata for r in row.ratios(name).used]
    kept, apart = of_one_kind([r for *_, r in found])
    stays = {id(r) for r in kept}
    moved, cautions = on_one_step(kept, factor)
    places = [(code, name) for code, name, r in found if id(r) in stays]
    used = [(code, name, r) for (code, name), r in zip(places, moved, strict=True)]
    cohorts = [result.cluster or result.study for _, _, result in used]
    if len(set(cohorts)) < 2:
        out = [f"{r.label} ({why})" for r, why in apart]
        for row in chosen:
            names = {r.study: r.label for r in row.results}
            left = (left for name in strata for left in row.ratios(name).on_other_scale)
            out += [f"{names[each.study]} ({each.reason})" for each in left]
        told = _format.listing(dict.fromkeys(out))
        other = f" Ratios on another scale cannot be pooled with it: {told}." if out else ""
        raise InvalidInputError(
            f"{factor}: {_format.plural(len(set(cohorts)), 'cohort')} with a usable hazard ratio; two are needed."
            f"{other} Ask for other endpoints or kinds of analysis."
        )
    several_endpoints, several_strata = (len({x[i] for x in used}) > 1 for i in (0, 1))
    labels = [
        ", ".join(
            [r.label, *([_plain(code)] if several_endpoints else []), *([name] if several_strata else [])]
        )
        for code, name, r in used
    ]
    if apart:
        others = _format.listing(f"{r.label} ({why})" for r, why in apart)
        message = f"left out, since they answer another question: {others}"
        cautions.append(caution(HarmonisationWarning, message, where=factor))
    pooled = pool_dependent(
        [r.log_hr for _, _, r in used],
        se=[r.se for _, _, r in used],
        cluster=cohorts,
        correlation=correlation,
        measure="log_hr",
        model=model,
        study=labels,
    )
    cautions += cut_point_cautions((r for _, _, r in used), factor)
    return replace(pooled, warnings=(*pooled.warnings, *cautions))


def assess_factor_asymmetry(
    summary: FactorSummary,
    factor: str,
    endpoint: str,
    *,
    stratum: Stratum = "adjusted",
    method: AsymmetryMethod = "debray_fiv",
) -> AsymmetryTest:
    """Test whether small studies of a factor find other hazard ratios than large ones.

    Parameters
    ----------
    summary : FactorSummary
        From `summarize_factors`.
    factor, endpoint : str
        In harmonised words, and a code.
    stratum : str
        Kind of analysis.
    method : str
        As in `assess_asymmetry`: "debray_fiv" on 1 / events, "debray_fav" with weights by the events of the two levels,
        "peters" (which is called FPV by Debray), "egger", and the others that take hazard ratios.

    Returns
    -------
    AsymmetryTest

    Raises
    ------
    KeyError
        If the summary has no such factor and endpoint.
    InvalidInputError
        If fewer than two studies were pooled, or one does not print the events or patients that the method needs; the
        message names it.

    Warns
    -----
    ChosenCutPointWarning
        A cut-point was chosen by the outcome, which moves small studies most and so looks like what is tested.
    FewStudiesWarning
        Fewer than ten studies.
    HarmonisationWarning
        Studies split the factor at different cut-points.
    """
    _validate.choice(method, "method", ASYMMETRY_METHODS)
    row = summary.row(factor, endpoint)
    pooled, used = summary.pooled(factor, endpoint, stratum), row.ratios(stratum).used
    needs = set(ASYMMETRY_METHODS[method].needs)
    predictor = ASYMMETRY_METHODS[method].predictor
    needs |= set() if predictor is None else set(PREDICTORS[predictor].needs)
    by_level = method == "debray_fav"
    counts: dict[Count, list[Any]] = {
        "n_events": [r.events_by_level if by_level else r.n_events for r in used],
        "n_total": [r.n_patients for r in used],
    }
    for name in sorted(needs):
        without = [r.label for r, n in zip(used, counts[name], strict=True) if n is None]
        if without:
            what = {"n_events": "events", "n_total": "patients"}[name]
            each = " of each level" if by_level else ""
            raise InvalidInputError(
                f"{factor}, {endpoint}, {stratum}: method {method!r} needs the number of {what}{each}, which is not "
                f"stated for {_format.listing(without)}. Extract it, or use method='egger'."
            )
    test = assess_asymmetry(
        pooled,
        method=method,
        n_events=counts["n_events"] if "n_events" in needs else None,
        n_total=counts["n_total"] if "n_total" in needs else None,
    )
    said = cut_point_cautions(used, f"{factor}, {endpoint}, {stratum}")
    return replace(test, warnings=(*test.warnings, *said))


def bound_reporting(
    summary: FactorSummary,
    factor: str,
    endpoint: str,
    *,
    stratum: Stratum = "adjusted",
    tau2: float | tuple[float, float] | None = None,
) -> ReportingBounds:
    r"""Limits of a pooled hazard ratio, tau2 held, over all that studies may have found which print no usable ratio.

    A factor that "was not significant" often comes without a number. Dropping such a study moves the pooled ratio
    away from 1. Here each is kept with what it tells.

    Parameters
    ----------
    summary : FactorSummary
        From `summarize_factors`.
    factor, endpoint : str
        In harmonised words, and a code.
    stratum : str
        Kind of analysis that is pooled. A study is silent when it has no usable ratio of this kind, whichever
        analysis its words are of: what is not significant by itself seldom enters a multivariable model.
    tau2 : float or (float, float), optional
        Between-study variance that is held, or its limits; by default that of the reported ratios, 0 for one study.

    Returns
    -------
    ReportingBounds
        The ratio as reported, its limits, those of its interval, and the ratio of the silent studies that would turn
        the conclusion.

    Raises
    ------
    KeyError
        If the summary has no such factor and endpoint.
    InvalidInputError
        If no study has a usable ratio of this kind, several have one of a kind that is not stated, or tau2 cannot be.

    Warns
    -----
    ChosenCutPointWarning
        A cut-point was chosen by the outcome.
    HarmonisationWarning
        Studies split the factor at different cut-points.
    UnusableDataWarning
        Studies without a ratio whose words do not bound it, or are of another scale, are not in the limits.

    Notes
    -----
    "Not significant" at 5% says :math:`|\hat\theta| \le 1.96\,s`; a printed p-value gives its own multiple of the
    standard error s, and a direction one sign. In a Cox model with one factor of two levels the information of
    :math:`d_1` and :math:`d_0` events is at most :math:`d_1 d_0 / (d_1 + d_0)`, so

    .. math:: s^2 \ge \frac{1}{d_1} + \frac{1}{d_0} \ge \frac{4}{D} \ge \frac{4}{n},

    and adjustment as a rule makes it larger. No upper limit of s is needed: a study with a large s weighs little,
    so the pooled ratio has limits even then, as long as tau2 is held. They are exact for that tau2 (see
    `kernels.silent_results`); intervals and the turn of the conclusion are of the same model,
    :math:`\mu \pm t_{k-1} / \sqrt W`. Were tau2 estimated anew for all that the silent studies may have found there
    would often be no limits at all: a study that lies ever further away with an ever larger error makes it grow without
    end. Where the levels are not stated the ratio may be one per unit of a measurement, whose s has no lower limit.

    Examples
    --------
    >>> from netsynth.data.endpoint import find_endpoint
    >>> from netsynth.data.factor import ReportedFactor
    >>> from netsynth.data.number import ReportedInterval, ReportedNumber
    >>> from netsynth.data.review import Review
    >>> from netsynth.data.study import Group, Study
    >>> from netsynth.prognostic import summarize_factors
    >>> os = find_endpoint("OS")
    >>> results = [ReportedFactor(study, "grade", os, "G3", "G1/2", "multivariable",
    ...                           hazard_ratio=ReportedNumber(hr, "ratio"),
    ...                           ci=ReportedInterval.of(low, high, "ratio", 0.95))
    ...            for study, hr, low, high in [("Lund", "2.4", "1.3", "4.4"), ("Oslo", "1.7", "1.1", "2.6")]]
    >>> results.append(ReportedFactor("Bern", "grade", os, "G3", "G1/2", significance="no", group=Group(n_total=120)))
    >>> review = Review([Study(name) for name in ("Lund", "Oslo", "Bern")], factors=results)
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     found = bound_reporting(summarize_factors(review), "histologic grade", "OS")
    >>> low, high = found.natural_bounds
    >>> print(f"{found.pooled.natural:.2f} as reported, {low:.2f} to {high:.2f} with the silent study")
    1.91 as reported, 1.16 to 1.99 with the silent study
    >>> found.tau2_words
    'tau2 held at 0'
    """
    _validate.choice(stratum, "stratum", get_args(Stratum))
    row = summary.row(factor, endpoint)
    ratios = row.ratios(stratum)
    if not ratios.used:
        raise InvalidInputError(
            f"{factor}, {endpoint}: no study has a usable {stratum} hazard ratio, so there is nothing to bound."
        )
    pooled = ratios.pooled or single_ratio(ratios)
    low, high = _tau2(tau2, pooled)
    silent: list[SilentStudy] = []
    unbounded: list[SilentStudy] = []
    for result in row.without_ratio(stratum):
        study = _silent(result, ratios, result.stratum == stratum)
        (silent if study.has_limits else unbounded).append(study)
    where = f"{factor}, {endpoint}, {stratum}"
    said: list[Caution] = cut_point_cautions(ratios.used, where)
    if unbounded:
        names = _format.listing(study.label for study in unbounded)
        message = f"the words of {names} do not bound a ratio of this kind, so the limits are without them"
        said.append(caution(UnusableDataWarning, message, where=where, stacklevel=_USER))
    bounds = ReportingBounds(
        factor,
        endpoint,
        stratum,
        pooled,
        tuple(silent),
        tuple(unbounded),
        low,
        high,
        math.nan,
        "",
        tuple(said),
    )
    turning, reason = _turning(bounds)
    return replace(bounds, turning_log_hr=turning, turning_reason=reason)


def _plain(code: str) -> str:
    return code.replace("_", " ")


def single_ratio(ratios: HazardRatios) -> PooledEffect:
    """The ratio of the one study that has a usable one, as pooling hands it through.

    Raises
    ------
    InvalidInputError
        If there are several, which are not pooled because nothing says what kind of analysis they are of.
    """
    if ratios.k > 1:
        raise InvalidInputError(
            f"{_format.plural(ratios.k, 'study', 'studies')} with a usable ratio; kinds of analysis that are "
            f"{ratios.stratum} are not pooled. Ask for another stratum."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)  # nobody asked for a pool of one
        return pool_effects(
            [r.log_hr for r in ratios.used],
            se=[r.se for r in ratios.used],
            measure="log_hr",
            study=[r.label for r in ratios.used],
        )


def _tau2(given: float | tuple[float, float] | None, pooled: PooledEffect) -> Interval:
    if given is None:
        own = pooled.tau2 if pooled.pooled else 0.0
        return Interval(own, own)
    try:
        low, high = np.broadcast_to(np.asarray(given, dtype=np.float64), (2,)).tolist()
    except (TypeError, ValueError):
        low, high = math.nan, math.nan
    if not 0 <= low <= high < math.inf:
        raise InvalidInputError(
            f"tau2 must be a variance or its two limits, 0 <= lower <= upper; got {given!r}."
        )
    return Interval(low, high)


def _on_scale(result: FactorEvidence, ratios: HazardRatios) -> tuple[FactorEvidence, str]:
    """A silent result on the step that is pooled; or as it is, with the reason why its comparison is another.

    Without levels it may be of any kind, and keeps the widest limits.
    """
    scale = ratios.used[0].scale
    named = bool(stated(result.adverse_level) and stated(result.reference_level)) or bool(result.cut_points)
    if result.scale is None and not named:
        return result, ""
    if not is_of_kind(result.scale, scale):
        return result, other_kind(result.scale, ratios.scale or ("a split" if scale is None else str(scale)))
    if result.scale is None or scale is None or math.isnan(result.log_hr) or result.scale == scale:
        return result, ""
    moved = rescale_log_hr(result.log_hr, se=1.0, source=result.scale, target=scale, study=result.label)
    return replace(result, log_hr=moved.log_hr, scale_factor=result.scale_factor * moved.factor), ""


def _silent(result: FactorEvidence, ratios: HazardRatios, same_kind: bool) -> SilentStudy:
    about = (result.study, result.label, result.n_patients, result.n_events)
    result, why = _on_scale(result, ratios)
    if why:
        return SilentStudy(*about, why, basis="" if same_kind else f"of an analysis {_kind(result)}")
    note = "" if same_kind else f"of an analysis {_kind(result)}"
    least, how = _least_error(result)
    if same_kind and not math.isnan(result.log_hr):
        return _known_ratio(result, about, least, how)
    if not result.is_not_significant:
        words = {"yes": "significant", "not tested": "not tested"}.get(
            result.significance, "nothing about significance"
        )
        told = "a ratio of another analysis" if not math.isnan(result.log_hr) else "no number"
        return SilentStudy(*about, f"{words}, {told}", basis=note)
    p = result.pvalue
    smallest = _ALPHA if p is None or p.value < _ALPHA or p.qualifier.startswith("<") else p.interval.lower
    reach = -float(ndtri(0.5 * min(max(smallest, 1e-12), 1.0)))
    lowest, highest = -reach, reach
    if same_kind and result.direction in ("worse", "better"):
        lowest, highest = (0.0, reach) if result.direction == "worse" else (-reach, 0.0)
    basis = "; ".join(x for x in (f"within {_format.number(reach, 2)} standard errors", how, note) if x)
    return SilentStudy(*about, "not significant", 0.0, lowest, highest, least, math.inf, basis)


def _known_ratio(
    result: FactorEvidence, about: tuple[str, str, int | None, int | None], least: float, how: str
) -> SilentStudy:
    """A printed ratio without an error: significance says on which side of it the error is."""
    edge = abs(result.log_hr) / -float(ndtri(0.5 * _ALPHA))
    low, high = least, math.inf
    if result.significance == "no":
        low = max(least, edge)
    elif result.significance == "yes" and edge > least:
        high = edge
    told = f"HR {result.ratio} without an error"
    return SilentStudy(
        *about,
        "ratio without error",
        result.log_hr,
        0.0,
        0.0,
        low,
        high,
        "; ".join(x for x in (told, how) if x),
    )


def _kind(result: FactorEvidence) -> str:
    return "not stated" if result.stratum == "not stated" else f"that is {result.stratum}"


def _least_error(result: FactorEvidence) -> tuple[float, str]:
    """The least standard error that the counts allow, and what says so."""
    if result.scale is not None:
        return 0.0, f"a ratio {result.scale}, so its error may be anything"
    if not (stated(result.adverse_level) and stated(result.reference_level)):
        return 0.0, "levels not stated, so a ratio per unit is possible and its error may be anything"
    events = result.events_by_level
    if events is not None and min(events) > 0:
        return math.sqrt(1 / events[0] + 1 / events[1]), "error at least that of its events by level"
    if result.n_events:
        return 2 / math.sqrt(result.n_events), "error at least that of its events split in halves"
    if result.n_patients:
        return 2 / math.sqrt(result.n_patients), "error at least that of an event in every patient"
    return 0.0, "neither patients nor events stated, so its error may be anything"


def _turning(bounds: ReportingBounds) -> tuple[float, str]:
    """The common log hazard ratio of the silent studies, nearest to the pooled one, that turns the conclusion."""
    pooled, silent = bounds.pooled, bounds.silent
    if not silent:
        return math.nan, "no study is silent"
    unweighed = [study.label for study in silent if study.se_low == 0]
    if unweighed:
        return math.nan, f"cannot be told: {_format.listing(unweighed)} cannot be weighed"
    before = _sign(bounds.held_interval())
    low = np.array([study.centre + study.lowest * study.se_low for study in silent])
    high = np.array([study.centre + study.highest * study.se_low for study in silent])

    def turned(shared: float) -> bool:
        return _sign(bounds.interval_with(np.clip(shared, low, high))) != before

    start = min(max(pooled.estimate, float(low.min())), float(high.max()))
    if turned(start):
        return start, ""
    found = []
    for end in (float(low.min()), float(high.max())):
        inside = start
        for place in np.linspace(start, end, _STEPS + 1)[1:].tolist():
            if turned(place):
                outside = place
                for _ in range(_HALVINGS):
                    middle = 0.5 * (inside + outside)
                    inside, outside = (inside, middle) if turned(middle) else (middle, outside)
                found.append(outside)
                break
            inside = place
    if not found:
        return math.nan, "nowhere within what the silent studies may have found"
    return min(found, key=lambda x: abs(x - start)), ""


def _sign(ends: Interval) -> int:
    """What an interval concludes: above 1, below 1, or neither."""
    return 1 if ends.lower > 0 else -1 if ends.upper < 0 else 0
