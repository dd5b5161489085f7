"""The whole analysis of a review: what enters it, and a paragraph that claims no more than the tables."""

import re
import warnings

import pytest

from netsynth import tables
from netsynth.data.endpoint import find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.prisma import PrismaFlow
from netsynth.data.proportion import ReportedProportion
from netsynth.data.review import Review
from netsynth.data.study import Study
from netsynth.data.survival import ReportedSurvival, ReportedTime
from netsynth.datasets import load_nethm
from netsynth.errors import InvalidInputError
from netsynth.outcomes import summarize_outcomes
from netsynth.report import analyse_review, write_report
from netsynth.report.content import tables_of
from netsynth.survival import pool_landmark


def dict_of(pairs):
    return {row.label: result for row, result in pairs}


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
    shown = {name: str(table) for name, table in tables_of(analysis)}
    for percent, limits, time in re.findall(r"(\d+)% \((?:95% CI, )?(\d+–\d+)%\) at (\d+ years?)", text):
        (row,) = (r for r in tables.curve_table(analysis.pooled_curve).rows if r[0] == time)
        assert round(float(row[1].rstrip("%"))) == int(percent)
        for end, printed in zip(row[2].rstrip("%").split("–"), limits.split("–"), strict=True):
            assert abs(float(end) - int(printed)) <= 0.55  # rounded twice
    median, ends = re.search(r"with a median of ([\d.]+) months \(95% CI, ([^)]+)\)", text).groups()
    assert f"{median} months" in shown["pooled_curve"]
    assert ends in shown["pooled_curve"]
    for label, median, ends in re.findall(r"Pooled (median \w+) was (\S+) months \(95% CI, (\S+);", text):
        (row,) = (r for r in tables.median_survival_table(dict_of(analysis.medians)).rows if r[0] == label)
        assert (median, ends) == (row[3].strip(), row[4])
    between, whole = re.search(r"lies within (\S+)% and its 95% CI within (\S+)%", text).groups()
    (row,) = (r for r in tables.bounds_table(analysis.bounds[:1]).rows if r[0] == "5 years")
    for told, cell in ((between, row[4]), (whole, row[5])):
        for end, printed in zip(cell.rstrip("%").split("–"), told.split("–"), strict=True):
            assert abs(float(end) - int(printed)) <= 0.55
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


# -- survival over time, medians, proportions ------------------------------------------------------------


def test_the_curve_stands_with_bands_and_the_bounds_beside_imputed_landmarks(analysis):
    curve = analysis.pooled_curve
    assert (curve.endpoint, curve.method, curve.k) == ("OS", "multivariate", 13)
    low, high = curve.prediction_band(time_months=[60])
    inner = curve.confidence_band(time_months=[60])
    assert low[0] < inner.lower[0] < curve.survival(60) < inner.upper[0] < high[0]
    least = [each.least_maturity for each in analysis.bounds]
    assert least == sorted(least)
    assert least[0] == 0
    for each in analysis.bounds:
        place = each.time_months.tolist().index(60.0)
        assert each.survival.lower[place] < each.imputed[place].natural < each.survival.upper[place]
    widths = [float((b.survival.upper - b.survival.lower)[b.time_months == 60][0]) for b in analysis.bounds]
    assert widths == sorted(widths, reverse=True)  # the more is assumed, the less is open


def test_open_medians_enter_and_medians_of_all_sets_stand_beside(analysis):
    assert {label: (m.k, m.k_open) for label, m in dict_of(analysis.medians).items()} == {"median OS": (6, 1)}
    assert set(dict_of(analysis.all_medians)) == {"median OS", "median PFS"}
    assert dict_of(analysis.all_medians)["median PFS"].k == 3


def test_symptom_relief_is_pooled_by_the_likelihood_of_its_counts(analysis):
    relief = dict_of(analysis.pooled)["symptom relief"]
    assert relief.model_in_words == "binomial-normal model"
    (row,) = (r for r in dict(tables_of(analysis))["pooled"].rows if r[0] == "symptom relief")
    assert row[-1] == "binomial-normal model, ML, t"


def test_what_is_not_pooled_says_why(analysis):
    reasons = {each.what: each.reason for each in analysis.not_pooled}
    assert "none or all of the patients" in reasons["mortality"]
    assert reasons["morbidity"] == "2 studies can be weighed; it takes 3"


# -- sensitivity -----------------------------------------------------------------------------------------


def test_the_first_row_of_each_outcome_is_the_headline(analysis):
    first = {}
    for row in analysis.sensitivity:
        first.setdefault(row.outcome, row)
    for label, result in {**dict_of(analysis.pooled), **dict_of(analysis.medians)}.items():
        row = first[label]
        assert row.varied == "as in the report"
        assert (row.k, row.estimate, row.lower, row.upper) == (
            result.k,
            result.natural,
            *result.natural_interval(),
        )


def test_each_choice_is_what_its_verb_says(analysis):
    rows = {(row.varied, row.analysis): row for row in analysis.sensitivity if row.outcome == "5-year OS"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        review = load_nethm()
        for maturity in (0.25, 0.5, 1.0):
            row = rows["missing variances", f"{100 * maturity:g}% of survivors under observation"]
            effect = pool_landmark(review, "OS", time_months=60, sets=["core"], maturity=maturity)
            assert (row.k, row.estimate) == (effect.k, pytest.approx(effect.natural))
        for overlap in ("keep", "largest", "latest"):
            effect = pool_landmark(review, "OS", time_months=60, overlap=overlap)
            row = rows["evidence sets", "all evidence sets, any rule for cohorts"]
            assert (row.k, row.estimate) == (effect.k, pytest.approx(effect.natural))
        left = [row for (varied, _), row in rows.items() if varied == "one study left out"]
        assert len(left) == 12
        for row in left:
            gone = next(study.id for study in review.studies if study.label == row.analysis)
            without = review.filter(lambda study, gone=gone: study.id != gone, reason="left out")
            effect = pool_landmark(without, "OS", time_months=60, sets=["core"])
            assert (row.k, row.estimate) == (11, pytest.approx(effect.natural, rel=1e-5))
            assert (row.lower, row.upper) == pytest.approx(tuple(effect.natural_interval()), rel=1e-5)


def test_overlap_changes_the_median_of_symptom_relief(analysis):
    rows = {
        row.analysis: row
        for row in analysis.sensitivity
        if row.outcome == "symptom relief, median over studies"
    }
    kept = summarize_outcomes(load_nethm(), sets=["core"], overlap="keep").row("symptom_relief")
    row = rows["evidence set core, all cohorts kept"]
    assert (row.k, 100 * row.estimate) == (kept.k, pytest.approx(kept.summary.median))
    assert kept.k == 9  # as the README of the data set has it


# -- flow ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sets", [["core"], None])
def test_every_study_and_every_figure_is_accounted_for(sets):
    review = load_nethm()
    flow = analyse_review(review, sets=sets).flow
    assert flow.n_used + sum(flow.unused.values()) == len(review.studies) == 44
    figures = sum(len(record.points) for record in review.survival) + len(review.proportions)
    figures += sum(record.statistic == "median" for record in review.times)
    assert flow.n_found == figures
    assert flow.n_taken + sum(flow.left_out.values()) == figures
    assert flow.before[0] == "Records identified and screened: not recorded"


def test_a_search_must_end_with_the_studies_of_the_review(tmp_path):
    review = load_nethm()
    search = PrismaFlow(databases=100, excluded=50, included_studies=44)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = review.filter(lambda study: (study.year or 0) > 2000, reason="published before 2001")
    analysis = analyse_review(kept, search=search)
    assert sum(analysis.flow.taken_out.values()) == 44 - len(kept.studies)
    page = write_report(analysis, tmp_path).read_text(encoding="utf-8")
    assert "not recorded" not in page
    assert (tmp_path / "figures" / "search.svg").exists()
    with pytest.raises(InvalidInputError, match="the search ends with 43, but the review holds 44"):
        analyse_review(review, search=PrismaFlow(databases=100, excluded=50, included_studies=43))


# -- SWiM and audit --------------------------------------------------------------------------------------


def test_what_only_the_author_can_say_reaches_the_nine_items(analysis):
    assert {item.number for item in analysis.swim.missing} == {"1b", "4", "6", "9"}
    told = analyse_review(load_nethm(), sets=["core"], swim={"certainty": "Not judged."})
    assert told.swim.item("6").text == "Not judged."


def test_the_contradiction_of_the_data_set_is_found(analysis):
    (finding,) = analysis.audit.select(severity="impossible")
    assert finding.study == "glazer_2010"  # as the README of the data set has it


# -- reviews with little in them -------------------------------------------------------------------------


def studies(*names):
    return tuple(Study(name, n_patients=40) for name in names)


def ratio(study, printed, low, high):
    interval = ReportedInterval(ReportedNumber(low, "ratio"), ReportedNumber(high, "ratio"), 0.95)
    return ReportedFactor(
        study,
        "grade",
        find_endpoint("OS"),
        "high",
        "low",
        "multivariable",
        hazard_ratio=ReportedNumber(printed, "ratio"),
        ci=interval,
    )


LITTLE = {
    "a study without a figure": (Review(studies("a")), {"studies", "reporting"}),
    "medians without patients": (
        Review(
            (Study("a"), Study("b")), times=(ReportedTime.of("a", "OS", 30), ReportedTime.of("b", "OS", 40))
        ),
        {"studies", "reporting", "flow"},
    ),
    "percentages without patients": (
        Review(
            (Study("a"), Study("b"), Study("c")),
            survival=tuple(
                ReportedSurvival.from_percent(name, "OS", years=[5], percent=[value])
                for name, value in (("a", "80"), ("b", "60"), ("c", "0"))
            ),
        ),
        {"studies", "reporting", "flow", "bounds", "medians"},
    ),
    "one proportion": (
        Review(
            studies("a", "b", "c"),
            proportions=tuple(
                ReportedProportion.of(name, "relief", n_events=n, n_total=20)
                for name, n in (("a", 3), ("b", 5), ("c", 9))
            ),
        ),
        {"studies", "reporting", "flow", "medians", "forest_relief"},
    ),
    "factors only": (
        Review(
            studies("a", "b", "c"),
            factors=(
                ratio("a", "2.0", "1.0", "4.0"),
                ratio("b", "1.5", "0.9", "2.5"),
                ratio("c", "1.8", "1.1", "2.9"),
            ),
        ),
        {"studies", "reporting", "factors", "ratio_histologic_grade_os_adjusted"},
    ),
}


@pytest.mark.parametrize(("review", "figures"), LITTLE.values(), ids=LITTLE)
def test_what_a_review_does_not_hold_is_left_out(review, figures, tmp_path):
    analysis = analyse_review(review)
    page = write_report(analysis, tmp_path).read_text(encoding="utf-8")
    assert {path.stem for path in (tmp_path / "figures").glob("*.svg")} == figures
    assert not re.search(r"\bnan\b|None", re.sub(r"<[^>]+>", " ", analysis.paragraph()))
    for heading in re.findall(r"<h2>(.*?)</h2>", page):
        assert heading != "Survival over time"


def test_pooled_ratios_are_told_with_their_interval():
    review, _ = LITTLE["factors only"]
    analysis = analyse_review(review)
    (effect,) = (r.pooled for row in analysis.factors.rows for r in row.hazard_ratios if r.pooled)
    low, high = effect.natural_interval()
    clause = f"The pooled hazard ratio was {effect.natural:.2f} (95% CI, {low:.2f}–{high:.2f}; k = 3) for "
    assert clause in analysis.paragraph()
