"""The tables and the figures of an analysis, each with its name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from netsynth import _format, tables
from netsynth.report.analysis import ReviewAnalysis
from netsynth.report.sensitivity import OMITTED, sensitivity_table
from netsynth.report.words import pooled_ratios
from netsynth.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["figures_of", "tables_of"]

#: At most this many selections get a flow diagram; the rest are in the table of exclusions.
FLOWS: Final = 1


def tables_of(analysis: ReviewAnalysis) -> Iterator[tuple[str, Table]]:
    """Name and table, those left out of which the review knows nothing."""
    review = analysis.review
    if analysis.flow.lines:
        yield "flow", tables.flow_table(analysis.flow)
    yield "characteristics", tables.characteristics_table(review)
    yield "outcomes", tables.outcomes_table(review)
    if analysis.outcomes.rows:
        yield "summary", tables.summary_table(analysis.outcomes)
    if analysis.all_outcomes is not analysis.outcomes:
        everything = tables.summary_table(analysis.all_outcomes.only(2))
        yield "summary_all", replace(everything, title=f"{everything.title}, all evidence sets")
    if analysis.pooled:
        yield "pooled", tables.pooled_table({row.label: effect for row, effect in analysis.pooled})
    if analysis.pooled_curve is not None:
        yield "pooled_curve", tables.curve_table(analysis.pooled_curve)
    if analysis.bounds:
        yield "bounds", tables.bounds_table(analysis.bounds)
    medians = {row.label: result for row, result in analysis.medians}
    if analysis.all_medians is not analysis.medians:
        medians |= {f"{row.label}, all evidence sets": result for row, result in analysis.all_medians}
    if medians:
        yield "pooled_medians", tables.median_survival_table(medians)
    if analysis.factors is not None:
        yield "factors", tables.factor_table(analysis.factors)
        if analysis.certainty:
            yield "certainty", tables.certainty_table(analysis.factors, analysis.certainty)
        if ratios := pooled_ratios(analysis.factors):
            yield "factor_ratios", replace(tables.pooled_table(ratios), title="Pooled hazard ratios")
        yield "factor_evidence", tables.evidence_table(analysis.factors)
        yield "factor_names", tables.mapping_table(analysis.factors)
    if analysis.sensitivity:
        yield "sensitivity", sensitivity_table(analysis.sensitivity)
    yield "audit", tables.audit_table(analysis.audit)
    if analysis.swim is not None:
        yield "swim", tables.swim_table(analysis.swim)
    yield "reporting", tables.reporting_table(analysis.reporting)
    yield "exclusions", _exclusions(analysis)


def _exclusions(analysis: ReviewAnalysis) -> Table:
    """Studies taken out, figures left out as the flow counts them, and results of factors left out before counting."""
    factors = () if analysis.factors is None else analysis.factors.excluded
    given = {
        _format.plural(len(analysis.review.excluded), "study", "studies"): analysis.review.excluded,
        _format.plural(len(analysis.flow.exclusions), "reported figure"): analysis.flow.exclusions,
        _format.plural(
            len(factors), "result of a prognostic factor", "results of prognostic factors"
        ): factors,
    }
    table = tables.exclusions_table(one for left in given.values() for one in left)
    if not table.rows:
        return replace(table, title="Nothing was left out")
    counts = _format.listing(words for words, left in given.items() if left)
    return replace(table, footnotes=(*table.footnotes, f"{counts}, each with its reason."))


def figures_of(analysis: ReviewAnalysis) -> Iterator[tuple[str, Figure, str]]:
    """Name, figure and caption, one at a time, so that only one is open."""
    from netsynth.plots.flow import flow_plot

    if analysis.flow.search is not None:
        yield "search", _figure(analysis.flow.search.plot()), "Records, reports and studies (PRISMA 2020)."
    yield (
        "studies",
        _figure(analysis.flow.plot()),
        "From the search to the figures used; a study without one counts where its figure that came closest does.",
    )
    several = analysis.outcomes.only(2)
    if any(row.unit == "percent" for row in several.rows):
        yield (
            "medians",
            _figure(several.plot()),
            "Median and range over studies of every outcome that at least two studies report.",
        )
    yield from _pooled_figures(analysis)
    if analysis.factors is not None:
        yield (
            "factors",
            _figure(analysis.factors.plot()),
            "Direction of effect of each prognostic factor, a mark a study. It says nothing of magnitude.",
        )
        for label, effect in pooled_ratios(analysis.factors).items():
            yield f"ratio_{_file(label)}", _figure(effect.plot()), f"Hazard ratios: {label}."
    if analysis.leave_one_out is not None:
        yield (
            "leave_one_out",
            _figure(analysis.leave_one_out.plot()),
            f"{_omitted(analysis)} without each study in turn. {analysis.leave_one_out.conclusion()}",
        )
    if analysis.audit.findings:
        yield "audit", _figure(analysis.audit.plot()), "Studies with findings, by check."
    yield (
        "reporting",
        _figure(analysis.reporting.plot()),
        "Reporting completeness: what can be read off the extracted figures. It does not judge how a study was done.",
    )
    for row in sorted(analysis.outcomes.rows, key=lambda r: -r.k)[:FLOWS]:
        yield "flow", _figure(flow_plot(row.selection)), f"Flow of reported figures: {row.label}."


def _pooled_figures(analysis: ReviewAnalysis) -> Iterator[tuple[str, Figure, str]]:
    from netsynth.plots.curve import curve_plot
    from netsynth.plots.forest import forest_plot

    for row, effect in analysis.pooled:
        yield (
            f"forest_{_file(row.label)}",
            _figure(forest_plot(effect, label=row.label)),
            f"Forest plot: {row.label}.",
        )
    name = analysis.review.endpoint(analysis.endpoint).name or analysis.endpoint
    if analysis.pooled_curve is not None:
        curve = analysis.pooled_curve
        caption = (
            f"{analysis.endpoint} pooled over time: {curve.model}. Thin lines are what the studies report, the dark "
            "band is where the mean curve lies, the pale one that of a new study."
        )
        yield "pooled_curve", _figure(curve.plot()), caption
    if analysis.bounds:
        caption = (
            "Pooled landmarks when nothing is assumed of the variances that studies do not print, beside the answer of "
            "imputed ones."
        )
        yield "bounds", _figure(analysis.bounds[0].plot()), caption
    if analysis.curves:
        caption = (
            f"{analysis.endpoint} of every cohort or arm that reports it at two or more landmarks, reconstructed by a "
            "monotone cubic of the cumulative hazard, within the bounds that the reports alone allow"
        )
        note = "; on top the pooled landmarks of all evidence sets." if analysis.landmarks else "."
        ax = curve_plot(
            analysis.curves, pooled=analysis.landmarks or None, bounds=True, label=name.capitalize()
        )
        yield "curves", _figure(ax), caption + note
    shown = {row.label: result for row, result in analysis.medians}
    shown |= {row.label: result for row, result in analysis.all_medians if row.label not in shown}
    for label, result in shown.items():
        ours = any(row.label == label for row, _ in analysis.medians)
        where = "" if ours else ", all evidence sets"
        yield f"months_{_file(label)}", _figure(result.plot()), f"Forest plot: {label} in months{where}."


def _omitted(analysis: ReviewAnalysis) -> str:
    return next(row.outcome for row in analysis.sensitivity if row.varied == OMITTED)


def _file(label: str) -> str:
    """A label as the name of a file."""
    return re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")


def _figure(ax: Axes) -> Figure:
    return cast("Figure", ax.get_figure(root=True))  # the axes were made with a figure
