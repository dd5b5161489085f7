from itertools import product

import numpy as np
import pytest
from figures import kaplan_meier, patients
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from netsynth.kernels.risk_path import risk_path

WORST = 50.0  # what one misread level costs at most, and a mark without a patient


@st.composite
def problems(draw):
    """A few falls among a few patients, their levels misread a little."""
    n_start, survival = draw(st.integers(3, 8)), draw(st.sampled_from([1.0, 0.8, 0.35]))
    alive, level, level_now, gap = n_start, [], survival, []
    for _ in range(draw(st.integers(1, 3))):
        lost = draw(st.integers(0, 1))
        r = alive - lost
        assume(r >= 1)
        d = draw(st.integers(1, min(r, 2)))
        level_now *= 1 - d / r
        level.append(level_now)
        gap.append(lost)
        alive = r - d
    is_last = draw(st.booleans())
    n_stop = 0 if is_last else draw(st.integers(0, alive))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    noise = draw(st.sampled_from([1e-4, 1e-3, 0.01, 0.03]))
    level = np.clip(np.array(level) + rng.normal(0, noise, len(level)), 0, 1)
    assume((np.diff(level, prepend=survival) < 0).all())
    seen = [*(draw(st.integers(0, lost)) for lost in gap), 0]  # marks of some who were censored
    gap = np.maximum(np.array([*gap, alive - n_stop]) + rng.normal(0, 0.5, len(gap) + 1), 0)
    return (level, np.full(level.size, noise), gap), {
        "n_start": n_start,
        "n_stop": n_stop,
        "is_last": is_last,
        "survival": survival,
        "trust": draw(st.sampled_from([0.2, 1.0])),
        "marked": draw(st.sampled_from([None, np.array(seen)])),
        "price": draw(st.sampled_from([0.0, 2.0, -2.0])),
    }


def cost(path, level, noise, gap, *, n_start, n_stop, is_last, survival, trust, marked, price):
    """What is minimised, from its definition; infinite for a path that cannot be."""
    alive, total = n_start, 0.0
    for j, (r, d) in enumerate(path):
        if not 1 <= d <= r <= alive:
            return np.inf
        survival *= 1 - d / r
        total += trust * (alive - r - gap[j]) ** 2 / (2 * gap[j] + 1)
        total += WORST if marked is not None and alive - r < marked[j] else 0.0
        total += min((survival - level[j]) ** 2 / (2 * noise[j] ** 2), WORST) + price * d
        alive = r - d
    if alive < n_stop:
        return np.inf
    rest = 0.0 if is_last else trust * (alive - n_stop - gap[-1]) ** 2 / (2 * gap[-1] + 1)
    return total + rest


def cheapest(level, noise, gap, **about):
    """Over all numbers at risk; events are what the height tells, one at least."""
    before = np.concatenate([[about["survival"]], level[:-1]])
    found = np.inf
    for r in product(range(1, about["n_start"] + 1), repeat=level.size):
        d = np.clip(np.round(np.array(r) * (1 - level / before)), 1, r).astype(int)
        found = min(found, cost(list(zip(r, d, strict=True)), level, noise, gap, **about))
    return found


@settings(max_examples=50)
@given(problems())
def test_no_other_path_is_cheaper(problem):
    arrays, about = problem
    found, least = risk_path(*arrays, **about), cheapest(*arrays, **about)
    if found is None:
        assert least == np.inf
        return
    path = list(zip(found.n_at_risk.tolist(), found.n_events.tolist(), strict=True))
    assert found.survival == pytest.approx(about["survival"] * np.prod([1 - d / r for r, d in path]))
    if least >= WORST:  # levels, marks and numbers contradict each other: any of them may give way
        return
    assert cost(path, *arrays, **about) == pytest.approx(least, abs=1e-9)


@pytest.mark.parametrize("n", [10, 40, 200])
@pytest.mark.parametrize("seed", range(3))
def test_exact_levels_are_met(n, seed):
    data = patients(np.random.default_rng(seed), n)
    curve = kaplan_meier(*data)
    noise = np.full(curve.level.size, 1e-9)
    censored = np.diff(
        np.searchsorted(data.time[data.event == 0], curve.time), prepend=0, append=(data.event == 0).sum()
    )
    found = risk_path(
        curve.level, noise, censored.astype(float), n_start=n, n_stop=0, is_last=True, survival=1.0
    )
    assert np.cumprod(1 - found.n_events / found.n_at_risk) == pytest.approx(curve.level, abs=1e-9)
    assert found.n_at_risk.tolist() == [(data.time >= t).sum() for t in curve.time]


def test_known_events_are_kept():
    # of 10, two fall at once: 10 at risk, then 5 of which nobody says more than the height does
    found = risk_path(
        np.array([0.8, 0.64]),
        np.full(2, 1e-4),
        np.array([0.0, 3.0, 4.0]),
        n_start=10,
        n_stop=0,
        is_last=False,
        survival=1.0,
        n_events=np.array([2, 1]),
    )
    assert (found.n_at_risk.tolist(), found.n_events.tolist()) == ([10, 5], [2, 1])


def test_no_falls_are_no_events_and_too_many_falls_no_path():
    about = {"n_stop": 0, "is_last": True, "survival": 0.7}
    nothing = risk_path(np.zeros(0), np.zeros(0), np.array([3.0]), n_start=4, **about)
    assert (nothing.n_at_risk.size, nothing.n_events.size, nothing.survival) == (0, 0, 0.7)
    level = np.array([0.6, 0.5, 0.4])
    assert risk_path(level, np.full(3, 0.01), np.zeros(4), n_start=2, **about) is None


@settings(max_examples=50)
@given(problems(), st.floats(0.5, 20))
def test_a_dearer_event_is_never_more_events(problem, price):
    arrays, about = problem
    found = [risk_path(*arrays, **{**about, "price": sign * price}) for sign in (-1, 1)]
    assume(all(path is not None for path in found))
    assert found[0].n_events.sum() >= found[1].n_events.sum()
