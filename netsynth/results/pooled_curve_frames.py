"""A pooled curve as frames and as plain Python."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from netsynth import _format
from netsynth._typing import JSON, FloatArray, IntArray
from netsynth.results.pooled_curve_bounds import PRINTED, WHOLE

if TYPE_CHECKING:
    import pandas as pd

    from netsynth.results.pooled_curve import PooledCurve

#: Points at which a curve is drawn or tabled when no times are named.
_STEPS: Final = 200


def summary_frame(curve: PooledCurve, level: float, times: FloatArray) -> pd.DataFrame:
    """One row a time: the curve, its intervals, what is possible at all, studies and patients."""
    frame = curve_frame(curve, level, times)
    frame.insert(2, "se", np.sqrt(np.diag(curve.covariance_at(times))))
    frame["average_lower"], frame["average_upper"] = curve.average_bounds(times)
    frame["k"], n = informing(curve, times)
    unknown = np.full(times.size, math.nan)
    frame["n_at_start"], frame["n_at_risk"] = (n, unknown) if curve.method in PRINTED else (unknown, n)
    return frame


def informing(curve: PooledCurve, times: FloatArray) -> tuple[IntArray, FloatArray]:
    """Studies that inform the curve at times of shape (q,), and patients of these in the sense of `PooledCurve.n_at`.

    Where all study curves are whole both are counted; else patients at risk change along lines between the times.
    """
    if curve.method in WHOLE and curve.patients is not None:
        k, n = np.zeros(times.size, dtype=np.int64), np.zeros(times.size)
        for sets in curve.patients.time_months:
            end = float(sets.max(axis=1).min())
            there = times <= end * (1.0 + 1e-9)
            at = np.minimum(times, end)
            left = [row.size - np.searchsorted(np.sort(row), at, "left") for row in sets]
            k += there
            n += np.where(there, np.mean(left, axis=0), 0.0)
        return k, n
    known = times <= curve.last_months
    place = np.minimum(curve.place_of(times), curve.time_months.size - 1)
    k = np.where(known, curve.k_at[place], 0)
    if curve.method in PRINTED:
        return k, np.where(known, curve.n_at[place], 0.0)
    edges, n_at = np.append(0.0, curve.time_months), np.append(curve.n_total, curve.n_at)
    return k, np.interp(times, edges, n_at, right=0.0)


def curve_frame(curve: PooledCurve, level: float, times: FloatArray | None) -> pd.DataFrame:
    """The curve with both bands, one row a time."""
    import pandas as pd

    if times is None:
        times = np.union1d(np.linspace(0.0, curve.last_months, _STEPS + 1), curve.time_months)
    ci, pi = curve.confidence_band(level, times), curve.prediction_band(level, times)
    return pd.DataFrame(
        {
            "time_months": times,
            "survival": curve.survival(times),
            "ci_lower": ci.lower,
            "ci_upper": ci.upper,
            "pi_lower": pi.lower,
            "pi_upper": pi.upper,
        }
    )


def study_frame(curve: PooledCurve) -> pd.DataFrame:
    """One row a study and time."""
    import pandas as pd

    rows = [
        {
            "study": study.name,
            "time_months": float(time),
            "survival": float(survival),
            "n_at_start": float(n),
            "n_total": study.n_total,
            "source": study.source,
            "reporting_loss": float(loss),
        }
        for study in curve.study_curves
        for time, survival, n, loss in zip(
            study.time_months,
            study.survival,
            study.n_at_start,
            np.full(study.time_months.size, math.nan)
            if study.reporting_loss is None
            else study.reporting_loss,
            strict=True,
        )
    ]
    return pd.DataFrame(rows)


def to_dict(curve: PooledCurve, level: float) -> JSON:
    """Plain Python for JSON."""
    last = curve.last_months
    pairs = {
        "median_ci": curve.median_confidence_interval(level),
        "median_pi": curve.median_prediction_interval(level),
        "average_median_bounds": curve.average_median_bounds,
        "rmst_ci": curve.rmst_confidence_interval(last, level),
        "rmst_pi": curve.rmst_prediction_interval(last, level),
        "average_rmst_bounds": curve.average_rmst_bounds(last),
    }
    numbers = ("k", "n_total", "last_months", "median", "q", "q_df", "q_pvalue", "h2", "i2")
    return {
        **{name: getattr(curve, name) for name in ("method", "model", "endpoint", "label")},
        "level": level,
        **{name: _format.plain(getattr(curve, name)) for name in numbers},
        "rmst": _format.plain(curve.rmst(last)),
        **{name: [_format.plain(end) for end in pair] for name, pair in pairs.items()},
        "times": [
            {str(name): _format.plain(value) for name, value in row.items()}
            for row in curve.summary_frame(level).to_dict("records")
        ],
        "study": list(curve.study),
        "warnings": [str(each) for each in curve.warnings],
    }
