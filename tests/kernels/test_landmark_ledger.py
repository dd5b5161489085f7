"""Whole numbers behind percentages, held against all orders of events and censorings of few patients."""

from itertools import product

import numpy as np
import pytest

from netsynth.kernels.landmark_ledger import landmark_ledger

ALL = np.ones(3, dtype=bool)


def test_published_ranges_of_the_worked_check():
    # a hundred patients, 83%, 71% and 42% with 75, 52 and 18 at risk: closed ranges of events by interval division
    found = landmark_ledger(
        100, np.array([0.825, 0.705, 0.415]), np.array([0.835, 0.715, 0.425]), np.array([75.0, 52, 18]), ALL
    )
    assert found.n_at_risk.tolist() == [75, 52, 18]
    first, second, third = found.n_events
    assert 15 <= first <= 17
    assert 8 <= second <= 11
    assert 12 <= third <= 21


def attainable(n):
    """Survival, number left and number of events for every order of events and censorings among n, cut anywhere."""
    found = {}
    for length in range(n + 1):
        for order in product((0, 1), repeat=length):
            survival = 1.0
            for i, died in enumerate(order):
                survival *= (n - i - 1) / (n - i) if died else 1.0
            found.setdefault((n - length, sum(order)), set()).add(round(survival, 12))
    return found


@pytest.mark.parametrize("n", [3, 6, 9])
def test_every_level_that_patients_can_give_is_found_possible(n):
    for (left, deaths), levels in attainable(n).items():
        for level in levels:
            if left == 0 and level > 0:
                continue  # nobody is left to carry the percentage
            at = np.array([level])
            found = landmark_ledger(
                n, at - 1e-9, at + 1e-9, np.array([float(left)]), np.ones(1, dtype=bool), deaths
            )
            assert found is not None, (left, deaths, level)
            assert found.n_at_risk.tolist() == [left]


def test_what_nobody_can_give_is_refused():
    # 80% with 90 of 100 at risk: at most 80 can be
    printed = np.ones(1, dtype=bool)
    assert landmark_ledger(100, np.array([0.795]), np.array([0.805]), np.array([90.0]), printed) is None
    assert landmark_ledger(100, np.array([0.795]), np.array([0.805]), np.array([120.0]), printed) is None


def test_a_total_moves_numbers_that_are_only_expected():
    lower, upper, guess = np.array([0.695]), np.array([0.705]), np.array([30.0])
    free = landmark_ledger(100, lower, upper, guess, np.zeros(1, dtype=bool))
    held = landmark_ledger(100, lower, upper, guess, np.zeros(1, dtype=bool), 30)
    assert free.n_at_risk[0] == 30
    assert free.n_events[0] < 30  # seventy lost, so fewer than thirty deaths
    assert held.n_events[0] <= 30 <= held.n_events[0] + held.n_at_risk[0]
    strict = landmark_ledger(100, lower, upper, guess, np.zeros(1, dtype=bool), 14)
    assert strict.n_events[0] <= 14


def test_no_patient_is_left_at_survival_zero():
    lower, upper = np.array([0.495, 0.0]), np.array([0.505, 0.0])
    found = landmark_ledger(10, lower, upper, np.array([5.0, 0.0]), np.zeros(2, dtype=bool))
    assert found.n_at_risk[-1] == 0
    assert found.n_events.sum() <= 10
