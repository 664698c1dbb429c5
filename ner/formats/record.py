"""What one row of a labelled file says: a text, what people marked in it, and what a machine did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ner.spans import Example, Span


@dataclass(frozen=True, slots=True)
class Record:
    """One text of a file with all that is known of it. Offsets are code points, whatever the file counts.

    `spans` are a person's: `None` where nobody has looked, an empty tuple where somebody looked and found
    nothing. `predicted` are a machine's, under its name in `model`; the two are never mixed.
    """

    text: str
    spans: tuple[Span, ...] | None = None
    id: str = ""
    annotator: str = ""
    predicted: tuple[Span, ...] | None = None
    model: str = ""
    source: str = ""
    comments: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    #: Where it begins in its file: a line from 1, or the number of the record where lines mean nothing.
    place: int = field(default=0, compare=False)

    def example(self) -> Example:
        """As a unit of training and evaluation."""
        return Example(self.text, self.spans or (), self.id, self.source)
