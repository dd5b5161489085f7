"""What every method of pooling curves is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, Protocol

import numpy as np

from netsynth import _format
from netsynth._typing import FloatArray, IntArray
from netsynth.curve_methods.reports import Doubt, Reports
from netsynth.kernels.censored_fits import Location
from netsynth.kernels.time_functions import TimeShape
from netsynth.results.pooled_curve import PooledCurve

#: Relative distance of times that are one.
SAME: Final = 1e-9
Effects = Literal["random", "slope", "common"]
CurveCi = Literal["t", "wald"]


class Asked(NamedTuple):
    """Times, shape (m,), or None for those of the method, and the options of `netsynth.pool_survival`."""

    times: FloatArray | None
    maturity: float
    effects: Effects
    shape: TimeShape
    ci_method: CurveCi
    family: Location = "weibull"


class Answer(NamedTuple):
    """A curve without warnings, and what there is to warn of."""

    curve: PooledCurve
    doubts: Sequence[Doubt]


class CurveFit(Protocol):
    """What a method looks like."""

    def __call__(self, reports: Reports, asked: Asked, /) -> Answer:
        """Pool the studies."""
        ...


def distinct(times: FloatArray) -> FloatArray:
    """Times in order, those once that are equal but for the rounding of unit conversion."""
    ordered = np.unique(times)
    return np.asarray(ordered[np.concatenate([[True], np.diff(ordered) > SAME * ordered[1:]])])


def frozen(array: FloatArray) -> FloatArray:
    """A read-only copy, of which the result can hold."""
    copy = np.array(array)
    copy.setflags(write=False)
    return copy


def frozen_counts(array: IntArray) -> IntArray:
    """The same of counts."""
    copy = np.array(array, dtype=np.int64)
    copy.setflags(write=False)
    return copy


def some(names: Sequence[str], most: int = 8) -> str:
    """Names as a sentence lists them, so many at most."""
    if len(names) <= most:
        return _format.listing(names)
    return _format.listing([*names[:most], f"{len(names) - most} more"])
