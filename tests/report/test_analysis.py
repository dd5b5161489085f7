"""The whole analysis of a review: what enters it, and a paragraph that claims no more than the tables."""

import re

import pytest

from netsynth.data.review import Review
from netsynth.data.study import Study
from netsynth.data.survival import ReportedSurvival
from netsynth.datasets import load_nethm
from netsynth.errors import InvalidInputError
from netsynth.outcomes import summarize_outcomes
from netsynth.report import analyse_review, write_report


@pytest.fixture(scope="module")
def analysis():
    return analyse_review(load_nethm(), sets=["core"])


def test_warnings_are_kept_and_not_shown(analysis, recwarn):
    analyse_review(load_nethm(), sets=["core"])
    assert not recwarn.list
    names = {caution.name for caution in analysis.warnings}
    assert {"InconsistentReportWarning", "ImputedVarianceWarning", "FewStudiesWarning"} <= names
    assert len(set(analysis.warnings)) == len(analysis.warnings)


def test_each_clause_of_the_paragraph_stands_in_a_table(analysis):
    text = analysis.paragraph()
    several = [row for row in analysis.outcomes.rows if row.k > 1]
    assert all(str(row.summary) in text for row in several)
    for row, effect in analysis.pooled:
        assert f"{row.label} was {100 * effect.natural:.0f}% (95% CI, " in text
    for worse, known, factor in re.findall(r"(\d+) of (\d+) for ([^(]+) \(", text):
        count = analysis.factors.row(factor).directions
        assert (count.n_worse, count.n_directed) == (int(worse), int(known))
        assert count.n_directed >= 3
    # what the published review concluded in prose
    for factor in ("completeness of resection", "histologic grade", "extrahepatic disease"):
        assert f" for {factor} (" in text


def test_nothing_is_pooled_from_fewer_than_three_studies(analysis):
    row, effect = analysis.pooled[0]
    assert (row.label, effect.k) == ("5-year OS", 12)
    assert all(effect.k >= 3 for _, effect in analysis.pooled)


def test_headline_sets_do_not_narrow_the_rest(analysis):
    every = summarize_outcomes(load_nethm())
    assert [row.k for row in analysis.all_outcomes.rows] == [row.k for row in every.rows]
    assert set(analysis.landmarks) >= {60.0, 120.0}
    assert analysis.landmarks[60.0].k > analysis.outcomes.row("OS", 60).k


def test_a_small_review_without_factors_or_proportions_still_reports(tmp_path):
    review = Review(
        (Study("a", n_patients=40),),
        survival=(ReportedSurvival.from_percent("a", "OS", years=[3, 5], percent=["80", "60"], n_total=40),),
        title="A <small> review",
    )
    page = write_report(review, tmp_path).read_text(encoding="utf-8")
    assert "A &lt;small&gt; review" in page
    assert "<small>" not in page
    assert (tmp_path / "figures" / "curves.svg").exists()
    assert not (tmp_path / "tables" / "factors.csv").exists()


def test_the_two_tables_of_medians_are_told_apart(analysis, tmp_path):
    page = write_report(analysis, tmp_path).read_text(encoding="utf-8")
    assert page.count("Medians and ranges over studies</caption>") == 1
    assert page.count("Medians and ranges over studies, all evidence sets</caption>") == 1


def test_unknown_endpoint_is_refused():
    with pytest.raises(InvalidInputError, match="Unknown endpoint 'XX'"):
        analyse_review(load_nethm(), endpoint="XX")
