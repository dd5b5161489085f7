"""Moderators: what studies differ in, read from arrays, mappings or data frames, and coded as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._compat import INTERCEPT
from netsynth._typing import FloatArray
from netsynth.errors import InvalidInputError

__all__ = ["Coding", "Moderators", "PlainCoding", "columns_by_name", "read_moderators"]


class Moderators(NamedTuple):
    """Checked values of each moderator, numbers or words, and for words the levels, the reference first."""

    columns: Mapping[str, npt.NDArray[Any]]
    levels: Mapping[str, tuple[str, ...]]


class Coding(Protocol):
    """How moderators become the columns of a design matrix."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        ...

    @property
    def terms(self) -> Mapping[str, tuple[int, ...]]:
        """Which columns belong to which term, without the intercept."""
        ...

    @property
    def variables(self) -> tuple[str, ...]:
        """The moderators that are used."""
        ...

    @property
    def levels(self) -> Mapping[str, tuple[str, ...]]:
        """The levels of those made of words."""
        ...

    def matrix(self, columns: Mapping[str, npt.NDArray[Any]]) -> FloatArray:
        """Design matrix of shape (n, p) for n values of each moderator."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class PlainCoding:
    """An intercept, numbers as they are, and words as contrasts with the first of their levels.

    Attributes
    ----------
    variables : tuple of str
        The moderators.
    levels : mapping of str to tuple of str
        For each moderator made of words its levels, the reference first.
    """

    variables: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns: "intercept", "year", "design[T.cohort]"."""
        return (INTERCEPT, *(name for variable in self.variables for name in self._named(variable)))

    @property
    def terms(self) -> Mapping[str, tuple[int, ...]]:
        """Which columns belong to which moderator."""
        found, start = dict[str, tuple[int, ...]](), 1
        for variable in self.variables:
            stop = start + len(self._named(variable))
            found[variable] = tuple(range(start, stop))
            start = stop
        return MappingProxyType(found)

    def _named(self, variable: str) -> list[str]:
        if variable not in self.levels:
            return [variable]
        return [f"{variable}[T.{level}]" for level in self.levels[variable][1:]]

    def matrix(self, columns: Mapping[str, npt.NDArray[Any]]) -> FloatArray:
        """Design matrix of shape (n, p) for n values of each moderator."""
        n = len(next(iter(columns.values())))
        found = [np.ones(n)]
        for variable in self.variables:
            values = columns[variable]
            if variable in self.levels:
                found += [(values == level).astype(np.float64) for level in self.levels[variable][1:]]
            else:
                found.append(values)
        return np.column_stack(found)


def read_moderators(
    given: object,
    *,
    place: Sequence[str] = (),
    names: Sequence[str] = (),
    levels: Mapping[str, tuple[str, ...]] | None = None,
) -> Moderators:
    """Read and check moderators.

    Parameters
    ----------
    given : array_like, mapping or data frame
        One or two dimensions, moderators as columns; or columns by name, in a mapping or any frame that
        gives them by its names (pandas, polars, pyarrow).
    place : sequence of str, optional
        Labels of the rows for complaints; by default their numbers.
    names : sequence of str, optional
        The moderators to read, others being left alone; names of an array's columns. By default all.
    levels : mapping of str to tuple of str, optional
        The levels that words may have; by default those found, sorted, or in the order of a pandas categorical.

    Raises
    ------
    InvalidInputError
        If a value is missing, infinite, or not of the kind of the others, or a moderator is.
    """
    columns = columns_by_name(given, names)
    for name in names:
        if name not in columns:
            raise InvalidInputError(
                f"Moderator {name!r} is missing; got {_format.listing(columns) or 'none'}."
            )
    found, kept = dict[str, npt.NDArray[Any]](), dict[str, tuple[str, ...]]()
    for name in names or columns:
        known = None if levels is None else levels.get(name, ())
        values, words = _checked(name, columns[name], place, known)
        values.setflags(write=False)
        found[name] = values
        if words:
            kept[name] = words
    sizes = {name: len(values) for name, values in found.items()}
    if len(set(sizes.values())) > 1:
        listed = _format.listing(f"{name} {n}" for name, n in sizes.items())
        raise InvalidInputError(f"Moderators must have the same number of values; got {listed}.")
    return Moderators(MappingProxyType(found), MappingProxyType(kept))


def columns_by_name(given: object, names: Sequence[str] = ()) -> dict[str, Any]:
    """Columns as they were given, unchecked; `names` are those of an array's.

    Raises
    ------
    InvalidInputError
        If an array has not one or two dimensions, or not as many columns as names.
    """
    if isinstance(given, Mapping):
        return _one_row_for_all({str(name): column for name, column in given.items()})
    frame: Any = given
    listed = getattr(frame, "column_names", getattr(frame, "columns", None))  # of pyarrow; of all others
    if listed is not None:
        return {str(name): frame[name] for name in listed}
    try:
        array = np.asarray(_validate.unmasked(frame))
    except ValueError:  # rows of different length
        array = np.zeros((0, 0, 0))
    if array.ndim not in (1, 2):
        raise InvalidInputError(f"Moderators must have one or two dimensions; got shape {array.shape}.")
    if array.ndim == 1:
        label = getattr(frame, "name", None)  # of a pandas or polars series
        return {names[0] if names else label if isinstance(label, str) and label else "x": frame}
    labels = names or [f"x{i}" for i in range(1, array.shape[1] + 1)]
    if len(labels) != array.shape[1]:
        raise InvalidInputError(
            f"Moderators must have the columns {_format.listing(labels)}; got {array.shape[1]} columns."
        )
    return dict(zip(labels, array.T, strict=True))


def _one_row_for_all(columns: dict[str, Any]) -> dict[str, Any]:
    """Single values beside columns, repeated; columns as they are."""
    arrays = {name: np.ndim(np.asarray(column, dtype=object)) for name, column in columns.items()}
    n = max((len(columns[name]) for name, ndim in arrays.items() if ndim), default=1)
    return {name: columns[name] if ndim else [columns[name]] * n for name, ndim in arrays.items()}


def _checked(
    name: str, column: Any, place: Sequence[str], known: tuple[str, ...] | None
) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    values = np.asarray(_validate.unmasked(column), dtype=object)
    if values.ndim != 1:
        raise InvalidInputError(f"Moderator {name!r} must have one dimension; got shape {values.shape}.")

    def refuse(i: int, problem: str) -> None:
        where = place[i] if i < len(place) else f"Row {i + 1}"
        raise InvalidInputError(f"{where}: moderator {name!r} {problem}")

    for i, value in enumerate(values):
        if _is_missing(value):
            refuse(i, "is missing. Give a value or leave the study out.")
    categories = _categories(column)
    wants_words = bool(known) if known is not None else categories is not None or isinstance(values[0], str)
    if wants_words:
        if categories is not None:
            values = np.array([str(value) for value in values], dtype=object)
        for i, value in enumerate(values):
            if not isinstance(value, str):
                refuse(i, f"must be words as its other values are; got {value!r}.")
        order = known or tuple(sorted(set(values)) if categories is None else categories)
        found = set(values)
        for i, value in enumerate(values):
            if value not in order:
                refuse(i, f"must be one of {', '.join(order)}; got {value!r}.")
        return values, order if known else tuple(level for level in order if level in found)
    for i, value in enumerate(values):
        if not isinstance(value, bool | int | float | np.bool_ | np.number):
            refuse(i, f"must be a number; got {value!r}.")
        if not np.isfinite(value):
            refuse(i, f"must be finite; got {value}.")
    return values.astype(np.float64), ()


def _is_missing(value: Any) -> bool:
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA is neither equal nor unequal to anything
        return True


def _categories(column: Any) -> list[str] | None:
    """Levels of a pandas categorical in their order."""
    holder = getattr(column, "cat", column)
    categories = getattr(holder, "categories", None)
    return None if categories is None else [str(level) for level in categories]
