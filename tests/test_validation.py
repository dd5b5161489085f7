"""The simulations run, and the records that rest on them quote their committed results."""

import importlib.util
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from netsynth.errors import NetsynthWarning

ROOT = Path(__file__).parents[1]
COVERAGE = pd.read_csv(ROOT / "validation" / "results" / "interval_coverage.csv")


def load(name):
    specification = importlib.util.spec_from_file_location(name, ROOT / "validation" / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def lowest(sizes, k, method):
    """Lowest coverage over I2 in percent, as the records give it."""
    table = COVERAGE[(COVERAGE.kind == "confidence") & (COVERAGE.tau2_method == "REML")]
    rows = table[(table.sizes == sizes) & (table.k == k) & (table.method == method)]
    assert len(rows) == 5
    return round(100 * rows.coverage.min(), 1)


def test_the_record_of_the_default_interval_quotes_the_simulation():
    text = (ROOT / "docs" / "decisions" / "0013-modified-knapp-hartung.md").read_text(encoding="utf-8")
    header = re.search(r"\| sizes \| k \| (.*) \|\n", text)[1].split(" | ")
    rows = re.findall(r"(?m)^\| (equal|sixteenfold|one large) \| (\d+) \| (.*) \|$", text)
    assert len(rows) == 9
    for sizes, k, cells in rows:
        quoted = dict(zip(header, map(float, cells.split(" | ")), strict=True))
        # the results are rounded to five digits, so a quoted digit may be one off where they end in 5
        assert quoted == pytest.approx({method: lowest(sizes, int(k), method) for method in header}, abs=0.11)


def test_the_default_never_covers_much_less_than_it_says():
    table = COVERAGE[(COVERAGE.kind == "confidence") & (COVERAGE.tau2_method == "REML")]
    least = table.groupby("method").coverage.min()
    assert least["mHK"] > 0.93
    assert least["HK"] < 0.9
    prediction = (
        COVERAGE[(COVERAGE.kind == "prediction") & (COVERAGE.i2 > 0)].groupby("method").coverage.min()
    )
    assert prediction["bootstrap"] > 0.91
    assert prediction["t_km2"] < 0.83


def test_a_setting_is_simulated_from_its_own_numbers():
    module = load("interval_coverage")
    seeds = np.random.SeedSequence(5).spawn(1)[0]
    module.N_BOOTSTRAPPED, module.N_DRAWS = 20, 200
    setting = module.Setting(4, 0.5, "one large", 400, seeds)
    first, again = pd.DataFrame(module.simulate(setting)), pd.DataFrame(module.simulate(setting))
    pd.testing.assert_frame_equal(first, again)
    row = COVERAGE[(COVERAGE.k == 4) & (COVERAGE.i2 == 0.5) & (COVERAGE.sizes == "one large")]
    both = first.merge(row, on=["kind", "tau2_method", "method"], suffixes=("", "_committed"))
    both = both[both.method != "bootstrap"]
    assert len(both) == len(first) - 1
    # 400 data sets against 20,000: a coverage has a standard error of at most 0.025
    assert np.abs(both.coverage - both.coverage_committed).max() < 0.08
    assert "mHK" in module.summary(first)


def test_a_simulation_writes_where_it_is_told(tmp_path, monkeypatch, capsys):
    module = load("interval_coverage")
    for name, few in (("STUDIES", (3,)), ("I2", (0.0, 0.5)), ("SIZES", ("equal",))):
        monkeypatch.setattr(module, name, few)
    monkeypatch.setattr("sys.argv", ["x", "--replications", "20", "--out", str(tmp_path / "out.csv")])
    module.main()
    assert set(pd.read_csv(tmp_path / "out.csv").i2) == {0.0, 0.5}
    assert "mHK" in capsys.readouterr().out


COUNTS = pd.read_csv(ROOT / "validation" / "results" / "count_coverage.csv")


def test_the_record_of_counts_quotes_the_simulation():
    text = (ROOT / "docs" / "decisions" / "0015-counts-by-glmm.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| (\d+) \| (0\.\d) \| (.*) \|$", text)
    assert len(rows) == 8
    for k, tau, cells in rows:
        table = COUNTS[(COUNTS.k == int(k)) & (COUNTS.tau == float(tau))].groupby("method").coverage
        for method, quoted in zip(("wald", "t", "profile"), cells.split(" | "), strict=True):
            least, mean = map(float, quoted.split(", "))
            got = 100 * table.min()[method], 100 * table.mean()[method]
            assert (least, mean) == pytest.approx(got, abs=0.051)


def test_counts_are_simulated_from_their_own_numbers():
    module = load("count_coverage")
    setting = module.Setting(5, 0.2, ("binomial", -2.0), 40, np.random.SeedSequence(3))
    first, again = pd.DataFrame(module.simulate(setting)), pd.DataFrame(module.simulate(setting))
    pd.testing.assert_frame_equal(first, again)
    assert first.method.tolist() == ["wald", "t", "profile"]
    assert first.coverage.between(0.7, 1.0).all()
    assert (first.not_converged == 0).all()


CURVES = pd.read_csv(ROOT / "validation" / "results" / "curve_coverage.csv")


def test_the_page_of_averages_quotes_the_simulation():
    text = (ROOT / "docs" / "methods" / "model-averaging.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"(?m)^\| (\w+) \| ([\w ]+) \| ([\d.]+) \(([\d.]+)\) \| ([\d.]+) \(([\d.]+)\) \|$", text
    )
    assert len(rows) == 16
    for method, quantity, *quoted in rows:
        table = (
            CURVES[(CURVES.method == method) & (CURVES.quantity == quantity)].groupby("information").coverage
        )
        got = [100 * value for name in ("at risk", "n") for value in (table.mean()[name], table.min()[name])]
        assert [float(value) for value in quoted] == pytest.approx(got, abs=0.051)


def test_intervals_of_curves_through_points_and_of_averages_cover():
    least = CURVES.pivot_table(index=["quantity", "information"], columns="method", values="coverage")
    assert (least[["pchip", "average", "blend"]] > 0.93).all(axis=None)
    assert least["weibull"].min() < 0.9
    assert (CURVES.undefined == 0).all()


def test_curves_are_simulated_from_their_own_numbers():
    module = load("curve_coverage")
    setting = module.Setting("mixture", 60, "at risk", 4, np.random.SeedSequence(3))
    first, again = pd.DataFrame(module.simulate(setting)), pd.DataFrame(module.simulate(setting))
    pd.testing.assert_frame_equal(first, again)
    assert set(first.method) == set(module.METHODS)
    assert len(first) == 16
    assert first.coverage.between(0.5, 1.0).all()
    # the mixture of the report and its truth are the same distribution
    drawn = module.draw("mixture", 100_000, np.random.default_rng(1))
    assert (drawn > 36).mean() == pytest.approx(module.TRUTHS["mixture"](36.0), abs=0.006)


FRAGMENTS = pd.read_csv(ROOT / "validation" / "results" / "fragment_coverage.csv")


def test_the_page_of_fragments_quotes_the_simulation():
    text = (ROOT / "docs" / "methods" / "fragment-likelihood.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"(?m)^  \| ([a-z0-9 ]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| (\d+)/(\d+)/(\d+)% \|$",
        text,
    )
    assert len(rows) == 5
    for question, *quoted in rows:
        table = (
            FRAGMENTS[FRAGMENTS.question == question].groupby("fragments", sort=False).mean(numeric_only=True)
        )
        coverage, loss = 100 * table.coverage, 100 * table.reporting_loss
        assert [float(value) for value in quoted[:4]] == pytest.approx(coverage.tolist(), abs=0.06)
        assert [float(value) for value in quoted[4:]] == pytest.approx(loss.tolist()[1:], abs=0.6)


def test_intervals_from_fragments_cover():
    # a coverage of 0.95 has a standard error of 0.011 for one question, and 0.007 or so for the mean of three
    means = FRAGMENTS.groupby(["fragments", "question"]).coverage.mean()
    for name in FRAGMENTS.fragments.unique():
        assert np.mean([means[name, f"survival at {t}"] for t in (12, 36, 60)]) > 0.93
        assert means[name].mean() > 0.93


def test_fragments_lower_the_evidence_and_the_loss():
    table = FRAGMENTS.groupby("fragments").mean(numeric_only=True)
    names = ["landmarks", "and at risk", "and events, median, follow-up"]
    assert (np.diff(table.log_evidence[names]) < 0).all()
    between = FRAGMENTS[FRAGMENTS.question == "survival at 48"].groupby("fragments").reporting_loss.mean()
    assert between[names[2]] < between[names[0]]


def test_fragments_are_simulated_from_their_own_numbers():
    module = load("fragment_coverage")
    setting = module.Setting(50, 1.5, 1, np.random.SeedSequence(4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        first, again = pd.DataFrame(module.simulate(setting)), pd.DataFrame(module.simulate(setting))
    pd.testing.assert_frame_equal(first, again)
    assert set(first.fragments) == {"all patients", *module.SETS}
    survival, area = module.truth(1.0)
    assert survival[-1] == pytest.approx(0.4)
    assert area == pytest.approx(60 * 0.6 / -np.log(0.4))  # (1 - S) / hazard


ARMS = pd.read_csv(ROOT / "validation" / "results" / "arms_coverage.csv")


def test_the_page_of_two_arms_quotes_the_simulation():
    text = (ROOT / "docs" / "methods" / "two-arms.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| ([\w ]+) \| (data|reconstruction|data sets|constrained) \| (.*) \|$", text)
    assert len(rows) == 8
    for table, method, cells in rows:
        part = ARMS[(ARMS.table == table) & (ARMS.method == method)]
        got = []
        for effect in ("log_hr", "rmst_difference"):
            each = part[part.effect == effect]
            got += [100 * each.coverage.mean(), each.median_distance.mean(), each.p90_distance.mean()]
        quoted = [float(cell) for cell in cells.split(" | ")]
        assert quoted[::3] == pytest.approx(got[::3], abs=0.051)
        assert quoted[1::3] == pytest.approx(got[1::3], abs=0.00051)
        assert quoted[2::3] == pytest.approx(got[2::3], abs=0.00051)


def test_intervals_of_two_arms_cover():
    # eight settings of 100 pairs of arms: the mean of their coverages has a standard error of 0.008
    mean = ARMS.groupby(["effect", "method"]).coverage.mean()
    assert (mean > 0.95 - 3 * 0.008).all()


def test_arms_are_simulated_from_their_own_numbers(monkeypatch):
    module = load("arms_coverage")
    monkeypatch.setattr(module, "N_DRAWS", 10)
    setting = module.Setting(60, "coarse", "every 12 months", 3, np.random.SeedSequence(3))
    first, again = pd.DataFrame(module.simulate(setting)), pd.DataFrame(module.simulate(setting))
    pd.testing.assert_frame_equal(first, again)
    assert {"data", "data sets", "reconstruction"} <= set(first.method)
    assert first.median_distance.max() < 1
    assert (first[first.method == "data"].median_distance == 0).all()
    # the means of the model are those of many patients who are followed until they die
    rng, n = np.random.default_rng(1), 200_000
    lives = [module.SCALE * (rng.exponential(1.0, n) / ratio) ** (1 / module.SHAPE) for ratio in (0.6, 1.0)]
    means = [np.minimum(life, module.HORIZON).mean() for life in lives]
    assert means[0] - means[1] == pytest.approx(module.truth()["rmst_difference"], abs=0.12)


DRAWS = pd.read_csv(ROOT / "validation" / "results" / "draws_calibration.csv")


def test_the_page_of_the_ledger_quotes_the_simulation():
    text = (ROOT / "docs" / "methods" / "ledger.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| ((?:table|patients)(?:, total)?) \| (\d\.\d\d, .*) \|$", text)
    assert len(rows) == 4
    mean = DRAWS.groupby(["report", "question"])[["median_distance", "beyond_2"]].mean()
    for report, cells in rows:
        questions = ("mean", "survival", "log rate", "events", "log hazard ratio")
        for question, cell in zip(questions, cells.split(" | "), strict=True):
            if cell == "–":
                assert (report, question) not in mean.index
                continue
            median, beyond = map(float, cell.rstrip("%").split(", "))
            assert median == pytest.approx(mean.median_distance[report, question], abs=0.0051)
            assert beyond == pytest.approx(100 * mean.beyond_2[report, question], abs=0.51)


def test_draws_are_as_wide_as_they_are_off():
    mean = DRAWS.groupby(["report", "question"])[["median_distance", "beyond_2"]].mean()
    assert mean.median_distance.between(0.35, 0.95).all()
    # the mean over twelve settings of 18 arms has a standard error of 0.015
    assert (mean.beyond_2 < 0.05 + 4 * 0.015).all()


def test_draws_are_simulated_from_their_own_numbers(monkeypatch):
    module = load("draws_calibration")
    monkeypatch.setattr(module, "N_DRAWS", 3)
    setting = module.Setting("coarse", "both", 1, np.random.SeedSequence(3))
    first, again = pd.DataFrame(module.simulate(setting)), pd.DataFrame(module.simulate(setting))
    pd.testing.assert_frame_equal(first, again)
    assert set(first.report) == set(module.REPORTS)
    # the draws of the law lie about the patients themselves: of many of whom some are cured 1 - exp(-0.9 * 0.7) die
    data = module.patients("cured", "one day", module.RATIO, 100_000, np.random.default_rng(1))
    assert data.event.mean() == pytest.approx(1 - np.exp(-0.63 * (1 - np.exp(-48 / 15))), abs=0.02)
