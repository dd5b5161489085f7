"""PET-PEESE: the effect of a study without error, from lines through effects and their precision."""

from __future__ import annotations

import math
import warnings
from typing import Final, get_args

import numpy as np

from netsynth import _validate
from netsynth._typing import FloatArray
from netsynth.errors import (
    AsymmetryWarning,
    Caution,
    InvalidInputError,
    NetsynthWarning,
    UnusableDataWarning,
    caution,
)
from netsynth.kernels.asymmetry import Studies, weighted
from netsynth.kernels.tau2 import tau2_ce
from netsynth.regress import regress_effects
from netsynth.results.pet_peese import PetPeese, PrecisionLine, PrecisionModel
from netsynth.results.pooled import PooledEffect
from netsynth.results.regression import MetaRegression
from netsynth.selection import _checks

__all__ = ["pet_peese"]

_LEAST: Final = 3  # studies, below which a line leaves nothing to judge it by
_FLAT: Final = 1e-9  # share of the largest standard error below which their spread is rounding
_TOO_MIXED: Final = 0.8  # I2 from which PET-PEESE is known to mislead: Stanley (2017), https://doi.org/10.1177/1948550617693062


def pet_peese(pooled: PooledEffect, *, model: PrecisionModel = "WLS", alpha: float = 0.1) -> PetPeese:
    r"""Estimate the effect of a study without error by PET or PEESE.

    Parameters
    ----------
    pooled : PooledEffect
        Three studies or more, of a measure that has a value of no effect.
    model : {"WLS", "CE", "REML"}
        Lines by weighted least squares, whose scatter multiplies the variances, with t on k - 2 degrees of
        freedom; under the common-effect model; or with tau2 by REML added to the variances. The last two are
        normal.
    alpha : float
        One-sided level at which PET must find an effect, on the side of the pooled one, for PEESE to estimate it.

    Returns
    -------
    PetPeese
        Frozen, with both lines and the choice.

    Raises
    ------
    InvalidInputError
        If the measure is a probability, there are fewer than three studies, all have the same standard error, the
        model is unknown, or alpha is not a fraction.
    ConvergenceError
        If tau2 by REML does not arrive.

    Warns
    -----
    FewStudiesWarning
        Fewer than ten studies.
    AsymmetryWarning
        By "WLS", the effects lie on a line, which then has no error.
    UnusableDataWarning
        Studies differ so much (I2 of 80% or more) that the method is not to be relied on.

    Notes
    -----
    With weights :math:`1 / v_i`, PET fits :math:`y_i = \beta_0 + \beta_1 \sqrt{v_i}` and PEESE
    :math:`y_i = \beta_0 + \beta_1 v_i`; the effect of a study without error is :math:`\beta_0`. PET is nearly unbiased
    where there is no effect, PEESE where there is one, so PET's test chooses [1]_.

    References
    ----------
    .. [1] Stanley TD, Doucouliagos H (2014). Meta-regression approximations to reduce publication selection bias.
       Res Synth Methods 5:60-78. https://doi.org/10.1002/jrsm.1095

    Examples
    --------
    >>> from netsynth.pool import pool_effects
    >>> log_hr = [-0.92, -1.05, -0.24, -0.71, -0.51, 0.12, -0.55, -0.18, -0.32, -0.05, -0.16]
    >>> se = [0.41, 0.38, 0.33, 0.30, 0.26, 0.22, 0.19, 0.16, 0.12, 0.10, 0.09]
    >>> print(pet_peese(pool_effects(log_hr, se=se, measure="log_hr")))
    PET-PEESE: Hazard ratio, weighted least squares, k = 11
      pooled   0.74   95% CI [0.60, 0.91]
      PET      1.06   95% CI [0.81, 1.38]   chosen
      PEESE    0.90   95% CI [0.77, 1.05]
      choice   PET against an effect below 1.00: one-sided p = 0.67 >= 0.1
    """
    _validate.choice(model, "model", get_args(PrecisionModel))
    _checks.fraction(alpha, "alpha")
    _checks.check(pooled, "PET-PEESE", least=_LEAST)
    se = pooled.study_se
    if np.ptp(se) <= _FLAT * se.max():
        raise InvalidInputError(
            f"PET-PEESE needs studies of different size; all {pooled.k} have a standard error of {se[0]:g}."
        )

    (pet, pet_regression), (peese, peese_regression) = (
        _line(pooled, name, x, model) for name, x in (("se", se), ("variance", se**2))
    )
    return PetPeese(
        pooled=pooled,
        model=model,
        alpha=float(alpha),
        side="greater" if pooled.estimate > 0 else "less",
        pet=pet,
        peese=peese,
        pet_regression=pet_regression,
        peese_regression=peese_regression,
        warnings=_checks.few(pooled, "small-study effects from chance") + _doubts(pooled, pet, peese),
    )


def _line(
    pooled: PooledEffect, name: str, x: FloatArray, model: PrecisionModel
) -> tuple[PrecisionLine, MetaRegression | None]:
    y, v = pooled.study_estimate, pooled.study_se**2
    if model == "WLS":
        found = weighted(Studies(y, v), x, tau2_ce)
        return PrecisionLine(
            intercept=float(found.intercept),
            intercept_se=float(found.intercept_se),
            slope=float(found.slope),
            slope_se=float(found.slope_se),
            df=float(found.df),
            dispersion=float(found.dispersion),
            tau2=0.0,
        ), None
    with warnings.catch_warnings():  # the verb has its own words for few studies
        warnings.simplefilter("ignore", NetsynthWarning)
        regression = regress_effects(
            y,
            se=pooled.study_se,
            moderators={name: x},
            measure=pooled.measure,
            tau2_method=model,
            ci_method="wald",
            study=pooled.study,
        )
    (intercept, slope), (intercept_se, slope_se) = regression.coefficient.tolist(), regression.se.tolist()
    return PrecisionLine(intercept, intercept_se, slope, slope_se, math.inf, 1.0, regression.tau2), regression


def _doubts(pooled: PooledEffect, pet: PrecisionLine, peese: PrecisionLine) -> tuple[Caution, ...]:
    said = []
    if math.isnan(pet.intercept_se) or math.isnan(peese.intercept_se):
        message = "The effects lie on a line, or do not differ, so that the error of that line is undefined."
        said.append(caution(AsymmetryWarning, message, stacklevel=_checks.USER))
    if pooled.i2 >= _TOO_MIXED:
        message = (
            f"Studies differ too much for PET-PEESE (I2 {100 * pooled.i2:.0f}%): its estimate may be far off and its "
            "interval too narrow."
        )
        said.append(caution(UnusableDataWarning, message, stacklevel=_checks.USER))
    return tuple(said)
