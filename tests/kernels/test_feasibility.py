import itertools
import math

import numpy as np
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from netsynth.kernels import feasibility
from netsynth.kernels.feasibility import may_exist
from netsynth.kernels.fragments import Evidence
from netsynth.kernels.lattice import least_censored


def evidence(n, percent, *, half=0.5, n_at_risk=None, within=0, n_events=-1, first_loss=0.0):
    """Percentages, None where not printed, at times 1, 2, ..."""
    k = len(percent)
    known = np.array([p is not None for p in percent])
    share = np.array([0.0 if p is None else p / 100 for p in percent])
    risk = [None] * k if n_at_risk is None else n_at_risk
    nan = np.full(k, np.nan)
    return Evidence(
        n_total=n,
        time=np.arange(1.0, k + 1),
        lower=np.where(known, np.maximum(share - half / 100, 0), 0.0),
        upper=np.where(known, np.minimum(share + half / 100, 1), 1.0),
        is_estimate=known,
        n_at_risk=np.array([-1 if m is None else m for m in risk]),
        at_risk_within=within,
        se=nan,
        se_sd=nan,
        followed=nan,
        followed_sd=nan,
        n_events=n_events,
        first_loss=first_loss,
        scale=float(k),
    )


def exists(given):
    """Every order in which patients can leave, and every place of the times in it."""
    n, k = given.n_total, given.time.size
    for kinds in itertools.product((0, 1), repeat=n):  # those after the last time are not looked at
        survival, level = [1.0], 1.0
        for i, event in enumerate(kinds):
            level *= (n - i - 1) / (n - i) if event else 1.0
            survival.append(level)
        for gone in itertools.combinations_with_replacement(range(n + 1), k):
            if _meets(given, kinds, survival, gone):
                return True
    return False


def _meets(given, kinds, survival, gone):
    for j, left in enumerate(gone):
        s, m = survival[left], given.n_total - left
        if not given.lower[j] - 1e-9 <= s <= given.upper[j] + 1e-9:
            return False
        if given.n_at_risk[j] >= 0 and abs(given.n_at_risk[j] - m) > given.at_risk_within:
            return False
        if given.is_estimate[j] and m == 0 and s > 0:
            return False
        if given.time[j] <= given.first_loss and 0 in kinds[:left]:
            return False
    return given.n_events in (-1, sum(kinds[: gone[-1]]))


@pytest.mark.parametrize("within", [0, 1])
def test_against_every_data_set_of_a_few_patients(within):
    rng = np.random.default_rng(6)
    seen = set()
    for _ in range(150):
        n, k = int(rng.integers(2, 7)), int(rng.integers(1, 3))
        percent = [int(p) if rng.random() < 0.8 else None for p in np.sort(rng.integers(0, 101, k))[::-1]]
        risk = [int(m) if rng.random() < 0.5 else None for m in np.sort(rng.integers(0, n + 1, k))[::-1]]
        given = evidence(
            n,
            percent,
            half=float(rng.choice([0.5, 3.0])),
            n_at_risk=risk,
            within=within,
            n_events=int(rng.integers(0, n + 1)) if rng.random() < 0.4 else -1,
            first_loss=1.0 if rng.random() < 0.3 else 0.0,
        )
        expected = exists(given)
        seen.add(expected)
        assert may_exist(given) == expected, given
    assert seen == {True, False}


@pytest.mark.parametrize("n", [10, 13, 21])
def test_single_percentages_against_the_lattice(n):
    for percent in range(101):
        low, high = max(percent - 0.5, 0) / 100, min(percent + 0.5, 100) / 100
        expected = least_censored(low, high, n).n_censored >= 0
        assert may_exist(evidence(n, [percent])) == expected, percent


@pytest.mark.parametrize("first", range(13, 20))
def test_events_up_to_the_first_time(first):
    # 83% of 100 with 75 at risk: 15 to 17 events
    assert may_exist(evidence(100, [83], n_at_risk=[75], n_events=first)) == (15 <= first <= 17)


@pytest.mark.parametrize("first", range(11, 21))
def test_events_up_to_the_first_time_with_a_number_off_a_graph(first):
    # m (1 - S) / S <= d <= n (1 - S): 74 at risk give 15 at least, 76 give 16, and 17 is the most whatever m is
    ends = [math.ceil(m * (1 - 0.835) / 0.835) for m in (74, 75, 76)]
    assert may_exist(evidence(100, [83], n_at_risk=[75], within=1, n_events=first)) == (
        min(ends) <= first <= 17
    )


@for_all(data=st.data())
def test_a_wider_reading_never_excludes_what_a_narrower_one_allows(data):
    n = data.draw(st.integers(2, 12))
    risk = data.draw(st.lists(st.integers(0, n), min_size=2, max_size=2))
    percent = sorted(data.draw(st.lists(st.integers(0, 100), min_size=2, max_size=2)), reverse=True)
    found = [may_exist(evidence(n, percent, half=4.0, n_at_risk=risk, within=w)) for w in range(n + 1)]
    assert found == sorted(found)
    assert found[-1] == may_exist(evidence(n, percent, half=4.0))


@pytest.mark.parametrize("total", [34, 35, 36, 48, 49, 50])
def test_events_of_all_intervals(total):
    # 83, 71 and 42% of 100 with 75, 52 and 18 at risk: the sharp limits of the intervals add up to 35 and 49
    given = evidence(100, [83, 71, 42], n_at_risk=[75, 52, 18], n_events=total)
    if not 35 <= total <= 49:
        assert not may_exist(given)
    elif 38 <= total <= 46:
        assert may_exist(given)


def test_nobody_is_left_after_a_percentage_above_zero():
    assert not may_exist(evidence(4, [50], n_at_risk=[0]))
    assert may_exist(evidence(4, [0], n_at_risk=[0]))


def test_what_patients_gave_is_possible():
    # with so many that estimates share cells, and digits so many that few of them will do
    rng = np.random.default_rng(7)
    for n in (30, 80, 150):
        time = np.sort(rng.uniform(0, 5, n))
        event = rng.random(n) < 0.6
        survival = np.cumprod(np.where(event, 1 - 1 / np.arange(n, 0, -1), 1.0))
        left = [int((time <= t).sum()) for t in range(1, 5)]
        given = evidence(
            n,
            [100 * survival[k - 1] for k in left],
            half=1e-6,
            n_at_risk=[n - k if j % 2 else None for j, k in enumerate(left)],
            n_events=int(event[: left[-1]].sum()),
        )
        assert may_exist(given)


def test_cells_too_wide_never_exclude_what_is_possible(monkeypatch):
    # estimates are joined, so that more seems possible; what a data set gave always does
    rng = np.random.default_rng(8)
    for cells in (1, 5, 9):
        monkeypatch.setattr(feasibility, "_CELLS", cells)
        for _ in range(40):
            n = int(rng.integers(4, 30))
            event = rng.random(n) < 0.5
            survival = np.cumprod(np.where(event, 1 - 1 / np.arange(n, 0, -1), 1.0))
            left = np.sort(rng.integers(1, n, 2)).tolist()
            given = evidence(n, [100 * survival[k - 1] for k in left], half=1e-6)
            assert may_exist(given)
