"""Time netsynth and its peers side by side, and compare their answers.

Run it from the checkout with ``make bench``, which makes an environment with the peers in Python, or as
``python benchmarks/run.py`` with those that are there. R is measured where ``Rscript`` and metafor are. ``--write``
puts the tables into docs/benchmarks.md. It has two parts, fits and the patients behind curves; ``--part`` runs and
writes one of them.
"""

# ruff: noqa: E402 - the number of threads is set before numpy is imported, which reads it once
from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import gc
import json
import math
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import curves
import numpy as np
from cases import PEERS, Array, Call, Case, Sizes, all_cases, coverage
from curve_page import HEADING, curve_section, curve_text, tables, timing_text
from page import Row, Simulation, markdown, text

from netsynth.errors import NetsynthWarning

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
SHORTEST = 0.02  # seconds that a round lasts at least, in fits
LONGEST = 4.0  # seconds for the rounds of one call, of which there are three all the same
REPLICATIONS = 10_000


@dataclass
class Stopwatch:
    """Rounds of one call, each the mean of enough repeats to be measurable."""

    call: Call
    n_rounds: int
    seconds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.answer = self.call()  # warms up
        once = self._time(1)
        if once < SHORTEST:
            once = self._time(math.ceil(SHORTEST / max(once, 1e-6)))
        self.inner = max(1, math.ceil(SHORTEST / once))
        self.n_rounds = max(3, min(self.n_rounds, int(LONGEST / (once * self.inner))))

    def _time(self, n: int) -> float:
        start = time.perf_counter()
        for _ in range(n):
            self.call()
        return (time.perf_counter() - start) / n

    def round(self) -> None:
        """One more round, if more are wanted."""
        if len(self.seconds) < self.n_rounds:
            self.seconds.append(self._time(self.inner))


class R:
    """One process of R that answers requests until it is closed."""

    def __init__(self, program: str, folder: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            [program, "--vanilla", str(HERE / "peers.R"), folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        said = self._reply()
        self.version: str = said["R"]
        self.packages: Mapping[str, str] = said["packages"]

    def _reply(self) -> dict[str, object]:
        return json.loads(self._process.stdout.readline())

    def measure(self, case: str, package: str, n_rounds: int) -> dict[str, object]:
        """Seconds of each round and the answer, or the problem."""
        self._process.stdin.write(f"{case}\t{package}\t{n_rounds}\n")
        self._process.stdin.flush()
        return self._reply()

    def close(self) -> None:
        """End it."""
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def agreement(ours: Array, theirs: Array) -> float:
    """Largest difference of two answers, relative to the largest number of its column; nan if none is shared."""
    n = min(len(ours), len(theirs))
    both = np.isfinite(ours[:n]) & np.isfinite(theirs[:n])
    apart = np.where(both, np.abs(np.where(both, ours[:n] - theirs[:n], 0.0)), 0.0).max(0)
    size = np.where(both, np.abs(np.where(both, theirs[:n], 0.0)), 0.0).max(0)
    return float((apart / np.where(size > 0, size, 1.0)).max()) if both.any() else math.nan


def row(case: Case, mine: Stopwatch, peer: str, seconds: list[float], answer: Array, fits: int) -> Row:
    """Medians and their ratio; the time of a peer that did fewer fits is scaled to those of ours."""
    own, other = statistics.median(mine.seconds), statistics.median(seconds) * case.fits / fits
    return Row(
        case.title,
        own,
        len(mine.seconds),
        peer,
        other,
        len(seconds),
        agreement(mine.answer, answer),
        scaled_from=fits if fits < case.fits else None,
        at_least=case.at_least.get(peer),
        within=case.within,
    )


def measure(case: Case, n_rounds: int, r: R | None, missing: dict[str, str]) -> list[Row]:
    """Rows of one case: Python's calls take turns, round by round, and R has its turn half-way."""
    watches = {"netsynth": Stopwatch(case.ours, n_rounds)}
    for name, peer in case.peers.items():
        if find_spec(PEERS[name]) is None:
            missing[name] = "not installed"
        else:
            watches[name] = Stopwatch(peer.make(), n_rounds)
    wanted = {} if r is None else {name: fits for name, fits in case.in_r.items() if name in r.packages}
    if r is not None:
        missing.update({name: "not installed in R" for name in case.in_r if name not in wanted})
    replies: dict[str, dict[str, object]] = {}
    for turn in range(n_rounds):
        if turn == n_rounds // 2:
            replies = {name: r.measure(case.name, name, n_rounds) for name in wanted}
        for watch in watches.values():
            watch.round()
    mine, rows = watches["netsynth"], []
    for name, peer in case.peers.items():
        if name in watches:
            watch = watches[name]
            rows.append(row(case, mine, name, watch.seconds, watch.answer, peer.fits))
    for name, reply in replies.items():
        if "problem" in reply:
            missing[f"{name}, {case.title}"] = str(reply["problem"])
            continue
        answer = np.array(reply["answer"], dtype=np.float64)
        rows.append(row(case, mine, name, reply["seconds"], answer, wanted[name]))
    if not rows:
        rows.append(Row(case.title, statistics.median(mine.seconds), len(mine.seconds), within=case.within))
    return rows


def simulate(n: int) -> Simulation:
    """The simulation in a process of its own, so that its peak of memory is its own."""
    command = [sys.executable, str(HERE / "run.py"), "--simulate", str(n)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return Simulation(**json.loads(done.stdout))


def simulated(n: int) -> dict[str, object]:
    """What the child process says: seconds, peak of memory and coverage."""
    import resource

    start = time.perf_counter()
    covered = coverage(n)
    seconds = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kibibytes elsewhere
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"n": n, "seconds": seconds, "peak_mb": peak / 1e6, "coverage": covered}


def machine(r: R | None) -> dict[str, str]:
    """What the numbers depend on, and nothing that names the machine."""
    import platform

    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        system = platform.system()
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "Processor": models[0] if models else platform.processor() or platform.machine(),
        "Cores": str(os.cpu_count()),
        "System": f"{system}, {platform.machine()}",
        "Python": platform.python_version(),
        **{name: version(name) for name in ("netsynth", "numpy", "scipy")},
        "BLAS": f"{blas['name']} {blas['version']}, {blas_threads()}",
        **{name: version(name) for name, module in PEERS.items() if find_spec(module) is not None},
        **({} if r is None else {"R": r.version, **r.packages}),
    }


def blas_threads() -> str:
    """How many threads linear algebra uses, asked if it can be."""
    if find_spec("threadpoolctl") is None:
        return "1 thread asked for"
    from threadpoolctl import threadpool_info

    n = max((pool["num_threads"] for pool in threadpool_info()), default=1)
    return f"{n} thread" + ("s" if n > 1 else "")


def write_data(cases: list[Case], folder: str) -> None:
    """The tables that R reads, with every digit."""
    for case in cases:
        for name, columns in case.data.items():
            np.savetxt(
                Path(folder) / f"{case.name}.{name}.csv",
                np.column_stack(list(columns.values())),
                fmt="%.17g",
                delimiter=",",
                header=",".join(columns),
                comments="",
            )


def start_r(folder: str, missing: dict[str, str]) -> R | None:
    """R with metafor, or the word why not."""
    program = shutil.which("Rscript")
    if program is None:
        missing["R"] = "not installed"
        return None
    r = R(program, folder)
    if "metafor" in r.packages:
        return r
    missing["R"] = "there, but without metafor"
    r.close()
    return None


def run(
    sizes: Sizes, n_rounds: int, names: list[str], say: Callable[[str], None] = print
) -> tuple[list[Row], dict[str, str], dict[str, str]]:
    """Rows of the cases, the machine, and who was not measured and why."""
    warnings.simplefilter("ignore", NetsynthWarning)  # of few studies, which a small case has
    missing: dict[str, str] = {}
    cases = [case for case in all_cases(sizes) if not names or case.name in names]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        write_data(cases, folder)
        r = start_r(folder, missing)
        about = machine(r)
        gc.disable()
        for case in cases:
            found = measure(case, n_rounds, r, missing)
            gc.collect()
            for line in text(found):
                say(line)
            rows += found
        gc.enable()
        if r is not None:
            r.close()
    return rows, about, missing


def fits(n_rounds: int, names: list[str]) -> str:
    """Measure and print the fits; the page up to the curves."""
    rows, about, missing = run(Sizes(), n_rounds, names)
    simulation = simulate(REPLICATIONS)
    print(simulation)
    for name, why in missing.items():
        print(f"Not measured: {name}: {why}")
    return markdown(rows, simulation, about, missing)


def patients(say: Callable[[str], None] = print) -> str:
    """Measure and print the patients behind curves; the last section of the page."""
    warnings.simplefilter(
        "ignore", NetsynthWarning
    )  # some curves are read so badly that numbers look doubtful
    found: dict[str, list[curves.Results]] = {}
    missing: dict[str, str] = {}
    for part in curves.PARTS:
        now = curves.live(part, missing)
        found[part] = [curves.ours(part), *([] if now is None else [now]), *curves.measured(part)]
        for line in curve_text(part, tables(found)[part]):
            say(line)
    timings = list(curves.timings())
    for line in timing_text(timings):
        say(line)
    kept = ("Processor", "System", "Python", "netsynth", "numpy", "scipy")
    about = {name: value for name, value in machine(None).items() if name in kept}
    for name, why in missing.items():
        say(f"Not measured: {name}: {why}")
    return curve_section(found, timings, curves.measured_versions(), about, missing)


def main() -> None:
    """Measure, print, and write the page if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--part", choices=("fits", "curves"), help="only this part; the page keeps the other as it stands"
    )
    parser.add_argument(
        "--rounds", type=int, default=15, help="rounds of each call, of which medians are taken"
    )
    parser.add_argument(
        "--case", action="append", default=[], help="only the fit of this name; may be repeated"
    )
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--simulate", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.simulate is not None:
        print(json.dumps(simulated(options.simulate)))
        return
    kept, heading, section = PAGE.read_text(encoding="utf-8").partition(f"\n{HEADING}\n")
    section = (heading + section).removeprefix("\n")
    first = kept if options.part == "curves" else fits(options.rounds, options.case)
    last = section if options.part == "fits" or options.case else patients()
    if options.write:
        PAGE.write_text(f"{first.rstrip()}\n\n{last}".rstrip() + "\n", encoding="utf-8")
        print(f"Written: {PAGE.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main()
