"""What a radial plot draws is what the result says."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from scipy import stats

from netsynth.errors import InvalidInputError
from netsynth.plots.radial import radial_plot
from netsynth.pool import pool_effects

pytestmark = pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")

LOG_HR = np.array([-0.92, -1.05, -0.24, -0.71, -0.51, 0.12, -0.55, -0.18, -0.32, -0.05, -0.16])
SE = np.array([0.41, 0.38, 0.33, 0.30, 0.26, 0.22, 0.19, 0.16, 0.12, 0.10, 0.09])
BLUE, INK = "#0072b2", "#1a1a1a"


@pytest.fixture
def pooled():
    return pool_effects(LOG_HR, se=SE, measure="log_hr")


def in_data(ax, line):
    """Where the points of a line lie in the coordinates of the data."""
    ax.figure.draw_without_rendering()
    pixels = line.get_transform().transform(line.get_xydata())
    return ax.transData.inverted().transform(pixels)


def arc_of(ax):
    return next(line for line in ax.lines if to_hex(line.get_color()) == INK and len(line.get_xdata()) == 121)


def test_marks_are_the_standardised_studies(pooled):
    ax = radial_plot(pooled)
    (studies,) = [
        line for line in ax.lines if line.get_marker() == "o" and line.get_transform() == ax.transData
    ]
    x = 1 / np.sqrt(SE**2 + pooled.tau2)
    np.testing.assert_allclose(studies.get_xydata(), np.column_stack([x, x * (LOG_HR - pooled.estimate)]))
    assert ax.get_xlabel() == "1 / standard error (log scale), heterogeneity included"
    assert radial_plot(pool_effects(LOG_HR, se=SE, tau2_method="CE")).get_xlabel() == "1 / standard error"


@pytest.mark.parametrize("size", [None, (6.0, 3.0)])
def test_the_ray_to_a_number_on_the_arc_has_its_slope(pooled, size):
    room = None if size is None else plt.figure(figsize=size).add_axes((0, 0, 1, 1))
    ax = radial_plot(pooled, ax=room)
    numbers = [text for text in ax.texts if text.get_text().replace(".", "").isdigit()]
    assert len(numbers) >= 3
    ax.figure.draw_without_rendering()
    for text in numbers:
        x, y = ax.transData.inverted().transform(text.get_transform().transform(text.get_position()))
        assert y / x == pytest.approx(np.log(float(text.get_text())) - pooled.estimate, abs=1e-9)


def test_the_arc_is_part_of_a_circle(pooled):
    ax = radial_plot(pooled)
    pixels = arc_of(ax).get_transform().transform(arc_of(ax).get_xydata())
    origin = ax.transData.transform((0.0, 0.0))
    np.testing.assert_allclose(np.hypot(*(pixels - origin).T), np.hypot(*(pixels[0] - origin)), rtol=1e-9)


def test_no_study_lies_beyond_the_arc(pooled):
    ax = radial_plot(pooled)
    arc = in_data(ax, arc_of(ax))
    assert arc[:, 0].min() > (1 / np.sqrt(SE**2 + pooled.tau2)).max()


def test_the_thick_arc_is_the_interval(pooled):
    ax = radial_plot(pooled, level=0.8)
    (thick,) = [line for line in ax.lines if line.get_linewidth() == 3 and len(line.get_xdata()) == 121]
    x, y = in_data(ax, thick)[[0, -1]].T
    np.testing.assert_allclose(y / x + pooled.estimate, pooled.confidence_interval(0.8), atol=1e-9)
    (band,) = ax.collections
    half = stats.norm.isf(0.1)
    assert np.abs(band.get_paths()[0].vertices[:, 1]).max() == pytest.approx(half)
    assert {"its 80% CI", "80% of studies"} <= {text.get_text() for text in ax.texts}


@pytest.mark.parametrize(
    "measure", ["log_hr", "logit_survival", "cloglog_survival", "log_proportion", "generic"]
)
@pytest.mark.parametrize("scale", [0.02, 1.0, 5.0])
def test_every_radial_plot_is_readable(measure, scale, readable):
    effects = scale * (LOG_HR - 0.2)
    ax = radial_plot(
        pool_effects(effects, se=scale * SE, measure=measure, ci_method="mHK"), label="An effect, $x$"
    )
    readable(ax)


@pytest.mark.parametrize("size", [(3.0, 2.4), (7.0, 5.0)])
def test_a_radial_plot_fits_the_axes_it_is_given(pooled, size, readable):
    readable(radial_plot(pooled, ax=plt.figure(figsize=size).add_axes((0, 0, 1, 1))))


def test_axes_may_be_too_small(pooled):
    with pytest.raises(
        InvalidInputError, match=r"^The axes are 2\.0 by 1\.0 inches; this figure needs at least"
    ):
        radial_plot(pooled, ax=plt.figure(figsize=(2, 1)).add_axes((0, 0, 1, 1)))


def test_one_study_has_a_radial_plot():
    ax = radial_plot(pool_effects([0.3], se=[0.2], measure="log_hr"))
    assert ax.get_xlabel() == "1 / standard error (log scale)"


def test_the_same_plot_twice_is_the_same_file(pooled, saved):
    assert saved(radial_plot(pooled), "svg") == saved(radial_plot(pooled), "svg")
