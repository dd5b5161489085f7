import warnings

import pytest

from netsynth.certainty import grade_factor
from netsynth.data.endpoint import find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.review import Review
from netsynth.data.study import Group, Study
from netsynth.errors import InvalidInputError, NetsynthWarning
from netsynth.prognostic import summarize_factors
from netsynth.tables.findings import BaselineSurvival, findings_table

GRADE = "histologic grade"


def factor(study, hr=None, ci=None, *, endpoint="OS", n=None, analysis="multivariable", **more):
    return ReportedFactor(
        study,
        "grade",
        find_endpoint(endpoint),
        "poor",
        "well",
        analysis=analysis,
        hazard_ratio=None if hr is None else ReportedNumber(hr, "ratio"),
        ci=None if ci is None else ReportedInterval.of(*ci, "ratio", 0.95),
        group=Group(n_total=n),
        **more,
    )


RESULTS = (
    factor("A", "2.00", ("1.20", "3.33"), n=200, n_events=60),
    factor("B", "1.60", ("1.00", "2.56"), n=240, n_events=70),
    factor("C", "1.80", ("1.10", "2.95"), n=100, n_events=65),
    factor("D", n=80, significance="no"),
    factor("A", "1.50", ("1.00", "2.25"), endpoint="RFS", n=200),
    factor("A", "2.50", ("1.60", "3.91"), n=200, analysis="univariable"),
)


@pytest.fixture(scope="module")
def summary():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return summarize_factors(Review(tuple(map(Study, "ABCD")), factors=RESULTS))


def cells(table):
    headers = [column.header for column in table.columns]
    return [dict(zip(headers, row, strict=True)) for row in table.rows]


def test_a_row_has_its_numbers_from_the_pooled_effect(summary):
    first, second = cells(findings_table(summary))
    pooled = summary.pooled(GRADE, "OS")
    low, high = pooled.natural_interval()
    ahead = pooled.natural_prediction_interval()
    assert first["Factor"] == "histologic grade (higher vs lower)"
    assert second["Factor"] == ""
    assert first["Studies"] == "3 (540 patients, 195 events)"
    assert first["HR (95% CI)"] == f"{pooled.natural:.2f} ({low:.2f}–{high:.2f})"
    assert first["95% PI"] == f"{ahead.lower:.2f}–{ahead.upper:.2f}"
    assert first["Comments"] == (
        f"I² 0%; HR above 1 in a new study with probability {pooled.probability_above():.2f}; "
        "1 further study without a usable HR, not significant"
    )
    assert (second["Outcome"], second["HR (95% CI)"]) == ("RFS", "1.50 (1.00–2.25)ᵃ")
    assert second["95% PI"] == ""


def test_survival_at_the_adverse_level_is_that_of_the_reference_to_the_power_of_the_ratio(summary):
    table = findings_table(summary, baseline={"OS": BaselineSurvival(60, 0.70, "a registry")})
    first = cells(table)[0]
    pooled = summary.pooled(GRADE, "OS")
    low, high = (100 * 0.70**ratio for ratio in reversed(pooled.natural_interval()))
    assert first["Alive of 100, reference level"] == "70ᵃ"
    assert (
        first["Alive of 100, adverse level (95% CI)"]
        == f"{100 * 0.70**pooled.natural:.0f} ({low:.0f}–{high:.0f})"
    )
    assert any(
        "At 5 years; survival with the reference level from a registry" in note for note in table.footnotes
    )
    assert cells(table)[1]["Alive of 100, reference level"] == ""


def test_certainty_and_kinds_of_analysis(summary):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        sheet = grade_factor(summary, GRADE, "OS", phase=2)
    table = findings_table(summary, strata=("adjusted", "unadjusted"), certainty=[sheet])
    found = cells(table)
    assert [(row["Outcome"], row["Analysis"]) for row in found] == [
        ("OS", "adjusted"),
        ("OS", "unadjusted"),
        ("RFS", "adjusted"),
    ]
    assert [row["Certainty"] for row in found] == [f"{sheet.certainty} (incomplete)", "", ""]
    assert len(findings_table(summary, min_studies=2).rows) == 1


def test_it_is_ready_to_paste(summary):
    table = findings_table(summary)
    assert table.to_markdown().count("|") > 10
    assert "<table" in table.to_html()
    assert "\\toprule" in table.to_latex()
    assert "Summary of findings" in str(table)
    assert "histologic grade" in table.to_csv()


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        ({"DSS": BaselineSurvival(60, 0.7)}, "no row has the endpoint 'DSS'; there are OS and RFS"),
        ({"OS": BaselineSurvival(60, 70)}, "a survival between 0 and 1"),
        ({"OS": BaselineSurvival(0, 0.7)}, "a positive number of months"),
        ({"OS": BaselineSurvival(float("nan"), 0.7)}, "a positive number of months"),
    ],
)
def test_baselines_that_cannot_be(summary, baseline, message):
    with pytest.raises(InvalidInputError, match=message):
        findings_table(summary, baseline=baseline)
