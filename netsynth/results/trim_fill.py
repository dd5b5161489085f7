"""The result of trim-and-fill: how many studies may be missing, and the pooled effect with them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from netsynth import _format
from netsynth._typing import JSON, FloatArray
from netsynth.errors import Caution
from netsynth.kernels.scales import MEASURES, EffectMeasure
from netsynth.kernels.trim_fill import MissingMethod
from netsynth.results.pooled import PooledEffect

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Side", "TrimAndFill"]

Side = Literal["left", "right"]


@dataclass(frozen=True, slots=True, eq=False)
class TrimAndFill:
    """Trim-and-fill of a pooled effect, as made by `netsynth.trim_and_fill`.

    Attributes
    ----------
    estimator : {"L0", "R0", "Q0"}
        Estimator of the number of missing studies.
    side : {"left", "right"}
        Where they were looked for: among low or among high effects, on the scale of `measure`.
    n_missing : int
        How many seem to be missing.
    se : float
        Standard error of their number; nan where an estimate far below zero has none.
    pvalue : float
        One-sided p-value of no missing study, by R0; nan for the other estimators, which have none.
    original, adjusted : PooledEffect
        The studies, and the studies with the missing ones.
    filled_study : tuple of str
        Of which study each missing one is the mirror image.
    filled_estimate, filled_se : ndarray, shape (n_missing,)
        Effects and standard errors of the missing studies, on the scale of `measure`. Read-only.
    warnings : tuple of Caution
        What to keep in mind.
    """

    estimator: MissingMethod
    side: Side
    n_missing: int
    se: float
    pvalue: float
    original: PooledEffect
    adjusted: PooledEffect
    filled_study: tuple[str, ...]
    filled_estimate: FloatArray
    filled_se: FloatArray
    warnings: tuple[Caution, ...] = ()

    @property
    def measure(self) -> EffectMeasure:
        """The scale of every number here that is not called natural."""
        return self.original.measure

    @property
    def k(self) -> int:
        """Number of studies there are, without the missing ones."""
        return self.original.k

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """Two unrounded rows, the original and the adjusted effect, with the columns of `PooledEffect`."""
        import pandas as pd

        frame = pd.concat([self.original.summary_frame(level), self.adjusted.summary_frame(level)])
        return frame.set_axis(pd.Index(["original", "adjusted"], name="effect"))

    def filled_frame(self) -> pd.DataFrame:
        """One unrounded row a missing study, under the label of the one whose mirror image it is."""
        import pandas as pd

        columns = {
            "estimate": self.filled_estimate,
            "se": self.filled_se,
            "natural": MEASURES[self.measure].from_scale(self.filled_estimate),
        }
        return pd.DataFrame(columns, index=pd.Index(self.filled_study, name="mirror_of"))

    def to_dict(self, level: float = 0.95) -> JSON:
        """Plain dict for JSON: both effects, and one dict a missing study; None for nan."""
        effects = {
            name: {"measure": effect.measure, **_plain_row(effect, level)}
            for name, effect in (("original", self.original), ("adjusted", self.adjusted))
        }
        filled = [
            {"mirror_of": study, "estimate": estimate, "se": se}
            for study, estimate, se in zip(
                self.filled_study, self.filled_estimate.tolist(), self.filled_se.tolist(), strict=True
            )
        ]
        return {
            "estimator": self.estimator,
            "side": self.side,
            "n_missing": self.n_missing,
            "se": _format.plain(self.se),
            "pvalue": _format.plain(self.pvalue),
            "level": level,
            **effects,
            "filled": filled,
            "warnings": [str(caution) for caution in self.warnings],
        }

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Funnel plot with the missing studies as open circles; needs matplotlib."""
        from netsynth.plots.funnel import funnel_plot

        return funnel_plot(self, ax=ax)

    def _title(self) -> str:
        label = MEASURES[self.measure].label
        return f"Trim-and-fill ({self.estimator}): {label}, missing studies on the {self.side}, k = {self.k}"

    def _rows(self) -> list[tuple[str, str]]:
        missing = f"{self.n_missing}"
        if not math.isnan(self.se):
            missing += f" (se {_format.significant(self.se)})"
        if not math.isnan(self.pvalue):
            missing += f"   {_format.pvalue(self.pvalue)}"
        rows = [("missing", missing)]
        for name, effect in (("pooled", self.original), ("with the missing", self.adjusted)):
            low, high = effect.natural_interval()
            ends = "undefined" if math.isnan(low) else f"[{effect.shown(low)}, {effect.shown(high)}]"
            rows.append((name, f"{effect.shown(effect.natural)}   95% CI {ends}   k = {effect.k}"))
        return rows

    def __str__(self) -> str:
        lines = [f"  {name:<16}   {value}" for name, value in self._rows()]
        return "\n".join([self._title(), *lines, *(f"  {caution}" for caution in self.warnings)])

    def _repr_html_(self) -> str:
        return _format.html_table(("", ""), self._rows(), caption=self._title())


def _plain_row(effect: PooledEffect, level: float) -> dict[str, Any]:
    columns = effect.summary_frame(level).to_dict(orient="list")
    return {str(name): _format.plain(values[0]) for name, values in columns.items()}
