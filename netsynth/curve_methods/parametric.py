"""A parametric curve for all patients of all studies, whose parameters may differ between studies."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from netsynth import _format
from netsynth._typing import FloatArray, IntArray
from netsynth.curve_methods.asked import Answer, Asked, frozen, frozen_counts
from netsynth.curve_methods.one_stage import combine, few, in_words
from netsynth.curve_methods.patients import Patients, StudyPatients, informing, study_curves, with_events
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

#: Times at which the curve is read when none are asked for.
_TIMES: Final = 100
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
    k = len(patients.studies)
    random = asked.effects == "random" and k > 1
    end = max(study.end for study in patients.studies)
    times = end * np.arange(1, _TIMES + 1) / _TIMES if asked.times is None else asked.times
    theta, covariance, psi, loss, doubts = (_two_stage if random else _one_fit)(patients, asked.family)

    def curve(parameters: FloatArray) -> FloatArray:
        return log_cumulative_hazard(asked.family, parameters, times)

    found, slope = moved(curve, theta, psi)
    between = found.between if random else np.full_like(found.between, math.nan)
    if random:
        words = f"{name} curves, average of studies whose parameters differ"
    else:
        words = f"one {name} curve" + (" of all patients" if k > 1 else "")
    if times[-1] > end * (1.0 + 1e-9):
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
    )
    return Answer(pooled, [*patients.doubts, *doubts, *few(k, random=random)])


def _followed(study: StudyPatients) -> tuple[FloatArray, IntArray]:
    """Times and events up to the last that may be used; of a patient who left at once nothing is known."""
    time = np.minimum(study.time, study.last)
    event = np.where(study.time > study.last, 0, study.event)
    at_once = time <= 0
    if (at_once & (event > 0)).any():
        raise InvalidInputError(
            f"{study.name}: a patient has the event at time 0, which no parametric curve allows. Use method='cox', or "
            "move the event to half a day."
        )
    # a censoring at a time that is next to nothing adds next to nothing, and keeps the data sets of one size
    return np.where(at_once, 1e-12 * time.max(), time), event


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
    parts = [_followed(study) for study in patients.studies]
    time = np.concatenate([np.broadcast_to(t, (b, t.shape[-1])) for t, _ in parts], axis=-1)
    event = np.concatenate([np.broadcast_to(e, (b, e.shape[-1])) for _, e in parts], axis=-1)
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
        fit = _checked(fit_location(family, *_followed(study)), study.name)
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
