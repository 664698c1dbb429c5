"""What may be chosen for an import and for an export. Pages, API and commands fill these and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec

from feedback.models import Stratum
from labeling.errors import OptionUnknown
from ner.formats import FORMATS
from ner.formats.fields import KEYS, PARTS

SOURCE_LIMIT = 100
_LABELS_LIMIT = 1_000
_FIELD_LIMIT = 200
#: Parts of a record that a file may be said to lack.
MAY_BE_NOWHERE = ("id", "spans")


class ImportOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a file is read, and what becomes of what stands in it."""

    format: str = "auto"
    #: A label of the file -> a label of the project, or null: spans of that label are left out.
    labels: dict[str, str | None] = {}
    #: A part of a record (text, id, spans; of spans start, end, label) -> the field of the file it is in,
    #: or null: there is none. What is not said is looked for where the format has it.
    fields: dict[str, str | None] = {}
    #: Labels that the project lacks are added to it; for those who manage its labels.
    create_labels: bool = False
    #: Otherwise one bad record keeps the whole file out.
    keep_good_rows: bool = False
    #: Take the texts and leave every label behind.
    texts_only: bool = False
    #: Mend tag sequences that no scheme allows, instead of refusing them.
    repair: bool = False
    #: Who marked the spans, as people will read it later; the format's name where it is empty.
    source: str = ""


class ExportOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which documents of a project are written, and how."""

    format: str = "jsonl"
    #: Only documents that somebody has corrected; their spans are the newest correction's.
    reviewed_only: bool = True
    #: Of those, only what was chosen for review in these ways; all where it is empty.
    strata: list[str] = []
    #: Of those, only what was corrected (or, unreviewed, stored) at or after this moment.
    since: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    #: The newest answer of a machine is written too, under its version's name.
    predictions: bool = False


Options = TypeVar("Options", ImportOptions, ExportOptions)


def options_read(kind: type[Options], values: Mapping[str, Any]) -> Options:
    """Options from JSON-like values; OptionUnknown says what is wrong with them."""
    try:
        options = msgspec.convert(dict(values), kind)
    except msgspec.ValidationError as error:
        raise OptionUnknown(problem=f"{error}.".replace("..", ".")) from error
    options_check(options)
    return options


def options_json(options: ImportOptions | ExportOptions) -> dict[str, Any]:
    """The form in which they are kept in a row."""
    found: dict[str, Any] = msgspec.to_builtins(options)
    return found


def options_digest(options: ImportOptions) -> str:
    """The same for the same choices."""
    return hashlib.sha256(msgspec.json.encode(options, order="deterministic")).hexdigest()


def import_formats() -> list[str]:
    """The names of the formats that can be read."""
    return [name for name, info in FORMATS.items() if info.reads]


def export_formats() -> list[str]:
    """The names of the formats that can be written."""
    return [name for name, info in FORMATS.items() if info.writes]


def options_check(options: ImportOptions | ExportOptions) -> None:
    """Raise OptionUnknown for a format, stratum or field that there cannot be, or a name that is too long."""
    known = export_formats() if isinstance(options, ExportOptions) else ("auto", *import_formats())
    if options.format not in known:
        problem = f"{options.format[:30]!r} is no format; known are {', '.join(known)}."
        raise OptionUnknown(pointer="/format", problem=problem)
    if isinstance(options, ExportOptions):
        for name in options.strata:
            if name not in Stratum.values:
                problem = f"{name[:30]!r} is no stratum; known are {', '.join(Stratum.values)}."
                raise OptionUnknown(pointer="/strata", problem=problem)
        return
    if len(options.source) > SOURCE_LIMIT or "\x00" in options.source:
        problem = f"The name of a source has {SOURCE_LIMIT} characters at most."
        raise OptionUnknown(pointer="/source", problem=problem)
    if len(options.labels) > _LABELS_LIMIT:
        raise OptionUnknown(pointer="/labels", problem=f"At most {_LABELS_LIMIT} labels can be mapped.")
    for problem in _field_problems(options.fields):
        raise OptionUnknown(pointer="/fields", problem=problem)


def _field_problems(fields: Mapping[str, str | None]) -> Iterator[str]:
    for part, name in fields.items():
        if part not in (*PARTS, *KEYS):
            yield f"Fields hold {', '.join((*PARTS, *KEYS))}; {part[:30]!r} is none of these."
        elif name is None and part not in MAY_BE_NOWHERE:
            yield f"A file without {part} cannot be read; only id and spans may be null."
        elif name is not None and (not 0 < len(name) <= _FIELD_LIMIT or "\x00" in name):
            yield f"The name of the field for {part} has between 1 and {_FIELD_LIMIT} characters."
    for parts in (PARTS, KEYS):
        names = [fields[part] for part in parts if fields.get(part)]
        if len(set(names)) < len(names):
            yield f"One field holds one of {', '.join(parts)}, not two."
