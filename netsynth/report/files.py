"""Tables, figures and the page of a review, written into a folder that the caller names."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from netsynth import _format, tables
from netsynth.data.review import Review
from netsynth.report.analysis import ReviewAnalysis, analyse_review
from netsynth.report.page import Section, inline_svg, page, paragraphs
from netsynth.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["write_report"]

#: At most this many selections get a flow diagram; the rest are in the table of exclusions.
FLOWS = 1


def write_report(
    review: Review | ReviewAnalysis, folder: str | Path, *, sets: Sequence[str] | None = None, title: str = ""
) -> Path:
    """Write every table and figure of a review and one self-contained HTML page.

    Parameters
    ----------
    review : Review or ReviewAnalysis
        The review, or what `analyse_review` made of it.
    folder : str or Path
        Where to write; made if it does not exist. Files of the same name are replaced, others left alone.
    sets : sequence of str, optional
        Evidence sets of the headline figures, when a review is given.
    title : str, optional
        Heading of the page; by default the title of the review.

    Returns
    -------
    Path
        The page, ``report.html``. Beside it lie ``tables/`` (CSV, Markdown, LaTeX) and ``figures/`` (SVG, PDF).

    Raises
    ------
    InvalidInputError
        As `analyse_review`.
    OSError
        If the folder cannot be written.
    """
    analysis = review if isinstance(review, ReviewAnalysis) else analyse_review(review, sets=sets)
    target = Path(folder)
    shown = dict(_tables(analysis))
    _write_tables(shown, target / "tables")
    figures = _write_figures(analysis, target / "figures")
    text = _page(analysis, shown, figures, title or analysis.review.title or "Review")
    report = target / "report.html"
    report.write_text(text, encoding="utf-8")
    return report


def _tables(analysis: ReviewAnalysis) -> Iterator[tuple[str, Table]]:
    review = analysis.review
    yield "characteristics", tables.characteristics_table(review)
    yield "outcomes", tables.outcomes_table(review)
    yield "summary", tables.summary_table(analysis.outcomes)
    if analysis.all_outcomes is not analysis.outcomes:
        everything = tables.summary_table(analysis.all_outcomes.only(2))
        yield "summary_all", replace(everything, title=f"{everything.title}, all evidence sets")
    if analysis.pooled:
        yield "pooled", tables.pooled_table({row.label: effect for row, effect in analysis.pooled})
    if analysis.factors is not None:
        yield "factors", tables.factor_table(analysis.factors)
        yield "factor_names", tables.mapping_table(analysis.factors)
    yield "reporting", tables.reporting_table(analysis.reporting)
    yield "exclusions", tables.exclusions_table(analysis.outcomes.exclusions)


def _write_tables(shown: dict[str, Table], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in shown.items():
        table.to_csv(folder / f"{name}.csv")
        (folder / f"{name}.md").write_text(table.to_markdown() + "\n", encoding="utf-8")
        (folder / f"{name}.tex").write_text(table.to_latex() + "\n", encoding="utf-8")


def _figures(analysis: ReviewAnalysis) -> Iterator[tuple[str, Figure, str]]:
    """Name, figure and caption, one at a time, so that only one is open."""
    from netsynth.plots.curve import curve_plot
    from netsynth.plots.flow import flow_plot
    from netsynth.plots.forest import forest_plot
    from netsynth.plots.outcomes import outcome_plot

    several = analysis.outcomes.only(2)
    if any(row.unit == "percent" for row in several.rows):
        yield (
            "medians",
            _figure(outcome_plot(several)),
            "Median and range over studies of every outcome that at least two studies report.",
        )
    for row, effect in analysis.pooled:
        name = f"forest_{row.label}".lower().replace(" ", "_").replace("-", "_")
        yield name, _figure(forest_plot(effect, label=row.label)), f"Forest plot: {row.label}."
    if analysis.curves:
        caption = (
            f"{analysis.endpoint} of every cohort or arm that reports it at two or more landmarks, reconstructed by a "
            "monotone cubic of the cumulative hazard, within the bounds that the reports alone allow"
        )
        note = "; on top the pooled landmarks of all evidence sets." if analysis.landmarks else "."
        name = analysis.review.endpoint(analysis.endpoint).name or analysis.endpoint
        ax = curve_plot(
            analysis.curves, pooled=analysis.landmarks or None, bounds=True, label=name.capitalize()
        )
        yield "curves", _figure(ax), caption + note
    if analysis.factors is not None:
        yield (
            "factors",
            _figure(analysis.factors.plot()),
            "Direction of effect of each prognostic factor, a mark a study. It says nothing of magnitude.",
        )
    yield (
        "reporting",
        _figure(analysis.reporting.plot()),
        "Reporting completeness: what can be read off the extracted figures. It does not judge how a study was done.",
    )
    for row in sorted(analysis.outcomes.rows, key=lambda r: -r.k)[:FLOWS]:
        yield "flow", _figure(flow_plot(row.selection)), f"Flow of reported figures: {row.label}."


def _figure(ax: Axes) -> Figure:
    return cast("Figure", ax.get_figure(root=True))  # the axes were made with a figure


def _write_figures(analysis: ReviewAnalysis, folder: Path) -> dict[str, str]:
    """Write each figure and hand back its HTML, in order."""
    import matplotlib.pyplot as plt

    from netsynth.plots._style import style

    folder.mkdir(parents=True, exist_ok=True)
    inline: dict[str, str] = {}
    for name, figure, caption in _figures(analysis):
        with style():
            for suffix, metadata in (("svg", {"Date": None}), ("pdf", {"CreationDate": None})):
                figure.savefig(folder / f"{name}.{suffix}", metadata=metadata)
        svg = (folder / f"{name}.svg").read_text(encoding="utf-8")
        inline[name] = inline_svg(svg, caption, name=name)
        plt.close(figure)
    return inline


def _page(analysis: ReviewAnalysis, shown: dict[str, Table], figures: dict[str, str], title: str) -> str:
    def wide(name: str) -> str:
        return f'<div class="wide">{shown[name].to_html()}</div>' if name in shown else ""

    sets = "all evidence sets" if analysis.sets is None else f"evidence set {_format.listing(analysis.sets)}"
    forests = "".join(markup for name, markup in figures.items() if name.startswith("forest_"))
    sections = [
        Section("Results", paragraphs(analysis.paragraph())),
        Section("Medians and ranges", wide("summary") + figures.get("medians", "") + wide("summary_all")),
        Section("Pooled figures", (wide("pooled") + forests) if analysis.pooled else ""),
        Section("Survival curves", figures.get("curves", "")),
        Section("Prognostic factors", figures.get("factors", "") + wide("factors") + wide("factor_names")),
        Section("Reporting completeness", figures["reporting"] + wide("reporting")),
        Section("Studies", wide("characteristics") + wide("outcomes")),
        Section("What was left out", figures.get("flow", "") + wide("exclusions")),
        Section("Warnings", _warnings(analysis)),
        Section("Sources", _sources(analysis.review)),
    ]
    lead = paragraphs(
        f"Headline figures use {sets}. Every figure keeps its source; see the tables beside this page."
    )
    return page(title, lead, [section for section in sections if section.body])


def _warnings(analysis: ReviewAnalysis) -> str:
    if not analysis.warnings:
        return paragraphs("None.")
    return paragraphs(*(str(caution) for caution in analysis.warnings), kind="warning")


def _sources(review: Review) -> str:
    items = []
    for source in review.sources:
        text = html.escape(str(source))
        link = html.escape(source.link, quote=True)
        # only web addresses become links, whatever a file may hold
        items.append(
            f'<li><a href="{link}">{text}</a></li>' if link.startswith("http") else f"<li>{text}</li>"
        )
    return f"<ol>{''.join(items)}</ol>" if items else ""
