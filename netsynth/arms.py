"""Two or more arms of one figure compared, and held against what the paper prints of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import cast, overload

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc

from netsynth import _format, _validate
from netsynth._typing import FloatArray, IntArray
from netsynth.data.number import NumberLike
from netsynth.errors import (
    BoundaryWarning,
    Caution,
    InconsistentReportWarning,
    InvalidInputError,
    NarrowIntervalWarning,
    UnusableDataWarning,
    caution,
)
from netsynth.kernels import two_arms
from netsynth.kernels.product_limit import Estimates
from netsynth.results.arm_checks import PrintedArms, PrintedRatio, agreeing_pairs, check_printed
from netsynth.results.arm_effects import (
    ArmAnalyses,
    ArmEffect,
    EffectKind,
    analyse_arms,
    arm_effect,
    arm_log_rank,
    column,
    stacked,
)
from netsynth.results.arms import ArmComparison, ArmComparisons
from netsynth.results.ensemble import PseudoData, PseudoEnsemble
from netsynth.results.ipd import PseudoIPD

__all__ = ["compare_arms"]


@overload
def compare_arms(
    treated: PseudoIPD,
    control: PseudoIPD,
    *,
    horizon: float | None = None,
    landmarks: npt.ArrayLike | None = None,
    printed_hr: PrintedRatio | None = None,
    printed_pvalue: NumberLike | None = None,
    constrain: bool = False,
    n_draws: int = 50,
    rng: np.random.Generator | int | None = 0,
) -> ArmComparison: ...
@overload
def compare_arms(
    treated: Mapping[str, PseudoIPD],
    control: str,
    *,
    horizon: float | None = None,
    landmarks: npt.ArrayLike | None = None,
    printed_hr: Mapping[str, PrintedRatio] | None = None,
    printed_pvalue: Mapping[str, NumberLike] | None = None,
    constrain: bool = False,
    n_draws: int = 50,
    rng: np.random.Generator | int | None = 0,
) -> ArmComparisons: ...
def compare_arms(
    treated: PseudoIPD | Mapping[str, PseudoIPD],
    control: PseudoIPD | str,
    *,
    horizon: float | None = None,
    landmarks: npt.ArrayLike | None = None,
    printed_hr: PrintedRatio | Mapping[str, PrintedRatio] | None = None,
    printed_pvalue: NumberLike | Mapping[str, NumberLike] | None = None,
    constrain: bool = False,
    n_draws: int = 50,
    rng: np.random.Generator | int | None = 0,
) -> ArmComparison | ArmComparisons:
    r"""Compare reconstructed arms: hazard ratio, restricted means, survival at landmarks, log-rank, proportionality.

    Parameters
    ----------
    treated, control : PseudoIPD
        From `reconstruct_ipd`, in one unit of time. Or a mapping of names to such, and the name of the one with which
        all others are compared.
    horizon : float, optional
        Up to when the mean survival time is taken. By default up to the last number at risk above 0 that both arms
        have, or where the first of them ends in a data set; an arm whose survival falls to 0 sets no limit.
    landmarks : array_like of float, shape (q,), optional
        Increasing times at which survival is compared.
    printed_hr : str, float, (hr, lower, upper) or ReportedText, optional
        The hazard ratio of treated against control that the paper prints, such as "0.49 (0.38-0.64)". As text it
        keeps trailing zeros, which tell how it was rounded; a p-value in it is taken for `printed_pvalue`. With
        several arms a mapping from their names.
    printed_pvalue : str, float or ReportedNumber, optional
        Two-sided p-value of the log-rank test; "<0.001" is a bound. With several arms a mapping.
    constrain : bool
        Whether to keep only data sets that reproduce the printed ratio, and the p-value, within rounding. Right only
        if they are of these patients, without adjustment and strata. When fewer than 10 such data sets are found,
        all are kept and the result says so.
    n_draws : int
        Data sets to draw of each arm, at least two.
    rng : Generator, int or None
        Random numbers, or a seed for them; None for new ones each time.

    Returns
    -------
    ArmComparison or ArmComparisons
        Frozen, with intervals at any level, frames, plots, and each printed number beside what the figures give.

    Raises
    ------
    InvalidInputError
        If arms differ in their unit of time, there are fewer than two, the horizon or a landmark lies beyond
        the follow-up of an arm, a printed number cannot be read or is no hazard ratio, or there is nothing to constrain
        by.

    Warns
    -----
    InconsistentReportWarning
        If a printed number disagrees with the figures, or too few data sets reproduce it to be used.
    BoundaryWarning
        If one arm has all the events, so that the hazard ratio is 0 or infinite.
    NarrowIntervalWarning
        If nobody in an arm had an event by a landmark, so that its variance there is taken as 0.
    UnusableDataWarning
        If an effect is undefined in some data sets, or the variance at a landmark where nobody is left.

    Notes
    -----
    The hazard ratio is Cox's with Efron's way with ties, survival Kaplan-Meier's with Greenwood's variance. Every
    analysis is done in `n_draws` pairs of data sets that the figures allow and combined by Rubin's rules [1]_, so that
    intervals are for sampling and for reading from a picture. Since the arms are read independently, each data set of
    one goes with each of the other: for a constraint all these pairs are tried until `n_draws` of them agree.

    References
    ----------
    .. [1] Rubin DB (1987). Multiple Imputation for Nonresponse in Surveys. Wiley.
       https://doi.org/10.1002/9780470316696

    Examples
    --------
    Weeks in remission of children with acute leukaemia on 6-MP and on placebo:

    >>> from netsynth.ipd import reconstruct_ipd
    >>> mp = reconstruct_ipd(
    ...     [0, 6, 7, 10, 13, 16, 22, 23, 35],
    ...     [1, 0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448, 0.448],
    ...     at_risk_time=[0, 10, 20, 30],
    ...     n_at_risk=[21, 15, 8, 4],
    ...     steps=True,
    ...     unit="week",
    ...     label="6-MP",
    ... )
    >>> placebo = reconstruct_ipd(
    ...     [0, 1, 2, 3, 4, 5, 8, 11, 12, 15, 17, 22, 23],
    ...     [1, 0.905, 0.810, 0.762, 0.667, 0.571, 0.381, 0.286, 0.190, 0.143, 0.095, 0.048, 0],
    ...     at_risk_time=[0, 10, 20],
    ...     n_at_risk=[21, 8, 2],
    ...     steps=True,
    ...     unit="week",
    ...     label="placebo",
    ... )
    >>> found = compare_arms(mp, placebo, horizon=20, landmarks=[10], printed_hr="0.21 (0.09-0.47)")
    >>> [round(limit, 2) for limit in found.hazard_ratio_interval()], found.is_consistent
    ([0.09, 0.47], True)
    >>> print(f"{found.rmst_difference.natural:.1f} weeks longer in remission, of the first 20")
    7.7 weeks longer in remission, of the first 20
    """
    n_draws = _validate.count(n_draws, "n_draws", minimum=2)
    generator = np.random.default_rng(rng)
    arms, reference = _arms(treated, control)
    given = _by_arm(arms, reference, printed_hr, printed_pvalue, is_pair=isinstance(treated, PseudoIPD))
    printed = {
        name: PrintedArms.of(ratio, pvalue, f"{arms[name].label} against {arms[reference].label}")
        for name, (ratio, pvalue) in given.items()
    }
    if constrain and not any(each.label for each in printed.values()):
        raise InvalidInputError("There is nothing to constrain by: give printed_hr or printed_pvalue.")
    tau, times = _times(list(arms.values()), horizon, landmarks)

    draws = {name: arm.ensemble(n_draws, rng=generator) for name, arm in arms.items()}
    if horizon is None:
        tau = min(tau, *(_follow_up(data) for each in draws.values() for data in each.draws))
    found = {}
    for name, each in printed.items():
        pair = (arms[name], arms[reference])
        found[name] = _compare(pair, (draws[name], draws[reference]), tau, times, each, constrain)
    if isinstance(treated, PseudoIPD):
        return found[_TREATED]
    chi2, df = two_arms.log_rank_of_several(
        np.concatenate([arm.time for arm in arms.values()]),
        np.concatenate([arm.event for arm in arms.values()]),
        np.repeat(np.arange(len(arms)), [arm.n_total for arm in arms.values()]),
    )
    pvalue = float(chdtrc(df, chi2)) if df else math.nan
    return ArmComparisons(
        control=reference, comparisons=MappingProxyType(found), chi2=chi2, df=df, pvalue=pvalue
    )


#: Names of two arms while they are compared.
_TREATED, _CONTROL = "treated", "control"


# --- what goes in


def _arms(
    treated: PseudoIPD | Mapping[str, PseudoIPD], control: PseudoIPD | str
) -> tuple[dict[str, PseudoIPD], str]:
    """All arms by name, in one unit of time, and the name of the control."""
    if isinstance(treated, PseudoIPD) and isinstance(control, PseudoIPD):
        pair = ((_TREATED, treated), (_CONTROL, control))
        arms, reference = {name: replace(arm, label=arm.label or name) for name, arm in pair}, _CONTROL
    elif isinstance(treated, Mapping) and isinstance(control, str):
        for name, arm in treated.items():
            if not isinstance(arm, PseudoIPD):
                raise InvalidInputError(
                    f"{name}: an arm comes from reconstruct_ipd; got {type(arm).__name__}."
                )
        _validate.choice(control, "control", treated)
        if len(treated) < 2:
            raise InvalidInputError(f"A comparison needs at least two arms; got only {control}.")
        arms, reference = {name: replace(arm, label=name) for name, arm in treated.items()}, control
    else:
        raise InvalidInputError(
            "compare_arms takes two arms from reconstruct_ipd, or a mapping of names to arms and the name of the "
            f"control; got {type(treated).__name__} and {type(control).__name__}."
        )
    first = arms[reference]
    for arm in arms.values():
        if arm.unit != first.unit:
            raise InvalidInputError(
                f"All arms must count time in one unit; {arm.label} does in {arm.unit}s, {first.label} in "
                f"{first.unit}s. Reconstruct both from times in one unit."
            )
    return arms, reference


def _by_arm(
    arms: Mapping[str, PseudoIPD],
    reference: str,
    ratio: PrintedRatio | Mapping[str, PrintedRatio] | None,
    pvalue: NumberLike | Mapping[str, NumberLike] | None,
    *,
    is_pair: bool,
) -> dict[str, tuple[PrintedRatio | None, NumberLike | None]]:
    """What is printed of each arm but the control."""
    if is_pair:
        return {_TREATED: (cast("PrintedRatio | None", ratio), cast("NumberLike | None", pvalue))}
    others = [name for name in arms if name != reference]
    for values, what in ((ratio, "printed_hr"), (pvalue, "printed_pvalue")):
        if values is not None and not isinstance(values, Mapping):
            raise InvalidInputError(
                f"With several arms {what} must be a mapping from their names; got {values!r:.60}."
            )
        for name in values or ():
            _validate.choice(name, f"{what}, an arm", others)
    ratios = ratio if isinstance(ratio, Mapping) else {}
    pvalues = pvalue if isinstance(pvalue, Mapping) else {}
    return {name: (ratios.get(name), pvalues.get(name)) for name in others}


def _times(
    arms: Sequence[PseudoIPD], horizon: float | None, landmarks: npt.ArrayLike | None
) -> tuple[float, FloatArray]:
    """Horizon and landmarks, all within the follow-up of every arm."""
    unit = arms[0].unit
    stop, first = min((_follow_up(arm.data), arm.label) for arm in arms)
    times = np.zeros(0) if landmarks is None else _validate.increasing_1d(landmarks, "landmarks")
    if horizon is None:
        tau = min(_last_at_risk(arm) for arm in arms)
        tau = tau if math.isfinite(tau) else max(float(arm.time[-1]) for arm in arms)
    else:
        (tau,) = _validate.positive_1d([horizon], "horizon").tolist()
    for name, time in (("horizon", tau), *(("landmark", float(t)) for t in times)):
        if time > stop:
            raise InvalidInputError(
                f"{first}: the {name} {time:g} lies beyond the follow-up, which ends at {stop:g} {unit}s. "
                "Choose one up to then."
            )
    return tau, times


def _follow_up(data: PseudoData) -> float:
    """The last time at which survival is known; infinite when it has fallen to 0."""
    last = data.time.max()
    return float(last) if (data.event[data.time == last] == 0).any() else math.inf


def _last_at_risk(arm: PseudoIPD) -> float:
    """Up to when survival is told by numbers at risk; by the curve if there are none or it falls to 0."""
    known = arm.table.time[(arm.table.n_at_risk > 0) & (arm.table.time > 0)]
    stop = _follow_up(arm.data)
    return float(min(known[-1], stop)) if known.size and math.isfinite(stop) else stop


# --- what comes out


def _compare(
    arms: tuple[PseudoIPD, PseudoIPD],
    draws: tuple[PseudoEnsemble, PseudoEnsemble],
    horizon: float,
    landmarks: FloatArray,
    printed: PrintedArms,
    constrain: bool,
) -> ArmComparison:
    where = f"{arms[0].label} against {arms[1].label}"
    alone = analyse_arms(stacked([arms[0].data]), stacked([arms[1].data]), horizon, landmarks)
    treated, control = stacked(draws[0].draws), stacked(draws[1].draws)
    allowed = analyse_arms(treated, control, horizon, landmarks)
    checks = check_printed(alone, allowed, printed, arms)
    wrong = [check for check in checks if not check.is_consistent]
    cautions = []
    if wrong:
        stated = _format.listing(f"{check.label} {check.printed}" for check in wrong)
        found = _format.listing(check.shown(check.reconstructed) for check in wrong)
        hint = f"; {wrong[0].hint}" if wrong[0].hint else ""
        text = f"the paper prints {stated}, but the figures give {found}{hint}"
        cautions.append(caution(InconsistentReportWarning, text, where=where, stacklevel=4))
    constraint = None
    if constrain and printed.label:
        constraint, places = agreeing_pairs(treated, control, printed)
        if constraint.was_used:
            draws = (_chosen(draws[0], places[:, 0]), _chosen(draws[1], places[:, 1]))
            allowed = analyse_arms(stacked(draws[0].draws), stacked(draws[1].draws), horizon, landmarks)
        else:
            cautions.append(caution(InconsistentReportWarning, str(constraint), where=where, stacklevel=4))
    cautions += _cautions(arms, landmarks, allowed, where)

    unit = arms[0].unit
    mean = f"mean up to {_format.shortest(horizon, 2)} {unit}s"

    def at_landmarks(
        name: str, kind: EffectKind, several: Estimates, one: Estimates
    ) -> tuple[ArmEffect, ...]:
        return tuple(
            arm_effect(
                f"survival at {_format.shortest(t, 2)} {unit}s, {name}",
                kind,
                column(several, i),
                column(one, i),
            )
            for i, t in enumerate(landmarks.tolist())
        )

    return ArmComparison(
        treated=arms[0],
        control=arms[1],
        treated_draws=draws[0],
        control_draws=draws[1],
        log_hr=arm_effect("hazard ratio", "ratio", Estimates(*allowed.cox), Estimates(*alone.cox)),
        log_rank=arm_log_rank(alone.log_rank, allowed.log_rank),
        trend=arm_effect("change of the log hazard ratio", "trend", allowed.trend, alone.trend),
        horizon=horizon,
        rmst_difference=arm_effect(
            f"{mean}, difference", "time", allowed.rmst_difference, alone.rmst_difference
        ),
        rmst_ratio=arm_effect(f"{mean}, ratio", "ratio", allowed.rmst_ratio, alone.rmst_ratio),
        landmarks=tuple(landmarks.tolist()),
        survival_difference=at_landmarks(
            "difference in points", "probability", allowed.survival_difference, alone.survival_difference
        ),
        survival_ratio=at_landmarks("ratio", "ratio", allowed.survival_ratio, alone.survival_ratio),
        checks=checks,
        constraint=constraint,
        warnings=tuple(cautions),
    )


def _chosen(ensemble: PseudoEnsemble, places: IntArray) -> PseudoEnsemble:
    return PseudoEnsemble(
        ensemble.label, tuple(ensemble.draws[i] for i in places.tolist()), ensemble.endpoint
    )


def _cautions(
    arms: tuple[PseudoIPD, PseudoIPD], landmarks: FloatArray, allowed: ArmAnalyses, where: str
) -> list[Caution]:
    found = []
    ratios, size = allowed.cox.log_hr, allowed.cox.log_hr.size
    infinite, flat = int(np.isinf(ratios).sum()), int(np.isnan(ratios).sum())
    if infinite:
        text = (
            f"in {infinite} of {size} data sets the likelihood of the hazard ratio has no maximum, since one arm has "
            "all the events while both are at risk; the interval is by profile likelihood, with one end open"
        )
        found.append(caution(BoundaryWarning, text, where=where, stacklevel=5))
    if flat:
        text = f"in {flat} of {size} data sets no event tells anything of the hazard ratio"
        found.append(caution(UnusableDataWarning, text, where=where, stacklevel=5))
    for name, effect in (
        ("restricted mean", allowed.rmst_difference),
        ("survival", allowed.survival_difference),
    ):
        lost = int(np.isnan(effect.estimate).reshape(size, -1).any(axis=1).sum())
        if lost:
            text = (
                f"in {lost} of {size} data sets follow-up ends before a time at which the {name} is asked for"
            )
            found.append(caution(UnusableDataWarning, text, where=where, stacklevel=5))
    for arm in arms:
        for t, s in zip(landmarks.tolist(), arm.survival(landmarks).tolist(), strict=True):
            if s == 1.0:
                text = f"nobody in {arm.label} has had an event at {t:g}, so its variance there is taken as 0"
                found.append(caution(NarrowIntervalWarning, text, where=where, stacklevel=5))
            elif s == 0.0:
                text = f"nobody in {arm.label} is left at {t:g}, so there is no variance there"
                found.append(caution(UnusableDataWarning, text, where=where, stacklevel=5))
    return found
