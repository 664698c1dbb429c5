"""Readers and writers of labelled texts; `read_examples` is the door.

Every reader is a generator over a path or a binary stream and raises a `FormatError` that names
the line; counts of what it repaired or left out are in a `ReadReport`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, get_args

from ner.formats import conll, csv_text, gmb_csv, jsonl, plain
from ner.formats.source import (
    EmptyFile,
    NullCharacter,
    ReadReport,
    Source,
    UnknownFormat,
    numbered_lines,
    opened,
)
from ner.spans import Example

__all__ = ["FORMATS", "Format", "ReadReport", "detect", "read_examples"]

Format = Literal["gmb_csv", "conll", "jsonl", "csv", "text"]
FORMATS: tuple[Format, ...] = get_args(Format)

_SAMPLE_BYTES = 65_536
_MAGIC = {
    b"PK\x03\x04": "a ZIP archive (or an office document)",
    b"\x1f\x8b": "a gzip archive",
    b"\x89PNG": "an image",
    b"MZ": "a program",
    b"\x7fELF": "a program",
    b"%PDF": "a PDF",
}


def read_examples(
    source: Path,
    format: Format | Literal["auto"] = "auto",
    *,
    repair: bool = False,
    allow_overlap: bool = False,
    report: ReadReport | None = None,
) -> Iterator[Example]:
    """Examples of a file; `repair` mends invalid tag sequences instead of refusing them."""
    readers: dict[str, Callable[[], Iterator[Example]]] = {
        "gmb_csv": lambda: gmb_csv.read(source, repair=repair, report=report),
        "conll": lambda: conll.read(source, repair=repair, report=report),
        "jsonl": lambda: jsonl.read(source, allow_overlap=allow_overlap, report=report),
        "csv": lambda: csv_text.read(source, report=report),
        "text": lambda: plain.read(source, report=report),
    }
    chosen = detect(source) if format == "auto" else format
    if chosen not in readers:
        raise UnknownFormat(line=1, problem=f"{chosen!r} is no format", known=", ".join(FORMATS))
    return readers[chosen]()


def detect(source: Source) -> Format:
    """The format of a file by its content; a stream is rewound."""
    with opened(source) as stream:
        sample = stream.read(_SAMPLE_BYTES)
        if not isinstance(source, Path):
            stream.seek(0)
    for magic, kind in _MAGIC.items():
        if sample.startswith(magic):
            problem = f"The file is {kind}"
            raise UnknownFormat(line=1, problem=problem, known=", ".join(FORMATS))
    lines = _whole_lines(sample)
    if not lines:
        raise EmptyFile(line=1)
    first = lines[0]
    if gmb_csv.is_header(first):
        return "gmb_csv"
    if _looks_tagged(lines):
        return "conll"
    if first.lstrip().startswith(("{", "[")):
        return "jsonl"
    if csv_text.delimiter_of(first):
        return "csv"
    return "text"


def _whole_lines(sample: bytes) -> list[str]:
    if len(sample) == _SAMPLE_BYTES and b"\n" in sample:
        sample = sample[: sample.rindex(b"\n")]
    try:
        # Latin-1 decodes any byte; readers judge the encoding, detection looks at ASCII signs only.
        decoded = [line for _, line in numbered_lines(io.BytesIO(sample), encoding="latin-1")]
    except NullCharacter as error:
        problem = "The file is binary or not UTF-8"
        raise UnknownFormat(line=1, problem=problem, known=", ".join(FORMATS)) from error
    return [line for line in decoded if line.strip(" \t\r\n")]


def _looks_tagged(lines: list[str]) -> bool:
    """Whether nearly every line ends in a tag; some lines of a real file may be damaged."""
    rows = [columns for line in lines if (columns := conll.split_columns(line))]
    tagged = sum(len(columns) > 1 and conll.is_tag(columns[-1]) for columns in rows)
    return bool(rows) and tagged >= 0.9 * len(rows)
