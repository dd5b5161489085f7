"""Pooled proportions of a review."""

import re
import warnings

import pytest

from netsynth.counts import pool_proportions
from netsynth.data.proportion import ReportedProportion
from netsynth.data.review import Review
from netsynth.data.study import Study
from netsynth.datasets import load_nethm
from netsynth.errors import (
    InvalidInputError,
    NarrowIntervalWarning,
    UnusableDataWarning,
)
from netsynth.proportions import pool_outcome
from netsynth.results.counts import PooledCounts


def review_of(*proportions):
    return Review(tuple(Study(p.study) for p in proportions), proportions=proportions)


def test_counts_percent_of_n_and_percent_alone():
    review = review_of(
        ReportedProportion.of("counts", "relief", n_events=12, n_total=17, percent="70.6"),
        ReportedProportion.of("percent of n", "relief", n_total=56, percent="75"),  # 42 of 56
        ReportedProportion.of("more counts", "relief", n_events=20, n_total=23),
        ReportedProportion.of("percent alone", "relief", percent="90"),
    )
    with pytest.warns(UnusableDataWarning) as told:
        pooled = pool_outcome(review, "relief")
    assert str(told[0].message) == "relief: not pooled, for want of a number of patients: percent alone"
    by_hand = pool_proportions([12, 42, 20], n_total=[17, 56, 23])
    assert (pooled.estimate, pooled.se, pooled.tau2) == (by_hand.estimate, by_hand.se, by_hand.tau2)
    assert pooled.study == ("counts", "percent of n", "more counts")
    assert pooled.warnings[0].name == "UnusableDataWarning"


def test_a_percentage_that_many_counts_print_as_takes_the_nearest():
    # 23.6% of 1000 prints as 24%, and so do 235 to 244 of 1000; 240 is the nearest to 24%
    review = review_of(
        ReportedProportion.of("a", "relief", n_total=1000, percent="24"),
        ReportedProportion.of("b", "relief", n_events=300, n_total=1000),
        ReportedProportion.of("c", "relief", n_events=270, n_total=1000),
    )
    by_hand = pool_proportions([240, 300, 270], n_total=[1000, 1000, 1000])
    assert pool_outcome(review, "relief").estimate == by_hand.estimate


def test_no_patients_at_all_is_an_error():
    with (
        pytest.warns(UnusableDataWarning),
        pytest.raises(
            InvalidInputError, match="relief: no study prints a proportion with its number of patients"
        ),
    ):
        pool_outcome(review_of(ReportedProportion.of("a", "relief", percent="90")), "relief")


def test_nethm_symptom_relief():
    with pytest.warns(UnusableDataWarning):
        pooled = pool_outcome(load_nethm(), "symptom_relief")
    assert isinstance(pooled, PooledCounts)
    # the studies that print patients: 8/8, 11/11, 12/17, 20/23
    by_study = dict(zip(pooled.study, pooled.study_estimate, strict=True))
    assert set(by_study) == {"Norton 2003", "hcm_wustl_2004", "Eriksson 2008", "Du 2015"}
    assert by_study["Eriksson 2008"] == pytest.approx(0.8754687373539)  # ln(12/5)


def test_none_or_all_in_every_study_is_refused_but_on_the_arcsine():
    review = review_of(
        ReportedProportion.of("a", "mortality", n_events=0, n_total=16),
        ReportedProportion.of("b", "mortality", n_events=0, n_total=21),
        ReportedProportion.of("c", "mortality", n_events=0, n_total=15),
    )
    message = (
        "mortality: in every study none or all of the patients had it, so there is nothing to estimate on the logit "
        "scale. Use summarize_outcomes, or model='normal_normal' with measure='arcsine_proportion'."
    )
    for model in ("binomial_normal", "beta_binomial", "normal_normal"):
        with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
            pool_outcome(review, "mortality", model=model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NarrowIntervalWarning)
        arcsine = pool_outcome(review, "mortality", model="normal_normal", measure="arcsine_proportion")
    assert arcsine.natural == 0


def test_the_methods_are_handed_on():
    review = review_of(
        *(
            ReportedProportion.of(name, "relief", n_events=x, n_total=n)
            for name, x, n in (("a", 12, 17), ("b", 42, 56), ("c", 20, 23))
        )
    )
    by_hand = pool_proportions(
        [12, 42, 20], n_total=[17, 56, 23], model="normal_normal", tau2_method="DL", ci_method="wald"
    )
    handed_on = pool_outcome(review, "relief", model="normal_normal", tau2_method="DL", ci_method="wald")
    assert handed_on.confidence_interval() == by_hand.confidence_interval()
    assert (handed_on.tau2_method, handed_on.ci_method) == ("DL", "wald")
