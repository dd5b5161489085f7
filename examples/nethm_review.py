"""The review of surgery for neuroendocrine liver metastases, redone from the figures of 44 studies.

Prints the results paragraph and the published review's numbers beside ours, and writes every table and figure
and one self-contained page into build/nethm (or the folder given).
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from netsynth import summarize_outcomes
from netsynth.datasets import load_nethm
from netsynth.report import analyse_review, write_report


def main(folder: str | Path = "build/nethm") -> None:
    """Analyse, print, write."""
    review = load_nethm()
    # the published review searched to September 2010: "core" are the resected cohorts and arms up to then
    analysis = analyse_review(review, sets=["core"])

    print(review)
    print("\nResults (studies up to September 2010, the span of the published review)\n")
    print(textwrap.fill(analysis.paragraph(), 100))
    print("\nBeside the published review (Saxena 2012, doi 10.1016/j.suronc.2012.05.001)\n")
    print(analysis.outcomes.comparison())
    print("\nWith all studies to date\n")
    print(analysis.all_outcomes.comparison())
    kept = summarize_outcomes(review, sets=["core"], overlap="keep")
    print(f"\nWith overlapping cohorts kept apart: {kept.row('symptom_relief')}")
    print("\nPrognostic factors that three or more studies report (all are in the tables)\n")
    if factors := analysis.factors:
        for factor, line in zip(factors.factors, factors.narrative().splitlines(), strict=True):
            if factors.row(factor).k >= 3:
                print(textwrap.fill(line, 100, initial_indent="- ", subsequent_indent="  "))

    report = write_report(analysis, folder)
    print(
        f"\nTables, figures and the report are in {report.parent}{'' if report.parent.is_absolute() else '/'}"
    )
    print(f"Open {report}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
