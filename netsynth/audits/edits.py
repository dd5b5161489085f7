"""The smallest change to printed numbers that removes a contradiction, if a slip of the pen made it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise, product
from typing import Final, NamedTuple, TypeAlias

from netsynth.data.number import ReportedNumber
from netsynth.errors import InvalidInputError

__all__ = ["MOST_PAIRS", "Corrections", "Printed", "count", "edits", "smallest_corrections"]

#: Corrections that are kept.
MOST_KEPT: Final = 3
#: Changes of two numbers at once that are tried, unless a check says otherwise.
MOST_PAIRS: Final = 800

Numbers: TypeAlias = tuple[ReportedNumber, ...]


@dataclass(frozen=True, slots=True)
class Printed:
    """A printed number with what it is called in the text of a finding."""

    name: str
    number: ReportedNumber

    def __str__(self) -> str:
        return f"{self.name} {self.number}"


class Corrections(NamedTuple):
    """The closest changes in words, and how many of this size there are."""

    shown: tuple[str, ...]
    n: int


def count(name: str, n: int) -> Printed:
    """A printed number of people."""
    return Printed(name, ReportedNumber(str(n), "count"))


def edits(text: str) -> Iterator[str]:
    """Every number that one slip makes of this one, each once.

    A slip changes a digit, exchanges two neighbouring digits, loses a decimal mark or adds one.

    Examples
    --------
    >>> sorted(edits("12"))[:4], len(list(edits("12")))
    (['1.2', '10', '11', '13'], 19)
    """
    seen = {text}
    for candidate in _slips(text):
        if candidate not in seen and _is_written(candidate):
            seen.add(candidate)
            yield candidate


def _slips(text: str) -> Iterator[str]:
    places = [i for i, char in enumerate(text) if char.isdigit()]
    for i in places:
        for digit in "0123456789":
            yield text[:i] + digit + text[i + 1 :]
    for i, j in pairwise(places):
        swapped = list(text)
        swapped[i], swapped[j] = text[j], text[i]
        yield "".join(swapped)
    if "." in text:
        yield text.replace(".", "")
    else:
        for i in places[1:]:
            yield f"{text[:i]}.{text[i:]}"


def _is_written(text: str) -> bool:
    """Whether a number is written like this: no leading zero but before a decimal mark."""
    digits = text.lstrip("-")
    return not (digits.startswith("0") and len(digits) > 1 and digits[1] != ".")


def smallest_corrections(
    printed: Sequence[Printed], holds: Callable[[Numbers], bool], most_pairs: int = MOST_PAIRS
) -> Corrections:
    """Changes in as few of the numbers as possible with which `holds` is true; the smallest in proportion first.

    Parameters
    ----------
    printed : sequence of Printed
        The numbers that contradict each other; counts keep whole.
    holds : callable
        Whether the numbers, in the same order, fit together; an `InvalidInputError` counts as no.
    most_pairs : int
        Changes of two numbers at once are tried when there are no more of them than these.

    Examples
    --------
    >>> pair = [Printed("lower", ReportedNumber("13", "month")), Printed("upper", ReportedNumber("11", "month"))]
    >>> smallest_corrections(pair, lambda found: found[0].value < found[1].value).shown[:2]
    ('upper 14 months instead of 11 months', 'lower 10 months instead of 13 months')
    """
    candidates = [tuple(_edited(one.number)) for one in printed]
    for size in (1, 2):
        places = list(combinations(range(len(printed)), size))
        if size == 2 and sum(len(candidates[i]) * len(candidates[j]) for i, j in places) > most_pairs:
            break
        found: list[tuple[float, str]] = []
        for at in places:
            for changed in product(*(candidates[i] for i in at)):
                numbers = [one.number for one in printed]
                for i, number in zip(at, changed, strict=True):
                    numbers[i] = number
                if _fits(holds, tuple(numbers)):
                    old = [printed[i] for i in at]
                    found.append((_distance(old, changed), _words(old, changed)))
        if found:
            found.sort(key=lambda pair: pair[0])
            return Corrections(tuple(words for _, words in found[:MOST_KEPT]), len(found))
    return Corrections((), 0)


def _edited(number: ReportedNumber) -> Iterator[ReportedNumber]:
    for text in edits(number.text):
        if number.unit == "count" and "." in text:
            continue
        try:
            yield replace(number, text=text)
        except InvalidInputError:
            continue  # not within the limits of its unit


def _fits(holds: Callable[[Numbers], bool], numbers: Numbers) -> bool:
    try:
        return holds(numbers)
    except InvalidInputError:
        return False


def _distance(old: Sequence[Printed], new: Sequence[ReportedNumber]) -> float:
    """Sum of the changes in proportion to the larger of the two values."""
    pairs = ((a.number.value, b.value) for a, b in zip(old, new, strict=True))
    return sum(abs(a - b) / max(abs(a), abs(b), 1e-300) for a, b in pairs)


def _words(old: Sequence[Printed], new: Sequence[ReportedNumber]) -> str:
    return " and ".join(f"{a.name} {b} instead of {a.number}" for a, b in zip(old, new, strict=True))
