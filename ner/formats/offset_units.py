"""What the offsets of a file count, where it may be code points or UTF-16 units."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ner.errors import FormatError
from ner.span_errors import SplitsCharacter
from ner.spans import TWO_UNITS, OffsetUnit, Utf16Index


class AmbiguousOffsets(FormatError):
    """Line {line}: offsets fit as code points and as UTF-16 units, at two places; quote the entities."""

    code = "ambiguous_offsets"


def counts_differ(text: str) -> bool:
    """Whether an offset in this text may be two places, by what it counts."""
    return not text.isascii() and TWO_UNITS.search(text) is not None


class OffsetJudge:
    """Finds out what the offsets of a file count, by what its spans quote.

    Spans whose quotes fit only one of the counts are sure. Where they leave it open, all others of the file
    that are sure decide: `ask_all` reads the whole file once, for a judge that hears of each span.
    """

    def __init__(self, ask_all: Callable[[OffsetJudge], None] | None = None) -> None:
        #: The counts that some spans of the file are sure to have.
        self.sure: set[OffsetUnit] = set()
        self._ask_all = ask_all

    def unit(
        self,
        text: str,
        spans: Iterable[Mapping[str, Any]],
        line: int,
        *,
        otherwise: OffsetUnit | None = None,
    ) -> OffsetUnit:
        """What these spans of one text count; `otherwise`, where nothing in the file is sure.

        Raises AmbiguousOffsets where the sure ones of the file disagree, or there is none and no `otherwise`.
        """
        if not counts_differ(text):
            return "codepoint"
        bodies = list(spans)
        places = {unit: _places(text, bodies, unit) for unit in _UNITS}
        if places["codepoint"] == places["utf16"]:
            return "codepoint"
        quoted = [body for body in bodies if body.get("text") is not None]
        fits = [unit for unit in _UNITS if places[unit] or _places(text, quoted, unit) is not None]
        if len(fits) < 2:
            self.sure.update(fits)
            return fits[0] if fits else "codepoint"
        if self._ask_all is not None:
            everywhere, ask_all, self._ask_all = OffsetJudge(), self._ask_all, None
            ask_all(everywhere)
            self.sure = everywhere.sure
        sure = self.sure or ({otherwise} if otherwise else set())
        if len(sure) != 1:
            raise AmbiguousOffsets(line=line)
        return next(iter(sure))


_UNITS: tuple[OffsetUnit, ...] = ("codepoint", "utf16")


def _places(text: str, bodies: list[Mapping[str, Any]], unit: OffsetUnit) -> list[tuple[int, int]] | None:
    """Where the spans are if offsets count this unit; None where one of them cannot be there."""
    convert = Utf16Index(text).to_codepoint if unit == "utf16" else int
    places = []
    for body in bodies:
        start, end, quote = body.get("start"), body.get("end"), body.get("text")
        if type(start) is not int or type(end) is not int:
            return None
        try:
            start, end = convert(start), convert(end)
        except SplitsCharacter:
            return None
        if not 0 <= start < end <= len(text) or quote not in (None, text[start:end]):
            return None
        places.append((start, end))
    return places
