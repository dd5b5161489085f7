"""The endpoints that survival percentages and medians speak of: a small vocabulary that a user can extend."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from netsynth import _validate
from netsynth.data._record import Record
from netsynth.errors import InvalidInputError

__all__ = ["ENDPOINTS", "Endpoint", "find_endpoint"]

EndpointKind = Literal["survival", "incidence"]


@dataclass(frozen=True, slots=True)
class Endpoint(Record):
    """What is counted over time.

    Parameters
    ----------
    code : str
        Short name, such as "OS".
    name : str
        Name in words, such as "overall survival".
    kind : {"survival", "incidence"}
        A survival percentage falls with time, a cumulative incidence rises.
    synonyms : tuple of str
        Other spellings a file may use; compared without regard to case.

    Examples
    --------
    A vocabulary with one more entry:

    >>> (*ENDPOINTS, Endpoint("LPFS", "liver progression-free survival"))[-1]
    Endpoint(code='LPFS', name='liver progression-free survival', kind='survival', synonyms=())
    """

    code: str
    name: str = ""
    kind: EndpointKind = "survival"
    synonyms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _validate.text(self.code, "endpoint code")
        self._freeze("synonyms", where=f"endpoint {self.code}")
        _validate.choice(self.kind, "kind", ("survival", "incidence"), where=f"endpoint {self.code}")

    @property
    def spellings(self) -> frozenset[str]:
        """Everything a file may call this endpoint, in lower case."""
        return frozenset(word.lower() for word in (self.code, self.name, *self.synonyms) if word)

    def __str__(self) -> str:
        return self.code


ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    Endpoint("OS", "overall survival"),
    Endpoint("DSS", "disease-specific survival", synonyms=("CSS", "cancer-specific survival")),
    Endpoint("PFS", "progression-free survival"),
    Endpoint("DFS", "disease-free survival"),
    Endpoint("RFS", "recurrence-free survival", synonyms=("relapse-free survival",)),
    Endpoint("EFS", "event-free survival"),
    Endpoint("MFS", "metastasis-free survival", synonyms=("DMFS", "distant metastasis-free survival")),
    Endpoint("TTP", "time to progression", synonyms=("time_to_progression",)),
    Endpoint("TTR", "time to recurrence", synonyms=("time_to_recurrence", "time to relapse")),
    Endpoint("recurrence", "cumulative recurrence", "incidence", ("relapse",)),
    Endpoint("progression", "cumulative progression", "incidence"),
)


def find_endpoint(word: str | Endpoint, vocabulary: Iterable[Endpoint] = ENDPOINTS) -> Endpoint:
    """Endpoint of the vocabulary that `word` names by code, name or synonym.

    Raises
    ------
    InvalidInputError
        If the vocabulary does not know the word; the message lists what it knows.

    Examples
    --------
    >>> find_endpoint("overall survival").code
    'OS'
    """
    if isinstance(word, Endpoint):
        return word
    known = tuple(vocabulary)
    for endpoint in known:
        if word.strip().lower() in endpoint.spellings:
            return endpoint
    raise InvalidInputError(
        f"Unknown endpoint {word!r}; known are {', '.join(e.code for e in known)}. "
        f"Extend the vocabulary with Endpoint({word!r}, 'its name')."
    )
