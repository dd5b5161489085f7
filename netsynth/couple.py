"""Two arms of one trial, fitted from fragments, held together by what the paper prints of both."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np
from scipy.special import chdtrc

from netsynth import _format, _validate
from netsynth._typing import FloatArray
from netsynth.data.number import NumberLike, ReportedNumber
from netsynth.errors import (
    Caution,
    InconsistentReportWarning,
    InvalidInputError,
    NarrowIntervalWarning,
    caution,
)
from netsynth.kernels import two_arms
from netsynth.kernels.coupling import (
    PairFits,
    Pairs,
    PairTarget,
    compare_pairs,
    effective_size,
    normal_weights,
    pairs_of,
    systematic,
)
from netsynth.kernels.intervals import Limits, critical_value
from netsynth.kernels.pvalues import z_from_pvalue
from netsynth.results.arm_checks import FEWEST, PrintedArms, PrintedRatio
from netsynth.results.arm_effects import sets_of
from netsynth.results.coupled import CoupledArms
from netsynth.results.ensemble import CombinedEstimate, PseudoData, PseudoEnsemble, combine_analyses
from netsynth.results.fragments import FragmentPosterior

__all__ = ["couple_arms"]

_PORTION: Final = 10_000  # pairs that are tried at once


def couple_arms(
    treated: FragmentPosterior,
    control: FragmentPosterior,
    *,
    printed_hr: PrintedRatio | None = None,
    printed_pvalue: NumberLike | None = None,
    n_draws: int = 100,
    n_pairs: int = 50_000,
    rng: np.random.Generator | int | None = 0,
) -> CoupledArms:
    r"""Couple two arms that were fitted from fragments by the hazard ratio or the log-rank p printed of both.

    Parameters
    ----------
    treated, control : FragmentPosterior
        From `fit_fragments`, each from the fragments of its own arm, with different labels.
    printed_hr : str, float, (hr, lower, upper) or ReportedText, optional
        The hazard ratio of treated against control that the paper prints, such as "0.49 (0.38-0.64)"; limits that are
        printed with it are evidence too. As text it keeps trailing zeros, which tell how it was rounded; a p-value in
        it is taken for `printed_pvalue`.
    printed_pvalue : str, float or ReportedNumber, optional
        Two-sided p-value of the log-rank test; "<0.001" is a bound.
    n_draws : int
        Pairs of data sets to draw for analyses, at least two.
    n_pairs : int
        Pairs of data sets to try at most, in portions of 10 000 until `n_draws` agree. Each data set of one arm can go
        with each of the other, so that arms of 1000 draws have a million.
    rng : Generator, int or None
        Random numbers, or a seed for them; None for new ones each time.

    Returns
    -------
    CoupledArms
        Frozen, with the data sets that go together, the combined hazard ratio, and events before and after.

    Raises
    ------
    InvalidInputError
        If an arm is not from `fit_fragments`, both have one label, nothing is printed of both, a printed number
        cannot be read or is no hazard ratio, or no pair of data sets can be compared.

    Warns
    -----
    InconsistentReportWarning
        If no pair gives the printed numbers. Pairs are then weighted by a normal kernel, as wide as the nearest of them
        is off.
    NarrowIntervalWarning
        If so few pairs agree that their spread cannot be trusted, or patients of an arm are still followed where its
        data sets end, so that the printed numbers may count events that these do not have.
    UnusableDataWarning
        If an arm has no events in some pair, so that its hazard ratio is 0 or infinite.

    Notes
    -----
    Before anything is printed of both the arms are independent, so each data set of one goes with each of the other.
    Pairs whose Cox hazard ratio (Efron's way with ties), its limits, and log-rank p lie within the rounding of the
    print are draws from the distribution of both arms given all of it. The print must be of these patients, without
    adjustment and strata; nothing shows when it is not, unless no pair agrees.

    Examples
    --------
    Remission on 6-MP and on placebo, in weeks, which stand for months here:

    >>> from netsynth.fragments import fit_fragments
    >>> mp = fit_fragments([10, 20], [0.75, 0.63], n_total=21, n_events=9, label="6-MP")
    >>> placebo = fit_fragments([10, 20], [0.38, 0.10], n_total=21, n_events=21, label="placebo")
    >>> found = couple_arms(mp, placebo, printed_hr="0.21 (0.09-0.47)")
    >>> found.is_exact, round(float(found.log_hr.natural), 2)
    (True, 0.21)
    >>> found.log_hr.reporting_loss < found.log_hr_before.reporting_loss
    True
    """
    arms = _arms(treated, control)
    names = [arm.label for arm in arms]
    where = f"{names[0]} against {names[1]}"
    printed = PrintedArms.of(printed_hr, printed_pvalue, where)
    if not printed.label:
        raise InvalidInputError(f"{where}: there is nothing to couple by: give printed_hr or printed_pvalue.")
    size = _validate.count(n_draws, "n_draws", where=where, minimum=2)
    most = _validate.count(n_pairs, "n_pairs", where=where, minimum=size)
    generator = np.random.default_rng(rng)
    target = _target(printed)

    # neighbouring draws have much of their history in common
    mixed = [generator.permutation(arm.n_draws) for arm in arms]
    pairs = pairs_of(arms[0].n_draws, arms[1].n_draws, most)
    pairs = Pairs(mixed[0][pairs.first], mixed[1][pairs.second])
    parts: list[PairFits] = []
    n_agreeing = 0
    for start in range(0, pairs.first.size, _PORTION):
        some = Pairs(*(places[start : start + _PORTION] for places in pairs))
        parts.append(compare_pairs(arms[0].time, arms[0].event, arms[1].time, arms[1].event, some))
        n_agreeing += int((target.distance(parts[-1]) == 0).sum())
        if n_agreeing >= size:
            break
    fits = PairFits(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    distance = target.distance(fits)
    pairs = Pairs(*(places[: distance.size] for places in pairs))
    nearest = float(distance.min())
    if math.isinf(nearest):
        raise InvalidInputError(
            f"{where}: none of {_format.plural(distance.size, 'pair')} of data sets can be held against {printed.label}"
            f"{_without_events(arms)}. Check the arms and the printed numbers."
        )
    width = max(nearest, _rounding(target, float(fits.se[distance.argmin()]))) if nearest > 0 else 0.0
    weight = normal_weights(distance, width)
    weights = [
        np.asarray(np.bincount(places, weights=weight, minlength=arm.n_draws), dtype=np.float64)
        for places, arm in zip(pairs, arms, strict=True)
    ]
    n_effective = min(map(effective_size, weights))
    words = _words(printed)
    cautions = _cautions(arms, where)
    if not n_agreeing:
        place = int(distance.argmin())
        text = (
            f"none of {_format.plural(distance.size, 'pair')} of data sets gives {words}; the nearest, with "
            f"{_shown(fits, place)}, is {_format.significant(nearest, 2)} standard errors away, and pairs are weighted "
            f"by a normal kernel of that width{_hint(printed, target, fits, names)}"
        )
        cautions.append(caution(InconsistentReportWarning, text, where=where))
    if min(n_agreeing or math.inf, n_effective) < FEWEST:
        verb = "agrees" if n_agreeing == 1 else "agree"
        few = (
            f"only {_format.plural(n_agreeing, 'pair')} {verb} with {words}"
            if n_agreeing
            else "few pairs count"
        )
        text = (
            f"{few}, worth {_format.number(n_effective, 1)} independent data sets; how they vary cannot be told, so "
            "try more pairs and fit with more draws"
        )
        cautions.append(caution(NarrowIntervalWarning, text, where=where))

    chosen = systematic(weight, size, generator)
    draws = [
        PseudoEnsemble(arm.label, tuple(PseudoData(arm.time[i], arm.event[i]) for i in places), arm.endpoint)
        for arm, each in zip(arms, pairs, strict=True)
        for places in (each[:size].tolist(), each[chosen].tolist())
    ]
    before, after = _log_hr(draws[0], draws[2]), _log_hr(draws[1], draws[3])
    for array in weights:
        array.setflags(write=False)
    return CoupledArms(
        treated=treated,
        control=control,
        printed=words,
        treated_draws=draws[1],
        control_draws=draws[3],
        treated_weight=weights[0],
        control_weight=weights[1],
        log_hr_before=before,
        log_hr=after,
        n_tried=distance.size,
        n_agreeing=n_agreeing,
        n_effective=n_effective,
        nearest=nearest,
        kernel_width=width,
        warnings=(*cautions, *before.warnings, *after.warnings),
    )


def _arms(
    treated: FragmentPosterior, control: FragmentPosterior
) -> tuple[FragmentPosterior, FragmentPosterior]:
    """Both arms, each with a label of its own."""
    for arm in (treated, control):
        if not isinstance(arm, FragmentPosterior):
            raise InvalidInputError(
                f"couple_arms takes two arms from fit_fragments; got {type(arm).__name__}. Arms of a figure are "
                "compared, and held to a printed ratio, by compare_arms."
            )
    first, second = (
        replace(arm, label=arm.label or name) for arm, name in ((treated, "treated"), (control, "control"))
    )
    if first.label == second.label:
        raise InvalidInputError(
            f"couple_arms: both arms are called {first.label!r}. Give each its own label in fit_fragments, since a "
            "ratio is of the first against the second."
        )
    return first, second


def _target(printed: PrintedArms) -> PairTarget:
    ci = printed.ci
    ends: list[Limits | None] = [None, None]
    if ci is not None:
        ends = [None if end is None or end.value <= 0 else _logarithms(end) for end in (ci.lower, ci.upper)]
    p = None if printed.pvalue is None else printed.pvalue.interval
    return PairTarget(
        log_hr=None if printed.ratio is None else _logarithms(printed.ratio),
        ci_lower=ends[0],
        ci_upper=ends[1],
        reach=float(critical_value(math.inf, (ci.level if ci else None) or 0.95)),
        z=None if p is None else Limits(z_from_pvalue(min(p.upper, 1.0)), z_from_pvalue(p.lower)),
    )


def _logarithms(number: ReportedNumber) -> Limits:
    low, high = number.interval
    return Limits(np.asarray(math.log(low) if low > 0 else -math.inf), np.log(high))


def _rounding(target: PairTarget, se: float) -> float:
    """Standard deviation of what was rounded off the ratio, in standard errors of sampling."""
    if target.log_hr is None:
        return 0.0
    width = float(target.log_hr.upper - target.log_hr.lower)
    return width / math.sqrt(12.0) / se if math.isfinite(width) else 0.0


def _words(printed: PrintedArms) -> str:
    """As `PrintedArms.label`, with the interval."""
    if printed.ratio is None or printed.ci is None:
        return printed.label
    low, high = ("?" if end is None else end.bare for end in (printed.ci.lower, printed.ci.upper))
    ratio = f"hazard ratio {printed.ratio}"
    return printed.label.replace(ratio, f"{ratio} ({_format.span(low, high)})", 1)


def _cautions(arms: tuple[FragmentPosterior, ...], where: str) -> list[Caution]:
    """Whether data sets end before the follow-up on which a printed ratio rests."""
    found = []
    for arm in arms:
        left = arm.n_at_risk(arm.last_months).mean
        if not arm.is_whole and left >= 1:
            text = (
                f"some {left:.0f} patients of {arm.label} are still followed at "
                f"{_format.shortest(arm.last_months, 2)} months, where its data sets end, and the printed numbers may "
                "count events after it; give n_events or max_follow_up_months to fit_fragments"
            )
            found.append(caution(NarrowIntervalWarning, text, where=where, stacklevel=4))
    return found


def _without_events(arms: tuple[FragmentPosterior, ...]) -> str:
    empty = [arm.label for arm in arms if not arm.event.any()]
    return f", since there are no events in {_format.listing(empty)}" if empty else ""


def _shown(fits: PairFits, place: int) -> str:
    pvalue = _format.pvalue(float(chdtrc(1, fits.z[place] ** 2)))
    return f"a hazard ratio of {_format.ratio(math.exp(fits.log_hr[place]))} and log-rank {pvalue}"


def _hint(printed: PrintedArms, target: PairTarget, fits: PairFits, names: list[str]) -> str:
    """Whether the inverse would be nearer by far."""
    if target.log_hr is None or printed.ratio is None:
        return "; is it of other patients?"
    bare = target._replace(ci_lower=None, ci_upper=None, z=None)
    inverse = bare._replace(log_hr=Limits(-target.log_hr.upper, -target.log_hr.lower))
    if float(inverse.distance(fits).min()) < 0.5 * float(bare.distance(fits).min()):
        return f"; its inverse, {_format.ratio(1.0 / printed.ratio.value)}, would be nearer: is it that of {names[1]}?"
    return "; is it adjusted or stratified, or of other patients?"


def _log_hr(treated: PseudoEnsemble, control: PseudoEnsemble) -> CombinedEstimate:
    def cox(one: PseudoData, other: PseudoData) -> tuple[FloatArray, FloatArray]:
        fit = two_arms.cox(sets_of(one, other))
        return np.where(np.isfinite(fit.log_hr), fit.log_hr, np.nan), fit.variance

    return replace(combine_analyses(cox, treated, control, measure="log_hr"), label=("log hazard ratio",))
