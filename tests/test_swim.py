"""The nine items: what the analysis fills, and what only the author can."""

import pytest

from netsynth.data.number import ReportedNumber
from netsynth.datasets import load_fibrinogen, load_nethm
from netsynth.errors import HarmonisationWarning, InvalidInputError
from netsynth.prognostic import summarize_factors
from netsynth.pvalues import combine_pvalues
from netsynth.results.swim import TO_BE_WRITTEN
from netsynth.swim import ITEMS, swim_report
from netsynth.tables.swim import swim_table
from netsynth.votes import count_votes, describe_ratios

SUMMARY = summarize_factors(load_nethm())
ROW = SUMMARY.row("completeness of resection")
ANALYSES = (
    SUMMARY,
    count_votes(ROW),
    combine_pvalues(ROW, unknown_direction="bounds"),
    describe_ratios(SUMMARY.row("extrahepatic disease", "OS")),
)
#: Items that no analysis can answer.
AUTHORS = ("1b", "4", "6", "9")


def test_nine_items_in_order():
    report = swim_report(*ANALYSES)
    assert [item.number for item in report.items] == ["1a", "1b", "2", "3", "4", "5", "6", "7", "8", "9"]
    assert list(ITEMS) == [item.number for item in report.items]


@pytest.mark.parametrize("analysis", ANALYSES, ids=lambda a: type(a).__name__)
def test_nothing_is_made_up(analysis):
    report = swim_report(analysis)
    assert tuple(item.number for item in report.missing) == AUTHORS
    assert not report.is_complete
    for item in report.items:
        assert (item.source == "to be written") == (item.number in AUTHORS)
        assert item.shown.startswith(TO_BE_WRITTEN) == (item.number in AUTHORS)
    assert str(report).count(TO_BE_WRITTEN) == len(AUTHORS)
    assert report._repr_html_().count(f">{TO_BE_WRITTEN}</strong>") == len(AUTHORS)
    assert [row[3] for row in swim_table(report).rows].count("to be written") == len(AUTHORS)


def test_what_the_author_writes_stands_there():
    report = swim_report(
        *ANALYSES,
        title="Our review",
        grouping="Grade is what clinicians ask for.",
        changes="None.",
        no_pooling="Too few hazard ratios.",
        priority="None was given.",
        heterogeneity="By period.",
        certainty="GRADE.",
        presentation="Table 2.",
        limitations="Directions & bounds <only>.",
    )
    assert report.is_complete
    assert report.verdict == "Every item has an answer."
    assert TO_BE_WRITTEN not in str(report)
    assert report.item("1b").source == report.item("9").source == "author"
    assert report.item("1a").source == "analysis and author"
    assert report.item("3").text.endswith("\nToo few hazard ratios.")
    assert report.item("8").source == "analysis"
    assert "Directions &amp; bounds &lt;only&gt;." in report._repr_html_()
    assert str(report).startswith("Our review: synthesis without meta-analysis")
    assert list(report.summary_frame().loc["6", ["text", "source"]]) == ["GRADE.", "author"]


def test_what_was_pooled_is_told():
    """31 ratios of one endpoint, adjusted, with an interval each."""
    report = swim_report(summarize_factors(load_fibrinogen()))
    texts = {item.number: item.text for item in report.items}
    assert texts["2"] == (
        "The direction of the effect of the adverse level, from the hazard ratio (31).\n"
        "No result had to be turned.\n"
        "Where ratios were pooled, the log hazard ratio of the adverse level; its standard error from confidence "
        "interval (31)."
    )
    assert texts["3"].endswith(
        "Hazard ratios of each endpoint and kind of analysis were pooled where two studies have them (1 analysis of 31 "
        "ratios): random effects, tau2 by REML, modified Knapp-Hartung intervals."
    )
    assert texts["5"].splitlines() == [
        "Hazard ratios were kept apart by endpoint and kind of analysis.",
        "Counts of directions, of one result a study, put together neither endpoints nor kinds of analysis.",
        "Where hazard ratios were pooled (1), tau2, I2 and prediction intervals are given.",
    ]
    assert texts["7"].endswith(
        "A table of pooled hazard ratios; a forest plot of the pooled hazard ratio, by study."
    )
    other = summarize_factors(load_fibrinogen(), tau2_method="CE", ci_method="wald")
    assert "(1 analysis of 31 ratios): a common effect, Wald intervals." in swim_report(other).item("3").text


def test_what_counts_put_together_is_told():
    """Counted by hand from the rows: kinds of analysis of one endpoint, endpoints of any."""
    report = swim_report(SUMMARY)
    kinds = endpoints = 0
    for row in SUMMARY.rows:
        if row.endpoint == "any":
            endpoints += len({result.endpoint for result in row.counted}) > 1
        else:
            kinds += len({result.stratum for result in row.counted}) > 1
    assert min(kinds, endpoints) > 0
    text = report.item("5").text
    assert f"kinds of analysis in {kinds} of 46 pairs" in text
    assert f"endpoints in {endpoints} of 29 factors" in text
    assert "kept apart and" not in text
    assert "Where hazard ratios were pooled" not in text
    assert "forest plot" not in report.item("7").text
    assert "No hazard ratios were pooled for 46 of 46 pairs" in report.item("3").text
    assert "enter no test" in report.item("2").text
    assert " 0 " not in report.item("2").text


def test_unlike_ratios_are_told():
    with pytest.warns(HarmonisationWarning):
        spread = describe_ratios(SUMMARY.row("hormonal function"))
    report = swim_report(spread)
    told = f"hormonal function, any: unlike ratios are described together: {spread.mixed[0]}."
    assert told in report.item("5").text
    assert told in report.item("9").hints


def test_blank_is_not_an_answer():
    assert swim_report(SUMMARY, certainty="  ").item("6").source == "to be written"


def test_numbers_come_from_the_analysis():
    report = swim_report(*ANALYSES)
    for line in SUMMARY.narrative().splitlines():
        assert line in report.item("8").text
    assert str(ANALYSES[1].chosen) in report.item("8").text
    assert ANALYSES[2].shown in report.item("8").text
    assert SUMMARY.rule in report.item("3").text
    assert "70% of its results agree" in report.item("3").text
    results = [r for row in SUMMARY.rows if row.endpoint != "any" for r in row.results]
    inverted = sum(r.ratio_inverted for r in results)
    assert f"{inverted} ratio" in report.item("2").text
    assert f"({len(SUMMARY.factors)})" in report.item("1a").text


def test_doubts_are_put_before_the_author():
    hints = " ".join(swim_report(*ANALYSES).item("9").hints)
    assert "Neither directions nor combined p-values tell the size of an effect." in hints
    assert "directions inferred" in hints
    assert "2 studies print no ratio" in hints


def test_what_was_not_looked_at_is_said():
    combined = combine_pvalues([ReportedNumber("0.03", "pvalue")], direction=["worse"])
    report = swim_report(combined)
    assert report.item("5").text == "It was not investigated."
    assert report.title == "Synthesis"


def test_refused():
    with pytest.raises(InvalidInputError, match=r"^swim_report needs at least one analysis, .*"):
        swim_report()
    with pytest.raises(InvalidInputError, match=r"^swim_report takes results of .*; got FactorRow\.$"):
        swim_report(ROW)
    with pytest.raises(KeyError, match="no item '10'"):
        swim_report(SUMMARY).item("10")
