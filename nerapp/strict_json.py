"""Strict JSON: bytes to a typed value, or the one mistake that stands in the way.

What Python's reader lets through and a caller would not want: a key that stands twice (the last would win),
NaN, numbers of any length, nesting without end, characters that PostgreSQL cannot store, unknown fields.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec

from corpus.errors import FieldRequired, Invalid, InvalidUnicode, NullCharacter

MAX_DEPTH = 32
#: More digits than any count, offset or float of ours has; Python's own limit is 4,300.
MAX_DIGITS = 100


class MalformedJSON(Invalid):
    """The body is not JSON: {problem} at line {line}, column {column}."""

    code = "malformed_json"


class InvalidEncoding(Invalid):
    """Send UTF-8 without BOM."""

    code = "invalid_encoding"


class DuplicateKey(Invalid):
    """The key {key} stands twice in one object."""

    code = "duplicate_key"


class NotFinite(Invalid):
    """A number is not finite."""

    code = "not_finite"


class NumberTooLong(Invalid):
    """A number has more than {limit} digits."""

    code = "number_too_long"


class TooDeep(Invalid):
    """At most {limit} levels."""

    code = "too_deep"


class NotAnObject(Invalid):
    """The body must be a JSON object."""

    code = "not_an_object"


class UnknownField(Invalid):
    """There is no field {field} here."""

    code = "unknown_field"


class WrongValue(Invalid):
    """{problem}."""

    code = "invalid"


def json_read(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; refuses what other readers silently repair or choke on."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidEncoding() from None
    if text.startswith("\ufeff"):
        raise InvalidEncoding()
    _depth_check(text)
    try:
        content = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_integer,
        )
    except json.JSONDecodeError as error:
        raise MalformedJSON(problem=error.msg, line=error.lineno, column=error.colno) from None
    if not isinstance(content, dict):
        raise NotAnObject()
    return content


def _depth_check(text: str) -> None:
    # Fewer brackets than levels allowed cannot be too deep, and that is nearly every body.
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return
    depth = 0
    for mark in _STRINGS_OR_BRACKETS.findall(text):
        if mark in ("{", "["):
            depth += 1
            if depth > MAX_DEPTH:
                raise TooDeep(limit=MAX_DEPTH)
        elif mark:
            depth -= 1


#: Strings are matched whole, so that a bracket in one does not count, and give an empty group.
_STRINGS_OR_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+"?|([\[\]{}])', re.DOTALL)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise DuplicateKey(key=_shown(key))
            seen.add(key)
    return found


def _constant(_: str) -> float:
    raise NotFinite()


def _float(literal: str) -> float:
    if len(literal) > MAX_DIGITS:
        raise NumberTooLong(limit=MAX_DIGITS)
    number = float(literal)
    if not math.isfinite(number):
        raise NotFinite()
    return number


def _integer(literal: str) -> int:
    if len(literal) > MAX_DIGITS:
        raise NumberTooLong(limit=MAX_DIGITS)
    return int(literal)


def _shown(name: str) -> str:
    """A caller's own key, cut to what a message can hold."""
    return name[:50].encode("ascii", "backslashreplace").decode()


_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def strings_check(value: Any, *, pointer: str = "", unchecked: str | None = None) -> None:
    """Refuse a NUL or half a surrogate pair anywhere: PostgreSQL stores neither.

    `unchecked` names a top field whose strings are judged one by one later.
    """
    if isinstance(value, str):
        if match := _UNSTORABLE.search(value):
            error = NullCharacter if match[0] == "\x00" else InvalidUnicode
            raise error(pointer=pointer, position=match.start())
    elif isinstance(value, list):
        for index, item in enumerate(value):
            strings_check(item, pointer=f"{pointer}/{index}")
    elif isinstance(value, dict):
        for key, item in value.items():
            if key != unchecked:
                # The key itself too; its pointer is the object's, for the key cannot be written.
                strings_check(key, pointer=pointer)
                strings_check(item, pointer=f"{pointer}/{key}")


def content_read(content: Any, kind: Any) -> Any:
    """The content as a Struct, or the error that says which field is wrong and how."""
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise _told(str(error)) from None


_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>.*?)`", re.DOTALL)
_PLACE = re.compile(r" - at `(key in )?(?P<path>\$.*)`\Z", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
#: msgspec names what it wanted in its message only; tests hold every line of this table to it.
_CODES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), code)
    for pattern, code in (
        (r"Expected `\w+` (<|>)", "out_of_range"),
        (r"Expected `(str|array|object)` of length", "out_of_range"),
        (r"Expected `str` matching", "invalid_format"),
        (r"Invalid enum value", "invalid_choice"),
        (r"Invalid UUID|Expected `uuid", "invalid_id"),
        (r"Expected `str", "not_a_string"),
        (r"Expected `int", "not_an_integer"),
        (r"Expected `float", "not_a_number"),
        (r"Expected `bool", "not_a_boolean"),
        (r"Expected `array", "not_a_list"),
        (r"Expected `object", "not_an_object"),
    )
)


def _told(message: str) -> Invalid:
    place = _PLACE.search(message)
    pointer = "".join(f"/{name or index}" for name, index in _STEP.findall(place["path"])) if place else ""
    if missing := _MISSING.match(message):
        return FieldRequired(pointer=f"{pointer}/{missing['field']}", field=missing["field"])
    if unknown := _UNKNOWN.match(message):
        field = _shown(unknown["field"])
        return UnknownField(pointer=f"{pointer}/{field}", field=field)
    problem = message[: place.start()] if place else message
    code = next((code for pattern, code in _CODES if pattern.match(problem)), "invalid")
    if code == "invalid_choice":
        # msgspec quotes what was sent; we never do.
        problem = "This is not one of the choices"
    error = WrongValue(pointer=pointer, problem=problem)
    error.code = code
    return error
