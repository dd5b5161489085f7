"""Rounding for people: estimates, intervals, p-values, and the small HTML table shown in notebooks.

Conventions: a range is joined by an en dash ("31–100%"), or by "to" when a limit is negative; a p-value
has two significant digits, three decimals at most and a floor of 0.001; a hazard ratio has two decimals,
three below 0.1. Ratios and months past what can be observed are bounds: ">1000", "<0.01" (see `past`).
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from netsynth import units
from netsynth._typing import JSON

if TYPE_CHECKING:
    import pandas as pd

EN_DASH = "\u2013"

#: Above it no ratio and no number of months is written.
_MOST: Final = 1000

#: Units whose sign, if any, touches the number; every other unit is a word of its own.
_TOUCHING: Final = {"": "", "percent": "%", "probability": "", "pvalue": "", "ratio": "", "count": ""}


def unit_suffix(unit: str, amount: str = "") -> str:
    """What follows a printed number of this unit; `amount` is the number, for the singular of a time.

    Examples
    --------
    >>> unit_suffix("percent"), unit_suffix("month", "21"), unit_suffix("year", "1"), unit_suffix("ratio")
    ('%', ' months', ' year', '')
    """
    if unit in _TOUCHING:
        return _TOUCHING[unit]
    return f" {unit}s" if unit in units.MONTHS_PER and amount != "1" else f" {unit}"


def number(value: float, decimals: int) -> str:
    """Fixed decimals, "nan" as "NA", infinity as the sign, and never "-0".

    Examples
    --------
    >>> number(-0.0004, 2), number(float("inf"), 1)
    ('0.00', '∞')
    """
    if math.isnan(value):
        return "NA"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    text = f"{value:.{decimals}f}"
    return text[1:] if text.startswith("-") and float(text) == 0 else text


def shortest(value: float, decimals: int) -> str:
    """At most `decimals` decimals, trailing zeros dropped: a median of 70.5 stays 70.5 and 83.0 becomes 83.

    Examples
    --------
    >>> shortest(70.5, 1), shortest(83.0, 1)
    ('70.5', '83')
    """
    text = number(value, decimals)
    return text.rstrip("0").rstrip(".") if "." in text else text


def significant(value: float, digits: int = 3) -> str:
    """Significant digits without exponent for ordinary sizes.

    Examples
    --------
    >>> significant(0.02015), significant(12.3456)
    ('0.0202', '12.3')
    """
    if value == 0 or not math.isfinite(value):
        return number(value, 0)
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])  # of the rounded value: 9.999 has that of 10
    decimals = max(0, digits - 1 - exponent)
    return f"{value:.{digits - 1}e}" if decimals > 8 or exponent > 8 else number(value, decimals)


def past(value: float, decimals: int) -> str:
    """What a positive number is below or above that is past what can be observed; nothing for all others.

    Past are numbers above 1000, and those that so many decimals would print as 0.

    Examples
    --------
    >>> past(0.0000544, 2), past(17772693.0, 2), past(31.1, 2)
    ('<0.01', '>1000', '')
    """
    if value >= 0 and float(f"{value:.{decimals}f}") == 0:
        return f"<{10.0**-decimals:.{decimals}f}"
    return f">{_MOST}" if value > _MOST else ""


def ratio(value: float) -> str:
    """A hazard ratio: two decimals, three below 0.1, one from 100 on; "<0.001" and ">1000" beyond.

    Examples
    --------
    >>> ratio(1.849), ratio(0.0456), ratio(2.88e16)
    ('1.85', '0.046', '>1000')
    """
    if not 0 < value < math.inf:  # an end of 0 or infinity is open
        return number(value, 3)
    return past(value, 3) or number(value, 3 if value < 0.0995 else 2 if value < 99.95 else 1)


def months(value: float) -> str:
    """A time in months: three significant digits, two decimals below 0.1; "<0.01" and ">1000" beyond.

    Examples
    --------
    >>> months(31.12), months(0.0828), months(0.0000544), months(0.0)
    ('31.1', '0.08', '<0.01', '0')
    """
    if not 0 < value < math.inf:
        return significant(value)
    return past(value, 2) or (number(value, 2) if value < 0.0995 else significant(value))


def span(lower: str, upper: str, unit: str = "") -> str:
    """Two printed limits joined by an en dash, or by "to" when one is negative.

    Examples
    --------
    >>> span("31", "100", "%"), span("-0.2", "1.1")
    ('31–100%', '-0.2 to 1.1')
    """
    joint = " to " if "-" in lower or "-" in upper else EN_DASH
    return f"{lower}{joint}{upper}{unit}"


def pvalue(p: float, *, symbol: str = "p") -> str:
    """A p-value with its sign: two significant digits, but three decimals at most and a floor of 0.001.

    Examples
    --------
    >>> pvalue(0.0416), pvalue(1e-30), pvalue(0.9996)
    ('p = 0.042', 'p < 0.001', 'p > 0.99')
    """
    if math.isnan(p):
        return f"{symbol} = NA"
    if p < 0.001:
        return f"{symbol} < 0.001"
    if p > 0.99:
        return f"{symbol} > 0.99"
    return f"{symbol} = {p:.{3 if p < 0.0995 else 2}f}"


def plural(n: int, noun: str, nouns: str | None = None) -> str:
    """A count with its noun.

    Examples
    --------
    >>> plural(1, "study", "studies"), plural(12, "study", "studies")
    ('1 study', '12 studies')
    """
    return f"{n} {noun if n == 1 else nouns or noun + 's'}"


def listing(words: Iterable[str]) -> str:
    """Words as a sentence lists them.

    Examples
    --------
    >>> listing(["3-", "5-", "10-year"])
    '3-, 5- and 10-year'
    """
    items = list(words)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def plain(value: object) -> Any:
    """A value as JSON takes it: None for what is undefined, "inf" or "-inf" for an open end, no numpy.

    Examples
    --------
    >>> plain(0.5), plain(float("nan")), plain(float("inf")), plain("REML")
    (0.5, None, 'inf', 'REML')
    """
    item = getattr(value, "item", None)
    found = item() if callable(item) else value
    if isinstance(found, float) and not math.isfinite(found):
        return None if math.isnan(found) else str(found)
    return found


def plain_rows(frame: pd.DataFrame) -> list[JSON]:
    """Rows of a frame as JSON takes them, the label first."""
    rows = frame.reset_index().to_dict("records")
    return [{str(name): plain(value) for name, value in row.items()} for row in rows]


def labelled_lines(title: str, rows: Sequence[tuple[str, str]], after: Iterable[object] = ()) -> str:
    """A title, and under it lines of a name and what there is to say, the latter aligned.

    Examples
    --------
    >>> print(labelled_lines("PET", [("slope", "0.90"), ("choice", "PET")]))
    PET
      slope    0.90
      choice   PET
    """
    width = max(len(name) for name, _ in rows)
    lines = [f"  {name:<{width}}   {value}" for name, value in rows]
    return "\n".join([title, *lines, *(f"  {each}" for each in after)])


def html_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str = "") -> str:
    """A plain escaped HTML table."""
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def text_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns aligned for a terminal, empty ones left out; numbers to the right, words to the left.

    Examples
    --------
    >>> print(text_table(("factor", "k", "note"), [("grade", "12", ""), ("age", "3", "")]))
    factor   k
    grade   12
    age      3
    """
    lines = [tuple(row) for row in rows]
    if not lines:
        return "  ".join(header)
    columns = [
        [title, *column]
        for title, column in zip(header, zip(*lines, strict=True), strict=True)
        if any(column)
    ]
    aligned = []
    for column in columns:
        width = max(map(len, column))
        to_right = all(not cell or cell.lstrip("-+<>")[:1].isdigit() for cell in column[1:])
        aligned.append([cell.rjust(width) if to_right else cell.ljust(width) for cell in column])
    return "\n".join("  ".join(cells).rstrip() for cells in zip(*aligned, strict=True))
