"""Values to what papers print, in one house style; the digits are never touched."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from netsynth import _format
from netsynth.data.number import ReportedNumber

if TYPE_CHECKING:
    from netsynth.reported.record import ReportedText

__all__ = ["format_reported"]

#: Where counts come first, as in "12/17 (70.6%)": the estimate is, or may be, their share.
_SHARE_UNITS = ("percent", "probability", "")


def format_reported(value: ReportedText | ReportedNumber) -> str:
    """Print a result in the house style, so that reading it back gives the same result.

    The digits stay as they were printed: nothing is rounded. Everything that describes the estimate follows
    it in one pair of brackets, each part named, limits joined by an en dash, or by "to" when one is negative.
    Units that have no sign of their own (probability, ratio without a measure, count) are not printed; give
    them to `parse_reported` as `unit`.

    Parameters
    ----------
    value : ReportedText or ReportedNumber
        What `parse_reported` or `parse_number` returns.

    Returns
    -------
    str
        ``parse_reported(text, unit=value.unit)``, or `parse_number` likewise, is `value` again.

    Examples
    --------
    >>> from netsynth.reported import parse_reported
    >>> format_reported(parse_reported("hazard ratio=0·49 [95% CI: 0·38 to 0·64], P<.001"))
    'HR 0.49 (95% CI, 0.38–0.64; p < 0.001)'
    >>> format_reported(ReportedNumber("96", "month", ">"))
    '>96 months'
    """
    return _number(value) if isinstance(value, ReportedNumber) else _result(value)


def _result(value: ReportedText) -> str:
    counts = "" if value.n_events is None else f"{value.n_events}/{value.n_total}"
    named = bool(value.measure or value.statistic)
    share = value.estimate is None or (not named and value.unit in _SHARE_UNITS)
    first, second = (counts, _estimate(value)) if counts and share else (_estimate(value), counts)
    beside = [
        second,
        "" if value.ci is None else f"{_level(value.ci.level)}CI, {value.ci}",
        "" if value.range is None else f"range, {value.range}",
        "" if value.iqr is None else f"IQR, {value.iqr}",
        "" if value.limits is None else str(value.limits),
        "" if value.sd is None else f"SD, {_number(value.sd)}",
        "" if value.se is None else f"SE, {_number(value.se)}",
        "" if value.pvalue is None else _pvalue(value.pvalue),
        "" if value.k is None else f"k = {value.k}",
        "" if value.n_total is None or counts else f"n = {value.n_total}",
    ]
    inside = "; ".join(filter(None, beside))
    return f"{first} ({inside})" if first and inside else first or inside


def _number(number: ReportedNumber) -> str:
    return str(number) if number.text else "NR"


def _estimate(value: ReportedText) -> str:
    if value.estimate is None:
        return ""
    text = _number(value.estimate)
    if value.plus_minus is not None:
        plain = value.estimate.bare if value.estimate.text else "NR"
        text = f"{plain} ± {value.plus_minus.bare}{_format.unit_suffix(value.unit)}"
    return " ".join(filter(None, (value.statistic, value.measure, text)))


def _level(level: float | None) -> str:
    """The level in percent and exact, since a decimal times 100 needs no rounding."""
    if level is None:
        return ""
    text = f"{Decimal(repr(float(level))) * 100:f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text}% "


def _pvalue(p: ReportedNumber) -> str:
    sign = "=" if p.qualifier == "=" else p.bare.removesuffix(p.text)
    return f"p {sign} {p.text}"
