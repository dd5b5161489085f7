"""What a bubble plot draws is what the regression says."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

from netsynth.errors import InvalidInputError
from netsynth.plots.bubble import bubble_plot
from netsynth.regress import regress_effects

pytestmark = pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")

# BCG trials (Colditz 1994): log risk ratios, variances, degrees from the equator, how assigned.
# fmt: off
Y = np.array([-0.889, -1.585, -1.348, -1.442, -0.218, -0.786, -1.621, 0.012, -0.469, -1.371, -0.339, 0.446, -0.017])
V = np.array([0.326, 0.195, 0.415, 0.020, 0.051, 0.007, 0.223, 0.004, 0.056, 0.073, 0.012, 0.533, 0.071])
LATITUDE = np.array([44, 55, 42, 52, 13, 44, 19, 13, 27, 42, 18, 33, 33.0])
# fmt: on
ALLOCATION = ["random"] * 4 + ["alternate"] * 2 + ["random"] * 3 + ["systematic"] * 4


def regress(moderators=None, **options):
    return regress_effects(
        Y, se=np.sqrt(V), moderators={"latitude": LATITUDE} if moderators is None else moderators, **options
    )


def bubbles(ax):
    return [line for line in ax.lines if line.get_marker() == "o" and line.get_transform() == ax.transData]


def curves(ax):
    return [line for line in ax.lines if len(line.get_xdata()) > 10]


def texts(ax):
    return " ".join(text.get_text() for text in ax.texts).replace("\u00a0", " ")


def test_bubbles_are_the_studies_and_their_area_the_weight(readable):
    result = regress(measure="log_hr")
    ax = bubble_plot(result)
    found = {(b.get_xdata()[0], round(float(b.get_ydata()[0]), 12)): b.get_markersize() for b in bubbles(ax)}
    assert set(found) == {(x, round(float(np.exp(y)), 12)) for x, y in zip(LATITUDE, Y, strict=True)}
    sizes = np.array([found[x, round(float(np.exp(y)), 12)] for x, y in zip(LATITUDE, Y, strict=True)])
    w = 1 / (V + result.tau2)
    assert sizes**2 / sizes.max() ** 2 == pytest.approx(w / w.max())
    readable(ax, marks=False)


def test_the_line_and_its_bands_are_the_predictions():
    result = regress(measure="log_hr")
    ax = bubble_plot(result, level=0.9)
    lower, upper, mean = curves(ax)
    x = mean.get_xdata()
    assert (x[0], x[-1]) == (LATITUDE.min(), LATITUDE.max())
    expected = result.predict({"latitude": x}, level=0.9)
    assert mean.get_ydata() == pytest.approx(np.exp(result.coefficient[0] + result.coefficient[1] * x))
    assert lower.get_ydata() == pytest.approx(np.exp(expected.pi_lower))
    assert upper.get_ydata() == pytest.approx(np.exp(expected.pi_upper))
    (band,) = ax.collections
    ends = band.get_paths()[0].get_extents()
    assert ends.y0 == pytest.approx(np.exp(expected.ci_lower).min())
    assert ends.y1 == pytest.approx(np.exp(expected.ci_upper).max())
    assert "90% prediction interval" in texts(ax)
    assert ax.get_yscale() == "log"
    assert 1.0 in ax.get_yticks()


def test_the_common_effect_predicts_nothing():
    ax = bubble_plot(regress(tau2_method="CE"))
    assert len(curves(ax)) == 1
    assert "prediction" not in texts(ax)
    assert "Common effect, R² = " in texts(ax)


def test_a_bend_is_drawn_and_tested_as_a_whole(readable):
    result = regress("~ latitude + I(latitude**2)", data={"latitude": LATITUDE})
    ax = bubble_plot(result)
    mean = curves(ax)[-1]
    x = mean.get_xdata()
    b = result.coefficient
    assert mean.get_ydata() == pytest.approx(b[0] + b[1] * x + b[2] * x**2)
    assert f"Test of latitude: p = {result.omnibus.pvalue:.3f} (mHK)." in texts(ax)
    readable(ax, marks=False)


def test_other_moderators_are_averaged_and_the_note_says_so(readable):
    result = regress({"allocation": ALLOCATION, "latitude": LATITUDE}, ci_method="wald")
    ax = bubble_plot(result)  # the first moderator of numbers
    mean = curves(ax)[-1]
    row = result.design.mean(axis=0)
    row[result.names.index("latitude")] = LATITUDE.min()
    assert mean.get_ydata()[0] == pytest.approx(row @ result.coefficient)
    assert "averaged over the studies' values of the other moderators" in texts(ax)
    assert f"p = {result.moderator_test('latitude').pvalue:.3f}"[:8] in texts(ax)
    readable(ax, marks=False)


def test_probabilities_are_percent(readable):
    ax = bubble_plot(
        regress(measure="logit_survival"), label="Five-year survival", moderator_label="Latitude, °"
    )
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Latitude, °", "Five-year survival, %")
    low, high = ax.get_ylim()
    assert 0 <= low < high <= 100
    assert max(b.get_ydata()[0] for b in bubbles(ax)) == pytest.approx(100 / (1 + np.exp(-0.446)))
    readable(ax, marks=False)


def test_given_axes_are_used_and_too_small_ones_refused(readable):
    ax = plt.figure(figsize=(3.2, 3)).add_subplot((0, 0, 1, 1))
    assert bubble_plot(regress(), ax=ax) is ax
    readable(ax, marks=False)
    small = plt.figure(figsize=(1.5, 1)).add_subplot((0, 0, 1, 1))
    with pytest.raises(
        InvalidInputError, match=r"^The axes are 1\.5 by 1\.0 inches; this figure needs at least "
    ):
        bubble_plot(regress(), ax=small)


def test_equal_effects_without_an_interval_are_drawn(readable):
    result = regress_effects([-0.1] * 5, se=[0.5] * 5, moderators={"dose": [1, 0, 2, 0, 1]}, ci_method="HK")
    ax = bubble_plot(result)
    low, high = ax.get_ylim()
    assert low < -0.1 < high
    readable(ax)


def test_the_method_of_the_result_draws_it():
    assert regress().plot("latitude").get_xlabel() == "latitude"


def test_what_cannot_be_drawn():
    result = regress({"allocation": ALLOCATION})
    message = (
        "A bubble plot needs a moderator of numbers and this regression has none; see compare_subgroups."
    )
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        bubble_plot(result)
    with pytest.raises(
        InvalidInputError, match=r"^There is no moderator 'year' of numbers; there are latitude\.$"
    ):
        bubble_plot(regress(), "year")
    with pytest.raises(InvalidInputError, match=r"^level must be a fraction"):
        bubble_plot(regress(), level=95)
