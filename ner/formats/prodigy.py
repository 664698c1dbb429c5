"""Prodigy's JSON Lines: a task a line, its spans with tokens, and the answer that was given.

Hashes, tokens and the inner names of Prodigy's views are not read: offsets say the same. Tasks that were
rejected or ignored are counted and left out, for what was rejected is not said.
"""

from __future__ import annotations

from collections.abc import Iterator

from ner.formats.json_items import Item, NotJsonl, json_items
from ner.formats.json_spans import record_text, spans_of
from ner.formats.jsonl import name_of
from ner.formats.record import Record
from ner.formats.source import Reading, Source, opened


def read(source: Source, reading: Reading) -> Iterator[Record]:
    """Accepted tasks, and tasks without an answer."""
    with opened(source) as stream:
        for line, item in json_items(stream, reading):
            answer = item.get("answer", "accept") if isinstance(item, dict) else "accept"
            if answer != "accept":
                reading.ignore(f"answer {answer}")
                continue
            record = reading.attempt(_record, item, line, reading)
            if record is not None:
                yield record


def _record(item: Item, line: int, reading: Reading) -> Record:
    if not isinstance(item, dict):
        raise NotJsonl(line=line, column=1, problem="a task is an object with a text")
    text = record_text(item.get("text"), line)
    # An accepted task without spans was looked at; one without an answer was not.
    spans = item.get("spans", [] if "answer" in item else None)
    meta = item.get("meta")
    return Record(
        text,
        None if spans is None else spans_of(text, spans, line, reading),
        name_of(item.get("id")),
        name_of(item.get("_annotator_id")),
        source=name_of(item.get("source")),
        metadata=meta if isinstance(meta, dict) else {},
        place=line,
    )
