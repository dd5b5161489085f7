"""A pooled curve fitted again to studies drawn with replacement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from netsynth import _format, _parallel, _validate
from netsynth._typing import FloatArray, Interval
from netsynth.errors import InvalidInputError
from netsynth.kernels import curve_band
from netsynth.kernels.curve_band import Between
from netsynth.kernels.intervals import Limits
from netsynth.kernels.summary_curve import summary_curve
from netsynth.results import pooled_curve_intervals as answers

if TYPE_CHECKING:
    import pandas as pd

    from netsynth.results.pooled_curve import PooledCurve

__all__ = ["CurveBootstrap", "bootstrap_curve"]

#: Numbers in one array of a chunk: it bounds memory and keeps the arrays in cache.
_CHUNK: Final = 1 << 20
_LEAST: Final = 100  # replicates


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CurveBootstrap:
    """Replicates of a pooled curve, from `PooledCurve.bootstrap`.

    Intervals are percentiles of the replicates. At a late time only those count in which some study reaches it.

    Attributes
    ----------
    time_months : ndarray, shape (m,)
        Times of the estimates.
    survival : ndarray, shape (n, m)
        Survival in each replicate, read-only; nan at times that none of its studies reaches.
    interpolation : {"survival", "hazard"}
        What is linear between the times.
    """

    time_months: FloatArray
    survival: FloatArray
    interpolation: Between

    @property
    def n_replicates(self) -> int:
        """Number of replicates."""
        return len(self.survival)

    @property
    def share_known(self) -> FloatArray:
        """Share of the replicates that reach each time, shape (m,)."""
        return np.asarray(np.isfinite(self.survival).mean(axis=0))

    def confidence_band(
        self, level: float = 0.95, time_months: Sequence[float] | FloatArray | None = None
    ) -> Limits:
        """Percentile limits of survival at these times, by default those of the estimates; each for itself."""
        level = _validate.level(level)
        values = self.survival
        if time_months is not None:
            time = answers.times_of(time_months, "time_months")
            values = curve_band.survival_at(self.time_months, self.survival, time, self.interpolation)
        ends = [_quantile(values, 0.5 * (1.0 - sign * level)) for sign in (1, -1)]
        return Limits(*ends)

    def quantile_interval(self, p: float, level: float = 0.95) -> Interval:
        """Percentile limits of a quantile of survival time; infinite where so many replicates do not reach it."""
        share, level = answers.share_of(p), _validate.level(level)
        found = curve_band.time_at(
            self.time_months, self.survival, np.array([1.0 - share]), self.interpolation
        )[:, 0]
        order = np.sort(np.where(np.isnan(found), np.inf, found))  # a curve that ends above reaches it later
        ends = [order[_rank(order.size, 0.5 * (1.0 - sign * level))] for sign in (1, -1)]
        return Interval(float(ends[0]), float(ends[1]))

    def median_interval(self, level: float = 0.95) -> Interval:
        """`quantile_interval` of the median."""
        return self.quantile_interval(0.5, level)

    def rmst_interval(self, horizon_months: float, level: float = 0.95) -> Interval:
        """Percentile limits of the restricted mean, of the replicates that reach the horizon."""
        level = _validate.level(level)
        horizon = float(answers.times_of(horizon_months, "horizon_months")[0])
        found = curve_band.area(self.time_months, self.survival, horizon, self.interpolation)
        ends = [_quantile(found[:, None], 0.5 * (1.0 - sign * level))[0] for sign in (1, -1)]
        return Interval(float(ends[0]), float(ends[1]))

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row a time."""
        import pandas as pd

        lower, upper = self.confidence_band(level)
        return pd.DataFrame(
            {
                "time_months": self.time_months,
                "ci_lower": lower,
                "ci_upper": upper,
                "share_known": self.share_known,
            }
        )

    def __str__(self) -> str:
        lower, upper = self.median_interval()
        ends = f"{_format.number(lower, 1)}{_format.EN_DASH}{_format.number(upper, 1)}"
        return f"{self.n_replicates} replicates of the curve: median, 95% percentile interval {ends} months"


def _rank(n: int, share: float) -> int:
    return min(n - 1, max(0, math.ceil(share * (n + 1)) - 1))


def _quantile(values: FloatArray, share: float) -> FloatArray:
    """Of each column, without nan; nan where there is nothing else."""
    known = np.isfinite(values).any(axis=0)
    found = np.full(values.shape[1], np.nan)
    if known.any():
        found[known] = np.nanquantile(values[:, known], share, axis=0)
    return found


class _Chunk(NamedTuple):
    source: np.random.Generator
    n: int


def _fit(survival: FloatArray, n_at_start: FloatArray, random: bool, chunk: _Chunk) -> FloatArray:
    """Survival of so many replicates, shape (n, m)."""
    drawn = chunk.source.integers(0, len(survival), (chunk.n, len(survival)))
    return np.exp(summary_curve(survival[drawn], n_at_start[drawn], random=random).log_survival)


def bootstrap_curve(
    curve: PooledCurve, n_replicates: int, rng: np.random.Generator | int | None
) -> CurveBootstrap:
    """Draw studies anew and fit; see `PooledCurve.bootstrap`."""
    n = _validate.count(n_replicates, "n_replicates", minimum=_LEAST)
    if curve.method != "summary":
        raise InvalidInputError(
            f"bootstrap refits the summary curve; this one is by method {curve.method!r}. "
            "Use pool_survival(method='summary'), or the intervals of this curve."
        )
    if curve.k < 2:
        raise InvalidInputError("bootstrap draws studies, so it takes at least two; got 1.")
    shape = curve.k, curve.time_months.size
    survival, n_at_start = np.full(shape, np.nan), np.full(shape, np.nan)
    for i, study in enumerate(curve.study_curves):
        survival[i, : study.survival.size] = study.survival
        n_at_start[i, : study.survival.size] = study.n_at_start
    rows = max(1, _CHUNK // (shape[0] * shape[1] ** 2))
    starts = range(0, n, rows)
    try:
        sources = np.random.default_rng(rng).spawn(len(starts))
    except (TypeError, ValueError):
        raise InvalidInputError(
            f"rng must be a seed, a numpy Generator that can spawn others, or None; got {rng!r:.80}."
        ) from None
    random = bool(np.isfinite(curve.between).any())
    chunks = [_Chunk(source, min(rows, n - start)) for source, start in zip(sources, starts, strict=True)]
    work = partial(_fit, survival, n_at_start, random)
    found = np.concatenate(_parallel.map_chunks(work, chunks, description="replicates"))
    found.setflags(write=False)
    return CurveBootstrap(time_months=curve.time_months, survival=found, interpolation=curve.interpolation)
