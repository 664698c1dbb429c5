"""What all web processes recognised lately, in Redis: the level behind what a process remembers itself.

No text lies there. A recognition is kept as offsets, tags and numbers, at a place and under a name that
nobody can compute from a text without our secret. There are so many places and no more, so that Redis is
never filled: what comes to a place last takes it over. What is read there is an answer only where it would be
one coming from a model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b, sha512

import msgspec
from django.conf import settings

from inference.engine import is_sound
from ner.runtime import Recognition, TokenPrediction
from ner.spans import Span

#: With the largest value at each of them, 64 MiB.
PLACES = 16_384
LARGEST = 4_096


@dataclass(frozen=True, slots=True)
class Place:
    """Where the recognition of a text by a version lies, and the name by which it is known there."""

    version: str
    text: str
    key: str
    name: bytes


class _Kept(msgspec.Struct, array_like=True):
    name: bytes
    tags: list[str]
    starts: list[int]
    ends: list[int]
    chosen: list[int]
    confidences: list[float]
    spans: list[tuple[int, int, str, float | None]]
    alternatives: list[list[tuple[str, float]]]
    uncertainty: float


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Kept).decode


def place_of(version: str, text: str) -> Place:
    """The place of a text, which only who has the secret can tell."""
    digest = blake2b(
        f"{version} {text}".encode(), digest_size=20, key=_secret(), person=b"recognitions"
    ).digest()
    return Place(version, text, f"recognised:{int.from_bytes(digest[:4]) % PLACES}", digest[4:])


def packed(place: Place, found: Recognition) -> bytes | None:
    """A recognition as it is kept; None for one too large."""
    tags = list({token.tag: None for token in found.tokens})
    number = {tag: index for index, tag in enumerate(tags)}
    value = _encode(
        _Kept(
            place.name,
            tags,
            [token.start for token in found.tokens],
            [token.end for token in found.tokens],
            [number[token.tag] for token in found.tokens],
            [token.confidence for token in found.tokens],
            [(span.start, span.end, span.label, span.confidence) for span in found.spans],
            [list(rivals) for rivals in found.alternatives],
            found.uncertainty,
        )
    )
    return value if len(value) <= LARGEST else None


def unpacked(place: Place, value: bytes | None) -> Recognition | None:
    """The recognition at a place; None where there is none, another text's, or one that no model can give."""
    if value is None:
        return None
    try:
        kept = _decode(value)
        found = Recognition(
            tokens=tuple(
                TokenPrediction(place.text[start:end], start, end, kept.tags[tag], confidence)
                for start, end, tag, confidence in zip(
                    kept.starts, kept.ends, kept.chosen, kept.confidences, strict=True
                )
            ),
            spans=tuple(Span(*span) for span in kept.spans),
            alternatives=tuple(map(tuple, kept.alternatives)),
            uncertainty=kept.uncertainty,
        )
    except (msgspec.DecodeError, ValueError, IndexError):
        return None
    is_whole = (
        kept.name == place.name
        and len(found.alternatives) == len(found.spans)
        and all(0 <= token.start < token.end <= len(place.text) for token in found.tokens)
        and all(math.isfinite(token.confidence) and 0 <= token.confidence <= 1 for token in found.tokens)
        and is_sound(place.text, found)
    )
    return found if is_whole else None


@cache
def _secret() -> bytes:
    return sha512(b"recognitions " + settings.SECRET_KEY.encode()).digest()
