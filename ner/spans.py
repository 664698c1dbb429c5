"""Spans of text: what an entity is, when it is valid, and what a reviewer changed.

Offsets count code points of the text as it is stored, `[start, end)`. Other units (UTF-16 in
browsers and some exports) are converted at the edges only, by `Utf16Index`.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate
from typing import Any, Literal

from ner.errors import BadInput
from ner.graphemes import is_grapheme_boundary
from ner.span_errors import (
    LabelTooLong,
    MissingField,
    NotAnInteger,
    NotAProbability,
    NotASpan,
    NotAString,
    OffsetNegative,
    SpanBeyondEnd,
    SpanDuplicate,
    SpanEmpty,
    SpanError,
    SpanOverlap,
    SplitsCharacter,
    SurfaceMismatch,
    TooManySpans,
    UnknownLabel,
)

MAX_SPANS = 10_000
MAX_LABEL_LENGTH = 50

OffsetUnit = Literal["codepoint", "utf16"]
#: A character that takes two UTF-16 units.
TWO_UNITS = re.compile("[\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """One entity: `text[start:end]` is a `label`. Two spans are equal whatever their confidence."""

    start: int
    end: int
    label: str
    confidence: float | None = field(default=None, compare=False)

    def to_json(self, text: str) -> dict[str, Any]:
        """The form used by the API, the database and the workbench."""
        body: dict[str, Any] = {
            "start": self.start,
            "end": self.end,
            "label": self.label,
            "text": text[self.start : self.end],
        }
        if self.confidence is not None:
            body["confidence"] = round(self.confidence, 4)
        return body

    @classmethod
    def from_json(cls, body: object, *, index: int = 0) -> Span:
        """Read one span; `text` is checked by `read_spans`, which knows the document."""
        if not isinstance(body, Mapping):
            raise NotASpan(index=index)
        for name in ("start", "end", "label"):
            if name not in body:
                raise MissingField(index=index, field=name)
        start, end, label = body["start"], body["end"], body["label"]
        confidence = body.get("confidence")
        for name, value in (("start", start), ("end", end)):
            _require_integer(value, name, index)
        if not isinstance(label, str):
            raise NotAString(index=index, field="label")
        if confidence is not None:
            if isinstance(confidence, bool) or not isinstance(confidence, int | float):
                raise NotAProbability(index=index, value=confidence)
            if not 0 <= confidence <= 1:
                raise NotAProbability(index=index, value=confidence)
            confidence = float(confidence)
        return cls(start, end, label, confidence)


@dataclass(frozen=True, slots=True)
class Example:
    """A text with its true spans: one unit of training and of evaluation."""

    text: str
    spans: tuple[Span, ...] = ()
    id: str = ""
    source: str = ""


_UTF16_HINT = " The offsets look like UTF-16 units."


class Utf16Index:
    """Converts between code points and UTF-16 units of one text; each look-up is logarithmic."""

    __slots__ = ("_astral", "_units", "length", "units")

    def __init__(self, text: str) -> None:
        # Only characters beyond U+FFFF take two units: their places are the whole table.
        self._astral = [] if text.isascii() else [found.start() for found in TWO_UNITS.finditer(text)]
        self._units = [position + rank for rank, position in enumerate(self._astral)]
        self.length = len(text)
        self.units = len(text) + len(self._astral)

    def to_utf16(self, offset: int) -> int:
        """The UTF-16 offset of a code point offset."""
        return offset + bisect_left(self._astral, offset)

    def to_codepoint(self, offset: int, *, index: int = 0) -> int:
        """The code point offset of a UTF-16 offset; one inside a character is refused.

        Offsets outside the text stay outside it, so that the ordinary checks name them.
        """
        rank = bisect_left(self._units, offset)
        if rank and self._units[rank - 1] + 1 == offset:
            raise SplitsCharacter(index=index, value=offset)
        return offset - rank


def utf16_to_codepoint(text: str, offset: int) -> int:
    """Convert one offset; for several of one text keep a `Utf16Index`."""
    return Utf16Index(text).to_codepoint(offset)


def codepoint_to_utf16(text: str, offset: int) -> int:
    """Convert one offset; for several of one text keep a `Utf16Index`."""
    return Utf16Index(text).to_utf16(offset)


def read_spans(
    text: str,
    items: Sequence[object],
    *,
    labels: Collection[str] | None = None,
    allow_overlap: bool = False,
    unit: OffsetUnit = "codepoint",
    max_spans: int = MAX_SPANS,
) -> tuple[Span, ...]:
    """Read spans from their JSON form and check them against the text, surfaces included.

    The spans come back sorted; the indexes in errors are those of `items`.
    """
    if len(items) > max_spans:
        raise TooManySpans(count=len(items), limit=max_spans)
    utf16 = Utf16Index(text)
    placed = []
    for index, item in enumerate(items):
        span = Span.from_json(item, index=index)
        if unit == "utf16":
            start = utf16.to_codepoint(span.start, index=index)
            end = utf16.to_codepoint(span.end, index=index)
            span = Span(start, end, span.label, span.confidence)
        surface = item.get("text") if isinstance(item, Mapping) else None
        if surface is not None and not isinstance(surface, str):
            raise NotAString(index=index, field="text")
        _check_place(text, span, index, surface, utf16)
        _check_label(span, index, labels)
        placed.append((span, index))
    placed.sort()
    for error in _clashes(placed, allow_overlap=allow_overlap):
        raise error
    return tuple(span for span, _ in placed)


def validate_spans(
    text: str,
    spans: Sequence[Span],
    *,
    allow_overlap: bool = False,
    labels: Collection[str] | None = None,
    max_spans: int = MAX_SPANS,
) -> None:
    """Raise the first thing that is wrong with these spans of this text."""
    for error in span_errors(text, spans, allow_overlap=allow_overlap, labels=labels, max_spans=max_spans):
        raise error


def span_errors(
    text: str,
    spans: Sequence[Span],
    *,
    allow_overlap: bool = False,
    labels: Collection[str] | None = None,
    max_spans: int = MAX_SPANS,
) -> Iterator[BadInput]:
    """Everything that is wrong, at most one error per span and one per pair of neighbours."""
    if len(spans) > max_spans:
        yield TooManySpans(count=len(spans), limit=max_spans)
        return
    placed: list[tuple[Span, int]] = []
    for index, span in enumerate(spans):
        try:
            _check_place(text, span, index)
            placed.append((span, index))
            _check_label(span, index, labels)
        except SpanError as error:
            yield error
    placed.sort()
    yield from _clashes(placed, allow_overlap=allow_overlap)


def _require_integer(value: object, name: str, index: int) -> None:
    # bool is a subclass of int, and JSON's 0.0 and "0" are not integers either.
    if type(value) is not int:
        raise NotAnInteger(index=index, field=name, value=value)


def _check_place(
    text: str,
    span: Span,
    index: int,
    surface: str | None = None,
    utf16: Utf16Index | None = None,
) -> None:
    for name, value in (("start", span.start), ("end", span.end)):
        _require_integer(value, name, index)
        if value < 0:
            raise OffsetNegative(index=index, field=name, value=value)
    if span.end <= span.start:
        raise SpanEmpty(index=index, start=span.start, end=span.end)
    if span.end > len(text):
        hint = _hint(text, span, surface, utf16)
        raise SpanBeyondEnd(index=index, end=span.end, length=len(text), hint=hint)
    found = text[span.start : span.end]
    if surface is not None and found != surface:
        hint = _hint(text, span, surface, utf16)
        raise SurfaceMismatch(
            index=index, start=span.start, end=span.end, found=found, surface=surface, hint=hint
        )


def _hint(text: str, span: Span, surface: str | None, utf16: Utf16Index | None) -> str:
    if surface is None or utf16 is None:
        return ""
    try:
        found = text[utf16.to_codepoint(span.start) : utf16.to_codepoint(span.end)]
    except SplitsCharacter:
        return ""
    return _UTF16_HINT if found == surface else ""


def _check_label(span: Span, index: int, labels: Collection[str] | None) -> None:
    if len(span.label) > MAX_LABEL_LENGTH:
        raise LabelTooLong(index=index, length=len(span.label), limit=MAX_LABEL_LENGTH)
    if not span.label or (labels is not None and span.label not in labels):
        raise UnknownLabel(index=index, label=span.label)


def _clashes(placed: Sequence[tuple[Span, int]], *, allow_overlap: bool) -> Iterator[SpanError]:
    """Duplicates, and overlaps where they are not allowed, among spans sorted by place."""
    furthest: tuple[Span, int] | None = None
    previous: tuple[Span, int] | None = None
    for current in placed:
        if previous is not None and previous[0] == current[0]:
            first, second = sorted((previous[1], current[1]))
            yield SpanDuplicate(index=second, other=first)
        elif not allow_overlap and furthest is not None and furthest[0].end > current[0].start:
            first, second = sorted((furthest[1], current[1]))
            yield SpanOverlap(index=second, other=first)
        if furthest is None or current[0].end > furthest[0].end:
            furthest = current
        previous = current


@dataclass(frozen=True, slots=True)
class SpanWarning:
    """Something a person would not have meant; the span is accepted."""

    code: Literal["splits_grapheme", "untrimmed"]
    index: int
    detail: str


_INVISIBLE = frozenset(
    "\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2066\u2067\u2068\u2069\ufeff"
)


def span_warnings(text: str, spans: Iterable[Span]) -> list[SpanWarning]:
    """Warnings about valid spans: a cut grapheme, edges of white or invisible characters."""
    warnings = []
    for index, span in enumerate(spans):
        if not (is_grapheme_boundary(text, span.start) and is_grapheme_boundary(text, span.end)):
            detail = f"Span {index} cuts what a reader sees as one character."
            warnings.append(SpanWarning("splits_grapheme", index, detail))
        if _is_blank(text[span.start]) or _is_blank(text[span.end - 1]):
            detail = f"Span {index} starts or ends with an invisible character."
            warnings.append(SpanWarning("untrimmed", index, detail))
    return warnings


def _is_blank(char: str) -> bool:
    return char.isspace() or char in _INVISIBLE


class Decision(StrEnum):
    """What a reviewer did with one span."""

    ACCEPT = "accept"
    REJECT = "reject"
    RELABEL = "relabel"
    RESIZE = "resize"
    ADD = "add"


@dataclass(frozen=True, slots=True)
class SpanChange:
    """One decision: the span before (none when added) and after (none when rejected)."""

    decision: Decision
    predicted: Span | None
    corrected: Span | None


def compare_spans(predicted: Iterable[Span], corrected: Iterable[Span]) -> list[SpanChange]:
    """What turned the predicted spans into the corrected ones, in the order of the text.

    Each span is in exactly one change. The same place and label is accepted, the same place with
    another label relabelled; of the rest, the pairs that overlap most are matched first: the same
    label is a resize, another one a relabel (the label is the graver mistake; the pair still shows
    both boundaries). What is left was rejected or added.
    """
    before, after = sorted(predicted), sorted(corrected)
    candidates = sorted((_kinship(before[i], after[j]), i, j) for i, j in _overlapping(before, after))
    partner: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, j in candidates:
        if i not in partner and j not in taken:
            partner[i] = j
            taken.add(j)
    changes = [_change(span, after[partner[i]] if i in partner else None) for i, span in enumerate(before)]
    changes += [SpanChange(Decision.ADD, None, span) for j, span in enumerate(after) if j not in taken]
    return sorted(changes, key=_place)


def _change(old: Span, new: Span | None) -> SpanChange:
    if new is None:
        return SpanChange(Decision.REJECT, old, None)
    if old.label != new.label:
        return SpanChange(Decision.RELABEL, old, new)
    same_place = (old.start, old.end) == (new.start, new.end)
    return SpanChange(Decision.ACCEPT if same_place else Decision.RESIZE, old, new)


def _kinship(old: Span, new: Span) -> tuple[int, float]:
    """Sorts the closest pairs first: same span, same place, same label by overlap, any overlap."""
    if (old.start, old.end) == (new.start, new.end):
        return (0 if old.label == new.label else 1), 0.0
    shared = min(old.end, new.end) - max(old.start, new.start)
    joined = max(old.end, new.end) - min(old.start, new.start)
    return (2 if old.label == new.label else 3), -shared / joined


def _overlapping(before: Sequence[Span], after: Sequence[Span]) -> Iterator[tuple[int, int]]:
    """Index pairs that share a character; both sides are sorted, nesting is allowed."""
    starts = [span.start for span in after]
    furthest_ends = list(accumulate((span.end for span in after), max))
    for i, span in enumerate(before):
        first = bisect_right(furthest_ends, span.start)
        for j in range(first, bisect_left(starts, span.end)):
            if after[j].end > span.start:
                yield i, j


def _place(change: SpanChange) -> tuple[int, int, bool]:
    span = change.predicted or change.corrected
    if span is None:
        return 0, 0, False
    return span.start, span.end, change.predicted is None
