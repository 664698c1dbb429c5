"""Kills, pauses and lost messages in the middle of a training: one candidate, and the champion untouched."""

from __future__ import annotations

import signal
import time
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from django.conf import settings
from django.db.models.functions import Now

from audit.services import SYSTEM
from corpus.models import Project
from inference.models import Deployment, ModelVersion
from retraining.models import TrainingRun
from retraining.services import run_cancel, runs_sweep
from retraining.services.runs import MESSAGE_SECONDS
from retraining.workspace import run_dir
from tests.conftest import wait_until
from tests.training import (
    CHAMPION,
    Status,
    epochs_of,
    has_ended,
    is_training,
    log_of,
    queue_short,
    time_passes,
    train_worker,
    wait_for,
)

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

LONG = 600
MINUTES = 300.0


def candidates(project: Project) -> int:
    return ModelVersion.objects.filter(project=project, origin=ModelVersion.Origin.TRAINED).count()


def champion(project: Project) -> str:
    return Deployment.objects.get(project=project, slot="champion").version.name


def test_a_killed_training_goes_on_from_its_checkpoint_and_ends_with_one_candidate(
    corrected: Project, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = queue_short(corrected, monkeypatch, steps=LONG)
    with train_worker(data_dir) as worker:
        wait_for(run, is_training, "the first epoch", seconds=MINUTES)
        worker.kill()
    reached = max(epochs_of(run))
    time_passes(run)
    run.refresh_from_db()
    assert run.status == Status.QUEUED
    with train_worker(data_dir):
        wait_for(run, has_ended, "the end", seconds=MINUTES)
    assert run.status == Status.DONE, log_of(run)
    assert run.attempts == 2
    epochs = epochs_of(run)
    # Without the checkpoint the second attempt would begin with epoch 1 again.
    assert epochs == sorted(set(epochs))
    assert epochs[epochs.index(reached) + 1] == reached + 1
    assert candidates(corrected) == 1
    wait_until(lambda: not run_dir(run.pk).exists(), "its files to be gone")


def test_a_trainer_that_was_paused_past_its_lease_changes_nothing_when_it_wakes_up(
    corrected: Project, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = queue_short(corrected, monkeypatch, steps=LONG)
    with train_worker(data_dir) as first:
        wait_for(run, is_training, "the first epoch", seconds=MINUTES)
        zombie = first.trainer()
        zombie.send_signal(signal.SIGSTOP)
        time_passes(run)
        with train_worker(data_dir):
            wait_for(run, lambda r: r.attempts == 2, "the second attempt", seconds=MINUTES)
            token = run.lease_token
            zombie.send_signal(signal.SIGCONT)
            wait_for(run, has_ended, "the end", seconds=MINUTES)
    assert token is not None
    assert (run.status, run.attempts) == (Status.DONE, 2)
    assert candidates(corrected) == 1
    assert sum("is on the shelf" in line for line in log_of(run)) == 1
    # Both attempts would have logged the same epochs.
    assert len(set(epochs_of(run))) == len(epochs_of(run))


def test_a_message_that_the_broker_lost_is_sent_again(
    corrected: Project, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = queue_short(corrected, monkeypatch)
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        assert client.llen("train") == 1
        client.flushall()
    TrainingRun.objects.filter(pk=run.pk).update(published_at=Now() - timedelta(seconds=MESSAGE_SECONDS + 1))
    with train_worker(data_dir):
        time.sleep(1)
        runs_sweep()
        wait_for(run, lambda r: r.status != Status.QUEUED, "a worker to hear of it", seconds=60)
        run_cancel(run=run, actor=SYSTEM)
        wait_for(run, has_ended, "the end", seconds=MINUTES)


def test_a_cancelled_training_stops_and_leaves_nothing_behind(
    corrected: Project, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = queue_short(corrected, monkeypatch, steps=100_000)
    with train_worker(data_dir):
        wait_for(run, lambda r: r.progress.get("step", 0) > 0, "the first steps", seconds=MINUTES)
        asked = time.monotonic()
        run_cancel(run=run, actor=SYSTEM, reason="enough")
        wait_for(run, has_ended, "the end", seconds=60)
        assert time.monotonic() - asked < settings.RUN_LEASE_SECONDS
    assert run.status == Status.CANCELLED
    assert candidates(corrected) == 0
    assert champion(corrected) == CHAMPION
    wait_until(lambda: not run_dir(run.pk).exists(), "its files to be gone")


def test_a_worker_that_is_told_to_end_hands_its_training_back(
    corrected: Project, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A deployment must not cost one of the attempts, nor the time until a lease has run out.
    run = queue_short(corrected, monkeypatch, steps=100_000)
    with train_worker(data_dir) as worker:
        wait_for(run, lambda r: r.progress.get("step", 0) > 0, "the first steps", seconds=MINUTES)
        worker.process.send_signal(signal.SIGTERM)
        time.sleep(1)
        worker.process.send_signal(signal.SIGQUIT)
        worker.process.wait(30)
        run.refresh_from_db()
    assert (run.status, run.attempts, run.lease_token) == (Status.QUEUED, 0, None)


def test_a_disk_that_is_full_fails_the_run_in_words_and_leaves_the_champion_alone(
    corrected: Project, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = queue_short(corrected, monkeypatch)
    small = f'mount -t tmpfs -o size=64k tmpfs "{data_dir}" && exec "$@"'
    with train_worker(data_dir, around=["unshare", "--mount", "sh", "-c", small, "sh"]):
        wait_for(run, has_ended, "the end", seconds=MINUTES)
    assert run.status == Status.FAILED
    assert "The disk is full" in run.error
    assert candidates(corrected) == 0
    assert champion(corrected) == CHAMPION
