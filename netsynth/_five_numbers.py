"""What studies print of one group as five numbers: read, checked, and what is to be said of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import FloatArray
from netsynth.curve_methods.columns import study_name
from netsynth.errors import (
    Caution,
    InvalidInputError,
    OverlapWarning,
    SkewedDataWarning,
    UnusableDataWarning,
    caution,
)
from netsynth.kernels.five_number_methods import ASSUME_NORMAL
from netsynth.kernels.five_numbers import scenario, skewness_test
from netsynth.kernels.laws import LAW_FAMILIES, Law
from netsynth.kernels.quantile_fits import QUANTILE_FITTERS, QuantileFamily
from netsynth.results.medians import StudyGroup
from netsynth.results.moderators import columns_by_name

_COLUMNS: Final[tuple[str, ...]] = (
    "min",
    "q1",
    "median",
    "q3",
    "max",
    "n",
    "mean",
    "sd",
    "ci_lower",
    "ci_upper",
)
_USER: Final = (
    4  # frames from `caution` up to the caller of the verb: caution, the helper, the verb, its caller
)


class Table(NamedTuple):
    """Columns of one group, checked."""

    study: tuple[str, ...]
    values: FloatArray  # (k, 5)
    n: FloatArray
    mean: FloatArray
    sd: FloatArray
    ci_lower: FloatArray
    ci_upper: FloatArray


def is_table(data: object) -> bool:
    """Whether data are a mapping of columns or a data frame."""
    return isinstance(data, Mapping) or hasattr(data, "columns") or hasattr(data, "column_names")


def named_columns(data: object, name: str, known: Sequence[str], needed: Sequence[str]) -> dict[str, Any]:
    """Columns of a table, unchecked; n and n_total are one column, which gets the name that is known."""
    given = columns_by_name(data)
    own, other = ("n", "n_total") if "n" in known else ("n_total", "n")
    if own in given and other in given:
        raise InvalidInputError(f"{name} has both n and n_total, the number of patients. Leave one out.")
    if other in given:
        given[own] = given.pop(other)
    missing = [word for word in needed if word not in given]
    if missing:
        raise InvalidInputError(
            f"{name} needs the column {missing[0]!r}; known columns are study, {', '.join(known)}; got "
            f"{', '.join(map(str, given)) or 'none'}."
        )
    return given


def listed(column: Any) -> Any:
    """A column as a list where it is one of pyarrow, or of pandas, whose missing values become None."""
    if hasattr(column, "isna"):
        return [None if gone else value for value, gone in zip(column, column.isna(), strict=True)]
    return getattr(column, "to_pylist", lambda: column)()


def study_names(column: Any) -> list[str]:
    """Names of the studies of a table, none of them missing."""
    return [study_name(value, i) for i, value in enumerate(listed(column))]


def read_table(data: object, name: str, *, needs_n: bool = True) -> Table:
    if not is_table(data):
        raise InvalidInputError(
            f"{name} must be a mapping of columns or a data frame; got {type(data).__name__}."
        )
    centre = "mean" if "mean" in columns_by_name(data) else "median"
    needed = ("n", centre) if needs_n else (centre,)
    given = named_columns(data, name, _COLUMNS, needed)
    columns = {word: _column(given[word], word, name) for word in _COLUMNS if word in given}
    first = needed[0]
    k = columns[first].size
    for word, column in columns.items():
        _validate.same_length(columns[first], first, column, word, where=name)
    study = _validate.labels(None if "study" not in given else study_names(given["study"]), k)
    nothing = np.full(k, np.nan)
    values = np.stack([columns.get(word, nothing) for word in _COLUMNS[:5]], axis=-1)
    table = Table(study, values, *(columns.get(word, nothing) for word in _COLUMNS[5:]))
    _check(table)
    return table


def _column(column: object, word: str, name: str) -> FloatArray:
    try:
        values = [math.nan if each is None else each for each in _validate.unmasked(listed(column))]
    except TypeError:
        raise InvalidInputError(f"{name}: {word} must be a column of numbers; got {column!r:.80}.") from None
    return _validate.array_1d(values, word, where=name)


def _check(table: Table) -> None:
    words = _COLUMNS[:5]
    for i, study in enumerate(table.study):
        printed = [
            (word, value)
            for word, value in zip(words, table.values[i].tolist(), strict=True)
            if not math.isnan(value)
        ]
        for (low, below), (high, above) in pairwise(printed):
            if below > above:
                raise InvalidInputError(
                    f"{study}: {low} {below:g} exceeds {high} {above:g}. Check the columns and the transcription."
                )
        n, sd = float(table.n[i]), float(table.sd[i])
        if not math.isnan(n):
            _validate.count(n, "n", where=study, minimum=1)
        if not math.isnan(sd) and sd <= 0:
            raise InvalidInputError(f"{study}: sd must be positive; got {sd:g}.")
        lower, upper, median = (float(c[i]) for c in (table.ci_lower, table.ci_upper, table.values[:, 2]))
        if lower > upper or lower > median or median > upper:
            raise InvalidInputError(
                f"{study}: the confidence interval {lower:g} to {upper:g} does not hold the median {median:g}."
            )
        if not all(
            math.isinf(value) is False for value in (*table.values[i].tolist(), n, sd, float(table.mean[i]))
        ):
            raise InvalidInputError(f"{study}: values must be finite; leave an open one out.")
        found = _contradiction(table.values[i].tolist(), n, float(table.mean[i]), sd)
        if found:
            raise InvalidInputError(f"{study}: {found}. Check the columns and the transcription.")


def _contradiction(values: Sequence[float], n: float, mean: float, sd: float) -> str:
    """Why no n numbers have these extremes, this median, mean and SD, however they were rounded; else empty."""
    low, _, median, _, high = values
    d_low, d_median, d_high, d_mean, d_sd = map(_half_a_digit, (low, median, high, mean, sd))
    extremes = f"the extremes {low:g} and {high:g}"
    width, slack = high - low, d_low + d_high
    if n == 1 and width > slack:
        return f"one patient cannot have {extremes}"
    if n == 2 and abs(median - (low + high) / 2) > d_median + slack / 2:
        return f"the median of two patients is the mean of both; got {median:g} with {extremes}"
    if abs(mean - median) > sd + d_mean + d_median + d_sd:
        return f"a mean and a median differ by one SD at most; got mean {mean:g}, median {median:g} and SD {sd:g}"
    # as many patients as can be at the minimum, the others at the median but for one at the maximum; and mirrored
    one, other = (math.floor((n - 1) / 2), math.floor(n / 2)) if n >= 3 else (math.nan, math.nan)
    least, most = (one * low + other * median + high) / n, (low + other * median + one * high) / n
    if math.isnan(least):
        least, most, d_least, d_most, beside = low, high, d_low, d_high, extremes
    else:
        d_least, d_most = ((a * d_low + other * d_median + b * d_high) / n for a, b in ((one, 1), (1, one)))
        beside = f"{extremes} and the median {median:g}, which allow {least:.4g} to {most:.4g}"
    if mean < least - d_least - d_mean or mean > most + d_most + d_mean:
        return f"a mean of {mean:g} cannot be beside {beside}"
    count = n if n >= 2 else 2.0  # fewest patients, where their number is not printed: the widest limits
    if sd - d_sd > (width + slack) / 2 * math.sqrt(count / (count - 1)):
        return f"an SD of {sd:g} is more than values between {low:g} and {high:g} can have"
    if n >= 2 and sd + d_sd < (width - slack) / math.sqrt(2 * n):
        return f"an SD of {sd:g} is less than {n:g} values that reach from {low:g} to {high:g} have"
    return ""


def _half_a_digit(value: float) -> float:
    """Half a unit of the last digit that a number was given with: what rounding may have moved it by."""
    if math.isnan(value):
        return 0.0
    mantissa, _, exponent = f"{value!r}".removesuffix(".0").partition("e")
    return 0.5 * 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def check_same(one: Table, other: Table) -> None:
    if one.study != other.study:
        pairs = enumerate(zip(one.study, other.study, strict=False), 1)
        apart = next((f"{b} for {a} in row {i}" for i, (a, b) in pairs if a != b), "")
        sizes = f"{len(other.study)} for {_format.plural(len(one.study), 'study', 'studies')}"
        raise InvalidInputError(
            f"comparator must have the same studies in the same order; got {apart or sizes}."
        )


def check_families(families: Sequence[QuantileFamily]) -> None:
    if isinstance(families, str) or not families:
        raise InvalidInputError(f"families must be a list of one or more names; got {families!r}.")
    for name in families:
        _validate.choice(name, "families", QUANTILE_FITTERS)


def why_not(table: Table, i: int, method: str) -> str:
    """Why a study has no answer by a method that reads a law from five numbers."""
    kind, values = int(scenario(table.values[i])), table.values[i]
    if math.isnan(table.n[i]):
        return "prints no number of patients"
    if kind == 0:
        return (
            "prints neither the quartiles nor the extremes beside its median"
            if not math.isnan(values[2])
            else "prints no median, nor a mean with its SD"
        )
    if method == "Hozo" and kind != 1:
        return "prints quartiles, and Hozo's method takes the extremes alone"
    if method == "Bland" and kind != 3:
        return "does not print all five values, which Bland's method takes"
    if np.nanmin(values) == np.nanmax(values):
        return "prints equal values, which have no spread"
    if method in ("BC", "MLN") and np.nanmin(values) <= 0:
        return f"has a value of {np.nanmin(values):g}, and a power needs positive ones"
    if table.n[i] < 3:
        return "has too few patients"
    return "has equal values where the method needs different ones"


def study_group(table: Table, laws: Law) -> StudyGroup:
    kinds = scenario(table.values)
    has_mean = ~np.isnan(table.mean) & ~np.isnan(table.sd)
    has_median = ~np.isnan(table.values[:, 2])
    words = np.select(
        [kinds == 1, kinds == 2, kinds == 3, has_mean, has_median],
        ["S1", "S2", "S3", "mean and SD", "median"],
        "nothing usable",
    )
    family = tuple(
        LAW_FAMILIES[int(number)] if math.isfinite(first) else ""
        for number, first in zip(laws.family, laws.first, strict=True)
    )
    test = skewness_test(table.values, table.n)
    for array in test:
        array.setflags(write=False)
    return StudyGroup(
        values=kept(table.values),
        n=table.n,
        mean=table.mean,
        sd=table.sd,
        ci_lower=table.ci_lower,
        ci_upper=table.ci_upper,
        scenario=tuple(words.tolist()),
        family=family,
        skewness=test,
    )


def skewed_cautions(
    method: str, study: Sequence[str], groups: Sequence[StudyGroup], reason: Sequence[str]
) -> list[Caution]:
    """Warn where a method that takes values for normal meets a skewed summary."""
    if method not in ASSUME_NORMAL:
        return []
    skewed = np.any([group.skewness.skewed for group in groups], axis=0)
    names = [
        name for name, is_skewed, why in zip(study, skewed, reason, strict=True) if is_skewed and not why
    ]
    if not names:
        return []
    message = (
        f"the summaries of {_format.plural(len(names), 'study', 'studies')} are skewed (5% test), and {method} takes "
        f"them for normal: {_format.listing(names)}. Use method='QE'."
    )
    return [caution(SkewedDataWarning, message, stacklevel=_USER)]


def overlap_cautions(study: Sequence[str], *, where: str = "", stacklevel: int = _USER) -> list[Caution]:
    """Warn of labels that several rows carry."""
    twice = [name for name, times in Counter(study).items() if times > 1]
    if not twice:
        return []
    message = f"{_format.listing(twice)} given more than once; the same patients may be counted twice."
    return [caution(OverlapWarning, message, where=where, stacklevel=stacklevel)]


def unusable_cautions(study: Sequence[str], reason: Sequence[str], method: str) -> list[Caution]:
    """Name the studies that are left out, by reason."""
    by_reason: dict[str, list[str]] = {}
    for name, why in zip(study, reason, strict=True):
        if why:
            by_reason.setdefault(why, []).append(name)
    if not by_reason:
        return []
    parts = [f"{_format.listing(names)} ({why})" for why, names in by_reason.items()]
    count = _format.plural(sum(map(len, by_reason.values())), "study is", "studies are")
    return [
        caution(UnusableDataWarning, f"{count} not used by {method}: {'; '.join(parts)}", stacklevel=_USER)
    ]


def kept(array: FloatArray) -> FloatArray:
    array = np.array(array, dtype=np.float64)
    array.setflags(write=False)
    return array
