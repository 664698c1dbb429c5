"""What may be chosen for a bulk prediction, and how the file of one is laid out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from inference.errors import OptionRefused
from inference.formats import Language, OffsetUnit, OutputFormat, Probability

FileFormat = Literal["jsonl", "csv", "text"]
Field = Annotated[str, Meta(min_length=1, max_length=200)]


class JobOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the lines of a file are read, recognised and answered."""

    project: Annotated[str, Meta(max_length=50)] | None = None
    model: Annotated[str, Meta(min_length=1, max_length=100)] = "auto"
    language: Language = ""
    return_confidence: bool = True
    output_format: OutputFormat = "entities_only"
    min_confidence: Probability = 0.0
    store: bool = False
    mask_pii: bool = False
    offset_unit: OffsetUnit = "codepoint"
    format: Literal["auto"] | FileFormat = "auto"
    text_field: Field = "text"
    id_field: Field = "id"


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """How a file is laid out, and where its first text begins."""

    format: FileFormat
    start: int
    line: int
    delimiter: str = ""
    columns: list[str] = []


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What the labels asked of answers when the job was started: the whole file is answered alike."""

    thresholds: dict[str, float]
    personal: list[str]


def options_read(values: Mapping[str, str]) -> JobOptions:
    """Options from the words of an address; OptionRefused says which one is wrong, and how."""
    try:
        options = msgspec.convert(dict(values), JobOptions, strict=False)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at `$.")
        name = place.rstrip("`")
        raise OptionRefused(
            pointer=f"/{name}" if name else "", problem=f"{name}: {problem}." if name else f"{problem}."
        ) from error
    for name in ("text_field", "id_field", "model"):
        if "\x00" in getattr(options, name):
            raise OptionRefused(pointer=f"/{name}", problem=f"{name} holds U+0000.")
    if options.text_field == options.id_field:
        raise OptionRefused(pointer="/id_field", problem="id_field and text_field are one and the same.")
    return options
