import pickle
import warnings

import pytest

from netsynth import errors
from netsynth.errors import (
    Caution,
    ConvergenceError,
    InconsistentReportWarning,
    InvalidInputError,
    NetsynthError,
    NetsynthWarning,
    Problem,
    ReadError,
    ReportedTextError,
    caution,
)


def test_errors_are_what_a_caller_would_expect():
    assert issubclass(InvalidInputError, ValueError)
    assert issubclass(ConvergenceError, RuntimeError)
    assert issubclass(ReadError, InvalidInputError)
    assert issubclass(ReportedTextError, InvalidInputError)
    for name in errors.__all__:
        kind = getattr(errors, name)
        if name.endswith("Error"):
            assert issubclass(kind, NetsynthError)
        if name.endswith("Warning"):
            assert issubclass(kind, NetsynthWarning)
            assert kind.__doc__


def test_every_class_is_public():
    defined = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and kind.__module__ == errors.__name__
    }
    assert defined | {"caution"} == set(errors.__all__)


def test_convergence_error_carries_the_last_value():
    error = ConvergenceError("tau2 by PM did not converge.", last=0.5)
    assert (str(error), error.last) == ("tau2 by PM did not converge.", 0.5)


@pytest.mark.parametrize(
    ("problem", "shown"),
    [
        (
            Problem("s.csv", 14, "value", "'830'", "a percent from 0 to 100"),
            "s.csv, row 14, column value: found '830'; allowed: a percent from 0 to 100",
        ),
        (Problem("s.csv", 14, "", "5 cells", "6 cells"), "s.csv, row 14: found 5 cells; allowed: 6 cells"),
        (Problem("s.csv", None, "", "no header", "a header"), "s.csv: found no header; allowed: a header"),
    ],
)
def test_problem_shown(problem, shown):
    assert str(problem) == shown


def test_all_problems_come_at_once():
    problems = [Problem("s.csv", i, "x", "a", "b") for i in range(2, 5)]
    error = ReadError(problems)
    assert str(error) == (
        "3 problems found:\n"
        "  s.csv, row 2, column x: found a; allowed: b\n"
        "  s.csv, row 3, column x: found a; allowed: b\n"
        "  s.csv, row 4, column x: found a; allowed: b"
    )
    assert error.problems == tuple(problems)
    assert str(ReadError(problems[:1])).startswith("1 problem found:\n")


def test_of_many_problems_the_first_are_shown_and_the_others_counted():
    problems = [Problem("s.csv", i, "x", "a", "b") for i in range(60)]
    lines = str(ReadError(problems)).splitlines()
    assert lines[0] == "60 problems found:"
    assert len(lines) == 1 + ReadError.SHOWN + 1
    assert lines[-1] == "  ... and 10 more"
    error = ReadError(problems, n_problems=1_000_000)
    assert error.n_problems == 1_000_000
    assert str(error).splitlines()[-1] == "  ... and 999950 more"


def test_a_caret_shows_the_place():
    error = ReportedTextError("83% (rnge, 63)", 5, "expected a word")
    assert str(error) == (
        "Cannot read the text at position 5: expected a word.\n"
        "  83% (rnge, 63)\n"
        "       ^"
    )  # fmt: skip
    assert (error.text, error.position, error.problem) == ("83% (rnge, 63)", 5, "expected a word")


def test_a_long_text_is_cut_around_the_place():
    lines = str(ReportedTextError("x" * 100 + "!" + "y" * 100, 100, "no")).splitlines()
    assert lines[1] == "  …" + "x" * 40 + "!" + "y" * 39 + "…"
    assert lines[2].index("^") == lines[1].index("!")


def test_control_and_wide_characters_do_not_move_the_caret():
    lines = str(ReportedTextError("a\n８0e\u0301!", 5, "no")).splitlines()
    assert lines[1] == "  a ８0e\u0301!"
    assert lines[2] == "  " + " " * 6 + "^"  # a, space, two columns, 0, e; the accent takes none


def test_a_text_error_crosses_processes():
    error = ReportedTextError("83% (", 5, "expected a limit")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own pickle
    assert (str(again), again.position) == (str(error), 5)


def test_a_caution_warns_and_comes_back():
    with pytest.warns(InconsistentReportWarning) as told:
        kept = caution(InconsistentReportWarning, "two medians", where="Chen", stacklevel=2)
    assert [str(warning.message) for warning in told] == ["Chen: two medians"]
    assert told[0].filename == __file__
    assert kept == Caution("InconsistentReportWarning", "Chen", "two medians")
    assert str(kept) == "InconsistentReportWarning: Chen: two medians"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert str(caution(NetsynthWarning, "few")) == "NetsynthWarning: few"
