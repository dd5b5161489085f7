"""The simulations run, and the records that rest on them quote their committed results."""

import importlib.util
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from netsynth.errors import NetsynthWarning
from netsynth.kernels.hazard_ratio_routes import METHOD_ERROR

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


ROUTES = pd.read_csv(ROOT / "validation" / "results" / "hazard_ratio_routes.csv")


def test_method_errors_are_those_of_the_simulated_trials():
    refitted = load("hazard_ratio_routes").fitted(ROUTES).round(4)
    assert set(refitted.index) == set(METHOD_ERROR) - {"direct"}
    for way, row in refitted.iterrows():
        assert tuple(row) == pytest.approx(METHOD_ERROR[way], abs=1e-9), way  # as rounded to four decimals


def test_the_page_of_routes_quotes_the_simulated_trials():
    text = (ROOT / "docs" / "methods" / "hazard-ratio-routes.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| ([a-z -]+) \| (\d\.\d+) \| (\d\.\d+) \| (\d\.\d+) \| (\d\.\d+) \|$", text)
    assert {way: tuple(map(float, cells)) for way, *cells in rows} == {
        way: tuple(error) for way, error in METHOD_ERROR.items() if way != "direct"
    }
    module = load("hazard_ratio_routes")
    weight = ROUTES.pattern.map(module.PATTERNS) * ROUTES.used
    alarm = 100 * (ROUTES.alarm * weight).groupby(ROUTES.way).sum() / weight.groupby(ROUTES.way).sum()
    log_rank = ["observed minus expected", "events by arm", "events and patients", "events"]
    ends = (
        alarm[log_rank].min(),
        alarm[log_rank].max(),
        alarm.drop(log_rank).min(),
        alarm.drop(log_rank).max(),
    )
    quoted = re.search(
        r"([\d.]+)\s+to ([\d.]+)% would be said to disagree by a log-rank way and ([\d.]+) to ([\d.]+)%", text
    )
    assert [float(x) for x in quoted.groups()] == pytest.approx(ends, abs=0.06)


def test_a_setting_of_routes_is_simulated_from_its_own_numbers():
    module = load("hazard_ratio_routes")
    seeds = np.random.SeedSequence(5).spawn(1)[0]
    setting = module.Setting(200, 0.5, -0.9, 1.3, "long", "constant", 200, seeds)
    first, again = pd.DataFrame(module.simulate(setting)), pd.DataFrame(module.simulate(setting))
    pd.testing.assert_frame_equal(first, again)
    keys = ["n", "share", "log_hr", "shape", "follow_up", "pattern", "way"]
    both = first.merge(ROUTES, on=keys, suffixes=("", "_committed"))
    assert len(both) == len(first)
    # other random numbers, 200 trials each: a mean square has a standard error of about a tenth
    assert np.abs(np.log(both.mse / both.mse_committed)).max() < 0.6
    assert np.abs(both.bias - both.bias_committed).max() < 0.08


MEDIANS = pd.read_csv(ROOT / "validation" / "results" / "median_survival_coverage.csv")


def test_the_page_of_median_survival_quotes_the_simulation():
    text = (ROOT / "docs" / "methods" / "median-survival.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| (\d+) \| (0\.\d) \| (\d+) \| (.*) \|$", text)
    assert len(rows) == 12
    quoted = [[float(part) for cell in row[3].split(" | ") for part in cell.split(", ")] for row in rows]
    settings = MEDIANS.groupby(["k", "tau", "follow_up"], sort=False)
    for (k, tau, share, _), numbers, ((at_k, at_tau, _), table) in zip(rows, quoted, settings, strict=True):
        assert (int(k), float(tau)) == (at_k, at_tau)
        assert float(share) == pytest.approx(100 * table.open_share.iloc[0], abs=0.51)
        by_method = table.set_index("method")
        got = by_method.loc[["bounds mHK", "dropped", "imputed"]]
        # biases with two decimals, coverages in percent with one
        assert numbers[0::2] == pytest.approx(got.bias.tolist(), abs=0.0051)
        assert numbers[1::2] == pytest.approx((100 * got.coverage).tolist(), abs=0.051)


def test_the_record_of_open_ends_quotes_the_simulation():
    text = (ROOT / "docs" / "decisions" / "0026-open-ended-medians.md").read_text(encoding="utf-8")
    many = MEDIANS[(MEDIANS.k == 20) & (MEDIANS.tau == 0.4) & (MEDIANS.follow_up == 0.9)].set_index("method")
    assert "covered 43% and 75%" in text
    assert many.coverage[["dropped", "imputed"]].round(2).tolist() == [0.43, 0.75]
    bounds = MEDIANS[MEDIANS.method == "bounds mHK"]
    assert "cover 94.0% or more" in text
    assert bounds.coverage.min() == pytest.approx(0.94, abs=5e-4)
    assert "stays below 5%" in text
    assert bounds.bias.abs().max() < 0.05


def test_medians_are_simulated_from_their_own_numbers():
    module = load("median_survival_coverage")
    setting = module.Setting(10, 0.4, 0.9, 12, np.random.SeedSequence(3))
    first, again = pd.DataFrame(module.simulate(setting)), pd.DataFrame(module.simulate(setting))
    pd.testing.assert_frame_equal(first, again)
    assert first.method.tolist() == ["bounds mHK", "bounds t", "dropped", "imputed"]
    assert first.set_index("method").bias["dropped"] < first.set_index("method").bias["bounds t"]


def test_the_record_of_summary_curves_quotes_the_simulation():
    text = (ROOT / "docs" / "decisions" / "0027-summary-curves.md").read_text(encoding="utf-8")
    table = pd.read_csv(ROOT / "validation" / "results" / "summary_coverage.csv")
    table = table[(table.kind == "confidence") & (table.spread > 0)]
    rows = re.findall(r"(?m)^\| (\d+) \| (.*) \|$", text)
    assert [int(k) for k, _ in rows] == [3, 5, 10, 27]
    for k, cells in rows:
        coverage = table[table.k == int(k)].groupby("method").coverage
        found = [100 * getattr(coverage, how)()[name] for name in ("wald", "t") for how in ("min", "mean")]
        assert list(map(float, cells.split(" | "))) == pytest.approx(found, abs=0.06)
    by_method = table.groupby("method").coverage
    page = " ".join((ROOT / "docs" / "methods" / "summary-curve.md").read_text(encoding="utf-8").split())
    assert "normal 95% intervals covered from 80 to 95% and those by t from 88 to 100%" in page
    ends = [100 * getattr(by_method, how)()[name] for name in ("wald", "t") for how in ("min", "max")]
    assert [round(end) for end in ends] == [80, 95, 88, 100]


def test_summary_curves_are_simulated_from_their_own_numbers():
    module = load("summary_coverage")
    setting = module.Setting(4, 0.08, 0.5, "falling", 40, np.random.SeedSequence(3))
    first, again = pd.DataFrame(module.simulate(setting)), pd.DataFrame(module.simulate(setting))
    pd.testing.assert_frame_equal(first, again)
    assert first.groupby("kind").size().to_dict() == {"confidence": 10, "prediction": 15}
    last = first[(first.time == 5) & (first.kind == "confidence")].set_index("method").coverage
    assert last["wald"] <= last["t"]


LOGLOG = pd.read_csv(ROOT / "validation" / "results" / "loglog_coverage.csv")


def test_the_page_of_the_loglog_curve_quotes_the_simulation():
    text = (ROOT / "docs" / "methods" / "loglog-curve.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| (\d+) \| (0\.\d+) \| (.*) \|$", text)
    assert len(rows) == 9
    for k, tau, cells in rows:
        part = LOGLOG[(LOGLOG.k == int(k)) & (LOGLOG.tau == float(tau)) & (LOGLOG.interval == "t")]
        mean = part.groupby("evaluated_at")[["coverage", "prediction", "bias"]].mean()
        quoted = np.array(cells.split(" | "), dtype=float).reshape(3, 3)
        for row, way in zip(quoted, ("study", "mean", "observed"), strict=True):
            assert row == pytest.approx(mean.loc[way] * [100, 100, 1], abs=0.051)
            assert row[2] == pytest.approx(mean.bias[way], abs=0.00051)
    normal = LOGLOG[(LOGLOG.interval == "normal") & (LOGLOG.evaluated_at == "study")].coverage
    quoted = re.search(
        r"Normal intervals cover ([\d.]+)% on average, and ([\d.]+)% in the worst", text
    ).groups()
    assert [float(x) for x in quoted] == pytest.approx([100 * normal.mean(), 100 * normal.min()], abs=0.051)


def test_the_loglog_curve_covers_at_the_fit_and_not_at_the_estimates():
    table = LOGLOG[LOGLOG.interval == "t"].groupby("evaluated_at")
    mean, least = table[["coverage", "prediction", "bias"]].mean(), table.coverage.min()
    # 54 cells of 200 reviews: a cell has a standard error of 0.015, their mean one of about 0.003
    assert mean.coverage["study"] > 0.95 - 3 * 0.003
    assert mean.prediction["study"] > 0.94
    assert least["study"] > 0.95 - 3 * 0.015
    assert least["observed"] < 0.7
    assert abs(mean.bias["study"]) < 0.2 * mean.bias["observed"]
    assert (LOGLOG.not_converged == 0).all()


def test_a_setting_of_the_loglog_curve_is_simulated_from_its_own_numbers():
    module = load("loglog_coverage")
    setting = module.Setting(10, 0.25, "at risk", 12, np.random.SeedSequence(3))
    first, again = pd.DataFrame(module.simulate(setting)), pd.DataFrame(module.simulate(setting))
    pd.testing.assert_frame_equal(first, again)
    assert len(first) == 18
    keys = ["k", "tau", "numbers", "evaluated_at", "interval", "time"]
    both = first.merge(LOGLOG, on=keys, suffixes=("", "_committed"))
    assert len(both) == 18
    # twelve reviews: the error of the curve, with a standard deviation of 0.15, has a mean within 0.18
    assert np.abs(both.bias - both.bias_committed).max() < 0.18
    # half of many patients of a middle study are alive at 48 months, whoever is lost
    far = module.Setting(3, 0.0, "at risk", 1, np.random.SeedSequence(3))
    many = [module.reports(far, np.random.default_rng(seed)).survival[:, 3] for seed in range(150)]
    assert np.nanmean(many) == pytest.approx(0.5, abs=0.02)
