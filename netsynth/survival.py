"""Pooling what several studies report of survival."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from netsynth import _format
from netsynth._landmark import Route, read_landmark
from netsynth.data.endpoint import Endpoint
from netsynth.data.review import Review
from netsynth.data.selection import Candidate, OverlapRule, Selection
from netsynth.data.study import Role
from netsynth.errors import (
    Caution,
    ImputedVarianceWarning,
    InvalidInputError,
    UnusableDataWarning,
    caution,
)
from netsynth.kernels.intervals import CiMethod
from netsynth.kernels.scales import SurvivalMeasure, survival_effect
from netsynth.kernels.survival_variance import MATURITY
from netsynth.kernels.tau2 import Tau2Estimator, Tau2Method
from netsynth.pool import pool_effects
from netsynth.results.pooled import PooledEffect

__all__ = ["pool_landmark"]


def pool_landmark(
    review: Review,
    endpoint: str | Endpoint = "OS",
    *,
    time_months: float,
    measure: SurvivalMeasure = "cloglog_survival",
    sets: Sequence[str] | None = None,
    roles: Sequence[Role] = ("overall", "arm"),
    overlap: OverlapRule = "largest",
    maturity: float = MATURITY,
    tau2_method: Tau2Method | Tau2Estimator = "REML",
    ci_method: CiMethod = "mHK",
) -> PooledEffect:
    r"""Pool the survival that studies report at one landmark, under the random-effects model.

    Parameters
    ----------
    review : Review
        The studies.
    endpoint : str or Endpoint
        Which endpoint.
    time_months : float
        The landmark.
    measure : {"cloglog_survival", "logit_survival", "log_survival", "arcsine_survival"}
        Scale of pooling; on log(-log) a constant difference between studies is a constant hazard ratio.
    sets, roles, overlap
        How one value a study is chosen, as in `Review.select_survival`.
    maturity : float
        Share of the survivors still under observation at the landmark, in (0, 1], for a study that prints
        neither a confidence interval nor a number at risk nor its follow-up.
    tau2_method, ci_method
        As in `pool_effects`.

    Returns
    -------
    PooledEffect
        Its `warnings` name the studies whose standard error is imputed, and those that could not be used.

    Raises
    ------
    InvalidInputError
        If no study reports the endpoint at the landmark with its number of patients, or `maturity` is not a
        share.

    Warns
    -----
    ImputedVarianceWarning
        If a standard error rests on the assumed or estimated maturity.
    UnusableDataWarning
        If a study prints no number of patients, or more at risk than survival leaves.

    Notes
    -----
    The standard error of a study comes from its printed confidence interval on the scale on which that is
    symmetric, else from the numbers at risk it prints, else it is imputed: with n patients of whom m are at risk
    the variance lies between :math:`S(1-S)/n` and :math:`S^2(1-S)/m`, and with :math:`m = nSp` the point taken is
    the geometric mean of these, :math:`S(1-S)/(n\sqrt p)`. The maturity p is :math:`2^{-t/f}` for a study with
    follow-up f, as if f were the median of exponential times to the end of observation, else `maturity`. Pool
    again with ``maturity=1`` to see how much rests on it. A survival of 0 or 1 is moved inwards by half a patient.

    Examples
    --------
    >>> from netsynth.data.study import Study
    >>> from netsynth.data.survival import ReportedSurvival
    >>> reported = {"a": (73, (61, 82)), "b": (47, (30, 62)), "c": (71, (57, 81))}
    >>> review = Review(
    ...     tuple(Study(name) for name in reported),
    ...     survival=tuple(
    ...         ReportedSurvival.from_percent(
    ...             name, "OS", years=[5], percent=[p], ci_lower=[ci[0]], ci_upper=[ci[1]], n_total=60
    ...         )
    ...         for name, (p, ci) in reported.items()
    ...     ),
    ... )
    >>> pooled = pool_landmark(review, "OS", time_months=60)
    >>> pooled.k, round(pooled.natural, 3)
    (3, 0.648)
    """
    if not 0 < maturity <= 1:
        raise InvalidInputError(f"maturity must be a share in (0, 1]; got {maturity!r}.")
    selection = review.select_survival(endpoint, time_months, sets=sets, roles=roles, overlap=overlap)
    shares: list[float] = []
    variances: list[float] = []
    usable: list[Candidate] = []
    routes: list[Route] = []
    not_used: list[str] = []
    for candidate in selection.chosen:
        found = read_landmark(review, candidate, time_months, maturity)
        routes.append(found.route)
        not_used += [f"{candidate.study}: {each}" for each in found.not_used]
        if found.route != "no number of patients":
            usable.append(candidate)
            shares.append(found.survival)
            variances.append(found.variance)
    cautions = _cautions(selection, routes, not_used)
    if not usable:
        raise InvalidInputError(
            f"{selection.question}: no study prints a percentage with its number of patients. "
            "Use summarize_outcomes for a median over studies."
        )
    effect = survival_effect(np.array(shares), np.sqrt(variances), measure)
    pooled = pool_effects(
        effect.estimate,
        se=np.sqrt(effect.variance),
        measure=measure,
        tau2_method=tau2_method,
        ci_method=ci_method,
        study=[review.study(candidate.study).label for candidate in usable],
    )
    return replace(pooled, warnings=(*cautions, *pooled.warnings))


def _cautions(selection: Selection, routes: Sequence[Route], not_used: Sequence[str]) -> tuple[Caution, ...]:
    by_route = {
        route: [c.study for c, r in zip(selection.chosen, routes, strict=True) if r == route]
        for route in ("no number of patients", "imputed")
    }
    told: list[Caution] = []
    for message in not_used:
        said = caution(UnusableDataWarning, message, where=selection.question, stacklevel=4)
        told.append(said)
    if unsized := by_route["no number of patients"]:
        message = f"not pooled, for want of a number of patients: {_format.listing(unsized)}"
        told.append(caution(UnusableDataWarning, message, where=selection.question, stacklevel=4))
    if imputed := by_route["imputed"]:
        message = (
            f"{len(imputed)} of {len(routes) - len(unsized)} studies print neither a confidence interval nor a "
            f"number at risk; their standard errors are imputed: {_format.listing(imputed)}"
        )
        told.append(caution(ImputedVarianceWarning, message, where=selection.question, stacklevel=4))
    return tuple(told)
