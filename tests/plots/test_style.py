"""Text laid out by its measured width, ticks, and room taken from axes."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.plots import _key, _style, style

WORDS = "Prediction interval of the mean, 0.62 [0.38, 2.84] τ² I² −0.5 ▲ 12/17"


@pytest.mark.parametrize("weight", ["normal", "bold"])
@pytest.mark.parametrize("text", [WORDS, "Adams 2001", "[0.38,", "100.0%", "i", "WWW"])
def test_measured_width_is_the_width_in_print(text, weight):
    """At 600 dpi hinting moves little; the allowance for screens is taken off."""
    with style():
        figure = plt.figure(dpi=600)
        drawn = figure.text(0, 0, text, fontsize=_style.FONT_SIZE, fontweight=weight)
    width = drawn.get_window_extent(figure.canvas.get_renderer()).width / 600
    assert _style.text_width([text], weight=weight) / _style.HINTED == pytest.approx(
        width, rel=0.02, abs=0.005
    )


def test_the_widest_line_counts():
    assert _style.text_width(["a", "bbb\ncc"]) == _style.text_width(["bbb"])
    assert _style.text_width([]) == 0


@given(
    st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126), max_size=60), st.floats(0.3, 3)
)
def test_wrapped_lines_fit_and_lose_nothing(text, width):
    text = _style.one_line(text)
    lines = _style.wrapped(text, width)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(len(line) == 1 or _style.text_width([line]) <= width for line in lines)
    # no line could have taken the first word of the next
    for line, following in pairwise(lines):
        word = following.split(" ")[0]
        assert _style.text_width([f"{line} {word}"]) > width or f"{line}{word}" in text


def test_one_line():
    assert _style.one_line(" Adams\n et al.\t2001 ") == "Adams et al. 2001"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.05, "0.05"),
        (0.1 + 0.2, "0.3"),
        (1.0, "1"),
        (-0.5, "−0.5"),
        (10000.0, "10000"),
        (1e5, "10⁵"),
        (2e-4, "2×10⁻⁴"),
        (-1e6, "−10⁶"),
        (0.0, "0"),
    ],
)
def test_ticks_are_short(value, text):
    assert _style.tick_text(value) == text


def axes(width, height):
    return plt.figure(figsize=(width, height)).add_axes((0, 0, 1, 1))


def test_ticks_are_as_many_as_fit():
    for inches, expected in ((4.0, [0, 1, 2, 3, 4]), (0.5, [0, 2, 4]), (0.2, [0])):
        ax = axes(inches, 1)
        ax.set_xlim(0, 4)
        _style.set_ticks(ax, [[0, 1, 2, 3, 4], [0, 2, 4], [0]], lambda value: f"{value:g}0", inches)
        assert ax.get_xticks().tolist() == expected


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_even_ticks_lie_inside(low, span):
    for ticks in _style.even_ticks(low, low + span):
        assert all(low - 1e-6 * span <= tick <= low + span + 1e-6 * span for tick in ticks)
    first, *_ = _style.even_ticks(low, low + span)
    assert 2 <= len(list(first)) <= 7


def test_room_is_taken_in_inches_and_follows_the_window():
    ax = axes(5, 4)
    kept = _style.make_room(ax, left=1, right=0.5, head=0.25, foot=0.75, least=(1, 1))
    margin = 2 * _style.MARGIN
    assert kept == pytest.approx((3.5 - margin, 3 - margin))
    ax.figure.set_size_inches(10, 8)
    ax.figure.draw_without_rendering()
    box, dpi = ax.get_window_extent(), ax.figure.dpi
    assert np.array(box.extents) / dpi == pytest.approx(
        [1 + margin / 2, 0.75 + margin / 2, 9.5 - margin / 2, 7.75 - margin / 2]
    )


def test_text_beside_the_plot_follows_it():
    ax = axes(5, 4)
    text = _style.write(ax, 0.2, 0.5, "here", place=_style.beside(ax, right=True))

    def gap():
        ax.figure.draw_without_rendering()
        return (text.get_window_extent().x0 - ax.get_window_extent().x1) / ax.figure.dpi

    before = gap()
    assert before == pytest.approx(0.2, abs=0.02)
    ax.set_position((0.1, 0.1, 0.5, 0.5))
    assert gap() == pytest.approx(before)
    ax.set_xlim(-5, 100)
    assert gap() == pytest.approx(before)


def test_parts_of_a_column_stand_under_each_other():
    column = _style.Column("HR", ("0.5\t[0.1,\t12.0]", "12.0\t[3.4,\t5.6]", "\t[1,\t2]"), "right")
    assert column.parts == [("0.5", "12.0", ""), ("[0.1,", "[3.4,", "[1,"), ("12.0]", "5.6]", "2]")]
    widths = [_style.text_width(part) for part in column.parts]
    assert column.width == pytest.approx(sum(widths) + 2 * column.PART)
    assert _style.Column("A long heading", ("1",)).width == _style.text_width(
        ["A long heading"], weight="bold"
    )


def test_keys_go_on_in_another_line():
    sample = _key.Sample("sample of a look", ({"ls": "", "marker": "o"},))
    key = _key.Key((("", (sample,) * 3),), 2.5 * sample.width)
    assert [len(line) for _, line in key.lines] == [2, 1]
    assert key.height == pytest.approx(2 * _style.LINE)
    assert key.widest <= key.width
    assert _key.Key((("", ()),), 1.0).widest == 0


@pytest.mark.parametrize("sign", ["+", _style.MINUS, "?", "2"])
def test_a_sign_is_centred(sign):
    outline = _style.sign(sign, "black")["marker"]
    box = outline.get_extents()
    assert box.x0 == pytest.approx(-box.x1, abs=0.05)
    assert box.y0 == pytest.approx(-box.y1, abs=0.05)
