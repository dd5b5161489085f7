import pytest

from netsynth.certainty import grade_directions, grade_factor
from netsynth.data.endpoint import find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.review import Review
from netsynth.data.study import Group, Study
from netsynth.prognostic import summarize_factors
from netsynth.results.certainty import DOMAINS
from netsynth.tables.certainty import certainty_table


def told(study, factor="grade", levels=("poor", "well"), *, hr=None, ci=None, n=100, **more):
    return ReportedFactor(
        study,
        factor,
        find_endpoint("OS"),
        *levels,
        "multivariable",
        hazard_ratio=None if hr is None else ReportedNumber(hr, "ratio"),
        ci=None if ci is None else ReportedInterval.of(*ci, "ratio", 0.95),
        direction="worse",
        significance="yes",
        group=Group(n_total=n),
        **more,
    )


@pytest.fixture(scope="module")
def summary():
    age = ("older", "younger")
    results = (
        told("A"),
        told("B", n=350),
        told("A", "age", age, hr="2.00", ci=("1.50", "2.67")),
        told("B", "age", age, hr="2.00", ci=("1.50", "2.67")),
        told("C", "age", age, hr="2.00", ci=("1.50", "2.67")),
    )
    return summarize_factors(Review(tuple(map(Study, "ABC")), factors=results))


def cells(table):
    headers = [column.header for column in table.columns]
    return [dict(zip(headers, row, strict=True)) for row in table.rows]


def test_every_domain_stands_in_the_row_or_in_the_footnote(summary):
    sheets = [
        grade_factor(summary, "age", "OS", phase=2),
        grade_directions(summary, "histologic grade", "OS", phase=2),
    ]
    table = certainty_table(summary, sheets)
    ratio, direction = cells(table)
    assert ratio["Finding"] == summary.row("age", "OS").ratios("adjusted").words()
    assert direction["Finding"] == "worse in 2 of 2 studies with a direction (95% CI 16–100%)"
    assert (ratio["Studies"], direction["Studies"]) == ("3 (300 patients)", "2 (450 patients)")
    assert (ratio["Certainty"], direction["Certainty"]) == ("high (incomplete)", "high (incomplete)")
    for sheet, row in zip(sheets, (ratio, direction), strict=True):
        for domain in DOMAINS:
            move = sheet.move(domain)
            text = f"{move.shown} {domain} ({move.reason})"
            assert (text in row["Why"]) != (text in table.footnotes[0])
    assert table.footnotes[0].startswith(
        "In all rows: ? study limitations (no ratings of risk of bias were given); "
    )
    assert "high for phase 2, studies that confirm independent associations" in table.footnotes[1]
    assert "the certainty is that of the direction that most studies found" in table.footnotes[2]
    assert len(certainty_table(summary, sheets[:1]).footnotes) == 1


def test_judgements_stand_with_their_words(summary):
    sheet = grade_directions(summary, "histologic grade", "OS", phase=1)
    for domain in DOMAINS:
        sheet = sheet.judge(domain, "As it is.", move=0)
    (row,) = cells(certainty_table(summary, [sheet]))
    assert row["Certainty"] == "moderate"
    assert row["Why"].count("| As it is.)") == len(DOMAINS)


def test_no_sheet_is_an_empty_table(summary):
    assert certainty_table(summary, []).rows == ()
