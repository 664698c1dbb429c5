"""Where the files of a bulk prediction lie: the one that came, and the parts of its result."""

from __future__ import annotations

import shutil
import uuid
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db.models.functions import Now

from inference.models import PredictionChunk, PredictionJob
from inference.services.files import folders_sweep

_WANTED = (*PredictionJob.ACTIVE, PredictionJob.Status.DONE)


def folder_of(job_id: uuid.UUID) -> Path:
    """Where everything of a job lies."""
    return Path(settings.DATA_DIR) / "jobs" / str(job_id)


def upload_path(job_id: uuid.UUID) -> Path:
    """The file as it came."""
    return folder_of(job_id) / "upload"


def part_path(job_id: uuid.UUID, start: int, token: uuid.UUID) -> Path:
    """The answer to the chunk that begins at a place, as one lease wrote it."""
    return folder_of(job_id) / "parts" / f"{start}.{token}"


def upload_remove(job_id: uuid.UUID) -> None:
    """Nobody needs the texts any longer once all of them are answered."""
    upload_path(job_id).unlink(missing_ok=True)


def files_remove(job_id: uuid.UUID) -> None:
    """Take away what a job has on the disk, and the list of its parts; its row stays."""
    shutil.rmtree(folder_of(job_id), ignore_errors=True)
    PredictionChunk.objects.filter(job=job_id).delete()
    PredictionJob.objects.filter(pk=job_id, file_removed_at=None).update(file_removed_at=Now())


def files_remove_unwanted(job_id: uuid.UUID) -> None:
    """Take away what was written for a job after it was given up."""
    if not PredictionJob.objects.filter(pk=job_id, status__in=_WANTED).exists():
        files_remove(job_id)


def files_sweep() -> None:
    """Remove the files of jobs that ended days ago, and those that never became a job's."""
    old = Now() - timedelta(days=settings.JOB_KEEP_DAYS)
    ended = PredictionJob.objects.filter(ended_at__lt=old, file_removed_at=None)
    for pk in ended.values_list("pk", flat=True):
        files_remove(pk)
    folders_sweep(folder_of(uuid.UUID(int=0)).parent, PredictionJob)
