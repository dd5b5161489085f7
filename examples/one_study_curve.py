"""One study's survival curve from the percentages of its abstract."""

from __future__ import annotations

from netsynth import ReportedSurvival, reconstruct_survival


def main() -> None:
    """Reconstruct, print, and say how much the report leaves open."""
    # Kianmanesh 2008: "overall survival at 2, 5 and 8 years 94%, 94% and 79%", 19 patients
    reported = ReportedSurvival.from_percent(
        "Kianmanesh 2008", "OS", years=[2, 5, 8], percent=["94", "94", "79"], n_total=19
    )
    curve = reconstruct_survival(reported)
    print(curve)
    low, high = curve.rmst_bounds(96)
    print(
        f"Mean survival within 8 years: {curve.rmst(96):.1f} months; the report allows {low:.1f} to {high:.1f}"
    )


if __name__ == "__main__":
    main()
