"""Climbing and crossing on surfaces whose tops are known."""

import numpy as np
import pytest

from netsynth.kernels.ascent import Surface, climb, first_crossing


def banana(at, which):
    """Minus Rosenbrock's function, a crooked ridge with its top, 0, at (a, a^2) for data set a."""
    a, x, y = np.array([1.0, -0.5])[which], at[:, 0], at[:, 1]
    ridge = y - x * x
    height = -((a - x) ** 2) - 10.0 * ridge**2
    gradient = np.stack([2 * (a - x) + 40 * x * ridge, -20 * ridge], axis=-1)
    hessian = np.empty((len(at), 2, 2))
    hessian[:, 0, 0] = -2 + 40 * ridge - 80 * x * x
    hessian[:, 0, 1] = hessian[:, 1, 0] = 40 * x
    hessian[:, 1, 1] = -20
    return Surface(height, gradient, hessian)


def test_a_crooked_ridge_is_climbed_from_either_side():
    start = np.array([[-1.5, 2.0], [3.0, -1.0], [0.0, 0.0]])
    top = climb(banana, start, np.array([0, 1, 1]))
    assert top.converged.all()
    assert top.parameters == pytest.approx(np.array([[1.0, 1.0], [-0.5, 0.25], [-0.5, 0.25]]), abs=1e-9)
    assert top.height == pytest.approx(np.zeros(3), abs=1e-9)


def test_a_fixed_parameter_stays():
    top = climb(banana, np.array([[0.3, 5.0]]), np.array([0]), fixed=0)
    assert top.parameters[0].tolist() == pytest.approx([0.3, 0.09])
    assert top.parameters[0, 0] == 0.3


def test_done_rows_stay():
    start = np.array([[0.0, 0.0], [0.3, 5.0]])
    top = climb(banana, start, np.array([0, 0]), done=np.array([False, True]))
    assert top.parameters[1].tolist() == [0.3, 5.0]
    assert top.parameters[0] == pytest.approx([1.0, 1.0])


def test_a_surface_without_a_top_does_not_converge():
    def slope(at, which):
        zero = np.zeros((which.size, 2, 2))
        return Surface(at.sum(1), np.ones((which.size, 2)), zero)

    assert not climb(slope, np.zeros((1, 2)), np.array([0])).converged[0]


def test_crossings_floors_and_ceilings():
    def drop(position, rows):
        return np.array([1.0, 0.25, 1.0, 1.0, 1e-9, 1.0])[rows] * position**2 * np.exp(0.1 * position)

    centre = np.zeros(6)
    width = np.array([0.5, 0.5, -0.5, -40.0, 0.5, 100.0])
    floor = np.array([-np.inf, -np.inf, -1.0, -np.inf, -np.inf, -np.inf])
    ceiling = np.array([np.inf, np.inf, np.inf, np.inf, 10.0, np.inf])
    found = first_crossing(drop, centre, width, 4.0, floor=floor, ceiling=ceiling)
    for i in (0, 1, 3, 5):
        assert drop(found[i : i + 1], np.array([i]))[0] == pytest.approx(4.0, rel=1e-8)
    assert found[3] < 0 < found[5]
    assert found[2] == -1.0  # not fallen far enough at the floor
    assert found[4] == np.inf  # nor at the ceiling
