"""Whether any patients can give all that is printed of one curve together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

import numpy as np

from netsynth import _format
from netsynth._typing import Interval
from netsynth.audits.at_risk import allowed_events, printed_events
from netsynth.audits.case import INCIDENCE, NO_SIZE, Case, Outcome, edited_curve, finding, is_sharp, when
from netsynth.audits.edits import Numbers, Printed, count
from netsynth.audits.percentages import can_be
from netsynth.data.number import ReportedNumber
from netsynth.data.survival import ReportedSurvival
from netsynth.kernels.feasibility import may_exist
from netsynth.kernels.fragments import Evidence
from netsynth.results.audit import CheckName

__all__ = ["together"]

CHECK: Final[CheckName] = "curve as a whole"
#: Patients times figures up to which all orders are gone through: the time it takes grows with the product.
MOST: Final = 400
#: The same for each change of a digit that might repair it.
MOST_REPAIRED: Final = 100
TOO_LARGE: Final = f"too large: patients times figures above {MOST}"
ALONE: Final = "impossible by another check"
_ANY: Final = Interval(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class _Figure:
    """A printed number of a curve: which point it stands at, -1 for the events in all, and where it is from."""

    kind: Literal["percentage", "at risk", "events"]
    place: int
    number: ReportedNumber
    name: str
    words: str
    row_id: str = ""


def together(case: Case) -> Iterator[Outcome]:
    """Whether some order of events and losses gives every percentage, number at risk and the events of a curve."""
    for reported in case.survival:
        figures = _figures(case, reported)
        if len(figures) < 2:
            continue  # nothing to hold together
        n = reported.n_total
        if reported.endpoint.kind == "incidence" or n is None:
            yield Outcome(CHECK, NO_SIZE if n is None else INCIDENCE)
        elif not _each_may_be(reported, figures):
            yield Outcome(CHECK, ALONE)
        elif n * len(figures) > MOST:
            yield Outcome(CHECK, TOO_LARGE)
        elif _may_be(n, figures):
            yield Outcome(CHECK)
        else:
            yield _conflict(reported, figures, n)


def _figures(case: Case, reported: ReportedSurvival) -> list[_Figure]:
    """In the order in which they bind: those at risk at a time are counted before the events at that time."""
    found = []
    for i, point in enumerate(reported.timed):
        if point.n_at_risk is not None:
            name = f"at risk at {when(point)}"
            number = count(name, point.n_at_risk).number
            found.append(_Figure("at risk", i, number, name, f"{number} {name}", point.row_id))
        if is_sharp(point.share):
            name, words = f"{reported.endpoint} at {when(point)}", f"{point.share} at {when(point)}"
            found.append(_Figure("percentage", i, point.share, name, words, point.row_id))
    for made in printed_events(case, reported)[:1]:
        words = f"{_format.plural(made.n, 'event')} in all"
        found.append(_Figure("events", -1, count("events", made.n).number, "events", words, made.row_id))
    return found


def _each_may_be(reported: ReportedSurvival, figures: Sequence[_Figure]) -> bool:
    """Whether no other check finds an impossible number among them."""
    n = reported.n_total or 0
    allowed = allowed_events(reported)
    for figure in figures:
        if figure.kind == "percentage" and can_be(figure.number, n) is False:
            return False
        if figure.kind == "events" and allowed and not allowed.lower <= figure.number.value <= allowed.upper:
            return False
    return True


def _may_be(n: int, figures: Sequence[_Figure]) -> bool:
    """Whether nothing excludes patients behind the figures; times count by their order alone."""
    spans = [(f.number.probability_interval if f.kind == "percentage" else _ANY) for f in figures]
    at_risk = [int(f.number.value) if f.kind == "at risk" else -1 for f in figures]
    n_events = next((int(f.number.value) for f in figures if f.kind == "events"), -1)
    return _is_possible(n, tuple(spans), tuple(at_risk), n_events)


@lru_cache(maxsize=1024)
def _is_possible(n: int, spans: tuple[Interval, ...], at_risk: tuple[int, ...], n_events: int) -> bool:
    k = len(spans)
    unknown = np.full(k, np.nan)
    return may_exist(
        Evidence(
            n_total=n,
            time=np.arange(1.0, k + 1.0),
            lower=np.array([low for low, _ in spans]),
            upper=np.array([high for _, high in spans]),
            # papers repeat the last percentage at later times, when nobody is followed any more
            is_estimate=np.zeros(k, dtype=np.bool_),
            n_at_risk=np.array(at_risk, dtype=np.int64),
            se=unknown,
            se_sd=unknown,
            followed=unknown,
            followed_sd=unknown,
            n_events=n_events,
            scale=float(k),
        )
    )


def _conflict(reported: ReportedSurvival, figures: list[_Figure], n: int) -> Outcome:
    """The finding, about figures of which none can be spared for the contradiction."""
    kept = figures
    for figure in figures:
        fewer = [other for other in kept if other is not figure]
        if not _may_be(n, fewer):
            kept = fewer

    def holds(numbers: Numbers) -> bool:
        *rest, size = numbers
        new = dict(zip((id(figure) for figure in kept), rest, strict=True))
        changed = [replace(figure, number=new.get(id(figure), figure.number)) for figure in figures]
        curve = edited_curve(
            reported,
            n_total=size,
            share={f.place: f.number for f in changed if f.kind == "percentage"},
            at_risk={f.place: f.number for f in changed if f.kind == "at risk"},
            n_events=next((f.number for f in changed if f.kind == "events"), None),
        )
        n_events = max((f.number.value for f in changed if f.kind == "events"), default=0)
        return (
            n_events <= size.value
            and size.value * len(changed) <= MOST
            and _each_may_be(curve, changed)
            and _may_be(int(size.value), changed)
        )

    return finding(
        reported,
        CHECK,
        "impossible",
        f"{_format.listing([figure.words for figure in kept])} of {_format.plural(n, 'patient')}: no order of events "
        f"and losses gives {'it' if len(kept) == 1 else 'them together'}",
        printed=[*(Printed(figure.name, figure.number) for figure in kept), count("n", n)],
        holds=holds if n * len(figures) <= MOST_REPAIRED else None,
        most_pairs=0,
        rows=[figure.row_id for figure in kept],
    )
