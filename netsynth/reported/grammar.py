"""The marks, words and digits that papers print, and the reading of a text into tokens.

Characters that mean the same are mapped one to one, so that a position in the tokens is a position in the
text. A number is one token with its digits made plain; words that belong together ("not reached") are one
token too. Every pattern here moves forward only: the time is linear in the length of the text.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from netsynth import units
from netsynth.errors import InvalidInputError, ReportedTextError

DecimalMark = Literal[".", ","]
#: What one result takes in print is far below this; a longer text is not one result.
MAX_LENGTH: Final = 1000
#: What `ReportedNumber` holds: two digits.
MAX_EXPONENT: Final = 99

_NARROW: Final = "\u00a0"  # a space that may group thousands: no-break, thin, figure, narrow no-break
_SAME: Final = {
    " ": "\t\n\v\f\r\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2008\u200a\u200b\u2028\u2029\u205f\u2060\u3000\ufeff",
    _NARROW: "\u2007\u2009\u202f",
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d",
    "·": "\u0387\u2022\u2027\u2219\u22c5\u30fb\uff65",
    ".": "\uff0e",
    ",": "\uff0c",
    ";": "\uff1b",
    ":": "\uff1a",
    "(": "\uff08",
    ")": "\uff09",
    "[": "\uff3b",
    "]": "\uff3d",
    "%": "\uff05\ufe6a\u066a",
    "/": "\uff0f\u2044\u2215",
    "<": "\uff1c",
    ">": "\uff1e",
    "=": "\uff1d",
    "+": "\uff0b",
    "≤": "⩽≦",
    "≥": "⩾≧",
    "~": "∼≈≃≅～",
}
_PLAIN: Final = {ord(odd): plain for plain, odds in _SAME.items() for odd in odds} | {
    ord("０") + digit: str(digit) for digit in range(10)
}
_SUPERSCRIPT: Final = str.maketrans("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "+-0123456789")

_SPACE: Final = re.compile(r"[ \u00a0]+")
_DIGITS: Final = frozenset("0123456789")
_WORD: Final = re.compile(r"[^\W\d_]+(?:\.[^\W\d_]+)*")
_MARK: Final = re.compile(r"<=|>=|\+/?-|[][(),;:.=<>≤≥~±%/?∞+-]")
_EXPONENT: Final = re.compile(r"[eE]([+-]?[0-9]{1,4})(?!\w)")
_POWER: Final = re.compile(
    r"[ \u00a0]*[x×*][ \u00a0]*10(?:\^([+-]?[0-9]{1,4})|([+-][0-9]{1,4})|([⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,4}))(?!\w)"
)
#: Units that no text prints.
_SILENT: Final = ("", "ratio", "count", "pvalue")
_UNIT: Final = re.compile(r"[^\W\d_][^\s(){}\[\],;:=<>~±?]*(?: [^\s(){}\[\],;:=<>~±?]+)*")

Kind = Literal[
    "number", "word", "mark", "unit", "end",
    "measure", "statistic", "ci", "range", "iqr", "sd", "se", "p", "k", "n", "studies", "patients",
    "qualifier", "not reached", "joint", "of", "refused",
]  # fmt: skip


class Token(NamedTuple):
    """A piece of the text, `text` in plain form, from `start` up to `end`."""

    kind: Kind
    text: str
    start: int
    end: int


#: What words mean; a hyphen between words stands between spaces.
PHRASES: Final[Mapping[str, tuple[Kind, str]]] = MappingProxyType(
    {
        **dict.fromkeys(("hr", "hazard ratio", "hazards ratio"), ("measure", "HR")),
        **dict.fromkeys(("or", "odds ratio"), ("measure", "OR")),
        **dict.fromkeys(("rr", "relative risk", "risk ratio"), ("measure", "RR")),
        "median": ("statistic", "median"),
        "mean": ("statistic", "mean"),
        **dict.fromkeys(("ci", "confidence interval", "confidence limits"), ("ci", "")),
        "range": ("range", "range"),
        **dict.fromkeys(
            ("iqr", "interquartile range", "inter - quartile range", "inter quartile range"), ("iqr", "IQR")
        ),
        **dict.fromkeys(("sd", "standard deviation"), ("sd", "SD")),
        **dict.fromkeys(("se", "sem", "standard error"), ("se", "SE")),
        **dict.fromkeys(("p", "p value", "p - value", "pvalue"), ("p", "p")),
        "k": ("k", "k"),
        "n": ("n", "n"),
        **dict.fromkeys(("study", "studies"), ("studies", "studies")),
        **dict.fromkeys(("patient", "patients", "participant", "participants"), ("patients", "patients")),
        **dict.fromkeys(("approximately", "approx", "about", "around", "circa", "ca"), ("qualifier", "~")),
        **dict.fromkeys(("less than", "fewer than", "under", "below"), ("qualifier", "<")),
        **dict.fromkeys(("more than", "greater than", "over", "above"), ("qualifier", ">")),
        "at most": ("qualifier", "<="),
        "at least": ("qualifier", ">="),
        **dict.fromkeys(
            ("nr", "not reached", "not yet reached", "ne", "not estimable"), ("not reached", "NR")
        ),
        "per cent": ("unit", "percent"),
        "to": ("joint", "to"),
        **dict.fromkeys(("of", "out of"), ("of", "of")),
        **dict.fromkeys(
            ("ns", "not significant", "non - significant", "nonsignificant"),
            ("refused", "it is no number; give the bound that was used, such as p > 0.05, or leave it out"),
        ),
        **dict.fromkeys(
            ("na", "n / a", "nan", "none", "not reported", "not stated", "not available"),
            ("refused", "it is a missing value; leave it out"),
        ),
    }
)
_LONGEST: Final = max(phrase.count(" ") + 1 for phrase in PHRASES)
_RESERVED: Final = {phrase.split()[0] for phrase in PHRASES} | {"x"}  # "x 10" is a power of ten
_MARK_MEANS: Final[dict[str, tuple[Kind, str]]] = {
    "<": ("qualifier", "<"),
    ">": ("qualifier", ">"),
    "<=": ("qualifier", "<="),
    ">=": ("qualifier", ">="),
    "≤": ("qualifier", "<="),
    "≥": ("qualifier", ">="),
    "~": ("qualifier", "~"),
    "%": ("unit", "percent"),
    "∞": ("not reached", "NR"),
    "+-": ("mark", "±"),
    "+/-": ("mark", "±"),
}


def unit_word(word: str) -> str:
    """Name of the unit of time or of a share that a word means; empty when it is none."""
    name = units.canonical(word)
    return name if name in units.MONTHS_PER or name in ("percent", "probability") else ""


@functools.lru_cache(maxsize=256)
def unit_name(unit: str | None) -> str:
    """Name of a declared unit: "yrs" is year, "%" is percent, other units stay as they are; None is empty.

    Raises
    ------
    InvalidInputError
        If the unit could be taken for something else when it stands in a text.

    Examples
    --------
    >>> unit_name("yrs"), unit_name("mg/dL")
    ('year', 'mg/dL')
    """
    if unit is None or unit in _SILENT:
        return unit or ""
    if not isinstance(unit, str):
        raise InvalidInputError(f"unit must be a text; got {unit!r:.60}.")
    known = unit_word(unit)
    if known:
        return known
    match = _UNIT.fullmatch(unit)
    first = _WORD.match(unit)
    if match is None or first is None or first[0].lower() in _RESERVED or len(unit) > 40:
        raise InvalidInputError(
            f"{unit!r:.60} cannot be a unit: it is a word beginning with a letter, without brackets or commas, "
            "and no word with a meaning of its own."
        )
    return unit


def tokenize(text: str, unit: str = "", decimal: DecimalMark = ".") -> list[Token]:
    """Tokens of `text`, the last of kind "end"; `unit` is the declared unit, as `unit_name` gives it.

    Raises
    ------
    ReportedTextError
        At a character without meaning, or digits that `decimal` does not explain.

    Examples
    --------
    >>> [token.text for token in tokenize("1,234 pts", unit="pts")]
    ['1234', 'pts', '']
    """
    plain = text.translate(_PLAIN)
    own_unit = "" if unit in _SILENT or unit_word(unit) else unit.translate(_PLAIN)
    tokens: list[Token] = []
    start = 0
    while start < len(plain):
        if space := _SPACE.match(plain, start):
            start = space.end()
            continue
        if own_unit and _stands(own_unit, plain, start):
            token = Token("unit", unit, start, start + len(own_unit))
        elif number := _number(text, plain, start, decimal):
            token = number
        elif word := _WORD.match(plain, start):
            token = _word(text, plain, word)
        elif mark := _MARK.match(plain, start):
            kind, name = _MARK_MEANS.get(mark[0], ("mark", mark[0]))
            token = Token(kind, name, start, mark.end())
        else:
            raise ReportedTextError(text, start, f"{text[start]!r} has no meaning here")
        tokens.append(token)
        start = token.end
    return [*_phrases(tokens), Token("end", "", len(text), len(text))]


def _stands(own_unit: str, plain: str, start: int) -> bool:
    """Whether the unit stands at `start` as words of its own."""
    end = start + len(own_unit)
    return plain.startswith(own_unit, start) and not plain[end : end + 1].isalnum()


def _digits_end(plain: str, start: int) -> int:
    while plain[start : start + 1] in _DIGITS:
        start += 1
    return start


def _number(text: str, plain: str, start: int, decimal: DecimalMark) -> Token | None:
    """Number token at `start`, its digits with a point as decimal mark and without thousands marks."""
    end = _digits_end(plain, start)
    whole, thousands = plain[start:end], "," if decimal == "." else "."
    group_mark = ""
    while whole and plain[end : end + 1] in (thousands, _NARROW):
        group_end = _digits_end(plain, end + 1)
        group = plain[end + 1 : group_end]
        if not group:
            break
        starts_well = group_mark or (len(whole) <= 3 and whole[0] != "0")
        if len(group) == 3 and starts_well and plain[end] == (group_mark or plain[end]):
            whole, group_mark, end = whole + group, plain[end], group_end
        elif plain[end] == _NARROW:
            break
        else:
            hint = f"pass decimal={thousands!r} if it is the decimal mark"
            problem = (
                f"{plain[end]!r} groups no thousands here; {hint}, put a space after it if it ends a number"
            )
            raise ReportedTextError(text, end, problem)
    # a decimal comma never leads: ",5" may be a list
    marks = (decimal, "·") if whole else (".", "·") if decimal == "." else ("·",)
    fraction_end = _digits_end(plain, end + 1) if plain[end : end + 1] in marks else end
    if fraction_end > end + 1:
        whole, end = f"{whole or '0'}.{plain[end + 1 : fraction_end]}", fraction_end
        if plain[end : end + 1] in (decimal, "·") and _digits_end(plain, end + 1) > end + 1:
            raise ReportedTextError(text, end, "a second decimal mark in one number")
    if not whole:
        return None
    if power := _EXPONENT.match(plain, end) or _POWER.match(plain, end):
        (group,) = filter(None, power.groups())
        exponent = group.translate(_SUPERSCRIPT).removeprefix("+")
        if abs(int(exponent)) > MAX_EXPONENT:
            raise ReportedTextError(text, end, f"an exponent goes up to {MAX_EXPONENT}")
        if len(exponent) > 3:  # zeros in front
            exponent = str(int(exponent))
        whole, end = f"{whole}{'E' if power[0][0] == 'E' else 'e'}{exponent}", power.end()
    return Token("number", whole, start, end)


def _word(text: str, plain: str, word: re.Match[str]) -> Token:
    end = word.end()
    if plain[end : end + 1] == ".":  # of an abbreviation or a sentence
        if _digits_end(plain, end + 1) > end + 1:
            raise ReportedTextError(
                text, end, "a point between a word and digits; put a space before or after"
            )
        end += 1
    return Token("word", word[0].replace(".", "").lower(), word.start(), end)


def _phrases(tokens: list[Token]) -> list[Token]:
    """Tokens with the words that belong together joined, the longest phrase first."""
    joined: list[Token] = []
    i = 0
    while i < len(tokens):
        token, size = tokens[i], 1
        if token.kind == "word":
            for size in range(min(_LONGEST, len(tokens) - i), 0, -1):
                found = PHRASES.get(" ".join(part.text for part in tokens[i : i + size]))
                if found:
                    token = Token(*found, token.start, tokens[i + size - 1].end)
                    break
            else:
                name = unit_word(token.text)
                token = token._replace(kind="unit", text=name) if name else token
        i += size
        if token.kind == "ci":
            token = _level_before(joined, token)
            if not token.text and _is_percent(tokens[i : i + 2]) and _level_ends(tokens[i + 2 : i + 3]):
                token, i = token._replace(text=tokens[i].text, end=tokens[i + 1].end), i + 2
        joined.append(token)
    return joined


def _is_percent(tokens: list[Token]) -> bool:
    return len(tokens) == 2 and tokens[0].kind == "number" and tokens[1].text == "percent"


def _level_ends(after: list[Token]) -> bool:
    """Whether a percentage after "CI" is its level, as in "CI 95% 1.2–2.9", and not its lower limit."""
    return bool(after) and (after[0].kind == "number" or after[0].text in (":", "=", "(", "["))


def _level_before(joined: list[Token], token: Token) -> Token:
    """The "CI" token with the level that was read before it: "95% CI", "95%-CI"."""
    if joined and joined[-1].text == "-" and _is_percent(joined[-3:-1]):
        joined.pop()
    if not _is_percent(joined[-2:]):
        return token
    joined.pop()
    level = joined.pop()
    return token._replace(text=level.text, start=level.start)
