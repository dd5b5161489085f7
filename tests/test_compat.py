import re

import numpy as np
import pytest

from netsynth._compat import formula_coding, formula_variables
from netsynth.errors import InvalidInputError

COLUMNS = {"year": np.array([1.0, 2.0, 4.0, 8.0]), "how": np.array(["b", "a", "b", "c"], dtype=object)}
LEVELS = {"how": ("a", "b", "c")}


def test_names_terms_and_values():
    coding = formula_coding("~ year + how", COLUMNS, LEVELS)
    assert coding.names == ("intercept", "year", "how[T.b]", "how[T.c]")
    assert dict(coding.terms) == {"year": (1,), "how": (2, 3)}
    assert coding.variables == ("year", "how")
    assert coding.matrix(COLUMNS).tolist() == [[1, 1, 1, 0], [1, 2, 0, 0], [1, 4, 1, 0], [1, 8, 0, 1]]
    assert coding.matrix({"year": np.array([3.0]), "how": np.array(["c"], dtype=object)}).tolist() == [
        [1, 3, 0, 1]
    ]


def test_the_order_of_levels_is_kept():
    coding = formula_coding("~ how", COLUMNS, {"how": ("c", "a", "b")})
    assert coding.names == ("intercept", "how[T.a]", "how[T.b]")


def test_what_a_transformation_learned_is_kept():
    coding = formula_coding("~ center(year)", {"year": COLUMNS["year"]}, {})
    assert coding.matrix({"year": np.array([3.75, 4.75])})[:, 1].tolist() == [0.0, 1.0]


def test_what_is_not_finite_stays_for_the_caller_to_refuse():
    coding = formula_coding("~ np.log(year - 1)", {"year": COLUMNS["year"]}, {})
    assert coding.matrix({"year": np.array([1.0, 0.0, 2.0])})[2].tolist() == [1.0, 0.0]
    assert not np.isfinite(coding.matrix({"year": np.array([1.0, 0.0, 2.0])})[:2, 1]).any()


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("~ year", ("year",)),
        ("~ I(year**2) + C(how)", ("year", "how")),
        ("~ years + show", ()),
        ("~ `mean age`", ("mean age",)),
        ("~ 1", ()),
    ],
)
def test_names_are_found_as_whole_words(formula, expected):
    assert formula_variables(formula, ["year", "how", "mean age"]) == expected


@pytest.mark.parametrize("formula", ["y ~ year", "year", "~ year | how", ""])
def test_a_formula_begins_with_its_tilde(formula):
    message = f"A formula names moderators after a tilde, such as '~ year + C(design)'; got {formula!r}."
    with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}$"):
        formula_coding(formula, COLUMNS, LEVELS)


def test_a_level_not_seen_before():
    coding = formula_coding("~ C(year)", {"year": COLUMNS["year"]}, {})
    with pytest.raises(
        InvalidInputError, match=r"^The formula '~ C\(year\)' cannot be evaluated: Data has categories "
    ):
        coding.matrix({"year": np.array([3.0])})


@pytest.mark.parametrize("formula", ["~ year +", "~ month", "~ year[", "~ np.nosuch(year)"])
def test_what_formulaic_cannot_read(formula):
    with pytest.raises(
        InvalidInputError, match=f"^The formula {re.escape(repr(formula))} cannot be evaluated: .*\\.$"
    ):
        formula_coding(formula, COLUMNS, LEVELS)
