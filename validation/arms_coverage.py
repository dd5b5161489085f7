"""Coverage of intervals for two arms reconstructed from noisy figures, by simulation.

Run it from the checkout: ``python validation/arms_coverage.py``. It writes validation/results/arms_coverage.csv, one
row a setting, effect and method. With the default number of replications the standard error of a coverage of 0.95 is
0.022; it takes a quarter of an hour on one core. Settings spread over as many cores as joblib is told of.

Two arms with proportional hazards (Weibull with shape 1.2, hazard ratio 0.6), censored uniformly from 12 to 60 months
and at 48. Their Kaplan-Meier curves are clicked at even times, with errors of both coordinates, and reconstructed from
the clicks, with numbers at risk every 12 months or with the number of patients and events alone. Truth is that of the
model: log 0.6, and the difference of means up to 36 months.

Methods: "data" analyses the patients themselves, "reconstruction" the reconstructed ones as though they were the data,
"data sets" combines those that the figures allow, and "constrained" those among them that give the hazard ratio of the
patients as a paper prints it, to two decimals.
"""

from __future__ import annotations

import argparse
import itertools
import math
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.integrate import quad

from netsynth._parallel import map_chunks
from netsynth._typing import FloatArray, IntArray
from netsynth.arms import compare_arms
from netsynth.errors import NetsynthWarning
from netsynth.ipd import reconstruct_ipd
from netsynth.kernels.product_limit import product_limit, survival_at
from netsynth.results.arm_checks import PrintedArms, agreeing_pairs
from netsynth.results.arm_effects import ArmAnalyses, analyse_arms, arm_effect, stacked
from netsynth.results.ensemble import PseudoData
from netsynth.results.ipd import PseudoIPD

RESULTS = Path(__file__).parent / "results" / "arms_coverage.csv"
SIZES = (60, 200)
FIGURES = ("fine", "coarse")
TABLES = ("every 12 months", "none")
SHAPE, SCALE, RATIO = 1.2, 30.0, 0.6
END, HORIZON, N_DRAWS = 48.0, 36.0, 20
#: Clicks, and the standard deviations of their survival and of their time as a share of the axis.
CLICKS = {"fine": (120, 0.002, 0.003), "coarse": (40, 0.006, 0.005)}


class Setting(NamedTuple):
    """One setting of the simulation with its own random numbers."""

    n: int
    figure: str
    table: str
    n_replications: int
    seed: np.random.SeedSequence


def truth() -> dict[str, float]:
    """The effects of the model."""
    means = [
        quad(lambda t, r=ratio: math.exp(-r * (t / SCALE) ** SHAPE), 0.0, HORIZON)[0]
        for ratio in (RATIO, 1.0)
    ]
    return {"log_hr": math.log(RATIO), "rmst_difference": means[0] - means[1]}


def patients(ratio: float, n: int, rng: np.random.Generator) -> PseudoData:
    """An arm."""
    death = SCALE * (rng.exponential(1.0, n) / ratio) ** (1.0 / SHAPE)
    lost = np.minimum(rng.uniform(12.0, 60.0, n), END)
    return PseudoData(np.minimum(death, lost), (death <= lost).astype(np.int64))


def clicked(data: PseudoData, setting: Setting, rng: np.random.Generator) -> PseudoIPD:
    """The arm as it is read from its picture."""
    m, noise, time_noise = CLICKS[setting.figure]
    fit = product_limit(*data)
    at = np.linspace(0.0, float(fit.time[-1]), m)
    level = survival_at(fit, at).estimate
    table = np.arange(0.0, END, 12.0)
    known: dict[str, FloatArray | IntArray | int]
    if setting.table == "none":
        known = {"n_total": setting.n, "n_events": int(data.event.sum())}
    else:
        known = {"at_risk_time": table, "n_at_risk": (data.time[:, None] >= table).sum(0)}
    return reconstruct_ipd(
        np.clip(at + rng.normal(0.0, time_noise * END, m), 0.0, END),
        np.clip(np.round(level + rng.normal(0.0, noise, m), 3), 0.0, 1.0),
        axis_end=END,
        steps=False,
        **known,  # type: ignore[arg-type]
    )


def answers(one: ArmAnalyses, several: ArmAnalyses) -> dict[str, tuple[float, float, float]]:
    """Estimate and limits of each effect from several data sets."""
    found = {}
    for name, pair in (
        ("log_hr", (several.cox, one.cox)),
        ("rmst_difference", (several.rmst_difference, one.rmst_difference)),
    ):
        parts = [type(one.rmst_difference)(*part) for part in pair]
        effect = arm_effect(name, "time", *parts)
        found[name] = (effect.estimate, *effect.confidence_interval())
    return found


def replicate(setting: Setting, rng: np.random.Generator) -> list[dict[str, object]]:
    """Answers of every method to one pair of arms."""
    data = [patients(ratio, setting.n, rng) for ratio in (RATIO, 1.0)]
    arms = [clicked(each, setting, rng) for each in data]
    none = np.zeros(0)
    exact = analyse_arms(stacked([data[0]]), stacked([data[1]]), HORIZON, none)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        found = compare_arms(arms[0], arms[1], horizon=HORIZON, n_draws=N_DRAWS, rng=rng)
    effects = {"log_hr": found.log_hr, "rmst_difference": found.rmst_difference}
    by_method: dict[str, dict[str, tuple[float, float, float]]] = {
        "reconstruction": {
            name: (effect.reconstructed, *effect.sampling_interval()) for name, effect in effects.items()
        },
        "data sets": {
            name: (effect.estimate, *effect.confidence_interval()) for name, effect in effects.items()
        },
    }
    point = {"log_hr": exact.cox.log_hr[0], "rmst_difference": exact.rmst_difference.estimate[0]}
    se = {
        "log_hr": math.sqrt(exact.cox.variance[0]),
        "rmst_difference": math.sqrt(exact.rmst_difference.variance[0]),
    }
    by_method["data"] = {
        name: (point[name], point[name] - 1.96 * se[name], point[name] + 1.96 * se[name]) for name in se
    }
    printed = PrintedArms.of(f"{math.exp(point['log_hr']):.2f}", None, "")
    treated, control = stacked(found.treated_draws.draws), stacked(found.control_draws.draws)
    constraint, places = agreeing_pairs(treated, control, printed)
    if constraint.was_used:
        chosen = [
            PseudoData(each.time[place], each.event[place])
            for each, place in zip((treated, control), places.T, strict=True)
        ]
        kept = analyse_arms(chosen[0], chosen[1], HORIZON, none)
        by_method["constrained"] = answers(kept, kept)
    true = truth()
    return [
        {
            "method": method,
            "effect": name,
            "covers": low <= true[name] <= high,
            "width": high - low,
            "error": estimate - true[name],
            "distance": (estimate - point[name]) / se[name],
        }
        for method, by_effect in by_method.items()
        for name, (estimate, low, high) in by_effect.items()
    ]


def simulate(setting: Setting) -> list[dict[str, object]]:
    """One row an effect and method."""
    rng = np.random.default_rng(setting.seed)
    rows = pd.DataFrame([row for _ in range(setting.n_replications) for row in replicate(setting, rng)])
    return [
        {
            "n": setting.n,
            "figure": setting.figure,
            "table": setting.table,
            "effect": effect,
            "method": method,
            "used": len(part) / setting.n_replications,
            "coverage": float(part.covers.mean()),
            "median_width": float(part.width.median()),
            "bias": float(part.error.mean()),
            "rmse": float(np.sqrt((part.error**2).mean())),
            "median_distance": float(part.distance.abs().median()),
            "p90_distance": float(part.distance.abs().quantile(0.9)),
        }
        for (effect, method), part in rows.groupby(["effect", "method"])
    ]


def main() -> None:
    """Simulate every setting, write the table, print its summary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replications", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1963)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    settings = list(itertools.product(SIZES, FIGURES, TABLES))
    seeds = np.random.SeedSequence(options.seed).spawn(len(settings))
    chunks = [Setting(*s, options.replications, seed) for s, seed in zip(settings, seeds, strict=True)]
    table = pd.DataFrame(
        [row for part in map_chunks(simulate, chunks, description="settings") for row in part]
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    table.round(5).to_csv(options.out, index=False)
    print(
        table.groupby(["table", "effect", "method"])[["coverage", "median_distance", "p90_distance"]]
        .mean()
        .round(3)
        .to_string()
    )


if __name__ == "__main__":
    main()
