"""Which of several results on a prognostic factor is counted, and whose direction it takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from netsynth import _format
from netsynth.data.factor import Analysis
from netsynth.data.selection import OVERLAP_RULES, OverlapRule
from netsynth.data.study import Role, Study
from netsynth.results.evidence import INFERRED, FactorEvidence

__all__ = ["FactorChoice", "directed"]

#: Of several results of a study the one that adjusts for most is counted.
_PREFERRED: Final[tuple[Analysis, ...]] = ("multivariable", "matched", "univariable", "not stated")


@dataclass(frozen=True)
class FactorChoice:
    """One result a study, and one study of those that share patients."""

    studies: Mapping[str, Study]
    clusters: Mapping[str, frozenset[str]]
    endpoints: Sequence[str]
    roles: Sequence[Role]
    overlap: OverlapRule

    @property
    def rule(self) -> str:
        return (
            f"One result a study: groups in the order {_format.listing(self.roles)}, then "
            f"{_format.listing(_PREFERRED)}, then the most patients, then the most adverse level; for any endpoint "
            f"the first of {', '.join(self.endpoints[:3])}, ...; {OVERLAP_RULES[self.overlap]}."
        )

    def __call__(self, results: Iterable[FactorEvidence]) -> list[FactorEvidence]:
        """The results, those not taken with the reason."""
        found = list(results)
        by_study: dict[str, list[FactorEvidence]] = {}
        for result in found:
            by_study.setdefault(result.study, []).append(result)
        best = {study: min(several, key=self.preference) for study, several in by_study.items()}
        kept = dict.fromkeys(best, "")
        if self.overlap != "keep":
            for cluster in {self.clusters[study] for study in best}:
                members = sorted(cluster & best.keys(), key=lambda study: self._size(best[study]))
                for study in members[:-1]:
                    kept[study] = f"may share patients with {best[members[-1]].label}, which was counted"
        return [
            replace(r, left_out=kept[r.study])
            if r is best[r.study]
            else replace(r, left_out=f"{_shortly(best[r.study])} of the same study was preferred")
            for r in found
        ]

    def preference(self, result: FactorEvidence) -> tuple[object, ...]:
        return (
            self.endpoints.index(result.endpoint),
            self.roles.index(result.group.role),
            _PREFERRED.index(result.analysis),
            -(result.n_patients or 0),
            result.level_rank,
            # what follows only makes the choice the same in any order of the rows
            result.row_id,
            result.printed_factor,
            result.printed_adverse,
            result.printed_reference,
            str(result.group.to_dict()),
        )

    def _size(self, result: FactorEvidence) -> tuple[object, ...]:
        study = self.studies[result.study]
        size, year = result.n_patients or study.n_patients or 0, study.year or 0
        return (size, year, study.id) if self.overlap == "largest" else (year, size, study.id)


def _shortly(result: FactorEvidence) -> str:
    patients = "" if result.n_patients is None else f", n = {result.n_patients}"
    return f"{result.printed_levels} ({result.endpoint}, {result.analysis}{patients})"


def directed(
    result: FactorEvidence, results: Sequence[FactorEvidence], choice: FactorChoice
) -> FactorEvidence:
    """A counted result without a direction takes that of the next result of its study, a stated one before others."""
    if result.left_out or result.direction != "not stated":
        return result
    levels = {("", ""), (result.adverse_level, result.reference_level)}
    own = [
        other
        for other in results
        if other.study == result.study
        and other.direction != "not stated"
        and (levels == {("", "")} or (other.adverse_level, other.reference_level) in levels)
    ]
    if not own:
        return result
    best = min(own, key=lambda other: (other.direction_basis == INFERRED, choice.preference(other)))
    kind = "another" if best.analysis == result.analysis else best.analysis.replace("not stated", "another")
    where = "" if best.endpoint == result.endpoint else f" for {best.endpoint}"
    return replace(
        result,
        other_direction=best.direction,
        other_basis=best.direction_basis,
        direction_from=f"{kind} result{where}",
    )
