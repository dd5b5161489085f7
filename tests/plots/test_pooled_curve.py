"""What a plot of a pooled curve draws is what the result says, and it can be read."""

import json
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from patients import frame, weibull_studies

from netsynth.errors import InvalidInputError
from netsynth.over_time import pool_survival
from netsynth.plots.pooled_curve import FEW_POINTS, MANY, pooled_curve_plot

SUMMARY = json.loads(
    (Path(__file__).parents[1] / "references" / "summary_curves.json").read_text(encoding="utf-8")
)
pytestmark = pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")
LONG = "The international collaborative group on liver metastases of, $1\n$ 60"


def hepatology(name="hepatology-all", **more):
    return pool_survival(SUMMARY["data"][name], method="summary", **more)


def made(k=12, *, n=200, stop=120, seed=1, **more):
    """Studies with exponential survival, each at four of six times."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(k):
        rate = np.exp(0.4 * rng.standard_normal()) / (0.6 * stop)
        times = sorted(rng.choice(np.array([1, 2, 3, 5, 7, 10]) * stop / 10, 4, replace=False))
        shares = [float(np.exp(-rate * t)) for t in times]
        rows += [(f"Study {i}", t, s, int(n * s), n) for t, s in zip(times, shares, strict=True)]
    keys = ("study", "time_months", "survival", "n_at_risk", "n_total")
    data = dict(zip(keys, map(list, zip(*rows, strict=True)), strict=True))
    return pool_survival(data, **{"shape": "linear", **more})


def data_lines(ax):
    return [line for line in ax.lines if line.get_transform() == ax.transData]


def pooled_line(ax):
    return max(data_lines(ax), key=lambda line: line.get_linewidth())


def texts(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def test_the_thick_line_is_the_pooled_curve():
    pooled = hepatology()
    line = pooled_line(pooled_curve_plot(pooled))
    x, y = line.get_data()
    assert (x[0], y[0], x[-1]) == (0, 100, 48)
    assert y == pytest.approx(100 * pooled.survival(x))


def test_thin_lines_are_the_studies():
    pooled = hepatology()
    ax = pooled_curve_plot(pooled)
    thick = pooled_line(ax)
    thin = [
        line
        for line in data_lines(ax)
        if line is not thick and line.get_linestyle() == "-" and line.get_marker() != "_"
    ]
    assert len(thin) == 27
    for line, study in zip(thin, pooled.study_curves, strict=True):
        assert line.get_xdata() == pytest.approx(np.append(0.0, study.time_months))
        assert line.get_ydata() == pytest.approx(100 * np.append(1.0, study.survival))
        assert line.get_linewidth() < 0.5 * thick.get_linewidth()


def test_both_bands():
    pooled = hepatology()
    ax = pooled_curve_plot(pooled, level=0.9)
    bands = [c.get_paths()[0].vertices for c in ax.collections if isinstance(c, PolyCollection)]
    assert len(bands) == 2
    for band, limits in zip(bands, (pooled.prediction_band, pooled.confidence_band), strict=True):
        lower, upper = limits(0.9, [12.0])
        at = band[np.isclose(band[:, 0], 12.0), 1]
        assert [at.min(), at.max()] == pytest.approx([100 * lower[0], 100 * upper[0]])
    assert {"90% confidence", "90% prediction"} <= set(texts(ax))
    common = pooled_curve_plot(hepatology(effects="common"))
    assert not any("prediction" in text for text in texts(common))
    assert len([c for c in common.collections if isinstance(c, PolyCollection)]) == 1


def test_numbers_underneath_are_those_at_the_ticks():
    pooled = hepatology()
    ax = pooled_curve_plot(pooled)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "1", "2", "3", "4"]
    found = texts(ax)
    assert "Informing the curve" in found
    at = found.index("Studies")
    assert found[at + 1 : at + 6] == ["27", "25", "14", "6", "2"]
    assert found[at + 6] == "Patients at"
    assert found[at + 7 : at + 13] == ["1806", "546", "142", "29", "9", "start of interval"]
    # the same by counting rows of the data
    data = SUMMARY["data"]["hepatology-all"]
    assert sum(t == 24 for t in data["time_months"]) == 14
    patients = sum(n for t, n in zip(data["time_months"], data["n_at_start"], strict=True) if t == 24)
    assert round(patients) == 142


def test_the_median_and_its_key():
    pooled = hepatology()
    ax = pooled_curve_plot(pooled)
    corner = [[0, 50], [pooled.median, 50], [pooled.median, 0]]
    assert any(line.get_xydata().tolist() == corner for line in data_lines(ax))
    assert "median 0.45 years (5.4 months)" in texts(ax)  # the axis counts years
    short = hepatology("hepatology-to12")
    assert f"median {short.median:.1f} months" in texts(pooled_curve_plot(short))
    high = pooled_curve_plot(hepatology("made-hom"))
    assert not any(text.startswith("median") for text in texts(high))


def test_bars_are_the_limits_of_the_average():
    pooled = made()
    ax = pooled_curve_plot(pooled)
    bars = [line.get_xydata() for line in data_lines(ax) if line.get_marker() == "_"]
    at = pooled.reported_months
    assert [bar[0][0] for bar in bars] == at.tolist()
    assert all(bar[0][0] == bar[1][0] for bar in bars)
    lower, upper = pooled.average_bounds(at)
    assert [bar[0][1] for bar in bars] == pytest.approx(100 * lower)
    assert [bar[1][1] for bar in bars] == pytest.approx(100 * upper)
    assert "limits for all patients" in texts(ax)
    drawn = {
        "study": ["A"] * 4 + ["B"] * 4,
        "time_months": [2, 5, 9, 14, 3, 6, 7, 15],
        "event": [1, 1, 1, 0] * 2,
    }
    ax = pooled_curve_plot(pool_survival(drawn, method="stratified"))
    assert not any(line.get_marker() == "_" for line in data_lines(ax))
    assert not any(text.startswith("limits for") for text in texts(ax))


def of_patients(method, **more):
    return pool_survival(frame(weibull_studies(41, k=6)), method=method, **more)


def test_patients_are_those_at_risk_at_the_ticks():
    studies = weibull_studies(41, k=6)
    found = texts(pooled_curve_plot(of_patients("cox", times_months=[12])))
    counts = [str(sum((time >= t).sum() for time, _ in studies.values())) for t in (0, 12, 24)]
    assert found[found.index("At risk") + 1 :][:3] == counts
    assert not any("start of interval" in text for text in found)


def test_a_tail_is_dashed_from_the_last_patient_on():
    end = max(time.max() for time, _ in weibull_studies(41, k=6).values())
    ax = pooled_curve_plot(of_patients("parametric", times_months=[12, 120]))
    thick = [line for line in data_lines(ax) if line.get_linewidth() == 2.0]
    solid, dashed = thick
    assert (solid.get_linestyle(), dashed.get_linestyle()) == ("-", "--")
    assert solid.get_xdata()[-1] == dashed.get_xdata()[0] == pytest.approx(end)
    assert dashed.get_xdata()[-1] == 120
    assert "nobody followed" in texts(ax)
    whole = pooled_curve_plot(of_patients("parametric", times_months=[12]))
    assert len([line for line in data_lines(whole) if line.get_linewidth() == 2.0]) == 1
    assert "nobody followed" not in texts(whole)


def test_few_percentages_have_dots():
    few, many = pooled_curve_plot(made(5)), pooled_curve_plot(hepatology())
    assert sum(line.get_marker() == "o" for line in data_lines(few)) == 5
    assert not any(line.get_marker() == "o" for line in data_lines(many))
    assert 20 < FEW_POINTS < 317


def test_many_studies_have_finer_lines():
    few, many = (
        min(line.get_linewidth() for line in data_lines(pooled_curve_plot(made(k)))) for k in (MANY, MANY + 1)
    )
    assert many < few


def test_labels():
    ax = pooled_curve_plot(hepatology())
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Years", "Overall survival, %")
    assert pooled_curve_plot(hepatology("hepatology-to12")).get_xlabel() == "Months"
    assert pooled_curve_plot(hepatology(), label="Remission").get_ylabel() == "Remission, %"


def test_a_result_plots_itself():
    _, ax = plt.subplots(figsize=(8, 8))
    assert hepatology().plot(ax=ax) is ax


def test_a_level_is_a_fraction():
    with pytest.raises(InvalidInputError, match="level must be a fraction"):
        pooled_curve_plot(hepatology(), level=95)


FIGURES = {
    "many_times": hepatology,
    "short": lambda: hepatology("hepatology-to12"),
    "one_left": lambda: hepatology("hepatology-Asia"),
    "common": lambda: hepatology(effects="common"),
    "sparse": lambda: made(4),
    "large": lambda: made(150, n=90_000),
    "weeks": lambda: made(8, stop=3.0),
    "decades": lambda: made(8, stop=480.0),
    "one": lambda: made(1),
    "patients": lambda: of_patients("curves"),
    "tail": lambda: of_patients("parametric", times_months=[12, 120]),
}
every_figure = pytest.mark.parametrize("figure", FIGURES)


@every_figure
def test_nothing_overlaps(figure, readable):
    readable(pooled_curve_plot(FIGURES[figure](), label=LONG if figure == "large" else ""))


@every_figure
def test_a_figure_of_the_size_asked_for_is_readable(figure, readable):
    pooled = FIGURES[figure]()
    small = plt.figure(figsize=(1, 0.8)).add_axes((0, 0, 1, 1))
    with pytest.raises(InvalidInputError) as error:
        pooled_curve_plot(pooled, ax=small)
    message = str(error.value)
    for _ in range(3):  # less width may need more height, which only the next error can say
        width, height = map(float, re.search(r"at least (\d+\.\d) by (\d+\.\d)\.", message).groups())
        ax = plt.figure(figsize=(width, height), dpi=150).add_axes((0, 0, 1, 1))
        try:
            pooled_curve_plot(pooled, ax=ax)
            break
        except InvalidInputError as again:
            message = str(again)
    readable(ax)
