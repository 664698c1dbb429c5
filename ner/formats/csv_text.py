"""Tables (CSV, TSV) with a `text` column, and with columns for all else a record holds.

Spans are a JSON list in one cell: in our own column `spans`, or in the column of any name that Label
Studio's export gives them. The delimiter is a comma, a semicolon or a tab, as the header shows. A text may
hold line ends when it is quoted; they stay as they are.

A cell that a spreadsheet would take for a formula is written with an apostrophe before it, and the column
`escaped` names such cells, so that reading gives them back.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import BinaryIO

import msgspec

from ner.formats.fields import NAMES, FieldsInfo, Names, refuse_missing
from ner.formats.info import LOSSES, FormatInfo, Loss
from ner.formats.json_items import NotJsonl, check_storable
from ner.formats.json_spans import span_bodies, spans_of, told
from ner.formats.record import Record
from ner.formats.source import BadRow, EmptyFile, Fields, Reading, Source, opened
from ner.formats.table import Row, read_table

_TEXT = "text"
_TEXTS = frozenset(NAMES["text"])
_DELIMITERS = ",;\t"
_NAMES = ("annotator", "model", "source")
#: Columns that mean something else than metadata.
_OWN = frozenset((*_NAMES, "predicted", "comments", "metadata"))
_NAME = re.compile(r"[\w .#-]{0,40}")
_HEADER = (
    "id",
    "text",
    "spans",
    "annotator",
    "predicted",
    "model",
    "source",
    "comments",
    "metadata",
    "escaped",
)
#: What Label Studio says of an annotation, besides the spans.
_LABEL_STUDIO = frozenset(("annotation_id", "created_at", "updated_at", "lead_time"))
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


def read(source: Source, reading: Reading) -> Iterator[Record]:
    """One record for each row whose text is not blank."""
    found = False
    with opened(source) as stream:
        header, rows = _table(stream, reading)
        names = _names(header, reading)
        for row in rows:
            record = reading.attempt(_record, row, header, names, reading)
            if record is not None and record.text.strip():
                found = True
                yield record
            found = found or record is None
    if not found:
        raise EmptyFile(line=1)


def table_rows(source: Source, reading: Reading) -> Iterator[dict[str, object]]:
    """The rows of a table whose columns may be chosen; Label Studio's are found by what they hold."""
    with opened(source) as stream:
        header, found = _table(stream, reading)
        if not set(header) >= _LABEL_STUDIO:
            for row in found:
                yield dict(zip(header, row.cells, strict=False))


FIELDS = FieldsInfo({"text": (_TEXT,), "id": ("id",), "spans": ("spans",)}, table_rows)


def _table(stream: BinaryIO, reading: Reading) -> tuple[list[str], Iterator[Row]]:
    first = stream.readline()
    header = first.decode(errors="replace")
    delimiter = delimiter_of(header, reading.fields) or max(_DELIMITERS, key=header.count)
    return read_table(chain([first] if first else [], stream), reading, delimiter=delimiter)


def delimiter_of(header: str, fields: Fields) -> str | None:
    """The delimiter that makes a text a column of this header; None when none does."""
    header = header.removeprefix("\ufeff").strip("\r\n")
    columns = {sign: [name.strip(' "').lower() for name in header.split(sign)] for sign in _DELIMITERS}
    wanted = column_of(fields.get("text") or _TEXT)
    for delimiter, names in columns.items():
        if wanted in names or "annotation_id" in names:
            return delimiter
    # A first line of several short words is a header if one of them says so; prose has no such lines.
    for delimiter, names in columns.items():
        if len(names) > 1 and all(map(_NAME.fullmatch, names)) and not _TEXTS.isdisjoint(names):
            return delimiter
    return None


def column_of(name: str) -> str:
    """How a column is called here: without the difference of small and capital letters."""
    return name.strip().lower()


def _names(header: list[str], reading: Reading) -> Names:
    """Where the columns stand; the text of a file of Label Studio is in the first one that is not its own."""
    chosen = {part: name and column_of(name) for part, name in reading.fields.items()}
    usual = FIELDS.usual
    if set(header) >= _LABEL_STUDIO and _TEXT not in header:
        theirs = (*_LABEL_STUDIO, "id", "annotator")
        usual = {**usual, "text": tuple(name for name in header if name not in theirs)[:1]}
    names = Names(chosen, usual, ("escaped",))
    refuse_missing(names.taken.difference(header), header)
    if len(set(header)) < len(header) or not ("text" in chosen or set(usual["text"]) & set(header)):
        problem = f"the header needs one column 'text', and each name once; its columns are {told(header)}"
        raise BadRow(line=1, column=1, problem=problem)
    return names


def _record(row: Row, header: list[str], names: Names, reading: Reading) -> Record:
    row.check(len(header))
    cells = dict(zip(header, row.cells, strict=True))
    for name in cells.get("escaped", "").split():
        cells[name] = cells.get(name, "").removeprefix("'")
    text, id, spans_cell, rest = names.parts(cells)
    spans = _json(spans_cell, reading.fields.get("spans") or "spans", row.line)
    predicted = _json(rest.get("predicted"), "predicted", row.line)
    metadata = _json(rest.get("metadata"), "metadata", row.line)
    comments = _json(rest.get("comments"), "comments", row.line)
    others: dict[str, object] = {}
    for name, cell in rest.items():
        if name in names.known or name in _OWN:
            continue
        if spans is None and cell.startswith("[") and (found := _label_studio_spans(cell)) is not None:
            spans = found
        elif cell and name not in _LABEL_STUDIO:
            others[name] = cell
    return Record(
        text,
        None if spans is None else spans_of(text, spans, row.line, reading),
        id or "",
        predicted=None if predicted is None else spans_of(text, predicted, row.line, reading),
        comments=tuple(str(comment) for comment in comments) if isinstance(comments, list) else (),
        metadata=others | metadata if isinstance(metadata, dict) else others,
        place=row.line,
        **{name: rest.get(name, "") for name in _NAMES},
    )


def _json(cell: str | None, name: str, line: int) -> object:
    if not cell:
        return None
    try:
        value = msgspec.json.decode(cell)
    except (msgspec.DecodeError, RecursionError) as error:
        problem = f"the cell {name!r} is not JSON ({error})"
        raise NotJsonl(line=line, column=1, problem=problem) from error
    check_storable(value, line)
    return value


def _label_studio_spans(cell: str) -> list[object] | None:
    """The spans of a cell as Label Studio writes it: each with a list of labels; None if it is not one."""
    try:
        value = msgspec.json.decode(cell)
    except (msgspec.DecodeError, RecursionError):
        return None
    if not isinstance(value, list) or not all(isinstance(item, dict) and "labels" in item for item in value):
        return None
    return [label_studio_body(item, label) for item in value for label in item["labels"] or ()]


def label_studio_body(value: Mapping[str, object], label: object) -> dict[str, object]:
    """One span of Label Studio as one of ours."""
    return {"label": label} | {name: value[name] for name in ("start", "end", "text") if name in value}


def write(records: Iterable[Record], stream: BinaryIO, *, delimiter: str) -> None:
    """One row a record, in UTF-8."""
    buffer = io.StringIO()
    table = csv.writer(buffer, delimiter=delimiter)
    table.writerow(_HEADER)
    for record in records:
        if record.text.strip():
            table.writerow(_cells(record))
            stream.write(buffer.getvalue().encode())
            buffer.seek(0)
            buffer.truncate()
    stream.write(buffer.getvalue().encode())


def _cells(record: Record) -> list[str]:
    cells = {"text": record.text, **{name: getattr(record, name) for name in ("id", *_NAMES)}}
    escaped = [name for name, cell in cells.items() if cell.startswith(_FORMULA)]
    cells |= {name: f"'{cells[name]}" for name in escaped}
    for name in ("spans", "predicted"):
        if (spans := getattr(record, name)) is not None:
            cells[name] = _encoded(span_bodies(record.text, spans))
    if record.comments:
        cells["comments"] = _encoded(record.comments)
    if record.metadata:
        cells["metadata"] = _encoded(dict(record.metadata))
    cells["escaped"] = " ".join(escaped)
    return [cells.get(name, "") for name in _HEADER]


def _encoded(value: object) -> str:
    return msgspec.json.encode(value).decode()


def losses(record: Record) -> Iterator[Loss]:
    """Blank texts only."""
    if not record.text.strip():
        yield LOSSES["blank_text"]


_ABOUT = "A row a text; entities, predictions and metadata as JSON in their cells."
INFOS = (
    FormatInfo("csv", "CSV", ".csv", _ABOUT, read, partial(write, delimiter=","), losses, FIELDS),
    FormatInfo(
        "tsv",
        "TSV",
        ".tsv",
        f"{_ABOUT} Tabs between them.",
        read,
        partial(write, delimiter="\t"),
        losses,
        FIELDS,
    ),
)
