"""Coverage of the pooled curve on the log(-log) scale and of its prediction band, and its bias, by simulation.

Run it from the checkout: ``python validation/loglog_coverage.py``. It writes its results beside it, in
results/loglog_coverage.csv, one row a setting, way of evaluating the sampling covariance, interval and time. With the
default number of replications the standard error of a coverage of 0.95 is 0.015; it takes half an hour on one
core. Settings spread over as many cores as joblib is told of.

Studies have 20 to 500 patients, even on the log scale, Weibull survival with a shape of 0.9 and half alive at 48 months
in the middle study, and hazards that differ by a normal factor on the log scale with standard deviation tau. Patients
are lost at a constant rate, a third of them by 60 months. Each study prints one to five of the times 12, 24, 36, 48,
60, 84 and 120 months, while five patients or more are at risk, as whole percentages, and either all its numbers at risk
or only its number of patients.

A model with a straight line in log time and a random intercept is fitted. An interval covers if it holds the curve of
the middle study; a prediction interval covers with the probability that its limits leave to a new study, which is
exact.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import pandas as pd
from scipy.special import ndtr

from netsynth._parallel import map_chunks
from netsynth._typing import FloatArray
from netsynth.kernels.effective_numbers import effective_numbers
from netsynth.kernels.intervals import critical_value
from netsynth.kernels.loglog_curve import EvaluatedAt, curve_at, fit_loglog_curve

RESULTS = Path(__file__).parent / "results" / "loglog_coverage.csv"
STUDIES = (5, 10, 20)
TAU = (0.0, 0.25, 0.5)
NUMBERS = ("at risk", "n")
TIMES = np.array([12.0, 24.0, 36.0, 48.0, 60.0, 84.0, 120.0])
LOOKED_AT = np.array([12.0, 36.0, 84.0])
SHAPE, MIDDLE = 0.9, 48.0
LOSS = np.log(1.5) / 60.0
LEAST_AT_RISK = 5


class Setting(NamedTuple):
    """One setting of the simulation with its own random numbers."""

    k: int
    tau: float
    numbers: str
    n_replications: int
    seed: np.random.SeedSequence


class Reports(NamedTuple):
    """What the studies print; nan for what they do not."""

    survival: FloatArray
    n_total: FloatArray
    n_at_risk: FloatArray


def truth(time: FloatArray) -> FloatArray:
    """log(-log) survival of the middle study."""
    return np.asarray(np.log(np.log(2.0)) + SHAPE * np.log(time / MIDDLE))


def reports(setting: Setting, rng: np.random.Generator) -> Reports:
    """Kaplan-Meier estimates of simulated patients at the times that their studies print."""
    survival, at_risk = np.full((2, setting.k, TIMES.size), np.nan)
    n = np.exp(rng.uniform(np.log(20.0), np.log(500.0), setting.k)).round()
    for i in range(setting.k):
        hazard = np.log(2.0) * np.exp(setting.tau * rng.standard_normal())
        death = MIDDLE * (rng.exponential(1.0, int(n[i])) / hazard) ** (1.0 / SHAPE)
        lost = rng.exponential(1.0 / LOSS, int(n[i]))
        order = np.argsort(np.minimum(death, lost))
        time, died = np.minimum(death, lost)[order], (death <= lost)[order]
        left = np.arange(n[i], 0.0, -1.0)
        curve = np.append(1.0, np.cumprod(1.0 - died / left))
        after = np.searchsorted(time, TIMES, side="right")
        m = n[i] - after
        possible = np.flatnonzero(m >= LEAST_AT_RISK)
        if possible.size:
            printed = rng.choice(possible, min(int(rng.integers(1, 6)), possible.size), replace=False)
            survival[i, printed] = curve[after[printed]].round(2)
            at_risk[i, printed] = m[printed]
    return Reports(survival, n, at_risk if setting.numbers == "at risk" else np.full_like(at_risk, np.nan))


def content(lower: FloatArray, upper: FloatArray, tau: float) -> FloatArray:
    """Probability that the limits, around the truth, hold the curve of a new study."""
    if tau == 0:
        return ((lower <= 0) & (upper >= 0)).astype(np.float64)
    return np.asarray(ndtr(upper / tau) - ndtr(lower / tau))


def replicate(setting: Setting, rng: np.random.Generator) -> list[dict[str, object]]:
    """Answers of every way to one review; none where the times looked at are not all within those printed."""
    data = reports(setting, rng)
    number = effective_numbers(data.survival, data.n_total, data.n_at_risk)
    reported = np.isfinite(data.survival)
    if not (reported[:, 0].any() and reported[:, -2:].any()):
        return []
    rows: list[dict[str, object]] = []
    for way in get_args(EvaluatedAt):
        fit = fit_loglog_curve(TIMES, data.survival, number, curve="linear", evaluated_at=way)
        at = curve_at(fit, LOOKED_AT)
        error = at.estimate - truth(LOOKED_AT)
        variance = np.diag(at.covariance)
        for name, df in (("normal", np.inf), ("t", fit.df)):
            half = critical_value(df, 0.95) * np.sqrt(variance)
            spread = critical_value(df - 1.0, 0.95) * np.sqrt(variance + np.diag(at.between))
            covered = np.abs(error) <= half
            held = content(error - spread, error + spread, setting.tau)
            for j, time in enumerate(LOOKED_AT):
                rows.append(
                    {
                        "evaluated_at": way,
                        "interval": name,
                        "time": time,
                        "coverage": covered[j],
                        "prediction": held[j],
                        "width": 2.0 * half[j],
                        "bias": error[j],
                        "tau_found": np.sqrt(fit.tau2),
                        "not_converged": not fit.converged,
                    }
                )
    return rows


def simulate(setting: Setting) -> list[dict[str, object]]:
    """Means over the replications of one setting."""
    rng = np.random.default_rng(setting.seed)
    found = [replicate(setting, rng) for _ in range(setting.n_replications)]
    rows = pd.DataFrame([row for part in found for row in part])
    means = rows.groupby(["evaluated_at", "interval", "time"], sort=False).mean().reset_index()
    means["replications"] = sum(bool(part) for part in found)
    about = {"k": setting.k, "tau": setting.tau, "numbers": setting.numbers}
    return [about | {str(name): value for name, value in row.items()} for row in means.to_dict("records")]


def main() -> None:
    """Simulate every setting, write the table, print its summary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replications", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1994)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    settings = list(itertools.product(STUDIES, TAU, NUMBERS))
    seeds = np.random.SeedSequence(options.seed).spawn(len(settings))
    chunks = [Setting(*s, options.replications, seed) for s, seed in zip(settings, seeds, strict=True)]
    rows = [row for part in map_chunks(simulate, chunks, description="settings") for row in part]
    table = pd.DataFrame(rows)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    table.round(5).to_csv(options.out, index=False)
    print(summary(table))


def summary(table: pd.DataFrame) -> str:
    """Lowest and mean coverage and mean bias of each way and interval over all settings."""
    grouped = table.groupby(["evaluated_at", "interval"])
    return (
        grouped.agg(
            lowest=("coverage", "min"),
            coverage=("coverage", "mean"),
            prediction=("prediction", "mean"),
            bias=("bias", "mean"),
            tau_found=("tau_found", "mean"),
        )
        .round(3)
        .to_string()
    )


if __name__ == "__main__":
    main()
