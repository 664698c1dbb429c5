"""The Annotated Corpus for NER (Groningen Meaning Bank) as CSV: `Sentence #,Word,POS,Tag`.

The sentence id stands only on a sentence's first row, and the published file is Windows-1252; ours begin
with the mark of UTF-8, because Windows-1252 has no place for most characters. Words
such as `None` and a quoted double quote are words. Sentences that occur twice are read once: the
copies sometimes carry other tags, and would stand on both sides of a split.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import chain
from typing import BinaryIO

from ner.formats.conll import TaggedToken, TagReader
from ner.formats.info import LOSSES, FormatInfo, Loss
from ner.formats.record import Record
from ner.formats.source import BadRow, EmptyFile, Reading, Source, opened
from ner.formats.table import only_column, read_table
from ner.formats.words import spaced, tags_of, word_losses, words_of

_COLUMNS = ("sentence #", "word", "tag")


def read(
    source: Source, reading: Reading, *, encoding: str = "", deduplicate: bool = True
) -> Iterator[Record]:
    """Sentences as records; words are joined by one space."""
    sentences = TagReader("iob2", reading)
    seen: set[bytes] = set()
    with opened(source) as stream:
        for name, words in _sentences(_rows(stream, encoding, reading)):
            record = reading.attempt(sentences.record, words, name)
            if record is None:
                continue
            if deduplicate:
                digest = blake2b(record.text.encode(), digest_size=12).digest()
                if digest in seen:
                    reading.report.duplicates += 1
                    continue
                seen.add(digest)
            yield record


def write(records: Iterable[Record], stream: BinaryIO) -> None:
    """One word a row, in UTF-8 with its mark; a text without an id gets a number."""
    stream.write(codecs.BOM_UTF8)
    buffer = io.StringIO()
    table = csv.writer(buffer)
    table.writerow(("Sentence #", "Word", "POS", "Tag"))
    for number, record in enumerate(records, start=1):
        words = words_of(record, spaced)
        name = record.id or f"Sentence: {number}"
        for word, tag in zip(words, tags_of(words, "iob2"), strict=True):
            table.writerow((name, record.text[word.start : word.end], "_", tag))
            name = ""
        stream.write(buffer.getvalue().encode())
        buffer.seek(0)
        buffer.truncate()
    stream.write(buffer.getvalue().encode())


def losses(record: Record) -> Iterator[Loss]:
    """As all words and tags, and the lack of an id."""
    yield from word_losses(record, spaced, spacing=True, carried=("id",))
    if not record.id and record.text.strip():
        yield LOSSES["numbered"]


def is_header(line: str) -> bool:
    """Whether a file that begins with this line is in this format."""
    names = [name.strip().strip('"').lower() for name in line.split(",")]
    return all(column in names for column in _COLUMNS)


def _sentences(
    rows: Iterable[tuple[str, TaggedToken | None]],
) -> Iterator[tuple[str, list[TaggedToken]]]:
    """The words from one sentence id to the next; a sentence with a bad row is left out whole."""
    name, words, bad = "", list[TaggedToken](), False
    for sentence, word in rows:
        if sentence:
            if words and not bad:
                yield name, words
            name, words, bad = sentence, [], False
        if word is None:
            bad = True
        else:
            words.append(word)
    if words and not bad:
        yield name, words


def _rows(
    stream: Iterable[bytes], encoding: str, reading: Reading
) -> Iterator[tuple[str, TaggedToken | None]]:
    """Sentence id (empty inside a sentence) and token of each row; None where the row was refused."""
    lines = iter(stream)
    first = next(lines, b"")
    encoding = encoding or ("utf-8" if first.startswith(codecs.BOM_UTF8) else "cp1252")
    names, rows = read_table(chain([first] if first else [], lines), reading, encoding=encoding)
    sentence_at, word_at, tag_at = (only_column(names, column) for column in _COLUMNS)
    empty = True
    for row in rows:
        empty = False
        try:
            row.check(len(names))
            if not row.cells[word_at]:
                raise BadRow(line=row.line, column=word_at + 1, problem="the word is empty")
        except BadRow as error:
            reading.refuse(error)
            yield row.cells[sentence_at] if sentence_at < len(row.cells) else "", None
            continue
        word = TaggedToken(row.cells[word_at], row.cells[tag_at], row.line, tag_at + 1)
        yield row.cells[sentence_at], word
    if empty:
        raise EmptyFile(line=1)


INFO = FormatInfo(
    "gmb_csv",
    "GMB CSV",
    ".csv",
    "One word a row, as in the Annotated Corpus for NER (Groningen Meaning Bank).",
    read,
    write,
    losses,
)
