"""What authors write, as values: each expected record was written down by hand from the text beside it."""

import pickle

import pytest

from netsynth.errors import InconsistentReportWarning, InvalidInputError, ReportedTextError
from netsynth.reported import ReportedText, parse_interval, parse_number, parse_reported


def number(text, unit="", qualifier="="):
    plain = {"text": text, "unit": unit, "qualifier": qualifier}
    return {key: value for key, value in plain.items() if value != {"unit": "", "qualifier": "="}.get(key)}


def pair(lower, upper, unit="", **level):
    return {"lower": number(lower, unit), "upper": number(upper, unit), **level}


NOT_REACHED = {"text": "", "qualifier": "not reached"}
HR_185 = {
    "estimate": number("1.85", "ratio"),
    "measure": "HR",
    "ci": pair("1.20", "2.85", "ratio", level=0.95),
    "pvalue": number("0.005", "pvalue"),
}
SHARE = {"estimate": number("70.6", "percent"), "n_events": 12, "n_total": 17}
RANGE_83 = {"estimate": number("83", "percent"), "range": pair("63", "100", "percent")}
MONTHS_21 = {"estimate": number("21", "month"), "range": pair("13", "46", "month")}

WRITTEN = {
    # Saxena 2012 (10.1016/j.suronc.2012.05.001), the abstract's figures in several hands
    "83% (range, 63-100%)": RANGE_83,
    "83% (range, 63–100%)": RANGE_83,
    "83 % [range: 63 to 100]": RANGE_83,
    "83% (range 63%—100%)": RANGE_83,
    "83\u202f% (range\u00a063\u2009–\u2009100\u202f%)": RANGE_83,
    "８３％（range，６３－１００％）": RANGE_83,
    "83 per cent, range = 63 - 100": RANGE_83,
    "70.5 (31–100)": {"estimate": number("70.5"), "limits": pair("31", "100")},
    "70·5% (31–100)": {
        "estimate": number("70.5", "percent"),
        "limits": pair("31", "100", "percent"),
    },
    "21 months (13–46)": {"estimate": number("21", "month"), "limits": pair("13", "46", "month")},
    "21 months (range 13-46)": MONTHS_21,
    "21 (range of 13 to 46) mos.": MONTHS_21,
    "21 (range, 13–46 months)": MONTHS_21,
    "median (range): 21 (13–46) months": MONTHS_21 | {"statistic": "median"},
    "median 21 (95% CI, 15.2 to 27.9) months": {
        "estimate": number("21", "month"),
        "statistic": "median",
        "ci": pair("15.2", "27.9", "month", level=0.95),
    },
    # ratios
    "HR 1.85 (95% CI 1.20–2.85; p = 0.005)": HR_185,
    "HR, 1.85; 95% CI, 1.20-2.85; P = .005": HR_185,
    "hazard ratio (HR) of 1·85, 95% confidence interval [CI] 1·20–2·85, p value 0·005.": HR_185,
    "hazard ratio=1.85 [95 %-CI (1.20, 2.85)] (p-value: 0.005)": HR_185,
    "HR (95% CI) 1.85 (1.20–2.85), p=0.005": HR_185,
    "HR: 1.85 (CI 95%: 1.20; 2.85), P=.005": HR_185,
    "HR=0·49 [95% CI: 0·38 to 0·64], P<.001": {
        "estimate": number("0.49", "ratio"),
        "measure": "HR",
        "ci": pair("0.38", "0.64", "ratio", level=0.95),
        "pvalue": number("0.001", "pvalue", "<"),
    },
    "hazard ratio 2.6, P = .001": {
        "estimate": number("2.6", "ratio"),
        "measure": "HR",
        "pvalue": number("0.001", "pvalue"),
    },
    "odds ratio 3 (90% CI 1–9)": {
        "estimate": number("3", "ratio"),
        "measure": "OR",
        "ci": pair("1", "9", "ratio", level=0.9),
    },
    "RR 1.2 (CI 0.9–1.6)": {
        "estimate": number("1.2", "ratio"),
        "measure": "RR",
        "ci": pair("0.9", "1.6", "ratio"),
    },
    # p-values alone
    "p < 0.001": {"pvalue": number("0.001", "pvalue", "<")},
    "P=.04": {"pvalue": number("0.04", "pvalue")},
    "p ≤ 0·05": {"pvalue": number("0.05", "pvalue", "<=")},
    "p = <0.001": {"pvalue": number("0.001", "pvalue", "<")},
    "p less than 0.05": {"pvalue": number("0.05", "pvalue", "<")},
    "P ≈ 0.8": {"pvalue": number("0.8", "pvalue", "~")},
    "p = 4.2 × 10−5": {"pvalue": number("4.2e-5", "pvalue")},
    "p = 4.2 x 10^-5": {"pvalue": number("4.2e-5", "pvalue")},
    "p = 4.2×10⁻⁵": {"pvalue": number("4.2e-5", "pvalue")},
    "p = 4.2E-05": {"pvalue": number("4.2E-05", "pvalue")},
    "p = 4.2e-0005": {"pvalue": number("4.2e-5", "pvalue")},
    # counts
    "12/17 (70.6%)": SHARE,
    "12 of 17 (70.6%)": SHARE,
    "12 out of 17 (70.6 %)": SHARE,
    "70.6% (12/17)": SHARE,
    "70.6% (n = 12/17)": SHARE,
    "12/17 (70.6%; 95% CI 44–90)": SHARE | {"ci": pair("44", "90", "percent", level=0.95)},
    "83% (29 studies; 1,234 patients)": {"estimate": number("83", "percent"), "k": 29, "n_total": 1234},
    "k = 12": {"k": 12},
    "29 studies": {"k": 29},
    "83% (k=1; N = 17)": {"estimate": number("83", "percent"), "k": 1, "n_total": 17},
    # open ends
    "not reached": {"estimate": NOT_REACHED},
    "median not reached": {"estimate": NOT_REACHED, "statistic": "median"},
    "NR (95% CI 23-not reached)": {
        "estimate": NOT_REACHED,
        "ci": {"lower": number("23"), "upper": NOT_REACHED, "level": 0.95},
    },
    "NR (95% CI, 23–NE months)": {
        "estimate": NOT_REACHED | {"unit": "month"},
        "ci": {"lower": number("23", "month"), "upper": NOT_REACHED | {"unit": "month"}, "level": 0.95},
    },
    ">96 months (range, <1–>96)": {
        "estimate": number("96", "month", ">"),
        "range": {"lower": number("1", "month", "<"), "upper": number("96", "month", ">")},
    },
    "21 (?–46)": {"estimate": number("21"), "limits": {"lower": None, "upper": number("46")}},
    # spread
    "62 ± 11 years": {"estimate": number("62", "year"), "plus_minus": number("11", "year")},
    "62+/-11": {"estimate": number("62"), "plus_minus": number("11")},
    "62 (SD 11)": {"estimate": number("62"), "sd": number("11")},
    "62 years (standard deviation (SD) = 11)": {
        "estimate": number("62", "year"),
        "sd": number("11", "year"),
    },
    "mean ± SD 62 ± 11": {"estimate": number("62"), "statistic": "mean", "sd": number("11")},
    "mean (SE), 62 (1.1)": {"estimate": number("62"), "statistic": "mean", "se": number("1.1")},
    "55 (IQR 43–68)": {"estimate": number("55"), "iqr": pair("43", "68")},
    "median [inter-quartile range] 55 [43–68]": {
        "estimate": number("55"),
        "statistic": "median",
        "iqr": pair("43", "68"),
    },
    # signs
    "−0.3 (−0.5 to −0.1)": {"estimate": number("-0.3"), "limits": pair("-0.5", "-0.1")},
    "-0.3 (95% CI, -0.5--0.1)": {
        "estimate": number("-0.3"),
        "ci": pair("-0.5", "-0.1", level=0.95),
    },
    "0.1 (-0.5, 0.6)": {"estimate": number("0.1"), "limits": pair("-0.5", "0.6")},
    # bare
    "1,234": {"estimate": number("1234")},
    "12,345,678.90": {"estimate": number("12345678.90")},
    "1\u2009234\u202f567": {"estimate": number("1234567")},
    "31–100%": {"limits": pair("31", "100", "percent")},
}


@pytest.mark.parametrize("text", WRITTEN)
def test_what_authors_write(text):
    assert parse_reported(text).to_dict() == WRITTEN[text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("70,5%", {"estimate": number("70.5", "percent")}),
        ("1.234,5 (1.000–2.000)", {"estimate": number("1234.5"), "limits": pair("1000", "2000")}),
        ("HR 0,49 (95% CI 0,38; 0,64)", {
            "estimate": number("0.49", "ratio"),
            "measure": "HR",
            "ci": pair("0.38", "0.64", "ratio", level=0.95),
        }),
        ("1,234", {"estimate": number("1.234")}),
        ("range,5–6", {"range": pair("5", "6")}),  # a comma never leads a number
        ("70·5 (97,5%-CI 60,1–80)", {
            "estimate": number("70.5"),
            "ci": pair("60.1", "80", level=0.975),
        }),
    ],
)  # fmt: skip
def test_decimal_comma(text, expected):
    assert parse_reported(text, decimal=",").to_dict() == expected


@pytest.mark.parametrize(
    ("plain", "others"),
    [
        ("-", "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d"),
        ("·", "\u0387\u2022\u2027\u2219\u22c5\u30fb\uff65"),
        (" ", "\t\n\u2002\u2003\u2009\u200a\u200b\u202f\u00a0\u2060\u3000\ufeff"),
        ("%", "\uff05\ufe6a\u066a"),
        ("(", "\uff08"),
        (")", "\uff09"),
    ],
)
def test_characters_that_look_alike(plain, others):
    text, expected = "70·6 % (31 - 100; n = 12 / 17)", parse_reported("70.6% (31–100; n = 12/17)")
    for other in others:
        assert parse_reported(text.replace(plain, other)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("< 0.001", number("0.001", "", "<")),
        (">96 months", number("96", "month", ">")),
        ("not reached", NOT_REACHED),
        ("Not Yet Reached", NOT_REACHED),
        ("NR", NOT_REACHED),
        ("n.r.", NOT_REACHED),
        ("NR months", NOT_REACHED | {"unit": "month"}),
        ("70·5%", number("70.5", "percent")),
        ("9.6 years", number("9.6", "year")),
        ("9.60 yrs.", number("9.60", "year")),
        ("~0.8", number("0.8", "", "~")),
        ("≥ 90 %", number("90", "percent", ">=")),
        (">= 90%", number("90", "percent", ">=")),
        ("⩽90٪", number("90", "percent", "<=")),
        ("approximately 12", number("12", "", "~")),
        ("approx. 12", number("12", "", "~")),
        ("more than 5 wks", number("5", "week", ">")),
        ("at least 30 days", number("30", "day", ">=")),
        ("  83 ", number("83")),
        ("−0.2", number("-0.2")),
        ("+0.2", number("0.2")),
        (".5", number("0.5")),
        ("-.5", number("-0.5")),
        ("83.0", number("83.0")),
        ("007", number("007")),
        ("1e-5", number("1e-5")),
    ],
)
def test_one_number(text, expected):
    assert parse_number(text).to_dict() == expected


#: The table in docs/methods/printed-numbers.md: text, its digits with decimal="." and with decimal=",".
MARKS = [
    ("70.5", "70.5", None),
    ("70,5", None, "70.5"),
    ("1,234", "1234", "1.234"),
    ("1.234", "1.234", "1234"),
    ("1,234.5", "1234.5", None),
    ("1.234,5", None, "1234.5"),
    ("0,234", None, "0.234"),
    ("70·5", "70.5", "70.5"),
]


@pytest.mark.parametrize(("text", "with_point", "with_comma"), MARKS)
def test_marks(text, with_point, with_comma):
    for decimal, digits in ((".", with_point), (",", with_comma)):
        if digits is None:
            with pytest.raises(ReportedTextError):
                parse_number(text, decimal=decimal)
        else:
            assert parse_number(text, decimal=decimal).text == digits


def test_unit_is_declared_or_printed_and_never_converted():
    assert parse_number("21", unit="mo").to_dict() == number("21", "month")
    assert parse_number("21 mo", unit="months").to_dict() == number("21", "month")
    assert parse_number("12 mg/dL", unit="mg/dL").to_dict() == number("12", "mg/dL")
    assert parse_number("12", unit="mg/dL").to_dict() == number("12", "mg/dL")
    assert parse_number("0.83", unit="fraction").to_dict() == number("0.83", "probability")
    assert parse_reported("p = 0.04; 12", unit="percent").to_dict() == {
        "estimate": number("12", "percent"),
        "pvalue": number("0.04", "pvalue"),
    }


def message(text, read=parse_reported, **options):
    with pytest.raises(ReportedTextError) as caught:
        read(text, **options)
    error = caught.value
    assert error.text == text
    assert str(error).startswith(f"Cannot read the text at position {error.position}: {error.problem}.\n")
    return error


NAMES = "a number, a bracket, or a name (HR, OR, RR, 95% CI, range, IQR, SD, SE, p, k, n)"
NEXT = "a comma or semicolon, a bracket, a name, or the end"
COMMA = (
    "',' groups no thousands here; pass decimal=',' if it is the decimal mark, "
    "put a space after it if it ends a number"
)
NO_NUMBER = "it is no number; give the bound that was used, such as p > 0.05, or leave it out"
MISSING = "it is a missing value; leave it out"
OPEN = "Write an open end as '>46' or '≥46'"
UNNAMED = "a second number without a name; say what it is (SD, SE, p, k, n)"

REFUSED = {
    "": (0, f"expected {NAMES}; found the end"),
    "  ": (2, f"expected {NAMES}; found the end"),
    "good": (0, f"expected {NAMES}; found 'good'"),
    "83% (": (5, f"expected {NAMES}; found the end"),
    "83% ()": (5, f"expected {NAMES}; found ')'"),
    "83% (63–100]": (11, "expected ')'; found ']'"),
    "83% (63–100": (11, "expected ')'; found the end"),
    "83%)": (3, "expected the end; found ')'"),
    "83%. Good": (5, "expected the end; found 'Good'"),
    "83%,": (4, f"expected {NAMES}; found the end"),
    "21 100": (3, f"expected {NEXT}; found '100'"),
    "21 apples": (3, f"expected {NEXT}; found 'apples'"),
    "21 $": (3, "'$' has no meaning here"),
    "((((83))))": (3, "expected brackets no deeper than 3; found '('"),
    "p=n.s.": (2, f"'n.s.' cannot be read: {NO_NUMBER}"),
    "NS": (0, f"'NS' cannot be read: {NO_NUMBER}"),
    "N/A": (0, f"'N/A' cannot be read: {MISSING}"),
    "p = NR": (4, "expected a number; found 'NR'"),
    "p = 5%": (5, f"expected {NAMES}; found '%'"),
    "46+ months": (2, f"expected {NAMES}; found '+'. {OPEN}"),
    "range 1–46+": (10, f"expected {NAMES}; found '+'. {OPEN}"),
    "70,5%": (2, COMMA),
    "0,234": (1, COMMA),
    "1234,567": (4, COMMA),
    "1,23,456": (1, COMMA),
    "12,345,67": (6, COMMA),
    "(13,46)": (3, COMMA),
    "1\u2009234,567": (5, COMMA),
    "1,234\u2009567": (6, f"expected {NEXT}; found '567'"),
    "1.2.3": (3, "a second decimal mark in one number"),
    "70·5.1": (4, "a second decimal mark in one number"),
    "approx.12": (6, "a point between a word and digits; put a space before or after"),
    "P.04": (1, "a point between a word and digits; put a space before or after"),
    "1e100": (1, "an exponent goes up to 99"),
    "- 5": (0, f"expected {NAMES}; found '-'"),
    "about not reached": (6, f"expected {NAMES}; found 'not reached'"),
    "HR": (2, "expected the estimate; found the end"),
    "HR 1.85%": (7, "expected no unit, since HR is a ratio"),
    "HR 1.85 (95% CI 1.20)": (20, "expected the upper limit, after a dash or \"to\"; found ')'"),
    "HR (95% CI) 1.85": (4, "what this announces does not follow in brackets after the estimate"),
    "IQR 12": (6, 'expected the upper limit, after a dash or "to"; found the end'),
    "range": (5, "expected the lower limit; found the end"),
    "62 (11)": (4, UNNAMED),
    "12/17 (12, 13)": (11, UNNAMED),
    "62, 11, 12": (4, UNNAMED),
    "62 (p 0.1; p 0.2)": (11, "a second p-value in one result"),
    "12/17 (n = 17)": (11, "a second n in one result"),
    "21 (1–2; 3–4)": (9, "a second pair of limits in one result"),
    "21 months (1–2 years)": (15, "one result has one unit; found year after month"),
    "17/12": (0, "17 of 12 are too many"),
    "k = 2.5": (4, "expected a whole number; found '2.5'"),
    "k = 0": (0, "k must be a whole number of at least 1; got 0"),
    "62 (SD -1)": (0, "sd must be a number of at least 0; got -1"),
    "105%": (0, "105 is no percent: it must lie in [0, 100]. Check the number and its unit"),
    "95% (90–105%)": (8, "105 is no percent: it must lie in [0, 100]. Check the number and its unit"),
    "83% (100–63%)": (5, "The lower limit 100% exceeds the upper limit 63%. Swapped?"),
    "83 (150% CI 1–2)": (12, "level must be a fraction between 0 and 1, such as 0.95; got 1.5"),
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_refused_with_the_place(text):
    error = message(text)
    assert (error.position, error.problem) == REFUSED[text]


def test_refused_numbers():
    assert (message("p < 0.05", parse_number).position) == 0
    assert message("1 234", parse_number).problem == "expected the end; found '234'"
    assert message("105", parse_number, unit="percent").problem == (
        "105 is no percent: it must lie in [0, 100]. Check the number and its unit"
    )
    assert message("9" * 400, parse_number).problem.startswith("A number is written as digits such as '70.5'")
    mirror = message("70.5", parse_number, decimal=",")
    assert (mirror.position, mirror.problem.split(";")[1]) == (
        2,
        " pass decimal='.' if it is the decimal mark, put a space after it if it ends a number",
    )


def test_declared_unit_must_agree():
    error = message("21 years", unit="month")
    assert (error.position, error.problem) == (
        3,
        "the unit here is year, but month was declared; nothing is converted",
    )
    assert message("83%", parse_number, unit="probability").position == 2
    error = message("(HR 1.2)", unit="percent")
    assert (error.position, error.problem) == (1, "HR is a ratio, but percent was declared")
    assert message("12 mm", unit="mg/dL").position == 3
    assert message("12 mg/dLs", unit="mg/dL").position == 3


def test_the_message_shows_the_place():
    error = message("HR 1.85 (95% CI 1.20–2.85; q = 0.005)")
    assert str(error) == (
        f"Cannot read the text at position 27: expected {NAMES}; found 'q'.\n"
        "  HR 1.85 (95% CI 1.20–2.85; q = 0.005)\n"
        "                             ^"
    )
    assert str(message("８３％ ?!\n")).splitlines()[1:] == [
        "  ８３％ ?! ",
        "          ^",
    ]  # wide digits, one line
    long = str(message("(83 (1–2; p = 0.1; k = 3; n = 120; sd = 5; q" + "; k = 1" * 20)).splitlines()
    assert len(long[1]) < 90
    assert long[1][len(long[2]) - 1] == "q"
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes; errors cross processes
    assert (str(copy), copy.position) == (str(error), 27)


def test_bad_arguments():
    with pytest.raises(
        InvalidInputError, match=r"^text must be a string; got 5\.0\. ReportedNumber\.of takes"
    ):
        parse_number(5.0)
    with pytest.raises(InvalidInputError, match=r"^decimal must be '\.' or ','; got ';'\.$"):
        parse_reported("5", decimal=";")
    with pytest.raises(InvalidInputError, match=r"^unit must be a text; got 12\.$"):
        parse_number("5", unit=12)
    for unit in ("range", "n per group", "5 cm", "cm (long)", "cm, mm", "x 10", "a" * 41):
        with pytest.raises(InvalidInputError, match="cannot be a unit: it is a word beginning with a letter"):
            parse_number("5", unit=unit)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("12/17 (60%)", "12/17 is 70.59%, but 60% is printed"),
        ("83% (range, 63–80%)", "83% lies outside the range 63–80%"),
        ("HR 3.00 (95% CI 1.2–2.9)", "3.00 lies outside the confidence interval 1.2–2.9"),
    ],
)
def test_contradictions_warn_every_time_and_keep_the_values(text, words):
    for _ in range(2):  # the second reading comes from the cache
        with pytest.warns(InconsistentReportWarning) as caught:
            report = parse_reported(text)
        assert [str(warning.message) for warning in caught] == [f"{text!r}: {words}"]
        assert caught[0].filename == __file__
    assert report.contradictions == (words,)
    assert isinstance(report, ReportedText)


@pytest.mark.parametrize(
    "text",
    ["12/17 (70.6%)", "12/17 (71%)", "12/17 (~65%)", "12/17 (>70%)", "1/8 (12%)", "1/8 (13%)", "83 (range 83–90)",
     "mean 9 (IQR 1–3)", "2.5 (95% CI 2.54–3)"],
)  # fmt: skip
def test_no_contradiction_within_rounding(text):
    parse_reported(text, unit=None)  # a warning would be an error


# -- an interval alone ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "lower", "upper", "level"),
    [
        ("1.20-2.85", "1.20", "2.85", None),
        ("1.20 to 2.85", "1.20", "2.85", None),
        ("(1.20, 2.85)", "1.20", "2.85", None),
        ("1.20, 2.85", "1.20", "2.85", None),
        ("[1·20; 2·85]", "1.20", "2.85", None),
        ("1.20 — 2.85.", "1.20", "2.85", None),
        ("95% CI 1.20-2.85", "1.20", "2.85", 0.95),
        ("(95% CI, 1.20–2.85)", "1.20", "2.85", 0.95),
        ("CI 95%: 1.20–2.85", "1.20", "2.85", 0.95),
        ("99% confidence interval (1.20 to 2.85)", "1.20", "2.85", 0.99),
    ],
)
def test_an_interval_keeps_its_digits_and_its_level(text, lower, upper, level):
    found = parse_interval(text, unit="ratio")
    assert (found.lower.text, found.upper.text, found.level) == (lower, upper, level)
    assert found.lower.unit == found.upper.unit == "ratio"


def test_open_ends_of_an_interval():
    assert parse_interval("1.20-NR").upper.qualifier == "not reached"
    assert parse_interval("? to 2.85").lower is None
    assert parse_interval("1.2 to >60 months").upper.to_dict() == number("60", "month", ">")


@pytest.mark.parametrize("text", ["(13–46) months", "[13–46 months]", "13–46 mo", "95% CI (13, 46 months)"])
def test_the_unit_of_an_interval(text):
    assert parse_interval(text, unit="months").to_dict() == parse_interval(
        "13-46", unit="month"
    ).to_dict() | ({"level": 0.95} if "CI" in text else {})


@pytest.mark.parametrize(
    ("text", "position", "problem"),
    [
        ("", 0, "expected the lower limit; found the end"),
        ("1.20", 4, 'expected the upper limit, after a dash or "to"; found the end'),
        ("1.85 (1.20-2.85)", 5, "expected the upper limit, after a dash or \"to\"; found '('"),
        ("1.20-2.85; p = 0.01", 9, "expected the end; found ';'"),
        ("range 1.20-2.85", 0, "expected the lower limit; found 'range'"),
        ("(1.20-2.85", 10, "expected ')'; found the end"),
        ("(((1.20-2.85)))", 2, "expected the lower limit; found '('"),
        ("2.85-1.20", 0, "The lower limit 2.85 exceeds the upper limit 1.20. Swapped?"),
        ("?-?", 0, "An interval needs at least one printed limit"),
    ],
)
def test_what_is_no_interval_alone(text, position, problem):
    error = message(text, parse_interval)
    assert (error.position, error.problem) == (position, problem)


@pytest.mark.parametrize("joint", ["-", "–", " to ", ", ", "; "])
@pytest.mark.parametrize("around", ["{}", "({})", "[{}]"])
def test_an_interval_alone_is_the_one_of_a_result(joint, around):
    pair = f"0.05{joint}12.50"
    of_result = parse_reported(f"HR 1.85 (95% CI {pair})").ci
    assert parse_interval(around.format(f"95% CI {pair}"), unit="ratio") == of_result
