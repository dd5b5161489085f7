"""Designs of regressions: moderators as they are given, coded, and what is refused."""

from __future__ import annotations

from typing import Final

import numpy as np

from netsynth import _compat, _format
from netsynth._typing import FloatArray
from netsynth.errors import InvalidInputError
from netsynth.results.moderators import Coding, Moderators, PlainCoding, columns_by_name, read_moderators

__all__ = ["check_design", "coded_moderators"]

#: A column of which so little is left when the columns before it are taken out says nothing that they do not.
_COLLINEAR: Final = 1e-8
#: A column beyond these in size leaves no digits for sums of squares.
_LARGEST: Final = 1e100


def coded_moderators(
    moderators: object, data: object, study: tuple[str, ...], *, otherwise: str
) -> tuple[Moderators, Coding]:
    """Checked values of the moderators, and how they become a design.

    Parameters
    ----------
    moderators : str, array_like, mapping or data frame
        A formula, or the moderators themselves.
    data : mapping, data frame or None
        What the formula is about.
    study : tuple of str
        Labels of the rows.
    otherwise : str
        The verb for results without moderators.

    Raises
    ------
    InvalidInputError
        If there are no moderators, a formula comes without data or the other way round, or a value is wrong.
    """
    formula = moderators if isinstance(moderators, str) else ""
    if formula and data is None:
        raise InvalidInputError(f"The formula {formula!r} needs data, with the moderators as columns.")
    if not formula and data is not None:
        raise InvalidInputError("data goes with a formula; give the moderators or a formula, not both.")
    given = columns_by_name(data if formula else moderators)
    used = _compat.formula_variables(formula, given) if formula else tuple(given)
    if not used:
        known = f" among {_format.listing(given)}" if given else ""
        raise InvalidInputError(f"There are no moderators{known}; without any, use {otherwise}.")
    read = read_moderators(given, place=study, names=used)
    for name, values in read.columns.items():
        if len(values) != len(study):
            raise InvalidInputError(
                f"estimate and moderator {name!r} must have the same length; got {len(study)} and {len(values)}."
            )
    if formula:
        return read, _compat.formula_coding(formula, read.columns, read.levels)
    return read, PlainCoding(used, read.levels)


def check_design(
    design: FloatArray, names: tuple[str, ...], study: tuple[str, ...], *, rows: str = "studies"
) -> None:
    """Refuse a design that is not finite, not of full rank, or too large for the studies, which are the `rows`.

    Raises
    ------
    InvalidInputError
    """
    k, p = design.shape
    row = "study" if rows == "studies" else rows.removesuffix("s")
    for i, j in np.argwhere(~np.isfinite(design)):
        raise InvalidInputError(f"{study[i]}: moderator {names[j]!r} must be finite; got {design[i, j]}.")
    has_intercept = _compat.INTERCEPT in names
    for name, column in zip(names, design.T, strict=True):
        size = float(np.abs(column).max())
        if not 1.0 / _LARGEST < size < _LARGEST:
            raise InvalidInputError(f"Moderator {name!r} is {size:g} at most. Give it in another unit.")
        if name != _compat.INTERCEPT and has_intercept and np.ptp(column) == 0:
            raise InvalidInputError(
                f"Moderator {name!r} is {column[0]:g} in every {row} and explains nothing. Leave it out."
            )
    if k <= p:
        raise InvalidInputError(
            f"{p} coefficients ({', '.join(names)}) need more than {p} {rows}; got {k}. Use fewer moderators."
        )
    basis = np.empty((k, 0))
    # the intercept first, so that what is left of a moderator is its spread about the mean
    for j in sorted(range(p), key=lambda j: names[j] != _compat.INTERCEPT):
        column = design[:, j] / np.abs(design[:, j]).max()
        rest = column - basis @ (basis.T @ column)
        rest -= basis @ (basis.T @ rest)
        spread = np.linalg.norm(column - column.mean() if has_intercept else column)
        if np.linalg.norm(rest) <= _COLLINEAR * spread and names[j] != _compat.INTERCEPT:
            share = np.linalg.lstsq(design[:, :j] / np.abs(design[:, :j]).max(axis=0), column, rcond=None)[0]
            others = [names[i] for i in range(j) if abs(share[i]) > 1e-6]
            raise InvalidInputError(
                f"Moderator {names[j]!r} follows from {_format.listing(others)}. Leave one of them out."
            )
        basis = np.column_stack([basis, rest / np.linalg.norm(rest)])
