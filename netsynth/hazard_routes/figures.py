"""What a study prints of two groups, read and checked: where every way to its hazard ratio starts from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import FloatArray
from netsynth.data.factor import ReportedFactor
from netsynth.data.harmonise import is_graded, stated
from netsynth.data.number import NumberLike, ReportedInterval, ReportedNumber
from netsynth.data.survival import ReportedSurvival, ReportedTime
from netsynth.errors import InvalidInputError
from netsynth.kernels.survival_variance import MATURITY, detected_se, reported_variance
from netsynth.reported import parse_number
from netsynth.results.arm_checks import PrintedArms, PrintedRatio
from netsynth.results.curve import SurvivalCurve
from netsynth.results.hazard_ratio import Adjustment
from netsynth.results.ipd import PseudoIPD

Test: TypeAlias = Literal["log-rank", "Wald", "likelihood ratio", "not stated"]
TESTS: tuple[Test, ...] = ("log-rank", "Wald", "likelihood ratio", "not stated")
ArmCurve: TypeAlias = PseudoIPD | SurvivalCurve | ReportedSurvival
Ends: TypeAlias = tuple[NumberLike | None, NumberLike | None]


class Numbers(NamedTuple):
    """One number of each group, exposed first."""

    exposed: ReportedNumber
    reference: ReportedNumber

    def __str__(self) -> str:
        return f"{self.exposed.bare} and {self.reference.bare}"


class Counts(NamedTuple):
    """One count of each group, exposed first."""

    exposed: int
    reference: int

    @property
    def total(self) -> int:
        """Of both."""
        return self.exposed + self.reference

    def __str__(self) -> str:
        return f"{self.exposed} and {self.reference}"


class Medians(NamedTuple):
    """Medians of both groups and their intervals."""

    value: Numbers
    ci: tuple[ReportedInterval | None, ReportedInterval | None]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CurvePoints:
    """Both curves at the times at which both are known; arrays of shape (2, m), exposed first, from time 0 on.

    `half_width` is what rounding leaves open of survival; what is not printed is nan.
    """

    words: str
    time: FloatArray
    survival: FloatArray
    half_width: FloatArray
    n_at_risk: FloatArray
    variance: FloatArray
    is_imputed: bool


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TwoGroups:
    """What was given, checked, with the exposed group first.

    `direction` is +1 when the exposed do worse, -1 when they do better, 0 when nothing says so; `side` tells what says
    so. `is_unadjusted` is None when nobody says whether the p-value is adjusted.
    """

    label: str
    is_record: bool = False
    exposed: str = "exposed"
    reference: str = "reference"
    ratio: ReportedNumber | None = None
    ci: ReportedInterval | None = None
    is_inverted: bool = False
    adjusted: Adjustment = "none"
    covariates: tuple[str, ...] = ()
    pvalue: ReportedNumber | None = None
    test: Test = "not stated"
    one_sided: bool = False
    chi2: ReportedNumber | None = None
    direction: int = 0
    side: str = ""
    observed: Numbers | None = None
    expected: Numbers | None = None
    excess: ReportedNumber | None = None
    information: ReportedNumber | None = None
    n_events: int | None = None
    events: Counts | None = None
    patients: Counts | None = None
    no_events: str = ""
    arms: tuple[PseudoIPD, PseudoIPD] | None = None
    curves: CurvePoints | None = None
    follow_up: tuple[float, float] | None = None
    medians: Medians | None = None
    mean_difference: ReportedNumber | None = None
    mean_se: ReportedNumber | None = None

    @property
    def allocation(self) -> float:
        """Ratio of the group sizes; nan when not known."""
        return math.nan if self.patients is None else self.patients.exposed / self.patients.reference

    @property
    def log_ratio(self) -> float:
        """Logarithm of the printed ratio, of the exposed against the reference; nan without an exact positive one."""
        if self.ratio is None or not self.ratio.is_exact or not self.ratio.value > 0:
            return math.nan
        return math.log(self.ratio.value) * (-1.0 if self.is_inverted else 1.0)


def from_record(result: ReportedFactor) -> TwoGroups:
    """The numbers of a record; the adverse level is the exposed group."""
    adverse, reference = stated(result.adverse_level), stated(result.reference_level)
    adjusted: Adjustment = (
        "none" if result.analysis == "univariable" else
        "full" if result.analysis in ("multivariable", "matched", "pooled") else "not stated"
    )  # fmt: skip
    shown = result.shown_direction
    by_ratio = not math.isnan(result.log_hr)
    no_events = ""
    if not (adverse and reference):
        no_events = "the two levels are not stated"
    elif is_graded(adverse) or is_graded(reference):
        no_events = "the factor may be continuous, so that events do not tell the information"
    events, patients = (
        None if pair is None else Counts(*pair) for pair in (result.events_by_level, result.n_by_level)
    )
    return TwoGroups(
        label=f"{result.study}, {result.factor}, {result.endpoint}",
        is_record=True,
        exposed=adverse or "the adverse level",
        reference=reference or "the reference level",
        ratio=result.hazard_ratio,
        ci=result.ci,
        is_inverted=result.is_inverted,
        adjusted=adjusted,
        covariates=result.adjusted_for,
        pvalue=result.pvalue,
        direction={"worse": 1, "better": -1}.get(shown, 0),
        side=f"doing {shown} by the ratio" if by_ratio else f"said to do {shown}",
        n_events=result.n_events,
        events=events,
        patients=patients,
        no_events=no_events,
    )


def number(value: NumberLike, name: str, unit: str = "") -> ReportedNumber:
    """A number from text with its qualifier, or from a number."""
    if isinstance(value, str):
        return parse_number(value, unit=unit or None)
    found = ReportedNumber.of(value, unit)
    if unit and found.unit != unit:
        raise InvalidInputError(f"{name} must be a number in {unit!r}; got {found} in {found.unit!r}.")
    return found


def exact(value: NumberLike, name: str, *, least: float = -math.inf, unit: str = "") -> ReportedNumber:
    """As `number`, no open end and not below `least`."""
    found = number(value, name, unit)
    if not found.is_exact or found.value < least:
        floor = "" if math.isinf(least) else f" of at least {least:g}"
        raise InvalidInputError(f"{name} must be a number{floor}, no open end; got {found.bare}.")
    return found


def pair_of(values: object, name: str) -> tuple[object, object]:
    """Two things, one a group."""
    if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray) or len(values) != 2:
        raise InvalidInputError(f"{name} must be a pair, the exposed group first; got {values!r:.60}.")
    return values[0], values[1]


def numbers(values: Sequence[NumberLike], name: str, *, least: float = 0.0) -> Numbers:
    """One exact number of each group."""
    return Numbers(*(exact(value, name, least=least) for value in pair_of(values, name)))  # type: ignore[arg-type]


def counts(values: Sequence[int], name: str, *, minimum: int = 0) -> Counts:
    """One count of each group."""
    return Counts(*(_validate.count(value, name, minimum=minimum) for value in pair_of(values, name)))


def printed_ratio(
    ratio: PrintedRatio | None, ci: Ends | ReportedInterval | None, level: float | None, where: str
) -> tuple[ReportedNumber | None, ReportedInterval | None, ReportedNumber | None]:
    """Ratio, interval and p-value from a text and what is given beside it."""
    read = PrintedArms.of(ratio, None, where)
    inside = read.ci
    if ci is not None:
        if inside is not None:
            raise InvalidInputError(f"{where}: give the interval once, in hazard_ratio or as ci; got both.")
        if read.ratio is None:
            raise InvalidInputError(f"{where}: a confidence interval without its hazard ratio.")
        if isinstance(ci, ReportedInterval):
            inside = ci
        else:
            ends = [None if end is None else number(end, "ci", "ratio") for end in pair_of(ci, "ci")]  # type: ignore[arg-type]
            inside = ReportedInterval(ends[0], ends[1]) if ends != [None, None] else None
    if inside is not None and level is not None:
        if inside.level not in (None, level):
            raise InvalidInputError(
                f"{where}: the interval is printed with level {inside.level}; got {level}."
            )
        inside = ReportedInterval(inside.lower, inside.upper, level)
    if inside is not None and read.ratio is not None and not inside.may_contain(read.ratio):
        raise InvalidInputError(
            f"{where}: the confidence interval {inside} does not contain the hazard ratio {read.ratio}. "
            "Check the transcription."
        )
    return read.ratio, inside, read.pvalue


def printed_pvalue(value: NumberLike, where: str) -> ReportedNumber:
    """A p-value; text such as "<0.001", "p = 0.03" or "0.000"."""
    found = PrintedArms.of(None, value, where).pvalue
    if found is None:
        raise InvalidInputError(f"{where}: pvalue must be a p-value; got {value!r:.60}.")
    problem = zero_pvalue(found)
    if problem:
        raise InvalidInputError(f"{where}: {problem}.")
    return found


def zero_pvalue(p: ReportedNumber) -> str:
    """What is wrong with a p-value of 0 without decimals, which no test gives."""
    if p.is_exact and p.value == 0 and p.decimals < 1:
        return "a p-value is never 0; give it as it is printed, such as '0.000' or '<0.001'"
    return ""


def median_pair(values: Sequence[NumberLike | ReportedTime], cis: Sequence[Ends | None] | None) -> Medians:
    """Medians in one unit, with their 95% intervals."""
    given, limits = pair_of(values, "medians"), (None, None) if cis is None else pair_of(cis, "median_cis")
    found, intervals = [], []
    for value, ends in zip(given, limits, strict=True):
        if isinstance(value, ReportedTime):
            if ends is not None:
                raise InvalidInputError("A ReportedTime brings its own interval; leave median_cis out.")
            if value.statistic != "median":
                raise InvalidInputError(f"medians: {value} is a {value.statistic}; give a median.")
            found.append(value.value)
            intervals.append(value.ci)
            continue
        found.append(number(value, "medians"))  # type: ignore[arg-type]
        unit = found[-1].unit
        ends = (None, None) if ends is None else pair_of(ends, "median_cis")
        read = [None if end is None else number(end, "median_cis", unit) for end in ends]  # type: ignore[arg-type]
        intervals.append(ReportedInterval(read[0], read[1], 0.95) if read != [None, None] else None)
    units = {value.unit for value in found if value.text}
    if len(units) > 1:
        raise InvalidInputError(f"Both medians must be in one unit; got {_format.listing(sorted(units))}.")
    for value in found:
        if value.text and not value.value > 0:
            raise InvalidInputError(f"A median is a positive time; got {value.bare}.")
    return Medians(Numbers(*found), (intervals[0], intervals[1]))


# --- curves


class _Points(NamedTuple):
    time: FloatArray
    survival: FloatArray
    half_width: FloatArray
    n_at_risk: FloatArray
    variance: FloatArray
    n_total: float
    is_imputed: bool


def curve_points(curves: Sequence[ArmCurve]) -> CurvePoints | None:
    """Both curves at common times; None when they have none."""
    parts = [_points(curve) for curve in curves]
    common = np.intersect1d(parts[0].time, parts[1].time)
    if not common.size:
        return None
    columns = [[np.searchsorted(part.time, common)] for part in parts]

    def stack(name: str, at_start: Sequence[float]) -> FloatArray:
        rows = [getattr(part, name)[at[0]] for part, at in zip(parts, columns, strict=True)]
        return np.column_stack([np.asarray(at_start, dtype=np.float64), np.stack(rows)])

    sizes = [part.n_total for part in parts]
    return CurvePoints(
        words=_format.listing(_describe(curve) for curve in curves),
        time=np.concatenate([[0.0], common]),
        survival=stack("survival", (1.0, 1.0)),
        half_width=stack("half_width", (0.0, 0.0)),
        n_at_risk=stack("n_at_risk", sizes),
        variance=stack("variance", (0.0, 0.0)),
        is_imputed=any(part.is_imputed for part in parts),
    )


def _describe(curve: ArmCurve) -> str:
    name = curve.group.label if isinstance(curve, ReportedSurvival) else curve.label
    return f"survival of {name}" if name else "survival"


def _points(curve: ArmCurve) -> _Points:
    if isinstance(curve, PseudoIPD):
        known = (curve.table.time > 0) & (curve.table.n_at_risk > 0)
        time = curve.table.time[known]
        survival = np.asarray(curve.survival(time))
        none = np.full(time.shape, np.nan)
        return _Points(
            time,
            survival,
            0.0 * time,
            curve.table.n_at_risk[known].astype(np.float64),
            none,
            curve.n_total,
            False,
        )
    if isinstance(curve, SurvivalCurve):
        half = 0.5 * (curve.survival_upper - curve.survival_lower)
        n_total = math.nan if curve.n_total is None else float(curve.n_total)
        imputed = any(source == "imputed" for source in curve.se_source)
        return _Points(
            curve.landmark_months,
            curve.landmark_survival,
            half,
            curve.n_at_risk,
            curve.se**2,
            n_total,
            imputed,
        )
    n_total = math.nan if curve.n_total is None else float(curve.n_total)
    survival, half = curve.survival, 0.5 * (curve.survival_upper - curve.survival_lower)
    read = detected_se(survival, curve.ci_lower, curve.ci_upper, half, level=curve.ci_level)
    by_size = reported_variance(survival, n_total, curve.n_at_risk, maturity=MATURITY)
    has_ci = np.isfinite(read.se)
    variance = np.where(has_ci, read.se**2, by_size.variance)
    return _Points(
        curve.landmark_months,
        survival,
        half,
        curve.n_at_risk,
        variance,
        n_total,
        bool((by_size.imputed & ~has_ci & np.isfinite(variance)).any()),
    )
