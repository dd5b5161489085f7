"""A clicked curve keeps what it is given, and says what it is."""

import math

import numpy as np
import pytest

from netsynth.data.digitized import DigitizedCurve
from netsynth.errors import InvalidInputError


def curve(**fields):
    return DigitizedCurve(
        **{"name": " Arm A ", "time": [3, 0, 3.257], "survival": [0.5, 1.004, math.nan]} | fields
    )


def test_points_are_kept_in_their_order_and_cannot_be_changed():
    one = curve()
    assert one.name == "Arm A"
    assert one.time.tolist() == [3, 0, 3.257]
    np.testing.assert_array_equal(one.survival, [0.5, 1.004, math.nan])
    for array in (one.time, one.survival):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_it_says_what_it_is():
    assert str(curve(time_unit="year")) == "Arm A: 3 points (1 missing), 0 to 3 years, survival 100.4% to 50%"
    assert str(curve(time=[1], survival=[math.nan])) == "Arm A: 1 point (1 missing)"


def test_months_need_a_unit():
    assert curve(time_unit="year").time_months.tolist() == [36, 0, 3.257 * 12]
    with pytest.raises(InvalidInputError) as error:
        _ = curve().time_months
    assert str(error.value) == (
        "Arm A: the unit of time is not known; read the file with time_unit=, such as 'month'."
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": " "}, "name must be a non-empty text; got ' '."),
        ({"time": []}, "Arm A: time is empty; give at least one value."),
        ({"time": [0, 1]}, "Arm A: time and survival must have the same length; got 2 and 3."),
        ({"survival": [[1]]}, "Arm A: survival must have one dimension; got shape (1, 1)."),
    ],
)
def test_what_is_no_curve_is_refused(fields, message):
    with pytest.raises(InvalidInputError) as error:
        curve(**fields)
    assert str(error.value) == message
