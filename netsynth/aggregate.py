"""Aggregation as reviews print it: the median and range over studies."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate, units
from netsynth._typing import BoolArray, FloatArray, Interval
from netsynth.data.number import ReportedNumber
from netsynth.errors import Caution, FewStudiesWarning, InvalidInputError, OverlapWarning, caution
from netsynth.kernels import orderstats
from netsynth.results.aggregated import MedianRange, Sign

__all__ = ["median_range"]

StudyValue: TypeAlias = float | ReportedNumber

#: Qualifiers and signs seen from the other end of the number line.
_MIRROR: Final = MappingProxyType({"<": ">", "<=": ">=", ">": "<", ">=": "<="})
_SIGN_MIRROR: Final[Mapping[Sign, Sign]] = MappingProxyType(
    {"": "", "?": "?", "<": ">", "≤": "≥", ">": "<", "≥": "≤"}
)


class _Values(NamedTuple):
    """Study values in one unit: as printed, and what each may be without and with its rounding."""

    unit: str
    limits: Interval
    qualifier: tuple[str, ...]
    lower: FloatArray
    upper: FloatArray
    rounding_lower: FloatArray
    rounding_upper: FloatArray
    decimals: int


class _End(NamedTuple):
    value: float
    sign: Sign
    setters: BoolArray


def median_range(
    values: Iterable[StudyValue],
    *,
    weights: npt.ArrayLike | None = None,
    study: Sequence[str] | None = None,
    unit: str = "",
    level: float = 0.95,
) -> MedianRange:
    r"""Median and range of one value per study.

    Parameters
    ----------
    values : iterable of float or ReportedNumber, length n
        One value a study, all in one unit. A plain number is exact. A `ReportedNumber` brings its rounding
        and its qualifier: an open end such as ">96 months" or "not reached" is neither dropped nor replaced
        by a number, but kept as all it may be.
    weights : array_like of float, shape (n,), optional
        Weights of the studies, such as numbers of patients, for the weighted median and quartiles. A study
        with weight zero stays in the list and has no influence on anything.
    study : sequence of str, length n, optional
        Labels; "study 1", "study 2", ... by default.
    unit : str, optional
        "percent", "month", ...: the unit of the result. Reported times and shares in another unit of the same
        kind are converted to it; plain numbers are taken to be in it. By default the one unit of the
        reported numbers.
    level : float, optional
        Level of the confidence interval that the result gives by default.

    Returns
    -------
    MedianRange
        Frozen. Ask it for the interval at another level, frames, and the studies that are pivotal.

    Raises
    ------
    InvalidInputError
        If there is no value, a value is not a finite number or lies outside its unit, the units differ,
        lengths differ, or a weight is negative, not finite, or all are zero.

    Warns
    -----
    FewStudiesWarning
        If there are only two studies.
    OverlapWarning
        If two values carry the same label.

    Notes
    -----
    The range is that of the studies, not an interval for anything, and it widens as studies are added: it
    is always printed with k. The confidence interval :math:`[y_{(j)}, y_{(k+1-j)}]` has coverage
    :math:`1 - 2 P(\mathrm{Bin}(k, 1/2) \le j - 1)`, tabulated by Nair [1]_; at 95% it exists from k = 6 on.
    Quartiles are type 7 of Hyndman and Fan [2]_, the default of numpy; weighted ones are their type 2.

    References
    ----------
    .. [1] Nair KR (1940). Table of confidence interval for the median in samples from any continuous
       population. Sankhya 4:551-558.
    .. [2] Hyndman RJ, Fan Y (1996). Sample quantiles in statistical packages. Am Stat 50:361-365.
       https://doi.org/10.1080/00031305.1996.10473566

    Examples
    --------
    >>> survival = [73, 47, 71, 82, 61, 85, 72, 86, 41, 94, 77.4, 74]
    >>> result = median_range(survival, unit="percent")
    >>> print(result)
    73.5% (range, 41–94%; k = 12)
    >>> interval = result.confidence_interval()
    >>> interval.lower, interval.upper, round(interval.coverage, 3)
    (61.0, 85.0, 0.961)
    """
    level = _validate.level(level)
    items = _items(values)
    labels = _labels(study, len(items))
    given = _read(items, labels, unit)
    weight = None if weights is None else _weights(weights, labels)
    cautions = _cautions(labels, weight)

    w = np.ones(len(labels)) if weight is None else weight
    present = w > 0
    median, sign = _median(given, w)
    quartile = orderstats.quantile if weight is None else orderstats.weighted_quantile
    bounds = np.stack([given.lower, given.upper])
    q1, q3 = (_known(*quartile(bounds, w, p).tolist()) for p in (0.25, 0.75))
    low = _lower_end(given.lower, given.upper, given.qualifier, present)
    high = _upper_end(given.lower, given.upper, given.qualifier, present)

    for array in (given.lower, given.upper, given.rounding_lower, given.rounding_upper):
        array.setflags(write=False)
    return MedianRange(
        median=_known(*median),
        median_lower=median.lower,
        median_upper=median.upper,
        lower=low.value,
        upper=high.value,
        q1=q1,
        q3=q3,
        k=int(present.sum()),
        unit=given.unit,
        level=level,
        median_sign=sign,
        lower_sign=low.sign,
        upper_sign=high.sign,
        lowest=tuple(compress(labels, low.setters)),
        highest=tuple(compress(labels, high.setters)),
        study=labels,
        qualifier=given.qualifier,
        value_lower=given.lower,
        value_upper=given.upper,
        rounding_lower=given.rounding_lower,
        rounding_upper=given.rounding_upper,
        weights=weight,
        decimals=given.decimals,
        warnings=cautions,
    )


def _items(values: Iterable[StudyValue]) -> list[StudyValue]:
    try:
        items = list(values)
    except TypeError:
        raise InvalidInputError(f"values must be a list of numbers; got {values!r:.80}.") from None
    if not items:
        raise InvalidInputError("values is empty; give at least one value.")
    return items


def _labels(study: Sequence[str] | None, n: int) -> tuple[str, ...]:
    if study is None:
        return tuple(f"study {i + 1}" for i in range(n))
    if isinstance(study, str) or len(study) != n:
        raise InvalidInputError(f"study must give one label per value, {n} in all; got {study!r:.80}.")
    return tuple(_validate.text(label, f"study[{i}]") for i, label in enumerate(study))


def _weights(weights: npt.ArrayLike, labels: Sequence[str]) -> FloatArray:
    array = _validate.array_1d(weights, "weights")
    if array.size != len(labels):
        raise InvalidInputError(f"weights must give one weight per value, {len(labels)}; got {array.size}.")
    bad = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if bad.size:
        raise InvalidInputError(
            f"{labels[bad[0]]}: weight must be finite and not negative; got {array[bad[0]]:g}. "
            "Give 0 to a study that should not count."
        )
    if not array.any():
        raise InvalidInputError("weights are all zero, so no study counts; give one a positive weight.")
    return array


def _cautions(labels: Sequence[str], weight: FloatArray | None) -> tuple[Caution, ...]:
    cautions = []
    twice = [label for label, times in Counter(labels).items() if times > 1]
    if twice:
        message = f"{_format.listing(twice)} given more than once; the same patients may be counted twice."
        cautions.append(caution(OverlapWarning, message, where="median_range", stacklevel=4))
    if (len(labels) if weight is None else np.count_nonzero(weight)) == 2:
        message = "the median of 2 studies says no more than their two values."
        cautions.append(caution(FewStudiesWarning, message, where="median_range", stacklevel=4))
    return tuple(cautions)


def _read(items: Sequence[StudyValue], labels: Sequence[str], unit: str) -> _Values:
    unit = _common_unit(items, labels, unit)
    numbers = [_number(item, label, unit) for item, label in zip(items, labels, strict=True)]
    printed = [isinstance(item, ReportedNumber) for item in items]
    factor = np.array([_factor(number.unit, unit) for number in numbers])
    bounds = [
        (number.value, number.value) if number.is_exact else tuple(number.interval) for number in numbers
    ]
    rounding = [
        tuple(number.interval) if is_print else bound
        for number, bound, is_print in zip(numbers, bounds, printed, strict=True)
    ]
    lower, upper = np.array(bounds).T * factor
    rounding_lower, rounding_upper = np.array(rounding).T * factor
    return _Values(
        unit,
        ReportedNumber("", unit, "not reached").interval,
        tuple(number.qualifier for number in numbers),
        lower,
        upper,
        rounding_lower,
        rounding_upper,
        max(map(_decimals, numbers, printed, factor.tolist())),
    )


def _common_unit(items: Sequence[StudyValue], labels: Sequence[str], unit: str) -> str:
    """The unit of all values; a number whose paper states none takes the unit of the call."""
    common = _unit_name(unit)
    stated = [
        (label, _unit_name(item.unit))
        for item, label in zip(items, labels, strict=True)
        if isinstance(item, ReportedNumber) and not (unit and not item.unit)
    ]
    if not unit and stated:
        common = stated[0][1]
    for label, found in stated:
        if found != common and not (unit and _factor(found, common)):
            raise InvalidInputError(
                f"{label}: the value is in {found or 'no stated unit'}, where {common or 'no unit'} is "
                "expected. Values must share one unit; unit= converts times to one unit and shares to one."
            )
    return common


def _factor(found: str, wanted: str) -> float:
    """What turns one unit into another of the same kind; 0 where nothing does."""
    if found == wanted:
        return 1.0
    for kind in (units.MONTHS_PER, {"percent": 0.01, "probability": 1.0}):
        if found in kind and wanted in kind:
            return kind[found] / kind[wanted]
    return 0.0


def _unit_name(word: str) -> str:
    for name in (units.share_unit, units.time_unit):
        try:
            return name(word)
        except InvalidInputError:
            continue
    return word


def _number(item: StudyValue, label: str, unit: str) -> ReportedNumber:
    try:
        if isinstance(item, ReportedNumber):
            return dataclasses.replace(item, unit=_unit_name(item.unit) or unit)
        if item is None or isinstance(item, str):
            raise InvalidInputError(
                f"a value must be a number or a ReportedNumber; got {item!r}. "
                "Leave out a study without a value, and read text with ReportedNumber."
            )
        return ReportedNumber.of(item, unit)
    except (InvalidInputError, OverflowError) as error:
        raise InvalidInputError(f"{label}: {error}") from None


def _decimals(number: ReportedNumber, is_print: bool, factor: float) -> int:
    """Decimals a value is shown with: those printed or typed, or three digits of a computed number."""
    if factor != 1.0 and number.is_exact:
        return _decimals(ReportedNumber.of(round(number.value * factor, 9)), False, 1.0)
    if is_print or number.decimals <= 3:
        return max(number.decimals, 0)
    return max(0, 2 - math.floor(math.log10(abs(number.value))))


def _known(lower: float, upper: float) -> float:
    return lower if lower == upper else math.nan


def _median(given: _Values, weight: FloatArray) -> tuple[Interval, Sign]:
    """Bounds of the median, and how they are read."""
    w = weight / weight.max()
    low, high = orderstats.weighted_quantile(np.stack([given.lower, given.upper]), w, 0.5).tolist()
    bounds = Interval(low, high)
    if low == high:
        return bounds, ""
    bounded_below, bounded_above = low > given.limits.lower, high < given.limits.upper
    if bounded_below and bounded_above:
        return bounds, "between"
    qualifier = np.array(given.qualifier)
    if bounded_below:
        strict = qualifier == ">"  # just above its number, so ordered after an equal exact value
        return bounds, ">" if _median_meets(strict, np.lexsort((strict, given.lower)), w) else "≥"
    if bounded_above:
        strict = qualifier == "<"
        return bounds, "<" if _median_meets(strict, np.lexsort((~strict, given.upper)), w) else "≤"
    return bounds, "?"


def _median_meets(marked: BoolArray, order: npt.NDArray[np.intp], weight: FloatArray) -> bool:
    """Whether a marked value is one of the two that make the median of the values in this order."""
    ranks = np.stack(orderstats.quantile_ranks(weight[order], 0.5))
    return bool(marked[order[ranks]].any())


def _lower_end(lower: FloatArray, upper: FloatArray, qualifier: Sequence[str], present: BoolArray) -> _End:
    """Lowest value, or the best printed bound on it, with the studies that set it."""
    outer, inner = lower[present].min(), upper[present].min()
    q = np.array(qualifier)
    at_outer, at_inner = present & (lower == outer), present & (upper == inner)
    if outer == inner:
        return _End(float(inner), "", at_inner)
    from_below = at_outer & np.isin(q, ("=", "~", ">", ">="))
    if from_below.any():
        return _End(float(outer), ">" if (q[at_outer] == ">").all() else "≥", from_below)
    from_above = at_inner & np.isin(q, ("=", "~", "<", "<="))
    if from_above.any():
        strict = from_above & (q == "<")
        return _End(float(inner), "<", strict) if strict.any() else _End(float(inner), "≤", from_above)
    return _End(math.nan, "?", from_above)


def _upper_end(lower: FloatArray, upper: FloatArray, qualifier: Sequence[str], present: BoolArray) -> _End:
    """Highest value: the lowest one on the mirrored line."""
    mirrored = [_MIRROR.get(q, q) for q in qualifier]
    end = _lower_end(-upper, -lower, mirrored, present)
    sign: Sign = _SIGN_MIRROR[end.sign]
    return _End(-end.value, sign, end.setters)
