import numpy as np
import pytest
from figures import at_risk, kaplan_meier, lower_corners, patients
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from netsynth.kernels.cell import Cell, Censoring, Table
from netsynth.kernels.trace import Trace, steps


def straight(*corners, noise=0.5):
    """A line between corners, noisy enough that no heights are read from it."""
    time, survival = np.array(corners, dtype=float).T
    return Trace(time, survival, noise, 0.0, False)


@st.composite
def falling(draw, end=10.0):
    """A line that never rises, to the end and a little beyond."""
    at = sorted(draw(st.lists(st.floats(0.1, end - 0.1), min_size=1, max_size=5, unique=True)))
    level = sorted(
        draw(st.lists(st.floats(0.02, 1.0), min_size=len(at) + 1, max_size=len(at) + 1)), reverse=True
    )
    return straight((0, 1), *zip(at, level[:-1], strict=True), (end, level[-1]), (end + 5, level[-1]))


# --- the table -------------------------------------------------------------------------------------------


def test_the_table_reads_as_a_ledger():
    table = Table(np.array([0.0, 6, 12]), np.array([20, 12, 5]), 18.0, None, np.array([0.0, 6, 11, 12, 18]))
    assert table.leaving.tolist() == [8, 7, 5]
    assert table.stops.tolist() == [6, 12, 18]
    assert [table.marks(i).tolist() for i in range(3)] == [[0], [6, 11], [12, 18]]  # the last one is closed
    assert Table(table.time, table.n_at_risk, 18.0).marks(0) is None


# --- the identity ----------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(20, 80), st.sampled_from(["exponential", "early", "tied"]))
def test_marks_of_one_patient_each_tell_the_number_of_events_exactly(seed, n, life):
    data = patients(np.random.default_rng(seed), n, life)
    at, event = data
    curve, end = kaplan_meier(*data), float(at[-1])
    trace = steps(*lower_corners(data), end)
    # an interval with 8 censorings at 8 times, over which the kernel takes an even mean
    censored = at[event == 0]
    assume(censored.size > 9)
    start, stop = float(censored[0]), float(censored[8])
    table = Table(np.array([0.0, start, stop]), np.array(at_risk(at, [0, start, stop])), end, None, censored)
    entered = float(curve.at(start, just_before=True))
    assume(curve.at(stop, just_before=True) > 0)
    cell = Cell.of(trace, table, 1, entered)
    inside = (at >= start) & (at < stop)
    # r S'/S - r' is the sum of S'/S(u) over those censored, for the Kaplan-Meier estimate of any patients
    last = float(curve.at(stop, just_before=True))
    by_hand = sum(last / float(curve.at(u)) for u in at[inside & (event == 0)])
    assert cell.n * last / entered - cell.left == pytest.approx(by_hand)
    assert cell.events(0.0, 0.0) == pytest.approx(event[inside].sum(), abs=1e-6 * n)


# --- the open interval -----------------------------------------------------------------------------------


@settings(max_examples=50)
@given(falling(), st.integers(1, 500), st.floats(0, 0.3))
def test_open_events_are_the_integral_over_the_line(trace, n, hazard):
    cell = Cell.of(trace, Table(np.zeros(1), np.array([n]), 15.0), 0, 1.0)
    total = 0.0
    widest = 0.0
    for t0, t1, s0, s1 in zip(
        trace.time[:-1], trace.time[1:], trace.survival[:-1], trace.survival[1:], strict=True
    ):
        if s0 > s1:
            slope = (s0 - s1) / (t1 - t0)
            total += n * slope * quad(lambda u: np.exp(-hazard * u), t0, t1)[0]
            widest = max(widest, hazard * (t1 - t0))
    found, time, up_to = cell.open_events(Censoring(hazard))
    # each piece is taken at its middle, which is off by (h w)^2 / 24 of it
    assert found == pytest.approx(total, rel=1.2 * widest**2 / 24 + 1e-9, abs=1e-9)
    assert time[0] == 0.0
    assert (np.diff(up_to) >= 0).all()
    assert up_to[-1] == found


def test_follow_up_ends_at_a_constant_hazard_or_evenly_in_the_last_share():
    elapsed = np.array([0.0, 2.0, 5.0, 7.5, 10.0])
    assert Censoring().followed(elapsed, 10.0).tolist() == [1, 1, 1, 1, 1]
    assert Censoring(0.1).followed(elapsed, 10.0) == pytest.approx(np.exp(-elapsed / 10))
    kept = Censoring(share=0.5).followed(elapsed, 10.0)
    assert kept[:3].tolist() == [1, 1, 1]
    assert kept[3] == pytest.approx((kept[2] + kept[4]) / 2)
    assert 0 < kept[4] < 1  # somebody is followed to the end, else the curve would stop before


@settings(max_examples=50)
@given(falling(), st.integers(1, 500), st.floats(0.01, 0.99), st.booleans())
def test_law_for_gives_so_many_events(trace, n, share, late):
    cell = Cell.of(trace, Table(np.zeros(1), np.array([n]), 15.0), 0, 1.0)
    most = cell.open_events(Censoring())[0]
    assume(most > 1e-3)
    law = cell.law_for(share * most, late=late)
    assume(law.hazard < 50)  # else all are censored before the line begins to fall
    assert min(law.hazard, law.share) == 0.0
    assert late or law.share == 0.0
    assert cell.open_events(law)[0] == pytest.approx(share * most, rel=1e-3)
    assert cell.law_for(1.1 * most, late=late) == Censoring()


# --- places ----------------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(st.integers(0, 60), st.integers(-16, 16).map(lambda x: x / 4), st.booleans())
def test_censorings_spread_over_their_interval(c, tilt, whole):
    trace = straight((0, 1), (30, 0.4))._replace(in_whole_units=whole)
    table = Table(np.array([0.0, 7.0, 19.0]), np.array([99, 80, 10]), 30.0)
    found = Cell.of(trace, table, 1, 0.9).spread(c, tilt)
    assert found.size == c
    assert ((found >= 7.0) & (found < 19.0)).all()
    assert (np.diff(found) >= 0).all()
    if whole:
        assert (found == np.round(found)).all()
    if c > 3 and abs(tilt) > 0.5:
        assert (found.mean() > 13.0) == (tilt > 0)
    if c and tilt == 0 and not whole:
        assert found == pytest.approx(7 + 12 * (np.arange(c) + 0.5) / c)


@settings(max_examples=50)
@given(
    st.lists(st.floats(7, 18.99), min_size=1, max_size=9),
    st.integers(0, 30),
    st.sampled_from([-4.0, 0.0, 4.0]),
)
def test_each_mark_has_a_patient_before_any_has_two(marks, c, tilt):
    marks = np.sort(np.array(marks))
    table = Table(np.array([0.0, 7, 19]), np.array([99, 80, 10]), 30.0, None, marks)
    found = Cell.of(straight((0, 1), (30, 0.4)), table, 1, 0.9).spread(c, tilt)
    assert found.size == c
    assert set(found.tolist()) <= set(marks.tolist())
    if c >= marks.size:
        assert set(found.tolist()) == set(marks.tolist())


@settings(max_examples=50)
@given(falling(), st.integers(1, 200), st.data())
def test_events_and_censorings_fill_an_interval(trace, n, data):
    left = data.draw(st.integers(0, n))
    d = data.draw(st.integers(0, n - left))
    tilt = data.draw(st.none() | st.integers(-16, 16).map(lambda x: x / 4))
    cell = Cell.of(trace, Table(np.array([0.0, 10.0]), np.array([n, left]), 15.0), 0, 1.0)
    at, censored, level = cell.fill(d, Censoring(), tilt, is_told=False)
    assert (at.size, censored.size) == (d, n - left - d)
    for times in (at, censored):
        assert ((times >= 0) & (times < 10)).all()
    r = [n - j - (censored < t).sum() for j, t in enumerate(at)]
    assert level == pytest.approx(np.prod([1 - 1 / k for k in r]), abs=1e-12)


@settings(max_examples=50)
@given(falling(), st.integers(1, 200), st.data())
def test_all_who_are_left_leave_by_the_end(trace, n, data):
    d = data.draw(st.integers(0, n))
    law = Censoring(data.draw(st.floats(0, 0.3)), data.draw(st.sampled_from([0.0, 0.4, 1.0])))
    cell = Cell.of(trace, Table(np.zeros(1), np.array([n]), 15.0), 0, 1.0)
    at, censored, _ = cell.fill(d, law, None, is_told=data.draw(st.booleans()))
    assert (at.size, censored.size) == (d, n - d)
    assert ((np.concatenate([at, censored]) >= 0) & (np.concatenate([at, censored]) <= 15)).all()


@settings(max_examples=50)
@given(falling(), st.integers(10, 200), st.integers(0, 200))
def test_a_tilt_is_chosen_that_meets_the_line(trace, n, left):
    # whenever some places of the censorings meet the level at the end, the level reached is near it
    last = float(trace.survival[-1])
    left = min(left, int(n * last))
    table = Table(np.array([0.0, 10.0]), np.array([n, left]), 15.0)
    cell = Cell.of(trace, table, 0, 1.0)
    assume(left > 0)
    d = min(max(round(cell.events(0.0, 0.0)), 0), n - left)  # with censoring spread evenly
    *_, level = cell.fill(d, Censoring(), None, is_told=False)
    step = last / left  # one patient more or less at the end
    assert level == pytest.approx(last, abs=2.5 * step)


def test_an_event_that_the_line_puts_on_the_next_number_stays_before_it():
    # of 4, the second step goes from 3/4 to 1/2; the line crosses its middle, 5/8, at 10, where 2 are at risk
    trace = straight((0, 1), (10, 0.625), (20, 0.25))
    cell = Cell.of(trace, Table(np.array([0.0, 10.0]), np.array([4, 2]), 20.0), 0, 1.0)
    at, censored, _ = cell.fill(2, Censoring(), None, is_told=True)
    assert censored.size == 0
    assert at[1] < 10.0
    assert at == pytest.approx([10 / 3, 10.0], abs=1e-4)
