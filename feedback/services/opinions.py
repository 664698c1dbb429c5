"""Storing what one of several annotators says about a text, and what is vouched for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction

from audit.services import Actor, event_record
from corpus.errors import DocumentErased, KeyReused
from corpus.models import Document
from corpus.selectors import label_set_current, labels_of, project_require
from corpus.services import key_check, label_set_freeze
from feedback.errors import GoldOutdated, OtherText, StaleVersion, VersionUnknown
from feedback.models import Correction, GoldItem, Opinion
from feedback.selectors.opinions import opinion_current
from feedback.services.checks import (
    digest_of,
    human,
    is_prediction_of,
    replayed,
    spans_read,
)
from inference.models import Prediction
from ner.spans import Span, compare_spans

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def opinion_submit(
    *,
    document: Document,
    author: User,
    spans: Sequence[Mapping[str, Any]],
    base_number: int,
    prediction: Prediction,
    milliseconds: int,
    idempotency_key: str,
) -> Opinion:
    """Store an annotator's full set of spans for a document as their next opinion.

    The rules are those of `correction_submit`, on a numbering of the annotator's own: what others said
    can neither be read from an answer nor get in the way.
    """
    key_check(idempotency_key)
    digest = digest_of([str(document.pk), base_number, str(prediction.pk), list(spans)])
    with transaction.atomic():
        # Serialises the writers of one document, and keeps an erasure out until we are done.
        document = Document.objects.select_for_update(no_key=True, of=("self",)).get(pk=document.pk)
        known = Opinion.objects.filter(author=author, idempotency_key=idempotency_key).first()
        if known is not None:
            return replayed(known, digest)
        if document.redacted_at is not None:
            raise DocumentErased()
        if not is_prediction_of(prediction, document):
            raise OtherText(pointer="/prediction_id")
        project = document.project
        label_set = label_set_current(project=project)
        checked = spans_read(document.text, spans, label_set=label_set, project=project, unit="codepoint")
        stored = [human(span).to_json(document.text) for span in checked]
        current = opinion_current(document=document, author=author)
        _base_check(base_number=base_number, current=current)
        if current is not None and current.spans == stored:
            return current
        shown = {label.name for label in labels_of(label_set=label_set)}
        opinion = _opinion_create(
            project=project,
            document=document,
            author=author,
            number=base_number + 1,
            prediction=prediction,
            label_set=label_set,
            spans=stored,
            decisions=_decisions(prediction, checked, shown),
            milliseconds=milliseconds,
            idempotency_key=idempotency_key,
            request_digest=digest,
        )
        label_set_freeze(label_set=label_set)
        event_record(
            action="opinion.submit",
            actor=Actor.of_user(author),
            subject=opinion,
            chain=project.slug,
            data={
                "document": str(document.pk),
                "number": opinion.number,
                "spans": len(stored),
                "decisions": opinion.decisions,
            },
        )
        return opinion


@transaction.atomic
def gold_mark(*, correction: Correction, user: User, reason: str = "") -> GoldItem:
    """Vouch for a document's newest correction: from now on annotators are measured on it."""
    project_require(project=correction.project, user=user, permission="adjudicate")
    document = Document.objects.select_for_update(no_key=True, of=("self",)).get(pk=correction.document_id)
    if document.redacted_at is not None:
        raise DocumentErased()
    newest = Correction.objects.filter(document=document).order_by("-number").first()
    if newest != correction:
        raise GoldOutdated()
    gold, _ = GoldItem.objects.update_or_create(
        document=document,
        defaults={"project": correction.project, "correction": correction, "declared_by": user},
    )
    event_record(
        action="gold.mark",
        actor=Actor.of_user(user),
        subject=gold,
        chain=correction.project.slug,
        reason=reason,
        data={"document": str(document.pk), "correction": str(correction.pk)},
    )
    return gold


@transaction.atomic
def gold_unmark(*, gold: GoldItem, user: User, reason: str = "") -> None:
    """Measure nobody on this document any more. The correction stays."""
    project_require(project=gold.project, user=user, permission="adjudicate")
    event_record(
        action="gold.unmark",
        actor=Actor.of_user(user),
        subject=gold,
        chain=gold.project.slug,
        reason=reason,
        data={"document": str(gold.document_id), "correction": str(gold.correction_id)},
    )
    gold.delete()


def _opinion_create(**columns: Any) -> Opinion:
    try:
        with transaction.atomic():
            return Opinion.objects.create(**columns)
    except IntegrityError:
        # The lock orders the writers of this document; only the key can have been taken, for another.
        raise KeyReused(pointer="/idempotency_key") from None


def _base_check(*, base_number: int, current: Opinion | None) -> None:
    number = current.number if current else 0
    if base_number == number:
        return
    if current is None or not 0 <= base_number < number:
        raise VersionUnknown(base_number=base_number, number=number)
    base = Opinion.objects.filter(
        document=current.document_id, author=current.author_id, number=base_number
    ).first()
    raise StaleVersion(base=base, base_number=base_number, current=current)


def _decisions(prediction: Prediction, spans: Sequence[Span], shown: set[str]) -> dict[str, int]:
    """How often each decision was made. Machine spans of labels not in use were shown to nobody."""
    predicted = [Span.from_json(body) for body in prediction.spans]
    changes = compare_spans([span for span in predicted if span.label in shown], spans)
    return dict(Counter(change.decision.value for change in changes))
