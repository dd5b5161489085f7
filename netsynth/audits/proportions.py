"""Shares of patients against their numbers, and groups against their studies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from netsynth import _format
from netsynth.audits.case import ABOUT, NO_SIZE, Case, Outcome, Reported, finding, is_sharp
from netsynth.audits.edits import Numbers, Printed, count
from netsynth.data.number import ReportedNumber
from netsynth.data.proportion import ReportedProportion
from netsynth.data.study import Group
from netsynth.kernels.lattice import whole_count

__all__ = ["group_sizes", "shares"]


def shares(case: Case) -> Iterator[Outcome]:
    """Whether each share is that of a whole number of patients."""
    for made in case.proportions:
        share, n = made.share, made.n_total
        if share is None:
            continue
        if n is None or not is_sharp(share):
            yield Outcome("share of n", NO_SIZE if n is None else ABOUT)
        elif _rounds(share, n, made.n_events):
            yield Outcome("share of n")
        else:
            yield _share(made, share, n)


def _share(made: ReportedProportion, share: ReportedNumber, n: int) -> Outcome:
    x = made.n_events
    cut = _is_cut(share, n, x)
    counted = Printed("n", ReportedNumber(str(n), "count")) if x is None else count("events", x)

    def holds(numbers: Numbers) -> bool:
        size = int(numbers[-1].value)
        had = None if x is None else int(numbers[1].value)
        replace(made, share=numbers[0], n_events=had, n_total=size)
        return _rounds(numbers[0], size, had)

    given = f"{x} of {n}" if x is not None else _format.plural(n, "patient")
    if x is None:
        low = int(n * share.probability)
        near = _format.listing(
            [f"{y}/{n} = {y / n:.{share.decimals + 1}%}" for y in (low, low + 1) if y <= n]
        )
    else:
        near = f"{x}/{n} = {x / n:.{max(share.decimals, 0) + 1}%}"
    return finding(
        made,
        "share of n",
        "suspicious" if cut else "impossible",
        f"{made.outcome}: {share} of {given}, yet {near}",
        unless="digits were cut off rather than rounded" if cut else "",
        printed=[Printed(made.outcome, share), *([] if x is None else [counted]), count("n", n)],
        holds=holds,
    )


def _rounds(share: ReportedNumber, n: int, n_events: int | None) -> bool:
    low, high = share.probability_interval
    if n_events is None:
        return int(whole_count(low, high, n)) >= 0
    return low - 1e-12 <= n_events / n <= high + 1e-12


def _is_cut(share: ReportedNumber, n: int, n_events: int | None) -> bool:
    """Whether the digits are those of a longer number that was cut off."""
    unit = 10.0**-share.decimals / (1.0 if share.unit == "probability" else 100.0)
    low = share.probability
    if n_events is not None:
        return low - 1e-12 <= n_events / n < low + unit
    return int(whole_count(low, low + unit - 1e-12, n)) >= 0


def group_sizes(case: Case) -> Iterator[Outcome]:
    """Whether each group is no larger than its study."""
    size = case.study.n_patients
    records: tuple[Reported, ...] = (
        *case.survival,
        *case.times,
        *case.proportions,
        *case.characteristics,
        *case.factors,
    )
    seen: set[Group] = set()
    for record in records:
        n = record.group.n_total
        if n is None or record.group in seen:
            continue
        seen.add(record.group)
        if size is None:
            yield Outcome("size of group", "n of the study not printed")
        elif n <= size:
            yield Outcome("size of group")
        else:
            yield finding(
                record,
                "size of group",
                "incoherent",
                f"{n} patients in a study of {size}",
                unless="operations or lesions are counted, not patients",
                printed=[count("n of the group", n), count("n of the study", size)],
                holds=lambda numbers: numbers[0].value <= numbers[1].value,
            )
