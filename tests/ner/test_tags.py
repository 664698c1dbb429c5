"""Tags: spans to IOB2 and back, and the other schemes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner.errors import BadTags
from ner.spans import Span
from ner.tags import chunks, decode, detect_scheme, encode, is_iob2, tag_names, to_iob2

OFFSETS = [(place * 3, place * 3 + 2) for place in range(12)]


@st.composite
def separate_spans(draw: st.DrawFn) -> list[Span]:
    cuts = sorted(draw(st.sets(st.integers(0, 12), max_size=8)))
    return [
        Span(OFFSETS[first][0], OFFSETS[stop - 1][1], draw(st.sampled_from(["per", "org"])))
        for first, stop in pairwise(cuts)
        if draw(st.booleans())
    ]


@given(separate_spans())
def test_spans_on_token_borders_survive_the_round_trip(spans: list[Span]) -> None:
    assert decode(OFFSETS, encode(OFFSETS, spans)) == spans


@given(st.lists(st.tuples(st.integers(0, 36), st.integers(1, 12), st.sampled_from("ab")), max_size=9))
def test_whatever_the_spans_the_tags_are_valid(raw: list[tuple[int, int, str]]) -> None:
    tags = encode(OFFSETS, [Span(start, start + length, label) for start, length, label in raw])
    assert is_iob2(tags)
    assert len(tags) == len(OFFSETS)


def test_a_span_takes_every_token_it_touches_and_the_longer_of_two_wins() -> None:
    assert encode(OFFSETS, [Span(1, 4, "a")])[:3] == ["B-a", "I-a", "O"]
    assert encode(OFFSETS, [Span(0, 2, "a"), Span(0, 5, "b")])[:2] == ["B-b", "I-b"]
    assert encode(OFFSETS, [Span(2, 3, "a")]) == ["O"] * 12


def test_neighbouring_entities_stay_apart() -> None:
    assert chunks(["B-a", "B-a", "I-a", "O", "B-b"]) == [(0, 1, "a"), (1, 3, "a"), (4, 5, "b")]


@pytest.mark.parametrize("tags", [["I-a"], ["B-a", "I-b"], ["X-a"], ["B-"], ["B"], [""], ["O", "I-a"]])
def test_it_refuses_what_is_not_iob2(tags: list[str]) -> None:
    assert not is_iob2(tags)
    with pytest.raises(BadTags):
        decode(OFFSETS[: len(tags)], tags)


@given(separate_spans())
def test_iob1_and_bioes_read_back_as_the_same_iob2(spans: list[Span]) -> None:
    tags = encode(OFFSETS, spans)
    assert to_iob2(as_iob1(tags), "iob1") == tags
    assert to_iob2(as_bioes(tags), "bioes") == tags
    assert to_iob2(tags, "iob2") == tags


def test_it_tells_the_schemes_apart() -> None:
    assert detect_scheme([["O", "B-a", "I-a"]]) == "iob2"
    assert detect_scheme([["B-a"], ["I-a", "O"]]) == "iob1"
    assert detect_scheme([["B-a", "E-a"]]) == "bioes"


@pytest.mark.parametrize("tags", [["B-a"], ["B-a", "O"], ["E-a"], ["B-a", "E-b"], ["I-a", "E-a"], ["Q-a"]])
def test_it_refuses_broken_bioes(tags: list[str]) -> None:
    with pytest.raises(BadTags):
        to_iob2(tags, "bioes")


def test_tag_names_begin_with_outside() -> None:
    assert tag_names(["x", "y"]) == ("O", "B-x", "I-x", "B-y", "I-y")


def as_iob1(tags: list[str]) -> list[str]:
    out, before = [], ""
    for tag in tags:
        label = tag[2:]
        out.append("O" if tag == "O" else tag if tag[0] == "B" and label == before else f"I-{label}")
        before = label
    return out


def as_bioes(tags: list[str]) -> list[str]:
    out = list(tags)
    for first, stop, label in chunks(tags):
        if stop - first == 1:
            out[first] = f"S-{label}"
        else:
            out[stop - 1] = f"E-{label}"
    return out
