"""Long texts in pieces: sentences of tokens, and windows of a sentence that has no end.

Sentences are cut between tokens only, so every offset stays that of the text as it was sent.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise

from ner.spans import Span
from ner.tokens import Token, tokenize

_TERMINALS = frozenset(".!?…。！？।؟")
_CLOSERS = frozenset("\"')]}”’»")
_ENDINGS = _TERMINALS | _CLOSERS
# A line this short is a heading, a list item or a field, not prose wrapped at the margin.
_SHORT_LINE = 45


def sentences(text: str, *, keep_whole: Sequence[Span] = ()) -> list[list[Token]]:
    """The tokens of the text, sentence by sentence; none is empty.

    No sentence ends inside a span of ``keep_whole``: what a person marked outweighs the rule.
    """
    tokens = tokenize(text)
    if not tokens:
        return []
    spans = _Cover(keep_whole)
    sentence = [tokens[0]]
    found = [sentence]
    is_one_line = "\n" not in text
    line_start = max(text.rfind("\n", 0, tokens[0].start), 0)
    for previous, token in pairwise(tokens):
        breaks = 0 if is_one_line else text.count("\n", previous.end, token.start)
        if not breaks and previous.word[0] not in _ENDINGS:
            sentence.append(token)
            continue
        ends = (
            breaks > 1
            or (breaks == 1 and previous.end - line_start < _SHORT_LINE)
            or _ends_sentence(sentence, token)
        )
        if breaks:
            line_start = token.start
        if ends and not spans.hold(previous.end, token.start):
            sentence = [token]
            found.append(sentence)
        else:
            sentence.append(token)
    return found


def _ends_sentence(sentence: Sequence[Token], following: Token) -> bool:
    first = following.word[0]
    if first.islower() or (first in _CLOSERS and following.start == sentence[-1].end):
        return False
    last = sentence[-1]
    if len(sentence) > 1 and last.word in _CLOSERS and sentence[-2].end == last.start:
        last = sentence[-2]
    return last.word[0] in _TERMINALS


class _Cover:
    """Answers whether any of some spans reaches over a gap between two tokens."""

    def __init__(self, spans: Sequence[Span]) -> None:
        ordered = sorted(spans)
        self._starts = [span.start for span in ordered]
        self._reach: list[int] = []
        for span in ordered:
            self._reach.append(max(span.end, self._reach[-1] if self._reach else 0))

    def hold(self, end: int, start: int) -> bool:
        """Whether a span starts before ``end`` and ends after ``start``."""
        position = bisect_left(self._starts, end)
        return position > 0 and self._reach[position - 1] > start


def windows(length: int, *, size: int, context: int) -> Iterator[tuple[int, int, int, int]]:
    """Overlapping pieces ``(start, stop, keep_start, keep_stop)`` of a sequence.

    Each piece is ``size`` long at most; the kept parts join without a gap, and away from the ends
    of the sequence every kept item has ``context`` neighbours on both sides in its piece.
    """
    if length <= size:
        yield 0, length, 0, length
        return
    step = size - 2 * context
    for keep_start in range(0, length, step):
        keep_stop = min(keep_start + step, length)
        yield max(keep_start - context, 0), min(keep_stop + context, length), keep_start, keep_stop
