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
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import BinaryIO

import msgspec

from ner.formats.info import LOSSES, FormatInfo, Loss
from ner.formats.json_items import NotJsonl, check_storable
from ner.formats.json_spans import span_bodies, spans_of
from ner.formats.record import Record
from ner.formats.source import BadRow, EmptyFile, Reading, Source, opened
from ner.formats.table import Row, read_table

_TEXT = "text"
_DELIMITERS = ",;\t"
_NAMES = ("id", "annotator", "model", "source")
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
        first = stream.readline()
        delimiter = delimiter_of(first.decode("latin-1")) or ","
        names, rows = read_table(chain([first] if first else [], stream), reading, delimiter=delimiter)
        text_name = _text_column(names)
        for row in rows:
            record = reading.attempt(_record, row, names, text_name, reading)
            if record is not None and record.text.strip():
                found = True
                yield record
            found = found or record is None
    if not found:
        raise EmptyFile(line=1)


def delimiter_of(header: str) -> str | None:
    """The delimiter that makes a text a column of this header; None when none does."""
    header = header.removeprefix("\ufeff").removeprefix("\u00ef\u00bb\u00bf").strip("\r\n")
    for delimiter in _DELIMITERS:
        names = {name.strip(' "').lower() for name in header.split(delimiter)}
        if _TEXT in names or "annotation_id" in names:
            return delimiter
    return None


def _text_column(names: list[str]) -> str:
    """The column `text`; in a file of Label Studio the first one whose name is not Label Studio's own."""
    if names.count(_TEXT) == 1 and len(set(names)) == len(names):
        return _TEXT
    if set(names) >= _LABEL_STUDIO and _TEXT not in names and len(set(names)) == len(names):
        return next(name for name in names if name not in _LABEL_STUDIO and name not in ("id", "annotator"))
    raise BadRow(line=1, column=1, problem="the header needs one column 'text', and each name once")


def _record(row: Row, names: list[str], text_name: str, reading: Reading) -> Record:
    row.check(len(names))
    cells = dict(zip(names, row.cells, strict=True))
    for name in cells.get("escaped", "").split():
        cells[name] = cells.get(name, "").removeprefix("'")
    text = cells.pop(text_name)
    spans = _json(cells, "spans", row.line)
    predicted = _json(cells, "predicted", row.line)
    metadata = _json(cells, "metadata", row.line)
    comments = _json(cells, "comments", row.line)
    known = {name: cells.pop(name, "") for name in _NAMES}
    others: dict[str, object] = {}
    for name, cell in cells.items():
        if spans is None and cell.startswith("[") and (found := _label_studio_spans(cell)) is not None:
            spans = found
        elif cell and name not in _LABEL_STUDIO and name != "escaped":
            others[name] = cell
    return Record(
        text,
        None if spans is None else spans_of(text, spans, row.line, reading),
        predicted=None if predicted is None else spans_of(text, predicted, row.line, reading),
        comments=tuple(str(comment) for comment in comments) if isinstance(comments, list) else (),
        metadata=others | metadata if isinstance(metadata, dict) else others,
        place=row.line,
        **known,
    )


def _json(cells: dict[str, str], name: str, line: int) -> object:
    cell = cells.pop(name, "")
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
    cells = {"text": record.text, **{name: getattr(record, name) for name in _NAMES}}
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
    FormatInfo("csv", "CSV", ".csv", _ABOUT, read, partial(write, delimiter=","), losses),
    FormatInfo(
        "tsv", "TSV", ".tsv", f"{_ABOUT} Tabs between them.", read, partial(write, delimiter="\t"), losses
    ),
)
