"""Files of jobs on the disk. Their folders are named by the job's id; no path ever comes from a client."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import unicodedata
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from labeling.errors import FileTooLarge
from labeling.models import ExportJob, ImportJob, JobStatus, TransferJob

#: What is in an import's folder: the file as it came, and its checked rows.
UPLOAD, ROWS = "upload", "rows"
#: What is in an export's folder.
EXPORT, MANIFEST = "export", "manifest.json"
_NAME_LIMIT = 255
_CHUNK = 1024 * 1024
_SEPARATORS = re.compile(r"[/\\]")


@dataclass(frozen=True, slots=True)
class Stored:
    """A file as it arrived on the disk."""

    size_bytes: int
    sha256: str


def job_folder(job: TransferJob) -> Path:
    """Where the files of a job lie."""
    return folder_of(type(job), job.pk)


def folder_of(model: type[TransferJob], pk: uuid.UUID) -> Path:
    """Where the files of a job with this id lie, or would."""
    return Path(settings.DATA_DIR) / ("uploads" if model is ImportJob else "exports") / str(pk)


def file_new(path: Path) -> BinaryIO:
    """Open a file of a job for writing, from empty; a link that lies in its place is not followed."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    return os.fdopen(os.open(path, flags, 0o600), "wb", buffering=_CHUNK)


def upload_write(path: Path, chunks: Iterable[bytes], *, limit: int) -> Stored:
    """Write what comes in to the disk; FileTooLarge, and nothing left, once it is more than allowed."""
    digest, size = hashlib.sha256(), 0
    try:
        with file_new(path) as file:
            for chunk in chunks:
                size += len(chunk)
                if size > limit:
                    raise FileTooLarge(limit=size_shown(limit), size=f"more than {size_shown(limit)}")
                digest.update(chunk)
                file.write(chunk)
    except BaseException:
        shutil.rmtree(path.parent, ignore_errors=True)
        raise
    return Stored(size, digest.hexdigest())


def chunks_of(stream: BinaryIO) -> Iterable[bytes]:
    """A stream, piece by piece."""
    return iter(lambda: stream.read(_CHUNK), b"")


def file_name_clean(name: str) -> str:
    """A file's name for people: no folders, no invisible or direction-changing characters, 255 at most."""
    last = _SEPARATORS.split(unicodedata.normalize("NFC", name))[-1]
    shown = "".join(char for char in last if unicodedata.category(char)[0] != "C")
    return " ".join(shown.split())[:_NAME_LIMIT]


def size_shown(count: int) -> str:
    """A size in words."""
    size = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}".replace(".0 ", " ")
        size /= 1024
    return f"{size:.1f} GiB".replace(".0 ", " ")


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
