"""What goes wrong, by name: errors stop, warnings travel with the result as `Caution`."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "AssumedRoleWarning",
    "AsymmetryWarning",
    "BackTransformationWarning",
    "BoundaryWarning",
    "Caution",
    "ChosenCutPointWarning",
    "ContinuityCorrectionWarning",
    "ConvergenceError",
    "FewStudiesWarning",
    "HarmonisationWarning",
    "ImpossibleReportError",
    "ImputedVarianceWarning",
    "InconsistentReportWarning",
    "InvalidInputError",
    "NarrowIntervalWarning",
    "NetsynthError",
    "NetsynthWarning",
    "OverlapWarning",
    "PriorWarning",
    "Problem",
    "ReadError",
    "ReportedTextError",
    "SkewedDataWarning",
    "UnusableDataWarning",
    "caution",
]


class NetsynthError(Exception):
    """Base of every error netsynth raises."""


class InvalidInputError(NetsynthError, ValueError):
    """Input that cannot be right: the message says where, what was found, what is allowed, what to do."""


class ImpossibleReportError(InvalidInputError):
    """Printed numbers that no data set can produce; `conflict` names them, none of which can be spared for that."""

    def __init__(self, message: str, *, conflict: Sequence[str]) -> None:
        super().__init__(message)
        self.conflict = tuple(conflict)


class ConvergenceError(NetsynthError, RuntimeError):
    """An iteration stopped before it arrived; `last` is the last value it reached."""

    def __init__(self, message: str, *, last: float) -> None:
        super().__init__(message)
        self.last = last


@dataclass(frozen=True, slots=True)
class Problem:
    """One complaint about one cell of a file: where it is, what was found, what is allowed.

    `row` counts as a spreadsheet does: the header is row 1. It is None when the file as a whole is meant.
    """

    file: str
    row: int | None
    column: str
    found: str
    allowed: str

    def __str__(self) -> str:
        place = self.file if self.row is None else f"{self.file}, row {self.row}"
        column = f", column {self.column}" if self.column else ""
        return f"{place}{column}: found {self.found}; allowed: {self.allowed}"


class ReadError(InvalidInputError):
    """Files that could not be read: every complaint at once in `problems`, `n_problems` in all."""

    SHOWN = 50

    def __init__(self, problems: Sequence[Problem], *, n_problems: int | None = None) -> None:
        self.problems = tuple(problems)
        self.n_problems = len(self.problems) if n_problems is None else n_problems
        lines = [str(problem) for problem in self.problems[: self.SHOWN]]
        hidden = self.n_problems - len(lines)
        if hidden:
            lines.append(f"... and {hidden} more")
        noun = "problem" if self.n_problems == 1 else "problems"
        super().__init__(f"{self.n_problems} {noun} found:\n" + "\n".join(f"  {line}" for line in lines))


class ReportedTextError(InvalidInputError):
    """Text that cannot be read as a result a paper prints.

    `text` is the whole text, `position` the index in it where reading stopped, and `problem` says what was
    expected there. The message shows the place with a caret.
    """

    SHOWN = 40  # characters on either side of the place

    def __init__(self, text: str, position: int, problem: str) -> None:
        self.text, self.position, self.problem = text, position, problem
        start, stop = max(0, position - self.SHOWN), position + self.SHOWN
        before = ("…" if start else "") + _one_line(text[start:position])
        after = _one_line(text[position:stop]) + ("…" if stop < len(text) else "")
        caret = " " * sum(map(_columns, before)) + "^"
        super().__init__(
            f"Cannot read the text at position {position}: {problem}.\n  {before}{after}\n  {caret}"
        )

    def __reduce__(self) -> tuple[type[ReportedTextError], tuple[str, int, str]]:
        return type(self), (self.text, self.position, self.problem)  # so that it crosses processes


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)


def _columns(char: str) -> int:
    """Columns that a character takes in a terminal."""
    return 0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1


class NetsynthWarning(UserWarning):
    """Base of every warning netsynth gives."""


class InconsistentReportWarning(NetsynthWarning):
    """Two reported numbers cannot both be right, or one is doubtful; both are kept."""


class ImputedVarianceWarning(NetsynthWarning):
    """A standard error was not reported and rests on an assumption that is named."""


class FewStudiesWarning(NetsynthWarning):
    """Too few studies for the interval or the estimate to mean what it usually means."""


class NarrowIntervalWarning(NetsynthWarning):
    """An interval is narrower than the data can justify, or has no width at all."""


class ContinuityCorrectionWarning(NetsynthWarning):
    """Counts of none or all were given 1/2 so that they have an effect and a variance on the scale."""


class BackTransformationWarning(NetsynthWarning):
    """A value was pooled on a scale from which there is no exact way back."""


class HarmonisationWarning(NetsynthWarning):
    """Results were taken to mean the same although their wording does not show it."""


class ChosenCutPointWarning(NetsynthWarning):
    """A marker was split where it separates the outcome best, so that its effect and its significance are too large."""


class OverlapWarning(NetsynthWarning):
    """Several values may come from the same patients."""


class AssumedRoleWarning(NetsynthWarning):
    """The role of groups of patients was not stated and was taken from their labels."""


class AsymmetryWarning(NetsynthWarning):
    """Small-study effects cannot be judged, or a funnel is expected to be asymmetric without any."""


class PriorWarning(NetsynthWarning):
    """A prior that the data contradict, or one so wide that some numbers do not exist."""


class BoundaryWarning(NetsynthWarning):
    """An estimate lies at an end of its range: a variance of zero, a correlation of one."""


class SkewedDataWarning(NetsynthWarning):
    """Data that a test finds skewed go through a method that takes them for normal."""


class UnusableDataWarning(NetsynthWarning):
    """Reported figures that a method had to leave out; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Caution:
    """A warning as it is kept in a result: the name of its class, where it arose, what it says."""

    name: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.name}: {self.where}: {self.message}" if self.where else f"{self.name}: {self.message}"


def caution(kind: type[NetsynthWarning], message: str, *, where: str = "", stacklevel: int = 3) -> Caution:
    """Warn now and hand back the same words, so that they can travel with the result."""
    warnings.warn(f"{where}: {message}" if where else message, kind, stacklevel=stacklevel)
    return Caution(kind.__name__, where, message)
