"""Patients from a curve through a few percentages: the ledger of the landmarks, filled along the curve."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from netsynth import _format, _validate
from netsynth.errors import Caution, InconsistentReportWarning, InvalidInputError, caution
from netsynth.kernels.cell import Table
from netsynth.kernels.landmark_ledger import LandmarkLedger, landmark_ledger
from netsynth.kernels.ledger import expected_events, rows
from netsynth.kernels.trace import Trace
from netsynth.results.ipd import PseudoIPD

if TYPE_CHECKING:
    from netsynth.results.curve import SurvivalCurve

_GRID: Final = 400  # points of the curve between which it is a line
#: By which expected numbers at risk are changed until the patients give every percentage to its last digit.
_FACTORS: Final = (1.0, 0.95, 1.05, 0.9, 1.1, 0.8, 1.2)


def curve_ipd(curve: SurvivalCurve, n_events: int | None, follow_up_months: float | None) -> PseudoIPD:
    """Pseudo individual patient data; see `netsynth.SurvivalCurve.pseudo_ipd`."""
    where = curve.label or "pseudo_ipd"
    if curve.n_total is None:
        raise InvalidInputError(
            f"{where}: patients need a number of them; give n_total to reconstruct_survival."
        )
    last = float(curve.landmark_months[-1])
    end = last
    if follow_up_months is not None:
        (end,) = _validate.positive_1d([follow_up_months], "follow_up_months", where=where).tolist()
        if end < last:
            raise InvalidInputError(
                f"{where}: follow-up of {end:g} months ends before the last percentage, at {last:g} months."
            )
    total = None if n_events is None else _validate.count(n_events, "n_events", where=where)
    best, least = None, math.inf
    for factor in _FACTORS:  # not every level between the extremes is on the lattice of so few patients
        ledger = _ledger(curve, factor, total)
        if ledger is None:
            continue
        found = _filled(curve, ledger, total, end, where)
        survival = found.survival(curve.landmark_months)
        miss = float(np.maximum(survival - curve.survival_upper, curve.survival_lower - survival).max())
        if miss < least:
            best, least = found, miss
        if miss <= 1e-9 or (curve.survival_upper == curve.survival_lower).all():
            break
    if best is None:
        raise InvalidInputError(
            f"{where}: no {curve.n_total} patients can give these percentages with these numbers at risk, however they "
            "were censored. Check both with audit()."
        )
    for caught in best.warnings:
        caution(InconsistentReportWarning, caught.message, where=caught.where, stacklevel=4)
    return best


def _ledger(curve: SurvivalCurve, factor: float, total: int | None) -> LandmarkLedger | None:
    n, survival = curve.n_total or 0, curve.landmark_survival
    printed = np.isfinite(curve.n_at_risk)
    # who starts the next interval; in the last as many are lost as in the one before
    share = survival / np.concatenate([[1.0], survival[:-1]])
    start = np.append(curve.effective_n[1:], curve.effective_n[-1] * share[-1])
    expected = np.where(printed, curve.n_at_risk, np.minimum(factor * start, n * survival))
    half = np.where(survival > 0.0, 0.5 * survival / np.maximum(expected, 1.0), 0.0)
    exact = curve.survival_upper <= curve.survival_lower
    lower = np.where(exact, np.maximum(survival - half, 0.0), curve.survival_lower)
    upper = np.where(exact, np.minimum(survival + half, 1.0), curve.survival_upper)
    return landmark_ledger(n, lower, upper, expected, printed, total)


def _filled(
    curve: SurvivalCurve, ledger: LandmarkLedger, total: int | None, end: float, where: str
) -> PseudoIPD:
    n = int(curve.n_total or 0)
    time = np.append(0.0, curve.landmark_months)
    number = np.append(n, ledger.n_at_risk)
    by_last, left = int(ledger.n_events.sum()), int(number[-1])
    later, cautions, assumptions = 0, list[Caution](), ["censorings lie where the curve is met best"]
    if total is not None and by_last != total:
        later = total - by_last
        if not 0 <= later <= left:
            text = (
                f"{total} events are impossible: the percentages stand for about {by_last} by {time[-1]:g} months and "
                f"{left} patients go on. The total was not used"
            )
            cautions.append(Caution(InconsistentReportWarning.__name__, where, text))
            later = 0
    if later and end <= time[-1]:
        end = _enough(curve, later / left, float(time[-1]))
        assumptions.append(f"follow-up to {_format.shortest(end, 1)} months, as long as these events need")
    table = Table(time, number.astype(np.int64), end, None if later == 0 and total != by_last else total)
    trace = _trace(curve, end, later / left if left else 0.0)
    if later:
        tail = f"the {curve.tail} tail" if curve.tail else "a constant hazard"
        assumptions.append(f"{later} events after {time[-1]:g} months, where nothing is printed, by {tail}")
    unprinted = int(np.isnan(curve.n_at_risk).sum())
    if unprinted:
        noun = _format.plural(unprinted, "number at risk", "numbers at risk")
        assumptions.append(f"{noun} as the standard errors suggest")
    expected = expected_events(trace, table)
    whole = np.append(ledger.n_events, later)
    found = rows(trace, table, expected, n_events=whole)
    points = np.append(1.0, curve.landmark_survival)
    for array in (*found, *expected[:3], time, number, points, trace.time, trace.survival):
        array.setflags(write=False)
    return PseudoIPD(
        label=curve.label,
        unit="month",
        time=found.time,
        event=found.event,
        point_time=time,
        point_survival=points,
        points="curve",
        table=table,
        n_events_printed=total,
        trace=trace,
        expected=expected,
        n_events_by_interval=found.n_events,
        assumptions=tuple(assumptions),
        endpoint=curve.endpoint,
        warnings=tuple(cautions),
    )


def _enough(curve: SurvivalCurve, share: float, last: float) -> float:
    """When such a share of those left has had the event, at the hazard of the last interval."""
    before = float(np.append(0.0, curve.landmark_months)[-2])
    fall = curve.curve.cumulative_hazard(np.array([before, last]))
    rate = max(float(fall[1] - fall[0]) / (last - before), 1e-3 / last)
    return last - math.log1p(-min(share, 0.95)) / rate


def _trace(curve: SurvivalCurve, end: float, later: float) -> Trace:
    """The curve as a line; after the last figure by its tail, else by the hazard with which so many have the event."""
    last = float(curve.landmark_months[-1])
    time = np.union1d(np.linspace(0.0, last, _GRID), curve.landmark_months)
    survival = np.exp(-curve.curve.cumulative_hazard(time))
    if end > last:
        after = np.linspace(last, end, _GRID // 4)[1:]
        if curve.tail is not None:
            beyond = np.exp(-curve.curve.cumulative_hazard(after))
        else:
            rate = -math.log1p(-min(later, 0.999)) / (end - last)
            beyond = survival[-1] * np.exp(-rate * (after - last))
        time, survival = np.append(time, after), np.append(survival, beyond)
    return Trace(time, np.minimum.accumulate(survival), 1e-3, 0.0, is_steps=False)
