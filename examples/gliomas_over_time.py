"""Survival after radiotherapy for gliomas, with and without chemotherapy: 17 trials, two arms, four times.

Pools each arm into one curve, and the differences of the arms within each trial. Draws the curves.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import matplotlib.pyplot as plt

from netsynth import pool_differences, pool_survival
from netsynth.datasets import load_gliomas
from netsynth.errors import NetsynthWarning

TIMES = [6, 12, 18, 24]
ARMS = ("chemotherapy", "control")  # the evidence sets of the review


def main(folder: str | Path = "build/examples") -> None:
    """Pool, print, draw."""
    warnings.simplefilter("ignore", NetsynthWarning)  # they stay with the results
    trials = load_gliomas()
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for arm in ARMS:
        curve = pool_survival(trials, "OS", method="multivariate", sets=[arm], roles=["arm", "comparator"])
        print(f"{arm}: {curve}\n")
        curve.plot()
        plt.savefig(target / f"gliomas_{arm}.svg", bbox_inches="tight")
        plt.close()
    # arms are compared within the trials that randomised them
    print(pool_differences(trials, trials, "OS", times_months=TIMES, names=ARMS))
    print(
        pool_differences(trials, trials, "OS", times_months=TIMES, names=ARMS, kind="cumulative hazard ratio")
    )


if __name__ == "__main__":
    main(*sys.argv[1:2])
