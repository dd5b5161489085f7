"""A median-and-range table from plain lists, as a review would type them in."""

from __future__ import annotations

from netsynth import ReportedNumber, median_range

SURVIVAL = {"5-year OS": [73, 47, 71, 82, 61, 85, 72, 86, 41, 94, 77.4, 74]}
MEDIAN_MONTHS = {"median OS": ["91", "81", ">96", "78", "115", "125"]}


def main() -> None:
    """Print a line an outcome; an open end such as >96 is neither dropped nor replaced."""
    for name, values in SURVIVAL.items():
        result = median_range(values, unit="percent")
        interval = result.confidence_interval()
        print(f"{name}: {result}")
        print(
            f"  95% CI of the median {interval.lower:g}-{interval.upper:g}, exact coverage {interval.coverage:.1%}"
        )
    for name, texts in MEDIAN_MONTHS.items():
        numbers = [
            ReportedNumber(text.lstrip(">"), "month", ">" if text.startswith(">") else "=") for text in texts
        ]
        print(f"{name}: {median_range(numbers)}")


if __name__ == "__main__":
    main()
