"""One hazard ratio from the patients of many trials, each a stratum of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from netsynth import _format, _validate
from netsynth.curve_methods.patients import (
    Reconstructed,
    StudyPatients,
    has_patients,
    read_patients,
    told_endpoint,
)
from netsynth.errors import InvalidInputError
from netsynth.kernels.two_arms import RiskSets, cox, risk_sets
from netsynth.results.ensemble import CombinedEstimate, PseudoData, PseudoEnsemble, combine_analyses
from netsynth.results.pooled_patients import go_by_name

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["stratified_hazard_ratio"]

Arms: TypeAlias = "Reconstructed | Sequence[Reconstructed] | Mapping[str, Any] | pd.DataFrame"


def stratified_hazard_ratio(treated: Arms, control: Arms, *, n_draws: int = 50) -> CombinedEstimate:
    r"""Cox's hazard ratio of the treated against the control in all trials at once, each with its own baseline.

    Parameters
    ----------
    treated, control : reconstructed studies, data frame or mapping
        The arms of the trials, as `pool_survival` takes patients. They go together by name where both have the same
        names, and by their order where they share none.
    n_draws : int
        Data sets to draw from each arm that is not an ensemble.

    Returns
    -------
    CombinedEstimate
        The log hazard ratio, combined over the data sets by Rubin's rules; `natural` is the ratio, `reporting_loss` the
        share of its variance that is there only because the trials were not reported whole.

    Raises
    ------
    InvalidInputError
        If the arms are not equally many, share some names alone, are not patients, or of different endpoints.

    Warns
    -----
    UnusableDataWarning
        If the ratio is infinite or undefined in some data set, and so as a whole.

    Notes
    -----
    The partial likelihood is the product of those of the trials [1]_, with Efron's way with ties. One ratio is common
    to all trials: how much they differ is asked with a ratio a trial, from `compare_arms`, and `pool_effects`.
    Follow-up ends where a reconstruction may no longer be used. lifelines fits the same to one data set by
    ``one.patients.cox(other.patients)`` for curves `one` and `other` of the two arms, from `pool_survival`.

    References
    ----------
    .. [1] Simmonds MC, Higgins JPT, Stewart LA, Tierney JF, Clarke MJ, Thompson SG (2005). Meta-analysis of individual
       patient data from randomized trials: a review of methods used in practice. Clin Trials 2:209-217.
       https://doi.org/10.1191/1740774505cn087oa

    Examples
    --------
    >>> trial = ["A"] * 4 + ["B"] * 3
    >>> treated = {"study": trial, "time_months": [9, 14, 20, 24, 6, 13, 18], "event": [1, 1, 0, 1, 1, 0, 1]}
    >>> control = {"study": trial, "time_months": [4, 8, 11, 22, 5, 7, 16], "event": [1, 1, 1, 0, 1, 1, 1]}
    >>> ratio = stratified_hazard_ratio(treated, control)
    >>> lower, upper = ratio.natural_interval()
    >>> print(f"HR {ratio.natural:.2f}, 95% CI {lower:.2f} to {upper:.2f}")
    HR 0.36, 95% CI 0.09 to 1.45
    """
    draws = _validate.count(n_draws, "n_draws", minimum=2)
    for name, arms in (("treated", treated), ("control", control)):
        if not has_patients(arms):
            raise InvalidInputError(
                f"{name} must be reconstructed studies, or a data frame with the columns study, time_months and event; "
                f"got {type(arms).__name__}."
            )
    endpoint = told_endpoint(treated, control)
    one, other = (
        list(read_patients(arms, endpoint, draws, as_patients=True).studies) for arms in (treated, control)
    )
    if len(one) != len(other):
        raise InvalidInputError(
            f"Each trial has two arms; got {_format.plural(len(one), 'treated arm')} and {len(other)} of control."
        )
    if go_by_name([arm.name for arm in one], [arm.name for arm in other]):
        other = _in_order(one, other)
    sizes = sorted({arm.n_draws for arm in (*one, *other)} - {1})
    if len(sizes) > 1:
        raise InvalidInputError(
            f"All arms must have the same number of data sets; got {sizes}. Draw as many from each."
        )
    b = max(sizes, default=2)
    ensembles = [PseudoEnsemble(arm.name, tuple(arm.draw(i) for i in range(b))) for arm in (*one, *other)]
    k = len(one)

    def analysis(*data: PseudoData) -> tuple[float, float]:
        strata = [risk_sets(*data[i], *data[k + i]) for i in range(k)]
        fit = cox(RiskSets(*(np.concatenate(part) for part in zip(*strata, strict=True))))
        finite = bool(np.isfinite(fit.log_hr))
        return (float(fit.log_hr), float(fit.variance)) if finite else (np.nan, np.nan)

    combined = combine_analyses(analysis, *ensembles, measure="log_hr")
    return combined if sizes else replace(combined, n_draws=1)


def _in_order(one: Sequence[StudyPatients], other: Sequence[StudyPatients]) -> list[StudyPatients]:
    """The other arms in the order of the first ones, by name."""
    by_name = {arm.name: arm for arm in other}
    return [by_name[arm.name] for arm in one]
