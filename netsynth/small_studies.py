"""Small-study effects: tests of asymmetry, trim-and-fill, and the effect at infinite size."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from netsynth import _format, _validate
from netsynth._typing import FloatArray
from netsynth.errors import (
    AsymmetryWarning,
    Caution,
    ConvergenceError,
    FewStudiesWarning,
    InvalidInputError,
    caution,
)
from netsynth.kernels.asymmetry import (
    ASYMMETRY_METHODS,
    PREDICTORS,
    Asymmetry,
    AsymmetryMethod,
    Count,
    Method,
    Predictor,
    Studies,
    limit_meta_analysis,
    mixed,
)
from netsynth.kernels.scales import MEASURES
from netsynth.kernels.tau2 import TAU2_ESTIMATORS, Tau2Estimator, Tau2Method, tau2_ce
from netsynth.kernels.trim_fill import MISSING_ESTIMATORS, MissingMethod
from netsynth.kernels.trim_fill import trim_and_fill as trimmed_and_filled
from netsynth.pool import pool_effects
from netsynth.results.asymmetry import AsymmetryTest, LimitEffect
from netsynth.results.pooled import PooledEffect, require_pooled
from netsynth.results.trim_fill import Side, TrimAndFill

__all__ = ["assess_asymmetry", "limit_effect", "trim_and_fill"]

_LEAST: Final = 3  # studies, below which a line leaves nothing to judge it by
_ENOUGH: Final = 10  # studies, as Sterne et al. (2011) advise, https://doi.org/10.1136/bmj.d4002
_FLAT: Final = 1e-9  # share of its largest value below which the spread of a predictor is rounding
_USER: Final = 4  # frames from `caution` up to the caller of the verb: caution, _doubts, the verb, its caller


def assess_asymmetry(
    pooled: PooledEffect,
    *,
    method: AsymmetryMethod = "egger",
    predictor: Predictor | None = None,
    tau2_method: Tau2Method | Tau2Estimator | None = None,
    n_events: npt.ArrayLike | None = None,
    n_total: npt.ArrayLike | None = None,
) -> AsymmetryTest:
    r"""Test whether small studies find other effects than large ones.

    Parameters
    ----------
    pooled : PooledEffect
        Three studies or more, from `pool_effects` and its siblings; the methods by which they were pooled do
        not matter unless `tau2_method` says so.
    method : str
        "egger": effects on their standard error, weights 1 / variance, t on k - 2 degrees of freedom.
        "mixed": the same line with the variance between studies added to their own, normal [2]_; "mixed_t": on t.
        "begg": rank correlation of effects and variances [3]_. "debray_fiv", for hazard ratios: effects on
        1 / events, weights 1 / variance; "debray_fav": weights by the events of the two arms [4]_. "macaskill"
        and "macaskill_pooled": effects on n. For two by two tables: "peters", "harbord", "schwarzer", "deeks".
        "egger_unweighted": for comparison.
    predictor : str, optional
        What effects depend on in "egger", "egger_unweighted", "mixed" and "mixed_t": "se", "variance", "n",
        "inverse_n", "sqrt_n", "inverse_sqrt_n", "inverse_events", "inverse_sqrt_effective_n" or "score_se". By
        default the standard error. The other methods have their own.
    tau2_method : str or callable, optional
        Estimator of the variance between studies for the mixed methods; by default that of `pooled`. A callable
        takes effects, variances and a design.
    n_events, n_total : array_like of int, shape (k,) or (k, 2), optional
        Patients with the event and all patients, of each study or of each of its two arms, the treated first.
        Methods that do not need them pass them over.

    Returns
    -------
    AsymmetryTest
        Frozen. The intercept is the effect of a study of infinite size, where the predictor vanishes with
        size.

    Raises
    ------
    InvalidInputError
        If there are fewer than three studies, a name is unknown, a predictor is given to a method with its own,
        counts are missing or cannot be, or a study has so few events that a method cannot use it.
    ConvergenceError
        If the estimator of tau2 does not arrive.

    Warns
    -----
    FewStudiesWarning
        Fewer than ten studies: the test sees next to nothing.
    AsymmetryWarning
        The measure is a probability, for which asymmetry is expected; or the test is undefined because all
        studies are of one size, or lie on a line.

    Notes
    -----
    The tests by a line fit :math:`y_i = a + b x_i` and test b [1]_. Asymmetry has many causes; that small studies
    of unwelcome results were not published is one.

    References
    ----------
    .. [1] Egger M, Davey Smith G, Schneider M, Minder C (1997). Bias in meta-analysis detected by a simple,
       graphical test. BMJ 315:629-634. https://doi.org/10.1136/bmj.315.7109.629
    .. [2] Thompson SG, Sharp SJ (1999). Explaining heterogeneity in meta-analysis: a comparison of methods.
       Stat Med 18:2693-2708.
    .. [3] Begg CB, Mazumdar M (1994). Operating characteristics of a rank correlation test for publication
       bias. Biometrics 50:1088-1101. https://doi.org/10.2307/2533446
    .. [4] Debray TPA, Moons KGM, Riley RD (2018). Detecting small-study effects and funnel plot asymmetry in
       meta-analysis of survival data: a comparison of new and existing tests. Res Synth Methods 9:41-50.
       https://doi.org/10.1002/jrsm.1266

    Examples
    --------
    >>> log_hr = [-0.92, -1.05, -0.24, -0.71, -0.51, 0.12, -0.55, -0.18, -0.32, -0.05, -0.16]
    >>> se = [0.41, 0.38, 0.33, 0.30, 0.26, 0.22, 0.19, 0.16, 0.12, 0.10, 0.09]
    >>> pooled = pool_effects(log_hr, se=se, measure="log_hr")
    >>> print(assess_asymmetry(pooled))
    Egger's test: Hazard ratio against standard error, k = 11
      slope              -1.98   95% CI [-3.66, -0.30]   t -2.66 on 9 df, p = 0.026
      at infinite size   1.06   95% CI [0.81, 1.38]
      dispersion         1.31
    """
    _validate.choice(method, "method", ASYMMETRY_METHODS)
    chosen = ASYMMETRY_METHODS[method]
    if predictor is not None:
        _validate.choice(predictor, "predictor", PREDICTORS)
        if not chosen.is_free:
            free = _format.listing(name for name, other in ASYMMETRY_METHODS.items() if other.is_free)
            raise InvalidInputError(
                f"method {method!r} has a predictor of its own; got predictor={predictor!r}. Those that take one "
                f"are {free}."
            )
    predictor = predictor or chosen.predictor
    _check_k(pooled, "A test of asymmetry")
    studies = _studies(pooled, method, chosen, predictor, n_events, n_total)
    name, estimator = _named(_wanted(pooled, tau2_method)) if chosen.is_mixed else ("", tau2_ce)

    x = np.sqrt(studies.variance) if predictor is None else PREDICTORS[predictor].of(studies)
    is_flat = np.ptp(x) <= _FLAT * np.abs(x).max()
    nothing = Asymmetry(*3 * (np.asarray(np.nan),))
    found = nothing if is_flat else chosen.test(studies, x, estimator)
    if not np.all(found.converged):
        raise ConvergenceError(f"tau2 by {name} did not converge.", last=float(found.tau2))

    return AsymmetryTest(
        method=method,
        predictor=predictor,
        pooled=pooled,
        statistic=float(found.statistic),
        df=float(found.df),
        pvalue=float(found.pvalue),
        slope=float(found.slope),
        slope_se=float(found.slope_se),
        intercept=float(found.intercept),
        intercept_se=float(found.intercept_se),
        dispersion=float(found.dispersion),
        tau2=float(found.tau2),
        tau2_method=name,
        rank_correlation=float(found.rank_correlation),
        score=float(found.score),
        score_se=float(found.score_se),
        exact=bool(found.exact),
        warnings=_doubts(pooled, predictor) + _undefined(found, predictor, is_flat=bool(is_flat)),
    )


def trim_and_fill(
    pooled: PooledEffect,
    *,
    estimator: MissingMethod = "L0",
    side: Literal["auto"] | Side = "auto",
    tau2_method: Tau2Method | Tau2Estimator | None = None,
) -> TrimAndFill:
    """Estimate how many studies are missing on one side of the funnel, and pool again with them.

    A study of sensitivity: the missing studies are mirror images, not data, and heterogeneity alone can make
    them.

    Parameters
    ----------
    pooled : PooledEffect
        Three studies or more. They are pooled by its methods, with and without the missing ones.
    estimator : {"L0", "R0", "Q0"}
        Estimator of the number of missing studies [1]_ [2]_.
    side : {"auto", "left", "right"}
        Where they are missing: among low effects, among high ones, or opposite to where small studies lie, by the
        sign of the slope on the standard error.
    tau2_method : str or callable, optional
        Estimator of the variance between studies; by default that of `pooled`. A callable takes effects,
        variances and, for side="auto", a design.

    Returns
    -------
    TrimAndFill
        Frozen. With the number and its error, both pooled effects, and the missing studies.

    Raises
    ------
    InvalidInputError
        If there are fewer than three studies, a name is unknown, the side cannot be told because all standard
        errors are the same, or Q0 is undefined.
    ConvergenceError
        If the iteration does not settle on a number; the last is in ``.last``.

    Warns
    -----
    FewStudiesWarning
        Fewer than ten studies.
    AsymmetryWarning
        The measure is a probability, for which asymmetry is expected.

    References
    ----------
    .. [1] Duval S, Tweedie R (2000). Trim and fill: a simple funnel-plot-based method of testing and adjusting for
       publication bias in meta-analysis. Biometrics 56:455-463.
       https://doi.org/10.1111/j.0006-341X.2000.00455.x
    .. [2] Duval S, Tweedie R (2000). A nonparametric "trim and fill" method of accounting for publication bias in
       meta-analysis. J Am Stat Assoc 95:89-98. https://doi.org/10.1080/01621459.2000.10473905

    Examples
    --------
    >>> log_hr = [-0.92, -1.05, -0.24, -0.71, -0.51, 0.12, -0.55, -0.18, -0.32, -0.05, -0.16]
    >>> se = [0.41, 0.38, 0.33, 0.30, 0.26, 0.22, 0.19, 0.16, 0.12, 0.10, 0.09]
    >>> pooled = pool_effects(log_hr, se=se, measure="log_hr")
    >>> print(trim_and_fill(pooled))
    Trim-and-fill (L0): Hazard ratio, missing studies on the right, k = 11
      missing            3 (se 2.25)
      pooled             0.74   95% CI [0.60, 0.91]   k = 11
      with the missing   0.80   95% CI [0.63, 1.02]   k = 14
    """
    _validate.choice(estimator, "estimator", MISSING_ESTIMATORS)
    _validate.choice(side, "side", ("auto", "left", "right"))
    _check_k(pooled, "Trim-and-fill")
    wanted = _wanted(pooled, tau2_method)
    _, tau2_estimator = _named(wanted)

    y, v = pooled.study_estimate, pooled.study_se**2
    towards = _side(pooled, tau2_estimator) if side == "auto" else side
    sign = -1.0 if towards == "right" else 1.0
    found = trimmed_and_filled(sign * y, v, tau2_estimator, MISSING_ESTIMATORS[estimator])
    if not found.defined:
        raise InvalidInputError(
            f"{estimator} is undefined for these studies: too many lie on one side of the mean. Use estimator='L0'."
        )
    if not found.converged:
        raise ConvergenceError(
            f"Trim-and-fill by {estimator} does not settle: the number of missing studies goes round between "
            f"{found.fewest} and {found.most}.",
            last=float(found.n_missing),
        )
    filled = np.isfinite(found.variance)
    estimate, se = sign * found.estimate[filled], np.sqrt(found.variance[filled])
    of = tuple(pooled.study[i] for i in found.source[filled])
    adjusted = pool_effects(
        np.concatenate([y, estimate]),
        se=np.concatenate([pooled.study_se, se]),
        measure=pooled.measure,
        tau2_method=wanted,
        ci_method=pooled.ci_method,
        prediction_method=pooled.prediction_method,
        study=(*pooled.study, *(f"Mirror image of {study}" for study in of)),
    )

    for array in (estimate, se):
        array.setflags(write=False)
    return TrimAndFill(
        estimator=estimator,
        side=towards,
        n_missing=int(found.n_missing),
        se=float(found.se),
        pvalue=float(found.pvalue),
        original=pooled,
        adjusted=adjusted,
        filled_study=of,
        filled_estimate=estimate,
        filled_se=se,
        warnings=_doubts(pooled, "se"),
    )


def limit_effect(pooled: PooledEffect) -> LimitEffect:
    r"""Effect of a study of infinite size, by a limit meta-analysis.

    Effects are drawn to the line by which they depend on their precision, and the line is followed to where the
    sampling error vanishes while the variance between studies, that of `pooled`, stays.

    Parameters
    ----------
    pooled : PooledEffect
        Three studies or more.

    Returns
    -------
    LimitEffect
        Frozen. The effect, what of Q is due to small-study effects, and G2, the share of the rest.

    Raises
    ------
    InvalidInputError
        If there are fewer than three studies.

    Warns
    -----
    FewStudiesWarning
        Fewer than ten studies.
    AsymmetryWarning
        The measure is a probability, for which asymmetry is expected; or all studies are equally precise.

    Notes
    -----
    :math:`y_i = \beta + \sqrt{v_i + \tau^2}\,(\alpha + \epsilon_i)` is fitted by least squares, and the effect is
    :math:`\beta + \tau\alpha` [1]_.

    References
    ----------
    .. [1] Rücker G, Schwarzer G, Carpenter JR, Binder H, Schumacher M (2011). Treatment-effect estimates adjusted
       for small-study effects via a limit meta-analysis. Biostatistics 12:122-142.
       https://doi.org/10.1093/biostatistics/kxq046

    Examples
    --------
    >>> log_hr = [-0.92, -1.05, -0.24, -0.71, -0.51, 0.12, -0.55, -0.18, -0.32, -0.05, -0.16]
    >>> se = [0.41, 0.38, 0.33, 0.30, 0.26, 0.22, 0.19, 0.16, 0.12, 0.10, 0.09]
    >>> pooled = pool_effects(log_hr, se=se, measure="log_hr")
    >>> print(limit_effect(pooled))
    Limit meta-analysis: Hazard ratio, tau2 by REML, k = 11
      pooled             0.74   95% CI [0.60, 0.91]
      at infinite size   0.94   95% CI [0.73, 1.20]
      G2                 89%   Q of small-study effects 9.28 on 1 df, left 11.79 on 9 df
    """
    _check_k(pooled, "A limit meta-analysis")
    y, v = pooled.study_estimate, pooled.study_se**2
    is_flat = bool(np.ptp(pooled.study_se) <= _FLAT * pooled.study_se.max())
    found = limit_meta_analysis(y, v, np.asarray(pooled.tau2))

    found.study.setflags(write=False)
    return LimitEffect(
        pooled=pooled,
        estimate=float(found.estimate),
        se=float(found.se),
        slope=float(found.slope),
        intercept=float(found.intercept),
        q_residual=float(found.q_residual),
        g2=float(found.g2),
        study_estimate=found.study,
        warnings=_doubts(pooled, "se") + ((_flat("se"),) if is_flat else ()),
    )


def _check_k(pooled: PooledEffect, what: str) -> None:
    require_pooled(pooled, what)
    if pooled.k < _LEAST:
        number = _format.plural(pooled.k, "study", "studies")
        raise InvalidInputError(f"{what} needs at least three studies; got {number}.")


def _wanted(
    pooled: PooledEffect, tau2_method: Tau2Method | Tau2Estimator | None
) -> Tau2Method | Tau2Estimator:
    """The estimator asked for, or else that of the pooled effect."""
    if tau2_method is None:
        for name in TAU2_ESTIMATORS:
            if name == pooled.tau2_method:
                return name
        raise InvalidInputError(
            f"The effects were pooled with an estimator of one's own, {pooled.tau2_method}; give it, or the name of "
            "another, as tau2_method."
        )
    if isinstance(tau2_method, str):
        _validate.choice(tau2_method, "tau2_method", TAU2_ESTIMATORS)
    return tau2_method


def _named(tau2_method: Tau2Method | Tau2Estimator) -> tuple[str, Tau2Estimator]:
    if isinstance(tau2_method, str):
        return tau2_method, TAU2_ESTIMATORS[tau2_method]
    return getattr(tau2_method, "__name__", type(tau2_method).__name__), tau2_method


def _studies(
    pooled: PooledEffect,
    name: AsymmetryMethod,
    method: Method,
    predictor: Predictor | None,
    n_events: npt.ArrayLike | None,
    n_total: npt.ArrayLike | None,
) -> Studies:
    """The studies with the counts that the test needs, checked, and no others."""
    wanted = [(method.needs, method.n_arms)]
    if predictor is not None:
        wanted.append((PREDICTORS[predictor].needs, PREDICTORS[predictor].n_arms))
    counts: dict[Count, tuple[FloatArray, ...]] = {}
    offered: dict[Count, npt.ArrayLike | None] = {"n_total": n_total, "n_events": n_events}
    for count, given in offered.items():
        arms = max((n for needs, n in wanted if count in needs), default=0)
        if arms:
            counts[count] = _counts(given, count, arms, pooled, name)
    events, total = counts.get("n_events", ()), counts.get("n_total", ())
    _check_events(pooled, name, events, total)
    return Studies(pooled.study_estimate, pooled.study_se**2, events, total)


def _counts(
    given: npt.ArrayLike | None, what: Count, n_arms: int, pooled: PooledEffect, method: AsymmetryMethod
) -> tuple[FloatArray, ...]:
    shape = f"({pooled.k}, 2), one row a study with a count for each arm"
    if n_arms == 1:
        shape = f"({pooled.k},), one count a study, or {shape}"
    if given is None:
        raise InvalidInputError(f"method {method!r} with its predictor needs {what}, of shape {shape}.")
    try:
        values = np.array(_validate.unmasked(given), dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidInputError(f"{what} must be whole numbers; got {given!r:.80}.") from None
    if values.shape not in [(pooled.k,), (pooled.k, 2)][n_arms - 1 :]:
        raise InvalidInputError(f"{what} must have shape {shape}; got shape {values.shape}.")
    minimum = 1 if what == "n_total" else 0
    arms = (values,) if values.ndim == 1 else (values[:, 0], values[:, 1])
    for arm in arms:
        for study, value in zip(pooled.study, arm, strict=True):
            _validate.count(value, what, where=study, minimum=minimum)
    return arms


def _check_events(
    pooled: PooledEffect,
    method: AsymmetryMethod,
    events: tuple[FloatArray, ...],
    total: tuple[FloatArray, ...],
) -> None:
    """Refuse events beyond the total, and studies whose counts leave nothing to weigh them by."""
    if not events:
        return
    if len(events) == len(total):
        for arm, n in zip(events, total, strict=True):
            for i in np.flatnonzero(arm > n):
                raise InvalidInputError(
                    f"{pooled.study[i]}: n_events cannot exceed n_total; got {arm[i]:g} of {n[i]:g}. Swapped?"
                )
    each = events if method == "debray_fav" else (sum(events[1:], events[0]),)
    none = np.any([arm == 0 for arm in each], axis=0)
    every = (each[0] == sum(total[1:], total[0])) if total else np.zeros(pooled.k, dtype=np.bool_)
    for i in np.flatnonzero(none | every):
        who = "every patient" if every[i] else "in one arm nobody" if len(each) == 2 else "nobody"
        raise InvalidInputError(
            f"{pooled.study[i]}: {who} had the event, which leaves method {method!r} nothing to weigh the study "
            "by. Pool without it, or use another method."
        )


def _side(pooled: PooledEffect, estimator: Tau2Estimator) -> Side:
    se = pooled.study_se
    if np.ptp(se) <= _FLAT * se.max():
        raise InvalidInputError(
            "All studies have the same standard error, so that none is small and side='auto' cannot tell the side. "
            "Give 'left' or 'right'."
        )
    slope = mixed(Studies(pooled.study_estimate, se**2), se, estimator, is_normal=True).slope
    return "right" if slope < 0 else "left"


def _doubts(pooled: PooledEffect, predictor: Predictor | None) -> tuple[Caution, ...]:
    said = []
    if pooled.k < _ENOUGH:
        message = f"{pooled.k} studies are too few to tell small-study effects from chance; ten are the usual minimum."
        said.append(caution(FewStudiesWarning, message, stacklevel=_USER))
    if MEASURES[pooled.measure].kind == "probability":
        message = (
            "A probability of one arm is neither significant nor not, so no study is missing for its result."
        )
        if predictor in ("se", "variance"):
            message += (
                " Its standard error depends on the probability, so that a funnel is asymmetric of itself. Test "
                "against the number of patients, and look for results that were selected by time point."
            )
        said.append(caution(AsymmetryWarning, message, stacklevel=_USER))
    return tuple(said)


def _undefined(found: Asymmetry, predictor: Predictor | None, *, is_flat: bool) -> tuple[Caution, ...]:
    if is_flat:
        return (_flat(predictor or "se"),)
    if np.isnan(found.statistic):
        message = "The effects lie on a line, or do not differ, so that the test is undefined."
        return (caution(AsymmetryWarning, message, stacklevel=_USER),)
    return ()


def _flat(predictor: Predictor) -> Caution:
    message = f"All studies have the same {PREDICTORS[predictor].label}, so that small-study effects cannot be seen."
    return caution(AsymmetryWarning, message, stacklevel=_USER)
