"""Which fields of a file hold what: as somebody says, as the format calls them, or as it looks.

Only formats whose records have named fields know this: JSON Lines, doccano's, tables. A choice maps a part of
a record (`text`, `id`, `spans`; in spans that are objects `start`, `end`, `label`) to a field of the file, or
to None where the file has nothing of it. What is not chosen is looked for where the format has it; a field
that nothing is read from becomes metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, BinaryIO

import msgspec

from ner.errors import FormatError
from ner.formats.json_items import Item, json_items
from ner.formats.json_spans import SPAN_KEYS, told
from ner.formats.source import Fields, Reading, Source, opened

PARTS = ("text", "id", "spans")
KEYS = ("start", "end", "label")
#: So many records are looked at to find the fields, so many names are offered.
_LOOK, _MOST = 100, 200

#: What other files call a part, the likeliest first.
NAMES = {
    "text": (
        *("text", "content", "sentence", "body", "full_text", "message", "document", "review", "comment"),
        *("description", "abstract", "paragraph", "passage", "utterance", "tweet", "article", "input"),
    ),
    "id": ("id", "doc_id", "document_id", "text_id", "record_id", "external_id", "uuid", "guid", "key"),
    "spans": ("spans", "entities", "labels", "annotations", "label", "ents", "entity", "ner"),
    "start": (*SPAN_KEYS["start"], "begin", "from", "start_char", "offset_start", "begin_offset"),
    "end": (*SPAN_KEYS["end"], "stop", "to", "end_char", "offset_end"),
    "label": (*SPAN_KEYS["label"], "type", "tag", "entity", "entity_group", "category", "class"),
}


class UnknownField(FormatError):
    """Line {line}: there is no field {name!r}; the fields are {known}."""

    code = "unknown_field"


class NoFields(FormatError):
    """No fields can be chosen in a file that is read as {format}; they can in {formats}."""

    code = "no_fields"


@dataclass(frozen=True, slots=True)
class FieldsInfo:
    """How a format with named fields calls them, and the rows of a file as they stand in it."""

    usual: Mapping[str, tuple[str, ...]]
    rows: Callable[[Source, Reading], Iterator[Mapping[str, object]]]


class Names:
    """Takes the parts of a record out of a row, by somebody's choice and else by the format's own names."""

    def __init__(
        self, chosen: Fields, usual: Mapping[str, tuple[str, ...]], others: Iterable[str] = ()
    ) -> None:
        self._chosen = {part: chosen[part] for part in PARTS if part in chosen}
        self._usual = {part: () if part in self._chosen else names for part, names in usual.items()}
        #: The chosen fields.
        self.taken = frozenset(filter(None, self._chosen.values()))
        #: Names that mean something to the format, so that what stands there is no metadata.
        self.known = frozenset(chain(*self._usual.values(), others))

    def parts(self, row: Mapping[str, Any]) -> tuple[Any, Any, Any, Mapping[str, Any]]:
        """Text, id and spans of a row, None where it has none, and the row without the chosen fields."""
        if not self._chosen:
            usual = self._usual
            return first(row, usual["text"]), first(row, usual["id"]), first(row, usual["spans"]), row
        rest = {name: value for name, value in row.items() if name not in self.taken}
        text, id, spans = (
            row.get(self._chosen[part] or "") if part in self._chosen else first(rest, self._usual[part])
            for part in PARTS
        )
        return text, id, spans, rest


def first(row: Mapping[str, Any], names: Iterable[str]) -> Any:
    """What stands under the first of the names that there is."""
    for name in names:
        if (value := row.get(name)) is not None:
            return value
    return None


def named_items(stream: BinaryIO, reading: Reading, names: Names) -> Iterator[tuple[int, Item]]:
    """The items of a JSON file; at its end UnknownField, if one of the chosen fields was in none of them."""
    missing = set(names.taken)
    known: dict[str, None] = {}
    for line, item in json_items(stream, reading):
        if missing and isinstance(item, dict):
            missing.difference_update(item)
            if len(known) < _MOST:
                known.update(dict.fromkeys(item))
        yield line, item
    refuse_missing(missing, known)


def refuse_missing(missing: Iterable[str], known: Iterable[str]) -> None:
    """Raise UnknownField if a chosen field is missing."""
    for name in sorted(missing):
        raise UnknownField(line=1, name=name, known=told(known))


def json_rows(source: Source, reading: Reading) -> Iterator[Mapping[str, object]]:
    """The objects of a JSON file."""
    with opened(source) as stream:
        for _, item in json_items(stream, reading):
            if isinstance(item, dict):
                yield item


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part of the records may stand in a file."""

    part: str
    #: The fields of the file.
    names: tuple[str, ...]
    #: The field that it is read from if nobody says anything; empty for none.
    usual: str
    #: The field that it most likely stands in; empty for none.
    likely: str


def field_places(rows: Iterable[Mapping[str, object]], info: FieldsInfo, chosen: Fields) -> list[Place]:
    """Where the parts of a record may stand, judged by the first rows of a file.

    Those of spans are among them where the spans are objects and somebody has to say what their keys mean.
    """
    looked = list(islice(rows, _LOOK))
    names = tuple(islice(dict.fromkeys(chain(*looked)), _MOST))
    if not names:
        return []
    columns = {name: [row[name] for row in looked if row.get(name) not in (None, "")] for name in names}
    places: list[Place] = []
    for part in PARTS:
        usual = next((name for name in info.usual[part] if name in names), "")
        free = {name: columns[name] for name in names if name not in {place.likely for place in places}}
        places.append(Place(part, names, usual, _likely(part, usual, free)))
    spans = chosen["spans"] if "spans" in chosen else places[-1].likely
    return places + _key_places(columns.get(spans or "", []), chosen)


def _likely(part: str, usual: str, columns: Mapping[str, list[object]]) -> str:
    """The field that a part stands in: the usual one unless it holds something else, else by name or look."""
    if usual in columns and (not columns[usual] or any(map(_MAY_BE[part], columns[usual]))):
        return usual
    fitting = {name: values for name, values in columns.items() if values and _LOOKS_LIKE[part](values)}
    return _called(part, fitting) or _LAST[part](fitting)


def _called(part: str, names: Iterable[str]) -> str:
    """The one of the names that most likely means a part."""
    called = {_plain(name): name for name in names}
    return next((called[plain] for name in NAMES[part] if (plain := _plain(name)) in called), "")


def _plain(name: str) -> str:
    return "".join(sign for sign in name.casefold() if sign.isalnum())


def _are_texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) and _items(value) is None for value in values)


def _are_ids(values: list[Any]) -> bool:
    return all(isinstance(value, str | int) for value in values) and len(values) == len(set(values))


def _are_spans(values: list[Any]) -> bool:
    lists = [_items(value) for value in values]
    return all(items is not None and (not items or _is_span(items[0])) for items in lists) and any(lists)


def _longest(columns: Mapping[str, list[Any]]) -> str:
    return max(columns, key=lambda name: sum(map(len, columns[name])) / len(columns[name]), default="")


_MAY_BE: dict[str, Callable[[object], bool]] = {
    "text": lambda value: isinstance(value, str),
    "id": lambda value: True,
    "spans": lambda value: _items(value) is not None,
}
_LOOKS_LIKE = {"text": _are_texts, "id": _are_ids, "spans": _are_spans}
#: Where no name tells, the longest strings are the text, any list of spans is the spans.
_LAST: dict[str, Callable[[Mapping[str, list[Any]]], str]] = {
    "text": _longest,
    "id": lambda columns: next((name for name in columns if name.casefold().endswith("_id")), ""),
    "spans": lambda columns: next(iter(columns), ""),
}


def _items(value: object) -> list[Any] | None:
    """A list, or one as JSON in a cell of a table."""
    if isinstance(value, str) and value.startswith("["):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return None
    return value if isinstance(value, list) else None


def _is_span(item: object) -> bool:
    values = list(item.values()) if isinstance(item, Mapping) else item if isinstance(item, list) else []
    integers = sum(type(value) is int for value in values)
    return integers >= 2 and any(isinstance(value, str) for value in values)


def _key_places(column: Sequence[object], chosen: Fields) -> list[Place]:
    objects = [item for value in column for item in _items(value) or () if isinstance(item, Mapping)]
    names = tuple(islice(dict.fromkeys(chain(*objects[:_LOOK])), _MOST))
    places: list[Place] = []
    for part in KEYS:
        usual = next((name for name in SPAN_KEYS[part] if name in names), "")
        places.append(Place(part, names, usual, usual or _called(part, names)))
    is_clear = all(place.usual for place in places) and not any(part in chosen for part in KEYS)
    return [] if not names or is_clear else places
