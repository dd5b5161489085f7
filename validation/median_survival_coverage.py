"""Bias and coverage of pooled median survival when some medians are not reached, by simulation of patients.

Run it from the checkout: ``python validation/median_survival_coverage.py``. It writes
validation/results/median_survival_coverage.csv, one row a setting and method. With the default number of replications
the standard error of a coverage of 0.95 is 0.010; it takes some minutes on one core. Settings spread over as many cores
as joblib is told of.

True study medians are log-normal about 40 months. Each study has 30 to 150 patients with exponential survival and
uniform entry, so that their follow-up ends between two calendar ends; a study prints its Kaplan-Meier median with the
log-log interval of Brookmeyer and Crowley and its number of events, or, where the curve stays above one half, its last
follow-up and its events. Data sets with fewer than two medians that were reached are counted as undefined.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from netsynth._parallel import map_chunks
from netsynth.kernels import censored_effects
from netsynth.kernels.intervals import critical_value, modified_knapp_hartung
from netsynth.kernels.tau2 import tau2_reml

RESULTS = Path(__file__).parent / "results" / "median_survival_coverage.csv"
STUDIES = (5, 10, 20)
TAU = (0.1, 0.4)
#: Months of follow-up as multiples of the mean of the study medians: few or many medians are not reached.
FOLLOW_UP = (1.6, 0.9)
CENTRE = np.log(40.0)
Z = 1.959963984540054


class Setting(NamedTuple):
    """One setting of the simulation with its own random numbers."""

    k: int
    tau: float
    follow_up: float
    n_replications: int
    seed: np.random.SeedSequence


class Printed(NamedTuple):
    """What one study prints on the logarithm: ends of its median, and the standard error."""

    lower: float
    upper: float
    se: float


def study(rng: np.random.Generator, median: float, longest: float) -> Printed:
    """Patients, their curve, and what is printed of it."""
    n = round(float(np.exp(rng.uniform(np.log(30), np.log(150)))))
    life = rng.exponential(median / np.log(2), n)
    end = rng.uniform(0.5, 1.5, n) * longest
    time, event = np.minimum(life, end), life <= end
    order = np.argsort(time)
    time, event = time[order], event[order]
    at_risk = np.arange(n, 0, -1)
    survival = np.cumprod(1 - event / at_risk)
    d = int(event.sum())
    reached = np.flatnonzero(survival <= 0.5)
    if reached.size == 0:
        return Printed(np.log(time[-1]), np.inf, 1 / (np.sqrt(max(d, 1)) * np.log(2)))
    y = np.log(time[reached[0]])
    inside = event & (survival > 0)
    greenwood = np.cumsum(np.where(inside, event / (at_risk * np.maximum(at_risk - 1, 1)), 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = (np.log(-np.log(survival)) - np.log(np.log(2))) * -np.log(survival) / np.sqrt(greenwood)
    low = time[np.flatnonzero(inside & (statistic > -Z))][:1]
    high = time[np.flatnonzero(event & ((survival == 0) | (statistic > Z)))][:1]
    ends = [np.log(part[0]) if part.size else np.nan for part in (low, high)]
    if np.isfinite(ends).all() and ends[1] > ends[0]:
        return Printed(y, y, (ends[1] - ends[0]) / (2 * Z))
    if np.isfinite(ends[0]) and ends[0] < y:
        return Printed(y, y, max(y - ends[0], np.log(time[-1]) - y) / Z)
    return Printed(y, y, 1 / (np.sqrt(d) * np.log(2)))


def simulate(setting: Setting) -> list[dict[str, object]]:
    """One row a method."""
    rng = np.random.default_rng(setting.seed)
    found: dict[str, list[tuple[float, float]]] = {
        name: [] for name in ("bounds mHK", "bounds t", "dropped", "imputed")
    }
    undefined, n_open = 0, 0
    for _ in range(setting.n_replications):
        medians = np.exp(rng.normal(CENTRE, setting.tau, setting.k))
        longest = setting.follow_up * 40.0 * np.exp(rng.normal(0, 0.2, setting.k))
        rows = [study(rng, m, f) for m, f in zip(medians, longest, strict=True)]
        low, high, se = (np.array(column) for column in zip(*rows, strict=True))
        known = low == high
        n_open += int((~known).sum())
        if known.sum() < 2:
            undefined += 1
            continue
        fit = censored_effects.fit(low, high, se**2, 25)
        df = float(fit.n_effective) - 1
        half = float(critical_value(df, 0.95) * fit.se)
        found["bounds mHK"].append((float(fit.mean), half * max(1.0, float(fit.scale)) ** 0.5))
        found["bounds t"].append((float(fit.mean), half))
        for name, keep in (("dropped", known), ("imputed", np.ones_like(known))):
            y, v = low[keep], se[keep] ** 2
            error = modified_knapp_hartung(y, v, tau2_reml(y, v).tau2)
            found[name].append((float(error.mean), float(critical_value(error.df, 0.95) * error.se)))
    rows_out = []
    for name, pairs in found.items():
        if not pairs:
            continue
        centre, half = np.array(pairs).T
        rows_out.append(
            {
                "k": setting.k,
                "tau": setting.tau,
                "follow_up": setting.follow_up,
                "open_share": n_open / (setting.k * setting.n_replications),
                "method": name,
                "bias": float(np.mean(centre - CENTRE)),
                "rmse": float(np.sqrt(np.mean((centre - CENTRE) ** 2))),
                "coverage": float((np.abs(centre - CENTRE) <= half).mean()),
                "median_half_width": float(np.median(half)),
                "undefined": undefined / setting.n_replications,
            }
        )
    return rows_out


def main() -> None:
    """Simulate every setting, write the table, print its summary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replications", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1982)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    settings = list(itertools.product(STUDIES, TAU, FOLLOW_UP))
    seeds = np.random.SeedSequence(options.seed).spawn(len(settings))
    chunks = [Setting(*s, options.replications, seed) for s, seed in zip(settings, seeds, strict=True)]
    table = pd.DataFrame(
        [row for part in map_chunks(simulate, chunks, description="settings") for row in part]
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    table.round(5).to_csv(options.out, index=False)
    print(table.drop(columns="undefined").round(3).to_string(index=False))


if __name__ == "__main__":
    main()
