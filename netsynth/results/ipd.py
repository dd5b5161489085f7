"""Patients reconstructed from a survival curve, how well they fit what was printed, and what to do with them."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, overload

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import FloatArray, IntArray, TimeUnit
from netsynth.errors import Caution, InvalidInputError
from netsynth.kernels.cell import Table
from netsynth.kernels.draws import draw_rows
from netsynth.kernels.ledger import Expected
from netsynth.kernels.product_limit import first_time_at, product_limit, restricted_mean
from netsynth.kernels.trace import Trace
from netsynth.results.ensemble import CombinedEstimate, PseudoData, PseudoEnsemble

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["CurveFit", "PointKind", "PseudoIPD"]

PointKind = Literal["clicks", "steps", "curve"]
_POINTS = {
    "clicks": "click",
    "steps": "exact corner",
    "curve": "point",
}
#: What a click can be off, as a rule; a third of it on average. Beyond it the fit is called poor.
POOR: Final = 0.03
#: Standard deviations of the rounding by which an exact corner may be missed.
EXACT: Final = 6.0
#: Share of the axis by which a click may be off in time.
READING: Final = 0.01


class CurveFit(NamedTuple):
    """How far the reconstructed curve is from the points, in probability.

    Attributes
    ----------
    rmse, mean : float
        Root of the mean square, and mean, of the absolute distances.
    largest : float
        The largest distance.
    largest_at : float
        When that is.
    bias : float
        Mean of curve less point: above 0 where the curve is too high.
    """

    rmse: float
    mean: float
    largest: float
    largest_at: float
    bias: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PseudoIPD:
    """Pseudo individual patient data, as made by `netsynth.reconstruct_ipd`.

    Times are in the unit of the picture. Arrays are read-only.

    Attributes
    ----------
    label : str
        Whose survival.
    unit : str
        Unit of time, for labels.
    time : ndarray, shape (n_total,)
        When each patient was last seen, ascending.
    event : ndarray of int, shape (n_total,)
        1 for an event, 0 for a censoring; events come first at a time.
    point_time, point_survival : ndarray, shape (m,)
        The points that were used, in their order.
    points : {"clicks", "steps", "curve"}
        What they were taken for.
    table : Table
        Numbers at risk, total events and censoring marks as they were used.
    n_events_printed : int or None
        Total events as printed, whether they could be used or not.
    trace : Trace
        The line through the points.
    expected : Expected
        Events in each interval of the table that the line stands for, before a total was used.
    n_events_by_interval : ndarray of int
        Events in each interval of the table; the last is open.
    assumptions : tuple of str
        What was assumed where nothing was printed.
    endpoint : str
        Code of what is counted, empty where it is not known.
    warnings : tuple of Caution
        What to keep in mind.
    """

    label: str
    unit: TimeUnit
    time: FloatArray
    event: IntArray
    point_time: FloatArray
    point_survival: FloatArray
    points: PointKind
    table: Table
    n_events_printed: int | None
    trace: Trace
    expected: Expected
    n_events_by_interval: IntArray
    assumptions: tuple[str, ...]
    endpoint: str = ""
    warnings: tuple[Caution, ...] = ()

    @property
    def n_total(self) -> int:
        """Patients."""
        return self.time.size

    @property
    def n_events(self) -> int:
        """Events."""
        return int(self.event.sum())

    @property
    def data(self) -> PseudoData:
        """Times and events, as analyses take them."""
        return PseudoData(self.time, self.event)

    @overload
    def survival(self, time: float) -> float: ...
    @overload
    def survival(self, time: Sequence[float] | FloatArray) -> FloatArray: ...
    def survival(self, time: float | Sequence[float] | FloatArray) -> float | FloatArray:
        """Kaplan-Meier survival of the patients; nan after the last of them unless it is then 0."""
        at = np.asarray(time, dtype=np.float64)
        fit = product_limit(self.time, self.event)
        found = _level(fit.time, fit.survival, at, "right")
        found = np.where((at <= fit.time[-1]) | (found == 0.0), found, np.nan)
        return float(found) if at.ndim == 0 else found

    @property
    def median(self) -> float:
        """First time at which survival is 1/2 or less; nan when it never is."""
        found = float(first_time_at(product_limit(self.time, self.event), 0.5))
        return found if math.isfinite(found) else math.nan

    def rmst(self, horizon: float) -> float:
        """Restricted mean survival time; nan for a horizon after the last patient."""
        h = _validate.positive_1d([horizon], "horizon", where=self.label)
        return float(restricted_mean(product_limit(self.time, self.event), h).estimate[0])

    def n_at_risk(self, time: Sequence[float] | FloatArray) -> IntArray:
        """Patients still followed at each time: those last seen then or later."""
        return self.n_total - np.searchsorted(self.time, np.asarray(time, dtype=np.float64), "left")

    @property
    def fit(self) -> CurveFit:
        """Distances of the curve from the points, a point on a vertical piece from its nearer end."""
        miss = self._misses()
        worst = int(np.argmax(np.abs(miss)))
        return CurveFit(
            float(np.sqrt(np.mean(miss**2))),
            float(np.abs(miss).mean()),
            float(abs(miss[worst])),
            float(self.point_time[worst]),
            float(miss.mean()),
        )

    def _misses(self, reach: float = 0.0) -> FloatArray:
        """Curve less point, 0 anywhere between the levels of the curve within `reach` of the point's time."""
        fit = product_limit(self.time, self.event)
        after = _level(fit.time, fit.survival, self.point_time + reach, "right")
        before = _level(fit.time, fit.survival, self.point_time - reach, "left")
        point = self.point_survival
        return np.where(point > before, before - point, np.where(point < after, after - point, 0.0))

    def points_frame(self) -> pd.DataFrame:
        """One row a point: what was read, what the patients give, and the difference."""
        import pandas as pd

        miss = self._misses()
        return pd.DataFrame(
            {
                "time": self.point_time,
                "survival": self.point_survival,
                "reconstructed": self.point_survival + miss,
                "difference": miss,
            }
        )

    def at_risk_frame(self) -> pd.DataFrame:
        """One row a number at risk: printed, reconstructed, and the events up to the next one."""
        import pandas as pd

        return pd.DataFrame(
            {
                "time": self.table.time,
                "n_at_risk": self.table.n_at_risk,
                "reconstructed": self.n_at_risk(self.table.time),
                "n_events": self.n_events_by_interval,
                "n_events_least": self.expected.least,
                "n_events_most": self.expected.most,
            }
        )

    def frame(self) -> pd.DataFrame:
        """One row a patient: time, event."""
        import pandas as pd

        return pd.DataFrame({"time": self.time, "event": self.event})

    def summary_frame(self) -> pd.DataFrame:
        """One row: counts, median, and the fit to the points."""
        import pandas as pd

        fit = self.fit
        row = {
            "n_total": self.n_total,
            "n_events": self.n_events,
            "n_events_printed": math.nan if self.n_events_printed is None else self.n_events_printed,
            "median": self.median,
            "rmse": fit.rmse,
            "mean_distance": fit.mean,
            "largest_distance": fit.largest,
            "bias": fit.bias,
            "at_risk_missed": int(np.abs(self.n_at_risk(self.table.time) - self.table.n_at_risk).max()),
        }
        return pd.DataFrame([row], index=pd.Index([self.label], name="label"))

    def kaplan_meier(self) -> Any:
        """A fitted `lifelines.KaplanMeierFitter`."""
        from netsynth._compat import kaplan_meier_fitter

        return kaplan_meier_fitter(self.time, self.event, label=self.label or "survival")

    def weibull(self) -> Any:
        """A fitted `lifelines.WeibullFitter`.

        Raises
        ------
        InvalidInputError
            If a patient left at time 0, which no Weibull distribution allows.
        """
        if self.time[0] <= 0.0:
            raise InvalidInputError(
                f"{self.label or 'weibull'}: {int((self.time <= 0).sum())} patients left at time 0, which no Weibull "
                "distribution allows. Leave them out, or use kaplan_meier()."
            )
        from netsynth._compat import weibull_fitter

        return weibull_fitter(self.time, self.event, label=self.label or "survival")

    def cox(self, other: PseudoIPD) -> Any:
        """A fitted `lifelines.CoxPHFitter` with one covariate, `group`: 1 for these patients, 0 for the other ones."""
        if other.unit != self.unit:
            raise InvalidInputError(
                f"Both arms must count time in one unit; got {self.unit} and {other.unit}."
            )
        from netsynth._compat import cox_fitter

        return cox_fitter(self.time, self.event, other.time, other.event)

    def ensemble(self, n_draws: int = 50, *, rng: np.random.Generator | int | None = 0) -> PseudoEnsemble:
        """Further data sets that the same figure could have come from, for analyses that admit what is not known.

        Each draw reads the points anew with the noise they have, puts the censorings of each interval early or late,
        and lets the hazard of censoring after the last number at risk vary; the table and a printed total are met as
        exactly as here. See the method page for the laws drawn from.

        Parameters
        ----------
        n_draws : int
            Data sets, at least two.
        rng : Generator, int or None
            Random numbers, or a seed, from which each arm makes its own; None for new ones each time.
        """
        n_draws = _validate.count(n_draws, "n_draws", where=self.label, minimum=2)
        if isinstance(rng, int):  # arms of one figure must not share their random numbers
            rng = np.random.default_rng([rng, zlib.crc32(self.time.tobytes())])
        generator = np.random.default_rng(rng)
        rows = [
            draw_rows(self.trace, self.point_time, self.table, generator, smooth=self.points == "curve")
            for _ in range(n_draws)
        ]
        return PseudoEnsemble(
            self.label, tuple(PseudoData(row.time, row.event) for row in rows), self.endpoint
        )

    def combined_rmst(self, horizon: float | None = None, *, n_draws: int = 50) -> CombinedEstimate:
        """Restricted mean survival time with an interval for sampling and reading, and the share lost to reporting.

        By default up to the last number at risk above 0, or where the curve ends.
        """
        if horizon is None:
            horizon = self._horizon()
        return self.ensemble(n_draws).rmst(horizon)

    @property
    def reporting_loss(self) -> float:
        """Share of the variance of the restricted mean that is there only because the data were not reported whole.

        0 when the figure tells the mean as well as the data would. From 50 draws, up to the last number at risk.
        """
        loss = self.combined_rmst().reporting_loss
        return float(np.asarray(loss))

    def _horizon(self) -> float:
        known = self.table.time[(self.table.n_at_risk > 0) & (self.table.time > 0)]
        return float(known[-1]) if known.size else self.table.end

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """The curve over the points, differences, and numbers at risk underneath; needs matplotlib."""
        from netsynth.plots.ipd import ipd_plot

        return ipd_plot(self, ax=ax)

    def _title(self) -> str:
        noun = _POINTS[self.points]
        return (
            f"{self.label or 'Pseudo individual patient data'}: {_format.plural(self.n_total, 'patient')}, "
            f"{_format.plural(self.n_events, 'event')}, from {_format.plural(self.point_time.size, noun)}"
        )

    def _rows(self) -> list[tuple[str, str]]:
        fit, unit = self.fit, self.unit
        at = _format.shortest(fit.largest_at, 1)
        at += _format.unit_suffix(unit, at)
        rows = [
            (
                "fit to the points",
                f"mean distance {_points(fit.mean)}, largest {_points(fit.largest)} at {at}",
            )
        ]
        missed = self.n_at_risk(self.table.time) - self.table.n_at_risk
        if self.table.time.size > 1:
            rows.append(
                (
                    "numbers at risk",
                    f"all {missed.size} met" if not missed.any() else f"{int((missed != 0).sum())} missed",
                )
            )
        rows.append(("events", self._reconciliation()))
        rows += [("assumed", text) for text in self.assumptions]
        rows.append(("verdict", self.verdict))
        return rows

    def _reconciliation(self) -> str:
        total = float(self.expected.n_events.sum())
        low, high = (float(part.sum()) for part in (self.expected.least, self.expected.most))
        alone = f"{total:.0f} ({math.floor(low + 1e-9)} to {math.ceil(high - 1e-9)} possible)"
        more = self.table.time.size > 1
        source = "the curve and the numbers at risk" if more else "the curve"
        if self.n_events_printed is None:
            allow = "allow" if more else "allows"
            return f"{self.n_events}; {source} {allow} {math.floor(low + 1e-9)} to {math.ceil(high - 1e-9)}"
        if self.n_events == self.n_events_printed:
            return f"{self.n_events} as printed; from {source} alone {alone}"
        return f"{self.n_events}, not the {self.n_events_printed} printed; from {source} {alone}"

    @property
    def verdict(self) -> str:
        """Whether the patients agree with everything printed, in words."""
        troubles = []
        exact = self.trace.is_steps
        poor = EXACT * self.trace.noise + 1e-6 if exact else POOR
        miss = np.abs(self._misses(0.0 if exact else READING * self.table.end))
        worst = int(np.argmax(miss))
        if miss[worst] > poor or miss.mean() > poor / 3.0:
            at = _format.shortest(float(self.point_time[worst]), 1)
            at += _format.unit_suffix(self.unit, at)
            troubles.append(f"the curve misses the points by up to {_points(float(miss[worst]))}, at {at}")
        if (self.n_at_risk(self.table.time) != self.table.n_at_risk).any():
            troubles.append("numbers at risk are missed")
        if self.n_events_printed is not None and self.n_events != self.n_events_printed:
            troubles.append("the printed total of events could not be met")
        if troubles:
            return "DOUBTFUL: " + _format.listing(troubles)
        known = "points"
        if self.table.time.size > 1:
            known += ", numbers at risk"
        if self.n_events_printed is not None:
            known += ", total events"
        return f"agrees with all that was given ({known})"

    def __str__(self) -> str:
        return _format.labelled_lines(self._title(), self._rows(), self.warnings)

    def _repr_html_(self) -> str:
        return _format.html_table(("", ""), self._rows(), caption=self._title())


def _level(
    time: FloatArray, survival: FloatArray, at: FloatArray, side: Literal["left", "right"]
) -> FloatArray:
    place = np.searchsorted(time, at, side)
    return np.where(place > 0, survival[np.maximum(place - 1, 0)], 1.0)


def _points(share: float) -> str:
    """A difference in percentage points."""
    return f"{_format.significant(100 * share, 2)} points"
