"""Tables of survival pooled over time: the curve, what it can be at all, and medians."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import Interval
from netsynth.errors import InvalidInputError
from netsynth.results.median_survival import PooledMedianSurvival
from netsynth.results.pooled_bounds import PooledBounds
from netsynth.results.pooled_curve import PooledCurve
from netsynth.results.pooled_curve_bounds import PRINTED, average_of
from netsynth.results.pooled_curve_text import counted, shown_times, span
from netsynth.tables.table import Column, Table

__all__ = ["bounds_table", "curve_table", "median_survival_table"]


def curve_table(curve: PooledCurve, *, level: float = 0.95) -> Table:
    """A pooled survival curve at reported times, and its median and restricted mean.

    Parameters
    ----------
    curve : PooledCurve
        From `pool_survival`.
    level : float
        Level of the intervals.

    Returns
    -------
    Table
        One row a time: those asked for, else reported ones, of many those that most studies report. Then median and
        mean up to the last time. Of a curve from reports one column has its `average_bounds`.

    Raises
    ------
    InvalidInputError
        If the level is not a fraction.

    Examples
    --------
    >>> import warnings
    >>> from netsynth.datasets import load_nethm
    >>> from netsynth.errors import NetsynthWarning
    >>> from netsynth.over_time import pool_survival
    >>> warnings.simplefilter("ignore", NetsynthWarning)
    >>> table = curve_table(pool_survival(load_nethm(), "OS", sets=["core"]))
    >>> table.rows[3][:3]
    ('5 years', '71.0%', '63.0–77.5%')
    """
    level = _validate.level(level)
    percent = f"{100 * level:g}%"
    name, whom = average_of(curve)
    columns = (
        Column("Time"),
        Column("Pooled", "decimal"),
        Column(f"{percent} CI"),
        Column(f"{percent} prediction interval"),
        Column(f"Limits for {name}"),
        Column("Studies", "right"),
        Column(f"Patients {counted(curve)}", "right"),
    )
    times = shown_times(curve)
    frame = curve.summary_frame(level, times)
    at = "n_at_start" if curve.method in PRINTED else "n_at_risk"
    rows = [
        (
            _time(row["time_months"]),
            _percent(row["survival"]),
            _percents(Interval(row["ci_lower"], row["ci_upper"])),
            _percents(Interval(row["pi_lower"], row["pi_upper"])),
            _percents(Interval(row["average_lower"], row["average_upper"])),
            f"{row['k']:.0f}",
            "" if math.isnan(row[at]) else f"{row[at]:.0f}",
        )
        for row in frame.to_dict("records")
    ]
    last = curve.last_months
    median = "not reached" if math.isnan(curve.median) else f"{_format.number(curve.median, 1)} months"
    rows.append(
        (
            "Median",
            median,
            _months(curve.median_confidence_interval(level)),
            _months(curve.median_prediction_interval(level)),
            _months(curve.average_median_bounds),
            "",
            "",
        )
    )
    rows.append(
        (
            f"Mean up to {_time(last)}",
            f"{_format.number(curve.rmst(last), 1)} months",
            _months(curve.rmst_confidence_interval(last, level)),
            _months(curve.rmst_prediction_interval(last, level)),
            _months(curve.average_rmst_bounds(last)),
            "",
            "",
        )
    )
    notes = [f"{curve.model[:1].upper()}{curve.model[1:]}, {_format.plural(curve.k, 'study', 'studies')}."]
    if curve.q_df > 0:
        notes.append(
            f"I² {100 * curve.i2:.0f}%; Q {_format.number(curve.q, 2)} on {curve.q_df:.0f} df, "
            f"{_format.pvalue(curve.q_pvalue)}."
        )
    if reason := curve.why_no_prediction(last):
        notes.append(f"No prediction interval at {_time(last)}: {reason}.")
    notes.append(f"Not known after {_time(last)}.")
    if not curve.why_no_average_bounds:
        notes.append(
            f"Limits for {name}: of the average curve of {whom}, nothing assumed between and after what is printed."
        )
    label = f"{curve.label[:1].upper()}{curve.label[1:]}"
    return Table.filled(f"{label}, pooled over time", columns, rows, notes)


def bounds_table(bounds: Sequence[PooledBounds], *, level: float = 0.95) -> Table:
    """What pooled survival can be, by how much is assumed, beside the answer that imputed variances give.

    Parameters
    ----------
    bounds : sequence of PooledBounds
        From `bound_pooled_survival`, one for each `least_maturity`; all of one endpoint.
    level : float
        Level of the intervals.

    Returns
    -------
    Table
        One row a landmark and assumption.

    Raises
    ------
    InvalidInputError
        If there are none, their endpoints differ, or the level is not a fraction.

    Examples
    --------
    >>> from netsynth.datasets import load_nethm
    >>> from netsynth.pooled_bounds import bound_pooled_survival
    >>> found = [
    ...     bound_pooled_survival(load_nethm(), "OS", times_months=[60], sets=["core"], least_maturity=least)
    ...     for least in (0, 0.25)
    ... ]
    >>> for row in bounds_table(found).rows:
    ...     print(row[1], row[4], row[5])
    one patient 48.1–78.8% 27.7–88.7%
    25% of survivors 62.9–73.6% 52.1–81.7%
    """
    level = _validate.level(level)
    endpoints = {each.endpoint for each in bounds}
    if len(endpoints) != 1:
        raise InvalidInputError(
            f"A table of bounds needs results of one endpoint; got {_format.listing(sorted(endpoints)) or 'none'}."
        )
    percent = f"{100 * level:g}%"
    columns = (
        Column("Time"),
        Column("Under observation at least"),
        Column("Studies", "right"),
        Column("Variance unknown", "right"),
        Column("Pooled, between"),
        Column(f"Any {percent} CI"),
        Column(f"If imputed ({percent} CI)"),
    )
    rows, before = [], ""
    for months in sorted({float(time) for each in bounds for time in each.time_months}):
        for each in bounds:
            for i in np.flatnonzero(each.time_months == months).tolist():
                survival, ci, imputed = each.survival, each.confidence_interval(level), each.imputed[i]
                shown = ""
                if imputed is not None and before != _time(months):
                    shown = f"{_percent(imputed.natural)} ({_percents(imputed.natural_interval(level))})"
                rows.append(
                    (
                        "" if before == _time(months) else _time(months),
                        _observed(each.least_maturity),
                        str(each.k[i]),
                        str(each.k_unknown[i]),
                        _percents(Interval(survival.lower[i], survival.upper[i])),
                        _percents(Interval(ci.lower[i], ci.upper[i])),
                        shown,
                    )
                )
                before = _time(months)
    average = bounds[0].average_median
    upper = (
        "how late the reports leave open"
        if math.isinf(average.upper)
        else f"by {average.upper:g} months at the latest"
    )
    notes = (
        "Under observation at least: of the survivors in studies that print neither an interval nor a number at risk.",
        f"Median survival of all {bounds[0].mixture_n} patients of "
        f"{_format.plural(len(bounds[0].mixture_studies), 'study', 'studies')}: after {average.lower:g} months, "
        f"{upper}.",
        "Random effects, τ² by PM.",
    )
    return Table.filled(f"Pooled {bounds[0].endpoint} from what is printed alone", columns, rows, notes)


def median_survival_table(medians: Mapping[str, PooledMedianSurvival], *, level: float = 0.95) -> Table:
    """Pooled median survival times, beside what other ways with open ends give.

    Parameters
    ----------
    medians : mapping of str to PooledMedianSurvival
        The label of each row and its result.
    level : float
        Level of the intervals.

    Returns
    -------
    Table
        One row a result; the last columns are filled only where a study did not reach its median.

    Raises
    ------
    InvalidInputError
        If there is no result, or the level is not a fraction.

    Examples
    --------
    >>> from netsynth.median_survival import pool_median_survival
    >>> result = pool_median_survival([30, 41, 52], ci_lower=[22, 30, 40], ci_upper=[41, 56, 68])
    >>> table = median_survival_table({"median OS": result})
    >>> [column.header for column in table.columns][:4]
    ['Outcome', 'Studies', 'Months', '95% CI']
    """
    level = _validate.level(level)
    if not medians:
        raise InvalidInputError("A table of pooled medians needs at least one.")
    percent = f"{100 * level:g}%"
    columns = (
        Column("Outcome"),
        Column("Studies", "right"),
        Column("Open-ended", "right"),
        Column("Months", "decimal"),
        Column(f"{percent} CI"),
        Column(f"{percent} prediction interval"),
        Column("τ²", "decimal"),
        Column("Open ends dropped"),
        Column("Bounds taken for medians"),
    )
    rows = []
    for label, each in medians.items():
        others = ["", ""]
        if each.k_open:
            others = [
                f"{_format.months(e.natural)} ({_limits(e.natural_interval(level))})"
                for e in (each.dropped, each.imputed)
            ]
        rows.append(
            (
                label,
                str(each.k),
                str(each.k_open) if each.k_open else "",
                _format.months(each.natural),
                _limits(each.natural_interval(level)),
                _limits(each.natural_prediction_interval(level)),
                "" if math.isnan(each.tau2) else _format.significant(each.tau2),
                *others,
            )
        )
    scales = _format.listing(dict.fromkeys(each.scale for each in medians.values()))
    notes = [f"Random effects on the {scales} scale, τ² by REML."]
    if any(each.k_open for each in medians.values()):
        notes.append(
            "A median that was not reached enters as the bound it is; the last columns are for comparison."
        )
    return Table.filled("Pooled median survival", columns, rows, notes)


def _time(months: float) -> str:
    if math.isclose(months % 12, 0, abs_tol=1e-6):
        return _format.plural(round(months / 12), "year")
    return f"{_format.shortest(months, 1)} months"


def _observed(least_maturity: float) -> str:
    return f"{100 * least_maturity:g}% of survivors" if least_maturity else "one patient"


def _percent(value: float) -> str:
    return "" if math.isnan(value) else f"{_format.number(100 * value, 1)}%"


def _percents(pair: Interval) -> str:
    low, high = pair
    if math.isnan(low + high):
        return ""
    return _format.span(_format.number(100 * low, 1), _format.number(100 * high, 1), "%")


def _months(pair: Interval) -> str:
    return "" if math.isnan(pair.lower) else span(pair)


def _limits(pair: Interval) -> str:
    if math.isnan(pair.lower):
        return ""
    return _format.span(*map(_format.months, pair))
