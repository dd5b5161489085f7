import pytest

from netsynth.data.source import Source
from netsynth.errors import InvalidInputError


@pytest.mark.parametrize(
    ("source", "link"),
    [
        (
            Source("S", doi="10.1002/sim.1482", pmid="5", url="https://x.org"),
            "https://doi.org/10.1002/sim.1482",
        ),
        (Source("S", pmid="18362629", url="https://x.org"), "https://pubmed.ncbi.nlm.nih.gov/18362629/"),
        (Source("S", url="https://x.org"), "https://x.org"),
        (Source("S"), ""),
    ],
)
def test_the_best_link(source, link):
    assert source.link == link


def test_shown():
    assert str(Source("SRC1", "A title")) == "SRC1: A title"
    assert str(Source("SRC1")) == "SRC1"


REFUSED = [
    (lambda: Source(" "), "source id must be a non-empty text; got ' '."),
    (lambda: Source("S", pmid="PMID 5"), "S: a PMID has digits only; got 'PMID 5'."),
    (
        lambda: Source("S", doi="https://doi.org/10.1002/sim.1482"),
        "S: a DOI looks like 10.1002/sim.1482; got 'https://doi.org/10.1002/sim.1482'.",
    ),
    (lambda: Source("S", doi="10.1002/a b"), "S: a DOI looks like 10.1002/sim.1482; got '10.1002/a b'."),
    (lambda: Source("S", extra="x"), "S: extra must be a list or tuple; got 'x'."),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refused(call, message):
    with pytest.raises(InvalidInputError) as error:
        call()
    assert str(error.value) == message
