import matplotlib.pyplot as plt
import numpy as np
import pytest

from netsynth.datasets import load_nethm
from netsynth.errors import InvalidInputError
from netsynth.plots import pooled_bounds_plot
from netsynth.pooled_bounds import bound_pooled_survival


@pytest.fixture(scope="module")
def bounds():
    return bound_pooled_survival(
        load_nethm(), "OS", times_months=[36, 60], sets=["core"], least_maturity=0.25
    )


def test_bars_are_the_limits_and_marks_the_imputed_answers(bounds):
    ax = pooled_bounds_plot(bounds)
    drawn = [line.get_xdata() for line in ax.lines]
    low, high = (100 * end for end in bounds.survival)
    thick = [x for line, x in zip(ax.lines, drawn, strict=True) if line.get_linewidth() == 4.0]
    assert np.array(thick) == pytest.approx(np.column_stack([low, high]))
    marks = [x[0] for line, x in zip(ax.lines, drawn, strict=True) if line.get_marker() == "o"]
    assert marks == pytest.approx([100 * p.natural for p in bounds.imputed])


def test_every_number_of_a_row_is_written(bounds):
    ax = pooled_bounds_plot(bounds)
    written = {text.get_text() for text in ax.texts}
    assert {
        "3",
        "5",
        f"{100 * bounds.survival.lower[1]:.1f}\u2013",
        f"{100 * bounds.imputed[1].natural:.1f}",
    } <= written


def test_axes_too_small_are_refused(bounds):
    figure = plt.figure(figsize=(2, 1))
    with pytest.raises(InvalidInputError, match="needs at least"):
        pooled_bounds_plot(bounds, ax=figure.add_axes((0, 0, 1, 1)))
