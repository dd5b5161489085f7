"""The nine items that a synthesis without meta-analysis is reported by."""

from __future__ import annotations

import html
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from netsynth import _format

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SwimItem", "SwimReport"]

SwimSource = Literal["analysis", "author", "analysis and author", "to be written"]
TO_BE_WRITTEN: Final = "TO BE WRITTEN"
_WIDTH: Final = 104


@dataclass(frozen=True, slots=True)
class SwimItem:
    """One item of the report.

    Attributes
    ----------
    number, name : str
        Such as "1a" and "grouping".
    asks : str
        What a reader wants to know.
    text : str
        The answer; empty where only the author can give it and has not.
    source : {"analysis", "author", "analysis and author", "to be written"}
        Who wrote it.
    hints : tuple of str
        What the analysis knows that the author should not forget.
    """

    number: str
    name: str
    asks: str
    text: str
    source: SwimSource
    hints: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The answer, or in capitals that there is none."""
        return self.text or f"{TO_BE_WRITTEN}: {self.asks}"


@dataclass(frozen=True, slots=True)
class SwimReport:
    """A synthesis without meta-analysis by its nine items, as made by `netsynth.swim_report`.

    Attributes
    ----------
    title : str
        Of the synthesis.
    items : tuple of SwimItem
        In the order of the guideline.
    """

    title: str
    items: tuple[SwimItem, ...]

    def item(self, number: str) -> SwimItem:
        """The item of that number, such as "1a" or "6".

        Raises
        ------
        KeyError
            If there is none.
        """
        for item in self.items:
            if item.number == number:
                return item
        raise KeyError(f"no item {number!r}; items are {', '.join(item.number for item in self.items)}")

    @property
    def missing(self) -> tuple[SwimItem, ...]:
        """Items that the author has still to write."""
        return tuple(item for item in self.items if not item.text)

    @property
    def is_complete(self) -> bool:
        """Whether every item has an answer."""
        return not self.missing

    @property
    def verdict(self) -> str:
        """What is still missing, in words."""
        if self.is_complete:
            return "Every item has an answer."
        listed = _format.listing(f"{item.number} ({item.name})" for item in self.missing)
        return f"Not complete: {listed} to be written."

    def summary_frame(self) -> pd.DataFrame:
        """One row an item."""
        import pandas as pd

        rows = [
            {
                "item": item.number,
                "name": item.name,
                "asks": item.asks,
                "text": item.text,
                "source": item.source,
                "hints": "; ".join(item.hints),
            }
            for item in self.items
        ]
        return pd.DataFrame(rows).set_index("item")

    def __str__(self) -> str:
        lines = [f"{self.title}: synthesis without meta-analysis, nine items", f"  {self.verdict}"]
        for item in self.items:
            lines.append(f"  {item.number:<3}{item.name}")
            paragraphs = item.shown.split("\n")
            for paragraph in [
                *paragraphs,
                *(f"Do not forget: {hint}" for hint in item.hints if not item.text),
            ]:
                lines += textwrap.wrap(paragraph, _WIDTH, initial_indent=" " * 5, subsequent_indent=" " * 5)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = []
        for item in self.items:
            text = html.escape(item.text).replace("\n", "<br>")
            if not item.text:
                hints = "".join(f"<br>{html.escape(hint)}" for hint in item.hints)
                text = (
                    f'<strong style="color:#D55E00">{TO_BE_WRITTEN}</strong>: {html.escape(item.asks)}{hints}'
                )
            rows.append(
                f"<tr><td>{item.number}</td><td>{html.escape(item.name)}</td><td>{text}</td>"
                f"<td>{html.escape(item.source)}</td></tr>"
            )
        caption = html.escape(f"{self.title}. {self.verdict}")
        head = "<tr><th>item</th><th>name</th><th>text</th><th>written by</th></tr>"
        return (
            f"<table><caption>{caption}</caption><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"
        )
