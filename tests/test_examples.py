"""Every example runs, and prints what is known apart from it."""

import csv
import gc
import importlib.util
import re
from pathlib import Path

import pytest

import netsynth

EXAMPLES = Path(__file__).parents[1] / "examples"
DATASETS = Path(netsynth.__file__).parent / "datasets"


def run(name, capsys, *arguments):
    specification = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    module.main(*arguments)
    return capsys.readouterr().out


def test_one_study_curve(capsys):
    out = run("one_study_curve", capsys)
    # monotone: within 8 years at least 24 * .94 + 36 * .94 + 36 * .79, at most 24 + 36 * .94 + 36 * .94 months,
    # and a little more either way for rounding
    low, high = map(float, re.search(r"the report allows ([\d.]+) to ([\d.]+)", out).groups())
    assert low == pytest.approx(24 * 0.935 + 36 * 0.935 + 36 * 0.785, abs=0.06)
    assert high == pytest.approx(24 + 36 * 0.945 + 36 * 0.945, abs=0.06)


def test_median_range_list(capsys):
    out = run("median_range_list", capsys).splitlines()
    assert out[0] == "5-year OS: 73.5% (range, 41–94%; k = 12)"  # as the README of the data set has it
    assert (
        out[1] == "  95% CI of the median 61-85, exact coverage 96.1%"
    )  # ranks 3 and 10 of 12: 1 - 2 * 79 / 4096
    assert out[2].startswith("median OS: between 93.5 and 103 months")  # (91 + 96) / 2 and (91 + 115) / 2


def test_forest_from_hazard_ratios(capsys, tmp_path):
    out = run("forest_from_hazard_ratios", capsys, tmp_path)
    assert out.startswith("Hazard ratio, random effects, tau2 by REML")
    assert (tmp_path / "forest.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_fibrinogen_factor(capsys):
    out = run("fibrinogen_factor", capsys)
    assert out.startswith("Hazard ratio, random effects, tau2 by REML")
    with (DATASETS / "fibrinogen" / "prognostic.csv").open(encoding="utf-8", newline="") as file:
        events = {row["study_id"]: int(row["n_events"]) for row in csv.DictReader(file)}
    said = re.findall(r"Without (cohort_\d+), of the (?:fewest events|most) \((\d+)\), ([\d.]+)", out)
    assert [(study, int(n)) for study, n, _ in said] == [
        (pick(events, key=events.get), pick(events.values())) for pick in (min, max)
    ]
    # Debray's test on these cohorts: slope 7.15824, t = 1.6847, p = .1028 by the R package metamisc
    assert re.search(r"slope +7\.2 .* t 1\.68 on 29 df, p = 0\.10", out)


def test_gliomas_over_time(capsys, tmp_path):
    out = run("gliomas_over_time", capsys, tmp_path)
    assert re.findall(r"(?m)^(\w+): Overall survival: .*, (\d+) studies, (\d+) patients$", out) == [
        ("chemotherapy", "17", "1418"),
        ("control", "17", "944"),
    ]
    heads = [line.split(",")[0] for line in out.splitlines() if "chemotherapy against control" in line]
    assert heads == ["Difference of survival", "Ratio of cumulative hazards"]
    for arm in ("chemotherapy", "control"):
        assert (tmp_path / f"gliomas_{arm}.svg").read_text(encoding="utf-8").startswith("<?xml")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_subsets_on_a_cluster(capsys):
    out = run("subsets_on_a_cluster", capsys).splitlines()
    assert out[0].startswith("All 8,191 subsets")  # 2^13 less the empty one
    assert out[-1] == "The cluster says the same: True"
    gc.collect()  # of sockets that distributed leaves open, while their warning is let pass


@pytest.fixture(scope="module")
def nethm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nethm")
    specification = importlib.util.spec_from_file_location("nethm_review", EXAMPLES / "nethm_review.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    import contextlib
    import io

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        module.main(folder)
    return printed.getvalue(), folder


def test_nethm_review_prints_the_paragraph_and_the_comparison(nethm):
    out, _ = nethm
    flat = " ".join(out.split())
    assert "44 studies" in flat
    assert "73.5% (range, 41–94%; k = 12)" in flat  # our figure, as the README of the data set has it
    assert re.search(
        r"5-year OS\s+73\.5% .*?70\.5% \(range, 31–100%\)\s+\+3\.0", out
    )  # beside the published one
    assert "21 months (range, 13–46 months)" in out
    assert "Overall survival, pooled over time" in out
    assert re.search(r"median OS: [\d.]+ months \(95% CI [\d.]+-[\d.]+; k = 9\)", out)
    assert re.search(r"median PFS: [\d.]+ months \(95% CI [\d.]+-[\d.]+; k = 3\)", out)
    assert "impossible: glazer_2010" in flat  # which the README of the data set names, too
    for factor in ("Completeness of resection", "Extrahepatic disease", "Histologic grade"):
        assert factor in out


def test_nethm_review_writes_tables_figures_and_one_page(nethm):
    out, folder = nethm
    assert str(folder / "report.html") in out
    tables = {path.stem for path in (folder / "tables").glob("*.csv")}
    assert {"characteristics", "outcomes", "summary", "factors", "reporting", "exclusions"} <= tables
    assert {
        "pooled",
        "pooled_curve",
        "bounds",
        "pooled_medians",
        "certainty",
        "sensitivity",
        "audit",
        "swim",
        "flow",
    } <= tables
    for name in tables:
        for suffix in ("md", "tex"):
            assert (folder / "tables" / f"{name}.{suffix}").stat().st_size > 0
    figures = {path.stem for path in (folder / "figures").glob("*.svg")}
    assert {"medians", "curves", "factors", "reporting", "flow", "forest_5_year_os"} <= figures
    assert {"pooled_curve", "bounds", "months_median_os", "months_median_pfs", "studies", "audit"} <= figures
    assert figures == {path.stem for path in (folder / "figures").glob("*.pdf")}


def test_the_page_is_self_contained(nethm):
    _, folder = nethm
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"<script|<img|<link|@import|<iframe", page)
    loads = re.findall(r'(?:src|xlink:href|href)="(?!#)([^"]+)"', page)
    assert all(address.startswith("http") for address in loads)  # links to sources, which nothing loads
    assert page.count("<svg") == len(list((folder / "figures").glob("*.svg")))
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    contents = re.findall(r'<li><a href="#[^"]+">(.*?)</a></li>', page[: page.index("</nav>")])
    assert headings == contents
    assert {"Survival over time", "Median survival", "Sensitivity", "Synthesis without meta-analysis"} <= set(
        headings
    )
    assert "TO BE WRITTEN" not in page
