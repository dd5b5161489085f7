"""One self-contained HTML page: no script, no network, figures as inline vector graphics, fit to print."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

__all__ = ["Section", "inline_svg", "page", "paragraphs"]

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 Georgia, "Times New Roman", serif; color: #1a1a1a; max-width: 60rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.7rem; line-height: 1.25; } h2 { font-size: 1.25rem; margin-top: 2.5rem;
     border-bottom: 1px solid #bbb; padding-bottom: .2rem; }
nav ol { columns: 2; font: 14px/1.6 Helvetica, Arial, sans-serif; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font: 12.5px/1.4 Helvetica, Arial, sans-serif; margin: .8rem 0; }
caption { text-align: left; font-weight: 600; padding-bottom: .4rem; font-size: 13.5px; }
thead th { border-top: 1.5px solid #1a1a1a; border-bottom: 1px solid #1a1a1a; text-align: left;
           vertical-align: bottom; }
th, td { padding: .18rem .6rem .18rem 0; vertical-align: top; }
tbody tr:last-child td { border-bottom: 1.5px solid #1a1a1a; }
tbody tr:nth-child(even) { background: #f6f6f4; }
figure { margin: 1rem 0; } figure svg { max-width: 100%; height: auto; }
figcaption, .notes { font: 13px/1.45 Helvetica, Arial, sans-serif; color: #333; }
.warning { border-left: 3px solid #b45f06; padding-left: .8rem; }
a { color: #0b4f8a; }
@page { size: A4 landscape; margin: 12mm; }
@media print {
  body { font-size: 10.5pt; max-width: none; margin: 0; padding: 0; }
  nav { display: none; }
  h2 { break-after: avoid; } figure, tr { break-inside: avoid; } thead { display: table-header-group; }
  .wide { overflow: visible; } table { font-size: 6.5pt; width: 100%; }
  th, td { padding: .1rem .35rem .1rem 0; } figure svg { max-height: 165mm; }
  tbody tr:nth-child(even) { background: none; }
}
"""

_ENLARGED: Final = 1.25


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the HTML under it."""

    heading: str
    body: str

    @property
    def anchor(self) -> str:
        """The heading as the fragment of an address."""
        return re.sub(r"[^a-z0-9]+", "-", self.heading.lower()).strip("-")


def page(title: str, lead: str, sections: Iterable[Section]) -> str:
    """The page as text; `title` is plain text, `lead` and the bodies are HTML."""
    parts = list(sections)
    contents = "".join(f'<li><a href="#{s.anchor}">{html.escape(s.heading)}</a></li>' for s in parts)
    body = "\n".join(
        f'<section id="{s.anchor}"><h2>{html.escape(s.heading)}</h2>\n{s.body}\n</section>' for s in parts
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style></head>\n"
        f"<body>\n<h1>{html.escape(title)}</h1>\n{lead}\n<nav><ol>{contents}</ol></nav>\n{body}\n</body></html>\n"
    )


def paragraphs(*texts: str, kind: str = "") -> str:
    """Plain texts as escaped paragraphs."""
    attribute = f' class="{kind}"' if kind else ""
    return "\n".join(f"<p{attribute}>{html.escape(text)}</p>" for text in texts)


def inline_svg(svg: str, caption: str, *, name: str) -> str:
    """An SVG file as an element of the page, with its caption; `name` keeps its ids apart from others."""
    element = re.sub(r'(\bid="|href="#|url\(#)', rf"\1{name}-", svg[svg.index("<svg") :])
    # set in the type of a journal column, which a screen shows larger
    element = re.sub(r'\b(width|height)="([\d.]+)pt"', _enlarged, element, count=2)
    return f"<figure>{element}<figcaption>{html.escape(caption)}</figcaption></figure>"


def _enlarged(size: re.Match[str]) -> str:
    return f'{size[1]}="{float(size[2]) * _ENLARGED:.1f}pt"'
