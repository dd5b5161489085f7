"""The review of surgery for neuroendocrine liver metastases, redone from the figures of 44 studies.

Prints the results paragraph, the published review's numbers beside ours, what the pooled figures rest on and what the
audit found, and writes every table and figure and one self-contained page into build/nethm (or the folder given).
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from netsynth.datasets import load_nethm
from netsynth.report import analyse_review, write_report
from netsynth.tables import curve_table

#: What only the author of a synthesis without meta-analysis can say.
SWIM = {
    "changes": "This redone synthesis had no protocol.",
    "no_pooling": "Hardly any study prints a hazard ratio with its interval, and no factor has two for one endpoint.",
    "priority": "None: each study counts once, whatever its size or quality.",
    "certainty": (
        "GRADE for prognostic factors, started at moderate because the studies look for factors. Every move that a "
        "number supports is proposed with it; none was judged, because the abstracts and review tables that were read "
        "do not show how studies were done."
    ),
    "limitations": "Factors that an abstract does not name may have been studied and found without effect.",
}


def main(folder: str | Path = "build/nethm") -> None:
    """Analyse, print, write."""
    review = load_nethm()
    # the published review searched to September 2010: "core" are the resected cohorts and arms up to then
    analysis = analyse_review(review, sets=["core"], phase=1, swim=SWIM)

    print(review)
    print("\nResults (studies up to September 2010, the span of the published review)\n")
    print(textwrap.fill(analysis.paragraph(), 100))
    print("\nBeside the published review (Saxena 2012, doi 10.1016/j.suronc.2012.05.001)\n")
    print(analysis.outcomes.comparison())
    print("\nWith all studies to date\n")
    print(analysis.all_outcomes.comparison())
    if curve := analysis.pooled_curve:
        print(f"\n{curve_table(curve)}")
    print("\nMedian survival over all evidence sets, medians not reached as bounds\n")
    for row, pooled in analysis.all_medians:
        low, high = pooled.natural_interval()
        print(f"{row.label}: {pooled.natural:.1f} months (95% CI {low:.1f}-{high:.1f}; k = {pooled.k})")
    print("\nUnder other choices\n")
    for other in analysis.sensitivity:
        if other.outcome == "5-year OS" and other.varied != "one study left out":
            low, high = 100 * other.lower, 100 * other.upper
            print(
                f"5-year OS {100 * other.estimate:.1f}% ({low:.1f}-{high:.1f}; k = {other.k}), {other.analysis}"
            )
    if analysis.leave_one_out:
        print(analysis.leave_one_out.conclusion())
    print(f"\nAudit\n\n{analysis.audit.headline}")
    for finding in analysis.audit.findings:
        print(textwrap.fill(str(finding), 100, initial_indent="- ", subsequent_indent="  "))
    print("\nPrognostic factors that three or more studies report (all are in the tables)\n")
    if factors := analysis.factors:
        for factor, line in zip(factors.factors, factors.narrative().splitlines(), strict=True):
            if factors.row(factor).k >= 3:
                print(textwrap.fill(line, 100, initial_indent="- ", subsequent_indent="  "))

    print("\nTheir certainty, as the numbers propose it\n")
    for sheet in analysis.certainty:
        moved = "; ".join(f"{move.shown} {move.domain}: {move.reason}" for move in sheet.moves if move.move)
        line = f"{sheet.factor}, {sheet.endpoint}: {sheet.certainty}, {sheet.status}{f' ({moved})' if moved else ''}"
        print(textwrap.fill(line, 100, initial_indent="- ", subsequent_indent="  "))

    report = write_report(analysis, folder)
    print(
        f"\nTables, figures and the report are in {report.parent}{'' if report.parent.is_absolute() else '/'}"
    )
    print(f"Open {report}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
