"""Folders of CSV files: what is understood, and what is refused with file, row and column."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsynth.data.endpoint import ENDPOINTS, Endpoint
from netsynth.data.number import ReportedNumber
from netsynth.errors import (
    AssumedRoleWarning,
    InconsistentReportWarning,
    InvalidInputError,
    Problem,
    ReadError,
    UnusableDataWarning,
)
from netsynth.io import read_review
from netsynth.io.layout import TABLES

STUDIES = "study_id,n_patients\na,100\nb,50\n"
HEADER = "study_id,endpoint,statistic,time_value,time_unit,value,value_unit\n"
ROW = "a,OS,percent,5,year,70,%\n"


@pytest.fixture
def folder(tmp_path):
    """A function that writes files beside a good studies.csv (or instead of it) and gives the folder."""

    def write(**tables):
        for name, content in {"studies": STUDIES, **tables}.items():
            if content is not None:
                data = content if isinstance(content, bytes) else content.encode()
                (tmp_path / f"{name}.csv").write_bytes(data)
        return tmp_path

    return write


def problems(folder, **options):
    """What is wrong, as short tuples: (file, row, column, found, allowed)."""
    with pytest.raises(ReadError) as error:
        read_review(folder, **options)
    assert error.value.n_problems == len(error.value.problems)
    return [(p.file, p.row, p.column, p.found, p.allowed) for p in error.value.problems]


# -- what is understood --------------------------------------------------------------------------------------


def test_rows_of_one_curve_are_joined_wherever_they_stand(folder):
    rows = [
        "a,OS,percent,10,year,40.0,%\n",
        "b,OS,percent,5,year,30,%\n",
        "a,OS,median,,,81,month\n",
        "a,OS,percent,60,month,70,%\n",
        "a,DFS,percent,5,year,20,%\n",
        "a,OS,percent,,,55,%\n",
    ]
    review = read_review(folder(survival=HEADER + "".join(rows)))
    assert [(s.study, s.endpoint.code, [str(p.share) for p in s.points]) for s in review.survival] == [
        ("a", "OS", ["70%", "40.0%", "55%"]),
        ("b", "OS", ["30%"]),
        ("a", "DFS", ["20%"]),
    ]
    assert [str(time) for time in review.times] == ["a, OS, overall: median 81 months"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_and_encodings(folder, separator, encoding):
    source = folder(
        studies=STUDIES.replace(",", separator).encode(encoding),
        survival=(HEADER + "a,OS,percent,5,year,70.0,%\n").replace(",", separator).encode(encoding),
    )
    named = {"encoding": encoding} if encoding == "utf-16" else {}
    for options in ({}, {"separator": separator}):
        (record,) = read_review(source, **named, **options).survival
        assert str(record) == "a, OS, overall: 70.0% at 5 years"


def test_decimal_commas_only_when_declared(folder):
    source = folder(survival=HEADER.replace(",", ";") + "a;OS;percent;2,5;year;70,50;%\n")
    assert [row[1:4] for row in problems(source)] == [(2, "value", "'70,50'"), (2, "time_value", "'2,5'")]
    (record,) = read_review(source, decimal=",").survival
    assert record.points[0].share == ReportedNumber("70.50", "percent")
    assert record.points[0].months == 30


def test_units_are_declared_once_or_in_each_row(folder):
    rows = "a,OS,percent,60,,0.70,\nb,OS,percent,5,year,70,%\nb,OS,median,,,81,\n"
    review = read_review(folder(survival=HEADER + rows), percent_unit="probability", time_unit="months")
    assert [str(record) for record in (*review.survival, *review.times)] == [
        "a, OS, overall: 0.70 at 60 months",
        "b, OS, overall: 70% at 5 years",
        "b, OS, overall: median 81 months",
    ]


def test_a_median_without_a_unit_is_kept_without_one(folder):
    (time,) = read_review(folder(survival=HEADER + "a,RFS,median,,,31.3,\n")).times
    assert time.value == ReportedNumber("31.3", "")


def test_names_of_columns_and_words_are_folded(folder):
    review = read_review(
        folder(
            studies="Study ID,First Author,N Total,n_resected,Follow-up months\na,Que,100,40,38.40\n",
            survival="STUDY;Endpoint;statistic;landmark;Time-Unit;surv;unit\na;Overall Survival;PERCENT;5;yrs;70;pct\n",
        ),
        columns={"Survival": {"Surv": "value"}},
    )
    (study,) = review.studies
    assert (study.first_author, study.n_patients, study.n_treated) == ("Que", 100, 40)
    assert study.followup == ReportedNumber("38.40", "month")
    assert str(review.survival[0]) == "a, OS, overall: 70% at 5 years"


def test_overlap_in_words_names_ids(folder):
    studies = (
        "study_id,overlap\n"
        'que_1995,"probably within sarmiento_2003 and the mayo_2010b series"\n'
        "sarmiento_2003,as que_1995; see also que_1995 and Smith 2011\n"
        "mayo_2010,sarmiento_2003 but not mayo_2010 itself nor Smith 2011b\n"
        'Smith 2011,"none, unlike Smith 201"\n'
        "2011,Smith 2011\n"
    )
    review = read_review(folder(studies=studies))
    assert [study.overlap for study in review.studies] == [
        ("sarmiento_2003",),
        ("que_1995", "Smith 2011"),
        ("sarmiento_2003",),
        (),
        ("Smith 2011",),
    ]
    assert review.studies[0].overlap_note == "probably within sarmiento_2003 and the mayo_2010b series"


def test_ids_of_overlapping_studies_may_be_given_exactly(folder):
    with pytest.warns(InconsistentReportWarning.__mro__[1], match="overlaps with 'c'"):
        review = read_review(folder(studies="study_id,overlap,overlap_ids\na,as b,\nb,,a; c\n"))
    assert [study.overlap for study in review.studies] == [(), ("a", "c")]


def test_further_columns_are_kept(folder):
    review = read_review(
        folder(
            studies="study_id,Ki-67,basis\na,3%,\n",
            survival=HEADER.replace("\n", ",page,\n") + ROW.replace("\n", ",12,\n"),
        )
    )
    assert review.studies[0].extra == (("Ki-67", "3%"),)
    assert review.survival[0].points[0].extra == (("page", "12"),)


def test_spreadsheet_guards_come_off_and_formulas_in_text_stay(folder):
    studies = "study_id,notes,design\na,'=1+1,'quoted'\nb,=cmd|x,@home\n"
    review = read_review(folder(studies=studies))
    assert [(study.notes, study.design) for study in review.studies] == [
        ("=1+1", "'quoted'"),
        ("=cmd|x", "@home"),
    ]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("not reached,,month", "not reached"),
        ("Not_Reached,,month", "not reached"),
        (",NR,month", "not reached"),
        (">,96,month", ">96 months"),
        (",>96,month", ">96 months"),
        (">,>96,month", ">96 months"),
        ("≥,96 months,", "≥96 months"),
        ("=,96,month", "96 months"),
    ],
)
def test_qualifiers_stand_in_their_column_or_in_the_cell(folder, row, expected):
    source = folder(survival=f"study_id,endpoint,statistic,qualifier,value,value_unit\na,OS,median,{row}\n")
    assert str(read_review(source).times[0].value) == expected


def test_levels_of_confidence_intervals(folder):
    header = "study_id,endpoint,statistic,value,value_unit,ci_low,ci_high,ci_level\n"
    levels = ["", "0.9", "97.5%", "99 %", "not stated"]
    rows = "".join(
        f"a,{e.code},median,50,month,40,60,{lv}\n" for e, lv in zip(ENDPOINTS, levels, strict=False)
    )
    review = read_review(folder(survival=header + rows))
    assert [time.ci.level for time in review.times] == [0.95, 0.9, 0.975, 0.99, None]


ROLES = [
    # label, role, set, duplicate, and the role and duplicate that follow
    ("", "", "core", "", "overall", False),
    ("Overall", "", "mixed", "", "overall", False),
    ("resected", "", "core", "", "arm", False),
    ("resected", "", "Subgroup", "", "subgroup", False),
    ("overall", "", "mixed_subgroup", "", "subgroup", False),
    ("medical", "", "comparator", "", "comparator", False),
    ("surgery", "", "duplicate", "", "arm", True),
    ("surgery", "", "duplicate", "no", "arm", False),
    ("surgery", "overall", "comparator", "true", "overall", True),
]


@pytest.mark.parametrize(("label", "role", "group_set", "duplicate", "to_role", "to_duplicate"), ROLES)
def test_role_follows_from_set_and_label(folder, label, role, group_set, duplicate, to_role, to_duplicate):
    header = HEADER.replace("\n", ",group,role,set,duplicate\n")
    row = ROW.replace("\n", f",{label},{role},{group_set},{duplicate}\n")
    group = read_review(folder(survival=header + row)).survival[0].group
    assert (group.role, group.duplicate, group.evidence_set) == (to_role, to_duplicate, group_set)
    assert group.label == (label or "overall")


def test_roles_taken_from_labels_are_told_once(folder):
    labels = [f"group {i:02}" for i in range(14)]
    rows = "".join(f"a,OS,percent,5,year,70,%,{label}\n" for label in ["overall", *labels])
    with pytest.warns(AssumedRoleWarning) as caught:
        review = read_review(folder(survival=HEADER.replace("\n", ",group\n") + rows))
    assert len(caught) == 1
    listed = ", ".join(repr(label) for label in labels[:12])
    assert str(caught[0].message) == (
        f"neither role nor set is stated; taken as arms under review: {listed} and 2 more. Add a column role "
        "(overall, arm, subgroup, comparator) where that is wrong"
    )
    assert [caution.name for caution in review.warnings] == ["AssumedRoleWarning"]
    assert caught[0].filename == __file__


def test_sources_that_are_not_in_their_table_are_told(folder):
    source = folder(
        sources="source_id,title\nS1,One\n",
        survival=HEADER.replace("\n", ",source_id\n")
        + "a,OS,percent,5,year,70,%,S1\na,OS,percent,3,year,75,%,S1; S9\n",
    )
    with pytest.warns(
        InconsistentReportWarning, match="rows name sources that the table sources does not have: 'S9'"
    ):
        review = read_review(source)
    assert [point.source for point in review.survival[0].points] == ["S1; S9", "S1"]


def test_files_that_are_no_table_are_told(folder):
    with pytest.warns(
        UnusableDataWarning, match=r"^not read, since the name is no table: 'survivals\.csv'\. The tab"
    ):
        review = read_review(folder(survivals="x"))
    assert [caution.name for caution in review.warnings] == ["UnusableDataWarning"]


def test_an_endpoint_of_ones_own(folder):
    source = folder(survival=HEADER + ROW.replace("OS", "LPFS"))
    own = Endpoint("LPFS", "liver PFS")
    assert read_review(source, endpoints=[own]).endpoints == (own,)
    folder(endpoints="code,name\nLPFS,liver PFS\n")
    assert read_review(source).endpoints == (own,)
    assert read_review(source, endpoints=[*ENDPOINTS, own]).endpoints == (*ENDPOINTS, own)


# -- what is refused -----------------------------------------------------------------------------------------


def test_every_complaint_comes_at_once(folder):
    source = folder(
        studies="study_id,n_patients,n_treated\na,100,\nb,ten,\na,5,6\n",
        survival=HEADER + "a,OS,percent,5,year,120,%\nc,XX,percent,5,,-1,%\n",
        proportions="study_id,outcome,n_events,n_total\na,mortality,30,20\n",
    )
    found = problems(source)
    assert found == [
        ("studies.csv", 3, "n_patients", "'ten'", "a whole number of 1 or more"),
        ("studies.csv", 4, "study_id", "'a' again", "one row for an id"),
        ("survival.csv", 2, "value", "'120'", "a number from 0 to 100"),
        ("survival.csv", 3, "study_id", "'c'", "a study_id of the table studies: a, b"),
        (
            "survival.csv", 3, "endpoint", "'XX'",
            f"an endpoint: {', '.join(e.code for e in ENDPOINTS)}, or one of your own passed with endpoints=",
        ),
        ("survival.csv", 3, "value", "'-1'", "a number from 0 to 100"),
        (
            "survival.csv", 3, "time_unit", "no unit for 5",
            "month, year, week or day, here or for all rows with time_unit=",
        ),
        (
            "proportions.csv", 2, "", "a, mortality: 30 events in 20 patients. Events cannot exceed patients",
            "cells that agree",
        ),
    ]  # fmt: skip


ONE_CURVE = "rows that agree: this one and row {} are one curve"
WRONG_ROWS = [
    pytest.param(["a,OS,percent,5,year,0.7,"], (2, "value_unit", "no unit for 0.7"), id="percent or fraction"),
    pytest.param(
        ["a,OS,percent,5,year,70,%", "a,OS,percent,3,year,60,%"],
        (
            3, "",
            "a, OS, overall: survival cannot rise; got 70% at 5 years after 60% at 3 years. Check the transcription",
            ONE_CURVE.format(2),
        ),
        id="rising survival",
    ),
    pytest.param(
        ["a,recurrence,percent,3,year,60,%", "a,recurrence,percent,5,year,50,%"],
        (3, "", "a, recurrence, overall: a cumulative incidence cannot fall; got 50% at 5 years after 60% at 3 years"),
        id="falling incidence",
    ),
    pytest.param(
        ["a,OS,percent,5,year,70,%", "b,OS,percent,5,year,70,%", "a,OS,percent,60,month,70,%"],
        (4, "", "a, OS, overall: two values at 60 months (70% and 70%)", ONE_CURVE.format(2)),
        id="landmark twice",
    ),
    pytest.param(
        ["a,OS,percent,,,70,%", "a,OS,percent,,,70,%"],
        (3, "", "70% of OS at a time not stated, as in row 2", "one row; merge the two or tell them apart"),
        id="landmark not stated twice",
    ),
    pytest.param(
        ["a,OS,median,,,70,month", "a,OS,median,,,71,month"],
        (3, "", "the median OS again, as in row 2", "one row; merge the two or tell them apart"),
        id="median twice",
    ),
    pytest.param(["a,OS,percent,0,year,70,%"], (2, "", "A landmark must be a positive time"), id="landmark of zero"),
    pytest.param(["a,OS,percent,5,year,,%"], (2, "value", "an empty cell", "a percentage"), id="no value"),
    pytest.param(["a,OS,percent,,year,70,%"], (2, "time_unit", "'year'"), id="a unit without its time"),
    pytest.param(["a,OS,median,5,,70,month"], (2, "time_value", "'5'"), id="a median has no landmark"),
    pytest.param(["a,OS,,5,year,70,%"], (2, "statistic", "an empty cell"), id="no statistic"),
    pytest.param(["a,OS,rate,5,year,70,%"], (2, "statistic", "'rate'", "one of percent, median, mean"), id="statistic"),
    pytest.param(["a,OS,percent,5,year,70,month"], (2, "value_unit", "'month'", "% or probability"), id="share unit"),
    pytest.param(["a,OS,percent,5,%,70,%"], (2, "time_unit", "'%'", "month, year, week or day"), id="time unit"),
    pytest.param(["a,OS,percent,5,year,=1+1,%"], (2, "value", "'=1+1'"), id="formula"),
    pytest.param(["a,OS,percent,5,year,+cmd,%"], (2, "value", "'+cmd'"), id="command"),
    pytest.param(["a,OS,percent,5,year,@SUM,%"], (2, "value", "'@SUM'"), id="at sign"),
    pytest.param(["a,OS,percent,5,year,-1+1,%"], (2, "value", "'-1+1'"), id="sum"),
    pytest.param([",OS,percent,5,year,70,%"], (2, "study_id", "an empty cell", "the id of a study"), id="no study"),
    pytest.param(["a,OS,percent,5,year,70,%,,"], (2, "", "9 cells", "7 cells, as the header has"), id="too many cells"),
    pytest.param(["a,OS,percent"], (2, "", "3 cells", "7 cells, as the header has"), id="too few cells"),
    pytest.param(["", ",,,,,,", "c,OS,percent,5,year,70,%"], (4, "study_id", "'c'"), id="blank rows are counted"),
    pytest.param(['a,OS,percent,5,year,"70"x,%'], (2, "", "cells that cannot be told apart"), id="quotes"),
    pytest.param(["a,OS,percent,5,year,70,%", 'a,OS,percent,"5'], (3, "", "cells that cannot be"), id="open quote"),
    pytest.param(["a,OS,percent,5,year,70,%", "a,\0"], (3, "", "a NUL byte"), id="NUL"),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "expected"), WRONG_ROWS)
def test_wrong_rows_of_survival(folder, rows, expected):
    (found,) = problems(folder(survival=HEADER + "\n".join(rows) + "\n"))
    row, column, what, *allowed = expected
    assert (found[0], found[1], found[2]) == ("survival.csv", row, column)
    assert found[3].startswith(what)
    assert allowed in ([], [found[4]])


EVENTS = HEADER.replace("\n", ",n_group,events\n")


def test_events_belong_to_the_curve_whichever_rows_state_them(folder):
    rows = ["a,OS,percent,3,year,80,%,40,", "a,OS,percent,5,year,70,%,40,12", "a,DFS,percent,5,year,60,%,40,"]
    review = read_review(folder(survival=EVENTS + "\n".join(rows) + "\n"))
    assert [(s.endpoint.code, len(s.points), s.n_events) for s in review.survival] == [
        ("OS", 2, 12),
        ("DFS", 1, None),
    ]
    frame = review.to_frame("survival")
    assert str(frame["n_events"].dtype) == "Int64"
    assert frame["n_events"].fillna(-1).tolist() == [12, 12, -1]
    assert read_review({"studies": review.to_frame("studies"), "survival": frame}).survival == review.survival


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            ["a,OS,percent,3,year,80,%,40,12", "a,OS,percent,5,year,70,%,40,13"],
            (3, "events", "'13'", "one number of events in all rows of a curve; row 2 has 12"),
        ),
        (
            ["a,OS,percent,3,year,80,%,40,", "a,OS,percent,5,year,70,%,40,41"],
            (3, "", "a, OS, overall: 41 events among 40 patients. Check both numbers", "rows that agree"),
        ),
        (
            ["a,OS,percent,3,year,80,%,40,1.5"],
            (2, "events", "'1.5'", "a whole number of 0 or more"),
        ),
        (
            ["a,OS,median,,,80,month,40,12"],
            (2, "events", "'12'", "an empty cell: a median has none"),
        ),
    ],
)
def test_wrong_numbers_of_events(folder, rows, expected):
    assert problems(folder(survival=EVENTS + "\n".join(rows) + "\n")) == [("survival.csv", *expected)]


def test_contradictions_beyond_neighbours_are_seen(folder):
    """50.0% binds 50.4%, though the vaguer 50% between them agrees with both."""
    rows = "a,OS,percent,1,year,50.0,%\na,OS,percent,2,year,50,%\na,OS,percent,3,year,50.4,%\n"
    ((_, row, _, found, allowed),) = problems(folder(survival=HEADER + rows))
    assert row == 4
    assert "survival cannot rise; got 50.4% at 3 years after 50.0% at 1 year" in found
    assert allowed == "rows that agree"


def test_every_rise_of_a_curve_is_shown(folder):
    rows = "".join(f"a,OS,percent,{t},year,{v},%\n" for t, v in [(1, 50), (2, 60), (3, 55), (4, 70)])
    assert [row[1] for row in problems(folder(survival=HEADER + rows))] == [3, 5]


def test_rows_are_numbered_as_a_spreadsheet_does(folder):
    rows = 'a,OS,percent,5,year,70,%,"two\nlines"\n\nz,OS,percent,5,year,70,%,\n'
    ((_, row, *_),) = problems(folder(survival=HEADER.replace("\n", ",notes\n") + rows))
    assert row == 4


WRONG_FILES = [
    pytest.param({"survival": ""}, ("survival.csv", None, "", "an empty file", "a header row"), id="empty"),
    pytest.param({"survival": "\n\n"}, ("survival.csv", None, "", "an empty first row", "a header row"), id="blank"),
    pytest.param(
        {"studies": "study_id\n"},
        ("studies.csv", None, "", "no study", "a table studies with one row a study"),
        id="no study",
    ),
    pytest.param(
        {"studies": None, "survival": HEADER},
        ("studies", None, "", "no study", "a table studies with one row a study"),
        id="no studies table",
    ),
    pytest.param(
        {"survival": "study_id,endpoint,value\n"},
        (
            "survival.csv", 1, "statistic", "the columns 'study_id', 'endpoint' and 'value'",
            "a column 'statistic'",
        ),
        id="missing column",
    ),
    pytest.param(
        {"survival": "study,study_id,endpoint,statistic,value\n"},
        (
            "survival.csv", 1, "study_id", "columns 'study' and 'study_id', which both mean study_id",
            "one column for one meaning; rename or remove the other",
        ),
        id="column twice",
    ),
    pytest.param(
        {"studies": "study_id,x,x\na,1,2\n"},
        (
            "studies.csv", 1, "x", "columns 'x' and 'x', which both mean x",
            "one column for one meaning; rename or remove the other",
        ),
        id="further column twice",
    ),
    pytest.param(
        {"studies": "study_id,\na,stray\n"},
        ("studies.csv", 2, "", "'stray' in column 2, which has no name", "a name in row 1"),
        id="column without a name",
    ),
    pytest.param(
        {"survival": HEADER.encode() + "a,OS,percent,5,year,70,%é\n".encode("cp1252")},
        (
            "survival.csv", None, "", f"byte 0xe9 at position {len(HEADER) + 24}, which is no UTF-8",
            "UTF-8 text, or another encoding such as encoding='cp1252'",
        ),
        id="encoding",
    ),
    pytest.param(
        {"survival": ("\ufeff" + HEADER).encode("utf-16-le")},
        (
            "survival.csv", None, "", "byte 0xff at position 0, which is no UTF-8",
            "UTF-8 text, or another encoding such as encoding='utf-16'",
        ),
        id="UTF-16",
    ),
    pytest.param(
        {"survival": HEADER.encode("utf-16-le")},
        ("survival.csv", 1, "", "a NUL byte", "text; is it a CSV file, or does it need encoding='utf-16'?"),
        id="UTF-16 without a mark",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("tables", "expected"), WRONG_FILES)
def test_wrong_files(folder, tables, expected):
    assert problems(folder(**tables)) == [expected]


def test_a_byte_is_found_far_into_a_file(folder):
    """Further than the text layer decodes at once, behind a byte order mark, in the middle of a character."""
    good = "\ufeff" + HEADER + "".join(f"a,OS,percent,{i + 1},day,70,%\n" for i in range(20_000))
    data = good.encode() + "é".encode()[:1] + b"\n"
    ((_, row, _, found, _),) = problems(folder(survival=data))
    assert (row, found) == (None, f"byte 0xc3 at position {len(good.encode())}, which is no UTF-8")


def test_a_byte_is_found_where_two_chunks_meet(folder):
    """The first byte of a character ends a chunk of the search, and what follows does not complete it."""
    data = (HEADER + ROW + "x" * 65536).encode()[: 65536 - 1] + b"\xc3(" + b"x" * 10
    ((_, _, _, found, _),) = problems(folder(survival=data))
    assert found == "byte 0xc3 at position 65535, which is no UTF-8"


def test_a_header_alone_is_a_table_without_rows(folder):
    assert read_review(folder(survival=HEADER)).survival == ()


def test_two_files_of_one_table_are_refused(folder):
    source = folder(factors="study_id,endpoint,factor\n", prognostic="study_id,endpoint,factor\n")
    assert problems(source) == [
        (
            source.name,
            None,
            "",
            "'factors.csv' and 'prognostic.csv', both the table prognostic",
            "one of them",
        )
    ]


def test_a_declared_separator_is_the_only_one(folder):
    assert {row[2] for row in problems(folder(), separator=";")} == {"study_id"}


OTHER_TABLES = [
    ("proportions", "study_id,outcome,percent", "a,mortality,120", (2, "percent", "'120'")),
    ("proportions", "study_id,outcome,percent,probability", "a,m,12,0.12", (2, "percent", "'12'")),
    ("proportions", "study_id,outcome,n_events,n_total,percent", "a,m,3,10,90", (2, "", "a, m: 3/10 is 30.0%, not")),
    ("proportions", "study_id,outcome,percent", "a,m,5\na,m,5", (3, "", "m of a, overall again, as in row 2")),
    ("proportions", "study_id,outcome,n_events", "a,m,1.5", (2, "n_events", "'1.5'")),
    ("characteristics", "study_id,name,unit,mean", "a,age,year,\n", (2, "", "a, age: give at least one number")),
    ("characteristics", "study_id,name,unit,mean", "a,age,year,1\na,age,year,2", (3, "", "age of a, overall again")),
    ("characteristics", "study_id,name,median,min,max", "a,age,9,1,5", (2, "", "a, age: the median 9 lies outside")),
    ("prognostic", "study_id,factor,endpoint,hr,lower,upper", "a,x,OS,2,3,4", (2, "", "a, x: the confidence interval")),
    ("prognostic", "study_id,factor,endpoint,hr,lower,upper", "a,x,OS,2,5,4", (2, "", "The lower limit 5 exceeds")),
    ("prognostic", "study_id,factor,endpoint,p,p_operator", "a,x,OS,0.3,>=\na,y,OS,,<", (3, "p", "an empty cell")),
    ("prognostic", "study_id,factor,endpoint,p,p_operator", "a,x,OS,<0.3,>", (2, "p_operator", "'>' beside '<0.3'")),
    ("prognostic", "study_id,factor,endpoint,p", "a,x,OS,1.2", (2, "p", "'1.2'")),
    ("prognostic", "study_id,factor,endpoint,p_operator,p", "a,x,OS,=,0", (2, "p", "a, x: a p-value is never 0")),
    ("prognostic", "study_id,factor,endpoint,p", "a,x,OS,0.000\na,y,OS,0", (3, "p", "a, y: a p-value is never 0")),
    ("prognostic", "study_id,factor,endpoint,hr", "a,x,OS,0.00\na,y,OS,0", (3, "hr", "a, y: a hazard ratio is")),
    (
        "prognostic", "study_id,factor,endpoint,adverse_level,reference_level", "a,x,OS,G3,G1\na,x,OS,G3,G3",
        (3, "", "a, x: both levels are 'G3'"),
    ),
    ("prognostic", "study_id,factor,endpoint,p", "a,x,OS,0.1\na,x,OS,0.2", (3, "", "x, OS, not stated again")),
    ("prognostic", "study_id,factor,endpoint,significant", "a,x,OS,maybe", (2, "significant", "'maybe'")),
    ("prognostic", "study_id,factor,endpoint,analysis", "META_x,x,OS,matched", (2, "study_id", "'META_x'")),
    ("prognostic", "study_id,factor,endpoint,role", "a,x,OS,boss", (2, "role", "'boss'")),
    ("prognostic", "study_id,factor,endpoint,events_adverse", "a,x,OS,4", (2, "events_reference", "an empty cell")),
    ("prognostic", "study_id,factor,endpoint,n_reference", "a,x,OS,4", (2, "n_adverse", "an empty cell")),
    ("prognostic", "study_id,factor,endpoint,n_events,n", "a,x,OS,9,8", (2, "", "a, x: 9 events among 8 patients")),
    ("quality", "study_id,checklist,item,rating", "a,minors,stated aim,3", (2, "rating", "'3'")),
    ("quality", "study_id,checklist,item,rating", "a,MINORS,aim,2", (2, "item", "'aim'")),
    ("quality", "study_id,checklist,item,rating", "a,MINUS,aim,2", (2, "checklist", "'MINUS'")),
    ("quality", "study_id,checklist,item,rating", "a,QUIPS,study attrition,low", (2, "", "a, QUIPS: item 'study part")),
    ("quality", "study_id,checklist,item,rating,page", "a,QUIPS,x,low,3", (1, "page", "a column 'page'")),
    ("sources", "source_id,doi", "S1,doi.org/x", (2, "", "S1: a DOI looks like 10.1002/sim.1482")),
    ("sources", "source_id", "S1\nS1", (3, "source_id", "'S1' again")),
    ("review_targets", "outcome,time,time unit,median", "OS,5,year,70", (2, "unit", "no unit for a figure at a landm")),
    ("review_targets", "outcome,time_years_or_statistic,median", "OS,mean,7", (2, "time_years_or_statistic", "'mean'")),
    ("review_targets", "outcome,median", "OS,", (2, "median", "an empty cell")),
    ("endpoints", "code,kind", "OS,rising", (2, "kind", "'rising'")),
    ("endpoints", "code", "OS\nOS", (3, "", "the endpoint OS again")),
    ("checklists", "checklist,items,ratings,scores", "own,x;y,good;poor,1;none", (2, "scores", "'none'")),
    ("checklists", "checklist,items,ratings", "own,x;x,good;poor", (2, "", "own: items must be given once each")),
    ("review", "title", "One\nTwo", (3, "", "a second row")),
    ("studies", "study_id,followup", "a,5", (2, "followup_unit", "no unit for 5")),
    ("studies", "study_id,followup,followup_months", "a,5 years,60", (2, "followup_months", "'60'")),
    ("studies", "study_id,n_patients,n_treated", "a,5,6", (2, "", "a: n_treated cannot exceed n_patients; got 6 of 5")),
    ("studies", "study_id,year", "a,95", (2, "", "a: year must be a calendar year; got 95")),
]  # fmt: skip


@pytest.mark.parametrize(("table", "header", "rows", "expected"), OTHER_TABLES)
def test_wrong_rows_of_other_tables(folder, table, header, rows, expected):
    (found,) = problems(folder(**{table: f"{header}\n{rows}\n"}))
    assert (found[0], found[1], found[2]) == (f"{table}.csv", *expected[:2])
    assert found[3].startswith(expected[2])


def test_a_study_names_known_sources(folder):
    source = folder(sources="source_id\nS1\n", studies="study_id,source_ids\na,S1; S2\n")
    assert problems(source) == [("studies.csv", 2, "source_ids", "'S2'", "a source_id of the table sources")]


def test_a_complaint_reads_as_a_sentence():
    problem = Problem("survival.csv", 5, "value", "'120'", "a number from 0 to 100")
    assert str(problem) == "survival.csv, row 5, column value: found '120'; allowed: a number from 0 to 100"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decimal": ";"}, "decimal must be '.' or ','; got ';'."),
        ({"separator": "|"}, "separator must be ',', ';' or a tab; got '|'."),
        ({"encoding": "latin-99"}, "encoding: 'latin-99' is not known; such are utf-8 and cp1252."),
        (
            {"percent_unit": "month"},
            "percent_unit: 'month' is not a unit of a share; say percent or probability.",
        ),
        ({"time_unit": "%"}, "time_unit: '%' is not a unit of time; say month, year, week or day."),
    ],
)
def test_impossible_arguments(folder, options, message):
    with pytest.raises(InvalidInputError) as error:
        read_review(folder(), **options)
    assert str(error.value) == message


def test_sources_that_are_none(tmp_path):
    (tmp_path / "studies.csv").write_text("study_id\na\n")
    kinds = "give a folder of CSV files, an .xlsx workbook, a .json file or a mapping of data frames."
    for path, what in [
        (tmp_path / "nowhere", "does not exist"),
        (tmp_path / "studies.csv", "is none of these"),
    ]:
        with pytest.raises(InvalidInputError) as error:
            read_review(path)
        assert str(error.value) == f"{path} {what}; {kinds}"
    (tmp_path / "empty").mkdir()
    ((file, row, _, found, _),) = problems(tmp_path / "empty")
    assert (file, row, found) == ("empty", None, "no CSV file of a table")


def test_the_list_of_problems_is_capped_and_counted(folder):
    rows = itertools.repeat("a,OS,percent,5,year,120,%\n", 1234)
    with pytest.raises(ReadError) as error:
        read_review(folder(survival=HEADER + "".join(rows)))
    assert (error.value.n_problems, len(error.value.problems)) == (1234, 1000)
    assert str(error.value).endswith("... and 1184 more")


# -- whatever stands in a file -------------------------------------------------------------------------------

ODD = [
    "",
    " ",
    "a",
    "5",
    "-1",
    "1e99",
    "9" * 400,
    "70,5",
    "=1",
    "'",
    '"',
    "NR",
    "%",
    "not stated",
    "yes",
    ";",
    "\u0663",
]


def test_digits_beside_not_reached_are_refused_with_their_place():
    row = {"study_id": "a", "endpoint": "OS", "factor": "grade", "p_operator": "NR", "p_value": "0"}
    with pytest.raises(ReadError) as error:
        read_review({"studies": [{"study_id": "a"}], "prognostic": [row]})
    found = [problem for problem in error.value.problems if problem.column == "p_operator"]
    assert [(problem.file, problem.row, problem.found) for problem in found] == [
        ("prognostic", 2, "'not reached' beside '0'")
    ]


@pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")
@pytest.mark.parametrize("table", TABLES)
@settings(max_examples=30)
@given(data=st.data())
def test_any_cells_are_read_or_refused_with_a_place(table, data):
    cell = st.sampled_from(ODD) | st.text(max_size=5)
    names = [column.name for column in TABLES[table].columns]
    row = st.fixed_dictionaries(dict.fromkeys(names, cell))
    rows = data.draw(st.lists(row, min_size=1, max_size=3))
    tables = {"studies": [{"study_id": "a"}], "sources": [{"source_id": "a"}], table: rows}
    try:
        read_review(tables, percent_unit="percent")
    except ReadError as error:
        places = {problem.file for problem in error.problems}
    else:
        places = set()
    assert places <= {"studies", table}


@pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")
@settings(max_examples=50)
@given(content=st.binary(max_size=40), after=st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content, after):
    folder = tmp_path_factory.mktemp("review")
    (folder / "studies.csv").write_bytes(content)
    (folder / "sources.csv").write_bytes(b"source_id,title\n" + after)
    with pytest.raises(ReadError) as error:
        read_review(folder)
    assert error.value.problems[0].file in ("studies.csv", "sources.csv")
