"""What a funnel plot draws is what the results say."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from scipy import stats

from netsynth.errors import InvalidInputError
from netsynth.plots.funnel import funnel_plot
from netsynth.pool import pool_effects
from netsynth.small_studies import assess_asymmetry, limit_effect, trim_and_fill

#: Pooling and testing few studies warns, as it should; a plot has nothing to add.
pytestmark = pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")

LOG_HR = np.array([-0.92, -1.05, -0.24, -0.71, -0.51, 0.12, -0.55, -0.18, -0.32, -0.05, -0.16])
SE = np.array([0.41, 0.38, 0.33, 0.30, 0.26, 0.22, 0.19, 0.16, 0.12, 0.10, 0.09])
STUDY = [f"Author {i} {2000 + i}" for i in range(11)]
Z = stats.norm.isf(0.025)
BLUE, VERMILION, PURPLE, INK = "#0072b2", "#d55e00", "#cc79a7", "#1a1a1a"


@pytest.fixture
def pooled():
    return pool_effects(LOG_HR, se=SE, measure="log_hr", study=STUDY)


def lines(ax, colour, *, dashed=None):
    """Lines in the coordinates of the data, of a colour."""
    found = [
        line
        for line in ax.lines
        if line.get_transform() == ax.transData
        and line.get_marker() == "None"
        and to_hex(line.get_color()) == colour
    ]
    return [line for line in found if dashed is None or (line.get_linestyle() == "--") == dashed]


def marks(ax, *, filled):
    (line,) = [
        line
        for line in ax.lines
        if line.get_transform() == ax.transData
        and line.get_marker() == "o"
        and (to_hex(line.get_markerfacecolor()) == INK) == filled
    ]
    return line.get_xydata()


def samples(ax):
    return [text.get_text() for text in ax.texts]


def bands(ax):
    """Corners of each shaded band, with its colour."""
    return [(band.get_paths()[0].vertices, to_hex(band.get_facecolor()[0])) for band in ax.collections]


def test_marks_are_the_studies(pooled):
    ax = funnel_plot(pooled)
    np.testing.assert_allclose(marks(ax, filled=True), np.column_stack([np.exp(LOG_HR), SE]))
    assert (ax.get_xscale(), ax.get_xlabel(), ax.get_ylabel()) == (
        "log",
        "Hazard ratio",
        "Standard error (log scale)",
    )
    bottom, top = ax.get_ylim()
    assert (top, bottom > SE.max()) == (0, True)


def test_the_region_is_around_the_pooled_effect(pooled):
    ax = funnel_plot(pooled, level=0.9)
    (middle,) = lines(ax, BLUE, dashed=False)
    np.testing.assert_allclose(middle.get_xdata(), np.exp(pooled.estimate))
    for line, side in zip(lines(ax, BLUE, dashed=True), (-1, 1), strict=True):
        x, se = line.get_xdata(), line.get_ydata()
        np.testing.assert_allclose(np.log(x), pooled.estimate + side * stats.norm.isf(0.05) * se)
    assert "90% of studies without heterogeneity" in samples(ax)


def test_the_shades_are_around_no_effect(pooled):
    ax = funnel_plot(pooled)
    drawn = bands(ax)
    assert len(drawn) == 6
    low, high = ax.get_xlim()
    for (vertices, colour), levels in zip(drawn, 2 * [(0.1, 0.05), (0.05, 0.01), (0.01, 0)], strict=True):
        x, se = vertices[vertices[:, 1] > 0.3].T
        p = 2 * stats.norm.sf(np.abs(np.log(x)) / se)
        at_edge = (np.abs(x / low - 1) < 1e-9) | (np.abs(x / high - 1) < 1e-9)
        assert ((p <= levels[0] * (1 + 1e-9)) | at_edge).all()
        assert ((p >= levels[1] * (1 - 1e-9)) | at_edge).all()
        assert colour in {"#c4c9cf", "#dde0e4", "#f1f2f3"}
    (null,) = lines(ax, INK)
    np.testing.assert_allclose(null.get_xdata(), 1)
    assert {"p > 0.1", "0.05 < p < 0.1", "0.01 < p < 0.05", "p < 0.01"} <= set(samples(ax))
    plain = funnel_plot(pooled, contours=False)
    assert bands(plain) == []
    assert "p > 0.1" not in samples(plain)


def test_missing_studies_are_open_circles(pooled):
    filled = trim_and_fill(pooled)
    ax = filled.plot()
    np.testing.assert_allclose(
        marks(ax, filled=False), np.column_stack([np.exp(filled.filled_estimate), filled.filled_se])
    )
    np.testing.assert_allclose(marks(ax, filled=True), np.column_stack([np.exp(LOG_HR), SE]))
    (adjusted,) = lines(ax, VERMILION)
    np.testing.assert_allclose(adjusted.get_xdata(), np.exp(filled.adjusted.estimate))
    assert {"missing by L0", "with the missing"} <= set(samples(ax))


@pytest.mark.parametrize(("predictor", "power"), [("se", 1), ("variance", 2)])
def test_the_line_of_a_test_is_its_line(pooled, predictor, power):
    test = assess_asymmetry(pooled, predictor=predictor)
    (line,) = lines(test.plot(), PURPLE)
    se = line.get_ydata()
    np.testing.assert_allclose(np.log(line.get_xdata()), test.intercept + test.slope * se**power)
    assert f"line of the test, p = {test.pvalue:.3f}" in samples(line.axes)


def test_the_curve_of_a_limit_ends_in_it(pooled):
    limit = limit_effect(pooled)
    (line,) = lines(limit.plot(), PURPLE)
    top = line.get_ydata().argmin()
    assert line.get_ydata()[top] == 0
    assert line.get_xdata()[top] == pytest.approx(limit.natural)
    assert "limit meta-analysis" in samples(line.axes)


def test_a_test_without_a_line_is_drawn_without(pooled):
    begg = assess_asymmetry(pooled, method="begg")
    assert lines(begg.plot(), PURPLE) == []
    message = "A funnel plot shows the line of a test on the standard error or the variance; 'begg' has none."
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        funnel_plot(pooled, test=begg)


def test_precision_stands_upright(pooled):
    ax = funnel_plot(pooled, y_axis="precision")
    np.testing.assert_allclose(marks(ax, filled=True), np.column_stack([np.exp(LOG_HR), 1 / SE]))
    low, high = ax.get_ylim()
    assert 0 < low < 1 / SE.max() < 1 / SE.min() < high
    assert ax.get_ylabel() == "1 / standard error (log scale)"
    for line, side in zip(lines(ax, BLUE, dashed=True), (-1, 1), strict=True):
        np.testing.assert_allclose(np.log(line.get_xdata()), pooled.estimate + side * Z / line.get_ydata())


def test_probabilities_have_no_shades_and_percent():
    result = pool_effects(LOG_HR, se=SE, measure="logit_survival")
    ax = funnel_plot(result)
    assert bands(ax) == []
    assert lines(ax, INK) == []
    assert ax.get_xlabel() == "Survival, %"
    for tick, place in zip(ax.get_xticklabels(), ax.get_xticks(), strict=True):
        assert float(tick.get_text()) == pytest.approx(100 / (1 + np.exp(-place)))
    assert len(ax.get_xticks()) >= 3


def test_differences_are_linear():
    ax = funnel_plot(pool_effects(LOG_HR, se=SE))
    assert ax.get_xscale() == "linear"
    assert ax.get_ylabel() == "Standard error"
    np.testing.assert_allclose(marks(ax, filled=True)[:, 0], LOG_HR)
    assert "−0.5" in [tick.get_text() for tick in ax.get_xticklabels()]


def test_a_far_null_does_not_squeeze_the_studies():
    ax = funnel_plot(pool_effects(LOG_HR + 90, se=SE))
    assert ax.get_xlim()[0] > 80


def test_limits_are_kept_and_checked(pooled):
    assert funnel_plot(pooled, xlim=(0.2, 3.0)).get_xlim() == pytest.approx((0.2, 3.0))
    for wrong in [(1.0, 0.5), (0.0, 2.0), (float("nan"), 1.0), (1.0, 2.0, 3.0)]:
        message = f"xlim must be two values of the hazard ratio, the smaller one first; got {wrong!r}."
        with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
            funnel_plot(pooled, xlim=wrong)
    with pytest.raises(InvalidInputError, match=r"^y_axis must be one of se, precision; got 'n'\.$"):
        funnel_plot(pooled, y_axis="n")


def test_names_stand_beside_their_marks(pooled, readable):
    ax = funnel_plot(pooled, labels=True)
    named = [text.get_text() for text in ax.texts if text.get_text() in STUDY]
    assert len(named) >= 8
    readable(ax, marks=False)  # a line of the funnel may pass beneath a name, which has a halo


@pytest.mark.parametrize(
    "measure", ["log_hr", "logit_survival", "cloglog_survival", "log_proportion", "generic"]
)
@pytest.mark.parametrize("y_axis", ["se", "precision"])
def test_every_funnel_is_readable(measure, y_axis, readable):
    effects = LOG_HR - 0.2 if measure == "log_proportion" else LOG_HR
    result = pool_effects(np.minimum(effects, -0.05), se=SE, measure=measure, ci_method="mHK")
    readable(
        funnel_plot(result, y_axis=y_axis, label="A name that is rather long for the axis of a plot, $x$")
    )


@pytest.mark.parametrize("size", [(2.8, 3.0), (3.5, 3.0), (7.0, 5.0)])
def test_a_funnel_fits_the_axes_it_is_given(pooled, size, readable):
    ax = plt.figure(figsize=size).add_axes((0, 0, 1, 1))
    readable(funnel_plot(trim_and_fill(pooled), ax=ax, test=assess_asymmetry(pooled)))


def test_axes_may_be_too_small(pooled):
    ax = plt.figure(figsize=(1.5, 1.5)).add_axes((0, 0, 1, 1))
    with pytest.raises(
        InvalidInputError, match=r"^The axes are 1\.5 by 1\.5 inches; this figure needs at least"
    ):
        funnel_plot(pooled, ax=ax)


def test_the_same_plot_twice_is_the_same_file(pooled, saved):
    assert saved(funnel_plot(pooled), "svg") == saved(funnel_plot(pooled), "svg")
