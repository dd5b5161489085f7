"""Types that several modules share."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
JSON: TypeAlias = dict[str, Any]

TimeUnit = Literal["month", "year", "week", "day"]
ShareUnit = Literal["percent", "probability"]


class Interval(NamedTuple):
    """Two limits, lower first; an open end is infinite, an undefined one is nan."""

    lower: float
    upper: float
