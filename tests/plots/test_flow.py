"""The flow diagram counts what the selection holds."""

from netsynth.data.number import ReportedNumber
from netsynth.data.selection import Candidate, Exclusion, Selection
from netsynth.data.study import Group
from netsynth.plots import flow_plot

VALUE = ReportedNumber("70", "percent")


def chosen(*sizes):
    return tuple(Candidate(f"Author {i}", VALUE, Group(n_total=n), n) for i, n in enumerate(sizes))


def left_out(*kinds):
    return tuple(Exclusion(f"Other {i}", kind, "why") for i, kind in enumerate(kinds))


def texts(selection):
    return [text.get_text() for text in flow_plot(selection).texts if text.get_text()]


def test_counts():
    excluded = left_out("subgroup", "comparator", *["subgroup"] * 10)
    found = texts(Selection("OS at 60 months", "rule", chosen(40, 60, None), excluded))
    assert found == [
        "OS at 60 months",
        "15 reported figures",
        "3 studies taken",
        "100 patients",
        "12 left out:",
        "11",
        "subgroup",
        "1",
        "comparator",
    ]


def test_nothing_left_out():
    assert texts(Selection("OS at 60 months", "rule", chosen(40), ()))[-1] == "0 left out"


def test_nothing_taken():
    found = texts(Selection("OS at 60 months", "rule", (), left_out("subgroup")))
    assert "0 studies taken" in found
    assert "1 left out:" in found


def test_counts_stand_under_each_other():
    selection = Selection("OS", "rule", (), left_out(*["subgroup"] * 11, "comparator"))
    ax = flow_plot(selection)
    ax.figure.draw_without_rendering()
    ends = [text.get_window_extent().x1 for text in ax.texts if text.get_text() in ("11", "1")]
    assert len(ends) == 2
    assert abs(ends[0] - ends[1]) < 1.5


def test_text_lies_in_its_box():
    excluded = left_out(*[f"a reason of many words, number {i}" for i in range(9)])
    ax = flow_plot(Selection("OS at 60 months", "rule", chosen(40), excluded))
    ax.figure.draw_without_rendering()
    boxes = [patch.get_window_extent() for patch in ax.patches[:3]]
    assert len(boxes) == 3
    for text in ax.texts:
        if text.get_text():
            inner = text.get_window_extent()
            assert (
                sum(
                    box.x0 < inner.x0 and inner.x1 < box.x1 and box.y0 < inner.y0 and inner.y1 < box.y1
                    for box in boxes
                )
                == 1
            )
