"""Files of jobs on the disk. Their folders are named by the job's id; no path ever comes from a client."""

from __future__ import annotations

import shutil
import uuid
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from inference.services.files import folders_sweep
from labeling.models import ExportJob, ImportJob, JobStatus, TransferJob

#: What is in an import's folder: the file as it came, and its checked rows.
UPLOAD, ROWS = "upload", "rows"
#: What is in an export's folder.
EXPORT, MANIFEST = "export", "manifest.json"


def job_folder(job: TransferJob) -> Path:
    """Where the files of a job lie."""
    return folder_of(type(job), job.pk)


def folder_of(model: type[TransferJob], pk: uuid.UUID) -> Path:
    """Where the files of a job with this id lie, or would."""
    return Path(settings.DATA_DIR) / ("uploads" if model is ImportJob else "exports") / str(pk)


def files_remove(job: TransferJob) -> None:
    """Take a job's files away; its row stays."""
    shutil.rmtree(job_folder(job), ignore_errors=True)
    type(job)._default_manager.filter(pk=job.pk, file_removed_at=None).update(file_removed_at=Now())


def files_sweep() -> None:
    """Remove the files of jobs that nobody has touched for days, and folders without a job."""
    old = Now() - timedelta(days=settings.TRANSFER_KEEP_DAYS)
    at_rest = ~Q(status__in=(JobStatus.QUEUED, JobStatus.RUNNING))
    for model in (ImportJob, ExportJob):
        done = model.objects.filter(at_rest, file_removed_at=None).filter(
            Q(ended_at__lt=old) | Q(ended_at=None, created_at__lt=old)
        )
        for job in done:
            files_remove(job)
        folders_sweep(folder_of(model, uuid.UUID(int=0)).parent, model)
