"""What became of the studies of a review and of the figures they report, with numbers that add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from netsynth import _format
from netsynth.data.prisma import PrismaFlow
from netsynth.data.review import Review
from netsynth.data.selection import Exclusion
from netsynth.errors import InvalidInputError
from netsynth.results.outcomes import OutcomeRow, OutcomeSummary

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["FlowLine", "ReviewFlow"]

NO_FIGURE: Final = "nothing of these outcomes"
ONLY_FACTORS: Final = "prognostic factors only"
NOT_RECORDED: Final = "not recorded"
NOT_USABLE: Final = "not usable"
MEAN: Final = "mean, not median"
#: Reasons in the order in which they are asked for; each role that was not asked for stands where `_ROLE` does.
_ROLE: Final = "role"
_ASKED: Final = (
    MEAN,
    NOT_USABLE,
    _ROLE,
    "duplicate",
    "other evidence set",
    "second value of a study",
    "overlapping cohort",
)


class FlowLine(NamedTuple):
    """Reported figures of one outcome: how many were found, left out by reason, and taken, one a study."""

    label: str
    found: int
    left_out: Mapping[str, int]
    taken: int


@dataclass(frozen=True, slots=True)
class ReviewFlow:
    """Studies and reported figures from the search to the results.

    Attributes
    ----------
    search : PrismaFlow or None
        Records and reports before; None when the review does not record them.
    n_sources : int
        Sources that were read; 0 when they are not recorded.
    n_studies : int
        Studies of the review before any was taken out.
    taken_out : mapping of str to int
        Studies taken out by `Review.filter`, by reason.
    unused : mapping of str to int
        Studies of which no figure was taken, by the reason why the one that came closest was left out.
    n_used, n_patients : int
        Studies of which some figure was taken, and their patients, of studies that share patients only the largest.
    n_with_factors : int
        Studies with a result of a prognostic factor, used for an outcome or not.
    exclusions : tuple of Exclusion
        Figures left out, each once, with the outcome and the reason. Means are among them: no outcome takes one.
    n_taken : int
        Figures taken.
    lines : tuple of FlowLine
        The same by outcome; a figure whose landmark is not stated stands at each.

    Raises
    ------
    InvalidInputError
        If the numbers do not add up.
    """

    search: PrismaFlow | None
    n_sources: int
    n_studies: int
    taken_out: Mapping[str, int]
    unused: Mapping[str, int]
    n_used: int
    n_patients: int
    n_with_factors: int
    exclusions: tuple[Exclusion, ...]
    n_taken: int
    lines: tuple[FlowLine, ...]

    def __post_init__(self) -> None:
        accounted = sum(self.taken_out.values()) + sum(self.unused.values()) + self.n_used
        if accounted != self.n_studies:
            raise InvalidInputError(
                f"Flow of studies: {self.n_studies} studies, but the parts add up to {accounted}."
            )
        for line in self.lines:
            if line.found != sum(line.left_out.values()) + line.taken:
                raise InvalidInputError(f"Flow of figures, {line.label}: {line.found} found do not add up.")
        if sum(line.taken for line in self.lines) != self.n_taken:
            raise InvalidInputError(
                f"Flow of figures: {self.n_taken} taken are not those of the outcomes together."
            )
        included = None if self.search is None else self.search.included_studies
        if included not in (None, self.n_studies):
            raise InvalidInputError(
                f"Studies included: the search ends with {included}, but the review holds {self.n_studies}. Correct "
                "the search, or keep in the review the studies it included and take them out with Review.filter."
            )

    @classmethod
    def of(cls, review: Review, outcomes: OutcomeSummary, *, search: PrismaFlow | None = None) -> Self:
        """The flow of a review whose `outcomes` have every line, also those without a study (``min_studies=0``)."""
        lines: list[FlowLine] = []
        figures: dict[tuple[object, ...], Exclusion] = {}
        for row in outcomes.rows:
            if not row.k + len(row.selection.excluded):
                continue
            lines.append(_line(row.label, row.selection.excluded, row.k))
            for one, identity in _identified(row):
                figures.setdefault(identity, one)
        means = _means(review)
        lines += [_line(label, left, 0) for label, left in means.items()]
        excluded = (*figures.values(), *(one for left in means.values() for one in left))
        used = {study for row in outcomes.rows for study in row.selection.studies}
        kinds: dict[str, list[str]] = {study.id: [] for study in review.studies if study.id not in used}
        for one in excluded:
            if one.study in kinds:
                kinds[one.study].append(one.kind)
        factors = {result.study for result in review.factors if result.analysis != "pooled"}
        unused = Counter(
            max(found, key=_passed, default=ONLY_FACTORS if study in factors else NO_FIGURE)
            for study, found in kinds.items()
        )
        return cls(
            search,
            len(review.sources),
            len(review.studies) + len(review.excluded),
            _counted(Counter(one.kind for one in review.excluded)),
            _counted(unused),
            len(used),
            outcomes.n_patients,
            len(factors),
            excluded,
            sum(row.k for row in outcomes.rows),
            tuple(lines),
        )

    @property
    def left_out(self) -> Mapping[str, int]:
        """Figures left out, by reason, the most frequent first."""
        return _counted(Counter(one.kind for one in self.exclusions))

    @property
    def n_found(self) -> int:
        """Reported figures, taken and left out."""
        return self.n_taken + len(self.exclusions)

    @property
    def before(self) -> tuple[str, ...]:
        """What is known of records and reports, in words."""
        if self.search is not None:
            return tuple(str(self.search).split("; "))
        read = _format.plural(self.n_sources, "source") + " read" if self.n_sources else ""
        return tuple(filter(None, (f"Records identified and screened: {NOT_RECORDED}", read)))

    @property
    def after(self) -> tuple[str, ...]:
        """What the studies were used for, in words."""
        lines = []
        if self.n_used or not self.n_with_factors:
            lines.append(f"{_format.plural(self.n_used, 'study', 'studies')} with an outcome")
        if self.n_used:
            lines.append(_format.plural(self.n_patients, "patient"))
        if self.n_with_factors:
            lines.append(
                f"{_format.plural(self.n_with_factors, 'study', 'studies')} with a prognostic factor"
            )
        return tuple(lines)

    def summary_frame(self) -> pd.DataFrame:
        """One row an outcome, a column a reason."""
        import pandas as pd

        reasons = list(dict.fromkeys(reason for line in self.lines for reason in line.left_out))
        rows = [
            {
                "outcome": line.label,
                "found": line.found,
                **{f"left out: {reason}": line.left_out.get(reason, 0) for reason in reasons},
                "taken": line.taken,
            }
            for line in self.lines
        ]
        return pd.DataFrame(rows).set_index("outcome") if rows else pd.DataFrame()

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Flow diagram; needs matplotlib."""
        from netsynth.plots.review_flow import review_flow_plot

        return review_flow_plot(self, ax=ax)

    def __str__(self) -> str:
        lines = [*self.before, f"{_format.plural(self.n_studies, 'study', 'studies')} in the review"]
        lines += [f"  {n} taken out: {reason}" for reason, n in self.taken_out.items()]
        lines += [f"  {n} not used: {reason}" for reason, n in self.unused.items()]
        lines += self.after
        lines.append(f"{_format.plural(self.n_found, 'reported figure')}")
        lines += [f"  {n} left out: {reason}" for reason, n in self.left_out.items()]
        return "\n".join([*lines, f"{self.n_taken} taken"])


def _counted(found: Counter[str]) -> Mapping[str, int]:
    """Reasons, the most frequent first."""
    return MappingProxyType(dict(found.most_common()))


def _passed(kind: str) -> int:
    """How many questions a figure passed before it was left out."""
    return _ASKED.index(kind if kind in _ASKED else _ROLE)


def _line(label: str, left: Sequence[Exclusion], taken: int) -> FlowLine:
    reasons = Counter(one.kind for one in left)
    return FlowLine(label, len(left) + taken, MappingProxyType(dict(reasons)), taken)


def _identified(row: OutcomeRow) -> Iterator[tuple[Exclusion, tuple[object, ...]]]:
    """Figures left out, named by their outcome, with what tells one from another.

    One that is not usable for want of a landmark stands in the line of every landmark, in the same order.
    """
    landmark = row.kind == "percentage"
    for usable in (False, True):
        found = [one for one in row.selection.excluded if (one.kind != NOT_USABLE) is usable]
        everywhere = landmark and not usable
        name = row.outcome.replace("_", " ") if everywhere else row.label
        for place, one in enumerate(found):
            identity = (row.kind, row.outcome, usable, None if everywhere else row.label, place)
            yield replace(one, shown=f"{name}: {one.shown}"), identity


def _means(review: Review) -> dict[str, list[Exclusion]]:
    """Mean times by outcome, none of which is taken."""
    why = "a mean time is no median, and it is no mean of all patients where some were alive at the end"
    found: dict[str, list[Exclusion]] = {}
    for record in review.times:
        if record.statistic == "mean":
            label = f"mean {record.endpoint.code.replace('_', ' ')}"
            shown = f"{label}: {record.value}, {record.group}"
            found.setdefault(label, []).append(Exclusion(record.study, MEAN, why, record.row_id, shown))
    return found
