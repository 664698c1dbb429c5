"""Storing what people marked elsewhere, as corrections by a named source."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from django.utils import timezone

from corpus.models import Document, LabelSet, Project
from corpus.services import ids_new, rows_copy
from feedback.models import Correction, Stratum
from inference.models import ApiKey

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class ImportedSpans(NamedTuple):
    """What people marked elsewhere in a document that is stored here; the spans are JSON, checked already."""

    document_id: str
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
) -> set[str]:
    """Store spans from elsewhere as the first corrections of their documents, by COPY.

    A document that was corrected already keeps what it has, and is not in the answer: the documents that
    got a correction. No decisions are written, for nobody here decided about a machine's span. Call it
    inside a transaction; the caller checked the spans as `correction_submit` would, and tells the audit log.
    """
    old = [draft.document_id for draft in imported if not draft.is_new]
    taken = _corrected_locked(old)
    now = timezone.now().isoformat()
    of_project, of_labels = str(project.pk), str(label_set.pk)
    who = (str(author.pk) if author else None, str(api_key.pk) if api_key else None)
    rows, stored = [], set()
    for draft, pk in zip(imported, ids_new(len(imported)), strict=True):
        if draft.document_id in taken:
            continue
        taken.add(draft.document_id)
        stored.add(draft.document_id)
        digest = hashlib.sha256(f"{draft.document_id}{draft.spans}".encode()).hexdigest()
        rows.append(
            (
                pk,
                of_project,
                draft.document_id,
                "1",
                of_labels,
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


def _corrected_locked(document_ids: Sequence[str]) -> set[str]:
    """Those that have a correction; nobody can add one to the others before our transaction ends."""
    if not document_ids:
        return set()
    ids = [UUID(pk) for pk in document_ids]
    locked = Document.objects.select_for_update(no_key=True, of=("self",)).filter(pk__in=ids)
    list(locked.order_by("pk").values_list("pk", flat=True))
    corrected = Correction.objects.filter(document__in=ids)
    return {str(pk) for pk in corrected.values_list("document_id", flat=True)}
