"""What the plot of a posterior draws is what the result says."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

from netsynth.bayes import pool_bayes
from netsynth.errors import InvalidInputError
from netsynth.plots.posterior import posterior_plot

#: Pooling few studies warns, as it should; a plot has nothing to add.
pytestmark = pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")

STUDIES = ["Adams 2001", "Brown 2005", "Chen 2010", "Dow 2015"]
LOG_HR, SE = np.array([-0.51, -0.12, -0.33, 0.4]), np.array([0.18, 0.10, 0.15, 0.3])


@pytest.fixture
def pooled():
    return pool_bayes(LOG_HR, se=SE, measure="log_hr", study=STUDIES)


def marks(ax, marker):
    return [line for line in ax.lines if line.get_marker() == marker and line.get_transform() == ax.transData]


def whiskers(ax, *, width):
    return [
        line.get_xdata()
        for line in ax.lines
        if line.get_marker() == "None" and line.get_linewidth() == width and len(set(line.get_ydata())) == 1
    ]


def test_marks_and_whiskers_are_the_result(pooled):
    ax = posterior_plot(pooled, level=0.9)
    assert [mark.get_xdata()[0] for mark in marks(ax, "s")] == pytest.approx(np.exp(LOG_HR))
    assert [mark.get_xdata()[0] for mark in marks(ax, "o")] == pytest.approx(np.exp(pooled.shrunken))
    assert [mark.get_xdata()[0] for mark in marks(ax, "D")] == pytest.approx([pooled.natural])
    own, drawn = pooled.natural_study_interval(0.9), pooled.natural_shrunken_interval(0.9)
    low, high = ax.get_xlim()
    expected = [
        pair for i in range(4) for pair in ((own.lower[i], own.upper[i]), (drawn.lower[i], drawn.upper[i]))
    ]
    np.testing.assert_allclose(whiskers(ax, width=0.9), np.clip(expected, low, high))
    expected = [pooled.natural_interval(0.9), pooled.natural_prediction_interval(0.9)]
    np.testing.assert_allclose(whiskers(ax, width=2.2), np.clip(expected, low, high))
    sizes = [mark.get_markersize() for mark in marks(ax, "s")]
    assert np.argsort(sizes).tolist() == np.argsort(pooled.weight).tolist()


@pytest.mark.parametrize("measure", ["log_hr", "logit_survival", "generic"])
def test_hills_are_the_densities(measure):
    pooled = pool_bayes(LOG_HR, se=SE, measure=measure, tau_scale=0.5)
    ax = posterior_plot(pooled)
    hills = [line for line in ax.lines if len(line.get_xdata()) > 100]
    for hill, whose in zip(hills, (pooled.effect, pooled.prediction), strict=True):
        x = hill.get_xdata() / (100 if measure == "logit_survival" else 1)
        height = hill.get_ydata().max() - hill.get_ydata()
        assert height.max() == pytest.approx(1.15, abs=0.02)  # all as high, and below the row above
        if measure == "log_hr":  # on the axis of the logarithm
            expected = whose.density(np.log(x))
        elif measure == "generic":
            expected = whose.density(x)
        else:  # as a percentage
            expected = whose.density(np.log(x / (1 - x))) / (x * (1 - x))
        baseline = expected.min() / expected.max()  # where the hill starts, a little above its interval
        np.testing.assert_allclose(
            height / height.max(), (expected / expected.max() - baseline) / (1 - baseline), atol=1e-9
        )


def test_the_text_beside_it(pooled, drawn):
    ax = posterior_plot(pooled)
    texts = {text.get_text() for text in drawn(ax.figure)}
    assert {
        "Study",
        "Reported [95% CI]",
        "Weight",
        "Posterior [95% CrI]",
        "Mean effect",
        "New study",
    } <= texts
    assert set(STUDIES) <= texts
    assert {f"{100 * weight:.1f}%" for weight in pooled.weight} <= texts
    assert f"{pooled.natural:.2f}" in texts
    note = " ".join(text for text in texts if "τ" in text or "prior" in text.lower()).replace("\u00a0", " ")
    assert "prior half-normal(0.5)" in note
    assert "Prior of the mean effect: flat" in note


@pytest.mark.parametrize("k", [1, 2, 4, 30])
@pytest.mark.parametrize("measure", ["log_hr", "cloglog_survival", "generic", "raw_rate"])
def test_it_is_readable(measure, k, readable):
    rng = np.random.default_rng(k)
    y, se = rng.normal(-0.3, 0.4, k), rng.uniform(0.1, 0.6, k)
    names = [f"A study with quite a long name {i}" for i in range(k)]
    pooled = pool_bayes(y, se=se, measure=measure, tau_scale=0.5, mean_prior=(0, 2), study=names)
    readable(posterior_plot(pooled))


def test_it_is_readable_where_intervals_are_huge(readable):
    readable(posterior_plot(pool_bayes([-0.3], se=[0.2], measure="log_hr", tau_prior="half_cauchy")))


def test_limits_cut_with_arrows(pooled):
    ax = posterior_plot(pooled, xlim=(0.7, 1.1))
    assert ax.get_xlim() == (0.7, 1.1)
    assert marks(ax, "<")
    assert marks(ax, ">")
    for x in whiskers(ax, width=2.2):
        assert x[0] >= 0.7
        assert x[1] <= 1.1
    posterior_plot(pooled, xlim=(50, 60))  # where nothing is


@pytest.mark.parametrize("xlim", [(1.0, 0.5), (0.0, 1.0), (0.5, np.inf)])
def test_limits_are_checked(pooled, xlim):
    message = f"xlim must be two positive numbers, the smaller one first; got {xlim!r}."
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        posterior_plot(pooled, xlim=xlim)


def test_given_axes_are_used_or_refused(pooled):
    _, ax = plt.subplots(figsize=(8, 4))
    assert pooled.plot(ax=ax) is ax
    _, small = plt.subplots(figsize=(2, 1))
    with pytest.raises(InvalidInputError, match=r"^The axes are .* inches; this figure needs at least"):
        pooled.plot(ax=small)


def test_a_label_and_percent(pooled):
    assert posterior_plot(pooled, label="HR of death").get_xlabel() == "HR of death"
    survival = pool_bayes(LOG_HR, se=SE, measure="logit_survival")
    ax = posterior_plot(survival)
    assert ax.get_xlabel() == "Survival, %"
    assert ax.get_xlim() == (0, 100)
