"""spaCy's training pairs (version 2): `["text", {"entities": [[0, 5, "PER"]]}]`, one array or one a line.

Overlapping entities stand under `spans`, in the group `sc` that spaCy's span categorizer reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from ner.formats.info import FormatInfo, Loss, field_losses
from ner.formats.json_items import Item, NotJsonl, json_items
from ner.formats.json_spans import spans_of
from ner.formats.label_studio import write_array
from ner.formats.record import Record
from ner.formats.source import Reading, Source, opened
from ner.formats.words import overlapping


def read(source: Source, reading: Reading) -> Iterator[Record]:
    """One record for each pair."""
    with opened(source) as stream:
        for line, item in json_items(stream, reading):
            record = reading.attempt(_record, item, line, reading)
            if record is not None:
                yield record


def _record(item: Item, line: int, reading: Reading) -> Record:
    match item:
        case [str() as text, dict() as facts]:
            groups = facts.get("spans")
            entities = groups.get("sc") if isinstance(groups, dict) else facts.get("entities")
            spans = None if entities is None else spans_of(text, entities, line, reading)
            return Record(text, spans, place=line)
    raise NotJsonl(line=line, column=1, problem='a pair is ["text", {"entities": [...]}]')


def write(records: Iterable[Record], stream: BinaryIO) -> None:
    """One array, a pair a line."""
    write_array(([record.text, _facts(record)] for record in records), stream)


def _facts(record: Record) -> dict[str, object]:
    if record.spans is None:
        return {}
    items = [[span.start, span.end, span.label] for span in record.spans]
    return {"spans": {"sc": items}} if overlapping(record.spans) else {"entities": items}


def losses(record: Record) -> Iterator[Loss]:
    """All but the text and its entities."""
    yield from field_losses(record, ("spans", "reviewed"))


INFO = FormatInfo(
    "spacy_json",
    "spaCy JSON",
    ".json",
    "The training pairs of spaCy 2, which spaCy 3 still takes as examples.",
    read,
    write,
    losses,
)
