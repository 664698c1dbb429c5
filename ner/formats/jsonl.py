"""JSON Lines in our own form, which carries all of a record, and what is close to it.

`{"text": "...", "spans": [{"start": 0, "end": 5, "label": "per", "text": "Obama"}]}`, one record a line
or one JSON array of them. No `spans` means that nobody has looked; an empty list, that there are none.
Also read: other tools' names of the same things (Presidio's evaluator among them), `predicted`, `model`,
`annotator`, `source`, `comments`, `metadata`; keys that are not known become metadata.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import msgspec

from ner.formats.fields import FieldsInfo, Names, first, json_rows, named_items
from ner.formats.info import FormatInfo, Loss
from ner.formats.json_items import Item, NotJsonl
from ner.formats.json_spans import record_text, span_bodies, spans_of
from ner.formats.record import Record
from ner.formats.source import Reading, Source, opened

FIELDS = FieldsInfo(
    {"text": ("text", "full_text"), "id": ("id",), "spans": ("spans", "entities", "label", "labels")},
    json_rows,
)
_SOURCE = ("source", "template_id")
_OTHERS = frozenset(("annotator", "predicted", "model", "comments", *_SOURCE))


def read(source: Source, reading: Reading) -> Iterator[Record]:
    """Texts with all that is known of them."""
    names = Names(reading.fields, FIELDS.usual, _OTHERS)
    with opened(source) as stream:
        for line, item in named_items(stream, reading, names):
            record = reading.attempt(_record, item, line, reading, names)
            if record is not None:
                yield record


def write(records: Iterable[Record], stream: BinaryIO) -> None:
    """One record a line, in UTF-8; nothing is lost."""
    encode = msgspec.json.Encoder().encode
    for record in records:
        stream.write(encode(_body(record)) + b"\n")


def losses(record: Record) -> Iterator[Loss]:
    """This form carries everything."""
    return iter(())


def _record(item: Item, line: int, reading: Reading, names: Names) -> Record:
    if not isinstance(item, dict):
        raise NotJsonl(line=line, column=1, problem="a record is an object with a text")
    text, id, spans, rest = names.parts(item)
    text = record_text(text, line, item)
    predicted = rest.get("predicted")
    return Record(
        text,
        None if spans is None else spans_of(text, spans, line, reading),
        name_of(id),
        name_of(rest.get("annotator")),
        None if predicted is None else spans_of(text, predicted, line, reading),
        name_of(rest.get("model")),
        name_of(first(rest, _SOURCE)),
        _comments(rest.get("comments"), line),
        {} if rest.keys() <= names.known else _metadata(rest, names.known),
        line,
    )


def name_of(value: object) -> str:
    """A name or number as a string."""
    return "" if value is None else str(value)


def id_of(name: str) -> str | int:
    """An id as its tool counts it, where it is one of its numbers."""
    return (
        int(name)
        if name.isdecimal() and name.isascii() and len(name) < 16 and name == str(int(name))
        else name
    )


def _comments(value: object, line: int) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(comment, str) for comment in value):
        return tuple(value)
    raise NotJsonl(line=line, column=1, problem="comments are a list of strings")


def _metadata(item: Mapping[str, object], known: frozenset[str]) -> dict[str, object]:
    others = {key: value for key, value in item.items() if key not in known and key != "metadata"}
    own = item.get("metadata")
    if isinstance(own, dict):
        return others | own
    return others if own is None else others | {"metadata": own}


def _body(record: Record) -> dict[str, Any]:
    body: dict[str, Any] = {"id": record.id} if record.id else {}
    body["text"] = record.text
    if record.spans is not None:
        body["spans"] = span_bodies(record.text, record.spans)
    if record.predicted is not None:
        body["predicted"] = span_bodies(record.text, record.predicted)
    for name in ("annotator", "model", "source"):
        if value := getattr(record, name):
            body[name] = value
    if record.comments:
        body["comments"] = list(record.comments)
    if record.metadata:
        body["metadata"] = dict(record.metadata)
    return body


INFO = FormatInfo(
    "jsonl",
    "JSON Lines",
    ".jsonl",
    "One JSON object a line; carries everything nerapp knows of a text.",
    read,
    write,
    losses,
    FIELDS,
)
