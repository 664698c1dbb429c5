"""Bringing labelled texts into a project: upload, look, try, store.

A file is checked as a whole before anything of it is stored: the check writes each good row, ready to be
stored, to a second file. So one bad row among a million stores nothing, and a worker that is killed while it
stores goes on from the byte after the last row that was committed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import IntegrityError, transaction

from audit.services import event_record
from corpus.errors import DomainError
from corpus.models import Project
from corpus.selectors import label_set_current, labels_of, project_require
from inference.errors import FileGone, FileNameMissing
from inference.models import ApiKey
from inference.services.files import chunks_of, file_name_clean, file_new, upload_write
from labeling.errors import FileRefused, JobActive, OptionsFixed, RowsRefused, UnknownLabels
from labeling.models import ImportJob, JobStatus
from labeling.options import ImportOptions, options_digest, options_json, options_read
from labeling.services.import_rows import Findings, Preparer, RowRefused
from labeling.services.import_store import rows_foresee, rows_store
from labeling.services.jobs import (
    JobLease,
    asker_of,
    job_cancel,
    job_end,
    job_publish,
    job_work,
    jobs_sweep,
)
from labeling.services.uploads import ROWS, UPLOAD, files_remove, folder_of, job_folder
from ner.errors import FormatError
from ner.formats import ReadReport, detect, read_records

if TYPE_CHECKING:
    from django.contrib.auth.models import User

Phase = ImportJob.Phase


def import_upload(
    *,
    project: Project,
    file_name: str,
    chunks: Iterable[bytes],
    user: User | None = None,
    api_key: ApiKey | None = None,
) -> ImportJob:
    """Take a file in, to be looked at; nothing of it is in the project yet.

    Raises FileTooLarge for a file that is larger than the setting allows and FileRefused for one that is
    empty or no text, and keeps nothing of it.
    """
    if user is not None:
        project_require(project=project, user=user, permission="import")
    shown = file_name_clean(file_name)
    if not shown:
        raise FileNameMissing(pointer="/file")
    job = ImportJob(
        project=project,
        requested_by=user,
        api_key=api_key,
        status=JobStatus.UPLOADED,
        format="auto",
        options=options_json(ImportOptions()),
        file_name=shown,
    )
    path = folder_of(ImportJob, job.pk) / UPLOAD
    stored = upload_write(path, chunks, limit=settings.LIMITS["upload_bytes"])
    try:
        detect(path)
    except FormatError as error:
        # Empty, or no text at all: no choice of a format would help.
        files_remove(job)
        raise FileRefused(error) from error
    job.size_bytes, job.sha256 = stored.size_bytes, stored.sha256
    job.save(force_insert=True)
    return job


@transaction.atomic
def import_start(
    *,
    job: ImportJob,
    options: Mapping[str, Any] | ImportOptions,
    dry_run: bool = False,
    user: User | None = None,
    api_key: ApiKey | None = None,
    publish: bool = True,
) -> tuple[ImportJob, bool]:
    """Queue a file to be checked and, unless it is a dry run, stored.

    Returns the job and whether it was there before: the same file with the same options is imported once,
    and asking for it again answers with the first job. One that failed or was cancelled half-way goes on
    where it stopped.
    """
    if user is not None:
        project_require(project=job.project, user=user, permission="import")
    wanted = options if isinstance(options, ImportOptions) else options_read(ImportOptions, options)
    digest = options_digest(wanted)
    job = ImportJob.objects.select_for_update(of=("self",)).select_related("project").get(pk=job.pk)
    if job.status == JobStatus.DONE:
        return job, True
    if job.is_active:
        raise JobActive()
    if job.file_removed_at is not None:
        raise FileGone()
    if job.position and digest != job.options_digest:
        raise OptionsFixed()
    if not dry_run and (known := _same_import(job, digest)):
        _discard(job)
        return known, True
    _labels_creation_check(job, wanted, user=user, api_key=api_key)
    if digest != job.options_digest or not (job_folder(job) / ROWS).exists():
        job.phase = Phase.CHECK
    job.options, job.options_digest = options_json(wanted), digest
    job.is_dry_run, job.status = dry_run, JobStatus.QUEUED
    job.error = job.error_code = ""
    job.attempts, job.cancel_requested_at, job.published_at, job.ended_at = 0, None, None, None
    try:
        with transaction.atomic():
            job.save()
    except IntegrityError:
        # Somebody started the same file at the same moment.
        if (known := _same_import(job, digest)) is None:
            raise
        return known, True
    event_record(
        action="import.start",
        actor=asker_of(user, api_key),
        subject=job,
        chain=job.project.slug,
        data={"sha256": job.sha256, "size": job.size_bytes, "dry_run": dry_run, "options": job.options},
    )
    if publish:
        transaction.on_commit(partial(job_publish, model=ImportJob, pk=job.pk))
    return job, False


def import_cancel(*, job: ImportJob, user: User | None = None, api_key: ApiKey | None = None) -> ImportJob:
    """Stop an import. What is stored of it stays, and it can be resumed."""
    if user is not None:
        project_require(project=job.project, user=user, permission="import")
    return job_cancel(job=job, actor=asker_of(user, api_key))


def import_run(*, job_id: UUID, tell: Callable[[Mapping[str, Any]], None] | None = None) -> None:
    """Work on a queued import until it ends; a job that is not queued is somebody else's.

    `tell` hears of each step. A lost database leaves the row as it is: the sweep queues it again.
    """
    lease = JobLease.claim(ImportJob, job_id)
    if lease is None:
        return
    lease.tell = tell
    with job_work(lease):
        job = ImportJob.objects.select_related("project", "requested_by", "api_key").get(pk=job_id)
        if job.phase == Phase.CHECK:
            _check(job, lease)
        if job.is_dry_run:
            _dry_run_end(job, lease)
        else:
            rows_store(job=job, lease=lease, path=job_folder(job) / ROWS)
            _end(lease)


def file_import(
    *,
    project: Project,
    path: Path,
    options: ImportOptions,
    dry_run: bool = False,
    tell: Callable[[Mapping[str, Any]], None] | None = None,
) -> tuple[ImportJob, bool]:
    """Import a file of this machine at once, in this process; for commands, which have no person.

    Cut short, the job is in the table as any other: a worker goes on with it, or the next call does.
    """
    with path.open("rb") as file:
        job = import_upload(project=project, file_name=path.name, chunks=chunks_of(file))
    try:
        job, was_there = import_start(job=job, options=options, dry_run=dry_run, publish=False)
    except DomainError:
        files_remove(job)
        raise
    if was_there:
        jobs_sweep()
    import_run(job_id=job.pk, tell=tell)
    job.refresh_from_db()
    return job, was_there and not dry_run


def _same_import(job: ImportJob, digest: str) -> ImportJob | None:
    alive = (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.DONE)
    same = ImportJob.objects.filter(
        project=job.project, sha256=job.sha256, options_digest=digest, status__in=alive, is_dry_run=False
    )
    return same.exclude(pk=job.pk).first()


def _discard(job: ImportJob) -> None:
    ImportJob.objects.filter(pk=job.pk).update(status=JobStatus.CANCELLED)
    transaction.on_commit(partial(files_remove, job))


def _labels_creation_check(
    job: ImportJob, options: ImportOptions, *, user: User | None, api_key: ApiKey | None
) -> None:
    """Only who may manage a project's labels has them created; a command is run by who runs the machine."""
    if not options.create_labels or (user is None and api_key is None):
        return
    if user is None:
        raise UnknownLabels(labels=["that an API key may create"])
    project_require(project=job.project, user=user, permission="manage")


def _check(job: ImportJob, lease: JobLease[ImportJob]) -> None:
    """Read the whole file; raise unless all of it, or all that was asked for, can be stored."""
    options = options_read(ImportOptions, job.options)
    label_set = label_set_current(project=job.project)
    upload = job_folder(job) / UPLOAD
    format = detect(upload, options.fields) if options.format == "auto" else options.format
    preparer = Preparer(
        project=job.project,
        known_labels=frozenset(label.name for label in labels_of(label_set=label_set)),
        mapping=options.labels,
        texts_only=options.texts_only,
        source=options.source or format,
    )
    report = ReadReport()
    rows = _rows_write(job, lease, preparer, options, format, report)
    found = preparer.findings
    findings = {
        **found.to_json(),
        "format": format,
        "repaired": report.repaired,
        "duplicates": report.duplicates,
        "ignored": dict(report.ignored),
    }
    lease.write(
        format=format,
        findings=findings,
        errors=found.errors,
        error_count=found.error_count,
        total=rows,
        label_set=label_set,
        counts={"read": found.read, "errors": found.error_count},
    )
    if found.error_count and not options.keep_good_rows:
        raise RowsRefused(count=found.error_count, read=found.read, first=_shown(found.errors[0]))
    if found.unknown and not options.create_labels:
        raise UnknownLabels(labels=list(findings["unknown"]))
    lease.write(phase=Phase.STORE)
    job.refresh_from_db()


def _shown(error: Mapping[str, Any]) -> str:
    # Readers name the line themselves, our own checks leave that to us.
    place = "" if error["problem"].startswith("Line ") else f"Line {error['place']}: "
    return f"{place}{error['problem']} ({error['code']})"


def _rows_write(
    job: ImportJob,
    lease: JobLease[ImportJob],
    preparer: Preparer,
    options: ImportOptions,
    format: str,
    report: ReadReport,
) -> int:
    found, good = preparer.findings, 0
    encoder = msgspec.json.Encoder()
    folder = job_folder(job)
    records = read_records(
        folder / UPLOAD,
        format,
        # Whether spans may overlap is judged once their labels are mapped.
        allow_overlap=True,
        repair=options.repair,
        on_error=partial(_refused, found),
        report=report,
        fields=options.fields,
    )
    with file_new(folder / ROWS) as file:
        for record in records:
            found.read += 1
            try:
                row = preparer.row(record)
            except RowRefused as error:
                found.refuse(error)
                continue
            good += 1
            file.write(encoder.encode(row) + b"\n")
            if not good % 500:
                lease.beat(counts={"read": found.read, "errors": found.error_count})
        # A row counts as checked only once it would survive the machine.
        file.flush()
        os.fsync(file.fileno())
    return good


def _refused(found: Findings, error: FormatError) -> None:
    found.read += 1
    place = int(error.facts.get("line", 0))
    found.refuse(RowRefused(place=place, code=error.code, problem=str(error)))


def _dry_run_end(job: ImportJob, lease: JobLease[ImportJob]) -> None:
    counts = rows_foresee(job=job, lease=lease, path=job_folder(job) / ROWS)
    lease.write(
        counts={**job.counts, **counts},
        status=JobStatus.CHECKED,
        lease_token=None,
    )


def _end(lease: JobLease[ImportJob]) -> None:
    with lease.holding() as job:
        job_end(job, status=JobStatus.DONE, action="import.finish", data={"source": job.options["source"]})
    files_remove(job)
