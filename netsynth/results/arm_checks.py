"""What a paper prints of two arms, held against what its figures give."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from scipy.special import chdtrc

from netsynth import _format
from netsynth._typing import FloatArray, IntArray, Interval
from netsynth.data.number import NumberLike, ReportedInterval, ReportedNumber
from netsynth.errors import InvalidInputError
from netsynth.kernels import two_arms
from netsynth.kernels.intervals import critical_value
from netsynth.kernels.pvalues import z_from_pvalue
from netsynth.reported import ReportedText, parse_number, parse_reported
from netsynth.results.arm_effects import ArmAnalyses, range_of, sets_of
from netsynth.results.ensemble import PseudoData
from netsynth.results.ipd import PseudoIPD

__all__ = [
    "Agreement",
    "Constraint",
    "PrintedArms",
    "PrintedCheck",
    "PrintedRatio",
    "agreeing_pairs",
    "check_printed",
]

#: How a printed number stands to the figures, from best to worst.
Agreement = Literal["as printed", "within what the figures leave open", "near", "DISAGREES"]
#: A hazard ratio as printed: text, a number, a number with its limits, or what `parse_reported` made of it.
PrintedRatio: TypeAlias = str | float | Sequence[NumberLike] | ReportedText

#: A printed number that is at most so many standard errors of sampling away is "near": reconstructions with numbers at
#: risk of public two-arm data are hardly ever farther off.
NEAR: Final = 0.5
#: With fewer data sets than this that reproduce a printed number, how they vary cannot be told.
FEWEST: Final = 10


@dataclass(frozen=True, slots=True)
class PrintedArms:
    """What a paper prints of two arms.

    Attributes
    ----------
    ratio : ReportedNumber or None
        The hazard ratio.
    ci : ReportedInterval or None
        Its confidence interval.
    pvalue : ReportedNumber or None
        Of the log-rank test.
    """

    ratio: ReportedNumber | None
    ci: ReportedInterval | None
    pvalue: ReportedNumber | None

    @property
    def label(self) -> str:
        """The ratio and the p-value in words; empty without either."""
        parts = [] if self.ratio is None else [f"hazard ratio {self.ratio}"]
        parts += [] if self.pvalue is None else [f"log-rank p {self.pvalue.bare}"]
        return _format.listing(parts)

    @classmethod
    def of(cls, ratio: PrintedRatio | None, pvalue: NumberLike | None, where: str) -> PrintedArms:
        """The numbers read from what a caller has at hand.

        Raises
        ------
        InvalidInputError
            If one cannot be read, is something else, or contradicts another.
        """
        report = None if ratio is None else _ratio(ratio, where)
        if pvalue is None:
            p = None if report is None else report.pvalue
        elif isinstance(pvalue, str):
            is_named = pvalue.strip()[:1] in ("p", "P")
            p = parse_reported(pvalue).pvalue if is_named else parse_number(pvalue, unit="pvalue")
        else:
            p = ReportedNumber.of(pvalue, "pvalue")
        if p is not None and (p.unit != "pvalue" or not p.text):
            raise InvalidInputError(f"{where}: printed_pvalue must be a p-value; got {p} in {p.unit!r}.")
        if report is None:
            return cls(None, None, p)
        return cls(report.estimate, report.ci or report.limits, p)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedCheck:
    """A printed number beside what the figures give.

    Attributes
    ----------
    label : str
        What is printed.
    printed : str
        How.
    reconstructed : float
        From the reconstructed patients.
    least, most : float
        Between which it lies in 95% of the data sets that the figures allow, whatever was printed.
    distance : float
        How many standard errors of sampling lie between the reconstruction and the nearest number that the print may
        stand for, above 0 when the reconstruction is the larger one; 0 when it rounds to the print.
    agreement : str
        "as printed", "within what the figures leave open", "near" when at most half a standard error away, or
        "DISAGREES".
    hint : str
        What may be behind it.
    """

    label: str
    printed: str
    reconstructed: float
    least: float
    most: float
    distance: float
    agreement: Agreement
    hint: str = ""

    @property
    def is_consistent(self) -> bool:
        """Whether it does not disagree."""
        return self.agreement != "DISAGREES"

    def shown(self, value: float) -> str:
        """A value of what is printed, in digits."""
        if self.label == "log-rank p":
            return _format.pvalue(value, symbol="").strip().removeprefix("= ")
        return _format.ratio(value)

    def __str__(self) -> str:
        shown = self.shown
        text = f"{self.agreement}: {shown(self.reconstructed)} reconstructed, {shown(self.least)} to {shown(self.most)}"
        if self.distance:
            text += f", {_format.number(abs(self.distance), 2)} standard errors away"
        return f"{text}; {self.hint}" if self.hint else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """What was done to have the data sets agree with a printed number.

    Attributes
    ----------
    label : str
        The numbers, as printed.
    was_used : bool
        Whether enough of them agreed. If not, the comparison is as without it.
    n_tried, n_agreeing : int
        Data sets that the figures allow, and those among them that reproduce the numbers within their rounding.
    """

    label: str
    was_used: bool
    n_tried: int
    n_agreeing: int

    def __str__(self) -> str:
        count = f"{self.n_agreeing} of {self.n_tried} data sets reproduce it"
        return (
            f"{self.label}: {count}, and only such were used"
            if self.was_used
            else f"{self.label}: NOT USED, {count}"
        )


def _ratio(value: PrintedRatio, where: str) -> ReportedText:
    match value:
        case ReportedText():
            report = value
        case str():
            report = parse_reported(value, unit="ratio")
        case Sequence():
            if len(value) != 3:
                raise InvalidInputError(
                    f"{where}: printed_hr must be a ratio or a ratio and its two limits; got {len(value)} numbers."
                )
            ci = ReportedInterval.of(value[1], value[2], "ratio", 0.95)
            report = ReportedText(ReportedNumber.of(value[0], "ratio"), "HR", ci=ci)
        case _:
            report = ReportedText(ReportedNumber.of(value, "ratio"), "HR")
    number = report.estimate
    if number is None or number.unit != "ratio" or report.measure not in ("", "HR") or not number.value > 0:
        raise InvalidInputError(
            f"{where}: printed_hr must be a hazard ratio above 0, such as '0.49 (0.38-0.64)'; got {report}."
        )
    if report.contradictions:
        raise InvalidInputError(
            f"{where}: {report.contradictions[0]}. Check the transcription of printed_hr."
        )
    return report


def check_printed(
    one: ArmAnalyses, several: ArmAnalyses, printed: PrintedArms, arms: tuple[PseudoIPD, PseudoIPD]
) -> tuple[PrintedCheck, ...]:
    """Each printed number beside the reconstruction and beside all data sets that the figures allow."""
    found = []
    (log_hr,), (variance,) = one.cox
    se = float(np.sqrt(variance))
    if printed.ratio is not None and not np.isnan(log_hr):
        found.append(_check("hazard ratio", printed.ratio, log_hr, several.cox.log_hr, se, arms))
    if printed.ci is not None and math.isfinite(se):
        reach = float(critical_value(math.inf, printed.ci.level or 0.95))
        for name, end, side in (("lower", printed.ci.lower, -reach), ("upper", printed.ci.upper, reach)):
            if end is not None and end.is_exact and end.value > 0:
                limits = several.cox.log_hr + side * np.sqrt(several.cox.variance)
                found.append(_check(f"{name} limit", end, log_hr + side * se, limits, se))
    if printed.pvalue is not None and not np.isnan(one.log_rank.chi2[0]):
        z_one, z_several = (-np.sqrt(each.chi2) for each in (one.log_rank, several.log_rank))
        found.append(_check("log-rank p", printed.pvalue, z_one[0], z_several, 1.0))
    return tuple(found)


def _check(
    label: str,
    number: ReportedNumber,
    one: float,
    several: FloatArray,
    se: float,
    arms: tuple[PseudoIPD, ...] = (),
) -> PrintedCheck:
    """One printed number; on a scale on which its error is `se`: log ratios, or -z for a p-value."""
    is_ratio = number.unit == "ratio"
    stated = _on_scale(number.interval, is_ratio)
    least, most = range_of(several)
    away = max(0.0, one - stated.upper) - max(0.0, stated.lower - one)
    distance = float(away / se) if math.isfinite(se) else float(away)
    agreement: Agreement = "DISAGREES"
    if not away:
        agreement = "as printed"
    elif stated.lower <= most and least <= stated.upper:
        agreement = "within what the figures leave open"
    elif abs(distance) <= NEAR:
        agreement = "near"
    reconstructed, low, high = (float(np.exp(x) if is_ratio else chdtrc(1, x**2)) for x in (one, least, most))
    return PrintedCheck(
        label=label,
        printed=number.bare,
        reconstructed=reconstructed,
        least=low,
        most=high,
        distance=distance,
        agreement=agreement,
        hint=_hint(one, stated, arms) if agreement == "DISAGREES" and arms else "",
    )


def _on_scale(interval: Interval, is_ratio: bool) -> Interval:
    low, high = interval
    if is_ratio:
        return Interval(*(math.log(x) if x > 0 else -math.inf for x in (low, high)))
    return Interval(*(float(-z_from_pvalue(p)) for p in (low, high)))


def _hint(one: float, stated: Interval, arms: tuple[PseudoIPD, ...]) -> str:
    middle = 0.5 * (stated.lower + stated.upper)
    if abs(one + middle) < 0.5 * abs(one - middle):  # nearer by far to the inverse, on the log scale
        return f"its inverse, {_format.ratio(math.exp(-middle))}, would be nearer: is it that of {arms[1].label}?"
    bare = [arm.label for arm in arms if arm.table.time.size == 1]
    if bare:
        return f"without numbers at risk of {_format.listing(bare)} the censorings are guessed"
    return "is it adjusted or stratified, or of other patients?"


def agreeing_pairs(
    treated: PseudoData, control: PseudoData, printed: PrintedArms
) -> tuple[Constraint, IntArray]:
    """Pairs of data sets, one of each arm, that reproduce what is printed: as many as there are draws, if there are.

    Each data set of one arm is tried once with another of the other arm, then with the next, and so on.
    """
    n = treated.time.shape[0]
    first = np.arange(n)
    found: list[IntArray] = []
    n_agreeing = n_tried = 0
    for shift in range(n):
        second = (first + shift) % n
        sets = sets_of(treated, PseudoData(control.time[second], control.event[second]))
        agrees = np.ones(n, dtype=np.bool_)
        if printed.ratio is not None:
            low, high = _on_scale(printed.ratio.interval, is_ratio=True)
            log_hr = two_arms.cox(sets).log_hr
            agrees &= (log_hr >= low) & (log_hr <= high)
        if printed.pvalue is not None:
            low, high = printed.pvalue.interval
            p = chdtrc(1, two_arms.log_rank(sets).chi2)
            agrees &= (p >= low) & (p <= high)
        found.append(np.stack([first, second], axis=1)[agrees])
        n_tried += n
        n_agreeing += int(agrees.sum())
        if n_agreeing >= n:
            break
    places = np.concatenate(found)[:n]
    return (
        Constraint(
            label=printed.label,
            was_used=places.shape[0] >= min(FEWEST, n),
            n_tried=n_tried,
            n_agreeing=n_agreeing,
        ),
        places,
    )
