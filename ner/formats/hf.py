"""Token classification as Hugging Face's datasets hold it: `{"tokens": [...], "ner_tags": [...]}` a line.

Tags are strings, or numbers of names that stand in a line before: `{"names": ["O", "B-per", "I-per"]}`, or
the features of a `dataset_info.json`. Tokens are joined by one space, unless `text` says what stands between
them; we write `text`, and with `offsets` where each token stands, as columns of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, BinaryIO

import msgspec

from ner.errors import FormatError
from ner.formats.conll import TaggedToken, TagReader
from ner.formats.info import FormatInfo
from ner.formats.json_items import Item, NotJsonl, json_items
from ner.formats.jsonl import name_of
from ner.formats.record import Record
from ner.formats.source import BadRow, Reading, Source, opened
from ner.formats.words import tags_of, tokens, word_losses, words_of
from ner.tags import OUTSIDE

_TAGS = ("ner_tags", "tags", "labels")


class NoTagNames(FormatError):
    """Line {line}: tags are numbers; put a first line {{"names": ["O", "B-per", ...]}} before the records."""

    code = "no_tag_names"


def read(source: Source, reading: Reading) -> Iterator[Record]:
    """One record for each row; rows without tags are texts that nobody has looked at."""
    tags = TagReader("auto", reading)
    names: list[str] = []
    with opened(source) as stream:
        for line, item in json_items(stream, reading):
            described = None
            if isinstance(item, dict) and not isinstance(item.get("tokens"), list):
                described = _names(item)
            if described:
                names = described
                continue
            record = reading.attempt(_record, item, line, names, tags, reading)
            if record is not None:
                yield record


def _names(item: Mapping[str, Any]) -> list[str] | None:
    """The names of tags, by their numbers, wherever in a description of features they stand."""
    names = item.get("names")
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return names
    for key in ("features", *_TAGS, "feature", "names"):
        if isinstance(item.get(key), dict) and (found := _names(item[key])):
            return found
    return None


def _record(item: Item, line: int, names: list[str], tags: TagReader, reading: Reading) -> Record:
    words = item.get("tokens") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(words, list) or not words:
        raise NotJsonl(line=line, column=1, problem="a row is an object with a list of tokens")
    if not all(isinstance(word, str) for word in words):
        raise NotJsonl(line=line, column=1, problem="tokens are strings")
    numbers = next((item[key] for key in _TAGS if item.get(key) is not None), None)
    if numbers is None:
        found = [OUTSIDE] * len(words)
    elif isinstance(numbers, list) and len(numbers) == len(words):
        found = [_tag(tag, names, line) for tag in numbers]
    else:
        raise BadRow(line=line, column=1, problem="there must be one tag for each token")
    gaps = _gaps(item.get("text"), words, item.get("offsets"))
    if gaps is None:
        if item.get("text") is not None:
            reading.ignore("text in which its tokens were not found: they were joined by spaces")
        gaps = ["", *[" "] * (len(words) - 1), ""]
    rows = [
        TaggedToken(word, tag, line, 1, gaps[0] if place == 0 else "", gaps[place + 1])
        for place, (word, tag) in enumerate(zip(words, found, strict=True))
    ]
    return tags.record(rows, name_of(item.get("id")), reviewed=numbers is not None)


def _tag(tag: object, names: list[str], line: int) -> str:
    if isinstance(tag, str):
        return tag
    if type(tag) is int and 0 <= tag < len(names):
        return names[tag]
    if type(tag) is int and not names:
        raise NoTagNames(line=line)
    raise BadRow(line=line, column=1, problem=f"{tag!r} is no tag")


def _gaps(text: object, words: list[str], offsets: object) -> list[str] | None:
    """What stands before, between and after the words in their text; None where they are not in it."""
    if not isinstance(text, str):
        return None
    starts = _starts(offsets, len(words))
    gaps: list[str] = []
    position = 0
    for number, word in enumerate(words):
        start = starts[number] if starts else text.find(word, position)
        if start < position or text[start : start + len(word)] != word:
            return None
        gap = text[position:start]
        if not starts and gap.strip():
            return None
        gaps.append(gap)
        position = start + len(word)
    return [*gaps, text[position:]]


def _starts(offsets: object, count: int) -> list[int]:
    """Where each word begins; nothing if that is not said of each."""
    if not isinstance(offsets, list) or len(offsets) != count:
        return []
    starts = [place[0] for place in offsets if isinstance(place, list) and place]
    return starts if len(starts) == count and all(type(start) is int for start in starts) else []


def write(records: Iterable[Record], stream: BinaryIO) -> None:
    """One row a line, tags as IOB2 strings; every row has every column."""
    encode = msgspec.json.Encoder().encode
    for record in records:
        words = words_of(record, tokens)
        if words:
            body = {
                "id": record.id,
                "text": record.text,
                "tokens": [record.text[word.start : word.end] for word in words],
                "offsets": [(word.start, word.end) for word in words],
                "ner_tags": None if record.spans is None else list(tags_of(words, "iob2")),
            }
            stream.write(encode(body) + b"\n")


INFO = FormatInfo(
    "hf",
    "Hugging Face tokens",
    ".jsonl",
    "Rows of tokens and tags for the datasets library; ours keep the exact text in columns of their own.",
    read,
    write,
    partial(word_losses, tokenise=tokens, spacing=False, carried=("id", "reviewed")),
)
