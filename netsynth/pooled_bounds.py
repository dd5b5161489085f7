"""Pooled survival without assumptions: what the printed figures alone leave possible."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, get_args

import numpy as np

from netsynth import _format, _validate
from netsynth._landmark import Landmark, read_landmark
from netsynth._typing import FloatArray
from netsynth.curve_methods.asked import share
from netsynth.curve_methods.reports import as_review
from netsynth.data.endpoint import Endpoint
from netsynth.data.review import Review
from netsynth.data.selection import Candidate, OverlapRule
from netsynth.data.study import Role
from netsynth.data.survival import ReportedSurvival
from netsynth.errors import Caution, InvalidInputError, UnusableDataWarning, caution
from netsynth.kernels.bounds import Envelope, envelope, is_possible, survival_bounds
from netsynth.kernels.pooled_bounds import Box, mixture, paule_mandel_limits
from netsynth.kernels.scales import MEASURES, SurvivalMeasure
from netsynth.kernels.survival_variance import MATURITY, variance_bounds
from netsynth.pool import pool_effects
from netsynth.results.pooled import PooledEffect
from netsynth.results.pooled_bounds import PooledBounds

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["bound_pooled_survival"]

Data: TypeAlias = "Review | ReportedSurvival | Sequence[ReportedSurvival] | Mapping[str, Any] | pd.DataFrame"

#: Places between the limits of a study that does not print the landmark at which its variance is looked at.
_INSIDE: Final = 65
_SAME: Final = 1.01  # limits of a variance nearer than this differ by rounding only


class _Effects(NamedTuple):
    """Limits of effects and variances on the scale of pooling; studies that do not print the landmark come last."""

    lower: FloatArray
    upper: FloatArray
    variance_low: FloatArray
    variance_high: FloatArray


def bound_pooled_survival(
    data: Data,
    endpoint: str | Endpoint = "OS",
    *,
    times_months: Sequence[float] | None = None,
    measure: SurvivalMeasure = "cloglog_survival",
    least_maturity: float = 0.0,
    silent: bool = False,
    sets: Sequence[str] | None = None,
    roles: Sequence[Role] = ("overall", "arm"),
    overlap: OverlapRule = "largest",
    maturity: float = MATURITY,
) -> PooledBounds:
    r"""Limits of pooled survival at landmarks when nothing is assumed of what is not printed.

    Parameters
    ----------
    data : Review, reports, data frame or mapping
        The studies, as `pool_survival` takes what reports print. Numbers of patients must be whole here.
    endpoint : str or Endpoint
        Which endpoint.
    times_months : sequence of float, optional
        Landmarks; by default those that two studies or more report.
    measure : {"cloglog_survival", "logit_survival", "log_survival", "arcsine_survival"}
        Scale of pooling.
    least_maturity : float
        Share of the survivors who are under observation at the landmark at least, in [0, 1], in studies that print
        neither a confidence interval nor a number at risk. By default one patient is, which is all that a printed
        percentage shows; raise it to see how much rests on it.
    silent : bool
        Whether studies that report the endpoint at other times only come in with what those leave possible: survival
        is at most what it was before and at least what it is later. Their numbers of patients must be known.
    sets, roles, overlap
        How one value a study is chosen, as in `Review.select_survival`.
    maturity : float
        For the imputed answer that is set beside the limits, as in `pool_landmark`.

    Returns
    -------
    PooledBounds
        The limits, an interval around them, the imputed answer, and limits of the average curve of all patients.

    Raises
    ------
    InvalidInputError
        If no study reports the endpoint at a landmark in a way that can be pooled, `measure` is not one of those
        above, or a maturity is not a share.

    Warns
    -----
    UnusableDataWarning
        If figures of one study contradict each other: survival that rises leaves it out of the average curve, and a
        number at risk larger than n and survival leave is taken as not printed. If the number of patients is not known,
        without which 0 and 100% cannot be pooled. If a column has an unknown name that is near to a known one.

    Notes
    -----
    With n patients of whom m are still at risk the variance of a survival S lies between :math:`S(1-S)/n` and
    :math:`S^2(1-S)/m`; m is at least 1, and at least `least_maturity` of nS. A percentage without any number of
    patients has a variance anywhere from 0 to infinity. The pooled mean :math:`\sum w_i y_i / \sum w_i` is largest when
    the studies above it are as heavy as they can be and those below as light. The Paule-Mandel estimate of tau2 falls
    when any variance rises, so its limits are its values at both ends; the mean is taken over all tau2 between them. So
    every pooled survival, and every interval, that any true variances would give with this estimator lies within the
    limits.

    The average curve is :math:`\sum n_i S_i(t) / \sum n_i` over the studies with known size; each lies within its sharp
    bounds. It answers what happened to these patients, not what happens in a typical study.

    Examples
    --------
    >>> from netsynth.datasets import load_nethm
    >>> found = bound_pooled_survival(load_nethm(), "OS", times_months=[60], sets=["core"])
    >>> lower, upper = found.survival
    >>> print(f"5-year OS between {lower[0]:.0%} and {upper[0]:.0%}, k = {found.k[0]}")
    5-year OS between 48% and 79%, k = 12

    The same of columns:

    >>> columns = {
    ...     "study": ["Adams", "Brown", "Chen"],
    ...     "time_months": [60, 60, 60],
    ...     "survival": [0.73, 0.47, 0.71],
    ...     "n_total": [60, 40, 80],
    ... }
    >>> bound_pooled_survival(columns, "OS").k
    array([3])
    """
    maturity = share(maturity, "maturity")
    least_maturity = share(least_maturity, "least_maturity", above=False)
    _validate.choice(measure, "measure", get_args(SurvivalMeasure), where="bound_pooled_survival")
    review, doubts = as_review(data, endpoint, sets=sets)
    wanted = review.endpoint(endpoint)

    def chosen(months: float) -> tuple[Candidate, ...]:
        return review.select_survival(wanted, months, sets=sets, roles=roles, overlap=overlap).chosen

    by_time = {months: chosen(months) for months in review.landmarks(wanted)}
    if times_months is None:
        times = [months for months, found in by_time.items() if len(found) > 1]
    else:
        times = sorted(_validate.finite_1d(times_months, "times_months").tolist())
    for months in times:
        by_time.setdefault(months, chosen(months))
    if not times or not all(by_time[months] for months in times):
        printed = [f"{months:g}" for months, found in by_time.items() if found]
        told = f"reported are {_format.listing(printed)} months" if printed else "none is reported"
        if not times and printed:
            raise InvalidInputError(
                f"{wanted.code}: no two studies report the same landmark; {told}. Name the ones you want as "
                "times_months, for limits from one study alone or, with silent=True, from all."
            )
        empty = _format.listing(f"{months:g}" for months in times if not by_time[months])
        raise InvalidInputError(
            f"{wanted.code}: no study reports it at {f'{empty} months' if empty else 'any landmark'}; {told}."
        )
    said = [caution(kind, message, where=wanted.code) for kind, message in doubts]
    curves, cautions = _envelopes(review, by_time)
    cautions = [*said, *cautions]
    sizes = {c.study: c.n_total for found in by_time.values() for c in found if c.n_total}

    rows, tau2, counts, imputed = [], [], [], []
    for months in times:
        found, read = _placed(review, by_time[months], months, maturity, cautions, wanted.code)
        known = [_known_better(x, c.n_total, least_maturity) for x, c in zip(read, found, strict=True)]
        printing = {candidate.study for candidate in by_time[months]}
        absent = [study for study in curves if silent and study not in printing and study in sizes]
        reported = _reported(known, measure)
        others = [_silent(curves[s], sizes[s], months, measure, least_maturity) for s in absent]
        effects = [np.append(*pair) for pair in zip(reported, np.array(others).reshape(-1, 4).T, strict=True)]
        rows.append(effects)
        tau2.append(paule_mandel_limits(*effects))
        unknown = sum(x.variance_upper > _SAME * x.variance_lower for x in known) + len(absent)
        counts.append((len(read) + len(absent), len(absent), unknown))
        imputed.append(None if absent else _imputed(review, found, read, measure))

    box = Box(*_dense(rows), *np.array(tau2).T)
    sized = [study for study in curves if study in sizes]
    patients = np.array([float(sizes[study]) for study in sized])
    unsized = [study for study in curves if study not in sizes]
    if unsized:
        message = f"not in the average curve, for want of a number of patients: {_format.listing(unsized)}"
        cautions.append(caution(UnusableDataWarning, message, where=wanted.code))
    average = mixture([curves[study] for study in sized], patients / max(patients.sum(), 1.0))
    k, k_silent, k_unknown = np.array(counts).T
    time = np.array(times)
    for array in (time, k, k_silent, k_unknown, *box, *average):
        array.setflags(write=False)
    return PooledBounds(
        wanted.code,
        measure,
        time,
        least_maturity,
        box,
        k,
        k_silent,
        k_unknown,
        tuple(imputed),
        average,
        tuple(review.study(study).label for study in sized),
        int(patients.sum()),
        tuple(cautions),
    )


def _envelopes(
    review: Review, by_time: dict[float, tuple[Candidate, ...]]
) -> tuple[dict[str, Envelope], list[Caution]]:
    """Limits of each study's survival from the figures that were chosen; contradictory ones are left out."""
    points: dict[str, list[tuple[float, float, float]]] = {}
    for months, found in by_time.items():
        for candidate in found:
            i, j = candidate.record
            record = review.survival[i]
            limits = float(record.survival_lower[j]), float(record.survival_upper[j])
            points.setdefault(candidate.study, []).append((months, *limits))
    curves, cautions = {}, []
    for study, rows in points.items():
        time, lower, upper = np.array(rows).T
        curve = envelope(time, lower, upper)
        if is_possible(curve):
            curves[study] = curve
        else:
            message = "survival rises between the figures chosen; not in the average curve"
            cautions.append(caution(UnusableDataWarning, message, where=review.study(study).label))
    return curves, cautions


def _placed(
    review: Review,
    chosen: tuple[Candidate, ...],
    months: float,
    maturity: float,
    cautions: list[Caution],
    code: str,
) -> tuple[list[Candidate], list[Landmark]]:
    """Figures that have a place on the scale; 0 and 100% need a number of patients to be moved by half of one."""
    found, read, without = [], [], []
    for candidate in chosen:
        landmark = read_landmark(review, candidate, months, maturity)
        label = review.study(candidate.study).label
        for message in landmark.not_used:
            if not any(
                (said.where, said.message) == (label, message) for said in cautions
            ):  # once, not each time
                cautions.append(caution(UnusableDataWarning, message, where=label, stacklevel=4))
        if 0 < landmark.survival < 1:
            found.append(candidate)
            read.append(landmark)
        else:
            without.append(candidate.study)
    where = f"{code} at {months:g} months"
    if not found:
        raise InvalidInputError(f"{where}: every study prints 0 or 100% without its number of patients.")
    if without:
        message = f"0 or 100% without a number of patients cannot be pooled: {_format.listing(without)}"
        cautions.append(caution(UnusableDataWarning, message, where=where, stacklevel=4))
    return found, read


def _known_better(read: Landmark, n_total: int | None, least_maturity: float) -> Landmark:
    """The limits of the variance when at least this share of the survivors is under observation."""
    if read.route != "imputed" or not n_total or not least_maturity:
        return read
    least = max(1.0, least_maturity * n_total * read.survival)
    most = max(read.variance_lower, float(variance_bounds(read.survival, n_total, least).upper))
    return read._replace(variance_upper=min(read.variance_upper, most))


def _reported(read: list[Landmark], measure: SurvivalMeasure) -> _Effects:
    scale = MEASURES[measure]
    survival, low, high = np.array([(x.survival, x.variance_lower, x.variance_upper) for x in read]).T
    slope, effect = scale.derivative(survival) ** 2, scale.to_scale(survival)
    return _Effects(effect, effect, low * slope, high * slope)


def _silent(
    curve: Envelope, n: int, months: float, measure: SurvivalMeasure, least_maturity: float
) -> tuple[float, float, float, float]:
    """What the other times of a study leave possible at this one, at least half a patient from 0 and 1."""
    scale = MEASURES[measure]
    found = survival_bounds(curve, np.array([months]))
    ends = np.array([min(max(float(end[0]), 0.5 / (n + 1)), (n + 0.5) / (n + 1)) for end in found])
    survival = np.linspace(ends[0], ends[1], _INSIDE)
    slope = scale.derivative(survival) ** 2
    limits = variance_bounds(survival, n, np.maximum(1.0, least_maturity * n * survival))
    low, high = np.sort(scale.to_scale(ends)).tolist()
    return low, high, float((slope * limits.lower).min()), float((slope * limits.upper).max())


def _dense(rows: list[list[FloatArray]]) -> list[FloatArray]:
    """Columns of shape (m, q); where there is no study the variance is infinite, so that its weight is 0."""
    most = max(row[0].size for row in rows)
    columns = []
    for j, fill in enumerate((0.0, 0.0, math.inf, math.inf)):
        column = np.full((len(rows), most), fill)
        for row, values in zip(column, (r[j] for r in rows), strict=True):
            row[: values.size] = values
        columns.append(column)
    return columns


def _imputed(
    review: Review, chosen: list[Candidate], read: list[Landmark], measure: SurvivalMeasure
) -> PooledEffect | None:
    """The same estimator with the imputed variances."""
    use = [i for i, x in enumerate(read) if math.isfinite(x.variance)]
    if not use:
        return None
    survival = np.array([read[i].survival for i in use])
    scale = MEASURES[measure]
    se = np.sqrt([read[i].variance for i in use]) * np.abs(scale.derivative(survival))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are about an answer that stands here for comparison only
        return pool_effects(
            scale.to_scale(survival),
            se=se,
            measure=measure,
            tau2_method="PM",
            study=[review.study(chosen[i].study).label for i in use],
        )
