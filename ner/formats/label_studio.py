"""Label Studio's JSON: tasks with annotations and predictions.

Of several annotations one is taken: the ground truth, else the newest that was not cancelled. What has no
place in a record (relations, choices, other annotations) is counted and left out. Names of control tags
and of data keys are those of a project's own configuration: they are recognised by what they hold.

Offsets are code points, or UTF-16 units, whichever fits what all spans of a record quote; where both do,
another record of the file decides, else the record is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import msgspec

from ner.formats.info import LOSSES, FormatInfo, Loss
from ner.formats.json_items import Item, NotJsonl, json_items
from ner.formats.json_spans import checked_spans
from ner.formats.jsonl import id_of, name_of
from ner.formats.offset_units import OffsetJudge
from ner.formats.record import Record
from ner.formats.source import Reading, Source, opened
from ner.spans import OffsetUnit, Span

Facts = Mapping[str, Any]

#: Our own facts, under `meta`: a task has no other place for them.
OURS = "nerapp"
_KINDS = ("labels", "hypertextlabels")


def read(source: Source, reading: Reading) -> Iterator[Record]:
    """One record for each task."""
    with opened(source) as stream:
        for line, item in json_items(stream, reading):
            record = reading.attempt(_record, item, line, reading)
            if record is not None:
                yield record


def read_task(item: Facts, reading: Reading) -> Record:
    """One task by itself, as Label Studio's webhooks tell it. Raises FormatError."""
    return _record(dict(item), 1, reading)


def _record(item: Item, line: int, reading: Reading) -> Record:
    task = _Task(item, line)
    return task.record(reading, task.unit(reading.judge))


class _Task:
    """One task of a file."""

    def __init__(self, item: Item, line: int) -> None:
        data = item.get("data") if isinstance(item, dict) else None
        if not isinstance(item, dict) or not isinstance(data, dict):
            raise NotJsonl(line=line, column=1, problem="a task is an object with data")
        self.item = item
        self.data: Facts = data
        self.line = line
        self.annotations = _objects(item.get("annotations", item.get("completions")))
        self.predictions = _objects(item.get("predictions"))
        meta = item.get("meta")
        self.meta: dict[str, Any] = meta if isinstance(meta, dict) else {}
        ours = self.meta.get(OURS)
        self.ours: Facts = ours if isinstance(ours, dict) else {}
        self.quotes = [
            value
            for part in (*self.annotations, *self.predictions)
            for entry in _objects(part.get("result"))
            if (value := _value(entry)) is not None
        ]
        self.key, self.text = find_text(self.data, self.quotes, line)

    def unit(self, judge: OffsetJudge) -> OffsetUnit:
        """What the offsets of this task count."""
        if self.ours.get("offset_unit") == "codepoint":
            return "codepoint"
        return judge.unit(self.text, self.quotes, self.line)

    def record(self, reading: Reading, unit: OffsetUnit) -> Record:
        """As a record; what is left out is counted."""
        alive = [part for part in self.annotations if not part.get("was_cancelled")]
        for _ in range(len(self.annotations) - len(alive)):
            reading.ignore("cancelled annotation")
        annotation = _newest(alive, "another annotation", reading)
        prediction = _newest(self.predictions, "another prediction", reading)
        by = annotation.get("completed_by") if annotation else None
        annotator = by.get("email", by.get("id")) if isinstance(by, dict) else by
        comments = self.ours.get("comments")
        others = {key: value for key, value in self.data.items() if key != self.key}
        return Record(
            self.text,
            None if annotation is None else self._spans(annotation, reading, unit),
            name_of(self.ours.get("id", self.item.get("id"))),
            name_of(self.ours.get("annotator", annotator)),
            None if prediction is None else self._spans(prediction, reading, unit),
            name_of(prediction.get("model_version")) if prediction else "",
            name_of(self.ours.get("source")),
            tuple(map(str, comments)) if isinstance(comments, list) else (),
            others | {key: value for key, value in self.meta.items() if key != OURS},
            self.line,
        )

    def _spans(self, part: Facts, reading: Reading, unit: OffsetUnit) -> tuple[Span, ...]:
        bodies: list[dict[str, Any]] = []
        for entry in _objects(part.get("result")):
            value = _value(entry)
            if value is None:
                reading.ignore(f"{entry.get('type', 'result without a type')}")
                continue
            score = entry.get("score")
            if score is not None and not _is_probability(score):
                reading.ignore("score that is no probability")
                score = None
            labels = next((found for kind in _KINDS if isinstance(found := value.get(kind), list)), [])
            if not labels:
                reading.ignore("span without a label")
            bodies += [span_body(value, label) | {"confidence": score} for label in labels]
        return checked_spans(self.text, bodies, self.line, reading, unit)


def span_body(value: Facts, label: object) -> dict[str, Any]:
    """One label of one span as our form of it."""
    return {"label": label} | {name: value[name] for name in ("start", "end", "text") if name in value}


def _objects(value: object) -> list[Facts]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _value(entry: Facts) -> Facts | None:
    """The value of a result that is a span of plain text; None for relations, choices, paragraphs."""
    value: object = entry.get("value")
    if entry.get("type") not in _KINDS or not isinstance(value, dict):
        return None
    places = value.get("globalOffsets")
    facts: dict[str, Any] = value | places if isinstance(places, dict) else value
    return None if isinstance(facts.get("start"), str) else facts


def _newest(parts: list[Facts], other: str, reading: Reading) -> Facts | None:
    """The ground truth, else what was changed last."""
    if not parts:
        return None

    def rank(place: int) -> tuple[bool, str, int]:
        part = parts[place]
        changed = part.get("updated_at") or part.get("created_at") or ""
        return part.get("ground_truth") is True, str(changed), place

    for _ in parts[1:]:
        reading.ignore(other)
    return parts[max(range(len(parts)), key=rank)]


def _is_probability(score: object) -> bool:
    return isinstance(score, int | float) and not isinstance(score, bool) and 0 <= score <= 1


def find_text(data: Facts, quotes: list[Facts], line: int) -> tuple[str, str]:
    """The key and the text that was annotated: `text`, the only string, or what the spans quote from."""
    strings = {key: value for key, value in data.items() if isinstance(value, str)}
    if "text" in strings:
        return "text", strings["text"]
    quoted = [quote["text"] for quote in quotes if isinstance(quote.get("text"), str)]
    fitting = [key for key, value in strings.items() if quoted and all(text in value for text in quoted)]
    for keys in (list(strings), fitting):
        if len(keys) == 1:
            return keys[0], strings[keys[0]]
    found = ", ".join(data) or "none"
    problem = f"the data need a key 'text', or one string only (keys: {found})"
    raise NotJsonl(line=line, column=1, problem=problem)


def write(records: Iterable[Record], stream: BinaryIO) -> None:
    """One array of tasks, a task a line, as Label Studio imports it."""
    write_array((_body(record) for record in records), stream)


def write_array(items: Iterable[object], stream: BinaryIO) -> None:
    """A JSON array, an item a line."""
    encode = msgspec.json.Encoder().encode
    separator = b"[\n"
    for item in items:
        stream.write(separator + encode(item))
        separator = b",\n"
    stream.write(b"[]\n" if separator == b"[\n" else b"\n]\n")


def _body(record: Record) -> dict[str, Any]:
    number = id_of(record.id)
    body: dict[str, Any] = {"id": number} if isinstance(number, int) else {}
    body["data"] = {"text": record.text}
    ours: dict[str, Any] = {"id": record.id} if record.id and "id" not in body else {}
    for name in ("annotator", "source", "comments"):
        if value := getattr(record, name):
            ours[name] = value
    if not record.text.isascii() and (record.spans or record.predicted):
        ours["offset_unit"] = "codepoint"
    meta = {key: value for key, value in record.metadata.items() if key != OURS}
    if ours:
        meta[OURS] = ours
    if meta:
        body["meta"] = meta
    if record.spans is not None:
        result = _result(record.text, record.spans)
        body["annotations"] = [{"result": result, "was_cancelled": False, "ground_truth": False}]
    if record.predicted is not None:
        result = _result(record.text, record.predicted)
        body["predictions"] = [{"model_version": record.model, "result": result}]
    return body


def _result(text: str, spans: tuple[Span, ...]) -> list[dict[str, Any]]:
    return [
        {
            "id": f"s{number}",
            "from_name": "label",
            "to_name": "text",
            "type": "labels",
            "value": span_value(text, span),
            **({} if span.confidence is None else {"score": span.confidence}),
        }
        for number, span in enumerate(spans)
    ]


def span_value(text: str, span: Span) -> dict[str, Any]:
    """A span as Label Studio writes it."""
    return {
        "start": span.start,
        "end": span.end,
        "text": text[span.start : span.end],
        "labels": [span.label],
    }


def losses(record: Record) -> Iterator[Loss]:
    """Only metadata under our own name: all else has a place."""
    yield from [LOSSES["metadata"]] * (OURS in record.metadata)


INFO = FormatInfo(
    "label_studio",
    "Label Studio JSON",
    ".json",
    "Tasks with annotations and predictions, as Label Studio exports and imports them.",
    read,
    write,
    losses,
)
