"""The lines of a caller's file: where each begins, and the text that it holds or why it holds none.

A line that cannot be read is an answer like any other. In CSV a quoted cell may hold line breaks; a quote
that is never closed spoils its own line alone.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO, NamedTuple

import msgspec

from corpus.errors import DomainError
from corpus.services import text_check
from inference.errors import FileEmpty, NoTextColumn, NotUtf8
from inference.job_options import FileFormat, JobOptions, Layout
from ner.formats.table import CELL_CHARACTERS

#: A text of the largest size takes less, however it is escaped.
LINE_BYTES = 2 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_DELIMITERS = ",;\t"
_SUFFIXES: dict[str, FileFormat] = {
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "csv": "csv",
    "tsv": "csv",
    "txt": "text",
}
_ID_LENGTH = 200


class Line(NamedTuple):
    """One line as it stands in the file: its number, counted from 1, and its place in bytes."""

    number: int
    start: int
    end: int
    #: Without its end; None where it is longer than LINE_BYTES.
    raw: bytes | None
    #: The number of the line after it.
    next_number: int
    is_unclosed: bool = False


class Item(NamedTuple):
    """What a line holds: a text, or an error in its place."""

    line: int
    id: str | int | None = None
    text: str = ""
    code: str = ""
    detail: str = ""


@dataclass
class _Unreadable(Exception):
    code: str
    detail: str


def lines_of(file: BinaryIO, *, start: int, end: int, number: int, delimiter: str = "") -> Iterator[Line]:
    """The lines between two places, both of which begin a line. With a delimiter they are records of CSV."""
    at = start
    while at < end:
        file.seek(at)
        first = _physical(file, at, number)
        line = first
        if delimiter and first.raw is not None and _is_open(first.raw, delimiter):
            line = _joined(file, first, delimiter)
        yield line
        at, number = line.end, line.next_number


def _physical(file: BinaryIO, at: int, number: int) -> Line:
    raw = file.readline(LINE_BYTES + 1)
    if len(raw) <= LINE_BYTES or raw.endswith(b"\n"):
        return Line(number, at, at + len(raw), _unended(raw), number + 1)
    while more := file.readline(LINE_BYTES):
        if more.endswith(b"\n"):
            break
    return Line(number, at, file.tell(), None, number + 1)


def _joined(file: BinaryIO, first: Line, delimiter: str) -> Line:
    """The record that begins with a line whose quote is open; that line alone where none closes it."""
    pieces: list[bytes] = []
    file.seek(first.start)
    size = quotes = 0
    while (more := file.readline(LINE_BYTES - size + 1)) and size + len(more) <= LINE_BYTES:
        pieces.append(more)
        size += len(more)
        quotes += more.count(b'"')
        if quotes % 2 == 0:
            raw = _unended(b"".join(pieces))
            if not _record(delimiter).fullmatch(raw):
                break
            return Line(first.number, first.start, first.start + size, raw, first.number + len(pieces))
    return first._replace(is_unclosed=True)


def _unended(raw: bytes) -> bytes:
    return raw.removesuffix(b"\n").removesuffix(b"\r")


def _is_open(raw: bytes, delimiter: str) -> bool:
    # A quote amid a plain cell stands for itself.
    return raw.count(b'"') % 2 == 1 and not _record(delimiter).fullmatch(raw)


@lru_cache(maxsize=len(_DELIMITERS))
def _record(delimiter: str) -> re.Pattern[bytes]:
    """Whole cells, quoted or plain."""
    mark = re.escape(delimiter).encode()
    cell = rb'(?:"(?:[^"]++|"")*+"|[^"\r\n%b][^\r\n%b]*+|)' % (mark, mark)
    return re.compile(rb"%b(?:%b%b)*+" % (cell, mark, cell))


def layout_of(file: BinaryIO, *, name: str, options: JobOptions) -> Layout:
    """How a file is laid out, by its name, its beginning and what the caller says.

    Raises FileEmpty, NotUtf8 and NoTextColumn.
    """
    file.seek(0)
    head = file.read(4)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or head[1:2] == b"\0" or head[:1] == b"\0":
        raise NotUtf8()
    start = len(_BOM) if head.startswith(_BOM) else 0
    # No further than a text may be long: this is asked while a caller waits.
    beginning = lines_of(file, start=start, end=min(_size(file), LINE_BYTES), number=1)
    first = next((line for line in beginning if line.raw is None or line.raw.strip()), None)
    if first is None:
        raise FileEmpty()
    format = options.format
    if format == "auto":
        suffix = name.rpartition(".")[2].lower()
        format = _SUFFIXES.get(suffix) or (
            "jsonl" if (first.raw or b"").lstrip().startswith(b"{") else "text"
        )
    if format != "csv":
        return Layout(format=format, start=start, line=1)
    return _table(file, start, options.text_field)


def _table(file: BinaryIO, start: int, text_field: str) -> Layout:
    for delimiter in _DELIMITERS:
        header = next(lines_of(file, start=start, end=_size(file), number=1, delimiter=delimiter))
        try:
            columns = _cells(header.raw or b"", delimiter)
        except (_Unreadable, UnicodeDecodeError):
            continue
        if text_field in columns:
            if header.end >= _size(file):
                raise FileEmpty()
            return Layout(
                format="csv",
                start=header.end,
                line=header.next_number,
                delimiter=delimiter,
                columns=columns,
            )
    raise NoTextColumn(pointer="/text_field", field=text_field)


def _size(file: BinaryIO) -> int:
    at = file.tell()
    size = file.seek(0, 2)
    file.seek(at)
    return size


def item_of(line: Line, layout: Layout, options: JobOptions, *, limit: int) -> Item | None:
    """What a line holds; None for a blank one, which holds nothing."""
    if line.raw is None:
        return Item(
            line.number, code="line_too_long", detail=f"A line may have {LINE_BYTES:,} bytes at most."
        )
    if not line.raw.strip():
        return None
    name: str | int | None = None
    try:
        name, text = _read(line, layout, options)
        text_check(text, limit=limit)
    except _Unreadable as error:
        return Item(line.number, name, code=error.code, detail=error.detail)
    except DomainError as error:
        return Item(line.number, name, code=error.code, detail=error.detail)
    except UnicodeDecodeError as error:
        return Item(
            line.number, code="invalid_encoding", detail=f"Byte {error.start} of the line is not UTF-8."
        )
    return Item(line.number, name, text)


def _read(line: Line, layout: Layout, options: JobOptions) -> tuple[str | int | None, str]:
    """The id and the text of a line."""
    raw = line.raw or b""
    if layout.format == "text":
        return None, raw.decode()
    if layout.format == "jsonl":
        return _json_read(raw, options)
    if line.is_unclosed:
        raise _Unreadable("malformed_csv", "A quote is opened and never closed.")
    cells = _cells(raw, layout.delimiter)
    if len(cells) != len(layout.columns):
        raise _Unreadable(
            "malformed_csv", f"The line has {len(cells)} cells, the header {len(layout.columns)}."
        )
    found = dict(zip(layout.columns, cells, strict=True))
    return _id_check(found.get(options.id_field) or None, options), found[options.text_field]


def _json_read(raw: bytes, options: JobOptions) -> tuple[str | int | None, str]:
    raw.decode()
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _Unreadable("malformed_json", f"{str(error) or 'Too deep'}.") from error
    if isinstance(found, str):
        return None, found
    if not isinstance(found, dict):
        raise _Unreadable("not_an_object", "A line is an object with a text, or a text.")
    name, text = found.get(options.id_field), found.get(options.text_field)
    if text is None:
        raise _Unreadable("required", f"{options.text_field} is required.")
    if not isinstance(text, str):
        raise _Unreadable("not_a_string", f"{options.text_field} is not a string.")
    return _id_check(name, options), text


def _id_check(name: object, options: JobOptions) -> str | int | None:
    if isinstance(name, bool) or not isinstance(name, str | int | None) or len(str(name)) > _ID_LENGTH:
        raise _Unreadable(
            "invalid_id", f"{options.id_field} is a number or a string of at most {_ID_LENGTH} characters."
        )
    return name


def _cells(raw: bytes, delimiter: str) -> list[str]:
    text = raw.decode()
    if len(text) > CELL_CHARACTERS:
        # Perhaps one cell: the reader would refuse it in words of its own.
        raise _Unreadable("line_too_long", f"A line of CSV may have {CELL_CHARACTERS} characters.")
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise _Unreadable("malformed_csv", f"{str(error).capitalize()}.") from error
