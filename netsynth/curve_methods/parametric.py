"""A parametric curve for all patients of all studies, whose parameters may differ between studies."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from netsynth import _format
from netsynth._typing import FloatArray
from netsynth.curve_methods.asked import SAME, Answer, Asked, frozen, frozen_counts
from netsynth.curve_methods.one_stage import combine, few, in_words
from netsynth.curve_methods.patients import (
    Patients,
    StudyPatients,
    informing,
    kept,
    study_curves,
    with_asked,
    with_events,
)
from netsynth.curve_methods.reports import Doubt
from netsynth.errors import (
    BoundaryWarning,
    ConvergenceError,
    FewStudiesWarning,
    InvalidInputError,
)
from netsynth.kernels import multivariate
from netsynth.kernels.averaged import moved
from netsynth.kernels.censored_fits import Location, LocationFit, fit_location, log_cumulative_hazard
from netsynth.kernels.multivariate_fit import psi_between
from netsynth.results.pooled_curve import PooledCurve

#: Times at which the curve is read up to the end of follow-up besides those asked for, and steps of its tail.
_TIMES: Final = 100
_TAIL_STEP: Final = 1.02
_NAMES: Final[dict[Location, str]] = {
    "exponential": "exponential",
    "weibull": "Weibull",
    "loglogistic": "log-logistic",
    "lognormal": "log-normal",
}


def pool_parametric(patients: Patients, asked: Asked, /) -> Answer:
    """A curve of one family, `netsynth.kernels.censored_fits`.

    With random effects its parameters are fitted to each study and pooled, and the curve is the average over studies;
    with common effects one curve is fitted to all patients.
    """
    if asked.effects == "slope":
        raise InvalidInputError(
            "effects='slope' is for method='multivariate'; with method='parametric' effects='random' lets location and "
            "scale differ."
        )
    name = _NAMES[asked.family]
    patients = with_events(patients, 1 if asked.family == "exponential" else 2)
    patients = patients._replace(studies=tuple(map(_after_0, patients.studies)))
    k = len(patients.studies)
    random = asked.effects == "random" and k > 1
    end = max(study.end for study in patients.studies)
    times = with_asked(_grid(end, asked.times), asked.times)
    theta, covariance, psi, loss, doubts = (_two_stage if random else _one_fit)(patients, asked.family)

    def curve(parameters: FloatArray) -> FloatArray:
        return log_cumulative_hazard(asked.family, parameters, times)

    found, slope = moved(curve, theta, psi)
    between = found.between if random else np.full_like(found.between, math.nan)
    if random:
        words = f"{name} curves, average of studies whose parameters differ"
    else:
        words = f"one {name} curve" + (" of all patients" if k > 1 else "")
    if times[-1] > end * (1.0 + SAME):
        words += f", {name} tail after {_format.shortest(end, 1)} months"
        message = f"after {end:.4g} months no study has a patient at risk: the curve there is the {name} tail, assumed."
        doubts.append((FewStudiesWarning, message))
    k_at, n_at = informing(patients.studies, times)
    pooled = PooledCurve(
        method="parametric",
        model=words + in_words(loss, patients.n_draws),
        endpoint=patients.endpoint.code,
        label=patients.label,
        time_months=frozen(times),
        scale="cloglog",
        estimate=frozen(found.estimate),
        covariance=frozen(slope @ covariance @ slope.T),
        between=frozen(between),
        interpolation="hazard",
        study=tuple(study.name for study in patients.studies),
        study_curves=study_curves(patients.studies, times),
        k_at=frozen_counts(k_at),
        n_at=frozen(n_at),
        df=k - 1.0 if random and asked.ci_method == "t" else math.inf,
        prediction_df=max(k - 2.0, 0.0),
        patients=kept(patients.studies),
        asked_months=None if asked.times is None else frozen(asked.times),
    )
    return Answer(pooled, [*patients.doubts, *doubts, *few(k, random=random)])


def _grid(end: float, asked: FloatArray | None) -> FloatArray:
    """Times up to the end of follow-up, and on to the last one asked for, close enough to be joined by lines."""
    grid = end * np.arange(1, _TIMES + 1) / _TIMES
    last = end if asked is None else float(asked[-1])
    if last <= end * (1.0 + SAME):
        return grid
    n = math.ceil(math.log(last / end) / math.log(_TAIL_STEP))
    return np.append(grid, np.geomspace(end, last, n + 1)[1:])


def _after_0(study: StudyPatients) -> StudyPatients:
    """The study with nobody at time 0: of a patient who left at once nothing is known."""
    at_once = study.time <= 0
    if not at_once.any():
        return study
    if (at_once & (study.event > 0)).any():
        raise InvalidInputError(
            f"{study.name}: a patient has the event at time 0, which no parametric curve allows. Use method='cox', or "
            "move the event to half a day."
        )
    # a censoring at a time that is next to nothing adds next to nothing, and keeps the data sets of one size
    return study._replace(time=np.where(at_once, 1e-12 * study.time.max(), study.time))


def _checked(fit: LocationFit, where: str) -> LocationFit:
    if not fit.converged.all():
        raise ConvergenceError(
            f"{where}: the parametric fit did not arrive. Use another family.",
            last=float(fit.log_likelihood.max()),
        )
    return fit


def _one_fit(
    patients: Patients, family: Location
) -> tuple[FloatArray, FloatArray, FloatArray, float, list[Doubt]]:
    """One curve for all patients, in each data set, combined by Rubin's rules."""
    b = patients.n_draws
    time = np.concatenate([np.broadcast_to(x.time, (b, x.n_total)) for x in patients.studies], axis=-1)
    event = np.concatenate([np.broadcast_to(x.event, (b, x.n_total)) for x in patients.studies], axis=-1)
    fit = _checked(fit_location(family, time, event), str(patients.endpoint))
    found = combine(fit.theta, fit.covariance)
    p = found.estimate.size
    return found.estimate, found.covariance, np.zeros((p, p)), found.loss, []


def _two_stage(
    patients: Patients, family: Location
) -> tuple[FloatArray, FloatArray, FloatArray, float, list[Doubt]]:
    """Parameters of each study, combined over its data sets, then pooled with an unstructured covariance by REML."""
    estimates, covariances, losses = [], [], []
    for study in patients.studies:
        fit = _checked(fit_location(family, study.time, study.event), study.name)
        found = combine(fit.theta, fit.covariance)
        estimates.append(found.estimate)
        covariances.append(found.covariance)
        losses.append(found.loss)
    theta, within = np.stack(estimates), np.stack(covariances)
    k, p = theta.shape
    design = multivariate.intercepts(k, p)
    between = psi_between(
        theta, within, design, method="REML", structure="unstructured" if p > 1 else "diagonal"
    )
    if not between.converged:
        raise ConvergenceError(
            f"{patients.endpoint}: the search for how parameters differ did not arrive. Use effects='common'.",
            last=float(np.trace(between.psi)),
        )
    pooled = multivariate.gls(theta, within, design, between.psi)
    doubts: list[Doubt] = []
    if multivariate.is_singular(between.psi):
        message = (
            "parameters of studies do not differ, or do so together: their covariance lies on its boundary."
        )
        doubts.append((BoundaryWarning, message))
    return pooled.coefficient, pooled.covariance, between.psi, max(losses), doubts
