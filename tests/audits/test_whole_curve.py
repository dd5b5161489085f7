"""All that is printed of a curve together, against every order of events and losses of a few patients."""

import itertools
from fractions import Fraction
from functools import cache
from unittest.mock import patch

import numpy as np
import pytest

from netsynth.audit import audit
from netsynth.audits.edits import Corrections
from netsynth.audits.whole_curve import ALONE, MOST, TOO_LARGE
from netsynth.data.endpoint import find_endpoint
from netsynth.data.number import ReportedNumber
from netsynth.data.proportion import ReportedProportion
from netsynth.data.study import Group
from netsynth.data.survival import ReportedSurvival, SurvivalPoint

CHECK = "curve as a whole"


# -- by hand


def test_two_percentages_that_go_each_but_not_together(curve):
    """67% of five is 2/3: two were lost and one of three died, after which 1/3 or less comes and never 2/5."""
    for alone in (curve([1], [67], 5), curve([2], [40], 5), curve([1, 2], [67, 33], 5)):
        assert audit(alone).findings == ()
    found = audit(curve([1, 2], [67, 40], 5))
    (one,) = found.findings
    assert (one.check, one.severity, one.explanation) == (CHECK, "impossible", "")
    assert one.message == (
        "67% at 1 year and 40% at 2 years of 5 patients: no order of events and losses gives them together"
    )
    # 3/5 and 2/5 without a loss
    assert "OS at 1 year 60% instead of 67%" in one.corrections


def test_events_that_the_percentages_leave_no_room_for(find, curve):
    """67% of five needs two losses, so that at most three have the event."""
    assert find(CHECK, curve([1], [67], 5, n_events=3)) == ()
    (one,) = find(CHECK, curve([1], [67], 5, n_events=4))
    assert one.message.startswith("67% at 1 year and 4 events in all of 5 patients: no order")
    assert "events 3 instead of 4" in one.corrections


def test_a_number_at_risk_that_does_not_fit(find, curve):
    """With five left at 100% one of six was lost, and 83% is five sixths, which needs all six at the first event."""
    assert find(CHECK, curve([1, 2], [100, 80], 6, n_at_risk=[5, None])) == ()
    (one,) = find(CHECK, curve([1, 2], [100, 83], 6, n_at_risk=[5, None]))
    assert one.message == (
        "5 at risk at 1 year, 100% at 1 year and 83% at 2 years of 6 patients: no order of events and losses gives "
        "them together"
    )


def test_only_what_contradicts_is_named(find, curve):
    printed = curve([1, 2, 3], [67, 40, 0], 5, n_at_risk=[None, 2, None], n_events=3)
    (one,) = find(CHECK, printed)
    assert one.message.startswith("67% at 1 year and 40% at 2 years of 5 patients: no order")


def test_events_printed_as_a_proportion(find, curve):
    died = ReportedProportion("A", "deaths", 4, 5, None, Group(n_total=5), row_id="P1")
    (one,) = find(CHECK, curve([1], [67], 5), died)
    assert "4 events in all" in one.message
    assert one.rows == ("P1",)


def test_what_is_not_held_together(tally, curve):
    assert tally(CHECK, curve([1], [67], 5)) is None
    assert tally(CHECK, curve([1, 2], [67, 33])) == (0, 0, {"n not printed": 1})
    assert tally(CHECK, curve([1, 2], [20, 40], 5, "recurrence")) == (0, 0, {"a cumulative incidence": 1})
    assert tally(CHECK, curve([1, 2], [67, 33], MOST // 2 + 1)) == (0, 0, {TOO_LARGE: 1})
    assert tally(CHECK, curve([1, 2], [67, 33], MOST // 2)) == (1, 0, {})
    assert tally(CHECK, curve([1, 2], [95, 31], 13)) == (0, 0, {ALONE: 1})
    events = curve([3, 5], [83, 71], 100, n_at_risk=[75, 52], n_events=2)
    assert tally(CHECK, events) == (0, 0, {ALONE: 1})


def test_about_contradicts_nothing(tally):
    about = [
        SurvivalPoint(ReportedNumber(year, "year"), ReportedNumber(text, "percent", "~"))
        for year, text in (("1", "67"), ("2", "40"))
    ]
    record = ReportedSurvival("A", find_endpoint("OS"), tuple(about), Group(n_total=5), 4)
    assert tally(CHECK, record) is None


def test_changes_are_looked_for_where_that_is_cheap(find, curve):
    """49/50 of 51 patients needs one loss and 48/49 of 50 as well, so that not all can have the event."""
    (many,) = find(CHECK, curve([1], ["98.00"], 51, n_events=51))
    (fewer,) = find(CHECK, curve([1], ["97.96"], 50, n_events=50))
    assert (many.corrections, many.n_corrections) == ((), 0)
    assert "events 40 instead of 50" in fewer.corrections


# -- every order of a few patients


@cache
def reports(n):
    """Survival and number at risk at two times, and all events, of every n patients; exact.

    A word says who leaves by an event (1) and who by a loss; a1 and a2 leave before the times, b1 and b2 by them, of
    those at exactly a time the events first.
    """
    found = set()
    for word in itertools.product((0, 1), repeat=n):
        survival = [Fraction(1)]
        for k, event in enumerate(word):
            survival.append(survival[-1] * Fraction(n - k - event, n - k))
        for a1, b1, a2, b2 in itertools.combinations_with_replacement(range(n + 1), 4):
            if all(word[a:b] == tuple(sorted(word[a:b], reverse=True)) for a, b in ((a1, b1), (a2, b2))):
                found.add((survival[b1], n - a1, survival[b2], n - a2, sum(word)))
    return found


def printed_as(n, p1, m1, p2, m2, d):
    """Whether some patients print these figures, None being one that is not printed."""
    return any(
        abs(100 * s1 - p1) * 2 <= 1
        and abs(100 * s2 - p2) * 2 <= 1
        and m1 in (None, r1)
        and m2 in (None, r2)
        and d in (None, events)
        for s1, r1, s2, r2, events in reports(n)
    )


def said(n, p1, m1, p2, m2, d):
    """Whether the audit calls the figures impossible, by this check alone, and by any."""
    record = ReportedSurvival.from_percent(
        "A", "OS", years=[1, 2], percent=[p1, p2], n_at_risk=[m1, m2], n_total=n, n_events=d
    )
    with patch("netsynth.audits.case.smallest_corrections", return_value=Corrections((), 0)):
        found = audit(record).select(severity="impossible")
    return any(one.check == CHECK for one in found), bool(found)


@pytest.mark.parametrize("n", [4, 6])
def test_what_some_patients_print_is_never_impossible(n):
    rng = np.random.default_rng(n)
    every = sorted(reports(n))
    for i in rng.choice(len(every), 60, replace=False):
        s1, m1, s2, m2, d = every[i]
        keep = rng.random(3) < 0.6
        figures = [round(100 * s1), m1 if keep[0] else None, round(100 * s2), m2 if keep[1] else None]
        assert said(n, *figures, d if keep[2] else None) == (False, False)


def test_what_no_patients_print_is_found_nearly_always():
    """What is missed has losses before events at exactly a time, which is allowed so as not to be wrong elsewhere."""
    n, answers = 5, []
    shares = [p for p in range(101) if any(abs(100 * s - p) * 2 <= 1 for s, *_ in reports(n))]
    rng = np.random.default_rng(3)
    for _ in range(60):
        p2, p1 = sorted(int(p) for p in rng.choice(shares, 2))
        m2, m1 = sorted(int(m) for m in rng.integers(1, n + 1, 2))
        m1, m2, d = (
            figure if kept else None
            for figure, kept in zip((m1, m2, int(rng.integers(0, n + 1))), rng.random(3) < 0.5, strict=True)
        )
        together, by_any = said(n, p1, m1, p2, m2, d)
        if printed_as(n, p1, m1, p2, m2, d):
            assert not by_any
        else:
            answers.append((together, by_any))
    found = np.array(answers)
    assert found.shape[0] > 30
    assert found[:, 1].mean() > 0.9
    assert found[:, 0].mean() > 0.5  # no other check says so
