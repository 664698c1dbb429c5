"""Real trainings for tests: a corrected project whose champion is small, and a worker process that trains."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db.models.functions import Now

from audit.services import SYSTEM
from corpus.models import Document, Project
from feedback.models import Stratum
from feedback.services import correction_submit
from inference.models import Deployment, ModelVersion
from inference.services import base_models_load, deployment_set
from ner.formats import read_examples
from nerapp.env import PROJECT
from retraining import plans
from retraining.models import TrainingRun
from retraining.services import policy_change, run_queue, runs_sweep
from tests.factories import document_make
from tests.workers import kill, worker

Status = TrainingRun.Status
CHAMPION = "baseline"
_keys = itertools.count(1)


@pytest.fixture
def data_dir(settings: LazySettings, tmp_path: Path) -> Path:
    """The data folder of this process and of the workers that it starts."""
    settings.DATA_DIR = tmp_path / "data"
    settings.DATA_DIR.mkdir()
    return tmp_path / "data"


@pytest.fixture
def corrected(transactional_db: None, project: Project, ana: User, data_dir: Path) -> Project:
    """120 corrected orchard sentences, and the smallest base model as champion."""
    base_models_load(actor=SYSTEM)
    base = ModelVersion.objects.get(name=CHAMPION)
    deployment_set(
        project=project, slot=Deployment.Slot.CHAMPION, version=base, actor=SYSTEM, reason="a start"
    )
    correct_orchard(project, ana, count=120)
    policy_change(project=project, actor=SYSTEM, new_corrections=100, quiet_seconds=0, min_test_documents=10)
    return project


def correct_orchard(project: Project, author: User, *, count: int) -> list[Document]:
    """Orchard sentences with their true spans; every third one was drawn at random."""
    documents = []
    found = read_examples(PROJECT / "corpora" / "orchard.jsonl")
    for number, example in enumerate(itertools.islice(found, count)):
        document = document_make(project, example.text)
        correction_submit(
            document=document,
            spans=[span.to_json(example.text) for span in example.spans],
            base_number=0,
            author=author,
            prediction=None,
            stratum=Stratum.RANDOM if number % 3 == 0 else Stratum.UNCERTAIN,
            milliseconds=1000,
            idempotency_key=f"orchard-{next(_keys)}",
        )
        documents.append(document)
    return documents


def queue_short(project: Project, monkeypatch: pytest.MonkeyPatch, *, steps: int = 60) -> TrainingRun:
    """Queue a run of about so many steps."""
    real = plans.plan_make
    monkeypatch.setattr(
        "retraining.services.runs.plan_make",
        lambda **given: replace(real(**given), fine_tuning_steps=steps, patience=1000),
    )
    return run_queue(project=project, actor=SYSTEM, reason="a test")


@dataclass
class Worker:
    """A `worker-train` as the supervisor starts it."""

    process: subprocess.Popen[bytes]

    def trainer(self) -> psutil.Process:
        """The child process that trains."""
        return psutil.Process(self.process.pid).children()[0]

    def kill(self) -> None:
        """kill -9 of the whole group, as the kernel does when the machine has no memory left."""
        kill(self.process)


@contextlib.contextmanager
def train_worker(data_dir: Path, *, around: Sequence[str] = (), **environ: str) -> Iterator[Worker]:
    """A training worker; `around` is a command to start it with."""
    one_run = ("--max-tasks-per-child", "1")
    with worker("train", *one_run, around=around, NERAPP_DATA_DIR=str(data_dir), **environ) as process:
        yield Worker(process)


def wait_for(run: TrainingRun, condition: Callable[[TrainingRun], Any], what: str, *, seconds: float) -> None:
    """Watch a run until something holds of it; its log says why when it does not."""
    deadline = time.monotonic() + seconds
    while True:
        run.refresh_from_db()
        if condition(run):
            return
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}: {run.status}, {log_of(run)}"
        time.sleep(0.1)


def is_training(run: TrainingRun) -> bool:
    """Has its log told of an epoch, so that there is a checkpoint? The row says so a moment earlier."""
    return run.status == Status.RUNNING and bool(epochs_of(run))


def has_ended(run: TrainingRun) -> bool:
    return run.ended_at is not None


def log_of(run: TrainingRun) -> list[str]:
    """The lines of a run's log."""
    return list(run.events.order_by("pk").values_list("message", flat=True))


def epochs_of(run: TrainingRun) -> list[int]:
    """The epochs that its log tells of, in order."""
    return [e.data["epoch"] for e in run.events.order_by("pk") if "dev_f1" in e.data]


def time_passes(run: TrainingRun) -> None:
    """As if the lease had not been renewed for its whole length; then the sweep comes by."""
    TrainingRun.objects.filter(pk=run.pk, status=Status.RUNNING).update(
        lease_expires_at=Now() - timedelta(seconds=1)
    )
    runs_sweep()
