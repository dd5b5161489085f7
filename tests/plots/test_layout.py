"""Every figure, small and large, with short names and long ones: nothing overlaps, nothing is cut off."""

import re
import warnings
from collections.abc import Callable

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import TICKDOWN

from netsynth.data.endpoint import find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedNumber
from netsynth.data.review import PublishedTarget, Review
from netsynth.data.selection import Candidate, Exclusion, Selection
from netsynth.data.study import Group, Study
from netsynth.data.survival import ReportedSurvival
from netsynth.errors import InvalidInputError, NetsynthWarning
from netsynth.outcomes import summarize_outcomes
from netsynth.plots import (
    curve_plot,
    factor_plot,
    flow_plot,
    forest_plot,
    outcome_plot,
    style,
    traffic_light_plot,
)
from netsynth.pool import pool_effects
from netsynth.prognostic import summarize_factors
from netsynth.reconstruct import reconstruct_survival
from netsynth.results.quality import RatingTable, ReportingCompleteness, StudyReporting

Draw = Callable[..., Axes]
LONG = "The international collaborative group on liver metastases of"  # 60 characters
assert len(LONG) == 60


def names(k, *, long):
    """Names of studies; the long ones have a dollar, which is not mathematics, and a line break, which is none."""
    if long:
        return [f"{LONG[: 53 - i % 7]}, $1\n$ {i}" for i in range(k)]
    return [f"Author {i} {1980 + i}" for i in range(k)]


def effects(k, *, long=False, measure="log_hr", spread=0.4, size=1.0, centre=-0.3, **options):
    rng = np.random.default_rng(k)
    se = size * rng.uniform(0.1, 0.8, k)
    estimate = centre + spread * rng.normal(size=k)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return pool_effects(estimate, se=se, measure=measure, study=names(k, long=long), **options)


def forest(k, *, long):
    return lambda **room: forest_plot(effects(k, long=long), **room)


def forest_of_survival(k, *, long):
    label = LONG if long else ""
    columns = {"Events": [10 * i for i in range(k)], "Design": ["registry"] * k}
    result = effects(k, long=long, measure="cloglog_survival")
    return lambda **room: forest_plot(result, columns=columns, label=label, **room)


def curves(k):
    return [
        reconstruct_survival(
            np.array([12.0, 36, 60]) * (1 + i / (2 * k)),
            np.array([0.9, 0.7, 0.5]) - 0.3 * i / k,
            n_total=100 + i,
            n_at_risk=[60, 30, 10],
            decimals=2,
            label=name,
        )
        for i, name in enumerate(names(k, long=False))
    ]


def curve(k, *, long):
    found = curves(k)
    if long:  # names and labels of any length, and everything that may be drawn besides
        found = [
            reconstruct_survival(
                c.landmark_months, c.landmark_survival, n_total=9, tail="exponential", label=name
            )
            for c, name in zip(found, names(k, long=True), strict=True)
        ]
    pooled = {36.0: effects(3, measure="cloglog_survival"), 60.0: effects(1, measure="cloglog_survival")}
    options = {"pooled": pooled, "label": LONG, "bounds": True} if long else {}
    return lambda **room: curve_plot(found if k > 1 else found[0], **options, **room)


def factors(k, *, long):
    """As many factors as studies, for the first of which all studies have a result."""
    rng = np.random.default_rng(k)
    studies, found = [f"Author {i}" for i in range(k)], []
    labels = names(k, long=long)
    for i, factor in enumerate(labels):
        for j, study in enumerate(studies if i == 0 else studies[:1]):
            found.append(
                ReportedFactor(
                    study,
                    f"factor {factor if long else i}",
                    find_endpoint(str(rng.choice(["OS", "DFS", "PFS"]))),
                    "an adverse level described in many words" if long else "present",
                    "absent",
                    str(rng.choice(["multivariable", "univariable", "not stated"])),
                    direction=str(rng.choice(["worse", "worse", "better", "none", "not stated"])),
                    significance=str(rng.choice(["yes", "no", "not tested"])),
                    group=Group(n_total=None if j % 4 == 0 else int(rng.choice([20, 100, 500]))),
                )
            )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        summary = summarize_factors(Review(tuple(map(Study, studies)), factors=tuple(found)))
    return lambda **room: factor_plot(summary, **room)


def reporting(k, *, long):
    items = tuple(names(9, long=True)) if long else ("sample size", "follow-up", "uncertainty or at risk")
    evidence = [tuple("shown" if (i + j) % 3 else "" for j in range(len(items))) for i in range(k)]
    studies = tuple(
        StudyReporting(name, name, row) for name, row in zip(names(k, long=long), evidence, strict=True)
    )
    return lambda **room: traffic_light_plot(ReportingCompleteness(items, items, studies), **room)


def ratings(k, *, long):
    words = (
        ("low", "a little", "moderate", "more", "high", "not applicable")
        if long
        else ("low", "moderate", "high")
    )
    items = tuple(f"item {i}" for i in range(12))
    cells = tuple(tuple(words[(i * j) % len(words)] for j in range(12)) for i in range(k))
    labels = tuple(names(k, long=long))
    table = RatingTable("QUIPS", items, words, labels, labels, cells, (None,) * k, (None,) * k)
    return lambda **room: traffic_light_plot(table, **room)


def outcomes(k, *, long):
    """As many landmarks as studies; the medians of all studies, one of them not reached, on a line."""
    labels = names(k, long=long)
    survival = tuple(
        ReportedSurvival.from_percent(
            f"Author {i}",
            "OS",
            years=list(range(1, k + 2 - i)),
            percent=[str(90 - j) for j in range(k + 1 - i)],
            n_total=50,
        )
        for i in range(k)
    )
    target = PublishedTarget("OS", ReportedNumber("80", "percent"), time=ReportedNumber("1", "year"))
    review = Review(
        tuple(Study(f"Author {i}", population=label) for i, label in enumerate(labels)),
        survival=survival,
        targets=(target,),
    )
    summary = summarize_outcomes(review)
    return lambda **room: outcome_plot(summary, **room)


def flow(k, *, long):
    labels = names(k, long=long)
    value = ReportedNumber("70", "percent")
    chosen = tuple(Candidate(name, value, Group(n_total=40), 40) for name in labels)
    excluded = tuple(Exclusion(name, name if i < 8 else "duplicate", "why") for i, name in enumerate(labels))
    question = LONG if long else "OS at 60 months"
    return lambda **room: flow_plot(Selection(question, "rule", chosen, excluded), **room)


FIGURES = {
    "forest": forest,
    "forest_of_survival": forest_of_survival,
    "curve": curve,
    "factors": factors,
    "reporting": reporting,
    "ratings": ratings,
    "outcomes": outcomes,
    "flow": flow,
}
every_figure = pytest.mark.parametrize("figure", FIGURES)


def has_signs(figure):
    """Whether signs stand on marks, on purpose."""
    return figure in ("reporting", "ratings")


@every_figure
@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
@pytest.mark.parametrize("k", [1, 2, 5, 45])
def test_readable(figure, k, long, readable):
    readable(FIGURES[figure](k, long=long)(), marks=not has_signs(figure))


@pytest.mark.parametrize(
    "options",
    [
        {"k": 5, "size": 1e-4, "spread": 1e-4},
        {"k": 5, "size": 10.0, "spread": 5.0},
        {"k": 5, "size": 200.0, "spread": 1.0},
        {"k": 1, "size": 900.0},
        {"k": 2, "size": 0.1, "spread": 2.0},  # the interval of the mean is endless
        {"k": 5, "centre": 4.0},
        {"k": 5, "centre": -60.0, "size": 0.1},
        {"k": 5, "measure": "generic", "centre": 1000.0},
        {"k": 5, "measure": "generic", "centre": -1e-4, "size": 1e-5, "spread": 1e-5},
        {"k": 5, "measure": "generic", "centre": -3e7, "size": 1e7, "spread": 1e7},
        {"k": 5, "measure": "logit_proportion", "size": 20.0},
        {"k": 5, "tau2_method": "CE"},
    ],
    ids=str,
)
def test_forests_of_all_sizes_are_readable(options, readable):
    readable(forest_plot(effects(**options)))


@every_figure
@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
def test_a_figure_of_the_size_asked_for_is_readable(figure, long, readable):
    """The error says which size would do, and that is true; a little more does as well."""
    draw = FIGURES[figure](5, long=long)
    small = plt.figure(figsize=(1, 0.8)).add_axes((0, 0, 1, 1))
    with pytest.raises(InvalidInputError) as error:
        draw(ax=small)
    pattern = (
        r"The axes are 1\.0 by 0\.8 inches; this figure needs at least ([\d.]+) by ([\d.]+)\. "
        r"Give it larger axes, or none\."
    )
    found = re.fullmatch(pattern, str(error.value))
    assert found
    assert not small.texts
    assert small.get_position().bounds == (0, 0, 1, 1)

    width, height = map(float, found.groups())
    for _ in range(2):  # less width may need more height, which only the second error can say
        ax = plt.figure(figsize=(width, height), dpi=150).add_axes((0, 0, 1, 1))
        try:
            draw(ax=ax)
        except InvalidInputError as again:
            found = re.fullmatch(r".*at least ([\d.]+) by ([\d.]+)\. .*", str(again))
            width, height = map(float, found.groups())
        else:
            break
    readable(ax, marks=not has_signs(figure))
    larger = plt.figure(figsize=(width + 1, height + 1), dpi=150).add_axes((0, 0, 1, 1))
    readable(draw(ax=larger), marks=not has_signs(figure))


@every_figure
@pytest.mark.parametrize("layout", [None, "constrained", "tight"])
def test_figures_side_by_side_are_readable(figure, layout, readable):
    with style():
        whole, axes = plt.subplots(1, 2, figsize=(18, 4), layout=layout)
    for ax in axes:
        assert FIGURES[figure](2, long=False)(ax=ax) is ax
    whole.draw_without_rendering()  # a layout engine that moves axes must not pull text and plot apart
    readable(ax, marks=False)


@every_figure
def test_a_figure_may_stand_in_a_subfigure(figure, readable):
    with style():
        whole = plt.figure(figsize=(16, 6))
    parts = whole.subfigures(1, 2)
    ax = parts[1].add_axes((0.05, 0.05, 0.9, 0.9))
    FIGURES[figure](5, long=False)(ax=ax)
    readable(ax, marks=not has_signs(figure))


@pytest.mark.parametrize(("figure", "suffix"), [*((name, "svg") for name in FIGURES), ("forest", "pdf")])
def test_the_same_figure_is_the_same_file(figure, suffix, saved):
    draw = FIGURES[figure](2, long=True)
    first, second = saved(draw(), suffix), saved(draw(), suffix)
    assert first == second
    assert len(first) > 5000


@every_figure
def test_global_style_neither_changes_nor_matters(figure):
    """Made and drawn under any style, a figure looks the same, and leaves the style alone."""

    def pixels():
        drawn = draw().figure
        drawn.canvas.draw()
        return np.asarray(drawn.canvas.buffer_rgba()).copy()

    draw = FIGURES[figure](2, long=True)
    plain = pixels()
    wild = {
        "font.family": "serif",
        "font.size": 20,
        "text.parse_math": True,
        "xtick.direction": "in",
        "xtick.labelsize": 20,
        "xtick.minor.visible": True,
        "lines.linewidth": 5,
        "lines.marker": "x",
        "axes.spines.right": True,
        "axes.titlesize": 30,
        "axes.unicode_minus": False,
        "figure.dpi": 60,
    }
    with mpl.style.context(["ggplot", wild]):
        before = dict(mpl.rcParams)
        styled = pixels()
        assert dict(mpl.rcParams) == before
    np.testing.assert_array_equal(styled, plain)


@every_figure
def test_given_axes_get_our_look(figure, drawn):
    """Also those that were made under another style."""
    with mpl.style.context(["ggplot", {"font.family": "serif", "font.size": 20, "xtick.direction": "in"}]):
        ax = plt.figure(figsize=(12, 8)).add_subplot()
        FIGURES[figure](2, long=False)(ax=ax)
        texts = drawn(ax.figure)
    assert {tuple(text.get_fontfamily()) for text in texts} == {("DejaVu Sans",)}
    assert {text.get_fontsize() for text in texts} <= {7.0, 7.5}
    if ax.axison:
        ticks = ax.xaxis.get_major_ticks()
        assert {(tick.tick1line.get_marker(), tick.tick1line.get_markeredgewidth()) for tick in ticks} <= {
            (TICKDOWN, 0.7)
        }
        assert not any(line.get_visible() for line in ax.get_xgridlines())


@every_figure
def test_a_call_opens_one_figure_at_most(figure):
    draw = FIGURES[figure](2, long=False)
    assert plt.get_fignums() == []
    draw()
    assert len(plt.get_fignums()) == 1
    ax = plt.figure(figsize=(12, 8)).add_subplot()
    draw(ax=ax)
    assert len(plt.get_fignums()) == 2


@every_figure
def test_figures_fit_a_page(figure):
    """With names of usual length, 45 rows and all that may stand beside them fit A4."""
    width, height = FIGURES[figure](45, long=False)().figure.get_size_inches()
    assert width < 8.27
    assert height < 11.7
