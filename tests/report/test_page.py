"""The page: self-contained, escaped, and valid enough for a parser that checks nesting."""

import re
from html.parser import HTMLParser

from netsynth.report.page import Section, inline_svg, page, paragraphs

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Nesting(HTMLParser):
    """Refuse an end tag that does not close the last open one; collect ids and addresses."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.addresses = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href"):
                self.addresses.append(value)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(text):
    parser = Nesting()
    parser.feed(text)
    assert parser.open == []
    return parser


def test_page_escapes_and_links_its_sections():
    text = page(
        "A < B", paragraphs("x & y"), [Section("One & two", "<p>body</p>"), Section("Three", "<p></p>")]
    )
    parser = parsed(text)
    assert "<title>A &lt; B</title>" in text
    assert "<p>x &amp; y</p>" in text
    assert set(parser.addresses) == {"#one-two", "#three"}
    assert set(parser.ids) == {"one-two", "three"}


def test_page_asks_nothing_of_the_network():
    text = page("t", "", [Section("s", "")])
    assert not re.search(r"https?://|<script|@import|url\(", text)


def test_ids_of_two_figures_stay_apart():
    svg = '<?xml version="1.0"?>\n<svg><defs><path id="a"/></defs><use href="#a"/><g clip-path="url(#a)"/></svg>'
    both = inline_svg(svg, "first", name="f1") + inline_svg(svg, "second & last", name="f2")
    parser = parsed(both)
    assert parser.ids == ["f1-a", "f2-a"]
    assert parser.addresses == ["#f1-a", "#f2-a"]
    assert both.count("url(#f1-a)") == both.count("url(#f2-a)") == 1
    assert "<figcaption>second &amp; last</figcaption>" in both
