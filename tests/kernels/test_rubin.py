import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from netsynth.kernels.rubin import combine


def by_hand(estimates, variances):
    """Rubin's rules for one number, with sums written out."""
    b = len(estimates)
    mean = sum(estimates) / b
    within = sum(variances) / b
    between = sum((e - mean) ** 2 for e in estimates) / (b - 1)
    total = within + between + between / b
    ratio = (between + between / b) / within  # "relative increase in variance due to nonresponse"
    return mean, total, ratio / (ratio + 1), (b - 1) * (1 + 1 / ratio) ** 2


@given(
    arrays(float, st.tuples(st.integers(2, 8), st.just(2)), elements=st.floats(-5, 5)),
    st.floats(0.01, 4),
    st.floats(-0.9, 0.9),
)
def test_each_coordinate_by_hand(estimates, variance, rho):
    covariance = variance * np.array([[1, rho], [rho, 1]])
    found = combine(estimates, np.broadcast_to(covariance, (len(estimates), 2, 2)))
    for j in range(2):
        column = estimates[:, j].tolist()
        if np.ptp(column) < 1e-6:
            continue
        mean, total, loss, df = by_hand(column, [variance] * len(column))
        assert found.estimate[j] == pytest.approx(mean)
        assert found.total[j, j] == pytest.approx(total)
        assert found.loss[j] == pytest.approx(loss)
        assert found.df[j] == pytest.approx(df)
    assert found.between == pytest.approx(np.cov(estimates.T), abs=1e-12)
    assert found.total == pytest.approx(covariance + (1 + 1 / len(estimates)) * found.between)


def test_estimates_that_agree_lose_nothing():
    found = combine(np.full((5, 1), 0.1), np.full((5, 1, 1), 0.04))
    assert (found.loss.item(), found.df.item(), found.total.item()) == (0.0, np.inf, pytest.approx(0.04))


def test_nothing_moves_and_nothing_varies():
    found = combine(np.full((3, 1), 2.0), np.zeros((3, 1, 1)))
    assert np.isnan(found.loss.item())
    assert (found.total.item(), found.df.item()) == (0.0, np.inf)


def test_what_is_undefined_once_is_undefined():
    found = combine(np.array([[1.0, 1.0], [np.nan, 2.0]]), np.ones((2, 2, 2)))
    assert np.isnan(found.estimate[0])
    assert found.estimate[1] == 1.5
    assert found.loss[1] == pytest.approx(0.75 / 1.75)


def test_the_number_of_draws_does_not_matter_in_the_long_run():
    estimate = np.random.default_rng(3).normal(size=(20_000, 1))
    few, many = (combine(estimate[:b], np.ones((b, 1, 1))).total.item() for b in (2_000, 20_000))
    assert few == pytest.approx(many, rel=0.05)
    assert many == pytest.approx(2.0, rel=0.03)  # variance 1 within and 1 between
