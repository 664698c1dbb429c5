"""Masking: nothing of an entity is left, and the same one is known again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ner.masking import masked
from ner.spans import Span


def test_each_entity_gives_way_to_its_type_and_number() -> None:
    text = "Ada met Ann in London. Ada left."
    spans = [Span(0, 3, "per"), Span(8, 11, "per"), Span(15, 21, "geo"), Span(23, 26, "per")]
    assert masked(text, spans, {"per"}) == "[PER_1] met [PER_2] in London. [PER_1] left."


def test_entities_that_share_characters_leave_nothing() -> None:
    text = "Bank of England, London"
    spans = [Span(0, 15, "org"), Span(8, 23, "geo"), Span(17, 23, "geo")]
    assert masked(text, spans, {"org", "geo"}) == "[ORG_1]"


def test_a_text_without_personal_data_stays_as_it_is() -> None:
    assert masked("Ada \U0001f600 left.", [Span(0, 3, "per")], set()) == "Ada \U0001f600 left."


@given(st.text(min_size=1), st.data())
def test_what_is_outside_of_entities_stays_to_the_character(text: str, data: st.DataObject) -> None:
    place = st.integers(0, len(text))
    spans = [
        Span(min(pair), max(pair), "x")
        for pair in data.draw(st.lists(st.tuples(place, place)))
        if pair[0] != pair[1]
    ]
    covered = {at for span in spans for at in range(span.start, span.end)}
    outside = "".join(letter for at, letter in enumerate(text) if at not in covered)
    found = masked(text, spans, {"x"})
    for number in range(len(spans), 0, -1):
        found = found.replace(f"[X_{number}]", "") if f"[X_{number}]" not in text else found
    if "[X_" not in text:
        assert found == outside
