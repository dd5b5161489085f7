"""Checks at the door: a clean read-only array comes back, or an error that says where and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from netsynth._typing import BoolArray, FloatArray
from netsynth.errors import InvalidInputError


def _place(where: str, name: str) -> str:
    return f"{where}: {name}" if where else name


def _refuse(
    bad: BoolArray, values: FloatArray, name: str, where: str, allowed: str, labels: Sequence[str] = ()
) -> None:
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        place = _place(labels[i] if labels else where, name)
        raise InvalidInputError(f"{place} must be {allowed}; got {values[i]:g} at position {i}.")


def unmasked(values: Any) -> Any:
    """The same values; of a masked array with None, which is nan as a number, for what is masked.

    numpy would read what lies under the mask.
    """
    if isinstance(values, np.ma.MaskedArray):
        plain = values.data.astype(object)
        plain[np.ma.getmaskarray(values)] = None
        return plain
    return values


def array_1d(values: npt.ArrayLike, name: str, *, where: str = "") -> FloatArray:
    """One-dimensional float array, read-only, possibly with nan."""
    try:
        if np.iscomplexobj(values):
            raise TypeError
        array = np.array(unmasked(values), dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidInputError(f"{_place(where, name)} must be numbers; got {values!r:.80}.") from None
    if array.ndim != 1:
        raise InvalidInputError(f"{_place(where, name)} must have one dimension; got shape {array.shape}.")
    if array.size == 0:
        raise InvalidInputError(f"{_place(where, name)} is empty; give at least one value.")
    array.setflags(write=False)
    return array


def finite_1d(values: npt.ArrayLike, name: str, *, where: str = "", labels: Sequence[str] = ()) -> FloatArray:
    """As `array_1d`, every value finite; `labels`, one a value, say where instead of `where`."""
    array = array_1d(values, name, where=where)
    _refuse(~np.isfinite(array), array, name, where, "finite", labels)
    return array


def positive_1d(
    values: npt.ArrayLike, name: str, *, where: str = "", labels: Sequence[str] = ()
) -> FloatArray:
    """As `finite_1d`, every value above zero."""
    array = finite_1d(values, name, where=where, labels=labels)
    _refuse(array <= 0, array, name, where, "positive", labels)
    return array


def increasing_1d(values: npt.ArrayLike, name: str, *, where: str = "") -> FloatArray:
    """As `positive_1d`, strictly increasing."""
    array = positive_1d(values, name, where=where)
    falls = np.flatnonzero(np.diff(array) <= 0)
    if falls.size:
        i = int(falls[0]) + 1
        raise InvalidInputError(
            f"{_place(where, name)} must increase; got {array[i]:g} at position {i} after {array[i - 1]:g}."
        )
    return array


def probability_1d(values: npt.ArrayLike, name: str, *, where: str = "") -> FloatArray:
    """As `finite_1d`, every value in [0, 1]."""
    array = finite_1d(values, name, where=where)
    bad = (array < 0) | (array > 1)
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        hint = " Divide percentages by 100 or use a from_percent constructor." if (array > 1).any() else ""
        raise InvalidInputError(
            f"{_place(where, name)} must lie in [0, 1]; got {array[i]:g} at position {i}.{hint}"
        )
    return array


def same_length(
    first: FloatArray, first_name: str, second: FloatArray, second_name: str, *, where: str = ""
) -> None:
    """Refuse two arrays of different length."""
    if first.size != second.size:
        raise InvalidInputError(
            f"{_place(where, first_name)} and {second_name} must have the same length; "
            f"got {first.size} and {second.size}."
        )


def count(value: object, name: str, *, where: str = "", minimum: int = 0) -> int:
    """A whole number of people or studies, at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise InvalidInputError(f"{_place(where, name)} must be a whole number; got {value!r}.")
    if not math.isfinite(value) or value != int(value) or value < minimum:
        raise InvalidInputError(
            f"{_place(where, name)} must be a whole number of at least {minimum}; got {value:g}."
        )
    return int(value)


def level(value: float) -> float:
    """A confidence level, a fraction strictly between 0 and 1."""
    if not isinstance(value, int | float) or not 0 < value < 1:
        raise InvalidInputError(f"level must be a fraction between 0 and 1, such as 0.95; got {value!r}.")
    return float(value)


def choice(value: str, name: str, allowed: Iterable[str], *, where: str = "") -> str:
    """One of a few words; the error names them all."""
    words = tuple(allowed)
    if value not in words:
        raise InvalidInputError(f"{_place(where, name)} must be one of {', '.join(words)}; got {value!r}.")
    return value


def word_list(words: Any, name: str, *, least: int = 1) -> None:
    """Refuse one text, whose letters would be taken for words, and a list of fewer; None is let through."""
    if isinstance(words, str) or (words is not None and len(words) < least):
        number = "one or more " if least else ""
        raise InvalidInputError(f"{name} must be a list of {number}words; got {words!r}.")


def labels(study: Iterable[str] | None, k: int) -> tuple[str, ...]:
    """Labels of k studies, or their places in the input counted from one."""
    if study is None:
        return tuple(f"Study {i}" for i in range(1, k + 1))
    names = tuple(text(label, "study") for label in ([study] if isinstance(study, str) else study))
    if len(names) != k:
        noun = "study" if k == 1 else "studies"
        raise InvalidInputError(f"study must have one label for each of {k} {noun}; got {len(names)}.")
    return names


def text(value: object, name: str, *, where: str = "") -> str:
    """A string that is not blank, stripped."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidInputError(f"{_place(where, name)} must be a non-empty text; got {value!r}.")
    return value.strip()
