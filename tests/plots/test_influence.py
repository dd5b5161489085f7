"""What the panels of influence draw is what the result says."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from netsynth.diagnose import influence
from netsynth.errors import InvalidInputError
from netsynth.plots import _style
from netsynth.plots.influence import influence_plot
from netsynth.pool import pool_effects

pytestmark = pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")

STUDIES = ["Adams 2001", "Brown 2005", "Chen 2010", "Dow 2012", "Evans 2016"]
LOG_HR, SE = np.array([-0.51, -0.32, -0.33, -0.45, 0.10]), np.array([0.18, 0.10, 0.15, 0.22, 0.20])


def pool(y=LOG_HR, se=SE, **options):
    return pool_effects(y, se=se, **{"measure": "log_hr", "ci_method": "HK", "study": STUDIES, **options})


def points(panel):
    return [line for line in panel.lines if line.get_marker() == "o"]


def test_each_panel_has_every_study():
    found = influence(pool())
    ax = found.plot()
    expected = [
        100 * found.hat,
        found.studentized,
        found.dffits,
        found.dfbetas,
        found.cook_distance,
        found.cov_ratio,
        found.tau2_deleted,
    ]
    for panel, values in zip(ax.child_axes, expected, strict=True):
        assert [point.get_xdata()[0] for point in points(panel)] == pytest.approx(values)
        assert [point.get_ydata()[0] for point in points(panel)] == [0, 1, 2, 3, 4]
        colours = [point.get_color() for point in points(panel)]
        assert colours == [_style.INK] * 4 + [_style.VERMILION]


def test_thresholds_are_dashed_where_they_are_in_sight():
    found = influence(pool())
    dffits = influence_plot(found).child_axes[2]
    dashed = [line.get_xdata()[0] for line in dffits.lines if line.get_color() == _style.GREY]
    assert dashed == pytest.approx([-found.thresholds.dffits, found.thresholds.dffits])
    calm = influence(pool([-0.3001, -0.3, -0.2999, -0.3, -0.3], ci_method="wald"))
    dffits = influence_plot(calm).child_axes[2]
    assert not [line for line in dffits.lines if line.get_color() == _style.GREY]


def test_what_is_undefined_has_no_point():
    ax = influence_plot(influence(pool(LOG_HR[:2], SE[:2], study=STUDIES[:2])))
    counts = [len(points(panel)) for panel in ax.child_axes]
    assert counts == [2, 0, 0, 0, 2, 2, 0]


@pytest.mark.parametrize("k", [2, 3, 13, 40])
def test_nothing_overlaps(k, readable):
    rng = np.random.default_rng(k)
    study = [f"The collaborative group of city {i}, $1\n$" if i % 3 else f"A {i}" for i in range(k)]
    readable(influence_plot(influence(pool(rng.normal(size=k), rng.uniform(0.1, 0.8, k), study=study))))


def test_given_axes_are_used_or_refused(readable):
    _, ax = plt.subplots(figsize=(9, 3))
    assert influence_plot(influence(pool()), ax=ax) is ax
    readable(ax)
    _, small = plt.subplots(figsize=(3, 3))
    with pytest.raises(InvalidInputError, match=r"this figure needs at least"):
        influence_plot(influence(pool()), ax=small)
