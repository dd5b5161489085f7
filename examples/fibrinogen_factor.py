"""One prognostic factor in 31 cohorts: pooled, predicted, and looked at for missing small studies."""

from __future__ import annotations

from netsynth import assess_factor_asymmetry, leave_one_out, summarize_factors
from netsynth.datasets import load_fibrinogen


def main() -> None:
    """Pool the hazard ratios per 1 g/l and print what they say."""
    summary = summarize_factors(load_fibrinogen())
    pooled = summary.pooled("fibrinogen", "CHD")
    print(pooled)
    # the cohorts stand in the order of their events
    used = summary.row("fibrinogen", "CHD").ratios("adjusted").used
    few, many = used[0], used[-1]
    low, high = leave_one_out(pooled).natural[[0, -1]].tolist()
    print(f"Without {few.label}, of the fewest events ({few.n_events}), {low:.2f}")
    print(f"Without {many.label}, of the most ({many.n_events}), {high:.2f}")
    print(assess_factor_asymmetry(summary, "fibrinogen", "CHD", method="debray_fiv"))


if __name__ == "__main__":
    main()
