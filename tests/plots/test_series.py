"""What a plot of a series draws is what the series says."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest

from netsynth.diagnose import accumulate, leave_one_out
from netsynth.errors import InvalidInputError, NetsynthWarning
from netsynth.plots import _style
from netsynth.plots.series import series_plot
from netsynth.pool import pool_effects

pytestmark = pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")

STUDIES = ["Adams 2001", "Brown 2005", "Chen 2010", "Dow 2012", "Evans 2016"]
LOG_HR, SE = np.array([-0.51, -0.32, -0.33, -0.45, 0.10]), np.array([0.18, 0.10, 0.15, 0.22, 0.20])
LONG = "The international collaborative group on liver metastases of"


def pool(y=LOG_HR, se=SE, **options):
    return pool_effects(y, se=se, **{"measure": "log_hr", "ci_method": "HK", "study": STUDIES, **options})


def effects(k, *, long, **options):
    rng = np.random.default_rng(k)
    se = rng.uniform(0.1, 0.8, k)
    study = [f"{LONG[: 53 - i % 7]}, $1\n$ {i}" if long else f"Author {i}" for i in range(k)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return pool(-0.3 + 0.4 * rng.normal(size=k), se, study=study, **options)


def marks(ax, marker):
    return [line for line in ax.lines if line.get_marker() == marker and line.get_transform() == ax.transData]


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_marks_and_whiskers_are_the_steps():
    series = leave_one_out(pool())
    ax = series_plot(series, level=0.9)
    assert [mark.get_xdata()[0] for mark in marks(ax, "o")] == pytest.approx(np.exp(series.estimate))
    low, high = series.natural_interval(0.9)
    whiskers = [line for line in ax.lines if len(set(line.get_ydata())) == 1 and len(line.get_xdata()) == 2]
    assert [tuple(line.get_xdata()) for line in whiskers] == [
        pytest.approx(ends) for ends in zip(low, high, strict=True)
    ]
    (diamond,) = [patch.get_xy() for patch in ax.patches if patch.get_transform() == ax.transData]
    assert (diamond[:, 0].min(), diamond[:, 0].max()) == pytest.approx(series.overall.natural_interval(0.9))
    assert "HR [90% CI]" in texts(ax)


def test_a_study_that_turns_the_conclusion_stands_out():
    ax = series_plot(leave_one_out(pool()))
    colours = [mark.get_color() for mark in marks(ax, "o")]
    assert colours == [_style.VERMILION] * 4 + [_style.INK]
    assert any("In colour: without this study the conclusion is another." in text for text in texts(ax))
    ax = series_plot(accumulate(pool()))
    assert {mark.get_color() for mark in marks(ax, "o")} == {_style.INK}
    assert any("not corrected" in text for text in texts(ax))


def test_numbers_beside_the_plot():
    series = accumulate(pool(), order="precision")
    ax = series.plot()
    shown = texts(ax)
    assert shown[: len(STUDIES) + 1] == ["Study added", *series.study]
    for heading, cells in (("Studies", "12345"), ("I²", [f"{100 * share:.0f}%" for share in series.i2[1:]])):
        assert heading in shown
        assert set(cells) <= set(shown)
    assert f"{series.natural[0]:.2f}" in shown


def test_a_wide_interval_ends_in_an_arrow():
    series = accumulate(pool())  # two studies have one degree of freedom
    ax = series_plot(series)
    low, high = ax.get_xlim()
    ends = series.natural_interval()
    assert (ends.lower[1], ends.upper[1]) < (low, np.inf)
    assert ends.upper[1] > high
    assert len(marks(ax, "<")) == len(marks(ax, ">")) == 1


def test_ratios_beyond_any_axis_are_drawn_all_the_same(readable):
    ax = series_plot(accumulate(pool([30, -30, 2, 1], [0.01, 0.01, 5, 5], study=None)))
    low, high = ax.get_xlim()
    assert 0 < low < 1 < high < np.inf
    readable(ax)


def test_an_undefined_interval_is_left_out():
    series = leave_one_out(pool([0.2, 0.2, 0.2, 0.9], [0.1, 0.2, 0.1, 0.2], study=None))
    ax = series_plot(series)
    assert len(marks(ax, "o")) == 4
    whiskers = [line for line in ax.lines if len(set(line.get_ydata())) == 1 and len(line.get_xdata()) == 2]
    assert len(whiskers) == 3


@pytest.mark.parametrize("measure", ["log_hr", "logit_survival", "generic"])
@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize(
    ("verb", "k"), [(leave_one_out, 2), (leave_one_out, 13), (accumulate, 3), (accumulate, 30)]
)
def test_nothing_overlaps(verb, k, long, measure, readable):
    readable(series_plot(verb(effects(k, long=long, measure=measure))))


def test_given_axes_are_used_or_refused(readable):
    _, ax = plt.subplots(figsize=(7, 3))
    assert series_plot(leave_one_out(pool()), ax=ax, label="Hazard ratio of death") is ax
    assert ax.get_xlabel() == "Hazard ratio of death"
    readable(ax)
    _, small = plt.subplots(figsize=(2, 1))
    with pytest.raises(InvalidInputError, match=r"this figure needs at least"):
        series_plot(leave_one_out(pool()), ax=small)
    with pytest.raises(InvalidInputError, match=r"^level must be a fraction"):
        series_plot(leave_one_out(pool()), level=95)
