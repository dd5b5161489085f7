"""Units: years to months, percent to probability. The only conversions in the library."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Final, TypeAlias, cast

from netsynth._typing import ShareUnit, TimeUnit
from netsynth.errors import InvalidInputError

__all__ = ["MONTHS_PER", "Conversion", "canonical", "months", "probability", "share_unit", "time_unit"]

#: Months in one unit of time. A year is 12 months exactly and a month 365.25 / 12 days.
MONTHS_PER: Final = MappingProxyType(
    {"month": 1.0, "year": 12.0, "week": 7 * 12 / 365.25, "day": 12 / 365.25}
)
Conversion: TypeAlias = Callable[[float, str], float]

_TIME_WORDS: Final = MappingProxyType(
    {
        **dict.fromkeys(("month", "months", "mo", "mos", "mth", "mths"), "month"),
        **dict.fromkeys(("year", "years", "yr", "yrs", "y"), "year"),
        **dict.fromkeys(("week", "weeks", "wk", "wks"), "week"),
        **dict.fromkeys(("day", "days", "d"), "day"),
    }
)
_SHARE_WORDS: Final = MappingProxyType(
    {
        **dict.fromkeys(("percent", "%", "pct", "per cent"), "percent"),
        **dict.fromkeys(("probability", "fraction", "proportion"), "probability"),
    }
)


def time_unit(word: str, *, where: str = "unit") -> TimeUnit:
    """Name of the unit of time that `word` means.

    Raises
    ------
    InvalidInputError
        If the word is not a unit of time.

    Examples
    --------
    >>> time_unit("yrs")
    'year'
    """
    try:
        return cast(TimeUnit, _TIME_WORDS[word.strip().lower()])
    except KeyError:
        raise InvalidInputError(
            f"{where}: {word!r} is not a unit of time; say month, year, week or day."
        ) from None


def share_unit(word: str, *, where: str = "unit") -> ShareUnit:
    """Name of the unit of a share that `word` means: percent or probability.

    Raises
    ------
    InvalidInputError
        If the word is not a unit of a share.

    Examples
    --------
    >>> share_unit("%")
    'percent'
    """
    try:
        return cast(ShareUnit, _SHARE_WORDS[word.strip().lower()])
    except KeyError:
        raise InvalidInputError(
            f"{where}: {word!r} is not a unit of a share; say percent or probability."
        ) from None


def canonical(unit: str) -> str:
    """Name of a unit of time or of a share in whatever spelling; any other unit as it is.

    Examples
    --------
    >>> canonical("Months"), canonical("%"), canonical("mg/dL")
    ('month', 'percent', 'mg/dL')
    """
    word = unit.strip().lower()
    return _TIME_WORDS.get(word) or _SHARE_WORDS.get(word) or unit


def months(value: float, unit: str) -> float:
    """Time in months.

    Examples
    --------
    >>> months(5, "years")
    60.0
    """
    return float(value * (MONTHS_PER.get(unit) or MONTHS_PER[time_unit(unit)]))


def probability(value: float, unit: str) -> float:
    """Share as a probability; not clipped, so that a check can see what was given.

    Examples
    --------
    >>> probability(70.5, "percent")
    0.705
    """
    return float(value / 100.0 if unit == "percent" or share_unit(unit) == "percent" else value)
