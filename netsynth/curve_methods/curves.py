"""Studies pooled curve by curve, with what their reconstruction leaves open in the covariance of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from netsynth import _format
from netsynth._typing import BoolArray, FloatArray
from netsynth.curve_methods.asked import SAME, Answer, Asked, frozen, frozen_counts, some
from netsynth.curve_methods.one_stage import few
from netsynth.curve_methods.patients import (
    Patients,
    StudyPatients,
    grid_between,
    kept,
    with_asked,
    with_events,
)
from netsynth.curve_methods.reports import Doubt
from netsynth.errors import (
    BoundaryWarning,
    ConvergenceError,
    InconsistentReportWarning,
    InvalidInputError,
    UnusableDataWarning,
)
from netsynth.kernels import rubin
from netsynth.kernels.curves import Curve
from netsynth.kernels.grid_curves import GridFit, fit_grid, followed, within_covariance
from netsynth.kernels.product_limit import product_limit, survival_at
from netsynth.kernels.reconstruction import model_variance
from netsynth.results.curve import SurvivalCurve
from netsynth.results.curve_intervals import around
from netsynth.results.pooled_curve import PooledCurve, StudyCurve

#: Times of the grid at most besides those asked for, and of those.
_TIMES: Final = 10
_MOST_TIMES: Final = 30
_ROUNDING: Final = 1e-12  # a share of the variance that is none
_FLAT: Final = 1e-9  # a step of log(-log S) that may be rounding
#: What a study is told to lack, in words.
_ALIVE, _GONE, _ENDED, _NO_SIZE = (
    "nobody has had the event yet",
    "nobody is left alive",
    "follow-up has ended",
    "no number of patients is known",
)


class OnGrid(NamedTuple):
    """What one study tells at the times of a grid, arrays of shape (m,) and (m, m).

    `y` is log(-log S), nan where `why` says the reason; `followed` is as in `netsynth.kernels.grid_curves`; `extra` is
    the covariance that is there because the study was not reported whole, and `loss` its share of the variance.
    `n_at_start` and `n_at_risk` are patients at risk at the time told before, and at the time.
    """

    name: str
    y: FloatArray
    followed: FloatArray
    extra: FloatArray
    loss: FloatArray
    n_at_start: FloatArray
    n_at_risk: FloatArray
    n_total: float
    source: str
    why: tuple[str, ...]


def pool_curves(patients: Patients, asked: Asked, /) -> Answer:
    """Pool log(-log S) of each study at the times of a grid, `netsynth.kernels.grid_curves`."""
    if asked.effects == "slope":
        raise InvalidInputError(
            "effects='slope' is for method='multivariate'; method='curves' lets studies differ at every time. Use "
            "effects='random'."
        )
    patients = with_events(patients)
    doubts = list(patients.doubts)
    if asked.times is not None and asked.times.size > _MOST_TIMES:
        raise InvalidInputError(
            f"times_months may have {_MOST_TIMES} times at most with method='curves'; got {asked.times.size}. The "
            "pooled curve answers at any time between them."
        )
    times = with_asked(_apart(_grid(patients.studies), asked.times), asked.times)
    wanted = np.ones(times.size, dtype=np.bool_) if asked.times is None else _among(times, asked.times)
    found = [on_grid(study, times) for study in patients.studies]
    least = 1 if len(found) == 1 or asked.effects == "common" else 2
    present = np.isfinite([each.y for each in found])
    keep = present.sum(axis=0) >= least
    if asked.effects == "random":
        keep = _told_together(present, keep, wanted & keep)
    doubts += _undefined(found, times, wanted | keep)
    if (wanted & ~keep).any():
        lost = _format.listing(f"{t:g}" for t in times[wanted & ~keep])
        who = "no study tells" if least == 1 else "fewer than two studies tell"
        doubts.append((UnusableDataWarning, f"left out, since {who} survival there: {lost} months."))
    wanted &= keep
    if not wanted.any():
        raise InvalidInputError(
            f"{patients.endpoint}: {'no time is' if least == 1 else 'no two studies have a time'} at which survival is "
            "known and neither 0 nor 1. Choose other times_months."
        )
    shown = None if asked.times is None else times[wanted]
    times = times[keep]
    found = [on_grid(study, times) for study in patients.studies]
    told = [bool(np.isfinite(each.y).any()) for each in found]
    if not all(told):
        names = [each.name for each, here in zip(found, told, strict=True) if not here]
        doubts.append(
            (UnusableDataWarning, f"tell survival at none of the times and are left out: {some(names)}.")
        )
        found = [each for each, here in zip(found, told, strict=True) if here]
    return _pooled(patients, found, times, shown, asked, doubts)


def _apart(grid: FloatArray, asked: FloatArray | None) -> FloatArray:
    """The grid without times inside it that are nearer to one asked for than a quarter of the way to the next."""
    if asked is None or grid.size < 3:
        return grid
    gap, away = np.diff(grid), grid[1:-1, None] - asked
    near = (away < 0.25 * gap[:-1, None]) & (away > -0.25 * gap[1:, None])
    return np.concatenate([grid[:1], grid[1:-1][~near.any(axis=1)], grid[-1:]])


def _told_together(present: BoolArray, keep: BoolArray, wanted: BoolArray) -> BoolArray:
    """Times that are kept: of those that nobody asked for only such as two studies tell together with each other."""
    together = present.T.astype(np.int64) @ present
    least, kept = min(2, len(present)), wanted.copy()
    for j in np.argsort(-np.diag(together), kind="stable"):
        if keep[j] and (together[j, kept] >= least).all():
            kept[j] = True
    return kept


def _among(times: FloatArray, asked: FloatArray) -> BoolArray:
    """Which of the times are those asked for."""
    return np.asarray((np.abs(times[:, None] - asked) <= SAME * asked).any(axis=1))


def _pooled(
    patients: Patients,
    found: Sequence[OnGrid],
    times: FloatArray,
    shown: FloatArray | None,
    asked: Asked,
    doubts: list[Doubt],
) -> Answer:
    y = np.stack([each.y for each in found])
    present = np.isfinite(y)
    k, one, random = len(found), len(found) == 1, asked.effects == "random"
    fit = _one(found[0]) if one else _fit(found, y, present, random=random, where=str(patients.endpoint))
    doubts += few(k, random=random)
    if not one:
        doubts += _doubts(fit, times, random=random)
    counted = [np.where(here, each.n_at_risk, 0.0) for each, here in zip(found, present, strict=True)]
    names = tuple(each.name for each in found)
    curve = PooledCurve(
        method="curves",
        model="one study" if one else f"log(-log S) of each study at each time, {asked.effects} effects",
        endpoint=patients.endpoint.code,
        label=patients.label,
        time_months=frozen(times),
        scale="cloglog",
        estimate=frozen(fit.estimate),
        covariance=frozen(fit.covariance),
        between=frozen(fit.psi if random and not one else np.full_like(fit.psi, math.nan)),
        interpolation="hazard",
        study=names,
        study_curves=tuple(
            StudyCurve(
                each.name,
                frozen(times[here]),
                frozen(np.exp(-np.exp(each.y[here]))),
                frozen(each.n_at_start[here]),
                each.n_total,
                each.source,
                frozen(each.loss[here]),
            )
            for each, here in zip(found, present, strict=True)
        ),
        k_at=frozen_counts(present.sum(axis=0)),
        n_at=frozen(np.sum(counted, axis=0)),
        df=k - 1.0 if random and not one and asked.ci_method == "t" else math.inf,
        prediction_df=max(k - 2.0, 0.0),
        q=fit.q,
        q_df=float(fit.q_df),
        patients=kept([study for study in patients.studies if study.name in names]),
        asked_months=None if shown is None else frozen(shown),
    )
    return Answer(curve, doubts)


def _grid(studies: Sequence[StudyPatients]) -> FloatArray:
    """From when all studies have had an event to when half of them have ended, closer where events are frequent."""
    firsts, ends = [], []
    for study in studies:
        if study.curve is not None and not study.n_total:
            down = study.curve.landmark_survival < 1
            firsts.append(float(study.curve.landmark_months[down][0]) if down.any() else math.inf)
            ends.append(study.last)
        else:
            firsts.append(study.first_event)
            ends.append(_last_alive(study))
    last = sorted(ends)[len(ends) // 2 - 1] if len(ends) > 2 else min(ends)
    first = min(max(t for t in firsts if math.isfinite(t)), last)
    whole = [study for study in studies if study.n_total]
    if whole:
        return grid_between(whole, first, last, _TIMES)
    told = np.unique(np.concatenate([study.curve.landmark_months for study in studies if study.curve]))
    told = told[(told >= first) & (told <= last)]
    return told if told.size <= _TIMES else np.linspace(first, last, _TIMES)


def _last_alive(study: StudyPatients) -> float:
    """The last time at which survival is above 0 in every data set; that of an event does not count."""
    survival = product_limit(study.time, study.event).survival
    time = np.sort(study.time, axis=1)
    last = []
    for row, level in zip(time, survival, strict=True):
        if level[-1] > 0:
            last.append(float(row[-1]))
        else:
            earlier = row[row < row[level <= 0][0]]
            last.append(float(earlier[-1]) if earlier.size else 0.0)
    return min(*last, study.last) if len(last) > 1 else min(last[0], study.last)


def on_grid(study: StudyPatients, times: FloatArray) -> OnGrid:
    """What a study tells at times of shape (m,): its data sets combined by Rubin's rules, or its curve."""
    if study.curve is not None and not study.n_total:
        return _of_curve(study.name, study.curve, times)
    fit = product_limit(study.time, study.event)
    survival, greenwood = survival_at(fit, times)
    why = np.full(times.size, "", dtype=object)
    for words, lacking in (
        (_ALIVE, survival == 1),
        (_GONE, survival == 0),
        (_ENDED, np.isnan(survival) | (times > study.last)),
    ):
        n = lacking.sum(axis=0)
        for j in np.flatnonzero(n):
            why[j] = words if n[j] == study.n_draws else f"{words} in {n[j]} of {study.n_draws} data sets"
    usable = why == ""
    m = int(usable.sum())
    y, many, loss = (np.full(times.size, math.nan) for _ in range(3))
    extra = np.zeros((times.size, times.size))
    starts = study.at_risk(np.append(0.0, times[usable][:-1]))
    n_at_start, n_at_risk = np.full(times.size, math.nan), np.full(times.size, math.nan)
    n_at_start[usable], n_at_risk[usable] = starts, study.at_risk(times[usable])
    if m:
        s, g = survival[:, usable], greenwood[:, usable]
        log = np.log(s)
        estimates = np.log(-log)
        number = followed(s, g, np.broadcast_to(starts, s.shape))
        y[usable], many[usable], loss[usable] = estimates.mean(axis=0), 1.0 / (1.0 / number).mean(axis=0), 0.0
        if study.n_draws > 1:
            first = np.minimum(g[:, :, None], g[:, None, :])
            combined = rubin.combine(estimates, first / (log[:, :, None] * log[:, None, :]))
            extra[np.ix_(usable, usable)] = (1.0 + 1.0 / study.n_draws) * combined.between
            loss[usable] = combined.loss
    source = "patients" if study.n_draws == 1 else f"{study.n_draws} data sets"
    n = float(study.n_total)
    return OnGrid(study.name, y, many, extra, loss, n_at_start, n_at_risk, n, source, tuple(why.tolist()))


def _of_curve(name: str, curve: SurvivalCurve, times: FloatArray) -> OnGrid:
    """A reconstructed curve with the standard errors of its figures, and the spread of other families around it."""
    survival, greenwood = np.asarray(curve.survival(times)), _greenwood(curve, times)
    known = times <= curve.last_months * (1.0 + 1e-9)
    why = np.select(
        [~known | np.isnan(survival), survival == 1, survival == 0, ~np.isfinite(greenwood)],
        [_ENDED, _ALIVE, _GONE, _NO_SIZE],
        "",
    )
    usable = why == ""
    y, many, n_at_start, n_at_risk = (np.full(times.size, math.nan) for _ in range(4))
    extra, loss = np.zeros((times.size, times.size)), np.full(times.size, math.nan)
    if usable.any():
        at = times[usable]

        def pairs(one: Curve) -> FloatArray:
            """log(-log S) at two times: their sums, and their differences."""
            with np.errstate(divide="ignore"):
                value = np.log(one.cumulative_hazard(at))
            return np.concatenate(
                [np.add.outer(value, value).ravel(), np.subtract.outer(value, value).ravel()]
            )

        members = around(curve).members
        y[usable] = np.log(curve.curve.cumulative_hazard(at))
        both = model_variance(members, pairs(curve.curve), pairs)
        spread = 0.25 * (both[: at.size**2] - both[at.size**2 :]).reshape(at.size, at.size)
        extra[np.ix_(usable, usable)] = spread
        before = np.append(1.0, survival[usable][:-1])
        alike = np.full(at.size, curve.effective_n[0])
        many[usable] = followed(survival[usable], greenwood[usable], alike * before)
        n_at_start[usable] = _at_risk(curve, np.append(0.0, at[:-1]))
        n_at_risk[usable] = _at_risk(curve, at)
        own = within_covariance(y[usable], many[usable][None], np.ones((1, at.size), dtype=np.bool_))[0]
        share = np.diag(spread) / (np.diag(own) + np.diag(spread))
        loss[usable] = np.where(share > _ROUNDING, share, 0.0)
    n = math.nan if curve.n_total is None else float(curve.n_total)
    return OnGrid(name, y, many, extra, loss, n_at_start, n_at_risk, n, "curve", tuple(why.tolist()))


def _at_risk(curve: SurvivalCurve, times: FloatArray) -> FloatArray:
    """Patients at risk: all at the start, as printed at the figures, else as many as the standard errors are worth.

    Between these times, and after the last of them, the share of survivors under observation changes along a line.
    """
    starts = np.append(0.0, curve.landmark_months)
    survival = np.append(1.0, curve.landmark_survival)
    total = math.inf if curve.n_total is None else float(curve.n_total)
    worth = np.minimum(np.append(curve.effective_n, math.nan), total)
    number = np.where(np.isfinite(curve.n_at_risk), curve.n_at_risk, worth[1:])
    first = worth[0] if curve.n_total is None else total
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (
            np.append(first, number) / survival
        )  # of those who would be there if all survivors were followed
    known = np.isfinite(share)
    followed = np.interp(times, starts[known], share[known])
    return np.asarray(followed * np.asarray(curve.survival(times)))


def _greenwood(curve: SurvivalCurve, times: FloatArray) -> FloatArray:
    """Variance of log survival as the standard errors of the figures have it, between them as of so many patients."""
    landmark = curve.landmark_months
    place = np.minimum(np.searchsorted(landmark, times * (1.0 - 1e-9)), landmark.size - 1)
    before = np.concatenate([[1.0], curve.landmark_survival[:-1]])
    with np.errstate(divide="ignore", invalid="ignore"):
        each = before / curve.effective_n  # one over the patients who, all followed, would leave as many
        step = np.where(
            curve.landmark_survival < before, (1.0 / curve.landmark_survival - 1.0 / before) * each, 0.0
        )
        reached = np.concatenate([[0.0], np.cumsum(step)[:-1]])
        within = 1.0 / np.asarray(curve.survival(times)) - 1.0 / before[place]
        return np.asarray(reached[place] + np.maximum(within, 0.0) * each[place])


def _fit(found: Sequence[OnGrid], y: FloatArray, present: BoolArray, *, random: bool, where: str) -> GridFit:
    if random:
        together = present.T.astype(np.int64) @ present
        if (together < 2).any():
            raise InvalidInputError(
                f"{where}: of some pairs of times fewer than two studies tell survival at both, so nothing says how "
                "these go together. Choose fewer times_months, or effects='common'."
            )
    many = np.stack([each.followed for each in found])
    extra = np.stack([each.extra for each in found])
    fit = fit_grid(np.nan_to_num(y), np.nan_to_num(many), extra, present, method="MM" if random else "CE")
    if not fit.converged:
        raise ConvergenceError(
            f"{where}: the pooled curve and the covariances that go with it did not come to agree in "
            f"{fit.n_iterations} turns. Use effects='common', or method='cox'.",
            last=float(np.trace(fit.psi)),
        )
    return fit


def _one(study: OnGrid) -> GridFit:
    """The study itself."""
    here = np.ones((1, study.y.size), dtype=np.bool_)
    covariance = within_covariance(study.y, study.followed[None], here) + study.extra
    nothing = np.zeros_like(study.extra)
    return GridFit(study.y, covariance[0], nothing, covariance, math.nan, 0, True, 0)


def _undefined(found: Sequence[OnGrid], times: FloatArray, matters: BoolArray) -> list[Doubt]:
    """Of the times that matter those at which a study is left out though it is still followed."""
    said: dict[str, list[str]] = {}
    for each in found:
        for t, reason, here in zip(times, each.why, matters, strict=True):
            if here and reason and reason != _ENDED:
                said.setdefault(reason, []).append(f"{each.name} at {t:.4g} months")
    return [
        (UnusableDataWarning, f"left out where {reason}{_bias(reason)}: {some(places)}.")
        for reason, places in said.items()
    ]


def _bias(reason: str) -> str:
    """Which way the others err when a study is left out for this reason."""
    if reason.startswith(_ALIVE):
        return ", so that log(-log S) is undefined and what is pooled of the others too low"
    if reason.startswith(_GONE):
        return ", so that log(-log S) is undefined and what is pooled of the others too high"
    return ""


def _doubts(fit: GridFit, times: FloatArray, *, random: bool) -> list[Doubt]:
    found: list[Doubt] = []
    if random and not np.diag(fit.psi).any():
        message = (
            "studies do not differ, as far as can be seen: the covariance between them lies on its boundary."
        )
        found.append((BoundaryWarning, message))
    rises = np.flatnonzero(np.diff(fit.estimate) < -_FLAT)
    if rises.size:
        j = int(rises[0])
        message = (
            f"the pooled curve rises between {times[j]:.3g} and {times[j + 1]:.3g} months, which survival cannot: "
            "studies that are followed longer do better than those that are not. Compare method='cox'."
        )
        found.append((InconsistentReportWarning, message))
    return found
