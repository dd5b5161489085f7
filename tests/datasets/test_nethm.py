"""The liver review that comes with the package: nothing is lost, and the facts of its README hold."""

import csv
import statistics
from collections import Counter
from pathlib import Path

import pytest

from netsynth.datasets import load_nethm

FOLDER = Path(__file__).parents[2] / "netsynth" / "datasets" / "nethm"
ORIGINAL = Path(__file__).parents[1] / "io" / "nethm_original"


@pytest.fixture(scope="module")
def review():
    return load_nethm()  # warnings are errors here, so this also shows that none is given


def rows(folder, table):
    with (folder / f"{table}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def values(selection):
    return sorted(value.value for value in selection.values)


def test_the_readme_facts_hold(review):
    """44 studies, 5-year survival of 12 core studies 73.5% (41-94), symptom relief of 9 92% (70.6-100)."""
    assert len(review.studies) == 44
    survival = values(review.select_survival("OS", 60, sets=["core"]))
    assert (len(survival), statistics.median(survival), survival[0], survival[-1]) == (12, 73.5, 41, 94)
    relief = values(review.select_proportions("symptom_relief", sets=["core"], overlap="keep"))
    assert (len(relief), statistics.median(relief), relief[0], relief[-1]) == (9, 92, 70.6, 100)
    for years in (3, 10):
        assert review.select_survival("OS", 12 * years, sets=["core"]).k == 2


def test_every_row_is_there(review):
    assert sum(len(record.points) for record in review.survival) + len(review.times) == 131
    assert [len(x) for x in (review.proportions, review.factors, review.sources, review.targets)] == [
        49,
        74,
        42,
        9,
    ]
    row_ids = [p.row_id for s in review.survival for p in s.points] + [t.row_id for t in review.times]
    assert sorted(row_ids) == [f"SV{i:03}" for i in range(1, 132)]


@pytest.mark.parametrize(
    "table", ["studies", "survival", "proportions", "prognostic", "sources", "review_targets"]
)
def test_the_packaged_tables_are_the_original_ones_with_sets_added(table):
    added = {"proportions": {"role", "set"}, "prognostic": {"set"}}.get(table, set())
    packaged = [{k: v for k, v in row.items() if k not in added} for row in rows(FOLDER, table)]
    assert packaged == rows(ORIGINAL, table)
    assert added <= rows(FOLDER, table)[0].keys()


def test_sets_of_proportions_follow_the_rules(review):
    early = {row["study_id"] for row in rows(FOLDER, "studies") if row["published_before_sep2010"] == "yes"}
    for record in review.proportions:
        group = record.group
        if group.evidence_set in ("core", "mixed"):
            assert record.study in early
        elif group.evidence_set in ("newer", "mixed_newer"):
            assert record.study not in early
        else:
            assert group.evidence_set == group.role
        if group.role in ("overall", "arm"):
            assert (group.role == "overall") == (group.label == "overall")
    roles = Counter(record.group.role for record in review.proportions)
    assert (roles["subgroup"], roles["comparator"]) == (6, 1)


def test_prognostic_results_with_other_treatments_are_mixed(review):
    treated = {study.id: study.n_treated for study in review.studies}
    for record in review.factors:
        n, limit = record.group.n_total, treated.get(record.study)
        if n and limit and n > limit:
            assert record.group.evidence_set in ("mixed", "mixed_newer")
        assert (record.analysis == "pooled") == (record.group.evidence_set == "")


def test_the_known_contradiction_is_in_the_review_and_no_other(review):
    assert [str(caution) for caution in review.warnings] == [
        "InconsistentReportWarning: glazer_2010: median OS of 9.6 years, yet it was still 50.4% at 10 years"
    ]


def test_the_readme_names_every_set_and_counts_its_rows(review):
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    sets = {record.group.evidence_set for record in (*review.survival, *review.times, *review.proportions)}
    table = {
        word.strip(" ,")
        for line in text.splitlines()
        if line.startswith("| ")
        for word in line.split("|")[1].split(",")
    }
    assert sets <= table
    for name in ("studies", "survival", "proportions", "prognostic", "sources", "review_targets"):
        assert f"| `{name}.csv` | {len(rows(FOLDER, name))} |" in text
