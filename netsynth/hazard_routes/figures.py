"""What a study prints of two groups, read and checked: where every way to its hazard ratio starts from."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import FloatArray, Interval
from netsynth.data.factor import ReportedFactor, zero_problem
from netsynth.data.harmonise import is_graded, stated
from netsynth.data.number import NumberLike, ReportedInterval, ReportedNumber
from netsynth.data.survival import ReportedSurvival, ReportedTime
from netsynth.errors import InvalidInputError, NetsynthWarning, ReportedTextError
from netsynth.kernels.survival_variance import MATURITY, detected_se, reported_variance
from netsynth.reported import ReportedText, parse_interval, parse_number, parse_reported
from netsynth.reported.grammar import DecimalMark
from netsynth.results.arm_checks import PrintedRatio
from netsynth.results.curve import SurvivalCurve
from netsynth.results.hazard_ratio import Adjustment
from netsynth.results.ipd import PseudoIPD

Test: TypeAlias = Literal["log-rank", "Wald", "likelihood ratio", "not stated"]
TESTS: tuple[Test, ...] = ("log-rank", "Wald", "likelihood ratio", "not stated")
ArmCurve: TypeAlias = PseudoIPD | SurvivalCurve | ReportedSurvival
Ends: TypeAlias = tuple[NumberLike | None, NumberLike | None]
#: An interval as printed, its two limits, or what `parse_interval` made of it.
PrintedInterval: TypeAlias = str | Ends | ReportedInterval
#: What a test lacks that nobody gave a side.
NO_SIDE: Final = "nothing says which group does worse"
#: Sums of printed decimals are exact; this only absorbs binary rounding.
SLACK: Final = 1e-9

T_co = TypeVar("T_co", covariant=True)


class _Reader(Protocol[T_co]):
    def __call__(self, text: str, /, *, unit: str | None, decimal: DecimalMark) -> T_co: ...


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
    so. `quotes` are the arguments as they were given, `apart` why given curves have no time in common.
    """

    label: str
    source: str = ""
    row_id: str = ""
    quotes: Mapping[str, str] = field(default_factory=dict)
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
    apart: str = ""
    follow_up: tuple[float, float] | None = None
    medians: Medians | None = None
    mean_difference: ReportedNumber | None = None
    mean_se: ReportedNumber | None = None

    @property
    def where(self) -> str:
        """Whose numbers, for messages."""
        return self.label or "hazard_ratio"

    @property
    def no_side(self) -> str:
        """Why nothing says which group does worse."""
        return f"a hazard ratio of {self.ratio} has no side" if self.log_ratio == 0 else NO_SIDE

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

    @property
    def excess_range(self) -> Interval | None:
        """Between what O - E of the exposed lies, printed or from O and E; None without them."""
        if self.excess is not None:
            return self.excess.interval
        if self.observed is None or self.expected is None:
            return None
        o, e = self.observed.exposed.value, self.expected.exposed.interval
        return Interval(o - e.upper, o - max(e.lower, 0.0))

    @property
    def has_more_groups(self) -> bool:
        """Whether no rounding makes the sums of O and E the same, so that the test had further groups."""
        if self.observed is None or self.expected is None:
            return False
        total = sum(each.value for each in self.observed)
        low = sum(max(each.interval.lower, 0.0) for each in self.expected)
        high = sum(each.interval.upper for each in self.expected)
        return not low - SLACK <= total <= high + SLACK

    @property
    def ratio_side(self) -> int:
        """1 when the printed ratio is above 1 for the exposed, -1 when below, 0 when it leaves that open."""
        if self.ratio is None:
            return 0
        log_ratio, (low, high) = self.log_ratio, self.ratio.interval
        if math.isnan(log_ratio):  # an open end, or 0.00
            side = (low >= 1) - (high <= 1)
            return -side if self.is_inverted else side
        return (log_ratio > 0) - (log_ratio < 0)


def from_record(result: ReportedFactor) -> TwoGroups:
    """The numbers of a record; the adverse level is the exposed group."""
    adverse, reference = stated(result.adverse_level), stated(result.reference_level)
    adjusted: Adjustment = (
        "none" if result.analysis == "univariable" else
        "full" if result.analysis in ("multivariable", "matched", "pooled") else "not stated"
    )  # fmt: skip
    shown = result.shown_direction
    by_ratio = result.ratio_direction != "not stated"
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
        source=result.source,
        row_id=result.row_id,
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


@contextmanager
def at(where: str, name: str) -> Iterator[None]:
    """Errors of what is done inside say whose number of which argument it is."""
    try:
        yield
    except InvalidInputError as error:
        place = name if name == where else f"{where}: {name}"
        raise InvalidInputError(f"{place}: {error}") from error


def read_text(read: _Reader[T_co], text: str, unit: str = "") -> T_co:
    """Text with a decimal point, or with decimal commas where it has no point and cannot be read otherwise.

    A ratio that can be read with both, and is not the same, is refused.
    """
    if "," not in text or "." in text:
        return read(text, unit=unit or None, decimal=".")
    try:
        found = read(text, unit=unit or None, decimal=".")
    except ReportedTextError as error:
        try:
            return read(text, unit=unit or None, decimal=",")
        except ReportedTextError as other:
            raise (other if other.position > error.position else error) from None
    if unit != "ratio":
        return found
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NetsynthWarning)  # only the digits are compared
            other_way = read(text, unit=unit, decimal=",")
    except ReportedTextError:
        return found
    if other_way != found:
        raise InvalidInputError(
            f"{text!r:.60} may have decimal commas or commas that group thousands; write it with decimal points."
        )
    return found


def number(value: NumberLike, unit: str = "") -> ReportedNumber:
    """A number from text with its qualifier, or from a number."""
    if isinstance(value, str):
        return read_text(parse_number, value, unit)
    found = ReportedNumber.of(value, unit)
    if unit and found.unit != unit:
        raise InvalidInputError(f"it must be a number in {unit!r}; got {found} in {found.unit!r}.")
    return found


def exact(
    value: NumberLike,
    name: str,
    where: str,
    *,
    least: float = -math.inf,
    positive: bool = False,
    may_round_to_zero: bool = False,
) -> ReportedNumber:
    """As `number`, no open end, not below `least` and above 0 where it must be; text such as "0" may be rounded."""
    with at(where, name):
        found = number(value)
    is_rounded_zero = may_round_to_zero and found.value == 0 and isinstance(value, str | ReportedNumber)
    if not found.is_exact or found.value < least or (positive and found.value <= 0 and not is_rounded_zero):
        floor = " above 0" if positive else "" if math.isinf(least) else f" of at least {least:g}"
        if may_round_to_zero and found.value == 0:
            floor += ", or text such as '0' for what is rounded"
        raise InvalidInputError(f"{where}: {name} must be a number{floor}, no open end; got {found.bare}.")
    return found


def pair_of(values: object, name: str, where: str) -> tuple[object, object]:
    """Two things, one a group."""
    if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray) or len(values) != 2:
        raise InvalidInputError(
            f"{where}: {name} must be a pair, the exposed group first; got {values!r:.60}."
        )
    return values[0], values[1]


def numbers(values: Sequence[NumberLike], name: str, where: str, *, positive: bool = False) -> Numbers:
    """One exact number of each group; what must be positive may be rounded to 0."""
    return Numbers(
        *(
            exact(value, name, where, least=0.0, positive=positive, may_round_to_zero=positive)  # type: ignore[arg-type]
            for value in pair_of(values, name, where)
        )
    )


def interval(value: PrintedInterval, unit: str) -> ReportedInterval | None:
    """An interval from its text or its two limits; None when both are open without a word."""
    if isinstance(value, ReportedInterval):
        return value
    if isinstance(value, str):
        return read_text(parse_interval, value, unit)
    if not isinstance(value, Sequence | np.ndarray) or len(value) != 2:
        raise InvalidInputError(
            f"it must be an interval as printed, such as '1.20-2.85', or its two limits; got {value!r:.60}."
        )
    low, high = (None if end is None else number(end, unit) for end in value)
    return None if low is None and high is None else ReportedInterval(low, high)


def counts(values: Sequence[int], name: str, where: str, *, minimum: int = 0) -> Counts:
    """One count of each group."""
    pair = pair_of(values, name, where)
    return Counts(*(_validate.count(value, name, where=where, minimum=minimum) for value in pair))


def printed_ratio(
    value: PrintedRatio | None, ci: PrintedInterval | None, level: float | None, where: str
) -> tuple[ReportedNumber | None, ReportedInterval | None, ReportedNumber | None]:
    """Ratio, interval and p-value from a text and what is given beside it."""
    report = None
    if value is not None:
        with at(where, "hazard_ratio"):
            report = _report(value)
    ratio = None if report is None else report.estimate
    inside = None if report is None else report.ci or report.limits
    if ci is not None:
        if inside is not None:
            raise InvalidInputError(f"{where}: give the interval once, in hazard_ratio or as ci; got both.")
        if ratio is None:
            raise InvalidInputError(f"{where}: a confidence interval without its hazard ratio.")
        with at(where, "ci"):
            inside = interval(ci, "ratio")
    if inside is not None and level is not None:
        if inside.level not in (None, level):
            raise InvalidInputError(
                f"{where}: the interval is printed with level {inside.level}; got {level}."
            )
        inside = ReportedInterval(inside.lower, inside.upper, level)
    if inside is not None and ratio is not None and not inside.may_contain(ratio):
        raise InvalidInputError(
            f"{where}: the confidence interval {inside} does not contain the hazard ratio {ratio}. "
            "Check the transcription."
        )
    return ratio, inside, None if report is None else report.pvalue


def _report(value: PrintedRatio) -> ReportedText:
    """A ratio above 0, or "0.00", with what stands beside it."""
    match value:
        case ReportedText():
            report = value
        case str():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NetsynthWarning)  # a contradiction is an error of the caller
                report = read_text(parse_reported, value, "ratio")
        case Sequence():
            if len(value) != 3:
                raise InvalidInputError(
                    f"it must be a ratio, or a ratio and its two limits; got {len(value)} numbers."
                )
            report = ReportedText(number(value[0], "ratio"), "HR", ci=interval((value[1], value[2]), "ratio"))
        case _:
            report = ReportedText(number(value, "ratio"), "HR")
    ratio = report.estimate
    if ratio is None or ratio.unit != "ratio" or report.measure not in ("", "HR") or not ratio.text:
        raise InvalidInputError(f"it must be a hazard ratio, such as '0.49 (0.38-0.64)'; got {report}.")
    for each in (ratio, report.pvalue):
        if each is not None and (problem := zero_problem(each)):
            raise InvalidInputError(f"{problem}.")
    return report


def printed_pvalue(value: NumberLike, where: str) -> ReportedNumber:
    """A p-value; text such as "<0.001", "p = 0.03", "0,03" or "0.000"."""
    with at(where, "pvalue"):
        if isinstance(value, str) and value.strip()[:1] in ("p", "P"):
            found = read_text(parse_reported, value).pvalue
        else:
            found = number(value, "pvalue")
        if found is None or not found.text:
            raise InvalidInputError(f"it must be a p-value; got {value!r:.60}.")
        if problem := zero_problem(found):
            raise InvalidInputError(f"{problem}.")
    return found


def median_pair(
    values: Sequence[NumberLike | ReportedTime], cis: Sequence[PrintedInterval | None] | None, where: str
) -> Medians:
    """Medians in one unit, with their intervals, of 95% where no level is printed."""
    given = pair_of(values, "medians", where)
    limits = (None, None) if cis is None else pair_of(cis, "median_cis", where)
    found, intervals = [], []
    for value, ends in zip(given, limits, strict=True):
        if isinstance(value, ReportedTime):
            if ends is not None:
                raise InvalidInputError(
                    f"{where}: a ReportedTime brings its own interval; leave median_cis out."
                )
            if value.statistic != "median":
                raise InvalidInputError(f"{where}: medians: {value} is a {value.statistic}; give a median.")
            found.append(value.value)
            intervals.append(value.ci)
            continue
        with at(where, "medians"):
            found.append(number(value))  # type: ignore[arg-type]
        with at(where, "median_cis"):
            ci = None if ends is None else interval(ends, found[-1].unit)  # type: ignore[arg-type]
            intervals.append(None if ci is None else _interval_of(found[-1], ci))
    units = {value.unit for value in found if value.text}
    if len(units) > 1:
        raise InvalidInputError(
            f"{where}: both medians must be in one unit; got {_format.listing(sorted(units))}."
        )
    for value in found:
        if value.text and not value.value > 0:
            raise InvalidInputError(f"{where}: medians: a median is a positive time; got {value.bare}.")
    return Medians(Numbers(*found), (intervals[0], intervals[1]))


def _interval_of(median: ReportedNumber, ci: ReportedInterval) -> ReportedInterval:
    unit = next(end.unit for end in (ci.lower, ci.upper) if end is not None)
    if unit != median.unit:
        raise InvalidInputError(
            f"the interval {ci} is in {unit or 'no unit'!r} and its median {median} in "
            f"{median.unit or 'no unit'!r}; give both in one."
        )
    if not ci.may_contain(median):
        raise InvalidInputError(
            f"the interval {ci} does not contain the median {median}. Check the transcription."
        )
    return ci if ci.level is not None else replace(ci, level=0.95)


# --- curves


class _Points(NamedTuple):
    time: FloatArray
    survival: FloatArray
    half_width: FloatArray
    n_at_risk: FloatArray
    variance: FloatArray
    n_total: float
    is_imputed: bool


def curve_points(curves: Sequence[ArmCurve], groups: tuple[str, str]) -> CurvePoints | str:
    """Both curves at common times; in words what they are at when they have none."""
    parts = [_points(curve) for curve in curves]
    names = _names(curves, groups)
    common = np.intersect1d(parts[0].time, parts[1].time)
    if not common.size:
        unit = f" {curves[0].unit}s" if isinstance(curves[0], PseudoIPD) else " months"
        times = [_format.listing(_format.shortest(t, 2) for t in part.time.tolist()) for part in parts]
        each = [
            f"of {name} at {f'{time}{unit}' if time else 'no time'}"
            for name, time in zip(names, times, strict=True)
        ]
        return f"survival is given {_format.listing(each)}, which have no time in common"
    columns = [[np.searchsorted(part.time, common)] for part in parts]

    def stack(name: str, at_start: Sequence[float]) -> FloatArray:
        rows = [getattr(part, name)[at[0]] for part, at in zip(parts, columns, strict=True)]
        return np.column_stack([np.asarray(at_start, dtype=np.float64), np.stack(rows)])

    sizes = [part.n_total for part in parts]
    return CurvePoints(
        words=_format.listing(f"survival of {name}" for name in names),
        time=np.concatenate([[0.0], common]),
        survival=stack("survival", (1.0, 1.0)),
        half_width=stack("half_width", (0.0, 0.0)),
        n_at_risk=stack("n_at_risk", sizes),
        variance=stack("variance", (0.0, 0.0)),
        is_imputed=any(part.is_imputed for part in parts),
    )


def _names(curves: Sequence[ArmCurve], groups: tuple[str, str]) -> Sequence[str]:
    """What the curves are called, if that tells them apart; else the groups."""
    labels = [each.group.label if isinstance(each, ReportedSurvival) else each.label for each in curves]
    return labels if all(labels) and len(set(labels)) == len(labels) else groups


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
