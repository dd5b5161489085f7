"""What another review concluded: its medians and ranges over studies."""

from __future__ import annotations

from collections.abc import Iterator

from netsynth.audits.case import Outcome
from netsynth.audits.edits import Numbers, Printed, smallest_corrections
from netsynth.audits.times import is_half, is_whole
from netsynth.data.number import ReportedInterval
from netsynth.data.review import PublishedTarget
from netsynth.results.audit import PUBLISHED, AuditFinding

__all__ = ["targets"]


def targets(target: PublishedTarget) -> Iterator[Outcome]:
    """Whether the median lies within the range, and whether it can end in one half."""
    pair = target.range
    if pair is not None:
        yield _median_in_range(target, pair)
    if is_half(target.median) and is_whole(pair):
        yield Outcome("half units", "number of studies not printed")


def _median_in_range(target: PublishedTarget, pair: ReportedInterval) -> Outcome:
    ends = [
        (name, end) for name, end in (("lower end", pair.lower), ("upper end", pair.upper)) if end is not None
    ]
    if {end.unit for _, end in ends} != {target.median.unit}:
        return Outcome("order of limits", "different units")
    if pair.may_contain(target.median):
        return Outcome("order of limits")
    printed = [Printed(f"median {target.outcome}", target.median), *(Printed(*end) for end in ends)]

    def holds(numbers: Numbers) -> bool:
        new = dict(zip([name for name, _ in ends], numbers[1:], strict=True))
        return ReportedInterval(new.get("lower end"), new.get("upper end")).may_contain(numbers[0])

    found = smallest_corrections(printed, holds)
    return Outcome(
        "order of limits",
        finding=AuditFinding(
            PUBLISHED,
            "order of limits",
            "impossible",
            f"{target}: the median lies outside the range",
            corrections=found.shown,
            n_corrections=found.n,
            endpoint=target.outcome,
        ),
    )
