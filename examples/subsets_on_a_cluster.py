"""All subsets of the trials of vaccination against tuberculosis, pooled on a Dask cluster.

The cluster is a local one of two processes; give the address of a scheduler to use another. Needs the extra
``netsynth[distributed]``. Run it as ``python examples/subsets_on_a_cluster.py [ADDRESS]``.
"""

import sys

import joblib
import numpy as np

from netsynth import pool_effects
from netsynth.subsets import gosh

TRIALS = {  # tuberculosis and none among the vaccinated, tuberculosis and none among the others (Colditz 1994)
    "Aronson 1948": (4, 119, 11, 128),
    "Ferguson 1949": (6, 300, 29, 274),
    "Rosenthal 1960": (3, 228, 11, 209),
    "Hart 1977": (62, 13536, 248, 12619),
    "Frimodt-Moller 1973": (33, 5036, 47, 5761),
    "Stein 1953": (180, 1361, 372, 1079),
    "Vandiviere 1973": (8, 2537, 10, 619),
    "Madras 1980": (505, 87886, 499, 87892),
    "Coetzee 1968": (29, 7470, 45, 7232),
    "Rosenthal 1961": (17, 1699, 65, 1600),
    "Comstock 1974": (186, 50448, 141, 27197),
    "Comstock 1969": (5, 2493, 3, 2338),
    "Comstock 1976": (27, 16886, 29, 17825),
}


def main(address: str | None = None) -> None:
    """Pool every subset here and on the cluster, and show that both say the same."""
    from distributed import Client, LocalCluster

    a, b, c, d = np.array(list(TRIALS.values()), dtype=float).T
    log_rr = np.log(a / (a + b)) - np.log(c / (c + d))
    se = np.sqrt(1 / a - 1 / (a + b) + 1 / c - 1 / (c + d))
    pooled = pool_effects(log_rr, se=se, study=list(TRIALS))
    here = gosh(pooled)
    local = None
    if address is None:
        local = LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
        )
    with Client(local or address), joblib.parallel_config(backend="dask"):
        there = gosh(pooled)
    if local is not None:
        local.close()
    print(here)
    print("The cluster says the same:", np.array_equal(here.estimate, there.estimate))


if __name__ == "__main__":
    main(*sys.argv[1:2])
