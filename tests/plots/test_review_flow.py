"""The flow of a review: its boxes count what it holds, and nothing overlaps."""

import re

import pytest

from netsynth.data.prisma import PrismaFlow
from netsynth.data.selection import Exclusion
from netsynth.plots import review_flow_plot
from netsynth.results.review_flow import FlowLine, ReviewFlow

LONG = "a reason that somebody wrote down in a sentence of its own, with commas"


def flow(k=3, *, reason="other evidence set", search=None, taken_out=True):
    reasons = {f"{reason} {i}": i + 1 for i in range(k)}
    n = sum(reasons.values())
    return ReviewFlow(
        search,
        42,
        (n if taken_out else 0) + n + 19,
        reasons if taken_out else {},
        reasons,
        19,
        1083,
        12,
        tuple(Exclusion("a", reason, reason) for reason, count in reasons.items() for _ in range(count)),
        57,
        (FlowLine("5-year OS", n + 57, reasons, 57),),
    )


def texts(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


SEARCH = PrismaFlow(databases=1000, duplicates=100, excluded=700)


@pytest.mark.parametrize("k", [1, 9])
@pytest.mark.parametrize("reason", ["subgroup", LONG])
@pytest.mark.parametrize("search", [None, SEARCH])
@pytest.mark.parametrize("taken_out", [False, True])
def test_readable(k, reason, search, taken_out, readable):
    readable(review_flow_plot(flow(k, reason=reason, search=search, taken_out=taken_out)))


def test_numbers_of_the_boxes():
    found = texts(review_flow_plot(flow()))
    heads = [text for text in found if not re.match(r"\d+ other evidence set", text)]
    assert heads == [
        "Records identified and screened: not recorded",
        "42 sources read",
        "31 studies",
        "6 studies taken out",
        "25 studies in the review",
        "63 reported figures",
        "6 figures left out",
        "57 figures taken",
        "6 studies without a figure taken",
        "19 studies with an outcome",
        "1083 patients",
        "12 studies with a prognostic factor",
    ]


def test_a_search_stands_where_it_is_known():
    found = texts(review_flow_plot(flow(search=SEARCH, taken_out=False)))
    assert found[0] == "1000 records identified, 100 removed"
    assert "25 studies in the review" in found
    assert not any("not recorded" in text for text in found)


def test_without_a_figure_no_box_counts_figures(readable):
    ax = review_flow_plot(ReviewFlow(None, 2, 31, {}, {"prognostic factors only": 31}, 0, 0, 31, (), 0, ()))
    readable(ax)
    assert texts(ax) == [
        "Records identified and screened: not recorded",
        "2 sources read",
        "31 studies in the review",
        "no figure of an outcome",
        "31 studies without a figure taken",
        "31 prognostic factors only",
        "31 studies with a prognostic factor",
    ]
