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
    answerable,
    grid_between,
    informing,
    kept,
    study_curves,
    with_asked,
)
from netsynth.curve_methods.reports import Doubt
from netsynth.errors import (
    BoundaryWarning,
    FewStudiesWarning,
    InvalidInputError,
    NarrowIntervalWarning,
)
from netsynth.kernels import rubin
from netsynth.kernels.averaged import average, nodes
from netsynth.kernels.frailty import baseline_at, fit_frailty
from netsynth.kernels.product_limit import Estimates, ProductLimit, product_limit, survival_at
from netsynth.results.ensemble import PseudoData
from netsynth.results.pooled_curve import CurveMethod, CurveScale, PooledCurve

#: Times at which a curve is estimated besides those asked for.
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

    :math:`\bar S = \sum (n_i / N) S_i`, with the variance :math:`\sum (n_i / N)^2 S_i^2 G_i` of Greenwood's sums. In a
    study whose last patients die where the average ends half of one counts as alive for the variance, which else is 0.
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
    ends = some([study.name for study in studies if study.end == end])
    shown, outside = answerable(
        asked.times,
        first,
        end,
        before=f"nobody has had the event before {first:.4g} months",
        after=f"nobody of {ends} is followed after {end:.4g} months, where an average of all studies ends (method "
        "'cox' goes on with the others)",
        where=str(patients.endpoint),
    )
    times = with_asked(grid_between(studies, first, end, _TIMES), shown)
    doubts = [*patients.doubts, *outside]
    total = sum(study.n_total for study in studies)
    mean = np.zeros((patients.n_draws, times.size))
    variance = np.zeros((patients.n_draws, times.size, times.size))
    for study in studies:
        fit = product_limit(study.time, study.event)
        found = survival_at(fit, times)
        share = study.n_total / total
        mean += share * found.estimate
        s, greenwood = _half_alive(fit, found)
        first_of_two = np.minimum(greenwood[:, :, None], greenwood[:, None, :])
        variance += share**2 * first_of_two * s[:, :, None] * s[:, None, :]
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
    doubts += few(len(studies), random=False)
    model = "weighted average curve, each study as its patients"
    unknown = np.full((times.size, times.size), math.nan)
    return Answer(_curve(patients, times, shown, "stratified", model, "log", combined, unknown), doubts)


def _half_alive(fit: ProductLimit, found: Estimates) -> Estimates:
    """Survival and Greenwood's sum as the variance takes them: of r last patients who all die half of one is alive.

    A share of 0.5 / (r + 1) of r + 1 patients, as elsewhere where survival is 0.
    """
    survival, greenwood = found.estimate.copy(), found.variance.copy()
    for row in np.flatnonzero((found.estimate == 0).any(axis=1)):
        gone, time = found.estimate[row] == 0, fit.time[row]
        r = int((time == time[-1]).sum())
        before, sum_before = 1.0, 0.0
        if r < time.size:
            before, sum_before = float(fit.survival[row, -r - 1]), float(fit.greenwood[row, -r - 1])
        alive = 0.5 / (r + 1.0)
        survival[row, gone] = before * alive
        greenwood[row, gone] = sum_before + (1.0 - alive) / (alive * (r + 1.0))
    return Estimates(survival, greenwood)


def pool_cox(patients: Patients, asked: Asked, /) -> Answer:
    """Cox's model with a normal effect of the study on the log hazard, averaged over studies, `kernels.frailty`."""
    if asked.effects == "slope":
        raise InvalidInputError(_no_slope("cox"))
    studies, one = patients.studies, len(patients.studies) == 1
    random = asked.effects == "random" and not one
    times, shown, outside = _cox_times(studies, asked, str(patients.endpoint))

    def work(data: Sequence[PseudoData]) -> tuple[FloatArray, FloatArray, FloatArray, float]:
        fit = fit_frailty([each.time for each in data], [each.event for each in data], random=random)
        base = baseline_at(fit, times)
        log = np.log(base.cumulative_hazard)
        covariance = base.covariance / np.multiply.outer(base.cumulative_hazard, base.cumulative_hazard)
        effect, weight = nodes(np.array([[fit.tau2]]))
        found = average(log + effect, weight)
        slope = found.slope.sum(axis=-1)  # all nodes follow the baseline
        return found.estimate, slope[:, None] * covariance * slope, found.between, fit.tau2

    sets = [[study.draw(i) for study in studies] for i in range(patients.n_draws)]
    done = map_chunks(work, sets, description="Data sets") if len(sets) > 1 else [work(sets[0])]
    estimate, covariance, between, tau2 = (np.stack(part) for part in zip(*done, strict=True))
    combined = combine(estimate, covariance)
    doubts = [*patients.doubts, *outside, *few(len(studies), random=random)]
    words = "one study"
    if not one:
        words = "Cox's model, the same hazard in all studies"
    if random:
        mean = float(tau2.mean())
        words = f"Cox's model, average of studies with normal effects, tau2 {_format.significant(mean, 3)}"
        if mean == 0:
            message = "studies do not differ, as far as can be seen: tau2 is 0, at the end of its range."
            doubts.append((BoundaryWarning, message))
    psi = between.mean(axis=0) if random else np.full(between.shape[1:], math.nan)
    by_t = random and asked.ci_method == "t"
    return Answer(_curve(patients, times, shown, "cox", words, "cloglog", combined, psi, by_t=by_t), doubts)


def few(k: int, *, random: bool) -> list[Doubt]:
    """What few studies leave unknown."""
    if k == 1:
        message = (
            "one study, handed back as it is: nothing is pooled, and nothing tells how much studies differ."
        )
        return [(FewStudiesWarning, message)]
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


def _cox_times(
    studies: Sequence[StudyPatients], asked: Asked, where: str
) -> tuple[FloatArray, FloatArray | None, list[Doubt]]:
    """From the first event on, in every data set, to the end of the longest study; and those asked for."""
    first = min(study.first_event for study in studies)
    end = max(study.end for study in studies)
    _check_events(studies, where)
    shown, outside = answerable(
        asked.times,
        first,
        end,
        before=f"nobody has had the event before {first:.4g} months",
        after=f"nobody is followed after {end:.4g} months",
        where=where,
    )
    return with_asked(grid_between(studies, first, end, _TIMES), shown), shown, outside


def _curve(
    patients: Patients,
    times: FloatArray,
    asked: FloatArray | None,
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
        patients=kept(studies),
        asked_months=None if asked is None else frozen(asked),
    )
