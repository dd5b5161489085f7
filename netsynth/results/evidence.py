"""The evidence on one prognostic factor: results of studies in harmonised words, counted and pooled."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal

import numpy as np

from netsynth import _format
from netsynth._typing import Interval
from netsynth.data.factor import SIGNIFICANCES, Analysis, Direction, Significance
from netsynth.data.harmonise import Orientation
from netsynth.data.marker import CutPoint, MarkerScale
from netsynth.data.number import ReportedNumber
from netsynth.data.selection import Exclusion
from netsynth.data.study import Group
from netsynth.kernels import intervals
from netsynth.results.directions import DirectionCount
from netsynth.results.factor_cuts import different_cut_points, shown_cut_point
from netsynth.results.factor_digits import shown_log_ratio
from netsynth.results.hazard_ratio import RouteName
from netsynth.results.pooled import PooledEffect

__all__ = [
    "ANY_ENDPOINT",
    "INFERRED",
    "OTHER_SCALE",
    "STRATA",
    "DirectionBasis",
    "FactorEvidence",
    "FactorRow",
    "HazardRatios",
    "Stratum",
]

Stratum = Literal["adjusted", "matched", "unadjusted", "not stated"]
DirectionBasis = Literal["hazard ratio", "stated", "named adverse level", ""]
#: Analyses that may be pooled together. A matched analysis speaks of the patients that found a match, so it is kept
#: from a multivariable one; what a source does not call adjusted or not stays by itself.
STRATA: Final[Mapping[Stratum, tuple[Analysis, ...]]] = MappingProxyType(
    {
        "adjusted": ("multivariable",),
        "matched": ("matched",),
        "unadjusted": ("univariable",),
        "not stated": ("not stated",),
    }
)
#: Basis of a direction that no source states.
INFERRED: Final[DirectionBasis] = "named adverse level"
#: Kind of an exclusion: a ratio per step among ratios of groups, or of another step.
OTHER_SCALE: Final = "another scale"
#: Endpoint of the rows that count each study once over all endpoints.
ANY_ENDPOINT: Final = "any"
_LEVEL: Final = 0.95  # of an interval that names none


@dataclass(frozen=True, slots=True)
class FactorEvidence:
    """One result of one study, in harmonised words and turned to the adverse level.

    Attributes
    ----------
    study, label : str
        Id and name of the study.
    printed_factor, printed_adverse, printed_reference : str
        In the paper's words; empty when a level is not stated.
    factor, adverse_level, reference_level : str
        In harmonised words.
    orientation : str
        How the printed levels stand to the harmonised ones; see `HarmonisedResult`.
    endpoint : str
        Code of the endpoint.
    analysis : str
        "univariable", "multivariable", "matched" or "not stated".
    adjusted_for : tuple of str
        Covariates the paper names.
    group : Group
        The patients; `n_patients` is their number where it is printed.
    printed_ratio : str
        The hazard ratio and its interval as printed.
    ratio_inverted : bool
        Whether the printed ratio speaks of the harmonised reference level, so that `log_hr` has its sign changed.
    log_hr, log_ci_lower, log_ci_upper : float
        Logarithm of the hazard ratio of the adverse against the reference level and of its printed limits;
        nan where not printed.
    se : float
        Standard error of `log_hr`, rounding of the ratio included; nan when it cannot be had.
    se_route : str
        What `se` was found from.
    se_problem : str
        Why `se` cannot be had although a ratio is printed.
    pvalue : ReportedNumber or None
        As printed, with its qualifier.
    significance : {"yes", "no", "not tested", "not stated"}
        As the source puts it.
    direction : {"worse", "better", "none", "not stated"}
        How the adverse level fares.
    direction_basis : str
        What `direction` was read from: the hazard ratio, the source's words, or only which level a
        significant result names as adverse.
    level_rank : int
        Order of several levels of one factor, the most adverse first.
    mixed : bool
        Whether other wordings of the factor may stand for another comparison.
    source, row_id : str
        Where the result stands.
    left_out : str
        Why the result is not counted; empty when it is.
    n_events : int or None
        Events among the patients analysed, where they are printed.
    events_by_level : tuple of (int, int) or None
        Those of the adverse and of the reference level.
    cluster : str
        Id that studies which may share patients have in common; that of the study itself where there is no other.
    cut_points : tuple of CutPoint
        Those that the printed levels name.
    is_cut_point_chosen : bool
        Whether the source says that the cut-point was chosen by the outcome.
    ci_level : float
        Level of the printed interval; nan where none is printed.
    scale : MarkerScale or None
        The step that the ratio of a continuous factor speaks of; None for groups.
    scale_factor : float
        What the printed logarithms and their error were multiplied by to bring them to `scale`.
    other_direction, other_basis, direction_from : str
        If the counted result has no direction: that of another result of its study, what it was read from, and which
        result that is.
    """

    study: str
    label: str
    printed_factor: str
    printed_adverse: str
    printed_reference: str
    factor: str
    adverse_level: str
    reference_level: str
    orientation: Orientation
    endpoint: str
    analysis: Analysis
    adjusted_for: tuple[str, ...]
    group: Group
    printed_ratio: str
    ratio_inverted: bool
    log_hr: float
    log_ci_lower: float
    log_ci_upper: float
    se: float
    se_route: RouteName | Literal[""]
    se_problem: str
    pvalue: ReportedNumber | None
    significance: Significance
    direction: Direction
    direction_basis: DirectionBasis
    level_rank: int = 0
    mixed: bool = False
    source: str = ""
    row_id: str = ""
    left_out: str = ""
    n_events: int | None = None
    events_by_level: tuple[int, int] | None = None
    cluster: str = ""
    cut_points: tuple[CutPoint, ...] = ()
    is_cut_point_chosen: bool = False
    ci_level: float = math.nan
    scale: MarkerScale | None = None
    scale_factor: float = 1.0
    other_direction: Direction = "not stated"
    other_basis: DirectionBasis = ""
    direction_from: str = ""

    @property
    def n_patients(self) -> int | None:
        """Patients analysed; None when not printed."""
        return self.group.n_total

    @property
    def voted_direction(self) -> Direction:
        """The direction that is counted: its own, else that of another result of its study."""
        return self.other_direction if self.direction_from else self.direction

    @property
    def voted_basis(self) -> DirectionBasis:
        """What `voted_direction` was read from."""
        return self.other_basis if self.direction_from else self.direction_basis

    @property
    def printed_levels(self) -> str:
        """The two levels in the paper's words, turned as the harmonised ones are."""
        levels = (self.printed_adverse, self.printed_reference)
        pair = [level for level in levels[:: -1 if self.orientation == "inverted" else 1] if level]
        return " vs ".join(pair) or "not stated"

    @property
    def stratum(self) -> Stratum:
        """The analyses this one may be pooled with."""
        return next(name for name, analyses in STRATA.items() if self.analysis in analyses)

    @property
    def is_not_significant(self) -> bool:
        """Whether the source calls it so, or prints a p-value of 0.05 or more and says nothing."""
        p = self.pvalue
        over = p is not None and p.qualifier in ("=", ">", ">=") and p.value >= 0.05
        return self.significance == "no" or (self.significance == "not stated" and over)

    @property
    def is_derived(self) -> bool:
        """Whether the hazard ratio is not printed but computed, as from a p-value and events."""
        return not self.printed_ratio and not math.isnan(self.log_hr)

    @property
    def ratio(self) -> str:
        """The hazard ratio of the adverse level as printed; inverted in as many digits, derived in two, marked so."""
        if self._as_printed:
            return self.printed_ratio
        if self.is_derived:
            return f"{self.shown_ratio} ({self.shown_limits()}), from {self.computed_from()}"
        ends = Interval(self.log_ci_lower, self.log_ci_upper)
        shown, low, high = (self._shown(log, ends) for log in (self.log_hr, *ends))
        if math.isnan(sum(ends)):
            return shown
        other = "" if math.isclose(self.ci_level, _LEVEL) else f"{_percent(self.ci_level)} CI "
        return f"{shown} ({other}{_format.span(low, high)})"

    @property
    def shown_ratio(self) -> str:
        """The hazard ratio of the adverse level without an interval."""
        if self._as_printed:
            return self.printed_ratio.partition(" (")[0]
        return self._shown(self.log_hr, self.limits())

    def limits(self, level: float = 0.95) -> Interval:
        """Limits of `log_hr`: as printed where they are printed at that level, else of Wald from `se`.

        This is the one interval of a study that stands alone, in tables, worksheets and frames.
        """
        if self._is_printed_at(level):
            return Interval(self.log_ci_lower, self.log_ci_upper)
        ends = intervals.limits(np.asarray(self.log_hr), np.asarray(self.se), math.inf, level)
        return Interval(float(ends.lower), float(ends.upper))

    def shown_limits(self, level: float = 0.95) -> str:
        """`limits` for people, in the paper's digits where it prints them; empty where there are none."""
        if self._is_printed_at(level) and self._as_printed:
            return self.printed_ratio.partition(" (")[2].removesuffix(")").rpartition("% CI ")[2]
        low, high = ends = self.limits(level)
        return "" if math.isnan(low + high) else _format.span(self._shown(low, ends), self._shown(high, ends))

    def computed_from(self, level: float = 0.95) -> str:
        """What `limits` are computed from, and the ratio where it is not printed; empty where they are as printed."""
        if self._is_printed_at(level):
            return ""
        if self.se_route == "confidence interval":
            return f"its {_percent(self.ci_level)} CI"
        if self.se_route == "bound on the p-value":
            return "the bound on p, at its widest"
        the = "the " if self.se_route in ("upper limit", "lower limit") else ""
        return the + self.se_route.replace("p-value", "p")

    @property
    def _as_printed(self) -> bool:
        """Whether what is shown is the printed text."""
        return bool(self.printed_ratio) and not self.ratio_inverted and self.scale_factor == 1.0

    def _shown(self, log: float, ends: Interval) -> str:
        printed = (
            self.printed_ratio if self.scale_factor == 1.0 else ""
        )  # a step of another size has other digits
        return shown_log_ratio(log, self.log_hr, ends, printed)

    def _is_printed_at(self, level: float) -> bool:
        both = not math.isnan(self.log_ci_lower + self.log_ci_upper)
        return both and math.isclose(self.ci_level, level)

    @property
    def printed_pvalue(self) -> str:
        """The p-value with its sign, such as "= 0.005" or "< 0.05"; empty when not printed."""
        return "" if self.pvalue is None else f"{self.pvalue.qualifier} {self.pvalue.text}"

    def as_row(self) -> dict[str, object]:
        """The columns of `FactorSummary.evidence_frame`."""
        return {
            "factor": self.factor,
            "endpoint": self.endpoint,
            "study": self.study,
            "row_id": self.row_id,
            "n_patients": self.n_patients,
            "n_events": self.n_events,
            "adverse_level": self.adverse_level,
            "reference_level": self.reference_level,
            "printed_factor": self.printed_factor,
            "printed_levels": self.printed_levels,
            "orientation": self.orientation,
            "cut_point": shown_cut_point(self),
            "cut_point_chosen": self.is_cut_point_chosen,
            "scale": "" if self.scale is None else str(self.scale),
            "analysis": self.analysis,
            "adjusted_for": "; ".join(self.adjusted_for),
            "printed_ratio": self.printed_ratio,
            "ratio_inverted": self.ratio_inverted,
            "log_hr": self.log_hr,
            "log_ci_lower": self.log_ci_lower,
            "log_ci_upper": self.log_ci_upper,
            "ci_level": self.ci_level,
            "se": self.se,
            "se_route": self.se_route,
            "se_problem": self.se_problem,
            "pvalue_qualifier": "" if self.pvalue is None else self.pvalue.qualifier,
            "pvalue": math.nan if self.pvalue is None else self.pvalue.value,
            "significance": self.significance,
            "direction": self.direction,
            "direction_basis": self.direction_basis,
            "other_direction": self.other_direction,
            "direction_from": self.direction_from,
            "group": self.group.label,
            "source": self.source,
            "counted": not self.left_out,
            "left_out": self.left_out,
        }

    def __str__(self) -> str:
        parts = [f"{self.label}: {self.printed_levels}", self.analysis]
        inverted = " for the other level" if self.ratio_inverted else ""
        parts += [f"HR {self.printed_ratio}{inverted}"] if self.printed_ratio else []
        parts += [f"p {self.printed_pvalue}"] if self.pvalue is not None else []
        parts += [f"significant: {self.significance}", f"direction: {self.direction}"]
        parts += [f"{self.other_direction} by its {self.direction_from}"] if self.direction_from else []
        return "; ".join(parts) + (f" [not counted: {self.left_out}]" if self.left_out else "")


def _percent(level: float) -> str:
    return f"{100 * level:g}%"


@dataclass(frozen=True, slots=True)
class HazardRatios:
    """Hazard ratios of one factor, endpoint and kind of analysis.

    Attributes
    ----------
    stratum : {"adjusted", "matched", "unadjusted", "not stated"}
        The kind of analysis.
    used : tuple of FactorEvidence
        One result a study, each with a standard error.
    left_out : tuple of Exclusion
        Printed ratios that are not used, with the reason.
    pooled : PooledEffect or None
        From at least two studies; never for analyses that are not stated.
    """

    stratum: Stratum
    used: tuple[FactorEvidence, ...]
    left_out: tuple[Exclusion, ...]
    pooled: PooledEffect | None

    @property
    def k(self) -> int:
        """Studies with a usable hazard ratio."""
        return len(self.used)

    @property
    def n_patients(self) -> int:
        """Patients of `used` whose number is printed."""
        return sum(result.n_patients or 0 for result in self.used)

    @property
    def n_events(self) -> int | None:
        """Events of `used`; None unless all print them."""
        found = [result.n_events for result in self.used]
        return sum(n or 0 for n in found) if found and None not in found else None

    @property
    def scale(self) -> str:
        """The step of a continuous factor that all ratios speak of, such as "per 10%"; empty for groups."""
        steps = {str(result.scale or "") for result in self.used}
        return steps.pop() if len(steps) == 1 else ""

    @property
    def on_other_scale(self) -> tuple[Exclusion, ...]:
        """Usable ratios that are not pooled because they speak of another step, or of groups."""
        return tuple(out for out in self.left_out if out.kind == OTHER_SCALE)

    @property
    def cut_points(self) -> str:
        """Where the studies split the factor, if at different cut-points; empty when all that say so split alike."""
        return different_cut_points(self.used)

    def interval(self, level: float = 0.95) -> Interval:
        """Limits of the log hazard ratio: pooled, or those of the one study; nan for several that are not pooled."""
        if self.pooled is not None:
            return self.pooled.confidence_interval(level)
        return self.used[0].limits(level) if self.k == 1 else Interval(math.nan, math.nan)

    def words(self, endpoint: str = "") -> str:
        """The ratio as a sentence tells it, for an endpoint if one is named."""
        name = f"{self.stratum} HR" if self.stratum != "not stated" else "HR of analyses not stated"
        name = f"{name} ({self.scale})" if self.scale else name
        name = f"{name}," if self.stratum == "not stated" else name
        name = f"{name} for {endpoint}" if endpoint else name
        if self.pooled is not None:
            low, high = self.pooled.natural_interval()
            span = _format.span(_format.ratio(low), _format.ratio(high))
            return f"{name} {_format.ratio(self.pooled.natural)} (95% CI {span}) pooled from {self.k} studies"
        if self.k == 1:
            only = self.used[0]
            return f"{name} {only.ratio} {'of' if only.is_derived else 'from'} one study"
        return f"{name.rstrip(',')}, not pooled ({_format.plural(self.k, 'study', 'studies')})"

    def __str__(self) -> str:
        return self.words()


@dataclass(frozen=True, slots=True)
class FactorRow:
    """One factor for one endpoint, or for any endpoint with each study counted once.

    Attributes
    ----------
    factor, endpoint : str
        In harmonised words; the endpoint is a code or "any".
    adverse_level, reference_level : str
        In harmonised words; empty when no result states them or the printed words differ.
    results : tuple of FactorEvidence
        All results, in the order of the review; those that are not counted say why.
    hazard_ratios : tuple of HazardRatios
        One entry a kind of analysis with a printed ratio; none for any endpoint, because ratios of different
        endpoints are not pooled.
    """

    factor: str
    endpoint: str
    adverse_level: str
    reference_level: str
    results: tuple[FactorEvidence, ...]
    hazard_ratios: tuple[HazardRatios, ...]

    @property
    def counted(self) -> tuple[FactorEvidence, ...]:
        """The one result a study that is counted."""
        return tuple(result for result in self.results if not result.left_out)

    @property
    def k(self) -> int:
        """Number of studies counted."""
        return len(self.counted)

    @property
    def n_overlapping(self) -> int:
        """Studies not counted because they may share patients with one that is."""
        return len({result.study for result in self.results} - {result.study for result in self.counted})

    @property
    def n_patients(self) -> int:
        """Patients of the counted results whose number is printed."""
        return sum(result.n_patients or 0 for result in self.counted)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Codes of the endpoints of all results."""
        return tuple(dict.fromkeys(result.endpoint for result in self.results))

    @property
    def informative(self) -> tuple[FactorEvidence, ...]:
        """The results that are counted or whose ratio is used, each once."""
        found = [*self.counted, *(result for ratios in self.hazard_ratios for result in ratios.used)]
        return tuple({(r.study, r.row_id, r.printed_levels, r.analysis): r for r in found}.values())

    @property
    def directions(self) -> DirectionCount:
        """The counted studies by direction."""
        return DirectionCount.of(
            (result.voted_direction, result.voted_basis == INFERRED) for result in self.counted
        )

    @property
    def significance(self) -> dict[Significance, int]:
        """The counted studies by what the source calls significant."""
        found = Counter(result.significance for result in self.counted)
        return {word: found[word] for word in SIGNIFICANCES}

    @property
    def significance_words(self) -> list[str]:
        """`significance` as a sentence tells it."""
        said = self.significance
        tested = said["yes"] + said["no"]
        words = [f"significant in {said['yes']} of {tested}"] if tested else []
        words += [f"not tested in {said['not tested']}"] if said["not tested"] else []
        return words + ([f"significance not stated in {said['not stated']}"] if said["not stated"] else [])

    def ratios(self, stratum: Stratum) -> HazardRatios:
        """The hazard ratios of one kind of analysis, possibly none."""
        empty = HazardRatios(stratum, (), (), None)
        return next((found for found in self.hazard_ratios if found.stratum == stratum), empty)

    def without_ratio(self, stratum: Stratum) -> tuple[FactorEvidence, ...]:
        """One result of each counted study without a usable ratio of a kind: its own of that kind, or the counted one.

        Studies that may share patients with one that has a ratio are left out. A ratio of another step, or of groups
        among ratios per step, is none of this kind, so its number is not given.
        """
        ratios = self.ratios(stratum)
        have = {result.cluster or result.study for result in ratios.used}
        apart = {(out.study, out.row_id): out.reason for out in ratios.on_other_scale}
        found = []
        for counted in self.counted:
            if (counted.cluster or counted.study) not in have:
                own = [r for r in self.results if r.study == counted.study and r.stratum == stratum]
                result = min(own, key=lambda r: (r.level_rank, r.row_id)) if own else counted
                if why := apart.get((result.study, result.row_id), ""):
                    nan = math.nan
                    result = replace(
                        result,
                        log_hr=nan,
                        log_ci_lower=nan,
                        log_ci_upper=nan,
                        se=nan,
                        se_route="",
                        se_problem=why,
                    )
                found.append(result)
        return tuple(found)

    @property
    def levels(self) -> str:
        """The two levels, such as "present vs absent"; empty when not stated."""
        return " vs ".join(level for level in (self.adverse_level, self.reference_level) if level)

    @property
    def printed_levels(self) -> dict[str, int]:
        """How the counted results word the two levels, with the number of studies, the most frequent first."""
        found = Counter(result.printed_levels for result in self.counted)
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def __str__(self) -> str:
        parts = [str(self.directions), *self.significance_words]
        parts += [ratios.words() for ratios in self.hazard_ratios if ratios.k]
        return (
            f"{self.factor}{f' ({self.levels})' if self.levels else ''}, {self.endpoint}: {'; '.join(parts)}"
        )
