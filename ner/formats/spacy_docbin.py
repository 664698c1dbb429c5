"""spaCy's DocBin (`.spacy`), read and written without spaCy: zlib around one msgpack map.

Words and labels are 64-bit hashes of strings that the file lists. Entities stand in the tokens' `ENT_IOB`
and `ENT_TYPE` (all of them missing where nobody has looked); overlapping ones are the span group `sc`. What
spaCy has no name for is in the user data, under our own name, and no reader minds it.

The format is one block: writing keeps its parts in temporary files, reading unpacks it into one.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from array import array
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import accumulate
from tempfile import TemporaryFile
from typing import IO, Any, BinaryIO

import msgspec

from ner.errors import FormatError
from ner.formats.info import FormatInfo, Loss
from ner.formats.record import Record
from ner.formats.source import BadRecord, EmptyFile, Reading, Source, TooLarge, checked, opened
from ner.formats.spacy_strings import Strings, hash_of
from ner.formats.words import overlapping, spacy_words
from ner.spans import Span

ORTH, ENT_IOB, ENT_TYPE = 65, 77, 78
_MISSING, _INSIDE, _OUTSIDE, _BEGINS = 0, 1, 2, 3
#: Where spaCy's span categorizer looks.
GROUP = "sc"
OURS = "nerapp"
MAX_UNPACKED_BYTES = 4 * 2**30
_SPAN = struct.Struct(">QQQllll")
_NO_GROUPS = msgspec.msgpack.encode([])


class NotDocBin(FormatError):
    """The file is no DocBin of spaCy: {problem}."""

    code = "not_docbin"


class _Flags(msgspec.Struct, gc=False):
    has_unknown_spaces: bool = False


class _Bin(msgspec.Struct):
    """The parts of a file that we read; numbers stay in the file."""

    attrs: list[int]
    tokens: memoryview
    spaces: memoryview
    lengths: memoryview
    strings: list[str]
    flags: list[_Flags] = []
    span_groups: list[bytes] = []
    user_data: list[bytes | None] = []


class _Group(msgspec.Struct):
    name: str
    spans: list[bytes]


def read(source: Source, reading: Reading) -> Iterator[Record]:
    """One record for each document."""
    with opened(source) as stream, TemporaryFile() as unpacked:
        _unpack(stream, unpacked)
        # Not closed by hand, for its parts point into it: it goes when they do.
        yield from _records(mmap.mmap(unpacked.fileno(), 0, access=mmap.ACCESS_READ), reading)


def _unpack(stream: BinaryIO, target: IO[bytes]) -> None:
    inflate = zlib.decompressobj()
    size = 0
    try:
        while block := inflate.unconsumed_tail or stream.read(2**18):
            data = inflate.decompress(block, 2**20)
            size += len(data)
            if size > MAX_UNPACKED_BYTES:
                raise TooLarge(line=1, problem=f"it unpacks to more than {MAX_UNPACKED_BYTES} bytes")
            target.write(data)
    except zlib.error as error:
        raise NotDocBin(line=1, problem="it is not packed with zlib, or damaged") from error
    if not size:
        raise EmptyFile(line=1)
    if not inflate.eof:
        raise NotDocBin(line=1, problem="its end is missing")
    target.flush()


def _records(content: mmap.mmap, reading: Reading) -> Iterator[Record]:
    try:
        parts = msgspec.msgpack.decode(content, type=_Bin)
        docs = _Docs(parts)
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        raise NotDocBin(line=1, problem=str(error)) from error
    if not docs.count:
        raise EmptyFile(line=1)
    for number in range(docs.count):
        record = reading.attempt(docs.record, number, reading)
        if record is not None:
            yield record


class _Docs:
    """The documents of a file."""

    def __init__(self, parts: _Bin) -> None:
        self.parts = parts
        self.width = len(parts.attrs)
        self.columns = {name: place for place, name in enumerate(parts.attrs)}
        if ORTH not in self.columns:
            raise ValueError("it holds no words")
        self.tokens = parts.tokens.cast("B").cast("Q")
        lengths = parts.lengths.cast("B").cast("i")
        self.count = len(lengths)
        #: Where each document begins among the tokens, and where the last one ends.
        self.starts = array("q", accumulate(lengths, initial=0))
        total = self.starts[-1]
        if (
            total * self.width != len(self.tokens)
            or len(parts.spaces) != total
            or min(lengths, default=0) < 0
        ):
            raise ValueError("its parts do not fit together")
        self.strings = Strings(parts.strings)

    def column(self, name: int, first: int, last: int) -> list[int]:
        """One attribute of the tokens of a document."""
        if name not in self.columns:
            return [0] * (last - first)
        return self.tokens[first * self.width + self.columns[name] : last * self.width : self.width].tolist()

    def record(self, number: int, reading: Reading) -> Record:
        """One document."""
        first, last = self.starts[number], self.starts[number + 1]
        try:
            words = [self.strings[key] for key in self.column(ORTH, first, last)]
            iob = self.column(ENT_IOB, first, last)
            labels = [self.strings[key] for key in self.column(ENT_TYPE, first, last)]
            ours = self._ours(number)
            groups = self._groups(number)
        except (KeyError, msgspec.DecodeError, struct.error) as error:
            problem = f"a part of it is damaged ({error})"
            raise BadRecord(line=number + 1, problem=problem) from error
        spaces = [bool(flag) for flag in self.parts.spaces[first:last]]
        if self.parts.flags and self.parts.flags[number].has_unknown_spaces:
            reading.ignore("spaces between tokens, which the file does not know")
            spaces = [position + 1 < len(words) for position in range(len(words))]
        pieces = [word + " " * space for word, space in zip(words, spaces, strict=True)]
        starts = list(accumulate(map(len, pieces), initial=0))
        places = [(start, start + len(word)) for start, word in zip(starts, words, strict=False)]
        found = _entities(places, iob, labels)
        for name, spans in groups.items():
            if name == GROUP and not found:
                found = [Span(places[a][0], places[b - 1][1], self.strings[key]) for key, a, b in spans]
            else:
                reading.ignore(f"span group {name}")
        looked = any(iob) or GROUP in groups or bool(ours.get("reviewed"))
        return _record("".join(pieces), found if looked else None, ours, number + 1, reading)

    def _ours(self, number: int) -> dict[str, Any]:
        packed = self.parts.user_data[number] if number < len(self.parts.user_data) else None
        if not packed or OURS.encode() not in packed:
            return {}
        data = msgspec.msgpack.decode(packed)
        return data[OURS] if isinstance(data, dict) and isinstance(data.get(OURS), dict) else {}

    def _groups(self, number: int) -> dict[str, list[tuple[int, int, int]]]:
        """Label, first token and token after the last of each span, by the group's name."""
        packed = self.parts.span_groups[number] if number < len(self.parts.span_groups) else b""
        if not packed or packed == _NO_GROUPS:
            return {}
        keyed = msgspec.msgpack.decode(packed)
        groups = [msgspec.msgpack.decode(group, type=_Group) for group in keyed]
        named = {group.name: [_SPAN.unpack(span) for span in group.spans] for group in groups}
        if isinstance(keyed, dict):
            named = dict(zip((keys[0] for keys in keyed.values()), named.values(), strict=False))
        first, last = self.starts[number], self.starts[number + 1]
        for spans in named.values():
            if any(not 0 <= span[3] < span[4] <= last - first for span in spans):
                raise KeyError("a span outside its document")
        return {name: [span[2:5] for span in spans] for name, spans in named.items()}


def _entities(places: list[tuple[int, int]], iob: list[int], labels: list[str]) -> list[Span]:
    found: list[Span] = []
    open_label = ""
    for (start, end), sign, label in zip(places, iob, labels, strict=True):
        if sign == _INSIDE and label and label == open_label:
            found[-1] = Span(found[-1].start, end, label)
        elif sign in (_INSIDE, _BEGINS) and label:
            found.append(Span(start, end, label))
        open_label = label if sign in (_INSIDE, _BEGINS) else ""
    return found


def _record(
    text: str, found: list[Span] | None, ours: dict[str, Any], place: int, reading: Reading
) -> Record:
    spans = None
    if found is not None:
        confidences = ours.get("confidences")
        if isinstance(confidences, list) and len(confidences) == len(found):
            found = [
                Span(s.start, s.end, s.label, c) for s, c in zip(sorted(found), confidences, strict=True)
            ]
        spans = checked(text, found, line=place, where="Document", allow_overlap=reading.allow_overlap)
    predicted = ours.get("predicted")
    if predicted is not None:
        predicted = tuple(Span(*span) for span in predicted)
        predicted = checked(text, predicted, line=place, where="Document", allow_overlap=True)
    names = {name: str(ours.get(name, "")) for name in ("id", "annotator", "model", "source")}
    metadata = msgspec.json.decode(ours.get("metadata", "{}"), type=dict[str, Any])
    comments = tuple(map(str, ours.get("comments", ())))
    return Record(
        text, spans, predicted=predicted, comments=comments, metadata=metadata, place=place, **names
    )


def write(records: Iterable[Record], stream: BinaryIO) -> None:
    """Write one DocBin; words are cut so that each entity is whole tokens."""
    keys = _Keys()
    count = 0
    with ExitStack() as files:
        tokens, spaces, lengths, groups, user_data = (files.enter_context(TemporaryFile()) for _ in range(5))
        for record in records:
            count += 1
            words = spacy_words(record.text, record.spans or ())
            tokens.write(_token_rows(record, words, keys))
            spaces.write(bytes(space for _, _, space in words))
            lengths.write(struct.pack("<i", len(words)))
            groups.write(msgspec.msgpack.encode(_span_groups(record, words, keys)))
            ours = _facts(record)
            packed = msgspec.msgpack.encode({OURS: ours}) if ours else None
            user_data.write(msgspec.msgpack.encode(packed))
        parts: dict[str, IO[bytes] | bytes] = {
            "version": msgspec.msgpack.encode("0.1"),
            "attrs": msgspec.msgpack.encode([ORTH, ENT_IOB, ENT_TYPE]),
            "tokens": tokens,
            "spaces": spaces,
            "lengths": lengths,
            "strings": msgspec.msgpack.encode(sorted(keys)),
            "cats": _list_of(count) + msgspec.msgpack.encode({}) * count,
            "flags": _list_of(count) + msgspec.msgpack.encode({"has_unknown_spaces": False}) * count,
            "span_groups": groups,
            "user_data": user_data,
        }
        _pack(parts, count, stream)


class _Keys(dict[str, int]):
    """The numbers of the strings that were used."""

    def __missing__(self, word: str) -> int:
        self[word] = hash_of(word)
        return self[word]


def _list_of(count: int) -> bytes:
    """The beginning of a list in msgpack."""
    return b"\xdd" + struct.pack(">I", count)


def _pack(parts: dict[str, IO[bytes] | bytes], count: int, stream: BinaryIO) -> None:
    deflate = zlib.compressobj()
    stream.write(deflate.compress(bytes([0x80 | len(parts)])))
    for name, part in parts.items():
        stream.write(deflate.compress(msgspec.msgpack.encode(name)))
        if isinstance(part, bytes):
            stream.write(deflate.compress(part))
            continue
        size = part.tell()
        if size >= 2**32:
            raise TooLarge(line=count, problem="a DocBin holds at most 4 GiB of tokens; write several files")
        listed = name in ("span_groups", "user_data")
        start = _list_of(count) if listed else b"\xc6" + struct.pack(">I", size)
        stream.write(deflate.compress(start))
        part.seek(0)
        while block := part.read(2**20):
            stream.write(deflate.compress(block))
    stream.write(deflate.flush())


def _token_rows(record: Record, words: list[tuple[int, int, bool]], keys: _Keys) -> bytes:
    spans = () if overlapping(record.spans or ()) else record.spans
    outside = _MISSING if record.spans is None or (record.spans and not spans) else _OUTSIDE
    rows = array("Q")
    upcoming = iter(spans or ())
    span = next(upcoming, None)
    for start, end, _ in words:
        while span and span.end <= start:
            span = next(upcoming, None)
        inside = span is not None and span.start <= start
        sign = outside if not inside else _BEGINS if span and span.start == start else _INSIDE
        rows.extend((keys[record.text[start:end]], sign, keys[span.label] if inside and span else 0))
    return rows.tobytes()


def _span_groups(record: Record, words: list[tuple[int, int, bool]], keys: _Keys) -> bytes:
    if not overlapping(record.spans or ()):
        return _NO_GROUPS
    first = {start: number for number, (start, _, _) in enumerate(words)}
    last = {end: number + 1 for number, (_, end, _) in enumerate(words)}
    packed = [
        _SPAN.pack(0, 0, keys[span.label], first[span.start], last[span.end], span.start, span.end)
        for span in record.spans or ()
    ]
    group = msgspec.msgpack.encode({"name": GROUP, "attrs": {}, "spans": packed})
    return msgspec.msgpack.encode({group: [GROUP]})


def _facts(record: Record) -> dict[str, Any]:
    """What spaCy has no name for."""
    ours: dict[str, Any] = {}
    for name in ("id", "annotator", "model", "source", "comments"):
        if value := getattr(record, name):
            ours[name] = value
    if record.metadata:
        # As text, for msgpack has no numbers beyond 64 bits.
        ours["metadata"] = msgspec.json.encode(dict(record.metadata)).decode()
    if record.predicted is not None:
        ours["predicted"] = [(s.start, s.end, s.label, s.confidence) for s in record.predicted]
    if any(span.confidence is not None for span in record.spans or ()):
        ours["confidences"] = [span.confidence for span in record.spans or ()]
    if record.spans == () and not record.text:
        ours["reviewed"] = True
    return ours


def losses(record: Record) -> Iterator[Loss]:
    """Nothing: what spaCy has no name for is in the user data."""
    return iter(())


INFO = FormatInfo(
    "spacy",
    "spaCy DocBin",
    ".spacy",
    "What spaCy trains on and evaluates with; overlapping entities are the span group sc.",
    read,
    write,
    losses,
)
