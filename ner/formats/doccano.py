"""doccano's JSON Lines: `{"text": "...", "label": [[0, 2, "ORG"]], "Comments": []}`, or with entities."""

from __future__ import annotations

from collections.abc import Iterator

from ner.formats.json_items import Item, NotJsonl, json_items
from ner.formats.json_spans import record_text, spans_of
from ner.formats.jsonl import name_of
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
