"""How many digits a hazard ratio is shown with that is not the printed one: turned, rescaled or derived."""

from __future__ import annotations

import math
import re
from typing import Final

from netsynth import _format
from netsynth._typing import Interval

__all__ = ["shown_log_ratio"]

_NEAR: Final = 0.1  # what is less far from 1 is shown with two digits of that distance
_MOST: Final = 4  # decimals of a ratio near 1
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")


def shown_log_ratio(log: float, log_hr: float, ends: Interval, printed: str) -> str:
    """The exponential of `log`, which is `log_hr` or one of its limits `ends`, in as many digits as the printed ratio.

    Two digits at least, and two where nothing is printed (empty `printed`). Near 1 so many decimals more that the limit
    nearest to 1 keeps two digits of its distance, but no more than are printed: the inverse is as exact as the number.

    Examples
    --------
    >>> log, ends = -math.log(0.975), Interval(-math.log(0.989), -math.log(0.961))
    >>> [shown_log_ratio(each, log, ends, "0.975 (0.961–0.989)") for each in (log, *ends)]
    ['1.026', '1.011', '1.041']
    """
    digits, most = 2, _MOST
    if printed:
        digits = max(2, len(re.sub(r"\D", "", printed.partition(" (")[0]).lstrip("0")))
        most = min(most, max(map(_decimals, _NUMBER.findall(printed))))
    decimals = min(_decimals(_format.significant(math.exp(log_hr), digits)), _MOST)
    nearest = min((abs(math.expm1(end)) for end in ends if not math.isnan(end)), default=1.0)
    if 0 < nearest < _NEAR and (printed or abs(log_hr) < _NEAR):
        decimals = max(decimals, min(_decimals(_format.significant(nearest, 2)), most))
    text = _format.significant(math.exp(log), 2)
    return text if "e" in text or _decimals(text) >= decimals else _format.number(math.exp(log), decimals)


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])
