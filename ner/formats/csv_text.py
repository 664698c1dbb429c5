"""CSV with a `text` column, and `id` and `source` columns where there are any: texts to be labelled.

The delimiter is a comma, a semicolon or a tab, as the header shows. A text may hold line ends when it
is quoted; they stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from ner.formats.record import Record
from ner.formats.source import EmptyFile, Reading, Source, opened
from ner.formats.table import only_column, read_table

_TEXT = "text"
_DELIMITERS = ",;\t"


def read(source: Source, reading: Reading) -> Iterator[Record]:
    """One record for each row whose text is not blank."""
    found = False
    with opened(source) as stream:
        first = stream.readline()
        delimiter = delimiter_of(first.decode("latin-1")) or ","
        names, rows = read_table(chain([first] if first else [], stream), delimiter=delimiter)
        text_at = only_column(names, _TEXT)
        id_at, source_at = (names.index(name) if name in names else None for name in ("id", "source"))
        for row in rows:
            text = row.cells[text_at]
            if text.strip():
                found = True
                yield Record(
                    text,
                    id="" if id_at is None else row.cells[id_at],
                    source="" if source_at is None else row.cells[source_at],
                    place=row.line,
                )
    if not found:
        raise EmptyFile(line=1)


def delimiter_of(header: str) -> str | None:
    """The delimiter that makes `text` a column of this header; None when none does."""
    header = header.removeprefix("\ufeff").removeprefix("\u00ef\u00bb\u00bf").strip("\r\n")
    for delimiter in _DELIMITERS:
        if _TEXT in (name.strip(' "').lower() for name in header.split(delimiter)):
            return delimiter
    return None
