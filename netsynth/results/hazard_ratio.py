"""A hazard ratio as it can be pooled: on the log scale, with its standard error and where that came from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from netsynth import _format

__all__ = ["LogHazardRatio", "SeRoute"]

SeRoute = Literal["confidence interval", "upper limit", "lower limit", "p-value", "bound on the p-value", ""]


@dataclass(frozen=True, slots=True)
class LogHazardRatio:
    """What one printed hazard ratio says, as made by `netsynth.log_hazard_ratio`.

    Attributes
    ----------
    estimate : float
        Logarithm of the ratio of the adverse against the reference level; nan when none is printed.
    se : float
        Its standard error, rounding of the printed ratio included; nan when it cannot be had.
    route : str
        What `se` was found from.
    problem : str
        Why `se` cannot be had although a ratio is printed.
    is_lopsided : bool
        Whether, whatever the rounding, the ratio is not the geometric mean of its limits, as a Wald interval
        has it.
    """

    estimate: float
    se: float
    route: SeRoute
    problem: str = ""
    is_lopsided: bool = False

    def __str__(self) -> str:
        if math.isnan(self.estimate):
            return f"no log hazard ratio: {self.problem or 'none is printed'}"
        shown = f"log hazard ratio {_format.number(self.estimate, 3)}"
        if math.isnan(self.se):
            return f"{shown}, no standard error: {self.problem}"
        return f"{shown}, standard error {_format.number(self.se, 3)} from the {self.route}"
