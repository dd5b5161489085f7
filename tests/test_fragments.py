import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest

from netsynth.data.number import ReportedNumber
from netsynth.data.survival import ReportedSurvival
from netsynth.errors import (
    ImpossibleReportError,
    InconsistentReportWarning,
    InvalidInputError,
    NarrowIntervalWarning,
)
from netsynth.fragments import FragmentPrior, fit_fragments
from netsynth.kernels.product_limit import first_time_at, product_limit, survival_at

#: 6-MP arm (Freireich 1963), weeks.
MP_TIME = np.array(
    [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35], dtype=float
)
MP_EVENT = np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0])

EXAMPLE = {"landmark_months": [36, 60, 120], "survival": [0.83, 0.71, 0.42], "n_total": 100}


def fit(**kwargs):
    return fit_fragments(**{**EXAMPLE, "draws": 400, **kwargs})


def kaplan_meier(time, event, at):
    """Survival at one time, over the distinct times of events."""
    survival = 1.0
    for t in sorted(set(time[(event == 1) & (time <= at)])):
        survival *= 1 - ((time == t) & (event == 1)).sum() / (time >= t).sum()
    return survival


# --- published examples


def test_freireich_with_the_full_table_has_nine_events():
    fitted = product_limit(MP_TIME, MP_EVENT)
    weeks = np.arange(1.0, 36.0)
    found = fit_fragments(
        weeks,
        survival_at(fitted, weeks).estimate.round(2),
        n_total=21,
        decimals=0,
        at_risk_months=weeks,
        n_at_risk=[(week <= MP_TIME).sum() for week in weeks],
        time_step_months=1.0,
        draws=400,
    )
    assert found.n_events().of(9) == 1.0
    # the six at risk at week 22 leave two events at 22 and 23 behind
    assert found.n_events(0, 10).of(5) == 1.0
    # the median of the trial is 23 weeks
    assert (np.abs(found.median.value - 22.5) <= 0.5).all()


def test_freireich_with_a_table_every_five_weeks():
    fitted = product_limit(MP_TIME, MP_EVENT)
    weeks = np.arange(5.0, 36.0, 5.0)
    found = fit_fragments(
        weeks,
        survival_at(fitted, weeks).estimate.round(2),
        n_total=21,
        decimals=0,
        at_risk_months=weeks,
        n_at_risk=[(week <= MP_TIME).sum() for week in weeks],
        time_step_months=1.0,
        draws=400,
    )
    assert found.n_events().mode == 9


def test_the_worked_example_keeps_to_its_sharp_limits():
    # interval 1: 15-17 events; 2: 8-11; 3: 12-21; in all 35-49; SE of survival at 120 in [.0494, .0754]
    found = fit(n_at_risk=[75, 52, 18])
    for (start, stop), (least, most) in zip(
        [(0, 36), (36, 60), (60, 120), (0, 120)], [(15, 17), (8, 11), (12, 21), (35, 49)], strict=True
    ):
        events = found.n_events(start, stop).value
        assert least <= events.min()
        assert events.max() <= most
    at_the_end = survival_at(product_limit(found.time, found.event), np.array([120.0]))
    se = at_the_end.estimate * np.sqrt(at_the_end.variance)
    assert se.min() >= 0.04936 - 5e-4
    assert se.max() <= 0.07539 + 5e-4


def weekly_table():
    """Weekly numbers at risk of 6-MP, each one more or one less than it is, by turns."""
    weeks = np.arange(1.0, 36.0)
    at_risk = np.array([(week <= MP_TIME).sum() for week in weeks])
    return weeks, np.minimum(at_risk + (-1) ** np.arange(weeks.size), 21)


def test_freireich_with_a_table_read_off_a_graph():
    weeks, shifted = weekly_table()
    inputs = {
        "landmark_months": weeks,
        "survival": survival_at(product_limit(MP_TIME, MP_EVENT), weeks).estimate.round(2),
        "n_total": 21,
        "decimals": 0,
        "at_risk_months": weeks,
        "n_at_risk": shifted,
        "time_step_months": 1.0,
        "draws": 400,
    }
    with pytest.raises(ImpossibleReportError, match="at risk at"):
        fit_fragments(**inputs)
    found = fit_fragments(**inputs, at_risk_within=1)
    assert found.n_events().of(9) > 0.95
    assert np.abs(found.n_at_risk(22.0).value - 7).max() <= 1
    for week, count in zip(weeks, shifted, strict=True):
        # the table counts those whose week has not begun to pass: all but who left up to a week before
        left = (found.time > week - 1).sum(axis=1)
        assert (np.abs(left - count) <= 1).all()


# --- the data sets


def test_every_data_set_gives_what_was_printed():
    found = fit(
        n_at_risk=[75, np.nan, 18],
        n_events=45,
        median_months=100,
        max_follow_up_months=150,
        min_follow_up_months=6,
    )
    assert found.time.shape == (400, 100)
    for time, event in zip(found.time[::20], found.event[::20], strict=True):
        for at, share in zip((36, 60, 120), (0.83, 0.71, 0.42), strict=True):
            assert kaplan_meier(time, event, at) == pytest.approx(share, abs=0.005 + 1e-9)
        assert ((time >= 36).sum(), (time >= 120).sum()) == (75, 18)
        assert event.sum() == 45
        assert time.max() <= 150
        assert time[event == 0].min() >= 6
        assert (np.diff(time) >= 0).all()
        assert 99.5 <= first_time_at(product_limit(time, event), 0.5) <= 100.5
    ensemble = found.ensemble(50)
    assert (len(ensemble), ensemble.n_total) == (50, 100)
    assert found.ensemble(50).draws[3].time == pytest.approx(ensemble.draws[3].time)


def test_without_anything_about_the_end_follow_up_stops_at_the_last_time():
    found = fit()
    assert not found.has_tail
    assert found.time.max() == 120
    assert (found.time == 120).sum(axis=1).min() >= 1
    tail = fit(n_events=50)
    assert tail.has_tail
    assert tail.n_events().of(50) == 1.0
    assert tail.n_events(0, 120).mean < 50


def test_an_open_median_leaves_survival_above_a_half():
    found = fit_fragments(
        [24], [0.7], n_total=40, median_months=ReportedNumber("", "month", "not reached"), draws=200
    )
    assert np.isinf(found.median.value).sum() >= 195  # except where survival is one half in the end
    later = fit_fragments(
        [24], [0.7], n_total=40, median_months=ReportedNumber("60", "month", ">"), draws=200
    )
    assert later.last_months == 60
    assert later.survival(60.0).value.min() >= 0.5


def test_a_shortest_follow_up_after_the_last_percentage():
    found = fit_fragments(
        [24], [0.84], n_total=25, n_at_risk=[21], n_events=9, min_follow_up_months=26, draws=200
    )
    assert found.n_events().of(9) == 1.0
    assert found.n_events(0, 24).of(4) == 1.0
    assert found.time[found.event == 0].min() >= 26
    assert 26 < np.median(found.time[found.event == 0]) <= 52


def test_a_median_alone_is_enough():
    found = fit_fragments(n_total=40, median_months=21, draws=400)
    assert ((found.median.value >= 20.5) & (found.median.value <= 21.5)).all()


def test_a_table_without_percentages_is_enough():
    found = fit_fragments(n_total=40, at_risk_months=[0, 12, 24], n_at_risk=[40, 30, 12], draws=400)
    assert found.n_at_risk(12.0).of(30) == 1.0
    left = found.n_events(0, 12), found.n_censored(0, np.nextafter(12, 0))
    assert left[0].mean + left[1].mean == pytest.approx(10)


def test_counts_before_their_month():
    # three die within the sixth month: those at risk at 6 are counted before
    inputs = {"n_total": 21, "at_risk_months": [6], "n_at_risk": [21], "draws": 200}
    found = fit_fragments([6], [0.857], **inputs, time_step_months=1.0)
    assert found.n_events().mode == 3
    with pytest.raises(ImpossibleReportError, match="say so by time_step_months"):
        fit_fragments([6], [0.857], **inputs)


def test_a_reported_survival_brings_its_numbers():
    report = ReportedSurvival.from_percent(
        "Example", "OS", months=[36, 60, 120], percent=["83", "71", "42"], n_total=100, n_at_risk=[75, 52, 18]
    )
    found = fit_fragments(report, draws=400)
    assert found.label == "Example, OS"
    assert found.time == pytest.approx(fit(n_at_risk=[75, 52, 18]).time)
    assert found.fragments[:2] == ("100 patients", "83% at 36 months")


def test_decimals_are_those_that_are_shown():
    lower, upper = (
        getattr(fit_fragments([36, 60], [0.8, 0.705], n_total=60, draws=200), name)
        for name in ("lower", "upper")
    )
    assert lower == pytest.approx([0.795, 0.7045])
    assert upper == pytest.approx([0.805, 0.7055])


def test_a_number_at_risk_that_is_exact_is_as_without_the_option():
    plain = fit(n_at_risk=[75, 52, 18])
    for within in (0, [0, 0, 0]):
        found = fit(n_at_risk=[75, 52, 18], at_risk_within=within)
        assert (found.time == plain.time).all()
        assert (found.event == plain.event).all()
        assert found.log_evidence == plain.log_evidence
        assert found.fragments == plain.fragments


def test_a_number_read_off_a_graph_is_one_of_those_near_it():
    # P(|R - 75| <= 1) is the sum of the three exact ones, and its posterior their shares
    found = fit_fragments([36], [0.83], n_total=100, n_at_risk=[75], at_risk_within=1, draws=4000)
    exact = [fit_fragments([36], [0.83], n_total=100, n_at_risk=[m], draws=4000) for m in (74, 75, 76)]
    each = np.array([one.log_evidence for one in exact])
    error = 4 * max(one.log_evidence_se for one in (*exact, found))
    assert found.log_evidence == pytest.approx(np.log(np.exp(each).sum()), abs=error)
    shares = np.exp(each) / np.exp(each).sum()
    assert found.n_at_risk(36).value.tolist() == [74, 75, 76]
    assert found.n_at_risk(36).probability == pytest.approx(shares, abs=4 * 0.5 / np.sqrt(found.n_effective))
    assert found.fragments[-1] == "75 ± 1 at risk at 36 months"


def test_a_number_that_may_be_anything_says_nothing():
    nothing = fit_fragments([36], [0.83], n_total=100, draws=4000)
    found = fit_fragments([36], [0.83], n_total=100, n_at_risk=[50], at_risk_within=50, draws=4000)
    error = 4 * math.hypot(nothing.log_evidence_se, found.log_evidence_se)
    assert found.log_evidence == pytest.approx(nothing.log_evidence, abs=error)
    assert found.n_events().mean == pytest.approx(nothing.n_events().mean, abs=0.3)


def test_each_number_at_risk_may_have_its_own_error():
    found = fit(n_at_risk=[75, np.nan, 18], at_risk_within=[0, 0, 3])
    assert found.n_at_risk(36).of(75) == 1.0
    last = found.n_at_risk(120).value
    assert (last.min(), last.max()) == (15, 21)


def test_the_error_is_of_the_table_and_not_of_what_a_report_prints():
    report = ReportedSurvival.from_percent(
        "Example", "OS", months=[36, 60], percent=["83", "71"], n_total=100, n_at_risk=[75, 52]
    )
    found = fit_fragments(
        report, at_risk_months=[0, 48, 60], n_at_risk=[99, 63, 52], at_risk_within=1, draws=200
    )
    assert [found.n_at_risk(t).of(m) for t, m in ((36, 75), (60, 52))] == [1.0, 1.0]
    assert found.n_at_risk(48).value.tolist() == [62, 63, 64]
    alone = fit_fragments(report, at_risk_within=1, draws=200)
    assert alone.n_at_risk(36).value.tolist() == [74, 75, 76]


# --- what fragments say


def test_an_interval_tells_those_at_risk():
    # plain limits at 1.96 standard errors of .05, next to the binomial .0494: hardly anybody can have been lost
    late = fit_fragments(
        [120], [0.42], n_total=100, ci_lower=[0.322], ci_upper=[0.518], decimals=1, draws=400
    )
    early = fit_fragments(
        [120], [0.42], n_total=100, ci_lower=[0.283], ci_upper=[0.557], decimals=1, draws=400
    )
    assert late.n_at_risk(120).mean > early.n_at_risk(120).mean + 8
    assert late.fragments[-1] == "interval 32.2% to 51.8% at 120 months"


def test_an_interval_on_no_scale_is_left_out_with_a_warning():
    message = "fit_fragments: the interval 40% to 45% at 120 months is symmetric on none of the scales"
    with pytest.warns(InconsistentReportWarning, match=re.escape(message)):
        found = fit_fragments(
            [120], [0.401], n_total=100, ci_lower=[0.40], ci_upper=[0.45], decimals=1, draws=200
        )
    assert len(found.fragments) == 2
    assert found.warnings[0].name == "InconsistentReportWarning"


def test_the_median_follow_up_tells_those_at_risk():
    short, long = (fit(median_follow_up_months=f).n_at_risk(60).mean for f in (40, 110))
    assert short + 5 < long


def test_what_each_fragment_buys():
    # the mean over simulated studies: evidence falls always, the loss of the mean survival with every step
    rng = np.random.default_rng(31)
    evidence, loss = [], []
    for _ in range(5):
        life, followed = rng.exponential(60.0, 120), rng.uniform(24.0, 120.0, 120)
        time, event = np.minimum(life, followed), (life <= followed).astype(int)
        km = [kaplan_meier(time, event, t) for t in (30, 60, 45)]
        shared = {"n_total": 120, "draws": 300}
        series = (
            fit_fragments([60], np.round(km[1:2], 2), decimals=0, **shared),
            fit_fragments([30, 60], np.round(km[:2], 2), decimals=0, **shared),
            fit_fragments([30, 45, 60], np.round([km[0], km[2], km[1]], 2), decimals=0, **shared),
            fit_fragments(
                [30, 45, 60],
                np.round([km[0], km[2], km[1]], 2),
                decimals=0,
                n_at_risk=[(time >= t).sum() for t in (30, 45, 60)],
                n_events=int(event.sum()),
                **shared,
            ),
        )
        evidence.append([each.log_evidence for each in series])
        loss.append([each.ensemble(60).rmst(60.0).reporting_loss for each in series][:3])
    assert (np.diff(evidence, axis=1) < 0).all()
    assert (np.diff(np.mean(loss, axis=0)) < 0).all()


def test_the_page_quotes_what_each_fragment_buys():
    page = (Path(__file__).parents[1] / "docs" / "methods" / "fragment-likelihood.md").read_text(
        encoding="utf-8"
    )
    row = r"(?m)^\| [^|]+ \| (\d+) \([^|]+\) \| [^|]+ \| (\d+)% \| (\d+)% \| (-[\d.]+) \|$"
    quoted = re.findall(row, page)
    assert len(quoted) == 5
    more = {}
    steps = (
        {},
        {"n_at_risk": [np.nan, np.nan, 18]},
        {"n_at_risk": [75, 52, 18]},
        {"n_events": 45},
        {"median_months": 97},
    )
    for (events, between, mean, evidence), step in zip(quoted, steps, strict=True):
        more |= step
        found = fit(**more, draws=1000)
        ensemble = found.ensemble(200)
        assert found.n_events(0, 120).mean == pytest.approx(float(events), abs=0.6)
        assert 100 * ensemble.survival([90]).reporting_loss.item() == pytest.approx(float(between), abs=1)
        assert 100 * ensemble.rmst(120).reporting_loss == pytest.approx(float(mean), abs=1)
        assert found.log_evidence == pytest.approx(float(evidence), abs=0.1)


def test_seeds():
    same = fit(rng=5), fit(rng=5), fit(rng=6)
    assert same[0].time == pytest.approx(same[1].time)
    assert not np.allclose(same[0].time, same[2].time)


def test_another_prior():
    early = fit(prior=FragmentPrior(loss_hazard=2.0, loss_hazard_sd=0.1))
    late = fit(prior=FragmentPrior(loss_hazard=0.05, loss_hazard_sd=0.1))
    assert early.n_censored(0, 60).mean > late.n_censored(0, 60).mean + 5


# --- what cannot be


def test_contradictions_are_named():
    with pytest.raises(ImpossibleReportError) as caught:
        fit(n_at_risk=[75, 52, 50])
    assert caught.value.conflict == ("100 patients", "42% at 120 months", "50 at risk at 120 months")
    assert str(caught.value).startswith(
        "fit_fragments: no data set can produce 100 patients, 42% at 120 months and 50 at risk at 120 months together. "
        "Check these numbers."
    )
    with pytest.raises(ImpossibleReportError) as caught:
        fit_fragments([60], [0.95], n_total=13)
    assert caught.value.conflict == ("13 patients", "95% at 60 months")
    with pytest.raises(ImpossibleReportError) as caught:
        fit(n_at_risk=[75, 52, 18], n_events=20)
    assert "20 events" in caught.value.conflict
    with pytest.raises(ImpossibleReportError) as caught:
        fit(median_months=50)
    assert set(caught.value.conflict[1:]) in ({"71% at 60 months", "median 50 months"},)


def test_no_fragment_of_a_contradiction_can_be_spared():
    with pytest.raises(ImpossibleReportError) as caught:
        fit_fragments([12, 36, 60], [0.9, 0.7, 0.5], n_total=10, n_at_risk=[9, 7, 5], n_events=3, draws=200)
    named = caught.value.conflict[1:]
    arguments = {"12": (0.9, 9), "36": (0.7, 7), "60": (0.5, 5)}
    for kept in itertools.combinations(named, len(named) - 1):
        time = [t for t in arguments if f"{100 * arguments[t][0]:g}% at {t} months" in kept]
        risk = [t for t in arguments if f"{arguments[t][1]} at risk at {t} months" in kept]
        fit_fragments(
            [float(t) for t in time] or None,
            [arguments[t][0] for t in time] or None,
            n_total=10,
            at_risk_months=[float(t) for t in risk] or None,
            n_at_risk=[arguments[t][1] for t in risk] or None,
            n_events=3 if "3 events" in kept else None,
            draws=200,
        )


def test_few_ancestors_are_said_to_be_few():
    fitted, weeks = product_limit(MP_TIME, MP_EVENT), np.arange(5.0, 36.0, 5.0)
    with pytest.warns(NarrowIntervalWarning, match="draws have only .* ancestors up to 4 months"):
        found = fit_fragments(
            weeks,
            survival_at(fitted, weeks).estimate.round(3),
            n_total=21,
            decimals=1,
            at_risk_months=weeks,
            n_at_risk=[(week <= MP_TIME).sum() for week in weeks],
            time_step_months=1.0,
            draws=100,
        )
    assert found.n_distinct < 40
    assert found.n_draws == 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_total": None}, "fit_fragments: give n_total, the number of patients."),
        (
            {"landmark_months": None, "survival": None},
            "fit_fragments: nothing is given but the number of patients; give at least one number with a time.",
        ),
        ({"landmark_months": None}, "fit_fragments: percentages and numbers at risk need their times."),
        ({"n_events": 101}, "fit_fragments: 101 events among 100 patients. Check both numbers."),
        ({"at_risk_months": [12]}, "fit_fragments: at_risk_months needs n_at_risk."),
        (
            {"at_risk_months": [12, 6], "n_at_risk": [90, 80]},
            "fit_fragments: at_risk_months must increase from 0 on; got [12.0, 6.0].",
        ),
        (
            {"at_risk_months": [0, 6], "n_at_risk": [90, 80]},
            "fit_fragments: 90 at risk at 0 months, but there are 100 patients. Check both numbers.",
        ),
        (
            {"at_risk_months": [0, 6], "n_at_risk": [98, 80], "at_risk_within": 1},
            "fit_fragments: 98 ± 1 at risk at 0 months, but there are 100 patients. Check both numbers.",
        ),
        (
            {"n_at_risk": [75, 52, 18], "at_risk_within": -1},
            "fit_fragments: at_risk_within must be a whole number of at least 0; got -1.",
        ),
        (
            {"n_at_risk": [75, 52, 18], "at_risk_within": [0, 0.5, 0]},
            "fit_fragments: at_risk_within must be a whole number of at least 0; got 0.5.",
        ),
        ({"median_months": 0}, "fit_fragments: the median must be positive; got 0 months."),
        (
            {"max_follow_up_months": 100},
            "fit_fragments: something is printed for 120 months, after the longest follow-up of 100 months. "
            "Check both.",
        ),
        ({"time_step_months": -1}, "fit_fragments: time_step_months cannot be negative; got -1."),
        ({"draws": 10}, "fit_fragments: draws must be a whole number of at least 100; got 10."),
        (
            {"min_follow_up_months": -2},
            "fit_fragments: min_follow_up_months must be positive; got -2 at position 0.",
        ),
    ],
)
def test_what_is_refused(arguments, message):
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        fit(**arguments)


def test_a_table_beside_a_reported_survival():
    report = ReportedSurvival.from_percent(
        "Example", "OS", months=[36, 60], percent=["83", "71"], n_total=100, n_at_risk=[75, 52]
    )
    found = fit_fragments(report, at_risk_months=[48, 60], n_at_risk=[63, 52], draws=200)
    assert [found.n_at_risk(t).of(m) for t, m in ((36, 75), (48, 63), (60, 52))] == [1.0, 1.0, 1.0]
    with pytest.raises(
        InvalidInputError, match=re.escape("50 and 52 at risk at 60 months; give one of them.")
    ):
        fit_fragments(report, at_risk_months=[60], n_at_risk=[50])


def test_a_report_cannot_be_given_twice():
    report = ReportedSurvival.from_percent("Example", "OS", years=[3], percent=["83"], n_total=100)
    with pytest.raises(InvalidInputError, match="brings its own percentages"):
        fit_fragments(report, [0.83])


def test_the_log_evidence_is_that_of_a_simple_case():
    # one of two patients alive at the end, nobody lost before: the probability by hand, with hazards known
    prior = FragmentPrior(event_hazard_sd=0, event_power_sd=0, loss_hazard_sd=0, loss_power_sd=0)
    found = fit_fragments(
        [10], [0.5], n_total=2, n_at_risk=[1], min_follow_up_months=10, prior=prior, draws=4000
    )
    rate = (
        prior.concentration / prior.event_hazard
    )  # of the gamma increment, whose shape is the concentration
    one, two = ((rate / (rate + k)) ** prior.concentration for k in (1, 2))
    # exactly one of two leaves: 2 E[q (1 - q)] with q the share who stay
    assert found.log_evidence == pytest.approx(math.log(2 * (one - two)), abs=0.05)


def test_events_that_the_report_brings_are_met():
    printed = {"years": [3], "percent": ["83"], "n_total": 100}
    report = ReportedSurvival.from_percent("Example", "OS", **printed, n_events=30)
    found = fit_fragments(report, draws=100, rng=1)
    assert "30 events" in found.fragments
    assert found.n_events().of(30) == 1.0
    other = ReportedSurvival.from_percent("Example", "OS", **printed)
    given_ = fit_fragments(other, n_events=30, draws=100, rng=1)
    np.testing.assert_array_equal(found.time, given_.time)
    with pytest.raises(
        InvalidInputError, match=r"^Example, OS: the ReportedSurvival brings its own number of"
    ):
        fit_fragments(report, n_events=30)
