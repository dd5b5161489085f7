"""A reconstructed curve in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from netsynth import _format
from netsynth.kernels.curves import CURVES
from netsynth.kernels.reconstruction import FAMILY_NAMES
from netsynth.results import curve_models

if TYPE_CHECKING:
    from netsynth.results.curve import SurvivalCurve


def _title(curve: SurvivalCurve) -> str:
    figures = _format.plural(curve.landmark_months.size, "landmark")
    if curve.median_interval.lower > 0 and curve.median_interval.upper < math.inf:
        figures += " and the median"
    n = "" if curve.n_total is None else f", n = {curve.n_total}"
    how = "through" if curve.method in (*CURVES, "blend") else "fitted to"
    return f"{curve.label or 'Survival'}: {curve_models.NAMES[curve.method]} {how} {figures}{n}"


def _rows(curve: SurvivalCurve) -> list[tuple[str, str, str, str]]:
    limits = curve.summary_frame()[["ci_lower", "ci_upper"]].to_numpy(dtype=np.float64)
    return [
        (
            months(time),
            percent(survival),
            f"[{percent(lower)}, {percent(upper)}]" if math.isfinite(lower) else "none",
            source or ("not reported" if 0 < survival < 1 else "undefined"),
        )
        for time, survival, (lower, upper), source in zip(
            curve.landmark_months, curve.landmark_survival, limits, curve.se_source, strict=True
        )
    ]


def _answers(curve: SurvivalCurve) -> list[str]:
    last = months(curve.last_months)
    median, (lower, upper) = curve.median, curve.median_bounds
    answer = f"median not reached by {last}" if math.isnan(median) else f"median {months(median)}"
    between = f"after {_format.shortest(lower, 1)}" if lower > 0 else ""
    if math.isfinite(upper):
        between += f"{' and ' if between else ''}by {_format.shortest(upper, 1)}"
    rmst = (curve.rmst(curve.last_months), *curve.rmst_bounds(curve.last_months))
    mean, low, high = (_format.number(value, 1) for value in rmst)
    if curve.tail is not None:
        after = f"after {last} by {curve_models.tail_name(curve.tail)}"
        if level := curve_models.tail_levels_off(curve.tail, curve.fits, curve.curve, curve.last_months):
            after += f", which levels off at {percent(level)}: extrapolated, and no evidence of cure"
    elif math.isinf(curve.horizon_months):
        after = f"survival is 0 from {last} on"
    else:
        after = f"not known after {last}"
    return [
        answer + (f"   the report alone: {between}" if between else ""),
        f"mean up to {last} (RMST) {mean}   the report alone: {_format.span(low, high)}",
        *_fitted(curve),
        after,
    ]


def _fitted(curve: SurvivalCurve) -> list[str]:
    """The fit in words, for a method that has one, and a plateau."""
    lines = []
    if curve.method not in CURVES:
        lines = curve_models.fit_lines(curve.method, curve.figures, curve.fits, has_size=curve.has_size)
    if curve.method in (*FAMILY_NAMES, "average"):
        misses = curve.misfit_frame()["misfit"].to_numpy()
        worst = int(np.argmax(np.abs(misses)))
        points, place = _format.number(100 * abs(misses[worst]), 1), months(curve.landmark_months[worst])
        lines.append(
            f"misses the figures by up to {points} percentage points, at {place}"
            if misses[worst] != 0
            else "agrees with the printed digits of all figures"
        )
    if (flat := curve.plateau) is not None:
        lines.append(
            f"level at {percent(flat.survival)} from {_format.shortest(flat.start_months, 1)} to "
            f"{months(flat.stop_months)}, with {flat.n_at_risk} at risk at the end"
        )
    return lines


def text(curve: SurvivalCurve) -> str:
    """The curve for people: each landmark, then what it says, then what to doubt."""
    cells = _rows(curve)
    wide = [max(len(row[i]) for row in cells) for i in range(3)]
    lines = [
        f"  {time:>{wide[0]}}  {survival:<{wide[1]}}  95% CI {ci:<{wide[2]}}  se: {source}"
        for time, survival, ci, source in cells
    ]
    lines += [f"  {answer}" for answer in _answers(curve)]
    lines += [f"  {message}" for message in (curve.imputation(), *map(str, curve.warnings)) if message]
    return "\n".join([_title(curve), *lines])


def html(curve: SurvivalCurve) -> str:
    """A table of the landmarks."""
    header = ("landmark", "survival", "95% CI", "standard error from")
    return _format.html_table(header, _rows(curve), caption=_title(curve))


def percent(share: float) -> str:
    """A share as percent, with a decimal where it needs one."""
    return f"{_format.shortest(100 * share, 1)}%"


def months(time: float) -> str:
    """A time with its unit."""
    shown = _format.shortest(time, 1)
    return f"{shown}{_format.unit_suffix('month', shown)}"
