import numpy as np
import pytest
from figures import at_risk, clicks, kaplan_meier, lower_corners, patients, simulated
from hypothesis import given, settings
from hypothesis import strategies as st

from netsynth.kernels.cell import Table
from netsynth.kernels.draws import draw_rows
from netsynth.kernels.ledger import expected_events, rows
from netsynth.kernels.trace import line, steps


def figure(data, rng, k=5, *, exact=False, total=False):
    """A trace, the times of its points, and a table of k numbers at risk."""
    end = float(data.time[-1])
    time = np.linspace(0, end, k, endpoint=False)
    known = int(data.event.sum()) if total else None
    table = Table(time, np.array(at_risk(data.time, time)), end, known)
    if exact:
        corners = lower_corners(data)
        return steps(*corners, end), corners[0], table
    points = clicks(rng, data)
    return line(points[0], np.clip(points[1], 0, 1), end), points[0], table


@settings(max_examples=25)
@given(simulated(200), st.integers(1, 6), st.booleans(), st.booleans())
def test_every_draw_keeps_the_table_and_the_total(made, k, exact, total):
    data, rng = made
    trace, points, table = figure(data, rng, k, exact=exact, total=total)
    for _ in range(2):
        drawn = draw_rows(trace, points, table, rng)
        assert drawn.time.size == data.time.size
        assert np.isfinite(drawn.time).all()
        assert ((drawn.time >= 0) & (drawn.time <= table.end)).all()
        assert set(drawn.event.tolist()) <= {0, 1}
        assert at_risk(drawn.time, table.time) == table.n_at_risk.tolist()
        if total:
            assert drawn.event.sum() == table.n_events


def test_a_seed_gives_the_same_draw_and_another_a_different_one():
    rng = np.random.default_rng(5)
    arguments = figure(patients(rng, 150), rng)
    first, again, other = (draw_rows(*arguments, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (first.time == again.time).all()
    assert (first.event == again.event).all()
    assert (first.time != other.time).any()


@pytest.mark.parametrize("total", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_draws_lie_around_the_estimate(seed, total):
    rng = np.random.default_rng(seed)
    trace, points, table = figure(patients(rng, 300), rng, total=total)
    horizon = float(table.time[-1])
    made = rows(trace, table, expected_events(trace, table))
    drawn = [draw_rows(trace, points, table, rng) for _ in range(30)]
    means = np.array([kaplan_meier(draw.time, draw.event).mean(horizon) for draw in drawn])
    events = np.array([draw.event.sum() for draw in drawn])
    assert abs(means.mean() - kaplan_meier(made.time, made.event).mean(horizon)) < 2 * means.std()
    assert abs(events.mean() - made.event.sum()) <= 2 * events.std()
    # what the figure leaves open is little beside what 300 patients leave open
    assert 0 < means.std() < 0.2 * data_error(made, horizon)
    assert (events.std() > 0) != total


def data_error(data, horizon):
    """Standard error of the restricted mean, by 200 resamples of the patients."""
    rng = np.random.default_rng(0)
    n = data.time.size
    picks = (rng.integers(0, n, n) for _ in range(200))
    return np.std([kaplan_meier(data.time[pick], data.event[pick]).mean(horizon) for pick in picks])


def test_more_noise_is_more_spread():
    rng = np.random.default_rng(11)
    trace, points, table = figure(patients(rng, 150), rng)
    horizon = float(table.time[-1])
    spread = []
    for noise in (0.001, 0.01, 0.05):
        noisy = trace._replace(noise=noise)
        draws = [draw_rows(noisy, points, table, rng) for _ in range(20)]
        spread.append(np.std([kaplan_meier(*draw[:2]).mean(horizon) for draw in draws]))
    assert spread[0] < spread[1] < spread[2]


def test_without_table_or_total_the_events_are_open():
    # nobody censored is one end of what is possible, nearly all survivors lost the other
    rng = np.random.default_rng(2)
    data = patients(rng, 200)
    trace, points, table = figure(data, rng, 1)
    events = [draw_rows(trace, points, table, rng).event.sum() for _ in range(30)]
    most = 200 * (1 - trace.survival[-1])
    assert max(events) <= most + 4  # what a second reading adds to the last level
    assert min(events) < 0.75 * most


def test_an_exact_line_is_not_read_again():
    rng = np.random.default_rng(4)
    data = patients(rng, 200)
    trace, points, table = figure(data, rng)
    trace = trace._replace(noise=0.05)
    horizon = float(table.time[-1])

    def spread(smooth):
        draws = (draw_rows(trace, points, table, rng, smooth=smooth) for _ in range(20))
        return np.std([kaplan_meier(*draw[:2]).mean(horizon) for draw in draws])

    assert spread(True) < 0.3 * spread(False)


def test_rounded_levels_of_exact_steps_are_drawn_within_their_rounding():
    rng = np.random.default_rng(6)
    data = patients(rng, 50)
    time, level = lower_corners(data)
    end = float(data.time[-1])
    table = Table(np.zeros(1), np.array([50]), end)
    trace = steps(time, np.round(level, 3), end)
    for _ in range(20):
        drawn = draw_rows(trace, time, table, rng)
        again = kaplan_meier(drawn.time, drawn.event)
        assert set(again.time.tolist()) <= set(time.tolist())
        # half a unit of the last decimal each, and the patients are whole
        assert np.abs(again.at(time) - level).max() < 0.02
