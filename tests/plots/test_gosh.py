"""What a GOSH plot draws is what the subsets say."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

from netsynth.errors import InvalidInputError
from netsynth.plots.gosh import WITH, WITHOUT, gosh_plot
from netsynth.pool import pool_effects
from netsynth.subsets import gosh

pytestmark = pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")

STUDIES = ["Adams 2001", "Brown 2005", "Chen 2010", "Dow 2012", "Evans 2016"]
LOG_HR, SE = np.array([-0.51, -0.32, -0.33, -0.45, 0.10]), np.array([0.18, 0.10, 0.15, 0.22, 0.20])


def pool(y=LOG_HR, se=SE, **options):
    return pool_effects(y, se=se, **{"measure": "log_hr", "ci_method": "HK", "study": STUDIES, **options})


@pytest.fixture(scope="module")
def many():
    rng = np.random.default_rng(2)
    y = np.append(rng.normal(0.2, 0.3, 10), 1.5)
    return gosh(pool(y, rng.uniform(0.1, 0.5, 11), study=[f"Author {i}" for i in range(11)]))


def clouds(ax):
    return {line.get_color(): line for line in ax.lines if line.get_marker() == "o"}


def test_few_subsets_are_marks():
    cloud = gosh(pool())
    ax = cloud.plot()
    several, held = cloud.k > 1, cloud.members[:, 4]
    for colour, part in ((WITH, held), (WITHOUT, ~held)):
        line = clouds(ax)[colour]
        np.testing.assert_allclose(line.get_xdata(), cloud.estimate[several & part])
        np.testing.assert_allclose(line.get_ydata(), 100 * cloud.i2[several & part])
    (all_of_them,) = [
        line for line in ax.lines if line.get_marker() == "D" and line.get_transform() == ax.transData
    ]
    assert all_of_them.get_xdata()[0] == pytest.approx(cloud.overall.estimate)
    assert all_of_them.get_ydata()[0] == pytest.approx(100 * cloud.overall.i2)
    assert "subsets with Evans 2016" in [text.get_text() for text in ax.texts]


def test_the_study_can_be_chosen():
    cloud = gosh(pool())
    ax = cloud.plot(study="Chen 2010")
    assert len(clouds(ax)[WITH].get_xdata()) == 15
    assert "subsets with Chen 2010" in [text.get_text() for text in ax.texts]
    message = f"study must be one of {', '.join(STUDIES)}; got 'Chen'."
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        gosh_plot(cloud, study="Chen")


def test_many_subsets_are_an_image_that_counts_them_all(many):
    ax = gosh_plot(many)
    assert not clouds(ax)
    (image,) = ax.images
    opacity = image.get_array()[..., 3]
    n = many.k > 1
    x, y = many.estimate[n], 100 * many.i2[n]
    left, right, bottom, top = image.get_extent()
    counts, *_ = np.histogram2d(y, x, bins=opacity.shape, range=((bottom, top), (left, right)))
    assert counts.sum() == n.sum()
    np.testing.assert_array_equal(opacity > 0, counts > 0)
    assert opacity.max() == pytest.approx(1.0)
    top_panel, _ = ax.child_axes
    drawn = sum(patch.get_data().values.sum() for patch in top_panel.patches if patch.get_fill())
    assert drawn == n.sum()


@pytest.mark.parametrize("measure", ["log_hr", "logit_survival", "generic"])
@pytest.mark.parametrize("size", [0.3, 3.0])
def test_nothing_overlaps(measure, size, readable):
    y = size * (LOG_HR - LOG_HR.mean())
    study = ["The international collaborative group on liver metastases, $1 $", *STUDIES[1:]]
    readable(gosh_plot(gosh(pool(y, measure=measure, study=study)), study=study[0]))


@pytest.mark.parametrize("size", [1.0, 30.0, 300.0])
def test_ratios_are_labelled_as_such_however_far_they_reach(size, readable):
    ax = gosh_plot(gosh(pool(size * LOG_HR, size * SE)))
    readable(ax)
    ticks, labels = ax.get_xticks(), [label.get_text() for label in ax.get_xticklabels()]
    for tick, label in zip(ticks, labels, strict=True):
        if label.replace(".", "").isdigit():
            assert float(label) == pytest.approx(np.exp(tick), rel=1e-3)
    assert len(labels) >= 2


def test_given_axes_are_used_or_refused(readable, many):
    _, ax = plt.subplots(figsize=(5, 4))
    assert gosh_plot(many, ax=ax) is ax
    readable(ax)
    _, small = plt.subplots(figsize=(2, 1.5))
    with pytest.raises(InvalidInputError, match=r"this figure needs at least"):
        gosh_plot(many, ax=small)
