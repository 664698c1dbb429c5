"""Plain text, one text a line: texts to be labelled, without spans."""

from __future__ import annotations

from collections.abc import Iterator

from ner.formats.source import EmptyFile, ReadReport, Source, checked, numbered_lines, opened
from ner.spans import Example


def read(source: Source, *, report: ReadReport | None = None) -> Iterator[Example]:
    """One example for each line that is not blank; the line is kept as it is."""
    report = report or ReadReport()
    found = False
    with opened(source) as stream:
        for number, line in numbered_lines(stream):
            if line.strip():
                found = True
                yield checked(line, (), line=number, report=report)
    if not found:
        raise EmptyFile(line=1)
