"""A backend without a window, figures that are closed, and the look at a figure that all tests share."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import Affine2D, Bbox

mpl.use("Agg")

SMALLEST = 6.5  # points
SLACK = 0.75  # pixels at 150 dpi, a two-hundredth of an inch: what hinting moves a letter


@pytest.fixture(autouse=True)
def _closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


def drawn_texts(figure: Figure) -> list[Text]:
    """The texts that reach the canvas, which says more than that they are among the artists."""
    found: list[Text] = []
    original = Text.draw

    def draw(self, renderer, *args, **kwargs):
        if self.get_visible() and self.get_text().strip():
            found.append(self)
        return original(self, renderer, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", draw)
        figure.draw_without_rendering()
    return found


def corners(text: Text) -> np.ndarray:
    """The four corners of a text in pixels, turned with it."""
    angle, is_anchored = text.get_rotation(), text.get_rotation_mode() == "anchor"
    if not is_anchored:
        return text.get_window_extent().corners()[[0, 1, 3, 2]]
    text.set_rotation(0)
    flat = text.get_window_extent().corners()[[0, 1, 3, 2]]
    text.set_rotation(angle)
    anchor = text.get_transform().transform(text.get_position())
    return Affine2D().rotate_deg_around(*anchor, angle).transform(flat)


def gap(first: np.ndarray, second: np.ndarray) -> float:
    """The widest gap in pixels between two convex outlines along one of their sides; negative if they overlap."""
    widest = -np.inf
    for outline in (first, second):
        sides = np.roll(outline, -1, axis=0) - outline
        for side in sides[np.hypot(*sides.T) > 0]:
            normal = np.array([side[1], -side[0]]) / np.hypot(*side)
            a, b = first @ normal, second @ normal
            widest = max(widest, a.min() - b.max(), b.min() - a.max())
    return float(widest)


def strokes(line: Line2D) -> Iterator[tuple[Path, Bbox]]:
    """What a line and its marks cover, in pixels, each with the box around it."""
    path = line.get_transform().transform_path(line.get_path())
    points = path.vertices[np.isfinite(path.vertices).all(axis=1)]
    if line.get_linestyle() not in ("None", "") and len(points) > 1:
        yield Path(points), Bbox([points.min(axis=0), points.max(axis=0)])
    if line.get_marker() not in ("None", None):
        half = 0.5 * line.get_markersize() * line.figure.dpi / 72
        for point in points:
            box = Bbox([point - half, point + half])
            yield Path(box.corners()[[0, 1, 3, 2, 0]]), box


def crossed(figure: Figure, texts: list[Text], outlines: list[np.ndarray]) -> Iterator[str]:
    """Texts with a line or mark on them, unless that is cut off at the edge of the axes before."""
    boxes = [Bbox([outline.min(axis=0) + SLACK, outline.max(axis=0) - SLACK]) for outline in outlines]
    mins, maxs = np.array([box.min for box in boxes]), np.array([box.max for box in boxes])
    for line in (line for ax in figure.axes for line in ax.lines):
        inside = np.array(
            [not line.get_clip_on() or line.axes.bbox.padded(-1).overlaps(box) for box in boxes]
        )
        for path, around in strokes(line):
            near = (mins <= around.max).all(axis=1) & (maxs >= around.min).all(axis=1)
            for i in np.flatnonzero(near & inside):
                if path.intersects_bbox(boxes[i], filled=False):
                    yield f"{texts[i].get_text()!r} is crossed"


def faults(figure: Figure, *, marks: bool) -> list[str]:
    """What a reader would stumble over."""
    texts = drawn_texts(figure)
    outlines = [corners(text) for text in texts]
    found = [
        f"{text.get_text()!r} has {text.get_fontsize():g} pt"
        for text in texts
        if text.get_fontsize() < SMALLEST
    ]
    width, height = figure.canvas.get_width_height()
    for text, outline in zip(texts, outlines, strict=True):
        (left, bottom), (right, top) = outline.min(axis=0), outline.max(axis=0)
        if min(left, bottom) < -SLACK or right > width + SLACK or top > height + SLACK:
            found.append(f"{text.get_text()!r} leaves the figure")
    boxes = np.array([[*outline.min(axis=0), *outline.max(axis=0)] for outline in outlines])
    near = (boxes[:, None, :2] < boxes[None, :, 2:]).all(axis=-1)
    for i, j in np.argwhere(np.triu(near & near.T, 1)):
        if gap(outlines[i], outlines[j]) < -SLACK:
            found.append(f"{texts[i].get_text()!r} and {texts[j].get_text()!r} overlap")
    if marks:
        found += crossed(figure, texts, outlines)
    return found


@pytest.fixture
def readable() -> Callable[..., None]:
    """Assert that nothing overlaps, nothing leaves the figure, and all letters are large enough."""

    def check(ax: Axes, *, marks: bool = True) -> None:
        assert faults(ax.figure.figure, marks=marks) == []

    return check


@pytest.fixture
def drawn() -> Callable[[Figure], list[Text]]:
    """The texts that reach the canvas."""
    return drawn_texts


@pytest.fixture
def saved() -> Callable[[Axes, str], bytes]:
    """The file that a figure makes, without its date."""
    from netsynth.plots import style

    def save(ax: Axes, suffix: str) -> bytes:
        buffer = io.BytesIO()
        dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": None}
        with style():
            ax.figure.figure.savefig(buffer, format=suffix, metadata=dates[suffix])
        return buffer.getvalue()

    return save
