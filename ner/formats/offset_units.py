"""What the offsets of a file count, where it may be code points or UTF-16 units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ner.errors import BadInput, FormatError
from ner.spans import OffsetUnit, Span, read_spans


class AmbiguousOffsets(FormatError):
    """Line {line}: offsets fit as code points and as UTF-16 units, at two places; quote the entities."""

    code = "ambiguous_offsets"


class OffsetJudge:
    """Finds out what the offsets of a file count, by what its spans quote."""

    def __init__(self) -> None:
        self.known: OffsetUnit | None = None

    def unit(self, text: str, spans: Iterable[Mapping[str, Any]], line: int) -> OffsetUnit:
        """The unit of one record, by all of its spans; of one where both units fit, the unit of the file."""
        # One unit each below U+10000: both counts are the same.
        if text.isascii() or max(text) < "\U00010000":
            return "codepoint"
        bodies = [{**span, "label": "x"} for span in spans]
        points, units = _places(text, bodies, "codepoint"), _places(text, bodies, "utf16")
        if points == units:
            return "codepoint"
        if points is None or units is None:
            self.known = "utf16" if points is None else "codepoint"
            return self.known
        if self.known is None:
            raise AmbiguousOffsets(line=line)
        return self.known


def _places(text: str, bodies: list[dict[str, Any]], unit: OffsetUnit) -> list[Span] | None:
    """Where the spans are if offsets count this unit; None where one of them cannot be there."""
    try:
        return [read_spans(text, [body], unit=unit)[0] for body in bodies]
    except BadInput:
        return None
