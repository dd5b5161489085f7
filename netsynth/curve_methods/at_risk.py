"""Patients at risk at the start of each interval of a report: printed, told by limits, or imputed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from netsynth import _format
from netsynth._typing import BoolArray, FloatArray
from netsynth.curve_methods.asked import SAME, distinct, some
from netsynth.curve_methods.study_report import Doubt, StudyReport
from netsynth.errors import UnusableDataWarning
from netsynth.kernels.lattice import least_tied

#: From what is known to what is assumed.
SOURCES = ("numbers at risk", "confidence intervals", "imputed")


#: Deaths at exactly a landmark that are no contradiction: so many, or those of so many months, as times are rounded.
_TIED: Final = 2.0
_TIED_MONTHS: Final = 3.0
_HAIR: Final = 1e-9  # of a patient, or of survival


class Impossible(NamedTuple):
    """A number at risk that is larger than survival leaves of those at risk before, or a 0 that is an empty cell.

    Of a 0 `since` is the first time at which nobody is at risk although survival falls afterwards, and `most` is nan.
    """

    place: int
    at_risk: float
    most: float
    entered: float
    since: float

    def in_words(self, time: float, survival: float) -> str:
        """What is wrong, as a warning says it."""
        if self.at_risk == 0:
            how = "but survival falls afterwards"
            if self.since < time:
                how = f"as at {self.since:g} months, though survival falls after that"
            return f"0 at risk at {time:g} months, {how}: this number at risk is not used"
        start = "patients" if self.since == 0 else f"at risk at {self.since:g} months"
        return (
            f"{self.at_risk:g} at risk at {time:g} months, but survival of {100 * survival:.4g}% leaves "
            f"{self.most:g} at most of {self.entered:g} {start}, unless {self.at_risk - self.most:g} or more died at "
            f"exactly {time:g} months: this number at risk is not used"
        )


def impossible(
    time: FloatArray, lower: FloatArray, upper: FloatArray, n_total: float, n_at_risk: FloatArray
) -> list[Impossible]:
    """Numbers at risk of shape (m,) that survival within its limits does not leave, each next to those that it does.

    Those who die at exactly a landmark are still at risk there, so a few too many are no contradiction: the limit is
    that above which `netsynth.audit` calls figures incoherent. Nobody can be at risk when survival falls afterwards, so
    a 0 there is an empty cell, and so are the other zeros of the report; a 0 of those all lost by then is none.
    """
    left, found = np.array(n_at_risk, dtype=np.float64), list[Impossible]()
    empty = np.flatnonzero((left == 0) & _falls(lower, upper))
    if empty.size:
        zeros, first = np.flatnonzero((left == 0) & (lower > 0)), float(time[empty[0]])
        found += [Impossible(j, 0.0, math.nan, math.nan, first) for j in zeros.tolist()]
        left[zeros] = math.nan
    told = np.flatnonzero(np.isfinite(left))
    n = n_total
    if math.isnan(n) and told.size and lower[told[0]] > 0:
        n = left[told[0]] / lower[told[0]]  # as many as the first number can come from
    while not math.isnan(n):
        tied = least_tied(lower, upper, n, left)
        entered, before, since = n, 1.0, 0.0
        for j in np.flatnonzero(np.isfinite(left)).tolist():
            with np.errstate(divide="ignore", invalid="ignore"):
                a_month = left[j] * (1.0 - lower[j] / before) / max(time[j] - since, 1.0)
            if tied[j] > max(_TIED, _TIED_MONTHS * a_month):
                found.append(Impossible(j, float(left[j]), float(left[j] - tied[j]), entered, since))
                left[j] = math.nan
                break
            entered, before, since = float(left[j]), float(upper[j]), float(time[j])
        else:
            break
    return sorted(found)


def without_impossible(studies: Sequence[StudyReport]) -> tuple[list[StudyReport], list[Doubt]]:
    """Reports whose impossible numbers at risk are taken as not printed, and what to say of them."""
    kept, doubts = list(studies), list[Doubt]()
    for i in _suspects(studies):
        study = studies[i]
        wrong = impossible(
            study.time, *_limits(study.survival, study.rounding), study.n_patients, _at_times(study)
        )
        if not wrong:
            continue
        for each in wrong:
            t, s = float(study.time[each.place]), float(study.survival[each.place])
            doubts.append((UnusableDataWarning, f"{study.name}: {each.in_words(t, s)}"))
        places = np.array([each.place for each in wrong])
        at_risk, at_start = np.array(study.n_at_risk), np.array(study.n_at_start)
        at_risk[places] = at_start[places[places + 1 < at_start.size] + 1] = math.nan
        kept[i] = study._replace(n_at_risk=at_risk, n_at_start=at_start)
    return kept, doubts


def _limits(survival: FloatArray, rounding: FloatArray | float) -> tuple[FloatArray, FloatArray]:
    """What survivals were rounded from."""
    return np.maximum(survival - rounding, 0.0), np.minimum(survival + rounding, 1.0)


def _falls(lower: FloatArray, upper: FloatArray) -> BoolArray:
    """Whether survival of shape (..., m) is lower at the last time than at each, whatever it was rounded from."""
    last = upper.min(axis=-1, keepdims=True)
    return np.asarray((lower > 0) & (last <= lower + _HAIR) & (last < upper - _HAIR))


def _at_times(study: StudyReport) -> FloatArray:
    """Numbers at risk at the times; that at the start of an interval is that at the time before."""
    return np.where(np.isnan(study.n_at_risk), np.append(study.n_at_start[1:], math.nan), study.n_at_risk)


def _suspects(studies: Sequence[StudyReport]) -> list[int]:
    """Studies that at some time have more at risk than all before leave, if nobody died at exactly then, or too few."""
    sizes = np.array([study.time.size for study in studies])
    ends = np.cumsum(sizes)
    row = np.repeat(np.arange(sizes.size), sizes)
    place = row, np.arange(row.size) - (ends - sizes)[row]
    begun = np.append(np.concatenate([study.n_at_start for study in studies])[1:], math.nan)
    begun[ends - 1] = math.nan
    numbers = np.concatenate([study.n_at_risk for study in studies])
    numbers = np.where(np.isnan(numbers), begun, numbers)  # as `_at_times`, for all at once
    if np.isnan(numbers).all():
        return []
    shape = sizes.size, int(sizes.max())
    lower, upper, at_risk = np.zeros(shape), np.ones(shape), np.full(shape, math.nan)
    survival = np.concatenate([study.survival for study in studies])
    rounding = np.array([study.rounding for study in studies])[row]
    (lower[place], upper[place]), at_risk[place] = _limits(survival, rounding), numbers
    n = np.array([study.n_patients for study in studies])
    with np.errstate(divide="ignore", invalid="ignore"):
        began = np.column_stack([n, at_risk[:, :-1] / lower[:, :-1]])  # as many as each can come from
        most = upper * np.minimum.accumulate(np.where(np.isnan(began), math.inf, began), axis=1)
        wrong = at_risk > most + _HAIR  # 0 times infinity is nan, which is not less
    wrong = (wrong | ((at_risk == 0) & _falls(lower, upper))).any(axis=1)
    return np.flatnonzero(wrong).tolist()


def after_death(studies: Sequence[StudyReport], last_months: float) -> list[Doubt]:
    """What to say of times after the last one of a curve that only studies without a survivor report."""
    late = {study.name: _zeros_after(study, last_months) for study in studies}
    if not any(times.size for times in late.values()):
        return []
    times = distinct(np.concatenate(list(late.values())))
    who = [name for name, zeros in late.items() if zeros.size]
    message = f"nobody is left at {_format.listing(f'{t:g}' for t in times)} months in {some(who)}, the only "
    message += (
        f"{'study that reports' if len(who) == 1 else 'studies that report'} them; these zeros are left out"
    )
    if all((study.survival == 0).any() for study in studies):
        by = max(float(study.time[np.argmax(study.survival == 0)]) for study in studies)
        message += f". Every study has reached 0 by {by:g} months: survival is 0 from there on"
    return [(UnusableDataWarning, message)]


def _zeros_after(study: StudyReport, last_months: float) -> FloatArray:
    """Later times of a study in which all have died before."""
    died = np.append(False, study.survival[:-1] == 0)
    return study.time[died & (study.time > last_months * (1.0 + SAME))]


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
