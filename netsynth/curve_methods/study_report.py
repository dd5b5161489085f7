"""What studies print of survival, as the methods of pooling take it."""

from __future__ import annotations

import math
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from netsynth._typing import BoolArray, FloatArray
from netsynth.data.endpoint import Endpoint
from netsynth.errors import NetsynthWarning

#: What to warn of: the kind of warning, and its words.
Doubt: TypeAlias = tuple[type[NetsynthWarning], str]
#: Half a unit of a whole percentage.
WHOLE_PERCENT: Final = 0.005


class StudyReport(NamedTuple):
    """What one study prints of survival, at times of shape (m,); nan for what it does not print.

    `n_at_risk` is at the times, `n_at_start` at the start of the intervals that end there. `se` is that of survival
    as a probability, `rounding` half a unit of the last digit of survivals.
    """

    name: str
    time: FloatArray
    survival: FloatArray
    n_total: float
    n_at_risk: FloatArray
    n_at_start: FloatArray
    se: FloatArray
    followup_months: float = math.nan
    rounding: float = WHOLE_PERCENT

    @property
    def has_size(self) -> bool:
        """Whether anything says how many patients there are."""
        sizes = (self.n_at_risk, self.n_at_start, self.se)
        return self.n_total > 0 or any(bool(np.isfinite(each).any()) for each in sizes)

    @property
    def n_patients(self) -> float:
        """Patients, as printed in all or for the start of the first interval; nan if they are not."""
        return float(self.n_at_start[0]) if math.isnan(self.n_total) else self.n_total

    def at(self, keep: BoolArray) -> StudyReport:
        """The same report at some of its times; an interval that grows keeps the number at its start."""
        if keep.all():
            return self
        first = np.concatenate([[0], np.flatnonzero(keep)[:-1] + 1])
        return self._replace(
            time=self.time[keep],
            survival=self.survival[keep],
            n_at_risk=self.n_at_risk[keep],
            n_at_start=self.n_at_start[first],
            se=self.se[keep],
        )


class Reports(NamedTuple):
    """The studies, what they report on, and what was left out."""

    endpoint: Endpoint
    studies: tuple[StudyReport, ...]
    doubts: tuple[Doubt, ...]

    @property
    def label(self) -> str:
        """Name of the endpoint in words."""
        return self.endpoint.name or self.endpoint.code
