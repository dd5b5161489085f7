"""The audit as a whole: the packaged review, studies of real patients, and whatever else may be put in."""

import importlib.util
import random
import re
import warnings
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import reviews

from netsynth.audit import audit
from netsynth.data.factor import ReportedFactor
from netsynth.data.number import ReportedInterval, ReportedNumber
from netsynth.data.review import PublishedTarget, Review
from netsynth.data.study import Study
from netsynth.data.survival import ReportedSurvival, ReportedTime
from netsynth.datasets import load_nethm
from netsynth.errors import InvalidInputError, NetsynthWarning
from netsynth.results.audit import CHECKS, PUBLISHED, SEVERITIES, STATUSES

ROOT = Path(__file__).parents[1]


def detection():
    """The simulation in validation/audit_detection.py."""
    path = ROOT / "validation" / "audit_detection.py"
    specification = importlib.util.spec_from_file_location("audit_detection", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


SIMULATION = detection()


# -- the packaged review


@pytest.fixture(scope="module")
def nethm():
    return audit(load_nethm())


def test_what_is_impossible_in_the_packaged_review(nethm):
    (one,) = nethm.select(severity="impossible")
    assert (one.study, one.check) == ("glazer_2010", "median and percentages")
    assert one.message == "a median of 9.6 years, yet OS was 50.4% at 10 years"
    assert one.rows == ("SV054", "SV056")


@pytest.mark.parametrize(
    ("study", "check", "severity", "words"),
    # what the README of the review lists as conflicts, where the numbers show them
    [
        ("glazer_2010", "median and percentages", "impossible", "9.6 years"),
        (
            "mayo_2010",
            "one cohort twice",
            "incoherent",
            "123 months, and 125 months in mayo_2010, with 339 patients",
        ),
        ("mayo_2011", "one cohort twice", "incoherent", "123 months"),
        ("maxwell_2015", "one cohort twice", "suspicious", "37.6 months, and 6.5 months in maxwell_2015"),
    ],
)
def test_conflicts_that_the_numbers_show(study, check, severity, words, nethm):
    (one,) = nethm.select(study=study, check=check)
    assert one.severity == severity
    assert words in one.message


@pytest.mark.parametrize(
    ("study", "why"),
    [
        ("sarmiento_2003", "120 patients stand in a note alone; the table has 170 throughout"),
        (
            "graffbaker_2014",
            "90% free of death by disease and 88% alive are in order: the one may not be below the other",
        ),
        ("osborne_2006", "70 patients stand in a note alone; 61 are fewer than the 120 of the study"),
        (
            "kianmanesh_2008",
            "94, 94 and 79% of 19 are possible with one loss, and 85, 50 and 26% lie below them",
        ),
    ],
)
def test_conflicts_that_the_numbers_do_not_show(study, why, nethm):
    assert nethm.select(study=study) == (), why


def test_what_else_is_found_in_the_packaged_review(nethm):
    """The interval of a p-value of 0.002 is that of one below 0.0001; and limits that are symmetric on no scale."""
    known = {"glazer_2010", "mayo_2011", "scott_2019"}
    rest = [
        one for one in nethm.findings if one.study not in known or one.check == "hazard ratio and p-value"
    ]
    assert [(one.study, one.check, one.severity) for one in rest] == [
        ("spolverato_nd", "interval of survival", "incoherent"),
        ("glazer_2010", "hazard ratio and p-value", "suspicious"),
    ]
    assert "21.5% (95% CI, 5.3–44.0%)" in rest[0].message
    assert "HR 15.6 (95% CI 4.3–56.8), p = 0.002: the interval means p < 0.001" in rest[1].message


def test_the_suspected_misprint_has_its_repair(nethm):
    (one,) = nethm.select(study="maxwell_2015")
    assert "median OS in maxwell_2015 65 months instead of 6.5 months" in one.corrections


def test_what_could_not_be_audited_is_counted(nethm):
    counts = {count.check: count for count in nethm.counts}
    review = load_nethm()
    n_points = sum(len(reported.points) for reported in review.survival)
    with_n = sum(len(reported.points) for reported in review.survival if reported.n_total is not None)
    assert counts["percentage of n"].n_checked == with_n
    assert counts["percentage of n"].not_checkable == (("n not printed", n_points - with_n),)
    assert counts["half units"].not_checkable == (("number of studies not printed", 1),)
    assert len(nethm.percentages) == n_points
    assert nethm.studies[-1] == PUBLISHED


def test_fewest_losses_in_the_packaged_review(nethm):
    """By hand: 85% of 13 are 11, 83% of 13 is 5/6 of the twelve left after a loss, 92% of 36 needs many."""
    fewest = {(one.study, one.group, one.share): one.least_censored for one in nethm.percentages}
    assert fewest["hcm_wustl_2004", "overall", "85%"] == 0
    assert fewest["musunuru_2006", "surgical arm", "83%"] == 1
    assert fewest["nave_2001", "curative resection", "86%"] == 3  # 6/7
    assert (
        fewest["g1early_nd", "late recurrence", "92.0%"] == 11
    )  # one death of 36 is 97.2%, two of 25 are 92%
    assert fewest["fischer_2008", "well-differentiated carcinoma", "44%"] is None


# -- studies of real patients


@settings(max_examples=150)
@given(st.integers(0, 2**32 - 1))
def test_real_patients_are_never_impossible(seed):
    records, _ = SIMULATION.simulate(np.random.default_rng(seed))
    assert [found for found in SIMULATION.said(records) if found[0] == "impossible"] == []


def test_a_wrong_digit_among_real_patients_is_found():
    """Seen to fail: of many misprints some are impossible, and some are refused by the records."""
    answers = Counter(
        row["said"]
        for row in SIMULATION.run(SIMULATION.Task(8, 10, np.random.SeedSequence(3)))
        if "no misprint" not in row["kind"]
    )
    assert answers["impossible"] > 0
    assert answers["incoherent"] > 0
    assert answers["refused"] > 0


def test_the_simulation_repeats_itself_and_writes_where_it_is_told(tmp_path, monkeypatch, capsys):
    tasks = [SIMULATION.run(SIMULATION.Task(2, 3, np.random.SeedSequence(5))) for _ in range(2)]
    assert tasks[0] == tasks[1]
    arguments = ["x", "--studies", "20", "--misprints", "1", "--out", str(tmp_path / "out.csv")]
    monkeypatch.setattr("sys.argv", arguments)
    SIMULATION.main()
    written = pd.read_csv(tmp_path / "out.csv")
    assert set(written.columns) == {
        "kind",
        "n",
        "refused",
        "impossible",
        "incoherent",
        "suspicious",
        "nothing",
    }
    assert "percentage" in capsys.readouterr().out


def test_log_rank_and_wald_statistics_are_seldom_far_apart():
    """The page says 3 to 4% beyond 1.25 times and 1% beyond 1.5 times."""
    seldom, hardly = SIMULATION.apart(1500, np.random.SeedSequence(8))
    assert 0.02 < seldom < 0.06
    assert 0.0 < hardly < 0.02


def test_a_misprinted_ratio_that_passes_is_the_middle_of_its_interval_within_rounding():
    rng, passed, found = np.random.default_rng(11), 0, 0
    for _ in range(40):
        for factor in SIMULATION.simulate(rng).records:
            if not isinstance(factor, ReportedFactor) or float(factor.ci.lower.text) == 0:
                continue
            text = factor.hazard_ratio.text
            for i, digit in product(range(len(text)), "0123456789"):
                new = text[:i] + digit + text[i + 1 :]
                if text[i] == "." or new == text or Fraction(new) == 0:
                    continue
                try:
                    slip = replace(factor, hazard_ratio=replace(factor.hazard_ratio, text=new), pvalue=None)
                except InvalidInputError:
                    continue  # outside its interval
                half = Fraction(1, 200)  # two decimals are printed
                ratio, low, high = map(Fraction, (new, factor.ci.lower.text, factor.ci.upper.text))
                is_middle = (low - half) * (high - half) <= (ratio + half) ** 2 and (ratio - half) ** 2 <= (
                    low + half
                ) * (high + half)
                checks = {check for _, check, _, _ in SIMULATION.said([slip])}
                assert ("hazard ratio and interval" in checks) != is_middle
                passed, found = passed + is_middle, found + (not is_middle)
    assert passed
    assert found > 4 * passed


RATES = pd.read_csv(ROOT / "validation" / "results" / "audit_detection.csv").set_index("kind")


def test_the_page_quotes_the_simulation():
    text = (ROOT / "docs" / "methods" / "audit.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"(?m)^\| ([a-z, -]+) \| (\d+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", text
    )
    assert {row[0] for row in rows} == set(RATES.index)
    for kind, n, *shares in rows:
        assert int(n) == RATES.n[kind]
        quoted = dict(
            zip(
                ["refused", "impossible", "incoherent", "suspicious", "nothing"],
                map(float, shares),
                strict=True,
            )
        )
        for answer, share in quoted.items():
            assert share == pytest.approx(100 * RATES[answer][kind], abs=0.051)


def test_no_study_without_misprint_is_called_impossible():
    assert (RATES.impossible[["no misprint", "no misprint, coarse times"]] == 0).all()
    assert RATES.incoherent["no misprint"] < 0.01
    assert RATES.suspicious["no misprint"] < 0.05


# -- whatever is put in


def loudly(review):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NetsynthWarning)
        return review()


@settings(max_examples=60)
@given(reviews(), st.randoms(use_true_random=False))
def test_any_review_can_be_audited(review, shuffle):
    found = audit(review)
    assert sum(found.n_findings.values()) == len(found.findings) == sum(c.n_found for c in found.counts)
    assert [one.severity for one in found.findings] == sorted(
        (one.severity for one in found.findings), key=list(SEVERITIES).index
    )
    assert len(found.status) == len(found.studies) == len(found.labels)
    assert all(len(row) == len(found.checks) for row in found.status)
    assert {status for row in found.status for status in row} <= set(STATUSES)
    for one in found.findings:
        assert one.study in found.studies
        row, place = found.studies.index(one.study), found.checks.index(one.check)
        assert STATUSES.index(found.status[row][place]) >= STATUSES.index(one.severity)
        assert one.n_corrections >= len(one.corrections)
    for count in found.counts:
        assert count.n_found <= count.n_checked
    for one in found.percentages:
        assert not one.bound_lower > one.bound_upper

    def mixed(records):
        return tuple(shuffle.sample(records, len(records)))

    other = loudly(
        lambda: replace(
            review,
            studies=mixed(review.studies),
            survival=mixed(review.survival),
            times=mixed(review.times),
            proportions=mixed(review.proportions),
            factors=mixed(review.factors),
        )
    )
    key = [(one.severity, one.check) for one in found.findings]
    assert Counter(key) == Counter((one.severity, one.check) for one in audit(other).findings)


def test_every_way_to_ask(nethm):
    os = ReportedSurvival.from_percent("A", "OS", years=[1], percent=[95], n_total=13)
    study = Study("A", first_author="Adams", year=2001, n_patients=13)
    alone, listed, whole = audit(os), audit([os]), audit(Review((Study("A"),), survival=(os,)))
    assert alone.findings == listed.findings == whole.findings
    assert alone.studies == ("A",)
    assert audit(record for record in (study, os)).labels == ("Adams 2001",)
    assert audit(study).findings == ()
    assert audit([os, Study("B")]).studies == ("B", "A")
    assert audit(whole_review := load_nethm()).findings == nethm.findings
    assert audit(whole_review).title == whole_review.title


def test_records_of_other_endpoints_need_no_vocabulary():
    from netsynth.data.endpoint import Endpoint

    own = ReportedSurvival.from_percent("A", Endpoint("XFS"), years=[1], percent=[95], n_total=13)
    assert audit(own).findings[0].endpoint == "XFS"


def test_doubts_of_the_review_are_findings_and_no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = audit(
            [
                ReportedSurvival.from_percent("A", "OS", years=[10], percent=["50.4"]),
                ReportedTime.of("A", "OS", "9.6", "year"),
            ]
        )
    assert found.n_findings == {"impossible": 1, "incoherent": 0, "suspicious": 0}


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ("nethm", "audit takes a review, a study or reported records; got 'nethm'."),
        (5, "audit takes a review, a study or reported records; got 5."),
        ([Study("A"), 5], "audit takes a review, studies and reported records; got 5."),
        ([], "audit needs at least one study or record; got none."),
    ],
)
def test_what_cannot_be_audited(given_, message):
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        audit(given_)


def test_records_that_no_review_holds_are_refused():
    os = ReportedSurvival.from_percent("A", "OS", years=[1], percent=[95])
    with pytest.raises(InvalidInputError, match="Given twice"):
        audit([os, os])


# -- what another review concluded


def target(median, low, high, unit="percent"):
    return PublishedTarget("OS", ReportedNumber(median, unit), ReportedInterval.of(low, high, unit))


def published(*targets):
    return audit(Review((Study("A"),), targets=targets))


def test_a_published_median_outside_its_range():
    (one,) = published(target("70.5", 31, 100), target("28", 31, 100)).findings
    assert (one.study, one.severity, one.check) == (PUBLISHED, "impossible", "order of limits")
    assert one.message == "OS: 28% (range, 31–100%): the median lies outside the range"
    assert one.corrections[:2] == ("median OS 38% instead of 28%", "lower end 21% instead of 31%")
    assert published(target("30.6", 31, 100)).findings == ()


def test_half_units_of_a_published_median():
    """A median of 70.5 over whole percentages is that of an even number of studies, which is not printed."""
    counts = {
        count.check: count for count in published(target("70.5", 31, 100), target("83", 63, 100)).counts
    }
    assert counts["half units"].not_checkable == (("number of studies not printed", 1),)
    assert counts["order of limits"].n_checked == 2
    assert published(target("70.5", 31, 100)).headline == "Audit: 1 study, nothing found"


def test_a_target_in_two_units_is_not_checkable():
    odd = PublishedTarget("OS", ReportedNumber("20", "percent"), ReportedInterval.of(30, 40, "month"))
    counts = {count.check: count for count in published(odd).counts}
    assert counts["order of limits"].not_checkable == (("different units", 1),)


def test_every_check_has_its_question():
    assert list(CHECKS) == list(dict.fromkeys(CHECKS))
    assert all(question and question[0].islower() for question in CHECKS.values())


def test_all_checks_are_reached():
    """Each check is made somewhere: by the packaged review, or by studies of real patients."""
    made = {count.check for count in audit(load_nethm()).counts if count.n_checked}
    rng = np.random.default_rng(1)
    for _ in range(12):
        made |= {count.check for count in audit(SIMULATION.simulate(rng).records).counts if count.n_checked}
    assert set(CHECKS) - made <= {"half units"}


def test_random_is_not_touched():
    state = random.getstate()
    audit(load_nethm())
    assert random.getstate() == state
