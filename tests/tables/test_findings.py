import math
import warnings
from dataclasses import replace

import pytest

from netsynth.certainty import grade_factor
from netsynth.data.endpoint import ENDPOINTS, Endpoint, find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.review import Review
from netsynth.data.study import Group, Study
from netsynth.datasets import load_fibrinogen
from netsynth.errors import InvalidInputError, NetsynthWarning
from netsynth.prognostic import summarize_factors
from netsynth.tables.factors import factor_table
from netsynth.tables.findings import BaselineSurvival, findings_table

GRADE = "histologic grade"
CHD = Endpoint("CHD", "coronary heart disease", "incidence")


def factor(study, hr=None, ci=None, *, endpoint="OS", n=None, analysis="multivariable", level=0.95, **more):
    return ReportedFactor(
        study,
        "grade",
        endpoint if isinstance(endpoint, Endpoint) else find_endpoint(endpoint),
        *more.pop("levels", ("poor", "well")),
        analysis=analysis,
        hazard_ratio=None if hr is None else ReportedNumber(hr, "ratio"),
        ci=None if ci is None else ReportedInterval.of(*ci, "ratio", level),
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


def summarized(*made):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return summarize_factors(
            Review(
                tuple(map(Study, dict.fromkeys(f.study for f in made))),
                factors=made,
                endpoints=(*ENDPOINTS, CHD),
            )
        )


def test_one_study_has_limits_of_the_level_of_the_column_and_says_where_they_are_from():
    baseline = {"OS": BaselineSurvival(60, 0.80)}

    def row(made, **options):
        table = findings_table(summarized(made), baseline=baseline, **options)
        return cells(table)[0], table.footnotes

    first, notes = row(factor("A", "2.0", ("1.2", "3.3")), level=0.90)
    # log 2 +- 1.645 x log(3.3 / 1.2) / (2 x 1.96), the rounding of 2.0 apart: 1.31 to 3.06
    assert first["HR (90% CI)"] == "2.0 (1.3–3.1)ᵃ"
    assert notes[0] == (
        "ᵃ One study, as printed or turned to the first level; 90% CI computed from its 95% CI."
    )
    assert (
        first["Alive of 100, adverse level (90% CI)"] == f"64 ({100 * 0.8**3.06:.0f}–{100 * 0.8**1.31:.0f})"
    )
    other = factor("A", "0.5", ("0.3", "0.8"), level=0.90, levels=("well", "poor"))
    turned, notes = row(other)
    # log 2 +- 1.96 x log(0.8 / 0.3) / (2 x 1.645): 1.11 to 3.59
    assert turned["HR (95% CI)"] == "2.0 (1.1–3.6)ᵃ"
    assert "95% CI computed from its 90% CI" in notes[0]
    assert row(other, level=0.90)[0]["HR (90% CI)"] == "2.0 (1.2–3.3)ᵃ"  # 1 / 0.8 = 1.25, 1 / 0.3 = 3.33
    assert summarized(other).rows[0].results[0].ratio == "2.0 (90% CI 1.2–3.3)"
    assert row(factor("A", "2.0", ("1.2", "3.3")))[0]["HR (95% CI)"] == "2.0 (1.2–3.3)ᵃ"


def test_a_ratio_that_is_not_printed_is_never_shown_as_if_it_were():
    made = factor(
        "A",
        n=100,
        n_events=50,
        analysis="univariable",
        direction="worse",
        pvalue=ReportedNumber("0.01", "pvalue"),
    )
    found = summarized(made)
    table = findings_table(found, strata=("unadjusted",))
    assert table.footnotes[0] == "ᵃ One study, which prints no ratio: computed from p and events."
    frame = found.pooled_frame().iloc[0]
    shown = f"2.1 ({frame.ci_lower:.1f}–{frame.ci_upper:.1f})"
    # log ratio z / sqrt(D / 4) = 2.5758 / sqrt(12.5), with an error of at least 1 / sqrt(12.5)
    assert frame.hazard_ratio == pytest.approx(math.exp(2.5758293 / math.sqrt(12.5)), rel=1e-6)
    assert frame.ci_upper > math.exp((2.5758293 + 1.9599640) / math.sqrt(12.5))
    assert cells(table)[0]["HR (95% CI)"] == f"{shown}ᵃ"
    assert frame.printed == ""
    assert f"unadjusted HR {shown}, from p and events of one study" in found.narrative()


@pytest.mark.parametrize(
    ("endpoints", "state"),
    [
        (("OS",), "Alive"),
        (("RFS",), "Event-free"),
        (("recurrence",), "Event-free"),
        ((CHD,), "Event-free"),
        (("OS", "RFS"), "Alive (OS) or event-free"),
    ],
)
def test_patients_are_called_alive_only_where_the_event_is_death(endpoints, state):
    made = [factor("A", "2.00", ("1.20", "3.33"), endpoint=endpoint) for endpoint in endpoints]
    found = summarized(
        factor("B", "2.00", ("1.20", "3.33")), *made
    )  # its row has no baseline unless OS is asked
    baseline = {str(endpoint): BaselineSurvival(60, 0.8) for endpoint in endpoints}
    headers = [column.header for column in findings_table(found, baseline=baseline).columns]
    assert f"{state} of 100, reference level" in headers
    assert f"{state} of 100, adverse level (95% CI)" in headers


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


def test_cut_points_stand_in_the_comments():
    made = [
        replace(
            factor("A", "2.00", ("1.20", "3.33")),
            factor="size",
            adverse_level="> 5 cm",
            reference_level="<= 5 cm",
        ),
        replace(
            factor("B", "1.60", ("1.00", "2.56"), notes="optimal cut-off"),
            factor="size",
            adverse_level="> 3 cm",
            reference_level="<= 3 cm",
        ),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        found = summarize_factors(Review(tuple(map(Study, "AB")), factors=made))
    notes = factor_table(found).footnotes
    assert "size: pooled over different cut-points, 5 cm (A) and 3 cm (B)." in notes[0]
    assert "size: cut-point chosen by the outcome in B (3 cm); HR too far from 1, p too small." in notes[1]
    (row,) = cells(findings_table(found))
    assert "different cut-points: 5 cm (A) and 3 cm (B)" in row["Comments"]
    assert "cut-point chosen by the outcome in B (3 cm): HR too far from 1" in row["Comments"]


def test_a_probability_is_never_printed_as_certain():
    # 31 ratios, whose 95% prediction interval begins at 1.20
    summary = summarize_factors(load_fibrinogen())
    assert 0.995 < summary.pooled("fibrinogen", "CHD").probability_above() < 1
    (row,) = cells(findings_table(summary))
    assert "HR above 1 in a new study with probability > 0.99" in row["Comments"]
