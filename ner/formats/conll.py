"""Token columns (CoNLL and its many relatives): one token a line, the word first, its tag last.

Columns are separated by tabs or by spaces, sentences by blank lines (a line of white space is
blank), `-DOCSTART-` lines are skipped. IOB1, IOB2 and BIOES (or BILOU) are told apart while
reading: each tag rules out the schemes that do not allow it there, and a tag that no remaining
scheme allows is an error, or is repaired on request.

Tokens are joined by one space, unless the column before the tag says otherwise in the words of
CoNLL-U: `SpaceAfter=No`, or `SpacesAfter=` with escapes. We write that column with four columns, where
others have the chunk that nobody reads; a file of two columns has no place for it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from typing import BinaryIO, Literal, NamedTuple, NoReturn

from ner.errors import FormatError
from ner.formats.info import FormatInfo
from ner.formats.record import Record
from ner.formats.source import BadRow, EmptyFile, Reading, Source, checked, numbered_lines, opened
from ner.formats.words import DOCSTART, spaced, tags_of, tokens, word_losses, words_of
from ner.spans import Span
from ner.tags import OUTSIDE, Scheme, split_tag

_PREFIXES = frozenset("BIESLU")
_LAST_OF_ENTITY = frozenset("ESLU")
_ALWAYS_FIRST = frozenset("BSU")


class BadTagSequence(FormatError):
    """Line {line}: {tag} cannot follow {previous} in {scheme}; correct it, or read the file with repair."""

    code = "bad_tag_sequence"


class TaggedToken(NamedTuple):
    """A word and its tag, with the line and the column where the tag stands, and what surrounds it."""

    word: str
    tag: str
    line: int
    column: int
    before: str = ""
    #: None where the file does not say: one space, and nothing at the end.
    after: str | None = None


class TagReader:
    """Turns tagged sentences of one file into examples; remembers what scheme the file can be."""

    def __init__(self, scheme: Scheme | Literal["auto"], reading: Reading) -> None:
        self._possible: frozenset[Scheme] = (
            frozenset(("iob1", "iob2", "bioes")) if scheme == "auto" else frozenset((scheme,))
        )
        self._reading = reading
        #: Pairs of neighbours that every possible scheme allows: a file has few, and many tokens.
        self._usual: set[tuple[str, str]] = set()

    def record(self, words: list[TaggedToken], id: str = "", *, reviewed: bool = True) -> Record:
        """One sentence; every entity the tags name in any scheme, after checking that they may."""
        spans: list[Span] = []
        pieces: list[str] = []
        start = end = position = 0
        open_label, previous = "", OUTSIDE
        for word in words:
            prefix, label = _tag_parts(word.tag) or _no_tag(word)
            self._check(previous, word.tag, word.line)
            starts = label and (
                prefix in _ALWAYS_FIRST or label != open_label or previous[0] in _LAST_OF_ENTITY
            )
            if open_label and (starts or not label):
                spans.append(Span(start, end, open_label))
            position += len(word.before)
            if starts:
                start = position
            open_label, previous = label, word.tag
            end = position + len(word.word)
            after = " " if word.after is None else word.after
            pieces += (word.before, word.word, after)
            position = end + len(after)
        self._check(previous, OUTSIDE, words[-1].line)
        if open_label:
            spans.append(Span(start, end, open_label))
        if words[-1].after is None:
            pieces.pop()
        text, line = "".join(pieces), words[0].line
        return Record(text, checked(text, spans, line=line) if reviewed else None, id, place=line)

    def _check(self, previous: str, tag: str, line: int) -> None:
        if (previous, tag) in self._usual:
            return
        remaining = frozenset(scheme for scheme in self._possible if _may_follow(scheme, previous, tag))
        if remaining == self._possible:
            self._usual.add((previous, tag))
        elif remaining:
            # A pair that fewer schemes allow; what all of more allowed, all of fewer allow.
            self._possible = remaining
        elif self._reading.repair:
            self._reading.report.repaired += 1
        else:
            names = " or ".join(sorted(scheme.upper() for scheme in self._possible))
            raise BadTagSequence(line=line, tag=tag, previous=previous, scheme=names)


@lru_cache(maxsize=1000)
def _tag_parts(tag: str) -> tuple[str, str] | None:
    """Prefix and label; None when it is no tag."""
    prefix, label = split_tag(tag)
    return (prefix, label) if tag == OUTSIDE or (prefix in _PREFIXES and label) else None


def _no_tag(word: TaggedToken) -> NoReturn:
    raise BadRow(line=word.line, column=word.column, problem=f"{word.tag!r} is not a tag")


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
            record = reading.attempt(tags.record, words, reviewed=words[0].column > 1)
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
        if not columns or columns[0] == DOCSTART:
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
        spacing = columns[-2] if width > 2 else ""
        if "Space" not in spacing:
            return [TaggedToken(columns[0], tag, number, width)]
        return [TaggedToken(columns[0], tag, number, width, *_spacing(spacing))]
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


_ESCAPES = {"s": " ", "t": "\t", "r": "\r", "n": "\n", "p": "|", "\\": "\\"}
_ESCAPE = re.compile(r"\\(?:u([0-9a-f]{4})|U([0-9a-f]{8})|(.))")
_UNESCAPES = {char: f"\\{name}" for name, char in _ESCAPES.items()}


@lru_cache(maxsize=1000)
def _spacing(column: str) -> tuple[str, str | None]:
    """What stands before and after a word."""
    facts = dict(part.partition("=")[::2] for part in column.split("|"))
    after = "" if facts.get("SpaceAfter") == "No" else facts.get("SpacesAfter")
    return _unescape(facts.get("SpacesBefore", "")), after if after is None else _unescape(after)


def _unescape(escaped: str) -> str:
    def char(match: re.Match[str]) -> str:
        short, long, name = match.groups()
        return _ESCAPES.get(name, name) if name else chr(int(short or long, 16))

    return _ESCAPE.sub(char, escaped)


def _escape(white: str) -> str:
    return "".join(
        _UNESCAPES.get(char) or (char if " " < char <= "~" else f"\\U{ord(char):08x}") for char in white
    )


def _spacing_column(before: str, after: str, *, last: bool) -> str:
    facts = [f"SpacesBefore={_escape(before)}"] if before else []
    if after == "" and not last:
        facts.append("SpaceAfter=No")
    elif after != ("" if last else " "):
        facts.append(f"SpacesAfter={_escape(after)}")
    return "|".join(facts) or "_"


def write(records: Iterable[Record], stream: BinaryIO, *, scheme: Scheme) -> None:
    """Write `token TAB tag`, a blank line after each text.

    A word is what stands between white space, cut at the edges of entities so that none is lost.
    """
    start = codecs.BOM_UTF8
    for record in records:
        words = words_of(record, spaced)
        lines = [
            f"{record.text[word.start : word.end]}\t{tag}\n"
            for word, tag in zip(words, tags_of(words, scheme), strict=True)
        ]
        if lines:
            # A mark at the very beginning is taken for the file's: one of the text's own needs two.
            stream.write(start if lines[0].startswith("\ufeff") else b"")
            stream.write("".join(lines).encode() + b"\n")
            start = b""


def write_2003(records: Iterable[Record], stream: BinaryIO) -> None:
    """Write the four columns of CoNLL-2003 in IOB2; the third says what stands between the words."""
    stream.write(b"-DOCSTART- -X- O O\n\n")
    for record in records:
        text, words = record.text, words_of(record, tokens)
        for position, (word, tag) in enumerate(zip(words, tags_of(words, "iob2"), strict=True)):
            last = position + 1 == len(words)
            before = text[: word.start] if position == 0 else ""
            after = text[word.end : len(text) if last else words[position + 1].start]
            spacing = _spacing_column(before, after, last=last)
            stream.write(f"{text[word.start : word.end]} -X- {spacing} {tag}\n".encode())
        if words:
            stream.write(b"\n")


def _columns(name: str, title: str, scheme: Scheme, about: str) -> FormatInfo:
    reads: Scheme | Literal["auto"] = "auto" if scheme == "iob2" else scheme
    return FormatInfo(
        name,
        title,
        ".conll",
        about,
        partial(read, scheme=reads),
        partial(write, scheme=scheme),
        partial(word_losses, tokenise=spaced, spacing=True),
    )


INFOS = (
    _columns(
        "conll", "CoNLL (IOB2)", "iob2", "A token and its tag a line; read in any scheme, written in IOB2."
    ),
    _columns(
        "iob1", "CoNLL (IOB1)", "iob1", "A token and its tag a line, B- only between neighbours of one label."
    ),
    _columns(
        "bioes",
        "CoNLL (BIOES)",
        "bioes",
        "A token and its tag a line, the last token of an entity marked too.",
    ),
    FormatInfo(
        "conll2003",
        "CoNLL-2003",
        ".conll",
        "Four columns, as the shared task had them; ours keep the exact text.",
        read,
        write_2003,
        partial(word_losses, tokenise=tokens, spacing=False),
    ),
)
