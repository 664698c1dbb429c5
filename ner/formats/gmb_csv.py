"""The Annotated Corpus for NER (Groningen Meaning Bank) as CSV: `Sentence #,Word,POS,Tag`.

The sentence id stands only on a sentence's first row, and the published file is Windows-1252. Words
such as `None` and a quoted double quote are words. Sentences that occur twice are read once: the
copies sometimes carry other tags, and would stand on both sides of a split.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b

from ner.formats.conll import TaggedToken, TagReader
from ner.formats.record import Record
from ner.formats.source import BadRow, EmptyFile, Reading, Source, opened
from ner.formats.table import only_column, read_table

_COLUMNS = ("sentence #", "word", "tag")


def read(
    source: Source, reading: Reading, *, encoding: str = "cp1252", deduplicate: bool = True
) -> Iterator[Record]:
    """Sentences as records; words are joined by one space."""
    sentences = TagReader("iob2", reading)
    seen: set[bytes] = set()
    with opened(source) as stream:
        for name, words in _sentences(_rows(stream, encoding)):
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


def is_header(line: str) -> bool:
    """Whether a file that begins with this line is in this format."""
    names = [name.strip().strip('"').lower() for name in line.split(",")]
    return all(column in names for column in _COLUMNS)


def _sentences(
    rows: Iterable[tuple[str, TaggedToken]],
) -> Iterator[tuple[str, list[TaggedToken]]]:
    name, words = "", list[TaggedToken]()
    for sentence, word in rows:
        if sentence and words:
            yield name, words
            words = []
        name = sentence or name
        words.append(word)
    if words:
        yield name, words


def _rows(stream: Iterable[bytes], encoding: str) -> Iterator[tuple[str, TaggedToken]]:
    """Sentence id (empty inside a sentence) and token of each row."""
    names, rows = read_table(stream, encoding=encoding)
    sentence_at, word_at, tag_at = (only_column(names, column) for column in _COLUMNS)
    empty = True
    for row in rows:
        empty = False
        word = row.cells[word_at]
        if not word:
            raise BadRow(line=row.line, column=word_at + 1, problem="the word is empty")
        yield row.cells[sentence_at], TaggedToken(word, row.cells[tag_at], row.line, tag_at + 1)
    if empty:
        raise EmptyFile(line=1)
