"""Reading is the inverse of printing, for every shape of result and in every author's hand."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.reported import ReportedText, format_reported, parse_number, parse_reported

pytestmark = pytest.mark.filterwarnings("ignore::netsynth.errors.InconsistentReportWarning")

#: The house style of a result in print, and another hand that must arrive at it.
CANONICAL = {
    "83% (range, 63–100%)": "83 % [range: 63-100]",
    "70.5% (range, 31–100%; k = 12)": "70·5% (range 31% to 100%), 12 studies",
    "83% (range, 63–100%; k = 29; n = 1234)": "83% (range 63-100; 29 studies, 1,234 patients)",
    "21 months (range, 13–46 months)": "21 mo (range 13-46)",
    "1 month": "1 mo.",
    "median 21 months (95% CI, 15.2–27.9 months)": "median 21 (95% CI, 15.2 to 27.9) months",
    "HR 1.85 (95% CI, 1.20–2.85; p = 0.005)": "hazard ratio, 1.85; 95%-CI, 1.20-2.85; P = .005",
    "HR 0.49 (95% CI, 0.38–0.64; p < 0.001)": "HR=0·49 [95% CI: 0·38 to 0·64], P<.001",
    "median HR 1.85 (12/17; range, 1.2–3.0)": "median HR 1.85, range 1.2-3.0, 12 of 17",
    "12/17 (70.6%)": "70.6% (12 of 17)",
    "median 70.6% (12/17)": "median 70.6%, 12 of 17",
    "12/17 (70.6%; 95% CI, 44–90%)": "12/17 (70.6 [95% CI 44–90] %)",
    "NR (95% CI, 23–NR months)": "not reached (95% CI 23-∞ months)",
    "62 ± 11 years": "62 years +/- 11",
    "62 years (SD, 11 years)": "62 y (SD = 11)",
    "55 (IQR, 43–68)": "55 (interquartile range 43 - 68)",
    "-0.3 (95% CI, -0.5 to -0.1)": "−0.3 (95% CI −0.5 – −0.1)",
    "-0.3 (-0.5 to 0.1)": "-0.3 (-0.5, 0.1)",
    "≥90%": ">= 90 per cent",
    "p ≤ 0.05": "p<=.05",
    "p ~ 0.8": "P approx. 0.8",
    "97.5% CI, 1–?": "97.5% CI 1 to ?",
}


@pytest.mark.parametrize("house", CANONICAL)
def test_house_style(house):
    assert format_reported(parse_reported(CANONICAL[house])) == house
    assert format_reported(parse_reported(house)) == house


def test_one_number_prints_and_reads_back():
    for text in ("70.50%", ">96 months", "NR", "~0.8", "-3", "1 year", "≤5 weeks", "1.0 years"):
        assert format_reported(parse_number(text)) == text


# --- every shape ------------------------------------------------------------------------------------------

UNITS = ["", "percent", "probability", "month", "year", "week", "day", "ratio", "count", "cm", "mg/dL", "µg/L",
         "mitoses per 10 HPF"]  # fmt: skip
SIGNS = {"percent": ["%", " %", "\u202f%", "％", " percent", " per cent"], "month": [" months", " mo", "\u00a0mos."],
         "year": [" years", " yrs", "y"], "week": [" weeks", " wk"], "day": [" days", "d"]}  # fmt: skip
LARGEST = {"percent": 100, "probability": 1, "pvalue": 1}
SIGNED = {"", "cm", "mg/dL", "µg/L", "mitoses per 10 HPF"}
QUALIFIERS = st.sampled_from(["=", "=", "=", "<", "<=", ">", ">=", "~"])


@st.composite
def digits(draw, unit, signed=True):
    decimals = draw(st.integers(0, 4))
    scaled = draw(st.integers(0, LARGEST.get(unit, 3000) * 10**decimals))
    text = f"{scaled // 10**decimals}" + (f".{scaled % 10**decimals:0{decimals}d}" if decimals else "")
    return "-" + text if signed and unit in SIGNED and draw(st.booleans()) else text


def numbers(unit, signed=True):
    return st.builds(ReportedNumber, digits(unit, signed), st.just(unit), QUALIFIERS)


def not_reached(unit):
    return ReportedNumber("", unit, "not reached")


@st.composite
def intervals(draw, unit, level=None):
    lower, upper = sorted((draw(numbers(unit)), draw(numbers(unit))), key=lambda number: number.value)
    ends = [
        (lower, upper),
        (lower, not_reached(unit)),
        (None, upper),
        (lower, None),
        (not_reached(unit), upper),
    ]
    return ReportedInterval(*draw(st.sampled_from(ends)), level)


LEVELS = st.none() | st.sampled_from([0.8, 0.9, 0.95, 0.975, 0.99, 0.999]) | st.floats(0.001, 0.9999)
PVALUES = st.builds(
    ReportedNumber,
    digits("pvalue") | st.sampled_from(["4.2e-5", "1E-12", "0.050"]),
    st.just("pvalue"),
    QUALIFIERS,
)


@st.composite
def reports(draw, plain=False):
    """Any result; `plain` ones keep to what an author's hand below can write."""

    def maybe(strategy):
        return draw(st.none() | strategy)

    estimate, measure, statistic, plus_minus = None, "", "", None
    unit = draw(st.sampled_from(UNITS))
    if draw(st.booleans()) or plain:
        measure = draw(st.sampled_from(["", "", "HR", "OR", "RR"]))
        unit = "ratio" if measure else unit
        statistic = draw(st.sampled_from(["", "median", "mean"]))
        estimate = draw(numbers(unit) if plain else numbers(unit) | st.just(not_reached(unit)))
        plus_minus = maybe(numbers(unit, signed=False))
    n_total = maybe(st.integers(1, 5000))
    report = {
        "estimate": estimate,
        "measure": measure,
        "statistic": statistic,
        "plus_minus": plus_minus,
        "sd": maybe(numbers(unit, signed=False)),
        "se": maybe(numbers(unit, signed=False)),
        "ci": maybe(intervals(unit, draw(LEVELS))),
        "range": maybe(intervals(unit)),
        "iqr": maybe(intervals(unit)),
        "limits": maybe(intervals(unit)),
        "pvalue": maybe(PVALUES),
        "n_total": n_total,
        "n_events": maybe(st.integers(0, n_total)) if n_total else None,
        "k": maybe(st.integers(1, 500)),
    }
    if all(report[name] is None for name in report if name not in ("measure", "statistic")):
        report["k"] = 1
    return ReportedText(**report)


@settings(deadline=None)
@given(reports())
def test_reading_is_the_inverse_of_printing(report):
    text = format_reported(report)
    assert parse_reported(text, unit=report.unit) == report
    assert ReportedText.from_json(report.to_json()) == report
    printed = report.unit in SIGNS and report.estimate is not None and report.estimate.text
    if printed or report.measure or not report.unit:
        assert parse_reported(text) == report  # the text says it all
    assert not re.search(r"\d-\d|  |\( | \)", text)


@settings(deadline=None)
@given(st.sampled_from([*UNITS, "pvalue"]).flatmap(lambda unit: numbers(unit) | st.just(not_reached(unit))))
def test_reading_a_number_is_the_inverse_of_printing(number):
    assert parse_number(format_reported(number), unit=number.unit) == number


# --- every hand -------------------------------------------------------------------------------------------

DASHES = ["-", "–", "—", "−", " - ", "\u2009–\u2009", " to "]
SPACES = ["", " ", "\u00a0", "\u2009", "\u202f"]
QUALIFIER_SIGNS = {"=": [""], "<": ["<", "< ", "less than "], "<=": ["≤", "<=", "at most "],
                   ">": [">", "＞ ", "more than "], ">=": ["≥ ", ">=", "at least "],
                   "~": ["~", "≈", "approximately ", "ca. "]}  # fmt: skip
MEASURES = {
    "HR": ["HR", "hazard ratio", "Hazard Ratio (HR)"],
    "OR": ["OR", "odds ratio"],
    "RR": ["RR", "relative risk"],
}
NAMES = {
    "ci": ["CI", "confidence interval", "confidence interval [CI]", "C.I."],
    "range": ["range", "Range"],
    "iqr": ["IQR", "interquartile range", "inter-quartile range (IQR)"],
    "sd": ["SD", "standard deviation"],
    "se": ["SE", "standard error"],
}
AFTER_NAME = [" ", ", ", ": ", " = ", " of "]


@st.composite
def hands(draw, report):
    """The report as some author may write it, with the decimal mark that reads it."""
    decimal = draw(st.sampled_from([".", ".", ","]))
    mark = draw(st.sampled_from(["·", decimal]))
    signs = SIGNS.get(report.unit, [f" {report.unit}"] if report.unit in ("cm", "mg/dL") else [""])
    unit_place = draw(st.sampled_from(["everywhere", "first", "last"]))

    def pick(options):
        return draw(st.sampled_from(options))

    def bare(number):
        text = number.text.replace("-", pick(["-", "−"])).replace(".", mark)
        whole = text.partition(mark)[0].lstrip("-−")
        if len(whole) == 4 and pick([True, False]):
            text = text.replace(
                whole, whole[0] + pick(["\u2009", "\u00a0", "," if decimal == "." else "."]) + whole[1:]
            )
        return pick(QUALIFIER_SIGNS[number.qualifier]) + text

    def end(number, sign=""):
        if number is None:
            return "?"
        return bare(number) + sign if number.text else f"{pick(['NR', 'not reached'])} {sign}"

    def pair(limits):
        texts = [end(limits.lower, pick(["", everywhere])), end(limits.upper, everywhere)]
        negative = any(number and number.text.startswith("-") for number in (limits.lower, limits.upper))
        return pick(["{}", "({})", "[{}]"]).format((" to " if negative else pick(DASHES)).join(texts))

    everywhere = pick(signs) if unit_place == "everywhere" else ""
    estimate = bare(report.estimate) + (pick(signs) if unit_place != "last" else "")
    if report.plus_minus is not None:
        estimate += pick([" ± ", "±", " +/- "]) + bare(report.plus_minus)
    names = [
        report.statistic,
        pick(MEASURES[report.measure]) + pick([" ", "=", ", "]) if report.measure else "",
    ]
    head = " ".join(filter(None, names)) + (" " if any(names) else "") + estimate

    beside = []
    if report.n_events is not None:
        beside.append(f"{report.n_events}{pick(['/', ' of ', ' out of '])}{report.n_total}")
    elif report.n_total is not None:
        beside.append(pick(["n = {}", "N={}", "{} patients"]).format(report.n_total))
    if report.k is not None:
        beside.append(pick(["k = {}", "k={}", "{} studies"]).format(report.k))
    for name in ("ci", "range", "iqr"):
        limits = getattr(report, name)
        if limits is not None:
            level = "" if limits.level is None else f"{limits.level * 100:.10g}".replace(".", mark)
            level += pick(["% ", "%-", " % ", "%\u2009"]) if level else ""
            beside.append(level + pick(NAMES[name]) + pick(AFTER_NAME) + pair(limits))
    spreads = [
        (name, number) for name, number in (("sd", report.sd), ("se", report.se)) if number is not None
    ]
    beside += [pick(NAMES[name]) + pick(AFTER_NAME) + end(number, everywhere) for name, number in spreads]
    if report.pvalue is not None:
        sign = pick(["=", " = ", " "]) if report.pvalue.qualifier == "=" else " "
        beside.append(pick(["p", "P", "p-value", "P value"]) + sign + bare(report.pvalue))
    if report.limits is not None:
        beside.append(pick(["({})", "[{}]"]).format(pair(report.limits).strip("()[]")))
    beside = draw(st.permutations(beside))
    joint, brackets = pick(["; ", ", "]), pick([" ({})", " [{}]", "; {}"])
    text = head + (brackets.format(joint.join(beside)) if beside else "")
    if unit_place == "last":
        text = f"({text}){pick(signs)}"
    return text + pick(["", ".", " "]), decimal


LEVELLED = st.sampled_from([None, 0.9, 0.95, 0.975])


@settings(deadline=None)
@given(st.data())
def test_every_hand_reads_alike(data):
    report = data.draw(reports(plain=True))
    level = data.draw(LEVELLED)
    plain = report.to_dict() | ({"ci": report.ci.to_dict() | {"level": level}} if report.ci else {})
    if report.pvalue is not None and "e" in report.pvalue.text.lower():
        del plain["pvalue"]
    report = ReportedText.from_dict(plain)
    text, decimal = data.draw(hands(report))
    assert parse_reported(text, unit=report.unit, decimal=decimal) == report
