"""The hazard ratio of two groups from whatever a study prints of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from netsynth import _format, _validate
from netsynth._typing import Interval
from netsynth.arms import compare_arms
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import NumberLike
from netsynth.data.survival import ReportedSurvival, ReportedTime
from netsynth.errors import (
    Caution,
    InconsistentReportWarning,
    InvalidInputError,
    caution,
)
from netsynth.hazard_routes import figures
from netsynth.hazard_routes.checks import refuse_impossible
from netsynth.hazard_routes.choice import disagreement, every_route, ranked, with_distances
from netsynth.hazard_routes.doubts import doubts_of, far_ways, is_lopsided, said_of
from netsynth.hazard_routes.figures import ArmCurve, Counts, PrintedInterval, Test, TwoGroups
from netsynth.hazard_routes.quotes import quotes_of
from netsynth.hazard_routes.route import FROM_RATIO
from netsynth.results.arm_checks import PrintedRatio
from netsynth.results.curve import SurvivalCurve
from netsynth.results.hazard_ratio import (
    ADJUSTMENTS,
    ROUTES,
    Adjustment,
    HazardRatioEstimate,
    HazardRatioRoute,
    MissedRoute,
    Step,
)
from netsynth.results.ipd import PseudoIPD

__all__ = ["hazard_ratio"]

#: Arguments that say how to read others.
_NO_FIGURES: Final = ("level", "one_sided", "direction", "median_cis", "rmst_se")


def hazard_ratio(
    record: ReportedFactor | None = None,
    /,
    *,
    hazard_ratio: PrintedRatio | None = None,
    ci: PrintedInterval | None = None,
    level: float | None = None,
    pvalue: NumberLike | None = None,
    test: Test = "not stated",
    one_sided: bool = False,
    chi2: NumberLike | None = None,
    direction: str | None = None,
    observed: Sequence[NumberLike] | None = None,
    expected: Sequence[NumberLike] | None = None,
    o_minus_e: NumberLike | None = None,
    log_rank_variance: NumberLike | None = None,
    n_events: int | Sequence[int] | None = None,
    n_total: Sequence[int] | None = None,
    curves: Sequence[ArmCurve] | None = None,
    follow_up_months: tuple[float, float] | None = None,
    medians: Sequence[NumberLike | ReportedTime] | None = None,
    median_cis: Sequence[PrintedInterval | None] | None = None,
    rmst_difference: NumberLike | None = None,
    rmst_se: NumberLike | None = None,
    groups: tuple[str, str] = ("exposed", "reference"),
    hazard_ratio_for: str = "",
    adjusted: Adjustment = "none",
    covariates: Sequence[str] = (),
    label: str = "",
    source: str = "",
    rng: np.random.Generator | int | None = 0,
) -> HazardRatioEstimate:
    r"""Find the hazard ratio of two groups, by every way that what a study prints leaves.

    All ways are computed, the best is chosen, the others are kept beside it with their distance from the chosen one,
    and each says how it came from the print to its number. Pairs are of the exposed group and of the reference group,
    in this order; a log hazard ratio above 0 means that the exposed do worse. Give numbers as text to keep trailing
    zeros.

    Parameters
    ----------
    record : ReportedFactor, optional
        A result of a prognostic factor, alone: its adverse level is the exposed group. What is not stated in a record
        makes ways infeasible, never an error.
    hazard_ratio : str, float, sequence of three numbers or ReportedText, optional
        As printed, such as "0.49 (95% CI 0.38-0.64; p < 0.001)"; for `hazard_ratio_for` against the other group.
    ci : str, pair or ReportedInterval, optional
        Limits of the ratio where they do not stand in it: as printed, such as "1.20-2.85", "95% CI 1.20 to 2.85" or
        "(1,20; 2,85)", or the two of them. None or "not reached" for an open end. A decimal comma is read where a text
        cannot be read otherwise.
    level : float, optional
        Of the interval; by default what is printed, else 0.95. It must not contradict what is printed.
    pvalue : str, float or ReportedNumber, optional
        "<0.001" is a bound, and so is "0.000", which is below 0.0005. A decimal comma is read as in `ci`.
    test : {"log-rank", "Wald", "likelihood ratio", "not stated"}
        Whose p-value. That of the log-rank test is not adjusted even if the ratio is.
    one_sided : bool
        Whether the p-value is.
    chi2 : str, float or ReportedNumber, optional
        Log-rank statistic on one degree of freedom.
    direction : {"worse", "better"}, optional
        How the exposed do. A p-value or chi-squared has no side; without a ratio, O - E, O and E or a difference of
        means that has one, it must be given where nothing else tells a ratio; a chi-squared of 0 needs none.
        It must not contradict O - E.
    observed, expected : pair of numbers, optional
        Events of each group, and those expected by the log-rank test. Where their sums differ the test was one of more
        groups: then they tell the ratio of observed over expected, and the rest of the test nothing of these two.
        Expected numbers and V may be "0" as text, rounded, which leaves their ways undefined.
    o_minus_e, log_rank_variance : str, float or ReportedNumber, optional
        Observed less expected events of the exposed, and its variance V.
    n_events : int or pair of int, optional
        Events in both groups together, or in each.
    n_total : pair of int, optional
        Patients in each group.
    curves : pair of PseudoIPD, of SurvivalCurve or of ReportedSurvival, optional
        Survival of each group: digitised curves with their patients from `reconstruct_ipd`, or percentages at landmarks
        with their numbers at risk.
    follow_up_months : (float, float), optional
        Shortest and longest follow-up, for percentages without numbers at risk.
    medians : pair of numbers or ReportedTime, optional
        Median survival of each group in one unit.
    median_cis : pair of str, pair or ReportedInterval, optional
        Their intervals, where `medians` are numbers, each as `ci`; of 95% where no level is printed.
    rmst_difference, rmst_se : str, float or ReportedNumber, optional
        Restricted mean of the exposed less that of the reference, and its standard error. They give a direction, and
        with the number of events an approximate ratio; they do not tell a ratio by themselves.
    groups : (str, str)
        Names of the exposed and of the reference group.
    hazard_ratio_for : str
        The group that the printed ratio speaks of; by default the exposed.
    adjusted : {"none", "minimal", "full", "not stated"}
        What the printed ratio and its p-value are adjusted for. Adjusted p-values never go through formulas of the
        log-rank test.
    covariates : sequence of str
        Adjusted for.
    label : str
        What is compared, for texts.
    source : str
        Where it is printed, such as "p. 14, Table 2".
    rng : Generator, int or None
        Random numbers for `compare_arms`, or a seed for them.

    Returns
    -------
    HazardRatioEstimate
        Without any way its estimate is nan and `problem` says why.

    Raises
    ------
    InvalidInputError
        If nothing is given, a number cannot be read or cannot be right (a p-value of 0, a ratio for a group that is
        neither), both groups are one, a direction is missing without which there is no way, or numbers contradict each
        other. Figures of the log-rank test that no patients can give are an `ImpossibleReportError`, which is one.

    Warns
    -----
    BoundaryWarning
        The p-value is a bound, and only the end of the ratio nearest to 1 is known; that end is the estimate.
    ImputedVarianceWarning
        The standard error rests on a p-value printed as a bound, and is too large.
    InconsistentReportWarning
        The ways disagree, observed and expected events have different sums, the interval is not symmetric for the
        logarithm or too narrow for the events, the ratio contradicts the direction, or a test is stronger than so few
        events allow.
    UnusableDataWarning
        A test was left out, since nothing says which group does worse.

    Notes
    -----
    Each way r has a sampling variance :math:`v_r`, a variance of rounding, and a method error :math:`\varepsilon_r^2`,
    the mean square of its difference from Cox's fit of the same patients in simulated trials. Among the ways that give
    the ratio asked for the one with the least sum is chosen. All ways use the same patients, so none knows more than
    the most direct one: :math:`v_r` counts as at least the variance of that. Sums within a factor of 1.5 are ties, and
    the more direct way wins. Ways are never averaged. The disagreement is
    :math:`\sum_r (\hat\theta_r - \hat\theta)^2 / (\varepsilon_r^2 + \varepsilon^2 + \text{rounding})` over the best way
    of each other source: sampling moves all alike. The formulas are those of Parmar [1]_ and Tierney [2]_.

    References
    ----------
    .. [1] Parmar MKB, Torri V, Stewart L (1998). Extracting summary statistics to perform meta-analyses of the
       published literature for survival endpoints. Stat Med 17:2815-2834.
       https://doi.org/10.1002/(SICI)1097-0258(19981230)17:24<2815::AID-SIM110>3.0.CO;2-8
    .. [2] Tierney JF, Stewart LA, Ghersi D, Burdett S, Sydes MR (2007). Practical methods for incorporating
       summary time-to-event data into meta-analysis. Trials 8:16. https://doi.org/10.1186/1745-6215-8-16

    Examples
    --------
    A trial that prints a log-rank p-value, the events, and which arm lived longer:

    >>> print(hazard_ratio(pvalue="0.07", n_events=483, direction="better", groups=("chemotherapy", "control")))
    hazard ratio of chemotherapy against control 0.85 (95% CI 0.71–1.01), adjusted: none
      from p = 0.07, 483 events, said to do better, by p-value and events
        as given: pvalue "0.07", n_events 483, direction "better"
        z of p = 0.07, two-sided, chemotherapy said to do better: -1.812
        V of the log-rank test from 483 events: 120.8
        log hazard ratio: -0.1649
        its variance of sampling: 0.008282
      standard error 0.091: sampling 0.091, rounding 0.002, method 0.009
    """
    arguments = {
        "hazard_ratio": hazard_ratio, "ci": ci, "level": level, "pvalue": pvalue, "one_sided": one_sided, "chi2": chi2,
        "direction": direction, "observed": observed, "expected": expected, "o_minus_e": o_minus_e,
        "log_rank_variance": log_rank_variance, "n_events": n_events, "n_total": n_total, "curves": curves,
        "follow_up_months": follow_up_months, "medians": medians, "median_cis": median_cis,
        "rmst_difference": rmst_difference, "rmst_se": rmst_se,
    }  # fmt: skip
    is_given = any(value is not None for name, value in arguments.items() if name not in _NO_FIGURES)
    if record is not None:
        if not isinstance(record, ReportedFactor) or is_given:
            beside = " beside keyword arguments" if is_given else ""
            raise InvalidInputError(
                "hazard_ratio takes one ReportedFactor alone, or keyword arguments; got "
                f"{type(record).__name__}{beside}."
            )
        return _estimate(figures.from_record(record), None, [])
    if not is_given:
        raise InvalidInputError(
            "hazard_ratio needs something that a study prints: a ratio, a test, events, curves, medians or means."
        )
    where = label or "hazard_ratio"
    _validate.choice(adjusted, "adjusted", ADJUSTMENTS, where=where)
    _validate.choice(test, "test", figures.TESTS, where=where)
    exposed, reference = _groups(groups, where)
    if hazard_ratio_for and hazard_ratio_for not in (exposed, reference):
        raise InvalidInputError(
            f"{where}: the hazard ratio is for {hazard_ratio_for!r}, which is neither {exposed!r} nor {reference!r}. "
            "Name one of groups."
        )
    if level is not None:
        with figures.at(where, "level"):
            level = _validate.level(level)
    ratio, interval, p = figures.printed_ratio(hazard_ratio, ci, level, where)
    if pvalue is not None:
        p = figures.printed_pvalue(pvalue, where)
    total, events = _events(n_events, where)
    arms = None if curves is None else _arms(curves, where)
    points = None if arms is None else figures.curve_points(arms, (exposed, reference))
    given = TwoGroups(
        label=label,
        source=source,
        quotes=quotes_of(arguments),
        exposed=exposed,
        reference=reference,
        ratio=ratio,
        ci=interval,
        is_inverted=hazard_ratio_for == reference,
        adjusted=adjusted,
        covariates=tuple(_validate.text(word, "covariates", where=where) for word in covariates),
        pvalue=p,
        test=test,
        one_sided=one_sided,
        chi2=None if chi2 is None else figures.exact(chi2, "chi2", where, least=0.0),
        observed=None if observed is None else figures.numbers(observed, "observed", where),
        expected=None if expected is None else figures.numbers(expected, "expected", where, positive=True),
        excess=None if o_minus_e is None else figures.exact(o_minus_e, "o_minus_e", where),
        information=None
        if log_rank_variance is None
        else figures.exact(
            log_rank_variance, "log_rank_variance", where, positive=True, may_round_to_zero=True
        ),
        n_events=total,
        events=events,
        patients=None if n_total is None else figures.counts(n_total, "n_total", where, minimum=1),
        arms=arms if arms is not None and isinstance(arms[0], PseudoIPD) else None,  # type: ignore[arg-type]
        curves=None if isinstance(points, str) else points,
        apart=points if isinstance(points, str) else "",
        follow_up=None if follow_up_months is None else _follow_up(follow_up_months, where),
        medians=None if medians is None else figures.median_pair(medians, median_cis, where),
        mean_difference=None
        if rmst_difference is None
        else figures.exact(rmst_difference, "rmst_difference", where),
        mean_se=None if rmst_se is None else figures.exact(rmst_se, "rmst_se", where, positive=True),
    )
    given = _with_side(_with_counts(given, arms), direction)
    refuse_impossible(given)
    return _estimate(given, rng, doubts_of(given))


# --- what goes in


def _groups(groups: object, where: str) -> tuple[str, str]:
    pair = figures.pair_of(groups, "groups", where)
    exposed, reference = (_validate.text(name, "groups", where=where) for name in pair)
    if " ".join(exposed.split()).casefold() == " ".join(reference.split()).casefold():
        raise InvalidInputError(
            f"{where}: both groups are {exposed!r}, which compares nothing. Give two names, the exposed group first."
        )
    return exposed, reference


def _events(n_events: int | Sequence[int] | None, where: str) -> tuple[int | None, Counts | None]:
    if n_events is None:
        return None, None
    if isinstance(n_events, Sequence | np.ndarray):
        pair = figures.counts(n_events, "n_events", where)
        return pair.total, pair
    return _validate.count(n_events, "n_events", where=where), None


def _arms(curves: Sequence[ArmCurve], where: str) -> tuple[ArmCurve, ArmCurve]:
    first, second = figures.pair_of(curves, "curves", where)
    for kind in (PseudoIPD, SurvivalCurve, ReportedSurvival):
        if isinstance(first, kind) and isinstance(second, kind):
            endpoints = [each.endpoint.code for each in (first, second) if isinstance(each, ReportedSurvival)]
            if len(set(endpoints)) > 1:
                raise InvalidInputError(
                    f"{where}: both curves must be of one endpoint; got {_format.listing(endpoints)}."
                )
            return first, second
    raise InvalidInputError(
        f"{where}: curves must be two results of reconstruct_ipd, two of reconstruct_survival, or two "
        f"ReportedSurvival; got {type(first).__name__} and {type(second).__name__}."
    )


def _follow_up(months: tuple[float, float], where: str) -> tuple[float, float]:
    pair = figures.pair_of(months, "follow_up_months", where)
    low, high = (figures.exact(x, "follow_up_months", where, least=0.0).value for x in pair)  # type: ignore[arg-type]
    if not low < high:
        raise InvalidInputError(
            f"{where}: follow_up_months must be the shortest and the longest follow-up, 0 or more; got {months!r}."
        )
    return low, high


def _with_counts(given: TwoGroups, arms: tuple[ArmCurve, ArmCurve] | None) -> TwoGroups:
    """Patients and events of each group from O and from what the curves say, where they were not given."""
    sizes, events = given.patients, given.events
    if arms is not None and not isinstance(arms[0], SurvivalCurve):
        sizes = sizes or _pair([each.n_total for each in arms])
        if given.n_events is None:
            printed = [_printed_events(each) for each in arms]
            events = events or _pair(printed)
    if events is None and given.n_events is None and given.observed is not None:
        observed = [each.value for each in given.observed]
        if all(o == int(o) for o in observed):
            events = Counts(*map(int, observed))
    if events is not None and sizes is not None:
        for name, d_one, n_one in zip((given.exposed, given.reference), events, sizes, strict=True):
            if d_one > n_one:
                raise InvalidInputError(
                    f"{given.where}: {_format.plural(d_one, 'event')} among {_format.plural(n_one, 'patient')} of "
                    f"{name}. Check both numbers."
                )
    total = events.total if events is not None else given.n_events
    if total is not None and sizes is not None and total > sizes.total:
        raise InvalidInputError(
            f"{given.where}: {_format.plural(total, 'event')} among {sizes.total} patients. Check both numbers."
        )
    return replace(given, events=events, patients=sizes, n_events=total)


def _pair(counts: Sequence[int | None]) -> Counts | None:
    first, second = counts
    return None if first is None or second is None else Counts(first, second)


def _printed_events(curve: ArmCurve) -> int | None:
    if isinstance(curve, PseudoIPD):
        return curve.n_events_printed
    return curve.n_events if isinstance(curve, ReportedSurvival) else None


def _with_side(given: TwoGroups, direction: str | None) -> TwoGroups:
    """Which group does worse, and what says so: the caller, else the first number that has a side."""
    if direction is not None:
        _validate.choice(direction, "direction", ("worse", "better"), where=given.where)
        return replace(given, direction=1 if direction == "worse" else -1, side=f"said to do {direction}")
    excess = math.nan
    by = "O - E"
    if given.excess is not None and not given.has_more_groups:
        excess = given.excess.value
    elif given.observed is not None and given.expected is not None:
        (o, e), (other_o, other_e) = (
            (x.value, y.value) for x, y in zip(given.observed, given.expected, strict=True)
        )
        excess = o - e
        if given.has_more_groups:  # O - E is against all groups then
            excess, by = o * other_e - other_o * e, "O / E"
    means = math.nan if given.mean_difference is None else -given.mean_difference.value
    sides = ((float(given.ratio_side), "the ratio"), (excess, by), (means, "the restricted means"))
    for value, words in sides:
        if value and not math.isnan(value):
            worse = "worse" if value > 0 else "better"
            return replace(given, direction=1 if value > 0 else -1, side=f"doing {worse} by {words}")
    return given


# --- the choice


def _estimate(
    given: TwoGroups, rng: np.random.Generator | int | None, doubts: Sequence[str]
) -> HazardRatioEstimate:
    routes, missed = every_route(given)
    cautions: list[Caution] = []
    if given.arms is not None:
        found, said = _reconstructed(given.arms, rng, given.where)
        cautions += said
        if isinstance(found, MissedRoute):
            missed.append(found)
        else:
            routes.append(found)
    else:
        missed.append(MissedRoute("reconstructed patients", "no digitised curves of both groups are given"))
    needs_side = [each for each in missed if each.reason in (figures.NO_SIDE, given.no_side)]
    if needs_side and not routes and not given.is_record:
        what = needs_side[0].name.split()[0].removesuffix(",")
        raise InvalidInputError(
            f"{given.where}: a {what} does not say which group does worse. Give direction='worse' if {given.exposed} "
            f"did worse than {given.reference}, or direction='better'; nothing is assumed."
        )
    order = list(ROUTES)
    missed.sort(key=lambda each: order.index(each.name))
    best_first = ranked(routes)
    total, df, apart = disagreement(best_first)
    far = far_ways(best_first, total, df, apart)
    result = HazardRatioEstimate(
        label=given.label,
        exposed=given.exposed,
        reference=given.reference,
        adjusted=_adjusted(given, best_first),
        covariates=given.covariates if best_first and best_first[0].is_adjusted else (),
        routes=tuple(with_distances(best_first)),
        missed=tuple(missed),
        disagreement=total,
        disagreement_df=df,
        disagrees=bool(far),
        is_lopsided=is_lopsided(given),
        problem="" if best_first else _problem(given, missed),
        source=given.source,
        row_id=given.row_id,
    )
    worded = [*((InconsistentReportWarning, words) for words in doubts), *said_of(given, result, far)]
    for kind, words in worded:
        cautions.append(caution(kind, words, where=given.where, stacklevel=4))
    return replace(result, warnings=tuple(cautions))


def _reconstructed(
    arms: tuple[PseudoIPD, PseudoIPD], rng: np.random.Generator | int | None, where: str
) -> tuple[HazardRatioRoute | MissedRoute, list[Caution]]:
    """Cox's fit of patients reconstructed from digitised curves."""
    with figures.at(where, "curves"):
        found = compare_arms(*arms, rng=rng)
    effect, said = found.log_hr, list(found.warnings)
    if not math.isfinite(effect.se):
        why = "one group has all the events, so the ratio is infinite or 0 in some of the data sets"
        return MissedRoute("reconstructed patients", why), said
    total, reading = effect.se**2, effect.reporting_loss * effect.se**2
    reach = 1.96 * math.sqrt(reading)
    names = _format.listing(f"curve of {arm.label}" if arm.label else "curve" for arm in arms)
    route = HazardRatioRoute(
        name="reconstructed patients",
        verbatim="",
        printed=f"{names}, {arms[0].n_total} and {arms[1].n_total} patients",
        log_hr=effect.estimate,
        variance=total - reading,
        rounding_variance=0.0,
        method_variance=reading,
        log_hr_interval=Interval(effect.estimate - reach, effect.estimate + reach),
        variance_interval=Interval(total - reading, total - reading),
        is_adjusted=False,
        bound="",
        steps=(
            Step("log hazard ratio of the reconstructed patients alone", effect.reconstructed),
            Step("log hazard ratio over the data sets that the figures allow", effect.estimate),
            Step("share of its variance that comes from reading figures", effect.reporting_loss),
        ),
        assumptions=("the curves were read as exactly as the reconstruction says",),
    )
    return route, said


def _adjusted(given: TwoGroups, best_first: Sequence[HazardRatioRoute]) -> Adjustment:
    if best_first and best_first[0].name not in FROM_RATIO and given.adjusted != "not stated":
        return "none"
    return given.adjusted


def _problem(given: TwoGroups, missed: Sequence[MissedRoute]) -> str:
    """What each of the figures that were given lacks."""
    reasons = {each.name: each.reason for each in missed}
    found = []
    if given.ratio is not None:
        is_ratio = math.isfinite(given.log_ratio)
        if is_ratio and given.ci is not None:
            found.append(f"its interval {given.ci} tells no standard error")
        if given.pvalue is not None or not is_ratio:
            found.append(reasons["p-value"])
        elif not found:
            found.append("it has neither a confidence interval nor a p-value")
    elif given.chi2 is not None:
        found.append(reasons["chi-squared and events"])
    elif given.pvalue is not None:
        found.append(reasons["p-value and events"])
    if given.mean_difference is not None:
        found.append(reasons["restricted means"])
    if given.medians is not None:
        found.append(reasons["medians"])
    if given.excess is not None or (given.observed is not None and given.expected is not None):
        found.append(reasons["observed minus expected"])
    if given.expected is not None and (given.has_more_groups or 0 in [e.value for e in given.expected]):
        found.append(reasons["observed over expected"])
    if given.arms is not None:
        found.append(reasons["reconstructed patients"])
    elif given.curves is not None or given.apart:
        found.append(reasons["landmarks"])
    return "; ".join(dict.fromkeys(found)) or "no ratio is printed, nor figures that tell one"
