"""What an effect-direction plot shows are the counted studies, one mark each."""

import re
from collections import Counter

import pytest
from matplotlib.colors import to_hex

from netsynth.data.endpoint import find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.review import Review
from netsynth.data.study import Group, Study
from netsynth.errors import InvalidInputError
from netsynth.plots import factor_plot
from netsynth.plots.factors import COLOURS, TINTS
from netsynth.prognostic import summarize_factors

#: factor, endpoint, study, direction, significance, analysis, patients
RESULTS = [
    ("extrahepatic disease", "OS", "Adams", "worse", "yes", "multivariable", 300),
    ("extrahepatic disease", "OS", "Brown", "worse", "no", "univariable", 60),
    ("extrahepatic disease", "OS", "Chen", "better", "no", "not stated", None),
    ("extrahepatic disease", "OS", "Dow", "none", "no", "matched", 49),
    ("extrahepatic disease", "DFS", "Adams", "not stated", "yes", "multivariable", 300),
    ("extrahepatic disease", "DFS", "Evans", "worse", "not tested", "univariable", 50),
    ("size of liver metastases", "OS", "Adams", "worse", "yes", "multivariable", 200),
]


def summary(results=RESULTS):
    factors = tuple(
        ReportedFactor(
            study,
            factor,
            find_endpoint(endpoint),
            "present",
            "absent",
            analysis,
            direction=direction,
            significance=significance,
            group=Group(n_total=n),
        )
        for factor, endpoint, study, direction, significance, analysis, n in results
    )
    studies = tuple(Study(name) for name in dict.fromkeys(result[2] for result in results))
    return summarize_factors(Review(studies, factors=factors), infer_direction=False)


SHAPES = {"^": "worse", "v": "better", "o": "not stated"}


def marks(ax):
    """Marks in the plot by row: direction, edge, fill, size; signs within a mark are left out."""
    found = {}
    for line in ax.lines:
        if line.get_transform() != ax.transData or line.get_markeredgecolor() == "none":
            continue
        if line.get_linestyle() != "None":
            continue
        marker = line.get_marker()
        shape = SHAPES.get(marker, "none") if isinstance(marker, str) else "none"
        look = (
            shape,
            to_hex(line.get_markeredgecolor()),
            to_hex(line.get_markerfacecolor()),
            line.get_markersize() if shape != "none" else line.get_markersize() / 1.25,
        )
        found.setdefault(round(float(line.get_ydata()[0]), 6), []).append(look)
    return [found[y] for y in sorted(found)]


def hex_(color):
    return to_hex(color)


ADJUSTED, MATCHED, UNADJUSTED, NOT_STATED = map(hex_, COLOURS.values())
WHITE = "#ffffff"
LARGE, MIDDLE, SMALL = 7.5, 6.0, 4.5

ADAMS = ("worse", ADJUSTED, ADJUSTED, LARGE)
BROWN = ("worse", UNADJUSTED, WHITE, MIDDLE)
CHEN = ("better", NOT_STATED, WHITE, SMALL)
DOW = ("none", MATCHED, WHITE, SMALL)
EVANS = ("worse", UNADJUSTED, hex_(TINTS[COLOURS["unadjusted"]]), MIDDLE)


def test_a_mark_tells_direction_significance_analysis_and_patients():
    rows = marks(factor_plot(summary()))
    by_endpoint = [Counter(row) for row in rows]
    any_endpoint, overall, disease_free, size = by_endpoint
    assert overall == Counter([ADAMS, BROWN, CHEN, DOW])
    assert disease_free == Counter([("not stated", ADJUSTED, ADJUSTED, LARGE), EVANS])
    assert any_endpoint == Counter([ADAMS, BROWN, CHEN, DOW, EVANS])  # a study counts once
    assert size == Counter([ADAMS])


def texts_by_row(ax):
    """Texts of each row from left to right, the rows from the top."""
    ax.figure.draw_without_rendering()
    found = {}
    for text in ax.texts:
        if text.get_text():
            height = text.get_transform().transform(text.get_position())[1]
            found.setdefault(-round(height), []).append(text)
    return [
        [text.get_text() for text in sorted(row, key=lambda text: text.get_window_extent().x0)]
        for _, row in sorted(found.items())
    ]


def test_counts_stand_in_the_row():
    assert texts_by_row(factor_plot(summary()))[:5] == [
        ["Factor", "Endpoint", "Better", "Unclear", "Worse", "k", "▲", "▼", "◄►", "?", "n"],
        ["extrahepatic disease (present vs absent)", "any", "5", "3", "1", "1", "459"],
        ["OS", "4", "2", "1", "1", "409"],
        ["DFS", "2", "1", "0", "1", "350"],
        ["size of liver metastases (present vs absent)", "OS", "1", "1", "0", "200"],
    ]


def test_directions_have_zones_from_better_to_worse():
    ax = factor_plot(summary())
    places = {}
    for line in ax.lines:
        if line.get_transform() == ax.transData and isinstance(line.get_marker(), str):
            direction = SHAPES.get(line.get_marker())
            if direction:
                places.setdefault(direction, []).append(line.get_xdata()[0])
    assert max(places["better"]) < min(places["not stated"])
    assert max(places["not stated"]) < min(places["worse"])


def test_zones_that_nobody_is_in_are_left_out():
    ax = factor_plot(summary(RESULTS[:2]))
    texts = [text.get_text() for text in ax.texts]
    assert "Worse" in texts
    assert "Better" not in texts
    assert "Unclear" not in texts


def test_the_key_names_what_is_drawn_and_no_more():
    texts = [text.get_text() for text in factor_plot(summary(RESULTS[:2])).texts]
    assert {"worse with the first level", "adjusted", "unadjusted", "yes", "no"} <= set(texts)
    assert not {"better", "no difference", "not stated", "not tested or stated"} & set(texts)


def test_inferred_directions_are_counted_apart():
    review = Review(
        (Study("Adams"),),
        factors=(ReportedFactor("Adams", "grade", find_endpoint("OS"), "poor", "good", significance="yes"),),
    )
    texts = [text.get_text() for text in factor_plot(summarize_factors(review)).texts]
    assert "Inferred" in texts
    assert "Inferred" not in [text.get_text() for text in factor_plot(summary()).texts]


def test_factors_of_few_studies_can_be_left_out():
    texts = [text.get_text() for text in factor_plot(summary(), min_studies=2).texts]
    assert not any(text.startswith("size of liver") for text in texts)
    message = "No factor has results of 6 studies or more; the summary has 2 factors."
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        factor_plot(summary(), min_studies=6)
    with pytest.raises(InvalidInputError, match="min_studies must be a whole number of at least 1"):
        factor_plot(summary(), min_studies=0)


@pytest.mark.parametrize("n", [1, 12, 13, 45])
def test_every_study_has_its_own_place(n):
    results = [("grade", "OS", f"Author {i}", "worse", "yes", "univariable", 100) for i in range(n)]
    ax = factor_plot(summary(results))
    places = [
        (line.get_xdata()[0], line.get_ydata()[0])
        for line in ax.lines
        if line.get_transform() == ax.transData and line.get_marker() == "^"
    ]
    assert len(places) == len(set(places)) == n
    low, high = ax.get_xlim()
    assert all(low < x < high for x, _ in places)


def test_marks_keep_apart():
    results = [("grade", "OS", f"Author {i}", "worse", "yes", "univariable", 500) for i in range(45)]
    ax = factor_plot(summary(results))
    ax.figure.draw_without_rendering()
    places = [
        ax.transData.transform((line.get_xdata()[0], line.get_ydata()[0]))
        for line in ax.lines
        if line.get_transform() == ax.transData and line.get_marker() == "^"
    ]
    apart = min(max(abs(a[0] - b[0]), abs(a[1] - b[1])) for i, a in enumerate(places) for b in places[:i])
    assert apart > (LARGE + 0.8) * ax.figure.dpi / 72
