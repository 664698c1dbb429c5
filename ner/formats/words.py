"""A text as words, for formats that hold words and tags: cut so that every entity is whole words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ner.formats.info import LOSSES, Loss, field_losses
from ner.formats.record import Record
from ner.spans import Span
from ner.tags import OUTSIDE, Scheme
from ner.tokens import tokenize

Places = Iterable[tuple[int, int]]
Tokenise = Callable[[str], Places]

_FILLED = re.compile(r"\S+")
_WHITE = re.compile(r"\s")
#: A line of its own in column files, so that no word may look like it.
DOCSTART = "-DOCSTART-"


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of a text, and the entity it belongs to."""

    start: int
    end: int
    span: Span | None = None


def spaced(text: str) -> Places:
    """What stands between white space."""
    return (match.span() for match in _FILLED.finditer(text))


def tokens(text: str) -> Places:
    """The words that models see."""
    return ((token.start, token.end) for token in tokenize(text))


def one_by_one(spans: Iterable[Span]) -> list[Span]:
    """Spans that share no character: of two that do the longer one is kept, then the earlier."""
    ordered = sorted(spans)
    if not overlapping(ordered):
        return ordered
    kept: list[Span] = []
    for span in sorted(ordered, key=lambda span: (span.start - span.end, span)):
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    return sorted(kept)


def overlapping(spans: Iterable[Span]) -> bool:
    """Whether two of these spans, in order, share a character."""
    end = 0
    for span in spans:
        if span.start < end:
            return True
        end = max(end, span.end)
    return False


def cut(places: Places, edges: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The same places, cut wherever an edge lies inside one."""
    remaining = sorted(set(edges), reverse=True)
    for start, end in places:
        while remaining and remaining[-1] <= start:
            remaining.pop()
        while remaining and remaining[-1] < end:
            edge = remaining.pop()
            yield start, edge
            start = edge
        yield start, end


def words_of(record: Record, tokenise: Tokenise) -> list[Word]:
    """The words of a record, each with the one entity it belongs to."""
    text, spans = record.text, one_by_one(record.spans or ())
    edges = [edge for span in spans for edge in (span.start, span.end)]
    at = text.find(DOCSTART)
    while at >= 0:
        edges.append(at + 1)
        at = text.find(DOCSTART, at + 1)
    words, upcoming = [], 0
    for start, end in cut(tokenise(text), edges):
        while upcoming < len(spans) and spans[upcoming].end <= start:
            upcoming += 1
        inside = upcoming < len(spans) and spans[upcoming].start <= start
        words.append(Word(start, end, spans[upcoming] if inside else None))
    return words


def spacy_words(text: str, spans: Iterable[Span]) -> list[tuple[int, int, bool]]:
    """The whole text as spaCy's tokens: white space too, but for one space after a token, which is its flag.

    Each span is whole tokens. A space at the edge of a span is a token, for a flag is in no span.
    """
    starts, ends = {span.start for span in spans}, {span.end for span in spans}
    places: list[tuple[int, int]] = []
    flagged: set[int] = set()
    position = 0
    for start, end in (*tokens(text), (len(text), len(text))):
        space = bool(places) and position < start and text[position] == " "
        if space and position not in starts and position + 1 not in ends:
            flagged.add(position)
            position += 1
        places += [place for place in ((position, start), (start, end)) if place[0] < place[1]]
        position = end
    return [(start, end, end in flagged) for start, end in cut(places, starts | ends)]


def tags_of(words: list[Word], scheme: Scheme) -> Iterator[str]:
    """The tag of each word; white space in a label becomes an underscore."""
    for position, word in enumerate(words):
        span = word.span
        if span is None:
            yield OUTSIDE
            continue
        before = words[position - 1].span if position else None
        after = words[position + 1].span if position + 1 < len(words) else None
        first, last = before is not span, after is not span
        if scheme == "iob1":
            prefix = "B" if first and before is not None and before.label == span.label else "I"
        elif scheme == "bioes" and last:
            prefix = "S" if first else "E"
        else:
            prefix = "B" if first else "I"
        yield f"{prefix}-{_WHITE.sub('_', span.label)}"


def word_losses(
    record: Record, tokenise: Tokenise, *, spacing: bool, carried: tuple[str, ...] = ()
) -> Iterator[Loss]:
    """What words and tags lose; `spacing` says whether what stands between the words is lost too."""
    words = words_of(record, tokenise)
    if not words:
        yield LOSSES["blank_text"]
        return
    yield from field_losses(record, ("spans", *carried))
    spans = record.spans or ()
    kept = one_by_one(spans)
    yield from [LOSSES["overlap"]] * (len(spans) - len(kept))
    places = {span: (word.start, word.end) for word in words if (span := word.span)}
    starts = {span: word.start for word in reversed(words) if (span := word.span)}
    for span in kept:
        if span not in places:
            yield LOSSES["blank_entity"]
            continue
        if (starts[span], places[span][1]) != (span.start, span.end):
            yield LOSSES["edges"]
        if _WHITE.search(span.label):
            yield LOSSES["label"]
    if spacing and " ".join(record.text[word.start : word.end] for word in words) != record.text:
        yield LOSSES["spacing"]
