"""Taking labelled texts out of a project: one file, one moment, and a manifest that says what it is."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import UUID

from django.conf import settings
from django.db import transaction

from audit.services import event_record
from corpus.models import Project
from corpus.selectors import label_set_current, labels_of, project_require
from inference.errors import FileGone
from inference.models import ApiKey
from inference.services.files import file_new
from labeling.errors import NotExported
from labeling.models import ExportJob, JobStatus
from labeling.options import ExportOptions, options_check, options_json, options_read
from labeling.selectors.exports import Snapshot, export_snapshot
from labeling.services.jobs import JobLease, asker_of, job_cancel, job_end, job_publish, job_work
from labeling.services.uploads import EXPORT, MANIFEST, job_folder
from ner.formats import FORMATS, Record, losses, write_records

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: So many documents are looked at for the report before an export; the export itself reports on all.
LOOK = 2_000
_EXAMPLES = 5


@dataclass
class LossReport:
    """What a format could not carry of the records it was given: how often, and of which documents."""

    format: str
    looked_at: int = 0
    words: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def look(self, document_id: str, record: Record) -> None:
        """Note what is lost of one record."""
        self.looked_at += 1
        for loss in losses(record, self.format):
            code = loss.code
            self.words[code] = loss.words
            self.counts[code] += 1
            known = self.examples.setdefault(code, [])
            if len(known) < _EXAMPLES and document_id not in known:
                known.append(document_id)

    def to_json(self) -> list[dict[str, Any]]:
        """The worst first."""
        return [
            {"code": code, "words": self.words[code], "count": count, "documents": self.examples[code]}
            for code, count in self.counts.most_common()
        ]


def export_losses(
    *, project: Project, options: Mapping[str, Any] | ExportOptions, user: User | None = None
) -> LossReport:
    """What would be lost, judged by the first documents that the export would write."""
    if user is not None:
        project_require(project=project, user=user, permission="export")
    wanted = _read(options)
    report = LossReport(wanted.format)
    with export_snapshot(project=project, options=wanted) as snapshot:
        for document_id, record in snapshot.records(limit=LOOK):
            report.look(document_id, record)
    return report


@transaction.atomic
def export_start(
    *,
    project: Project,
    options: Mapping[str, Any] | ExportOptions,
    user: User | None = None,
    api_key: ApiKey | None = None,
    publish: bool = True,
) -> ExportJob:
    """Queue a file to be written."""
    if user is not None:
        project_require(project=project, user=user, permission="export")
    wanted = _read(options)
    job = ExportJob.objects.create(
        project=project,
        requested_by=user,
        api_key=api_key,
        status=JobStatus.QUEUED,
        format=wanted.format,
        options=options_json(wanted),
        file_name=f"{project.slug}{FORMATS[wanted.format].suffix}",
    )
    event_record(
        action="export.start",
        actor=asker_of(user, api_key),
        subject=job,
        chain=project.slug,
        data={"options": job.options},
    )
    if publish:
        transaction.on_commit(partial(job_publish, model=ExportJob, pk=job.pk))
    return job


def export_cancel(*, job: ExportJob, user: User | None = None, api_key: ApiKey | None = None) -> ExportJob:
    """Stop an export; what was written of it goes."""
    if user is not None:
        project_require(project=job.project, user=user, permission="export")
    return job_cancel(job=job, actor=asker_of(user, api_key))


@transaction.atomic
def export_open(*, job: ExportJob, user: User | None = None, api_key: ApiKey | None = None) -> BinaryIO:
    """The written file, for whoever may export; that it was taken is noted."""
    if user is not None:
        project_require(project=job.project, user=user, permission="export")
    if job.status != JobStatus.DONE:
        raise NotExported()
    path = job_folder(job) / EXPORT
    try:
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb")
    except OSError as error:
        raise FileGone() from error
    event_record(action="export.download", actor=asker_of(user, api_key), subject=job, chain=job.project.slug)
    return file


def export_run(*, job_id: UUID, tell: Callable[[Mapping[str, Any]], None] | None = None) -> None:
    """Write a queued export; a job that is not queued is somebody else's.

    One that was cut short begins anew: a file is of one moment, and nobody waits for half of it.
    """
    lease = JobLease.claim(ExportJob, job_id)
    if lease is None:
        return
    lease.tell = tell
    with job_work(lease, undo=_remove_half):
        job = ExportJob.objects.select_related("project", "requested_by", "api_key").get(pk=job_id)
        _write(job, lease)


def _read(options: Mapping[str, Any] | ExportOptions) -> ExportOptions:
    if not isinstance(options, ExportOptions):
        return options_read(ExportOptions, options)
    options_check(options)
    return options


def _write(job: ExportJob, lease: JobLease[ExportJob]) -> None:
    options = options_read(ExportOptions, job.options)
    report = LossReport(options.format)
    label_set = label_set_current(project=job.project)
    folder = job_folder(job)
    with (
        export_snapshot(project=job.project, options=options) as snapshot,
        file_new(folder / EXPORT) as file,
    ):
        moment = snapshot.moment()
        lease.write(total=snapshot.count(), position=0)
        lease.cancel_check()
        written = _Measured(file)
        write_records(_counted(snapshot, report, lease), written, options.format)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())
    manifest = {
        "project": job.project.slug,
        "format": options.format,
        "records": report.looked_at,
        "sha256": written.digest.hexdigest(),
        "size_bytes": written.size,
        "offset_unit": "codepoint",
        "moment": moment.isoformat(),
        "label_set_revision": label_set.revision,
        "labels": [label.name for label in labels_of(label_set=label_set)],
        "options": job.options,
        "losses": report.to_json(),
        "nerapp_version": settings.VERSION,
    }
    with file_new(folder / MANIFEST) as file:
        file.write(json.dumps(manifest, ensure_ascii=False, indent=2).encode() + b"\n")
    lease.write(
        position=report.looked_at,
        total=report.looked_at,
        counts={"written": report.looked_at},
        losses=manifest["losses"],
        manifest=manifest,
        sha256=manifest["sha256"],
        size_bytes=written.size,
    )
    with lease.holding() as row:
        job_end(row, status=JobStatus.DONE, action="export.finish")


def _counted(snapshot: Snapshot, report: LossReport, lease: JobLease[ExportJob]) -> Iterator[Record]:
    for document_id, record in snapshot.records():
        report.look(document_id, record)
        yield record
        if not report.looked_at % 500:
            lease.beat(position=report.looked_at)


class _Measured:
    """A file that knows what was written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest, self.size = hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        """Write, and remember the sum of it."""
        self.digest.update(data)
        self.size += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        """For text wrappers."""
        self._file.flush()


def _remove_half(job: ExportJob) -> None:
    (job_folder(job) / EXPORT).unlink(missing_ok=True)
