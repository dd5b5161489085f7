"""What plot digitisers write: read back as it was clicked, or refused with its place. All files are written here."""

import contextlib
import io
import json
import math
import string
import tarfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsynth.errors import (
    InconsistentReportWarning,
    InvalidInputError,
    ReadError,
    UnusableDataWarning,
)
from netsynth.io import read_digitized, webplotdigitizer


@pytest.fixture
def read(tmp_path):
    """A function that writes a file and reads it: name, times and survival of each curve."""

    def reader(content, name="km.csv", **options):
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return plain(read_digitized(file, **options))

    return reader


def plain(curves):
    return [(curve.name, curve.time.tolist(), curve.survival.tolist()) for curve in curves]


def problems(read, content, **options):
    """What is wrong, as short tuples: (row, column, found, allowed)."""
    with pytest.raises(ReadError) as error:
        read(content, **options)
    assert {problem.file for problem in error.value.problems} == {options.get("name", "km.csv")}
    return [(p.row, p.column, p.found, p.allowed) for p in error.value.problems]


# -- tables --------------------------------------------------------------------------------------------------

ONE = [("km", [0, 6.5, 6.5], [1.0, 0.98, 0.75])]
TWO = [("Arm A", [0, 6.5], [1.0, 0.75]), ("Arm B", [0.5], [0.98])]

TABLES = {
    "WebPlotDigitizer, one": ("0, 1\n6.5, 0.98\n6.5, 0.75\n", ONE),
    "WebPlotDigitizer, one, German": ("0; 1\n6,5; 0,98\n6,5; 0,75\n", ONE),
    "WebPlotDigitizer, all": ("Arm A,,Arm B,\nX,Y,X,Y\n0,1,0.5,0.98\n6.5,0.75,,\n", TWO),
    "Engauge, functions": ("x,Arm A,Arm B\n0,1,\n0.5,,0.98\n6.5,0.75,\n", TWO),
    "Engauge, relations": ("x,Arm A,x,Arm B\n0,1,0.5,0.98\n6.5,0.75,,\n", TWO),
    "Engauge, one a line": ("x,Arm A\n0,1\n6.5,0.75\n\nx,Arm B\n0.5,0.98\n", TWO),
    "Engauge, one a line, relations": ("x,Arm A\n0,1\n6.5,0.75\nx,Arm B\n0.5,0.98\n", TWO),
    "Engauge, gnuplot": ("# x, Arm A\n0, 1\n6.5, 0.75\n\n\n# x, Arm B\n0.5, 0.98\n", TWO),
    "DigitizeIt": ("x;Arm A;x;Arm B\n0;1;0,5;0,98\n6,5;0,75;;\n", TWO),
    "DigitizeIt, names above": ("Arm A;;Arm B\nx;y;x;y\n0;1;0,5;0,98\n6,5;0,75\n", TWO),
    "names over pairs": ("Arm A\t\tArm B\n0\t1\t0.5\t0.98\n6.5\t0.75\n", TWO),
    "names over times and survival": (
        "Arm A,,Arm B,\nTime,Survival,Time,Survival\n0,1,.5,.98\n6.5,.75,,\n",
        TWO,
    ),
    "points with numbers": ('"k" "time" "survival"\n1 0 1\n2 6.5 0.98\n3 6.5 0.75\n', ONE),
    "names in a column": ("time|survival|arm\n0|1|Arm A\n.5|.98|Arm B\n6.5|.75|Arm A\n", TWO),
    "names in a column, no header": ("0;1;Arm A\n6,5;,75;Arm A\n,5;,98;Arm B\n", TWO),
    "names in the first column": ("Arm A,0,1\nArm A,6.5,.75\nArm B,.5,.98\n", TWO),
    "Excel's hint": ("sep=;\n0;1\n6,5;0,98\n6,5;0,75\n", ONE),
    "titles": ("Arm A\n0 1\n6.5 0.75\n\nArm B\n0.5 0.98\n", TWO),
    "comments as names": ("# by hand\n\n# Arm A\n0\t1\n6.5\t.75\n\n# Arm B\n.5\t.98\n", TWO),
    "one header for all": ("t,S\n0,1\n6.5,.75\n\n.5,.98\n", [("km 1", *TWO[0][1:]), ("km 2", *TWO[1][1:])]),
    "no name at all": ("0,1\n6.5,.75\n,\n.5,.98\n", [("km 1", *TWO[0][1:]), ("km 2", *TWO[1][1:])]),
    "comments and spaces": ("# a figure\n  0   1 \n# it goes on\n 6.5  0.98\n\t6.5 0.75", ONE),
    "quotes": ('"Time","Overall survival"\n"0","1"\n"6.5","0.98"\n6.5,"0.75",\n', ONE),
    "decimal commas in quotes": ('"0","1,0"\n"6,5","0,98"\n"6,5","0,75"\n', ONE),
    "old line ends": ("0;1\r6.5;.98\r6.5;.75\r", ONE),
    "exponents and signs": ("+0e0,1E0\n65e-1,98e-2\n6.5,+.75\n", ONE),
    "the separator in a name": (
        "Arm A,n=20,,B,\nX,Y,X,Y\n0,1,1,.9\n",
        [("Arm A,n=20", [0], [1]), ("B", [1], [0.9])],
    ),
    "numbers for names": ("1,,2,\nX,Y,X,Y\n0,1,1,.9\n", [("1", [0], [1]), ("2", [1], [0.9])]),
    "numbers for names, one x": ("x,1,2\n0,1,\n1,,.9\n", [("1", [0], [1]), ("2", [1], [0.9])]),
}


@pytest.mark.parametrize(("text", "expected"), TABLES.values(), ids=TABLES)
def test_tables(read, text, expected):
    assert read(text) == expected


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"]
)
def test_encodings(read, encoding):
    text = "Fünfte,\nX,Y\n0,1\n6.5,.75\n"
    assert read(text.encode(encoding)) == [("Fünfte", [0, 6.5], [1, 0.75])]
    if encoding != "utf-8-sig":
        assert read(text.encode(encoding), encoding=encoding) == [("Fünfte", [0, 6.5], [1, 0.75])]


def test_an_encoding_that_is_none_of_ours_must_be_named(read):
    text = "Łódź,\nX,Y\n0,1\n".encode("cp1250")
    assert read(text, encoding="cp1250")[0][0] == "Łódź"
    with pytest.raises(InvalidInputError, match="encoding: 'klingon' is not known"):
        read(text, encoding="klingon")
    assert problems(read, text, encoding="utf-8")[0][2].startswith("no utf-8-sig text")
    assert problems(read, text, encoding="rot13")[0][2].startswith("no rot13 text")


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("1.234,5;98\n2.000;97\n0;100\n", [1234.5, 2000, 0]),
        ("1,234.5;98\n2,000;97\n0;100\n", [1234.5, 2000, 0]),
        ("1.234;98,5\n2.000;97\n0;100\n", [1234, 2000, 0]),
        ("1,234;98.5\n2,000;97\n0;100\n", [1234, 2000, 0]),
        ("1,234;98,5\n2,000;97\n0;100\n", [1.234, 2, 0]),
        ("1.234;98\n2.00;97\n0;100\n", [1.234, 2, 0]),
        ("1.234,98\n2.000,97\n0,100\n", [1.234, 2, 0]),  # who separates by commas has points in numbers
        ("0.000;100\n1.234;98\n", [0, 1.234]),
        ("−0.5;100\n–0.25;99\n1e2;98\n", [-0.5, -0.25, 100]),
    ],
)
def test_decimal_marks(read, text, times):
    assert read(text)[0][1] == times


def test_a_mark_that_may_group_digits_is_refused(read):
    text = "0;100\n1,234;98\n2,000;97\n"
    found = "'1,234', which may be a number or a thousand times as much"
    assert problems(read, text) == [(2, "1", found, "a known mark; say decimal='.' or decimal=','")]
    assert read(text, decimal=",")[0][1] == [0, 1.234, 2]
    assert read(text, decimal=".")[0][1] == [0, 1234, 2000]


def test_the_order_of_clicks_is_kept(read):
    text = "12,0.5\n0,1.004\n12.1,0.51\n6,0.8\n12,0.5\n-0.2,-0.003\n"
    ((_, time, survival),) = read(text.replace("-0.2", "30"))
    assert time == [12, 0, 12.1, 6, 12, 30]
    assert survival == [0.5, 1.004, 0.51, 0.8, 0.5, -0.003]


# -- what is missing -----------------------------------------------------------------------------------------


def test_missing_points_stay_and_are_counted(tmp_path):
    file = tmp_path / "km.csv"
    file.write_text("time,survival\n0,1\n1,\n,0.9\n3,NaN\n,n/a\n5,0.5\n,\n")
    with pytest.warns(
        UnusableDataWarning, match="4 of 6 points are missing and stay as nan; the first is in row 3"
    ):
        (curve,) = read_digitized(file)
    np.testing.assert_array_equal(curve.time, [0, 1, math.nan, 3, math.nan, 5])
    np.testing.assert_array_equal(curve.survival, [1, math.nan, 0.9, math.nan, math.nan, 0.5])
    assert (curve.n_missing, [w.name for w in curve.warnings]) == (4, ["UnusableDataWarning"])
    assert curve.warnings[0].where == "km.csv, km"


def test_series_without_points_are_left_out_aloud(read):
    with pytest.warns(UnusableDataWarning, match=r"km.csv: left out, since without points: 'B'"):
        assert read("A,,B,\nX,Y,X,Y\n0,1,,\n") == [("A", [0], [1])]
    assert problems(read, "A,,B,\nX,Y,X,Y\n0,1,,\n", series="B") == [
        (None, "", "no point", "at least one curve with points")
    ]


# -- complaints ----------------------------------------------------------------------------------------------

NUMBER = "a number with the decimal mark '.', or an empty cell"
NO_HEADER = (
    "a time and a survival; a header row must name more columns, and numbers with decimal commas need another "
    "separator than a comma"
)
NO_POINT = (None, "", "no row with two numbers", "points, one a row: a time and a survival")

REFUSED = [
    ("", [NO_POINT]),
    ("not a table\n", [NO_POINT]),
    ("1\n2\n3\n", [NO_POINT]),
    ("0,1\nx7,0.9\n2,1_0\n3,inf\n4,1e999\n5,0x1F\n", [
        (2, "1", "'x7'", NUMBER), (3, "2", "'1_0'", NUMBER), (4, "2", "'inf'", NUMBER),
        (5, "2", "'1e999'", NUMBER), (6, "2", "'0x1F'", NUMBER)]),
    ("time,OS\n0,1\n1,0.9 (*)\n", [(3, "2 (OS)", "'0.9 (*)'", NUMBER)]),
    ("time,OS\n0,1\n1,98%\n", [(3, "2 (OS)", "'98%'", NUMBER)]),
    ("0;0.98\n1;0,97\n2;0.96\n", [(2, "2", "'0,97'", NUMBER)]),
    ("time,OS\n0,1\n1,0.9,\n2,0.8,7\n", [(4, "3", "'7'", "2 columns, as the rows above have")]),
    ("0,1\n1,0,9\n", [(1, "", "3 columns without a header, as in '1 0 9'", NO_HEADER)]),
    ("0 1 1\n1 .9 .8\n", [(1, "", "3 columns without a header, as in '0 1 1'", NO_HEADER)]),
    ("x A B\n0 1 1\n1 .9\n", [(3, "", "a row that is too short", "3 cells")]),
    ("survival,time\n1,0\n.9,1\n", [(1, "", "the column 'survival' before that of times", "times, then survival")]),
    ("x,time,A\n0,0,1\n1,1,1\n", [
        (1, "", "a column of times without one of survival to its right", "times, then survival")]),
    ("x,A,B,arm\n0,1,1,a\n", [
        (1, "", "a column of names beside several curves", "one column of times and one of survival")]),
    ("A,B,C,D,E\nX,Y,X,Y\n0,1,0,1\n", [
        (2, "", "'A,B,C,D,E' above 2 pairs of columns", "a name above each X")]),
    ('0,1\n1,"0.9\n2,0.8\n', [(2, "", "a quote that is not closed: '1,\"0.9'", "quotes in pairs")]),
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", [
        (None, "", "a NUL byte", "text; is it a picture, a workbook or damaged?")]),
    (b"\xff\xfe0", [
        (None, "", "no utf-16 text ('utf-16-le' codec can't decode byte 0x30 in position 2: truncated data)",
         "another encoding, such as encoding='utf-8'")]),
]  # fmt: skip


def test_a_curve_without_values_tells_no_unit(read):
    assert problems(read, "0,\n1,NaN\n") == [NO_POINT]
    assert problems(read, "A,,B,\nX,Y,X,Y\n0,,1,NaN\n", series="B")[0][2] == "no point"
    with pytest.warns(UnusableDataWarning, match="km.csv, B: 2 of 2 points are missing"):
        ((_, _, kept), (name, _, lost)) = read("A,,B,\nX,Y,X,Y\n0,100,0,NaN\n1,90,1,NaN\n")
    assert (kept, name) == ([1, 0.9], "B")
    assert all(map(math.isnan, lost))


@pytest.mark.parametrize(("content", "expected"), REFUSED)
def test_what_cannot_be_read_is_refused_with_its_place(read, content, expected):
    assert problems(read, content) == expected


@pytest.mark.parametrize(
    "cell",
    [
        "1_0",
        "inf",
        "-Infinity",
        "1e999",
        "0x1F",
        "٣",
        "½",
        "0.9.1",
        "--1",
        "1e",
        "0.9 0.8",
        "1,00",
        "<0.5",
        "01-02",
    ],
)
def test_a_cell_that_is_no_number_is_refused(read, cell):
    for text, column in ((f"0;1\n1;{cell}\n2;0.5\n", "2"), (f"0;1\n{cell};0.8\n2;0.5\n", "1")):
        assert problems(read, text) == [(2, column, repr(cell), NUMBER)]


def test_files_and_arguments_that_are_none(read, tmp_path):
    for path, message in (
        (tmp_path, f"{tmp_path} is no file; give one that a plot digitiser wrote."),
        (tmp_path / "none.csv", f"{tmp_path / 'none.csv'} is no file; give one that a plot digitiser wrote."),
        (3, "path must be that of a file; got int."),
    ):
        with pytest.raises(InvalidInputError) as error:
            read_digitized(path)
        assert str(error.value) == message
    for options, message in (
        ({"kind": "events"}, "kind must be one of survival, incidence; got 'events'."),
        ({"decimal": "'"}, 'decimal must be one of ., ,; got "\'".'),
        (
            {"survival_unit": "months"},
            "survival_unit: 'months' is not a unit of a share; say percent or probability.",
        ),
        ({"time_unit": "%"}, "time_unit: '%' is not a unit of time; say month, year, week or day."),
        ({"series": ["km", "B"]}, "km.csv has no series 'B'; it has 'km'."),
    ):
        with pytest.raises(InvalidInputError) as error:
            read("0,1\n1,.9\n", **options)
        assert str(error.value) == message


# -- units and direction -------------------------------------------------------------------------------------


def units(file, **options):
    return [(c.survival_unit, c.unit_source, c.time_unit) for c in read_digitized(file, **options)]


@pytest.mark.parametrize(
    ("header", "first", "options", "expected"),
    [
        ("x,y", 100, {}, ("percent", "values", None)),
        ("x,y", 90.5, {}, ("percent", "values", None)),
        ("x,y", 1.02, {}, ("probability", "values", None)),
        ("x,y", 0.8, {"survival_unit": "fraction"}, ("probability", "argument", None)),
        ("x,y", 80, {"survival_unit": "%", "time_unit": "yrs"}, ("percent", "argument", "year")),
        ("Time (months),Survival (%)", 80, {}, ("percent", "header", "month")),
        ("Weeks,Percent", 80, {}, ("percent", "header", "week")),
        ("Zeit (d),Survival probability", 0.8, {}, ("probability", "header", "day")),
        (
            "Time since surgery [years],OS [fraction]",
            0.8,
            {"time_unit": "year"},
            ("probability", "header", "year"),
        ),
    ],
)
def test_units(tmp_path, header, first, options, expected):
    file = tmp_path / "km.csv"
    file.write_text(f"{header}\n0,{first}\n1,{first / 2}\n")
    assert units(file, **options) == [expected]
    (curve,) = read_digitized(file, **options)
    assert curve.survival[0] == first / (100 if expected[0] == "percent" else 1)


UNCLEAR = [
    ("0,80\n1,40\n", {}, "km.csv: no curve starts near 100 or near 1, the highest point is at 80; the unit of "
     "survival cannot be told. Say survival_unit='percent' or 'probability'."),
    ("0,0.8\n1,0.4\n", {}, "km.csv: no curve starts near 100 or near 1, the highest point is at 0.8; the unit of "
     "survival cannot be told. Say survival_unit='percent' or 'probability'."),
    ("0,1.15\n1,0.4\n", {}, "km.csv: no curve starts near 100 or near 1, the highest point is at 1.15; the unit of "
     "survival cannot be told. Say survival_unit='percent' or 'probability'."),
    ("x,A,B\n0,100,1\n1,90,.9\n", {}, "km.csv: A starts near 100, B near 1. Read them one by one with series=."),
    ("x,A,B\n0,100,0.7\n1,90,.5\n", {}, "km.csv: survival is in percent by the values, but that of B never exceeds "
     "0.7. Read the series one by one with series= and survival_unit=."),
    ("x,A,B\n0,1,60\n1,.9,50\n", {}, "km.csv, B: 60 in row 2 is no survival in probability (unit by the values). "
     "Correct the point, or the unit with survival_unit=."),
    ("0,98\n1,90\n2,-30\n", {}, "km.csv, km: -30 in row 3 is no survival in percent (unit by the values). Correct "
     "the point, or the unit with survival_unit=."),
    ("0,98\n1,90\n", {"survival_unit": "probability"}, "km.csv, km: 98 in row 1 is no survival in probability (unit "
     "by the argument). Correct the point, or the unit with survival_unit=."),
    ("t,S (%)\n0,1\n1,.9\n", {}, "km.csv: survival is in percent by the header, but that of km never exceeds 1. "
     "Read the series one by one with series= and survival_unit=."),
    ("t,S (%)\n0,98\n1,90\n", {"survival_unit": "probability"}, "km.csv: the headers say percent; survival_unit= "
     "says probability. Correct the headers, or read the series one by one with series=."),
    ("t,OS (%),PFS (fraction)\n0,98,1\n", {}, "km.csv: the headers say percent and probability. Correct the headers, "
     "or read the series one by one with series=."),
    ("years,S\n0,98\n1,90\n", {"time_unit": "month"}, "km.csv, km: the times are headed 'years', but time_unit= says "
     "month. Correct one of them."),
    ("0,0.01\n1,0.4\n", {}, "km.csv, km: survival cannot rise; got 0.01 at time 0 and 0.4 at time 1. If the figure "
     "shows a cumulative incidence, read it with kind='incidence'; else look whether times stand before survival."),
    ("0,0\n1,1.5\n", {"survival_unit": "percent"}, "km.csv, km: survival cannot rise; got 0 at time 0 and 1.5 at "
     "time 1. If the figure shows a cumulative incidence, read it with kind='incidence'; else look whether times "
     "stand before survival."),
    ("0,100\n1,40\n", {"kind": "incidence"}, "km.csv, km: a cumulative incidence cannot fall; got 100 at time 0 and "
     "40 at time 1. If the figure shows survival, read it with kind='survival'."),
    ("0,0\n1,0.4\n", {"kind": "incidence"}, "km.csv: an incidence of 0.4 may be in percent or a probability. Say "
     "survival_unit='percent' or 'probability'."),
]  # fmt: skip


@pytest.mark.parametrize(("text", "options", "message"), UNCLEAR)
def test_what_is_unclear_is_refused_with_what_to_do(read, text, options, message):
    with pytest.raises(InvalidInputError) as error:
        read(text, **options)
    assert str(error.value) == message


def test_percent_that_never_exceeds_one_is_doubtful(read):
    with pytest.warns(InconsistentReportWarning, match=r"survival in percent never exceeds 1%"):
        assert read("0,1\n1,0.5\n", survival_unit="percent") == [("km", [0, 1], [0.01, 0.005])]


def test_incidence_is_turned(tmp_path):
    file = tmp_path / "relapse.txt"
    file.write_text("0 0\n1 12.5\n2 40\n")
    (curve,) = read_digitized(file, kind="incidence")
    assert (curve.kind, curve.survival_unit, curve.unit_source) == ("incidence", "percent", "values")
    assert curve.survival.tolist() == [1.0, 0.875, 0.6]
    (curve,) = read_digitized(file, kind="incidence", survival_unit="percent")
    assert curve.survival.tolist() == [1.0, 0.875, 0.6]


@pytest.mark.parametrize("top", [0.004, 0.4, 1, 1.25, 1.9])
def test_an_incidence_may_be_of_rare_events(read, top):
    with pytest.raises(InvalidInputError, match="may be in percent or a probability"):
        read(f"0,0\n1,{top}\n", kind="incidence")
    ((_, _, survival),) = read(f"0,0\n1,{top}\n", kind="incidence", survival_unit="percent")
    assert survival == [1, 1 - top / 100]


def test_series_are_chosen_by_name(read):
    text = "A,,B,,n at risk,\nX,Y,X,Y,X,Y\n0,100,0,99,0,214\n1,90,1,80,1,150\n"
    with pytest.raises(InvalidInputError, match="214 in row 3 is no survival in percent"):
        read(text)
    assert [name for name, *_ in read(text, series=["B", "A"])] == ["A", "B"]
    assert read(text, series="B") == [("B", [0, 1], [0.99, 0.8])]


def test_every_curve_says_where_it_stands(tmp_path):
    file = tmp_path / "figure 2.csv"
    file.write_text("A,,B,\nX,Y,X,Y\n0,100,0,99\n1,90,1,80\n")
    curves = read_digitized(file)
    assert [curve.source for curve in curves] == [
        "figure 2.csv, columns 1 and 2 from row 3",
        "figure 2.csv, columns 3 and 4 from row 3",
    ]


# -- projects of WebPlotDigitizer ----------------------------------------------------------------------------


def calibration(*points):
    return [dict(zip(("px", "py", "dx", "dy"), point, strict=True), dz=None) for point in points]


#: 0 to 60 months on 600 pixels, 0 to 100% on 400 pixels upwards, from the corner (50, 450).
CORNER = calibration((50, 450, "0", "0"), (650, 450, "60", "0"), (50, 450, "0", "0"), (50, 50, "60", "100"))


def axes(points=CORNER, name="XY", kind="XYAxes", **flags):
    return {"name": name, "type": kind, "isLogX": False, "isLogY": False, "calibrationPoints": points} | flags


def dataset(points, name="Arm A", axes_name="XY"):
    """Points as (x, y) pixels, or as (x, y, time, survival) with the values that the project stores."""
    data = [
        {"x": x, "y": y} | ({"value": [t, s]} if t is not None else {})
        for x, y, t, s in ((*p, None, None)[:4] for p in points)
    ]
    return {"name": name, "axesName": axes_name, "metadataKeys": [], "data": data, "autoDetectionData": None}


def project(datasets, all_axes=None):
    return json.dumps(
        {"version": [4, 2], "axesColl": all_axes or [axes()], "datasetColl": datasets, "measurementColl": []}
    )


def archive(*members):
    """A tar archive of (name, content); a content that is a type of member makes one without content."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.size = len(content.encode())
                tar.addfile(info, io.BytesIO(content.encode()))
            else:
                info.type, info.linkname = content, "/etc/passwd"
                tar.addfile(info)
    return stream.getvalue()


def in_tar(text):
    return archive(
        ("figure/", tarfile.DIRTYPE),
        ("figure/info.json", '{"version":[4,0],"json":"wpd.json","images":["image.png"]}'),
        ("figure/wpd.json", text),
        ("figure/image.png", "\x89PNG"),
    )


def test_values_of_a_project_are_used_as_they_are(tmp_path):
    file = tmp_path / "wpd.json"
    file.write_text(project([dataset([(0, 0, 0, 100), (0, 0, 12.25, 61.5)])]))
    (curve,) = read_digitized(file, time_unit="month")
    assert curve.source == "wpd.json, dataset 1"
    assert plain([curve]) == [("Arm A", [0, 12.25], [1, 0.615])]


def test_pixels_are_turned_by_the_calibration_and_the_curve_says_so(tmp_path):
    file = tmp_path / "wpd.json"
    file.write_text(project([dataset([(50, 50), (170, 250), (0, 0, 30, 20)])]))
    (curve,) = read_digitized(file)
    assert curve.source == "wpd.json, dataset 1, 2 of 3 points from their pixels"
    assert curve.time == pytest.approx([0, 12, 30], abs=1e-12)
    assert curve.survival == pytest.approx([1, 0.5, 0.2], abs=1e-14)


def test_every_dataset_has_its_own_axes(read):
    right = calibration(
        (700, 450, "0", "0"), (800, 450, "10", "0"), (700, 450, "0", "0"), (700, 350, "0", "100")
    )
    text = project(
        [
            dataset([(50, 50), (650, 450)]),
            dataset([(700, 350), (750, 400)], "B", "right"),
            dataset([(50, 60)], ""),
        ],
        [axes(name="right", points=right), axes()],
    )
    assert read(text, "fig.json") == [
        ("Arm A", [0, 60], [1, 0]),
        ("B", [0, 5], [1, 0.5]),
        ("fig", [0], [0.975]),
    ]
    assert read(in_tar(text), "fig.tar") == read(text, "fig.json")


def test_version_3(read):
    old = {
        "version": [3, 8],
        "axesType": "XYAxes",
        "axesParameters": {"isLogX": False, "isLogY": False},
        "calibration": CORNER,
        "dataSeries": [{"name": "A", "data": [{"x": 50, "y": 50}, {"x": 1, "y": 1, "value": [7, 60]}]}],
    }
    assert read(json.dumps({"wpd": old})) == [("A", [0, 7], [1, 0.6])]


#: Calibration, flags, and pixels with the values that WebPlotDigitizer itself stored for them, from projects in its
#: tests (app/tests/files/wpd4.json and wpd3_xy.json) and from one in notebooks/my_wpd.json of pywebplotdigitizer,
#: which was made without correction for rotation.
STORED = [
    (
        calibration(
            (101.0204081632653, 540.6122448979592, "0", "-2"),
            (693.0612244897959, 540, "6", "-2"),
            (101.0204081632653, 540.6122448979592, "0", "-2"),
            (100.40816326530613, 60.61224489795919, "6", "2"),
        ),
        {},
        {
            (116.5, 299.3181818181818): (0.15999583424216968, 0.010647808118686708),
            (719.1666666666666, 311.8333333333333): (6.267513004602999, -0.09883858815584157),
        },
    ),
    (
        calibration(
            (100.77669902912623, 540.2912621359224, "0", "-2"),
            (692.621359223301, 541.1650485436894, "6", "-2"),
            (100.77669902912622, 540, "0", "-2"),
            (100.77669902912622, 60.87378640776699, "6", "2"),
        ),
        {},
        {
            (116.5, 299.3181818181818): (0.15939960629921224, 0.009533395487073104),
            (111.66666666666667, 300.5): (0.11040026246719137, -0.00039262379436655337),
        },
    ),
    (
        calibration(
            (78.27985074626866, 322.7835820895523, "0.1", "10"),
            (682.2910447761194, 322.7835820895523, "1000", "10"),
            (79.24626865671642, 274.4626865671642, "0.1", "10"),
            (78.27985074626866, 113.07089552238807, "1000", "100"),
        ),
        {"isLogX": True, "isLogY": True, "noRotation": True},
        {
            (531.5298507462687, 106.30597014925374): (100.36909309200976, 110.13266987335254),
            (154.6268656716418, 286.05970149253733): (0.3203317600852815, 8.475078169222016),
        },
    ),
]


@pytest.mark.parametrize(("points", "flags", "stored"), STORED)
def test_pixels_agree_with_the_values_that_webplotdigitizer_stored(points, flags, stored):
    found = webplotdigitizer.from_pixels(np.array(list(stored)), axes(points, **flags))
    np.testing.assert_allclose(found, list(stored.values()), rtol=1e-12, atol=1e-14)


numbers = st.floats(-5, 5).map(lambda x: round(x, 3))


@given(
    corner=st.tuples(numbers, numbers),
    along=st.tuples(numbers, numbers),
    up=st.tuples(numbers, numbers),
    logs=st.tuples(st.booleans(), st.booleans()),
    at=st.lists(st.tuples(st.floats(0.1, 50), st.floats(0.1, 50)), min_size=1, max_size=4),
)
def test_pixels_go_back_where_they_came_from(corner, along, up, logs, at):
    """A figure is drawn, skewed or mirrored as it may be, by the forward map; its points must come back."""
    if abs(along[0] * up[1] - along[1] * up[0]) < 0.1:
        return

    def draw(x, y):
        u, v = (math.log10(value) if is_log else value for value, is_log in zip((x, y), logs, strict=True))
        return corner[0] + u * along[0] + v * up[0], corner[1] + u * along[1] + v * up[1]

    points = calibration(
        (*draw(1, 3), "1", "7"), (*draw(40, 3), "40", 7), (*draw(2, 1), 1, "1"), (*draw(2, 20), "2", 20)
    )
    found = webplotdigitizer.from_pixels(
        np.array([draw(*xy) for xy in at]), axes(points, isLogX=logs[0], isLogY=logs[1])
    )
    np.testing.assert_allclose(found, at, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("turned", [False, True])
def test_without_rotation_axes_follow_the_rows_and_columns_of_pixels(turned):
    tilted = [(50, 450, 0, 0), (650, 462, 60, 0), (47, 450, 0, 0), (55, 50, 0, 100)]
    at = np.array([[350.0, 250.0]])
    if turned:
        tilted, at = [(y, x, dx, dy) for x, y, dx, dy in tilted], at[:, ::-1]
    found = webplotdigitizer.from_pixels(at, axes(calibration(*tilted), noRotation=True))
    assert found == pytest.approx(np.array([[30, 50]]))


PROJECTS = [
    ("{", "", "no JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))",
     "a project of WebPlotDigitizer"),
    ('{"a": 1}', "", "no datasetColl and axesColl", "a project of WebPlotDigitizer"),
    ('{"wpd": {}}', "", "no datasetColl and axesColl", "a project of WebPlotDigitizer"),
    (project([]), "", "no point", "at least one curve with points"),
    (project([{"name": "A"}]), "dataset 1", "no list of points", "a list under data"),
    (project([dataset([(50, 50)], axes_name="Z")]), "dataset 'Arm A'", "no axes of this name",
     "axes of type 'XYAxes'; read the other datasets with series="),
    (project([dataset([(50, 50, 1, 1)])], [axes(kind="BarAxes")]), "dataset 'Arm A'", "axes of type 'BarAxes'",
     "axes of type 'XYAxes'; read the other datasets with series="),
    (project([dataset([(50, 50, 1, 1)], "")], [axes(calibration((50, 450, "2010/1/1", "0")))]), "dataset 1",
     "a calibration by the date '2010/1/1'", "times counted from the start"),
    (project([dataset([(50, 50)])], [axes(CORNER[:3])]), "dataset 'Arm A'",
     "points without values on axes without calibration", "four calibration points"),
    (project([dataset([(50, 50)])], [axes([*CORNER[:3], CORNER[2]])]), "dataset 'Arm A'",
     "a calibration that fixes no axes", "two different pixels and numbers an axis"),
    (project([dataset([(50, 50)])], [axes([*CORNER[:3], CORNER[3] | {"dy": "all"}])]), "dataset 'Arm A'",
     "a calibration that fixes no axes", "two different pixels and numbers an axis"),
    (project([dataset([(50, 50)])], [axes(isLogX=True)]), "dataset 'Arm A'",
     "a logarithmic axis calibrated at 0 or below", "values above 0"),
    (project([dataset([(50, 50), ("5", 9), (7, 10**400)])]), "dataset 'Arm A', point 2", "'{\"x\": \"5\", \"y\": 9}'",
     "a value [x, y], or pixels x and y inside the axes"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "column", "found", "allowed"), PROJECTS)
def test_projects_that_cannot_be_read(read, text, column, found, allowed):
    complaints = problems(read, text, name="wpd.json")
    assert complaints[0] == (None, column, found, allowed)
    assert problems(read, in_tar(text), name="fig.tar") == complaints


def test_a_dataset_on_other_axes_can_be_left_aside(read):
    text = project(
        [dataset([(50, 50)]), dataset([(1, 2)], "bars", "Bar")], [axes(), axes(name="Bar", kind="BarAxes")]
    )
    assert [row[1] for row in problems(read, text)] == ["dataset 'bars'"]
    assert read(text, series="Arm A") == [("Arm A", [0], [1])]


def test_empty_datasets_are_left_out_aloud(read):
    with pytest.warns(UnusableDataWarning, match="without points: 'Default Dataset'"):
        assert len(read(project([dataset([], "Default Dataset"), dataset([(50, 50)])]))) == 1


ONLY = f"a project of WebPlotDigitizer: one wpd.json, of {webplotdigitizer.MAX_BYTES} bytes at most"


def test_archives_that_are_no_project(read, monkeypatch):
    good = project([dataset([(50, 50)])])
    for content, found in (
        (archive(("a/image.png", "")), "0 files wpd.json"),
        (archive(("a/wpd.json", good), ("b/wpd.json", good)), "2 files wpd.json"),
        (archive(("a/wpd.json", tarfile.SYMTYPE)), "0 files wpd.json"),
        (archive(("a/wpd.json", tarfile.LNKTYPE)), "0 files wpd.json"),
        (archive(("a/my_wpd.json", good)), "0 files wpd.json"),
        (b"no archive", "an archive that cannot be read (truncated header)"),
        (in_tar(good)[:2200], "an archive that cannot be read (unexpected end of data)"),
    ):
        assert problems(read, content, name="fig.tar") == [(None, "", found, ONLY)]
    monkeypatch.setattr(webplotdigitizer, "MAX_BYTES", len(good) - 1)
    ((_, _, found, _),) = problems(read, in_tar(good), name="fig.tar")
    assert found == f"wpd.json of {len(good)} bytes"


def test_names_in_an_archive_may_have_one_byte_a_letter(read):
    """WebPlotDigitizer writes each letter as one byte."""
    text = project([dataset([(50, 50)], "Größe")]).encode().decode("unicode_escape")
    content = in_tar("x" * len(text)).replace(b"x" * len(text), text.encode("latin-1"))
    assert read(content, "fig.tar") == [("Größe", [0], [1])]


# -- written and read back -----------------------------------------------------------------------------------

letters = string.ascii_letters + "äößłπ +-/()[]=%&.'"
names = st.text(letters, max_size=8).map(lambda text: f"Arm {text}z")


@st.composite
def curves(draw, *, most=4, unique=False):
    """Curves as (name, times, values); each starts at its scale, so that the unit can be told."""
    scale = draw(st.sampled_from([1.0, 100.0]))
    found = []
    for name in draw(st.lists(names, min_size=1, max_size=most, unique=True)):
        value = st.floats(0, 1).map(lambda s: round(s * scale, 5)) | st.floats(0, 1).map(lambda s: s * scale)
        points = draw(
            st.lists(
                st.tuples(st.floats(0.5, 9000).map(lambda t: round(t, 4)), value),
                max_size=6,
                unique_by=(lambda p: p[0]) if unique else None,
            )
        )
        time = [draw(st.sampled_from([0.0, 0.25])), *sorted(t for t, _ in points)]
        found.append((name, time, [scale, *(s for _, s in points)]))
    return scale, found


def expected(scale, found):
    return [(name, time, [s / scale for s in values]) for name, time, values in found]


@st.composite
def styles(draw):
    """How numbers and rows are written: (function of cells, encoding, end of a line)."""
    separator = draw(st.sampled_from([",", ", ", ";", "; ", "\t", "|", " ; "]))
    decimal = "." if separator.startswith(",") else draw(st.sampled_from(".,"))
    digits = draw(st.sampled_from(["repr", "exponent"]))

    def cell(value):
        if isinstance(value, str):
            return value
        text = repr(value) if digits == "repr" else f"{value:.17E}"
        return text.replace(".", decimal)

    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    return lambda rows: (end.join(separator.join(map(cell, row)) for row in rows) + end).encode(encoding)


def read_back(tmp_path_factory, content, **options):
    file = tmp_path_factory.mktemp("digitized") / "km.txt"
    file.write_bytes(content)
    return plain(read_digitized(file, **options))


def ragged(columns):
    return [
        [column[i] if i < len(column) else "" for column in columns] for i in range(max(map(len, columns)))
    ]


@given(curves(), styles())
def test_pairs_of_columns_come_back(tmp_path_factory, drawn, write):
    scale, found = drawn
    head = [[cell for name, *_ in found for cell in (name, "")], ["X", "Y"] * len(found)]
    body = ragged([column for _, time, values in found for column in (time, values)])
    assert read_back(tmp_path_factory, write(head + body)) == expected(scale, found)
    engauge = [[cell for name, *_ in found for cell in ("x", name)]]
    assert read_back(tmp_path_factory, write(engauge + body)) == expected(scale, found)


@given(curves(unique=True), styles())
def test_curves_with_one_column_of_times_come_back(tmp_path_factory, drawn, write):
    scale, found = drawn
    times = sorted({t for _, time, _ in found for t in time})
    known = [dict(zip(time, values, strict=True)) for _, time, values in found]
    rows = [[t, *(points.get(t, "") for points in known)] for t in times]
    assert read_back(tmp_path_factory, write([["x", *(name for name, *_ in found)], *rows])) == expected(
        scale, found
    )


@given(curves(), styles(), st.sampled_from(["header", "title", "comment", "column"]))
def test_curves_one_below_the_other_come_back(tmp_path_factory, drawn, write, how):
    scale, found = drawn
    rows = []
    for name, time, values in found:
        head = {"header": [["time", name]], "title": [[name]], "comment": [[f"# {name}"]], "column": []}[how]
        points = [[*point, name] if how == "column" else [*point] for point in zip(time, values, strict=True)]
        rows += [*head, *points] if how == "column" else [*head, *points, []]
    names_kept = how != "comment" or len(found) > 1
    result = [(name if names_kept else "km", *rest) for name, *rest in expected(scale, found)]
    assert read_back(tmp_path_factory, write(rows)) == result


@given(curves(most=1), st.sampled_from([" ", "\t ", "   "]), st.sampled_from(".,"), st.booleans())
def test_columns_between_spaces_come_back(tmp_path_factory, drawn, gap, decimal, header):
    scale, ((_, time, values),) = drawn
    rows = [f"time{gap}survival"] * header + [
        f"{t!r}{gap}{s!r}".replace(".", decimal) for t, s in zip(time, values, strict=True)
    ]
    assert read_back(tmp_path_factory, "\n".join(rows).encode()) == expected(scale, [("km", time, values)])


@given(curves(), st.booleans(), st.booleans())
def test_projects_come_back(tmp_path_factory, drawn, old, packed):
    scale, found = drawn
    sets = [dataset([(0, 0, *point) for point in zip(t, s, strict=True)], name) for name, t, s in found]
    text = project(sets)
    if old:
        sets = [{key: value for key, value in one.items() if key != "axesName"} for one in sets]
        text = json.dumps(
            {"wpd": {"version": [3, 8], "axesType": "XYAxes", "calibration": CORNER, "dataSeries": sets}}
        )
    content = in_tar(text) if packed else text.encode()
    assert read_back(tmp_path_factory, content) == expected(scale, found)


def test_many_points_are_read_alike_in_every_way(tmp_path_factory):
    """Rows that are all alike are taken apart at once; one odd row sends all through the longer way."""
    rng = np.random.default_rng(3)
    time, survival = np.sort(rng.uniform(0, 60, 20_000)), np.linspace(1, 0.3, 20_000)
    rows = [f"{t!r};{s!r}" for t, s in zip(time.tolist(), survival.tolist(), strict=True)]
    want = [("km", time.tolist(), survival.tolist())]
    for text in (
        "\n".join(rows),
        "\n".join([*rows[:-1], rows[-1].replace(";", ' ; "') + '"']),
        "\n".join(rows).replace(".", ","),
        "\n".join(rows).replace(";", "\t "),
        "\n".join(rows).replace(";", "  "),
        "\n".join(rows).replace(";", "  ") + " ",
        "\n".join([*rows[:-1], rows[-1] + ";"]),
    ):
        assert read_back(tmp_path_factory, text.encode()) == want


# -- anything at all -----------------------------------------------------------------------------------------

PIECES = [
    "0", "1", "0.98", "0,98", "98.5", "1.234", "1,234", "-3", "1e9", "NaN", "x", "y", "X", "Time (months)", "Arm A",
    "survival (%)", "k", "arm", "#", "# ", '"', "%", "inf", "−1", "٣", "½", "\0", "", " ", "\t", ";", ",", "|", "\n",
    "\n", "\n\n", "\r", "x,A\n", "X,Y\n", "0;1\n", "1 .5\n", "{", "\ufeff", "\u2028", "²", "1_000",
]  # fmt: skip
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(["survival", "incidence"]),
        "survival_unit": st.sampled_from(["percent", "probability"]),
        "decimal": st.sampled_from([".", ","]),
        "series": st.sampled_from(["km", "Arm A", []]),
    },
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["XY", "1/2", "", "5", 10**400]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y", "value", "px"]), inner)
    ),
    max_leaves=6,
)


def read_or_refuse(tmp_path_factory, content, suffix, options):
    file = tmp_path_factory.mktemp("any") / f"km{suffix}"
    file.write_bytes(content)
    with contextlib.suppress(InvalidInputError):
        for curve in read_digitized(file, **options):
            assert not np.isinf(curve.time).any()
            assert curve.time.size == curve.survival.size > 0


@pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")
@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join) | st.text(max_size=60), OPTIONS)
def test_any_text_is_read_or_refused(tmp_path_factory, text, options):
    read_or_refuse(tmp_path_factory, text.encode(errors="replace"), ".csv", options)


@pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")
@settings(max_examples=200)
@given(
    st.lists(st.sampled_from(PIECES), max_size=4).map("".join).filter(lambda text: "\n\n" not in text),
    st.sampled_from([",", ";", "\t", " "]),
    st.integers(0, 7),
    st.booleans(),
)
def test_a_stray_line_swallows_no_point(tmp_path_factory, stray, separator, at, header):
    points = [(1.5 * i, 1 - i / 8) for i in range(7)]
    lines = [f"time{separator}OS"] * header + [f"{t}{separator}{s}" for t, s in points]
    lines.insert(at, stray)
    content = "\n".join(lines).encode(errors="replace")
    with contextlib.suppress(InvalidInputError):
        found = read_back(tmp_path_factory, content, survival_unit="probability")
        read = [point for _, *columns in found for point in zip(*columns, strict=True)]
        assert set(points) <= set(read)


@pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")
@given(st.binary(max_size=80), st.sampled_from([".csv", ".tar", ".json"]), OPTIONS)
def test_any_bytes_are_read_or_refused(tmp_path_factory, content, suffix, options):
    read_or_refuse(tmp_path_factory, content, suffix, options)


@pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")
@settings(max_examples=200)
@given(data=st.data(), options=OPTIONS)
def test_any_project_is_read_or_refused(tmp_path_factory, data, options):
    """A good project in which one thing, anywhere, is replaced by another."""
    whole = json.loads(project([dataset([(50, 50), (60, 60, 1, 90)]), dataset([(1, 2)], "B")]))
    place, key = whole, data.draw(st.sampled_from(sorted(whole)))
    while isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
    place[key] = data.draw(json_values)
    content = json.dumps(whole).encode()
    read_or_refuse(tmp_path_factory, content, ".json", options)


@pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")
@settings(max_examples=200)
@given(st.integers(0, 5000), st.binary(min_size=1, max_size=8), st.integers(0, 12000), OPTIONS)
def test_any_archive_is_read_or_refused(tmp_path_factory, at, junk, length, options):
    content = bytearray(in_tar(project([dataset([(50, 50), (60, 60, 1, 90)])])))
    content[at : at + len(junk)] = junk
    read_or_refuse(tmp_path_factory, bytes(content[:length]), ".tar", options)


def test_deep_json_is_refused(read):
    text = '{"datasetColl": ' + "[" * 100_000
    with pytest.raises(ReadError, match="no JSON"):
        read(text, "wpd.json")
