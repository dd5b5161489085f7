"""`read_digitized`: what plot digitisers write to curves, with the unit of survival stated and never guessed."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from netsynth import _validate
from netsynth._typing import ShareUnit, TimeUnit
from netsynth.data.digitized import CurveKind, DigitizedCurve
from netsynth.errors import (
    InconsistentReportWarning,
    InvalidInputError,
    UnusableDataWarning,
    caution,
)
from netsynth.io.csvfile import encoding_of
from netsynth.io.layout import fold
from netsynth.io.problems import Problems
from netsynth.io.traces import Series, Trace, text_series
from netsynth.io.webplotdigitizer import project_in_tar, project_series
from netsynth.reported.grammar import DecimalMark
from netsynth.units import share_unit as find_share_unit
from netsynth.units import time_unit as find_time_unit

_SCALE: Final[Mapping[ShareUnit, float]] = {"percent": 100.0, "probability": 1.0}
#: A curve starts at 1 when its highest point is no farther than this from it; lines have width, hands tremble.
_NEAR: Final = 0.1
#: A point farther than this outside 0 to 1 is no survival in the unit that was assumed.
_BEYOND: Final = 0.2
#: An incidence that reaches this is in percent; one that stays below may be of rare events.
_SURELY_PERCENT: Final = 2.0
#: A survival curve rises, or an incidence falls, when its ends differ by this share of its highest point.
_TURN: Final = 0.1
#: "Survival (%)", "percent", "in %": a unit at the end of a header.
_UNIT: Final = re.compile(
    r"(?:^|[(\[,]|\bin\s|\bsurvival\s|\bincidence\s)\s*"
    r"(%|percent|pct|per cent|probability|proportion|fraction)\s*[)\]]?$"
)


def read_digitized(
    path: str | os.PathLike[str],
    *,
    kind: CurveKind = "survival",
    survival_unit: str | None = None,
    time_unit: str | None = None,
    series: str | Iterable[str] | None = None,
    decimal: DecimalMark | None = None,
    encoding: str | None = None,
) -> tuple[DigitizedCurve, ...]:
    r"""Read the curves that somebody clicked off a figure.

    Parameters
    ----------
    path : path
        What a plot digitiser wrote: a project of WebPlotDigitizer (JSON, or the tar archive with it), or a table
        of points as text, such as WebPlotDigitizer, DigitizeIt, Engauge Digitizer or a spreadsheet writes it.
        Which of these it is, the separator and the layout are found from the content.
    kind : {"survival", "incidence"}
        Whether the curves fall, or are cumulative incidences; of these one minus the value is taken.
    survival_unit : {"percent", "probability"}, optional
        Unit of survival. Without it a header of the file may say it; else a curve that starts near 100 is
        in percent, one that starts near 1 is a probability, and all else is refused.
    time_unit : {"month", "year", "week", "day"}, optional
        Unit of time. Without it a header may say it, else it stays unknown.
    series : str or iterable of str, optional
        Names of the series to read; all by default.
    decimal : {".", ","}, optional
        Decimal mark of a text; the other one may group thousands. Found from the numbers by default.
    encoding : str, optional
        Encoding of a text; by default by its byte order mark, else UTF-8, else Windows' western one.

    Returns
    -------
    tuple of DigitizedCurve
        The curves in the order of the file, each with its points in the order in which they stand there.

    Raises
    ------
    ReadError
        If anything cannot be read: every complaint at once in `problems`, each with file, row, column, what was
        found and what is allowed.
    InvalidInputError
        If there is no such file or series, an argument is impossible, the unit of survival cannot be told or
        contradicts the file, or a curve runs the other way than its kind.

    Warns
    -----
    UnusableDataWarning
        If points are missing, which stay as nan, or a series has no point and is left out.
    InconsistentReportWarning
        If survival is said to be in percent and never exceeds one percent by much.

    Notes
    -----
    A table has columns of times and of survival, in this order: two columns with or without a header, more with
    one. Every curve belongs to the nearest column of times on its left; several may share one, and have a point in
    the rows in which they have a value. One column may name the curve of each row. Blank lines and further headers
    start another curve. Lines that begin with # are comments.

    WebPlotDigitizer stores values beside pixels. Values are used as they are; where they are absent they are computed
    from the calibration, which `DigitizedCurve.source` then says.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> file = Path(tempfile.mkdtemp()) / "figure2.csv"
    >>> _ = file.write_text("Surgery,,Embolisation,\nX,Y,X,Y\n0,100.2,0.1,99.8\n12,81,12.2,58.5\n60,49.7,,\n")
    >>> for curve in read_digitized(file, time_unit="month"):
    ...     print(curve)
    Surgery: 3 points, 0 to 60 months, survival 100.2% to 49.7%
    Embolisation: 2 points, 0.1 to 12.2 months, survival 99.8% to 58.5%
    """
    _validate.choice(kind, "kind", ("survival", "incidence"))
    if decimal is not None:
        _validate.choice(decimal, "decimal", (".", ","))
    given_share = None if survival_unit is None else find_share_unit(survival_unit, where="survival_unit")
    given_time = None if time_unit is None else find_time_unit(time_unit, where="time_unit")
    file, found = _read(path, series, decimal, encoding)

    empty = [one.name for one, trace in found if not trace.time.size]
    if empty:
        caution(
            UnusableDataWarning, f"left out, since without points: {', '.join(map(repr, empty))}", where=file
        )
    found = [(one, trace) for one, trace in found if trace.time.size]
    for one, trace in found:
        _check_direction(trace, kind, f"{file}, {one.name}")
    share, share_source = _share_unit(found, kind, given_share, file)

    curves = []
    for one, trace in found:
        where, cautions = f"{file}, {one.name}", []
        value = trace.value / _SCALE[share]
        missing = np.flatnonzero(np.isnan(trace.time) | np.isnan(value))
        if missing.size:
            k = int(missing[0])
            place = f"row {trace.rows[k]}" if trace.rows else f"point {k + 1}"
            message = (
                f"{missing.size} of {value.size} points are missing and stay as nan; the first is in {place}"
            )
            cautions.append(caution(UnusableDataWarning, message, where=where))
        top = np.max(value, where=~np.isnan(value), initial=-np.inf)
        if share == "percent" and kind == "survival" and -np.inf < top <= (1 + _BEYOND) / 100:
            message = f"survival in percent never exceeds {100 * top:.3g}%"
            cautions.append(caution(InconsistentReportWarning, message, where=where))
        curves.append(
            DigitizedCurve(
                name=one.name,
                time=trace.time,
                survival=value if kind == "survival" else 1.0 - value,
                kind=kind,
                survival_unit=share,
                unit_source=share_source,
                time_unit=_time_unit(trace, given_time, where),
                source=f"{file}, {one.where}",
                warnings=tuple(cautions),
            )
        )
    return tuple(curves)


# -- the file --------------------------------------------------------------------------------------------


def _read(
    path: str | os.PathLike[str],
    series: str | Iterable[str] | None,
    decimal: DecimalMark | None,
    encoding: str | None,
) -> tuple[str, list[tuple[Series, Trace]]]:
    """The name of the file, and the series that are wanted with their numbers."""
    if not isinstance(path, str | os.PathLike):
        raise InvalidInputError(f"path must be that of a file; got {type(path).__name__}.")
    place, problems = Path(path), Problems()
    if not place.is_file():
        raise InvalidInputError(f"{place} is no file; give one that a plot digitiser wrote.")
    file = place.name
    with place.open("rb") as stream:
        in_tar = stream.read(512)[257:262] == b"ustar" or place.suffix.lower() == ".tar"
        stream.seek(0)
        content = project_in_tar(stream, file, problems) if in_tar else stream.read()
    problems.raise_if_any()
    text = _decoded(content, encoding, file, problems)
    problems.raise_if_any()
    is_project = in_tar or text.lstrip().startswith("{")
    found = project_series(text, file, problems) if is_project else text_series(text, file, decimal, problems)
    unnamed = sum(not one.name for one in found)
    for i, one in enumerate(found):
        if not one.name:
            found[i] = one._replace(name=place.stem if unnamed == 1 else f"{place.stem} {i + 1}")
    if series is not None:
        wanted, names = (series,) if isinstance(series, str) else tuple(series), [one.name for one in found]
        for name in wanted:
            if name not in names:
                problems.raise_if_any()
                raise InvalidInputError(
                    f"{file} has no series {name!r}; it has {', '.join(map(repr, names))}."
                )
        found = [one for one in found if one.name in wanted]
    traces = [(one, one.read(problems)) for one in found]
    if not problems.total and all(np.isnan(trace.value).all() for _, trace in traces):
        problems.add(file, None, "", "no point", "at least one curve with points")
    problems.stored.sort(key=lambda problem: problem.row or 0)
    problems.raise_if_any()
    return file, traces


def _decoded(content: bytes, encoding: str | None, file: str, problems: Problems) -> str:
    """The text of a file. Without an encoding, a byte order mark or the place of NUL bytes tells that of UTF-16."""
    if encoding is not None:
        tried = [encoding_of(encoding)]
    elif content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        tried = ["utf-16"]
    elif b"\0" in content[:4] and b"\0\0" not in content[:4]:
        tried = ["utf-16-be" if content[0] == 0 else "utf-16-le"]
    else:
        tried = ["utf-8-sig", "cp1252", "latin-1"]
    for name in tried:
        try:
            text = content.decode(name)
        except (UnicodeError, LookupError) as error:
            problem = str(error)
            continue
        if "\0" in text:
            problems.add(file, None, "", "a NUL byte", "text; is it a picture, a workbook or damaged?")
        return text
    problems.add(
        file, None, "", f"no {tried[-1]} text ({problem})", "another encoding, such as encoding='utf-8'"
    )
    return ""


# -- units and direction ---------------------------------------------------------------------------------


def _check_direction(trace: Trace, kind: CurveKind, where: str) -> None:
    """Refuse a survival curve that rises from its first to its last time, or an incidence that falls."""
    there = ~(np.isnan(trace.time) | np.isnan(trace.value))
    time, value = trace.time[there], trace.value[there]
    if not time.size:
        return
    start, end = int(np.argmin(time)), time.size - 1 - int(np.argmax(time[::-1]))
    rise = value[end] - value[start]
    if (rise if kind == "survival" else -rise) <= _TURN * np.abs(value).max():
        return
    course = f"{value[start]:.4g} at time {time[start]:.4g} and {value[end]:.4g} at time {time[end]:.4g}"
    if kind == "survival":
        raise InvalidInputError(
            f"{where}: survival cannot rise; got {course}. If the figure shows a cumulative incidence, read it with "
            "kind='incidence'; else look whether times stand before survival."
        )
    raise InvalidInputError(
        f"{where}: a cumulative incidence cannot fall; got {course}. If the figure shows survival, read it with "
        "kind='survival'."
    )


def _share_unit(
    found: Sequence[tuple[Series, Trace]], kind: CurveKind, given: ShareUnit | None, file: str
) -> tuple[ShareUnit, str]:
    """The unit of survival in the whole file, and what told it."""
    told = {
        find_share_unit(match[1])
        for _, trace in found
        if (match := _UNIT.search(trace.value_header.strip().casefold()))
    }
    if len(told) > 1 or (given and told and given not in told):
        stated = f"; survival_unit= says {given}" if given else ""
        raise InvalidInputError(
            f"{file}: the headers say {' and '.join(sorted(told))}{stated}. Correct the headers, or read the series "
            "one by one with series=."
        )
    highest = [
        (float(np.nanmax(trace.value)), one.name) for one, trace in found if not np.isnan(trace.value).all()
    ]
    low = [(top, name) for top, name in highest if top <= 1 + _BEYOND]
    if given:
        unit, source = given, "argument"
    elif told:
        (unit,), source = told, "header"
    else:
        unit, source = _unit_of_values(highest, kind, file), "values"
    if unit == "percent" and kind == "survival" and source != "argument" and low:
        raise InvalidInputError(
            f"{file}: survival is in percent by the {source}, but that of {low[0][1]} never exceeds "
            f"{low[0][0]:.3g}. Read the series one by one with series= and survival_unit=."
        )
    for one, trace in found:
        share = trace.value / _SCALE[unit]
        outside = np.flatnonzero((share < -_BEYOND) | (share > 1 + _BEYOND))
        if outside.size:
            k = int(outside[0])
            place = f"row {trace.rows[k]}" if trace.rows else f"point {k + 1}"
            raise InvalidInputError(
                f"{file}, {one.name}: {trace.value[k]:.4g} in {place} is no {kind} in {unit} (unit by the {source}). "
                "Correct the point, or the unit with survival_unit=."
            )
    return unit, source


def _unit_of_values(highest: Sequence[tuple[float, str]], kind: CurveKind, file: str) -> ShareUnit:
    """The unit that the highest point of each curve tells."""
    ask = "Say survival_unit='percent' or 'probability'."
    top = max(highest)[0]
    if kind == "incidence":
        if top > _SURELY_PERCENT:
            return "percent"
        raise InvalidInputError(
            f"{file}: an incidence of {top:.3g} may be in percent or a probability. {ask}"
        )
    percent, probability = (
        [name for high, name in highest if abs(high / scale - 1) <= _NEAR] for scale in (100.0, 1.0)
    )
    if percent and probability:
        raise InvalidInputError(
            f"{file}: {percent[0]} starts near 100, {probability[0]} near 1. Read them one by one with series=."
        )
    if not percent and not probability:
        raise InvalidInputError(
            f"{file}: no curve starts near 100 or near 1, the highest point is at {top:.3g}; the unit of survival "
            f"cannot be told. {ask}"
        )
    return "percent" if percent else "probability"


def _time_unit(trace: Trace, given: TimeUnit | None, where: str) -> TimeUnit | None:
    """The unit of time that the caller or the header states."""
    told = set[TimeUnit]()
    for word in fold(trace.time_header).split("_"):
        with contextlib.suppress(InvalidInputError):
            told.add(find_time_unit(word))
    if given and told and given not in told:
        raise InvalidInputError(
            f"{where}: the times are headed {trace.time_header!r}, but time_unit= says {given}. Correct one of them."
        )
    return given or (told.pop() if len(told) == 1 else None)
