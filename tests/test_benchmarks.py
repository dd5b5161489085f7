"""Every benchmark runs once, small, and its answers agree with those of the peers installed here; nothing is timed."""

import importlib
import re
import socket
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
NAMES = [
    "one_fit",
    "one_pm",
    "bulk_reml",
    "bulk_dl",
    "bulk_pm",
    "glmm",
    "regression",
    "permutation",
    "leave_one_out",
    "influence",
    "gosh",
    "bivariate",
    "three_level",
    "selection",
    "trim_and_fill",
    "egger",
    "bayes",
    "summary_curve",
    "summary_bootstrap",
    "over_time_summary",
    "over_time_multivariate",
]
PAIRS = [
    ("one_fit", "PyMARE"),
    ("one_fit", "PyMetaAnalysis"),
    ("one_pm", "statsmodels"),
    ("bulk_reml", "PyMARE"),
    ("bulk_dl", "PyMARE"),
    ("bulk_pm", "statsmodels"),
    ("regression", "PyMARE"),
    ("regression", "PyMetaAnalysis"),
    ("permutation", "PyMARE"),
    ("leave_one_out", "PyMetaAnalysis"),
    ("trim_and_fill", "PyMetaAnalysis"),
    ("egger", "PyMetaAnalysis"),
]


@pytest.fixture(scope="module")
def bench():
    """The modules of the benchmarks, as their script sees them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            patch.setenv(variable, "1")  # which the script sets too; here it is put back
        yield importlib.import_module("run")
        for name in ("run", "cases", "page", "curves", "curve_page"):
            sys.modules.pop(name, None)


@pytest.fixture
def page(bench):
    return sys.modules[bench.Row.__module__]


@pytest.fixture(scope="module")
def small(bench):
    return bench.Sizes(n_sets=30, n_looped=5, k_subsets=7, k_permuted=4, k_over_time=12)


@pytest.fixture(scope="module")
def cases(bench, small):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {case.name: case for case in bench.all_cases(small)}


def test_every_case_is_named_here(cases):
    assert list(cases) == NAMES
    assert [(name, peer) for name, case in cases.items() for peer in case.peers] == PAIRS


@pytest.mark.parametrize("name", NAMES)
def test_netsynth_answers(cases, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = cases[name].ours()
    assert answer.ndim == 2
    assert np.isfinite(answer).all()


@pytest.mark.parametrize(("name", "peer"), PAIRS)
def test_peers_agree(bench, cases, name, peer):
    case = cases[name]
    if find_spec(bench.PEERS[peer]) is None:
        pytest.skip(f"{peer} is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = case.ours(), case.peers[peer].make()()
    assert bench.agreement(ours, theirs) < 1e-5  # the default tolerance of statsmodels


def test_r_has_a_call_for_what_a_case_asks_of_it(cases):
    script = (FOLDER / "peers.R").read_text(encoding="utf-8")
    inside = script.split("calls <- list(")[1].split("\nclock <-")[0]
    calls = dict(re.findall(r"(?ms)^   (\w+) = list\((.*?)\)(?=,\n   \w+ = list|\n\)\n)", inside))
    asked = {case.name: set(case.in_r) for case in cases.values() if case.in_r}
    packages = {name: set(re.findall(r"(\w+) = function\(case\)", body)) for name, body in calls.items()}
    assert packages == asked


def test_data_for_r_keep_every_digit(bench, cases, tmp_path):
    bench.write_data([cases["one_fit"]], str(tmp_path))
    head, *lines = (tmp_path / "one_fit.studies.csv").read_text(encoding="utf-8").splitlines()
    assert head == "y,v"
    read = np.array([line.split(",") for line in lines], dtype=np.float64)
    assert (read[:, 1] == cases["one_fit"].data["studies"]["v"]).all()


def test_agreement_is_relative_to_the_column(bench):
    ours, theirs = np.array([[1.0, 100.0], [2.0, 0.0]]), np.array([[1.0, 101.0], [2.5, np.nan]])
    assert bench.agreement(ours, theirs) == pytest.approx(0.5 / 2.5)
    assert bench.agreement(ours, theirs[:1]) == pytest.approx(1 / 101)
    assert np.isnan(bench.agreement(ours[:, 1:], np.array([[np.nan]])))
    assert bench.agreement(np.array([[0.0]]), np.array([[0.0]])) == 0.0


def test_a_stopwatch_keeps_answer_and_rounds(bench):
    watch = bench.Stopwatch(lambda: np.array([[1.0]]), n_rounds=4)
    for _ in range(6):
        watch.round()
    assert len(watch.seconds) == 4
    assert watch.answer == 1.0


def test_a_peer_that_is_not_there_is_left_out_with_a_word(bench, small, monkeypatch):
    monkeypatch.setattr(bench.shutil, "which", lambda _: None)
    monkeypatch.setattr(bench, "find_spec", lambda _: None)
    said = []
    rows, about, missing = bench.run(small, 1, ["egger"], said.append)
    assert missing == {"R": "not installed", "PyMetaAnalysis": "not installed"}
    assert [row.peer for row in rows] == [""]
    assert len(said) == 1
    assert said[0].startswith("Egger's test, k = 24: netsynth ")
    assert "R" not in about


def test_the_simulation_says_what_it_took(bench):
    found = bench.Simulation(**bench.simulated(50))
    assert found.peak_mb > 0
    assert all(0.5 < share <= 1 for share in found.coverage.values())


def test_the_time_of_fewer_fits_is_scaled(bench, cases):
    watch = bench.Stopwatch(lambda: np.array([[1.0]]), n_rounds=3)
    watch.seconds = [1.0, 2.0, 30.0]
    case = cases["bulk_reml"]  # 30 sets, of which R fits 5
    row = bench.row(case, watch, "metafor", [1.0, 4.0, 1.0], np.array([[1.5]]), 5)
    assert (row.seconds, row.peer_seconds, row.ratio) == (2.0, 6.0, 3.0)
    assert (row.scaled_from, row.at_least) == (5, 500.0)
    assert row.difference == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.000441, "0.441 ms"), (0.0161, "16.1 ms"), (0.1234, "123 ms"), (3.2, "3.20 s"), (1234.5, "1,234 s")],
)
def test_durations(page, seconds, shown):
    assert page.duration(seconds) == shown


def test_ratios_and_differences(page):
    assert [page.times(ratio) for ratio in (0.41, 7.26, 12.3, 1650.0)] == ["0.4×", "7.3×", "12×", "1,650×"]
    assert [page.apart(d) for d in (0.0, 3.4e-7, np.nan)] == ["none", "3e-07", "not compared"]


def test_the_page_says_what_was_reached_and_names_nobody(bench, page):
    rows = [
        page.Row("A", 0.001, 9, "metafor", 0.1, 5, 1e-9, scaled_from=200, at_least=500.0, within=0.002),
        page.Row("A", 0.001, 9, "lme4", 0.002, 5, 0.0),
        page.Row("B", 0.001, 9),
    ]
    text = page.markdown(
        rows, page.Simulation(100, 2.0, 120.0, {"t": 0.95}), bench.machine(None), {"R": "gone"}
    )
    assert "| A | under 2.00 ms | 1.00 ms | yes |" in text
    assert "| A | 500× the rate of metafor | 100× | no |" in text
    assert "| A | 1.00 ms | metafor | 100 ms (from 200) | 100× | 1e-09 | 9/5 |" in text
    assert "|  |  | lme4 | 2.00 ms | 2.0× | none | 9/5 |" in text
    assert "| B | 1.00 ms | none |  |  |  | 9 |" in text
    assert "100 replications in 2.00 s, at most 120 MB; coverage: t 95.0%" in text
    assert "- R: gone." in text
    assert socket.gethostname() not in text
    assert str(FOLDER.parent) not in text
