"""What the figures of several outcomes draw is what the result says."""

import re
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest

from netsynth.errors import InvalidInputError, NetsynthWarning
from netsynth.multivariate import pool_multivariate
from netsynth.plots.multivariate import correlation_plot, outcomes_plot, pair_plot

LOG_HR = np.array(
    [[-0.4, -0.2], [-0.1, np.nan], [-0.6, -0.5], [np.nan, 0.1], [-0.3, -0.3], [0.1, 0.2], [-0.2, -0.1]]
)
SE = np.array([[0.1, 0.2], [0.15, 1], [0.2, 0.1], [1, 0.3], [0.1, 0.1], [0.25, 0.2], [0.1, 0.15]])
LONG = "Survival without recurrence in the liver or elsewhere, $as$ reported"


def pool(y=LOG_HR, **options):
    given = {"se": SE, "correlation": 0.5, "outcomes": ["OS", "PFS"], "measure": "log_hr", **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return pool_multivariate(y, **given)


def over_time(p, **options):
    rng = np.random.default_rng(p)
    y = np.linspace(-1.5, 0.6, p) + rng.normal(0, 0.3, (12, 1)) + rng.normal(0, 0.1, (12, p))
    names = [f"{6 * (j + 1)} months" for j in range(p)]
    given = {"se": np.full((12, p), 0.2), "correlation": 0.7, "outcomes": names, "structure": "ar1"}
    return pool(y, measure="cloglog_survival", **{**given, **options})


def texts(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def patches(ax):
    return [patch.get_xy() for patch in ax.patches if patch.get_transform() == ax.transData]


def test_diamonds_are_confidence_and_bars_prediction():
    result = pool()
    ax = outcomes_plot(result, level=0.9)
    ci, pi = result.confidence_interval(0.9), result.prediction_interval(0.9)
    low, high = ax.get_xlim()
    shapes = sorted(patches(ax), key=lambda xy: (round(xy[:, 1].mean()), np.ptp(xy[:, 1])))
    for j in range(2):
        bar, diamond = shapes[2 * j], shapes[2 * j + 1]
        assert [diamond[:, 0].min(), diamond[:, 0].max()] == pytest.approx(np.exp([ci.lower[j], ci.upper[j]]))
        ends = [max(np.exp(pi.lower[j]), low), min(np.exp(pi.upper[j]), high)]
        assert [bar[:, 0].min(), bar[:, 0].max()] == pytest.approx(ends)
    assert ax.get_xscale() == "log"
    assert any(list(line.get_xdata()) == [1.0, 1.0] for line in ax.lines)


def test_the_table_beside_says_the_same():
    result = pool()
    shown = " ".join(texts(outcomes_plot(result)))
    for j in range(2):
        low, high = np.exp([end[j] for end in result.confidence_interval()])
        assert f"{result.natural[j]:.2f}" in shown
        assert f"[{low:.2f}," in shown
        assert f"{high:.2f}]" in shown
    note = shown.replace("\u00a0", " ")
    assert f"Q = {result.q:.2f} on {result.df_q} df" in note
    assert "unstructured, REML" in note
    assert "HR [95% CI]" in shown


def test_the_common_effect_has_no_prediction():
    ax = outcomes_plot(pool(method="CE"))
    assert len(patches(ax)) == 2
    assert not any("prediction" in text or "τ" in text for text in texts(ax))


def test_probabilities_are_percent():
    ax = outcomes_plot(over_time(4))
    assert ax.get_xlim() == (0, 100)
    assert ax.get_xlabel() == "Survival, %"


def test_a_prediction_far_out_ends_in_an_arrow():
    y = np.array([[0.1, 0.1], [0.2, 5.0], [0.3, -5.0], [0.2, 0.5]])
    ax = outcomes_plot(
        pool(y, se=np.full((4, 2), 0.1), ci_method="wald", structure="diagonal", measure="generic")
    )
    assert {line.get_marker() for line in ax.lines} >= {"<", ">"}


def test_two_outcomes_against_each_other():
    result = pool()
    ax = pair_plot(result, "OS", "PFS", level=0.8)
    (studies,) = (
        line for line in ax.lines if line.get_transform() == ax.transData and line.get_marker() == "o"
    )
    both = np.isfinite(LOG_HR).all(1)
    np.testing.assert_allclose(studies.get_xydata(), np.exp(LOG_HR[both]))
    regions = [line.get_xydata() for line in ax.lines if len(line.get_xydata()) > 100]
    np.testing.assert_allclose(regions[0], np.exp(result.region("OS", "PFS", level=0.8)))
    np.testing.assert_allclose(regions[1], np.exp(result.region("OS", "PFS", kind="prediction", level=0.8)))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("OS", "PFS")
    ticks = [line for line in ax.lines if line.get_color() == "#767676" and len(line.get_xydata()) == 2]
    drawn = sorted(
        float(np.median([v for v in line.get_xydata().ravel() if v not in (0.0, 0.03)])) for line in ticks
    )
    assert drawn == pytest.approx(sorted(np.exp([-0.1, 0.1])))


def test_effects_over_the_correlation():
    found = pool(ci_method="wald").over_correlation([0.6, 0.0, 0.3])
    ax = correlation_plot(found, level=0.9)
    lines = [line for line in ax.lines if line.get_transform() == ax.transData and len(line.get_xdata()) == 3]
    order = [1, 2, 0]
    for j, line in enumerate(lines):
        np.testing.assert_allclose(line.get_xdata(), [0.0, 0.3, 0.6])
        np.testing.assert_allclose(line.get_ydata(), found.natural[order, j])
    band = ax.collections[0].get_paths()[0].vertices
    ends = found.natural_interval(0.9)
    assert band[:, 1].max() == pytest.approx(ends.upper[:, 0].max())
    assert band[:, 1].min() == pytest.approx(ends.lower[:, 0].min())


FIGURES = {
    "hazard ratios": lambda **room: outcomes_plot(pool(), **room),
    "common effect": lambda **room: outcomes_plot(pool(method="CE"), **room),
    "generic": lambda **room: outcomes_plot(pool(measure="generic"), **room),
    "long names": lambda **room: outcomes_plot(pool(outcomes=[LONG, "PFS"]), label=LONG, **room),
    "ten times": lambda **room: outcomes_plot(over_time(10), **room),
    "pair": lambda **room: pair_plot(pool(), "OS", "PFS", **room),
    "pair, long names": lambda **room: pair_plot(
        pool(outcomes=[LONG, f"{LONG} 2"]), LONG, f"{LONG} 2", **room
    ),
    "pair of survivals": lambda **room: pair_plot(over_time(3), "6 months", "18 months", **room),
    "correlation": lambda **room: correlation_plot(pool().over_correlation([0, 0.3, 0.6, 0.9]), **room),
    "one correlation": lambda **room: correlation_plot(pool().over_correlation([0.5]), **room),
    "six times": lambda **room: correlation_plot(
        over_time(6).over_correlation([0.2, 0.8]), label=LONG, **room
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_can_be_read(name, readable):
    readable(FIGURES[name](), marks=False)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_can_be_read_in_given_axes(name, readable):
    ax = plt.figure(figsize=(7.2, 4.6)).add_axes((0, 0, 1, 1))
    assert FIGURES[name](ax=ax) is ax
    readable(ax, marks=False)


def test_axes_too_small_are_refused():
    for name in ("hazard ratios", "pair", "correlation"):
        ax = plt.figure(figsize=(1.5, 1.0)).add_axes((0, 0, 1, 1))
        with pytest.raises(
            InvalidInputError, match=r"^The axes are 1\.5 by 1\.0 inches; this figure needs at least"
        ):
            FIGURES[name](ax=ax)


def test_methods_of_the_results_draw_the_same():
    result = pool()
    assert result.plot().get_xlabel() == "Hazard ratio"
    assert result.plot_pair("OS", "PFS").get_ylabel() == "PFS"
    assert result.over_correlation([0, 0.5]).plot().get_ylabel() == "Hazard ratio"


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            lambda: correlation_plot(
                pool(over_time(3).study_estimate, se=np.full((12, 3), 0.2), outcomes=None).over_correlation(
                    [[[1, 0.9, 0.7], [0.9, 1, 0.9], [0.7, 0.9, 1]]]
                )
            ),
            "Correlation matrices have no place on an axis; plot single correlations.",
        ),
        (
            lambda: correlation_plot(over_time(7).over_correlation([0.5])),
            "Lines of 7 outcomes cannot be told apart; 6 is the most.",
        ),
        (lambda: pair_plot(pool(), "OS", "QoL"), "outcome must be one of OS, PFS; got 'QoL'."),
        (
            lambda: outcomes_plot(pool(), level=95),
            "level must be a fraction between 0 and 1, such as 0.95; got 95.",
        ),
    ],
)
def test_what_cannot_be_drawn(draw, message):
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        draw()
