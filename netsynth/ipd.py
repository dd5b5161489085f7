"""Pseudo individual patient data from a digitised Kaplan-Meier picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate, figure
from netsynth._typing import TimeUnit
from netsynth.data.digitized import DigitizedCurve
from netsynth.errors import InvalidInputError
from netsynth.kernels import trace as tracing
from netsynth.kernels.cell import Table
from netsynth.kernels.ledger import Expected, Rows, expected_events, rows
from netsynth.kernels.trace import Trace
from netsynth.results.ipd import PseudoIPD
from netsynth.units import MONTHS_PER

__all__ = ["reconstruct_ipd"]


def reconstruct_ipd(
    time: npt.ArrayLike | DigitizedCurve,
    survival: npt.ArrayLike | None = None,
    *,
    n_total: int | None = None,
    at_risk_time: npt.ArrayLike | None = None,
    n_at_risk: npt.ArrayLike | None = None,
    n_events: int | None = None,
    censor_time: npt.ArrayLike | None = None,
    axis_end: float | None = None,
    steps: bool | None = None,
    unit: TimeUnit | None = None,
    label: str = "",
) -> PseudoIPD:
    r"""Reconstruct the patients behind a Kaplan-Meier curve from points read off its picture.

    Parameters
    ----------
    time : array_like of float, shape (m,), or DigitizedCurve
        Times of the points, in the order in which the curve was followed and in any unit; at least two. What
        `read_digitized` returns brings its survival, name and unit.
    survival : array_like of float, shape (m,)
        Survival there, as probabilities.
    n_total : int, optional
        Patients. May be left out when the table starts at 0.
    at_risk_time, n_at_risk : array_like, shape (k,), optional
        The table of numbers at risk: those last seen at each time or later. nan where a number cannot be read.
    n_events : int, optional
        Events in all.
    censor_time : array_like of float, shape (c,), optional
        Times of the censoring marks on the curve, each of one patient or more.
    axis_end : float, optional
        End of the axis of time. A curve that runs up to it ends there, else at its last point.
    steps : bool, optional
        Whether the points are the exact corners of the steps, as from a vector drawing, and not clicks near them. By
        default this is found out.
    unit : {"month", "year", "week", "day"}, optional
        Unit of time, for labels; "month" unless a `DigitizedCurve` says otherwise. Nothing is converted.
    label : str
        Whose survival: for messages and printing.

    Returns
    -------
    PseudoIPD
        Frozen: one row a patient, how well they fit what was given, a plot, and fitters of lifelines in one call.

    Raises
    ------
    InvalidInputError
        If there are fewer than two points, survival is in percent, rises, or is the same everywhere, a time is
        negative, points lie beyond the axis, stated corners rise or go back, the number of patients is unknown, a
        number at risk rises, exceeds the patients or is far more than the curve allows, or there are more events or
        marks than patients.

    Warns
    -----
    UnusableDataWarning
        If points or numbers at risk are nan, which are left out and counted, or points are in no order along the curve.
    InconsistentReportWarning
        If a number at risk, a total or marks exceed somewhat what the curve allows; the message says which number is
        impossible. A total that cannot be met is not used. If the curve starts far below 100%.

    Notes
    -----
    The points are made monotone along the curve, times up and survival down, each coordinate by itself and with less
    weight for outliers. Between two numbers at risk the patients who leave are events and censorings, and
    the curve says how many events (see the method page of the ledger); so numbers at risk are met exactly, and so is a
    total that the curve allows. Each event is put where the line crosses the middle of its step. Where steps are higher
    than the noise, or exact, their heights tell how many were censored before each. After the last number at risk
    censoring goes on at the recent hazard, and those left are censored at the end. Guyot's method [1]_, from which all
    this started, takes points for the starts of steps and meets the table nearly.

    References
    ----------
    .. [1] Guyot P, Ades AE, Ouwens MJNM, Welton NJ (2012). Enhanced secondary analysis of survival data:
       reconstructing the data from published Kaplan-Meier survival curves. BMC Med Res Methodol 12:9.
       https://doi.org/10.1186/1471-2288-12-9

    Examples
    --------
    Twenty-one children with leukaemia on 6-MP, from the steps of their curve and numbers at risk every 10 weeks:

    >>> arm = reconstruct_ipd(
    ...     [0, 6, 7, 10, 13, 16, 22, 23, 35],
    ...     [1, 0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448, 0.448],
    ...     at_risk_time=[0, 10, 20, 30],
    ...     n_at_risk=[21, 15, 8, 4],
    ...     steps=True,
    ...     unit="week",
    ...     label="6-MP",
    ... )
    >>> arm.n_events, round(arm.survival(10.0), 4), arm.n_at_risk([0, 10, 20, 30]).tolist()
    (9, 0.7529, [21, 15, 8, 4])
    """
    if isinstance(time, DigitizedCurve):
        if survival is not None:
            raise InvalidInputError(f"{label or time.name}: a DigitizedCurve brings its own survival.")
        unit, label = unit or time.time_unit, label or time.name
        survival, time = time.survival, time.time
    elif survival is None:
        raise InvalidInputError(f"{label or 'reconstruct_ipd'}: give the survival at the points.")
    where = label or "reconstruct_ipd"
    unit = unit or "month"
    _validate.choice(unit, "unit", MONTHS_PER, where=where)

    points = figure.check_points(time, survival, where)
    at, number, cautions = figure.check_table(n_total, at_risk_time, n_at_risk, where)
    n = int(number[0])
    end = figure.curve_end(points, at, axis_end, where)
    marks = figure.check_marks(censor_time, n, end, where)
    if steps:
        figure.check_corners(points, where)
    exact = tracing.have_exact_corners(points.time, points.survival, n) if steps is None else bool(steps)
    trace = tracing.steps(points.time, points.survival, end) if exact else _line(points, end, n)
    table = Table(at, number, end, None, marks)
    cautions += figure.check_against_curve(trace, table, float(points.time.max()), where)
    if not exact:
        trace = tracing.bent_to_table(trace, at, number)
    expected = expected_events(trace, table)
    total, doubts = figure.check_total(n_events, expected, table, trace, where)
    if total is not None:
        table = replace(table, n_events=total)
        if at.size == 1:
            expected = expected_events(trace, table)
    found = rows(trace, table, expected)

    arrays = [*found, *expected[:3], at, number, points.time, points.survival, trace.time, trace.survival]
    for array in arrays if marks is None else [*arrays, marks]:
        array.setflags(write=False)
    return PseudoIPD(
        label=label,
        unit=unit,
        time=found.time,
        event=found.event,
        point_time=points.time,
        point_survival=points.survival,
        points="steps" if exact else "clicks",
        table=table,
        n_events_printed=None if n_events is None else int(n_events),
        trace=trace,
        expected=expected,
        n_events_by_interval=found.n_events,
        assumptions=_assumptions(points, trace, table, expected, found, unit, stated=steps is not None),
        warnings=(*points.warnings, *cautions, *doubts),
    )


def _line(points: figure.Points, end: float, n: int) -> Trace:
    trace = tracing.line(points.time, points.survival, end)
    return tracing.with_falls_at_whole_units(trace) if tracing.falls_on_whole_units(trace, n) else trace


def _assumptions(
    points: figure.Points,
    trace: Trace,
    table: Table,
    expected: Expected,
    found: Rows,
    unit: str,
    *,
    stated: bool,
) -> tuple[str, ...]:
    texts = []
    falling = (np.diff(points.time) > 0).all() and (np.diff(points.survival)[:-1] < 0).all()
    if falling and not trace.is_steps and not stated:
        texts.append(
            "the points are clicks and events lie between them; if they are exact corners, say steps=True"
        )
    if trace.is_steps and not stated:
        texts.append("the points are the exact corners of the steps, as their pattern shows")
    if trace.in_whole_units:
        texts.append(f"events at whole {unit}s, where the falls stand")
    last = float(table.time[-1])
    if table.time.size > 1 and table.time[0] == 0.0 and table.censor_time is None:
        texts.append("censorings between numbers at risk lie where the curve is met best")
    at_end = int(((found.time == table.end) & (found.event == 0)).sum())
    left = _format.plural(at_end, "patient")
    if table.time.size == 1 and table.censor_time is None:
        if table.n_events is None and not trace.is_steps:
            texts.append(
                f"nobody is censored before {table.end:g} {unit}s; with earlier censoring there are fewer events"
            )
        elif not trace.is_steps:
            law = "late and even" if expected.law.share > 0.0 else "at a constant hazard"
            texts.append(f"censoring {law}, such that the total is met; {left} censored at the end")
    elif table.n_at_risk[-1] > 0 and table.end > last > 0.0 and table.censor_time is None:
        texts.append(f"after {_time(last, unit)} censoring goes on as before; {left} censored at the end")
    return tuple(texts)


def _time(value: float, unit: str) -> str:
    text = _format.shortest(value, 2)
    return f"{text}{_format.unit_suffix(unit, text)}"
