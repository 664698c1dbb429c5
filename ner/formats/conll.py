"""Token columns (CoNLL and its many relatives): one token a line, the word first, its tag last.

Columns are separated by tabs or by spaces, sentences by blank lines (a line of white space is
blank), `-DOCSTART-` lines are skipped. IOB1, IOB2 and BIOES (or BILOU) are told apart while
reading: each tag rules out the schemes that do not allow it there, and a tag that no remaining
scheme allows is an error, or is repaired on request. Tokens are joined by one space: the original
spacing is not in such a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Literal

from ner.errors import FormatError
from ner.formats.record import Record
from ner.formats.source import BadRow, EmptyFile, Reading, Source, checked, numbered_lines, opened
from ner.spans import Example, Span, validate_spans
from ner.tags import OUTSIDE, Scheme, split_tag

_PREFIXES = frozenset("BIESLU")
_LAST_OF_ENTITY = frozenset("ESLU")
_ALWAYS_FIRST = frozenset("BSU")
# Only what a column file cannot hold separates words: a no-break space belongs to its token.
_WORD = re.compile(r"[^ \t\r\n]+")


class BadTagSequence(FormatError):
    """Line {line}: {tag} cannot follow {previous} in {scheme}; correct it, or read the file with repair."""

    code = "bad_tag_sequence"


class NotWritable(FormatError):
    """Example {line}: {problem}."""

    code = "not_writable"


@dataclass(frozen=True, slots=True)
class TaggedToken:
    """A word and its tag, with the line and the column where the tag stands."""

    word: str
    tag: str
    line: int
    column: int


class TagReader:
    """Turns tagged sentences of one file into examples; remembers what scheme the file can be."""

    def __init__(self, scheme: Scheme | Literal["auto"], reading: Reading) -> None:
        self._possible: frozenset[Scheme] = (
            frozenset(("iob1", "iob2", "bioes")) if scheme == "auto" else frozenset((scheme,))
        )
        self._reading = reading

    def record(self, words: list[TaggedToken], id: str = "") -> Record:
        """One sentence; every entity the tags name in any scheme, after checking that they may."""
        spans: list[Span] = []
        start = end = position = 0
        open_label, previous = "", OUTSIDE
        for word in words:
            prefix, label = _tag_parts(word)
            self._check(previous, word.tag, word.line)
            starts = label and (
                prefix in _ALWAYS_FIRST or label != open_label or previous[0] in _LAST_OF_ENTITY
            )
            if open_label and (starts or not label):
                spans.append(Span(start, end, open_label))
            if starts:
                start = position
            open_label, previous = label, word.tag
            end = position + len(word.word)
            position = end + 1
        self._check(previous, OUTSIDE, words[-1].line)
        if open_label:
            spans.append(Span(start, end, open_label))
        text, line = " ".join(word.word for word in words), words[0].line
        return Record(text, checked(text, spans, line=line), id, place=line)

    def _check(self, previous: str, tag: str, line: int) -> None:
        remaining = frozenset(scheme for scheme in self._possible if _may_follow(scheme, previous, tag))
        if remaining:
            self._possible = remaining
        elif self._reading.repair:
            self._reading.report.repaired += 1
        else:
            names = " or ".join(sorted(scheme.upper() for scheme in self._possible))
            raise BadTagSequence(line=line, tag=tag, previous=previous, scheme=names)


def _tag_parts(word: TaggedToken) -> tuple[str, str]:
    prefix, label = split_tag(word.tag)
    if word.tag != OUTSIDE and (prefix not in _PREFIXES or not label):
        raise BadRow(line=word.line, column=word.column, problem=f"{word.tag!r} is not a tag")
    return prefix, label


def _may_follow(scheme: Scheme, previous: str, tag: str) -> bool:
    prefix, label = split_tag(tag)
    before, label_before = split_tag(previous)
    same_entity = bool(label) and label == label_before
    if scheme == "bioes":
        unfinished = before in ("B", "I")
        continues = prefix in ("I", "E", "L")
        return same_entity if unfinished and continues else not unfinished and not continues
    if prefix in ("E", "S", "L", "U"):
        return False
    if scheme == "iob1":
        return prefix != "B" or same_entity
    return prefix != "I" or same_entity


def read(source: Source, reading: Reading, *, scheme: Scheme | Literal["auto"] = "auto") -> Iterator[Record]:
    """Sentences as records; a file of one column holds sentences that nobody has looked at."""
    tags = TagReader(scheme, reading)
    found = False
    with opened(source) as stream:
        for words in _sentences(stream, reading):
            found = True
            record = reading.attempt(tags.record, words)
            if record is not None:
                yield record
    if not found:
        raise EmptyFile(line=1)


def _sentences(stream: Iterable[bytes], reading: Reading) -> Iterator[list[TaggedToken]]:
    """The rows between blank lines; a sentence with a bad row is left out whole."""
    words: list[TaggedToken] = []
    width, bad = 0, False
    for number, line in numbered_lines(stream):
        columns = split_columns(line)
        if not columns or columns[0] == "-DOCSTART-":
            if words and not bad:
                yield words
            words, bad = [], False
            continue
        width = width or len(columns)
        try:
            words += _row(columns, width, number, reading)
        except FormatError as error:
            if not bad:
                reading.refuse(error)
            bad = True
    if words and not bad:
        yield words


def _row(columns: list[str], width: int, number: int, reading: Reading) -> list[TaggedToken]:
    if len(columns) != width:
        problem = f"{len(columns)} columns where the lines before have {width}"
        raise BadRow(line=number, column=len(columns), problem=problem)
    tag = columns[-1] if width > 1 else OUTSIDE
    if columns[0]:
        return [TaggedToken(columns[0], tag, number, width)]
    if tag != OUTSIDE:
        raise BadRow(line=number, column=1, problem="the token of an entity is empty")
    # Corpora whose makers dropped characters have such lines; nothing is lost with them.
    reading.ignore("empty token")
    return []


def split_columns(line: str) -> list[str]:
    """The columns of a line, none when it is blank."""
    if not line.strip():
        return []
    if "\t" in line:
        return line.split("\t")
    return [column for column in line.split(" ") if column]


def is_tag(column: str) -> bool:
    """Whether this looks like a tag of any scheme."""
    prefix, label = split_tag(column)
    return column == OUTSIDE or (prefix in _PREFIXES and bool(label))


def write(
    examples: Iterable[Example],
    stream: IO[str],
    *,
    tokenise: Callable[[str], Iterable[tuple[int, int]]] | None = None,
) -> None:
    """Write `token TAB tag` in IOB2, a blank line after each sentence.

    Tokens come from `tokenise` (default: between white space) and are cut at the edges of spans, so
    that no entity is lost. Spans that overlap do not fit into this format.
    """
    for number, example in enumerate(examples, start=1):
        validate_spans(example.text, example.spans)
        tokens = list((tokenise or _words)(example.text))
        for start, end, tag in _tagged(tokens, sorted(example.spans)):
            word = example.text[start:end]
            if any(char in word or char in tag for char in "\t\r\n"):
                problem = f"{word!r} with the tag {tag!r} does not fit on one line"
                raise NotWritable(line=number, problem=problem)
            stream.write(f"{word}\t{tag}\n")
        stream.write("\n")


def _words(text: str) -> Iterator[tuple[int, int]]:
    return (match.span() for match in _WORD.finditer(text))


def _tagged(tokens: Iterable[tuple[int, int]], spans: list[Span]) -> Iterator[tuple[int, int, str]]:
    edges = sorted({edge for span in spans for edge in (span.start, span.end)})
    upcoming, following = 0, 0
    opened_span: Span | None = None
    for start, end in tokens:
        while upcoming < len(edges) and edges[upcoming] <= start:
            upcoming += 1
        while start < end:
            stop = end
            if upcoming < len(edges) and edges[upcoming] < end:
                stop = edges[upcoming]
                upcoming += 1
            while following < len(spans) and spans[following].end <= start:
                following += 1
            span = spans[following] if following < len(spans) else None
            if span is None or span.start > start:
                yield start, stop, OUTSIDE
            else:
                yield start, stop, f"{'I' if span is opened_span else 'B'}-{span.label}"
                opened_span = span
            start = stop
