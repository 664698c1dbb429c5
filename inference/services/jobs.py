"""Bulk prediction: a file of texts in, a file of answers out, by whatever workers there are.

The row of the job and those of its chunks are the record. A message only wakes a worker, which then asks the
database what there is to do: so a message may come twice, late or never.
"""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import msgspec
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Q
from django.db.models.functions import Now

from audit.services import Actor, event_record
from corpus.errors import KeyReused
from corpus.services import key_check
from inference.errors import FileGone, FileNameMissing, JobUnfinished, TooManyJobs
from inference.job_options import JobOptions, Rules
from inference.lines import layout_of
from inference.models import ApiKey, ModelVersion, PredictionChunk, PredictionJob
from inference.selectors import LabelRules
from inference.services.chunks import chunk_work
from inference.services.files import chunks_of, file_name_clean, upload_write
from inference.services.job_files import files_remove, part_path, upload_path
from inference.services.leases import MESSAGE_SECONDS, task_publish

Status = PredictionJob.Status
#: So long a worker stays with one job while others wait.
TURN_SECONDS = 5.0


class Result(NamedTuple):
    """A result on its way out."""

    pieces: Iterator[bytes]
    size_bytes: int


def job_start(
    *,
    api_key: ApiKey,
    file_name: str,
    chunks: Iterable[bytes],
    options: JobOptions,
    version: ModelVersion,
    slot: str,
    rules: LabelRules,
    idempotency_key: str = "",
) -> tuple[PredictionJob, bool]:
    """Take a file in and queue it to be predicted by this version.

    Returns the job and whether it was there before: an idempotency key with the same file and options is
    answered with the job of the first time. Raises KeyReused for the same key with anything else,
    TooManyJobs, FileTooLarge, and what `layout_of` raises; nothing is kept of the file then.
    """
    if idempotency_key:
        key_check(idempotency_key)
    else:
        _room_check(api_key)
    shown = file_name_clean(file_name)
    if not shown:
        raise FileNameMissing(pointer="/file")
    pk = uuid.uuid4()
    path = upload_path(pk)
    stored = upload_write(path, chunks, limit=settings.LIMITS["job_bytes"])
    digest = _digest(stored.sha256, shown, options)
    try:
        if known := _known(api_key, idempotency_key, digest):
            files_remove(pk)
            return known, True
        with path.open("rb") as file:
            layout = layout_of(file, name=shown, options=options)
            os.fsync(file.fileno())
        job = PredictionJob(
            id=pk,
            project=api_key.project,
            api_key=api_key,
            version=version,
            slot=slot,
            file_name=shown,
            size_bytes=stored.size_bytes,
            sha256=stored.sha256,
            options=msgspec.to_builtins(options),
            layout=msgspec.to_builtins(layout),
            rules=msgspec.to_builtins(
                Rules(thresholds=dict(rules.thresholds), personal=sorted(rules.personal))
            ),
            idempotency_key=idempotency_key,
            request_digest=digest,
            position=layout.start,
        )
        try:
            _queue(job, start=layout.start, line=layout.line)
        except IntegrityError:
            # The same request at the same moment was faster.
            if (known := _known(api_key, idempotency_key, digest)) is None:
                raise
            files_remove(pk)
            return known, True
    except BaseException:
        files_remove(pk)
        raise
    return job, False


def job_work(*, job_id: uuid.UUID) -> None:
    """Answer chunk after chunk of a job; after a while the next job in the queue has its turn."""
    began = time.monotonic()
    while chunk_work(job_id=job_id):
        if time.monotonic() - began >= TURN_SECONDS and _others_wait(job_id):
            job_publish(job_id=job_id)
            return


def job_publish(*, job_id: uuid.UUID, times: int = 1) -> None:
    """Wake workers for a job. When the broker cannot hear, the sweep tells it again."""
    if task_publish("inference.tasks.job_work", job_id, times=times):
        PredictionJob.objects.filter(pk=job_id).update(published_at=Now())


def jobs_sweep() -> None:
    """Give back the chunks whose process died, and wake workers for what waits."""
    Chunk = PredictionChunk.Status
    PredictionChunk.objects.filter(status=Chunk.RUNNING, lease_expires_at__lt=Now()).update(
        status=Chunk.WAITING, lease_token=None, lease_expires_at=None
    )
    active = PredictionJob.objects.filter(status__in=PredictionJob.ACTIVE).annotate(
        waiting=Count("chunks", filter=Q(chunks__status=Chunk.WAITING)),
        running=Count("chunks", filter=Q(chunks__status=Chunk.RUNNING)),
        is_forgotten=Q(published_at=None) | Q(published_at__lt=Now() - timedelta(seconds=MESSAGE_SECONDS)),
    )
    for job in active.filter(waiting__gt=0):
        if job.running == 0 and job.is_forgotten:
            job_publish(job_id=job.pk, times=settings.JOB_WORKERS)
        elif 0 < job.running < settings.JOB_WORKERS:
            # A worker that came later, or lost its message, joins in.
            job_publish(job_id=job.pk)


@transaction.atomic
def job_result(*, job: PredictionJob, api_key: ApiKey) -> Result:
    """The result, part by part in the order of the file; that it was taken is noted.

    Raises JobUnfinished for a job that is not done, and FileGone once the result was removed.
    """
    if job.status != Status.DONE:
        raise JobUnfinished(status=str(job.get_status_display()).lower())
    parts = [
        part_path(job.pk, start, part)
        for start, part in job.chunks.order_by("start").values_list("start", "part")
        if part is not None
    ]
    if job.file_removed_at is not None or not all(path.is_file() for path in parts):
        raise FileGone()
    event_record(
        action="job.download",
        actor=Actor.of_key(api_key.pk, api_key.name),
        subject=job,
        chain=job.project.slug,
    )

    def pieces() -> Iterator[bytes]:
        for path in parts:
            with path.open("rb") as file:
                yield from chunks_of(file)

    return Result(pieces(), job.result_bytes)


@transaction.atomic
def _queue(job: PredictionJob, *, start: int, line: int) -> None:
    # Two files at once must not both be the last that is allowed.
    ApiKey.objects.select_for_update(no_key=True).get(pk=job.api_key_id)
    _room_check(job.api_key)
    job.save(force_insert=True)
    PredictionChunk.objects.create(job=job, start=start, end=job.size_bytes, line=line)
    event_record(
        action="job.start",
        actor=Actor.of_key(job.api_key.pk, job.api_key.name),
        subject=job,
        chain=job.project.slug,
        data={
            "sha256": job.sha256,
            "size": job.size_bytes,
            "version": str(job.version),
            "options": job.options,
        },
    )
    transaction.on_commit(partial(job_publish, job_id=job.pk, times=settings.JOB_WORKERS))


def _room_check(api_key: ApiKey) -> None:
    unfinished = PredictionJob.objects.filter(api_key=api_key, status__in=PredictionJob.ACTIVE)
    if unfinished.count() >= settings.JOBS_PER_KEY:
        raise TooManyJobs(limit=settings.JOBS_PER_KEY)


def _digest(*request: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(request, order="deterministic")).hexdigest()


def _known(api_key: ApiKey, idempotency_key: str, digest: str) -> PredictionJob | None:
    if not idempotency_key:
        return None
    job = (
        PredictionJob.objects.select_related("project", "api_key", "version")
        .filter(api_key=api_key, idempotency_key=idempotency_key)
        .first()
    )
    if job is not None and job.request_digest != digest:
        raise KeyReused(pointer="/idempotency_key")
    return job


def _others_wait(job_id: uuid.UUID) -> bool:
    others = PredictionChunk.objects.filter(
        status=PredictionChunk.Status.WAITING, job__status__in=PredictionJob.ACTIVE
    )
    return others.exclude(job=job_id).exists()
