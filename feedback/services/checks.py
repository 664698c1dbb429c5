"""What every statement of a person or a caller passes before it is stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from corpus.errors import KeyReused, LabelRetired
from corpus.models import Document, Label, LabelSet, Project
from corpus.selectors import labels_of
from feedback.errors import SpansRefused
from feedback.models import Correction, Opinion, Rating
from inference.models import Prediction
from ner.errors import BadInput
from ner.span_errors import UnknownLabel
from ner.spans import OffsetUnit, Span, read_spans

Stored = TypeVar("Stored", Correction, Opinion, Rating)


def digest_of(content: list[Any]) -> str:
    """SHA-256 (hex) of what was sent, over canonical JSON."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def replayed(known: Stored, digest: str) -> Stored:
    """What a key stored the first time, if it is asked for the same thing again."""
    if known.request_digest != digest:
        raise KeyReused(pointer="/idempotency_key")
    return known


def is_prediction_of(prediction: Prediction, document: Document) -> bool:
    """Is this an answer to this very text?"""
    if prediction.project_id != document.project_id:
        return False
    if prediction.document_id is not None:
        return prediction.document_id == document.pk
    return prediction.text == document.text


def spans_read(
    text: str, spans: Sequence[Mapping[str, Any]], *, label_set: LabelSet, project: Project, unit: OffsetUnit
) -> tuple[Span, ...]:
    """Spans in their JSON form, checked against the text and the labels in use."""
    names = {label.name for label in labels_of(label_set=label_set)}
    try:
        return read_spans(text, spans, labels=names, allow_overlap=project.allow_overlap, unit=unit)
    except UnknownLabel as error:
        label = str(error.facts["label"])
        if Label.objects.filter(label_set__project=project, name=label).exists():
            raise LabelRetired(pointer=f"/spans/{error.facts['index']}/label", label=label) from None
        raise SpansRefused(error) from None
    except BadInput as error:
        raise SpansRefused(error) from None


def human(span: Span) -> Span:
    """A human's span carries no confidence: machine output is never saved as a human's."""
    return Span(span.start, span.end, span.label)
