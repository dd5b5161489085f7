"""What a run found, as lines of the terminal and as docs/benchmarks.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import fill


@dataclass(frozen=True)
class Row:
    """One case and one peer; without a peer, netsynth alone. Times are seconds, medians over rounds."""

    title: str
    seconds: float
    n_rounds: int
    peer: str = ""
    peer_seconds: float = math.nan
    n_peer_rounds: int = 0
    difference: float = math.nan
    scaled_from: int | None = None
    at_least: float | None = None
    within: float | None = None

    @property
    def ratio(self) -> float:
        """How many times as long the peer takes."""
        return self.peer_seconds / self.seconds


@dataclass(frozen=True)
class Simulation:
    """The simulation of coverage: replications, seconds, peak of memory, coverage by interval."""

    n: int
    seconds: float
    peak_mb: float
    coverage: Mapping[str, float]

    def __str__(self) -> str:
        covered = ", ".join(f"{name} {100 * share:.1f}%" for name, share in self.coverage.items())
        return (
            f"{self.n:,} replications in {duration(self.seconds)}, at most {self.peak_mb:.0f} MB; "
            f"coverage: {covered}"
        )


def duration(seconds: float) -> str:
    """Three digits and a unit: "0.441 ms", "16.1 ms", "3.20 s"."""
    value, unit = (seconds, "s") if seconds >= 1 else (1e3 * seconds, "ms")
    return f"{value:,.{max(0, 2 - max(0, math.floor(math.log10(value))) if value >= 1 else 3)}f} {unit}"


def times(ratio: float) -> str:
    """A ratio with two or three digits."""
    return f"{ratio:,.0f}×" if ratio >= 100 else f"{ratio:.1f}×" if ratio < 10 else f"{ratio:.0f}×"


def apart(difference: float) -> str:
    """A relative difference, one digit."""
    if math.isnan(difference):
        return "not compared"
    return "none" if difference == 0 else f"{difference:.0e}"


def text(rows: list[Row]) -> list[str]:
    """Lines of the terminal for one case."""
    lines = [f"{rows[0].title}: netsynth {duration(rows[0].seconds)}"]
    lines += [
        f"    {row.peer:14} {duration(row.peer_seconds):>10}   {times(row.ratio):>7}   "
        f"difference {apart(row.difference)}"
        for row in rows
        if row.peer
    ]
    return lines


def goals(rows: list[Row], simulation: Simulation) -> list[tuple[str, str, str, bool]]:
    """Each number to reach: of what, the number, what was measured, and whether it was reached."""
    found = []
    seen = set()
    for row in rows:
        if row.within is not None and row.title not in seen:
            seen.add(row.title)
            found.append(
                (
                    row.title,
                    f"under {duration(row.within)}",
                    duration(row.seconds),
                    row.seconds < row.within,
                )
            )
        if row.at_least is not None:
            found.append(
                (
                    row.title,
                    f"{times(row.at_least)} the rate of {row.peer}",
                    times(row.ratio),
                    row.ratio >= row.at_least,
                )
            )
    title = f"Simulation of coverage, {simulation.n:,} replications"
    found.append((title, "in seconds", duration(simulation.seconds), simulation.seconds < 10))
    found.append((title, "under 500 MB", f"{simulation.peak_mb:.0f} MB", simulation.peak_mb < 500))
    return found


def grid(head: tuple[str, ...], rows: list[tuple[str, ...]], right: int) -> str:
    """A table in Markdown, the last `right` columns to the right."""
    rule = ["---"] * (len(head) - right) + ["---:"] * right
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, tuple(rule), *rows))


def markdown(
    rows: list[Row], simulation: Simulation, about: Mapping[str, str], missing: Mapping[str, str]
) -> str:
    """The page."""
    named = [i == 0 or rows[i - 1].title != row.title for i, row in enumerate(rows)]
    measured: list[tuple[str, ...]] = [
        (
            row.title if first else "",
            duration(row.seconds) if first else "",
            row.peer or "none",
            (duration(row.peer_seconds) + (f" (from {row.scaled_from:,})" if row.scaled_from else ""))
            if row.peer
            else "",
            times(row.ratio) if row.peer else "",
            apart(row.difference) if row.peer else "",
            f"{row.n_rounds}/{row.n_peer_rounds}" if row.peer else str(row.n_rounds),
        )
        for row, first in zip(rows, named, strict=True)
    ]
    reached: list[tuple[str, ...]] = [
        (title, goal, got, "yes" if met else "no") for title, goal, got, met in goals(rows, simulation)
    ]
    head = ("What", "netsynth", "Peer", "Its time", "Ratio", "Difference", "Rounds")
    memory = fill(
        f"{simulation}. Each replication simulates ten studies, estimates tau2 by REML and gives five intervals for "
        "the mean, of 95% nominally. The peak is that of the whole process, with Python, numpy and scipy in it.",
        width=118,
        break_on_hyphens=False,
    )
    absent = "\n".join(f"- {name}: {why}." for name, why in missing.items()) or "Nothing was left out."
    return f"""# Benchmarks

Time, memory and agreement of netsynth and of programs that do the same, measured side by side in one run. This page
is the output of `make bench ARGS=--write`, which makes an environment of its own with the peers that PyPI has. R is
measured where it and metafor are installed; `benchmarks/README.md` says where its packages come from.

## Numbers to reach

{grid(("What", "To reach", "Measured", "Reached"), reached, 2)}

## Side by side

{grid(head, measured, 4)}

- Times are medians of rounds; a round repeats a call until it takes a fiftieth of a second. Calls in Python take turns,
  round by round, and R has its turn half-way, by its own clock and after warming up. *Ratio* is the peer's median over
  ours.
- A time "from 200" is that of 200 fits, scaled to the number that netsynth did: metafor and statsmodels have no batch,
  so they fit in a loop.
- *Difference* is the largest difference between the answers of that same run, relative to the largest number of its
  kind. Optimisers that stop early differ by more than rounding, as do metafor's limits of tau2 in the first row, which
  it finds to about 1e-4 unless told otherwise.
- Data are simulated from a fixed seed. Everything runs on one thread.
- The first row asks for what a paper prints: the estimate, its interval, the prediction interval and the interval of
  tau2, with checked input and a result that can be asked for more. The bulk rows use the kernels, which take any
  number of sets of studies at once.

## Memory

{memory}

## Left out

{absent}

## Machine

{grid(("", "Used here"), list(about.items()), 0)}
"""
