"""A curve as somebody clicked it off a figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import FloatArray, ShareUnit, TimeUnit
from netsynth.errors import Caution, InvalidInputError
from netsynth.units import months

__all__ = ["CurveKind", "DigitizedCurve"]

CurveKind = Literal["survival", "incidence"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DigitizedCurve:
    """Points of one curve in the order in which they were clicked, as made by `netsynth.read_digitized`.

    Nothing is sorted, cleaned or left out: a click beside the line stays, survival may rise by the tremor of
    a hand and pass 1 by the thickness of a line, and a point that the file leaves empty is nan. The arrays are
    read-only, shape (m,), m at least 1.

    Attributes
    ----------
    name : str
        The curve as the file calls it; where it does not, the name of the file.
    time : ndarray
        Times in the unit of the axis.
    survival : ndarray
        Survival as a probability; of a drawn cumulative incidence its complement.
    kind : {"survival", "incidence"}
        What the figure shows.
    survival_unit : {"percent", "probability"}
        Unit of the axis of survival.
    unit_source : str
        Where that unit comes from: "argument", "header" of the file, or "values".
    time_unit : {"month", "year", "week", "day"} or None
        Unit of `time`; None when neither the caller nor the file says.
    source : str
        The file, and where in it the curve stands.
    warnings : tuple of Caution
        What was doubtful.

    Raises
    ------
    InvalidInputError
        If the name is blank, an array is empty or has more than one dimension, or their lengths differ.

    Examples
    --------
    >>> curve = DigitizedCurve(name="Arm A", time=[0, 6.1, 6.1], survival=[1.0, 0.99, 0.84], time_unit="month")
    >>> print(curve)
    Arm A: 3 points, 0 to 6.1 months, survival 100% to 84%
    """

    name: str
    time: FloatArray
    survival: FloatArray
    kind: CurveKind = "survival"
    survival_unit: ShareUnit = "probability"
    unit_source: str = "argument"
    time_unit: TimeUnit | None = None
    source: str = ""
    warnings: tuple[Caution, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _validate.text(self.name, "name", where=self.source))
        time = _validate.array_1d(self.time, "time", where=self.name)
        survival = _validate.array_1d(self.survival, "survival", where=self.name)
        _validate.same_length(time, "time", survival, "survival", where=self.name)
        object.__setattr__(self, "time", time)
        object.__setattr__(self, "survival", survival)

    @property
    def n_missing(self) -> int:
        """Points of which a coordinate is nan."""
        return int(np.count_nonzero(np.isnan(self.time) | np.isnan(self.survival)))

    @property
    def time_months(self) -> FloatArray:
        """Times in months.

        Raises
        ------
        InvalidInputError
            If the unit of time is not known.
        """
        if self.time_unit is None:
            raise InvalidInputError(
                f"{self.name}: the unit of time is not known; read the file with time_unit=, such as 'month'."
            )
        return self.time * months(1.0, self.time_unit)

    def __str__(self) -> str:
        there = ~(np.isnan(self.time) | np.isnan(self.survival))
        time, survival = self.time[there], self.survival[there]
        noun = "point" if self.time.size == 1 else "points"
        missing = f" ({self.n_missing} missing)" if self.n_missing else ""
        text = f"{self.name}: {self.time.size} {noun}{missing}"
        if not time.size:
            return text
        first, last = (_format.shortest(float(t), 2) for t in (time.min(), time.max()))
        high, low = (_format.shortest(100 * float(s), 1) for s in (survival.max(), survival.min()))
        suffix = _format.unit_suffix(self.time_unit or "")
        return f"{text}, {first} to {last}{suffix}, survival {high}% to {low}%"
