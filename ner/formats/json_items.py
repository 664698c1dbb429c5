"""The records of a JSON file, one after the other: its lines, or the items of the one array it is.

Memory holds one record and a block of the file, also where a whole export stands on a single line.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import chain
from json.decoder import JSONDecodeError
from typing import BinaryIO, NoReturn

import msgspec

from ner.errors import FormatError
from ner.formats.source import (
    EmptyFile,
    InvalidEncoding,
    InvalidUnicode,
    NullCharacter,
    Reading,
    refuse_utf16,
)

#: One record of a file; a text of the longest size and its spans take a tenth of it.
MAX_RECORD_BYTES = 64 * 2**20
_BLOCK = 2**20

Item = dict[str, object] | list[object]


class NotJsonl(FormatError):
    """Line {line}, column {column}: {problem}."""

    code = "not_jsonl"


def json_items(stream: BinaryIO, reading: Reading) -> Iterator[tuple[int, Item]]:
    """Objects and lists with the line they begin on.

    A line that is no JSON is a bad record among others; an array that is none ends the reading.
    """
    number, offset, head = _first_filled(stream)
    start = head.lstrip()
    # An array of records never begins with a string: that is a pair, one a line.
    if start.startswith(b"[") and not start[1:].lstrip().startswith(b'"'):
        yield from _array_items(_Window(stream, head, number, offset), reading)
        return
    if not head.endswith(b"\n"):
        head += stream.readline(MAX_RECORD_BYTES)
    for raw in chain([head], iter(partial(stream.readline, MAX_RECORD_BYTES), b"")):
        if not raw.isspace():
            item = reading.attempt(_parse_line, raw, number, offset)
            if item is not None:
                yield number, item
        number += 1
        offset += len(raw)


def _first_filled(stream: BinaryIO) -> tuple[int, int, bytes]:
    """The first line that is not blank, or its beginning; its number and its place in bytes."""
    offset = 0
    for number, raw in enumerate(iter(partial(stream.readline, _BLOCK), b""), start=1):
        if number == 1:
            refuse_utf16(raw)
            if raw.startswith(codecs.BOM_UTF8):
                raw, offset = raw[len(codecs.BOM_UTF8) :], len(codecs.BOM_UTF8)
        if raw and not raw.isspace():
            return number, offset, raw
        offset += len(raw)
    raise EmptyFile(line=1)


_decode = msgspec.json.Decoder().decode


def _parse_line(raw: bytes, number: int, offset: int) -> Item:
    try:
        item, escaped = _decode(raw), b"\\u0000" in raw
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        item, escaped = _parse_with_place(raw, number, offset), True
    return as_item(item, number, escaped=escaped)


def as_item(item: object, line: int, *, escaped: bool) -> Item:
    """The item, if it can be a record; only escapes can bring in what cannot be stored."""
    if escaped:
        check_storable(item, line)
    if isinstance(item, dict | list):
        return item
    raise NotJsonl(line=line, column=1, problem="a record is an object with a text")


def _parse_with_place(raw: bytes, number: int, offset: int) -> object:
    """Parse what the fast parser refused: it reads no huge numbers and names no column."""
    if len(raw) >= MAX_RECORD_BYTES:
        raise NotJsonl(line=number, column=1, problem=f"a record takes at most {MAX_RECORD_BYTES} bytes")
    try:
        line = raw.decode()
    except UnicodeDecodeError as error:
        place = offset + error.start
        raise InvalidEncoding(line=number, offset=place, encoding="utf-8", hint="") from error
    if "\0" in line:
        raise NullCharacter(line=number, column=line.index("\0") + 1)
    try:
        return _json.decode(line)
    except JSONDecodeError as error:
        problem = error.msg
        if line.strip() == "{":
            problem = "a record must stand on one line, or the file be one JSON array"
        raise NotJsonl(line=number, column=error.colno, problem=problem) from error
    except (ValueError, RecursionError) as error:
        raise NotJsonl(line=number, column=1, problem=str(error)) from error


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


_json = json.JSONDecoder(parse_constant=_no_number)
_SURROGATE = re.compile("[\ud800-\udfff]")


def check_storable(value: object, line: int) -> None:
    """Refuse what no database stores: U+0000, half of a surrogate pair, numbers without end."""
    if isinstance(value, str):
        if "\0" in value:
            raise NullCharacter(line=line, column=value.index("\0") + 1)
        if not value.isascii() and (half := _SURROGATE.search(value)):
            raise InvalidUnicode(line=line, character=f"U+{ord(half[0]):04X}")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            check_storable(key, line)
            check_storable(item, line)
    elif isinstance(value, list):
        for item in value:
            check_storable(item, line)
    elif isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise NotJsonl(line=line, column=1, problem="a number is too large")


_FILLED = re.compile(r"[^ \t\r\n]")


class _Window:
    """The part of a file that is being parsed, as text, and where it stands."""

    def __init__(self, stream: BinaryIO, head: bytes, line: int, offset: int) -> None:
        self._stream = stream
        self._head = head
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._offset = offset
        self._ended = False
        self.text = ""
        self.position = 0
        self._line, self._counted, self._column = line, 0, 1

    @property
    def line(self) -> int:
        """The line of the position; it only moves on."""
        self._line += self.text.count("\n", self._counted, self.position)
        self._counted = self.position
        return self._line

    def error(self, problem: str) -> NotJsonl:
        """Something is wrong at the position."""
        before = self.text.rfind("\n", 0, self.position)
        column = self._column + self.position if before < 0 else self.position - before
        return NotJsonl(line=self.line, column=column, problem=problem)

    def sign(self) -> str:
        """The next character that is not white space, which becomes the position; empty at the end."""
        while not (found := _FILLED.search(self.text, self.position)):
            self.position = len(self.text)
            if not self._more():
                return ""
        self.position = found.start()
        return found[0]

    def item(self) -> tuple[object, bool]:
        """The value that begins at the position, and whether it holds escapes; the position moves past it."""
        while True:
            try:
                item, end = _json.raw_decode(self.text, self.position)
            except JSONDecodeError as error:
                distance = error.pos - self.position
                if self._may_be_cut(error) and self._more():
                    continue
                self.position += distance
                raise self.error(error.msg) from error
            except (ValueError, RecursionError) as error:
                problem = "nested too deeply" if isinstance(error, RecursionError) else str(error)
                raise self.error(problem) from error
            # A number at the very end may go on in the next block; a record is none, so it does not matter.
            escaped = self.text.find("\\u", self.position, end) >= 0
            self.position = end
            return item, escaped

    def _may_be_cut(self, error: JSONDecodeError) -> bool:
        """Whether the value may be whole once the window is wider."""
        if self._ended or len(self.text) - self.position > MAX_RECORD_BYTES:
            return False
        return error.pos > len(self.text) - 16 or error.msg.startswith("Unterminated")

    def _more(self) -> bool:
        """Drop what was read and take in another block; False at the end of the file."""
        line = self.line
        before = self.text.rfind("\n", 0, self.position)
        self._column = self._column + self.position if before < 0 else self.position - before
        self.text = self.text[self.position :]
        self.position = self._counted = 0
        block = self._head or self._stream.read(max(_BLOCK, len(self.text)))
        self._head = b""
        try:
            self.text += self._decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            line += self.text.count("\n") + block.count(b"\n", 0, error.start)
            place = self._offset + error.start
            raise InvalidEncoding(line=line, offset=place, encoding="utf-8", hint="") from error
        self._offset += len(block)
        self._ended = not block
        return bool(block)


def _array_items(window: _Window, reading: Reading) -> Iterator[tuple[int, Item]]:
    window.sign()
    window.position += 1
    if window.sign() == "]":
        raise EmptyFile(line=1)
    while True:
        line = window.line
        found, escaped = window.item()
        item = reading.attempt(as_item, found, line, escaped=escaped)
        if item is not None:
            yield line, item
        sign = window.sign()
        if sign == "]":
            window.position += 1
            if window.sign():
                raise window.error("text after the end of the array")
            return
        if sign != ",":
            raise window.error("a comma or the end of the array is missing")
        window.position += 1
        window.sign()
