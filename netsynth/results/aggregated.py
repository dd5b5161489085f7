"""Median and range over studies: what a review prints, and the questions one may ask of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import FloatArray, Interval
from netsynth.errors import Caution
from netsynth.kernels import orderstats

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MedianInterval", "MedianRange", "PivotalStudy", "Sign"]

#: How a printed figure relates to the true one: it is that ("" ), bounds it, or nothing is known ("?").
Sign = Literal["", "<", "≤", ">", "≥", "between", "?"]


class MedianInterval(NamedTuple):
    """Confidence interval of a median between two order statistics.

    `coverage` is exact, so usually above `level`; `ranks` are those of the two limits among the k ordered
    values. Where no interval exists the limits are nan, `ranks` is None, and `reason` says why.
    """

    lower: float
    upper: float
    level: float
    coverage: float
    ranks: tuple[int, int] | None
    reason: str = ""


class PivotalStudy(NamedTuple):
    """What one study does to the median.

    `without` bounds the median of the other studies (two equal limits where it is known, nan where no study
    is left), `change` is how far the median moves when the study is deleted (nan when either median is not
    known), and `by_rounding` is where the median can go when only this study's figure moves within the
    rounding of its print.
    """

    study: str
    without: Interval
    change: float
    by_rounding: Interval


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MedianRange:
    """Median and range of study values, as made by `netsynth.median_range`.

    Every value is in `unit`. Arrays are read-only, shape (n,), one entry a study in the order given.
    Studies with weight zero are listed but enter nothing else, `k` included.

    Attributes
    ----------
    median : float
        Median of the printed values; nan when open ends (">96", "not reached") leave it undetermined.
    median_lower, median_upper : float
        Sharp bounds that hold whatever the open-ended values are; both equal `median` where it is known.
    lower, upper : float
        Range: the lowest and highest value, or the best known bound on it; nan when nothing is known.
    q1, q3 : float
        Quartiles by `quantile_type`; nan when open ends leave one undetermined.
    median_sign, lower_sign, upper_sign : str
        How `median`, `lower` and `upper` are to be read: "" is exact, ">" with an `upper` of 96 means that
        the highest value lies above 96, "?" that nothing is known.
    k : int
        Number of studies that enter.
    unit : str
    level : float
        Level at which `confidence_interval` and the frames answer unless told otherwise.
    lowest, highest : tuple of str
        Studies that set the ends of the range.
    study, qualifier : tuple of str
        Label of each study, and how its value was printed ("=", ">", "not reached", ...).
    value_lower, value_upper : ndarray
        The printed value twice, or for an open end what the value may be.
    rounding_lower, rounding_upper : ndarray
        The same with the rounding of each printed number allowed for.
    weights : ndarray or None
        Weights as given; None for the ordinary median.
    decimals : int
        Decimals in which the values were given; text shows the median with one more at most.
    warnings : tuple of Caution
    """

    median: float
    median_lower: float
    median_upper: float
    lower: float
    upper: float
    q1: float
    q3: float
    k: int
    unit: str
    level: float
    median_sign: Sign
    lower_sign: Sign
    upper_sign: Sign
    lowest: tuple[str, ...]
    highest: tuple[str, ...]
    study: tuple[str, ...]
    qualifier: tuple[str, ...]
    value_lower: FloatArray
    value_upper: FloatArray
    rounding_lower: FloatArray
    rounding_upper: FloatArray
    weights: FloatArray | None
    decimals: int
    warnings: tuple[Caution, ...] = ()

    @property
    def pooled(self) -> bool:
        """Whether more than one study enters; the median of one is that study."""
        return self.k > 1

    @property
    def n_open(self) -> int:
        """How many of the k values are open ends."""
        return int(np.count_nonzero((self.value_lower < self.value_upper) & (self._weight > 0)))

    @property
    def quantile_type(self) -> str:
        """Definition of the quartiles, numbered as by Hyndman and Fan."""
        return "type 7" if self.weights is None else "type 2, weighted"

    @property
    def rounding_interval(self) -> Interval:
        """Where the median of the unrounded values lies, whatever the open-ended ones are."""
        bounds = np.stack([self.rounding_lower, self.rounding_upper])
        low, high = orderstats.weighted_quantile(bounds, self._weight, 0.5)
        return Interval(float(low), float(high))

    @property
    def pivotal(self) -> tuple[PivotalStudy, ...]:
        """Studies whose deletion, or rounding, moves the median or its bounds, in the order given."""
        without, rounded = self._influence()
        found = []
        for i, label in enumerate(self.study):
            # written so that nan, which is what remains when the only study is deleted, counts as a change
            deletion = not (without[0, i] == self.median_lower and without[1, i] == self.median_upper)
            if deletion or rounded[0, i] < self.median_lower or rounded[1, i] > self.median_upper:
                left, moved = Interval(*without[:, i].tolist()), Interval(*rounded[:, i].tolist())
                found.append(PivotalStudy(label, left, self._change(left), moved))
        return tuple(found)

    def confidence_interval(self, level: float | None = None) -> MedianInterval:
        """Order-statistic interval of the median: the narrowest symmetric one with coverage >= `level`.

        It regards the k studies as independent draws from a population of studies and asks where the
        median of that population lies. With open ends the limits are the outermost that are possible.

        Parameters
        ----------
        level : float, optional
            A fraction; by default the `level` of the result.
        """
        level = self.level if level is None else _validate.level(level)
        if self.weights is not None:
            reason = "an order-statistic interval is not defined for a weighted median; leave the weights out"
            return MedianInterval(math.nan, math.nan, level, math.nan, None, reason)
        found = orderstats.median_rank(self.k, level)
        rank, coverage = int(found.rank), float(found.coverage)
        if not rank:
            studies = _format.plural(self.k, "study", "studies")
            reason = (
                f"no {100 * level:g}% interval exists for the median of {studies}, it takes "
                f"{orderstats.fewest_for_median(level)}; the coverage of the range is {100 * coverage:g}%"
            )
            return MedianInterval(math.nan, math.nan, level, coverage, None, reason)
        ranks = (rank, self.k + 1 - rank)
        low = float(np.sort(self.value_lower)[ranks[0] - 1])
        high = float(np.sort(self.value_upper)[ranks[1] - 1])
        return MedianInterval(low, high, level, coverage, ranks)

    def coverage(self, level: float | None = None) -> float:
        """Exact coverage of `confidence_interval`; that of the range where no interval reaches the level."""
        return self.confidence_interval(level).coverage

    def summary_frame(self, level: float | None = None) -> pd.DataFrame:
        """One unrounded row in `unit`."""
        import pandas as pd

        interval, rounding = self.confidence_interval(level), self.rounding_interval
        row = {
            "median": self.median,
            "median_lower": self.median_lower,
            "median_upper": self.median_upper,
            "rounding_lower": rounding.lower,
            "rounding_upper": rounding.upper,
            "lower": self.lower,
            "lower_sign": self.lower_sign,
            "upper": self.upper,
            "upper_sign": self.upper_sign,
            "q1": self.q1,
            "q3": self.q3,
            "ci_lower": interval.lower,
            "ci_upper": interval.upper,
            "coverage": interval.coverage,
            "k": self.k,
            "n_open": self.n_open,
            "weighted": self.weights is not None,
            "unit": self.unit,
        }
        return pd.DataFrame([row])

    def study_frame(self) -> pd.DataFrame:
        """One unrounded row a study: its value, the ends it sets, and what it does to the median."""
        import pandas as pd

        without, rounded = self._influence()
        below = np.isin(self.qualifier, ("<", "<="))
        value = np.where(below, self.value_upper, self.value_lower)
        return pd.DataFrame(
            {
                "study": self.study,
                "value": np.where(np.array(self.qualifier) == "not reached", math.nan, value),
                "qualifier": self.qualifier,
                "value_lower": self.value_lower,
                "value_upper": self.value_upper,
                "weight": self._weight,
                "lowest": [label in self.lowest for label in self.study],
                "highest": [label in self.highest for label in self.study],
                "without_lower": without[0],
                "without_upper": without[1],
                "change": [self._change(Interval(*pair)) for pair in without.T.tolist()],
                "by_rounding_lower": rounded[0],
                "by_rounding_upper": rounded[1],
            }
        )

    def __str__(self) -> str:
        details = [] if self.weights is None else ["weighted median"]
        if self.pooled:
            details.append(f"range, {self.shown_range}")
        details.append(f"k = {self.k}" + (f", {self.n_open} open-ended" if self.n_open else ""))
        return f"{self.shown_median} ({'; '.join(details)})"

    def _repr_html_(self) -> str:
        interval = self.confidence_interval()
        limits = self.shown_span(interval.lower, interval.upper)
        coverage = f"{limits} (coverage {100 * interval.coverage:.1f}%)"
        rows = [
            ("median", self.shown_median),
            ("range", self.shown_range),
            (f"IQR ({self.quantile_type})", self.shown_span(self.q1, self.q3)),
            (f"{100 * self.level:g}% CI", interval.reason or coverage),
            ("studies", str(self.k)),
            ("lowest", ", ".join(self.lowest)),
            ("highest", ", ".join(self.highest)),
        ]
        return _format.html_table(("", "value"), rows, caption=str(self))

    @property
    def _weight(self) -> FloatArray:
        return np.ones(len(self.study)) if self.weights is None else self.weights

    def _influence(self) -> tuple[FloatArray, FloatArray]:
        """Bounds of the median without each study, and with each study at its rounding limits; shape (2, n)."""
        n = len(self.study)
        others = ~np.eye(n, dtype=np.bool_)
        values = np.stack([self.value_lower, self.value_upper])[:, None, :]
        ends = np.stack([self.rounding_lower, self.rounding_upper])[:, None, :]
        without = orderstats.weighted_quantile(values, self._weight * others, 0.5)
        rounded = orderstats.weighted_quantile(np.where(others, values, ends), self._weight, 0.5)
        return without, rounded

    def _change(self, without: Interval) -> float:
        known = without.lower == without.upper
        return without.lower - self.median if known else math.nan

    def _number(self, value: float, extra: int = 1) -> str:
        return _format.shortest(value, self.decimals + extra)

    @property
    def shown_range(self) -> str:
        """The range as text shows it, such as "31–100%"."""
        if self.lower_sign == self.upper_sign == "?":
            return "not determined"
        low, high = (
            "?" if sign == "?" else sign + self._number(value, 0)
            for sign, value in ((self.lower_sign, self.lower), (self.upper_sign, self.upper))
        )
        return _format.span(low, high, _format.unit_suffix(self.unit))

    def shown_span(self, lower: float, upper: float) -> str:
        """Two limits in `unit` as text shows them, such as those of `confidence_interval`."""
        if math.isnan(lower) and math.isnan(upper):
            return "not determined"
        low, high = ("?" if math.isnan(value) else self._number(value) for value in (lower, upper))
        return _format.span(low, high, _format.unit_suffix(self.unit))

    @property
    def shown_median(self) -> str:
        """The median as text shows it, such as "70.5%" or "between 85 and 91 months"."""
        if self.median_sign == "?":
            return "not determined"
        low, high = (self._half_units(value) for value in (self.median_lower, self.median_upper))
        if self.median_sign == "between":
            return f"between {low} and {high}{_format.unit_suffix(self.unit)}"
        text = high if self.median_sign in ("<", "≤") else low
        return f"{self.median_sign}{text}{_format.unit_suffix(self.unit, text)}"

    def _half_units(self, value: float) -> str:
        """One decimal more than the values where it is a half, as between two printed values; else as they."""
        exact = math.isfinite(value) and math.isclose(value, round(value, self.decimals + 1), abs_tol=1e-12)
        return self._number(value, 1 if exact else 0)
