"""The text as the server paints it: nothing lost, nothing added, nothing twice."""

from __future__ import annotations

import time
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.workbench import PIECE, pieces_of

LABELS = [{"name": name, "title": name, "hue": hue, "pattern": 0} for hue, name in enumerate(("per", "geo"))]

texts = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), st.sampled_from("a \n\r🎉́")),
    min_size=1,
    max_size=60,
)


@st.composite
def payloads(draw: st.DrawFn) -> dict[str, Any]:
    text = draw(texts)
    spans = []
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(text) - 1))
        end = draw(st.integers(start + 1, len(text)))
        label = draw(st.sampled_from(["per", "geo"]))
        spans.append({"start": start, "end": end, "label": label, "confidence": draw(st.floats(0, 1))})
    return {"text": text, "labels": LABELS, "current": None, "prediction": {"spans": spans}}


@settings(deadline=None)
@given(payloads())
def test_the_segments_are_the_text_and_the_layers_are_the_spans(payload: dict[str, Any]) -> None:
    text = payload["text"]
    lines = pieces_of(payload)
    shown = ["".join(segment.text for piece in line for segment in piece.segments) for line in lines]
    assert shown == text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    painted = {
        layer.id: "".join(
            segment.text
            for line in lines
            for piece in line
            for segment in piece.segments
            if any(other.id == layer.id for other in segment.layers)
        )
        for line in lines
        for piece in line
        for segment in piece.segments
        for layer in segment.layers
    }
    for index, span in enumerate(payload["prediction"]["spans"]):
        surface = text[span["start"] : span["end"]].replace("\r", "").replace("\n", "")
        assert painted.get(f"s{index}", "") == surface


def test_a_long_line_comes_in_pieces_cut_between_words() -> None:
    text = "word " * 3000
    payload = {"text": text, "labels": LABELS, "current": None, "prediction": {"spans": []}}
    (line,) = pieces_of(payload)
    pieces = ["".join(segment.text for segment in piece.segments) for piece in line]
    assert "".join(pieces) == text
    assert all(len(piece) <= PIECE and piece.endswith(" ") for piece in pieces)


def test_many_spans_in_a_long_text_are_painted_quickly() -> None:
    text = "Ada met Ann. \n" * 15_000
    spans = [
        {"start": at * 14, "end": at * 14 + 3, "label": "per", "confidence": 0.5} for at in range(15_000)
    ]
    payload = {"text": text, "labels": LABELS, "current": None, "prediction": {"spans": spans}}
    started = time.process_time()
    pieces_of(payload)
    # Processor time: how busy the machine is otherwise must not matter.
    assert time.process_time() - started < 3, "it would grow with the square of the spans"
