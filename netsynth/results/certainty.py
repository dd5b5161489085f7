"""The certainty of the evidence on a prognostic factor, as a worksheet: what is proposed, why, and what was judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, Self, get_args

from netsynth import _format, _validate
from netsynth.errors import InvalidInputError
from netsynth.results.evidence import Stratum

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CERTAINTIES",
    "DIRECTION",
    "DOMAINS",
    "Certainty",
    "CertaintyDomain",
    "CertaintyMove",
    "FactorCertainty",
]

Certainty = Literal["very low", "low", "moderate", "high"]
CertaintyDomain = Literal[
    "study limitations",
    "inconsistency",
    "indirectness",
    "imprecision",
    "publication bias",
    "effect size",
    "exposure gradient",
]
Phase = Literal[1, 2, 3]
#: In the place of a kind of analysis: what is graded is which level does worse, not a pooled ratio.
DIRECTION: Final = "direction"
#: From the lowest to the highest.
CERTAINTIES: Final[tuple[Certainty, ...]] = get_args(Certainty)
#: The moves that a domain may make, in the order of the worksheet.
DOMAINS: Final[Mapping[CertaintyDomain, tuple[int, ...]]] = MappingProxyType(
    dict.fromkeys(get_args(CertaintyDomain)[:5], (-2, -1, 0))
    | dict.fromkeys(get_args(CertaintyDomain)[5:], (0, 1, 2))
)
#: Huguet et al. (2013): where the worksheet starts, by phase of investigation.
STARTS: Final[Mapping[Phase, Certainty]] = MappingProxyType({1: "moderate", 2: "high", 3: "high"})
PHASES: Final[Mapping[Phase, str]] = MappingProxyType(
    {
        1: "phase 1, studies that look for factors",
        2: "phase 2, studies that confirm independent associations",
        3: "phase 3, studies that explain how a factor acts",
    }
)


@dataclass(frozen=True, slots=True)
class CertaintyMove:
    """One domain of the worksheet.

    Attributes
    ----------
    domain : str
        Of `DOMAINS`.
    proposed : int or None
        The move that the numbers suggest; None where they cannot tell.
    reason : str
        The numbers, or why they cannot tell.
    judged : int or None
        The move that the author made; None until then.
    judgement : str
        The author's words.
    """

    domain: CertaintyDomain
    proposed: int | None
    reason: str
    judged: int | None = None
    judgement: str = ""

    @property
    def move(self) -> int:
        """What counts: the judgement, else the proposal, else 0."""
        return self.judged if self.judged is not None else self.proposed or 0

    @property
    def status(self) -> str:
        """By the author "accepted", "overridden" or "judged"; else "proposed" or "to be judged"."""
        if self.judged is None:
            return "to be judged" if self.proposed is None else "proposed"
        if self.proposed is None:
            return "judged"
        return "accepted" if self.judged == self.proposed else "overridden"

    @property
    def shown(self) -> str:
        """The move with its sign; a question mark until it is judged where nothing could be proposed."""
        if self.judged is None and self.proposed is None:
            return "?"
        return f"{self.move:+d}".replace("-", "\u2212") if self.move else "0"

    def __str__(self) -> str:
        said = f"{self.shown} ({self.status}): {self.reason}"
        return f"{said} | {self.judgement}" if self.judgement else said


@dataclass(frozen=True, slots=True)
class FactorCertainty:
    """Worksheet of the certainty of a pooled hazard ratio or of a direction.

    As made by `netsynth.grade_factor` and `netsynth.grade_directions`.

    It proposes and records; it never decides. `judge` gives a new worksheet with a judgement in it.

    Attributes
    ----------
    factor, endpoint, stratum : str
        What is graded; `stratum` is "direction" where it is not the ratio of a kind of analysis.
    phase : {1, 2, 3}
        Phase of investigation, as given.
    moves : tuple of CertaintyMove
        One a domain, in the order of `DOMAINS`.
    k, n_patients : int
        Studies with a usable ratio, or counted by direction, and their patients whose number is printed.
    n_events : int or None
        Their events, where all print them.
    """

    factor: str
    endpoint: str
    stratum: Stratum | Literal["direction"]
    phase: Phase
    moves: tuple[CertaintyMove, ...]
    k: int
    n_patients: int
    n_events: int | None

    @property
    def start(self) -> Certainty:
        """Where the worksheet starts."""
        return STARTS[self.phase]

    @property
    def certainty(self) -> Certainty:
        """The start with all moves, not beyond either end."""
        place = CERTAINTIES.index(self.start) + sum(move.move for move in self.moves)
        return CERTAINTIES[min(max(place, 0), len(CERTAINTIES) - 1)]

    @property
    def open_domains(self) -> tuple[CertaintyDomain, ...]:
        """Domains for which nothing could be proposed and that nobody has judged; they count 0."""
        return tuple(move.domain for move in self.moves if move.status == "to be judged")

    @property
    def status(self) -> Literal["judged", "proposed", "incomplete"]:
        """Whether the author judged every domain; "incomplete" while domains are open."""
        if self.open_domains:
            return "incomplete"
        return "judged" if all(move.judged is not None for move in self.moves) else "proposed"

    @property
    def clause(self) -> str:
        """What a sentence says of it."""
        where = f"{self.endpoint.replace('_', ' ')}, {self.stratum}"
        note = "" if self.status == "judged" else f" ({self.status})"
        return f"certainty for {where}: {self.certainty}{note}"

    def move(self, domain: CertaintyDomain) -> CertaintyMove:
        """The row of one domain.

        Raises
        ------
        InvalidInputError
            If there is no such domain.
        """
        _validate.choice(domain, "domain", DOMAINS)
        return next(move for move in self.moves if move.domain == domain)

    def judge(self, domain: CertaintyDomain, text: str, *, move: int | None = None) -> Self:
        """The worksheet with a judgement of one domain; without `move` what was proposed is accepted.

        Raises
        ------
        InvalidInputError
            If there is no such domain, the text is empty, the domain cannot make that move, or nothing was proposed
            and no move is given.
        """
        row = self.move(domain)
        where = f"{self.factor}, {self.endpoint}, {domain}"
        _validate.text(text, "text", where=where)
        judged = row.proposed if move is None else move
        if judged is None:
            raise InvalidInputError(f"{where}: nothing was proposed ({row.reason}); give the move.")
        if judged not in DOMAINS[domain] or isinstance(judged, bool):
            allowed = ", ".join(map(str, DOMAINS[domain]))
            raise InvalidInputError(f"{where}: the move must be one of {allowed}; got {judged!r}.")
        made = replace(row, judged=judged, judgement=text)
        return replace(self, moves=tuple(made if x.domain == domain else x for x in self.moves))

    def frame(self) -> pd.DataFrame:
        """One row a domain."""
        import pandas as pd

        columns = {
            "domain": [move.domain for move in self.moves],
            "proposed": [move.proposed for move in self.moves],
            "reason": [move.reason for move in self.moves],
            "judged": [move.judged for move in self.moves],
            "judgement": [move.judgement for move in self.moves],
            "status": [move.status for move in self.moves],
            "move": [move.move for move in self.moves],
        }
        return pd.DataFrame(columns).astype({"proposed": "Int64", "judged": "Int64"})

    def summary_frame(self) -> pd.DataFrame:
        """One row: what was graded, where it started and where it arrived."""
        import pandas as pd

        row = {
            "factor": self.factor,
            "endpoint": self.endpoint,
            "stratum": self.stratum,
            "phase": self.phase,
            "start": self.start,
            **{str(move.domain): move.move for move in self.moves},
            "certainty": self.certainty,
            "status": self.status,
            "k": self.k,
            "n_patients": self.n_patients,
            "n_events": self.n_events,
        }
        return pd.DataFrame([row]).astype({"n_events": "Int64"})

    def _title(self) -> str:
        size = f"k = {self.k}"
        size += f", {_format.plural(self.n_patients, 'patient')}" if self.n_patients else ""
        size += f", {_format.plural(self.n_events, 'event')}" if self.n_events is not None else ""
        where = f"{self.factor}, {self.endpoint.replace('_', ' ')}, {self.stratum} ({size})"
        return f"Certainty of the evidence: {where}: {self.certainty}, {self.status}"

    def _rows(self) -> list[tuple[str, str]]:
        rows = [("start", f"{self.start}: {PHASES[self.phase]}")]
        return rows + [(move.domain, str(move)) for move in self.moves]

    def __str__(self) -> str:
        open_ = f"Not judged yet, and counted as 0: {_format.listing(self.open_domains)}."
        return _format.labelled_lines(self._title(), self._rows(), [open_] if self.open_domains else [])

    def _repr_html_(self) -> str:
        return _format.html_table(("", ""), self._rows(), caption=self._title())
