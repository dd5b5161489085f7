import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm
from summaries import FIVE, MEDIANS, NAN, columns, summaries

from netsynth.kernels.five_numbers import (
    bland_sd,
    expected_range,
    extreme_quantile,
    hozo_sd,
    luo_mean,
    scenario,
    shi_sd,
    simple_mean,
    skewness_test,
    wan_sd,
)

#: {1, 4, 10} of 30 patients.
EXAMPLE = np.array([1, NAN, 4, NAN, 10])


def test_published_expected_range():
    # Wan et al. (2014), BMC Med Res Methodol 14:135, Table 1
    printed = {5: 2.326, 10: 3.078, 25: 3.931, 50: 4.498}
    assert {n: expected_range(n) for n in printed} == pytest.approx(printed, abs=5e-4)
    # the approximation they propose beyond, as computed from its formula with tables of the normal law
    blom = [2 * norm.ppf((n - 0.375) / (n + 0.25)) for n in (10, 25, 50)]
    assert blom == pytest.approx([3.09327, 3.92843, 4.48666], abs=5e-6)
    assert (2 * extreme_quantile(np.array([10.0, 25.0, 50.0]))).tolist() == pytest.approx(blom, rel=1e-12)


@pytest.mark.parametrize("n", [2, 3, 17, 400, 20_000])
def test_expected_range_by_quadrature(n):
    found = quad(lambda x: 1 - norm.cdf(x) ** n - norm.sf(x) ** n, -12, 12, limit=400, epsabs=1e-12)[0]
    assert expected_range(n) == pytest.approx(found, rel=1e-9)


def test_expected_range_of_two_is_known():
    assert expected_range(2) == pytest.approx(2 / math.sqrt(math.pi), rel=1e-12)


def test_example_of_thirty_patients():
    # computed in R from the published formulas
    n = np.array(30.0)
    assert luo_mean(EXAMPLE, n).item() == pytest.approx(4.356748, abs=5e-7)
    assert wan_sd(EXAMPLE, n).item() == pytest.approx(2.205578, abs=5e-7)
    assert simple_mean(EXAMPLE).item() == 4.75


@pytest.mark.parametrize(("values", "n", "output"), summaries())
def test_reference_closed_forms(values, n, output):
    size = np.array(n)
    assert luo_mean(values, size).item() == pytest.approx(output["luo_mean"], rel=1e-12)
    assert wan_sd(values, size).item() == pytest.approx(output["wan_sd"], rel=1e-12)
    assert luo_mean(values, size).item() == pytest.approx(output["metafor"]["mean"], rel=1e-12)
    assert shi_sd(values, size).item() == pytest.approx(output["metafor"]["sd"], rel=1e-12)


FROM_RANGES = [case for case in summaries() if scenario(case.values[0]) == 1 and case.values[1] <= 50]


@pytest.mark.parametrize(("values", "n", "output"), FROM_RANGES)
def test_reference_tabled_range(values, n, output):
    """Up to n = 50 meta takes the range from the table of three decimals, which is of the exact expectation."""
    sd = (values[4] - values[0]) / expected_range(int(n))
    assert sd == pytest.approx(output["meta"]["Wan_Wan"]["sd"], rel=2e-4)


CLOSED = [case for case in FIVE["converted"] if case["method"] in ("luo", "hozo/wan/bland")]


@pytest.mark.parametrize("case", CLOSED, ids=lambda case: case["id"])
def test_reference_studies(case):
    mean = luo_mean if case["method"] == "luo" else lambda x, _: simple_mean(x)
    data = MEDIANS["data"]["dat.ck_g2" if case["arm"] == "g2as1" else case["data"]]
    values, n = columns(data)
    has = scenario(values) > 0
    assert has.sum() >= 3
    assert mean(values, n)[has].tolist() == pytest.approx(np.array(case["yi"])[has].tolist(), rel=1e-12)
    naive = wan_sd(values, n) / np.sqrt(n)
    chosen = naive if case["method"] == "hozo/wan/bland" else shi_sd(values, n) / np.sqrt(n)
    # metamedian takes Wan's SD in every scenario beside the simple means, and Shi's beside Luo's
    assert chosen[has].tolist() == pytest.approx(np.array(case["sei"], dtype=float)[has].tolist(), rel=1e-12)


def test_hozo_by_hand():
    # Hozo et al. (2005), BMC Med Res Methodol 5:13: formula 12 up to 15, then range / 4 and range / 6
    few = math.sqrt(((1 - 8 + 10) ** 2 / 4 + 81) / 12)
    assert hozo_sd(EXAMPLE, np.array([10.0, 15.0, 16.0, 70.0, 71.0])).tolist() == pytest.approx(
        [few, few, 9 / 4, 9 / 4, 9 / 6]
    )
    assert np.isnan(hozo_sd(np.array([NAN, 1, 2, 3, NAN]), np.array(10.0)))


@given(st.lists(st.floats(-50, 50), min_size=5, max_size=5).map(sorted))
def test_bland_is_the_spread_of_four_quarters(values):
    """Of each quarter between u and v Bland takes the square (u^2 + 2 uv + v^2) / 4 and the mean (u + v) / 2."""
    x = np.array(values)
    ends = list(pairwise(x))
    square = sum(0.25 * (u * u + v * v + 2 * u * v) / 4 for u, v in ends)
    mean = sum(0.25 * (u + v) / 2 for u, v in ends)
    assert bland_sd(x).item() == pytest.approx(math.sqrt(max(square - mean**2, 0)), abs=1e-5)
    assert simple_mean(x).item() == pytest.approx(mean, abs=1e-9)


def test_scenarios():
    rows = np.array(
        [
            [1, NAN, 4, NAN, 9],
            [NAN, 2, 4, 6, NAN],
            [1, 2, 4, 6, 9],
            [1, 2, NAN, 6, 9],
            [1, 2, 4, NAN, 9],
            [1, NAN, 4, NAN, NAN],
        ]
    )
    assert scenario(rows).tolist() == [1, 2, 3, 0, 0, 0]
    assert np.isnan(luo_mean(rows, np.full(6, 20.0))).tolist() == [False] * 3 + [True] * 3


@pytest.mark.parametrize("case", MEDIANS["skewness"], ids=lambda case: case["id"])
def test_reference_skewness(case):
    values, n = columns(MEDIANS["data"][case["data"]])
    found = skewness_test(values, n)
    expected = np.array(case["test_stat"], dtype=float)
    # R leaves the sign on the statistic of scenario 2
    assert found.statistic.tolist() == pytest.approx(np.abs(expected).tolist(), rel=1e-12, nan_ok=True)
    assert found.critical.tolist() == pytest.approx(
        np.array(case["critical_value"], dtype=float).tolist(), rel=1e-12, nan_ok=True
    )
    assert found.skewed.tolist() == [bool(reject) for reject in case["reject"]]


@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize("n", [50, 200])
def test_skewness_has_its_size(kind, n):
    """Normal samples are called skewed about one time in twenty; the simulation knows nothing of our draws."""
    rng = np.random.default_rng(7)
    x = np.sort(rng.standard_normal((6000, n)), axis=1)
    values = np.quantile(x, [0, 0.25, 0.5, 0.75, 1], axis=1).T
    values[:, {1: [1, 3], 2: [0, 4], 3: []}[kind]] = NAN
    rate = skewness_test(values, np.full(len(x), float(n))).skewed.mean()
    assert 0.03 < rate < 0.06


def test_skewness_is_silent_where_it_has_nothing_to_say():
    rows = np.array([[1, NAN, 1, NAN, 1], [NAN, 1, 2, 9, NAN], [NAN, NAN, 3, NAN, NAN]])
    found = skewness_test(rows, np.array([40.0, 4.0, 50.0]))
    assert np.isnan(found.statistic).all()
    assert np.isnan(found.critical).all()
    assert not found.skewed.any()


@given(
    st.lists(st.floats(-50, 50), min_size=5, max_size=5).map(sorted),
    st.floats(-9, 9),
    st.floats(0.1, 9),
    st.sampled_from([1, 2, 3]),
)
def test_a_change_of_unit_changes_the_unit(values, shift, factor, kind):
    x, n = np.array(values), np.array(40.0)
    x[{1: [1, 3], 2: [0, 4], 3: []}[kind]] = NAN
    for mean in (luo_mean, lambda v, _: simple_mean(v)):
        assert mean(shift + factor * x, n) == pytest.approx(shift + factor * mean(x, n), rel=1e-9, abs=1e-9)
    for sd in (wan_sd, shi_sd):
        assert sd(shift + factor * x, n) == pytest.approx(factor * sd(x, n), rel=1e-9, abs=1e-9)
