"""Coverage of the intervals of reconstructed survival curves, by simulation.

Run it from the checkout: ``python validation/curve_coverage.py``. It writes validation/results/curve_coverage.csv, one
row a setting, method and quantity. With the default number of replications the standard error of a coverage of 0.95 is
0.020 for one time and quantity, and less where times are averaged; it takes a quarter of an hour on one core. Settings
spread over as many cores as joblib is told of.

Patients die by a Weibull, a log-normal, or a mixture of two exponentials whose hazard falls, and are followed for 24
to 96 months, uniformly. Their Kaplan-Meier estimates at 12, 36 and 60 months are printed as whole percents, with the
number of patients and nothing else, or with numbers at risk. Reports from which a method cannot be computed are
counted as undefined and left out, and so are medians after the last landmark.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import ndtr

from netsynth._parallel import map_chunks
from netsynth.errors import InvalidInputError, NetsynthWarning
from netsynth.reconstruct import reconstruct_survival
from netsynth.results.curve import SurvivalCurve

RESULTS = Path(__file__).parent / "results" / "curve_coverage.csv"
LANDMARKS: Final = np.array([12.0, 36.0, 60.0])
BETWEEN: Final = np.array([6.0, 24.0, 48.0])
FOLLOW_UP: Final = (24.0, 96.0)
METHODS: Final = ("pchip", "weibull", "average", "blend")
SIZES = (30, 100, 500)
INFORMATION = ("n", "at risk")
TRUTHS: dict[str, Callable[[float], float]] = {
    "weibull": lambda t: float(np.exp(-((t / 60.0) ** 1.4))),
    "lognormal": lambda t: float(ndtr(-(np.log(max(t, 1e-300)) - np.log(40.0)) / 1.1)),
    "mixture": lambda t: float(0.65 * np.exp(-t / 22.0) + 0.35 * np.exp(-t / 300.0)),
}


class Setting(NamedTuple):
    """One setting of the simulation with its own random numbers."""

    truth: str
    n: int
    information: str
    n_replications: int
    seed: np.random.SeedSequence


def draw(truth: str, n: int, rng: np.random.Generator) -> np.ndarray:
    """Times of death."""
    if truth == "weibull":
        return 60.0 * rng.weibull(1.4, n)
    if truth == "lognormal":
        return np.exp(rng.normal(np.log(40.0), 1.1, n))
    return np.where(rng.uniform(size=n) < 0.65, 22.0, 300.0) * rng.exponential(size=n)


def report(setting: Setting, rng: np.random.Generator) -> dict[str, object]:
    """What a paper would print of one sample."""
    death, end = draw(setting.truth, setting.n, rng), rng.uniform(*FOLLOW_UP, setting.n)
    time, event = np.minimum(death, end), death <= end
    order = np.argsort(time)
    time, event = time[order], event[order]
    survival = np.cumprod(1 - event / np.arange(setting.n, 0, -1))
    at = np.searchsorted(time, LANDMARKS, "right")
    printed = np.round(np.concatenate([[1.0], survival])[at], 2)
    found: dict[str, object] = {"survival": printed, "n_total": setting.n}
    if setting.information == "at risk":
        found["n_at_risk"] = setting.n - at
    return found


def covered(curve: SurvivalCurve, truth: Callable[[float], float]) -> dict[str, tuple[float, float]]:
    """Whether each interval holds the truth, and its width; over several times, the mean of both."""
    times = np.concatenate([LANDMARKS, BETWEEN])
    true = np.array([truth(t) for t in times])
    lower, upper = curve.confidence_interval(time_months=times)
    held, width = ((lower <= true) & (true <= upper)).astype(float), upper - lower
    held[np.isnan(width)] = np.nan
    area, _ = quad(truth, 0.0, 60.0)
    rmst = curve.rmst_confidence_interval(60.0)
    found = {
        "survival at landmarks": (np.nanmean(held[:3]), np.nanmean(width[:3])),
        "survival between": (np.nanmean(held[3:]), np.nanmean(width[3:])),
        "rmst": (float(rmst.lower <= area <= rmst.upper), rmst.upper - rmst.lower),
    }
    if truth(60.0) < 0.5:
        median, limits = brentq(lambda t: truth(t) - 0.5, 1.0, 60.0), curve.median_confidence_interval()
        found["median"] = (float(limits.lower <= median <= limits.upper), limits.upper - limits.lower)
    return found


def simulate(setting: Setting) -> list[dict[str, object]]:
    """One row a method and quantity."""
    rng, truth = np.random.default_rng(setting.seed), TRUTHS[setting.truth]
    results: dict[tuple[str, str], list[tuple[float, float]]] = {}
    undefined = dict.fromkeys(METHODS, 0)
    for _ in range(setting.n_replications):
        printed = report(setting, rng)
        for method in METHODS:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NetsynthWarning)
                try:
                    curve = reconstruct_survival(LANDMARKS, decimals=0, method=method, **printed)
                except InvalidInputError:
                    undefined[method] += 1
                    continue
                for quantity, answer in covered(curve, truth).items():
                    results.setdefault((method, quantity), []).append(answer)
    return [
        {
            "truth": setting.truth,
            "n": setting.n,
            "information": setting.information,
            "method": method,
            "quantity": quantity,
            "coverage": float(np.nanmean([held for held, _ in answers])),
            "median_width": float(np.nanmedian([width for _, width in answers])),
            "undefined": undefined[method] / setting.n_replications,
        }
        for (method, quantity), answers in results.items()
    ]


def main() -> None:
    """Simulate every setting, write the table, print its summary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replications", type=int, default=120)
    parser.add_argument("--seed", type=int, default=2010)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    settings = list(itertools.product(TRUTHS, SIZES, INFORMATION))
    seeds = np.random.SeedSequence(options.seed).spawn(len(settings))
    chunks = [Setting(*s, options.replications, seed) for s, seed in zip(settings, seeds, strict=True)]
    table = pd.DataFrame(
        [row for part in map_chunks(simulate, chunks, description="settings") for row in part]
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    table.round(5).to_csv(options.out, index=False)
    summary = table.groupby(["method", "quantity", "information"])["coverage"].agg(["min", "mean", "max"])
    print(summary.round(3).to_string())


if __name__ == "__main__":
    main()
