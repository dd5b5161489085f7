"""What a forest plot draws is what the result says."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats

from netsynth.errors import InvalidInputError
from netsynth.plots import forest_plot
from netsynth.pool import pool_effects

#: Pooling few studies warns, as it should; a plot has nothing to add.
pytestmark = pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")

STUDIES = ["Adams 2001", "Brown 2005", "Chen 2010", "Dow 2015"]
LOG_HR = np.array([-0.51, -0.12, -0.33, 0.4])
SE = np.array([0.18, 0.10, 0.15, 0.3])
Z = stats.norm.isf(0.025)


@pytest.fixture
def pooled():
    return pool_effects(LOG_HR, se=SE, measure="log_hr", study=STUDIES)


def lines(ax, *, marker=None, y=None, color=None):
    """Lines in the coordinates of the data: with a marker, or without one at a height."""
    found = []
    for line in ax.lines:
        if line.get_transform() != ax.transData or line.get_marker() != (marker or "None"):
            continue
        if (y is None or set(line.get_ydata()) == {y}) and (color is None or line.get_color() == color):
            found.append(line)
    return found


def texts(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def row_of(ax, label):
    """Texts of one row of the table, from left to right."""
    y = next(text.get_position()[1] for text in ax.texts if text.get_text() == label)
    ax.figure.draw_without_rendering()
    row = [text for text in ax.texts if text.get_text() and text.get_position()[1] == y]
    return [text.get_text() for text in sorted(row, key=lambda text: text.get_window_extent().x0)]


def test_squares_and_whiskers_are_the_studies(pooled):
    ax = forest_plot(pooled)
    squares = lines(ax, marker="s")
    assert [square.get_xdata()[0] for square in squares] == pytest.approx(np.exp(LOG_HR))
    assert [square.get_ydata()[0] for square in squares] == [0, 1, 2, 3]
    for i in range(4):
        (whisker,) = lines(ax, y=float(i))
        assert whisker.get_xdata() == pytest.approx(np.exp(LOG_HR[i] + np.array([-Z, Z]) * SE[i]))
    sizes = [square.get_markersize() for square in squares]
    assert np.argsort(sizes).tolist() == np.argsort(1 / SE**2).tolist()


def test_the_diamond_is_the_interval_and_the_bar_the_prediction(pooled):
    ax = forest_plot(pooled, level=0.9)
    diamond, bar = (patch.get_xy() for patch in ax.patches if patch.get_transform() == ax.transData)
    # the interval of Knapp and Hartung by its definition
    w = 1 / (SE**2 + pooled.tau2)
    mean = (w @ LOG_HR) / w.sum()
    se = np.sqrt((w @ (LOG_HR - mean) ** 2) / 3 / w.sum())
    ends = mean + np.array([-1, 1]) * stats.t.isf(0.05, 3) * se
    assert [diamond[:, 0].min(), diamond[:, 0].max()] == pytest.approx(np.exp(ends))
    assert diamond[diamond[:, 1].argmin(), 0] == pytest.approx(np.exp(mean))
    prediction = pooled.natural_prediction_interval(0.9)
    low, high = ax.get_xlim()
    assert [bar[:, 0].min(), bar[:, 0].max()] == pytest.approx(
        [max(prediction.lower, low), min(prediction.upper, high)]
    )


def test_whiskers_are_of_the_level_asked_for(pooled):
    ax = forest_plot(pooled, level=0.8)
    z = stats.norm.isf(0.1)
    (whisker,) = lines(ax, y=1.0)
    assert whisker.get_xdata() == pytest.approx(np.exp(LOG_HR[1] + np.array([-z, z]) * SE[1]))
    assert "HR [80% CI]" in texts(ax)


def test_the_table_says_what_is_drawn(pooled):
    ax = forest_plot(pooled, columns={"Events": [10, 20, None, 3]})
    assert row_of(ax, "Study") == ["Study", "Events", "Weight", "HR [95% CI]"]
    w = 1 / (SE**2 + pooled.tau2)
    for i, events in enumerate(["10", "20", "", "3"]):
        low, high = np.exp(LOG_HR[i] - Z * SE[i]), np.exp(LOG_HR[i] + Z * SE[i])
        shown = [f"{100 * w[i] / w.sum():.1f}%", f"{np.exp(LOG_HR[i]):.2f}", f"[{low:.2f},", f"{high:.2f}]"]
        assert row_of(ax, STUDIES[i]) == [STUDIES[i], *filter(None, [events]), *shown]
    assert row_of(ax, "Random effects")[1] == f"{pooled.natural:.2f}"
    assert len(row_of(ax, "Prediction interval")) == 3


def test_digits_stand_under_digits(pooled):
    ax = forest_plot(pooled)
    ax.figure.draw_without_rendering()
    for pattern in (r"\d\.\d\d", r"\[\d\.\d\d,", r"\d\.\d\d\]", r"\d+\.\d%"):
        ends = [t.get_window_extent().x1 for t in ax.texts if re.fullmatch(pattern, t.get_text())]
        assert len(ends) >= 4
        assert np.ptp(ends) < 1.5  # pixels


def test_probabilities_are_percent():
    logit = np.log(np.array([0.2, 0.5, 0.9]) / np.array([0.8, 0.5, 0.1]))
    ax = forest_plot(pool_effects(logit, se=[0.3, 0.3, 0.3], measure="logit_proportion"))
    assert [line.get_xdata()[0] for line in lines(ax, marker="s")] == pytest.approx([20, 50, 90])
    assert ax.get_xlim() == (0, 100)
    assert ax.get_xscale() == "linear"
    assert ax.get_xlabel().endswith(", %")
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0", "20", "40", "60", "80", "100"]


def test_hazard_ratios_are_on_a_log_axis_with_a_line_at_one(pooled):
    ax = forest_plot(pooled)
    assert ax.get_xscale() == "log"
    assert any(list(line.get_xdata()) == [1.0, 1.0] for line in lines(ax))
    assert 1.0 in ax.get_xticks()


def test_generic_effects_have_a_minus_sign_and_as_many_decimals_as_their_error_deserves():
    result = pool_effects([-0.0123, -0.0456], se=[0.0031, 0.0042], measure="generic", study=["a", "b"])
    ax = forest_plot(result)
    assert row_of(ax, "a")[2] == "−0.0123"
    ax = forest_plot(pool_effects([-123.4, 56.7], se=[31, 42], measure="generic", study=["a", "b"]))
    assert row_of(ax, "a")[2] == "−123"
    assert "−" in "".join(tick.get_text() for tick in ax.get_xticklabels())


def arrows(ax):
    """Pointed ends: which way, in which row."""
    return {
        (marker, line.get_ydata()[0], line.get_xdata()[0])
        for marker in "<>"
        for line in lines(ax, marker=marker)
    }


def test_what_leaves_the_axis_ends_in_an_arrow_there():
    wide = pool_effects(LOG_HR, se=[0.18, 0.1, 0.15, 9.0], measure="log_hr", study=STUDIES, ci_method="wald")
    ax = forest_plot(wide)
    low, high = ax.get_xlim()
    assert arrows(ax) == {("<", 3.0, low), (">", 3.0, high)}
    (whisker,) = lines(ax, y=3.0)
    assert list(whisker.get_xdata()) == [low, high]
    assert high < 10  # the wide study does not squeeze the others

    ax = forest_plot(wide, xlim=(0.5, 0.8))
    drawn = {(marker, y) for marker, y, _ in arrows(ax)}
    assert {("<", 0.0), (">", 1.0)} <= drawn
    assert ("<", 1.0) not in drawn  # Brown's lower limit is 0.73
    assert [line.get_ydata()[0] for line in lines(ax, marker="s")] == [0, 2]  # exp(-0.12) = 0.89 is outside


def test_an_endless_interval_of_the_mean_ends_in_arrows():
    """Two studies that differ much: 12.7 standard errors on either side."""
    ax = forest_plot(pool_effects([-1.0, 1.0], se=[0.1, 0.1], measure="log_hr"))
    assert {("<", 2.6), (">", 2.6)} <= {(marker, y) for marker, y, _ in arrows(ax)}


def test_no_ratio_is_printed_as_nought():
    ax = forest_plot(pool_effects([-7.0, 9.0], se=[0.1, 0.1], measure="log_hr", study=["a", "b"]))
    assert row_of(ax, "a")[2:] == ["<0.01", "[<0.01,", "<0.01]"]
    assert row_of(ax, "b")[2:] == [">1000", "[>1000,", ">1000]"]


@pytest.mark.parametrize("measure", ["generic", "log_hr", "logit_proportion"])
@pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")
def test_an_undefined_interval_of_the_mean_takes_no_room(measure):
    # all effects are equal, so that Knapp and Hartung's interval is nan
    ax = forest_plot(pool_effects([0.3] * 3, se=[0.5, 0.2, 0.3], measure=measure, ci_method="HK"))
    assert np.isfinite(ax.get_xlim()).all()


def test_one_study_is_not_called_pooled():
    ax = forest_plot(pool_effects([-0.3], se=[0.2], measure="log_hr", study=["Adams 2001"]))
    assert "One study" in texts(ax)
    assert "Prediction interval" not in texts(ax)
    assert not any("Heterogeneity" in text for text in texts(ax))


def test_the_common_effect_is_called_so():
    ax = forest_plot(pool_effects(LOG_HR, se=SE, measure="log_hr", tau2_method="CE"))
    assert "Common effect" in texts(ax)
    assert "Prediction interval" not in texts(ax)
    assert not any("τ²" in text for text in texts(ax))


def test_the_note_gives_the_heterogeneity(pooled):
    w = 1 / SE**2
    q = w @ (LOG_HR - (w @ LOG_HR) / w.sum()) ** 2
    p = stats.chi2.sf(q, 3)
    note = " ".join(texts(forest_plot(pooled))).replace("\u00a0", " ")
    assert f"I² = {100 * (q - 3) / q:.0f}%; Q = {q:.2f} on 3 df, p = {p:.3f}" in note


def test_a_number_of_the_note_stays_on_the_line_of_its_name(pooled):
    for width in np.linspace(4.2, 5.2, 10):
        ax = plt.figure(figsize=(width, 3)).add_subplot((0, 0, 1, 1))
        note = [text.get_text() for text in forest_plot(pooled, ax=ax).texts if text.get_fontsize() == 7]
        assert len(note) == 2
        assert not re.search(" [=<>]|[=<>] ", " ".join(note))


@pytest.mark.parametrize(("low", "high"), [(0.9, 1.12), (0.5, 2.0), (0.05, 30.0), (1e-9, 1e9), (0.3, 0.31)])
def test_ticks_are_round_and_inside(low, high):
    ax = forest_plot(pool_effects(LOG_HR, se=SE, measure="log_hr"), xlim=(low, high))
    ticks = ax.get_xticks()
    assert len(ticks) >= 2
    assert ((ticks >= low * (1 - 1e-9)) & (ticks <= high * (1 + 1e-9))).all()
    assert all(float(f"{tick:.3g}") == pytest.approx(tick, rel=1e-12) for tick in ticks)


@pytest.mark.parametrize("xlim", [(1.0, 0.5), (0.0, 2.0), (float("nan"), 1.0), (0.5, float("inf"))])
def test_limits_must_be_limits(pooled, xlim):
    message = f"xlim must be two positive numbers, the smaller one first; got {xlim!r}."
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        forest_plot(pooled, xlim=xlim)


def test_a_column_must_fit(pooled):
    message = "Column 'Events' has 1 value for 4 studies; give one value a study."
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        forest_plot(pooled, columns={"Events": [1]})


def test_the_level_is_a_fraction(pooled):
    with pytest.raises(InvalidInputError, match="level must be a fraction between 0 and 1"):
        forest_plot(pooled, level=95)


def test_the_label_gets_its_unit_once():
    result = pool_effects([0.1, 0.3], se=[0.3, 0.3], measure="logit_proportion")
    assert forest_plot(result, label="Symptom relief").get_xlabel() == "Symptom relief, %"
    assert forest_plot(result, label="Relief (%)").get_xlabel() == "Relief (%)"


def test_a_dollar_is_a_dollar():
    result = pool_effects([0.1, 0.3], se=[0.3, 0.3], measure="log_hr", study=["$a$", "$b$"])
    texts_drawn = [text for text in forest_plot(result, label="$x$").texts if "$" in text.get_text()]
    assert len(texts_drawn) == 2
    assert not any(text.get_parse_math() for text in texts_drawn)
