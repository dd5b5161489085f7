"""The patients behind a report, from whatever fragments it prints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._fragments import (
    Fragment,
    Item,
    ci_fragments,
    evidence_of,
    median_fragments,
    positive_time,
    risk_fragments,
    shown_months,
    survival_fragments,
)
from netsynth._printed import Printed, events_of, from_arrays, from_report
from netsynth.data.number import ReportedNumber
from netsynth.data.survival import ReportedSurvival
from netsynth.errors import (
    Caution,
    ConvergenceError,
    ImpossibleReportError,
    InvalidInputError,
    NarrowIntervalWarning,
    caution,
)
from netsynth.kernels.feasibility import may_exist
from netsynth.kernels.fragment_times import place
from netsynth.kernels.fragments import Evidence, FragmentPrior, Paths, sample_paths
from netsynth.results.fragments import FragmentPosterior

__all__ = ["FragmentPrior", "fit_fragments"]

_SEED: Final = 20120515
_MOST: Final = 16  # times as many particles, at most, when few of them meet the report
_ENOUGH: Final = 40  # different histories
#: Above one half: a median is the first time at which survival is one half or less. Programs that print the middle of a
#: stretch at exactly one half are given the benefit of the doubt before a report is called impossible.
_ABOVE: Final = 1e-7
_LARGEST: Final = 2000  # patients for whom impossibility is looked into


def fit_fragments(
    landmark_months: npt.ArrayLike | ReportedSurvival | None = None,
    survival: npt.ArrayLike | None = None,
    *,
    n_total: int | None = None,
    decimals: int | Sequence[int] | None = None,
    n_at_risk: npt.ArrayLike | None = None,
    at_risk_months: npt.ArrayLike | None = None,
    at_risk_within: npt.ArrayLike = 0,
    n_events: int | None = None,
    median_months: float | ReportedNumber | None = None,
    ci_lower: npt.ArrayLike | None = None,
    ci_upper: npt.ArrayLike | None = None,
    ci_level: float = 0.95,
    min_follow_up_months: float | None = None,
    median_follow_up_months: float | None = None,
    max_follow_up_months: float | None = None,
    time_step_months: float = 0.0,
    prior: FragmentPrior | None = None,
    draws: int = 1000,
    rng: np.random.Generator | int | None = _SEED,
    label: str = "",
) -> FragmentPosterior:
    r"""Find the patients that can be behind a report from the fragments it prints.

    Parameters
    ----------
    landmark_months : array_like of float, shape (m,), or ReportedSurvival, optional
        Times of the percentages, positive and increasing. A `ReportedSurvival` brings its percentages with their
        rounding, number of patients, numbers at risk, confidence limits and number of events.
    survival : array_like of float, shape (m,), optional
        Survival there by the Kaplan-Meier method, as probabilities.
    n_total : int
        Patients. It must be known.
    decimals : int or sequence of int, optional
        Decimals with which the percentages are printed: a printed 83% has 0 and stands for 82.5 to 83.5. By default
        those that each number shows.
    n_at_risk : array_like of float, optional
        Numbers at risk, at the landmarks or, if these are given, at `at_risk_months`; nan where not printed.
    at_risk_months : array_like of float, optional
        Times of the numbers at risk, as under a published curve, from 0 on.
    at_risk_within : int or sequence of int
        By how many `n_at_risk` may be off, such as 1 when it was read off a graph; one for all or one for each. Of a
        `ReportedSurvival` it speaks only without `at_risk_months`.
    n_events : int, optional
        Events in all, up to the end of follow-up.
    median_months : float or ReportedNumber, optional
        Median survival with the digits it shows; a `ReportedNumber` may be in another unit, and open.
    ci_lower, ci_upper : array_like of float, shape (m,), optional
        Printed confidence limits as probabilities; nan where not printed.
    ci_level : float
        Their level.
    min_follow_up_months : float, optional
        Nobody was lost before.
    median_follow_up_months : float, optional
        By the reversed Kaplan-Meier method; it counts as roughly known, since reports differ in what they mean.
    max_follow_up_months : float, optional
        Where follow-up ends.
    time_step_months : float
        Unit in which times were recorded, if that is coarse: 1 for whole months. Tables count patients whose time is
        at least the printed one, so that those who leave within the step before it have left. By default times are
        exact.
    prior : FragmentPrior, optional
        What is assumed of hazards before anything is printed.
    draws : int
        Data sets to draw.
    rng : Generator or int, optional
        Random numbers or their seed; the same seed gives the same result.
    label : str
        Whose survival: for messages and printing.

    Returns
    -------
    FragmentPosterior
        Frozen. Ask it for numbers of events and censorings, survival, data sets, and analyses of them.

    Raises
    ------
    InvalidInputError
        If no number of patients or nothing else is given, an argument is out of range, or a survival is printed after
        the longest follow-up.
    ImpossibleReportError
        If no data set can produce what is printed. ``conflict`` names fragments that contradict each other, none of
        which can be spared for the contradiction.
    ConvergenceError
        If no data set was found although none of the printed numbers could be shown to exclude one; draw more.

    Warns
    -----
    InconsistentReportWarning
        If a confidence interval is symmetric on no known scale; it is then left out.
    NarrowIntervalWarning
        If so few data sets met the report at first that the spread of their descendants cannot be trusted.

    Notes
    -----
    The state of the study after each time is the number at risk and the Kaplan-Meier estimate, which jumps by
    (r - 1) / r at an event among r. Every printed number is a limit on the states, with its rounding, except standard
    errors and the median follow-up, which are known with an error. A particle filter draws from the distribution of
    the patients given all limits; see the page on the method.

    Examples
    --------
    >>> found = fit_fragments([36, 60, 120], [0.83, 0.71, 0.42], n_total=100, n_at_risk=[75, 52, 18])
    >>> found.n_events(0, 36).mode, round(found.n_events(0, 36).of(16), 1)
    (16, 0.9)
    >>> print(found.ensemble(50).survival([36, 90]))
    Survival from 50 data sets that the report allows
                      estimate  95% CI          variance lost to reporting
      survival at 36     83...%  [7...%, 89...%]                          0%
      survival at 90     5...%  [...%, ...%]                         ...%
    """
    where = label or "fit_fragments"
    printed = _printed(
        landmark_months,
        survival,
        n_total,
        decimals,
        n_at_risk,
        at_risk_months,
        ci_lower,
        ci_upper,
        ci_level,
        label,
    )
    if isinstance(landmark_months, ReportedSurvival):
        n_events = events_of(landmark_months, n_events, label)
    patients = _patients(printed, n_total, where)
    step = float(_validate.finite_1d([time_step_months], "time_step_months", where=where)[0])
    if step < 0:
        raise InvalidInputError(f"{where}: time_step_months cannot be negative; got {step:g}.")
    size = _validate.count(draws, "draws", where=where, minimum=100)

    cautions: list[Caution] = []
    found: list[Fragment] = []
    if printed is not None:
        found += survival_fragments(printed)
        found += ci_fragments(printed, cautions, where)
    found += risk_fragments(printed, n_at_risk, at_risk_months, at_risk_within, patients, step, where)
    found += median_fragments(median_months, where)
    if min_follow_up_months is not None:
        shortest = positive_time(min_follow_up_months, "min_follow_up_months", where)
        found.append(
            Fragment(f"nobody lost before {shown_months(shortest)}", (Item("first loss", shortest),))
        )
    if median_follow_up_months is not None:
        middle = positive_time(median_follow_up_months, "median_follow_up_months", where)
        found.append(Fragment(f"median follow-up {shown_months(middle)}", (Item("followed", middle),)))
    if n_events is not None:
        total = _validate.count(n_events, "n_events", where=where)
        if total > patients:
            raise InvalidInputError(f"{where}: {total} events among {patients} patients. Check both numbers.")
        found.append(Fragment(_format.plural(total, "event"), (Item("events", 0.0, total, total),)))
    last = max((item.time for each in found for item in each.items if item.time < math.inf), default=0.0)
    if max_follow_up_months is not None:
        longest = positive_time(max_follow_up_months, "max_follow_up_months", where)
        if longest < last - 1e-9:
            raise InvalidInputError(
                f"{where}: something is printed for {shown_months(last)}, after the longest follow-up of "
                f"{shown_months(longest)}. Check both."
            )
        found.append(Fragment(f"longest follow-up {shown_months(longest)}", (Item("end", longest),)))
        end = longest
    else:
        end = 2.0 * last if n_events is not None else last
    if last <= 0.0 and end <= 0.0:
        raise InvalidInputError(
            f"{where}: nothing is given but the number of patients; give at least one number with a time."
        )
    last = last or end
    prior = FragmentPrior() if prior is None else prior
    evidence = evidence_of(patients, found, last, end, half=0.5 + _ABOVE)
    generator = np.random.default_rng(rng)

    paths, thin = _paths(evidence, found, prior, size, generator, last, end, where)
    if paths.n_distinct < min(_ENOUGH, size):
        cautions.append(
            caution(
                NarrowIntervalWarning,
                f"the {paths.kind.shape[0]} draws have only {paths.n_distinct} ancestors up to "
                f"{shown_months(float(evidence.time[0]))}; posterior distributions are rough, so fit with more draws",
                where=where,
            )
        )
    kept = paths._replace(
        kind=paths.kind[::thin], n_at_risk=paths.n_at_risk[::thin], parameter=paths.parameter[::thin]
    )
    data = place(kept, evidence, prior, generator)
    for array in (*data, evidence.time, evidence.lower, evidence.upper, paths.met):
        array.setflags(write=False)
    return FragmentPosterior(
        label=label or (landmark_months.label if isinstance(landmark_months, ReportedSurvival) else ""),
        n_total=patients,
        fragments=(_format.plural(patients, "patient"), *(each.text for each in found)),
        time_months=evidence.time,
        lower=evidence.lower,
        upper=evidence.upper,
        time=data.time,
        event=data.event,
        last_months=last,
        has_tail=end > last,
        is_whole=n_events is not None or max_follow_up_months is not None,
        log_evidence=paths.log_evidence,
        log_evidence_se=paths.log_evidence_se,
        n_effective=min(paths.n_effective, float(size)),
        n_distinct=paths.n_distinct,
        acceptance=paths.met,
        prior=prior,
        endpoint=landmark_months.endpoint.code if isinstance(landmark_months, ReportedSurvival) else "",
        warnings=tuple(cautions),
    )


# --- what is given


def _printed(
    landmark_months: npt.ArrayLike | ReportedSurvival | None,
    survival: npt.ArrayLike | None,
    n_total: int | None,
    decimals: int | Sequence[int] | None,
    n_at_risk: npt.ArrayLike | None,
    at_risk_months: npt.ArrayLike | None,
    ci_lower: npt.ArrayLike | None,
    ci_upper: npt.ArrayLike | None,
    ci_level: float,
    label: str,
) -> Printed | None:
    """Percentages with what stands beside them; None when there are none."""
    at_landmarks = n_at_risk if at_risk_months is None else None
    where = label or "fit_fragments"
    if isinstance(landmark_months, ReportedSurvival):
        return from_report(
            landmark_months, label, (survival, ci_lower, ci_upper, decimals, at_landmarks, n_total)
        )
    if landmark_months is None:
        if any(value is not None for value in (survival, ci_lower, ci_upper, decimals, at_landmarks)):
            raise InvalidInputError(f"{where}: percentages and numbers at risk need their times.")
        return None
    if decimals is None and survival is not None:
        shown = _validate.probability_1d(survival, "survival", where=where)
        decimals = [_shown_decimals(share) for share in shown.tolist()]
    return from_arrays(
        landmark_months, survival, n_total, at_landmarks, ci_lower, ci_upper, ci_level, decimals, where
    )


def _shown_decimals(share: float) -> int:
    """Decimals of the percentage: 0 for 0.83 and for 0.7."""
    text = np.format_float_positional(round(100.0 * share, 10), trim="-")
    return len(text.partition(".")[2])


def _patients(printed: Printed | None, n_total: int | None, where: str) -> int:
    given = n_total if printed is None or printed.n_total is None else printed.n_total
    if given is None:
        raise InvalidInputError(f"{where}: give n_total, the number of patients.")
    return _validate.count(given, "n_total", where=where, minimum=1)


# --- draws, or why there are none


def _paths(
    evidence: Evidence,
    fragments: Sequence[Fragment],
    prior: FragmentPrior,
    size: int,
    rng: np.random.Generator,
    last: float,
    end: float,
    where: str,
) -> tuple[Paths, int]:
    """Draws, and one of how many is kept: more are made when few meet the report."""
    best: Paths | None = None
    times = 1
    while True:
        paths = sample_paths(evidence, prior, times * size, rng)
        if paths is None and times == 1:
            _refuse_impossible(evidence, fragments, last, end, where)
        best = best if paths is None else paths
        if times >= _MOST or (paths is not None and paths.n_distinct >= min(_ENOUGH, size)):
            break
        times *= 4
    if best is None:
        raise ConvergenceError(
            f"{where}: none of {times * size} draws meets the report, although no contradiction was found. Give more "
            "draws, or check the numbers.",
            last=0.0,
        )
    return best, best.kind.shape[0] // size


def _refuse_impossible(
    evidence: Evidence, fragments: Sequence[Fragment], last: float, end: float, where: str
) -> None:
    """Raise if no data set can produce the report, with fragments none of which can be spared for that."""
    n = evidence.n_total
    if n > _LARGEST or may_exist(evidence):
        return
    kept = list(fragments)
    for each in fragments:
        fewer = [other for other in kept if other is not each]
        if not may_exist(evidence_of(n, fewer, last, end)):
            kept = fewer
    conflict = (_format.plural(n, "patient"), *(each.text for each in kept))
    hint = (
        " If times are in whole months, say so by time_step_months: numbers at risk count those before the events of "
        "their month. If they were read off a graph, say by how many they may be off in at_risk_within."
        if any(item.kind == "at risk" for each in kept for item in each.items)
        else ""
    )
    raise ImpossibleReportError(
        f"{where}: no data set can produce {_format.listing(conflict)} together. Check these numbers.{hint}",
        conflict=conflict,
    )
