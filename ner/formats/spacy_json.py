"""spaCy's training pairs (version 2): `["text", {"entities": [[0, 5, "PER"]]}]`, one array or one a line."""

from __future__ import annotations

from collections.abc import Iterator

from ner.formats.json_items import Item, NotJsonl, json_items
from ner.formats.json_spans import spans_of
from ner.formats.record import Record
from ner.formats.source import Reading, Source, opened


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
            entities = facts.get("entities")
            spans = None if entities is None else spans_of(text, entities, line, reading)
            return Record(text, spans, place=line)
    raise NotJsonl(line=line, column=1, problem='a pair is ["text", {"entities": [...]}]')
