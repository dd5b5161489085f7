"""The table of findings: a row a factor and outcome, with its ratio, what it means for patients, and its certainty."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from netsynth import _format, _validate
from netsynth.data.endpoint import find_endpoint
from netsynth.errors import InvalidInputError
from netsynth.results.certainty import FactorCertainty
from netsynth.results.evidence import ANY_ENDPOINT, FactorEvidence, FactorRow, HazardRatios, Stratum
from netsynth.results.factor_cuts import chosen_cut_points
from netsynth.results.prognostic import FactorSummary
from netsynth.tables._marks import Marks
from netsynth.tables.table import Column, Table

__all__ = ["BaselineSurvival", "findings_table"]

_OVERALL: Final = find_endpoint("OS")


class BaselineSurvival(NamedTuple):
    """Survival of the reference level at a time, which turns a ratio into patients.

    Attributes
    ----------
    time_months : float
        The landmark.
    survival : float
        As a probability, between 0 and 1.
    source : str
        Where it is from; it stands in a footnote.
    """

    time_months: float
    survival: float
    source: str = ""


def findings_table(
    summary: FactorSummary,
    *,
    strata: Sequence[Stratum] = ("adjusted",),
    certainty: Iterable[FactorCertainty] = (),
    baseline: Mapping[str, BaselineSurvival] | None = None,
    min_studies: int = 1,
    level: float = 0.95,
) -> Table:
    r"""Summary of findings, ready to paste.

    Parameters
    ----------
    summary : FactorSummary
        From `summarize_factors`.
    strata : sequence of str
        Kinds of analysis, a row each.
    certainty : iterable of FactorCertainty
        Worksheets of `grade_factor`; rows without one have an empty cell.
    baseline : mapping of str to BaselineSurvival, optional
        By the code of an endpoint, survival of patients with the reference level; without an event, where the endpoint
        is another than death.
    min_studies : int
        Fewest studies with a usable ratio of a row that is shown.
    level : float
        Level of the intervals.

    Returns
    -------
    Table
        Factor, outcome, analysis where there are several, studies with patients and events, hazard ratio, prediction
        interval, patients of 100 at either level who are alive, or event-free where the endpoint is not overall
        survival, certainty, comments.

    Raises
    ------
    InvalidInputError
        If a baseline is no time and probability or its endpoint has no row, or the level is not a fraction.

    Notes
    -----
    One study is shown as printed, unless it prints no ratio or no interval at `level`: then the limits are of Wald,
    from what it prints besides, and a footnote says from what.

    With baseline survival :math:`S_0` the other level has :math:`S_0^{\mathrm{HR}}` under proportional hazards; its
    limits are those of the ratio. The error of :math:`S_0` itself is not in them.

    Examples
    --------
    >>> from netsynth.datasets import load_nethm
    >>> from netsynth.prognostic import summarize_factors
    >>> table = findings_table(
    ...     summarize_factors(load_nethm()),
    ...     baseline={"OS": BaselineSurvival(60, 0.80, "an example")},
    ... )
    >>> row = dict(zip([column.header for column in table.columns], table.rows[0]))
    >>> row["Outcome"], row["HR (95% CI)"]
    ('late recurrence', '3.9 (1.4–10.5)ᵃ')
    """
    level, sheets = _validate.level(level), list(certainty)
    rows = [row for row in summary.rows if row.endpoint != ANY_ENDPOINT]
    known = _checked(baseline or {}, {row.endpoint for row in rows})
    percent = f"{100 * level:g}%"
    state = _state(row.endpoint for row in rows if row.endpoint in known)
    marks = Marks()
    columns = (
        Column("Factor"),
        Column("Outcome"),
        Column("Analysis"),
        Column("Studies"),
        Column(f"HR ({percent} CI)", "decimal"),
        Column(f"{percent} PI"),
        Column(f"{state} of 100, reference level"),
        Column(f"{state} of 100, adverse level ({percent} CI)"),
        Column("Certainty"),
        Column("Comments"),
    )
    cells, before = [], ""
    for row in rows:
        for ratios in (row.ratios(stratum) for stratum in strata):
            if ratios.k < max(min_studies, 1):
                continue
            told = ratios.scale or row.levels
            name = f"{row.factor} ({told})" if told else row.factor
            sheet = next((s for s in sheets if _same(s, row, ratios)), None)
            cells.append(
                (
                    "" if name == before else name,
                    row.endpoint.replace("_", " "),
                    ratios.stratum if len(strata) > 1 else "",
                    _studies(ratios),
                    *_ratio(ratios, level, marks),
                    *_absolute(ratios, known.get(row.endpoint), level, marks),
                    "" if sheet is None else _certainty(sheet),
                    "; ".join(_comments(row, ratios)),
                )
            )
            before = name
    notes = [
        *marks.footnotes,
        "HR: hazard ratio of the first level against the other, random effects; above 1 the first does worse.",
    ]
    if any(row[5] for row in cells):
        notes.append(f"PI: where the ratio of a new study lies with {percent} probability.")
    if sheets:
        notes.append(
            "Certainty: GRADE for prognostic factors; proposed or incomplete until an author has judged every domain."
        )
    return Table.filled("Summary of findings", columns, cells, notes)


def _checked(baseline: Mapping[str, BaselineSurvival], endpoints: set[str]) -> dict[str, BaselineSurvival]:
    found = {}
    for code, given in baseline.items():
        if code not in endpoints:
            raise InvalidInputError(
                f"baseline: no row has the endpoint {code!r}; there are {_format.listing(sorted(endpoints))}."
            )
        base = BaselineSurvival(*given)
        if not (math.isfinite(base.time_months) and base.time_months > 0 and 0 < base.survival < 1):
            raise InvalidInputError(
                f"baseline, {code}: a positive number of months and a survival between 0 and 1; got {given!r}."
            )
        found[code] = base
    return found


def _same(sheet: FactorCertainty, row: FactorRow, ratios: HazardRatios) -> bool:
    return (sheet.factor, sheet.endpoint, sheet.stratum) == (row.factor, row.endpoint, ratios.stratum)


def _studies(ratios: HazardRatios) -> str:
    sizes = [_format.plural(ratios.n_patients, "patient")] if ratios.n_patients else []
    sizes += [_format.plural(ratios.n_events, "event")] if ratios.n_events is not None else []
    return f"{ratios.k} ({', '.join(sizes)})" if sizes else str(ratios.k)


def _state(endpoints: Iterable[str]) -> str:
    """What the patients are who have had no event: alive only where the event is death of any cause."""
    found = [code.lower() in _OVERALL.spellings for code in endpoints]
    return "Alive" if all(found) else "Alive (OS) or event-free" if any(found) else "Event-free"


def _ratio(ratios: HazardRatios, level: float, marks: Marks) -> tuple[str, str]:
    pooled = ratios.pooled
    if pooled is None:
        return (_single(ratios.used[0], level, marks) if ratios.k == 1 else "not pooled"), ""
    low, high = map(_format.ratio, pooled.natural_interval(level))
    ahead = pooled.natural_prediction_interval(level)
    prediction = "" if math.isnan(ahead.lower) else _format.span(*map(_format.ratio, ahead))
    return f"{_format.ratio(pooled.natural)} ({_format.span(low, high)})", prediction


def _single(only: FactorEvidence, level: float, marks: Marks) -> str:
    span, origin = only.shown_limits(level), only.computed_from(level)
    shown = f"{only.shown_ratio} ({span})" if span else only.shown_ratio
    if only.is_derived:
        return f"{shown}{marks(f'One study, which prints no ratio: computed from {origin}.')}"
    limits = f"; {100 * level:g}% CI computed from {origin}" if origin else ""
    return f"{shown}{marks(f'One study, as printed or turned to the first level{limits}.')}"


def _absolute(
    ratios: HazardRatios, base: BaselineSurvival | None, level: float, marks: Marks
) -> tuple[str, str]:
    if base is None or (ratios.pooled is None and ratios.k > 1):
        return "", ""
    log = ratios.used[0].log_hr if ratios.pooled is None else ratios.pooled.estimate
    ratio, ends = math.exp(log), [math.exp(end) for end in ratios.interval(level)]
    shown = f"{100 * base.survival**ratio:.0f}"
    if not math.isnan(ends[0] + ends[1]):
        low, high = (f"{100 * base.survival**end:.0f}" for end in ends[::-1])
        shown += f" ({_format.span(low, high)})"
    years = base.time_months / 12
    when = f"{_format.shortest(years, 2)} years" if years >= 1 else f"{base.time_months:g} months"
    source = f" from {base.source}" if base.source else " assumed"
    mark = marks(
        f"At {when}; survival with the reference level{source}, whose error is left out; proportional hazards."
    )
    return f"{100 * base.survival:.0f}{mark}", shown


def _certainty(sheet: FactorCertainty) -> str:
    return sheet.certainty if sheet.status == "judged" else f"{sheet.certainty} ({sheet.status})"


def _probability(value: float) -> str:
    """Two decimals, and never so round that it is certain."""
    return "> 0.99" if value > 0.99 else "< 0.01" if value < 0.01 else _format.number(value, 2)


def _comments(row: FactorRow, ratios: HazardRatios) -> list[str]:
    said, pooled = [], ratios.pooled
    if pooled is not None:
        said.append(f"I\u00b2 {100 * pooled.i2:.0f}%")
        harm = pooled.probability_above()
        if not math.isnan(harm):
            said.append(f"HR above 1 in a new study with probability {_probability(harm)}")
    without = row.without_ratio(ratios.stratum)
    if without:
        silent = sum(result.is_not_significant for result in without)
        some = f", {silent} of them not significant" if len(without) > 1 else ", not significant"
        tail = some if silent else ""
        said.append(
            f"{_format.plural(len(without), 'further study', 'further studies')} without a usable HR{tail}"
        )
    if ratios.cut_points:
        said.append(f"different cut-points: {ratios.cut_points}")
    if chosen := chosen_cut_points(ratios.used):
        said.append(f"cut-point chosen by the outcome in {chosen}: HR too far from 1")
    return said
