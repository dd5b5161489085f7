"""Rows of a data frame or mapping, one a study and time, as reports of studies."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._typing import BoolArray, FloatArray
from netsynth.curve_methods.study_report import WHOLE_PERCENT, Doubt, StudyReport
from netsynth.data.endpoint import Endpoint, find_endpoint
from netsynth.errors import InvalidInputError, UnusableDataWarning
from netsynth.kernels.survival_variance import detected_se

_COLUMNS: Final = ("study", "time_months", "survival")
_COUNTS: Final = ("n_total", "n_at_risk", "n_at_start", "se")
_INTERVAL: Final = ("ci_lower", "ci_upper", "ci_level")
_OPTIONAL: Final = (*_COUNTS, *_INTERVAL, "endpoint")
#: What else these columns are called.
_ALIASES: Final = {
    "n": "n_total",
    "n_patients": "n_total",
    "patients": "n_total",
    "std_error": "se",
    "standard_error": "se",
    "stderr": "se",
}
_NEAR: Final = 0.75  # of 1, for the likeness of two names
_SHORT: Final = 4  # letters of a name that is like too many others
_MOST_DECIMALS: Final = 12


def read_columns(columns: Mapping[str, Any], endpoint: Endpoint) -> tuple[list[StudyReport], list[Doubt]]:
    """Reports of all studies, and columns that are not read although their names are near known ones."""
    missing = [name for name in _COLUMNS if name not in columns]
    if missing:
        raise InvalidInputError(
            f"data must have the columns {_format.listing(_COLUMNS)}; {_format.listing(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing from {_format.listing(columns)}."
        )
    names = _names(columns["study"])
    labels = [f"{name}, row {i + 1}" for i, name in enumerate(names)]
    check_endpoints(columns.get("endpoint"), endpoint, labels)
    values = {
        name: _validate.array_1d(columns[name], name) if name in columns else np.full(len(names), np.nan)
        for name in ("time_months", "survival", *_COUNTS, *_INTERVAL)
    }
    for name, column in values.items():
        if column.size != len(names):
            raise InvalidInputError(
                f"{name} must have one value for each of {len(names)} rows; got {column.size}."
            )
    _check(values, labels)
    places: dict[str, int] = {}
    place = np.array([places.setdefault(name, len(places)) for name in names], dtype=np.int64)
    rounding = _rounding(values, place, len(places))
    values["se"] = _standard_errors(values, rounding[place])
    return _of_rows(tuple(places), place, values, rounding), _unread(columns)


def study_name(value: object, i: int) -> str:
    """Name of the study in row i of a frame, counted from 0."""
    if _is_missing(value):
        raise InvalidInputError(f"Row {i + 1}: study is missing.")
    return _validate.text(str(value), "study", where=f"Row {i + 1}")


def _is_missing(value: object) -> bool:
    """Whether a cell is None or unlike itself; that of the NA of pandas is neither true nor false."""
    same = value is not None and value == value
    return not (isinstance(same, bool | np.bool_) and same)


def check_endpoint(found: Endpoint, wanted: Endpoint, where: str) -> None:
    """Refuse what is about another endpoint."""
    if found.code != wanted.code:
        raise InvalidInputError(
            f"{where}: reports {found}, and {wanted} is asked for. Endpoints are not mixed in one curve: name the "
            f"one you want, as endpoint={found.code!r}, and leave the others out."
        )


def _names(column: Any) -> list[str]:
    known: dict[str, str] = {}  # a name is looked at once
    names = []
    for i, value in enumerate(column):
        printed = str(value)
        if printed not in known or _is_missing(value):
            known[printed] = study_name(value, i)
        names.append(known[printed])
    return names


def check_endpoints(column: Any, wanted: Endpoint, labels: Sequence[str]) -> None:
    """Refuse rows about another endpoint, and what is no text; each word is looked at where it comes first."""
    if column is None:
        return
    words = list(column)
    if len(words) != len(labels):
        raise InvalidInputError(
            f"endpoint must have one value for each of {len(labels)} rows; got {len(words)}."
        )
    seen: set[object] = set()
    for word, where in zip(words, labels, strict=True):
        if word in seen:
            continue
        if not isinstance(word, str | Endpoint):
            raise InvalidInputError(f"{where}: endpoint must be a text such as 'OS'; got {word!r}.")
        seen.add(word)
        if not (isinstance(word, str) and word.strip() == wanted.code):
            check_endpoint(find_endpoint(word), wanted, where)


def _check(values: Mapping[str, FloatArray], labels: Sequence[str]) -> None:
    """Refuse values that cannot be right, by study and row."""

    def refuse(bad: BoolArray, name: str, allowed: str, remedy: str = "") -> None:
        if bad.any():
            i = int(np.argmax(bad))
            raise InvalidInputError(f"{labels[i]}: {name} must {allowed}; got {values[name][i]:g}.{remedy}")

    missing = " Leave the row out where nothing is reported."
    leave = " Leave it empty where it is not known."
    s = values["survival"]
    refuse(~np.isfinite(values["time_months"]), "time_months", "be finite and not negative", missing)
    refuse(np.isnan(s), "survival", "be a number in [0, 1]", missing)
    refuse(s > 1, "survival", "lie in [0, 1]", " Divide percentages by 100.")
    refuse(s < 0, "survival", "lie in [0, 1]")
    for name in ("time_months", *_COUNTS):
        refuse((values[name] < 0) | np.isinf(values[name]), name, "be finite and not negative")
    n = values["n_total"]
    refuse((n < 1) | (n != np.floor(n)) & ~np.isnan(n), "n_total", "be a whole number of patients", leave)
    refuse((values["se"] == 0) & (s > 0) & (s < 1), "se", "be positive where 0 < survival < 1", leave)
    lower, upper, level = (values[name] for name in _INTERVAL)
    for name in ("ci_lower", "ci_upper"):
        hint = " Divide percentages by 100." if (values[name] > 1).any() else ""
        refuse((values[name] < 0) | (values[name] > 1), name, "lie in [0, 1]", hint)
    refuse((level <= 0) | (level >= 1), "ci_level", "lie between 0 and 1, such as 0.95")
    # limits and survival are rounded, at the most to a whole percentage
    refuse(lower > s + 2 * WHOLE_PERCENT, "ci_lower", "not be above survival", " Check the transcription.")
    refuse(upper < s - 2 * WHOLE_PERCENT, "ci_upper", "not be below survival", " Check the transcription.")


def _rounding(values: Mapping[str, FloatArray], place: npt.NDArray[np.int64], k: int) -> FloatArray:
    """Half a unit of the last digit that each study has somewhere, of a whole percentage at least."""
    found = np.full(k, WHOLE_PERCENT)
    rest = np.stack([np.nan_to_num(values[name]) for name in ("survival", "ci_lower", "ci_upper")])
    for decimals in range(2, _MOST_DECIMALS):
        more = (np.abs(rest - np.round(rest, decimals)) > 1e-13).any(axis=0)
        if not more.any():
            break
        found[np.unique(place[more])] = 0.5 * 10.0 ** -(decimals + 1)
    return found


def _standard_errors(values: Mapping[str, FloatArray], rounding: FloatArray) -> FloatArray:
    """Those given, else those that intervals tell, as for the records of a review."""
    s, se = values["survival"], np.where(values["se"] > 0, values["se"], np.nan)
    lower, upper, level = (values[name] for name in _INTERVAL)
    level = np.where(np.isnan(level), 0.95, level)
    told = np.isnan(se) & np.isfinite(lower) & np.isfinite(upper) & (s > 0) & (s < 1)
    for each in np.unique(level[told]):
        here = told & (level == each)
        se[here] = detected_se(s[here], lower[here], upper[here], rounding[here], level=float(each)).se
    return se


def _unread(columns: Mapping[str, Any]) -> list[Doubt]:
    """Columns that are near to one that is not there; others are the user's own."""
    absent = [name for name in _OPTIONAL if name not in columns]
    long = [name for name in absent if len(name) > _SHORT]
    found: list[Doubt] = []
    for name in columns:
        word = name.strip().lower()
        if name in _COLUMNS or name in _OPTIONAL:
            continue
        alias = word if word in absent else _ALIASES.get(word, "")
        near = [alias] if alias else difflib.get_close_matches(word, long, 1, _NEAR)
        if near and near[0] in absent:
            message = f"the column {name!r} is not read: did you mean {near[0]!r}?"
            found.append((UnusableDataWarning, message))
    return found


def _of_rows(
    names: tuple[str, ...],
    place: npt.NDArray[np.int64],
    values: Mapping[str, FloatArray],
    rounding: FloatArray,
) -> list[StudyReport]:
    """Reports of all studies at once; `place` is the study of each row."""
    order = np.lexsort((values["time_months"], place))
    place, t, s = place[order], values["time_months"][order], values["survival"][order]
    n_total, at_risk, at_start, se = (values[key][order] for key in _COUNTS)
    follows = place[1:] == place[:-1]  # the row before is of the same study
    again = np.flatnonzero(follows & (np.diff(t) <= 1e-9 * t[1:]))
    if again.size:
        i = int(again[0])
        raise InvalidInputError(f"{names[place[i]]}: two values at {t[i]:g} months. Keep one.")
    rises = np.flatnonzero(follows & (np.diff(s) > 0))
    if rises.size:
        i = int(rises[0])
        raise InvalidInputError(
            f"{names[place[i]]}: survival cannot rise; got {s[i + 1]:g} at {t[i + 1]:g} months after {s[i]:g} at "
            f"{t[i]:g} months. Check the transcription."
        )
    first = np.append(0, np.flatnonzero(~follows) + 1)
    n = np.fmax.reduceat(n_total, first)
    several = np.flatnonzero(np.fmin.reduceat(n_total, first) < n)
    if several.size:
        i = int(several[0])
        sizes = np.unique(n_total[(place == i) & np.isfinite(n_total)])
        raise InvalidInputError(
            f"{names[i]}: n_total must be one number; got {_format.listing(f'{size:g}' for size in sizes)}."
        )
    at_zero = t[first] == 0  # the row of time 0 of a table of numbers at risk
    wrong = np.flatnonzero(at_zero & (s[first] != 1))
    if wrong.size:
        i = int(wrong[0])
        raise InvalidInputError(f"{names[i]}: survival at time 0 must be 1; got {s[first[i]]:g}.")
    n = np.where(at_zero & np.isnan(n), at_risk[first], n)
    start, end = first + at_zero, np.append(first[1:], t.size)
    empty = np.flatnonzero(start == end)
    if empty.size:
        raise InvalidInputError(f"{names[empty[0]]}: there is no survival after time 0.")
    nobody = np.flatnonzero((n == 0) | (at_start[start] == 0))
    if nobody.size:
        raise InvalidInputError(
            f"{names[nobody[0]]}: nobody is at risk at the start; got 0. Leave the number empty where it is not known."
        )
    told = np.isfinite(at_risk)
    told[first[at_zero]] = False
    of_unknown = np.zeros(len(names), dtype=np.bool_)
    of_unknown[place[told]] = True
    of_unknown &= np.isnan(n) & np.isnan(at_start[start])
    if of_unknown.any():
        raise InvalidInputError(
            f"{names[int(np.argmax(of_unknown))]}: n_at_risk is the number at risk at the time of its row, and nothing "
            "says how many began. Give n_total, or a row at time 0; if the numbers are those at the start of the "
            "intervals, as RISCA and metaSurvival have them, call the column n_at_start."
        )
    for label, numbers in (("n_at_risk", at_risk), ("n_at_start", at_start)):
        rows = np.flatnonzero(np.isfinite(numbers) & (t > 0))
        value, of = numbers[rows], place[rows]
        too_many = value > n[of]
        too_many[1:] |= (of[1:] == of[:-1]) & (np.diff(value) > 0)
        if too_many.any():
            i = int(of[np.argmax(too_many)])
            raise InvalidInputError(
                f"{names[i]}: {label} cannot rise, or pass n_total. Check the transcription."
            )
    return [
        StudyReport(name, t[i:j], s[i:j], size, at_risk[i:j], at_start[i:j], se[i:j], rounding=half)
        for name, i, j, size, half in zip(
            names, start.tolist(), end.tolist(), n.tolist(), rounding.tolist(), strict=True
        )
    ]
