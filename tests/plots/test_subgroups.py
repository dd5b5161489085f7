"""What a forest plot by subgroup draws is what the comparison says."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats

from netsynth.errors import InvalidInputError
from netsynth.plots.subgroups import subgroup_plot
from netsynth.subgroups import compare_subgroups

pytestmark = pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")

STUDIES = ["Adams 2001", "Brown 2005", "Chen 2010", "Dow 2015", "Eve 2018", "Fox 2019"]
Y = np.array([-0.51, -0.12, -0.33, 0.4, 0.2, 0.5])
SE = np.array([0.18, 0.10, 0.15, 0.3, 0.2, 0.25])
GROUP = ["old", "old", "old", "new", "new", "new"]
Z = stats.norm.isf(0.025)


def compare(**options):
    return compare_subgroups(
        Y, **{"se": SE, "group": GROUP, "study": STUDIES, "measure": "log_hr", **options}
    )


def squares(ax):
    return [line for line in ax.lines if line.get_marker() == "s"]


def whisker(ax, y):
    (found,) = [
        line
        for line in ax.lines
        if line.get_marker() == "None" and set(line.get_ydata()) == {y} and line.get_color() == "#1a1a1a"
    ]
    return found.get_xdata()


def shapes(ax):
    """Diamonds and bars: extent in x, from top to bottom."""
    found = [patch.get_xy() for patch in ax.patches if patch.get_transform() == ax.transData]
    found = sorted(found, key=lambda xy: xy[:, 1].mean())
    return [(xy[:, 0].min(), xy[:, 0].max()) for xy in found]


def texts(ax):
    return " ".join(text.get_text() for text in ax.texts).replace("\u00a0", " ")


def row_of(ax, label):
    y = next(text.get_position()[1] for text in ax.texts if text.get_text().strip() == label)
    ax.figure.draw_without_rendering()
    row = [text for text in ax.texts if text.get_text() and text.get_position()[1] == y]
    return [text.get_text().strip() for text in sorted(row, key=lambda text: text.get_window_extent().x0)]


def test_studies_stand_under_their_subgroup(readable):
    result = compare()
    ax = subgroup_plot(result)
    height = {text.get_text().strip(): text.get_position()[1] for text in ax.texts}
    assert height["new"] < height["Dow 2015"] < height["Fox 2019"] < height["old"] < height["Adams 2001"]
    for name, y, se in zip(STUDIES, Y, SE, strict=True):
        assert whisker(ax, height[name]) == pytest.approx(np.exp(y + np.array([-Z, Z]) * se))
    centres = {square.get_ydata()[0]: square for square in squares(ax)}
    for name, y in zip(STUDIES, Y, strict=True):
        assert centres[height[name]].get_xdata()[0] == pytest.approx(np.exp(y))
    sizes = [centres[height[name]].get_markersize() for name in STUDIES]
    assert np.argsort(sizes).tolist() == np.argsort(-SE).tolist()
    readable(ax)


def test_diamonds_are_the_subgroups_and_the_last_all_studies():
    result = compare(ci_method="wald", prediction_method="normal")
    ax = subgroup_plot(result, level=0.9)
    low, high = ax.get_xlim()
    members = (*result.results, result.overall)
    pairs = [ask(0.9) for m in members for ask in (m.natural_interval, m.natural_prediction_interval)]
    expected = [(max(pair.lower, low), min(pair.upper, high)) for pair in pairs]
    assert np.array(shapes(ax)) == pytest.approx(np.array(expected))
    assert "HR [90% CI]" in texts(ax)


def test_the_table_says_what_is_drawn():
    result = compare()
    ax = subgroup_plot(result)
    w = 1 / (SE[:3] ** 2 + result.tau2)
    low, high = np.exp(Y[0] - Z * SE[0]), np.exp(Y[0] + Z * SE[0])
    assert row_of(ax, "Adams 2001") == [
        "Adams 2001",
        f"{100 * w[0] / w.sum():.1f}%",
        f"{np.exp(Y[0]):.2f}",
        f"[{low:.2f},",
        f"{high:.2f}]",
    ]
    everything = row_of(ax, f"All studies, I² = {100 * result.overall.i2:.0f}%")
    assert everything[1] == f"{result.overall.natural:.2f}"
    test = result.test
    assert (
        f"Difference between subgroups: F = {test.statistic:.2f} on 1 and 4 df, p = {test.pvalue:.3f}"
        in texts(ax)
    )
    assert f"Common τ² = {result.tau2:.4f} (REML)" in texts(ax) or "Common τ² = 0 (REML)" in texts(ax)


def test_separate_variances_are_named(readable):
    result = compare(tau2="separate", group=["one", "old", "old", "new", "new", "new"])
    ax = subgroup_plot(result)
    assert "χ² = " in texts(ax)
    assert re.search(r"τ² \(REML\): \S+ \(new\) and \S+ \(old\)", texts(ax))
    assert (
        len([text for text in ax.texts if "Random effects" in text.get_text()]) == 2
    )  # not for the single study
    readable(ax)


def test_the_common_effect_is_called_so():
    ax = subgroup_plot(compare(tau2_method="CE"))
    assert "Common effect, I² = " in texts(ax)
    assert "Prediction interval" not in texts(ax)
    assert "τ²" not in texts(ax)


def test_an_undefined_interval_is_not_drawn(readable):
    ax = subgroup_plot(
        compare_subgroups(
            [0.5, 0.5, 0.5, 0.1, 0.9, 0.3],
            se=[0.2] * 6,
            group=list("aaabbb"),
            tau2="separate",
            ci_method="HK",
            measure="log_hr",
        )
    )
    readable(ax)
    assert len(shapes(ax)) == 5  # of the first subgroup neither the diamond nor its prediction


def test_probabilities_are_percent_and_differences_have_a_minus(readable):
    ax = subgroup_plot(compare(measure="logit_survival"), label="Survival at 5 years")
    assert ax.get_xlim() == (0, 100)
    assert ax.get_xlabel() == "Survival at 5 years, %"
    readable(ax)
    ax = subgroup_plot(compare(measure="generic"))
    assert "−0.51" in row_of(ax, "Adams 2001")
    readable(ax)


def test_given_axes_are_used_and_too_small_ones_refused(readable):
    ax = plt.figure(figsize=(5.2, 4)).add_subplot((0, 0, 1, 1))
    assert subgroup_plot(compare(), ax=ax) is ax
    readable(ax)
    small = plt.figure(figsize=(2, 1)).add_subplot((0, 0, 1, 1))
    with pytest.raises(
        InvalidInputError, match=r"^The axes are 2\.0 by 1\.0 inches; this figure needs at least "
    ):
        subgroup_plot(compare(), ax=small)
    with pytest.raises(InvalidInputError, match=r"^level must be a fraction"):
        subgroup_plot(compare(), level=95)


def test_the_method_of_the_result_draws_it():
    assert compare().plot().get_xlabel() == "Hazard ratio"
