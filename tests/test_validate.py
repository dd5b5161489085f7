import copy
import math

import numpy as np
import pandas as pd
import pytest

from netsynth import _validate
from netsynth.errors import InvalidInputError

ARRAYS = (
    _validate.array_1d,
    _validate.finite_1d,
    _validate.positive_1d,
    _validate.increasing_1d,
    _validate.probability_1d,
)


@pytest.mark.parametrize("check", ARRAYS)
@pytest.mark.parametrize(
    "given", [[0.25, 0.5], (0.25, 0.5), np.array([0.25, 0.5]), pd.Series([0.25, 0.5], [7, 7])]
)
def test_a_clean_copy_comes_back_read_only(check, given):
    given = copy.copy(given)  # it is changed below
    array = check(given, "x")
    np.testing.assert_array_equal(array, [0.25, 0.5])
    assert array.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    if isinstance(given, np.ndarray):
        given[0] = 1
        assert array[0] == 0.25


def test_only_array_1d_lets_nan_pass():
    assert np.isnan(_validate.array_1d([math.nan], "x")).all()
    for check in ARRAYS[1:]:
        with pytest.raises(InvalidInputError, match="x must be finite; got nan at position 0"):
            check([math.nan], "x")


def test_ends_of_probability_are_allowed():
    assert _validate.probability_1d([0, 1], "x").tolist() == [0, 1]


@pytest.mark.parametrize("given", [5, 5.0, np.int64(5), np.float32(5)])
def test_count(given):
    assert _validate.count(given, "n") == 5
    assert type(_validate.count(given, "n")) is int


def test_words():
    assert _validate.level(0.9) == 0.9
    assert _validate.level(np.float64(0.9)) == 0.9
    assert _validate.choice("DL", "method", ["DL", "PM"]) == "DL"
    assert _validate.text(" a b ", "name") == "a b"


FIVE = _validate.array_1d([1, 2, 3, 4, 5], "x")
TWO = _validate.array_1d([1, 2], "y")
REFUSED = [
    (lambda: _validate.array_1d(["a"], "x"), "x must be numbers; got ['a']."),
    (lambda: _validate.array_1d(None, "x", where="Chen"), "Chen: x must have one dimension; got shape ()."),
    (lambda: _validate.array_1d([[1], [2, 3]], "x"), "x must be numbers; got [[1], [2, 3]]."),
    (lambda: _validate.array_1d(np.array([1j]), "x"), "x must be numbers; got array([0.+1.j])."),
    (
        lambda: _validate.finite_1d(np.ma.array([1, 2], mask=[False, True]), "x"),
        "x must be finite; got nan at position 1.",
    ),
    (lambda: _validate.array_1d([[1, 2]], "x"), "x must have one dimension; got shape (1, 2)."),
    (lambda: _validate.array_1d([], "x", where="Chen"), "Chen: x is empty; give at least one value."),
    (lambda: _validate.finite_1d([1, math.inf], "x"), "x must be finite; got inf at position 1."),
    (
        lambda: _validate.finite_1d([1, math.nan], "x", where="w", labels=["Chen", "Nave"]),
        "Nave: x must be finite; got nan at position 1.",
    ),
    (lambda: _validate.positive_1d([1, 0], "x", where="Chen"), "Chen: x must be positive; got 0 at position 1."),
    (
        lambda: _validate.positive_1d([1, -2.5], "x", labels=["Chen", "Nave"]),
        "Nave: x must be positive; got -2.5 at position 1.",
    ),
    (
        lambda: _validate.increasing_1d([1, 3, 3], "x", where="Chen"),
        "Chen: x must increase; got 3 at position 2 after 3.",
    ),
    (lambda: _validate.increasing_1d([0, 3], "x"), "x must be positive; got 0 at position 0."),
    (
        lambda: _validate.probability_1d([0.5, 62], "x", where="Chen"),
        "Chen: x must lie in [0, 1]; got 62 at position 1. Divide percentages by 100 or use a from_percent "
        "constructor.",
    ),
    (lambda: _validate.probability_1d([-0.1], "x"), "x must lie in [0, 1]; got -0.1 at position 0."),
    (
        lambda: _validate.same_length(FIVE, "estimate", TWO, "se", where="Chen"),
        "Chen: estimate and se must have the same length; got 5 and 2.",
    ),
    (lambda: _validate.count("5", "n", where="Chen"), "Chen: n must be a whole number; got '5'."),
    (lambda: _validate.count(True, "n"), "n must be a whole number; got True."),
    (lambda: _validate.count(None, "n"), "n must be a whole number; got None."),
    (lambda: _validate.count(2.5, "n"), "n must be a whole number of at least 0; got 2.5."),
    (lambda: _validate.count(math.nan, "n"), "n must be a whole number of at least 0; got nan."),
    (lambda: _validate.count(math.inf, "n"), "n must be a whole number of at least 0; got inf."),
    (lambda: _validate.count(1, "n", minimum=2), "n must be a whole number of at least 2; got 1."),
    *(
        (lambda v=v: _validate.level(v), f"level must be a fraction between 0 and 1, such as 0.95; got {v!r}.")
        for v in (95, 0, 1, -0.5, math.nan, "0.95", True, None)
    ),
    (
        lambda: _validate.choice("XX", "method", ["DL", "PM"], where="Chen"),
        "Chen: method must be one of DL, PM; got 'XX'.",
    ),
    (lambda: _validate.text("  ", "name", where="Chen"), "Chen: name must be a non-empty text; got '  '."),
    (lambda: _validate.text(5, "name"), "name must be a non-empty text; got 5."),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refused(call, message):
    with pytest.raises(InvalidInputError) as error:
        call()
    assert str(error.value) == message


def test_equal_lengths_pass():
    _validate.same_length(TWO, "x", TWO, "y")
