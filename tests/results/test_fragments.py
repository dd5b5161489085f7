import json
import re

import numpy as np
import pytest

from netsynth.errors import InvalidInputError
from netsynth.fragments import fit_fragments
from netsynth.results.fragments import CountDistribution, Draws


@pytest.fixture(scope="module")
def found():
    return fit_fragments(
        [36, 60, 120], [0.83, 0.71, 0.42], n_total=100, n_at_risk=[75, 52, 18], draws=300, label="Example"
    )


def test_distributions_of_counts():
    counts = CountDistribution(np.array([3, 4, 7]), np.array([0.25, 0.5, 0.25]))
    assert (counts.mean, counts.mode, counts.of(4), counts.of(5)) == (4.5, 4, 0.5, 0.0)
    assert counts.interval(0.5) == (3, 4)
    assert counts.interval(0.95) == (3, 7)
    assert str(counts) == "4.5 (3–7)"
    assert str(CountDistribution(np.array([9]), np.array([1.0]))) == "9"


def test_draws_may_be_infinite():
    draws = Draws(np.array([10.0, 12.0, 14.0, np.inf]))
    assert draws.quantile(0.5) == 12.0
    assert np.isinf(draws.mean)
    assert np.isnan(draws.sd)
    assert [float(end) for end in draws.interval(0.5)] == [10.0, 14.0]
    with pytest.raises(InvalidInputError, match=re.escape("p must be a share, from 0 to 1; got 2.")):
        draws.quantile(2)


def test_counts_add_up(found):
    for start, stop in ((0, 36), (36, 60), (60, 120)):
        events, lost = found.n_events(start, stop), found.n_censored(start, np.nextafter(stop, 0))
        left = found.n_at_risk(start + 1e-9 * (start > 0)).mean - found.n_at_risk(stop).mean
        assert events.mean + lost.mean == pytest.approx(left)
    assert found.n_events().mean + found.n_censored().mean == pytest.approx(100)


def test_questions_about_the_study(found):
    survival = found.survival([36.0, 60.0, 90.0])
    assert survival.value.shape == (300, 3)
    assert survival.mean == pytest.approx([0.83, 0.71, 0.56], abs=0.02)
    assert found.survival(36.0).mean == pytest.approx(survival.mean[0])
    lower, upper = found.survival(90.0).interval()
    assert 0.42 < lower < upper < 0.71
    assert 60 < found.median.quantile(0.05) <= found.median.quantile(0.95) <= 120
    # sharp bounds of the mean up to 120 months: sums of rectangles
    low, high = 36 * 0.825 + 24 * 0.705 + 60 * 0.415, 36 + 24 * 0.835 + 60 * 0.715
    assert low < found.rmst(120).value.min() <= found.rmst(120).value.max() < high
    assert np.isnan(found.survival(130.0).value).all()


def test_population_and_study_differ(found):
    study, population = found.survival(60.0).interval(), found.ensemble(60).survival([60.0])
    width = population.natural_interval().upper - population.natural_interval().lower
    assert width.item() > 8 * (study.upper - study.lower)
    assert population.reporting_loss.item() < 0.05
    between = found.ensemble(60).survival([90.0])
    assert 0.1 < between.reporting_loss.item() < 0.7


def test_combine_takes_any_analysis(found):
    def log_rate(data):
        return np.log(data.event.sum() / data.time.sum()), 1 / data.event.sum()

    rate = found.combine(log_rate, n_draws=40, measure="log_rate")
    assert rate.n_draws == 40
    draws = found.ensemble(40).draws
    assert rate.estimate == pytest.approx(np.mean([log_rate(data)[0] for data in draws]))
    assert 0 < rate.reporting_loss < 0.2


def test_more_data_sets_than_there_are(found):
    message = "Example: there are 300 data sets; got n_draws = 301. Fit with more draws."
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        found.ensemble(301)


def test_frames_texts_and_json(found):
    frame = found.summary_frame()
    assert frame["stop_months"].tolist() == [36, 60, 120]
    assert frame["n_at_risk"].tolist() == [75, 52, 18]
    assert (frame["n_events"] + frame["n_censored"]).tolist() == pytest.approx([25, 23, 34])
    assert ((frame.n_events_lower <= frame.n_events) & (frame.n_events <= frame.n_events_upper)).all()
    plain = found.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["fragments"][0] == "100 patients"
    text = str(found).splitlines()
    assert text[0] == "Example: 100 patients, 7 printed fragments"
    assert text[1].split() == ["months", "events", "censored", "at", "risk", "survival"]
    assert text[2].split()[0] == "0–36"
    assert "events up to 120 months" in str(found)
    assert "<td>36–60</td>" in found._repr_html_()


def test_arrays_are_read_only(found):
    for array in (found.time, found.event, found.time_months, found.n_events().value):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0
