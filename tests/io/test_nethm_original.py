"""The tables of the liver review as they were extracted, read row by row beside the csv module of Python."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from netsynth.data.endpoint import ENDPOINTS, Endpoint
from netsynth.errors import AssumedRoleWarning, InconsistentReportWarning, ReadError
from netsynth.io import read_review

FOLDER = Path(__file__).parent / "nethm_original"
OWN = ("symptom_free_survival", "early_recurrence", "late_recurrence", "early_intrahepatic_recurrence")


def rows(table):
    with (FOLDER / f"{table}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def review():
    vocabulary = (
        *ENDPOINTS,
        *(Endpoint(code, kind="incidence" if "rec" in code else "survival") for code in OWN),
    )
    with pytest.warns() as caught:
        review = read_review(FOLDER, endpoints=vocabulary)
    assert {warning.category for warning in caught} == {InconsistentReportWarning, AssumedRoleWarning}
    return review


def test_the_vocabulary_has_to_be_told():
    with pytest.raises(ReadError) as error:
        read_review(FOLDER)
    assert {problem.found.strip("'") for problem in error.value.problems} == set(OWN)


def test_every_row_of_survival_is_there_with_its_digits(review):
    got = {p.row_id: (s, p, p.share) for s in review.survival for p in s.points}
    got |= {t.row_id: (t, t, t.value) for t in review.times}
    assert list(Counter(row["row_id"] for row in rows("survival")).values()) == [1] * 131
    assert got.keys() == {row["row_id"] for row in rows("survival")}
    for row in rows("survival"):
        record, figure, number = got[row["row_id"]]
        assert (record.study, number.text, number.qualifier) == (
            row["study_id"],
            row["value"],
            row["qualifier"],
        )
        assert {"percent": "%"}.get(number.unit, number.unit) == row["value_unit"]
        assert (figure.source, figure.notes) == (row["source_id"], row["notes"])
        assert (record.group.label, record.group.evidence_set) == (row["group"], row["set"])
        assert str(record.group.n_total or "") == row["n_group"]
        ci = figure.ci
        assert (ci.lower.text if ci else "", ci.upper.text if ci else "") == (row["ci_low"], row["ci_high"])
        if row["statistic"] == "percent":
            assert (figure.time.text if figure.time else "") == row["time_value"]
            assert (figure.time.unit if figure.time else "") == row["time_unit"]
        else:
            assert record.statistic == row["statistic"]
            assert (figure.sd.text if figure.sd else "") == row["sd"]
            assert (figure.range.upper.text if figure.range else "") == row["range_high"]


def test_every_proportion_is_there(review):
    for row, record in zip(rows("proportions"), review.proportions, strict=True):
        share = record.share.text if record.share else ""
        assert (record.row_id, record.study, record.outcome) == (
            row["row_id"],
            row["study_id"],
            row["outcome"],
        )
        assert (share, record.basis, record.definition) == (
            row["percent"],
            row["percent_basis"],
            row["definition"],
        )
        assert [str("" if n is None else n) for n in (record.n_events, record.n_total)] == [
            row["n_events"],
            row["n_total"],
        ]
        assert (record.group.label, record.notes, record.source) == (
            row["group"],
            row["notes"],
            row["source_id"],
        )


def test_every_prognostic_result_is_there(review):
    analyses = {"univariate": "univariable", "multivariate": "multivariable", "not_stated": "not stated"}
    for row, f in zip(rows("prognostic"), review.factors, strict=True):
        stated = {
            name: "" if row[name] == "not stated" else row[name]
            for name in ("adverse_level", "reference_level")
        }
        assert (f.row_id, f.study, f.factor, f.notes) == (
            row["row_id"],
            row["study_id"],
            row["factor"],
            row["notes"],
        )
        assert (f.adverse_level, f.reference_level) == tuple(stated.values())
        assert f.analysis == analyses.get(row["analysis"], row["analysis"])
        assert (f.hazard_ratio.text if f.hazard_ratio else "") == row["hr"]
        assert f.hazard_ratio_for == row["hr_for_level"]
        assert (f.pvalue.text if f.pvalue else "", f.pvalue.qualifier if f.pvalue else "") == (
            row["p_value"],
            row["p_operator"],
        )
        assert f.significance == row["significant"].replace("_", " ")
        assert f.extra == (("level", row["level"]),)
        assert str(f.group.n_total or "") == row["n_analysed"]
        assert f.direction == "not stated"  # the tables have no such column; summarize_factors may infer it
        if f.ci:
            assert f.ci.level == 0.95
    assert {f.study for f in review.factors if f.analysis == "pooled"} == {
        "META_bacchetti_2013",
        "META_bacchetti_nd",
    }


def test_every_study_and_source_is_there(review):
    kept = ["author_basis", "country_basis", "published_before_sep2010"]
    for row, study in zip(rows("studies"), review.studies, strict=True):
        assert (study.id, study.first_author, study.country) == (
            row["study_id"],
            row["first_author"],
            row["country"],
        )
        assert [str(n or "") for n in (study.year, study.n_patients, study.n_treated)] == [
            row["year"],
            row["n_patients"],
            row["n_resected"],
        ]
        assert (study.followup.text if study.followup else "") == row["followup_months"]
        assert study.followup_statistic == "not stated"
        assert study.overlap_note == row["overlap"]
        assert study.sources == tuple(row["source_ids"].split(";"))
        assert dict(study.extra) == {name: row[name] for name in kept if row[name]}
    for row, source in zip(rows("sources"), review.sources, strict=True):
        assert [source.id, source.citation, source.pmid, source.doi, source.url, source.kind] == [
            row[name] for name in ("source_id", "title", "pmid", "doi", "url", "source_type")
        ]
        assert source.extra == (("licence_as_shown", row["licence_as_shown"]),)


def test_overlap_is_read_out_of_prose(review):
    overlap = {study.id: study.overlap for study in review.studies if study.overlap}
    assert overlap["mcentee_1990"] == ("que_1995", "sarmiento_2003")
    assert overlap["xiang_2018"] == ("zhang_2017",)
    assert overlap["maxwell_2015"] == ("scott_2019",)
    assert len(overlap) == sum(bool(row["overlap"]) for row in rows("studies"))


def test_the_published_review_is_there(review):
    assert [str(target) for target in review.targets] == [
        "OS at 3 years: 83% (range, 63–100%)",
        "OS at 5 years: 70.5% (range, 31–100%)",
        "OS at 10 years: 42% (range, 0–100%)",
        "PFS: 21 months (range, 13–46 months)",
        "PFS at 1 year: 63% (range, 50–80%)",
        "PFS at 3 years: 32% (range, 24–69%)",
        "PFS at 5 years: 29% (range, 6–66%)",
        "PFS at 10 years: 1% (range, 0–11%)",
        "symptom_relief: 95% (range, 50–100%)",
    ]
