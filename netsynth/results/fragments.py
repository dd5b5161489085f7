"""What the printed fragments of a report say of the patients behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import JSON, FloatArray, IntArray, Interval
from netsynth.errors import Caution, InvalidInputError
from netsynth.kernels.fragments import FragmentPrior
from netsynth.kernels.intervals import Limits
from netsynth.kernels.product_limit import (
    ProductLimit,
    first_time_at,
    product_limit,
    restricted_mean,
    survival_at,
)
from netsynth.kernels.scales import EffectMeasure
from netsynth.results.ensemble import Analysis, CombinedEstimate, PseudoData, PseudoEnsemble

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["CountDistribution", "Draws", "FragmentPosterior"]

Times: TypeAlias = Sequence[float] | FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class CountDistribution:
    """Posterior distribution of a number of patients, read-only arrays of shape (k,).

    Attributes
    ----------
    value : ndarray of int
        Numbers with a probability above 0, ascending.
    probability : ndarray
        They add up to 1.
    """

    value: IntArray
    probability: FloatArray

    @property
    def mean(self) -> float:
        """Posterior mean."""
        return float(self.value @ self.probability)

    @property
    def mode(self) -> int:
        """The most probable number, the smaller of two."""
        return int(self.value[np.argmax(self.probability)])

    def of(self, count: int) -> float:
        """Probability of this number."""
        return float(self.probability[self.value == count].sum())

    def interval(self, level: float = 0.95) -> Interval:
        """Smallest numbers with at most so much probability below, and at least the rest up to them."""
        below = 0.5 * (1.0 - _validate.level(level))
        share = np.cumsum(self.probability)
        low, high = (
            self.value[min(int(np.searchsorted(share, p - 1e-12)), self.value.size - 1)]
            for p in (below, 1 - below)
        )
        return Interval(float(low), float(high))

    def __str__(self) -> str:
        low, high = self.interval()
        if low == high:
            return f"{low:.0f}"
        return f"{_format.number(self.mean, 1)} ({_format.span(f'{low:.0f}', f'{high:.0f}')})"


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Draws of a quantity from its posterior, in `value` of shape (b,) or (b, q); infinite for a time not reached."""

    value: FloatArray

    @property
    def mean(self) -> float | FloatArray:
        """Posterior mean; infinite where a draw is."""
        return _plain(self.value.mean(axis=0))

    @property
    def sd(self) -> float | FloatArray:
        """Posterior standard deviation; nan where a draw is infinite."""
        with np.errstate(invalid="ignore"):
            return _plain(self.value.std(axis=0))

    def quantile(self, p: float) -> float | FloatArray:
        """The draw below which a share p of them lies."""
        if not 0 <= p <= 1:
            raise InvalidInputError(f"p must be a share, from 0 to 1; got {p!r}.")
        return _plain(np.quantile(self.value, p, axis=0, method="inverted_cdf"))

    def interval(self, level: float = 0.95) -> Limits:
        """Quantiles with so much probability between them, and equal parts of the rest on both sides."""
        below = 0.5 * (1.0 - _validate.level(level))
        return Limits(np.asarray(self.quantile(below)), np.asarray(self.quantile(1.0 - below)))


def _plain(value: FloatArray) -> float | FloatArray:
    return float(value) if np.ndim(value) == 0 else value


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FragmentPosterior:
    """Patients that can be behind a report, as made by `netsynth.fit_fragments`.

    It holds draws of whole data sets, each with the printed number of patients and each in agreement with every limit
    that was printed. Questions about the study, such as how many had an event, are answered by their distribution over
    the draws. Questions about the population, which the patients are a sample of, are answered by `ensemble`.

    Attributes
    ----------
    label : str
        Whose patients.
    n_total : int
        How many.
    fragments : tuple of str
        What was printed, in words.
    time_months : ndarray, shape (J,)
        Times at which something is known, ascending.
    lower, upper : ndarray, shape (J,)
        Limits of the Kaplan-Meier estimate there, 0 and 1 for none.
    time : ndarray, shape (b, n_total)
        Data sets: when each patient was last seen, in months, ascending.
    event : ndarray of int, shape (b, n_total)
        1 for an event, 0 for a censoring.
    last_months : float
        Last time at which something is known. What comes later rests on the prior, see `has_tail`.
    has_tail : bool
        Whether the data sets go on after it, as they must when the number of events or the longest follow-up is
        printed; otherwise all who are left are censored there.
    is_whole : bool
        Whether they go on to the end of follow-up: to the longest, or until the printed number of events.
    log_evidence : float
        Logarithm of the probability, before anything was printed, that a study prints this. More fragments are less
        probable; compare reports only if they print the same kinds of numbers.
    log_evidence_se : float
        Error of it through the finite number of draws, roughly.
    n_effective : float
        Number of independent draws that the draws are worth, roughly and at least.
    n_distinct : int
        Draws at the first time from which those at the last one descend; few mean that distributions are rough.
    acceptance : ndarray, shape (J,)
        Share of data sets, led towards the limits, that met them at each time.
    prior : FragmentPrior
        What was assumed of hazards.
    endpoint : str
        Code of what is counted, empty where it is not known.
    warnings : tuple of Caution
        What to keep in mind.
    """

    label: str
    n_total: int
    fragments: tuple[str, ...]
    time_months: FloatArray
    lower: FloatArray
    upper: FloatArray
    time: FloatArray
    event: IntArray
    last_months: float
    has_tail: bool
    is_whole: bool
    log_evidence: float
    log_evidence_se: float
    n_effective: float
    n_distinct: int
    acceptance: FloatArray
    prior: FragmentPrior
    endpoint: str = ""
    warnings: tuple[Caution, ...] = ()

    @property
    def n_draws(self) -> int:
        """Data sets."""
        return int(self.time.shape[0])

    # --- the study

    def n_events(self, start_months: float = 0.0, stop_months: float = math.inf) -> CountDistribution:
        """Number of events after one time and up to another; by default in all."""
        inside = (self.time > start_months) & (self.time <= stop_months)
        return _distribution((inside & (self.event == 1)).sum(axis=1))

    def n_censored(self, start_months: float = 0.0, stop_months: float = math.inf) -> CountDistribution:
        """Number of censorings after one time and up to another, those still followed at the end included."""
        inside = (self.time > start_months) & (self.time <= stop_months)
        return _distribution((inside & (self.event == 0)).sum(axis=1))

    def n_at_risk(self, time_months: float) -> CountDistribution:
        """Number of patients still followed at a time."""
        return _distribution((self.time >= time_months).sum(axis=1))

    def survival(self, time_months: float | Times) -> Draws:
        """Kaplan-Meier estimate of the study at these times; nan after the last patient left."""
        at = np.asarray(time_months, dtype=np.float64)
        found = survival_at(self._fit(), at.reshape(-1)).estimate
        return Draws(found[:, 0] if at.ndim == 0 else found)

    def rmst(self, horizon_months: float) -> Draws:
        """Area under the Kaplan-Meier estimate of the study up to a horizon, in months."""
        return Draws(restricted_mean(self._fit(), np.array([float(horizon_months)])).estimate[:, 0])

    @property
    def median(self) -> Draws:
        """Median survival of the study in months; infinite where it is not reached."""
        return Draws(first_time_at(self._fit(), 0.5))

    def _fit(self) -> ProductLimit:
        return product_limit(self.time, self.event)

    # --- the population

    def ensemble(self, n_draws: int = 100, *, rng: np.random.Generator | int | None = 0) -> PseudoEnsemble:
        """Some of the data sets, chosen at random without repetition, for analyses that take their time.

        Parameters
        ----------
        n_draws : int
            At most as many as there are.
        rng : Generator or int, optional
            Random numbers or their seed.

        Raises
        ------
        InvalidInputError
            If there are fewer data sets.
        """
        count = _validate.count(n_draws, "n_draws", where=self.label, minimum=2)
        if count > self.n_draws:
            raise InvalidInputError(
                f"{self.label or 'ensemble'}: there are {self.n_draws} data sets; got n_draws = {count}. Fit with more "
                "draws."
            )
        chosen = np.sort(np.random.default_rng(rng).permutation(self.n_draws)[:count])
        draws = tuple(PseudoData(self.time[i], self.event[i]) for i in chosen)
        return PseudoEnsemble(self.label, draws, self.endpoint)

    def combine(
        self, analysis: Analysis, *, n_draws: int = 100, measure: EffectMeasure = "generic"
    ) -> CombinedEstimate:
        """Analyse some of the data sets and combine the answers by Rubin's rules; see `PseudoEnsemble.combine`."""
        return self.ensemble(n_draws).combine(analysis, measure=measure)

    # --- shown

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row an interval between times: events, censorings, at risk and survival at its end.

        Limits are those of posterior intervals.
        """
        import pandas as pd

        edges = self._edges()
        survival = self.survival(edges[1:])
        ends = survival.interval(level)
        columns: dict[str, object] = {"start_months": edges[:-1], "stop_months": edges[1:]}
        counts = {
            "n_events": [self.n_events(*pair) for pair in pairwise(edges)],
            "n_censored": [
                self.n_censored(
                    start, np.nextafter(stop, 0.0)
                )  # those followed up to the end are at risk then
                for start, stop in pairwise(edges)
            ],
            "n_at_risk": [self.n_at_risk(stop) for stop in edges[1:]],
        }
        for name, found in counts.items():
            limits = [each.interval(level) for each in found]
            columns[name] = [each.mean for each in found]
            columns[f"{name}_lower"] = [pair.lower for pair in limits]
            columns[f"{name}_upper"] = [pair.upper for pair in limits]
        columns["survival"] = survival.mean
        columns["survival_lower"], columns["survival_upper"] = ends
        return pd.DataFrame(columns)

    def to_dict(self, level: float = 0.95) -> JSON:
        """Plain dict for JSON: what was printed, what it says of each interval, and how well it was computed."""
        return {
            "label": self.label,
            "n_total": self.n_total,
            "fragments": list(self.fragments),
            "level": level,
            "intervals": [
                {name: _format.plain(value) for name, value in row.items()}
                for row in self.summary_frame(level).to_dict("records")
            ],
            "last_months": self.last_months,
            "has_tail": self.has_tail,
            "is_whole": self.is_whole,
            "log_evidence": _format.plain(self.log_evidence),
            "log_evidence_se": _format.plain(self.log_evidence_se),
            "n_draws": self.n_draws,
            "n_effective": _format.plain(self.n_effective),
            "n_distinct": self.n_distinct,
            "prior": dict(self.prior._asdict()),
            "warnings": [str(warning) for warning in self.warnings],
        }

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Survival of the study with its posterior intervals and the printed figures; needs matplotlib."""
        from netsynth.plots.fragments import fragment_plot

        return fragment_plot(self, ax=ax)

    def _edges(self) -> FloatArray:
        known = self.time_months[self.time_months <= self.last_months]
        return np.concatenate([[0.0], known])

    def _rows(self) -> list[tuple[str, str, str, str, str]]:
        edges = self._edges()
        survival = self.survival(edges[1:])
        low, high = survival.interval()
        rows = []
        for j, (start, stop) in enumerate(pairwise(edges.tolist())):
            least, most = (_format.number(100 * end[j], 1) for end in (low, high))
            rows.append(
                (
                    f"{_format.shortest(start, 2)}–{_format.shortest(stop, 2)}",
                    str(self.n_events(start, stop)),
                    str(self.n_censored(start, np.nextafter(stop, 0.0))),
                    str(self.n_at_risk(stop)),
                    f"{least}%" if least == most else _format.span(least, most, "%"),
                )
            )
        return rows

    def _title(self) -> str:
        return (
            f"{self.label or 'Fragments'}: {_format.plural(self.n_total, 'patient')}, "
            f"{_format.plural(len(self.fragments), 'printed fragment')}"
        )

    def _answers(self) -> list[str]:
        said = f"events up to {_format.shortest(self.last_months, 2)} months: {self.n_events(0.0, self.last_months)}"
        if self.has_tail:
            said += f"; in all: {self.n_events()}"
        quality = (
            f"{self.n_draws} data sets, worth {self.n_effective:.0f} independent ones; log evidence "
            f"{_format.number(self.log_evidence, 2)} (±{_format.number(self.log_evidence_se, 2)})"
        )
        return [said, quality, *map(str, self.warnings)]

    def __str__(self) -> str:
        table = _format.text_table(_HEADER, self._rows())
        return "\n".join([self._title(), *(f"  {line}" for line in [*table.splitlines(), *self._answers()])])

    def _repr_html_(self) -> str:
        return _format.html_table(_HEADER, self._rows(), caption=self._title())


_HEADER = ("months", "events", "censored", "at risk", "survival")


def _distribution(counts: IntArray) -> CountDistribution:
    value, times = np.unique(counts, return_counts=True)
    probability = times / counts.size
    for array in (value, probability):
        array.setflags(write=False)
    return CountDistribution(value, probability)
