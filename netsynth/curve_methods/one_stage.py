"""All patients of all studies in one fit: the weighted average curve, and Cox's model with effects of the studies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from netsynth import _format
from netsynth._parallel import map_chunks
from netsynth._typing import FloatArray
from netsynth.curve_methods.asked import Answer, Asked, frozen, frozen_counts, some
from netsynth.curve_methods.patients import (
    Patients,
    StudyPatients,
    grid_between,
    informing,
    study_curves,
)
from netsynth.curve_methods.reports import Doubt
from netsynth.errors import (
    BoundaryWarning,
    FewStudiesWarning,
    InvalidInputError,
    NarrowIntervalWarning,
    UnusableDataWarning,
)
from netsynth.kernels import rubin
from netsynth.kernels.averaged import average, nodes
from netsynth.kernels.frailty import baseline_at, fit_frailty
from netsynth.kernels.product_limit import product_limit, survival_at
from netsynth.results.ensemble import PseudoData
from netsynth.results.pooled_curve import CurveMethod, CurveScale, PooledCurve

#: Times at which a curve is estimated when none are asked for.
_TIMES: Final = 100
_FEW: Final = 5  # studies below which what they differ by is hardly known


class Combined(NamedTuple):
    """One answer from those of b data sets: estimate (m,), covariance (m, m), and the largest share from reporting."""

    estimate: FloatArray
    covariance: FloatArray
    loss: float


def combine(estimate: FloatArray, covariance: FloatArray) -> Combined:
    """Rubin's rules for estimates (b, m) and covariances (b, m, m); of one data set its own answer."""
    if len(estimate) == 1:
        return Combined(estimate[0], covariance[0], 0.0)
    found = rubin.combine(estimate, covariance)
    return Combined(found.estimate, found.total, float(np.nanmax(found.loss, initial=0.0)))


def in_words(loss: float, n_draws: int) -> str:
    """What the data sets of reconstructed studies add to the name of a model."""
    if n_draws == 1:
        return ""
    share = f"up to {100 * loss:.0f}%" if loss >= 0.01 else "less than 1%"
    return f", {n_draws} data sets, {share} of the variance from reporting"


def pool_stratified(patients: Patients, asked: Asked, /) -> Answer:
    r"""The mean of the studies' Kaplan-Meier curves, weighted by their patients, while all are at risk.

    :math:`\bar S = \sum (n_i / N) S_i`, with the variance :math:`\sum (n_i / N)^2 S_i^2 G_i` of Greenwood's sums.
    """
    if asked.effects == "slope":
        raise InvalidInputError(_no_slope("stratified"))
    studies = patients.studies
    end = min(study.end for study in studies)
    first = min(study.first_event for study in studies)
    _check_events(studies, str(patients.endpoint))
    if first > end:
        raise InvalidInputError(
            f"{patients.endpoint}: nobody has the event before the first study ends, at {end:g} months. Use "
            "method='cox', which goes on with the others."
        )
    times = grid_between(studies, first, end, _TIMES) if asked.times is None else asked.times
    doubts = list(patients.doubts)
    if times[-1] > end * (1.0 + 1e-9):
        ends = [study.name for study in studies if study.end <= end * (1.0 + 1e-9)]
        if times[0] > end * (1.0 + 1e-9):
            raise InvalidInputError(
                f"times_months must begin by {end:g} months, when nobody of {some(ends)} is followed any more: an "
                f"average of all studies ends there. Got {times[0]:g}. Use method='cox' or 'curves', which go on with "
                "the others."
            )
        message = (
            f"the average ends at {end:g} months, when nobody of {some(ends)} is followed any more: without it, it "
            "would be one of other studies. Method 'cox' or 'curves' go on with the others."
        )
        doubts.append((UnusableDataWarning, message))
        times = np.unique(np.append(times[times < end], end))
    total = sum(study.n_total for study in studies)
    mean = np.zeros((patients.n_draws, times.size))
    variance = np.zeros((patients.n_draws, times.size, times.size))
    for study in studies:
        found = survival_at(product_limit(study.time, study.event), times)
        share = study.n_total / total
        mean += share * found.estimate
        spread = np.where(found.estimate > 0, found.variance, 0.0)  # after the last patient nothing varies
        spread = np.minimum(spread[:, :, None], spread[:, None, :])
        variance += share**2 * spread * found.estimate[:, :, None] * found.estimate[:, None, :]
    alive = (mean > 0).all(axis=0)
    times, mean, variance = times[alive], mean[:, alive], variance[:, alive][:, :, alive]
    combined = combine(np.log(mean), variance / (mean[:, :, None] * mean[:, None, :]))
    doubts.append(
        (
            NarrowIntervalWarning,
            "a weighted average of the curves of these studies, no pooled curve: its limits are of these studies as "
            "they are, and how much studies differ is not in them.",
        )
    )
    model = "weighted average curve, each study as its patients"
    curve = _curve(
        patients, times, "stratified", model, "log", combined, np.full((times.size, times.size), math.nan)
    )
    return Answer(curve, doubts)


def pool_cox(patients: Patients, asked: Asked, /) -> Answer:
    """Cox's model with a normal effect of the study on the log hazard, averaged over studies, `kernels.frailty`."""
    if asked.effects == "slope":
        raise InvalidInputError(_no_slope("cox"))
    studies, one = patients.studies, len(patients.studies) == 1
    random = asked.effects == "random" and not one
    times = _cox_times(studies, asked, str(patients.endpoint))

    def work(data: Sequence[PseudoData]) -> tuple[FloatArray, FloatArray, FloatArray, float]:
        fit = fit_frailty([each.time for each in data], [each.event for each in data], random=random)
        base = baseline_at(fit, times)
        log = np.log(base.cumulative_hazard)
        covariance = base.covariance / np.multiply.outer(base.cumulative_hazard, base.cumulative_hazard)
        effect, weight = nodes(np.array([[fit.tau2]]))
        found = average(log + effect, weight)
        slope = found.slope.sum(axis=-1)  # all nodes follow the baseline
        return found.estimate, slope[:, None] * covariance * slope, found.between, fit.tau2

    sets = [[_until(study, i) for study in studies] for i in range(patients.n_draws)]
    done = map_chunks(work, sets, description="Data sets") if len(sets) > 1 else [work(sets[0])]
    estimate, covariance, between, tau2 = (np.stack(part) for part in zip(*done, strict=True))
    combined = combine(estimate, covariance)
    doubts = list(patients.doubts)
    words = "one study"
    if not one:
        doubts += few(len(studies), random=random)
        words = "Cox's model, the same hazard in all studies"
    if random:
        mean = float(tau2.mean())
        words = f"Cox's model, average of studies with normal effects, tau2 {_format.significant(mean, 3)}"
        if mean == 0:
            message = "studies do not differ, as far as can be seen: tau2 is 0, at the end of its range."
            doubts.append((BoundaryWarning, message))
    psi = between.mean(axis=0) if random else np.full(between.shape[1:], math.nan)
    by_t = random and asked.ci_method == "t"
    return Answer(_curve(patients, times, "cox", words, "cloglog", combined, psi, by_t=by_t), doubts)


def few(k: int, *, random: bool) -> list[Doubt]:
    """What few studies leave unknown."""
    if not random or k >= _FEW:
        return []
    message = f"{k} studies: how much they differ is hardly known, which the intervals show in part only."
    return [(FewStudiesWarning, message)]


def _no_slope(method: str) -> str:
    return f"effects='slope' is for method='multivariate', not {method!r}. Use effects='random' or 'common'."


def _check_events(studies: Sequence[StudyPatients], where: str) -> None:
    if not min(study.first_event for study in studies) <= max(study.end for study in studies):
        raise InvalidInputError(
            f"{where}: no study has an event in every data set, so there is no curve to pool."
        )


def _until(study: StudyPatients, i: int) -> PseudoData:
    """A data set as it is known: who is followed after the last time that may be used is censored there."""
    time, event = study.draw(i)
    return PseudoData(np.minimum(time, study.last), np.where(time > study.last, 0, event))


def _cox_times(studies: Sequence[StudyPatients], asked: Asked, where: str) -> FloatArray:
    """From the first event on, in every data set, to the end of the longest study."""
    first = min(study.first_event for study in studies)
    end = max(study.end for study in studies)
    _check_events(studies, where)
    if asked.times is None:
        return grid_between(studies, first, end, _TIMES)
    if asked.times[0] < first or asked.times[-1] > end * (1.0 + 1e-9):
        raise InvalidInputError(
            f"times_months must lie between {first:.4g} and {end:.4g} months, the first event and the end of the "
            f"longest follow-up; got {asked.times[0]:g} to {asked.times[-1]:g}."
        )
    return asked.times


def _curve(
    patients: Patients,
    times: FloatArray,
    method: CurveMethod,
    model: str,
    scale: CurveScale,
    combined: Combined,
    between: FloatArray,
    *,
    by_t: bool = False,
) -> PooledCurve:
    studies, k = patients.studies, len(patients.studies)
    k_at, n_at = informing(studies, times)
    return PooledCurve(
        method=method,
        model=model + in_words(combined.loss, patients.n_draws),
        endpoint=patients.endpoint.code,
        label=patients.label,
        time_months=frozen(times),
        scale=scale,
        estimate=frozen(combined.estimate),
        covariance=frozen(combined.covariance),
        between=frozen(between),
        interpolation="survival" if scale == "log" else "hazard",
        study=tuple(study.name for study in studies),
        study_curves=study_curves(studies, times),
        k_at=frozen_counts(k_at),
        n_at=frozen(n_at),
        df=k - 1.0 if by_t else math.inf,
        prediction_df=max(k - 2.0, 0.0),
    )
