"""The summary of a review: every outcome by median and range, beside what was published."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from netsynth import _format
from netsynth._typing import Interval
from netsynth.data.endpoint import Endpoint
from netsynth.data.review import PublishedTarget
from netsynth.data.selection import Exclusion, Selection
from netsynth.errors import Caution
from netsynth.results.aggregated import MedianRange

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["OutcomeRow", "OutcomeSummary"]

OutcomeKind = Literal["percentage", "time", "proportion"]


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """One line of the summary.

    Attributes
    ----------
    kind : {"percentage", "time", "proportion"}
        A percentage at a landmark, a median time, or a proportion of patients.
    outcome : str
        Code of the endpoint or name of the proportion.
    name : str
        The outcome in words.
    time_months : float
        The landmark; nan for a time or a proportion.
    selection : Selection
        Which figures were taken, and which were not and why.
    summary : MedianRange or None
        Over studies, in percent or in months; None when no study reports the outcome.
    target : PublishedTarget or None
        What the published review printed.
    """

    kind: OutcomeKind
    outcome: str
    name: str
    time_months: float
    selection: Selection
    summary: MedianRange | None
    target: PublishedTarget | None

    @property
    def unit(self) -> str:
        """Unit of the median and range."""
        return "month" if self.kind == "time" else "percent"

    @property
    def label(self) -> str:
        """The line in words, such as "5-year OS" or "median PFS"."""
        words = self.outcome.replace("_", " ")
        if self.kind == "time":
            return f"median {words}"
        return self.name if self.kind == "proportion" else f"{_landmark(self.time_months)} {words}"

    @property
    def k(self) -> int:
        """Number of studies."""
        return 0 if self.summary is None else self.summary.k

    @property
    def published(self) -> float:
        """The published median in `unit`; nan without a target."""
        if self.target is None:
            return math.nan
        return self.target.median.months if self.kind == "time" else 100 * self.target.median.probability

    @property
    def published_range(self) -> Interval:
        """The published range in `unit`; nan where none was printed."""
        pair = None if self.target is None else self.target.range
        ends = (None, None) if pair is None else (pair.lower, pair.upper)
        low, high = (
            math.nan if end is None else end.months if self.kind == "time" else 100 * end.probability
            for end in ends
        )
        return Interval(low, high)

    @property
    def difference(self) -> float:
        """Our median minus the published one, in `unit`; nan when either is missing."""
        return math.nan if self.summary is None else self.summary.median - self.published

    def __str__(self) -> str:
        return f"{self.label}: {'no study' if self.summary is None else self.summary}"


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeSummary:
    """Medians and ranges of every outcome of a review, as made by `netsynth.summarize_outcomes`.

    Attributes
    ----------
    title : str
        Of the review.
    n_studies : int
        Studies of the review.
    n_reporting, n_patients : int
        Studies that some line uses, and their patients, of studies that share patients only the largest.
    rows : tuple of OutcomeRow
        Percentages by endpoint and landmark, then times, then proportions.
    warnings : tuple of Caution
        What the summaries had to say.
    """

    title: str
    n_studies: int
    n_reporting: int
    n_patients: int
    rows: tuple[OutcomeRow, ...]
    warnings: tuple[Caution, ...] = ()

    def row(self, outcome: str | Endpoint, time_months: float | None = None) -> OutcomeRow:
        """The line of an outcome: with a landmark its percentage, without one its median time or proportion.

        Raises
        ------
        KeyError
            If the summary has no such line.
        """
        code = str(outcome)
        for row in self.rows:
            at = None if math.isnan(row.time_months) else row.time_months
            if row.outcome == code and (
                at == time_months or (at and time_months and math.isclose(at, time_months))
            ):
                return row
        raise KeyError(f"no line for {code}{'' if time_months is None else f' at {time_months:g} months'}")

    def only(self, min_studies: int) -> OutcomeSummary:
        """The lines of at least so many studies."""
        return replace(self, rows=tuple(row for row in self.rows if row.k >= min_studies))

    @property
    def exclusions(self) -> tuple[Exclusion, ...]:
        """Every figure that was left out of some line, with its reason."""
        return tuple(exclusion for row in self.rows for exclusion in row.selection.excluded)

    def summary_frame(self) -> pd.DataFrame:
        """One unrounded row a line, in percent or months, with the published figures and the difference."""
        import pandas as pd

        return pd.DataFrame([_frame_row(row) for row in self.rows]).astype(
            {"k": "Int64", "n_patients": "Int64"}
        )

    def narrative(self) -> str:
        """The results paragraph of an abstract: each clause a line of the summary, with its k."""
        sentences = [
            f"Of {_format.plural(self.n_studies, 'study', 'studies')}, {self.n_reporting} with {self.n_patients} "
            "patients (overlapping cohorts counted once) reported these outcomes."
        ]
        told = [row for row in self.rows if row.summary is not None]
        for outcome, group in groupby((r for r in told if r.kind == "percentage"), key=lambda r: r.outcome):
            sentences.append(_landmark_sentence(outcome, list(group)))
        sentences += [f"Median {row.name} was {row.summary}." for row in told if row.kind == "time"]
        sentences += [
            f"{_sentence_case(row.name)}: median {row.summary}." for row in told if row.kind == "proportion"
        ]
        return " ".join(sentences)

    def comparison(self) -> str:
        """Our figures beside the published ones, a line each."""
        rows = [row for row in self.rows if row.target is not None]
        if not rows:
            return "No published figures to compare with."
        cells = [("", "this synthesis", "published", "difference")]
        for row in rows:
            target = row.target
            published = f"{target.median} (range, {target.range})" if target is not None else ""
            decimals = 1
            gap = "" if math.isnan(row.difference) else f"{row.difference:+.{decimals}f}"
            cells.append((row.label, "no study" if row.summary is None else str(row.summary), published, gap))
        widths = [max(len(line[i]) for line in cells) for i in range(4)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in cells
        )

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Every study value with the median and range of each line."""
        from netsynth.plots.outcomes import outcome_plot

        return outcome_plot(self, ax=ax)

    def __str__(self) -> str:
        head = f"{self.title or 'Review'}: {_format.plural(self.n_studies, 'study', 'studies')}, medians over studies"
        return "\n".join([head, *(f"  {row}" for row in self.rows)])

    def _repr_html_(self) -> str:
        return str(self.summary_frame().to_html(index=False))


def _frame_row(row: OutcomeRow) -> dict[str, object]:
    summary = row.summary
    ci = None if summary is None else summary.confidence_interval()
    low, high = row.published_range
    nan = math.nan
    return {
        "outcome": row.outcome,
        "kind": row.kind,
        "time_months": row.time_months,
        "unit": row.unit,
        "k": row.k,
        "n_patients": row.selection.n_total,
        "median": nan if summary is None else summary.median,
        "lower": nan if summary is None else summary.lower,
        "upper": nan if summary is None else summary.upper,
        "q1": nan if summary is None else summary.q1,
        "q3": nan if summary is None else summary.q3,
        "ci_lower": nan if ci is None else ci.lower,
        "ci_upper": nan if ci is None else ci.upper,
        "ci_coverage": nan if ci is None else ci.coverage,
        "published_median": row.published,
        "published_lower": low,
        "published_upper": high,
        "difference": row.difference,
    }


def _landmark(months: float) -> str:
    years = months / 12
    return f"{years:g}-year" if math.isclose(years, round(years)) else f"{months:g}-month"


def _landmark_sentence(outcome: str, rows: list[OutcomeRow]) -> str:
    """The landmarks of one endpoint in a sentence."""
    landmarks = [_landmark(row.time_months) for row in rows]
    units = {landmark.split("-")[1] for landmark in landmarks}
    if len(units) == 1 and len(landmarks) > 1:
        heads = [landmark.split("-")[0] + "-" for landmark in landmarks[:-1]]
        when = _format.listing([*heads, landmarks[-1]])
    else:
        when = _format.listing(landmarks)
    values = _format.listing(str(row.summary) for row in rows)
    return f"Median {when} {rows[0].name or outcome} was {values}."


def _sentence_case(name: str) -> str:
    return name[:1].upper() + name[1:]


def merged_warnings(summaries: Iterable[MedianRange | None]) -> tuple[Caution, ...]:
    """Cautions of all lines, each once, in order."""
    return tuple(dict.fromkeys(c for summary in summaries if summary is not None for c in summary.warnings))
