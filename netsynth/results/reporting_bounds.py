"""What a pooled hazard ratio can be, tau2 held, when studies that say only "not significant" are not dropped."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import FloatArray, Interval
from netsynth.errors import Caution
from netsynth.kernels.intervals import critical_value
from netsynth.kernels.silent_results import Silent, held_interval, silent_limits
from netsynth.results.evidence import Stratum
from netsynth.results.pooled import PooledEffect

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["ReportingBounds", "SilentStudy"]

_GRID: Final = 33  # of tau, when it has limits
_HELD: Final = (
    "tau2 is held at one value. Estimated anew with the silent studies it can be larger and the limits wider; name its "
    "limits to see how far."
)


@dataclass(frozen=True, slots=True)
class SilentStudy:
    """A study of the factor without a ratio that can be pooled, and what its words leave possible.

    Attributes
    ----------
    study, label : str
        Id and name.
    n_patients, n_events : int or None
        As printed.
    kind : str
        "not significant" or "ratio without error": what the study tells. Otherwise why it has no limits.
    centre, lowest, highest : float
        Its log hazard ratio is `centre` and from `lowest` to `highest` of its standard errors besides; nan without
        limits.
    se_low, se_high : float
        Limits of its standard error.
    basis : str
        What they were found from.
    """

    study: str
    label: str
    n_patients: int | None
    n_events: int | None
    kind: str
    centre: float = math.nan
    lowest: float = math.nan
    highest: float = math.nan
    se_low: float = 0.0
    se_high: float = math.inf
    basis: str = ""

    @property
    def has_limits(self) -> bool:
        """Whether its words bound its effect."""
        return not math.isnan(self.centre)

    @property
    def size(self) -> str:
        """Its patients and events, in words."""
        parts = [] if self.n_patients is None else [_format.plural(self.n_patients, "patient")]
        parts += [] if self.n_events is None else [_format.plural(self.n_events, "event")]
        return ", ".join(parts) or "size not stated"

    def __str__(self) -> str:
        return f"{self.label} ({self.size}): {self.kind}{f'; {self.basis}' if self.basis else ''}"


@dataclass(frozen=True, slots=True, eq=False)
class ReportingBounds:
    r"""A pooled hazard ratio and its limits, tau2 held, over all that silent studies may have found.

    As made by `netsynth.bound_reporting`. One model is used throughout: the mean by inverse variance at the tau2 that
    is held, and its interval :math:`\mu \pm t_{k-1} / \sqrt W`. Where tau2 has limits, the widest over them counts.

    Attributes
    ----------
    factor, endpoint, stratum : str
        What was pooled.
    pooled : PooledEffect
        The studies that report a ratio; one study is handed through.
    silent : tuple of SilentStudy
        Studies without one whose words bound their effect.
    unbounded : tuple of SilentStudy
        Studies without one whose words do not.
    tau2_lower, tau2_upper : float
        Limits of the between-study variance, equal where it is held at one value.
    turning_log_hr : float
        The common log hazard ratio of the silent studies, nearest to the pooled one, at which the interval says
        something else of 1 than `held_interval`; nan when none within their reach does, or they cannot be weighed.
    turning_reason : str
        Why it is nan.
    warnings : tuple of Caution
        What to keep in mind.
    """

    factor: str
    endpoint: str
    stratum: Stratum
    pooled: PooledEffect
    silent: tuple[SilentStudy, ...]
    unbounded: tuple[SilentStudy, ...]
    tau2_lower: float
    tau2_upper: float
    turning_log_hr: float
    turning_reason: str
    warnings: tuple[Caution, ...] = ()

    @property
    def k_reported(self) -> int:
        """Studies with a ratio."""
        return self.pooled.k

    @property
    def k_silent(self) -> int:
        """Studies without one whose words bound their effect."""
        return len(self.silent)

    @property
    def k_unbounded(self) -> int:
        """Studies without one whose words do not."""
        return len(self.unbounded)

    @property
    def k_unknown_size(self) -> int:
        """Silent studies whose standard error may be anything above 0."""
        return sum(study.se_low == 0 for study in self.silent)

    @property
    def bounds(self) -> Interval:
        """Limits of the pooled log hazard ratio of all studies that have limits, at the tau2 that is held."""
        return self._limits(0.0)

    def confidence_bounds(self, level: float = 0.95) -> Interval:
        """Limits that no interval of the mean, t on k - 1 degrees of freedom and tau2 held, can go beyond.

        nan for one study.
        """
        df = self.k_reported + self.k_silent - 1.0
        critical = float(critical_value(df, _validate.level(level)))
        return Interval(math.nan, math.nan) if math.isnan(critical) else self._limits(critical)

    def held_interval(self, level: float = 0.95) -> Interval:
        """Interval of the reported studies alone by the model of the limits; one study has that of its own error."""
        df = self.k_reported - 1.0 if self.k_reported > 1 else math.inf
        critical = float(critical_value(df, _validate.level(level)))
        y, v = self.pooled.study_estimate, self.pooled.study_se**2
        return held_interval(y, v, self.tau2_grid(), critical)

    def interval_with(self, log_hr: FloatArray, level: float = 0.95) -> Interval:
        """Interval of all studies by the model of the limits, the silent ones at `log_hr` with their least error."""
        critical = float(critical_value(self.k_reported + self.k_silent - 1.0, _validate.level(level)))
        y = np.append(self.pooled.study_estimate, log_hr)
        se = np.append(self.pooled.study_se, [study.se_low for study in self.silent])
        return held_interval(y, se**2, self.tau2_grid(), critical)

    def tau2_grid(self) -> FloatArray:
        """The between-study variances that are looked at: the one that is held, or a grid between its limits."""
        ends = math.sqrt(self.tau2_lower), math.sqrt(self.tau2_upper)
        return np.linspace(*ends, 1 if ends[0] == ends[1] else _GRID) ** 2

    @property
    def natural_bounds(self) -> Interval:
        """`bounds` as hazard ratios."""
        return _natural(self.bounds)

    def natural_confidence_bounds(self, level: float = 0.95) -> Interval:
        """`confidence_bounds` as hazard ratios."""
        return _natural(self.confidence_bounds(level))

    @property
    def turning_hazard_ratio(self) -> float:
        """`turning_log_hr` as a hazard ratio."""
        return math.exp(self.turning_log_hr)

    @property
    def keeps_direction(self) -> bool:
        """Whether the pooled ratio stays on its side of 1 wherever the silent studies are."""
        low, high = self.bounds
        return low > 0 or high < 0

    def _limits(self, critical: float) -> Interval:
        y, v = self.pooled.study_estimate, self.pooled.study_se**2
        names = ("centre", "lowest", "highest", "se_low", "se_high")
        silent = Silent(*(np.array([getattr(study, name) for study in self.silent], float) for name in names))

        def ends(tau2: float) -> Interval:
            return silent_limits(y, v, silent, tau2, critical)

        grid = self.tau2_grid()
        found = [ends(tau2) for tau2 in grid.tolist()]
        lower = -_furthest(lambda tau2: -ends(tau2).lower, [-x.lower for x in found], grid)
        return Interval(lower, _furthest(lambda tau2: ends(tau2).upper, [x.upper for x in found], grid))

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row; all but the ratio that turns the conclusion on the log scale."""
        import pandas as pd

        ci = self.pooled.confidence_interval(level)
        low, high = self.bounds
        least, most = self.confidence_bounds(level)
        row = {
            "factor": self.factor,
            "endpoint": self.endpoint,
            "stratum": self.stratum,
            "k_reported": self.k_reported,
            "k_silent": self.k_silent,
            "k_unknown_size": self.k_unknown_size,
            "k_unbounded": self.k_unbounded,
            "log_hr": self.pooled.estimate,
            "ci_lower": ci.lower,
            "ci_upper": ci.upper,
            "lower": low,
            "upper": high,
            "any_ci_lower": least,
            "any_ci_upper": most,
            "tau2_lower": self.tau2_lower,
            "tau2_upper": self.tau2_upper,
            "turning_log_hr": self.turning_log_hr,
            "turning_hazard_ratio": self.turning_hazard_ratio,
        }
        return pd.DataFrame([row])

    def study_frame(self) -> pd.DataFrame:
        """One row a study without a ratio, bounded ones first."""
        import pandas as pd

        names = (
            "study",
            "label",
            "n_patients",
            "n_events",
            "kind",
            "lowest",
            "highest",
            "se_low",
            "se_high",
            "basis",
        )
        rows = [{name: getattr(study, name) for name in names} for study in (*self.silent, *self.unbounded)]
        frame = pd.DataFrame(rows, columns=list(names))
        return frame.astype({"n_patients": "Int64", "n_events": "Int64"})

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """The pooled ratio as reported, and its limits with the silent studies; needs matplotlib."""
        from netsynth.plots.reporting_bounds import reporting_bounds_plot

        return reporting_bounds_plot(self, ax=ax)

    def _rows(self) -> list[tuple[str, str]]:
        reported = f"{_format.ratio(self.pooled.natural)}   95% CI {_bracket(self.pooled.natural_interval())}"
        rows = [("as reported", f"{reported}   k = {self.k_reported}")]
        if self.silent:
            rows += self._with_the_silent()
        rows += [("silent", str(study)) for study in self.silent]
        return rows + [("without limits", str(study)) for study in self.unbounded]

    def _with_the_silent(self) -> list[tuple[str, str]]:
        any_ci = self.natural_confidence_bounds()
        within = "" if math.isnan(any_ci.lower) else f"   its 95% CI within {_bracket(any_ci)}"
        low, high = map(_format.ratio, self.natural_bounds)
        turn = self.turning_reason or (
            f"{self._turned_to} if the silent studies found a ratio of {_format.ratio(self.turning_hazard_ratio)}"
        )
        k = self.k_reported + self.k_silent
        return [
            ("with the silent", f"{_format.span(low, high)}{within}   k = {k}"),
            ("conclusion turns", turn),
        ]

    @property
    def _turned_to(self) -> str:
        low, high = self.held_interval()
        return "the 95% CI leaves out 1" if low <= 0 <= high else "the 95% CI includes 1"

    def _title(self) -> str:
        where = f"{self.factor}, {self.endpoint.replace('_', ' ')}, {self.stratum}"
        return f"Reporting bounds of a hazard ratio: {where}; {self.tau2_words}"

    @property
    def tau2_words(self) -> str:
        """For which between-study variance the limits hold."""
        low, high = map(_format.significant, (self.tau2_lower, self.tau2_upper))
        return f"tau2 held at {low}" if self.tau2_lower == self.tau2_upper else f"tau2 from {low} to {high}"

    def __str__(self) -> str:
        held = [_HELD] if self.silent and self.tau2_lower == self.tau2_upper else []
        return _format.labelled_lines(self._title(), self._rows(), [*held, *self.warnings])

    def _repr_html_(self) -> str:
        return _format.html_table(("", ""), self._rows(), caption=self._title())


def _furthest(end: Callable[[float], float], values: list[float], grid: FloatArray) -> float:
    """The largest end over tau2: the best of the grid, and then between its neighbours."""
    from scipy.optimize import minimize_scalar

    best = int(np.argmax(values))
    if len(values) == 1:
        return values[0]
    near = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, grid.size - 1)])
    found = minimize_scalar(lambda tau2: -end(float(tau2)), bounds=near, method="bounded")
    return max(values[best], -float(found.fun))


def _natural(ends: Interval) -> Interval:
    return Interval(math.exp(ends.lower), math.exp(ends.upper))


def _bracket(ends: Interval) -> str:
    return f"[{_format.ratio(ends.lower)}, {_format.ratio(ends.upper)}]"
