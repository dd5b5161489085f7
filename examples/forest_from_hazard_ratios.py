"""A forest plot from published hazard ratios with their confidence intervals."""

from __future__ import annotations

import sys
from math import log
from pathlib import Path

import matplotlib.pyplot as plt

from netsynth import pool_effects
from netsynth.plots import forest_plot

# Fibrinogen and coronary heart disease, the eight largest cohorts of the Fibrinogen Studies Collaboration:
# events, hazard ratio per g/l and its 95% interval, as printed
PUBLISHED = [
    (284, 1.52, 1.30, 1.79),
    (285, 1.54, 1.31, 1.80),
    (291, 1.63, 1.40, 1.92),
    (325, 1.30, 1.11, 1.53),
    (447, 1.36, 1.18, 1.58),
    (603, 1.97, 1.76, 2.21),
    (653, 1.47, 1.33, 1.62),
    (1474, 1.24, 1.14, 1.36),
]


def main(folder: str | Path = "build/examples") -> None:
    """Pool on the log scale, print, draw."""
    z = 1.959964
    log_hr = [log(ratio) for _, ratio, _, _ in PUBLISHED]
    se = [(log(upper) - log(lower)) / (2 * z) for _, _, lower, upper in PUBLISHED]
    names = [f"Cohort {i}" for i in range(1, len(PUBLISHED) + 1)]
    pooled = pool_effects(log_hr, se=se, measure="log_hr", study=names)
    print(pooled)
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    forest_plot(pooled, columns={"Events": [events for events, *_ in PUBLISHED]})
    plt.savefig(target / "forest.svg", bbox_inches="tight")
    print(f"Drawn in {target / 'forest.svg'}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
