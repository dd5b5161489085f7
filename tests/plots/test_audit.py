"""What an audit plot shows are the findings of each study and check, and what could not be checked."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from netsynth.errors import InvalidInputError
from netsynth.plots import _style
from netsynth.plots.audit import SIGNS, audit_plot
from netsynth.results.audit import CHECKS, Audit, AuditFinding, CheckCount

STATUS = (
    ("impossible", "passed", "not checkable"),
    ("passed", "passed", ""),
    ("incoherent", "suspicious", "passed"),
)
LONG = "The international collaborative group on liver metastases, $1\n$ and others"


def made(status=STATUS, labels=("Adams 2001", "Brown 2005", "Chen 2010"), counts=(12, 3, 4567)):
    names = list(CHECKS)[: len(status[0]) if status else 0]
    findings = tuple(
        AuditFinding(labels[i], names[j], said, "a message")
        for i, row in enumerate(status)
        for j, said in enumerate(row)
        if said in SIGNS
    )
    per = [CheckCount(name, counts[j % 3], 1, (("n not printed", 7),)) for j, name in enumerate(names)]
    return Audit("Review", tuple(labels), tuple(labels), findings, tuple(per), (), tuple(status))


def cells(ax):
    """Status by place, from the labels of the marks, and the colours of each."""
    found, colours = {}, {}
    for line in ax.lines:
        if line.get_transform() == ax.transData and isinstance(line.get_marker(), str):
            colours[line.get_label()] = to_hex(line.get_color())
            for x, y in line.get_xydata():
                found[int(y), int(x)] = line.get_label()
    return found, colours


def row(ax, y):
    ax.figure.draw_without_rendering()
    texts = [text for text in ax.texts if text.get_text() and text.get_position()[1] == pytest.approx(y)]
    return [text.get_text() for text in sorted(texts, key=lambda text: text.get_window_extent().x0)]


def test_cells_are_the_statuses_of_studies_with_findings():
    found, colours = cells(audit_plot(made()))
    shown = [STATUS[0], STATUS[2]]
    assert found == {(y, x): said for y, line in enumerate(shown) for x, said in enumerate(line) if said}
    assert len({colours[severity] for severity in SIGNS}) == 3


def test_names_and_counts():
    ax = audit_plot(made())
    assert row(ax, 0) == ["Adams 2001"]
    assert row(ax, 1) == ["Chen 2010"]
    assert row(ax, 2.35) == ["Findings", "1", "1", "1"]
    assert row(ax, 3.35) == ["Checks made", "12", "3", "4567"]
    assert row(ax, 4.35) == ["Not checkable", "7", "7", "7"]


@pytest.mark.parametrize("severity", SIGNS)
def test_signs_need_no_colour(severity):
    ax = audit_plot(made(((severity,),), ("Adams",)))
    signs = [
        line for line in ax.lines if line.get_label() == severity and not isinstance(line.get_marker(), str)
    ]
    expected = _style.sign(SIGNS[severity][0], "black")["marker"]
    np.testing.assert_array_equal(signs[0].get_marker().vertices, expected.vertices)
    assert len({sign for sign, _, _ in SIGNS.values()}) == 3


def test_headings_stand_over_their_checks():
    ax = audit_plot(made())
    slanting = [text for text in ax.texts if text.get_rotation() == 45]
    assert [text.get_text() for text in slanting] == ["Percentage of n", "Numbers at risk", "Events"]
    assert [text.get_position()[0] for text in slanting] == [0, 1, 2]


def test_the_key_tells_what_was_found():
    texts = [text.get_text() for text in audit_plot(made()).texts]
    assert {"impossible", "incoherent", "suspicious", "passed", "not checkable"} <= set(texts)
    quiet = [text.get_text() for text in audit_plot(made((("suspicious",),), ("A",))).texts]
    assert "impossible" not in quiet


def test_nothing_found(readable):
    ax = audit_plot(made((("passed", "not checkable"),), ("Adams",)))
    assert cells(ax)[0] == {}
    assert row(ax, 0.35)[0] == "Findings"
    readable(ax, marks=False)


def test_nothing_checked(readable):
    readable(audit_plot(Audit("Audit", ("A",), ("A",), (), (), (), ((),))), marks=False)


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("k", [1, 5, 60])
def test_readable(k, long, readable):
    words = ["impossible", "incoherent", "suspicious", "passed", "not checkable", ""]
    status = [tuple(words[(i + j) % 6] for j in range(len(CHECKS))) for i in range(k)]
    labels = [f"{LONG} {i}" if long else f"Author {i}" for i in range(k)]
    ax = audit_plot(made(tuple(status), tuple(labels)))
    readable(ax, marks=False)
    assert {text.get_text() for text in ax.texts if text.get_text().startswith("The")} == {
        f"The international collaborative group on liver metastases, $1 $ and others {i}"
        for i in range(k if long else 0)
    }


def test_axes_of_the_size_asked_for(readable):
    small = plt.figure(figsize=(1, 1)).add_axes((0, 0, 1, 1))
    with pytest.raises(InvalidInputError, match="this figure needs at least") as caught:
        audit_plot(made(), ax=small)
    width, height = map(float, re.findall(r"at least (\d+\.\d+) by (\d+\.\d+)", str(caught.value))[0])
    for more in (0.0, 0.7):
        ax = plt.figure(figsize=(width + more, height + more)).add_axes((0, 0, 1, 1))
        readable(audit_plot(made(), ax=ax), marks=False)


def test_the_same_file_twice(saved):
    assert saved(audit_plot(made()), "svg") == saved(audit_plot(made()), "svg")
