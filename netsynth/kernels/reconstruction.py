r"""A curve from printed figures by any method, and how its answers move with them.

The sampling error of an answer, whatever the method, is found by moving the figures: conditional survivals
:math:`p_j` over the intervals are independent with :math:`\mathrm{Var}(\ln \hat p_j) = (1 - p_j) / (p_j n_j)`, so each
is moved up and down by a small part of its standard error, the whole curve is made again, and the squares of what the
answer moves add up. What the method itself adds, between the figures and after them, is the spread of the curves that
other families would give, with Akaike's weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple, TypeAlias, cast, get_args

import numpy as np

from netsynth._typing import FloatArray
from netsynth.kernels.composed import After, Mixture, Until, warped
from netsynth.kernels.curves import CURVES, TAILS, Continued, Curve, CurveMethod, TailName
from netsynth.kernels.families import FamilyName
from netsynth.kernels.grouped import Fragments, GroupedFit
from netsynth.kernels.model_average import (
    ModelName,
    candidates,
    family,
    fit_all,
    fit_near,
    weights,
)

AverageName = Literal["average", "blend"]
Method: TypeAlias = CurveMethod | FamilyName | Literal["royston_parmar"] | AverageName
Tail: TypeAlias = TailName | FamilyName | Literal["royston_parmar", "average"]
#: Every method and every tail, by name.
FAMILY_NAMES: Final[tuple[ModelName, ...]] = (*get_args(FamilyName), "royston_parmar")
METHODS: Final[tuple[Method, ...]] = (*CURVES, *FAMILY_NAMES, "average", "blend")
TAIL_NAMES: Final[tuple[Tail, ...]] = tuple(dict.fromkeys((*TAILS, *FAMILY_NAMES, "average")))
#: Of a standard error: where answers are straight lines, and errors of the searches are nothing.
_STEP: Final = 0.05


class Figures(NamedTuple):
    """What a curve is made of.

    Attributes
    ----------
    time : ndarray, shape (m,)
        Of the points that an interpolating curve passes through.
    survival : ndarray, shape (m,)
        There.
    fragments : Fragments
        What was printed, for the likelihood. Times may be more than the points: limits that are open.
    n_figures : int
        How many printed numbers there are to determine parameters by.
    stop : float, optional
        Up to where a curve that need not pass through the figures is known: the end of the rounding of a median
        that is the last figure. By default the last time.
    """

    time: FloatArray
    survival: FloatArray
    fragments: Fragments
    n_figures: int
    stop: float | None = None


class Built(NamedTuple):
    """A curve, and the fits behind it."""

    curve: Curve
    fits: Mapping[ModelName, GroupedFit]


class Member(NamedTuple):
    """A curve that another family would have given, and its weight."""

    weight: float
    curve: Curve


def families_needed(method: Method, tail: Tail | None, n_figures: int) -> tuple[ModelName, ...]:
    """Families that a curve by this method and with this tail has to fit."""
    if {method, tail} & {"average", "blend"}:
        return candidates(n_figures)
    return tuple(name for name in FAMILY_NAMES if name == method or (name == tail and name not in TAILS))


def build(
    method: Method, tail: Tail | None, figures: Figures, fits: Mapping[ModelName, GroupedFit] | None = None
) -> Built:
    """The curve of a method with its tail, known up to the last point when there is none.

    Examples
    --------
    >>> s = np.array([0.83, 0.705, 0.42])
    >>> report = Fragments(np.array([3.0, 5, 10]), s, s, s, 100 * np.array([1.0, 0.83, 0.705]))
    >>> curve = build("lognormal", None, Figures(report.time, s, report, 3)).curve
    >>> curve.time_at(np.log([2.0])).round(3).tolist(), curve.area(np.array([10.0])).round(4).tolist()
    ([8.229], [7.0543])
    """
    if fits is None:
        fits = fit_all(families_needed(method, tail, figures.n_figures), figures.fragments)
    whole: dict[Method, Curve] = {name: _whole(name, found, figures) for name, found in fits.items()}
    if {method, tail} & {"average", "blend"}:
        whole["average"] = Mixture(tuple(whole.values()), weights(fits))
    return Built(_assembled(method, tail, figures, whole), fits)


def members(built: Built, method: Method, tail: Tail | None, figures: Figures) -> list[Member]:
    """Curves that the families would give in place of the one built; none for the curve of a single family."""
    if method in FAMILY_NAMES and tail != "average":
        return []
    names = candidates(figures.n_figures)
    fits = {name: found for name, found in built.fits.items() if name in names}
    fits |= fit_all([name for name in names if name not in fits], figures.fragments)
    found = []
    for name, weight in zip(fits, weights(fits), strict=True):
        if weight < 1e-6:
            continue
        whole: dict[Method, Curve] = {other: _whole(other, fit, figures) for other, fit in built.fits.items()}
        whole["average"] = _whole(name, fits[name], figures)
        body: Method = method if method in (*FAMILY_NAMES, "average") else "blend"
        found.append(Member(float(weight), _assembled(body, tail, figures, whole)))
    return found


def _whole(name: ModelName, fit: GroupedFit, figures: Figures) -> Curve:
    return family(name, figures.fragments.time).curve(fit.theta)


def _assembled(method: Method, tail: Tail | None, figures: Figures, whole: Mapping[Method, Curve]) -> Curve:
    time, survival, last = figures.time, figures.survival, float(figures.time[-1])
    body: Curve
    if method in CURVES:
        body = CURVES[cast(CurveMethod, method)](time, survival)
    elif method == "blend":
        body = warped(whole["average"], time, survival)
    else:
        body = Until(whole[method], last if figures.stop is None else figures.stop)
        survival = np.exp(-body.cumulative_hazard(time))
    if tail is None or survival[-1] == 0:
        return body
    if tail in TAILS:
        return Continued(body, TAILS[cast(TailName, tail)](time, survival), last)
    reached = float(body.cumulative_hazard(np.array([last]))[0])
    return Continued(body, After(whole[tail], last, reached), last)


def moved(built: Built, method: Method, tail: Tail | None, figures: Figures) -> list[Curve]:
    """The curves that figures moved up and down would give, two for each interval one after the other."""
    moves = _moves(figures.fragments)
    at_points = np.searchsorted(figures.fragments.time, figures.time)
    parts = figures.fragments

    def move(shares: FloatArray) -> FloatArray:
        return np.clip(shares * np.exp(moves), 0.0, 1.0)

    moved = Fragments(
        parts.time,
        move(parts.survival),
        move(parts.lower),
        move(parts.upper),
        np.broadcast_to(parts.number, moves.shape),
    )
    batch = fit_near(built.fits, moved)

    def again(row: int) -> Curve:
        fits = {
            name: GroupedFit(
                found.theta[row], found.log_likelihood[row], found.covariance[row], found.converged[row]
            )
            for name, found in batch.items()
        }
        survival = np.clip(figures.survival * np.exp(moves[row, at_points]), 0.0, 1.0)
        one = Fragments(
            parts.time, moved.survival[row], moved.lower[row], moved.upper[row], moved.number[row]
        )
        changed = figures._replace(survival=survival, fragments=one)
        return build(method, tail, changed, fits).curve

    return [again(row) for row in range(len(moves))]


def sampling_variance(curves: list[Curve], question: Callable[[Curve], FloatArray]) -> FloatArray:
    """Variance of answers, shape (q,), from the sampling error of the figures that were `moved`.

    `question` is put to each curve, on the scale on which the variance is wanted.
    """
    answers = np.stack([question(curve) for curve in curves])
    return np.asarray((((answers[::2] - answers[1::2]) / (2.0 * _STEP)) ** 2).sum(axis=0))


def _moves(fragments: Fragments) -> FloatArray:
    """Shifts of log survival, shape (2 m, m): each interval's up and down by a part of its standard error."""
    before = np.concatenate([[1.0], fragments.survival[:-1]])
    with np.errstate(divide="ignore", invalid="ignore"):
        p = fragments.survival / before
        error = np.sqrt((1.0 - p) / (p * fragments.number))
    error = np.where((p > 0) & (p < 1), error, 0.0)
    up = np.minimum(_STEP * error, -0.5 * np.log(np.where((p > 0) & (p < 1), p, 1.0)))
    later = np.tril(
        np.ones((before.size, before.size))
    ).T  # what happens in an interval stays for all later ones
    return np.asarray(np.stack([up[:, None] * later, -up[:, None] * later], axis=1).reshape(-1, before.size))


def model_variance(
    found: list[Member], answer: FloatArray, question: Callable[[Curve], FloatArray]
) -> FloatArray:
    """Spread of the answers of other families about the one given, shape (q,)."""
    total = np.zeros(answer.shape)
    for weight, curve in found:
        total += weight * (question(curve) - answer) ** 2
    return total
