"""What each printed number says of the patients: a fragment of a report, and the limits it sets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._printed import Printed, percent
from netsynth._typing import FloatArray
from netsynth.data.number import ReportedNumber
from netsynth.errors import Caution, InconsistentReportWarning, InvalidInputError, caution
from netsynth.kernels.fragments import Evidence
from netsynth.kernels.intervals import critical_value
from netsynth.kernels.survival_variance import SCALES, detected_se

_METHODS: Final = 0.03  # relative: how far standard errors by the usual methods are from one another
_FOLLOWED: Final = 0.1  # how far the share still followed at the median follow-up may be from a half


class Item(NamedTuple):
    """One limit that a fragment sets; a number at risk has in `upper` by how many it may be off."""

    kind: Literal["survival", "limit", "at risk", "events", "se", "followed", "first loss", "end"]
    time: float
    lower: float = 0.0
    upper: float = 1.0


class Fragment(NamedTuple):
    """A printed number in words, and the limits it sets."""

    text: str
    items: tuple[Item, ...]


def positive_time(value: float, name: str, where: str) -> float:
    return float(_validate.positive_1d([value], name, where=where)[0])


def shown_months(time: float) -> str:
    text = _format.shortest(time, 2)
    return f"{text}{_format.unit_suffix('month', text)}"


def survival_fragments(printed: Printed) -> list[Fragment]:
    rows = zip(printed.time, printed.survival, printed.lower, printed.upper, strict=True)
    return [
        Fragment(
            f"{percent(share)} at {shown_months(time)}",
            (Item("survival", float(time), float(low), float(high)),),
        )
        for time, share, low, high in rows
    ]


def ci_fragments(printed: Printed, cautions: list[Caution], where: str) -> list[Fragment]:
    """Standard errors that printed intervals stand for, with the error of their rounding and of methods."""
    found = detected_se(
        printed.survival, printed.ci_lower, printed.ci_upper, printed.ci_half_width, level=printed.ci_level
    )
    z = float(critical_value(np.inf, printed.ci_level))
    fragments = []
    for j, time in enumerate(printed.time.tolist()):
        se = float(found.se[j])
        if not math.isfinite(se) or se <= 0:
            continue
        limits = f"{percent(printed.ci_lower[j])} to {percent(printed.ci_upper[j])} at {shown_months(time)}"
        if not found.admissible[j]:
            message = (
                f"the interval {limits} is symmetric on none of the scales {', '.join(SCALES)}; left out"
            )
            cautions.append(caution(InconsistentReportWarning, message, where=where, stacklevel=4))
            continue
        # each limit is uniform within its rounding: their difference has a variance of 2 h^2 / 3
        rounding = float(printed.ci_half_width[j]) * math.sqrt(2.0 / 3.0) / (2.0 * z)
        error = math.hypot(rounding, _METHODS * se)
        fragments.append(Fragment(f"interval {limits}", (Item("se", time, se, error),)))
    return fragments


def risk_fragments(
    printed: Printed | None,
    n_at_risk: npt.ArrayLike | None,
    at_risk_months: npt.ArrayLike | None,
    at_risk_within: npt.ArrayLike,
    patients: int,
    step: float,
    where: str,
) -> list[Fragment]:
    """Numbers at risk, at times of their own and at landmarks; those given first may be off by `at_risk_within`."""
    rows: list[tuple[float, float, float]] = []
    if at_risk_months is not None:
        if n_at_risk is None:
            raise InvalidInputError(f"{where}: at_risk_months needs n_at_risk.")
        times = _validate.finite_1d(at_risk_months, "at_risk_months", where=where)
        counts = _validate.array_1d(n_at_risk, "n_at_risk", where=where)
        _validate.same_length(times, "at_risk_months", counts, "n_at_risk", where=where)
        if (times < 0).any() or (np.diff(times) <= 0).any():
            raise InvalidInputError(
                f"{where}: at_risk_months must increase from 0 on; got {times.tolist()!r:.80}."
            )
        off = _within(at_risk_within, counts, where)
        rows += zip(times.tolist(), counts.tolist(), off.tolist(), strict=True)
    if printed is not None:
        counts = printed.n_at_risk
        off = _within(0 if rows else at_risk_within, counts, where)
        rows += zip(printed.time.tolist(), counts.tolist(), off.tolist(), strict=True)
    found: dict[float, tuple[float, float]] = {}
    for time, given, within in rows:
        if math.isnan(given):
            continue
        before, least = found.get(time, (given, within))
        if before != given:
            raise InvalidInputError(
                f"{where}: {before:g} and {given:g} at risk at {shown_months(time)}; give one of them."
            )
        found[time] = given, min(least, within)
    fragments = []
    for time, (given, off_by) in found.items():
        m, within = (
            _validate.count(value, name, where=where)
            for value, name in ((given, "n_at_risk"), (off_by, "at_risk_within"))
        )
        text = f"{m}{f' ± {within}' if within else ''} at risk at {shown_months(time)}"
        at = max(time - step, 0.0)
        if at > 0:
            fragments.append(Fragment(text, (Item("at risk", at, m, within),)))
        elif abs(m - patients) > within:
            raise InvalidInputError(
                f"{where}: {text}, but there are {patients} patients. Check both numbers."
            )
    return fragments


def _within(given: npt.ArrayLike, counts: FloatArray, where: str) -> FloatArray:
    """By how many each number at risk may be off."""
    if np.ndim(given) == 0:
        return np.full(
            counts.shape, float(_validate.count(np.asarray(given).item(), "at_risk_within", where=where))
        )
    off = _validate.array_1d(given, "at_risk_within", where=where)
    _validate.same_length(counts, "n_at_risk", off, "at_risk_within", where=where)
    return off


def median_fragments(median: float | ReportedNumber | None, where: str) -> list[Fragment]:
    """Survival is at least 1/2 where the median may begin, and at most 1/2 where it must be past."""
    if median is None:
        return []
    number = ReportedNumber.of(median, "month")
    if number.value <= 0:
        raise InvalidInputError(f"{where}: the median must be positive; got {number}.")
    start, stop = number.months_interval
    items = []
    if not number.text:
        items.append(Item("limit", math.inf, 0.5, 1.0))  # at the last time, whenever that is
    else:
        if start > 0:
            items.append(Item("limit", start, 0.5, 1.0))
        if stop < math.inf:
            items.append(Item("limit", stop, 0.0, 0.5))
    return [Fragment(f"median {number}", tuple(items))]


def evidence_of(
    patients: int, fragments: Sequence[Fragment], last: float, end: float, *, half: float = 0.5
) -> Evidence:
    """Limits at all times at which a fragment says something; survival is at least `half` before a median."""
    items = [item for each in fragments for item in each.items]
    times = {item.time for item in items if 0.0 < item.time < math.inf}
    time = np.array(sorted(times | {last, end}))
    place = {each: j for j, each in enumerate(time.tolist())}
    k = time.size
    lower, upper, is_estimate = np.zeros(k), np.ones(k), np.zeros(k, np.bool_)
    at_risk, within = np.full(k, -1, np.int64), np.zeros(k, np.int64)
    se, se_sd, followed, followed_sd = (np.full(k, np.nan) for _ in range(4))
    total, first_loss = -1, 0.0
    for kind, at, low, high in items:
        j = place.get(at, k - 1)
        if kind in ("survival", "limit"):
            is_before_median = kind == "limit" and low > 0.0
            lower[j], upper[j] = max(lower[j], half if is_before_median else low), min(upper[j], high)
            # somebody must still be followed where a median is said not to be reached
            is_estimate[j] |= kind == "survival" or is_before_median
        elif kind == "at risk":
            at_risk[j], within[j] = int(low), int(high)
        elif kind == "events":
            total = int(low)
        elif kind == "se":
            se[j], se_sd[j] = low, high
        elif kind == "followed":
            followed[j], followed_sd[j] = 0.5, _FOLLOWED
        elif kind == "first loss":
            first_loss = at
    return Evidence(
        n_total=patients,
        time=time,
        lower=lower,
        upper=upper,
        is_estimate=is_estimate,
        n_at_risk=at_risk,
        at_risk_within=within,
        se=se,
        se_sd=se_sd,
        followed=followed,
        followed_sd=followed_sd,
        n_events=total,
        first_loss=first_loss,
        scale=last,
    )
