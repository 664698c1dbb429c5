"""Labelled texts in files: one door to read them, one to write them, and what each format loses.

Readers are lazy and hold one record at a time. What is wrong is a `FormatError` with the line (or the
record), a code and what to do; counts of what was mended or left out are in a `ReadReport`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from ner.errors import FormatError
from ner.formats import (
    brat,
    conll,
    csv_text,
    doccano,
    gmb_csv,
    hf,
    jsonl,
    label_studio,
    label_studio_min,
    plain,
    prodigy,
    spacy_docbin,
    spacy_json,
)
from ner.formats.detection import detect
from ner.formats.fields import NoFields, Place, field_places
from ner.formats.info import FormatInfo, Loss, Read
from ner.formats.offset_units import OffsetJudge
from ner.formats.record import Record
from ner.formats.source import Fields, Reading, ReadReport, Source, UnknownFormat, opened_again
from ner.spans import Example

__all__ = [
    "FORMATS",
    "Fields",
    "Format",
    "FormatInfo",
    "Loss",
    "Place",
    "ReadReport",
    "Record",
    "detect",
    "losses",
    "places_of",
    "read_examples",
    "read_records",
    "write_records",
]

#: Nobody has said where anything stands.
NO_CHOICE: Fields = MappingProxyType({})

#: A name in FORMATS.
Format = str


FORMATS: dict[str, FormatInfo] = {
    info.name: info
    for info in (
        jsonl.INFO,
        plain.INFO,
        *csv_text.INFOS,
        *conll.INFOS,
        gmb_csv.INFO,
        label_studio.INFO,
        label_studio_min.INFO,
        doccano.INFO,
        prodigy.INFO,
        spacy_docbin.INFO,
        spacy_json.INFO,
        brat.INFO,
        hf.INFO,
    )
}


def read_records(
    source: Source,
    format: Format = "auto",
    *,
    allow_overlap: bool = False,
    repair: bool = False,
    on_error: Callable[[FormatError], None] | None = None,
    report: ReadReport | None = None,
    fields: Fields = NO_CHOICE,
) -> Iterator[Record]:
    """The records of a file, one at a time.

    The first bad record raises its error. With `on_error`, bad records are handed to it and left out; only
    what makes the rest of the file unreadable is raised then. `repair` mends invalid tag sequences.
    `fields` say where text, id and spans stand in files that call them otherwise (`ner.formats.fields`).
    A stream is rewound to find its format out.
    """
    info = _format(detect(source, fields) if format == "auto" else format)
    if info.read is None:
        raise UnknownFormat(line=1, problem=f"{info.title} is written only")
    if fields and info.fields is None:
        known = ", ".join(name for name, other in FORMATS.items() if other.fields)
        raise NoFields(line=1, format=info.name, formats=known)
    report = ReadReport() if report is None else report
    ask_all = partial(_ask_all, info.read, source, fields) if _can_read_again(source) else None
    reading = Reading(allow_overlap, repair, on_error, report, OffsetJudge(ask_all), fields)
    return _counted(info.read(source, reading), report)


def _can_read_again(source: Source) -> bool:
    return isinstance(source, Path) or source.seekable()


def _ask_all(read: Read, source: Source, fields: Fields, judge: OffsetJudge) -> None:
    """Let a judge hear of all spans of a file; what is wrong with them is for others to say."""
    quiet = Reading(allow_overlap=True, on_error=lambda error: None, judge=judge, fields=fields)
    with opened_again(source) as stream, suppress(FormatError):
        for _ in read(stream, quiet):
            if len(judge.sure) > 1:
                break


def _counted(records: Iterator[Record], report: ReadReport) -> Iterator[Record]:
    for record in records:
        report.examples += 1
        report.spans += len(record.spans or ())
        yield record


def places_of(source: Source, format: Format, fields: Fields = NO_CHOICE) -> list[Place]:
    """Where text, id and spans may stand in a file, by its first rows; empty for formats without fields."""
    info = _format(format).fields
    if info is None:
        return []
    quiet = Reading(on_error=lambda error: None, fields=fields)
    try:
        return field_places(info.rows(source, quiet), info, fields)
    except FormatError:  # reading it says what is wrong
        return []


def write_records(records: Iterable[Record], stream: BinaryIO, format: Format) -> None:
    """Write a file; what the format cannot carry is left out, as `losses` says beforehand."""
    info = _format(format)
    if info.write is None:
        raise UnknownFormat(line=1, problem=f"{info.title} is read only")
    info.write(records, stream)


def losses(record: Record, format: Format) -> Iterator[Loss]:
    """What this format cannot carry of this record, one by one; equal losses can be counted."""
    return _format(format).losses(record)


def read_examples(
    source: Source,
    format: Format = "auto",
    *,
    repair: bool = False,
    allow_overlap: bool = False,
    report: ReadReport | None = None,
) -> Iterator[Example]:
    """The records of a file as units of training and evaluation."""
    records = read_records(source, format, repair=repair, allow_overlap=allow_overlap, report=report)
    return (record.example() for record in records)


def _format(name: str) -> FormatInfo:
    if name not in FORMATS:
        raise UnknownFormat(line=1, problem=f"{name!r} is no format; there are {', '.join(FORMATS)}")
    return FORMATS[name]
