"""Storing what people marked elsewhere, as corrections by a named source."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils import timezone

from corpus.models import Document, LabelSet, Project
from corpus.services import rows_copy
from feedback.models import Correction, Stratum
from inference.models import ApiKey

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@dataclass(frozen=True, slots=True)
class ImportedSpans:
    """What people marked elsewhere in a document that is stored here; the spans are JSON, checked already."""

    document_id: uuid.UUID
    is_new: bool
    spans: str
    source: str
    idempotency_key: str


def corrections_import(
    *,
    project: Project,
    label_set: LabelSet,
    imported: Sequence[ImportedSpans],
    author: User | None = None,
    api_key: ApiKey | None = None,
) -> set[uuid.UUID]:
    """Store spans from elsewhere as the first corrections of their documents, by COPY.

    A document that was corrected already keeps what it has, and is not in the answer: the documents that
    got a correction. No decisions are written, for nobody here decided about a machine's span. Call it
    inside a transaction; the caller checked the spans as `correction_submit` would, and tells the audit log.
    """
    old = [draft.document_id for draft in imported if not draft.is_new]
    taken = _corrected_locked(old)
    now = timezone.now().isoformat()
    who = (str(author.pk) if author else None, str(api_key.pk) if api_key else None)
    rows, stored = [], set()
    for draft in imported:
        if draft.document_id in taken:
            continue
        taken.add(draft.document_id)
        stored.add(draft.document_id)
        digest = hashlib.sha256(f"{draft.document_id}{draft.spans}".encode()).hexdigest()
        rows.append(
            (
                str(uuid.uuid4()),
                str(project.pk),
                str(draft.document_id),
                "1",
                str(label_set.pk),
                *who,
                draft.source,
                Stratum.IMPORT.value,
                draft.spans,
                "0",
                draft.idempotency_key,
                digest,
                now,
            )
        )
    columns = (
        *("id", "project_id", "document_id", "number", "label_set_id", "author_id", "api_key_id", "source"),
        *("stratum", "spans", "milliseconds", "idempotency_key", "request_digest", "created_at"),
    )
    rows_copy(model=Correction, columns=columns, rows=rows)
    return stored


def _corrected_locked(document_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Those that have a correction; nobody can add one to the others before our transaction ends."""
    if not document_ids:
        return set()
    locked = Document.objects.select_for_update(no_key=True, of=("self",)).filter(pk__in=document_ids)
    list(locked.order_by("pk").values_list("pk", flat=True))
    return set(Correction.objects.filter(document__in=document_ids).values_list("document_id", flat=True))
