"""Patients at risk at the start of each interval of a report: printed, told by limits, or imputed."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from netsynth._typing import FloatArray
from netsynth.curve_methods.reports import StudyReport

#: From what is known to what is assumed.
SOURCES = ("numbers at risk", "confidence intervals", "imputed")


class Starts(NamedTuple):
    """Numbers at the starts of the intervals, shape (m,), nan where nothing tells them, and the weakest source."""

    n: FloatArray
    source: str


def starts(report: StudyReport, maturity: float) -> Starts:
    r"""Patients at risk at the start of the intervals that end at the times of a report.

    The first interval starts with all patients, a later one with the number at risk printed for its start. Where
    there is none the standard errors tell an effective one, :math:`n = (1 - p) / (p (G_j - G_{j-1}))` with the
    conditional survival p and :math:`G = se^2 / S^2`. Else it is the last known number N times the survival since,
    times the share of these survivors who are still observed: :math:`2^{-(t - t_N) / f}` for a follow-up f, else
    `maturity`. No number exceeds the one before or falls below a printed one that follows.
    """
    m, s, t = report.time.size, report.survival, report.time
    known = np.where(
        np.isfinite(report.n_at_start), report.n_at_start, np.append(report.n_total, report.n_at_risk[:-1])
    )
    if np.isfinite(known).all() and (s[:-1] > 0).all():
        return Starts(known, SOURCES[0])
    told = _effective(report)
    later = np.maximum.accumulate(np.where(np.isnan(known), 0.0, known)[::-1])[::-1]  # the next printed one
    n, source = np.full(m, math.nan), 0
    base, at, since = math.nan, 1.0, 0.0  # the last printed number, with survival and time then
    for j in range(m):
        before, start = (1.0, 0.0) if j == 0 else (s[j - 1], t[j - 1])
        if before == 0:
            n[j] = 0.0
            continue
        if np.isfinite(known[j]):
            n[j] = known[j]
            base, at, since = known[j], before, start
            continue
        if np.isfinite(told[j]):
            guess, rank = told[j], 1
        elif math.isfinite(base):
            f = report.followup_months
            share = maturity if math.isnan(f) else 0.5 ** ((start - since) / f)
            guess, rank = base * before / at * share, 2
        else:
            guess, rank = (n[j - 1] if j else math.nan), 1
        most = n[j - 1] if j else math.inf  # nan is neither
        n[j] = min(max(guess, later[j]), most)
        source = max(source, rank)
    return Starts(n, SOURCES[source])


def _effective(report: StudyReport) -> FloatArray:
    """Numbers who, all followed, would give survival its standard errors; nan where these do not tell."""
    s = report.survival
    with np.errstate(divide="ignore", invalid="ignore"):
        g = np.where(s >= 1, 0.0, (report.se / s) ** 2)
        step = np.diff(g, prepend=0.0)
        p = s / np.append(1.0, s[:-1])
        n = (1.0 - p) / (p * step)
    return np.where((step > 0) & (p > 0) & (p < 1), n, math.nan)
