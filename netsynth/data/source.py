"""Where a number comes from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from netsynth import _validate
from netsynth.data._record import Record
from netsynth.errors import InvalidInputError

__all__ = ["Source"]

_DOI: Final = re.compile(r"10\.\d{4,9}/\S+")


@dataclass(frozen=True, slots=True)
class Source(Record):
    """A publication or page that was read.

    Parameters
    ----------
    id : str
        The short name that records refer to.
    citation : str
        Title or full citation.
    pmid, doi, url : str
        Identifiers, empty when unknown; a DOI without "https://doi.org/".
    kind : str
        What was read, such as "primary_abstract" or "review_table".
    extra : tuple of (str, str)
        Further columns as they were given.

    Raises
    ------
    InvalidInputError
        If the id is blank, the PMID is not a number, or the DOI is not one.

    Examples
    --------
    >>> Source("SRC42", "Surgical resection of hepatic metastases", doi="10.1016/j.suronc.2012.05.001").link
    'https://doi.org/10.1016/j.suronc.2012.05.001'
    """

    id: str
    citation: str = ""
    pmid: str = ""
    doi: str = ""
    url: str = ""
    kind: str = ""
    extra: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        _validate.text(self.id, "source id")
        self._freeze("extra", where=self.id)
        if self.pmid and not self.pmid.isdecimal():
            raise InvalidInputError(f"{self.id}: a PMID has digits only; got {self.pmid!r}.")
        if self.doi and not _DOI.fullmatch(self.doi):
            raise InvalidInputError(f"{self.id}: a DOI looks like 10.1002/sim.1482; got {self.doi!r}.")

    @property
    def link(self) -> str:
        """Address a reader can follow; empty when none is known."""
        if self.doi:
            return f"https://doi.org/{self.doi}"
        return f"https://pubmed.ncbi.nlm.nih.gov/{self.pmid}/" if self.pmid else self.url

    def __str__(self) -> str:
        return f"{self.id}: {self.citation}" if self.citation else self.id
