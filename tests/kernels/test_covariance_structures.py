from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsynth.kernels.covariance_structures import STRUCTURES, CovarianceStructure

PARAMETERS = {  # for p outcomes
    "unstructured": lambda p: p * (p + 1) // 2,
    "diagonal": lambda p: p,
    "identity": lambda _: 1,
    "compound_symmetry": lambda _: 2,
    "heterogeneous_cs": lambda p: p + 1,
    "ar1": lambda _: 2,
    "heterogeneous_ar1": lambda p: p + 1,
}


def inside(name, p, draw):
    """Parameters well within their range."""
    lower, upper = STRUCTURES[name].bounds(p)
    low, high = np.maximum(lower, -1.5), np.minimum(upper, 1.5)
    return low + (high - low) * (0.1 + 0.8 * np.array(draw))


def written_out(name, theta, p):
    """The same matrix entry by entry, from what its name says."""
    matrix = np.empty((p, p))
    if name == "unstructured":
        factor, place = np.zeros((p, p)), iter(theta)
        for i in range(p):
            for j in range(i + 1):
                factor[i, j] = next(place)
        return factor @ factor.T
    for i in range(p):
        for j in range(p):
            same = float(i == j)
            matrix[i, j] = {
                "diagonal": lambda i=i, same=same: same * theta[min(i, theta.size - 1)],
                "identity": lambda same=same: same * theta[0],
                "compound_symmetry": lambda same=same: theta[0] / p + theta[1] * (same - 1 / p),
                "heterogeneous_cs": lambda i=i, j=j: theta[i] * theta[j] * (1 if i == j else theta[-1]),
                "ar1": lambda i=i, j=j: theta[0] ** 2 * theta[1] ** abs(i - j),
                "heterogeneous_ar1": lambda i=i, j=j: theta[i] * theta[j] * theta[-1] ** abs(i - j),
            }[name]()
    return matrix


def test_every_name_is_reachable():
    assert set(get_args(CovarianceStructure)) == set(STRUCTURES) == set(PARAMETERS)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("p", [2, 3, 5])
def test_number_of_parameters(name, p):
    assert STRUCTURES[name].n_parameters(p) == PARAMETERS[name](p)


@pytest.mark.parametrize("name", STRUCTURES)
@given(data=st.data(), p=st.integers(2, 5))
@settings(max_examples=20)
def test_the_matrix_is_what_its_name_says(name, data, p):
    t = PARAMETERS[name](p)
    theta = inside(name, p, data.draw(st.lists(st.floats(0, 1), min_size=t, max_size=t)))
    matrix = STRUCTURES[name].matrix(theta, p)
    np.testing.assert_allclose(matrix, written_out(name, theta, p), rtol=1e-12, atol=1e-14)
    assert np.linalg.eigvalsh(matrix)[0] >= -1e-12


@pytest.mark.parametrize("name", STRUCTURES)
@given(data=st.data(), p=st.integers(2, 4))
@settings(max_examples=15)
def test_slopes_and_curvature_are_those_of_differences(name, data, p):
    structure, t = STRUCTURES[name], PARAMETERS[name](p)
    theta = inside(name, p, data.draw(st.lists(st.floats(0, 1), min_size=t, max_size=t)))
    weight = np.array(data.draw(st.lists(st.floats(-1, 1), min_size=p * p, max_size=p * p))).reshape(p, p)
    weight = weight + weight.T
    h = 1e-5 * np.eye(t)
    jacobian = [(structure.matrix(theta + e, p) - structure.matrix(theta - e, p)) / 2e-5 for e in h]
    np.testing.assert_allclose(structure.jacobian(theta, p), jacobian, atol=1e-8)

    def slope(at):
        return np.einsum("tab,ab->t", structure.jacobian(at, p), weight)

    curvature = [(slope(theta + e) - slope(theta - e)) / 2e-5 for e in h]
    np.testing.assert_allclose(structure.curvature(theta, weight), curvature, atol=1e-7)


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_nearest_parameters_of_a_member_are_its_own(name):
    theta = inside(name, 3, np.linspace(0.3, 0.8, PARAMETERS[name](3)))
    matrix = STRUCTURES[name].matrix(theta, 3)
    if name == "unstructured":
        matrix = matrix + np.eye(3)
    found = STRUCTURES[name].matrix(STRUCTURES[name].nearest(matrix), 3)
    np.testing.assert_allclose(found, matrix, rtol=1e-10)


@pytest.mark.parametrize("name", STRUCTURES)
def test_many_at_once_are_one_by_one(name):
    structure, p = STRUCTURES[name], 3
    theta = np.stack(
        [inside(name, p, row) for row in np.random.default_rng(1).random((4, PARAMETERS[name](p)))]
    )
    weight = np.stack([np.eye(p) * (i + 1) + 0.1 for i in range(4)])
    for function, arguments in (
        (lambda a, _: structure.matrix(a, p), theta),
        (lambda a, _: structure.jacobian(a, p), theta),
        (structure.curvature, theta),
    ):
        alone = [function(a, w) for a, w in zip(arguments, weight, strict=True)]
        np.testing.assert_allclose(function(theta, weight), alone)


def test_one_scale_is_one_variance():
    for name, structure in STRUCTURES.items():
        matrix = structure.matrix(inside(name, 4, np.linspace(0.2, 0.9, PARAMETERS[name](4))), 4)
        assert structure.one_scale == (np.ptp(np.diag(matrix)) < 1e-12), name
