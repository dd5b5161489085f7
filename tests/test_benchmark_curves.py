"""The errors that the page on benchmarks tells of curves are the right ones, of us and of the peers."""

import importlib
import shutil
import stat
import sys
import warnings
from pathlib import Path

import figures as known
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def modules():
    """The modules of the benchmarks, as their script sees them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        yield importlib.import_module("curves"), importlib.import_module("curve_page")
        for name in ("curves", "curve_page", "page"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def curves(modules):
    return modules[0]


@pytest.fixture(scope="module")
def page(modules):
    return modules[1]


def arm(curves, data):
    return curves.Patients(data.time, data.event.astype(float))


def figure(curves, truth, horizon, **given):
    return curves.Figure("made-up", "", arm(curves, truth), horizon, given)


# --- errors ------------------------------------------------------------------------------------------------


@given(data=st.data(), share=st.floats(0.2, 1.0))
def test_errors_agree_with_a_second_implementation(curves, data, share):
    truth, _ = data.draw(known.simulated(60))
    made, _ = data.draw(known.simulated(60))
    horizon = share * float(truth.time.max())
    found = curves.errors(figure(curves, truth, horizon), arm(curves, made), 0.5)
    one, other = known.kaplan_meier(*truth), known.kaplan_meier(*made)
    mean, off = one.mean(horizon), other.mean(horizon) - one.mean(horizon)
    assert found.iae == pytest.approx(one.distance(other, horizon), abs=1e-9)
    assert found.rmst == pytest.approx(abs(off) / mean, abs=1e-9)
    assert abs(off) < 1e-9 * mean or found.sign == np.sign(off)
    assert found.events == pytest.approx(abs(made.event.sum() / truth.event.sum() - 1))
    assert found.ms == 500
    assert np.isnan(found.at_risk)


@given(data=st.data())
def test_the_log_hazard_ratio_is_that_of_a_second_implementation(curves, data):
    one, other = (data.draw(known.simulated(40))[0] for _ in range(2))
    effect, se = curves.cox(arm(curves, other), arm(curves, one))
    if not np.isnan(effect) and abs(effect) < 5:  # else one arm has no event while the other is there
        expected, its_se = known.log_hazard_ratio(one, other)
        assert effect == pytest.approx(expected, abs=1e-7)
        assert se == pytest.approx(its_se, rel=1e-6)


def test_a_hazard_ratio_without_a_limit_is_not_known(curves):
    early = curves.Patients(np.arange(1.0, 5), np.ones(4))
    late = curves.Patients(np.arange(11.0, 15), np.array([0.0, 0, 0, 0]))
    assert np.isnan(curves.cox(early, late)).all()


def test_the_largest_distance_forgives_a_hundredth_of_the_horizon(curves):
    truth = known.Patients(np.array([50.0, 100.0]), np.array([1, 0]))
    for shift, expected in ((0.9, 0.0), (-0.9, 0.0), (1.5, 0.5), (-1.5, 0.5)):
        made = known.Patients(truth.time + np.array([shift, 0]), truth.event)
        found = curves.errors(figure(curves, truth, 100.0), arm(curves, made), 0.0)
        assert found.sup == expected
        assert found.iae == pytest.approx(0.5 * abs(shift) / 100)
        assert found.sign == np.sign(shift)


def test_the_largest_miss_of_a_table_counts_those_who_leave_then(curves):
    truth = known.Patients(np.array([1.0, 2, 2, 3, 4]), np.array([1, 1, 0, 1, 0]))
    case = figure(curves, truth, 4.0, at_risk_time=[0, 2, 4], n_at_risk=[5, 4, 1])
    assert curves.errors(case, case.truth, 0.0).at_risk == 0
    moved = known.Patients(np.array([1.0, 1, 1, 3, 4]), truth.event)
    assert curves.errors(case, arm(curves, moved), 0.0).at_risk == 2


# --- figures and peers -------------------------------------------------------------------------------------


def test_figures_are_those_of_the_references(curves):
    assert [figure.id for figure in curves.figures("table")] == [case.id for case in known.cases()]
    for one, case in zip(curves.figures("table"), known.cases(), strict=True):
        assert one.horizon == case.tau
        assert (one.truth.time == case.truth.time).all()
    assert {part: len(curves.figures(part)) for part in curves.PARTS} == {
        "table": 102,
        "table and total": 102,
        "total": 102,
        "marks": 24,
        "percentages": 26,
        "percentages and total": 26,
    }


@pytest.mark.parametrize(
    ("part", "asked"),
    [
        ("table", {"at_risk_time"}),
        ("table and total", {"at_risk_time", "n_events"}),
        ("total", {"n_events"}),
        ("marks", {"at_risk_time", "censor_time"}),
        ("percentages", set()),
        ("percentages and total", {"n_events", "median_months"}),
    ],
)
def test_a_part_gives_what_it_says(curves, monkeypatch, part, asked):
    got = {}
    for name in ("reconstruct_ipd", "reconstruct_survival"):
        monkeypatch.setattr(curves, name, lambda *_, **given: got.update(given) or StubCurve())
    curves.reconstruct(curves.figures(part)[0], part)
    assert set(got) & {"at_risk_time", "n_events", "censor_time", "median_months"} == asked
    assert got["n_total"] == 23


class StubCurve:
    def pseudo_ipd(self, **_):
        return self


#: Median and 90th percentile over the figures, as computed when the peers were measured.
PRINTED = {
    "survHE": ("iae", 0.005141, 0.011447),
    "IPDfromKM": ("sup", 0.027099, 0.056985),
    "kmdata": ("events", 0.014389, 0.060606),
    "reconstructKM, points cleaned first": ("rmst", 0.003542, 0.018700),
    "CEN_KM, a mark made up": ("iae", 0.004694, 0.010485),
}


def test_peers_reached_what_was_printed_of_them(curves, page):
    found = {results.name: results for results in curves.measured("table")}
    for name, (column, middle, high) in PRINTED.items():
        errors = [getattr(row, column) for row in found[name].answered.values()]
        assert page.spread(errors) == pytest.approx((middle, high), abs=1e-6)
    pairs = found["survHE"].pairs.values()
    assert page.spread([pair.log_hr for pair in pairs]) == pytest.approx((0.081085, 0.311887), abs=1e-6)
    assert page.spread([pair.se_ratio for pair in pairs]) == pytest.approx((1.00104, 1.01151), abs=1e-5)
    assert len(found["CEN_KM"].answered) == 0
    assert len(found["survHE"].answered) == 101


@pytest.mark.parametrize(
    ("part", "n"),
    [
        ("table", 9),
        ("table and total", 4),
        ("total", 3),
        ("marks", 4),
        ("percentages", 4),
        ("percentages and total", 4),
    ],
)
def test_every_peer_has_every_figure(curves, part, n):
    found = curves.measured(part)
    assert len({results.name for results in found}) == len(found) == n
    ids = {figure.id for figure in curves.figures(part)}
    pairs = {figure.pair for figure in curves.figures(part)}
    for results in found:
        assert set(results.figures) == ids
        assert set(results.pairs) <= pairs


# --- R -----------------------------------------------------------------------------------------------------


def test_without_r_nothing_is_measured_live(curves, monkeypatch):
    monkeypatch.setattr(curves.shutil, "which", lambda _: None)
    missing = {}
    assert curves.live("table", missing) is None
    assert missing == {"IPDfromKM in this run": "R is not installed"}
    assert curves.live("percentages", {}) is None


@pytest.fixture
def r(curves, monkeypatch, tmp_path):
    """Something in the place of Rscript, which is handed the script and the folder."""

    def install(body):
        program = tmp_path / "Rscript"
        program.write_text(
            f"#!{sys.executable}\nimport sys, pathlib\nfolder = pathlib.Path(sys.argv[3])\n{body}"
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(curves.shutil, "which", lambda _: str(program))

    return install


def test_a_package_that_r_does_not_have_is_left_out(curves, r):
    r("")
    missing = {}
    assert curves.live("table", missing) is None
    assert missing == {"IPDfromKM in this run": "not installed in R"}


def test_r_that_stops_is_left_out_with_its_word(curves, r):
    r("(folder / 'version.txt').write_text('1')\nsys.exit('no memory')")
    missing = {}
    assert curves.live("total", missing) is None
    assert list(missing.values()) == ["no memory"]


def test_what_r_made_is_judged_like_ours(curves, r):
    r("""
import csv
(folder / "version.txt").write_text("0.1.10")
for i, row in enumerate(csv.DictReader((folder / "figures.csv").open())):
    assert row["table"] == "1" and row["n_events"] == "NA"
    risk = list(csv.DictReader((folder / f"{row['id']}.risk.csv").open()))
    points = list(csv.DictReader((folder / f"{row['id']}.points.csv").open()))
    assert float(risk[0]["n_at_risk"]) <= int(row["n_total"]) and float(points[0]["survival"]) > 0
    if i == 0:
        (folder / f"{row['id']}.stopped.txt").write_text("no points")
        continue
    (folder / f"{row['id']}.made.csv").write_text("time,event\\n1,1\\n2,0\\n")
    (folder / f"{row['id']}.seconds.txt").write_text("0.25")
""")
    found = curves.live("table", {})
    assert found.name == "IPDfromKM 0.1.10, in this run"
    first, *others = curves.figures("table")
    assert found.figures[first.id] == "no points"
    made = curves.Patients(np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    assert all(found.figures[one.id] == curves.errors(one, made, 0.25) for one in others)
    assert set(found.answered) == {one.id for one in others}


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_the_script_runs_in_r(curves):
    missing = {}
    found = curves.live("total", missing)
    assert missing == {"IPDfromKM in this run": "not installed in R"} or len(found.answered) > 90


# --- the page ----------------------------------------------------------------------------------------------


def misses(curves, scale, at_risk=0.0, sign=np.nan):
    return curves.Misses(10 * scale, 0.01 * scale, 0.02 * scale, 0.03 * scale, 0.04 * scale, at_risk, sign)


@pytest.fixture
def results(curves):
    ours = curves.Results(
        "netsynth",
        {"a": misses(curves, 1, sign=1.0), "b": misses(curves, 3, sign=-1.0)},
        {"p": curves.PairMisses(0.1, 1.01)},
    )
    peer = curves.Results(
        "peer",
        {"a": misses(curves, 4, at_risk=2.0), "b": "no points"},
        {"p": curves.PairMisses(0.4, 1.1), "q": curves.PairMisses(9.0, 2.0)},
    )
    return [ours, peer, curves.Results("third", {"a": "no", "b": "no"})]


def test_rows_of_the_page(page, results):
    ours, peer, third = page.tables({"table": results})["table"]
    assert ours == (
        *("netsynth", "0 of 2", "2.0 / 3.0", "4.0 / 6.0", "6.0 / 9.0", "-3.0", "8.0 / 12"),
        *("100%", "0.10 / 0.10", "1.010 / 1.010", "20"),
    )
    # of the figures and pairs that both did, the peer is four times as far
    assert peer == (
        *("peer", "1 of 2", "4.0 / 4.0 (4.0×)", "8.0 / 8.0 (4.0×)", "12 / 12 (4.0×)", "", "16 / 16"),
        *("0%", "4.7 / 9.0 (4.0×)", "1.550 / 2.000", "40"),
    )
    assert third == ("third", "2 of 2", *[""] * 9)


def test_numbers_at_risk_count_only_where_they_were_given(page, results):
    assert {row[7] for row in page.tables({"total": results})["total"]} == {""}


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0"), (0.2649, "0.26"), (0.00314, "0.0031"), (12.4, "12"), (3.0, "3.0")]
)
def test_short_numbers(page, value, shown):
    assert page.short(value) == shown


def test_the_section(curves, page, results):
    text = page.curve_section(
        {"table": results},
        [curves.Timing("An arm", 0.0123)],
        {"A": "1.2", "B": None},
        {"Python": "3.11"},
        {"IPDfromKM in this run": "gone"},
    )
    assert text.startswith(f"{page.HEADING}\n\n")
    assert "### Points and numbers at risk\n\n2 figures, 1 pairs of arms.\n\n| Program | Stopped |" in text
    assert "| netsynth | 0 of 2 | 2.0 / 3.0 |" in text
    assert "The versions measured: A 1.2, B (version not written down)." in text
    assert "| An arm | 12.3 ms |" in text
    assert "\nNot measured: IPDfromKM in this run: gone.\n\nMeasured" in text
    assert "Measured with Python 3.11." in text


def test_ours_and_the_timings_run(curves, monkeypatch):
    small = curves.figures("marks")[:2]
    monkeypatch.setattr(curves, "figures", lambda _: small)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = curves.ours("marks", turns=1)
        timings = list(curves.timings(million=200, turns=1))
    assert set(found.answered) == {figure.id for figure in small}
    assert all(row.ms > 0 and row.at_risk == 0 for row in found.answered.values())
    assert len(timings) == 5
    assert all(timing.seconds > 0 for timing in timings)
