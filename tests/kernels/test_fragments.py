import itertools
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import betaln

from netsynth.kernels import fragments
from netsynth.kernels.fragments import Evidence, FragmentPrior, cumulative_hazards, sample_paths

#: No spread of the four parameters, so that probabilities can be written down.
FIXED = FragmentPrior(event_hazard_sd=0.0, event_power_sd=0.0, loss_hazard_sd=0.0, loss_power_sd=0.0)


def evidence(n, times, percent=None, *, half=0.5, n_at_risk=None, within=0, n_events=-1, first_loss=0.0):
    k = len(times)
    share = np.array([np.nan if p is None else p / 100 for p in (percent or [None] * k)])
    known = np.isfinite(share)
    nan = np.full(k, np.nan)
    risk = [None] * k if n_at_risk is None else n_at_risk
    return Evidence(
        n_total=n,
        time=np.array(times, dtype=float),
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
        scale=float(times[-1]),
    )


def enumerated(given, prior):
    """Probability of every path of numbers at risk and events, by going through all orders of leaving."""
    eta, power, omega, loss_power = np.exp(prior.center)
    found = Counter()

    def hazards(t):
        follow = max(t - given.first_loss, 0.0) / (given.scale - given.first_loss)
        return eta * (t / given.scale) ** power, omega * follow**loss_power

    def visit(j, r, survival, events, probability, path):
        if j == given.time.size:
            if given.n_events in (-1, events):
                found[path] += probability
            return
        start, stop = (hazards(t) for t in (given.time[j - 1] if j else 0.0, given.time[j]))
        grown = [b - a for a, b in zip(start, stop, strict=True)]
        rate = prior.concentration / sum(grown)
        a, b = (part * rate for part in grown)
        stay, second = (rate / (rate + 1)) ** (a + b), (rate / (rate + 2)) ** (a + b)
        total = stay * (1 - stay) / (second - stay**2) - 1
        go = (1 - stay) * total
        for gone in range(r + 1):
            m = r - gone
            if given.n_at_risk[j] >= 0 and abs(given.n_at_risk[j] - m) > given.at_risk_within:
                continue
            leave = math.comb(r, gone) * math.exp(betaln(go + gone, total - go + m) - betaln(go, total - go))
            for kinds in itertools.product((0, 1), repeat=gone):
                d = sum(kinds)
                share = math.exp(betaln(a + d, b + gone - d) - betaln(a, b)) if b else float(d == gone)
                s = survival * math.prod((r - i - 1) / (r - i) for i, kind in enumerate(kinds) if kind)
                inside = given.lower[j] - 1e-9 <= s <= given.upper[j] + 1e-9
                if share == 0 or not inside or (given.is_estimate[j] and m == 0 and s > 0):
                    continue
                visit(j + 1, m, s, events + d, probability * leave * share, (*path, (m, events + d)))

    visit(0, given.n_total, 1.0, 0, 1.0, ())
    return found


CASES = {
    "percentages": evidence(8, [3, 5], [75, 45]),
    "a number at risk later": evidence(7, [3, 5], [60, None], half=5, n_at_risk=[None, 2]),
    "a number at risk off a graph": evidence(7, [3, 5], [60, None], half=5, n_at_risk=[None, 2], within=1),
    "two numbers off a graph": evidence(8, [3, 5], [75, None], half=5, n_at_risk=[4, 3], within=1),
    "off a graph, with events": evidence(7, [3, 5], n_at_risk=[5, 1], within=2, n_events=3),
    "nothing": evidence(5, [3, 5]),
    "events in all": evidence(7, [3, 4, 8], [None, 50, None], half=10, n_events=4),
    "events, nobody lost at first": evidence(
        6, [3, 4, 8], [None, 50, None], half=10, n_events=4, first_loss=2.0
    ),
    "nobody alive": evidence(6, [3, 5], [80, 0]),
    "a percentage ahead": evidence(8, [2, 3, 9], [None, None, 42]),
}


@pytest.mark.parametrize("name", CASES)
def test_against_all_orders_of_a_few_patients(name):
    given, n_draws = CASES[name], 12_000
    exact = enumerated(given, FIXED)
    total = sum(exact.values())
    found = sample_paths(given, FIXED, n_draws, np.random.default_rng(11))
    assert found.log_evidence == pytest.approx(math.log(total), abs=4 * found.log_evidence_se + 1e-9)
    drawn = Counter(
        tuple(zip(m, d, strict=True))
        for m, d in zip(found.n_at_risk.tolist(), found.n_events.tolist(), strict=True)
    )
    assert set(drawn) <= set(exact)
    # a rare path may be drawn as several copies of one particle, so that only all of them together have a normal error
    rare = {path for path, probability in exact.items() if probability < 0.01 * total}
    for paths in ({path} for path in exact.keys() - rare), [rare]:
        for some in paths:
            p = sum(exact[path] for path in some) / total
            error = math.sqrt(p * (1 - p) / found.n_effective)
            assert sum(drawn[path] for path in some) / n_draws == pytest.approx(p, abs=4 * error), some


def test_numbers_at_risk_that_are_skipped_count_all_the_same(monkeypatch):
    # every second or third of five that are possible, against all orders of leaving
    given = evidence(8, [3, 5], [75, None], half=8, n_at_risk=[4, 2], within=2)
    exact = enumerated(given, FIXED)
    total = sum(exact.values())
    for most in (3, 2):
        monkeypatch.setattr(fragments, "_AT_RISK", most)
        found = sample_paths(given, FIXED, 12_000, np.random.default_rng(23))
        assert found.log_evidence == pytest.approx(math.log(total), abs=4 * found.log_evidence_se)
        for m in range(2, 7):
            p = sum(weight for path, weight in exact.items() if path[0][0] == m) / total
            error = math.sqrt(p * (1 - p) / found.n_effective)
            assert (found.n_at_risk[:, 0] == m).mean() == pytest.approx(p, abs=4 * error + 1e-9)


def test_limits_of_numbers_at_risk_are_passed_on():
    given = evidence(20, [1, 2, 3, 4], n_at_risk=[12, None, 13, 5], within=2)
    least, most = given.at_risk_limits()
    # nobody joins: at least 11 after the first time, at most 14 after the third
    assert least.tolist() == [11, 0, 11, 3]
    assert most.tolist() == [14, 20, 14, 7]
    exact = replace(given, n_at_risk=np.array([15, -1, 13, 5]), at_risk_within=0)
    assert [limit.tolist() for limit in exact.at_risk_limits()] == [[15, 0, 13, 5], [15, 20, 13, 5]]


@pytest.mark.parametrize(("n", "m", "percent"), [(8, 3, 60), (8, 2, 40), (7, 4, 71)])
def test_a_flat_prior_of_orders(n, m, percent):
    # every order of leaving equally probable: the posterior of d is a count of orders
    counts = Counter()
    for kinds in itertools.product((0, 1), repeat=n - m):
        s = math.prod((n - i - 1) / (n - i) for i, kind in enumerate(kinds) if kind)
        counts[sum(kinds)] += abs(s - percent / 100) <= 0.03 + 1e-9
    flat = FIXED._replace(event_hazard=1.0, loss_hazard=1.0, loss_power=1.0, concentration=1e6)
    given = evidence(n, [5.0], [percent], half=3, n_at_risk=[m])
    found = sample_paths(given, flat, 8_000, np.random.default_rng(12))
    for d, count in counts.items():
        share = (found.n_events[:, 0] == d).mean()
        assert share == pytest.approx(count / sum(counts.values()), abs=0.03)


def test_83_percent_with_75_of_100_at_risk_and_a_flat_prior_of_events():
    # .946 / (.0002 + .946 + .078) = .92
    flat = FIXED._replace(event_hazard=1.0, loss_hazard=1.0, loss_power=1.0, concentration=2.0)
    given = evidence(100, [3.0], [83], n_at_risk=[75])
    found = sample_paths(given, flat, 8_000, np.random.default_rng(13))
    assert (found.n_events[:, 0] == 16).mean() == pytest.approx(0.92, abs=0.015)


def test_without_fragments_the_prior_comes_back():
    # drawn forwards from the prior by its definition, not by the filter
    prior, rng, k = FragmentPrior(), np.random.default_rng(14), 20_000
    parameter = prior.center + prior.sd * rng.standard_normal((k, 4))
    given = evidence(40, [12.0, 60.0])
    event, loss = cumulative_hazards(parameter, np.array([0.0, 12.0, 60.0]), given)
    r, events = np.full(k, 40), np.zeros(k, int)
    expected = []
    for j in range(2):
        a, b = event[:, j + 1] - event[:, j], loss[:, j + 1] - loss[:, j]
        rate = prior.concentration / (a + b)
        stay = np.exp(-rng.gamma(a * rate + b * rate) / rate)
        gone = rng.binomial(r, 1 - stay)
        d = rng.binomial(gone, rng.beta(a * rate, b * rate))
        r, events = r - gone, events + d
        expected.append((r.mean(), r.std(), events.mean(), events.std()))
    found = sample_paths(given, prior, 20_000, np.random.default_rng(15))
    assert found.log_evidence == pytest.approx(0.0, abs=0.05)
    for j in range(2):
        moments = [f(x[:, j]) for x in (found.n_at_risk, found.n_events) for f in (np.mean, np.std)]
        assert moments == pytest.approx(expected[j], rel=0.04)
    center = found.parameter.mean(axis=0)
    assert center == pytest.approx(prior.center, abs=0.05)


def test_more_fragments_are_less_probable():
    percent = [83, 71, 42]
    series = (
        evidence(100, [36, 60, 120], [83, None, None]),
        evidence(100, [36, 60, 120], [83, None, 42]),
        evidence(100, [36, 60, 120], percent),
        evidence(100, [36, 60, 120], percent, n_at_risk=[None, None, 18]),
        evidence(100, [36, 60, 120], percent, n_at_risk=[75, 52, 18]),
        evidence(100, [36, 60, 120], percent, n_at_risk=[75, 52, 18], n_events=43),
    )
    found = [sample_paths(each, FragmentPrior(), 1_000, np.random.default_rng(16)) for each in series]
    evidences = [each.log_evidence for each in found]
    assert (np.diff(evidences) < 0).all()


def test_more_draws_say_the_same():
    given = evidence(100, [36, 60, 120], [83, 71, 42])
    few, many = (sample_paths(given, FragmentPrior(), n, np.random.default_rng(17)) for n in (1_000, 8_000))
    assert few.log_evidence == pytest.approx(many.log_evidence, abs=4 * few.log_evidence_se)
    for j in range(3):
        error = few.n_events[:, j].std() / np.sqrt(few.n_effective)
        assert few.n_events[:, j].mean() == pytest.approx(many.n_events[:, j].mean(), abs=4 * error)


def test_draws_meet_every_limit():
    given = evidence(60, [12, 36, 60], [90, None, 55], n_at_risk=[None, 35, None], n_events=24)
    found = sample_paths(given, FragmentPrior(), 500, np.random.default_rng(18))
    assert (found.n_at_risk[:, 1] == 35).all()
    assert (found.n_events[:, -1] == 24).all()
    for draw in range(500):
        kinds = found.kind[draw]
        left = [60 - m for m in found.n_at_risk[draw]]
        survival = [math.prod((60 - i - 1) / (60 - i) for i in range(gone) if kinds[i] == 1) for gone in left]
        assert 0.895 <= survival[0] <= 0.905
        assert 0.545 <= survival[2] <= 0.555
        assert survival == pytest.approx(found.survival[draw].tolist())
        assert [(kinds[:gone] == 1).sum() for gone in left] == found.n_events[draw].tolist()
        assert (kinds[left[-1] :] == -1).all()


def test_a_standard_error_tells_the_number_at_risk():
    # sharp limits of the standard error of 42% are attained by 100 and by few at risk: .0494 and .0754
    given = evidence(100, [120.0], [42])
    narrow, wide = (
        sample_paths(
            replace(given, se=np.array([se]), se_sd=np.array([0.001])),
            FragmentPrior(),
            800,
            np.random.default_rng(19),
        )
        for se in (0.0500, 0.0700)
    )
    assert narrow.n_at_risk.mean() > wide.n_at_risk.mean() + 8
    # when nobody is lost before the last event, Greenwood's is the binomial standard error
    assert narrow.n_at_risk.mean() > 35


def test_the_share_followed_tells_the_number_at_risk():
    given = evidence(100, [60.0], [60])
    low, high = (
        sample_paths(
            replace(given, followed=np.array([share]), followed_sd=np.array([0.03])),
            FragmentPrior(),
            800,
            np.random.default_rng(20),
        )
        for share in (0.3, 0.8)
    )
    # m = n S G
    assert low.n_at_risk.mean() == pytest.approx(18, abs=2.5)
    assert high.n_at_risk.mean() == pytest.approx(48, abs=2.5)


def test_what_is_impossible_has_no_draws():
    given = evidence(13, [60.0], [95])
    assert sample_paths(given, FragmentPrior(), 200, np.random.default_rng(21)) is None
