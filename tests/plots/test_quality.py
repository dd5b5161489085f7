"""What a traffic-light plot shows are the ratings, their totals, and their shares."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from netsynth.errors import InvalidInputError
from netsynth.plots import _style, traffic_light_plot
from netsynth.results.quality import RatingTable, ReportingCompleteness, StudyReporting

ITEMS = ("sample size", "follow-up", "design")
REPORTED = {"Adams 2001": (1, 0, 1), "Brown 2005": (1, 0, 0), "Chen 2010": (1, 1, 0)}


@pytest.fixture
def reporting():
    studies = tuple(
        StudyReporting(name, name, tuple("here" if said else "" for said in row))
        for name, row in REPORTED.items()
    )
    return ReportingCompleteness(ITEMS, ITEMS, studies)


def table(ratings, cells, scores=None):
    k = len(cells)
    labels = tuple(f"Author {i}" for i in range(k))
    items = tuple(f"item {i}" for i in range(len(cells[0])))
    maxima = (None,) * k if scores is None else (9,) * k
    return RatingTable("List", items, ratings, labels, labels, cells, scores or (None,) * k, maxima)


def discs(ax):
    """Rating of each place by the label of the mark, and the colours of each rating."""
    cells, colours = {}, {}
    for line in ax.lines:
        if line.get_transform() == ax.transData and line.get_marker() == "o":
            colours[line.get_label()] = to_hex(line.get_color())
            for x, y in line.get_xydata():
                cells[int(y), int(x)] = line.get_label()
    return cells, colours


def row(ax, y):
    ax.figure.draw_without_rendering()
    texts = [text for text in ax.texts if text.get_text() and text.get_position()[1] == pytest.approx(y)]
    return [text.get_text() for text in sorted(texts, key=lambda text: text.get_window_extent().x0)]


def test_cells_are_the_ratings(reporting):
    cells, colours = discs(traffic_light_plot(reporting))
    expected = {
        (y, x): "yes" if said else "no"
        for y, row in enumerate(REPORTED.values())
        for x, said in enumerate(row)
    }
    assert cells == expected
    assert colours["yes"] != colours["no"]


def test_totals_and_shares(reporting):
    ax = traffic_light_plot(reporting)
    assert [row(ax, y) for y in range(3)] == [[name, f"{sum(said)}/3"] for name, said in REPORTED.items()]
    assert row(ax, 3.35) == ["% yes", "100", "33", "33"]


def test_shares_leave_out_what_does_not_apply():
    ax = traffic_light_plot(
        table(("2", "1", "0"), (("2", "2"), ("1", ""), ("0", ""), ("0", "")), (4, 1, 0, 0))
    )
    assert row(ax, 4.35) == ["% 2", "25", "100"]
    assert row(ax, 5.35) == ["% 1", "25", "0"]
    assert row(ax, 6.35) == ["% 0", "50", "0"]
    assert row(ax, 0) == ["Author 0", "4/9"]
    assert "not applicable" in [text.get_text() for text in ax.texts]


def test_an_item_that_never_applies_has_no_share():
    ax = traffic_light_plot(table(("low", "moderate", "high"), (("low", ""),)))
    assert row(ax, 1.35) == ["% low", "100"]


def test_a_word_for_what_does_not_apply_is_no_rating():
    ratings = ("yes", "unclear", "no", "not applicable")
    ax = traffic_light_plot(table(ratings, (("yes", "not applicable"), ("no", "yes"))))
    assert row(ax, 2.35) == ["% yes", "50", "100"]
    assert "% not applicable" not in [text.get_text() for text in ax.texts]


@pytest.mark.parametrize(
    ("ratings", "signs"),
    [
        (("yes", "no"), "+−"),
        (("low", "moderate", "high"), "+?−"),
        (("yes", "unclear", "no", "not applicable"), "+?−"),
        (("2", "1", "0"), "210"),
        (("low", "rather low", "rather high", "high"), "1234"),
        (("all",), "+"),
        (("a", "b", "c", "d", "e", "f"), "abcdef"),
    ],
)
def test_signs_need_no_colour(ratings, signs):
    rated = [rating for rating in ratings if rating != "not applicable"]
    ax = traffic_light_plot(table(ratings, tuple((rating,) for rating in rated)))
    drawn = {}
    for line in ax.lines:
        if line.get_transform() == ax.transData and not isinstance(line.get_marker(), str):
            drawn[line.get_label()] = line.get_marker()
    for rating, sign in zip(rated, signs, strict=True):
        expected = _style.sign(sign, "black")["marker"]
        np.testing.assert_array_equal(drawn[rating].vertices, expected.vertices)
    cells, colours = discs(ax)
    assert len(cells) == len(rated)
    assert len(set(colours.values())) >= min(len(rated), 5)


@pytest.mark.parametrize("dpi", [72, 100, 150, 300])
def test_signs_are_visible_at_any_resolution(reporting, dpi):
    """A thin upright bar may fall between two pixels; white must be seen in the middle of every disc."""
    ax = traffic_light_plot(reporting)
    ax.figure.set_dpi(dpi)
    ax.figure.canvas.draw()
    pixels = np.asarray(ax.figure.canvas.buffer_rgba())[..., :3].astype(int)
    for y in range(3):
        for x in range(3):
            column, line = ax.transData.transform((x, y))
            reach = round(0.02 * dpi)
            middle = pixels[
                len(pixels) - round(line) - reach : len(pixels) - round(line) + reach + 1,
                round(column) - reach : round(column) + reach + 1,
            ]
            assert middle.min(axis=-1).max() > 180, (x, y)


def test_headings_stand_over_their_items(reporting):
    ax = traffic_light_plot(reporting)
    slanting = [text for text in ax.texts if text.get_rotation() == 45]
    assert [text.get_text() for text in slanting] == list(ITEMS)
    assert [text.get_position()[0] for text in slanting] == [0, 1, 2]


@pytest.mark.parametrize("width", [4.9, 5.2, 6])
def test_a_long_heading_in_the_middle_stays_inside(width, readable):
    items = (
        *"abcd",
        "an item of so many words that its heading reaches far beyond the last of them",
        *"efgh",
    )
    grid = ReportingCompleteness(items, items, (StudyReporting("Adams", "Adams", ("here",) * 9),))
    ax = plt.figure(figsize=(width, 5)).add_axes((0, 0, 1, 1))
    readable(traffic_light_plot(grid, ax=ax), marks=False)


def test_nobody_rated():
    message = "Reporting completeness: there is no study to draw."
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        traffic_light_plot(ReportingCompleteness(ITEMS, ITEMS, ()))
