"""What the pictures of dependent results draw is what the result says."""

import re
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats

from netsynth.dependent import pool_dependent
from netsynth.errors import InvalidInputError, NetsynthWarning
from netsynth.plots import _style
from netsynth.plots.dependent import cohort_forest_plot, cohort_series_plot, dependence_plot

Z = stats.norm.isf(0.025)
LONG = "The international collaborative group on liver metastases of"


def pooled(m=5, *, long=False, measure="log_hr", size=1.0, centre=-0.3, spread=0.4, single=False, **options):
    """Results of m cohorts, the cohorts in turn, so that those of one cohort are not given together."""
    rng = np.random.default_rng(m)
    number = np.arange(m) if single else np.tile(np.arange(m), 3)[: 2 * m + m // 2]
    names = [f"{LONG[: 53 - i % 7]}, $1\n$ {i}" if long else f"Cohort {i}" for i in number]
    k = number.size
    options = {
        "se": size * rng.uniform(0.1, 0.8, k),
        "correlation": 0.4,
        "study": [f"OS, model {j} {LONG if long else ''}" for j in range(k)],
    } | options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return pool_dependent(centre + spread * rng.normal(size=k), cluster=names, measure=measure, **options)


def without(result):
    """The result without each cohort, in silence."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return result.leave_one_cohort_out()


def lines(ax, *, marker=None, y=None):
    return [
        line
        for line in ax.lines
        if line.get_transform() == ax.transData
        and line.get_marker() == (marker or "None")
        and (y is None or set(line.get_ydata()) == {y})
    ]


def row_of(ax, label):
    y = next(text.get_position()[1] for text in ax.texts if text.get_text() == label)
    ax.figure.draw_without_rendering()
    row = [text for text in ax.texts if text.get_text() and text.get_position()[1] == y]
    return [text.get_text() for text in sorted(row, key=lambda text: text.get_window_extent().x0)]


# --- forest ------------------------------------------------------------------------------------------------


def test_results_stand_under_their_cohort():
    result = pooled(4)
    ax = result.plot()
    order = [i for name in dict.fromkeys(result.cluster) for i in range(10) if result.cluster[i] == name]
    squares = lines(ax, marker="s")
    assert [s.get_xdata()[0] for s in squares] == pytest.approx(np.exp(result.study_estimate[order]))
    sizes = np.array([s.get_markersize() for s in squares])
    assert ((sizes - 2.0) ** 2) / (sizes - 2.0).max() ** 2 == pytest.approx(
        result.weight[order] / result.weight.max()
    )
    for row, i in enumerate(order):
        (whisker,) = lines(ax, y=float(row))
        low, high = ax.get_xlim()
        ends = np.exp(result.study_estimate[i] + np.array([-Z, Z]) * result.study_se[i])
        assert whisker.get_xdata() == pytest.approx(np.clip(ends, low, high))
    assert row_of(ax, "Cohort 0")[:2] == ["Cohort 0", "OS, model 0"]
    assert row_of(ax, "OS, model 4")[:2] == ["OS, model 4", f"{100 * result.weight[4]:.1f}%"]
    assert [t.get_text() for t in ax.texts].count("Cohort 1") == 1


def test_the_diamond_is_the_robust_interval_and_the_bar_the_prediction():
    result = pooled(6)
    ax = cohort_forest_plot(result, level=0.9)
    diamond, bar = (patch.get_xy() for patch in ax.patches if patch.get_transform() == ax.transData)
    assert [diamond[:, 0].min(), diamond[:, 0].max()] == pytest.approx(result.natural_interval(0.9))
    low, high = ax.get_xlim()
    assert [bar[:, 0].min(), bar[:, 0].max()] == pytest.approx(
        np.clip(result.natural_prediction_interval(0.9), low, high)
    )
    low, high = result.natural_interval(0.9)
    assert row_of(ax, "Mean")[1:] == [f"{result.natural:.2f}", f"[{low:.2f},", f"{high:.2f}]"]
    assert "HR [90% CI]" in [text.get_text() for text in ax.texts]


def test_the_note_names_the_model_the_variances_and_the_assumption():
    def note(result):
        return " ".join(t.get_text() for t in result.plot().texts if t.get_fontsize() == 7).replace(
            "\u00a0", " "
        )

    result = pooled(5)
    assert "three-level model, REML" in note(result)
    assert f"I² = {100 * result.i2_within:.0f}%" in note(result)
    assert f"CR2 on {result.df:.1f} df; sampling errors in a cohort correlated 0.4." in note(result)
    assert "within cohorts" not in note(pooled(5, model="correlated_effects"))
    assert "within cohorts" not in note(pooled(5, single=True))
    known = pooled(5, se=None, correlation=None, covariance=np.diag(np.linspace(0.1, 0.4, 12)))
    assert "sampling covariance given" in note(known)
    assert " df;" not in note(pooled(5, ci_method="wald"))


def test_an_undefined_interval_draws_no_diamond():
    ax = pooled(5, spread=0.0).plot()
    assert [patch for patch in ax.patches if patch.get_transform() == ax.transData] == []
    assert row_of(ax, "Mean")[1:] == ["0.74"]
    assert row_of(ax, "Prediction interval") == ["Prediction interval"]


@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
@pytest.mark.parametrize("m", [2, 5, 18])
def test_forests_are_readable(m, long, readable):
    readable(cohort_forest_plot(pooled(m, long=long), label=LONG if long else ""))


@pytest.mark.parametrize(
    "options",
    [
        {"size": 1e-3, "spread": 1e-3},
        {"size": 10.0, "spread": 5.0},
        {"size": 200.0},
        {"centre": 4.0},
        {"spread": 0.0},
        {"measure": "generic", "centre": 1000.0},
        {"measure": "generic", "centre": -1e-4, "size": 1e-5, "spread": 1e-5},
        {"measure": "cloglog_survival"},
        {"measure": "log_rate"},
        {"model": "correlated_effects"},
        {"ci_method": "wald", "single": True},
    ],
    ids=str,
)
def test_forests_of_all_kinds_are_readable(options, readable):
    readable(pooled(**options).plot())


@pytest.mark.parametrize(
    "draw",
    [
        cohort_forest_plot,
        lambda r, **o: cohort_series_plot(without(r), **o),
        lambda r, **o: dependence_plot(r.over_correlation(), **o),
    ],
    ids=["forest", "series", "dependence"],
)
def test_given_axes_are_used_or_refused(draw, readable):
    small = plt.figure(figsize=(1, 0.8)).add_axes((0, 0, 1, 1))
    with pytest.raises(InvalidInputError, match=r"needs at least ([\d.]+) by ([\d.]+)\.") as error:
        draw(pooled(), ax=small)
    width, height = map(float, re.search(r"least ([\d.]+) by ([\d.]+)\.", str(error.value)).groups())
    for extra in (0.0, 1.5):
        ax = plt.figure(figsize=(width + extra, height + extra)).add_axes((0, 0, 1, 1))
        assert draw(pooled(), ax=ax) is ax
        readable(ax)


def test_levels_are_fractions():
    for draw in (
        cohort_forest_plot,
        lambda r, **o: cohort_series_plot(without(r), **o),
        lambda r, **o: dependence_plot(r.over_correlation(), **o),
    ):
        with pytest.raises(InvalidInputError, match="level must be a fraction between 0 and 1"):
            draw(pooled(), level=95)


# --- without each cohort -----------------------------------------------------------------------------------


def test_marks_and_whiskers_are_the_means_without_each_cohort():
    series = without(pooled(6))
    ax = cohort_series_plot(series, level=0.9)
    assert [mark.get_xdata()[0] for mark in lines(ax, marker="o")] == pytest.approx(series.natural)
    low, high = series.natural_interval(0.9)
    for i in range(6):
        (whisker,) = [line for line in lines(ax, y=float(i)) if len(line.get_xdata()) == 2]
        assert whisker.get_xdata() == pytest.approx(np.clip([low[i], high[i]], *ax.get_xlim()))
    (diamond,) = [patch.get_xy() for patch in ax.patches if patch.get_transform() == ax.transData]
    assert [diamond[:, 0].min(), diamond[:, 0].max()] == pytest.approx(series.overall.natural_interval(0.9))
    row = row_of(ax, "Cohort 2")
    assert row[:3] == ["Cohort 2", str(series.k[2]), f"{series.natural[2]:.2f}"]
    assert row[-1] == f"{100 * series.i2[2]:.0f}%"
    assert row_of(ax, "None")[1] == str(series.overall.k)
    ax = without(pooled(5, model="correlated_effects", ci_method="CR1", centre=-4.0)).plot()
    note = [text.get_text() for text in ax.texts if text.get_fontsize() == 7]
    assert note == ["Correlated effects; intervals by CR1."]


def test_a_cohort_that_turns_the_conclusion_stands_out():
    series = without(pooled(6))
    assert 0 < len(series.changes()) < 6
    ax = series.plot()
    colours = [mark.get_color() for mark in lines(ax, marker="o")]
    assert colours == [
        _style.VERMILION if name in series.changes() else _style.INK for name in series.cluster
    ]
    note = " ".join(text.get_text() for text in ax.texts if text.get_fontsize() == 7)
    assert note.endswith("In colour: without this cohort the conclusion is another.")


@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
@pytest.mark.parametrize("m", [3, 18])
def test_series_are_readable(m, long, readable):
    readable(cohort_series_plot(without(pooled(m, long=long)), label=LONG if long else ""))


@pytest.mark.parametrize(
    "options",
    [
        {"size": 1e-3, "spread": 1e-3},
        {"size": 10.0, "spread": 5.0},
        {"centre": 4.0},
        {"spread": 0.0},
        {"measure": "generic", "centre": 1000.0},
        {"measure": "generic", "centre": -1e-4, "size": 1e-5, "spread": 1e-5},
        {"measure": "cloglog_survival"},
        {"measure": "log_rate"},
        {"model": "correlated_effects"},
        {"ci_method": "wald", "single": True},
    ],
    ids=str,
)
def test_series_of_all_kinds_are_readable(options, readable):
    readable(without(pooled(**options)).plot())


# --- sensitivity -------------------------------------------------------------------------------------------


def test_the_line_is_the_mean_and_the_band_its_interval():
    sensitivity = pooled(6).over_correlation([0.8, 0.0, 0.4])
    ax = dependence_plot(sensitivity, level=0.9)
    (mean,) = [line for line in lines(ax) if len(line.get_xdata()) == 3]
    order = [1, 2, 0]
    assert list(mean.get_xdata()) == [0.0, 0.4, 0.8]
    assert mean.get_ydata() == pytest.approx(sensitivity.natural[order])
    band = ax.collections[0].get_paths()[0].vertices
    limits = sensitivity.natural_interval(0.9)
    for i in range(3):
        at = band[np.isclose(band[:, 0], sensitivity.correlation[i]), 1]
        assert (at.min(), at.max()) == pytest.approx((limits.lower[i], limits.upper[i]))
    (lower,) = ax.child_axes
    between, within = (line for line in lower.lines if len(line.get_xdata()) == 3)
    assert between.get_ydata() == pytest.approx(sensitivity.between[order])
    assert within.get_ydata() == pytest.approx(sensitivity.within[order])
    assert ax.get_yscale() == "log"


def test_correlated_effects_have_one_variance():
    (lower,) = pooled(6, model="correlated_effects").over_correlation([0, 0.5, 0.9]).plot().child_axes
    assert len([line for line in lower.lines if len(line.get_xdata()) == 3]) == 1


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"measure": "cloglog_survival"},
        {"measure": "generic", "centre": 1000.0},
        {"measure": "generic", "size": 1e-4, "spread": 1e-4, "centre": 0.0},
        {"size": 30.0},
        {"spread": 3.0},
        {"spread": 0.0},
        {"model": "correlated_effects"},
        {"single": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("values", [None, [0.5]], ids=["many", "one"])
def test_sensitivities_are_readable(options, values, readable):
    readable(pooled(12, **options).over_correlation(values).plot())
    readable(dependence_plot(pooled(12, **options).over_correlation(values), label=LONG))


@pytest.mark.parametrize("suffix", ["svg", "pdf", "png"])
def test_the_same_result_is_the_same_file(suffix, saved):
    assert saved(pooled().plot(), suffix) == saved(pooled().plot(), suffix)
