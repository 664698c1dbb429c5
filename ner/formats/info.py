"""What a format is, and what it cannot carry of a record."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ner.formats.fields import FieldsInfo
from ner.formats.record import Record
from ner.formats.source import Reading, Source


@dataclass(frozen=True, slots=True)
class Loss:
    """One thing that a format cannot carry. Equal losses are one line of a report, with their count."""

    code: str
    words: str


#: Fields of a record, and what a reader of the report is told when a format has no place for them.
_FIELDS = {
    "id": "The id of the text is not written.",
    "annotator": "Who annotated the text is not written.",
    "source": "Where the text comes from is not written.",
    "model": "The name of the model is not written.",
    "comments": "A comment is not written.",
    "metadata": "A field of the metadata is not written.",
    "predicted": "What the model predicted is not written.",
    "spans": "An entity is not written.",
}
LOSSES = {code: Loss(code, words) for code, words in _FIELDS.items()} | {
    loss.code: loss
    for loss in (
        Loss("confidence", "The confidence of an entity is not written."),
        Loss("reviewed", "That somebody looked and found no entity is not written: it reads as unreviewed."),
        Loss("unreviewed", "That nobody has looked is not written: it reads as reviewed, without entities."),
        Loss("overlap", "An entity that overlaps a longer one is left out."),
        Loss("blank_entity", "An entity of nothing but white space or invisible signs is left out."),
        Loss("edges", "White space or invisible signs at the edges of an entity are no longer part of it."),
        Loss("label", "White space in a label becomes an underscore."),
        Loss("spacing", "The text is written as words: it reads with one space between them."),
        Loss("line_ends", "A line end inside the text becomes a space."),
        Loss("blank_text", "A text without any word is left out."),
        Loss("numbered", "A text without an id gets a number."),
    )
}

_COUNTED = ("comments", "metadata", "spans")


def field_losses(record: Record, carried: Collection[str]) -> Iterator[Loss]:
    """A loss for each field that says something and is not carried; of lists, one for each item.

    `reviewed` (an empty list of entities stays apart from none) and `confidence` count as fields.
    """
    for name in _FIELDS:
        value = getattr(record, name)
        if name in carried or value is None or value == "":
            continue
        yield from [LOSSES[name]] * (len(value) if name in _COUNTED else 1)
    if "reviewed" not in carried:
        if record.spans == () and "spans" not in carried:
            yield LOSSES["reviewed"]
        if record.spans is None and "spans" in carried:
            yield LOSSES["unreviewed"]
    if "confidence" not in carried:
        for name in ("spans", "predicted"):
            if name in carried:
                for span in getattr(record, name) or ():
                    if span.confidence is not None:
                        yield LOSSES["confidence"]


Read = Callable[[Source, Reading], Iterator[Record]]
Write = Callable[[Iterable[Record], BinaryIO], None]


@dataclass(frozen=True, slots=True)
class FormatInfo:
    """A format: what it is called, what it is, and its reader, its writer and its losses."""

    name: str
    title: str
    suffix: str
    about: str
    read: Read | None
    write: Write | None
    losses: Callable[[Record], Iterator[Loss]]
    #: How its records call their fields, where they have named ones that may be chosen otherwise.
    fields: FieldsInfo | None = None

    @property
    def reads(self) -> bool:
        """Whether files of this format can be read."""
        return self.read is not None

    @property
    def writes(self) -> bool:
        """Whether files of this format can be written."""
        return self.write is not None
