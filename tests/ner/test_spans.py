"""Spans: what is refused and with which code, what is only warned about, and the units of offsets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner.errors import BadInput
from ner.graphemes import is_grapheme_boundary
from ner.spans import (
    Span,
    Utf16Index,
    codepoint_to_utf16,
    read_spans,
    span_errors,
    span_warnings,
    utf16_to_codepoint,
    validate_spans,
)

CASES = json.loads((Path(__file__).parents[1] / "data" / "offsets.json").read_text(encoding="utf-8"))
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
AWKWARD = st.text(
    st.sampled_from("aZ \r\n\t\u00e9\u0301\u200d\U0001f468\U0001f469\U0001f1f3\u202e\u1109\u1165\u0000")
    | st.characters(exclude_categories=("Cs",)),
    max_size=40,
)


def refused(text: str, *items: object, **options: object) -> BadInput:
    with pytest.raises(BadInput) as caught:
        read_spans(text, items, **options)  # type: ignore[arg-type]
    return caught.value


def item(start: object, end: object, label: object = "per", **more: object) -> dict[str, object]:
    return {"start": start, "end": end, "label": label, **more}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_every_case_of_the_shared_table_holds_in_both_units(case: dict) -> None:
    text = case["text"]
    index = Utf16Index(text)
    for span in case["spans"]:
        assert text[span["start"] : span["end"]] == span["surface"]
        assert index.to_utf16(span["start"]) == span["utf16_start"]
        assert index.to_utf16(span["end"]) == span["utf16_end"]
        assert index.to_codepoint(span["utf16_start"]) == span["start"]
        assert index.to_codepoint(span["utf16_end"]) == span["end"]
    assert index.units == len(text.encode("utf-16-le")) // 2


@given(AWKWARD)
def test_utf16_agrees_with_the_codec_at_every_offset(text: str) -> None:
    for offset in range(len(text) + 1):
        units = codepoint_to_utf16(text, offset)
        assert units == len(text[:offset].encode("utf-16-le")) // 2
        assert utf16_to_codepoint(text, units) == offset


def test_an_offset_inside_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(BadInput) as caught:
        utf16_to_codepoint("\U0001f4a9 Ann", 1)
    assert caught.value.code == "splits_character"
    assert refused("\U0001f4a9 Ann", item(0, 1), unit="utf16").code == "splits_character"


def test_spans_can_be_read_in_utf16_units() -> None:
    text = f"{FAMILY} Ann"
    assert read_spans(text, [item(9, 12, text="Ann")], unit="utf16") == (Span(6, 9, "per"),)


@pytest.mark.parametrize(
    ("start", "end", "code"),
    [
        (-1, 2, "offset_negative"),
        (0, -2, "offset_negative"),
        (2, 2, "span_empty"),
        (3, 1, "span_empty"),
        (0, 99, "span_beyond_end"),
        (0, 10**30, "span_beyond_end"),
        (7, 8, "span_beyond_end"),
        (True, 2, "not_an_integer"),
        (0, 0.5, "not_an_integer"),
        (0.0, 2, "not_an_integer"),
        ("0", 2, "not_an_integer"),
        (0, "\u0661", "not_an_integer"),
        (None, 2, "not_an_integer"),
    ],
)
def test_it_refuses_offsets_that_name_no_part_of_the_text(start: object, end: object, code: str) -> None:
    assert refused("Ann ran", item(start, end)).code == code


def test_beyond_the_end_names_both_numbers() -> None:
    assert str(refused("Ann", item(0, 99))) == "Span 0: end 99 > length 3 of the text."


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("", "unknown_label"),
        ("PER", "unknown_label"),
        ("x" * 51, "label_too_long"),
        (None, "not_a_string"),
        (5, "not_a_string"),
    ],
)
def test_it_refuses_labels_the_project_does_not_have(label: object, code: str) -> None:
    assert refused("Ann", item(0, 3, label), labels={"per", "org"}).code == code


@pytest.mark.parametrize("body", [None, 5, "Ann", [0, 3, "per"]])
def test_it_refuses_what_is_not_an_object(body: object) -> None:
    assert refused("Ann", body).code == "not_a_span"


@pytest.mark.parametrize("name", ["start", "end", "label"])
def test_it_names_the_field_that_is_missing(name: str) -> None:
    body = item(0, 3)
    del body[name]
    error = refused("Ann", body)
    assert (error.code, error.facts["field"]) == ("missing_field", name)


@pytest.mark.parametrize("confidence", [-0.1, 1.1, float("nan"), "0.5", True])
def test_it_refuses_a_confidence_that_is_no_probability(confidence: object) -> None:
    assert refused("Ann", item(0, 3, confidence=confidence)).code == "not_a_probability"


def test_a_surface_that_differs_is_refused() -> None:
    error = refused("Ann ran", item(0, 3, text="Bob"))
    assert error.code == "surface_mismatch"
    assert "UTF-16" not in str(error)


def test_it_says_when_the_offsets_look_like_utf16() -> None:
    text = f"{FAMILY} Ann met Bob"
    assert "UTF-16" in str(refused(text, item(9, 12, text="Ann")))
    beyond = refused(f"{FAMILY} Ann", item(9, 12, text="Ann"))
    assert beyond.code == "span_beyond_end"
    assert "UTF-16" in str(beyond)


def test_decomposed_text_is_compared_as_it_is() -> None:
    assert refused("Jose\u0301", item(0, 5, text="Jos\u00e9")).code == "surface_mismatch"
    assert read_spans("Jose\u0301", [item(0, 5, text="Jose\u0301")])


def test_an_overlap_names_both_spans() -> None:
    error = refused("Ann ran home", item(8, 12), item(4, 9), item(0, 3))
    assert (error.code, error.facts["other"], error.facts["index"]) == ("span_overlap", 0, 1)


def test_a_span_nested_far_before_its_neighbour_is_found() -> None:
    spans = [Span(0, 12, "org"), Span(1, 2, "per"), Span(10, 11, "per")]
    assert [error.facts["index"] for error in span_errors("Ann ran home", spans)] == [1, 2]


def test_overlap_is_allowed_where_the_project_allows_it_but_duplicates_never() -> None:
    assert len(read_spans("Ann ran", [item(0, 7), item(0, 3)], allow_overlap=True)) == 2
    error = refused("Ann ran", item(0, 3), item(4, 7), item(0, 3), allow_overlap=True)
    assert (error.code, error.facts["other"], error.facts["index"]) == ("span_duplicate", 0, 2)


def test_touching_spans_do_not_overlap() -> None:
    validate_spans("AnnBob", [Span(0, 3, "per"), Span(3, 6, "per")])


def test_too_many_spans_are_refused_before_they_are_read() -> None:
    assert refused("Ann", *[None] * 10_001).code == "too_many_spans"
    assert next(span_errors("Ann", [Span(0, 3, "per")] * 10_001)).code == "too_many_spans"


def test_all_errors_can_be_listed_at_once() -> None:
    spans = [Span(0, 0, "per"), Span(0, 9, "per"), Span(0, 3, "x" * 51)]
    codes = [error.code for error in span_errors("Ann", spans)]
    assert codes == ["span_empty", "span_beyond_end", "label_too_long"]


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("e\u0301a", 0, 1),
        (f"{FAMILY}!", 0, 1),
        (f"{FAMILY}!", 2, 5),
        ("\U0001f1f3\U0001f1f4\U0001f1f8\U0001f1ea", 1, 3),
        ("\u1109\u1165\u110b", 0, 1),
        ("\uc11c\u11a8", 0, 1),
        ("a\r\nb", 0, 2),
        ("\U0001f44b\U0001f3fd", 0, 1),
        ("\u2764\ufe0f", 0, 1),
    ],
)
def test_it_warns_when_a_span_cuts_what_a_reader_sees_as_one_character(
    text: str, start: int, end: int
) -> None:
    codes = [warning.code for warning in span_warnings(text, [Span(start, end, "per")])]
    assert "splits_grapheme" in codes


def test_whole_graphemes_give_no_warning() -> None:
    text = f"{FAMILY} e\u0301 \U0001f1f3\U0001f1f4\U0001f1f8\U0001f1ea \uc11c\uc6b8"
    spans = [Span(0, 5, "x"), Span(6, 8, "x"), Span(9, 11, "x"), Span(11, 13, "x"), Span(14, 15, "x")]
    assert span_warnings(text, spans) == []


@given(AWKWARD)
def test_grapheme_boundaries_never_fail_and_always_hold_at_the_ends(text: str) -> None:
    assert is_grapheme_boundary(text, 0)
    assert is_grapheme_boundary(text, len(text))
    for offset in range(len(text)):
        is_grapheme_boundary(text, offset)


@pytest.mark.parametrize("text", [" Ann", "Ann\u00a0", "\u200bAnn", "Ann\n", "\u202eAnn", "\ufeffAnn"])
def test_it_warns_about_invisible_edges(text: str) -> None:
    assert [w.code for w in span_warnings(text, [Span(0, 4, "per")])] == ["untrimmed"]


def test_the_json_form_carries_the_surface_and_the_confidence() -> None:
    span = Span(4, 9, "per", 0.93333)
    assert span.to_json("The Obama years") == {
        "start": 4,
        "end": 9,
        "label": "per",
        "text": "Obama",
        "confidence": 0.9333,
    }
    assert "confidence" not in Span(4, 9, "per").to_json("The Obama years")
    assert Span.from_json(span.to_json("The Obama years")) == span


def test_spans_are_equal_whatever_their_confidence() -> None:
    assert Span(0, 3, "per", 0.1) == Span(0, 3, "per")
    assert len({Span(0, 3, "per", 0.1), Span(0, 3, "per", 0.9)}) == 1
