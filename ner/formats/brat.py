"""brat's standoff: a text file, and beside it an `.ann` file with a line for each entity.

Pairs of files stand in one ZIP archive, or in a folder. Names in an archive never become paths here: they
are the ids of the texts. A text without `.ann` is one that nobody has looked at. Fragments with nothing but
a line end between them are one entity; other discontinuous ones, relations, events and attributes are
counted and left out; notes are comments.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ner.errors import FormatError
from ner.formats.info import LOSSES, FormatInfo, Loss, field_losses
from ner.formats.record import Record
from ner.formats.source import BadRecord, EmptyFile, Reading, Source, TooLarge, UnknownFormat, checked
from ner.spans import Span

MAX_FILE_BYTES = 16 * 2**20
#: Python keeps the directory of an archive in memory.
MAX_TEXTS = 100_000
_SAFE_NAME = re.compile(r"(?!doc-\d+$)[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_FILLED = re.compile(r"[^\n]+")
_WHITE = re.compile(r"\s")
_KINDS = {"R": "relation", "E": "event", "A": "attribute", "M": "attribute", "N": "normalization"}


class UnsafeName(FormatError):
    """The archive holds a file of the name {name!r}, which is refused; pack it again with plain names."""

    code = "unsafe_name"


def read(source: Source, reading: Reading) -> Iterator[Record]:
    """One record for each text, in the order of the archive, or of the names in a folder."""
    if isinstance(source, Path) and source.is_dir():
        yield from _all(_folder(source), reading)
        return
    try:
        with zipfile.ZipFile(source) as archive:
            yield from _all(_archive(archive), reading)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError) as error:
        raise UnknownFormat(line=1, problem=f"The ZIP archive cannot be read ({error})") from error


Files = Iterator[tuple[str, Callable[[], bytes], Callable[[], bytes] | None]]


def _folder(folder: Path) -> Files:
    for path in sorted(folder.rglob("*.txt")):
        if path.is_symlink() or not path.is_file():
            continue
        beside = path.with_suffix(".ann")
        beside_read = beside.read_bytes if beside.is_file() and not beside.is_symlink() else None
        yield str(path.relative_to(folder).with_suffix("")), path.read_bytes, beside_read


def _archive(archive: zipfile.ZipFile) -> Files:
    entries = {entry.filename: entry for entry in archive.infolist() if not entry.is_dir()}
    if len(entries) > 3 * MAX_TEXTS:
        raise TooLarge(line=1, problem=f"an archive holds at most {MAX_TEXTS} texts")
    for name, entry in entries.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or not name.isprintable():
            raise UnsafeName(line=1, name=name)
        if path.suffix != ".txt" or path.name.startswith(".") or path.parts[0] == "__MACOSX":
            continue
        stem = name.removesuffix(".txt")
        beside = entries.get(f"{stem}.ann")
        yield (
            stem,
            partial(_content, archive, entry),
            None if beside is None else partial(_content, archive, beside),
        )


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """What a file of an archive holds; its length is what it unpacks to, not what it says."""
    if entry.flag_bits & 1:
        raise BadRecord(line=1, problem=f"{entry.filename} is encrypted")
    with archive.open(entry) as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise TooLarge(line=1, problem=f"{entry.filename} unpacks to more than {MAX_FILE_BYTES} bytes")
    return content


def _all(files: Files, reading: Reading) -> Iterator[Record]:
    found = False
    for number, (name, text, notes) in enumerate(files, start=1):
        found = True
        record = reading.attempt(_record, name, text, notes, number, reading)
        if record is not None:
            yield record
    if not found:
        raise EmptyFile(line=1)


def _record(
    name: str,
    text_of: Callable[[], bytes],
    notes_of: Callable[[], bytes] | None,
    number: int,
    reading: Reading,
) -> Record:
    text = _decoded(text_of(), f"{name}.txt", number)
    if notes_of is None:
        return Record(text, None, name, place=number)
    spans: list[Span] = []
    comments: list[str] = []
    lines = _decoded(notes_of(), f"{name}.ann", number).split("\n")
    for row, line in enumerate(lines, start=1):
        kind, columns = line[:1], line.rstrip("\r").split("\t")
        if kind == "T":
            where = f"{name}.ann, line {row}"
            if (span := _span(columns, text, where, number, reading)) is not None:
                spans.append(span)
        elif kind == "#" and len(columns) > 2:
            comments.append(columns[2])
        elif line.strip():
            reading.ignore(_KINDS.get(kind, "line that is no annotation"))
    where = f"{name}.ann of text"
    checked_spans = checked(text, spans, line=number, where=where, allow_overlap=reading.allow_overlap)
    return Record(text, checked_spans, name, comments=tuple(comments), place=number)


def _decoded(content: bytes, name: str, number: int) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        problem = f"{name} is not UTF-8 (byte {error.start})"
        raise BadRecord(line=number, problem=problem) from error
    if "\0" in text:
        raise BadRecord(line=number, problem=f"{name} holds U+0000, which cannot be stored")
    return text


def _span(columns: list[str], text: str, where: str, number: int, reading: Reading) -> Span | None:
    """The entity of a line; None for a discontinuous one."""
    label, _, places = columns[1].partition(" ") if len(columns) > 1 else ("", "", "")
    try:
        fragments = [tuple(map(int, place.split())) for place in places.split(";")]
        ends = [(start, end) for start, end in fragments]
    except ValueError as error:
        raise BadRecord(line=number, problem=f"{where}: no entity (T1, label and offsets, text)") from error
    if any(text[end:start].strip("\n") for (_, end), (start, _) in pairwise(ends)):
        reading.ignore("discontinuous entity")
        return None
    span = Span(ends[0][0], ends[-1][1], label)
    quoted = columns[2] if len(columns) > 2 else None
    surface = " ".join(text[start:end] for start, end in ends)
    if quoted is not None and 0 <= span.start < span.end <= len(text) and _flat(quoted) != _flat(surface):
        problem = f"{where}: the text at {span.start} to {span.end} is {surface!r}, not {quoted!r}"
        raise BadRecord(line=number, problem=problem)
    return span


def _flat(surface: str) -> str:
    """As it stands on a line, whose end or tabs it must not hold."""
    return re.sub(r"[\n\r\t]", " ", surface).rstrip(" ")


def write(records: Iterable[Record], stream: BinaryIO) -> None:
    """One archive of pairs, named by the ids where those are plain names and by numbers elsewhere."""
    names: set[str] = set()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, record in enumerate(records, start=1):
            if number > MAX_TEXTS:
                raise TooLarge(line=number, problem=f"an archive of brat holds at most {MAX_TEXTS} texts")
            plain = _SAFE_NAME.fullmatch(record.id) and record.id.lower() not in names
            name = record.id if plain else f"doc-{number:06}"
            names.add(name.lower())
            _add(archive, f"{name}.txt", record.text)
            if record.spans is not None:
                _add(archive, f"{name}.ann", "".join(_lines(record)))


def _add(archive: zipfile.ZipFile, name: str, content: str) -> None:
    # The same content gives the same archive, whenever it is written.
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content.encode())


def _fragments(text: str, span: Span) -> list[tuple[int, int]]:
    """The parts of an entity between line ends, which brat allows in none."""
    return [match.span() for match in _FILLED.finditer(text, span.start, span.end)]


def _lines(record: Record) -> Iterator[str]:
    number = 0
    for span in record.spans or ():
        fragments = _fragments(record.text, span)
        if fragments:
            number += 1
            places = ";".join(f"{start} {end}" for start, end in fragments)
            surface = _flat(" ".join(record.text[start:end] for start, end in fragments))
            yield f"T{number}\t{_WHITE.sub('_', span.label)} {places}\t{surface}\n"


def losses(record: Record) -> Iterator[Loss]:
    """What has no line; ids that are no names of files; line ends at the edges of entities."""
    yield from field_losses(record, ("id", "spans", "reviewed"))
    if not _SAFE_NAME.fullmatch(record.id):
        yield LOSSES["numbered"]
    for span in record.spans or ():
        fragments = _fragments(record.text, span)
        if not fragments:
            yield LOSSES["blank_entity"]
            continue
        if (fragments[0][0], fragments[-1][1]) != (span.start, span.end):
            yield LOSSES["edges"]
        if _WHITE.search(span.label):
            yield LOSSES["label"]


INFO = FormatInfo(
    "brat",
    "brat standoff",
    ".zip",
    "A ZIP of .txt and .ann pairs, as brat's folders hold them.",
    read,
    write,
    losses,
)
