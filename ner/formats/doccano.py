"""doccano's JSON Lines: `{"text": "...", "label": [[0, 2, "ORG"]], "Comments": []}`, or with entities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import msgspec

from ner.formats.fields import FieldsInfo, Names, json_rows, named_items
from ner.formats.info import LOSSES, FormatInfo, Loss, field_losses
from ner.formats.json_items import Item, NotJsonl
from ner.formats.json_spans import record_text, spans_of
from ner.formats.jsonl import id_of, name_of
from ner.formats.record import Record
from ner.formats.source import Reading, Source, opened

FIELDS = FieldsInfo({"text": ("text",), "id": ("id",), "spans": ("label", "labels", "entities")}, json_rows)
_OTHERS = frozenset(("relations", "Comments"))
_KNOWN = _OTHERS.union(*FIELDS.usual.values())


def read(source: Source, reading: Reading) -> Iterator[Record]:
    """Both layouts, one a line or in one array."""
    names = Names(reading.fields, FIELDS.usual, _OTHERS)
    with opened(source) as stream:
        for line, item in named_items(stream, reading, names):
            record = reading.attempt(_record, item, line, reading, names)
            if record is not None:
                yield record


def _record(item: Item, line: int, reading: Reading, names: Names) -> Record:
    if not isinstance(item, dict):
        raise NotJsonl(line=line, column=1, problem="a record is an object with a text")
    text, id, spans, rest = names.parts(item)
    text = record_text(text, line, item)
    relations = rest.get("relations")
    if isinstance(relations, list):
        for _ in relations:
            reading.ignore("relation")
    return Record(
        text,
        None if spans is None else spans_of(text, spans, line, reading),
        name_of(id),
        comments=_comments(rest.get("Comments"), line),
        metadata={key: value for key, value in rest.items() if key not in names.known},
        place=line,
    )


def _comments(value: object, line: int) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise NotJsonl(line=line, column=1, problem="Comments are a list")
    texts = [comment.get("text") if isinstance(comment, dict) else comment for comment in value]
    return tuple(text for text in texts if isinstance(text, str))


def write(records: Iterable[Record], stream: BinaryIO) -> None:
    """The layout of doccano's export; metadata are keys of their own, as doccano keeps them."""
    encode = msgspec.json.Encoder().encode
    for record in records:
        body: dict[str, object] = {"id": id_of(record.id)} if record.id else {}
        body["text"] = record.text
        if record.spans is not None:
            body["label"] = [[span.start, span.end, span.label] for span in record.spans]
        body["Comments"] = record.comments
        body |= {key: value for key, value in record.metadata.items() if key not in _KNOWN}
        stream.write(encode(body) + b"\n")


def losses(record: Record) -> Iterator[Loss]:
    """What doccano has no key for; of the metadata, keys that are doccano's own."""
    yield from field_losses(record, ("id", "spans", "reviewed", "comments", "metadata"))
    yield from [LOSSES["metadata"]] * len(_KNOWN & record.metadata.keys())


INFO = FormatInfo(
    "doccano",
    "doccano JSONL",
    ".jsonl",
    "What doccano exports and imports for sequence labelling, overlapping entities and comments included.",
    read,
    write,
    losses,
    FIELDS,
)
