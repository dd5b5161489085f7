"""One value a study, with every choice stated: what was taken, what was left out, and why."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from netsynth import _format, _validate
from netsynth.data._record import Record
from netsynth.data.number import ReportedNumber
from netsynth.data.study import ROLES, Group, Role, Study
from netsynth.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Candidate", "Exclusion", "OverlapRule", "Selection", "select"]

OverlapRule = Literal["largest", "latest", "keep"]
OVERLAP_RULES: Final[Mapping[OverlapRule, str]] = {
    "largest": "of studies that share patients the one with the most patients",
    "latest": "of studies that share patients the latest",
    "keep": "overlapping studies all kept",
}


@dataclass(frozen=True, slots=True)
class Candidate(Record):
    """A reported figure that could answer a question.

    `record` is its place in the list of the review it came from: (index of the record, index of the point).
    """

    study: str
    value: ReportedNumber
    group: Group
    n_total: int | None
    source: str = ""
    row_id: str = ""
    record: tuple[int, ...] = ()
    unusable: str = ""

    def __str__(self) -> str:
        return f"{self.study}: {self.value} ({self.group})"


@dataclass(frozen=True, slots=True)
class Exclusion(Record):
    """A figure or a study that was left out, and why. `kind` is the short reason that counts are made of."""

    study: str
    kind: str
    reason: str
    row_id: str = ""
    shown: str = ""

    def __str__(self) -> str:
        row = f" [{self.row_id}]" if self.row_id else ""
        return f"{self.study}{row}{f', {self.shown}' if self.shown else ''}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Selection(Record):
    """One value a study for one question, and every figure that was not taken.

    Parameters
    ----------
    question : str
        What was asked, such as "OS at 60 months".
    rule : str
        How one value a study was chosen, in words.
    chosen : tuple of Candidate
        One a study, in the order of the review.
    excluded : tuple of Exclusion
        Every other figure that answers the question, with its reason.
    """

    question: str
    rule: str
    chosen: tuple[Candidate, ...]
    excluded: tuple[Exclusion, ...]

    @property
    def k(self) -> int:
        """Number of studies."""
        return len(self.chosen)

    @property
    def studies(self) -> tuple[str, ...]:
        """Ids of the studies."""
        return tuple(candidate.study for candidate in self.chosen)

    @property
    def values(self) -> tuple[ReportedNumber, ...]:
        """The values as printed."""
        return tuple(candidate.value for candidate in self.chosen)

    @property
    def n_total(self) -> int:
        """Patients in the groups whose size is printed."""
        return sum(candidate.n_total or 0 for candidate in self.chosen)

    @property
    def flow(self) -> dict[str, int]:
        """Counts for a flow diagram: figures found, left out by reason, taken."""
        reasons = Counter(exclusion.kind for exclusion in self.excluded)
        return {"found": self.k + len(self.excluded), **reasons, "taken": self.k}

    def to_frame(self) -> pd.DataFrame:
        """One row a figure, taken and left out alike, with the reason; `value` is in its printed unit."""
        import pandas as pd

        taken: list[dict[str, object]] = [
            {
                "study": c.study,
                "row_id": c.row_id,
                "figure": f"{c.value}, {c.group}",
                "value": c.value.value,
                "qualifier": c.value.qualifier,
                "unit": c.value.unit,
                "group": c.group.label,
                "n_total": c.n_total,
                "source": c.source,
                "taken": True,
                "reason": "",
            }
            for c in self.chosen
        ]
        left: list[dict[str, object]] = [
            {"study": e.study, "row_id": e.row_id, "figure": e.shown, "taken": False, "reason": e.reason}
            for e in self.excluded
        ]
        columns = [
            "study",
            "row_id",
            "figure",
            "value",
            "qualifier",
            "unit",
            "group",
            "n_total",
            "source",
            "taken",
            "reason",
        ]
        return pd.DataFrame(taken + left, columns=columns).astype({"n_total": "Int64"})

    def __str__(self) -> str:
        head = f"{self.question}: {_format.plural(self.k, 'study', 'studies')}, {self.n_total} patients"
        lines = [head, f"  rule: {self.rule}"]
        lines += [f"  + {candidate}" for candidate in self.chosen]
        lines += [f"  - {exclusion}" for exclusion in self.excluded]
        return "\n".join(lines)


def select(
    question: str,
    candidates: Iterable[Candidate],
    *,
    sets: Sequence[str] | None,
    roles: Sequence[Role],
    overlap: OverlapRule,
    studies: Sequence[Study],
    prefer: Callable[[Candidate], float] = lambda _: 0.0,
    preference: str = "",
) -> Selection:
    """Choose one candidate a study and list the rest with their reasons; see `Review.select_survival`.

    Of several candidates of a study the order is: role, an exact value before an open end, the smallest
    `prefer` (which `preference` puts in words), the most patients, the first.
    """
    _validate.word_list(sets, "sets")
    check_roles(roles)
    _validate.choice(overlap, "overlap", OVERLAP_RULES)
    excluded: list[Exclusion] = []

    def leave(candidate: Candidate, kind: str, reason: str) -> None:
        shown = f"{candidate.value}, {candidate.group}"
        excluded.append(Exclusion(candidate.study, kind, reason, candidate.row_id, shown))

    eligible: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        group = candidate.group
        if candidate.unusable:
            leave(candidate, "not usable", candidate.unusable)
        elif group.role not in roles:
            leave(candidate, group.role, f"role {group.role}; asked for {_format.listing(roles)}")
        elif group.duplicate:
            leave(candidate, "duplicate", "marked as a duplicate of figures another study reports")
        elif sets is not None and group.evidence_set not in sets:
            leave(
                candidate,
                "other evidence set",
                f"evidence set {_set_names([group.evidence_set])}; asked for {_set_names(sets)}",
            )
        else:
            eligible.setdefault(candidate.study, []).append(candidate)

    one_each: dict[str, Candidate] = {}
    for study, found in eligible.items():
        best = min(
            found,
            key=lambda c: (roles.index(c.group.role), not c.value.is_exact, prefer(c), -(c.n_total or 0)),
        )
        one_each[study] = best
        for candidate in found:
            if candidate is not best:
                leave(candidate, "second value of a study", f"{best.value} of {best.group} was preferred")

    if overlap != "keep":
        year = {study.id: study.year or 0 for study in studies}
        clusters = overlap_clusters(studies)
        by_cluster: dict[frozenset[str], list[Candidate]] = {}
        for candidate in one_each.values():
            by_cluster.setdefault(clusters[candidate.study], []).append(candidate)
        for members in by_cluster.values():
            keys = {c.study: (c.n_total or 0, year[c.study]) for c in members}
            best = max(members, key=lambda c: keys[c.study][:: 1 if overlap == "largest" else -1])
            for candidate in members:
                if candidate is not best:
                    del one_each[candidate.study]
                    leave(
                        candidate,
                        "overlapping cohort",
                        f"may share patients with {best.study}, which was kept",
                    )

    place = {study.id: i for i, study in enumerate(studies)}
    chosen = tuple(sorted(one_each.values(), key=lambda c: place[c.study]))
    rule = (
        f"groups in the order {_format.listing(roles)}; "
        + ("any evidence set" if sets is None else f"evidence set {_set_names(sets)}")
        + "; of several values of a study an exact one before an open end, then "
        + (f"{preference}, then " if preference else "")
        + "the largest group, then the first; "
        + OVERLAP_RULES[overlap]
    )
    return Selection(question, rule, chosen, tuple(excluded))


def check_roles(roles: Sequence[Role]) -> None:
    """Refuse a list of roles that is one text or empty, or holds a word that is none."""
    _validate.word_list(roles, "roles")
    for role in roles:
        _validate.choice(role, "roles", ROLES)


def check_sets(sets: Sequence[str] | None, known: Iterable[str]) -> None:
    """Refuse a list of evidence sets that is one text or empty, or names one that is not known."""
    _validate.word_list(sets, "sets")
    there = sorted(set(known))
    unknown = [name for name in sets or () if name not in there]
    if unknown:
        has = f"has {_set_names(there)}" if any(there) else "names none; leave sets out"
        raise InvalidInputError(f"No result belongs to evidence set {_set_names(unknown)}; the review {has}.")


def _set_names(sets: Iterable[str]) -> str:
    return _format.listing(name or "(none)" for name in sets)


def overlap_clusters(studies: Sequence[Study]) -> dict[str, frozenset[str]]:
    """For each study the ids of all that share patients with it, directly or through another, and its own."""
    members: dict[str, set[str]] = {study.id: {study.id} for study in studies}
    for study in studies:
        for other in study.overlap:
            if other in members and members[other] is not members[study.id]:
                merged = members[study.id] | members[other]
                for name in merged:
                    members[name] = merged
    return {name: frozenset(group) for name, group in members.items()}


def same_months(left: float, right: float) -> bool:
    """Whether two times are the same landmark: equal but for the rounding of unit conversion."""
    return math.isclose(left, right, rel_tol=1e-9)


def known_time(time_months: float) -> float:
    """A landmark that a question may ask for."""
    number = isinstance(time_months, int | float | np.integer) and not isinstance(time_months, bool)
    if not number or not (math.isfinite(time_months) and time_months > 0):
        raise InvalidInputError(f"time_months must be a positive number of months; got {time_months!r}.")
    return float(time_months)
