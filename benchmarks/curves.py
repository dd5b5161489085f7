"""How near reconstructed patients come to the real ones, beside what other programs reached on the same figures.

The figures, and the patients that they were made from, are those of ``tests/references/curves``. What the others
reached was measured once and lies in ``data/curve_peers.json.gz``; IPDfromKM runs again where R has it.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from netsynth.ipd import reconstruct_ipd
from netsynth.reconstruct import reconstruct_survival
from netsynth.results.ipd import PseudoIPD

Array = npt.NDArray[np.float64]

HERE = Path(__file__).parent
CASES = HERE.parent / "tests" / "references" / "curves"
MEASURED = HERE / "data" / "curve_peers.json.gz"
SEED = 20260101
TURNS = 3  # times that each figure is reconstructed, of which the fastest counts
SHIFT = 0.01  # share of the horizon by which a curve may be shifted in time without being wrong
GRID = 401
LONGEST = 1800  # seconds that R may take for all figures of a part

#: What is given of a figure: title, and the name of that part among the numbers measured.
PARTS: Mapping[str, tuple[str, str]] = {
    "table": ("Points and numbers at risk", "risk"),
    "table and total": ("Points, numbers at risk and total events", "risk_events"),
    "total": ("Points, number of patients and total events", "n_events"),
    "marks": ("Exact corners, numbers at risk and censoring marks", "risk"),
    "percentages": ("Percentages and number of patients", "landmarks_n"),
    "percentages and total": (
        "Percentages, number of patients, median and total events",
        "landmarks_n_median_events",
    ),
}
#: Peers as they are called on the page. None of them but CEN_KM takes censoring marks.
NAMES: Mapping[str, str] = {
    "guyot": "survHE",
    "ipdfromkm": "IPDfromKM",
    "kmdata": "kmdata",
    "kmdata_default_tau": "kmdata, as it comes",
    "reconstructkm": "reconstructKM, points cleaned first",
    "reconstructkm_raw": "reconstructKM",
    "cen_km": "CEN_KM",
    "cen_km_dummytick": "CEN_KM, a mark made up",
    "cen_km_patched_align": "CEN_KM, repaired",
    "cen_km_ticks": "CEN_KM",
    "cen_km_ticks_patched_align": "CEN_KM, repaired",
    "guyot_lm": "survHE",
    "ipdfromkm_lm": "IPDfromKM",
    "ipdfromkm_padded_lm": "IPDfromKM, points added",
    "kmdata_lm": "kmdata",
}
TAKES_MARKS = ("cen_km_ticks", "cen_km_ticks_patched_align")
LIVE = "IPDfromKM"


class Patients(NamedTuple):
    """One entry a patient: when last seen, and 1 for an event."""

    time: Array
    event: Array


class Figure(NamedTuple):
    """One arm as it is printed. `pair` is shared by the two arms of one study, and empty for an arm alone."""

    id: str
    pair: str
    truth: Patients
    horizon: float
    given: dict[str, Any]


class Steps(NamedTuple):
    """A Kaplan-Meier estimate: when it falls, and to what."""

    time: Array
    level: Array

    def at(self, time: Array) -> Array:
        """Survival from these times on."""
        return np.append(1.0, self.level)[np.searchsorted(self.time, time, "right")]


class Misses(NamedTuple):
    """How far the patients of one figure are from the true ones; `sign` is that of the error of the mean, or nan."""

    ms: float
    iae: float
    sup: float
    rmst: float
    events: float
    at_risk: float
    sign: float = math.nan


class PairMisses(NamedTuple):
    """How far the log hazard ratio of two arms is from the true one, in true standard errors; the ratio of the two."""

    log_hr: float
    se_ratio: float


@dataclass
class Results:
    """One program on one part: misses by figure, or the word with which it stopped, and misses by pair."""

    name: str
    figures: dict[str, Misses | str] = field(default_factory=dict)
    pairs: dict[str, PairMisses] = field(default_factory=dict)

    @property
    def answered(self) -> dict[str, Misses]:
        """The figures that it did not stop at."""
        return {key: found for key, found in self.figures.items() if isinstance(found, Misses)}


@dataclass(frozen=True)
class Timing:
    """One call of netsynth and the processor's time it takes."""

    title: str
    seconds: float


# --- figures -------------------------------------------------------------------------------------------


@cache
def _read() -> tuple[list[Figure], list[Figure]]:
    content = json.loads(gzip.decompress((CASES / "digitized.json.gz").read_bytes()))
    arms = {
        name: Patients(np.array(arm["time"], dtype=np.float64), np.array(arm["event"], dtype=np.float64))
        for name, arm in content["patients"].items()
    }
    studies = {case["patients"]: case["pair"] for case in content["cases"]}
    curves = [
        Figure(
            case["id"],
            f"{case['pair']}__{case['scenario']}" if case["pair"] else "",
            arms[case["patients"]],
            content["patients"][case["patients"]]["tau"],
            case,
        )
        for case in content["cases"]
    ]
    percentages = [
        Figure(
            f"{case['id']}__landmarks",
            f"{studies[case['id']]}__landmarks" if studies[case["id"]] else "",
            arms[case["id"]],
            case["tau"],
            {**case, "n_events": int(arms[case["id"]].event.sum())},
        )
        for case in json.loads((CASES / "landmarks.json").read_text(encoding="utf-8"))["cases"]
    ]
    return curves, percentages


def figures(part: str) -> list[Figure]:
    """The figures that have what the part gives."""
    curves, percentages = _read()
    if part.startswith("percentages"):
        return percentages
    return [figure for figure in curves if part != "marks" or figure.given["censor_time"] is not None]


def reconstruct(figure: Figure, part: str) -> PseudoIPD:
    """The patients of netsynth from what the part gives."""
    given = figure.given
    total = {"n_events": given["n_events"]} if "total" in part else {}
    if part.startswith("percentages"):
        median = {"median_months": given["median"]} if total else {}
        share = np.array(given["landmark_percent"]) / 100
        curve = reconstruct_survival(
            given["landmark_times"], share, n_total=given["n_total"], decimals=0, **median, **total
        )
        return curve.pseudo_ipd(**total)
    marks = {"censor_time": given["censor_time"]} if part == "marks" else {}
    table = {} if part == "total" else {name: given[name] for name in ("at_risk_time", "n_at_risk")}
    return reconstruct_ipd(
        given["time"],
        given["survival"],
        n_total=given["n_total"],
        axis_end=given["axis_end"],
        **total,
        **marks,
        **table,
    )


# --- errors --------------------------------------------------------------------------------------------


def kaplan_meier(patients: Patients) -> Steps:
    """The estimate at the times with events."""
    seen = np.sort(patients.time)
    falls, d = np.unique(patients.time[patients.event == 1], return_counts=True)
    r = seen.size - np.searchsorted(seen, falls, "left")
    return Steps(falls, np.cumprod(1.0 - d / r))


def errors(figure: Figure, made: Patients, seconds: float) -> Misses:
    """What the page tells of one figure; its words are in `curve_page`."""
    true, found, end = kaplan_meier(figure.truth), kaplan_meier(made), figure.horizon
    falls = np.concatenate([true.time, found.time])
    edges = np.unique(np.concatenate([[0.0, end], falls[falls < end]]))
    width = np.diff(edges)
    gap = found.at(edges[:-1]) - true.at(edges[:-1])
    area, off = float(true.at(edges[:-1]) @ width), float(gap @ width)
    n_events = float(figure.truth.event.sum())
    return Misses(
        1e3 * seconds,
        float(np.abs(gap) @ width) / end,
        _largest(found, true, np.unique(np.concatenate([np.linspace(0.0, end, GRID), falls[falls <= end]]))),
        abs(off) / area,
        abs(float(made.event.sum()) - n_events) / n_events,
        _table_missed(figure.given, made),
        math.copysign(1.0, off),
    )


def _largest(found: Steps, true: Steps, at: Array) -> float:
    """Largest distance from the band that the found curve sweeps when it is shifted to and fro."""
    end = at[-1]
    upper = found.at(np.maximum(at - SHIFT * end, 0.0))
    lower = found.at(np.minimum(at + SHIFT * end, end))
    level = true.at(at)
    return float(np.max([level - upper, lower - level, np.zeros_like(at)]))


def _table_missed(given: Mapping[str, Any], made: Patients) -> float:
    if "at_risk_time" not in given:
        return math.nan
    at = (
        np.array(given["at_risk_time"], dtype=np.float64) - 1e-9
    )  # those who leave at a time are at risk then
    number = made.time.size - np.searchsorted(np.sort(made.time), at, "left")
    return float(np.abs(number - given["n_at_risk"]).max())


def cox(one: Patients, other: Patients) -> tuple[float, float]:
    """Log hazard ratio of the second arm against the first, ties after Efron, and its standard error."""
    at = np.unique(np.concatenate([arm.time[arm.event == 1] for arm in (one, other)]))
    counts = [_counts(arm, at) for arm in (one, other)]
    d = counts[0].d + counts[1].d
    row = np.repeat(np.arange(at.size), d)
    before = (np.arange(row.size) - np.repeat(np.cumsum(d) - d, d)) / d[row]  # share of the tie that has gone
    base, treated = (count.r[row] - before * count.d[row] for count in counts)
    effect = 0.0
    for _ in range(50):
        share = treated * math.exp(effect) / (treated * math.exp(effect) + base)
        information = float((share * (1.0 - share)).sum())
        if information <= 0.0 or abs(effect) > 15.0:
            return math.nan, math.nan
        move = float(np.clip((counts[1].d.sum() - share.sum()) / information, -1.0, 1.0))
        effect += move
        if abs(move) < 1e-12:
            break
    return effect, information**-0.5


class _Counts(NamedTuple):
    d: npt.NDArray[np.int64]
    r: npt.NDArray[np.int64]


def _counts(arm: Patients, at: Array) -> _Counts:
    died, seen = np.sort(arm.time[arm.event == 1]), np.sort(arm.time)
    d = np.searchsorted(died, at, "right") - np.searchsorted(died, at, "left")
    return _Counts(d, seen.size - np.searchsorted(seen, at, "left"))


def pair_errors(part: str, made: Mapping[str, Patients]) -> dict[str, PairMisses]:
    """Of every study whose two arms were both reconstructed."""
    arms: dict[str, list[Figure]] = {}
    for figure in figures(part):
        if figure.pair and figure.id in made:
            arms.setdefault(figure.pair, []).append(figure)
    found = {}
    for pair, both in arms.items():
        if len(both) == 2:
            effect, se = cox(both[0].truth, both[1].truth)
            ours, our_se = cox(made[both[0].id], made[both[1].id])
            found[pair] = PairMisses(abs(ours - effect) / se, our_se / se)
    return found


# --- programs ------------------------------------------------------------------------------------------


def _seconds(call: Callable[[], object], turns: int = TURNS) -> float:
    """The least processor's time of several turns, so that other programs on the machine count little."""
    spent = []
    for _ in range(turns):
        start = time.process_time()
        call()
        spent.append(time.process_time() - start)
    return min(spent)


def ours(part: str, turns: int = TURNS) -> Results:
    """All figures of a part by netsynth."""
    made, results = {}, Results("netsynth")
    for figure in figures(part):
        arm = reconstruct(figure, part)
        seconds = _seconds(lambda figure=figure: reconstruct(figure, part), turns)
        made[figure.id] = Patients(arm.time, arm.event.astype(np.float64))
        results.figures[figure.id] = errors(figure, made[figure.id], seconds)
    results.pairs = pair_errors(part, made)
    return results


@cache
def _measured() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(gzip.decompress(MEASURED.read_bytes()))
    return content


def measured_versions() -> dict[str, str | None]:
    """Versions of the peers measured before; None where it was not written down."""
    return dict(_measured()["versions"])


def measured(part: str) -> list[Results]:
    """What the peers reached before, on the figures of a part."""
    title = PARTS[part][1]
    ids = {figure.id for figure in figures(part)}
    pairs = {figure.pair for figure in figures(part)}
    found = []
    for peer, numbers in _measured()["figures"][title].items():
        if peer in TAKES_MARKS and part != "marks":
            continue
        if part == "marks" and peer not in (*TAKES_MARKS, "guyot", "ipdfromkm"):
            continue
        name = NAMES[peer] + (", without marks" if part == "marks" and peer not in TAKES_MARKS else "")
        results = Results(name)
        for key, row in numbers.items():
            if key in ids:
                results.figures[key] = row if isinstance(row, str) else Misses(*map(_number, row))
        for key, row in _measured()["pairs"][title].get(peer, {}).items():
            if key in pairs:
                results.pairs[key] = PairMisses(*map(_number, row))
        found.append(results)
    return sorted(found, key=lambda results: (-len(results.answered), results.name))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def live(part: str, missing: dict[str, str]) -> Results | None:
    """IPDfromKM now, on what it takes of a part, if R and the package are there."""
    if part not in ("table", "table and total", "total"):
        return None
    program = shutil.which("Rscript")
    if program is None:
        missing[f"{LIVE} in this run"] = "R is not installed"
        return None
    with tempfile.TemporaryDirectory() as folder:
        _write(part, Path(folder))
        script = [program, "--vanilla", str(HERE / "curve_peers.R"), folder]
        done = subprocess.run(script, capture_output=True, text=True, timeout=LONGEST, check=False)  # noqa: S603
        version = Path(folder) / "version.txt"
        if not version.exists():
            missing[f"{LIVE} in this run"] = "not installed in R"
            return None
        if done.returncode:
            missing[f"{LIVE} in this run, {PARTS[part][0]}"] = done.stderr.strip().splitlines()[-1]
            return None
        results = Results(f"{LIVE} {version.read_text(encoding='utf-8').strip()}, in this run")
        made = {}
        for figure in figures(part):
            stopped = Path(folder) / f"{figure.id}.stopped.txt"
            if stopped.exists():
                results.figures[figure.id] = stopped.read_text(encoding="utf-8").strip()
                continue
            seconds = float((Path(folder) / f"{figure.id}.seconds.txt").read_text(encoding="utf-8"))
            table = np.loadtxt(Path(folder) / f"{figure.id}.made.csv", delimiter=",", skiprows=1, ndmin=2)
            made[figure.id] = Patients(table[:, 0], table[:, 1])
            results.figures[figure.id] = errors(figure, made[figure.id], seconds)
        results.pairs = pair_errors(part, made)
    return results


def _write(part: str, folder: Path) -> None:
    """The figures as R reads them: a list of all, points and numbers at risk of each."""
    rows: list[list[object]] = [["id", "n_total", "n_events", "table"]]
    for figure in figures(part):
        given = figure.given
        total = given["n_events"] if "total" in part else "NA"
        rows.append([figure.id, given["n_total"], total, int(part != "total")])
        for name, columns in (("points", ("time", "survival")), ("risk", ("at_risk_time", "n_at_risk"))):
            table = np.column_stack([given[column] for column in columns])
            np.savetxt(
                folder / f"{figure.id}.{name}.csv", table, "%.17g", ",", header=",".join(columns), comments=""
            )
    with (folder / "figures.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


# --- time ----------------------------------------------------------------------------------------------


def _clicks(n: int, m: int) -> dict[str, Any]:
    """Points of a made-up curve of n patients, as clicked off a figure, with six numbers at risk and the total."""
    rng = np.random.default_rng([SEED, n, m])
    life, until = rng.exponential(30.0, n), rng.uniform(12.0, 72.0, n)
    arm = Patients(np.minimum(life, until), (life <= until).astype(np.float64))
    end, curve = float(arm.time.max()), kaplan_meier(arm)
    at = np.sort(rng.uniform(0.0, end, m))
    level = curve.at(at) + rng.normal(0.0, 0.002, m)
    seen = np.linspace(0.0, 60.0, 6)
    return {
        "time": np.maximum(at + rng.normal(0.0, 0.003 * end, m), 0.0),
        "survival": np.round(np.clip(level, 0.0, 1.0), 3),
        "at_risk_time": seen,
        "n_at_risk": [int((arm.time >= t).sum()) for t in seen],
        "n_events": int(arm.event.sum()),
        "axis_end": end,
    }


def timings(million: int = 1_000_000, turns: int = 5) -> Iterator[Timing]:
    """Each call, the fastest of some turns."""
    for n, m in ((500, 100), (50_000, 100), (500, million)):
        given = _clicks(n, m)
        title = f"`reconstruct_ipd`, {m:,} points, {n:,} patients"
        yield Timing(title, _seconds(lambda given=given: reconstruct_ipd(**given), turns))
    arm = reconstruct_ipd(**_clicks(500, 100))
    yield Timing("`ensemble` of 50, 100 points, 500 patients", _seconds(lambda: arm.ensemble(50), turns))
    curve = reconstruct_survival(
        [12, 24, 36, 60], [0.71, 0.48, 0.33, 0.17], n_total=500, median_months=22.5, decimals=0
    )
    yield Timing("`pseudo_ipd`, 4 percentages and a median, 500 patients", _seconds(curve.pseudo_ipd, turns))
