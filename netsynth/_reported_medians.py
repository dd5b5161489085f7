"""Median survival times as reviews, records, tables or arrays hold them, one row a study."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._five_numbers import is_table, listed, named_columns, study_names
from netsynth._typing import FloatArray
from netsynth.curve_methods.columns import check_endpoint
from netsynth.data.endpoint import Endpoint, find_endpoint
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.review import Review
from netsynth.data.selection import OverlapRule
from netsynth.data.study import Role
from netsynth.data.survival import ReportedTime
from netsynth.errors import InvalidInputError
from netsynth.reported import parse_number


class MedianRow(NamedTuple):
    """What one study prints, in months: nan for what it does not, infinite for an upper limit not reached."""

    study: str
    median: float
    above: float  # the median lies above this
    below: float  # or below this
    ci_lower: float
    ci_upper: float
    level: float
    follow_up: float
    n_events: float
    n_total: float
    printed: str


def median_rows(
    data: object,
    endpoint: str | Endpoint,
    columns: dict[str, npt.ArrayLike | None],
    study: Iterable[str] | None,
    level: float,
    sets: Sequence[str] | None,
    roles: Sequence[Role],
    overlap: OverlapRule,
) -> tuple[list[MedianRow], str]:
    if isinstance(data, Review):
        _refuse(columns, study, "a review holds its own")
        selection = data.select_times(endpoint, sets=sets, roles=roles, overlap=overlap)
        if not selection.chosen:
            raise InvalidInputError(f"{selection.question}: no study prints one.")
        rows = []
        for candidate in selection.chosen:
            whole = data.study(candidate.study)
            follow_up = math.nan if whole.followup is None else whole.followup.months
            record = data.times[candidate.record[0]]
            rows.append(_from_record(record, whole.label, candidate.n_total, follow_up))
        return rows, str(data.endpoint(endpoint))
    if is_table(data):
        _refuse(columns, study, "a table holds its own")
        given = named_columns(data, "data", ("median", *columns), ("median",))
        columns = {name: listed(given.get(name)) for name in columns}
        data = listed(given["median"])
        study = study_names(given["study"]) if "study" in given else None
        if "endpoint" in given:
            _check_endpoints(listed(given["endpoint"]), find_endpoint(endpoint))
        if "ci_level" in given:
            columns["ci_level"] = listed(given["ci_level"])
    items = _items(data)
    if all(isinstance(item, ReportedTime) for item in items):
        _refuse(columns, study, "records hold their own")
        return _from_records([item for item in items if isinstance(item, ReportedTime)])
    return _from_arrays(items, columns, study, level), str(find_endpoint(endpoint))


def _check_endpoints(words: Sequence[object], wanted: Endpoint) -> None:
    for i, word in enumerate(words):
        if not isinstance(word, str | Endpoint):
            raise InvalidInputError(f"Row {i + 1}: endpoint must be a text such as 'OS'; got {word!r}.")
        check_endpoint(find_endpoint(word), wanted, f"Row {i + 1}")


def _items(data: object) -> list[object]:
    try:
        items = list(_validate.unmasked(data))
    except TypeError:
        raise InvalidInputError(f"data must be a review, records or medians; got {data!r:.80}.") from None
    if not items:
        raise InvalidInputError("data is empty; give at least one median.")
    return items


def _refuse(columns: dict[str, npt.ArrayLike | None], study: Iterable[str] | None, why: str) -> None:
    given = [name for name, column in {**columns, "study": study}.items() if column is not None]
    if given:
        raise InvalidInputError(f"{given[0]} goes with an array of medians; {why}. Leave it out.")


def _from_records(records: Sequence[ReportedTime]) -> tuple[list[MedianRow], str]:
    endpoints = list(dict.fromkeys(record.endpoint for record in records))
    if len(endpoints) > 1:
        raise InvalidInputError(
            f"Records must be of one endpoint; got {_format.listing(str(one) for one in endpoints)}. Choose one."
        )
    for record in records:
        if record.statistic != "median":
            raise InvalidInputError(f"{record.study}: a {record.statistic} is not a median. Leave it out.")
        if not record.value.unit:
            raise InvalidInputError(f"{record.study}: the unit of the median is not stated.")
    rows = [_from_record(record, record.study, record.group.n_total, math.nan) for record in records]
    return rows, str(endpoints[0])


def _from_record(record: ReportedTime, label: str, n_total: int | None, follow_up: float) -> MedianRow:
    value, ci = record.value, record.ci
    lower, upper = _limits(ci)
    row = MedianRow(
        study=label,
        median=value.months if value.is_exact else math.nan,
        above=value.months if value.qualifier in (">", ">=") else math.nan,
        below=value.months if value.qualifier in ("<", "<=") else math.nan,
        ci_lower=lower,
        ci_upper=upper,
        level=0.95 if ci is None or ci.level is None else ci.level,
        follow_up=follow_up,
        n_events=math.nan,
        n_total=math.nan if n_total is None else float(n_total),
        printed=f"{value}" + (f" ({ci})" if ci is not None else ""),
    )
    _check_positive(row)
    return row


def _limits(ci: ReportedInterval | None) -> tuple[float, float]:
    if ci is None:
        return math.nan, math.nan
    lower = ci.lower.months if ci.lower is not None and ci.lower.is_exact else math.nan
    if ci.upper is None:
        return lower, math.nan
    return lower, ci.upper.months if ci.upper.is_exact else math.inf


def _from_arrays(
    items: Sequence[object],
    columns: dict[str, npt.ArrayLike | None],
    study: Iterable[str] | None,
    level: float,
) -> list[MedianRow]:
    k = len(items)
    names = _validate.labels(study, k)
    found = {name: _column(column, name, k, names) for name, column in columns.items()}
    rows = []
    for i, item in enumerate(items):
        is_text = isinstance(item, str) and item.strip() != ""
        number = _number(str(item), names[i], "median") if is_text else item
        if isinstance(number, ReportedNumber):
            median, qualifier, shown = number.months, number.qualifier, str(number)
        else:
            median, qualifier = _plain(number, names[i]), "="
            shown = "not reached" if math.isnan(median) else _format.shortest(median, 6)
        own = float(found["ci_level"][i]) if "ci_level" in found else math.nan
        row = MedianRow(
            study=names[i],
            median=median if qualifier in ("=", "~") else math.nan,
            above=median if qualifier in (">", ">=") else math.nan,
            below=median if qualifier in ("<", "<=") else math.nan,
            ci_lower=float(found["ci_lower"][i]),
            ci_upper=float(found["ci_upper"][i]),
            level=level if math.isnan(own) else _validate.level(own),
            follow_up=float(found["follow_up_months"][i]),
            n_events=float(found["n_events"][i]),
            n_total=float(found["n_total"][i]),
            printed=shown,
        )
        _check_positive(row)
        if row.ci_lower > row.ci_upper:
            raise InvalidInputError(
                f"{row.study}: the confidence interval begins at {row.ci_lower:g} and ends at {row.ci_upper:g}. Check "
                "the transcription."
            )
        if row.ci_lower > row.median or row.median > row.ci_upper:
            raise InvalidInputError(
                f"{row.study}: the confidence interval {row.ci_lower:g} to {row.ci_upper:g} does not hold the median "
                f"{row.median:g}. Check the transcription."
            )
        if row.n_events > row.n_total:
            raise InvalidInputError(
                f"{row.study}: {row.n_events:g} events of {row.n_total:g} patients. Check both."
            )
        if qualifier == "=" and math.isnan(row.median) and 2 * row.n_events > row.n_total:
            # no curve ends higher than one on which every event comes before the first censoring
            raise InvalidInputError(
                f"{row.study}: with {row.n_events:g} events of {row.n_total:g} patients the curve ends at "
                f"{1 - row.n_events / row.n_total:.2g} or below, so its median was reached. Check the three."
            )
        rows.append(row)
    return rows


def _check_positive(row: MedianRow) -> None:
    for time in (row.median, row.above, row.below):
        if time <= 0:
            raise InvalidInputError(f"{row.study}: a median must be positive; got {time:g}.")


def _plain(item: object, name: str) -> float:
    if item is None:
        return math.nan
    if (
        isinstance(item, bool)
        or not isinstance(item, int | float | np.integer | np.floating)
        or math.isinf(item)
    ):
        raise InvalidInputError(
            f"{name}: a median must be a number, nan where it was not reached; got {item!r}."
        )
    return float(item)


def _column(column: npt.ArrayLike | None, name: str, k: int, study: Sequence[str]) -> FloatArray:
    if column is None:
        return np.full(k, np.nan)
    given = np.asarray(column, dtype=object)
    array = _validate.array_1d(
        [_cell(each, name, study[i] if i < k else "") for i, each in enumerate(given)], name
    )
    if array.size != k:
        raise InvalidInputError(f"{name} must give one value per median, {k}; got {array.size}.")
    bad = np.flatnonzero(array <= 0)
    if bad.size:
        raise InvalidInputError(f"{study[bad[0]]}: {name} must be positive; got {array[bad[0]]:g}.")
    return array


def _cell(value: Any, name: str, study: str) -> Any:
    """A value of a column; a limit may be a text, and one that was not reached is infinite."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return math.nan
    if not isinstance(value, str) or name not in ("ci_lower", "ci_upper"):
        return value
    number = _number(value, study, name)
    if number.is_exact:
        return number.months
    return math.inf if name == "ci_upper" else math.nan


def _number(text: str, study: str, name: str) -> ReportedNumber:
    """A printed number of months."""
    try:
        return parse_number(text, unit="month")
    except InvalidInputError as reason:
        raise InvalidInputError(f"{study}: {name}: {reason}") from reason
