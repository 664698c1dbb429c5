"""Prodigy's JSON Lines: a task a line, its spans with tokens, and the answer that was given.

Hashes, tokens and the inner names of Prodigy's views are not read: offsets say the same. Tasks that were
rejected or ignored are counted and left out, for what was rejected is not said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import msgspec

from ner.formats.info import FormatInfo, Loss, field_losses
from ner.formats.json_items import Item, NotJsonl, json_items
from ner.formats.json_spans import record_text, spans_of
from ner.formats.jsonl import name_of
from ner.formats.record import Record
from ner.formats.source import Reading, Source, opened
from ner.formats.words import spacy_words


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


def write(records: Iterable[Record], stream: BinaryIO) -> None:
    """Accepted tasks with tokens, cut so that every span is whole tokens; unreviewed ones have no answer."""
    encode = msgspec.json.Encoder().encode
    for record in records:
        stream.write(encode(_body(record)) + b"\n")


def _body(record: Record) -> dict[str, Any]:
    text, spans = record.text, record.spans or ()
    words = spacy_words(text, spans)
    body: dict[str, Any] = {"text": text, "meta": dict(record.metadata)}
    for name, value in (("id", record.id), ("source", record.source), ("_annotator_id", record.annotator)):
        if value:
            body[name] = value
    body["tokens"] = [
        {"text": text[start:end], "start": start, "end": end, "id": number, "ws": space}
        for number, (start, end, space) in enumerate(words)
    ]
    if record.spans is not None:
        first = {start: number for number, (start, _, _) in enumerate(words)}
        last = {end: number for number, (_, end, _) in enumerate(words)}
        body["spans"] = [
            {
                "start": span.start,
                "end": span.end,
                "token_start": first[span.start],
                "token_end": last[span.end],
                "label": span.label,
                **({} if span.confidence is None else {"score": span.confidence}),
            }
            for span in spans
        ]
        body["answer"] = "accept"
    body["_view_id"] = "ner_manual"
    return body


def losses(record: Record) -> Iterator[Loss]:
    """What a task has no key for."""
    carried = ("id", "annotator", "source", "spans", "reviewed", "confidence", "metadata")
    yield from field_losses(record, carried)


INFO = FormatInfo(
    "prodigy",
    "Prodigy JSONL",
    ".jsonl",
    "Tasks of Prodigy's ner.manual with tokens and answers, as db-out writes and db-in reads them.",
    read,
    write,
    losses,
)
