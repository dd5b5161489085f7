"""The pooled figures of a review under other choices: evidence, overlap, assumptions, studies."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from netsynth import _format
from netsynth._typing import Interval
from netsynth.data.review import Review
from netsynth.data.selection import OVERLAP_RULES, OverlapRule
from netsynth.diagnose import leave_one_out
from netsynth.kernels.survival_variance import MATURITY
from netsynth.outcomes import summarize_outcomes
from netsynth.report.pooling import CANNOT, Choice, median_of, percentage_of, reason_of
from netsynth.results.median_survival import PooledMedianSurvival
from netsynth.results.outcomes import OutcomeRow, OutcomeSummary
from netsynth.results.pooled import PooledEffect
from netsynth.results.pooled_curve import PooledCurve
from netsynth.results.series import PooledSeries
from netsynth.tables import Column, Table

__all__ = ["OMITTED", "SensitivityRow", "omit_each", "sensitivity_table", "vary"]

#: Shares of the survivors under observation where a study does not say.
MATURITIES: Final = (0.25, MATURITY, 1.0)
VARIANCES: Final = "missing variances"
OMITTED: Final = "one study left out"
COHORTS: Final[Mapping[OverlapRule, str]] = {
    "largest": "largest cohort",
    "latest": "latest cohort",
    "keep": "all cohorts kept",
}


@dataclass(frozen=True, slots=True)
class SensitivityRow:
    """One pooled figure under one choice.

    Attributes
    ----------
    outcome : str
        Such as "5-year OS".
    varied : str
        What differs from the report: "as in the report", "evidence sets", "overlapping cohorts", ...
    analysis : str
        The choice.
    k : int
        Studies; 0 where it could not be pooled.
    estimate, lower, upper : float
        Pooled figure and its 95% confidence interval, a probability or months.
    unit : {"percent", "month"}
        What the three are shown in.
    reason : str
        Why it could not be pooled; empty where it could.
    """

    outcome: str
    varied: str
    analysis: str
    k: int
    estimate: float
    lower: float
    upper: float
    unit: str
    reason: str = ""


def omit_each(pooled: Sequence[tuple[OutcomeRow, PooledEffect]], endpoint: str) -> PooledSeries | None:
    """The landmark of the headline endpoint that most studies report, without each of them in turn."""
    landmark = _landmark(pooled, endpoint)
    if landmark is None:
        return None
    try:
        return leave_one_out(landmark[1])
    except CANNOT:
        return None


def vary(
    review: Review,
    outcomes: OutcomeSummary,
    pooled: Sequence[tuple[OutcomeRow, PooledEffect]],
    medians: Sequence[tuple[OutcomeRow, PooledMedianSurvival]],
    choice: Choice,
    *,
    endpoint: str,
    curve: PooledCurve | None,
    omitted: PooledSeries | None,
) -> Iterator[SensitivityRow]:
    """Every pooled figure under other evidence and overlap; the headline landmark under every other choice, too.

    Medians over studies follow where overlapping cohorts were left out of them.
    """
    headline = _landmark(pooled, endpoint)
    results: list[tuple[OutcomeRow, PooledEffect | PooledMedianSurvival]] = [*pooled, *medians]
    for row, result in results:
        yield _row(row, "as in the report", _words(choice.sets, [choice.overlap]), result)
        if choice.sets is not None:
            yield from _by_overlap(
                review, row, "evidence sets", choice._replace(sets=None), list(OVERLAP_RULES)
            )
        others = [rule for rule in OVERLAP_RULES if rule != choice.overlap]
        yield from _by_overlap(review, row, "overlapping cohorts", choice, others)
        if isinstance(result, PooledMedianSurvival):
            if result.k_open:
                yield _row(row, "open ends", "dropped", result.dropped)
                yield _row(row, "open ends", "bounds taken for medians", result.imputed)
        elif headline is not None and row is headline[0]:
            yield from _of_headline(review, row, choice, curve, omitted)
    yield from _of_medians(review, outcomes, choice)


def sensitivity_table(rows: Sequence[SensitivityRow]) -> Table:
    """The pooled figures under other choices, a row each."""
    columns = (
        Column("Outcome"),
        Column("Varied"),
        Column("Analysis"),
        Column("Studies", "right"),
        Column("Estimate", "decimal"),
        Column("95% CI"),
        Column("Not pooled because"),
    )
    cells: list[tuple[str, ...]] = []
    before = SensitivityRow("", "", "", 0, math.nan, math.nan, math.nan, "")
    for row in rows:
        same = row.outcome == before.outcome
        cells.append(
            (
                "" if same else row.outcome,
                "" if same and row.varied == before.varied else row.varied,
                row.analysis,
                str(row.k),
                *_shown(row),
                row.reason,
            )
        )
        before = row
    notes = [
        "As in the report: the headline figures. Of studies that share patients one is taken, unless all are kept."
    ]
    if any(row.varied == VARIANCES for row in rows):
        notes.append(
            "Missing variances: the share of survivors under observation is assumed where it is not printed."
        )
    return Table.filled("Pooled figures under other choices", columns, cells, tuple(notes))


def _shown(row: SensitivityRow) -> tuple[str, str]:
    if math.isnan(row.estimate):
        return "", ""
    percent = row.unit == "percent"
    scale, unit = (100, "%") if percent else (1, "")
    value, low, high = (_format.number(scale * x, 1) for x in (row.estimate, row.lower, row.upper))
    limits = "" if math.isnan(row.lower) else _format.span(low, high, unit)
    return f"{value}{unit or ' months'}", limits


def _of_headline(
    review: Review, row: OutcomeRow, choice: Choice, curve: PooledCurve | None, omitted: PooledSeries | None
) -> Iterator[SensitivityRow]:
    for maturity in MATURITIES:
        words = f"{100 * maturity:g}% of survivors under observation"
        yield _attempt(review, row, VARIANCES, words, choice, maturity=maturity)
    if curve is not None and not math.isnan(curve.survival(row.time_months)):
        low, high = curve.confidence_band(time_months=[row.time_months])
        value = curve.survival(row.time_months)
        ends = Interval(float(low[0]), float(high[0]))
        yield SensitivityRow(
            row.label, "model", "all landmarks as one curve", curve.k, value, *ends, "percent"
        )
    if omitted is not None:
        low, high = omitted.natural_interval()
        for i, study in enumerate(omitted.study):
            numbers = (float(omitted.natural[i]), float(low[i]), float(high[i]))
            yield SensitivityRow(row.label, OMITTED, study, int(omitted.k[i]), *numbers, "percent")


def _by_overlap(
    review: Review, row: OutcomeRow, varied: str, choice: Choice, rules: Sequence[OverlapRule]
) -> Iterator[SensitivityRow]:
    """One row for all rules that come to the same."""
    found: dict[tuple[str, ...], tuple[SensitivityRow, list[OverlapRule]]] = {}
    for rule in rules:
        each = _attempt(review, row, varied, "", choice._replace(overlap=rule))
        numbers = (repr(each.k), repr(each.estimate), repr(each.lower), repr(each.upper), each.reason)
        found.setdefault(numbers, (each, []))[1].append(rule)
    for each, same in found.values():
        yield replace(each, analysis=_words(choice.sets, same))


def _of_medians(review: Review, outcomes: OutcomeSummary, choice: Choice) -> Iterator[SensitivityRow]:
    """Medians over studies that some rule for overlapping cohorts changes."""
    by_rule = {
        rule: outcomes
        if rule == choice.overlap
        else summarize_outcomes(review, sets=choice.sets, roles=choice.roles, overlap=rule)
        for rule in sorted(OVERLAP_RULES, key=lambda rule: rule != choice.overlap)
    }
    places = range(min(len(summary.rows) for summary in by_rule.values()))
    for i in places:
        rows = {rule: summary.rows[i] for rule, summary in by_rule.items()}
        if len({row.selection.studies for row in rows.values()}) == 1:
            continue
        for rule, row in rows.items():
            if row.summary is None or math.isnan(row.summary.median):
                continue
            varied = "as in the report" if rule == choice.overlap else "overlapping cohorts"
            ends, scale = row.summary.confidence_interval(), 100 if row.unit == "percent" else 1
            yield SensitivityRow(
                f"{row.label}, median over studies",
                varied,
                _words(choice.sets, [rule]),
                row.k,
                row.summary.median / scale,
                ends.lower / scale,
                ends.upper / scale,
                row.unit,
            )


def _words(sets: Sequence[str] | None, rules: Sequence[OverlapRule]) -> str:
    evidence = "all evidence sets" if sets is None else f"evidence set {_format.listing(sets)}"
    if len(rules) == len(COHORTS):
        return f"{evidence}, any rule for cohorts"
    return f"{evidence}, {' or '.join(COHORTS[rule] for rule in rules)}"


def _attempt(
    review: Review, row: OutcomeRow, varied: str, words: str, choice: Choice, *, maturity: float = MATURITY
) -> SensitivityRow:
    try:
        if row.kind == "time":
            return _row(row, varied, words, median_of(review, row, choice))
        return _row(row, varied, words, percentage_of(review, row, choice, maturity=maturity))
    except CANNOT as error:
        why = reason_of(error, row)
        return SensitivityRow(row.label, varied, words, 0, math.nan, math.nan, math.nan, row.unit, why)


def _row(
    row: OutcomeRow, varied: str, analysis: str, result: PooledEffect | PooledMedianSurvival
) -> SensitivityRow:
    ends = result.natural_interval()
    return SensitivityRow(row.label, varied, analysis, result.k, result.natural, *ends, row.unit)


def _landmark(
    pooled: Sequence[tuple[OutcomeRow, PooledEffect]], endpoint: str
) -> tuple[OutcomeRow, PooledEffect] | None:
    found = [pair for pair in pooled if pair[0].kind == "percentage" and pair[0].outcome == endpoint]
    return max(found, key=lambda pair: pair[1].k, default=None)
