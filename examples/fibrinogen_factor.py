"""One prognostic factor in 31 cohorts: pooled, predicted, and looked at for missing small studies."""

from __future__ import annotations

from netsynth import assess_asymmetry, leave_one_out, pool_effects, summarize_factors
from netsynth.datasets import load_fibrinogen


def main() -> None:
    """Pool the hazard ratios per 1 g/l and print what they say."""
    ratios = summarize_factors(load_fibrinogen()).row("fibrinogen", "CHD").ratios("adjusted")
    pooled = pool_effects(
        [r.log_hr for r in ratios.used],
        se=[r.se for r in ratios.used],
        measure="log_hr",
        study=[r.label for r in ratios.used],
    )
    print(pooled)
    low, high = leave_one_out(pooled).natural[[0, -1]].tolist()
    print(f"Without the smallest cohort {low:.2f}, without the largest {high:.2f}")
    events = [r.n_events or 0 for r in load_fibrinogen().factors]
    print(assess_asymmetry(pooled, method="debray_fiv", n_events=events))


if __name__ == "__main__":
    main()
