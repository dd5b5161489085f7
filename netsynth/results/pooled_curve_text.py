"""A pooled curve in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from netsynth import _format
from netsynth._typing import FloatArray, Interval
from netsynth.results.curve_text import months, percent

if TYPE_CHECKING:
    from netsynth.results.pooled_curve import PooledCurve

__all__ = ["html", "months", "no_prediction", "percent", "shown_times", "span", "text"]

#: Times that the text shows at most.
_ROWS: Final = 12
#: Methods whose studies tell survival at every time.
_WHOLE: Final = ("stratified", "cox", "parametric")


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
    """Reported times: of many those that most studies report, and the last; evenly spaced where studies tell all."""
    times = curve.reported_months
    if times.size <= _ROWS:
        return times
    if curve.method in _WHOLE:
        return times[np.unique(np.searchsorted(times, np.linspace(times[0], times[-1], _ROWS)))]
    told = np.concatenate([study.time_months for study in curve.study_curves])
    count = (np.abs(times[:, None] - told) <= 1e-9 * times[:, None]).sum(axis=1)
    count[-1] = told.size
    return np.sort(times[np.argsort(-count, kind="stable")[:_ROWS]])


def _pair(lower: float, upper: float) -> str:
    return f"[{percent(lower)}, {percent(upper)}]" if math.isfinite(lower + upper) else "undefined"


def _rows(curve: PooledCurve) -> list[tuple[str, ...]]:
    frame = curve.summary_frame(time_months=shown_times(curve))
    names = ("time_months", "survival", "ci_lower", "ci_upper", "pi_lower", "pi_upper", "k", "n_at_start")
    return [
        (
            months(time),
            percent(survival),
            _pair(ci_lower, ci_upper),
            _pair(pi_lower, pi_upper),
            f"{k:.0f}",
            "" if math.isnan(n) else f"{n:.0f}",
        )
        for time, survival, ci_lower, ci_upper, pi_lower, pi_upper, k, n in frame[list(names)]
        .to_numpy(dtype=np.float64)
        .tolist()
    ]


_HEADER: Final = ("time", "survival", "95% CI", "95% PI", "studies", "at start")


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
    return lines


def _ends(ci: Interval, pi: Interval) -> str:
    return f"   95% CI {span(ci)}   95% PI {span(pi)}"


def text(curve: PooledCurve) -> str:
    """The curve for people: some times, then what it says, then what to doubt."""
    table = _format.text_table(_HEADER, _rows(curve)).split("\n")
    lines = [*table, *_answers(curve), *map(str, curve.warnings)]
    return "\n".join([_title(curve), *(f"  {line}" for line in lines)])


def html(curve: PooledCurve) -> str:
    """A table of some times."""
    return _format.html_table(_HEADER, _rows(curve), caption=_title(curve))
