"""One slope from hazard ratios that a paper prints for several categories of a factor."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._typing import BoolArray, FloatArray, Interval
from netsynth.data.number import ReportedNumber
from netsynth.errors import Caution, InconsistentReportWarning, InvalidInputError, caution
from netsynth.kernels.information import wald_range
from netsynth.kernels.intervals import critical_value
from netsynth.kernels.log_hazard_ratio import se_from_width
from netsynth.kernels.trend import (
    SIGNS,
    TrendDesign,
    TrendLine,
    covariance_by_correlation,
    covariance_by_reference,
    greenland_longnecker,
    hamling,
    trend_line,
    trend_over_reference,
)
from netsynth.results.trend import CategoryTrend, TrendBounds, TrendMethod, TrendSlope

__all__ = ["trend_bounds", "trend_from_categories"]

Values: TypeAlias = Sequence[float | None] | npt.ArrayLike
_METHODS: Final[tuple[TrendMethod, ...]] = get_args(TrendMethod)
_GRID: Final = 2001  # covariances at which the bounds are looked for, before they are refined


class _Errors(NamedTuple):
    """Standard errors, the largest that their digits may stand for, and whether the ratio is off the middle."""

    se: FloatArray
    largest: FloatArray
    is_lopsided: BoolArray


@dataclass(frozen=True, eq=False)
class _Categories:
    """What a paper prints, checked; `rest` picks all but the reference."""

    where: str
    dose: FloatArray
    log_hr: FloatArray
    se: FloatArray
    reference: int
    largest_se: FloatArray
    is_lopsided: BoolArray

    @property
    def rest(self) -> npt.NDArray[np.bool_]:
        return np.asarray(np.arange(self.dose.size) != self.reference)

    @property
    def distance(self) -> FloatArray:
        """Doses of the categories, counted from that of the reference."""
        return np.asarray((self.dose - self.dose[self.reference])[self.rest])


def trend_from_categories(
    dose: npt.ArrayLike,
    hazard_ratio: npt.ArrayLike,
    *,
    ci_lower: Values | None = None,
    ci_upper: Values | None = None,
    se: Values | None = None,
    level: float = 0.95,
    reference: int | None = None,
    n_events: npt.ArrayLike | None = None,
    n_total: npt.ArrayLike | None = None,
    person_time: npt.ArrayLike | None = None,
    floated_se: npt.ArrayLike | None = None,
    design: TrendDesign = "rate",
    method: TrendMethod | None = None,
    unit: str = "",
    study: str = "",
) -> CategoryTrend:
    r"""Turn ratios of several categories against one reference into a ratio per unit.

    Ratios against the same reference share its patients, so they are correlated, and a line that ignores this has a
    wrong slope and a wrong standard error. No paper prints the correlation; it is found from the numbers of
    events and of patients in each category, or from floated variances.

    Parameters
    ----------
    dose : array_like of float, shape (m + 1,)
        The value that stands for each category, the reference included: its mean or median, say. What stands for
        an open-ended last category is your assumption.
    hazard_ratio : array_like of float, shape (m + 1,)
        Ratios against the reference, whose own is 1.
    ci_lower, ci_upper : array_like, shape (m + 1,), optional
        Confidence limits at `level`; None or nan for the reference.
    se : array_like, shape (m + 1,), optional
        Standard errors of the log ratios instead of limits; None or nan for the reference.
    level : float
        Level of the limits.
    reference : int, optional
        Place of the reference, counted from 0; by default the one category with a ratio of 1 and no error.
    n_events : array_like of int, shape (m + 1,), optional
        Patients with the event.
    n_total, person_time : array_like, shape (m + 1,), optional
        All patients, or their time under observation. For hazard ratios person-time is right; numbers of patients
        stand for it where follow-up does not differ much between categories.
    floated_se : array_like of float, shape (m + 1,), optional
        Standard errors of floating absolute risks, one for the reference too, by which the covariance is known.
    design : {"rate", "cumulative", "case-control"}
        Hazard or rate ratios; risk ratios; odds ratios.
    method : {"greenland-longnecker", "hamling", "floated", "independent"}, optional
        By default "floated" if floated standard errors are given, else "greenland-longnecker". "independent"
        ignores the covariance and is for comparison.
    unit, study : str
        What one unit of dose is, and whose numbers they are, for text and messages.

    Returns
    -------
    CategoryTrend
        Frozen, with the slope by every other method too.

    Raises
    ------
    InvalidInputError
        If the reference is not clear, a number cannot be, or what a method needs is missing; `trend_bounds` needs
        no more than ratios and limits.

    Warns
    -----
    InconsistentReportWarning
        Two categories have one dose, no rounding makes a ratio the geometric mean of its limits, or a standard error is
        smaller than the events of its category and of the reference allow.

    Notes
    -----
    Greenland and Longnecker [1]_ fit counts that give the adjusted ratios without adjustment, and take their
    correlation; Hamling and others [2]_ find counts that give ratios and standard errors, and take the variance of
    the reference. Both use the reported standard errors. The slope is that of generalised least squares through the
    reference; Q tests what a straight line on the log scale leaves.

    References
    ----------
    .. [1] Greenland S, Longnecker MP (1992). Methods for trend estimation from summarized dose-response data, with
       applications to meta-analysis. Am J Epidemiol 135:1301-1309.
       https://doi.org/10.1093/oxfordjournals.aje.a116237
    .. [2] Hamling J, Lee P, Weitkunat R, Ambühl M (2008). Facilitating meta-analyses by deriving relative effect and
       precision estimates for alternative comparisons from a set of estimates presented by exposure level or
       disease category. Stat Med 27:954-970. https://doi.org/10.1002/sim.3013

    Examples
    --------
    Alcohol and breast cancer, from the paper of Greenland and Longnecker; grams a day, odds ratios:

    >>> trend = trend_from_categories(
    ...     [0, 2, 6, 11], [1, 0.80, 1.16, 1.57],
    ...     ci_lower=[None, 0.51, 0.73, 0.99], ci_upper=[None, 1.27, 1.85, 2.51],
    ...     n_events=[165, 74, 90, 122], n_total=[337, 167, 186, 212], design="case-control", unit="g/day",
    ... )
    >>> print(trend)
    odds ratio per g/day from 4 categories
      Greenland-Longnecker      1.046   95% CI [1.005, 1.090]
      Hamling                   1.047   95% CI [1.006, 1.090]
      ignoring the covariance   1.034   95% CI [0.9968, 1.073]
      straight line             Q 1.93 on 2 df, p = 0.38
    """
    where = _place(study)
    _validate.choice(design, "design", SIGNS, where=where)
    if method is not None:
        _validate.choice(method, "method", _METHODS, where=where)
    floated = None if floated_se is None else _validate.positive_1d(floated_se, "floated_se", where=where)
    found = _categories(dose, hazard_ratio, ci_lower, ci_upper, se, level, reference, floated, where)
    rest, y, errors, x = found.rest, found.log_hr[found.rest], found.se[found.rest], found.distance

    covariances: dict[TrendMethod, FloatArray] = {}
    if floated is not None:
        variance = floated**2
        shared = variance[found.reference]
        covariances["floated"] = covariance_by_reference(np.asarray(shared), variance[rest] + shared)
    cases, base, denominators = _counts(n_events, n_total, person_time, design, found)
    if cases is not None and base is not None:
        first, at = found.reference, rest
        counts = greenland_longnecker(
            y, np.asarray(cases[first]), cases[at], np.asarray(base[first]), base[at], design
        )
        _check_cohort(counts.cases, base[at], counts.cases_reference, base[first], design, where)
        covariances["greenland-longnecker"] = covariance_by_correlation(counts, errors, design)
        rows = base - cases if design == "case-control" else base
        pseudo = hamling(
            y, errors, np.asarray(rows[first] / rows.sum()), np.asarray(rows.sum() / cases.sum()), design
        )
        shared = 1.0 / pseudo.cases_reference + SIGNS[design] / pseudo.base_reference
        covariances["hamling"] = covariance_by_reference(np.asarray(shared), errors**2)
    covariances["independent"] = np.diag(errors**2)
    cautions = _cautions(found, None if design == "cumulative" else cases)

    chosen: TrendMethod = method or ("floated" if floated is not None else "greenland-longnecker")
    if chosen not in covariances:
        needed = (
            "floated_se" if chosen == "floated" else "n_events and person_time or n_total of every category"
        )
        raise InvalidInputError(
            f"{where}: method {chosen!r} needs {needed}. Without them the covariance of the ratios is not known; "
            "trend_bounds gives the slopes that any covariance allows."
        )
    lines = {
        name: TrendSlope(name, *map(float, trend_line(y, x, covariance)))
        for name, covariance in covariances.items()
    }
    own = lines.pop(chosen)
    kept = covariances[chosen]
    for array in (found.dose, found.log_hr, found.se, kept):
        array.setflags(write=False)
    return CategoryTrend(
        study=study,
        unit=unit,
        dose=found.dose,
        log_hr=found.log_hr,
        se=found.se,
        reference=found.reference,
        design=design,
        method=chosen,
        slope=own.slope,
        slope_se=own.se,
        q=own.q,
        covariance=kept,
        denominators=denominators if chosen in ("greenland-longnecker", "hamling") else "",
        alternatives=tuple(lines.values()),
        warnings=cautions,
    )


def trend_bounds(
    dose: npt.ArrayLike,
    hazard_ratio: npt.ArrayLike,
    *,
    ci_lower: Values | None = None,
    ci_upper: Values | None = None,
    se: Values | None = None,
    level: float = 0.95,
    reference: int | None = None,
    unit: str = "",
    study: str = "",
) -> TrendBounds:
    r"""Slopes through several categories when nothing tells the covariance of their ratios.

    Parameters
    ----------
    dose, hazard_ratio, ci_lower, ci_upper, se, level, reference, unit, study
        As in `trend_from_categories`.

    Returns
    -------
    TrendBounds
        The smallest and the largest slope, and the hull of their intervals at `level`.

    Raises
    ------
    InvalidInputError
        As in `trend_from_categories`.

    Warns
    -----
    InconsistentReportWarning
        As in `trend_from_categories`, but for the events, which are not given.

    Notes
    -----
    Ratios against one reference share what its patients contribute, one variance c for all pairs [1]_. It is not
    negative, and not above the smallest variance of a ratio, of which it is a part. The bounds run over all c
    between.

    References
    ----------
    .. [1] Easton DF, Peto J, Babiker AG (1991). Floating absolute risk: an alternative to relative risk in survival and
       case-control analysis avoiding an arbitrary reference group. Stat Med 10:1025-1035.

    Examples
    --------
    >>> print(trend_bounds([0, 2, 6, 11], [1, 0.80, 1.16, 1.57], se=[None, 0.233, 0.237, 0.237], unit="g/day"))
    ratio per g/day from 4 categories, covariance unknown
      estimate          in [1.034, 1.081]
      95% CI            within [0.9969, 1.099]
      covariance zero   1.034
    """
    where = _place(study)
    found = _categories(dose, hazard_ratio, ci_lower, ci_upper, se, level, reference, None, where)
    y, x, variance = found.log_hr[found.rest], found.distance, found.se[found.rest] ** 2
    z = float(critical_value(np.inf, _validate.level(level)))
    slope = _extremes(y, x, variance, lambda line: line.slope)
    low = _extremes(y, x, variance, lambda line: line.slope - z * line.se)
    high = _extremes(y, x, variance, lambda line: line.slope + z * line.se)
    errors = _extremes(y, x, variance, lambda line: line.se)
    independent = TrendSlope("independent", *map(float, trend_line(y, x, np.diag(variance))))
    return TrendBounds(
        study=study,
        unit=unit,
        slope_lower=slope[0],
        slope_upper=slope[1],
        level=level,
        ci_lower=low[0],
        ci_upper=high[1],
        se_lower=errors[0],
        se_upper=errors[1],
        independent=independent,
        n_categories=found.dose.size,
        warnings=_cautions(found, None),
    )


def _place(study: str) -> str:
    return study or "categories"


def _cautions(found: _Categories, cases: FloatArray | None) -> tuple[Caution, ...]:
    """What does not fit together in the print, each with a warning of its name."""
    said = []
    for dose in np.unique(found.dose):
        places = np.flatnonzero(found.dose == dose)
        if places.size > 1:
            listed = _format.listing(map(str, places))
            said.append(f"dose {dose:g} stands for the categories at positions {listed}")
    said += [
        f"the confidence interval at position {i} (dose {found.dose[i]:g}) is not symmetric around its ratio "
        f"{math.exp(found.log_hr[i]):g} on the log scale, so one of them is misprinted or it is no Wald interval"
        for i in np.flatnonzero(found.is_lopsided)
    ]
    if cases is not None:
        # at the fit the shares of the categories among those at risk add up to their events, and they know most when
        # they never change, as in a table of counts; adjusting for covariates only takes information away
        least = np.sqrt(1.0 / cases + 1.0 / cases[found.reference])
        said += [
            f"the category at position {i} (dose {found.dose[i]:g}) has a standard error of at most "
            f"{found.largest_se[i]:.3g}, and its {cases[i]:g} events with {cases[found.reference]:g} of the "
            f"reference give at least {least[i]:.3g}, unless the fit was weighted or its errors robust"
            for i in np.flatnonzero(found.rest & (found.largest_se < least * (1.0 - 1e-9)))
        ]
    kind = InconsistentReportWarning
    return tuple([caution(kind, message, where=found.where, stacklevel=5) for message in said])


def _extremes(
    y: FloatArray, x: FloatArray, variance: FloatArray, of: Callable[[TrendLine], FloatArray]
) -> tuple[float, float]:
    """Smallest and largest value of `of` over all covariances, by a grid that is refined around both ends."""
    from scipy.optimize import minimize_scalar

    def values(share: npt.ArrayLike) -> FloatArray:
        return of(trend_over_reference(y, x, variance, np.atleast_1d(np.asarray(share, dtype=np.float64))))

    # towards a covariance of the smallest variance the line is settled by one category and the reference
    grid = np.append(np.linspace(0.0, 1.0, _GRID)[:-1], 1.0 - 1e-9)
    ends = []
    for sign in (1.0, -1.0):
        at_grid = sign * values(grid)
        i = int(np.argmin(at_grid))
        bracket = (grid[max(i - 1, 0)], grid[min(i + 1, _GRID - 1)])
        fine = minimize_scalar(
            lambda share, sign=sign: sign * float(values(share)[0]), bounds=bracket, method="bounded"
        )
        ends.append(sign * min(float(at_grid[i]), float(fine.fun)))
    return ends[0], ends[1]


def _categories(
    dose: npt.ArrayLike,
    hazard_ratio: npt.ArrayLike,
    ci_lower: Values | None,
    ci_upper: Values | None,
    se: Values | None,
    level: float,
    reference: int | None,
    floated: FloatArray | None,
    where: str,
) -> _Categories:
    doses = np.array(_validate.finite_1d(dose, "dose", where=where))
    ratio = _validate.positive_1d(hazard_ratio, "hazard_ratio", where=where)
    _validate.same_length(doses, "dose", ratio, "hazard_ratio", where=where)
    if ratio.size < 3:
        raise InvalidInputError(
            f"{where}: a trend needs three categories or more, the reference included; got {ratio.size}. Two "
            "categories are one ratio, which is no trend."
        )
    given = _errors(ratio, ci_lower, ci_upper, se, level, floated, where)
    at = _reference(ratio, given.se, reference, where)
    log_hr = np.log(ratio)
    if log_hr[at] != 0.0:
        raise InvalidInputError(
            f"{where}: the ratio of the reference must be 1; got {ratio[at]:g} at position {at}."
        )
    errors, largest = np.array(given.se), np.array(given.largest)
    if floated is not None and np.isnan(errors).all():
        ends = np.array([_printed(x).upper for x in floated])
        errors, largest = np.hypot(floated, floated[at]), np.hypot(ends, ends[at])
    errors[at] = math.nan
    rest = np.arange(ratio.size) != at
    if np.isnan(errors[rest]).any():
        i = int(np.flatnonzero(rest & np.isnan(errors))[0])
        raise InvalidInputError(
            f"{where}: the category at position {i} (dose {doses[i]:g}) has no standard error and no confidence "
            "interval; give one, or leave the category out."
        )
    if np.ptp(doses) == 0:
        raise InvalidInputError(f"{where}: all doses are {doses[0]:g}, so there is no trend.")
    return _Categories(where, doses, log_hr, errors, at, largest, given.is_lopsided)


def _errors(
    ratio: FloatArray,
    ci_lower: Values | None,
    ci_upper: Values | None,
    se: Values | None,
    level: float,
    floated: FloatArray | None,
    where: str,
) -> _Errors:
    """Standard errors of the log ratios, nan where none is given."""
    nothing = np.zeros(ratio.shape, dtype=bool)
    if se is not None:
        if ci_lower is not None or ci_upper is not None:
            raise InvalidInputError(f"{where}: give standard errors or confidence limits, not both.")
        errors = _optional(se, "se", ratio, where)
        if (errors < 0).any() or ((errors == 0) & (ratio != 1)).any():
            i = int(np.flatnonzero((errors < 0) | ((errors == 0) & (ratio != 1)))[0])
            raise InvalidInputError(f"{where}: se must be positive; got {errors[i]:g} at position {i}.")
        errors = np.where(errors == 0, math.nan, errors)
        return _Errors(errors, np.array([_printed(x).upper for x in errors]), nothing)
    if ci_lower is None or ci_upper is None:
        if floated is None:
            raise InvalidInputError(
                f"{where}: give both confidence limits, or standard errors of the log ratios."
            )
        _validate.same_length(ratio, "hazard_ratio", floated, "floated_se", where=where)
        none = np.full(ratio.size, math.nan)
        return _Errors(none, none, nothing)
    low, high = (
        _optional(x, name, ratio, where) for x, name in ((ci_lower, "ci_lower"), (ci_upper, "ci_upper"))
    )
    # the reference is often printed as 1 (1-1)
    own = (ratio == 1) & (low == 1) & (high == 1)
    low, high = np.where(own, math.nan, low), np.where(own, math.nan, high)
    bad = (low <= 0) | (low > ratio) | (high < ratio) | (low == high)
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise InvalidInputError(
            f"{where}: the limits {low[i]:g} and {high[i]:g} at position {i} do not hold the ratio {ratio[i]:g}. "
            "Check the transcription."
        )
    level = _validate.level(level)
    ranges = [
        wald_range(_printed(x), _printed(a), _printed(b), level)
        for x, a, b in zip(ratio, low, high, strict=True)
    ]
    return _Errors(
        np.asarray(se_from_width(np.log(high) - np.log(low), level)),
        np.array([found.se.upper for found in ranges]),
        np.array(
            [
                found.middle.upper < _printed(x).lower * (1.0 - 1e-9)
                or found.middle.lower > _printed(x).upper * (1.0 + 1e-9)
                for x, found in zip(ratio, ranges, strict=True)
            ]
        ),
    )


def _printed(value: float) -> Interval:
    """What a number may stand for by its digits; those of a float are the fewest, since zeros at the end are lost."""
    return Interval(math.nan, math.nan) if math.isnan(value) else ReportedNumber.of(float(value)).interval


def _optional(values: Values, name: str, ratio: FloatArray, where: str) -> FloatArray:
    """Numbers, nan where none is given."""
    given = [math.nan if x is None else x for x in values] if isinstance(values, Sequence) else values
    array = np.array(_validate.array_1d(given, name, where=where))
    _validate.same_length(ratio, "hazard_ratio", array, name, where=where)
    if np.isinf(array).any():
        raise InvalidInputError(f"{where}: {name} must be finite.")
    return array


def _reference(ratio: FloatArray, errors: FloatArray, reference: int | None, where: str) -> int:
    if reference is not None:
        at = _validate.count(reference, "reference", where=where)
        if at >= ratio.size:
            raise InvalidInputError(f"{where}: reference must be a position below {ratio.size}; got {at}.")
        return at
    candidates = np.flatnonzero((ratio == 1) & np.isnan(errors))
    if candidates.size != 1:
        raise InvalidInputError(
            f"{where}: the reference is the one category with a ratio of 1 and no error; found {candidates.size}. "
            "Give its position as reference=."
        )
    return int(candidates[0])


def _counts(
    n_events: npt.ArrayLike | None,
    n_total: npt.ArrayLike | None,
    person_time: npt.ArrayLike | None,
    design: TrendDesign,
    found: _Categories,
) -> tuple[FloatArray | None, FloatArray | None, str]:
    """Events and denominators of all categories, and what the denominators are; None where not given."""
    where, size = found.where, found.dose
    if person_time is not None and design != "rate":
        raise InvalidInputError(
            f"{where}: person_time is for hazard and rate ratios; design {design!r} needs n_total."
        )
    base, name = (person_time, "person_time") if person_time is not None else (n_total, "n_total")
    if n_events is None or base is None:
        return None, None, ""
    cases = _validate.positive_1d(n_events, "n_events", where=where)
    denominators = _validate.positive_1d(base, name, where=where)
    for array, called in ((cases, "n_events"), (denominators, name)):
        _validate.same_length(size, "dose", array, called, where=where)
    if name == "n_total":
        over = np.flatnonzero((cases > denominators) | ((design != "rate") & (cases >= denominators)))
        if over.size:
            i = int(over[0])
            raise InvalidInputError(
                f"{where}: {cases[i]:g} events of {denominators[i]:g} patients at position {i} cannot be used; a "
                f"category needs fewer events than patients{'' if design != 'rate' else ' or as many'}."
            )
    return cases, denominators, "person-time" if name == "person_time" else "patients"


def _check_cohort(
    cases: FloatArray, base: FloatArray, first: FloatArray, base_first: float, design: TrendDesign, where: str
) -> None:
    """Risk ratios far from the crude ones may ask for more cases than there are persons."""
    if design == "cumulative" and ((cases >= base).any() or first >= base_first):
        raise InvalidInputError(
            f"{where}: the reported risk ratios would need more cases than persons in a category, so they do not fit "
            "the counts. Check both, or whether they are hazard ratios (design='rate')."
        )
