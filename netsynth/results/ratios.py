"""How the hazard ratios of several studies are spread, without pooling them."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netsynth import _format
from netsynth._typing import FloatArray
from netsynth.errors import Caution
from netsynth.results.evidence import Stratum

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["RatioSpread"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RatioSpread:
    """Range and quartiles of hazard ratios, as made by `netsynth.describe_ratios`.

    Attributes
    ----------
    factor, endpoint : str
        What the ratios are of.
    study : tuple of str
        Studies with a ratio.
    stratum, study_endpoint, comparison : tuple of str
        Kind of analysis of each, its endpoint, and the levels it compares.
    log_hr : ndarray, shape (k,)
        Their log hazard ratios, read-only.
    q1, median, q3 : float
        Quartiles of `log_hr`.
    without : tuple of str
        Studies that are counted for this factor but print no such ratio.
    warnings : tuple of Caution
        What to keep in mind.
    """

    factor: str
    endpoint: str
    study: tuple[str, ...]
    stratum: tuple[Stratum, ...]
    study_endpoint: tuple[str, ...]
    comparison: tuple[str, ...]
    log_hr: FloatArray
    q1: float
    median: float
    q3: float
    without: tuple[str, ...]
    warnings: tuple[Caution, ...] = ()

    @property
    def k(self) -> int:
        """Studies with a ratio."""
        return len(self.study)

    @property
    def n_without(self) -> int:
        """Studies without."""
        return len(self.without)

    @property
    def lower(self) -> float:
        """The smallest log hazard ratio."""
        return float(self.log_hr.min())

    @property
    def upper(self) -> float:
        """The largest log hazard ratio."""
        return float(self.log_hr.max())

    def summary_frame(self) -> pd.DataFrame:
        """One unrounded row, quantiles on the log scale."""
        import pandas as pd

        names = ("factor", "endpoint", "k", "n_without", "lower", "q1", "median", "q3", "upper")
        return pd.DataFrame([{name: getattr(self, name) for name in names}])

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Every ratio as a dot, over a box of the quartiles; needs matplotlib."""
        from netsynth.plots.ratios import ratio_plot

        return ratio_plot([self], ax=ax)

    @property
    def words(self) -> str:
        """The spread as a sentence tells it."""
        median, q1, q3, low, high = (
            _format.ratio(math.exp(x)) for x in (self.median, self.q1, self.q3, self.lower, self.upper)
        )
        if self.k == 1:
            return f"HR {median} in the one study that prints it"
        quartiles = f"IQR, {_format.span(q1, q3)}; " if self.k > 3 else ""
        return f"median HR {median} ({quartiles}range, {_format.span(low, high)}) in {self.k} studies"

    @property
    def mixed(self) -> list[str]:
        """What is unlike among the ratios, with numbers of studies; empty where they may be compared."""
        unlike = (
            ("endpoints", [code.replace("_", " ") for code in self.study_endpoint]),
            ("kinds of analysis", list(self.stratum)),
            ("comparisons", list(self.comparison)),
        )
        return [
            f"{name} {_format.listing(f'{word} ({n})' for word, n in Counter(words).items())}"
            for name, words in unlike
            if len(set(words)) > 1
        ]

    def __str__(self) -> str:
        kinds = Counter(self.stratum)
        strata = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
        without = (
            f"; {_format.plural(self.n_without, 'study prints', 'studies print')} none"
            if self.without
            else ""
        )
        mixed = f" Unlike: {'; '.join(self.mixed)}." if self.mixed else ""
        return f"{self.factor}, {self.endpoint}: {self.words}{without} ({strata}). Not pooled.{mixed}"

    def _repr_html_(self) -> str:
        return _format.html_table(
            ("factor", "endpoint", "hazard ratios"),
            [(self.factor, self.endpoint, self.words)],
            caption=f"Unlike: {'; '.join(self.mixed)}." if self.mixed else "",
        )
