"""Log hazard ratios of continuous markers on another step of the same scale, and what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsynth.data.marker import MarkerScale
from netsynth.errors import HarmonisationWarning, InvalidInputError
from netsynth.markers import rescale_log_hr

UNIT, TEN = MarkerScale.per_units(), MarkerScale.per_units(10)
DOUBLING, LN = MarkerScale.per_fold(2), MarkerScale.per_fold(math.e)

EXACT = [
    (UNIT, TEN, 10.0),
    (TEN, UNIT, 0.1),
    (UNIT, MarkerScale.per_sd(3.2), 3.2),
    (MarkerScale.per_sd(3.2), TEN, 10 / 3.2),
    (MarkerScale.per_sd(3.2), MarkerScale.per_sd(2.5), 2.5 / 3.2),
    (MarkerScale.per_sd(), MarkerScale.per_sd(size=2), 2.0),
    (LN, DOUBLING, math.log(2)),
    (DOUBLING, MarkerScale.per_fold(10), math.log(10) / math.log(2)),
    (MarkerScale.per_log_sd(0.8), DOUBLING, math.log(2) / 0.8),
    (DOUBLING, MarkerScale.per_log_sd(0.8), 0.8 / math.log(2)),
    (MarkerScale.per_log_sd(), MarkerScale.per_log_sd(), 1.0),
    (MarkerScale.split(5), MarkerScale.split(5), 1.0),
    (MarkerScale.extreme_groups(3), MarkerScale.extreme_groups(3), 1.0),
]


@pytest.mark.parametrize(("source", "target", "factor"), EXACT, ids=[f"{s} to {t}" for s, t, _ in EXACT])
def test_what_is_exact(source, target, factor):
    found = rescale_log_hr(0.3, se=0.1, source=source, target=target)
    assert (found.log_hr, found.se) == pytest.approx((0.3 * factor, 0.1 * factor), rel=1e-12)
    assert found.hazard_ratio == math.exp(found.log_hr)
    assert not found.is_approximate


def test_a_marker_in_a_cox_model_of_either_step():
    """The linear predictor of a patient does not care in which step the marker is counted."""
    value, beta = np.array([1.0, 7.0, 12.5]), 0.04
    per_sd = rescale_log_hr(beta, se=0.01, source=UNIT, target=MarkerScale.per_sd(2.5)).log_hr
    np.testing.assert_allclose(beta * value, per_sd * (value / 2.5), rtol=1e-12)
    gamma = 0.7  # per unit of the natural logarithm
    per_doubling = rescale_log_hr(gamma, se=0.1, source=LN, target=DOUBLING).log_hr
    np.testing.assert_allclose(gamma * np.log(value), per_doubling * np.log2(value), rtol=1e-12)


@given(st.sampled_from([(s, t) for s, t, f in EXACT if f != 1.0]), st.floats(-3, 3), st.floats(0.01, 2))
def test_there_and_back(pair, log_hr, se):
    there = rescale_log_hr(log_hr, se=se, source=pair[0], target=pair[1])
    back = rescale_log_hr(there.log_hr, se=there.se, source=pair[1], target=pair[0])
    assert (back.log_hr, back.se) == pytest.approx((log_hr, se), rel=1e-10, abs=1e-15)


# Distances between the means of extreme groups of a normal marker, in standard deviations, as they are used to bring
# thirds, quarters and fifths to one scale; two decimals.
@pytest.mark.parametrize(("groups", "printed"), [(3, 2.18), (4, 2.54), (5, 2.80)])
def test_extreme_groups_are_so_far_apart(groups, printed):
    with pytest.warns(HarmonisationWarning, match=r"as if the marker were normal and its effect linear$"):
        found = rescale_log_hr(
            printed,
            se=0.1,
            source=MarkerScale.extreme_groups(groups),
            target=MarkerScale.per_sd(),
            approximate=True,
        )
    assert found.log_hr == pytest.approx(1.0, abs=0.005)
    assert found.is_approximate
    assert str(found).startswith("hazard ratio about 2.7")


def test_extreme_groups_to_units_need_the_spread():
    thirds = MarkerScale.extreme_groups(3, sd=4.0)
    with pytest.warns(HarmonisationWarning):
        per_unit = rescale_log_hr(0.5, se=0.1, source=thirds, target=UNIT, approximate=True)
    with pytest.warns(HarmonisationWarning):
        per_sd = rescale_log_hr(0.5, se=0.1, source=thirds, target=MarkerScale.per_sd(4.0), approximate=True)
    assert 4 * per_unit.log_hr == pytest.approx(per_sd.log_hr, rel=1e-12)


REFUSED = [
    (
        UNIT,
        DOUBLING,
        r"the one is linear in the marker, the other in its logarithm\. They estimate different things",
    ),
    (
        MarkerScale.per_log_sd(0.8),
        MarkerScale.per_sd(2.0),
        r"the one is linear in the marker, the other in its",
    ),
    (
        MarkerScale.split(5, unit="cm"),
        MarkerScale.per_units(unit="cm"),
        r"above against below 5 cm cannot .* Keep them apart",
    ),
    (
        MarkerScale.split(5),
        MarkerScale.split(7),
        r"groups of a marker and the marker itself are different comparisons",
    ),
    (MarkerScale.per_sd(), MarkerScale.extreme_groups(3), r"different comparisons\. Keep them apart"),
    (MarkerScale.extreme_groups(3), MarkerScale.per_sd(), r"approximate=True takes the marker to be normal"),
    (UNIT, MarkerScale.per_sd(), r"needs the standard deviation of the marker; give it as sd="),
    (MarkerScale.per_log_sd(), DOUBLING, r"needs the standard deviation of the marker"),
    (MarkerScale.per_sd(2.0), MarkerScale.per_sd(), r"one standard deviation is known and the other is not"),
    (
        MarkerScale.per_units(unit="g"),
        MarkerScale.per_units(unit="mg"),
        r"the marker is in 'g' in one and in 'mg' in",
    ),
]


@pytest.mark.parametrize(("source", "target", "message"), REFUSED, ids=[m[:40] for *_, m in REFUSED])
def test_what_is_not_is_refused(source, target, message):
    with pytest.raises(InvalidInputError, match=rf"^Lund: .*{message}"):
        rescale_log_hr(0.3, se=0.1, source=source, target=target, study="Lund")


def test_numbers_that_cannot_be():
    for log_hr, se in ((math.nan, 0.1), (0.1, 0.0), (0.1, math.inf)):
        with pytest.raises(InvalidInputError, match="log_hr must be finite and se positive"):
            rescale_log_hr(log_hr, se=se, source=UNIT, target=TEN)
