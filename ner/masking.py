"""A text without its personal data: each entity gives way to a placeholder that says what stood there."""

from __future__ import annotations

from collections.abc import Container, Iterable

from ner.spans import Span


def masked(text: str, spans: Iterable[Span], labels: Container[str]) -> str:
    """The text with every entity of these labels replaced by `[LABEL_1]`, `[LABEL_2]`, ...

    The same words with the same label get the same number throughout the text, so that who did what is
    still to be read. Entities that share characters give way to one placeholder, the first one's: nothing
    of any of them is left.
    """
    numbers: dict[tuple[str, str], int] = {}
    counts: dict[str, int] = {}
    pieces: list[str] = []
    at = 0
    for span in sorted(span for span in spans if span.label in labels):
        if span.start < at:
            at = max(at, span.end)
            continue
        key = (span.label, text[span.start : span.end])
        if key not in numbers:
            counts[span.label] = numbers[key] = counts.get(span.label, 0) + 1
        pieces += [text[at : span.start], f"[{span.label.upper()}_{numbers[key]}]"]
        at = span.end
    return "".join([*pieces, text[at:]])
