"""Asking a model and keeping what it answered."""

from __future__ import annotations

import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from django.db import connection
from django.utils import timezone

from corpus.models import Document, Project
from corpus.services import Row, rows_copy
from inference import metrics
from inference.cache import recognition_cache
from inference.engine import Serving, engine
from inference.errors import ModelUnsound
from inference.failures import failures
from inference.handovers import Cascade
from inference.lane import lane
from inference.models import ApiKey, ArmFailure, Deployment, ModelVersion, Prediction
from inference.recorder import COLUMNS, recorder
from ner.runtime import Recognition

_CHUNK = 256


@dataclass(frozen=True, slots=True)
class Answer:
    """What a caller gets for one text."""

    prediction_id: uuid.UUID | None
    text: str
    serving: Serving
    recognition: Recognition
    latency_ms: float
    tried: Tried | None = None
    """The first of a cascade, where it was unsure of this text."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A version whose own answer was too unsure to be the last word."""

    serving: Serving
    uncertainty: float
    latency_ms: float


def prediction_make(
    *,
    project: Project,
    texts: Sequence[str],
    api_key: ApiKey | None = None,
    request_id: str = "",
    slot: str = Deployment.Slot.CHAMPION,
    serving: Serving | None = None,
    cascade: Cascade | None = None,
    bucket: int | None = None,
    thresholds: Mapping[str, float] | None = None,
    min_confidence: float = 0.0,
    language: str = "",
    store: bool = True,
) -> list[Answer]:
    """Recognise texts in true batches and keep each answer as a row, all of them or none.

    The slot's version answers unless `serving` names another; with a `cascade` its first does, and its second
    what the first is unsure of. `bucket` is the group of the caller's subject, where the shares decided. Only
    the last word on a text is kept. Spans below their label's threshold or below `min_confidence` are in
    neither the answer nor the row: both say the same.
    """
    started, is_dealt = time.perf_counter(), bucket is not None
    chosen = serving or engine.serving(project_id=project.pk, slot=slot)
    with lane.turn(characters=sum(map(len, texts)), caller=api_key and api_key.pk):
        try:
            recognised = _recognise(chosen, texts, store=store)
        except ModelUnsound:
            kind = ArmFailure.Kind.UNSOUND
            failures.add(asker=api_key, serving=chosen, kind=kind, count=len(texts), is_dealt=is_dealt)
            raise
        latency_ms = (time.perf_counter() - started) * 1000 / max(len(texts), 1)
        words = [
            Answer(None, text, chosen, one, latency_ms) for text, one in zip(texts, recognised, strict=True)
        ]
        if cascade is not None:
            words = _handed_on(words, cascade, store=store)
    answers = [
        replace(
            answer,
            prediction_id=uuid.uuid4() if store else None,
            recognition=confident(answer.recognition, thresholds or {}, min_confidence),
        )
        for answer in words
    ]
    if store:
        _keep(
            answer_rows(
                answers,
                project=project,
                api_key=api_key,
                request_id=request_id,
                min_confidence=min_confidence,
                language=language,
                bucket=bucket,
            )
        )
    else:
        _count_unkept(answers, api_key, is_dealt=is_dealt)
    for slot_answering, count in Counter(answer.serving.slot for answer in answers).items():
        metrics.PREDICTED.labels(slot=slot_answering or "named").inc(count)
    metrics.ENTITIES.inc(sum(len(answer.recognition.spans) for answer in answers))
    return answers


def answer_rows(
    answers: Iterable[Answer],
    *,
    project: Project,
    api_key: ApiKey | None,
    request_id: str,
    min_confidence: float,
    language: str,
    bucket: int | None = None,
) -> list[Row]:
    """Answers as rows of `inference.recorder.COLUMNS`."""
    now = timezone.now().isoformat()
    return [
        (
            str(answer.prediction_id),
            str(project.pk),
            str(answer.serving.version.pk),
            answer.text,
            msgspec.json.encode([span.to_json(answer.text) for span in answer.recognition.spans]).decode(),
            repr(float(answer.recognition.uncertainty)),
            repr(min_confidence),
            language,
            answer.serving.slot,
            None if bucket is None else str(bucket),
            repr(answer.latency_ms),
            request_id,
            str(api_key.pk) if api_key else None,
            now,
        )
        for answer in answers
    ]


def document_predict(*, document: Document, version: ModelVersion | None = None) -> Prediction:
    """Ask the champion, or a given version, about a document. Every span is kept, however unsure."""
    serving = (
        engine.serving(project_id=document.project_id, slot=Deployment.Slot.CHAMPION)
        if version is None
        else engine.serving_version(version)
    )
    return _documents_predict([document], serving)[0]


def documents_predict(*, documents: Iterable[Document]) -> list[Prediction]:
    """Ask each project's champion about its documents, in batches."""
    by_project: dict[int, list[Document]] = defaultdict(list)
    for document in documents:
        by_project[document.project_id].append(document)
    made = []
    for project_id, group in by_project.items():
        serving = engine.serving(project_id=project_id, slot=Deployment.Slot.CHAMPION)
        for start in range(0, len(group), _CHUNK):
            made += _documents_predict(group[start : start + _CHUNK], serving)
    return made


def predictions_import(
    *, project: Project, version: ModelVersion, spans_of: Sequence[tuple[str, list[dict[str, Any]]]]
) -> int:
    """Keep what a model elsewhere answered about stored documents; once per document and version.

    The spans were checked by the caller. How sure it was of a whole text is not in such files; the least
    sure span stands in.
    """
    asked = [uuid.UUID(document_id) for document_id, _ in spans_of]
    have = Prediction.objects.filter(version=version, document__in=asked)
    seen = {str(pk) for pk in have.values_list("document_id", flat=True)}
    rows = []
    for document_id, spans in spans_of:
        if document_id in seen:
            continue
        seen.add(document_id)
        least = min((span.get("confidence", 1.0) for span in spans), default=1.0)
        rows.append(
            Prediction(
                project=project,
                version=version,
                document_id=document_id,
                spans=spans,
                uncertainty=1.0 - least,
                latency_ms=0.0,
            )
        )
    Prediction.objects.bulk_create(rows)
    return len(rows)


def confident(
    recognition: Recognition, thresholds: Mapping[str, float], min_confidence: float
) -> Recognition:
    """The recognition without the spans that are too unsure to be told."""
    if not thresholds and min_confidence <= 0:
        return recognition
    kept = [
        index
        for index, span in enumerate(recognition.spans)
        if span.confidence is None or span.confidence >= max(min_confidence, thresholds.get(span.label, 0.0))
    ]
    return replace(
        recognition,
        spans=tuple(recognition.spans[index] for index in kept),
        alternatives=tuple(recognition.alternatives[index] for index in kept),
    )


def _recognise(serving: Serving, texts: Sequence[str], *, store: bool) -> list[Recognition]:
    if not store:
        return serving.recognise(texts)
    return recognition_cache.recognise(serving.version.sha256, texts, serving.recognise)


def _handed_on(answers: list[Answer], cascade: Cascade, *, store: bool) -> list[Answer]:
    """The answers, those of the second for what the first is unsure of: all of these in one batch.

    Where the second gives none that can be right, the first's stand: they are sound, if unsure.
    """
    threshold = cascade.handover.threshold
    unsure = [place for place, one in enumerate(answers) if one.recognition.uncertainty >= threshold]
    metrics.CASCADED.labels(outcome="kept").inc(len(answers) - len(unsure))
    if not unsure:
        return answers
    started = time.perf_counter()
    try:
        better = _recognise(cascade.second, [answers[place].text for place in unsure], store=store)
    except ModelUnsound:
        metrics.CASCADED.labels(outcome="second_failed").inc(len(unsure))
        return answers
    metrics.CASCADED.labels(outcome="handed_on").inc(len(unsure))
    latency_ms = (time.perf_counter() - started) * 1000 / len(unsure)
    last = list(answers)
    for place, recognition in zip(unsure, better, strict=True):
        first = answers[place]
        last[place] = replace(
            first,
            serving=cascade.second,
            recognition=recognition,
            latency_ms=first.latency_ms + latency_ms,
            tried=Tried(first.serving, first.recognition.uncertainty, first.latency_ms),
        )
    return last


def _keep(rows: list[Row]) -> None:
    if connection.in_atomic_block:
        # Inside somebody's transaction they are part of it.
        rows_copy(model=Prediction, columns=COLUMNS, rows=rows)
    else:
        recorder.record(rows)


def _count_unkept(answers: Sequence[Answer], api_key: ApiKey | None, *, is_dealt: bool) -> None:
    servings = {answer.serving.slot: answer.serving for answer in answers}
    for slot, count in Counter(answer.serving.slot for answer in answers).items():
        failures.unkept(asker=api_key, serving=servings[slot], count=count, is_dealt=is_dealt)


def _documents_predict(documents: Sequence[Document], serving: Serving) -> list[Prediction]:
    started = time.perf_counter()
    found = serving.recognise([document.text for document in documents])
    latency_ms = (time.perf_counter() - started) * 1000 / max(len(documents), 1)
    return Prediction.objects.bulk_create(
        Prediction(
            project_id=document.project_id,
            version=serving.version,
            document=document,
            spans=_with_alternatives(document.text, recognition),
            uncertainty=recognition.uncertainty,
            slot=serving.slot,
            latency_ms=latency_ms,
        )
        for document, recognition in zip(documents, found, strict=True)
    )


def _with_alternatives(text: str, recognition: Recognition) -> list[dict[str, Any]]:
    """The spans as stored, each with what else it might be: a reviewer sees the runner-up."""
    spans = []
    for span, rivals in zip(recognition.spans, recognition.alternatives, strict=True):
        body = span.to_json(text)
        if rivals:
            body["alternatives"] = [
                {"label": label, "probability": round(probability, 4)} for label, probability in rivals
            ]
        spans.append(body)
    return spans
