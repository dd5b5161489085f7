"""What a reviewer writes of a prognostic factor: every number from the tables, no claim stronger than its data."""

from __future__ import annotations

import math
from collections.abc import Sequence

from netsynth import _format
from netsynth.results.evidence import FactorRow, HazardRatios
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
                parts += _ratios(row, ratios, endpoint)
    if not told:
        parts.append("no usable hazard ratio")
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
    among = "" if stating == row.k else f" in the {stating} that state them"
    return f"{row.k} studies ({_format.plural(row.n_patients, 'patient')}{among})"


def _directions(row: FactorRow) -> list[str]:
    """With one study a count says which way it points, and no more."""
    count = row.directions
    if row.k == 1 and count.n_directed:
        said = "worse" if count.n_worse else "better"
        return [f"{said} with the first level" if row.levels else said]
    if row.k == 1:
        return ["no difference" if count.n_none else "direction not stated"]
    if not count.n_directed:
        return [count.words, *count.doubts]
    inside = [
        f"95% CI {_percents(*count.confidence_interval())}",
        *([count.test_words] if count.test_words else []),
    ]
    shown = f" ({'; '.join(inside)})" if count.n_directed > 1 else ""
    return [f"{count.words}{shown}", *count.doubts]


def _percents(low: float, high: float) -> str:
    return _format.span(f"{100 * low:.0f}", f"{100 * high:.0f}", "%")


def _ratios(row: FactorRow, ratios: HazardRatios, endpoint: str) -> list[str]:
    said = [ratios.words(endpoint) if ratios.pooled is None else _pooled(ratios, ratios.pooled, endpoint)]
    without = row.without_ratio(ratios.stratum)
    if without and ratios.stratum != "not stated":
        number = _format.plural(len(without), "study", "studies")
        silent = sum(result.is_not_significant for result in without)
        some = f", {silent} of them not significant" if len(without) > 1 else ", not significant"
        tail = some if silent else ""
        said.append(f"no usable {ratios.stratum} HR in {number}{tail}")
    return said


def _pooled(ratios: HazardRatios, pooled: PooledEffect, endpoint: str) -> str:
    low, high = pooled.natural_interval()
    ahead = pooled.natural_prediction_interval()
    name = f"{ratios.stratum} HR{f' for {endpoint}' if endpoint else ''}"
    inside = [f"95% CI {_span(low, high)}"]
    if not math.isnan(ahead.lower):
        inside.append(f"95% PI {_span(*ahead)}")
    inside.append(f"I² {100 * pooled.i2:.0f}%")
    patients = f", {_format.plural(ratios.n_patients, 'patient')}" if ratios.n_patients else ""
    said = f"{name} {_format.ratio(pooled.natural)} ({'; '.join(inside)}) pooled from {ratios.k} studies{patients}"
    if low <= 1 <= high:
        return f"{said}, which is no evidence of a difference and none of its absence"
    if ahead.lower <= 1 <= ahead.upper:
        return f"{said}, with no difference or the opposite possible in a new study"
    return said


def _span(low: float, high: float) -> str:
    return _format.span(_format.ratio(low), _format.ratio(high))
