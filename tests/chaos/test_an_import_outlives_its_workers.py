"""A worker that is killed five times in the middle of an import: every text is there, once."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest
from django.db.models.functions import Now

from corpus.models import Document, Project
from feedback.models import Correction
from labeling.models import ImportJob, JobStatus
from labeling.services import import_start, import_upload, jobs_sweep
from tests.conftest import wait_until
from tests.labeling.transfer import jsonl, row
from tests.workers import kill, worker

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

KILLS = 5
ROWS = 30_000
SECONDS = 240


def watched(job: ImportJob, after: int) -> None:
    """Until the job has stored more than so many rows, or has ended."""
    deadline = time.monotonic() + SECONDS
    while True:
        job.refresh_from_db()
        if job.position > after or not job.is_active:
            return
        assert time.monotonic() < deadline, f"{job.status} at {job.position} after {SECONDS} s: {job.error}"
        time.sleep(0.01)


def test_five_kills_lose_nothing_and_double_nothing(project: Project, data_dir: Path) -> None:
    rows = (row(f"Ada wrote letter {n}.", (0, 3, "per"), id=f"d{n}") for n in range(ROWS))
    uploaded = import_upload(project=project, file_name="gold.jsonl", chunks=[jsonl(*rows)])
    job, _ = import_start(job=uploaded, options={})
    uploaded_file = data_dir / "uploads" / str(job.pk)
    reached: list[int] = []
    for _ in range(KILLS):
        with worker("default", NERAPP_DATA_DIR=str(data_dir)) as process:
            watched(job, reached[-1] if reached else 0)
            kill(process)
        job.refresh_from_db()
        reached.append(job.position)
        assert job.is_active, f"it ended before it could be killed {KILLS} times: {job.status}"
        # Its lease has run out: the sweep of the beat would find it some seconds later.
        ImportJob.objects.filter(pk=job.pk).update(lease_expires_at=Now(), published_at=None)
        jobs_sweep()
    assert reached == sorted(set(reached)), "each worker got further than the one before"
    with worker("default", NERAPP_DATA_DIR=str(data_dir)):
        watched(job, ROWS)
        while job.is_active:
            watched(job, ROWS)
            time.sleep(0.05)
        wait_until(lambda: not uploaded_file.exists(), "the file to be removed")
    assert job.status == JobStatus.DONE, job.error
    assert (job.position, job.counts["new"], job.counts["corrected"]) == (ROWS, ROWS, ROWS)
    assert Document.objects.count() == Correction.objects.count() == ROWS
    ids = Counter(Document.objects.values_list("external_id", flat=True))
    assert len(ids) == ROWS
