"""One name for what papers call by many: an explicit mapping of factors and levels, given as data.

A map is a tuple of rules. The first rule that fits a result decides; what no rule fits keeps its own name.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Final, Literal, Self

from netsynth import _format, _validate
from netsynth.data._record import Record
from netsynth.data.factor import ReportedFactor
from netsynth.errors import InvalidInputError

__all__ = [
    "FACTOR_MAP",
    "GENERAL_RULES",
    "NEUROENDOCRINE_LIVER_RULES",
    "FactorMap",
    "FactorRule",
    "HarmonisedResult",
    "Orientation",
]

Orientation = Literal["as printed", "inverted", "not in the mapping", "not stated"]

_UNSTATED: Final = frozenset({"", "-", "not stated", "not reported", "not shown", "unclear"})


@functools.lru_cache(maxsize=8192)
def spelling(words: str) -> str:
    """Words as they are compared: case, spacing, underscores, the kind of dash and an ending stop set aside.

    Examples
    --------
    >>> spelling(" Ki–67_Index "), spelling("R1 / R2")
    ('ki-67 index', 'r1/r2')
    """
    plain = re.sub(r"[‐‑‒–—−]", "-", words).replace("_", " ").casefold()
    return " ".join(re.sub(r"\s*/\s*", "/", plain).split()).rstrip(".")


@functools.lru_cache(maxsize=8192)
def _spellings(word: str, others: tuple[str, ...]) -> tuple[str, ...]:
    """Every spelling of a rule's words, as they are compared, the harmonised word last."""
    return tuple(dict.fromkeys(spelling(text) for text in (*others, word) if text))


@dataclass(frozen=True, slots=True)
class FactorRule(Record):
    """What one prognostic factor and its two levels are called in papers.

    Words are compared without regard to case, spacing and the kind of dash. The harmonised words themselves
    are always understood.

    Parameters
    ----------
    factor : str
        The harmonised name.
    names : tuple of str
        What papers call it.
    adverse, reference : str
        Harmonised words for the level thought to do worse and for the one it is compared with; both, or none
        when the levels are kept as printed.
    adverse_levels, reference_levels : tuple of str
        What papers call the two; of the adverse ones the most adverse first.
    needs_levels : bool
        Whether the rule fits only results both of whose levels it knows. So one name that papers use for
        several comparisons, such as "primary site", can be told apart by its levels.
    mixed : bool
        Whether the wordings it joins stand for different cut-points or comparisons (R1 and R2, say), so that
        pooling them deserves a warning. Mere synonyms do not.

    Raises
    ------
    InvalidInputError
        If the factor has no name, a level is known as adverse and as reference, or levels are needed or
        listed but have no harmonised words.

    Examples
    --------
    >>> margin = FactorRule("margin", ("resection margin",), "involved", "clear", ("R1", "positive"), ("R0",))
    >>> margin.side("Positive"), margin.side("R0"), margin.side("R2")
    (1, -1, 0)
    """

    factor: str
    names: tuple[str, ...] = ()
    adverse: str = ""
    reference: str = ""
    adverse_levels: tuple[str, ...] = ()
    reference_levels: tuple[str, ...] = ()
    needs_levels: bool = False
    mixed: bool = False

    def __post_init__(self) -> None:
        where = _validate.text(self.factor, "factor")
        for name in ("names", "adverse_levels", "reference_levels"):
            if isinstance(getattr(self, name), str):
                raise InvalidInputError(f"{where}: {name} must be a tuple of texts; got one text.")
        if bool(self.adverse) != bool(self.reference):
            raise InvalidInputError(f"{where}: give harmonised words for both levels, or for none.")
        if not self.adverse and (self.adverse_levels or self.reference_levels or self.needs_levels):
            raise InvalidInputError(f"{where}: levels need harmonised words; give adverse= and reference=.")
        both = set(_spellings(self.adverse, self.adverse_levels)) & set(
            _spellings(self.reference, self.reference_levels)
        )
        if both:
            raise InvalidInputError(
                f"{where}: {sorted(both)[0]!r} is listed as an adverse and as a reference level; keep one."
            )

    def is_named(self, factor: str) -> bool:
        """Whether `factor` is a name of this factor."""
        return spelling(factor) in _spellings(self.factor, self.names)

    def side(self, level: str) -> int:
        """1 for a known adverse level, -1 for a known reference level, 0 for another."""
        word = spelling(level)
        if word in _spellings(self.adverse, self.adverse_levels):
            return 1
        return -1 if word in _spellings(self.reference, self.reference_levels) else 0

    def rank(self, level: str) -> int:
        """Place of an adverse level from the most adverse on; a level that is not known comes last."""
        words = _spellings(self.adverse, self.adverse_levels)
        word = spelling(level)
        return words.index(word) if word in words else len(words)

    def __str__(self) -> str:
        levels = f" ({self.adverse} vs {self.reference})" if self.adverse else ""
        names = ", ".join(name for name in self.names if spelling(name) != spelling(self.factor))
        lines = [f"{self.factor}{levels}" + (f" <- {names}" if names else "")]
        if self.needs_levels:
            lines[0] += " [only with these levels]"
        for word, others in ((self.adverse, self.adverse_levels), (self.reference, self.reference_levels)):
            listed = [text for text in others if spelling(text) != spelling(word)]
            if listed:
                lines.append(f"  {word} <- {', '.join(listed)}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class HarmonisedResult(Record):
    """Where a result goes: its factor and levels in harmonised words.

    `orientation` says how the printed levels stand to `adverse` and `reference`: as printed, inverted (the
    printed adverse level is the reference here), not in the mapping, or not stated; in the last two cases
    the words are the printed ones. `rank` orders several levels of one factor, the most adverse first, and
    `mixed` says whether other wordings of the factor may stand for another comparison.
    """

    factor: str
    adverse: str
    reference: str
    orientation: Orientation
    rank: int = 0
    mixed: bool = False
    mapped: bool = True


@dataclass(frozen=True, slots=True)
class FactorMap(Record):
    """Rules that harmonise prognostic factors; the first that fits a result decides.

    Parameters
    ----------
    rules : tuple of FactorRule
        In order of precedence.

    Examples
    --------
    Your own rules come before the packaged ones:

    >>> own = FACTOR_MAP.extended(
    ...     FactorRule("tumour size", ("diameter", "size of primary"), "larger", "smaller", ("> 5 cm",), ("<= 5 cm",))
    ... )
    >>> own.rules[0].factor, len(own.rules) - len(FACTOR_MAP.rules)
    ('tumour size', 1)
    """

    rules: tuple[FactorRule, ...] = ()

    def extended(self, *rules: FactorRule) -> Self:
        """Map in which `rules` come first."""
        return type(self)((*rules, *self.rules))

    def harmonised(self, result: ReportedFactor) -> HarmonisedResult:
        """Factor and levels of a result in harmonised words."""
        printed = stated(result.adverse_level), stated(result.reference_level)
        unknown: Orientation = "not in the mapping" if any(printed) else "not stated"
        for rule in self.rules:
            if not rule.is_named(result.factor):
                continue
            sides = rule.side(printed[0]), rule.side(printed[1])
            if rule.needs_levels and sides not in ((1, -1), (-1, 1)):
                continue
            if sides[0] == sides[1]:
                return HarmonisedResult(rule.factor, *printed, unknown, rule.rank(printed[0]), mixed=True)
            orientation: Orientation = "as printed" if sides[0] > sides[1] else "inverted"
            rank = rule.rank(printed[0] if sides[0] > sides[1] else printed[1])
            return HarmonisedResult(rule.factor, rule.adverse, rule.reference, orientation, rank, rule.mixed)
        return HarmonisedResult(result.factor, *printed, unknown, mixed=True, mapped=False)

    def __str__(self) -> str:
        head = f"Mapping of prognostic factors: {_format.plural(len(self.rules), 'rule')}"
        return "\n".join([head, *(str(rule) for rule in self.rules)])

    def _repr_html_(self) -> str:
        rows = [
            (
                rule.factor,
                ", ".join(rule.names),
                f"{rule.adverse}: {', '.join(rule.adverse_levels)}" if rule.adverse else "as printed",
                f"{rule.reference}: {', '.join(rule.reference_levels)}" if rule.reference else "as printed",
                "only with these levels" if rule.needs_levels else "",
            )
            for rule in self.rules
        ]
        return _format.html_table(("factor", "names", "adverse level", "reference level", ""), rows)


def stated(level: str) -> str:
    """The level, or an empty text when the words only say that it is not stated."""
    return "" if spelling(level) in _UNSTATED else level.strip()


#: How levels of a continuous factor are worded: a ratio for them is one per unit or between unequal groups.
_GRADED: Final = re.compile(
    r"^(?:higher|lower|larger|smaller|longer|shorter|older|younger|greater|more|less|fewer|increas|decreas|per\b)|"
    r"\bper\b|continuous",
    re.IGNORECASE,
)


def is_graded(level: str) -> bool:
    """Whether the words of a level may stand for a continuous factor rather than for a group."""
    return _GRADED.search(level) is not None


def _presence(factor: str, *names: str) -> FactorRule:
    return FactorRule(
        factor,
        names,
        "present",
        "absent",
        ("yes", "positive", "N1"),
        ("no", "none", "negative", "not present", "N0"),
    )


def _amount(
    factor: str,
    names: tuple[str, ...],
    words: tuple[str, str],
    more: tuple[str, ...] = (),
    less: tuple[str, ...] = (),
) -> FactorRule:
    high, low = (
        ("higher", "high", "larger", "large", "more"),
        ("lower", "low", "smaller", "small", "fewer", "less"),
    )
    return FactorRule(factor, names, *words, (*high, *more), (*low, *less), mixed=True)


#: Factors of surgical oncology in general. A clear margin, a resection called curative, R0 and debulking above
#: the paper's own threshold all answer whether tumour was left behind, so they are one factor; the printed
#: levels stay in the evidence table, because an R1 margin and 30% of the tumour left are not the same.
GENERAL_RULES: Final[tuple[FactorRule, ...]] = (
    FactorRule(
        "completeness of resection",
        (
            "resection margin",
            "resection margins",
            "margin",
            "margin status",
            "surgical margin",
            "R status",
            "residual tumour",
            "residual tumor",
            "residual disease",
            "completeness of cytoreduction",
            "extent of cytoreduction",
        ),
        "incomplete",
        "complete",
        (
            "R2",
            "R1 or R2",
            "R1/2",
            "R1/R2",
            "R1",
            "palliative",
            "debulking",
            "positive",
            "involved",
            "under 70% cytoreduction",
            "under 90% of tumour volume",
        ),
        (
            "R0",
            "R0/R1",
            "R0/1",
            "R0 or R1",
            "curative",
            "negative",
            "clear",
            "free",
            "over 70%",
            "90% or more",
        ),
        mixed=True,
    ),
    FactorRule(
        "histologic grade",
        (
            "grade",
            "tumour grade",
            "tumor grade",
            "histological grade",
            "differentiation",
            "tumour differentiation",
        ),
        "higher",
        "lower",
        (
            "poor",
            "poorly differentiated",
            "G3",
            "grade 3",
            "high",
            "moderate or poor",
            "G2/3",
            "G2/G3",
            "moderate",
            "moderately differentiated",
            "G2",
            "grade 2",
        ),
        ("well", "well differentiated", "G1", "grade 1", "low", "G1/2", "G1/G2"),
        mixed=True,
    ),
    _presence(
        "extrahepatic disease",
        "extrahepatic metastases",
        "extrahepatic metastasis",
        "extra-hepatic disease",
        "extrahepatic spread",
    ),
    _presence(
        "lymph node metastasis",
        "lymph node metastases",
        "lymph nodes",
        "lymph node status",
        "nodal status",
        "nodal metastasis",
    ),
    FactorRule(
        "age",
        ("age at surgery", "patient age"),
        "older",
        "younger",
        (
            "old",
            "50 or older",
            "over 50",
            "60 or older",
            "over 60",
            "65 or older",
            "over 65",
            "70 or older",
            "over 70",
        ),
        ("young", "under 50", "under 60", "under 65", "under 70"),
        mixed=True,
    ),
    FactorRule("sex", ("gender",), "male", "female", ("men", "man", "M"), ("women", "woman", "F")),
    FactorRule(
        "timing of metastasis",
        ("synchronous metastases", "timing of metastases", "presentation of metastases"),
        "synchronous",
        "metachronous",
        (),
        ("not synchronous",),
    ),
    FactorRule(
        "primary tumour resection",
        ("primary tumor resection", "resection of primary", "resection of the primary tumour"),
        "not resected",
        "resected",
        ("no",),
        ("yes",),
    ),
    FactorRule(
        "extent of liver resection",
        ("extent of resection", "extent of hepatectomy", "type of hepatectomy"),
        "lesser",
        "greater",
        ("parenchymal-sparing", "non-anatomic", "nonanatomic", "minor"),
        ("major", "anatomic"),
        mixed=True,
    ),
    _amount(
        "number of liver tumours",
        ("number of liver metastases", "number of metastases"),
        ("more", "fewer"),
        ("multiple",),
        ("single", "solitary"),
    ),
    _amount(
        "size of liver metastases",
        ("size of metastases", "size of the largest metastasis"),
        ("larger", "smaller"),
    ),
    _amount(
        "liver involvement",
        ("hepatic involvement", "liver tumour burden", "liver tumor burden"),
        ("more", "less"),
        ("over 50%",),
        ("50% or less",),
    ),
    FactorRule(
        "liver distribution",
        ("distribution of liver metastases",),
        "bilateral",
        "unilateral",
        ("bilobar",),
        ("unilobar",),
    ),
)

#: What studies of neuroendocrine liver metastases ask besides. "Treatment" and "primary site" are several
#: comparisons under one name, so their rules need the levels.
NEUROENDOCRINE_LIVER_RULES: Final[tuple[FactorRule, ...]] = (
    FactorRule(
        "liver resection",
        ("resection", "resection of liver metastases", "hepatic resection", "treatment"),
        "not resected",
        "resected",
        ("medical therapy or embolisation", "intra-arterial therapy", "embolisation", "embolization"),
        ("surgery", "resection", "cytoreduction"),
        needs_levels=True,
        mixed=True,
    ),
    FactorRule(
        "liver transplantation",
        ("treatment",),
        "resection",
        "transplantation",
        needs_levels=True,
    ),
    FactorRule(
        "primary site: pancreas",
        ("primary site", "primary tumour site", "primary tumor site"),
        "pancreas",
        "other",
        ("pancreatic",),
        ("not pancreas", "small intestine", "gastrointestinal", "unknown or small intestine"),
        needs_levels=True,
        mixed=True,
    ),
    FactorRule(
        "primary site: lung or thymus",
        ("primary site", "primary tumour site", "primary tumor site"),
        "lung or thymus",
        "other",
        ("lung", "thymus", "bronchopulmonary", "foregut"),
        (),
        needs_levels=True,
        mixed=True,
    ),
    FactorRule("primary site", ("primary tumour site", "primary tumor site", "site of primary")),
    FactorRule(
        "Ki-67 in metastasis against primary",
        ("Ki-67 index", "Ki-67", "Ki67"),
        "higher in metastasis",
        "not higher in metastasis",
        ("higher in metastasis than primary",),
        ("not higher",),
        needs_levels=True,
    ),
    _amount(
        "Ki-67 index", ("Ki-67", "Ki67", "Ki67 index", "proliferation index", "MIB-1"), ("higher", "lower")
    ),
    FactorRule(
        "hormonal function",
        ("functional status", "functionality", "hormone secretion"),
        "nonfunctional",
        "functional",
        ("non-functional", "nonfunctioning", "non-functioning"),
        ("functioning",),
    ),
    FactorRule("symptoms", ("symptomatic disease",), "asymptomatic", "symptomatic"),
)

#: The map that `netsynth.summarize_factors` uses unless it is given another.
FACTOR_MAP: Final = FactorMap((*GENERAL_RULES, *NEUROENDOCRINE_LIVER_RULES))
