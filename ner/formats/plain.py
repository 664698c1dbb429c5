"""Plain text, one text a line: texts to be labelled, without spans."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from ner.formats.info import LOSSES, FormatInfo, Loss, field_losses
from ner.formats.record import Record
from ner.formats.source import EmptyFile, Reading, Source, numbered_lines, opened

_LINE_END = re.compile(r"\r\n|\n|\r(?=\Z)")


def read(source: Source, reading: Reading) -> Iterator[Record]:
    """One record for each line that is not blank; the line is kept as it is."""
    found = False
    with opened(source) as stream:
        for number, line in numbered_lines(stream):
            if line.strip():
                found = True
                yield Record(line, place=number)
    if not found:
        raise EmptyFile(line=1)


def write(records: Iterable[Record], stream: BinaryIO) -> None:
    """The texts, one a line; blank ones are left out."""
    start = codecs.BOM_UTF8
    for record in records:
        if record.text.strip():
            # A mark at the very beginning is taken for the file's: one that belongs to the text needs two.
            prefix = start if record.text.startswith("\ufeff") else b""
            stream.write(prefix + _LINE_END.sub(" ", record.text).encode() + b"\n")
            start = b""


def losses(record: Record) -> Iterator[Loss]:
    """All but the text, and the text's line ends."""
    if not record.text.strip():
        yield LOSSES["blank_text"]
        return
    yield from field_losses(record, ("text",))
    yield from [LOSSES["line_ends"]] * len(_LINE_END.findall(record.text))


INFO = FormatInfo(
    "text",
    "Plain text",
    ".txt",
    "One text a line, without entities: texts to be labelled.",
    read,
    write,
    losses,
)
