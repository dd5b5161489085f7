import numpy as np
import pytest

from netsynth.kernels.fragment_times import place
from netsynth.kernels.fragments import Evidence, FragmentPrior, sample_paths

PRIOR = FragmentPrior()


def evidence(n, times, n_at_risk, first_loss=0.0):
    k = len(times)
    nan = np.full(k, np.nan)
    return Evidence(
        n_total=n,
        time=np.array(times, dtype=float),
        lower=np.zeros(k),
        upper=np.ones(k),
        is_estimate=np.zeros(k, bool),
        n_at_risk=np.array(n_at_risk),
        se=nan,
        se_sd=nan,
        followed=nan,
        followed_sd=nan,
        first_loss=first_loss,
        scale=float(times[-1]),
    )


def test_numbers_and_kinds_are_those_of_the_paths():
    given = evidence(50, [6, 24, 60], [-1, 30, 5])
    paths = sample_paths(given, PRIOR, 300, np.random.default_rng(1))
    time, event = place(paths, given, PRIOR, np.random.default_rng(2))
    for j, t in enumerate((6, 24, 60)):
        assert ((time >= t).sum(axis=1) == paths.n_at_risk[:, j]).all()
        assert (((time <= t) & (event == 1)).sum(axis=1) == paths.n_events[:, j]).all()
    assert (np.diff(time, axis=1) >= 0).all()
    assert (time > 0).all()
    assert ((time == 60).sum(axis=1) == 5).all()
    assert (event[time == 60] == 0).all()


def test_times_follow_the_hazard():
    # one interval, all hazards known: of those who leave, the share by half time is that of a power of time, once the
    # gamma process is averaged out (many patients and draws, hardly any hazard, so that nobody is used up)
    for power in (0.5, 1.0, 2.0):
        prior = FragmentPrior(
            event_hazard=0.02,
            event_hazard_sd=0.0,
            event_power=power,
            event_power_sd=0.0,
            loss_hazard=1e-6,
            loss_hazard_sd=0.0,
            loss_power=1.0,
            loss_power_sd=0.0,
        )
        given = evidence(200, [10.0], [190])
        paths = sample_paths(given, prior, 2_000, np.random.default_rng(3))
        time, _ = place(paths, given, prior, np.random.default_rng(4))
        share = (time < 5).sum() / (time < 10).sum()
        assert share == pytest.approx(0.5**power, abs=0.03)


def test_hazards_vary_as_a_dirichlet_distribution_within_an_interval():
    # the share by half time of many who leave is nearly the first half of a gamma process of shape 10
    prior = FragmentPrior(
        event_hazard=0.05,
        event_hazard_sd=0.0,
        event_power_sd=0.0,
        loss_hazard=1e-6,
        loss_hazard_sd=0.0,
        loss_power_sd=0.0,
    )
    given = evidence(4_000, [10.0], [3_800])
    paths = sample_paths(given, prior, 1_000, np.random.default_rng(5))
    time, _ = place(paths, given, prior, np.random.default_rng(6))
    share = (time < 5).sum(axis=1) / 200
    beta = 0.25 / 11  # variance of a beta variable with shapes 5 and 5
    sampling = (0.25 - beta) / 200
    assert share.var() == pytest.approx(beta + sampling, rel=0.15)
