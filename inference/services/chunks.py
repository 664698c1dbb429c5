"""A worker's share of a bulk prediction: take a chunk, answer its lines, hand the answer in.

The answer of a chunk is a file of its own, named by the lease that wrote it. The row decides, in one
transaction with everything else, which of them counts: so a process that was taken for dead and wakes up may
write what it likes, and nothing is answered twice or not at all.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce, Now

from corpus.errors import DomainError
from corpus.services import Row, rows_copy
from inference.engine import Serving, engine
from inference.errors import ModelLoading, ModelUnsound
from inference.formats import found_in
from inference.job_options import JobOptions, Layout, Rules
from inference.lines import Item, Line, item_of, lines_of
from inference.models import Prediction, PredictionChunk, PredictionJob
from inference.recorder import COLUMNS
from inference.services.files import file_new
from inference.services.job_ends import job_fail, job_finish
from inference.services.job_files import files_remove_unwanted, part_path, upload_path
from inference.services.leases import Lease, LeaseLost, lease_end
from inference.services.predictions import Answer, answer_rows, confident
from ner.masking import masked

log = structlog.get_logger(__name__)

Status = PredictionChunk.Status

#: How many bytes a chunk is long when it is taken for the first time, the second, ... A line that kills its
#: process is closed in upon until it stands alone; when that dies too, it is answered with an error.
ROOMS = (256 * 1024, 16 * 1024, 1024, 64, 1)
LINES = 2_000
#: So much is recognised between two signs of life.
_BATCH_TEXTS, _BATCH_CHARACTERS = 256, 64 * 1024
_DIED = "This line ended every process that read it."


class ChunkLease(Lease[PredictionChunk]):
    """The right to answer one chunk, for as long as its job is wanted."""

    def held(self) -> QuerySet[PredictionChunk]:
        """The chunk, as long as it is ours and its job goes on."""
        # Not a join: an UPDATE must look at the lease itself again after it waited for somebody else's.
        wanted = PredictionJob.objects.filter(status=PredictionJob.Status.RUNNING)
        return super().held().filter(job__in=wanted)


@dataclass(frozen=True)
class Share:
    """A chunk that was taken, with all that is needed to answer it."""

    job: PredictionJob
    chunk: PredictionChunk
    lease: ChunkLease
    lines: list[Line]

    @property
    def is_hopeless(self) -> bool:
        """Has it killed so many processes that it is answered with an error?"""
        return self.chunk.attempts >= len(ROOMS)


@dataclass
class _Answered:
    """What is known of a chunk once its part is written."""

    lines: int = 0
    failed: int = 0
    size: int = 0
    rows: list[Row] | None = None


def chunk_work(*, job_id: uuid.UUID) -> bool:
    """Take the next chunk of a job and answer it; False when there is none to be had.

    What stands in the way of the whole job ends it with a code. A lost database is raised: the chunk stays as
    it is, and the sweep gives it to somebody else.
    """
    share = None
    try:
        share = _chunk_claim(job_id)
        if share is None:
            return False
        _chunk_answer(share)
    except LeaseLost:
        log.warning("job_lease_lost", job=str(job_id))
        files_remove_unwanted(job_id)
    except ModelLoading:
        if share is not None:
            share.lease.held().update(
                status=Status.WAITING, attempts=F("attempts") - 1, lease_token=None, lease_expires_at=None
            )
        return False
    except DomainError as error:
        job_fail(job_id=job_id, code=error.code, error=error.detail)
    except OSError as error:
        told = f"The file could not be read or written here: {error.strerror}."
        job_fail(job_id=job_id, code="disk", error=told)
    return True


@transaction.atomic
def _chunk_claim(job_id: uuid.UUID) -> Share | None:
    """The first chunk that waits, no longer than one process should take at a time."""
    job = (
        # Whoever takes or hands in a chunk of this job waits here for the others, for a few milliseconds.
        PredictionJob.objects.select_for_update(of=("self",), no_key=True)
        .select_related("project", "api_key", "version")
        .filter(pk=job_id, status__in=PredictionJob.ACTIVE)
        .first()
    )
    if job is None:
        return None
    undone = PredictionChunk.objects.filter(job=job).exclude(status=Status.DONE)
    if undone.filter(status=Status.RUNNING).count() >= settings.JOB_WORKERS:
        return None
    chunk = undone.filter(status=Status.WAITING).order_by("start").first()
    if chunk is None:
        return None
    lines = _cut(job, chunk)
    token, seconds = uuid.uuid4(), settings.JOB_LEASE_SECONDS
    PredictionChunk.objects.filter(pk=chunk.pk, status=Status.WAITING).update(
        status=Status.RUNNING,
        end=chunk.end,
        attempts=F("attempts") + 1,
        lease_token=token,
        lease_expires_at=lease_end(seconds),
    )
    PredictionJob.objects.filter(pk=job.pk).update(
        status=PredictionJob.Status.RUNNING, started_at=Coalesce("started_at", Now())
    )
    return Share(job, chunk, ChunkLease(PredictionChunk, chunk.pk, token, seconds), lines)


def _cut(job: PredictionJob, chunk: PredictionChunk) -> list[Line]:
    """The lines that are taken of a chunk; what is left of it waits as a chunk of its own."""
    layout = msgspec.convert(job.layout, Layout)
    room = ROOMS[min(chunk.attempts, len(ROOMS) - 1)]
    taken: list[Line] = []
    with upload_path(job.pk).open("rb") as file:
        for line in lines_of(
            file, start=chunk.start, end=chunk.end, number=chunk.line, delimiter=layout.delimiter
        ):
            taken.append(line)
            if line.end - chunk.start >= room or len(taken) >= LINES:
                break
    if not taken:
        raise OSError(0, "it is shorter than it was")
    end = taken[-1].end
    if end < chunk.end:
        PredictionChunk.objects.create(
            job=job, start=end, end=chunk.end, line=taken[-1].next_number, attempts=chunk.attempts
        )
        chunk.end = end
    return taken


def _chunk_answer(share: Share) -> None:
    path = part_path(share.job.pk, share.chunk.start, share.lease.token)
    answered = _Answered()
    try:
        with file_new(path) as file:
            for piece in _answers(share, answered):
                answered.size += file.write(piece)
            # A chunk counts as done only once its answer would survive the machine.
            file.flush()
            os.fsync(file.fileno())
        _folder_sync(path.parent)
        _hand_in(share, answered)
    except LeaseLost:
        path.unlink(missing_ok=True)
        raise


def _folder_sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@transaction.atomic
def _hand_in(share: Share, answered: _Answered) -> None:
    """Everything that a chunk changes, or nothing of it."""
    jobs = PredictionJob.objects.select_for_update(of=("self",), no_key=True)
    job = jobs.select_related("project", "api_key", "version").get(pk=share.job.pk)
    handed_in = job.status == PredictionJob.Status.RUNNING and share.lease.held().update(
        status=Status.DONE,
        part=share.lease.token,
        part_bytes=answered.size,
        lease_token=None,
        lease_expires_at=None,
    )
    if not handed_in:
        raise LeaseLost
    rows_copy(model=Prediction, columns=COLUMNS, rows=answered.rows or [])
    PredictionJob.objects.filter(pk=job.pk).update(
        position=F("position") + share.chunk.end - share.chunk.start,
        lines=F("lines") + answered.lines,
        failed=F("failed") + answered.failed,
        result_bytes=F("result_bytes") + answered.size,
    )
    if not PredictionChunk.objects.filter(job=job).exclude(status=Status.DONE).exists():
        job_finish(job)


def _answers(share: Share, answered: _Answered) -> Iterator[bytes]:
    """The answers to a chunk's lines, in their order, as JSON lines."""
    job = share.job
    options, layout = msgspec.convert(job.options, JobOptions), msgspec.convert(job.layout, Layout)
    rules = msgspec.convert(job.rules, Rules)
    serving = engine.serving_version(job.version, slot=job.slot)
    limit = settings.LIMITS["predict_characters"]
    answered.rows = []
    encode = msgspec.json.Encoder().encode
    for batch in _batches(item_of(line, layout, options, limit=limit) for line in share.lines):
        if share.is_hopeless:
            batch = [_spoilt(item, "process_died", _DIED) for item in batch]
        answers, refused = _recognised(serving, batch, options, rules)
        kept = [answer for answer in answers.values() if answer.prediction_id is not None]
        answered.rows += answer_rows(
            kept,
            project=job.project,
            api_key=job.api_key,
            request_id=f"job-{job.pk}",
            min_confidence=options.min_confidence,
            language=options.language,
        )
        for item in batch:
            answered.lines += 1
            item = refused.get(item.line, item)
            answered.failed += bool(item.code)
            yield encode(_told(item, answers.get(item.line), options, rules)) + b"\n"
        share.lease.beat()


def _batches(items: Iterator[Item | None]) -> Iterator[list[Item]]:
    batch: list[Item] = []
    characters = 0
    for item in items:
        if item is None:
            continue
        batch.append(item)
        characters += len(item.text)
        if len(batch) >= _BATCH_TEXTS or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _recognised(
    serving: Serving, batch: Sequence[Item], options: JobOptions, rules: Rules
) -> tuple[dict[int, Answer], dict[int, Item]]:
    """The answers by line, and the items that the model gives none for: one bad text spoils no other."""
    good = [item for item in batch if not item.code]
    started = time.perf_counter()
    refused: dict[int, Item] = {}
    try:
        found = serving.recognise([item.text for item in good]) if good else []
    except Exception as error:
        if len(good) > 1:
            answers = {}
            for item in good:
                one, spoilt = _recognised(serving, [item], options, rules)
                answers.update(one)
                refused.update(spoilt)
            return answers, refused
        if not isinstance(error, ModelUnsound):
            log.exception("line_not_recognised", version=str(serving.version))
        code, detail = (
            (error.code, error.detail)
            if isinstance(error, ModelUnsound)
            else ("internal_error", "Something went wrong here; it was logged.")
        )
        return {}, {good[0].line: _spoilt(good[0], code, detail)}
    took_ms = (time.perf_counter() - started) * 1000 / max(len(good), 1)
    return {
        item.line: Answer(
            uuid.uuid4() if options.store else None,
            item.text,
            serving,
            confident(recognition, rules.thresholds, options.min_confidence),
            took_ms,
        )
        for item, recognition in zip(good, found, strict=True)
    }, refused


def _spoilt(item: Item, code: str, detail: str) -> Item:
    return item if item.code else item._replace(code=code, detail=detail)


def _told(item: Item, answer: Answer | None, options: JobOptions, rules: Rules) -> dict[str, Any]:
    """One line of the result."""
    told: dict[str, Any] = {"line": item.line}
    if item.id is not None:
        told["id"] = item.id
    if answer is None:
        return {**told, "status": "error", "error": {"code": item.code, "detail": item.detail}}
    told |= {"status": "ok", "model_version": str(answer.serving.version)}
    if answer.prediction_id is not None:
        told["prediction_id"] = answer.prediction_id
    told |= found_in(
        answer.text,
        answer.recognition,
        output_format=options.output_format,
        unit=options.offset_unit,
        confidence=options.return_confidence,
    )
    if options.mask_pii:
        told["masked_text"] = masked(answer.text, answer.recognition.spans, frozenset(rules.personal))
    return told
