"""What a Baujat plot draws is what the result says, and names keep apart."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

from netsynth.diagnose import influence
from netsynth.errors import InvalidInputError
from netsynth.plots import _style
from netsynth.plots.baujat import baujat_plot
from netsynth.pool import pool_effects

pytestmark = pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")

STUDIES = ["Adams 2001", "Brown 2005", "Chen 2010", "Dow 2012", "Evans 2016"]
LOG_HR, SE = np.array([-0.51, -0.32, -0.33, -0.45, 0.10]), np.array([0.18, 0.10, 0.15, 0.22, 0.20])


def pool(y=LOG_HR, se=SE, **options):
    return pool_effects(y, se=se, **{"measure": "log_hr", "ci_method": "HK", "study": STUDIES, **options})


def test_a_mark_a_study():
    found = influence(pool())
    ax = found.plot_baujat()
    marks = [line for line in ax.lines if line.get_marker() == "o"]
    assert [mark.get_xdata()[0] for mark in marks] == pytest.approx(found.baujat_q)
    assert [mark.get_ydata()[0] for mark in marks] == pytest.approx(found.baujat_influence)
    assert [mark.get_color() for mark in marks] == [_style.INK] * 4 + [_style.VERMILION]
    assert "Evans 2016" in [text.get_text() for text in ax.texts]


@pytest.mark.parametrize("k", [3, 13, 40])
@pytest.mark.parametrize("outlier", [0.0, 5.0])
def test_names_keep_apart_and_the_rest_are_counted(k, outlier, readable):
    rng = np.random.default_rng(k)
    y = rng.normal(size=k)
    y[0] += outlier
    study = [f"The collaborative group of city {i}, $1\n$" if i % 3 else f"A {i}" for i in range(k)]
    ax = baujat_plot(influence(pool(y, rng.uniform(0.1, 0.8, k), study=study)))
    readable(ax)
    shown = [text.get_text() for text in ax.texts]
    named = len({" ".join(name.split()) for name in study} & set(shown))
    missing = re.search(r"No room for the names of\s(\d+)", " ".join(shown))
    assert named + (int(missing[1]) if missing else 0) == k
    assert named >= min(k, 3)


def test_what_is_undefined_is_refused():
    found = influence(pool([0.2, 0.2, 0.2, 0.9], [0.1, 0.2, 0.1, 0.2], study=None))
    message = "The Baujat plot needs the influence of every study, and some are undefined. Pool with ci_method='mHK'."
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        baujat_plot(found)


def test_given_axes_are_used_or_refused(readable):
    _, ax = plt.subplots(figsize=(5, 4))
    assert baujat_plot(influence(pool()), ax=ax) is ax
    readable(ax)
    _, small = plt.subplots(figsize=(1.5, 1))
    with pytest.raises(InvalidInputError, match=r"this figure needs at least"):
        baujat_plot(influence(pool()), ax=small)
