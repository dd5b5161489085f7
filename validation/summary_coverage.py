"""Coverage of the intervals of the summary curve, and of its prediction intervals, by simulation.

Run it from the checkout: ``python validation/summary_coverage.py``. It writes its results beside it, in
results/summary_coverage.csv, one row a setting, method and time, and prints the worst and the mean coverage of each
method. With the default number of replications the standard error of a coverage of 0.95 is 0.0034; it takes some
minutes on one core. Settings spread over as many cores as joblib is told of.

Studies of 20 to 320 patients have conditional survivals of 0.85 in each of five intervals, whose arcsines differ
between studies with a standard deviation `spread` and a correlation of intervals. Patients die one by one; 8% of
the survivors of an interval are lost at its end. With follow-up "falling" two studies go to the end and each other
one to a time of its own. The curve to cover is that of the mean arcsines; a prediction is to cover the curve of a
new study.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from netsynth._parallel import map_chunks
from netsynth._typing import FloatArray
from netsynth.kernels.intervals import critical_value
from netsynth.kernels.summary_curve import log_survival, summary_curve

RESULTS = Path(__file__).parent / "results" / "summary_coverage.csv"
STUDIES = (3, 4, 5, 7, 10, 15, 27)
SPREADS = (0.0, 0.08, 0.15)
CORRELATIONS = (0.0, 0.5)
FOLLOW_UPS = ("all", "falling")
M = 5
CONDITIONAL = 0.85
LOST = 0.08
CHUNK = 500  # replications handled at once


class Setting(NamedTuple):
    """One setting of the simulation with its own random numbers."""

    k: int
    spread: float
    correlation: float
    follow_up: str
    n_replications: int
    seed: np.random.SeedSequence


def draw(setting: Setting, n: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Survival and numbers at the start, (n, k, m), and the true log survival of a new study, (n, m)."""
    k = setting.k
    mean = np.full(M, np.arcsin(np.sqrt(CONDITIONAL)))
    shape = (1.0 - setting.correlation) * np.eye(M) + setting.correlation
    root = setting.spread * np.linalg.cholesky(shape)
    true = np.clip(mean + rng.standard_normal((n, k + 1, M)) @ root.T, 0.02, 0.5 * np.pi - 0.001)
    p = np.sin(true[:, :k]) ** 2
    alive = np.broadcast_to(np.round(np.geomspace(20, 320, k)), (n, k)).astype(np.int64)
    survival, n_at_start = np.full((n, k, M), np.nan), np.full((n, k, M), np.nan)
    before = np.ones((n, k))
    last = np.full((n, k), M)
    if setting.follow_up == "falling":
        last = np.where(np.arange(k) < 2, M, rng.integers(1, M + 1, (n, k)))
    for j in range(M):
        lived = rng.binomial(alive, p[..., j])
        here = (alive > 0) & (j < last)
        before = np.where(here, before * lived / np.maximum(alive, 1), before)
        survival[..., j] = np.where(here, before, np.nan)
        n_at_start[..., j] = np.where(here, alive, np.nan)
        alive = np.floor((1.0 - LOST) * lived).astype(np.int64)
    return survival, n_at_start, log_survival(true[:, k])[0]


def simulate(setting: Setting) -> list[dict[str, object]]:
    """Coverage at each time of one setting."""
    rng = np.random.default_rng(setting.seed)
    target = log_survival(np.full(M, np.arcsin(np.sqrt(CONDITIONAL))))[0]
    of_mean, of_new = list[FloatArray](), list[FloatArray]()
    for start in range(0, setting.n_replications, CHUNK):
        n = min(CHUNK, setting.n_replications - start)
        survival, n_at_start, new = draw(setting, n, rng)
        fit = summary_curve(survival, n_at_start)
        hazard = -fit.log_survival
        for covariance, truth, kept in (
            (fit.covariance, np.broadcast_to(target, new.shape), of_mean),
            (fit.covariance + fit.between, new, of_new),
        ):
            se = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1)) / hazard
            kept.append((np.log(hazard) - np.log(-truth)) / se)
    k = setting.k
    rows: list[dict[str, object]] = []
    for kind, distances, factors in (
        ("confidence", np.concatenate(of_mean), {"wald": np.inf, "t": k - 1.0}),
        ("prediction", np.concatenate(of_new), {"normal": np.inf, "t_km1": k - 1.0, "t_km2": k - 2.0}),
    ):
        for method, df in factors.items():
            for j in range(M):
                distance = np.abs(distances[:, j])
                known = np.isfinite(distance)
                rows.append(
                    {
                        "k": k,
                        "spread": setting.spread,
                        "correlation": setting.correlation,
                        "follow_up": setting.follow_up,
                        "kind": kind,
                        "method": method,
                        "time": j + 1,
                        "coverage": (distance[known] <= critical_value(df, 0.95)).mean(),
                        "undefined": 1.0 - known.mean(),
                    }
                )
    return rows


def main() -> None:
    """Simulate every setting, write the table, print its summary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replications", type=int, default=4_000)
    parser.add_argument("--seed", type=int, default=2014)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    settings = list(itertools.product(STUDIES, SPREADS, CORRELATIONS, FOLLOW_UPS))
    seeds = np.random.SeedSequence(options.seed).spawn(len(settings))
    chunks = [Setting(*s, options.replications, seed) for s, seed in zip(settings, seeds, strict=True)]
    table = pd.DataFrame(
        [row for part in map_chunks(simulate, chunks, description="settings") for row in part]
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    table.round(4).to_csv(options.out, index=False)
    print(summary(table))


def summary(table: pd.DataFrame) -> str:
    """Lowest, mean and highest coverage of each method over all settings and times."""
    grouped = table.groupby(["kind", "method"])["coverage"]
    return grouped.agg(["min", "mean", "max"]).round(3).to_string()


if __name__ == "__main__":
    main()
