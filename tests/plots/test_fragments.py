"""What a plot of fragments draws is what the posterior says."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

from netsynth.errors import InvalidInputError
from netsynth.fragments import fit_fragments
from netsynth.plots import fragment_plot


@pytest.fixture(scope="module")
def found():
    return fit_fragments(
        [36, 60, 120],
        [0.83, 0.71, 0.42],
        n_total=100,
        n_at_risk=[75, np.nan, 18],
        median_months=100,
        label="Example 2012",
        draws=200,
    )


def texts(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def test_the_line_is_the_posterior_median(found):
    ax = fragment_plot(found)
    line = max(
        (each for each in ax.lines if each.get_transform() == ax.transData), key=lambda x: len(x.get_xdata())
    )
    x, y = line.get_xdata(), line.get_ydata()
    assert (x[0], y[0], x[-1]) == (0, 100, 120)
    assert np.isin([36, 60, 120], x).all()
    middle = 100 * np.quantile(found.survival(x).value, 0.5, axis=0, method="inverted_cdf")
    assert y == pytest.approx(middle)


def test_the_band_lies_within_what_is_allowed(found):
    allowed, band = fragment_plot(found).collections
    box, path = band.get_paths()[0], allowed.get_paths()[0]
    low, high = found.survival(48.0).interval()
    assert box.contains_point((48, 100 * float(low) + 0.1))
    assert not box.contains_point((48, 100 * float(high) + 0.5))
    # monotone between 70.5 and 83.5 percent
    assert path.contains_point((48, 70.6))
    assert path.contains_point((48, 83.4))
    assert not path.contains_point((48, 83.6))


def test_printed_figures_are_marked(found):
    ax = fragment_plot(found)
    marks = [line for line in ax.lines if line.get_marker() in "s^v" and line.get_transform() == ax.transData]
    points = [(line.get_xdata()[0], line.get_ydata()[0], line.get_marker()) for line in marks]
    assert [(x, round(y, 3), m) for x, y, m in points] == [
        (36, 83, "s"),
        (60, 71, "s"),
        (99.5, 50, "^"),
        (100.5, 50, "v"),
        (120, 42, "s"),
    ]


def test_numbers_at_risk_are_exact_or_have_an_interval(found):
    shown = texts(fragment_plot(found))
    assert {"At risk", "100", "75", "18", "Example 2012, n = 100"} <= set(shown)
    low, high = found.n_at_risk(60).interval()
    assert f"{found.n_at_risk(60).mean:.0f} ({low:.0f}–{high:.0f})" in shown


def test_months_or_years(found):
    assert fragment_plot(found).get_xlabel() == "Years"
    short = fit_fragments([6, 12], [0.9, 0.6], n_total=30, draws=100)
    ax = short.plot()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Months", "Survival, %")
    assert fragment_plot(short, label="PFS $x$").get_ylabel() == "PFS $x$, %"


def test_nothing_overlaps(found, readable):
    readable(fragment_plot(found))
    _, ax = plt.subplots(figsize=(6, 4), dpi=150)
    readable(fragment_plot(found, ax=ax, level=0.5))


def test_what_is_refused(found):
    with pytest.raises(InvalidInputError, match="level must be a fraction"):
        fragment_plot(found, level=95)
    _, ax = plt.subplots(figsize=(1.5, 1.5))
    with pytest.raises(InvalidInputError, match=re.escape("Give it larger axes")):
        fragment_plot(found, ax=ax)
