"""What papers print to values: a recursive descent over tokens that never goes back.

text     = part { [","|";"] part } ["."]
part     = "(" text ")" [unit] | "[" text "]" [unit] | named | value
named    = [statistic] [measure] [heading] estimate | ("CI"|"range"|"IQR") pair | ("SD"|"SE"|"p") number
         | "n" events | ("k"|"n") count
heading  = "(" what the next brackets hold ")" | "±" ("SD"|"SE")
value    = events | count ("studies"|"patients") | estimate | pair
estimate = number ["±" number]
events   = count ("/"|"of") count
interval = "(" alone ")" [unit] | alone
alone    = ["CI"] ("(" pair ")" | pair) [unit]
pair     = limit ("–"|"to"|","|";") limit
limit    = number | "?" [unit]
number   = [qualifier] ["-"] digits [unit] | "not reached" [unit]
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final, NamedTuple, TypeVar, cast

from netsynth import errors
from netsynth.data.number import Qualifier, ReportedInterval, ReportedNumber
from netsynth.errors import InconsistentReportWarning, InvalidInputError, ReportedTextError
from netsynth.reported.grammar import MAX_LENGTH, DecimalMark, Kind, Token, tokenize, unit_name
from netsynth.reported.record import RatioMeasure, ReportedText, Statistic

__all__ = ["parse_interval", "parse_number", "parse_reported"]

#: "HR 1.85 (95% CI [1.20–2.85])" needs two.
MAX_DEPTH: Final = 3

_ORDINARY: Final = {".": re.compile(r"-?[0-9]+(?:\.[0-9]+)?"), ",": re.compile(r"-?[0-9]+(?:,[0-9]+)?")}
_ANYTHING: Final = "a number, a bracket, or a name (HR, OR, RR, 95% CI, range, IQR, SD, SE, p, k, n)"
_CALLED: Final = {"p": "p-value", "ci": "confidence interval", "iqr": "IQR", "limits": "pair of limits"}

T = TypeVar("T")
V = TypeVar("V")


def parse_reported(text: str, *, unit: str | None = None, decimal: DecimalMark = ".") -> ReportedText:
    """Read one result as a paper prints it.

    Parameters
    ----------
    text : str
        Such as "83% (range, 63-100%)", "HR 1.85 (95% CI 1.20–2.85; p = 0.005)", "12/17 (70.6%)",
        "62 ± 11 years". At most 1000 characters.
    unit : str, optional
        Unit of the numbers when the text prints none ("percent", "month", "ratio", another word). A unit
        in the text must be the same one: nothing is converted.
    decimal : {".", ","}
        Decimal mark; the other one may group thousands. A middle dot is always a decimal mark.

    Returns
    -------
    ReportedText
        Its numbers keep their digits, trailing zeros included.

    Raises
    ------
    ReportedTextError
        If any part of the text cannot be read; the message shows the place.
    InvalidInputError
        If `text` is no text, or `unit` or `decimal` is impossible.

    Warns
    -----
    InconsistentReportWarning
        If the parts contradict each other: "12/17 (60%)", an estimate outside its interval. The values
        are returned as printed; `ReportedText.contradictions` repeats the words.

    Examples
    --------
    >>> hr = parse_reported("HR=0·49 [95% CI: 0·38 to 0·64], P<.001")
    >>> hr.measure, hr.estimate.value, hr.ci.upper.value, str(hr.pvalue)
    ('HR', 0.49, 0.64, '<0.001')
    >>> print(parse_reported("70.5 (31 - 100)", unit="percent"))
    70.5% (31–100%)
    >>> parse_reported("HR 1.85 (95% CI 1.20)")
    Traceback (most recent call last):
    ...
    netsynth.errors.ReportedTextError: Cannot read the text at position 20: expected the upper limit, after a
    dash or "to"; found ')'.
      HR 1.85 (95% CI 1.20)
                          ^
    """
    report, contradictions = _reported(_checked(text, decimal), unit_name(unit), decimal)
    for contradiction in contradictions:
        errors.caution(InconsistentReportWarning, contradiction, where=repr(text))
    return report


def parse_number(text: str, *, unit: str | None = None, decimal: DecimalMark = ".") -> ReportedNumber:
    """Read one number with its qualifier and unit, if any.

    Parameters
    ----------
    text : str
        Such as "70·5%", "< 0.001", ">96 months", "~0.8", "approximately 12", "not reached", "NR".
    unit, decimal
        As for `parse_reported`.

    Returns
    -------
    ReportedNumber

    Raises
    ------
    ReportedTextError
        If the text is not one such number; the message shows the place.
    InvalidInputError
        If `text` is no text, or `unit` or `decimal` is impossible.

    Examples
    --------
    >>> parse_number("≥ 90 %")
    ReportedNumber(text='90', unit='percent', qualifier='>=')
    >>> parse_number("1,234.50"), parse_number("70,5", unit="percent", decimal=",").value
    (ReportedNumber(text='1234.50', unit='', qualifier='='), 70.5)
    """
    return _one_number(_checked(text, decimal), unit_name(unit), decimal)


def parse_interval(text: str, *, unit: str | None = None, decimal: DecimalMark = ".") -> ReportedInterval:
    """Read one confidence interval that stands alone.

    Parameters
    ----------
    text : str
        Such as "1.20-2.85", "1.20 to 2.85", "(1.20, 2.85)", "95% CI 1.20–2.85", "1.20-NR", "[8.1; 14.3] months".
    unit, decimal
        As for `parse_reported`.

    Returns
    -------
    ReportedInterval
        Its `level` is None when the text prints none.

    Raises
    ------
    ReportedTextError
        If the text is not one such interval, or names its limits a range or quartiles; the message shows the place.
    InvalidInputError
        If `text` is no text, or `unit` or `decimal` is impossible.

    Examples
    --------
    >>> parse_interval("95% CI 1.20 to 2.85", unit="ratio").level, str(parse_interval("(1,2; NR)", decimal=","))
    (0.95, '1.2–NR')
    """
    return _one_interval(_checked(text, decimal), unit_name(unit), decimal)


def _checked(text: object, decimal: str) -> str:
    if decimal not in _ORDINARY:
        raise InvalidInputError(f"decimal must be '.' or ','; got {decimal!r}.")
    if not isinstance(text, str):
        raise InvalidInputError(f"text must be a string; got {text!r:.80}. ReportedNumber.of takes numbers.")
    if len(text) > MAX_LENGTH:
        problem = f"one result takes at most {MAX_LENGTH} characters; found {len(text)}"
        raise ReportedTextError(text, MAX_LENGTH, problem)
    return text


@functools.lru_cache(maxsize=4096)
def _reported(text: str, unit: str, decimal: DecimalMark) -> tuple[ReportedText, tuple[str, ...]]:
    report = _Parser(text, unit, decimal).reported()
    return report, report.contradictions


@functools.lru_cache(maxsize=65536)
def _one_number(text: str, unit: str, decimal: DecimalMark) -> ReportedNumber:
    if _ORDINARY[decimal].fullmatch(text):
        try:
            return ReportedNumber(text.replace(",", "."), unit)
        except InvalidInputError as error:
            raise ReportedTextError(text, 0, str(error).rstrip(".")) from None
    return _Parser(text, unit, decimal).one_number()


@functools.lru_cache(maxsize=4096)
def _one_interval(text: str, unit: str, decimal: DecimalMark) -> ReportedInterval:
    return _Parser(text, unit, decimal).one_interval()


class _Number(NamedTuple):
    """A number before its unit is known."""

    text: str
    qualifier: Qualifier
    start: int


class _Limits(NamedTuple):
    lower: _Number | None
    upper: _Number | None
    start: int
    level: float | None = None


class _Parser:
    """One pass over one text; what it finds becomes values at the end, when the unit is known."""

    def __init__(self, text: str, unit: str, decimal: DecimalMark) -> None:
        self.text = text
        self.tokens = tokenize(text, unit, decimal)
        self.i = 0
        self.declared_unit = unit
        self.printed_unit: Token | None = None
        self.measure: Token | None = None
        self.statistic: Token | None = None
        self.heading: Token | None = None
        self.numbers: dict[str, _Number] = {}
        self.limits: dict[str, _Limits] = {}
        self.counts: dict[str, int] = {}

    # The grammar, rule by rule.

    def reported(self) -> ReportedText:
        self.parts(depth=0)
        self.end()
        return self.built()

    def one_number(self) -> ReportedNumber:
        number = self.number("a number")
        self.end()
        return self.built_number(number, self.unit())

    def one_interval(self) -> ReportedInterval:
        self.in_brackets(self.interval) if self.at_mark("([") else self.interval()
        if self.at("unit"):
            self.take_unit()
        self.end()
        (pair,) = self.limits.values()
        return self.built_pair(pair, self.unit())

    def interval(self) -> None:
        name = self.name() if self.at("ci") else None
        self.put_pair(name, self.in_brackets(self.pair) if self.at_mark("([") else self.pair())
        if self.at("unit"):
            self.take_unit()

    def end(self) -> None:
        self.skip_mark(".")
        if not self.at("end"):
            raise self.refusal("the end")
        if self.heading is not None:
            problem = "what this announces does not follow in brackets after the estimate"
            raise ReportedTextError(self.text, self.heading.start, problem)

    def parts(self, depth: int) -> None:
        self.part(depth)
        while not (self.at("end") or self.at_mark(")].")):
            if self.at_mark(",;"):
                self.i += 1
            elif self.at("number", "qualifier", "not reached", "word"):
                raise self.refusal("a comma or semicolon, a bracket, a name, or the end")
            self.part(depth)

    def part(self, depth: int) -> None:
        if self.at_mark("(["):
            if depth == MAX_DEPTH:
                raise self.refusal(f"brackets no deeper than {MAX_DEPTH}")
            self.in_brackets(lambda: self.parts(depth + 1))
            if self.at("unit"):  # "21 (13–46) months"
                self.take_unit()
        elif self.at("measure", "statistic"):
            self.named_estimate()
        elif self.at("ci", "range", "iqr"):
            name = self.name()
            self.put_pair(name, self.in_brackets(self.pair) if self.at_mark("([") else self.pair())
        elif self.at("sd", "se", "p"):
            name = self.name()
            if self.at("not reached"):
                raise self.refusal("a number")
            number = self.number("a number", with_unit=name.kind != "p")
            self.put(self.numbers, name.kind, number, name.start)
        elif self.at("k", "n"):
            name = self.name()
            self.events() if name.kind == "n" and self.at_events() else self.count(name.kind)
        else:
            self.value(depth)

    def in_brackets(self, inside: Callable[[], T]) -> T:
        closing = {"(": ")", "[": "]"}[self.take().text]
        result = inside()
        if not self.at_mark(closing):
            raise self.refusal(f"{closing!r}")
        self.i += 1
        return result

    def name(self) -> Token:
        """A name with its abbreviation in brackets, if any, and the mark or word that follows it."""
        name = self.take()
        if self.at_mark("([") and self.at(name.kind, ahead=1) and self.token(1).text in (name.text, ""):
            self.in_brackets(self.take)
        if self.at("of"):
            self.i += 1
        else:
            self.skip_mark(":=,")
        return name

    def named_estimate(self) -> None:
        if self.at("statistic"):
            self.statistic = self.name()
        if self.at("measure"):
            self.measure = self.name()
        heads = self.at("ci", "range", "iqr", "sd", "se", ahead=1)
        if heads and self.at_mark("(["):  # "HR (95% CI) 1.85 (1.20–2.85)"
            self.heading = self.in_brackets(self.take)
            self.skip_mark(":=,")
        elif heads and self.at_mark("±"):  # "mean ± SD 62 ± 11"
            self.i += 1
            self.heading = self.name()
        self.estimate(self.token(), self.number("the estimate"))

    def estimate(self, start: Token, number: _Number) -> None:
        self.put(self.numbers, "estimate", number, start.start)
        if self.at_mark("±"):
            sign, name = self.take(), self.headed("sd", "se")
            spread = self.number("a number after ±")
            self.put(self.numbers, name.kind if name else "plus_minus", spread, sign.start)

    def headed(self, *kinds: Kind) -> Token | None:
        """The name that a heading before the estimate gave to what comes now, if it is one of `kinds`."""
        name = self.heading
        if name is None or name.kind not in kinds:
            return None
        self.heading = None
        return name

    def value(self, depth: int) -> None:
        """What stands without a name: counts, the estimate, or limits that the text does not explain."""
        start = self.token()
        if self.at_events():
            self.events()
            return
        if self.at("number") and self.at("studies", "patients", ahead=1):
            self.count("k" if self.token(1).kind == "studies" else "n")
            self.i += 1
            return
        first = self.limit(_ANYTHING)
        listed = depth > 0 and "estimate" in self.numbers and self.at_mark(",;") and self.at_number(ahead=1)
        if first is None or listed or self.at_mark("-") or self.at("joint"):
            self.put_pair(self.headed("ci", "range", "iqr"), self.pair(start, first))
        elif "estimate" not in self.numbers:
            self.estimate(start, first)
        elif name := self.headed("sd", "se"):
            self.put(self.numbers, name.kind, first, start.start)
        else:
            problem = "a second number without a name; say what it is (SD, SE, p, k, n)"
            raise ReportedTextError(self.text, start.start, problem)

    def events(self) -> None:
        start = self.token()
        n_events = self.whole_number()
        self.i += 1
        n_total = self.whole_number()
        if n_events > n_total:
            raise ReportedTextError(self.text, start.start, f"{n_events} of {n_total} are too many")
        self.put(self.counts, "n_events", n_events, start.start)
        self.put(self.counts, "n", n_total, start.start)

    def count(self, kind: str) -> None:
        start = self.token()
        self.put(self.counts, kind, self.whole_number(), start.start)

    def whole_number(self) -> int:
        if not self.at("number") or not self.token().text.isdigit():
            raise self.refusal("a whole number")
        return int(self.take().text)

    def pair(self, start: Token | None = None, lower: _Number | None = None) -> _Limits:
        """Two limits; the lower one may have been read already, beginning at `start`."""
        if start is None:
            start, lower = self.token(), self.limit("the lower limit")
        if not (self.at("joint") or self.at_mark("-,;")):
            raise self.refusal('the upper limit, after a dash or "to"')
        self.i += 1
        return _Limits(lower, self.limit("the upper limit"), start.start)

    def limit(self, expected: str) -> _Number | None:
        if not self.at_mark("?"):
            return self.number(expected)
        self.i += 1
        if self.at("unit"):
            self.take_unit()
        return None

    def number(self, expected: str, *, with_unit: bool = True) -> _Number:
        start = self.token()
        qualifier: Qualifier = "="
        digits = ""
        if self.at("not reached"):
            self.i += 1
            qualifier = "not reached"
        else:
            if self.at("qualifier"):
                qualifier = cast(Qualifier, self.take().text)
            if self.at_mark("-+") and self.at("number", ahead=1) and self.token().end == self.token(1).start:
                digits = self.take().text.removeprefix("+")
            if not self.at("number"):
                raise self.refusal(expected)
            digits += self.take().text
        if with_unit and self.at("unit"):
            self.take_unit()
        return _Number(digits, qualifier, start.start)

    def take_unit(self) -> None:
        unit, declared, before = self.take(), self.declared_unit, self.printed_unit
        if declared and unit.text != declared:
            problem = f"the unit here is {unit.text}, but {declared} was declared; nothing is converted"
            raise ReportedTextError(self.text, unit.start, problem)
        if before is not None and unit.text != before.text:
            problem = f"one result has one unit; found {unit.text} after {before.text}"
            raise ReportedTextError(self.text, unit.start, problem)
        self.printed_unit = unit

    # Tokens.

    def token(self, ahead: int = 0) -> Token:
        return self.tokens[min(self.i + ahead, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.token()
        self.i += 1
        return token

    def at(self, *kinds: Kind, ahead: int = 0) -> bool:
        return self.token(ahead).kind in kinds

    def at_mark(self, marks: str, *, ahead: int = 0) -> bool:
        return self.token(ahead).kind == "mark" and self.token(ahead).text in marks

    def at_number(self, *, ahead: int) -> bool:
        return self.at("number", "qualifier", "not reached", ahead=ahead) or self.at_mark("-", ahead=ahead)

    def at_events(self) -> bool:
        return self.at("number") and (self.at("of", ahead=1) or self.at_mark("/", ahead=1))

    def skip_mark(self, marks: str) -> None:
        if self.at_mark(marks):
            self.i += 1

    def put(self, store: dict[str, V], name: str, value: V, start: int) -> None:
        if name in store:
            raise ReportedTextError(self.text, start, f"a second {_CALLED.get(name, name)} in one result")
        store[name] = value

    def put_pair(self, name: Token | None, pair: _Limits) -> None:
        if name is not None and name.kind == "ci" and name.text:
            pair = pair._replace(level=float(Decimal(name.text) / 100))
        if name is None:
            self.put(self.limits, "limits", pair, pair.start)
        else:
            self.put(self.limits, name.kind, pair, name.start)

    def refusal(self, expected: str) -> ReportedTextError:
        token = self.token()
        found = f"{self.text[token.start : token.end]!r:.40}" if token.kind != "end" else "the end"
        if token.kind == "refused":
            problem = f"{found} cannot be read: {token.text}"
        elif token.text == "+":
            problem = f"expected {expected}; found '+'. Write an open end as '>46' or '≥46'"
        else:
            problem = f"expected {expected}; found {found}"
        return ReportedTextError(self.text, token.start, problem)

    # Values.

    def unit(self) -> str:
        if self.measure is not None:
            if self.printed_unit is not None:
                problem = f"expected no unit, since {self.measure.text} is a ratio"
                raise ReportedTextError(self.text, self.printed_unit.start, problem)
            if self.declared_unit not in ("", "ratio"):
                problem = f"{self.measure.text} is a ratio, but {self.declared_unit} was declared"
                raise ReportedTextError(self.text, self.measure.start, problem)
            return "ratio"
        return self.declared_unit if self.printed_unit is None else self.printed_unit.text

    def built_number(self, number: _Number, unit: str) -> ReportedNumber:
        return self.placed(lambda: ReportedNumber(number.text, unit, number.qualifier), number.start)

    def built_pair(self, pair: _Limits, unit: str) -> ReportedInterval:
        lower, upper = (None if end is None else self.built_number(end, unit) for end in pair[:2])
        return self.placed(lambda: ReportedInterval(lower, upper, pair.level), pair.start)

    def built(self) -> ReportedText:
        unit = self.unit()
        number = {
            name: self.built_number(number, "pvalue" if name == "p" else unit)
            for name, number in self.numbers.items()
        }
        pair = {name: self.built_pair(limits, unit) for name, limits in self.limits.items()}
        return self.placed(
            lambda: ReportedText(
                estimate=number.get("estimate"),
                measure=cast(RatioMeasure, self.measure.text if self.measure else ""),
                statistic=cast(Statistic, self.statistic.text if self.statistic else ""),
                plus_minus=number.get("plus_minus"),
                sd=number.get("sd"),
                se=number.get("se"),
                ci=pair.get("ci"),
                range=pair.get("range"),
                iqr=pair.get("iqr"),
                limits=pair.get("limits"),
                pvalue=number.get("p"),
                n_events=self.counts.get("n_events"),
                n_total=self.counts.get("n"),
                k=self.counts.get("k"),
            ),
            0,
        )

    def placed(self, build: Callable[[], T], start: int) -> T:
        """What `build` makes; its complaint becomes one about the text, at `start`."""
        try:
            return build()
        except InvalidInputError as error:
            raise ReportedTextError(self.text, start, str(error).rstrip(".")) from None
