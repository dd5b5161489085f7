"""Coverage of intervals for a mean proportion or rate by the likelihood of the counts, by simulation.

Run it from the checkout: ``python validation/count_coverage.py``. It writes validation/results/count_coverage.csv, one
row a setting and method. With the default number of replications the standard error of a coverage of 0.95 is 0.007; it
takes some minutes on one core. Settings spread over as many cores as joblib is told of.

Studies have 20 to 300 patients, or units of time, evenly on the log scale; logits or log rates are normal between
them. Data sets whose likelihood has no maximum are counted as undefined and left out.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit

from netsynth._parallel import map_chunks
from netsynth.kernels import glmm
from netsynth.kernels.count_families import CountFamily
from netsynth.kernels.intervals import limits

RESULTS = Path(__file__).parent / "results" / "count_coverage.csv"
STUDIES = (3, 5, 10, 20)
TAU = (0.2, 0.8)
MEANS: tuple[tuple[CountFamily, float], ...] = (
    ("binomial", -3.0),
    ("binomial", -2.0),
    ("binomial", 0.0),
    ("poisson", -2.0),
)
LEAST, MOST = 20, 300


class Setting(NamedTuple):
    """One setting of the simulation with its own random numbers."""

    k: int
    tau: float
    mean: tuple[CountFamily, float]
    n_replications: int
    seed: np.random.SeedSequence


def simulate(setting: Setting) -> list[dict[str, object]]:
    """One row a method."""
    rng, k = np.random.default_rng(setting.seed), setting.k
    family, mean = setting.mean
    shape = (setting.n_replications, k)
    size = np.round(np.exp(rng.uniform(np.log(LEAST), np.log(MOST), shape)))
    theta = rng.normal(mean, setting.tau, shape)
    if family == "binomial":
        x = rng.binomial(size.astype(int), expit(theta)).astype(np.float64)
    else:
        x = rng.poisson(size * np.exp(theta)).astype(np.float64)
    has_answer = glmm.has_maximum(x, size, family)
    fit = glmm.fit(x[has_answer], size[has_answer], family)
    found = {
        "wald": limits(fit.mean, fit.se, np.inf, 0.95),
        "t": limits(fit.mean, fit.se, k - 1.0, 0.95),
        "profile": glmm.profile_mean(x[has_answer], size[has_answer], family, fit, 0.95),
    }
    return [
        {
            "family": family,
            "mean": mean,
            "tau": setting.tau,
            "k": k,
            "method": method,
            "coverage": float(((ends.lower <= mean) & (mean <= ends.upper)).mean()),
            "median_width": float(np.median(ends.upper - ends.lower)),
            "not_converged": float((~fit.converged).mean()),
            "undefined": float((~has_answer).mean()),
        }
        for method, ends in found.items()
    ]


def main() -> None:
    """Simulate every setting, write the table, print its summary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replications", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=2010)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    settings = list(itertools.product(STUDIES, TAU, MEANS))
    seeds = np.random.SeedSequence(options.seed).spawn(len(settings))
    chunks = [Setting(*s, options.replications, seed) for s, seed in zip(settings, seeds, strict=True)]
    table = pd.DataFrame(
        [row for part in map_chunks(simulate, chunks, description="settings") for row in part]
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    table.round(5).to_csv(options.out, index=False)
    print(table.groupby(["k", "tau", "method"])["coverage"].agg(["min", "mean", "max"]).round(3).to_string())


if __name__ == "__main__":
    main()
