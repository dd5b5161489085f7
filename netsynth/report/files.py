"""Tables, figures and the page of a review, written into a folder that the caller names."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

from netsynth import _format
from netsynth.data.review import Review
from netsynth.report.analysis import ReviewAnalysis, analyse_review
from netsynth.report.content import figures_of, tables_of
from netsynth.report.page import Section, inline_svg, page, paragraphs
from netsynth.tables import Table

__all__ = ["write_report"]


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
    shown = dict(tables_of(analysis))
    _write_tables(shown, target / "tables")
    figures = _write_figures(analysis, target / "figures")
    text = _page(analysis, shown, figures, title or analysis.review.title or "Review")
    report = target / "report.html"
    report.write_text(text, encoding="utf-8")
    return report


def _write_tables(shown: dict[str, Table], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in shown.items():
        table.to_csv(folder / f"{name}.csv")
        (folder / f"{name}.md").write_text(table.to_markdown() + "\n", encoding="utf-8")
        (folder / f"{name}.tex").write_text(table.to_latex() + "\n", encoding="utf-8")


def _write_figures(analysis: ReviewAnalysis, folder: Path) -> dict[str, str]:
    """Write each figure and hand back its HTML, in order."""
    import matplotlib.pyplot as plt

    from netsynth.plots._style import style

    folder.mkdir(parents=True, exist_ok=True)
    inline: dict[str, str] = {}
    for name, figure, caption in figures_of(analysis):
        with style():
            for suffix, metadata in (("svg", {"Date": None}), ("pdf", {"CreationDate": None})):
                figure.savefig(folder / f"{name}.{suffix}", metadata=metadata)
        svg = (folder / f"{name}.svg").read_text(encoding="utf-8")
        inline[name] = inline_svg(svg, caption, name=name)
        plt.close(figure)
    return inline


def _page(analysis: ReviewAnalysis, shown: dict[str, Table], figures: dict[str, str], title: str) -> str:
    def wide(*names: str) -> str:
        return "".join(_shown(shown[name]) for name in names if name in shown)

    def drawn(*starts: str) -> str:
        return "".join(markup for name, markup in figures.items() if name.startswith(starts))

    def only(name: str) -> str:
        return figures.get(name, "")

    told = analysis.factors.narrative(analysis.certainty).splitlines() if analysis.factors is not None else []
    sets = "all evidence sets" if analysis.sets is None else f"evidence set {_format.listing(analysis.sets)}"
    failed = paragraphs(*(f"Not pooled: {each}." for each in analysis.not_pooled), kind="notes")
    sections = [
        Section("Results", paragraphs(analysis.paragraph())),
        Section("Flow of studies and figures", only("search") + only("studies") + wide("flow")),
        Section("Medians and ranges", only("medians") + wide("summary", "summary_all")),
        Section("Pooled figures", wide("pooled") + drawn("forest_") + failed),
        Section("Survival over time", only("pooled_curve") + wide("pooled_curve") + only("curves")),
        Section("What is known without assumptions", only("bounds") + wide("bounds")),
        Section("Median survival", wide("pooled_medians") + drawn("months_")),
        Section(
            "Prognostic factors",
            only("factors")
            + wide("factors", "certainty", "factor_ratios")
            + drawn("ratio_")
            + paragraphs(*told)
            + wide("factor_evidence", "factor_names"),
        ),
        Section("Sensitivity", wide("sensitivity") + only("leave_one_out")),
        Section("Audit of the reported numbers", only("audit") + wide("audit")),
        Section("Reporting completeness", only("reporting") + wide("reporting")),
        Section("Synthesis without meta-analysis", wide("swim")),
        Section("Studies", wide("characteristics", "outcomes")),
        Section("What was left out", only("flow") + wide("exclusions")),
        Section("Warnings", _warnings(analysis)),
        Section("Sources", _sources(analysis.review)),
    ]
    lead = paragraphs(
        f"Headline figures use {sets}. Every figure keeps its source; see the tables beside this page."
    )
    return page(title, lead, [section for section in sections if section.body])


def _shown(table: Table) -> str:
    """A table, or without a row what stands above and below it."""
    if not table.rows:
        return paragraphs(f"{table.title}.") + paragraphs(*table.footnotes, kind="notes")
    return f'<div class="wide">{table.to_html()}</div>'


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
