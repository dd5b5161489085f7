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


def off_axes(rng, points, end, *, noise=0.002, time_noise=0.003):
    """The points when both ends of both axes are off, by the noise of a click divided by the root of 2."""
    time, level = points
    early, late = rng.normal(0.0, time_noise * end / np.sqrt(2), 2)
    low, high = rng.normal(0.0, noise / np.sqrt(2), 2)
    return np.clip(time + early + (late - early) * time / end, 0.0, end), level * (1 + high - low) + low


def test_the_mean_of_the_patients_is_as_far_from_the_draws_as_these_are_from_each_other():
    rng = np.random.default_rng(8)
    distance = []
    for _ in range(24):
        data = patients(rng, 150)
        end, horizon = float(data.time[-1]), 0.6 * float(data.time[-1])
        time = np.linspace(0, end, 5, endpoint=False)
        known = Table(time, np.array(at_risk(data.time, time)), end)
        points = off_axes(rng, clicks(rng, data), end)
        trace = line(points[0], np.clip(points[1], 0, 1), end)
        drawn = [draw_rows(trace, points[0], known, rng) for _ in range(10)]
        means = [kaplan_meier(draw.time, draw.event).mean(horizon) for draw in drawn]
        distance.append(abs(kaplan_meier(*data).mean(horizon) - np.mean(means)) / np.std(means, ddof=1))
    # of one draw more the median is 0.67 and one of twenty is beyond 2; with 10 draws a little more
    assert 0.4 < np.median(distance) < 0.95
    assert np.mean(np.array(distance) > 2) <= 0.17


def test_exact_steps_leave_the_places_of_censorings_open_and_nothing_else():
    rng = np.random.default_rng(3)
    data = patients(rng, 60)
    time, level = lower_corners(data)
    end = float(data.time[-1])
    at = np.linspace(0, end, 4, endpoint=False)
    known = Table(at, np.array(at_risk(data.time, at)), end, int(data.event.sum()))
    drawn = [draw_rows(steps(time, level, end), time, known, rng) for _ in range(20)]
    early = [np.minimum(draw.time, at[-1]).sum() for draw in drawn]
    # uniform in each gap: the sum of their times varies at least by what one in each of a few gaps does
    assert np.std(early) > 0.002 * np.mean(early)
    assert abs(np.minimum(data.time, at[-1]).sum() - np.mean(early)) < 3 * np.std(early)
    for draw in drawn:
        assert (
            np.abs(kaplan_meier(draw.time, draw.event).at(time[time < at[-1]]) - level[time < at[-1]]).max()
            < 1e-6
        )


def test_after_the_last_number_at_risk_follow_up_may_go_on_or_end():
    rng = np.random.default_rng(9)
    data = patients(rng, 300, "cured", "staggered")
    end = 0.6 * float(data.time[-1])
    data = data._replace(time=np.minimum(data.time, end), event=np.where(data.time < end, data.event, 0))
    trace, points, known = figure(data, rng, 3)
    left = known.n_at_risk[-1]
    drawn = (draw_rows(trace, points, known, rng) for _ in range(60))
    followed = [((draw.time == end) & (draw.event == 0)).sum() / left for draw in drawn]
    nobody_lost = max(followed)
    assert (
        0.15 < np.mean(np.array(followed) > nobody_lost - 0.1) < 0.55
    )  # a third, and those of little censoring
    assert min(followed) < 0.5 * nobody_lost


def test_a_total_without_a_table_leaves_open_how_late_the_censoring_of_many_was():
    rng = np.random.default_rng(10)
    life = np.where(rng.random(400) < 0.5, 999.0, rng.exponential(15.0, 400))
    until = np.minimum(rng.uniform(5.0, 50.0, 400), rng.exponential(40.0, 400))
    time, event = np.minimum(life, until), (life <= until).astype(int)
    order = np.argsort(time)
    data = patients(rng, 400)._replace(time=time[order], event=event[order])
    trace, points, known = figure(data, rng, 1, total=True)
    stays = [draw_rows(trace, points, known, rng).time.sum() for _ in range(24)]
    # follow-up that ends evenly from the start on, as here, is too late for the total; a hazard goes with it
    assert np.std(stays) > 0.015 * np.mean(stays)
