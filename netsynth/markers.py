"""Hazard ratios of continuous markers on another step of the same scale."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from netsynth import _format
from netsynth.data.marker import MarkerScale
from netsynth.errors import Caution, HarmonisationWarning, InvalidInputError, caution
from netsynth.kernels.trend import mean_of_tail
from netsynth.results.evidence import FactorEvidence

__all__ = ["RescaledRatio", "is_of_kind", "of_one_kind", "on_one_step", "other_kind", "rescale_log_hr"]


@dataclass(frozen=True, slots=True)
class RescaledRatio:
    """A log hazard ratio on another step of its marker, as made by `rescale_log_hr`.

    Attributes
    ----------
    log_hr, se : float
        Per `target`.
    factor : float
        What `log_hr` and `se` were multiplied by.
    source, target : MarkerScale
        The step that was printed, and the one asked for.
    is_approximate : bool
        Whether a normal marker had to be assumed.
    warnings : tuple of Caution
        What to keep in mind.
    """

    log_hr: float
    se: float
    factor: float
    source: MarkerScale
    target: MarkerScale
    is_approximate: bool
    warnings: tuple[Caution, ...] = ()

    @property
    def hazard_ratio(self) -> float:
        """Hazard ratio per `target`."""
        return math.exp(self.log_hr)

    def __str__(self) -> str:
        sign = "about " if self.is_approximate else ""
        return (
            f"hazard ratio {sign}{_format.ratio(self.hazard_ratio)} {self.target}, standard error {self.se:.3g} "
            f"on the log scale; from {self.source}, times {_format.significant(self.factor)}"
        )


def rescale_log_hr(
    log_hr: float,
    *,
    se: float,
    source: MarkerScale,
    target: MarkerScale,
    approximate: bool = False,
    study: str = "",
) -> RescaledRatio:
    r"""Bring a log hazard ratio of a continuous marker to another step of the same scale.

    Only what is exact is done: per unit, per ten units and per standard deviation are one scale, the marker itself;
    per doubling, per logarithm and per standard deviation of the logarithm are another. A model that is linear in
    the marker and one that is linear in its logarithm estimate different things, and a split marker a third.

    Parameters
    ----------
    log_hr, se : float
        Log hazard ratio per `source`, and its standard error.
    source, target : MarkerScale
        The step that is printed, and the one wanted.
    approximate : bool
        Whether a ratio of extreme groups may be turned into one per standard deviation, which takes the marker to be
        normal and its effect to be linear.
    study : str, optional
        For messages.

    Returns
    -------
    RescaledRatio

    Raises
    ------
    InvalidInputError
        If there is no exact way and none is allowed, or a standard deviation is needed and not known.

    Warns
    -----
    HarmonisationWarning
        The way was approximate.

    Notes
    -----
    Log hazard ratio and standard error are multiplied by the ratio of the steps. The mean of a standard normal
    marker in its highest share q is :math:`\varphi(\Phi^{-1}(q)) / q`, so the highest and the lowest third are 2.18
    standard deviations apart, quarters 2.54, fifths 2.80, and two halves 1.60 [1]_.

    References
    ----------
    .. [1] Chêne G, Thompson SG (1996). Methods for summarizing the risk associations of quantitative variables in
       epidemiologic studies in a consistent form. Am J Epidemiol 144:610-621.

    Examples
    --------
    >>> ten = MarkerScale.per_units(10, unit="ng/mL")
    >>> print(rescale_log_hr(0.02, se=0.005, source=MarkerScale.per_units(), target=ten))
    hazard ratio 1.22 per 10 ng/mL, standard error 0.05 on the log scale; from per unit, times 10.0
    """
    where = f"{study}: " if study else ""
    if not math.isfinite(log_hr) or not (math.isfinite(se) and se > 0):
        raise InvalidInputError(f"{where}log_hr must be finite and se positive; got {log_hr!r} and {se!r}.")
    told: tuple[Caution, ...] = ()
    if (
        {"cut", "unclear"} & {source.kind, target.kind}
        or target.kind == "groups"
        or (source.kind == "groups" and not approximate)
    ):
        if source == target:
            return RescaledRatio(log_hr, se, 1.0, source, target, False)
        hint = (
            " approximate=True takes the marker to be normal and its effect to be linear."
            if source.kind == "groups" and target.kind in ("sd", "units")
            else " Keep them apart."
        )
        raise InvalidInputError(
            f"{where}a hazard ratio {source} cannot be turned into one {target}: groups of a marker and the marker "
            f"itself are different comparisons.{hint}"
        )
    if _is_log(source) != _is_log(target):
        raise InvalidInputError(
            f"{where}a hazard ratio {source} cannot be turned into one {target}: the one is linear in the marker, the "
            "other in its logarithm. They estimate different things; keep them apart."
        )
    if source.unit and target.unit and source.unit != target.unit:
        raise InvalidInputError(
            f"{where}the marker is in {source.unit!r} in one and in {target.unit!r} in the other; give both in one "
            "unit."
        )
    if (
        source.kind == target.kind
        and source.kind in ("sd", "log sd")
        and (source.sd is None or target.sd is None)
    ):
        factor = target.size / source.size
        if source.sd != target.sd:
            raise InvalidInputError(
                f"{where}one standard deviation is known and the other is not; give both or none."
            )
    else:
        factor = _step(target, source, where) / _step(source, target, where)
    if source.kind == "groups":
        message = (
            f"a hazard ratio {source} was turned into one {target} as if the marker were normal and its effect "
            "linear"
        )
        told = (caution(HarmonisationWarning, message, where=study, stacklevel=3),)
    return RescaledRatio(factor * log_hr, factor * se, factor, source, target, bool(told), told)


def _is_log(scale: MarkerScale) -> bool:
    return scale.kind in ("fold", "log sd")


def _step(scale: MarkerScale, other: MarkerScale, where: str) -> float:
    """Size of the step: in standard deviations if both are counted in them, else in units or natural logarithms."""
    in_sd = {scale.kind, other.kind} <= {"sd", "groups"} and scale.sd == other.sd
    if scale.kind == "units":
        return scale.size
    if scale.kind == "fold":
        return math.log(scale.size)
    sd = 1.0 if in_sd else scale.sd or other.sd
    if sd is None:
        raise InvalidInputError(
            f"{where}from {scale} to {other}, or back, needs the standard deviation of the marker; give it as sd=."
        )
    n_sd = 2.0 * mean_of_tail(1.0 / scale.size) if scale.kind == "groups" else scale.size
    return sd * n_sd


def of_one_kind(
    results: Sequence[FactorEvidence],
) -> tuple[list[FactorEvidence], list[tuple[FactorEvidence, str]]]:
    """The results whose ratios may be pooled, and the others with the reason.

    A ratio per unit, one per doubling and one of two groups answer different questions. The kind that most studies
    report is kept: of as many studies the one with more patients, then groups, then by the alphabet. No effect is
    looked at. What is continuous without a step that is stated is kept only where nothing else is.

    Parameters
    ----------
    results : sequence of FactorEvidence
        Of one factor.

    Returns
    -------
    kept, others
        In the order of `results`.
    """
    kinds = [_kind(result.scale) for result in results]
    if len({result.cluster or result.study for result in results}) < 2 or len(set(kinds)) < 2:
        return list(results), []

    def weight(kind: tuple[str, ...]) -> tuple[object, ...]:
        own = [result for result, its in zip(results, kinds, strict=True) if its == kind]
        sizes: dict[str, int] = {}
        for result in own:
            study = result.cluster or result.study
            sizes[study] = max(sizes.get(study, 0), result.n_patients or 0)
        return -len(sizes), -sum(sizes.values()), kind != (), kind

    best = min(set(kinds), key=lambda kind: (kind[:1] == ("unclear",), weight(kind)))
    kept = [result for result, kind in zip(results, kinds, strict=True) if kind == best]
    name = _shown(_commonest(kept))
    others = [
        (result, other_kind(result.scale, name))
        for result, kind in zip(results, kinds, strict=True)
        if kind != best
    ]
    return kept, others


def other_kind(scale: MarkerScale | None, name: str) -> str:
    """Why a ratio of this scale is not pooled with those that are called `name`."""
    why = f"{_shown(scale)}, not {name}"
    return f"scale not clear ({why})" if scale is not None and scale.kind == "unclear" else why


def is_of_kind(scale: MarkerScale | None, other: MarkerScale | None) -> bool:
    """Whether a ratio of one scale can be turned into one of the other."""
    return _kind(scale) == _kind(other)


def on_one_step(
    used: Sequence[FactorEvidence], where: str, *, stacklevel: int = 3
) -> tuple[list[FactorEvidence], list[Caution]]:
    """Ratios of one kind brought to the step that most of them speak of, which is exact, and what to keep in mind.

    Parameters
    ----------
    used : sequence of FactorEvidence
        Of one factor and of one kind, as by `of_one_kind`.
    where : str
        For messages.

    Returns
    -------
    results, cautions
        Each result with its `scale_factor`.

    Warns
    -----
    HarmonisationWarning
        A ratio was brought to another step, or a unit is not stated.
    """
    target = _commonest(used)
    if target is None or len(used) < 2:
        return list(used), []
    moved, said, told = [], [], []
    for result in used:
        if result.scale is None or result.scale == target:
            moved.append(result)
            continue
        new = rescale_log_hr(
            result.log_hr, se=result.se, source=result.scale, target=target, study=result.label
        )
        factor = result.scale_factor * new.factor
        said.append(f"{result.label}, {result.scale} ({_format.shortest(new.factor, 4)} times)")
        moved.append(
            replace(
                result,
                log_hr=new.log_hr,
                se=new.se,
                log_ci_lower=result.log_ci_lower * new.factor,
                log_ci_upper=result.log_ci_upper * new.factor,
                scale=target,
                scale_factor=factor,
            )
        )
    if said:
        message = f"log ratios were multiplied so that all are {target}: {_format.listing(said)}"
        told.append(caution(HarmonisationWarning, message, where=where, stacklevel=stacklevel))
    if target.kind == "unclear" or (target.kind == "units" and target.unit in ("", "lower")):
        message = "ratios per unit are pooled although the unit is not stated, so the steps may differ"
        told.append(caution(HarmonisationWarning, message, where=where, stacklevel=stacklevel))
    return moved, told


def _kind(scale: MarkerScale | None) -> tuple[str, ...]:
    """What two ratios must share so that one can be turned into the other; nothing for groups."""
    return () if scale is None else (scale.kind, scale.unit)


def _commonest(results: Sequence[FactorEvidence]) -> MarkerScale | None:
    """The step that most results speak of; of several the largest, whose ratio is the easiest to read."""
    counts = Counter(result.scale for result in results if result.scale is not None)
    return min(counts, key=lambda scale: (-counts[scale], -scale.size), default=None)


def _shown(scale: MarkerScale | None) -> str:
    return "a split" if scale is None else str(scale)
