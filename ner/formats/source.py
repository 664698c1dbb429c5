"""What every reader shares: numbered lines of a file, its errors, and a report of what was done."""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ner.errors import BadInput, FormatError
from ner.spans import Example, Span, validate_spans

Source = Path | BinaryIO


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
    """Line {line}: {problem}"""

    code = "bad_span"


class UnknownFormat(FormatError):
    """{problem}. Known formats: {known}."""

    code = "unknown_format"


@dataclass(slots=True)
class ReadReport:
    """What a reader did besides reading; filled while the examples are consumed."""

    examples: int = 0
    spans: int = 0
    repaired: int = 0
    duplicates: int = 0
    ignored: Counter[str] = field(default_factory=Counter)


_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@contextmanager
def opened(source: Source) -> Iterator[BinaryIO]:
    """The bytes of a path or of an open stream; only what was opened here is closed."""
    if isinstance(source, Path):
        with source.open("rb") as stream:
            yield stream
    else:
        yield source


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
            if raw.startswith(_UTF16_MARKS):
                hint = " It looks like UTF-16; save it as UTF-8."
                raise InvalidEncoding(line=1, offset=0, encoding=encoding, hint=hint)
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
    text: str,
    spans: Iterable[Span],
    *,
    line: int,
    report: ReadReport,
    allow_overlap: bool = False,
    id: str = "",
    source: str = "",
) -> Example:
    """An example whose spans were checked against its text; errors name the line."""
    ordered = tuple(sorted(spans))
    try:
        validate_spans(text, ordered, allow_overlap=allow_overlap)
    except BadInput as error:
        raise BadSpan(line=line, problem=str(error), cause=error.code) from error
    report.examples += 1
    report.spans += len(ordered)
    return Example(text, ordered, id, source)
