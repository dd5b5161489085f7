"""Pooled effects of all subsets of the studies, or of many drawn at random."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._typing import JSON, BoolArray, FloatArray, IntArray
from netsynth.errors import Caution
from netsynth.kernels import heterogeneity
from netsynth.kernels.scales import MEASURES
from netsynth.results.pooled import PooledEffect

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["SubsetEffects"]

ByteArray: TypeAlias = npt.NDArray[np.uint8]

_HEADER: Final = ("study", "median with", "without", "I2 with", "without")
_WIDTH: Final = 108  # columns of text


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SubsetEffects:
    """The model fitted to subsets of the studies, as made by `netsynth.gosh`.

    Arrays are read-only, shape (n,), one entry a subset, on the scale of ``overall.measure``.

    Attributes
    ----------
    overall : PooledEffect
        All studies together.
    complete : bool
        Whether these are all subsets, each once, or random draws with replacement.
    packed : ndarray of uint8, shape (n, ceil(k / 8))
        Which studies each subset holds, eight to a byte; `members` unpacks them.
    estimate : ndarray
        Pooled effect of each subset.
    tau2, i2_tau2 : ndarray
        Between-study variance and the I2 that follows from it; nan for a subset of one study.
    q : ndarray
        Cochran's Q.
    k : ndarray of int
        Number of studies.
    warnings : tuple of Caution
        What to keep in mind.
    """

    overall: PooledEffect
    complete: bool
    packed: ByteArray
    estimate: FloatArray
    tau2: FloatArray
    i2_tau2: FloatArray
    q: FloatArray
    k: IntArray
    warnings: tuple[Caution, ...] = ()

    @property
    def n_subsets(self) -> int:
        """How many subsets there are."""
        return self.estimate.size

    @property
    def members(self) -> BoolArray:
        """Which studies each subset holds, shape (n, k), in the order of ``overall.study``."""
        return np.unpackbits(self.packed, axis=-1, count=self.overall.k).astype(np.bool_)

    @property
    def natural(self) -> FloatArray:
        """The estimates on the printed scale."""
        return MEASURES[self.overall.measure].from_scale(self.estimate)

    @property
    def i2(self) -> FloatArray:
        """I2 of each subset from Q, a fraction; nan for a subset of one study."""
        return heterogeneity.i2_from_h2(heterogeneity.h2_from_q(self.q, (self.k - 1).astype(np.float64)))

    @property
    def most(self) -> str:
        """The study that separates the subsets most: whose presence moves their median estimate farthest."""
        with_it, without = self._medians(self.estimate)
        return self.overall.study[int(np.abs(with_it - without).argmax())]

    def quantiles(self, probability: npt.ArrayLike = (0.025, 0.5, 0.975)) -> FloatArray:
        """Quantiles of the estimates of subsets of two or more studies, on the scale of the measure.

        Raises
        ------
        InvalidInputError
            If a probability is not one.
        """
        wanted = _validate.probability_1d(probability, "probability")
        return np.asarray(np.quantile(self.estimate[self.k > 1], wanted))

    def _medians(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Medians over the subsets of two or more studies with, and without, each study; nan where none is."""
        several = self.k > 1
        members, values = self.members[several], values[several]
        found = np.full((2, self.overall.k), np.nan)
        for j in range(self.overall.k):
            for row, taken in enumerate((members[:, j], ~members[:, j])):
                if taken.any():
                    found[row, j] = np.median(values[taken])
        return found[0], found[1]

    def summary_frame(self) -> pd.DataFrame:
        """One unrounded row a study: medians over the subsets of two or more studies with it, and without it."""
        import pandas as pd

        back = MEASURES[self.overall.measure].from_scale
        with_it, without = self._medians(self.estimate)
        i2_with, i2_without = self._medians(self.i2)
        tau2_with, tau2_without = self._medians(self.tau2)
        columns = {
            "n_with": self.members[self.k > 1].sum(axis=0),
            "n_without": (~self.members[self.k > 1]).sum(axis=0),
            "estimate_with": with_it,
            "estimate_without": without,
            "natural_with": back(with_it),
            "natural_without": back(without),
            "i2_with": i2_with,
            "i2_without": i2_without,
            "tau2_with": tau2_with,
            "tau2_without": tau2_without,
        }
        return pd.DataFrame(columns, index=pd.Index(self.overall.study, name="study"))

    def subset_frame(self) -> pd.DataFrame:
        """One unrounded row a subset, in the order of `members`."""
        import pandas as pd

        return pd.DataFrame(
            {
                "estimate": self.estimate,
                "natural": self.natural,
                "tau2": self.tau2,
                "i2": self.i2,
                "i2_tau2": self.i2_tau2,
                "q": self.q,
                "k": self.k,
            }
        )

    def to_dict(self) -> JSON:
        """Plain dict for JSON: methods, quantiles, and one dict a study; the subsets stay in `subset_frame`."""
        low, median, high = self.quantiles().tolist()
        return {
            "measure": self.overall.measure,
            "tau2_method": self.overall.tau2_method,
            "n_subsets": self.n_subsets,
            "complete": self.complete,
            "estimate_quantiles": {"0.025": low, "0.5": median, "0.975": high},
            "studies": _format.plain_rows(self.summary_frame()),
            "warnings": [str(caution) for caution in self.warnings],
        }

    def plot(self, *, study: str | None = None, ax: Axes | None = None) -> Axes:
        """GOSH plot: I2 against the estimate, coloured by a study; needs matplotlib."""
        from netsynth.plots.gosh import gosh_plot

        return gosh_plot(self, study=study, ax=ax)

    def conclusion(self) -> str:
        """In words, how far the estimates spread and which study separates them most."""
        back = MEASURES[self.overall.measure].from_scale
        low, median, high = back(self.quantiles())
        low, high = min(low, high), max(low, high)
        show = self.overall.shown
        i = self.overall.study.index(self.most)
        with_it, without = (float(back(values[i])) for values in self._medians(self.estimate))
        return (
            f"Of subsets of two or more studies the middle 95% lie between {show(low)} and {show(high)}, the median is "
            f"{show(float(median))}. {self.most} separates them most: median {show(with_it)} with it and "
            f"{show(without)} without it."
        )

    def _rows(self) -> list[tuple[str, ...]]:
        back, show = MEASURES[self.overall.measure].from_scale, self.overall.shown
        estimates = [back(values) for values in self._medians(self.estimate)]
        return [
            (study, show(a), show(b), f"{100 * c:.0f}%", f"{100 * d:.0f}%")
            for study, a, b, c, d in zip(self.overall.study, *estimates, *self._medians(self.i2), strict=True)
        ]

    def _title(self) -> str:
        count = f"All {self.n_subsets:,}" if self.complete else f"{self.n_subsets:,} random"
        return f"{count} subsets: {str(self.overall).partition(chr(10))[0]}"

    def __str__(self) -> str:
        lines = [self._title()]
        lines += [f"  {line}" for line in _format.text_table(_HEADER, self._rows()).splitlines()]
        lines += textwrap.wrap(self.conclusion(), _WIDTH, initial_indent="  ", subsequent_indent="  ")
        return "\n".join([*lines, *(f"  {caution}" for caution in self.warnings)])

    def _repr_html_(self) -> str:
        return _format.html_table(_HEADER, self._rows(), caption=self._title())
