"""Patients of made-up studies, for the tests of methods that take them."""

import numpy as np
import pandas as pd

from netsynth.curve_methods import curves, one_stage, parametric

SHAPE, SCALE = 1.2, 30.0


def weibull_studies(seed, k=12, tau=0.3, least=40, most=160):
    """Times and events a study: Weibull with a normal shift of the log hazard, censored from 12 months on."""
    rng = np.random.default_rng(seed)
    found = {}
    for i in range(k):
        n = int(rng.integers(least, most))
        hazard = np.exp(tau * rng.standard_normal())
        time = SCALE * (rng.exponential(size=n) / hazard) ** (1 / SHAPE)
        left = rng.uniform(12, rng.uniform(40, 70), n)
        found[f"S{i:02d}"] = (np.minimum(time, left), (time <= left).astype(int))
    return found


def frame(studies):
    return pd.concat(
        pd.DataFrame({"study": name, "time_months": time, "event": event})
        for name, (time, event) in studies.items()
    )


def without_grid(monkeypatch):
    """Let curves be estimated at the times asked for alone, so that these are all that another way has to find."""
    for module, name in ((curves, "_grid"), (one_stage, "grid_between"), (parametric, "_grid")):
        monkeypatch.setattr(module, name, lambda *_: np.zeros(0))


def kaplan_meier(time, event, at):
    """Survival and Greenwood's sum at one time, patient by patient."""
    survival, greenwood = 1.0, 0.0
    for t in np.unique(time[(event > 0) & (time <= at)]):
        r, d = (time >= t).sum(), ((time == t) & (event > 0)).sum()
        survival *= 1 - d / r
        greenwood += d / (r * (r - d)) if r > d else np.inf
    return survival, greenwood
