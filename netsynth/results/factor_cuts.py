"""Where studies split a marker, and which of them chose the cut-point by the outcome: words and warnings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netsynth import _format
from netsynth.data.marker import CutPoint
from netsynth.errors import Caution, ChosenCutPointWarning, HarmonisationWarning, caution

if TYPE_CHECKING:
    from netsynth.results.evidence import FactorEvidence

__all__ = [
    "chosen_cut_points",
    "cut_point_cautions",
    "different_cut_points",
    "is_split_alike",
    "shown_cut_point",
]


def shown_cut_point(result: FactorEvidence) -> str:
    """The values that the levels of a result name, such as "5 cm"; empty when they name none."""
    places = {point.place: point for point in reversed(result.cut_points)}
    return _format.listing(point.shown for point in reversed(places.values()))


def different_cut_points(results: Iterable[FactorEvidence]) -> str:
    """Where each study split, such as "5 cm (Lund and Oslo) and 3 cm (Bern)"; empty when all that say so split alike.

    A value without a unit is taken for the same value with one.
    """
    used = list(results)
    units = {point.place[0]: point.place[1] for r in used for point in r.cut_points if point.unit}
    groups: dict[frozenset[tuple[float, str]], list[FactorEvidence]] = {}
    for result in used:
        groups.setdefault(frozenset(_place(point, units) for point in result.cut_points), []).append(result)
    named = [_split(same, shown_cut_point(same[0])) for places, same in groups.items() if places]
    silent = [_split(same, "not named") for places, same in groups.items() if not places]
    return _format.listing([*named, *silent]) if len(named) > 1 else ""


def is_split_alike(results: Iterable[FactorEvidence]) -> bool:
    """Whether every result compares one side of one cut-point with the other, and the cut-point is the same."""
    used = list(results)
    whole = all(len(r.cut_points) == 2 and len({p.place for p in r.cut_points}) == 1 for r in used)
    return whole and not different_cut_points(used)


def chosen_cut_points(results: Iterable[FactorEvidence]) -> str:
    """The studies that chose theirs by the outcome, such as "Lund (5 cm)"; empty when none says so."""
    found = {
        f"{result.label} ({shown_cut_point(result) or 'not named'})": None
        for result in results
        if result.is_cut_point_chosen
    }
    return _format.listing(found)


def cut_point_cautions(
    results: Iterable[FactorEvidence], where: str, *, pooled: bool = True, stacklevel: int = 4
) -> list[Caution]:
    """Warn of cut-points that were chosen by the outcome, and of different ones where the ratios are `pooled`."""
    used, said = list(results), []
    if pooled and (different := different_cut_points(used)):
        message = f"ratios at different cut-points are pooled: {different}"
        said.append(caution(HarmonisationWarning, message, where=where, stacklevel=stacklevel))
    if chosen := chosen_cut_points(used):
        message = (
            f"the cut-point was chosen by the outcome in {chosen}: there the ratio is too far from 1 and the p-value "
            "too small, by how much nothing printed tells"
        )
        said.append(caution(ChosenCutPointWarning, message, where=where, stacklevel=stacklevel))
    return said


def _place(point: CutPoint, units: dict[float, str]) -> tuple[float, str]:
    value, unit = point.place
    return value, unit or units.get(value, "")


def _split(results: list[FactorEvidence], cut: str) -> str:
    return f"{cut} ({_format.listing(dict.fromkeys(result.label for result in results))})"
