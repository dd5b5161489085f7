"""Tables of results: summary, pooled effects, factors, quality, exclusions."""

import re
import warnings

import numpy as np
import pytest

from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.proportion import ReportedProportion
from netsynth.data.quality import MINORS, QUIPS, QualityAssessment
from netsynth.data.review import PublishedTarget, Review
from netsynth.data.selection import Exclusion
from netsynth.data.study import Study
from netsynth.data.survival import ReportedSurvival, ReportedTime
from netsynth.datasets import load_nethm
from netsynth.errors import InvalidInputError
from netsynth.outcomes import summarize_outcomes
from netsynth.pool import pool_effects
from netsynth.prognostic import summarize_factors
from netsynth.quality import score_reporting, tabulate_assessments
from netsynth.tables import (
    evidence_table,
    exclusions_table,
    factor_table,
    mapping_table,
    pooled_table,
    ratings_table,
    reporting_table,
    summary_table,
    weights_table,
)

few = pytest.mark.filterwarnings("ignore::netsynth.errors.FewStudiesWarning")


def headers(table):
    return [column.header for column in table.columns]


def cells(table):
    """Rows as dicts."""
    return [dict(zip(headers(table), row, strict=True)) for row in table.rows]


# -- summary ---------------------------------------------------------------------------------------------


def summary_of(percent, times=(), targets=()):
    studies = [Study(f"s{i}") for i in range(max(len(percent), len(times)))]
    return summarize_outcomes(
        Review(
            studies,
            [
                ReportedSurvival.from_percent(f"s{i}", "OS", years=[5], percent=[p], n_total=10)
                for i, p in enumerate(percent)
            ],
            [ReportedTime.of(f"s{i}", "OS", time) for i, time in enumerate(times)],
            targets=targets,
        )
    )


def test_medians_and_ranges_beside_the_published():
    """Twelve values with median 70.5, and the 95% interval from the third to the tenth: worked out by hand."""
    values = ["31", "52", "57", "60", "63", "70", "71", "74", "76", "80", "90", "100"]
    target = PublishedTarget(
        "OS",
        ReportedNumber("73", "percent"),
        ReportedInterval.of(41, 94, "percent"),
        ReportedNumber("5", "year"),
    )
    table = summary_table(summary_of(values, targets=[target]))
    assert cells(table) == [
        {
            "Outcome": "5-year OS",
            "Studies": "12",
            "Patients": "120",
            "Median": "70.5%",
            "Range": "31–100%",
            "IQR": "59.2–77%",
            "95% CI of the median": "57–80%",
            "Published median": "73%",
            "Published range": "41–94%",
            "Difference": "-2.5",
        }
    ]
    assert table.footnotes == (
        "Difference: this median minus the published one, in percentage points or months.",
    )


def test_too_few_studies_have_no_interval_and_one_has_no_range():
    table = summary_table(summary_of(["50", "60"], times=["20"]))
    assert headers(table) == ["Outcome", "Studies", "Patients", "Median", "Range", "IQR"]
    assert [row["Range"] for row in cells(table)] == ["50–60%", ""]


def test_an_interval_at_another_level():
    table = summary_table(summary_of(["50", "60", "70", "80", "90"]), level=0.9)
    assert cells(table)[0]["90% CI of the median"] == "50–90%"


def test_open_ends_are_marked_and_undetermined_ends_shown_as_such():
    open_ended = ReportedNumber("96", "month", ">")
    table = summary_table(summary_of([], times=["78", "81", "91", open_ended, open_ended]))
    row = cells(table)[0]
    assert row["Median"] == "91 monthsᵃ"
    assert row["Range"] == "78–>96 months"
    assert row["IQR"] == "81–? months"
    assert table.footnotes[0].startswith("ᵃ Some studies print an open end")


def test_a_published_outcome_that_no_study_reports_stays():
    target = PublishedTarget("PFS", ReportedNumber("21", "month"))
    table = summary_table(summary_of(["50"], targets=[target]))
    row = next(row for row in cells(table) if row["Outcome"] == "Median PFS")
    assert (row["Studies"], row["Median"], row["Published median"]) == ("0", "", "21 months")
    assert "Published range" not in row


def test_patients_of_some_studies_alone_are_marked():
    review = Review(
        [Study("a"), Study("b")],
        proportions=[
            ReportedProportion.of("a", "relief", n_events=8, n_total=36),
            ReportedProportion.of("b", "relief", percent=90),
        ],
    )
    table = summary_table(summarize_outcomes(review))
    assert cells(table)[0]["Patients"] == "36ᵃ"
    assert table.footnotes == ("ᵃ Some studies do not print their number of patients.",)


def test_the_packaged_review_gives_the_known_median():
    """Core set: twelve studies report OS at five years, median 73.5% (41-94)."""
    table = summary_table(summarize_outcomes(load_nethm(), sets=["core"]))
    row = next(row for row in cells(table) if row["Outcome"] == "5-year OS")
    assert (row["Studies"], row["Median"], row["Range"]) == ("12", "73.5%", "41–94%")
    assert (row["Published median"], row["Published range"], row["Difference"]) == (
        "70.5%",
        "31–100%",
        "+3.0",
    )


# -- pooled effects --------------------------------------------------------------------------------------

# Hazard ratios of 0.5, 1 and 2 with one standard error of log(2)/1.96: by symmetry they pool to 1, and each
# study's 95% interval is a factor of two to either side.
SE = np.log(2) / 1.959963984540054


def effect(**options):
    logs = np.log([0.5, 1, 2])
    return pool_effects(logs, se=[SE] * 3, measure="log_hr", study=["A", "B", "C"], **options)


def test_pooled_effects_one_row_each():
    table = pooled_table({"Grade": effect(tau2_method="CE", ci_method="wald")})
    (row,) = cells(table)
    assert row["Outcome"] == "Grade"
    assert row["Studies"] == "3"
    assert row["Estimate"] == "1.00"
    # se of the mean is SE / sqrt(3), so that the interval is a factor of 2 ** (1 / sqrt(3)) = 1.49 to either side
    assert row["95% CI"] == "0.67–1.49"
    assert row["Scale"] == "log"
    assert row["Method"] == "CE, wald"
    assert "95% prediction interval" not in row
    # Q = 2 (log 2 / SE)^2 = 2 * 1.96^2 = 7.68 on 2 df, and exp(-7.68 / 2) = 0.021
    assert row["Q test"] == "p = 0.021"
    assert row["I²"] == "74%"


def test_a_random_effect_shows_its_spread_and_another_level():
    table = pooled_table({"Grade": effect(ci_method="wald")}, level=0.8)
    (row,) = cells(table)
    low, high = map(float, row["80% prediction interval"].split("–"))
    inner = [float(x) for x in row["80% CI"].split("–")]
    assert low < inner[0] < 1 < inner[1] < high
    assert float(row["τ²"]) > 0


@few
def test_percentages_keep_their_sign():
    logit = pool_effects([0.0], se=[1.0], measure="logit_survival", study=["A"])
    (row,) = cells(pooled_table({"OS": logit}))
    # expit(1.96) = 0.877
    assert (row["Estimate"], row["95% CI"], row["Method"]) == ("50.0%", "12.3–87.7%", "one study")


def test_weights():
    table = weights_table(effect(tau2_method="CE", ci_method="wald"))
    assert table.title == "Hazard ratio, common effect, CI by wald, 3 studies"
    assert table.rows == (
        ("A", "0.50", "0.25–1.00", "33.3%"),
        ("B", "1.00", "0.50–2.00", "33.3%"),
        ("C", "2.00", "1.00–4.00", "33.3%"),
        ("Pooled", "1.00", "0.67–1.49", ""),
    )


def test_weights_of_random_effects_end_with_the_prediction():
    table = weights_table(effect())
    assert table.title == "Hazard ratio, random effects, τ² by REML, CI by mHK, 3 studies"
    assert [row[0] for row in table.rows] == ["A", "B", "C", "Pooled", "Prediction"]


@few
def test_one_study_is_not_pooled():
    one = pool_effects([0.0], se=[SE], measure="log_hr", study=["A"])
    table = weights_table(one)
    assert table.title == "Hazard ratio, not pooled, 1 study"
    assert [row[0] for row in table.rows] == ["A"]


@few
def test_negative_limits_are_joined_by_to():
    generic = pool_effects([-1.0, 1.0], se=[0.1, 0.1], ci_method="wald", tau2_method="CE")
    (row,) = cells(pooled_table({"x": generic}))
    assert row["95% CI"] == "-0.139 to 0.139"
    assert "Scale" not in row


def test_pooled_table_refuses_nothing():
    with pytest.raises(InvalidInputError) as error:
        pooled_table({})
    assert str(error.value) == "A table of pooled effects needs at least one."
    with pytest.raises(InvalidInputError, match="level must be a fraction"):
        pooled_table({"x": effect()}, level=95)


# -- prognostic factors ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def factors():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return summarize_factors(load_nethm())


def test_factor_table_tells_the_counts_of_the_summary(factors):
    table = factor_table(factors)
    named, found = "", {}
    for row in cells(table):
        named = row["Factor"] or named
        found[named, row["Endpoint"].replace(" ", "_")] = row
    for key, row in found.items():
        expected = factors.row(*key)
        count = expected.directions
        shown = [
            int(re.sub(r"\D", "", row[name])) for name in ("Worse", "Better", "No difference", "Not stated")
        ]
        assert shown == [count.n_worse, count.n_better, count.n_none, count.n_not_stated]
        assert sum(shown) == int(row["Studies"]) == expected.k
        assert row["Sign test p"] == count.shown_pvalue
    # every factor and endpoint is there; the row for any endpoint only where there are several
    endpoints = {(row.factor, row.endpoint) for row in factors.rows if row.endpoint != "any"}
    assert {key for key in found if key[1] != "any"} == endpoints
    assert all(sum(name == factor for name, _ in endpoints) > 1 for factor, where in found if where == "any")


def test_what_the_review_concluded_is_in_the_table(factors):
    """Poor grade, extrahepatic disease and incomplete resection went with worse survival."""
    rows = {row["Factor"]: row for row in cells(factor_table(factors)) if row["Factor"]}
    for factor in ("completeness of resection", "extrahepatic disease", "histologic grade"):
        assert int(re.sub(r"\D", "", rows[factor]["Worse"])) > int(rows[factor]["Better"])
        assert rows[factor]["Levels"]


def test_factor_table_says_what_counting_cannot(factors):
    notes = " ".join(factor_table(factors).footnotes)
    assert "Counting directions says nothing about the size of an effect" in notes
    assert factors.rule in factor_table(factors).footnotes
    marked = any("ᵃ" in cell for row in factor_table(factors).rows for cell in row)
    assert marked == any(row.directions.n_inferred for row in factors.rows)


def test_evidence_has_every_result_once(factors):
    table = evidence_table(factors)
    expected = sum(len(row.results) for row in factors.rows if row.endpoint != "any")
    assert len(table.rows) == expected
    one = evidence_table(factors, factor="extrahepatic disease")
    assert one.title == "Evidence on extrahepatic disease"
    assert "Factor" not in headers(one)
    # Mayo 2010 prints an HR of 3.0 with p < 0.05 from a multivariable analysis of 339 patients
    mayo = next(row for row in cells(one) if row["Study"] == "Mayo 2010")
    assert (mayo["Patients"], mayo["HR (95% CI)"], mayo["p"], mayo["Analysis"]) == (
        "339",
        "3.0",
        "<0.05",
        "multivariable",
    )
    assert (mayo["Levels"], mayo["Significant"], mayo["Direction"]) == ("present vs absent", "yes", "worse")


def test_evidence_on_an_unknown_factor(factors):
    with pytest.raises(KeyError, match="no row for 'star sign'"):
        evidence_table(factors, factor="star sign")


def test_mapping_shows_every_printed_name(factors):
    table = mapping_table(factors)
    assert len(table.rows) == len(factors.mapping)
    assert sum(int(row["Results"]) for row in cells(table)) == sum(name.n_results for name in factors.mapping)
    kept = [row for row in cells(table) if row["Factor"].endswith("(kept)")]
    assert len(kept) == len(factors.unmapped)


# -- quality ---------------------------------------------------------------------------------------------


def test_reporting_completeness():
    review = Review(
        [Study("Chen", n_patients=38, n_treated=15), Study("Lv", n_patients=9)],
        [ReportedSurvival.from_percent("Chen", "OS", years=[3, 5], percent=[80, 70])],
    )
    completeness = score_reporting(review)
    table = reporting_table(completeness)
    assert len(table.columns) == 11
    chen, lv, last = cells(table)
    assert (chen["Total"], lv["Total"], last["Total"]) == ("3/9", "1/9", "")
    assert [list(row.values()).count("✓") for row in (chen, lv)] == [3, 1]
    assert (chen["Sample size"], lv["Sample size"], last["Sample size"]) == ("✓", "✓", "2 of 2")
    assert (chen["Treated group"], lv["Treated group"], last["Treated group"]) == ("✓", "–", "1 of 2")
    for item, meaning in zip(completeness.items, completeness.meanings, strict=True):
        assert f"{item.capitalize()}: {meaning}" in table.footnotes[0]
    assert "no judgement" in table.footnotes[1]


def test_ratings_of_a_checklist_with_a_sum():
    """Ratings and totals as printed in Table 3 of https://pmc.ncbi.nlm.nih.gov/articles/PMC9667948/."""
    review = Review(
        [Study("Algarni 2021"), Study("Sun 2017")],
        assessments=[
            QualityAssessment.of("Algarni 2021", MINORS, [2, 2, 0, 2, 0, 2, 2, 0]),
            QualityAssessment.of("Sun 2017", MINORS, [2, 2, 2, 2, 0, 2, 2, 0, 2, 2, 2, 2]),
        ],
    )
    table = ratings_table(tabulate_assessments(review, MINORS))
    algarni, sun, every = cells(table)
    assert (algarni["Total"], sun["Total"]) == ("10/16", "20/24")
    assert (algarni["Adequate control group"], sun["Adequate control group"]) == ("", "2")
    assert (every["Prospective data"], every["Adequate control group"]) == ("2: 1, 0: 1", "2: 1")
    assert table.footnotes == ("Empty: does not apply.",)


def test_ratings_of_a_checklist_without_a_sum():
    rated = QualityAssessment.of("Chen", QUIPS, ["low", "high", "low", "low", "moderate", "low"])
    table = ratings_table(tabulate_assessments(Review([Study("Chen")], assessments=[rated]), QUIPS))
    assert headers(table)[0] == "Study"
    assert "Total" not in headers(table)
    assert table.rows[0][1:] == ("low", "high", "low", "low", "moderate", "low")


# -- exclusions ------------------------------------------------------------------------------------------


def test_exclusions_are_shown_once():
    twice = Exclusion("a", "comparator", "not asked for", "SV5", "60%, inoperable")
    table = exclusions_table([twice, Exclusion("b", "old", "too old"), twice])
    assert table.title == "2 exclusions"
    assert table.rows == (("a", "SV5", "60%, inoperable", "not asked for"), ("b", "", "", "too old"))
    assert headers(exclusions_table([Exclusion("b", "old", "too old")])) == ["Study", "Reason"]
    assert exclusions_table([]).rows == ()
