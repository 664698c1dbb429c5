"""Two who would move a project's callers at the same moment: over two connections one of them does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from audit.services import SYSTEM
from corpus.errors import DomainError
from inference.selectors import shares_in
from retraining.errors import ExperimentNotDraft, TrafficBusy
from retraining.models import Experiment, Rollout
from retraining.services import experiment_start, rollout_start
from tests.retraining.experiments import Lab

pytestmark = pytest.mark.django_db(transaction=True)
ACT: dict[str, Any] = {"actor": SYSTEM, "reason": "because"}
RUNNING = Experiment.Status.RUNNING


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is committed here tells workers, and there are none."""
    monkeypatch.setattr("celery.current_app.send_task", lambda *_, **__: None)


class Second:
    """Whoever comes while the first has not committed yet, over a connection of its own."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.refused: DomainError | None = None
        self._act, self._pid = act, 0
        self._thread = threading.Thread(target=self._run)

    def begin(self) -> None:
        """Return once it waits for a lock; it must not be through before the first is."""
        self._thread.start()
        deadline = time.monotonic() + 60
        while not self._waits():
            assert self._thread.is_alive(), "it did not wait for the first"
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def end(self) -> DomainError | None:
        """What it was refused with, after the first has committed."""
        self._thread.join(60)
        return self.refused

    def _waits(self) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted", [self._pid])
            return bool(cursor.fetchone()[0])

    def _run(self) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                self._pid = cursor.fetchone()[0]
            self._act()
        except DomainError as refused:
            self.refused = refused
        finally:
            connection.close()


def at_once(first: Callable[[], object], second: Callable[[], object]) -> DomainError | None:
    """Both at the same moment, the first a little earlier; returns what the second was refused with."""
    other = Second(second)
    with transaction.atomic():
        first()
        other.begin()
    return other.end()


def test_an_experiment_that_two_start_is_started_once(lab: Lab) -> None:
    draft = lab.draft(30.0)
    refused = at_once(
        lambda: experiment_start(experiment=draft, **ACT),
        lambda: experiment_start(experiment=Experiment.objects.get(pk=draft.pk), **ACT),
    )
    assert isinstance(refused, ExperimentNotDraft)
    assert Experiment.objects.get().status == RUNNING
    assert shares_in(lab.project) == {"champion": 70.0, "challenger": 30.0}


def test_of_two_experiments_one_begins(lab: Lab) -> None:
    one, other = lab.draft(30.0), lab.draft(40.0)
    refused = at_once(
        lambda: experiment_start(experiment=one, **ACT), lambda: experiment_start(experiment=other, **ACT)
    )
    assert isinstance(refused, TrafficBusy)
    assert f"experiment {one.pk} divides them" in refused.detail
    assert Experiment.objects.get(status=RUNNING) == one


@pytest.mark.parametrize("is_rollout_first", [True, False])
def test_of_an_experiment_and_a_rollout_one_begins(lab: Lab, is_rollout_first: bool) -> None:
    draft, version = lab.draft(30.0), lab.version("candidate")
    acts: list[Callable[[], object]] = [
        lambda: rollout_start(project=lab.project, version=version, **ACT),
        lambda: experiment_start(experiment=draft, **ACT),
    ]
    refused = at_once(*(acts if is_rollout_first else reversed(acts)))
    assert isinstance(refused, TrafficBusy)
    assert Rollout.objects.count() == is_rollout_first
    assert Experiment.objects.filter(status=RUNNING).count() == (not is_rollout_first)
