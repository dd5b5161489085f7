"""Studies by items: what their reports state, and what reviewers judged. A table and a traffic light draw both."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from netsynth import _format

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["RatingGrid", "RatingTable", "ReportingCompleteness", "StudyReporting"]


class RatingGrid(Protocol):
    """What a traffic-light figure needs; both results here have it."""

    @property
    def title(self) -> str:
        """What is rated."""
        ...

    @property
    def items(self) -> tuple[str, ...]:
        """The columns."""
        ...

    @property
    def ratings(self) -> tuple[str, ...]:
        """Every rating there may be, from best to worst."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """The rows."""
        ...

    @property
    def cells(self) -> tuple[tuple[str, ...], ...]:
        """A rating for each row and column; empty for an item that does not apply."""
        ...

    @property
    def totals(self) -> tuple[str, ...]:
        """A total for each row as it is printed; empty where there is none."""
        ...


def rating_counts(grid: RatingGrid) -> dict[str, dict[str, int]]:
    """For each item how often each rating was given; cells that do not apply are not counted."""
    columns = zip(*grid.cells, strict=True) if grid.cells else ((),) * len(grid.items)
    return {
        item: {rating: list(column).count(rating) for rating in grid.ratings}
        for item, column in zip(grid.items, columns, strict=True)
    }


@dataclass(frozen=True, slots=True)
class StudyReporting:
    """What one study reports: for each item the figure or row that shows it, empty when none does."""

    study: str
    label: str
    evidence: tuple[str, ...]

    @property
    def reported(self) -> tuple[bool, ...]:
        """Whether each item is reported."""
        return tuple(bool(text) for text in self.evidence)

    @property
    def total(self) -> int:
        """Number of items reported."""
        return sum(self.reported)


@dataclass(frozen=True, slots=True)
class ReportingCompleteness:
    """Which of nine characteristics each study reports, as made by `netsynth.score_reporting`.

    It is read off the extracted rows: what is not among them counts as not reported. It says how much a
    reader is told, not how well a study was done.

    Attributes
    ----------
    items : tuple of str
        Names of the characteristics.
    meanings : tuple of str
        What makes each count as reported.
    studies : tuple of StudyReporting
        One a study, in the order of the review.
    """

    items: tuple[str, ...]
    meanings: tuple[str, ...]
    studies: tuple[StudyReporting, ...]

    @property
    def title(self) -> str:
        """Name of the result."""
        return "Reporting completeness"

    @property
    def ratings(self) -> tuple[str, ...]:
        """The two ratings."""
        return ("yes", "no")

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the studies."""
        return tuple(study.label for study in self.studies)

    @property
    def cells(self) -> tuple[tuple[str, ...], ...]:
        """Per study and item "yes" or "no"."""
        return tuple(tuple("yes" if said else "no" for said in study.reported) for study in self.studies)

    @property
    def totals(self) -> tuple[str, ...]:
        """Items reported by each study, such as "6/9"."""
        return tuple(f"{study.total}/{len(self.items)}" for study in self.studies)

    @property
    def item_counts(self) -> dict[str, int]:
        """Studies that report each item."""
        return {item: counts["yes"] for item, counts in rating_counts(self).items()}

    def summary_frame(self) -> pd.DataFrame:
        """One row a study: a column of booleans for each item, and the total."""
        import pandas as pd

        rows = [
            {
                "study": study.study,
                "label": study.label,
                **dict(zip(self.items, study.reported, strict=True)),
                "total": study.total,
            }
            for study in self.studies
        ]
        return pd.DataFrame(rows, columns=["study", "label", *self.items, "total"])

    def item_frame(self) -> pd.DataFrame:
        """One row an item: its meaning, the studies that report it, and their share as a fraction."""
        import pandas as pd

        k = len(self.studies)
        rows = [
            {"item": item, "meaning": meaning, "n_reported": n, "n_studies": k, "share": n / k}
            for (item, n), meaning in zip(self.item_counts.items(), self.meanings, strict=True)
        ]
        return pd.DataFrame(rows)

    def evidence_frame(self) -> pd.DataFrame:
        """One row a study and item, with the figure or row that shows it."""
        import pandas as pd

        rows = [
            {"study": study.study, "item": item, "reported": bool(text), "evidence": text}
            for study in self.studies
            for item, text in zip(self.items, study.evidence, strict=True)
        ]
        return pd.DataFrame(rows, columns=["study", "item", "reported", "evidence"])

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Traffic-light figure; needs matplotlib."""
        from netsynth.plots.quality import traffic_light_plot

        return traffic_light_plot(self, ax=ax)

    def __str__(self) -> str:
        k, totals = len(self.studies), [study.total for study in self.studies]
        span = _format.span(str(min(totals)), str(max(totals)))
        head = (
            f"{self.title}: {_format.plural(len(self.items), 'item')}, {_format.plural(k, 'study', 'studies')}; "
            f"reported a study: median {_format.shortest(statistics.median(totals), 1)} (range, {span})"
        )
        rows = [(item, f"{n} of {k}", f"{100 * n / k:.0f}%") for item, n in self.item_counts.items()]
        table = _format.text_table(("item", "studies", "share"), rows)
        return "\n".join(
            [head, *(f"  {line}" for line in table.splitlines()), *(f"  {line}" for line in _NOTE)]
        )

    def _repr_html_(self) -> str:
        return _grid_html(self, " ".join((f"{self.title}.", *_NOTE)))


_NOTE: Final = (
    "What is not among the extracted rows counts as not reported.",
    "This is no judgement of how well a study was done.",
)


@dataclass(frozen=True, slots=True)
class RatingTable:
    """Ratings of studies on one checklist, as made by `netsynth.tabulate_assessments`.

    Attributes
    ----------
    title : str
        Name of the checklist.
    items : tuple of str
        Its items.
    ratings : tuple of str
        The ratings it allows, from best to worst.
    studies, labels : tuple of str
        Id and name of the study of each row; the name has the assessor added where a study was rated twice.
    cells : tuple of tuple of str
        Rating of each row and item; empty for an item that does not apply.
    scores, maxima : tuple of int or None
        Total of each row and the highest its items allow; None for a checklist that has no sum.
    """

    title: str
    items: tuple[str, ...]
    ratings: tuple[str, ...]
    studies: tuple[str, ...]
    labels: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    scores: tuple[int | None, ...]
    maxima: tuple[int | None, ...]

    @property
    def totals(self) -> tuple[str, ...]:
        """Total of each row, such as "10/16"; empty for a checklist that has no sum."""
        pairs = zip(self.scores, self.maxima, strict=True)
        return tuple("" if score is None else f"{score}/{most}" for score, most in pairs)

    @property
    def item_counts(self) -> dict[str, dict[str, int]]:
        """For each item how often each rating was given."""
        return rating_counts(self)

    def summary_frame(self) -> pd.DataFrame:
        """One row a study and assessor: the rating of each item, and for a checklist with a sum the total."""
        import pandas as pd

        frame = pd.DataFrame(list(self.cells), columns=list(self.items))
        frame.insert(0, "study", self.studies)
        frame.insert(1, "label", self.labels)
        if any(score is not None for score in self.scores):
            frame["total"] = list(self.scores)
            frame["maximum"] = list(self.maxima)
        return frame

    def item_frame(self) -> pd.DataFrame:
        """One row an item: how often each rating was given."""
        import pandas as pd

        return pd.DataFrame([{"item": item, **counts} for item, counts in self.item_counts.items()])

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Traffic-light figure; needs matplotlib."""
        from netsynth.plots.quality import traffic_light_plot

        return traffic_light_plot(self, ax=ax)

    def __str__(self) -> str:
        head = f"{self.title}: {_format.plural(len(self.items), 'item')}, {len(self.labels)} rated"
        rows = list(zip(self.labels, *zip(*self.cells, strict=True), self.totals, strict=True))
        numbers = tuple(str(i) for i in range(1, len(self.items) + 1))
        table = _format.text_table(("study", *numbers, "total"), rows)
        key = [f"  {i} {item}" for i, item in zip(numbers, self.items, strict=True)]
        return "\n".join([head, *(f"  {line}" for line in table.splitlines()), *key])

    def _repr_html_(self) -> str:
        return _grid_html(self, self.title)


def _grid_html(grid: RatingGrid, caption: str) -> str:
    rows = [
        (label, *cells, total)
        for label, cells, total in zip(grid.labels, grid.cells, grid.totals, strict=True)
    ]
    return _format.html_table(("study", *grid.items, "total"), rows, caption=caption)
