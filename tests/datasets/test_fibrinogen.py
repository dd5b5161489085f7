"""The fibrinogen cohorts that come with the package, held against what is published of them."""

import pytest

from netsynth.audit import audit
from netsynth.datasets import load_fibrinogen
from netsynth.pool import pool_effects
from netsynth.prognostic import summarize_factors


@pytest.fixture(scope="module")
def review():
    return load_fibrinogen()  # warnings are errors here, so this also shows that none is given


@pytest.fixture(scope="module")
def ratios(review):
    return summarize_factors(review).row("fibrinogen", "CHD").ratios("adjusted")


# Thompson and others (2010), Int J Epidemiol 39:1345-1359, the table of combined ratios, adjusted for age:
# random effects (DerSimonian-Laird) 1.57 (1.47-1.67), log 0.450 (0.033), tau2 0.018; fixed effect 1.52 (1.47-1.57),
# log 0.419 (0.018)
@pytest.mark.parametrize(
    ("method", "log_hr", "se", "interval"),
    [("DL", 0.450, 0.033, (1.47, 1.67)), ("CE", 0.419, 0.018, (1.47, 1.57))],
)
def test_published_pooled_ratios(ratios, method, log_hr, se, interval):
    pooled = pool_effects(
        [r.log_hr for r in ratios.used],
        se=[r.se for r in ratios.used],
        measure="log_hr",
        tau2_method=method,
        ci_method="wald",
    )
    assert (pooled.estimate, pooled.se) == pytest.approx(
        (log_hr, se), abs=1e-3
    )  # ratios are printed to 2 decimals
    assert tuple(pooled.natural_interval()) == pytest.approx(interval, abs=5e-3)
    if method == "DL":
        assert pooled.tau2 == pytest.approx(0.018, abs=5e-4)
        assert 100 * pooled.i2 == pytest.approx(64, abs=1)


def test_size_is_that_of_the_collaboration(review):
    """31 cohorts; 154,211 people and 7,118 events, the sums of the numbers published with the ratios."""
    assert len(review.studies) == len(review.factors) == 31
    assert sum(r.group.n_total for r in review.factors) == 154_211
    assert sum(r.n_events for r in review.factors) == 7_118
    assert [r.n_events for r in review.factors] == sorted(r.n_events for r in review.factors)


def test_nothing_is_found_in_it(review):
    assert audit(review).findings == ()
    assert review.warnings == ()
