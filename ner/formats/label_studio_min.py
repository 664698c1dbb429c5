"""Label Studio's JSON_MIN: a text, its spans and who annotated them, without nesting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from ner.formats.info import LOSSES, FormatInfo, Loss, field_losses
from ner.formats.json_items import Item, NotJsonl, json_items
from ner.formats.json_spans import checked_spans
from ner.formats.jsonl import id_of, name_of
from ner.formats.label_studio import find_text, span_body, span_value, write_array
from ner.formats.record import Record
from ner.formats.source import Reading, Source, opened

_THEIRS = frozenset(
    ("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "offset_unit")
)
_WRITTEN = _THEIRS | {"text", "label"}


def read(source: Source, reading: Reading) -> Iterator[Record]:
    """One record for each annotation."""
    with opened(source) as stream:
        for line, item in json_items(stream, reading):
            record = reading.attempt(_record, item, line, reading)
            if record is not None:
                yield record


def _record(item: Item, line: int, reading: Reading) -> Record:
    if not isinstance(item, dict):
        raise NotJsonl(line=line, column=1, problem="an annotation is an object with a text")
    facts: dict[str, Any] = item
    labelled = [key for key, value in facts.items() if _is_spans(key, value)]
    values = [value for key in labelled for value in facts[key]]
    others = {key: value for key, value in facts.items() if key not in _THEIRS and key not in labelled}
    key, text = find_text(others, values, line)
    unit = reading.judge.unit(text, values, line) if "offset_unit" not in facts else "codepoint"
    bodies = [span_body(value, label) for value in values for label in value["labels"]]
    looked = bool(labelled) or "annotation_id" in facts
    return Record(
        text,
        checked_spans(text, bodies, line, reading, unit) if looked else None,
        name_of(facts.get("id")),
        name_of(facts.get("annotator")),
        metadata={name: value for name, value in others.items() if name != key},
        place=line,
    )


def _is_spans(key: str, value: object) -> bool:
    if not isinstance(value, list) or (not value and key != "label"):
        return False
    return all(isinstance(item, dict) and isinstance(item.get("labels"), list) for item in value)


def write(records: Iterable[Record], stream: BinaryIO) -> None:
    """One array, an annotation a line."""
    write_array((_body(record) for record in records), stream)


def _body(record: Record) -> dict[str, Any]:
    body: dict[str, Any] = {"text": record.text}
    if record.id:
        body["id"] = id_of(record.id)
    if record.spans is not None:
        body["label"] = [span_value(record.text, span) for span in record.spans]
    if record.annotator:
        body["annotator"] = record.annotator
    if record.spans and not record.text.isascii():
        body["offset_unit"] = "codepoint"
    return body | {key: value for key, value in record.metadata.items() if _fits(key, value)}


def _fits(key: str, value: object) -> bool:
    """Whether a field of the metadata can stand among the keys and is not taken for spans."""
    return key not in _WRITTEN and not isinstance(value, list)


def losses(record: Record) -> Iterator[Loss]:
    """What has no key, and metadata that would be taken for something else."""
    yield from field_losses(record, ("id", "annotator", "spans", "reviewed", "metadata"))
    for key, value in record.metadata.items():
        if not _fits(key, value):
            yield LOSSES["metadata"]


INFO = FormatInfo(
    "label_studio_min",
    "Label Studio JSON_MIN",
    ".json",
    "The short form of Label Studio's export: text, spans, annotator.",
    read,
    write,
    losses,
)
