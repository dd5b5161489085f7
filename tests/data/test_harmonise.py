import pytest
import strategies as records
from hypothesis import given

from netsynth.data.endpoint import find_endpoint
from netsynth.data.factor import ReportedFactor
from netsynth.data.harmonise import FACTOR_MAP, FactorMap, FactorRule, HarmonisedResult, spelling
from netsynth.errors import InvalidInputError

OS = find_endpoint("OS")


def harmonised(factor, adverse="", reference="", mapping=FACTOR_MAP):
    return mapping.harmonised(ReportedFactor("Chen", factor, OS, adverse, reference))


def test_spelling_sets_aside_what_does_not_matter():
    assert (
        len({spelling(word) for word in ("Ki-67 index", "ki–67  INDEX", " Ki‑67_index.", "KI−67 index")}) == 1
    )
    assert spelling("R0 / R1") == spelling("r0/R1") != spelling("R0 R1")


# Printed words of the packaged review, and where they must go.
@pytest.mark.parametrize(
    ("factor", "adverse", "reference", "expected"),
    [
        ("resection margin", "R1", "R0", ("completeness of resection", "incomplete", "complete")),
        ("resection margin", "positive", "negative", ("completeness of resection", "incomplete", "complete")),
        ("resection margin", "involved", "clear", ("completeness of resection", "incomplete", "complete")),
        (
            "completeness of resection",
            "palliative",
            "curative",
            ("completeness of resection", "incomplete", "complete"),
        ),
        ("completeness of resection", "R2", "R0/R1", ("completeness of resection", "incomplete", "complete")),
        (
            "completeness of resection",
            "under 90% of tumour volume",
            "90% or more",
            ("completeness of resection", "incomplete", "complete"),
        ),
        ("histologic grade", "G3", "G1/2", ("histologic grade", "higher", "lower")),
        ("histologic grade", "poor", "well", ("histologic grade", "higher", "lower")),
        ("extrahepatic disease", "present", "absent", ("extrahepatic disease", "present", "absent")),
        ("lymph node metastasis", "present", "absent", ("lymph node metastasis", "present", "absent")),
        (
            "primary site",
            "pancreas",
            "unknown or small intestine",
            ("primary site: pancreas", "pancreas", "other"),
        ),
        (
            "primary site",
            "bronchopulmonary",
            "other",
            ("primary site: lung or thymus", "lung or thymus", "other"),
        ),
        ("Ki-67 index", "higher", "lower", ("Ki-67 index", "higher", "lower")),
        (
            "hormonal function",
            "nonfunctional",
            "functional",
            ("hormonal function", "nonfunctional", "functional"),
        ),
        ("treatment", "embolisation", "cytoreduction", ("liver resection", "not resected", "resected")),
        (
            "treatment",
            "resection",
            "transplantation",
            ("liver transplantation", "resection", "transplantation"),
        ),
    ],
)
def test_words_of_the_packaged_review(factor, adverse, reference, expected):
    found = harmonised(factor, adverse, reference)
    assert (found.factor, found.adverse, found.reference) == expected
    assert (found.orientation, found.mapped) == ("as printed", True)
    turned = harmonised(factor, reference, adverse)
    assert (turned.factor, turned.adverse, turned.reference) == expected
    assert (turned.orientation, turned.rank) == ("inverted", found.rank)


def test_a_level_that_a_paper_calls_adverse_may_be_our_reference():
    assert harmonised("age", "under 50", "50 or older").orientation == "inverted"


def test_one_known_level_is_enough():
    assert harmonised("grade", "poor", "all others").orientation == "as printed"
    assert harmonised("grade", "all others", "well").orientation == "as printed"
    assert harmonised("grade", "well").orientation == "inverted"


def test_unknown_levels_stay_as_printed():
    found = harmonised("grade", "aneuploid", "diploid")
    assert found == HarmonisedResult(
        "histologic grade", "aneuploid", "diploid", "not in the mapping", 13, mixed=True
    )
    both_adverse = harmonised("grade", "poor", "moderate")
    assert (both_adverse.adverse, both_adverse.orientation) == ("poor", "not in the mapping")


def test_levels_that_are_not_stated():
    assert harmonised("grade").orientation == "not stated"
    assert harmonised("primary site", "not stated", "Not reported") == HarmonisedResult(
        "primary site", "", "", "not stated", 0, mixed=True
    )


def test_a_name_without_rule_is_kept():
    found = harmonised("Blood group", "A", "O")
    assert found == HarmonisedResult("Blood group", "A", "O", "not in the mapping", mixed=True, mapped=False)
    assert not harmonised("treatment").mapped  # its rules need the levels


def test_more_adverse_levels_come_first():
    ranks = [harmonised("grade", level, "well").rank for level in ("poor", "G3", "moderate", "higher")]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == 4


def test_own_rules_come_first():
    own = FACTOR_MAP.extended(FactorRule("margin", ("resection margin",), "R1", "R0"))
    assert harmonised("resection margin", "R1", "R0", own).factor == "margin"
    assert harmonised("completeness of resection", "R1", "R0", own).factor == "completeness of resection"
    assert harmonised("grade", "G3", "G1", FactorMap()).factor == "grade"


def test_a_rule_without_levels_keeps_the_printed_ones():
    mapping = FactorMap((FactorRule("stage", ("TNM stage",)),))
    found = harmonised("TNM stage", "IV", "I to III", mapping)
    assert (found.factor, found.adverse, found.orientation) == ("stage", "IV", "not in the mapping")


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"factor": " "}, "factor must be a non-empty text; got ' '."),
        ({"factor": "grade", "names": "grade"}, "grade: names must be a tuple of texts; got one text."),
        (
            {"factor": "grade", "adverse": "high"},
            "grade: give harmonised words for both levels, or for none.",
        ),
        (
            {"factor": "grade", "adverse_levels": ("G3",)},
            "grade: levels need harmonised words; give adverse= and reference=.",
        ),
        (
            {"factor": "grade", "needs_levels": True},
            "grade: levels need harmonised words; give adverse= and reference=.",
        ),
        (
            {"factor": "grade", "adverse": "high", "reference": "low", "reference_levels": ("G1", "High")},
            "grade: 'high' is listed as an adverse and as a reference level; keep one.",
        ),
    ],
)
def test_a_rule_that_cannot_be_right_is_refused(given_, message):
    with pytest.raises(InvalidInputError) as error:
        FactorRule(**given_)
    assert str(error.value) == message


def test_no_packaged_rule_is_hidden_by_an_earlier_one():
    """Each rule must be reached by its own harmonised words."""
    for rule in FACTOR_MAP.rules:
        name = rule.names[0] if rule.needs_levels else rule.factor
        assert harmonised(name, rule.adverse, rule.reference).factor == rule.factor


def test_a_map_survives_json():
    assert FactorMap.from_json(FACTOR_MAP.to_json()) == FACTOR_MAP


def test_a_map_prints_as_a_table():
    mapping = FactorMap(
        (FactorRule("margin", ("resection margin",), "involved", "clear", ("R1", "involved"), ("R0",), True),)
    )
    assert str(mapping) == (
        "Mapping of prognostic factors: 1 rule\n"
        "margin (involved vs clear) <- resection margin [only with these levels]\n"
        "  involved <- R1\n"
        "  clear <- R0"
    )
    assert "<td>resection margin</td>" in mapping._repr_html_()


@given(records.factors())
def test_any_result_finds_a_place(record):
    found = FACTOR_MAP.harmonised(record)
    assert found.factor
    assert HarmonisedResult.from_dict(found.to_dict()) == found
