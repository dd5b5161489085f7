"""Figures of a synthesis without meta-analysis: what they show, and that nothing overlaps at any size."""

import math
import re
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest

from netsynth.data.endpoint import find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedNumber
from netsynth.data.prisma import PrismaFlow
from netsynth.data.review import Review
from netsynth.data.study import Group, Study
from netsynth.datasets import load_nethm
from netsynth.errors import HarmonisationWarning, InvalidInputError, NetsynthWarning
from netsynth.kernels.pvalues import events_of_pvalue
from netsynth.plots.albatross import albatross_plot
from netsynth.plots.effect_direction import effect_direction_plot
from netsynth.plots.harvest import BANDS, FILLS, HATCH, TALL, UNKNOWN, harvest_plot
from netsynth.plots.prisma import prisma_plot
from netsynth.plots.pvalues import pvalue_plot
from netsynth.plots.ratios import ratio_plot
from netsynth.plots.trend import trend_plot
from netsynth.plots.votes import vote_plot
from netsynth.prognostic import summarize_factors
from netsynth.pvalues import combine_pvalues
from netsynth.trend import trend_from_categories
from netsynth.votes import count_votes, describe_ratios

LONG = "The international collaborative group on liver metastases"


def names(k, *, long):
    return [f"{LONG[: 50 - i % 7]} $1 {i}" if long else f"Author {i} {1980 + i}" for i in range(k)]


def summary(k, *, long=False, n_factors=4):
    """Studies of factors, each of the first factor, with every direction, size and analysis among them."""
    rng = np.random.default_rng(k)
    labels, found = names(k, long=long), []
    for i in range(n_factors):
        for j, study in enumerate(labels if i == 0 else labels[: max(1, k // (i + 1))]):
            ratio = f"{rng.uniform(0.5, 4):.2f}" if rng.random() < 0.6 else None
            found.append(
                ReportedFactor(
                    study,
                    f"a factor with a name of many words, number {i}" if long else f"factor {i}",
                    find_endpoint("OS"),
                    "a level described in many words" if long else "present",
                    "absent",
                    str(rng.choice(["multivariable", "univariable", "not stated"])),
                    hazard_ratio=None if ratio is None else ReportedNumber(ratio, "ratio"),
                    direction="not stated"
                    if ratio
                    else str(rng.choice(["worse", "worse", "better", "none", "not stated"])),
                    pvalue=ReportedNumber(f"{rng.uniform(0.002, 0.9):.3f}", "pvalue"),
                    group=Group(n_total=None if j % 5 == 4 else int(rng.choice([20, 100, 500]))),
                )
            )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return summarize_factors(
            Review(tuple(map(Study, labels)), factors=tuple(found)), infer_direction=False
        )


def combined(k, *, long=False):
    """P-values of every kind, and sizes."""
    rng = np.random.default_rng(k)
    kinds = ["0.03", "<0.001", "ns", "0.4", "significant", ">0.05", "0.2"]
    directions = ["worse", "worse", "better", "better", "worse", "not stated", "none"]
    return combine_pvalues(
        [kinds[i % 7] for i in range(k)],
        direction=[directions[(2 * i) % 7] if k > 1 else "worse" for i in range(k)],
        study=names(k, long=long),
        n_events=[int(n) for n in rng.integers(12, 900, k)],
        unknown_direction="bounds",
    )


def trend(k, *, long=False):
    dose, rng = np.arange(k + 2.0), np.random.default_rng(k)
    ratio = np.concatenate([[1.0], np.exp(rng.normal(0.3, 0.3, k + 1))])
    return trend_from_categories(
        dose,
        ratio,
        se=[None, *[0.3] * (k + 1)],
        n_events=[30] * (k + 2),
        n_total=[90] * (k + 2),
        unit=LONG if long else "cm",
    )


def flow(k, *, long=False):
    reasons = {name: i + 1 for i, name in enumerate(names(k, long=long))}
    return PrismaFlow(
        databases=9000,
        registers=100 if long else 0,
        duplicates=1000,
        excluded=6000,
        not_retrieved=3,
        reasons=reasons,
        included_studies=40 if long else None,
        other_identified=20 if k > 1 else 0,
        other_reasons={"no survival": 4} if k > 1 else {},
    )


def spreads(k, *, long):
    found = summary(k, long=long)
    rows = [row for row in found.rows if row.endpoint == "OS"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HarmonisationWarning)  # of kinds of analysis, which the dots show
        return [describe_ratios(row) for row in rows if any(not math.isnan(r.log_hr) for r in row.results)]


FIGURES = {
    "albatross": lambda k, long: lambda **room: albatross_plot(combined(k, long=long), **room),
    "pvalues": lambda k, long: lambda **room: pvalue_plot(combined(k, long=long), **room),
    "harvest": lambda k, long: lambda **room: harvest_plot(summary(k, long=long), **room),
    "effect_direction": lambda k, long: lambda **room: effect_direction_plot(summary(k, long=long), **room),
    "votes": lambda k, long: lambda **room: vote_plot(count_votes(summary(k, long=long).rows[0]), **room),
    "ratios": lambda k, long: lambda **room: ratio_plot(spreads(k, long=long), **room),
    "trend": lambda k, long: lambda **room: trend_plot(trend(min(k, 8), long=long), **room),
    "prisma": lambda k, long: lambda **room: prisma_plot(flow(min(k, 12), long=long), **room),
}
every_figure = pytest.mark.parametrize("figure", FIGURES)
#: Signs stand on marks on purpose in one, and marks of the axis above the first row in the others.
MARKED = {"effect_direction"}


@every_figure
@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
@pytest.mark.parametrize("k", [2, 5, 40])
def test_readable(figure, k, long, readable):
    readable(FIGURES[figure](k, long)(), marks=figure not in MARKED)


@every_figure
@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
def test_a_figure_of_the_size_asked_for_is_readable(figure, long, readable):
    draw = FIGURES[figure](5, long)
    small = plt.figure(figsize=(1, 0.8)).add_axes((0, 0, 1, 1))
    with pytest.raises(InvalidInputError) as error:
        draw(ax=small)
    found = re.search(r"at least ([\d.]+) by ([\d.]+)\.", str(error.value))
    assert found
    assert not small.texts
    width, height = map(float, found.groups())
    for _ in range(3):  # less width may need more height, which only the next error can say
        ax = plt.figure(figsize=(width, height), dpi=150).add_axes((0, 0, 1, 1))
        try:
            draw(ax=ax)
        except InvalidInputError as again:
            width, height = map(float, re.search(r"at least ([\d.]+) by ([\d.]+)\.", str(again)).groups())
        else:
            break
    readable(ax, marks=figure not in MARKED)
    larger = plt.figure(figsize=(width + 1, height + 1), dpi=150).add_axes((0, 0, 1, 1))
    readable(draw(ax=larger), marks=figure not in MARKED)


@every_figure
def test_the_same_figure_is_the_same_file(figure, saved):
    draw = FIGURES[figure](5, True)
    assert saved(draw(), "svg") == saved(draw(), "svg")


@every_figure
def test_figures_fit_a_page(figure):
    width, height = FIGURES[figure](40, False)().figure.get_size_inches()
    assert width < 8.27
    assert height < 11.7


def texts(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def data_lines(ax):
    return [line for line in ax.lines if line.get_transform() == ax.transData]


# --- albatross ------------------------------------------------------------------------------------------


def albatross(values, directions, sizes, **options):
    found = combine_pvalues(values, direction=directions, n_events=sizes, unknown_direction="bounds")
    return albatross_plot(found, **options)


def marks(ax):
    """Marks in the plot: place and marker, those of the key left out."""
    return {
        (round(float(line.get_xdata()[0]), 6), round(float(line.get_ydata()[0]), 6)): line
        for line in data_lines(ax)
        if line.get_linestyle() == "None"
    }


def test_a_study_stands_at_its_p_value_on_the_side_of_its_direction():
    found = marks(albatross(["0.01", "0.1"], ["worse", "better"], [50, 200]))
    assert set(found) == {(2.0, 50.0), (-1.0, 200.0)}


def test_bounds_are_open_and_have_an_arrow():
    ax = albatross(["<0.01", "ns"], ["worse", "better"], [50, 200])
    found = marks(ax)
    assert found[(2.0, 50.0)].get_markerfacecolor() == "white"
    arrows = [at for at, line in found.items() if line.get_marker() == ">"]
    assert len(arrows) == 1
    assert arrows[0][0] > 2.0
    assert {(round(-math.log10(0.05), 6) * -1, 200.0), (0.0, 200.0)} <= set(found)
    assert any("somewhere on the line" in text for text in texts(ax))


def test_an_unknown_direction_lies_on_both_sides():
    found = marks(albatross(["0.1"], ["not stated"], [50]))
    assert {at[0] for at in found} == {-1.0, 1.0}
    assert {line.get_marker() for line in found.values()} == {"s"}


def test_contours_are_those_of_the_formula():
    ax = albatross(["0.01", "0.001"], ["worse", "better"], [20, 500], hazard_ratios=[1.5], share_exposed=0.3)
    curves = [line for line in data_lines(ax) if len(line.get_xdata()) > 10]
    assert len(curves) == 2
    for line in curves:
        x, y = line.get_data()
        np.testing.assert_allclose(y, events_of_pvalue(10.0 ** -np.abs(x), np.log(1.5), 0.3), rtol=1e-12)
    assert "HR 1.5 or 0.67" in texts(ax)


def test_patients_have_contours_only_with_a_share_of_events():
    found = combine_pvalues(["0.01", "0.2"], direction=["worse", "worse"], n_patients=[100, None])
    bare = albatross_plot(found)
    assert bare.get_ylabel() == "Patients"
    assert not any("HR" in text for text in texts(bare))
    assert "1 study without number of patients not shown." in texts(bare)
    ax = albatross_plot(found, event_share=0.5, hazard_ratios=[2])
    x, y = next(line.get_data() for line in data_lines(ax) if len(line.get_xdata()) > 10)
    np.testing.assert_allclose(y, 2 * events_of_pvalue(10.0 ** -np.abs(x), np.log(2)), rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hazard_ratios": [0.5]}, r"hazard_ratios must be at most 4 ratios above 1; got \[0\.5\]\."),
        ({"share_exposed": 1.0}, r"share_exposed must lie between 0 and 1; got 1\.0\."),
        ({"event_share": 0.0}, r"event_share must lie between 0 and 1; got 0\.0\."),
        ({"size": "studies"}, r"size must be one of events, patients; got 'studies'\."),
        ({"size": "patients"}, r"No study has a number of patients, .*"),
    ],
)
def test_albatross_refuses(options, message):
    with pytest.raises(InvalidInputError, match=f"^{message}$"):
        albatross(["0.01"], ["worse"], [50], **options)


def test_tiny_p_values_have_a_place():
    ax = albatross([1e-25, "<1e-90", 0.5], ["worse", "better", "worse"], [900, 500, 20])
    assert ax.get_xlim()[1] > 25


# --- combined -------------------------------------------------------------------------------------------


def test_the_combined_p_stands_on_its_side():
    found = combine_pvalues([0.01, 0.02], direction=["better", "better"])
    ax = pvalue_plot(found)
    diamonds = [line for line in data_lines(ax) if line.get_marker() == "D"]
    assert [float(line.get_xdata()[0]) for line in diamonds] == pytest.approx(
        [math.log10(found.pvalue.lower)]
    )


def test_an_open_side_is_drawn_on_both():
    ax = pvalue_plot(combine_pvalues(["<0.05", "<0.05"], direction=["worse", "better"]))
    diamonds = [float(line.get_xdata()[0]) for line in data_lines(ax) if line.get_marker() == "D"]
    assert diamonds == pytest.approx([-diamonds[1], diamonds[1]])


# --- harvest --------------------------------------------------------------------------------------------


def harvested(results, **options):
    factors = tuple(
        ReportedFactor(
            study,
            "grade",
            find_endpoint("OS"),
            "G3",
            "G1/2",
            analysis,
            direction=direction,
            group=Group(n_total=n),
        )
        for study, direction, analysis, n in results
    )
    review = Review(tuple(Study(result[0]) for result in results), factors=factors)
    return harvest_plot(summarize_factors(review, infer_direction=False), **options)


def bars(ax):
    """Height in shares of the tallest, fill and hatch of each bar, from left to right."""
    found = [
        patch for patch in ax.patches if patch.get_transform() - ax.transData == patch.get_patch_transform()
    ]
    return [
        (round(patch.get_height() / TALL, 3), patch.get_hatch() or "")
        for patch in sorted(found, key=lambda patch: patch.get_x())
    ]


RESULTS = [
    ("Bern", "worse", "multivariable", 30),
    ("Lund", "worse", "univariable", 900),
    ("Oslo", "better", "matched", 120),
    ("Rome", "worse", "not stated", None),
]


def test_a_bar_is_a_study():
    ax = harvested(RESULTS)
    small, middle, large = (round(height, 3) for _, height, _ in BANDS)
    hatched = HATCH["adjusted"]
    assert bars(ax) == [(middle, hatched), (large, ""), (small, hatched), (round(UNKNOWN, 3), "")]
    shown = texts(ax)
    assert {"Better", "Worse", "adjusted", "unadjusted", "not stated"} <= set(shown)
    assert "No difference" not in shown
    assert set(FILLS) == set(HATCH)


def test_heights_of_ones_own():
    ax = harvested(RESULTS, heights={"Bern": 1.0, "Lund": 0.5, "Oslo": 0.25}, height_label="QUIPS score")
    assert [height for height, _ in bars(ax)] == [0.25, 1.0, 0.5, round(UNKNOWN, 3)]
    assert {"QUIPS score", "not rated"} <= set(texts(ax))
    with pytest.raises(InvalidInputError, match=r"^Bern: the height of a bar must lie in \[0, 1\]; got 2\.$"):
        harvested(RESULTS, heights={"Bern": 2})
    with pytest.raises(
        InvalidInputError, match=r"^No factor has results of 9 studies or more for endpoint 'any'\.$"
    ):
        harvested(RESULTS, min_studies=9)


# --- effect direction -----------------------------------------------------------------------------------


def test_a_cell_is_a_study_and_a_factor():
    found = summary(6)
    ax = effect_direction_plot(found)
    expected = sum(row.k for row in found.rows if row.endpoint == "any")
    shapes = [line for line in data_lines(ax) if line.get_markeredgecolor() != "none"]
    assert len(shapes) == expected
    directions = [r.direction for row in found.rows if row.endpoint == "any" for r in row.counted]
    assert sum(line.get_marker() == "^" for line in shapes) == directions.count("worse")
    assert sum(line.get_marker() == "v" for line in shapes) == directions.count("better")


def test_risk_of_bias_shades_and_is_explained():
    found = summary(4)
    ratings = dict(zip(names(4, long=False), ["low", "high", "moderate"], strict=False))
    ax = effect_direction_plot(found, risk_of_bias=ratings)
    assert {"Risk of bias", "low", "moderate", "high", "not rated"} <= set(texts(ax))
    assert "Risk of bias" not in texts(effect_direction_plot(found))
    with pytest.raises(
        InvalidInputError, match=r"^Author 0 1980: risk_of_bias must be one of low, moderate, high; .*"
    ):
        effect_direction_plot(found, risk_of_bias={"Author 0 1980": "some concerns"})
    with pytest.raises(InvalidInputError, match=r"^ratings must be one to three words .*"):
        effect_direction_plot(found, ratings=["a", "b", "c", "d"])
    with pytest.raises(InvalidInputError, match=r"^No factor 'age' with results of 1 study or more .*"):
        effect_direction_plot(found, factors=["age"])


def test_factors_in_the_order_asked_for():
    ax = effect_direction_plot(summary(4), factors=["factor 2", "factor 0"])
    assert texts(ax)[:2] == ["factor 2", "factor 0"]


# --- the others -----------------------------------------------------------------------------------------


def test_votes_show_their_intervals():
    votes = count_votes(summary(12).rows[0])
    lines = [line for line in data_lines(vote_plot(votes)) if len(line.get_xdata()) == 2]
    ends = [tuple(line.get_xdata()) for line in lines]
    assert tuple(100 * end for end in votes.chosen.confidence_interval()) in ends
    assert tuple(100 * end for end in votes.chosen.wilson_interval()) in ends


def test_votes_show_what_is_stated():
    votes = count_votes(summarize_factors(load_nethm()).row("histologic grade"))
    ax = vote_plot(votes)
    assert (votes.chosen.n_worse, votes.chosen.n_stated) == (3, 1)
    shown = [text.get_text() for text in ax.texts]
    assert "1 of 1" in shown
    assert "3 of 3" not in shown
    nothing = vote_plot(count_votes(summarize_factors(load_nethm()).row("completeness of resection")))
    assert "0 of 0" in [text.get_text() for text in nothing.texts]
    ends = [line for line in data_lines(nothing) if len(line.get_xdata()) == 2]
    assert [tuple(line.get_xdata()) for line in ends] == [(50, 50)]  # the line of one half


def test_every_ratio_is_a_dot():
    found = spreads(12, long=False)
    ax = ratio_plot(found)
    dots = [float(line.get_xdata()[0]) for line in data_lines(ax) if line.get_marker() in "osD"]
    np.testing.assert_allclose(
        sorted(dots), sorted(np.exp(np.concatenate([s.log_hr for s in found]))), rtol=1e-12
    )
    with pytest.raises(InvalidInputError, match=r"^There is no factor to draw; .*"):
        ratio_plot([])


def test_the_trend_goes_through_the_reference():
    found = trend(3)
    ax = trend_plot(found)
    line = next(line for line in data_lines(ax) if len(line.get_xdata()) == 101)
    x, y = line.get_data()
    np.testing.assert_allclose(np.log(y), found.slope * (x - found.dose[0]), atol=1e-12)
    assert ax.get_ylabel() == "Hazard ratio"


def test_a_flow_shows_every_count():
    shown = texts(prisma_plot(flow(3)))
    for text in (
        "9000 records identified",
        "8000 records screened",
        "2000 reports sought",
        "3 reports not retrieved",
    ):
        assert text in shown
    assert "1991 reports assessed" not in shown
    assert "1997 reports assessed" in shown
    assert f"{flow(3).included_reports} reports included" in shown
    assert "from other methods" in shown
    assert "from other methods" not in texts(prisma_plot(flow(1)))
