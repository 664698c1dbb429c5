"""Between spans and tags: IOB2 over token offsets, and the other schemes read into it.

A tag is ``O``, ``B-label`` or ``I-label``; ``I-x`` is valid only after ``B-x`` or ``I-x``.
Offsets are ``(start, end)`` pairs of code points, one for each token, in order.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Literal

from ner.errors import BadTags
from ner.spans import Span

OUTSIDE = "O"
Scheme = Literal["iob1", "iob2", "bioes"]
Offsets = Sequence[tuple[int, int]]


def split_tag(tag: str) -> tuple[str, str]:
    """``B-per`` -> ``("B", "per")``; ``O`` -> ``("O", "")``."""
    prefix, _, label = tag.partition("-")
    return prefix, label


def tag_names(labels: Iterable[str]) -> tuple[str, ...]:
    """All tags of a label set in the order models use: ``O``, then ``B-x``, ``I-x`` per label."""
    return (OUTSIDE, *(f"{prefix}-{label}" for label in labels for prefix in "BI"))


def encode(offsets: Offsets, spans: Iterable[Span]) -> list[str]:
    """IOB2 tags of ``spans``; a token belongs to a span as soon as they share one code point.

    Tags cannot nest: of two spans that share a token the longer one is kept, then the earlier.
    """
    tags = [OUTSIDE] * len(offsets)
    ranked = sorted(spans, key=lambda span: (span.start - span.end, span.start, span.label))
    starts = [start for start, _ in offsets]
    ends = [end for _, end in offsets]
    for span in ranked:
        first, last = bisect_right(ends, span.start), bisect_left(starts, span.end)
        inside = range(first, last)
        if not inside or any(tags[position] != OUTSIDE for position in inside):
            continue
        tags[first] = f"B-{span.label}"
        for position in inside[1:]:
            tags[position] = f"I-{span.label}"
    return tags


def decode(offsets: Offsets, tags: Sequence[str]) -> list[Span]:
    """Spans of valid IOB2 tags, in order."""
    check_iob2(tags)
    return [Span(offsets[first][0], offsets[last - 1][1], label) for first, last, label in chunks(tags)]


def chunks(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """Entities of IOB2 tags as ``(first token, token after the last, label)``."""
    found: list[tuple[int, int, str]] = []
    first, current = 0, ""
    for position, tag in enumerate((*tags, OUTSIDE)):
        prefix, label = split_tag(tag)
        if prefix != "I" and current:
            found.append((first, position, current))
            current = ""
        if prefix == "B":
            first, current = position, label
    return found


def check_iob2(tags: Sequence[str]) -> None:
    """Raise ``BadTags`` at the first tag that IOB2 does not allow there."""
    previous = ""
    for position, tag in enumerate(tags):
        prefix, label = split_tag(tag)
        if tag != OUTSIDE and (prefix not in ("B", "I") or not label):
            raise BadTags(tag=tag, position=position, problem="is not an IOB2 tag")
        if prefix == "I" and label != previous:
            raise BadTags(tag=tag, position=position, problem="continues no entity of that label")
        previous = label


def is_iob2(tags: Sequence[str]) -> bool:
    """Whether the tags are valid IOB2."""
    try:
        check_iob2(tags)
    except BadTags:
        return False
    return True


def detect_scheme(sentences: Iterable[Sequence[str]]) -> Scheme:
    """The scheme that fits all sentences.

    Any ``E-``, ``S-``, ``L-`` or ``U-`` means BIOES. An entity opened by ``I-`` means IOB1. What is
    left is valid IOB2 (a file of IOB1 without such an opening reads the same either way).
    """
    scheme: Scheme = "iob2"
    for tags in sentences:
        previous = ""
        for tag in tags:
            prefix, label = split_tag(tag)
            if prefix in ("E", "S", "L", "U"):
                return "bioes"
            if prefix == "I" and label != previous:
                scheme = "iob1"
            previous = label
    return scheme


def to_iob2(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """The same entities in IOB2; BIOES is read together with its twin BILOU.

    Raises ``BadTags`` for what the scheme does not allow, except that IOB1 allows every order.
    """
    if scheme == "iob2":
        check_iob2(tags)
        return list(tags)
    converted: list[str] = []
    previous_label, open_entity = "", False
    for position, tag in enumerate(tags):
        prefix, label = split_tag(tag)
        if tag != OUTSIDE and (prefix not in ("B", "I", "E", "S", "L", "U") or not label):
            raise BadTags(tag=tag, position=position, problem=f"is not an {scheme.upper()} tag")
        if scheme == "iob1":
            if prefix in ("E", "S", "L", "U"):
                raise BadTags(tag=tag, position=position, problem="is not an IOB1 tag")
            starts = prefix == "B" or (prefix == "I" and label != previous_label)
        else:
            starts = prefix in ("B", "S", "U")
            continues = prefix in ("I", "E", "L")
            if continues and not (open_entity and label == previous_label):
                raise BadTags(tag=tag, position=position, problem="continues no open entity")
            if open_entity and not continues:
                raise BadTags(tag=tag, position=position, problem="follows an unfinished entity")
            open_entity = prefix in ("B", "I")
        converted.append(OUTSIDE if tag == OUTSIDE else f"{'B' if starts else 'I'}-{label}")
        previous_label = label
    if open_entity:
        position = len(tags) - 1
        raise BadTags(tag=tags[position], position=position, problem="leaves an entity unfinished")
    return converted
