"""What studies print of one group as five numbers: read, checked, and what is to be said of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import FloatArray
from netsynth.errors import Caution, InvalidInputError, SkewedDataWarning, UnusableDataWarning, caution
from netsynth.kernels.five_number_methods import ASSUME_NORMAL
from netsynth.kernels.five_numbers import scenario, skewness_test
from netsynth.kernels.laws import LAW_FAMILIES, Law
from netsynth.kernels.quantile_fits import QUANTILE_FITTERS, QuantileFamily
from netsynth.results.medians import StudyGroup
from netsynth.results.moderators import columns_by_name

_COLUMNS: Final = ("min", "q1", "median", "q3", "max", "n", "mean", "sd", "ci_lower", "ci_upper")
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


def read_table(data: object, name: str) -> Table:
    listed = isinstance(data, Mapping) or hasattr(data, "columns") or hasattr(data, "column_names")
    if not listed:
        raise InvalidInputError(
            f"{name} must be a mapping of columns or a data frame; got {type(data).__name__}."
        )
    given = columns_by_name(data)
    missing = [word for word in ("n", "median") if word not in given]
    if missing == ["median"] and "mean" in given:
        missing = []
    if missing:
        raise InvalidInputError(
            f"{name} needs the column {missing[0]!r}; known columns are study, {', '.join(_COLUMNS)}; got "
            f"{', '.join(map(str, given)) or 'none'}."
        )
    columns = {word: _column(given[word], word, name) for word in _COLUMNS if word in given}
    k = columns["n"].size
    for word, column in columns.items():
        _validate.same_length(columns["n"], "n", column, word, where=name)
    study = _validate.labels(None if "study" not in given else [str(each) for each in given["study"]], k)
    nothing = np.full(k, np.nan)
    values = np.stack([columns.get(word, nothing) for word in _COLUMNS[:5]], axis=-1)
    table = Table(study, values, *(columns.get(word, nothing) for word in _COLUMNS[5:]))
    _check(table)
    return table


def _column(column: object, word: str, name: str) -> FloatArray:
    listed = getattr(column, "to_pylist", lambda: column)()  # of pyarrow
    try:
        values = [math.nan if each is None else each for each in _validate.unmasked(listed)]
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


def check_same(one: Table, other: Table) -> None:
    if one.study != other.study:
        raise InvalidInputError(
            f"comparator must have the same studies in the same order; got {_format.listing(other.study[:3])} for "
            f"{_format.listing(one.study[:3])}."
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
