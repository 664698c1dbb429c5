"""One record of a file on its way to a row: labels mapped, and checked as the database asks for."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgspec
from django.conf import settings

from corpus.errors import DomainError
from corpus.models import Project
from corpus.services import text_check, text_hash
from labeling.transfer import KEPT
from ner.formats.record import Record
from ner.spans import MAX_LABEL_LENGTH, MAX_SPANS, Span

_EXTERNAL_ID_LIMIT = 200
_SOURCE_LIMIT = 200
_MODELS_LIMIT = 50
_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
#: So many bad rows are listed; all of them are counted.
ERRORS_KEPT = 1_000


class RowRefused(Exception):
    """One record of a file cannot be stored."""

    def __init__(self, *, place: int, code: str, problem: str) -> None:
        super().__init__(problem)
        self.place, self.code, self.problem = place, code, problem


class Row(msgspec.Struct, array_like=True):
    """A checked record, as it waits on the disk to be stored."""

    text: str
    text_hash: str
    external_id: str
    metadata: str
    spans: str | None
    source: str
    predicted: list[dict[str, Any]] | None
    model: str


@dataclass
class Findings:
    """What a file turned out to hold."""

    read: int = 0
    reviewed: int = 0
    predicted: int = 0
    spans: int = 0
    left_out: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    errors: list[dict[str, Any]] = field(default_factory=list)
    error_count: int = 0

    def refuse(self, error: RowRefused) -> None:
        """Note a bad row."""
        self.error_count += 1
        if len(self.errors) < ERRORS_KEPT:
            self.errors.append({"place": error.place, "code": error.code, "problem": error.problem})

    def to_json(self) -> dict[str, Any]:
        """For the job's row."""
        return {
            "read": self.read,
            "reviewed": self.reviewed,
            "predicted": self.predicted,
            "spans": self.spans,
            "left_out": self.left_out,
            "labels": dict(self.labels.most_common()),
            "unknown": dict(self.unknown.most_common()),
            "models": dict(self.models.most_common()),
        }


@dataclass
class Preparer:
    """Turns records into rows for one project, by one person's choices."""

    project: Project
    known_labels: frozenset[str]
    mapping: Mapping[str, str | None]
    texts_only: bool
    source: str
    findings: Findings = field(default_factory=Findings)

    def row(self, record: Record) -> Row:
        """The row of a record; RowRefused says why there is none."""
        found = self.findings
        text = record.text
        try:
            text_check(text, limit=settings.LIMITS["document_characters"])
        except DomainError as error:
            raise RowRefused(place=record.place, code=error.code, problem=error.detail) from error
        if len(record.id) > _EXTERNAL_ID_LIMIT or "\x00" in record.id:
            problem = f"Its id has more than {_EXTERNAL_ID_LIMIT} characters, or U+0000 among them."
            raise RowRefused(place=record.place, code="invalid_id", problem=problem)
        gold = None if self.texts_only else record.spans
        predicted = None if self.texts_only else record.predicted
        spans = None if gold is None else self._mapped(record, gold)
        answered = None if predicted is None else self._mapped(record, predicted, is_gold=False)
        row = Row(
            text=text,
            text_hash=text_hash(project=self.project, text=text),
            external_id=record.id,
            metadata=self._metadata(record),
            spans=None if spans is None else msgspec.json.encode(spans).decode(),
            source=self._source(record),
            predicted=answered,
            model=(record.model or self.source) if answered is not None else "",
        )
        found.reviewed += spans is not None
        found.predicted += answered is not None
        if row.model:
            if len(found.models) == _MODELS_LIMIT and row.model not in found.models:
                problem = f"It names one more model; {_MODELS_LIMIT} are the most in one file."
                raise RowRefused(place=record.place, code="too_many_models", problem=problem)
            found.models[row.model] += 1
        return row

    def _mapped(self, record: Record, spans: Sequence[Span], *, is_gold: bool = True) -> list[dict[str, Any]]:
        kept: list[Span] = []
        for span in spans:
            label = self.mapping.get(span.label, span.label)
            self.findings.labels[span.label] += 1
            if not label:
                self.findings.left_out += 1
                continue
            if label not in self.known_labels:
                self.findings.unknown[label] += 1
            kept.append(Span(span.start, span.end, label, None if is_gold else span.confidence))
        if not kept:
            return []
        kept.sort()
        # Two labels that were mapped to one may stand twice on the same words.
        kept = [span for span, before in zip(kept, [None, *kept], strict=False) if span != before]
        self._places_check(record, kept, may_overlap=self.project.allow_overlap or not is_gold)
        self.findings.spans += len(kept)
        return [span.to_json(record.text) for span in kept]

    def _places_check(self, record: Record, spans: Sequence[Span], *, may_overlap: bool) -> None:
        # The reader has checked each span against the text; these are what the mapping may change.
        if len(spans) > MAX_SPANS:
            problem = f"It has {len(spans)} spans; {MAX_SPANS} are the most."
            raise RowRefused(place=record.place, code="too_many_spans", problem=problem)
        for span in spans:
            if len(span.label) > MAX_LABEL_LENGTH:
                problem = f"A label has more than {MAX_LABEL_LENGTH} characters."
                raise RowRefused(place=record.place, code="label_too_long", problem=problem)
        if may_overlap:
            return
        for one, other in pairwise(spans):
            if other.start < one.end:
                problem = (
                    f"{one.label} {one.start}-{one.end} and {other.label} {other.start}-{other.end} overlap, "
                    "and the project does not allow that: leave one of the labels out, or allow overlaps."
                )
                raise RowRefused(place=record.place, code="span_overlap", problem=problem)

    def _metadata(self, record: Record) -> str:
        if not (record.metadata or record.comments or record.source):
            return "{}"
        kept: dict[str, Any] = {}
        if record.comments:
            kept["comments"] = list(record.comments)
        if record.source:
            kept["source"] = record.source
        values = {**record.metadata, **({KEPT: kept} if kept else {})}
        try:
            body = json.dumps(values, ensure_ascii=False, allow_nan=False)
            body.encode()
        except (ValueError, TypeError, RecursionError) as error:
            problem = "Its other fields hold something that is not JSON: NaN, or half a surrogate pair."
            raise RowRefused(place=record.place, code="invalid_metadata", problem=problem) from error
        if _ESCAPED_NUL.search(body):
            problem = "Its other fields hold U+0000, which cannot be stored."
            raise RowRefused(place=record.place, code="null_character", problem=problem)
        if len(body) > settings.LIMITS["metadata_characters"]:
            problem = f"Its other fields have {len(body)} characters in JSON; the text alone may be longer."
            raise RowRefused(place=record.place, code="metadata_too_long", problem=problem)
        return body

    def _source(self, record: Record) -> str:
        who = record.annotator.replace("\x00", "")
        return f"{self.source}: {who}"[:_SOURCE_LIMIT] if who else self.source
