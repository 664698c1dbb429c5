"""doccano's JSON Lines: `{"text": "...", "label": [[0, 2, "ORG"]], "Comments": []}`, or with entities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import msgspec

from ner.formats.info import LOSSES, FormatInfo, Loss, field_losses
from ner.formats.json_items import Item, NotJsonl, json_items
from ner.formats.json_spans import record_text, spans_of
from ner.formats.jsonl import id_of, name_of
from ner.formats.record import Record
from ner.formats.source import Reading, Source, opened

_SPANS = ("label", "labels", "entities")
_KNOWN = frozenset(("id", "text", "relations", "Comments", *_SPANS))


def read(source: Source, reading: Reading) -> Iterator[Record]:
    """Both layouts, one a line or in one array."""
    with opened(source) as stream:
        for line, item in json_items(stream, reading):
            record = reading.attempt(_record, item, line, reading)
            if record is not None:
                yield record


def _record(item: Item, line: int, reading: Reading) -> Record:
    if not isinstance(item, dict):
        raise NotJsonl(line=line, column=1, problem="a record is an object with a text")
    text = record_text(item.get("text"), line)
    spans = next((item[name] for name in _SPANS if item.get(name) is not None), None)
    relations = item.get("relations")
    if isinstance(relations, list):
        for _ in relations:
            reading.ignore("relation")
    return Record(
        text,
        None if spans is None else spans_of(text, spans, line, reading),
        name_of(item.get("id")),
        comments=_comments(item.get("Comments"), line),
        metadata={key: value for key, value in item.items() if key not in _KNOWN},
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
)
