"""What can be wrong with a span of a text; every class is one stable code of the API."""

from __future__ import annotations

from ner.errors import BadInput


class SpanError(BadInput):
    """Span {index} is not valid."""

    code = "invalid_span"


class NotASpan(SpanError):
    """Span {index} is not an object with start, end and label."""

    code = "not_a_span"


class MissingField(SpanError):
    """Span {index} has no {field}."""

    code = "missing_field"


class NotAString(SpanError):
    """Span {index}: {field} is not a string."""

    code = "not_a_string"


class NotAnInteger(SpanError):
    """Span {index}: {field} is not an integer."""

    code = "not_an_integer"


class NotAProbability(SpanError):
    """Span {index}: confidence is not a number between 0 and 1."""

    code = "not_a_probability"


class OffsetNegative(SpanError):
    """Span {index}: {field} {value} is negative."""

    code = "offset_negative"


class SpanEmpty(SpanError):
    """Span {index}: end {end} is not after start {start}."""

    code = "span_empty"


class SpanBeyondEnd(SpanError):
    """Span {index}: end {end} > length {length} of the text.{hint}"""

    code = "span_beyond_end"


class SplitsCharacter(SpanError):
    """Span {index}: UTF-16 offset {value} lies inside one character."""

    code = "splits_character"


class SurfaceMismatch(SpanError):
    """Span {index}: its text is not what stands at {start}..{end}.{hint}"""

    code = "surface_mismatch"


class SpanOverlap(SpanError):
    """Spans {other} and {index} overlap."""

    code = "span_overlap"


class SpanDuplicate(SpanError):
    """Spans {other} and {index} are the same."""

    code = "span_duplicate"


class UnknownLabel(SpanError):
    """Span {index}: {label!r} is not a label of this project."""

    code = "unknown_label"


class LabelTooLong(SpanError):
    """Span {index}: the label has {length} characters, the limit is {limit}."""

    code = "label_too_long"


class TooManySpans(BadInput):
    """The text has {count} spans, the limit is {limit}."""

    code = "too_many_spans"
