"""The results of a review as the abstract of a paper tells them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from netsynth import _format
from netsynth._typing import Interval
from netsynth.results.evidence import ANY_ENDPOINT, FactorRow
from netsynth.results.median_survival import PooledMedianSurvival
from netsynth.results.outcomes import OutcomeRow, OutcomeSummary
from netsynth.results.pooled import PooledEffect
from netsynth.results.pooled_bounds import PooledBounds
from netsynth.results.pooled_curve import PooledCurve
from netsynth.results.pooled_curve_text import span
from netsynth.results.prognostic import FactorSummary

__all__ = ["paragraph", "pooled_ratios"]

#: A factor needs this many studies to be named.
LEAST_NAMED: Final = 3
#: Years at which the pooled curve is told, where some study reports them.
YEARS: Final = (1, 2, 3, 5, 10)


def paragraph(
    outcomes: OutcomeSummary,
    pooled: Sequence[tuple[OutcomeRow, PooledEffect]],
    curve: PooledCurve | None,
    medians: Sequence[tuple[OutcomeRow, PooledMedianSurvival]],
    bounds: Sequence[PooledBounds],
    factors: FactorSummary | None,
) -> str:
    """Medians and ranges, pooled figures, curve, medians, what is assumed, factors: each clause a line of a table."""
    parts = [outcomes.only(2).narrative()] if outcomes.rows else []
    if clauses := [_pooled(row, effect) for row, effect in pooled]:
        parts.append(f"Pooled with random effects, {_format.listing(clauses)}.")
    if bounds:
        parts += _bounds(pooled, bounds[0])
    if curve is not None:
        parts.append(_curve(curve))
    parts += [_median(row, result) for row, result in medians]
    parts += _directions(factors)
    if ratios := [
        _ratio(label, effect) for label, effect in pooled_ratios(factors).items() if effect.k >= LEAST_NAMED
    ]:
        parts.append(f"The pooled hazard ratio was {_format.listing(ratios)}.")
    return " ".join(parts)


def pooled_ratios(factors: FactorSummary | None) -> dict[str, PooledEffect]:
    """Hazard ratios of several studies, by factor, endpoint and kind of analysis."""
    return {
        f"{row.factor} ({row.endpoint.replace('_', ' ')}, {ratios.stratum})": ratios.pooled
        for row in (factors.rows if factors is not None else ())
        for ratios in row.hazard_ratios
        if ratios.pooled is not None
    }


def _ratio(label: str, effect: PooledEffect) -> str:
    limits = _format.span(*map(_format.ratio, effect.natural_interval()))
    return f"{_format.ratio(effect.natural)} (95% CI, {limits}; k = {effect.k}) for {label}"


def _pooled(row: OutcomeRow, effect: PooledEffect) -> str:
    limits = _percents(effect.natural_interval())
    return f"{row.label} was {100 * effect.natural:.0f}% (95% CI, {limits}; k = {effect.k})"


def _bounds(pooled: Sequence[tuple[OutcomeRow, PooledEffect]], bounds: PooledBounds) -> Iterator[str]:
    """What stays of the pooled landmarks when nothing is assumed, where that is more than a percent."""
    survival, ci = bounds.survival, bounds.confidence_interval()
    for row, _ in pooled:
        for i, months in enumerate(bounds.time_months):
            same = row.kind == "percentage" and row.outcome == bounds.endpoint
            open_ = 100 * (survival.upper[i] - survival.lower[i]) >= 1
            if same and open_ and math.isclose(months, row.time_months):
                between = _percents(Interval(survival.lower[i], survival.upper[i]))
                whole = _percents(Interval(ci.lower[i], ci.upper[i]))
                studies = _format.plural(int(bounds.k_unknown[i]), "study does", "studies do")
                yield (
                    f"Whatever the variances that {studies} not print, pooled {row.label} (Paule-Mandel) lies within "
                    f"{between} and its 95% CI within {whole}."
                )


def _curve(curve: PooledCurve) -> str:
    times = [12.0 * years for years in YEARS if any(abs(curve.reported_months - 12 * years) < 1e-6)]
    times = times or [curve.last_months]
    low, high = curve.confidence_band(time_months=times)
    told = [
        f"{100 * curve.survival(time):.0f}% ({'' if i else '95% CI, '}{_percents(Interval(low[i], high[i]))}) at "
        f"{_time(time)}"
        for i, time in enumerate(times)
    ]
    text = f"As one curve over time (k = {curve.k}), {curve.label} was {_format.listing(told)}"
    if math.isnan(curve.median):
        return f"{text}; its median was not reached by {_time(curve.last_months)}."
    limits = span(curve.median_confidence_interval())
    return f"{text}, with a median of {_format.number(curve.median, 1)} months (95% CI, {limits})."


def _median(row: OutcomeRow, result: PooledMedianSurvival) -> str:
    number = f"k = {result.k}" + (f", {result.k_open} of them open-ended" if result.k_open else "")
    low, high = map(_format.months, result.natural_interval())
    return (
        f"Pooled {row.label} was {_format.months(result.natural)} months (95% CI, {_format.span(low, high)}; "
        f"{number})."
    )


def _directions(factors: FactorSummary | None) -> Iterator[str]:
    """Factors of which enough studies state a direction; apart from them those where enough only let it be inferred."""
    rows = [row for row in factors.rows if row.endpoint == ANY_ENDPOINT and row.levels] if factors else []
    stated = [row for row in rows if row.directions.n_stated >= LEAST_NAMED]
    others = [row for row in rows if row.directions.n_directed >= LEAST_NAMED and row not in stated]
    if stated:
        said = _format.listing(map(_stated, stated))
        yield f"Over the studies that state a direction, the outcome was worse in {said}."
    if others:
        said = _format.listing(_inferred(row, "" if i else " studies") for i, row in enumerate(others))
        yield f"With directions inferred from significant results, which test nothing, the outcome was worse in {said}."


def _stated(row: FactorRow) -> str:
    count = row.directions
    worse, better = count.n_stated_worse, count.n_stated - count.n_stated_worse
    more = _format.plural(count.n_inferred, "further study", "further studies")
    inferred = f"; inferred in {more}, worse in {count.n_inferred_worse}" if count.n_inferred else ""
    return f"{worse} of {worse + better} for {row.factor} ({row.levels}{inferred})"


def _inferred(row: FactorRow, studies: str) -> str:
    count = row.directions
    states = f"{count.n_stated_worse or 'none'} {'state' if count.n_stated_worse > 1 else 'states'} it"
    better = f"; better in {count.n_better}" if count.n_better else ""
    return f"{count.n_worse} of {row.k}{studies} of {row.factor} ({row.levels}; {states}{better})"


def _percents(pair: Interval) -> str:
    return _format.span(_format.number(100 * pair[0], 0), _format.number(100 * pair[1], 0), "%")


def _time(months: float) -> str:
    years = months / 12
    return _format.plural(round(years), "year") if years == round(years) else f"{months:g} months"
