"""Queueing, claiming, cancelling and reviving runs: one at a time, and never twice."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta
from unittest.mock import Mock

import pytest
from celery import current_app
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from kombu.exceptions import OperationalError

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.models import Project
from inference.models import Deployment
from retraining.errors import NoChampion, NothingToLearn, RunEnded
from retraining.models import TrainingRun
from retraining.services import run_cancel, run_queue, runs_sweep
from retraining.services.leases import Lease, LeaseLost, Status
from retraining.services.runs import MESSAGE_SECONDS
from tests.retraining.conftest import Correct


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """What the broker was told."""
    told = Mock()
    monkeypatch.setattr(current_app, "send_task", told)
    return told


@pytest.fixture
def queued(project: Project, champion: Deployment, correct: Correct) -> TrainingRun:
    """A run that waits for a worker."""
    correct(6)
    return run_queue(project=project, actor=SYSTEM, reason="a test")


def expire(run: TrainingRun) -> None:
    """As if the process had not renewed its lease."""
    TrainingRun.objects.filter(pk=run.pk).update(lease_expires_at=Now() - timedelta(seconds=1))


@pytest.mark.django_db
def test_a_second_request_gets_the_run_that_waits(project: Project, queued: TrainingRun) -> None:
    assert run_queue(project=project, actor=SYSTEM, reason="again") == queued
    assert AuditEvent.objects.filter(action="run.queue").count() == 1


@pytest.mark.django_db
def test_a_run_says_what_it_starts_from_and_how_it_will_train(queued: TrainingRun) -> None:
    assert queued.start_from.number == 0
    assert queued.config["family"] == "flagship"
    assert queued.config["labels"][-2:] == ["cultivar", "pest"]
    assert "a test" in queued.events.get().message


@pytest.mark.django_db
def test_without_a_champion_or_corrections_nothing_is_queued(project: Project, correct: Correct) -> None:
    with pytest.raises(NoChampion):
        run_queue(project=project, actor=SYSTEM, reason="x")


@pytest.mark.django_db
def test_without_corrections_nothing_is_queued(project: Project, champion: Deployment) -> None:
    with pytest.raises(NothingToLearn):
        run_queue(project=project, actor=SYSTEM, reason="x")
    assert not TrainingRun.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_twenty_requests_at_once_queue_one_run(
    project: Project, champion: Deployment, correct: Correct, broker: Mock
) -> None:
    correct(6)
    start, found, failed = threading.Barrier(20), [], []

    def ask() -> None:
        try:
            start.wait()
            found.append(run_queue(project=project, actor=SYSTEM, reason="at once").pk)
        except Exception as error:  # noqa: BLE001
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(set(found)) == 1
    assert TrainingRun.objects.count() == 1
    assert broker.call_count == 1


@pytest.mark.django_db
def test_the_database_itself_refuses_a_second_run(queued: TrainingRun) -> None:
    with pytest.raises(IntegrityError, match="run_one_at_a_time"), transaction.atomic():
        TrainingRun.objects.create(
            project=queued.project, training_set=queued.training_set, start_from=queued.start_from
        )


@pytest.mark.django_db
def test_a_run_is_claimed_once_however_often_it_is_delivered(queued: TrainingRun) -> None:
    lease = Lease.claim(queued.pk)
    assert lease is not None
    assert lease.attempt == 1
    assert Lease.claim(queued.pk) is None


@pytest.mark.django_db
def test_a_dead_run_is_queued_again_and_published(queued: TrainingRun, broker: Mock) -> None:
    Lease.claim(queued.pk)
    runs_sweep()
    queued.refresh_from_db()
    assert queued.status == Status.RUNNING  # its lease is good
    expire(queued)
    runs_sweep()
    queued.refresh_from_db()
    assert (queued.status, queued.lease_token, queued.attempts) == (Status.QUEUED, None, 1)
    assert broker.call_args.kwargs["args"] == [queued.pk]


@pytest.mark.django_db
def test_a_run_that_kills_its_process_every_time_fails(queued: TrainingRun, broker: Mock) -> None:
    for _ in range(settings.RUN_MAX_ATTEMPTS):
        assert Lease.claim(queued.pk) is not None
        expire(queued)
        runs_sweep()
    queued.refresh_from_db()
    assert queued.status == Status.FAILED
    assert "died 3 times" in queued.error
    assert queued.ended_at is not None
    assert AuditEvent.objects.filter(action="run.fail").count() == 1


@pytest.mark.django_db
def test_a_process_that_was_taken_for_dead_can_write_nothing(queued: TrainingRun, broker: Mock) -> None:
    zombie = Lease.claim(queued.pk)
    assert zombie is not None
    expire(queued)
    runs_sweep()
    heir = Lease.claim(queued.pk)
    assert heir is not None
    with pytest.raises(LeaseLost):
        zombie.write(progress={"message": "I am back"})
    with pytest.raises(LeaseLost), zombie.holding():
        pass
    zombie.give_up()
    assert zombie.should_stop()
    heir.write(progress={"message": "mine"})
    queued.refresh_from_db()
    assert (queued.status, queued.progress["message"]) == (Status.RUNNING, "mine")


@pytest.mark.django_db
def test_a_process_that_is_asked_to_end_hands_its_run_back(queued: TrainingRun) -> None:
    lease = Lease.claim(queued.pk)
    assert lease is not None
    lease.give_up()
    queued.refresh_from_db()
    assert (queued.status, queued.attempts) == (Status.QUEUED, 0)


@pytest.mark.django_db
def test_a_queued_run_is_published_again_only_when_its_message_has_expired(
    queued: TrainingRun, broker: Mock
) -> None:
    runs_sweep()  # the publication on commit has not happened in this transaction
    runs_sweep()
    assert broker.call_count == 1
    assert broker.call_args.kwargs["expires"] == MESSAGE_SECONDS
    TrainingRun.objects.update(published_at=Now() - timedelta(seconds=MESSAGE_SECONDS + 1))
    runs_sweep()
    assert broker.call_count == 2


@pytest.mark.django_db
def test_a_broker_that_is_away_costs_nothing_but_time(queued: TrainingRun, broker: Mock) -> None:
    broker.side_effect = OperationalError("away")
    runs_sweep()
    queued.refresh_from_db()
    assert (queued.status, queued.published_at) == (Status.QUEUED, None)


@pytest.mark.django_db
def test_a_queued_run_is_cancelled_at_once(queued: TrainingRun) -> None:
    run = run_cancel(run=queued, actor=SYSTEM, reason="a mistake")
    assert (run.status, run.ended_at is not None) == (Status.CANCELLED, True)
    assert Lease.claim(run.pk) is None
    with pytest.raises(RunEnded):
        run_cancel(run=run, actor=SYSTEM)


@pytest.mark.django_db
def test_a_running_run_is_asked_once(queued: TrainingRun) -> None:
    Lease.claim(queued.pk)
    run_cancel(run=queued, actor=SYSTEM)
    run = run_cancel(run=queued, actor=SYSTEM)
    assert (run.status, run.cancel_requested_at is not None) == (Status.RUNNING, True)
    assert AuditEvent.objects.filter(action="run.cancel").count() == 1


@pytest.mark.django_db
def test_a_cancelled_run_whose_process_died_ends(queued: TrainingRun, broker: Mock) -> None:
    Lease.claim(queued.pk)
    run_cancel(run=queued, actor=SYSTEM)
    expire(queued)
    runs_sweep()
    queued.refresh_from_db()
    assert queued.status == Status.CANCELLED


@pytest.mark.django_db
def test_a_lease_belongs_to_running_rows_only(queued: TrainingRun) -> None:
    with pytest.raises(IntegrityError, match="run_lease_while_running"), transaction.atomic():
        TrainingRun.objects.filter(pk=queued.pk).update(lease_token=uuid.uuid4())
