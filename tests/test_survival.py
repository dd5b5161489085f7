"""Pooled landmark survival of a review: which standard error each study gets, and that it says so."""

import math

import numpy as np
import pytest

from netsynth._landmark import read_landmark
from netsynth.data.number import ReportedNumber
from netsynth.data.review import Review
from netsynth.data.study import Study
from netsynth.data.survival import ReportedSurvival
from netsynth.datasets import load_nethm
from netsynth.errors import FewStudiesWarning, ImputedVarianceWarning, InvalidInputError, UnusableDataWarning
from netsynth.pool import pool_effects
from netsynth.survival import pool_landmark


def review_of(*reported, **study):
    names = dict.fromkeys(r.study for r in reported)
    return Review(tuple(Study(name, **study) for name in names), survival=reported)


def one(name, percent, **more):
    return ReportedSurvival.from_percent(name, "OS", years=[5], percent=[percent], **more)


def cloglog(s, se):
    """log(-log S) and its standard error by the delta method, written out."""
    return math.log(-math.log(s)), se / (s * abs(math.log(s)))


def test_published_pbc_standard_errors_pool_as_by_hand():
    # PBC trial, 5 years: 0.699 (SE 0.03845, CI 0.628-0.779) and 0.705 (0.03829, 0.634-0.784); both intervals were
    # computed on the log scale, so the standard error read back from them is the printed one within rounding
    a = one("penicillamine", "69.9", ci_lower=["62.8"], ci_upper=["77.9"], n_total=158)
    b = one("placebo", "70.5", ci_lower=["63.4"], ci_upper=["78.4"], n_total=154)
    with pytest.warns(FewStudiesWarning):
        pooled = pool_landmark(review_of(a, b), "OS", time_months=60, tau2_method="CE", ci_method="wald")
    (ya, sa), (yb, sb) = cloglog(0.699, 0.03845), cloglog(0.705, 0.03829)
    assert pooled.study_se == pytest.approx([sa, sb], rel=5e-3)  # limits are printed to 3 digits
    mean = (ya / sa**2 + yb / sb**2) / (1 / sa**2 + 1 / sb**2)
    assert pooled.natural == pytest.approx(math.exp(-math.exp(mean)), abs=2e-4)
    assert not {"ImputedVarianceWarning"} & {caution.name for caution in pooled.warnings}


def test_number_at_risk_gives_an_error_inside_the_sharp_interval():
    # PBC again, with its numbers at risk; constant hazards of death and loss, written out
    a = one("penicillamine", "69.9", n_at_risk=[82], n_total=158)
    b = one("placebo", "70.5", n_at_risk=[76], n_total=154)
    with pytest.warns(FewStudiesWarning):
        pooled = pool_landmark(review_of(a, b), time_months=60, ci_method="wald")
    s = np.array([0.699, 0.705])
    se = pooled.study_se * s * np.abs(np.log(s))
    n, m = np.array([158, 154]), np.array([82, 76])
    assert se == pytest.approx(s * np.sqrt(-np.log(s) * (1 / m - 1 / n) / np.log(n / m)), rel=1e-10)
    assert np.all(se > np.sqrt(s * (1 - s) / n))
    assert np.all(se < s * np.sqrt((1 - s) / m))


def test_without_either_the_error_is_imputed_and_named():
    reported = [one("a", "73", n_total=15), one("b", "47", n_total=31), one("c", "71", n_total=47)]
    with pytest.warns(ImputedVarianceWarning) as told:
        pooled = pool_landmark(review_of(*reported), time_months=60)
    assert str(told[0].message) == (
        "OS at 60 months: 3 of 3 studies print neither a confidence interval nor a number at risk; "
        "their standard errors are imputed: a, b and c"
    )
    assert [caution.name for caution in pooled.warnings] == ["ImputedVarianceWarning"]
    s, n = np.array([0.73, 0.47, 0.71]), np.array([15, 31, 47])
    by_hand = np.sqrt(s * (1 - s) / (n * math.sqrt(0.5))) / (s * np.abs(np.log(s)))
    assert pooled.study_se == pytest.approx(by_hand, rel=1e-12)


def test_nobody_at_risk_after_the_last_death_says_nothing_more():
    others = [one("b", "47", n_total=31), one("c", "71", n_total=47)]
    found = []
    for n_at_risk in ([0], None):
        first = one("a", "0", n_at_risk=n_at_risk, n_total=15)
        with pytest.warns(ImputedVarianceWarning, match="3 of 3"):
            found.append(pool_landmark(review_of(first, *others), time_months=60))
    moved = 0.5 / 16  # half a patient lives
    se = math.sqrt(moved * (1 - moved) / (15 * math.sqrt(0.5))) / (moved * abs(math.log(moved)))
    assert [pooled.study_se[0] for pooled in found] == pytest.approx([se, se], rel=1e-12)


@pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")
@pytest.mark.parametrize("n_at_risk", [50, 10, 2, 1, 0])
def test_all_alive_is_moved_by_half_of_all_patients_whoever_is_left(n_at_risk):
    """50 patients, and constant hazards of death and loss; the limits are those of Peto and of the binomial."""
    others = [one("b", "47", n_total=31), one("c", "71", n_total=47)]
    review = review_of(one("a", "100", n_at_risk=[n_at_risk], n_total=50), *others)
    (first,) = (each for each in review.select_survival("OS", time_months=60).chosen if each.study == "a")
    found = read_landmark(review, first, 60.0, 0.5)
    s, n, m = 50.5 / 51, 50, min(max(n_at_risk, 1), 50 * 50.5 / 51)
    assert found.survival == pytest.approx(s, rel=1e-12)
    assert found.route == "number at risk"
    assert found.variance == pytest.approx(s**2 * -math.log(s) * (1 / m - 1 / n) / math.log(n / m), rel=1e-10)
    assert (found.variance_lower, found.variance_upper) == pytest.approx(
        (s * (1 - s) / n, s**2 * (1 - s) / m)
    )
    pooled = pool_landmark(review, time_months=60)
    assert math.exp(-math.exp(pooled.study_estimate[0])) == pytest.approx(s)
    assert pooled.study_se[0] == pytest.approx(cloglog(s, math.sqrt(found.variance))[1])


@pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")
def test_all_alive_where_only_those_at_risk_are_known():
    for n_at_risk, route in ((10, "number at risk"), (1, "number at risk"), (0, "no number of patients")):
        review = review_of(one("a", "100", n_at_risk=[n_at_risk]), one("b", "47", n_total=31))
        (first,) = (each for each in review.select_survival("OS", time_months=60).chosen if each.study == "a")
        found = read_landmark(review, first, 60.0, 0.5)
        assert found.route == route
        if n_at_risk:
            assert found.survival == pytest.approx((n_at_risk + 0.5) / (n_at_risk + 1))
            assert found.variance_lower <= found.variance <= found.variance_upper


@pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")
@pytest.mark.parametrize("percent", ["100", "0"])
@pytest.mark.parametrize("n_total", [1, 2, 15])
def test_imputed_variances_lie_within_their_limits(percent, n_total):
    review = review_of(one("a", percent, n_total=n_total), one("b", "47", n_total=31))
    (first,) = (each for each in review.select_survival("OS", time_months=60).chosen if each.study == "a")
    found = read_landmark(review, first, 60.0, 0.5)
    assert found.route == "imputed"
    assert found.variance_lower <= found.variance <= found.variance_upper


@pytest.mark.filterwarnings("ignore::netsynth.errors.NetsynthWarning")
def test_nobody_at_risk_where_survival_falls_afterwards_is_not_used():
    def read(**more):
        first = ReportedSurvival.from_percent(
            "a", "OS", years=[1, 5], percent=["90", "60"], n_total=50, **more
        )
        review = review_of(first, one("b", "47", n_total=31))
        (chosen,) = (
            each for each in review.select_survival("OS", time_months=60).chosen if each.study == "a"
        )
        return read_landmark(review, chosen, 60.0, 0.5)

    typed = read(n_at_risk=[0, 0])
    assert typed[:5] == read()[:5]
    assert [words.partition(" months")[0] for words in typed.not_used] == [
        "0 at risk at 12",
        "0 at risk at 60",
    ]


@pytest.mark.filterwarnings("ignore::netsynth.errors.ImputedVarianceWarning")
def test_followup_replaces_the_assumed_maturity():
    reported = [one("a", "73", n_total=15), one("b", "47", n_total=31), one("c", "71", n_total=47)]
    review = review_of(*reported, followup=ReportedNumber("30", "month"))
    at_followup = pool_landmark(review, time_months=60)  # maturity 2 ** (-60 / 30) = 1/4
    assumed = pool_landmark(review_of(*reported), time_months=60, maturity=0.25)
    assert at_followup.study_se == pytest.approx(assumed.study_se, rel=1e-12)


@pytest.mark.filterwarnings("ignore::netsynth.errors.ImputedVarianceWarning")
def test_complete_followup_is_the_binomial():
    s, n = np.array([0.73, 0.47, 0.71]), np.array([15, 31, 47])
    reported = [one(name, f"{100 * p:g}", n_total=int(k)) for name, p, k in zip("abc", s, n, strict=True)]
    pooled = pool_landmark(review_of(*reported), time_months=60, maturity=1, measure="logit_survival")
    binomial = pool_effects(np.log(s / (1 - s)), se=1 / np.sqrt(n * s * (1 - s)), measure="logit_survival")
    assert (pooled.estimate, pooled.tau2) == pytest.approx((binomial.estimate, binomial.tau2), rel=1e-10)


@pytest.mark.filterwarnings("ignore::netsynth.errors.ImputedVarianceWarning")
def test_all_alive_is_moved_by_half_a_patient():
    reported = [one("a", "100", n_total=20), one("b", "47", n_total=31), one("c", "71", n_total=47)]
    pooled = pool_landmark(review_of(*reported), time_months=60)
    assert math.exp(-math.exp(pooled.study_estimate[0])) == pytest.approx(20.5 / 21)


@pytest.mark.filterwarnings("ignore::netsynth.errors.ImputedVarianceWarning")
def test_a_study_without_patients_is_named_and_left_out():
    reported = [
        one("a", "73", n_total=15),
        one("b", "47", n_total=31),
        one("c", "71", n_total=47),
        one("d", "60"),
    ]
    with pytest.warns(UnusableDataWarning, match="not pooled, for want of a number of patients: d"):
        pooled = pool_landmark(review_of(*reported), time_months=60)
    assert pooled.study == ("a", "b", "c")


def test_no_study_with_patients_is_an_error():
    with (
        pytest.warns(UnusableDataWarning),
        pytest.raises(InvalidInputError, match="no study prints a percentage with its number of patients"),
    ):
        pool_landmark(review_of(one("a", "73")), time_months=60)


def test_maturity_is_a_share():
    with pytest.raises(InvalidInputError, match=r"maturity must be a share in \(0, 1\]; got 0"):
        pool_landmark(review_of(one("a", "73", n_total=9)), time_months=60, maturity=0)


@pytest.mark.filterwarnings("ignore::netsynth.errors.ImputedVarianceWarning")
def test_nethm_core_pools_twelve_studies_by_author():
    pooled = pool_landmark(load_nethm(), "OS", time_months=60, sets=["core"])
    assert pooled.k == 12
    assert pooled.study[0] == "Chen 1998"
    assert 0.41 < pooled.natural < 0.94  # inside the range of the studies
