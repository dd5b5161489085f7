"""Coverage and width of the intervals for a mean effect, and coverage of prediction intervals, by simulation.

Run it from the checkout: ``python validation/interval_coverage.py``. It writes its results beside it, in
results/interval_coverage.csv, one row a setting and method, and prints the worst and the mean coverage of each
method. With the default number of replications the standard error of a coverage of 0.95 is 0.0015; it takes some
minutes on one core. Settings spread over as many cores as joblib is told of.

Effects are normal around 0 with variance tau2 between studies and known variances within. tau2 is set by the share I2
of the typical sampling variance. The sizes of studies are equal, vary sixteenfold in even steps on the log scale, or
are equal but for one study ten times as large. A prediction interval covers with the probability that its
limits leave to a new normal effect, which is exact and needs no new study to be drawn.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtr

from netsynth._parallel import map_chunks
from netsynth._typing import FloatArray
from netsynth.kernels.heterogeneity import typical_variance
from netsynth.kernels.intervals import (
    CI_METHODS,
    PREDICTION_METHODS,
    bootstrap_prediction,
    limits,
)
from netsynth.kernels.tau2 import TAU2_ESTIMATORS, Tau2Method

RESULTS = Path(__file__).parent / "results" / "interval_coverage.csv"
STUDIES = (2, 3, 4, 5, 7, 10, 15, 20, 30)
I2 = (0.0, 0.25, 0.5, 0.75, 0.9)
SIZES = ("equal", "sixteenfold", "one large")
ESTIMATORS: tuple[Tau2Method, ...] = ("REML", "PM", "DL")
N_BOOTSTRAPPED = 400  # data sets of a setting for which the bootstrap is tried
N_DRAWS = 1000


class Setting(NamedTuple):
    """One setting of the simulation with its own random numbers."""

    k: int
    i2: float
    sizes: str
    n_replications: int
    seed: np.random.SeedSequence


def within_variances(k: int, sizes: str) -> FloatArray:
    """Sampling variances of k studies, around 0.1."""
    if sizes == "equal":
        return np.full(k, 0.1)
    if sizes == "sixteenfold":
        return 0.1 * np.geomspace(0.25, 4.0, k)
    return np.where(np.arange(k) == 0, 0.01, 0.1)


def simulate(setting: Setting) -> list[dict[str, object]]:
    """Coverage and mean width of every interval in one setting."""
    rng = np.random.default_rng(setting.seed)
    v = within_variances(setting.k, setting.sizes)
    tau2 = setting.i2 / (1.0 - setting.i2) * float(typical_variance(v))
    y = rng.standard_normal((setting.n_replications, setting.k)) * np.sqrt(v + tau2)
    variance = np.broadcast_to(v, y.shape)
    best = (1.0 / (v + tau2)).sum() ** -0.5
    rows: list[dict[str, object]] = []

    def keep(
        kind: str, estimator: str, method: str, lower: FloatArray, upper: FloatArray, hit: FloatArray
    ) -> None:
        defined = np.isfinite(lower)
        rows.append(
            {
                "k": setting.k,
                "i2": setting.i2,
                "sizes": setting.sizes,
                "kind": kind,
                "tau2_method": estimator,
                "method": method,
                "coverage": hit[defined].mean() if defined.any() else np.nan,
                # in units of the width of an interval that knows tau2
                "median_width": np.median((upper - lower)[defined]) / (2 * 1.959964 * best)
                if defined.any()
                else np.nan,
                "undefined": 1.0 - defined.mean(),
            }
        )

    for estimator in ESTIMATORS:
        found = np.asarray(TAU2_ESTIMATORS[estimator](y, variance).tau2)
        for method, error in CI_METHODS.items():
            if method == "KR" and estimator != "REML":
                continue
            lower, upper = limits(*error(y, variance, found), 0.95)
            keep("confidence", estimator, method, lower, upper, (lower <= 0) & (upper >= 0))
        for name, predict in PREDICTION_METHODS.items():
            if name == "bootstrap" or (name == "KR" and estimator != "REML"):
                continue
            lower, upper = predict(y, variance, found, 0.95)
            keep("prediction", estimator, name, lower, upper, content(lower, upper, tau2))
    few = slice(N_BOOTSTRAPPED)
    lower, upper = bootstrap_prediction(y[few], variance[few], np.zeros(()), 0.95, rng=rng, n_draws=N_DRAWS)
    keep("prediction", "DL", "bootstrap", lower, upper, content(lower, upper, tau2))
    return rows


def content(lower: FloatArray, upper: FloatArray, tau2: float) -> FloatArray:
    """Probability that a new true effect lies within the limits."""
    if tau2 == 0:
        return ((lower <= 0) & (upper >= 0)).astype(np.float64)
    return np.asarray(ndtr(upper / tau2**0.5) - ndtr(lower / tau2**0.5))


def main() -> None:
    """Simulate every setting, write the table, print its summary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replications", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=2012)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    settings = list(itertools.product(STUDIES, I2, SIZES))
    seeds = np.random.SeedSequence(options.seed).spawn(len(settings))
    chunks = [Setting(*s, options.replications, seed) for s, seed in zip(settings, seeds, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", RuntimeWarning
        )  # medians of nothing where an interval needs more studies
        rows = [row for part in map_chunks(simulate, chunks, description="settings") for row in part]
    table = pd.DataFrame(rows)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    table.round(5).to_csv(options.out, index=False)
    print(summary(table))


def summary(table: pd.DataFrame) -> str:
    """Lowest, mean and highest coverage of each method over all settings."""
    grouped = table.groupby(["kind", "tau2_method", "method"])["coverage"]
    return grouped.agg(["min", "mean", "max"]).round(3).to_string()


if __name__ == "__main__":
    main()
