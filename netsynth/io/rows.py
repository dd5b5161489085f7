"""The rows of one table: cells by our names, read as what the column holds, with a complaint for each that fails."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, ParamSpec, TypeVar

from netsynth import units
from netsynth.data.endpoint import ENDPOINTS, Endpoint, find_endpoint
from netsynth.data.number import QUALIFIERS, Qualifier, ReportedInterval, ReportedNumber
from netsynth.data.study import ROLES, Group, Role
from netsynth.errors import InvalidInputError
from netsynth.io import cells
from netsynth.io.layout import TABLES, Header, Synonyms, check_header, fold, match_columns
from netsynth.io.problems import Problems, shown
from netsynth.reported.grammar import DecimalMark

P = ParamSpec("P")
T = TypeVar("T")

SHARE_UNITS: Final = "% or probability"
TIME_UNITS: Final = "month, year, week or day"
#: Words that mean yes or no.
FLAGS: Final = {
    **dict.fromkeys(("yes", "true", "y", "1"), True),
    **dict.fromkeys(("no", "false", "n", "0"), False),
}
SIGNS: Final[Mapping[str, Qualifier]] = {
    **{fold(sign) or sign: sign for sign in QUALIFIERS},
    "≤": "<=",
    "≥": ">=",
    "nr": "not reached",
}
_ROLE_OF_SET: Final[Mapping[str, Role]] = {
    "subgroup": "subgroup",
    "mixed_subgroup": "subgroup",
    "comparator": "comparator",
}
#: What a number in a unit may be, for messages.
_ALLOWED: Final = {
    "percent": "a number from 0 to 100",
    "probability": "a number from 0 to 1",
    "pvalue": "a number from 0 to 1",
    "ratio": "a number of 0 or more",
    **dict.fromkeys(units.MONTHS_PER, "a number of 0 or more"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the caller declares about all tables."""

    endpoints: tuple[Endpoint, ...] | None
    synonyms: Synonyms
    decimal: DecimalMark
    percent_unit: str
    time_unit: str


@dataclass(frozen=True, slots=True)
class RawTable:
    """A table as a reader hands it on: names of columns, and rows with the number a spreadsheet shows."""

    name: str
    file: str
    header: Sequence[str]
    rows: Iterator[tuple[int, Sequence[str]]]


class TableRows:
    """One table while it is read. Iterating steps from row to row; the methods read cells of the present one.

    A method that fails complains, sets `bad` and returns a value that will not be used, so that all the
    complaints about a row come together.
    """

    def __init__(self, raw: RawTable, settings: Settings, problems: Problems) -> None:
        self.table = TABLES[raw.name]
        self.file = raw.file
        self.settings = settings
        self.problems = problems
        self.number = 1
        self.bad = False
        self.extra: tuple[tuple[str, str], ...] = ()
        self.assumed_roles: set[str] = set()
        self._cells: dict[str, str] = {}
        self._raw = raw
        self._header = match_columns(self.table, raw.header, settings.synonyms)
        self._groups: dict[tuple[object, ...], Group] = {}
        self._endpoints: dict[str, Endpoint] = {}

    def __iter__(self) -> Iterator[int]:
        """Numbers of the rows that hold anything."""
        header: Header = self._header
        names = self._raw.header
        if not check_header(self.table, names, header, self.settings.synonyms, self.file, self.problems):
            return
        width = len(names)
        absent = {column.name: "" for column in self.table.columns}
        by_position = {position: name for name, position in header.positions.items()}
        ours = [by_position.get(i, "") for i in range(width)]
        for number, row in self._raw.rows:
            self.number, self.bad = number, False
            if len(row) != width:
                if any(cell.strip() for cell in row):
                    self.complain("", f"{len(row)} cells", f"{width} cells, as the header has")
                continue
            if not any(row):
                continue
            self._cells = {**absent, **dict(zip(ours, row, strict=True))}
            if header.extra:
                self.extra = tuple([(name, str(row[i])) for name, i in header.extra if row[i]])
            for i in header.unnamed:
                if row[i].strip():
                    self.complain(
                        "", f"{shown(row[i])} in column {i + 1}, which has no name", "a name in row 1"
                    )
            yield number

    # -- complaints --------------------------------------------------------------------------------------

    def complain(self, column: str, found: str, allowed: str, *, row: int | None = None) -> None:
        """Keep a complaint about a cell of the present row, or of `row`."""
        self.bad = True
        given = self._header.given.get(column, column)
        self.problems.add(self.file, self.number if row is None else row, given, found, allowed)

    def make(self, build: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """What `build` makes, or None after a complaint when there can be no such record."""
        try:
            return build(*args, **kwargs)
        except InvalidInputError as error:
            self.complain("", str(error).rstrip("."), "cells that agree")
            return None

    # -- cells -------------------------------------------------------------------------------------------

    def has(self, column: str) -> bool:
        """Whether the file has the column."""
        return column in self._header.positions

    def text(self, column: str) -> str:
        """The cell as it is."""
        return str(self._cells[column])

    def name(self, column: str) -> str:
        """The cell without outer spaces."""
        return str(self._cells[column].strip())

    def needed(self, column: str, what: str) -> str:
        """As `name`; an empty cell is refused."""
        text = self.name(column)
        if not text:
            self.complain(column, "an empty cell", what)
        return text

    def listed(self, column: str) -> tuple[str, ...]:
        """The parts of a cell between semicolons."""
        return tuple(part.strip() for part in self._cells[column].split(";") if part.strip())

    def count(self, column: str, *, minimum: int = 0) -> int | None:
        """A whole number, None when the cell is empty."""
        cell = self._cells[column].strip()
        if not cell:
            return None
        value = cells.whole(cell)
        if value is None:
            with contextlib.suppress(InvalidInputError):  # "1,234"
                value = cells.whole(cells.number(cell, "count", self.settings.decimal).text)
        if value is None or value < minimum:
            self.complain(column, shown(cell), f"a whole number of {minimum} or more")
            return None
        return value

    def word(self, column: str, meanings: Mapping[str, T], default: T) -> T:
        """What the word in the cell means, `default` when it is empty."""
        cell = self._cells[column]
        if not cell:
            return default
        try:
            return meanings[cell]
        except KeyError:
            pass
        cell = cell.strip()
        folded = fold(cell) or cell
        if not cell or folded in meanings:
            return meanings.get(folded, default)
        self.complain(column, shown(cell), f"one of {', '.join(dict.fromkeys(map(str, meanings)))}")
        return default

    def unit(self, column: str, meaning: Callable[[str], str], allowed: str) -> str:
        """The unit that the cell names, empty when it names none."""
        cell = self._cells[column].strip()
        if cell:
            try:
                return meaning(cell)
            except InvalidInputError:
                self.complain(column, shown(cell), allowed)
        return ""

    def printed(self, column: str, unit: str) -> ReportedNumber | None:
        """A number in `unit` with its printed digits, None when the cell is empty."""
        found = self._cells[column]
        cell = found.strip()
        if not cell:
            return None
        try:
            return cells.number(cell, unit, "." if type(found) is cells.Digits else self.settings.decimal)
        except InvalidInputError as error:
            reason = str(error).rstrip(".")
            self.complain(
                column, shown(cell), _ALLOWED.get(unit, reason) if "must lie in" in reason else reason
            )
            return None

    def qualified(self, column: str, sign_column: str, unit: str) -> ReportedNumber | None:
        """A number whose qualifier stands in a column of its own, or in the cell."""
        value = self.printed(column, unit)
        sign = self.word(sign_column, SIGNS, None)
        if not self.name(column):
            if sign == "not reached":
                return ReportedNumber("", unit, sign)
            if sign is not None and sign != "=":
                self.complain(column, f"an empty cell beside the qualifier {sign}", "a number")
        elif value is not None and sign is not None and sign != value.qualifier:
            if value.qualifier != "=" or sign == "not reached":
                found = f"{sign!r} beside {shown(self.name(column))}"
                self.complain(sign_column, found, "one qualifier, in this column or in the cell")
                return value
            return ReportedNumber(value.text, value.unit, sign if value.text else "not reached")
        return value

    def time(self, column: str, unit_column: str) -> ReportedNumber | None:
        """A time that must have a unit: its row's, or the one declared for all."""
        unit = self.unit(unit_column, units.time_unit, TIME_UNITS) or self.settings.time_unit
        value = self.printed(column, unit)
        if value is not None and not value.unit and not self.name(unit_column):
            allowed = f"{TIME_UNITS}, here or for all rows with time_unit="
            self.complain(unit_column, f"no unit for {value}", allowed)
        return value

    def refuse(self, columns: tuple[str, ...], reason: str) -> None:
        """Complain of cells that are filled and have no meaning in the present row."""
        for column in columns:
            if self._cells[column] and (text := self.name(column)):
                self.complain(column, shown(text), f"an empty cell: {reason}")

    def interval(self, unit: str) -> ReportedInterval | None:
        """The confidence interval of the row."""
        if not self._cells["ci_low"] and not self._cells["ci_high"]:
            return None
        return self.limits("ci", unit, level=self._level())

    def _level(self) -> float | None:
        """Confidence level: 0.95 unless the row says otherwise."""
        text = self.name("ci_level")
        if not text:
            return 0.95
        if fold(text) == "not_stated":
            return None
        try:
            level = float(Decimal(text.removesuffix("%").strip()) / (100 if text.endswith("%") else 1))
        except InvalidOperation:
            level = 0.0
        if not 0 < level < 1:
            self.complain("ci_level", shown(text), "a level such as 0.95 or 95%, or 'not stated'")
            return None
        return level

    def limits(self, name: str, unit: str, *, level: float | None = None) -> ReportedInterval | None:
        """The interval whose limits stand in the columns `name`_low and `name`_high."""
        if not self._cells[f"{name}_low"] and not self._cells[f"{name}_high"]:
            return None
        lower, upper = self.printed(f"{name}_low", unit), self.printed(f"{name}_high", unit)
        return None if lower is None and upper is None else self.make(ReportedInterval, lower, upper, level)

    # -- what several tables share -----------------------------------------------------------------------

    def endpoint(self, column: str = "endpoint") -> Endpoint | None:
        """The endpoint of the vocabulary that the cell names."""
        cell = self._cells[column]
        if cell not in self._endpoints:
            vocabulary = self.settings.endpoints or ENDPOINTS
            try:
                self._endpoints[cell] = find_endpoint(cell, vocabulary)
            except InvalidInputError:
                known = ", ".join(endpoint.code for endpoint in vocabulary)
                self.complain(
                    column, shown(cell), f"an endpoint: {known}, or one of your own passed with endpoints="
                )
                return None
        return self._endpoints[cell]

    def group(self, n_column: str) -> Group:
        """The patients of the row. Without a role, the set and then the label tell it."""
        key = tuple(self._cells[name] for name in ("group", n_column, "role", "set", "duplicate"))
        group = self._groups.get(key)
        if group is None:
            before, self.bad = self.bad, False
            group = self._new_group(n_column)
            if not self.bad:
                self._groups[key] = group
            self.bad = self.bad or before
        return group

    def _new_group(self, n_column: str) -> Group:
        label, evidence_set = self.name("group") or "overall", self.name("set")
        n_total = self.count(n_column, minimum=1)
        role = self.word("role", {word: word for word in ROLES}, None)
        if role is None:
            by_label: Role = "overall" if label.lower() == "overall" else "arm"
            role = _ROLE_OF_SET.get(evidence_set.lower(), by_label)
            if role == "arm" and not evidence_set:
                self.assumed_roles.add(label)
        duplicate = self.word("duplicate", FLAGS, evidence_set.lower() == "duplicate")
        return Group(label, role, n_total, evidence_set, duplicate)
