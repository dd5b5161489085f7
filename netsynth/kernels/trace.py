r"""From the points of a Kaplan-Meier picture to the line they were read from.

Points come in the order in which the curve was followed. Each coordinate has its own error, so each is
made monotone by itself along that order: times never go back, survival never rises. The line through
the result is what the picture shows. Exact corners of steps, as a drawing made of vectors gives them,
are kept as steps.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from scipy.special import chdtrc

from netsynth._typing import BoolArray, FloatArray, IntArray

_ROUNDS: Final = 3  # of weights against outliers; the third moves nothing that can be seen
_OUTLIER: Final = 3.0  # in standard deviations: residuals beyond it count less, as their inverse square
_NINE_TENTHS: Final = 1.645  # standard deviations within which nine tenths lie
_CLICK: Final = 0.002  # what a click is usually off in survival, and
_CLICK_TIME: Final = 0.003  # in time, as a share of the axis
_READING: Final = 0.01  # of the axis: how far a click may be off in time
#: Corners are taken for exact when a chance agreement with the lattice of n is rarer than this.
_CHANCE: Final = 1e-4


class Trace(NamedTuple):
    """A line that never rises, with vertical pieces where it has corners.

    Attributes
    ----------
    time, survival : ndarray, shape (q,)
        Corners; the first is at time 0 and survival 1. Times never fall, survival never rises.
    noise : float
        Standard deviation of survival at a point.
    time_noise : float
        Standard deviation of the time of a point.
    is_steps : bool
        Whether the corners are those of the estimate itself.
    in_whole_units : bool
        Whether it falls at whole units of time only.
    """

    time: FloatArray
    survival: FloatArray
    noise: float
    time_noise: float
    is_steps: bool
    in_whole_units: bool = False

    def before(self, time: FloatArray) -> FloatArray:
        """Survival just before the times."""
        # of corners at one time, interp takes the last
        return np.asarray(np.interp(-time, -self.time[::-1], self.survival[::-1]))

    def after(self, time: FloatArray) -> FloatArray:
        """Survival at the times, any step there taken."""
        return np.asarray(np.interp(time, self.time, self.survival))

    def time_at(self, level: FloatArray) -> FloatArray:
        """When survival passes the levels; the middle of the time it stays there."""
        first = np.interp(level, self.survival[::-1], self.time[::-1])
        last = np.interp(-level, -self.survival, self.time)
        return np.asarray(0.5 * (first + last))


def resolution(survival: FloatArray) -> float:
    """Half a unit of the last decimal in which the values are given, at least that of eight decimals.

    Examples
    --------
    >>> resolution(np.array([1.0, 0.97, 0.9]))
    0.005
    """
    for decimals in range(8):
        scaled = survival * 10.0**decimals
        if np.abs(scaled - np.round(scaled)).max() < 1e-6:
            return float(0.5 * 10.0**-decimals)
    return 0.5e-8


def have_exact_corners(time: FloatArray, survival: FloatArray, n: int) -> bool:
    r"""Whether points are corners of the steps themselves and no clicks near them.

    Corners never go back. If they hold both ends of each step, neighbours share a coordinate. If they hold
    the lower ends alone, no fall is smaller than a share 1/n of those alive, and either survival
    runs through multiples of 1/n, as it must until a patient is censored, or the falls are multiples of a
    unit that grows slowly: :math:`h_j = d_j / (n \varphi_j)` with whole :math:`d_j` and
    :math:`\varphi` the share not yet censored.
    """
    forward, fall = np.diff(time), -np.diff(survival)
    if time.size < 4 or (forward < 0).any() or (fall < 0).any():
        return False
    if ((forward == 0) & (fall > 0)).any() and ((forward == 0) | (fall == 0)).all():
        return True
    if (forward == 0).any() or (fall[:-1] == 0).any():
        return False
    falls = fall[fall > 0]
    if (falls / survival[: falls.size]).min() * n < 0.9:
        return False
    half = 1.01 * resolution(survival)
    whole = time.size > 8 and (time[:-1] == np.round(time[:-1])).all()
    if whole and half < 1e-4 and (half > 1e-7 or np.ptp(forward[:-1]) > 0):
        return True
    off = np.abs(survival * n - np.round(survival * n)) / n > half
    on_lattice = (int(np.argmax(off)) if off.any() else off.size) - 1
    if min(1.0, 2 * n * half) ** on_lattice < _CHANCE:
        return True
    surprise, df, share = 0.0, 0, 1.0
    for fall_j, before in zip(falls.tolist(), survival.tolist(), strict=False):
        n_fall = n * fall_j
        d = max(1.0, round(share * n_fall))
        r = d * before / fall_j  # at risk, a whole number as well
        for distance, precision in (
            (abs(share * n_fall - d), 2.0 * share * n * half),
            (abs(r - round(r)), 2.0 * r * r * half / (d * before)),
        ):
            if precision < 0.25:  # else nearly any value would be near a whole number
                surprise -= 2.0 * math.log(2.0 * max(distance, precision))
                df += 2
        share = min(share, 0.7 * share + 0.3 * d / n_fall)
    return df > 0 and float(chdtrc(df, surprise)) < _CHANCE


def steps(time: FloatArray, survival: FloatArray, end: float) -> Trace:
    """The staircase through exact corners, flat up to `end`."""
    low = np.append(time[1:] > time[:-1], True)  # the lower end of each vertical piece
    time, survival = time[low], survival[low]
    falls = np.append(True, survival[1:] < survival[:-1]) & (survival < 1)
    at, level = time[falls], survival[falls]
    corners = np.concatenate([[0.0], np.repeat(at, 2), [max(end, time[-1])]])
    heights = np.repeat(np.concatenate([[1.0], level]), 2)
    return Trace(corners, heights, resolution(survival) / np.sqrt(3.0), 0.0, True)


def line(time: FloatArray, survival: FloatArray, end: float) -> Trace:
    """The line through clicks, both coordinates monotone along their order, flat up to `end`."""
    floor = resolution(survival) / np.sqrt(3.0)
    level, noise = _monotone(-survival, floor, max(floor, _CLICK))
    at, time_noise = _monotone(time, 1e-6 * max(end, 1e-300), _CLICK_TIME * end)
    x, s = np.clip(at, 0.0, end), np.clip(-level, 0.0, 1.0)
    x = np.concatenate([[0.0], x, [end]])
    return Trace(x, np.concatenate([[1.0], s, s[-1:]]), noise, time_noise, False)


def misfit(values: FloatArray) -> float:
    """Root of the mean squared distance of values from the nearest that never fall."""
    from scipy.optimize import isotonic_regression

    return float(np.sqrt(np.mean((values - isotonic_regression(values).x) ** 2)))


def _monotone(values: FloatArray, floor: float, usual: float) -> tuple[FloatArray, float]:
    """Values made never to fall by least squares, outliers weighing less, and the noise they had, at least `floor`."""
    from scipy.optimize import isotonic_regression

    weight = _weights(values - _running_median(values), usual)
    for _ in range(_ROUNDS):
        fit = isotonic_regression(values, weights=weight)
        residual = values - fit.x
        free = values.size - (fit.blocks.size - 1)
        noise = float(np.sqrt((weight * residual**2).sum() / free)) if free > 2 else floor
        before, weight = weight, _weights(residual, usual)
        if (weight == before).all():
            break
    return fit.x, max(noise, floor)


def _weights(residual: FloatArray, usual: float) -> FloatArray:
    """1 but for outliers, beyond three times the usual error or what all but a tenth of the points show."""
    size = np.abs(residual)
    place = 0.9 * (size.size - 1)
    below, above = math.floor(place), math.ceil(place)
    ordered = np.partition(size, (below, above))  # np.quantile takes ten times as long on few points
    most = float(ordered[below] + (place - below) * (ordered[above] - ordered[below]))
    spread = max(usual, most / _NINE_TENTHS)
    return 1.0 / np.maximum(1.0, size / (_OUTLIER * spread)) ** 2


def _running_median(values: FloatArray) -> FloatArray:
    """Median of five neighbours, which leaves monotone values as they are and outliers behind."""
    padded = np.concatenate([values[:1], values[:1], values, values[-1:], values[-1:]])
    return np.asarray(np.partition(np.lib.stride_tricks.sliding_window_view(padded, 5), 2, axis=-1)[:, 2])


def falls_on_whole_units(trace: Trace, n: int) -> bool:
    r"""Whether the falls of a line stand at whole units of time, as when the data are kept in days or years.

    Falls are read where two neighbouring corners of the line are nearer than half a unit and the fall is more
    than noise. The mean of :math:`\cos 2 \pi t` over the middles of falls is then held against that of times
    spread evenly, which is 0 with standard deviation :math:`1 / \sqrt{2 k}`.
    """
    width, fall = np.diff(trace.time), -np.diff(trace.survival)
    sharp: BoolArray = (width < 0.5) & (fall > np.maximum(3.0 * trace.noise, 0.5 / n))
    middle = 0.5 * (trace.time[1:] + trace.time[:-1])[sharp]
    if middle.size < 8 or middle[-1] - middle[0] < 5:
        return False
    whole = float(np.mean(np.cos(2 * np.pi * middle)))
    return bool(whole > max(0.3, 4.0 / np.sqrt(2 * middle.size)))


def with_falls_at_whole_units(trace: Trace) -> Trace:
    """The line with every fall moved to the nearest whole unit of time, and its levels halfway between units."""
    end = float(trace.time[-1])
    unit = np.arange(0.0, np.floor(end + 0.5) + 1.0)
    level = trace.after(np.minimum(unit + 0.5, end))
    falls = np.append(True, level[1:] < level[:-1]) & (level < 1.0)
    at = np.minimum(unit[falls], end)
    corners = np.concatenate([[0.0], np.repeat(at, 2), [end]])
    heights = np.repeat(np.concatenate([[1.0], level[falls]]), 2)
    return trace._replace(time=corners, survival=heights, in_whole_units=True)


class Brackets(NamedTuple):
    """Limits of survival just before times, arrays of shape (k,); the lower may be above the upper."""

    lower: FloatArray
    upper: FloatArray


def clicked_brackets(trace: Trace, time: FloatArray) -> Brackets:
    """What the clicks say of survival at times: it lies between the one clearly before and the one clearly after.

    Between its corners a line of clicks is a guess. Exact steps leave nothing open.
    """
    if trace.is_steps:
        known = trace.before(time)
        return Brackets(known, known)
    reach = max(3.0 * trace.time_noise, _READING * float(trace.time[-1]))
    earlier = np.searchsorted(trace.time, time - reach, "right") - 1
    later = np.searchsorted(trace.time, time + reach, "left")
    upper = np.where(earlier >= 0, trace.survival[np.maximum(earlier, 0)], 1.0)
    return Brackets(trace.survival[np.minimum(later, trace.time.size - 1)], upper)


def table_brackets(trace: Trace, time: FloatArray, n_at_risk: IntArray) -> Brackets:
    """The same, narrowed by numbers at risk: of n at survival S at most n S' / S are left at S'."""
    clicked = clicked_brackets(trace, time)
    lower, upper = clicked.lower.copy(), clicked.upper.copy()
    lower[0] = upper[0] = 1.0
    n = n_at_risk.astype(np.float64)
    for i in range(time.size - 1, 1, -1):
        if n[i] > 0.0:
            upper[i - 1] = min(upper[i - 1], upper[i] * n[i - 1] / n[i])
    for i in range(1, time.size):
        if n[i - 1] > 0.0:
            lower[i] = max(lower[i], lower[i - 1] * n[i] / n[i - 1])
    return Brackets(lower, upper)


def bent_to_table(trace: Trace, time: FloatArray, n_at_risk: IntArray) -> Trace:
    """The line of clicks moved at numbers at risk that it would not allow, no farther than the clicks around let it be.

    Events tied at a table time, which belong after it, are then not taken for earlier ones.
    """
    limits = table_brackets(trace, time, n_at_risk)
    at, level = trace.time.copy(), trace.survival.copy()
    last = 1.0
    for i in range(1, time.size):
        t = float(time[i])
        if n_at_risk[i - 1] <= 0 or t > at[-1]:
            break
        line = float(trace._replace(time=at, survival=level).before(np.array([t]))[0])
        wanted = max(line, last * n_at_risk[i] / n_at_risk[i - 1])
        low, high = float(limits.lower[i]), float(limits.upper[i])
        last = min(max(wanted, low), high) if low <= high else line
        if abs(last - line) > 1e-12:
            place = int(np.searchsorted(at, t, "left"))
            at = np.concatenate([at[:place], [t], at[place:]])
            level = np.concatenate([np.maximum(level[:place], last), [last], np.minimum(level[place:], last)])
    return trace._replace(time=at, survival=level)
