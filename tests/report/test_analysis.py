"""The whole analysis of a review: what enters it, and a paragraph that claims no more than the tables."""

import csv
import re
import warnings
from pathlib import Path

import pytest

import netsynth
from netsynth import tables
from netsynth.data.endpoint import find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.prisma import PrismaFlow
from netsynth.data.proportion import ReportedProportion
from netsynth.data.quality import QUIPS, QualityAssessment
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
    assert not re.findall(
        r"worse in \d+ of \d+ for", text
    )  # no three studies state a direction of any factor
    inferred = re.findall(r"(\d+) of (\d+)(?: studies)? of ([^(]+) \([^(]*; (\w+) states? it", text)
    assert len(inferred) == 5
    for worse, k, factor, stating in inferred:
        row = analysis.factors.row(factor)
        known = [r for r in row.counted if r.direction in ("worse", "better")]
        stated = [r for r in known if r.direction_basis != "named adverse level"]
        assert (len(known), len(row.counted)) == (int(worse), int(k))
        assert len(stated) == (0 if stating == "none" else int(stating)) < 3 <= len(known)
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
        assert f" of {factor} (" in text


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
    assert (
        reasons["mortality"]
        == "in every study none or all of the patients had it, so there is nothing to estimate on the logit scale"
    )
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


@pytest.fixture(scope="module")
def over_all_sets():
    return analyse_review(load_nethm())


@pytest.fixture(params=["analysis", "over_all_sets"])
def either(request):
    return request.getfixturevalue(request.param)


def test_every_study_and_every_figure_is_accounted_for(either):
    review, flow = either.review, either.flow
    assert flow.n_used + sum(flow.unused.values()) == len(review.studies) == 44
    figures = sum(len(record.points) for record in review.survival) + len(review.proportions)
    figures += len(review.times)
    assert flow.n_found == figures
    assert flow.n_taken + sum(flow.left_out.values()) == figures
    assert flow.before[0] == "Records identified and screened: not recorded"


def rows_of(name):
    folder = Path(netsynth.__file__).parent / "datasets" / "nethm"
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_what_is_left_out_is_listed_figure_by_figure(either):
    analysis = either
    given = [row["row_id"] for name in ("survival", "proportions") for row in rows_of(name)]
    assert len(given) == 131 + 49 == analysis.flow.n_found
    every = summarize_outcomes(analysis.review, sets=analysis.sets, min_studies=0)
    taken = [candidate.row_id for row in every.rows for candidate in row.selection.chosen]
    left = [one.row_id for one in analysis.flow.exclusions]
    assert sorted(taken + left) == sorted(given)  # each once, taken or left out
    table = dict(tables_of(analysis))["exclusions"]
    listed = [row[1] for row in table.rows if not row[1].startswith("PG")]
    assert sorted(listed) == sorted(left)
    assert len(left) == sum(analysis.flow.left_out.values())
    assert all(reason for *_, reason in table.rows)
    lines = sum(sum(line.left_out.values()) for line in analysis.flow.lines)
    n_landmarks = {"OS": 8, "DFS": 6}  # at each of which those without one stand again
    again = [one.shown.split(":")[0] for one in analysis.flow.exclusions if "landmark" in one.reason]
    assert lines == len(left) + sum(n_landmarks[endpoint] - 1 for endpoint in again)


def test_means_are_left_out_with_their_reason(analysis):
    means = {row["row_id"]: row for row in rows_of("survival") if row["statistic"] == "mean"}
    assert sorted(means) == ["SV032", "SV033", "SV034", "SV035"]
    found = {row[1]: row for row in dict(tables_of(analysis))["exclusions"].rows}
    for row_id, row in means.items():
        study, _, figure, reason = found[row_id]
        assert study == row["study_id"]
        assert figure.startswith(f"mean OS: {row['value']} months, {row['group']}")
        assert "no median" in reason
    assert analysis.flow.left_out["mean, not median"] == 4


def test_every_result_of_a_factor_is_in_the_evidence_or_left_out(analysis):
    shown = dict(tables_of(analysis))
    given = rows_of("prognostic")
    meta = {row["row_id"]: row["study_id"] for row in given if row["study_id"].startswith("META_")}
    assert sorted(meta) == ["PG072", "PG073", "PG074"]
    left = {row[1]: row for row in shown["exclusions"].rows if row[1].startswith("PG")}
    assert {row_id: row[0] for row_id, row in left.items()} == meta
    assert {row[3] for row in left.values()} == {"the result of another meta-analysis, no study's own"}
    assert len(shown["factor_evidence"].rows) == len(given) - len(meta)
    assert shown["exclusions"].footnotes == (
        f"{sum(analysis.flow.left_out.values())} reported figures and 3 results of prognostic factors, each with its "
        "reason.",
    )


def test_a_search_must_end_with_the_studies_of_the_review(tmp_path):
    review = load_nethm()
    search = PrismaFlow(databases=100, excluded=50, included_studies=44)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = review.filter(lambda study: (study.year or 0) > 2000, reason="published before 2001")
    analysis = analyse_review(kept, search=search)
    assert sum(analysis.flow.taken_out.values()) == 44 - len(kept.studies)
    table = dict(tables_of(analysis))["exclusions"]
    gone = [row[0] for row in table.rows if row[3] == "published before 2001"]
    assert len(gone) == 44 - len(kept.studies)
    assert table.footnotes[0].startswith(f"{len(gone)} studies, ")
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


def test_without_a_finding_and_an_exclusion_no_empty_table_is_printed(tmp_path):
    review = Review(
        (Study("a", n_patients=40),),
        survival=(ReportedSurvival.from_percent("a", "OS", years=[3, 5], percent=["80", "60"], n_total=40),),
    )
    page = write_report(review, tmp_path).read_text(encoding="utf-8")
    assert "<p>Audit: 1 study, nothing found.</p>" in page
    assert "Checks made: percentage of n 2" in page
    assert "<p>Nothing was left out.</p>" in page
    assert "<tbody></tbody>" not in re.sub(r"\s", "", page)


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


def told(study, direction, level="high"):
    """A result in words, or with `direction` empty only significant, which names the level as adverse."""
    return ReportedFactor(
        study,
        "grade",
        find_endpoint("OS"),
        level,
        "low",
        "not stated",
        significance="yes",
        direction=direction,
    )


def test_only_stated_directions_are_told_as_such():
    directions = ["worse", "worse", "worse", "better", "", ""]
    names = "abcdef"
    review = Review(
        studies(*names),
        factors=tuple(told(n, d or "not stated") for n, d in zip(names, directions, strict=True)),
    )
    assert (
        "Over the studies that state a direction, the outcome was worse in 3 of 4 for histologic grade (higher vs "
        "lower; inferred in 2 further studies, worse in 2)." in analyse_review(review).paragraph()
    )
    fewer = Review(
        studies(*names[:4]),
        factors=tuple(
            told(n, d or "not stated") for n, d in zip(names, ["worse", "better", "", ""], strict=False)
        ),
    )
    text = analyse_review(fewer).paragraph()
    assert "state a direction" not in text
    assert (
        "With directions inferred from significant results, which test nothing, the outcome was worse in 3 of 4 "
        "studies of histologic grade (higher vs lower; 1 states it; better in 1)." in text
    )


def test_pooled_ratios_are_told_with_their_interval():
    review, _ = LITTLE["factors only"]
    analysis = analyse_review(review)
    (effect,) = (r.pooled for row in analysis.factors.rows for r in row.hazard_ratios if r.pooled)
    low, high = effect.natural_interval()
    clause = f"The pooled hazard ratio was {effect.natural:.2f} (95% CI, {low:.2f}–{high:.2f}; k = 3) for "
    assert clause in analysis.paragraph()


# -- certainty of the factors ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def graded():
    return analyse_review(load_nethm(), sets=["core"], phase=1)


def test_without_a_phase_no_certainty_is_proposed(analysis, graded):
    assert analysis.certainty == ()
    assert "certainty" not in dict(tables_of(analysis))
    assert (
        list(dict(tables_of(graded))).index("certainty") == list(dict(tables_of(graded))).index("factors") + 1
    )


def test_what_several_studies_tell_is_graded_by_direction(graded):
    factors = graded.factors
    assert not any(ratios.pooled for row in factors.rows for ratios in row.hazard_ratios)
    several = [
        (row.factor, row.endpoint)
        for row in factors.rows
        if row.endpoint != "any"
        and row.k > 1
        and any(r.direction in ("worse", "better") for r in row.counted)
    ]
    assert [(sheet.factor, sheet.endpoint) for sheet in graded.certainty] == several
    assert ("completeness of resection", "OS") in several
    assert {sheet.stratum for sheet in graded.certainty} == {"direction"}
    assert {sheet.start for sheet in graded.certainty} == {"moderate"}


def test_each_downgrade_has_its_computed_reason(graded):
    reasons = {
        (sheet.factor, sheet.endpoint): {move.domain: move.reason for move in sheet.moves if move.move}
        for sheet in graded.certainty
    }
    # 32 studies with a result of a factor, 13 of them of this one; none states a direction
    assert reasons["completeness of resection", "OS"]["publication bias"] == (
        "every direction (7) is told by a significant result only; not named by 19 of 32 studies of factors"
    )
    # 74 + 94 + 126 patients
    found = reasons["histologic grade", "OS"]
    assert "294 patients, so fewer than 400 events; significant in 2 of 3" in found["imprecision"]
    assert "publication bias" not in reasons["extrahepatic disease", "OS"]  # one study states its direction
    table = str(tables.certainty_table(graded.factors, graded.certainty).to_csv())
    assert all(why in table for each in reasons.values() for why in each.values())


def test_the_page_shows_the_worksheet_and_tells_it_with_the_factor(graded, tmp_path):
    page = write_report(graded, tmp_path).read_text(encoding="utf-8")
    assert page.count("Certainty of the evidence on prognostic factors</caption>") == 1
    section = page[page.index('<section id="prognostic-factors">') : page.index('<section id="sensitivity">')]
    assert "294 patients, so fewer than 400 events" in section
    assert "; certainty for OS, direction: very low (incomplete)." in section
    assert "2 studies (27 patients in the one that states them)" in section
    assert section.count("no ratings of risk of bias were given") == 1  # once for all rows
    assert (tmp_path / "tables" / "certainty.csv").exists()


def test_pooled_ratios_are_graded_as_ratios_with_the_ratings_of_the_review():
    def result(study, hr, low, high):
        return ReportedFactor(
            study,
            "grade",
            find_endpoint("OS"),
            "poor",
            "well",
            "multivariable",
            hazard_ratio=ReportedNumber(hr, "ratio"),
            ci=ReportedInterval.of(low, high, "ratio", 0.95),
        )

    ratings = {"A": "low", "B": "high"}
    review = Review(
        (Study("A"), Study("B")),
        factors=(result("A", "2.0", "1.2", "3.3"), result("B", "1.6", "1.0", "2.6")),
        assessments=tuple(QualityAssessment.of(study, QUIPS, [word] * 6) for study, word in ratings.items()),
    )
    (sheet,) = analyse_review(review, phase=2).certainty
    assert (sheet.factor, sheet.stratum, sheet.k) == ("histologic grade", "adjusted", 2)
    assert "of the weight at high risk of bias by QUIPS" in sheet.move("study limitations").reason
    with pytest.raises(InvalidInputError, match="phase must be 1, 2 or 3"):
        analyse_review(review, phase=4)
