"""Spans as JSON files have them: lists or objects, under the names of several tools."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from ner.errors import BadInput
from ner.formats.json_items import NotJsonl
from ner.formats.offset_units import counts_differ
from ner.formats.source import BadSpan, Reading
from ner.spans import MAX_LABEL_LENGTH, MAX_SPANS, OffsetUnit, Span, read_spans

#: What the tools we know call the parts of a span.
SPAN_KEYS = {
    "start": ("start", "start_offset", "start_position"),
    "end": ("end", "end_offset", "end_position"),
    "label": ("label", "entity_type"),
    "text": ("text", "entity_value"),
    "confidence": ("confidence", "score"),
}
_OURS = frozenset(SPAN_KEYS)
#: So many names of fields are told in an error.
_TOLD = 20


def record_text(value: object, line: int, names: Iterable[str] = ()) -> str:
    """The text of a record that has fields of these names."""
    if isinstance(value, str):
        return value
    known = f"; its fields are {told(names)}" if names else ""
    raise NotJsonl(line=line, column=1, problem=f"a record needs a text, which is a string{known}")


def told(names: Iterable[str]) -> str:
    """Names of fields for an error."""
    listed = [name if len(name) <= 40 else f"{name[:40]}…" for name in islice(names, _TOLD + 1)]
    return ", ".join(listed[:_TOLD]) + (" and more" if len(listed) > _TOLD else "") or "none"


def spans_of(text: str, items: object, line: int, reading: Reading) -> tuple[Span, ...]:
    """The spans of a list, whether the file counts code points or, as its quotes show, UTF-16 units."""
    if not isinstance(items, list):
        raise NotJsonl(line=line, column=1, problem="spans are a list")
    if keys := reading.span_keys:
        items = [_renamed(item, keys) for item in items]
    quick = faultless_spans(text, items)
    if quick is not None and not counts_differ(text):
        return quick
    bodies = [_body(item) for item in items]
    are_objects = all(isinstance(body, Mapping) for body in bodies)
    unit = reading.judge.unit(text, bodies, line, otherwise="codepoint") if are_objects else "codepoint"
    if quick is not None and unit == "codepoint":
        return quick
    return checked_spans(text, bodies, line, reading, unit)


def checked_spans(
    text: str, bodies: Sequence[object], line: int, reading: Reading, unit: OffsetUnit
) -> tuple[Span, ...]:
    """Spans in our form, whatever their offsets count."""
    if unit == "utf16":
        reading.ignore("offsets counted in UTF-16 units, which were converted")
    elif (quick := faultless_spans(text, bodies)) is not None:
        return quick
    try:
        return read_spans(text, bodies, allow_overlap=reading.allow_overlap, unit=unit)
    except BadInput as error:
        raise BadSpan(line=line, problem=str(error), cause=error.code) from error


def faultless_spans(text: str, items: Sequence[Any]) -> tuple[Span, ...] | None:
    """The spans, if they stand in order and nothing is wrong with them; else None.

    Nearly all records of a large file are such, and this takes a third of the time of `read_spans`.
    """
    found: list[Span] = []
    position, length = 0, len(text)
    for item in items:
        confidence = surface = None
        if type(item) is dict and "score" not in item:
            start, end, label = item.get("start"), item.get("end"), item.get("label")
            surface, confidence = item.get("text"), item.get("confidence")
        elif type(item) is list and len(item) == 3:
            start, end, label = item
        else:
            return None
        if type(start) is not int or type(end) is not int or type(label) is not str:
            return None
        if not position <= start < end <= length or not 0 < len(label) <= MAX_LABEL_LENGTH:
            return None
        if surface is not None and surface != text[start:end]:
            return None
        if confidence is not None and not (type(confidence) is float and 0 <= confidence <= 1):
            return None
        found.append(Span(start, end, label, confidence))
        position = end
    return tuple(found) if len(found) <= MAX_SPANS else None


def _renamed(item: object, keys: Mapping[str, str]) -> object:
    """A span whose keys somebody has named, under our names; what it lacks stays missing."""
    if not isinstance(item, Mapping):
        return item
    body = {name: value for name, value in _body(item).items() if name not in keys}
    return body | {ours: item[theirs] for ours, theirs in keys.items() if theirs in item}


def _body(item: object) -> Any:
    if isinstance(item, Mapping):
        if item.keys() <= _OURS:
            return item
        return {name: item[key] for name, keys in SPAN_KEYS.items() for key in keys if key in item}
    if isinstance(item, list):
        return dict(zip(("start", "end", "label"), item, strict=False))
    return item


def span_bodies(text: str, spans: tuple[Span, ...]) -> list[dict[str, Any]]:
    """The form that we write: offsets, label, surface, and the confidence where there is one."""
    bodies = []
    for span in spans:
        surface = text[span.start : span.end]
        body: dict[str, Any] = {"start": span.start, "end": span.end, "label": span.label, "text": surface}
        if span.confidence is not None:
            body["confidence"] = span.confidence
        bodies.append(body)
    return bodies
