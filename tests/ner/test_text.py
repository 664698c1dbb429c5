"""Sentences and windows of long texts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ner.spans import Span
from ner.text import sentences, windows
from ner.tokens import tokenize


def surfaces(text: str, *spans: Span) -> list[str]:
    return [text[found[0].start : found[-1].end] for found in sentences(text, keep_whole=spans)]


@given(st.text(max_size=200) | st.text(st.sampled_from('Aa1 .!?"\n)'), max_size=80))
def test_sentences_hold_every_token_once_and_in_order(text: str) -> None:
    assert [token for found in sentences(text) for token in found] == tokenize(text)


def test_a_sentence_ends_at_a_full_stop_but_not_after_an_abbreviation() -> None:
    assert surfaces("Mr. Smith left the U.S. on Monday. He said: “Stop.” Then 5 came.") == [
        "Mr. Smith left the U.S. on Monday.",
        "He said: “Stop.”",
        "Then 5 came.",
    ]


def test_a_heading_ends_its_line_but_wrapped_prose_goes_on() -> None:
    heading = "Annual Report\nThe company grew."
    assert surfaces(heading) == ["Annual Report", "The company grew."]
    wrapped = "The president flew from the northern city of New\nYork to Rome."
    assert surfaces(wrapped) == [wrapped]


def test_no_sentence_ends_inside_an_entity_that_a_person_marked() -> None:
    text = "She read Help! Help? Now."
    assert surfaces(text) == ["She read Help!", "Help?", "Now."]
    assert surfaces(text, Span(9, 20, "art")) == ["She read Help! Help?", "Now."]


@given(st.integers(1, 500), st.integers(10, 60), st.integers(0, 4))
def test_windows_join_without_a_gap_and_give_each_item_its_context(
    length: int, size: int, context: int
) -> None:
    kept: list[int] = []
    for start, stop, keep_start, keep_stop in windows(length, size=size, context=context):
        assert stop - start <= size
        assert start in (0, keep_start - context) or start == max(keep_start - context, 0)
        assert stop == min(keep_stop + context, length)
        kept.extend(range(keep_start, keep_stop))
    assert kept == list(range(length))
