"""Whether the data sets drawn for a figure are as far apart as the truth is from them, by simulation.

Run it from the checkout: ``python validation/draws_calibration.py``. It writes
validation/results/draws_calibration.csv, one row a setting, kind of report and question. With the default number of
replications a share beyond 2 has a standard error of 0.05 in a row of 18 arms, and of 0.015 in the mean over the rows
of a report; it takes five minutes on one core. Settings spread over as many cores as joblib is told of.

Two arms with proportional hazards (hazard ratio 0.7; hazards that rise, that fall, or of whom some are cured), of 40,
120 or 400 patients, with follow-up that ends evenly, at a constant hazard, by both, or at one time for all. Their
Kaplan-Meier curves are clicked finely, coarsely, or at the ends of steps, with errors of every click, and are
reconstructed with and without numbers at risk and a total of events. In every other figure both ends of both axes were
clicked too, with the same errors, which all points of both arms then share.

The truth is what the patients themselves give. Its distance from the mean of the draws is counted in their standard
deviations: z. Were the truth one of the draws, the median of abs(z) would be 0.67 and abs(z) beyond 2 in 5 of 100. A
standard deviation of events is taken for 0.3 at least, since events are whole.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from netsynth._parallel import map_chunks
from netsynth._typing import FloatArray
from netsynth.errors import NetsynthWarning
from netsynth.ipd import reconstruct_ipd
from netsynth.kernels.product_limit import product_limit, restricted_mean, survival_at
from netsynth.results.arm_effects import analyse_arms, stacked
from netsynth.results.ensemble import PseudoData
from netsynth.results.ipd import PseudoIPD

RESULTS = Path(__file__).parent / "results" / "draws_calibration.csv"
SIZES = (40, 120, 400)
LIVES = ("rising", "falling", "cured")
FOLLOW_UPS = ("even", "constant", "both", "one day")
#: Clicks, fewest and most; the standard deviation of their survival; and decimals.
CLICKS = {"fine": (90, 150, 0.002, 3), "coarse": (30, 50, 0.005, 2), "corners": (40, 140, 0.003, 3)}
REPORTS = ("table, total", "table", "patients, total", "patients")
TIME_NOISE, END, RATIO, N_DRAWS, FEWEST_EVENTS = 0.003, 48.0, 0.7, 20, 0.3


class Setting(NamedTuple):
    """One setting of the simulation with its own random numbers."""

    clicks: str
    follow_up: str
    n_replications: int
    seed: np.random.SeedSequence


def patients(life: str, follow_up: str, ratio: float, n: int, rng: np.random.Generator) -> PseudoData:
    """An arm."""
    hazard = rng.exponential(1.0, n) / ratio  # cumulative, at the event
    if life == "rising":
        death = 30.0 * hazard ** (1.0 / 1.3)
    elif life == "falling":
        death = 40.0 * hazard ** (1.0 / 0.6)
    else:  # a cumulative hazard that levels off at 0.9
        death = np.where(hazard < 0.9, -15.0 * np.log(np.maximum(1.0 - hazard / 0.9, 1e-300)), np.inf)
    lost = np.full(n, END)
    if follow_up in ("even", "both"):
        lost = np.minimum(lost, rng.uniform(10.0, 60.0, n))
    if follow_up in ("constant", "both"):
        lost = np.minimum(lost, rng.exponential(60.0, n))
    time, event = np.minimum(death, lost), (death <= lost).astype(np.int64)
    order = np.lexsort((-event, time))
    return PseudoData(time[order], event[order])


def clicked(
    data: PseudoData, setting: Setting, axes: tuple[float, float, float, float], rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Points in order along the curve, up to where it ends."""
    fewest, most, noise, decimals = CLICKS[setting.clicks]
    m, fit, end = int(rng.integers(fewest, most)), product_limit(*data), float(data.time[-1])
    if setting.clicks == "corners":  # the tops and bottoms of so many steps
        falls = np.unique(data.time[data.event == 1])
        falls = falls[np.sort(rng.permutation(falls.size)[: m // 2])]
        at = np.concatenate([[0.0], np.repeat(falls, 2), [end]])
        edges = np.stack([np.nextafter(falls, 0.0), falls], axis=-1).ravel()
        level = survival_at(fit, np.concatenate([[0.0], edges, [end]])).estimate
    else:
        at = np.concatenate([[0.0], np.sort(rng.uniform(0.0, end, m - 2)), [end]])
        level = survival_at(fit, at).estimate
    m = at.size
    shift, stretch, rise, scale = axes
    time = at * (1.0 + stretch) + shift + rng.normal(0.0, TIME_NOISE * END, m)
    survival = level * (1.0 + scale) + rise + rng.normal(0.0, noise, m)
    return np.clip(time, 0.0, END), np.clip(np.round(survival, decimals), 0.0, 1.0)


def axes(setting: Setting, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Shift and stretch of time, rise and scale of survival, when both ends of each axis are clicked."""
    noise = CLICKS[setting.clicks][2]
    first, last = rng.normal(0.0, TIME_NOISE, 2)
    low, high = rng.normal(0.0, noise, 2)
    return first * END, last - first, low, high - low


def read(data: PseudoData, points: tuple[FloatArray, FloatArray], report: str) -> PseudoIPD:
    """The arm as it is reconstructed from a report."""
    table = np.arange(0.0, END, 12.0)
    return reconstruct_ipd(
        *points,
        n_total=data.time.size,
        axis_end=END,
        at_risk_time=table if "table" in report else None,
        n_at_risk=(data.time[:, None] >= table).sum(axis=0) if "table" in report else None,
        n_events=int(data.event.sum()) if "total" in report else None,
        steps=False,
    )


def answers(data: PseudoData, tau: float) -> dict[str, FloatArray]:
    """Of data sets, one a row: means, events, rates, and survival at the quarters of the time up to tau."""
    fit = product_limit(*data)
    events = data.event.sum(axis=-1)
    at = survival_at(fit, tau * np.array([0.25, 0.5, 0.75])).estimate
    found = {
        "mean": restricted_mean(fit, np.array([tau])).estimate[:, 0],
        "events": events.astype(np.float64),
        "log rate": np.log(np.maximum(events, 0.5) / data.time.sum(axis=-1)),
    }
    return found | {f"survival at {i + 1}/4": at[:, i] for i in range(3)}


def distance(truth: FloatArray, drawn: FloatArray, least: float) -> float:
    """Of the truth from the mean of the draws, in their standard deviations."""
    return float((truth[0] - drawn.mean()) / max(drawn.std(ddof=1), least))


def replicate(setting: Setting, i: int, rng: np.random.Generator) -> list[dict[str, object]]:
    """Distances of each question, for every report of one pair of arms."""
    life, n = LIVES[i % 3], SIZES[i // 3 % 3]
    arms = [patients(life, setting.follow_up, ratio, n, rng) for ratio in (RATIO, 1.0)]
    shared = axes(setting, rng)
    off = shared if i % 2 else (0.0, 0.0, 0.0, 0.0)
    points = [clicked(arm, setting, off, rng) for arm in arms]
    rows: list[dict[str, object]] = []
    for report in REPORTS:
        draws = []
        for arm, point in zip(arms, points, strict=True):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NetsynthWarning)
                made = read(arm, point, report)
            drawn = stacked(made.ensemble(N_DRAWS, rng=rng).draws)
            draws.append(drawn)
            at = np.arange(0.0, END, 12.0)
            tau = float(at[at <= arm.time[-1]][-1]) or float(arm.time[-1])
            true, several = answers(stacked([arm]), tau), answers(drawn, tau)
            if made.table.n_events is None:
                rows.append(
                    {
                        "report": report,
                        "question": "events",
                        "z": distance(true["events"], several["events"], FEWEST_EVENTS),
                    }
                )
            for name in [name for name in true if name != "events"]:
                question = "survival" if name.startswith("survival") else name
                rows.append(
                    {"report": report, "question": question, "z": distance(true[name], several[name], 1e-4)}
                )
        both = [
            analyse_arms(*pair, 12.0, np.zeros(0)).cox.log_hr
            for pair in ([stacked([arm]) for arm in arms], draws)
        ]
        rows.append({"report": report, "question": "log hazard ratio", "z": distance(both[0], both[1], 1e-4)})
    return rows


def simulate(setting: Setting) -> list[dict[str, object]]:
    """One row a report and question."""
    rng = np.random.default_rng(setting.seed)
    rows = pd.DataFrame([row for i in range(setting.n_replications) for row in replicate(setting, i, rng)])
    return [
        {
            "clicks": setting.clicks,
            "follow_up": setting.follow_up,
            "report": report,
            "question": question,
            "n": len(part),
            "mean": float(part.z.mean()),
            "median_distance": float(part.z.abs().median()),
            "beyond_2": float((part.z.abs() > 2.0).mean()),
        }
        for (report, question), part in rows.groupby(["report", "question"], sort=False)
    ]


def main() -> None:
    """Simulate every setting, write the table, print its summary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replications", type=int, default=9)
    parser.add_argument("--seed", type=int, default=1958)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    settings = list(itertools.product(CLICKS, FOLLOW_UPS))
    seeds = np.random.SeedSequence(options.seed).spawn(len(settings))
    chunks = [Setting(*s, options.replications, seed) for s, seed in zip(settings, seeds, strict=True)]
    table = pd.DataFrame(
        [row for part in map_chunks(simulate, chunks, description="settings") for row in part]
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    table.round(5).to_csv(options.out, index=False)
    columns = ["mean", "median_distance", "beyond_2"]
    print(table.groupby(["report", "question"], sort=False)[columns].mean().round(3).to_string())


if __name__ == "__main__":
    main()
