from itertools import product

import numpy as np
import pytest
from figures import at_risk, clicks, kaplan_meier, lower_corners, patients, simulated
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from netsynth.kernels.cell import Censoring, Table
from netsynth.kernels.ledger import Expected, apportion, expected_events, rows
from netsynth.kernels.trace import Trace, line, steps


def table_of(data, time, **more):
    return Table(
        np.array(time, dtype=float), np.array(at_risk(data.time, time)), float(data.time[-1]), **more
    )


def straight(*corners):
    time, survival = np.array(corners, dtype=float).T
    return Trace(time, survival, 0.001, 0.0, False)


# --- events that the curve stands for --------------------------------------------------------------------


@st.composite
def intervals(draw):
    """A falling line over one interval, and numbers at risk at both ends that it allows."""
    middle, last = sorted(draw(st.tuples(st.floats(0.05, 0.99), st.floats(0.05, 0.99))), reverse=True)
    n = draw(st.integers(1, 500))
    left = draw(st.integers(0, int(n * last)))
    return straight((0, 1), (draw(st.floats(0.1, 9.9)), middle), (10, last), (20, last)), n, left


@settings(max_examples=50)
@given(intervals())
def test_least_and_most_enclose_all_places_of_censorings(interval):
    # if everybody censored is so at one time u, n S(u) = (those left + censored there) + ... gives the events by hand
    trace, n, left = interval
    found = expected_events(trace, Table(np.array([0.0, 10.0]), np.array([n, left]), 20.0))
    last, by_place = trace.survival[-1], []
    for u in np.linspace(0.0, 10.0, 41):
        level = float(np.interp(u, trace.time, trace.survival))
        # before u all n are at risk: n S(u) are alive at u; c of them go; what is left falls on from S(u) to S(end)
        censored = n * level - left * level / last
        by_place.append(n - censored - left)
    low, high = min(by_place), max(by_place)
    # the line falls, so there was an event, whatever fraction of one it stands for
    one = max(low, min(1.0, high)) if last < 1 else low
    assert low - 1e-6 * n <= found.least[0] <= one + 1e-6 * n
    assert found.most[0] == pytest.approx(high, abs=1e-6 * n)
    assert min(by_place) - 1e-6 * n <= found.n_events[0] <= high + 1e-6 * n


@settings(max_examples=50)
@given(intervals(), st.integers(-12, 12).map(lambda x: x / 4), st.sampled_from([0.25, 1.0, 2.0]))
def test_the_earlier_the_censorings_the_fewer_the_events(interval, tilt, more):
    trace, n, left = interval
    table = Table(np.array([0.0, 10.0]), np.array([n, left]), 20.0)
    early, late = (
        expected_events(trace, table, tilt=np.array([t, 0.0])).n_events[0] for t in (tilt, tilt + more)
    )
    assert early <= late + 1e-9


def test_without_censoring_events_are_shares_of_the_patients():
    trace = straight((0, 1), (10, 0.6), (20, 0.3), (30, 0.3))
    table = Table(np.array([0.0, 10.0, 20.0]), np.array([100, 60, 30]), 30.0)
    found = expected_events(trace, table)
    for part in (found.n_events, found.least, found.most):
        assert part == pytest.approx([40.0, 30.0, 0.0], abs=1e-9)
    assert found.law.hazard == pytest.approx(0.0, abs=1e-12)


def test_the_hazard_of_censoring_goes_on_after_the_table():
    # nobody dies before 10 and 20 of 100 are censored; from then on the line halves
    trace = straight((0, 1), (10, 1), (20, 0.5))
    found = expected_events(trace, Table(np.array([0.0, 10.0]), np.array([100, 80]), 20.0))
    assert found.law.hazard == pytest.approx(20 / (90 * 10))
    # alive at u of 80: 80 exp(-h u) (1 - u / 20), events 80 exp(-h u) / 20 du
    h = found.law.hazard
    assert found.n_events[1] == pytest.approx(80 / 20 * (1 - np.exp(-10 * h)) / h, rel=1e-2)
    # where it halves, one of two patients at least had the event; a little less, as the level is read with error
    assert found.least[1] == pytest.approx(1.0, abs=0.05)
    assert found.most[1] == pytest.approx(40.0)


def test_no_hazard_is_negative_when_the_curve_reaches_zero_within_the_table():
    trace = straight((0, 1), (0.22, 0.875), (0.44, 0.7), (0.88, 0.0))
    table = Table(np.array([0.0, 0.18, 0.35, 0.53, 0.70, 0.88]), np.array([8, 8, 5, 3, 3, 3]), 0.88)
    found = expected_events(trace, table)
    assert found.law.hazard >= 0
    assert (found.n_events <= table.leaving).all()
    assert (found.least <= found.n_events + 1e-9).all()
    assert (found.n_events <= found.most + 1e-9).all()


# --- a total -----------------------------------------------------------------------------------------------


@st.composite
def ledgers(draw):
    leaving = np.array(draw(st.lists(st.integers(0, 6), min_size=1, max_size=4)))
    assume(leaving.sum() > 0)
    ends = [sorted(draw(st.tuples(*[st.floats(0, 1)] * 3))) for _ in leaving]
    least, events, most = np.array(ends).T * leaving
    n_at_risk = np.cumsum(leaving[::-1])[::-1]
    table = Table(np.arange(leaving.size) * 1.0, n_at_risk, float(leaving.size))
    total = draw(st.integers(0, int(leaving.sum())))
    return (
        Expected(events, least, most, Censoring()),
        table,
        total,
        draw(st.sampled_from([0.0005, 0.003, 0.02])),
    )


@settings(max_examples=50)
@given(ledgers())
def test_no_other_split_is_nearer_to_the_weighted_one(ledger):
    expected, table, total, noise = ledger
    found = apportion(expected, table, total, noise)
    # the split into fractions: each gives way in proportion to its variance, as far as it has room
    variance = (expected.most - expected.least) ** 2 / 12 + (noise * table.n_at_risk) ** 2 / 2 + 1e-6

    def split(price):
        return np.clip(expected.n_events + price * variance, 0, table.leaving)

    bound = 2e6 * table.leaving.max()
    fractions = split(brentq(lambda price: split(price).sum() - total, -bound, bound, xtol=1e-9, maxiter=500))
    assume(abs(fractions.sum() - total) < 1e-6)
    others = [x for x in product(*[range(room + 1) for room in table.leaving]) if sum(x) == total]
    distance = [((np.array(x) - fractions) ** 2).sum() for x in others]
    assert found.sum() == total
    assert tuple(found) in others
    assert ((found - fractions) ** 2).sum() == pytest.approx(min(distance), abs=1e-4)


def test_intervals_give_way_by_their_variance():
    # widths of 6 and 0, reading errors of 0.01 among 200 and 200: variances 36/12 + 2 = 5, and 2
    expected = Expected(np.array([10.0, 10, 0]), np.array([7.0, 10, 0]), np.array([13.0, 10, 0]), Censoring())
    alike = Table(np.array([0.0, 1, 2]), np.array([200, 180, 0]), 3.0)
    # the second interval has 180 at risk: 0.5 * 1.8^2 = 1.62, so 6.62 more events are 5 and 1.62
    assert apportion(expected, alike, 27, 0.01).tolist() == [15, 12, 0]
    nobody = Table(np.array([0.0, 1, 2]), np.array([200, 200, 0]), 3.0)  # who leaves before 1
    assert apportion(expected, nobody, 27, 0.01).tolist() == [0, 27, 0]


# --- rows ---------------------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(simulated(), st.booleans(), st.integers(1, 8), st.booleans(), st.booleans())
def test_rows_keep_the_table_and_the_total(made, exact, k, know_total, know_marks):
    data, rng = made
    end = float(data.time[-1])
    trace = (
        steps(*lower_corners(data), end)
        if exact
        else line(*np.clip(clicks(rng, data, 40), 0, [[np.inf], [1]]), end)
    )
    time = np.linspace(0, end, k, endpoint=False)
    table = table_of(
        data,
        time,
        n_events=int(data.event.sum()) if know_total else None,
        censor_time=np.unique(data.time[data.event == 0]) if know_marks else None,
    )
    found = rows(trace, table, expected_events(trace, table))
    assert found.time.size == data.time.size
    assert (np.diff(found.time) >= 0).all()
    assert ((found.time >= 0) & (found.time <= end)).all()
    assert set(found.event.tolist()) <= {0, 1}
    assert at_risk(found.time, time) == table.n_at_risk.tolist()
    if know_total:
        assert found.event.sum() == table.n_events
    interval = np.searchsorted(time, found.time[found.event == 1], "right") - 1
    assert found.n_events.tolist() == np.bincount(interval, minlength=k).tolist()
    same = np.diff(found.time) == 0
    assert (np.diff(found.event)[same] <= 0).all()  # events first


@settings(max_examples=50)
@given(simulated(60), st.integers(1, 6))
def test_exact_steps_come_back(made, k):
    data, _ = made
    curve, end = kaplan_meier(*data), float(data.time[-1])
    table = table_of(data, np.linspace(0, end, k, endpoint=False))
    trace = steps(*lower_corners(data), end)
    assume(trace.noise < 1e-6)  # levels of few decimals are taken for rounded ones
    found = rows(trace, table, expected_events(trace, table))
    again = kaplan_meier(found.time, found.event)
    assert again.time.tolist() == curve.time.tolist()
    assert again.level == pytest.approx(curve.level, abs=1e-7)


@pytest.mark.parametrize("change", [-3, -1, 1, 3])
def test_a_total_that_the_heights_do_not_give_is_met_all_the_same(change):
    data = patients(np.random.default_rng(7), 80)
    end = float(data.time[-1])
    table = table_of(data, np.linspace(0, end, 4, endpoint=False), n_events=int(data.event.sum()) + change)
    trace = steps(*lower_corners(data), end)
    found = rows(trace, table, expected_events(trace, table))
    assert found.event.sum() == table.n_events
    assert at_risk(found.time, table.time) == table.n_at_risk.tolist()


@settings(max_examples=30)
@given(simulated(200))
def test_events_lie_where_the_line_crosses_the_middle_of_their_step(made):
    # nobody is censored: the j-th of n steps is crossed in its middle, at 1 - (j - 1/2) / n
    data, rng = made
    n = data.time.size
    end = float(data.time[-1])
    trace = line(np.sort(rng.uniform(0, end, 30)), -np.sort(-rng.uniform(0, 1, 30)), end)
    trace = trace._replace(noise=0.5)  # so that no heights are read from it
    d = int(np.round(n * (1 - trace.survival[-1])))
    assume(d >= n * (1 - trace.survival[-1]))
    table = Table(np.zeros(1), np.array([n]), end)
    found = rows(trace, table, expected_events(trace, table))
    assert found.event.sum() == d
    for j, t in enumerate(found.time[found.event == 1][: d - 1], 1):
        middle = 1 - (j - 0.5) / n
        assert trace.before(np.array([t])).item() >= middle - 1e-9
        assert trace.after(np.array([t])).item() <= middle + 1e-9


@pytest.mark.parametrize("n", [12, 25, 40])
def test_a_fraction_of_an_event_lost_in_rounding_is_no_censoring(n):
    # n (1 - S) is 0.4 more than a whole number; nobody is known to leave before the end
    last = 1 - (n // 2 + 0.4) / n
    trace = straight((0, 1), (10, last), (12, last))._replace(noise=0.5)
    table = Table(np.zeros(1), np.array([n]), 12.0)
    found = rows(trace, table, expected_events(trace, table))
    assert found.event.sum() == n // 2
    assert (found.time[found.event == 0] == 12.0).all()
