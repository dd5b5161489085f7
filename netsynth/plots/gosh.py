"""GOSH plot: heterogeneity against the estimate, over subsets of the studies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from netsynth import _validate
from netsynth._typing import BoolArray, FloatArray
from netsynth.kernels.scales import MEASURES
from netsynth.plots import _style
from netsynth.plots._key import Key, Sample
from netsynth.plots._style import LINE, Look
from netsynth.results.gosh import SubsetEffects

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["gosh_plot"]

WIDTH: Final = 3.4  # inches the plot itself gets when the figure is ours
HEIGHT: Final = 2.6
LEAST: Final = (1.2, 1.0)
LEFT: Final = 0.56  # inches left of the plot for its ticks and label
AXIS: Final = 0.22  # inches under the plot for the ticks
SIDE: Final = 0.45  # inches of the histograms at the top and to the right
APART: Final = 0.05  # inches between the plot and its histograms
BINS: Final = (90, 60)  # of the cloud, across and up; histograms have half as many
FEW: Final = 500  # up to so many subsets are marks, more are an image
LARGEST: Final = 230.0  # logarithm of a ratio, beyond which there are no ticks
FAINTEST: Final = 0.25  # opacity of a single subset
WITH: Final = _style.VERMILION
WITHOUT: Final = _style.BLUE


def gosh_plot(result: SubsetEffects, *, study: str | None = None, ax: Axes | None = None) -> Axes:
    """Cloud of the subsets, I2 against the estimate, with a histogram of each.

    Parameters
    ----------
    result : SubsetEffects
        From `gosh`.
    study : str, optional
        The study by which subsets are coloured; by default the one that separates them most.
    ax : Axes, optional
        Axes whose whole area the plot may use, text included; by default a new figure of the size needed.

    Returns
    -------
    Axes
        The axes with the cloud, on the scale of pooling across (log for ratios, so labels are ratios) and I2
        in percent up; the histograms are its ``child_axes``. Where there are many subsets, colour tells
        which share of them holds the study, and its strength how many lie there, on a log scale. Subsets of one
        study have no I2 and are left out.

    Raises
    ------
    InvalidInputError
        If the study is not one of the pooled ones, or the axes are too small for the text.

    References
    ----------
    .. [1] Olkin I, Dahabreh IJ, Trikalinos TA (2012). GOSH: a graphical display of study heterogeneity. Res
       Synth Methods 3:214-223. https://doi.org/10.1002/jrsm.1053

    Examples
    --------
    >>> from netsynth.subsets import gosh
    >>> from netsynth.pool import pool_effects
    >>> pooled = pool_effects([-0.51, -0.12, -0.33, 0.4], se=[0.18, 0.10, 0.15, 0.2], measure="log_hr")
    >>> ax = gosh_plot(gosh(pooled))
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('Hazard ratio', 'I², %')
    """
    names = result.overall.study
    chosen = result.most if study is None else _validate.choice(study, "study", names)
    measure, several = MEASURES[result.overall.measure], result.k > 1
    if measure.kind == "probability":
        across, centre = 100 * result.natural[several], 100 * result.overall.natural
    else:  # the scale of pooling is that of the axis: the log of a ratio, or a difference itself
        across, centre = result.estimate[several], result.overall.estimate
    i2 = 100 * result.i2[several]
    holds = result.members[several, names.index(chosen)]
    label = f"{measure.label}, %" if measure.kind == "probability" else measure.label
    with _style.style():
        total = LEFT + WIDTH + APART + SIDE if ax is None else _style.area(ax)[0]
        key = Key((("", _samples(_style.one_line(chosen))),), total)
        note = _style.wrapped(_note(result), total, size=_style.SMALL)
        foot = AXIS + LINE + 0.1 + key.height + 0.05 + LINE * len(note)
        if ax is None:
            ax = _style.new_axes(total, HEIGHT + APART + SIDE + foot)
        room = {"left": LEFT, "right": APART + SIDE, "head": APART + SIDE, "foot": foot}
        width, height = _style.make_room(ax, **room, least=LEAST)
        margin = 0.03 * float(np.ptp(across)) or 0.5
        low, high = float(across.min()) - margin, float(across.max()) + margin
        ax.set_xlim(low, high)
        ax.set_ylim(-2.0, 102.0)
        if across.size <= FEW:
            for part, colour in ((~holds, WITHOUT), (holds, WITH)):
                ax.plot(across[part], i2[part], ls="", marker="o", ms=3, color=colour, mec="none", alpha=0.7)
        else:
            _cloud(ax, across, i2, holds)
        _style.frame(ax, y_axis=True)
        _ticks(ax, measure.is_ratio, low, high, width)
        _style.axis_label(ax, [_style.one_line(label)])
        ax.plot(
            [centre],
            [100 * result.overall.i2],
            marker="D",
            ms=5,
            color=_style.INK,
            mec="white",
            mew=0.6,
            zorder=5,
        )
        top = ax.inset_axes((0.0, 1.0 + APART / height, 1.0, SIDE / height))
        side = ax.inset_axes((1.0 + APART / width, 0.0, SIDE / width, 1.0))
        _histogram(top, across, holds, ax.get_xlim(), upright=True)
        _histogram(side, i2, holds, ax.get_ylim(), upright=False)
        key.draw(ax, -LEFT, -AXIS - LINE - 0.1)
        _style.write_lines(ax, note, -LEFT, -AXIS - LINE - 0.15 - key.height)
    return ax


def _samples(study: str) -> tuple[Sample, ...]:
    square: Look = {"ls": "", "marker": "s", "ms": 5, "mec": "none"}
    return (
        Sample(f"subsets with {study}", ({**square, "color": WITH},)),
        Sample("without it", ({**square, "color": WITHOUT},)),
        Sample("all studies", ({"ls": "", "marker": "D", "ms": 4.5, "color": _style.INK, "mec": "none"},)),
    )


def _note(result: SubsetEffects) -> str:
    overall, n = result.overall, int((result.k > 1).sum())
    model = "common effect" if overall.tau2_method == "CE" else f"random effects, τ² by {overall.tau2_method}"
    which = "All" if result.complete else "Random"
    darker = "; darker where more subsets lie" if n > FEW else ""
    return f"{which} subsets of two or more of {overall.k} studies ({n:,}); {model}{darker}."


def _cloud(ax: Axes, x: FloatArray, y: FloatArray, holds: BoolArray) -> None:
    """An image whose colour mixes those with and without, and whose opacity grows with the log of the count."""
    from matplotlib.colors import to_rgb

    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    window = ((bottom, top), (left, right))
    counts = np.stack(
        [np.histogram2d(y[part], x[part], bins=BINS[::-1], range=window)[0] for part in (holds, ~holds)]
    )
    n = counts.sum(axis=0)
    share = np.divide(counts[0], n, out=np.zeros_like(n), where=n > 0)
    image = np.empty((*n.shape, 4))
    image[..., :3] = share[..., None] * to_rgb(WITH) + (1 - share[..., None]) * np.array(to_rgb(WITHOUT))
    depth = np.log1p(n) / np.log1p(max(float(n.max()), 1.0))
    image[..., 3] = np.where(n > 0, FAINTEST + (1 - FAINTEST) * depth, 0.0)
    ax.imshow(
        image,
        origin="lower",
        extent=(left, right, bottom, top),
        aspect="auto",
        interpolation="nearest",
        zorder=2,
    )


def _histogram(
    ax: Axes, values: FloatArray, holds: BoolArray, limits: tuple[float, float], *, upright: bool
) -> None:
    bins = np.linspace(*limits, BINS[0 if upright else 1] // 2 + 1)
    tallest = 0.0
    for part, colour in ((~holds, WITHOUT), (holds, WITH)):
        counts, edges = np.histogram(values[part], bins)
        lying: Literal["vertical", "horizontal"] = "vertical" if upright else "horizontal"
        ax.stairs(counts, edges, orientation=lying, fill=True, color=colour, alpha=0.45, lw=0)
        ax.stairs(counts, edges, orientation=lying, color=colour, lw=0.8)
        tallest = max(tallest, float(counts.max(initial=0)))
    (ax.set_xlim if upright else ax.set_ylim)(*limits)
    (ax.set_ylim if upright else ax.set_xlim)(0.0, 1.05 * tallest or 1.0)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.patch.set_visible(False)
    _style.frame(ax, x_axis=upright, y_axis=not upright)
    ax.tick_params(bottom=False, left=False, labelbottom=False, labelleft=False)


def _ticks(ax: Axes, is_ratio: bool, low: float, high: float, width: float) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    if is_ratio and high - low < math.log(4):
        even = _style.even_ticks(math.exp(low), math.exp(high))
        candidates = [[math.log(tick) for tick in ticks if tick > 0] for ticks in even]
        _style.set_ticks(ax, candidates, _ratio_text, width)
    elif is_ratio:
        first, last = (
            math.floor(max(low, -LARGEST) / math.log(10)),
            math.ceil(min(high, LARGEST) / math.log(10)),
        )
        wide = [
            [
                math.log(d) + e * math.log(10)
                for e in range(step * (first // step), last + 1, step)
                for d in digits
            ]
            for digits, step in (((1, 2, 5), 1), ((1, 3), 1), *(((1,), step) for step in (1, 3, 10, 30, 50)))
        ]
        candidates = [[tick for tick in ticks if low <= tick <= high] for ticks in wide]
        _style.set_ticks(ax, candidates, _ratio_text, width)
    else:
        _style.set_ticks(ax, _style.even_ticks(low, high), _style.tick_text, width)
    ax.yaxis.set_major_locator(FixedLocator([0, 25, 50, 75, 100]))
    ax.yaxis.set_major_formatter(FixedFormatter(["0", "25", "50", "75", "100"]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylabel("I², %", fontsize=_style.FONT_SIZE, color=_style.INK, labelpad=2.5, fontfamily=_style.FONT)


def _ratio_text(log_ratio: float) -> str:
    return _style.tick_text(float(f"{math.exp(log_ratio):.6g}"))  # rounding took the last digits
