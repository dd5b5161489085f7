"""Two arms of one trial, each fitted from its own fragments, coupled by what is printed of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from netsynth import _format
from netsynth._typing import JSON, FloatArray
from netsynth.errors import Caution
from netsynth.results.ensemble import CombinedEstimate, PseudoEnsemble
from netsynth.results.fragments import CountDistribution, FragmentPosterior

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CoupledArms"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CoupledArms:
    """Patients of two arms that can be behind a report, as made by `netsynth.couple_arms`: treated against control.

    Attributes
    ----------
    treated, control : FragmentPosterior
        The arms as they were fitted, apart.
    printed : str
        What is printed of both, in words.
    treated_draws, control_draws : PseudoEnsemble
        Data sets that go together, in pairs; for analyses of one's own with `PseudoEnsemble.combine`.
    treated_weight, control_weight : ndarray, shape (b,)
        Probability of each data set of `treated` and `control` given what is printed of both; they add up to 1.
    log_hr_before, log_hr : CombinedEstimate
        Cox's log hazard ratio of treated against control, without and with what is printed of both.
    n_tried, n_agreeing : int
        Pairs of data sets, and those among them that give the printed numbers within their rounding.
    n_effective : float
        Number of independent data sets that those of the arm with fewer are worth after coupling.
    nearest : float
        Standard errors of sampling between the printed numbers and the nearest pair; 0 when one agrees.
    kernel_width : float
        Standard errors that the normal kernel is wide by which pairs are weighted when none agrees; 0 when only pairs
        that agree are used.
    warnings : tuple of Caution
        What to keep in mind.
    """

    treated: FragmentPosterior
    control: FragmentPosterior
    printed: str
    treated_draws: PseudoEnsemble
    control_draws: PseudoEnsemble
    treated_weight: FloatArray
    control_weight: FloatArray
    log_hr_before: CombinedEstimate
    log_hr: CombinedEstimate
    n_tried: int
    n_agreeing: int
    n_effective: float
    nearest: float
    kernel_width: float
    warnings: tuple[Caution, ...] = ()

    @property
    def is_exact(self) -> bool:
        """Whether every pair gives the printed numbers."""
        return self.kernel_width == 0

    @property
    def treated_events(self) -> CountDistribution:
        """Events of the treated in all, given what is printed of both; `treated.n_events()` is without."""
        return _events(self.treated, self.treated_weight)

    @property
    def control_events(self) -> CountDistribution:
        """Events of the control in all, given what is printed of both; `control.n_events()` is without."""
        return _events(self.control, self.control_weight)

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """Two unrounded rows a quantity: what is known of it without and with what is printed of both.

        The hazard ratio with its confidence interval; numbers of events with their posterior mean and interval.
        """
        import pandas as pd

        rows = []
        for coupled, ratio in ((False, self.log_hr_before), (True, self.log_hr)):
            low, high = ratio.natural_interval(level)
            rows.append(("hazard ratio", coupled, ratio.natural, low, high))
        for label, before, after in self._events():
            for coupled, count in ((False, before), (True, after)):
                rows.append((f"events, {label}", coupled, count.mean, *count.interval(level)))
        return pd.DataFrame(rows, columns=["quantity", "is_coupled", "estimate", "lower", "upper"])

    def to_dict(self, level: float = 0.95) -> JSON:
        """Plain dict for JSON."""
        return {
            "treated": self.treated_draws.label,
            "control": self.control_draws.label,
            "printed": self.printed,
            "level": level,
            "quantities": _format.plain_rows(self.summary_frame(level)),
            "n_tried": self.n_tried,
            "n_agreeing": self.n_agreeing,
            "n_effective": _format.plain(self.n_effective),
            "nearest": _format.plain(self.nearest),
            "kernel_width": _format.plain(self.kernel_width),
            "warnings": [str(warning) for warning in self.warnings],
        }

    def _events(self) -> tuple[tuple[str, CountDistribution, CountDistribution], ...]:
        return (
            (self.treated_draws.label, self.treated.n_events(), self.treated_events),
            (self.control_draws.label, self.control.n_events(), self.control_events),
        )

    def _rows(self) -> list[tuple[str, str, str]]:
        def ratio(found: CombinedEstimate) -> str:
            low, high = found.natural_interval()
            return f"{_format.ratio(float(found.natural))} [{_format.ratio(float(low))}, {_format.ratio(float(high))}]"

        events = [(f"events, {label}", str(before), str(after)) for label, before, after in self._events()]
        return [("hazard ratio", ratio(self.log_hr_before), ratio(self.log_hr)), *events]

    def _title(self) -> str:
        return f"{self.treated_draws.label} against {self.control_draws.label}, coupled by {self.printed}"

    def _quality(self) -> str:
        return (
            f"{self.n_agreeing} of {_format.plural(self.n_tried, 'pair')} of data sets agree, worth "
            f"{self.n_effective:.0f} independent ones"
            if self.is_exact
            else f"none of {_format.plural(self.n_tried, 'pair')} of data sets agrees; weighted by a normal kernel, "
            f"they are worth {self.n_effective:.0f} independent ones"
        )

    def __str__(self) -> str:
        table = _format.text_table(_HEADER, self._rows())
        lines = [*table.splitlines(), self._quality(), *map(str, self.warnings)]
        return "\n".join([self._title(), *(f"  {line}" for line in lines)])

    def _repr_html_(self) -> str:
        return _format.html_table(_HEADER, self._rows(), caption=self._title())


_HEADER = ("", "apart", "coupled")


def _events(arm: FragmentPosterior, weight: FloatArray) -> CountDistribution:
    probability = np.asarray(np.bincount(arm.event.sum(axis=1), weights=weight), dtype=np.float64)
    value = np.flatnonzero(probability)
    probability = probability[value]
    for array in (value, probability):
        array.setflags(write=False)
    return CountDistribution(value, probability)
