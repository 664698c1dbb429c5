"""Storing the checked rows of a file: each step is one transaction, with the place it reached."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
import structlog
from django.core.exceptions import ValidationError
from django.db import IntegrityError, InterfaceError, OperationalError, connection
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Now

from audit.services import Actor
from corpus.errors import Conflict
from corpus.models import LabelSet, Project
from corpus.selectors import label_set_current, labels_of
from corpus.services import (
    LabelDraft,
    StoredDocument,
    documents_insert,
    documents_known,
    documents_place,
    label_set_freeze,
    label_set_revise,
)
from feedback.models import Correction
from feedback.services import ImportedSpans, corrections_import
from inference.errors import FileGone
from inference.services import external_version_get, predictions_import
from labeling.models import ImportJob, Task
from labeling.services.import_rows import Row
from labeling.services.jobs import JobLease, actor_of

log = structlog.get_logger(__name__)

#: A step ends with so many rows or so many bytes: short enough to be cancelled within a second.
STEP_ROWS, STEP_BYTES = 2_000, 8_000_000
#: How long a step is repeated while the database is away or another writer was faster.
_PATIENCE_SECONDS = 10.0
COUNTS = ("new", "known", "repeated", "erased", "corrected", "kept", "predicted")


class LabelsMoved(Conflict):
    """The project's labels changed since the file was checked; start the import again."""

    code = "label_retired"


class LabelsUnfit(Conflict):
    """The labels that the project lacks cannot be created as they are: {problem}"""

    code = "invalid_label"


def rows_store(*, job: ImportJob, lease: JobLease[ImportJob], path: Path) -> None:
    """Store what is left of the rows; may be stopped at any moment and called again."""
    if not path.exists():
        raise FileGone()
    store = _Store(job, lease)
    store.labels_settle()
    for rows, end in _steps(path, job.offset):
        _patiently(store, rows, end)
        lease.cancel_check()


def rows_foresee(*, job: ImportJob, lease: JobLease[ImportJob], path: Path) -> dict[str, int]:
    """What storing the rows would do, without doing it."""
    counts = dict.fromkeys(COUNTS, 0)
    unknown, read = array("Q"), 0
    for rows, _ in _steps(path, 0):
        read += len(rows)
        known = documents_known(project=job.project, hashes=[row.text_hash for row in rows])
        ids = [UUID(pk) for pk, _ in known.values()]
        corrected = Correction.objects.filter(document__in=ids).values_list("document_id", flat=True)
        taken = {str(pk) for pk in corrected}
        for row in rows:
            pk, erased = known.get(row.text_hash, (None, False))
            if pk is None:
                unknown.append(int(row.text_hash[:16], 16))
            counts["known"] += pk is not None and not erased
            counts["erased"] += erased
            if row.spans is not None and not erased:
                counts["kept" if pk in taken else "corrected"] += 1
            counts["predicted"] += row.predicted is not None and not erased
        lease.beat()
        lease.cancel_check()
    # A text that stands twice is new once. 64 bits of the hash, so that a million texts take 8 MB.
    counts["new"] = len(np.unique(np.frombuffer(unknown, dtype=np.uint64))) if unknown else 0
    counts["repeated"] = len(unknown) - counts["new"]
    return counts


def _steps(path: Path, offset: int) -> Iterator[tuple[list[Row], int]]:
    decoder = msgspec.json.Decoder(Row)
    with path.open("rb") as file:
        file.seek(offset)
        rows: list[Row] = []
        size = 0
        for line in file:
            rows.append(decoder.decode(line))
            size += len(line)
            if len(rows) == STEP_ROWS or size >= STEP_BYTES:
                offset += size
                yield rows, offset
                rows, size = [], 0
        if rows:
            yield rows, offset + size


def _patiently(store: _Store, rows: list[Row], end: int) -> None:
    """One step, repeated while it is only bad luck that it does not go through."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            store.step(rows, end)
            return
        except (IntegrityError, OperationalError, InterfaceError) as error:
            if connection.in_atomic_block or time.monotonic() > deadline:
                raise
            log.warning("import_step_repeated", job=str(store.job.pk), error=type(error).__name__)
            if not isinstance(error, IntegrityError):
                connection.close()
            time.sleep(0.2)


class _Store:
    """What all steps of one import share."""

    def __init__(self, job: ImportJob, lease: JobLease[ImportJob]) -> None:
        self.job, self.lease = job, lease
        self.project: Project = job.project
        self.actor: Actor = actor_of(job)
        self.label_set: LabelSet | None = None

    def labels_settle(self) -> None:
        """Which revision of the labels the corrections name; with the new labels, where they are wanted."""
        with self.lease.holding() as job:
            current = label_set_current(project=self.project)
            names = {label.name for label in labels_of(label_set=current)}
            wanted = [name for name in job.findings.get("unknown", {}) if name not in names]
            if wanted and job.options["create_labels"]:
                drafts = [_draft_of(label) for label in labels_of(label_set=current)]
                drafts += [LabelDraft(name=name) for name in wanted]
                reason = f"Labels of the imported file {job}"
                try:
                    current = label_set_revise(
                        project=self.project, labels=drafts, actor=self.actor, reason=reason
                    )
                except ValidationError as error:
                    raise LabelsUnfit(problem=" ".join(error.messages)) from error
            elif wanted or (job.label_set_id != current.pk and not job.position and _lost(job, names)):
                raise LabelsMoved()
            label_set_freeze(label_set=current)
            self.lease.write(label_set=current)
            self.label_set = current

    def step(self, rows: list[Row], end: int) -> None:
        """Store some rows, and in the same transaction where to go on."""
        with self.lease.holding() as job:
            stored = documents_place(project=self.project, drafts=rows)
            counts = dict.fromkeys(COUNTS, 0)
            seen: set[str] = set()
            for document in stored:
                again = document.id in seen
                seen.add(document.id)
                kind = "erased" if document.is_erased else "repeated" if again else "known"
                counts["new" if document.is_new else kind] += 1
            # Before their documents, so that these find their place in the lists at once (migration 0010):
            # the foreign keys are looked at when the transaction ends.
            self._corrections(job, rows, stored, counts)
            documents_insert(project=self.project, drafts=rows, placed=stored)
            self._predictions(rows, stored, counts)
            # What a dry run foresaw is not what was done.
            before = job.counts if job.position else {}
            total = {name: before.get(name, 0) + count for name, count in counts.items()}
            self.lease.write(
                position=job.position + len(rows),
                offset=end,
                counts={**job.counts, **total},
                attempts=0,
            )

    def _corrections(
        self, job: ImportJob, rows: list[Row], stored: list[StoredDocument], counts: dict[str, int]
    ) -> None:
        key = f"import:{job.pk}"
        imported = [
            ImportedSpans(document.id, document.is_new, row.spans, row.source, f"{key}:{number}")
            for number, (row, document) in enumerate(zip(rows, stored, strict=True), job.position)
            if row.spans is not None and not document.is_erased
        ]
        if not imported or self.label_set is None:
            return
        corrected = corrections_import(
            project=self.project,
            label_set=self.label_set,
            imported=imported,
            author=job.requested_by,
            api_key=job.api_key if job.requested_by is None else None,
        )
        counts["corrected"] += len(corrected)
        counts["kept"] += len(imported) - len(corrected)
        new = {document.id for document in stored if document.is_new}
        _tasks_close([pk for pk in corrected if pk not in new])

    def _predictions(self, rows: list[Row], stored: list[StoredDocument], counts: dict[str, int]) -> None:
        by_model: dict[str, list[tuple[str, list[dict[str, Any]]]]] = {}
        for row, document in zip(rows, stored, strict=True):
            if row.predicted is not None and not document.is_erased:
                by_model.setdefault(row.model, []).append((document.id, row.predicted))
        for model, spans_of in by_model.items():
            version = external_version_get(project=self.project, name=model, actor=self.actor)
            counts["predicted"] += predictions_import(
                project=self.project, version=version, spans_of=spans_of
            )


def _tasks_close(document_ids: list[str]) -> None:
    """A text that waited for a reviewer and got its spans from a file waits no longer.

    One that somebody holds right now stays open: the reviewer will be shown both versions.
    """
    if not document_ids:
        return
    first = Correction.objects.filter(document=OuterRef("document"), number=1).values("pk")[:1]
    free = Q(claimed_by=None) | Q(lease_expires_at__lt=Now())
    Task.objects.filter(free, document__in=[UUID(pk) for pk in document_ids], status=Task.Status.OPEN).update(
        status=Task.Status.DONE,
        closed_at=Now(),
        claimed_by=None,
        lease_expires_at=None,
        correction_id=Subquery(first),
    )


def _draft_of(label: Any) -> LabelDraft:
    return LabelDraft(
        name=label.name,
        title=label.title,
        hotkey=label.hotkey,
        description=label.description,
        guideline=label.guideline,
        is_pii=label.is_pii,
        confidence_threshold=label.confidence_threshold,
    )


def _lost(job: ImportJob, names: set[str]) -> bool:
    mapping = job.options["labels"]
    used = {mapping.get(label, label) for label in job.findings.get("labels", {})}
    return bool({label for label in used if label} - names)
