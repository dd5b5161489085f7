"""What every method of pooling curves is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, Protocol

import numpy as np

from netsynth import _format
from netsynth._typing import FloatArray, IntArray
from netsynth.curve_methods.study_report import Doubt, Reports
from netsynth.errors import InvalidInputError
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


def share(value: object, name: str, *, above: bool = True) -> float:
    """A share of 1: above 0, or from 0 on."""
    if isinstance(value, int | float | np.integer | np.floating):
        number = float(value)
        if 0 <= number <= 1 and (number > 0 or not above):
            return number
    raise InvalidInputError(f"{name} must be a share in {'(' if above else '['}0, 1]; got {value!r}.")


def print_or_prints(n: int, k: int) -> str:
    """So many of all studies, with the verb that goes with them."""
    return f"{n} of {_format.plural(k, 'study', 'studies')} {'prints' if n == 1 else 'print'}"


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
