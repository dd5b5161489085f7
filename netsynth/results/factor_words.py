"""What a reviewer writes of a prognostic factor: every number from the tables, no claim stronger than its data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from netsynth import _format
from netsynth.results.evidence import FactorEvidence, FactorRow, HazardRatios
from netsynth.results.factor_cuts import chosen_cut_points
from netsynth.results.pooled import PooledEffect

__all__ = ["factor_sentence"]


def factor_sentence(
    overall: FactorRow, by_endpoint: Sequence[FactorRow], certainty: Sequence[str] = ()
) -> str:
    """One factor in one line.

    Parameters
    ----------
    overall : FactorRow
        Each study counted once over all endpoints.
    by_endpoint : sequence of FactorRow
        Its rows of one endpoint each.
    certainty : sequence of str
        What is to be said of the certainty of its evidence.
    """
    several = len(by_endpoint) > 1
    where = ", ".join(plain(row.endpoint) for row in by_endpoint)
    scope = f"any of {where}" if several else where
    factor = overall.factor
    head = f"{factor[:1].upper()}{factor[1:]} ({f'{overall.levels}; ' if overall.levels else ''}{scope})"
    parts = [_studies(overall), *_directions(overall), *overall.significance_words]
    told = [ratios for row in by_endpoint for ratios in row.hazard_ratios if ratios.k]
    for row in by_endpoint:
        endpoint = plain(row.endpoint) if several else ""
        for ratios in row.hazard_ratios:
            if ratios.k:
                parts += _ratios(overall, row, ratios, endpoint)
    if not told:
        parts.append("no usable hazard ratio")
    if chosen := chosen_cut_points(r for row in (overall, *by_endpoint) for r in row.informative):
        parts.append(
            f"cut-point chosen by the outcome in {chosen}, so the ratio is too far from 1 and the p-value too small"
        )
    if overall.n_overlapping:
        further = _format.plural(overall.n_overlapping, "further study", "further studies")
        parts.append(f"{further} not counted because patients may be shared")
    return f"{head}: {'; '.join([*parts, *certainty])}."


def plain(code: str) -> str:
    """The code of an endpoint as text shows it."""
    return code.replace("_", " ")


def _studies(row: FactorRow) -> str:
    if row.k == 1:
        result = row.counted[0]
        return (
            "one study"
            if result.n_patients is None
            else f"one study ({_format.plural(result.n_patients, 'patient')})"
        )
    stating = sum(result.n_patients is not None for result in row.counted)
    if not stating:
        return f"{row.k} studies"
    those = "one that states" if stating == 1 else f"{stating} that state"
    among = "" if stating == row.k else f" in the {those} them"
    return f"{row.k} studies ({_format.plural(row.n_patients, 'patient')}{among})"


def _directions(row: FactorRow) -> list[str]:
    """With one study a count says which way it points, and no more."""
    count = row.directions
    borrowed = [result for result in row.counted if result.direction_from]
    if row.k == 1:
        by = f" by its {borrowed[0].direction_from}" if borrowed else ""
        if not count.n_directed:
            return [f"no difference{by}" if count.n_none else "direction not stated"]
        said = "worse" if count.n_worse else "better"
        inferred = "" if count.n_stated else " (inferred from a significant result)"
        return [f"{said}{' with the first level' if row.levels else ''}{by}{inferred}"]
    told = [count.words]
    if count.n_stated > 1:
        told = [f"{count.words} ({'; '.join(filter(None, (count.interval_words, count.test_words)))})"]
    if borrowed:
        told.append(f"direction by another result of the same study in {len(borrowed)}")
    if count.n_stated or not count.n_inferred:
        return told + count.doubts
    *doubts, _ = count.doubts
    rest = "by the level it names as adverse, which no test can rest on"
    return [*told, *doubts, f"direction {count.inferred_words}, {rest}"]


def _ratios(overall: FactorRow, row: FactorRow, ratios: HazardRatios, endpoint: str) -> list[str]:
    words = ratios.words(endpoint) if ratios.pooled is None else _pooled(ratios, ratios.pooled, endpoint)
    said = [f"{words}{_uncounted(overall, ratios)}"]
    without = row.without_ratio(ratios.stratum)
    if without and ratios.stratum != "not stated":
        number = _format.plural(len(without), "study", "studies")
        silent = sum(result.is_not_significant for result in without)
        some = f", {silent} of them not significant" if len(without) > 1 else ", not significant"
        tail = some if silent else ""
        said.append(f"no usable {ratios.stratum} HR in {number}{tail}{_on_other_scale(ratios, without)}")
    return said


def _on_other_scale(ratios: HazardRatios, without: Sequence[FactorEvidence]) -> str:
    """How many of the studies without a usable ratio print one of another comparison, and which."""
    studies = {result.study for result in without}
    reasons = {out.study: out.reason for out in ratios.on_other_scale if out.study in studies}
    if not reasons:
        return ""
    if len(without) == 1:
        return f" ({next(iter(reasons.values()))})"
    counts = Counter(reasons.values())
    if len(counts) == 1:
        return f" (in {len(reasons)} of them {next(iter(counts))})"
    return f" ({'; '.join(f'in {n} of them {why}' for why, n in counts.items())})"


def _uncounted(overall: FactorRow, ratios: HazardRatios) -> str:
    """Names the studies whose ratios are used though they are not counted."""
    counted = {result.study for result in overall.counted}
    others = [result.label for result in ratios.used if result.study not in counted]
    if not others:
        return ""
    it, verb = ("it", "is") if len(others) == 1 else ("they", "are")
    not_counted = f"not among those counted, since {it} may share patients"
    if ratios.k == 1:
        return f", {others[0]}, {not_counted}"
    return f"; of these studies {_format.listing(others)} {verb} {not_counted}"


def _pooled(ratios: HazardRatios, pooled: PooledEffect, endpoint: str) -> str:
    low, high = pooled.natural_interval()
    ahead = pooled.natural_prediction_interval()
    scale = f" ({ratios.scale})" if ratios.scale else ""
    name = f"{ratios.stratum} HR{scale}{f' for {endpoint}' if endpoint else ''}"
    inside = [f"95% CI {_span(low, high)}"]
    if not math.isnan(ahead.lower):
        inside.append(f"95% PI {_span(*ahead)}")
    inside.append(f"I² {100 * pooled.i2:.0f}%")
    patients = f", {_format.plural(ratios.n_patients, 'patient')}" if ratios.n_patients else ""
    cuts = f", split at different cut-points: {ratios.cut_points}" if ratios.cut_points else ""
    among = f"{ratios.k} studies{patients}{cuts}"
    said = f"{name} {_format.ratio(pooled.natural)} ({'; '.join(inside)}) pooled from {among}"
    if low <= 1 <= high:
        wide = f"; by {pooled.ci_method}, a t interval with one degree of freedom, two studies tell little"
        return f"{said}, compatible with no difference{wide if pooled.df == 1 else ''}"
    if ahead.lower <= 1 <= ahead.upper:
        return f"{said}, with no difference or the opposite possible in a new study"
    return said


def _span(low: float, high: float) -> str:
    return _format.span(_format.ratio(low), _format.ratio(high))
