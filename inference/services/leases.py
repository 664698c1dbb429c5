"""The right of one process to work on a row, and what a queue is told of work that waits.

The row is the record; the broker only wakes workers. A message may come twice or never, and a process may be
paused past its lease and wake up: whatever it writes then touches nothing.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, TypeVar

import structlog
from celery import current_app
from django.db.models import QuerySet
from django.db.models.functions import Now
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from inference.models import Leased

log = structlog.get_logger(__name__)

#: A message that no worker took for this long expires, and the sweep sends the next one.
MESSAGE_SECONDS = 30
#: Work that goes on says so at least this often, and hears then whether it is still wanted.
BEAT_SECONDS = 1.0

L = TypeVar("L", bound=Leased)


class LeaseLost(Exception):
    """Another process owns this work by now, or nobody wants it any more; this one must change nothing."""


@dataclass
class Lease(Generic[L]):
    """The right to write to one running row. All times are the database's."""

    model: type[L]
    pk: uuid.UUID
    token: uuid.UUID
    seconds: float
    beaten_at: float = field(default_factory=time.monotonic)
    #: Hears what is written, for who watches in the same process.
    tell: Callable[[Mapping[str, Any]], None] | None = None

    def held(self) -> QuerySet[L]:
        """The row, as long as it is ours."""
        return self.model._default_manager.filter(pk=self.pk, status=Leased.RUNNING, lease_token=self.token)

    def write(self, **values: Any) -> None:
        """Change the row and renew the lease; LeaseLost when it is not ours."""
        if not self.held().update(lease_expires_at=lease_end(self.seconds), **values):
            raise LeaseLost
        self.beaten_at = time.monotonic()
        if self.tell is not None:
            self.tell(values)

    def beat(self, **values: Any) -> None:
        """Call it often: now and then it writes."""
        if time.monotonic() - self.beaten_at >= BEAT_SECONDS:
            self.write(**values)


def lease_end(seconds: float) -> Any:
    """When a lease that is taken or renewed now runs out, by the database's clock."""
    return Now() + timedelta(seconds=seconds)


def task_publish(name: str, pk: uuid.UUID, *, times: int = 1, expires: float = MESSAGE_SECONDS) -> bool:
    """Tell the broker about a row that waits; False when it cannot hear, and a sweep has to tell it again."""
    try:
        for _ in range(times):
            current_app.send_task(name, args=[str(pk)], expires=expires)
    except (KombuError, RedisError, OSError) as error:
        log.warning("task_not_published", task=name, id=str(pk), error=type(error).__name__)
        return False
    return True
