"""A first look at an uploaded file: its first records as they would be stored, its fields and its labels."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from django.utils.translation import gettext, gettext_lazy

from corpus.selectors import label_set_current, labels_of, project_require
from inference.errors import FileGone
from labeling.models import ImportJob
from labeling.options import MAY_BE_NOWHERE, ImportOptions
from labeling.services.import_rows import Preparer, RowRefused
from labeling.services.uploads import UPLOAD, job_folder
from ner.errors import FormatError
from ner.formats import Fields, Place, Record, detect, places_of, read_records
from ner.spans import MAX_LABEL_LENGTH

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: So many records are shown, so many are read for their labels, so much of a text is shown.
SHOWN, LOOK, EXCERPT = 10, 500, 600

#: Labels that many corpora call differently; those of one line mean the same.
_SAME = (
    frozenset({"per", "person", "people", "name"}),
    frozenset({"org", "organization", "organisation", "company", "corporation"}),
    frozenset({"loc", "location", "geo", "place"}),
    frozenset({"gpe", "country", "norp"}),
    frozenset({"tim", "time", "date", "datetime"}),
    frozenset({"misc", "miscellaneous", "other"}),
    frozenset({"eve", "event"}),
    frozenset({"art", "artifact", "work_of_art", "product"}),
)


#: What a form sends for a part that a file has no field for.
NOWHERE = " "
_WORDS = {
    "text": gettext_lazy("Text is in"),
    "id": gettext_lazy("Id is in"),
    "spans": gettext_lazy("Spans are in"),
    "start": gettext_lazy("A span's start is in"),
    "end": gettext_lazy("A span's end is in"),
    "label": gettext_lazy("A span's label is in"),
}

_NOT_IN_A_LABEL = re.compile(r"[\s\x00-\x1f\u202a-\u202e\u2066-\u2069<>]+")


@dataclass(frozen=True, slots=True)
class Shown:
    """One record as it would be stored, or why it would not."""

    place: int
    id: str = ""
    text: str = ""
    is_cut: bool = False
    spans: list[dict[str, Any]] | None = None
    predicted: list[dict[str, Any]] | None = None
    source: str = ""
    model: str = ""
    problem: str = ""

    @property
    def marks(self) -> list[dict[str, Any]]:
        """What is marked in the text: a person's spans, else a machine's."""
        return self.predicted or [] if self.spans is None else self.spans


@dataclass(frozen=True, slots=True)
class LabelFound:
    """A label of the file, and what becomes of it: `to` is a label of the project, empty for left out."""

    name: str
    count: int
    to: str
    is_known: bool
    is_suggested: bool = False
    #: What it would be called if it were created.
    new_name: str = ""


@dataclass(frozen=True, slots=True)
class FieldFound:
    """A part of the records, and the field of the file that it is read from."""

    part: str
    words: str
    #: What a form sends, what is shown, and whether it is so now; nothing is sent for what is so anyway.
    choices: list[tuple[str, str, bool]]
    is_suggested: bool


@dataclass
class Preview:
    """What a first look at a file shows."""

    format: str = ""
    looked_at: int = 0
    is_all: bool = False
    shown: list[Shown] = field(default_factory=list)
    fields: list[FieldFound] = field(default_factory=list)
    labels: list[LabelFound] = field(default_factory=list)
    problem: str = ""
    reviewed: int = 0
    predicted: int = 0


def import_preview(*, job: ImportJob, options: ImportOptions, user: User | None = None) -> Preview:
    """Read the beginning of an uploaded file by some options. What cannot be read is said, not raised."""
    if user is not None:
        project_require(project=job.project, user=user, permission="import")
    path = job_folder(job) / UPLOAD
    if not path.exists():
        raise FileGone()
    preview = Preview()
    try:
        preview.format = detect(path, options.fields) if options.format == "auto" else options.format
        places = places_of(path, preview.format, options.fields)
        preview.fields = [_field(place, options.fields) for place in places]
        _look(job, options, preview, {**_likely(places), **options.fields})
    except FormatError as error:
        preview.problem = str(error)
    return preview


def label_suggestion(name: str, known: Iterable[str]) -> str:
    """The label of the project that a label of a file most likely means; empty where none comes to mind."""
    folded = {label.casefold(): label for label in known}
    wanted = name.casefold()
    if wanted in folded:
        return folded[wanted]
    for same in _SAME:
        if wanted in same and (match := next((folded[label] for label in folded if label in same), "")):
            return match
    return ""


def label_name_clean(name: str) -> str:
    """The name under which a label of a file could be created: one word."""
    return _NOT_IN_A_LABEL.sub("_", name).strip("_")[:MAX_LABEL_LENGTH]


def _likely(places: Iterable[Place]) -> dict[str, str | None]:
    """What has to be said so that each part is read from where it most likely stands."""
    said = {place.part: place.likely or None for place in places if place.likely != place.usual}
    return {part: name for part, name in said.items() if name or part in MAY_BE_NOWHERE}


def _field(place: Place, chosen: Fields) -> FieldFound:
    now = (chosen[place.part] or "") if place.part in chosen else place.likely
    choices = [(name, name) for name in place.names]
    if place.part in MAY_BE_NOWHERE or not now:
        choices.append((NOWHERE, gettext("Nowhere")))
    unsaid = place.usual or NOWHERE if place.likely == place.usual else None
    return FieldFound(
        place.part,
        str(_WORDS[place.part]),
        [("" if value == unsaid else value, words, value == (now or NOWHERE)) for value, words in choices],
        is_suggested=place.part not in chosen and bool(place.likely) and place.likely != place.usual,
    )


def _look(job: ImportJob, options: ImportOptions, preview: Preview, fields: Fields) -> None:
    names = [label.name for label in labels_of(label_set=label_set_current(project=job.project))]
    preparer = Preparer(
        project=job.project,
        known_labels=frozenset(names),
        mapping=options.labels,
        texts_only=options.texts_only,
        source=options.source or preview.format,
    )
    refused: list[FormatError] = []
    records = read_records(
        job_folder(job) / UPLOAD,
        preview.format,
        allow_overlap=True,
        repair=options.repair,
        on_error=refused.append,
        fields=fields,
    )
    for record in itertools.islice(records, LOOK):
        preview.looked_at += 1
        if len(preview.shown) < SHOWN:
            preview.shown.append(_shown(preparer, record, names))
        else:
            _counted(preparer, record)
    preview.is_all = preview.looked_at < LOOK
    for error in refused[: SHOWN - len(preview.shown)] or refused[:1]:
        preview.shown.append(Shown(place=int(error.facts.get("line", 0)), problem=str(error)))
    preview.reviewed, preview.predicted = preparer.findings.reviewed, preparer.findings.predicted
    # A check of the whole file knows better.
    counts = {**preparer.findings.labels, **job.findings.get("labels", {})}
    preview.labels = _labels(counts, options.labels, names)


def _shown(preparer: Preparer, record: Record, names: list[str]) -> Shown:
    try:
        row = preparer.row(record)
    except RowRefused as error:
        return Shown(place=record.place, id=record.id, text=record.text[:EXCERPT], problem=error.problem)
    spans = None if row.spans is None else msgspec.json.decode(row.spans)
    return Shown(
        place=record.place,
        id=record.id,
        text=record.text[:EXCERPT],
        is_cut=len(record.text) > EXCERPT,
        spans=None if spans is None else _within(spans, names),
        predicted=None if row.predicted is None else _within(row.predicted, names),
        source=row.source,
        model=row.model,
    )


def _counted(preparer: Preparer, record: Record) -> None:
    try:
        preparer.row(record)
    except RowRefused as error:
        preparer.findings.refuse(error)


def _within(spans: list[dict[str, Any]], names: list[str]) -> list[dict[str, Any]]:
    """The spans of what is shown, under the labels that the form suggests."""
    return [
        {**span, "label": label_suggestion(span["label"], names) or span["label"]}
        for span in spans
        if span["end"] <= EXCERPT
    ]


def _labels(
    counts: Mapping[str, int], mapping: Mapping[str, str | None], names: list[str]
) -> list[LabelFound]:
    found = []
    for name, count in sorted(counts.items(), key=lambda item: -item[1]):
        is_suggested = False
        if name in mapping:
            to = mapping[name] or ""
        elif name in names:
            to = name
        else:
            to = label_suggestion(name, names)
            is_suggested = bool(to)
            to = to or label_name_clean(name)
        found.append(
            LabelFound(
                name,
                count,
                to,
                is_known=name in names,
                is_suggested=is_suggested,
                new_name=label_name_clean(name),
            )
        )
    return found
