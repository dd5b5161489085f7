"""The simulations run, and the records that rest on them quote their committed results."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

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
