"""One cell: its text, the number in it, and the guard against spreadsheets that take text for a formula."""

from __future__ import annotations

import datetime
import functools
import numbers
import re
from decimal import Decimal
from typing import Any, Final, cast

import numpy as np

from netsynth.data.number import Qualifier, ReportedInterval, ReportedNumber
from netsynth.errors import InvalidInputError, ReportedTextError
from netsynth.reported import parse_number
from netsynth.reported.grammar import DecimalMark

#: A number as we write it: an optional qualifier and the digits of a `ReportedNumber`.
_WRITTEN: Final = re.compile(r"(<=|>=|<|>|~)?(-?\d+(?:[.,]\d+)?(?:[eE]-?\d{1,2})?)", re.ASCII)
_WHOLE: Final = re.compile(r"(\d{1,15})(?:\.0+)?", re.ASCII)
_NOT_REACHED: Final = "not reached"
_NO_FORMULA: Final = "a number; formulas are never evaluated"
#: Beginnings that a spreadsheet may take for a formula or a command.
_FORMULA: Final = "=+-@\t\r\n＝＋－＠"
_GUARDED: Final = re.compile(f"'*[{re.escape(_FORMULA)}]")


class Digits(str):
    """Digits of a number that a data frame or workbook holds as one: always with a decimal point."""

    __slots__ = ()


@functools.lru_cache(maxsize=65536)
def number(text: str, unit: str, decimal: DecimalMark) -> ReportedNumber:
    """The number that a cell holds, in the unit its row declares.

    Raises
    ------
    InvalidInputError
        If the cell is a formula, or no number that the unit allows. The message is the reason alone.

    Examples
    --------
    >>> number("83.0", "percent", "."), str(number(">96", "month", "."))
    (ReportedNumber(text='83.0', unit='percent', qualifier='='), '>96 months')
    """
    written = _WRITTEN.fullmatch(text)
    if written and ("," if decimal == "." else ".") not in text:
        return ReportedNumber(written[2].replace(",", "."), unit, cast(Qualifier, written[1] or "="))
    if text == _NOT_REACHED:
        return ReportedNumber("", unit, _NOT_REACHED)
    try:
        if text[0] in "=＝@＠":
            raise InvalidInputError(_NO_FORMULA)
        return parse_number(text, unit=unit or None, decimal=decimal)
    except ReportedTextError as error:
        if text[0] in "+-＋－":
            raise InvalidInputError(_NO_FORMULA) from None
        plain = error.problem.startswith("expected a number")
        reason = "a number" if plain else f"a number; {error.problem} (at position {error.position})"
        raise InvalidInputError(reason) from None


def whole(text: str) -> int | None:
    """The whole number that a cell holds, or None; "37.0" is one.

    Examples
    --------
    >>> whole("37"), whole("37.5")
    (37, None)
    """
    found = _WHOLE.fullmatch(text)
    return int(found[1]) if found else None


def printed(value: ReportedNumber | None) -> str:
    """A number as a cell, without its unit; `number` reads it back.

    Examples
    --------
    >>> printed(ReportedNumber("96.0", "month", ">")), printed(None)
    ('>96.0', '')
    """
    if value is None:
        return ""
    return value.text if value.qualifier == "=" else f"{value.qualifier}{value.text}"


def limits(pair: ReportedInterval | None) -> tuple[str, str]:
    """Two cells for the limits of an interval."""
    return ("", "") if pair is None else (printed(pair.lower), printed(pair.upper))


def guard(text: str) -> str:
    """Text with an apostrophe before what a spreadsheet might take for a formula; `unguard` removes it.

    Examples
    --------
    >>> guard("=1+1"), guard("'=1+1"), guard("'quoted' words")
    ("'=1+1", "''=1+1", "'quoted' words")
    """
    return f"'{text}" if _GUARDED.match(text) else text


def unguard(text: str) -> str:
    """Text without the apostrophe that `guard` put before it.

    Examples
    --------
    >>> unguard("'=1+1"), unguard("'quoted' words")
    ('=1+1', "'quoted' words")
    """
    return text[1:] if text.startswith("'") and _GUARDED.match(text) else text


def typed_text(value: Any) -> str:
    """A typed value of a data frame or workbook as the text of a cell; empty when missing.

    Examples
    --------
    >>> [typed_text(value) for value in (37.0, 70.5, True, None, float("nan"), "83.0")]
    ['37', '70.5', 'yes', '', '', '83.0']
    """
    if isinstance(value, str):
        return value
    if value is None or type(value).__name__ in ("NAType", "NaTType"):  # pandas, which need not be imported
        return ""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, numbers.Integral):
        return Digits(int(value))
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else Digits(np.format_float_positional(value, trim="-"))
    if isinstance(value, Decimal):
        return Digits(f"{value:f}") if value.is_finite() else "" if value.is_nan() else str(value)
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    return str(value)
