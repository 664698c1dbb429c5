"""Tokens: exact offsets for any text, splitting like the corpora the models learned from."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner.tokens import _PLAIN, _TOKEN, tokenize

FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467"
AWKWARD = st.text(
    st.sampled_from(
        "aZé0.,-'’$%&@/:\"()\n\t \u00a0\u200b\u200d\ufeff\u0301\u0e31ส東か\u00ad"
        "\U0001f1eb\U0001f469\U0001f3fd\ud800"
    ),
    max_size=60,
)


def words(text: str) -> list[str]:
    return [token.word for token in tokenize(text)]


@given(st.text(max_size=200) | AWKWARD)
def test_every_token_is_a_slice_of_the_text_and_together_they_miss_only_separators(text: str) -> None:
    place = 0
    for token in tokenize(text):
        assert token.start >= place
        assert token.end > token.start
        assert text[token.start : token.end] == token.word
        assert not any(char.isalnum() for char in text[place : token.start])
        place = token.end
    assert not any(char.isalnum() for char in text[place:])


_THOROUGH = re.compile(_TOKEN.pattern.replace(_PLAIN, "(?!)"), re.VERBOSE)


@given(st.text(st.sampled_from("aZé9 .,;'’!-/:@&\n\u0301\u200d\u0e31東"), max_size=40))
def test_the_short_way_to_a_plain_word_finds_what_the_thorough_one_finds(text: str) -> None:
    short, thorough = ([match.span() for match in rule.finditer(text)] for rule in (_TOKEN, _THOROUGH))
    assert short == thorough


@given(AWKWARD)
def test_a_combining_mark_never_leaves_its_base(text: str) -> None:
    for token in tokenize(text):
        before = text[token.start - 1 : token.start]
        if token.word[0] in "\u0301\u0e31" and before:
            assert not before.isalnum()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mr. Obama's visit.", ["Mr.", "Obama", "'s", "visit", "."]),
        ("They don't, it’s", ["They", "do", "n't", ",", "it", "’s"]),
        ("U.S.-led al-Qaida", ["U.S.-led", "al-Qaida"]),
        ("$5.5 million (5%)", ["$", "5.5", "million", "(", "5", "%", ")"]),
        ("at 10:30 a.m. in N'Djamena", ["at", "10:30", "a.m.", "in", "N'Djamena"]),
        ("the end.Next one", ["the", "end", ".", "Next", "one"]),
        ("AT&T paid 1,000,000...", ["AT&T", "paid", "1,000,000", "..."]),
        ("workers' -- rights", ["workers", "'", "--", "rights"]),
        ("see https://a.org/b_c.html.", ["see", "https://a.org/b_c.html", "."]),
        (f"{FAMILY}\U0001f44d\U0001f3fd", [FAMILY, "\U0001f44d\U0001f3fd"]),
        ("\U0001f1eb\U0001f1f7\U0001f1e9\U0001f1ea", ["\U0001f1eb\U0001f1f7", "\U0001f1e9\U0001f1ea"]),
        ("e\u0301te\u0301 नमस्ते", ["e\u0301te\u0301", "नमस्ते"]),
        ("東京都", ["東", "京", "都"]),
        ("\ufeffa\u200bb\x00c", ["a", "b", "c"]),
        ("", []),
        (" \n\t", []),
    ],
)
def test_it_splits_like_the_corpora(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    "piece", ["a", "a-", "a--", "'", "a.'", "http://", "\u0301", FAMILY, "1,", ".", ".a", "A.", "don't"]
)
def test_time_is_linear_in_the_text(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    started = time.process_time()
    tokenize(text)
    assert time.process_time() - started < 2.0
