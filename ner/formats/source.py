"""What every reader shares: numbered lines of a file, its errors, and a report of what was done."""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar

from ner.errors import BadInput, FormatError
from ner.formats.offset_units import OffsetJudge
from ner.spans import Span, validate_spans

Source = Path | BinaryIO
#: A part of a record -> the field of a file that holds it, or None: the file has nothing of it.
Fields = Mapping[str, str | None]
_Args = ParamSpec("_Args")
_Found = TypeVar("_Found")


class EmptyFile(FormatError):
    """The file holds no text."""

    code = "empty_file"


class InvalidEncoding(FormatError):
    """Line {line}, byte {offset} of the file: not {encoding}.{hint}"""

    code = "invalid_encoding"


class NullCharacter(FormatError):
    """Line {line}, column {column}: U+0000 cannot be stored."""

    code = "null_character"


class InvalidUnicode(FormatError):
    """Line {line}: {character} is half of a surrogate pair."""

    code = "invalid_unicode"


class BadRow(FormatError):
    """Line {line}, column {column}: {problem}."""

    code = "bad_row"


class BadSpan(FormatError):
    """{where} {line}: {problem}"""

    code = "bad_span"

    def __init__(self, *, where: str = "Line", **facts: object) -> None:
        super().__init__(where=where, **facts)


class BadRecord(FormatError):
    """Text {line} of the file: {problem}."""

    code = "bad_record"


class TooLarge(FormatError):
    """The file is too large: {problem}."""

    code = "too_large"


class UnknownFormat(FormatError):
    """{problem}."""

    code = "unknown_format"


@dataclass(slots=True)
class ReadReport:
    """What a reader did besides reading; filled while the examples are consumed."""

    examples: int = 0
    spans: int = 0
    repaired: int = 0
    duplicates: int = 0
    refused: int = 0
    ignored: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read, and what becomes of what is wrong in it."""

    allow_overlap: bool = False
    #: Mend tag sequences that no scheme allows, and count them.
    repair: bool = False
    #: Hears of each record that cannot be read; without it the first one ends the reading.
    on_error: Callable[[FormatError], None] | None = None
    report: ReadReport = field(default_factory=ReadReport)
    #: Knows what the offsets of the file count.
    judge: OffsetJudge = field(default_factory=OffsetJudge)
    #: Where parts of a record stand, where somebody has said so.
    fields: Fields = field(default_factory=dict)

    @property
    def span_keys(self) -> dict[str, str]:
        """What the keys of spans that are objects are called, where somebody has said so."""
        return {part: name for part in ("start", "end", "label") if (name := self.fields.get(part))}

    def attempt(
        self, make: Callable[_Args, _Found], *args: _Args.args, **kwargs: _Args.kwargs
    ) -> _Found | None:
        """What `make` gives; None where its record was refused and reading goes on with the next."""
        try:
            return make(*args, **kwargs)
        except FormatError as error:
            self.refuse(error)
            return None

    def refuse(self, error: FormatError) -> None:
        """Report a record that cannot be read."""
        if self.on_error is None:
            raise error
        self.report.refused += 1
        self.on_error(error)

    def ignore(self, what: str) -> None:
        """Count a part of a record that has no place here."""
        self.report.ignored[what] += 1


_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@contextmanager
def opened(source: Source) -> Iterator[BinaryIO]:
    """The bytes of a path or of an open stream; only what was opened here is closed."""
    if isinstance(source, Path):
        with source.open("rb") as stream:
            yield stream
    else:
        yield source


@contextmanager
def opened_again(source: Source) -> Iterator[BinaryIO]:
    """The same bytes from their start, in the midst of reading them; a stream is put back to its place."""
    if isinstance(source, Path):
        with source.open("rb") as stream:
            yield stream
    else:
        place = source.tell()
        source.seek(0)
        yield source
        source.seek(place)


def refuse_utf16(start: bytes, encoding: str = "utf-8") -> None:
    """Say so where a file begins with the mark of UTF-16."""
    if start.startswith(_UTF16_MARKS):
        hint = " It looks like UTF-16; save it as UTF-8."
        raise InvalidEncoding(line=1, offset=0, encoding=encoding, hint=hint)


def numbered_lines(
    stream: Iterable[bytes], *, encoding: str = "utf-8", keep_ends: bool = False
) -> Iterator[tuple[int, str]]:
    """Lines without their ends, counted from 1; only LF and CRLF end a line.

    Python's own text mode would also break lines at a lone CR, and `splitlines` at U+0085 and
    U+2028, which are ordinary characters of a text.
    """
    offset = 0
    for number, raw in enumerate(stream, start=1):
        if number == 1:
            refuse_utf16(raw, encoding)
            if raw.startswith(codecs.BOM_UTF8):
                raw, offset = raw[len(codecs.BOM_UTF8) :], len(codecs.BOM_UTF8)
        try:
            line = raw.decode(encoding)
        except UnicodeDecodeError as error:
            raise InvalidEncoding(
                line=number, offset=offset + error.start, encoding=encoding, hint=""
            ) from error
        if "\0" in line:
            raise NullCharacter(line=number, column=line.index("\0") + 1)
        offset += len(raw)
        yield number, line if keep_ends else line.removesuffix("\n").removesuffix("\r")


def checked(
    text: str, spans: Iterable[Span], *, line: int, where: str = "Line", allow_overlap: bool = False
) -> tuple[Span, ...]:
    """The spans in order, checked against their text; errors name the line."""
    ordered = tuple(sorted(spans))
    try:
        validate_spans(text, ordered, allow_overlap=allow_overlap)
    except BadInput as error:
        raise BadSpan(where=where, line=line, problem=str(error), cause=error.code) from error
    return ordered
