"""A pooled curve in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from netsynth import _format
from netsynth._typing import FloatArray, Interval
from netsynth.results import pooled_curve_bounds as sharp
from netsynth.results.curve_text import months, percent

if TYPE_CHECKING:
    from netsynth.results.pooled_curve import PooledCurve

__all__ = ["html", "months", "no_prediction", "percent", "shown_times", "span", "text"]

#: Times that the text shows at most when none were asked for.
_ROWS: Final = 12


def counted(curve: PooledCurve) -> str:
    """Which patients of a study count at a time."""
    return "at start of interval" if curve.method in sharp.PRINTED else "at risk"


def no_more(curve: PooledCurve) -> str:
    """Why the curve ends, in words."""
    end = months(curve.last_months)
    if curve.method == "stratified":
        return f"an average of all studies ends at {end}, with the first of them"
    if curve.method == "curves":
        return f"the curve ends at {end}: half of the studies have ended, or no later time was asked for"
    if curve.method == "parametric":
        return f"the curve ends at {end}: follow-up has, or no later time was asked for"
    return f"no study tells anything after {end}"


def no_prediction(curve: PooledCurve, time_months: float) -> str:
    """Why there is no prediction at a time that the curve reaches; empty where there is one."""
    if curve.k == 1:
        return "one study cannot tell how much studies differ"
    known = np.isfinite(np.diag(curve.between))
    if not known.any():
        return "the model has no differences between studies"
    if not curve.prediction_df > 0:
        return f"{curve.k} studies leave no degrees of freedom for a prediction; it takes 3"
    first = curve.time_months[~known]
    edge = float(curve.time_months[known][-1])
    if first.size and time_months > edge:
        return f"fewer than two studies inform the curve after {months(edge)}"
    return ""


def _title(curve: PooledCurve) -> str:
    patients = "" if math.isnan(curve.n_total) else f", {curve.n_total:.0f} patients"
    label = curve.label[:1].upper() + curve.label[1:]
    return f"{label}: {curve.model}, {_format.plural(curve.k, 'study', 'studies')}{patients}"


def shown_times(curve: PooledCurve) -> FloatArray:
    """Times asked for; else reported ones: of many those that most studies report, and the last.

    Where studies tell survival at every time they are evenly spaced.
    """
    times = curve.shown_months
    if times.size <= _ROWS or curve.asked_months is not None:
        return times
    if curve.method in sharp.WHOLE:
        return times[np.unique(np.searchsorted(times, np.linspace(times[0], times[-1], _ROWS)))]
    told = np.concatenate([study.time_months for study in curve.study_curves])
    count = (np.abs(times[:, None] - told) <= 1e-9 * times[:, None]).sum(axis=1)
    count[-1] = told.size
    return np.sort(times[np.argsort(-count, kind="stable")[:_ROWS]])


def _pair(lower: float, upper: float) -> str:
    return f"[{percent(lower)}, {percent(upper)}]" if math.isfinite(lower + upper) else "undefined"


def _limits(lower: float, upper: float) -> str:
    low, high = percent(lower), percent(upper)
    return low if low == high else f"[{low}, {high}]"


def _table(curve: PooledCurve) -> list[tuple[str, ...]]:
    """The header, and a row a time."""
    name = sharp.average_of(curve).name
    header = ("time", "survival", "95% CI", "95% PI", name, "studies", counted(curve))
    rows: list[tuple[str, ...]] = [header]
    column = "n_at_start" if curve.method in sharp.PRINTED else "n_at_risk"
    rows += [
        (
            months(row["time_months"]),
            percent(row["survival"]),
            _pair(row["ci_lower"], row["ci_upper"]),
            _pair(row["pi_lower"], row["pi_upper"]),
            _limits(row["average_lower"], row["average_upper"]),
            f"{row['k']:.0f}",
            "" if math.isnan(row[column]) else f"{row[column]:.0f}",
        )
        for row in curve.summary_frame(time_months=shown_times(curve)).to_dict("records")
    ]
    if curve.why_no_average_bounds:
        return [row[:4] + row[5:] for row in rows]
    return rows


def span(pair: Interval) -> str:
    """Limits of a time for people: an open end is said so."""
    if math.isnan(pair.lower):
        return "undefined"
    if math.isinf(pair.upper):
        return f"{_format.shortest(pair.lower, 1)} or more"
    return _format.span(_format.number(pair.lower, 1), _format.number(pair.upper, 1))


def _answers(curve: PooledCurve) -> list[str]:
    last = months(curve.last_months)
    median = f"median {_format.number(curve.median, 1)} months"
    if math.isnan(curve.median):
        median = f"median not reached by {last}"
    lines = [median + _ends(curve.median_confidence_interval(), curve.median_prediction_interval())]
    mean = _format.number(curve.rmst(curve.last_months), 1)
    horizon = curve.last_months
    ends = _ends(curve.rmst_confidence_interval(horizon), curve.rmst_prediction_interval(horizon))
    lines.append(f"mean up to {last} (RMST) {mean}{ends}")
    if curve.q_df > 0:
        h2, i2 = _format.number(curve.h2, 2), f"{100 * curve.i2:.0f}%"
        lines.append(
            f"I2 {i2}   H2 {h2}   Q {_format.number(curve.q, 2)} on {curve.q_df:.0f} df, "
            f"{_format.pvalue(curve.q_pvalue)}"
        )
    lines.append(f"not known after {last}")
    if not curve.why_no_average_bounds:
        name, whom = sharp.average_of(curve)
        lines.append(f"{name}: average curve of {whom}, nothing assumed between and after what is printed")
    return lines


def _ends(ci: Interval, pi: Interval) -> str:
    return f"   95% CI {span(ci)}   95% PI {span(pi)}"


def text(curve: PooledCurve) -> str:
    """The curve for people: some times, then what it says, then what to doubt."""
    header, *rows = _table(curve)
    table = _format.text_table(header, rows).split("\n")
    lines = [*table, *_answers(curve), *map(str, curve.warnings)]
    return "\n".join([_title(curve), *(f"  {line}" for line in lines)])


def html(curve: PooledCurve) -> str:
    """A table of some times."""
    header, *rows = _table(curve)
    return _format.html_table(header, rows, caption=_title(curve))
