import pytest

from netsynth.data.endpoint import ENDPOINTS, Endpoint, find_endpoint
from netsynth.errors import InvalidInputError


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)
def test_every_spelling_finds_its_endpoint(endpoint):
    for word in (endpoint.code, endpoint.name, *endpoint.synonyms):
        assert find_endpoint(word) is endpoint
        assert find_endpoint(f" {word.upper()} ") is endpoint


def test_no_spelling_has_two_meanings():
    spellings = [word for endpoint in ENDPOINTS for word in endpoint.spellings]
    assert len(spellings) == len(set(spellings))


def test_a_vocabulary_can_be_extended():
    own = Endpoint("LPFS", "liver progression-free survival", synonyms=["liver PFS"])
    assert find_endpoint("Liver PFS", (*ENDPOINTS, own)) is own
    assert find_endpoint(own) is own
    assert Endpoint("X").spellings == {"x"}


REFUSED = [
    (
        lambda: find_endpoint("LPFS"),
        "Unknown endpoint 'LPFS'; known are OS, DSS, PFS, DFS, RFS, EFS, MFS, TTP, TTR, recurrence, progression. "
        "Extend the vocabulary with Endpoint('LPFS', 'its name').",
    ),
    (lambda: Endpoint(" "), "endpoint code must be a non-empty text; got ' '."),
    (
        lambda: Endpoint("OS", kind="hazard"),
        "endpoint OS: kind must be one of survival, incidence; got 'hazard'.",
    ),
    (
        lambda: Endpoint("OS", synonyms="survival"),
        "endpoint OS: synonyms must be a list or tuple; got 'survival'.",
    ),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refused(call, message):
    with pytest.raises(InvalidInputError) as error:
        call()
    assert str(error.value) == message
