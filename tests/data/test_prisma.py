import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.data.prisma import BOXES, PrismaFlow
from netsynth.errors import InvalidInputError

# Flows of two published reviews: identified, removed, excluded, not retrieved, excluded reports; and what is left.
PUBLISHED = [
    ((700, 167, 398, 0, 93), (533, 135, 135, 42)),
    ((162, 23, 25, 4, 88), (139, 114, 110, 22)),
]


@pytest.mark.parametrize(("given_", "left"), PUBLISHED)
def test_published_flows(given_, left):
    found, removed, excluded, missing, reports = given_
    flow = PrismaFlow(
        databases=found,
        duplicates=removed,
        excluded=excluded,
        not_retrieved=missing,
        reasons={"ineligible": reports},
    )
    assert (flow.screened, flow.sought, flow.assessed, flow.included_reports) == left
    whole = PrismaFlow(
        databases=found,
        duplicates=removed,
        screened=left[0],
        excluded=excluded,
        sought=left[1],
        not_retrieved=missing,
        assessed=left[2],
        reasons={"ineligible": reports},
        included_reports=left[3],
        included_studies=left[3],
    )
    assert whole.counts()[BOXES["included_reports"]] == left[3]


COUNT = st.integers(0, 500)


@st.composite
def flows(draw):
    """Counts of both streams, each drawn from what is left by those before it."""

    def part(whole):
        return draw(st.integers(0, whole))

    counts = {"databases": draw(COUNT), "registers": draw(COUNT)}
    found = counts["databases"] + counts["registers"]
    counts["duplicates"] = part(found)
    counts["automation"] = part(found - counts["duplicates"])
    counts["screened"] = found - counts["duplicates"] - counts["automation"]
    counts["excluded"] = part(counts["screened"])
    counts["sought"] = counts["screened"] - counts["excluded"]
    counts["not_retrieved"] = part(counts["sought"])
    counts["assessed"] = counts["sought"] - counts["not_retrieved"]
    a = part(counts["assessed"])
    b = part(counts["assessed"] - a)
    counts["reasons"] = {"a": a, "b": b}
    counts["other_identified"] = draw(COUNT)
    counts["other_sought"] = part(counts["other_identified"])
    counts["other_not_retrieved"] = part(counts["other_sought"])
    counts["other_assessed"] = counts["other_sought"] - counts["other_not_retrieved"]
    c = part(counts["other_assessed"])
    counts["other_reasons"] = {"c": c}
    counts["included_reports"] = counts["assessed"] - a - b + counts["other_assessed"] - c
    counts["included_studies"] = part(counts["included_reports"])
    return counts


DERIVED = ("screened", "sought", "assessed", "other_assessed", "included_reports")


@given(flows())
def test_what_is_left_out_follows(counts):
    flow = PrismaFlow(**counts)
    fewer = PrismaFlow(**{name: value for name, value in counts.items() if name not in DERIVED})
    assert fewer == flow


@given(flows(), st.sampled_from(DERIVED), st.integers(-5, 5).filter(bool))
def test_a_box_that_does_not_add_up_is_named(counts, name, error):
    wrong = counts[name] + error
    if wrong < 0:
        return
    with pytest.raises(InvalidInputError) as told:
        PrismaFlow(**{**counts, name: wrong})
    assert str(told.value).startswith(f"{BOXES[name]}: got {wrong}, but ")
    assert f"gives {counts[name]}. {abs(error)} {'too many' if error > 0 else 'missing'}" in str(told.value)


REFUSED = [
    ({"databases": -1}, r"Records identified from databases must be a whole number of at least 0; got -1\."),
    ({"duplicates": 2.5}, r"Duplicate records removed must be a whole number of at least 0; got 2\.5\."),
    (
        {"duplicates": 101},
        r"Records screened: identified less removed before screening gives -1; a count cannot be negative\.",
    ),
    ({"excluded": 101}, r"Reports sought for retrieval: screened less excluded gives -1; .*"),
    ({"not_retrieved": 101}, r"Reports assessed for eligibility: sought less not retrieved gives -1; .*"),
    ({"reasons": {"a": 101}}, r"Reports excluded: the reasons add up to 101, more than the 100 assessed\."),
    (
        {"other_reasons": {"a": 1}},
        r"Reports excluded, other methods: the reasons add up to 1, more than the 0 assessed\.",
    ),
    (
        {"included_studies": 101},
        r"Studies included: 101 are more than the 100 reports of them\. Records, reports and .*",
    ),
    (
        {"other_identified": 3, "other_sought": 4},
        r"Reports sought, other methods: 4 are more than the 3 records identified\.",
    ),
    ({"reasons": ["a"]}, r"reasons must map reasons to counts; got \['a'\]\."),
    ({"reasons": {" ": 1}}, r"reasons must be a non-empty text; got ' '\."),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=[str(change) for change, _ in REFUSED])
def test_refused(change, message):
    with pytest.raises(InvalidInputError, match=f"^{message}$"):
        PrismaFlow(**{"databases": 100, **change})


def test_in_words():
    flow = PrismaFlow(
        databases=162, duplicates=23, excluded=25, not_retrieved=4, reasons={"a": 88}, included_studies=21
    )
    assert str(flow) == (
        "162 records identified, 23 removed; 139 screened, 25 excluded; 114 reports sought, 4 not retrieved; "
        "110 assessed, 88 excluded; 22 reports of 21 studies included"
    )
    other = PrismaFlow(databases=1, other_identified=3, other_reasons={"a": 1})
    assert "3 identified by other methods, 3 assessed, 1 excluded" in str(other)
    assert BOXES["other_sought"] in other.counts()
    assert BOXES["other_sought"] not in flow.counts()
