"""Comma-separated tables as bytes: a header, then rows that fit it, every fault with its line."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ner.formats.source import BadRow, EmptyFile, Reading, numbered_lines

#: Python's own limit (131,072) is below the length of a document. The setting is the process's: whoever reads
#: CSV elsewhere has this one too.
CELL_CHARACTERS = 1_100_000
csv.field_size_limit(CELL_CHARACTERS)


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of one record and the line it ends on."""

    line: int
    cells: list[str]

    def check(self, width: int) -> None:
        """Refuse a row that does not fit its header."""
        if len(self.cells) != width:
            problem = f"{len(self.cells)} columns where the header has {width}"
            raise BadRow(line=self.line, column=len(self.cells), problem=problem)


def read_table(
    stream: Iterable[bytes], reading: Reading, *, encoding: str = "utf-8", delimiter: str = ","
) -> tuple[list[str], Iterator[Row]]:
    """The header in lower case, and the rows; quoted cells keep their line ends as they are."""
    lines = (line for _, line in numbered_lines(stream, encoding=encoding, keep_ends=True))
    rows = _rows(lines, delimiter, reading)
    header = next(rows, None)
    if header is None:
        raise EmptyFile(line=1)
    names = [name.strip().lower() for name in header.cells]
    return names, rows


def only_column(names: list[str], name: str) -> int:
    """Where the one column of this name stands."""
    if names.count(name) != 1:
        raise BadRow(line=1, column=1, problem=f"the header needs one column {name!r}")
    return names.index(name)


def _rows(lines: Iterator[str], delimiter: str, reading: Reading) -> Iterator[Row]:
    table = csv.reader(lines, strict=True, delimiter=delimiter)
    while True:
        try:
            for cells in table:
                if cells:
                    yield Row(table.line_num, cells)
            return
        except csv.Error as error:
            reading.refuse(BadRow(line=table.line_num, column=1, problem=str(error)))
