"""Storing what humans say about predictions. The workbench and the API take the same path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction

from audit.services import Actor, event_record
from corpus.errors import DocumentErased, KeyReused
from corpus.models import Document
from corpus.selectors import label_set_current, labels_of
from corpus.services import document_store, key_check, label_set_freeze
from feedback.errors import (
    CommentTooLong,
    OtherText,
    ScoreOutOfRange,
    StaleVersion,
    VersionRequired,
    VersionUnknown,
)
from feedback.models import Correction, Rating, SpanDecision, Stratum
from feedback.selectors import correction_current
from feedback.services.checks import (
    digest_of,
    human,
    is_prediction_of,
    replayed,
    spans_read,
)
from inference.models import ApiKey, Prediction
from ner.spans import OffsetUnit, Span, compare_spans

if TYPE_CHECKING:
    from django.contrib.auth.models import User

COMMENT_LIMIT = 2000


def correction_submit(
    *,
    document: Document,
    spans: Sequence[Mapping[str, Any]],
    base_number: int,
    author: User | None = None,
    api_key: ApiKey | None = None,
    prediction: Prediction | None,
    stratum: Stratum | str,
    milliseconds: int,
    idempotency_key: str,
    decisions_ms: Mapping[str, int] | None = None,
    offset_unit: OffsetUnit = "codepoint",
) -> Correction:
    """Store a human's full set of spans for a document as its next correction.

    `spans` are in their JSON form; a `text` in one is compared with the document. `base_number` is the
    number of the correction that the human started from, 0 for none: the next number can be taken once,
    so of two who started from the same one the second gets StaleVersion, which carries both. The same
    idempotency key with the same content returns what was stored the first time. Spans equal to the
    current correction's change nothing, and that correction is returned.

    `decisions_ms` says how long single spans took, by `decision_key` of the machine's span, or of the
    human's where the machine had none.
    """
    actor, who = _actor(author, api_key)
    key_check(idempotency_key)
    content = [
        str(document.pk),
        base_number,
        str(prediction.pk) if prediction else None,
        list(spans),
        offset_unit,
    ]
    digest = digest_of(content)
    with transaction.atomic():
        # Serialises the writers of one document, and keeps an erasure out until we are done.
        document = Document.objects.select_for_update(no_key=True, of=("self",)).get(pk=document.pk)
        known = Correction.objects.filter(idempotency_key=idempotency_key, **who).first()
        if known is not None:
            return replayed(known, digest)
        if document.redacted_at is not None:
            raise DocumentErased()
        if prediction is not None and not is_prediction_of(prediction, document):
            raise OtherText(pointer="/prediction_id")
        project = document.project
        label_set = label_set_current(project=project)
        checked = spans_read(document.text, spans, label_set=label_set, project=project, unit=offset_unit)
        stored = [human(span).to_json(document.text) for span in checked]
        current = correction_current(document)
        _base_check(document, base_number=base_number, current=current)
        if current is not None and current.spans == stored:
            return current
        correction = _correction_create(
            project=project,
            document=document,
            number=base_number + 1,
            prediction=prediction,
            label_set=label_set,
            stratum=Stratum(stratum),
            spans=stored,
            milliseconds=milliseconds,
            idempotency_key=idempotency_key,
            request_digest=digest,
            **who,
        )
        decisions = _decisions_store(correction, prediction, checked, decisions_ms or {})
        label_set_freeze(label_set=label_set)
        _correction_tell(correction, actor, decisions)
        return correction


@transaction.atomic
def prediction_correct(
    *,
    prediction: Prediction,
    spans: Sequence[Mapping[str, Any]],
    base_number: int | None,
    api_key: ApiKey,
    milliseconds: int,
    idempotency_key: str,
    offset_unit: OffsetUnit = "codepoint",
) -> Correction:
    """Store a caller's correction of a prediction; a text that was only predicted becomes a document.

    Without a `base_number` the caller starts from the prediction itself, which is enough until the
    document has a correction; then VersionRequired is raised.
    """
    document = prediction.document
    if document is None:
        document, _ = document_store(
            project=prediction.project,
            text=prediction.text,
            source=Stratum.API,
            language=prediction.language or "en",
        )
    if base_number is None:
        known = Correction.objects.filter(idempotency_key=idempotency_key, api_key=api_key).first()
        current = correction_current(document)
        if known is None and current is not None:
            raise VersionRequired(current=current)
        base_number = known.number - 1 if known else 0
    return correction_submit(
        document=document,
        spans=spans,
        base_number=base_number,
        api_key=api_key,
        prediction=prediction,
        stratum=Stratum.API,
        milliseconds=milliseconds,
        idempotency_key=idempotency_key,
        offset_unit=offset_unit,
    )


def rating_submit(
    *,
    prediction: Prediction,
    score: int,
    comment: str = "",
    author: User | None = None,
    api_key: ApiKey | None = None,
    idempotency_key: str,
) -> Rating:
    """Store a caller's or reader's judgement of a whole prediction, 1 (bad) to 5 (good)."""
    actor, who = _actor(author, api_key)
    key_check(idempotency_key)
    if not 1 <= score <= 5:
        raise ScoreOutOfRange(pointer="/rating")
    if len(comment) > COMMENT_LIMIT:
        raise CommentTooLong(pointer="/comment", limit=COMMENT_LIMIT, length=len(comment))
    digest = digest_of([str(prediction.pk), score, comment])
    with transaction.atomic():
        try:
            with transaction.atomic():
                rating = Rating.objects.create(
                    prediction=prediction,
                    score=score,
                    comment=comment,
                    idempotency_key=idempotency_key,
                    request_digest=digest,
                    **who,
                )
        except IntegrityError:
            return replayed(Rating.objects.get(idempotency_key=idempotency_key, **who), digest)
        event_record(
            action="rating.submit",
            actor=actor,
            subject=rating,
            chain=prediction.project.slug,
            data={"prediction": str(prediction.pk), "score": score},
        )
        return rating


def decision_key(span: Span) -> str:
    """How a client names a span when it reports the milliseconds spent on it."""
    return f"{span.start}:{span.end}:{span.label}"


def _actor(author: User | None, api_key: ApiKey | None) -> tuple[Actor, dict[str, Any]]:
    """Who speaks, for the audit log and for the columns."""
    if (author is None) == (api_key is None):
        raise ValueError("feedback has one author: a person or an API key")
    who = {"author": author, "api_key": api_key}
    actor = Actor.of_user(author) if author is not None else Actor.of_key(api_key.pk, api_key.name)  # type: ignore[union-attr]
    return actor, {name: value for name, value in who.items() if value is not None}


def _correction_create(**columns: Any) -> Correction:
    try:
        with transaction.atomic():
            return Correction.objects.create(**columns)
    except IntegrityError:
        # The lock orders the writers of this document; only the key can have been taken, for another.
        raise KeyReused(pointer="/idempotency_key") from None


def _correction_tell(correction: Correction, actor: Actor, decisions: Counter[str]) -> None:
    """The audit event of a correction: references and counts, no text."""
    event_record(
        action="correction.submit",
        actor=actor,
        subject=correction,
        chain=correction.project.slug,
        data={
            "document": str(correction.document_id),
            "number": correction.number,
            "prediction": str(correction.prediction_id) if correction.prediction_id else None,
            "stratum": correction.stratum,
            "spans": len(correction.spans),
            "decisions": dict(decisions),
        },
    )


def _base_check(document: Document, *, base_number: int, current: Correction | None) -> None:
    number = current.number if current else 0
    if base_number == number:
        return
    if current is None or not 0 <= base_number < number:
        raise VersionUnknown(base_number=base_number, number=number)
    base = Correction.objects.filter(document=document, number=base_number).first()
    raise StaleVersion(base=base, base_number=base_number, current=current)


def _decisions_store(
    correction: Correction,
    prediction: Prediction | None,
    corrected: Sequence[Span],
    decisions_ms: Mapping[str, int],
) -> Counter[str]:
    """One row per span: what the human did with it. Returns how often each decision was made.

    Machine spans of labels that the project does not use were shown to nobody: nobody rejected them.
    """
    shown = {label.name for label in labels_of(label_set=correction.label_set)}
    predicted = [Span.from_json(body) for body in prediction.spans] if prediction else []
    predicted = [span for span in predicted if span.label in shown]
    rows = []
    for change in compare_spans(predicted, corrected):
        before, after = change.predicted, change.corrected
        subject = before or after
        rows.append(
            SpanDecision(
                correction=correction,
                decision=change.decision.value,
                predicted_start=before.start if before else None,
                predicted_end=before.end if before else None,
                predicted_label=before.label if before else "",
                confidence=before.confidence if before else None,
                start=after.start if after else None,
                end=after.end if after else None,
                label=after.label if after else "",
                milliseconds=decisions_ms.get(decision_key(subject)) if subject else None,
            )
        )
    SpanDecision.objects.bulk_create(rows)
    return Counter(row.decision for row in rows)
