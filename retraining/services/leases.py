"""The lease that makes one process, and only one, the owner of a training run.

The broker may deliver a run twice, or a process may be paused past its lease and wake up. So every write to
a running row names the token of its lease; the sweep takes the token away from a process that stopped
renewing it, and whatever that process writes afterwards touches nothing.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from retraining.models import TrainingRun

log = structlog.get_logger(__name__)
Status = TrainingRun.Status
Answer = TypeVar("Answer")


class LeaseLost(Exception):
    """Another process owns this run by now, or nobody does; this one must change nothing more."""


@dataclass
class Lease:
    """The right to write to one running row. All times are the database's."""

    run_id: int
    token: uuid.UUID
    attempt: int
    lost: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def claim(cls, run_id: int) -> Lease | None:
        """Take a queued run; None when somebody else has it, or it has ended."""
        token = uuid.uuid4()
        claimed = TrainingRun.objects.filter(pk=run_id, status=Status.QUEUED).update(
            status=Status.RUNNING,
            lease_token=token,
            lease_expires_at=lease_end(),
            attempts=F("attempts") + 1,
            started_at=Coalesce("started_at", Now()),
        )
        if not claimed:
            return None
        attempt = TrainingRun.objects.values_list("attempts", flat=True).get(pk=run_id)
        return cls(run_id=run_id, token=token, attempt=attempt)

    @contextlib.contextmanager
    def holding(self) -> Iterator[TrainingRun]:
        """A transaction in which the row is locked and ours; LeaseLost when it is not."""
        with transaction.atomic():
            run = (
                TrainingRun.objects.select_for_update(of=("self",), no_key=True)
                .select_related("project", "training_set__label_set", "start_from", "candidate")
                .filter(pk=self.run_id, status=Status.RUNNING, lease_token=self.token)
                .first()
            )
            if run is None:
                self.lost.set()
                raise LeaseLost
            yield run

    def write(self, **values: Any) -> None:
        """Change the row and renew the lease."""
        changed = TrainingRun.objects.filter(
            pk=self.run_id, status=Status.RUNNING, lease_token=self.token
        ).update(lease_expires_at=lease_end(), **values)
        if not changed:
            self.lost.set()
            raise LeaseLost

    def give_up(self) -> None:
        """Hand the run back, as if it had never been claimed: this process was asked to end."""
        TrainingRun.objects.filter(pk=self.run_id, status=Status.RUNNING, lease_token=self.token).update(
            status=Status.QUEUED,
            lease_token=None,
            lease_expires_at=None,
            attempts=F("attempts") - 1,
            published_at=None,
        )

    def should_stop(self) -> bool:
        """For the training loop: the lease is gone, or a person cancelled the run."""
        return self.lost.is_set() or self.cancelled.is_set()

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the lease from a thread of its own, however long one step of the training takes."""
        done = threading.Event()
        thread = threading.Thread(
            target=self._beat, args=(done,), name=f"heartbeat-{self.run_id}", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(timeout=10)

    def _beat(self, done: threading.Event) -> None:
        try:
            while not done.wait(settings.RUN_LEASE_SECONDS / 6):
                try:
                    self.write()
                    asked = TrainingRun.objects.filter(pk=self.run_id, cancel_requested_at__isnull=False)
                    if asked.exists():
                        self.cancelled.set()
                except LeaseLost:
                    log.warning("lease_lost", run=self.run_id)
                    return
                except (OperationalError, InterfaceError):
                    # The database is away or the row is locked for long. The lease outlives five misses, and
                    # if it does expire the next conditional write finds out.
                    log.warning("heartbeat_missed", run=self.run_id)
                    connection.close()
        finally:
            connection.close()


def lease_end() -> Any:
    """When a lease taken or renewed now ends."""
    return Now() + timedelta(seconds=settings.RUN_LEASE_SECONDS)


def patiently(work: Callable[[], Answer]) -> Answer:
    """Repeat a step that the database could not take, for as long as the lease would live without it.

    A restart of PostgreSQL in the middle of a training costs seconds, not the training.
    """
    deadline = time.monotonic() + settings.RUN_LEASE_SECONDS
    while True:
        try:
            return work()
        except (OperationalError, InterfaceError):
            if connection.in_atomic_block or time.monotonic() > deadline:
                raise
            connection.close()
            time.sleep(1)
