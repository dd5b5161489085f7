"""One value a study: what is chosen, what is left out, and that nothing is lost between the two."""

from collections import Counter
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import strategies as records
from hypothesis import given
from hypothesis import strategies as st

from netsynth.data.number import ReportedNumber
from netsynth.data.selection import (
    Candidate,
    Exclusion,
    Selection,
    check_sets,
    known_time,
    overlap_clusters,
    same_months,
    select,
)
from netsynth.data.study import ROLES, Group, Study
from netsynth.errors import InvalidInputError

WHOLE = ("overall", "arm")
RULES = ("largest", "latest", "keep")


def candidate(study, text="50", n_total=None, *, role="overall", set_="", qualifier="=", **other):
    group = Group(other.pop("label", "overall"), role, n_total, set_, other.pop("duplicate", False))
    return Candidate(study, ReportedNumber(text, "percent", qualifier), group, n_total, **other)


def chosen(candidates, *, studies="abcd", sets=None, roles=WHOLE, overlap="largest", **options):
    held = [Study(name) for name in studies] if isinstance(studies, str) else studies
    return select(
        "OS at 60 months", candidates, sets=sets, roles=roles, overlap=overlap, studies=held, **options
    )


@st.composite
def questions(draw):
    """Studies, some of which share patients, and figures that could answer for them."""
    names = "abcdef"[: draw(st.integers(1, 6))]
    held = [
        Study(
            name, year=draw(st.none() | st.integers(2000, 2004)), overlap=draw(st.just(()) | overlaps(names))
        )
        for name in names
    ]
    figures = draw(
        st.lists(
            st.builds(
                candidate,
                st.sampled_from(names),
                st.sampled_from(["40", "50", "60"]),
                st.sampled_from([None, 10, 20, 30]),
                role=st.sampled_from(ROLES),
                set_=st.sampled_from(["", "core", "newer"]),
                qualifier=st.sampled_from(["=", ">"]),
                duplicate=st.booleans(),
                unusable=st.sampled_from(["", "", "its landmark is not stated"]),
            ),
            max_size=12,
        )
    )
    # every figure has a row of its own, so that none can be confused with another
    return held, [
        Candidate(c.study, c.value, c.group, c.n_total, row_id=str(i), unusable=c.unusable)
        for i, c in enumerate(figures)
    ]


def overlaps(names):
    return st.lists(st.sampled_from(names), max_size=2).map(tuple)


def options():
    return st.fixed_dictionaries(
        {
            "sets": st.none() | st.sampled_from([("core",), ("core", "newer")]),
            "roles": st.permutations(ROLES).flatmap(lambda r: st.integers(1, 4).map(lambda n: tuple(r[:n]))),
            "overlap": st.sampled_from(RULES),
        }
    )


@given(questions(), options())
def test_each_figure_is_taken_or_left_out_once(question, how):
    studies, figures = question
    found = chosen(figures, studies=studies, **how)
    rows = [c.row_id for c in found.chosen] + [e.row_id for e in found.excluded]
    assert sorted(rows) == sorted(c.row_id for c in figures)
    assert (
        found.flow["found"] == len(figures) == found.k + sum(Counter(e.kind for e in found.excluded).values())
    )
    assert all(exclusion.reason for exclusion in found.excluded)


@given(questions(), options())
def test_at_most_one_figure_a_study_in_the_order_of_the_review(question, how):
    studies, figures = question
    found = chosen(figures, studies=studies, **how)
    places = [[study.id for study in studies].index(name) for name in found.studies]
    assert places == sorted(set(places))


@given(questions(), options())
def test_what_is_taken_was_asked_for(question, how):
    studies, figures = question
    for taken in chosen(figures, studies=studies, **how).chosen:
        assert taken.group.role in how["roles"]
        assert not taken.group.duplicate
        assert not taken.unusable
        assert how["sets"] is None or taken.group.evidence_set in how["sets"]


@given(questions())
def test_no_comparator_and_no_subgroup_by_default(question):
    studies, figures = question
    assert {c.group.role for c in chosen(figures, studies=studies).chosen} <= {"overall", "arm"}


def reaches(studies, start):
    """Studies that share patients with `start`, directly or through others, found by walking."""
    links = {frozenset((s.id, other)) for s in studies for other in s.overlap if s.id != other}
    seen, todo = set(), [start]
    while todo:
        seen.add(name := todo.pop())
        todo += [other for link in links if name in link for other in link - {name} - seen]
    return seen


@given(questions(), options())
def test_overlapping_studies_give_one_figure(question, how):
    studies, figures = question
    found = chosen(figures, studies=studies, **how)
    if how["overlap"] == "keep":
        eligible = {c.study for c in chosen(figures, studies=[Study(s.id) for s in studies], **how).chosen}
        assert set(found.studies) == eligible
    else:
        for one, other in combinations(found.studies, 2):
            assert other not in reaches(studies, one)


@given(questions())
def test_clusters_are_what_can_be_reached(question):
    studies, _ = question
    clusters = overlap_clusters(studies)
    assert clusters == {study.id: frozenset(reaches(studies, study.id)) for study in studies}


def rank(taken, roles):
    """What the choice within a study goes by, smaller first."""
    return roles.index(taken.group.role), taken.value.qualifier != "=", -(taken.n_total or 0)


@given(questions(), options())
def test_nothing_better_is_left_out(question, how):
    studies, figures = question
    how["overlap"] = "keep"
    found = chosen(figures, studies=studies, **how)
    taken = {c.study: c for c in found.chosen}
    second = {e.row_id for e in found.excluded if e.kind == "second value of a study"}
    for figure in figures:
        if figure.row_id in second:
            assert rank(taken[figure.study], how["roles"]) <= rank(figure, how["roles"])


@given(questions(), options(), st.randoms(use_true_random=False))
def test_the_order_of_rows_matters_only_between_ties(question, how, random):
    studies, figures = question

    def ranks(rows):
        """By cluster, what the choice goes by; which of two equals is taken may differ."""
        clusters = overlap_clusters(studies)
        taken = chosen(rows, studies=studies, **how).chosen
        year = {study.id: study.year or 0 for study in studies}
        if how["overlap"] == "keep":
            return sorted((c.study, rank(c, how["roles"])) for c in taken)
        return sorted((sorted(clusters[c.study]), c.n_total or 0, year[c.study]) for c in taken)

    shuffled = list(figures)
    random.shuffle(shuffled)
    assert ranks(shuffled) == ranks(figures)


def test_first_the_role_then_exactness_then_size_then_place():
    figures = [
        candidate("a", "10", 500, role="arm"),
        candidate("a", "20", 400, qualifier=">"),
        candidate("a", "30", 200),
        candidate("a", "40", 300),
        candidate("a", "50", 300),
    ]
    for best in (3, 4, 2, 1, 0):
        assert chosen(figures).chosen == (figures[best],)
        figures[best] = candidate("a", role="subgroup")
    assert chosen(figures).k == 0


def test_the_order_of_roles_is_the_order_of_preference():
    whole, arm = candidate("a"), candidate("a", role="arm")
    assert chosen([whole, arm], roles=("arm", "overall")).chosen == (arm,)


def test_a_preference_comes_after_exactness_and_before_size():
    figures = [candidate("a", "30", 9), candidate("a", "60", 5), candidate("a", "90", 9, qualifier=">")]
    found = chosen(figures, prefer=lambda c: -c.value.value, preference="the largest")
    assert found.chosen == (figures[1],)
    assert found.rule == (
        "groups in the order overall and arm; any evidence set; of several values of a study an exact one before "
        "an open end, then the largest, then the largest group, then the first; of studies that share patients "
        "the one with the most patients"
    )


STUDIES = [
    Study("a", year=2010),
    Study("b", year=2012, overlap=("a",)),
    Study("c", year=2011, overlap=("b",)),
    Study("d"),
]


@pytest.mark.parametrize(
    ("rule", "taken"), [("largest", ("a", "d")), ("latest", ("b", "d")), ("keep", ("a", "b", "c", "d"))]
)
def test_overlap_rules(rule, taken):
    figures = [
        candidate("c", n_total=200),
        candidate("b", n_total=100),
        candidate("a", n_total=300),
        candidate("d"),
    ]
    assert chosen(figures, studies=STUDIES, overlap=rule).studies == taken


def test_of_equally_large_studies_the_latest_and_of_equally_late_the_largest():
    same_size = [candidate("a", n_total=9), candidate("b", n_total=9)]
    assert chosen(same_size, studies=STUDIES).studies == ("b",)
    same_year = [Study("a", year=2010, overlap=("b",)), Study("b", year=2010)]
    sizes = [candidate("a", n_total=8), candidate("b", n_total=9)]
    assert chosen(sizes, studies=same_year, overlap="latest").studies == ("b",)


def test_every_reason():
    figures = [
        candidate("a", "74", 339, row_id="1"),
        candidate("a", "70", 30, row_id="2", label="one centre", role="arm"),
        candidate("b", "60", 60, row_id="3"),
        candidate("c", row_id="4", duplicate=True),
        candidate("c", row_id="5", role="comparator"),
        candidate("d", row_id="6", role="subgroup"),
        candidate("d", row_id="7", set_="mixed"),
        candidate("d", row_id="8", unusable="its landmark is not stated"),
    ]
    found = chosen(figures, studies=[*STUDIES[:2], Study("c"), Study("d")], sets=("", "core"))
    assert {e.row_id: (e.kind, e.reason) for e in found.excluded} == {
        "2": ("second value of a study", "74% of overall (n = 339) was preferred"),
        "3": ("overlapping cohort", "may share patients with a, which was kept"),
        "4": ("duplicate", "marked as a duplicate of figures another study reports"),
        "5": ("comparator", "role comparator; asked for overall and arm"),
        "6": ("subgroup", "role subgroup; asked for overall and arm"),
        "7": ("other evidence set", "evidence set mixed; asked for (none) and core"),
        "8": ("not usable", "its landmark is not stated"),
    }
    assert found.flow == {
        "found": 8, "comparator": 1, "subgroup": 1, "duplicate": 1, "other evidence set": 1, "not usable": 1,
        "second value of a study": 1, "overlapping cohort": 1, "taken": 1,
    }  # fmt: skip
    assert str(found).splitlines()[0] == "OS at 60 months: 1 study, 339 patients"
    assert "  + a: 74% (overall (n = 339))" in str(found)
    assert "  - a [2], 70%, one centre (n = 30): 74% of overall (n = 339) was preferred" in str(found)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({}, ("overall and arm", "any evidence set", "the one with the most patients")),
        (
            {"sets": ["core", "newer"], "overlap": "latest"},
            ("evidence set core and newer", "patients the latest"),
        ),
        ({"roles": ["arm"], "overlap": "keep"}, ("in the order arm;", "overlapping studies all kept")),
    ],
)
def test_the_rule_says_what_was_done(how, words):
    rule = chosen([], **how).rule
    assert [word for word in words if word not in rule] == []


def test_frame():
    figures = [candidate("a", "74", 339, row_id="1", source="S"), candidate("b", duplicate=True, row_id="2")]
    frame = chosen(figures).to_frame()
    assert list(frame.columns) == [
        "study", "row_id", "figure", "value", "qualifier", "unit", "group", "n_total", "source", "taken", "reason",
    ]  # fmt: skip
    assert frame["figure"].tolist() == ["74%, overall (n = 339)", "50%, overall"]
    assert frame["taken"].tolist() == [True, False]
    assert frame["value"].tolist()[0] == 74
    assert pd.isna(frame["value"].tolist()[1])
    assert frame["n_total"].dtype == "Int64"
    assert chosen([]).to_frame().empty


@given(records.selections())
def test_a_selection_counts_itself(selection):
    assert selection.k == len(selection.studies) == len(selection.values) == selection.flow["taken"]
    assert selection.n_total == sum(c.n_total or 0 for c in selection.chosen)
    assert selection.flow["found"] == selection.k + len(selection.excluded) == len(selection.to_frame())


def test_exclusion_shown():
    assert str(Exclusion("a", "kind", "why")) == "a: why"
    assert str(Exclusion("a", "kind", "why", "SV1", "74%")) == "a [SV1], 74%: why"
    assert str(Selection("q", "r", (), ())) == "q: 0 studies, 0 patients\n  rule: r"


@pytest.mark.parametrize("given_months", [60, 60.0, np.int64(60), np.float64(60)])
def test_known_time(given_months):
    assert known_time(given_months) == 60
    assert type(known_time(given_months)) is float


def test_the_same_landmark_in_other_units():
    assert same_months(ReportedNumber("3652.5", "day").months, ReportedNumber("10", "year").months)
    assert not same_months(60, 61)


REFUSED = [
    (
        lambda: chosen([], roles=("whole",)),
        "roles must be one of overall, arm, subgroup, comparator; got 'whole'.",
    ),
    (lambda: chosen([], roles="overall"), "roles must be a list of one or more words; got 'overall'."),
    (lambda: chosen([], roles=()), "roles must be a list of one or more words; got ()."),
    (lambda: chosen([], sets="core"), "sets must be a list of one or more words; got 'core'."),
    (lambda: chosen([], sets=[]), "sets must be a list of one or more words; got []."),
    (lambda: check_sets("core", ["core"]), "sets must be a list of one or more words; got 'core'."),
    (
        lambda: check_sets(["core", "cor"], ["newer", "core", ""]),
        "No result belongs to evidence set cor; the review has (none), core and newer.",
    ),
    (
        lambda: check_sets(["core"], [""]),
        "No result belongs to evidence set core; the review names none; leave sets out.",
    ),
    (lambda: chosen([], overlap="smallest"), "overlap must be one of largest, latest, keep; got 'smallest'."),
    *(
        (lambda t=t: known_time(t), f"time_months must be a positive number of months; got {t!r}.")
        for t in (0, -5, float("nan"), float("inf"), "60", True, None)
    ),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refused(call, message):
    with pytest.raises(InvalidInputError) as error:
        call()
    assert str(error.value) == message
