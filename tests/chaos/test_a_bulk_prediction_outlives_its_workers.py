"""Workers that are killed in the middle of a bulk prediction: every line is answered, once, in its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.db.models.functions import Now

from audit.services import SYSTEM
from corpus.models import Project
from inference.job_options import JobOptions
from inference.models import Prediction, PredictionChunk, PredictionJob
from inference.selectors import label_rules
from inference.services import api_key_create, version_register
from inference.services.job_files import folder_of
from inference.services.jobs import job_result, job_start, jobs_sweep
from tests.bundles import tiny_bundle
from tests.conftest import wait_until
from tests.workers import kill, worker

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

KILLS = 4
LINES = 60_000
SECONDS = 240


def sweep() -> None:
    """Leases have run out, and the beat comes by; without waiting for either."""
    PredictionChunk.objects.filter(status="running").update(lease_expires_at=Now())
    PredictionJob.objects.update(published_at=None)
    jobs_sweep()


def test_kills_lose_no_line_and_answer_none_twice(project: Project, data_dir: Path, tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "tiny")
    version = version_register(path=bundle, name="tiny", project=project, actor=SYSTEM)
    key, _ = api_key_create(project=project, name="bulk", scopes=["predict"], actor=SYSTEM)
    content = (b'{"text": "Ada wrote letter %d", "id": %d}\n' % (n, n) for n in range(LINES))
    job, _ = job_start(
        api_key=key,
        file_name="letters.jsonl",
        chunks=content,
        options=JobOptions(store=True),
        version=version,
        slot="",
        rules=label_rules(project),
    )
    reached: list[int] = [0]

    def has_moved() -> bool:
        job.refresh_from_db()
        return job.lines > reached[-1] or not job.is_active

    for _ in range(KILLS):
        with worker("predict", NERAPP_DATA_DIR=str(data_dir)) as process:
            wait_until(has_moved, "another chunk", seconds=SECONDS)
            kill(process)
        job.refresh_from_db()
        reached.append(job.lines)
        assert job.is_active, f"it ended before it could be killed {KILLS} times: {job.status} {job.error}"
        sweep()
    assert reached == sorted(set(reached)), "each worker got further than the one before"
    # Two at once finish it.
    with worker("predict", NERAPP_DATA_DIR=str(data_dir)), worker("predict", NERAPP_DATA_DIR=str(data_dir)):
        wait_until(lambda: has_moved() and not job.is_active, "the job to end", seconds=SECONDS)
    assert (job.status, job.lines, job.failed) == (PredictionJob.Status.DONE, LINES, 0), job.error
    answers = [json.loads(line) for line in b"".join(job_result(job=job, api_key=key).pieces).splitlines()]
    assert [(answer["line"], answer["id"]) for answer in answers] == [(n + 1, n) for n in range(LINES)]
    assert all(answer["entities"][0]["text"] == "Ada" for answer in answers)
    kept = set(Prediction.objects.values_list("id", flat=True))
    assert {str(pk) for pk in kept} == {answer["prediction_id"] for answer in answers}
    assert Prediction.objects.count() == LINES, "nor is any kept twice"
    assert not (folder_of(job.pk) / "upload").exists()
