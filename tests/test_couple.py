import json
import math
import re

import numpy as np
import pytest

from netsynth.couple import couple_arms
from netsynth.errors import (
    InconsistentReportWarning,
    InvalidInputError,
    NarrowIntervalWarning,
    UnusableDataWarning,
)
from netsynth.fragments import fit_fragments
from netsynth.kernels.product_limit import product_limit, survival_at
from netsynth.kernels.two_arms import cox, log_rank, risk_sets
from netsynth.results.ensemble import PseudoData

#: Freireich's trial (1963), weeks in remission; Cox's ratio by Efron is 0.207604 (0.092513-0.465873), p 4.169e-5.
MP_TIME = np.array(
    [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35], dtype=float
)
MP_EVENT = np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0])
PLACEBO_TIME = np.array([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], dtype=float)
PLACEBO_EVENT = np.ones(21, dtype=int)
RATIO = "0.21 (0.09-0.47)"


def arm(time, event, weeks, label, **kwargs):
    """Fitted from whole percentages and numbers at risk of these weeks."""
    return fit_fragments(
        weeks,
        survival_at(product_limit(time, event), weeks).estimate.round(2),
        n_total=time.size,
        decimals=0,
        at_risk_months=weeks,
        n_at_risk=[(week <= time).sum() for week in weeks],
        time_step_months=1.0,
        label=label,
        draws=400,
        **kwargs,
    )


@pytest.fixture(scope="module")
def trial():
    """6-MP and placebo with a table every ten weeks."""
    mp = arm(MP_TIME, MP_EVENT, np.array([10.0, 20, 30]), "6-MP", max_follow_up_months=35)
    return mp, arm(PLACEBO_TIME, PLACEBO_EVENT, np.array([10.0, 20]), "placebo", n_events=21)


def cox_by_hand(treated, control):
    """Log hazard ratio and standard error when no events are tied, by halving the score's interval."""
    times = np.concatenate([treated.time[treated.event == 1], control.time[control.event == 1]])
    r1 = np.array([(treated.time >= t).sum() for t in times])
    r0 = np.array([(control.time >= t).sum() for t in times])
    low, high = -20.0, 20.0
    for _ in range(80):
        beta = (low + high) / 2
        p = r1 * math.exp(beta) / (r0 + r1 * math.exp(beta))
        low, high = (beta, high) if treated.event.sum() > p.sum() else (low, beta)
    return beta, 1 / math.sqrt((p * (1 - p)).sum())


# --- the trial of 6-MP


def test_every_pair_gives_the_printed_ratio_and_interval(trial):
    found = couple_arms(*trial, printed_hr=RATIO, n_draws=60)
    assert found.is_exact
    assert found.n_agreeing >= 60
    for treated, control in zip(found.treated_draws.draws, found.control_draws.draws, strict=True):
        log_hr, se = cox_by_hand(treated, control)
        shown = [math.exp(log_hr + k * 1.959964 * se) for k in (0, -1, 1)]
        assert shown == pytest.approx([0.21, 0.09, 0.47], abs=0.005 + 1e-9)
    assert found.printed == "hazard ratio 0.21 (0.09–0.47)"
    assert (found.treated_draws.label, found.control_draws.label) == ("6-MP", "placebo")


@pytest.mark.parametrize("printed", [{"printed_hr": "0.21"}, {"printed_hr": RATIO}])
def test_coupling_finds_the_ratio_of_the_trial(trial, printed):
    found = couple_arms(*trial, **printed)
    truth, before, after = math.log(0.207604), found.log_hr_before, found.log_hr
    assert abs(after.estimate - truth) < 0.02  # of which rounding may be the most
    assert abs(after.estimate - truth) < abs(before.estimate - truth)
    assert after.reporting_loss < 0.01 < before.reporting_loss
    # nearer to the standard error of the trial
    assert abs(after.se - 0.412397) < abs(before.se - 0.412397)
    if printed["printed_hr"] == RATIO:
        low, high = after.natural_interval()
        assert 0.085 < low < 0.095
        assert 0.465 < high < 0.475
    assert after.label == ("log hazard ratio",)


def test_with_the_full_table_nothing_is_left_to_buy():
    weeks = np.arange(1.0, 36.0)
    mp = arm(MP_TIME, MP_EVENT, weeks, "6-MP", max_follow_up_months=35)
    placebo = arm(PLACEBO_TIME, PLACEBO_EVENT, weeks[:23], "placebo", n_events=21)
    found = couple_arms(mp, placebo, printed_hr="0.21")
    assert found.treated_events.of(9) == pytest.approx(1.0)
    assert found.control_events.of(21) == pytest.approx(1.0)
    assert mp.n_events().of(9) == 1.0


def test_the_log_rank_p_as_evidence(trial):
    found = couple_arms(*trial, printed_pvalue="0.00004", n_draws=40)
    for treated, control in zip(found.treated_draws.draws, found.control_draws.draws, strict=True):
        chi2 = float(log_rank(risk_sets(*treated, *control)).chi2)
        assert 0.000035 <= math.erfc(math.sqrt(chi2 / 2)) <= 0.000045
    bound = couple_arms(*trial, printed_hr="0.21, p<0.001")
    assert bound.printed == "hazard ratio 0.21 and log-rank p <0.001"
    # the interval of the ratio is far from 1, so that p says nothing more
    assert bound.n_agreeing == couple_arms(*trial, printed_hr="0.21").n_agreeing


def test_the_other_way_round(trial):
    found = couple_arms(*trial[::-1], printed_hr="4.8 (2.1-10.8)")
    assert found.is_exact
    assert found.log_hr.natural == pytest.approx(1 / 0.207604, rel=0.02)


# --- what a coupling is


def test_weights_are_the_shares_of_agreeing_pairs():
    # every pair of 100 data sets of both arms, one by one
    few = [
        fit_fragments([10.0, 20.0], s, n_total=21, n_at_risk=m, n_events=d, draws=100, label=label, rng=4)
        for s, m, d, label in (([0.75, 0.63], [14, 8], 9, "a"), ([0.38, 0.10], [8, 2], 21, "b"))
    ]
    found = couple_arms(*few, printed_hr="0.21", n_draws=50, n_pairs=10_000)
    assert found.n_tried == 100 * 100
    agrees = np.zeros((100, 100))
    for i in range(100):
        time, event = (np.tile(part[i], (100, 1)) for part in (few[0].time, few[0].event))
        log_hr = cox(risk_sets(time, event, few[1].time, few[1].event)).log_hr
        agrees[i] = (log_hr >= math.log(0.205)) & (log_hr <= math.log(0.215))
    assert found.n_agreeing == agrees.sum()
    assert found.treated_weight == pytest.approx(agrees.sum(axis=1) / agrees.sum())
    assert found.control_weight == pytest.approx(agrees.sum(axis=0) / agrees.sum())
    share = agrees.sum(axis=1) / agrees.sum()
    assert found.n_effective <= 1 / (share**2).sum() + 1e-9


def test_events_are_those_of_the_weighted_data_sets(trial):
    found = couple_arms(*trial, printed_hr="0.21")
    events = trial[0].event.sum(axis=1)
    assert found.treated_events.mean == pytest.approx(events @ found.treated_weight)
    assert found.treated_events.probability.sum() == pytest.approx(1.0)
    assert found.control_events.of(21) == pytest.approx(1.0)
    frame = found.summary_frame()
    assert frame["quantity"].unique().tolist() == ["hazard ratio", "events, 6-MP", "events, placebo"]
    row = frame[(frame["quantity"] == "events, 6-MP") & frame["is_coupled"]].iloc[0]
    assert row["estimate"] == pytest.approx(found.treated_events.mean)
    assert (row["lower"], row["upper"]) == found.treated_events.interval()


@pytest.mark.filterwarnings("ignore::netsynth.errors.NarrowIntervalWarning")  # a trial far out has few pairs
def test_coupling_brings_the_answer_nearer_to_that_of_the_patients():
    # arms of exponential survival with a ratio of 0.6; a report with two percentages an arm, and the ratio
    rng = np.random.default_rng(2)
    wrong = {
        "ratio before": [],
        "ratio": [],
        "events before": [],
        "events": [],
        "by p before": [],
        "by p": [],
    }
    for _ in range(4):
        patients = []
        for rate in (0.6 * math.log(2) / 30, math.log(2) / 30):
            life, followed = rng.exponential(1 / rate, 60), np.minimum(rng.uniform(12, 96, 60), 60)
            patients.append(PseudoData(np.minimum(life, followed), (life <= followed).astype(int)))
        arms = [
            fit_fragments(
                [12, 36],
                survival_at(product_limit(*data), np.array([12.0, 36])).estimate.round(2),
                n_total=60,
                decimals=0,
                max_follow_up_months=60,
                label=label,
                draws=400,
            )
            for data, label in zip(patients, ("new", "old"), strict=True)
        ]
        sets = risk_sets(*patients[0], *patients[1])
        log_hr, se = cox_by_hand(*patients)
        ends = [math.exp(log_hr + k * 1.959964 * se) for k in (0, -1, 1)]
        found = couple_arms(*arms, printed_hr="{:.2f} ({:.2f}-{:.2f})".format(*ends), n_pairs=30_000)
        pvalue = math.erfc(math.sqrt(float(log_rank(sets).chi2) / 2))
        by_p = couple_arms(*arms, printed_pvalue=f"{pvalue:.3f}")
        wrong["ratio before"].append(abs(found.log_hr_before.estimate - log_hr))
        wrong["ratio"].append(abs(found.log_hr.estimate - log_hr))
        wrong["by p before"].append(abs(by_p.log_hr_before.estimate - log_hr))
        wrong["by p"].append(abs(by_p.log_hr.estimate - log_hr))
        events = [data.event.sum() for data in patients]
        before = [each.n_events().mean for each in arms]
        after = [found.treated_events.mean, found.control_events.mean]
        wrong["events before"].append(np.abs(np.subtract(before, events)).sum())
        wrong["events"].append(np.abs(np.subtract(after, events)).sum())
    mean = {name: np.mean(values) for name, values in wrong.items()}
    assert mean["ratio"] < 0.2 * mean["ratio before"]
    assert mean["by p"] < mean["by p before"]
    # the width of the interval tells how many events there were
    assert mean["events"] < 0.7 * mean["events before"]


def test_the_same_seed_gives_the_same_pairs(trial):
    one, same, other = (couple_arms(*trial, printed_hr="0.21", rng=seed) for seed in (1, 1, 2))
    assert (one.treated_draws.draws[7].time == same.treated_draws.draws[7].time).all()
    assert one.log_hr.estimate == same.log_hr.estimate
    assert one.log_hr.estimate != other.log_hr.estimate


def test_analyses_of_the_pairs(trial):
    found = couple_arms(*trial, printed_hr="0.21")

    def events(treated, control):
        return treated.event.sum() - control.event.sum(), 1.0

    answer = found.treated_draws.combine(events, found.control_draws)
    assert answer.n_draws == 100
    assert -13 < answer.estimate < -10


# --- when it cannot be done as asked


def test_when_no_pair_agrees_the_nearest_count_and_it_is_said(trial):
    message = (
        r"6-MP against placebo: none of 50000 pairs of data sets gives hazard ratio 0\.90; the nearest, with a hazard "
        r"ratio of 0\.\d+ and log-rank p .+, is (\d\.\d) standard errors away, and pairs are weighted by a normal "
        r"kernel of that width; is it adjusted or stratified, or of other patients\?"
    )
    with pytest.warns(InconsistentReportWarning, match=message):
        found = couple_arms(*trial, printed_hr="0.90")
    assert not found.is_exact
    assert found.n_agreeing == 0
    assert found.kernel_width == found.nearest > 1
    assert re.search(message, str(found)).group(1) == f"{found.nearest:.1f}"
    # towards the print, as far as it goes
    assert found.log_hr.estimate > found.log_hr_before.estimate
    assert found.treated_weight.sum() == pytest.approx(1.0)
    # half the squared distance is the logarithm of a weight: the nearest data set counts most
    assert "none of 50000 pairs of data sets agrees; weighted by a normal kernel" in str(found)


def test_a_ratio_of_the_other_arm_is_suspected(trial):
    with pytest.warns(
        InconsistentReportWarning, match=r"its inverse, 0\.21, would be nearer: is it that of placebo\?"
    ):
        couple_arms(*trial, printed_hr="4.8", n_pairs=500)


def test_a_p_that_no_pair_gives(trial):
    with pytest.warns(
        InconsistentReportWarning, match=r"gives log-rank p 0\.90; .* is it of other patients\?"
    ):
        found = couple_arms(*trial, printed_pvalue="0.90", n_pairs=500)
    assert found.nearest == found.kernel_width


def test_few_pairs_are_said_to_be_few(trial):
    with pytest.warns(
        NarrowIntervalWarning, match=r"only \d pairs? agrees? with hazard ratio 0\.2076, .*more pairs"
    ):
        found = couple_arms(*trial, printed_hr="0.2076", n_pairs=2_000)
    assert 0 < found.n_agreeing < 10
    assert found.is_exact
    assert found.warnings[0].name == "NarrowIntervalWarning"
    assert found.n_effective <= found.n_agreeing + 1e-9


def test_follow_up_that_goes_on_is_said_to():
    inputs = {"landmark_months": [12, 24], "n_total": 60, "draws": 200}
    a = fit_fragments(survival=[0.8, 0.6], label="a", n_at_risk=[45, 20], **inputs)
    b = fit_fragments(survival=[0.7, 0.5], label="b", n_at_risk=[40, 12], **inputs)
    message = (
        "a against b: some 20 patients of a are still followed at 24 months, where its data sets end, and the printed "
        "numbers may count events after it; give n_events or max_follow_up_months to fit_fragments"
    )
    with (
        pytest.warns(NarrowIntervalWarning, match=f"^{re.escape(message)}$"),
        pytest.warns(NarrowIntervalWarning, match="some 12 patients of b"),
    ):
        found = couple_arms(a, b, printed_hr="0.71")
    assert [each.name for each in found.warnings] == ["NarrowIntervalWarning"] * 2
    whole = [
        fit_fragments(survival=s, label=label, max_follow_up_months=36, **inputs)
        for s, label in (([0.8, 0.6], "a"), ([0.7, 0.5], "b"))
    ]
    assert couple_arms(*whole, printed_hr="0.71").warnings == ()


def test_an_arm_without_events():
    none = fit_fragments([12], [1.0], n_total=20, n_events=0, label="none", draws=100)
    some = fit_fragments([12], [0.8], n_total=20, max_follow_up_months=24, label="some", draws=100)
    with pytest.raises(
        InvalidInputError,
        match=re.escape(
            "none against some: none of 10000 pairs of data sets can be held against hazard ratio 0.5, since there are "
            "no events in none. Check the arms and the printed numbers."
        ),
    ):
        couple_arms(none, some, printed_hr="0.5")
    # a log-rank p exists all the same; the ratio is 0 and has no standard error
    with pytest.warns(UnusableDataWarning, match="log hazard ratio|estimate is undefined"):
        found = couple_arms(none, some, printed_pvalue="<0.3")
    assert math.isnan(found.log_hr.estimate)
    assert found.n_agreeing >= 100


def test_what_is_refused(trial):
    mp, placebo = trial
    with pytest.raises(InvalidInputError, match=r"both arms are called '6-MP'\. Give each its own label"):
        couple_arms(mp, mp, printed_hr="0.21")
    with pytest.raises(InvalidInputError, match="takes two arms from fit_fragments; got PseudoEnsemble"):
        couple_arms(mp, placebo.ensemble(10), printed_hr="0.21")
    with pytest.raises(InvalidInputError, match="6-MP against placebo: there is nothing to couple by"):
        couple_arms(mp, placebo)
    with pytest.raises(InvalidInputError, match="printed_hr must be a hazard ratio above 0"):
        couple_arms(mp, placebo, printed_hr="OR 0.5 (0.3-0.8)")
    with pytest.raises(InvalidInputError, match="n_pairs must be a whole number of at least 100; got 10"):
        couple_arms(mp, placebo, printed_hr="0.21", n_pairs=10)
    with pytest.raises(InvalidInputError, match="n_draws must be a whole number of at least 2; got 1"):
        couple_arms(mp, placebo, printed_hr="0.21", n_draws=1)


def test_arms_without_labels_are_named_by_their_place():
    arms = [fit_fragments([12], [s], n_total=30, max_follow_up_months=20, draws=100) for s in (0.8, 0.6)]
    found = couple_arms(*arms, printed_hr="0.44")
    assert str(found).startswith("treated against control, coupled by hazard ratio 0.44\n")


# --- shown


def test_shown(trial):
    found = couple_arms(*trial, printed_hr=RATIO)
    lines = str(found).splitlines()
    assert lines[0] == "6-MP against placebo, coupled by hazard ratio 0.21 (0.09–0.47)"
    assert lines[1].split() == ["apart", "coupled"]
    assert [line.split("  ")[1] for line in lines[2:5]] == ["hazard ratio", "events, 6-MP", "events, placebo"]
    assert lines[5].startswith(f"  {found.n_agreeing} of {found.n_tried} pairs of data sets agree, worth ")
    assert "<table" in found._repr_html_()
    plain = found.to_dict()
    assert json.loads(json.dumps(plain))["n_agreeing"] == found.n_agreeing
    assert len(plain["quantities"]) == 6
    with pytest.raises(ValueError, match="read-only"):
        found.treated_weight[0] = 1.0
