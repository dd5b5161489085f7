import html

import pytest

from netsynth.results.audit import (
    CHECKS,
    PUBLISHED,
    SEVERITIES,
    STATUSES,
    Audit,
    AuditedPercentage,
    AuditFinding,
    CheckCount,
)

IMPOSSIBLE = AuditFinding(
    "A",
    "percentage of n",
    "impossible",
    "95% of 13 patients",
    corrections=("92% instead of 95%", "91% instead of 95%", "90% instead of 95%"),
    n_corrections=29,
    endpoint="OS",
    group="overall",
    rows=("SV1",),
)
COPY = AuditFinding(
    "B",
    "one cohort twice",
    "suspicious",
    "the <same> figures",
    "by chance",
    other_study="A",
    endpoint="PFS",
    group="arm",
)
PERCENTAGE = AuditedPercentage(
    "A",
    "OS",
    "overall",
    "1 year",
    "50%",
    13,
    None,
    1,
    ("log", "log-log"),
    0.1,
    0.12,
    0.09,
    float("nan"),
    "SV1",
)


@pytest.fixture
def found():
    return Audit(
        "Review",
        ("A", "B", PUBLISHED),
        ("Adams 2001", "Brown 2005", "Published review"),
        (IMPOSSIBLE, COPY),
        (
            CheckCount("percentage of n", 5, 1, (("n not printed", 3), ("printed as about", 1))),
            CheckCount("one cohort twice", 1, 1),
        ),
        (PERCENTAGE,),
        (("impossible", "suspicious"), ("passed", "suspicious"), ("", "")),
    )


def test_words_of_a_finding():
    assert str(IMPOSSIBLE) == "impossible: A, OS: 95% of 13 patients [SV1]"
    assert IMPOSSIBLE.where == "A, OS"
    assert COPY.where == "B, PFS, arm"
    assert IMPOSSIBLE.correction == (
        "92% instead of 95%; 91% instead of 95%; 90% instead of 95%; or 26 further"
    )
    assert COPY.correction == "none that changes one or two digits"


def test_counts(found):
    assert found.checks == ("percentage of n", "one cohort twice")
    assert found.n_findings == {"impossible": 1, "incoherent": 0, "suspicious": 1}
    assert found.counts[0].n_not_checkable == 4
    assert found.counts[0].reasons == "n not printed (3), printed as about (1)"


def test_selections(found):
    assert found.select() == (IMPOSSIBLE, COPY)
    assert found.select(severity="suspicious") == (COPY,)
    assert found.select(check="percentage of n") == (IMPOSSIBLE,)
    assert found.select(study="A") == (IMPOSSIBLE, COPY)
    assert found.select(study="B") == (COPY,)
    assert found.select(study="B", severity="impossible") == ()


def test_text(found):
    assert str(found).splitlines() == [
        "Review: 2 studies, 1 impossible and 1 suspicious",
        "  impossible: A, OS: 95% of 13 patients [SV1]",
        "    would fit: 92% instead of 95%; 91% instead of 95%; 90% instead of 95%; or 26 further",
        "  suspicious: B, PFS, arm: the <same> figures",
        "    unless by chance",
        "  check             made  found  not checkable  why not",
        "  percentage of n      5      1              4  n not printed (3), printed as about (1)",
        "  one cohort twice     1      1              0",
    ]
    assert all(len(line) <= 100 for line in str(found).splitlines())


def test_nothing_found():
    empty = Audit("Audit", ("A",), ("A",), (), (), (), ((),))
    assert str(empty).splitlines() == [
        "Audit: 1 study, nothing found",
        "  check  made  found  not checkable  why not",
    ]
    assert empty.summary_frame().empty
    assert empty.check_frame().empty
    assert empty.percentage_frame().empty
    assert empty._repr_html_().count("<tr>") == 1


def test_html(found):
    text = found._repr_html_()
    assert html.escape("the <same> figures") in text
    assert text.count("<tr>") == 3
    assert found.headline in text


def test_frames(found):
    frame = found.summary_frame()
    assert frame.study.tolist() == ["A", "B"]
    assert frame.n_corrections.tolist() == [29, 0]
    assert frame.other_study.tolist() == ["", "A"]
    assert frame.rows.tolist() == ["SV1", ""]
    checks = found.check_frame()
    assert checks.n_not_checkable.tolist() == [4, 0]
    assert checks.asks[0] == CHECKS["percentage of n"]
    (row,) = found.percentage_frame().to_dict("records")
    assert (row["least_censored"], row["scales"], row["se_upper"]) == (1, "log, log-log", 0.12)
    assert row["bound_upper"] != row["bound_upper"]


def test_statuses_rise_to_the_severities():
    assert STATUSES[:3] == ("", "not checkable", "passed")
    assert tuple(STATUSES[:2:-1]) == tuple(SEVERITIES)
