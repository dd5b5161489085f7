r"""A pooled survival curve by a random-effects model of :math:`\ln(-\ln S)` at the times each study reports.

The model [1]_ [2]_ is :math:`y_i \sim N(X_i \beta, V_i + Z_i \Sigma Z_i')` with :math:`y_{ij} = \ln(-\ln S_i(t_{ij}))`,
a function of time :math:`x(t)'\beta` that may be smooth, and study effects that shift the curve, shift and tilt it, or
differ from time to time. Estimates of one study at several times rest on the same patients: with
:math:`G_j = \sum_{l \le j} (1 - p_l) / (p_l n_l)`, the Greenwood sum over conditional survivals p,

.. math:: \mathrm{Cov}(y_j, y_l) = G_{\min(j, l)} / (\ln S_j \ln S_l),

so that :math:`\ln S_l y_l - \ln S_{l-1} y_{l-1}` are independent with the variances of one interval each: nothing
larger than one study's results by the few study effects is ever inverted.

Arrays have shape (k, m), studies by reported times in order, nan where a study reports nothing.

References
----------
.. [1] Dear KBG (1994). Iterative generalized least squares for meta-analysis of survival data at multiple times.
   Biometrics 50:989-1002.
.. [2] Arends LR, Hunink MGM, Stijnen T (2008). Meta-analysis of summary survival curve data. Stat Med 27:4381-4396.
   https://doi.org/10.1002/sim.3311
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from netsynth._typing import FloatArray, IntArray
from netsynth.kernels import multivariate
from netsynth.kernels.covariance_structures import STRUCTURES, CovarianceStructure, Structure
from netsynth.kernels.multivariate_fit import psi_likelihood
from netsynth.kernels.random_lines import (
    Reduced,
    fit_lines,
    is_estimable,
    line_log_likelihood,
    psi_of_lines,
    reduced,
)
from netsynth.kernels.time_functions import TimeFunction, TimeShape, falling, time_function

#: "none" is the common-effect model; a name of a structure lets effects differ from time to time.
RandomPart = Literal["none", "intercept", "slope"] | CovarianceStructure
EvaluatedAt = Literal["study", "mean", "observed"]

_MAX_ITERATIONS: Final = 200
#: Largest change of a fitted log(-log) survival at which the iteration has arrived.
_TOLERANCE: Final = 1e-8
#: Distance within which two points at which it arrived are one.
_SAME_PLACE: Final = 1e-6
#: Turns after which the way is taken in shorter and shorter steps.
_PATIENCE: Final = 40
#: Earlier turns from which the next is extrapolated.
_MEMORY: Final = 3


class LogLogCurve(NamedTuple):
    r"""A fitted curve, as made by `fit_loglog_curve`; `curve_at` reads it at any time.

    Attributes
    ----------
    curve : TimeFunction
        The function of time of the mean curve.
    coefficient : ndarray, shape (q,)
        Its coefficients :math:`\beta`.
    covariance : ndarray, shape (q, q)
        Their covariance, with that between studies taken as known.
    effect : TimeFunction
        The function of time of the study effects: its rows are those of Z. A "linear" one is a line around
        ``effect.centre``, a log time; with random intercepts only its first column counts.
    sigma : ndarray, shape (r, r)
        Covariance :math:`\Sigma` of the study effects: of the intercept at ``effect.centre`` and the slope in
        :math:`\ln t`, or of the effects at each reported time. nan where it
        cannot be estimated, as from one study or from as many coefficients as results, and without a random part.
    tau2 : float
        Variance between studies of the intercept, or its mean over the reported times.
    is_singular : bool
        Whether :math:`\Sigma` lies on its boundary: no variance, or a correlation of one.
    log_likelihood, log_likelihood_reml, aic : float
        At :math:`\Sigma`, given the sampling covariances used. Models are compared by them only if they were fitted
        with the same sampling covariances, "observed" for instance.
    q, q_df : float, int
        Cochran's Q of the common-effect model with its sampling covariance at its own curve, and estimates less
        coefficients.
    k : int
        Studies that contribute.
    df : float
        Degrees of freedom for t intervals of the mean curve, k - 1; a prediction interval has one less.
    grid, n_studies : ndarray, shape (g,)
        Reported times in order, and studies that report each.
    y, fitted : ndarray, shape (k, m)
        Estimates after the correction, and the values at which their sampling covariance was evaluated, both on the
        log(-log) scale; nan where nothing is reported or usable.
    within : ndarray, shape (k, m, m)
        The sampling covariances used; nan where nothing is reported or usable.
    rising : ndarray, shape (n, 2)
        Intervals of time in which the fitted survival rises, as a curve cannot; no rows when there are none.
    converged : bool
        Whether curve and sampling covariances came to agree, and each search for a maximum arrived.
    n_iterations : int
    """

    curve: TimeFunction
    coefficient: FloatArray
    covariance: FloatArray
    effect: TimeFunction
    sigma: FloatArray
    tau2: float
    is_singular: bool
    log_likelihood: float
    log_likelihood_reml: float
    aic: float
    q: float
    q_df: int
    k: int
    df: float
    grid: FloatArray
    n_studies: IntArray
    y: FloatArray
    fitted: FloatArray
    within: FloatArray
    rising: FloatArray
    converged: bool
    n_iterations: int


class CurveAt(NamedTuple):
    """A curve on the log(-log) scale: estimate (g,), its covariance (g, g), and that of true curves (g, g)."""

    estimate: FloatArray
    covariance: FloatArray
    between: FloatArray


class _Reports(NamedTuple):
    """Usable results moved to the left of each row, shape (k, m): filled with harmless numbers on the right.

    `place` tells where in the row of the caller each stood; `number` is that at risk at the start of each interval and
    `entered` the same before patients died.
    """

    here: npt.NDArray[np.bool_]
    place: IntArray
    time: FloatArray
    y: FloatArray
    number: FloatArray
    entered: FloatArray


def _packed(time: FloatArray, survival: FloatArray, effective: FloatArray) -> _Reports:
    gone = np.minimum.accumulate(np.where(np.isnan(survival), 1.0, survival), axis=1) <= 0
    after_the_last_death = np.concatenate([np.zeros((len(gone), 1), dtype=np.bool_), gone[:, :-1]], axis=1)
    here = np.isfinite(time + survival + effective) & ~after_the_last_death
    width = max(int(here.sum(1).max(initial=0)), 1)
    place = np.argsort(~here, axis=1, kind="stable")[:, :width]
    here = np.take_along_axis(here, place, axis=1)

    def taken(values: FloatArray, filler: float) -> FloatArray:
        return np.where(here, np.take_along_axis(values, place, axis=1), filler)

    t, s, entered = taken(time, 1.0), taken(survival, 0.5), taken(effective, 1.0)
    before = np.concatenate([np.ones((len(s), 1)), s[:, :-1]], axis=1)
    number = np.where(here, entered * before, 1.0)
    p = np.where(here, s / np.where(before > 0, before, 1.0), 0.5)
    corrected = np.cumprod((number * np.minimum(p, 1.0) + 0.25) / (number + 0.5), axis=1)
    return _Reports(here, place, t, np.log(-np.log(corrected)), number, entered)


class _Sampling(NamedTuple):
    """Cumulated hazards at which the sampling covariance is evaluated, and the variance of each interval."""

    hazard: FloatArray
    variance: FloatArray


def _sampling(data: _Reports, theta: FloatArray | None) -> _Sampling:
    """At fitted values, with as many survivors as they say; or, if None, at the estimates and the survivors seen."""
    number = data.number
    if theta is None:
        hazard = np.exp(data.y)
        p = np.exp(-np.diff(hazard, axis=1, prepend=0.0))
        return _Sampling(hazard, (1.0 - p) / (p * (number + 0.5)))
    # an interval without deaths, or with no survivors, as fitted is none of which the estimates could be had
    least, most = np.log((number + 0.5) / (number + 0.25)), np.log((number + 0.5) / 0.25)
    steps = np.clip(np.diff(np.exp(theta), axis=1, prepend=0.0), least, most)
    hazard = np.cumsum(np.where(data.here, steps, 0.0), axis=1)
    return _Sampling(hazard, np.diff(np.exp(hazard), axis=1, prepend=1.0) / data.entered)


def _white(data: _Reports, sampling: _Sampling, values: FloatArray) -> FloatArray:
    """Rows (k, m, c) turned so that their sampling errors are independent with variance one; 0 where nothing is."""
    rows = sampling.hazard[..., None] * values
    steps = np.diff(rows, axis=1, prepend=0.0)
    root = np.where(data.here, np.sqrt(np.where(data.here, sampling.variance, 1.0)), np.inf)
    return np.asarray(steps / root[..., None])


def _reduced(data: _Reports, sampling: _Sampling, x: FloatArray, z: FloatArray) -> Reduced:
    scale, variance = (np.where(data.here, part, 1.0) for part in sampling)
    log_det = float((np.log(variance) - 2.0 * np.log(scale)).sum())
    y = _white(data, sampling, data.y[..., None])[..., 0]
    return reduced(_white(data, sampling, x), _white(data, sampling, z), y, log_det, x * data.here[..., None])


def _covariance(data: _Reports, sampling: _Sampling) -> FloatArray:
    """Sampling covariance of each study, shape (k, m, m); nan where nothing is."""
    sums = np.cumsum(np.where(data.here, sampling.variance, 0.0), axis=1)
    order = np.arange(sums.shape[1])
    hazard = np.where(data.here, sampling.hazard, np.nan)
    return np.asarray(sums[:, np.minimum.outer(order, order)] / (hazard[:, :, None] * hazard[:, None, :]))


class _State(NamedTuple):
    """One fit given the sampling covariances; `theta` (k, m) are the studies' own fitted values."""

    coefficient: FloatArray
    covariance: FloatArray
    sigma: FloatArray
    theta: FloatArray
    arrived: bool
    heights: tuple[float, float]
    q: float


def _fit_lines(
    data: _Reports,
    sampling: _Sampling,
    x: FloatArray,
    z: FloatArray,
    start: FloatArray | None,
    *,
    restricted: bool,
) -> _State:
    """With no, one or two random effects, from the moments; `z` without columns is the common effect."""
    parts = _reduced(data, sampling, x, z)
    sigma, arrived = np.zeros((0, 0)), True
    if z.shape[-1]:
        sigma, arrived = psi_of_lines(parts, restricted=restricted, start=start)
    fit = fit_lines(parts, sigma)
    theta = x @ fit.coefficient + (z @ fit.effect[..., None])[..., 0]
    heights = [float(line_log_likelihood(parts, fit, restricted=each)) for each in (False, True)]
    return _State(
        fit.coefficient, fit.covariance, sigma, theta, arrived, (heights[0], heights[1]), float(fit.q)
    )


def _fit_times(
    data: _Reports,
    sampling: _Sampling,
    x: FloatArray,
    z: FloatArray,
    structure: Structure,
    start: FloatArray | None,
    *,
    restricted: bool,
) -> _State:
    """With an effect at each reported time, by the multivariate model; `z` are the rows of an identity."""
    k, p = len(x), z.shape[-1]
    place = z.argmax(-1)
    y, design = np.zeros((k, p)), np.zeros((k, p, x.shape[-1]))
    within = np.where(np.eye(p) > 0, np.inf, np.zeros((k, p, p)))
    study, column = np.nonzero(data.here)
    y[study, place[study, column]] = data.y[study, column]
    design[study, place[study, column]] = x[study, column]
    study, row, column = np.nonzero(data.here[:, :, None] & data.here[:, None, :])
    covariance = _covariance(data, sampling)
    within[study, place[study, row], place[study, column]] = covariance[study, row, column]
    between = psi_likelihood(y, within, design, structure, restricted=restricted, start=start)
    fit = multivariate.gls(y, within, design, between.psi)
    own = multivariate.study_effects(y, within, design, between.psi).effect
    heights = [
        float(multivariate.log_likelihood(y, within, design, between.psi, restricted=each))
        for each in (False, True)
    ]
    return _State(
        fit.coefficient,
        fit.covariance,
        between.psi,
        np.take_along_axis(own, place, axis=1),
        bool(between.converged),
        (heights[0], heights[1]),
        float(fit.q),
    )


def fit_loglog_curve(
    time: npt.ArrayLike,
    survival: npt.ArrayLike,
    effective: npt.ArrayLike,
    *,
    curve: TimeShape = "spline",
    df: int = 3,
    random: RandomPart = "intercept",
    method: Literal["REML", "ML"] = "REML",
    evaluated_at: EvaluatedAt = "study",
) -> LogLogCurve:
    r"""Fit the model of the module, with sampling covariances evaluated at the fit, in turns until both agree.

    Conditional survivals enter as :math:`(n p + 1/4) / (n + 1/2)` with n at risk at the start of the interval, so that
    a survival of 0 or 1, or one equal to that before, has a place on the scale and a variance.

    Parameters
    ----------
    time : array_like of float, shape (m,) or (k, m)
        Positive, increasing in each row; nan where a study reports nothing.
    survival : array_like of float, shape (k, m)
        Probabilities that do not rise; nan where a study reports nothing. What follows a survival of 0 is left out.
    effective : array_like of float, shape (k, m)
        From `netsynth.kernels.effective_numbers`; a result without one is left out.
    curve : {"factor", "linear", "spline"}
        Mean curve: a value for each reported time, linear in :math:`\ln t` (Weibull), or a natural cubic spline of it.
    df : int
        Coefficients of a spline besides the intercept; fewer when there are few distinct times.
    random : str
        "none"; "intercept", a shift of the whole curve, which is a hazard ratio; "slope", a line in :math:`\ln t`;
        or the name of a covariance structure of effects at each reported time, such as "unstructured", for
        few times that most studies report.
    method : {"REML", "ML"}
    evaluated_at : {"study", "mean", "observed"}
        Survival at which the sampling covariance is evaluated: what the model predicts for each study, the mean curve,
        or the estimates themselves. Variances at the estimates go with them, which biases their mean.

    Returns
    -------
    LogLogCurve

    Examples
    --------
    Three studies of 40 patients, all followed to the end, at different times.

    >>> from netsynth.kernels.effective_numbers import effective_numbers
    >>> time = [[12, 36, np.nan], [24, 60, np.nan], [12, 24, 60]]
    >>> survival = [[0.85, 0.60, np.nan], [0.65, 0.40, np.nan], [0.80, 0.70, 0.45]]
    >>> fit = fit_loglog_curve(time, survival, effective_numbers(survival, 40, maturity=1), curve="linear")
    >>> at = curve_at(fit, [12.0, 36.0, 60.0])
    >>> np.exp(-np.exp(at.estimate)).round(2).tolist()
    [0.81, 0.58, 0.43]
    """
    s = np.asarray(survival, dtype=np.float64)
    t, n = (np.broadcast_to(np.asarray(part, dtype=np.float64), s.shape) for part in (time, effective))
    data = _packed(t, s, n)
    reported = data.time[data.here]
    mean = time_function(reported, curve, df)
    structure = None if random == "none" or random == "intercept" or random == "slope" else STRUCTURES[random]
    effect = time_function(reported, "linear" if structure is None else "factor", 1)
    k = int(data.here.any(1).sum())
    rank = 0 if random == "none" else 1 if random == "intercept" else effect.size
    x = np.where(data.here[..., None], mean.columns(data.time), 0.0)
    z = np.where(data.here[..., None], effect.columns(data.time)[..., :rank], 0.0)

    estimable = bool(rank) and is_estimable(_reduced(data, _sampling(data, None), x, z))

    def common_fit(at: _Sampling, _start: FloatArray | None) -> _State:
        return _fit_lines(data, at, x, z[..., :0], None, restricted=method == "REML")

    def random_fit(at: _Sampling, start: FloatArray | None) -> _State:
        if structure is not None and rank > 1:
            return _fit_times(data, at, x, z, structure, start, restricted=method == "REML")
        return _fit_lines(data, at, x, z, start, restricted=method == "REML")

    common = _iterated(data, x, common_fit, evaluated_at)
    found = _iterated(data, x, random_fit, evaluated_at) if estimable else common
    state = found.state
    n_sigma = 0 if not estimable else rank * (rank + 1) // 2
    if estimable and structure is not None and rank > 1:
        n_sigma = structure.n_parameters(rank)
    sigma = state.sigma if estimable else np.full((max(rank, 1), max(rank, 1)), np.nan)
    grid = np.exp(time_function(reported, "factor", 1).knots)
    which = np.abs(data.time[..., None] - grid).argmin(-1)
    return LogLogCurve(
        curve=mean,
        coefficient=state.coefficient,
        covariance=state.covariance,
        effect=effect,
        sigma=sigma,
        tau2=float(np.diag(sigma).mean() if structure is not None else sigma[0, 0]),
        is_singular=bool(estimable and multivariate.is_singular(sigma)),
        log_likelihood=state.heights[0],
        log_likelihood_reml=state.heights[1],
        aic=2.0 * (mean.size + n_sigma - state.heights[method == "REML"]),
        q=common.state.q,
        q_df=int(data.here.sum()) - mean.size,
        k=k,
        df=float(k - 1),
        grid=grid,
        n_studies=np.bincount(which[data.here], minlength=grid.size),
        y=_back(data, data.y, s.shape),
        fitted=_back(data, np.log(np.where(data.here, found.sampling.hazard, 1.0)), s.shape),
        within=_back_both(data, _covariance(data, found.sampling), s.shape),
        rising=falling(mean, state.coefficient),
        converged=found.agreed,
        n_iterations=found.n_iterations,
    )


class _Iterated(NamedTuple):
    """The last fit with the sampling covariances it used, and whether they agree."""

    state: _State
    sampling: _Sampling
    agreed: bool
    n_iterations: int


def _iterated(
    data: _Reports,
    x: FloatArray,
    fit: Callable[[_Sampling, FloatArray | None], _State],
    evaluated_at: EvaluatedAt,
) -> _Iterated:
    """Fit and evaluate in turns, until what is fitted is where it was evaluated.

    A study that is fitted lower has a smaller variance and is fitted higher in its turn, so plain turns may go to and
    fro for ever: each next point is that of the last few at which both would agree if they depended on each other in
    a straight line (Anderson's method).
    """
    sampling = _sampling(data, None)
    state = fit(sampling, None)
    if evaluated_at == "observed":
        return _Iterated(state, sampling, state.arrived, 1)
    points: list[FloatArray] = []
    targets: list[FloatArray] = []
    checked = np.full(data.y.shape, np.inf)
    point, checking = _target(data, x, state, evaluated_at), False
    for iteration in range(2, _MAX_ITERATIONS + 1):
        sampling = _sampling(data, point)
        state = fit(sampling, None if checking else state.sigma)
        target = _target(data, x, state, evaluated_at)
        arrived = np.abs(target - point).max() < _TOLERANCE
        # a higher summit seen from here counts for nothing if it led back to here
        if arrived and (checking or np.abs(point - checked).max() < _SAME_PLACE):
            return _Iterated(state, sampling, state.arrived, iteration)
        if checking:
            points, targets = [], []
        checking = bool(arrived)  # once more, with a search from all places for a higher summit
        if arrived:
            checked = point
            continue
        points, targets = [*points[-_MEMORY:], point], [*targets[-_MEMORY:], target]
        share = _PATIENCE / (iteration + _PATIENCE)  # small steps end where long ones go round for ever
        point = _next_point(points, targets) if iteration <= _PATIENCE else point + share * (target - point)
    return _Iterated(state, sampling, False, _MAX_ITERATIONS)


def _target(data: _Reports, x: FloatArray, state: _State, evaluated_at: EvaluatedAt) -> FloatArray:
    """Where the sampling covariance is evaluated next."""
    theta = x @ state.coefficient if evaluated_at == "mean" else state.theta
    return np.where(data.here, theta, 0.0)


def _next_point(points: list[FloatArray], targets: list[FloatArray]) -> FloatArray:
    """The combination of targets whose distances from their points cancel, as nearly as they can."""
    moves = [target - point for point, target in zip(points, targets, strict=True)]
    if len(moves) == 1:
        return points[0] + 0.5 * moves[0]
    before = np.stack([(moves[-1] - move).ravel() for move in moves[:-1]], axis=-1)
    share = np.linalg.lstsq(before, moves[-1].ravel(), rcond=1e-8)[0]
    return np.asarray(
        targets[-1] - sum(s * (targets[-1] - other) for s, other in zip(share, targets[:-1], strict=True))
    )


def _back(data: _Reports, values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Values where the caller has them, nan elsewhere."""
    whole = np.full(shape, np.nan)
    study, column = np.nonzero(data.here)
    whole[study, data.place[study, column]] = values[study, column]
    return whole


def _back_both(data: _Reports, values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Matrices of studies where the caller has them, nan elsewhere."""
    whole = np.full((*shape, shape[-1]), np.nan)
    study, row, column = np.nonzero(data.here[:, :, None] & data.here[:, None, :])
    whole[study, data.place[study, row], data.place[study, column]] = values[study, row, column]
    return whole


def curve_at(fit: LogLogCurve, time: npt.ArrayLike) -> CurveAt:
    r"""The mean curve at any times, with its covariance and that of true curves of studies around it.

    Between reported times an effect of each time is interpolated in :math:`\ln t`.

    Parameters
    ----------
    fit : LogLogCurve
    time : array_like of float, shape (g,)

    Returns
    -------
    CurveAt
        nan before the first and after the last reported time; `between` is nan where it was not estimated.
    """
    t = np.asarray(time, dtype=np.float64)
    x = fit.curve.columns(t)
    z = fit.effect.columns(t)[..., : len(fit.sigma)]
    return CurveAt(x @ fit.coefficient, x @ fit.covariance @ x.T, z @ fit.sigma @ z.T)
