"""What the reconstruction of patients reached, as lines of the terminal and as the last section of the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from textwrap import fill

import numpy as np
from curves import PARTS, Results, Timing
from page import duration, grid, times

HEADING = "## Patients behind survival curves"
#: Errors in percent or points, as they stand in the columns.
SHARES = ("iae", "sup", "rmst", "events")
HEAD = (
    "Program",
    "Stopped",
    "Curve",
    "Largest",
    "RMST",
    "RMST, signed",
    "Events",
    "Table met",
    "log HR",
    "SE of log HR",
    "ms",
)


def spread(values: list[float]) -> tuple[float, float]:
    """Median and 90th percentile (the next value from above) of the values that are there."""
    known = np.array([value for value in values if not math.isnan(value)])
    if not known.size:
        return math.nan, math.nan
    return float(np.median(known)), float(np.quantile(known, 0.9, method="higher"))


def short(value: float) -> str:
    """Two digits: "0.26", "0.0031", "12", "0"."""
    return "0" if value == 0 else f"{value:.{max(0, 1 - math.floor(math.log10(abs(value))))}f}"


def two(values: list[float], scale: float = 1.0) -> str:
    """Median and 90th percentile, or nothing."""
    middle, high = spread(values)
    return "" if math.isnan(middle) else f"{short(scale * middle)} / {short(scale * high)}"


def cells(results: Results, ours: Results) -> tuple[str, ...]:
    """One row of a table; of a peer, with how many times its median is ours on what it answered."""
    answered = results.answered
    found = {name: [getattr(row, name) for row in answered.values()] for name in (*SHARES, "at_risk", "ms")}
    signed = [100 * row.sign * row.rmst for row in answered.values()]
    met = [row == 0 for row in found["at_risk"] if not math.isnan(row)]
    log_hr = [pair.log_hr for pair in results.pairs.values()]
    ratio = spread([pair.se_ratio for pair in results.pairs.values()])
    stopped = len(results.figures) - len(answered)
    return (
        results.name,
        f"{stopped} of {len(results.figures)}",
        two(found["iae"], 100) + against(results, ours, "iae"),
        two(found["sup"], 100) + against(results, ours, "sup"),
        two(found["rmst"], 100) + against(results, ours, "rmst"),
        ""
        if not signed or math.isnan(signed[0])
        else f"{'-' if np.mean(signed) < 0 else '+'}{short(abs(np.mean(signed)))}",
        two(found["events"], 100),
        f"{np.mean(met):.0%}" if met else "",
        two(log_hr) + against(results, ours, "log_hr"),
        "" if math.isnan(ratio[0]) else f"{ratio[0]:.3f} / {ratio[1]:.3f}",
        "" if not answered else short(spread(found["ms"])[0]),
    )


def against(results: Results, ours: Results, name: str) -> str:
    """How many times as large a peer's median is as ours, in brackets, over the figures or pairs that both have."""
    if results is ours:
        return ""
    theirs, mine = (
        (one.pairs, two.pairs) if name == "log_hr" else (one.answered, two.answered)
        for one, two in ((results, results), (ours, ours))
    )
    shared = [key for key in theirs[0] if key in mine[0]]
    middle, own = (spread([getattr(found[key], name) for key in shared])[0] for found in (theirs[0], mine[0]))
    return "" if math.isnan(middle) or own == 0 else f" ({times(middle / own)})"


def tables(parts: Mapping[str, list[Results]]) -> dict[str, list[tuple[str, ...]]]:
    """Rows of every part, netsynth first; numbers at risk count only where they were given."""
    found = {}
    for part, programs in parts.items():
        rows = [cells(results, programs[0]) for results in programs]
        if "table" not in part and part != "marks":
            rows = [(*row[:7], "", *row[8:]) for row in rows]
        found[part] = rows
    return found


def curve_text(part: str, rows: list[tuple[str, ...]]) -> list[str]:
    """Lines of the terminal for one part."""
    width = [max(map(len, column)) for column in zip(HEAD, *rows, strict=True)]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, width, strict=True)) for row in (HEAD, *rows)]
    return [PARTS[part][0], *(f"    {line.rstrip()}" for line in lines)]


def timing_text(timings: list[Timing]) -> list[str]:
    """Lines of the terminal for the timings."""
    return [f"{timing.title}: {duration(timing.seconds)}" for timing in timings]


def curve_section(
    parts: Mapping[str, list[Results]],
    timings: list[Timing],
    versions: Mapping[str, str | None],
    about: Mapping[str, str],
    missing: Mapping[str, str],
) -> str:
    """The last section of the page."""
    shown = "\n\n".join(
        f"### {PARTS[part][0]}\n\n{len(parts[part][0].figures)} figures, {len(parts[part][0].pairs)} pairs of arms.\n\n"
        f"{grid(HEAD, rows, len(HEAD) - 1)}"
        for part, rows in tables(parts).items()
    )
    known = ", ".join(
        f"{name} {version or '(version not written down)'}" for name, version in versions.items()
    )
    paragraph = fill(f"The versions measured: {known}.", width=118, break_on_hyphens=False)
    absent = "".join(f"\nNot measured: {name}: {why}.\n" for name, why in missing.items())
    machine = fill(
        "Measured with " + ", ".join(f"{name} {value}" for name, value in about.items()) + ".", width=118
    )
    spent: list[tuple[str, ...]] = [(timing.title, duration(timing.seconds)) for timing in timings]
    return f"""{HEADING}

How near the patients of `reconstruct_ipd` and of `pseudo_ipd` come to the real ones. 26 arms of public data sets, of 23
to 2,643 patients, are printed as a paper would: as points clicked with care, clicked badly, clicked at the corners of
steps, or read exactly from a vector drawing, with numbers at risk and totals, or as three or four percentages. Figures
and patients are in `tests/references/curves`. The same errors were measured for every program:

- *Stopped*: figures at which it stopped with an error. They count nowhere else, so a program that stops often is judged
  by the figures that it could do.
- *Curve*: mean distance of the Kaplan-Meier curve of the patients from the true one, in percentage points. The horizon
  of this and of the next three is the last time of the table with patients at risk, or the last percentage.
- *Largest*: largest distance from the true curve that no shift in time by 1% of the horizon explains, in percentage
  points, looked for at 401 even times and wherever either curve falls.
- *RMST*: error of the restricted mean survival time, in percent of it. *Signed*: the mean with the sign kept, above
  0 where survival comes out too long. What the peers made was not kept, only the size of their errors; then it is
  empty.
- *Events*: error of the number of events, in percent of it, over all follow-up, of which percentages tell a part.
- *Table met*: figures of which every number at risk is met exactly.
- *log HR*: error of the log hazard ratio of two arms (Cox, ties after Efron, all follow-up), in standard errors of the
  true one. *SE of log HR*: the standard error over the true one.
- *ms*: median time of a figure. Ours is processor's time, the least of three turns. The peers' was taken on another
  machine and tells no more than the order of magnitude.

Pairs of numbers are median and 90th percentile over figures, or over pairs of arms. In brackets stands how many times
the peer's median is ours, over the figures that both did. These figures were at hand when `reconstruct_ipd` was
written, so our errors are not those of figures never seen before.

{shown}

The peers' errors were measured once, with the same definitions, and lie in `benchmarks/data`; IPDfromKM is run again
where R has it. survHE has Guyot's method, and ignores the total until one line is changed, as it was here. kmdata was
told the end of follow-up; "as it comes" that is the last number at risk. It needs a table. reconstructKM refuses points
that rise; "points cleaned first" they were made to fall. CEN_KM, of RESOLVE-IPD, needs censoring marks, so one was made
up at the end; "repaired", an alignment to the table that its source leaves out was put back. IPDfromKM needs more
points than percentages give; "points added" it has them.

{paragraph}

### Time

{grid(("What", "netsynth"), spent, 1)}

Processor's time on one thread, the least of five turns.
{absent}
{machine}
"""
