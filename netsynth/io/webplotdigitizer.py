"""Projects of WebPlotDigitizer: JSON, alone or in a tar archive, with the points as values or as pixels."""

from __future__ import annotations

import json
import math
import tarfile
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, BinaryIO, Final

import numpy as np

from netsynth._typing import FloatArray
from netsynth.io.problems import Problems, shown
from netsynth.io.traces import Series, Trace

#: The member of an archive that holds the project, and how large it may be.
MEMBER: Final = "wpd.json"
MAX_BYTES: Final = 256 * 2**20


class _AxesError(Exception):
    """Axes that cannot be used: what was found, and what is allowed."""


def project_in_tar(stream: BinaryIO, file: str, problems: Problems) -> bytes:
    """The project in an archive; nothing else is read from it, and nothing is unpacked."""
    try:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            found = [
                member for member in archive if member.name.rpartition("/")[2] == MEMBER and member.isreg()
            ]
            if len(found) == 1 and found[0].size <= MAX_BYTES:
                content = archive.extractfile(found[0])
                return content.read() if content else b""
            what = f"{len(found)} files {MEMBER}" if len(found) != 1 else f"{MEMBER} of {found[0].size} bytes"
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        what = f"an archive that cannot be read ({error})"
    problems.add(
        file, None, "", what, f"a project of WebPlotDigitizer: one {MEMBER}, of {MAX_BYTES} bytes at most"
    )
    return b""


def project_series(text: str, file: str, problems: Problems) -> list[Series]:
    """The data sets of a project."""
    try:
        project = json.loads(text)
    except (ValueError, RecursionError) as error:
        problems.add(file, None, "", f"no JSON ({error})", "a project of WebPlotDigitizer")
        return []
    if isinstance(project, dict) and isinstance(
        old := project.get("wpd"), dict
    ):  # version 3: one system of axes
        parameters = old.get("axesParameters")
        axes = {"type": old.get("axesType"), "calibrationPoints": old.get("calibration")}
        axes |= parameters if isinstance(parameters, dict) else {}
        project = {"axesColl": [axes], "datasetColl": old.get("dataSeries")}
    datasets = project.get("datasetColl") if isinstance(project, dict) else None
    all_axes = project.get("axesColl") if isinstance(project, dict) else None
    if not isinstance(datasets, list) or not isinstance(all_axes, list):
        problems.add(file, None, "", "no datasetColl and axesColl", "a project of WebPlotDigitizer")
        return []
    found = []
    for number, dataset in enumerate(datasets, 1):
        points = dataset.get("data") if isinstance(dataset, dict) else None
        if not isinstance(points, list):
            problems.add(file, None, f"dataset {number}", "no list of points", "a list under data")
            continue
        name = dataset.get("name")
        name = name.strip() if isinstance(name, str) else ""
        axes = next(
            (one for one in all_axes if isinstance(one, dict) and one.get("name") == dataset.get("axesName")),
            {},
        )
        values = [_value(point) for point in points]
        n_pixels = values.count(None)
        where = f"dataset {number}" + (
            f", {n_pixels} of {len(points)} points from their pixels" if n_pixels else ""
        )
        read = partial(_trace, points, values, axes, file, f"dataset {shown(name) if name else number}")
        found.append(Series(name, where, read))
    return found


def _number(value: object) -> float:
    """A JSON number, nan for all else."""
    try:
        return float(value) if type(value) in (int, float) else math.nan  # type: ignore[arg-type]
    except OverflowError:
        return math.nan


def _value(point: object) -> tuple[float, float] | None:
    """The values that the project has for a point, None when it has none."""
    pair = point.get("value") if isinstance(point, dict) else None
    if not isinstance(pair, list) or len(pair) < 2:
        return None
    x, y = _number(pair[0]), _number(pair[1])
    return (x, y) if math.isfinite(x) and math.isfinite(y) else None


def _trace(
    points: Sequence[Any],
    values: Sequence[tuple[float, float] | None],
    axes: Mapping[str, Any],
    file: str,
    title: str,
    problems: Problems,
) -> Trace:
    """The points of a data set as values; those that the project has are not computed again."""
    found = np.array([pair or (math.nan, math.nan) for pair in values]).reshape(-1, 2)
    unknown = np.flatnonzero(np.isnan(found[:, 0]))
    pixels = np.full((unknown.size, 2), math.nan)
    for i, k in enumerate(unknown.tolist()):
        if isinstance(point := points[k], dict):
            pixels[i] = _number(point.get("x")), _number(point.get("y"))
    try:
        _check_axes(axes)
        if unknown.size:
            found[unknown] = from_pixels(pixels, axes)
    except _AxesError as error:
        problems.add(file, None, title, *error.args)
    else:
        for k in np.flatnonzero(~np.isfinite(found).all(axis=1)).tolist():
            allowed = "a value [x, y], or pixels x and y inside the axes"
            problems.add(file, None, f"{title}, point {k + 1}", shown(json.dumps(points[k])), allowed)
    return Trace(found[:, 0], found[:, 1], None)


def _check_axes(axes: Mapping[str, Any]) -> None:
    """Refuse what cannot hold a survival curve."""
    if axes.get("type") != "XYAxes":
        what = f"axes of type {shown(str(axes['type']))}" if "type" in axes else "no axes of this name"
        raise _AxesError(what, "axes of type 'XYAxes'; read the other datasets with series=")
    points = axes.get("calibrationPoints")
    for point in points if isinstance(points, list) else ():
        for name in ("dx", "dy"):
            label = point.get(name) if isinstance(point, dict) else None
            if isinstance(label, str) and ("/" in label or ":" in label):
                raise _AxesError(f"a calibration by the date {shown(label)}", "times counted from the start")


def from_pixels(pixels: FloatArray, axes: Mapping[str, Any]) -> FloatArray:
    """Values, shape (m, 2), of pixels.

    A step from the first to the second calibration point is one along the axis of x, from the third to the
    fourth one along that of y; each leaves the other coordinate as it is, whatever the angle between them.
    """
    points = axes.get("calibrationPoints")
    if not isinstance(points, list) or len(points) < 4 or not all(isinstance(one, dict) for one in points):
        raise _AxesError("points without values on axes without calibration", "four calibration points")
    place = np.array([[_number(one.get("px")), _number(one.get("py"))] for one in points[:4]])
    labels = np.array(
        [_label(one.get(name)) for one, name in zip(points, ("dx", "dx", "dy", "dy"), strict=False)]
    )
    is_log = np.array([axes.get("isLogX") is True, axes.get("isLogY") is True])
    ends = labels.reshape(2, 2)
    if (ends[is_log] <= 0).any():
        raise _AxesError("a logarithmic axis calibrated at 0 or below", "values above 0")
    ends[is_log] = np.log10(ends[is_log])
    steps = np.column_stack([place[1] - place[0], place[3] - place[2]])
    if axes.get("noRotation") is True:  # each axis is taken along the rows or the columns of pixels
        upright = abs(steps[0, 0] * steps[1, 1]) > abs(steps[0, 1] * steps[1, 0])
        steps[~np.eye(2, dtype=bool) if upright else np.eye(2, dtype=bool)] = 0.0
    determinant = steps[0, 0] * steps[1, 1] - steps[0, 1] * steps[1, 0]
    if not np.isfinite(labels).all() or not np.isfinite(determinant) or determinant == 0:
        raise _AxesError("a calibration that fixes no axes", "two different pixels and numbers an axis")
    slope = (ends[:, 1] - ends[:, 0])[:, None] * np.linalg.inv(steps)
    with np.errstate(over="ignore", invalid="ignore"):
        found: FloatArray = ends[:, 0] + ((pixels[:, None, :] - place[[0, 2]]) * slope).sum(axis=2)
        found[:, is_log] = 10.0 ** found[:, is_log]
    return found


def _label(value: object) -> float:
    """The number at a calibration point, which may be text; nan for all else."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return math.nan
    return _number(value)
