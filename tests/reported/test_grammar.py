"""Tokens: time linear in the length, positions those of the text."""

import contextlib
import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsynth.errors import ReportedTextError
from netsynth.reported import parse_interval, parse_number, parse_reported
from netsynth.reported.grammar import MAX_LENGTH, tokenize

BOMBS = [
    "(", "((83)", "1", "1.", "1,", "1,234", "1\u00a0", "a", "a.", " ", "1 x ", "not ", "p - ", "95% CI ", "1e",
    "±", "-", "?–", "HR 1 ", "＜", "\u0301", "\ud800", "12/", "(HR (95% CI) ",
]  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_hostile_text_is_refused_at_once(bomb):
    text = (bomb * (10**6 // len(bomb) + 1))[: 10**6]
    for read in (parse_reported, parse_number, parse_interval):
        start = time.process_time()
        with pytest.raises(
            ReportedTextError, match="one result takes at most 1000 characters; found 1000000"
        ):
            read(text)
        assert time.process_time() - start < 0.2
    short = text[:MAX_LENGTH]
    start = time.process_time()
    for read in (parse_reported, parse_number, parse_interval):
        with pytest.raises(ReportedTextError):
            read(short)
    assert time.process_time() - start < 0.2  # measured: 4 ms


def seconds(text):
    start = time.process_time()
    with contextlib.suppress(ReportedTextError):
        tokenize(text, unit="mg/dL")
    return time.process_time() - start


@pytest.mark.parametrize("bomb", BOMBS)
def test_tokens_take_linear_time(bomb):
    """Without the limit on length: eight times the text must not take 64 times as long."""
    short, long = (min(seconds(bomb * (n // len(bomb))) for _ in range(2)) for n in (2_000, 16_000))
    assert long < 24 * short + 0.02


@settings(deadline=None)
@given(st.text())
def test_any_text_is_read_or_refused(text):
    for decimal, read in itertools.product(".,", (parse_reported, parse_number, parse_interval)):
        with contextlib.suppress(ReportedTextError):
            read(text, decimal=decimal)


PIECES = ["83", "70.5", "1,234", ".04", "%", "months", "(", ")", "[", "]", "-", "–", "to", ",", ";", "HR", "95% CI",
          "range", "IQR", "SD", "±", "p", "=", "<", "NR", "not", "reached", "n.s.", "12/17", "of", "k", "studies",
          " ", " ", " ", "e5", "median", "?", ".", "×10−5", "\u2009"]  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=15).map("".join))
@pytest.mark.filterwarnings("ignore::netsynth.errors.InconsistentReportWarning")
def test_what_is_read_from_scraps_prints_and_reads_back(text):
    try:
        value = parse_reported(text)
    except ReportedTextError as refused:
        error = refused
    else:
        assert parse_reported(str(value), unit=value.unit) == value
        return
    assert 0 <= error.position <= len(text)


@settings(deadline=None)
@given(st.text(alphabet="83.,·%<~ -–(pHRCIto±", max_size=30))
def test_tokens_lie_in_the_text_in_order(text):
    try:
        tokens = tokenize(text)
    except ReportedTextError:
        return
    ends = [0, *itertools.chain.from_iterable((token.start, token.end) for token in tokens)]
    assert ends == sorted(ends)
    assert ends[-1] == len(text)
