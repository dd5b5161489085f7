"""Coverage of intervals from the fragments that a report prints, by simulation.

Run it from the checkout: ``python validation/fragment_coverage.py``. It writes
validation/results/fragment_coverage.csv, one row a setting, set of fragments and question. With the default number of
replications the standard error of a coverage of 0.95 is 0.022 in a setting and 0.011 over the four; it takes some five
minutes on one core. Settings spread over as many cores as joblib is told of.

Survival follows a Weibull distribution with 40% alive at 60 months; patients enter evenly over seven years, so that
follow-up is uniform between 12 and 96 months. The report prints whole percentages at 12, 36 and 60 months, in further
sets also numbers at risk there, and then the number of events, the median and the longest follow-up. "all patients" is
the analysis of the patients themselves, the most that any method could know.
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
from netsynth.data.number import ReportedNumber
from netsynth.errors import NetsynthWarning
from netsynth.fragments import fit_fragments
from netsynth.kernels.intervals import limits
from netsynth.kernels.product_limit import first_time_at, product_limit, survival_at
from netsynth.results.ensemble import PseudoData, PseudoEnsemble

RESULTS = Path(__file__).parent / "results" / "fragment_coverage.csv"
PATIENTS = (50, 200)
SHAPES = (0.7, 1.5)
LANDMARKS = np.array([12.0, 36.0, 60.0])
ASKED = np.array([12.0, 36.0, 48.0, 60.0])
SETS = ("landmarks", "and at risk", "and events, median, follow-up")
N_ENSEMBLE = 30


class Setting(NamedTuple):
    """One setting of the simulation with its own random numbers."""

    n: int
    shape: float
    n_replications: int
    seed: np.random.SeedSequence


def truth(shape: float) -> tuple[np.ndarray, float]:
    """Survival at the times asked about, and the restricted mean up to 60 months."""
    grid = np.linspace(0.0, 60.0, 20_001)
    survival = np.exp(np.log(0.4) * (grid / 60.0) ** shape)
    area = float(((survival[1:] + survival[:-1]) * np.diff(grid)).sum() / 2.0)
    return np.exp(np.log(0.4) * (ASKED / 60.0) ** shape), area


def simulate(setting: Setting) -> list[dict[str, object]]:
    """One row a set of fragments and question."""
    rng = np.random.default_rng(setting.seed)
    survival, area = truth(setting.shape)
    found: list[dict[str, object]] = []
    done = 0
    while done < setting.n_replications:
        life = 60.0 * (rng.exponential(size=setting.n) / -np.log(0.4)) ** (1.0 / setting.shape)
        followed = rng.uniform(12.0, 96.0, setting.n)
        time, event = np.minimum(life, followed), (life <= followed).astype(np.int64)
        fit = product_limit(time, event)
        at_landmarks = survival_at(fit, LANDMARKS).estimate
        if time.max() < 60.0 or at_landmarks[-1] <= 0.005 or at_landmarks[0] >= 1.0:
            continue  # nothing that a report would print
        done += 1
        data = PseudoData(time, event)
        found += answers("all patients", PseudoEnsemble("", (data, data)), survival, area, np.nan)
        median = float(first_time_at(fit, 0.5))
        printed = {"n_at_risk": [(time >= t).sum() for t in LANDMARKS]}
        all_of_it = {
            **printed,
            "n_events": int(event.sum()),
            "median_months": ReportedNumber.of(f"{median:.0f}", "month") if np.isfinite(median) else None,
            "max_follow_up_months": float(np.ceil(time.max())),
        }
        for name, more in zip(SETS, ({}, printed, all_of_it), strict=True):
            result = fit_fragments(
                LANDMARKS, at_landmarks.round(2), n_total=setting.n, draws=400, rng=rng, decimals=0, **more
            )
            found += answers(name, result.ensemble(N_ENSEMBLE, rng=rng), survival, area, result.log_evidence)
    table = pd.DataFrame(found)
    rows = table.groupby(["fragments", "question"], sort=False).mean().reset_index()
    rows.insert(0, "n", setting.n)
    rows.insert(1, "shape", setting.shape)
    return rows.to_dict("records")


def answers(
    name: str, ensemble: PseudoEnsemble, survival: np.ndarray, area: float, log_evidence: float
) -> list[dict[str, object]]:
    """Whether each interval holds the truth, its width and what was lost."""
    estimates = ensemble.survival(ASKED), ensemble.rmst(60.0)
    rows = []
    for estimate, true, label in (
        (estimates[0], np.log(-np.log(survival)), [f"survival at {t:g}" for t in ASKED]),
        (estimates[1], np.array([area]), ["mean up to 60"]),
    ):
        mean, se, df = (np.atleast_1d(part) for part in (estimate.estimate, estimate.se, estimate.df))
        lower, upper = limits(mean, se, df, 0.95)
        loss = np.atleast_1d(estimate.reporting_loss)
        rows += [
            {
                "fragments": name,
                "question": label[i],
                "coverage": float(lower[i] <= true[i] <= upper[i]),
                "width": float(upper[i] - lower[i]),
                "reporting_loss": float(loss[i]),
                "log_evidence": log_evidence,
            }
            for i in range(len(label))
            if np.isfinite(mean[i])
        ]
    return rows


def main() -> None:
    """Simulate every setting, write the table, print its summary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replications", type=int, default=100)
    parser.add_argument("--seed", type=int, default=2012)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    settings = list(itertools.product(PATIENTS, SHAPES))
    seeds = np.random.SeedSequence(options.seed).spawn(len(settings))
    chunks = [Setting(*s, options.replications, seed) for s, seed in zip(settings, seeds, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        table = pd.DataFrame(
            [row for part in map_chunks(simulate, chunks, description="settings") for row in part]
        )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    table.round(5).to_csv(options.out, index=False)
    columns = ["coverage", "width", "reporting_loss", "log_evidence"]
    print(table.groupby(["question", "fragments"], sort=False)[columns].mean().round(3).to_string())


if __name__ == "__main__":
    main()
