"""Compare what subgroups of studies say."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._typing import BoolArray
from netsynth.errors import (
    Caution,
    ConvergenceError,
    FewStudiesWarning,
    InvalidInputError,
    NarrowIntervalWarning,
    NetsynthWarning,
    caution,
)
from netsynth.kernels.coefficients import COEFFICIENT_ERRORS, residual_df
from netsynth.kernels.heterogeneity import q_statistic
from netsynth.kernels.intervals import CiMethod, PredictionMethod, critical_value
from netsynth.kernels.regression import weighted_regression
from netsynth.kernels.scales import EffectMeasure
from netsynth.kernels.tau2 import TAU2_ESTIMATORS, Tau2Method
from netsynth.pool import pool_effects
from netsynth.results.moderators import read_moderators
from netsynth.results.pooled import PooledEffect
from netsynth.results.subgroups import SubgroupComparison

__all__ = ["compare_subgroups"]

#: Studies below which a subgroup says too little about a tau2 of its own: a rule of thumb.
_ENOUGH: Final = 5
_USER: Final = 4  # frames from `caution` up to the caller of the verb: caution, _doubts, the verb, its caller

Sharing = Literal["common", "separate"]


def compare_subgroups(
    estimate: npt.ArrayLike,
    *,
    se: npt.ArrayLike,
    group: npt.ArrayLike,
    tau2: Sharing = "common",
    measure: EffectMeasure = "generic",
    tau2_method: Tau2Method = "REML",
    ci_method: CiMethod = "mHK",
    prediction_method: PredictionMethod = "t_km2",
    study: Iterable[str] | None = None,
) -> SubgroupComparison:
    r"""Pool subgroups of studies and test whether they differ.

    Parameters
    ----------
    estimate : array_like of float, shape (k,)
        One effect per study on the scale of `measure`.
    se : array_like of float, shape (k,)
        Standard errors on the same scale, all positive.
    group : array_like of str or number, shape (k,)
        The subgroup of each study. Subgroups are sorted, unless a pandas categorical orders them.
    tau2 : {"common", "separate"}
        Whether all subgroups share one between-study variance, or each has its own.
    measure : str
        Scale of `estimate`, as in `pool_effects`.
    tau2_method : str
        Estimator of tau2 by name, as in `pool_effects`.
    ci_method : {"wald", "t", "HK", "mHK"}
        Interval of each subgroup. With a common tau2 it counts all studies: t on k less the number of subgroups.
    prediction_method : str
        Convention of the prediction intervals, as in `pool_effects`, by the studies of each subgroup.
    study : iterable of str, optional
        Labels, so that complaints and tables name the study.

    Returns
    -------
    SubgroupComparison
        Frozen. Ask it for each subgroup, the test of their difference, frames, or a plot.

    Raises
    ------
    InvalidInputError
        If lengths differ, a value is not finite, a standard error is not positive, a study has no subgroup, there is
        one subgroup only, a name is unknown, or tau2 is to be common and every subgroup has one study.
    ConvergenceError
        If an iterative estimator does not arrive; the last value is in ``.last``.

    Warns
    -----
    FewStudiesWarning
        A subgroup has one study; or, with separate tau2, fewer than five.
    NarrowIntervalWarning
        A Knapp-Hartung interval is narrower than the common-effect one, or undefined.

    Notes
    -----
    The test asks whether the effects :math:`\hat\mu_g` are equal, :math:`Q_b = \sum_g (\hat\mu_g - \bar\mu)^2 / s_g^2`
    with :math:`\bar\mu` weighted by :math:`1 / s_g^2`; chi-squared on their number less one [1]_. With a common tau2
    it is the test of a meta-regression on the subgroups: :math:`s_g` is then the standard error by `ci_method`,
    and unless that is "wald" the test is F. With separate tau2 :math:`s_g` is the Wald standard error
    whatever `ci_method` is.

    References
    ----------
    .. [1] Borenstein M, Hedges LV, Higgins JPT, Rothstein HR (2009). Introduction to meta-analysis. Wiley,
       Chichester. Chapter 19.

    Examples
    --------
    Trials of BCG vaccination (Colditz 1994), near the equator and far from it:

    >>> import numpy as np
    >>> log_rr = [-0.889, -1.585, -1.348, -1.442, -0.218, -0.786, -1.621, 0.012, -0.469, -1.371, -0.339, 0.446, -0.017]
    >>> variance = [0.326, 0.195, 0.415, 0.020, 0.051, 0.007, 0.223, 0.004, 0.056, 0.073, 0.012, 0.533, 0.071]
    >>> latitude = np.array([44, 55, 42, 52, 13, 44, 19, 13, 27, 42, 18, 33, 33])
    >>> zone = np.where(latitude < 40, "below 40", "above 40")
    >>> print(compare_subgroups(log_rr, se=np.sqrt(variance), group=zone))
    Effect by subgroup, common tau2 by REML, CI by mHK, k = 13 in 2 subgroups
      subgroup   k  estimate  95% CI              tau2   I2
      above 40   6     -1.19  [-1.58, -0.807]   0.0835  75%
      below 40   7    -0.273  [-0.604, 0.0581]  0.0835  72%
      overall   13    -0.714  [-1.11, -0.320]    0.313  92%
      difference between subgroups  F 15.85 on 1 and 11 df, p = 0.002   R2 73%
    """
    y, s = _validate.array_1d(estimate, "estimate"), _validate.array_1d(se, "se")
    _validate.same_length(y, "estimate", s, "se")
    names = _validate.labels(study, y.size)
    y, s = _validate.finite_1d(y, "estimate", labels=names), _validate.positive_1d(s, "se", labels=names)
    _validate.choice(tau2, "tau2", get_args(Sharing))
    _validate.choice(tau2_method, "tau2_method", TAU2_ESTIMATORS)
    _validate.choice(ci_method, "ci_method", COEFFICIENT_ERRORS)
    groups, member = _groups(group, names)

    def pooled(kept: BoolArray) -> PooledEffect:
        with warnings.catch_warnings():  # what matters here is said below, once and with the subgroup's name
            warnings.simplefilter("ignore", NetsynthWarning)
            return pool_effects(
                y[kept],
                se=s[kept],
                measure=measure,
                tau2_method=tau2_method,
                ci_method=ci_method,
                prediction_method=prediction_method,
                study=[name for name, keep in zip(names, kept, strict=True) if keep],
            )

    overall = pooled(np.ones(y.size, dtype=np.bool_))
    design, v = member.T.astype(np.float64), s**2
    if tau2 == "common":
        if y.size <= len(groups):
            raise InvalidInputError(
                f"{len(groups)} subgroups of one study each leave nothing to estimate a common tau2 from. "
                "Merge subgroups, or use tau2='separate'."
            )
        between = TAU2_ESTIMATORS[tau2_method](y, v, design)
        shared = np.asarray(between.tau2)
        if not between.converged:
            raise ConvergenceError(f"tau2 by {tau2_method} did not converge.", last=float(shared))
        fit = weighted_regression(y, v + shared, design)
        error = COEFFICIENT_ERRORS[ci_method](fit.q, residual_df(v, design))
        variances = np.diagonal(fit.covariance) * error.scale
        results = tuple(
            _member(overall, kept, float(mean), float(variance), float(error.df), float(shared))
            for kept, mean, variance in zip(member, fit.coefficient, variances, strict=True)
        )
    else:
        results = tuple(pooled(kept) for kept in member)
    return SubgroupComparison(
        groups=groups,
        results=results,
        overall=overall,
        common_tau2=tau2 == "common",
        warnings=_doubts(groups, results, tau2),
    )


def _groups(group: npt.ArrayLike, study: tuple[str, ...]) -> tuple[tuple[str, ...], BoolArray]:
    """Names of the subgroups and, a row each, which studies belong to them."""
    read = read_moderators({"group": group}, place=study)
    values = read.columns["group"]
    if len(values) != len(study):
        raise InvalidInputError(
            f"estimate and group must have the same length; got {len(study)} and {len(values)}."
        )
    levels = read.levels.get("group") or tuple(np.unique(values).tolist())
    names = tuple(level if isinstance(level, str) else f"{level:g}" for level in levels)
    if len(levels) < 2:
        raise InvalidInputError(f"All studies are in subgroup {names[0]!r}; there is nothing to compare.")
    return names, np.array([values == level for level in levels])


def _member(
    overall: PooledEffect, kept: BoolArray, mean: float, variance: float, df: float, tau2: float
) -> PooledEffect:
    """The effect of a subgroup that shares its tau2 with the others."""
    y, s = overall.study_estimate[kept], overall.study_se[kept]
    weight = 1.0 / (s**2 + tau2)
    weight = weight / weight.sum()
    for array in (y, s, weight):
        array.setflags(write=False)
    return PooledEffect(
        measure=overall.measure,
        estimate=mean,
        se=float(np.sqrt(variance)),
        df=df,
        tau2=tau2,
        q=float(q_statistic(y, s**2)),
        k=y.size,
        tau2_method=overall.tau2_method,
        ci_method=overall.ci_method,
        prediction_method=overall.prediction_method,
        study=tuple(name for name, keep in zip(overall.study, kept, strict=True) if keep),
        study_estimate=y,
        study_se=s,
        weight=weight,
    )


def _doubts(groups: tuple[str, ...], results: tuple[PooledEffect, ...], tau2: Sharing) -> tuple[Caution, ...]:
    """Warn of subgroups too small for what is done with them, and of intervals that claim too much."""
    said = []
    named = list(zip(groups, results, strict=True))
    single = [name for name, result in named if not result.pooled]
    if single:
        one = "has one study" if len(single) == 1 else "have one study each"
        stands = "; its tau2 is taken as zero" if tau2 == "separate" else ""
        message = f"{_format.listing(single)} {one}, so nothing is pooled there{stands}."
        said.append(caution(FewStudiesWarning, message, stacklevel=_USER))
    few = [name for name, result in named if 1 < result.k < _ENOUGH and result.tau2_method != "CE"]
    if few and tau2 == "separate":
        has = "has" if len(few) == 1 else "have"
        message = (
            f"{_format.listing(few)} {has} fewer than {_ENOUGH} studies, too few for a tau2 of their own. "
            "Compare with tau2='common'."
        )
        said.append(caution(FewStudiesWarning, message, stacklevel=_USER))
    for name, result in named:
        if result.ci_method != "HK" or (tau2 == "separate" and not result.pooled):
            continue
        half = float(critical_value(result.df, 0.95)) * result.se
        share = half / float(critical_value(np.inf, 0.95) * (1.0 / result.study_se**2).sum() ** -0.5)
        if np.isnan(share):
            message = "The effects are equal, so the HK interval is undefined. Use ci_method='mHK'."
        elif share < 1:
            message = (
                f"The 95% HK interval is {share:.2f} times as wide as the common-effect one, because the effects agree "
                "better than chance lets expect. Use ci_method='mHK'."
            )
        else:
            continue
        said.append(caution(NarrowIntervalWarning, message, where=name, stacklevel=_USER))
    return tuple(said)
