"""How far the ways to a log hazard ratio are from Cox's fit of the same patients, by simulation.

Run it from the checkout: ``python validation/hazard_ratio_routes.py``. It writes
validation/results/hazard_ratio_routes.csv, one row a setting and way, and prints the table of method errors that
`netsynth.kernels.hazard_ratio_routes.METHOD_ERROR` holds. It takes two minutes on one core. Settings spread over as
many cores as joblib is told of.

Trials of 60, 200 and 600 patients in groups of one size or of 1 to 3; Weibull hazards of shape 0.7 or 1.3; log hazard
ratios from -1.6 to 0.9 that are constant, or begin or end when a quarter or half of the controls have had the event;
follow-up from 1.5 to 3 or from 0.4 to 1.2 times the scale of survival. From each trial come the figures that a paper
prints, not rounded: the log-rank test, events and patients, survival and numbers at risk at ten even times, the
shortest and longest follow-up, survival at a third and at two thirds of follow-up, medians, restricted means.

The table: the mean square of the difference from Cox's log hazard ratio is fitted by b theta^2 + c theta^4 + d v + e
theta^4 L^2, none below 0, with errors relative to the fit; L is the logarithm of the ratio of the group sizes. Trials
with a constant ratio weigh as much as the other two kinds together. "alarm" is how often a way would be said to
disagree with Cox's fit, by the rule of `netsynth.hazard_ratio` and the method errors as they stand: never rightly,
since both come from the same patients.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import nnls
from scipy.special import chdtri

from netsynth._parallel import map_chunks
from netsynth._typing import FloatArray, IntArray
from netsynth.hazard_routes.doubts import MATTERS, SELDOM
from netsynth.kernels import hazard_ratio_routes as routes
from netsynth.kernels.hazard_ratio_routes import LogRatio, RouteFamily
from netsynth.kernels.product_limit import (
    Estimates,
    ProductLimit,
    first_time_at,
    product_limit,
    restricted_mean,
    survival_at,
)
from netsynth.kernels.two_arms import cox, log_rank, risk_sets, with_variance

RESULTS = Path(__file__).parent / "results" / "hazard_ratio_routes.csv"
SIZES = (60, 200, 600)
SHARES = (0.5, 0.25)  # of the patients in the group that the ratio speaks of
LOG_RATIOS = (-1.6, -0.9, -0.4, 0.0, 0.4, 0.9)
SHAPES = (0.7, 1.3)
FOLLOW_UP = {"long": (1.5, 3.0), "short": (0.4, 1.2)}  # shortest and longest, in scales of survival
PATTERNS = {"constant": 0.5, "delayed": 0.25, "fading": 0.25}  # with their weights in the fit
CHANGE = {
    "delayed": -np.log(0.75),
    "fading": np.log(2.0),
}  # cumulative hazard of the controls when the ratio changes


class Setting(NamedTuple):
    """One setting of the simulation with its own random numbers."""

    n: int
    share: float
    log_hr: float
    shape: float
    follow_up: str
    pattern: str
    n_replications: int
    seed: np.random.SeedSequence


class Group(NamedTuple):
    """Patients of one group in every trial, shape (trials, patients), and their curves."""

    time: FloatArray
    event: IntArray
    fit: ProductLimit

    @property
    def n_events(self) -> FloatArray:
        """Events of the group in each trial."""
        return np.asarray(self.event.sum(-1), dtype=np.float64)

    def at(self, time: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Survival and numbers at risk."""
        return survival_at(self.fit, time).estimate, (self.time[..., None] >= time).sum(-2).astype(np.float64)


def group(setting: Setting, n: int, log_hr: float, rng: np.random.Generator) -> Group:
    """Patients whose hazard ratio to the controls is constant, delayed or fading."""
    u, ratio = rng.exponential(1.0, (setting.n_replications, n)), np.exp(log_hr)
    if setting.pattern == "constant":
        hazard = u / ratio
    elif setting.pattern == "delayed":
        change = CHANGE["delayed"]
        hazard = np.where(u <= change, u, change + (u - change) / ratio)
    else:
        change = CHANGE["fading"]
        hazard = np.where(u <= ratio * change, u / ratio, change + u - ratio * change)
    death = hazard ** (1.0 / setting.shape)
    lost = rng.uniform(*FOLLOW_UP[setting.follow_up], death.shape)
    time, event = np.minimum(death, lost), (death <= lost).astype(np.int64)
    return Group(time, event, product_limit(time, event))


def ways(setting: Setting, one: Group, other: Group) -> dict[RouteFamily, LogRatio]:
    """Every way to the log hazard ratio of group one."""
    sets = risk_sets(one.time, one.event, other.time, other.event)
    test = log_rank(sets)
    excess, total = test.observed - test.expected, one.n_events + other.n_events
    z = excess / np.sqrt(test.variance)
    shortest, longest = FOLLOW_UP[setting.follow_up]
    found: dict[RouteFamily, LogRatio] = {
        "observed minus expected": routes.from_log_rank(excess, test.variance),
        "observed over expected": routes.from_expected(
            one.n_events, other.n_events, test.expected, total - test.expected
        ),
        "events by arm": routes.from_statistic(z, routes.information_of_arms(one.n_events, other.n_events)),
        "events and patients": routes.from_statistic(
            z, routes.information_of_patients(total, one.time.shape[-1], other.time.shape[-1])
        ),
        "events": routes.from_statistic(z, routes.information_of_total(total)),
    }
    last = min(float(one.time.max(-1).min()), float(other.time.max(-1).min()), longest)
    grid = np.linspace(0.0, last, 11)
    (s1, n1), (s0, n0) = one.at(grid), other.at(grid)
    found["numbers at risk"] = routes.from_intervals(s1, n1, s0, n0)
    carried = [
        routes.at_risk_by_follow_up(grid, s, each.time.shape[-1], shortest, longest)
        for s, each in ((s1, one), (s0, other))
    ]
    found["follow-up"] = routes.from_intervals(s1, carried[0], s0, carried[1])
    landmarks = np.array([last / 3.0, 2.0 * last / 3.0])
    survival = [with_variance(survival_at(each.fit, landmarks)) for each in (one, other)]
    found["landmarks"] = routes.from_landmarks(*survival[0], *survival[1])
    medians = [first_time_at(each.fit, 0.5) for each in (one, other)]
    known = np.isfinite(medians[0]) & np.isfinite(medians[1])
    m1, m0 = (np.where(known, m, np.nan) for m in medians)
    found["medians"] = routes.from_medians(
        m1, m0, routes.median_variance(one.n_events), routes.median_variance(other.n_events)
    )
    horizon = np.array([last])
    means = [
        Estimates(*(part[..., 0] for part in restricted_mean(each.fit, horizon))) for each in (one, other)
    ]
    z_mean = (means[1].estimate - means[0].estimate) / np.sqrt(means[0].variance + means[1].variance)
    found["restricted means"] = routes.from_statistic(
        z_mean, routes.information_of_arms(one.n_events, other.n_events)
    )
    return found


def simulate(setting: Setting) -> list[dict[str, object]]:
    """One row a way."""
    rng = np.random.default_rng(setting.seed)
    n_one = round(setting.n * setting.share)
    one, other = group(setting, n_one, setting.log_hr, rng), group(setting, setting.n - n_one, 0.0, rng)
    fit = cox(risk_sets(one.time, one.event, other.time, other.event))
    is_fit = np.isfinite(fit.log_hr)
    rows = []
    with np.errstate(divide="ignore", invalid="ignore"):
        found = ways(setting, one, other)
    for name, way in found.items():
        used = is_fit & np.isfinite(way.log_hr) & np.isfinite(way.variance)
        if not used.any():
            continue
        theta, variance, truth = way.log_hr[used], way.variance[used], fit.log_hr[used]
        allocation = setting.share / (1.0 - setting.share) if name != "events" else routes.UNKNOWN_ALLOCATION
        error = routes.method_variance(name, theta, variance, allocation)
        far = (theta - truth) ** 2 > chdtri(1.0, SELDOM) * error
        matters = np.abs(theta - truth) > MATTERS * np.sqrt(fit.variance[used])
        rows.append(
            {
                "n": setting.n,
                "share": setting.share,
                "log_hr": setting.log_hr,
                "shape": setting.shape,
                "follow_up": setting.follow_up,
                "pattern": setting.pattern,
                "way": name,
                "used": used.mean(),
                "events": (one.n_events + other.n_events)[used].mean(),
                "square": (theta**2).mean(),
                "fourth": (theta**4).mean(),
                "variance": variance.mean(),
                "variance_ratio": np.exp(np.log(variance / fit.variance[used]).mean()),
                "bias": (theta - truth).mean(),
                "mse": ((theta - truth) ** 2).mean(),
                "alarm": (far & matters).mean(),
            }
        )
    return rows


def fitted(table: pd.DataFrame) -> pd.DataFrame:
    """Coefficients of the method error of each way."""
    rows = {}
    for way, part in table.groupby("way", sort=False):
        imbalance = np.log(part["share"] / (1.0 - part["share"])) ** 2
        terms = np.column_stack(
            [part["square"], part["fourth"], part["variance"], part["fourth"] * imbalance]
        )
        mse, weight = part["mse"].to_numpy(), np.sqrt(part["pattern"].map(PATTERNS).to_numpy() * part["used"])
        level = np.full(len(part), mse.mean())
        for _ in range(20):  # until the weights rest
            scale = weight.to_numpy() / level
            coefficients, _ = nnls(terms * scale[:, None], mse * scale)
            level = np.maximum(terms @ coefficients, 1e-9)
        rows[way] = coefficients
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(routes.MethodError._fields))


def main() -> None:
    """Simulate every setting, write the table, print the method errors."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replications", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1998)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    settings = list(itertools.product(SIZES, SHARES, LOG_RATIOS, SHAPES, FOLLOW_UP, PATTERNS))
    seeds = np.random.SeedSequence(options.seed).spawn(len(settings))
    chunks = [Setting(*s, options.replications, seed) for s, seed in zip(settings, seeds, strict=True)]
    table = pd.DataFrame(
        [row for part in map_chunks(simulate, chunks, description="settings") for row in part]
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(options.out, index=False, float_format="%.5g")
    print(fitted(table).round(4).to_string())
    weight = table["pattern"].map(PATTERNS) * table["used"]
    alarms = (table["alarm"] * weight).groupby(table["way"]).sum() / weight.groupby(table["way"]).sum()
    print(alarms.round(4).to_string())


if __name__ == "__main__":
    main()
