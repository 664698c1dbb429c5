"""JSON Lines, one text a line, in our own form and in those of its relatives.

Ours: `{"text": "...", "spans": [{"start": 0, "end": 5, "label": "per", "text": "Obama"}]}`. Also
read: spans as `[start, end, label]` under `spans`, `entities`, `label` or `labels` (doccano),
objects with `start_offset` or `start_position` (doccano relations, Presidio evaluator), `answer`
(Prodigy; only accepted records count), spaCy pairs `["text", {"entities": [...]}]`, and a JSON
array of any of these.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from json.decoder import JSONDecodeError
from typing import IO, Any

from ner.errors import BadInput, FormatError
from ner.formats.source import (
    BadSpan,
    EmptyFile,
    InvalidUnicode,
    NullCharacter,
    ReadReport,
    Source,
    numbered_lines,
    opened,
)
from ner.spans import Example, OffsetUnit, read_spans

_TEXT = ("text", "full_text")
_SPANS = ("spans", "entities", "label", "labels")
_START = ("start", "start_offset", "start_position")
_END = ("end", "end_offset", "end_position")
_LABEL = ("label", "entity_type")
_SURFACE = ("text", "entity_value")


class NotJsonl(FormatError):
    """Line {line}, column {column}: {problem}."""

    code = "not_jsonl"


def read(
    source: Source,
    *,
    allow_overlap: bool = False,
    unit: OffsetUnit = "codepoint",
    report: ReadReport | None = None,
) -> Iterator[Example]:
    """Texts with their spans; a record that was not accepted is counted and left out."""
    report = report or ReadReport()
    found = False
    with opened(source) as stream:
        for line, record in _records(numbered_lines(stream)):
            found = True
            if isinstance(record, list):
                record = _from_pair(record, line)
            if not isinstance(record, Mapping):
                raise NotJsonl(line=line, column=1, problem="a record is an object with a text")
            answer = record.get("answer", "accept")
            if answer != "accept":
                report.ignored[f"answer {answer}"] += 1
                continue
            example = _example(record, line, allow_overlap=allow_overlap, unit=unit)
            report.examples += 1
            report.spans += len(example.spans)
            yield example
    if not found:
        raise EmptyFile(line=1)


def write(examples: Iterable[Example], stream: IO[str]) -> None:
    """Write our own form, one line each; nothing is lost but the confidence beyond 4 digits."""
    for example in examples:
        record: dict[str, Any] = {"text": example.text}
        record["spans"] = [span.to_json(example.text) for span in example.spans]
        if example.id:
            record["id"] = example.id
        if example.source:
            record["source"] = example.source
        stream.write(json.dumps(record, ensure_ascii=False) + "\n")


def _records(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, object]]:
    filled = ((number, line) for number, line in lines if line.strip())
    first = next(filled, None)
    if first is None:
        return
    if first[1].lstrip().startswith("[") and not _is_pair_line(first[1]):
        yield from _array_items(chain([first], lines))
        return
    for number, line in chain([first], filled):
        yield number, _parse(line, number)


def _is_pair_line(line: str) -> bool:
    """Whether the line alone is a spaCy pair, whose bracket opens no array of records."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, list) and bool(record) and isinstance(record[0], str)


def _array_items(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, object]]:
    """The items of a JSON array, each with the line it begins on."""
    numbered = list(lines)
    text = "\n".join(line for _, line in numbered)
    first_line = numbered[0][0]
    decoder = json.JSONDecoder()
    position, line, counted = _skip_blank(text, text.index("[") + 1), first_line, 0
    if text[position : position + 1] == "]":
        return
    while True:
        line, counted = line + text.count("\n", counted, position), position
        try:
            item, position = decoder.raw_decode(text, position)
        except JSONDecodeError as error:
            raise NotJsonl(
                line=first_line + error.lineno - 1, column=error.colno, problem=error.msg
            ) from error
        except RecursionError as error:
            raise NotJsonl(line=line, column=1, problem="nested too deeply") from error
        yield line, item
        position = _skip_blank(text, position)
        if text[position : position + 1] == "]":
            if text[position + 1 :].strip():
                line += text.count("\n", counted, position)
                raise NotJsonl(line=line, column=1, problem="text after the end of the array")
            return
        if text[position : position + 1] != ",":
            line += text.count("\n", counted, position)
            raise NotJsonl(line=line, column=1, problem="a comma or the end of the array is missing")
        position = _skip_blank(text, position + 1)


def _skip_blank(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _parse(line: str, number: int) -> object:
    try:
        return json.loads(line)
    except JSONDecodeError as error:
        problem = error.msg
        if line.strip() == "{":
            problem = "a record must stand on one line, or the file be one JSON array"
        raise NotJsonl(line=number, column=error.colno, problem=problem) from error
    except (ValueError, RecursionError) as error:
        raise NotJsonl(line=number, column=1, problem=str(error)) from error


def _from_pair(pair: list[object], line: int) -> Mapping[str, object]:
    match pair:
        case [str() as text, {"entities": list() as entities}]:
            return {"text": text, "entities": entities}
    raise NotJsonl(line=line, column=1, problem='a list here is ["text", {"entities": [...]}]')


def _example(record: Mapping[str, object], line: int, *, allow_overlap: bool, unit: OffsetUnit) -> Example:
    text = _first(record, _TEXT)
    if not isinstance(text, str):
        raise NotJsonl(line=line, column=1, problem="a record needs a text")
    _check_text(text, line)
    items = _first(record, _SPANS) or []
    if not isinstance(items, list):
        raise NotJsonl(line=line, column=1, problem="spans are a list")
    try:
        spans = read_spans(text, [_span_body(item) for item in items], allow_overlap=allow_overlap, unit=unit)
    except BadInput as error:
        raise BadSpan(line=line, problem=str(error), cause=error.code) from error
    group = record.get("source", record.get("template_id", ""))
    return Example(text, spans, _name(record.get("id")), _name(group))


def _span_body(item: object) -> object:
    if isinstance(item, list):
        return dict(zip(("start", "end", "label"), item, strict=False))
    if isinstance(item, Mapping):
        named = (
            ("start", _START),
            ("end", _END),
            ("label", _LABEL),
            ("text", _SURFACE),
            ("confidence", ("confidence",)),
        )
        return {name: item[key] for name, keys in named for key in keys if key in item}
    return item


def _first(record: Mapping[str, object], names: tuple[str, ...]) -> object:
    return next((record[name] for name in names if name in record), None)


def _name(value: object) -> str:
    return "" if value is None else str(value)


def _check_text(text: str, line: int) -> None:
    if "\0" in text:
        raise NullCharacter(line=line, column=text.index("\0") + 1)
    if not text.isascii():
        for char in text:
            if "\ud800" <= char <= "\udfff":
                raise InvalidUnicode(line=line, character=f"U+{ord(char):04X}")
