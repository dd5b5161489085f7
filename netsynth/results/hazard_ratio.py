"""A log hazard ratio and every way that what is printed leaves to it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np
from scipy.special import chdtrc

from netsynth import _format, _validate
from netsynth._typing import Interval
from netsynth.errors import Caution
from netsynth.kernels import intervals
from netsynth.kernels.hazard_ratio_routes import RouteFamily

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = [
    "ADJUSTMENTS",
    "ROUTES",
    "Adjustment",
    "Bound",
    "HazardRatioEstimate",
    "HazardRatioRoute",
    "MissedRoute",
    "RouteName",
    "Step",
]

RouteName = Literal[
    "confidence interval",
    "upper limit",
    "lower limit",
    "p-value",
    "bound on the p-value",
    "observed minus expected",
    "reconstructed patients",
    "ratio and events by arm",
    "ratio, events and patients",
    "ratio and events",
    "chi-squared and events by arm",
    "chi-squared, events and patients",
    "chi-squared and events",
    "p-value and events by arm",
    "p-value, events and patients",
    "p-value and events",
    "numbers at risk",
    "follow-up",
    "observed over expected",
    "restricted means",
    "landmarks",
    "medians",
]
#: Every way, the most direct first, with the family whose method error it has.
ROUTES: Final[Mapping[RouteName, RouteFamily]] = MappingProxyType(
    {
        "confidence interval": "direct",
        "upper limit": "direct",
        "lower limit": "direct",
        "p-value": "direct",
        "bound on the p-value": "direct",
        "observed minus expected": "observed minus expected",
        "reconstructed patients": "direct",
        "ratio and events by arm": "direct",
        "ratio, events and patients": "direct",
        "ratio and events": "direct",
        "chi-squared and events by arm": "events by arm",
        "chi-squared, events and patients": "events and patients",
        "chi-squared and events": "events",
        "p-value and events by arm": "events by arm",
        "p-value, events and patients": "events and patients",
        "p-value and events": "events",
        "numbers at risk": "numbers at risk",
        "follow-up": "follow-up",
        "observed over expected": "observed over expected",
        "restricted means": "restricted means",
        "landmarks": "landmarks",
        "medians": "medians",
    }
)
Adjustment = Literal["none", "minimal", "full", "not stated"]
ADJUSTMENTS: Final[tuple[Adjustment, ...]] = ("none", "minimal", "full", "not stated")
#: What a bound on p leaves open: the standard error, or the ratio itself.
Bound = Literal["", "standard error", "ratio"]


#: What stands before a ratio.
_SIDES: Final = MappingProxyType({-1: "at most ", 0: "", 1: "at least "})
_UNDEFINED: Final = Interval(math.nan, math.nan)


def _natural(log: Interval) -> Interval:
    return Interval(math.exp(log.lower), math.inf if log.upper == math.inf else math.exp(log.upper))


class Step(NamedTuple):
    """One transformation in words, and the number it gave."""

    words: str
    value: float

    def __str__(self) -> str:
        return f"{self.words}: {_format.significant(self.value, 4)}"


class MissedRoute(NamedTuple):
    """A way that what is printed does not leave, and why."""

    name: RouteName
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HazardRatioRoute:
    """One way to the log hazard ratio of the exposed against the reference group.

    Attributes
    ----------
    name : str
        A name of `ROUTES`.
    printed : str
        What it starts from, as it was read.
    verbatim : str
        The same as it was given, argument by argument and word for word; empty for records and curves.
    log_hr : float
        The estimate; with a bound on p its value at the bound.
    variance : float
        Of sampling.
    rounding_variance : float
        What rounding of the printed numbers adds.
    method_variance : float
        Mean square of the difference from Cox's fit of the same patients, from simulated trials.
    log_hr_interval, variance_interval : Interval
        What `log_hr` and `variance` may be for all that the printed digits may stand for; infinite where a bound leaves
        them open.
    is_adjusted : bool
        Whether it speaks of a ratio adjusted for covariates.
    bound : {"", "standard error", "ratio"}
        What a p-value printed as a bound leaves open.
    steps : tuple of Step
        From the print to the estimate.
    assumptions : tuple of str
        What it takes for granted.
    criterion : float
        What the choice looks at: the variances together; see `HazardRatioEstimate`.
    distance : float
        How many standard deviations, of method and rounding, the estimate lies from the chosen one; nan for the chosen
        one, for one that starts from the same ratio, and for one that speaks of another ratio.
    """

    name: RouteName
    printed: str
    verbatim: str
    log_hr: float
    variance: float
    rounding_variance: float
    method_variance: float
    log_hr_interval: Interval
    variance_interval: Interval
    is_adjusted: bool
    bound: Bound
    steps: tuple[Step, ...]
    assumptions: tuple[str, ...]
    criterion: float = math.nan
    distance: float = math.nan

    @property
    def se(self) -> float:
        """Standard error of sampling, rounding and method together."""
        return math.sqrt(self.variance + self.rounding_variance + self.method_variance)

    @property
    def natural(self) -> float:
        """The hazard ratio."""
        return math.exp(self.log_hr)

    @property
    def side(self) -> int:
        """1 if the ratio is known to be at least what is given, -1 if at most, 0 if it is known itself."""
        if self.bound != "ratio":
            return 0
        return 1 if self.log_hr_interval.upper == math.inf else -1

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """Wald interval for sampling, rounding and method; open on the far side where the ratio is bounded only."""
        return self._interval(self.se, level)

    def sampling_interval(self, level: float = 0.95) -> Interval:
        """Wald interval for sampling alone, which is what papers print."""
        return self._interval(math.sqrt(self.variance), level)

    def natural_interval(self, level: float = 0.95) -> Interval:
        """`confidence_interval` as hazard ratios."""
        return _natural(self.confidence_interval(level))

    def _interval(self, se: float, level: float) -> Interval:
        ends = intervals.limits(np.asarray(self.log_hr), np.asarray(se), math.inf, _validate.level(level))
        low, high = float(ends.lower), float(ends.upper)
        return Interval(-math.inf if self.side < 0 else low, math.inf if self.side > 0 else high)

    def __str__(self) -> str:
        return (
            f"{self.name}: HR {_SIDES[self.side]}{_format.ratio(self.natural)}, log {_format.number(self.log_hr, 3)}, "
            f"standard error {'at most ' if self.bound == 'standard error' else ''}{_format.number(self.se, 3)}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HazardRatioEstimate:
    """The hazard ratio of two groups from what a study prints of them, as made by `netsynth.hazard_ratio`.

    Ratios are logarithms, but for what is called natural; above 0 the exposed group does worse. Of the ways that give
    the ratio asked for, the one with the least sum of variances is chosen; sums within a factor of 1.5 are ties, and
    then the more direct way is. Ways are never averaged: they use the same patients.

    Attributes
    ----------
    label : str
        Whose ratio, of what.
    exposed, reference : str
        The groups.
    adjusted : {"none", "minimal", "full", "not stated"}
        What the chosen ratio is adjusted for.
    covariates : tuple of str
        As named.
    routes : tuple of HazardRatioRoute
        All ways, the chosen one first; after those that give the ratio asked for come those that give another.
    missed : tuple of MissedRoute
        The other ways, and what they lack.
    disagreement, disagreement_df : float, int
        Sum of the squared distances of the other ways from the chosen one, and how many there are.
    disagrees : bool
        Whether that is more than chance gives in one trial of a hundred, and more than a quarter of a standard error.
    is_lopsided : bool
        Whether, however the numbers were rounded, the printed ratio is not the geometric mean of its limits.
    problem : str
        Why there is no estimate; empty when there is one.
    source, row_id : str
        Where it is printed, and the row of a record.
    warnings : tuple of Caution
        What to keep in mind.
    """

    label: str
    exposed: str
    reference: str
    adjusted: Adjustment
    covariates: tuple[str, ...]
    routes: tuple[HazardRatioRoute, ...]
    missed: tuple[MissedRoute, ...]
    disagreement: float = math.nan
    disagreement_df: int = 0
    disagrees: bool = False
    is_lopsided: bool = False
    problem: str = ""
    source: str = ""
    row_id: str = ""
    warnings: tuple[Caution, ...] = ()

    @property
    def chosen(self) -> HazardRatioRoute | None:
        """The way that was chosen; None without any."""
        return self.routes[0] if self.routes else None

    @property
    def route(self) -> RouteName | Literal[""]:
        """Name of the way that was chosen."""
        return "" if self.chosen is None else self.chosen.name

    @property
    def estimate(self) -> float:
        """The log hazard ratio; nan when it cannot be had, and the end nearest to 0 when it is bounded only."""
        return math.nan if self.chosen is None else self.chosen.log_hr

    @property
    def se(self) -> float:
        """Its standard error, for sampling, rounding and method; nan when it cannot be had."""
        return math.nan if self.chosen is None else self.chosen.se

    @property
    def bound(self) -> Bound:
        """What is bounded only: nothing, the standard error from above, or the ratio on the side of no difference."""
        return "" if self.chosen is None else self.chosen.bound

    def confidence_interval(self, level: float = 0.95) -> Interval:
        """Wald interval for sampling, rounding and method; open on the far side where the ratio is bounded only."""
        level = _validate.level(level)
        return _UNDEFINED if self.chosen is None else self.chosen.confidence_interval(level)

    def sampling_interval(self, level: float = 0.95) -> Interval:
        """Wald interval for sampling alone, which is what papers print."""
        level = _validate.level(level)
        return _UNDEFINED if self.chosen is None else self.chosen.sampling_interval(level)

    @property
    def natural(self) -> float:
        """The hazard ratio."""
        return math.exp(self.estimate)

    def natural_interval(self, level: float = 0.95) -> Interval:
        """`confidence_interval` as hazard ratios."""
        return _natural(self.confidence_interval(level))

    @property
    def place(self) -> str:
        """Source and row in words; empty when neither is known."""
        return ", ".join(each for each in (self.source, self.row_id and f"row {self.row_id}") if each)

    @property
    def alternatives(self) -> tuple[HazardRatioRoute, ...]:
        """The ways that were not chosen."""
        return self.routes[1:]

    @property
    def disagreement_pvalue(self) -> float:
        """Upper tail of chi-squared at `disagreement`; nan without another way to compare with."""
        return float(chdtrc(self.disagreement_df, self.disagreement)) if self.disagreement_df else math.nan

    def summary_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One unrounded row on the log scale."""
        import pandas as pd

        low, high = self.confidence_interval(level)
        chosen = self.chosen
        parts = (math.nan,) * 3
        if chosen is not None:
            parts = (chosen.variance, chosen.rounding_variance, chosen.method_variance)
        row = {
            "exposed": self.exposed,
            "reference": self.reference,
            "adjusted": self.adjusted,
            "covariates": "; ".join(self.covariates),
            "estimate": self.estimate,
            "se": self.se,
            "ci_lower": low,
            "ci_upper": high,
            "route": self.route,
            "bound": self.bound,
            "variance": parts[0],
            "rounding_variance": parts[1],
            "method_variance": parts[2],
            "n_routes": len(self.routes),
            "disagreement": self.disagreement,
            "disagreement_df": self.disagreement_df,
            "disagreement_pvalue": self.disagreement_pvalue,
            "problem": self.problem,
            "source": self.source,
            "row_id": self.row_id,
        }
        return pd.DataFrame([row], index=pd.Index([self.label], name="label"))

    def routes_frame(self) -> pd.DataFrame:
        """One unrounded row a way, the chosen one first, then the others, then those missed with the reason."""
        import pandas as pd

        rows: list[dict[str, object]] = [
            {
                "feasible": True,
                "chosen": route is self.chosen,
                "log_hr": route.log_hr,
                "se": route.se,
                "log_hr_lower": route.log_hr_interval.lower,
                "log_hr_upper": route.log_hr_interval.upper,
                "variance": route.variance,
                "variance_lower": route.variance_interval.lower,
                "variance_upper": route.variance_interval.upper,
                "rounding_variance": route.rounding_variance,
                "method_variance": route.method_variance,
                "is_adjusted": route.is_adjusted,
                "bound": route.bound,
                "criterion": route.criterion,
                "distance": route.distance,
                "printed": route.printed,
                "verbatim": route.verbatim,
                "assumptions": "; ".join(route.assumptions),
                "reason": "",
            }
            for route in self.routes
        ]
        rows += [{"feasible": False, "chosen": False, "reason": route.reason} for route in self.missed]
        names = [*(route.name for route in self.routes), *(route.name for route in self.missed)]
        return pd.DataFrame(rows, index=pd.Index(names, name="route"))

    def steps_frame(self) -> pd.DataFrame:
        """One row a step of each way, from the print to the log hazard ratio."""
        import pandas as pd

        rows = [
            {"route": route.name, "step": i, "words": step.words, "value": step.value}
            for route in self.routes
            for i, step in enumerate(route.steps, start=1)
        ]
        frame = pd.DataFrame(rows, columns=["route", "step", "words", "value"])
        return frame.set_index(["route", "step"])

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """A forest of all ways; see `netsynth.plots.hazard_ratio.routes_plot`."""
        from netsynth.plots.hazard_ratio import routes_plot

        return routes_plot(self, ax=ax)

    def __str__(self) -> str:
        title = f"{self.label}: " if self.label else ""
        pair = f"hazard ratio of {self.exposed} against {self.reference}"
        chosen = self.chosen
        if chosen is None:
            return f"{title}no {pair}: {self.problem}"
        low, high = self.natural_interval()
        adjusted = "" if self.adjusted == "not stated" else f", adjusted: {self.adjusted}"
        lines = [
            f"{title}{pair} {_SIDES[chosen.side]}{_format.ratio(self.natural)} "
            f"(95% CI {_format.span(_format.ratio(low), _format.ratio(high))}){adjusted}",
            f"  from {chosen.printed}, by {chosen.name}",
            *([f"    as given: {chosen.verbatim}"] if chosen.verbatim else []),
            *([f"    source: {self.place}"] if self.place else []),
            *(f"    {step}" for step in chosen.steps),
            f"  standard error {_format.number(chosen.se, 3)}: "
            f"sampling {_format.number(math.sqrt(chosen.variance), 3)}, "
            f"rounding {_format.number(math.sqrt(chosen.rounding_variance), 3)}, "
            f"method {_format.number(math.sqrt(chosen.method_variance), 3)}",
        ]
        lines += ["  other ways:"] if self.alternatives else []
        lines += [f"    {route}{self._apart(route)}" for route in self.alternatives]
        if self.disagreement_df:
            p = _format.pvalue(self.disagreement_pvalue)
            lines.append(
                f"  disagreement {_format.number(self.disagreement, 2)} on {self.disagreement_df} df, {p}"
            )
        return "\n".join([*lines, *(f"  {each}" for each in self.warnings)])

    def _apart(self, route: HazardRatioRoute) -> str:
        if self.chosen is not None and route.is_adjusted != self.chosen.is_adjusted:
            return f"; another ratio, {'adjusted' if route.is_adjusted else 'not adjusted'}"
        return ""

    def _repr_html_(self) -> str:
        rows = [
            (route.name, _format.ratio(route.natural), _format.number(route.se, 3), route.printed)
            for route in self.routes
        ]
        rows += [(route.name, "", "", route.reason) for route in self.missed]
        return _format.html_table(("way", "HR", "SE of log", "from"), rows, caption=str(self).splitlines()[0])
